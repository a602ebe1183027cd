"""Kullback-Leibler divergences."""

import math

from minigrad.distributions.continuous import (
    Beta,
    Cauchy,
    Dirichlet,
    Exponential,
    Gamma,
    Gumbel,
    Laplace,
    Uniform,
)
from minigrad.distributions.discrete import Bernoulli, Binomial, Categorical, Geometric, OneHotCategorical, Poisson
from minigrad.distributions.distribution import Independent, sum_last
from minigrad.distributions.exp_family import ExponentialFamily, slopes
from minigrad.distributions.matrices import LowRankMultivariateNormal, MultivariateNormal
from minigrad.distributions.normal import Normal
from minigrad.distributions.transformed import HalfNormal, Pareto, TransformedDistribution
from minigrad.distributions.univariate import ContinuousBernoulli
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
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _multivariate_normal(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError("KL-divergence of two MultivariateNormals with different event shapes cannot be computed")
    squares = q.length2((q.loc - p.loc).unsqueeze(-1))
    for part in p.covariance_parts():
        squares = squares + q.length2(part)
    return q.half_log_det() - p.half_log_det() + 0.5 * (squares - p.event_shape[0])


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


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_families(p, q):
    if type(p) is not type(q):
        raise NotImplementedError("kl_divergence: the two distributions are of different exponential families")
    given, normalizer, gradients = slopes(p)
    found = q._log_normalizer(*q._natural_params) - normalizer
    for mine, theirs, slope in zip(given, q._natural_params, gradients, strict=True):
        term = (theirs - mine) * slope
        found = found - sum_last(term, term.dim() - found.dim())
    return found


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p, q):
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


# ---------------------------------------------------------------------- of different families: -entropy(p) - E_p[log q]
def _xlogx(x):
    return x.xlogy(x)


def _mean_log_uniform(low, high):
    """Return E[log x] of a uniform x."""
    return (_xlogx(high) - _xlogx(low)) / (high - low) - 1


# E[log x], E[log(1 - x)] and E[exp(-x / s)] of the families that have them
_MEAN_LOG = {
    Beta: lambda p: p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma(),
    Exponential: lambda p: -p.rate.log() - _EULER,
    Gamma: lambda p: p.concentration.digamma() - p.rate.log(),
    Pareto: lambda p: p.scale.log() + 1 / p.alpha,
    Uniform: lambda p: _mean_log_uniform(p.low, p.high),
}
_MEAN_LOG_REST = {Uniform: lambda p: _mean_log_uniform(1 - p.high, 1 - p.low)}
_MEAN_FALL = {
    Exponential: lambda p, s: p.rate / (p.rate + 1 / s),
    Gamma: lambda p, s: (1 + 1 / (p.rate * s)) ** -p.concentration,
    Normal: lambda p, s: (0.5 * (p.scale / s) ** 2 - p.loc / s).exp(),
    Uniform: lambda p, s: s / (p.high - p.low) * ((-p.low / s).exp() - (-p.high / s).exp()),
}


def _of(table, p):
    return next(table[kind] for kind in type(p).__mro__ if kind in table)


def _mean_log(p):
    return _of(_MEAN_LOG, p)(p)


def _log_normal(p, q):
    return -(p.variance + (p.mean - q.loc) ** 2) / (2 * q.scale**2) - q.scale.log() - 0.5 * math.log(2 * math.pi)


def _log_exponential(p, q):
    return q.rate.log() - q.rate * p.mean


def _log_gamma(p, q):
    c = q.concentration
    return c * q.rate.log() - c.lgamma() + (c - 1) * _mean_log(p) - q.rate * p.mean


def _log_beta(p, q):
    a, b = q.concentration1, q.concentration0
    norm = (a + b).lgamma() - a.lgamma() - b.lgamma()
    return norm + (a - 1) * _mean_log(p) + (b - 1) * _of(_MEAN_LOG_REST, p)(p)


def _log_continuous_bernoulli(p, q):
    return p.mean * q.logits + (-q.probs).log1p() + q._log_norm()


def _log_gumbel(p, q):
    fall = _of(_MEAN_FALL, p)(p, q.scale)
    return (q.loc - p.mean) / q.scale - (q.loc / q.scale).exp() * fall - q.scale.log()


def _log_uniform(p, q):
    return -(q.high - q.low).log()


def _log_pareto(p, q):
    return q.alpha.log() + q.alpha * q.scale.log() - (q.alpha + 1) * _mean_log(p)


# q -> E_p[log q] and the families p it is for
_CROSS = {
    Normal: (_log_normal, (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Pareto, Uniform)),
    Exponential: (_log_exponential, (Beta, ContinuousBernoulli, Gamma, Pareto)),
    Gamma: (_log_gamma, (Beta, Exponential, Pareto)),
    Gumbel: (_log_gumbel, (Exponential, Gamma, Normal, Uniform)),
    ContinuousBernoulli: (_log_continuous_bernoulli, (Beta, ContinuousBernoulli)),
}
# (p, q) -> E_p[log q] and where p leaves what q allows (whether at its ends, as PyTorch has it)
_LEAVING = {
    (Pareto, Pareto): (_log_pareto, lambda p, q: p.scale < q.scale),
    (Uniform, Exponential): (_log_exponential, lambda p, q: p.low < 0),
    (Uniform, Gamma): (_log_gamma, lambda p, q: p.low < 0),
    (Uniform, Pareto): (_log_pareto, lambda p, q: p.low < q.scale),
    (Uniform, Beta): (_log_beta, lambda p, q: (p.low < 0) | (p.high > 1)),
    (Uniform, ContinuousBernoulli): (_log_continuous_bernoulli, lambda p, q: (p.low <= 0) | (p.high >= 1)),
    (Beta, Uniform): (_log_uniform, lambda p, q: (q.low > 0) | (q.high < 1)),
    (ContinuousBernoulli, Uniform): (_log_uniform, lambda p, q: (q.low >= 0) | (q.high <= 1)),
}


def _crossing(mean_log, outside=None):
    def rule(p, q):
        found = -p.entropy() - mean_log(p, q)
        return found if outside is None else _infinite_where(found, outside(p, q))

    return rule


def _infinite(p, q):
    return FUNCTIONS["full"](p.batch_shape, math.inf, dtype=p.mean.dtype, device=p.mean.device)


for _q, (_mean_log_q, _families) in _CROSS.items():
    for _p in _families:
        register_kl(_p, _q)(_crossing(_mean_log_q))
for _pair, _how in _LEAVING.items():
    register_kl(*_pair)(_crossing(*_how))
_BOUNDED = (Beta, ContinuousBernoulli, Uniform)
for _families, _narrower in (
    ((Beta, ContinuousBernoulli, Exponential, Gamma), (Pareto,)),
    ((Exponential, Gamma, Pareto), _BOUNDED),
    ((Gumbel, Laplace, Normal), (*_BOUNDED, Exponential, Gamma, Pareto)),
    ((Poisson,), (Bernoulli, Binomial)),
):
    for _p in _families:
        for _q in _narrower:
            register_kl(_p, _q)(_infinite)
