"""Batch norm of large arrays on the CPU: (N, C, S), statistics per channel, in blocks that fit the cache, on threads.

Memory is the limit, so an array is read once for the two sums of a pass and once more where they are used. Sums are
taken per plane of S values by BLAS in the array's type, and of the planes in float64: a variance is E[x²] - E[x]²
unless that would cancel (a mean of many standard deviations), where the channel is read again with its mean
subtracted. Values per channel are float64 arrays (C,). Results do not depend on the number of threads.
"""

from minigrad.backend import np, parallel_ranges, scratch
from minigrad.kernels.elementwise import parallel_apart

SMALLEST = 2**16  # elements; for fewer the plain formulas take fewer calls
_SHARED = 2**18  # elements that are worth sharing among threads
_BLOCK = 2**18  # elements of a block: in smaller ones threads wait for one another (for the GIL), not for memory
_ROW = 2**14  # elements along which a block is contiguous: several planes, if they are small
_FAR = 2.0  # standard deviations between mean and zero from which on the mean is subtracted first


def suits(x, statistics):
    """Return whether these kernels take x, an array of SMALLEST or more elements with statistics of that shape."""
    return (
        type(x) is np.ndarray
        and x.ndim == 3
        and x.dtype.char in "fd"
        and statistics == (1, x.shape[1], 1)
        and x.shape[2] > 1
    )


def moments(x):
    """Return (mean, biased variance) of x (N, C, S) per channel. # (1, C, 1)"""
    x = np.ascontiguousarray(x)
    count = x.shape[0] * x.shape[2]
    mean, square = (part / count for part in _sums(x, x))
    variance = square - mean * mean
    (far,) = np.nonzero(mean * mean > _FAR**2 * variance)
    if far.size:
        first = mean.astype(x.dtype)
        rest, square = (part / count for part in _centred_sums(None, x, first, far))
        mean[far] = first[far] + rest
        variance[far] = square - rest * rest
    return tuple(part.astype(x.dtype).reshape(1, -1, 1) for part in (mean, variance))


def forward(x, weight, bias, mean, rstd):
    """Return (x - mean) * rstd * weight + bias; weight and bias (1, C, 1) may be None."""
    x, scale, shift = _linear(x, weight, bias, mean, rstd)
    out = np.empty_like(x)

    def block(pieces, scale, shift):
        x, out = pieces
        np.multiply(x, scale, out=out)
        np.add(out, shift, out=out)

    _each_block((x, out), (scale, shift), block)
    return out


def forward_relu(x, weight, bias, mean, rstd, residual=None):
    """Return max((x - mean) * rstd * weight + bias + residual, 0), residual (N, C, S) or None."""
    x, scale, shift = _linear(x, weight, bias, mean, rstd)
    out = np.empty_like(x)
    arrays = (x, out) if residual is None else (x, out, np.ascontiguousarray(residual))

    def block(pieces, scale, shift):
        x, out, *rest = pieces
        np.multiply(x, scale, out=out)
        np.add(out, shift, out=out)
        for residual in rest:
            np.add(out, residual, out=out)
        out.clip(0, np.inf, out=out)

    _each_block(arrays, (scale, shift), block)
    return out


def _linear(x, weight, bias, mean, rstd):
    """Return x in one piece of memory, and scale and shift per channel by which it is normalised."""
    scale = _per_channel(rstd) if weight is None else _per_channel(rstd) * _per_channel(weight)
    shift = -_per_channel(mean) * scale
    if bias is not None:
        shift += _per_channel(bias)
    return np.ascontiguousarray(x), scale, shift


def gradients(g, x, weight, mean, rstd, fixed, needs):
    """Return the gradients to x (N, C, S), and to weight and bias (C,); None where needs says so.

    ``fixed``: mean and rstd are constants. Otherwise, with the sums of a channel,
    g_x = weight rstd (g - Σg / n - (x - mean) rstd² Σg(x - mean) / n), which is linear in x: no normalised x is made.
    """
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    mean, rstd = _per_channel(mean), _per_channel(rstd)
    total = dot = None
    if needs[1] or needs[2] or not fixed:
        total, dot = _sums(g, x)
        dot -= mean * total
        (far,) = np.nonzero(np.abs(mean) * rstd > _FAR)
        if far.size:
            dot[far] = _centred_sums(g, x, mean.astype(x.dtype), far)[1]
    g_weight = dot * rstd if needs[1] else None
    g_bias = total if needs[2] else None
    if not needs[0]:
        return None, g_weight, g_bias
    scale = rstd if weight is None else rstd * _per_channel(weight)
    out = np.empty_like(x)
    if fixed:
        _each_block((g, out), (scale,), lambda pieces, scale: np.multiply(pieces[0], scale, out=pieces[1]))
        return out, g_weight, g_bias
    count = x.shape[0] * x.shape[2]
    slope = dot * rstd * rstd / -count
    shift = -mean * slope - total / count

    def block(pieces, slope, shift, scale):
        g, x, out = pieces
        np.multiply(x, slope, out=out)
        np.add(out, g, out=out)
        np.add(out, shift, out=out)
        np.multiply(out, scale, out=out)

    _each_block((g, x, out), (slope, shift, scale), block)
    return out, g_weight, g_bias


def _per_channel(values):
    return values.reshape(-1).astype(np.float64)


def _sums(a, b):
    """Return the sums per channel of a and of a * b, both (N, C, S). # (C,), (C,)"""
    batch, channels, length = a.shape
    left, right = a.reshape(-1, length), b.reshape(-1, length)
    ones = np.ones(length, a.dtype)
    sums, dots = np.empty((2, batch * channels), a.dtype)

    def rows(start, stop):
        np.matmul(left[start:stop], ones, out=sums[start:stop])
        np.vecdot(left[start:stop], right[start:stop], out=dots[start:stop])

    if a.size < _SHARED:
        rows(0, len(left))
    else:
        parallel_ranges(len(left), _BLOCK // length, rows)
    return tuple(part.reshape(batch, channels).sum(axis=0, dtype=np.float64) for part in (sums, dots))


def _centred_sums(g, x, mean, chosen):
    """Return, for the chosen channels, the sums of g and of g * (x - mean); for None g is x - mean itself."""
    ones = np.ones(x.shape[2], x.dtype)
    sums, dots = np.empty((2, chosen.size))

    def group(start, stop):
        centred = x[:, chosen[start:stop]]  # (N, channels, S), a copy
        centred -= mean[chosen[start:stop], None]
        factor = centred if g is None else g[:, chosen[start:stop]]
        sums[start:stop] = np.matmul(factor, ones).sum(axis=0, dtype=np.float64)
        dots[start:stop] = np.vecdot(factor, centred).sum(axis=0, dtype=np.float64)

    parallel_ranges(chosen.size, _BLOCK // (x.shape[0] * x.shape[2]), group)
    return sums, dots


def _each_block(arrays, factors, work):
    """Call work(pieces of the arrays (N, C, S), *values of the factors (C,) that broadcast against a piece).

    Pieces are 2-D: some images by the planes of some channels, one after the other.
    """
    batch, channels, length = arrays[0].shape
    flat = [array.reshape(batch, channels * length) for array in arrays]
    factors = [factor.astype(arrays[0].dtype)[:, None] for factor in factors]
    together = min(channels, max(1, _ROW // length))
    images = min(batch, max(1, _BLOCK // (together * length)))
    together = min(channels, max(together, _BLOCK // (images * length)))
    groups = -(-channels // together)

    def block(index):
        row, group = divmod(index, groups)
        first, last = group * together, min(channels, (group + 1) * together)
        part = slice(row * images, (row + 1) * images), slice(first * length, last * length)
        values = [_spread(number, factor[first:last], length) for number, factor in enumerate(factors)]
        work([array[part] for array in flat], *values)

    count = groups * -(-batch // images)
    if arrays[0].size >= _SHARED:
        parallel_apart(count, block)
    else:
        for index in range(count):
            block(index)


def _spread(number, factor, length):
    """Return a factor of some channels (channels, 1) for each of their elements, so that inner loops are long."""
    if len(factor) == 1:
        return factor
    values = scratch(f"channel_norm{number}", (len(factor), length), factor.dtype)
    values[...] = factor
    return values.reshape(-1)
