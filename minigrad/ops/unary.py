"""Elementwise functions of one tensor: exponentials, logarithms, trigonometry, signs and rounding."""

import math

from minigrad.backend import REAL_CODES, np, xp
from minigrad.inplace import assign, write_out
from minigrad.kernels import activation as kernels
from minigrad.op import Op
from minigrad.ops.complex import conj_op, real_op
from minigrad.ops.define import alias, require_tensor, unary_function
from minigrad.ops.masked import keep_where, zeroed
from minigrad.ops.power import log_op, rsqrt_op
from minigrad.ops.results import named_result
from minigrad.registry import function
from minigrad.tensor import Tensor, wrap


def _sigmoid_gradient(g, out):
    if type(g) is np.ndarray or isinstance(g, Tensor):
        return g * ((1 - out) * out)
    fused = kernels.gradient("sigmoid", g, out)
    return g * ((1 - out) * out) if fused is None else fused


def _tanh_gradient(g, out):
    if type(g) is np.ndarray or isinstance(g, Tensor):
        return g * (1 - out * out)
    fused = kernels.gradient("tanh", g, out)
    return g * (1 - out * out) if fused is None else fused


# ---------------------------------------------------------------------- exponentials and logarithms
exp_op = Op("exp", [lambda g, out: g * out], promote="float")
exp2_op = Op("exp2", [lambda g, out: g * (out * math.log(2))], promote="float")
expm1_op = Op("expm1", [lambda g, out: g * (out + 1)], promote="float")
log2_op = Op("log2", [lambda g, x: g / (x * math.log(2))], promote="float")
log10_op = Op("log10", [lambda g, x: g / (x * math.log(10))], promote="float")
log1p_op = Op("log1p", [lambda g, x: g / (x + 1)], promote="float")

# ---------------------------------------------------------------------- trigonometry
sin_op = Op("sin", [lambda g, x: g * cos_op(x)], promote="float")
cos_op = Op("cos", [lambda g, x: -g * sin_op(x)], promote="float")
tan_op = Op("tan", [lambda g, out: g * (out * out + 1)], promote="float")
asin_op = Op("arcsin", [lambda g, x: g * rsqrt_op(1 - x * x)], promote="float", name="asin")
acos_op = Op("arccos", [lambda g, x: -g * rsqrt_op(1 - x * x)], promote="float", name="acos")
atan_op = Op("arctan", [lambda g, x: g / (x * x + 1)], promote="float", name="atan")
sinh_op = Op("sinh", [lambda g, x: g * cosh_op(x)], promote="float")
cosh_op = Op("cosh", [lambda g, x: g * sinh_op(x)], promote="float")
tanh_op = Op("tanh", [_tanh_gradient], promote="float")
asinh_op = Op("arcsinh", [lambda g, x: g * rsqrt_op(x * x + 1)], promote="float", name="asinh")
acosh_op = Op("arccosh", [lambda g, x: g * rsqrt_op(x * x - 1)], promote="float", name="acosh")
atanh_op = Op("arctanh", [lambda g, x: g / (1 - x * x)], promote="float", name="atanh")


# ---------------------------------------------------------------------- signs and rounding: piecewise linear
def _refuse_bool(name):
    """Return a forward that runs a ufunc and refuses bools."""

    def forward(x):
        if x.dtype.kind == "b":
            raise NotImplementedError(f'"{name}" not implemented for bool')
        return getattr(xp(x), name)(x)

    forward.__name__ = name
    return forward


def _rounding(name):
    """Return a forward that rounds floats with a ufunc and copies integers."""

    def forward(x):
        if x.dtype.kind == "b":
            raise NotImplementedError(f'"{name}" not implemented for bool')
        return x.copy() if x.dtype.kind in "iu" else getattr(xp(x), name)(x)

    return forward


def _sign(x):
    """Return -1, 0 or 1; 0 for NaN, as PyTorch has it."""
    module = xp(x)
    if x.dtype.kind == "b":
        return x.copy()
    if x.dtype.char in REAL_CODES:
        return (x > 0).astype(x.dtype) - (x < 0)
    return module.sign(x)


def _frac(x):
    if x.dtype.char not in REAL_CODES:
        raise NotImplementedError(f'"frac" not implemented for {x.dtype}')
    return x - xp(x).trunc(x)


def _round(x, *, decimals):
    if x.dtype.kind == "b":
        raise NotImplementedError('"round" not implemented for bool')
    if x.dtype.kind in "iu":
        if decimals:
            raise NotImplementedError("round with decimals is not implemented for integers")
        return x.copy()
    return xp(x).rint(x) if decimals == 0 else xp(x).round(x, decimals).astype(x.dtype, copy=False)


def _sign_gradient(g):
    """Return zeros; NotImplementedError for complex numbers, whose sign is not piecewise constant: sgn has it."""
    if (g.array if isinstance(g, Tensor) else g).dtype.kind == "c":
        raise NotImplementedError("sign: the derivative of the sign of complex numbers is not supported; use sgn")
    return zeroed(g)


def _abs_gradient(g, x):
    return g * sgn(x)


def _phase_gradient(g, x, out):
    """For y = z / |z|: (g - y Re(conj(y) g)) / |z|; the engine gives the conjugates of z and y."""
    size = abs_op(x)
    return keep_where((g - conj_op(out) * real_op(out * g)) / size, size != 0)


def sgn(x):
    """Return the sign of real numbers, and z / |z| of complex ones, 0 at 0."""
    return (phase_op if (x.array if isinstance(x, Tensor) else x).dtype.kind == "c" else sign_op)(x)


neg_op = Op("negative", [lambda g: -g], promote="same", name="neg")
abs_op = Op(_refuse_bool("abs"), [_abs_gradient], name="abs")
sign_op = Op(_sign, [_sign_gradient])
phase_op = Op(_sign, [_phase_gradient], name="phase")  # of complex numbers
ceil_op = Op(_rounding("ceil"), [lambda g: zeroed(g)], name="ceil")
floor_op = Op(_rounding("floor"), [lambda g: zeroed(g)], name="floor")
trunc_op = Op(_rounding("trunc"), [lambda g: zeroed(g)], name="trunc")
frac_op = Op(_frac, [lambda g: g])
round_op = Op(_round, [lambda g: zeroed(g)])
deg2rad_op = Op(lambda x: x * (math.pi / 180), [lambda g: g * (math.pi / 180)], name="deg2rad", promote="float")
rad2deg_op = Op(lambda x: x * (180 / math.pi), [lambda g: g * (180 / math.pi)], name="rad2deg", promote="float")


def _sinc(x):
    module = xp(x)
    angle = x * math.pi
    return module.where(angle == 0, module.ones((), x.dtype), module.sin(angle) / angle)


def _sinc_gradient(g, x):
    angle = x * math.pi
    slope = (angle * cos_op(angle) - sin_op(angle)) / (x * x * math.pi)
    return keep_where(g * slope, x != 0)


sinc_op = Op(_sinc, [_sinc_gradient], promote="float")


# ---------------------------------------------------------------------- logistic functions
sigmoid_op = Op(kernels.sigmoid, [_sigmoid_gradient], promote="float")


def _logit(x, *, eps):
    module = xp(x)
    clipped = x if eps is None else module.clip(x, eps, 1 - eps)
    return module.log(clipped / (1 - clipped))


def _logit_gradient(g, x, eps):
    slope = g / (x * (1 - x))
    return slope if eps is None else keep_where(slope, inside_op(x, low=eps, high=1 - eps))


inside_op = Op(lambda x, *, low, high: (x >= low) & (x <= high), [None], name="inside")
logit_op = Op(_logit, [_logit_gradient], promote="float")


# ---------------------------------------------------------------------- public functions: name, op, summary, example
_TABLE = [
    ("exp", exp_op, "Return e ** input.", "[0.0, 1.0]", "[1.0000, 2.7183]"),
    ("exp2", exp2_op, "Return 2 ** input.", "[0.0, 3.0]", "[1., 8.]"),
    ("expm1", expm1_op, "Return e ** input - 1, exact near zero.", "[0.0, 1.0]", "[0.0000, 1.7183]"),
    ("log", log_op, "Return the natural logarithm.", "[1.0, 10.0]", "[0.0000, 2.3026]"),
    ("log2", log2_op, "Return the logarithm to base 2.", "[1.0, 8.0]", "[0., 3.]"),
    ("log10", log10_op, "Return the logarithm to base 10.", "[2.0, 50.0]", "[0.3010, 1.6990]"),
    ("log1p", log1p_op, "Return log(1 + input), exact near zero.", "[0.0, 1.0]", "[0.0000, 0.6931]"),
    ("sin", sin_op, "Return the sine of angles in radians.", "[0.0, 1.0]", "[0.0000, 0.8415]"),
    ("cos", cos_op, "Return the cosine of angles in radians.", "[0.0, 1.0]", "[1.0000, 0.5403]"),
    ("tan", tan_op, "Return the tangent of angles in radians.", "[0.0, 1.0]", "[0.0000, 1.5574]"),
    ("asin", asin_op, "Return the inverse sine in radians.", "[0.0, 1.0]", "[0.0000, 1.5708]"),
    ("acos", acos_op, "Return the inverse cosine in radians.", "[0.0, 1.0]", "[1.5708, 0.0000]"),
    ("atan", atan_op, "Return the inverse tangent in radians.", "[0.0, 1.0]", "[0.0000, 0.7854]"),
    ("sinh", sinh_op, "Return the hyperbolic sine.", "[0.0, 1.0]", "[0.0000, 1.1752]"),
    ("cosh", cosh_op, "Return the hyperbolic cosine.", "[0.0, 1.0]", "[1.0000, 1.5431]"),
    ("tanh", tanh_op, "Return the hyperbolic tangent.", "[0.0, 1.0]", "[0.0000, 0.7616]"),
    ("asinh", asinh_op, "Return the inverse hyperbolic sine.", "[0.0, 1.0]", "[0.0000, 0.8814]"),
    ("acosh", acosh_op, "Return the inverse hyperbolic cosine.", "[1.0, 2.0]", "[0.0000, 1.3170]"),
    ("atanh", atanh_op, "Return the inverse hyperbolic tangent.", "[0.0, 0.5]", "[0.0000, 0.5493]"),
    ("sinc", sinc_op, "Return sin(pi x) / (pi x), which is 1 at zero.", "[0.0, 0.5]", "[1.0000, 0.6366]"),
    ("sigmoid", sigmoid_op, "Return 1 / (1 + exp(-input)).", "[0.0, 1.0]", "[0.5000, 0.7311]"),
    ("neg", neg_op, "Return -input.", "[1.0, -2.0]", "[-1.,  2.]"),
    ("abs", abs_op, "Return the absolute value.", "[1.0, -2.0]", "[1., 2.]"),
    ("sign", sign_op, "Return -1, 0 or 1: the sign (0 for NaN).", "[3.0, 0.0, -2.0]", "[ 1.,  0., -1.]"),
    ("sgn", sgn, "Return -1, 0 or 1; of complex numbers z / |z|, 0 at 0.", "[2.0, -0.5]", "[ 1., -1.]"),
    ("ceil", ceil_op, "Return the least integer not below each element.", "[0.5, -0.5]", "[1., -0.]"),
    ("floor", floor_op, "Return the greatest integer not above each element.", "[0.5, -0.5]", "[ 0., -1.]"),
    ("trunc", trunc_op, "Return the integer part.", "[1.5, -1.5]", "[ 1., -1.]"),
    ("frac", frac_op, "Return the fractional part, with the sign of the input.", "[1.5, -1.5]", "[ 0.5000, -0.5000]"),
    ("deg2rad", deg2rad_op, "Return angles in radians for angles in degrees.", "[0.0, 180.0]", "[0.0000, 3.1416]"),
    ("rad2deg", rad2deg_op, "Return angles in degrees for angles in radians.", "[0.0, 1.0]", "[ 0.0000, 57.2958]"),
]
for _name, _op, _summary, _input, _result in _TABLE:
    unary_function(_op, _name, _summary, (f"mg.{_name}(mg.tensor({_input}))", f"tensor({_result})"))
for _name, _original in [
    ("arcsin", "asin"), ("arccos", "acos"), ("arctan", "atan"), ("arcsinh", "asinh"), ("arccosh", "acosh"),
    ("arctanh", "atanh"), ("negative", "neg"), ("absolute", "abs"), ("fix", "trunc"),
]:  # fmt: skip
    alias(_name, _original, inplace=True)


@function(method=True, name="abs_")
def _abs_in_place(input):
    """In-place variant of abs: writes the result into this tensor and returns it; RuntimeError for complex ones.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.abs_.html

    >>> import minigrad as mg
    >>> mg.tensor([-1.0]).abs_()
    tensor([1.])
    """
    require_tensor("abs_", input)
    if input.array.dtype.kind == "c":
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return assign(input, abs_op(input), "abs_")


alias("absolute_", "abs_")


@function(method=True)
def positive(input):
    """Return input itself; RuntimeError for bools.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.positive.html

    >>> import minigrad as mg
    >>> mg.positive(mg.tensor([-1.0]))
    tensor([-1.])
    """
    require_tensor("positive", input)
    if input.array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@function(method=True, inplace=True)
def round(input, *, decimals=0, out=None):
    """Return each element rounded to a number of decimals, halves to even.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.round.html

    >>> import minigrad as mg
    >>> mg.round(mg.tensor([0.5, 1.5, 2.4]))
    tensor([0., 2., 2.])
    """
    require_tensor("round", input)
    result = round_op(input, decimals=decimals)
    return result if out is None else write_out(out, result, "round")


@function(method=True, inplace=True)
def logit(input, eps=None, *, out=None):
    """Return log(x / (1 - x)), the inverse of sigmoid; with eps, x is clipped to [eps, 1 - eps] first.

    Source: https://docs.pytorch.org/docs/stable/special.html#torch.special.logit

    >>> import minigrad as mg
    >>> mg.logit(mg.tensor([0.5, 0.75]))
    tensor([0.0000, 1.0986])
    """
    require_tensor("logit", input)
    result = logit_op(input, eps=eps)
    return result if out is None else write_out(out, result, "logit")


# ---------------------------------------------------------------------- mantissa and exponent
def _exponent(x):
    """Return e of x = m 2^e with 1/2 <= |m| < 1; 0 for zero, infinity and NaN."""
    return xp(x).where(xp(x).isfinite(x), xp(x).frexp(x)[1], 0).astype(np.int32)


scale_of = Op(lambda x: xp(x).exp2(-_exponent(x).astype(x.dtype)), [None], name="scale_of")
mantissa_op = Op(lambda x: xp(x).frexp(x)[0], [lambda g, x: g * scale_of(x)], name="mantissa")
Frexp = named_result("frexp", ("mantissa", "exponent"))


@function(method=True, out=True)
def frexp(input):
    """Return (mantissa, exponent) with input = mantissa 2^exponent, 1/2 <= |mantissa| < 1 and an int32 exponent.

    RuntimeError unless the input holds real floats.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.frexp.html

    >>> import minigrad as mg
    >>> mg.frexp(mg.tensor([3.0])).exponent
    tensor([2], dtype=minigrad.int32)
    """
    require_tensor("frexp", input)
    if input.array.dtype.char not in REAL_CODES:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return Frexp(mantissa_op(input), wrap(_exponent(input.array)))
