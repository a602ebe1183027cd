"""softmax and its logarithm; large ones along the last dimension row block by row block on the worker threads."""

from minigrad.backend import np, xp
from minigrad.backend.threads import parallel_ranges
from minigrad.kernels import cuda

BLOCK = 2**16  # elements of one block of rows


def softmax(x, dim):
    """Return exp(x) over its sum along dim (0-d: the number itself); float16 in float32."""
    if type(x) is not np.ndarray and cuda.arrays.takes(x):
        return cuda.softmax.softmax(x, dim, False)
    return _in_blocks(_softmax, x, dim)


def log_softmax(x, dim):
    """Return x less the logarithm of the sum of exp(x) along dim; float16 in float32."""
    if type(x) is not np.ndarray and cuda.arrays.takes(x):
        return cuda.softmax.softmax(x, dim, True)
    return _in_blocks(_log_softmax, x, dim)


def gradient(g, out, dim, logarithm):
    """Return the gradient to the input of softmax, or of its logarithm, from one kernel on a GPU; elsewhere None."""
    if type(out) is np.ndarray or not cuda.arrays.takes(out):
        return None
    return cuda.softmax.gradient(g, out, dim, logarithm)


def _in_blocks(compute, x, dim):
    if x.dtype.char == "e":
        return _in_blocks(compute, x.astype(np.float32), dim).astype(np.float16)
    if x.size <= BLOCK or xp(x) is not np or dim not in (-1, x.ndim - 1) or not x.flags.c_contiguous:
        return compute(x, dim if x.ndim else ())
    out = np.empty_like(x)
    rows, targets = (array.reshape(-1, x.shape[-1]) for array in (x, out))

    def work(start, stop):
        targets[start:stop] = compute(rows[start:stop], 1)

    parallel_ranges(len(rows), BLOCK // x.shape[-1], work)
    return out


def _shifted(x, dim):
    """Return x minus its maximum along dim, a new array; a line with inf, or of -inf only, holds NaN."""
    return xp(x).asarray(x - x.max(axis=dim, keepdims=True) if x.size else x.copy())


def _softmax(x, dim):
    out = _shifted(x, dim)
    xp(x).exp(out, out=out)
    out /= out.sum(axis=dim, keepdims=True)
    return out


def _log_softmax(x, dim):
    out = _shifted(x, dim)
    out -= xp(x).log(xp(x).exp(out).sum(axis=dim, keepdims=True))
    return out
