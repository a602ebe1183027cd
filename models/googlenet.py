"""GoogLeNet (Szegedy et al., "Going Deeper with Convolutions", 2014), with two kinds of Inception modules."""
from collections import namedtuple

import minigrad
from minigrad import nn
from models.registry import register
from models.sizes import SMALL

__all__ = [
    "BasicConv2d",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "Inception",
    "InceptionAux",
    "NaiveInception",
    "PlainConv2d",
    "googlenet",
]

GoogLeNetOutputs = namedtuple("GoogLeNetOutputs", ["logits", "aux_logits2", "aux_logits1"])
GoogLeNetOutputs.__doc__ = "What GoogLeNet returns while training: class scores of the network and of its two helpers."

# The paper's table 1: filters of 1x1, of 3x3 with the 1x1 in front of them, of 5x5 likewise, and 1x1 after the pooling.
MODULES = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
SMALLEST_IMAGE = 8


# ---------------------------------------------------------------- convolutions
class BasicConv2d(nn.Sequential):
    """A convolution without bias, batch normalisation (eps 0.001) and ReLU; kwargs are nn.Conv2d's.

    >>> tuple(BasicConv2d(3, 8, kernel_size=3, padding=1)(minigrad.zeros(1, 3, 4, 4)).shape)
    (1, 8, 4, 4)
    """

    def __init__(self, in_channels, out_channels, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)
        self.relu = nn.ReLU(inplace=True)


class PlainConv2d(nn.Sequential):
    """A convolution with bias and ReLU, as in the paper; kwargs are nn.Conv2d's.

    >>> tuple(PlainConv2d(3, 8, kernel_size=3, padding=1)(minigrad.zeros(1, 3, 4, 4)).shape)
    (1, 8, 4, 4)
    """

    def __init__(self, in_channels, out_channels, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, **kwargs)
        self.relu = nn.ReLU(inplace=True)


# ---------------------------------------------------------------- modules
class _Parallel(nn.Module):
    """Branches side by side on one input, their outputs concatenated in depth."""

    def forward(self, x):
        return minigrad.cat([branch(x) for branch in self.children()], 1)  # (N, out_channels, H, W)

    @property
    def depth(self):
        """The number of layers with parameters on the longest way through."""
        return max(_convolutions(branch) for branch in self.children())


def _convolutions(module):
    return sum(isinstance(part, nn.Conv2d) for part in module.modules())


class Inception(_Parallel):
    """The Inception module: 1x1, 3x3 and 5x5 convolutions and pooling side by side, each narrowed by a 1x1 convolution.

    Figure 2 (b) of the paper. The 1x1 convolutions in front of the large ones reduce the depth these have to read, the
    one after the pooling the depth that it passes on. As in torchvision, whose published weights have it so, the "5x5"
    convolutions are 3x3 unless five_by_five is set.

    Args:
        in_channels: channels of the input.
        ch1x1: filters of the 1x1 branch.
        ch3x3red, ch3x3: filters of the 3x3 branch: of the 1x1 convolution in front, and of the 3x3 one.
        ch5x5red, ch5x5: the same of the 5x5 branch.
        pool_proj: filters of the 1x1 convolution after the pooling.
        conv_block: makes a convolution from (in_channels, out_channels, **kwargs); None for BasicConv2d.
        five_by_five: whether the 5x5 branch has a 5x5 convolution; torchvision's has a 3x3 one.

    Source: Szegedy et al. 2014, https://arxiv.org/abs/1409.4842

    >>> module = Inception(256, 128, 64, 192, 64, 96, 64, five_by_five=True)
    >>> module.out_channels, tuple(module(minigrad.zeros(1, 256, 7, 7)).shape)
    (480, (1, 480, 7, 7))
    """

    def __init__(
        self,
        in_channels,
        ch1x1,
        ch3x3red,
        ch3x3,
        ch5x5red,
        ch5x5,
        pool_proj,
        conv_block=None,
        *,
        five_by_five=False,
    ):
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.branch1 = conv_block(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv_block(in_channels, ch3x3red, kernel_size=1),
            conv_block(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            conv_block(in_channels, ch5x5red, kernel_size=1),
            conv_block(ch5x5red, ch5x5, **_five(five_by_five)),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            conv_block(in_channels, pool_proj, kernel_size=1),
        )
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + pool_proj


class NaiveInception(_Parallel):
    """The naive Inception module: 1x1, 3x3 and 5x5 convolutions and pooling, all on the whole depth of the input.

    Figure 2 (a) of the paper. The pooling passes on every channel, so that the depth grows from module to module, and
    with it the operations of the large convolutions: what the 1x1 convolutions of ``Inception`` are for.

    Args:
        in_channels: channels of the input.
        ch1x1, ch3x3, ch5x5: filters of the three convolutions.
        conv_block: makes a convolution from (in_channels, out_channels, **kwargs); None for BasicConv2d.
        five_by_five: False for a 3x3 convolution in place of the 5x5 one.

    Source: Szegedy et al. 2014, https://arxiv.org/abs/1409.4842

    >>> module = NaiveInception(256, 128, 192, 96)
    >>> module.out_channels, tuple(module(minigrad.zeros(1, 256, 7, 7)).shape)
    (672, (1, 672, 7, 7))
    """

    def __init__(self, in_channels, ch1x1, ch3x3, ch5x5, conv_block=None, *, five_by_five=True):
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.branch1 = conv_block(in_channels, ch1x1, kernel_size=1)
        self.branch2 = conv_block(in_channels, ch3x3, kernel_size=3, padding=1)
        self.branch3 = conv_block(in_channels, ch5x5, **_five(five_by_five))
        self.branch4 = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + in_channels


def _five(five_by_five):
    return {"kernel_size": 5, "padding": 2} if five_by_five else {"kernel_size": 3, "padding": 1}


class InceptionAux(nn.Module):
    """An auxiliary classifier half-way: 4x4 means, a 1x1 convolution, two linear layers with dropout between.

    Its loss gives the lower layers a gradient from nearby; it is used in training only. Maps smaller than 4x4 are
    brought to 4x4 too, their values repeated.

    Args:
        in_channels: channels of the maps it looks at.
        num_classes: number of outputs.
        conv_block: makes a convolution from (in_channels, out_channels, **kwargs); None for BasicConv2d.
        dropout: probability of dropping a hidden value.

    Source: Szegedy et al. 2014, section 5 (whose pooling is 5x5 with stride 3, which makes 4x4 of 14x14)

    >>> tuple(InceptionAux(16, 10)(minigrad.zeros(2, 16, 14, 14)).shape)
    (2, 10)
    """

    def __init__(self, in_channels, num_classes, conv_block=None, dropout=0.7):
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.conv = conv_block(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(x, (4, 4))  # (N, C, 4, 4)
        x = self.conv(x).flatten(1)  # (N, 128·4·4)
        x = nn.functional.relu(self.fc1(x), inplace=True)  # (N, 1024)
        return self.fc2(self.dropout(x))


# ---------------------------------------------------------------- the network
class GoogLeNet(nn.Module):
    """Three convolutions, nine Inception modules and one linear layer: 22 layers with parameters.

    ::

        (N, 3, 224, 224)  conv1 7x7 stride 2, pool  (N, 64, 56, 56)     conv2 1x1, conv3 3x3, pool  (N, 192, 28, 28)
                          inception3a, 3b, pool     (N, 480, 14, 14)    inception4a … 4e, pool      (N, 832, 7, 7)
                          inception5a, 5b           (N, 1024, 7, 7)     mean over the positions, fc (N, num_classes)

    Constructor, ``state_dict`` keys and quirks are torchvision's: batch normalisation, and 3x3 convolutions where the
    paper has 5x5. ``five_by_five=True, batch_norm=False`` is the paper's network: true 5x5 convolutions, biases instead
    of batch normalisation, local response normalisation after the first pooling and before the second.

    In training mode the result is ``GoogLeNetOutputs(logits, aux_logits2, aux_logits1)`` if there are auxiliary
    classifiers (after 4a and 4d; the paper weighs their losses by 0.3), otherwise and at test time the logits.

    Parameters: 6,624,904 (and 13,004,888 with the auxiliary classifiers); the paper's variant 6,998,552 and 13,378,280.
    "12 times fewer than AlexNet" (the paper), "5 million" (the lecture) is not what the paper's table 1 adds up to:
    6,798 K, K being 1024, of which 1,000 K are the classifier's. Against AlexNet's 61 million that is 9 times fewer.

    Images of at most 64 pixels are convolved with 3x3 and stride 1 first and not pooled thereafter, so that 32x32
    pixels give 16x16 maps in the first modules and 4x4 in the last; any image size can be put through either.

    Args:
        num_classes: number of outputs.
        aux_logits: whether there are auxiliary classifiers.
        transform_input: expect images normalised by ImageNet's mean and deviation and bring them to mean 0.5 and
            deviation 0.5, which the weights published with torchvision want.
        init_weights: None or True for normal weights of deviation 0.01 (He initialisation without batch
            normalisation, where so small ones would not learn); False for the layers' own initialisation. torchvision
            warns of None, which may come to mean False there.
        blocks: [convolution, Inception module, auxiliary classifier] classes; None for those of this file.
        dropout: before the last layer.
        dropout_aux: in the auxiliary classifiers.
        in_channels: channels of the images.
        image_size: side of the images in pixels, at least 8; decides the first layers.
        inception: "bottleneck" for Inception, "naive" for NaiveInception modules, in which nothing is narrowed.
        five_by_five: whether 5x5 convolutions are 5x5 rather than 3x3; None for what the modules do by themselves:
            Inception 3x3 as in torchvision, NaiveInception 5x5 as in the lecture.
        batch_norm: False for the paper's plain convolutions.

    Raises:
        ValueError: for other than three blocks, an unknown inception, blocks together with the keywords that choose
            them, transform_input with other than 3 channels, or images too small.

    Source: Szegedy et al. 2014, https://arxiv.org/abs/1409.4842;
    https://docs.pytorch.org/vision/stable/models/googlenet.html

    >>> model = GoogLeNet(num_classes=10, aux_logits=False, image_size=32)
    >>> tuple(model(minigrad.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    >>> model.depth
    22
    """

    training_parts = ("aux1", "aux2")  # a file of weights may have them though the network has not

    def __init__(
        self,
        num_classes=1000,
        aux_logits=True,
        transform_input=False,
        init_weights=None,
        blocks=None,
        dropout=0.2,
        dropout_aux=0.7,
        *,
        in_channels=3,
        image_size=224,
        inception="bottleneck",
        five_by_five=None,
        batch_norm=True,
    ):
        super().__init__()
        if transform_input and in_channels != 3:
            raise ValueError(f"GoogLeNet: transform_input needs images of 3 channels, but in_channels is {in_channels}")
        if image_size < SMALLEST_IMAGE:
            raise ValueError(f"GoogLeNet: image_size must be at least {SMALLEST_IMAGE}, but got {image_size}")
        conv_block, make_module, aux_block = self._blocks(blocks, inception, five_by_five, batch_norm)
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.in_channels = in_channels
        self.image_size = image_size
        self.batch_norm = batch_norm
        small = image_size <= SMALL

        first = {"kernel_size": 3, "padding": 1} if small else {"kernel_size": 7, "stride": 2, "padding": 3}
        self.conv1 = conv_block(in_channels, 64, **first)
        self.maxpool1 = nn.Identity() if small else _pool(3)
        if not batch_norm:
            self.norm1 = _response_norm()
        self.conv2 = conv_block(64, 64, kernel_size=1)
        self.conv3 = conv_block(64, 192, kernel_size=3, padding=1)
        if not batch_norm:
            self.norm2 = _response_norm()
        self.maxpool2 = _pool(3)
        channels = {"conv3": 192}  # of what each part gives
        last = "conv3"
        for name, filters in MODULES.items():
            if name == "inception4a":
                self.maxpool3 = _pool(3)
            if name == "inception5a":
                self.maxpool4 = _pool(2 if batch_norm else 3)  # torchvision's is 2x2, the paper's 3x3
            module, channels[name] = make_module(channels[last], filters)
            setattr(self, name, module)
            last = name
        self.aux1 = aux_block(channels["inception4a"], num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux_block(channels["inception4d"], num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(channels[last], num_classes)
        if init_weights or init_weights is None:
            self._initialize(batch_norm)

    @staticmethod
    def _blocks(blocks, inception, five_by_five, batch_norm):
        """What makes a convolution, a module and its depth from (in_channels, filters), and an auxiliary classifier."""
        if inception not in ("bottleneck", "naive"):
            raise ValueError(f"GoogLeNet: inception must be 'bottleneck' or 'naive', but got {inception!r}")
        if blocks is not None:
            if len(blocks) != 3:
                raise ValueError(f"blocks length should be 3 instead of {len(blocks)}")
            if inception != "bottleneck" or five_by_five is not None or not batch_norm:
                raise ValueError("GoogLeNet: give either blocks or inception, five_by_five and batch_norm")
            conv_block, module_block, aux_block = blocks
            # torchvision's blocks do not tell how many channels they give: the table does
            return conv_block, lambda channels, f: (module_block(channels, *f), f[0] + f[2] + f[4] + f[5]), aux_block

        conv_block = BasicConv2d if batch_norm else PlainConv2d

        def make_module(channels, filters):
            if inception == "bottleneck":
                module = Inception(channels, *filters, conv_block, five_by_five=bool(five_by_five))
            else:
                ch1x1, _, ch3x3, _, ch5x5, _ = filters
                five = five_by_five is None or five_by_five
                module = NaiveInception(channels, ch1x1, ch3x3, ch5x5, conv_block, five_by_five=five)
            return module, module.out_channels

        def aux_block(channels, num_classes, dropout):
            return InceptionAux(channels, num_classes, conv_block, dropout)

        return conv_block, make_module, aux_block

    def _initialize(self, batch_norm):
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                if batch_norm:
                    # torchvision cuts at ±2, which is 200 deviations: nothing is cut
                    nn.init.normal_(module.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)

    @property
    def depth(self):
        """The number of layers with parameters from the images to the logits, of parallel ones the longest way."""
        return 3 + sum(getattr(self, name).depth for name in MODULES) + 1

    def _transformed(self, x):
        """Images normalised by ImageNet's mean and deviation, normalised by 0.5 and 0.5 instead."""
        scale = [deviation / 0.5 for deviation in (0.229, 0.224, 0.225)]
        shift = [(mean - 0.5) / 0.5 for mean in (0.485, 0.456, 0.406)]
        scale = minigrad.tensor(scale, dtype=x.dtype, device=x.device).reshape(1, 3, 1, 1)
        shift = minigrad.tensor(shift, dtype=x.dtype, device=x.device).reshape(1, 3, 1, 1)
        return x * scale + shift

    def forward(self, x):
        return self._forward(self._transformed(x) if self.transform_input else x)

    def _forward(self, x):
        x = self.maxpool1(self.conv1(x))  # (N, 64, S/4, S/4)
        if not self.batch_norm:
            x = self.norm1(x)
        x = self.conv3(self.conv2(x))  # (N, 192, S/4, S/4)
        if not self.batch_norm:
            x = self.norm2(x)
        x = self.maxpool2(x)  # (N, 192, S/8, S/8)
        x = self.inception3b(self.inception3a(x))  # (N, 480, S/8, S/8)
        x = self.maxpool3(x)  # (N, 480, S/16, S/16)
        x = self.inception4a(x)  # (N, 512, S/16, S/16)
        auxiliary = self.training and self.aux1 is not None
        aux1 = self.aux1(x) if auxiliary else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))  # (N, 528, S/16, S/16)
        aux2 = self.aux2(x) if auxiliary else None
        x = self.inception4e(x)  # (N, 832, S/16, S/16)
        x = self.maxpool4(x)  # (N, 832, S/32, S/32)
        x = self.inception5b(self.inception5a(x))  # (N, 1024, S/32, S/32)
        x = self.avgpool(x).flatten(1)  # (N, 1024)
        x = self.fc(self.dropout(x))
        return GoogLeNetOutputs(x, aux2, aux1) if auxiliary else x


def _pool(kernel_size):
    """Pooling that halves the size, rounding up."""
    return nn.MaxPool2d(kernel_size, stride=2, ceil_mode=True)


def _response_norm():
    """The paper's normalisation over neighbouring channels, which batch normalisation makes superfluous."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


@register
def googlenet(
    num_classes=1000,
    *,
    in_channels=3,
    image_size=224,
    aux_logits=True,
    inception="bottleneck",
    five_by_five=None,
    batch_norm=True,
    **kw,
):
    """GoogLeNet: 6,624,904 parameters, 13,004,888 with auxiliary classifiers; kw are further arguments of GoogLeNet.

    torchvision's published file wants ``transform_input=True``; with ``aux_logits=False`` its auxiliary classifiers,
    which are not trained, are left out: ``googlenet(weights=PATH, transform_input=True, aux_logits=False)``.
    """
    return GoogLeNet(
        num_classes,
        aux_logits,
        in_channels=in_channels,
        image_size=image_size,
        inception=inception,
        five_by_five=five_by_five,
        batch_norm=batch_norm,
        **kw,
    )
