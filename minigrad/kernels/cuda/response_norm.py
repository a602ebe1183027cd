"""Launchers of response_norm.cu, with the signatures of kernels/response_norm.py; results lie in memory as x does."""

from minigrad.backend import xp
from minigrad.kernels.cuda.source import Source

LARGEST = 64  # channels of a window
_SIZES = 3, 5, 9  # of windows that are kept in registers
_SOURCE = Source("response_norm.cu", defines={"SIZE": (0, *_SIZES)})
_CHUNK = 16  # channels that one thread walks over, where neighbours in memory are places


def takes(x, size):
    """Return whether the kernels take x (N, C, S) and windows of ``size`` channels."""
    return x.dtype.char in "fdeE" and 0 < x.size < 2**31 and size <= LARGEST


def _is_last(x):
    """Return whether x (N, C, S) lies in memory as (N, S, C)."""
    return not x.flags.c_contiguous and xp(x).moveaxis(x, 1, -1).flags.c_contiguous


def _in_memory(x, last):
    module = xp(x)
    return module.ascontiguousarray(module.moveaxis(x, 1, -1) if last else x)


def _launch(name, arrays, x, size, alpha, beta, k):
    module, last = xp(x), _is_last(x)
    batch, channels, area = x.shape
    memory = [_in_memory(array, last) for array in arrays]
    out = module.empty_like(memory[0])
    chunk = 1 if last else _CHUNK
    args = (*memory, out, batch, channels, area, chunk, last, size, float(alpha / size), float(beta), float(k))
    kernel = _SOURCE.kernel(name, x.dtype, SIZE=size if size in _SIZES else 0)
    kernel(threads=batch * -(-channels // chunk) * area, args=args)
    return module.moveaxis(out, -1, 1) if last else out


def response_norm(x, size, alpha, beta, k):
    """Return the normalised x, of its shape."""
    return _launch("response_norm", (x,), x, size, alpha, beta, k)


def response_norm_gradient(g, x, size, alpha, beta, k):
    """Return the gradient to x."""
    return _launch("response_norm_gradient", (g, x), x, size, alpha, beta, k)
