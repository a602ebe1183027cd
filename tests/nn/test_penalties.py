"""L1 and L2 penalties, the choice of parameters, and plain dropout."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.nn.utils import l1_penalty, l2_penalty, select_parameters


def network():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3),
        nn.BatchNorm2d(2),
        nn.Sequential(nn.Flatten(), nn.Linear(8, 3), nn.LayerNorm((1, 3))),
    )


def names_of(model, parameters):
    """The names of the chosen ones, in order."""
    chosen = set(parameters)
    return [name for name, parameter in model.named_parameters() if parameter in chosen]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["0.weight", "0.bias", "1.weight", "1.bias", "2.1.weight", "2.1.bias", "2.2.weight", "2.2.bias"]),
        ({"names": "*.bias"}, ["0.bias", "1.bias", "2.1.bias", "2.2.bias"]),
        ({"names": ("0.*", "2.1.weight")}, ["0.weight", "0.bias", "2.1.weight"]),
        ({"weights_only": True}, ["0.weight", "2.1.weight"]),
        ({"names": "2.*", "weights_only": True}, ["2.1.weight"]),
        ({"names": "2.1"}, ["2.1.weight", "2.1.bias"]),
        ({"names": ["1", "0.bias"]}, ["0.bias", "1.weight", "1.bias"]),
        ({"names": []}, []),
    ],
)
def test_choice(options, expected):
    model = network()
    assert names_of(model, select_parameters(model, **options)) == expected


def test_a_shared_parameter_counts_once():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    assert len(select_parameters(model)) == len(select_parameters(model, "1")) == 1
    assert l1_penalty(model).item() == pytest.approx(model[0].weight.abs().sum().item())


def test_choice_refuses():
    with pytest.raises(ValueError, match=r"no parameter is called 'fc\.\*', .* there are: 0\.weight, 0\.bias"):
        select_parameters(network(), ["0.weight", "fc.*"])
    with pytest.raises(ValueError, match="no parameter is called '2.0'"):
        select_parameters(network(), "2.0")  # it has none
    with pytest.raises(TypeError, match="takes a Module, not list"):
        select_parameters([])


@pytest.mark.parametrize(
    ("penalty", "value", "slope"),
    [(l1_penalty, lambda w: np.abs(w).sum(), np.sign), (l2_penalty, lambda w: (w * w).sum(), lambda w: 2 * w)],
)
def test_values_and_slopes(penalty, value, slope, rng):
    arrays = [rng.normal(size=(3, 2)), rng.normal(size=4), np.array([0.0, -1.0])]
    tensors = [mg.tensor(array, requires_grad=True) for array in arrays]
    result = penalty(iter(tensors))
    assert result.shape == () and result.dtype == mg.float64
    assert result.item() == pytest.approx(sum(value(array) for array in arrays), rel=1e-12)
    result.backward()
    for tensor, array in zip(tensors, arrays):
        np.testing.assert_allclose(tensor.grad.numpy(), slope(array))
    assert penalty(tensors[0]).item() == pytest.approx(value(arrays[0]))


@pytest.mark.parametrize("penalty", [l1_penalty, l2_penalty])
def test_second_order(penalty, rng):
    array = rng.normal(size=(2, 3))
    w = mg.tensor(array + np.sign(array), requires_grad=True)  # away from the kink at 0
    assert mg.autograd.gradcheck(lambda w: penalty([w, w * 2]), w)
    assert mg.autograd.gradgradcheck(lambda w: penalty([w * w, w]), w)


@pytest.mark.parametrize("penalty", [l1_penalty, l2_penalty])
def test_kinds_of_parameters(penalty):
    model = network()
    assert penalty(model).item() == pytest.approx(penalty(model.parameters()).item())
    assert penalty(model).dtype == mg.float32
    assert penalty([]).item() == 0.0
    with pytest.raises(TypeError, match="one item is a tuple; choose parameters by name with"):
        penalty(model.named_parameters())


def test_complex_parameters():
    w = mg.tensor([3 + 4j, 1j], requires_grad=True)
    assert l1_penalty(w).item() == 6.0
    assert l2_penalty(w).item() == pytest.approx(26.0)


def test_l2_penalty_is_weight_decay_of_sgd():
    models = [nn.Linear(3, 2) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    decayed = mg.optim.SGD(models[0].parameters(), lr=0.1, momentum=0.9, weight_decay=0.2)
    penalized = mg.optim.SGD(models[1].parameters(), lr=0.1, momentum=0.9)
    x = mg.randn(4, 3)
    for _ in range(3):
        for model, optimizer, strength in zip(models, (decayed, penalized), (0.0, 0.2)):
            optimizer.zero_grad()
            (model(x).square().mean() + strength / 2 * l2_penalty(model)).backward()
            optimizer.step()
    np.testing.assert_allclose(models[0].weight.tolist(), models[1].weight.tolist(), rtol=1e-5)


# ---------------------------------------------------------------------- plain dropout
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_plain_dropout_masks_and_does_not_scale(p):
    x = mg.rand(200, 100) + 1
    layer = nn.PlainDropout(p)
    y = layer(x)
    kept = y != 0
    assert bool((y[kept] == x[kept]).all())
    assert kept.float().mean().item() == pytest.approx(1 - p, abs=0.01)
    assert bool((layer.eval()(x) == x * (1 - p)).all())
    assert repr(layer) == f"PlainDropout(p={p}, inplace=False)"


def test_plain_and_inverted_dropout_drop_the_same_elements():
    x = mg.rand(50)
    mg.manual_seed(3)
    plain = F.plain_dropout(x, 0.4)
    mg.manual_seed(3)
    inverted = F.dropout(x, 0.4)
    np.testing.assert_allclose((plain / 0.6).tolist(), inverted.tolist(), rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_plain_dropout_gradient(training):
    x = mg.rand(30, dtype=mg.float64, requires_grad=True)
    y = F.plain_dropout(x, 0.25, training)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), (y / x).tolist())


@pytest.mark.parametrize("training", [True, False])
def test_plain_dropout_in_place(training):
    x = mg.ones(8, dtype=mg.float16)
    assert F.plain_dropout(x, 0.5, training, inplace=True) is x
    assert set(x.tolist()) <= ({0.0, 1.0} if training else {0.5})
    assert x.dtype == mg.float16


def test_plain_dropout_refuses():
    with pytest.raises(ValueError, match="between 0 and 1, but got 1.5"):
        nn.PlainDropout(1.5)
    with pytest.raises(RuntimeError, match="use a float tensor"):
        F.plain_dropout(mg.arange(3), 0.5)
    with pytest.raises(TypeError):
        F.plain_dropout([1.0], 0.5)
