"""Exchanging two tensors."""

import gc
import weakref

from minigrad.tensor import Tensor
from minigrad.variable import Node, View

_SLOTS = ("array", "node", "_grad", "_requires_grad")


def swap_tensors(t1, t2):
    """Exchange everything that two tensors are, data, class, gradient and attributes, whoever refers to them.

    RuntimeError for a tensor that is a view, has views or weak references, or is part of a graph: these would belong
    to the other one afterwards.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.utils.swap_tensors.html

    >>> import minigrad as mg
    >>> a, b = mg.zeros(2), mg.nn.Parameter(mg.ones(3))
    >>> mg.utils.swap_tensors(a, b)
    >>> a, b
    (Parameter containing:
    tensor([1., 1., 1.], requires_grad=True), tensor([0., 0.]))
    """
    for name, tensor in (("t1", t1), ("t2", t2)):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"swap_tensors: expected {name} to be a Tensor, but got {type(tensor).__name__}")
        reason = _held_by(tensor)
        if reason:
            raise RuntimeError(f"Cannot swap {name} because {reason}")
    states = [(tensor.__class__, dict(tensor.__dict__), _slots_of(tensor)) for tensor in (t2, t1)]
    for tensor, (kind, attributes, slots) in zip((t1, t2), states, strict=True):
        for name in _SLOTS:
            if name in _slots_of(tensor):
                Tensor.__dict__[name].__delete__(tensor)
        tensor.__class__ = kind
        tensor.__dict__.clear()
        tensor.__dict__.update(attributes)
        for name, value in slots.items():
            Tensor.__dict__[name].__set__(tensor, value)


def _slots_of(tensor):
    """Return the values in a tensor's slots that are set."""
    found = {}
    for name in _SLOTS:
        try:
            found[name] = Tensor.__dict__[name].__get__(tensor)
        except AttributeError:
            continue
    return found


def _held_by(tensor):
    """Return why a tensor can't become another one; None if it can."""
    if weakref.getweakrefcount(tensor):
        return "it has weakref associated with it"
    if isinstance(tensor, View) or tensor._base is not None:
        return "it is a view of another tensor; clone() it first"
    if tensor.grad_fn is not None:
        return "it is part of a graph; detach() it first"
    for referrer in gc.get_referrers(tensor):
        if isinstance(referrer, View) or isinstance(referrer, dict) and referrer.get("_base") is tensor:
            return "it has views"
        if type(referrer) is tuple and any(isinstance(owner, Node) for owner in gc.get_referrers(referrer)):
            return "a graph leads to it: its AccumulateGrad node is in use"
    return None
