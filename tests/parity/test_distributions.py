"""Distributions beside PyTorch's: densities, moments, gradients, samples, shapes, errors and divergences."""

import itertools
import pickle
import re
import warnings

import numpy as np
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")


def numbers(m, *values):
    return m.tensor(values, dtype=m.float64, requires_grad=True)


def matrix(m):
    return m.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=m.float64)


# name -> how it is made of the package d, the library m and numbers n(…); values for log_prob
MADE = {
    "Normal": (lambda d, m, n: d.Normal(n(0.5, -1.0), n(1.0, 2.0)), [0.3, -2.0]),
    "Uniform": (lambda d, m, n: d.Uniform(n(0.0, -1.0), n(1.0, 2.0)), [0.3, 0.9]),
    "Exponential": (lambda d, m, n: d.Exponential(n(0.5, 2.0)), [0.3, 2.0]),
    "Laplace": (lambda d, m, n: d.Laplace(n(0.5, -1.0), n(1.0, 2.0)), [0.3, -2.0]),
    "Cauchy": (lambda d, m, n: d.Cauchy(n(0.5, -1.0), n(1.0, 2.0)), [0.3, -2.0]),
    "Gumbel": (lambda d, m, n: d.Gumbel(n(0.5, -1.0), n(1.0, 2.0)), [0.3, -2.0]),
    "HalfNormal": (lambda d, m, n: d.HalfNormal(n(0.5, 2.0)), [0.3, 2.0]),
    "HalfCauchy": (lambda d, m, n: d.HalfCauchy(n(0.5, 2.0)), [0.3, 2.0]),
    "Gamma": (lambda d, m, n: d.Gamma(n(0.5, 3.0), n(1.0, 2.0)), [0.3, 2.0]),
    "Chi2": (lambda d, m, n: d.Chi2(n(0.5, 3.0)), [0.3, 2.0]),
    "Beta": (lambda d, m, n: d.Beta(n(0.5, 3.0), n(0.7, 2.0)), [0.3, 0.9]),
    "Dirichlet": (lambda d, m, n: d.Dirichlet(n(0.5, 3.0, 1.5)), [0.3, 0.5, 0.2]),
    "StudentT": (lambda d, m, n: d.StudentT(n(2.5, 0.5), n(1.0, 0.0), n(1.0, 2.0)), [0.3, -2.0]),
    "LogNormal": (lambda d, m, n: d.LogNormal(n(0.5, -1.0), n(1.0, 0.5)), [0.3, 2.0]),
    "covariance": (lambda d, m, n: d.MultivariateNormal(n(1.0, 2.0), matrix(m)), [0.3, 2.0]),
    "precision": (lambda d, m, n: d.MultivariateNormal(n(1.0, 2.0), precision_matrix=matrix(m)), [0.3, 2.0]),
    "tril": (lambda d, m, n: d.MultivariateNormal(n(1.0, 2.0), scale_tril=matrix(m).tril()), [0.3, 2.0]),
    "Bernoulli": (lambda d, m, n: d.Bernoulli(n(0.2, 0.7)), [1.0, 0.0]),
    "Bernoulli logits": (lambda d, m, n: d.Bernoulli(logits=n(0.2, -0.7)), [1.0, 0.0]),
    "Categorical": (lambda d, m, n: d.Categorical(n(0.2, 0.7, 2.0)), [2, 0]),
    "Categorical logits": (lambda d, m, n: d.Categorical(logits=n(0.2, 0.7, -2.0)), [2, 0]),
    "OneHotCategorical": (lambda d, m, n: d.OneHotCategorical(n(0.2, 0.7, 2.0)), [0.0, 1.0, 0.0]),
    "StraightThrough": (lambda d, m, n: d.OneHotCategoricalStraightThrough(logits=n(0.2, 0.7)), [0.0, 1.0]),
    "Geometric": (lambda d, m, n: d.Geometric(n(0.2, 0.7)), [3.0, 0.0]),
    "Poisson": (lambda d, m, n: d.Poisson(n(0.2, 7.0)), [3.0, 0.0]),
    "Binomial": (lambda d, m, n: d.Binomial(5, n(0.2, 0.7)), [3.0, 0.0]),
    "Binomial logits": (lambda d, m, n: d.Binomial(m.tensor(4.0), logits=n(0.2, 0.7)), [3.0, 0.0]),
    "NegativeBinomial": (lambda d, m, n: d.NegativeBinomial(5, n(0.2, 0.7)), [3.0, 0.0]),
    "Multinomial": (lambda d, m, n: d.Multinomial(5, n(0.2, 0.7, 0.1)), [3.0, 2.0, 0.0]),
    "RelaxedBernoulli": (lambda d, m, n: d.RelaxedBernoulli(n(0.5, 2.0), n(0.2, 0.7)), [0.3, 0.6]),
    "LogitRelaxedBernoulli": (
        lambda d, m, n: d.relaxed_bernoulli.LogitRelaxedBernoulli(n(0.5), logits=n(0.2, 0.7)), [0.3, -0.6],
    ),
    "RelaxedOneHot": (lambda d, m, n: d.RelaxedOneHotCategorical(n(0.5)[0], n(0.2, 0.7)), [0.3, 0.7]),
    "Independent": (lambda d, m, n: d.Independent(d.Laplace(n(0.5, -1.0), n(1.0, 2.0)), 1), [0.3, -2.0]),
    "Transformed": (
        lambda d, m, n: d.TransformedDistribution(
            d.Normal(n(0.5, -1.0), n(1.0, 2.0)),
            [d.AffineTransform(1.0, n(2.0, -3.0)), d.TanhTransform(), d.AffineTransform(0.5, 0.5)],
        ),
        [0.3, 0.6],
    ),
    "sigmoid": (
        lambda d, m, n: d.TransformedDistribution(d.Normal(n(0.5, -1.0), 1.0), d.SigmoidTransform()), [0.3, 0.6],
    ),
    "inverse": (
        lambda d, m, n: d.TransformedDistribution(d.Gamma(n(2.0, 3.0), 1.0), [d.ExpTransform().inv]), [0.3, -0.6],
    ),
    "composed": (
        lambda d, m, n: d.TransformedDistribution(
            d.Exponential(n(2.0, 3.0)), d.ComposeTransform([d.PowerTransform(n(2.0, 0.5)), d.AffineTransform(1.0, 2.0)])
        ),
        [1.3, 2.6],
    ),
    "events": (
        lambda d, m, n: d.TransformedDistribution(d.Normal(n(0.5, -1.0), 1.0), [d.AffineTransform(1.0, 2.0, 1)]),
        [0.3, 0.6],
    ),
    "softplus": (
        lambda d, m, n: d.TransformedDistribution(d.Normal(n(0.5, -1.0), 1.0), [d.SoftplusTransform()]), [0.3, 0.6],
    ),
    "mixture": (
        lambda d, m, n: d.MixtureSameFamily(d.Categorical(n(0.2, 0.8)), d.Normal(n(0.5, -1.0), n(1.0, 2.0))),
        [0.3, 2.0],
    ),
    "mixture of vectors": (
        lambda d, m, n: d.MixtureSameFamily(
            d.Categorical(n(0.2, 0.8)), d.Independent(d.Normal(n(0.5, -1.0, 0.0, 1.0).reshape(2, 2), 1.0), 1)
        ),
        [0.3, 2.0],
    ),
    "InverseGamma": (lambda d, m, n: d.InverseGamma(n(0.5, 3.0), n(1.0, 2.0)), [0.3, 2.0]),
    "Kumaraswamy": (lambda d, m, n: d.Kumaraswamy(n(0.5, 3.0), n(0.7, 2.0)), [0.3, 0.9]),
    "LogisticNormal": (lambda d, m, n: d.LogisticNormal(n(0.5, -1.0), n(1.0, 2.0)), [0.3, 0.5, 0.2]),
    "Pareto": (lambda d, m, n: d.Pareto(n(0.5, 1.0), n(0.7, 3.0)), [0.7, 2.0]),
    "Weibull": (lambda d, m, n: d.Weibull(n(0.5, 3.0), n(1.5, 2.0)), [0.3, 2.0]),
    "FisherSnedecor": (lambda d, m, n: d.FisherSnedecor(n(1.5, 3.0), n(2.5, 6.0)), [0.3, 2.0]),
    "GeneralizedPareto": (lambda d, m, n: d.GeneralizedPareto(n(0.5, 0.0), n(1.0, 2.0), n(0.3, -0.5)), [0.7, 2.0]),
    "GeneralizedPareto 0": (lambda d, m, n: d.GeneralizedPareto(0.0, n(1.0, 2.0), m.zeros(2).double()), [0.7, 2.0]),
    "VonMises": (lambda d, m, n: d.VonMises(n(0.5, -3.0), n(1.0, 20.0)), [0.3, -2.0]),
    "ContinuousBernoulli": (lambda d, m, n: d.ContinuousBernoulli(n(0.2, 0.5)), [0.3, 0.9]),
    "ContinuousBernoulli logits": (lambda d, m, n: d.ContinuousBernoulli(logits=n(0.2, -0.7)), [0.3, 0.9]),
    "LowRankMultivariateNormal": (
        lambda d, m, n: d.LowRankMultivariateNormal(n(1.0, 2.0), n(0.5, -1.0).reshape(2, 1), n(0.3, 1.0)), [0.3, 2.0],
    ),
    "LKJCholesky": (
        lambda d, m, n: d.LKJCholesky(3, n(0.5, 2.0)), [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.6, 0.8]],
    ),
    "Wishart": (lambda d, m, n: d.Wishart(n(4.0, 3.5), matrix(m)), [[2.0, 0.3], [0.3, 1.0]]),
    "Wishart precision": (
        lambda d, m, n: d.Wishart(n(5.0), precision_matrix=matrix(m)), [[2.0, 0.3], [0.3, 1.0]],
    ),
    "Wishart tril": (lambda d, m, n: d.Wishart(n(5.0)[0], scale_tril=matrix(m).tril()), [[2.0, 0.3], [0.3, 1.0]]),
    "breaking sticks": (
        lambda d, m, n: d.TransformedDistribution(
            d.MultivariateNormal(n(1.0, 2.0), matrix(m)), [d.AffineTransform(0.5, 2.0), d.StickBreakingTransform()]
        ),
        [0.3, 0.2, 0.5],
    ),
    "reshaped": (
        lambda d, m, n: d.TransformedDistribution(
            d.Normal(n(0.5, -1.0, 0.0, 1.0), 1.0), [d.ReshapeTransform((4,), (2, 2)), d.ExpTransform()]
        ),
        [[0.3, 2.0], [1.0, 1.0]],
    ),
    "correlated": (
        lambda d, m, n: d.TransformedDistribution(d.Normal(n(0.5, -1.0, 0.0), 1.0), d.CorrCholeskyTransform()),
        [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.6, 0.8]],
    ),
}  # fmt: skip
LIBRARIES = ((torch, torch.distributions), (mg, mg.distributions))


@pytest.fixture(autouse=True)
def checked_arguments():
    """Arguments are checked, whatever ran before: PyTorch's compiler switches its checks off for the process."""
    before = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(True)
    yield
    torch.distributions.Distribution.set_default_validate_args(before)


def pair(name):
    """(library, distribution, its leaves, the value), of PyTorch and of minigrad."""
    make, value = MADE[name]
    made = []
    for module, package in LIBRARIES:
        leaves = []

        def n(*values, module=module, leaves=leaves):
            leaves.append(numbers(module, *values))
            return leaves[-1]

        kind = module.int64 if isinstance(value[0], int) else module.float64
        made.append((module, make(package, module, n), leaves, module.tensor(value, dtype=kind)))
    return made


# Where PyTorch is wrong: NaN of the logarithm of a negative number; a row of n entries is too long, by Beta(n - 1/2, …)
# instead of Beta(n / 2, …), so that samples do not have their own log_prob (tests/distributions/test_families.py).
# Bessel functions of VonMises are polynomials there.
ROUGH = {"VonMises": 1e-4}
WRONG_QUANTITIES, WRONG_SAMPLES = {("Kumaraswamy", "mode")}, {"LKJCholesky"}
QUANTITIES = {
    "log_prob": lambda d, v: d.log_prob(v),
    "entropy": lambda d, v: d.entropy(),
    "mean": lambda d, v: d.mean,
    "mode": lambda d, v: d.mode,
    "variance": lambda d, v: d.variance,
    "stddev": lambda d, v: d.stddev,
    "cdf": lambda d, v: d.cdf(v),
    "icdf": lambda d, v: d.icdf(v.clamp(0.1, 0.9)),
    "perplexity": lambda d, v: d.perplexity(),
    "enumerate_support": lambda d, v: d.enumerate_support(),
    "not expanded": lambda d, v: d.enumerate_support(expand=False),
    "probs": lambda d, v: d.probs,
    "logits": lambda d, v: d.logits,
    "expanded": lambda d, v: d.expand((3, *d.batch_shape)).log_prob(v),
    "expanded mean": lambda d, v: d.expand((3, *d.batch_shape)).mean,
    "covariance_matrix": lambda d, v: d.covariance_matrix,
    "precision_matrix": lambda d, v: d.precision_matrix,
    "scale_tril": lambda d, v: d.scale_tril,
    "log_cdf": lambda d, v: d.log_cdf(v),
    "log_survival_function": lambda d, v: d.log_survival_function(v),
    "concentration": lambda d, v: d.concentration,
    "loc": lambda d, v: d.loc,
    "lower": lambda d, v: d.support.lower_bound + 0 * v,
}


@pytest.mark.parametrize("name", MADE)
def test_quantities_and_their_gradients(name):
    for quantity, compute in QUANTITIES.items():
        if (name, quantity) in WRONG_QUANTITIES:
            continue
        found = []
        for _, made, leaves, value in pair(name):
            try:
                result = compute(made, value)
                for leaf in leaves:
                    leaf.grad = None
                if result.requires_grad and not result.isnan().any():
                    result.sum().backward()
                gradients = [np.zeros(1) if leaf.grad is None else leaf.grad.numpy() for leaf in leaves]
                found.append([result.detach().numpy(), *gradients])
            except (NotImplementedError, AttributeError, ValueError, RuntimeError) as error:
                found.append(type(error).__name__)
        theirs, ours = found
        if isinstance(theirs, str) or isinstance(ours, str):
            # Where PyTorch has a quantity, so has minigrad.
            assert isinstance(theirs, str) and (theirs == ours or theirs != "ValueError"), f"{quantity}: {ours}"
            continue
        for their, our in zip(theirs, ours, strict=True):
            their, our = np.broadcast_arrays(their, our) if their.size == 1 else (their, our)
            np.testing.assert_allclose(our, their, rtol=ROUGH.get(name, 1e-6), atol=1e-9, err_msg=quantity)


@pytest.mark.parametrize("name", MADE)
def test_shapes_and_samples(name):
    (_, theirs, _, _), (_, ours, _, _) = pair(name)
    assert tuple(ours.batch_shape) == tuple(theirs.batch_shape)
    assert tuple(ours.event_shape) == tuple(theirs.event_shape)
    assert ours.has_rsample >= theirs.has_rsample and ours.has_enumerate_support == theirs.has_enumerate_support
    assert ours.support.event_dim == theirs.support.event_dim
    torch.manual_seed(0)
    mg.manual_seed(0)
    shape = (4, 500)
    found = ours.sample(shape)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Singular sample")  # PyTorch warns of those that are not
        expected = theirs.sample(shape)
    assert tuple(found.shape) == tuple(expected.shape) and not found.requires_grad
    assert str(found.dtype).rpartition(".")[2] == str(expected.dtype).rpartition(".")[2]
    assert bool(ours.support.check(found).all())
    columns = [each.numpy().reshape(2000, -1) for each in (expected, found)]
    for their, our in zip(columns[0].T, columns[1].T, strict=True):
        grid = np.unique(np.concatenate([their, our]))
        shares = [np.searchsorted(np.sort(values), grid, side="right") / 2000 for values in (their, our)]
        assert name in WRONG_SAMPLES or np.abs(shares[0] - shares[1]).max() < 0.07  # Kolmogorov and Smirnov
    if ours.has_rsample:
        assert ours.rsample((2,)).requires_grad
    else:
        with pytest.raises(NotImplementedError):
            ours.rsample()


@pytest.mark.parametrize("name", ["Gamma", "Beta", "Dirichlet", "StudentT", "Gumbel", "Laplace", "RelaxedOneHot"])
def test_gradients_of_samples_are_those_of_means(name):
    """d E[log(1 + x²)] / d parameter, from samples in both libraries."""
    gradients = []
    for module, made, leaves, _ in pair(name):
        module.manual_seed(1)
        (made.rsample((40000,)) ** 2).log1p().mean(0).sum().backward()
        gradients.append(np.concatenate([leaf.grad.numpy() for leaf in leaves]))
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=0.08, atol=0.02)


@pytest.mark.parametrize("alpha", [0.05, 0.7, 3.0, 40.0, 450.0, 5000.0])
def test_the_slope_of_gamma_samples(alpha):
    from minigrad.distributions.continuous import _gamma_slope

    x = np.abs(alpha + np.sqrt(alpha) * np.array([-0.9, -0.3, 0.1, 1.0, 2.5]))
    expected = torch._standard_gamma_grad(torch.full((5,), alpha, dtype=torch.float64), torch.tensor(x)).numpy()
    np.testing.assert_allclose(_gamma_slope(np.full(5, alpha), x), expected, rtol=2e-3)


DIVERGENCES = {
    "Normal": lambda d, n: d.Normal(n(0, 1), n(1, 2)),
    "Uniform": lambda d, n: d.Uniform(n(0, 1), n(1, 2) + 1),
    "Laplace": lambda d, n: d.Laplace(n(0, 1), n(1, 2)),
    "Cauchy": lambda d, n: d.Cauchy(n(0, 1), n(1, 2)),
    "Gumbel": lambda d, n: d.Gumbel(n(0, 1), n(1, 2)),
    "HalfNormal": lambda d, n: d.HalfNormal(n(1, 2)),
    "Exponential": lambda d, n: d.Exponential(n(1, 2)),
    "Gamma": lambda d, n: d.Gamma(n(1, 2), n(2, 1)),
    "Beta": lambda d, n: d.Beta(n(1, 2), n(2, 1)),
    "Dirichlet": lambda d, n: d.Dirichlet(n(1, 2)),
    "Poisson": lambda d, n: d.Poisson(n(1, 2)),
    "Bernoulli": lambda d, n: d.Bernoulli(n(1, 2) / 5),
    "Binomial": lambda d, n: d.Binomial(4, n(1, 2) / 5),
    "Geometric": lambda d, n: d.Geometric(n(1, 2) / 5),
    "Categorical": lambda d, n: d.Categorical(n(1, 2)),
    "OneHotCategorical": lambda d, n: d.OneHotCategorical(n(1, 2)),
    "LogNormal": lambda d, n: d.LogNormal(n(0, 1), n(1, 2)),
    "Independent": lambda d, n: d.Independent(d.Normal(n(0, 1), n(1, 2)), 1),
    "MultivariateNormal": lambda d, n: d.MultivariateNormal(n(0, 1), n(1, 0.5, 0.5, 2).reshape(2, 2)),
    "LowRankMultivariateNormal": lambda d, n: d.LowRankMultivariateNormal(n(0, 1), n(1, 3).reshape(2, 1), n(1, 2)),
    "ContinuousBernoulli": lambda d, n: d.ContinuousBernoulli(n(1, 2) / 5),
    "Pareto": lambda d, n: d.Pareto(n(0.5, 0.7), n(1.9, 3)),
    "Uniform within": lambda d, n: d.Uniform(n(0.1, 0.2), n(0.5, 0.7)),
    "Uniform around": lambda d, n: d.Uniform(n(-1, -2), n(5, 7)),
    "Uniform of 1": lambda d, n: d.Uniform(n(0, 0), n(1, 1)),
    "Wishart": lambda d, n: d.Wishart(n(4)[0], n(1, 0.5, 0.5, 2).reshape(2, 2)),
    "Chi2": lambda d, n: d.Chi2(n(4, 1)),
    "Weibull": lambda d, n: d.Weibull(n(4, 1), n(2, 1)),
    "HalfCauchy": lambda d, n: d.HalfCauchy(n(4, 1)),
}


@pytest.mark.parametrize("first, second", list(itertools.product(DIVERGENCES, DIVERGENCES)))
def test_divergences(first, second):
    found = []
    for module, package in LIBRARIES:
        p = DIVERGENCES[first](package, lambda *values, m=module: m.tensor(values, dtype=m.float64))
        q = DIVERGENCES[second](package, lambda *values, m=module: m.tensor(values, dtype=m.float64) * 1.25)
        try:
            found.append(package.kl_divergence(p, q).detach().numpy())
        except NotImplementedError:
            found.append(None)
    theirs, ours = found
    assert (theirs is None) == (ours is None)
    if ours is not None:
        np.testing.assert_allclose(*np.broadcast_arrays(ours, theirs), rtol=1e-6, atol=1e-9)


def test_divergences_are_there_for_the_same_pairs():
    pairs = [
        {(p.__name__, q.__name__) for p, q in rules}
        for rules in (torch.distributions.kl._KL_REGISTRY, mg.distributions.kl._RULES)
    ]
    assert pairs[0] <= pairs[1]


WRONG = [
    lambda d, m: d.Normal(0.0, -1.0),
    lambda d, m: d.Normal("a", 1.0),
    lambda d, m: d.Normal(m.tensor(float("nan")), 1.0),
    lambda d, m: d.Uniform(1.0, 0.0),
    lambda d, m: d.Exponential(0.0),
    lambda d, m: d.Gamma(1.0, -1.0),
    lambda d, m: d.Beta(0.0, 1.0),
    lambda d, m: d.Dirichlet(m.tensor(1.0)),
    lambda d, m: d.Dirichlet(m.tensor([1.0, -1.0])),
    lambda d, m: d.Categorical(m.tensor([2.0, -1.0])),
    lambda d, m: d.Categorical(m.tensor(1.0)),
    lambda d, m: d.Categorical(m.ones(2), m.ones(2)),
    lambda d, m: d.Categorical(m.ones(3)).log_prob(m.tensor(3)),
    lambda d, m: d.Bernoulli(1.5),
    lambda d, m: d.Bernoulli(),
    lambda d, m: d.Bernoulli(0.5).log_prob(m.tensor(0.5)),
    lambda d, m: d.Geometric(0.0),
    lambda d, m: d.Poisson(1.0).log_prob(m.tensor(1.5)),
    lambda d, m: d.Binomial(3, 0.5).log_prob(m.tensor(4.0)),
    lambda d, m: d.Multinomial(m.tensor([2, 3]), m.ones(2)),
    lambda d, m: d.Multinomial(3, m.ones(2)).log_prob(m.tensor([3.0, 1.0])),
    lambda d, m: d.OneHotCategorical(m.ones(2)).log_prob(m.ones(2)),
    lambda d, m: d.Normal(m.zeros(2), 1.0).log_prob(m.zeros(3)),
    lambda d, m: d.Normal(0.0, 1.0).log_prob(1.0),
    lambda d, m: d.HalfNormal(1.0).log_prob(m.tensor(-1.0)),
    lambda d, m: d.Dirichlet(m.ones(2)).log_prob(m.ones(2)),
    lambda d, m: d.MultivariateNormal(m.zeros(2)),
    lambda d, m: d.MultivariateNormal(m.tensor(0.0), m.eye(2)),
    lambda d, m: d.MultivariateNormal(m.zeros(2), m.ones(2)),
    lambda d, m: d.MultivariateNormal(m.zeros(2), -m.eye(2)),
    lambda d, m: d.MultivariateNormal(m.zeros(2), scale_tril=m.ones(2, 2)),
    lambda d, m: d.MultivariateNormal(m.zeros(2), m.eye(2)).log_prob(m.zeros(3)),
    lambda d, m: d.Independent(d.Normal(0.0, 1.0), 1),
    lambda d, m: d.TransformedDistribution(d.Normal(0.0, 1.0), [3]),
    lambda d, m: d.MixtureSameFamily(d.Normal(0.0, 1.0), d.Normal(m.zeros(2), 1.0)),
    lambda d, m: d.MixtureSameFamily(d.Categorical(m.ones(3)), d.Normal(m.zeros(2), 1.0)),
    lambda d, m: d.kl_divergence(d.Normal(0.0, 1.0), d.Categorical(m.ones(2))),
    lambda d, m: d.FisherSnedecor(1.0, -1.0),
    lambda d, m: d.GeneralizedPareto(0.0, 0.0, 1.0),
    lambda d, m: d.GeneralizedPareto(m.zeros(2), 1.0, -0.5).log_prob(m.tensor(2.5)),
    lambda d, m: d.HalfNormal(m.tensor([1.0, -1.0])),
    lambda d, m: d.HalfCauchy("a"),
    lambda d, m: d.InverseGamma(1.0, 0.0),
    lambda d, m: d.InverseGamma(1.0, 1.0).log_prob(m.tensor(-1.0)),
    lambda d, m: d.Kumaraswamy(1.0, -1.0, validate_args=True),
    lambda d, m: d.LKJCholesky(1),
    lambda d, m: d.LKJCholesky(3, -1.0),
    lambda d, m: d.LKJCholesky(2).log_prob(m.ones(2, 2)),
    lambda d, m: d.LogisticNormal(m.zeros(2), -m.ones(2)),
    lambda d, m: d.LogisticNormal(m.zeros(2), m.ones(2)).log_prob(m.ones(3)),
    lambda d, m: d.LowRankMultivariateNormal(m.tensor(0.0), m.ones(2, 1), m.ones(2)),
    lambda d, m: d.LowRankMultivariateNormal(m.zeros(2), m.ones(2), m.ones(2)),
    lambda d, m: d.LowRankMultivariateNormal(m.zeros(2), m.ones(3, 1), m.ones(2)),
    lambda d, m: d.LowRankMultivariateNormal(m.zeros(2), m.ones(2, 1), m.ones(3)),
    lambda d, m: d.LowRankMultivariateNormal(m.zeros(3, 2), m.ones(2, 2, 1), m.ones(2)),
    lambda d, m: d.Pareto(1.0, 0.0),
    lambda d, m: d.Pareto(1.0, 1.0).log_prob(m.tensor(0.5)),
    lambda d, m: d.VonMises(1.0, -1.0),
    lambda d, m: d.VonMises(1.0, 1.0).cdf(m.tensor(0.5)),
    lambda d, m: d.VonMises(1.0, 1.0).rsample(),
    lambda d, m: d.Weibull(1.0, -1.0),
    lambda d, m: d.Weibull(1.0, 1.0).log_prob(m.tensor(-1.0)),
    lambda d, m: d.Wishart(3.0),
    lambda d, m: d.Wishart(3.0, m.eye(2), m.eye(2)),
    lambda d, m: d.Wishart(3.0, m.ones(2)),
    lambda d, m: d.Wishart(1.0, m.eye(2)),
    lambda d, m: d.Wishart(3.0, -m.eye(2)),
    lambda d, m: d.Wishart(3.0, m.eye(2)).log_prob(m.ones(2, 2)),
    lambda d, m: d.ContinuousBernoulli(),
    lambda d, m: d.ContinuousBernoulli(1.5, validate_args=True),
    lambda d, m: d.ContinuousBernoulli(0.5).log_prob(m.tensor(1.5)),
    lambda d, m: d.Poisson(1.0).entropy(),
    lambda d, m: d.LKJCholesky(2).mean,
    lambda d, m: d.TransformedDistribution(d.Normal(0.0, 1.0), d.ExpTransform()).stddev,
    lambda d, m: d.LogisticNormal(m.zeros(2), 1.0).mode,
    lambda d, m: d.Distribution(validate_args=False).support,
    lambda d, m: d.kl_divergence(d.Poisson(1.0), d.Normal(0.0, 1.0)),
    lambda d, m: d.kl_divergence(d.LogNormal(0.0, 1.0), d.HalfNormal(1.0)),
    lambda d, m: d.kl_divergence(
        d.MultivariateNormal(m.zeros(2), m.eye(2)), d.LowRankMultivariateNormal(m.zeros(3), m.ones(3, 1), m.ones(3))
    ),
    lambda d, m: d.Independent(d.Bernoulli(m.ones(2) / 2), 1).enumerate_support(),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_errors(number):
    classes = []
    for module, package in LIBRARIES:
        with pytest.raises(Exception) as caught:
            WRONG[number](package, module)
        classes.append(caught.type.__name__)
    assert classes[0] == classes[1]


@pytest.mark.filterwarnings("ignore:Singular sample")  # of PyTorch's Wishart
@pytest.mark.parametrize("name", MADE)
def test_kinds(name):
    """Which classes of PyTorch's they belong to, what their arguments may be, and how they print."""
    (_, theirs, _, _), (_, ours, _, value) = pair(name)
    for base in ("ExponentialFamily", "TransformedDistribution", "Independent", "Gamma"):
        kinds = [isinstance(made, getattr(d, base)) for (_, d), made in zip(LIBRARIES, (theirs, ours), strict=True)]
        assert kinds[0] == kinds[1] or name == "Gumbel", base
    if type(theirs) is not torch.distributions.MixtureSameFamily:
        own = r"torch|minigrad|, (requires_grad|grad_fn)=[^)]+"
        said = [
            {key: re.sub(own, "", repr(allowed)) for key, allowed in each.arg_constraints.items()}
            for each in (theirs, ours)
        ]
        assert said[0] == said[1]
        if not repr(theirs).endswith("()"):  # where PyTorch shows parameters
            assert repr(ours).replace("minigrad", "torch") == repr(theirs)
    for quantity in ("mean", "mode", "variance", "stddev", "sample", "rsample", "entropy"):
        shapes = []
        for made in (theirs, ours):
            try:
                found = getattr(made.expand((3, *made.batch_shape)), quantity)
                shapes.append(tuple((found() if callable(found) else found).shape))
            except (NotImplementedError, AttributeError):
                shapes.append(None)
        assert shapes[0] == shapes[1] or shapes[0] is None, quantity
    assert mg.equal(pickle.loads(pickle.dumps(ours)).log_prob(value), ours.log_prob(value))
    assert ours.expand((3, *ours.batch_shape)).batch_shape == theirs.expand((3, *theirs.batch_shape)).batch_shape


def test_an_exponential_family_of_ones_own():
    """Entropy and divergence from the log normalizer."""
    found = []
    for m, d in LIBRARIES:

        class Count(d.ExponentialFamily):
            arg_constraints = {}
            _mean_carrier_measure = 0
            _natural_params = property(lambda self: (self.rate.log(),))

            def __init__(self, rate):
                self.rate = rate
                super().__init__(rate.shape, validate_args=False)

            def _log_normalizer(self, x):
                return x.exp()

        p, q = (Count(m.tensor(rate, dtype=m.float64)) for rate in ([0.5, 2.0], [1.5, 1.0]))
        found.append([p.entropy().detach().numpy(), d.kl_divergence(p, q).detach().numpy()])
    np.testing.assert_allclose(found[1], found[0])


def test_a_distribution_of_ones_own_in_the_manner_of_pytorch():
    for m, d in LIBRARIES:

        class Clipped(d.Distribution):
            arg_constraints = {"loc": d.constraints.real, "high": d.constraints.dependent}
            has_rsample = True

            def __init__(self, loc, high, validate_args=None, d=d):
                self.loc, self.high = d.utils.broadcast_all(loc, high)
                super().__init__(self.loc.shape, validate_args=validate_args)

            @d.constraints.dependent_property(is_discrete=False, event_dim=0)
            def support(self, d=d):
                return d.constraints.less_than(self.high)

            def expand(self, batch_shape, _instance=None):
                new = self._get_checked_instance(Clipped, _instance)  # noqa: B023
                new.loc, new.high = self.loc.expand(batch_shape), self.high.expand(batch_shape)
                super(Clipped, new).__init__(batch_shape, validate_args=False)  # noqa: B023
                new._validate_args = self._validate_args
                return new

            def rsample(self, sample_shape=(), d=d):
                noise = d.utils._standard_normal(self._extended_shape(sample_shape), self.loc.dtype, self.loc.device)
                return (self.loc + noise).clamp(max=self.high - 1e-3)

            def log_prob(self, value):
                if self._validate_args:
                    self._validate_sample(value)
                return -((value - self.loc) ** 2)

        class Narrower(Clipped):
            def __init__(self):
                super().__init__(0.0, 1.0)

        made = Clipped(m.zeros(2), 0.5).expand((3, 2))
        assert made.sample((4,)).shape == (4, 3, 2) and made.log_prob(made.sample()).shape == (3, 2)
        with pytest.raises(ValueError, match="within the support"):
            made.log_prob(m.ones(2))
        with pytest.raises(NotImplementedError, match="expand"):
            Narrower().expand((2,))
        assert d.biject_to(made.support)(m.zeros(3, 2)).max() < 0.5 and Clipped.support.event_dim == 0


def test_generalized_pareto_in_single_precision():
    for concentration in (0.3, 0.0, -0.5):
        found = []
        for m, d in LIBRARIES:
            made, x = d.GeneralizedPareto(0.5, m.tensor([1.0, 2.0]), concentration), m.tensor([0.7, 2.0])
            answers = (made.log_prob(x), made.cdf(x), made.log_cdf(x), made.log_survival_function(x), made.icdf(x / 3))
            found.append(np.stack([each.numpy() for each in answers]))
        np.testing.assert_allclose(found[1], found[0], rtol=2e-5)


def test_checks_can_be_left_out_and_modules_have_pytorchs_names():
    for module, package in LIBRARIES:
        assert package.Normal(0.0, -1.0, validate_args=False).loc == 0
        package.Distribution.set_default_validate_args(False)
        try:
            assert package.Bernoulli(0.5).log_prob(module.tensor(0.5)) < 0
        finally:
            package.Distribution.set_default_validate_args(True)
        assert repr(package.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
        assert package.constraints.positive.check(module.tensor([1.0, 0.0])).tolist() == [True, False]
        assert package.AffineTransform(1.0, 2.0).inv(module.tensor(3.0)) == 1
    from minigrad.distributions.categorical import Categorical
    from minigrad.distributions.multivariate_normal import MultivariateNormal
    from minigrad.distributions.transforms import TanhTransform

    names = (Categorical, MultivariateNormal, TanhTransform)
    assert names == tuple(getattr(mg.distributions, each.__name__) for each in names)
