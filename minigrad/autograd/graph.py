"""Looking into the graph: hooks on what nodes save, hooks on several gradients, edges.

Source: https://docs.pytorch.org/docs/stable/autograd.html#autograd-graph
"""

import contextlib
import threading
import weakref

from minigrad.absent import getter
from minigrad.autograd.function import PackedArray
from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import memory_root
from minigrad.ops.convert import pin_memory
from minigrad.tensor import Tensor, wrap
from minigrad.variable import (
    MODE,
    AccumulateGrad,
    GradientEdge,
    Node,
    RemovableHandles,
    is_tracked,
    next_time,
    touch,
    written_since,
)

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks", "get_gradient_edge",
    "increment_version", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class _Hooks(threading.local):
    disabled = None  # the message of the error that saved_tensors_hooks raises


_HOOKS = _Hooks()


class _Packed(PackedArray):
    """What a pack hook made of a saved array."""

    def __init__(self, array, pack, unpack):
        root = memory_root(array)
        self.root, self.time = weakref.ref(root), next_time()
        self.unpack_hook = unpack
        with no_grad():
            self.value = pack(wrap(array))
        if written_since(array, self.time):
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can "
                "not be modified by in-place operations as this can lead to unexpected side-effects; clone() it first."
            )

    def unpack(self):
        """Return the array that the unpack hook gives back."""
        with no_grad():
            tensor = self.unpack_hook(self.value)
        if not isinstance(tensor, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(tensor).__name__}"
            )
        array = tensor.array
        if memory_root(array) is self.root() and written_since(array, self.time):
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: the "
                f"unpack hook returned a saved tensor of shape {list(array.shape)} that was written afterwards."
            )
        return array


def _is_array(value):
    return hasattr(value, "dtype") and hasattr(value, "flags")


def _mapped(values, change):
    """Return saved values (a value or tuple of them) with the arrays changed."""
    if type(values) is tuple:
        return tuple([change(value) if _is_array(value) else value for value in values])
    return change(values) if _is_array(values) else values


class _Observer:
    """Sees every node recorded in a block, after whoever saw them before."""

    def __enter__(self):
        self._outer = self._before = MODE.on_record
        MODE.on_record = self._recorded
        return self

    def __exit__(self, *exception):
        MODE.on_record = self._outer

    def _recorded(self, node, out):
        if self._before is not None:
            self._before(node, out)
        context = getattr(node.op, "ctx", None)
        if context is not None:
            context._saved = [None if entry is None else (self.keep(entry[0]), entry[1]) for entry in context._saved]
        elif node.saved is not None:
            self.node_recorded(node)

    def keep(self, array):
        """Return what is kept of an array that a Function saved."""
        raise NotImplementedError

    def node_recorded(self, node):
        """Replace what a node of an operation saved."""
        raise NotImplementedError


class saved_tensors_hooks(_Observer):  # noqa: N801 - PyTorch's name
    """Keep pack_hook(tensor) of every tensor saved for backward in the block, and give unpack_hook of it to backward.

    The tensors are those that minigrad's operations save, which may be others than PyTorch's save.
    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.saved_tensors_hooks

    >>> import minigrad as mg
    >>> x = mg.tensor([2.0, 3.0], requires_grad=True)
    >>> with mg.autograd.graph.saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([4., 6.])
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self):
        if _HOOKS.disabled is not None:
            raise RuntimeError(_HOOKS.disabled)
        super().__enter__()
        outer = getattr(self._outer, "__self__", None)
        self._before = outer._before if isinstance(outer, saved_tensors_hooks) else self._outer  # the innermost pack
        return self

    def keep(self, array):
        """Return the array packed."""
        return _Packed(array, self._pack, self.unpack_hook)

    def _pack(self, tensor):
        observer, MODE.on_record = MODE.on_record, self._before
        try:
            return self.pack_hook(tensor)
        finally:
            MODE.on_record = observer

    def node_recorded(self, node):
        """Pack the arrays that a node saved, to be unpacked when backward comes to it."""
        if not any(
            _is_array(value) for value in (*node.saved, *(node.out if type(node.out) is tuple else (node.out,)))
        ):
            return
        saved, out = _mapped(node.saved, self.keep), _mapped(node.out, self.keep)
        node.saved, node.out = None, None

        def restore(node):
            node.restore = None
            node.saved, node.out = _unpacked(saved), _unpacked(out)
            node.saved_at = next_time()

        node.restore = restore


def _unpacked(values):
    if type(values) is tuple:
        return tuple([value.unpack() if isinstance(value, _Packed) else value for value in values])
    return values.unpack() if isinstance(values, _Packed) else values


class save_on_cpu(saved_tensors_hooks):  # noqa: N801
    """Keep what is saved for backward in the block in the CPU's memory (page-locked ones with pin_memory).

    Arguments: pin_memory (needs a GPU), device_type (of the device to save from: "cuda").
    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.save_on_cpu
    """

    def __init__(self, pin_memory=False, device_type="cuda"):
        if device_type not in ("cuda", "cpu"):
            raise ValueError(f"save_on_cpu: device_type must be 'cuda', but got {device_type!r}")
        self.pinned = pin_memory
        super().__init__(self._to_cpu, lambda packed: packed[1].to(packed[0]))

    def _to_cpu(self, tensor):
        copy = tensor.cpu()
        return tensor.device, pin_memory(copy) if self.pinned and tensor.is_cuda else copy


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message):
    """Let saved_tensors_hooks raise RuntimeError(error_message) in the block.

    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.disable_saved_tensors_hooks
    """
    before, _HOOKS.disabled = _HOOKS.disabled, error_message
    try:
        yield
    finally:
        _HOOKS.disabled = before


class allow_mutation_on_saved_tensors(_Observer):  # noqa: N801
    """Let tensors that were saved for backward in the block be written in place: every saved array is copied at once.

    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.allow_mutation_on_saved_tensors

    >>> import minigrad as mg
    >>> w, x = mg.ones(2, requires_grad=True), mg.tensor([2.0, 3.0])
    >>> with mg.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = (w * x).sum()
    ...     _ = x.zero_()
    >>> y.backward()
    >>> w.grad
    tensor([2., 3.])
    """

    def keep(self, array):
        """Return a copy."""
        return array.copy()

    def node_recorded(self, node):
        """Copy the arrays that a node saved."""
        node.saved, node.out = _mapped(node.saved, self.keep), _mapped(node.out, self.keep)


def get_gradient_edge(tensor):
    """Return the place of the graph where the tensor's gradient arrives, which grad takes as an input.

    RuntimeError for a tensor that does not require grad.
    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.get_gradient_edge

    >>> import minigrad as mg
    >>> x = mg.tensor(3.0, requires_grad=True)
    >>> mg.autograd.grad(x * x, mg.autograd.graph.get_gradient_edge(x))
    (tensor(6.),)
    """
    if not is_tracked(tensor):
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(AccumulateGrad(tensor) if tensor.node is None else tensor.node, 0)


def increment_version(tensor):
    """Say that a tensor's (or several tensors') memory was written outside minigrad, so that backward notices.

    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.increment_version
    """
    for each in (tensor,) if isinstance(tensor, Tensor) else tensor:
        touch(each.array)


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Call fn when the gradients of several tensors have been computed in a backward pass; returns a handle.

    mode "all": fn(list of gradients, None for tensors that the pass does not reach) after the last one; "any":
    fn(gradient) after the first. RuntimeError for tensors that do not require grad (with "any" these are left out).
    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.register_multi_grad_hook

    >>> import minigrad as mg
    >>> a, b = mg.ones(2, requires_grad=True), mg.ones(2, requires_grad=True)
    >>> handle = mg.autograd.graph.register_multi_grad_hook((a, b), lambda grads: print(grads))
    >>> (a * 2).sum().backward()
    [tensor([2., 2.]), None]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = list(tensors)
    state = {"pass": None, "gradients": [], "missing": 0}
    targets = [tensor.node or tensor for tensor in tensors if is_tracked(tensor)]

    def see(index, gradient):
        if state["pass"] is not MODE.backward:
            state["pass"] = MODE.backward
            state["gradients"] = [None] * len(tensors)
            state["missing"] = _count_reached(targets, *MODE.backward)
            if mode == "any":
                fn(gradient)
        if mode == "all":
            state["gradients"][index] = gradient
        state["missing"] -= 1
        if not state["missing"]:  # nothing of the pass is kept any longer
            gradients = state["gradients"]
            state.update({"pass": None, "gradients": []})
            if mode == "all":
                fn(gradients)

    def hook(index):
        return lambda gradient: see(index, gradient)

    chosen = [(i, tensor) for i, tensor in enumerate(tensors) if mode == "all" or is_tracked(tensor)]
    return RemovableHandles([tensor.register_hook(hook(i)) for i, tensor in chosen])


def _count_reached(targets, roots, receiving):
    """Return how many of the nodes and leaves a backward pass from the roots comes to."""
    visited, stack = set(), [root for root, _ in roots]
    while stack:
        place = stack.pop()
        if place in visited or receiving is not None and place not in receiving:
            continue
        visited.add(place)
        if isinstance(place, Node):
            stack.extend([edge for edge in place.edges if edge is not None])
    return sum(target in visited for target in targets)


def leads_out(tensor, own, visited):
    """Return whether the graph of a tensor ends at some leaf whose id is not in own; visited gains its nodes."""
    stack = [tensor.node or tensor] if is_tracked(tensor) else []
    while stack:
        place = stack.pop()
        if isinstance(place, Tensor):
            if id(place) not in own:
                return True
        elif isinstance(place, Node) and place not in visited:
            visited.add(place)
            stack.extend([edge for edge in place.edges if edge is not None])
    return False


__getattr__ = getter(__name__)
