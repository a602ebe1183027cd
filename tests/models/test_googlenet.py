"""GoogLeNet: torchvision's keys and shapes, counts, both Inception modules, auxiliary classifiers, learning."""
import pytest

import minigrad as mg
import models
from minigrad import nn, optim
from models.googlenet import (
    MODULES,
    BasicConv2d,
    GoogLeNet,
    GoogLeNetOutputs,
    Inception,
    InceptionAux,
    NaiveInception,
    PlainConv2d,
)

# Table 1 of the paper: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; after the pooling.
TABLE = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def shapes(model):
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def conv(name, out, into, kernel):
    """The entries of torchvision's BasicConv2d."""
    batch_norm = {f"{name}.bn.{part}": (out,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {f"{name}.conv.weight": (out, into, kernel, kernel), **batch_norm, f"{name}.bn.num_batches_tracked": ()}


def torchvision_entries(aux=True, five=3, classes=1000):
    """The state_dict of torchvision's GoogLeNet, spelled out: names and shapes, in order."""
    entries = {**conv("conv1", 64, 3, 7), **conv("conv2", 64, 64, 1), **conv("conv3", 192, 64, 3)}
    into, outs = 192, {}
    for name, (ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj) in TABLE.items():
        prefix = f"inception{name}"
        entries |= conv(f"{prefix}.branch1", ch1x1, into, 1)
        entries |= conv(f"{prefix}.branch2.0", ch3x3red, into, 1)
        entries |= conv(f"{prefix}.branch2.1", ch3x3, ch3x3red, 3)
        entries |= conv(f"{prefix}.branch3.0", ch5x5red, into, 1)
        entries |= conv(f"{prefix}.branch3.1", ch5x5, ch5x5red, five)
        entries |= conv(f"{prefix}.branch4.1", pool_proj, into, 1)
        into = outs[name] = ch1x1 + ch3x3 + ch5x5 + pool_proj
    for number, source in ((1, "4a"), (2, "4d")) if aux else ():
        entries |= conv(f"aux{number}.conv", 128, outs[source], 1)
        entries |= {f"aux{number}.fc1.weight": (1024, 2048), f"aux{number}.fc1.bias": (1024,)}
        entries |= {f"aux{number}.fc2.weight": (classes, 1024), f"aux{number}.fc2.bias": (classes,)}
    return {**entries, "fc.weight": (classes, 1024), "fc.bias": (classes,)}


# ---------------------------------------------------------------- what is published
@pytest.mark.parametrize("aux, parameters", [(False, 6_624_904), (True, 13_004_888)])
def test_keys_shapes_and_counts(aux, parameters, undrawn):
    model = models.googlenet(aux_logits=aux)
    assert count(model) == parameters
    assert shapes(model) == torchvision_entries(aux)
    assert list(model.state_dict()) == list(torchvision_entries(aux))
    assert (model.in_channels, model.image_size, model.depth) == (3, 224, 22)


def test_multiply_adds(undrawn):
    """1.498 billion, as torchvision publishes; counted on 32x32 pixels, where maps are a seventh of the usual size."""
    model = models.googlenet(aux_logits=False)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    classifier = model.fc.weight.numel()
    total = 49 * (mg.summary(model, (1, 3, 32, 32)).multiply_adds - classifier) + classifier
    assert round(total / 1e9, 3) == 1.498


def test_the_constructor_is_torchvisions(undrawn):
    """By position: num_classes, aux_logits, transform_input, init_weights, blocks, dropout, dropout_aux."""
    model = GoogLeNet(7, True, True, False, [BasicConv2d, Inception, InceptionAux], 0.1, 0.6)
    assert shapes(model) == torchvision_entries(classes=7)
    assert model.transform_input and (model.dropout.p, model.aux1.dropout.p, model.aux2.dropout.p) == (0.1, 0.6, 0.6)
    model = GoogLeNet()
    assert (model.fc.out_features, model.dropout.p, model.aux1.dropout.p) == (1000, 0.2, 0.7)
    assert {module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {0.001}
    assert not model.transform_input and model.aux_logits
    assert GoogLeNet(aux_logits=False).aux1 is None


def test_the_papers_network(undrawn):
    """Convolutions with biases; neither 5 million parameters nor 12 times fewer than AlexNet."""
    assert count(models.googlenet(aux_logits=False, five_by_five=True)) == 7_005_832
    paper = models.googlenet(aux_logits=False, five_by_five=True, batch_norm=False)
    assert count(paper) == 6_998_552
    assert count(models.googlenet(five_by_five=True, batch_norm=False)) == 13_378_280
    assert not any(isinstance(module, nn.BatchNorm2d) for module in paper.modules())
    assert isinstance(paper.norm1, nn.LocalResponseNorm) and isinstance(paper.norm2, nn.LocalResponseNorm)
    assert paper.maxpool4.kernel_size == 3 and models.googlenet().maxpool4.kernel_size == 2
    weights = {name: shape for name, shape in shapes(paper).items() if name.endswith("weight")}
    wanted = torchvision_entries(False, five=5)
    assert weights == {name: shape for name, shape in wanted.items() if name.endswith(("conv.weight", "fc.weight"))}
    # Table 1 of the paper, in units of 1024 weights: its rows are not exact (4c is off by 7 %), its sum nearly is.
    table = {"3a": 159, "3b": 380, "4a": 364, "4b": 437, "4c": 463, "4d": 580, "4e": 840, "5a": 1072, "5b": 1388}
    for name, rounded in table.items():
        module = getattr(paper, f"inception{name}")
        kernels = sum(value.numel() for key, value in module.named_parameters() if key.endswith("weight"))
        assert kernels / 1024 == pytest.approx(rounded, rel=0.075), name
    weights = sum(value.numel() for key, value in paper.named_parameters() if key.endswith("weight"))
    assert weights / 1024 == pytest.approx(2.7 + 112 + sum(table.values()) + 1000, rel=0.005)
    fewer = count(models.build("alexnet")) / count(models.googlenet(aux_logits=False))
    assert fewer == pytest.approx(9.2, abs=0.05)  # the paper says 12


def test_22_layers_can_be_counted(undrawn):
    """Following the 5x5 branches: every convolution on the way, and the linear layer."""
    model = models.googlenet(10, aux_logits=False, image_size=32).eval()
    path = [
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear)) and "branch" not in name or "branch3" in name and "conv" in name
    ]
    assert len(path) == model.depth == 22
    assert models.googlenet(inception="naive", aux_logits=False).depth == 13


def test_sizes_inside(undrawn):
    model = models.googlenet(aux_logits=False).eval()
    seen = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: tuple(out.shape[1:])}))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    with mg.no_grad():
        model(mg.zeros(1, 3, 224, 224))
    assert seen["conv1"] == (64, 112, 112) and seen["maxpool1"] == (64, 56, 56) and seen["conv3"] == (192, 56, 56)
    assert seen["maxpool2"] == (192, 28, 28) and seen["inception3a"] == (256, 28, 28)
    assert seen["inception3b"] == (480, 28, 28) and seen["maxpool3"] == (480, 14, 14)
    depths = {"4a": 512, "4b": 512, "4c": 512, "4d": 528, "4e": 832}
    assert {name: seen[f"inception{name}"] for name in depths} == {name: (c, 14, 14) for name, c in depths.items()}
    assert seen["maxpool4"] == (832, 7, 7) and seen["inception5b"] == (1024, 7, 7) and seen["fc"] == (1000,)


# ---------------------------------------------------------------- the modules
def operations(module, side):
    """Multiplications of the convolutions of a module on side x side maps."""
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    return sum(part.weight.numel() * side * side for part in convolutions)


def test_the_bottleneck_saves_operations(undrawn):
    """The slide's example: 28x28x256 into 128 1x1, 192 3x3 and 96 5x5 filters, with reductions to 64.

    The slide has 854 against 358 million, "about 60 %". Its rows add up to 271 million, 68 % fewer; 358 are had by
    counting the 3x3 convolution twice.
    """
    naive = NaiveInception(256, 128, 192, 96)
    narrowed = Inception(256, 128, 64, 192, 64, 96, 64, five_by_five=True)
    assert (naive.out_channels, narrowed.out_channels) == (672, 480)
    assert operations(naive, 28) == 854_196_224
    assert operations(narrowed, 28) == 271_351_808
    assert operations(narrowed, 28) + operations(narrowed.branch2[1], 28) == 358_055_936
    with mg.no_grad():
        assert naive.eval()(mg.zeros(1, 256, 28, 28)).shape == (1, 672, 28, 28)
        assert narrowed.eval()(mg.zeros(1, 256, 28, 28)).shape == (1, 480, 28, 28)
    assert (naive.depth, narrowed.depth) == (1, 2)


@pytest.mark.parametrize("five_by_five, kernel", [(True, (5, 5)), (False, (3, 3))])
def test_the_large_convolution_is_chosen(five_by_five, kernel, undrawn):
    assert Inception(8, 1, 1, 1, 1, 1, 1, five_by_five=five_by_five).branch3[1].conv.kernel_size == kernel
    assert NaiveInception(8, 1, 1, 1, five_by_five=five_by_five).branch3.conv.kernel_size == kernel
    for inception in ("naive", "bottleneck"):
        module = GoogLeNet(inception=inception, five_by_five=five_by_five).inception5b.branch3
        assert [part.kernel_size for part in module.modules() if isinstance(part, nn.Conv2d)][-1] == kernel


def test_what_is_chosen_by_default(undrawn):
    assert Inception(8, 1, 1, 1, 1, 1, 1).branch3[1].conv.kernel_size == (3, 3)  # as the published weights
    assert NaiveInception(8, 1, 1, 1).branch3.conv.kernel_size == (5, 5)  # as the lecture's slide
    assert GoogLeNet().inception3a.branch3[1].conv.kernel_size == (3, 3)
    assert GoogLeNet(inception="naive").inception3a.branch3.conv.kernel_size == (5, 5)


def test_the_pooling_passes_the_depth_on(undrawn):
    module = NaiveInception(3, 2, 2, 2).eval()
    x = mg.randn(1, 3, 6, 6)
    assert mg.equal(module(x)[:, 6:], nn.functional.max_pool2d(x, 3, stride=1, padding=1))
    naive = models.googlenet(inception="naive")
    assert [getattr(naive, name).out_channels for name in MODULES] == [
        416, 832, 1280, 1728, 2176, 2640, 3344, 4048, 4944
    ]  # fmt: skip
    assert naive.fc.in_features == 4944
    assert naive.aux1.conv.conv.in_channels == 1280 and naive.aux2.conv.conv.in_channels == 2640


@pytest.mark.parametrize("conv_block", [BasicConv2d, PlainConv2d])
def test_modules_take_any_convolution(conv_block, undrawn):
    for module in (Inception(4, 1, 2, 3, 4, 5, 6, conv_block), NaiveInception(4, 1, 3, 5, conv_block)):
        blocks = [part for part in module.modules() if isinstance(part, (BasicConv2d, PlainConv2d))]
        assert {type(part) for part in blocks} == {conv_block}
        assert module(mg.randn(2, 4, 3, 3)).shape == (2, module.out_channels, 3, 3)


# ---------------------------------------------------------------- auxiliary classifiers
def test_training_gives_three_results():
    model = models.googlenet(5, image_size=32)
    images = mg.randn(2, 3, 32, 32)
    result = model(images)
    assert type(result) is GoogLeNetOutputs and result._fields == ("logits", "aux_logits2", "aux_logits1")
    assert [tuple(part.shape) for part in result] == [(2, 5)] * 3
    (result.logits.sum() + 0.3 * result.aux_logits1.sum() + 0.3 * result.aux_logits2.sum()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.zero_grad()
    model(images).aux_logits1.sum().backward()  # the first looks at 4a, the second at 4d
    assert model.inception4a.branch1.conv.weight.grad is not None
    assert model.inception4b.branch1.conv.weight.grad is None
    model.zero_grad()
    model(images).aux_logits2.sum().backward()
    assert model.inception4d.branch1.conv.weight.grad is not None
    assert model.inception4e.branch1.conv.weight.grad is None
    assert model.eval()(images).shape == (2, 5)
    assert models.googlenet(5, image_size=32, aux_logits=False)(images).shape == (2, 5)


@pytest.mark.parametrize(
    "size, settings",
    [
        *((size, {}) for size in (8, 9, 28, 64, 65)),
        *((size, {"batch_norm": False, "five_by_five": True}) for size in (8, 28, 65)),
        (8, {"inception": "naive"}),
        (65, {"inception": "naive"}),
    ],
)
def test_images_of_any_size(size, settings, undrawn):
    model = models.googlenet(3, in_channels=1, image_size=size, **settings)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert (model.in_channels, model.image_size) == (1, size)
    assert model.conv1.conv.kernel_size == ((3, 3) if size <= 64 else (7, 7))
    assert isinstance(model.maxpool1, nn.Identity) == (size <= 64)
    with mg.no_grad():
        assert [tuple(part.shape) for part in model(mg.zeros(2, 1, size, size))] == [(2, 3)] * 3
        assert model.eval()(mg.zeros(1, 1, size + 5, size)).shape == (1, 3)


# ---------------------------------------------------------------- arguments
def test_initialisation():
    model = models.googlenet(10, image_size=32)
    for weight in (model.inception5b.branch2[1].conv.weight, model.fc.weight, model.aux1.fc1.weight):
        assert weight.std().item() == pytest.approx(0.01, rel=0.05)
    own = models.googlenet(10, image_size=32, init_weights=False)
    weight = own.inception5b.branch2[1].conv.weight  # uniform within 1 / sqrt(192·9)
    assert weight.abs().max().item() <= (1 / (192 * 9)) ** 0.5
    assert weight.std().item() == pytest.approx((1 / (3 * 192 * 9)) ** 0.5, rel=0.02)
    plain = models.googlenet(10, image_size=32, batch_norm=False)
    weight = plain.inception5b.branch2[1].conv.weight
    assert weight.std().item() == pytest.approx((2 / (192 * 9)) ** 0.5, rel=0.02)
    assert not plain.conv1.conv.bias.any()


def test_transform_input():
    """An image normalised by ImageNet's mean and deviation comes out normalised by 0.5 and 0.5."""
    model = models.googlenet(10, image_size=32, transform_input=True, aux_logits=False).eval()
    seen = []
    model.conv1.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    image = mg.rand(2, 3, 32, 32)
    mean = mg.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    deviation = mg.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    model((image - mean) / deviation)
    assert mg.allclose(seen[0], (image - 0.5) / 0.5, atol=1e-6)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"inception": "v3"}, "inception must be 'bottleneck' or 'naive', but got 'v3'"),
        ({"blocks": [BasicConv2d, Inception]}, "blocks length should be 3 instead of 2"),
        ({"blocks": [BasicConv2d, Inception, InceptionAux], "inception": "naive"}, "give either blocks or inception"),
        ({"blocks": [BasicConv2d, Inception, InceptionAux], "batch_norm": False}, "give either blocks or inception"),
        ({"blocks": [BasicConv2d, Inception, InceptionAux], "five_by_five": True}, "give either blocks or inception"),
        ({"transform_input": True, "in_channels": 1}, "transform_input needs images of 3 channels, .* is 1"),
        ({"image_size": 7}, "image_size must be at least 8, but got 7"),
    ],
)
def test_errors(settings, message, undrawn):
    with pytest.raises(ValueError, match=message):
        models.googlenet(**settings)


# ---------------------------------------------------------------- learning
@pytest.mark.parametrize(
    "steps, settings", [(8, {}), (18, {"batch_norm": False, "five_by_five": True})], ids=["batch norm", "paper"]
)
def test_a_batch_is_learned_by_heart(steps, settings):
    model = models.googlenet(4, in_channels=1, image_size=8, dropout=0.0, dropout_aux=0.0, **settings)
    images, labels = mg.randn(8, 1, 8, 8), mg.arange(8) % 4
    optimizer = optim.Adam(model.parameters(), lr=0.001)
    for _ in range(steps):
        optimizer.zero_grad()
        logits, aux2, aux1 = model(images)
        loss = sum(w * nn.functional.cross_entropy(out, labels) for w, out in ((1, logits), (0.3, aux2), (0.3, aux1)))
        loss.backward()
        optimizer.step()
    for part in model(images):
        assert part.argmax(1).tolist() == labels.tolist()


def test_modules_are_torchvisions_unless_the_paper_has_more(undrawn):
    names = [name for name, _ in GoogLeNet(10).named_children()]
    assert names[:5] == ["conv1", "maxpool1", "conv2", "conv3", "maxpool2"] and not {"norm1", "norm2"} & {*names}
    assert names[-3:] == ["avgpool", "dropout", "fc"]
    assert [name for name, _ in GoogLeNet(10, batch_norm=False).named_children()][:3] == ["conv1", "maxpool1", "norm1"]
