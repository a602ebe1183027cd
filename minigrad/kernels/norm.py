"""Normalisation: statistics over some dimensions, y = (x - mean) / std · weight + bias, and the gradients of it.

Arrays come in the shape that the caller normalises in (its "view"): ``axes`` are the dimensions of the statistics,
which are kept with length 1, and weight and bias have a shape that broadcasts against the view. float16 is computed in
float32.
"""

from math import prod

from minigrad.backend import np, parallel_ranges, xp
from minigrad.kernels import channel_norm, cuda
from minigrad.kernels.activation import relu
from minigrad.kernels.mask import keep_nonzero


def widened(x):
    """Return x in the type sums are made in: float32 for half precision."""
    return x.astype(np.float32) if x.dtype.char in "eE" else x


def _merged(x, axes):
    """Return (array with the reduced trailing dimensions as one, axes in it); x itself where they do not trail."""
    count = len(axes)
    if count > 1 and axes == tuple(range(x.ndim - count, x.ndim)) and x.flags.c_contiguous:
        lead = x.shape[: x.ndim - count]
        return x.reshape(*lead, prod(x.shape[x.ndim - count :])), (x.ndim - count,)
    return x, axes


def _kept(shape, axes):
    return tuple(1 if axis in axes else length for axis, length in enumerate(shape))


_BLOCK = 2**19  # elements of a thread's block: with smaller ones threads wait for one another (for the GIL)
_MANY = (32, 4096)  # lengths of rows for which a product with ones is the fastest sum, and a precise one


def sum_over(x, axes):
    """Return the sum of x over axes, which are kept with length 1."""
    if all(x.shape[axis] == 1 for axis in axes):
        return x
    flat, flat_axes = _merged(x, axes)
    if flat.ndim == 3 and flat_axes == (0, 2) and flat.shape[2] > 1:  # NumPy is fastest one axis at a time
        return xp(x).add.reduce(xp(x).add.reduce(flat, axis=2), axis=0).reshape(_kept(x.shape, axes))
    length = flat.shape[-1] if flat.ndim else 0
    if flat_axes == (flat.ndim - 1,) and _MANY[0] <= length <= _MANY[1] and type(x) is np.ndarray and flat.size > 4096:
        return np.vecdot(flat, np.ones(length, flat.dtype)).reshape(_kept(x.shape, axes))
    return xp(x).add.reduce(flat, axis=flat_axes).reshape(_kept(x.shape, axes))


def dot_over(a, b, axes):
    """Return the sum of a * b over axes, which are kept with length 1; a and b have one shape."""
    shape = a.shape
    module = xp(a)
    if module is not np:
        return (a * b).sum(axis=axes, keepdims=True)
    a, flat_axes = _merged(a, axes)
    b, _ = _merged(b, axes)
    if flat_axes and flat_axes[-1] == a.ndim - 1 and a.ndim == b.ndim:
        partial = np.vecdot(a, b)
        rest = tuple(axis for axis in flat_axes if axis != a.ndim - 1)
        return (partial.sum(axis=rest) if rest else partial).reshape(_kept(shape, axes))
    return (a * b).sum(axis=flat_axes).reshape(_kept(shape, axes))


def _count(shape, axes):
    return prod(shape[axis] for axis in axes)


def _rows(x, statistics):
    """Return how many indices of the first dimension make a block, where threads can share it out; 0 where not.

    They can where every index has statistics of its own, of which ``statistics`` is the shape.
    """
    if x.size < 2 * _BLOCK or type(x) is not np.ndarray or x.dtype.char not in "fd" or statistics[0] < 2:
        return 0
    return max(1, _BLOCK * len(x) // x.size)


def statistics(x, axes, eps, centred=True):
    """Return (mean, 1 / √(variance + eps)) over axes, kept with length 1; else (None, 1 / √(mean x² + eps))."""
    if type(x) is not np.ndarray and cuda.arrays.takes(x):
        return cuda.norm.statistics(x, axes, eps, centred)
    mean, variance = moments(x, axes) if centred else (None, mean_square(x, axes))
    return mean, inverse_deviation(variance, eps)


def batch_statistics(x, axes, eps, running_mean, running_var, momentum):
    """Return (mean, 1 / √(variance + eps)), and move the running statistics (C,) or None towards mean and variance.

    Nothing is read back from a GPU.
    """
    running = [array for array in (running_mean, running_var) if array is not None]
    if type(x) is not np.ndarray and cuda.arrays.takes(x) and cuda.norm.moves(x, running, momentum):
        return cuda.norm.statistics(x, axes, eps, True, running_mean, running_var, momentum)
    mean, variance = moments(x, axes)
    count = _count(x.shape, axes)
    move(running_mean, mean, momentum)
    move(running_var, variance * (count / (count - 1) if count > 1 else float("nan")), momentum)
    return mean, inverse_deviation(variance, eps)


def move(running, value, momentum):
    """Move a running statistic, an array or None, towards a value, in place."""
    if running is not None:
        running *= 1 - momentum
        running += (momentum * value.reshape(-1)).astype(running.dtype, copy=False)


def inverse_deviation(variance, eps):
    """Return 1 / √(variance + eps)."""
    if type(variance) is not np.ndarray and cuda.arrays.takes(variance) and variance.dtype.char in "fd":
        return cuda.norm.inverse_deviation(variance, eps)
    return 1 / xp(variance).sqrt(variance + eps)


def moments(x, axes):
    """Return (mean, biased variance) over axes, kept with length 1."""
    if type(x) is not np.ndarray and cuda.arrays.takes(x):
        mean, rstd = cuda.norm.statistics(x, axes, 0.0, True)
        return mean, 1 / (rstd * rstd)
    if x.size >= channel_norm.SMALLEST and channel_norm.suits(x, _kept(x.shape, axes)):
        return channel_norm.moments(x)
    kept = _kept(x.shape, axes)
    rows = _rows(x, kept)
    if not rows:
        return _moments(x, axes)
    both = np.empty((2, *kept), x.dtype)

    def block(start, stop):
        both[:, start:stop] = _moments(x[start:stop], axes)

    parallel_ranges(len(x), rows, block)
    return both[0], both[1]


def _moments(x, axes):
    x = widened(x)
    count = _count(x.shape, axes)
    mean = sum_over(x, axes) / count
    centred = x - mean
    return mean, dot_over(centred, centred, axes) / count


def mean_square(x, axes):
    """Return the mean of x² over axes, kept with length 1."""
    x = widened(x)
    return dot_over(x, x, axes) / _count(x.shape, axes)


def forward(x, weight, bias, mean, rstd):
    """Return (x - mean) * rstd * weight + bias; mean, weight and bias may be None."""
    if type(x) is not np.ndarray and cuda.arrays.takes(x):
        return cuda.norm.forward(x, weight, bias, mean, rstd)
    if x.size >= channel_norm.SMALLEST and mean is not None and channel_norm.suits(x, rstd.shape):
        return channel_norm.forward(x, weight, bias, mean, rstd)
    rows = _rows(x, rstd.shape)
    if not rows:
        return _forward(x, weight, bias, mean, rstd)
    out = np.empty(x.shape, x.dtype)

    def block(start, stop):
        its_mean = None if mean is None else mean[start:stop]
        out[start:stop] = _forward(x[start:stop], weight, bias, its_mean, rstd[start:stop])

    parallel_ranges(len(x), rows, block)
    return out


def _forward(x, weight, bias, mean, rstd):
    y = widened(x)
    scale = rstd if weight is None or not _small(weight, rstd, x) else rstd * weight
    y = y * scale if mean is None else np.subtract(y, mean) if xp(y) is np else y - mean
    if mean is not None:
        y *= scale
    if weight is not None and scale is rstd:
        y *= weight
    if bias is not None:
        y += bias
    return y.astype(x.dtype, copy=False)


def forward_relu(x, weight, bias, mean, rstd, residual):
    """Return max((x - mean) * rstd * weight + bias + residual, 0): statistics per channel, residual or None."""
    if type(x) is not np.ndarray and cuda.arrays.takes(x):
        return cuda.norm.forward(x, weight, bias, mean, rstd, residual, relu=True)
    out = forward(x, weight, bias, mean, rstd)
    return relu(out if residual is None else out + residual)


def relu_gradients(g, x, weight, bias, mean, rstd, added, out, axes, fixed, affine, needs):
    """Return the gradients to x, weight, bias and, if one was ``added``, the residual, from that of forward_relu."""
    if type(x) is not np.ndarray and cuda.arrays.takes(x):
        y = out if added else None
        return cuda.norm.gradients(g, x, weight, mean, rstd, fixed, affine, needs, bias=bias, relu=True, y=y)
    g = keep_nonzero(g, out)
    return *gradients(g, x, weight, mean, rstd, axes, fixed, affine, needs[:3]), g if needs[3] else None


def _small(weight, rstd, x):
    """Return whether rstd * weight is much smaller than x, so that one product with x is saved."""
    size = 1
    for a, b in zip(weight.shape, rstd.shape, strict=True):
        size *= max(a, b)
    return size * 4 <= x.size


def gradients(g, x, weight, mean, rstd, axes, fixed, affine, needs):
    """Return the gradients to (x, weight, bias), None where needs says so.

    ``fixed``: mean and rstd are constants; otherwise they were computed from x over axes. ``affine``: the shape of
    weight and bias in the view.
    """
    if type(x) is not np.ndarray and cuda.arrays.takes(x):
        return cuda.norm.gradients(g, x, weight, mean, rstd, fixed, affine, needs)[:3]
    large = x.size >= channel_norm.SMALLEST and mean is not None and axes == (0, 2) and affine == rstd.shape
    if large and channel_norm.suits(x, rstd.shape):
        return channel_norm.gradients(g, x, weight, mean, rstd, fixed, needs)
    rows = _rows(x, rstd.shape)
    if not rows:
        return _gradients(g, x, weight, mean, rstd, axes, fixed, affine, needs)
    out = np.empty(x.shape, x.dtype) if needs[0] else None
    parts = {}  # first index of a block -> its sums, which are added in order

    def block(start, stop):
        its = slice(start, stop)
        its_mean = None if mean is None else mean[its]
        g_x, *sums = _gradients(g[its], x[its], weight, its_mean, rstd[its], axes, fixed, affine, needs)
        if needs[0]:
            out[its] = g_x
        parts[start] = sums

    parallel_ranges(len(x), rows, block)
    g_weight, g_bias = zip(*[sums for _, sums in sorted(parts.items())], strict=True)
    return out, np.add.reduce(g_weight) if needs[1] else None, np.add.reduce(g_bias) if needs[2] else None


def _gradients(g, x, weight, mean, rstd, axes, fixed, affine, needs):
    """Take sums in two steps: where neither statistics nor weight vary, and then, of few values, over the rest."""
    wide = widened(g)
    if not wide.flags.c_contiguous:  # a broadcast gradient, as of sum: products with it would take NumPy's slow path
        wide = xp(g).ascontiguousarray(wide)
    normal = widened(x) * rstd if mean is None else widened(x) - mean
    if mean is not None:
        normal *= rstd
    inner = tuple(axis for axis in axes if affine[axis] == 1)
    outer = tuple(axis for axis, length in enumerate(affine) if length == 1 and axis not in inner)
    into_x = needs[0] and not fixed
    g_sum = sum_over(wide, inner) if needs[2] or (into_x and mean is not None and inner) else None
    g_dot = dot_over(wide, normal, inner) if needs[1] or (into_x and inner) else None
    g_weight = sum_over(g_dot, outer) if needs[1] else None
    g_bias = sum_over(g_sum, outer) if needs[2] else None
    if not needs[0]:
        return None, g_weight, g_bias
    scale = rstd if weight is None else rstd * weight if fixed or inner else rstd
    if fixed:
        return (wide * scale).astype(x.dtype, copy=False), g_weight, g_bias
    if not inner:  # the weight varies in every reduced dimension: it belongs inside the sums
        wide = wide if weight is None else wide * weight
        g_sum, g_dot = sum_over(wide, axes) if mean is not None else None, dot_over(wide, normal, axes)
    else:
        g_sum, g_dot = (_total(part, weight, axes) for part in (g_sum, g_dot))
    count = _count(g.shape, axes)
    normal *= g_dot * rstd / -count
    out = wide * scale
    out += normal
    if mean is not None:
        out += g_sum * rstd / -count
    return out.astype(x.dtype, copy=False), g_weight, g_bias


def _total(part, weight, axes):
    """Return the sum over axes of partial sums times the weight; None for None."""
    if part is None:
        return None
    return sum_over(part if weight is None else part * weight, axes)
