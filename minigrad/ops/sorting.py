"""Order: sort, topk, kthvalue, median, mode, quantile."""

from minigrad.backend import REAL_CODES, np, xp
from minigrad.kernels import order as kernels
from minigrad.op import Op
from minigrad.ops.combine import lerp_op
from minigrad.ops.cumulative import take_along
from minigrad.ops.define import require_tensor
from minigrad.ops.extremum import pick
from minigrad.ops.masked import choose
from minigrad.ops.reduce import spread
from minigrad.ops.results import named_result
from minigrad.ops.shape import permute_op, reshape_op
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap

Sort = named_result("sort", ("values", "indices"))
TopK = named_result("topk", ("values", "indices"))
KthValue = named_result("kthvalue", ("values", "indices"))
Median = named_result("median", ("values", "indices"))
NanMedian = named_result("nanmedian", ("values", "indices"))
Mode = named_result("mode", ("values", "indices"))


# ---------------------------------------------------------------------- ops: the order has no gradient, the values do
def _rank_index(x, *, k, dim):
    """Return the index of the k-th smallest (from 0) along dim, with length 1 there."""
    if not x.ndim:
        return xp(x).zeros((), np.int64)
    return kernels.first(kernels.last(kernels.argsort(x, dim, False), x.shape[dim] - k, dim), 1, dim)


def _median_index(x, *, dim, ignore_nan):
    """Return the index of the lower median along dim, with length 1 there; of a NaN if there is one and it counts."""
    module = xp(x)
    if not x.ndim:
        return module.zeros((), np.int64)
    order = kernels.argsort(x, dim, False)
    count = (x == x).sum(axis=dim, keepdims=True)
    if ignore_nan:
        rank = module.maximum(count - 1, 0) // 2
    else:
        rank = module.where(count < x.shape[dim], count, (x.shape[dim] - 1) // 2)
    return module.take_along_axis(order, rank, dim)


argsort_op = Op(
    lambda x, *, dim, descending: kernels.argsort(x, dim, descending) if x.ndim else xp(x).zeros((), np.int64),
    [None],
    name="argsort",
)
top_op = Op(
    lambda x, *, k, dim, largest: kernels.top(x, k, dim, largest) if x.ndim else xp(x).zeros((), np.int64),
    [None],
    name="top",
)
rank_index = Op(_rank_index, [None])
median_index = Op(_median_index, [None])
mode_index = Op(
    lambda x, *, dim: kernels.mode(x, dim)[1] if x.ndim else xp(x).zeros((), np.int64), [None], name="mode_index"
)


def _chosen(result, input, index, dim, keepdim):
    """Return the named tuple (values, indices) for indices that have length 1 along dim."""
    if not input.array.ndim:
        return result(take_along(input, index, dim=0), index)
    shape = index.array.shape
    if not keepdim:
        index = reshape_op(index, shape=shape[:dim] + shape[dim + 1 :])
    return result(pick(input, index, dim=dim, keepdim=keepdim), index)


def _check_length(name, input, dim):
    if input.array.ndim and input.array.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


# ---------------------------------------------------------------------- public functions
@function(method=True, out=True, aliases=True)
def sort(input, dim=-1, descending=False, stable=False):
    """Return (values, indices) sorted along dim; equal elements keep their order, NaN counts as the largest.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sort.html

    >>> import minigrad as mg
    >>> mg.sort(mg.tensor([3.0, 1.0, 2.0])).indices
    tensor([1, 2, 0])
    """
    require_tensor("sort", input)
    dim = normalize_dim(dim, input.array.ndim)
    index = argsort_op(input, dim=dim, descending=bool(descending))
    return Sort(take_along(input, index, dim=dim), index)


@function(method=True, aliases=True)
def argsort(input, dim=-1, descending=False, stable=False):
    """Return the indices that sort input along dim; equal elements keep their order.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.argsort.html

    >>> import minigrad as mg
    >>> mg.argsort(mg.tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([0, 2, 1])
    """
    require_tensor("argsort", input)
    return argsort_op(input, dim=normalize_dim(dim, input.array.ndim), descending=bool(descending))


@function(method=True, out=True)
def msort(input):
    """Return input sorted along its first dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.msort.html

    >>> import minigrad as mg
    >>> mg.msort(mg.tensor([3.0, 1.0, 2.0]))
    tensor([1., 2., 3.])
    """
    return sort(input, 0).values


@function(method=True, out=True, aliases=True)
def topk(input, k, dim=-1, largest=True, sorted=True):
    """Return (values, indices) of the k largest (or smallest) elements along dim, in order.

    RuntimeError if k is negative or more than the length of dim.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.topk.html

    >>> import minigrad as mg
    >>> mg.topk(mg.tensor([3.0, 1.0, 2.0]), 2).values
    tensor([3., 2.])
    """
    require_tensor("topk", input)
    dim = normalize_dim(dim, input.array.ndim)
    k = k.__index__()
    if not 0 <= k <= (input.array.shape[dim] if input.array.ndim else 1):
        raise RuntimeError("selected index k out of range")
    index = top_op(input, k=k, dim=dim, largest=bool(largest))
    return TopK(take_along(input, index, dim=dim), index)


@function(method=True, out="exact", aliases=True)
def kthvalue(input, k, dim=-1, keepdim=False):
    """Return (values, indices) of the k-th smallest element along dim, counted from 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.kthvalue.html

    >>> import minigrad as mg
    >>> mg.kthvalue(mg.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    require_tensor("kthvalue", input)
    dim = normalize_dim(dim, input.array.ndim)
    _check_length("kthvalue", input, dim)
    if not 1 <= k <= (input.array.shape[dim] if input.array.ndim else 1):
        raise RuntimeError("kthvalue(): selected number k out of range for dimension " + str(dim))
    return _chosen(KthValue, input, rank_index(input, k=k - 1, dim=dim), dim, keepdim)


def _median(name, result, input, dim, keepdim, ignore_nan):
    require_tensor(name, input)
    if dim is not None:
        dim = normalize_dim(dim, input.array.ndim)
        _check_length(name, input, dim)
        return _chosen(result, input, median_index(input, dim=dim, ignore_nan=ignore_nan), dim, keepdim)
    if not input.array.size:
        if input.array.dtype.char not in REAL_CODES:
            return wrap(xp(input.array).full((), np.iinfo(input.array.dtype).min, input.array.dtype))
        return wrap(xp(input.array).full((), np.nan, input.array.dtype))
    return median_of_all(input, ignore_nan=ignore_nan)


def _median_of_all(x, *, ignore_nan):
    flat = x.reshape(-1)
    return flat[_median_index(flat, dim=0, ignore_nan=ignore_nan)].reshape(())


def _equal_share(x, out):
    """Return 1 / (number of elements equal to out) where x is equal to out, else 0."""
    mask = (x == out) | ((x != x) & (out != out))
    return (mask / mask.sum()).astype(x.dtype)


equal_share = Op(_equal_share, [None, None])
median_of_all = Op(
    _median_of_all,
    [lambda g, x, out: spread(g, shape=x.shape, dim=None, keepdim=False) * equal_share(x, out)],
)


@function(method=True, aliases=True, out=True)
def median(input, dim=None, keepdim=False):
    """Return the lower median of all elements or, along dim, (values, indices); NaN if there is one.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.median.html

    >>> import minigrad as mg
    >>> mg.median(mg.tensor([3.0, 1.0, 2.0, 4.0]))
    tensor(2.)
    """
    return _median("median", Median, input, dim, keepdim, False)


@function(method=True, aliases=True, out=True)
def nanmedian(input, dim=None, keepdim=False):
    """Return the lower median of the elements that are not NaN; forms as for median.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nanmedian.html

    >>> import minigrad as mg
    >>> mg.nanmedian(mg.tensor([3.0, float("nan"), 2.0]))
    tensor(2.)
    """
    return _median("nanmedian", NanMedian, input, dim, keepdim, True)


@function(method=True, out=True, aliases=True)
def mode(input, dim=-1, keepdim=False):
    """Return (values, indices) of the most frequent element along dim, the smallest of several.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.mode.html

    >>> import minigrad as mg
    >>> mg.mode(mg.tensor([2, 1, 2, 3])).values
    tensor(2)
    """
    require_tensor("mode", input)
    dim = normalize_dim(dim, input.array.ndim)
    _check_length("mode", input, dim)
    return _chosen(Mode, input, mode_index(input, dim=dim), dim, keepdim)


# ---------------------------------------------------------------------- quantiles
_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(name, input, q, dim, keepdim, interpolation, ignore_nan):
    q = _checked_quantile(name, input, q, interpolation)
    if dim is None:
        shape, line, dim = (1,) * input.array.ndim, reshape_op(input, shape=(-1,)), 0
    else:
        dim = normalize_dim(dim, input.array.ndim)
        shape = tuple(1 if axis == dim else n for axis, n in enumerate(input.array.shape))
        line = input if input.array.ndim else reshape_op(input, shape=(1,))
    if not line.array.shape[dim]:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    module = xp(line.array)
    ordered = take_along(line, argsort_op(line, dim=dim, descending=False), dim=dim)
    length = line.array.shape[dim]
    count = (line.array == line.array).sum(axis=dim, keepdims=True)
    steps = module.maximum(count - 1, 0).astype(line.array.dtype)
    ranks = reshape_op(q, shape=(-1,) + (1,) * (line.array.ndim - dim - 1)) * wrap(steps)
    if not ignore_nan:  # a line with a NaN, which is sorted to its end, gives NaN
        ranks = choose(wrap(count < length), wrap(module.full((), length - 1, line.array.dtype)), ranks)
    result = _interpolated(ordered, ranks, dim, interpolation)
    moved = _first_dim(result, dim)
    reduced = shape if keepdim else () if len(shape) == 0 or moved.array.ndim == 1 else moved.array.shape[1:]
    return reshape_op(moved, shape=((q.array.size,) if q.array.ndim else ()) + tuple(reduced))


def _interpolated(ordered, ranks, dim, interpolation):
    """Return the values of sorted lines at fractional ranks."""
    module, places = xp(ranks.array), ranks.array
    if interpolation == "nearest":
        return take_along(ordered, wrap(module.rint(places).astype(np.int64)), dim=dim)
    low, high = module.floor(places).astype(np.int64), module.ceil(places).astype(np.int64)
    if interpolation in ("lower", "higher"):
        return take_along(ordered, wrap(low if interpolation == "lower" else high), dim=dim)
    below, above = (take_along(ordered, wrap(index), dim=dim) for index in (low, high))
    weight = 0.5 if interpolation == "midpoint" else ranks - wrap(low.astype(places.dtype))
    return lerp_op(below, above, weight)


def _first_dim(tensor, dim):
    """Return the tensor with dim moved to the front."""

    ndim = tensor.array.ndim
    return permute_op(tensor, dims=(dim, *[axis for axis in range(ndim) if axis != dim]))


def _checked_quantile(name, input, q, interpolation):
    """Return q as a Tensor after the checks PyTorch makes."""
    require_tensor(name, input)
    if input.array.dtype.char not in "fd":
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        return wrap(xp(input.array).asarray(q, input.array.dtype))
    if q.array.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if q.array.dtype != input.array.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if not bool(((q.array >= 0) & (q.array <= 1)).all()):
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    return q


@function(method=True, out=True, aliases=True)
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """Return the q-quantiles of all elements or along dim, NaN where a line holds one.

    Arguments: input (Tensor, float32 or float64), q (number in [0, 1], or 0-d or 1-d Tensor: the result's first
    dimension), dim, keepdim, interpolation (linear, lower, higher, midpoint, nearest).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.quantile.html

    >>> import minigrad as mg
    >>> mg.quantile(mg.tensor([0.0, 1.0, 2.0, 3.0]), 0.5)
    tensor(1.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@function(method=True, out=True, aliases=True)
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """Return the q-quantiles of the elements that are not NaN; arguments as for quantile.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nanquantile.html

    >>> import minigrad as mg
    >>> mg.nanquantile(mg.tensor([0.0, float("nan"), 2.0]), 0.5)
    tensor(1.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
