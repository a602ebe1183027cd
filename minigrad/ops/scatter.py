"""gather, scatter and their relatives: one index for every element."""

from minigrad.backend import FLOAT_CODES, REAL_CODES, np, storable, xp
from minigrad.kernels import scatter as kernels
from minigrad.op import Op
from minigrad.ops.index_checks import check_range, check_same_dtype, index_of
from minigrad.ops.pieces import slice_op
from minigrad.ops.shape import reshape_op
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap


# ---------------------------------------------------------------------- ops: one index per element
def _gather(x, index, *, dim):
    return x[kernels.along(index, dim)]


def _scatter_zeros(g, index, *, shape, dim):
    out = xp(g).zeros(shape, g.dtype)
    kernels.scatter_add_flat(out.reshape(-1), kernels.flat_positions(index, shape, dim), g)
    return out


def _scatter(x, index, source, *, dim):
    out = x.copy()
    out[kernels.along(index, dim)] = source
    return out


def _scatter_fill(x, index, *, dim, value):
    out = x.copy()
    out[kernels.along(index, dim)] = value
    return out


def _scatter_add(x, index, source, *, dim):
    out = x.copy()
    kernels.scatter_add_flat(out.reshape(-1), kernels.flat_positions(index, x.shape, dim), source)
    return out


gather_op = Op(
    _gather, [lambda g, x_shape, index, dim: scatter_zeros(g, index, shape=x_shape, dim=dim), None], name="gather"
)
scatter_zeros = Op(_scatter_zeros, [lambda g, index, dim: gather_op(g, index, dim=dim), None], name="gather_transposed")
scatter_op = Op(
    _scatter,
    [
        lambda g, index, dim: scatter_fill_op(g, index, dim=dim, value=0),
        None,
        lambda g, index, dim: gather_op(g, index, dim=dim),
    ],
    name="scatter",
)
scatter_fill_op = Op(
    _scatter_fill, [lambda g, index, dim: scatter_fill_op(g, index, dim=dim, value=0), None], name="scatter_fill"
)
scatter_add_op = Op(
    _scatter_add, [lambda g: g, None, lambda g, index, dim: gather_op(g, index, dim=dim)], name="scatter_add"
)


# ---------------------------------------------------------------------- gather and scatter
def _check_sizes(index_shape, shape, dim, name, what):
    """RuntimeError where an index reaches further than what it reads or writes, along any dimension but dim."""
    if len(index_shape) != len(shape):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as {what} tensor: {name}() got "
            f"{list(index_shape)} and "
            f"{list(shape)}"
        )
    for axis, (length, limit) in enumerate(zip(index_shape, shape, strict=True)):
        if axis != dim and length > limit:
            raise RuntimeError(
                f"Size does not match at dimension {axis} expected index {list(index_shape)} to be no larger than "
                f"{what} "
                f"{list(shape)} apart from dimension {dim}"
            )


def at_least_1d(x):
    return reshape_op(x, shape=(1,)) if x.array.ndim == 0 else x


def _nothing_of(x, shape):
    """Return a tensor of a shape without elements, as an operation on x."""
    flat = reshape_op(x, shape=(x.array.size,))
    return reshape_op(slice_op(flat, dim=0, start=0, stop=0, step=1), shape=shape)


@function(method=True, out="exact")
def gather(input, dim, index, *, sparse_grad=False):
    """Return the input's values at indices along a dimension: out[i][j] = input[index[i][j]][j] for dim 0.

    index has the input's number of dimensions and is nowhere longer except along dim. RuntimeError otherwise, or for an
    index out of bounds. Source: https://docs.pytorch.org/docs/stable/generated/torch.gather.html

    >>> import minigrad as mg
    >>> mg.tensor([[1, 2], [3, 4]]).gather(1, mg.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    if sparse_grad:
        raise NotImplementedError("gather(): sparse_grad=True is not supported: there are no sparse tensors")
    dim = normalize_dim(dim, input.array.ndim)
    if isinstance(index, Tensor) and not index.array.size:
        return _nothing_of(input, index.array.shape)
    x, places = at_least_1d(input), at_least_1d(index_of(index, "gather"))
    _check_sizes(places.array.shape, x.array.shape, dim, "gather", "input")
    check_range(places.array, x.array.shape[dim], dim)
    out = gather_op(x, places, dim=dim)
    return out if index.array.ndim else reshape_op(out, shape=())


def _scatter_arguments(input, dim, index, src, name):
    """Return (dim, input, index, source) with at least one dimension each, the source cut to the index's shape."""
    dim = normalize_dim(dim, input.array.ndim)
    x, places = at_least_1d(input), at_least_1d(index_of(index, name))
    if places.array.size:
        _check_sizes(places.array.shape, x.array.shape, dim, name, "self")
    check_range(places.array, x.array.shape[dim], dim)
    if src is None or not places.array.size:
        return dim, x, places, None
    source = at_least_1d(src)
    _check_sizes(places.array.shape, source.array.shape, -1, name, "src")
    for axis, length in enumerate(places.array.shape):
        if source.array.shape[axis] != length:
            source = slice_op(source, dim=axis, start=0, stop=length, step=1)
    return dim, x, places, source


def same_shape(out, input):
    return out if out.array.shape == input.array.shape else reshape_op(out, shape=input.array.shape)


@function(method=True, inplace=True, out=True)
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """Return the input with values written at indices along a dimension: out[index[i][j]][j] = src[i][j] for dim 0.

    src is a tensor or a number; reduce "add" or "multiply" combines instead of replacing.
    RuntimeError for shapes that don't fit, dtypes that differ, or an index out of bounds.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.scatter.html

    >>> import minigrad as mg
    >>> mg.zeros(2, 3).scatter(1, mg.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    source = value if src is None else src
    if source is None:
        raise TypeError("scatter(): missing the argument 'src' or 'value'")
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if isinstance(source, Tensor):
        check_same_dtype("scatter", input, source)
        dim, x, places, source = _scatter_arguments(input, dim, index, source, "scatter")
        if source is None:
            return input.clone()
        if reduce is None:
            return same_shape(scatter_op(x, places, source, dim=dim), input)
    else:
        dim, x, places, _ = _scatter_arguments(input, dim, index, None, "scatter")
        if not places.array.size:
            return input.clone()
        check_scalar(source, input, "scatter")
        if reduce is None:
            return same_shape(scatter_fill_op(x, places, dim=dim, value=source), input)
        source = wrap(xp(x.array).full(places.array.shape, source, x.array.dtype))
    if reduce == "add":
        return same_shape(scatter_add_op(x, places, source, dim=dim), input)
    return same_shape(_scatter_prod(x, places, source, dim), input)


def check_scalar(value, tensor, name):
    """RuntimeError for a number of a higher category than the tensor it is written into."""
    if not isinstance(value, (int, float, complex, np.generic)):
        raise TypeError(f"{name}(): argument 'value' must be Number or Tensor, not {type(value).__name__}")
    storable(value, tensor.array.dtype)


@function(method=True, inplace=True, out=True)
def scatter_add(input, dim, index, src):
    """Return the input with src added at indices along a dimension; indices that repeat add up.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.scatter_add.html

    >>> import minigrad as mg
    >>> mg.scatter_add(mg.zeros(3), 0, mg.tensor([0, 0, 2]), mg.ones(3))
    tensor([2., 0., 1.])
    """
    check_same_dtype("scatter_add", input, src)
    dim, x, places, source = _scatter_arguments(input, dim, index, src, "scatter_add")
    if source is None:
        return input.clone()
    return same_shape(scatter_add_op(x, places, source, dim=dim), input)


def _reduced(x, index, source, *, dim, reduce):
    out = x.copy()
    kernels.reduce_at(out, index, source, dim, reduce)
    return out


def _scatter_extreme_gradients(g, x, index, source, out, dim, needs):
    """Share the gradient of a maximum or minimum equally among all that reach it."""
    x_hits = same_as(x, out)
    source_hits = same_as(source, gather_op(out, index, dim=dim))
    count = scatter_add_op(x_hits, index, source_hits, dim=dim)
    share = g / count
    return (
        share * x_hits if needs[0] else None,
        None,
        gather_op(share, index, dim=dim) * source_hits if needs[2] else None,
    )


same_as = Op(lambda x, y: (x == y).astype(x.dtype), [None, None], name="same_as")


def _scatter_extreme(x, index, source, *, dim, reduce):
    return _reduced(x, index, source, dim=dim, reduce=reduce)


scatter_extreme = Op(_scatter_extreme, joint=_scatter_extreme_gradients, name="scatter_reduce")


def _products_of_others(x, index, source, *, dim):
    """Return (of each x, of each source element) the product of all others that fall on the same place."""
    module = xp(x)
    x_zero, source_zero = x == 0, source == 0
    zeros = x_zero.astype("int64")
    kernels.scatter_add_flat(
        zeros.reshape(-1), kernels.flat_positions(index, x.shape, dim), source_zero.astype("int64")
    )
    product = module.where(x_zero, module.ones_like(x), x)
    kernels.reduce_at(product, index, module.where(source_zero, module.ones_like(source), source), dim, "prod")
    mesh = kernels.along(index, dim)
    of_x = module.where(zeros - x_zero > 0, 0, product / module.where(x_zero, module.ones_like(x), x))
    own = module.where(source_zero, module.ones_like(source), source)
    of_source = module.where(zeros[mesh] - source_zero > 0, 0, product[mesh] / own)
    return of_x.astype(x.dtype), of_source.astype(x.dtype)


def _scatter_prod(x, index, source, dim):
    """Return x with source multiplied in at indices along a dimension."""
    return scatter_prod(x, index, source, dim=dim)


def _scatter_prod_forward(x, index, source, *, dim):
    return _reduced(x, index, source, dim=dim, reduce="prod")


def _scatter_prod_gradients(g, x, index, source, dim, needs):
    """Return g times the product of all other factors, computed as such so that zeros are no special case."""
    of_x, of_source = others_product(x, index, source, dim=dim)
    return (
        g * of_x if needs[0] else None,
        None,
        gather_op(g, index, dim=dim) * of_source if needs[2] else None,
    )


def _others_product_gradients(g, x, index, source, dim, needs):
    """Return for each factor the sum over the others of their g times the product of all but the two.

    With the product P of the factors that are not 0 and their number of zeros, that product is P / (a b) if a and b
    are the only zeros, else 0.
    """
    zero_x, zero_source = same_as(x, x * 0), same_as(source, source * 0)
    x, source = x + zero_x, source + zero_source  # zeros become ones
    g_x, g_source = g[0] / x, g[1] / source
    places = (
        scatter_prod(x, index, source, dim=dim),
        scatter_add_op(zero_x, index, zero_source, dim=dim),
        scatter_add_op(g_x * (1 - zero_x), index, g_source * (1 - zero_source), dim=dim),
        scatter_add_op(g_x * zero_x, index, g_source * zero_source, dim=dim),
    )
    gathered = [gather_op(place, index, dim=dim) for place in places] if needs[2] else None
    return (
        _all_but_two(x, zero_x, g_x, *places) if needs[0] else None,
        None,
        _all_but_two(source, zero_source, g_source, *gathered) if needs[2] else None,
    )


def _all_but_two(factor, is_zero, weight, product, zeros, total, total_at_zeros):
    others = zeros - is_zero  # how many of the other factors are 0
    none, one = same_as(others, others * 0), same_as(others, others * 0 + 1)
    return product / factor * (none * (total - weight * (1 - is_zero)) + one * (total_at_zeros - weight * is_zero))


scatter_prod = Op(_scatter_prod_forward, joint=_scatter_prod_gradients, name="scatter_prod")
others_product = Op(_products_of_others, joint=_others_product_gradients, name="product_of_others")


@function(method=True, inplace=True, out=True)
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """Return the input with src combined in at indices along a dimension, by "sum", "prod", "mean", "amax" or "amin".

    include_self=False leaves the input's own value out wherever something is written.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_reduce_.html

    >>> import minigrad as mg
    >>> mg.scatter_reduce(mg.zeros(2), 0, mg.tensor([0, 0, 1]), mg.tensor([1.0, 5.0, 2.0]), "amax")
    tensor([5., 2.])
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}.")
    check_same_dtype("scatter_reduce", input, src)
    dim, x, places, source = _scatter_arguments(input, dim, index, src, "scatter_reduce")
    if source is None:
        return input.clone()
    start = x
    if not include_self:
        start = scatter_fill_op(x, places, dim=dim, value=_neutral(x.array.dtype, reduce))
    if reduce in ("sum", "mean"):
        out = scatter_add_op(start, places, source, dim=dim)
        if reduce == "mean":
            ones = wrap(xp(x.array).ones(places.array.shape, x.array.dtype))
            count = wrap(xp(x.array).ones(x.array.shape, x.array.dtype))
            if not include_self:
                count = scatter_fill_op(count, places, dim=dim, value=0)
            count = scatter_add_op(count, places, ones, dim=dim)
            out = out / count if x.array.dtype.char in FLOAT_CODES else _floor_divided(out, count)
    elif reduce == "prod":
        out = _scatter_prod(start, places, source, dim)
    else:
        out = scatter_extreme(start, places, source, dim=dim, reduce=reduce)
    return same_shape(out, input)


def _floor_divided(a, b):
    return wrap(a.array // b.array)


def _neutral(dtype, reduce):
    """Return the value that changes nothing in a reduction."""
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    if dtype.char in REAL_CODES:
        return float("-inf") if reduce == "amax" else float("inf")
    if dtype.kind == "b":
        return reduce == "amin"
    limits = np.iinfo(dtype)
    return int(limits.min if reduce == "amax" else limits.max)
