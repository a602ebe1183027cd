"""Functions of two or three tensors beyond arithmetic: atan2, hypot, copysign, xlogy, logaddexp, lerp, addcmul, …"""

from minigrad.backend import FLOAT_CODES, asarray_like, np, result_dtype, xp
from minigrad.op import Op
from minigrad.ops.arguments import rounds_once, scales_first
from minigrad.ops.define import alias, binary_function, require_tensor
from minigrad.ops.masked import keep_where, zeroed
from minigrad.ops.power import log_of
from minigrad.ops.unary import exp2_op, exp_op
from minigrad.registry import function
from minigrad.tensor import Tensor


def _module(a, b):
    """Return the array module of two operands, one of which may be a number."""
    return xp(a) if xp(a) is not np else xp(b)


def _xlogy(x, y):
    module = _module(x, y)
    y = y if hasattr(y, "dtype") else asarray_like(y, x)
    out = module.multiply(x, module.log(y))
    return module.where(module.equal(x, 0) & ~module.isnan(y), out.dtype.type(0), out)


def _xlog1py(x, y):
    module = _module(x, y)
    y = y if hasattr(y, "dtype") else asarray_like(y, x)
    out = module.multiply(x, module.log1p(y))
    return module.where(module.equal(x, 0) & ~module.isnan(y), out.dtype.type(0), out)


def _logaddexp(a, b):
    """Return log(exp(a) + exp(b)), of complex numbers from the one of the larger real part."""
    module = _module(a, b)
    if a.dtype.kind != "c":
        return module.logaddexp(a, b)
    lower = a.real < b.real
    high = module.where(lower, b, a)
    both_infinite = module.isinf(high.real) & (a.real == b.real)
    difference = module.where(both_infinite, 0, module.where(lower, a, b) - high)
    sum_of_infinite = module.where(high.real < 0, high, module.log(module.exp(a) + module.exp(b)))
    return module.where(both_infinite, sum_of_infinite, high + module.log1p(module.exp(difference)))


def _heaviside(x, values):
    return _module(x, values).where(x == 0, values, x > 0).astype(x.dtype)  # of NaN: 0, as in PyTorch


def _copysign_gradient(g, a, out):
    return g * keep_where(out / a, a != 0)


flat_start = Op(lambda x, y, *, bound: ~((x == 0) & (y <= bound)), [None, None], name="flat_start")
atan2_op = Op(
    "arctan2",
    [lambda g, a, b: g * b / (a * a + b * b), lambda g, a, b: -g * a / (a * a + b * b)],
    promote="float", name="atan2",
)  # fmt: skip
hypot_op = Op("hypot", [lambda g, a, out: g * (a / out), lambda g, b, out: g * (b / out)], promote="same")
copysign_op = Op("copysign", [_copysign_gradient, lambda g: zeroed(g)], promote="float")
xlogy_op = Op(
    _xlogy,
    [lambda g, x, y: keep_where(g * log_of(y), flat_start(x, y, bound=0)), lambda g, x, y: g * x / y],
    promote="float", broadcast=True,
)  # fmt: skip
xlog1py_op = Op(
    _xlog1py,
    [lambda g, x, y: keep_where(g * log_of(y + 1), flat_start(x, y, bound=-1)), lambda g, x, y: g * x / (y + 1)],
    promote="float", broadcast=True,
)  # fmt: skip
logaddexp_op = Op(
    _logaddexp,
    [lambda g, a, b: g / (exp_op(b - a) + 1), lambda g, a, b: g / (exp_op(a - b) + 1)],
    name="logaddexp", promote="same", broadcast=True,
)  # fmt: skip
logaddexp2_op = Op(
    "logaddexp2", [lambda g, a, b: g / (exp2_op(b - a) + 1), lambda g, a, b: g / (exp2_op(a - b) + 1)], promote="same"
)
heaviside_op = Op(_heaviside, [None, None], broadcast=True)
nextafter_op = Op("nextafter", [lambda g, a, b: keep_where(g, a != b), lambda g: zeroed(g)], promote="same")

for _name, _op, _summary, _a, _b, _result, _options in [
    (
        "atan2",
        atan2_op,
        "Return the angle of (other, input) from the positive axis.",
        1.0,
        1.0,
        "[0.7854]",
        {"tensors_only": True},
    ),
    (
        "hypot",
        hypot_op,
        "Return sqrt(input ** 2 + other ** 2) without overflow.",
        3.0,
        4.0,
        "[5.]",
        {"tensors_only": True},
    ),
    ("copysign", copysign_op, "Return the magnitude of input with the sign of other.", 3.0, -1.0, "[-3.]", {}),
    (
        "xlogy",
        xlogy_op,
        "Return input * log(other), which is 0 where input is 0.",
        2.0,
        1.0,
        "[0.]",
        {"number_first": True},
    ),
    (
        "nextafter",
        nextafter_op,
        "Return the next number after input towards other.",
        1.0,
        1.0,
        "[1.]",
        {"tensors_only": True},
    ),
]:
    binary_function(
        _op, _name, _summary, (f"mg.{_name}(mg.tensor([{_a}]), mg.tensor([{_b}]))", f"tensor({_result})"), **_options
    )
for _name, _op, _summary, _result in [
    ("logaddexp", logaddexp_op, "Return log(exp(input) + exp(other)) without overflow.", "[0.6931]"),
    ("logaddexp2", logaddexp2_op, "Return log2(2 ** input + 2 ** other) without overflow.", "[1.]"),
]:
    binary_function(
        _op, _name, _summary, (f"mg.{_name}(mg.tensor([0.0]), mg.tensor([0.0]))", f"tensor({_result})"),
        inplace=False, tensors_only=True,
    )  # fmt: skip
alias("arctan2", "atan2", inplace=True)


@function(method=True, inplace=True, out=True)
def heaviside(input, values):
    """Return 0 where input < 0, 1 where input > 0 and values where input is 0.

    Arguments: input, values (Tensors of one dtype; shapes broadcast). RuntimeError for two dtypes.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.heaviside.html

    >>> import minigrad as mg
    >>> mg.heaviside(mg.tensor([-1.0, 0.0, 2.0]), mg.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    require_tensor("heaviside", input)
    require_tensor("heaviside", values, "values", 2)
    if input.array.dtype != values.array.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return heaviside_op(input, values)


@function(method=True, inplace=True, out=True)
def ldexp(input, other):
    """Return input * 2 ** other.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ldexp.html

    >>> import minigrad as mg
    >>> mg.ldexp(mg.tensor([1.0]), mg.tensor([3]))
    tensor([8.])
    """
    require_tensor("ldexp", input)
    require_tensor("ldexp", other, "other", 2)
    return input * 2.0**other


# ---------------------------------------------------------------------- three operands
def _lerp(start, end, weight):
    """Return start + weight * (end - start), from the nearer end."""
    near = xp(start).less(weight, 0.5)
    difference = end - start
    return (
        xp(start)
        .where(near, start + weight * difference, end - difference * (1 - weight))
        .astype(start.dtype, copy=False)
    )


lerp_op = Op(
    _lerp,
    [
        lambda g, weight: g * (1 - weight),
        lambda g, weight: g * weight,
        lambda g, start, end: g * (end - start),
    ],
    broadcast=True,
)


@function(method=True, inplace=True, out=True)
@rounds_once
def lerp(input, end, weight):
    """Return input + weight * (end - input).

    Arguments: input, end (Tensors of one float dtype), weight (number or Tensor); shapes broadcast.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.lerp.html

    >>> import minigrad as mg
    >>> mg.lerp(mg.tensor([0.0, 10.0]), mg.tensor([10.0, 20.0]), 0.5)
    tensor([ 5., 15.])
    """
    require_tensor("lerp", input)
    require_tensor("lerp", end, "end", 2)
    for word, value in (("end", end), ("weight", weight)):
        if isinstance(value, Tensor) and value.array.dtype != input.array.dtype:
            raise RuntimeError(f"expected dtype {input.dtype} for `{word}` but got dtype {value.dtype}")
    if input.array.dtype.char not in FLOAT_CODES:
        raise NotImplementedError(f'"lerp_kernel" not implemented for {input.dtype}')
    if not isinstance(weight, (Tensor, int, float, complex if input.array.dtype.kind == "c" else int)):
        raise TypeError(f"lerp(): argument 'weight' must be Tensor or Number, not {type(weight).__name__}")
    return lerp_op(input, end, weight)


@function(method=True, inplace=True, out=True)
@scales_first("value")
@rounds_once
def addcmul(input, tensor1, tensor2, *, value=1):
    """Return input + value * tensor1 * tensor2; shapes broadcast.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.addcmul.html

    >>> import minigrad as mg
    >>> mg.addcmul(mg.tensor([1.0]), mg.tensor([2.0]), mg.tensor([3.0]), value=10)
    tensor([61.])
    """
    require_tensor("addcmul", input)
    require_tensor("addcmul", tensor1, "tensor1", 2)
    require_tensor("addcmul", tensor2, "tensor2", 3)
    common = result_dtype([input.array, tensor1.array, tensor2.array])
    if isinstance(value, float) and common.char not in FLOAT_CODES:
        raise RuntimeError("For integral input tensors, argument value must not be a floating point number.")
    product = tensor1 * tensor2
    return input + (product if value == 1 else product * value)


@function(method=True, inplace=True, out=True)
@scales_first("value")
@rounds_once
def addcdiv(input, tensor1, tensor2, *, value=1):
    """Return input + value * tensor1 / tensor2; shapes broadcast. RuntimeError for integers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.addcdiv.html

    >>> import minigrad as mg
    >>> mg.addcdiv(mg.tensor([1.0]), mg.tensor([6.0]), mg.tensor([3.0]), value=10)
    tensor([21.])
    """
    require_tensor("addcdiv", input)
    require_tensor("addcdiv", tensor1, "tensor1", 2)
    require_tensor("addcdiv", tensor2, "tensor2", 3)
    if tensor1.array.dtype.kind in "biu" and tensor2.array.dtype.kind in "biu":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv will perform a true "
            "division of tensor1 and tensor2. Use floating-point tensors."
        )
    quotient = tensor1 / tensor2
    return input + (quotient if value == 1 else quotient * value)
