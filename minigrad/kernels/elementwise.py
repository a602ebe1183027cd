"""Elementwise passes over large arrays on the CPU: in blocks on threads, into memory that may be given.

One pass over memory costs more than what is computed on the way, and two threads read faster than one. Blocks of the
length of a few caches are best: in smaller ones the threads wait for one another (for the GIL).
"""

from minigrad.backend import get_num_threads, np, parallel_for

LARGE = 2**18  # elements from which on threads are worth waking
_GRAIN = 2**18  # elements of a block


def suits(x, *others):
    """Return whether arrays of LARGE or more elements can be cut up alike: NumPy's, C-contiguous, of one shape."""
    if type(x) is not np.ndarray or x.size < LARGE or not x.flags.c_contiguous:
        return False
    return all(type(y) is np.ndarray and y.shape == x.shape and y.flags.c_contiguous for y in others)


def in_blocks(work, *arrays):
    """Call work(block of each array) until everything is covered; the arrays suit one another."""
    flat = [array.reshape(-1) for array in arrays]
    size = flat[0].size
    count = max(2, -(-size // _GRAIN))

    def block(index):
        start, stop = index * size // count, (index + 1) * size // count
        work(*[array[start:stop] for array in flat])

    parallel_apart(count, block)


def parallel_apart(count, work):
    """parallel_for in an order in which threads are far from each other at any time.

    Two that are first to write to one huge page of new memory would both have it filled with zeros.
    """
    threads = get_num_threads()
    part = -(-count // threads)
    order = [index for first in range(part) for index in range(first, count, part)]
    parallel_for(count, lambda position: work(order[position]))


def apply(ufunc, x, *other, out=None):
    """Return ufunc(x) or ufunc(x, other) of an array and perhaps one more array or number, written into out if given.

    Raises what the ufunc raises.
    """
    arrays = [y for y in (*other, out) if getattr(y, "ndim", 0)]
    overlap = out is not None and any(y is not out and np.may_share_memory(y, out) for y in other if hasattr(y, "ndim"))
    if overlap or not suits(x, *arrays):
        return ufunc(x, *other, out=out)
    if out is None:
        flat = [y.reshape(-1)[:1] if getattr(y, "ndim", 0) else y for y in (x, *other)]
        out = np.empty(x.shape, ufunc(*flat).dtype)  # NumPy's own choice of the result type
    if other and getattr(other[0], "ndim", 0):
        in_blocks(lambda out, x, y: ufunc(x, y, out=out), out, x, other[0])
    else:
        in_blocks(lambda out, x: ufunc(x, *other, out=out), out, x)
    return out
