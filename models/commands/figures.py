"""python -m models figures: what the lecture claims of its networks, beside what their modules measure here."""
import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import minigrad
import models
from minigrad import nn
from minigrad.utils.products import watch_products
from models.commands.network import build, image_shape, images
from models.common import CommandError, write_text

HELP = "show the lecture's figures beside what is measured on the networks"
DOCUMENT = "docs/figures.md"

# ---------------------------------------------------------------- what was said, by whom
# AlexNet's slide: a layer's filters, size, stride and padding, and its output as height, width and depth.
ALEXNET = (
    ("INPUT", None, (227, 227, 3)),
    ("CONV1", "96 11x11 stride 4 pad 0", (55, 55, 96)),
    ("POOL1", "3x3 stride 2", (27, 27, 96)),
    ("NORM1", None, (27, 27, 96)),
    ("CONV2", "256 5x5 stride 1 pad 2", (27, 27, 256)),
    ("POOL2", "3x3 stride 2", (13, 13, 256)),
    ("NORM2", None, (13, 13, 256)),
    ("CONV3", "384 3x3 stride 1 pad 1", (13, 13, 384)),
    ("CONV4", "384 3x3 stride 1 pad 1", (13, 13, 384)),
    ("CONV5", "256 3x3 stride 1 pad 1", (13, 13, 256)),
    ("POOL3", "3x3 stride 2", (6, 6, 256)),
    ("FC6", None, (4096,)),
    ("FC7", None, (4096,)),
    ("FC8", None, (1000,)),
)
# ZF Net's: AlexNet's layer and what became of it.
ZFNET = {
    "CONV1": ("11x11 stride 4", "7x7 stride 2"),
    "CONV3": ("384 filters", "512 filters"),
    "CONV4": ("384 filters", "1024 filters"),
    "CONV5": ("256 filters", "512 filters"),
}
# VGG-16's: parameters of its layers, without biases.
VGG16 = {
    "CONV1-1": 1_728, "CONV1-2": 36_864, "CONV2-1": 73_728, "CONV2-2": 147_456,
    "CONV3-1": 294_912, "CONV3-2": 589_824, "CONV3-3": 589_824,
    "CONV4-1": 1_179_648, "CONV4-2": 2_359_296, "CONV4-3": 2_359_296,
    "CONV5-1": 2_359_296, "CONV5-2": 2_359_296, "CONV5-3": 2_359_296,
    "FC6": 102_760_448, "FC7": 16_777_216, "FC8": 4_096_000,
}  # fmt: skip
# The naive and the bottleneck module of the lecture, on 28x28x256.
INCEPTION_INPUT = (256, 28, 28)
INCEPTION = {"naive": (854e6, (28, 28, 672)), "bottleneck": (358e6, (28, 28, 480))}
# torchvision's table of classification weights: parameters, and 10⁹ multiply-adds of one 224x224 image.
PUBLISHED = {
    "alexnet": (61_100_840, 0.71), "vgg11": (132_863_336, 7.61), "vgg11_bn": (132_868_840, 7.61),
    "vgg13": (133_047_848, 11.31), "vgg13_bn": (133_053_736, 11.31), "vgg16": (138_357_544, 15.47),
    "vgg16_bn": (138_365_992, 15.47), "vgg19": (143_667_240, 19.63), "vgg19_bn": (143_678_248, 19.63),
    "googlenet": (6_624_904, 1.50), "resnet18": (11_689_512, 1.81), "resnet34": (21_797_672, 3.66),
    "resnet50": (25_557_032, 4.09), "resnet101": (44_549_160, 7.80), "resnet152": (60_192_808, 11.51),
}  # fmt: skip
SMALL_IMAGE = (3, 64, 64)  # enough for a graph, whose layers are the same for every size
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "preact_resnet200")


@dataclasses.dataclass(frozen=True)
class Claim:
    """Something said of a network: in words, the value measured, whether it holds (None: it was not said), a note."""

    what: str
    said: str
    found: Any
    holds: bool | None
    note: str = ""
    unit: str = ""

    @property
    def verdict(self):
        """What is printed: holds, does NOT hold, or nothing."""
        return {True: "holds", False: "does NOT hold", None: ""}[self.holds]

    @property
    def measured(self):
        """The value measured as text."""
        return shown(self.found) + (f" {self.unit}" if self.unit else "")


def shown(value):
    """A value as text: 34848 as 34,848 and (55, 55, 96) as 55x55x96."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def rounds_to(value, said, step):
    """Whether value, rounded to multiples of step, is what was said.

    >>> rounds_to(34_848, 35_000, 1_000)
    True
    """
    return abs(value - said) <= step / 2


# ---------------------------------------------------------------- measuring
@functools.cache
def network(name, **options):
    """A network, in test mode, whose weights are not drawn."""
    return build(name, **options).eval()


@functools.cache
def measured(name, **options):
    """The summary of a network on one image of the size it is made for."""
    model = network(name, **options)
    return minigrad.summary(model, image_shape(model), batch_size=1)


def layers_of(found, *kinds):
    """The rows of a summary whose modules are of these types."""
    return [row for row in found.rows if row.type in kinds]


def size_of(shape):
    """A shape (N, C, H, W) as the lecture writes it, (H, W, C); (N, F) as (F,)."""
    return (*shape[2:], shape[1])


def window(layer):
    """A convolution or pooling as the lecture writes it: filters, size, stride and padding."""
    kernel, stride, padding = (side(getattr(layer, name)) for name in ("kernel_size", "stride", "padding"))
    if isinstance(layer, nn.Conv2d):
        return f"{layer.out_channels} {kernel}x{kernel} stride {stride} pad {padding}"
    return f"{kernel}x{kernel} stride {stride}" + (f" pad {padding}" if padding else "")


def side(value):
    return value[0] if isinstance(value, tuple) else value


# What PyTorch calls the nodes of convolutions and of linear layers, by the dimensions of their input and their bias.
WITH_WEIGHTS = {"ConvolutionBackward0", "LinearBackward0", "AddmmBackward0", "MmBackward0"}


def depth(model, shape):
    """The layers with weights on the longest way through the graph that a model makes of an image (C, H, W).

    >>> depth(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)), (3, 1, 1))
    2
    """
    with watch_products(lambda *product: None, compute=False):
        root = model(images(shape, 1)).grad_fn
    lengths = {}
    stack = [root]
    while stack:
        node = stack[-1]
        below = [following for following, _ in node.next_functions if following is not None]
        waiting = [following for following in below if following.next_functions and following not in lengths]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        own = node.name() in WITH_WEIGHTS
        lengths[node] = own + max((lengths.get(following, 0) for following in below), default=0)
    return lengths[root]


# ---------------------------------------------------------------- the claims
def lenet5():
    """LeNet-5 (LeCun 1998)."""
    model, found = network("lenet5"), measured("lenet5")
    kinds = {"Conv2d": "CONV", "MaxPool2d": "POOL", "Linear": "FC"}
    order = " ".join(kinds[row.type] for row in layers_of(found, *kinds))
    convolutions = sorted({window(m).split(" ", 1)[1].split(" pad")[0] for m in (model.conv1, model.conv2)})
    yield Claim(
        "layers", "CONV POOL CONV POOL FC FC", order, order.startswith("CONV POOL CONV POOL FC FC"),
        f"after the two FC layers ({model.fc1.out_features} and {model.fc2.out_features}) comes the layer of the "
        f"{model.fc3.out_features} outputs, which the slide leaves out",
    )  # fmt: skip
    yield Claim("convolutions", "5x5 stride 1", ", ".join(convolutions), convolutions == ["5x5 stride 1"])
    yield Claim("poolings", "2x2 stride 2", window(model.pool), window(model.pool) == "2x2 stride 2")
    yield Claim("parameters", "", found.total_parameters, None, "with max pooling, which has no weights of its own")


def alexnet():
    """AlexNet (Krizhevsky 2012), the lecture's "full (simplified)": one tower, 227x227."""
    model, found = network("alexnet_lecture"), measured("alexnet_lecture")
    rows = {row.name.rpartition(".")[2].upper(): row for row in found.rows if row.name}
    modules = {name.rpartition(".")[2].upper(): module for name, module in model.named_modules()}
    for name, description, size in ALEXNET:
        if name == "INPUT":
            yield Claim(name, shown(size), size_of(found.input_shapes[0]), size_of(found.input_shapes[0]) == size)
            continue
        actual = size_of(rows[name].output_shape)
        if description is None:
            yield Claim(name, shown(size), actual, actual == size)
            continue
        filters = window(modules[name])
        both = f"{filters} -> {shown(actual)}"
        yield Claim(name, f"{description} -> {shown(size)}", both, (filters, actual) == (description, size))
    weights = rows["CONV1"].weights
    yield Claim(
        "CONV1's parameters", "35 K", weights, rounds_to(weights, 35_000, 1_000),
        f"11·11·3·96; {rows['CONV1'].parameters:,} with the biases",
    )  # fmt: skip
    grouped, published = measured("alexnet_grouped").total_parameters, measured("alexnet").total_parameters
    yield Claim(
        "parameters", "", found.total_parameters, None,
        f"one tower; {grouped:,} in the two groups of the paper, {published:,} as in torchvision",
    )  # fmt: skip


def zfnet():
    """ZF Net (Zeiler & Fergus 2013): what differs from AlexNet."""
    before, after = network("alexnet_lecture").features, network("zfnet").features
    for name, (old, new) in ZFNET.items():
        pair = tuple(_part(getattr(features, name.lower()), old) for features in (before, after))
        yield Claim(name, f"{old} -> {new}", " -> ".join(pair), pair == (old, new))
    pair = [window(features.conv2) for features in (before, after)]
    yield Claim(
        "CONV2", "", " -> ".join(pair), None,
        "not on the slide, but in the paper: without it CONV3 to CONV5 would see maps twice as large",
    )  # fmt: skip
    counts = [measured(name).total_parameters for name in ("alexnet_lecture", "zfnet")]
    yield Claim("parameters", "", " -> ".join(map(shown, counts)), None, "from AlexNet's to ZF Net's")


def _part(layer, like):
    """What a text says of a convolution, of this one: its filters, or its size and stride."""
    if like.endswith("filters"):
        return f"{layer.out_channels} filters"
    return window(layer).split(" ", 1)[1].split(" pad")[0]


def vgg16():
    """VGG-16 (Simonyan & Zisserman 2014): memory and parameters of its layers (parameters without biases)."""
    found = measured("vgg16")
    names = iter(VGG16)
    values = found.input_elements
    yield Claim("INPUT", "", values, None, unit="values")
    convolutions = 0
    for row in layers_of(found, "Conv2d", "MaxPool2d", "Linear"):
        elements = row.activations
        values += elements
        if row.type == "MaxPool2d":
            yield Claim("POOL", "", elements, None, unit="values")
            continue
        name = next(names)
        convolutions += elements
        yield Claim(
            name, f"{VGG16[name]:,} parameters", row.weights, row.weights == VGG16[name],
            f"{elements:,} values", "parameters",
        )  # fmt: skip
    total = found.total_parameters
    yield Claim(
        "all parameters", "138 M", total, rounds_to(total, 138e6, 1e6),
        f"{total - found.total_biases:,} without biases",
    )  # fmt: skip
    added = sum(VGG16.values())
    rest = total - found.total_biases
    yield Claim("the slide's parameters added up", "138 M", added, added == rest and rounds_to(added, 138e6, 1e6))
    yield Claim(
        "values in memory, an image", "24 M", values, rounds_to(values, 24e6, 1e6),
        f"the slide's own rows add up to {values / 1e6:.1f} M; with the outputs of the ReLUs, which work in place, it "
        f"would be {(values + convolutions - 1000) / 1e6:.1f} M: neither is 24 M",
    )  # fmt: skip
    yield Claim(
        "memory, an image", "96 MB", 4 * values / 1e6, rounds_to(4 * values / 1e6, 96, 1),
        f"4 bytes a value, forward; what backward needs is {found.saved_bytes / 1e6:.1f} MB here", "MB",
    )  # fmt: skip
    early = sum(row.activations for row in layers_of(found, "Conv2d")[:2])
    fully = sum(row.weights for row in layers_of(found, "Linear"))
    yield Claim("share of the values in the first two layers", "", 100 * early / values, None, unit="%")
    yield Claim("share of the parameters in the last three", "", 100 * fully / rest, None, unit="%")


def stack(kernel, times, channels=64):
    """Convolutions of so many channels after one another, each with its non-linearity."""
    layers = [(nn.Conv2d(channels, channels, kernel, bias=False), nn.ReLU()) for _ in range(times)]
    return nn.Sequential(*(layer for pair in layers for layer in pair))


def filters():
    """Three 3x3 convolutions against one 7x7, at stride 1 with C channels."""
    channels = 64
    found = [minigrad.summary(stack(k, n, channels), (channels, 32, 32)) for k, n in ((3, 3), (7, 1))]
    fields = [one.rows[0].receptive_field for one in found]
    yield Claim(
        "receptive field of three 3x3", "that of one 7x7", fields[0], fields == [(7, 7), (7, 7)],
        f"one 7x7: {shown(fields[1])}",
    )  # fmt: skip
    for text, expected, one in zip(("three 3x3", "one 7x7"), (27, 49), found):
        factor = one.total_parameters / channels**2
        yield Claim(f"parameters of {text}", f"{expected} C²", f"{factor:g} C²", factor == expected)
    counts = [len(layers_of(one, "ReLU")) for one in found]
    yield Claim("non-linearities", "more", counts[0], counts[0] > counts[1], f"one 7x7: {counts[1]}")


def googlenet():
    """GoogLeNet (Szegedy 2014)."""
    found, paper = measured("googlenet", aux_logits=False), measured("googlenet", aux_logits=False, **PAPER)
    layers = depth(network("googlenet", aux_logits=False), SMALL_IMAGE)
    yield Claim("layers", "22", layers, layers == 22, "with weights, on the longest way")
    linear = [row.name for row in layers_of(found, "Linear")]
    yield Claim("FC layers", "only the classifier", ", ".join(linear), linear == ["fc"])
    total, alex = found.total_parameters, measured("alexnet").total_parameters
    modules = sum(row.parameters for row in layers_of(paper, "Inception"))
    head = layers_of(paper, "Linear")[0].parameters
    yield Claim(
        "parameters", "5 M", total, rounds_to(total, 5e6, 1e6),
        f"torchvision's network, which has 3x3 for 5x5 convolutions and batch norm; as in the paper's table "
        f"{paper.total_parameters:,}, of which the nine modules have {modules:,} and the classifier {head:,}; "
        f"{measured('googlenet').total_parameters:,} with torchvision's auxiliary classifiers",
    )  # fmt: skip
    body = total - head
    yield Claim(
        "fewer than AlexNet", "12 times", alex / total, rounds_to(alex / total, 12, 1),
        f"{alex:,} / {total:,}; the paper's figure is 60 M / 5 M, but no count of its network gives 5 M; without the "
        f"classifier, whose size is the number of classes, it is {alex / body:.1f} times ({body:,}), and of the "
        f"paper's variant {alex / (paper.total_parameters - head):.1f} times",
        "times",
    )  # fmt: skip


PAPER = {"five_by_five": True, "batch_norm": False}


def inception():
    """The naive Inception module against the one with 1x1 bottlenecks, on 28x28x256."""
    plain = models.PlainConv2d
    with nn.init.paused():
        modules = {
            "naive": models.NaiveInception(256, 128, 192, 96, plain),
            "bottleneck": models.Inception(256, 128, 64, 192, 64, 96, 64, plain, five_by_five=True),
        }
    products, twice = {}, 0
    for name, module in modules.items():
        found = minigrad.summary(module, INCEPTION_INPUT)
        said, size = INCEPTION[name]
        products[name] = found.multiply_adds
        note = "multiply-adds"
        if name == "bottleneck":
            three = next(row for row in found.rows if row.kernel == (3, 3) and row.type == "Conv2d")
            twice = found.multiply_adds + three.multiply_adds
            note += f"; with the 3x3 convolution counted twice it would be {twice / 1e6:.0f} M"
        holds = rounds_to(found.multiply_adds, said, 1e6)
        yield Claim(f"{name}: operations", f"{said / 1e6:.0f} M", found.multiply_adds, holds, note)
        actual = size_of(found.rows[0].output_shape)
        yield Claim(f"{name}: output", shown(size), actual, actual == size)
    saved = 100 * (1 - products["bottleneck"] / products["naive"])
    yield Claim(
        "saved by bottlenecks", "about 60 %", saved, rounds_to(saved, 60, 10),
        f"more than that: 60 % is what {INCEPTION['bottleneck'][0] / 1e6:.0f} M would save "
        f"({100 * (1 - twice / products['naive']):.0f} %)", "%",
    )  # fmt: skip
    whole = [measured("googlenet", aux_logits=False, inception=kind, **PAPER) for kind in ("bottleneck", "naive")]
    yield Claim(
        "saved in the whole network", "", 100 * (1 - whole[0].multiply_adds / whole[1].multiply_adds), None,
        f"{whole[0].multiply_adds / 1e9:.2f} instead of {whole[1].multiply_adds / 1e9:.2f} billion multiply-adds, and "
        f"{whole[0].total_parameters / 1e6:.1f} instead of {whole[1].total_parameters / 1e6:.1f} million parameters: "
        "naive modules pass every channel on, so that the depth grows from one to the next", "%",
    )  # fmt: skip


def resnet():
    """ResNet (He 2015): layers with weights."""
    for name in RESNETS:
        layers, said = depth(network(name), SMALL_IMAGE), name.rpartition("resnet")[2]
        found = measured(name)
        yield Claim(
            name, said, layers, layers == int(said),
            f"{found.total_parameters:,} parameters, {found.multiply_adds / 1e9:.2f} billion multiply-adds",
            "layers",
        )  # fmt: skip


def published():
    """What torchvision publishes of its networks, for 224x224 images (its "GFLOPS" are multiply-adds)."""
    for name, (parameters, billions) in PUBLISHED.items():
        options = {"aux_logits": False} if name == "googlenet" else {}
        found = measured(name, **options)
        pair = f"{found.total_parameters:,}; {found.multiply_adds / 1e9:.2f} billion"
        holds = found.total_parameters == parameters and rounds_to(found.multiply_adds / 1e9, billions, 0.01)
        yield Claim(name, f"{parameters:,}; {billions:.2f} billion", pair, holds)


GROUPS = {
    group.__name__: group
    for group in (lenet5, alexnet, zfnet, vgg16, filters, googlenet, inception, resnet, published)
}


# ---------------------------------------------------------------- the command
def add_arguments(parser):
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"of: {', '.join(GROUPS)} (default: all)")
    add("--json", action="store_true", help="print JSON instead")
    add("--markdown", nargs="?", const=DOCUMENT, metavar="FILE", help=f"write all of it there (default: {DOCUMENT})")


SHORT = 24  # letters of a note that fits into its line


def as_text(title, claims):
    """A group as lines: a title and a table of what is said and measured; long notes stand under their line."""
    table = [("", "said", "measured", "")]
    table += [(claim.what, claim.said, claim.measured, claim.verdict or " " * 5) for claim in claims]
    widths = [max(len(row[i]) for row in table) for i in range(4)]
    title = title.rstrip(".")
    lines = [title, "=" * len(title)]
    for row, claim in zip(table, (None, *claims)):
        note = claim.note if claim is not None else ""
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        lines.append("  ".join([*cells, note if len(note) <= SHORT else ""]).rstrip())
        if len(note) > SHORT:
            lines += _wrapped(note)
    return "\n".join(lines)


def _wrapped(text, width=110, indent="      "):
    lines = [indent]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append(indent)
        lines[-1] += word + " "
    return [line.rstrip() for line in lines]


def as_markdown(groups):
    """All groups as a document."""
    lines = ["# The lecture's figures, beside what is measured", ""]
    lines.append(
        "Made by `python -m models figures --markdown`. What is measured is counted on the networks of `models/` as "
        "they run, by `minigrad.summary`."
    )
    for title, claims in groups.values():
        lines += ["", f"## {title.rstrip('.')}", "", "| | said | measured | |", "| --- | --- | --- | --- |"]
        for claim in claims:
            verdict = f"**{claim.verdict}**" if claim.holds is False else claim.verdict
            remark = "; ".join(part for part in (verdict, claim.note) if part)
            cells = [claim.what, claim.said, claim.measured, remark]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def as_json(groups):
    """All groups as JSON."""
    return json.dumps(
        {
            name: [{**dataclasses.asdict(claim), "measured": claim.measured} for claim in claims]
            for name, (_, claims) in groups.items()
        },
        indent=1,
    )


def run(arguments):
    """The command: returns its exit code."""
    wrong = [name for name in arguments.names if name not in GROUPS]
    if wrong:
        raise CommandError(f"there are no figures of {', '.join(wrong)}; there are: {', '.join(GROUPS)}")
    if arguments.markdown and arguments.names:
        raise CommandError("--markdown writes all figures: leave out the names")
    chosen = arguments.names or list(GROUPS)
    groups = {name: (GROUPS[name].__doc__, list(GROUPS[name]())) for name in chosen}
    if arguments.markdown:
        write_text(Path(arguments.markdown), as_markdown(groups))
        print(f"wrote {arguments.markdown}")
    elif arguments.json:
        print(as_json(groups))
    else:
        print("\n\n".join(as_text(title, claims) for title, claims in groups.values()))
    return 0
