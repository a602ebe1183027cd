"""VGG (K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014)."""
from minigrad import nn
from models.registry import register
from models.sizes import SMALL, side_after

__all__ = [
    "VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip

GRID = 7  # the classifier sees 7x7 maps

# The paper's configurations: how many 3x3 convolutions of how many filters stand before each of the five poolings.
WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = {"A": (1, 1, 2, 2, 2), "B": (2, 2, 2, 2, 2), "D": (2, 2, 3, 3, 3), "E": (2, 2, 4, 4, 4)}


def configuration(letter):
    """The paper's configuration as make_layers reads it: filters of a convolution, or "M" for max pooling.

    >>> configuration("A")
    [64, 'M', 128, 'M', 256, 256, 'M', 512, 512, 'M', 512, 512, 'M']
    """
    layers = []
    for width, depth in zip(WIDTHS, DEPTHS[letter]):
        layers += [width] * depth + ["M"]
    return layers


cfgs = {letter: configuration(letter) for letter in DEPTHS}  # under torchvision's name


def make_layers(cfg, batch_norm=False, *, in_channels=3, ceil_mode=False):
    """The convolutions and poolings of a VGG.

    Args:
        cfg: a list of filters of 3x3 convolutions, each followed by a ReLU, and "M" for 2x2 max pooling.
        batch_norm: whether each convolution is normalised.
        in_channels: channels of the images.
        ceil_mode: of the poolings: whether odd sides are rounded up, so that something is left of small images.

    >>> make_layers([64, "M"])
    Sequential(
      (0): Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (1): ReLU(inplace=True)
      (2): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    )
    """
    layers = []
    for entry in cfg:
        if entry == "M":
            layers.append(nn.MaxPool2d(2, stride=2, ceil_mode=ceil_mode))
            continue
        layers.append(nn.Conv2d(in_channels, entry, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(entry))
        layers.append(nn.ReLU(inplace=True))
        in_channels = entry
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """A stack of 3x3 convolutions and 2x2 poolings, average pooling to 7x7, and three linear layers.

    ::

        (N, 3, 224, 224)  features (N, 512, 7, 7)  linear 4096, 4096, num_classes

    For images up to 64 pixels, which the five poolings leave 1x1 or 2x2, the classifier takes the maps as they come and
    its hidden layers have 512 values: of VGG-16's 138 million parameters 15 million remain. The first layer suits small
    images as it is; what the builders change for them is that poolings round odd sides up, so that MNIST's 28 pixels
    last for all five. The keys of the state_dict are the same in both cases.

    Args:
        features: the convolutions, from make_layers.
        num_classes: number of outputs.
        init_weights: whether to draw the weights as torchvision does: convolutions normal by their fan-out, linear
            layers normal with standard deviation 0.01, biases 0; otherwise as nn.Conv2d and nn.Linear draw theirs.
        dropout: probability with which the outputs of the two hidden linear layers are zeroed in training.
        image_size: side of the images in pixels.
        hidden: width of the two hidden linear layers; None for 4096, or 512 for images up to 64 pixels.

    Raises:
        ValueError: if features leave nothing of such images.

    Source: https://docs.pytorch.org/vision/stable/models/vgg.html

    >>> import minigrad as mg
    >>> model = VGG(make_layers([16, "M", 32, "M"]), num_classes=10, image_size=32)
    >>> tuple(model(mg.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(self, features, num_classes=1000, init_weights=True, dropout=0.5, *, image_size=224, hidden=None):
        super().__init__()
        convolutions = [layer for layer in features if isinstance(layer, nn.Conv2d)]
        if not convolutions:
            raise ValueError("VGG: features must hold a convolution")
        side = side_after(features, image_size)
        if side < 1:
            raise ValueError(f"VGG: nothing is left of images of {image_size} pixels after the poolings")
        small = image_size <= SMALL
        grid = min(GRID, side) if small else GRID
        hidden = (512 if small else 4096) if hidden is None else hidden
        self.in_channels = convolutions[0].in_channels
        self.image_size = image_size
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((grid, grid))
        self.classifier = nn.Sequential(
            nn.Linear(convolutions[-1].out_channels * grid * grid, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )
        if init_weights:
            self._draw()

    def _draw(self):
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.features(x)  # (N, 512, G', G')
        x = self.avgpool(x)  # (N, 512, G, G)
        return self.classifier(x.flatten(1))


def _vgg(letter, batch_norm, num_classes, in_channels, image_size, **kw):
    small = image_size <= SMALL
    features = make_layers(configuration(letter), batch_norm, in_channels=in_channels, ceil_mode=small)
    return VGG(features, num_classes, image_size=image_size, **kw)


@register
def vgg11(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """VGG-11, the paper's configuration A: 132,863,336 parameters; the arguments are those of VGG."""
    return _vgg("A", False, num_classes, in_channels, image_size, **kw)


@register
def vgg11_bn(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """VGG-11 with batch normalization: 132,868,840 parameters; the arguments are those of VGG."""
    return _vgg("A", True, num_classes, in_channels, image_size, **kw)


@register
def vgg13(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """VGG-13, the paper's configuration B: 133,047,848 parameters; the arguments are those of VGG."""
    return _vgg("B", False, num_classes, in_channels, image_size, **kw)


@register
def vgg13_bn(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """VGG-13 with batch normalization: 133,053,736 parameters; the arguments are those of VGG."""
    return _vgg("B", True, num_classes, in_channels, image_size, **kw)


@register
def vgg16(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """VGG-16, the paper's configuration D: 138,357,544 parameters; the arguments are those of VGG."""
    return _vgg("D", False, num_classes, in_channels, image_size, **kw)


@register
def vgg16_bn(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """VGG-16 with batch normalization: 138,365,992 parameters; the arguments are those of VGG."""
    return _vgg("D", True, num_classes, in_channels, image_size, **kw)


@register
def vgg19(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """VGG-19, the paper's configuration E: 143,667,240 parameters; the arguments are those of VGG."""
    return _vgg("E", False, num_classes, in_channels, image_size, **kw)


@register
def vgg19_bn(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """VGG-19 with batch normalization: 143,678,248 parameters; the arguments are those of VGG."""
    return _vgg("E", True, num_classes, in_channels, image_size, **kw)
