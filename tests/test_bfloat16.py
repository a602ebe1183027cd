"""bfloat16: a dtype without ml_dtypes, arrays with it; ops compute in float32 and round once."""

import copy
import io
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from tests import fake_cupy

pytest.importorskip("ml_dtypes")

F = mg.nn.functional
BF16 = mg.bfloat16


def rounded(values):
    """The nearest bfloat16 numbers, ties to even, as float32, by the bits."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    bits = bits + 0x7FFF + ((bits >> 16) & 1)
    return (bits & 0xFFFF0000).astype(np.uint32).view(np.float32)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def of(values):
    return mg.tensor(values).to(BF16)


def agree(ours, expected):
    assert ours.dtype == BF16
    np.testing.assert_array_equal(ours.detach().float().numpy(), rounded(expected))


WITHOUT_PACKAGE = """
import sys
sys.modules["ml_dtypes"] = None
import minigrad as mg
assert mg.bfloat16 is mg.bfloat16 and mg.bfloat16 != mg.float16 and repr(mg.bfloat16) == "minigrad.bfloat16"
assert mg.bfloat16.itemsize == 2 and mg.bfloat16.is_floating_point and mg.bfloat16.is_signed
assert mg.finfo(mg.bfloat16).eps == 2**-7 and mg.finfo(mg.bfloat16).bits == 16
assert not isinstance(mg.ones(1), mg.BFloat16Tensor) and mg.cuda.is_bf16_supported() is False
for make in (lambda: mg.zeros(2, dtype=mg.bfloat16), mg.ones(2).bfloat16, lambda: mg.nn.Linear(2, 2).bfloat16(),
             lambda: mg.ones(2).to(mg.bfloat16), lambda: mg.autocast("cpu")):
    try:
        make()
    except ImportError as error:
        assert "minigrad-cnn[bfloat16]" in str(error)
    else:
        raise AssertionError("no error")
with mg.autocast("cpu", dtype=mg.float16):
    assert (mg.ones(2, 2) @ mg.ones(2, 2)).dtype == mg.float16
"""


def test_the_dtype_exists_without_the_package_and_arrays_name_the_extra():
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT_PACKAGE], check=True, timeout=60)


def test_importing_minigrad_does_not_import_ml_dtypes():
    code = "import sys, minigrad as m; m.bfloat16, m.finfo(m.bfloat16); assert 'ml_dtypes' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


PROMOTIONS = [
    ("bfloat16", "bfloat16"), ("float16", "float32"), ("float32", "float32"), ("float64", "float64"),
    ("int64", "bfloat16"), ("uint8", "bfloat16"), ("bool", "bfloat16"), ("complex64", "complex64"),
    ("complex128", "complex128"),
]  # fmt: skip


@pytest.mark.parametrize(("other", "expected"), PROMOTIONS)
def test_promotion(other, expected):
    other, expected = getattr(mg, other), getattr(mg, expected)
    assert mg.promote_types(BF16, other) == mg.promote_types(other, BF16) == expected
    assert (mg.ones(2, dtype=BF16) + mg.ones(2, dtype=other)).dtype == expected
    assert mg.result_type(mg.ones(2, dtype=BF16), 1.5) == BF16
    assert (mg.ones(2, dtype=BF16) * mg.tensor(2.0)).dtype == BF16


def test_creation_values_and_text():
    x = mg.tensor([1.0, 0.1, math.inf, math.nan], dtype=BF16)
    assert x.tolist()[:3] == [1.0, 0.10009765625, math.inf] and math.isnan(x[3].item())
    assert str(x) == "tensor([1.0000, 0.1001,    inf,    nan], dtype=minigrad.bfloat16)"
    assert x.is_floating_point() and x.is_signed() and x.element_size() == 2 and x.type() == "torch.BFloat16Tensor"
    assert isinstance(x, mg.BFloat16Tensor) and mg.BFloat16Tensor([1, 2]).tolist() == [1, 2]
    assert mg.full((2,), 0.1, dtype=BF16).tolist() == [0.10009765625] * 2
    assert mg.arange(0, 1, 0.25, dtype=BF16).tolist() == [0, 0.25, 0.5, 0.75]
    assert mg.zeros_like(x).dtype == mg.empty(2, dtype=BF16).dtype == mg.eye(2, dtype=BF16).dtype == BF16
    assert float(x[1]) == 0.10009765625 and (x == x.clone())[:3].all() and (x[1] == 0.1).item()
    assert mg.tensor([x[0], x[1]]).dtype == mg.tensor([[x[0]], [2]]).dtype == BF16
    assert mg.tensor([x[0], 0.1]).tolist()[1] == np.float32(0.1)
    with pytest.raises(TypeError, match="Got unsupported ScalarType BFloat16"):
        x.numpy()
    with pytest.raises(TypeError, match="BFloat16"):
        np.asarray(x)


def test_random_filling():
    mg.manual_seed(0)
    x = mg.randn(4000, dtype=BF16)
    assert x.dtype == BF16 and abs(x.float().mean()) < 0.06 and abs(x.float().std() - 1) < 0.05
    uniform = mg.rand(4000, dtype=BF16)
    assert 0 <= uniform.min() and uniform.max() < 1
    assert mg.empty(50, dtype=BF16).random_().max() <= 256
    assert mg.empty(50, dtype=BF16).uniform_(2, 3).min() >= 2


def test_bits_and_copies():
    values = rounded(numbers(3, 4))
    x = of(values)
    bits = x.view(mg.int16)
    np.testing.assert_array_equal(bits.numpy().view(np.uint16), values.view(np.uint32) >> 16)
    assert bits.view(BF16).tolist() == x.tolist()
    moved = mg.cat([x.t().reshape(-1), x[1:, ::2].flatten(), mg.stack([x, x])[1, 0]])
    assert moved.tolist() == [*values.T.ravel(), *values[1:, ::2].ravel(), *values[0]]
    x[0, 1:3] = 7.1
    assert x[0].tolist() == [values[0, 0], 7.09375, 7.09375, values[0, 3]]
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.clone(), mg.from_numpy(x.array)):
        assert twin.dtype == BF16 and twin.tolist() == x.tolist()


A, B = rounded(numbers(4, 5)), rounded(numbers(4, 5, seed=1))
# Operation on tensors, and what NumPy computes in float32 on the same numbers: the result is that, rounded once.
ROUNDED_ONCE = [
    ("add", lambda a, b: a + b, lambda a, b: a + b),
    ("number", lambda a, b: a * 0.1, lambda a, b: a * np.float32(0.1)),
    ("add alpha", lambda a, b: mg.add(a, b, alpha=2), lambda a, b: a + rounded(2 * b)),
    ("exp", lambda a, b: a.exp(), lambda a, b: np.exp(a)),
    ("relu", lambda a, b: F.relu(a), lambda a, b: np.maximum(a, 0)),
    ("sum", lambda a, b: a.sum(1), lambda a, b: a.sum(1)),
    ("mean", lambda a, b: a.mean(), lambda a, b: a.mean()),
    ("matmul", lambda a, b: a @ b.t(), lambda a, b: a @ b.T),
    ("softmax", lambda a, b: a.softmax(1), lambda a, b: np.exp(a) / np.exp(a).sum(1, keepdims=True)),
    ("maximum", lambda a, b: mg.maximum(a, b), np.maximum),
    ("where", lambda a, b: mg.where(a > b, a, b), np.maximum),
    ("sort", lambda a, b: a.sort(1)[0], lambda a, b: np.sort(a, 1)),
    ("mse_loss", lambda a, b: F.mse_loss(a, b), lambda a, b: ((a - b) ** 2).mean()),
]


@pytest.mark.parametrize(("act", "reference"), [case[1:] for case in ROUNDED_ONCE], ids=[c[0] for c in ROUNDED_ONCE])
def test_an_op_rounds_once(act, reference):
    a, b = of(A), of(B)
    agree(act(a, b), reference(A, B))
    np.testing.assert_array_equal(a.float().numpy(), A)


def test_sums_are_made_in_float32():
    assert mg.ones(4000, dtype=BF16).sum().item() == 4000  # in bfloat16 alone 256 + 1 stays 256
    assert mg.ones(4000, dtype=BF16).mean().item() == 1
    x = mg.ones(600, 3, dtype=BF16, requires_grad=True)
    weight = mg.ones(3, dtype=BF16, requires_grad=True)
    (x * weight).sum().backward()
    assert weight.grad.dtype == BF16 and weight.grad.tolist() == [600] * 3


def test_gradients_round_once():
    a = of(A).requires_grad_()
    b = of(B).requires_grad_()
    (a.sigmoid() * b).backward(mg.ones(4, 5, dtype=BF16))
    s = rounded(1 / (1 + np.exp(-A)))
    agree(b.grad, s)
    agree(a.grad, rounded(B) * ((1 - s) * s))
    (second,) = mg.autograd.grad(mg.autograd.grad((a * a * a).sum(), a, create_graph=True)[0].sum(), a)
    assert second.dtype == BF16
    np.testing.assert_allclose(second.float().numpy(), 6 * A, rtol=0.02)


def test_mixed_types_get_gradients_of_their_own():
    x = mg.tensor(A, requires_grad=True)
    y = x.bfloat16() * mg.tensor(B).bfloat16()
    (y.float() * 3).sum().backward()
    assert x.grad.dtype == mg.float32
    np.testing.assert_allclose(x.grad.numpy(), 3 * B, rtol=0.01)
    layer, inner = mg.nn.LayerNorm(5), of(A).requires_grad_()
    out = layer(inner)
    assert out.dtype == BF16
    out.backward(of(B))
    assert layer.weight.grad.dtype == mg.float32 and inner.grad.dtype == BF16


def test_batch_statistics_are_made_in_float32():
    norm = mg.nn.BatchNorm1d(2)
    norm(mg.full((2000, 2), 100.0).bfloat16() + mg.arange(2000).view(-1, 1).remainder(2).bfloat16())
    np.testing.assert_allclose(norm.running_mean.numpy(), 10.05, rtol=1e-5)


def network():
    nn = mg.nn
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 16),
        nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3),
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adafactor"])
def test_a_network_in_bfloat16_learns(optimizer):
    mg.manual_seed(0)
    model = network().bfloat16()
    assert {p.dtype for p in model.parameters()} == {BF16} and model[1].num_batches_tracked.dtype == mg.int64
    x, target = mg.randn(12, 1, 8, 8, dtype=BF16), mg.arange(12) % 3
    step = getattr(mg.optim, optimizer)(model.parameters(), lr=0.01)
    losses = []
    for _ in range(8):
        step.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        step.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] and {p.dtype for p in model.parameters()} == {BF16}


def test_saving_and_loading():
    model = network().bfloat16()
    file = io.BytesIO()
    mg.save({"model": model.state_dict(), "dtype": BF16}, file)
    file.seek(0)
    found = mg.load(file)
    assert found["dtype"] is BF16
    for name, tensor in model.state_dict().items():
        assert found["model"][name].dtype == tensor.dtype and mg.equal(found["model"][name], tensor)
    wide = network()
    wide.load_state_dict(found["model"])
    assert wide[0].weight.dtype == mg.float32


def test_limits():
    limits = mg.finfo(BF16)
    assert (limits.bits, limits.eps, limits.dtype) == (16, 0.0078125, "bfloat16")
    assert mg.tensor(limits.max, dtype=BF16).item() == limits.max and limits.min == -limits.max
    replaced = mg.nan_to_num(mg.tensor([math.inf, -math.inf, math.nan], dtype=BF16))
    assert replaced.tolist() == [limits.max, limits.min, 0]


def test_default_dtype():
    mg.set_default_dtype(BF16)
    try:
        assert mg.ones(2).dtype == mg.tensor([0.5]).dtype == (mg.arange(3) / 2).dtype == BF16
        assert str(mg.tensor([0.5])) == "tensor([0.5000])"
    finally:
        mg.set_default_dtype(mg.float32)


def test_on_a_gpu():
    with fake_cupy.installed():
        layer = mg.nn.Linear(5, 3).bfloat16().cuda()
        out = F.log_softmax(layer(of(A).cuda()), 1)
        out.sum().backward()
        assert out.is_cuda and out.dtype == layer.weight.grad.dtype == BF16 and layer.weight.grad.is_cuda
