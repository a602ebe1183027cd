"""What a tensor can do with the graph: backward, detach, hooks, and its gradient attributes."""

import collections
import weakref

from minigrad import engine
from minigrad.backend import set_apart
from minigrad.registry import METHODS
from minigrad.rules import alias_node
from minigrad.tensor import Tensor, wrap
from minigrad.variable import (
    MODE,
    RemovableHandle,
    Variable,
    become_own_base,
    check_can_require_grad,
    is_tracked,
    new_leaf,
    promote,
    version_of,
    writes_of,
)


def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Accumulate the gradient of this tensor into ``.grad`` of the graph's leaves; see minigrad.autograd.backward.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html

    >>> import minigrad as mg
    >>> w = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> w.grad
    tensor([2., 4.])
    """
    engine.backward(self, gradient, retain_graph, create_graph, inputs)


def detach(self):
    """Return a tensor on the same memory that the graph does not know.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html

    >>> import minigrad as mg
    >>> w = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> (w * 2).detach()
    tensor([2., 4.])
    """
    self._mark_aliased()
    result = wrap(self.array)
    result._aliased = True
    owner = self if self._base is None else self._base
    if owner._written:
        result._written = owner._written
    return result


def detach_(self):
    """Take this tensor out of the graph that made it; returns it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach_.html

    >>> import minigrad as mg
    >>> w = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> (w * 2).detach_().requires_grad
    False
    """
    if self._base is not None:
        raise RuntimeError("Can't detach views in-place. Use detach() instead.")
    if is_tracked(self):
        self.node = None
        self._requires_grad = False
    return self


def as_subclass(self, cls):
    """Return the tensor as an object of a subclass of Tensor: on the same memory, or a tracked copy of a tracked one.

    The results of operations on it are ordinary tensors. TypeError for what is no subclass.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.as_subclass.html

    >>> import minigrad as mg
    >>> mg.ones(2).as_subclass(mg.nn.Parameter).__class__.__name__
    'Parameter'
    """
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass(): expected a subclass of Tensor, but got {cls!r}")
    tracked = is_tracked(self)
    if tracked and cls is Tensor:
        cls = Variable
    if not tracked:
        self._mark_aliased()
    result = new_leaf(cls, self.array.copy() if tracked else self.array, tracked)
    if tracked:
        result.node = alias_node(self.node or self, self.array.shape)
    else:
        result._aliased = True
    return result


def requires_grad_(self, requires_grad=True):
    """Set whether operations on this tensor are recorded; returns it. RuntimeError for integers and non-leaves.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.requires_grad_.html

    >>> import minigrad as mg
    >>> mg.ones(2).requires_grad_()
    tensor([1., 1.], requires_grad=True)
    """
    set_requires_grad(self, requires_grad)
    return self


def set_requires_grad(self, value):
    """Set ``requires_grad`` of a leaf."""
    if not isinstance(value, bool):
        if value not in (0, 1):
            raise TypeError(f"requires_grad must be a bool, but got {value!r}")
        value = bool(value)
    if value == self.requires_grad:
        return
    if value:
        check_can_require_grad(self.array)
    elif not self.is_leaf:
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
            "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
        )
    promote(self)
    if self._base is not None:  # a view that becomes a leaf of its own stops following its base
        become_own_base(self)
    self.node = None
    self._requires_grad = value


def retain_grad(self):
    """Keep the gradient of this non-leaf in ``.grad`` when backward passes it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.retain_grad.html

    >>> import minigrad as mg
    >>> w = mg.ones(2, requires_grad=True)
    >>> y = w * 3
    >>> y.retain_grad()
    >>> y.sum().backward()
    >>> y.grad
    tensor([1., 1.])
    """
    if not is_tracked(self):
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if self.node is not None:
        self.node.retained = weakref.ref(self)
        self.node.observed = True


def register_hook(self, hook):
    """Call hook(grad) when the gradient of this tensor has been computed; a returned tensor replaces it.

    Returns a handle with ``remove()``. RuntimeError for a tensor that does not require grad.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html

    >>> import minigrad as mg
    >>> x = mg.ones(2, requires_grad=True)
    >>> handle = x.register_hook(lambda grad: grad * 10)
    >>> x.sum().backward()
    >>> x.grad
    tensor([10., 10.])
    """
    if not is_tracked(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self.node is not None:
        return self.node.add_gradient_hook(hook)
    if self._hooks is None:
        self._hooks = collections.OrderedDict()
    return RemovableHandle(self._hooks, hook)


def register_post_accumulate_grad_hook(self, hook):
    """Call hook(tensor) after backward has added to this leaf's ``.grad``; returns a handle with ``remove()``.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.register_post_accumulate_grad_hook.html

    >>> import minigrad as mg
    >>> w = mg.ones(2, requires_grad=True)
    >>> handle = w.register_post_accumulate_grad_hook(lambda leaf: print(leaf.grad))
    >>> w.sum().backward()
    tensor([1., 1.])
    """
    if not is_tracked(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self.node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if self._post_accumulate_hooks is None:
        self._post_accumulate_hooks = collections.OrderedDict()
    return RemovableHandle(self._post_accumulate_hooks, hook)


def set_grad(self, value):
    """Set ``.grad``: None or a Tensor of this shape, dtype and device, dense or sparse."""
    if value is not None:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        sparse = value.is_sparse
        if tuple(value.shape) != self.array.shape:
            raise RuntimeError(
                f"assigned grad has data of a different size: {list(value.shape)} for a tensor of {list(self.shape)}"
            )
        if (value._values() if sparse else value).array.dtype != self.array.dtype:
            raise RuntimeError(f"assigned grad has data of a different type: {value.dtype} for {self.dtype}")
        if value.device != self.device or not (sparse or type(value.array) is type(self.array)):
            raise RuntimeError(
                f"assigned grad has data located on a different device: {value.device}, not {self.device}"
            )
    promote(self)
    self._grad = value


def get_data(self):
    """The values as an untracked tensor on the same memory; backward does not notice what is written to it."""
    result = detach(self)
    if not MODE.watchers:  # these know arrays by their identity
        result.array = set_apart(self.array)
    return result


def set_data(self, value):
    """Give this tensor another's memory, leaving the graph alone."""
    if not isinstance(value, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    if self.requires_grad:
        check_can_require_grad(value.array)
    value._mark_aliased()
    before = version_of(self)
    if self._base is not None:
        become_own_base(self)
    self.array = value.array
    self._aliased = True
    self._written = before - writes_of(self.array)  # not a write, for PyTorch


def get_version(self):
    """How often the tensor was written in place, by itself, a view or a detached tensor on the same memory.

    >>> import minigrad as mg
    >>> x = mg.zeros(3)
    >>> _ = x[1:].add_(1)
    >>> x._version
    1
    """
    return version_of(self)


for _cls in (Tensor, Variable):
    _cls.requires_grad = _cls.requires_grad.setter(set_requires_grad)
    _cls.grad = _cls.grad.setter(set_grad)
    _cls.grad = _cls.grad.deleter(lambda self: set_grad(self, None))
Tensor._is_view = lambda self: self._base is not None
Tensor._version = property(get_version, doc=get_version.__doc__)
Tensor.data = property(get_data, set_data, doc=get_data.__doc__)
for _method in (
    backward,
    detach,
    detach_,
    as_subclass,
    requires_grad_,
    retain_grad,
    register_hook,
    register_post_accumulate_grad_hook,
):
    METHODS[_method.__name__] = _method
    setattr(Tensor, _method.__name__, _method)
