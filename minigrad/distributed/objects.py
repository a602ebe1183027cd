"""Collectives of Python objects, which are pickled: only processes that know the secret can send any."""

import pickle

from minigrad.backend import np
from minigrad.distributed.collectives import begin, check_given, in_order, rank_in
from minigrad.distributed.errors import DistBackendError
from minigrad.distributed.point import irecv, isend
from minigrad.distributed.process_group import get_group_rank
from minigrad.tensor import wrap


def _checked_list(values, name, size):
    if not isinstance(values, list) or len(values) < size:
        raise RuntimeError(f"{name} must be a list of {size} elements, one for each rank, but got {values!r}")


def all_gather_object(object_list, obj, group=None):
    """Put the objects of all ranks, pickled and unpickled, into a list.

    Source: https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.all_gather_object
    """
    group = begin("all_gather_object", group)
    if group is None:
        return
    _checked_list(object_list, "object_list", group.size())
    own = pickle.dumps(obj)

    def step(exchange):
        for rank in exchange.others():
            exchange.send(rank, own)
        for rank, data in enumerate(in_order(exchange, own, lambda rank: exchange.receive(rank).body)):
            object_list[rank] = pickle.loads(data)

    group.run("gather_objects", step)


def gather_object(obj, object_gather_list=None, dst=None, group=None, group_dst=None):
    """Put the objects of all ranks into the list that rank ``dst``, by default 0, gives."""
    group = begin("gather_object", group)
    if group is None:
        return
    root = rank_in(group, dst, group_dst, "gather_object", 0)
    check_given("object_gather_list", object_gather_list, group.rank() == root, "destination")
    if group.rank() == root:
        _checked_list(object_gather_list, "object_gather_list", group.size())
    own = pickle.dumps(obj)

    def step(exchange):
        if exchange.rank != root:
            exchange.send(root, own)
            return
        for rank, data in enumerate(in_order(exchange, own, lambda rank: exchange.receive(rank).body)):
            object_gather_list[rank] = pickle.loads(data)

    group.run("gather_objects", step)


def broadcast_object_list(object_list, src=None, group=None, device=None, group_src=None):
    """Put the objects of rank ``src``'s list, by default rank 0's, into the lists of all ranks."""
    group = begin("broadcast_object_list", group)
    if group is None:
        return
    root = rank_in(group, src, group_src, "broadcast_object_list", 0)
    if not isinstance(object_list, list):
        raise TypeError(f"broadcast_object_list: expected a list, but got {type(object_list).__name__}")
    own = pickle.dumps(object_list) if group.rank() == root else None

    def step(exchange):
        if exchange.rank == root:
            for rank in exchange.others():
                exchange.send(rank, own)
            return
        values = pickle.loads(exchange.receive(root).body)
        if len(values) != len(object_list):
            raise DistBackendError(
                f"broadcast_object_list: {len(values)} objects came, but the list has {len(object_list)}"
            )
        object_list[:] = values

    group.run("broadcast_objects", step)


def scatter_object_list(
    scatter_object_output_list, scatter_object_input_list=None, src=None, group=None, group_src=None
):
    """Put into each rank's list, at 0, its one of the objects that rank ``src``, by default 0, gives."""
    group = begin("scatter_object_list", group)
    if group is None:
        return
    root = rank_in(group, src, group_src, "scatter_object_list", 0)
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError("Expected argument scatter_object_output_list to be a list of size at least 1.")
    if group.rank() == root:
        if scatter_object_input_list is None:
            raise ValueError("source rank must provide non-None scatter_object_input_list")
        if len(scatter_object_input_list) != group.size():
            raise RuntimeError(
                f"scatter_object_list: expected {group.size()} objects, one for each rank, but got "
                f"{len(scatter_object_input_list)}"
            )
        packed = [pickle.dumps(value) for value in scatter_object_input_list]

    def step(exchange):
        if exchange.rank != root:
            scatter_object_output_list[0] = pickle.loads(exchange.receive(root).body)
            return
        for rank in exchange.others():
            exchange.send(rank, packed[rank])
        scatter_object_output_list[0] = pickle.loads(packed[root])

    group.run("scatter_objects", step)


def send_object_list(object_list, dst=None, group=None, device=None, group_dst=None, use_batch=False):
    """Send the objects of a list to rank ``dst``, whose recv_object_list() takes them."""
    data = np.frombuffer(pickle.dumps(object_list), np.uint8).copy()
    works = [
        isend(wrap(array), dst, group, _OBJECT_TAG, group_dst) for array in (np.array([data.size], np.int64), data)
    ]
    for work in works:
        if work is not None:
            work.wait()


def recv_object_list(object_list, src=None, group=None, device=None, group_src=None, use_batch=False):
    """Receive objects into a list from rank ``src``, or from any, and return the sender's rank."""
    size = wrap(np.zeros(1, np.int64))
    work = irecv(size, src, group, _OBJECT_TAG, group_src)
    if work is None:
        return -1
    work.wait()
    source = work._group.ranks[work.source_rank()]
    if not 0 <= int(size[0]) < 1 << 40:
        raise DistBackendError(f"recv_object_list: {int(size[0])} bytes are announced")
    data = wrap(np.zeros(int(size[0]), np.uint8))
    irecv(data, None, work._group, _OBJECT_TAG, get_group_rank(work._group, source)).wait()
    values = pickle.loads(data.array)
    if len(values) != len(object_list):
        raise DistBackendError(f"recv_object_list: {len(values)} objects came, but the list has {len(object_list)}")
    object_list[:] = values
    return source


_OBJECT_TAG = 1 << 62  # which no tensor has
