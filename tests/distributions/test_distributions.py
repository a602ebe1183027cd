"""Distributions: densities sum to one, samples have the moments, gradients reach the parameters."""

import math

import pytest

import minigrad as mg
from minigrad.distributions import Bernoulli, Categorical, Independent, Normal, kl_divergence


@pytest.fixture(autouse=True)
def seed():
    mg.manual_seed(0)


def test_a_density_integrates_to_one():
    x = mg.linspace(-9, 9, 2001, dtype=mg.float64)
    normal = Normal(mg.tensor(0.5, dtype=mg.float64), 1.25)
    density = normal.log_prob(x).exp()
    assert mg.trapezoid(density, x).item() == pytest.approx(1)
    assert mg.trapezoid(density * -normal.log_prob(x), x).item() == pytest.approx(normal.entropy().item())
    assert normal.cdf(mg.tensor(0.5)).item() == 0.5
    assert normal.icdf(normal.cdf(x[900])).item() == pytest.approx(x[900].item())


@pytest.mark.parametrize("given", ["probs", "logits"])
def test_probabilities_and_logits_are_one_another(given):
    logits = mg.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]])
    chosen = Categorical(logits=logits) if given == "logits" else Categorical(logits.exp())
    assert mg.allclose(chosen.probs, logits.softmax(1)) and mg.allclose(chosen.logits, logits.log_softmax(1))
    every = chosen.log_prob(mg.arange(3).unsqueeze(1)).exp()  # (3, 2)
    assert mg.allclose(every.sum(0), mg.ones(2)) and mg.allclose(every.T, chosen.probs)
    assert mg.allclose(chosen.entropy(), -(every * every.log()).sum(0))
    odds = Bernoulli(logits=logits) if given == "logits" else Bernoulli(logits.sigmoid())
    assert mg.allclose(odds.log_prob(mg.ones(3)).exp(), logits.sigmoid(), atol=1e-6)


@pytest.mark.parametrize(
    "chosen, mean, variance",
    [
        (Normal(2.0, 3.0), 2.0, 9.0),
        (Bernoulli(0.3), 0.3, 0.21),
        (Categorical(mg.tensor([1.0, 0.0, 3.0])), 1.5, 0.75),
    ],
    ids=["normal", "bernoulli", "categorical"],
)
def test_samples_have_the_moments(chosen, mean, variance):
    samples = chosen.sample((20000,)).float()
    assert samples.shape == (20000,) and not samples.requires_grad
    assert samples.mean().item() == pytest.approx(mean, abs=0.1)
    assert samples.var().item() == pytest.approx(variance, rel=0.05)


def test_policy_gradient_and_reparametrisation():
    scores = mg.zeros(3, requires_grad=True)
    (-Categorical(logits=scores).log_prob(mg.tensor(1))).backward()
    assert mg.allclose(scores.grad, mg.tensor([1 / 3, -2 / 3, 1 / 3]))
    loc, scale = mg.tensor(0.0, requires_grad=True), mg.tensor(1.0, requires_grad=True)
    sample = Normal(loc, scale).rsample((4,))
    sample.sum().backward()
    assert loc.grad.item() == 4 and scale.grad.item() == pytest.approx(sample.sum().item(), rel=1e-4)


def test_divergences():
    p, q = Normal(mg.zeros(2, 3), 1.0), Normal(mg.ones(2, 3), 2.0)
    expected = math.log(2) + (1 + 1) / 8 - 0.5
    assert mg.allclose(kl_divergence(p, q), mg.full((2, 3), expected))
    joint = kl_divergence(Independent(p, 1), Independent(q, 1))
    assert joint.shape == (2,) and mg.allclose(joint, mg.full((2,), 3 * expected))
    a, b = Categorical(mg.tensor([0.5, 0.5, 0.0])), Categorical(mg.tensor([1.0, 1.0, 2.0]))
    assert kl_divergence(a, b).item() == pytest.approx(math.log(2)) and kl_divergence(b, a).item() == math.inf
    assert kl_divergence(Bernoulli(0.5), Bernoulli(0.25)).item() == pytest.approx(0.5 * math.log(4 / 3))
    with pytest.raises(NotImplementedError, match="No KL"):
        kl_divergence(a, p)


@pytest.mark.parametrize(
    "run, message",
    [
        (lambda: Normal(0.0, -1.0), "parameter scale"),
        (lambda: Categorical(mg.tensor([-1.0, 2.0])), "parameter probs"),
        (lambda: Categorical(), "but not both"),
        (lambda: Bernoulli(2.0), "parameter probs"),
        (lambda: Categorical(mg.ones(3)).log_prob(mg.tensor(3)), "within the support"),
        (lambda: Normal(0.0, 1.0).log_prob(3), "must be a Tensor"),
        (lambda: Independent(Normal(0.0, 1.0), 1), "reinterpreted_batch_ndims"),
    ],
)
def test_errors(run, message):
    with pytest.raises(ValueError, match=message):
        run()


def test_repr():
    assert repr(Categorical(logits=mg.zeros(2, 3))) == "Categorical(logits: minigrad.Size([2, 3]))"
    assert repr(Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
