"""Probability distributions: samples, log-probabilities, entropies, and Kullback-Leibler divergences.

Source: https://docs.pytorch.org/docs/stable/distributions.html
"""

import sys as _sys

from minigrad.absent import getter as _getter
from minigrad.distributions import (
    constraint_registry,
    constraints,
    continuous,
    discrete,
    distribution,
    kl,
    matrices,
    mixture,
    relaxed,
    transformed,
    transforms,
    univariate,
)
from minigrad.distributions import normal as normal
from minigrad.distributions.constraint_registry import biject_to, transform_to
from minigrad.distributions.continuous import (
    Beta,
    Cauchy,
    Chi2,
    Dirichlet,
    Exponential,
    Gamma,
    Gumbel,
    Laplace,
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
from minigrad.distributions.exp_family import ExponentialFamily
from minigrad.distributions.kl import kl_divergence, register_kl
from minigrad.distributions.matrices import LKJCholesky, LowRankMultivariateNormal, MultivariateNormal, Wishart
from minigrad.distributions.mixture import MixtureSameFamily
from minigrad.distributions.normal import Normal
from minigrad.distributions.relaxed import (
    ExpRelaxedCategorical,
    LogitRelaxedBernoulli,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
)
from minigrad.distributions.transformed import (
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Kumaraswamy,
    LogisticNormal,
    LogNormal,
    Pareto,
    TransformedDistribution,
    Weibull,
)
from minigrad.distributions.transforms import *  # noqa: F403 - its __all__
from minigrad.distributions.univariate import ContinuousBernoulli, FisherSnedecor, GeneralizedPareto, VonMises

# PyTorch's modules -> the modules here, for programs that import from torch.distributions.categorical and the like.
_PATHS = {
    continuous: "beta cauchy chi2 dirichlet exponential gamma gumbel laplace studentT uniform",
    discrete: "bernoulli binomial categorical geometric multinomial negative_binomial one_hot_categorical poisson",
    distribution: "independent",
    matrices: "lkj_cholesky lowrank_multivariate_normal multivariate_normal wishart",
    mixture: "mixture_same_family",
    relaxed: "relaxed_bernoulli relaxed_categorical",
    transformed: "half_cauchy half_normal inverse_gamma kumaraswamy log_normal logistic_normal pareto "
    "transformed_distribution weibull",
    univariate: "continuous_bernoulli fishersnedecor generalized_pareto von_mises",
}
for _module, _names in _PATHS.items():
    for _name in _names.split():
        _sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _module

_OTHERS = "biject_to constraints identity_transform kl_divergence register_kl transform_to transforms".split()
__all__ = sorted(
    name for name, value in globals().items() if (isinstance(value, type) and name[0] != "_") or name in _OTHERS
)

__getattr__ = _getter(__name__)
