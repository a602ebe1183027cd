"""The mean over runs with different seeds, with its confidence interval."""

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

__all__ = ["Interval", "mean_interval", "t_quantile"]


def _central_probability(theta, degrees):
    """Return P(|t| < √degrees · tan θ) of Student's t: a finite series (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    odd = degrees % 2
    cosine = math.cos(theta)
    square = cosine * cosine
    term = cosine if odd else 1.0
    terms = [] if degrees == 1 else [term]
    for n in range(3 if odd else 2, degrees - 1, 2):
        term *= square * (n - 1) / n
        terms.append(term)
    total = math.sin(theta) * math.fsum(terms)
    return (theta + total) * 2 / math.pi if odd else total


def t_quantile(confidence, degrees):
    """Return the t with P(|T| < t) = confidence, for Student's t with a whole number of degrees of freedom.

    Newton's method on the angle atan(t / √degrees), in which the probability is concave, from the normal quantile,
    which always lies below. Raises ValueError for a confidence outside (0, 1) or degrees below 1.

    >>> from minigrad.recipes import t_quantile
    >>> round(t_quantile(0.95, 4), 6)
    2.776445
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, but got {confidence}")
    if degrees != int(degrees) or degrees < 1:
        raise ValueError(f"degrees of freedom must be a whole number of at least 1, but got {degrees}")
    degrees = int(degrees)
    # the derivative of the probability by the angle is this times cos(θ) ** (degrees - 1)
    scale = 2 / math.sqrt(math.pi) * math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    theta = math.atan(NormalDist().inv_cdf((1 + confidence) / 2) / math.sqrt(degrees))
    for _ in range(60):
        missing = confidence - _central_probability(theta, degrees)
        following = theta + missing / (scale * math.cos(theta) ** (degrees - 1))
        if following <= theta:  # only rounding is left
            break
        theta = following
    return math.sqrt(degrees) * math.tan(theta)


@dataclass(frozen=True)
class Interval:
    """A mean and the half width of its confidence interval, printed as "98.12 ± 0.21".

    Attributes: mean, half_width (nan for a single value), confidence, count (the number of values), low, high.
    A format such as ``f"{interval:.1f}"`` is that of both numbers; without one the half width gets two significant
    digits and the mean as many decimals.

    >>> from minigrad.recipes import Interval
    >>> print(Interval(98.123, 0.2149, 0.95, 5))
    98.12 ± 0.21
    """

    mean: float
    half_width: float
    confidence: float
    count: int

    @property
    def low(self):
        """The lower end."""
        return self.mean - self.half_width

    @property
    def high(self):
        """The upper end."""
        return self.mean + self.half_width

    def __format__(self, spec):
        if not spec:
            spec = f".{self._decimals()}f"
        if math.isnan(self.half_width):
            return f"{self.mean:{spec}} (n = {self.count})"
        return f"{self.mean:{spec}} ± {self.half_width:{spec}}"

    def _decimals(self):
        """The decimals that show two significant digits of the half width."""
        if not self.half_width > 0 or math.isinf(self.half_width):
            return 2
        return max(0, 1 - int(f"{self.half_width:.1e}".partition("e")[2]))

    def __str__(self):
        return format(self, "")


def mean_interval(values, confidence=0.95):
    """Return the mean of values (one per seed) with its confidence interval, by Student's t.

    mean ± t · s / √n, with s the sample's standard deviation and t the quantile for n - 1 degrees of freedom; that
    assumes independent values that are about normal. A single value gives an interval of half width nan.

    Args:
        values: iterable of n numbers (a 1-d tensor too).
        confidence (float): the probability with which such an interval holds the true mean.

    Raises ValueError for no values, a NaN or infinity among them or a confidence outside (0, 1).
    Source: Student 1908, The probable error of a mean.

    >>> from minigrad.recipes import mean_interval
    >>> accuracy = mean_interval([98.3, 97.9, 98.2])
    >>> print(accuracy)
    98.13 ± 0.52
    >>> print(f"{accuracy:.1f} %")
    98.1 ± 0.5 %
    >>> accuracy.count, round(accuracy.low, 3)
    (3, 97.616)
    """
    values = [float(value) for value in values]
    if not values:
        raise ValueError("mean_interval needs at least one value")
    if not all(map(math.isfinite, values)):
        raise ValueError(f"mean_interval needs finite values, but got {values}")
    if len(values) == 1:
        t_quantile(confidence, 1)  # refuses a bad confidence here too
        return Interval(values[0], math.nan, confidence, 1)
    half_width = t_quantile(confidence, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(fmean(values), half_width, confidence, len(values))
