"""gradient against NumPy's, frexp, and the cross-entropy of a linear layer."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import functional as F


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("spacing", [1, 0.5, "coordinates"])
def test_gradient_is_numpys(edge_order, spacing, rng):
    samples = rng.normal(size=(4, 6))
    x = mg.tensor(samples)
    if spacing == "coordinates":
        places = [np.cumsum(rng.uniform(0.5, 2, size)) for size in samples.shape]
        found = mg.gradient(x, spacing=[mg.tensor(p) for p in places], edge_order=edge_order)
        expected = np.gradient(samples, *places, edge_order=edge_order)
    else:
        found = mg.gradient(x, spacing=spacing, edge_order=edge_order)
        expected = np.gradient(samples, spacing, edge_order=edge_order)
    assert isinstance(found, tuple)
    for one, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), reference, rtol=1e-10)
    (last,) = mg.gradient(x, dim=-1)
    np.testing.assert_allclose(last.numpy(), np.gradient(samples, axis=-1))


def test_gradient_has_a_gradient():
    x = mg.tensor([1.0, 4.0, 9.0, 16.0], dtype=mg.float64, requires_grad=True)
    places = mg.tensor([0.0, 1.0, 2.5, 3.0], dtype=mg.float64, requires_grad=True)
    assert mg.autograd.gradcheck(lambda x, p: mg.gradient(x, spacing=[p], edge_order=2)[0], (x, places))


@pytest.mark.parametrize(
    "words, arguments",
    [
        ("edge_order=1 and edge_order=2", {"edge_order": 3}),
        ("at least edge_order", {"dim": 0, "edge_order": 2}),
        ("appears multiple times", {"dim": (1, 1)}),
        ("got a list of length 1", {"spacing": [1.0]}),
        ("a dim argument of length 1", {"spacing": [1.0, 2.0], "dim": (1,)}),
        ("one dimension", {"spacing": [mg.ones(2, 2)], "dim": 1}),
        ("do not match the size", {"spacing": [mg.ones(5)], "dim": 1}),
    ],
)
def test_gradient_errors(words, arguments):
    with pytest.raises(RuntimeError, match=words):
        mg.gradient(mg.ones(2, 4), **arguments)


def test_frexp():
    x = mg.tensor([0.0, 1.0, -3.0, math.inf, 1e-40])
    mantissa, exponent = mg.frexp(x)
    assert exponent.dtype == mg.int32 and exponent.tolist() == [0, 1, 2, 0, -132]
    assert mantissa.tolist()[:4] == [0, 0.5, -0.75, math.inf]
    assert math.isnan(mg.frexp(mg.tensor(math.nan)).mantissa)
    out = (mg.empty(5), mg.empty(5, dtype=mg.int32))
    assert mg.frexp(x, out=out)[0] is out[0] and out[1].tolist() == exponent.tolist()
    with pytest.raises(RuntimeError, match="floating-point"):
        mg.frexp(mg.ones(2, dtype=mg.int64))


def test_linear_cross_entropy_is_the_composition(rng):
    x, weight, bias = (mg.tensor(rng.normal(size=shape)) for shape in ((4, 3), (5, 2, 3), (5, 2)))
    target = mg.tensor(rng.integers(0, 5, size=(4, 2)))
    scores = (x @ weight.reshape(10, 3).t() + bias.reshape(10)).reshape(4, 5, 2)
    expected = F.cross_entropy(scores, target, label_smoothing=0.1)
    found = F.linear_cross_entropy(x, weight, target, linear_bias=bias, label_smoothing=0.1)
    assert found.item() == pytest.approx(expected.item())
    with pytest.raises(RuntimeError, match="dimensionality 1 or 2"):
        F.linear_cross_entropy(x[None], weight, target)
    with pytest.raises(RuntimeError, match="dimensionality at least 2"):
        F.linear_cross_entropy(x, weight[0, 0], target)
    with pytest.raises(RuntimeError, match="linear_bias shape"):
        F.linear_cross_entropy(x, weight, target, linear_bias=bias[:, :1])
    with pytest.raises(RuntimeError, match=r"needs an input \(N, in_features\)"):
        F.linear_cross_entropy(x[0], weight, target[0])


def test_linear_cross_entropy_loss_owns_its_layer():
    loss = mg.nn.LinearCrossEntropyLoss(3, 5, out_features=(2,), bias=True, reduction="sum", dtype=mg.float64)
    assert {name: tuple(p.shape) for name, p in loss.state_dict().items()} == {
        "linear.weight": (10, 3),
        "linear.bias": (10,),
    }
    x, target = mg.ones(4, 3, dtype=mg.float64), mg.zeros(4, 2, dtype=mg.int64)
    value = loss(x, target)
    value.backward()
    expected = F.cross_entropy(loss.linear(x).reshape(4, 5, 2), target, reduction="sum")
    assert value.item() == pytest.approx(expected.item())
    assert loss.linear.weight.grad.abs().sum() > 0
