"""ResNets: torchvision's keys and shapes, published counts, other image sizes, stochastic depth, learning."""
import re

import pytest

import minigrad as mg
import models
from minigrad import nn, optim
from minigrad.vision.ops import StochasticDepth
from models.preact_resnet import PreActBasicBlock, PreActBottleneck, PreActResNet
from models.resnet import BasicBlock, Bottleneck, ResNet

BASIC = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
WIDTHS = (64, 128, 256, 512)


def shapes(model):
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def norm(name, channels):
    """The five entries of a batch normalisation."""
    of = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**of, f"{name}.num_batches_tracked": ()}


def convolutions(block_kind, planes, inplanes, width, groups):
    """(out, in/groups, k, k) of the convolutions of a block."""
    if block_kind == "basic":
        return [(planes, inplanes, 3, 3), (planes, planes, 3, 3)]
    return [(width, inplanes, 1, 1), (width, width // groups, 3, 3), (4 * planes, width, 1, 1)]


def torchvision_entries(block_kind, layers, classes=1000, groups=1, base_width=64, in_channels=3):
    """The state_dict of torchvision's ResNet, spelled out: names and shapes."""
    expansion = 1 if block_kind == "basic" else 4
    entries = {"conv1.weight": (64, in_channels, 7, 7), **norm("bn1", 64)}
    inplanes = 64
    for stage, (planes, blocks) in enumerate(zip(WIDTHS, layers), start=1):
        width = planes * base_width // 64 * groups
        for block in range(blocks):
            prefix = f"layer{stage}.{block}"
            for number, shape in enumerate(convolutions(block_kind, planes, inplanes, width, groups), start=1):
                entries[f"{prefix}.conv{number}.weight"] = shape
                entries |= norm(f"{prefix}.bn{number}", shape[0])
            if block == 0 and (stage > 1 or expansion > 1):
                entries[f"{prefix}.downsample.0.weight"] = (planes * expansion, inplanes, 1, 1)
                entries |= norm(f"{prefix}.downsample.1", planes * expansion)
            inplanes = planes * expansion
    return {**entries, "fc.weight": (classes, inplanes), "fc.bias": (classes,)}


def preact_entries(block_kind, layers, classes=1000):
    """The state_dict of a pre-activation ResNet: norms stand before convolutions, the first block has none in front."""
    expansion = 1 if block_kind == "basic" else 4
    entries = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    inplanes = 64
    for stage, (planes, blocks) in enumerate(zip(WIDTHS, layers), start=1):
        for block in range(blocks):
            prefix = f"layer{stage}.{block}"
            for number, shape in enumerate(convolutions(block_kind, planes, inplanes, planes, 1), start=1):
                entries[f"{prefix}.conv{number}.weight"] = shape
                if (stage, block, number) != (1, 0, 1):
                    entries |= norm(f"{prefix}.bn{number}", shape[1])
            if block == 0 and (stage > 1 or expansion > 1):
                entries[f"{prefix}.downsample.weight"] = (planes * expansion, inplanes, 1, 1)
            inplanes = planes * expansion
    return {**entries, **norm("bn_last", inplanes), "fc.weight": (classes, inplanes), "fc.bias": (classes,)}


PUBLISHED = {
    "resnet18": (11_689_512, torchvision_entries("basic", BASIC[18])),
    "resnet34": (21_797_672, torchvision_entries("basic", BASIC[34])),
    "resnet50": (25_557_032, torchvision_entries("bottleneck", BOTTLENECK[50])),
    "resnet101": (44_549_160, torchvision_entries("bottleneck", BOTTLENECK[101])),
    "resnet152": (60_192_808, torchvision_entries("bottleneck", BOTTLENECK[152])),
    "resnext50_32x4d": (25_028_904, torchvision_entries("bottleneck", BOTTLENECK[50], groups=32, base_width=4)),
    "resnext101_32x8d": (88_791_336, torchvision_entries("bottleneck", BOTTLENECK[101], groups=32, base_width=8)),
    "resnext101_64x4d": (83_455_272, torchvision_entries("bottleneck", BOTTLENECK[101], groups=64, base_width=4)),
    "wide_resnet50_2": (68_883_240, torchvision_entries("bottleneck", BOTTLENECK[50], base_width=128)),
    "wide_resnet101_2": (126_886_696, torchvision_entries("bottleneck", BOTTLENECK[101], base_width=128)),
    # Not torchvision's; derived from the counts of the same depth above by what pre-activation changes (see below).
    "preact_resnet18": (11_687_720, preact_entries("basic", BASIC[18])),
    "preact_resnet34": (21_795_880, preact_entries("basic", BASIC[34])),
    "preact_resnet50": (25_549_352, preact_entries("bottleneck", BOTTLENECK[50])),
    "preact_resnet101": (44_541_480, preact_entries("bottleneck", BOTTLENECK[101])),
    "preact_resnet152": (60_185_128, preact_entries("bottleneck", BOTTLENECK[152])),
    "preact_resnet200": (64_666_152, preact_entries("bottleneck", BOTTLENECK[200])),
}


# ---------------------------------------------------------------- what is published
@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_shapes_and_counts(name, undrawn):
    parameters, entries = PUBLISHED[name]
    model = models.build(name)
    assert count(model) == parameters
    assert shapes(model) == entries
    assert (model.in_channels, model.image_size) == (3, 224)


# Billions of multiply-adds for an image of 224x224, as torchvision publishes them.
MULTIPLY_ADDS = {
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "resnet101": 7.801,
    "resnet152": 11.514,
    "resnext50_32x4d": 4.230,
    "resnext101_32x8d": 16.414,
    "resnext101_64x4d": 15.460,
    "wide_resnet50_2": 11.398,
    "wide_resnet101_2": 22.753,
    # as many as without pre-activation; 200 has none published
    "preact_resnet50": 4.089,
    "preact_resnet152": 11.514,
    "preact_resnet200": 15.007,
}


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_multiply_adds(name, undrawn):
    """Counted on 32x32 pixels: the maps are 16, 8, 4, 2, 1 wide there, a seventh of 112, 56, 28, 14, 7."""
    model = models.build(name)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    classifier = model.fc.weight.numel()
    total = 49 * (mg.summary(model, (1, 3, 32, 32)).multiply_adds - classifier) + classifier
    assert round(total / 1e9, 3) == MULTIPLY_ADDS[name]


def test_the_order_of_the_entries_is_torchvisions(undrawn):
    """Optimizer states name parameters by their position."""
    for name in ("resnet18", "resnet50"):
        assert list(models.build(name).state_dict()) == list(PUBLISHED[name][1])


@pytest.mark.parametrize("depth, kind", [(18, "basic"), (34, "basic"), (50, "bottleneck"), (152, "bottleneck")])
def test_what_preactivation_changes(depth, kind):
    """The norms of the shortcuts go, and within a block each norm has its convolution's input channels, not output's.

    That leaves the number of norms of a stage's blocks equal but for their widths; the sum telescopes.
    """
    expansion = 1 if kind == "basic" else 4
    shortcuts = [width * expansion for width in (WIDTHS[1:] if kind == "basic" else WIDTHS)]
    # The norm behind each block's last convolution moves in front of the next block; the last one becomes bn_last.
    difference = 2 * sum(shortcuts)
    assert PUBLISHED[f"resnet{depth}"][0] - PUBLISHED[f"preact_resnet{depth}"][0] == difference


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_name_counts_the_layers(name, undrawn):
    """Convolutions and the linear layer, those on the shortcuts not counted."""
    model = models.build(name)
    layers = [
        layer
        for layer, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear)) and "downsample" not in layer
    ]
    assert len(layers) == int(re.search(r"\d+", name).group())


def test_the_stride_is_at_the_3x3_convolution(undrawn):
    for name in ("resnet50", "preact_resnet50"):
        block = models.build(name).layer2[0]
        assert [conv.stride for conv in (block.conv1, block.conv2, block.conv3)] == [(1, 1), (2, 2), (1, 1)]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "preact_resnet18", "preact_resnet50"])
def test_sizes_inside(name, undrawn):
    """Of 224x224 pixels: 112, 56, then halved by every stage but the first."""
    model = models.build(name, num_classes=5).eval()
    seen = {}
    for part in ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"):
        getattr(model, part).register_forward_hook(lambda _, __, out, part=part: seen.update({part: tuple(out.shape)}))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    with mg.no_grad():
        assert model(mg.zeros(1, 3, 224, 224)).shape == (1, 5)
    expansion = 4 if "50" in name else 1
    sides = {"layer1": 56, "layer2": 28, "layer3": 14, "layer4": 7, "avgpool": 1}
    channels = dict(zip(sides, (64 * expansion, 128 * expansion, 256 * expansion, 512 * expansion, 512 * expansion)))
    wanted = {part: (1, channels[part], side, side) for part, side in sides.items()}
    assert seen == {"conv1": (1, 64, 112, 112), "maxpool": (1, 64, 56, 56), **wanted}


# ---------------------------------------------------------------- arguments
def tiny(family, **kw):
    """A network of four narrow stages of one block is as deep as needed here."""
    kw = {"num_classes": 4, "image_size": 32, **kw}
    if family == "basic":
        return ResNet(BasicBlock, [1, 1, 1, 1], **kw)
    if family == "bottleneck":
        return ResNet(Bottleneck, [1, 1, 1, 1], **kw)
    return PreActResNet(PreActBasicBlock if family == "preact" else PreActBottleneck, [1, 1, 1, 1], **kw)


FAMILIES = ["basic", "bottleneck", "preact", "preact bottleneck"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size, first", [(1, 3), (28, 3), (64, 3), (65, 7), (97, 7)])
def test_images_of_any_size(family, size, first, undrawn):
    model = tiny(family, in_channels=2, image_size=size).eval()
    assert (model.in_channels, model.image_size) == (2, size)
    assert model.conv1.kernel_size == (first, first)
    assert isinstance(model.maxpool, nn.Identity) == (first == 3)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    with mg.no_grad():
        assert model(mg.zeros(2, 2, size, size)).shape == (2, 4)
        assert model(mg.zeros(1, 2, 40, 33)).shape == (1, 4)  # another size than it was made for, not square


def test_a_small_image_keeps_its_size_in_the_first_stage(undrawn):
    model = models.resnet18(10, image_size=32)
    assert model.layer1(model.maxpool(model.conv1(mg.zeros(1, 3, 32, 32)))).shape == (1, 64, 32, 32)
    assert count(model) == 11_173_962


def test_initialisation_is_torchvisions():
    model = tiny("bottleneck")
    weight = model.layer4[0].conv2.weight.detach()  # (512, 512, 3, 3): fan out 512·9
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)
    assert weight.mean().abs().item() < 1e-4
    assert model.layer4[0].bn3.weight.tolist() == [1.0] * 2048
    zeroed = tiny("bottleneck", zero_init_residual=True)
    assert zeroed.layer4[0].bn3.weight.tolist() == [0.0] * 2048
    assert zeroed.layer4[0].bn2.weight.tolist() == [1.0] * 512
    basic = tiny("basic", zero_init_residual=True)
    assert basic.layer1[0].bn2.weight.tolist() == [0.0] * 64 and basic.layer1[0].bn1.weight.tolist() == [1.0] * 64
    x = mg.rand(1, 64, 4, 4)
    assert mg.equal(basic.layer1[0](x), x)  # a block that starts as the identity


def test_dilation_keeps_the_size(undrawn):
    model = ResNet(Bottleneck, [1, 2, 2, 2], 4, image_size=32, replace_stride_with_dilation=[False, True, True])
    sizes = []
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        stage.register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    with mg.no_grad():
        model.eval()(mg.zeros(1, 3, 32, 32))
    assert sizes == [32, 16, 16, 16]
    dilations = [block.conv2.dilation[0] for stage in (model.layer3, model.layer4) for block in stage]
    assert dilations == [1, 2, 2, 4]  # the first block of a stage still has the dilation before it


def test_another_normalisation():
    model = tiny("bottleneck", norm_layer=lambda channels: nn.GroupNorm(8, channels))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert not any("running_mean" in name for name in model.state_dict())
    assert isinstance(model.layer2[0].downsample[1], nn.GroupNorm)
    preact = tiny("preact", norm_layer=lambda channels: nn.GroupNorm(8, channels))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in preact.modules())


def test_a_block_of_the_users(undrawn):
    """torchvision's arguments suffice, as long as no stochastic depth is asked of it."""

    class Block(nn.Module):
        expansion = 2

        def __init__(
            self,
            inplanes,
            planes,
            stride=1,
            downsample=None,
            groups=1,
            base_width=64,
            dilation=1,
            norm_layer=None,
        ):
            super().__init__()
            self.conv = nn.Conv2d(inplanes, 2 * planes, 1, stride)

        def forward(self, x):
            return self.conv(x)

    model = ResNet(Block, [1, 1, 1, 1], 4, image_size=32)
    assert model(mg.zeros(2, 3, 16, 16)).shape == (2, 4)
    with pytest.raises(TypeError, match="stochastic_depth"):
        ResNet(Block, [1, 1, 1, 1], 4, image_size=32, stochastic_depth_prob=0.1)


@pytest.mark.parametrize(
    "build, error, message",
    [
        (lambda: BasicBlock(8, 8, groups=2), ValueError, "BasicBlock only supports groups=1 and base_width=64"),
        (lambda: BasicBlock(8, 8, base_width=4), ValueError, "BasicBlock only supports groups=1 and base_width=64"),
        (lambda: BasicBlock(8, 8, dilation=2), NotImplementedError, "Dilation > 1 not supported in BasicBlock"),
        (
            lambda: tiny("basic", replace_stride_with_dilation=[True]),
            ValueError,
            r"replace_stride_with_dilation should be None or a 3-element tuple, got \[True\]",
        ),
        (
            lambda: models.resnet18(stochastic_depth_prob=1.5),
            ValueError,
            "ResNet: stochastic_depth_prob must be between 0 and 1, but got 1.5",
        ),
        (
            lambda: models.preact_resnet18(stochastic_depth_prob=-1),
            ValueError,
            "PreActResNet: stochastic_depth_prob must be between 0 and 1, but got -1",
        ),
        (
            lambda: models.resnet18(stochastic_depth_mode="column"),
            ValueError,
            "ResNet: stochastic_depth_mode must be 'batch' or 'row', but got 'column'",
        ),
        (lambda: models.resnet18(depth=3), TypeError, "depth"),
    ],
)
def test_errors(build, error, message, undrawn):
    with pytest.raises(error, match=message):
        build()


# ---------------------------------------------------------------- stochastic depth
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "preact_resnet34"])
def test_the_drop_probability_grows_linearly(name, undrawn):
    model = models.build(name, stochastic_depth_prob=0.5, stochastic_depth_mode="row")
    layers = [module for module in model.modules() if isinstance(module, StochasticDepth)]
    blocks = sum(len(getattr(model, f"layer{stage}")) for stage in range(1, 5))
    assert [layer.p for layer in layers] == pytest.approx([0.5 * (l + 1) / blocks for l in range(blocks)])
    assert {layer.mode for layer in layers} == {"row"}
    plain = models.build(name)
    assert not any(isinstance(module, StochasticDepth) for module in plain.modules())
    assert list(plain.state_dict()) == list(model.state_dict())


def block(family, p, mode):
    """A block whose shortcut is the identity, and positive images for it."""
    depth = StochasticDepth(p, mode)
    made = {
        "basic": lambda: BasicBlock(8, 8, stochastic_depth=depth),
        "bottleneck": lambda: Bottleneck(32, 8, stochastic_depth=depth),
        "preact": lambda: PreActBasicBlock(8, 8, stochastic_depth=depth),
        "preact bottleneck": lambda: PreActBottleneck(32, 8, stochastic_depth=depth),
    }[family]()
    return made, mg.rand(6, made.conv1.in_channels, 5, 5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", ["batch", "row"])
def test_a_dropped_block_is_its_shortcut(family, mode):
    model, x = block(family, 1.0, mode)
    before = x.clone()
    assert mg.equal(model(x), x)
    assert mg.equal(x, before)
    assert not mg.equal(model.eval()(x), x)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_dropped_for_the_batch_is_not_computed(family):
    """That is what makes training faster, and why such a step leaves the block's parameters and statistics alone."""
    model, x = block(family, 1.0, "batch")
    x.requires_grad_()
    model(x).sum().backward()
    assert mg.equal(x.grad, mg.ones_like(x))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.bn2.num_batches_tracked.item() == 0
    model, x = block(family, 1.0, "row")
    model(x).sum().backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in model.parameters())


def test_the_callers_input_is_left_alone():
    """A dropped block ends in a ReLU in place: of a copy."""
    model, _ = block("basic", 1.0, "batch")
    x = mg.randn(2, 8, 5, 5)
    before = x.clone()
    assert mg.equal(model(x), before.clamp(min=0))
    assert mg.equal(x, before)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", ["batch", "row"])
def test_survivors_are_scaled_so_that_the_mean_is_the_test_output(family, mode):
    model, x = block(family, 0.4, mode)
    # Positive weights and biases: ReLU hides nothing of what the branch adds.
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # fixed statistics: training differs from testing by stochastic depth alone
            nn.init.uniform_(module.bias, 5, 6)
    for parameter in (model.conv1.weight, model.conv2.weight):
        nn.init.uniform_(parameter, 0, 0.1)
    if "bottleneck" in family:
        nn.init.uniform_(model.conv3.weight, 0, 0.1)
    with mg.no_grad():
        outputs = [model(x) - x for _ in range(60)]
        depth, model.stochastic_depth = model.stochastic_depth, None
        branch = model(x) - x
        model.stochastic_depth = depth
        assert mg.allclose(model.eval()(x) - x, branch)
    scales = [{round(value, 2) for value in (output / branch)[:, 0, 0, 0].tolist()} for output in outputs]
    assert set.union(*scales) == {0.0, 1.67}  # 1 / 0.6
    assert any(len(of_a_batch) == 2 for of_a_batch in scales) == (mode == "row")


def test_all_blocks_are_used_at_test_time():
    model = tiny("basic", stochastic_depth_prob=1.0, stochastic_depth_mode="row")
    x = mg.randn(3, 3, 16, 16)
    model(x)
    model.eval()
    called = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    first = model(x)
    assert len(called) == 1 + 4 * 2 + 3
    assert mg.equal(model(x), first)


# ---------------------------------------------------------------- learning
@pytest.mark.parametrize("family, p", [("basic", 0.2), ("bottleneck", 0), ("preact", 0.2), ("preact bottleneck", 0)])
def test_a_batch_is_learned_by_heart(family, p):
    model = tiny(family, in_channels=1, image_size=8, stochastic_depth_prob=p)
    images, labels = mg.randn(8, 1, 8, 8), mg.arange(8) % 4
    optimizer = optim.Adam(model.parameters(), lr=0.002)
    for _ in range(15):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    assert model(images).argmax(1).tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("builder", "setting"),
    [(models.wide_resnet50_2, {"width_per_group": 64}), (models.resnext50_32x4d, {"groups": 2})],
)
def test_what_makes_a_variant_is_not_changed(undrawn, builder, setting):
    (name,) = setting
    with pytest.raises(ValueError, match=f"{builder.__name__}: {name} must be"):
        builder(10, **setting)
    assert builder(10, width_per_group=128 if name == "width_per_group" else 4).fc.out_features == 10
