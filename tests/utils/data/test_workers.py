"""The DataLoader's workers: the same batches, seeds, errors; nothing left behind, whatever ends them."""

import gc
import glob
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info, transfer

ROOT = Path(__file__).resolve().parents[3]
METHODS = [method for method in multiprocessing.get_all_start_methods() if method != "fork"]


class Loader(DataLoader):
    """A DataLoader that does not warn of more workers than a test machine has cores."""

    def __init__(self, *arguments, **options):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This DataLoader will create")
            super().__init__(*arguments, **options)


class Images(Dataset):
    """Large enough for shared memory; also what the random generators of a worker say."""

    def __init__(self, count=24, shape=(3, 40, 40)):
        self.count = count
        self.shape = shape

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        drawn = (random.random(), float(np.random.rand()), mg.rand(1).item())
        return np.full(self.shape, index, np.float32), index, drawn


class Raises(Images):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def __getitem__(self, index):
        if index == 9:
            raise self.error
        return super().__getitem__(index)


class Dies(Images):
    def __getitem__(self, index):
        if index == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


class Sleeps(Images):
    def __getitem__(self, index):
        time.sleep(60 if index == 5 else 0)
        return super().__getitem__(index)


class Shares(IterableDataset):
    """0 … count - 1, shared out among the workers."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        info = get_worker_info()
        return iter(range(info.id, self.count, info.num_workers))


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def segments():
    return glob.glob(f"/dev/shm/mg{os.getpid()}-*")


def nothing_left():
    """Return whether no worker process, worker thread or segment is left, after a moment to let them go."""
    gc.collect()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        threads = [thread for thread in threading.enumerate() if "run_in_thread" in thread.name]
        if not multiprocessing.active_children() and not segments() and not threads:
            return True
        time.sleep(0.01)
    return False


@pytest.fixture(autouse=True)
def clean():
    yield
    assert nothing_left()


def seen(loader):
    return [label for _, labels, _ in loader for label in labels.tolist()]


# ---------------------------------------------------------------------- the same batches
@pytest.mark.parametrize("context", [None, "thread"])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("drop", [False, True])
def test_batches_and_their_order(workers, context, drop):
    loader = Loader(Images(22), 4, num_workers=workers, multiprocessing_context=context, drop_last=drop)
    assert len(loader) == 5 + (not drop)
    for number, (x, y, _) in enumerate(loader):
        assert y.tolist() == list(range(22))[4 * number : 4 * number + 4]
        assert x.dtype == mg.float32
        assert x.shape == (len(y), 3, 40, 40)
        assert (x.numpy() == y.numpy().reshape(-1, 1, 1, 1)).all()
    assert number + 1 == len(loader)


def test_shared_memory_arrays_outlive_everything_and_can_be_written():
    loader = Loader(Images(8), 4, num_workers=1)
    batches = [x for x, _, _ in loader]
    del loader
    gc.collect()
    assert not segments()
    assert [x.array[2, 0, 0, 0] for x in batches] == [2, 6]
    batches[0] += 1
    assert batches[0].array[2].max() == 3


def test_the_arrays_of_a_batch_are_not_views_of_each_other():
    """Writing to one between forward and backward must not look like a change of another that was saved."""
    x, y, _ = next(iter(Loader(Images(4), 4, num_workers=1)))
    weight = mg.ones(1, requires_grad=True)
    loss = (weight * x).sum()
    y += 1
    loss.backward()
    assert weight.grad.item() == x.sum().item()
    loss = (weight * x).sum()
    x += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_everything_a_batch_can_hold():
    class Mixed(Images):
        def __getitem__(self, index):
            return {"x": mg.full((100, 100), index), "name": f"n{index}", "deep": [(np.float64(index), {"z": b"b"})]}

    batch = next(iter(Loader(Mixed(), 2, num_workers=1)))
    assert batch["x"][1].max().item() == 1
    assert batch["name"] == ["n0", "n1"]
    assert batch["deep"][0][0].tolist() == [0.0, 1.0]
    # a batch of the user's own class, with arrays that are not in C order
    rows = [own.arrays for own in Loader(Images(4), 2, num_workers=1, collate_fn=Own)]
    assert [[array.sum() for array in arrays] for arrays in rows] == [[0, 8100, 0], [0, 8100, 0]]


class Own:
    def __init__(self, batch):
        self.arrays = [np.asfortranarray(np.full((90, 90), number)) for number in range(len(batch))]
        self.arrays.append(np.zeros((400, 400))[::2, ::2])


@pytest.mark.parametrize("size", [0, 1, 1 << 10, 1 << 20])
def test_packing(size):
    value = {"a": np.arange(size, dtype=np.uint8), "b": [np.ones((3, size // 3)).T, "text"]}
    back = transfer.unpack(transfer.pack(value, f"mg{os.getpid()}-test"))
    assert np.array_equal(back["a"], value["a"])
    assert np.array_equal(back["b"][0], value["b"][0])
    assert back["a"].flags.writeable
    assert not segments()


def test_without_room_in_shared_memory_batches_come_through_the_pipe(monkeypatch):
    def no_room(file, offset, size):
        raise OSError(28, "No space left on device")

    if not os.path.isdir("/dev/shm"):
        pytest.skip("no /dev/shm")
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    packed = transfer.pack(np.arange(1 << 16), f"mg{os.getpid()}-test")
    assert packed[1] is None
    assert not segments()
    assert transfer.unpack(packed)[-1] == (1 << 16) - 1
    assert seen(Loader(Images(8), 4, num_workers=2)) == list(range(8))


def test_large_messages_both_ways_do_not_block():
    class Texts(Images):
        text = "x" * 50_000

        def __getitem__(self, index):
            return self.text

    indices = [[20_000 + number for number in range(12_000)]] * 6  # more than a pipe holds, as are the texts
    options = {"collate_fn": lambda batch: batch[:10], "prefetch_factor": 3}
    loader = Loader(Texts(60_000), batch_sampler=indices, num_workers=2, **options)
    assert sum(len(batch) for batch in loader) == 60


@pytest.mark.parametrize("method", METHODS)
def test_other_start_methods(method):
    loader = Loader(Images(6), 2, num_workers=1, multiprocessing_context=method)
    assert seen(loader) == list(range(6))


def test_context_objects():
    context = multiprocessing.get_context("fork")
    assert seen(Loader(Images(6), 2, num_workers=1, multiprocessing_context=context)) == list(range(6))


def test_out_of_order_batches_come_as_they_are_ready():
    class SlowFirst(Images):
        def __getitem__(self, index):
            time.sleep(1 if index == 0 else 0)
            return super().__getitem__(index)

    loader = Loader(SlowFirst(8), 1, num_workers=2, in_order=False)
    order = seen(loader)
    assert order == [1, 3, 4, 5, 6, 7, 0, 2]  # 2 waits behind 0 for the same worker


# ---------------------------------------------------------------------- seeds
def epochs(workers, count=3, **options):
    generator = mg.Generator().manual_seed(11)
    loader = Loader(Images(12), 3, shuffle=True, num_workers=workers, generator=generator, **options)
    return [[(y.tolist(), [column.tolist() for column in drawn]) for _, y, drawn in loader] for _ in range(count)]


def orders(passes):
    return [[labels for labels, _ in batches] for batches in passes]


def test_epochs_are_reproducible():
    two = epochs(2)
    assert two == epochs(2) == epochs(2, persistent_workers=True) == epochs(2, prefetch_factor=5)
    for passes in (epochs(0), epochs(1), epochs(3), epochs(2, multiprocessing_context="thread")):
        assert orders(passes) == orders(two)
    drawn = [number for batches in two for _, columns in batches for column in columns for number in column]
    assert len(set(drawn)) == len(drawn)  # other numbers in every worker, epoch and generator


def test_the_users_own_draws_do_not_change_an_epoch():
    def labels_with(draws):
        mg.manual_seed(5)
        loader = Loader(Images(12), 3, shuffle=True, num_workers=2)
        found = []
        for _, y, _ in loader:
            found.append(y.tolist())
            if draws:
                mg.rand(7)
        return found

    assert labels_with(False) == labels_with(True)


class Infos(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        info = get_worker_info()
        return info.id, info.num_workers, info.seed, info.dataset is self, mg.initial_seed(), info.rng is None


@pytest.mark.parametrize("context", [None, "thread"])
def test_worker_info(context):
    loader = Loader(Infos(), 1, num_workers=2, multiprocessing_context=context)
    rows = [[value.item() for value in batch] for batch in loader]
    assert [row[0] for row in rows] == [0, 1, 0, 1]
    assert {row[1] for row in rows} == {2}
    assert rows[1][2] == rows[0][2] + 1
    assert all(row[3] for row in rows)
    if context is None:
        assert [row[4] for row in rows] == [row[2] for row in rows]
    assert {row[5] for row in rows} == {context is None}
    assert get_worker_info() is None


def test_worker_threads_leave_the_generators_alone():
    before = random.getstate()
    mg.manual_seed(1)
    first = mg.rand(3).tolist()
    mg.manual_seed(1)
    options = {"multiprocessing_context": "thread", "generator": mg.Generator()}
    list(Loader(TensorDataset(mg.arange(4)), num_workers=1, **options))
    assert mg.rand(3).tolist() == first
    assert random.getstate() == before


def test_worker_init_fn_runs_once_in_each_worker():
    class Marked(Images):
        def __getitem__(self, index):
            return self.mark

    data = Marked(4)

    def initialise(worker):
        info = get_worker_info()
        info.dataset.mark = getattr(info.dataset, "mark", 0) + 10 + worker

    loader = Loader(data, 1, num_workers=2, worker_init_fn=initialise, persistent_workers=True)
    for _ in range(2):
        assert [mark.item() for mark in loader] == [10, 11, 10, 11]
    assert not hasattr(data, "mark")


# ---------------------------------------------------------------------- iterable datasets
@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("context", [None, "thread"])
def test_iterable(context, in_order):
    loader = Loader(Shares(23), 4, num_workers=3, multiprocessing_context=context, in_order=in_order)
    batches = [batch.tolist() for batch in loader]
    assert sorted(sum(batches, [])) == list(range(23))
    if in_order:
        assert batches == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11], [12, 15, 18, 21], [13, 16, 19, 22], [14, 17, 20]]


def test_iterable_workers_that_end_at_different_times():
    class Uneven(IterableDataset):
        def __iter__(self):
            worker = get_worker_info().id
            return iter(range(100 * worker, 100 * worker + 10 * worker))

    loader = Loader(Uneven(), 2, num_workers=3, persistent_workers=True)
    for _ in range(2):
        batches = [batch.tolist() for batch in loader]
        assert sorted(sum(batches, [])) == [*range(100, 110), *range(200, 220)]
        assert batches[0] == [100, 101]


def test_iterable_without_batches():
    assert sorted(Loader(Shares(5), batch_size=None, num_workers=2)) == [0, 1, 2, 3, 4]


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize("context", [None, "thread"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("bad pixel"), ValueError),
        (KeyError("bad pixel"), KeyError),
        (TwoArguments("bad", "pixel"), RuntimeError),
        (OSError(5, "bad pixel"), OSError),
    ],
)
def test_errors_keep_their_class_and_traceback(error, expected, context):
    loader = Loader(Raises(error), 4, num_workers=2, multiprocessing_context=context)
    with pytest.raises(expected) as caught:
        list(loader)
    message = str(caught.value)
    kind = "thread" if context else "process"
    assert message.startswith(f"Caught {type(error).__name__} in DataLoader worker {kind} 0.\nOriginal Traceback")
    assert "in __getitem__\n" in message
    assert "raise self.error" in message


def test_the_batches_after_an_error_can_still_be_had():
    batches = iter(Loader(Raises(ValueError("no")), 4, num_workers=2))
    assert [next(batches)[1].tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(ValueError):
        next(batches)
    assert [y.tolist() for _, y, _ in batches] == [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]]


def test_error_classes_of_inside_a_function():
    class Hidden(Exception):
        pass

    with pytest.raises(RuntimeError, match="Caught Hidden"):
        list(Loader(Raises(Hidden("x")), 4, num_workers=1))


def test_errors_of_the_start():
    def initialise(worker):
        raise ArithmeticError("not today")

    with pytest.raises(ArithmeticError, match="not today"):
        list(Loader(Images(), 4, num_workers=1, worker_init_fn=initialise))

    class NoIterator(IterableDataset):
        def __iter__(self):
            raise LookupError("no file")

    with pytest.raises(LookupError, match="no file"):
        list(Loader(NoIterator(), num_workers=1))


def test_a_batch_that_cannot_be_pickled():
    with pytest.raises((AttributeError, TypeError, Exception), match="(?s)Caught .*pickle"):
        list(Loader(Images(), 4, num_workers=1, collate_fn=lambda batch: lambda: None))


def test_system_exit_in_a_thread_is_an_error_too():
    with pytest.raises(SystemExit, match="Caught SystemExit"):
        list(Loader(Raises(SystemExit(3)), 4, num_workers=1, multiprocessing_context="thread"))


def test_a_worker_that_exits():
    with pytest.raises(RuntimeError, match=r"worker 0 \(pid \d+\): exit code 3"):
        list(Loader(Raises(SystemExit(3)), 4, num_workers=1))


@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_worker_is_an_error_not_a_hang(workers):
    start = time.monotonic()
    loader = Loader(Dies(), 4, num_workers=workers)
    with pytest.raises(RuntimeError, match=r"worker \d \(pid \d+\): killed by SIGKILL"):
        list(loader)
    assert time.monotonic() - start < 10
    assert nothing_left()
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(loader)


def test_persistent_workers_are_started_again_after_a_death():
    loader = Loader(Images(), 4, num_workers=2, persistent_workers=True)
    assert seen(loader) == list(range(24))
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    with pytest.raises(RuntimeError, match="killed by SIGKILL"):
        list(loader)
    assert seen(loader) == list(range(24))


@pytest.mark.parametrize("context", [None, "thread"])
def test_timeout(context):
    class Waits(Images):
        def __getitem__(self, index):
            released.wait(60 if index == 5 else 0)
            return super().__getitem__(index)

    released = threading.Event()
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="timed out after 0.2 seconds"):
        list(Loader(Waits(), 4, num_workers=1, timeout=0.2, multiprocessing_context=context))
    assert time.monotonic() - start < 10
    released.set()


def test_more_workers_than_cores_warn():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with pytest.warns(UserWarning, match=f"will create {cores + 1} worker processes"):
        DataLoader(Images(), num_workers=cores + 1)


# ---------------------------------------------------------------------- nothing left behind
@pytest.mark.parametrize("options", [{}, {"persistent_workers": True}, {"multiprocessing_context": "thread"}])
def test_break(options):
    loader = Loader(Images(), 2, num_workers=2, prefetch_factor=4, **options)
    for _ in loader:
        break
    if "persistent_workers" in options:
        assert len(multiprocessing.active_children()) == 2
    else:
        assert nothing_left()
    assert seen(loader) == list(range(24))  # nothing of the first pass comes now
    del loader
    assert nothing_left()


def test_loaders_side_by_side_end_each_for_itself():
    train, test = (iter(Loader(Images(), 2, num_workers=2)) for _ in range(2))
    next(train)
    next(test)
    start = time.monotonic()
    del train
    assert time.monotonic() - start < 3
    assert len(multiprocessing.active_children()) == 2
    assert len(list(test)) == 11


def test_workers_end_without_the_garbage_collector():
    gc.disable()
    try:
        next(iter(Loader(Images(), 2, num_workers=1)))
        assert not multiprocessing.active_children()
        with pytest.raises(ValueError) as caught:
            list(Loader(Raises(ValueError("x")), 4, num_workers=1))
        del caught
    finally:
        gc.enable()


PROGRAM = """
import os, sys, time
import numpy as np
import minigrad as mg

class Images(mg.utils.data.Dataset):
    def __len__(self):
        return 1000
    def __getitem__(self, index):
        time.sleep(0.002)
        return np.full((3, 40, 40), index, np.float32)

loader = mg.utils.data.DataLoader(Images(), 8, num_workers=2, persistent_workers={persistent})
print(os.getpid(), flush=True)
{body}
"""


def start_program(body, persistent=False):
    """Start the program in a process group of its own, as a terminal does; return it once it is running."""
    program = PROGRAM.format(body=textwrap.dedent(body), persistent=persistent)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == f"{process.pid}\n", process.stderr.read()
    return process


def group_is_gone(process):
    """Return whether all processes of the program's group, and its segments, are gone, after a moment."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            if not glob.glob(f"/dev/shm/mg{process.pid}-*"):
                return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("persistent", [False, True])
def test_ctrl_c(persistent):
    # Slow enough not to be done before the signal arrives.
    process = start_program("import time\nfor batch in loader: print('batch', flush=True); time.sleep(0.5)", persistent)
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode in (-signal.SIGINT, 1, 130)
    assert errors.count("KeyboardInterrupt") >= 1
    assert "ForkProcess" not in errors  # no worker has a traceback of its own
    assert "leaked" not in errors
    assert group_is_gone(process)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_program_may_end_in_the_middle(persistent):
    process = start_program("batches = iter(loader); next(batches)", persistent)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert group_is_gone(process)


def test_a_killed_program_leaves_nothing():
    process = start_program("import time\nfor batch in loader: print('batch', flush=True); time.sleep(0.5)")
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert group_is_gone(process)
