"""Convolution with a 1x1 kernel and stride 1: a matrix product already."""

from math import prod

from minigrad.kernels.matmul import matmul


def is_pointwise(kernel, stride, padding):
    return all(k == 1 for k in kernel) and all(s == 1 for s in stride) and not any(padding)


def grouped(x, groups):
    """x (N, C, *size) as matrices (N, groups, C / groups, prod(size))."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, prod(x.shape[2:]))


def forward_pointwise(x, w, bias, groups):
    weight = w.reshape(groups, w.shape[0] // groups, w.shape[1])
    y = matmul(weight, grouped(x, groups)).reshape(x.shape[0], w.shape[0], *x.shape[2:])
    if bias is not None:
        y += bias.reshape(-1, *(1,) * (x.ndim - 2))
    return y


def input_pointwise(g, w, groups):
    weight = w.reshape(groups, w.shape[0] // groups, w.shape[1]).swapaxes(1, 2)
    return matmul(weight, grouped(g, groups)).reshape(g.shape[0], groups * w.shape[1], *g.shape[2:])


def weight_pointwise(g, x, groups):
    gw = matmul(grouped(g, groups), grouped(x, groups).swapaxes(2, 3)).sum(axis=0)
    return gw.reshape(g.shape[1], x.shape[1] // groups, *(1,) * (x.ndim - 2))
