"""The registry of public functions: minigrad.NAME, Tensor.NAME, and their in-place and out= forms."""

import functools
import importlib

from minigrad.operands import CENTRAL
from minigrad.precision import autocasting
from minigrad.tensor import Tensor

FUNCTIONS = {}  # public name -> function, exported as minigrad.NAME
METHODS = {}  # public name -> function, set as Tensor.NAME
ON_DEMAND = {}  # public name -> the module, of minigrad, that is imported when minigrad.NAME is first asked for


def function(method=False, inplace=False, out=False, aliases=False, name=None, public=True):
    """Register a public function under its name, as minigrad.NAME and, if asked, as a Tensor method.

    Arguments: method (also Tensor.NAME), inplace (also Tensor.NAME_ and minigrad.NAME_: the result is written into the
    first argument), out (accept out=: the result is written there; "apart": it may not lie on an input's memory,
    "exact": and must have the result's dtype), aliases (accept NumPy's axis, keepdims, x, x1, x2 for dim, keepdim,
    input, other), name (instead of the function's), public (False: only the method).
    """

    def register(implementation):
        public_name = name or implementation.__name__
        wrapped = autocasting(implementation, public_name)
        if out or aliases:
            wrapped = _with_keywords(wrapped, public_name, out, aliases)
        if public:
            FUNCTIONS[public_name] = wrapped
        if method:
            METHODS[public_name] = wrapped
            setattr(Tensor, public_name, wrapped)
        if inplace:
            written = _in_place(wrapped, public_name + "_")
            METHODS[public_name + "_"] = written
            setattr(Tensor, public_name + "_", written)
            FUNCTIONS[public_name + "_"] = written
        return wrapped

    return register


def _in_place(implementation, public_name):
    """Return the variant of a function that writes its result into its first argument."""

    def written(self, *args, **kwargs):
        return CENTRAL["assign"](self, implementation(self, *args, **kwargs), public_name)

    written.__name__ = written.__qualname__ = public_name
    written.__doc__ = (
        f"In-place variant of {implementation.__name__}: writes the result into this tensor and returns it.\n\n"
        "    RuntimeError where the result has another shape or can't be converted to this tensor's dtype.\n"
        f"    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.{public_name}.html\n    "
    )
    return written


_ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x1": "input", "x2": "other"}


def _with_keywords(implementation, public_name, takes_out, aliases):
    """Return the function with an out= keyword and, with ``aliases``, NumPy's names of keywords."""

    @functools.wraps(implementation)
    def with_keywords(*args, **kwargs):
        if not kwargs:
            return implementation(*args)
        if aliases:
            kwargs = {_ALIASES.get(key, key): value for key, value in kwargs.items()}
        out = kwargs.pop("out", None) if takes_out else None
        result = implementation(*args, **kwargs)
        if out is None:
            return result
        if takes_out is not True:
            CENTRAL["check_out"](out, result, [*args, *kwargs.values()], public_name, takes_out == "exact")
        return CENTRAL["write_out"](out, result, public_name)

    return with_keywords


def on_demand(module, functions, methods=()):
    """Announce public functions of a module, "ops.spectrum", that is imported when one of them is first used.

    Arguments: module (name below minigrad), functions (names, each minigrad.NAME), methods (names, each Tensor.NAME).
    """
    ON_DEMAND.update(dict.fromkeys(functions, module))
    for name in methods:
        METHODS[name] = _method_on_demand(module, name)
        setattr(Tensor, name, METHODS[name])


def _method_on_demand(module, name):
    def method(self, *args, **kwargs):
        return getattr(importlib.import_module("minigrad." + module), name)(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Return minigrad.{name} of this tensor; see there."
    return method
