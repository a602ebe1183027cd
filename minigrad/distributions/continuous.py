"""Distributions over real numbers and vectors."""

import math

from minigrad.backend import default_generator, float_limits, np, xp
from minigrad.distributions import constraints
from minigrad.distributions.distribution import Distribution, as_parameters, eps_of, normal_like, uniform_like
from minigrad.distributions.exp_family import ExponentialFamily
from minigrad.registry import FUNCTIONS
from minigrad.tensor import wrap

_EULER = 0.57721566490153286060
_NAN = float("nan")


class Uniform(Distribution):
    """The same density everywhere in [low, high). Arguments: low, high (above low: ValueError), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#uniform

    >>> import minigrad as mg
    >>> mg.distributions.Uniform(0.0, 4.0).log_prob(mg.tensor(1.0)).exp()
    tensor(0.2500)
    """

    has_rsample = True

    def __init__(self, low, high, validate_args=None):
        self.low, self.high = as_parameters(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)

    @property
    def arg_constraints(self):
        """What the parameters may be."""
        return {"low": constraints.less_than(self.high), "high": constraints.greater_than(self.low)}

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """What values can be."""
        return constraints.interval(self.low, self.high)

    mean = property(lambda self: (self.high + self.low) / 2)
    mode = property(lambda self: _NAN * self.high)
    stddev = property(lambda self: (self.high - self.low) / 12**0.5)
    variance = property(lambda self: (self.high - self.low) ** 2 / 12)

    def rsample(self, sample_shape=()):
        """Return low + (high - low) times uniform noise."""
        shape = self._extended_shape(sample_shape)
        noise = FUNCTIONS["rand"](shape, dtype=self.low.dtype, device=self.low.device)
        return self.low + noise * (self.high - self.low)

    def log_prob(self, value):
        """Return -log(high - low) inside, minus infinity outside."""
        self._check_value(value)
        inside = ((self.low <= value) & (self.high > value)).type_as(self.low)
        return inside.log() - (self.high - self.low).log()

    def cdf(self, value):
        """Return the share of the interval below value."""
        self._check_value(value)
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value):
        """Return the point below which the given share lies."""
        return value * (self.high - self.low) + self.low

    def entropy(self):
        """Return log(high - low)."""
        return (self.high - self.low).log()


class Exponential(ExponentialFamily):
    """Density rate · exp(-rate x) of x ≥ 0. Arguments: rate (positive), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#exponential

    >>> import minigrad as mg
    >>> mg.distributions.Exponential(2.0).mean
    tensor(0.5000)
    """

    has_rsample = True
    arg_constraints = {"rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, rate, validate_args=None):
        (self.rate,) = as_parameters(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    mean = property(lambda self: 1 / self.rate)
    mode = property(lambda self: FUNCTIONS["zeros_like"](self.rate))
    stddev = property(lambda self: 1 / self.rate)
    variance = property(lambda self: self.rate**-2)

    def rsample(self, sample_shape=()):
        """Return -log(uniform noise) / rate."""
        return -uniform_like(self.rate, self._extended_shape(sample_shape)).log() / self.rate

    def log_prob(self, value):
        """Return log(rate) - rate · value."""
        self._check_value(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value):
        """Return 1 - exp(-rate · value)."""
        self._check_value(value)
        return 1 - (-self.rate * value).exp()

    def icdf(self, value):
        """Return -log(1 - value) / rate."""
        return -(-value).log1p() / self.rate

    def entropy(self):
        """Return 1 - log(rate)."""
        return 1 - self.rate.log()


class Laplace(Distribution):
    """Density exp(-|x - loc| / scale) / 2 scale. Arguments: loc, scale (positive), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#laplace

    >>> import minigrad as mg
    >>> mg.distributions.Laplace(0.0, 0.25).log_prob(mg.tensor(0.0)).exp()
    tensor(2.)
    """

    has_rsample = True
    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = as_parameters(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)
    variance = property(lambda self: 2 * self.scale**2)
    stddev = property(lambda self: 2**0.5 * self.scale)

    def rsample(self, sample_shape=()):
        """Return the inverse distribution function of uniform noise."""
        return self.icdf(uniform_like(self.loc, self._extended_shape(sample_shape)))

    def log_prob(self, value):
        """Return -log(2 scale) - |value - loc| / scale."""
        self._check_value(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value):
        """Return the probability of being at most value."""
        self._check_value(value)
        away = value - self.loc
        return 0.5 - 0.5 * away.sign() * (-away.abs() / self.scale).expm1()

    def icdf(self, value):
        """Return the value that is not exceeded with the given probability."""
        away = value - 0.5
        return self.loc - self.scale * away.sign() * (-2 * away.abs()).log1p()

    def entropy(self):
        """Return 1 + log(2 scale)."""
        return 1 + (2 * self.scale).log()


class Cauchy(Distribution):
    """Density 1 / (π scale (1 + ((x - loc) / scale)²)). Arguments: loc, scale (positive), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#cauchy

    >>> import minigrad as mg
    >>> mg.distributions.Cauchy(0.0, 1.0).cdf(mg.tensor(1.0))
    tensor(0.7500)
    """

    has_rsample = True
    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = as_parameters(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    mean = property(lambda self: FUNCTIONS["full_like"](self.loc, _NAN))
    mode = property(lambda self: self.loc)
    variance = property(lambda self: FUNCTIONS["full_like"](self.loc, math.inf))

    def rsample(self, sample_shape=()):
        """Return the inverse distribution function of uniform noise."""
        return self.icdf(uniform_like(self.loc, self._extended_shape(sample_shape)))

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        return -math.log(math.pi) - self.scale.log() - (((value - self.loc) / self.scale) ** 2).log1p()

    def cdf(self, value):
        """Return the probability of being at most value."""
        self._check_value(value)
        return ((value - self.loc) / self.scale).atan() / math.pi + 0.5

    def icdf(self, value):
        """Return the value that is not exceeded with the given probability."""
        return (math.pi * (value - 0.5)).tan() * self.scale + self.loc

    def entropy(self):
        """Return log(4π scale)."""
        return math.log(4 * math.pi) + self.scale.log()


class Gumbel(Distribution):
    """Density of the largest of many: y + exp(-y), y = (x - loc) / scale, is -log(density · scale).

    Arguments: loc, scale (positive), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#gumbel

    >>> import minigrad as mg
    >>> mg.distributions.Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    has_rsample = True
    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = as_parameters(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    mean = property(lambda self: self.loc + self.scale * _EULER)
    mode = property(lambda self: self.loc)
    stddev = property(lambda self: math.pi / math.sqrt(6) * self.scale)
    variance = property(lambda self: self.stddev**2)

    def rsample(self, sample_shape=()):
        """Return the inverse distribution function of uniform noise."""
        noise = uniform_like(self.loc, self._extended_shape(sample_shape))
        return self.icdf(noise.clamp(max=1 - eps_of(noise)))

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        y = (self.loc - value) / self.scale
        return y - y.exp() - self.scale.log()

    def cdf(self, value):
        """Return exp(-exp((loc - value) / scale))."""
        return (-((self.loc - value) / self.scale).exp()).exp()

    def icdf(self, value):
        """Return loc - scale · log(-log(value))."""
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self):
        """Return log(scale) + 1 + Euler's constant."""
        return self.scale.log() + (1 + _EULER)


# ---------------------------------------------------------------------- gamma and what is made of it
def _gamma_slope(alpha, x):
    """Return dx / dalpha of a standard gamma sample at a fixed probability, -(∂P/∂alpha) / density (raw float64).

    P(a, x) = xᵃ e⁻ˣ / Γ(a + 1) · S with S = Σ xⁿ / ((a + 1) … (a + n)); for large a the cube root is normal
    (Wilson & Hilferty 1931). Source: Figurnov et al. 2018, Implicit Reparameterization Gradients.
    """
    module = xp(alpha)
    large = alpha > 500.0
    a, y = module.where(large, 1.0, alpha), module.where(large, 1.0, x)
    term, total = module.ones_like(y), module.ones_like(y)
    harmonic, slope = module.zeros_like(y), module.zeros_like(y)
    for n in range(1, 2000):
        term = term * y / (a + n)
        harmonic = harmonic + 1 / (a + n)
        total, slope = total + term, slope - term * harmonic
        if n % 16 == 0 and not (term > 1e-17 * total).any():
            break
    found = -(y / a) * ((module.log(y) - wrap(a + 1).digamma().array) * total + slope)
    third = 1 / (9 * alpha)
    root = module.cbrt(x / alpha)
    z = (root - 1 + third) * 3 * module.sqrt(alpha)
    approximate = root**3 + 3 * alpha * root**2 * (third / alpha - z / (6 * alpha**1.5))
    return module.where(large, approximate, found)


def standard_gamma(concentration, shape):
    """Return samples of Gamma(concentration, 1) through which gradients flow to concentration."""
    concentration = concentration.expand(shape)
    array = concentration.array
    alpha = array.astype(np.float64)
    drawn = default_generator.on(xp(array)).standard_gamma(alpha, size=alpha.shape)
    drawn = xp(array).maximum(xp(array).asarray(drawn), float(float_limits(array.dtype).tiny))
    sample = wrap(drawn.astype(array.dtype))
    if not concentration.requires_grad:
        return sample
    slope = wrap(_gamma_slope(alpha, drawn).astype(array.dtype))
    return sample + (concentration - concentration.detach()) * slope


class Gamma(ExponentialFamily):
    """Density proportional to x^(concentration - 1) · exp(-rate x) of x > 0.

    Arguments: concentration (positive), rate (positive), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#gamma

    >>> import minigrad as mg
    >>> mg.distributions.Gamma(3.0, 2.0).mean
    tensor(1.5000)
    """

    has_rsample = True
    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, concentration, rate, validate_args=None):
        self.concentration, self.rate = as_parameters(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    mean = property(lambda self: self.concentration / self.rate)
    mode = property(lambda self: ((self.concentration - 1) / self.rate).clamp(min=0))
    variance = property(lambda self: self.concentration / self.rate**2)

    def rsample(self, sample_shape=()):
        """Return samples of the standard gamma distribution over rate."""
        shape = self._extended_shape(sample_shape)
        return standard_gamma(self.concentration, shape) / self.rate.expand(shape)

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        c, rate = self.concentration, self.rate
        return c.xlogy(rate) + (c - 1).xlogy(value) - rate * value - c.lgamma()

    def cdf(self, value):
        """Return the regularised incomplete gamma function of rate · value."""
        self._check_value(value)
        return FUNCTIONS["igamma"](self.concentration, self.rate * value)

    def entropy(self):
        """Return the entropy."""
        c = self.concentration
        return c - self.rate.log() + c.lgamma() + (1.0 - c) * c.digamma()


class Chi2(Gamma):
    """The sum of the squares of df standard normal numbers. Arguments: df (positive), validate_args.

    >>> import minigrad as mg
    >>> mg.distributions.Chi2(3.0).mean
    tensor(3.)
    """

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df, validate_args=None):
        (self.df,) = as_parameters(df)
        super().__init__(0.5 * self.df, 0.5, validate_args=validate_args)


class Dirichlet(ExponentialFamily):
    """Shares of a whole: density proportional to Π xᵢ^(concentrationᵢ - 1).

    Arguments: concentration (…, K) (positive; ValueError without dimensions), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#dirichlet

    >>> import minigrad as mg
    >>> mg.distributions.Dirichlet(mg.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    has_rsample = True
    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex

    def __init__(self, concentration, validate_args=None):
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    mean = property(lambda self: self.concentration / self.concentration.sum(-1, keepdim=True))

    @property
    def mode(self):
        """The likeliest shares; where all concentrations are below 1, and any corner is one, that of the first."""
        above = (self.concentration - 1).clamp(min=0.0)
        corner = FUNCTIONS["zeros_like"](above).index_fill(-1, above.new_zeros(1).long(), 1.0)
        below = (self.concentration < 1).all(-1, keepdim=True)
        return FUNCTIONS["where"](below, corner, above / above.sum(-1, keepdim=True))

    @property
    def variance(self):
        """Variance of each share."""
        total = self.concentration.sum(-1, keepdim=True)
        return self.concentration * (total - self.concentration) / (total**2 * (total + 1))

    def rsample(self, sample_shape=()):
        """Return gamma samples over their sum."""
        parts = standard_gamma(self.concentration, self._extended_shape(sample_shape))
        return parts / parts.sum(-1, keepdim=True)

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        c = self.concentration
        return (c - 1.0).xlogy(value).sum(-1) + c.sum(-1).lgamma() - c.lgamma().sum(-1)

    def entropy(self):
        """Return the entropy."""
        c, total = self.concentration, self.concentration.sum(-1)
        return (
            c.lgamma().sum(-1)
            - total.lgamma()
            - (self.event_shape[0] - total) * total.digamma()
            - ((c - 1.0) * c.digamma()).sum(-1)
        )


class Beta(ExponentialFamily):
    """Density proportional to x^(concentration1 - 1) (1 - x)^(concentration0 - 1) of x in [0, 1].

    Arguments: concentration1, concentration0 (positive), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#beta

    >>> import minigrad as mg
    >>> mg.distributions.Beta(1.0, 3.0).mean
    tensor(0.2500)
    """

    has_rsample = True
    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, concentration1, concentration0, validate_args=None):
        both = as_parameters(concentration1, concentration0)
        self.concentration1, self.concentration0 = both
        super().__init__(both[0].shape, validate_args=validate_args)
        self._dirichlet = Dirichlet(FUNCTIONS["stack"](both, -1), validate_args=False)

    mean = property(lambda self: self._dirichlet.mean[..., 0])
    mode = property(lambda self: self._dirichlet.mode[..., 0])
    variance = property(lambda self: self._dirichlet.variance[..., 0])

    def rsample(self, sample_shape=()):
        """Return the first of two shares."""
        return self._dirichlet.rsample(sample_shape)[..., 0]

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        return self._dirichlet.log_prob(FUNCTIONS["stack"]([value, 1.0 - value], -1))

    def entropy(self):
        """Return the entropy."""
        return self._dirichlet.entropy()


class StudentT(Distribution):
    """loc + scale times a normal number over the root of Chi2(df) / df.

    Arguments: df (positive), loc, scale (positive), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#studentt

    >>> import minigrad as mg
    >>> mg.distributions.StudentT(4.0).variance
    tensor(2.)
    """

    has_rsample = True
    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self.df, self.loc, self.scale = as_parameters(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    mean = property(lambda self: self.loc.masked_fill(self.df <= 1, _NAN))
    mode = property(lambda self: self.loc)

    @property
    def variance(self):
        """Variance; infinite for df up to 2, NaN up to 1."""
        found = (self.scale**2 * self.df / (self.df - 2)).masked_fill(self.df <= 2, math.inf)
        return found.masked_fill(self.df <= 1, _NAN)

    def rsample(self, sample_shape=()):
        """Return samples through which gradients flow."""
        shape = self._extended_shape(sample_shape)
        spread = 2 * standard_gamma(0.5 * self.df, shape) / self.df
        return self.loc + self.scale * normal_like(self.loc, shape) * spread.rsqrt()

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        half, y = 0.5 * (self.df + 1.0), (value - self.loc) / self.scale
        norm = self.scale.log() + 0.5 * (self.df.log() + math.log(math.pi)) + (0.5 * self.df).lgamma() - half.lgamma()
        return -half * (y**2.0 / self.df).log1p() - norm

    def entropy(self):
        """Return the entropy."""
        half = 0.5 * (self.df + 1)
        beta = (0.5 * self.df).lgamma() + math.lgamma(0.5) - half.lgamma()
        return self.scale.log() + half * (half.digamma() - (0.5 * self.df).digamma()) + 0.5 * self.df.log() + beta
