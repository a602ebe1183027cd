"""The networks that are measured, and what jcjohnson/cnn-benchmarks measured of them in 2016 and 2017."""
from typing import Any, NamedTuple


class Network(NamedTuple):
    """One row of the table: its title, our builder with its arguments, and the images it is meant for."""

    title: str
    builder: str
    arguments: dict[str, Any] = {}  # noqa: RUF012 - never written
    channels: int = 3
    image_size: int = 224
    classes: int = 1000


# Inception-V1 as in the paper: true 5x5 convolutions, response normalisation; the benchmark's has no auxiliary losses.
PAPER = {"aux_logits": False, "five_by_five": True, "batch_norm": False}

NETWORKS = {
    "alexnet": Network("AlexNet", "alexnet_grouped"),
    "googlenet": Network("Inception-V1", "googlenet", PAPER),
    "vgg16": Network("VGG-16", "vgg16"),
    "vgg19": Network("VGG-19", "vgg19"),
    "resnet18": Network("ResNet-18", "resnet18"),
    "resnet34": Network("ResNet-34", "resnet34"),
    "resnet50": Network("ResNet-50", "resnet50"),
    "resnet101": Network("ResNet-101", "resnet101"),
    "resnet152": Network("ResNet-152", "resnet152"),
    "resnet200": Network("ResNet-200", "preact_resnet200"),
}
SMALL_NETWORKS = {
    "lenet5": Network("LeNet-5", "lenet5", channels=1, image_size=28, classes=10),
    "mlp": Network("MLP 784-256-128-10", "mlp", channels=1, image_size=28, classes=10),
}
SMALL_BATCHES = (1, 64, 256)


def network_of(name):
    """The network called name, large or small."""
    return {**NETWORKS, **SMALL_NETWORKS}[name]


def mlp(nn, inputs, classes):
    """Three linear layers, of either framework's nn: the text is the same."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


# ---------------------------------------------------------------- the figures of 2016 and 2017
class Figures(NamedTuple):
    """Milliseconds for forward and backward on 16 images of 3 x 224 x 224: (forward, backward, total); None: no figure.

    Torch 7; the GPU is a Pascal Titan X, the CPU two Xeon E5-2630 v3 (16 cores).
    """

    cudnn: tuple[float, float, float]
    gpu_total: float | None = None
    cpu: tuple[float, float, float] | None = None


# Source: https://github.com/jcjohnson/cnn-benchmarks
FIGURES = {
    "alexnet": Figures((5.04, 9.52, 14.56)),
    "googlenet": Figures((12.06, 27.08, 39.14), 143.36),
    "vgg16": Figures((41.59, 87.03, 128.62), 358.53, (3101.76, 5393.72, 8495.48)),
    "vgg19": Figures((48.09, 99.23, 147.32), 440.08, (3609.78, 6239.45, 9849.23)),
    "resnet18": Figures((10.14, 21.40, 31.54), 96.40, (847.46, 1348.33, 2195.78)),
    "resnet34": Figures((17.01, 34.58, 51.59), 172.98, (1530.01, 2435.20, 3965.21)),
    "resnet50": Figures((35.03, 68.54, 103.58), 246.58, (2477.61, 4149.64, 6627.25)),
    "resnet101": Figures((53.38, 103.06, 156.44), 419.11, (4414.91, 6891.33, 11306.24)),
    "resnet152": Figures((75.45, 142.47, 217.91), 609.43, (6572.17, 10300.61, 16872.78)),
    "resnet200": Figures((104.74, 191.77, 296.51), 834.48, (8666.43, 13758.73, 22425.16)),
}
