"""Reductions over consecutive segments, histograms of several dimensions, hashes."""

import math

from minigrad.backend import REAL_CODES, np, xp
from minigrad.inplace import write_out
from minigrad.ops.arguments import dims_of
from minigrad.ops.define import require_tensor
from minigrad.ops.results import named_result
from minigrad.ops.scatter import scatter_reduce
from minigrad.tensor import Tensor, normalize_dim, wrap

Histogram = named_result("histogramdd", ("hist", "bin_edges"))
# The reduction's name in scatter_reduce, and what it starts from.
_REDUCTIONS = {
    "sum": ("sum", 0.0), "mean": ("sum", 0.0), "prod": ("prod", 1.0),
    "max": ("amax", -math.inf), "amax": ("amax", -math.inf), "min": ("amin", math.inf), "amin": ("amin", math.inf),
}  # fmt: skip


def segment_reduce(data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None):
    """Return one value per segment: the sum, mean, max, min or prod of the consecutive elements in it.

    Arguments: data (…, N, …); lengths (…, S): of the segments along axis, which is lengths' last dimension; or offsets
    (…, S + 1): where they start and the last ends; unsafe (lengths are not checked); initial (counts as an element
    before each segment; an empty segment gives it, or 0, NaN, -inf, inf, 1). RuntimeError for lengths that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.segment_reduce.html

    >>> import minigrad as mg
    >>> mg.segment_reduce(mg.tensor([1.0, 2.0, 3.0]), "max", lengths=mg.tensor([2, 1]))
    tensor([2., 3.])
    """
    require_tensor("segment_reduce", data)
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet: give lengths or offsets.")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    axis = normalize_dim(axis, data.array.ndim)
    sizes = xp(data.array).diff(offsets.array, axis=-1) if lengths is None else lengths.array
    _check_lengths(data, sizes, axis, unsafe or lengths is None)
    x = data.array
    module, count = xp(x), sizes.shape[-1]
    lead, rest = x.shape[:axis], x.shape[axis + 1 :]
    ends = module.cumsum(sizes, axis=-1).reshape(*lead, 1, count)
    places = module.arange(x.shape[axis])[:, None]
    segment = (places >= ends).sum(axis=-1)  # (…, N): in which segment each element lies
    if lengths is None:  # elements before the first offset and after the last belong to none
        first = offsets.array[..., :1].reshape(*lead, 1)
        moved = module.arange(x.shape[axis]) - first
        segment = (moved[..., None] >= ends).sum(axis=-1)
        segment = module.where(moved < 0, count, segment)
    name, start = _REDUCTIONS[reduce]
    start = start if initial is None else initial
    shape = (*lead, count + 1, *rest)  # one segment more, for what lies in none
    index = wrap(module.broadcast_to(segment.reshape(segment.shape + (1,) * len(rest)), x.shape))
    out = scatter_reduce(data.new_full(shape, start), axis, index, data, name, include_self=True)
    out = out.narrow(axis, 0, count)
    if reduce != "mean":
        return out
    divisor = module.where(sizes == 0, np.nan if initial is None else 1, sizes).astype(x.dtype)
    return out / wrap(divisor.reshape(divisor.shape + (1,) * len(rest)))


def _check_lengths(data, sizes, axis, unchecked):
    """RuntimeError unless lengths are integers of data's leading shape that sum to its length along the axis."""
    if sizes.dtype.kind not in "iu" or sizes.ndim != axis + 1 or sizes.shape[:-1] != data.array.shape[:axis]:
        raise RuntimeError(
            f"segment_reduce(): Expected integer lengths of shape {[*data.shape[:axis], 'S']} for data of shape "
            f"{list(data.shape)} and axis {axis}, but got {list(sizes.shape)}"
        )
    if data.array.dtype.char not in "efd":
        raise RuntimeError(f"segment_reduce(): not implemented for {data.dtype}; convert with .float()")
    if unchecked or not sizes.size:
        return
    if int(sizes.min()) < 0:
        raise RuntimeError("lengths contains negative value!")
    if bool((sizes.sum(axis=-1) != data.array.shape[axis]).any()):
        raise RuntimeError(
            "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when "
            "!unsafe."
        )


def histogramdd(input, bins, *, range=None, weight=None, density=False, out=None):
    """Return (counts, edges of the bins of each dimension) of points; what lies in no bin counts nothing.

    Arguments: input (…, D): points; bins (int, D ints, or D tensors of edges); range (lowest and highest edge of each
    dimension; by default those of the points), weight (…), density (divide by the total and by each bin's volume).
    RuntimeError for shapes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.histogramdd.html

    >>> import minigrad as mg
    >>> mg.histogramdd(mg.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]), 2).hist
    tensor([[0., 1.],
            [1., 1.]])
    """
    require_tensor("histogramdd", input)
    x = input.array
    if x.ndim < 2:
        raise RuntimeError(f"histogramdd(): input tensor should have at least 2 dimensions, but got {x.ndim}")
    if x.dtype.char not in "fd":
        raise RuntimeError(f"histogramdd: not implemented for {input.dtype}; convert with .float()")
    module, dims = xp(x), x.shape[-1]
    if weight is not None and weight.array.shape != x.shape[:-1]:
        raise RuntimeError(
            f"histogramdd(): if weight tensor is provided it should have the same shape as the input tensor excluding "
            f"its innermost dimension, but got input with shape {list(x.shape)}, and weight with {list(weight.shape)}"
        )
    points = x.reshape(-1, dims)
    bins = [bins] * dims if isinstance(bins, int) else list(bins)
    if len(bins) != dims:
        raise RuntimeError(
            f"histogramdd(): The size of bins must be equal to the input's innermost dimension: {len(bins)}, {dims}"
        )
    if range is not None and len(range) != 2 * dims:
        raise RuntimeError(f"histogramdd(): expected {2 * dims} values in range, but got {len(range)}")
    edges = [_edges(points[:, d], b, range and range[2 * d : 2 * d + 2]) for d, b in enumerate(bins)]
    place, inside = 0, module.ones(len(points), bool)
    for d, edge in enumerate(edges):
        column = points[:, d]
        found = module.searchsorted(edge, column, side="right") - 1
        found = module.where(column == edge[-1], len(edge) - 2, found)
        inside &= (column >= edge[0]) & (column <= edge[-1])
        place = place * (len(edge) - 1) + found
    weights = None if weight is None else weight.array.reshape(-1)[inside].astype(np.float64)
    shape = [len(edge) - 1 for edge in edges]
    hist = module.bincount(place[inside], weights, math.prod(shape)).reshape(shape).astype(x.dtype)
    if density:
        hist = hist / hist.sum()
        for d, edge in enumerate(edges):
            hist = hist / module.diff(edge).reshape(-1, *(1,) * (dims - d - 1))
    result = Histogram(wrap(hist.astype(x.dtype)), tuple([wrap(edge) for edge in edges]))
    return result if out is None else write_out(out, result, "histogramdd")


def _edges(column, bins, limits):
    """Return the edges of one dimension's bins."""
    module = xp(column)
    if isinstance(bins, Tensor):
        if bins.array.ndim != 1 or not bins.array.size or bins.array.dtype != column.dtype:
            raise RuntimeError("histogramdd(): bins must be 1-dimensional tensors of edges, of the input's dtype")
        return bins.array
    if bins <= 0:
        raise RuntimeError(f"histogramdd(): bins must be > 0, but got {bins}")
    if limits:
        low, high = (float(limit) for limit in limits)
    else:
        low, high = (float(column.min()), float(column.max())) if column.size else (0.0, 1.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"histogramdd(): dimension's range [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"histogramdd(): min should not exceed max, but got min {low} max {high}")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return module.linspace(low, high, bins + 1, dtype=np.float64).astype(column.dtype)


def hash_tensor(input, dim=(), *, keepdim=False, mode=0, out=None):
    """Return the exclusive or of the elements' bits, as 64-bit integers or floats, over dimensions (default: all).

    Arguments: input, dim (int or ints), keepdim, mode (0, the only one), out.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.hash_tensor.html

    >>> import minigrad as mg
    >>> mg.hash_tensor(mg.tensor([1, 2, 4])).item()
    7
    """
    require_tensor("hash_tensor", input)
    x = input.array
    if mode != 0:
        raise RuntimeError(f"hash_tensor: unknown mode {mode}; there is 0")
    if x.dtype.kind == "c":
        raise RuntimeError("hash_tensor: not implemented for complex tensors; use view_as_real()")
    wide = x.astype(np.float64 if x.dtype.char in REAL_CODES else np.uint64 if x.dtype.kind in "ub" else np.int64)
    dims = dims_of(dim, x.ndim) if dim not in ((), None) else range(x.ndim)
    dims = dims if x.ndim else ()
    out_array = wide.view(np.uint64)
    module = xp(x)
    for d in sorted(dims, reverse=True):
        out_array = module.expand_dims(_exclusive_or(out_array, d), d) if keepdim else _exclusive_or(out_array, d)
    result = wrap(module.asarray(out_array, dtype=np.uint64))
    return result if out is None else write_out(out, result, "hash_tensor")


def _exclusive_or(x, dim):
    """Return the exclusive or along a dimension, halving it again and again."""
    module, x = xp(x), xp(x).moveaxis(x, dim, 0)
    if not len(x):
        return module.zeros(x.shape[1:], x.dtype)
    while len(x) > 1:
        half = len(x) // 2
        x = module.concatenate([x[:half] ^ x[half : 2 * half], x[2 * half :]])
    return x[0]
