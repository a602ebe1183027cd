"""MnasNet (Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", 2018)."""
from minigrad import nn
from models.registry import variant
from models.sizes import first_stride, make_divisible

__all__ = ["MNASNet", "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"]

MOMENTUM = 1 - 0.9997  # of the batch normalisation, as in the paper's TensorFlow code
WIDTHS = (32, 16, 24, 40, 80, 96, 192, 320)
STACKS = ((3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1))  # kernel, stride, t, n


def _conv_norm(in_channels, out_channels, kernel, stride=1, groups=1):
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out_channels, momentum=MOMENTUM)]


class _InvertedResidual(nn.Module):
    """1x1 to more channels, a convolution of each by itself, 1x1 to few, with a shortcut where the shape stays."""

    def __init__(self, in_ch, out_ch, kernel_size, stride, expansion_factor):
        super().__init__()
        hidden = in_ch * expansion_factor
        self.apply_residual = in_ch == out_ch and stride == 1
        self.layers = nn.Sequential(
            *_conv_norm(in_ch, hidden, 1),
            nn.ReLU(inplace=True),
            *_conv_norm(hidden, hidden, kernel_size, stride, hidden),
            nn.ReLU(inplace=True),
            *_conv_norm(hidden, out_ch, 1),
        )

    def forward(self, input):
        return self.layers(input) + input if self.apply_residual else self.layers(input)


class MNASNet(nn.Module):
    """MnasNet-B1: separable convolutions, six stacks of inverted residuals, a 1x1 convolution and one linear layer.

    Args:
        alpha: factor of all channels.
        num_classes: number of outputs.
        dropout: in front of the last layer.
        in_channels: channels of the images.
        image_size: side of the images in pixels: up to 64, the first convolution has stride 1.

    Raises:
        ValueError: for an alpha that is not positive.

    Source: Tan et al. 2018, figure 7; https://docs.pytorch.org/vision/stable/models/mnasnet.html

    >>> import minigrad
    >>> tuple(MNASNet(0.25, 10, image_size=32).eval()(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(self, alpha, num_classes=1000, dropout=0.2, *, in_channels=3, image_size=224):
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha = alpha
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.image_size = image_size
        first, second, *widths = (make_divisible(width * alpha, 8) for width in WIDTHS)
        layers = [
            *_conv_norm(in_channels, first, 3, first_stride(image_size)),
            nn.ReLU(inplace=True),
            *_conv_norm(first, first, 3, groups=first),
            nn.ReLU(inplace=True),
            *_conv_norm(first, second, 1),
        ]
        channels = second
        for width, (kernel, stride, expansion, repeats) in zip(widths, STACKS):
            stack = [_InvertedResidual(channels, width, kernel, stride, expansion)]
            stack += [_InvertedResidual(width, width, kernel, 1, expansion) for _ in range(repeats - 1)]
            layers.append(nn.Sequential(*stack))
            channels = width
        layers += [*_conv_norm(channels, 1280, 1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.kaiming_uniform_(module.weight, mode="fan_out", nonlinearity="sigmoid")
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.layers(x)  # (N, 1280, S/32, S/32)
        return self.classifier(x.mean([2, 3]))


def _mnasnet(name, alpha, parameters):
    about = f"MnasNet with {alpha} times the channels: {parameters:,} parameters."
    return variant(name, MNASNet, about, {"alpha": alpha})


mnasnet0_5 = _mnasnet("mnasnet0_5", 0.5, 2218512)
mnasnet0_75 = _mnasnet("mnasnet0_75", 0.75, 3170208)
mnasnet1_0 = _mnasnet("mnasnet1_0", 1.0, 4383312)
mnasnet1_3 = _mnasnet("mnasnet1_3", 1.3, 6282256)
