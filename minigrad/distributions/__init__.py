"""Probability distributions: samples, log-probabilities, entropies, and Kullback-Leibler divergences.

Source: https://docs.pytorch.org/docs/stable/distributions.html
"""

import sys as _sys

from minigrad.absent import getter as _getter
from minigrad.distributions import constraints, continuous, discrete, distribution, kl, mixture, relaxed, transforms
from minigrad.distributions import normal as normal
from minigrad.distributions.continuous import (
    Beta,
    Cauchy,
    Chi2,
    Dirichlet,
    Exponential,
    Gamma,
    Gumbel,
    HalfCauchy,
    HalfNormal,
    Laplace,
    MultivariateNormal,
    StudentT,
    Uniform,
)
from minigrad.distributions.discrete import (
    Bernoulli,
    Binomial,
    Categorical,
    Geometric,
    Multinomial,
    NegativeBinomial,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    Poisson,
)
from minigrad.distributions.distribution import Distribution, Independent
from minigrad.distributions.kl import kl_divergence, register_kl
from minigrad.distributions.mixture import MixtureSameFamily
from minigrad.distributions.normal import Normal
from minigrad.distributions.relaxed import (
    ExpRelaxedCategorical,
    LogitRelaxedBernoulli,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
)
from minigrad.distributions.transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    LogNormal,
    PowerTransform,
    SigmoidTransform,
    SoftplusTransform,
    TanhTransform,
    Transform,
    TransformedDistribution,
)

# PyTorch's modules -> the modules here, for programs that import from torch.distributions.categorical and the like.
_PATHS = {
    continuous: "beta cauchy chi2 dirichlet exponential gamma gumbel half_cauchy half_normal laplace "
    "multivariate_normal studentT uniform",
    discrete: "bernoulli binomial categorical geometric multinomial negative_binomial one_hot_categorical poisson",
    distribution: "independent",
    mixture: "mixture_same_family",
    relaxed: "relaxed_bernoulli relaxed_categorical",
    transforms: "log_normal transformed_distribution",
}
for _module, _names in _PATHS.items():
    for _name in _names.split():
        _sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _module

__all__ = sorted(
    name
    for name, value in globals().items()
    if isinstance(value, type) or name in ("constraints", "kl_divergence", "register_kl", "transforms")
)

__getattr__ = _getter(__name__)
