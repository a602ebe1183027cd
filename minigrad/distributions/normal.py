"""The normal distribution."""

import math

from minigrad.distributions import constraints
from minigrad.distributions.distribution import as_parameters, normal_like
from minigrad.distributions.exp_family import ExponentialFamily


class Normal(ExponentialFamily):
    """Density exp(-(x - loc)² / 2 scale²) / (scale √2π).

    Arguments: loc, scale (numbers or tensors, scale positive: ValueError otherwise), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#normal

    >>> import minigrad as mg
    >>> from minigrad.distributions import Normal
    >>> Normal(0.0, 2.0).log_prob(mg.tensor(0.0))
    tensor(-1.6121)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = as_parameters(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)
    stddev = property(lambda self: self.scale)
    variance = property(lambda self: self.scale**2)

    def rsample(self, sample_shape=()):
        """Return loc + scale times standard normal noise: gradients flow to both."""
        return self.loc + normal_like(self.loc, self._extended_shape(sample_shape)) * self.scale

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        return -((value - self.loc) ** 2) / (2 * self.scale**2) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value):
        """Return the probability of being at most value."""
        return 0.5 * (1 + ((value - self.loc) / (self.scale * math.sqrt(2))).erf())

    def icdf(self, value):
        """Return the value that is not exceeded with the given probability."""
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self):
        """Return 1/2 + log(2π) / 2 + log(scale)."""
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()
