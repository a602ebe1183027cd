"""The order of an array's dimensions (N, C, *size) in memory: row-major, or channels last as (N, *size, C)."""

from math import prod

from minigrad.kernels.cuda.im2col import empty
from minigrad.kernels.cuda.source import FLOATS, Source

SOURCE = Source("order.cu")
_TILE = 32
_MOST_BLOCKS = 1 << 20  # each takes several tiles beyond


def is_dense(x, channels_last):
    """Return whether an array lies in memory in the given order without gaps."""
    if not channels_last:
        return x.flags.c_contiguous
    span, shape, strides = x.itemsize, x.shape, x.strides
    for dim in (1, *range(x.ndim - 1, 1, -1), 0):
        if strides[dim] != span and shape[dim] != 1:
            return False
        span *= shape[dim]
    return True


def in_order(x, channels_last):
    """Return an array in the given order: itself, or a copy."""
    if is_dense(x, channels_last):
        return x
    out = empty(x, x.shape, channels_last)
    if x.dtype.name not in FLOATS or not is_dense(x, not channels_last) or not x.size:
        out[...] = x
        return out
    rows, columns = x.shape[1], prod(x.shape[2:])
    if not channels_last:
        rows, columns = columns, rows
    tiles = x.shape[0] * -(-rows // _TILE) * -(-columns // _TILE)
    SOURCE.kernel("transpose", x.dtype)(grid=min(tiles, _MOST_BLOCKS), args=(out, x, x.shape[0], rows, columns))
    return out
