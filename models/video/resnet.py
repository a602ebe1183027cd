"""Video ResNets (Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", 2017)."""
from minigrad import nn
from models.registry import variant
from models.sizes import first_stride

__all__ = ["VideoResNet", "mc3_18", "r2plus1d_18", "r3d_18"]


class Conv3DSimple(nn.Conv3d):
    """A 3x3x3 convolution."""

    def __init__(self, in_planes, out_planes, midplanes=None, stride=1, padding=1):
        super().__init__(in_planes, out_planes, kernel_size=3, stride=stride, padding=padding, bias=False)

    @staticmethod
    def get_downsample_stride(stride):
        """The stride of the shortcut."""
        return (stride, stride, stride)


class Conv2Plus1D(nn.Sequential):
    """A 1x3x3 convolution, batch norm, ReLU and a 3x1x1 convolution."""

    def __init__(self, in_planes, out_planes, midplanes, stride=1, padding=1):
        space = {"kernel_size": (1, 3, 3), "stride": (1, stride, stride), "padding": (0, padding, padding)}
        time = {"kernel_size": (3, 1, 1), "stride": (stride, 1, 1), "padding": (padding, 0, 0)}
        super().__init__(
            nn.Conv3d(in_planes, midplanes, bias=False, **space),
            nn.BatchNorm3d(midplanes),
            nn.ReLU(inplace=True),
            nn.Conv3d(midplanes, out_planes, bias=False, **time),
        )

    get_downsample_stride = staticmethod(Conv3DSimple.get_downsample_stride)


class Conv3DNoTemporal(nn.Conv3d):
    """A 1x3x3 convolution: each frame by itself."""

    def __init__(self, in_planes, out_planes, midplanes=None, stride=1, padding=1):
        space = {"kernel_size": (1, 3, 3), "stride": (1, stride, stride), "padding": (0, padding, padding)}
        super().__init__(in_planes, out_planes, bias=False, **space)

    @staticmethod
    def get_downsample_stride(stride):
        """The stride of the shortcut."""
        return (1, stride, stride)


def _between(in_planes, out_planes):
    """So many channels between the two convolutions of Conv2Plus1D that it has as many weights as a 3x3x3 one."""
    return in_planes * out_planes * 27 // (in_planes * 9 + 3 * out_planes)


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut.

    Args:
        inplanes, planes: channels of the input and the output.
        conv_builder: one of the convolutions above.
        stride: of the first convolution.
        downsample: module on the shortcut; None for the identity.
    """

    expansion = 1

    def __init__(self, inplanes, planes, conv_builder, stride=1, downsample=None):
        super().__init__()
        hidden = _between(inplanes, planes)
        first = conv_builder(inplanes, planes, hidden, stride)
        self.conv1 = nn.Sequential(first, nn.BatchNorm3d(planes), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(conv_builder(planes, planes, hidden), nn.BatchNorm3d(planes))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv2(self.conv1(x)) + shortcut)


class Bottleneck(nn.Module):
    """1x1x1, a convolution, and 1x1x1 to four times the channels, beside a shortcut; arguments as of BasicBlock."""

    expansion = 4

    def __init__(self, inplanes, planes, conv_builder, stride=1, downsample=None):
        super().__init__()
        hidden = _between(inplanes, planes)
        outputs = planes * self.expansion
        first = nn.Conv3d(inplanes, planes, kernel_size=1, bias=False)
        middle = conv_builder(planes, planes, hidden, stride)
        last = nn.Conv3d(planes, outputs, kernel_size=1, bias=False)
        self.conv1 = nn.Sequential(first, nn.BatchNorm3d(planes), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(middle, nn.BatchNorm3d(planes), nn.ReLU(inplace=True))
        self.conv3 = nn.Sequential(last, nn.BatchNorm3d(outputs))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv3(self.conv2(self.conv1(x))) + shortcut)


class BasicStem(nn.Sequential):
    """A 3x7x7 convolution of stride 2 in space."""

    def __init__(self, in_channels=3, stride=2):
        space = {"kernel_size": (3, 7, 7), "stride": (1, stride, stride), "padding": (1, 3, 3)}
        super().__init__(
            nn.Conv3d(in_channels, 64, bias=False, **space), nn.BatchNorm3d(64), nn.ReLU(inplace=True)
        )  # fmt: skip


class R2Plus1dStem(nn.Sequential):
    """A 1x7x7 convolution of stride 2 and a 3x1x1 one."""

    def __init__(self, in_channels=3, stride=2):
        space = {"kernel_size": (1, 7, 7), "stride": (1, stride, stride), "padding": (0, 3, 3)}
        time = {"kernel_size": (3, 1, 1), "padding": (1, 0, 0)}
        super().__init__(
            nn.Conv3d(in_channels, 45, bias=False, **space),
            nn.BatchNorm3d(45),
            nn.ReLU(inplace=True),
            nn.Conv3d(45, 64, bias=False, **time),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )


class VideoResNet(nn.Module):
    """A stem, four stages of residual blocks, a mean and one linear layer.

    Args:
        block: BasicBlock or Bottleneck.
        conv_makers: the convolution of each of the four stages.
        layers: blocks in each of them.
        stem: makes the first layers from (in_channels, stride), or from nothing.
        num_classes: number of outputs.
        zero_init_residual: start the last normalisation of every Bottleneck at 0.
        in_channels: channels of the frames.
        image_size: side of the frames in pixels: up to 64, the stem has stride 1.

    Source: Tran et al. 2017, table 1; https://docs.pytorch.org/vision/stable/models/video_resnet.html

    >>> import minigrad
    >>> model = VideoResNet(BasicBlock, [Conv3DSimple] * 4, [1, 1, 1, 1], BasicStem, num_classes=5)
    >>> tuple(model(minigrad.zeros(1, 3, 2, 32, 32)).shape)
    (1, 5)
    """

    def __init__(
        self,
        block,
        conv_makers,
        layers,
        stem,
        num_classes=400,
        zero_init_residual=False,
        *,
        in_channels=3,
        image_size=112,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.image_size = image_size
        standard = in_channels == 3 and first_stride(image_size) == 2
        self.stem = stem() if standard else stem(in_channels, first_stride(image_size))
        inplanes = 64
        for number, (planes, conv, blocks) in enumerate(zip((64, 128, 256, 512), conv_makers, layers), start=1):
            stride = 1 if number == 1 else 2
            stage = []
            for index in range(blocks):
                step = stride if index == 0 else 1
                stage.append(block(inplanes, planes, conv, step, _shortcut(block, inplanes, planes, conv, step)))
                inplanes = planes * block.expansion
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        self.avgpool = nn.AdaptiveAvgPool3d((1, 1, 1))
        self.fc = nn.Linear(inplanes, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)
            elif zero_init_residual and isinstance(module, Bottleneck):
                nn.init.zeros_(module.conv3[1].weight)

    def forward(self, x):
        x = self.stem(x)  # (N, 64, T, S/2, S/2)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (N, 512, T/8, S/16, S/16)
        return self.fc(self.avgpool(x).flatten(1))


def _shortcut(block, inplanes, planes, conv, stride):
    """A convolution where the shape changes, None where it does not."""
    outputs = planes * block.expansion
    if stride == 1 and inplanes == outputs:
        return None
    steps = conv.get_downsample_stride(stride)
    return nn.Sequential(
        nn.Conv3d(inplanes, outputs, kernel_size=1, stride=steps, bias=False), nn.BatchNorm3d(outputs)
    )  # fmt: skip


def _video(name, about, conv_makers, stem):
    fixed = {"block": BasicBlock, "conv_makers": conv_makers, "layers": [2, 2, 2, 2], "stem": stem}
    return variant(name, VideoResNet, about, fixed, image_size=112, classes=400)


r3d_18 = _video("r3d_18", "18 layers of 3x3x3 convolutions: 33,371,472 parameters.", [Conv3DSimple] * 4, BasicStem)
mc3_18 = _video(
    "mc3_18",
    "18 layers whose upper three stages look at single frames: 11,695,440 parameters.",
    [Conv3DSimple] + [Conv3DNoTemporal] * 3,
    BasicStem,
)
r2plus1d_18 = _video(
    "r2plus1d_18",
    "18 layers of 1x3x3 and 3x1x1 convolutions: 31,505,325 parameters.",
    [Conv2Plus1D] * 4,
    R2Plus1dStem,
)
