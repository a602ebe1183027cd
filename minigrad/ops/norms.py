"""Norms of vectors: the p-norm over dimensions, norm, dist, renorm."""

import math

from minigrad.backend import FLOAT_CODES, as_dtype, np, xp
from minigrad.inplace import write_out
from minigrad.kernels import reduction
from minigrad.op import Op
from minigrad.ops.arguments import as_number
from minigrad.ops.core import cast
from minigrad.ops.define import require_tensor
from minigrad.ops.extremum import ties
from minigrad.ops.masked import keep_where, zeroed
from minigrad.ops.power import power_scalar
from minigrad.ops.reduce import reduced_count, reduced_dims, spread, sum_op
from minigrad.ops.unary import abs_op, sign_op
from minigrad.registry import FUNCTIONS, function


def _norm(x, *, p, dim, keepdim):
    module = xp(x)
    if x.dtype.char == "e":
        return _norm(x.astype(np.float32), p=p, dim=dim, keepdim=keepdim).astype(np.float16)
    if p == 0:
        return (x != 0).sum(axis=dim, keepdims=keepdim).astype(x.dtype)
    size = module.abs(x)
    if abs(p) == math.inf:
        return (size.max if p > 0 else size.min)(axis=dim, keepdims=keepdim)
    if p == 1:
        return reduction.total(size, dim, keepdim)
    if p == 2:
        return module.sqrt(reduction.total(module.multiply(x, x), dim, keepdim))
    return module.power(reduction.total(module.power(size, p), dim, keepdim), 1 / p)


def _norm_gradient(g, x, out, p, dim, keepdim):
    if p == 0:
        return zeroed(x)
    g, value = (spread(one, shape=x.shape, dim=dim, keepdim=keepdim) for one in (g, out))
    if p == 1:
        return g * sign_op(x)
    if abs(p) == math.inf:
        return g * sign_op(x) * ties(abs_op(x), out, dim=dim, keepdim=keepdim)
    if p == 2:
        return x * keep_where(g / value, value != 0)
    scale = keep_where(g / power_scalar(value, exponent=p - 1), value != 0)
    if p < 2:
        return sign_op(x) * keep_where(power_scalar(abs_op(x), exponent=p - 1), x != 0) * scale
    return x * power_scalar(abs_op(x), exponent=p - 2) * scale


norm_op = Op(_norm, [_norm_gradient])


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """Return (sum |x|^ord)^(1 / ord) over dim (int, tuple, None for all); ord may be 0, inf, -inf too."""
    require_tensor("linalg.vector_norm", x)
    if dtype is not None:
        x = cast(x, dtype=as_dtype(dtype).dtype)
    if x.array.dtype.char not in FLOAT_CODES:
        raise RuntimeError(f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {x.dtype}")
    ord = as_number(ord)
    if not isinstance(ord, (int, float)):
        raise TypeError(f"linalg.vector_norm(): ord must be a number, but got {type(ord).__name__}: {ord!r}")
    if x.array.dtype.kind == "c":
        x = x.abs()
    dims = reduced_dims(dim, x.array.ndim)
    if reduced_count(x.array.shape, dims) == 0 and (ord < 0 or ord == math.inf):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not "
            "have an identity"
        )
    return norm_op(x, p=float(ord), dim=dims, keepdim=keepdim)


@function(method=True)
def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """Return the p-norm of the flattened input or over dim; "fro" is the 2-norm, "nuc" the sum of singular values.

    Arguments: input (Tensor of floats), p (number, inf, "fro", "nuc"), dim (int, tuple, None for all), keepdim, out,
    dtype (cast to it first).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.norm.html

    >>> import minigrad as mg
    >>> mg.norm(mg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    require_tensor("norm", input)
    if p == "nuc":
        result = _nuclear(input, dim, keepdim, dtype)
    elif isinstance(p, str) and p != "fro":
        raise RuntimeError(f"only the string values 'fro' and 'nuc' are supported for p, but got {p!r}")
    else:
        result = vector_norm(input, 2.0 if p is None or p == "fro" else p, dim, keepdim, dtype=dtype)
    return result if out is None else write_out(out, result, "norm")


def _nuclear(input, dim, keepdim, dtype):
    """Return the sum of the singular values of matrices."""
    if dtype is not None:
        input = cast(input, dtype=as_dtype(dtype).dtype)
    dims = tuple(range(input.array.ndim)) if dim is None else reduced_dims(dim, input.array.ndim)
    if len(dims) != 2:
        raise RuntimeError(f"norm: the nuclear norm needs two dimensions, but got {len(dims)}")
    matrices = FUNCTIONS["movedim"](input, dims, (-2, -1))
    total = sum_op(FUNCTIONS["svd"](matrices)[1], dim=(input.array.ndim - 2,), keepdim=False)
    if not keepdim:
        return total
    for one in sorted(dims):
        total = FUNCTIONS["unsqueeze"](total, one)
    return total


@function(method=True, out=True)
def dist(input, other, p=2):
    """Return the p-norm of input - other; shapes broadcast.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.dist.html

    >>> import minigrad as mg
    >>> mg.dist(mg.tensor([0.0, 0.0]), mg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    require_tensor("dist", input)
    require_tensor("dist", other, "other", 2)
    return vector_norm(input - other, p)


@function(method=True, inplace=True, out=True)
def renorm(input, p, dim, maxnorm):
    """Return input with each slice along dim scaled down so that its p-norm is at most maxnorm.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.renorm.html

    >>> import minigrad as mg
    >>> mg.renorm(mg.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    require_tensor("renorm", input)
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    ndim = input.array.ndim
    if ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {ndim} dimensions")
    kept = reduced_dims(dim, ndim)[0]
    others = tuple(axis for axis in range(ndim) if axis != kept)
    sizes = input.abs() if input.array.dtype.kind == "c" else input
    size = norm_op(sizes, p=float(p), dim=others, keepdim=True)
    factor = maxnorm / (size + 1e-7)
    too_long = size > maxnorm
    return input * (keep_where(factor, too_long) + (~too_long).to(input.dtype))
