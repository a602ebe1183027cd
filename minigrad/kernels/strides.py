"""Views made by choosing strides."""

from minigrad.backend import memory_root, np, place, xp

_ndarray = np.ndarray


def broadcast_view(x, shape):
    """Return the view of x broadcast to a shape; read-only wherever an element is seen more than once."""
    if type(x) is not _ndarray:
        return xp(x).broadcast_to(x, shape)
    old = x.shape
    if old == shape:
        return x.view()
    lead = len(shape) - len(old)
    flags = x.flags
    if lead >= 0 and flags.c_contiguous and flags.writeable and x.size:
        strides = x.strides
        if shape[lead:] != old:
            strides = _broadcast_strides(old, shape[lead:], strides)
        if strides is not None:
            # Several times faster than broadcast_to, which goes through an iterator.
            out = _ndarray(shape, x.dtype, x, 0, (0,) * lead + strides if lead else strides)
            if out.size > x.size:
                out.flags.writeable = False
            return out
    return np.broadcast_to(x, shape)


def _broadcast_strides(old, shape, strides):
    """Return the strides with which dimensions of length 1 are repeated; None where another length differs."""
    result = ()
    for dim, length in enumerate(shape):
        if old[dim] == length:
            result += (strides[dim],)
        elif old[dim] == 1:
            result += (0,)
        else:
            return None
    return result


def strided_view(x, shape, strides, offset=0):
    """Return the view of x's memory with a shape and strides, starting ``offset`` elements after x; all in elements.

    ValueError where it would reach outside the memory.
    """
    step = x.itemsize
    byte_strides = tuple([stride * step for stride in strides])
    root = memory_root(x)
    if type(x) is not _ndarray:
        return _strided_on_gpu(x, root, shape, byte_strides, offset)
    flags = root.flags
    if not (flags.c_contiguous or flags.f_contiguous) or 0 in shape:
        return np.lib.stride_tricks.as_strided(x, shape, byte_strides)
    start = x.ctypes.data - root.ctypes.data + offset * step
    # Unlike the result of as_strided, this array's base is the one that owns the memory.
    out = _ndarray(tuple(shape), x.dtype, root, start, byte_strides)
    if not x.flags.writeable:
        out.flags.writeable = False
    return out


def _strided_on_gpu(x, root, shape, byte_strides, offset):
    """Return a view of GPU memory; ValueError where it would reach outside."""
    start = x.data.ptr - root.data.ptr + offset * x.itemsize
    reach = start + sum((n - 1) * s for n, s in zip(shape, byte_strides, strict=True)) + x.itemsize
    if 0 not in shape and (start < 0 or reach > root.nbytes):
        raise ValueError("strides reach outside the memory")
    memory = root.data + start
    return place(type(x)(tuple(shape), x.dtype, memptr=memory, strides=byte_strides), root)


def restrided(x, shape, strides, offset):
    """Return the view of x's memory with a shape, strides and offset from its start; None if it reaches outside."""
    root = memory_root(x)
    address = (lambda array: array.ctypes.data) if type(x) is _ndarray else (lambda array: array.data.ptr)
    own = (address(x) - address(root)) // x.itemsize
    try:
        return strided_view(x, shape, strides, offset - own)
    except (ValueError, TypeError):
        return None


def reach_of(shape, strides):
    """Return how many elements of memory lie between the first and the last one of a strided view, both included."""
    if 0 in shape:
        return 0
    return 1 + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))


def memory_positions(g, geometry):
    """Return where in memory each element of a (shape, strides, offset) lies, as an array of g's array module."""
    shape, strides, positions = *geometry[:2], geometry[2]
    module, ndim = xp(g), len(geometry[0])
    positions = module.full(shape, positions, "int64")
    for dim, (length, stride) in enumerate(zip(shape, strides, strict=True)):
        positions += (module.arange(length) * stride).reshape((-1,) + (1,) * (ndim - dim - 1))
    return positions
