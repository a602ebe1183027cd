"""Recorded work, replayed: on a GPU, or on the stand-in, whose recordings repeat every call on the same memory."""
import contextlib
import copy
import gc

import numpy as np
import pytest

import minigrad as mg
import models
from minigrad.backend import capture, cuda_is_available, cupy_module, libraries
from minigrad.backend import gpu as backend_gpu
from minigrad.nn import functional as F
from tests import fake_capture, fake_cupy, fake_nvidia


@contextlib.contextmanager
def stand_in():
    before = dict(libraries.LOADED)
    with fake_capture.installed(), fake_cupy.installed() as cupy:
        libraries.LOADED.clear()
        libraries.LOADED.update({"cublas": fake_nvidia.Cublas(), "cudnn": None})
        try:
            yield cupy
        finally:
            libraries.LOADED.clear()
            libraries.LOADED.update(before)


@pytest.fixture(scope="module", autouse=True)
def gpu():
    if cuda_is_available():
        yield cupy_module()
        return
    with stand_in() as cupy:
        yield cupy


@pytest.fixture(autouse=True)
def seeded():
    mg.manual_seed(0)


def small():
    nn = mg.nn
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
    return nn.Sequential(*layers)


def batches(count, shape=(6, 1, 8, 8), classes=5):
    return [(mg.randn(*shape).to("cuda"), (mg.arange(shape[0]) % classes).to("cuda")) for _ in range(count)]


def twins(build):
    first, second = build().to("cuda"), build().to("cuda")
    second.load_state_dict(first.state_dict())
    return first, second


def plain_step(model, optimizer, inputs, targets, loss=F.cross_entropy):
    optimizer.zero_grad()
    value = loss(model(inputs), targets)
    value.backward()
    optimizer.step()
    return value.item()


def assert_same_state(first, second, tolerance=1e-5):
    pairs = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    for (name, value), wanted in pairs:
        np.testing.assert_allclose(value.cpu().numpy(), wanted.cpu().numpy(), tolerance, tolerance, err_msg=name)


# ---------------------------------------------------------------- graphs
def test_a_replay_reads_what_is_there():
    x = mg.ones(4, device="cuda")
    recorded = mg.cuda.CUDAGraph()
    with mg.cuda.graph(recorded):
        y = (x * 2 + 1).sum(dim=0, keepdim=True).expand(3)
    x.fill_(5)
    recorded.replay()
    mg.cuda.synchronize()
    assert y.tolist() == [44, 44, 44]
    x[1:] = 0
    recorded.replay()
    assert y.tolist() == [14, 14, 14]
    assert not mg.cuda.is_current_stream_capturing()


def test_graphs_share_memory(tmp_path):
    pool = mg.cuda.graph_pool_handle()
    x = mg.arange(3.0, device="cuda")
    first, second = mg.cuda.CUDAGraph(), mg.cuda.CUDAGraph()
    with mg.cuda.graph(first, pool=pool):
        y = x + 1
    with mg.cuda.graph(second, pool=first.pool()):
        z = y * 10
        assert mg.cuda.is_current_stream_capturing()
    x.copy_(mg.tensor([5.0, 6.0, 7.0]))
    first.replay()
    second.replay()
    assert z.tolist() == [60, 70, 80]
    first.debug_dump(tmp_path / "graph.dot")
    assert (tmp_path / "graph.dot").read_text().startswith("digraph")


def test_misuse():
    recorded = mg.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        recorded.replay()
    with pytest.raises(RuntimeError, match="before capture_begin"):
        recorded.capture_end()
    with pytest.raises(RuntimeError, match="capture error mode"):
        recorded.capture_begin(capture_error_mode="lenient")
    with pytest.raises(NotImplementedError, match="leave stream out"):
        mg.cuda.graph(recorded, stream=mg.cuda.Stream())


def test_what_needs_a_result_is_refused_and_the_gpu_goes_on_working():
    x = mg.ones(3, device="cuda")
    recorded = mg.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="cannot be recorded.*result on the CPU"), mg.cuda.graph(recorded):
        (x * 2).sum().item()
    assert not mg.cuda.is_current_stream_capturing()
    assert (x + 1).tolist() == [2, 2, 2]
    with mg.cuda.graph(recorded):  # the same object may try again
        y = x + 2
    recorded.replay()
    assert y.tolist() == [3, 3, 3]


# ---------------------------------------------------------------- a training step
def sgd(model):
    return mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


OPTIMIZERS = {
    "SGD": sgd,
    "SGD, Nesterov": lambda model: mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda model: mg.optim.Adam(model.parameters(), lr=0.01, capturable=True),
    "AdamW": lambda model: mg.optim.AdamW(model.parameters(), lr=0.01, capturable=True, amsgrad=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_without_a_graph(name):
    recorded, plain = twins(small)
    first, second = OPTIMIZERS[name](recorded), OPTIMIZERS[name](plain)
    given = batches(4)
    step = mg.cuda.make_graphed_step(recorded, F.cross_entropy, first, given[0])
    assert_same_state(recorded, plain, 0)  # making it trains nothing
    for inputs, targets in given:
        loss = step(inputs, targets)
        assert loss.item() == pytest.approx(plain_step(plain, second, inputs, targets), rel=1e-4)
    assert_same_state(recorded, plain)
    for p, q in zip(recorded.parameters(), plain.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.cpu().numpy(), q.grad.cpu().numpy(), 1e-3, 1e-5)


def test_a_result_is_the_callers_own():
    model = small().to("cuda")
    (a, b) = batches(2)
    step = mg.cuda.make_graphed_step(model, F.cross_entropy, sgd(model), a)
    first = step(*a)
    value = first.item()
    step(*b)
    assert first.item() == value


def test_learning_rates_and_modes_may_change():
    recorded, plain = twins(small)
    first, second = sgd(recorded), sgd(plain)
    given = batches(6)
    step = mg.cuda.make_graphed_step(recorded, F.cross_entropy, first, given[0])
    schedules = [mg.optim.lr_scheduler.StepLR(optimizer, 2, 0.1) for optimizer in (first, second)]
    for number, (inputs, targets) in enumerate(given):
        if number == 4:
            recorded.eval(), plain.eval()
        loss = step(inputs, targets)
        assert loss.item() == pytest.approx(plain_step(plain, second, inputs, targets), rel=1e-4)
        for schedule in schedules:
            schedule.step()
    assert_same_state(recorded, plain)


def _replaced(model, optimizer):
    for parameter in model.parameters():
        parameter.data = parameter.detach().clone() * 0.5


CHANGES = {
    "a layer in eval": lambda model, optimizer: model[1].eval(),
    "a frozen layer": lambda model, optimizer: model[0].requires_grad_(False),
    "new memory": _replaced,
    "weights loaded": lambda model, optimizer: model.load_state_dict(
        {name: value * 0.5 for name, value in model.state_dict().items()}
    ),
    "state loaded": lambda model, optimizer: optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict())),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_program_changes_between_steps_is_noticed(name):
    recorded, plain = twins(small)
    first, second = sgd(recorded), sgd(plain)
    given = batches(4)
    step = mg.cuda.make_graphed_step(recorded, F.cross_entropy, first, given[0])
    for number, (inputs, targets) in enumerate(given):
        if number == 2:
            CHANGES[name](recorded, first), CHANGES[name](plain, second)
        loss = step(inputs, targets)
        assert loss.item() == pytest.approx(plain_step(plain, second, inputs, targets), rel=1e-4)
    assert_same_state(recorded, plain)


def test_it_goes_on_from_a_state():
    """A step made in the middle of training leaves momenta and counts as they were."""
    recorded, plain = twins(small)
    first, second = (mg.optim.Adam(model.parameters(), lr=0.01, capturable=True) for model in (recorded, plain))
    given = batches(4)
    for inputs, targets in given[:2]:
        plain_step(recorded, first, inputs, targets)
        plain_step(plain, second, inputs, targets)
    step = mg.cuda.make_graphed_step(recorded, F.cross_entropy, first, given[0])
    for inputs, targets in given[2:]:
        step(inputs, targets)
        plain_step(plain, second, inputs, targets)
    assert_same_state(recorded, plain)


def test_dropout_draws_anew_in_every_replay():
    model = mg.nn.Dropout(0.5)
    x = mg.ones(1000, device="cuda")
    recorded = mg.cuda.CUDAGraph()
    model(x)
    with mg.cuda.graph(recorded):
        y = model(x)
    found = []
    for _ in range(3):
        recorded.replay()
        found.append(y.cpu())
    assert all(350 < (y != 0).sum() < 650 for y in found)
    assert not (found[0] == found[1]).all() and not (found[1] == found[2]).all()


@pytest.mark.parametrize("dtype", ["float16"])
def test_mixed_precision(dtype):
    recorded, plain = twins(small)
    first, second = sgd(recorded), sgd(plain)
    given = batches(3)
    with mg.autocast("cuda", dtype=getattr(mg, dtype)):
        step = mg.cuda.make_graphed_step(recorded, F.cross_entropy, first, given[0])
    for inputs, targets in given:
        loss = step(inputs, targets)
        second.zero_grad()
        with mg.autocast("cuda", dtype=getattr(mg, dtype)):
            wanted = F.cross_entropy(plain(inputs), targets)
        wanted.backward()
        second.step()
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-2)


def _item_in_the_loss(scores, targets):
    return F.cross_entropy(scores, targets) * (1.0 if scores.sum().item() > 0 else 2.0)


def test_refusals():
    model = small().to("cuda")
    ((inputs, targets),) = batches(1)
    before = {name: value.cpu().clone() for name, value in model.state_dict().items()}

    def make(loss=F.cross_entropy, optimizer=None, example=(inputs, targets), **options):
        return mg.cuda.make_graphed_step(model, loss, optimizer or sgd(model), example, **options)

    with pytest.raises(RuntimeError, match="cannot be recorded"):
        make(_item_in_the_loss)
    with pytest.raises(RuntimeError, match="capturable=True"):
        make(optimizer=mg.optim.Adam(model.parameters()))
    with pytest.raises(RuntimeError, match="take one ordinary step first"):
        make(optimizer=mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, dampening=0.5))
    with pytest.raises(TypeError, match="tuple of tensors"):
        make(example=inputs)
    with pytest.raises(RuntimeError, match="the example has a tensor on cpu"):
        make(example=(inputs.cpu(), targets))
    with pytest.raises(ValueError, match="warmup"):
        make(warmup=0)
    with pytest.raises(RuntimeError, match="one number"):
        make(lambda scores, targets: F.cross_entropy(scores, targets, reduction="none").sum(0, keepdim=True).expand(2))
    step = make()
    with pytest.raises(RuntimeError, match=r"argument 0 is \(5, 1, 8, 8\)"):
        step(inputs[:5], targets[:5])
    with pytest.raises(TypeError, match="expected 2 tensors"):
        step(inputs)
    assert all((value.cpu() == before[name]).all() for name, value in model.state_dict().items())
    step(inputs, targets)


NETWORKS = {
    "lenet5": {"in_channels": 1, "image_size": 28},
    "alexnet_grouped": {"in_channels": 3, "image_size": 64},
    "vgg11": {"in_channels": 3, "image_size": 32},
    "googlenet": {"in_channels": 3, "image_size": 64, "aux_logits": False, "five_by_five": True, "batch_norm": False},
    "resnet18": {"in_channels": 3, "image_size": 16},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_in_the_networks_of_the_lecture_waits_for_the_gpu(name):
    """Dropout aside, which draws its own numbers in each, a step is that without a graph."""
    options = NETWORKS[name]

    def build():
        model = models.build(name, num_classes=4, **options)
        for layer in model.modules():
            if isinstance(layer, mg.nn.Dropout):
                layer.p = 0.0
        return model

    recorded, plain = twins(build)
    first, second = (mg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9) for model in (recorded, plain))
    shape = (2, options["in_channels"], options["image_size"], options["image_size"])
    example, (inputs, targets) = batches(2, shape, 4)
    step = mg.cuda.make_graphed_step(recorded, F.cross_entropy, first, example, warmup=1)
    assert step(inputs, targets).item() == pytest.approx(plain_step(plain, second, inputs, targets), rel=1e-3)
    assert_same_state(recorded, plain, 1e-3)


# ---------------------------------------------------------------- callables
def test_graphed_callables():
    recorded, plain = twins(lambda: mg.nn.Sequential(mg.nn.Linear(4, 8), mg.nn.Tanh(), mg.nn.Linear(8, 3)))
    sample = mg.randn(5, 4).to("cuda").requires_grad_()
    graphed = mg.cuda.make_graphed_callables(recorded, (sample,))
    assert graphed is recorded
    for _ in range(2):
        x = mg.randn(5, 4).to("cuda").requires_grad_()
        other = x.detach().clone().requires_grad_()
        recorded.zero_grad(), plain.zero_grad()
        y, wanted = graphed(x), plain(other)
        np.testing.assert_allclose(y.detach().cpu().numpy(), wanted.detach().cpu().numpy(), 1e-5, 1e-6)
        (y * y).sum().backward(), (wanted * wanted).sum().backward()
        np.testing.assert_allclose(x.grad.cpu().numpy(), other.grad.cpu().numpy(), 1e-4, 1e-6)
        for p, q in zip(recorded.parameters(), plain.parameters(), strict=True):
            np.testing.assert_allclose(p.grad.cpu().numpy(), q.grad.cpu().numpy(), 1e-4, 1e-6)
    recorded.zero_grad(), plain.zero_grad()
    for factor in (1.0, 2.0):  # gradients add up
        (graphed(x).sum() * factor).backward(), (plain(x).sum() * factor).backward()
    for p, q in zip(recorded.parameters(), plain.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.cpu().numpy(), q.grad.cpu().numpy(), 1e-4, 1e-6)
    functions = (lambda a: a * 2, lambda a, b: (a + b, a - b))
    several = mg.cuda.make_graphed_callables(functions, ((sample,), (sample, sample)))
    assert (several[0](x) == 2 * x).all()
    assert (several[1](x, x)[1] == 0).all()


def test_recordings_use_memory_again():
    pool = capture.Pool()
    first, second = capture.Recording(pool), capture.Recording(pool)
    assert first.stream is second.stream  # CuPy's pools and the libraries' workspaces are kept by stream
    with first.alone(), second.alone():
        assert backend_gpu._Gpus.pools.count(pool.memory) == 1
    second.release()
    memory = pool.memory
    del pool
    assert memory in backend_gpu._Gpus.pools
    first.release()
    assert memory not in backend_gpu._Gpus.pools


@pytest.mark.parametrize("failing", [False, True])
def test_a_step_that_is_gone_holds_no_memory(failing):
    """CuPy's pools never give back by themselves what they keep, not even when they go."""
    model = small().to("cuda")
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    (example,) = batches(1)

    def loss(scores, targets):
        value = F.cross_entropy(scores, targets)
        return value * value.item() if failing and cupy_module().cuda.get_current_stream().is_capturing() else value

    plain_step(model, optimizer, *example)
    optimizer.zero_grad()
    gc.collect()
    mg.cuda.empty_cache()
    before, pools = mg.cuda.memory_allocated(), len(backend_gpu._Gpus.pools)
    if failing:
        with pytest.raises(RuntimeError, match="cannot be recorded"):
            mg.cuda.make_graphed_step(model, loss, optimizer, example)
    else:
        step = mg.cuda.make_graphed_step(model, loss, optimizer, example)
        step(*example)
        held = step._graphs_pool.memory
        assert held.total_bytes() > 0
        del step
    optimizer.zero_grad()
    gc.collect()
    mg.cuda.empty_cache()
    assert len(backend_gpu._Gpus.pools) == pools
    assert mg.cuda.memory_allocated() - before < 64 << 20  # workspaces, and tables of what graphs write
    if not failing:
        assert held.total_bytes() == 0


def test_a_copy_in_a_graph_blocks_no_later_one():
    recording = capture.Recording()
    waiting, kept = len(backend_gpu._IN_FLIGHT), len(backend_gpu._OF_GRAPHS)
    with recording.alone():
        recording.begin()
        backend_gpu.keep(recording.stream, "memory")
        recording.end()
    assert len(backend_gpu._IN_FLIGHT) <= waiting  # an event that a graph records is never done
    assert backend_gpu._OF_GRAPHS[kept:] == [("memory",)]
    recording.release()


def test_graphed_callables_with_an_output_that_is_not_used():
    sample = mg.ones(3, device="cuda", requires_grad=True)
    graphed = mg.cuda.make_graphed_callables(lambda a: (a * 2, a * 3), (sample,))
    x = mg.ones(3, device="cuda", requires_grad=True)
    sum(y.sum() for y in graphed(x)).backward()
    assert x.grad.tolist() == [5, 5, 5]
    x.grad = None
    graphed(x)[0].sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_modules_with_hooks_are_refused():
    model = mg.nn.Sequential(mg.nn.Linear(2, 2)).to("cuda")
    model[0].register_forward_hook(lambda *_: None)
    with pytest.raises(RuntimeError, match=r"\(0\) has hooks"):
        mg.cuda.make_graphed_callables(model, (mg.ones(1, 2, device="cuda"),))
    with pytest.raises(NotImplementedError, match="keep_graph"):
        mg.cuda.CUDAGraph(keep_graph=True)
