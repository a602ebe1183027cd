"""The regularised incomplete gamma functions of raw arrays: DLMF 8.11 (series) and 8.9 (continued fraction)."""

from minigrad.backend import np, xp
from minigrad.kernels import special

_STEPS = 2000
_TINY = 1e-300


def _front(a, x):
    """Return x^a e^-x / gamma(a)."""
    module = xp(x)
    return module.exp(a * module.log(x) - x - special.lgamma(a))


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


def incomplete(a, x, upper):
    """Return P(a, x), or Q(a, x) = 1 - P(a, x) if upper; NaN for negative arguments; inputs broadcast."""
    module = xp(a) if xp(a) is not np else xp(x)
    a, x = module.broadcast_arrays(module.asarray(a, np.float64), module.asarray(x, np.float64))
    valid = (a > 0) & (x > 0) & module.isfinite(a) & module.isfinite(x)
    low = valid & (x < a + 1)
    high = valid & ~low
    lower = module.full(a.shape, np.nan)
    for chosen, function, complement in ((low, _series, False), (high, _fraction, True)):
        if bool(chosen.any()):
            value = function(a[chosen], x[chosen])
            lower[chosen] = 1 - value if complement is not upper else value
    # The ends: nothing below x = 0, everything above a = 0 and below x = inf.
    nothing = ((x == 0) & (a > 0)) | (module.isinf(a) & (x >= 0) & module.isfinite(x))
    everything = ((a == 0) & (x > 0)) | (module.isinf(x) & (x > 0) & (a >= 0) & module.isfinite(a))
    lower = module.where(nothing, 1.0 if upper else 0.0, lower)
    return module.where(everything, 0.0 if upper else 1.0, lower)
