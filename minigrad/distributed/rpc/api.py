"""init_rpc, shutdown, and the calls: rpc_sync, rpc_async, remote."""

import re
import threading
import time
from datetime import timedelta

from minigrad.distributed import autograd, transport
from minigrad.distributed.mesh import own_host
from minigrad.distributed.rendezvous import meet, who
from minigrad.distributed.rpc.agent import WHOLE, Agent
from minigrad.distributed.rpc.options import (
    DEFAULT_SHUTDOWN_TIMEOUT,
    UNSET_RPC_TIMEOUT,
    BackendType,
    RpcBackendOptions,
    TensorPipeRpcBackendOptions,
    WorkerInfo,
)
from minigrad.distributed.rpc.rref import RRef

_NAME = re.compile(r"[A-Za-z0-9\-_:]{1,127}")
_GRACE = 2.0  # seconds that calls still running get when a graceful shutdown fails
_state = {"agent": None}
_lock = threading.Lock()


def current_agent():
    """Return this process's agent; RuntimeError before init_rpc and after shutdown."""
    agent = _state["agent"]
    if agent is None:
        raise RuntimeError("RPC has not been initialized. Call torch.distributed.rpc.init_rpc first.")
    return agent


def _is_current_rpc_agent_set():
    return _state["agent"] is not None


def init_rpc(name, backend=None, rank=-1, world_size=None, rpc_backend_options=None):
    """Make this process the worker ``name`` among ``world_size``, and wait for the others.

    Arguments: backend (BackendType.TENSORPIPE or None; the transport is minigrad's own), rank and world_size (also
    RANK and WORLD_SIZE), rpc_backend_options (TensorPipeRpcBackendOptions; its init_method says where the workers meet,
    by default MASTER_ADDR and MASTER_PORT). Raises RuntimeError when called twice, for a name that is malformed or
    taken, and where the others don't come in time; ValueError without a rank or a number of workers.
    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.rpc.init_rpc
    """
    if backend is not None and not isinstance(backend, BackendType):
        raise TypeError("Argument backend must be a member of BackendType")
    if rpc_backend_options is not None and not isinstance(rpc_backend_options, RpcBackendOptions):
        raise TypeError("Argument rpc_backend_options must be an instance of RpcBackendOptions")
    for what, value in (("rank", rank), ("world_size", world_size)):
        if value is not None and not isinstance(value, int):
            raise RuntimeError(f"`{what}` must be an int, but got {type(value).__name__}")
    options = rpc_backend_options or TensorPipeRpcBackendOptions()
    if not isinstance(options, TensorPipeRpcBackendOptions):
        options = TensorPipeRpcBackendOptions(rpc_timeout=options.rpc_timeout, init_method=options.init_method)
    with _lock:
        if _state["agent"] is not None:
            raise RuntimeError("RPC is already initialized")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise RuntimeError(
                "Worker name must match ^[A-Za-z0-9-_:]*$, and must be non-empty and shorter than 128 chars, but got "
                f"{name}"
            )
        rank, world_size = who(options.init_method, rank, -1 if world_size is None else world_size)
        agent = _met(WorkerInfo(name, rank), world_size, options)
        autograd.start(agent)
        _state["agent"] = agent
    try:
        maps = {to: {str(a): str(b) for a, b in known.items()} for to, known in options.device_maps.items()}
        agent.maps = agent.gather("init", maps, options.rpc_timeout or 0)
    except BaseException:
        _end(agent, False)
        raise


def _met(me, world_size, options):
    """Return the agent of a worker that has met the others."""
    timeout = timedelta(seconds=options.rpc_timeout or 1e6)
    store = meet(options.init_method, me.id, world_size, timeout, "rpc")
    listener = transport.listen(own_host(store))
    try:
        store.set(f"worker/{me.id}", "\n".join([me.name, listener.address[0], str(listener.address[1])]))
        found = [bytes(store.get(f"worker/{rank}")).decode().split("\n") for rank in range(world_size)]
        names = [name for name, _, _ in found]
        store.add("read", 1)
        if len(set(names)) < len(names):
            _wait_for_readers(store, me.id, world_size)
            name = next(name for name in names if names.count(name) > 1)
            raise RuntimeError(f"RPC worker name {name} is not unique. Workers {names} have it")
        unknown = set(options.device_maps) - set(names)
        if unknown:
            raise ValueError(f"Node {me.name} has unexpected target nodes in its device maps: {sorted(unknown)}")
    except BaseException:
        listener.close()
        raise
    workers = [WorkerInfo(name, rank) for rank, name in enumerate(names)]
    addresses = {rank: (host, int(port)) for rank, (_, host, port) in enumerate(found)}
    store.close()
    return Agent(me, workers, addresses, listener, options)


def _wait_for_readers(store, rank, world_size):
    """Let the others find out too: the store ends with the process of rank 0."""
    deadline = transport.deadline_of(_GRACE)
    while rank == 0 and store.add("read", 0) < world_size and transport.remaining(deadline):
        time.sleep(0.01)


def _end(agent, orderly, grace=0.0):
    try:
        agent.close(orderly, grace)
    finally:
        autograd.stop()
        _state["agent"] = None


def shutdown(graceful=True, timeout=DEFAULT_SHUTDOWN_TIMEOUT):
    """End RPC in this process; all its RRefs are gone.

    ``graceful``: before that, wait until all workers have called this and no call is running, at most ``timeout``
    seconds (0: without limit); a worker that died ends the wait with RuntimeError. Otherwise end at once.
    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.rpc.shutdown
    """
    agent = current_agent()
    orderly = False
    try:
        if graceful:
            agent.wait_for_all(timeout)
            orderly = True
    finally:
        _end(agent, orderly, _GRACE if graceful else 0.0)


def get_worker_info(worker_name=None):
    """Return the WorkerInfo of a worker's name, by default of this one."""
    agent = current_agent()
    return agent.me if worker_name is None else agent.worker(worker_name)


def get_rpc_timeout():
    """Return the default timeout in seconds."""
    return current_agent().timeout


def _set_rpc_timeout(timeout):
    current_agent().timeout = float(timeout)


def _checked(agent, to, func, args, kwargs):
    if not callable(func):
        raise TypeError("function should be callable.")
    return agent.worker(to), (func, tuple(args or ()), dict(kwargs or {}))


def rpc_async(to, func, args=None, kwargs=None, timeout=UNSET_RPC_TIMEOUT):
    """Call func(*args, **kwargs) on a worker, given by name, rank or WorkerInfo, and return the Future of the result.

    Everything is pickled, so copied; tensors must be on the CPU or in the device map. What the function raises is
    raised by wait(), with its class and the other side's traceback; RuntimeError after ``timeout`` seconds (default:
    that of init_rpc; 0: none) and where the worker is gone.
    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.rpc.rpc_async
    """
    agent = current_agent()
    to, call = _checked(agent, to, func, args, kwargs)
    return agent.request(to, "call", call, timeout)


def rpc_sync(to, func, args=None, kwargs=None, timeout=UNSET_RPC_TIMEOUT):
    """Call func(*args, **kwargs) on a worker and return the result: see rpc_async.

    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.rpc.rpc_sync
    """
    return rpc_async(to, func, args, kwargs, timeout).wait()


def remote(to, func, args=None, kwargs=None, timeout=UNSET_RPC_TIMEOUT):
    """Call func(*args, **kwargs) on a worker, where the result stays, and return an RRef to it at once.

    What the function raises is raised by to_here(). Source:
    https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.rpc.remote
    """
    agent = current_agent()
    to, call = _checked(agent, to, func, args, kwargs)
    number = agent.new_number()
    if to.id == agent.me.id:
        entry = agent.entries.of(number)
        rref = RRef._made(agent, number, to, entry=entry)
        rref._creation = agent.request(to, "remote", call, timeout, (number, 0))
        return rref
    rref = RRef._made(agent, number, to, fork=agent.new_number())
    rref._creation = agent.request(to, "remote", call, timeout, (number, WHOLE))
    rref._weight = WHOLE
    return rref


def _all_gather(obj, worker_names=None, timeout=UNSET_RPC_TIMEOUT):
    """Return {name: object} of all workers, or those named, once all of them have called this."""
    agent = current_agent()
    members = sorted(agent.worker(name).id for name in worker_names) if worker_names else sorted(agent.peers)
    counts = _meetings.setdefault((agent.me, tuple(members)), [0])
    counts[0] += 1
    name = f"gather/{members}/{counts[0]}"
    return {agent.worker(member).name: value for member, value in agent.gather(name, obj, timeout, members).items()}


def _barrier(worker_names=None):
    """Wait until all workers named have called this."""
    _all_gather(None, worker_names)


_meetings = {}


def _wait_all_workers(timeout=DEFAULT_SHUTDOWN_TIMEOUT):
    current_agent().wait_for_all(timeout)
