"""VGG: the published shapes and counts, the lecture's table, other image sizes, initialisation, and that it learns."""
import pytest

import minigrad as mg
import models
from minigrad import nn, optim
from models.vgg import make_layers

PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
}
# Where torchvision has the convolutions among the features.
CONVOLUTIONS = {
    "vgg11": (0, 3, 6, 8, 11, 13, 16, 18),
    "vgg13": (0, 2, 5, 7, 10, 12, 15, 17, 20, 22),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
    "vgg11_bn": (0, 4, 8, 11, 15, 18, 22, 25),
    "vgg13_bn": (0, 3, 7, 10, 14, 17, 21, 24, 28, 31),
    "vgg16_bn": (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40),
    "vgg19_bn": (0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49),
}
WIDTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
# The lecture's table of VGG-16: weights of each layer, biases not counted.
LECTURE = [
    *(1_728, 36_864, 73_728, 147_456, 294_912, 589_824, 589_824, 1_179_648, 2_359_296, 2_359_296),
    *(2_359_296, 2_359_296, 2_359_296, 102_760_448, 16_777_216, 4_096_000),
]


@pytest.mark.parametrize("name", PARAMETERS)
def test_keys_and_shapes_are_torchvisions(undrawn, name):
    model = models.build(name)
    assert isinstance(model, models.VGG)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]
    expected, inputs = {}, 3
    depths = WIDTHS[name.removesuffix("_bn")]
    widths = [width for width, depth in zip((64, 128, 256, 512, 512), depths) for _ in range(depth)]
    for position, width in zip(CONVOLUTIONS[name], widths, strict=True):
        expected[f"features.{position}.weight"] = (width, inputs, 3, 3)
        expected[f"features.{position}.bias"] = (width,)
        if name.endswith("_bn"):
            for key in ("weight", "bias", "running_mean", "running_var"):
                expected[f"features.{position + 1}.{key}"] = (width,)
            expected[f"features.{position + 1}.num_batches_tracked"] = ()
        inputs = width
    for position, shape in ((0, (4096, 25088)), (3, (4096, 4096)), (6, (1000, 4096))):
        expected[f"classifier.{position}.weight"] = shape
        expected[f"classifier.{position}.bias"] = shape[:1]
    found = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert found == expected and list(found) == list(expected)


def test_weights_per_layer_are_the_lectures(undrawn):
    weights = [value.numel() for name, value in models.vgg16().named_parameters() if name.endswith("weight")]
    assert weights == LECTURE


def test_features_see_what_the_slide_says(undrawn):
    """Padding keeps the side, pooling halves it: 224, 112, 56, 28, 14, 7."""
    model = models.vgg16(in_channels=1)
    sides = []
    for layer in model.features:
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(lambda _, __, output: sides.append(tuple(output.shape)))
    model.features[0] = nn.Conv2d(1, 64, 3, padding=1)
    narrow = make_layers([2, 2, "M", 3, 3, "M", 4, 4, 4, "M", 5, 5, 5, "M", 6, 6, 6, "M"], in_channels=1)
    assert [type(layer) for layer in narrow] == [type(layer) for layer in model.features]
    for layer in narrow:
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(lambda _, __, output: sides.append(output.shape[2]))
    assert narrow(mg.zeros(1, 1, 224, 224)).shape == (1, 6, 7, 7)
    assert sides == [112, 56, 28, 14, 7]


@pytest.mark.parametrize("name", ["vgg11", "vgg16_bn"])
@pytest.mark.parametrize("side, channels", [(8, 3), (28, 1), (32, 3), (64, 2), (65, 3)])
def test_images_of_other_sizes(undrawn, name, side, channels):
    model = models.build(name, num_classes=7, in_channels=channels, image_size=side, hidden=16).eval()
    assert model(mg.zeros(1, channels, side, side)).shape == (1, 7)
    assert (model.image_size, model.in_channels) == (side, channels)


def test_small_images_have_a_small_classifier(undrawn):
    small, large = models.vgg16(10, image_size=32), models.vgg16(10)
    assert list(small.state_dict()) == list(large.state_dict())
    assert small.classifier[0].weight.shape == (512, 512)
    assert models.vgg16(10, image_size=64).classifier[0].weight.shape == (512, 2048)
    # MNIST's 28 pixels: the poolings round 7 up to 4.
    assert models.vgg11(10, in_channels=1, image_size=28).features(mg.zeros(1, 1, 28, 28)).shape == (1, 512, 1, 1)


def test_initialisation_is_torchvisions():
    mg.manual_seed(0)
    features = make_layers([64, 64, "M"], batch_norm=True)
    model = models.VGG(features, 10, image_size=64, hidden=100, dropout=0.25)
    assert features[3].weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            assert layer.weight.std().item() == pytest.approx(0.01, rel=0.1)
        if isinstance(layer, nn.Dropout):
            assert layer.p == 0.25
        if isinstance(layer, nn.BatchNorm2d):
            assert bool((layer.weight == 1).all())
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.BatchNorm2d)):
            assert not layer.bias.any()
    plain = models.VGG(make_layers([64, "M"]), 10, False, image_size=64, hidden=100)
    assert plain.classifier[3].weight.abs().max().item() <= 0.1 and plain.classifier[3].bias.any()  # U(-1/√100, …)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg_learns_a_batch_by_heart(batch_norm):
    mg.manual_seed(0)
    features = make_layers([16, "M", 32, 32, "M", 64, 64, "M"], batch_norm)
    model = models.VGG(features, num_classes=4, dropout=0.0, image_size=16, hidden=32)
    images, labels = mg.randn(4, 3, 16, 16), mg.arange(4)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(80):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        if loss.item() < 0.1:  # at 1.39 it knows nothing
            break
        optimizer.step()
    assert model(images).argmax(1).tolist() == labels.tolist()


def test_mistakes_are_named(undrawn):
    with pytest.raises(ValueError, match="VGG: features must hold a convolution"):
        models.VGG(nn.Sequential(nn.ReLU()))
    with pytest.raises(ValueError, match="VGG: nothing is left of images of 3 pixels after the poolings"):
        models.VGG(make_layers([4, "M", "M"]), image_size=3)
    with pytest.raises(ValueError, match="vgg16: image_size must be at least 1, but got 0"):
        models.vgg16(image_size=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        models.vgg16(depth=3)
