"""Sums and means, products, variance and norms over dimensions."""

import math

from minigrad.backend import as_dtype, np, xp
from minigrad.inplace import write_out
from minigrad.kernels import reduction
from minigrad.op import Op, function
from minigrad.ops.core import cast
from minigrad.ops.define import require_tensor
from minigrad.tensor import Tensor, normalize_dim


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


# ---------------------------------------------------------------------- sum and mean
def _sum(x, *, dim, keepdim):
    return reduction.total(x, dim, keepdim)


def _spread(g, *, shape, dim, keepdim):
    return reduction.spread(g, shape, dim, keepdim)


def _mean(x, *, dim, keepdim):
    return reduction.average(x, dim, keepdim)


def _mean_gradient(g, x_shape, dim, keepdim):
    return spread(g / reduced_count(x_shape, dim), shape=x_shape, dim=dim, keepdim=keepdim)


sum_op = Op(
    _sum, [lambda g, x_shape, dim, keepdim: spread(g, shape=x_shape, dim=dim, keepdim=keepdim)], name="sum"
)
spread = Op(_spread, [lambda g, dim, keepdim: sum_op(g, dim=dim, keepdim=keepdim)], name="spread", view=True)
mean_op = Op(_mean, [_mean_gradient], name="mean")


@function(method=True, out=True, aliases=True)
def sum(input, dim=None, keepdim=False, *, dtype=None):
    """Return the sum of the elements over some or all dimensions.

    Arguments: input (Tensor), dim (int, tuple of ints, or None for all), keepdim (keep them with length 1), dtype
    (cast to it first; integers are summed in int64 by default). IndexError for a dimension out of range.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.sum.html

    >>> import minigrad as mg
    >>> mg.sum(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    input = checked("sum", input, dtype)
    if type(keepdim) is not bool:
        raise TypeError(f"sum(): argument 'keepdim' (position 2) must be bool, not {type(keepdim).__name__}")
    return sum_op(input, dim=reduced_dims(dim, input.array.ndim), keepdim=keepdim)


@function(method=True, out=True, aliases=True)
def mean(input, dim=None, keepdim=False, *, dtype=None):
    """Return the mean of the elements over some or all dimensions; NaN where there are none.

    Arguments as for sum. RuntimeError for integers without a dtype.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.mean.html

    >>> import minigrad as mg
    >>> mg.mean(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([1.5000, 3.5000])
    """
    input = checked("mean", input, dtype)
    if input.array.dtype.kind not in "fc":
        what = "Input dtype" if dtype is None else "Optional dtype"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {what} must be either a floating point or complex dtype. "
            f"Got: {input.dtype}"
        )
    return mean_op(input, dim=reduced_dims(dim, input.array.ndim), keepdim=keepdim)
