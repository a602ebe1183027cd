"""Linear maps along single dimensions: interpolation, adaptive means, reflecting and circular padding.

Each output position along a dimension is a weighted sum of a few input positions, its taps.  All of these maps, and
their adjoints, are one kernel that runs over the dimensions one after the other.
"""

from functools import cached_property, lru_cache
from math import prod

from minigrad.backend import np, xp
from minigrad.backend.libraries import lasting
from minigrad.kernels import cuda
from minigrad.kernels.matmul import matmul

# A product with the dense matrix beats gathering while (input length) / taps is below this.
DENSE_RATIO = 50
_ON_GPU = {}  # (id of Taps, part, dtype, GPU) -> (the Taps, that part there)


class Taps:
    """A linear map along one dimension: out[i] = sum over t of weight[t, i] * in[index[t, i]].

    index is (taps, out) and weight the same, or None for a map that only copies; ``size`` is the input's length.
    """

    def __init__(self, index, weight, size):
        self.index, self.weight, self.size = index, weight, size

    def _beside(self, x, part, values, dtype):
        """Return values of the map in a dtype where x is; they go to a GPU once."""
        if type(x) is np.ndarray:
            return values.astype(dtype, copy=False)
        key = id(self), part, np.dtype(dtype), x.device.id
        if key not in _ON_GPU:
            if not any(cache is _ON_GPU for cache in cuda.source.CACHES):
                cuda.source.CACHES.append(_ON_GPU)
            with lasting(xp(x)):
                _ON_GPU[key] = self, xp(x).asarray(values.astype(dtype))
            if len(_ON_GPU) > 1024:
                del _ON_GPU[next(iter(_ON_GPU))]
        return _ON_GPU[key][1]

    @property
    def out(self):
        return self.index.shape[1]

    @cached_property
    def transposed(self):
        """The adjoint map, from (out,) to (size,)."""
        taps, out = self.index.shape
        weight = np.ones(self.index.shape) if self.weight is None else self.weight
        used = weight.reshape(-1) != 0
        source = self.index.reshape(-1)[used]
        target = np.broadcast_to(np.arange(out), (taps, out)).reshape(-1)[used]
        order = np.argsort(source, kind="stable")
        source, target, values = source[order], target[order], weight.reshape(-1)[used][order]
        number = np.bincount(source, minlength=self.size)
        rank = np.arange(source.size) - (np.cumsum(number) - number)[source]
        index = np.zeros((max(1, number.max(initial=0)), self.size), np.int64)
        weights = np.zeros(index.shape)
        index[rank, source] = target
        weights[rank, source] = values
        adjoint = Taps(index, weights, out)
        adjoint.transposed = self
        return adjoint

    @cached_property
    def matrix(self):
        """The map as a matrix (out, size)."""
        taps, out = self.index.shape
        dense = np.zeros(out * self.size)
        places = (np.arange(out) * self.size + self.index).reshape(-1)
        np.add.at(dense, places, 1.0 if self.weight is None else self.weight.reshape(-1))
        return dense.reshape(out, self.size)

    def apply(self, x, axis):
        """The map of x along an axis; x's other dimensions stay."""
        if self.weight is None and len(self.index) == 1:
            return xp(x).take(x, self._beside(x, "index", self.index, np.int64)[0], axis=axis)
        if self.size <= DENSE_RATIO * len(self.index) and x.dtype.kind == "f":
            return self._apply_matrix(x, axis)
        shape = [1] * x.ndim
        shape[axis] = self.out
        total, weight = None, self.weight
        if weight is not None:
            weight = self._beside(x, "weight", weight, x.dtype)
        for tap, index in enumerate(self._beside(x, "index", self.index, np.int64)):
            part = xp(x).take(x, index, axis=axis)
            if weight is not None:
                part *= weight[tap].reshape(shape)
            total = part if total is None else xp(x).add(total, part, out=total)
        return total

    def _apply_matrix(self, x, axis):
        matrix = self._beside(x, "matrix", self.matrix, x.dtype)
        if axis == x.ndim - 1:
            return matmul(x.reshape(-1, self.size), matrix.T).reshape(*x.shape[:-1], self.out)
        flat = x.reshape(prod(x.shape[:axis]), self.size, prod(x.shape[axis + 1 :]))
        return matmul(matrix, flat).reshape(*x.shape[:axis], self.out, *x.shape[axis + 1 :])


def resample(x, maps):
    """Apply ``maps``, one Taps or None for each of the last dimensions of x."""
    lead = x.ndim - len(maps)
    if x.size == 0:
        sizes = [length if taps is None else taps.out for length, taps in zip(x.shape[lead:], maps, strict=True)]
        return xp(x).zeros((*x.shape[:lead], *sizes), x.dtype)
    dtype = x.dtype
    if dtype == np.float16 and any(taps is not None and taps.weight is not None for taps in maps):
        x = x.astype(np.float32)
    # what shrinks the array most goes first, what makes it grow last
    order = sorted((taps.out / taps.size, -axis) for axis, taps in enumerate(maps) if taps is not None)
    for _, axis in order:
        x = maps[-axis].apply(x, lead - axis)
    return x.astype(dtype, copy=False)


def resample_bytes(x, maps):
    """`resample` of uint8 images in fixed-point arithmetic, rounded after every dimension, the last one first.

    As in PyTorch (and Pillow) the weights have as many bits as let the largest fit into 15.
    """
    lead = x.ndim - len(maps)
    for axis in range(len(maps) - 1, -1, -1):
        taps = maps[axis]
        if taps.out == taps.size:
            continue
        joined = taps.weight.copy()  # taps that meet at the border count as one
        for later in range(1, len(joined)):
            for earlier in range(later):
                same = (taps.index[earlier] == taps.index[later]) & (joined[later] != 0)
                joined[earlier, same] += joined[later, same]
                joined[later, same] = 0
        largest = joined.max()
        bits = 0
        while bits < 22 and int(0.5 + largest * (1 << (bits + 1))) < 1 << 15:
            bits += 1
        scaled = joined * (1 << bits)
        weight = (scaled + np.where(scaled < 0, -0.5, 0.5)).astype(np.int64)
        shape = [1] * x.ndim
        shape[lead + axis] = taps.out
        total = 1 << (bits - 1)
        for index, numbers in zip(taps.index, weight, strict=True):
            part = xp(x).take(x, xp(x).asarray(index), axis=lead + axis).astype(np.int32)
            total = total + part * xp(x).asarray(numbers.astype(np.int32)).reshape(shape)
        x = (total >> bits).clip(0, 255).astype(np.uint8)
    return x


# ------------------------------------------------------------------ tables


@lru_cache(maxsize=512)
def pad_taps(size, before, after, mode):
    """Copying map for mode reflect, replicate or circular; negative numbers crop."""
    position = np.arange(-before, size + after)
    if mode == "replicate":
        position = position.clip(0, size - 1)
    elif mode == "circular":  # cropped first: the circle is what is left
        start, stop = max(-before, 0), size - max(-after, 0)
        position = start + (position - start) % (stop - start)
    else:
        period = max(1, 2 * (size - 1))
        position = abs((position + size - 1) % period - (size - 1))
    return Taps(position[None], None, size)


@lru_cache(maxsize=512)
@lru_cache(maxsize=512)
def mean_taps(size, out):
    """Adaptive mean: output i is the mean of positions floor(i * size / out) … ceil((i + 1) * size / out) - 1."""
    index, end = adaptive_windows(size, out)
    length = end - index[0]
    weight = np.where(np.arange(len(index))[:, None] < length, 1.0 / np.maximum(length, 1), 0.0)
    return Taps(index, weight, size)


def adaptive_windows(size, out):
    """Positions (longest, out) that the windows of adaptive pooling cover, repeating the last, and their ends."""
    start = np.arange(out) * size // out
    end = -(-(np.arange(1, out + 1) * size) // out)
    longest = max(1, (end - start).max(initial=0))
    return np.minimum(start + np.arange(longest)[:, None], end - 1), end


def _source_scale(size, out, scale, align_corners):
    """Input positions per output position."""
    if align_corners:
        return (size - 1) / (out - 1) if out > 1 else 0.0
    return 1.0 / scale if scale else size / out


@lru_cache(maxsize=512)
def nearest_taps(size, out, scale, exact, wide):
    """Nearest neighbour; ``wide``: for float64 images.

    Positions are rounded to float32 before their floor is taken, as PyTorch does, so that the same ones are chosen:
    their scale is a float64 for float64 images and a float32 for all others.
    """
    target = np.arange(out) + (0.5 if exact else 0.0)
    ratio = 1.0 / scale if scale else size / out
    source = np.floor((target * (ratio if wide else float(np.float32(ratio)))).astype(np.float32)).astype(np.int64)
    return Taps(np.minimum(source, size - 1)[None], None, size)


@lru_cache(maxsize=512)
def linear_taps(size, out, scale, align_corners):
    """Linear interpolation between two neighbours."""
    ratio = _source_scale(size, out, scale, align_corners)
    source = np.arange(out) * ratio if align_corners else np.maximum((np.arange(out) + 0.5) * ratio - 0.5, 0)
    low = np.minimum(np.floor(source).astype(np.int64), size - 1)
    part = np.clip(source - low, 0.0, 1.0)
    return Taps(np.stack([low, np.minimum(low + 1, size - 1)]), np.stack([1 - part, part]), size)


def cubic(distance, a):
    """Keys' cubic convolution kernel (Keys 1981) at |distance| < 2."""
    d = abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


@lru_cache(maxsize=512)
def cubic_taps(size, out, scale, align_corners):
    """Cubic convolution with a = -0.75 over four neighbours, the border repeated."""
    ratio = _source_scale(size, out, scale, align_corners)
    source = np.arange(out) * ratio if align_corners else (np.arange(out) + 0.5) * ratio - 0.5
    low = np.floor(source)
    position = low + np.arange(-1, 3)[:, None]
    return Taps(position.clip(0, size - 1).astype(np.int64), cubic(source - position, -0.75), size)


# Kernels of antialiased interpolation: how far they reach, and their value at a distance. Lanczos: sinc(d) sinc(d/3)
SMOOTH = {
    "bilinear": (1.0, lambda d: np.maximum(0.0, 1 - abs(d))),
    "bicubic": (2.0, lambda d: cubic(d, -0.5)),
    "lanczos": (3.0, lambda d: np.where(abs(d) < 3, np.sinc(d) * np.sinc(d / 3), 0.0)),
}


@lru_cache(maxsize=512)
def smooth_taps(size, out, scale, align_corners, mode):
    """Antialiased interpolation (PIL's): the kernel of SMOOTH widens with the reduction, weights sum to one."""
    ratio = _source_scale(size, out, scale, align_corners)
    widening = max(ratio, 1.0)
    reach, kernel = SMOOTH[mode]
    support = reach * widening
    center = ratio * (np.arange(out) + 0.5)
    start = np.maximum((center - support + 0.5).astype(np.int64), 0)
    end = np.minimum((center + support + 0.5).astype(np.int64), size)
    longest = max(1, (end - start).max())
    position = start + np.arange(longest)[:, None]
    distance = (position - center + 0.5) / widening
    weight = np.where(position < end, kernel(distance), 0.0)
    total = weight.sum(axis=0)
    return Taps(np.minimum(position, size - 1), weight / np.where(total == 0, 1, total), size)
