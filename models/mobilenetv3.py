"""MobileNetV3 (Howard et al., "Searching for MobileNetV3", 2019)."""
from functools import partial

from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation, SqueezeExcitation
from models.registry import variant
from models.sizes import first_stride, make_divisible

__all__ = ["MobileNetV3", "mobilenet_v3_large", "mobilenet_v3_small"]

# The paper's tables 1 and 2: channels in, kernel, channels within, channels out, squeeze-and-excitation, activation,
# stride. "C4" marks the stage that can be dilated instead of strided, and narrowed with all after it.
LARGE = (
    (16, 3, 16, 16, False, "RE", 1), (16, 3, 64, 24, False, "RE", 2), (24, 3, 72, 24, False, "RE", 1),
    (24, 5, 72, 40, True, "RE", 2), (40, 5, 120, 40, True, "RE", 1), (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2), (80, 3, 200, 80, False, "HS", 1), (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1), (80, 3, 480, 112, True, "HS", 1), (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2), (160, 5, 960, 160, True, "HS", 1), (160, 5, 960, 160, True, "HS", 1),
)  # fmt: skip
SMALL_ROWS = (
    (16, 3, 16, 16, True, "RE", 2), (16, 3, 72, 24, False, "RE", 2), (24, 3, 88, 24, False, "RE", 1),
    (24, 5, 96, 40, True, "HS", 2), (40, 5, 240, 40, True, "HS", 1), (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1), (48, 5, 144, 48, True, "HS", 1), (48, 5, 288, 96, True, "HS", 2),
    (96, 5, 576, 96, True, "HS", 1), (96, 5, 576, 96, True, "HS", 1),
)  # fmt: skip
ROWS = {"mobilenet_v3_large": (LARGE, 1280), "mobilenet_v3_small": (SMALL_ROWS, 1024)}
TAIL = 3  # so many rows at the end are the stage C4

HARD_EXCITATION = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)


class InvertedResidualConfig:
    """One row of the paper's tables; all channels are multiplied by width_mult and made multiples of 8."""

    def __init__(
        self, input_channels, kernel, expanded_channels, out_channels, use_se, activation, stride, dilation, width_mult
    ):
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se = use_se
        self.use_hs = activation == "HS"
        self.stride = stride
        self.dilation = dilation

    @staticmethod
    def adjust_channels(channels, width_mult):
        """The multiple of 8 nearest to channels · width_mult."""
        return make_divisible(channels * width_mult, 8)


class InvertedResidual(nn.Module):
    """1x1 to more channels, a convolution of each by itself, squeeze and excitation, 1x1 to few, and a shortcut.

    Args:
        cnf: an InvertedResidualConfig.
        norm_layer: makes a normalisation of so many channels.
        se_layer: makes the squeeze and excitation from (channels, squeezed channels).

    Raises:
        ValueError: for a stride other than 1 and 2.
    """

    def __init__(self, cnf, norm_layer, se_layer=HARD_EXCITATION):
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer)
        activation = nn.Hardswish if cnf.use_hs else nn.ReLU
        hidden = cnf.expanded_channels
        layers = []
        if hidden != cnf.input_channels:
            layers.append(conv(cnf.input_channels, hidden, kernel_size=1, activation_layer=activation))
        spatial = {"stride": 1 if cnf.dilation > 1 else cnf.stride, "dilation": cnf.dilation, "groups": hidden}
        layers.append(conv(hidden, hidden, kernel_size=cnf.kernel, activation_layer=activation, **spatial))
        if cnf.use_se:
            layers.append(se_layer(hidden, make_divisible(hidden // 4, 8)))
        layers.append(conv(hidden, cnf.out_channels, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        self.shrinks = cnf.stride > 1  # also where dilation stands for the stride

    def forward(self, input):
        result = self.block(input)
        return result + input if self.use_res_connect else result


class MobileNetV3(nn.Module):
    """A convolution, the inverted residuals of a table, a 1x1 convolution and two linear layers.

    Args:
        inverted_residual_setting: list of InvertedResidualConfig.
        last_channel: width of the hidden linear layer.
        num_classes: number of outputs.
        block: makes a block; None for InvertedResidual.
        norm_layer: makes a normalisation; None for nn.BatchNorm2d with eps 0.001 and momentum 0.01.
        dropout: in front of the last layer.
        in_channels: channels of the images.
        image_size: side of the images in pixels: up to 64, the first convolution has stride 1.

    Raises:
        ValueError, TypeError: for a setting that is empty or holds something else.

    Source: Howard et al. 2019, tables 1 and 2; https://docs.pytorch.org/vision/stable/models/mobilenetv3.html

    >>> import minigrad
    >>> rows, last = configuration("mobilenet_v3_small", width_mult=0.25)
    >>> tuple(MobileNetV3(rows, last, 10, image_size=32).eval()(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        inverted_residual_setting,
        last_channel,
        num_classes=1000,
        block=None,
        norm_layer=None,
        dropout=0.2,
        *,
        in_channels=3,
        image_size=224,
    ):
        super().__init__()
        rows = inverted_residual_setting
        if not rows:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not isinstance(rows, (list, tuple)) or not all(isinstance(row, InvertedResidualConfig) for row in rows):
            raise TypeError("The inverted_residual_setting should be List[InvertedResidualConfig]")
        block = block or InvertedResidual
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        self.in_channels = in_channels
        self.image_size = image_size
        pieces = {"norm_layer": norm_layer, "activation_layer": nn.Hardswish}
        first, last = rows[0].input_channels, rows[-1].out_channels
        layers = [Conv2dNormActivation(in_channels, first, stride=first_stride(image_size), **pieces)]
        layers += [block(row, norm_layer) for row in rows]
        layers.append(Conv2dNormActivation(last, 6 * last, kernel_size=1, **pieces))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
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
        x = self.features(x)  # (N, C, S/32, S/32)
        x = self.avgpool(x).flatten(1)
        return self.classifier(x)


def configuration(arch, width_mult=1.0, reduced_tail=False, dilated=False):
    """The rows of a network and the width of its hidden linear layer.

    Args:
        arch: "mobilenet_v3_large" or "mobilenet_v3_small".
        width_mult: factor of all channels.
        reduced_tail: halve the channels of the stage C4 and after.
        dilated: dilate the stage C4 by 2, whose stride then does nothing.

    Raises:
        ValueError: for another name.
    """
    if arch not in ROWS:
        raise ValueError(f"Unsupported model type {arch}")
    rows, last = ROWS[arch]
    divider = 2 if reduced_tail else 1
    configs = []
    for index, (inputs, kernel, hidden, outputs, use_se, activation, stride) in enumerate(rows):
        tail = len(rows) - TAIL - index  # 0 at the first row of C4, below it in the others
        if tail <= 0:
            outputs //= divider
        if tail < 0:
            inputs //= divider
            hidden //= divider
        dilation = 2 if dilated and tail <= 0 else 1
        configs.append(
            InvertedResidualConfig(inputs, kernel, hidden, outputs, use_se, activation, stride, dilation, width_mult)
        )
    return configs, InvertedResidualConfig.adjust_channels(last // divider, width_mult)


def _mobilenet_v3(arch, *, width_mult=1.0, reduced_tail=False, dilated=False, **kw):
    return MobileNetV3(*configuration(arch, width_mult, reduced_tail, dilated), **kw)


ABOUT = "further arguments: width_mult, reduced_tail, dilated and those of MobileNetV3."
mobilenet_v3_large = variant(
    "mobilenet_v3_large",
    _mobilenet_v3,
    f"MobileNetV3-Large: 5,483,032 parameters; {ABOUT}",
    {"arch": "mobilenet_v3_large"},
)
mobilenet_v3_small = variant(
    "mobilenet_v3_small",
    _mobilenet_v3,
    f"MobileNetV3-Small: 2,542,856 parameters; {ABOUT}",
    {"arch": "mobilenet_v3_small"},
)
