"""Views made by choosing strides."""

from minigrad.backend import np, xp

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
    """Return the view of the memory of a 1-dimensional array with a shape, strides and offset in elements."""
    step = x.itemsize
    return xp(x).lib.stride_tricks.as_strided(x[offset:], shape, [stride * step for stride in strides])
