"""Sliding windows over images with any number of spatial dimensions: images to columns and back.

Shapes: an image batch is (N, C, *size); its windows are (N, C, *kernel, *out) and, as a matrix,
(N, C * prod(kernel), prod(out)).  ``kernel, stride, padding, dilation`` are tuples with one int per spatial dimension.
"""

from itertools import product
from math import prod

from minigrad.backend import np, xp
from minigrad.kernels import cuda


def window_count(size, kernel, stride, padding, dilation):
    """Number of window positions along each spatial dimension (may be < 1 when the kernel does not fit)."""
    return tuple(
        (s + 2 * p - d * (k - 1) - 1) // t + 1 for s, k, t, p, d in zip(size, kernel, stride, padding, dilation)
    )


def zero_pad(x, padding):
    """Surround the last ``len(padding)`` dimensions of x with zeros, ``padding[i]`` on each side."""
    if not any(padding):
        return x
    size = x.shape[x.ndim - len(padding) :]
    lead = x.shape[: x.ndim - len(padding)]
    padded = xp(x).zeros(lead + tuple(s + 2 * p for s, p in zip(size, padding)), x.dtype)
    padded[(..., *(slice(p, p + s) for s, p in zip(size, padding)))] = x
    return padded


def windows(x, kernel, stride, dilation, count=None):
    """View of x (N, C, *size) as its windows (N, C, *kernel, *count), without a copy."""
    spatial = len(kernel)
    if count is None:
        count = window_count(x.shape[2:], kernel, stride, (0,) * spatial, dilation)
    steps = x.strides[2:]
    strides = (
        *x.strides[:2],
        *(step * d for step, d in zip(steps, dilation)),
        *(step * t for step, t in zip(steps, stride)),
    )
    return xp(x).lib.stride_tricks.as_strided(x, (*x.shape[:2], *kernel, *count), strides)


def im2col(x, kernel, stride, padding, dilation, count=None):
    """Columns (N, C * prod(kernel), prod(count)) of the images x (N, C, *size); count defaults to all windows."""
    if type(x) is not np.ndarray and cuda.im2col.takes(x, kernel):
        count = count or window_count(x.shape[2:], kernel, stride, padding, dilation)
        return cuda.im2col.im2col(x, kernel, stride, padding, dilation, count)
    view = windows(zero_pad(x, padding), kernel, stride, dilation, count)
    return view.reshape(x.shape[0], x.shape[1] * prod(kernel), prod(view.shape[2 + len(kernel) :]))


def offset_slices(kernel, stride, dilation, count):
    """For every kernel offset: (offset, index of the padded positions it meets as the window slides)."""
    for offset in product(*(range(k) for k in kernel)):
        yield (
            offset,
            tuple(slice(o * d, o * d + (n - 1) * t + 1, t) for o, d, t, n in zip(offset, dilation, stride, count)),
        )


def add_windows(padded, values, kernel, stride, dilation):
    """Add window values (N, C, *kernel, *out) to the images padded (N, C, *size) they slide over, in place."""
    count = values.shape[2 + len(kernel) :]
    if 0 in count:
        return
    for offset, where in offset_slices(kernel, stride, dilation, count):
        padded[(..., *where)] += values[(slice(None), slice(None), *offset)]


def crop(padded, padding, size):
    """Inside of padded: ``size`` positions after the first ``padding`` ones, along the last dimensions (a view)."""
    return padded[(..., *(slice(p, p + s) for p, s in zip(padding, size)))]


def col2im(columns, size, kernel, stride, padding, dilation, count=None):
    """Adjoint of `im2col`: sum the columns (N, C * prod(kernel), prod(count)) into images (N, C, *size)."""
    if count is None:
        count = window_count(size, kernel, stride, padding, dilation)
    if type(columns) is not np.ndarray and cuda.im2col.takes(columns, kernel):
        return cuda.im2col.col2im(columns, size, kernel, stride, padding, dilation, count)
    batch = columns.shape[0]
    channels = columns.shape[1] // prod(kernel)
    padded = xp(columns).zeros((batch, channels, *(s + 2 * p for s, p in zip(size, padding))), columns.dtype)
    add_windows(padded, columns.reshape(batch, channels, *kernel, *count), kernel, stride, dilation)
    return xp(columns).ascontiguousarray(crop(padded, padding, size))
