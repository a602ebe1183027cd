"""AlexNet: as torchvision has it, as the lecture draws it, and with the two groups of the original.

A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012;
A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014 (torchvision's variant).
"""
from collections import OrderedDict

from minigrad import nn
from models.registry import register
from models.sizes import SMALL, side_after

__all__ = ["AlexNet", "AlexNet2012", "alexnet", "alexnet_grouped", "alexnet_lecture"]

GRID = 6  # the classifier sees 6x6 maps
ONES = ("conv2", "conv4", "conv5", "fc6", "fc7")  # the layers whose biases the paper starts at 1
NORM = {"after_pool": ("pool", "norm"), "before_pool": ("norm", "pool"), "none": ("pool",)}


def check_choice(network, argument, value, choices):
    if value not in choices:
        raise ValueError(f"{network}: {argument} must be one of {', '.join(map(str, choices))}, but got {value!r}")


def grid_of(network, features, image_size):
    """The side of the maps that the classifier sees: 6, or what an image of at most 64 pixels leaves.

    Raises:
        ValueError: if nothing is left.
    """
    side = side_after(features, image_size)
    if side < 1:
        least = next(size for size in range(image_size, 10_000) if side_after(features, size) >= 1)
        raise ValueError(f"{network}: image_size must be at least {least}, but got {image_size}")
    return min(GRID, side) if image_size <= SMALL else GRID


class AlexNet(nn.Module):
    """torchvision's AlexNet, the single tower of 2014: 64, 192, 384, 256 and 256 filters, no normalization.

    ::

        (N, 3, 224, 224)  conv 11x11/4 (64, 55, 55)  pool (64, 27, 27)   conv 5x5 (192, 27, 27)  pool (192, 13, 13)
                          conv 3x3 (384, 13, 13)     conv 3x3 (256, 13, 13)  conv 3x3 (256, 13, 13)  pool (256, 6, 6)
                          linear 4096, 4096, num_classes

    Images of other sizes are brought to 6x6 maps by average pooling before the classifier. For images up to 64 pixels
    the first convolution is 5x5 with stride 1, and the classifier takes the maps as they come: 3x3 of a 32x32 image.

    Args:
        num_classes: number of outputs.
        dropout: probability with which the inputs of the two hidden linear layers are zeroed in training.
        in_channels: channels of the images.
        image_size: side of the images in pixels, at least 15.
        hidden: width of the two hidden linear layers; None for 4096, or 1024 for images up to 64 pixels.

    Raises:
        ValueError: for images too small.

    Source: https://docs.pytorch.org/vision/stable/models/alexnet.html

    >>> import minigrad as mg
    >>> model = AlexNet(num_classes=10, image_size=32)
    >>> tuple(model(mg.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(self, num_classes=1000, dropout=0.5, *, in_channels=3, image_size=224, hidden=None):
        super().__init__()
        small = image_size <= SMALL
        self.in_channels = in_channels
        self.image_size = image_size
        first = nn.Conv2d(in_channels, 64, 5, padding=2) if small else nn.Conv2d(in_channels, 64, 11, 4, padding=2)
        self.features = nn.Sequential(
            first,
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        grid = grid_of("AlexNet", self.features, image_size)
        hidden = (1024 if small else 4096) if hidden is None else hidden
        self.avgpool = nn.AdaptiveAvgPool2d((grid, grid))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * grid * grid, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x):
        x = self.features(x)  # (N, 256, G', G')
        x = self.avgpool(x)  # (N, 256, G, G)
        return self.classifier(x.flatten(1))


class AlexNet2012(nn.Module):
    """AlexNet with local response normalization, in one tower (the lecture's) or in two groups (the original).

    ::

        (N, 3, 227, 227)  CONV1 11x11/4 (96, 55, 55)   POOL1 (96, 27, 27)   NORM1
                          CONV2 5x5 (256, 27, 27)      POOL2 (256, 13, 13)  NORM2
                          CONV3 3x3 (384, 13, 13)      CONV4 3x3 (384, 13, 13)
                          CONV5 3x3 (256, 13, 13)      POOL3 (256, 6, 6)
                          FC6 4096   FC7 4096   FC8 num_classes

    The layers bear the lecture's names: features.conv1, features.norm1, classifier.fc6, …. A ReLU follows each
    convolution and FC6 and FC7. With groups=2, CONV2, CONV4 and CONV5 see only the half of the maps that their GPU
    held. The paper's normalization b = a / (2 + 1e-4 Σ a²)^0.75 over 5 neighbouring maps sums, where LocalResponseNorm
    averages: hence its alpha of 5e-4 here.

    Images for which 11x11 with stride 4 does not come out even (the paper's 224) are padded by 2, which makes 55x55
    maps of them too; other sizes are brought to 6x6 maps by average pooling. For images up to 64 pixels CONV1 is 5x5
    with stride 1, and the classifier takes the maps as they come.

    Args:
        num_classes: number of outputs.
        dropout: probability with which the outputs of FC6 and FC7 are zeroed in training.
        in_channels: channels of the images.
        image_size: side of the images in pixels, at least 15.
        groups: 1 or 2.
        norm: "after_pool" as on the lecture's slide, "before_pool" as in the paper, or "none".
        init: "kaiming": normal by the fan-in, biases 0; or "paper": normal with standard deviation 0.01, biases 1 in
            CONV2, CONV4, CONV5, FC6 and FC7, so that their ReLUs begin with positive inputs.
        hidden: width of FC6 and FC7; None for 4096, or 1024 for images up to 64 pixels.

    Raises:
        ValueError: for images too small, unknown norm or init, or other groups.

    >>> import minigrad as mg
    >>> model = AlexNet2012(num_classes=10, image_size=32)
    >>> model.features.norm2
    LocalResponseNorm(5, alpha=0.0005, beta=0.75, k=2.0)
    """

    def __init__(
        self,
        num_classes=1000,
        dropout=0.5,
        *,
        in_channels=3,
        image_size=227,
        groups=1,
        norm="after_pool",
        init="kaiming",
        hidden=None,
    ):
        super().__init__()
        check_choice("AlexNet2012", "groups", groups, (1, 2))
        check_choice("AlexNet2012", "norm", norm, NORM)
        check_choice("AlexNet2012", "init", init, ("kaiming", "paper"))
        small = image_size <= SMALL
        self.in_channels = in_channels
        self.image_size = image_size
        if small:
            conv1 = nn.Conv2d(in_channels, 96, 5, padding=2)
        else:
            even = (image_size - 11) % 4 == 0
            conv1 = nn.Conv2d(in_channels, 96, 11, stride=4, padding=0 if even else 2)
        self.features = nn.Sequential(lecture_features(conv1, (384, 384, 256), groups=groups, norm=norm))
        grid = grid_of("AlexNet2012", self.features, image_size)
        self.avgpool = nn.AdaptiveAvgPool2d((grid, grid))
        hidden = (1024 if small else 4096) if hidden is None else hidden
        self.classifier = nn.Sequential(lecture_classifier(256 * grid * grid, hidden, num_classes, dropout))
        draw(self, init)

    def forward(self, x):
        x = self.features(x)  # (N, 256, G', G')
        x = self.avgpool(x)  # (N, 256, G, G)
        return self.classifier(x.flatten(1))


def draw(network, init):
    """Draw the weights of a network with the lecture's layer names; init as AlexNet2012 has it."""
    for name, layer in (*network.features.named_children(), *network.classifier.named_children()):
        if not isinstance(layer, (nn.Conv2d, nn.Linear)):
            continue
        if init == "kaiming":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        else:
            nn.init.normal_(layer.weight, 0.0, 0.01)
            nn.init.constant_(layer.bias, 1.0 if name in ONES else 0.0)


def lecture_features(conv1, widths, *, groups=1, norm="after_pool", conv2=None, ceil_mode=False):
    """The layers up to POOL3 under the lecture's names, as AlexNet and ZF Net share them.

    Args:
        conv1: the first convolution, of 96 filters.
        widths: the filters of CONV3, CONV4 and CONV5.
        groups: of CONV2, CONV4 and CONV5.
        norm: see AlexNet2012.
        conv2: the second convolution, of 256 filters, if it is not AlexNet's.
        ceil_mode: of the poolings: whether the last window may stand out.
    """
    width3, width4, width5 = widths
    convolutions = [
        conv1,
        conv2 or nn.Conv2d(96, 256, 5, padding=2, groups=groups),
        nn.Conv2d(256, width3, 3, padding=1),
        nn.Conv2d(width3, width4, 3, padding=1, groups=groups),
        nn.Conv2d(width4, width5, 3, padding=1, groups=groups),
    ]
    layers = OrderedDict()
    for number, convolution in enumerate(convolutions, start=1):
        layers[f"conv{number}"] = convolution
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        for kind in NORM[norm] if number <= 2 else ():
            pools = kind == "pool"
            layer = nn.MaxPool2d(3, 2, ceil_mode=ceil_mode) if pools else nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)
            layers[f"{kind}{number}"] = layer
    layers["pool3"] = nn.MaxPool2d(3, stride=2, ceil_mode=ceil_mode)
    return layers


def lecture_classifier(inputs, hidden, num_classes, dropout):
    """FC6, FC7 and FC8, with dropout on the outputs of the first two, as the paper has it."""
    return OrderedDict(
        fc6=nn.Linear(inputs, hidden),
        relu6=nn.ReLU(inplace=True),
        drop6=nn.Dropout(dropout),
        fc7=nn.Linear(hidden, hidden),
        relu7=nn.ReLU(inplace=True),
        drop7=nn.Dropout(dropout),
        fc8=nn.Linear(hidden, num_classes),
    )


@register
def alexnet(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """torchvision's AlexNet, 61,100,840 parameters; the arguments are those of AlexNet."""
    return AlexNet(num_classes, in_channels=in_channels, image_size=image_size, **kw)


@register
def alexnet_lecture(num_classes=1000, *, in_channels=3, image_size=227, **kw):
    """The lecture's AlexNet, one tower: 62,378,344 parameters; the arguments are those of AlexNet2012."""
    return AlexNet2012(num_classes, in_channels=in_channels, image_size=image_size, **kw)


@register
def alexnet_grouped(num_classes=1000, *, in_channels=3, image_size=227, groups=2, norm="before_pool", **kw):
    """The original AlexNet, in two groups: 60,965,224 parameters; the arguments are those of AlexNet2012."""
    return AlexNet2012(num_classes, in_channels=in_channels, image_size=image_size, groups=groups, norm=norm, **kw)
