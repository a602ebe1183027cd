"""Variance and standard deviation, alone and with the mean; covariance and correlation."""


from minigrad.backend import FLOAT_CODES, np, xp
from minigrad.inplace import write_out
from minigrad.kernels import reduction
from minigrad.op import Op
from minigrad.ops.arguments import as_number, warn_of_call
from minigrad.ops.complex import imag_op, real_op
from minigrad.ops.define import require_tensor
from minigrad.ops.masked import keep_where
from minigrad.ops.power import sqrt_op
from minigrad.ops.reduce import mean_op, reduced_count, reduced_dims, spread
from minigrad.registry import function


def _var(x, *, dim, correction, keepdim):
    wide = x.astype(np.float32) if x.dtype.char == "e" else x
    centre = reduction.average(wide, dim, True) if x.ndim else wide
    deviation = wide - centre
    count = x.size if dim is None else reduced_count(x.shape, dim)
    squares = reduction.total(xp(x).asarray(deviation * deviation), dim, keepdim)
    freedom = max(0, count - correction)
    out = squares / freedom if freedom else xp(x).where(squares == 0, float("nan"), float("inf"))
    return out.astype(x.dtype, copy=False)


def _var_gradient(g, x, dim, correction, keepdim):
    count = reduced_count(x.shape, dim)
    freedom = count - correction
    scale = 2 / freedom if freedom > 0 else float("nan") if count <= 1 else float("inf")
    deviation = x - spread(mean_op(x, dim=dim, keepdim=True), shape=x.shape, dim=dim, keepdim=True)
    return spread(g, shape=x.shape, dim=dim, keepdim=keepdim) * (deviation * scale)


def _std(x, *, dim, correction, keepdim):
    wide = x.astype(np.float32) if x.dtype.char == "e" else x
    return xp(x).sqrt(_var(wide, dim=dim, correction=correction, keepdim=keepdim)).astype(x.dtype, copy=False)


def _std_gradient(g, x, out, dim, correction, keepdim):
    return _var_gradient(keep_where(g / (out * 2), out != 0), x, dim, correction, keepdim)


var_op = Op(_var, [_var_gradient])
std_op = Op(_std, [_std_gradient])


def _complex(input, **given):
    """Return the variance of complex numbers: that of the real parts and that of the imaginary parts."""
    return var_op(real_op(input), **given) + var_op(imag_op(input), **given)


def _arguments(name, input, dim, unbiased, correction, keepdim):
    """Return (dims, correction) of var(input, unbiased), var(input, dim, unbiased) or var(input, dim, correction=)."""
    require_tensor(name, input)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise TypeError(f"{name}() takes unbiased or correction, not both")
        correction = int(unbiased)
    correction = 1 if correction is None else as_number(correction)
    if input.array.dtype.char not in FLOAT_CODES:
        raise RuntimeError(f"{name}: only support floating point and complex dtypes, but got {input.dtype}")
    dims = reduced_dims(dim, input.array.ndim)
    if reduced_count(input.array.shape, dims) - correction <= 0:
        warn_of_call(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            "(input numel divided by output numel)."
        )
    return dims, correction


def _function(name, op, word, with_mean):
    """Register var, std, var_mean or std_mean."""

    def public(input, dim=None, unbiased=None, keepdim=False, *, correction=None, out=None):
        if isinstance(dim, bool) and unbiased is not None:
            raise TypeError(f"{name}() received an invalid combination of arguments: dim is a bool")
        dims, degrees = _arguments(name, input, dim, unbiased, correction, keepdim)
        compute = _complex if input.array.dtype.kind == "c" else op
        result = compute(input, dim=dims, correction=degrees, keepdim=keepdim)
        if compute is _complex and op is std_op:
            result = sqrt_op(result)
        if with_mean:
            result = (result, mean_op(input, dim=dims, keepdim=keepdim))
        return result if out is None else write_out(out, result, name)

    example = "(tensor(2.5000), tensor(3.))" if name == "var_mean" else "tensor(2.5000)"
    if "std" in name:
        example = "(tensor(1.5811), tensor(3.))" if with_mean else "tensor(1.5811)"
    public.__name__ = public.__qualname__ = name
    public.__doc__ = f"""Return the {word}: squared deviations over n - correction{", and the mean" * with_mean}.

    Arguments: input (Tensor of floats), dim (int, tuple of ints, None for all), unbiased (correction 1 or 0), keepdim,
    correction (degrees of freedom subtracted, default 1).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.{name}.html

    >>> import minigrad as mg
    >>> mg.{name}(mg.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    {example}
    """
    function(method=not with_mean, aliases=True)(public)


_function("var", var_op, "variance", False)
_function("std", std_op, "standard deviation", False)
_function("var_mean", var_op, "variance", True)
_function("std_mean", std_op, "standard deviation", True)
