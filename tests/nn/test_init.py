"""nn.init and the layers' first values; their distributions are compared with PyTorch's in tests/parity."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import init


@pytest.mark.parametrize(
    "fill, mean, std, bound",
    [
        (lambda w: init.uniform_(w, -1, 3), 1, 4 / math.sqrt(12), (-1, 3)),
        (lambda w: init.normal_(w, 2, 0.5), 2, 0.5, None),
        (lambda w: init.xavier_uniform_(w, 2.0), 0, 2 * math.sqrt(2 / 500), None),
        (lambda w: init.xavier_normal_(w), 0, math.sqrt(2 / 500), None),
        (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), 0, math.sqrt(2 / 300), None),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="linear"), 0, math.sqrt(1 / 200), None),
        (lambda w: init.trunc_normal_(w), 0, 0.8796, (-2, 2)),
        (lambda w: init.trunc_normal_(w, 1.0, 2.0, 0.5, 9.0), 2.2913, 1.2973, (0.5, 9.0)),
    ],
)
def test_distributions(fill, mean, std, bound):
    weight = fill(mg.empty(200, 300))
    values = weight.numpy()
    assert values.dtype == np.float32
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(values.size)
    assert abs(values.std() / std - 1) < 0.02
    if bound is not None:
        assert bound[0] <= values.min() and values.max() <= bound[1]


def test_structured_values():
    assert init.eye_(mg.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    w = init.dirac_(mg.empty(4, 2, 3, 3), groups=2)
    x = mg.randn(1, 4, 5, 5)
    np.testing.assert_allclose(nn.functional.conv2d(x, w, padding=1, groups=2).numpy(), x.numpy(), rtol=1e-6)
    for shape in ((3, 5), (5, 3), (4, 2, 3)):
        q = init.orthogonal_(mg.empty(*shape, dtype=mg.float64), gain=2).numpy().reshape(shape[0], -1)
        product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
        np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-9)
    sparse = init.sparse_(mg.empty(10, 6), 0.25).numpy()
    assert ((sparse == 0).sum(0) == 3).all()


def test_parameters_are_filled_unrecorded_and_generators_are_used():
    weight = nn.Parameter(mg.zeros(3, 3))
    assert init.ones_(weight) is weight and weight.grad_fn is None and weight.requires_grad
    draws = [init.normal_(mg.empty(4), generator=mg.Generator().manual_seed(5)).tolist() for _ in range(2)]
    assert draws[0] == draws[1]


def test_a_value_written_after_it_was_saved_is_noticed():
    weight = nn.Parameter(mg.ones(2))
    loss = (weight * weight).sum()
    init.zeros_(weight)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(
    "name, param, gain",
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("selu", None, 0.75),
        ("leaky_relu", 1, 1.0),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain)


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda: init.calculate_gain("swish"), "Unsupported nonlinearity"),
        (lambda: init.xavier_uniform_(mg.empty(3)), "fewer than 2 dimensions"),
        (lambda: init.kaiming_normal_(mg.empty(3, 3), mode="fan"), "Mode fan not supported"),
        (lambda: init.eye_(mg.empty(3)), "2 dimensions"),
        (lambda: init.dirac_(mg.empty(3, 3)), "3, 4, or 5 dimensions"),
        (lambda: init.orthogonal_(mg.empty(3)), "2 or more dimensions"),
        (lambda: init.sparse_(mg.empty(3), 0.1), "2 dimensions"),
    ],
)
def test_errors(act, message):
    with pytest.raises(ValueError, match=message):
        act()


def test_deprecated_names_warn():
    with pytest.warns(FutureWarning, match="in favor of"):
        assert init.constant(mg.empty(2), 3.0).tolist() == [3.0, 3.0]


def test_layers_start_as_pytorchs_do():
    linear, conv = nn.Linear(400, 300), nn.Conv2d(16, 32, 5)
    for layer, fan_in in ((linear, 400), (conv, 400)):
        bound = 1 / math.sqrt(fan_in)
        for parameter in layer.parameters():
            values = parameter.detach().numpy()
            assert np.abs(values).max() <= bound
        assert abs(layer.weight.detach().numpy().std() * math.sqrt(3) / bound - 1) < 0.02
    embedding = nn.Embedding(1000, 20, padding_idx=3).weight.detach().numpy()
    assert abs(embedding.std() - 1) < 0.02 and not embedding[3].any()
    norm = nn.BatchNorm2d(3)
    assert [b.tolist() for b in norm.state_dict().values()] == [[1] * 3, [0] * 3, [0] * 3, [1] * 3, 0]


@pytest.mark.parametrize("dtype", [mg.float32, mg.float64])
@pytest.mark.parametrize("point", [0.0, 1.0])
def test_truncated_normal_values_have_no_outliers(monkeypatch, dtype, point):
    """The least and the greatest number that a generator draws are as far from the middle, and not too far."""

    def draw(tensor, kind, generator):
        kind = tensor.array.dtype
        return np.full(tensor.shape, np.nextafter(kind.type(point), kind.type(0)) if point else 0.0, kind)

    monkeypatch.setattr(init, "_standard", draw)
    found = float(init.trunc_normal_(mg.empty(3, dtype=dtype), std=0.01)[0])
    low, high = (5.2, 5.6) if dtype == mg.float32 else (7.9, 8.5)
    assert low < abs(found) / 0.01 < high and (found > 0) == (point == 1.0)
