"""Reductions that count or add: sum, mean, logsumexp, any, all, count_nonzero; how dimensions are named."""

import math

from minigrad.backend import FLOAT_CODES, REAL_CODES, WATCHED, as_dtype, np, xp
from minigrad.inplace import write_out
from minigrad.interception import intercepted
from minigrad.kernels import reduction
from minigrad.op import Op
from minigrad.ops.core import cast
from minigrad.ops.define import require_tensor
from minigrad.ops.masked import keep_where
from minigrad.ops.unary import exp_op
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap
from minigrad.variable import MODE, Node, make_variable, next_time


# ---------------------------------------------------------------------- dimensions
def reduced_dims(dim, ndim):
    """Return the dimensions to reduce as a tuple of non-negative ints; None for all of them.

    IndexError for a dimension out of range, RuntimeError for one named twice, TypeError for what is no dimension.
    """
    if dim is None:
        return None
    if type(dim) is int:
        return (normalize_dim(dim, ndim),) if ndim else _of_scalar((dim,))
    if not isinstance(dim, (tuple, list)):
        return reduced_dims(normalize_dim(dim, ndim), ndim)
    if not dim:
        return None
    if ndim == 0:
        return _of_scalar(dim)
    dims = tuple([normalize_dim(one, ndim) for one in dim])
    if len(set(dims)) != len(dims):
        repeated = next(one for one in dims if dims.count(one) > 1)
        raise RuntimeError(f"dim {repeated} appears multiple times in the list of dims")
    return dims


def _of_scalar(dims):
    """Return the dims of a 0-d tensor, of which -1 and 0 name the one it does not have."""
    dims = [normalize_dim(one, 0) for one in dims]
    if len(dims) > 1:
        raise RuntimeError("dim 0 appears multiple times in the list of dims")
    return ()


def reduced_count(shape, dim):
    """Return over how many elements a reduction goes."""
    return math.prod(shape) if dim is None else math.prod(shape[axis] for axis in dim)


def checked(name, input, dtype=None):
    """Return the input, a Tensor (TypeError otherwise), cast to dtype if one is given."""
    require_tensor(name, input)
    if dtype is None:
        return input
    target = as_dtype(dtype).dtype
    return input if input.array.dtype == target else cast(input, dtype=target)


def in_dtype(result, dtype):
    """Return the result of a sum or product in the dtype asked for (integers are accumulated in int64)."""
    if dtype is None:
        return result
    target = as_dtype(dtype).dtype
    return result if result.array.dtype == target else cast(result, dtype=target)


# ---------------------------------------------------------------------- sum and mean
def _spread(g, *, shape, dim, keepdim):
    return reduction.spread(g, shape, dim, keepdim)


def _mean_gradient(g, x_shape, dim, keepdim):
    return spread(g / reduced_count(x_shape, dim), shape=x_shape, dim=dim, keepdim=keepdim)


def reduction_call(op):
    """Return a quicker way to call a reduction of one tensor by its parameters dim and keepdim."""
    forward, keep_array, keep_out = op.forward, op.keep[0] == "array", op.keep_out

    def call(x, *, dim, keepdim):
        if not isinstance(x, Tensor):
            return forward(x, dim, keepdim)
        if WATCHED:
            result = intercepted(op, call, (x,), {"dim": dim, "keepdim": keepdim})
            if result is not NotImplemented:
                return result
        array = x.array
        out = forward(array, dim, keepdim)
        if type(array) is np.ndarray and type(out) is not np.ndarray:
            out = np.asarray(out)
        if type(x) is Tensor or not x._requires_grad or not MODE.grad:
            return wrap(out)
        node = Node()
        node.op = op
        node.number = next_time()
        node.edges = (x.node or x,)
        node.params = {"dim": dim, "keepdim": keepdim}
        node.saved = (array if keep_array else (array.shape, array.dtype),)
        node.out = out if keep_out else None
        node.shape = out.shape
        if MODE.on_record is not None:
            MODE.on_record(node, out)
        return make_variable(out, node)

    return call


sum_op = Op(
    reduction.total, [lambda g, x_shape, dim, keepdim: spread(g, shape=x_shape, dim=dim, keepdim=keepdim)], name="sum"
)
spread = Op(_spread, [lambda g, dim, keepdim: sum_op(g, dim=dim, keepdim=keepdim)], name="spread", view=True)
mean_op = Op(reduction.average, [_mean_gradient], name="mean")
sum_op.call = reduction_call(sum_op)
mean_op.call = reduction_call(mean_op)


def renamed(name, aliases, dim, keepdim):
    """Return (dim, keepdim) with NumPy's keywords axis and keepdims taken into account."""
    given = dict(aliases)
    dim, keepdim = given.pop("axis", dim), given.pop("keepdims", keepdim)
    if given:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(given))}'")
    return dim, keepdim


@function(method=True)
def sum(input, dim=None, keepdim=False, *, dtype=None, out=None, **aliases):
    """Return the sum of the elements over some or all dimensions.

    Arguments: input (Tensor), dim (int, tuple of ints, or None for all), keepdim (keep them with length 1), dtype
    (cast to it first; integers are summed in int64 by default). IndexError for a dimension out of range.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.sum.html

    >>> import minigrad as mg
    >>> mg.sum(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    if aliases:
        dim, keepdim = renamed("sum", aliases, dim, keepdim)
    if dtype is not None or not isinstance(input, Tensor):
        input = checked("sum", input, dtype)
    if type(keepdim) is not bool:
        raise TypeError(f"sum(): argument 'keepdim' (position 2) must be bool, not {type(keepdim).__name__}")
    if dim is not None:
        dim = reduced_dims(dim, input.array.ndim)
    result = sum_op.call(input, dim=dim, keepdim=keepdim)
    if dtype is not None:
        result = in_dtype(result, dtype)
    return result if out is None else write_out(out, result, "sum")


@function(method=True)
def mean(input, dim=None, keepdim=False, *, dtype=None, out=None, **aliases):
    """Return the mean of the elements over some or all dimensions; NaN where there are none.

    Arguments as for sum. RuntimeError for integers without a dtype.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.mean.html

    >>> import minigrad as mg
    >>> mg.mean(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([1.5000, 3.5000])
    """
    if aliases:
        dim, keepdim = renamed("mean", aliases, dim, keepdim)
    input = checked("mean", input, dtype)
    if input.array.dtype.char not in FLOAT_CODES:
        what = "Input dtype" if dtype is None else "Optional dtype"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {what} must be either a floating point or complex dtype. "
            f"Got: {input.dtype}"
        )
    result = mean_op.call(input, dim=reduced_dims(dim, input.array.ndim), keepdim=keepdim)
    return result if out is None else write_out(out, result, "mean")


@function(method=True, out=True, aliases=True)
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """Return the sum of the elements that are not NaN; arguments as for sum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nansum.html

    >>> import minigrad as mg
    >>> mg.nansum(mg.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    input = checked("nansum", input, dtype)
    return in_dtype(sum_op(_without_nan(input), dim=reduced_dims(dim, input.array.ndim), keepdim=keepdim), dtype)


@function(method=True, out=True, aliases=True)
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """Return the mean of the elements that are not NaN; arguments as for mean.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nanmean.html

    >>> import minigrad as mg
    >>> mg.nanmean(mg.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    input = checked("nanmean", input, dtype)
    if input.array.dtype.char not in REAL_CODES:
        raise RuntimeError(f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype}")
    dims = reduced_dims(dim, input.array.ndim)
    count = sum_op(is_number(input), dim=dims, keepdim=keepdim)
    return sum_op(_without_nan(input), dim=dims, keepdim=keepdim) / count


def _without_nan(input):
    return keep_where(input, is_number(input)) if input.array.dtype.char in REAL_CODES else input


is_number = Op(lambda x: x == x, [None], name="is_number")


# ---------------------------------------------------------------------- logsumexp
def _logsumexp(x, *, dim, keepdim):
    if not x.size:
        return xp(x).log(x.sum(axis=dim, keepdims=keepdim))
    module, wide = xp(x), x.astype(np.float32) if x.dtype.char == "e" else x
    top = wide.real.max(axis=dim, keepdims=True)
    top = module.where(module.isinf(top), 0, top).astype(wide.real.dtype)
    out = module.log(module.exp(wide - top).sum(axis=dim, keepdims=True)) + top
    out = out.astype(x.dtype, copy=False)
    return out if keepdim else out.reshape(reduction.dropped_shape(x.shape, dim))


def _logsumexp_gradient(g, x, out, dim, keepdim):
    weight = x - spread(out, shape=x.shape, dim=dim, keepdim=keepdim)
    gradient = spread(g, shape=x.shape, dim=dim, keepdim=keepdim)
    return gradient * keep_where(exp_op(weight), weight == weight)


logsumexp_op = Op(_logsumexp, [_logsumexp_gradient], promote="float")


@function(method=True, out=True, aliases=True)
def logsumexp(input, dim, keepdim=False):
    """Return log(sum(exp(input))) over dim, computed without overflow.

    Arguments: input (Tensor), dim (int or tuple of ints), keepdim (keep the dimensions with length 1).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.logsumexp.html

    >>> import minigrad as mg
    >>> mg.logsumexp(mg.tensor([1000.0, 1000.0]), dim=0)
    tensor(1000.6932)
    """
    require_tensor("logsumexp", input)
    return logsumexp_op(input, dim=reduced_dims(dim, input.array.ndim), keepdim=keepdim)


# ---------------------------------------------------------------------- truth
def _any(x, *, dim, keepdim):
    out = (x != 0).any(axis=dim, keepdims=keepdim)
    return out.astype(np.uint8) if x.dtype == np.uint8 else out


def _all(x, *, dim, keepdim):
    out = (x != 0).all(axis=dim, keepdims=keepdim)
    return out.astype(np.uint8) if x.dtype == np.uint8 else out


any_op = Op(_any, [None])
all_op = Op(_all, [None])
count_nonzero_op = Op(lambda x, *, dim: xp(x).asarray((x != 0).sum(axis=dim)), [None], name="count_nonzero")


@function(method=True, out=True, aliases=True)
def any(input, dim=None, keepdim=False):
    """Return whether any element is nonzero, of all or along dim (int or tuple of ints).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.any.html

    >>> import minigrad as mg
    >>> mg.any(mg.tensor([[0, 1], [0, 0]]), dim=1)
    tensor([ True, False])
    """
    require_tensor("any", input)
    # (): no dimension, as in PyTorch
    dims = () if type(dim) is tuple and not dim else reduced_dims(dim, input.array.ndim)
    return any_op(input, dim=dims, keepdim=keepdim)


@function(method=True, out=True, aliases=True)
def all(input, dim=None, keepdim=False):
    """Return whether all elements are nonzero, of all or along dim (int or tuple of ints).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.all.html

    >>> import minigrad as mg
    >>> mg.all(mg.tensor([[0, 1], [1, 1]]), dim=1)
    tensor([False,  True])
    """
    require_tensor("all", input)
    dims = () if type(dim) is tuple and not dim else reduced_dims(dim, input.array.ndim)
    return all_op(input, dim=dims, keepdim=keepdim)


@function(method=True, aliases=True)
def count_nonzero(input, dim=None):
    """Return the number of nonzero elements, of all or along dim (int or tuple of ints).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.count_nonzero.html

    >>> import minigrad as mg
    >>> mg.count_nonzero(mg.tensor([[0, 1], [1, 1]]))
    tensor(3)
    """
    require_tensor("count_nonzero", input)
    return count_nonzero_op(input, dim=reduced_dims(dim, input.array.ndim))
