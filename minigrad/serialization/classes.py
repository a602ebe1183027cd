"""Classes and functions of whole objects: PyTorch's names for them, and what a file may make of them.

With weights_only=False a file may name subclasses of Module that are imported, the classes of torch.nn and torch.optim,
and the functions of torch.nn.functional. Objects of such classes are allocated without a call of anything the program
has written, and get their state as data; functions and classes are values, which the file can't call.
"""

import argparse
import importlib
import pickle
import sys
import types
from collections import OrderedDict
from pickle import UnpicklingError

from minigrad.nn import functional, multihead
from minigrad.nn.module import Module
from minigrad.optim.lr_scheduler import LRScheduler
from minigrad.optim.optimizer import Optimizer
from minigrad.registry import FUNCTIONS
from minigrad.serialization.placeholders import Name, expect
from minigrad.tensor import Tensor
from minigrad.variable import Parameter

# Module here -> of PyTorch, where the name is another; the beginnings of classes' names come before their module.
_PLACES = {
    "minigrad.nn.multihead": "torch.nn.modules.activation",
    "minigrad.nn.parallel": "torch.nn.parallel.data_parallel",
    "minigrad.nn.parameter": "torch.nn.parameter",
    "minigrad.nn.functional": "torch.nn.functional",
    "minigrad.optim.adafactor": "torch.optim",
    "minigrad.optim.muon": "torch.optim",
}
_SPLIT = {
    "BatchNorm": "batchnorm", "LazyBatchNorm": "batchnorm", "SyncBatchNorm": "batchnorm",
    "InstanceNorm": "instancenorm", "LazyInstanceNorm": "instancenorm",
    "ChannelShuffle": "channelshuffle", "PixelShuffle": "pixelshuffle", "PixelUnshuffle": "pixelshuffle",
}  # fmt: skip
_ALIASES = {
    ("torch.optim.lr_scheduler", "_LRScheduler"): "LRScheduler",
}
_FUNCTIONS_IN = ("torch.nn.functional", "torch._C._nn", "torch")
_SIMPLE = frozenset("sin cos exp log abs sqrt square".split())
_BASES = (Module, Optimizer, LRScheduler, argparse.Namespace)


def reference(value):
    """Return the (module, name) by which a class or function is written; PicklingError where that does not find it."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    module = getattr(value, "__module__", None) or pickle.whichmodule(value, name)
    if module.startswith("minigrad"):
        theirs = _name_in_pytorch(value, module, name)
        if theirs is not None:
            return theirs
    found = sys.modules.get(module)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        found = None
    if found is not value:
        raise pickle.PicklingError(f"Can't pickle {value!r}: it's not found as {module}.{name}")
    return module, name


def _name_in_pytorch(value, module, name):
    if (module, name) == ("minigrad.nn.utils.rnn", "PackedSequence"):
        return "torch.nn.utils.rnn", name
    if isinstance(value, type) and issubclass(value, (Module, Optimizer, LRScheduler)):
        head, _, last = module.rpartition(".")
        if module.startswith("minigrad.optim.lr_scheduler"):
            return "torch.optim.lr_scheduler", name
        if name == "NonDynamicallyQuantizableLinear":
            return "torch.nn.modules.linear", name
        if module in _PLACES:
            return _PLACES[module], name
        if head == "minigrad.nn" and hasattr(importlib.import_module("minigrad.nn.modules"), last):
            last = next((place for start, place in _SPLIT.items() if name.startswith(start)), last)
            return f"torch.nn.modules.{last}", name
        if head == "minigrad.optim":
            return f"torch.optim.{last}", name
    elif not isinstance(value, type):
        for place, owner in (("torch.nn.functional", functional), ("torch", sys.modules["minigrad"])):
            for public in (name, name.removeprefix("_torch_")):
                if bare(vars(owner).get(public)) is bare(value):
                    return place, public
    return None


def bare(function):
    """Return a function without what the first subclass of Tensor put around all of them."""
    return getattr(function, "__wrapped__", function)


def find_class(module, name):
    """Return the class or function that a file may name with weights_only=False, or None."""
    if module in _FUNCTIONS_IN and (function := _function(name)) is not None:
        return function
    if (module, name) == ("argparse", "Namespace"):
        return argparse.Namespace
    if module == "torch" or module.startswith("torch."):
        found = _class_of_pytorch(module, name)
    else:
        found = sys.modules.get(module)
        for part in name.split("."):  # vars(), as getattr() may call what the program wrote
            found = vars(found).get(part) if type(found) in (type(sys), type) else None
    if not issubclass(type(found), type) or not issubclass(found, _BASES):
        return None
    if any("__del__" in vars(base) for base in found.__mro__):
        raise UnpicklingError(
            f"{module}.{name} has a method __del__, which a file could call with what it likes: save state_dict()"
        )
    return found


def _function(name):
    """Return the function of torch.nn.functional, or simple one of torch, of a name, or None."""
    if type(name) is not str or name.startswith("_"):
        return None
    found = FUNCTIONS[name] if name in _SIMPLE else vars(functional).get(name)
    known = type(bare(found)) is types.FunctionType and found.__module__.startswith(("minigrad.ops.", "minigrad.nn."))
    return found if known else None


def _class_of_pytorch(module, name):
    """Return the class here for one of torch.nn or torch.optim, or None."""
    owners = "torch.nn", "torch.optim.lr_scheduler", "torch.optim"
    owner = next((owner for owner in owners if f"{module}.".startswith(f"{owner}.")), "")
    name = _ALIASES.get((module, name), name)
    if not owner or not name.isidentifier() or name.startswith("_"):
        return None
    here = importlib.import_module(owner.replace("torch", "minigrad", 1))
    found = getattr(here, name, None) or getattr(multihead, name, None)
    known = isinstance(found, type) and found.__module__.startswith("minigrad.") and reference(found) == (module, name)
    return found if known else None


def make_attribute(unpickler, owner, name):
    """Return the function of PyTorch that its pickles write as getattr(class of functions, name)."""
    if not isinstance(owner, Name) or owner.name != FUNCTIONS_CLASS or (function := _function(name)) is None:
        raise UnpicklingError(f"the checkpoint calls getattr for {str(name)[:40]!r}, which is not allowed")
    return function


FUNCTIONS_CLASS = "torch._C._VariableFunctionsClass"


def allocate(cls):
    """Return an object of a class without calling its __new__ or __init__."""
    return object.__new__(cls)


def set_state(target, state):
    """Give an allocated object its attributes; UnpicklingError for what is no state of its class."""
    kind = type(target)
    if type(state) is not dict or not all(type(name) is str for name in state):
        raise UnpicklingError(f"the checkpoint is damaged: the state of a {kind.__name__} is no dict of attributes")
    if issubclass(kind, Module):
        _check_parts(kind, state)
    own = next((base for base in kind.__mro__ if "__setstate__" in vars(base)), None)
    if own is not None and own.__module__.partition(".")[0] != "minigrad":
        raise UnpicklingError(
            f"{kind.__module__}.{kind.__qualname__} has its own __setstate__, which load does not call: if you trust "
            f"the file, allow it with minigrad.serialization.safe_globals([{kind.__name__}]), or else save state_dict()"
        )
    if own is not None:
        target.__setstate__(state)
    else:
        object.__getattribute__(target, "__dict__").update(state)


_PARTS = {"_parameters": Parameter, "_buffers": Tensor, "_modules": Module}


def _check_parts(kind, state):
    for name, expected in _PARTS.items():
        for part in expect(state.get(name, {}), dict, OrderedDict).values():
            if part is not None and not isinstance(part, expected):
                raise UnpicklingError(
                    f"the checkpoint is damaged: {kind.__name__}.{name} has a {type(part).__name__} among them"
                )
