"""Collectives of tensors.

Tensors travel as raw bytes. What several ranks give is joined in the order of the ranks, by one rank per part, so that
all ranks have the same bits. Tensors on GPUs are exchanged through the CPU's memory.
Source: https://docs.pytorch.org/docs/stable/distributed.html#collective-functions
"""

from minigrad.autograd import no_grad
from minigrad.backend import np
from minigrad.backend.devices import to_numpy
from minigrad.distributed.errors import DistBackendError
from minigrad.distributed.process_group import ReduceOp, get_group_rank, participant
from minigrad.tensor import Tensor, wrap

_SMALL = 1 << 14  # bytes up to which all ranks send all to all, and each joins them for itself


# ---------------------------------------------------------------- checks
def check_tensors(**values):
    """TypeError for what is no tensor, or by the parameter's name no list of tensors; ValueError for several dtypes."""
    tensors = []
    for name, value in values.items():
        is_list = name.endswith(("list", "tensors"))
        if is_list and isinstance(value, (list, tuple)) and all(isinstance(each, Tensor) for each in value):
            tensors += value
        elif not is_list and isinstance(value, Tensor):
            tensors.append(value)
        else:
            raise TypeError(
                f"Invalid function argument. Expected parameter `{name}` of type "
                f"{'List[torch.Tensor]' if is_list else 'torch.Tensor'} but got {type(value)} instead."
            )
    for tensor in tensors:
        if tensor.dtype != tensors[0].dtype:
            raise ValueError(
                f"Invalid usage of tensors with different dtypesFound {tensors[0].dtype} and  {tensor.dtype}"
            )


def begin(name, group, **values):
    """Check a collective's tensors and return its group; outside of it None, with a warning."""
    check_tensors(**values)
    return participant(name, group)


def _check_sizes(values, name, size, shape=None):
    """RuntimeError where a list has not one tensor, of the shape, for each rank."""
    if len(values) != size:
        raise RuntimeError(f"invalid {name}: one tensor for each rank (expected length {size}, got {len(values)})")
    for index, value in enumerate(values):
        if shape is not None and tuple(value.shape) != tuple(shape):
            raise RuntimeError(
                f"invalid tensor size in {name} at index {index} (expected {tuple(shape)}, got {tuple(value.shape)})"
            )


def rank_in(group, rank, group_rank, name, default=None):
    """Return the rank in the group that a rank of all processes, or one in the group, names; RuntimeError for none."""
    if rank is not None and group_rank is not None:
        raise ValueError("Can't specify both group_rank and global_rank")
    if rank is None and group_rank is None:
        if default is None:
            raise ValueError("Must specify global_rank or group_rank")
        group_rank = default
    if group_rank is None:
        group_rank = get_group_rank(group, rank)
    if not isinstance(group_rank, int):
        raise TypeError(f"{name}: a rank must be an int, but got {type(group_rank).__name__}")
    if not 0 <= group_rank < group.size():
        raise RuntimeError(f"{name}: invalid root rank: {group_rank} in a group of ranks 0 to {group.size() - 1}")
    return group_rank


def _check_reduction(op, tensor):
    if not isinstance(op, ReduceOp):
        raise TypeError(f"distributed: op must be a ReduceOp, but got {type(op).__name__}")
    if tensor.is_complex() and op not in (ReduceOp.SUM, ReduceOp.AVG):
        raise ValueError(f"all_reduce does not support RedOpType.{op.name} on complex tensors")
    if op in (ReduceOp.BAND, ReduceOp.BOR, ReduceOp.BXOR) and tensor.is_floating_point():
        raise RuntimeError(f"Cannot use ReduceOp.{op.name} with non-integral dtype")
    if op is ReduceOp.AVG and not tensor.is_floating_point() and not tensor.is_complex():
        raise RuntimeError(f"Cannot use ReduceOp.AVG with integral dtype {tensor.dtype}")


# ---------------------------------------------------------------- arrays
def host(tensor):
    """Return a tensor's values as a contiguous NumPy array, its own memory where possible."""
    array = to_numpy(tensor.array)
    return array if array.flags.c_contiguous else array.copy()


def write(tensor, array):
    """Write values into a tensor, unrecorded."""
    with no_grad():
        tensor.copy_(wrap(array.reshape(tensor.shape)))


_JOIN = {
    ReduceOp.SUM: np.add, ReduceOp.AVG: np.add, ReduceOp.PRODUCT: np.multiply, ReduceOp.MIN: np.minimum,
    ReduceOp.MAX: np.maximum, ReduceOp.BAND: np.bitwise_and, ReduceOp.BOR: np.bitwise_or,
    ReduceOp.BXOR: np.bitwise_xor,
}  # fmt: skip


def _join(op, arrays, count):
    """Return the reduction of the arrays of all ranks, in their order; halves are summed up in float32."""
    total = None
    for array in arrays:
        if total is None:
            dtype = array.dtype
            half = dtype.itemsize == 2 and dtype.kind not in "iub"
            total = array.astype(np.float32) if half else array.copy()
        else:
            _JOIN[op](total, array.astype(total.dtype, copy=False), out=total)
    if op is ReduceOp.AVG:
        total /= count
    return total.astype(dtype, copy=False)


def in_order(exchange, own, receive):
    """Give the arrays of all ranks, in their order."""
    for rank in range(exchange.size):
        yield own if rank == exchange.rank else receive(rank)


# ---------------------------------------------------------------- the collectives
def _all_reduce_flat(exchange, flat, op):
    """Return the reduction of flat arrays of all ranks."""
    size = exchange.size
    if flat.nbytes <= _SMALL:
        for rank in exchange.others():
            exchange.send(rank, flat)
        return _join(
            op, in_order(exchange, flat, lambda rank: exchange.receive(rank).array(flat.dtype, flat.shape)), size
        )
    parts = np.array_split(flat, size)
    for rank in exchange.others():
        exchange.send(rank, parts[rank])
    mine = parts[exchange.rank]
    mine = _join(op, in_order(exchange, mine, lambda rank: exchange.receive(rank).array(flat.dtype, mine.shape)), size)
    for rank in exchange.others():
        exchange.send(rank, mine)
    result = [
        mine if rank == exchange.rank else exchange.receive(rank).array(flat.dtype, parts[rank].shape)
        for rank in range(size)
    ]
    return np.concatenate(result)


def all_reduce(tensor, op=ReduceOp.SUM, group=None, async_op=False):
    """Reduce over all ranks, in place, to the same bits on each.

    Source: https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.all_reduce
    """
    group = begin("all_reduce", group, tensor=tensor)
    if group is None:
        return None
    _check_reduction(op, tensor)

    def step(exchange):
        if exchange.size > 1:
            write(tensor, _all_reduce_flat(exchange, host(tensor).reshape(-1), op))

    return group.run("all_reduce", step, async_op, [tensor])


def all_reduce_coalesced(tensors, op=ReduceOp.SUM, group=None, async_op=False):
    """Reduce each of several tensors over all ranks, in place."""
    check_tensors(tensors=tensors)
    works = [all_reduce(tensor, op, group, async_op) for tensor in tensors]
    return works[-1] if works else None


def _tree(exchange, root):
    """Return this rank's parent and children in a binomial tree from a root: as in PyTorch's and MPI's broadcasts."""
    size = exchange.size
    place = (exchange.rank - root) % size
    parent, children, step = None, [], 1
    while step < size:
        if place & step:
            parent = (place - step + root) % size
            break
        step <<= 1
    step >>= 1
    while step:
        if place + step < size:
            children.append((place + step + root) % size)
        step >>= 1
    return parent, children


def broadcast(tensor, src=None, group=None, async_op=False, group_src=None):
    """Write the tensor of rank ``src`` into those of all ranks."""
    group = begin("broadcast", group, tensor=tensor)
    if group is None:
        return None
    root = rank_in(group, src, group_src, "broadcast")

    def step(exchange):
        parent, children = _tree(exchange, root)
        array = host(tensor)
        if parent is not None:
            array = exchange.receive(parent).array(array.dtype, array.shape)
        for child in children:
            exchange.send(child, array)
        if parent is not None:
            write(tensor, array)

    return group.run("broadcast", step, async_op, [tensor])


def reduce(tensor, dst=None, op=ReduceOp.SUM, group=None, async_op=False, group_dst=None):
    """Reduce over all ranks into the tensor of rank ``dst``; those of the others stay."""
    group = begin("reduce", group, tensor=tensor)
    if group is None:
        return None
    root = rank_in(group, dst, group_dst, "reduce")
    _check_reduction(op, tensor)

    def step(exchange):
        array = host(tensor)
        if exchange.rank != root:
            exchange.send(root, array)
        elif exchange.size > 1:
            arrays = in_order(exchange, array, lambda rank: exchange.receive(rank).array(array.dtype, array.shape))
            write(tensor, _join(op, arrays, exchange.size))

    return group.run("reduce", step, async_op, [tensor])


def _exchange_parts(exchange, parts, shapes):
    """Send part r to rank r, and return what the ranks send to this one, of these shapes, in their order."""
    for rank in exchange.others():
        exchange.send(rank, parts[rank])
    own, dtype = parts[exchange.rank], parts[0].dtype
    return list(in_order(exchange, own, lambda rank: exchange.receive(rank).array(dtype, shapes[rank])))


def _share_all(exchange, array):
    """Return the arrays of all ranks, of one shape and dtype, in their order."""
    return _exchange_parts(exchange, [array] * exchange.size, [array.shape] * exchange.size)


def all_gather(tensor_list, tensor, group=None, async_op=False):
    """Write the tensors of all ranks into the list's, one for each rank."""
    group = begin("all_gather", group, tensor_list=tensor_list, tensor=tensor)
    if group is None:
        return None
    _check_sizes(tensor_list, "tensor_list", group.size(), tensor.shape)

    def step(exchange):
        for target, array in zip(tensor_list, _share_all(exchange, host(tensor)), strict=True):
            write(target, array)

    return group.run("all_gather", step, async_op, tensor_list)


def all_gather_into_tensor(output_tensor, input_tensor, group=None, async_op=False):
    """Write the tensors of all ranks, one after another along the first dimension or stacked, into one tensor."""
    group = begin("all_gather_into_tensor", group, output_tensor=output_tensor, input_tensor=input_tensor)
    if group is None:
        return None
    _check_multiple("all_gather_into_tensor", output_tensor, input_tensor, group.size())

    def step(exchange):
        write(output_tensor, np.stack(_share_all(exchange, host(input_tensor))))

    return group.run("all_gather", step, async_op, [output_tensor])


def _check_multiple(name, whole, part, size):
    if whole.numel() != part.numel() * size:
        raise RuntimeError(
            f"{name}: the tensor of all ranks must have {size} times the elements of one rank's, "
            f"{part.numel() * size}, but its shape is {tuple(whole.shape)}"
        )


def gather(tensor, gather_list=None, dst=None, group=None, async_op=False, group_dst=None):
    """Write the tensors of all ranks into the list that rank ``dst``, by default 0, gives."""
    group = begin("gather", group, tensor=tensor, gather_list=gather_list or [])
    if group is None:
        return None
    root = rank_in(group, dst, group_dst, "gather", 0)
    check_given("gather_list", gather_list, group.rank() == root, "destination")
    if group.rank() == root:
        _check_sizes(gather_list, "gather_list", group.size(), tensor.shape)

    def step(exchange):
        array = host(tensor)
        if exchange.rank != root:
            exchange.send(root, array)
            return
        arrays = in_order(exchange, array, lambda rank: exchange.receive(rank).array(array.dtype, array.shape))
        for target, array in zip(gather_list, list(arrays), strict=True):
            write(target, array)

    return group.run("gather", step, async_op, gather_list or [])


def check_given(name, value, wanted, which):
    """ValueError for a list that the one rank must, and the others must not give."""
    if wanted and not value:
        raise ValueError(f"Argument ``{name}`` must be specified on {which} rank.")
    if not wanted and value:
        raise ValueError(f"Argument ``{name}`` must NOT be specified on non-{which} ranks.")


def scatter(tensor, scatter_list=None, src=None, group=None, async_op=False, group_src=None):
    """Write into each rank's tensor its one of the list that rank ``src``, by default 0, gives."""
    group = begin("scatter", group, tensor=tensor, scatter_list=scatter_list or [])
    if group is None:
        return None
    root = rank_in(group, src, group_src, "scatter", 0)
    check_given("scatter_list", scatter_list, group.rank() == root, "source")
    if group.rank() == root:
        _check_sizes(scatter_list, "scatter_list", group.size(), tensor.shape)

    def step(exchange):
        if exchange.rank != root:
            write(tensor, exchange.receive(root).array(host(tensor).dtype, tuple(tensor.shape)))
            return
        for rank in exchange.others():
            exchange.send(rank, host(scatter_list[rank]))
        write(tensor, host(scatter_list[root]))

    return group.run("scatter", step, async_op, [tensor])


def reduce_scatter(output, input_list, op=ReduceOp.SUM, group=None, async_op=False):
    """Reduce lists of a tensor for each rank over all ranks; each rank gets its one."""
    group = begin("reduce_scatter", group, output=output, input_list=input_list)
    if group is None:
        return None
    _check_sizes(input_list, "input_list", group.size(), output.shape)
    _check_reduction(op, output)

    def step(exchange):
        parts = [host(part) for part in input_list]
        arrays = _exchange_parts(exchange, parts, [parts[exchange.rank].shape] * exchange.size)
        write(output, _join(op, arrays, exchange.size))

    return group.run("reduce_scatter", step, async_op, [output])


def reduce_scatter_tensor(output, input, op=ReduceOp.SUM, group=None, async_op=False):  # noqa: A002
    """Reduce a tensor over all ranks; each rank gets its part of the first dimension, or its one of those stacked."""
    group = begin("reduce_scatter_tensor", group, output=output, input=input)
    if group is None:
        return None
    _check_multiple("reduce_scatter_tensor", input, output, group.size())
    _check_reduction(op, output)

    def step(exchange):
        parts = np.split(host(input).reshape(-1), exchange.size)
        arrays = _exchange_parts(exchange, parts, [parts[0].shape] * exchange.size)
        write(output, _join(op, arrays, exchange.size))

    return group.run("reduce_scatter", step, async_op, [output])


def all_to_all(output_tensor_list, input_tensor_list, group=None, async_op=False):
    """Send the list's tensor r to rank r, and write what rank r sends into the other list's tensor r."""
    group = begin("all_to_all", group, output_tensor_list=output_tensor_list, input_tensor_list=input_tensor_list)
    if group is None:
        return None
    _check_sizes(output_tensor_list, "output_tensor_list", group.size())
    _check_sizes(input_tensor_list, "input_tensor_list", group.size())
    own = group.rank()
    if output_tensor_list[own].shape != input_tensor_list[own].shape:
        raise RuntimeError("all_to_all: the tensors from this rank to itself must have one shape")

    def step(exchange):
        shapes = [tuple(target.shape) for target in output_tensor_list]
        arrays = _exchange_parts(exchange, [host(tensor).copy() for tensor in input_tensor_list], shapes)
        for target, array in zip(output_tensor_list, arrays, strict=True):
            write(target, array)

    return group.run("all_to_all", step, async_op, output_tensor_list)


def _splits(sizes, tensor, size, name):
    """Return where the parts for each rank end in the first dimension of a tensor."""
    length = tensor.shape[0] if tensor.ndim else 1
    if not sizes:
        if length % size:
            raise RuntimeError(f"all_to_all_single: {name}'s dim 0 does not divide equally across group size")
        sizes = [length // size] * size
    if len(sizes) != size:
        raise RuntimeError(f"all_to_all_single: Number of tensor splits not equal to group size, for {name}")
    if sum(sizes) != length:
        raise RuntimeError(f"all_to_all_single: Split sizes doesn't match total dim 0 size, for {name}")
    return list(sizes)


def all_to_all_single(output, input, output_split_sizes=None, input_split_sizes=None, group=None, async_op=False):  # noqa: A002
    """Send parts of a tensor's first dimension, equal ones or of the sizes given, one to each rank."""
    group = begin("all_to_all_single", group, output=output, input=input)
    if group is None:
        return None
    size = group.size()
    theirs = _splits(output_split_sizes, output, size, "output")
    mine = _splits(input_split_sizes, input, size, "input")
    if theirs[group.rank()] != mine[group.rank()] or input.shape[1:] != output.shape[1:]:
        raise RuntimeError("all_to_all_single: the parts from this rank to itself must have one shape")

    def step(exchange):
        array = host(input).copy()
        parts = np.split(array, np.cumsum(mine)[:-1].tolist())
        shapes = [(length, *array.shape[1:]) for length in theirs]
        write(output, np.concatenate(_exchange_parts(exchange, parts, shapes)))

    return group.run("all_to_all", step, async_op, [output])


def barrier(group=None, async_op=False, device_ids=None):
    """Wait for all ranks."""
    group = begin("barrier", group)
    if group is None:
        return None

    def step(exchange):
        for rank in exchange.others():
            exchange.send(rank, b"")
        for rank in exchange.others():
            exchange.receive(rank)

    return group.run("barrier", step, async_op, [])


def monitored_barrier(group=None, timeout=None, wait_all_ranks=False):
    """Wait for all ranks; when some don't come within ``timeout`` (a timedelta), rank 0's RuntimeError names the first.

    With ``wait_all_ranks`` it names all. The group can't be used after that.
    Source: https://docs.pytorch.org/docs/stable/distributed.html#torch.distributed.monitored_barrier
    """
    group = begin("monitored_barrier", group)
    if group is None:
        return
    seconds = group.seconds if timeout is None else timeout.total_seconds()

    def step(exchange):
        if exchange.rank:
            exchange.send(0, b"")
            exchange.receive(0, seconds * 2 if wait_all_ranks else seconds)
            return
        _hear_all(exchange, seconds, wait_all_ranks)
        for rank in exchange.others():
            exchange.send(rank, b"")

    group.run("monitored_barrier", step, False, [])


def _hear_all(exchange, seconds, wait_all_ranks):
    missing = []
    for rank in range(1, exchange.size):
        try:
            exchange.receive(rank, 0.0 if missing else seconds)
        except RuntimeError:
            missing.append(rank)
            if not wait_all_ranks:
                break
    if missing:
        names = ", ".join(map(str, missing))
        raise DistBackendError(
            f"{'Ranks' if wait_all_ranks else 'Rank'} {names} failed to pass monitoredBarrier in "
            f"{round(seconds * 1000)} ms"
        )


all_gather_single, reduce_scatter_single = all_gather_into_tensor, reduce_scatter_tensor
