"""Whole numbers that stand for real ones, scale · (number - zero point), rounded as PyTorch's CPU kernels round.

Every sum of products is exact: in float32 where no sum can reach 2^24, else in float64.
Sources: https://github.com/pytorch/FBGEMM, https://github.com/pytorch/QNNPACK
"""

from minigrad.backend import np
from minigrad.kernels.conv import convolve_exact

_EXACT = 1 << 24  # up to here float32 has every whole number


def _limited(numbers, dtype):
    """Return rounded float numbers as integers; what lies outside the type, and NaN, becomes the nearest end."""
    limits = np.iinfo(dtype)
    if limits.bits == 32:
        numbers = np.nan_to_num(numbers.astype(np.float64), nan=limits.min)
    else:
        numbers = np.nan_to_num(numbers, copy=False, nan=limits.max)
    return np.clip(numbers, limits.min, limits.max, out=numbers).astype(dtype)


def _fused(x, factor, offset):
    """Return x · factor + offset in float32, rounded once."""
    return (x * np.float64(factor) + np.float64(offset)).astype(np.float32)


def quantize(x, scale, zero_point, dtype):
    """Return float32 numbers as integers: round(x / scale + zero_point), halves to even."""
    inverse = np.float32(1) / np.float32(scale)
    return _limited(np.rint(_fused(x.astype(np.float64), inverse, zero_point)), dtype)


def quantize_channels(x, scales, zero_points, axis, dtype):
    """Return what quantize does, with a scale and a zero point for each index of a dimension (float ones as given)."""
    shape = [1] * x.ndim
    shape[axis] = -1
    inverse = (np.float32(1) / scales.astype(np.float32)).reshape(shape)
    return _limited(np.rint(x * inverse + zero_points.astype(np.float32).reshape(shape)), dtype)


def dequantize(q, scale, zero_point):
    """Return integers as float32 numbers, scale · (q - zero_point)."""
    return (q.astype(np.int64) - zero_point).astype(np.float32) * np.float32(scale)


def dequantize_channels(q, scales, zero_points, axis):
    """Return what dequantize does, with a scale and a zero point for each index of a dimension."""
    shape = [1] * q.ndim
    shape[axis] = -1
    return ((q - zero_points.reshape(shape)) * scales.reshape(shape)).astype(np.float32)


def _every(dtype, scale, zero_point):
    """Return the float32 values of all numbers of an eight-bit type, beginning with 0: q indexes them."""
    numbers = np.arange(256, dtype=np.uint8).view(dtype)
    scale = np.float32(scale)
    return _fused(numbers.astype(np.float64), scale, scale * np.float32(-zero_point))


def values(q, scale, zero_point):
    """Return integers as float32 numbers as elementwise kernels see them: q · scale - zero_point · scale."""
    if q.itemsize == 1:
        return _every(q.dtype, scale, zero_point)[q.view(np.uint8)]
    scale = np.float32(scale)
    return _fused(q.astype(np.float64), scale, scale * np.float32(-zero_point))


def rounded(x, scale, zero_point, dtype):
    """Return float32 numbers as integers as elementwise kernels do: round(x / scale) + zero_point."""
    return _limited(np.rint(x * (np.float32(1) / np.float32(scale))) + np.float32(zero_point), dtype)


def mapped(function, q, before, after, dtype):
    """Return a function of float32 numbers, of eight-bit ones by a table; before, after: (scale, zero point)."""
    table = rounded(function(_every(q.dtype, *before)), *after, dtype)
    return table[q.view(np.uint8)]


def scaled(sums, factor, zero_point, dtype, fused=False):
    """Return whole sums times a factor, rounded, plus the zero point."""
    sums = sums.astype(np.float32)
    if fused:
        return _limited(np.rint(_fused(sums, factor, zero_point)), dtype)
    return _limited(np.rint(sums * np.float32(factor)) + np.float32(zero_point), dtype)


def column_means(x):
    """Return the means of float32 x (N, rows, C) over its rows, added up in blocks of 16, of 16 · 16 … rows."""
    rows = x.shape[1]
    levels = [np.zeros_like(x[:, 0]) for _ in range(4)]
    step = max(4, (max(rows - 1, 1).bit_length()) // 4)
    for row in range(rows):
        levels[0] += x[:, row]
        for level in range(3):
            if (row + 1) % (1 << step * (level + 1)):
                break
            levels[level + 1] += levels[level]
            levels[level][...] = 0
    return (levels[0] + levels[1] + levels[2] + levels[3]) / np.float32(rows)


# ---------------------------------------------------------------------- sums of products
def _sums(x, zero_point, w, product):
    """Return product(x - zero_point, w), exact: x quint8 (…), w qint8 (O, …)."""
    largest = max(int(zero_point), 255 - int(zero_point))
    weights = np.abs(w.reshape(len(w), -1).astype(np.int32)).sum(axis=1, dtype=np.int64) if w.size else np.zeros(1)
    kind = np.float32 if largest * int(weights.max()) < _EXACT else np.float64
    return product(x.astype(kind) - kind(zero_point), w.astype(kind))


def convolution(x, zero_point, w, stride, padding, dilation, groups):
    """Return the whole sums (N, O, *out) of a convolution of x (N, C, *size), whose padding stands for zeros."""
    return _sums(x, zero_point, w, lambda a, b: convolve_exact(a, b, stride, padding, dilation, groups))


def product(x, zero_point, w):
    """Return the whole sums (…, O) of x (…, K) and w (O, K)."""
    return _sums(x, zero_point, w, lambda a, b: a @ b.T)


def requantize(sums, bias, scale, after, engine, relu, axis):
    """Return the integers of layers: sums · scale + bias, at another scale.

    sums: whole ones, which are overwritten; bias: float32 (O,) or None; scale: of the input times that of the weight,
    float32 (O,) or (1,); after: (scale, zero point); engine: "fbgemm" adds the bias as it is, "qnnpack" rounds it to
    the sums' scale first; axis: of sums, where O lies.
    """
    shape = [1] * sums.ndim
    shape[axis] = -1
    out_scale, zero_point = np.float32(after[0]), after[1]
    if engine == "qnnpack":
        if bias is not None:
            sums += np.rint(bias * (np.float32(1) / scale)).reshape(shape)
        factor = scale * (np.float32(1) / out_scale)
        sums = sums.astype(np.float32, copy=False)
    else:
        sums = sums.astype(np.float32, copy=False)
        if bias is not None:
            sums += (bias / scale).reshape(shape)
        factor = scale / out_scale
    sums *= factor.reshape(shape)
    np.rint(sums, out=sums)
    sums += np.float32(zero_point)
    return np.clip(sums, zero_point if relu else 0, 255, out=sums).astype(np.uint8)
