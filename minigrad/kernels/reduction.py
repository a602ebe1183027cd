"""Reductions over raw arrays with PyTorch's result types and enough precision."""

from minigrad.backend import np, xp

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
