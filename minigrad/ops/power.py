"""Powers: pow in all its forms, square, sqrt, rsqrt, reciprocal."""

from minigrad.backend import np, storable, xp
from minigrad.inplace import assign, write_out
from minigrad.op import Op
from minigrad.ops.core import cast
from minigrad.ops.define import require_operand, unary_function
from minigrad.ops.masked import keep_where, logical_complement, zeroed
from minigrad.registry import function
from minigrad.tensor import Tensor


def _integer_power(base, exponent):
    """Return base ** exponent for integers: a negative exponent gives 1 / base rounded to zero, as in PyTorch."""
    module = xp(base) if xp(base) is not np else xp(exponent)
    negative = exponent < 0
    if not module.any(negative):
        return module.power(base, exponent)
    power = module.power(base, module.where(negative, 0, exponent))
    odd = module.where(module.remainder(exponent, 2) == 0, 1, base)
    reciprocal = module.where(base == 1, 1, module.where(base == -1, odd, 0))
    return module.where(negative, reciprocal, power).astype(power.dtype)


def _power(base, exponent):
    module = xp(base) if xp(base) is not np else xp(exponent)
    kinds = {getattr(value, "dtype", np.dtype(type(value))).kind for value in (base, exponent)}
    if kinds == {"b"}:
        raise NotImplementedError('"pow" not implemented for bool')
    if kinds <= {"i", "u", "b"}:
        return _integer_power(base, exponent)
    return module.power(base, exponent)


# Exponents that are cheaper, and as exact, without pow; multiplications beat it twenty times.
_CHEAP = {
    0.5: lambda module, x: module.sqrt(x),
    1.0: lambda module, x: module.positive(x),
    2.0: lambda module, x: module.multiply(x, x),
    3.0: lambda module, x: module.multiply(module.multiply(x, x), x),
    -0.5: lambda module, x: module.reciprocal(module.sqrt(x)),
    -1.0: lambda module, x: module.reciprocal(x),
    -2.0: lambda module, x: module.reciprocal(module.multiply(x, x)),
}


def _power_scalar(x, *, exponent):
    module = xp(x)
    if x.dtype.kind in "iub":
        return module.power(x, storable(exponent, x.dtype) if isinstance(exponent, int) else exponent)
    cheap = None if exponent == 3 and x.dtype.char == "e" else _CHEAP.get(exponent)
    return module.power(x, exponent) if cheap is None else cheap(module, x)


def _power_scalar_gradient(g, x, exponent):
    if exponent == 0:
        return zeroed(g)
    if exponent == 1:
        return g
    if exponent == 2:
        return g * (x * 2)
    return g * (power_scalar(x, exponent=exponent - 1) * exponent)


def _power_base_gradient(g, base, exponent):
    return keep_where(g * (exponent * power_op(base, exponent - 1)), exponent != 0)


def log_of(value):
    """Return the logarithm of a tensor, or of a number as a Python number (NumPy's would widen float32)."""
    return float(np.log(value)) if isinstance(value, (int, float)) else log_op(value)


def _power_exponent_gradient(g, base, exponent, out):
    flat = logical_and_op(base == 0, exponent >= 0)
    return keep_where(g * (out * log_of(base)), logical_complement(flat))


def _square(x):
    return x.astype(np.int64) if x.dtype.kind == "b" else x * x


power_scalar = Op(_power_scalar, [_power_scalar_gradient])
power_op = Op(_power, [_power_base_gradient, _power_exponent_gradient], name="pow", promote="same", broadcast=True)
logical_and_op = Op(lambda a, b: (xp(a) if xp(a) is not np else xp(b)).logical_and(a, b), [None, None], name="both")
log_op = Op("log", [lambda g, x: g / x], promote="float")
square_op = Op(_square, [lambda g, x: g * (x * 2)], name="square")
sqrt_op = Op("sqrt", [lambda g, out: g / (out * 2)], promote="float")
reciprocal_op = Op("reciprocal", [lambda g, out: -g * (out * out)], promote="float")


def _rsqrt(x):
    module = xp(x)
    return module.reciprocal(module.sqrt(x))


rsqrt_op = Op(_rsqrt, [lambda g, out: g * (out * out * out) * -0.5], promote="float")


def _to_scalar_power(base, exponent):
    """Return tensor ** number."""
    kind = base.array.dtype.kind
    if kind in "iub":
        if isinstance(exponent, (float, complex)):
            return power_op(base, exponent)
        if exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        if kind == "b":
            return power_op(base, exponent)
    return power_scalar(base, exponent=exponent)


@function(method=True, inplace=True)
def pow(input, exponent, *, out=None):
    """Return input ** exponent, elementwise.

    Arguments: input, exponent (Tensor or number, not both numbers; shapes broadcast), out. RuntimeError for an integer
    tensor to a negative integer number and for shapes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.pow.html

    >>> import minigrad as mg
    >>> mg.pow(mg.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if isinstance(input, Tensor) and type(exponent) in (int, float):
        result = _to_scalar_power(input, exponent)
    else:
        require_operand("pow", input, "input", 1)
        require_operand("pow", exponent, "exponent", 2)
        if not isinstance(input, Tensor) and not isinstance(exponent, Tensor):
            raise TypeError("pow(): argument 'input' (position 1) must be Tensor, not " + type(input).__name__)
        result = power_op(input, exponent)
    return result if out is None else write_out(out, result, "pow")


@function(method=True)
def float_power(input, exponent, *, out=None):
    """Return input ** exponent computed in float64 (or complex128) whatever the inputs' dtypes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.float_power.html

    >>> import minigrad as mg
    >>> mg.float_power(mg.tensor([2, 4]), -1)
    tensor([0.5000, 0.2500], dtype=minigrad.float64)
    """
    values = [value.array if isinstance(value, Tensor) else value for value in (input, exponent)]
    double = np.dtype(np.complex128 if any(np.iscomplexobj(value) for value in values) else np.float64)
    operands = [cast(value, dtype=double) if isinstance(value, Tensor) else value for value in (input, exponent)]
    operands = [float(value) if isinstance(value, (bool, int)) else value for value in operands]
    return pow(*operands, out=out)


@function(method=True, public=False)
def float_power_(self, exponent):
    """In-place variant of float_power. RuntimeError unless this tensor is float64.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.float_power_.html

    >>> import minigrad as mg
    >>> mg.tensor([1.0, 2.0], dtype=mg.float64).float_power_(2)
    tensor([1., 4.], dtype=minigrad.float64)
    """
    result = float_power(self, exponent)
    if self.array.dtype != result.array.dtype:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self.dtype} but the operation's result requires dtype "
            f"{result.dtype}"
        )
    return assign(self, result, "float_power_")


unary_function(square_op, "square", "Return input * input.", ("mg.square(mg.tensor([-2.0, 3.0]))", "tensor([4., 9.])"))
unary_function(sqrt_op, "sqrt", "Return the square root.", ("mg.sqrt(mg.tensor([4.0, 9.0]))", "tensor([2., 3.])"))
unary_function(
    rsqrt_op, "rsqrt", "Return 1 / sqrt(input).", ("mg.rsqrt(mg.tensor([4.0, 16.0]))", "tensor([0.5000, 0.2500])")
)
unary_function(
    reciprocal_op,
    "reciprocal",
    "Return 1 / input.",
    ("mg.reciprocal(mg.tensor([4.0, 2.0]))", "tensor([0.2500, 0.5000])"),
)
