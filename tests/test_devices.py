"""Devices: what is said without a GPU, and every op on a stand-in for one that refuses to mix with NumPy."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import Generator, cupy_module
from tests import fake_cupy
from tests.ops.test_table import DIFFERENTIABLE, LINES, outputs_of, tracked_outputs


@pytest.fixture(scope="module")
def gpu():
    """A GPU, where there is one."""
    if mg.cuda.is_available():
        yield
        return
    with fake_cupy.installed():
        yield


# A GPU has its own order of sums and its own exp; on the stand-in NumPy computes most.
EXACT = (1e-7, 1e-9) if mg.cuda.is_available() else (1e-10, 1e-12)
GRADIENTS_EXACT = (1e-6, 1e-8) if mg.cuda.is_available() else (1e-8, 1e-10)


class DrawnOnGPU:
    """Random numbers for the CPU that a GPU with the same seed would draw, and NumPy's where that has none."""

    def __init__(self, generator, source):
        self._generator, self._source = generator, source

    def __getattr__(self, name):
        draw = getattr(self._source, name, None)
        if draw is None:
            return getattr(self._generator.numpy, name)
        move = cupy_module().asarray

        def drawn(*args, **kwargs):
            return draw(*[move(arg) if isinstance(arg, np.ndarray) else arg for arg in args], **kwargs).get()

        return drawn


@pytest.fixture
def equal_draws(gpu, monkeypatch):
    """Let the CPU draw what the GPU draws."""
    on = Generator.on

    def drawn(generator, module):
        source = on(generator, cupy_module())
        return DrawnOnGPU(generator, source) if module is np else source

    monkeypatch.setattr(Generator, "on", drawn)


def on_gpu(tensors, requires_grad=False):
    moved = [tensor.to("cuda") for tensor in tensors]
    return [tensor.requires_grad_() for tensor in moved] if requires_grad else moved


@pytest.mark.skipif(mg.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    "ask", [lambda: mg.ones(1).to("cuda"), lambda: mg.ones(1, device="cuda:1"), lambda: mg.ones(1).cuda()]
)
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
def test_every_op_gives_the_cpu_values(gpu, equal_draws, name, case):
    inputs = case.tensors()
    mg.manual_seed(1)
    expected = outputs_of(case.run(*inputs))
    mg.manual_seed(1)
    with mg.device("cuda"):
        results = outputs_of(case.run(*on_gpu(inputs)))
    for result, reference in zip(results, expected, strict=True):
        assert result.is_cuda and result.dtype is reference.dtype
        np.testing.assert_allclose(result.cpu().numpy(), reference.numpy(), *EXACT)


@pytest.mark.parametrize("name, case", DIFFERENTIABLE)
def test_every_gradient_gives_the_cpu_values(gpu, equal_draws, name, case):
    found = []
    for device, inputs in (
        ("cpu", case.tensors(requires_grad=True)),
        ("cuda", on_gpu(case.tensors(), requires_grad=True)),
    ):
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
        np.testing.assert_allclose(on_device.cpu().numpy(), on_cpu.numpy(), *GRADIENTS_EXACT)


WRITES_THROUGH_VIEWS = {
    "index": lambda y: y[1].mul_(3),
    "slice": lambda y: y[:, 1::2].fill_(2),
    "transpose": lambda y: y.t()[1].add_(2),
    "view": lambda y: y.view(4, 3)[2].mul_(3),
    "diagonal": lambda y: y.diagonal().mul_(5),
    "windows": lambda y: y.unfold(1, 2, 2)[0].mul_(3),
    "strides": lambda y: y.as_strided((2, 2), (1, 4), 1)[1].mul_(3),
    "split": lambda y: y.split(2, 1)[0].mul_(2),
    "mask": lambda y: y.__setitem__(y > 5, 0.0),
    "positions": lambda y: y.__setitem__(mg.tensor([0, 2], device=y.device), 7.0),
    "copy": lambda y: y[0].copy_(mg.ones(4, dtype=y.dtype, device=y.device)),
}


@pytest.mark.parametrize("name", WRITES_THROUGH_VIEWS)
def test_writes_through_views_reach_the_graph(gpu, name):
    found = []
    for device in ("cpu", "cuda"):
        x = mg.arange(12.0, dtype=mg.float64).reshape(3, 4).to(device).requires_grad_()
        y = x * 1
        WRITES_THROUGH_VIEWS[name](y)
        (y * y * y).sum().backward()
        found.append((y.detach().cpu().numpy(), x.grad.cpu().numpy()))
    for on_cpu, on_device in zip(*found, strict=True):
        np.testing.assert_array_equal(on_cpu, on_device)


def test_a_saved_value_written_through_a_strided_view_is_noticed(gpu):
    x = mg.arange(4.0).to("cuda")
    w = mg.ones(4, device="cuda", requires_grad=True)
    loss = (w * x).sum()
    x.as_strided((2,), (2,), 0).zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


OPTIMIZERS = [
    value
    for value in vars(mg.optim).values()
    if isinstance(value, type)
    and issubclass(value, mg.optim.Optimizer)
    and value not in (mg.optim.Optimizer, mg.optim.SparseAdam)  # the latter wants sparse gradients
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda cls: cls.__name__)
def test_optimizers_take_the_cpu_steps(gpu, optimizer):
    found = []
    for device in ("cpu", "cuda"):
        weight = mg.nn.Parameter((mg.arange(6.0, dtype=mg.float64).reshape(2, 3) * 0.3).to(device))
        method = optimizer([weight], lr=0.01)

        def closure(weight=weight, method=method):
            method.zero_grad()
            loss = ((weight - 1) ** 4).sum()
            loss.backward()
            return loss

        for _ in range(3):
            method.step(closure)
        method.load_state_dict(method.state_dict())
        mg.nn.utils.clip_grad_norm_([weight], 0.5)
        assert weight.is_cuda is (device == "cuda")
        found.append((weight.detach().cpu().numpy(), weight.grad.cpu().numpy()))
    for on_cpu, on_device in zip(*found, strict=True):
        np.testing.assert_allclose(on_cpu, on_device, rtol=1e-10)


RANDOM = {
    "rand": lambda: mg.rand(3),
    "randn": lambda: mg.randn(3),
    "randint": lambda: mg.randint(0, 5, (3,)),
    "randperm": lambda: mg.randperm(5),
    "normal": lambda: mg.normal(mg.ones(3), 2.0),
    "multinomial": lambda: mg.multinomial(mg.ones(4), 2),
    "poisson": lambda: mg.poisson(mg.ones(3)),
    "binomial": lambda: mg.binomial(mg.full((3,), 5.0), mg.full((3,), 0.5)),
    "uniform_": lambda: mg.empty(3).uniform_(),
    "exponential_": lambda: mg.empty(3).exponential_(),
    "geometric_": lambda: mg.empty(3).geometric_(0.5),
    "cauchy_": lambda: mg.empty(3).cauchy_(),
    "log_normal_": lambda: mg.empty(3).log_normal_(),
    "random_": lambda: mg.empty(3).random_(10),
    "gumbel_softmax": lambda: mg.nn.functional.gumbel_softmax(mg.ones(2, 4)),
    "trunc_normal_": lambda: mg.nn.init.trunc_normal_(mg.empty(3, 3)),
    "orthogonal_": lambda: mg.nn.init.orthogonal_(mg.empty(3, 3)),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_are_drawn_on_the_device_and_repeat(gpu, name):
    with mg.device("cuda"):
        mg.manual_seed(4)
        first = RANDOM[name]()
        mg.manual_seed(4)
        again = RANDOM[name]()
    assert first.is_cuda
    np.testing.assert_array_equal(first.cpu().numpy(), again.cpu().numpy())


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


@pytest.mark.parametrize("name", ["meta", "mps", "xpu:1", "hpu"])
def test_devices_that_minigrad_has_not(name):
    device = mg.device(name)
    assert str(device) == name and device.type == name.partition(":")[0] and device != mg.device("cpu")
    assert mg.ones(1).device != device and device == mg.device(name) and len({device, mg.device(name)}) == 1
    uses = [
        lambda: mg.ones(1, device=device),
        lambda: mg.ones(1).to(name),
        lambda: mg.tensor([1], device=name),
        lambda: mg.randn(2, device=device),
        lambda: mg.nn.Linear(1, 1, device=device),
        lambda: mg.nn.Linear(1, 1).to(device),
        lambda: mg.set_default_device(name),
        lambda: device.__enter__(),
        lambda: mg.Generator(name),
        lambda: mg.empty_like(mg.ones(1), device=device),
    ]
    for use in uses:
        with pytest.raises(RuntimeError, match=f"device '{name}' is not available: minigrad runs on 'cpu'"):
            use()
    assert mg.get_default_device() == mg.device("cpu")
