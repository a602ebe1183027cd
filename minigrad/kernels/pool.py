"""Pooling with 1, 2, 3 … spatial dimensions: maxima with where they lie, and window sums with their adjoint.

Images are (*planes, *size): every leading dimension is pooled alone.  ``kernel, stride, padding, dilation`` are tuples
with one int per spatial dimension and ``count`` is the number of windows along each.  A window is reduced one dimension
after the other, so that a k x k window costs 2k passes instead of k * k.
"""

from functools import lru_cache
from itertools import product
from math import prod

from minigrad.backend import np, xp
from minigrad.kernels.scatter import scatter_add_flat

BLOCK_BYTES = 2**19  # values of one block of planes, so that the passes over it stay in cache
MANY_OFFSETS = 64  # windows larger than this are scattered by index, not offset by offset


def pooled_size(size, kernel, stride, padding, dilation, ceil_mode):
    """Number of windows along each dimension; ceil_mode adds a last one that starts inside and reaches over the end."""
    count = []
    for s, k, t, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        room = s + 2 * p - d * (k - 1) - 1
        windows = (room + (t - 1 if ceil_mode else 0)) // t + 1
        if ceil_mode and (windows - 1) * t >= s + p:
            windows -= 1
        count.append(windows)
    return tuple(count)


def _blocks(planes, elements, itemsize):
    """Slices of adjacent planes that hold about BLOCK_BYTES."""
    each = max(1, BLOCK_BYTES // max(1, elements * itemsize))
    return [slice(start, min(start + each, planes)) for start in range(0, planes, each)]


def _extent(kernel, stride, dilation, count):
    """Length of padded input that the windows cover along each dimension."""
    return tuple((n - 1) * t + d * (k - 1) + 1 for k, t, d, n in zip(kernel, stride, dilation, count, strict=True))


def _inside(size, padding, extent):
    """(slices of the padded array, slices of the image) where the two meet."""
    lengths = [max(0, min(s, e - p)) for s, p, e in zip(size, padding, extent, strict=True)]
    padded = tuple(slice(p, p + n) for p, n in zip(padding, lengths, strict=True))
    return (..., *padded), (..., *(slice(0, n) for n in lengths))


def _padded(planes, size, padding, extent, value):
    """The planes (P, *size) with ``padding`` values before and as many after as the windows reach."""
    if not any(padding) and all(e <= s for e, s in zip(extent, size, strict=True)):
        return planes
    out = xp(planes).full((planes.shape[0], *extent), value, planes.dtype)
    inside, image = _inside(size, padding, extent)
    out[inside] = planes[image]
    return out


def _along(array, axis, offset, step, count):
    """View of every ``step``-th element from ``offset`` along an axis."""
    index = [slice(None)] * array.ndim
    index[axis] = slice(offset, offset + (count - 1) * step + 1, step)
    return array[tuple(index)]


def _wide(array):
    """float16 as float32, in which sums are taken; anything else as it is."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


# ------------------------------------------------------------------ maxima


def lowest(dtype):
    """The value that never wins a maximum: minus infinity, or the smallest integer."""
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def max_pool_values(x, kernel, stride, padding, dilation, count):
    """Maxima (*planes, *count) of the windows of x; NaN wins."""
    out = xp(x).empty((*x.shape[: x.ndim - len(kernel)], *count), x.dtype)
    for planes, target, extent in _plane_blocks(x, out, kernel, stride, dilation, count):
        values = _padded(planes, x.shape[x.ndim - len(kernel) :], padding, extent, lowest(x.dtype))
        for axis in range(len(kernel), 0, -1):
            k, t, d, n = kernel[axis - 1], stride[axis - 1], dilation[axis - 1], count[axis - 1]
            best = _along(values, axis, 0, t, n)
            for offset in range(1, k):
                best = xp(x).maximum(best, _along(values, axis, offset * d, t, n))
            values = best
        target[...] = values
    return out


def _plane_blocks(x, out, kernel, stride, dilation, count):
    """(planes of x, planes of out, extent) block by block."""
    spatial = len(kernel)
    size = x.shape[x.ndim - spatial :]
    number = prod(x.shape[: x.ndim - spatial])
    planes = x.reshape(number, *size)
    targets = out.reshape(number, *count)
    extent = _extent(kernel, stride, dilation, count)
    if 0 in out.shape:
        return
    for block in _blocks(number, max(prod(size), prod(count)), x.itemsize):
        yield planes[block], targets[block], extent


def code_dtype(kernel):
    """Smallest dtype that numbers the places of a window."""
    return np.dtype(np.uint8 if prod(kernel) <= 256 else np.int32)


def max_pool(x, kernel, stride, padding, dilation, count):
    """Maxima (*planes, *count) and their codes: the place in the window, counted in row-major order.

    As in PyTorch the first of equal maxima is taken, and the last NaN.
    """
    spatial = len(kernel)
    size = x.shape[x.ndim - spatial :]
    out = xp(x).empty((*x.shape[: x.ndim - spatial], *count), x.dtype)
    codes = xp(x).zeros(out.shape, code_dtype(kernel))
    targets = codes.reshape(-1, *count)
    done = 0
    for planes, target, extent in _plane_blocks(x, out, kernel, stride, dilation, count):
        padded = _padded(planes, size, padding, extent, lowest(x.dtype))
        values, places = _block_maxima(padded, kernel, stride, dilation, count, nan=False)
        if x.dtype.kind == "f" and xp(x).isnan(values).any():
            values, places = _block_maxima(padded, kernel, stride, dilation, count, nan=True)
        if any(padding):
            _leave_padding(values, places, kernel, stride, padding, dilation, count)
        target[...] = values
        targets[done : done + len(planes)] = places
        done += len(planes)
    return out, codes


def _block_maxima(padded, kernel, stride, dilation, count, nan):
    """(values, codes) of one block; ``nan``: look for NaNs, which win over everything."""
    xp_ = xp(padded)
    values, codes, scale = padded, None, 1
    dtype = code_dtype(kernel)
    for axis in range(len(kernel), 0, -1):
        k, t, d, n = kernel[axis - 1], stride[axis - 1], dilation[axis - 1], count[axis - 1]
        best = _along(values, axis, 0, t, n).copy()
        places = xp_.zeros(best.shape, dtype) if codes is None else _along(codes, axis, 0, t, n).copy()
        for offset in range(1, k):
            candidate = xp_.ascontiguousarray(_along(values, axis, offset * d, t, n))
            better = candidate > best
            if nan:
                better |= candidate != candidate
            code = dtype.type(offset * scale)
            change = code - places if codes is None else _along(codes, axis, offset * d, t, n) + code - places
            change *= better.view(np.uint8)  # a masked copy takes twenty times as long
            places += change
            xp_.maximum(best, candidate, out=best)
        values, codes = best, places
        scale *= k
    return values, codes


def _leave_padding(values, codes, kernel, stride, padding, dilation, count):
    """Where all of a window is the lowest value, the padding was first: take the first place in the image instead."""
    low = values == lowest(values.dtype)
    if not low.any():
        return
    first, scale = 0, 1
    for axis in range(len(kernel), 0, -1):
        k, t, p, d, n = (each[axis - 1] for each in (kernel, stride, padding, dilation, count))
        outside = xp(values).maximum(p - xp(values).arange(n) * t, 0)
        places = (outside + d - 1) // d * scale
        first = first + places.reshape(-1, *(1,) * (len(kernel) - axis))
        scale *= k
    xp(values).copyto(codes, first.astype(codes.dtype), where=low)


def flat_index(codes, size, kernel, stride, padding, dilation):
    """Positions of the maxima in their plane, flattened: int64, (*planes, *count)."""
    count = codes.shape[codes.ndim - len(kernel) :]
    index = xp(codes).zeros(codes.shape, np.int64)
    rest, scale = codes.astype(np.int64), 1
    for axis in range(len(kernel) - 1, -1, -1):
        k, t, p, d, n = (each[axis] for each in (kernel, stride, padding, dilation, count))
        start = (xp(codes).arange(n) * t - p).reshape(-1, *(1,) * (len(kernel) - 1 - axis))
        index += (start + rest % k * d) * scale
        rest //= k
        scale *= size[axis]
    return index


def max_pool_scatter(g, codes, size, kernel, stride, padding, dilation):
    """Put every g (*planes, *count) where its window's maximum was: (*planes, *size). Adjoint of the gather."""
    spatial = len(kernel)
    count = g.shape[g.ndim - spatial :]
    if prod(kernel) > MANY_OFFSETS:
        return plane_scatter(g, flat_index(codes, size, kernel, stride, padding, dilation), size)
    out = xp(g).zeros((*g.shape[: g.ndim - spatial], *size), g.dtype)
    extent = _extent(kernel, stride, dilation, count)
    apart = all(t > d * (k - 1) for k, t, d in zip(kernel, stride, dilation, strict=True))
    places = codes.reshape(-1, *count)
    gradients = xp(g).ascontiguousarray(g).reshape(-1, *count)
    as_bits = np.dtype(f"i{g.itemsize}")
    inside, image = _inside(size, padding, extent)
    done = 0
    whole = not any(padding) and all(e <= s for e, s in zip(extent, size, strict=True))
    for planes, _, _ in _plane_blocks(out, xp(g).broadcast_to(g, g.shape), kernel, stride, dilation, count):
        block = slice(done, done + len(planes))
        padded = planes if whole else xp(g).zeros((len(planes), *extent), g.dtype)
        bits = gradients[block].view(as_bits)  # times 0 or 1: also right for inf and NaN, and quick
        for code, where in enumerate(_offset_slices(kernel, stride, dilation, count)):
            chosen = (places[block] == code).astype(as_bits)
            if apart:
                xp(g).multiply(bits, chosen, out=padded.view(as_bits)[where])
            else:
                padded[where] += xp(g).multiply(bits, chosen, out=chosen).view(g.dtype)
        if not whole:
            planes[image] = padded[inside]
        done += len(planes)
    return out


def max_pool_gather(h, codes, kernel, stride, padding, dilation):
    """Read h (*planes, *size) where the maxima were: (*planes, *count)."""
    spatial = len(kernel)
    size = h.shape[h.ndim - spatial :]
    return plane_gather(h, flat_index(codes, size, kernel, stride, padding, dilation), spatial)


def _offset_slices(kernel, stride, dilation, count):
    """Index of the places that each kernel offset meets, in row-major order."""
    for offset in product(*(range(k) for k in kernel)):
        steps = zip(offset, dilation, stride, count, strict=True)
        yield (..., *(slice(o * d, o * d + (n - 1) * t + 1, t) for o, d, t, n in steps))


def plane_gather(x, index, spatial):
    """Read x (*planes, *size) at flat positions index (*planes, *count) of each plane."""
    lead = x.shape[: x.ndim - spatial]
    flat = x.reshape(*lead, prod(x.shape[x.ndim - spatial :]))
    places = index.reshape(*lead, prod(index.shape[len(lead) :]))
    return xp(x).take_along_axis(flat, places, axis=-1).reshape(index.shape)


def plane_scatter(g, index, size):
    """Sum g (*planes, *count) into zeros (*planes, *size) at flat positions of each plane: adjoint of plane_gather."""
    lead = g.shape[: g.ndim - len(size)]
    number, area = prod(lead), prod(size)
    out = xp(g).zeros(number * area, _wide(g[:0]).dtype)
    start = (xp(g).arange(number) * area).reshape(*lead, *(1,) * len(size))
    scatter_add_flat(out, index + start, _wide(g))
    return out.reshape(*lead, *size).astype(g.dtype, copy=False)


def plane_put(x, index, size):
    """Write x into zeros (*planes, *size) at flat positions of each plane; of several values the last stays."""
    lead = x.shape[: x.ndim - len(size)]
    number, area = prod(lead), prod(size)
    out = xp(x).zeros(number * area, x.dtype)
    start = (xp(x).arange(number) * area).reshape(*lead, *(1,) * len(size))
    out[(index + start).reshape(-1)] = x.reshape(-1)
    return out.reshape(*lead, *size)


def table_max(x, tables):
    """Maxima over windows of any place and length, and their flat positions (int64) in the plane.

    ``tables`` has one integer array per spatial dimension, (longest window, count), or with a start of its own for
    every plane (longest window, *planes, count): the positions each window covers, short ones repeating their last.
    """
    spatial = len(tables)
    lead = x.ndim - spatial
    values, index, scale = x, None, 1
    for axis in range(spatial - 1, -1, -1):
        best = place = None
        for positions in xp(x).asarray(tables[axis]):
            candidate = _take(values, positions, lead + axis, lead)
            shape = [1] * (spatial - 1 - axis)
            before = (1,) * (axis if positions.ndim > 1 else 0)
            own = (positions * scale).reshape(*positions.shape[:-1], *before, positions.shape[-1], *shape)
            where = own if index is None else _take(index, positions, lead + axis, lead) + own
            if best is None:
                best, place = candidate.copy(), xp(x).broadcast_to(where, candidate.shape).astype(np.int64)
                continue
            better = candidate > best
            if x.dtype.kind == "f":
                better |= candidate != candidate
            xp(x).copyto(best, candidate, where=better)
            xp(x).copyto(place, where, where=better)
        values, index = best, place
        scale *= x.shape[lead + axis]
    return values, index


def _take(array, positions, axis, lead):
    """array at positions along an axis: the same ones for all planes (count,), or each plane's own (*planes, count)."""
    if positions.ndim == 1:
        return xp(array).take(array, positions, axis=axis)
    after = array.ndim - axis - 1
    places = positions.reshape(*positions.shape[:-1], *(1,) * (axis - lead), positions.shape[-1], *(1,) * after)
    shape = list(array.shape)
    shape[axis] = positions.shape[-1]
    return xp(array).take_along_axis(array, xp(array).broadcast_to(places, shape), axis=axis)


# ------------------------------------------------------------------ sums and means


def _divided(values, divisor):
    """Quotient, rounded towards zero for integers."""
    if values.dtype.kind == "f":
        return values if np.ndim(divisor) == 0 and divisor == 1 else values / xp(values).asarray(divisor, values.dtype)
    quotient = abs(values) // xp(values).asarray(abs(divisor), values.dtype)
    return quotient * xp(values).asarray(np.sign(divisor), values.dtype) * xp(values).sign(values)


def window_mean(x, kernel, stride, padding, count, divisor=1):
    """Sums (*planes, *count) over the windows of x (*planes, *size), each over a divisor (number or (*count))."""
    spatial = len(kernel)
    size = x.shape[x.ndim - spatial :]
    if kernel == size and not any(padding):  # one window: the whole plane
        total = _wide(x.reshape(*x.shape[: x.ndim - spatial], prod(size))).sum(axis=-1)
        return _divided(total.reshape(*total.shape, *count), divisor).astype(x.dtype, copy=False)
    out = xp(x).empty((*x.shape[: x.ndim - spatial], *count), x.dtype)
    for planes, target, extent in _plane_blocks(x, out, kernel, stride, (1,) * spatial, count):
        values = _padded(_wide(planes), size, padding, extent, 0)
        for axis in range(spatial, 0, -1):
            k, t, n = kernel[axis - 1], stride[axis - 1], count[axis - 1]
            if n == 1 and values.shape[axis] == k and k > 4:
                values = values.sum(axis=axis, keepdims=True)
                continue
            total = _along(values, axis, 0, t, n)
            for offset in range(1, k):
                total = xp(x).add(total, _along(values, axis, offset, t, n), out=total if offset > 1 else None)
            values = total
        target[...] = _divided(values, divisor)
    return out


def window_spread(g, size, kernel, stride, padding, divisor=1):
    """Adjoint of `window_mean`: g (*planes, *count) over the divisor, added to its window: (*planes, *size)."""
    spatial = len(kernel)
    count = g.shape[g.ndim - spatial :]
    out = xp(g).zeros((*g.shape[: g.ndim - spatial], *size), g.dtype)
    if kernel == size and not any(padding):
        out[...] = _divided(_wide(g), divisor)
        return out
    gradients = g.reshape(-1, *count)
    done = 0
    for planes, _, extent in _plane_blocks(out, xp(g).broadcast_to(g, g.shape), kernel, stride, (1,) * spatial, count):
        values = _divided(_wide(gradients[done : done + len(planes)]), divisor)
        for axis in range(1, spatial + 1):
            k, t, n = kernel[axis - 1], stride[axis - 1], count[axis - 1]
            wide = xp(g).zeros((*values.shape[:axis], extent[axis - 1], *values.shape[axis + 1 :]), values.dtype)
            for offset in range(k):
                if t >= k:
                    _along(wide, axis, offset, t, n)[...] = values
                else:
                    _along(wide, axis, offset, t, n)[...] += values
            values = wide
        inside, image = _inside(size, padding, extent)
        planes[image] = values[inside]
        done += len(planes)
    return out


@lru_cache(maxsize=256)
def window_divisor(size, kernel, stride, padding, count, include_padding):
    """Number of places that each window counts in a mean: an int, or (*count) floats where windows differ."""
    total = 1
    for axis, (s, k, t, p, n) in enumerate(zip(size, kernel, stride, padding, count, strict=True)):
        start = np.arange(n) * t - p
        end = np.minimum(start + k, s + p)
        length = end - start if include_padding else np.minimum(end, s) - np.maximum(start, 0)
        total = total * length.reshape(-1, *(1,) * (len(size) - 1 - axis))
    return int(total.flat[0]) if total.size and (total == total.flat[0]).all() else total


def sum_along(x, axis, before, after):
    """Sum over x[i - before : i + after + 1] along one axis, zeros outside; x's shape."""
    length = x.shape[axis]
    shape = list(x.shape)
    shape[axis] = length + before + after
    padded = xp(x).zeros(shape, _wide(x[:0]).dtype)
    _along(padded, axis, before, 1, length)[...] = x
    total = _along(padded, axis, 0, 1, length).copy()
    for offset in range(1, before + after + 1):
        total += _along(padded, axis, offset, 1, length)
    return total.astype(x.dtype, copy=False)
