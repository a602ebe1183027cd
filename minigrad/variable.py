"""Variable, level 2 of 3: a Tensor that remembers how it was made and receives a gradient. It knows no operation."""

import copy
import itertools
import threading
import warnings
import weakref
from typing import NamedTuple

from minigrad.backend import FLOAT_CODES, device, memory_root, move, write_root
from minigrad.tensor import Tensor, copy_memory_once, data_array, in_memory_order, in_order

_new = object.__new__


class Mode(threading.local):
    """What the current thread records: see no_grad, inference_mode and detect_anomaly in autograd/."""

    grad = True
    inference = False
    backward = None  # (roots with their gradients, what receives gradients or None) of the running backward pass
    afterwards = ()  # functions to call at the end of the running backward pass
    autocast = None  # {device type: lower precision} while regions of minigrad.autocast are open in this thread
    on_record = None  # called with every node recorded and its result (anomaly detection, checkpointing)
    check_nan = False
    first_nan = None  # (operation, traceback) of the first NaN of the forward pass
    watchers = ()  # what calls of ops go through: see interception.watch


MODE = Mode()

# One clock counts recorded nodes and in-place writes. A node's number is therefore an order in which gradients can
# flow (newest first), and a saved array was changed exactly if its memory was written at a later time than that.
next_time = itertools.count(1).__next__


class Clock:
    """When memory was last written in place, anywhere: nodes younger than that need no further check."""

    last_write = 0
    prune_at = 100_000  # entries of _WRITES


_WRITES = {}  # id of the array owning the memory -> (time of the last write, weak reference to the owner, writes)
_APART = {}  # id of the owner -> (time, weak reference) of the last write through an array of set_apart


def touch(array):
    """Note that the memory of a raw array has just been written in place."""
    root = write_root(array)
    Clock.last_write = now = next_time()
    owner = root if root.base is None else memory_root(root)
    if owner is not root:
        key = id(owner)
        _APART[key] = (now, weakref.ref(owner, lambda _: _APART.pop(key, None)))
    before = _WRITES.get(id(root))
    if before is not None and before[1]() is root:
        _WRITES[id(root)] = (now, before[1], before[2] + 1)
        return
    if len(_WRITES) >= Clock.prune_at:
        for key in [key for key, write in list(_WRITES.items()) if write[1]() is None]:
            _WRITES.pop(key, None)
        Clock.prune_at = max(100_000, 2 * len(_WRITES))
    _WRITES[id(root)] = (now, weakref.ref(root), 1)


def written_since(array, time):
    """Return whether the memory of a raw array was written in place after the given time."""
    root = memory_root(array)
    return _noted(_WRITES, root, time) or _noted(_APART, root, time)


def changed_since(array, time):
    """Return whether a value that backward needs was written after the given time: not by way of ``.data``.

    PyTorch does not notice those writes either, and programs rely on it: they write elements nobody has used, or clamp
    weights between forward and backward.
    """
    return _noted(_WRITES, write_root(array), time)


def _noted(writes, root, time):
    write = writes.get(id(root))
    return write is not None and write[0] > time and write[1]() is root


def writes_of(array):
    """Return how often the memory of a raw array was written in place, other than by way of ``.data``."""
    root = write_root(array)
    write = _WRITES.get(id(root))
    return write[2] if write is not None and write[1]() is root else 0


def version_of(tensor):
    """Return how often a tensor was written in place: by itself, through its views or by what it is a view of."""
    owner = tensor if tensor._base is None else tensor._base
    return owner._written + writes_of(tensor.array)


class Node:
    """One recorded operation: where its inputs came from and what its gradient rules need.

    ``edges`` has one entry per input: the Node or leaf Variable the gradient flows to, or None. ``saved`` and ``out``
    hold raw arrays, never user objects, so that a graph has no cycles and is freed by reference counting.
    """

    __slots__ = ("__dict__", "__weakref__", "edges", "number", "op", "out", "params", "saved", "shape")
    observed = False  # whether hooks or retained are set
    hooks = None  # functions on the gradient of the output
    post_hooks = None  # functions on the gradients of the inputs and of the outputs
    retained = None  # weak reference to the Variable that asked for retain_grad
    traceback = None
    saved_at = None  # when the saved values were computed, if later than the node was recorded
    restore = None  # function of the node that computes the saved values again (checkpointing)

    @property
    def metadata(self):
        """A dict for whatever a program wants to keep with the operation."""
        return self.__dict__.setdefault("_metadata", {})

    def name(self):
        """Return PyTorch's kind of name for the operation, such as ``AddBackward0``."""
        return names_module().name_of(self)

    def __getattr__(self, name):
        if name.startswith("_saved_"):
            return saved_module().value(self, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __dir__(self):
        return [*super().__dir__(), *saved_module().names(self)]

    def __repr__(self):
        return f"<{self.name()} object at {hex(id(self))}>"

    def __reduce_ex__(self, protocol):
        raise TypeError(f"cannot pickle '{self.name()}' object: a graph is not copied or saved, only its tensors are")

    @property
    def next_functions(self):
        """The nodes the gradient flows to, as ((node, 0), …); an AccumulateGrad for a leaf."""
        if self.op.name == "pick":
            return self.edges[0].next_functions
        return tuple((AccumulateGrad(e) if isinstance(e, Tensor) else named(e), 0) for e in self.edges)

    @property
    def saved_tensors(self):
        """What a user's Function gave to save_for_backward; AttributeError of any other operation."""
        return self.op.ctx.saved_tensors

    def add_gradient_hook(self, hook):
        """Call hook(grad) with the gradient of the operation's output; a returned tensor replaces it."""
        if self.hooks is None:
            self.hooks = {}
            self.observed = True
        return RemovableHandle(self.hooks, hook)

    def register_prehook(self, hook):
        """Call hook(grad_outputs) before the operation's rules; a returned tuple replaces the gradient."""
        return self.add_gradient_hook(_on_tuple(hook))

    def register_hook(self, hook):
        """Call hook(grad_inputs, grad_outputs) after the operation's rules; a returned tuple replaces grad_inputs."""
        if self.post_hooks is None:
            self.post_hooks = {}
            self.observed = True
        return RemovableHandle(self.post_hooks, hook)


def names_module():
    """Return minigrad.autograd.names, which knows what PyTorch calls a node (set by minigrad/__init__.py)."""
    raise NotImplementedError


def saved_module():
    """Return minigrad.autograd.saved, which knows what nodes keep (set by minigrad/__init__.py)."""
    raise NotImplementedError


def _on_tuple(hook):
    """Return a hook on a gradient that calls one on a tuple of it."""

    def on_gradient(gradient):
        result = hook((gradient,))
        return result[0] if isinstance(result, tuple) else result

    return on_gradient


def overwritten(node, array, *, is_result=False):
    """Return the error for an array that a node saved, or made, and that was written in place since."""
    version = writes_of(array)
    expected = "version 0" if version == 1 else "an earlier version"
    origin = f", which is output 0 of {node.name()}," if is_result else f", which {node.name()} saved,"
    return RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{array.dtype.name} tensor {list(array.shape)}]{origin} is at version {version}; expected {expected} "
        "instead. Write out of place, or clone() the tensor before writing. Hint: enable anomaly detection to find the "
        "operation, with minigrad.autograd.set_detect_anomaly(True)."
    )


_CLASSES = {}  # name of an operation -> the subclass of Node that carries it


def named(node):
    """Give a node that a program looks at the class of its operation's name, as type(y.grad_fn).__name__ tells it."""
    if type(node) is Node:
        name = node.name()
        if name not in _CLASSES:
            _CLASSES[name] = type(name, (Node,), {"__slots__": (), "__module__": __name__})
        node.__class__ = _CLASSES[name]
    return node


class AccumulateGrad:
    """The end of a path of the graph: adds the gradient to its ``variable``."""

    next_functions = ()

    def __init__(self, variable):
        self.variable = variable

    @property
    def metadata(self):
        """A dict for whatever a program wants to keep with the leaf."""
        return self.variable.__dict__.setdefault("_metadata", {})

    def register_prehook(self, hook):
        """Call hook((gradient,)) before the gradient is added; a returned tuple replaces it."""
        return self.variable.register_hook(_on_tuple(hook))

    def register_hook(self, hook):
        """Call hook((), (gradient,)) after the gradient has been added."""
        seen = []
        before = self.variable.register_hook(lambda gradient: seen.append(gradient))
        after = self.variable.register_post_accumulate_grad_hook(lambda variable: hook((), (seen.pop(),)))
        return RemovableHandles((before, after))

    def __eq__(self, other):
        return type(other) is AccumulateGrad and other.variable is self.variable

    def __hash__(self):
        return hash(id(self.variable))

    def name(self):
        """Return ``torch::autograd::AccumulateGrad``."""
        return "torch::autograd::AccumulateGrad"


class GradientEdge(NamedTuple):
    """The place of the graph where a tensor's gradient arrives: a node, and which of its outputs the tensor is."""

    node: Node | AccumulateGrad
    output_nr: int
    ownership_token: Node | None = None


class RemovableHandle:
    """Handle of a hook in a dict of hooks; ``remove()`` takes it out again, and so does leaving a ``with`` block."""

    _next_id = itertools.count()

    def __init__(self, hooks, hook, *, first=False):
        self.id = next(RemovableHandle._next_id)
        self._hooks = weakref.ref(hooks) if hasattr(hooks, "__weakref__") else (lambda: hooks)
        hooks[self.id] = hook
        if first:
            hooks.move_to_end(self.id, last=False)

    def remove(self):
        """Remove the hook; harmless when it is gone already."""
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()


class RemovableHandles(RemovableHandle):
    """The handles of several hooks as one."""

    def __init__(self, handles):
        self.handles = handles

    def remove(self):
        """Remove all the hooks."""
        for handle in self.handles:
            handle.remove()


def check_can_require_grad(array):
    """RuntimeError unless the array's dtype can have a gradient."""
    if array.dtype.char not in FLOAT_CODES:
        raise RuntimeError(
            f"only Tensors of floating point and complex dtype can require gradients, but this one is {array.dtype}; "
            "convert it first, for example with .float()"
        )


def is_tracked(tensor):
    """Return whether operations on this tensor are recorded when grad mode is on."""
    return type(tensor) is not Tensor and tensor._requires_grad


def make_variable(array, node):
    """Return a tracked Variable on a raw array, made by a node."""
    variable = _new(Variable)
    variable.array = array
    variable.node = node
    variable._requires_grad = True
    variable._grad = None
    return variable


def rebind(tensor, node):
    """Make node the origin of a tensor that was written in place (None: it is part of no graph any more)."""
    before = tensor.node
    tensor.node = node
    tensor._requires_grad = node is not None
    move_retained(tensor, before, node)


def move_retained(tensor, before, node):
    """Let retain_grad, asked for at the node a tensor had before, go on to the node it has now."""
    if before is None or before.retained is None or before is node or before.retained() is not tensor:
        return
    if node is not None:
        node.retained, node.observed = before.retained, True
    before.retained = None


def promote(tensor, requires_grad=False):
    """Turn a plain Tensor into a Variable, in place: the same object, never the other way."""
    if type(tensor) is Tensor:
        tensor.__class__ = Variable
        tensor.node = None
        tensor._grad = None
        tensor._requires_grad = requires_grad
    return tensor


_warned_of_conversion = False


class Variable(Tensor):
    """A Tensor that is a node of the computational graph: it stores data and receives a gradient.

    ``Variable(tensor, requires_grad=False)`` shares the tensor's memory. Since any tensor can be given
    ``requires_grad=True``, which turns it into a Variable, nobody has to wrap or unwrap.
    Source: https://docs.pytorch.org/docs/stable/autograd.html#variable-deprecated

    >>> import minigrad as mg
    >>> x = mg.Variable(mg.tensor([3.0]), requires_grad=True)
    >>> (x * x).backward()
    >>> x.grad
    tensor([6.])
    """

    __slots__ = ()

    def __new__(cls, data=None, requires_grad=False, volatile=False):
        if volatile:
            import warnings

            warnings.warn(
                "volatile was removed and now has no effect. Use `with minigrad.no_grad():` instead.", stacklevel=2
            )
        self = _new(cls)
        if isinstance(data, Tensor):
            data._mark_aliased()
            self.array = data.array
            self._aliased = True
        else:
            self.array = data_array([] if data is None else data)
        if requires_grad:
            check_can_require_grad(self.array)
        self.node = None
        self._grad = None
        self._requires_grad = bool(requires_grad)
        return self

    def __float__(self):
        self._warn_of_conversion()
        return super().__float__()

    def __complex__(self):
        self._warn_of_conversion()
        return super().__complex__()

    def _warn_of_conversion(self):
        """Warn, once in a process as PyTorch, that a number has no gradient."""
        global _warned_of_conversion
        if not (self._requires_grad and MODE.grad) or _warned_of_conversion:
            return
        import warnings

        _warned_of_conversion = True
        warnings.warn(
            "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
            "Consider using tensor.detach() first.",
            stacklevel=3,
        )

    @property
    def requires_grad(self):
        """Whether operations on this tensor are recorded."""
        return self._requires_grad

    @property
    def grad_fn(self):
        """The graph node that made this tensor; None for a leaf."""
        return named(self.node) if self._requires_grad else None

    @property
    def is_leaf(self):
        """Whether no recorded operation made this tensor."""
        return not self._requires_grad or self.node is None

    @property
    def grad(self):
        """The gradient accumulated by backward; None before. Of a non-leaf only retain_grad() keeps it."""
        if self._grad is None and self._requires_grad and self.node is not None and self.node.retained is None:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. It won't be populated by "
                "backward(): call .retain_grad() on the tensor first, or look at the leaf.",
                stacklevel=2,
            )
        return self._grad

    def numpy(self, *, force=False):
        """Return a NumPy array on the same memory: see Tensor.numpy. Where nothing is recorded, of any tensor."""
        return super().numpy(force=force) if force or MODE.grad else self.detach().numpy()

    @property
    def retains_grad(self):
        """Whether a non-leaf keeps its gradient."""
        return self.node is not None and self.node.retained is not None

    def __copy__(self):
        """Return another leaf on the same memory, without a gradient."""
        clone = new_leaf(type(self) if type(self) is not View else Variable, self.array, self._requires_grad)
        self._mark_aliased()
        clone._aliased = True
        clone.__dict__.update(self._user_attributes())
        return clone

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment; "
                "use .detach().clone() on this one"
            )
        clone = _new(type(self) if type(self) is not View else Variable)
        if isinstance(self, Parameter):
            clone.array = self.array.copy("K")
        else:
            copy_memory_once(self, clone, memo)
        clone.node, clone._requires_grad = None, self._requires_grad
        memo[id(self)] = clone
        # As in PyTorch a copied Parameter starts without a gradient.
        clone._grad = None if isinstance(self, Parameter) else copy.deepcopy(self._grad, memo)
        clone.__dict__.update(copy.deepcopy(self._user_attributes(), memo))
        return clone

    def __reduce_ex__(self, protocol):
        kind = Variable if type(self) is View else type(self)
        return rebuild_variable, (
            kind, *in_memory_order(self.array), str(self.device), self._requires_grad, self._user_attributes()
        )  # fmt: skip


class Parameter(Variable):
    """A Variable that a Module registers as learnable when it is assigned as an attribute.

    Arguments: data (Tensor; shares memory), requires_grad (bool, default True).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html

    >>> import minigrad as mg
    >>> mg.nn.Parameter(mg.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data=None, requires_grad=True):
        return Variable.__new__(cls, data, requires_grad)

    def __repr__(self):
        return "Parameter containing:\n" + Tensor.__repr__(self)


class View(Variable):
    """A tensor on the memory of another, its base: when the base is written in place its own graph follows.

    Its node is looked up, not stored: after an in-place write to the base or to a sibling view, a new node is
    recorded that reads this view out of the rewritten base.
    """

    __slots__ = ()
    # A view's node and flag live in __dict__ over these defaults: an untracked view sets neither.
    _view_node = None
    _view_tracked = False
    _seen = 0

    def _follow(self):
        base = self._base
        before = self._view_node
        self._seen = base._generation
        self._view_node = View.read_from_base(self, base) if is_tracked(base) else None
        self._view_tracked = self._view_node is not None
        move_retained(self, before, self._view_node)

    @property
    def node(self):
        """The graph node that made this view."""
        if self._seen != self._base._generation:
            self._follow()
        return self._view_node

    @node.setter
    def node(self, node):
        self._view_node = node

    @property
    def _requires_grad(self):
        if self._seen != self._base._generation:
            self._follow()
        return self._view_tracked

    @_requires_grad.setter
    def _requires_grad(self, value):
        self._view_tracked = value

    @staticmethod
    def read_from_base(view, base):
        """Return the node that reads the view out of its base (set by inplace.py, which knows the operation)."""
        raise NotImplementedError


def become_own_base(view):
    """Let a view that starts a graph or a memory of its own stop following its base."""
    node, tracked, base = view.node, view._requires_grad, view._base
    view.__class__ = Variable
    for name in ("_base", "_view_node", "_view_tracked", "_seen"):
        view.__dict__.pop(name, None)
    view.node, view._requires_grad = node, tracked
    view._written = base._written
    view._aliased = True


def view_on(array, source, node):
    """Return the View of a raw array that lies on the memory of the tensor source, made by a node (or None)."""
    root = source._base
    if root is None:
        root = source
    if not root._aliased:
        root._aliased = True
    view = _new(View)
    view.array = array
    view._grad = None
    view._base = root
    if node is not None:
        view._view_node = node
        view._view_tracked = True
    if root._generation:
        view._seen = root._generation
    return view


def rebuild_variable(kind, array, order, device_name, requires_grad, attributes):
    """Return the Variable, Parameter or other kind of them that was pickled, as a leaf."""
    variable = new_leaf(kind, move(in_order(array, order), device(device_name)), requires_grad)
    variable.__dict__.update(attributes)
    return variable


def new_leaf(cls, array, requires_grad=False):
    """Return a tensor of a class (Variable, or a user's subclass of Tensor) on a raw array, without calling it."""
    leaf = _new(cls)
    leaf.array = array
    leaf.node = None
    leaf._grad = None
    leaf._requires_grad = requires_grad
    return leaf


_GRAPH_ATTRIBUTES = (
    "requires_grad", "grad_fn", "is_leaf", "grad", "retains_grad", "__copy__", "__deepcopy__", "__reduce_ex__",
)  # fmt: skip


def _take_part_in_graphs(cls, **kwargs):
    """Give a user's subclass of Tensor what a Variable has, for its objects can't be promoted to one."""
    super(Tensor, cls).__init_subclass__(**kwargs)
    if not issubclass(cls, Variable):
        for name in _GRAPH_ATTRIBUTES:
            if all(name not in base.__dict__ for base in cls.__mro__[: cls.__mro__.index(Tensor)]):
                setattr(cls, name, Variable.__dict__[name])
        on_subclass()


def on_subclass():
    """Called for every user's subclass of Tensor (set by minigrad/__init__.py: overrides.install)."""


Tensor.__init_subclass__ = classmethod(_take_part_in_graphs)
