"""MobileNetV2 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018)."""
from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation
from models.registry import variant
from models.sizes import first_stride, make_divisible

__all__ = ["MobileNetV2", "mobilenet_v2"]

# The paper's table 2: expansion t, channels c, blocks n, stride s of the first of them.
SETTING = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


class InvertedResidual(nn.Module):
    """1x1 to more channels, 3x3 on each by itself, 1x1 to few, with a shortcut where size and channels stay.

    Args:
        inp, oup: channels of the input and the output.
        stride: 1 or 2.
        expand_ratio: how many times as many channels there are within.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm2d.

    Raises:
        ValueError: for another stride.

    >>> import minigrad
    >>> tuple(InvertedResidual(8, 16, 2, 6)(minigrad.zeros(1, 8, 4, 4)).shape)
    (1, 16, 2, 2)
    """

    def __init__(self, inp, oup, stride, expand_ratio, norm_layer=None):
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm_layer = norm_layer or nn.BatchNorm2d
        pieces = {"norm_layer": norm_layer, "activation_layer": nn.ReLU6}
        hidden = int(round(inp * expand_ratio))
        layers = [] if expand_ratio == 1 else [Conv2dNormActivation(inp, hidden, kernel_size=1, **pieces)]
        layers.append(Conv2dNormActivation(hidden, hidden, stride=stride, groups=hidden, **pieces))
        layers.append(nn.Conv2d(hidden, oup, 1, bias=False))
        layers.append(norm_layer(oup))
        self.stride = stride
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(*layers)
        self.out_channels = oup

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """A convolution, seventeen inverted residuals, a 1x1 convolution and one linear layer.

    Args:
        num_classes: number of outputs.
        width_mult: factor of all channels.
        inverted_residual_setting: rows (expansion, channels, blocks, stride); None for the paper's.
        round_nearest: channels are a multiple of this.
        block: makes a block; None for InvertedResidual.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm2d.
        dropout: in front of the last layer.
        in_channels: channels of the images.
        image_size: side of the images in pixels: up to 64, the first convolution has stride 1.

    Raises:
        ValueError: for rows that are not of 4 numbers.

    Source: Sandler et al. 2018, table 2; https://docs.pytorch.org/vision/stable/models/mobilenetv2.html

    >>> import minigrad
    >>> tuple(MobileNetV2(10, 0.25, image_size=32).eval()(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        num_classes=1000,
        width_mult=1.0,
        inverted_residual_setting=None,
        round_nearest=8,
        block=None,
        norm_layer=None,
        dropout=0.2,
        *,
        in_channels=3,
        image_size=224,
    ):
        super().__init__()
        block = block or InvertedResidual
        norm_layer = norm_layer or nn.BatchNorm2d
        rows = SETTING if inverted_residual_setting is None else inverted_residual_setting
        if len(rows) == 0 or len(rows[0]) != 4:
            raise ValueError(f"inverted_residual_setting should be non-empty or a 4-element list, got {rows}")
        self.in_channels = in_channels
        self.image_size = image_size
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        pieces = {"norm_layer": norm_layer, "activation_layer": nn.ReLU6}
        channels = make_divisible(32 * width_mult, round_nearest)
        features = [Conv2dNormActivation(in_channels, channels, stride=first_stride(image_size), **pieces)]
        for expansion, width, blocks, stride in rows:
            output = make_divisible(width * width_mult, round_nearest)
            for index in range(blocks):
                step = stride if index == 0 else 1
                features.append(block(channels, output, step, expand_ratio=expansion, norm_layer=norm_layer))
                channels = output
        features.append(Conv2dNormActivation(channels, self.last_channel, kernel_size=1, **pieces))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.features(x)  # (N, 1280, S/32, S/32)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1)
        return self.classifier(x)


mobilenet_v2 = variant(
    "mobilenet_v2", MobileNetV2, "MobileNetV2: 3,504,872 parameters; further arguments are its class's."
)
