"""Reductions over raw arrays with PyTorch's result types and enough precision."""

from math import prod

from minigrad.backend import np, parallel_ranges, xp
from minigrad.kernels import cuda

_BLOCK = 512


def total(x, dim, keepdim):
    """Return the sum over dims (None: all): integers and bools in int64, float16 accumulated in float32."""
    code = x.dtype.char
    if dim is None and not keepdim and code in "fd" and type(x) is np.ndarray:
        return np.add.reduce(x, None)  # what x.sum() comes to, without its Python
    if code == "e":
        return x.sum(axis=dim, keepdims=keepdim, dtype=np.float32).astype(np.float16)
    if x.dtype.kind in "biu":
        return x.sum(axis=dim, keepdims=keepdim, dtype=np.int64)
    if code == "f" and dim is not None and len(dim) == 1 and x.shape[dim[0]] > 4 * _BLOCK and xp(x) is np:
        return _blocked(x, dim[0], keepdim)
    return x.sum(axis=dim, keepdims=keepdim)


def _blocked(x, dim, keepdim):
    """Return the sum over one long dimension in two stages: NumPy adds rows one by one and loses digits."""
    if x.strides[dim] == x.itemsize:  # along the innermost dimension NumPy's own summation is pairwise
        return x.sum(axis=dim, keepdims=keepdim)
    starts = np.arange(0, x.shape[dim], _BLOCK)
    return np.add.reduceat(x, starts, axis=dim).sum(axis=dim, keepdims=keepdim)


def average(x, dim, keepdim):
    """Return the mean over dims (None: all)."""
    count = x.size if dim is None else _length(x.shape, dim)
    if x.dtype.char == "e":
        return (x.sum(axis=dim, keepdims=keepdim, dtype=np.float32) / np.float32(count)).astype(np.float16)
    out = total(x, dim, keepdim)
    return out / count if count else out * float("nan")


def _length(shape, dim):
    count = 1
    for axis in dim:
        count *= shape[axis]
    return count


_LARGE = 2**16  # elements from which on sums per channel are taken by BLAS
_SHARED = 2**18  # elements of a block of a thread


def sum_to(x, shape):
    """Return x summed over the dimensions along which an array of that shape was broadcast to become x."""
    lead = x.ndim - len(shape)
    dims = tuple([dim for dim in range(lead) if x.shape[dim] != 1]) + tuple(
        [lead + dim for dim, length in enumerate(shape) if length == 1 and x.shape[lead + dim] != 1]
    )
    if not dims:
        return x.reshape(shape)
    if type(x) is not np.ndarray:
        if x.ndim > 1 and _keeps_channels(x, shape, lead) and cuda.arrays.takes(x):
            return cuda.norm.channel_sum(x.reshape(*x.shape[:2], -1)).reshape(shape)
    elif x.size >= _LARGE and x.dtype.char in "fd" and x.flags.c_contiguous:
        length = prod(x.shape[2:])
        if x.ndim > 2 and _keeps_channels(x, shape, lead) and length >= 16:
            return _per_channel(x.reshape(-1, x.shape[1], length)).reshape(shape)
    if x.dtype.char == "E":  # bfloat16 is summed in float32
        return x.astype(np.float32).sum(axis=dims, keepdims=True).reshape(shape).astype(x.dtype)
    return x.sum(axis=dims, keepdims=True).reshape(shape)


def _keeps_channels(x, shape, lead):
    """Return whether a shape is (1, C, 1, …) or (C, 1, …) for x (N, C, …), which has ``lead`` dimensions more."""
    return lead < 2 and prod(shape) == shape[1 - lead] == x.shape[1]


def _per_channel(x):
    """Return the sums of x (N, C, S) over all but the channels: of planes by BLAS, of those in float64. # (C,)"""
    planes = x.reshape(-1, x.shape[2])
    ones = np.ones(x.shape[2], x.dtype)
    sums = np.empty(len(planes), x.dtype)

    def rows(start, stop):
        np.matmul(planes[start:stop], ones, out=sums[start:stop])

    parallel_ranges(len(planes), _SHARED // x.shape[2], rows)
    return sums.reshape(x.shape[:2]).sum(axis=0, dtype=np.float64).astype(x.dtype)


def kept_shape(shape, dim):
    """Return the shape after a reduction over dims (None: all) that keeps them with length 1."""
    if dim is None:
        return (1,) * len(shape)
    return tuple(1 if axis in dim else length for axis, length in enumerate(shape))


def dropped_shape(shape, dim):
    """Return the shape after a reduction over dims (None: all) that drops them."""
    return () if dim is None else tuple(length for axis, length in enumerate(shape) if axis not in dim)


def spread(g, shape, dim, keepdim):
    """Return g, the result of a reduction of an array of that shape, expanded to the shape again (read-only view)."""
    if not keepdim and dim is not None:
        g = g.reshape(kept_shape(shape, dim))
    return xp(g).broadcast_to(g, shape)
