"""Interpolation modes, and the weights with which pixels of a resized axis are made of the old ones."""

import math
from enum import Enum

from minigrad.backend import np
from minigrad.vision.pillow import image_module


class InterpolationMode(Enum):
    """How pixels between pixels are made (https://docs.pytorch.org/vision/stable/transforms.html).

    >>> from minigrad.vision.transforms import InterpolationMode
    >>> InterpolationMode.BILINEAR.value
    'bilinear'
    """

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_PILLOW_NUMBERS = {
    0: InterpolationMode.NEAREST,
    1: InterpolationMode.LANCZOS,
    2: InterpolationMode.BILINEAR,
    3: InterpolationMode.BICUBIC,
    4: InterpolationMode.BOX,
    5: InterpolationMode.HAMMING,
}


def interpolation_mode(value):
    """Return the InterpolationMode for one, or for Pillow's number of it; TypeError for anything else."""
    if isinstance(value, InterpolationMode):
        return value
    if isinstance(value, int) and int(value) in _PILLOW_NUMBERS:
        return _PILLOW_NUMBERS[int(value)]
    raise TypeError(
        "Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant, "
        f"but got {value!r}"
    )


def pillow_filter(mode):
    """Return Pillow's name for an interpolation mode."""
    name = "NEAREST" if mode is InterpolationMode.NEAREST_EXACT else mode.name
    return image_module().Resampling[name]


def _triangle(x):
    return max(0.0, 1.0 - abs(x))


def _cubic(sharpness):
    """Return Keys' cubic convolution kernel (1981)."""

    def kernel(x):
        x = abs(x)
        if x < 1:
            return ((sharpness + 2) * x - (sharpness + 3)) * x * x + 1
        if x < 2:
            return ((x - 5) * x + 8) * x * sharpness - 4 * sharpness
        return 0.0

    return kernel


# mode -> (kernel when downscaling is smoothed, kernel when not, its radius)
_KERNELS = {
    InterpolationMode.BILINEAR: (_triangle, _triangle, 1),
    InterpolationMode.BICUBIC: (_cubic(-0.5), _cubic(-0.75), 2),  # as PyTorch has them
}


def resize_weights(old, new, mode, antialias):
    """Return the matrix (new, old) that resizes an axis; ValueError for a mode without one.

    With ``antialias`` the kernel is widened when the axis shrinks, so that every old pixel counts.
    """
    if mode not in _KERNELS:
        raise ValueError(f"This interpolation mode is unsupported with Tensor input: {mode.value}")
    smooth, plain, radius = _KERNELS[mode]
    scale = old / new
    width = max(scale, 1.0) if antialias else 1.0
    kernel = smooth if antialias else plain
    weights = np.zeros((new, old))
    for row in range(new):
        center = (row + 0.5) * scale
        first, stop = math.floor(center - radius * width - 0.5), math.ceil(center + radius * width + 0.5)
        values = [(column, kernel((column + 0.5 - center) / width)) for column in range(first, stop + 1)]
        if antialias:  # the kernel is cut at the border
            values = [(column, value) for column, value in values if 0 <= column < old]
        total = sum(value for _, value in values)
        for column, value in values:  # without smoothing the border pixel is repeated
            weights[row, min(max(column, 0), old - 1)] += value / total
    return weights


def nearest_indices(old, new, mode):
    """Return which old pixel each new one of a resized axis is."""
    positions = np.arange(new, dtype=np.float32)  # PyTorch computes them in float32
    if mode is InterpolationMode.NEAREST_EXACT:
        positions += np.float32(0.5)
    return np.minimum((positions * np.float32(old / new)).astype(np.int64), old - 1)
