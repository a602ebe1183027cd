"""AlexNet, ZF Net and VGG against twins written from torch.nn: the same weights give the same outputs and gradients."""
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import minigrad as mg  # noqa: E402
import models  # noqa: E402

HIDDEN = 24


class Twin(nn.Module):
    """Features, average pooling to a grid, classifier: what all of these networks are."""

    def __init__(self, features, grid, classifier):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((grid, grid))
        self.classifier = classifier

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def alexnet(first, grid, classes, hidden=HIDDEN):
    features = nn.Sequential(
        first, nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Dropout(0.0), nn.Linear(256 * grid**2, hidden), nn.ReLU(),
        nn.Dropout(0.0), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes),
    )  # fmt: skip
    return Twin(features, grid, classifier)


def lecture(first, second, widths, grid, classes, groups=1, norm_first=False, ceil_mode=False):
    """The networks whose layers have names: the twin gives its own layers the same ones."""
    third, fourth, fifth = widths
    features = nn.Sequential()
    for number, convolution in ((1, first), (2, second)):
        features.add_module(f"conv{number}", convolution)
        features.add_module(f"relu{number}", nn.ReLU())
        pool = (f"pool{number}", nn.MaxPool2d(3, 2, ceil_mode=ceil_mode))
        norm = (f"norm{number}", nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2))
        for name, layer in (norm, pool) if norm_first else (pool, norm):
            features.add_module(name, layer)
    features.add_module("conv3", nn.Conv2d(256, third, 3, padding=1))
    features.add_module("relu3", nn.ReLU())
    features.add_module("conv4", nn.Conv2d(third, fourth, 3, padding=1, groups=groups))
    features.add_module("relu4", nn.ReLU())
    features.add_module("conv5", nn.Conv2d(fourth, fifth, 3, padding=1, groups=groups))
    features.add_module("relu5", nn.ReLU())
    features.add_module("pool3", nn.MaxPool2d(3, 2, ceil_mode=ceil_mode))
    classifier = nn.Sequential()
    classifier.add_module("fc6", nn.Linear(fifth * grid**2, HIDDEN))
    classifier.add_module("relu6", nn.ReLU())
    classifier.add_module("fc7", nn.Linear(HIDDEN, HIDDEN))
    classifier.add_module("relu7", nn.ReLU())
    classifier.add_module("fc8", nn.Linear(HIDDEN, classes))
    return Twin(features, grid, classifier)


def vgg(depths, batch_norm, grid, classes, ceil_mode, in_channels=3):
    layers = []
    for width, depth in zip((64, 128, 256, 512, 512), depths):
        for _ in range(depth):
            layers.append(nn.Conv2d(in_channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers.append(nn.ReLU())
            in_channels = width
        layers.append(nn.MaxPool2d(2, 2, ceil_mode=ceil_mode))
    classifier = nn.Sequential(
        nn.Linear(512 * grid**2, HIDDEN), nn.ReLU(), nn.Dropout(0.0),
        nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(0.0), nn.Linear(HIDDEN, classes),
    )  # fmt: skip
    return Twin(nn.Sequential(*layers), grid, classifier)


# Registry name, image (N, C, H, W), image_size, and the twin of the network with 7 classes.
CASES = {
    "alexnet": ((1, 3, 224, 224), 224, lambda: alexnet(nn.Conv2d(3, 64, 11, 4, padding=2), 6, 7)),
    "alexnet small": ((2, 1, 28, 28), 28, lambda: alexnet(nn.Conv2d(1, 64, 5, padding=2), 2, 7)),
    "alexnet_lecture": (
        (1, 3, 75, 75), 75,
        lambda: lecture(nn.Conv2d(3, 96, 11, 4), nn.Conv2d(96, 256, 5, padding=2), (384, 384, 256), 6, 7),
    ),
    "alexnet_grouped": (
        (1, 3, 80, 80), 80,
        lambda: lecture(
            nn.Conv2d(3, 96, 11, 4, padding=2), nn.Conv2d(96, 256, 5, padding=2, groups=2), (384, 384, 256), 6, 7,
            groups=2, norm_first=True,
        ),
    ),
    "alexnet_lecture small": (
        (2, 1, 28, 28), 28,
        lambda: lecture(nn.Conv2d(1, 96, 5, padding=2), nn.Conv2d(96, 256, 5, padding=2), (384, 384, 256), 2, 7),
    ),
    "zfnet": (
        (1, 3, 90, 70), 96,
        lambda: lecture(
            nn.Conv2d(3, 96, 7, 2, padding=1), nn.Conv2d(96, 256, 5, 2), (512, 1024, 512), 6, 7, ceil_mode=True
        ),
    ),
    "vgg11": ((1, 3, 70, 66), 66, lambda: vgg((1, 1, 2, 2, 2), False, 7, 7, ceil_mode=False)),
    "vgg13_bn small": ((3, 1, 28, 28), 28, lambda: vgg((2, 2, 2, 2, 2), True, 1, 7, ceil_mode=True, in_channels=1)),
    "vgg16_bn": ((1, 3, 32, 32), 32, lambda: vgg((2, 2, 3, 3, 3), True, 1, 7, ceil_mode=True)),
    "vgg19": ((1, 3, 32, 32), 32, lambda: vgg((2, 2, 4, 4, 4), False, 1, 7, ceil_mode=True)),
}  # fmt: skip


def same_weights(model, twin):
    """Give the network the twin's weights, through their state_dicts."""
    model.load_state_dict({name: mg.from_numpy(value.numpy()) for name, value in twin.state_dict().items()})


def close(actual, expected, name, tolerance):
    expected = expected.numpy()
    actual = actual.numpy()
    assert actual.shape == expected.shape and actual.dtype == expected.dtype, name
    scale = np.abs(expected).max()
    assert scale > 0, f"{name} is zero: nothing was compared"
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale, err_msg=name)


def compare(model, twin, shape, tolerance):
    """Outputs, and the gradients of the image and of every parameter, of one random weighting of the outputs."""
    generator = np.random.default_rng(0)
    dtype = next(twin.parameters()).detach().numpy().dtype
    image = generator.standard_normal(shape).astype(dtype)
    ours, theirs = mg.tensor(image, requires_grad=True), torch.tensor(image, requires_grad=True)
    scores, expected = model(ours), twin(theirs)
    close(scores.detach(), expected.detach(), "scores", tolerance)
    weighting = generator.standard_normal(tuple(expected.shape)).astype(dtype)
    model.zero_grad()
    twin.zero_grad()
    (scores * mg.tensor(weighting)).sum().backward()
    (expected * torch.tensor(weighting)).sum().backward()
    close(ours.grad, theirs.grad, "image", tolerance)
    gradients = dict(model.named_parameters())
    for name, parameter in twin.named_parameters():
        if training_cancels(name, twin):
            continue
        close(gradients[name].grad, parameter.grad, name, tolerance)
    buffers = dict(model.named_buffers())
    for name, value in twin.named_buffers():
        np.testing.assert_allclose(buffers[name].numpy(), value.numpy(), rtol=tolerance, atol=tolerance, err_msg=name)


def has_batch_norm(twin):
    return any(isinstance(layer, nn.BatchNorm2d) for layer in twin.modules())


def training_cancels(name, twin):
    """Whether a gradient is zero but for rounding: that of a bias which batch normalization subtracts again."""
    if not (twin.training and has_batch_norm(twin) and name.startswith("features.") and name.endswith("bias")):
        return False
    return isinstance(twin.get_submodule(name.removesuffix(".bias")), nn.Conv2d)


def prepare(twin):
    """Weights that let the image through to the end, and statistics that give evaluation something to do."""
    for layer in twin.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0.0, 0.2)
            layer.running_mean.normal_(0.0, 0.2)
            layer.running_var.uniform_(0.5, 1.5)


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients(case):
    shape, image_size, make_twin = CASES[case]
    torch.manual_seed(0)
    twin = make_twin().double()
    with mg.nn.init.paused():
        model = models.build(
            case.split()[0], num_classes=7, in_channels=shape[1], image_size=image_size, hidden=HIDDEN, dropout=0.0
        ).double()
    prepare(twin)
    same_weights(model, twin)
    compare(model.eval(), twin.eval(), shape, 1e-9)
    if case.endswith("small"):  # the quickest of each family; but for dropout and batch norm training is the same
        compare(model.train(), twin.train(), shape, 1e-8)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "as before PyTorch 1.6"])
def test_a_file_of_weights_saved_by_pytorch(tmp_path, zipped):
    torch.manual_seed(0)
    twin = alexnet(nn.Conv2d(3, 64, 5, padding=2), 3, 7)
    path = tmp_path / "alexnet.pth"
    torch.save(twin.state_dict(), path, _use_new_zipfile_serialization=zipped)
    model = models.build("alexnet", num_classes=7, image_size=32, hidden=HIDDEN, weights=path).eval()
    image = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        close(model(mg.tensor(image)).detach(), twin.eval()(torch.tensor(image)), "scores", 1e-5)
    with pytest.raises(RuntimeError, match=r"classifier.6.weight is \(7, 24\) there and \(8, 24\) here"):
        models.alexnet(8, image_size=32, hidden=HIDDEN, weights=path)
