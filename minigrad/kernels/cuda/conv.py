"""Convolutions of GPU arrays as im2col and matrix products, a part of the batch at a time.

The functions of minigrad/kernels/conv. Arrays that lie in memory as (N, *size, C) have results that do too. Columns are
(N, groups, depth, positions), those of such arrays (N, groups, positions, depth): then all images are one product.
"""

from math import prod

from minigrad.backend import xp
from minigrad.kernels.cuda import activation, arrays
from minigrad.kernels.cuda.im2col import empty, is_channels_last, sum_columns, write_columns
from minigrad.kernels.im2col import window_count
from minigrad.kernels.matmul import matmul_into

COLUMN_BYTES = 256 << 20  # of the columns of a part of the batch, unless those of one image are more


class _Plan:
    """The windows of a convolution, their columns in parts of the batch, and whether images are columns already."""

    def __init__(self, images, out, kernel, stride, padding, dilation, groups):
        self.batch, channels, *self.size = images.shape
        self.inner = channels // groups
        self.groups, self.taps, self.positions = groups, prod(kernel), prod(out)
        self.depth = self.inner * self.taps
        self.windows = (tuple(out), kernel, stride, padding, dilation)
        same = tuple(self.size) == tuple(out) and not any(padding) and all(step == 1 for step in stride)
        self.pointwise = same and self.taps == 1
        one = max(1, channels * self.taps * self.positions * images.itemsize)
        self.part = max(1, COLUMN_BYTES // one) if not self.pointwise else max(1, self.batch)

    def parts(self):
        """The batch as slices, whose columns are at most COLUMN_BYTES."""
        return [slice(first, first + self.part) for first in range(0, self.batch, self.part)]

    def grouped(self, x, last):
        """x (N, C, *any) as (N, groups, C / groups, prod(any)), with ``last`` (N, groups, prod(any), C / groups)."""
        x = x.reshape(x.shape[0], self.groups, x.shape[1] // self.groups, prod(x.shape[2:]))
        return x.swapaxes(2, 3) if last else x

    def strides(self, last):
        """The strides of columns: of an image, a group, a channel, a position, a tap."""
        group = self.positions * self.depth
        if last:
            return (self.groups * group, group, 1, self.depth, self.inner)
        return (self.groups * group, group, self.taps * self.positions, 1, self.positions)

    def room(self, like, count, last):
        shape = (self.positions, self.depth) if last else (self.depth, self.positions)
        return xp(like).empty((count, self.groups, *shape), like.dtype)

    def columns(self, x, last):
        """The columns of some images."""
        if self.pointwise:
            return self.grouped(x, last)
        columns = self.room(x, x.shape[0], last)
        write_columns(columns, x, self.strides(last), last, self.inner, *self.windows)
        return columns

    def long_columns(self, x):
        """The columns (groups, depth, N * positions) of some images, for a sum over all of them."""
        if self.pointwise:
            return self.grouped(x, False).transpose(1, 2, 0, 3).reshape(self.groups, self.depth, -1)
        across = x.shape[0] * self.positions
        columns = xp(x).empty((self.groups, self.depth, across), x.dtype)
        strides = (self.positions, self.depth * across, self.taps * across, 1, across)
        write_columns(columns, x, strides, False, self.inner, *self.windows)
        return columns

    def weight(self, w, last):
        """The weight (O, C / groups, *kernel) as (groups, O / groups, depth), its taps first with ``last``."""
        if last:
            w = xp(w).moveaxis(w, 1, -1)
        return w.reshape(self.groups, w.shape[0] // self.groups, self.depth)


def _last(x, w):
    """Return whether a convolution of x with w is computed channels last: as x lies, or w where x lies either way."""
    return is_channels_last(x) or prod(x.shape[2:]) == 1 and is_channels_last(w)


def _product(a, b, out, last):
    """Write a (…, R, K) times b (…, K, P) into out; with ``last`` of a single group, as one product of all images."""
    if last and out.shape[1] == 1:
        # with channels last the images' positions are rows that follow one another
        rows = out.swapaxes(2, 3).reshape(-1, out.shape[2])
        matmul_into(b.swapaxes(2, 3).reshape(-1, b.shape[2]), a[0].T, rows)
    else:
        matmul_into(a, b, out)


def forward(x, w, bias, stride, padding, dilation, groups, relu=False):
    """Return y = w * x + bias, (N, O, *out); bias is (O,) or None. With relu, max(y, 0)."""
    kernel = w.shape[2:]
    out = window_count(x.shape[2:], kernel, stride, padding, dilation)
    plan = _Plan(x, out, kernel, stride, padding, dilation, groups)
    last = _last(x, w)
    y = empty(x, (x.shape[0], w.shape[0], *out), last)
    weight = plan.weight(w, last)
    products = plan.grouped(y, False)  # (N, groups, O / groups, positions), a view
    for part in plan.parts():
        columns = plan.columns(x[part], last)
        _product(weight, columns.swapaxes(2, 3) if last else columns, products[part], last)
    if bias is None and not relu:
        return y
    if arrays.takes(y):
        return activation.biased("relu" if relu else "none", y, bias, inplace=True)
    if bias is not None:
        y += bias.reshape(-1, *(1,) * len(kernel))
    return xp(y).maximum(y, 0, out=y) if relu else y


def input_gradient(g, w, size, stride, padding, dilation, groups):
    """Return the gradient to the input, (N, C, *size), for the gradient g (N, O, *out)."""
    last = _last(g, w)
    x = empty(g, (g.shape[0], groups * w.shape[1], *size), last)
    plan = _Plan(x, g.shape[2:], w.shape[2:], stride, padding, dilation, groups)
    weight = plan.weight(w, last).swapaxes(1, 2)  # (groups, depth, O / groups)
    for part in plan.parts():
        given = plan.grouped(g[part], False)
        if plan.pointwise:
            _product(weight, given, plan.grouped(x[part], False), last)
            continue
        columns = plan.room(g, given.shape[0], last)
        _product(weight, given, columns.swapaxes(2, 3) if last else columns, last)
        sum_columns(x[part], columns, plan.strides(last), last, plan.inner, *plan.windows)
    return x


def weight_gradient(g, x, kernel, stride, padding, dilation, groups):
    """Return the gradient to the weight, (O, C / groups, *kernel), for the gradient g (N, O, *out)."""
    plan = _Plan(x, g.shape[2:], kernel, stride, padding, dilation, groups)
    last = groups == 1 and is_channels_last(x) and is_channels_last(g)
    total = xp(x).zeros((groups, g.shape[1] // groups, plan.depth), x.dtype)
    for index, part in enumerate(plan.parts()):
        given = plan.grouped(g[part], last)
        if last:  # (O, N * positions) and (N * positions, depth), both as they lie
            given = given.reshape(1, -1, g.shape[1]).swapaxes(1, 2)
            columns = plan.columns(x[part], True).reshape(1, -1, plan.depth)
        else:
            given = given.transpose(1, 2, 0, 3).reshape(groups, total.shape[1], -1)
            columns = plan.long_columns(x[part]).swapaxes(1, 2)
        matmul_into(given, columns, total, add=index > 0)
    if last:
        return xp(x).ascontiguousarray(xp(x).moveaxis(total.reshape(-1, *kernel, plan.inner), -1, 1))
    return total.reshape(-1, plan.inner, *kernel)
