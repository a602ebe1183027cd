"""torch.distributed with several processes: collectives, DistributedDataParallel, failures, and who may connect."""

import functools
import multiprocessing
import os
import queue
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import distributed
from minigrad.distributed import run, transport
from minigrad.distributed import store as stores
from minigrad.distributed.errors import DistTimeoutError
from minigrad.distributed.mesh import Mesh
from tests import distributed_programs as programs

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def own_key(tmp_path_factory, monkeypatch):
    """No key file is made in the user's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv(transport.KEY_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """What three ranks see; at last the third one dies."""
    names = "reductions exchanges points groups data_parallel synchronised_norm sparse_rows uneven dying"
    return programs.ranks(names, 3, tmp_path_factory.mktemp("three"))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two ranks see."""
    names = "reductions exchanges errors data_parallel branches late mismatched interrupted"
    return programs.ranks(names, 2, tmp_path_factory.mktemp("two"), seconds=20)


@pytest.fixture(params=["two", "three"])
def every(request):
    """Of two and of three ranks."""
    return request.getfixturevalue(request.param)


# ---------------------------------------------------------------- collectives
JOIN = {
    "SUM": np.add, "AVG": np.add, "PRODUCT": np.multiply, "MIN": np.minimum, "MAX": np.maximum,
    "BAND": np.bitwise_and, "BOR": np.bitwise_or, "BXOR": np.bitwise_xor,
}  # fmt: skip


def starts(count, length=4, dtype="float32"):
    return [(np.arange(length) * (rank + 1) + rank).astype(dtype) for rank in range(count)]


def test_reductions(every):
    every = every["reductions"]
    count = len(every)
    for op, dtypes in programs.REDUCTIONS.items():
        for dtype in dtypes.split():
            expected = functools.reduce(JOIN[op], starts(count, 5, dtype))
            expected = expected / count if op == "AVG" else expected
            for seen in every:
                assert np.allclose(seen[op, dtype], expected, rtol=1e-3), (op, dtype)
            assert every[-1]["reduce", op, dtype] == every[0][op, dtype]
    total = sum(starts(count, 4 * count))
    for rank, seen in enumerate(every):
        assert seen["big"] == sum(starts(count, 50_001, "float64")).tolist()
        assert seen["strided"] == [[sum(range(count))] * 4] * 3
        assert (seen["scalar"], seen["empty"]) == (sum(range(count)), [])
        assert seen["parameter"] == sum(starts(count)).tolist()
        assert seen["works"] == [(True, True)] * 5
        assert seen["reduce_scatter"] == (sum(starts(count)) + rank * count).tolist()
        assert seen["reduce_scatter_tensor"] == total[4 * rank : 4 * rank + 4].tolist()


def test_exchanges(every):
    every = every["exchanges"]
    count = len(every)
    own = [start.tolist() for start in starts(count)]
    for rank, seen in enumerate(every):
        for root in range(count):
            assert seen["broadcast", root] == own[root]
            assert seen["gather", root] == (own if rank == root else None)
            assert seen["scatter", root] == [rank] * 4
            assert seen["broadcast_object_list", root] == [root, {"rank": root}]
            assert seen["scatter_object_list", root] == [("to", rank)]
            assert seen["gather_object", root] == ([{"rank": r} for r in range(count)] if rank == root else None)
        assert seen["all_gather"] == own and seen["all_gather_into_tensor"] == sum(own, [])
        assert seen["all_gather_object"] == [(r, [r, r]) for r in range(count)]
        inputs = [start[2 * rank : 2 * rank + 2].tolist() for start in starts(count, 2 * count)]
        assert seen["all_to_all_single"] == sum(inputs, [])
        size = sum(range(1, count + 1))
        begin = sum(range(1, rank + 1))
        parts = [start.reshape(-1, 2)[begin : begin + rank + 1].tolist() for start in starts(count, 2 * size)]
        assert seen["all_to_all_single", "sizes"] == sum(parts, [])


def test_points(three):
    first, second, third = three["points"]
    own = [start.tolist() for start in starts(3)]
    for rank, seen in enumerate((first, second, third)):
        before = (rank - 1) % 3
        assert seen["ring"] == (before, own[before])
        assert seen["batch"] == [value + 7 for value in own[before]]
    assert second["tag", 6] == [6, 6, 6] and second["tag", 5] == [5, 5, 5]
    assert first["objects"] == (1, ["text", {"key": 1}])
    assert first["any"] == [(1, [1, 1]), (2, [2, 2])]


def test_groups(three):
    first, second, third = three["groups"]
    total = starts(3)[0] + starts(3)[2]
    for seen in (first, third):
        assert seen["sum"] == total.tolist()
        assert seen["broadcast"] == (total + 2).tolist() and seen["group_src"] == (total + 4).tolist()
    assert first["numbers"] == (0, 2, [0, 2], 1, 2) and third["numbers"] == (1, 2, [0, 2], 1, 2)
    assert second["outside"] == (-1, -1)
    for rank, seen in enumerate((first, second, third)):
        assert seen["subgroups"] == (3, starts(3)[rank].tolist())
    assert first["enumerated"] == second["enumerated"] == (2, (starts(3)[0] + starts(3)[1]).tolist())
    assert third["enumerated"] == (2, starts(3)[2].tolist())
    assert first["two groups of the same ranks"] == second["two groups of the same ranks"] == 2


def test_wrong_calls(two):
    for seen in two["errors"]:
        assert "nothing" not in seen.values(), seen


def test_parts_that_do_not_fit(tmp_path):
    """PyTorch's gloo takes some of these silently."""
    distributed.init_process_group(init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        for sizes in ([], [1, 1]):
            with pytest.raises(RuntimeError, match="all_to_all_single"):
                distributed.all_to_all_single(mg.zeros(2), mg.zeros(3), sizes, sizes)
        for wrong, error in (
            (lambda: distributed.all_reduce(mg.ones(1), op="sum"), TypeError),
            (lambda: distributed.all_reduce(mg.ones(1), group="world"), TypeError),
            (lambda: distributed.send(mg.ones(1), 0, tag=-1), RuntimeError),
            (lambda: distributed.recv(mg.ones(1)), RuntimeError),
        ):
            with pytest.raises(error):
                wrong()
        outside = distributed.new_group([])
        with pytest.warns(UserWarning, match="does not belong"):
            assert distributed.all_reduce(mg.ones(1), group=outside) is None
    finally:
        distributed.destroy_process_group()


# ---------------------------------------------------------------- DistributedDataParallel
def trained(count, variant="plain"):
    """The parameters that one process gets from the batches of all ranks."""
    model = programs.network(mg, 0, variant == "batch norm")
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(4):
        optimizer.zero_grad()
        for rank in range(count):
            inputs, classes = programs.batch(mg, rank, step)
            (mg.nn.functional.cross_entropy(model(inputs), classes) / count).backward()
        optimizer.step()
    return [parameter.tolist() for parameter in model.parameters()]


def same(first, second):
    return all(np.allclose(a, b, atol=1e-5) for a, b in zip(first, second, strict=True))


def test_training_on_all_ranks_is_training_on_all_batches(every):
    every = every["data_parallel"]
    count = len(every)
    for name in programs.VARIANTS:
        for seen in every:
            assert seen[name][1] == every[0][name][1], "all ranks have the same bits"
            assert same(seen[name][1], trained(count, name)), name
    assert every[0]["plain"][3][0] == "module.0.weight"
    assert every[0]["not synchronised"] != every[1]["not synchronised"]
    assert every[0]["accumulated"] == every[1]["accumulated"]


def test_sparse_gradients_are_averaged(three):
    rows = np.repeat([[0], [2], [1 / 3], [1 / 3], [1 / 3], [0]], 2, 1)
    for is_sparse, gradient in three["sparse_rows"]:
        assert is_sparse and np.allclose(gradient, rows)


def test_synchronised_batch_norm_is_that_of_all_batches(three):
    """Outputs, gradients and statistics are those of one process with the batches of all ranks."""
    layer = mg.nn.BatchNorm2d(3)
    xs = [programs.norm_batch(mg, rank) for rank in range(3)]
    x = mg.cat(xs).requires_grad_()
    output = layer(x)
    (output * mg.cat([programs.norm_weights(mg, rank) for rank in range(3)])).sum().backward()
    begin = 0
    for seen, part in zip(three["synchronised_norm"], xs, strict=True):
        end = begin + len(part)
        assert np.allclose(seen[0], output[begin:end].tolist(), atol=1e-5)
        assert np.allclose(seen[1], x.grad[begin:end].tolist(), atol=1e-5)
        for got, parameter in zip(seen[2], layer.parameters(), strict=True):
            assert np.allclose(got, (parameter.grad / 3).tolist(), atol=1e-4), "DistributedDataParallel's average"
        assert np.allclose(seen[3], layer.running_mean.tolist()) and np.allclose(seen[4], layer.running_var.tolist())
        assert seen[5] == "SyncBatchNorm"
        begin = end


def test_uneven_batches(three):
    """The last averages are those that the program of one process makes, see tests/parity; all ranks end alike."""
    for name in programs.UNEVEN:
        for turn in range(3):
            first, *others = [seen[name, turn] for seen in three["uneven"]]
            assert all(other == first for other in others), name
        assert seen_before_and_after_differ(three["uneven"][0], name)
    assert three["uneven"][0]["divided by all", 0] != three["uneven"][0]["divided by the active", 0]
    texts = [seen["early end"] for seen in three["uneven"]]
    assert texts[0] == "Rank 0 exhausted all inputs." and "Throwing across all ranks" in texts[1] == texts[2]


def seen_before_and_after_differ(seen, name):
    return seen[name, 0] != seen[name, 1] == seen[name, 2]


def test_copies_average_as_well(three):
    first, *others = three["uneven"]
    for name in ("deepcopy", "pickle"):
        assert all(other[name] == first[name] for other in others)
        assert first[name][0] != first[name][1]
        assert first[name, "of a group"] == "RuntimeError"


def test_branches(two):
    first, second = two["branches"]
    assert first["rank 0 uses less"] == second["rank 0 uses less"]
    assert first["rank 0 uses less"][4:] == [None, None], "what no rank uses has no gradient"
    assert first["rank 0 uses less"][2] == [[1.0, 1.0], [1.0, 1.0]], "half of rank 1's"
    assert first["hook"] == second["hook"]
    assert first["hook"][1] == [(0, 4, 4)]
    assert {name: first[name] for name in WRONG} == WRONG
    assert first["sampler"] == [0, 2, 4, 6] and second["sampler"] == [1, 3, 5, 0]


WRONG = {
    "device_ids": "ValueError", "two devices": "ValueError", "no parameters": "RuntimeError", "no hook": "TypeError",
    "hook twice": "RuntimeError", "unfinished": "RuntimeError",
}  # fmt: skip


# ---------------------------------------------------------------- failures
def test_a_dead_rank_is_an_error_on_the_others(three):
    seen = three["dying"]
    assert seen[2] is None
    for text, seconds in [*seen[0], *seen[1]]:
        assert "rank" in text and text != "nothing"
        assert seconds < 10
    assert any("connection to rank 2 is lost" in text for text, _ in seen[0])


def test_timeouts(two):
    first, second = two["late"]
    for text, seconds in first:
        assert "timed out after" in text or "failed to pass monitoredBarrier" in text
        assert seconds < 3
    assert "Ranks 1 failed to pass" in first[1][0]
    assert all(text != "nothing" for text, _ in second)


def test_an_interrupt_in_a_collective_is_told_to_all_ranks(two):
    (first, one), (second, other) = two["interrupted"]
    assert first[0] == "interrupted" and "failed before" in first[1][0] and "KeyboardInterrupt" in second[0][0]
    assert (one, other) == (2, 2) and second[0][1] < 5


def test_ranks_that_do_not_agree(two):
    for errors, after in two["mismatched"]:
        assert all(text != "nothing" and seconds < 10 for text, seconds in errors), errors
        assert after == 2
        assert "expected" in errors[0][0] and "float64" in errors[1][0] and "another collective" in errors[2][0]


# ---------------------------------------------------------------- meeting
SECOND = timedelta(seconds=1)


def store_of(kind, tmp_path):
    if kind == "tcp":
        return stores.TCPStore("localhost", 0, 1, True)
    return stores.HashStore() if kind == "hash" else stores.FileStore(tmp_path / "store", 1)


@pytest.mark.parametrize("kind", ["hash", "tcp", "file", "prefix"])
def test_stores(kind, tmp_path):
    store = stores.PrefixStore("p", stores.HashStore()) if kind == "prefix" else store_of(kind, tmp_path)
    before = store.num_keys()
    store.set("a", "1")
    assert (store.get("a"), store.add("n", 3), store.add("n", 4), store.get("n")) == (b"1", 3, 7, b"7")
    store.set("b", b"\0x")
    assert store.get("b") == b"\0x" and store.num_keys() == before + 3
    assert (store.delete_key("a"), store.delete_key("a")) == (True, False)
    tried = [store.compare_set("k", "", "x"), store.compare_set("k", "q", "y"), store.compare_set("k", "x", "y")]
    assert tried == [b"x", b"x", b"y"]
    assert store.compare_set("z", "q", "y") == b"q" and not store.check(["z"]) and store.check(["k", "n"])
    store.append("t", "1")
    store.append("t", "2")
    store.multi_set(["u", "v"], ["3", "4"])
    assert store.multi_get(["t", "u", "v"]) == [b"12", b"3", b"4"] and store.has_extended_api()
    store.queue_push("q", "first")
    store.queue_push("q", "second")
    assert (store.queue_len("q"), store.queue_pop("q"), store.queue_pop("q", False)) == (2, b"first", b"second")
    store.set_timeout(SECOND / 10)
    assert store.timeout == SECOND / 10
    for call, error in (
        (lambda: store.get("missing"), distributed.DistStoreError),
        (lambda: store.wait(["missing", "k"], SECOND / 20), distributed.DistStoreError),
        (lambda: store.queue_pop("q", False), distributed.QueueEmptyError),
        (lambda: store.set("c", 5), TypeError),
        (lambda: store.set(5, "c"), TypeError),
        (lambda: store.add("k", 1), ValueError),
        (lambda: store.multi_set(["u"], []), ValueError),
        (lambda: store.set_timeout(5), TypeError),
    ):
        with pytest.raises(error):
            call()
    store.set_timeout(10 * SECOND)
    later = threading.Timer(0.1, lambda: store.set("late", "here"))
    later.start()
    assert store.get("late") == b"here"
    store.wait(["late"])
    later.join()
    store.close()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("content", [b"no store", b"\0\0\0\x08\0\0\0\x04name", b"\0\0\0\x07\0\0\0\x03set", b"\xff"])
def test_a_file_that_is_no_store_stays_as_it_is(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(distributed.DistStoreError, match="not that of a store"):
        stores.FileStore(tmp_path / "file", 1)
    assert (tmp_path / "file").read_bytes() == content


def test_tcp_store_of_several():
    master = stores.TCPStore("localhost", 0, None, True)
    other = stores.TCPStore("localhost", master.port)
    master.set("key", "value")
    assert other.get("key") == b"value" and other.clone().add("n", 1) == 1 and "key" in other.list_keys()
    with pytest.raises(distributed.DistNetworkError, match="failed to listen"):
        stores.TCPStore("localhost", master.port, 1, True)
    with pytest.raises(distributed.DistStoreError, match="1/2 clients"):
        stores.TCPStore("localhost", 0, 2, True, timeout=SECOND / 5)
    master.close()
    with pytest.raises(distributed.DistNetworkError):
        stores.TCPStore("localhost", master.port, timeout=SECOND / 5)
    other.close()
    with pytest.raises(distributed.DistNetworkError, match="closed"):
        other.get("key")
    for wrong in (-1, 70_000, "29500"):
        with pytest.raises(ValueError, match="port"):
            stores.TCPStore("localhost", wrong, 1, True)


def test_a_name_with_an_address_that_is_switched_off(monkeypatch):
    find = socket.getaddrinfo
    off = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: [off, *find(*args, **options)])
    listener = transport.listen()
    assert listener.address[0] == "127.0.0.1"
    listener.close()


def test_wrong_meetings(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    start = functools.partial(distributed.init_process_group, "gloo")
    for call, error, text in (
        (lambda: start(init_method="env://", store=stores.HashStore()), AssertionError, "both"),
        (lambda: start(store=stores.HashStore()), AssertionError, "world_size"),
        (lambda: start(store=stores.HashStore(), world_size=2), AssertionError, "rank"),
        (lambda: start(store=stores.HashStore(), world_size=2, rank=2), ValueError, "rank must be"),
        (lambda: start(store={}, world_size=1, rank=0), TypeError, "Store"),
        (lambda: start(init_method="tcp://localhost:1"), ValueError, "rank parameter missing"),
        (lambda: start(init_method="tcp://localhost", rank=0, world_size=2), ValueError, "port number missing"),
        (lambda: start(init_method="file://", rank=0, world_size=2), ValueError, "path missing"),
        (lambda: start(init_method="http://x", rank=0, world_size=2), RuntimeError, "No rendezvous handler"),
        (lambda: start(rank=0, world_size=2), ValueError, "MASTER_ADDR expected"),
        (lambda: start(rank=2, world_size=2), ValueError, "rank must be"),
        (lambda: start(rank=0, world_size=0), ValueError, "world_size must be positive"),
        (lambda: start(init_method="tcp://localhost:1?rank=a&world_size=1"), ValueError, "rank must be an integer"),
        (lambda: start(timeout=3), TypeError, "timedelta"),
    ):
        with pytest.raises(error, match=text):
            call()
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", "0")
    with pytest.raises(ValueError, match="port must be in 1 to 65535"):
        start(rank=0, world_size=2)
    with pytest.raises(distributed.DistBackendError, match=r"missing: \[1\]"):
        start(store=stores.HashStore(), rank=0, world_size=2, timeout=SECOND / 5)
    assert not distributed.is_initialized()


def test_rendezvous(tmp_path):
    store, rank, size = next(distributed.rendezvous(f"file://{tmp_path}/store?rank=0&world_size=1"))
    store.set("key", "value")
    assert (store.get("key"), rank, size) == (b"value", 0, 1)
    store.close()
    assert not [*tmp_path.iterdir()]


# ---------------------------------------------------------------- who may connect
def channels():
    """A listener, and both ends of a channel to it."""
    listener = transport.listen()
    got = queue.SimpleQueue()
    listener.serve(got.put)
    dialled = transport.dial(listener.address, 5)
    return listener, dialled, got.get(timeout=5)


def test_messages():
    listener, first, second = channels()
    with listener_closed(listener), first, second:
        for parts in ([b""], [b"abc"], [b"a", bytearray(b"b"), memoryview(b"c")], [bytes(200_000), b"end"]):
            first.send(*parts, timeout=5)
            assert second.receive(5) == b"".join(parts)
        second.send(b"back")
        assert first.receive(5) == b"back"
        with pytest.raises(DistTimeoutError):
            first.receive(0.05)
        second.send(b"after the timeout")
        assert first.receive(5) == b"after the timeout"
        first.send(bytes(100))
        with pytest.raises(distributed.DistNetworkError, match="more than the limit"):
            second.receive(5, limit=99)
        with pytest.raises((EOFError, distributed.DistNetworkError)):
            first.receive(5)


class listener_closed:
    def __init__(self, listener):
        self.listener = listener

    def __enter__(self):
        return self.listener

    def __exit__(self, *error):
        self.listener.close()
        with pytest.raises(distributed.DistNetworkError):
            transport.dial(self.listener.address, 0.1)


@pytest.mark.parametrize("change", ["head", "code", "length", "body", "repeat"])
def test_changed_messages_are_refused(change):
    """Whoever is between the two can't change, shorten or repeat what is sent."""
    listener, first, second = channels()
    with listener_closed(listener), first, second:
        sent = bytearray(first._head(first._keys[0], 0, [b"good"]) + b"good")
        if change == "repeat":
            first._socket.send(bytes(sent))
            assert second.receive(5) == b"good"
        else:
            sent[{"head": 8, "code": 40, "length": 4, "body": 73}[change]] ^= 1  # a length of 16 MB is not waited for
        first._socket.send(bytes(sent))
        with pytest.raises(distributed.DistNetworkError, match="not authentic"):
            second.receive(5)
        assert second.closed


def test_who_does_not_know_the_secret_is_refused(monkeypatch):
    store = stores.TCPStore("localhost", 0, None, True)
    store.set("key", "value")
    monkeypatch.setattr(transport, "known_keys", lambda: [b"x" * 32])
    kept = store._server.listener
    with pytest.raises(distributed.DistNetworkError, match=transport.KEY_VARIABLE):
        transport.dial(kept.address, 5)
    for greeting in (b"GET / HTTP/1.1\r\n\r\n" * 20, transport._GREETING + bytes(96), transport._GREETING):
        with socket.create_connection(kept.address, timeout=5) as stranger:
            try:
                stranger.sendall(greeting)
                stranger.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda stranger=stranger: stranger.recv(100), b""))
            except OSError:  # the connection was ended before all was sent
                answer = b""
            assert answer == b"" or answer.endswith(bytes(16)), "no proof is given to a stranger"
    assert store.get("key") == b"value"
    store.close()


def test_strangers_who_say_nothing_keep_nobody_out():
    store = stores.TCPStore("localhost", 0, None, True)
    began = time.monotonic()
    strangers = [socket.create_connection(("localhost", store.port), 5) for _ in range(transport._UNPROVEN + 40)]
    other = stores.TCPStore("localhost", store.port, timeout=5 * SECOND)
    assert other.add("n", 1) == 1 and time.monotonic() - began < 5
    for each in (*strangers, other, store):
        each.close()


def test_a_stranger_does_not_hold_up_the_meeting(tmp_path):
    """One connects to a rank's port, which the store names, and says nothing."""
    store = stores.HashStore()
    found = []

    def second():
        store.wait(["group/address/0"])
        host, port = store.get("group/address/0").decode().split()
        with socket.create_connection((host, int(port)), 5):
            time.sleep(0.1)
            found.append(Mesh(stores.PrefixStore("group", store), 1, 2, 10 * SECOND))

    thread = threading.Thread(target=second)
    thread.start()
    began = time.monotonic()
    found.append(Mesh(stores.PrefixStore("group", store), 0, 2, 10 * SECOND))
    thread.join()
    assert time.monotonic() - began < 5
    for mesh in found:
        mesh.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked_processes_do_not_keep_connections():
    """The death of a process is noticed though a worker it forked lives on."""
    listener, first, second = channels()
    reader, writer = os.pipe()
    closed, telling = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.close(writer)
        first.close()  # has no effect on the parent's
        os.write(telling, b".")
        os.read(reader, 1)
        os._exit(0)
    try:
        with listener_closed(listener), first, second:
            assert os.read(closed, 1) == b"."
            first.send(b"still open")
            assert second.receive(5) == b"still open"
            first._socket.close()  # as at the parent's death
            with pytest.raises((EOFError, distributed.DistNetworkError)):
                second.receive(5)
    finally:
        os.close(writer)
        os.waitpid(child, 0)
        for number in (reader, closed, telling):
            os.close(number)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked_processes_reach_their_parents_store():
    store = stores.TCPStore("localhost", 0, None, True)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=store.set, args=("from the child", "1"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    assert store.get("from the child") == b"1"
    process.join(10)
    assert process.exitcode == 0 and store.add("n", 1) == 1
    store.close()


def test_a_listener_that_does_not_know_the_secret_is_refused():
    """It names the key as known, but can't prove it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer():
            sock, _ = server.accept()
            with sock:
                greeting = sock.recv(200)
                sock.sendall(greeting[:18] + bytes(32) + greeting[50:66])
                proof = sock.recv(100)
                sock.sendall(proof)  # its own proof back

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(distributed.DistNetworkError, match="could not prove"):
            transport.dial(server.getsockname(), 5)
        thread.join()


def test_key_file(monkeypatch):
    first = transport.known_keys()
    path = Path(transport.key_file())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(path.read_text()) == 64
    assert transport.known_keys() == first and [*path.parent.iterdir()] == [path]
    path.chmod(0o644)
    with pytest.raises(RuntimeError, match="chmod 600"):
        transport.known_keys()
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(RuntimeError, match="damaged"):
        transport.known_keys()
    monkeypatch.setenv(transport.KEY_VARIABLE, "fifteen letters")
    with pytest.raises(RuntimeError, match="16 characters"):
        transport.known_keys()
    monkeypatch.setenv(transport.KEY_VARIABLE, "sixteen letters.")
    assert transport.known_keys() == [b"sixteen letters."]
    assert bytes(multiprocessing.current_process().authkey) not in transport.known_keys()


def test_no_place_for_a_key_file(monkeypatch, tmp_path):
    """Where none can be made, processes that multiprocessing starts need none."""
    (tmp_path / "file").write_text("")
    for cache in (str(tmp_path / "file"), "~nobody-there/cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        assert transport.known_keys() == [bytes(multiprocessing.current_process().authkey)]
    assert not Path("~nobody-there").exists()


# ---------------------------------------------------------------- the launcher
PROGRAM = """
import os, sys, time
import {name} as torch
dist = torch.distributed
dist.init_process_group("gloo")
x = torch.ones(1)
dist.all_reduce(x)
names = "RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE GROUP_RANK".split()
sys.stdout.write(f"sum {{x.item()}} " + " ".join(os.environ[name] for name in names) + f" {{sys.argv[1:]}}\\n")
sys.stdout.flush()
if "worker" in sys.argv:
    import signal, subprocess
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    if "deaf" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        sys.stdout.write(f"worker {{worker.pid}}\\n")
        sys.stdout.flush()
        time.sleep(60)
    except KeyboardInterrupt:
        sys.stdout.write("interrupted\\n")
        sys.exit(5)
if "fail" in sys.argv and dist.get_rank() == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
    sys.exit(3)
if "fail" in sys.argv or "sleep" in sys.argv:
    time.sleep(60 if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" else 0)
dist.destroy_process_group()
"""


# SIGHUP as in a terminal, also where the tests run under nohup, which the launcher respects
IMPATIENT = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from minigrad.distributed import run
run._GRACE = 2.0
sys.exit(run.main())
"""


def launch(tmp_path, *arguments, name="minigrad", module=("-m", "minigrad.distributed.run")):
    (tmp_path / "program.py").write_text(PROGRAM.format(name=name))
    command = [sys.executable, "-W", "error", *module, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process):
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return process.returncode, output, errors


def test_launcher(tmp_path):
    process = launch(tmp_path, "--standalone", "--nproc_per_node=2", "program.py", "--a", "b")
    status, output, errors = ended(process)
    assert status == 0, errors
    assert sorted(output.splitlines()) == [f"sum 2.0 {r} {r} 2 2 0 ['--a', 'b']" for r in range(2)]


def test_launcher_under_pytorch_names(tmp_path):
    module = "-m", "minigrad.compat", "-m", "torch.distributed.run"
    process = launch(tmp_path, "--standalone", "--nproc-per-node", "2", "program.py", name="torch", module=module)
    status, output, errors = ended(process)
    assert status == 0, errors
    assert output.count("sum 2.0") == 2


@pytest.mark.parametrize("option", ["--use_env", "--use-env", None])
def test_older_launcher_gives_the_local_rank(tmp_path, option):
    options = ["--nproc_per_node=2", *([option] if option else [])]
    module = "-m", "minigrad.distributed.launch"
    process = launch(tmp_path, "--master_port=0", *options, "program.py", "--a", module=module)
    status, output, errors = ended(process)
    assert status == 0, errors
    given = [["--a"] if option else [f"--local-rank={rank}", "--a"] for rank in range(2)]
    assert sorted(output.splitlines()) == [f"sum 2.0 {r} {r} 2 2 0 {given[r]}" for r in range(2)]


def test_launcher_ends_all_processes_when_one_fails(tmp_path):
    began = time.monotonic()
    status, output, errors = ended(launch(tmp_path, "--standalone", "--nproc_per_node=2", "program.py", "fail"))
    assert status == 1 and "local rank 1" in errors and "exit code 3" in errors
    assert time.monotonic() - began < 40
    again = ["--standalone", "--nproc_per_node=2", "--max_restarts=1", "program.py", "fail"]
    status, output, errors = ended(launch(tmp_path, *again))
    assert status == 0 and "started again (1 of 1)" in errors and output.count("sum 2.0") == 4


def is_there(pid):
    """Whether a process that nobody has waited for yet runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are looked for in /proc")
@pytest.mark.parametrize(("number", "how"), [("SIGINT", "polite"), ("SIGTERM", "deaf"), ("SIGHUP", "polite")])
def test_launcher_is_interrupted(tmp_path, number, how):
    """Nothing is left, not even what the processes started; nor where a process is deaf and the signal comes twice."""
    arguments = ["--standalone", "--nproc_per_node=1", "--monitor-interval=30"]
    process = launch(tmp_path, *arguments, "program.py", "worker", how, module=("-c", IMPATIENT))
    began = time.monotonic()
    assert process.stdout.readline().startswith("sum 1.0")
    worker = int(process.stdout.readline().split()[1])
    number = getattr(signal, number)
    process.send_signal(number)
    if how == "deaf":  # the launcher waits for it
        time.sleep(0.3)
        process.send_signal(number)
    status, output, errors = ended(process)
    assert status == 128 + number, errors
    assert ("interrupted" in output) == (number == signal.SIGINT)
    assert not is_there(worker) and time.monotonic() - began < 30


def test_launcher_leaves_a_program_that_calls_it_as_it_was(monkeypatch, capfd):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run.main(["--standalone", "--no-python", sys.executable, "-c", "print('ran')"]) == 0
    assert capfd.readouterr().out == "ran\n" and transport.KEY_VARIABLE not in os.environ
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run.main(["--standalone", "--no-python", "./there-is-no-such-program"]) == 127
    assert "can't be started" in capfd.readouterr().err
    monkeypatch.setenv(transport.KEY_VARIABLE, "short")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = f"--master-port={taken.getsockname()[1]}"
        for text in ("16 characters", "failed to listen"):
            with pytest.raises(SystemExit):
                run.main([port, "--no-python", "true"])
            assert text in capfd.readouterr().err
            monkeypatch.setenv(transport.KEY_VARIABLE, "sixteen letters.")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--nproc_per_node=0", "x.py"], "positive number"),
        (["--nnodes=1:2", "x.py"], "ranges"),
        (["--nnodes=2", "--master_addr=a", "x.py"], "--node_rank"),
        (["--nnodes=2", "--node_rank=2", "--master_addr=a", "x.py"], "0 to 1"),
        (["--nnodes=2", "--node_rank=1", "x.py"], "--master_addr"),
        (["--nnodes=2", "--node_rank=1", "--rdzv_endpoint=a:1", "x.py"], transport.KEY_VARIABLE),
        (["--log-dir=x", "x.py"], "log-dir"),
        ([], "program"),
    ],
)
def test_launcher_arguments(arguments, text, capsys):
    with pytest.raises(SystemExit):
        run.main(arguments)
    assert text in capsys.readouterr().err
