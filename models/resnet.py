"""ResNet (He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015), with stochastic depth."""
import minigrad
from minigrad import nn
from minigrad.nn.utils.fusion import call_pair
from minigrad.vision.ops import StochasticDepth
from models.registry import register
from models.sizes import SMALL

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]

STAGE_WIDTHS = (64, 128, 256, 512)


# ---------------------------------------------------------------- pieces that models/preact_resnet.py shares
def conv3x3(in_planes, out_planes, stride=1, groups=1, dilation=1):
    """A 3x3 convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(
        in_planes, out_planes, 3, stride=stride, padding=dilation, groups=groups, bias=False, dilation=dilation
    )


def conv1x1(in_planes, out_planes, stride=1):
    """A 1x1 convolution without bias."""
    return nn.Conv2d(in_planes, out_planes, 1, stride=stride, bias=False)


def first_layers(in_channels, image_size):
    """The first convolution and pooling: 7x7 and 3x3, each of stride 2; for small images 3x3 of stride 1 and none."""
    if image_size <= SMALL:
        return conv3x3(in_channels, STAGE_WIDTHS[0]), nn.Identity()
    conv = nn.Conv2d(in_channels, STAGE_WIDTHS[0], 7, stride=2, padding=3, bias=False)
    return conv, nn.MaxPool2d(kernel_size=3, stride=2, padding=1)


def drop_probabilities(blocks, last, name):
    """Drop probabilities of the residual blocks 1 … L: p_l = l/L · last, so that survival decays linearly.

    Raises:
        ValueError: for a last probability outside [0, 1].

    >>> drop_probabilities(4, 0.5, "ResNet")
    [0.125, 0.25, 0.375, 0.5]
    """
    if not 0.0 <= last <= 1.0:
        raise ValueError(f"{name}: stochastic_depth_prob must be between 0 and 1, but got {last}")
    return [last * (index + 1) / blocks for index in range(blocks)]


def stochastic_depth_layer(p, mode, name):
    """StochasticDepth(p, mode), or None for a block that always survives.

    Raises:
        ValueError: for a mode other than "batch" and "row".
    """
    if mode not in ("batch", "row"):
        raise ValueError(f"{name}: stochastic_depth_mode must be 'batch' or 'row', but got {mode!r}")
    return StochasticDepth(p, mode) if p > 0.0 else None


def add_branch(shortcut, branch, x, depth):
    """shortcut + branch(x), or shortcut alone when stochastic depth drops the branch.

    A branch dropped for the whole batch is not computed, which is what makes training faster (Huang et al.): its
    parameters get no gradient in that step and its batch norms see no batch.
    """
    if depth is None or not depth.training:
        return shortcut + branch(x)
    if depth.mode == "row":
        return shortcut + depth(branch(x))
    # 0 or 1 / (1 - p), drawn before there is anything to scale: on the CPU, so that a GPU is not waited for
    scale = depth(minigrad.ones(1, dtype=minigrad.float64)).item()
    # what is returned may be changed in place (ReLU), the shortcut may be the caller's x: hence the copy
    return shortcut + branch(x) * scale if scale else shortcut.clone()


def residual_sum(block, x):
    """relu(shortcut(x) + F(x)) of a block whose F is block.last_norm(block.convolved(x))."""
    shortcut = x if block.downsample is None else block.downsample(x)
    depth = block.stochastic_depth
    if depth is None or not depth.training:
        return call_pair(block.last_norm, block.relu, block.convolved(x), shortcut)
    return block.relu(add_branch(shortcut, lambda x: block.last_norm(block.convolved(x)), x, depth))


def initialize(model):
    """He initialisation of the convolutions (fan out, gain of ReLU), ones and zeros for the normalisations."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.constant_(module.weight, 1)
            nn.init.constant_(module.bias, 0)


# ---------------------------------------------------------------- the blocks
class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: relu(shortcut(x) + F(x)), F = norm conv relu norm conv.

    Args:
        inplanes: channels of the input.
        planes: channels of the two convolutions.
        stride: of the first convolution.
        downsample: module on the shortcut where size or channels change; None for the identity.
        groups, base_width, dilation: only 1, 64 and 1, as in torchvision.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm2d.
        stochastic_depth: StochasticDepth layer, or None for a block that always survives.

    Raises:
        ValueError: for groups or base_width.
        NotImplementedError: for a dilation.

    Source: He et al. 2015, figure 2; https://docs.pytorch.org/vision/stable/models/resnet.html

    >>> tuple(BasicBlock(8, 8)(minigrad.zeros(1, 8, 4, 4)).shape)
    (1, 8, 4, 4)
    """

    expansion = 1

    def __init__(
        self,
        inplanes,
        planes,
        stride=1,
        downsample=None,
        groups=1,
        base_width=64,
        dilation=1,
        norm_layer=None,
        *,
        stochastic_depth=None,
    ):
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        norm_layer = norm_layer or nn.BatchNorm2d
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride
        self.stochastic_depth = stochastic_depth

    @property
    def last_norm(self):
        """The normalisation that ends the residual branch."""
        return self.bn2

    def convolved(self, x):
        """What the last normalisation normalises."""
        return self.conv2(call_pair(self.bn1, self.relu, self.conv1(x)))  # (N, planes, H/stride, W/stride)

    def forward(self, x):
        return residual_sum(self, x)


class Bottleneck(nn.Module):
    """A 1x1 convolution that narrows, a 3x3 one and a 1x1 one that widens, beside a shortcut.

    The stride is at the 3x3 convolution ("ResNet v1.5", as in torchvision and fb.resnet.torch); the paper has it at the
    first 1x1 convolution, which then skips three quarters of its input.

    Args:
        inplanes: channels of the input.
        planes: channels of the narrow part at groups=1 and base_width=64; the output has 4·planes.
        stride: of the 3x3 convolution.
        downsample: module on the shortcut where size or channels change; None for the identity.
        groups: of the 3x3 convolution (ResNeXt).
        base_width: the narrow part has planes·base_width/64·groups channels.
        dilation: of the 3x3 convolution.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm2d.
        stochastic_depth: StochasticDepth layer, or None for a block that always survives.

    Source: He et al. 2015, figure 5; https://docs.pytorch.org/vision/stable/models/resnet.html

    >>> tuple(Bottleneck(32, 8)(minigrad.zeros(1, 32, 4, 4)).shape)
    (1, 32, 4, 4)
    """

    expansion = 4

    def __init__(
        self,
        inplanes,
        planes,
        stride=1,
        downsample=None,
        groups=1,
        base_width=64,
        dilation=1,
        norm_layer=None,
        *,
        stochastic_depth=None,
    ):
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * base_width / 64) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride
        self.stochastic_depth = stochastic_depth

    @property
    def last_norm(self):
        """The normalisation that ends the residual branch."""
        return self.bn3

    def convolved(self, x):
        """What the last normalisation normalises."""
        x = call_pair(self.bn1, self.relu, self.conv1(x))  # (N, width, H, W)
        x = call_pair(self.bn2, self.relu, self.conv2(x))  # (N, width, H/stride, W/stride)
        return self.conv3(x)

    def forward(self, x):
        return residual_sum(self, x)


# ---------------------------------------------------------------- the network
class ResNet(nn.Module):
    """A convolution and pooling, four stages of residual blocks, and one linear layer.

    ::

        (N, 3, 224, 224)  conv 7x7 stride 2, pool 3x3 stride 2  (N, 64, 56, 56)
                          layer1 … layer4, each but the first halving the size  (N, 512·expansion, 7, 7)
                          mean over the positions, fc  (N, num_classes)

    Constructor, ``state_dict`` keys and initialisation are torchvision's. Images of at most 64 pixels get a first
    convolution of 3x3 and stride 1 and no pooling, as is usual on CIFAR; any image size can be put through either.

    Args:
        block: BasicBlock, Bottleneck, or a class with their arguments and ``expansion``.
        layers: blocks in each of the four stages.
        num_classes: number of outputs.
        zero_init_residual: start the last normalisation of every block at 0: blocks start as the identity.
        groups, width_per_group: of the 3x3 convolutions (ResNeXt, Wide ResNet).
        replace_stride_with_dilation: for each of layer2 … layer4, whether to dilate instead of striding.
        norm_layer: makes a normalisation of so many channels; None for nn.BatchNorm2d.
        in_channels: channels of the images.
        image_size: side of the images in pixels; decides the first layers.
        stochastic_depth_prob: drop probability of the last of the L blocks; block l has l/L of it.
        stochastic_depth_mode: "batch" drops a block for all samples, "row" for each by itself.

    Raises:
        ValueError: for a replace_stride_with_dilation that is no 3 values, a probability or mode that is none.
        NotImplementedError: for dilation with BasicBlock.

    Source: He et al. 2015, table 1; Huang et al. 2016 for stochastic depth;
    https://docs.pytorch.org/vision/stable/models/resnet.html

    >>> model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10, image_size=32, stochastic_depth_prob=0.5)
    >>> tuple(model(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    >>> [layer[0].stochastic_depth.p for layer in (model.layer1, model.layer2, model.layer3, model.layer4)]
    [0.125, 0.25, 0.375, 0.5]
    """

    def __init__(
        self,
        block,
        layers,
        num_classes=1000,
        zero_init_residual=False,
        groups=1,
        width_per_group=64,
        replace_stride_with_dilation=None,
        norm_layer=None,
        *,
        in_channels=3,
        image_size=224,
        stochastic_depth_prob=0.0,
        stochastic_depth_mode="batch",
    ):
        super().__init__()
        dilate = (False, False, False) if replace_stride_with_dilation is None else replace_stride_with_dilation
        if len(dilate) != 3:
            raise ValueError(
                f"replace_stride_with_dilation should be None or a 3-element tuple, got {replace_stride_with_dilation}"
            )
        self.in_channels = in_channels
        self.image_size = image_size
        self.inplanes = STAGE_WIDTHS[0]
        self.dilation = 1
        self.groups = groups
        self.base_width = width_per_group
        self._norm_layer = norm_layer or nn.BatchNorm2d
        probabilities = iter(drop_probabilities(sum(layers), stochastic_depth_prob, "ResNet"))
        depths = (stochastic_depth_layer(p, stochastic_depth_mode, "ResNet") for p in probabilities)

        self.conv1, pool = first_layers(in_channels, image_size)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = pool
        self.layer1 = self._stage(block, 64, layers[0], 1, False, depths)
        self.layer2 = self._stage(block, 128, layers[1], 2, dilate[0], depths)
        self.layer3 = self._stage(block, 256, layers[2], 2, dilate[1], depths)
        self.layer4 = self._stage(block, 512, layers[3], 2, dilate[2], depths)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)

        initialize(self)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    nn.init.constant_(module.last_norm.weight, 0)

    def _stage(self, block, planes, blocks, stride, dilate, depths):
        """A stage: the first block changes size and channels, the others keep them."""
        first_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            downsample = nn.Sequential(
                conv1x1(self.inplanes, planes * block.expansion, stride), self._norm_layer(planes * block.expansion)
            )
        stage = []
        for index in range(blocks):
            depth = next(depths)
            stage.append(
                block(
                    self.inplanes,
                    planes,
                    stride if index == 0 else 1,
                    downsample if index == 0 else None,
                    self.groups,
                    self.base_width,
                    first_dilation if index == 0 else self.dilation,
                    self._norm_layer,
                    # a block class of the user's that knows no stochastic depth need not take the argument
                    **({} if depth is None else {"stochastic_depth": depth}),
                )
            )
            self.inplanes = planes * block.expansion
        return nn.Sequential(*stage)

    def forward(self, x):
        x = call_pair(self.bn1, self.relu, self.conv1(x))  # (N, 64, S/2, S/2)
        x = self.maxpool(x)  # (N, 64, S/4, S/4)
        x = self.layer1(x)  # (N, 64·expansion, S/4, S/4)
        x = self.layer2(x)  # (N, 128·expansion, S/8, S/8)
        x = self.layer3(x)  # (N, 256·expansion, S/16, S/16)
        x = self.layer4(x)  # (N, 512·expansion, S/32, S/32)
        x = self.avgpool(x).flatten(1)  # (N, 512·expansion)
        return self.fc(x)


# ---------------------------------------------------------------- the builders
@register
def resnet18(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """ResNet-18: 11,689,512 parameters; kw are further arguments of ResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, **sizes, **kw)


@register
def resnet34(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """ResNet-34: 21,797,672 parameters; kw are further arguments of ResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, **sizes, **kw)


@register
def resnet50(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """ResNet-50: 25,557,032 parameters; kw are further arguments of ResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return ResNet(Bottleneck, [3, 4, 6, 3], num_classes, **sizes, **kw)


@register
def resnet101(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """ResNet-101: 44,549,160 parameters; kw are further arguments of ResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return ResNet(Bottleneck, [3, 4, 23, 3], num_classes, **sizes, **kw)


@register
def resnet152(num_classes=1000, *, in_channels=3, image_size=224, stochastic_depth_prob=0.0, **kw):
    """ResNet-152: 60,192,808 parameters; kw are further arguments of ResNet."""
    sizes = {"in_channels": in_channels, "image_size": image_size, "stochastic_depth_prob": stochastic_depth_prob}
    return ResNet(Bottleneck, [3, 8, 36, 3], num_classes, **sizes, **kw)


def _variant(builder, name, num_classes, fixed, kw):
    """A ResNet with fixed groups or widths, which may be given again but not changed.

    Raises:
        ValueError: for another value of one of them.
    """
    for argument, value in fixed.items():
        if kw.get(argument, value) != value:
            raise ValueError(f"{name}: {argument} must be {value}, but got {kw[argument]!r}")
    return builder(num_classes, **{**kw, **fixed})


@register
def resnext50_32x4d(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """ResNeXt-50 with 32 groups of width 4 (Xie et al. 2016): 25,028,904 parameters."""
    kw.update(in_channels=in_channels, image_size=image_size)
    return _variant(resnet50, "resnext50_32x4d", num_classes, {"groups": 32, "width_per_group": 4}, kw)


@register
def resnext101_32x8d(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """ResNeXt-101 with 32 groups of width 8 (Xie et al. 2016): 88,791,336 parameters."""
    kw.update(in_channels=in_channels, image_size=image_size)
    return _variant(resnet101, "resnext101_32x8d", num_classes, {"groups": 32, "width_per_group": 8}, kw)


@register
def resnext101_64x4d(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """ResNeXt-101 with 64 groups of width 4 (Xie et al. 2016): 83,455,272 parameters."""
    kw.update(in_channels=in_channels, image_size=image_size)
    return _variant(resnet101, "resnext101_64x4d", num_classes, {"groups": 64, "width_per_group": 4}, kw)


@register
def wide_resnet50_2(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """ResNet-50 whose 3x3 convolutions are twice as wide (Zagoruyko and Komodakis 2016): 68,883,240 parameters."""
    kw.update(in_channels=in_channels, image_size=image_size)
    return _variant(resnet50, "wide_resnet50_2", num_classes, {"width_per_group": 128}, kw)


@register
def wide_resnet101_2(num_classes=1000, *, in_channels=3, image_size=224, **kw):
    """ResNet-101 whose 3x3 convolutions are twice as wide (Zagoruyko and Komodakis 2016): 126,886,696 parameters."""
    kw.update(in_channels=in_channels, image_size=image_size)
    return _variant(resnet101, "wide_resnet101_2", num_classes, {"width_per_group": 128}, kw)
