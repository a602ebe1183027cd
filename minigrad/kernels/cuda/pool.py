"""Launchers of pool.cu, with the signatures of kernels/pool.py; results lie in the order of memory of the images."""

from math import prod

from minigrad.backend import np, xp
from minigrad.backend.libraries import lasting
from minigrad.kernels.cuda.source import CACHES, Source

_SOURCE = Source("pool.cu", defines={"LAYOUT": (0, 1, 2), "WINDOW": (0, 22, 31, 32)})
_CONSTANT = {((2, 2), (2, 2)): 22, ((3, 3), (1, 1)): 31, ((3, 3), (2, 2)): 32}  # kernel, stride -> WINDOW
_DIVISORS = {}  # (id of an array of divisors, GPU, dtype) -> (that array, its copy on the GPU)
CACHES.append(_DIVISORS)
_BLOCK = 256


def takes(x, spatial):
    """Return whether the kernels take images x (*planes, *size): real floats, at least one, of at most 3 dimensions."""
    size = x.shape[x.ndim - spatial :]
    return x.dtype.char in "fdeE" and 0 < x.size < 2**31 and spatial <= 3 and max(size) < 2**20


def _packed(numbers, missing=1):
    """Return one number for each of D, H and W as an int of 3 times 21 bits."""
    d, h, w = (missing,) * (3 - len(numbers)) + tuple(numbers)
    return d << 42 | h << 21 | w


class _Images:
    """Images (*planes, *size) as kernels see them: with the channels last where they are in memory."""

    def __init__(self, x, spatial):
        self.module, self.dtype, self.spatial = xp(x), x.dtype, spatial
        self.lead = x.shape[: x.ndim - spatial]
        self.last = (
            x.ndim == spatial + 2 and not x.flags.c_contiguous and self._moved(x).flags.c_contiguous
        )  # (N, *size, C)

    def _moved(self, x):
        return self.module.moveaxis(x, 1, -1)

    def memory(self, x):
        """Return an array with these leading dimensions in the order of memory of the images; a copy if it must be."""
        return self.module.ascontiguousarray(self._moved(x) if self.last else x)

    def empty(self, size, dtype):
        """Return (new memory, the same as an array (*planes, *size))."""
        if not self.last:
            out = self.module.empty((*self.lead, *size), dtype)
            return out, out
        out = self.module.empty((self.lead[0], *size, self.lead[1]), dtype)
        return out, self.module.moveaxis(out, -1, 1)

    def layout(self, *arrays):
        """Return (LAYOUT, channels in packs) for kernels that read and write these arrays."""
        if not self.last:
            return 0, 1
        width = 16 // self.dtype.itemsize
        if self.lead[1] % width == 0 and all(a is None or a.data.ptr % (width * a.itemsize) == 0 for a in arrays):
            return 2, self.lead[1] // width
        return 1, self.lead[1]

    def launch(self, name, arrays, more, size, count, window, over, packs=True):
        """Launch over all elements of ``over``, an array of these planes."""
        kernel, stride, padding, dilation = window
        layout, channels = self.layout(*arrays) if packs else (int(self.last), self.lead[1] if self.last else 1)
        total = over.size // (16 // self.dtype.itemsize if layout == 2 else 1)
        constant = _CONSTANT.get((kernel, stride), 0) if set(dilation) == {1} else 0
        geometry = (_packed(numbers) for numbers in (size, count, kernel, stride))
        args = (*arrays, *more, total, channels, *geometry, _packed(padding, 0), _packed(dilation))
        _SOURCE.kernel(name, self.dtype, LAYOUT=layout, WINDOW=constant)(threads=total, block=_BLOCK, args=args)


def max_pool(x, codes_dtype, kernel, stride, padding, dilation, count):
    """Return the maxima (*planes, *count) and their codes, None with codes_dtype None."""
    images = _Images(x, len(kernel))
    out, result = images.empty(count, x.dtype)
    codes, places = (None, None) if codes_dtype is None else images.empty(count, codes_dtype)
    ints = int(codes is not None and codes.itemsize > 1)
    window = kernel, stride, padding, dilation
    size, arrays = x.shape[len(images.lead) :], (images.memory(x), out, codes)
    images.launch("max_forward", arrays, (ints,), size, count, window, out)
    return result, places


def max_pool_scatter(g, codes, size, kernel, stride, padding, dilation):
    """Return g put where its windows' maxima were: (*planes, *size)."""
    images = _Images(codes, len(kernel))
    images.dtype = g.dtype
    out, result = images.empty(size, g.dtype)
    arrays = images.memory(g), images.memory(codes), out
    window = kernel, stride, padding, dilation
    images.launch("max_scatter", arrays, (int(codes.itemsize > 1),), size, g.shape[len(images.lead) :], window, out)
    return result


def max_pool_gather(h, codes, kernel, stride, padding, dilation):
    """Return h (*planes, *size) where the maxima were: (*planes, *count)."""
    return _gathered(h, codes, h.shape[h.ndim - len(kernel) :], (kernel, stride, padding, dilation))


def flat_index(codes, size, kernel, stride, padding, dilation):
    """Return the positions of the maxima in their plane, int64."""
    return _gathered(None, codes, size, (kernel, stride, padding, dilation))


def _gathered(h, codes, size, window):
    images = _Images(codes, len(size))
    images.dtype = np.dtype(np.float32) if h is None else h.dtype
    count = codes.shape[len(images.lead) :]
    out, result = images.empty(count, np.int64 if h is None else h.dtype)
    x, values, positions = (None, None, out) if h is None else (images.memory(h), out, None)
    arrays = x, images.memory(codes), values, positions
    images.launch("max_gather", arrays, (int(codes.itemsize > 1),), size, count, window, out, packs=False)
    return result


def _divisors(divisor, images):
    """Return (the divisors on the GPU or None, the divisor of all); a table goes there once."""
    if np.ndim(divisor) == 0:
        return None, float(divisor)
    dtype = np.dtype(np.float64 if images.dtype == np.float64 else np.float32)
    key = id(divisor), images.module.cuda.runtime.getDevice(), dtype
    if key not in _DIVISORS:
        if len(_DIVISORS) > 256:
            _DIVISORS.clear()
        with lasting(images.module):
            _DIVISORS[key] = divisor, images.module.asarray(divisor.astype(dtype))
    return _DIVISORS[key][1], 1.0


def window_mean(x, kernel, stride, padding, count, divisor):
    """Return the sums over the windows, each over a divisor (a number, or an array (*count) of NumPy's)."""
    images = _Images(x, len(kernel))
    size = x.shape[len(images.lead) :]
    memory = images.memory(x)
    out, result = images.empty(count, x.dtype)
    if kernel == size and not any(padding) and np.ndim(divisor) == 0:
        _whole(images, memory, out, prod(size), float(divisor))
        return result
    window = kernel, stride, padding, (1,) * len(kernel)
    images.launch("mean_forward", (memory, out), _divisors(divisor, images), size, count, window, out)
    return result


def _whole(images, memory, out, area, divisor):
    """Write the means of whole planes."""
    layout, columns = images.layout(memory)
    samples, across = prod(images.lead), 1
    if layout:
        samples, across = images.lead[0], min(32, 1 << (columns - 1).bit_length())
    else:
        columns = 1
    block = min(_BLOCK, max(32, across << (max(1, area // 4) - 1).bit_length()))
    kernel = _SOURCE.kernel("mean_whole", images.dtype, LAYOUT=layout, WINDOW=0)
    kernel(grid=samples * -(-columns // across), block=block, args=(memory, out, divisor, area, columns, across))


def window_spread(g, size, kernel, stride, padding, divisor):
    """Return the adjoint of `window_mean`: (*planes, *size)."""
    images = _Images(g, len(kernel))
    count = g.shape[len(images.lead) :]
    out, result = images.empty(size, g.dtype)
    window = kernel, stride, padding, (1,) * len(kernel)
    images.launch("mean_spread", (images.memory(g), out), _divisors(divisor, images), size, count, window, out)
    return result
