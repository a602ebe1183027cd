"""Each family: densities integrate to one, samples follow them, gradients of samples and densities are right."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import distributions as d
from minigrad.autograd import gradcheck
from tests import fake_cupy


@pytest.fixture(autouse=True)
def seed():
    mg.manual_seed(0)


def n(*values):
    return mg.tensor(values, dtype=mg.float64).squeeze()


# a distribution of numbers, and between which values nearly all of them lie
NUMBERS = {
    "Normal": (d.Normal(n(0.5), n(1.5)), -20, 20),
    "Gamma": (d.Gamma(n(2.5), n(1.5)), 0, 40),
    "Beta": (d.Beta(n(2.5), n(1.5)), 0, 1),
    "StudentT": (d.StudentT(n(5.0)), -400, 400),
    "HalfNormal": (d.HalfNormal(n(1.5)), 0, 20),
    "HalfCauchy": (d.HalfCauchy(n(0.01)), 0, 200),
    "InverseGamma": (d.InverseGamma(n(4.0), n(3.0)), 1e-3, 400),
    "Kumaraswamy": (d.Kumaraswamy(n(2.5), n(1.5)), 0, 1),
    "Pareto": (d.Pareto(n(0.5), n(6.0)), 0.5, 40),
    "Weibull": (d.Weibull(n(1.5), n(2.5)), 1e-9, 20),
    "FisherSnedecor": (d.FisherSnedecor(n(4.0), n(12.0)), 1e-9, 400),
    "GeneralizedPareto": (d.GeneralizedPareto(n(0.5), n(1.5), n(0.1)), 0.5, 400),
    "GeneralizedPareto, exponential": (d.GeneralizedPareto(n(0.5), n(1.5), n(0.0)), 0.5, 60),
    "GeneralizedPareto, bounded": (d.GeneralizedPareto(n(0.5), n(1.5), n(-0.5)), 0.5, 3.5),
    "VonMises": (d.VonMises(n(0.5), n(2.0)), -math.pi, math.pi),
    "ContinuousBernoulli": (d.ContinuousBernoulli(n(0.2)), 0, 1),
    "ContinuousBernoulli, even": (d.ContinuousBernoulli(n(0.5003)), 0, 1),
}
HEAVY = ("StudentT", "HalfCauchy", "InverseGamma", "Pareto", "FisherSnedecor")


@pytest.mark.parametrize("name", NUMBERS)
def test_densities_moments_and_samples_agree(name):
    made, low, high = NUMBERS[name]
    grid = mg.linspace(0, 1, 200_001, dtype=mg.float64)[1:-1]
    x = low + (high - low) * grid**3 if name in HEAVY or low == 0 else low + (high - low) * grid
    density = made.log_prob(x).exp()
    shares = mg.cumulative_trapezoid(density, x)
    assert shares[-1].item() == pytest.approx(1, abs=2e-3)
    try:
        entropy = made.entropy().item()
    except NotImplementedError:
        entropy = None
    if entropy is not None and name not in ("HalfCauchy",):
        found = mg.trapezoid(-density * density.clamp(min=1e-300).log(), x).item()
        assert found == pytest.approx(entropy, abs=5e-3)
    if name not in ("HalfCauchy", "VonMises"):  # the one has none, the other's variance is circular
        assert mg.trapezoid(density * x, x).item() == pytest.approx(made.mean.item(), rel=5e-3)
        second = mg.trapezoid(density * (x - made.mean) ** 2, x).item()
        assert second == pytest.approx(made.variance.item(), rel=2e-2)
    if name == "VonMises":
        assert 1 - mg.trapezoid(density * (x - 0.5).cos(), x).item() == pytest.approx(made.variance.item(), abs=1e-4)
    drawn = np.sort(made.sample((4000,)).numpy())
    at = np.interp(drawn, x[1:].numpy(), shares.numpy())
    assert np.abs(at - (np.arange(4000) + 0.5) / 4000).max() < 0.03  # Kolmogorov and Smirnov
    for quantity in ("cdf", "icdf"):
        try:
            getattr(made, quantity)(n(0.7))
        except NotImplementedError:
            return
    ranks = n(0.1, 0.5, 0.9)
    np.testing.assert_allclose(made.cdf(made.icdf(ranks)).numpy(), ranks.numpy(), rtol=1e-6)
    np.testing.assert_allclose(made.cdf(x[::9999]).numpy(), np.append(0, shares.numpy())[::9999], atol=2e-3)


GRADIENTS = {
    "FisherSnedecor": (d.FisherSnedecor, [4.0, 6.0], 1.3),
    "GeneralizedPareto": (d.GeneralizedPareto, [0.5, 1.5, 0.3], 1.3),
    "VonMises": (d.VonMises, [0.5, 1.5], 1.3),
    "ContinuousBernoulli": (d.ContinuousBernoulli, [0.3], 0.7),
    "InverseGamma": (d.InverseGamma, [2.0, 1.5], 1.3),
    "Kumaraswamy": (d.Kumaraswamy, [2.0, 1.5], 0.3),
    "Pareto": (d.Pareto, [0.5, 1.5], 1.3),
    "Weibull": (d.Weibull, [0.5, 1.5], 1.3),
    "HalfNormal": (d.HalfNormal, [1.5], 1.3),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_densities_and_samples(name):
    family, values, at = GRADIENTS[name]
    leaves = [n(value).requires_grad_() for value in values]
    assert gradcheck(lambda x, *own: family(*own, validate_args=False).log_prob(x), (n(at).requires_grad_(), *leaves))
    if not family.has_rsample or name in ("FisherSnedecor", "InverseGamma"):  # gammas: tests/parity
        return

    def drawn(*own):
        mg.manual_seed(3)
        return family(*own, validate_args=False).rsample((3,))

    assert gradcheck(drawn, leaves)


def correlation(factor):
    return factor @ factor.mT


def test_correlation_factors_follow_their_density():
    made = d.LKJCholesky(2, n(1.5))
    angle = mg.linspace(-1, 1, 20001, dtype=mg.float64)[1:-1]
    zero = mg.zeros_like(angle)
    rows = [mg.stack([zero + 1, zero], -1), mg.stack([angle, (1 - angle**2).sqrt()], -1)]
    assert mg.trapezoid(made.log_prob(mg.stack(rows, -2)).exp(), angle).item() == pytest.approx(1, abs=1e-4)
    for concentration in (0.7, 3.0):  # each correlation of D variables is 2 Beta(c - 1 + D / 2) - 1, Lewandowski 2009
        found = correlation(d.LKJCholesky(4, n(concentration)).sample((20000,)))
        assert d.constraints.corr_cholesky.check(d.LKJCholesky(4, n(concentration)).sample((5,))).all()
        variance = 1 / (2 * (concentration + 1) + 1)
        for i in range(4):
            for j in range(i):
                assert found[:, i, j].var().item() == pytest.approx(variance, rel=0.06)
                assert found[:, i, j].mean().item() == pytest.approx(0, abs=0.02)


def test_wishart_matrices_have_their_moments():
    scale = mg.tensor([[1.0, 0.0], [0.5, 0.8]], dtype=mg.float64, requires_grad=True)
    made = d.Wishart(n(5.5), scale_tril=scale)
    drawn = made.rsample((20000,))
    assert mg.allclose(drawn.mean(0), made.mean, rtol=0.05)
    assert mg.allclose(drawn.var(0), made.variance, rtol=0.08)
    assert (-made.log_prob(drawn)).mean().item() == pytest.approx(made.entropy().item(), abs=0.03)
    (slope,) = mg.autograd.grad(drawn.mean(0).sum(), scale)
    (expected,) = mg.autograd.grad(made.mean.sum(), scale)
    assert mg.allclose(slope.tril(), expected.tril(), rtol=0.05)
    few = drawn[:2].detach()
    log_prob = lambda df, s: d.Wishart(df, scale_tril=s.tril()).log_prob(few)  # noqa: E731
    assert gradcheck(log_prob, (n(4.5).requires_grad_(), scale))
    other = d.Wishart(n(4.0), scale_tril=2 * scale)
    with mg.no_grad():
        expected = (made.log_prob(drawn) - other.log_prob(drawn)).mean().item()
    assert d.kl_divergence(made, other).item() == pytest.approx(expected, rel=0.02)
    batch = d.kl_divergence(made.expand((2,)), other.expand((2,)))
    assert batch.shape == (2,) and batch[1].item() == pytest.approx(d.kl_divergence(made, other).item())


def test_low_rank_is_the_full_matrix():
    parts = (mg.randn(3, 4).double(), mg.randn(4, 2).double(), mg.rand(3, 4).double() + 0.1)
    low = d.LowRankMultivariateNormal(*parts)
    full = d.MultivariateNormal(low.loc, low.covariance_matrix)
    x = mg.randn(5, 3, 4).double()
    assert low.batch_shape == (3,) and mg.allclose(low.log_prob(x), full.log_prob(x))
    assert mg.allclose(low.entropy(), full.entropy()) and mg.allclose(low.precision_matrix, full.precision_matrix)
    assert mg.allclose(low.scale_tril, full.scale_tril)
    for p in (low, full):
        for q in (low, full):
            assert mg.allclose(d.kl_divergence(p, q), mg.zeros(3).double(), atol=1e-9)
    drawn = low.rsample((20000,))
    assert mg.allclose(drawn[:, 1].T.cov(), low.covariance_matrix[1], atol=0.15, rtol=0.05)


class Coin(d.ExponentialFamily):
    """Bernoulli by its natural parameter."""

    _mean_carrier_measure = 0
    _natural_params = property(lambda self: (self.logits,))

    def __init__(self, logits):
        self.logits = logits
        super().__init__(logits.shape, validate_args=False)

    def _log_normalizer(self, x):
        return x.exp().log1p()


def test_the_entropy_and_divergence_of_an_exponential_family():
    a, b = n(0.3, -1.0).requires_grad_(), n(0.7, 0.2)
    mine, theirs = Coin(a), d.Bernoulli(logits=a)
    assert mg.allclose(mine.entropy(), theirs.entropy())
    assert mg.allclose(d.kl_divergence(mine, Coin(b)), d.kl_divergence(theirs, d.Bernoulli(logits=b)))
    (slope,) = mg.autograd.grad(mine.entropy().sum(), a)
    (expected,) = mg.autograd.grad(theirs.entropy().sum(), a)
    assert mg.allclose(slope, expected)
    with pytest.raises(NotImplementedError, match="exponential families"):
        d.kl_divergence(mine, d.Poisson(n(1.0)))
    with pytest.raises(NotImplementedError):
        d.Poisson(n(1.0)).entropy()


def test_what_is_drawn_under_no_grad_keeps_no_gradient_from_what_comes_after():
    logits = n(0.2, -0.7).requires_grad_()
    made = d.ContinuousBernoulli(logits=logits)
    made.sample()
    made.rsample().sum().backward()
    assert logits.grad.abs().min() > 0


def test_singular_matrices_are_drawn_again():
    with pytest.warns(UserWarning, match="Low df"):
        made = d.Wishart(mg.tensor(1.001), mg.eye(2))
    with pytest.warns(UserWarning, match="Singular"):
        drawn = made.sample((2000,))
    assert (drawn.diagonal(dim1=-2, dim2=-1) > 0).all()


def test_samples_and_densities_stay_on_the_gpu():
    with fake_cupy.installed():
        one, eye = mg.ones(2, device="cuda"), mg.eye(2, device="cuda")
        families = [family(*(value * one for value in values)) for family, values, _ in GRADIENTS.values()]
        families += [
            d.LKJCholesky(3, one),
            d.Wishart(3 * one, eye),
            d.LowRankMultivariateNormal(one, eye, one),
            d.LogisticNormal(one, one),
            d.Categorical(one),
            d.TransformedDistribution(d.Normal(mg.ones(3, device="cuda"), 1.0), d.CorrCholeskyTransform()),
        ]
        for made in families:
            drawn = made.sample((3,))
            assert drawn.device.type == "cuda" and made.log_prob(drawn).device.type == "cuda", made
            assert made.support.check(drawn).all()
        assert d.Categorical(one).enumerate_support().device.type == "cuda"
