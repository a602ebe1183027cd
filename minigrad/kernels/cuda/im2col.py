"""Windows of images as columns, and their adjoint: the functions of minigrad/kernels/im2col.py for GPU arrays."""

from math import prod

from minigrad.backend import np, xp
from minigrad.kernels.cuda.source import FLOATS, Source

SOURCE = Source("im2col.cu", defines={"I": ("int", "long long")})
INT_THREADS = 2**30  # with one more round of the loop over threads these do not overflow


def takes(x, kernel):
    """Return whether x is a GPU array of real floats with at most three spatial dimensions."""
    return xp(x) is not np and x.dtype.name in FLOATS and len(kernel) < 4


def is_channels_last(x):
    """Return whether an array (N, C, *size) lies in memory as (N, *size, C)."""
    return not x.flags.c_contiguous and xp(x).moveaxis(x, 1, -1).flags.c_contiguous


def empty(like, shape, last):
    """Return a new array (N, C, *size), which with ``last`` lies in memory as (N, *size, C)."""
    if not last:
        return xp(like).empty(shape, like.dtype)
    return xp(like).moveaxis(xp(like).empty((shape[0], *shape[2:], shape[1]), like.dtype), -1, 1)


def _three(values, missing):
    return (*(missing,) * (3 - len(values)), *values)


def _launch(name, images, columns, column, last, inner, count, kernel, stride, padding, dilation):
    """Run a kernel over images (N, C, *size); ``column`` are strides (image, group, channel, position, tap)."""
    batch, channels, *size = images.shape
    threads = batch * channels * (prod(count) if name == "im2col" else prod(size))
    most = max(threads, *(n * t + d * k + p for n, t, d, k, p in zip(count, stride, dilation, kernel, padding)))
    index = "int" if most < INT_THREADS else "long long"
    strides = [step // images.itemsize for step in images.strides]
    geometry = (
        *_three(size, 1), *_three(count, 1), *_three(kernel, 1),
        *_three(stride, 1), *_three(padding, 0), *_three(dilation, 1),
    )  # fmt: skip
    args = (threads, channels, last, *strides[:2], *_three(strides[2:], 0), *column, inner, *geometry)
    arrays = (columns, images) if name == "im2col" else (images, columns)
    SOURCE.kernel(name, images.dtype, I=index)(threads=threads, args=arrays + args)


def write_columns(columns, x, column, last, inner, count, kernel, stride, padding, dilation):
    """Write the windows of x (N, C, *size), in groups of ``inner`` channels, into columns with the given strides.

    With ``last`` neighbouring threads take neighbouring channels, else neighbouring positions.
    """
    _launch("im2col", x, columns, column, last, inner, count, kernel, stride, padding, dilation)


def sum_columns(x, columns, column, last, inner, count, kernel, stride, padding, dilation):
    """Write the sums of columns, laid out as in `write_columns`, into x (N, C, *size)."""
    _launch("col2im", x, columns, column, last, inner, count, kernel, stride, padding, dilation)


def _plain(channels, kernel, count):
    """Return the strides of columns (N, C * prod(kernel), prod(count))."""
    taps, positions = prod(kernel), prod(count)
    return (channels * taps * positions, 0, taps * positions, 1, positions)


def im2col(x, kernel, stride, padding, dilation, count):
    """Return columns (N, C * prod(kernel), prod(count)) of the images x (N, C, *size)."""
    batch, channels = x.shape[:2]
    columns = xp(x).empty((batch, channels * prod(kernel), prod(count)), x.dtype)
    strides = _plain(channels, kernel, count)
    write_columns(columns, x, strides, False, channels, count, kernel, stride, padding, dilation)
    return columns


def col2im(columns, size, kernel, stride, padding, dilation, count):
    """Return the sums (N, C, *size) of the columns (N, C * prod(kernel), prod(count))."""
    channels = columns.shape[1] // prod(kernel)
    columns = xp(columns).ascontiguousarray(columns)
    x = xp(columns).empty((columns.shape[0], channels, *size), columns.dtype)
    strides = _plain(channels, kernel, count)
    sum_columns(x, columns, strides, False, channels, count, kernel, stride, padding, dilation)
    return x
