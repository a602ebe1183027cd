"""Local response normalisation x / (k + alpha / size * sum of x² over ``size`` channels around)^beta, and its gradient.

Images come as (N, C, S). The channels of a stretch of positions are one block, which stays in the cache of a core.
"""

from minigrad.backend import np, xp
from minigrad.backend.threads import parallel_for
from minigrad.kernels import cuda
from minigrad.kernels.windows import room

BLOCK = 2**17  # elements of one block


def response_norm(x, size, alpha, beta, k):
    """Return the normalised x, of its shape."""
    if type(x) is not np.ndarray and cuda.response_norm.takes(x, size):
        return cuda.response_norm.response_norm(x, size, alpha, beta, k)
    out = xp(x).empty_like(x)

    def work(samples, positions):
        values = _wide(x[samples, :, positions])
        scale = _scale(values, size, alpha, k)
        xp(x).divide(values, _power(scale, beta), out=out[samples, :, positions], casting="same_kind")

    _in_blocks(x, work)
    return out


def response_norm_gradient(g, x, size, alpha, beta, k):
    """Return the gradient to x: g s^-beta - 2 alpha beta / size x (sum of g x s^(-beta - 1) over the same windows)."""
    if type(x) is not np.ndarray and cuda.response_norm.takes(x, size):
        return cuda.response_norm.response_norm_gradient(g, x, size, alpha, beta, k)
    out = xp(x).empty_like(x)

    def work(samples, positions):
        module = xp(x)
        values = _wide(x[samples, :, positions])
        scale = _scale(values, size, alpha, k)
        direct = _power(scale, beta)
        module.divide(_wide(g[samples, :, positions]), direct, out=direct)
        inner, padded = _padded(values, size, (size - 1) // 2)
        module.multiply(direct, values, out=inner)
        module.divide(inner, scale, out=inner)
        sums = _channel_sums(padded, size, scale)
        sums *= 2 * alpha * beta / size
        module.multiply(sums, values, out=sums)
        module.subtract(direct, sums, out=out[samples, :, positions], casting="same_kind")

    _in_blocks(x, work)
    return out


def _in_blocks(x, work):
    """Call work(samples, positions) with slices that cut x into blocks, on the worker threads."""
    number, channels, positions = x.shape
    if not x.size:
        return
    if xp(x) is not np:
        work(slice(None), slice(None))
        return
    width = min(positions, max(1, BLOCK // channels))
    samples = max(1, BLOCK // (channels * positions))
    rows, columns = -(-number // samples), -(-positions // width)

    def block(index):
        row, column = divmod(index, columns)
        work(slice(row * samples, (row + 1) * samples), slice(column * width, (column + 1) * width))

    parallel_for(rows * columns, block)


def _wide(values):
    """Return float16 as float32; anything else as it is."""
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _padded(values, size, before):
    """Return (n, C + size - 1, S) with zeros before and after C channels of undefined values, and the view of these."""
    n, channels, positions = values.shape
    padded = room(values, "padded channels", (n, channels + size - 1, positions), values.dtype)
    padded[:, :before] = 0
    padded[:, before + channels :] = 0
    return padded[:, before : before + channels], padded


def _channel_sums(padded, size, out):
    """Write the sums over ``size`` channels from each on."""
    channels = out.shape[1]
    total = padded[:, :channels]
    for offset in range(1, size):
        total = xp(out).add(total, padded[:, offset : offset + channels], out=out)
    if size == 1:
        out[...] = total
    return out


def _scale(values, size, alpha, k):
    """Return k + alpha / size times the sums of squares over the windows."""
    inner, padded = _padded(values, size, size // 2)
    xp(values).multiply(values, values, out=inner)
    scale = _channel_sums(padded, size, room(values, "scale", values.shape, values.dtype))
    scale *= alpha / size
    scale += k
    return scale


def _power(scale, beta):
    """Return scale^beta; roots are many times as fast as powers."""
    module = xp(scale)
    out = room(scale, "power", scale.shape, scale.dtype)
    if beta not in (0.5, 0.75):
        return module.power(scale, beta, out=out)
    module.sqrt(scale, out=out)
    if beta == 0.75:
        root = module.sqrt(out, out=room(scale, "root", scale.shape, scale.dtype))
        out *= root
    return out
