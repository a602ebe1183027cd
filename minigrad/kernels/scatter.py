"""Adding values at indices that may repeat: the adjoint of reading there."""

from minigrad.backend import np, xp


def scatter_add_flat(out, index, values):
    """Add values to the flat array out at flat positions, in place; positions that repeat add up.

    Arguments: out (array of one dimension), index (integer array), values (array of index's shape, out's dtype).
    """
    index, values = index.reshape(-1), values.reshape(-1)
    if xp(out) is not np:
        xp(out).add.at(out, index, values)
        return
    if out.dtype.char in "fd" and index.size > 64:
        # bincount sums in float64 in one pass, several times faster than add.at; float32 is rounded once at the end.
        out += np.bincount(index, values, out.size).astype(out.dtype, copy=False)
    else:
        np.add.at(out, index, values)
