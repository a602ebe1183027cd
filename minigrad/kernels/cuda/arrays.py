"""Arrays as kernels take them: in one of two orders of memory, in packs of 16 bytes, of a type they are written for."""

from minigrad.backend import np, xp

_LIMIT = 2**31  # elements from which on kernels would need wider indices


def takes(x):
    """Return whether x is an array of a GPU that the kernels of this package take: real floats, some, not too many."""
    return xp(x) is not np and x.dtype.char in "fdeE" and 0 < x.size < _LIMIT


def accumulator(x):
    """Return the dtype in which sums of x are taken."""
    return np.float64 if x.dtype.char == "d" else np.float32


def values(p, x):
    """Return p, some numbers that go with x, as contiguous ones of the accumulator's dtype; None for None."""
    return None if p is None else xp(x).ascontiguousarray(p.reshape(-1), dtype=accumulator(x))


def arranged(x, last=None):
    """Return (x (N, C, S), whether it lies in memory as (N, S, C)); a copy where it lies otherwise than asked for."""
    if last is None:
        last = x.shape[2] == 1 or (not x.flags.c_contiguous and x.transpose(0, 2, 1).flags.c_contiguous)
    if not last:
        return xp(x).ascontiguousarray(x), False
    return xp(x).ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1), True


def like(x, y):
    """Return y in the order of memory of x, which is of its shape and dense; a copy where it lies otherwise."""
    if y.strides == x.strides or (x.flags.c_contiguous and y.flags.c_contiguous):
        return y
    out = xp(x).empty_like(x, dtype=y.dtype)
    out[...] = y
    return out


def dense(x):
    """Return x, or a copy of it in C order where its memory has gaps, overlaps or an order without a name."""
    if x.flags.c_contiguous or (x.ndim > 2 and xp(x).moveaxis(x, 1, -1).flags.c_contiguous):
        return x
    return xp(x).ascontiguousarray(x)


def pack(row, *arrays):
    """Return how many elements of the arrays (None: missing) are read at once: 16 bytes of a row, or one."""
    size = 16 // arrays[0].itemsize
    fits = row % size == 0 and all(x is None or x.data.ptr % 16 == 0 for x in arrays)
    return size if fits else 1
