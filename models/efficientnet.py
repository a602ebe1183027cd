"""EfficientNet (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019) and
EfficientNetV2 (Tan and Le, "EfficientNetV2: Smaller Models and Faster Training", 2021)."""
import copy
import math
from functools import partial

from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from models.registry import variant
from models.sizes import first_stride, make_divisible

__all__ = [
    "EfficientNet",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]

# Stages: expansion, kernel, stride, channels in, channels out, blocks; version 2's first three are fused.
B0 = (
    (1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3), (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
)  # fmt: skip
V2 = {
    "s": (
        (1, 3, 1, 24, 24, 2), (4, 3, 2, 24, 48, 4), (4, 3, 2, 48, 64, 4), (4, 3, 2, 64, 128, 6),
        (6, 3, 1, 128, 160, 9), (6, 3, 2, 160, 256, 15),
    ),
    "m": (
        (1, 3, 1, 24, 24, 3), (4, 3, 2, 24, 48, 5), (4, 3, 2, 48, 80, 5), (4, 3, 2, 80, 160, 7),
        (6, 3, 1, 160, 176, 14), (6, 3, 2, 176, 304, 18), (6, 3, 1, 304, 512, 5),
    ),
    "l": (
        (1, 3, 1, 32, 32, 4), (4, 3, 2, 32, 64, 7), (4, 3, 2, 64, 96, 7), (4, 3, 2, 96, 192, 10),
        (6, 3, 1, 192, 224, 19), (6, 3, 2, 224, 384, 25), (6, 3, 1, 384, 640, 7),
    ),
}  # fmt: skip
FUSED = 3


class _StageConfig:
    """One stage: what its blocks are made of."""

    def __init__(self, expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block):
        self.expand_ratio = expand_ratio
        self.kernel = kernel
        self.stride = stride
        self.input_channels = input_channels
        self.out_channels = out_channels
        self.num_layers = num_layers
        self.block = block

    @staticmethod
    def adjust_channels(channels, width_mult, min_value=None):
        """The multiple of 8 nearest to channels · width_mult."""
        return make_divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_StageConfig):
    """A stage of MBConv blocks, its channels multiplied by width_mult and its blocks by depth_mult."""

    def __init__(
        self,
        expand_ratio,
        kernel,
        stride,
        input_channels,
        out_channels,
        num_layers,
        width_mult=1.0,
        depth_mult=1.0,
        block=None,
    ):
        inputs = self.adjust_channels(input_channels, width_mult)
        outputs = self.adjust_channels(out_channels, width_mult)
        layers = math.ceil(num_layers * depth_mult)
        super().__init__(expand_ratio, kernel, stride, inputs, outputs, layers, block or MBConv)


class FusedMBConvConfig(_StageConfig):
    """A stage of FusedMBConv blocks."""

    def __init__(self, expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block=None):
        super().__init__(
            expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block or FusedMBConv
        )  # fmt: skip


class _Residual(nn.Module):
    """A block with a shortcut where the shape stays; its branch is dropped at times in training."""

    def __init__(self, cnf, layers, stochastic_depth_prob):
        super().__init__()
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input):
        result = self.block(input)
        return self.stochastic_depth(result) + input if self.use_res_connect else result


def _check_stride(cnf):
    if not 1 <= cnf.stride <= 2:
        raise ValueError("illegal stride value")


class MBConv(_Residual):
    """1x1 to more channels, a convolution of each by itself, squeeze and excitation, 1x1 to few."""

    def __init__(self, cnf, stochastic_depth_prob, norm_layer, se_layer=SqueezeExcitation):
        _check_stride(cnf)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        hidden = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        layers = [] if hidden == cnf.input_channels else [conv(cnf.input_channels, hidden, kernel_size=1)]
        layers.append(conv(hidden, hidden, kernel_size=cnf.kernel, stride=cnf.stride, groups=hidden))
        squeezed = max(1, cnf.input_channels // 4)
        layers.append(se_layer(hidden, squeezed, activation=partial(nn.SiLU, inplace=True)))
        layers.append(conv(hidden, cnf.out_channels, kernel_size=1, activation_layer=None))
        super().__init__(cnf, layers, stochastic_depth_prob)


class FusedMBConv(_Residual):
    """A full convolution to more channels and 1x1 to few; a convolution alone where nothing is expanded."""

    def __init__(self, cnf, stochastic_depth_prob, norm_layer):
        _check_stride(cnf)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        hidden = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        spatial = {"kernel_size": cnf.kernel, "stride": cnf.stride}
        if hidden == cnf.input_channels:
            layers = [conv(cnf.input_channels, cnf.out_channels, **spatial)]
        else:
            layers = [conv(cnf.input_channels, hidden, **spatial)]
            layers.append(conv(hidden, cnf.out_channels, kernel_size=1, activation_layer=None))
        super().__init__(cnf, layers, stochastic_depth_prob)


class EfficientNet(nn.Module):
    """A convolution, stages of MBConv or FusedMBConv blocks, a 1x1 convolution and one linear layer.

    Args:
        inverted_residual_setting: list of MBConvConfig and FusedMBConvConfig.
        dropout: in front of the last layer.
        stochastic_depth_prob: drop probability that the blocks' grows to: block i of B has i/B of it.
        num_classes: number of outputs.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm2d.
        last_channel: filters of the last convolution; None for four times its inputs.
        in_channels: channels of the images.
        image_size: side of the images in pixels: up to 64, the first convolution has stride 1.

    Raises:
        ValueError, TypeError: for a setting that is empty or holds something else.

    Source: https://docs.pytorch.org/vision/stable/models/efficientnet.html

    >>> import minigrad
    >>> stages = [FusedMBConvConfig(1, 3, 1, 8, 8, 1), MBConvConfig(6, 3, 2, 8, 16, 2)]
    >>> tuple(EfficientNet(stages, 0.2, num_classes=10, image_size=32).eval()(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        inverted_residual_setting,
        dropout,
        stochastic_depth_prob=0.2,
        num_classes=1000,
        norm_layer=None,
        last_channel=None,
        *,
        in_channels=3,
        image_size=224,
    ):
        super().__init__()
        stages = inverted_residual_setting
        if not stages:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not isinstance(stages, (list, tuple)) or not all(isinstance(stage, _StageConfig) for stage in stages):
            raise TypeError("The inverted_residual_setting should be List[MBConvConfig]")
        norm_layer = norm_layer or nn.BatchNorm2d
        self.in_channels = in_channels
        self.image_size = image_size
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        layers = [conv(in_channels, stages[0].input_channels, stride=first_stride(image_size))]
        blocks = sum(stage.num_layers for stage in stages)
        count = 0
        for stage in stages:
            first, rest = stage, copy.copy(stage)
            rest.input_channels, rest.stride = stage.out_channels, 1
            made = []
            for index in range(stage.num_layers):
                cnf = first if index == 0 else rest
                made.append(cnf.block(cnf, stochastic_depth_prob * count / blocks, norm_layer))
                count += 1
            layers.append(nn.Sequential(*made))
        inputs = stages[-1].out_channels
        outputs = 4 * inputs if last_channel is None else last_channel
        layers.append(conv(inputs, outputs, kernel_size=1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(outputs, num_classes))
        self._draw()

    def _draw(self):
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                bound = 1.0 / math.sqrt(module.out_features)
                nn.init.uniform_(module.weight, -bound, bound)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.features(x)  # (N, C, S/32, S/32)
        x = self.avgpool(x).flatten(1)
        return self.classifier(x)


def _version1(name, width, depth, dropout, size, parameters, **defaults):
    stages = [MBConvConfig(*row, width_mult=width, depth_mult=depth) for row in B0]
    about = f"EfficientNet-{name[-2:].upper()} for images of {size} pixels: {parameters:,} parameters."
    fixed = {"inverted_residual_setting": stages}
    return variant(name, EfficientNet, about, fixed, image_size=size, dropout=dropout, **defaults)


def _version2(name, dropout, size, parameters):
    rows = V2[name[-1]]
    stages = [FusedMBConvConfig(*row) for row in rows[:FUSED]] + [MBConvConfig(*row) for row in rows[FUSED:]]
    about = f"EfficientNetV2-{name[-1].upper()} for images of {size} pixels: {parameters:,} parameters."
    fixed = {"inverted_residual_setting": stages, "last_channel": 1280}
    defaults = {"dropout": dropout, "norm_layer": partial(nn.BatchNorm2d, eps=1e-3)}
    return variant(name, EfficientNet, about, fixed, image_size=size, **defaults)


SLOW = {"norm_layer": partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)}  # of B5 to B7, ported from TensorFlow

efficientnet_b0 = _version1("efficientnet_b0", 1.0, 1.0, 0.2, 224, 5288548)
efficientnet_b1 = _version1("efficientnet_b1", 1.0, 1.1, 0.2, 240, 7794184)
efficientnet_b2 = _version1("efficientnet_b2", 1.1, 1.2, 0.3, 288, 9109994)
efficientnet_b3 = _version1("efficientnet_b3", 1.2, 1.4, 0.3, 300, 12233232)
efficientnet_b4 = _version1("efficientnet_b4", 1.4, 1.8, 0.4, 380, 19341616)
efficientnet_b5 = _version1("efficientnet_b5", 1.6, 2.2, 0.4, 456, 30389784, **SLOW)
efficientnet_b6 = _version1("efficientnet_b6", 1.8, 2.6, 0.5, 528, 43040704, **SLOW)
efficientnet_b7 = _version1("efficientnet_b7", 2.0, 3.1, 0.5, 600, 66347960, **SLOW)
efficientnet_v2_s = _version2("efficientnet_v2_s", 0.2, 384, 21458488)
efficientnet_v2_m = _version2("efficientnet_v2_m", 0.3, 480, 54139356)
efficientnet_v2_l = _version2("efficientnet_v2_l", 0.4, 480, 118515272)
