"""Discrete Fourier transforms by the array module's FFT, in the precision of the input, and overlapping frames."""

from minigrad.backend import np, xp

# The adjoint of a transform goes the other way and is scaled on the same side.
OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}
_SINGLE = {"f": np.dtype("complex64"), "F": np.dtype("complex64"), "d": np.dtype("complex128")}
_REAL = {"F": np.dtype("float32"), "D": np.dtype("float64")}


def complex_to_complex(x, *, dims, norm, inverse):
    """Return the transform of complex numbers over some dimensions."""
    module = xp(x)
    if x.size == 0:
        return x.copy()
    transform = module.fft.ifftn if inverse else module.fft.fftn
    return transform(x, axes=dims, norm=norm).astype(x.dtype, copy=False)


def real_to_complex(x, *, dim, norm):
    """Return the first half, n // 2 + 1 values, of a real dimension's transform."""
    if x.size == 0:
        shape = (*x.shape[:dim], x.shape[dim] // 2 + 1, *x.shape[dim + 1 :])
        return xp(x).zeros(shape, _SINGLE[x.dtype.char])
    return xp(x).fft.rfft(x, axis=dim, norm=norm).astype(_SINGLE[x.dtype.char], copy=False)


def complex_to_real(x, *, dim, size, norm):
    """Return the ``size`` real values whose transform's first half is x."""
    if x.size == 0:
        return xp(x).zeros((*x.shape[:dim], size, *x.shape[dim + 1 :]), _REAL[x.dtype.char])
    return xp(x).fft.irfft(x, n=size, axis=dim, norm=norm).astype(_REAL[x.dtype.char], copy=False)


def weigh_inner(x, *, dim, size, factor):
    """Multiply those elements of a half transform by a factor that stand for two of the whole of length ``size``."""
    out = x.copy()
    out[(slice(None),) * dim + (slice(1, (size + 1) // 2),)] *= factor
    return out


def frames(x, *, length, hop):
    """Return overlapping stretches of the last dimension. # (…, T) → (…, F, length)"""
    module = xp(x)
    starts = module.arange(0, x.shape[-1] - length + 1, hop)
    return x[..., starts[:, None] + module.arange(length)]


def overlap_add(x, *, hop, size):
    """Return the sum of frames, each hop after the one before, in a dimension of that size. # (…, F, L) → (…, size)"""
    module = xp(x)
    count, length = x.shape[-2:]
    pieces = -(-length // hop)  # each frame is cut into this many pieces of length hop
    total = module.zeros((*x.shape[:-2], count + pieces - 1, hop), x.dtype)
    for piece in range(pieces):
        part = x[..., piece * hop : (piece + 1) * hop]
        total[..., piece : piece + count, : part.shape[-1]] += part
    flat = total.reshape(*x.shape[:-2], -1)
    out = module.zeros((*x.shape[:-2], size), x.dtype)
    out[..., : flat.shape[-1]] = flat[..., :size]
    return out
