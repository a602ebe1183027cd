"""Calls between worker processes: three are started once for all checks, which run in the first; then failing ones."""

import gc
import os
import pickle
import socket
import threading
import time
import traceback

import numpy as np
import pytest

import minigrad as mg
from minigrad import multiprocessing
from minigrad.distributed import autograd, rpc
from minigrad.distributed.nn import RemoteModule
from minigrad.distributed.optim import DistributedOptimizer
from minigrad.futures import Future, collect_all, wait_all


# ---------------------------------------------------------------- what workers run
def add(a, b=0):
    return a + b


def fail(kind, *args):
    raise kind(*args)


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def through(to, function, *args):
    """Call a function of another worker from this one."""
    return rpc.rpc_sync(to, function, args=args)


def look(tensor):
    return type(tensor) is mg.Parameter, tensor.requires_grad, tensor.is_leaf


def scale(a, b):
    return a * b, (a + b).detach(), a - b


def open_references():
    gc.collect()
    return len(rpc.api.current_agent().entries)


def contexts():
    return len(autograd._state["contexts"])


def value_of(rref):
    return rref.to_here()


def keep(rref):
    """Keep a reference here until drop()."""
    _kept.append(rref)


def drop():
    _kept.clear()


def make_and_return(value):
    return rpc.RRef(value)


def identity(rref):
    return rref


def square_of(rref):
    return rref.to_here() ** 2


def local_gradient(rref, context):
    return autograd.get_gradients(context)[rref.local_value()]


def bounce(tensor, weight, hops):
    """Multiply, and hand on to the next worker: gradients go back through all of them."""
    if hops == 0:
        return tensor
    to = (rpc.get_worker_info().id + 1) % 3
    return rpc.rpc_sync(to, bounce, args=(tensor * weight, weight, hops - 1))


@rpc.functions.async_execution
def add_later(to, a, b, c):
    return rpc.rpc_async(to, add, args=(a, b)).then(lambda future: future.wait() + c)


@rpc.functions.async_execution
def no_future():
    return 3


class Counter:
    def __init__(self, start=0):
        self.count = start
        self.waiting, self.lock = Future(), threading.Lock()
        self.arrived = 0

    def add(self, number):
        self.count += number
        return self.count

    def itself(self):
        return self

    def __reduce__(self):
        return Counter, (self.count,)

    @rpc.functions.async_execution
    def meet(self, number):
        """Answer all callers with the sum, once two have called."""
        with self.lock:
            self.count += number
            self.arrived += 1
            future = self.waiting
            if self.arrived == 2:
                self.waiting, self.arrived = Future(), 0
                future.set_result(self.count)
        return future

    @staticmethod
    @rpc.functions.async_execution
    def static(number):
        future = Future()
        future.set_result(number)
        return future

    @classmethod
    @rpc.functions.async_execution
    def of_class(cls, number):
        future = Future()
        future.set_result((cls.__name__, number))
        return future


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


_kept = []


# ---------------------------------------------------------------- checks, run by worker 0
def raises(kind, match, function, *args, **kwargs):
    with pytest.raises(kind, match=match) as caught:
        function(*args, **kwargs)
    return caught.value


def check_calls_return_values_and_tensors():
    tensor = mg.arange(6.0).reshape(2, 3).t()
    result = rpc.rpc_sync("w1", add, args=(tensor,), kwargs={"b": 1})
    assert mg.equal(result, tensor + 1)
    result += 1  # its memory is its own
    for function, args in ((mg.add, (tensor, 1)), (mg.Tensor.add_, (tensor, 1)), (mg.nn.functional.relu, (tensor,))):
        assert isinstance(rpc.rpc_sync(1, function, args=args), mg.Tensor)
    assert mg.equal(tensor, mg.arange(6.0).reshape(2, 3).t())
    both = mg.ones(2)
    first, second, other = rpc.rpc_sync("w2", tuple, args=([both, both, np.ones(3)],))
    assert first is second and other.shape == (3,)
    empty, scalar, half = rpc.rpc_sync("w1", tuple, args=((mg.ones(0, 2), mg.tensor(3), mg.ones(2).half()),))
    assert empty.shape == (0, 2) and scalar.item() == 3 and half.dtype == mg.float16
    assert rpc.rpc_sync(rpc.get_worker_info("w2"), rpc.get_worker_info) == rpc.WorkerInfo("w2", 2)
    big = mg.randn(300, 1000)
    assert mg.equal(rpc.rpc_async("w1", add, args=(big,)).wait(), big)


def check_calls_to_oneself_and_nested_calls():
    tensor = mg.ones(2)
    result = rpc.rpc_sync("w0", add, args=(tensor,))
    assert mg.equal(result, tensor)
    result += 1
    assert tensor.tolist() == [1, 1]
    assert rpc.rpc_sync("w1", through, args=("w2", through, "w0", through, "w1", add, 3, 4)) == 7


def check_many_calls_at_once():
    futures = [rpc.rpc_async(1 + index % 2, add, args=(index, 1)) for index in range(200)]
    assert wait_all(futures) == list(range(1, 201))
    assert [future.value() for future in collect_all(futures[:2]).wait()] == [1, 2]
    assert (
        rpc.rpc_async("w1", add, args=(1, 1)).then(lambda done: rpc.rpc_sync("w2", add, (done.wait(), 1))).wait() == 3
    )


def check_exceptions_come_back():
    error = raises(ValueError, "oh no", rpc.rpc_sync, "w1", fail, args=(ValueError, "oh no"))
    assert str(error).startswith("On WorkerInfo(id=1, name=w1):") and "in fail" in str(error)
    assert "in fail" in repr(raises(KeyError, "lost", rpc.rpc_sync, "w1", fail, args=(KeyError, "lost")))
    raises(RuntimeError, "Failed to create original exception type", rpc.rpc_sync, "w1", fail, args=(Odd, 1, 2))
    raises(RuntimeError, "ended with SystemExit", rpc.rpc_sync, "w1", fail, args=(SystemExit, 3))
    error = raises(ValueError, "deep", rpc.rpc_sync, "w1", through, args=("w2", fail, ValueError, "deep"))
    assert "name=w1" in str(error) and "name=w2" in str(error)
    raises(AttributeError, "pickle", rpc.rpc_sync, "w1", lambda: 1)
    raises((AttributeError, TypeError), "pickle", rpc.rpc_sync, "w1", threading.Lock)
    raises(TypeError, "callable", rpc.rpc_sync, "w1", 3)
    raises(RuntimeError, "could not find destination name w9", rpc.rpc_sync, "w9", add)
    raises(RuntimeError, "could not find destination id 3", rpc.rpc_sync, 3, add)
    raises(ValueError, "Cannot get WorkerInfo", rpc.rpc_sync, 1.5, add)
    raises(RuntimeError, "already initialized", rpc.init_rpc, "w0", rank=0, world_size=3)
    raises(RuntimeError, "error when running the callback", rpc.rpc_async("w1", add, (1,)).then(lambda _: 1 / 0).wait)


def check_timeouts():
    began = time.monotonic()
    raises(RuntimeError, r"timeout \(100 ms\)", rpc.rpc_sync, "w1", sleep, args=(1,), timeout=0.1)
    assert time.monotonic() - began < 0.9
    assert rpc.rpc_sync("w1", sleep, args=(0.01,), timeout=0) == 0.01
    rref = rpc.remote("w1", sleep, args=(0.5,))
    raises(RuntimeError, r"timeout \(50 ms\)", rref.to_here, timeout=0.05)
    assert rref.to_here() == 0.5
    late = rpc.remote("w1", sleep, args=(0.5,), timeout=0.05)
    raises(RuntimeError, "timeout", late._get_future().wait)
    raises(RuntimeError, "creation via rpc.remote.. timed out", late.to_here)
    assert rpc.get_rpc_timeout() == 20


def check_references():
    rref = rpc.remote("w1", Counter, args=(5,))
    assert (rref.is_owner(), rref.owner_name(), rref.owner().id) == (False, "w1", 1)
    assert rref.to_here().count == 5
    deadline = time.monotonic() + 5
    while not rref.confirmed_by_owner() and time.monotonic() < deadline:
        time.sleep(0.01)  # what to_here was answered with may come before the answer to remote
    assert rref.confirmed_by_owner()
    assert rref.rpc_sync().add(2) == 7
    assert rref.rpc_async().add(1).wait() == 8
    assert rref.remote().add(1).to_here() == 9
    raises(AttributeError, "nothing", rref.rpc_sync().nothing)
    raises(RuntimeError, "can't call localValue", rref.local_value)
    raises(RuntimeError, "python pickler", pickle.dumps, rref)
    raises(ValueError, "bad", rpc.remote("w1", fail, args=(ValueError, "bad")).to_here)
    own = rpc.RRef(mg.ones(2))
    assert own.is_owner() and own.confirmed_by_owner() and own.local_value() is own.to_here()
    assert own.rpc_sync().sum().item() == 2
    assert rpc.rpc_sync("w2", value_of, args=(own,)).tolist() == [1, 1]
    assert rpc.remote("w0", add, args=(1, 2)).to_here() == 3
    assert rpc.rpc_sync("w1", through, args=("w2", value_of, rref)).count == 9
    assert rpc.rpc_sync("w1", make_and_return, args=(4,)).to_here() == 4
    assert rpc.rpc_sync("w2", identity, args=(own,)).local_value() is own.local_value()
    assert str(own).startswith("OwnerRRef(GloballyUniqueId(created_on=0")
    assert str(rref).startswith("UserRRef(RRefId = GloballyUniqueId(created_on=0")


def references_at(worker, expected):
    deadline = time.monotonic() + 5
    while (count := rpc.rpc_sync(worker, open_references)) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    return count


def check_owner_drops_what_nobody_refers_to():
    gc.collect()
    assert references_at("w1", 2) == 2  # what w0 and w2 made there at their beginning
    rref = rpc.remote("w1", Counter)
    rpc.rpc_sync("w2", keep, args=(rref,))
    assert references_at("w1", 3) == 3
    del rref
    time.sleep(0.1)
    assert references_at("w1", 3) == 3  # w2 has one
    rpc.rpc_sync("w2", drop)
    assert references_at("w1", 2) == 2
    own = rpc.RRef(3)
    assert references_at("w0", 0) == 0
    rpc.rpc_sync("w2", keep, args=(own,))
    rpc.rpc_sync("w2", through, args=("w1", keep, own))
    assert references_at("w0", 1) == 1
    rpc.rpc_sync("w2", drop)
    rpc.rpc_sync("w1", drop)
    assert references_at("w0", 0) == 0
    for _ in range(30):
        rpc.rpc_sync("w1", through, args=("w2", value_of, rpc.remote("w2", add, args=(1,))))
    assert references_at("w2", 0) == 0
    raises(AttributeError, "pickle", rpc.rpc_sync, "w1", add, args=(own, lambda: 1))
    assert references_at("w0", 0) == 0  # what was not sent is not counted


def check_async_execution():
    assert rpc.rpc_sync("w1", add_later, args=("w2", 1, 2, 3)) == 6
    assert rpc.remote("w1", add_later, args=("w2", 1, 2, 3)).to_here() == 6
    assert rpc.rpc_sync("w1", Counter.static, args=(3,)) == 3
    assert rpc.rpc_sync("w1", Counter.of_class, args=(3,)) == ("Counter", 3)
    raises(RuntimeError, "must return a torch.futures.Future", rpc.rpc_sync, "w1", no_future)
    rref = rpc.remote("w2", Counter)
    assert wait_all([rref.rpc_async().meet(index) for index in (1, 2)]) == [3, 3]
    with autograd.context() as context:
        a, b = mg.ones(2, requires_grad=True), mg.ones(2, requires_grad=True)
        autograd.backward(context, [rpc.rpc_sync("w1", add_later, args=("w2", a, b, a)).sum()])
        gradients = autograd.get_gradients(context)
        assert gradients[a].tolist() == [2, 2] and gradients[b].tolist() == [1, 1]


def check_tensors_outside_of_contexts_are_leaves():
    leaf = mg.ones(2, requires_grad=True)
    assert rpc.rpc_sync("w1", look, args=(leaf * 2,)) == (False, True, True)
    assert rpc.rpc_sync("w1", look, args=(mg.nn.Parameter(leaf),)) == (True, True, True)
    with autograd.context():
        assert rpc.rpc_sync("w1", look, args=(leaf,)) == (False, True, False)
        assert rpc.rpc_sync("w1", look, args=(mg.nn.Parameter(leaf),)) == (True, True, True)


def check_gradients_flow():
    a = mg.tensor([1.0, 2.0], requires_grad=True)
    b = mg.tensor([3.0, 4.0], requires_grad=True)
    with autograd.context() as context:
        product, detached, difference = rpc.rpc_sync("w1", scale, args=(a * 2, b))
        assert not detached.requires_grad
        rpc.rpc_sync("w1", scale, args=(a, b))  # what no root depends on is not waited for
        raises(RuntimeError, "use torch.distributed.autograd.backward", product.sum().backward)
        autograd.backward(context, [(product + difference).sum(), product.sum()])
        gradients = autograd.get_gradients(context)
        assert len(gradients) == 2
        assert gradients[a].tolist() == [4 * 3 + 2, 4 * 4 + 2]
        assert gradients[b].tolist() == [4 * 1 - 1, 4 * 2 - 1]
        assert a.grad is None
        error = raises(RuntimeError, "second time", autograd.backward, context, [product.sum()])
        assert "name=w1" in str(error)
    raises(RuntimeError, "Could not find autograd context", autograd.get_gradients, context)


def check_gradients_flow_through_many_hops():
    a, weight = mg.tensor([2.0], requires_grad=True), mg.tensor([1.5], requires_grad=True)
    with autograd.context() as context:
        root = bounce(a, weight, 7).sum()
        for turn in (1, 2):
            autograd.backward(context, [root], retain_graph=True)
            gradients = autograd.get_gradients(context)
            np.testing.assert_allclose(gradients[a].numpy(), [turn * 1.5**7], rtol=1e-5)
            np.testing.assert_allclose(gradients[weight].numpy(), [turn * 2 * 7 * 1.5**6], rtol=1e-5)


def check_gradients_through_references():
    with autograd.context() as context:
        leaf = mg.tensor([3.0], requires_grad=True)
        rref = rpc.remote("w1", square_of, args=(rpc.RRef(leaf),))
        twice = rpc.rpc_sync("w2", square_of, args=(rref,))
        autograd.backward(context, [twice.sum() + rref.to_here().sum()])
        np.testing.assert_allclose(autograd.get_gradients(context)[leaf].numpy(), [4 * 27 + 6])
    with autograd.context() as context:
        leaf = mg.tensor([3.0], requires_grad=True)
        rref = rpc.remote("w1", add, args=(leaf * 2,))
        rref.backward(context)
        assert autograd.get_gradients(context)[leaf].tolist() == [2]
    raises(RuntimeError, "dist_autograd_ctx_id", rref.backward)
    raises(RuntimeError, "contain a tensor", rpc.RRef(3).backward)
    leaf = mg.tensor(3.0, requires_grad=True)
    rpc.RRef(leaf * 2).backward()
    assert leaf.grad.item() == 2


def check_gradients_have_hooks_and_views():
    seen = []
    leaf = mg.ones(2, 2, requires_grad=True)
    leaf.register_hook(lambda gradient: gradient * 10)
    middle = leaf * 2
    middle.register_hook(lambda gradient: seen.append(gradient.clone()))
    with autograd.context() as context:
        autograd.backward(context, [rpc.rpc_sync("w1", add, args=(middle[0], 1)).sum()])
        assert seen[0].tolist() == [[1, 1], [0, 0]]
        assert autograd.get_gradients(context)[leaf].tolist() == [[20, 20], [0, 0]]


def check_contexts():
    with autograd.context() as context:
        raises(RuntimeError, "Already have an autograd context", autograd.context().__enter__)
        leaf = mg.ones(2, requires_grad=True)
        rpc.rpc_sync("w1", through, args=("w2", add, leaf, 1))
        assert rpc.rpc_sync("w2", contexts) == 1
        raises(RuntimeError, "No tensors provided", autograd.backward, context, [])
        raises(RuntimeError, "requires_grad not set", autograd.backward, context, [mg.ones(())])
        raises(RuntimeError, "not a scalar", autograd.backward, context, [leaf * 1])
        raises(TypeError, "list", autograd.backward, context, leaf.sum())
        raises(RuntimeError, "Could not find", autograd.backward, context + 1, [leaf.sum()])
        foreign = rpc.rpc_sync("w1", add, args=(leaf, 1)).sum()
    deadline = time.monotonic() + 5
    while any(rpc.rpc_sync(worker, contexts) for worker in range(3)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [rpc.rpc_sync(worker, contexts) for worker in range(3)] == [0, 0, 0]
    with autograd.context() as context:
        raises(RuntimeError, "gradients flow within one context", autograd.backward, context, [foreign])


def check_errors_in_the_backward_pass_of_another_worker():
    with autograd.context() as context:
        leaf = mg.ones(2, requires_grad=True)
        result = rpc.rpc_sync("w1", through, args=("w2", refuse_gradient, leaf))
        error = raises(ValueError, "no gradient here", autograd.backward, context, [result.sum()])
        assert "name=w2" in str(error)


class _Refusing(mg.autograd.Function):
    @staticmethod
    def forward(ctx, tensor):
        return tensor.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ValueError("no gradient here")


def refuse_gradient(tensor):
    return _Refusing.apply(tensor)


def make_layer(seed):
    mg.manual_seed(seed)
    return mg.nn.Linear(3, 2)


def parameters(rref):
    return [rpc.RRef(parameter) for parameter in rref.local_value().parameters()]


def forward(rref, x):
    return rref.local_value()(x)


def check_distributed_optimizer_steps_as_a_local_one():
    rrefs = [rpc.remote(worker, make_layer, args=(worker,)) for worker in range(3)]
    for rref in rrefs:
        rref._get_future().wait()  # the seed is the process's
    layers = [make_layer(worker) for worker in range(3)]
    remote = [p for w, rref in enumerate(rrefs) for p in rpc.rpc_sync(w, parameters, args=(rref,))]
    optimizer = DistributedOptimizer(mg.optim.SGD, remote, lr=0.1, momentum=0.9)
    twin = mg.optim.SGD([p for layer in layers for p in layer.parameters()], lr=0.1, momentum=0.9)
    x = mg.randn(4, 3)
    for turn in range(3):
        with autograd.context() as context:
            used = slice(None) if turn != 1 else slice(2)  # in turn 1 a layer gets no gradient
            outs = [rpc.rpc_sync(w, forward, args=(rref, x)) for w, rref in list(enumerate(rrefs))[used]]
            autograd.backward(context, [sum(outs).square().mean()])
            optimizer.step(context)
        twin.zero_grad()
        sum(layer(x) for layer in layers[used]).square().mean().backward()
        twin.step()
        ours = [rref.to_here() for rref in remote]
        for mine, theirs in zip(ours, twin.param_groups[0]["params"], strict=True):
            np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-6)
    assert layers[0].weight.grad is not None and rrefs[0].local_value().weight.grad is None
    raises(TypeError, "RRefs", DistributedOptimizer, mg.optim.SGD, [layers[0].weight], lr=0.1)
    raises(TypeError, "wrong", DistributedOptimizer, mg.optim.SGD, remote, wrong=1)
    raises(RuntimeError, "Could not find autograd context", optimizer.step, 12345)


def call_module(module, x):
    return module(x)


def check_remote_modules():
    module = RemoteModule("w1/cpu", mg.nn.Linear, args=(3, 2), kwargs={"bias": False})
    x = mg.randn(4, 3)
    weight = module.remote_parameters()[0].to_here()
    expected = mg.nn.functional.linear(x, weight)
    for result in (module(x), module.forward_async(x).wait(), rpc.rpc_sync("w2", call_module, args=(module, x))):
        np.testing.assert_allclose(result.detach().numpy(), expected.detach().numpy(), rtol=1e-6)
    with autograd.context() as context:
        autograd.backward(context, [module(x).sum()])
        gradient = rpc.rpc_sync("w1", local_gradient, args=(module.remote_parameters()[0], context))
        np.testing.assert_allclose(gradient.numpy(), np.tile(x.sum(0).numpy(), (2, 1)), rtol=1e-5)
    assert not module.eval().training and not module.get_module_rref().to_here().training
    again = RemoteModule.init_from_module_rref("rank:1", module.get_module_rref())
    assert mg.equal(again(x), module(x))
    raises(ValueError, "remote_parameters", module.parameters)
    raises(ValueError, "not supported for RemoteModule", module.state_dict)
    raises(ValueError, "instance of", RemoteModule, "w1", Counter)
    raises(RuntimeError, "destination name w7", RemoteModule, "w7/cpu", mg.nn.Linear, (1, 1))
    raises(RuntimeError, "only be pickled when using RPC", pickle.dumps, module)
    raises(NotImplementedError, "TorchScript", RemoteModule, "w1", mg.nn.Linear, (1, 1), None, Counter)


def check_gatherings():
    futures = [rpc.rpc_async(worker, rpc.api._all_gather, (f"from {worker}",)) for worker in range(3)]
    expected = {f"w{worker}": f"from {worker}" for worker in range(3)}
    assert wait_all(futures) == [expected] * 3


CHECKS = [name for name in globals() if name.startswith("check_")]


# ---------------------------------------------------------------- starting workers
def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def initialize(rank, port, world_size=3, name=None):
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"tcp://127.0.0.1:{port}", rpc_timeout=20)
    rpc.init_rpc(name or f"w{rank}", rank=rank, world_size=world_size, rpc_backend_options=options)


def run(rank, port, results):
    initialize(rank, port)
    rref = rpc.remote("w1", Counter)
    own = rpc.RRef(1)
    future = rpc.rpc_async((rank + 1) % 3, sleep, args=(0.3,)) if rank else None
    if rank == 0:
        for name in CHECKS:
            try:
                globals()[name]()
            except BaseException:
                results.put((name, traceback.format_exc()))
            else:
                results.put((name, None))
    rpc.shutdown()
    problem = None
    try:
        assert rank == 0 or future.done()
        raises(RuntimeError, "has been deleted", rref.to_here)
        raises(RuntimeError, "has been deleted", own.to_here)
        raises(RuntimeError, "not been initialized", rpc.rpc_sync, "w1", add)
        raises(RuntimeError, "not been initialized", rpc.shutdown)
        raises(RuntimeError, "initialize distributed autograd", autograd.context().__enter__)
        threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("rpc")]
        assert threads == [], threads
        initialize(rank, port)  # and once more, by the same store
        assert rpc.rpc_sync((rank + 1) % 3, add, args=(1, rank)) == 1 + rank
        rpc.shutdown()
    except BaseException:
        problem = traceback.format_exc()
    results.put((f"end {rank}", problem))


def started(function, count, *args):
    """Start processes of function(rank, port, results, *args); return them and the queue of their results."""
    context = multiprocessing.get_context("spawn")
    results, port = context.Queue(), free_port()
    processes = [context.Process(target=function, args=(rank, port, results, *args)) for rank in range(count)]
    for process in processes:
        process.start()
    return processes, results


def finish(processes):
    for process in processes:
        process.join(20)
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in processes]


@pytest.fixture(scope="module")
def outcome():
    processes, results = started(run, 3)
    found = {}
    try:
        while len(found) < len(CHECKS) + 3:
            name, problem = results.get(timeout=60)
            found[name] = problem
    finally:
        codes = finish(processes)
    return found | {"codes": codes}


@pytest.mark.parametrize("name", [*CHECKS, "end 0", "end 1", "end 2"])
def test_between_three_workers(outcome, name):
    assert outcome[name] is None, outcome[name]


def test_the_processes_end(outcome):
    assert outcome["codes"] == [0, 0, 0]


# ---------------------------------------------------------------- what goes wrong
def die():
    os._exit(3)


def with_a_dead_worker(rank, port, results):
    initialize(rank, port)
    if rank == 0:
        waiting = rpc.rpc_async("w1", through, args=("w2", sleep, 30))
        doomed = rpc.rpc_async("w2", sleep, args=(30,))
        with autograd.context() as context:
            result = rpc.rpc_sync("w2", add, args=(mg.ones(2, requires_grad=True), 1)).sum()
            rpc.rpc_async("w2", die)
            for future in (doomed, waiting):
                try:
                    future.wait()
                except RuntimeError as error:
                    results.put(str(error))
            for function, args in ((autograd.backward, (context, [result])), (rpc.rpc_sync, ("w2", add, (1,)))):
                try:
                    function(*args)
                except RuntimeError as error:
                    results.put(str(error))
    try:
        rpc.shutdown()
    except RuntimeError as error:
        results.put(f"shutdown of {rank}: {error}")
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("rpc")]
    results.put(f"threads of {rank}: {threads}")


def test_a_worker_that_dies_is_told_to_the_others():
    processes, results = started(with_a_dead_worker, 3)
    began = time.monotonic()
    try:
        told = [results.get(timeout=30) for _ in range(8)]
    finally:
        codes = finish(processes)
    assert time.monotonic() - began < 25
    assert codes == [0, 0, 3]
    ends = [text for text in told if text.startswith("shutdown of")]
    left = "shutdown of 1: worker w0 (id 0) has left by shutdown()"  # where worker 0 has heard of the death before
    gone = [text for text in told if "worker w2 (id 2) is gone" in text or text.startswith(left)]
    assert len(gone) == 6 and len(ends) == 2, told
    assert sorted(text for text in told if text.startswith("threads")) == ["threads of 0: []", "threads of 1: []"]


def with_the_same_name(rank, port, results):
    try:
        initialize(rank, port, 2, "twin")
    except RuntimeError as error:
        results.put(str(error))


def one_leaves_at_once(rank, port, results):
    initialize(rank, port, 2)
    if rank == 0:
        future = rpc.rpc_async("w1", sleep, args=(30,))
        rpc.rpc_sync("w1", add, args=(1,))
        rpc.shutdown(graceful=False)
        try:
            future.wait()
        except RuntimeError as error:
            results.put(str(error))
    else:
        time.sleep(0.5)
        try:
            rpc.rpc_sync("w0", add, args=(1,))
        except RuntimeError as error:
            results.put(str(error))
        rpc.shutdown(graceful=False)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (with_the_same_name, ["RPC worker name twin is not unique"] * 2),
        (one_leaves_at_once, ["RPC has been shut down", "worker w0 (id 0)"]),
    ],
)
def test_two_workers(function, expected):
    processes, results = started(function, 2)
    try:
        told = sorted(results.get(timeout=30) for _ in expected)
    finally:
        codes = finish(processes)
    assert codes == [0, 0]
    assert all(text.startswith(begin) for text, begin in zip(told, expected, strict=True)), told


def test_who_does_not_know_the_secret_is_not_read(monkeypatch, tmp_path):
    """What a stranger sends is never unpickled: the connection ends in the handshake."""
    from minigrad.distributed import transport

    monkeypatch.setenv(transport.KEY_VARIABLE, "0123456789abcdef")
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"file://{tmp_path}/store")
    rpc.init_rpc("alone", rank=0, world_size=1, rpc_backend_options=options)
    try:
        address = rpc.api.current_agent().listener.address
        with socket.create_connection(address) as sock:
            sock.settimeout(5)
            sock.sendall(pickle.dumps((fail, (ValueError,), {})) * 10)
            try:
                answer = sock.recv(1 << 16)
            except ConnectionResetError:
                answer = b""
        assert answer == b""
        with socket.create_connection(address) as sock:
            transport._prepare(sock)
            with pytest.raises(RuntimeError, match="secret"):
                transport._as_dialer(sock, [b"another secret 16"], time.monotonic() + 5)
        assert rpc.rpc_sync("alone", add, args=(1, 2)) == 3
    finally:
        rpc.shutdown()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("rpc")] == []


# ---------------------------------------------------------------- without other processes
def test_before_init_rpc():
    with pytest.raises(RuntimeError, match="RPC has not been initialized"):
        rpc.rpc_sync("w", add)
    with pytest.raises(RuntimeError, match="RPC has not been initialized"):
        rpc.RRef(1)
    with pytest.raises(RuntimeError, match="initialize distributed autograd"):
        autograd.get_gradients(0)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"name": "a b", "rank": 0, "world_size": 1}, RuntimeError, "Worker name must match"),
        ({"name": "", "rank": 0, "world_size": 1}, RuntimeError, "Worker name must match"),
        ({"name": "w", "rank": 2, "world_size": 1}, ValueError, "rank must be in"),
        ({"name": "w", "rank": 0.5, "world_size": 1}, RuntimeError, "must be an int"),
        ({"name": "w", "backend": "gloo"}, TypeError, "BackendType"),
        ({"name": "w", "rpc_backend_options": {}}, TypeError, "RpcBackendOptions"),
        ({"name": "w"}, ValueError, "RANK expected"),
    ],
)
def test_init_rpc_checks_its_arguments(arguments, error, match, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(error, match=match):
        rpc.init_rpc(**arguments)
    assert not rpc._is_current_rpc_agent_set()


def test_options():
    options = rpc.TensorPipeRpcBackendOptions()
    assert (options.num_worker_threads, options.rpc_timeout, options.init_method) == (16, 60.0, "env://")
    assert (options.device_maps, options.devices) == ({}, [])
    assert rpc.BackendType.TENSORPIPE.name == "TENSORPIPE"
    for bad in ({"num_worker_threads": 0}, {"rpc_timeout": -1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            rpc.TensorPipeRpcBackendOptions(**bad)
    if not mg.cuda.is_available():
        with pytest.raises(RuntimeError, match="no GPU"):
            options.set_device_map("w1", {0: 1})


# ---------------------------------------------------------------- futures
def test_a_future_is_completed_once():
    future = Future()
    assert not future.done()
    with pytest.raises(RuntimeError, match="not completed"):
        future.value()
    chained = future.then(lambda done: done.wait() + 1).then(lambda done: done.wait() * 10)
    threading.Timer(0.01, future.set_result, (1,)).start()
    assert chained.wait() == 20 and future.value() == 1 and future.done()
    with pytest.raises(RuntimeError, match="only be marked completed once"):
        future.set_result(2)
    with pytest.raises(RuntimeError, match="pickle"):
        pickle.dumps(future)
    assert future.then(lambda done: done.value()).wait() == 1


def test_a_future_may_fail(capsys):
    future = Future()
    with pytest.raises(AssertionError, match="not an Exception"):
        future.set_exception(3)
    future.set_exception(ValueError("foo"))
    for function in (future.wait, future.value):
        with pytest.raises(ValueError, match="foo"):
            function()
    with pytest.raises(RuntimeError, match="error when running the callback: ValueError: foo"):
        future.then(lambda done: done.wait()).wait()
    assert future.then(lambda done: 5).wait() == 5
    future.add_done_callback(lambda done: 1 / 0)
    assert "ZeroDivisionError" in capsys.readouterr().err
    for function in (future.then, future.add_done_callback):
        with pytest.raises(TypeError, match="callable"):
            function(3)


def test_futures_together():
    first, second = Future(), Future()
    both = collect_all([first, second])
    second.set_result(2)
    assert not both.done()
    first.set_result(1)
    assert both.wait() == [first, second]
    assert wait_all([first, second, first]) == [1, 2, 1]
    broken = Future()
    broken.set_exception(ValueError("foo"))
    with pytest.raises(ValueError, match="foo"):
        wait_all([first, broken])
    for wrong in (first, [1]):
        with pytest.raises(TypeError, match="Futures"):
            collect_all(wrong)
