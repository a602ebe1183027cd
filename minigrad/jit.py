"""torch.jit where nothing is compiled: scripting and tracing give the function or module itself, which runs eagerly.

Source: https://docs.pytorch.org/docs/stable/jit.html
"""

import typing
from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: F401, UP035 - programs import them from here

from minigrad import serialization
from minigrad.absent import getter
from minigrad.nn.module import SCRIPTED, Module

Final = typing.Final


class ScriptModule(Module):
    """A module whose methods PyTorch would compile: here a plain Module."""

    def save(self, f, _extra_files=None):
        """Write the module, as jit.save does."""
        save(self, f, _extra_files)


class ScriptFunction:
    """The type of PyTorch's compiled functions: no function here is one, so isinstance() says False."""

    def __new__(cls, *args):
        raise RuntimeError("jit.ScriptFunction: functions are not compiled; call the function itself")


def script(obj, optimize=None, _frames_up=0, _rcb=None, example_inputs=None):
    """Return the function, module or class itself: it runs eagerly, to the same results.

    TypeError for what can't be called.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.jit.script.html

    >>> import minigrad as mg
    >>> mg.jit.script(mg.nn.ReLU())
    ReLU()
    """
    if not callable(obj):
        raise TypeError(f"jit.script: expected a function, module or class, but got {type(obj).__name__}")
    return _with_save(obj)


def _with_save(obj):
    """Return the object; a module has a method ``save`` from then on."""
    import builtins

    if builtins.isinstance(obj, Module):
        SCRIPTED[obj] = save
    return obj


def trace(func, example_inputs=None, *, example_kwarg_inputs=None, **options):
    """Return the function or module itself after running it on the example once, which shows errors as tracing does.

    Unlike a trace, branches and loops go on depending on the data. Options: those of PyTorch (``strict``,
    ``check_trace``, ``check_inputs``, ``check_tolerance``, …), of which none is needed here; TypeError for others.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.jit.trace.html

    >>> import minigrad as mg
    >>> traced = mg.jit.trace(lambda x: x + 1, mg.zeros(2))
    >>> traced(mg.ones(3))
    tensor([2., 2., 2.])
    """
    known = {"optimize", "check_trace", "check_inputs", "check_tolerance", "strict"}
    if unknown := set(options) - known:
        raise TypeError(f"trace() got an unexpected keyword argument '{min(unknown)}'")
    if example_kwarg_inputs is not None:
        func(**example_kwarg_inputs)
    elif example_inputs is None:
        raise RuntimeError("jit.trace: example_kwarg_inputs or example_inputs is needed")
    else:
        func(*(example_inputs if isinstance(example_inputs, (tuple, list)) else (example_inputs,)))
    return _with_save(func)


def trace_module(mod, inputs, **options):
    """Return the module after running its methods on examples: {name of a method: its arguments}."""
    for name, arguments in inputs.items():
        trace(getattr(mod, name), arguments, **options)
    return mod


def _itself(fn):
    """Return what is decorated: it runs eagerly."""
    return fn


script_method = export = script_if_tracing = interface = _itself


def ignore(drop=False, **kwargs):
    """Return the function, or the decorator that does: nothing is compiled, so nothing is left out."""
    return drop if callable(drop) else _itself


unused = _itself


def annotate(the_type, the_value):
    """Return the value: Python needs no types."""
    return the_value


def Attribute(value, type):  # noqa: A002, N802 - PyTorch's names
    """Return the value: Python's attributes need no types."""
    return value


def isinstance(obj, target_type):  # noqa: A001 - PyTorch's name
    """Return whether an object is of a type; of List[T], Dict[K, V] and the like, the outer type is looked at."""
    import builtins

    return builtins.isinstance(obj, typing.get_origin(target_type) or target_type)


def is_scripting():
    """Return False: the program is never compiled."""
    return False


is_tracing = is_scripting


def freeze(mod, preserved_attrs=None, optimize_numerics=True):
    """Return a module in evaluation mode as it is; RuntimeError for one that trains."""
    if mod.training:
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. "
            "Please call .eval() on your module before freezing."
        )
    return mod


def optimize_for_inference(mod, other_methods=None):
    """Return the module in evaluation mode; models.optimize_for_inference really makes one faster."""
    return mod.eval()


def save(m, f, _extra_files=None):
    """Write a module as ``minigrad.save`` does, whole: its class is named, no code is in the file.

    RuntimeError for _extra_files; see minigrad.save.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.jit.save.html

    >>> import io
    >>> import minigrad as mg
    >>> file = io.BytesIO()
    >>> mg.jit.script(mg.nn.ReLU()).save(file)
    >>> _ = file.seek(0)
    >>> mg.jit.load(file)
    ReLU()
    """
    if _extra_files:
        raise RuntimeError("jit.save: _extra_files are not written; save them with minigrad.save beside the module")
    serialization.save(m, f)


def load(f, map_location=None, _extra_files=None, _restore_shapes=False):
    """Read a module that jit.save of minigrad wrote, whose class is imported.

    RuntimeError for _extra_files and for TorchScript's archives, which hold compiled code; see minigrad.load.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.jit.load.html
    """
    if _extra_files:
        raise RuntimeError("jit.load: _extra_files are not read; save them with minigrad.save beside the module")
    return _with_save(serialization.load(f, map_location, weights_only=False))


class Future:
    """What fork returns: the result of a function that has run already."""

    def __init__(self, value):
        self._value = value

    def wait(self):
        """Return the result."""
        return self._value

    value = wait

    def done(self):
        """Return True: the function ran before fork returned."""
        return True


def fork(func, *args, **kwargs):
    """Call a function at once, as PyTorch does outside of compiled code, and return its Future."""
    return Future(func(*args, **kwargs))


def wait(future):
    """Return the result of a Future."""
    return future.wait()


__getattr__ = getter(__name__)
