"""Cases of elementwise functions of one, two or three tensors."""

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case

NAN, INF = float("nan"), float("inf")


def op(name, **params):
    """Return the registered op as a function of tensors."""
    return lambda *tensors: OPS[name](*tensors, **params)


def unary(name, low, high, reference, **options):
    """Return the cases of a function of one tensor: a matrix, a 0-d and an empty one."""
    function = getattr(mg, name)
    return [case(function, shape, domain=(low, high), reference=reference, **options) for shape in [(2, 3), (), (2, 0)]]


def binary(name, reference, domain=(-2.0, 2.0), **options):
    """Return the cases of a function of two tensors: equal shapes, broadcast ones, 0-d and empty ones."""
    function = getattr(mg, name)
    shapes = [((2, 3), (2, 3)), ((2, 1), (4, 1, 3)), ((), (2,)), ((2, 0), (1,))]
    return [case(function, *pair, domain=domain, reference=reference, **options) for pair in shapes]


def spoiled(function, *values):
    """Return a function of x that first sets x's first elements to special values, one per value."""

    def run(x):
        mask = mg.arange(x.numel()).reshape(x.shape)
        for position, value in enumerate(values):
            x = mg.where(mask == position, mg.full((), value, dtype=x.dtype), x)
        return function(x)

    return run


UNARY = {
    "exp": unary("exp", -2, 2, np.exp),
    "exp2": unary("exp2", -2, 2, np.exp2),
    "expm1": unary("expm1", -2, 2, np.expm1),
    "log": unary("log", 0.2, 3, np.log),
    "log2": unary("log2", 0.2, 3, np.log2),
    "log10": unary("log10", 0.2, 3, np.log10),
    "log1p": unary("log1p", -0.8, 2, np.log1p),
    "sin": unary("sin", -3, 3, np.sin),
    "cos": unary("cos", -3, 3, np.cos),
    "tan": unary("tan", -1.2, 1.2, np.tan),
    "asin": unary("asin", -0.9, 0.9, np.arcsin),
    "acos": unary("acos", -0.9, 0.9, np.arccos),
    "atan": unary("atan", -2, 2, np.arctan),
    "sinh": unary("sinh", -2, 2, np.sinh),
    "cosh": unary("cosh", -2, 2, np.cosh),
    "tanh": unary("tanh", -2, 2, np.tanh),
    "asinh": unary("asinh", -2, 2, np.arcsinh),
    "acosh": unary("acosh", 1.2, 3, np.arccosh),
    "atanh": unary("atanh", -0.9, 0.9, np.arctanh),
    "neg": unary("neg", -2, 2, np.negative),
    "abs": unary("abs", -2, 2, np.abs, distinct=True),
    "sign": unary("sign", 0.2, 2, np.sign) + [case(mg.sgn, (5,), dtype="int64", domain=(-3, 3), reference=np.sign)],
    "ceil": unary("ceil", 0.1, 0.9, np.ceil),
    "floor": unary("floor", -0.9, -0.1, np.floor),
    "trunc": unary("trunc", 1.1, 1.9, np.trunc),
    "frac": unary("frac", 1.1, 1.9, lambda x: x - np.trunc(x)),
    "round": [
        case(mg.round, (2, 3), domain=(0.6, 1.4), reference=np.round),
        case(lambda x: mg.round(x, decimals=2), (4,), order=0, reference=lambda x: np.round(x, 2)),
        case(lambda x: mg.round(x, decimals=-1), (4,), domain=(-40, 40), order=0, reference=lambda x: np.round(x, -1)),
    ],
    "deg2rad": unary("deg2rad", -90, 90, np.deg2rad),
    "rad2deg": unary("rad2deg", -3, 3, np.rad2deg),
    "sinc": unary("sinc", 0.2, 2, np.sinc),
    "sigmoid": unary("sigmoid", -3, 3, lambda x: 1 / (1 + np.exp(-x))),
    "logit": [
        *unary("logit", 0.1, 0.9, lambda x: np.log(x / (1 - x))),
        case(lambda x: mg.logit(x, eps=0.3), (3, 4), domain=(0.01, 0.99)),
    ],
    "inside": [case(op("inside", low=-1, high=1), (6,), order=0, reference=lambda x: (x >= -1) & (x <= 1))],
}

POWERS = {
    "sqrt": unary("sqrt", 0.2, 3, np.sqrt),
    "rsqrt": unary("rsqrt", 0.2, 3, lambda x: 1 / np.sqrt(x)),
    "reciprocal": unary("reciprocal", 0.3, 2, np.reciprocal),
    "square": unary("square", -2, 2, np.square),
    "power_scalar": [
        *(
            case(lambda x, p=p: x**p, (2, 3), domain=(0.3, 2), reference=lambda x, p=p: x**p)
            for p in (-2, -1, -0.5, 0, 0.5, 1, 1.7, 2, 3, 4)
        ),
        case(lambda x: x**3, (4,), domain=(-2, -0.5), reference=lambda x: x**3),
        case(lambda x: x**3, (4,), dtype="int64", domain=(-5, 5), reference=lambda x: x**3),
    ],
    "pow": [
        *binary("pow", np.power, domain=(0.3, 2)),
        case(lambda p: mg.pow(2.5, p), (4,), reference=lambda p: 2.5**p),
        case(
            lambda x: mg.pow(x, mg.tensor([0, 1, 2, 3])), (4,), domain=(-2, -0.5), reference=lambda x: x ** np.arange(4)
        ),
        case(lambda a, b: mg.pow(a, b), (4,), (4,), dtype="int64", domain=(2, 5), reference=np.power),
    ],
    "both": [case(op("both"), (4,), (3, 1), dtype="bool", domain=(-1, 1), reference=np.logical_and)],
}

ARITHMETIC = {
    "add": [
        *binary("add", np.add),
        case(lambda a, b: mg.add(a, b, alpha=-0.5), (2, 3), (3,), reference=lambda a, b: a - 0.5 * b),
        case(lambda a: 1 + a + a, (3,), reference=lambda a: 1 + 2 * a),
    ],
    "sub": [
        *binary("sub", np.subtract),
        case(lambda a, b: mg.sub(a, b, alpha=3), (2, 3), (3,), reference=lambda a, b: a - 3 * b),
        case(lambda a: mg.rsub(a, 2.0), (3,), reference=lambda a: 2 - a),
    ],
    "mul": [
        *binary("mul", np.multiply),
        case(lambda a: a * a * a, (3,), reference=lambda a: a**3),
        case(lambda a, b, c: mg.addcmul(a, b, c, value=0.5), (3,), (2, 1), (), reference=lambda a, b, c: a + b * c / 2),
    ],
    "div": [
        *binary("div", np.divide, domain=(0.5, 2)),
        case(lambda a: 2 / a, (3,), domain=(0.5, 2), reference=lambda a: 2 / a),
        case(
            lambda a, b, c: mg.addcdiv(a, b, c, value=2),
            (3,),
            (2, 1),
            (),
            domain=(0.5, 2),
            reference=lambda a, b, c: a + 2 * b / c,
        ),
    ],
    "floor_divide": [
        *binary("floor_divide", np.floor_divide, domain=(0.55, 0.95)),
        case(mg.floor_divide, (8,), (), dtype="int64", domain=(-9, -2), reference=np.floor_divide),
    ],
    "trunc_divide": [
        case(
            lambda a, b: mg.div(a, b, rounding_mode="trunc"),
            (2, 3),
            (3,),
            domain=(0.55, 0.95),
            reference=lambda a, b: np.trunc(a / b),
        ),
        case(
            lambda a, b: mg.div(a - 20, b, rounding_mode="trunc"),
            (8,),
            (),
            dtype="int64",
            domain=(2, 40),
            reference=lambda a, b: np.trunc((a - 20) / b),
        ),
    ],
    "remainder": [
        *binary("remainder", np.remainder, domain=(0.55, 0.95)),
        case(
            lambda a, b: mg.remainder(-a * 3.3, b),
            (2, 3),
            (3,),
            domain=(1.1, 1.2),
            reference=lambda a, b: np.remainder(-a * 3.3, b),
        ),
        case(mg.remainder, (8,), (), dtype="int64", domain=(-9, -2), reference=np.remainder),
    ],
    "fmod": [
        *binary("fmod", np.fmod, domain=(0.55, 0.95)),
        case(
            lambda a, b: mg.fmod(-a * 3.3, b),
            (2, 3),
            (3,),
            domain=(1.1, 1.2),
            reference=lambda a, b: np.fmod(-a * 3.3, b),
        ),
        case(
            lambda a, b: mg.fmod(a - 20, b),
            (8,),
            (),
            dtype="int64",
            domain=(2, 40),
            reference=lambda a, b: np.fmod(a - 20, b),
        ),
    ],
}

TWO_OR_THREE = {
    "atan2": binary("atan2", np.arctan2, domain=(0.3, 2)),
    "hypot": binary("hypot", np.hypot, domain=(0.3, 2)),
    "copysign": [
        case(mg.copysign, (2, 3), (3,), distinct=True, reference=np.copysign),
        case(lambda x: mg.copysign(x, -2.0), (4,), domain=(0.3, 2), reference=lambda x: -x),
    ],
    "logaddexp": binary("logaddexp", np.logaddexp),
    "logaddexp2": binary("logaddexp2", np.logaddexp2),
    "nextafter": [
        case(op("nextafter"), (2, 3), (3,), order=1, reference=np.nextafter),
        case(mg.nextafter, (4,), (4,), order=0, reference=np.nextafter),
    ],
    "xlogy": [
        *binary("xlogy", lambda x, y: x * np.log(y), domain=(0.3, 2)),
        case(lambda x: mg.xlogy(2.0, x), (4,), domain=(0.3, 2), reference=lambda x: 2 * np.log(x)),
        case(lambda y: mg.xlogy(mg.zeros(4, dtype=y.dtype), y), (4,), domain=(0.3, 2), reference=lambda y: 0 * y),
    ],
    "xlog1py": [
        case(op("xlog1py"), (2, 3), (3,), domain=(0.3, 2), reference=lambda x, y: x * np.log1p(y)),
        case(op("xlog1py"), (2, 1), (4, 1, 3), domain=(0.3, 2), reference=lambda x, y: x * np.log1p(y)),
    ],
    "flat_start": [
        case(
            op("flat_start", bound=0), (4,), (4,), dtype="int64", order=0, reference=lambda x, y: ~((x == 0) & (y <= 0))
        )
    ],
    "heaviside": [case(mg.heaviside, (3, 4), (4,), dtype="int64", domain=(-2, 2), reference=np.heaviside)],
    "lerp": [
        case(mg.lerp, (2, 3), (3,), (2, 1), domain=(0.05, 0.45), reference=lambda a, b, w: a + w * (b - a)),
        case(lambda a, b: mg.lerp(a, b, 0.75), (2, 3), (2, 3), reference=lambda a, b: 0.25 * a + 0.75 * b),
    ],
}


def _clamped(x, low, high):
    return np.minimum(np.maximum(x, low), high)


BOUNDS = {
    "clamp_number": [
        case(lambda x: mg.clamp(x, -0.5, 0.6), (3, 4), distinct=True, reference=lambda x: np.clip(x, -0.5, 0.6)),
        case(lambda x: mg.clamp(x, min=-0.5), (3, 4), distinct=True, reference=lambda x: np.maximum(x, -0.5)),
        case(lambda x: mg.clamp_max(x, 0.5), (), reference=lambda x: np.minimum(x, 0.5)),
        case(lambda x: mg.clamp(x, -1, 2), (7,), dtype="int64", domain=(-4, 4), reference=lambda x: np.clip(x, -1, 2)),
    ],
    "clamp": [
        case(mg.clamp, (2, 3), (3,), (2, 1), reference=_clamped),
        case(lambda x, low: mg.clamp(x, min=low), (2, 3), (3,), reference=np.maximum),
        case(lambda x, high: mg.clamp(x, max=high), (2, 3), (), reference=np.minimum),
    ],
    "inside_numbers": [case(op("inside_numbers", low=-1, high=None), (6,), order=0, reference=lambda x: x >= -1)],
    "inside_bounds": [
        case(op("inside_bounds"), (6,), (6,), (6,), order=0, reference=lambda x, a, b: (x >= a) & (x <= b))
    ],
    "raised_to": [case(op("raised_to"), (9,), (9,), (9,), order=0, reference=lambda x, a, b: (x < a) & (a < b))],
    "lowered_to": [case(op("lowered_to"), (9,), (9,), (9,), order=0, reference=lambda x, a, b: (x > b) | (b < a))],
    "nan_to_num": [
        case(mg.nan_to_num, (2, 3), reference=np.nan_to_num),
        case(
            spoiled(lambda x: mg.nan_to_num(x, 1.5, 2.5, -2.5), NAN, INF, -INF),
            (5,),
            reference=lambda x: np.array([1.5, 2.5, -2.5, *x[3:]]),
        ),
    ],
    "is_finite": [case(spoiled(op("is_finite"), NAN, INF, -INF), (4,), order=0, reference=lambda x: np.arange(4) > 2)],
}


def _shares(a, b):
    return np.where(a < b, 0, np.where(a == b, 0.5, 1))


EXTREMA = {
    "maximum": [
        case(mg.maximum, (2, 3), (3,), reference=np.maximum),
        case(mg.maximum, (2, 1), (), reference=np.maximum),
        case(lambda a: mg.maximum(a, a * 1), (4,), reference=lambda a: a),  # a tie: half to each
        case(mg.max, (5,), (5,), dtype="int64", reference=np.maximum),
    ],
    "minimum": [
        case(mg.minimum, (2, 3), (3,), reference=np.minimum),
        case(lambda a: mg.minimum(a, a * 1), (4,), reference=lambda a: a),
        case(mg.min, (2, 0), (1,), reference=np.minimum),
    ],
    "fmax": [
        case(mg.fmax, (2, 3), (3,), reference=np.fmax),
        case(lambda a: mg.fmax(mg.full((4,), NAN, dtype=a.dtype), a), (4,), reference=lambda a: a),
    ],
    "fmin": [
        case(mg.fmin, (2, 3), (3,), reference=np.fmin),
        case(lambda a: mg.fmin(a, mg.full((4,), NAN, dtype=a.dtype)), (4,), reference=lambda a: a),
    ],
    "share": [
        case(
            lambda a, b: OPS["share"](a < b, a == b, dtype=np.dtype("float64")),
            (9,),
            (9,),
            dtype="int64",
            reference=_shares,
        )
    ],
    "first_wins": [
        case(op("first_wins", larger=True), (9,), (9,), dtype="int64", reference=np.greater_equal),
        case(op("first_wins", larger=False), (9,), (9,), dtype="int64", reference=np.less_equal),
    ],
}

MASKS = {
    "keep_nonzero": [
        case(
            lambda x: OPS["keep_nonzero"](x, mg.tensor([[0.0, -2.0]] * 3, dtype=x.dtype)), (3, 2),
            reference=lambda x: x * np.array([0, 1]),
        ),
    ],
    "keep_where": [
        case(lambda x: OPS["keep_where"](x, x > 0), (3, 4), distinct=True, reference=lambda x: np.where(x > 0, x, 0)),
        case(
            lambda x: OPS["keep_where"](x, mg.tensor([True, False])), (3, 1), reference=lambda x: x * np.array([1, 0])
        ),
    ],
    "choose": [
        case(
            lambda a, b: OPS["choose"](mg.tensor([True, False, True]), a, b),
            (2, 3),
            (2, 1),
            reference=lambda a, b: np.where([True, False, True], a, b),
        )
    ],
    "logical_complement": [case(op("logical_complement"), (5,), dtype="bool", reference=np.logical_not)],
    "zeroed": [case(op("zeroed"), (2, 3), reference=np.zeros_like)],
}

PARTS = {
    "mantissa": [
        case(lambda x: mg.frexp(x).mantissa, (2, 3), domain=(1.1, 1.9), reference=lambda x: np.frexp(x)[0]),
    ],
    "scale_of": [case(OPS["scale_of"], (4,), order=0, reference=lambda x: np.exp2(-np.frexp(x)[1]))],
}

CASES = {**UNARY, **POWERS, **ARITHMETIC, **TWO_OR_THREE, **BOUNDS, **EXTREMA, **MASKS, **PARTS}
