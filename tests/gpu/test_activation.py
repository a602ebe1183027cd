"""Activations on a GPU, with a bias and a residual before them, and their gradients, against the CPU."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels import activation as kernels
from minigrad.kernels import cuda, mask

F = mg.nn.functional
TOLERANCE = {"float64": 1e-12, "float32": 1e-6, "float16": 2e-3, "bfloat16": 2e-2}
FUNCTIONS = {
    "relu": (F.relu, kernels.relu),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), lambda x: kernels.leaky_relu(x, 0.1)),
    "sigmoid": (mg.sigmoid, kernels.sigmoid),
    "tanh": (mg.tanh, np.tanh),
    "gelu": (F.gelu, kernels.gelu),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), kernels.gelu_tanh),
    "silu": (F.silu, kernels.silu),
}
OPTION = {"leaky_relu": 0.1}


def values(gpu, shape, dtype, seed=0):
    """Return (float64 on the CPU, the same numbers in a dtype on the GPU)."""
    rounded = mg.tensor(np.random.default_rng(seed).standard_normal(shape) * 3).to(getattr(mg, dtype))
    return rounded.double().numpy(), gpu.asarray(rounded.array)


def close(result, expected, dtype):
    result = np.asarray(result.get(), np.float64)
    np.testing.assert_allclose(result, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_forward_and_gradient(gpu, name, dtype):
    function, reference = FUNCTIONS[name]
    for shape in ((), (7,), (3, 8)):
        host, x = values(gpu, shape, dtype)
        close(cuda.activation.forward(name, x, OPTION.get(name, 0.0)), reference(host), dtype)
        slope, g = values(gpu, shape, dtype, seed=1)
        on_cpu = mg.tensor(host, requires_grad=True)
        out = function(on_cpu)
        out.backward(mg.tensor(slope))
        y = x
        if name in ("relu", "sigmoid", "tanh"):
            y = gpu.asarray(out.detach().to(getattr(mg, dtype)).array)
        close(cuda.activation.gradient(name, g, y, OPTION.get(name, 0.0)), on_cpu.grad.numpy(), dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck(gpu, name):
    function, _ = FUNCTIONS[name]
    x = mg.tensor(np.linspace(-4, 3.3, 12).reshape(3, 4), device="cuda", requires_grad=True)
    assert mg.autograd.gradcheck(function, [x])
    assert mg.autograd.gradgradcheck(function, [x])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 2, 5), (2, 8, 4, 2), (3, 8, 1, 1)])
def test_bias_and_residual(gpu, shape, last, dtype):
    host, x = values(gpu, shape, dtype)
    more, residual = values(gpu, shape, dtype, seed=1)
    bias, b = values(gpu, shape[1], dtype, seed=2)
    expected = np.maximum(host + bias[:, None, None] + more, 0)
    if last:
        x = gpu.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    out = cuda.activation.biased("relu", x, b, residual)
    assert out.strides == x.strides
    close(out, expected, dtype)
    close(cuda.activation.biased("none", x, b), host + bias[:, None, None], dtype)
    assert cuda.activation.biased("relu", x, b, residual, inplace=True).data.ptr == x.data.ptr
    close(x, expected, dtype)


def test_gradient_in_another_order_and_broadcast(gpu):
    host, y = values(gpu, (2, 3, 4, 5), "float32")
    turned = gpu.ascontiguousarray(y.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    one = gpu.broadcast_to(gpu.asarray(np.float32(2)), host.shape)
    for g, other in ((turned, y), (y, turned), (one, y)):
        result = mask.keep_nonzero(g, other)
        np.testing.assert_array_equal(result.get(), np.where(host != 0, g.get(), 0))


def test_nan_passes_relu(gpu):
    x = mg.tensor([-1.0, float("nan"), 2.0], device="cuda", requires_grad=True)
    y = F.relu(x)
    y.backward(mg.ones(3, device="cuda"))
    np.testing.assert_array_equal(y.detach().cpu().numpy(), [0, np.nan, 2])
    np.testing.assert_array_equal(x.grad.cpu().numpy(), [0, 1, 1])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("last", [False, True])
def test_sum_per_channel(gpu, last, dtype):
    host, x = values(gpu, (3, 5, 40), dtype)
    if last:
        x = gpu.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)
    result = cuda.norm.channel_sum(x)
    assert result.shape == (5,) and result.dtype == x.dtype
    close(result, host.sum((0, 2)), dtype)


@pytest.mark.parametrize(
    "shape, kept", [((4, 3, 2, 5), (1, 3, 1, 1)), ((4, 3, 5), (3, 1)), ((6, 3), (3,)), ((1, 3), (3,))]
)
def test_gradient_of_a_bias(gpu, shape, kept):
    host, x = values(gpu, shape, "float64")
    x = mg.tensor(host, device="cuda")
    bias = mg.zeros(kept, device="cuda", dtype=mg.float64, requires_grad=True)
    (x * (x + bias)).sum().backward()
    axes = tuple(axis for axis in range(len(shape)) if axis != 1)
    np.testing.assert_allclose(bias.grad.cpu().numpy().reshape(-1), host.sum(axes), rtol=1e-12)


@pytest.mark.parametrize("kind", [2.0, 1.0, 3.0, 0.0, float("inf")])
def test_gradients_are_clipped_without_a_look(gpu, kind):
    results = []
    for device in ("cpu", "cuda"):
        weights = [mg.nn.Parameter(mg.zeros(*shape, device=device)) for shape in ((3, 4), (5,))]
        for weight in weights:
            weight.grad = mg.arange(float(weight.numel()), device=device).view(weight.shape)
        total = mg.nn.utils.clip_grad_norm_(weights, 2.0, kind)
        results.append([total.cpu().numpy(), *[weight.grad.cpu().numpy() for weight in weights]])
    for on_cpu, on_gpu in zip(*results, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-6)
