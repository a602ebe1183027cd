"""The arithmetic of two operands: add, sub, mul, div, floor_divide, remainder, fmod; and the products' sums."""

from minigrad.backend import FLOAT_CODES, REAL_CODES, np, xp
from minigrad.inplace import write_out
from minigrad.op import Op
from minigrad.ops.arguments import as_number, old_sum
from minigrad.ops.core import cast
from minigrad.ops.define import alias, binary_function, require_operand, require_tensor
from minigrad.ops.masked import zeroed
from minigrad.registry import function
from minigrad.tensor import Tensor

_NO_BOOL_SUBTRACTION = (
    "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the "
    "`~` or `logical_not()` operator instead."
)


def is_bool(value):
    """Return whether a tensor, array or number is boolean."""
    if isinstance(value, Tensor):
        return value.array.dtype.kind == "b"
    return value.dtype.kind == "b" if hasattr(value, "dtype") else isinstance(value, bool)


def _refuse_bools(a, b):
    if is_bool(a) or is_bool(b):
        raise RuntimeError(_NO_BOOL_SUBTRACTION)


add_op = Op("add", [lambda g: g, lambda g: g], promote="same")
sub_op = Op("subtract", [lambda g: g, lambda g: -g], promote="same", name="sub")
mul_op = Op("multiply", [lambda g, b: g * b, lambda g, a: g * a], promote="same", name="mul")
div_op = Op("true_divide", [lambda g, b: g / b, lambda g, b, out: -g * (out / b)], promote="float", name="div")
sub_op.check = _refuse_bools


# ---------------------------------------------------------------------- division that rounds
def _check_divisor(a, b):
    """RuntimeError for an integer division by zero; NotImplementedError for bools."""
    kinds = {getattr(value, "dtype", np.dtype(type(value))).kind for value in (a, b)}
    if kinds == {"b"}:
        raise NotImplementedError('division with rounding is not implemented for "bool"')
    if kinds <= {"i", "u", "b"} and not xp(b).all(b):
        raise RuntimeError("ZeroDivisionError")


def _floor_divide(a, b):
    _check_divisor(a, b)
    module = xp(a) if xp(a) is not np else xp(b)
    return module.floor_divide(a, b)


def _trunc_divide(a, b):
    _check_divisor(a, b)
    module = xp(a) if xp(a) is not np else xp(b)
    dtype = module.result_type(a, b)
    if dtype.char in REAL_CODES:
        return module.trunc(module.true_divide(a, b))
    quotient = module.floor_divide(a, b)
    inexact = module.not_equal(module.multiply(quotient, b), a)
    return quotient + (inexact & (quotient < 0)).astype(quotient.dtype)


def _remainder(a, b):
    _check_divisor(a, b)
    return (xp(a) if xp(a) is not np else xp(b)).remainder(a, b)


def _fmod(a, b):
    _check_divisor(a, b)
    return (xp(a) if xp(a) is not np else xp(b)).fmod(a, b)


floor_divide_op = Op(
    _floor_divide, [lambda g: zeroed(g), lambda g: zeroed(g)], name="floor_divide", promote="same", broadcast=True
)
trunc_divide_op = Op(
    _trunc_divide, [lambda g: zeroed(g), lambda g: zeroed(g)], name="trunc_divide", promote="same", broadcast=True
)
remainder_op = Op(
    _remainder,
    [lambda g: g, lambda g, a, b: -g * floor_divide_op(a, b)],
    name="remainder",
    promote="same",
    broadcast=True,
)
fmod_op = Op(
    _fmod, [lambda g: g, lambda g, a, b: -g * trunc_divide_op(a, b)], name="fmod", promote="same", broadcast=True
)


# ---------------------------------------------------------------------- public functions
def _scaled(name, input, other, alpha):
    """Return both operands in their common dtype, the second one times alpha."""
    alpha = as_number(alpha)
    if not isinstance(alpha, (bool, int, float, complex)):
        raise TypeError(f"{name}(): argument 'alpha' must be Number, not {type(alpha).__name__}")
    total = add_op(input, other)
    if is_bool(alpha) and not is_bool(total):
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and total.array.dtype.char not in FLOAT_CODES:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(other, Tensor) and other.array.dtype != total.array.dtype:
        other = cast(other, dtype=total.array.dtype)
    return input, other * alpha


def _operands(name, input, other):
    """TypeError unless both are tensors or numbers; two numbers become tensors."""
    require_operand(name, input, "input", 1)
    require_operand(name, other, "other", 2)
    if isinstance(input, Tensor) or isinstance(other, Tensor):
        return input, other
    from minigrad.registry import FUNCTIONS

    return FUNCTIONS["tensor"](input), FUNCTIONS["tensor"](other)


@function(method=True, inplace=True)
def add(input, other, *old_order, alpha=1, out=None):
    """Return input + alpha * other.

    Arguments: input, other (Tensor or number; shapes broadcast, dtypes are promoted), alpha (number), out (Tensor the
    result is written to). RuntimeError for shapes that can't be broadcast, a fractional alpha for integers.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.add.html

    >>> import minigrad as mg
    >>> mg.add(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]), alpha=10)
    tensor([31., 42.])
    """
    if old_order:
        other, alpha = old_sum("add", other, old_order)
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        input, other = _operands("add", input, other)
    if alpha is not True and alpha != 1 or isinstance(alpha, bool):
        input, other = _scaled("add", input, other, alpha)
    result = add_op.call(input, other)
    return result if out is None else write_out(out, result, "add")


@function(method=True, inplace=True)
def sub(input, other, *old_order, alpha=1, out=None):
    """Return input - alpha * other; arguments as for add. RuntimeError also for bool operands.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sub.html

    >>> import minigrad as mg
    >>> mg.sub(mg.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    if old_order:
        other, alpha = old_sum("sub", other, old_order)
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        input, other = _operands("sub", input, other)
    if alpha is not True and alpha != 1 or isinstance(alpha, bool):
        _refuse_bools(input, other)
        input, other = _scaled("sub", input, other, alpha)
    result = sub_op.call(input, other)
    return result if out is None else write_out(out, result, "sub")


@function()
def rsub(input, other, *, alpha=1):
    """Return other - alpha * input.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sub.html

    >>> import minigrad as mg
    >>> mg.rsub(mg.tensor([1.0, 2.0]), 5)
    tensor([4., 3.])
    """
    require_tensor("rsub", input)
    return sub(other, input, alpha=alpha)


@function(method=True, inplace=True)
def mul(input, other, *, out=None):
    """Return input * other, elementwise.

    Arguments: input, other (Tensor or number; shapes broadcast, dtypes are promoted), out (Tensor the result is
    written to). RuntimeError for shapes that can't be broadcast.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.mul.html

    >>> import minigrad as mg
    >>> mg.mul(mg.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        input, other = _operands("mul", input, other)
    result = mul_op.call(input, other)
    return result if out is None else write_out(out, result, "mul")


_DIVISIONS = {None: div_op, "floor": floor_divide_op, "trunc": trunc_divide_op}


@function(method=True, inplace=True)
def div(input, other, *, rounding_mode=None, out=None):
    """Return input / other: exact (integers become floats), or rounded towards -inf ("floor") or zero ("trunc").

    Arguments: input, other (Tensor or number; shapes broadcast), rounding_mode (None, "floor", "trunc"), out.
    RuntimeError for another mode, for shapes that do not fit and for an integer division by zero that rounds.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.div.html

    >>> import minigrad as mg
    >>> mg.div(mg.tensor([-7, 7]), 2, rounding_mode="trunc")
    tensor([-3,  3])
    """
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        input, other = _operands("div", input, other)
    if rounding_mode not in _DIVISIONS:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    result = _DIVISIONS[rounding_mode].call(input, other)
    return result if out is None else write_out(out, result, "div")


@function(method=True, inplace=True)
def floor_divide(input, other, *, out=None):
    """Return input / other rounded towards -inf.

    Arguments: input, other (Tensor or number; shapes broadcast, dtypes are promoted), out (Tensor the result is written
    to). RuntimeError for shapes that do not fit and for an integer division by zero.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.floor_divide.html

    >>> import minigrad as mg
    >>> mg.floor_divide(mg.tensor([-7, 7]), 2)
    tensor([-4,  3])
    """
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        input, other = _operands("floor_divide", input, other)
    result = floor_divide_op.call(input, other)
    return result if out is None else write_out(out, result, "floor_divide")


binary_function(
    remainder_op, "remainder", "Return input - other * floor(input / other): Python's %, with the divisor's sign.",
    ("mg.remainder(mg.tensor([-3.0, 3.0]), 2)", "tensor([1., 1.])"), number_first=True,
)  # fmt: skip
binary_function(
    fmod_op, "fmod", "Return input - other * trunc(input / other): C's fmod, with the dividend's sign.",
    ("mg.fmod(mg.tensor([-3.0, 3.0]), 2)", "tensor([-1.,  1.])"),
)  # fmt: skip
alias("subtract", "sub", inplace=True)
alias("multiply", "mul", inplace=True)
alias("divide", "div", inplace=True)
alias("true_divide", "div", inplace=True)
