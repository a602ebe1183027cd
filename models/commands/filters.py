"""python -m models filters: a network's filters, and what its layers make of an image, as pictures."""
import difflib
from pathlib import Path

import minigrad
import models
from minigrad import nn
from models import checkpoints
from models.commands import mosaic
from models.common import CommandError, number, open_device, open_folder, option, require
from models.data import image_sets
from models.data.augmentation import test_transform

HELP = "draw a network's filters, and what its layers make of an image"
EPILOG = """\
Without --layer: the filters of the first convolution and, given an image, the maps after the first three activations.
A layer that is called several times (a ReLU that a block shares) is meant by NAME:2, NAME:3 from the second call on.

  python -m models filters runs/lenet5-mnist --data mnist --index 7
  python -m models filters alexnet --weights alexnet-owt-7be5be79.pth --image cat.jpg --layer features.0
"""
ACTIVATIONS = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Hardswish,
)  # fmt: skip
FIRST = 3  # so many activations are drawn if no layer is chosen
# How images are normalised for a network whose checkpoint does not say: as torchvision's, or around gray.
USUAL = {3: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), 1: ((0.5,), (0.5,))}


def add_arguments(parser):
    parser.epilog = EPILOG
    parser.add_argument("model", nargs="?", metavar="NAME|CHECKPOINT",
        help="a checkpoint of train (or its folder), which knows its network, or a network, of: "
        f"{', '.join(models.list())}")  # fmt: skip
    add = parser.add_argument_group("network").add_argument
    add("--weights", metavar="FILE|DIR", help="of a network NAME: a checkpoint, or a state_dict as torchvision "
        "publishes it (default: random weights)")  # fmt: skip
    add("--option", type=option, action="append", default=[], metavar="NAME=VALUE",
        help="an argument of the network, e.g. activation=tanh; may be given several times")  # fmt: skip
    add("--image-size", type=number(int, 1), metavar="PIXELS", help="side of the images (default: the network's)")
    add("--device", default="cpu", metavar="cpu|cuda|cuda:N", help="default: cpu")
    add = parser.add_argument_group("image").add_argument
    add("--image", metavar="FILE", help="an image file, or:")
    add("--data", metavar="NAME|DIR", help=f"{', '.join(image_sets.SOURCES)}, or a folder: one of its test images")
    add("--root", metavar="DIR", help="where the data set's files are (default: data, then $MINIGRAD_DATA)")
    add("--index", type=number(int, 0), metavar="N", help="which test image (default: 0)")
    add = parser.add_argument_group("pictures").add_argument
    add("--layer", action="append", metavar="LAYER", help="draw this one; may be given several times")
    add("--maps", type=number(int, 1), default=64, metavar="N", help="at most so many maps of a layer (default: 64)")
    add("--out", metavar="DIR", help="where the pictures go (default: runs/filters-NAME)")


def run(arguments):
    """The command: returns its exit code."""
    require("matplotlib")
    check(arguments)
    device = open_device(arguments.device)
    model, origin, normalised = open_network(arguments)
    model = model.to(device).eval()
    image, caption = open_image(arguments, model, normalised)
    convolutions, layers = choose(arguments.layer, model, image)
    name = arguments.model
    folder = open_folder(arguments.out or f"runs/filters-{name}")
    written = []
    for layer in convolutions:
        written.append(folder / f"filters-{layer}.png")
        most = arguments.maps if arguments.layer else None  # of the first layer all are drawn
        draw_filters(module_of(model, layer), f"{name}, {layer}", origin, most, written[-1])
    if image is not None:
        for layer, (maps, source) in outputs(model, image, layers).items():
            written.append(folder / f"activations-{layer.replace(':', '-')}.png")
            title = f"{name}, {layer}: {type(module_of(model, layer)).__name__}"
            title += f" after {source}" if source not in (None, layer) else ""
            draw_maps(maps, title, origin, picture(image[0], normalised), caption, arguments.maps, written[-1])
    print("wrote " + ", ".join(str(path) for path in written))
    return 0


def check(arguments):
    """Refuse arguments that contradict each other; a checkpoint given in the place of NAME becomes the weights."""
    if arguments.model is None and arguments.weights is None:
        raise CommandError("NAME is missing: the name of a network, or a checkpoint")
    if arguments.model is not None and arguments.model not in models.list() and Path(arguments.model).exists():
        if arguments.weights is not None:
            raise CommandError(f"{arguments.model} and --weights {arguments.weights}: only one of them")
        arguments.model, arguments.weights = None, arguments.model
    if arguments.image is not None and arguments.data is not None:
        raise CommandError("--image and --data: only one of them")
    out = Path(arguments.out or "")
    if out.suffix in (".png", ".svg", ".pdf", ".jpg") and not out.exists():
        raise CommandError(f"--out {arguments.out}: a folder is meant, for there may be several pictures")
    for argument in ("root", "index"):
        if getattr(arguments, argument) is not None and arguments.data is None:
            raise CommandError(f"--{argument}: needs --data")


# ---------------------------------------------------------------- the network
def open_network(arguments):
    """The network, a line that says where its weights are from, and how its images are normalised (mean, std).

    arguments.model becomes the network's name if it was not given.
    """
    if arguments.weights is None:
        settings = dict(arguments.option)
        if arguments.data in image_sets.SOURCES:
            source = image_sets.SOURCES[arguments.data]
            settings = {"in_channels": len(source.mean), "image_size": source.image_size, **settings}
        if arguments.image_size is not None:
            settings["image_size"] = arguments.image_size
        model = build(arguments.model, settings)
        return model, "random weights: not trained", usual(arguments, model)
    if arguments.model is not None and arguments.model not in models.list():
        build(arguments.model, {})  # which says so
    named_by = f"NAME --weights {arguments.weights}"
    found = checkpoints.read(arguments.weights, arguments.model, arguments.option, arguments.image_size, named_by)
    if found.data is not None and arguments.image_size not in (None, found.data["image_size"]):
        raise CommandError(f"--image-size: {found.path} was trained on images of {found.data['image_size']} pixels")
    arguments.model = found.name
    model = found.build()
    normalised = (found.data["mean"], found.data["std"]) if found.data is not None else usual(arguments, model)
    short = Path(*found.path.parts[-2:])  # its run and its name
    return model, found.describe().replace(str(found.path), str(short), 1), normalised


def build(name, settings):
    try:
        return models.build(name, **settings)
    except (ValueError, NotImplementedError) as error:
        raise CommandError(str(error)) from error
    except TypeError as error:
        raise CommandError(f"--option: {error}") from error


def usual(arguments, model):
    """Mean and standard deviation for a network that does not say them: the image set's, or the usual ones."""
    source = image_sets.SOURCES.get(arguments.data)
    if source is not None and len(source.mean) == model.in_channels:
        return source.mean, source.std
    return USUAL.get(model.in_channels, ((0.5,) * model.in_channels, (0.5,) * model.in_channels))


# ---------------------------------------------------------------- the image
def open_image(arguments, model, normalised):
    """The chosen image as the network takes it (1, C, S, S), and a line about it; None, None if none was chosen."""
    size, device = model.image_size, next(model.parameters()).device
    if arguments.image is not None:
        image = read_image(arguments.image, model.in_channels)
        tensor = test_transform(size, *normalised, square=False)(image)
        return tensor.unsqueeze(0).to(device), Path(arguments.image).name
    if arguments.data is None:
        return None, None
    images = image_sets.load(arguments.data, arguments.root, image_size=size, mean=normalised[0], std=normalised[1])
    index = arguments.index or 0
    if index >= len(images.test):
        raise CommandError(f"--index {index}: {images.title} has {len(images.test):,} test images, from 0 on")
    with image_sets.readable():
        tensor, label = images.test[index]
    return tensor.unsqueeze(0).to(device), f"test image {index}: {images.classes[int(label)]}"


def read_image(path, channels):
    """An image file as a PIL image of 1 or 3 channels."""
    pillow = require("PIL.Image")
    mode = {1: "L", 3: "RGB"}.get(channels)
    if mode is None:
        raise CommandError(f"--image: the network takes images of {channels} channels, no file has those")
    if not Path(path).is_file():
        raise CommandError(f"--image {path}: no such file")
    try:
        with pillow.open(path) as image:
            return image.convert(mode)
    except (OSError, ValueError, SyntaxError) as error:
        raise CommandError(f"--image {path}: not a readable image ({error})") from error


def picture(image, normalised):
    """A normalised image (C, S, S) as (S, S) or (S, S, 3) in [0, 1]; of other channels, their mean."""
    mean, std = (minigrad.tensor(values).reshape(-1, 1, 1) for values in normalised)
    planes = (image.cpu() * std + mean).clamp(0, 1)
    return planes.permute(1, 2, 0) if len(planes) == 3 else planes.mean(0)


# ---------------------------------------------------------------- the layers
def module_of(model, layer):
    return model.get_submodule(layer.partition(":")[0])


def first_convolution(model):
    return next((name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)), None)


def watched(model, image, see):
    """Run an image through a network; see(name, module, output) is called for each call of each layer within."""
    calls, handles = {}, []

    def hook_of(name):
        def hook(module, _, output):
            calls[name] = calls.get(name, 0) + 1
            see(name if calls[name] == 1 else f"{name}:{calls[name]}", module, output)

        return hook

    try:
        for name, module in model.named_modules():
            if name:
                handles.append(module.register_forward_hook(hook_of(name)))
        with minigrad.no_grad():
            model(image)
    except (RuntimeError, ValueError) as error:
        raise CommandError(f"the network cannot run on an image of {tuple(image.shape[1:])}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()


def choose(wanted, model, image):
    """The convolutions whose filters are drawn, and the layers whose maps are: those wanted, or the first ones.

    Raises:
        CommandError: for a layer that is not there, or has nothing to draw.
    """
    first = first_convolution(model)
    if first is None and not wanted:
        raise CommandError("this network has no convolution: choose with --layer")
    maps = []
    if image is None:
        drawable = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
        what = "has no filters to draw; without --image or --data only convolutions have"
    else:
        called = []

        def see(name, module, output):
            if isinstance(output, minigrad.Tensor) and output.ndim == 4:
                called.append((name, module))

        watched(model, image, see)
        drawable = [name for name, _ in called]
        activations = [name for name, module in called if isinstance(module, ACTIVATIONS)]
        outermost = [name for name, _ in called if "." not in name]  # their ReLUs may be functions
        maps = wanted or (activations or outermost)[:FIRST]
        what = "puts out no maps (N, C, H, W)"
    known = {name for name, _ in model.named_modules() if name}
    for layer in wanted or ():
        if layer in drawable:
            continue
        if layer in known:
            raise CommandError(f"--layer {layer}: {type(module_of(model, layer)).__name__} {what}")
        near = difflib.get_close_matches(layer, drawable, n=1)
        listed = ", ".join(drawable[:12]) + (", …" if len(drawable) > 12 else "")
        meant = f"; did you mean {near[0]}?" if near else ""
        raise CommandError(f"--layer {layer}: no such layer; there are {listed}{meant}")
    convolutions = [layer for layer in wanted or [first] if isinstance(module_of(model, layer), nn.Conv2d)]
    return list(dict.fromkeys(convolutions)), maps


def outputs(model, image, layers):
    """What layers make of an image: their maps (C, H, W) and the last convolution's name, in the order of calls."""
    found, source = {}, None

    def see(name, module, output):
        nonlocal source
        if isinstance(module, nn.Conv2d):
            source = name
        if name in layers:
            # A copy: the next layer may work in place.
            found[name] = output[0].detach().clone().float().cpu(), source

    watched(model, image, see)
    return found


# ---------------------------------------------------------------- drawing
def draw_filters(convolution, title, origin, most, path):
    """Draw the filters of a convolution: in colour if it sees three channels, else one picture per filter and channel.

    Each filter is scaled by its largest weight; gray (or white) is zero.
    """
    weight = convolution.weight.detach().float().cpu()  # (O, C, K, K)
    filters, channels, height, width = weight.shape
    scaled = 0.5 + 0.5 * weight / weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-30)
    about = f"{filters} filters of {channels} x {height} x {width}"
    if channels in (1, 3):
        shown = scaled[:most]
        pictures = shown.permute(0, 2, 3, 1) if channels == 3 else shown[:, 0]
        columns, colours = mosaic.columns_for(len(shown)), "gray"
        how = "each scaled by its largest weight; gray is zero"
    else:
        # A table of filters and the channels that they see, the longer side from left to right.
        side = min(24, most or 24)
        shown = scaled[:side, :side]
        rows, columns = "filter", "channel it sees"
        if shown.shape[0] > shown.shape[1]:
            rows, columns = "channel", "filter"
        table = shown.transpose(0, 1) if rows == "channel" else shown
        how = f"a row for each {rows}, a column for each {columns}; scaled per filter; red is positive, blue negative"
        pictures, columns, colours = table.reshape(-1, height, width), table.shape[1], "RdBu_r"
    if len(shown) < filters or shown.shape[1] < channels:
        about += f", of which the first {len(shown)}" + (f" x {shown.shape[1]}" if channels not in (1, 3) else "")
    target = 30 if channels not in (1, 3) else 112 if len(shown) <= 8 else 84 if len(shown) <= 32 else 56
    whole = mosaic.mosaic(mosaic.enlarged(pictures, target), columns, framed=True)
    mosaic.draw([{"image": whole, "colours": colours}], title, [f"{about}; {how}", origin], path)


def draw_maps(maps, title, origin, image, caption, most, path):
    """Draw the maps (C, H, W) that a layer makes of an image beside the image, each scaled by its own largest value."""
    count, height, width = maps.shape
    signed = bool((maps < 0).any())
    largest = maps.abs().amax(dim=(1, 2), keepdim=True)
    dead = int((largest == 0).sum())
    scaled = maps / largest.clamp(min=1e-30)
    scaled = 0.5 + 0.5 * scaled if signed else scaled
    about = f"{count} maps of {height} x {width}" + (f", of which the first {most}" if count > most else "")
    how = "red is positive, blue negative" if signed else "dark is zero"
    zero = f"; {dead} of them zero everywhere" if dead else ""
    shown = scaled[:most]
    columns = mosaic.columns_for(len(shown), wide=False)
    whole = mosaic.mosaic(mosaic.enlarged(shown, 110 if len(shown) <= 8 else 84), columns, framed=signed)
    seen = mosaic.mosaic(mosaic.enlarged(image.unsqueeze(0), 224), 1, framed=True)
    panels = [
        {"image": seen, "colours": "gray", "caption": caption},
        {"image": whole, "colours": "RdBu_r" if signed else "magma"},
    ]
    mosaic.draw(panels, title, [f"{about}; each scaled by its largest value; {how}{zero}", origin], path)
