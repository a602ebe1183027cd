"""The optimizers' loop over memory: an elementwise formula run in place, block by block, on one or more threads.

A formula written in operators makes one pass over memory per operator. Run on blocks that stay in the cache, it
reads and writes each array once, however many operators it has: that is where a step's time goes.
"""

import os
import threading

from minigrad.backend import get_num_threads, memory_root, np, xp

BLOCK_SIZE = 1 << 17  # elements; larger than a cache would like, but the threads wait for each other less often
PIECE_SIZE = 1 << 21  # elements of a thread's piece of work: several blocks
PARALLEL_SIZE = 1 << 21  # elements in all from which waking the threads pays off


def update_in_place(formula, work):
    """Apply `formula(parameter, gradient, *state, **options)`, which writes into its arrays, to every item of work.

    Args:
        formula: elementwise; reads and writes its array arguments in place, may be given any block of them.
        work: list of (arrays, options): arrays of equal shapes, None where a state is not in use; options a dict.

    float16 arrays are computed in float32, complex ones as pairs of real numbers. Floating-point warnings are off:
    an infinite gradient gives an infinite parameter, not a message.
    """
    pieces = []
    with np.errstate(all="ignore"):
        for arrays, options in work:
            first = arrays[0]
            for parts in _real_parts(arrays):
                if xp(first) is not np or (first.ndim and first.size <= BLOCK_SIZE):
                    _update_block(formula, parts, options)
                else:
                    pieces.extend((piece, options) for piece in _split(_flat(parts), PIECE_SIZE))
    if pieces:
        _for_each(lambda piece: _update_piece(formula, *piece), pieces, _overlap_free(work))


def _overlap_free(work):
    """Whether no two parameters lie in one memory, so that the order of the updates does not matter."""
    roots = {id(memory_root(arrays[0])) for arrays, _ in work}
    return len(roots) == len(work)


def _real_parts(arrays):
    """The arrays, or for complex ones those of the real and those of the imaginary parts (views)."""
    if arrays[0].dtype.kind != "c":
        return [arrays]
    return [[None if a is None else a.real for a in arrays], [None if a is None else a.imag for a in arrays]]


def _flat(arrays):
    """One-dimensional views of the arrays if they are all laid out alike without gaps, otherwise the arrays."""
    present = [a for a in arrays if a is not None]
    if all(a.flags.c_contiguous for a in present):
        return [None if a is None else a.reshape(-1) for a in arrays]
    if all(a.flags.f_contiguous for a in present):
        return [None if a is None else a.T.reshape(-1) for a in arrays]
    return arrays


def _split(arrays, size):
    """Split arrays of one shape along their first axis into lists of views of about `size` elements."""
    first = arrays[0]
    if first.size <= size or first.ndim == 0:
        return [arrays] if first.size else []
    rows = max(1, size // (first.size // first.shape[0]))
    return [
        [None if a is None else a[start : start + rows] for a in arrays] for start in range(0, first.shape[0], rows)
    ]


def _update_piece(formula, arrays, options):
    with np.errstate(all="ignore"):  # a thread has its own setting
        for block in _split(arrays, BLOCK_SIZE):
            _update_block(formula, block, options)


def _update_block(formula, arrays, options):
    if arrays[0].dtype.char != "e":
        formula(*arrays, **options)
        return
    wide = [None if a is None else a.astype("float32") for a in arrays]
    formula(*wide, **options)
    for index, (array, result) in enumerate(zip(arrays, wide)):
        if array is not None and index != 1:  # the gradient is only read
            array[...] = result


# ---------------------------------------------------------------- threads
class _Pool:
    executor = None
    threads = 0
    lock = threading.Lock()


def _for_each(function, pieces, in_any_order):
    """Call the function on every piece, on several threads if it may be and there is enough work."""
    threads = min(get_num_threads(), len(pieces))
    if threads < 2 or not in_any_order or sum(arrays[0].size for arrays, _ in pieces) < PARALLEL_SIZE:
        for piece in pieces:
            function(piece)
        return
    with _Pool.lock:
        if _Pool.threads != threads:
            from concurrent.futures import ThreadPoolExecutor  # here, as most programs never need it

            _Pool.executor, _Pool.threads = ThreadPoolExecutor(threads, "minigrad-optimizer"), threads
        executor = _Pool.executor
    for _ in executor.map(function, pieces):
        pass


def _forget_threads():
    """A forked child has none of its parent's threads."""
    _Pool.executor, _Pool.threads, _Pool.lock = None, 0, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
