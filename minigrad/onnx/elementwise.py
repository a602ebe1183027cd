"""ONNX nodes of elementwise ops, comparisons and activations."""

import math

from minigrad.backend import np
from minigrad.onnx.graph import builds
from minigrad.onnx.recording import Value
from minigrad.onnx.sizes import Varying

# Ops that are one node of the same meaning.
NODES = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan", "atanh": "Atanh",
    "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "isnan": "IsNaN",
    "log": "Log", "neg": "Neg", "reciprocal": "Reciprocal", "relu": "Relu", "sigmoid": "Sigmoid", "sign": "Sign",
    "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
# The same value, elsewhere in memory or with another graph.
COPIES = ("clone", "contiguous", "conj", "real", "to_device", "to_memory_format")
ARITHMETIC = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}
OF_BOOLS = {"add": "Or", "mul": "And", "bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor"}
BITWISE = {"bitwise_and": "BitwiseAnd", "bitwise_or": "BitwiseOr", "bitwise_xor": "BitwiseXor"}
COMPARISONS = {
    "eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual",
}  # fmt: skip
LOGICAL = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}


def number(one, dtype):
    """Return a Python number as a scalar of a NumPy dtype; other operands as they are."""
    return one if isinstance(one, (Value, str)) else np.asarray(one, dtype)


def operands(graph, call, dtype=None):
    """Return the names of a call's operands, numbers (also those that vary) as scalars of the operands' dtype."""
    if dtype is None:
        dtype = next(arg.dtype for arg in call.args if isinstance(arg, Value))
    return [
        graph.cast(arg, dtype) if isinstance(arg, Varying) else graph.name(number(arg, dtype)) for arg in call.args
    ]


def scaled(graph, x, factor, dtype):
    """Return the name of x times a number."""
    return graph.add("Mul", x, np.asarray(factor, dtype))


@builds(*NODES)
def one_node(graph, call):
    return graph.add(NODES[call.name], call.args[0])


@builds(*COPIES)
def copied(graph, call):
    return graph.name(call.args[0])


@builds("cast")
def cast(graph, call):
    return graph.cast(call.args[0], call.outs[0].dtype)


@builds(*ARITHMETIC, *BITWISE, sizes=True)
def arithmetic(graph, call):
    dtype = call.outs[0].dtype
    if dtype.kind == "b":
        return graph.add(OF_BOOLS[call.name], *operands(graph, call))
    if call.name in BITWISE:
        graph.needs_opset(18, call.name)
    return graph.add({**ARITHMETIC, **BITWISE}[call.name], *operands(graph, call))


@builds("floor_divide", "trunc_divide", "remainder", "fmod", sizes=True)
def division(graph, call):
    a, b = operands(graph, call)
    if call.outs[0].dtype.kind in "iu":
        if call.name in ("remainder", "fmod"):
            return graph.add("Mod", a, b, fmod=int(call.name == "fmod"))
        if call.name == "floor_divide":
            a = graph.add("Sub", a, graph.add("Mod", a, b))
        return graph.add("Div", a, b)  # of integers: truncated
    if call.name == "fmod":
        return graph.add("Mod", a, b, fmod=1)
    quotient = graph.add("Div", a, b)
    if call.name == "trunc_divide":
        return truncated(graph, quotient)
    quotient = graph.add("Floor", quotient)
    return quotient if call.name == "floor_divide" else graph.add("Sub", a, graph.add("Mul", b, quotient))


def truncated(graph, x):
    """Return x rounded towards zero."""
    return graph.add("Mul", graph.add("Sign", x), graph.add("Floor", graph.add("Abs", x)))


@builds(*COMPARISONS, "ne", sizes=True)
def comparison(graph, call):
    operand = operands(graph, call)
    if call.name == "ne":
        return graph.add("Not", graph.add("Equal", *operand))
    return graph.add(COMPARISONS[call.name], *operand)


@builds(*LOGICAL, "logical_not", "logical_complement", "not_linear", "bitwise_not", "both")
def logical(graph, call):
    if call.name == "bitwise_not" and call.outs[0].dtype.kind != "b":
        graph.needs_opset(18, call.name)
        return graph.add("BitwiseNot", call.args[0])
    bools = [
        graph.cast(arg, np.bool_) if isinstance(arg, Value) else graph.constant(np.asarray(bool(arg)))
        for arg in call.args
    ]
    return graph.add({**LOGICAL, "both": "And"}.get(call.name, "Not"), *bools)


@builds("isinf", "isposinf", "isneginf", "isfinite", "is_finite")
def infinite(graph, call):
    x = call.args[0]
    if call.name in ("isfinite", "is_finite"):
        return graph.add("Not", graph.add("Or", graph.add("IsInf", x), graph.add("IsNaN", x)))
    return graph.add(
        "IsInf", x, detect_positive=int(call.name != "isneginf"), detect_negative=int(call.name != "isposinf")
    )


@builds("maximum", "minimum", "fmax", "fmin")
def extreme(graph, call):
    return graph.add("Max" if "max" in call.name else "Min", *operands(graph, call))


@builds("where", "choose")
def where(graph, call):
    condition, *branches = call.args
    dtype = call.outs[0].dtype
    branches = [graph.cast(one, dtype) if isinstance(one, Value) else number(one, dtype) for one in branches]
    return graph.add("Where", graph.cast(condition, np.bool_), *branches)


@builds("keep_where")
def keep_where(graph, call):
    return graph.add("Where", graph.cast(call.args[1], np.bool_), call.args[0], np.zeros((), call.outs[0].dtype))


@builds("zeroed", "fill", sizes=True)
def filled(graph, call):
    out = call.outs[0]
    value = np.full((1,) * len(out.shape), call.params.get("value", 0), out.dtype)
    return graph.add("Expand", value, graph.lengths(out.shape)) if out.shape else graph.constant(value)


# ---------------------------------------------------------------------- clamping, rounding, powers
@builds("clamp_number", "hardtanh")
def clamp_number(graph, call):
    x = call.args[0]
    bounds = [None if (b := call.params[key]) is None else np.asarray(b, x.dtype) for key in ("low", "high")]
    return graph.add("Clip", x, *bounds)


@builds("clamp")
def clamp(graph, call):
    x, low, high = call.args
    x = graph.name(x) if low is None else graph.add("Max", x, number(low, x.dtype))
    return x if high is None else graph.add("Min", x, number(high, call.args[0].dtype))


@builds("nan_to_num")
def nan_to_num(graph, call):
    x, dtype = call.args[0], call.args[0].dtype
    largest = np.finfo(dtype).max if dtype.kind == "f" else 0
    given = call.params
    replacements = (
        (graph.add("IsNaN", x), given["nan"], 0.0),
        (graph.add("IsInf", x, detect_negative=0), given["posinf"], largest),
        (graph.add("IsInf", x, detect_positive=0), given["neginf"], -largest),
    )
    result = x
    for mask, value, default in replacements:
        result = graph.add("Where", mask, np.asarray(default if value is None else value, dtype), result)
    return result


@builds("pow", "power_scalar", "square", "exp2", sizes=True)
def power(graph, call):
    if call.name == "square":
        return graph.add("Mul", call.args[0], call.args[0])
    if call.name == "exp2":
        return graph.add("Pow", np.asarray(2, call.args[0].dtype), call.args[0])
    if call.name == "pow":
        return graph.add("Pow", *operands(graph, call))
    x, exponent = call.args[0], call.params["exponent"]
    if exponent == 2:
        return graph.add("Mul", x, x)
    return graph.add("Pow", x, np.asarray(exponent, x.dtype))


@builds("round")
def rounded(graph, call):
    x, decimals = call.args[0], call.params["decimals"]
    if not decimals:
        return graph.add("Round", x)
    return scaled(graph, graph.add("Round", scaled(graph, x, 10.0**decimals, x.dtype)), 10.0**-decimals, x.dtype)


@builds("trunc", "frac")
def trunc(graph, call):
    whole = truncated(graph, call.args[0])
    return whole if call.name == "trunc" else graph.add("Sub", call.args[0], whole)


_LOGARITHMS = {"log2": 1 / math.log(2), "log10": 1 / math.log(10), "log1p": 1}
_TURNED = {"deg2rad": math.pi / 180, "rad2deg": 180 / math.pi}


@builds(*_LOGARITHMS, *_TURNED, "expm1", "erfc", "rsqrt")
def scaled_function(graph, call):
    x, dtype, one = call.args[0], call.outs[0].dtype, np.ones((), call.outs[0].dtype)
    if call.name in _TURNED:
        return scaled(graph, x, _TURNED[call.name], dtype)
    if call.name == "expm1":
        return graph.add("Sub", graph.add("Exp", x), one)
    if call.name == "erfc":
        return graph.add("Sub", one, graph.add("Erf", x))
    if call.name == "rsqrt":
        return graph.add("Reciprocal", graph.add("Sqrt", x))
    logarithm = graph.add("Log", graph.add("Add", x, one) if call.name == "log1p" else x)
    return logarithm if call.name == "log1p" else scaled(graph, logarithm, _LOGARITHMS[call.name], dtype)


@builds("atan2")
def atan2(graph, call):
    """atan(y / x), moved by π where x is negative; 0 / 0 is taken as 0, and -0 as 0."""
    dtype = call.outs[0].dtype
    y, x = operands(graph, call, dtype)
    zero = np.zeros((), dtype)
    origin = graph.add("And", graph.add("Equal", y, zero), graph.add("Equal", x, zero))
    angle = graph.add("Atan", graph.add("Div", y, graph.add("Where", origin, np.ones((), dtype), x)))
    turn = np.asarray(math.pi, dtype)
    turn = graph.add("Where", graph.add("Less", y, zero), -turn, turn)
    return graph.add("Add", angle, graph.add("Where", graph.add("Less", x, zero), turn, zero))


@builds("isclose")
def isclose(graph, call):
    a, b = operands(graph, call)
    dtype, given = call.args[0].dtype, call.params
    bound = graph.add("Add", scaled(graph, graph.add("Abs", b), given["rtol"], dtype), np.asarray(given["atol"], dtype))
    near = graph.add("LessOrEqual", graph.add("Abs", graph.add("Sub", a, b)), bound)
    near = graph.add("Or", graph.add("Equal", a, b), near)
    if not given["equal_nan"]:
        return near
    return graph.add("Or", near, graph.add("And", graph.add("IsNaN", a), graph.add("IsNaN", b)))


@builds("hypot", "logaddexp", "xlogy", "lerp")
def of_several(graph, call):
    dtype = call.outs[0].dtype
    a, b, *rest = operands(graph, call, dtype)
    if call.name == "hypot":
        return graph.add("Sqrt", graph.add("Add", graph.add("Mul", a, a), graph.add("Mul", b, b)))
    if call.name == "lerp":
        return graph.add("Add", a, graph.add("Mul", rest[0], graph.add("Sub", b, a)))
    if call.name == "xlogy":
        zero = np.zeros((), dtype)
        return graph.add("Where", graph.add("Equal", a, zero), zero, graph.add("Mul", a, graph.add("Log", b)))
    distance = graph.add("Neg", graph.add("Abs", graph.add("Sub", a, b)))
    return graph.add("Add", graph.add("Max", a, b), graph.add("Softplus", distance))


# ---------------------------------------------------------------------- activations
@builds("leaky_relu")
def leaky_relu(graph, call):
    return graph.add("LeakyRelu", call.args[0], alpha=float(call.params["slope"]))


@builds("elu")
def elu(graph, call):
    """scale · (x for x > 0, else alpha · (exp(input_scale · x) - 1))"""
    x, dtype = call.args[0], call.args[0].dtype
    alpha, scale, inner = (float(call.params[key]) for key in ("alpha", "scale", "input_scale"))
    if inner == 1:
        y = graph.add("Elu", x, alpha=alpha)
    else:
        negative = graph.add("Sub", graph.add("Exp", scaled(graph, x, inner, dtype)), np.ones((), dtype))
        positive = graph.add("Greater", x, np.zeros((), dtype))
        y = graph.add("Where", positive, x, scaled(graph, negative, alpha, dtype))
    return y if scale == 1 else scaled(graph, y, scale, dtype)


@builds("softplus", "logsigmoid")
def softplus(graph, call):
    x, dtype = call.args[0], call.args[0].dtype
    if call.name == "logsigmoid":
        return graph.add("Neg", graph.add("Softplus", graph.add("Neg", x)))
    beta, threshold = call.params["beta"], call.params["threshold"]
    inner = x if beta == 1 else scaled(graph, x, beta, dtype)
    y = graph.add("Softplus", inner)
    y = y if beta == 1 else scaled(graph, y, 1 / beta, dtype)
    if threshold >= 20:
        return y  # the line that replaces the curve there is the same number
    return graph.add("Where", graph.add("Greater", inner, np.asarray(threshold, dtype)), x, y)


@builds("gelu")
def gelu(graph, call):
    x, dtype = call.args[0], call.args[0].dtype
    inner = graph.add("Erf", scaled(graph, x, math.sqrt(0.5), dtype))
    return graph.add("Mul", scaled(graph, x, 0.5, dtype), graph.add("Add", inner, np.ones((), dtype)))


@builds("gelu_tanh")
def gelu_tanh(graph, call):
    x, dtype = call.args[0], call.args[0].dtype
    cube = graph.add("Mul", graph.add("Mul", x, x), x)
    inner = graph.add("Add", x, scaled(graph, cube, 0.044715, dtype))
    inner = graph.add("Tanh", scaled(graph, inner, math.sqrt(2 / math.pi), dtype))
    return graph.add("Mul", scaled(graph, x, 0.5, dtype), graph.add("Add", inner, np.ones((), dtype)))


@builds("silu", "mish", "hardswish", "hardsigmoid")
def gated(graph, call):
    x = call.args[0]
    if call.name == "silu":
        return graph.add("Mul", x, graph.add("Sigmoid", x))
    if call.name == "mish":
        return graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x)))
    gate = graph.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    return gate if call.name == "hardsigmoid" else graph.add("Mul", x, gate)


@builds("hardshrink", "softshrink")
def shrink(graph, call):
    size = float(call.params["lambd"])
    return graph.add("Shrink", call.args[0], lambd=size, bias=size if call.name == "softshrink" else 0.0)


@builds("threshold")
def threshold(graph, call):
    x = call.args[0]
    limit, value = (np.asarray(call.params[key], x.dtype) for key in ("limit", "value"))
    return graph.add("Where", graph.add("LessOrEqual", x, limit), value, x)


@builds("prelu")
def prelu(graph, call):
    x, slope = call.args
    if len(x.shape) > 1 and len(slope.shape) == 1 and slope.shape[0] != 1:
        slope = graph.reshape(slope, (slope.shape[0],) + (1,) * (len(x.shape) - 2))
    return graph.add("PRelu", x, slope)


@builds("softmax", "log_softmax")
def softmax(graph, call):
    x, dim = call.args[0], call.params["dim"]
    if not x.shape:
        return graph.add("Sub", x, x) if call.name == "log_softmax" else graph.add("Div", x, x)
    return graph.add("Softmax" if call.name == "softmax" else "LogSoftmax", x, axis=dim)


@builds("logit")
def logit(graph, call):
    x, eps, one = call.args[0], call.params["eps"], np.ones((), call.outs[0].dtype)
    if eps is not None and eps >= 0:
        x = graph.add("Clip", x, np.asarray(eps, one.dtype), np.asarray(1 - eps, one.dtype))
    return graph.add("Log", graph.add("Div", x, graph.add("Sub", one, x)))
