"""Reading and writing at indices along a dimension; adding values at indices that may repeat."""

from minigrad.backend import np, xp
from minigrad.backend.switches import check_deterministic


def scatter_add_flat(out, index, values):
    """Add values to the flat array out at flat positions, in place; positions that repeat add up.

    Arguments: out (array of one dimension), index (integer array), values (array of index's shape, out's dtype).
    """
    index, values = index.reshape(-1), values.reshape(-1)
    if xp(out) is not np:
        _gpu_at("add", out, index, values)
        return
    if out.dtype.char in "fd" and index.size > 64:
        # bincount sums in float64 in one pass, several times faster than add.at; float32 is rounded once at the end.
        out += np.bincount(index, values, out.size).astype(out.dtype, copy=False)
    else:
        np.add.at(out, index, values)


def take(x, index, dim):
    """Return x at the indices along a dimension, which index's dimensions replace; negative ones count from the end."""
    try:
        if dim == 0 or not x.flags.c_contiguous or xp(x) is not np:
            return x[index] if dim == 0 else x[(slice(None),) * dim + (index,)]
        return x.take(index, axis=dim)
    except IndexError as error:
        raise IndexError(str(error).replace("axis", "dimension")) from None


def take_add(g, index, shape, dim):
    """Return zeros of a shape with g added at the indices along a dimension: the adjoint of take."""
    out = xp(g).zeros(shape, g.dtype)
    index_add(out, index, g, dim)
    return out


def index_add(out, index, values, dim):
    """Add values at the indices along a dimension of out, in place; indices that repeat add up.

    Arguments: index (integers in [-n, n) of any shape; n: length of dim), values (index's dimensions in place of dim).
    """
    module = xp(out)
    length = out.shape[dim]
    index = index.reshape(-1)
    before, after = out.shape[:dim], out.shape[dim + 1 :]
    rows = values.reshape(before + (index.size,) + after)
    if not rows.size:
        return
    if module is not np:
        _gpu_at("add", out, (slice(None),) * dim + (index,), rows)
        return
    low, high = index.min(), index.max()
    if low < -length or high >= length:
        bad = int(low if low < -length else high)
        raise IndexError(f"index {bad} is out of bounds for dimension {dim} with size {length}")
    if low < 0:
        index = np.where(index < 0, index + length, index)
    place = (slice(None),) * dim
    if index.size == 1:
        out[place + (index,)] += rows
        return
    inner = rows.size // index.size
    if inner == 1 and out.flags.c_contiguous:
        scatter_add_flat(out.reshape(-1), index, rows)
        return
    order = index.argsort(kind="stable")
    ordered = index[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    if starts.size == index.size:
        out[place + (index,)] += rows
        return
    # Equal indices lie side by side after sorting: their rows are summed in one pass.
    sums = np.add.reduceat(rows.take(order, axis=dim), starts, axis=dim)
    out[place + (ordered[starts],)] += sums.astype(out.dtype, copy=False)


def along(index, dim):
    """Return the tuple of arrays with which x[...] reads at ``index`` along a dimension and in place elsewhere."""
    module, ndim = xp(index), index.ndim
    mesh = []
    for axis, length in enumerate(index.shape):
        if axis == dim:
            mesh.append(index)
        else:
            mesh.append(module.arange(length).reshape((-1,) + (1,) * (ndim - axis - 1)))
    return tuple(mesh)


def flat_positions(index, shape, dim):
    """Return the row-major positions in an array of a shape at which ``along(index, dim)`` reads. # index.shape"""
    module, positions, step = xp(index), 0, 1
    for axis, where in reversed(list(enumerate(along(index, dim)))):
        positions = positions + where * step
        step *= shape[axis]
    return module.broadcast_to(positions, index.shape)


def reduce_at(out, index, values, dim, reduce):
    """Combine values into out at the indices along a dimension, in place: reduce is "prod", "amax" or "amin"."""
    name = {"prod": "multiply", "amax": "maximum", "amin": "minimum"}[reduce]
    if xp(out) is np:
        getattr(np, name).at(out, along(index, dim), values)
    elif reduce == "prod":
        _ordered_products(out.reshape(-1), flat_positions(index, out.shape, dim).reshape(-1), values.reshape(-1))
    else:
        _gpu_at(name, out, along(index, dim), values)


def _gpu_at(name, out, index, values):
    """Combine values into a GPU array at an index whose places may repeat, in place: add, maximum or minimum."""
    module, code = xp(out), out.dtype.char
    if name == "add" and code in "efdFD":  # sums of floating-point numbers in the order in which threads come
        check_deterministic("Adding at indices on a GPU")
    values = values.astype(out.dtype, copy=False)
    combine = getattr(module, name)
    if code in "fdiIQL" or code == "e" and name == "add":
        combine.at(out, index, values)
    elif code in "ql":
        # As uint64, in which the order of int64 is kept by flipping the sign bit.
        flip = 0 if name == "add" else -(2**63)
        bits = (out ^ flip).view("uint64")
        combine.at(bits, index, (values ^ flip).view("uint64"))
        out[...] = bits.view(out.dtype) ^ flip
    else:
        wide = out.astype("float32" if code == "e" else "int32")
        combine.at(wide, index, values.astype(wide.dtype))
        out[...] = wide.astype(out.dtype)


def _ordered_products(out, positions, values):
    """Multiply values into a flat GPU array, where multiply.at does not exist: one round for each repetition."""
    module = xp(out)
    order = module.argsort(positions)
    positions, values = positions[order], values[order]
    starts = module.searchsorted(positions, positions, side="left")
    rank = module.arange(positions.size) - starts  # the how manieth of its position each value is
    for turn in range(int(rank.max()) + 1 if rank.size else 0):
        chosen = rank == turn
        out[positions[chosen]] *= values[chosen]
