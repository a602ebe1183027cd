"""Normalisation: statistics over some dimensions, y = (x - mean) / std · weight + bias, and the gradients of it.

Arrays come in the shape that the caller normalises in (its "view"): ``axes`` are the dimensions of the statistics,
which are kept with length 1, and weight and bias have a shape that broadcasts against the view. float16 is computed in
float32.
"""

from math import prod

from minigrad.backend import np, xp


def widened(x):
    """Return x in the type sums are made in: float32 for float16."""
    return x.astype(np.float32) if x.dtype.char == "e" else x


def _merged(x, axes):
    """Return (array with the reduced trailing dimensions as one, axes in it); x itself where they do not trail."""
    count = len(axes)
    if count > 1 and axes == tuple(range(x.ndim - count, x.ndim)) and x.flags.c_contiguous:
        lead = x.shape[: x.ndim - count]
        return x.reshape(*lead, prod(x.shape[x.ndim - count :])), (x.ndim - count,)
    return x, axes


def _kept(shape, axes):
    return tuple(1 if axis in axes else length for axis, length in enumerate(shape))


def sum_over(x, axes):
    """Return the sum of x over axes, which are kept with length 1."""
    flat, flat_axes = _merged(x, axes)
    if flat.ndim == 3 and flat_axes == (0, 2) and flat.shape[2] > 1:  # NumPy is fastest one axis at a time
        return flat.sum(axis=2).sum(axis=0).reshape(_kept(x.shape, axes))
    return flat.sum(axis=flat_axes).reshape(_kept(x.shape, axes))


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


def moments(x, axes):
    """Return (mean, biased variance) over axes, kept with length 1."""
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
    wide = widened(g)
    normal = widened(x) if mean is None else widened(x) - mean
    normal = normal * rstd if mean is None else np.multiply(normal, rstd, out=normal) if xp(normal) is np else normal * rstd
    g_weight = g_bias = g_x = None
    g_sum = g_dot = None
    statistic_axes = tuple(axis for axis, length in enumerate(affine) if length == 1)
    if needs[1]:
        g_weight = dot_over(wide, normal, statistic_axes)
        g_dot = g_weight if statistic_axes == axes else None
    if needs[2]:
        g_bias = sum_over(wide, statistic_axes)
        g_sum = g_bias if statistic_axes == axes else None
    if needs[0]:
        g_x = _input_gradient(wide, normal, weight, mean, rstd, axes, fixed, g_sum, g_dot).astype(x.dtype, copy=False)
    return g_x, g_weight, g_bias


def _input_gradient(g, normal, weight, mean, rstd, axes, fixed, g_sum, g_dot):
    """Return rstd (ĝ - mean(ĝ) - x̂ mean(ĝ x̂)), ĝ = g weight; without the means where the statistics are fixed.

    ``normal`` is overwritten; g_sum and g_dot are the sums of g and g x̂ over axes where they are known already.
    """
    if fixed:
        return g * (rstd if weight is None else rstd * weight)
    per_group = weight is None or all(weight.shape[axis] == 1 for axis in axes)
    if not per_group:  # the weight varies within a group: it belongs inside the sums
        g = g * weight
        g_sum = g_dot = None
        scale = rstd
    else:
        scale = rstd if weight is None else rstd * weight
    count = _count(g.shape, axes)
    g_dot = dot_over(g, normal, axes) if g_dot is None else g_dot
    normal *= g_dot * scale / -count
    out = g * scale
    out += normal
    if mean is not None:
        g_sum = sum_over(g, axes) if g_sum is None else g_sum
        out += g_sum * scale / -count
    return out
