"""The regularised incomplete gamma functions of raw arrays.

DLMF 8.11 (series), 8.9 (continued fraction) and, for large a near x = a, where those converge slowly, 8.12: Temme, "The
asymptotic expansion of the incomplete gamma functions", SIAM J. Math. Anal. 10 (1979).
"""

import functools
import math

from minigrad.backend import np, xp
from minigrad.kernels import special
from minigrad.kernels.mask import choose

_STEPS = 2000
_TINY = 1e-300
# The uniform expansion is used for a > _LARGE and |x / a - 1| < _NEAR; there these many terms reach float64.
_LARGE, _NEAR = 100.0, 0.3
_ORDERS, _POWERS = 8, 20


def _log1p_minus(mu):
    """Return log(1 + mu) - mu for |mu| < 1/2 without cancellation, by the series of atanh(mu / (2 + mu))."""
    ratio = mu / (2 + mu)
    square = ratio * ratio
    total = xp(mu).zeros_like(mu)
    for k in range(14, 0, -1):
        total = (total + 2 / (2 * k + 1)) * square
    return ratio * (total - mu)


def _front(a, x):
    """Return x^a e^-x / gamma(a); a large a by Stirling's series, since the logarithms would cancel."""
    module = xp(x)
    small = a < 10
    direct = module.exp(choose(small, a * module.log(x) - x - special.lgamma(a), module.zeros_like(a)))
    large = module.maximum(a, 10)
    mu = (x - large) / large
    near = module.abs(mu) < _NEAR
    exponent = choose(near, _log1p_minus(choose(near, mu, module.zeros_like(mu))), module.log(x / large) - mu)
    scaled = module.exp(large * exponent - special.stirling_tail(large)) * module.sqrt(large / (2 * math.pi))
    return choose(small, direct, scaled)


def _series(a, x):
    """Return P(a, x) by its power series, which converges quickly for x < a + 1."""
    module = xp(x)
    term = 1 / a
    total, n = term.copy(), a.copy()
    for _ in range(_STEPS):
        n += 1
        term = term * (x / n)
        total += term
        if not bool((module.abs(term) > 1e-17 * module.abs(total)).any()):
            break
    return total * _front(a, x)


def _fraction(a, x):
    """Return Q(a, x) by Lentz's evaluation of its continued fraction, which converges quickly for x > a + 1."""
    module = xp(x)
    b = x + 1 - a
    c, d = module.full_like(x, 1 / _TINY), 1 / b
    value = d.copy()
    for i in range(1, _STEPS):
        weight = -i * (i - a)
        b = b + 2
        d = weight * d + b
        d = 1 / module.where(module.abs(d) < _TINY, _TINY, d)
        c = b + weight / c
        c = module.where(module.abs(c) < _TINY, _TINY, c)
        change = c * d
        value *= change
        if not bool((module.abs(change - 1) > 1e-16).any()):
            break
    return value * _front(a, x)


@functools.cache
def _temme_coefficients():
    """Return the powers series of C_0(eta), C_1(eta), … as tuples, by the recurrences of DLMF 8.12(ii)."""
    from fractions import Fraction  # here, as it is slow to import and seldom needed

    length = _POWERS + 2 * _ORDERS + 2
    mu = [Fraction(0), Fraction(1)]  # of eta: mu mu' = eta (1 + mu)
    for n in range(2, length + 2):
        mu.append(mu[n - 1] / (n + 1) - sum(mu[i] * mu[n + 1 - i] for i in range(2, n)) / 2)
    inverse = [Fraction(1)]  # eta / mu
    for n in range(1, length + 1):
        inverse.append(-sum(mu[j + 1] * inverse[n - j] for j in range(1, n + 1)))
    rest = inverse[1:]  # 1 / mu - 1 / eta
    series = [rest]
    for _ in range(1, _ORDERS):
        last = series[-1]
        series.append([(n + 2) * last[n + 2] - last[1] * rest[n] for n in range(len(last) - 2)])
    return [tuple(float(c) for c in coefficients[:_POWERS]) for coefficients in series]


def _uniform(a, x, upper):
    """Return P(a, x), or Q(a, x) if upper, by Temme's uniform asymptotic expansion."""
    module = xp(x)
    mu = (x - a) / a
    half_square = -_log1p_minus(mu)
    eta = module.copysign(module.sqrt(2 * half_square), mu)
    total = module.zeros_like(a)
    for coefficients in _temme_coefficients()[::-1]:
        term = module.zeros_like(a)
        for c in coefficients[::-1]:
            term = term * eta + c
        total = total / a + term
    rest = total * module.exp(-a * half_square) / module.sqrt(2 * math.pi * a)
    sign = 1 if upper else -1
    return 0.5 * special.erfc(sign * eta * module.sqrt(a / 2)) + sign * rest


def incomplete(a, x, upper):
    """Return P(a, x), or Q(a, x) = 1 - P(a, x) if upper; NaN for negative arguments; inputs broadcast."""
    module = xp(a) if xp(a) is not np else xp(x)
    a, x = module.broadcast_arrays(module.asarray(a, np.float64), module.asarray(x, np.float64))
    valid = (a > 0) & (x > 0) & module.isfinite(a) & module.isfinite(x)
    middle = valid & (a > _LARGE) & (module.abs(x - a) < _NEAR * a)
    low = valid & ~middle & (x < a + 1)
    high = valid & ~middle & ~low
    lower = module.full(a.shape, np.nan)
    if bool(middle.any()):
        lower[middle] = _uniform(a[middle], x[middle], upper)
    for chosen, function, complement in ((low, _series, False), (high, _fraction, True)):
        if bool(chosen.any()):
            value = function(a[chosen], x[chosen])
            lower[chosen] = 1 - value if complement is not upper else value
    # The ends: nothing below x = 0, everything above a = 0 and below x = inf.
    nothing = ((x == 0) & ~(a <= 0)) | ((a == np.inf) & ~(x < 0) & ~module.isinf(x))
    everything = ((a == 0) & (x > 0)) | ((x == np.inf) & ~(a < 0) & ~module.isinf(a))
    lower = module.where(nothing, 1.0 if upper else 0.0, lower)
    return module.where(everything, 0.0 if upper else 1.0, lower)
