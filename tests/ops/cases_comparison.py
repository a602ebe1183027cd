"""Cases of comparisons, logic, bits and the integers' functions: nothing here has a gradient."""

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case

SPECIAL = [float("nan"), float("inf"), -float("inf"), -0.0, 0.0, 1.5]


def op(name, **params):
    """Return the registered op as a function of tensors."""
    return lambda *tensors: OPS[name](*tensors, **params)


def integers(name, reference, low=-6, high=6):
    """Return the cases of a function of two integer tensors that broadcast."""
    function = getattr(mg, name)
    shapes = [((4, 1), (5,)), ((7,), (7,)), ((), (3,)), ((0,), (1,))]
    return [case(function, *pair, dtype="int64", domain=(low, high), reference=reference) for pair in shapes]


def compared(name, reference):
    """Return the cases of a comparison: of integers (with ties), of floats, of bools and with a number."""
    function = getattr(mg, name)
    return [
        *integers(name, reference, -2, 2),
        case(function, (2, 3), (3,), order=0, reference=reference),
        case(function, (6,), (6,), dtype="bool", domain=(-1, 1), reference=reference),
        case(lambda a: function(a, 1), (6,), dtype="int64", reference=lambda a: reference(a, 1)),
    ]


def logical(name, reference):
    """Return the cases of a logical function of two tensors."""
    function = getattr(mg, name)
    return [
        *integers(name, reference, -2, 2),
        case(function, (3, 1), (4,), dtype="bool", domain=(-1, 1), reference=reference),
        case(function, (3,), (3,), order=0, reference=reference),
    ]


def bitwise(name, reference):
    """Return the cases of a function of the bits of two tensors."""
    return [
        *integers(name, reference),
        case(getattr(mg, name), (3, 1), (4,), dtype="bool", domain=(-1, 1), reference=reference),
    ]


def tested(name, reference):
    """Return the cases of a property of numbers: of special ones, of integers, of no number at all."""
    function = getattr(mg, name)
    return [
        case(
            lambda x: function(x * 0 + mg.tensor(SPECIAL, dtype=x.dtype)),
            (6,),
            order=0,
            reference=lambda x: reference(np.array(SPECIAL)),
        ),
        case(function, (2, 3), dtype="int64", reference=lambda x: reference(x.astype(float))),
        case(function, (0,), order=0, reference=reference),
        case(function, (), order=0, reference=reference),
    ]


CASES = {
    "eq": compared("eq", np.equal),
    "ne": compared("ne", np.not_equal),
    "lt": compared("lt", np.less),
    "le": compared("le", np.less_equal),
    "gt": compared("gt", np.greater),
    "ge": compared("ge", np.greater_equal),
    "logical_and": logical("logical_and", np.logical_and),
    "logical_or": logical("logical_or", np.logical_or),
    "logical_xor": logical("logical_xor", np.logical_xor),
    "logical_not": [
        case(mg.logical_not, (2, 3), dtype="int64", reference=np.logical_not),
        case(mg.logical_not, (5,), dtype="bool", domain=(-1, 1), reference=np.logical_not),
    ],
    "isnan": tested("isnan", np.isnan),
    "isinf": tested("isinf", np.isinf),
    "isfinite": tested("isfinite", np.isfinite),
    "isposinf": tested("isposinf", np.isposinf),
    "isneginf": tested("isneginf", np.isneginf),
    "signbit": tested("signbit", np.signbit),
    "isreal": tested("isreal", np.isreal),
    "isclose": [
        case(
            lambda a, b: mg.isclose(a, b, atol=1.0, rtol=0.1),
            (4, 1),
            (5,),
            order=0,
            reference=lambda a, b: np.isclose(a, b, 0.1, 1.0),
        ),
        case(mg.isclose, (9,), (9,), dtype="int64", reference=np.isclose),
        case(
            lambda a: mg.isclose(a * float("nan"), a * float("nan"), equal_nan=True),
            (3,),
            order=0,
            reference=lambda a: np.ones(3, bool),
        ),
    ],
    "bitwise_and": bitwise("bitwise_and", np.bitwise_and),
    "bitwise_or": bitwise("bitwise_or", np.bitwise_or),
    "bitwise_xor": bitwise("bitwise_xor", np.bitwise_xor),
    "bitwise_not": [
        case(mg.bitwise_not, (2, 3), dtype="int64", reference=np.invert),
        case(mg.bitwise_not, (5,), dtype="bool", domain=(-1, 1), reference=np.invert),
    ],
    "bitwise_left_shift": integers("bitwise_left_shift", np.left_shift, 0, 6),
    "bitwise_right_shift": integers("bitwise_right_shift", np.right_shift, 0, 6),
    "gcd": integers("gcd", np.gcd, -30, 30),
    "lcm": integers("lcm", np.lcm, -30, 30),
}
