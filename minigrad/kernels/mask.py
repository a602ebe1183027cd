"""Choosing elements by a mask. NumPy's ``where`` branches per element; bit masks are ten times faster."""

from minigrad.backend import np, xp
from minigrad.kernels import cuda, elementwise

_SMALL = 1024  # elements for which where takes less time than to prepare bit masks
_BITS = {2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def keep(x, mask):
    """Return x where the mask is true and zero elsewhere, even where x is inf or NaN; shapes broadcast."""
    module = xp(x)
    bits = _BITS.get(x.dtype.itemsize)
    if module is not np or bits is None or x.dtype.kind == "c" or x.size <= _SMALL:
        return module.where(mask, x, module.zeros((), x.dtype))
    floats = x.dtype
    x, mask = np.asarray(x).view(bits), np.asarray(mask)
    if x.size < elementwise.LARGE or not elementwise.suits(x, mask):
        return (x & _every_bit(mask)).view(floats)
    out = np.empty(x.shape, bits)
    elementwise.in_blocks(lambda out, x, mask: np.bitwise_and(x, _every_bit(mask), out=out), out, x, mask)
    return out.view(floats)


def keep_nonzero(x, y):
    """Return x where y is not zero (NaN is not) and zero elsewhere; x and y are of one dtype."""
    if type(y) is not np.ndarray and cuda.arrays.takes(y) and x.shape == y.shape:
        return cuda.activation.gradient("relu", x, y)
    if y.size < elementwise.LARGE or not elementwise.suits(y, x) or x.dtype.kind != "f":
        return keep(x, y != 0)
    out = np.empty(x.shape, x.dtype)
    bits = _BITS[x.dtype.itemsize]
    in_bits = out.view(bits), x.view(bits)
    elementwise.in_blocks(lambda out, x, y: np.bitwise_and(x, _every_bit(y != 0), out=out), *in_bits, y)
    return out


def _every_bit(mask):
    """Return integers whose bits are all ones where the mask is true, and all zeros elsewhere: -1 and 0."""
    return np.negative(mask.view(np.int8))


def choose(mask, a, b):
    """Return a where the mask is true and b elsewhere; a and b are arrays of one dtype, or one a Python number."""
    dtype = a.dtype if hasattr(a, "dtype") else b.dtype
    module = xp(a) if xp(a) is not np else xp(b)
    bits = _BITS.get(dtype.itemsize)
    if module is not np or bits is None or dtype.kind == "c":
        return module.where(mask, a, b).astype(dtype, copy=False)
    a, b = (np.asarray(value, dtype).view(bits) for value in (a, b))
    chosen = np.bitwise_xor(a, b)
    chosen = np.asarray(chosen & _every_bit(np.asarray(mask)))  # NumPy's arithmetic turns 0-d arrays into scalars
    return np.bitwise_xor(chosen, b, out=chosen if chosen.shape == np.broadcast(chosen, b).shape else None).view(dtype)


def drop(x, source, p):
    """Return (x / (1 - p) where a number that the source draws is at least p and zero elsewhere, the mask of where)."""
    if type(x) is not np.ndarray and cuda.optimizer.takes(x):
        return source.dropout(x, p)
    mask = source.random(x.shape, dtype=np.float32) >= p
    return keep_scaled(x, mask, 1 / (1 - p)), mask


def keep_scaled(x, mask, scale):
    """Return x times a number where the mask, of its shape, is true, and zero elsewhere."""
    if type(x) is not np.ndarray and cuda.optimizer.takes(x):
        return cuda.random.keep_scaled(x, mask, scale)
    return keep(x * scale, mask)
