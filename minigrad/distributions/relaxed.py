"""Continuous stand-ins for Bernoulli and OneHotCategorical, with samples through which gradients flow."""

import math

from minigrad.distributions import constraints
from minigrad.distributions.discrete import Odds, Shares
from minigrad.distributions.distribution import eps_of, inner, uniform_like
from minigrad.distributions.transformed import TransformedDistribution
from minigrad.distributions.transforms import ExpTransform, SigmoidTransform
from minigrad.tensor import Tensor


def _as_tensor(temperature, like):
    return temperature if isinstance(temperature, Tensor) else like.new_full((), temperature)


class LogitRelaxedBernoulli(Odds):
    """(logits + logistic noise) / temperature. Arguments: temperature, probs or logits, validate_args.

    Source: Maddison et al. 2017; https://docs.pytorch.org/docs/stable/distributions.html#logitrelaxedbernoulli
    """

    has_rsample = True
    support = constraints.real

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        given, _ = self._set_odds(probs, logits)
        self.temperature = _as_tensor(temperature, given)
        super().__init__(given.shape, validate_args=validate_args)

    def rsample(self, sample_shape=()):
        """Return samples through which gradients flow."""
        probs = inner(self.probs)
        noise = inner(uniform_like(probs, self._extended_shape(sample_shape)))
        return (noise.log() - (-noise).log1p() + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        away = self.logits - value * self.temperature
        return self.temperature.log() + away - 2 * away.exp().log1p()


class RelaxedBernoulli(TransformedDistribution):
    """Numbers between 0 and 1, the closer to either the lower the temperature.

    Arguments: temperature, probs or logits, validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#relaxedbernoulli

    >>> import minigrad as mg
    >>> mg.distributions.RelaxedBernoulli(mg.tensor(2.0), logits=mg.tensor(0.0)).log_prob(mg.tensor(0.5)).exp()
    tensor(2.)
    """

    arg_constraints = Odds.arg_constraints
    support = constraints.unit_interval

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits), SigmoidTransform(), validate_args)

    temperature = property(lambda self: self.base_dist.temperature)
    probs = property(lambda self: self.base_dist.probs)
    logits = property(lambda self: self.base_dist.logits)


class ExpRelaxedCategorical(Shares):
    """Logarithms of RelaxedOneHotCategorical's values. Arguments: temperature, probs or logits, validate_args."""

    has_rsample = True
    support = constraints.real_vector

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        shape = self._set_shares(probs, logits)
        self.temperature = _as_tensor(temperature, probs if logits is None else logits)
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape=()):
        """Return samples through which gradients flow."""
        noise = uniform_like(self.logits, self._extended_shape(sample_shape))
        gumbel = -(-noise.clamp(max=1 - eps_of(noise)).log()).log()
        return ((self.logits + gumbel) / self.temperature).log_softmax(-1)

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        count = self.event_shape[0]
        scores = (self.logits - value * self.temperature).log_softmax(-1).sum(-1)
        return scores + math.lgamma(count) + (count - 1) * self.temperature.log()


class RelaxedOneHotCategorical(TransformedDistribution):
    """Shares of a whole, the closer to a one-hot vector the lower the temperature (Gumbel-softmax).

    Arguments: temperature, probs (…, K) or logits (…, K), validate_args.
    Source: Jang et al. 2017; https://docs.pytorch.org/docs/stable/distributions.html#relaxedonehotcategorical

    >>> import minigrad as mg
    >>> mg.distributions.RelaxedOneHotCategorical(mg.tensor(0.5), logits=mg.zeros(3)).rsample().sum().round()
    tensor(1.)
    """

    arg_constraints = Shares.arg_constraints
    support = constraints.simplex

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        super().__init__(ExpRelaxedCategorical(temperature, probs, logits), ExpTransform(), validate_args)

    temperature = property(lambda self: self.base_dist.temperature)
    probs = property(lambda self: self.base_dist.probs)
    logits = property(lambda self: self.base_dist.logits)
