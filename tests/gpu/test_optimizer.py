"""Steps of optimizers, clipping and scaling of gradients on a GPU: the CPU's results, with nothing waited for."""
import copy

import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels.cuda import optimizer as kernels
from tests import fake_cupy

SHAPES = [(3, 4), (1,), (70, 300), (5, 2, 3, 3), (7,)]
SGD = [
    {},
    {"weight_decay": 0.1, "maximize": True},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
    {"momentum": 0.8, "nesterov": True},
]
ADAM = [{}, {"amsgrad": True}, {"weight_decay": 0.1, "maximize": True}, {"betas": (0.5, 0.7), "eps": 1e-3}]
METHODS = [("SGD", options) for options in SGD] + [(name, options) for name in ("Adam", "AdamW") for options in ADAM]


def parameters(device, dtype="float32"):
    rng = np.random.default_rng(0)
    tensors = [mg.tensor(rng.standard_normal(shape)).to(getattr(mg, dtype)) for shape in SHAPES]
    return [mg.nn.Parameter(tensor.to(device)) for tensor in tensors]


def give_gradients(params, turn, factor=1.0):
    rng = np.random.default_rng(turn)
    for param in params:
        values = mg.tensor(rng.standard_normal(tuple(param.shape)) * factor)
        param.grad = values.to(param.dtype).to(param.device)


def steps(device, name, options, dtype="float32", turns=3):
    params = parameters(device, dtype)
    optimizer = getattr(mg.optim, name)(params, lr=0.05, **options)
    for turn in range(turns):
        give_gradients(params, turn)
        optimizer.step()
    return params, optimizer


def assert_same(on_gpu, on_cpu, dtype="float32"):
    rounding = {"float64": 1e-12, "float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    for mine, expected in zip(on_gpu, on_cpu, strict=True):
        assert mine.is_cuda
        result, reference = (t.detach().double().cpu().numpy() for t in (mine, expected))
        np.testing.assert_allclose(result, reference, rtol=rounding, atol=rounding)


@pytest.fixture
def launches(gpu, monkeypatch):
    """The names of the kernels launched so far."""
    names, kernel = [], kernels._SOURCE.kernel

    def recorded(name, *args, **defines):
        names.append(name)
        return kernel(name, *args, **defines)

    monkeypatch.setattr(kernels._SOURCE, "kernel", recorded)
    return names


@pytest.mark.parametrize(("name", "options"), METHODS)
def test_steps(gpu, launches, name, options):
    on_gpu, optimizer = steps("cuda", name, options)
    assert launches == [name.lower().replace("adamw", "adam")] * 3
    on_cpu, reference = steps("cpu", name, options)
    assert_same(on_gpu, on_cpu)
    for mine, expected in zip(optimizer.state.values(), reference.state.values(), strict=True):
        assert list(mine) == list(expected)
        assert_same([mine[key] for key in mine if key != "step"], [expected[key] for key in mine if key != "step"])


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize(("name", "options"), [("SGD", SGD[2]), ("Adam", ADAM[1])])
def test_dtypes(gpu, name, options, dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    assert_same(steps("cuda", name, options, dtype)[0], steps("cpu", name, options, dtype)[0], dtype)


@pytest.mark.parametrize("flags", [{"capturable": True}, {"fused": True}])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_steps_counted_on_the_gpu(gpu, launches, name, flags):
    on_gpu, optimizer = steps("cuda", name, flags)
    assert launches == ["count_steps", name.lower()[:4]] * 3
    assert_same(on_gpu, steps("cpu", name, {})[0])
    assert all(state["step"].is_cuda and state["step"].item() == 3 for state in optimizer.state.values())
    again = getattr(mg.optim, name)(on_gpu, lr=0.05, **flags)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    give_gradients(on_gpu, 9)
    again.step()
    assert all(state["step"].is_cuda and state["step"].item() == 4 for state in again.state.values())


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_rate_on_the_gpu(gpu, name):
    params = parameters("cuda")
    rate = mg.tensor(0.05, device="cuda")
    optimizer = getattr(mg.optim, name)(params, lr=rate)
    for turn in range(2):
        give_gradients(params, turn)
        optimizer.step()
    rate.fill_(0.0)
    optimizer.step()
    assert_same(params, steps("cpu", name, {}, turns=2)[0])


def test_tables_are_kept_while_addresses_are(gpu, launches):
    params = parameters("cuda")
    optimizer = mg.optim.SGD(params, lr=0.1)
    give_gradients(params, 0)
    kernels._TABLES.clear()
    optimizer.step()
    optimizer.step()
    assert len(kernels._TABLES) == 1
    params[0].grad = params[0].grad.clone()
    optimizer.step()
    assert len(kernels._TABLES) == 2 and launches == ["sgd"] * 3


def test_tables_of_a_captured_graph_are_its_own(gpu, monkeypatch):
    params = parameters("cuda")
    optimizer = mg.optim.SGD(params, lr=0.05)
    give_gradients(params, 0)
    optimizer.step()
    monkeypatch.setattr(kernels, "is_capturing", lambda module: True)
    before, captured = len(kernels._TABLES), len(kernels._CAPTURED)
    optimizer.step()  # with the table that is there
    held = params[0].grad
    give_gradients(params, 1)
    optimizer.step()  # with new addresses
    assert held is not params[0].grad and len(kernels._TABLES) == before
    assert len(kernels._CAPTURED) == captured + 2
    on_cpu = parameters("cpu")
    reference = mg.optim.SGD(on_cpu, lr=0.05)
    for turn in (0, 0, 1):
        give_gradients(on_cpu, turn)
        reference.step()
    assert_same(params, on_cpu)


def test_parameters_in_other_orders_of_memory_and_on_the_cpu(gpu):
    host = np.random.default_rng(1).standard_normal((4, 5, 3, 2)).astype("f")
    turned, gaps, on_cpu = (mg.nn.Parameter(mg.tensor(host, device=device)) for device in ("cuda", "cuda", "cpu"))
    turned.array = gpu.moveaxis(gpu.ascontiguousarray(gpu.moveaxis(turned.array, 1, -1)), -1, 1)
    gaps.array = gpu.empty((4, 5, 3, 4), "f")[..., ::2]
    gaps.array[...] = gpu.asarray(host)
    params = [turned, gaps, on_cpu]
    optimizer = mg.optim.SGD(params, lr=0.1, momentum=0.9)
    for _ in range(2):
        for param in params:
            param.grad = mg.tensor(host * 2, device=param.device)
        optimizer.step()
    for param in (turned, gaps):
        np.testing.assert_allclose(param.array.get(), on_cpu.array, rtol=1e-6)


@pytest.mark.parametrize("kind", [1.0, 2.0, 3.5, np.inf])
def test_clipping_by_norm(gpu, kind):
    for device in ("cuda", "cpu"):
        params = parameters(device)
        give_gradients(params, 0)
        found = mg.nn.utils.clip_grad_norm_(params, 1.5, kind), [param.grad for param in params]
        if device == "cuda":
            on_gpu = found
    assert_same([on_gpu[0]], [found[0]])
    assert_same(on_gpu[1], found[1])
    again = mg.nn.utils.clip_grad_norm_(parameters_with(on_gpu[1]), 100.0, kind)
    np.testing.assert_allclose(again.item(), 1.5, rtol=1e-5)
    assert_same(on_gpu[1], found[1])


def parameters_with(gradients):
    params = parameters("cuda")
    for param, gradient in zip(params, gradients, strict=True):
        param.grad = gradient
    return params


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_norms_that_are_not_finite(gpu, bad):
    params = parameters("cuda")
    give_gradients(params, 0)
    params[2].grad.array[3, 4] = bad
    for kind in (2.0, np.inf):
        total = mg.nn.utils.get_total_norm([param.grad for param in params], kind)
        np.testing.assert_equal(total.item(), bad)
    with pytest.raises(RuntimeError, match="non-finite"):
        mg.nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_scaled_gradients(gpu, name, fused):
    """Two good steps, one with an infinity, a good one: as on the CPU, and fused ones wait for nothing."""
    found = []
    for device in ("cuda", "cpu"):
        params = parameters(device)
        optimizer = getattr(mg.optim, name)(params, lr=0.05, fused=fused and device == "cuda")
        scaler = mg.amp.GradScaler(device, init_scale=8.0, growth_interval=2)
        scales = []
        for turn in range(4):
            scaler.scale(mg.ones(1, device=device))
            give_gradients(params, turn, scaler.get_scale())
            if turn == 2:
                params[1].grad.array[...] = np.inf
            if turn % 2:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())
        found.append((params, scales))
        if name == "AdamW":
            assert {state["step"].item() for state in optimizer.state.values()} == {3.0}
    (on_gpu, scales), (on_cpu, expected) = found
    assert scales == expected == [8.0, 16.0, 8.0, 8.0]
    assert_same(on_gpu, on_cpu)


def test_the_scale_adapts_in_one_launch(launches):
    scales = []
    for device in ("cuda", "cpu"):
        scaler = mg.amp.GradScaler(device, init_scale=2.0**126, growth_interval=1)
        optimizer = mg.optim.SGD(parameters(device), lr=0.0)
        scaler.scale(mg.zeros(1, device=device))
        for factor in (1.0, 1.0, np.inf):  # grows, can't grow beyond float32, backs off
            give_gradients(optimizer.param_groups[0]["params"], 0, factor)
            scaler.step(optimizer)
            launches.clear()
            scaler.update()
            assert launches == ["update_scale"] * (device == "cuda")
            scales.append((scaler.get_scale(), scaler._get_growth_tracker()))
    assert scales[:3] == scales[3:] == [(2.0**127, 0), (2.0**127, 0), (2.0**126, 0)]


def test_a_training_step_waits_for_nothing(gpu, monkeypatch):
    if gpu.ndarray is not fake_cupy.ndarray:
        pytest.skip("the stand-in tells what would wait")
    network = mg.nn.Sequential(
        mg.nn.Conv2d(3, 4, 3), mg.nn.ReLU(), mg.nn.MaxPool2d(2), mg.nn.LocalResponseNorm(3), mg.nn.AvgPool2d(2, 1, 1),
        mg.nn.AdaptiveAvgPool2d(2), mg.nn.Flatten(), mg.nn.Dropout(), mg.nn.Linear(16, 5),
    ).to("cuda")  # fmt: skip
    optimizer = mg.optim.AdamW(network.parameters(), fused=True)
    scaler = mg.amp.GradScaler("cuda")
    x, target = mg.randn(2, 3, 10, 10, device="cuda"), mg.tensor([1, 4], device="cuda")

    def step():
        optimizer.zero_grad()
        loss = mg.nn.functional.cross_entropy(network(x), target)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        mg.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    def refuse(self, *args, **kwargs):
        raise AssertionError("waits for the GPU")

    step()
    with monkeypatch.context() as watched:
        for name in ("get", "item", "tolist", "__bool__", "__float__", "__int__", "__index__"):
            watched.setattr(fake_cupy.ndarray, name, refuse, raising=False)
        losses = [step() for _ in range(3)]
    assert all(np.isfinite(loss.item()) for loss in losses)
