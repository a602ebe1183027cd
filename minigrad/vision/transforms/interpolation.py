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


_NAMES = {mode.value for mode in InterpolationMode}


def interpolation_mode(value):
    """Return the InterpolationMode for one, for its name or Pillow's number of it; TypeError for anything else."""
    if isinstance(value, InterpolationMode):
        return value
    if isinstance(value, str) and value in _NAMES:
        return InterpolationMode(value)
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
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(sharpness):
    """Return Keys' cubic convolution kernel (1981)."""

    def kernel(x):
        x = np.abs(x)
        near = ((sharpness + 2) * x - (sharpness + 3)) * x * x + 1
        far = ((x - 5) * x + 8) * x * sharpness - 4 * sharpness
        return np.where(x < 1, near, np.where(x < 2, far, 0.0))

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
    centers = (np.arange(new)[:, None] + 0.5) * scale
    first = np.floor(centers - radius * width - 0.5).astype(np.int64)
    columns = first + np.arange(math.ceil(2 * radius * width) + 2)  # (new, taps)
    values = (smooth if antialias else plain)((columns + 0.5 - centers) / width)
    if antialias:  # the kernel is cut at the border
        values *= (columns >= 0) & (columns < old)
    return taps_matrix(columns.clip(0, old - 1), values, old)  # without smoothing the border pixel is repeated


def taps_matrix(columns, values, length):
    """Return the matrix (new, length) with ``values`` (new, taps), scaled to sum to 1 in a row, at ``columns``."""
    weights = np.zeros((len(columns), length))
    np.add.at(weights, (np.arange(len(columns))[:, None], columns), values / values.sum(axis=1, keepdims=True))
    return weights


def nearest_indices(old, new, mode):
    """Return which old pixel each new one of a resized axis is."""
    positions = np.arange(new, dtype=np.float32)  # PyTorch computes them in float32
    if mode is InterpolationMode.NEAREST_EXACT:
        positions += np.float32(0.5)
    return np.minimum((positions * np.float32(old / new)).astype(np.int64), old - 1)
