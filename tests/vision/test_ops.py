"""Stochastic depth."""

import copy
import math

import pytest

import minigrad as mg
from minigrad.vision.ops import StochasticDepth, stochastic_depth


@pytest.mark.parametrize("mode", ["batch", "row"])
@pytest.mark.parametrize("dtype", [mg.float16, mg.float32, mg.float64])
def test_all_or_nothing_of_a_batch_or_a_row(mode, dtype):
    x = (2.0 ** mg.randint(-3, 4, (40, 3, 2, 2))).to(dtype)  # powers of two: dividing by them is exact
    scales = set()
    for _ in range(30):
        out = stochastic_depth(x, 0.2, mode)
        assert out.dtype == dtype and out.shape == x.shape
        ratio = (out / x).reshape(40, -1)
        assert bool((ratio == ratio[:, :1]).all())  # a row is dropped or kept as a whole
        rows = {round(value, 2) for value in ratio[:, 0].tolist()}
        assert len(rows) == 1 or mode == "row"
        scales |= rows
    assert scales == {0.0, 1.25}


@pytest.mark.parametrize("mode, draws", [("batch", 4000), ("row", 1)])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_mean_is_the_input(mode, draws, p):
    """What survives is scaled at training, so that nothing is to be done at test time."""
    x = mg.ones(4000 // draws, 2)
    kept = [(stochastic_depth(x, p, mode) != 0).float().mean().item() for _ in range(draws)]
    mean = [stochastic_depth(x, p, mode).mean().item() for _ in range(draws)]
    deviation = math.sqrt(p * (1 - p) / 4000)
    assert sum(kept) / draws == pytest.approx(1 - p, abs=4 * deviation)
    assert sum(mean) / draws == pytest.approx(1, abs=4 * deviation / (1 - p))


@pytest.mark.parametrize("mode", ["batch", "row"])
def test_nothing_happens_at_test_time_or_without_dropping(mode):
    x = mg.randn(3, 2)
    assert stochastic_depth(x, 0.7, mode, training=False) is x
    assert stochastic_depth(x, 0.0, mode) is x
    assert StochasticDepth(0.7, mode).eval()(x) is x


@pytest.mark.parametrize("mode", ["batch", "row"])
def test_what_is_always_dropped_is_zero_not_nan(mode):
    x = mg.randn(3, 2, requires_grad=True)
    before = x.tolist()
    out = stochastic_depth(x, 1.0, mode)
    assert out.tolist() == [[0, 0]] * 3 and x.tolist() == before
    out.sum().backward()
    assert x.grad.tolist() == [[0, 0]] * 3


def test_the_gradient_goes_where_the_value_went():
    x = mg.randn(50, 3, requires_grad=True)
    out = stochastic_depth(x, 0.4, "row")
    out.sum().backward()
    assert mg.allclose(x.grad * x.detach(), out.detach())
    assert {round(value, 4) for value in x.grad.flatten().tolist()} == {0.0, round(1 / 0.6, 4)}


def test_the_seed_decides():
    x = mg.ones(100, 1)
    layer = StochasticDepth(0.5, "row")
    mg.manual_seed(3)
    first = layer(x).tolist()
    mg.manual_seed(3)
    assert layer(x).tolist() == first
    assert layer(x).tolist() != first


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4, 5, 6)])
def test_any_rank_in_mode_batch(shape):
    assert stochastic_depth(mg.ones(shape), 0.5, "batch").shape == shape


def test_an_empty_batch():
    assert stochastic_depth(mg.ones(0, 3), 0.5, "row").shape == (0, 3)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((-0.1, "row"), ValueError, "drop probability has to be between 0 and 1, but got -0.1"),
        ((1.5, "row"), ValueError, "drop probability has to be between 0 and 1, but got 1.5"),
        ((0.5, "column"), ValueError, "mode has to be either 'batch' or 'row', but got column"),
    ],
)
def test_errors(arguments, error, message):
    for training in (True, False):
        with pytest.raises(error, match=message):
            stochastic_depth(mg.ones(2), *arguments, training)
    with pytest.raises(error, match=message):
        StochasticDepth(*arguments)(mg.ones(2))


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="stochastic_depth"):
        stochastic_depth([1.0, 2.0], 0.5, "row")
    with pytest.raises(IndexError):
        stochastic_depth(mg.tensor(1.0), 0.5, "row")


def test_the_layer():
    layer = StochasticDepth(0.3, "row")
    assert repr(layer) == "StochasticDepth(p=0.3, mode=row)"
    assert list(layer.state_dict()) == []
    assert repr(copy.deepcopy(layer)) == repr(layer)
