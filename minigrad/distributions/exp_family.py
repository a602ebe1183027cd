"""Exponential families."""

from minigrad.autograd import enable_grad, grad
from minigrad.distributions.distribution import Distribution, sum_last


def slopes(distribution):
    """Return the natural parameters, the log normalizer, and its gradients with respect to them."""
    with enable_grad():
        given = distribution._natural_params
        given = [each if each.requires_grad else each.detach().requires_grad_() for each in given]
        normalizer = distribution._log_normalizer(*given)
        return given, normalizer, grad(normalizer.sum(), given, create_graph=True)


class ExponentialFamily(Distribution):
    """Densities exp(t(x) · θ - F(θ) + k(x)) with natural parameters θ: the base of such distributions.

    A subclass that has the property ``_natural_params`` (a tuple of θ), ``_log_normalizer(*θ)``, which is F, and the
    property ``_mean_carrier_measure``, which is E[k], gets its entropy, F(θ) - θ · ∇F(θ) - E[k], from them.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#exponentialfamily
    """

    @property
    def _natural_params(self):
        raise NotImplementedError(f"{type(self).__name__}._natural_params")

    def _log_normalizer(self, *natural_params):
        raise NotImplementedError(f"{type(self).__name__}._log_normalizer")

    @property
    def _mean_carrier_measure(self):
        raise NotImplementedError(f"{type(self).__name__}._mean_carrier_measure")

    def entropy(self):
        """Return the entropy in nats, from the log normalizer and its gradients."""
        carrier = self._mean_carrier_measure
        given, normalizer, gradients = slopes(self)
        found = normalizer - carrier
        for each, slope in zip(given, gradients, strict=True):
            found = found - sum_last(each * slope, each.dim() - len(self.batch_shape))
        return found
