"""More distributions over real numbers: of ratios, tails, angles, and pixels between black and white."""

import math

from minigrad.autograd import no_grad
from minigrad.backend import float_limits
from minigrad.distributions import constraints
from minigrad.distributions.continuous import standard_gamma
from minigrad.distributions.discrete import Odds
from minigrad.distributions.distribution import Distribution, as_parameters, inner
from minigrad.distributions.exp_family import ExponentialFamily
from minigrad.nn.functional import binary_cross_entropy_with_logits
from minigrad.ops.special_functions import SPECIAL
from minigrad.registry import FUNCTIONS


def _uniform(x, shape):
    return FUNCTIONS["rand"](shape, dtype=x.dtype, device=x.device)


class FisherSnedecor(Distribution):
    """The ratio of Chi2(df1) / df1 to Chi2(df2) / df2. Arguments: df1, df2 (positive), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#fishersnedecor

    >>> import minigrad as mg
    >>> mg.distributions.FisherSnedecor(2.0, 4.0).mean
    tensor(2.)
    """

    has_rsample = True
    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive

    def __init__(self, df1, df2, validate_args=None):
        self.df1, self.df2 = as_parameters(df1, df2)
        super().__init__(self.df1.shape, validate_args=validate_args)

    mean = property(lambda self: (self.df2 / (self.df2 - 2)).masked_fill(self.df2 <= 2, math.nan))

    @property
    def mode(self):
        """The likeliest number; NaN for df1 up to 2."""
        found = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return found.masked_fill(self.df1 <= 2, math.nan)

    @property
    def variance(self):
        """Variance; NaN for df2 up to 4."""
        a, b = self.df1, self.df2
        found = 2 * b**2 * (a + b - 2) / (a * (b - 2) ** 2 * (b - 4))
        return found.masked_fill(b <= 4, math.nan)

    def rsample(self, sample_shape=()):
        """Return ratios of gamma samples through which gradients flow."""
        shape = self._extended_shape(sample_shape)
        tiny = float(float_limits(self.df1.dtype).tiny)
        above, below = (standard_gamma(df / 2, shape) / (df / 2) for df in (self.df1, self.df2))
        return (above / below.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        a, b, ratio = self.df1 / 2, self.df2 / 2, self.df1 / self.df2
        norm = (a + b).lgamma() - a.lgamma() - b.lgamma()
        return norm + a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p()


class GeneralizedPareto(Distribution):
    """P(x > value) = (1 + c z)^(-1 / c), z = (value - loc) / scale ≥ 0; exp(-z) for the concentration c = 0.

    Arguments: loc, scale (positive), concentration (c), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#generalizedpareto

    >>> import minigrad as mg
    >>> mg.distributions.GeneralizedPareto(0.0, 1.0, 0.5).cdf(mg.tensor(2.0))
    tensor(0.7500)
    """

    has_rsample = True
    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}

    def __init__(self, loc, scale, concentration, validate_args=None):
        self.loc, self.scale, self.concentration = as_parameters(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """What values can be."""
        end = (self.loc - self.scale / self.concentration).masked_fill(self.concentration >= 0, math.inf)
        return constraints.interval(self.loc, end)

    def _shape(self):
        """Return where the concentration is 0, and concentrations that can be divided by."""
        zero = self.concentration.abs() <= 1e-8
        return zero, self.concentration.masked_fill(zero, 1.0)

    mode = property(lambda self: self.loc)

    @property
    def mean(self):
        """Mean; NaN for concentrations from 1 on."""
        return (self.loc + self.scale / (1 - self.concentration)).masked_fill(self.concentration >= 1, math.nan)

    @property
    def variance(self):
        """Variance; NaN for concentrations from 1/2 on."""
        c = self.concentration
        return (self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c))).masked_fill(c >= 0.5, math.nan)

    def rsample(self, sample_shape=()):
        """Return the inverse distribution function of uniform noise."""
        return self.icdf(_uniform(self.loc, self._extended_shape(sample_shape)))

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        z, (zero, c) = (value - self.loc) / self.scale, self._shape()
        power = 1 + 1 / c  # 0 times infinity, at the end of the uniform distribution, is 0
        falls = FUNCTIONS["where"](power == 0, 0.0, power * (c * z).log1p())
        return -self.scale.log() - FUNCTIONS["where"](zero, z, falls)

    def log_survival_function(self, value):
        """Return the logarithm of the probability of being above value."""
        self._check_value(value)
        z, (zero, c) = (value - self.loc) / self.scale, self._shape()
        return -FUNCTIONS["where"](zero, z, (c * z).log1p() / c)

    def log_cdf(self, value):
        """Return the logarithm of the probability of being at most value."""
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value):
        """Return the probability of being at most value."""
        return self.log_cdf(value).exp()

    def icdf(self, value):
        """Return the value that is not exceeded with the given probability."""
        (zero, c), above = self._shape(), (-value).log1p()
        return self.loc + self.scale * FUNCTIONS["where"](zero, -above, (-c * above).expm1() / c)

    def entropy(self):
        """Return log(scale) + concentration + 1."""
        return self.scale.log() + self.concentration + 1


class VonMises(Distribution):
    """Density exp(concentration · cos(x - loc)) / (2π I₀(concentration)) of an angle x in radians.

    Arguments: loc, concentration (positive), validate_args. Samples lie between -π and π; ``variance`` is the circular
    one, 1 - I₁ / I₀.
    Source: Best & Fisher 1979, Efficient Simulation of the von Mises Distribution;
    https://docs.pytorch.org/docs/stable/distributions.html#vonmises

    >>> import minigrad as mg
    >>> mg.distributions.VonMises(0.0, 1.0).log_prob(mg.tensor(0.0))
    tensor(-1.0738)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc, concentration, validate_args=None):
        self.loc, self.concentration = as_parameters(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)
    variance = property(lambda self: 1 - _bessel(1, self.concentration) / _bessel(0, self.concentration))

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        c = self.concentration
        norm = math.log(2 * math.pi) + _bessel(0, c).log() + c  # of I₀ without its exponential
        return c * (value - self.loc).cos() - norm

    def sample(self, sample_shape=()):
        """Return samples: draws of a wrapped Cauchy distribution, of which some are rejected."""
        with no_grad():
            shape = self._extended_shape(sample_shape)
            c = self.concentration.double()
            root = (1 + 4 * c**2).sqrt() + 1
            rho = (root - (2 * root).sqrt()) / (2 * c)
            r = FUNCTIONS["where"](c < 1e-5, 1 / c + c, (1 + rho**2) / (2 * rho))
            found, done = c.new_zeros(shape), c.new_zeros(shape).bool()
            while not done.all():
                angle, accept, side = _uniform(c, (3, *shape))
                z = (math.pi * angle).cos()
                cosine = (1 + r * z) / (r + z)
                y = c * (r - cosine)
                good = (y * (2 - y) > accept) | ((y / accept).log() + 1 >= y)
                drawn = (side - 0.5).sign() * cosine.clamp(-1, 1).acos()
                found = FUNCTIONS["where"](good & ~done, drawn, found)
                done = done | good
            return ((found + math.pi + self.loc.double()) % (2 * math.pi) - math.pi).to(self.loc.dtype)


def _bessel(order, x):
    """Return the modified Bessel function of order 0 or 1 times exp(-x)."""
    return SPECIAL[f"i{order}e"](x)


class ContinuousBernoulli(Odds, ExponentialFamily):
    """Density proportional to probs^x (1 - probs)^(1 - x) of x in [0, 1].

    Arguments: probs (in [0, 1], kept off its ends) or logits, lims (between which series are used: the formulas divide
    0 by 0 at 1/2), validate_args.
    Source: Loaiza-Ganem & Cunningham 2019; https://docs.pytorch.org/docs/stable/distributions.html#continuousbernoulli

    >>> import minigrad as mg
    >>> mg.distributions.ContinuousBernoulli(0.5).log_prob(mg.tensor(0.3))
    tensor(0.)
    """

    has_rsample = True
    support = constraints.unit_interval

    def __init__(self, probs=None, logits=None, lims=(0.499, 0.501), validate_args=None):
        given, _ = self._set_odds(probs, logits)
        self._lims = lims
        super().__init__(given.shape, validate_args=validate_args)
        if probs is not None:
            self.probs = inner(given)

    @staticmethod
    def _to_probs(logits):
        return inner(logits.sigmoid())

    def _safe(self):
        """Return where the formulas hold, and probabilities of which they hold everywhere."""
        far = (self.probs <= self._lims[0]) | (self.probs > self._lims[1])
        return far, FUNCTIONS["where"](far, self.probs, self._lims[0])

    def _log_norm(self):
        """Return the logarithm of what makes the density integrate to 1."""
        (far, p), x = self._safe(), (self.probs - 0.5) ** 2
        found = ((-p).log1p() - p.log()).abs().log() - (1 - 2 * p).abs().log()
        return FUNCTIONS["where"](far, found, math.log(2) + (4 / 3 + 104 / 45 * x) * x)

    @property
    def mean(self):
        """p / (2p - 1) + 1 / (2 artanh(1 - 2p))."""
        (far, p), x = self._safe(), self.probs - 0.5
        found = p / (2 * p - 1) + 1 / ((-p).log1p() - p.log())
        return FUNCTIONS["where"](far, found, 0.5 + (1 / 3 + 16 / 45 * x**2) * x)

    @property
    def variance(self):
        """p (p - 1) / (1 - 2p)² + 1 / (2 artanh(1 - 2p))²."""
        (far, p), x = self._safe(), (self.probs - 0.5) ** 2
        found = p * (p - 1) / (1 - 2 * p) ** 2 + 1 / ((-p).log1p() - p.log()) ** 2
        return FUNCTIONS["where"](far, found, 1 / 12 - (1 / 15 - 128 / 945 * x) * x)

    def rsample(self, sample_shape=()):
        """Return the inverse distribution function of uniform noise."""
        return self.icdf(_uniform(self.probs, self._extended_shape(sample_shape)))

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        logits, value = FUNCTIONS["broadcast_tensors"](self.logits, value)
        return self._log_norm() - binary_cross_entropy_with_logits(logits, value, reduction="none")

    def cdf(self, value):
        """Return the probability of being at most value."""
        self._check_value(value)
        far, p = self._safe()
        found = (p**value * (1 - p) ** (1 - value) + p - 1) / (2 * p - 1)
        return FUNCTIONS["where"](far, found, value).masked_fill(value <= 0, 0.0).masked_fill(value >= 1, 1.0)

    def icdf(self, value):
        """Return the value that is not exceeded with the given probability."""
        far, p = self._safe()
        found = ((-p + value * (2 * p - 1)).log1p() - (-p).log1p()) / (p.log() - (-p).log1p())
        return FUNCTIONS["where"](far, found, value)

    def entropy(self):
        """Return the entropy."""
        no, yes = (-self.probs).log1p(), self.probs.log()
        return self.mean * (no - yes) - self._log_norm() - no
