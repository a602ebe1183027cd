"""Launchers of norm.cu: arrays as in kernels/norm.py, in the order of memory of x, which the results have too.

Statistics of channels over the batch have the shape (1, C) or (1, C, 1); all others are of rows, the groups of
channels of a sample.
"""

from math import prod

from minigrad.backend import xp
from minigrad.kernels.cuda.arrays import accumulator, arranged, pack, values
from minigrad.kernels.cuda.source import Source

_SOURCE = Source("norm.cu", defines={"LAST": (0, 1), "PACKED": (0, 1)})
_BLOCK = 256
_WARPS = _BLOCK // 32
_BLOCKS = 2048  # of a launch that takes sums: some for every multiprocessor
_PACKS = 4  # packs that a thread sees at least before a channel is cut into parts


class _Channels:
    """How launches cover x (N, C, S): the order of memory, packs, and the parts that a channel is cut into."""

    def __init__(self, x, *others):
        batch, channels = x.shape[:2]
        plane = x.shape[2] if x.ndim == 3 else 1
        self.x, last = arranged(x.reshape(batch, channels, plane))
        self.others = [None if y is None else arranged(y.reshape(self.x.shape), last)[0] for y in others]
        row = channels if last else plane
        size = pack(row, self.x, *self.others)
        self.defines = {"LAST": int(last), "PACKED": int(size > 1)}
        self.channels, self.width = channels, row // size
        columns = self.width if last else channels
        self.across = min(32, 1 << (columns - 1).bit_length()) if last else 1
        self.groups = -(-columns // self.across)
        self.length = batch * plane if last else batch * self.width
        self.count = batch * plane
        most = max(1, self.length * self.across // (_BLOCK * _PACKS))
        self.fine = -(-self.length // most)
        self.chunk = -(-self.length // min(most, -(-_BLOCKS // self.groups)))
        self.parts = -(-self.length // self.chunk)

    def launch(self, name, *args, fine=False):
        """Launch a kernel that walks over the channels; the last of args are the arguments after those that say how.

        ``fine``: in blocks as small as they may be, for kernels that take no sums.
        """
        chunk = self.fine if fine else self.chunk
        walk = self.channels, self.width, self.length, chunk, self.across
        blocks = self.groups * -(-self.length // chunk)
        self.kernel(name)(grid=blocks, block=_BLOCK, args=(*args[:-1], *walk, *args[-1]))

    def kernel(self, name):
        """Return a kernel for this order of memory."""
        return _SOURCE.kernel(name, self.x.dtype, **self.defines)

    def empty(self, *shape):
        """Return memory for sums."""
        return xp(self.x).empty(shape, accumulator(self.x))

    def like_x(self):
        """Return memory for a result in the order of x."""
        return xp(self.x).empty_like(self.x)


def _of_channels(x, statistics):
    """Return whether statistics of that shape are those of x (N, C, S) or (N, C) per channel."""
    return statistics[0] == 1 and statistics[1] == x.shape[1] and statistics[2:] in ((), (1,))


def statistics(x, axes, eps, centred, running_mean=None, running_var=None, momentum=0.0):
    """Return (mean, 1 / √(variance + eps)) over axes, kept with length 1, and move the running statistics (C,).

    Without ``centred`` the mean is None and taken for 0. Running statistics are of x's dtype or the accumulator's.
    """
    if axes[0] > 0:
        return _row_statistics(x, axes, eps, centred)
    walk = _Channels(x)
    mean, rstd = walk.empty(walk.channels), walk.empty(walk.channels)
    running = running_mean if running_mean is not None else running_var
    narrow = int(running is not None and running.dtype != mean.dtype)
    ends = mean, rstd, running_mean, running_var
    partial = walk.empty(walk.parts, 3, walk.channels) if walk.parts > 1 else None
    walk.launch("moments", walk.x, partial, *ends, (narrow, eps, momentum))
    if walk.parts > 1:
        blocks = -(-walk.channels // _WARPS)
        numbers = walk.channels, walk.parts, narrow, eps, momentum
        walk.kernel("moments_finish")(grid=blocks, block=_BLOCK, args=(partial, *ends, *numbers))
    shape = (1, walk.channels, 1)[: x.ndim]
    return mean.reshape(shape), rstd.reshape(shape)


def moves(x, running, momentum):
    """Return whether `statistics` moves these running statistics: all of x's dtype, or of its accumulator's."""
    kinds = {array.dtype for array in running}
    return type(momentum) is float and len(kinds) < 2 and kinds <= {x.dtype, accumulator(x)}


def inverse_deviation(variance, eps):
    """Return 1 / √(variance + eps) of numbers of an accumulator's dtype."""
    variance = xp(variance).ascontiguousarray(variance)
    out = xp(variance).empty_like(variance)
    kernel = _SOURCE.kernel("inverse_deviation", variance.dtype, LAST=0, PACKED=0)
    kernel(threads=out.size, block=_BLOCK, args=(variance, out, out.size, eps))
    return out


def forward(x, weight, bias, mean, rstd, residual=None, relu=False):
    """Return (x - mean) * rstd * weight + bias, with statistics per channel + residual and max(…, 0) where asked."""
    if not _of_channels(x, rstd.shape):
        return _row_forward(x, weight, bias, mean, rstd)
    walk = _Channels(x, residual)
    (residual,) = walk.others
    mean, rstd, weight, bias = (values(p, x) for p in (mean, rstd, weight, bias))
    out = walk.like_x()
    walk.launch("forward", walk.x, mean, rstd, weight, bias, residual, out, (int(relu),), fine=True)
    return out.reshape(x.shape)


def gradients(g, x, weight, mean, rstd, fixed, affine, needs, *, bias=None, relu=False, y=None):
    """Return the gradients to x, weight and bias (C,), and g as ReLU let it pass; None where needs says so.

    ``fixed``: the statistics are constants. ``relu``: g is that of max(…, 0), whose result is y; y may be None for
    statistics per channel without a residual. The last result is made for a y only, needs[3].
    """
    if not _of_channels(x, rstd.shape):
        return (*_row_gradients(g, x, weight, mean, rstd, affine, needs), None)
    walk = _Channels(x, g, y)
    x_, (g, y) = walk.x, walk.others
    mean, rstd, weight, bias = (values(p, x) for p in (mean, rstd, weight, bias))
    relu = int(relu and y is None)
    masked = total = dot = None
    if y is not None:
        masked = walk.like_x()
    if needs[1] or needs[2] or not fixed or masked is not None:
        sums = walk.empty(2, walk.channels)
        total, dot = sums
        _sums(walk, (g, x_, y, masked, mean, rstd, weight, bias), sums, relu)
    g = g if masked is None else masked
    g_x = None
    if needs[0]:
        g_x = g if masked is not None and not needs[3] else walk.like_x()
        moving = (None, None) if fixed else (total, dot)
        numbers = relu, float(walk.count)
        walk.launch("gradient", g, x_, g_x, mean, rstd, weight, bias, *moving, numbers, fine=True)
        g_x = g_x.reshape(x.shape)
    passed = masked.reshape(x.shape) if masked is not None and needs[3] else None
    return g_x, dot if needs[1] else None, total if needs[2] else None, passed


def _sums(walk, arrays, sums, relu, groups=0, plane=1):
    """Launch the kernels that take the sums of a gradient per channel. # (2, C)"""
    partial = walk.empty(walk.parts, 2, walk.channels) if walk.parts > 1 else None
    walk.launch("gradient_sums", *arrays, partial, sums[0], sums[1], (relu, groups, plane))
    if walk.parts > 1:
        args = partial, sums, sums.size, walk.parts
        walk.kernel("sums_finish")(grid=-(-sums.size // _WARPS), block=_BLOCK, args=args)


def channel_sum(x):
    """Return the sum of x (N, C, S) over all but the channels, in x's dtype. # (C,)"""
    walk = _Channels(x)
    sums = walk.empty(walk.channels)
    partial = walk.empty(walk.parts, walk.channels) if walk.parts > 1 else None
    walk.launch("channel_sums", walk.x, sums if partial is None else partial, ())
    if partial is not None:
        args = partial, sums, sums.size, walk.parts
        walk.kernel("sums_finish")(grid=-(-sums.size // _WARPS), block=_BLOCK, args=args)
    return sums.astype(x.dtype, copy=False)


# ---------------------------------------------------------------------- statistics per row
class _Rows:
    """How launches cover x, a sample's groups of channels in a block each.

    Views are (rows, L), (N, C, S) with statistics per sample and channel, and (N, G, C / G, S).
    """

    def __init__(self, x, *others):
        shape = x.shape
        self.samples, self.groups = shape[0], shape[1] if x.ndim > 2 else 1
        self.members = shape[-2] if x.ndim == 4 else 1 if x.ndim == 3 else shape[1]
        self.plane = shape[-1] if x.ndim > 2 else 1
        whole = self.samples, self.groups * self.members, self.plane
        self.x, last = arranged(x.reshape(whole))
        self.others = [None if y is None else arranged(y.reshape(whole), last)[0] for y in others]
        last = last and self.plane > 1
        row = self.members if last or self.plane == 1 else self.plane
        size = pack(row, self.x, *self.others)
        self.defines = {"LAST": int(last), "PACKED": int(size > 1)}
        packs = self.members * self.plane // size
        self.block = max(32, min(_BLOCK, 1 << (packs - 1).bit_length()))

    def launch(self, name, *args):
        """Launch a kernel with a block per row."""
        kernel = _SOURCE.kernel(name, self.x.dtype, **self.defines)
        more = self.groups, self.members, self.plane
        kernel(grid=self.samples * self.groups, block=self.block, args=(*args[:-1], *more, *args[-1]))


def _row_statistics(x, axes, eps, centred):
    rows = _Rows(x)
    shape = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
    mean = xp(x).empty(shape, accumulator(x)) if centred else None
    rstd = xp(x).empty(shape, accumulator(x))
    rows.launch("row_moments", rows.x, mean, rstd, (eps,))
    return mean, rstd


def _row_forward(x, weight, bias, mean, rstd):
    rows = _Rows(x)
    mean, rstd, weight, bias = (values(p, x) for p in (mean, rstd, weight, bias))
    out = xp(x).empty_like(rows.x)
    rows.launch("row_forward", rows.x, mean, rstd, weight, bias, out, ())
    return out.reshape(x.shape)


def _row_gradients(g, x, weight, mean, rstd, affine, needs):
    rows = _Rows(x, g)
    mean, rstd, weight = (values(p, x) for p in (mean, rstd, weight))
    g_x = total = dot = None
    if needs[0]:
        g_x = xp(x).empty_like(rows.x)
        rows.launch("row_gradient", rows.others[0], rows.x, mean, rstd, weight, g_x, ())
        g_x = g_x.reshape(x.shape)
    if needs[1] or needs[2]:
        walk = _Channels(rows.x, rows.others[0])
        sums = walk.empty(2, prod(affine))
        arrays = walk.others[0], walk.x, None, None, mean, rstd, None, None
        _sums(walk, arrays, sums, 0, rows.groups, rows.plane)
        total, dot = sums
    return g_x, dot if needs[1] else None, total if needs[2] else None
