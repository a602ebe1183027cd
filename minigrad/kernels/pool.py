"""Pooling with 1, 2, 3 … spatial dimensions: maxima with where they lie, and window sums with their adjoint.

Images are (*planes, *size): every leading dimension is pooled alone.  ``kernel, stride, padding, dilation`` are tuples
with one int per spatial dimension and ``count`` is the number of windows along each.  A window is reduced one dimension
after the other, so that a k x k window costs 2k passes instead of k * k, block by block on the worker threads.
"""

from functools import lru_cache
from math import prod

from minigrad.backend import np, xp
from minigrad.kernels import cuda
from minigrad.kernels.scatter import scatter_add_flat
from minigrad.kernels.windows import fitted, in_blocks, merge, planes_of_block, room, side_by_side, split, windows_of


def pooled_size(size, kernel, stride, padding, dilation, ceil_mode):
    """Number of windows along each dimension; ceil_mode adds a last one that starts inside and reaches over the end."""
    count = []
    for s, k, t, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        free = s + 2 * p - d * (k - 1) - 1
        windows = (free + (t - 1 if ceil_mode else 0)) // t + 1
        if ceil_mode and (windows - 1) * t >= s + p:
            windows -= 1
        count.append(windows)
    return tuple(count)


def _wide_dtype(dtype):
    """The dtype computed in: float32 for float16."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _wide(array):
    """float16 as float32, in which sums are taken; anything else as it is."""
    return array.astype(_wide_dtype(array.dtype), copy=False)


def _planes(array, spatial):
    """The array with its leading dimensions as one: (planes, *size)."""
    lead = array.ndim - spatial
    return array.reshape(prod(array.shape[:lead]), *array.shape[lead:])


# ------------------------------------------------------------------ maxima


def lowest(dtype):
    """The value that never wins a maximum: minus infinity, or the smallest integer."""
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def code_dtype(kernel):
    """Smallest dtype that numbers the places of a window and has a number left."""
    return np.dtype(np.uint8 if prod(kernel) < 256 else np.int32)


def max_pool_values(x, kernel, stride, padding, dilation, count):
    """Maxima (*planes, *count) of the windows of x; NaN wins."""
    if type(x) is not np.ndarray and cuda.pool.takes(x, len(kernel)):
        return cuda.pool.max_pool(x, None, kernel, stride, padding, dilation, count)[0]
    out = xp(x).empty((*x.shape[: x.ndim - len(kernel)], *count), x.dtype)
    _max_pool(x, out, None, kernel, stride, padding, dilation, count)
    return out


def max_pool(x, kernel, stride, padding, dilation, count):
    """Maxima (*planes, *count) and their codes: the place in the window, counted in row-major order.

    As in PyTorch the first of equal maxima is taken, and the last NaN.
    """
    if type(x) is not np.ndarray and cuda.pool.takes(x, len(kernel)):
        return cuda.pool.max_pool(x, code_dtype(kernel), kernel, stride, padding, dilation, count)
    out = xp(x).empty((*x.shape[: x.ndim - len(kernel)], *count), x.dtype)
    codes = xp(x).empty(out.shape, code_dtype(kernel))
    _max_pool(x, out, codes, kernel, stride, padding, dilation, count)
    return out, codes


def _max_pool(x, out, codes, kernel, stride, padding, dilation, count):
    """Write the maxima and, unless None, their codes."""
    spatial = len(kernel)
    planes, targets = _planes(x, spatial), _planes(out, spatial)
    code_targets = None if codes is None else _planes(codes, spatial)
    windows = windows_of(planes.shape[1:], kernel, stride, padding, dilation, count)
    low = lowest(x.dtype)

    def work(start, stop):
        target = targets[start:stop]
        if codes is None and windows.apart:
            target[...] = side_by_side(planes[start:stop], windows, xp(x).maximum)
            return
        places = None if codes is None else code_targets[start:stop]
        lattices = split(planes[start:stop], windows, low, _wide_dtype(x.dtype))
        _block_maxima(lattices, windows, target, places, nan=False)
        if places is None:
            return
        if x.dtype.kind == "f" and xp(x).isnan(target.max()):
            _block_maxima(lattices, windows, target, places, nan=True)
        if any(padding):
            _leave_padding(target, places, kernel, stride, padding, dilation, count)

    if out.size:
        in_blocks(x, len(planes), max(prod(planes.shape[1:]), prod(count)), work)


def _block_maxima(lattices, windows, target, places, nan):
    """Write the maxima of one block and, unless None, their codes; ``nan``: look for NaNs, which win over everything.

    From the last dimension to the first, each is reduced for all lattices of those before it at once.
    """
    axes = windows.axes
    values, codes, scale, unit = lattices, None, 1, 1
    direct = windows.width == windows.count and values.dtype == target.dtype and len(axes[0].steps) > 1
    for position in range(len(axes) - 1, -1, -1):
        axis = axes[position]
        into = (target, places) if direct and position == 0 else _rooms(values, position, len(axis.parts), places)
        values = values.reshape(len(axis.parts), -1)
        codes = None if codes is None else codes.reshape(len(axis.parts), -1)
        values, codes = _axis_maxima(values, codes, axis, unit, scale, *into, nan)
        scale *= len(axis.steps)
        unit *= axis.width
    if direct:
        return
    shape = (len(target), *windows.width)
    target[...] = values.reshape(shape)[windows.inner]
    if places is not None:
        places[...] = 0 if codes is None else codes.reshape(shape)[windows.inner]


def _rooms(values, position, parts, places):
    """Memory for the maxima over one dimension of the values, and for their codes if there are places for them."""
    shape = (values.size // parts,)
    best = room(values, ("best", position), shape, values.dtype)
    return best, None if places is None else room(values, ("places", position), shape, places.dtype)


def _axis_maxima(values, codes, axis, unit, scale, best, places, nan):
    """Reduce one dimension: the maxima over its offsets of the values (lattices, L), and the codes with theirs added.

    A step along the dimension is ``unit`` elements, and ``scale`` in the codes; codes None are zeros. The results are
    written to best and places (None: no codes wanted), except those of a single offset, which are there already.
    """
    module = xp(values)
    current, known = values[0], None if codes is None else codes[0]
    length = values.shape[1] - axis.reach * unit  # what follows is no window
    best = best.reshape(-1)
    if places is not None:
        places = places.reshape(-1)
        better = room(values, "better", (length,), np.bool_)
        change = room(values, "change", (length,), places.dtype)
    for offset, (which, shift) in enumerate(axis.steps[1:], 1):
        span = slice(shift * unit, shift * unit + length)
        candidate = values[which, span]
        if places is not None:
            module.greater(candidate, current[:length], out=better)
            if nan:
                better |= candidate != candidate
            code, chosen = places.dtype.type(offset * scale), better.view(np.uint8)
            if codes is not None:  # times 0 or 1: a masked copy takes twenty times as long
                module.add(codes[which, span], code, out=change)
                module.multiply(change, chosen, out=change)
            else:
                module.multiply(chosen, code, out=change if known is not None else places[:length])
            if known is not None:  # what comes later in the window has the larger code
                module.maximum(known[:length], change, out=places[:length])
            known = places
        module.maximum(current[:length], candidate, out=best[:length])
        current = best
    return current, known


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


@lru_cache(maxsize=256)
def _window_starts(size, stride, padding, count):
    """Flat position in the plane of the first place of each window, int64 (windows,)."""
    starts = np.zeros((), np.int64)
    for s, t, p, n in zip(size, stride, padding, count, strict=True):
        starts = starts[..., None] * s + np.arange(n) * t - p
    return starts.reshape(-1)


def _code_positions(codes, size, kernel, dilation):
    """Flat positions of the codes' places less that of the first place in their window."""
    module = xp(codes)
    units = [d * prod(size[axis + 1 :]) for axis, d in enumerate(dilation)]
    farthest = sum((k - 1) * unit for k, unit in zip(kernel, units, strict=True))
    dtype = np.dtype(np.uint16 if farthest < 2**16 and codes.dtype == np.uint8 else np.int64)
    positions = room(codes, "positions", codes.shape, dtype)
    part = room(codes, "part", codes.shape, dtype)
    module.multiply(codes, dtype.type(units[-1]), out=positions)
    scale = 1
    for axis in range(len(kernel) - 2, -1, -1):  # where a code goes round in one dimension, it goes on in that before
        scale *= kernel[axis + 1]
        quotient = module.floor_divide(codes, scale, out=room(codes, "quotient", codes.shape, codes.dtype))
        step = units[axis] - kernel[axis + 1] * units[axis + 1]
        module.multiply(quotient, dtype.type(step % 2**16 if dtype == np.uint16 else step), out=part)
        module.add(positions, part, out=positions)
    return positions


def flat_index(codes, size, kernel, stride, padding, dilation):
    """Positions of the maxima in their plane, flattened: int64, (*planes, *count)."""
    if type(codes) is not np.ndarray and codes.size and len(kernel) <= 3:
        return cuda.pool.flat_index(codes, size, kernel, stride, padding, dilation)
    count = codes.shape[codes.ndim - len(kernel) :]
    starts = xp(codes).asarray(_window_starts(size, stride, padding, count)).reshape(count)
    return _code_positions(codes, size, kernel, dilation) + starts


def max_pool_scatter(g, codes, size, kernel, stride, padding, dilation):
    """Put every g (*planes, *count) where its window's maximum was: (*planes, *size). Adjoint of the gather."""
    spatial = len(kernel)
    if type(g) is not np.ndarray and cuda.pool.takes(g, spatial):
        return cuda.pool.max_pool_scatter(g, codes, size, kernel, stride, padding, dilation)
    count = g.shape[g.ndim - spatial :]
    out = xp(g).empty((*g.shape[: g.ndim - spatial], *size), g.dtype)
    number, area, windows = prod(out.shape[: g.ndim - spatial]), prod(size), prod(count)
    if not out.size:
        return out
    apart = all(t > d * (k - 1) for k, t, d in zip(kernel, stride, dilation, strict=True))
    gradients, places, planes = g.reshape(-1), codes.reshape(number, windows), out.reshape(-1)
    starts = xp(g).asarray(_window_starts(size, stride, padding, count))
    base = xp(g).arange(planes_of_block(g, number, area))[:, None] * area + starts  # of the windows of one block

    def work(start, stop):
        part = planes[start * area : stop * area]
        values = gradients[start * windows : stop * windows]
        target = part if part.dtype != np.float16 else room(g, "wide", part.shape, np.float32)
        target.fill(0)
        index = room(g, "index", (stop - start, windows), np.int64)
        xp(g).add(base[: stop - start], _code_positions(places[start:stop], size, kernel, dilation), out=index)
        if apart:
            target[index.reshape(-1)] = values
        else:
            xp(g).add.at(target, index.reshape(-1), values.astype(target.dtype, copy=False))
        if target is not part:
            part[...] = target

    in_blocks(g, number, area, work)
    return out


def max_pool_gather(h, codes, kernel, stride, padding, dilation):
    """Read h (*planes, *size) where the maxima were: (*planes, *count)."""
    spatial = len(kernel)
    if type(h) is not np.ndarray and cuda.pool.takes(h, spatial):
        return cuda.pool.max_pool_gather(h, codes, kernel, stride, padding, dilation)
    size = h.shape[h.ndim - spatial :]
    return plane_gather(h, flat_index(codes, size, kernel, stride, padding, dilation), spatial)


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


def _divided(values, divisor, out):
    """Write the quotient, rounded towards zero for integers."""
    if values.dtype.kind == "f":
        divisor = divisor if np.ndim(divisor) == 0 else xp(values).asarray(divisor, values.dtype)
        return xp(values).divide(values, divisor, out=out, casting="same_kind")
    quotient = abs(values) // xp(values).asarray(abs(divisor), values.dtype)
    out[...] = quotient * xp(values).asarray(np.sign(divisor), values.dtype) * xp(values).sign(values)
    return out


def window_mean(x, kernel, stride, padding, count, divisor=1):
    """Sums (*planes, *count) over the windows of x (*planes, *size), each over a divisor (number or (*count))."""
    spatial = len(kernel)
    if type(x) is not np.ndarray and cuda.pool.takes(x, spatial):
        return cuda.pool.window_mean(x, kernel, stride, padding, count, divisor)
    out = xp(x).empty((*x.shape[: x.ndim - spatial], *count), x.dtype)
    if not out.size:
        return out
    planes, targets = _planes(x, spatial), _planes(out, spatial)
    size = planes.shape[1:]
    whole = kernel == size and not any(padding)
    windows = None if whole else windows_of(size, kernel, stride, padding, (1,) * spatial, count)

    def work(start, stop):
        if whole:
            rows = planes[start:stop].reshape(stop - start, -1)
            _divided(_row_sums(rows), divisor, targets[start:stop].reshape(-1))
            return
        if windows.apart:
            sums = side_by_side(_wide(planes[start:stop]), windows, xp(x).add)
            _divided(sums, divisor, targets[start:stop])
            return
        values, unit = split(planes[start:stop], windows, 0, _wide_dtype(x.dtype)), 1
        shape = values.shape[spatial:]
        for position in range(spatial - 1, -1, -1):
            axis = windows.axes[position]
            values = _axis_sums(values.reshape(len(axis.parts), -1), axis, unit, ("sums", position))
            unit *= axis.width
        _divided(values.reshape(shape)[windows.inner], divisor, targets[start:stop])

    in_blocks(x, len(planes), prod(size), work)
    return out


def _row_sums(rows):
    """Sums (n,) of the rows (n, length)."""
    if rows.dtype.kind != "f":
        return rows.sum(axis=1)
    return _wide(rows) @ xp(rows).ones(rows.shape[1], _wide_dtype(rows.dtype))  # sum() is slow on short rows


def _axis_sums(values, axis, unit, name):
    """Reduce one dimension: the sums over its offsets of the values (lattices, L)."""
    total = values[0]
    if len(axis.steps) == 1:
        return total
    length = values.shape[1] - axis.reach * unit  # what follows is no window
    sums = room(values, name, total.shape, values.dtype)
    for which, shift in axis.steps[1:]:
        xp(values).add(total[:length], values[which, shift * unit : shift * unit + length], out=sums[:length])
        total = sums
    return sums


def window_spread(g, size, kernel, stride, padding, divisor=1):
    """Adjoint of `window_mean`: g (*planes, *count) over the divisor, added to its window: (*planes, *size)."""
    spatial = len(kernel)
    if type(g) is not np.ndarray and cuda.pool.takes(g, spatial):
        return cuda.pool.window_spread(g, size, kernel, stride, padding, divisor)
    count = g.shape[g.ndim - spatial :]
    out = xp(g).empty((*g.shape[: g.ndim - spatial], *size), g.dtype)
    if not out.size:
        return out
    gradients, planes = _planes(g, spatial), _planes(out, spatial)
    whole = kernel == size and not any(padding)
    windows = None if whole else windows_of(size, kernel, stride, padding, (1,) * spatial, count)

    def work(start, stop):
        part = _wide(gradients[start:stop])
        values = _divided(part, divisor, room(g, "quotient", part.shape, part.dtype))
        if whole:
            planes[start:stop] = values
            return
        if windows.apart:
            merge(values, planes[start:stop], windows)
            return
        values = fitted(values, windows, 0, "gradients", values.dtype)
        shape, unit = values.shape, prod(values.shape[1:])
        for position, axis in enumerate(windows.axes):
            unit //= axis.width
            values = _axis_spread(values.reshape(-1), axis, unit, ("spread", position))
        merge(values.reshape(*windows.lattices, *shape), planes[start:stop], windows)

    in_blocks(g, len(planes), prod(size), work)
    return out


def _shifted(length, shift):
    """(slice to read, slice to write) for moving a flat array by a shift; what would leave it stays out."""
    moved = max(0, length - abs(shift))
    start = min(length, max(0, shift))
    back = min(length, max(0, -shift))
    return slice(back, back + moved), slice(start, start + moved)


def _axis_spread(values, axis, unit, name):
    """Add the values at every offset of the windows: lattices (lattices, L)."""
    out = room(values, name, (len(axis.parts), values.size), values.dtype)
    for lattice, shifts in zip(out, axis.shifts, strict=True):
        for order, shift in enumerate(shifts):
            here, there = _shifted(values.size, shift * unit)
            if order == 0:
                lattice[: there.start] = 0
                lattice[there] = values[here]
            else:
                lattice[there] += values[here]
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
    place = (slice(None),) * axis
    total = _wide(x).copy()
    for shift in range(-before, after + 1):
        if shift:
            here, there = _shifted(length, -shift)
            total[(*place, there)] += x[(*place, here)]
    return total.astype(x.dtype, copy=False)
