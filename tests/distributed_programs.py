"""Programs of several processes, which minigrad and PyTorch run alike: each returns what its rank has seen.

``ranks`` starts one in new processes and returns the results of all ranks.
"""

import copy
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from datetime import timedelta

LONGEST = 90  # seconds that programs may take
DEATH = 66  # exit status of the rank that dies on purpose


def _library(name):
    if name == "torch":
        import torch

        warnings.simplefilter("ignore")
        return torch
    import minigrad

    warnings.simplefilter("error")
    return minigrad


def _rank(programs, rank, count, library, folder, seconds):
    """Run programs as one rank, and write what each returns into a file."""
    torch = _library(library)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=count, timeout=timedelta(seconds=seconds)
    )
    for program in programs:
        result = globals()[program](torch, rank, count)
        with open(f"{folder}/{program} {rank}", "wb") as file:
            pickle.dump(result, file)
    torch.distributed.destroy_process_group()


def ranks(programs, count, folder, library="minigrad", seconds=30.0):
    """Run programs (names) one after another in ``count`` processes; return {program: results of the ranks}.

    The result of a rank that died is None. AssertionError when a process hangs or fails.
    """
    context = multiprocessing.get_context("spawn")
    programs = programs.split()
    processes = [
        context.Process(target=_rank, args=(programs, rank, count, library, str(folder), seconds))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    deadline = time.monotonic() + LONGEST
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    states = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    assert None not in states, f"of {programs}, ranks hang: {states}"
    assert all(state in (0, DEATH) for state in states), f"of {programs}, ranks fail: {states}"
    return {program: [_read(folder / f"{program} {rank}") for rank in range(count)] for program in programs}


def _read(path):
    return pickle.loads(path.read_bytes()) if path.exists() else None


def of_rank(torch, rank, length=4, dtype=None):
    """The tensor that a rank begins with."""
    values = torch.arange(length) * (rank + 1) + rank
    return values.to(dtype or torch.float32)


REDUCTIONS = {
    "SUM": "float32 float16 float64 int64 int32 uint8 bool complex64", "PRODUCT": "float32 int64 bool",
    "MIN": "float32 int64 bool", "MAX": "float32 float16 int64", "BAND": "int64 uint8 bool", "BOR": "int64 bool",
    "BXOR": "int32 bool", "AVG": "float32 float16 float64",
}  # fmt: skip


def reductions(torch, rank, count):
    """Every reduction of every kind of dtype; big, empty, strided and zero-dimensional tensors."""
    dist, seen = torch.distributed, {}
    for op, dtypes in REDUCTIONS.items():
        for dtype in dtypes.split():
            tensor = of_rank(torch, rank, 5, getattr(torch, dtype))
            dist.all_reduce(tensor, op=getattr(dist.ReduceOp, op))
            seen[op, dtype] = tensor.tolist()
            tensor = of_rank(torch, rank, 5, getattr(torch, dtype))
            dist.reduce(tensor, count - 1, op=getattr(dist.ReduceOp, op))
            seen["reduce", op, dtype] = tensor.tolist() if rank == count - 1 else None
    big = of_rank(torch, rank, 50_001, torch.float64)
    dist.all_reduce(big)
    seen["big"] = big.tolist()
    strided = torch.zeros(4, 3).t()
    strided += rank
    dist.all_reduce(strided)
    seen["strided"] = strided.tolist()
    for name, tensor in {"scalar": torch.tensor(float(rank)), "empty": torch.zeros(0)}.items():
        dist.all_reduce(tensor)
        seen[name] = tensor.tolist()
    parameter = torch.nn.Parameter(of_rank(torch, rank))
    with torch.no_grad():
        dist.all_reduce(parameter)
    seen["parameter"] = parameter.tolist()
    works = [dist.all_reduce(torch.ones(3) * number, async_op=True) for number in range(5)]
    seen["works"] = [(work.wait(), work.is_completed()) for work in works]
    output = torch.zeros(4)
    dist.reduce_scatter(output, [of_rank(torch, rank) + number for number in range(count)])
    seen["reduce_scatter"] = output.tolist()
    dist.reduce_scatter_tensor(output, of_rank(torch, rank, 4 * count))
    seen["reduce_scatter_tensor"] = output.tolist()
    return seen


def exchanges(torch, rank, count):
    """What is broadcast, gathered, scattered and exchanged, tensors and objects, of and to every rank."""
    dist, seen = torch.distributed, {}
    own = of_rank(torch, rank)
    for root in range(count):
        tensor = own.clone()
        dist.broadcast(tensor, root)
        seen["broadcast", root] = tensor.tolist()
        tensors = [torch.zeros(4) for _ in range(count)] if rank == root else None
        dist.gather(own, tensors, dst=root)
        seen["gather", root] = tensors and [tensor.tolist() for tensor in tensors]
        dist.scatter(tensor, [torch.full((4,), float(to)) for to in range(count)] if rank == root else None, src=root)
        seen["scatter", root] = tensor.tolist()
        objects = [rank, {"rank": rank}]
        dist.broadcast_object_list(objects, root)
        seen["broadcast_object_list", root] = objects
        objects = [None]
        dist.scatter_object_list(objects, [("to", to) for to in range(count)] if rank == root else None, root)
        seen["scatter_object_list", root] = objects
        objects = [None] * count if rank == root else None
        dist.gather_object({"rank": rank}, objects, dst=root)
        seen["gather_object", root] = objects
    tensors = [torch.zeros(4) for _ in range(count)]
    dist.all_gather(tensors, own)
    seen["all_gather"] = [tensor.tolist() for tensor in tensors]
    joined = torch.zeros(4 * count)
    dist.all_gather_into_tensor(joined, own)
    seen["all_gather_into_tensor"] = joined.tolist()
    objects = [None] * count
    dist.all_gather_object(objects, [rank, torch.ones(2) * rank])
    seen["all_gather_object"] = [(number, tensor.tolist()) for number, tensor in objects]
    output = torch.zeros(2 * count)
    dist.all_to_all_single(output, of_rank(torch, rank, 2 * count))
    seen["all_to_all_single"] = output.tolist()
    sizes = [number + 1 for number in range(count)]
    output = torch.zeros((rank + 1) * count, 2)
    dist.all_to_all_single(
        output, of_rank(torch, rank, 2 * sum(sizes)).reshape(-1, 2), [rank + 1] * count, sizes
    )
    seen["all_to_all_single", "sizes"] = output.tolist()
    dist.barrier()
    dist.monitored_barrier()
    return seen


def points(torch, rank, count):
    """Sending round a ring, batches, tags, any source, objects."""
    dist, seen = torch.distributed, {}
    following, before = (rank + 1) % count, (rank - 1) % count
    tensor = torch.zeros(4)
    work = dist.isend(of_rank(torch, rank), following)
    seen["ring"] = dist.recv(tensor, before), tensor.tolist()
    work.wait()
    works = dist.batch_isend_irecv([
        dist.P2POp(dist.isend, of_rank(torch, rank) + 7, following), dist.P2POp(dist.irecv, tensor, before)
    ])  # fmt: skip
    for work in works:
        work.wait()
    seen["batch"] = tensor.tolist()
    if rank == 0:
        works = [dist.isend(torch.ones(3) * tag, 1, tag=tag) for tag in (5, 6)]
        for work in works:
            work.wait()
        objects = [None, None]
        seen["objects"] = dist.recv_object_list(objects, 1), objects
        works = [torch.zeros(2) for _ in range(count - 1)]
        sources = [dist.recv(got) for got in works]
        seen["any"] = sorted((source, got.tolist()) for source, got in zip(sources, works, strict=True))
    if rank == 1:
        for tag in (6, 5):
            tensor = torch.zeros(3)
            dist.irecv(tensor, 0, tag=tag).wait()
            seen["tag", tag] = tensor.tolist()
        dist.send_object_list(["text", {"key": 1}], 0)
    if rank:
        dist.send(torch.ones(2) * rank, 0)
    return seen


def groups(torch, rank, count):
    """Groups of some ranks, their numbers, and collectives in them."""
    dist, seen = torch.distributed, {}
    ends = dist.new_group([0, count - 1])
    if rank in (0, count - 1):
        tensor = of_rank(torch, rank)
        dist.all_reduce(tensor, group=ends)
        seen["sum"] = tensor.tolist()
        dist.broadcast(tensor.add_(rank), count - 1, group=ends)
        seen["broadcast"] = tensor.tolist()
        dist.broadcast(tensor.add_(rank), group=ends, group_src=1)
        seen["group_src"] = tensor.tolist()
        seen["numbers"] = (
            dist.get_rank(ends), dist.get_world_size(ends), dist.get_process_group_ranks(ends),
            dist.get_group_rank(ends, count - 1), dist.get_global_rank(ends, 1),
        )  # fmt: skip
    else:
        seen["outside"] = dist.get_rank(ends), dist.get_world_size(ends)
    mine, every = dist.new_subgroups(1)
    tensor = of_rank(torch, rank)
    dist.all_reduce(tensor, group=mine)
    seen["subgroups"] = len(every), tensor.tolist()
    mine, every = dist.new_subgroups_by_enumeration([[1, 0], list(range(2, count))][: 1 + (count > 2)])
    tensor = of_rank(torch, rank)
    dist.all_reduce(tensor, group=mine)
    seen["enumerated"] = len(every), tensor.tolist()
    again = [dist.new_group([0, 1]) for _ in range(2)]
    if rank < 2:
        works = [dist.all_reduce(tensor.clone(), group=group, async_op=True) for group in again]
        for work in works:
            work.wait()
        seen["two groups of the same ranks"] = len(works)
    dist.barrier()
    if mine is not None:
        dist.destroy_process_group(mine)
    return seen


def errors(torch, rank, count):
    """Which class of error each wrong call raises."""
    dist, seen = torch.distributed, {}
    x, other = of_rank(torch, rank), (rank + 1) % count
    everyone = dist.new_group()
    calls = {
        "broadcast without src": lambda: dist.broadcast(x),
        "broadcast with both": lambda: dist.broadcast(x, src=0, group_src=0),
        "broadcast from 5": lambda: dist.broadcast(x, src=5),
        "broadcast from -1": lambda: dist.broadcast(x, src=-1),
        "broadcast a list": lambda: dist.broadcast([1], src=0),
        "reduce without dst": lambda: dist.reduce(x),
        "and of floats": lambda: dist.all_reduce(x.clone(), op=dist.ReduceOp.BAND),
        "mean of integers": lambda: dist.all_reduce(x.long(), op=dist.ReduceOp.AVG),
        "product of complex": lambda: dist.all_reduce(x.to(torch.complex64), op=dist.ReduceOp.PRODUCT),
        "all_gather of too few": lambda: dist.all_gather([x.clone()], x),
        "all_gather of shapes": lambda: dist.all_gather([x.clone(), *[torch.zeros(3)] * (count - 1)], x),
        "all_gather of dtypes": lambda: dist.all_gather([x.clone(), *[torch.zeros(4).long()] * (count - 1)], x),
        "all_gather into a tensor": lambda: dist.all_gather(x, x),
        "all_gather_into_tensor of 7": lambda: dist.all_gather_into_tensor(torch.zeros(7), x),
        "reduce_scatter of too few": lambda: dist.reduce_scatter(x.clone(), [x]),
        "gather without a list": lambda: dist.gather(x, None, dst=rank),
        "gather with a list elsewhere": lambda: dist.gather(x, [x] * count, dst=other),
        "scatter without a list": lambda: dist.scatter(x, None, src=rank),
        "scatter with a list elsewhere": lambda: dist.scatter(x, [x] * count, src=other),
        "scatter of too few": lambda: dist.scatter(x, [x], src=rank),
        "gather of too few": lambda: dist.gather(x, [x], dst=rank),
        "send to itself": lambda: dist.send(x, rank),
        "send a list": lambda: dist.isend([1], other),
        "group of ranks there are not": lambda: dist.new_group([0, 5]),
        "group of a rank twice": lambda: dist.new_group([0, 0]),
        "group too big": lambda: dist.new_group(list(range(count + 1))),
        "P2POp of send": lambda: dist.P2POp(dist.send, x, other),
        "empty batch": lambda: dist.batch_isend_irecv([]),
        "rank of nobody": lambda: dist.get_group_rank(everyone, 5),
        "rank 5 of the group": lambda: dist.get_global_rank(everyone, 5),
        "scatter_object_list into nothing": lambda: dist.scatter_object_list([], [1] * count, src=rank),
        "subgroups of 5": lambda: dist.new_subgroups(5),
        "subgroups of 0": lambda: dist.new_subgroups(0),
        "subgroups that overlap": lambda: dist.new_subgroups_by_enumeration([[0], [0]]),
        "twice": lambda: dist.init_process_group("gloo", rank=rank, world_size=count),
        "timeout": lambda: dist.new_group(timeout=3),
    }
    for name, call in calls.items():
        try:
            call()
            seen[name] = "nothing"
        except Exception as error:
            seen[name] = type(error).__name__
    time.sleep(0.3)  # PyTorch's barrier raises what failed before, if its thread has not put it away yet
    dist.barrier()
    return seen


# ---------------------------------------------------------------- DistributedDataParallel
def network(torch, rank, batch_norm=False):
    """A small network whose parameters depend on the rank."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8) if batch_norm else nn.ReLU(), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            values = (torch.arange(parameter.numel()) * 7 + number * 3 + rank) % 11 - 5
            parameter.copy_(values.reshape(parameter.shape).to(torch.float32) / 10)
    return model


def batch(torch, rank, step):
    """A rank's batch of a step: inputs (4, 6) and classes."""
    inputs = ((torch.arange(4 * 6) * (step + 2) + rank * 5) % 13).reshape(4, 6).to(torch.float32) / 13
    return inputs, (torch.arange(4) + rank) % 3


VARIANTS = {
    "plain": {}, "batch norm": {}, "small buckets": {"bucket_cap_mb": 0.0001},
    "unused": {"find_unused_parameters": True}, "static": {"static_graph": True},
    "views": {"gradient_as_bucket_view": True},
}  # fmt: skip


def data_parallel(torch, rank, count):
    """Training with DistributedDataParallel, in all its variants."""
    seen = {}
    cross_entropy, wrap = torch.nn.functional.cross_entropy, torch.nn.parallel.DistributedDataParallel
    for name, options in VARIANTS.items():
        model = wrap(network(torch, rank, name == "batch norm"), **options)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        losses = []
        for step in range(4):
            inputs, classes = batch(torch, rank, step)
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs), classes)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        buffers = [buffer.tolist() for buffer in model.buffers()]
        seen[name] = losses, [parameter.tolist() for parameter in model.parameters()], buffers, [*model.state_dict()]
    model = wrap(network(torch, rank))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        with model.no_sync():
            inputs, classes = batch(torch, rank, step)
            cross_entropy(model(inputs), classes).backward()
        if step == 0:
            seen["not synchronised"] = [parameter.grad.tolist() for parameter in model.parameters()]
        inputs, classes = batch(torch, rank, step + 10)
        cross_entropy(model(inputs), classes).backward()
        optimizer.step()
        optimizer.zero_grad()
    seen["accumulated"] = [parameter.tolist() for parameter in model.parameters()]
    return seen


UNEVEN = {
    "divided by all": {}, "divided by the active": {"divide_by_initial_world_size": False},
    "unused": {}, "batch norm": {"divide_by_initial_world_size": False},
}  # fmt: skip


def uneven(torch, rank, count):
    """Ranks with different numbers of batches, in join(); copies of models."""
    wrap, cross_entropy = torch.nn.parallel.DistributedDataParallel, torch.nn.functional.cross_entropy

    def train(model, batches, **options):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with model.join(**options):
            for step in range(batches):
                inputs, classes = batch(torch, rank, step)
                with model.no_sync() if step == 1 and model.find_unused_parameters else warnings.catch_warnings():
                    cross_entropy(model(inputs), classes).backward()
                optimizer.step()
                optimizer.zero_grad()
        return [tensor.tolist() for tensor in model.state_dict().values()]

    seen = {}
    for name, options in UNEVEN.items():
        model = wrap(network(torch, rank, name == "batch norm"), find_unused_parameters=name == "unused")
        for turn, batches in enumerate((2 + rank, 1 + count - rank, 0)):
            seen[name, turn] = train(model, batches, **options)
    try:
        seen["early end"] = train(wrap(network(torch, rank)), 1 + rank, throw_on_early_termination=True)
    except RuntimeError as error:
        seen["early end"] = str(error)
    model = wrap(network(torch, rank), broadcast_buffers=False)
    for name, twin in {"deepcopy": copy.deepcopy(model), "pickle": pickle.loads(pickle.dumps(model))}.items():
        for each, step in ((model, 1), (twin, 11)):
            inputs, classes = batch(torch, rank, step)
            cross_entropy(each(inputs), classes).backward()
        seen[name] = [[parameter.grad.tolist() for parameter in each.parameters()] for each in (model, twin)]
    for name, call in {"deepcopy": copy.deepcopy, "pickle": pickle.dumps}.items():
        try:
            call(wrap(network(torch, rank), process_group=torch.distributed.new_group()))
        except Exception as error:
            seen[name, "of a group"] = type(error).__name__
    return seen


def branches(torch, rank, count):
    """DistributedDataParallel where ranks use other parameters, hooks, and wrong arguments."""
    nn, dist, seen = torch.nn, torch.distributed, {}
    wrap = nn.parallel.DistributedDataParallel

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.never = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
            with torch.no_grad():
                for parameter in self.parameters():
                    parameter.fill_(0.5)

        def forward(self, x, short):
            return self.first(x) if short else self.first(self.second(x))

    def gradients(model):
        return [None if parameter.grad is None else parameter.grad.tolist() for parameter in model.parameters()]

    model = wrap(Branches(), find_unused_parameters=True)
    model(torch.ones(1, 2) * (rank + 1), rank == 0).sum().backward()
    seen["rank 0 uses less"] = gradients(model)
    model(torch.ones(1, 2) * (rank + 1), True).sum().backward()
    seen["all use less"] = gradients(model)

    def triple(state, bucket):
        state.append((bucket.index(), len(bucket.parameters()), len(bucket.gradients())))
        return (
            dist.all_reduce(bucket.buffer(), async_op=True).get_future().then(lambda future: future.value()[0] * 3)
        )

    model, state = wrap(network(torch, rank)), []
    model.register_comm_hook(state, triple)
    inputs, classes = batch(torch, rank, 0)
    nn.functional.cross_entropy(model(inputs), classes).backward()
    seen["hook"] = gradients(model), state
    for name in ("forward_sync_buffers", "broadcast_buffers"):
        norm = nn.BatchNorm1d(2)
        norm.running_mean.fill_(rank + 1)
        model_with_buffers = wrap(norm, **{name: False})
        seen[name] = norm.running_mean.tolist(), norm.running_var.tolist(), model_with_buffers.broadcast_buffers
        model_with_buffers(torch.ones(3, 2) * rank)
        seen[name, "later"] = norm.running_mean.tolist()
    unfinished = wrap(Branches())
    unfinished(torch.ones(1, 2), True).sum().backward()
    calls = {
        "device_ids": lambda: wrap(network(torch, rank), device_ids=[rank]),
        "two devices": lambda: wrap(network(torch, rank), device_ids=[0, 1]),
        "no parameters": lambda: wrap(nn.ReLU()),
        "no hook": lambda: wrap(network(torch, rank)).register_comm_hook(None, 3),
        "hook twice": lambda: model.register_comm_hook(None, triple),
        "unfinished": lambda: unfinished(torch.ones(1, 2), True),
    }
    for name, call in calls.items():
        try:
            call()
            seen[name] = "nothing"
        except Exception as error:
            seen[name] = type(error).__name__
    sampler = torch.utils.data.distributed.DistributedSampler(list(range(7)), shuffle=False)
    seen["sampler"] = list(sampler)
    return seen


def synchronised_norm(torch, rank, count):
    """SyncBatchNorm of unequal batches: outputs, gradients, running statistics."""
    layer = torch.nn.SyncBatchNorm.convert_sync_batchnorm(torch.nn.BatchNorm2d(3))
    model = torch.nn.parallel.DistributedDataParallel(layer)
    x = norm_batch(torch, rank).requires_grad_()
    output = model(x)
    (output * norm_weights(torch, rank)).sum().backward()
    return (
        output.tolist(), x.grad.tolist(), [parameter.grad.tolist() for parameter in model.parameters()],
        layer.running_mean.tolist(), layer.running_var.tolist(), type(layer).__name__,
    )  # fmt: skip


def sparse_rows(torch, rank, count):
    """DistributedDataParallel of an embedding whose gradients are sparse."""
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Embedding(6, 2, sparse=True))
    model(torch.tensor([1, 1, rank + 2])).sum().backward()
    gradient = model.module.weight.grad
    torch.optim.SparseAdam(model.parameters()).step()
    return gradient.is_sparse, gradient.to_dense().tolist()


def norm_batch(torch, rank):
    """A rank's images (2 + rank, 3, 2, 2)."""
    count = (2 + rank) * 12
    return ((torch.arange(count) * 7 + rank) % 10).to(torch.float32).reshape(-1, 3, 2, 2)


def norm_weights(torch, rank):
    """What a rank's outputs are multiplied by."""
    return (norm_batch(torch, rank) * 3 + rank) % 5 / 5


# ---------------------------------------------------------------- what goes wrong
def _message(call):
    began = time.monotonic()
    try:
        call()
    except RuntimeError as error:
        return f"{error}", time.monotonic() - began
    return "nothing", time.monotonic() - began


def dying(torch, rank, count):
    """The last rank dies: the others get errors, at once."""
    torch.distributed.barrier()
    if rank == count - 1:
        os._exit(DEATH)
    x = torch.ones(100_000)
    return [_message(lambda: torch.distributed.all_reduce(x)), _message(torch.distributed.barrier)]


def late(torch, rank, count):
    """Rank 1 comes too late for a timeout of half a second."""
    group = torch.distributed.new_group(timeout=timedelta(seconds=0.5))
    if rank == 1:
        time.sleep(1.2)
    seen = [_message(lambda: torch.distributed.barrier(group=group))]
    torch.distributed.barrier()
    watched = torch.distributed.new_group()
    if rank == 1:
        time.sleep(1.2)
    seen.append(_message(lambda: torch.distributed.monitored_barrier(watched, timedelta(seconds=0.5), rank == 0)))
    late_work = torch.distributed.irecv(torch.ones(1), 1 - rank)
    for _ in range(2):  # waiting again is no hang
        seen.append(_message(lambda: late_work.wait(timedelta(seconds=0.3))))
    return seen


def interrupted(torch, rank, count):
    """Ctrl-C in a collective of rank 0 fails the group on all ranks; other groups still work."""
    group = torch.distributed.new_group()
    seen = []
    if rank == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            torch.distributed.barrier(group)
        except KeyboardInterrupt:
            seen.append("interrupted")
    torch.distributed.barrier()
    seen.append(_message(lambda: torch.distributed.barrier(group)))
    x = torch.ones(1)
    torch.distributed.all_reduce(x)
    return seen, x.item()


def mismatched(torch, rank, count):
    """Ranks whose tensors, or calls, differ all get errors; the group of all still works."""
    dist = torch.distributed
    seen = []
    for wrong in (
        lambda group: dist.all_reduce(torch.ones(3 + rank), group=group),
        lambda group: dist.all_reduce(torch.ones(3).to(torch.float64 if rank else torch.float32), group=group),
        lambda group: dist.barrier(group) if rank else dist.all_reduce(torch.ones(3), group=group),
        lambda group: dist.broadcast_object_list([1] * (1 + rank), 0, group) or dist.barrier(group),
        lambda group: dist.broadcast(torch.ones(2 + rank), 0, group=group) or dist.barrier(group),
    ):
        group = dist.new_group()
        seen.append(_message(lambda wrong=wrong, group=group: wrong(group)))
    x = torch.ones(1)
    dist.all_reduce(x)
    return seen, x.item()


if __name__ == "__main__":
    sys.exit("these programs are run by the tests")
