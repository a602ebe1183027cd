"""Devices: what is said without a GPU, and every op on a stand-in for one that refuses to mix with NumPy."""

import numpy as np
import pytest

import minigrad as mg
from tests import fake_cupy
from tests.ops.test_table import DIFFERENTIABLE, LINES, outputs_of, tracked_outputs


@pytest.fixture(scope="module")
def gpu():
    with fake_cupy.installed():
        yield


def on_gpu(tensors, requires_grad=False):
    moved = [tensor.to("cuda") for tensor in tensors]
    return [tensor.requires_grad_() for tensor in moved] if requires_grad else moved


@pytest.mark.skipif(mg.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("ask", [lambda: mg.ones(1).to("cuda"), lambda: mg.ones(1, device="cuda:1"), lambda: mg.ones(1).cuda()])
def test_without_a_gpu_one_sentence_says_so(ask):
    with pytest.raises(RuntimeError, match=r"device 'cuda' .*(CuPy|GPU)") as caught:
        ask()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["gpu", "cuda:x", "cuda:-1", "cpu:1", ""])
def test_wrong_device_names(text):
    with pytest.raises(RuntimeError):
        mg.device(text)


def test_devices_compare_and_print():
    assert mg.device("cuda", 1) == mg.device("cuda:1") != mg.device("cuda")
    assert str(mg.device("cuda:1")) == "cuda:1" and repr(mg.device("cpu")) == "device(type='cpu')"
    assert mg.device(0) == mg.device("cuda:0")


@pytest.mark.parametrize("name, case", LINES)
def test_every_op_gives_the_cpu_values(gpu, name, case):
    inputs = case.tensors()
    mg.manual_seed(1)
    expected = outputs_of(case.run(*inputs))
    mg.manual_seed(1)
    with mg.device("cuda"):
        results = outputs_of(case.run(*on_gpu(inputs)))
    for result, reference in zip(results, expected, strict=True):
        assert result.is_cuda and result.dtype is reference.dtype
        np.testing.assert_allclose(result.cpu().numpy(), reference.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name, case", DIFFERENTIABLE)
def test_every_gradient_gives_the_cpu_values(gpu, name, case):
    found = []
    for device, inputs in (("cpu", case.tensors(requires_grad=True)), ("cuda", on_gpu(case.tensors(), requires_grad=True))):
        mg.manual_seed(1)
        with mg.device(device):
            outputs = tracked_outputs(case.run(*inputs))
        loss = sum((out * out).sum() for out in outputs)
        first = [g for g in mg.autograd.grad(loss, inputs, create_graph=True, allow_unused=True) if g is not None]
        found.append([g.detach() for g in first])
        again = sum((g * g).sum() for g in first)
        if case.order > 1 and isinstance(again, mg.Tensor) and again.requires_grad:
            second = mg.autograd.grad(again, inputs, allow_unused=True)
            found[-1] += [g for g in second if g is not None]
    for on_cpu, on_device in zip(*found, strict=True):
        assert on_device.is_cuda
        np.testing.assert_allclose(on_device.cpu().numpy(), on_cpu.numpy(), rtol=1e-8, atol=1e-10)


def test_mixed_devices_are_named(gpu):
    a, b = mg.ones(2), mg.ones(2).to("cuda")
    for run in (lambda: a + b, lambda: b * a, lambda: mg.ones(2, 2) @ mg.ones(2, 2).to("cuda")):
        with pytest.raises(RuntimeError, match=r"same device.*(cpu and cuda:0|cuda:0 and cpu)"):
            run()


def test_moving_keeps_the_graph(gpu):
    x = mg.ones(2, requires_grad=True)
    (x.to("cuda") * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0] and not x.grad.is_cuda


def test_numpy_of_a_gpu_tensor_is_refused(gpu):
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        mg.ones(2).to("cuda").numpy()
