"""Sending tensors from one rank to another."""

from minigrad.distributed import mesh as _mesh
from minigrad.distributed.collectives import begin, check_tensors, host, rank_in, write
from minigrad.distributed.errors import DistBackendError
from minigrad.distributed.process_group import Work, member


def _point(name, tensor, group, rank, group_rank, tag):
    """Check send's and receive's arguments; return the group and the other's rank in it."""
    group = begin(name, group, tensor=tensor)
    if group is None:
        return None, None
    if tag < 0:
        raise RuntimeError(f"{name}: Tag must be nonnegative, but got {tag}")
    other = rank_in(group, rank, group_rank, name)
    if other == group.rank():
        which = "destination" if "send" in name else "source"
        raise ValueError(
            f"Invalid {which} rank: {which} rank should not be the same as the rank of the current process."
        )
    return group, other


def isend(tensor, dst=None, group=None, tag=0, group_dst=None):
    """Send a tensor to rank ``dst`` and return a Work; the tensor may be changed after its wait().

    Source: https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.isend
    """
    group, other = _point("isend", tensor, group, dst, group_dst, tag)
    if group is None:
        return None
    work = Work([tensor])
    parts = _mesh.encode(group._id, _mesh.POINT, tag, 0, host(tensor))
    group._mesh.send_later(group.ranks[other], parts, group.seconds, work._finish)
    return work


def send(tensor, dst=None, group=None, tag=0, group_dst=None):
    """Send a tensor to rank ``dst``, whose recv() takes it."""
    work = isend(tensor, dst, group, tag, group_dst)
    if work is not None:
        work.wait()


class _Receiving(Work):
    """The Work of a receive: the message is written into the tensor when it is there."""

    def __init__(self, group, tensor, sources, tag):
        super().__init__([tensor])
        self._group = group
        self._key = group._id, _mesh.POINT, tag
        dtype, shape = host(tensor).dtype, tuple(tensor.shape)

        def take(post):
            try:
                if post.error is not None:
                    raise DistBackendError(f"[rank {group.rank()}] recv: {post.error}")
                self._source = group.ranks.index(post.message.source)
                write(tensor, post.message.array(dtype, shape))
            except BaseException as error:
                self._finish(error)
            else:
                self._finish()

        self._post = group._mesh.post(*self._key, sources, take)

    def wait(self, timeout=None):
        """Wait until the tensor is received; RuntimeError after the timeout, by default the group's."""
        seconds = self._group.seconds if timeout is None else timeout.total_seconds()
        if not self._done.is_set():
            try:
                self._group._mesh.wait(self._post, self._key, seconds)
            except RuntimeError as error:
                if not self._done.is_set():
                    raise DistBackendError(f"[rank {self._group.rank()}] recv: {error}") from None
        return super().wait()


def irecv(tensor, src=None, group=None, tag=0, group_src=None):
    """Receive a tensor from rank ``src``, or from any, and return a Work; the tensor is there after its wait().

    Source: https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.irecv
    """
    if src is None and group_src is None:
        group = begin("irecv", group, tensor=tensor)
        if group is None:
            return None
        if group.size() == 1:
            raise RuntimeError("irecv: there is no other rank to receive from")
        sources = tuple(rank for rank in group.ranks if rank != group.ranks[group.rank()])
    else:
        group, other = _point("irecv", tensor, group, src, group_src, tag)
        if group is None:
            return None
        sources = (group.ranks[other],)
    return _Receiving(group, tensor, sources, tag)


def recv(tensor, src=None, group=None, tag=0, group_src=None):
    """Receive a tensor from rank ``src``, or from any, and return the sender's rank; -1 outside of the group."""
    work = irecv(tensor, src, group, tag, group_src)
    if work is None:
        return -1
    work.wait()
    return work._group.ranks[work.source_rank()]


class P2POp:
    """A send or a receive for batch_isend_irecv: ``op`` is isend or irecv, ``peer`` the other's rank."""

    def __init__(self, op, tensor, peer=None, group=None, tag=0, group_peer=None):
        if op not in (isend, irecv):
            raise ValueError(
                "Invalid ``op``. Expected ``op`` to be of type ``torch.distributed.isend`` or "
                "``torch.distributed.irecv``."
            )
        check_tensors(tensor=tensor)
        self.op, self.tensor, self.tag = op, tensor, tag
        self.group = member(group)
        self.group_peer = rank_in(self.group, peer, group_peer, "P2POp")
        self.peer = self.group.ranks[self.group_peer]

    def start(self):
        """Begin it and return its Work."""
        return self.op(self.tensor, None, self.group, self.tag, self.group_peer)


def batch_isend_irecv(p2p_op_list):
    """Begin the P2POps of a list, all of one group, and return their Works."""
    if not isinstance(p2p_op_list, list) or not all(isinstance(op, P2POp) for op in p2p_op_list):
        raise ValueError("Invalid ``p2p_op_list``. Each op is expected to to be of type ``torch.distributed.P2POp``.")
    if not p2p_op_list:
        raise IndexError("batch_isend_irecv: the list is empty")
    if any(op.group is not p2p_op_list[0].group for op in p2p_op_list):
        raise ValueError("All ops need to use the same group.")
    return [op.start() for op in p2p_op_list]
