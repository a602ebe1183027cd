"""Groups of ranks: the default one of all processes, made by init_process_group, and new ones of some of them."""

import contextlib
import enum
import hashlib
import os
import queue
import threading
import warnings
from collections import Counter
from datetime import timedelta

from minigrad.distributed import mesh as _mesh
from minigrad.distributed.errors import DistBackendError, DistTimeoutError
from minigrad.distributed.mesh import Mesh
from minigrad.distributed.rendezvous import default_pg_timeout, meet, name_of_meeting, who
from minigrad.distributed.store import PrefixStore, Store
from minigrad.variable import MODE

_BACKENDS = ("gloo", "nccl", "mpi", "ucc", "cpu:gloo", "cuda:nccl", "cpu:gloo,cuda:nccl")


_NUMBERS = {name: number for number, name in enumerate((
    "all_reduce", "broadcast", "reduce", "all_gather", "gather", "scatter", "reduce_scatter", "all_to_all", "barrier",
    "monitored_barrier", "broadcast_objects", "gather_objects", "scatter_objects",
))}  # of the collectives in messages  # fmt: skip


class ReduceOp(enum.Enum):
    """How a reduction joins the tensors of all ranks, in the order of the ranks."""

    SUM, PRODUCT, MIN, MAX, BAND, BOR, BXOR, AVG = range(8)


class Backend(str):
    """Names of backends as PyTorch has them."""

    UNDEFINED, GLOO, NCCL, UCC, MPI = "undefined", "gloo", "nccl", "ucc", "mpi"


class Work:
    """What a collective with async_op=True, isend() and irecv() return: something that is done, or will be.

    Source: https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.Work
    """

    def __init__(self, tensors=(), timeout=None):
        self._tensors, self._timeout = list(tensors), timeout
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._error = self._future = self._source = None

    def _finish(self, error=None):
        with self._lock:
            self._error = error
            self._done.set()
            future = self._future
        if future is not None:
            self._tell(future)

    def _tell(self, future):
        if self._error is None:
            future.set_result(self._tensors)
        else:
            error = self._error
            future.set_exception(error if isinstance(error, Exception) else DistBackendError(repr(error)))

    def wait(self, timeout=None):
        """Wait until it is done and return True; raise what went wrong, RuntimeError after a timeout (a timedelta)."""
        seconds = None if timeout is None else timeout.total_seconds()
        if not self._done.wait(seconds):
            raise DistTimeoutError(f"Work.wait: timed out after {round(seconds * 1000)} ms")
        if self._error is not None:
            raise self._error
        return True

    def synchronize(self):
        """Wait until it is done."""
        self.wait()

    def is_completed(self):
        """Return whether it is done, or failed."""
        return self._done.is_set()

    def is_success(self):
        """Return whether it is done without an error."""
        return self._done.is_set() and self._error is None

    def exception(self):
        """Return what went wrong, or None."""
        return self._error

    def result(self):
        """Return the list of the tensors written."""
        self.wait()
        return self._tensors

    def source_rank(self):
        """Return the rank in the group from which irecv() received."""
        if self._source is None:
            raise RuntimeError("source_rank() may only be called on work of a receive operation that is done")
        return self._source

    def get_future(self):
        """Return a Future of the list of the tensors written."""
        from minigrad.futures import Future

        with self._lock:
            if self._future is None:
                self._future = Future()
                done = self._done.is_set()
            else:
                done = False
        if done:
            self._tell(self._future)
        return self._future


class Exchange:
    """One collective of a group: messages with its number, so that those of others are never taken for it."""

    def __init__(self, group, number, operation):
        self.group, self.number, self.operation = group, number, operation
        self.rank, self.size = group.rank(), group.size()

    def send(self, rank, payload):
        """Send an array, or bytes, to a rank of the group."""
        group = self.group
        parts = _mesh.encode(group._id, _mesh.COLLECTIVE, self.number, self.operation, payload)
        group._mesh.send(group.ranks[rank], parts, group.seconds)

    def receive(self, rank, timeout=None):
        """Return the Message of a rank of the group."""
        group, key = self.group, (self.group._id, _mesh.COLLECTIVE, self.number)
        post = group._mesh.post(*key, (group.ranks[rank],))
        message = group._mesh.wait(post, key, group.seconds if timeout is None else timeout)
        if message.operation != self.operation:
            raise DistBackendError(
                f"rank {message.source} calls another collective than this rank; all must call the same in one order"
            )
        return message

    def others(self):
        """Return the other ranks of the group, beginning after this one, so that not all send to one at a time."""
        return [(self.rank + step) % self.size for step in range(1, self.size)]


class ProcessGroup:
    """Some ranks, in the order of their numbers within the group."""

    def __init__(self, mesh, ranks, rank, timeout, name, backend):
        self._mesh, self.ranks, self._rank = mesh, list(ranks), rank
        self.group_name, self.group_desc = name, name
        self._backend, self._timeout = backend, timeout
        self._id = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
        self._order = threading.Lock()
        self._number = 0
        self._jobs = None  # queue of the thread that does asynchronous collectives, in order

    @property
    def seconds(self):
        """How long a message is waited for."""
        return self._timeout.total_seconds()

    def rank(self):
        """Return this process's rank in the group."""
        return self._rank

    def size(self):
        """Return the number of ranks."""
        return len(self.ranks)

    def name(self):
        """Return the name of the backend."""
        return self._backend

    def __repr__(self):
        return f"<ProcessGroup of ranks {self.ranks}>"

    def __reduce__(self):
        raise TypeError("a ProcessGroup can't be pickled: it is a process's own; make one by new_group() in each")

    def run(self, name, step, async_op=False, tensors=()):
        """Do a collective: call step(exchange), here or for async_op in the group's thread, and return its Work.

        The name is one of _NUMBERS. Collectives run in the order of the calls. One that fails makes the group fail, on
        all its ranks.
        """
        with self._order:
            exchange = Exchange(self, self._number, _NUMBERS[name])
            self._number += 1
            if self._jobs is None and not async_op:
                self._do(name, step, exchange)
                return None
            if self._jobs is None:
                self._jobs = queue.SimpleQueue()
                threading.Thread(target=self._work, args=(self._jobs,), name=self.group_name, daemon=True).start()
            work = Work(tensors)
            self._jobs.put((name, step, exchange, work))
        if async_op:
            return work
        work.wait()
        return None

    def _do(self, name, step, exchange):
        if self._mesh is None:
            step(exchange)
            return
        failure = self._mesh.failure(self._id)
        if failure is not None:
            raise DistBackendError(f"[rank {self._rank}] {name}: the group failed before: {failure}")
        try:
            step(exchange)
        except BaseException as error:  # KeyboardInterrupt too leaves the others with half of a collective
            reason = f"[rank {self._rank}] {name}: {str(error) or repr(error)}"
            told = self._mesh.failure(self._id)
            if told is None:
                self._mesh.fail(self._id, reason)
                self._mesh.tell_failure(self._id, [rank for rank in self.ranks if rank != self._mesh.rank], reason)
            if isinstance(error, (DistBackendError, DistTimeoutError)):
                raise DistBackendError(reason) from None
            raise

    def _work(self, jobs):
        MODE.grad = False
        while (job := jobs.get()) is not None:
            name, step, exchange, work = job
            try:
                self._do(name, step, exchange)
            except BaseException as error:
                work._finish(error)
            else:
                work._finish()
            job = step = work = None

    def end(self):
        """End the group's thread once what it has to do is done."""
        if self._jobs is not None:
            finished = Work()
            self._jobs.put(("destroy", lambda exchange: None, None, finished))
            self._jobs.put(None)
            with contextlib.suppress(RuntimeError):
                finished.wait(timedelta(seconds=min(self.seconds, 60.0)))


class GroupMember:
    """The default group, and what new_group() returns to processes outside of the new group."""

    WORLD = None
    NON_GROUP_MEMBER = -100


group = GroupMember
_state = {"mesh": None, "store": None}
_groups = []  # those there are, the default one first
_named = Counter()  # how many groups of the same ranks there have been


# ---------------------------------------------------------------- beginning and end
def is_available():
    """Return True."""
    return True


def is_initialized():
    """Return whether init_process_group() was called."""
    return GroupMember.WORLD is not None


def is_gloo_available():
    """Return True: "gloo" is the name of the backend for the CPU."""
    return True


def is_nccl_available():
    """Return whether there is a GPU, on which "nccl" names the backend."""
    from minigrad.backend import cuda_is_available

    return cuda_is_available()


def is_mpi_available():
    """Return False."""
    return False


is_ucc_available = is_xccl_available = is_mpi_available


def is_torchelastic_launched():
    """Return whether the program was started by a launcher such as minigrad.distributed.run."""
    return "TORCHELASTIC_RUN_ID" in os.environ


is_launched = is_torchelastic_launched


def _checked_timeout(timeout, default):
    if timeout is not None and not isinstance(timeout, timedelta):
        raise TypeError(f"Expected timeout argument to be of type datetime.timedelta, got {timeout}")
    return default if timeout is None else timeout


def _backend_name(backend, world_size):
    """Return a backend's name in lower case; ValueError for one there is not, RuntimeError without its device."""
    name = "gloo" if backend is None else str(backend).lower()
    if name not in _BACKENDS:
        raise ValueError(f"Unknown backend {backend!r}: expected one of {', '.join(_BACKENDS[:4])}")
    if name == "mpi":
        raise RuntimeError("Distributed package doesn't have MPI built in.")
    if name in ("nccl", "cuda:nccl"):
        if not is_nccl_available():
            raise RuntimeError("Distributed package doesn't have NCCL built in")
        if world_size > 1:
            raise NotImplementedError(
                "distributed: there is no nccl for several processes; use gloo, which takes tensors on GPUs as well "
                "and exchanges them through the CPU's memory"
            )
    return name


def init_process_group(
    backend=None, init_method=None, timeout=None, world_size=-1, rank=-1, store=None, group_name="", pg_options=None,
    device_id=None,
):  # fmt: skip
    """Make the default group of all processes: ``world_size`` of them, of which this one is ``rank``.

    ``init_method`` says where they meet: env:// (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT of the environment; the
    default), tcp://host:port (of rank 0) or file:///path; or a ``store`` is given. The processes must know a
    common secret (see docs/distributed.md). Waiting for another rank longer than ``timeout`` (a timedelta, 30 minutes)
    is a RuntimeError. One process meets nobody: rank 0 and world_size 1 are enough. Raises ValueError for an unknown
    backend, missing variables and when called twice, AssertionError for a store without rank and world_size,
    RuntimeError where the others don't come.
    Source: https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.init_process_group
    """
    if is_initialized():
        raise ValueError("trying to initialize the default process group twice!")
    if store is not None and init_method is not None:
        raise AssertionError("Cannot specify both init_method and store.")
    timeout = _checked_timeout(timeout, default_pg_timeout)
    _backend_name(backend, 1)
    if store is not None:
        if not isinstance(store, Store):
            raise TypeError(f"init_process_group: store must be a Store, but got {type(store).__name__}")
        if world_size <= 0:
            raise AssertionError("world_size must be positive if using store")
        if rank < 0:
            raise AssertionError("rank must be non-negative if using store")
    if store is not None and rank >= world_size:
        raise ValueError(f"distributed: rank must be in 0 to {world_size - 1}, but got {rank}")
    if store is None:
        rank, world_size = who(init_method, rank, world_size)
    name = _backend_name(backend, world_size)
    mesh = None
    if world_size > 1:
        if store is None:
            store = meet(init_method, rank, world_size, timeout)
        else:
            store = PrefixStore(name_of_meeting("group"), store)
        mesh = Mesh(store, rank, world_size, timeout)
    _state.update(mesh=mesh, store=store)
    _named.clear()
    GroupMember.WORLD = ProcessGroup(mesh, range(world_size), rank, timeout, group_name or "world", name)
    _groups.append(GroupMember.WORLD)


def destroy_process_group(group=None):
    """End a group; the default one (None) ends all, and the connections."""
    group = member(group)
    if group is GroupMember.NON_GROUP_MEMBER:
        return
    if group is not GroupMember.WORLD:
        group.end()
        _groups.remove(group)
        return
    for each in _groups:
        each.end()
    _groups.clear()
    mesh, store = _state["mesh"], _state["store"]
    _state.update(mesh=None, store=None)
    GroupMember.WORLD = None
    if mesh is not None:
        mesh.close()
        store.close()


# ---------------------------------------------------------------- asking
def member(group=None):
    """Return a group, the default one for None, or NON_GROUP_MEMBER; ValueError where there is none."""
    if not is_initialized():
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    if group is None:
        return GroupMember.WORLD
    if group == GroupMember.NON_GROUP_MEMBER:
        return group
    if not isinstance(group, ProcessGroup):
        raise TypeError(f"distributed: expected a ProcessGroup, but got {type(group).__name__}")
    if group not in _groups:
        raise ValueError("Invalid process group specified or has been destroyed.")
    return group


def _group_of_this(group):
    """Return a group; ValueError where this process is not in it."""
    found = member(group)
    if found == GroupMember.NON_GROUP_MEMBER:
        raise ValueError(f"Group {group} is not registered, please create group with torch.distributed.new_group API")
    return found


def participant(name, group):
    """Return a group, or None with a warning where this process is not in it: there the collective does nothing."""
    group = member(group)
    if group != GroupMember.NON_GROUP_MEMBER:
        return group
    warnings.warn(f"Running {name} on global rank {get_rank()} which does not belong to the given group.", stacklevel=4)
    return None


def get_rank(group=None):
    """Return this process's rank in a group, -1 outside of it."""
    group = member(group)
    return -1 if group == GroupMember.NON_GROUP_MEMBER else group.rank()


def get_world_size(group=None):
    """Return the number of ranks of a group, -1 outside of it."""
    group = member(group)
    return -1 if group == GroupMember.NON_GROUP_MEMBER else group.size()


def get_backend(group=None):
    """Return the name of the backend; ValueError outside of the group."""
    return _group_of_this(group).name()


def get_node_local_rank(fallback_rank=None):
    """Return LOCAL_RANK of the environment, else the fallback; RuntimeError without both."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is None:
        raise RuntimeError("LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow it.")
    return int(fallback_rank)


def get_group_rank(group, global_rank):
    """Return the rank in a group of a process; ValueError where it is not in it."""
    group = _group_of_this(group)
    if group is GroupMember.WORLD:
        return global_rank
    if global_rank not in group.ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return group.ranks.index(global_rank)


def get_global_rank(group, group_rank):
    """Return the rank among all processes of a rank in a group; ValueError where there is none."""
    group = _group_of_this(group)
    if group is GroupMember.WORLD:
        return group_rank
    if not 0 <= group_rank < group.size():
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return group.ranks[group_rank]


def get_process_group_ranks(group=None):
    """Return the ranks among all processes that are in a group."""
    group = member(group)
    return [] if group == GroupMember.NON_GROUP_MEMBER else list(group.ranks)


# ---------------------------------------------------------------- groups of some ranks
def new_group(
    ranks=None, timeout=None, backend=None, pg_options=None, use_local_synchronization=False, group_desc=None,
    device_id=None, sort_ranks=True,
):  # fmt: skip
    """Return a group of some ranks (None: all), to processes outside of it NON_GROUP_MEMBER.

    All processes call it, in the same order; with ``use_local_synchronization`` only those of the group. ValueError for
    ranks that there are not, or twice.
    Source: https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.new_group
    """
    world = member()
    size = world.size()
    timeout = _checked_timeout(timeout, world._timeout)
    name = world.name() if backend is None else _backend_name(backend, size)
    ranks = list(range(size)) if ranks is None else [int(rank) for rank in ranks]
    if len(ranks) > size:
        raise ValueError(
            "the new group's world size should be less or equal to the world size set by init_process_group"
        )
    for rank in ranks:
        if not 0 <= rank < size:
            raise ValueError(f"Rank {rank} is out of range. Valid ranks are 0 to {size - 1} (world_size={size})")
    if len(set(ranks)) < len(ranks):
        raise ValueError(f"ranks list must not contain duplicate entries, got {ranks}")
    ranks = sorted(ranks) if sort_ranks else ranks
    title = ",".join(map(str, ranks))
    _named[title] += 1
    if world.rank() not in ranks:
        return GroupMember.NON_GROUP_MEMBER
    title = f"{title}/{_named[title]}"
    made = ProcessGroup(world._mesh, ranks, ranks.index(world.rank()), timeout, title, name)
    made.group_desc = group_desc or title
    _groups.append(made)
    return made


def split_group(parent_pg=None, split_ranks=None, timeout=None, pg_options=None, group_desc=None, **options):
    """Return the group of this process's list in ``split_ranks``, lists of ranks in the parent; None without one."""
    if not split_ranks:
        raise ValueError("split_ranks cannot be None or empty")
    parent = _group_of_this(parent_pg)
    mine = None
    for ranks in split_ranks:
        if not ranks:
            raise ValueError("the split group cannot be empty")
        if len(ranks) > parent.size():
            raise ValueError(
                "the split group's size should be less or equal to the world_size set by init_process_group"
            )
        if len(set(ranks)) < len(ranks):
            raise ValueError("the split group cannot have duplicate ranks")
        if parent.rank() in ranks:
            mine = sorted(ranks)
    if mine is None:
        return None
    ranks = [get_global_rank(parent, rank) for rank in mine]
    return new_group(ranks, timeout, use_local_synchronization=True, group_desc=group_desc, **options)


def new_subgroups_by_enumeration(ranks_per_subgroup_list, timeout=None, backend=None, pg_options=None, group_desc=None):
    """Return the group this process is in, and the list of all: one per list of ranks, which may not overlap."""
    if not ranks_per_subgroup_list:
        raise ValueError("The arg 'ranks_per_subgroup_list' cannot be empty")
    seen, subgroups, mine = {}, [], None
    for ranks in ranks_per_subgroup_list:
        for rank in ranks:
            if rank in seen:
                raise ValueError(f"Rank {rank} has appeared in both subgroup {seen[rank]} and {ranks}")
            seen[rank] = ranks
    for ranks in ranks_per_subgroup_list:
        subgroups.append(new_group(ranks, timeout, backend, pg_options, group_desc=group_desc))
        if get_rank() in ranks:
            mine = subgroups[-1]
    return mine, subgroups


def new_subgroups(group_size=None, group=None, timeout=None, backend=None, pg_options=None, group_desc=None):
    """Return the group this process is in, and the list of all: consecutive ranks, group_size in each."""
    if group_size is None:
        raise ValueError(
            "Default group size only takes effect when CUDA is available. If your subgroup using a backend that does "
            "not depend on CUDA, please pass in 'group_size' correctly."
        )
    if group_size <= 0:
        raise ValueError(f"The arg 'group_size' ({group_size}) must be positive")
    ranks = get_process_group_ranks(group)
    if len(ranks) < group_size:
        raise ValueError(f"The arg 'group_size' ({group_size}) must not exceed the world size ({len(ranks)})")
    if len(ranks) % group_size:
        raise ValueError(f"The world size ({len(ranks)}) must be divisible by 'group_size={group_size}'")
    parts = [ranks[at : at + group_size] for at in range(0, len(ranks), group_size)]
    return new_subgroups_by_enumeration(parts, timeout, backend, pg_options, group_desc)
