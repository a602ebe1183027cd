"""Inception v3 (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015)."""
from collections import namedtuple

import minigrad
from minigrad import nn
from models.googlenet import BasicConv2d
from models.registry import variant
from models.sizes import SMALL

__all__ = ["Inception3", "InceptionOutputs", "inception_v3"]

InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])
InceptionOutputs.__doc__ = "What Inception3 returns while training: class scores of the network and of its helper."


# ---------------------------------------------------------------- modules
class _Mixed(nn.Module):
    """Ways side by side on one input, their outputs concatenated: what the modules A to E have in common."""

    def __init__(self, in_channels, conv_block):
        super().__init__()
        self._in_channels = in_channels
        self._conv_block = conv_block or BasicConv2d
        self._ways = []  # lists of the names of convolutions, in a row; a tuple of names for a fork

    def _conv(self, name, in_channels, out_channels, kernel_size, stride=1):
        """A convolution that keeps the size at stride 1 and is not padded otherwise."""
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        padding = tuple((side - 1) // 2 for side in kernel) if stride == 1 else (0, 0)
        conv = self._conv_block(in_channels, out_channels, kernel_size=kernel, stride=stride, padding=padding)
        self.add_module(name, conv)
        return out_channels

    def _way(self, *convolutions, fork=()):
        """Convolutions (name, filters, kernel, stride) one after the other, those of fork side by side at the end."""
        channels = self._in_channels
        for name, *settings in convolutions:
            channels = self._conv(name, channels, *settings)
        for name, *settings in fork:
            self._conv(name, channels, *settings)
        names = [name for name, *_ in convolutions]
        self._ways.append(names + [tuple(name for name, *_ in fork)] if fork else names)

    def _walk(self, way, x):
        for step in way:
            if isinstance(step, str):
                x = getattr(self, step)(x)
            else:
                x = self._joined([getattr(self, name)(x) for name in step], way)
        return x

    def _joined(self, outputs, way=None):
        """Outputs concatenated in depth: those of a way's fork, or, for None, of all ways."""
        return minigrad.cat(outputs, 1)

    def _pooled(self, x):
        """The last way: means of 3x3 and a 1x1 convolution."""
        return self.branch_pool(nn.functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1))

    def forward(self, x):
        return self._joined([*(self._walk(way, x) for way in self._ways), self._pooled(x)])


class _Shrinking(_Mixed):
    """A module that halves the size; its last way is a pooling alone."""

    def _pooled(self, x):
        return nn.functional.max_pool2d(x, kernel_size=3, stride=2)


class InceptionA(_Mixed):
    """1x1, 5x5, two 3x3 and pooling (figure 5 of the paper): 224 + pool_features channels."""

    def __init__(self, in_channels, pool_features, conv_block=None):
        super().__init__(in_channels, conv_block)
        self._way(("branch1x1", 64, 1))
        self._way(("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5))
        self._way(("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3))
        self._conv("branch_pool", in_channels, pool_features, 1)


class InceptionB(_Shrinking):
    """3x3, two 3x3 and pooling, of stride 2 (figure 10): 480 + in_channels channels."""

    def __init__(self, in_channels, conv_block=None):
        super().__init__(in_channels, conv_block)
        self._way(("branch3x3", 384, 3, 2))
        self._way(("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3, 2))


class InceptionC(_Mixed):
    """1x1, 7x7 in two factors, 7x7 twice in four, and pooling (figure 6): 768 channels."""

    def __init__(self, in_channels, channels_7x7, conv_block=None):
        super().__init__(in_channels, conv_block)
        wide, high, c7 = (1, 7), (7, 1), channels_7x7
        self._way(("branch1x1", 192, 1))
        self._way(("branch7x7_1", c7, 1), ("branch7x7_2", c7, wide), ("branch7x7_3", 192, high))
        self._way(
            ("branch7x7dbl_1", c7, 1),
            ("branch7x7dbl_2", c7, high),
            ("branch7x7dbl_3", c7, wide),
            ("branch7x7dbl_4", c7, high),
            ("branch7x7dbl_5", 192, wide),
        )
        self._conv("branch_pool", in_channels, 192, 1)


class InceptionD(_Shrinking):
    """3x3, 7x7 and 3x3, and pooling, of stride 2: 512 + in_channels channels."""

    def __init__(self, in_channels, conv_block=None):
        super().__init__(in_channels, conv_block)
        self._way(("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2))
        self._way(
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
            ("branch7x7x3_4", 192, 3, 2),
        )


class InceptionE(_Mixed):
    """1x1, 3x3 and two 3x3 whose last one is forked into 1x3 and 3x1, and pooling (figure 7): 2048 channels."""

    def __init__(self, in_channels, conv_block=None):
        super().__init__(in_channels, conv_block)
        wide, high = (1, 3), (3, 1)
        self._way(("branch1x1", 320, 1))
        self._way(("branch3x3_1", 384, 1), fork=(("branch3x3_2a", 384, wide), ("branch3x3_2b", 384, high)))
        self._way(
            ("branch3x3dbl_1", 448, 1),
            ("branch3x3dbl_2", 384, 3),
            fork=(("branch3x3dbl_3a", 384, wide), ("branch3x3dbl_3b", 384, high)),
        )
        self._conv("branch_pool", in_channels, 192, 1)


class InceptionAux(nn.Module):
    """The auxiliary classifier on the 17x17 maps: pooling, 1x1, 5x5, mean, linear."""

    def __init__(self, in_channels, num_classes, conv_block=None):
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.conv0 = conv_block(in_channels, 128, kernel_size=1)
        self.conv1 = conv_block(128, 768, kernel_size=5)
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x):
        x = nn.functional.avg_pool2d(x, kernel_size=5, stride=3)  # (N, 768, 5, 5) of 17x17
        x = self.conv1(self.conv0(x))  # (N, 768, 1, 1)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1)
        return self.fc(x)


# ---------------------------------------------------------------- the network
class Inception3(nn.Module):
    """Five convolutions, eleven Inception modules of five kinds and one linear layer, for images of 299 pixels.

    While training, the result is ``InceptionOutputs(logits, aux_logits)`` if there is the auxiliary classifier.

    Args:
        num_classes: number of outputs.
        aux_logits: whether there is the auxiliary classifier.
        transform_input: expect images normalised by ImageNet's mean and deviation and bring them to mean 0.5 and
            deviation 0.5, which the published weights want.
        inception_blocks: seven classes: the convolution, the modules A to E, the auxiliary classifier.
        init_weights: None or True for normal weights of deviation 0.1; False for the layers' own initialisation.
        dropout: before the last layer.
        in_channels: channels of the images.
        image_size: side of the images in pixels: up to 64, the first convolution has stride 1.

    Raises:
        ValueError: for other than seven blocks, transform_input with other than 3 channels, or images too small: other
            than 39 … 64 and 75 and more pixels, or less than 299 with the auxiliary classifier.

    Source: Szegedy et al. 2015, https://arxiv.org/abs/1512.00567;
    https://docs.pytorch.org/vision/stable/models/inception.html

    >>> model = Inception3(10, aux_logits=False, image_size=75).eval()
    >>> tuple(model(minigrad.zeros(1, 3, 75, 75)).shape)
    (1, 10)
    """

    training_parts = ("AuxLogits",)  # a file of weights may have it though the network has not

    def __init__(
        self,
        num_classes=1000,
        aux_logits=True,
        transform_input=False,
        inception_blocks=None,
        init_weights=None,
        dropout=0.5,
        *,
        in_channels=3,
        image_size=299,
    ):
        super().__init__()
        blocks = inception_blocks
        if blocks is None:
            blocks = [BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux]
        if len(blocks) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(blocks)}")
        if transform_input and in_channels != 3:
            raise ValueError(f"Inception3: transform_input needs 3 channels, but in_channels is {in_channels}")
        stride = 1 if image_size <= SMALL else 2
        _check_side(image_size, stride, aux_logits)
        conv_block, inception_a, inception_b, inception_c, inception_d, inception_e, inception_aux = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.in_channels = in_channels
        self.image_size = image_size
        self.Conv2d_1a_3x3 = conv_block(in_channels, 32, kernel_size=3, stride=stride)
        self.Conv2d_2a_3x3 = conv_block(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv_block(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv_block(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv_block(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = inception_a(192, pool_features=32)
        self.Mixed_5c = inception_a(256, pool_features=64)
        self.Mixed_5d = inception_a(288, pool_features=64)
        self.Mixed_6a = inception_b(288)
        self.Mixed_6b = inception_c(768, channels_7x7=128)
        self.Mixed_6c = inception_c(768, channels_7x7=160)
        self.Mixed_6d = inception_c(768, channels_7x7=160)
        self.Mixed_6e = inception_c(768, channels_7x7=192)
        self.AuxLogits = inception_aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = inception_d(768)
        self.Mixed_7b = inception_e(1280)
        self.Mixed_7c = inception_e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights or init_weights is None:
            for module in self.modules():
                if isinstance(module, (nn.Conv2d, nn.Linear)):
                    deviation = getattr(module, "stddev", 0.1)
                    nn.init.trunc_normal_(module.weight, mean=0.0, std=deviation, a=-2, b=2)

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
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # (N, 64, 147, 147)
        x = self.maxpool1(x)  # (N, 64, 73, 73)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))  # (N, 192, 71, 71)
        x = self.maxpool2(x)  # (N, 192, 35, 35)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # (N, 288, 35, 35)
        x = self.Mixed_6a(x)  # (N, 768, 17, 17)
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))  # (N, 768, 17, 17)
        auxiliary = self.training and self.AuxLogits is not None
        aux = self.AuxLogits(x) if auxiliary else None
        x = self.Mixed_7a(x)  # (N, 1280, 8, 8)
        x = self.Mixed_7c(self.Mixed_7b(x))  # (N, 2048, 8, 8)
        x = self.dropout(self.avgpool(x)).flatten(1)  # (N, 2048)
        x = self.fc(x)
        return InceptionOutputs(x, aux) if auxiliary else x


def _check_side(image_size, stride, aux_logits):
    """Follow the maps of a square image through the unpadded convolutions and poolings.

    Raises:
        ValueError: if nothing is left before the last modules, or too little for the auxiliary classifier's 5x5.
    """

    def shrunk(side, stride):
        return (side - 3) // stride + 1

    side = shrunk(shrunk(image_size, stride), 1)
    side = shrunk(shrunk(shrunk(side, 2), 1), 2)  # after maxpool2
    side = shrunk(side, 2)  # of the modules 6
    if side < 3:
        raise ValueError(f"Inception3: nothing is left of images of {image_size} pixels after the convolutions")
    if aux_logits and (side - 5) // 3 + 1 < 5:
        raise ValueError(
            f"Inception3: the auxiliary classifier needs larger images than {image_size} pixels; use aux_logits=False"
        )


inception_v3 = variant(
    "inception_v3",
    Inception3,
    "Inception v3 for images of 299 pixels: 23,834,568 parameters, 27,161,264 with the auxiliary classifier.",
    image_size=299,
)
