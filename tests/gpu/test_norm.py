"""Normalisation on a GPU: both orders of memory, every dtype, fused with ReLU and a residual, against the CPU."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels import channel_norm, norm
from minigrad.nn.utils.fusion import call_pair

F = mg.nn.functional
TOLERANCE = {"float64": 1e-11, "float32": 3e-6, "float16": 4e-3, "bfloat16": 4e-2}
SHAPES = [(5, 3), (2, 3, 5), (3, 4, 1, 5), (2, 8, 3, 4), (4, 33, 3, 3), (2, 3, 33, 32)]
LAST = [False, True]


def arrays(shape, dtype, count, seed=0):
    """Return host arrays whose numbers the dtype holds, in float64."""
    rng = np.random.default_rng(seed)
    return [mg.tensor(rng.standard_normal(shape)).to(getattr(mg, dtype)).double().numpy() for _ in range(count)]


def placed(gpu, host, dtype, last=False):
    """Return a host array on the GPU, in memory with the channels last if so."""
    host = np.asarray(host, mg.tensor(0, dtype=getattr(mg, dtype)).array.dtype)
    if not last:
        return gpu.asarray(host)
    return gpu.asarray(np.ascontiguousarray(host.transpose(0, 2, 1))).transpose(0, 2, 1)


def close(result, expected, dtype):
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(np.asarray(result.get(), np.float64), expected, rtol=0, atol=TOLERANCE[dtype] * scale)


def flat(array):
    return array.reshape(*array.shape[:2], -1) if array.ndim > 2 else array


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("shape", SHAPES)
def test_channels(gpu, shape, last, dtype):
    """Statistics, running statistics, forward and backward per channel against the CPU's kernels in float64."""
    x, g = (flat(array) for array in arrays(shape, dtype, 2))
    x += 3
    last = last and x.ndim > 2
    weight, bias, mean0, var0 = np.random.default_rng(1).random((4, shape[1])) + 0.5
    axes, affine = ((0,), (1, shape[1])) if x.ndim == 2 else ((0, 2), (1, shape[1], 1))
    x, g = (mg.tensor(array).to(getattr(mg, dtype)).double().numpy() for array in (x, g))
    kind = "float64" if dtype == "float64" else "float32"
    on_cpu = [array.copy() for array in (mean0, var0)]
    on_gpu = [gpu.asarray(array.astype(kind)) for array in (mean0, var0)]
    mean, rstd = norm.batch_statistics(x, axes, 1e-5, *on_cpu, 0.2)
    x_, g_ = placed(gpu, x, dtype, last), placed(gpu, g, dtype, last)
    mean_, rstd_ = norm.batch_statistics(x_, axes, 1e-5, *on_gpu, 0.2)
    assert mean_.shape == affine and mean_.dtype == kind
    for result, expected in ((mean_, mean), (rstd_, rstd), (on_gpu[0], on_cpu[0]), (on_gpu[1], on_cpu[1])):
        close(result, expected, kind)
    w, b = weight.reshape(affine), bias.reshape(affine)
    w_, b_ = (gpu.asarray(array.astype(kind)) for array in (w, b))
    y_ = norm.forward(x_, w_, b_, mean_, rstd_)
    assert y_.dtype == x_.dtype and y_.strides == x_.strides
    close(y_, norm.forward(x, w, b, mean, rstd), dtype)
    for fixed in (False, True):
        results = norm.gradients(g_, x_, w_, mean_, rstd_, axes, fixed, affine, (True, True, True))
        expected = norm.gradients(g, x, w, mean, rstd, axes, fixed, affine, (True, True, True))
        assert results[0].strides == x_.strides
        for result, value in zip(results, expected, strict=True):
            close(result.reshape(value.shape), value, dtype)


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_relu_and_residual(gpu, dtype, last, added):
    """ReLU's mask of the backward pass is that of the stored result, found from x alone without a residual."""
    shape = (3, 8, 5, 4)
    x, g, residual = (flat(array) for array in arrays(shape, dtype, 3))
    axes, affine, kind = (0, 2), (1, 8, 1), "float64" if dtype == "float64" else "float32"
    w, b = (np.random.default_rng(2).standard_normal((2, 8)) * 0.5).reshape(2, *affine)
    x_, g_, residual_ = (placed(gpu, array, dtype, last) for array in (x, g, residual))
    w_, b_ = gpu.asarray(w.astype(kind)), gpu.asarray(b.astype(kind))
    mean_, rstd_ = norm.statistics(x_, axes, 1e-5)
    out_ = norm.forward_relu(x_, w_, b_, mean_, rstd_, residual_ if added else None)
    w, b, mean, rstd = (np.asarray(array.get(), np.float64) for array in (w_, b_, mean_, rstd_))
    close(out_, channel_norm.forward_relu(x, w, b, mean, rstd, residual if added else None), dtype)
    out = np.asarray(out_.get(), np.float64)
    assert 0 < (out == 0).mean() < 1
    for fixed in (False, True):
        for needs in ((True, True, True, added), (True, False, False, False)):
            last_ones = axes, fixed, affine, needs
            results = norm.relu_gradients(g_, x_, w_, b_, mean_, rstd_, added, out_, *last_ones)
            expected = norm.relu_gradients(g, x, w, b, mean, rstd, added, out, *last_ones)
            for result, value in zip(results, expected, strict=True):
                assert (result is None) == (value is None)
                if value is not None:
                    close(result.reshape(value.shape), value, dtype)


def test_a_mean_of_many_deviations(gpu):
    x = np.random.default_rng(3).standard_normal((4, 3, 600)) + 1000
    x[0, 0, 0] = -1e6  # the first value of all is far from the others
    mean, rstd = norm.statistics(gpu.asarray(x.astype("float32")), (0, 2), 0.0)
    np.testing.assert_allclose(mean.get(), x.mean((0, 2), keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(rstd.get(), 1 / x.std((0, 2), keepdims=True), rtol=1e-3)


def test_results_are_the_same_every_time(gpu):
    x = gpu.asarray(np.random.default_rng(4).standard_normal((2, 5, 3000)).astype("float32"))
    first, again = (norm.statistics(x, (0, 2), 1e-5) for _ in range(2))
    assert all((a.get() == b.get()).all() for a, b in zip(first, again, strict=True))


ROWS = {
    "layer": ((6, 20), (1,), (1, 20)),
    "instance": ((3, 5, 12), (2,), (1, 5, 1)),
    "group": ((3, 2, 8, 5), (2, 3), (1, 2, 8, 1)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("name", ROWS)
def test_rows(gpu, name, last, dtype):
    shape, axes, affine = ROWS[name]
    x, g = arrays(shape, dtype, 2)
    kind = "float64" if dtype == "float64" else "float32"
    w, b = np.random.default_rng(5).standard_normal((2, *affine)).astype(kind)

    def put(array):
        if name == "layer" or not last:
            return placed(gpu, array, dtype)
        whole = array.reshape(shape[0], -1, shape[-1])  # (N, C, S)
        return placed(gpu, whole, dtype, True).reshape(shape)

    x_, g_, w_, b_ = put(x), put(g), gpu.asarray(w), gpu.asarray(b)
    for centred in (True, False):
        mean, rstd = norm.statistics(x, axes, 1e-5, centred)
        mean_, rstd_ = norm.statistics(x_, axes, 1e-5, centred)
        assert (mean_ is None) == (not centred) and rstd_.shape == rstd.shape
        close(norm.forward(x_, w_, b_, mean_, rstd_), norm.forward(x, w, b, mean, rstd), dtype)
        arguments = axes, False, affine, (True, True, True)
        results = norm.gradients(g_, x_, w_, mean_, rstd_, *arguments)
        expected = norm.gradients(g, x, w, mean, rstd, *arguments)
        for result, value in zip(results, expected, strict=True):
            close(result.reshape(value.shape), value, dtype)


LAYERS = {
    "batch": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    "fixed": lambda x, w, b: F.batch_norm(x, *mg.arange(1.0, 9.0, device="cuda", dtype=x.dtype).view(2, 4), w, b),
    "instance": lambda x, w, b: F.instance_norm(x, weight=w, bias=b),
    "group": lambda x, w, b: F.group_norm(x, 2, w, b),
    "layer": lambda x, w, b: F.layer_norm(x.transpose(1, 3), (4,), w, b),
    "rms": lambda x, w, b: F.rms_norm(x.transpose(1, 3), (4,), w) * b.sum(),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(gpu, name):
    inputs = [mg.tensor(a, device="cuda", requires_grad=True) for a in arrays((2, 4, 2, 3), "float64", 1)]
    inputs += [mg.tensor(a, device="cuda", requires_grad=True) for a in arrays(4, "float64", 2, seed=1)]
    assert mg.autograd.gradcheck(LAYERS[name], inputs)
    assert mg.autograd.gradgradcheck(LAYERS[name], inputs)


@pytest.mark.parametrize("residual", [False, True])
def test_gradients_of_the_pair(gpu, residual):
    module, relu = mg.nn.BatchNorm2d(3).to("cuda", mg.float64), mg.nn.ReLU()

    def run(x, more):
        return call_pair(module, relu, x, more if residual else None)

    inputs = [mg.tensor(a, device="cuda", requires_grad=True) for a in arrays((2, 3, 2, 3), "float64", 2)]
    out = run(*inputs)
    assert out.grad_fn.name().startswith("NormalizationRelu")
    assert mg.autograd.gradcheck(run, inputs)
    assert mg.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_step_of_the_module_is_that_of_the_cpu(gpu, momentum, last):
    x, residual, g = arrays((4, 6, 3, 5), "float64", 3)
    found = []
    for device in ("cpu", "cuda"):
        module = mg.nn.BatchNorm2d(6, momentum=momentum).double().to(device)
        form = mg.channels_last if last else mg.contiguous_format
        tensors = [mg.tensor(array, device=device).to(memory_format=form).requires_grad_() for array in (x, residual)]
        for _ in range(2):
            out = call_pair(module, mg.nn.ReLU(), *tensors[:1], tensors[1])
            out.backward(mg.tensor(g, device=device))
        module.eval()
        parts = [out, call_pair(module, mg.nn.ReLU(), tensors[0]), *[t.grad for t in tensors]]
        parts += [module.weight.grad, module.bias.grad, module.running_mean, module.running_var]
        found.append([part.detach().cpu().numpy() for part in parts])
    for on_cpu, on_gpu in zip(*found, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_not_widened_on_the_way(gpu, dtype, monkeypatch):
    """The kernels get arrays of half precision, with parameters in it or, as in autocast, in float32."""
    seen = []
    original = norm.cuda.norm.forward
    monkeypatch.setattr(norm.cuda.norm, "forward", lambda x, *a, **k: seen.append(x.dtype.name) or original(x, *a, **k))
    kind = getattr(mg, dtype)
    for module in (mg.nn.BatchNorm2d(3).cuda(), mg.nn.BatchNorm2d(3).cuda().to(kind)):
        x = mg.tensor(arrays((2, 3, 4, 5), dtype, 1)[0], device="cuda").to(kind).requires_grad_()
        (call_pair(module, mg.nn.ReLU(), x) + module(x)).sum().backward()
        assert x.grad.dtype is kind and module.weight.grad.dtype is module.weight.dtype
        wide = x.detach().cpu().double().requires_grad_()
        twin = mg.nn.BatchNorm2d(3).double()
        (F.relu(twin(wide)) + twin(wide)).sum().backward()
        np.testing.assert_allclose(x.grad.cpu().double().numpy(), wide.grad.numpy(), atol=0.05)
        weight = module.weight.grad.cpu().double().numpy()
        np.testing.assert_allclose(weight, twin.weight.grad.numpy(), atol=0.2)
    assert seen == [dtype] * 4
