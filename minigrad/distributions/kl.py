"""Kullback-Leibler divergences between distributions of one kind."""

import math

from minigrad.distributions.discrete import Bernoulli, Categorical
from minigrad.distributions.distribution import Independent
from minigrad.distributions.normal import Normal


def _normal(p, q):
    ratio, shift = (p.scale / q.scale) ** 2, ((p.loc - q.loc) / q.scale) ** 2
    return 0.5 * (ratio + shift - 1 - ratio.log())


def _categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    return terms.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0.0).sum(-1)


def _bernoulli(p, q):
    a, b = p.probs, q.probs
    return a.xlogy(a) - a.xlogy(b) + (1 - a).xlogy(1 - a) - (1 - a).xlogy(1 - b)


def _independent(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: the events of the two Independent distributions differ in dimensions")
    return p.summed(kl_divergence(p.base_dist, q.base_dist))


_RULES = {Normal: _normal, Categorical: _categorical, Bernoulli: _bernoulli, Independent: _independent}


def kl_divergence(p, q):
    """Return KL(p ‖ q) = E_p[log p - log q] per distribution of the batch; both of one kind, else NotImplementedError.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.kl

    >>> from minigrad.distributions import Normal, kl_divergence
    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
    tensor(0.5000)
    """
    for kind, rule in _RULES.items():
        if isinstance(p, kind) and isinstance(q, kind):
            return rule(p, q)
    raise NotImplementedError(
        f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
    )
