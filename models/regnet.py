"""RegNet (Radosavovic et al., "Designing Network Design Spaces", 2020)."""
import math
from collections import OrderedDict
from itertools import groupby

from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation, SqueezeExcitation
from models.registry import variant
from models.sizes import first_stride, make_divisible

__all__ = [
    "RegNet",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
]

QUANTUM = 8  # widths are multiples of this


class BlockParams:
    """What the four stages of a RegNet are made of: a list with one entry per stage each, and se_ratio.

    >>> params = BlockParams.from_init_params(depth=22, w_0=24, w_a=24.48, w_m=2.54, group_width=16)
    >>> params.depths, params.widths, params.group_widths
    ([1, 2, 7, 12], [32, 64, 160, 400], [16, 16, 16, 16])
    """

    def __init__(self, depths, widths, group_widths, bottleneck_multipliers, strides, se_ratio=None):
        self.depths = depths
        self.widths = widths
        self.group_widths = group_widths
        self.bottleneck_multipliers = bottleneck_multipliers
        self.strides = strides
        self.se_ratio = se_ratio

    @classmethod
    def from_init_params(
        cls, depth, w_0, w_a, w_m, group_width, bottleneck_multiplier=1.0, se_ratio=None
    ):  # fmt: skip
        """The stages of the paper's few numbers.

        Block j would be u = w_0 + w_a·j wide; that becomes w_0·w_m^s with the nearest whole s, rounded to a multiple
        of 8; blocks of one width make a stage.

        Args:
            depth: number of blocks.
            w_0, w_a, w_m: width of the first block, slope, and the factor from stage to stage.
            group_width: channels of a group of the 3x3 convolutions.
            bottleneck_multiplier: width of the 3x3 convolutions over that of the stage.
            se_ratio: hidden channels of squeeze and excitation over the block's input's; None for none.

        Raises:
            ValueError: for numbers that give no widths.
        """
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % QUANTUM != 0:
            raise ValueError("Invalid RegNet settings")
        widths = []
        for index in range(depth):
            stage = round(math.log((w_0 + w_a * index) / w_0) / math.log(w_m))
            widths.append(round(w_0 * w_m**stage / QUANTUM) * QUANTUM)
        stages = [(width, len(list(blocks))) for width, blocks in groupby(widths)]
        stage_widths, group_widths = [], []
        for width, _ in stages:
            inner = int(width * bottleneck_multiplier)
            group = min(group_width, inner)
            group_widths.append(group)
            stage_widths.append(int(make_divisible(inner, group) / bottleneck_multiplier))
        return cls(
            depths=[blocks for _, blocks in stages],
            widths=stage_widths,
            group_widths=group_widths,
            bottleneck_multipliers=[bottleneck_multiplier] * len(stages),
            strides=[2] * len(stages),
            se_ratio=se_ratio,
        )


class SimpleStemIN(Conv2dNormActivation):
    """The first convolution, 3x3 of stride 2 (or another)."""

    def __init__(self, width_in, width_out, norm_layer, activation_layer, stride=2):
        super().__init__(width_in, width_out, 3, stride, norm_layer=norm_layer, activation_layer=activation_layer)


class ResBottleneckBlock(nn.Module):
    """1x1, 3x3 in groups, squeeze and excitation if asked for, 1x1, beside a shortcut."""

    def __init__(
        self,
        width_in,
        width_out,
        stride,
        norm_layer,
        activation_layer,
        group_width=1,
        bottleneck_multiplier=1.0,
        se_ratio=None,
    ):
        super().__init__()
        pieces = {"norm_layer": norm_layer, "activation_layer": activation_layer}
        last = {"norm_layer": norm_layer, "activation_layer": None}
        self.proj = None
        if width_in != width_out or stride != 1:
            self.proj = Conv2dNormActivation(width_in, width_out, kernel_size=1, stride=stride, **last)
        width = int(round(width_out * bottleneck_multiplier))
        groups = width // group_width
        layers = OrderedDict()
        layers["a"] = Conv2dNormActivation(width_in, width, kernel_size=1, **pieces)
        layers["b"] = Conv2dNormActivation(width, width, kernel_size=3, stride=stride, groups=groups, **pieces)
        if se_ratio:
            layers["se"] = SqueezeExcitation(width, int(round(se_ratio * width_in)), activation=activation_layer)
        layers["c"] = Conv2dNormActivation(width, width_out, kernel_size=1, **last)
        self.f = nn.Sequential(layers)
        self.activation = activation_layer(inplace=True)

    def forward(self, x):
        shortcut = x if self.proj is None else self.proj(x)
        return self.activation(shortcut + self.f(x))


class RegNet(nn.Module):
    """A convolution, four stages of residual blocks and one linear layer.

    Args:
        block_params: BlockParams.
        num_classes: number of outputs.
        stem_width: filters of the first convolution.
        stem_type: makes the first convolution; None for SimpleStemIN, whose stride is 1 for images up to 64 pixels.
        block_type: makes a block; None for ResBottleneckBlock.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm2d.
        activation: makes an activation; None for nn.ReLU.
        in_channels: channels of the images.
        image_size: side of the images in pixels.

    Source: Radosavovic et al. 2020, section 3.3; https://docs.pytorch.org/vision/stable/models/regnet.html

    >>> import minigrad
    >>> params = BlockParams.from_init_params(depth=4, w_0=8, w_a=8.0, w_m=2.0, group_width=8, se_ratio=0.25)
    >>> tuple(RegNet(params, 10, image_size=32)(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        block_params,
        num_classes=1000,
        stem_width=32,
        stem_type=None,
        block_type=None,
        norm_layer=None,
        activation=None,
        *,
        in_channels=3,
        image_size=224,
    ):
        super().__init__()
        block_type = block_type or ResBottleneckBlock
        norm_layer = norm_layer or nn.BatchNorm2d
        activation = activation or nn.ReLU
        self.in_channels = in_channels
        self.image_size = image_size
        if stem_type is None:
            self.stem = SimpleStemIN(in_channels, stem_width, norm_layer, activation, first_stride(image_size))
        else:
            self.stem = stem_type(in_channels, stem_width, norm_layer, activation)
        width = stem_width
        stages = OrderedDict()
        rows = zip(
            block_params.depths,
            block_params.widths,
            block_params.strides,
            block_params.group_widths,
            block_params.bottleneck_multipliers,
        )
        for number, (depth, width_out, stride, group_width, multiplier) in enumerate(rows, start=1):
            blocks = OrderedDict()
            for index in range(depth):
                step = stride if index == 0 else 1
                blocks[f"block{number}-{index}"] = block_type(
                    width, width_out, step, norm_layer, activation, group_width, multiplier, block_params.se_ratio
                )
                width = width_out
            stages[f"block{number}"] = nn.Sequential(blocks)
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, mean=0.0, std=math.sqrt(2.0 / fan_out))
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, mean=0.0, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.trunk_output(self.stem(x))  # (N, width, S/32, S/32)
        return self.fc(self.avgpool(x).flatten(1))


def _regnet(name, depth, w_0, w_a, w_m, group_width, parameters):
    kind = name[7].upper()
    se_ratio = 0.25 if kind == "Y" else None
    params = BlockParams.from_init_params(depth, w_0, w_a, w_m, group_width, se_ratio=se_ratio)
    operations = name[9:].replace("_", ".").upper()
    about = f"RegNet{kind}-{operations}, blocks {params.depths} of widths {params.widths}: {parameters:,} parameters."
    return variant(name, RegNet, about, {"block_params": params})


regnet_x_400mf = _regnet("regnet_x_400mf", 22, 24, 24.48, 2.54, 16, 5495976)
regnet_x_800mf = _regnet("regnet_x_800mf", 16, 56, 35.73, 2.28, 16, 7259656)
regnet_x_1_6gf = _regnet("regnet_x_1_6gf", 18, 80, 34.01, 2.25, 24, 9190136)
regnet_x_3_2gf = _regnet("regnet_x_3_2gf", 25, 88, 26.31, 2.25, 48, 15296552)
regnet_x_8gf = _regnet("regnet_x_8gf", 23, 80, 49.56, 2.88, 120, 39572648)
regnet_x_16gf = _regnet("regnet_x_16gf", 22, 216, 55.59, 2.1, 128, 54278536)
regnet_x_32gf = _regnet("regnet_x_32gf", 23, 320, 69.86, 2.0, 168, 107811560)
regnet_y_400mf = _regnet("regnet_y_400mf", 16, 48, 27.89, 2.09, 8, 4344144)
regnet_y_800mf = _regnet("regnet_y_800mf", 14, 56, 38.84, 2.4, 16, 6432512)
regnet_y_1_6gf = _regnet("regnet_y_1_6gf", 27, 48, 20.71, 2.65, 24, 11202430)
regnet_y_3_2gf = _regnet("regnet_y_3_2gf", 21, 80, 42.63, 2.66, 24, 19436338)
regnet_y_8gf = _regnet("regnet_y_8gf", 17, 192, 76.82, 2.19, 56, 39381472)
regnet_y_16gf = _regnet("regnet_y_16gf", 18, 200, 106.23, 2.48, 112, 83590140)
regnet_y_32gf = _regnet("regnet_y_32gf", 20, 232, 115.89, 2.53, 232, 145046770)
regnet_y_128gf = _regnet("regnet_y_128gf", 27, 456, 160.83, 2.52, 264, 644812894)
