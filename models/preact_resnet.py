"""Pre-activation ResNets (He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", 2016).

As in fb.resnet.torch, whose ResNet-200 is the one of jcjohnson/cnn-benchmarks.
"""
from minigrad import nn
from minigrad.nn.utils.fusion import call_pair
from models.registry import register
from models.resnet import (
    add_branch,
    conv1x1,
    conv3x3,
    drop_probabilities,
    first_layers,
    initialize,
    stochastic_depth_layer,
)

__all__ = [
    "PreActBasicBlock",
    "PreActBottleneck",
    "PreActResNet",
    "preact_resnet18",
    "preact_resnet34",
    "preact_resnet50",
    "preact_resnet101",
    "preact_resnet152",
    "preact_resnet200",
]


class PreActBlock(nn.Module):
    """What both blocks share: shortcut(x) + F(x), with normalisation and ReLU before the convolutions of F.

    Where the shortcut is the identity, nothing touches x on its way through the network. Where size or channels change,
    it is a 1x1 convolution, and sees what F sees: x after normalisation and ReLU ("both_preact" of fb.resnet.torch).
    The first block of the network follows upon a normalisation and a ReLU, and has none of its own in front.

    Args:
        inplanes: channels of the input.
        planes: channels of the 3x3 convolutions; the output has expansion·planes.
        stride: of the first 3x3 convolution.
        preactivate: False for the first block of the network.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm2d.
        stochastic_depth: StochasticDepth layer, or None for a block that always survives.
    """

    expansion = 1

    def __init__(self, inplanes, planes, stride=1, *, preactivate=True, norm_layer=None, stochastic_depth=None):
        super().__init__()
        self.stride = stride
        self.bn1 = (norm_layer or nn.BatchNorm2d)(inplanes) if preactivate else None
        self.relu = nn.ReLU(inplace=True)
        self._add_convolutions(inplanes, planes, stride, norm_layer or nn.BatchNorm2d)
        changes = stride != 1 or inplanes != planes * self.expansion
        self.downsample = conv1x1(inplanes, planes * self.expansion, stride) if changes else None
        self.stochastic_depth = stochastic_depth

    def activated(self, x):
        """What the first convolution sees."""
        return x if self.bn1 is None else call_pair(self.bn1, self.relu, x)

    def forward(self, x):
        if self.downsample is None:
            return add_branch(x, lambda x: self.branch(self.activated(x)), x, self.stochastic_depth)
        x = self.activated(x)
        return add_branch(self.downsample(x), self.branch, x, self.stochastic_depth)


class PreActBasicBlock(PreActBlock):
    """Two 3x3 convolutions beside a shortcut: F = norm relu conv norm relu conv; the arguments are PreActBlock's.

    Source: He et al. 2016, figure 1 (b), https://arxiv.org/abs/1603.05027

    >>> import minigrad as mg
    >>> tuple(PreActBasicBlock(8, 16, stride=2)(mg.zeros(1, 8, 4, 4)).shape)
    (1, 16, 2, 2)
    """

    def _add_convolutions(self, inplanes, planes, stride, norm_layer):
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn2 = norm_layer(planes)
        self.conv2 = conv3x3(planes, planes)

    def branch(self, x):
        """What is added to the shortcut, of x after normalisation and ReLU."""
        x = self.conv1(x)  # (N, planes, H/stride, W/stride)
        return self.conv2(call_pair(self.bn2, self.relu, x))


class PreActBottleneck(PreActBlock):
    """1x1, 3x3 and 1x1 convolutions, each after norm and relu, beside a shortcut; the arguments are PreActBlock's.

    Source: He et al. 2016, https://arxiv.org/abs/1603.05027

    >>> import minigrad as mg
    >>> tuple(PreActBottleneck(8, 4, stride=2)(mg.zeros(1, 8, 4, 4)).shape)
    (1, 16, 2, 2)
    """

    expansion = 4

    def _add_convolutions(self, inplanes, planes, stride, norm_layer):
        self.conv1 = conv1x1(inplanes, planes)
        self.bn2 = norm_layer(planes)
        self.conv2 = conv3x3(planes, planes, stride)
        self.bn3 = norm_layer(planes)
        self.conv3 = conv1x1(planes, planes * self.expansion)

    def branch(self, x):
        """What is added to the shortcut, of x after normalisation and ReLU."""
        x = self.conv1(x)  # (N, planes, H, W)
        x = self.conv2(call_pair(self.bn2, self.relu, x))  # (N, planes, H/stride, W/stride)
        return self.conv3(call_pair(self.bn3, self.relu, x))


class PreActResNet(nn.Module):
    """A convolution and pooling, four stages of pre-activation blocks, a last normalisation, and one linear layer.

    ::

        (N, 3, 224, 224)  conv 7x7 stride 2, norm, relu, pool 3x3 stride 2  (N, 64, 56, 56)
                          layer1 … layer4, each but the first halving the size  (N, 512·expansion, 7, 7)
                          norm, relu, mean over the positions, fc  (N, num_classes)

    Images of at most 64 pixels get a first convolution of 3x3 and stride 1 and no pooling; any image size can be put
    through either.

    Args:
        block: PreActBasicBlock, PreActBottleneck or another PreActBlock.
        layers: blocks in each of the four stages.
        num_classes: number of outputs.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm2d.
        in_channels: channels of the images.
        image_size: side of the images in pixels; decides the first layers.
        stochastic_depth_prob: drop probability of the last of the L blocks; block l has l/L of it.
        stochastic_depth_mode: "batch" drops a block for all samples, "row" for each by itself.

    Raises:
        ValueError: for a probability outside [0, 1] or another mode.

    Source: He et al. 2016, https://arxiv.org/abs/1603.05027; https://github.com/facebookarchive/fb.resnet.torch

    >>> import minigrad as mg
    >>> model = PreActResNet(PreActBasicBlock, [1, 1, 1, 1], num_classes=10, image_size=32)
    >>> tuple(model(mg.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(
        self,
        block,
        layers,
        num_classes=1000,
        norm_layer=None,
        *,
        in_channels=3,
        image_size=224,
        stochastic_depth_prob=0.0,
        stochastic_depth_mode="batch",
    ):
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        self.in_channels = in_channels
        self.image_size = image_size
        probabilities = drop_probabilities(sum(layers), stochastic_depth_prob, "PreActResNet")
        depths = iter([stochastic_depth_layer(p, stochastic_depth_mode, "PreActResNet") for p in probabilities])

        self.conv1, pool = first_layers(in_channels, image_size)
        self.bn1 = norm_layer(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = pool
        inplanes = 64
        for number, (planes, blocks) in enumerate(zip((64, 128, 256, 512), layers, strict=True), start=1):
            stage = []
            for index in range(blocks):
                stride = 2 if index == 0 and number > 1 else 1
                first = index == 0 and number == 1
                depth = next(depths)
                stage.append(
                    block(
                        inplanes, planes, stride, preactivate=not first, norm_layer=norm_layer, stochastic_depth=depth
                    )
                )
                inplanes = planes * block.expansion
            setattr(self, f"layer{number}", nn.Sequential(*stage))
        self.bn_last = norm_layer(inplanes)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inplanes, num_classes)
        initialize(self)

    def forward(self, x):
        x = call_pair(self.bn1, self.relu, self.conv1(x))  # (N, 64, S/2, S/2)
        x = self.maxpool(x)  # (N, 64, S/4, S/4)
        x = self.layer1(x)  # (N, 64·expansion, S/4, S/4)
        x = self.layer2(x)  # (N, 128·expansion, S/8, S/8)
        x = self.layer3(x)  # (N, 256·expansion, S/16, S/16)
        x = self.layer4(x)  # (N, 512·expansion, S/32, S/32)
        x = call_pair(self.bn_last, self.relu, x)
        x = self.avgpool(x).flatten(1)  # (N, 512·expansion)
        return self.fc(x)


# ---------------------------------------------------------------- the builders
@register
def preact_resnet18(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """Pre-activation ResNet-18: 11,687,720 parameters; kw are further arguments of PreActResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return PreActResNet(PreActBasicBlock, [2, 2, 2, 2], num_classes, **sizes, **kw)


@register
def preact_resnet34(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """Pre-activation ResNet-34: 21,795,880 parameters; kw are further arguments of PreActResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return PreActResNet(PreActBasicBlock, [3, 4, 6, 3], num_classes, **sizes, **kw)


@register
def preact_resnet50(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """Pre-activation ResNet-50: 25,549,352 parameters; kw are further arguments of PreActResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return PreActResNet(PreActBottleneck, [3, 4, 6, 3], num_classes, **sizes, **kw)


@register
def preact_resnet101(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """Pre-activation ResNet-101: 44,541,480 parameters; kw are further arguments of PreActResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return PreActResNet(PreActBottleneck, [3, 4, 23, 3], num_classes, **sizes, **kw)


@register
def preact_resnet152(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """Pre-activation ResNet-152: 60,185,128 parameters; kw are further arguments of PreActResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return PreActResNet(PreActBottleneck, [3, 8, 36, 3], num_classes, **sizes, **kw)


@register
def preact_resnet200(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """Pre-activation ResNet-200, as in cnn-benchmarks: 64,666,152 parameters; kw are arguments of PreActResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return PreActResNet(PreActBottleneck, [3, 24, 36, 3], num_classes, **sizes, **kw)
