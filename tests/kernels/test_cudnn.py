"""Convolutions of GPU arrays through the binding of cuDNN, here with a stand-in that computes on host memory."""

import itertools
import shutil

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import CUDNN, cudnn, has_bfloat16
from minigrad.backend.devices import cupy_module
from minigrad.kernels import conv
from minigrad.kernels.conv.reference import forward_reference, input_reference, weight_reference
from minigrad.kernels.cuda.order import is_dense
from tests import fake_nvidia
from tests.fake_nvidia import BFLOAT16

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++, which compiles kernels for the stand-in")
TOLERANCE = {"f": 1e-5, "d": 1e-10, "e": 5e-3, "E": 4e-2}


@pytest.fixture
def library():
    with with_library() as found:
        yield found


def with_library(**options):
    found = fake_nvidia.Cudnn(**options)
    installed = fake_nvidia.installed(cudnn=found)

    class Using:
        def __enter__(self):
            found.cupy = installed.__enter__()
            cupy_module()
            return found

        def __exit__(self, *error):
            return installed.__exit__(*error)

    return Using()


@pytest.fixture
def switches():
    """minigrad.backends.cudnn, its switches put back afterwards."""
    before = dict(vars(CUDNN))
    yield mg.backends.cudnn
    vars(CUDNN).clear()
    vars(CUDNN).update(before)


def numbers(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def close(found, expected):
    tolerance = TOLERANCE[found.dtype.char]
    assert found.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found.get().astype(float), expected, rtol=tolerance, atol=tolerance * scale)


# x, w, stride, padding, dilation, groups
CASES = {
    "plain": ((2, 3, 7, 8), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "strides": ((2, 3, 11, 10), (4, 3, 4, 3), (3, 2), (2, 0), (1, 1), 1),
    "dilation": ((1, 2, 9, 9), (3, 2, 3, 2), (1, 2), (2, 1), (2, 3), 1),
    "groups": ((2, 6, 5, 6), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    "depthwise": ((2, 4, 5, 5), (8, 1, 3, 3), (2, 2), (1, 1), (1, 1), 4),
    "pointwise": ((2, 3, 4, 5), (6, 3, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "one channel": ((2, 1, 5, 4), (1, 1, 2, 3), (1, 1), (0, 1), (1, 1), 1),
    "one position": ((2, 3, 1, 1), (4, 3, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1-d": ((2, 3, 9), (4, 3, 3), (2,), (1,), (1,), 1),
    "1-d dilated": ((2, 4, 12), (4, 2, 3), (1,), (2,), (2,), 2),
    "3-d": ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), (1, 2, 1), (1, 0, 1), (1, 1, 2), 1),
}
TYPES = [(np.float32, True), (np.float32, False), (np.float64, True), (np.float16, True)]
TYPES += [(BFLOAT16, True)] if has_bfloat16() else []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(("dtype", "tf32"), TYPES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_the_three_convolutions(library, switches, case, dtype, tf32):
    switches.allow_tf32 = tf32
    shape, kernel, *settings, groups = case
    x, w, bias = numbers(shape, dtype), numbers(kernel, dtype, 1), numbers(kernel[:1], dtype, 2)
    wide = [a.astype(float) for a in (x, w, bias)]
    y = forward_reference(*wide, *settings, groups)
    g = numbers(y.shape, dtype, 3)
    gpu = library.cupy.asarray
    found = [
        (conv.convolve(gpu(x), gpu(w), gpu(bias), *settings, groups), y),
        (conv.convolve(gpu(x), gpu(w), gpu(bias), *settings, groups, relu=True), np.maximum(y, 0)),
        (conv.convolve(gpu(x), gpu(w), None, *settings, groups), forward_reference(*wide[:2], None, *settings, groups)),
        (conv.convolve_input(gpu(g), gpu(w), shape[2:], *settings, groups),
         input_reference(g.astype(float), wide[1], shape[2:], *settings, groups)),
        (conv.convolve_weight(gpu(g), gpu(x), kernel[2:], *settings, groups),
         weight_reference(g.astype(float), wide[0], kernel[2:], *settings, groups)),
    ]  # fmt: skip
    for result, expected in found:
        assert result.dtype == dtype
        close(result, expected)
    assert [kind for _, kind, _ in library.executed] == [10, 10, 10, 12, 11]
    images = dtype != np.float64 and (dtype != np.float32 or tf32)
    for result, _ in found[:4]:  # tensor cores read images channels last
        assert is_dense(result, images)
    assert found[4][0].flags.c_contiguous


@pytest.mark.parametrize("output", [(5, 5), (4, 6), (3, 3)])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_fewer_windows_than_fit(library, output, padding):
    """As after a transposed convolution whose output padding reaches further than a window's step."""
    settings, size = ((2, 2), (padding, padding), (1, 1)), (14, 15)
    g, x = numbers((2, 4, *output), np.float64), numbers((2, 3, *size), np.float64, 1)
    w = numbers((4, 3, 3, 3), np.float64, 2)
    gpu = library.cupy.asarray
    close(conv.convolve_input(gpu(g), gpu(w), size, *settings, 1), input_reference(g, w, size, *settings, 1))
    close(conv.convolve_weight(gpu(g), gpu(x), (3, 3), *settings, 1), weight_reference(g, x, (3, 3), *settings, 1))
    assert len(library.executed) == 2


@pytest.mark.parametrize("order", ["channels last", "rows", "part", "transposed"])
def test_operands_in_any_order_are_read_rightly(library, order):
    x, w = numbers((2, 3, 6, 5), np.float32), numbers((4, 3, 3, 3), np.float32, 1)
    gpu = library.cupy.asarray
    if order == "channels last":
        a = gpu(np.ascontiguousarray(x.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
        b = gpu(np.ascontiguousarray(w.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
    elif order == "part":
        whole = np.zeros((2, 5, 8, 5), np.float32)
        whole[:, 1:4, 2:] = x
        a, b = gpu(whole)[:, 1:4, 2:], gpu(w)
    elif order == "transposed":
        a = gpu(np.ascontiguousarray(x.transpose(3, 2, 1, 0))).transpose(3, 2, 1, 0)
        b = gpu(np.ascontiguousarray(w.transpose(1, 0, 2, 3))).transpose(1, 0, 2, 3)
    else:
        a, b = gpu(x), gpu(w)
    y = conv.convolve(a, b, None, (1, 1), (1, 1), (1, 1), 1)
    close(y, forward_reference(x, w, None, (1, 1), (1, 1), (1, 1), 1))
    read = library.executed[0][2]
    assert (read[1] == a.data.ptr, read[2] == b.data.ptr) == ((order == "channels last",) * 2)


@pytest.mark.parametrize("kind", ["forward", "input", "weight"])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 2.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_added_to_what_is_there(library, kind, alpha, beta, dtype):
    x, w, y = numbers((2, 3, 6, 5), dtype), numbers((4, 3, 3, 3), dtype, 1), numbers((2, 4, 6, 5), dtype, 2)
    settings = (1, 1), (1, 1), (1, 1)
    arrays = [library.cupy.asarray(a.copy()) for a in (x, w, y)]
    assert cudnn.convolution(kind, *arrays, *settings, channels_last=False, alpha=alpha, beta=beta)
    made = {
        "forward": lambda: forward_reference(x, w, None, *settings, 1),
        "input": lambda: input_reference(y, w, (6, 5), *settings, 1),
        "weight": lambda: weight_reference(y, x, (3, 3), *settings, 1),
    }[kind]()
    position = ("input", "weight", "forward").index(kind)
    close(arrays[position], alpha * made + beta * (x, w, y)[position])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("relu", [True, False])
def test_another_array_is_added_in_the_same_kernel(library, bias, relu):
    x, w = numbers((2, 3, 6, 5), np.float32), numbers((4, 3, 3, 3), np.float32, 1)
    other, b = numbers((2, 4, 6, 5), np.float32, 2), numbers(4, np.float32, 3)
    gpu = library.cupy.asarray
    y = gpu(np.zeros_like(other))
    settings = (1, 1), (1, 1), (1, 1)
    assert cudnn.convolution("forward", gpu(x), gpu(w), y, *settings, channels_last=False, add=gpu(other),
                             bias=gpu(b) if bias else None, relu=relu)  # fmt: skip
    expected = forward_reference(x, w, b if bias else None, *settings, 1) + other
    close(y, np.maximum(expected, 0) if relu else expected)
    assert len(library.executed) == 1


# ---------------------------------------------------------------------- plans


def run(library, dtype=np.float32, count=1, size=6):
    x, w = (library.cupy.asarray(numbers(shape, dtype)) for shape in ((count, 3, size, 5), (4, 3, 3, 3)))
    return conv.convolve(x, w, None, (1, 1), (1, 1), (1, 1), 1)


def engines_used(library):
    return [engine for engine, *_ in library.executed]


def test_plans_are_made_once_for_each_problem(library, switches):
    for _ in range(3):
        run(library)
    made = len(cudnn._HANDLES.of_device[0].plans)
    assert made == 1
    run(library, count=2)
    run(library, np.float64)
    switches.allow_tf32 = False
    run(library)
    switches.deterministic = True
    run(library)
    assert len(cudnn._HANDLES.of_device[0].plans) == 5 and library.count("create") == 1


def test_descriptors_are_freed(library):
    run(library)
    kept = len(library.made)
    for _ in range(5):
        run(library)
    assert len(library.made) == kept
    cudnn._HANDLES.of_device.clear()
    assert library.made == {}


NOTED = ((1, (0, 1), 0, True), (2, (0,), 0, True), (3, (4,), 0, True), (4, (), 0, True))


@pytest.mark.parametrize(
    ("dtype", "tf32", "deterministic", "engine"),
    [
        (np.float32, True, False, 2),  # never rounded to float16
        (np.float32, True, True, 2),
        (np.float32, False, False, 3),
        (np.float32, False, True, 4),
        (np.float16, False, False, 1),
        (np.float64, False, False, 1),
    ],
)
def test_engines_that_round_or_sum_otherwise_are_left_out(switches, dtype, tf32, deterministic, engine):
    with with_library(engines=NOTED) as library:
        switches.allow_tf32, switches.deterministic = tf32, deterministic
        run(library, dtype)
        assert engines_used(library) == [engine]


def test_deterministic_algorithms_are_respected(switches):
    with with_library(engines=((3, (4,), 0, True), (4, (), 0, True))) as library:
        mg.use_deterministic_algorithms(True)
        try:
            run(library)
        finally:
            mg.use_deterministic_algorithms(False)
        run(library)
        assert engines_used(library) == [4, 3]


def test_the_workspace_is_limited_and_grows(switches):
    engines = ((1, (), 1 << 20, True), (2, (), 1 << 10, True))
    with with_library(engines=engines) as library:
        run(library)
        switches.workspace_limit = 1 << 12
        run(library)
        switches.workspace_limit = 1
        run(library)  # none is that small: the smallest
        assert engines_used(library) == [1, 2, 2]
        (memory,) = cudnn._WORKSPACES._memory.values()
        assert memory[1] == 1 << 20


def test_the_fallback_is_asked_where_the_heuristics_name_nothing():
    with with_library(engines=(), fallback=((9, (), 0, True),)) as library:
        run(library)
        assert engines_used(library) == [9]


def test_a_fused_graph_that_no_engine_takes_is_computed_in_steps(library):
    library.refuse = lambda graph: len(graph.values[801]) > 1
    x, w, b = numbers((2, 3, 6, 5), np.float32), numbers((4, 3, 3, 3), np.float32, 1), numbers(4, np.float32, 2)
    gpu = library.cupy.asarray
    y = conv.convolve(gpu(x), gpu(w), gpu(b), (1, 1), (1, 1), (1, 1), 1, relu=True)
    close(y, np.maximum(forward_reference(x, w, b, (1, 1), (1, 1), (1, 1), 1), 0))
    assert len(library.executed) == 1


def test_without_a_plan_im2col_is_used():
    with with_library(engines=()) as library:
        x, w = numbers((1, 3, 6, 5), np.float32), numbers((4, 3, 3, 3), np.float32)
        close(run(library), forward_reference(x, w, None, (1, 1), (1, 1), (1, 1), 1))
        assert library.executed == []


@pytest.mark.parametrize("off", ["enabled", "plain", "missing"])
def test_im2col_can_be_asked_for(library, switches, off):
    if off == "enabled":
        switches.enabled = False
    if off == "missing":
        fake_nvidia.libraries.LOADED["cudnn"] = None
    with mg.backends.im2col.flags(enabled=off == "plain"):
        y = run(library)
    assert library.executed == [] and y.flags.c_contiguous


def test_empty_batches_and_integers(library):
    gpu = library.cupy.asarray
    w = numbers((4, 3, 3, 3), np.float32)
    y = conv.convolve(gpu(np.zeros((0, 3, 6, 5), np.float32)), gpu(w), None, (1, 1), (1, 1), (1, 1), 1)
    assert y.shape == (0, 4, 6, 5)
    ones = gpu(np.ones((1, 3, 6, 5), int)), gpu(np.ones((4, 3, 3, 3), int))
    ints = conv.convolve(*ones, None, (1, 1), (0, 0), (1, 1), 1)
    assert ints.get().tolist() == np.full((1, 4, 4, 3), 27).tolist() and library.executed == []


def test_errors_are_cudnns_own_words(library):
    library.engines = ((1, (), 0, False),)
    library.message = "the GPU is on fire"
    with pytest.raises(cudnn.CudnnError, match="cuDNN: a convolution failed: CUDNN_STATUS: the engine does not run"):
        run(library)
    assert issubclass(cudnn.CudnnError, RuntimeError)


def test_the_stream_is_set_when_it_changes(library):
    for stream in (0, 0, 5, 5, 0):
        library.cupy.stream = fake_nvidia.Stream(stream)
        run(library)
    assert [call[1] for call in library.calls if call[0] == "stream"] == [0, 5, 0]


# ---------------------------------------------------------------------- benchmark

SPEEDS = ((1, (), 0, True), (2, (), 8, True), (3, (), 0, False), (4, (), 0, True))


def test_benchmark_keeps_the_fastest_plan(switches):
    with with_library(engines=SPEEDS) as library:
        switches.benchmark = True
        library.cupy.times = iter((3.0, 1.0, 2.0))  # the third does not run
        y = run(library)
        assert engines_used(library)[-1] == 2
        tried = len(library.executed)
        assert tried == 3 * (1 + cudnn._REPEATS) + 1
        run(library)
        assert len(library.executed) == tried + 1 and engines_used(library)[-1] == 2
        written = {pointers[3] for _, _, pointers in library.executed[: tried - 1]}
        assert y.data.ptr not in written and len(written) == 1


def test_benchmark_does_not_touch_what_is_added_to(switches):
    with with_library(engines=SPEEDS) as library:
        switches.benchmark = True
        x, w, y = (numbers(shape, np.float32) for shape in ((2, 3, 6, 5), (4, 3, 3, 3), (2, 4, 6, 5)))
        arrays = [library.cupy.asarray(a.copy()) for a in (x, w, y)]
        settings = (1, 1), (1, 1), (1, 1)
        cudnn.convolution("forward", *arrays, *settings, channels_last=False, beta=1.0)
        close(arrays[2], forward_reference(x, w, None, *settings, 1) + y)


def test_benchmark_tries_as_many_as_the_limit(switches):
    for limit, expected in ((1, 1), (2, 2 * (1 + cudnn._REPEATS) + 1), (0, 3 * (1 + cudnn._REPEATS) + 1)):
        with with_library(engines=SPEEDS) as library:
            switches.benchmark, switches.benchmark_limit = True, limit
            run(library)
            assert len(library.executed) == expected


def test_nothing_is_timed_while_a_graph_is_captured(switches):
    with with_library(engines=SPEEDS) as library:
        switches.benchmark = True
        library.cupy.stream = fake_nvidia.Stream(3)
        library.cupy.stream.capturing = True
        library.cupy.times = iter(())
        run(library)
        run(library)
        assert engines_used(library) == [1, 1]
        library.cupy.stream.capturing = False
        library.cupy.times = itertools.cycle((3.0, 1.0, 2.0))
        run(library)
        library.cupy.stream.capturing = True
        run(library)
        assert engines_used(library)[-2:] == [2, 2]  # what was chosen before is used in a capture


def test_memory_that_a_graph_knows_is_kept(switches):
    with with_library(engines=((1, (), 64, True),)) as library:
        library.cupy.stream = fake_nvidia.Stream(3)
        library.cupy.stream.capturing = True
        run(library)
        kept = list(cudnn._WORKSPACES._captured)
        library.engines = ((1, (), 128, True),)
        run(library, count=2)
        assert len(kept) == 1 and any(each is kept[0] for each in cudnn._WORKSPACES._captured)


# ---------------------------------------------------------------------- switches


def test_switches_and_their_defaults_are_pytorchs(switches):
    names = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")
    values = [getattr(switches, name) for name in names]
    assert values == [True, False, 10, False, True]
    with switches.flags(enabled=True, benchmark=True, deterministic=True, allow_tf32=False):
        assert switches.benchmark is CUDNN.benchmark is True and CUDNN.deterministic and not CUDNN.allow_tf32
    assert not CUDNN.benchmark and CUDNN.allow_tf32
    with switches.flags():
        assert not CUDNN.enabled
    assert switches.set_flags(False, _benchmark_limit=3) == (True, False, 10, False, True)
    assert not CUDNN.enabled and CUDNN.benchmark_limit == 3
    wrong = ("enabled", 1), ("benchmark_limit", -1), ("benchmark_limit", True), ("workspace_limit", "much")
    for name, value in wrong:
        with pytest.raises(RuntimeError, match=rf"{name} expects a"):
            setattr(switches, name, value)
    with pytest.raises(RuntimeError, match="expects a bool"):
        switches.set_flags(True, 3)
    assert not CUDNN.enabled
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"), switches.flags(speed=1):
        raise AssertionError


def test_version_and_presence(library):
    assert mg.backends.cudnn.is_available() and mg.backends.cudnn.version() == 91900
    fake_nvidia.libraries.LOADED["cudnn"] = None
    assert not mg.backends.cudnn.is_available() and mg.backends.cudnn.version() is None


# ---------------------------------------------------------------------- networks


def test_a_network_trains_as_on_the_cpu(library):
    """Convolutions, a transposed one, pooling, and the view that flattens: results lie channels last in between."""

    class Network(mg.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = mg.nn.Conv2d(3, 4, 3, padding=1)
            self.second = mg.nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False)
            self.back = mg.nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1)
            self.last = mg.nn.Linear(4 * 4 * 4, 5)

        def forward(self, x):
            x = mg.nn.functional.relu(self.first(x), inplace=True)
            x = mg.nn.functional.max_pool2d(self.back(self.second(x)), 2)
            return self.last(x.view(x.size(0), -1))

    mg.manual_seed(0)
    network = Network()
    x = mg.randn(2, 3, 8, 8)
    network(x).square().sum().backward()
    expected = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    network.to("cuda")
    network(x.to("cuda")).square().sum().backward()
    for name, p in network.named_parameters():
        assert mg.allclose(p.grad.cpu(), expected[name], atol=1e-3, rtol=1e-3), name
        assert p.grad.is_contiguous()
    assert [kind for _, kind, _ in library.executed].count(11) == 3


def test_convolutions_of_all_orders_of_derivatives(library):
    mg.manual_seed(0)
    x = mg.randn(1, 2, 5, 4, dtype=mg.float64).to("cuda").requires_grad_()
    w = mg.randn(3, 2, 3, 2, dtype=mg.float64).to("cuda").requires_grad_()
    (gx,) = mg.autograd.grad(mg.nn.functional.conv2d(x, w, stride=2, padding=1).pow(3).sum(), x, create_graph=True)
    (gw,) = mg.autograd.grad(gx.square().sum(), w)
    cx, cw = x.detach().cpu().requires_grad_(), w.detach().cpu().requires_grad_()
    (gx,) = mg.autograd.grad(mg.nn.functional.conv2d(cx, cw, stride=2, padding=1).pow(3).sum(), cx, create_graph=True)
    (expected,) = mg.autograd.grad(gx.square().sum(), cw)
    assert mg.allclose(gw.cpu(), expected)


def test_writes_to_a_weight_are_seen(library):
    """A weight that lies otherwise is converted at each call."""
    layer = mg.nn.Conv2d(3, 4, 3, bias=False).to("cuda")
    x = mg.ones(1, 3, 5, 5).to("cuda")
    layer(x)
    with mg.no_grad():
        layer.weight.fill_(1)
    assert layer(x).cpu().tolist() == mg.full((1, 4, 3, 3), 27.0).tolist()
    layer.weight.array.fill(2)
    assert layer(x).cpu()[0, 0, 0, 0].item() == 54


def test_the_stand_in_leaves_nothing_behind():
    before = cudnn._HANDLES, cudnn._WORKSPACES
    with with_library(engines=((1, (), 64, True),)) as library:
        run(library)
        assert cudnn._WORKSPACES._memory and cudnn._WORKSPACES is not before[1]
    assert (cudnn._HANDLES, cudnn._WORKSPACES) == before
