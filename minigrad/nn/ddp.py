"""DistributedDataParallel: one module in each of several processes, the gradients averaged over them."""

import contextlib
import inspect

from minigrad.autograd import no_grad
from minigrad.backend import np
from minigrad.distributed.collectives import all_reduce, broadcast
from minigrad.distributed.objects import all_gather_object
from minigrad.distributed.process_group import GroupMember, member
from minigrad.engine import queue_callback
from minigrad.nn.module import Module
from minigrad.ops.creation import zeros_like
from minigrad.ops.join import cat
from minigrad.tensor import wrap
from minigrad.variable import MODE

__all__ = ["DistributedDataParallel", "GradBucket"]
_MEGABYTE = 1 << 20
_UNFINISHED = (
    "Expected to have finished reduction in the prior iteration before starting a new one. This error indicates that "
    "your module has parameters that were not used in producing loss. You can enable unused parameter detection by "
    "passing the keyword argument `find_unused_parameters=True` to `torch.nn.parallel.DistributedDataParallel`, and by "
    "making sure all `forward` function outputs participate in calculating loss. Parameters without a gradient: {}"
)


class GradBucket:
    """Some gradients, one after another in one flat tensor, as a communication hook gets them.

    Source: https://docs.pytorch.org/docs/stable/ddp_comm_hooks.html#torch.distributed.GradBucket
    """

    def __init__(self, index, last, parameters, buffer):
        self._index, self._last, self._parameters, self._buffer = index, last, parameters, buffer

    def index(self):
        """Return the bucket's number; 0 has the last parameters."""
        return self._index

    def is_last(self):
        """Return whether it is the last bucket of this backward pass."""
        return self._last

    def parameters(self):
        """Return the parameters."""
        return list(self._parameters)

    def buffer(self):
        """Return the flat tensor."""
        return self._buffer

    def set_buffer(self, tensor):
        """Put another flat tensor in its place."""
        self._buffer = tensor

    def gradients(self):
        """Return the gradients, parts of the flat tensor."""
        return _parts(self._buffer, self._parameters)


def _parts(flat, tensors):
    """Return the parts of a flat tensor that have the shapes of other tensors."""
    parts, at = [], 0
    for tensor in tensors:
        parts.append(flat[at : at + tensor.numel()].reshape(tensor.shape))
        at += tensor.numel()
    return parts


def _flat(tensors):
    return cat([tensor.detach().reshape(-1) for tensor in tensors])


def _broadcast_all(tensors, group, source=0):
    """Write the tensors of a rank of the group into those of all ranks, together for each dtype and device."""
    kinds = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, str(tensor.device)), []).append(tensor)
    with no_grad():
        for alike in kinds.values():
            flat = _flat(alike)
            broadcast(flat, group=group, group_src=source)
            if group.rank() != source:
                for tensor, part in zip(alike, _parts(flat, alike), strict=True):
                    tensor.copy_(part)


class DistributedDataParallel(Module):
    """Holds a module as ``module``, in each process of a group, and averages the gradients over them after backward.

    All ranks begin with rank 0's parameters and buffers, and each forward pass begins with its buffers: not with
    ``forward_sync_buffers=False``, and with ``broadcast_buffers=False`` buffers are never sent. At the end of a
    backward pass that follows a forward pass of this object, every parameter's ``grad`` becomes the average over the
    ranks, in flat buckets of at most ``bucket_cap_mb`` (25).
    ``find_unused_parameters`` allows passes in which some parameters get no gradient, as does ``static_graph``;
    otherwise the next forward pass raises RuntimeError. device_ids and output_device name a GPU module's one device, as
    in PyTorch; ``gradient_as_bucket_view`` saves memory there and changes no result.
    Raises ValueError without a process group, RuntimeError for a module without parameters to learn.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
    """

    def __init__(
        self, module, device_ids=None, output_device=None, dim=0, broadcast_buffers=None, init_sync=True,
        process_group=None, bucket_cap_mb=None, find_unused_parameters=False, check_reduction=False,
        gradient_as_bucket_view=False, static_graph=False, delay_all_reduce_named_params=None,
        param_to_hook_all_reduce=None, mixed_precision=None, device_mesh=None, skip_all_reduce_unused_params=False,
        bucket_cap_mb_list=None, batched_grad_copy=False, forward_sync_buffers=None,
    ):  # fmt: skip
        super().__init__()
        group = member(process_group)
        if group == GroupMember.NON_GROUP_MEMBER:
            raise ValueError("DistributedDataParallel: this process is not in the process group")
        ignored = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        parameters = [p for name, p in module.named_parameters() if name not in ignored and p.requires_grad]
        if not parameters:
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that "
                "requires a gradient."
            )
        if device_ids is not None and len(device_ids) > 1:
            raise ValueError("device_ids can only be None or contain a single element.")
        refused = {
            "mixed_precision": mixed_precision, "device_mesh": device_mesh, "bucket_cap_mb_list": bucket_cap_mb_list,
            "delay_all_reduce_named_params": delay_all_reduce_named_params,
            "param_to_hook_all_reduce": param_to_hook_all_reduce,
        }  # fmt: skip
        for name, value in refused.items():
            if value is not None:
                raise NotImplementedError(f"DistributedDataParallel: {name} is not supported")
        _check_devices(parameters, device_ids, output_device)
        self.module = module
        self.device_ids, self.output_device, self.dim = device_ids, output_device, dim
        self.device = parameters[0].device
        self.process_group = group
        broadcast_buffers = True if broadcast_buffers is None else broadcast_buffers
        self.broadcast_buffers = broadcast_buffers if forward_sync_buffers is None else forward_sync_buffers
        self.find_unused_parameters, self.static_graph = find_unused_parameters, static_graph
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.parameters_to_ignore = ignored
        self.require_backward_grad_sync = self.require_forward_param_sync = True
        self.bucket_bytes_cap = int((25 if bucket_cap_mb is None else bucket_cap_mb) * _MEGABYTE)
        self._parameters_to_learn = tuple(parameters)
        self._hook = self._joining = None
        self._reset()
        if group.size() > 1:
            self._check_same(parameters)
            if init_sync:
                self._send_everything(0, self.broadcast_buffers or forward_sync_buffers is not None)
        self._watch()

    def _reset(self):
        self._expecting = False  # whether the next backward pass is to average the gradients
        self._ready = set()  # numbers of the parameters that got a gradient in this pass

    def _buffers_to_send(self):
        return [b for name, b in self.module.named_buffers() if name not in self.parameters_to_ignore]

    def _send_everything(self, source, with_buffers):
        every = [p for name, p in self.module.named_parameters() if name not in self.parameters_to_ignore]
        buffers = self._buffers_to_send() if with_buffers else []
        _broadcast_all([*every, *buffers], self.process_group, source)

    def _send_buffers(self, source):
        if self.will_sync_module_buffers() and self.process_group.size() > 1:
            _broadcast_all(self._buffers_to_send(), self.process_group, source)

    def _check_same(self, parameters):
        """RuntimeError where the ranks' parameters differ in number, shape or dtype."""
        own = [(tuple(parameter.shape), str(parameter.dtype)) for parameter in parameters]
        every = [None] * self.process_group.size()
        all_gather_object(every, own, self.process_group)
        for rank, theirs in enumerate(every):
            if len(theirs) != len(every[0]):
                raise RuntimeError(
                    f"DDP expects same model across all ranks, but Rank 0 has {len(every[0])} params, while rank "
                    f"{rank} has inconsistent {len(theirs)} params."
                )
            for number, (first, other) in enumerate(zip(every[0], theirs, strict=True)):
                if first != other:
                    raise RuntimeError(
                        f"[{number}]: params[{number}] in this process with sizes {list(first[0])} of {first[1]} "
                        f"appears not to match sizes of the same param in process {rank}: {list(other[0])} {other[1]}"
                    )

    def _watch(self):
        """Notice each parameter's gradient."""

        def noticing(number):
            def notice(parameter):
                if not self._expecting:
                    return
                if not self._ready:
                    queue_callback(self._end_of_backward)
                self._ready.add(number)

            return notice

        for number, parameter in enumerate(self._parameters_to_learn):
            parameter.register_post_accumulate_grad_hook(noticing(number))

    def __getstate__(self):
        if self.process_group is not GroupMember.WORLD:
            raise RuntimeError(
                "DDP Pickling/Unpickling are only supported when using DDP with the default process group. That is, "
                "when you have called init_process_group and have not passed process_group argument to DDP constructor"
            )
        return {name: value for name, value in self.__dict__.items() if name != "process_group"}

    def __setstate__(self, state):
        super().__setstate__(state)
        self.process_group = member()
        self._reset()
        self._watch()

    # ------------------------------------------------------------ forward
    def forward(self, *inputs, **kwargs):
        """Return the module's result; the backward pass from it averages the gradients."""
        synchronise = MODE.grad and self.require_backward_grad_sync
        if synchronise and self._ready:
            missing = [n for n in range(len(self._parameters_to_learn)) if n not in self._ready]
            raise RuntimeError(_UNFINISHED.format(missing))
        if self._joining is not None:
            self._take_turn(2 if self.require_backward_grad_sync else 1)
        self._send_buffers(0 if self._joining is None else self._active[-1])
        result = self.module(*inputs, **kwargs)
        self._expecting = synchronise and (self.process_group.size() > 1 or self._hook is not None)
        if MODE.grad:
            self.require_forward_param_sync = self.require_backward_grad_sync
        return result

    @property
    def forward_sync_buffers(self):
        """Whether each forward pass begins with rank 0's buffers."""
        return self.broadcast_buffers

    @contextlib.contextmanager
    def no_sync(self):
        """Passes in the ``with`` block leave gradients as they are here; the next one outside averages their sums.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
        """
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    # ------------------------------------------------------------ backward
    def _end_of_backward(self):
        """Average the gradients, where all parameters that must have one have it."""
        if self.find_unused_parameters or self.static_graph or len(self._ready) == len(self._parameters_to_learn):
            self._combine()  # otherwise the next forward pass says so

    def _combine(self, idle=False):
        """Average the gradients with those of the other ranks; an idle rank gives zeros and keeps its own."""
        used = self._used() if self.find_unused_parameters or self.static_graph else None
        self._reset()
        with no_grad():
            self._average([p for n, p in enumerate(self._parameters_to_learn) if used is None or used[n]], idle)

    def _used(self):
        """Return for each parameter whether it got a gradient on any rank."""
        used = wrap(np.zeros(len(self._parameters_to_learn), np.int32))
        used.array[list(self._ready)] = 1
        all_reduce(used, group=self.process_group)
        return used.tolist()

    def _buckets(self, parameters):
        """Return lists of parameters of one dtype and device, the last first, of at most bucket_bytes_cap each."""
        buckets, sizes = [], {}
        for parameter in reversed(parameters):
            kind = parameter.dtype, str(parameter.device)
            size = parameter.numel() * parameter.element_size()
            index, filled = sizes.get(kind, (None, 0))
            if index is None or filled + size > self.bucket_bytes_cap:
                index, filled = len(buckets), 0
                buckets.append([])
            buckets[index].append(parameter)
            sizes[kind] = index, filled + size
        return buckets

    def _average(self, parameters, idle):
        """Replace the gradients of parameters by the averages over the ranks, or what the hook makes of them."""
        buckets = self._buckets(parameters)
        divide_by_all = self._joining is None or self._joining[0]
        count = self.process_group.size() if divide_by_all else len(self._active)
        waiting = []
        for index, members in enumerate(buckets):
            flat = _flat([zeros_like(p) if idle or p.grad is None else p.grad.to_dense() for p in members])
            if self._hook is None:
                flat /= count
                waiting.append((members, flat, all_reduce(flat, group=self.process_group, async_op=True)))
            else:
                state, hook = self._hook
                bucket = GradBucket(index, index == len(buckets) - 1, members, flat)
                waiting.append((members, None, hook(state, bucket)))
        for members, flat, work in waiting:
            result = work.wait()
            if flat is None:
                flat = result[0] if isinstance(result, (list, tuple)) else result
            for parameter, part in zip(members, _parts(flat, members), strict=True):
                if idle:
                    continue
                if parameter.grad is None:
                    parameter.grad = part.clone()
                elif parameter.grad.is_sparse:  # the rows that some rank moves
                    parameter.grad = part.to_sparse(1)
                else:
                    parameter.grad.copy_(part)

    def register_comm_hook(self, state, hook):
        """Have hook(state, bucket), which returns a Future of the flat tensor, combine gradients instead of averaging.

        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
        """
        if not callable(hook):
            raise TypeError("Communication hook must be callable.")
        expected = list(inspect.signature(hook).parameters.values())
        if len(expected) != 2:
            raise ValueError("Communication hook: it must take two arguments, state and bucket.")
        if expected[1].annotation not in (inspect.Parameter.empty, GradBucket, "dist.GradBucket", "GradBucket"):
            raise ValueError("Communication hook: bucket annotation should be dist.GradBucket.")
        if self._hook is not None:
            raise RuntimeError("register_comm_hook or register_builtin_comm_hook can only be called once.")
        self._hook = state, hook

    def will_sync_module_buffers(self):
        """Return whether the next forward pass begins with rank 0's buffers."""
        return self.require_forward_param_sync and self.broadcast_buffers and bool(self._buffers_to_send())

    # ------------------------------------------------------------ different numbers of batches
    @contextlib.contextmanager
    def join(self, divide_by_initial_world_size=True, enable=True, throw_on_early_termination=False):
        """Let ranks have different numbers of batches in the block: who has no more gives zeros to the averages.

        Gradients are divided by the number of all ranks, or of those that still have batches. At the end all ranks have
        the parameters and buffers of one that had the most batches. With ``throw_on_early_termination``, RuntimeError
        on all ranks as soon as one has no more.
        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
        """
        if not enable:
            yield
            return
        self._joining = divide_by_initial_world_size, throw_on_early_termination
        self._active = list(range(self.process_group.size()))
        try:
            yield
            while max(states := self._take_turn(0)):
                self._send_buffers(self._active[-1])
                self.require_forward_param_sync = max(states) == 2
                if self.require_forward_param_sync:
                    self._combine(idle=True)
            self._send_everything(self._active[-1], self.broadcast_buffers)
        finally:
            self._joining = None

    def _take_turn(self, state):
        """Tell the others that this rank has a batch (1, or 2: whose gradients are averaged), and hear who has."""
        group = self.process_group
        states = wrap(np.zeros(group.size(), np.int32))
        states.array[group.rank()] = state
        all_reduce(states, group=group)
        states = states.tolist()
        active = [rank for rank, other in enumerate(states) if other]
        if self._joining[1] and 0 < len(active) < len(states):
            raise RuntimeError(
                "Detected at least one rank that exhausted inputs. Throwing across all ranks." if state
                else f"Rank {group.rank()} exhausted all inputs."
            )  # fmt: skip
        self._active = active or self._active
        return states


def _check_devices(parameters, device_ids, output_device):
    """ValueError for devices that are not the parameters'."""
    devices = {str(parameter.device) for parameter in parameters}
    if len({name.partition(":")[0] for name in devices}) > 1:
        raise ValueError(
            "DistributedDataParallel's input module must be on the same type of devices, but input module parameters "
            f"locate in {sorted(devices)}."
        )
    given = device_ids or output_device
    if given and (len(devices) > 1 or next(iter(devices)).startswith("cpu")):
        raise ValueError(
            "DistributedDataParallel device_ids and output_device arguments only work with "
            "single-device/multiple-device GPU modules or CPU modules, but got "
            f"device_ids {device_ids}, output_device {output_device}, and module parameters {devices}."
        )
