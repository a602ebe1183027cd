"""Kullback-Leibler divergences."""

import math

from minigrad.distributions.continuous import (
    Beta,
    Cauchy,
    Dirichlet,
    Exponential,
    Gamma,
    Gumbel,
    HalfNormal,
    Laplace,
    MultivariateNormal,
    Uniform,
)
from minigrad.distributions.discrete import Bernoulli, Binomial, Categorical, Geometric, OneHotCategorical, Poisson
from minigrad.distributions.distribution import Independent
from minigrad.distributions.normal import Normal
from minigrad.distributions.transforms import TransformedDistribution
from minigrad.ops.decomposition import solve
from minigrad.registry import FUNCTIONS

_EULER = 0.57721566490153286060
_RULES = {}


def register_kl(type_p, type_q):
    """Return a decorator for the function kl(p, q) of a pair of classes of distributions, or of their subclasses.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#torch.distributions.kl.register_kl
    """

    def register(rule):
        _RULES[type_p, type_q] = rule
        return rule

    return register


def kl_divergence(p, q):
    """Return KL(p ‖ q) = E_p[log p - log q] per distribution of the batch; NotImplementedError for an unknown pair.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.kl

    >>> from minigrad.distributions import Normal, kl_divergence
    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
    tensor(0.5000)
    """
    for kind in type(p).__mro__:
        for other in type(q).__mro__:
            if (kind, other) in _RULES:
                return _RULES[kind, other](p, q)
    raise NotImplementedError(
        f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
    )


def _infinite_where(value, outside):
    return value.masked_fill(outside, math.inf)


@register_kl(Normal, Normal)
def _normal(p, q):
    ratio, shift = (p.scale / q.scale) ** 2, ((p.loc - q.loc) / q.scale) ** 2
    return 0.5 * (ratio + shift - 1 - ratio.log())


@register_kl(Categorical, Categorical)
def _categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    return terms.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0.0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p, q):
    return _categorical(p._categorical, q._categorical)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p, q):
    a, b = p.probs, q.probs
    return a.xlogy(a) - a.xlogy(b) + (1 - a).xlogy(1 - a) - (1 - a).xlogy(1 - b)


@register_kl(Binomial, Binomial)
def _binomial(p, q):
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    found = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return _infinite_where(found, p.total_count > q.total_count)


@register_kl(Geometric, Geometric)
def _geometric(p, q):
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poisson(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p, q):
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return _infinite_where(found, (q.low > p.low) | (q.high < p.high))


@register_kl(Uniform, Normal)
def _uniform_normal(p, q):
    width, middle = p.high - p.low, (p.high + p.low - 2 * q.loc) / 2
    return (math.sqrt(2 * math.pi) * q.scale / width).log() + (width**2 / 12 + middle**2) / (2 * q.scale**2)


@register_kl(Normal, Laplace)
def _normal_laplace(p, q):
    away, ratio = p.loc - q.loc, p.scale / q.scale
    spread = math.sqrt(2 / math.pi) * p.scale * (-0.5 * (away / p.scale) ** 2).exp()
    mean = spread + away * (math.sqrt(0.5) * away / p.scale).erf()
    return -ratio.log() + mean / q.scale - 0.5 * math.log(0.5 * math.pi) - 0.5


@register_kl(Exponential, Exponential)
def _exponential(p, q):
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Gamma, Gamma)
def _gamma(p, q):
    return (
        q.concentration * (p.rate / q.rate).log()
        + q.concentration.lgamma()
        - p.concentration.lgamma()
        + (p.concentration - q.concentration) * p.concentration.digamma()
        + (q.rate - p.rate) * (p.concentration / p.rate)
    )


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p, q):
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    means = a.digamma() - total.digamma().unsqueeze(-1)
    return total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1) + ((a - b) * means).sum(-1)


@register_kl(Beta, Beta)
def _beta(p, q):
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Laplace, Laplace)
def _laplace(p, q):
    ratio, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + away / q.scale + ratio * (-away / p.scale).exp() - 1


@register_kl(Cauchy, Cauchy)
def _cauchy(p, q):
    return ((p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2).log() - (4 * p.scale * q.scale).log()


@register_kl(Gumbel, Gumbel)
def _gumbel(p, q):
    ratio, p_place, q_place = p.scale / q.scale, p.loc / q.scale, q.loc / q.scale
    stretched = (q_place + (1 + ratio).lgamma() - p_place).exp()
    return -ratio.log() - q_place + p_place + ratio * _EULER + stretched - (1 + _EULER)


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p, q):
    return _normal(p.base_dist, q.base_dist)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError("KL-divergence of two MultivariateNormals with different event shapes cannot be computed")
    size = p.event_shape[0]
    shape = FUNCTIONS["broadcast_shapes"](p.batch_shape, q.batch_shape)
    mine, theirs = p._factor.expand((*shape, size, size)), q._factor.expand((*shape, size, size))
    trace = solve(theirs, mine).pow(2).flatten(-2).sum(-1)
    away = q.whitened(q.loc - p.loc).pow(2).sum(-1)
    return q.half_log_det() - p.half_log_det() + 0.5 * (trace + away - size)


@register_kl(Independent, Independent)
def _independent(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: the events of the two Independent distributions differ in dimensions")
    return p.summed(kl_divergence(p.base_dist, q.base_dist))


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p, q):
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("kl_divergence: the transforms or events of the two distributions differ")
    extra = len(p.event_shape) - len(p.base_dist.event_shape)
    return Independent(p.base_dist, extra).summed(kl_divergence(p.base_dist, q.base_dist))
