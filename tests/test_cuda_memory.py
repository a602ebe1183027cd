"""Memory of GPUs, on a stand-in for CuPy: counts and peaks, running out, page-locked memory, streams, prefetching."""

import gc
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import gpu as memory
from tests import fake_cuda, fake_cupy

MIB = 2**20


@pytest.fixture
def gpu():
    with fake_cupy.installed() as cupy:
        mg.ones(1).cuda()
        mg.cuda.empty_cache()
        yield cupy


def mebibytes(count):
    return mg.empty(count * MIB // 4, device="cuda")


# ---------------------------------------------------------------------- counts
def test_peaks_are_of_what_was_in_use_at_once(gpu):
    before = mg.cuda.memory_allocated()
    kept = mebibytes(2)
    mebibytes(3)
    mebibytes(1)
    assert mg.cuda.memory_allocated() - before == 2 * MIB
    assert mg.cuda.max_memory_allocated() - before == 5 * MIB
    assert mg.cuda.memory_reserved() - before == 6 * MIB == mg.cuda.max_memory_reserved() - before
    mg.cuda.empty_cache()
    assert mg.cuda.memory_reserved() - before == 2 * MIB
    assert mg.cuda.max_memory_reserved() - before == 6 * MIB
    mg.cuda.reset_peak_memory_stats()
    assert mg.cuda.max_memory_allocated() == mg.cuda.max_memory_reserved() == before + 2 * MIB
    del kept
    assert mg.cuda.memory_allocated() == before


def test_a_training_step_has_a_peak(gpu):
    model = mg.nn.Sequential(mg.nn.Linear(64, 64), mg.nn.ReLU(), mg.nn.Linear(64, 1)).cuda()
    for _ in range(2):  # kernels may keep a little of their first time
        mg.cuda.reset_peak_memory_stats()
        resting = mg.cuda.memory_allocated()
        model(mg.randn(128, 64, device="cuda")).sum().backward()
        model.zero_grad(set_to_none=True)
        gc.collect()
    assert mg.cuda.max_memory_allocated() - resting >= 2 * 128 * 64 * 4  # what ReLU and the second layer look at
    assert mg.cuda.memory_allocated() == resting


def test_memory_stats(gpu):
    mg.cuda.reset_accumulated_memory_stats()
    before = mg.cuda.memory_stats()
    kept = mebibytes(1), mebibytes(1)
    mebibytes(2)
    stats = mg.cuda.memory_stats()
    change = {name: stats[name] - before[name] for name in stats}
    assert change["allocated_bytes.all.allocated"] == 4 * MIB
    assert change["allocated_bytes.all.freed"] == change["allocated_bytes.all.current"] == 2 * MIB
    assert change["allocation.all.allocated"] == 3 and change["allocation.all.current"] == len(kept)
    assert change["inactive_split_bytes.all.current"] == 2 * MIB
    assert mg.cuda.memory_stats_as_nested_dict()["allocated_bytes"]["all"]["peak"] == 4 * MIB + before[
        "allocated_bytes.all.current"
    ]
    assert "4.00 MiB" in mg.cuda.memory_summary() and "num_ooms" in mg.cuda.memory_summary()
    assert "num_ooms" not in mg.cuda.memory_summary(abbreviated=True)


def test_older_names_warn(gpu):
    for name in ("memory_cached", "max_memory_cached", "reset_max_memory_allocated", "reset_max_memory_cached"):
        with pytest.warns(FutureWarning, match=name):
            getattr(mg.cuda, name)()


def test_without_a_gpu_nothing_is_held():
    if mg.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert mg.cuda.memory_allocated() == mg.cuda.max_memory_allocated() == mg.cuda.max_memory_reserved() == 0
    assert mg.cuda.memory_stats() == mg.cuda.memory_stats_as_nested_dict() == {}
    mg.cuda.reset_peak_memory_stats()
    mg.cuda.empty_cache()
    for ask in (mg.cuda.mem_get_info, mg.cuda.memory_summary, mg.cuda.Stream, mg.cuda.Event, mg.cuda.nvtx.range_pop):
        with pytest.raises(RuntimeError, match="GPU|CuPy"):
            ask()


def test_allocations_of_other_threads_are_counted(gpu):
    import threading

    made = []
    thread = threading.Thread(target=lambda: made.append(mebibytes(2)))
    before = mg.cuda.memory_allocated()
    thread.start()
    thread.join()
    assert mg.cuda.memory_allocated() - before == 2 * MIB <= mg.cuda.max_memory_allocated() - before


def test_a_captured_graphs_pool_counts_too(gpu):
    pool = gpu.cuda.MemoryPool()
    before = mg.cuda.memory_allocated()
    memory.add_pool(pool)
    with gpu.cuda.using_allocator(memory.guarded(pool)):
        kept = mebibytes(1)
    assert mg.cuda.memory_allocated() - before == kept.nbytes
    memory.retire(pool, 0)
    assert mg.cuda.memory_allocated() - before == kept.nbytes  # until nothing uses it
    del kept
    mg.cuda.empty_cache()
    assert mg.cuda.memory_allocated() == before
    assert pool.total_bytes() == 0 and pool not in memory._Gpus.pools


def test_an_allocator_of_the_users_stays():
    with fake_cupy.installed() as cupy:
        mine = lambda size: cupy.get_default_memory_pool().malloc(size)  # noqa: E731
        cupy.cuda.set_allocator(mine)
        mg.ones(1).cuda()
        assert cupy.cuda.get_allocator() is mine
        cupy.get_default_memory_pool().set_limit(size=MIB)
        x = mg.ones(MIB // 8, device="cuda")
        with pytest.raises(mg.cuda.OutOfMemoryError, match=r"Tried to allocate 0\.50 MiB"):
            x + x  # 0.5 MiB more


# ---------------------------------------------------------------------- running out
def limited(cupy, mebibytes):
    cupy.get_default_memory_pool().set_limit(size=mebibytes * MIB)


RUNNING_OUT = {
    "empty": lambda x: mebibytes(3),
    "full": lambda x: mg.full((3 * MIB // 4,), 2.0, device="cuda"),
    "randn": lambda x: mg.randn(3 * MIB // 4, device="cuda"),
    "copy to the GPU": lambda x: mg.ones(3 * MIB // 4).cuda(),
    "ufunc": lambda x: x.double().exp(),
    "two tensors": lambda x: x.expand(3, -1) + x,
    "product": lambda x: x.reshape(-1, 1)[:1024] @ x.reshape(1, -1)[:, :1024],
    "cat": lambda x: mg.cat([x, x, x]),
    "convolution": lambda x: mg.nn.functional.conv2d(x.reshape(1, 1, 512, 512), mg.ones(8, 1, 3, 3, device="cuda")),
    "clone": lambda x: x.repeat(3),
}


@pytest.mark.parametrize("name", RUNNING_OUT)
def test_out_of_memory(gpu, name):
    x = mebibytes(1).zero_()
    limited(gpu, 3)
    with pytest.raises(mg.cuda.OutOfMemoryError, match="CUDA out of memory") as caught:
        RUNNING_OUT[name](x)
    error, text = caught.value, str(caught.value)
    assert isinstance(error, RuntimeError) and mg.OutOfMemoryError is mg.cuda.OutOfMemoryError
    for words in ("Tried to allocate", "GPU 0 has a total capacity of 16384.00 MiB", "Tensors hold", "limit of this"):
        assert words in text
    assert error.__cause__ is None and error.__context__ is None
    assert mg.cuda.memory_stats()["num_ooms"] >= 1


def test_after_running_out_the_process_goes_on(gpu):
    x = mg.ones(MIB // 4, device="cuda", requires_grad=True)
    y = (x * 2).sum()
    limited(gpu, 6)
    before = mg.cuda.memory_allocated()
    seen = []
    try:
        big = x.detach() * 3
        seen.append(weakref.ref(big.array))
        big.expand(64, -1) * 1.5
    except mg.cuda.OutOfMemoryError:
        del big
    assert seen[0]() is None and mg.cuda.memory_allocated() == before  # nothing refers to the failed op's arrays
    y.backward()  # the graph is as it was
    assert x.grad.cpu().eq(2).all()
    x.grad = None
    for _ in range(20):
        assert float((mebibytes(1).fill_(1.0)).mean().cpu()) == 1.0
    with pytest.raises(mg.cuda.OutOfMemoryError):
        x.add_(mg.ones(64, MIB // 4, device="cuda").sum(0))
    assert x.detach().cpu().eq(1).all()


def test_unused_blocks_are_given_back_first(gpu):
    limited(gpu, 5)
    mebibytes(4)
    assert mebibytes(3).numel()  # though the pool holds 4 of 5
    assert mg.cuda.memory_stats()["num_alloc_retries"] == 1 and mg.cuda.memory_stats()["num_ooms"] == 0


def test_memory_fraction(gpu):
    mg.cuda.set_per_process_memory_fraction(0.25)
    assert mg.cuda.get_per_process_memory_fraction() == 0.25
    assert gpu.get_default_memory_pool().get_limit() == fake_cuda.GPU_MEMORY // 4
    free, total = mg.cuda.mem_get_info()
    assert total == fake_cuda.GPU_MEMORY and free == total - mg.cuda.memory_reserved()
    for wrong, error in ((1.5, ValueError), (1, TypeError)):
        with pytest.raises(error):
            mg.cuda.set_per_process_memory_fraction(wrong)


# ---------------------------------------------------------------------- page-locked memory
def test_pinned_memory(gpu):
    x = mg.arange(6.0).reshape(2, 3)
    pinned = x.pin_memory()
    assert pinned.is_pinned() and pinned[1].is_pinned() and pinned.pin_memory() is pinned and not x.is_pinned()
    assert pinned.tolist() == x.tolist()
    assert mg.empty(2, pin_memory=True).is_pinned() and mg.tensor([1], pin_memory=True).is_pinned()
    assert mg.ones(2, dtype=mg.bfloat16).pin_memory().cuda().tolist() == [1, 1]
    assert mg.empty(0, 3).pin_memory().cuda().shape == (0, 3)
    with pytest.raises(RuntimeError, match="only dense CPU tensors can be pinned"):
        x.cuda().pin_memory()
    assert not x.cuda().is_pinned()


def images(**options):
    return mg.arange(120.0, **options).reshape(2, 3, 4, 5)


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("non_blocking", [False, True])
def test_copies_keep_the_order_in_memory(gpu, pinned, non_blocking):
    x = images()
    for source in (x, x.to(memory_format=mg.channels_last), x.permute(3, 0, 2, 1), x[:, 1:]):
        x = source.pin_memory() if pinned else source
        on_gpu = x.to("cuda", non_blocking=non_blocking)
        back = on_gpu.to("cpu", non_blocking=non_blocking)
        mg.cuda.synchronize()
        assert back.is_pinned() is non_blocking
        assert on_gpu.tolist() == back.tolist() == source.tolist()
        if source.numel() == 120:
            assert on_gpu.stride() == back.stride() == source.stride()


def test_asynchronous_copies_go_on_behind_the_program(gpu):
    fake_cuda.Stream.lazy = True
    source = mg.arange(4.0).pin_memory()
    side = mg.cuda.Stream()
    with mg.cuda.stream(side):
        x = source.to("cuda", non_blocking=True)
        assert not side.query()
        memory_of_source = weakref.ref(source.array)
        del source
        gc.collect()
        assert memory_of_source() is not None  # the GPU still reads it
        back = x.to("cpu", non_blocking=True)
        done = side.record_event()
    assert not done.query()
    assert back.tolist() != [0, 1, 2, 3]
    mg.cuda.current_stream().wait_stream(side)
    assert x.tolist() == [0, 1, 2, 3] == back.tolist() and done.query() and side.query()
    memory.drop_finished()
    assert memory_of_source() is None and not memory._IN_FLIGHT
    waited = fake_cuda.Stream.synchronizations
    mg.arange(4.0).pin_memory().to("cuda", non_blocking=True)
    mg.arange(4.0).to("cuda", non_blocking=True)
    mg.ones(4, device="cuda").copy_(mg.arange(4.0).pin_memory(), non_blocking=True)
    assert fake_cuda.Stream.synchronizations == waited
    mg.arange(4.0).pin_memory().cuda()
    assert fake_cuda.Stream.synchronizations == waited + 1


def test_gradients_flow_through_non_blocking_copies(gpu):
    x = mg.ones(3, requires_grad=True)
    (x.pin_memory().to("cuda", non_blocking=True) * 3).sum().backward()
    assert x.grad.tolist() == [3, 3, 3] and not x.grad.is_cuda


def test_record_stream_keeps_memory_until_the_stream_is_done(gpu):
    fake_cuda.Stream.lazy = True
    x = mg.ones(4, device="cuda")
    side = mg.cuda.Stream()
    x.record_stream(side)
    side._stream.give(lambda: None)
    held = weakref.ref(x.array._block)
    del x
    assert held() is not None
    side.synchronize()
    memory.drop_finished()
    assert held() is None
    with pytest.raises(RuntimeError, match="record_stream"):
        mg.ones(1).record_stream(side)


# ---------------------------------------------------------------------- streams, events, ranges
def test_streams(gpu):
    default = mg.cuda.default_stream()
    assert mg.cuda.current_stream() == default and default.cuda_stream == 0 and default.priority == 0
    side = mg.cuda.Stream(priority=-1)
    assert side.priority == -1 and side.device == mg.device("cuda:0") and side != default
    with side:
        assert mg.cuda.current_stream() == side
        with mg.cuda.stream(default), mg.cuda.stream(None):
            assert mg.cuda.current_stream() == default
        assert mg.cuda.current_stream() == side
    assert mg.cuda.current_stream() == default
    mg.cuda.set_stream(side)
    assert mg.cuda.current_stream() == side and len({side, mg.cuda.current_stream()}) == 1
    mg.cuda.set_stream(default)
    assert "cuda:0" in repr(side) and not mg.cuda.is_current_stream_capturing()
    assert side.__cuda_stream__() == (0, side.cuda_stream)
    external = mg.cuda.ExternalStream(side.cuda_stream)
    assert external == side and mg.cuda.get_stream_from_external(side.cuda_stream, "cuda:0") == side
    with pytest.raises(ValueError, match="Expected a cuda device"):
        mg.cuda.Stream("cpu")


def test_events(gpu):
    start, end = mg.cuda.Event(enable_timing=True), mg.cuda.Event(enable_timing=True)
    assert "uninitialized" in repr(start)
    with pytest.raises(ValueError, match="must be recorded"):
        start.elapsed_time(end)
    start.record()
    end.record(mg.cuda.Stream())
    assert start.elapsed_time(end) == 1.0 and start.query() and start.cuda_event
    start.synchronize()
    with pytest.raises(ValueError, match="enable_timing"):
        start.elapsed_time(mg.cuda.Event())


def test_streams_of_two_gpus():
    with fake_cupy.installed(devices=2):
        other = mg.cuda.Stream("cuda:1")
        with other:
            assert mg.cuda.current_device() == 1 and mg.cuda.current_stream() == other
            assert mg.cuda.current_stream(0) == mg.cuda.default_stream(0) != mg.cuda.default_stream(1)
        assert mg.cuda.current_device() == 0
        assert mg.cuda.can_device_access_peer(0, 1)
        with mg.cuda.device(1):
            kept = mebibytes(1)
        assert mg.cuda.memory_allocated(1) == kept.nbytes > mg.cuda.memory_allocated(0)


def test_ranges_of_the_profiler(gpu):
    ranges = gpu.cuda.nvtx.ranges
    with mg.cuda.nvtx.range("step {}", 3):
        assert mg.cuda.nvtx.range_push("forward") == 1
        assert ranges == ["step 3", "forward"]
        assert mg.cuda.nvtx.range_pop() == 1
    assert ranges == []
    mg.cuda.nvtx.mark("here")
    assert ranges == ["here"]
    mg.cuda.nvtx.range_end(mg.cuda.nvtx.range_start("a"))
    gpu.cuda.nvtx.available = False
    with pytest.raises(RuntimeError, match="NVTX"):
        mg.cuda.nvtx.mark("here")


def test_properties_of_a_gpu(gpu):
    properties = mg.cuda.get_device_properties()
    assert properties.name == "Stand-in" == mg.cuda.get_device_name(0)
    assert properties.total_memory == fake_cuda.GPU_MEMORY and properties.warp_size == 32
    assert mg.cuda.get_device_capability("cuda") == (9, 0) and mg.cuda.is_tf32_supported()
    assert not hasattr(properties, "shared_memory_per_block_optin")
    assert "multi_processor_count=132" in repr(properties)
    np.testing.assert_equal(mg.cuda.is_bf16_supported(), True)


# ---------------------------------------------------------------------- loaders
def loader(count=7, **options):
    x = mg.arange(float(2 * count)).reshape(count, 2)
    return mg.utils.data.DataLoader(mg.utils.data.TensorDataset(x, mg.arange(count)), 2, **options)


def test_loaders_pin(gpu):
    for x, y in loader(pin_memory=True, pin_memory_device="cuda:0"):
        assert x.is_pinned() and y.is_pinned()
    with pytest.raises(RuntimeError, match="cuda:3 .*1 CUDA GPU"):
        iter(loader(pin_memory=True, pin_memory_device="cuda:3"))
    packed = mg.nn.utils.rnn.pack_padded_sequence(mg.ones(2, 3, 1), mg.tensor([3, 1]), batch_first=True)
    batch = mg.utils.data.collate.pin_memory({"a": [packed, "text"], "b": (mg.ones(1).cuda(),)})
    assert batch["a"][0].is_pinned() and batch["a"][1] == "text" and batch["b"][0].is_cuda


@pytest.mark.parametrize("options", [{}, {"pin_memory": True}, {"num_workers": 2, "multiprocessing_context": "thread"}])
@pytest.mark.parametrize("lazy", [False, True])
def test_prefetching_gives_the_loaders_batches_in_order(gpu, options, lazy):
    fake_cuda.Stream.lazy = lazy
    batches = mg.utils.data.Prefetcher(loader(**options))
    assert len(batches) == 4
    for _ in range(2):
        rows, labels = [], []
        for x, y in batches:
            assert x.is_cuda and y.is_cuda
            rows += (x * 2).tolist()
            labels += y.tolist()
        assert labels == list(range(7)) and rows == [[4.0 * i, 4.0 * i + 2] for i in range(7)]
    memory.drop_finished()
    assert not memory._IN_FLIGHT


def test_the_next_batch_is_on_its_way_while_one_is_worked_on(gpu):
    fake_cuda.Stream.lazy = True
    asked = []

    def batches():
        for index in range(4):
            asked.append(index)
            yield {"x": mg.full((3,), float(index)), "name": str(index)}

    waited = fake_cuda.Stream.synchronizations
    for index, batch in enumerate(mg.utils.data.Prefetcher(batches())):
        assert batch["x"].tolist() == [index] * 3 and batch["name"] == str(index)
        assert asked[-1] == min(index + 2, 3)
        assert len(memory._IN_FLIGHT) >= 1 or index == 3  # the next one's copy
    assert fake_cuda.Stream.synchronizations == waited


def test_prefetching_passes_errors_on_and_can_be_left(gpu):
    def broken():
        yield mg.ones(2)
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        list(mg.utils.data.Prefetcher(broken()))
    for x in mg.utils.data.Prefetcher(loader(), "cuda:0"):
        assert x[0].is_cuda
        break
    packed = mg.nn.utils.rnn.pack_padded_sequence(mg.ones(2, 3, 1), mg.tensor([3, 1]), batch_first=True)
    (moved,) = mg.utils.data.Prefetcher([packed])
    assert moved.is_cuda and not moved.batch_sizes.is_cuda
    assert next(iter(mg.utils.data.Prefetcher([mg.ones(1)], "cpu"))).device == mg.device("cpu")
