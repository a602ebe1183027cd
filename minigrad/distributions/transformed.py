"""Distributions of functions of other distributions' values."""

import math

from minigrad.autograd import no_grad
from minigrad.distributions import constraints
from minigrad.distributions.continuous import Cauchy, Exponential, Gamma, Uniform
from minigrad.distributions.distribution import Distribution, Independent, as_parameters, sum_last
from minigrad.distributions.normal import Normal
from minigrad.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    PowerTransform,
    StickBreakingTransform,
    Transform,
)
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Size

_EULER = 0.57721566490153286060


class TransformedDistribution(Distribution):
    """The distribution of transforms of another one's values.

    Arguments: base_distribution, transforms (one or a list, the first one first), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#transformeddistribution

    >>> import minigrad as mg
    >>> from minigrad.distributions import Normal, TransformedDistribution, transforms
    >>> made = TransformedDistribution(Normal(0.0, 1.0), [transforms.AffineTransform(1.0, 2.0)])
    >>> made.log_prob(mg.tensor(1.0)) == Normal(1.0, 2.0).log_prob(mg.tensor(1.0))
    tensor(True)
    """

    def __init__(self, base_distribution, transforms, validate_args=None):
        self.transforms = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(self.transforms, list) or not all(isinstance(t, Transform) for t in self.transforms):
            raise ValueError(f"transforms must be a Transform or list of Transforms, but was {transforms}")
        whole, events = ComposeTransform(self.transforms), len(base_distribution.event_shape)
        before, after = whole.domain.event_dim, whole.codomain.event_dim
        shape = Size((*base_distribution.batch_shape, *base_distribution.event_shape))
        if len(shape) < before:
            raise ValueError(f"base_distribution needs to have shape with size at least {before}, but got {shape}.")
        made = whole.forward_shape(shape)
        needed = tuple(whole.inverse_shape(made))
        if needed != tuple(shape):
            base_distribution = base_distribution.expand(needed[: len(needed) - events])
        if before > events:
            base_distribution = Independent(base_distribution, before - events)
        self.base_dist = base_distribution
        cut = len(made) - max(after, events + after - before)
        super().__init__(made[:cut], made[cut:], validate_args)

    def _expand_inner(self, distribution, batch_shape):
        shape = Size((*batch_shape, *self.event_shape))
        for transform in reversed(self.transforms):
            shape = transform.inverse_shape(shape)
        return distribution.expand(shape[: len(shape) - len(distribution.event_shape)])

    has_rsample = property(lambda self: self.base_dist.has_rsample)

    @constraints.dependent_property(is_discrete=False)
    def support(self):
        """What values can be."""
        if not self.transforms:
            return self.base_dist.support
        last = self.transforms[-1].codomain
        more = len(self.event_shape) - last.event_dim
        return constraints.independent(last, more) if more > 0 else last

    def _transformed(self, x):
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape=()):
        """Return transforms of the base distribution's samples."""
        with no_grad():
            return self._transformed(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()):
        """Return transforms of the base distribution's samples through which gradients flow."""
        return self._transformed(self.base_dist.rsample(sample_shape))

    def log_prob(self, value):
        """Return the base's log-density where the value comes from, minus the logarithms of the stretching."""
        self._check_value(value)
        events, total = len(self.event_shape), 0.0
        for transform in reversed(self.transforms):
            before = transform.inv(value)
            stretch = transform.log_abs_det_jacobian(before, value)
            events += transform.domain.event_dim - transform.codomain.event_dim
            total = total - sum_last(stretch, events - transform.domain.event_dim)
            value = before
        return total + sum_last(self.base_dist.log_prob(value), events - len(self.base_dist.event_shape))

    def _falls(self, share):
        """Return 1 - share where the transforms decrease, else share."""
        sign = math.prod(transform.sign for transform in self.transforms)
        return share if isinstance(sign, int) and sign == 1 else sign * (share - 0.5) + 0.5

    def cdf(self, value):
        """Return the probability of being at most value."""
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        self.base_dist._check_value(value)
        return self._falls(self.base_dist.cdf(value))

    def icdf(self, value):
        """Return the value that is not exceeded with the given probability."""
        return self._transformed(self.base_dist.icdf(self._falls(value)))


class LogNormal(TransformedDistribution):
    """exp(x) of a normal x. Arguments: loc, scale (of x, positive), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#lognormal

    >>> import minigrad as mg
    >>> mg.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc, scale, validate_args=None):
        super().__init__(Normal(loc, scale, validate_args), ExpTransform(), validate_args)

    loc = property(lambda self: self.base_dist.loc)
    scale = property(lambda self: self.base_dist.scale)
    mean = property(lambda self: (self.loc + self.scale**2 / 2).exp())
    mode = property(lambda self: (self.loc - self.scale**2).exp())
    variance = property(lambda self: (self.scale**2).expm1() * (2 * self.loc + self.scale**2).exp())

    def entropy(self):
        """Return the normal entropy plus loc."""
        return self.base_dist.entropy() + self.loc


class _Folded(TransformedDistribution):
    """|x| of an x whose distribution is symmetric around 0."""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, scale, validate_args=None):
        super().__init__(self._kind(0.0, scale, validate_args=validate_args), AbsTransform(), validate_args)

    scale = property(lambda self: self.base_dist.scale)
    mode = property(lambda self: FUNCTIONS["zeros_like"](self.scale))

    def log_prob(self, value):
        """Return the two-sided log-density plus log 2; minus infinity below 0."""
        self._check_value(value)
        found = self.base_dist.log_prob(value) + math.log(2)
        return found.masked_fill((value < 0).expand(found.shape), -math.inf)

    def cdf(self, value):
        """Return the probability of being at most value."""
        self._check_value(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value):
        """Return the value that is not exceeded with the given probability."""
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self):
        """Return the two-sided entropy minus log 2."""
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(_Folded):
    """|x| of a normal x of mean 0. Arguments: scale (positive), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#halfnormal

    >>> import minigrad as mg
    >>> mg.distributions.HalfNormal(1.0).mean
    tensor(0.7979)
    """

    _kind = Normal
    mean = property(lambda self: self.scale * math.sqrt(2 / math.pi))
    variance = property(lambda self: self.scale**2 * (1 - 2 / math.pi))


class HalfCauchy(_Folded):
    """|x| of a Cauchy x around 0. Arguments: scale (positive), validate_args.

    >>> import minigrad as mg
    >>> mg.distributions.HalfCauchy(1.0).cdf(mg.tensor(1.0))
    tensor(0.5000)
    """

    _kind = Cauchy
    mean = property(lambda self: FUNCTIONS["full_like"](self.scale, math.inf))
    variance = property(lambda self: self.base_dist.variance)


class LogisticNormal(TransformedDistribution):
    """K + 1 shares of a whole, made of K normal numbers by StickBreakingTransform.

    Arguments: loc (…, K), scale (…, K) (positive), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#logisticnormal

    >>> import minigrad as mg
    >>> mg.distributions.LogisticNormal(mg.zeros(2), mg.ones(2)).sample().shape
    minigrad.Size([3])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc, scale, validate_args=None):
        base = Normal(loc, scale, validate_args=validate_args)
        if not base.batch_shape:
            base = base.expand((1,))
        super().__init__(base, StickBreakingTransform(), validate_args)

    loc = property(lambda self: self.base_dist.base_dist.loc)
    scale = property(lambda self: self.base_dist.base_dist.scale)


class InverseGamma(TransformedDistribution):
    """1 / x of a Gamma(concentration, rate). Arguments: concentration, rate (positive), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#inversegamma

    >>> import minigrad as mg
    >>> mg.distributions.InverseGamma(3.0, 2.0).mean
    tensor(1.)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive

    def __init__(self, concentration, rate, validate_args=None):
        base = Gamma(concentration, rate, validate_args=validate_args)
        super().__init__(base, PowerTransform(-base.rate.new_ones(())), validate_args)

    concentration = property(lambda self: self.base_dist.concentration)
    rate = property(lambda self: self.base_dist.rate)
    mean = property(lambda self: (self.rate / (self.concentration - 1)).masked_fill(self.concentration <= 1, math.inf))
    mode = property(lambda self: self.rate / (self.concentration + 1))

    @property
    def variance(self):
        """Variance; infinite for concentrations up to 2."""
        found = (self.rate / (self.concentration - 1)) ** 2 / (self.concentration - 2)
        return found.masked_fill(self.concentration <= 2, math.inf)

    def entropy(self):
        """Return the entropy."""
        c = self.concentration
        return c + self.rate.log() + c.lgamma() - (1 + c) * c.digamma()


class Kumaraswamy(TransformedDistribution):
    """Density a b x^(a - 1) (1 - x^a)^(b - 1) of x in [0, 1], a = concentration1, b = concentration0.

    Arguments: concentration1, concentration0 (positive), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#kumaraswamy

    >>> import minigrad as mg
    >>> mg.distributions.Kumaraswamy(1.0, 3.0).mean
    tensor(0.2500)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, concentration1, concentration0, validate_args=None):
        self.concentration1, self.concentration0 = as_parameters(concentration1, concentration0)
        base = Uniform(self.concentration0.detach() * 0, self.concentration0.detach() * 0 + 1)
        steps = [
            PowerTransform(1 / self.concentration0),
            AffineTransform(1.0, -1.0),
            PowerTransform(1 / self.concentration1),
        ]
        super().__init__(base, steps, validate_args)

    def _moment(self, n):
        """Return E[xⁿ] = b B(1 + n / a, b)."""
        a, b = 1 + n / self.concentration1, self.concentration0
        return b * (a.lgamma() + b.lgamma() - (a + b).lgamma()).exp()

    mean = property(lambda self: self._moment(1))
    variance = property(lambda self: self._moment(2) - self._moment(1) ** 2)

    @property
    def mode(self):
        """The likeliest number; NaN where a concentration is below 1 or both are 1."""
        a, b = self.concentration1, self.concentration0
        found = ((a - 1) / (a * b - 1)) ** (1 / a)
        return found.masked_fill((a < 1) | (b < 1) | ((a == 1) & (b == 1)), math.nan)

    def entropy(self):
        """Return 1 - 1 / b + (1 - 1 / a) H(b) - log(a b), with the harmonic number H."""
        a, b = self.concentration1, self.concentration0
        return (1 - 1 / b) + (1 - 1 / a) * ((b + 1).digamma() + _EULER) - a.log() - b.log()


class Pareto(TransformedDistribution):
    """Density alpha scale^alpha / x^(alpha + 1) of x ≥ scale. Arguments: scale, alpha (positive), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#pareto

    >>> import minigrad as mg
    >>> mg.distributions.Pareto(1.0, 3.0).mean
    tensor(1.5000)
    """

    arg_constraints = {"alpha": constraints.positive, "scale": constraints.positive}

    def __init__(self, scale, alpha, validate_args=None):
        self.scale, self.alpha = as_parameters(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        super().__init__(base, [ExpTransform(), AffineTransform(0, self.scale)], validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """What values can be."""
        return constraints.greater_than_eq(self.scale)

    mode = property(lambda self: self.scale)

    @property
    def mean(self):
        """Mean; infinite for alpha up to 1."""
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def variance(self):
        """Variance; infinite for alpha up to 2."""
        a = self.alpha.clamp(min=2)
        return self.scale**2 * a / ((a - 1) ** 2 * (a - 2))

    def entropy(self):
        """Return log(scale / alpha) + 1 + 1 / alpha."""
        return (self.scale / self.alpha).log() + (1 + 1 / self.alpha)


class Weibull(TransformedDistribution):
    """scale · x^(1 / concentration) of an x with density exp(-x). Arguments: scale, concentration (positive).

    Source: https://docs.pytorch.org/docs/stable/distributions.html#weibull

    >>> import minigrad as mg
    >>> mg.distributions.Weibull(2.0, 1.0).mean
    tensor(2.)
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive

    def __init__(self, scale, concentration, validate_args=None):
        self.scale, self.concentration = as_parameters(scale, concentration)
        base = Exponential(FUNCTIONS["ones_like"](self.scale.detach()), validate_args=validate_args)
        steps = [PowerTransform(1 / self.concentration), AffineTransform(0, self.scale)]
        super().__init__(base, steps, validate_args)

    def _moment(self, n):
        return self.scale**n * (1 + n / self.concentration).lgamma().exp()

    mean = property(lambda self: self._moment(1))
    variance = property(lambda self: self._moment(2) - self._moment(1) ** 2)

    @property
    def mode(self):
        """scale ((c - 1) / c)^(1 / c) of the concentration c."""
        c = self.concentration
        return self.scale * ((c - 1) / c) ** (1 / c)

    def entropy(self):
        """Return Euler's constant · (1 - 1 / c) + log(scale / c) + 1 of the concentration c."""
        return _EULER * (1 - 1 / self.concentration) + (self.scale / self.concentration).log() + 1
