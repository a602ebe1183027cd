"""torch.distributed for the one process there is: a group of one, whose collectives are what they are for one rank.

Programs written for several processes run with ``world_size=1``, as started by hand or with RANK=0 and WORLD_SIZE=1 in
the environment. More processes raise NotImplementedError, as do send() and recv().
Source: https://docs.pytorch.org/docs/stable/distributed.html
"""

import copy
import enum
import os
from datetime import timedelta

from minigrad.absent import getter
from minigrad.distributed.errors import DistBackendError, DistError, DistNetworkError, DistStoreError, QueueEmptyError
from minigrad.distributed.store import FileStore, HashStore, PrefixStore, Store, TCPStore
from minigrad.tensor import Tensor
from minigrad.variable import MODE

_BACKENDS = ("gloo", "nccl", "mpi", "ucc", "cpu:gloo", "cuda:nccl", "cpu:gloo,cuda:nccl")
default_pg_timeout = timedelta(minutes=30)


class ReduceOp(enum.Enum):
    """How a reduction joins the tensors of all ranks; of one rank, each gives that rank's."""

    SUM, PRODUCT, MIN, MAX, BAND, BOR, BXOR, AVG = range(8)


class ProcessGroup:
    """The group of the one process."""

    def __init__(self, name):
        self.group_name = name

    def rank(self):
        """Return 0."""
        return 0

    def size(self):
        """Return 1."""
        return 1


class Backend(str):
    """Names of backends as PyTorch has them."""

    UNDEFINED, GLOO, NCCL, UCC, MPI = "undefined", "gloo", "nccl", "ucc", "mpi"


class Work:
    """What a collective with async_op=True returns: it is done already."""

    def wait(self, timeout=None):
        """Return True."""
        return True

    def is_completed(self):
        """Return True."""
        return True

    is_success = is_completed


class GroupMember:
    """The default group, and what new_group() returns to processes outside of the new group."""

    WORLD = None
    NON_GROUP_MEMBER = -100


group = GroupMember
_state = {"backend": None}


def is_available():
    """Return True: a group of one process can be made."""
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
    """Return whether the program was started by torchrun."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _from_environment(name):
    if name not in os.environ:
        raise ValueError(
            "Error initializing torch.distributed using env:// rendezvous: "
            f"environment variable {name} expected, but not set"
        )
    return os.environ[name]


def _one(world_size, rank):
    """Refuse more than one process."""
    if world_size != 1:
        raise NotImplementedError(
            f"distributed: world_size is {world_size}, but minigrad runs in one process; start one (world_size=1)"
        )
    if rank != 0:
        raise ValueError(f"distributed: rank must be 0 in a group of one process, but got {rank}")


def init_process_group(
    backend=None, init_method=None, timeout=None, world_size=-1, rank=-1, store=None, group_name="", pg_options=None,
    device_id=None,
):  # fmt: skip
    """Make the group of this one process, given by world_size=1 and rank=0 or by WORLD_SIZE and RANK (``env://``).

    Nothing is connected to, so the rest chooses nothing. Raises NotImplementedError for more processes, ValueError for
    an unknown backend, for missing environment variables and when called twice, RuntimeError for nccl without a GPU.
    Source: https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.init_process_group
    """
    if is_initialized():
        raise ValueError("trying to initialize the default process group twice!")
    name = "gloo" if backend is None else str(backend).lower()
    if name not in _BACKENDS:
        raise ValueError(f"Unknown backend {backend!r}: expected one of {', '.join(_BACKENDS[:4])}")
    if timeout is not None and not isinstance(timeout, timedelta):
        raise TypeError(f"Expected timeout argument to be of type datetime.timedelta, got {timeout}")
    if store is None and init_method in (None, "env://"):
        rank = int(_from_environment("RANK")) if rank < 0 else rank
        world_size = int(_from_environment("WORLD_SIZE")) if world_size < 0 else world_size
    elif world_size < 0 or rank < 0:
        raise ValueError("init_process_group: rank and world_size are needed with a store or an init_method")
    _one(world_size, rank)
    if name == "mpi":
        raise RuntimeError("Distributed package doesn't have MPI built in.")
    if name == "nccl" and not is_nccl_available():
        raise RuntimeError("Distributed package doesn't have NCCL built in")
    GroupMember.WORLD = ProcessGroup(group_name)
    _state["backend"] = name


def destroy_process_group(group=None):
    """Forget the group."""
    _member(group)
    if group is None or group is GroupMember.WORLD:
        GroupMember.WORLD = None


def _member(group=None):
    """Return whether this process is in a group; ValueError where there is none."""
    if not is_initialized():
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
    return group is not GroupMember.NON_GROUP_MEMBER


def get_rank(group=None):
    """Return 0, or -1 outside of the group."""
    return 0 if _member(group) else -1


def get_world_size(group=None):
    """Return 1, or -1 outside of the group."""
    return 1 if _member(group) else -1


def get_backend(group=None):
    """Return the name of the backend."""
    _member(group)
    return _state["backend"]


def get_node_local_rank(fallback_rank=None):
    """Return LOCAL_RANK of the environment, else the fallback; RuntimeError without both."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is None:
        raise RuntimeError("LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow it.")
    return int(fallback_rank)


def get_group_rank(group, global_rank):
    """Return 0, the rank in a group of the only process."""
    _only(global_rank)
    return 0


get_global_rank = get_group_rank


def get_process_group_ranks(group=None):
    """Return [0]."""
    return [0] if _member(group) else []


def new_group(ranks=None, timeout=None, backend=None, pg_options=None, **options):
    """Return a group of the process, or NON_GROUP_MEMBER for one without it."""
    _member()
    if ranks is not None and any(rank != 0 for rank in ranks):
        raise ValueError("the new group's rank should be within the world_size set by init_process_group")
    return ProcessGroup("new") if ranks is None or len(ranks) else GroupMember.NON_GROUP_MEMBER


def _only(rank):
    """Check that a rank names the one process."""
    if rank not in (0, None):
        raise ValueError(f"distributed: there is only rank 0, but got {rank}")


def _done(async_op):
    return Work() if async_op else None


def _tensor(value, name):
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor, got {type(value)}"
        )


def _copy(target, source):
    """Write one tensor into another of the same size, unrecorded."""
    _tensor(target, "output")
    _tensor(source, "input")
    if target.numel() != source.numel():
        raise ValueError(f"distributed: sizes {tuple(target.shape)} and {tuple(source.shape)} differ")
    before, MODE.grad = MODE.grad, False
    try:
        target.copy_(source.reshape(target.shape))
    finally:
        MODE.grad = before


def _single(tensors, name):
    """Check that a list has one tensor, for the one rank."""
    if tensors is None or len(tensors) != 1:
        raise ValueError(
            f"distributed: {name} must hold one tensor for the one rank, but got {tensors and len(tensors)}"
        )


def all_reduce(tensor, op=ReduceOp.SUM, group=None, async_op=False):
    """Reduce over all ranks in place: of one rank, the tensor stays as it is."""
    _tensor(tensor, "tensor")
    _member(group)
    return _done(async_op)


def broadcast(tensor, src=None, group=None, async_op=False, group_src=None):
    """Send the tensor of rank ``src``, 0, to all: it stays as it is."""
    _only(src)
    _only(group_src)
    return all_reduce(tensor, group=group, async_op=async_op)


def reduce(tensor, dst=None, op=ReduceOp.SUM, group=None, async_op=False, group_dst=None):
    """Reduce over all ranks into that of ``dst``, 0: the tensor stays as it is."""
    return broadcast(tensor, dst, group, async_op, group_dst)


def all_gather(tensor_list, tensor, group=None, async_op=False):
    """Write the tensors of all ranks into the list's: one."""
    _member(group)
    _single(tensor_list, "tensor_list")
    _copy(tensor_list[0], tensor)
    return _done(async_op)


def all_gather_into_tensor(output_tensor, input_tensor, group=None, async_op=False):
    """Write the tensors of all ranks, joined, into one tensor."""
    _member(group)
    _copy(output_tensor, input_tensor)
    return _done(async_op)


def gather(tensor, gather_list=None, dst=None, group=None, async_op=False, group_dst=None):
    """Write the tensors of all ranks into the list of rank ``dst``, 0."""
    _only(dst)
    _only(group_dst)
    return all_gather(gather_list, tensor, group, async_op)


def scatter(tensor, scatter_list=None, src=None, group=None, async_op=False, group_src=None):
    """Give each rank one tensor of the list of rank ``src``, 0."""
    _only(src)
    _only(group_src)
    return reduce_scatter(tensor, scatter_list, group=group, async_op=async_op)


def reduce_scatter(output, input_list, op=ReduceOp.SUM, group=None, async_op=False):
    """Reduce lists of tensors over all ranks and give each rank one: of one rank, its own."""
    _member(group)
    _single(input_list, "the list")
    _copy(output, input_list[0])
    return _done(async_op)


def reduce_scatter_tensor(output, input, op=ReduceOp.SUM, group=None, async_op=False):  # noqa: A002
    """Reduce over all ranks and give each rank its part: of one rank, all."""
    return all_gather_into_tensor(output, input, group, async_op)


def all_to_all(output_tensor_list, input_tensor_list, group=None, async_op=False):
    """Exchange one tensor with each rank: with itself."""
    _single(input_tensor_list, "input_tensor_list")
    return all_gather(output_tensor_list, input_tensor_list[0], group, async_op)


def all_to_all_single(output, input, output_split_sizes=None, input_split_sizes=None, group=None, async_op=False):  # noqa: A002
    """Exchange parts of one tensor with each rank: with itself."""
    return all_gather_into_tensor(output, input, group, async_op)


def barrier(group=None, async_op=False, device_ids=None):
    """Wait for all ranks: this one is here."""
    _member(group)
    return _done(async_op)


def monitored_barrier(group=None, timeout=None, wait_all_ranks=False):
    """Wait for all ranks: this one is here."""
    _member(group)


def broadcast_object_list(object_list, src=None, group=None, device=None, group_src=None):
    """Send the objects of rank ``src``, 0, to all: the list stays as it is."""
    _only(src)
    _member(group)


def all_gather_object(object_list, obj, group=None):
    """Put the objects of all ranks into a list: a copy of the one."""
    _member(group)
    _single(object_list, "object_list")
    object_list[0] = copy.deepcopy(obj)


def gather_object(obj, object_gather_list=None, dst=None, group=None, group_dst=None):
    """Put the objects of all ranks into the list of rank ``dst``, 0."""
    _only(dst)
    all_gather_object(object_gather_list, obj, group)


def scatter_object_list(output_list, input_list=None, src=None, group=None, group_src=None):
    """Give each rank one object of the list of rank ``src``, 0."""
    _only(src)
    _single(input_list, "input_list")
    output_list[0] = copy.deepcopy(input_list[0])


def send(tensor, dst=None, group=None, tag=0, group_dst=None):
    """Refuse with NotImplementedError: there is no other process."""
    raise NotImplementedError("distributed: there is no other process to send to or receive from")


recv = isend = irecv = send

__getattr__ = getter(__name__)
