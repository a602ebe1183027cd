"""Layers with state or several modes: normalisation, dropout, embedding, losses, reparametrised weights."""

import math
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

F = nn.functional


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_moves_its_statistics_and_uses_them(momentum):
    layer, batches = nn.BatchNorm1d(3, momentum=momentum), [mg.randn(8, 3) * 2 + 1 for _ in range(4)]
    mean, var = np.zeros(3), np.ones(3)
    for count, batch in enumerate(batches, 1):
        layer(batch)
        factor = momentum or 1 / count
        mean = (1 - factor) * mean + factor * batch.numpy().mean(0)
        var = (1 - factor) * var + factor * batch.numpy().var(0, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 4
    layer.eval()
    expected = (batches[0].numpy() - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(layer(batches[0]).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert layer.num_batches_tracked.item() == 4


def test_batch_norm_is_exact_far_from_zero():
    x = mg.from_numpy((np.random.default_rng(0).standard_normal((64, 2, 8, 8)) + 1000).astype(np.float32))
    out = nn.BatchNorm2d(2)(x).detach().numpy()
    assert abs(out.mean()) < 1e-3 and abs(out.std() - 1) < 1e-3


def test_float16_norms_compute_in_float32():
    x = (mg.randn(4, 3, 50) * 100).half()
    for out in (F.batch_norm(x, None, None, training=True), F.layer_norm(x, (50,)), F.group_norm(x, 1)):
        assert out.dtype == mg.float16 and bool(out.isfinite().all())


@pytest.mark.parametrize(
    "layer, shape",
    [
        (nn.Dropout, (50, 40)),
        (nn.Dropout1d, (50, 40, 3)),
        (nn.Dropout2d, (50, 40, 3, 2)),
        (nn.Dropout3d, (9, 40, 2, 2, 2)),
    ],
)
def test_dropout_keeps_the_mean_and_meets_the_same_noise_in_backward(layer, shape):
    x = mg.ones(*shape, requires_grad=True)
    out = layer(0.25)(x)
    values = out.detach().numpy()
    assert set(np.unique(values)) == {0.0, np.float32(1 / 0.75)}
    kept = (values > 0).reshape(shape[0], shape[1], -1)
    assert (kept == kept[:, :, :1]).all() and abs(kept[:, :, 0].mean() - 0.75) < 0.06
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), values)
    assert layer(0.25).eval()(x) is x


def test_alpha_dropout_keeps_mean_and_variance():
    values = nn.AlphaDropout(0.3)(mg.randn(300, 300)).numpy()
    assert abs(values.mean()) < 0.02 and abs(values.var() - 1) < 0.03


def test_embedding_padding_max_norm_and_errors():
    layer = nn.Embedding(4, 3, padding_idx=0, max_norm=1.0)
    out = layer(mg.tensor([0, 1, 1]))
    assert (np.linalg.norm(layer.weight.detach().numpy()[1]) <= 1 + 1e-6) and not out[0].detach().numpy().any()
    out.sum().backward()
    assert layer.weight.grad.sum(1).tolist() == [0, 6, 0, 0]
    for bad in (mg.tensor([4]), mg.tensor([-1])):
        with pytest.raises(IndexError, match="index out of range in self"):
            layer(bad)
    with pytest.raises(RuntimeError, match="Long, Int"):
        layer(mg.ones(1))


@pytest.mark.parametrize(
    "act, error, message",
    [
        (lambda: F.cross_entropy(mg.zeros(3, 5), mg.tensor([0, 5, 1])), IndexError, "Target 5 is out of bounds."),
        (lambda: F.cross_entropy(mg.zeros(3, 5), mg.tensor([0, 1, 1, 2])), ValueError, r"batch_size \(3\) .* \(4\)"),
        (lambda: F.cross_entropy(mg.zeros(3, 5), mg.zeros(3)), RuntimeError, "expected scalar type Long"),
        (lambda: F.nll_loss(mg.zeros(3, 5), mg.tensor([0, -1, 1])), IndexError, "Target -1 is out of bounds."),
        (lambda: F.mse_loss(mg.zeros(2), mg.zeros(2), reduction="avg"), ValueError, "avg is not a valid value"),
        (lambda: F.binary_cross_entropy(mg.ones(2) * 2, mg.ones(2)), RuntimeError, "between 0 and 1"),
        (lambda: nn.BatchNorm1d(3)(mg.ones(1, 3)), ValueError, "more than 1 value per channel when training"),
        (lambda: nn.BatchNorm2d(3)(mg.ones(4, 3)), ValueError, "expected 4D input"),
        (lambda: nn.GroupNorm(2, 3), ValueError, "divisible"),
        (lambda: nn.LayerNorm(4)(mg.ones(2, 3)), RuntimeError, "Given normalized_shape"),
        (lambda: nn.Dropout(1.5), ValueError, "between 0 and 1"),
        (lambda: nn.Linear(2, 3)(mg.ones(4, 5)), RuntimeError, "4x5 and 2x3"),
        (lambda: nn.Linear(2, 3)(mg.ones(4, 2, dtype=mg.float64)), RuntimeError, "same dtype"),
        (lambda: nn.SyncBatchNorm(3)(mg.ones(3)), ValueError, "at least 2D"),
        (lambda: nn.MultiheadAttention(5, 2), AssertionError, "divisible by num_heads"),
    ],
)
def test_errors(act, error, message):
    with pytest.raises(error, match=message):
        act()


def test_cross_entropy_of_large_scores_and_of_nothing():
    x = mg.tensor([[1000.0, 0.0], [-1000.0, 0.0]], requires_grad=True)
    loss = F.cross_entropy(x, mg.tensor([0, 1]))
    loss.backward()
    assert loss.item() == 0.0 and not x.grad.numpy().any()
    ignored = mg.tensor([-100, -100])
    assert math.isnan(F.cross_entropy(x, ignored).item()) and F.cross_entropy(x, ignored, reduction="sum").item() == 0.0


def test_soft_targets_are_differentiated_too():
    x = mg.randn(3, 4, dtype=mg.float64, requires_grad=True)
    q = mg.randn(3, 4, dtype=mg.float64).softmax(1).requires_grad_()
    weight = mg.rand(4, dtype=mg.float64)
    assert mg.autograd.gradcheck(lambda x, q: F.cross_entropy(x, q, weight, label_smoothing=0.1), (x, q))
    hard = mg.tensor([1, 0, 3])
    one_hot = F.one_hot(hard, 4).double()
    for smoothing in (0.0, 0.3):
        a, b = (
            F.cross_entropy(x, target, weight, reduction="sum", label_smoothing=smoothing) for target in (hard, one_hot)
        )
        assert a.item() == pytest.approx(b.item())


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_clip_grad_norm(p):
    parameters = [nn.Parameter(mg.zeros(3, 2)), nn.Parameter(mg.zeros(4)), nn.Parameter(mg.zeros(1))]
    for parameter in parameters[:2]:
        parameter.grad = mg.randn(*parameter.shape)
    before = np.concatenate([q.grad.numpy().ravel() for q in parameters[:2]])
    total = nn.utils.clip_grad_norm_(parameters, 0.5, p)
    assert total.item() == pytest.approx(np.linalg.norm(before, p), rel=1e-5)
    after = np.concatenate([q.grad.numpy().ravel() for q in parameters[:2]])
    np.testing.assert_allclose(after, before * 0.5 / np.linalg.norm(before, p), rtol=1e-4)


def test_clip_grad_norm_refuses_nonfinite_when_asked():
    parameter = nn.Parameter(mg.zeros(2))
    parameter.grad = mg.tensor([math.inf, 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(parameter, 1.0, error_if_nonfinite=True)
    assert parameter.grad.tolist() == [math.inf, 1.0]
    parameter.grad = mg.ones(2)
    with pytest.warns(FutureWarning):
        nn.utils.clip_grad_norm(parameter, 1.0)


def test_vectors_and_parameters():
    model = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(model.parameters())
    assert vector.shape == (9,) and vector.requires_grad
    nn.utils.vector_to_parameters(mg.arange(9.0), model.parameters())
    assert model.bias.tolist() == [6, 7, 8]
    with pytest.raises(RuntimeError, match="more elements"):
        nn.utils.vector_to_parameters(mg.ones(3), model.parameters())


def test_weight_norm_both_ways():
    x = mg.randn(4, 3)
    for normalise in (nn.utils.weight_norm, nn.utils.parametrizations.weight_norm):
        layer = nn.Linear(3, 2)
        expected = layer(x).detach().numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            normalise(layer)
        np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
        layer(x).sum().backward()
        assert all(parameter.grad is not None for parameter in layer.parameters())


def test_spectral_norm_finds_the_largest_singular_value():
    for normalise in (nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm):
        layer = normalise(nn.Linear(6, 4), n_power_iterations=50)
        layer(mg.ones(1, 6))
        layer.eval()
        assert np.linalg.norm(layer.weight.detach().numpy(), 2) == pytest.approx(1, abs=1e-3)


def test_parametrisation_that_changes_the_shape_is_refused():
    class Half(nn.Module):
        def forward(self, x):
            return x[:1]

    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="may not change the shape"):
        nn.utils.parametrize.register_parametrization(layer, "weight", Half())
    assert type(layer) is nn.Linear and list(layer.state_dict()) == ["weight", "bias"]


def test_attention_masks_hide():
    q = mg.randn(2, 4, 3)
    causal = F.scaled_dot_product_attention(q, q, q, is_causal=True)
    mask = mg.ones(4, 4, dtype=mg.bool).tril()
    np.testing.assert_allclose(causal.numpy(), F.scaled_dot_product_attention(q, q, q, mask).numpy(), rtol=1e-6)
    np.testing.assert_allclose(causal[:, 0].numpy(), q[:, 0].numpy(), rtol=1e-6)
    mask[2] = False
    assert not F.scaled_dot_product_attention(q, q, q, mask)[:, 2].numpy().any()


def test_multihead_attention_of_permuted_keys_is_the_same():
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x, order = mg.randn(2, 5, 8), mg.tensor([3, 1, 4, 0, 2])
    out, weights = attention(x, x, x, average_attn_weights=False)
    permuted, _ = attention(x, x[:, order], x[:, order], need_weights=False)
    np.testing.assert_allclose(out.detach().numpy(), permuted.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert weights.shape == (2, 2, 5, 5)
    np.testing.assert_allclose(weights.detach().numpy().sum(-1), 1, rtol=1e-5)
