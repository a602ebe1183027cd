"""Sorting raw arrays and choosing by rank; NaN counts as the largest value, as in PyTorch."""

import math

from minigrad.backend import np, xp
from minigrad.kernels.cumulative import scan


def argsort(x, dim, descending):
    """Return the stable order of x along dim."""
    module = xp(x)
    if not descending:
        return module.argsort(x, axis=dim, kind="stable")
    # The reverse of the stable ascending order of the reversed line: equal elements keep their order.
    order = module.argsort(module.flip(x, dim), axis=dim, kind="stable")
    return x.shape[dim] - 1 - module.flip(order, dim)


def top(x, k, dim, largest):
    """Return the indices of the k largest or smallest elements along dim, in order."""
    length = x.shape[dim]
    if k == 0 or k * 4 > length or length < 64:
        return first(argsort(x, dim, largest), k, dim)
    module = xp(x)
    part = module.argpartition(x, length - k if largest else k - 1, axis=dim)
    chosen = first(part, k, dim) if not largest else last(part, k, dim)
    chosen = module.sort(chosen, axis=dim)
    order = argsort(module.take_along_axis(x, chosen, dim), dim, largest)
    return module.take_along_axis(chosen, order, dim)


def first(x, k, dim):
    """Return the first k elements along dim."""
    return x[(slice(None),) * dim + (slice(None, k),)]


def last(x, k, dim):
    """Return the last k elements along dim."""
    return x[(slice(None),) * dim + (slice(x.shape[dim] - k, None),)]


def mode(x, dim):
    """Return (values, indices) of the most frequent element along dim: the smallest of several, its last place."""
    module = xp(x)
    order = module.argsort(x, axis=dim, kind="stable")
    line = module.moveaxis(module.take_along_axis(x, order, dim), dim, -1)
    places = module.arange(line.shape[-1])
    starts = module.ones(line.shape, bool)
    starts[..., 1:] = line[..., 1:] != line[..., :-1]
    begins = scan("maximum", module.where(starts, places, 0), line.ndim - 1)
    best = module.argmax(places - begins, axis=-1)[..., None]
    values = module.take_along_axis(line, best, -1)
    indices = module.take_along_axis(module.moveaxis(order, dim, -1), best, -1)
    return module.moveaxis(values, -1, dim), module.moveaxis(indices, -1, dim)


def run_starts(x):
    """Return where an element of a flat array, or a row of a matrix, differs from the one before it."""
    module = xp(x)
    starts = module.ones(len(x), bool)
    different = x[1:] != x[:-1]
    starts[1:] = different.any(axis=tuple(range(1, x.ndim))) if x.ndim > 1 else different
    return starts


def searchsorted(boundaries, values, right):
    """Return where values would be inserted into sorted boundaries: one line for all, or line by line."""
    module = xp(boundaries)
    side = "right" if right else "left"
    if boundaries.ndim == 1:
        return module.searchsorted(boundaries, values, side=side)
    count = math.prod(boundaries.shape[:-1])
    lines = boundaries.reshape(count, boundaries.shape[-1])
    wanted = values.reshape(count, values.shape[-1])
    out = module.empty(wanted.shape, np.int64)
    for row in range(len(lines)):
        out[row] = module.searchsorted(lines[row], wanted[row], side=side)
    return out.reshape(values.shape)
