"""Mixtures of distributions."""

from minigrad.autograd import no_grad
from minigrad.distributions import constraints
from minigrad.distributions.discrete import Categorical
from minigrad.distributions.distribution import Distribution


class MixtureSameFamily(Distribution):
    """One of K distributions of a family, chosen by a Categorical.

    Arguments: mixture_distribution (Categorical of K), component_distribution (whose last batch dimension is K),
    validate_args. ValueError for other kinds or shapes.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#mixturesamefamily

    >>> import minigrad as mg
    >>> from minigrad.distributions import Categorical, MixtureSameFamily, Normal
    >>> made = MixtureSameFamily(Categorical(mg.ones(2)), Normal(mg.tensor([-1.0, 1.0]), mg.ones(2)))
    >>> made.mean, made.variance
    (tensor(0.), tensor(2.))
    """

    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of torch.distributions.Categorical")
        if not isinstance(component_distribution, Distribution):
            raise ValueError("The Component distribution need to be an instance of torch.distributions.Distribution")
        chosen, batch = tuple(mixture_distribution.batch_shape), tuple(component_distribution.batch_shape)
        if not batch or any(a not in (1, b) and b != 1 for a, b in zip(reversed(chosen), reversed(batch[:-1]))):  # noqa: B905
            raise ValueError(f"batch shapes {chosen} of the mixture and {batch} of the components are not compatible")
        if mixture_distribution._num_events != batch[-1]:
            raise ValueError(f"mixture of {mixture_distribution._num_events} components, but there are {batch[-1]}")
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        super().__init__(batch[:-1], component_distribution.event_shape, validate_args)

    @constraints.dependent_property
    def support(self):
        """What values can be."""
        return constraints.MixtureSameFamilyConstraint(self.component_distribution.support)

    def _weights(self):
        probs = self.mixture_distribution.probs
        return probs.reshape((*probs.shape, *(1 for _ in self.event_shape)))

    @property
    def mean(self):
        """The weighted mean of the means."""
        return (self._weights() * self.component_distribution.mean).sum(-1 - len(self.event_shape))

    @property
    def variance(self):
        """The weighted mean of the variances plus the variance of the means."""
        dim, weights = -1 - len(self.event_shape), self._weights()
        within = (weights * self.component_distribution.variance).sum(dim)
        away = self.component_distribution.mean - self.mean.unsqueeze(dim)
        return within + (weights * away**2).sum(dim)

    def _beside(self, value):
        """Return values with a dimension for the components."""
        return value.unsqueeze(-1 - len(self.event_shape))

    def cdf(self, value):
        """Return the weighted mean of the components' probabilities."""
        return (self.component_distribution.cdf(self._beside(value)) * self.mixture_distribution.probs).sum(-1)

    def log_prob(self, value):
        """Return the logarithm of the weighted mean of the densities."""
        self._check_value(value)
        found = self.component_distribution.log_prob(self._beside(value))
        return (found + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape=()):
        """Return samples of the chosen components."""
        with no_grad():
            chosen = self.mixture_distribution.expand(self.batch_shape).sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            events = len(self.event_shape)
            dim = drawn.dim() - events - 1
            chosen = chosen.reshape((*chosen.shape, 1, *(1 for _ in self.event_shape)))
            return drawn.gather(dim, chosen.expand((*drawn.shape[:dim], 1, *self.event_shape))).squeeze(dim)

    def __repr__(self):
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
