"""AlexNet and ZF Net: the published shapes and counts, the lecture's table, other image sizes, and that they learn."""
import pytest

import minigrad as mg
import models
from minigrad import nn, optim


def shapes(model):
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


# Layers of the lecture's networks, and the shapes (C, H, W) of what they put out for one image of the usual size.
ALEXNET = [
    ("features.conv1", (96, 55, 55)),
    ("features.pool1", (96, 27, 27)),
    ("features.norm1", (96, 27, 27)),
    ("features.conv2", (256, 27, 27)),
    ("features.pool2", (256, 13, 13)),
    ("features.norm2", (256, 13, 13)),
    ("features.conv3", (384, 13, 13)),
    ("features.conv4", (384, 13, 13)),
    ("features.conv5", (256, 13, 13)),
    ("features.pool3", (256, 6, 6)),
    ("classifier.fc6", (4096,)),
    ("classifier.fc7", (4096,)),
    ("classifier.fc8", (1000,)),
]
ZFNET = [
    ("features.conv1", (96, 110, 110)),
    ("features.pool1", (96, 55, 55)),
    ("features.norm1", (96, 55, 55)),
    ("features.conv2", (256, 26, 26)),
    ("features.pool2", (256, 13, 13)),
    ("features.norm2", (256, 13, 13)),
    ("features.conv3", (512, 13, 13)),
    ("features.conv4", (1024, 13, 13)),
    ("features.conv5", (512, 13, 13)),
    ("features.pool3", (512, 6, 6)),
]


def outputs(model, image):
    """The shapes of what each layer puts out for one image, in the order of their calls."""
    seen = []
    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, __, output, name=name: seen.append((name, tuple(output.shape[1:]))))
    model.eval()
    with mg.no_grad():
        model(image)
    return seen


# ---------------------------------------------------------------- what is published
def test_alexnet_has_torchvisions_keys_and_shapes(undrawn):
    model = models.alexnet()
    assert isinstance(model, models.AlexNet)
    assert count(model) == 61_100_840
    assert shapes(model) == {
        "features.0.weight": (64, 3, 11, 11),
        "features.0.bias": (64,),
        "features.3.weight": (192, 64, 5, 5),
        "features.3.bias": (192,),
        "features.6.weight": (384, 192, 3, 3),
        "features.6.bias": (384,),
        "features.8.weight": (256, 384, 3, 3),
        "features.8.bias": (256,),
        "features.10.weight": (256, 256, 3, 3),
        "features.10.bias": (256,),
        "classifier.1.weight": (4096, 9216),
        "classifier.1.bias": (4096,),
        "classifier.4.weight": (4096, 4096),
        "classifier.4.bias": (4096,),
        "classifier.6.weight": (1000, 4096),
        "classifier.6.bias": (1000,),
    }
    assert [module.p for module in models.AlexNet(10, 0.25).modules() if isinstance(module, nn.Dropout)] == [0.25, 0.25]


@pytest.mark.parametrize(
    "name, parameters, per_layer",
    [
        (
            "alexnet_lecture",
            62_378_344,
            (34_944, 614_656, 885_120, 1_327_488, 884_992, 37_752_832, 16_781_312, 4_097_000),
        ),
        (
            "alexnet_grouped",
            60_965_224,
            (34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000),
        ),
        (
            "zfnet",
            107_627_624,
            (14_208, 614_656, 1_180_160, 4_719_616, 4_719_104, 75_501_568, 16_781_312, 4_097_000),
        ),
    ],
)
def test_parameters_of_the_lectures_networks(undrawn, name, parameters, per_layer):
    model = models.build(name)
    assert count(model) == parameters == sum(per_layer)
    layers = [*model.features.named_children(), *model.classifier.named_children()]
    counts = {layer: count(module) for layer, module in layers if list(module.parameters())}
    assert counts == dict(zip(("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"), per_layer))


@pytest.mark.parametrize("name, side, table", [("alexnet_lecture", 227, ALEXNET), ("zfnet", 224, ZFNET)])
def test_the_layers_put_out_what_the_slide_says(undrawn, name, side, table):
    model = models.build(name)
    assert model.image_size == side
    named = [layer for layer, _ in table]
    assert [entry for entry in outputs(model, mg.zeros(1, 3, side, side)) if entry[0] in named] == table


def test_the_original_has_groups_and_normalises_before_pooling(undrawn):
    model = models.alexnet_grouped()
    assert [layer for layer, _ in model.features.named_children()] == [
        *("conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2"),
        *("conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool3"),
    ]
    assert [model.features[index].groups for index in (0, 4, 8, 10, 12)] == [1, 2, 1, 2, 2]
    # 224 pixels, as the paper writes, make the same maps: the first layer pads them.
    found = dict(outputs(models.alexnet_grouped(image_size=224), mg.zeros(1, 3, 224, 224)))
    assert found["features.conv1"] == (96, 55, 55) and found["features.pool3"] == (256, 6, 6)


def test_normalization_is_the_papers(undrawn):
    """b = a / (2 + 1e-4 Σ a²)^0.75, the sum over five neighbouring maps (fewer at the ends)."""
    maps = 20 * mg.randn(1, 7, 2, 2, dtype=mg.float64)
    norm = models.alexnet_lecture(image_size=32).features.norm1
    for index in range(7):
        total = (maps[:, max(0, index - 2) : index + 3] ** 2).sum(1)
        assert mg.allclose(norm(maps)[:, index], maps[:, index] / (2 + 1e-4 * total) ** 0.75)
    layers = dict(models.alexnet_lecture(image_size=32, norm="none").features.named_children())
    assert "pool2" in layers and "norm1" not in layers


# ---------------------------------------------------------------- other images
NETWORKS = ("alexnet", "alexnet_lecture", "alexnet_grouped", "zfnet")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("side, channels", [(15, 1), (28, 1), (32, 3), (64, 2), (65, 3), (96, 1), (230, 3)])
def test_images_of_other_sizes(undrawn, name, side, channels):
    model = models.build(name, num_classes=7, in_channels=channels, image_size=side, hidden=16).eval()
    assert model(mg.zeros(2, channels, side, side)).shape == (2, 7)
    assert (model.image_size, model.in_channels) == (side, channels)


@pytest.mark.parametrize("name", NETWORKS)
def test_small_images_keep_their_resolution_in_the_first_layer(undrawn, name):
    model = models.build(name, num_classes=10, image_size=32)
    assert outputs(model, mg.zeros(1, 3, 32, 32))[0][1][1:] == (32, 32)
    large = models.build(name, num_classes=10, image_size=96)
    assert list(shapes(large)) == list(shapes(model))
    # A network takes any image that leaves something to pool, whatever size it was made for.
    assert large.eval()(mg.zeros(1, 3, 120, 100)).shape == (1, 10)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_a_batch_by_heart(name):
    mg.manual_seed(0)
    model = models.build(name, num_classes=4, image_size=16, hidden=256, dropout=0.0)
    images, labels = mg.randn(4, 3, 16, 16), mg.arange(4)
    optimizer = optim.Adam(model.parameters(), lr=3e-4 if name == "alexnet" else 1e-4)
    for _ in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        if loss.item() < 0.2:  # at 1.39 it knows nothing
            break
        optimizer.step()
    assert model(images).argmax(1).tolist() == labels.tolist()


# ---------------------------------------------------------------- initialisation and errors
@pytest.mark.parametrize("name", ["alexnet_lecture", "zfnet"])
def test_initialisation(name):
    mg.manual_seed(0)
    model = models.build(name, num_classes=10, image_size=32, hidden=64)
    weight = model.features.conv2.weight
    assert weight.std().item() == pytest.approx((2 / (96 * 25)) ** 0.5, rel=0.02)
    assert all(not value.any() for key, value in model.named_parameters() if key.endswith("bias"))
    model = models.build(name, num_classes=10, image_size=32, hidden=64, init="paper")
    assert model.features.conv2.weight.std().item() == pytest.approx(0.01, rel=0.02)
    layers = dict([*model.features.named_children(), *model.classifier.named_children()])
    biases = {layer: set(module.bias.tolist()) for layer, module in layers.items() if list(module.parameters())}
    assert {layer for layer, values in biases.items() if values == {1.0}} == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert {layer for layer, values in biases.items() if values == {0.0}} == {"conv1", "conv3", "fc8"}


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("alexnet", {"image_size": 14}, "AlexNet: image_size must be at least 15, but got 14"),
        ("alexnet_lecture", {"image_size": 3}, "AlexNet2012: image_size must be at least 15, but got 3"),
        ("zfnet", {"image_size": 2}, "ZFNet: image_size must be at least 8, but got 2"),
        ("alexnet_lecture", {"norm": "batch"}, "norm must be one of after_pool, before_pool, none, but got 'batch'"),
        ("zfnet", {"norm": "batch"}, "ZFNet: norm must be one of after_pool, before_pool, none, but got 'batch'"),
        ("alexnet_grouped", {"groups": 3}, "groups must be one of 1, 2, but got 3"),
        ("zfnet", {"init": "zeros"}, "init must be one of kaiming, paper, but got 'zeros'"),
    ],
)
def test_mistakes_are_named(undrawn, name, settings, message):
    with pytest.raises(ValueError, match=message):
        models.build(name, **settings)
