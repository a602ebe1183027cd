"""Sliding windows on lattices: what lets pooling work on long stretches of memory, however small the planes are.

Windows with stride t read the positions w * t + o * d - p. Those that leave one remainder by t form a lattice, on which
an offset o of the windows is a plain shift. Stored lattice by lattice, (lattices, n, *width), each step of a reduction
over the windows is one pass over flat memory for n planes at a time: where a shift runs over the end of a row, only
places are touched at which no window is.
"""

from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

from minigrad.backend import np, xp
from minigrad.backend.threads import parallel_ranges, scratch

BLOCK = 2**18  # elements of the image in one block: handing the interpreter over costs more than missing a cache
SMALLEST = 2**16  # and in the blocks that a small image is cut into, to share it out
LARGEST_SCRATCH = 2**22  # bytes of one buffer that a thread keeps
SMALLEST_SCRATCH = 2**14  # what is smaller is allocated sooner than found


class Axis(NamedTuple):
    """The windows along one dimension."""

    size: int
    count: int
    stride: int
    width: int  # length of each lattice
    steps: tuple  # for every offset in the window: (lattice, shift)
    shifts: tuple  # for every lattice: its shifts
    parts: tuple  # for every lattice: (slice of the lattice, slice of the image), where they meet
    reach: int  # the largest shift
    exact: bool  # the lattices hold each element of the image once, and nothing else


class Windows:
    """The windows over an image: an Axis for every dimension, and how lattices and image meet."""

    def __init__(self, axes):
        self.axes = axes
        self.width = tuple(axis.width for axis in axes)
        self.count = tuple(axis.count for axis in axes)
        self.lattices = tuple(len(axis.parts) for axis in reversed(axes))
        self.exact = all(axis.exact for axis in axes)
        self.plain = self.exact and all(axis.stride == 1 for axis in axes)  # the one lattice is the image
        self.apart = self.exact and all(axis.reach == 0 for axis in axes)  # windows side by side fill the image
        self.covered = all(sum(part.stop - part.start for part, _ in axis.parts) == axis.size for axis in axes)
        self.inner = (slice(None), *(slice(0, axis.count) for axis in axes))  # where in (n, *width) windows are
        # (index of a lattice, its slices, slices of the image) for every lattice
        self.meetings = []
        for parts in product(*(enumerate(axis.parts) for axis in axes)):
            index = tuple(number for number, _ in reversed(parts))
            inside, image = (tuple(part[side] for _, part in parts) for side in (0, 1))
            self.meetings.append((index, (slice(None), *inside), (slice(None), *image)))


@lru_cache(maxsize=512)
def windows_of(size, kernel, stride, padding, dilation, count):
    """Return the Windows; arguments are tuples with a number for each dimension."""
    return Windows(tuple(map(_axis, size, kernel, stride, padding, dilation, count)))


def _axis(size, kernel, stride, padding, dilation, count):
    places = [divmod(offset * dilation, stride) for offset in range(kernel)]
    remainders = sorted({remainder for _, remainder in places})
    steps = tuple((remainders.index(remainder), shift) for shift, remainder in places)
    shifts = tuple(tuple(shift for its, shift in steps if its == i) for i in range(len(remainders)))
    reach = max(shift for _, shift in steps)
    width = count + reach
    parts = tuple(_meeting(remainder - padding, stride, width, size) for remainder in remainders)
    exact = len(remainders) == stride and width * stride == size and padding == 0
    return Axis(size, count, stride, width, steps, shifts, parts, reach, exact)


def _meeting(start, stride, width, size):
    """(slice of a lattice, slice of the image): lattice element i lies at start + i * stride."""
    first = max(0, -(start // stride))
    last = max(first, min(width, -((start - size) // stride)))
    begin = start + first * stride
    return slice(first, last), slice(begin, begin + (last - first) * stride, stride)


def planes_of_block(array, planes, elements):
    """The largest number of planes with ``elements`` each that one block has: all of them on a GPU."""
    if xp(array) is not np:
        return planes
    most = min(BLOCK, max(SMALLEST, planes * elements // 8))
    return min(planes, max(1, most // max(1, elements)))


def in_blocks(array, planes, elements, work):
    """Call work(start, stop) for blocks of planes, on the worker threads."""
    if planes:
        parallel_ranges(planes, planes_of_block(array, planes, elements), work)


def room(like, name, shape, dtype):
    """Memory of undefined values for use within one block, in the array module of ``like``."""
    if xp(like) is np and SMALLEST_SCRATCH < prod(shape) * np.dtype(dtype).itemsize <= LARGEST_SCRATCH:
        return scratch(name, shape, dtype)
    return xp(like).empty(shape, dtype)


def fitted(values, windows, fill, name, dtype):
    """Values of the windows (n, *count) with room for what the lattices have more: (n, *width)."""
    if windows.count == windows.width and values.dtype == dtype:
        return values
    wide = room(values, name, (len(values), *windows.width), dtype)
    if windows.count != windows.width:
        wide.fill(fill)
    wide[windows.inner] = values
    return wide


def split(planes, windows, fill, dtype):
    """Lattices (those of the last dimension, …, those of the first, n, *width) of the planes (n, *size)."""
    shape = (*windows.lattices, len(planes), *windows.width)
    if windows.plain and planes.dtype == dtype:
        return planes.reshape(shape)
    lattices = room(planes, "lattices", shape, dtype)
    if windows.exact:
        lattices[...] = _by_lattice(planes, windows)
        return lattices
    for index, inside, image in windows.meetings:
        lattice = lattices[index]
        part = lattice[inside]
        if part.shape != lattice.shape:
            lattice.fill(fill)
        part[...] = planes[image]
    return lattices


def merge(lattices, planes, windows):
    """Write lattices, laid out as by `split`, into the planes (n, *size), and zeros where there is none."""
    if not windows.covered:
        planes.fill(0)
    lattices = xp(planes).broadcast_to(lattices, (*windows.lattices, len(planes), *windows.width))
    for index, inside, image in windows.meetings:
        planes[image] = lattices[index][inside]


def side_by_side(planes, windows, combine):
    """Combine each of the windows that fill the planes (n, *size) side by side: (n, *count).

    The first dimension comes first: its elements lie in rows, and what is left to gather is less.
    """
    values, rest = planes, prod(planes.shape[1:])
    for position, axis in enumerate(windows.axes):
        rest //= axis.size
        lines = values.reshape(-1, axis.stride, rest)
        values = lines[:, 0]
        if axis.stride > 1:
            combined = room(planes, ("combined", position), values.shape, planes.dtype)
        for offset in range(1, axis.stride):
            values = combine(values, lines[:, offset], out=combined)
    return values.reshape(len(planes), *windows.count)


def _by_lattice(planes, windows):
    """View (*stride reversed, n, *width) of contiguous planes that the lattices fill exactly."""
    shape = [len(planes)]
    for axis in windows.axes:
        shape += [axis.width, axis.stride]
    last = len(shape) - 1
    return planes.reshape(shape).transpose(*range(last, 0, -2), 0, *range(1, last, 2))
