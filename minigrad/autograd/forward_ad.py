"""Dual numbers: tensors with a tangent, which every function of them gets as well.

There is no forward mode: a dual tensor is one that is tracked, and the tangent of a result comes from two backward
passes when it is unpacked. Inside ``no_grad`` nothing is tracked, so there tangents are lost (PyTorch keeps them).
Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.forward_ad.dual_level.html

>>> import minigrad as mg
>>> import minigrad.autograd.forward_ad as forward_ad
>>> with forward_ad.dual_level():
...     x = forward_ad.make_dual(mg.tensor([1.0, 2.0]), mg.tensor([1.0, 0.0]))
...     print(forward_ad.unpack_dual(x * x))
UnpackedDualTensor(primal=tensor([1., 4.]), tangent=tensor([2., 0.]))
"""

import threading
from typing import NamedTuple

from minigrad import engine
from minigrad.autograd.grad_mode import enable_grad
from minigrad.autograd.graph import leads_out
from minigrad.backend import xp
from minigrad.tensor import Tensor, wrap
from minigrad.variable import MODE, Variable, is_tracked, new_leaf

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


class _Level(threading.local):
    duals = None  # [(tensor, tangent)] of the level entered; None outside


_LEVEL = _Level()


class UnpackedDualTensor(NamedTuple):
    """The value of a dual tensor, and its tangent (None where it does not depend on one)."""

    primal: Tensor
    tangent: Tensor | None


def enter_dual_level():
    """Enter the level in which dual tensors exist and return its number, 0; RuntimeError within another."""
    if _LEVEL.duals is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _LEVEL.duals = []
    return 0


def exit_dual_level(*, level=None):
    """Leave the level: its tensors have no tangents any more. RuntimeError outside of one."""
    if _LEVEL.duals is None or level not in (None, 0):
        raise RuntimeError("Trying to exit a forward AD level that was not entered.")
    _LEVEL.duals = None


class dual_level:  # noqa: N801 - PyTorch's name
    """Enter a level for a ``with`` block."""

    def __enter__(self):
        return enter_dual_level()

    def __exit__(self, *exception):
        exit_dual_level()


def make_dual(tensor, tangent, *, level=None):
    """Return the tensor with a tangent, of its shape.

    RuntimeError outside of a level, for another shape and for a tensor that has a tangent; ValueError for integers.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.forward_ad.make_dual.html
    """
    if _LEVEL.duals is None or level not in (None, 0):
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    for name, value in (("primal", tensor), ("tangent", tangent)):
        if not (value.is_floating_point() or value.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {value.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(tensor.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    if any(dual is tensor for dual, _ in _LEVEL.duals):
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level 0 is not "
            "supported."
        )
    with enable_grad():
        if is_tracked(tensor):
            dual = tensor.view_as(tensor)
        else:
            dual = new_leaf(Variable, tensor.array, True)
            tensor._mark_aliased()
            dual._aliased = True
    _LEVEL.duals.append((dual, tangent))
    return dual


def unpack_dual(tensor, *, level=None):
    """Return (primal, tangent) of a tensor; both are part of the graph where recorded tensors went into them.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.forward_ad.unpack_dual.html
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"unpack_dual(): expected a Tensor, but got {type(tensor).__name__}")
    duals = _LEVEL.duals
    if not duals or level not in (None, 0) or not is_tracked(tensor):
        return UnpackedDualTensor(tensor, None)
    recorded = MODE.grad and leads_out(tensor, {id(dual) for dual, _ in duals}, set())
    with enable_grad():
        unit = new_leaf(Variable, xp(tensor.array).zeros_like(tensor.array), True)
        inputs = [dual for dual, _ in duals]
        linear = engine.grad(tensor, inputs, unit, retain_graph=True, create_graph=True, allow_unused=True)
        pairs = [(g, tangent) for g, (_, tangent) in zip(linear, duals, strict=True) if g is not None]
        tracked = [(g, tangent) for g, tangent in pairs if is_tracked(g)]
        tangent = None
        if tracked:
            graph = recorded or MODE.grad and any(is_tracked(t) for _, t in tracked)
            (tangent,) = engine.grad(
                [g for g, _ in tracked], unit, [t for _, t in tracked], create_graph=graph, allow_unused=True
            )
            if tangent is not None and not graph:
                tangent = tangent.detach()
    if tangent is None and pairs:
        tangent = wrap(xp(tensor.array).zeros_like(tensor.array))
    return UnpackedDualTensor(tensor if recorded else tensor.detach(), tangent)
