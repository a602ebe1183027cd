"""What programs touch around the tensors: compile, jit, hub, distributed, multiprocessing, attention, switches."""

import hashlib
import io
import pickle

import pytest

import minigrad as mg
from minigrad import distributed, hub, jit, multiprocessing, nn
from minigrad.nn.attention import SDPBackend, sdpa_kernel


# ------------------------------------------------------------------ compile
def test_a_compiled_module_is_the_module_with_a_prefix():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
    compiled = mg.compile(model, mode="reduce-overhead")
    x = mg.randn(5, 3)
    compiled.eval()
    assert not model.training and mg.equal(compiled(x), model(x))
    assert list(compiled.state_dict()) == ["_orig_mod.0.weight", "_orig_mod.0.bias"]
    assert compiled._orig_mod is model
    compiled.note = 3
    assert model.note == 3
    compiled.train()
    assert model.training and model[1].training
    assert [*compiled.parameters()][0] is model[0].weight


def test_compiled_functions_and_decorators():
    def square(x):
        return x * x

    assert mg.compile(square) is square
    assert mg.compile(fullgraph=True)(square) is square
    assert mg.compiler.disable(square) is square and mg.compiler.disable(recursive=False)(square) is square
    assert not mg.compiler.is_compiling()
    with mg.compiler.set_stance("force_eager"):
        pass


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"mode": "fast"}, RuntimeError),
        ({"mode": "default", "options": {}}, RuntimeError),
        ({"backend": "none"}, RuntimeError),
        ({"backend": lambda graph, inputs: graph}, NotImplementedError),
    ],
)
def test_compile_checks_its_options(arguments, error):
    with pytest.raises(error):
        mg.compile(nn.ReLU(), **arguments)


# ------------------------------------------------------------------ jit
def test_jit_gives_what_it_got():
    class Gate(jit.ScriptModule):
        scale: jit.Final[int]

        def __init__(self):
            super().__init__()
            self.scale = 2

        @jit.script_method
        def forward(self, x):
            return self.helper(x) * self.scale

        @jit.unused
        def helper(self, x):
            return x

    gate = Gate()
    assert jit.script(gate) is gate and gate(mg.ones(2)).tolist() == [2, 2]
    assert jit.trace(gate, mg.ones(2)) is gate and jit.trace_module(gate, {"forward": (mg.ones(1),)}) is gate
    assert jit.ignore(gate.helper) == gate.helper and jit.ignore(drop=True)(gate) is gate
    assert not jit.is_scripting() and jit.annotate(list, []) == [] and jit.isinstance([1], list[int])
    assert jit.wait(jit.fork(lambda x: x + 1, 2)) == 3
    with pytest.raises(RuntimeError, match="eval mode"):
        jit.freeze(gate)
    assert jit.freeze(gate.eval()) is gate
    with pytest.raises(ValueError, match="boom"):
        jit.trace(lambda x: exec('raise ValueError("boom")'), mg.ones(1))
    for refused in (lambda: gate.save("x.pt"), lambda: jit.save(gate, io.BytesIO())):
        with pytest.raises(pickle.PicklingError, match="top of a module"):
            refused()


# ------------------------------------------------------------------ hub
def test_hub_reads_the_cache_and_checks_sums(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    assert hub.get_dir() == str(tmp_path / "home" / "hub")
    folder = tmp_path / "home" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    mg.save({"weight": mg.arange(3)}, folder / "plain.pth")
    content = (folder / "plain.pth").read_bytes()
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / name).write_bytes(content)
    (folder / "net-00000000.pth").write_bytes(content)
    address = "https://example.invalid/models/"
    load = mg.utils.model_zoo.load_url
    assert load is hub.load_state_dict_from_url
    assert load(address + "plain.pth")["weight"].tolist() == [0, 1, 2]
    assert load(address + name, check_hash=True)["weight"].tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="invalid hash value"):
        load(address + "net-00000000.pth", check_hash=True)


@pytest.mark.parametrize("url", ["http://example.invalid/net-01234567.pth", "https://example.invalid/net.pth", "https://example.invalid/n_01234567.pth"])
def test_hub_downloads_only_what_can_be_checked(tmp_path, url):
    with pytest.raises(ValueError, match="checksum"):
        hub.load_state_dict_from_url(url, model_dir=str(tmp_path))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("mark", ["-", "_"])
@pytest.mark.parametrize("good", [True, False])
def test_hub_downloads(tmp_path, monkeypatch, good, mark):
    content = io.BytesIO()
    mg.save({"weight": mg.ones(2)}, content)
    content = content.getvalue()
    sum_ = hashlib.sha256(content).hexdigest()[:8] if good else "deadbeef"
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: _Answer(content, url))
    folder = "https://download.pytorch.org/models/quantized" if mark == "_" else "https://example.invalid"
    url = f"{folder}/net{mark}{sum_}.pth"
    if good:
        assert hub.load_state_dict_from_url(url, str(tmp_path), progress=False)["weight"].tolist() == [1, 1]
        assert (tmp_path / f"net{mark}{sum_}.pth").exists()
        return
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.load_state_dict_from_url(url, str(tmp_path), progress=False)
    assert not [*tmp_path.iterdir()]


class _Answer(io.BytesIO):
    def __init__(self, content, url):
        super().__init__(content)
        self.geturl = lambda: url


def test_hub_runs_no_code():
    for refused in (hub.load, hub.help):
        with pytest.raises(RuntimeError, match="runs code"):
            refused("someone/else", "resnet18")
    with pytest.raises(RuntimeError, match="runs code"):
        hub.load("pytorch/vision", "resnet18", source="local")


def test_hub_has_torchvisions_networks():
    found = hub.load("pytorch/vision:v0.10.0", "resnet18", weights=None, num_classes=3, trust_repo=True)
    assert found.fc.out_features == 3 and type(found).__name__ == "ResNet"
    assert hub.load("pytorch/vision", "fcn_resnet50", weights_backbone=None, num_classes=2, verbose=False).classifier
    with pytest.raises(RuntimeError, match="Cannot find callable resnet19 in hubconf"):
        hub.load("pytorch/vision", "resnet19")


# ------------------------------------------------------------------ distributed
@pytest.fixture
def group(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    distributed.init_process_group("gloo")
    yield distributed
    if distributed.is_initialized():
        distributed.destroy_process_group()


def test_collectives_of_one_process(group):
    x, out = mg.arange(4.0), mg.zeros(4)
    assert (group.get_rank(), group.get_world_size(), group.get_backend()) == (0, 1, "gloo")
    for collective in (group.all_reduce, group.broadcast, group.reduce):
        arguments = () if collective is group.all_reduce else (0,)
        assert collective(x, *arguments) is None and x.tolist() == [0, 1, 2, 3]
    assert group.all_reduce(x, op=group.ReduceOp.MAX, async_op=True).wait() is True
    for run in (
        lambda: group.all_gather([out], x),
        lambda: group.all_gather_into_tensor(out, x),
        lambda: group.gather(x, [out], 0),
        lambda: group.scatter(out, [x], 0),
        lambda: group.reduce_scatter(out, [x]),
        lambda: group.all_to_all([out], [x]),
        lambda: group.all_to_all_single(out, x),
    ):
        out.zero_()
        run()
        assert out.tolist() == [0, 1, 2, 3]
    objects = [None]
    group.all_gather_object(objects, {"a": 1})
    group.barrier()
    assert objects == [{"a": 1}]
    with pytest.raises(RuntimeError, match="invalid root rank: 1"):
        group.broadcast(x, 1)
    with pytest.raises(RuntimeError, match="invalid root rank: 1"):
        group.send(x, 1)
    with pytest.raises(ValueError, match="same as the rank"):
        group.send(x, 0)
    with pytest.raises(ValueError, match="twice"):
        group.init_process_group("gloo")
    sampler = mg.utils.data.distributed.DistributedSampler(range(5), shuffle=False)
    assert [*sampler] == [0, 1, 2, 3, 4]
    assert group.new_group([0]).size() == 1


def test_distributed_data_parallel(group):
    model = nn.parallel.DistributedDataParallel(nn.Linear(2, 1), device_ids=None, find_unused_parameters=True)
    with model.no_sync():
        model(mg.ones(3, 2)).sum().backward()
    assert [*model.state_dict()] == ["module.weight", "module.bias"] and model.module.weight.grad.tolist() == [[3, 3]]
    with pytest.raises(RuntimeError, match="requires a gradient"):
        nn.parallel.DistributedDataParallel(nn.ReLU())


def test_without_a_group(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match="RANK expected"):
        distributed.init_process_group("gloo")
    with pytest.raises(ValueError, match="Unknown backend"):
        distributed.init_process_group("tcp", rank=0, world_size=1)
    for needs_a_group in (distributed.get_rank, distributed.barrier, distributed.destroy_process_group):
        with pytest.raises(ValueError, match="not been initialized"):
            needs_a_group()
    with pytest.raises(ValueError, match="not been initialized"):
        nn.parallel.DistributedDataParallel(nn.Linear(1, 1))
    assert not distributed.is_initialized()


# ------------------------------------------------------------------ multiprocessing
def _fill(index, shared, fail):
    if fail and index == 1:
        raise ValueError("process one stops")
    shared[index] = index + 1


def test_processes():
    shared = mg.zeros(2).share_memory_()
    multiprocessing.spawn(_fill, (shared, False), nprocs=2, start_method="fork")
    assert shared.tolist() == [1, 2]
    with pytest.raises(multiprocessing.ProcessRaisedException, match="process one stops") as error:
        multiprocessing.start_processes(_fill, (shared, True), nprocs=2, start_method="fork")
    assert error.value.error_index == 1
    assert multiprocessing.get_context("spawn").get_start_method() == "spawn"
    with pytest.raises(AssertionError):
        multiprocessing.set_sharing_strategy("none")


# ------------------------------------------------------------------ attention, switches, GPUs
def test_attention_backends():
    x = mg.ones(1, 2, 4)
    with sdpa_kernel([SDPBackend.MATH, SDPBackend.CUDNN_ATTENTION]):
        assert nn.functional.scaled_dot_product_attention(x, x, x).shape == (1, 2, 4)
    with pytest.raises(RuntimeError, match="SDPBackend.MATH"), sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
        pass
    with pytest.raises(AssertionError), sdpa_kernel("math"):
        pass


def test_switches():
    mg.use_deterministic_algorithms(True)
    assert mg.are_deterministic_algorithms_enabled() and mg.get_deterministic_debug_mode() == 2
    mg.set_deterministic_debug_mode("warn")
    assert mg.is_deterministic_algorithms_warn_only_enabled()
    mg.use_deterministic_algorithms(False)
    assert not mg.are_deterministic_algorithms_enabled()
    mg.set_float32_matmul_precision("high")
    assert mg.get_float32_matmul_precision() == "high"
    with pytest.warns(UserWarning, match="is not one of"):  # as in PyTorch, which raises nothing here
        mg.set_float32_matmul_precision("low")
    assert mg.get_float32_matmul_precision() == "high"
    mg.set_float32_matmul_precision("highest")
    assert mg.get_device_module("cpu").current_device() == "cpu" and mg.version.cuda is None
    for wrong, error in (
        (lambda: mg.use_deterministic_algorithms(1), TypeError),
        (lambda: mg.set_deterministic_debug_mode("x"), RuntimeError),
        (lambda: mg.set_num_interop_threads(0), RuntimeError),
    ):
        with pytest.raises(error):
            wrong()


@pytest.mark.skipif(mg.cuda.is_available(), reason="about machines without a GPU")
def test_gpu_names_without_a_gpu():
    cuda = mg.cuda
    assert (cuda.memory_stats(), cuda.get_rng_state_all(), cuda.get_arch_list(), cuda.default_generators) == (
        {}, [], [], (),
    )  # fmt: skip
    assert not cuda.is_tf32_supported()
    with pytest.warns(FutureWarning, match="memory_reserved"):
        assert cuda.memory_cached() == 0
    cuda.set_rng_state(mg.get_rng_state())
    with cuda.stream(None):
        cuda.set_stream(None)
    for needs in (
        cuda.Event, cuda.Stream, cuda.current_stream, cuda.default_stream, cuda.get_rng_state, cuda.memory_summary,
        cuda.ipc_collect, lambda: cuda.set_per_process_memory_fraction(0.5), lambda: cuda.can_device_access_peer(0, 1),
    ):  # fmt: skip
        with pytest.raises(RuntimeError):
            needs()
    with pytest.raises(ValueError):
        cuda.set_per_process_memory_fraction(2.0)


def _fail_at_length(index):
    raise ValueError("x" * 200_000 + "the end")


def test_a_process_with_a_long_error_is_waited_for():
    """It is not left waiting for somebody who reads the error."""
    with pytest.raises(multiprocessing.ProcessRaisedException, match="the end"):
        multiprocessing.spawn(_fail_at_length, nprocs=1, start_method="fork")


# ------------------------------------------------------------------ devices that are not here, and names of libraries
@pytest.mark.parametrize("name", ["xpu", "mps", "mtia"])
def test_programs_may_ask_for_accelerators_of_other_makers(name):
    module = getattr(mg, name)
    assert module.is_available() is False and module.device_count() == 0
    state = mg.get_rng_state()
    assert module.manual_seed(3) is None
    assert mg.equal(mg.get_rng_state(), state)
    with pytest.raises(AttributeError, match=f"module 'minigrad.{name}' has no attribute 'no_such_name'"):
        _ = module.no_such_name


def test_xpu_has_what_is_asked_for_before_there_is_one():
    assert not mg.xpu.is_initialized() and not mg.xpu.is_bf16_supported()
    assert mg.xpu.memory_allocated() == mg.xpu.max_memory_reserved("xpu") == 0
    assert mg.xpu.manual_seed_all(1) is mg.xpu.seed() is mg.xpu.empty_cache() is None


def test_names_that_programs_take_from_hub(monkeypatch):
    assert hub.HASH_REGEX.search("resnet18-f37072fd.pth").group(1) == "f37072fd"
    assert hub.urlparse("https://example.org/a/b.pth").path == "/a/b.pth"
    assert list(hub.tqdm([1], disable=True)) == [1]
    monkeypatch.setenv("TORCH_HOME", "/some/where")
    assert hub._get_torch_home() == "/some/where" and hub.get_dir() == "/some/where/hub"
    with pytest.raises(AttributeError, match="no attribute 'zipfile'"):
        _ = hub.zipfile


def test_names_that_libraries_ask_the_compiled_part_for():
    assert mg._C._get_tracing_state() is None and mg._C._log_api_usage_once("a.b") is None
    assert mg._C._get_privateuse1_backend_name() == "privateuseone"
    assert isinstance(mg.ones(1), mg._C.TensorBase) and mg._C.Generator is mg.Generator
    assert not hasattr(mg._C, "_CudaDeviceProperties")
