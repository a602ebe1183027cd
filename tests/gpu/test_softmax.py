"""softmax and losses of class indices on a GPU against the CPU; nothing of them is read back."""

import itertools

import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels import cuda, loss, softmax

F = mg.nn.functional
TOLERANCE = {"float64": 1e-12, "float32": 2e-6, "float16": 3e-3, "bfloat16": 3e-2}


def values(gpu, shape, dtype, seed=0):
    rounded = mg.tensor(np.random.default_rng(seed).standard_normal(shape) * 3).to(getattr(mg, dtype))
    return rounded.double().numpy(), gpu.asarray(rounded.array)


def close(result, expected, dtype):
    result = np.asarray(result.get(), np.float64)
    np.testing.assert_allclose(result, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "shape, dim", [((4, 10), 1), ((4, 300), 1), ((5, 4), 0), ((2, 3, 5), 1), ((2, 12, 4), 1), ((), 0)]
)
def test_softmax(gpu, shape, dim, dtype):
    host, x = values(gpu, shape, dtype)
    slope, g = values(gpu, shape, dtype, seed=1)
    for run, logarithm in ((softmax.softmax, False), (softmax.log_softmax, True)):
        expected = run(host, dim)
        orders = [x]
        if len(shape) == 3:
            orders.append(gpu.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1))
        for ordered in orders:
            out = run(ordered, dim)
            assert out.dtype == x.dtype and out.strides == ordered.strides
            close(out, expected, dtype)
            out = gpu.asarray(out.get())
            total = np.asarray(out.get(), np.float64)
            axis = dim if shape else ()
            part = (slope if logarithm else slope * total).sum(axis=axis, keepdims=True)
            wanted = slope - np.exp(total) * part if logarithm else total * (slope - part)
            close(softmax.gradient(g, out, dim, logarithm), wanted, dtype)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_gradcheck_of_softmax(gpu, name):
    for dim in range(3):
        x = mg.tensor(np.random.default_rng(dim).standard_normal((2, 9, 2)), device="cuda", requires_grad=True)
        assert mg.autograd.gradcheck(lambda x, dim=dim: getattr(mg, name)(x, dim), [x])
        assert mg.autograd.gradgradcheck(lambda x, dim=dim: getattr(mg, name)(x, dim), [x])


def test_large_scores_keep_their_digits(gpu):
    host = (np.random.default_rng(0).standard_normal((3, 40)) + 5000).astype(np.float32)
    target = np.array([1, 2, 3])
    x = mg.tensor(host, device="cuda", requires_grad=True)
    F.cross_entropy(x, mg.tensor(target, device="cuda")).backward()
    wide = mg.tensor(host, dtype=mg.float64, requires_grad=True)
    F.cross_entropy(wide, mg.tensor(target)).backward()
    np.testing.assert_allclose(x.grad.cpu().numpy(), wide.grad.numpy(), rtol=1e-5, atol=1e-7)


SETTINGS = list(itertools.product(("mean", "sum", "none"), (False, True), (0.0, 0.2), (-100, 1)))


@pytest.mark.parametrize("shape", [(6, 5), (5, 40), (2, 5, 3, 4), (5,)])
@pytest.mark.parametrize("function", ["cross_entropy", "nll_loss"])
def test_losses_are_those_of_the_cpu(gpu, function, shape):
    rng = np.random.default_rng(7)
    classes = shape[1] if len(shape) > 1 else shape[0]
    host, weight = rng.standard_normal(shape), rng.random(classes) + 0.2
    target = rng.integers(0, classes, (shape[0], *shape[2:]) if len(shape) > 1 else ())
    for reduction, weighted, smoothing, ignored in SETTINGS:
        found = []
        for device in ("cpu", "cuda"):
            x = mg.tensor(host, device=device, requires_grad=True)
            options = {"weight": mg.tensor(weight, device=device) if weighted else None, "ignore_index": ignored}
            if function == "cross_entropy":
                options["label_smoothing"] = smoothing
            out = getattr(F, function)(x, mg.tensor(target, device=device), reduction=reduction, **options)
            (g,) = mg.autograd.grad(out, [x], mg.full_like(out, 0.5), create_graph=True)
            second = mg.autograd.grad((g * g).sum(), [x])[0] if function == "cross_entropy" else g
            plain = mg.autograd.grad(out, [x], mg.full_like(out, 0.5))[0]
            found.append([part.detach().cpu().numpy() for part in (out, g, plain, second)])
        for on_cpu, on_gpu in zip(*found, strict=True):
            assert on_cpu.shape == on_gpu.shape
            np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("last", [False, True])
def test_kernels_against_the_portable_ones(gpu, dtype, last):
    host, x = values(gpu, (4, 9, 5), dtype)
    slope, g = values(gpu, (4, 5), dtype, seed=1)
    if last:
        x = gpu.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)
    target = np.random.default_rng(2).integers(0, 9, (4, 5))
    target[1, 2], target[0, 0], target[3, 1] = -100, 9, -1
    for logits, smoothing in ((True, 0.1), (True, 0.0), (False, 0.0)):
        expected = loss.unseen_loss(host, target, None, -100, "none", logits, smoothing)
        result = loss.unseen_loss(x, gpu.asarray(target), None, -100, "none", logits, smoothing)
        assert np.isnan(expected[0]).sum() == 2 and expected[0][1, 2] == 0
        close(result[0], expected[0], dtype)
        wanted = loss.unseen_gradient(slope, host, target, None, *expected[1:], -100, smoothing)
        gradient = loss.unseen_gradient(g, x, gpu.asarray(target), None, *result[1:], -100, smoothing)
        assert gradient.strides == x.strides and np.isnan(wanted).sum() == 2 * 9
        close(gradient, wanted, dtype)


def test_many_losses_are_added_in_two_launches(gpu, monkeypatch):
    monkeypatch.setattr(cuda.softmax, "_TOGETHER", 16)
    rng = np.random.default_rng(3)
    host, target = rng.standard_normal((40, 3)), rng.integers(0, 3, 40)
    x, t = mg.tensor(host, device="cuda"), mg.tensor(target, device="cuda")
    assert F.cross_entropy(x, t).item() == pytest.approx(F.cross_entropy(mg.tensor(host), mg.tensor(target)).item())


def test_only_ignored_targets(gpu):
    x = mg.zeros(2, 3, device="cuda", requires_grad=True)
    out = F.cross_entropy(x, mg.tensor([-100, -100], device="cuda"))
    out.backward()
    assert np.isnan(out.item()) and not x.grad.cpu().numpy().any()


def test_a_target_that_is_no_class_makes_the_loss_nan(gpu):
    x = mg.zeros(3, 2, device="cuda", requires_grad=True)
    out = F.cross_entropy(x, mg.tensor([0, 7, 1], device="cuda"))
    assert np.isnan(out.item())
    out.backward()
    assert np.isnan(x.grad.cpu().numpy()).any()
