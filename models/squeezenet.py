"""SqueezeNet (Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016)."""
import minigrad
from minigrad import nn
from models.registry import variant
from models.sizes import first_stride

__all__ = ["Fire", "SqueezeNet", "squeezenet1_0", "squeezenet1_1"]

# What stands after the first convolution and its ReLU: "M" for pooling, (squeeze, expand) for a Fire module.
LAYERS = {
    "1_0": ("M", (16, 64), (16, 64), (32, 128), "M", (32, 128), (48, 192), (48, 192), (64, 256), "M", (64, 256)),
    "1_1": ("M", (16, 64), (16, 64), "M", (32, 128), (32, 128), "M", (48, 192), (48, 192), (64, 256), (64, 256)),
}
FIRST = {"1_0": (96, 7), "1_1": (64, 3)}  # filters and kernel of the first convolution


class Fire(nn.Module):
    """A 1x1 convolution that narrows, then a 1x1 and a 3x3 one side by side, each with ReLU.

    Args:
        inplanes: channels of the input.
        squeeze_planes: of the narrow part.
        expand1x1_planes, expand3x3_planes: of the two parts of the output.

    Source: Iandola et al. 2016, section 3.2; https://docs.pytorch.org/vision/stable/models/squeezenet.html

    >>> tuple(Fire(96, 16, 64, 64)(minigrad.zeros(1, 96, 5, 5)).shape)
    (1, 128, 5, 5)
    """

    def __init__(self, inplanes, squeeze_planes, expand1x1_planes, expand3x3_planes):
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.squeeze_activation(self.squeeze(x))
        pointwise = self.expand1x1_activation(self.expand1x1(x))
        spatial = self.expand3x3_activation(self.expand3x3(x))
        return minigrad.cat([pointwise, spatial], 1)  # (N, expand1x1_planes + expand3x3_planes, H, W)


class SqueezeNet(nn.Module):
    """A convolution, eight Fire modules, a 1x1 convolution to the classes and a mean over the positions.

    Args:
        version: "1_0" or "1_1", which pools earlier and computes 2.4 times less.
        num_classes: number of outputs.
        dropout: in front of the last convolution.
        in_channels: channels of the images.
        image_size: side of the images in pixels: up to 64, the first convolution has stride 1.

    Raises:
        ValueError: for another version.

    Source: https://docs.pytorch.org/vision/stable/models/squeezenet.html

    >>> tuple(SqueezeNet("1_1", 10, image_size=32)(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(self, version="1_0", num_classes=1000, dropout=0.5, *, in_channels=3, image_size=224):
        super().__init__()
        if version not in LAYERS:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.image_size = image_size
        channels, kernel = FIRST[version]
        layers = [nn.Conv2d(in_channels, channels, kernel, stride=first_stride(image_size)), nn.ReLU(inplace=True)]
        for entry in LAYERS[version]:
            if entry == "M":
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
                continue
            squeeze, expand = entry
            layers.append(Fire(channels, squeeze, expand, expand))
            channels = 2 * expand
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(channels, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is last:
                    nn.init.normal_(module.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        return self.classifier(self.features(x)).flatten(1)  # (N, num_classes)


squeezenet1_0 = variant("squeezenet1_0", SqueezeNet, "SqueezeNet 1.0: 1,248,424 parameters.", {"version": "1_0"})
squeezenet1_1 = variant("squeezenet1_1", SqueezeNet, "SqueezeNet 1.1: 1,235,496 parameters.", {"version": "1_1"})
