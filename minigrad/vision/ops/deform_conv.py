"""Deformable convolution: every value of the kernel looks where an offset says."""

import math

from minigrad.nn.init import kaiming_uniform_, uniform_
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.ops.creation import empty
from minigrad.ops.sequences import arange

__all__ = ["DeformConv2d", "deform_conv2d"]


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def _sizes(input, offset, weight, mask, stride, padding, dilation):
    """Groups of the convolution and of the offsets, and the output's (height, width); RuntimeError if nothing fits."""
    if input.ndim != 4 or weight.ndim != 4 or offset.ndim != 4:
        raise RuntimeError(
            f"deform_conv2d: input, offset and weight must be 4 dimensional, but have shapes {tuple(input.shape)}, "
            f"{tuple(offset.shape)} and {tuple(weight.shape)}"
        )
    kernel = weight.shape[2:]
    cells = kernel[0] * kernel[1]
    channels = input.shape[1]
    groups = channels // weight.shape[1]
    offset_groups = offset.shape[1] // (2 * cells)
    if offset_groups == 0:
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple of 2 * weight.size[2] "
            f"* weight.size[3].\nGot offset.shape[1]={offset.shape[1]}, while 2 * weight.size[2] * weight.size[3]="
            f"{2 * cells}"
        )
    if groups * weight.shape[1] != channels or weight.shape[0] % groups or channels % offset_groups:
        raise RuntimeError(
            f"deform_conv2d: {channels} channels do not fit a weight of shape {tuple(weight.shape)} and "
            f"{offset_groups} groups of offsets"
        )
    size = tuple(
        (length + 2 * p - d * (k - 1) - 1) // s + 1
        for length, k, s, p, d in zip(input.shape[2:], kernel, stride, padding, dilation)
    )
    wanted = [("offset", offset, 2 * offset_groups * cells)]
    if mask is not None:
        wanted.append(("mask", mask, offset_groups * cells))
    for name, tensor, planes in wanted:
        if tuple(tensor.shape) != (input.shape[0], planes, *size):
            raise RuntimeError(
                f"deform_conv2d: {name} must have shape {(input.shape[0], planes, *size)}, but got "
                f"{tuple(tensor.shape)}"
            )
    return groups, offset_groups, size


def deform_conv2d(input, offset, weight, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), mask=None):
    """Return the convolution of input whose kernel's values look offset pixels away from where they would.

    Args:
        input: (N, C, H, W).
        offset: (N, 2 · offset_groups · kh · kw, OH, OW): for each group of channels and value of the kernel, down and
            right. Between pixels input is interpolated, outside it is 0.
        weight: (O, C / groups, kh, kw).
        bias: (O,) or None.
        stride, padding, dilation: numbers or pairs.
        mask: (N, offset_groups · kh · kw, OH, OW), factors of what is looked at (version 2); None for 1.

    RuntimeError for shapes that do not fit.
    Source: Dai et al. 2017, https://arxiv.org/abs/1703.06211; Zhu et al. 2018, https://arxiv.org/abs/1811.11168;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.deform_conv2d.html

    >>> import minigrad as mg
    >>> image = mg.arange(9.0).reshape(1, 1, 3, 3)
    >>> right = mg.tensor([0.0, 0.5]).reshape(1, 2, 1, 1).expand(1, 2, 3, 3)
    >>> deform_conv2d(image, right, mg.ones(1, 1, 1, 1))[0, 0, 0]
    tensor([0.5000, 1.5000, 1.0000])
    """
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    groups, offset_groups, size = _sizes(input, offset, weight, mask, stride, padding, dilation)
    n, channels, height, width = input.shape
    cells = weight.shape[2] * weight.shape[3]
    places = size[0] * size[1]
    settings = {"dtype": offset.dtype, "device": offset.device}
    starts = [arange(length, **settings) * s - p for length, s, p in zip(size, stride, padding)]
    steps = [arange(length, **settings) * d for length, d in zip(weight.shape[2:], dilation)]
    down = steps[0].reshape(-1, 1, 1, 1) + starts[0].reshape(1, 1, -1, 1)  # (kh, 1, OH, 1)
    right = steps[1].reshape(1, -1, 1, 1) + starts[1].reshape(1, 1, 1, -1)  # (1, kw, 1, OW)
    offset = offset.reshape(n, offset_groups, *weight.shape[2:], 2, *size)
    y, x = offset[:, :, :, :, 0] + down, offset[:, :, :, :, 1] + right  # (N, groups, kh, kw, OH, OW)
    top, left = y.detach().floor(), x.detach().floor()
    planes = input.reshape(n, offset_groups, channels // offset_groups, height * width)
    seen = None
    for row, part_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, part_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
            index = index.reshape(n, offset_groups, 1, cells * places).expand(-1, -1, planes.shape[2], -1)
            share = (part_y * part_x * inside.to(y.dtype)).reshape(n, offset_groups, 1, cells * places)
            corner = planes.gather(-1, index) * share
            seen = corner if seen is None else seen + corner
    if mask is not None:
        seen = seen * mask.reshape(n, offset_groups, 1, cells * places)
    columns = seen.reshape(n, groups, channels // groups * cells, places)
    kernels = weight.reshape(groups, weight.shape[0] // groups, -1)
    out = (kernels @ columns).reshape(n, weight.shape[0], *size)
    return out if bias is None else out + bias.reshape(1, -1, 1, 1)


class DeformConv2d(Module):
    """See deform_conv2d; the weights are drawn as those of Conv2d.

    ValueError for channels that are no multiple of groups.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.DeformConv2d.html

    >>> DeformConv2d(4, 8, 3, padding=1)
    DeformConv2d(4, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True
    ):  # fmt: skip
        super().__init__()
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups != 0:
                raise ValueError(f"{name} must be divisible by groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.padding = _pair(padding)
        self.dilation = _pair(dilation)
        self.groups = groups
        self.weight = Parameter(empty(out_channels, in_channels // groups, *self.kernel_size))
        if bias:
            self.bias = Parameter(empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weight and bias from uniform distributions that the fan in bounds."""
        kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_channels // self.groups * self.kernel_size[0] * self.kernel_size[1])
            uniform_(self.bias, -bound, bound)

    def forward(self, input, offset, mask=None):
        """Return (N, out_channels, OH, OW)."""
        return deform_conv2d(
            input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask
        )  # fmt: skip

    def __repr__(self):
        text = f"{type(self).__name__}({self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        for name, usual in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text + (", bias=False)" if self.bias is None else ")")
