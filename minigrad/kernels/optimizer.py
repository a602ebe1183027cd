"""The optimizers' loop over memory: an elementwise formula run in place, block by block, on one or more threads.

A formula written in operators makes one pass over memory per operator. Run on blocks that stay in the cache, it
reads and writes each array once, however many operators it has: that is where a step's time goes.
"""

from minigrad.backend import memory_root, np
from minigrad.backend.threads import parallel_for
from minigrad.kernels import cuda

# Elements of a block. Its arrays fit the last level's cache rather than the second: each operator takes Python's lock,
# and threads that meet there lose more time (some 20 µs) than the faster cache saves.
BLOCK_SIZE = 1 << 18
SERIAL_SIZE = 1 << 17  # elements of an array up to which it is left to the calling thread
PARALLEL_SIZE = 1 << 19  # elements of all other arrays from which waking the threads pays off

FUSED = ("sgd", "adam")  # formulas that a GPU has one kernel for, which takes all parameters in one launch


def update_in_place(formula, work, grad_scale=None, found_inf=None):
    """Apply `formula(parameter, gradient, *state, **options)`, which writes into its arrays, to every item of work.

    Args:
        formula: elementwise; reads and writes its array arguments in place, may be given any block of them.
        work: list of (arrays, options): arrays of equal shapes, None where a state is not in use; options a dict.
        grad_scale, found_inf: 0-d arrays of a GPU, see cuda.optimizer.update; for formulas that it has only.

    Arrays in half precision are computed in float32, complex ones as pairs of real numbers. Floating-point warnings
    are off: an infinite gradient gives an infinite parameter, not a message.
    """
    if formula.__name__ in FUSED and any(type(arrays[0]) is not np.ndarray for arrays, _ in work):
        work = cuda.optimizer.update(formula.__name__, work, grad_scale, found_inf)
    blocks = []
    with np.errstate(all="ignore"):
        for arrays, options in work:
            first = arrays[0]
            small = type(first) is not np.ndarray or first.size <= SERIAL_SIZE
            if small and first.dtype.char in "fd":
                formula(*arrays, **options)
                continue
            for parts in _real_parts(arrays):
                if small:
                    _update_block(formula, parts, options)
                else:
                    blocks.extend((block, options) for block in _blocks(_flat(parts)))
        if sum(block[0].size for block, _ in blocks) >= PARALLEL_SIZE and _overlap_free(work):
            parallel_for(len(blocks), lambda index: _update_block(formula, *blocks[index]))
        else:
            for block, options in blocks:
                _update_block(formula, block, options)


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


def _blocks(arrays):
    """Split arrays of one shape along their first axis into lists of views of about BLOCK_SIZE elements."""
    length = arrays[0].shape[0]
    count = min(length, -(-arrays[0].size // BLOCK_SIZE))
    cuts = [index * length // count for index in range(count + 1)]
    return [[None if a is None else a[start:stop] for a in arrays] for start, stop in zip(cuts, cuts[1:], strict=False)]


def _update_block(formula, arrays, options):
    if arrays[0].dtype.char not in "eE":
        formula(*arrays, **options)
        return
    wide = [None if a is None else a.astype("float32") for a in arrays]
    formula(*wide, **options)
    for index, (array, result) in enumerate(zip(arrays, wide)):
        if array is not None and index != 1:  # the gradient is only read
            array[...] = result
