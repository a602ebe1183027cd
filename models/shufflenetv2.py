"""ShuffleNetV2 (Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", 2018)."""
import minigrad
from minigrad import nn
from models.registry import variant
from models.sizes import first_stride

__all__ = [
    "ShuffleNetV2",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]


def channel_shuffle(x, groups):
    """The channels 0 … C - 1 in the order 0, C/g, 2C/g, …, 1, C/g + 1, …: every group gets some of each.

    >>> channel_shuffle(minigrad.arange(6).reshape(1, 6, 1, 1), 2).flatten()
    tensor([0, 3, 1, 4, 2, 5])
    """
    n, channels, height, width = x.shape
    x = x.reshape(n, groups, channels // groups, height, width).transpose(1, 2)
    return x.reshape(n, channels, height, width)


def _conv_norm(in_channels, out_channels, kernel, stride=1, groups=1):
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False, groups=groups)
    return [conv, nn.BatchNorm2d(out_channels)]


class InvertedResidual(nn.Module):
    """Half the channels pass by, the other half is convolved, and both are shuffled; at stride 2 all are convolved.

    Args:
        inp, oup: channels of the input and the output.
        stride: 1, 2 or 3.

    Raises:
        ValueError: for another stride, or inp other than oup at stride 1.

    >>> tuple(InvertedResidual(8, 16, 2)(minigrad.zeros(1, 8, 4, 4)).shape)
    (1, 16, 2, 2)
    """

    def __init__(self, inp, oup, stride):
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError("illegal stride value")
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(
                f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. If stride == 1 then inp "
                "should be equal to oup // 2 << 1."
            )
        self.stride = stride
        first = []
        if stride > 1:
            first = [*_conv_norm(inp, inp, 3, stride, inp), *_conv_norm(inp, half, 1), nn.ReLU(inplace=True)]
        self.branch1 = nn.Sequential(*first)
        self.branch2 = nn.Sequential(
            *_conv_norm(inp if stride > 1 else half, half, 1),
            nn.ReLU(inplace=True),
            *_conv_norm(half, half, 3, stride, half),
            *_conv_norm(half, half, 1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        passing, convolved = x.chunk(2, dim=1) if self.stride == 1 else (self.branch1(x), x)
        return channel_shuffle(minigrad.cat((passing, self.branch2(convolved)), 1), 2)


class ShuffleNetV2(nn.Module):
    """A convolution and pooling, three stages of blocks, a 1x1 convolution and one linear layer.

    Args:
        stages_repeats: blocks in each of the three stages.
        stages_out_channels: channels after the first convolution, each stage and the last convolution.
        num_classes: number of outputs.
        inverted_residual: makes a block from (channels in, channels out, stride).
        in_channels: channels of the images.
        image_size: side of the images in pixels: up to 64, the first convolution has stride 1.

    Raises:
        ValueError: for other than three stages or five channels.

    Source: Ma et al. 2018, table 5; https://docs.pytorch.org/vision/stable/models/shufflenetv2.html

    >>> model = ShuffleNetV2([1, 1, 1], [8, 16, 32, 64, 128], 10, image_size=32)
    >>> tuple(model(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        stages_repeats,
        stages_out_channels,
        num_classes=1000,
        inverted_residual=InvertedResidual,
        *,
        in_channels=3,
        image_size=224,
    ):
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        self.in_channels = in_channels
        self.image_size = image_size
        channels, *stages, last = stages_out_channels
        first = _conv_norm(in_channels, channels, 3, first_stride(image_size))
        self.conv1 = nn.Sequential(*first, nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for number, repeats, width in zip((2, 3, 4), stages_repeats, stages):
            blocks = [inverted_residual(channels, width, 2)]
            blocks += [inverted_residual(width, width, 1) for _ in range(repeats - 1)]
            self.add_module(f"stage{number}", nn.Sequential(*blocks))
            channels = width
        self.conv5 = nn.Sequential(*_conv_norm(channels, last, 1), nn.ReLU(inplace=True))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x):
        x = self.maxpool(self.conv1(x))  # (N, 24, S/4, S/4)
        x = self.stage4(self.stage3(self.stage2(x)))  # (N, C, S/32, S/32)
        x = self.conv5(x).mean([2, 3])
        return self.fc(x)


def _shufflenet(name, widths, parameters):
    about = f"ShuffleNetV2 with {widths} channels: {parameters:,} parameters."
    return variant(name, ShuffleNetV2, about, {"stages_repeats": [4, 8, 4], "stages_out_channels": widths})


shufflenet_v2_x0_5 = _shufflenet("shufflenet_v2_x0_5", [24, 48, 96, 192, 1024], 1366792)
shufflenet_v2_x1_0 = _shufflenet("shufflenet_v2_x1_0", [24, 116, 232, 464, 1024], 2278604)
shufflenet_v2_x1_5 = _shufflenet("shufflenet_v2_x1_5", [24, 176, 352, 704, 1024], 3503624)
shufflenet_v2_x2_0 = _shufflenet("shufflenet_v2_x2_0", [24, 244, 488, 976, 2048], 7393996)
