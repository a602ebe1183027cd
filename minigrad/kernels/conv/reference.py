"""Convolution as im2col of the whole batch and one matrix product: every device, any dtype; the others' reference."""

from math import prod

from minigrad.kernels.im2col import col2im, im2col, window_count
from minigrad.kernels.matmul import matmul


def forward_reference(x, w, bias, stride, padding, dilation, groups):
    """y = w * x + bias, (N, O, *out)."""
    batch, outputs, kernel = x.shape[0], w.shape[0], w.shape[2:]
    out = window_count(x.shape[2:], kernel, stride, padding, dilation)
    depth = x.shape[1] // groups * prod(kernel)
    columns = im2col(x, kernel, stride, padding, dilation).reshape(batch, groups, depth, prod(out))
    y = matmul(w.reshape(groups, outputs // groups, depth), columns).reshape(batch, outputs, *out)
    if bias is not None:
        y += bias.reshape(-1, *(1,) * len(kernel))
    return y


def input_reference(g, w, size, stride, padding, dilation, groups):
    """Gradient to the input (N, C, *size)."""
    batch, outputs, kernel = g.shape[0], w.shape[0], w.shape[2:]
    depth = w.shape[1] * prod(kernel)
    count = prod(g.shape[2:])
    weight = w.reshape(groups, outputs // groups, depth).swapaxes(1, 2)
    columns = matmul(weight, g.reshape(batch, groups, outputs // groups, count))
    columns = columns.reshape(batch, groups * depth, count)
    return col2im(columns, size, kernel, stride, padding, dilation, g.shape[2:])


def weight_reference(g, x, kernel, stride, padding, dilation, groups):
    """Gradient to the weight (O, C / groups, *kernel)."""
    batch, outputs = g.shape[:2]
    depth = x.shape[1] // groups * prod(kernel)
    count = prod(g.shape[2:])
    columns = im2col(x, kernel, stride, padding, dilation, g.shape[2:]).reshape(batch, groups, depth, count)
    per_image = matmul(g.reshape(batch, groups, outputs // groups, count), columns.swapaxes(2, 3))
    return per_image.sum(axis=0).reshape(outputs, x.shape[1] // groups, *kernel)
