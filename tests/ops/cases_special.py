"""Cases of special functions; their values are compared with what the standard library's math has of them."""

import math

import numpy as np

import minigrad as mg
from minigrad.op import OPS
from tests.ops.table import case


def op(name, **params):
    """Return the registered op as a function of tensors."""
    return lambda *tensors: OPS[name](*tensors, **params)


def each(function):
    """Return a function of one number as one of arrays."""
    return np.vectorize(function, otypes=[float])


def bessel(x, order):
    """Return I_order(x), integrated over its defining integral."""
    angle = (np.arange(2000) + 0.5) * (np.pi / 2000)
    return np.mean(np.exp(np.asarray(x)[..., None] * np.cos(angle)) * np.cos(order * angle), -1)


def inverse(function, low, high):
    """Return the inverse of an increasing function on an interval, by bisection."""

    def solve(y):
        a, b = low, high
        for _ in range(200):
            middle = (a + b) / 2
            a, b = (middle, b) if function(middle) < y else (a, middle)
        return (a + b) / 2

    return each(solve)


def normal_distribution(x):
    """Return the distribution function of the standard normal distribution."""
    return math.erfc(-x / math.sqrt(2)) / 2


def trigamma(x):
    """Return the derivative of digamma: its recurrence, then its asymptotic series."""
    total = 0.0
    while x < 30:
        total, x = total + 1 / x**2, x + 1
    return total + 1 / x + 1 / (2 * x**2) + 1 / (6 * x**3) - 1 / (30 * x**5) + 1 / (42 * x**7)


CASES = {
    "erf": [case(mg.erf, (2, 3), reference=each(math.erf)), case(mg.erf, (), reference=each(math.erf))],
    "erfc": [case(mg.erfc, (2, 3), domain=(-2, 5), reference=each(math.erfc))],
    "erfcx": [
        case(op("erfcx"), (2, 3), domain=(-1, 4), reference=each(lambda x: math.exp(x * x) * math.erfc(x))),
        case(op("erfcx"), (3,), domain=(20, 90)),
    ],
    "erfinv": [case(mg.erfinv, (2, 3), domain=(-0.9, 0.9), reference=inverse(math.erf, -6, 6))],
    "ndtri": [case(op("ndtri"), (2, 3), domain=(0.05, 0.95), reference=inverse(normal_distribution, -6, 6))],
    "log_ndtr": [
        case(op("log_ndtr"), (2, 3), domain=(-5, 3), reference=each(lambda x: math.log(normal_distribution(x)))),
        case(op("log_ndtr"), (3,), domain=(-40, -20)),
    ],
    "lgamma": [
        case(mg.lgamma, (2, 3), domain=(0.3, 6), reference=each(math.lgamma)),
        case(mg.lgamma, (3,), domain=(-2.8, -2.2), reference=each(math.lgamma)),
        case(lambda x: mg.mvlgamma(x, 2), (3,), domain=(1, 6)),
    ],
    "digamma": [case(mg.digamma, (2, 3), domain=(0.5, 6)), case(mg.digamma, (3,), domain=(-2.8, -2.2))],
    "polygamma": [
        case(lambda x: mg.polygamma(1, x), (2, 3), domain=(0.5, 6), reference=each(trigamma)),
        case(lambda x: x.polygamma(3), (3,), domain=(0.5, 6)),
    ],
    "i0": [case(mg.i0, (2, 3), domain=(-4, 4), distinct=True, reference=np.i0)],
    "i1": [case(op("i1"), (2, 3), domain=(-4, 4), distinct=True, reference=lambda x: bessel(x, 1))],
    "i0e": [case(op("i0e"), (2, 3), domain=(-4, 4), distinct=True, reference=lambda x: np.exp(-abs(x)) * np.i0(x))],
    "i1e": [case(op("i1e"), (2, 3), domain=(-4, 4), distinct=True, reference=lambda x: np.exp(-abs(x)) * bessel(x, 1))],
    "igamma": [
        case(
            lambda x: mg.igamma(mg.full_like(x, 2).detach(), x),
            (2, 5),
            domain=(0.3, 6),
            reference=lambda x: 1 - (1 + x) * np.exp(-x),
        )
    ],
    "igammac": [
        case(
            lambda x: mg.igammac(mg.full_like(x, 2).detach(), x),
            (2, 5),
            domain=(0.3, 6),
            reference=lambda x: (1 + x) * np.exp(-x),
        )
    ],
    "entr": [case(op("entr"), (2, 3), domain=(0.2, 2), reference=lambda x: -x * np.log(x))],
    "zeta": [
        case(lambda q: mg.special.zeta(2.0, q), (2, 3), domain=(0.5, 6), reference=each(trigamma)),
        case(lambda q: mg.special.zeta(mg.tensor([[1.5], [4.0]], dtype=q.dtype), q), (3,), domain=(0.5, 6)),
    ],
    "sign_of": [case(op("sign_of"), (5,), order=0, reference=np.sign)],
    "one_at_zero": [case(op("one_at_zero"), (9,), order=0, dtype="int64", reference=lambda x: x == 0)],
}
