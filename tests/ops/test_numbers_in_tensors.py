"""Numbers given as tensors without dimensions: scales, orders of norms, bounds, counts and sizes."""

import warnings

import pytest

import minigrad as mg
from minigrad.nn import functional as F

X = mg.tensor([1.0, 3.0, -0.5])
TWO = mg.tensor(2.0)
ONE = mg.tensor(1)
CALLS = [
    (lambda n: mg.add(X, X, alpha=n), 2.0),
    (lambda n: mg.sub(X, X, alpha=n), 2.0),
    (lambda n: mg.rsub(X, X, alpha=n), 2.0),
    (lambda n: X.clone().add_(X, alpha=n), 2),
    (lambda n: X.norm(n), 2.0),
    (lambda n: mg.linalg.norm(X, n), 2.0),
    (lambda n: mg.cdist(X[:, None], X[:, None], p=n), 1.0),
    (lambda n: F.normalize(X, p=n, dim=0), 1.0),
    (lambda n: mg.histc(X, 3, n, n + 3), 2.0),
    (lambda n: mg.std(X, correction=n), 1),
    (lambda n: mg.var(X, 0, correction=n), 0),
    (lambda n: F.nll_loss(mg.zeros(2, 3), mg.tensor([0, 1]), ignore_index=n), 1),
    (lambda n: F.cross_entropy(mg.eye(3), mg.tensor([0, 1, 2]), ignore_index=n), 1),
    (lambda n: F.gaussian_nll_loss(X, X + 1, X.abs(), eps=n), 0.75),
]


@pytest.mark.parametrize("call, number", CALLS)
def test_a_number_may_be_a_tensor(call, number):
    for tensor in (mg.tensor(number), mg.tensor(number, dtype=mg.float64 if isinstance(number, float) else mg.int32)):
        assert mg.equal(call(tensor), call(number))


@pytest.mark.parametrize("call, number", CALLS[:2])
def test_no_number_has_dimensions_or_a_gradient(call, number):
    for tensor in (mg.tensor([number]), mg.tensor(number, requires_grad=True)):
        with pytest.raises(TypeError, match="alpha"):
            call(tensor)


@pytest.mark.parametrize(
    "old, new",
    [
        (lambda: X.clone().add_(TWO, X), lambda: X + 2 * X),
        (lambda: X.sub(ONE, X), lambda: X - X),
        (lambda: X.clone().addcmul_(TWO, X, X), lambda: X + 2 * X * X),
        (lambda: X.clone().addcdiv_(-TWO, X, X), lambda: X - 2),
        (lambda: mg.eye(2).addmm(TWO, ONE, mg.eye(2), mg.eye(2)), lambda: 3 * mg.eye(2)),
        (lambda: TWO.addcmul(TWO, TWO, TWO), lambda: mg.tensor(10.0)),
    ],
)
def test_scales_before_the_tensors(old, new):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        result = old()
    assert mg.equal(result, new()) and [warning.filename for warning in seen] == [__file__]
    assert "deprecated" in str(seen[0].message)


def test_sizes_of_layers_may_be_tensors():
    labels = mg.tensor([0, 2, 1])
    layer = mg.nn.Linear(4, labels.max() + 1)
    assert layer(mg.ones(2, 4)).shape == (2, 3) and repr(layer) == "Linear(in_features=4, out_features=3, bias=True)"
    assert mg.nn.BatchNorm1d(ONE + 2).running_mean.shape == (3,)


def test_the_flat_weights_of_a_recurrent_layer_can_be_set():
    layer, other = mg.nn.LSTM(3, 4), mg.nn.LSTM(3, 4)
    x = mg.ones(5, 2, 3)
    assert not mg.equal(layer(x)[0], other(x)[0])
    layer._flat_weights = [getattr(other, name) for name in layer._flat_weights_names]
    assert mg.equal(layer(x)[0], other(x)[0])


def test_the_old_name_of_sdpa_kernel():
    x = mg.rand(1, 2, 4)
    with pytest.warns(FutureWarning, match="sdpa_kernel"), mg.backends.cuda.sdp_kernel(enable_flash=False):
        result = F.scaled_dot_product_attention(x, x, x)
    assert mg.equal(result, F.scaled_dot_product_attention(x, x, x))
    with pytest.warns(FutureWarning), pytest.raises(RuntimeError, match="No available kernel"):
        with mg.backends.cuda.sdp_kernel(False, False, True):
            pass
