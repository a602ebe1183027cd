"""Cases of activations and of the masks their gradients are written with."""

import math

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case

F = mg.nn.functional
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def op(name, **params):
    """Return the registered op as a function of tensors."""
    return lambda *tensors: OPS[name](*tensors, **params)


def activation(function, reference, **options):
    """Return the cases of an activation: both sides of its kinks, a 0-d tensor, no element at all."""
    return [
        case(function, (3, 4), domain=(-4, 4), distinct=True, reference=reference, **options),
        case(function, (), reference=reference, **options),
        case(function, (0, 2), reference=reference, **options),
    ]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def elu(x, alpha=1.0, scale=1.0):
    return scale * np.where(x > 0, x, alpha * np.expm1(x))


def erf(x):
    return np.vectorize(math.erf, otypes=[float])(x)


SMOOTH = {
    "softplus": [
        *activation(F.softplus, softplus),
        case(
            lambda x: F.softplus(x, beta=2, threshold=3),
            (3, 4),
            distinct=True,
            reference=lambda x: np.where(2 * x > 3, x, softplus(2 * x) / 2),
        ),
    ],
    "logsigmoid": [
        *activation(F.logsigmoid, lambda x: np.log(sigmoid(x))),
        case(F.logsigmoid, (2,), domain=(-900, -800), reference=lambda x: x),
    ],
    "gelu": activation(F.gelu, lambda x: x * (1 + erf(x / np.sqrt(2))) / 2),
    "gelu_tanh": activation(
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "silu": activation(F.silu, lambda x: x * sigmoid(x)),
    "mish": activation(F.mish, lambda x: x * np.tanh(softplus(x))),
    "elu": [
        *activation(F.elu, elu),
        *activation(F.selu, lambda x: elu(x, SELU_ALPHA, SELU_SCALE)),
        case(
            lambda x: F.celu(x, 1.5),
            (3, 4),
            distinct=True,
            reference=lambda x: np.where(x > 0, x, 1.5 * np.expm1(x / 1.5)),
        ),
    ],
}

PIECEWISE_LINEAR = {
    "relu": [
        *activation(F.relu, lambda x: np.maximum(x, 0)),
        case(mg.relu, (5,), dtype="int64", reference=lambda x: np.maximum(x, 0)),
    ],
    "hardtanh": [
        *activation(F.hardtanh, lambda x: np.clip(x, -1, 1)),
        case(F.relu6, (3, 4), domain=(-9, 9), distinct=True, reference=lambda x: np.clip(x, 0, 6)),
    ],
    "leaky_relu": activation(lambda x: F.leaky_relu(x, 0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
    "hardsigmoid": activation(F.hardsigmoid, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hardswish": activation(F.hardswish, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "hardshrink": activation(lambda x: F.hardshrink(x, 0.8), lambda x: np.where(abs(x) > 0.8, x, 0)),
    "softshrink": activation(lambda x: F.softshrink(x, 0.8), lambda x: np.sign(x) * np.maximum(abs(x) - 0.8, 0)),
    "threshold": activation(lambda x: F.threshold(x, 0.5, -3.0), lambda x: np.where(x > 0.5, x, -3.0)),
    "prelu": [
        case(F.prelu, (2, 3, 2), (3,), distinct=True, reference=lambda x, w: np.where(x > 0, x, x * w[:, None])),
        case(F.prelu, (4,), (1,), distinct=True, reference=lambda x, w: np.where(x > 0, x, x * w)),
        case(lambda x: F.rrelu(x, 0.1, 0.4, training=True), (3, 4), distinct=True),
    ],
}

MASKS = {
    "gelu_slope": [
        case(
            op("gelu_slope"), (6,),
            reference=lambda x: (1 + erf(x / np.sqrt(2))) / 2 + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
        )
    ],
    "strictly_between": [case(op("strictly_between", low=-1, high=1), (6,), dtype="int64", reference=lambda x: x == 0)],
    "outside": [case(op("outside", limit=1), (6,), dtype="int64", domain=(-4, 4), reference=lambda x: abs(x) > 1)],
    "not_linear": [case(op("not_linear"), (5,), dtype="bool", domain=(-1, 1), reference=np.logical_not)],
    "above": [case(op("above", limit=0), (9,), dtype="int64", reference=lambda x: x > 0)],
    "not_less": [case(op("not_less", limit=0), (9,), dtype="int64", reference=lambda x: x >= 0)],
    "not_above": [case(op("not_above", limit=0), (9,), dtype="int64", reference=lambda x: x <= 0)],
    "not_beyond": [case(op("not_beyond", low=-1, high=1), (6,), dtype="int64", reference=lambda x: x == 0)],
    "positive_part": [case(op("positive_part"), (9,), dtype="int64", reference=lambda x: x > 0)],
    "rest_part": [case(op("rest_part"), (9,), dtype="int64", reference=lambda x: x <= 0)],
}

CASES = {**SMOOTH, **PIECEWISE_LINEAR, **MASKS}
