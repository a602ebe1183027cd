"""__torch_function__: classes that decide what functions of them do, and subclasses of Tensor that stay subclasses.

Nothing is looked up while no program asks for it: the first subclass of Tensor (or the first TorchFunctionMode) puts
dispatching functions in the places of the public functions, of Tensor's methods and of what nn's layers call. Names
that were imported from minigrad before that stay as they were. Classes that are no tensors are seen from then on.
Source: https://docs.pytorch.org/docs/stable/torch.overrides.html

>>> import minigrad as mg
>>> class Metres(mg.Tensor):
...     pass
>>> type(mg.ones(2).as_subclass(Metres).sum() * 2).__name__
'Metres'
"""

import functools
import importlib
import sys
import threading
import types as _types

from minigrad.absent import getter
from minigrad.registry import FUNCTIONS, METHODS
from minigrad.tensor import Tensor
from minigrad.variable import Parameter, Variable, View, promote

__all__ = [
    "BaseTorchFunctionMode", "TorchFunctionMode", "get_ignored_functions", "get_overridable_functions",
    "handle_torch_function", "has_torch_function", "is_tensor_like", "is_tensor_method_or_property", "resolve_name",
    "wrap_torch_function",
]  # fmt: skip

_PLAIN = frozenset((Tensor, Variable, View, Parameter))
_IGNORED = frozenset(("is_tensor", "tensor", "as_tensor", "asarray", "from_numpy", "as_subclass", "is_storage"))
_BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
_OPERATORS = frozenset(
    [f"__{prefix}{name}__" for name in _BINARY.split() for prefix in ("", "r", "i")]
    + [f"__{name}__" for name in "eq ne lt le gt ge neg pos abs invert getitem setitem reversed rdiv".split()]
)
# The methods that operators are one with.
_SAME = {"radd": "add", "rmul": "mul", "truediv": "div", "mod": "remainder"}
_SAME |= {name: name for name in ("add", "sub", "mul", "pow", "matmul", "neg", "abs")}
_PROPERTIES = ("T", "mT", "H", "mH", "real", "imag", "data")


class _State(threading.local):
    disabled = False
    modes = ()


_STATE = _State()


class _Public:
    """A public function or method that asks its arguments' classes first; equal to the function itself."""

    def __init__(self, function, where, name=None, same=None):
        functools.update_wrapper(self, function)
        self.__name__ = self.__qualname__ = name or function.__name__
        self._function, self._where = function, where
        self._same = same or function  # what it is equal to

    def __call__(self, *args, **kwargs):
        if not _STATE.disabled:
            found = _overloaded((*args, *kwargs.values()))
            if found or _STATE.modes:
                return _dispatched(self, found, args, kwargs)
        return self._function(*args, **kwargs)

    def __get__(self, instance, owner=None):
        return self if instance is None else _types.MethodType(self, instance)

    def __eq__(self, other):
        return self._same == (other._same if isinstance(other, _Public) else other)

    def __hash__(self):
        return hash(self._same)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return _Public, (self._function, self._where, self.__name__, self._same)

    def __repr__(self):
        return f"<function {self._where}.{getattr(self, '__name__', '')}>"


class _NoTorchFunction:
    """The ``__torch_function__`` of classes whose functions are never dispatched, such as Parameter."""

    def __call__(self, func, types, args=(), kwargs=None):
        with _Disabled():
            return func(*args, **(kwargs or {}))


_disabled_torch_function_impl = _NoTorchFunction()


class _Disabled:
    """Within the block functions are called as they are."""

    def __enter__(self):
        self._before = _STATE.disabled
        _STATE.disabled = True

    def __exit__(self, *exception):
        _STATE.disabled = self._before


def _handler(kind):
    """Return the __torch_function__ of a class; None where it has none or a disabled one."""
    if kind in _PLAIN:
        return None
    handler = getattr(kind, "__torch_function__", None)
    if handler is None or handler is _disabled_torch_function_impl:
        return None
    if not issubclass(kind, Tensor) and hasattr(kind, "__dlpack__"):
        return None  # another library's tensor: PyTorch's would call the function again, and so for ever
    return handler


def _overloaded(values):
    """Return the classes of arguments that have a __torch_function__, each once, subclasses before their bases."""
    found = []
    for value in values:
        for item in value if type(value) in (list, tuple) else (value,):
            kind = type(item)
            if kind in _PLAIN or _handler(kind) is None:
                continue
            kind = _VIEWED.get(kind, kind)
            if kind not in found:
                found.insert(next((i for i, other in enumerate(found) if issubclass(kind, other)), len(found)), kind)
    return found


def _dispatched(public, kinds, args, kwargs):
    """Return what the mode, or the first class that does not decline, makes of a call."""
    if _STATE.modes:
        before, mode = _STATE.modes, _STATE.modes[-1]
        _STATE.modes = before[:-1]
        try:
            result = mode.__torch_function__(public, tuple(kinds), args, kwargs)
        finally:
            _STATE.modes = before
        if result is not NotImplemented:
            return result
    for kind in kinds:
        result = kind.__torch_function__(public, tuple(kinds), args, kwargs)
        if result is not NotImplemented:
            return result
    raise TypeError(
        f"Multiple dispatch failed for {resolve_name(public)!r}; all __torch_function__ handlers returned "
        f"NotImplemented: {', '.join(map(repr, kinds))}"
    )


def _default(cls, func, types, args=(), kwargs=None):
    """Run the function and return its tensors as tensors of this class; NotImplemented next to unrelated classes."""
    if not all(issubclass(cls, kind) for kind in types):
        return NotImplemented
    with _Disabled():
        result = func(*args, **(kwargs or {}))
    return result if cls is Tensor else _converted(result, cls, args)


def _converted(result, cls, args):
    """Return a result, or the tensors in it, as tensors of a class."""
    if isinstance(result, (tuple, list)) and any(isinstance(item, Tensor) for item in result):
        items = [_converted(item, cls, args) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    if not isinstance(result, Tensor) or isinstance(result, (cls, Parameter)):
        return result
    if any(result is arg for arg in args) or type(result) not in _PLAIN:
        return result.as_subclass(cls)
    if type(result) is View:
        result.__class__ = _view_class(cls)
    else:
        promote(result).__class__ = cls
    return result


@functools.cache
def _view_class(cls):
    """Return the class of a subclass's views: as View they follow what is written to their base."""
    kind = type(cls.__name__, (cls, View), {"__module__": cls.__module__, "__qualname__": cls.__qualname__})
    _VIEWED[kind] = cls
    return kind


_VIEWED = {}  # class of a subclass's views -> the subclass


def _iterate(self):
    """Iterate over the slices along dimension 0."""
    if self.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def _wrapped(function, where):
    known = _PUBLIC.get(id(function))
    if known is None:
        known = _PUBLIC[id(function)] = _Public(function, where)
    return known


_PUBLIC = {}  # id of a function -> its dispatching form


def dispatching(function):
    """Return the form of a function that asks its arguments' classes; itself if it has none."""
    found = _PUBLIC.get(id(function))
    return function if found is None else found


_NAMESPACES = ("minigrad.nn.functional", "minigrad.linalg", "minigrad.special", "minigrad.fft")


def _is_public(name, value):
    return not name.startswith("_") and name not in _IGNORED and isinstance(value, _types.FunctionType)


def _wrap_names(space, defined_in, where):
    """Replace the functions in a module or class that come from a package by dispatching ones."""
    for name, value in list(vars(space).items()):
        if _is_public(name, value) and value.__module__.startswith(defined_in):
            setattr(space, name, _wrapped(value, where))


def _wrap_layers(module):
    """Replace the functions that a file of layers calls."""
    where = "minigrad.nn.functional"
    _wrap_names(module, "minigrad.ops.", where)
    for name, value in list(vars(module).items()):
        if isinstance(value, _types.ModuleType) and value.__name__.startswith("minigrad.ops."):
            copy = _types.ModuleType(value.__name__, value.__doc__)
            vars(copy).update(vars(value))
            _wrap_names(copy, "minigrad.ops.", where)
            setattr(module, name, copy)
        elif isinstance(value, type) and isinstance(value.__dict__.get("_function"), staticmethod):
            value._function = staticmethod(_wrapped(value._function, where))


def install():
    """Put dispatching functions in the places of minigrad's own; once."""
    if "__torch_function__" in Tensor.__dict__:
        return
    Tensor.__torch_function__ = classmethod(_default)
    Parameter.__torch_function__ = _disabled_torch_function_impl
    packages = [sys.modules[name] for name in ("minigrad", "minigrad.compat.torch") if name in sys.modules]
    for name, function in FUNCTIONS.items():
        for package in packages:
            if _is_public(name, function) and package.__dict__.get(name) is function:
                setattr(package, name, _wrapped(function, "minigrad"))
    for where in _NAMESPACES:
        module = importlib.import_module(where)
        for name in getattr(module, "__all__", ()):
            getattr(module, name)  # some are imported on demand
        _wrap_names(module, "minigrad.", where)
    for name, module in list(sys.modules.items()):
        if name.startswith("minigrad.nn."):
            _wrap_layers(module)
    methods = {name: value for name, value in vars(Tensor).items() if name in _OPERATORS or name in METHODS}
    for name, value in methods.items():
        if name not in _IGNORED:
            plain = _SAME.get(name.strip("_"), name) if name in _OPERATORS else name
            setattr(Tensor, name, _Public(value, "minigrad.Tensor", plain, methods.get(plain)))
    Tensor.__iter__ = _iterate
    for name in _PROPERTIES:
        found = Tensor.__dict__[name]
        getter = _Public(found.fget, f"minigrad.Tensor.{name}", "__get__")
        setattr(Tensor, name, property(getter, found.fset, found.fdel, found.__doc__))


class TorchFunctionMode:
    """Sees every call of a public function in its ``with`` block, as ``__torch_function__(func, types, args, kwargs)``.

    Source: https://docs.pytorch.org/docs/stable/torch.overrides.html

    >>> import minigrad as mg
    >>> class Names(mg.overrides.TorchFunctionMode):
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         print(func.__name__)
    ...         return func(*args, **(kwargs or {}))
    >>> with Names():
    ...     y = mg.add(mg.ones(2), 1)
    ones
    add
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        raise NotImplementedError(f"{type(self).__name__} does not define __torch_function__")

    def __enter__(self):
        install()
        _STATE.modes = (*_STATE.modes, self)
        return self

    def __exit__(self, *exception):
        _STATE.modes = _STATE.modes[:-1]


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that calls every function as it is."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def is_tensor_like(inp):
    """Return whether an object is a tensor or has a ``__torch_function__``.

    >>> import minigrad as mg
    >>> mg.overrides.is_tensor_like(mg.ones(2)), mg.overrides.is_tensor_like(2)
    (True, False)
    """
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


def has_torch_function(relevant_args):
    """Return whether some of the arguments have a ``__torch_function__`` to be asked."""
    return not _STATE.disabled and bool(_STATE.modes or _overloaded(tuple(relevant_args)))


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Return what the relevant arguments' classes make of public_api(*args, **kwargs); TypeError where all decline."""
    return _dispatched(public_api, _overloaded(tuple(relevant_args)), args, kwargs)


def wrap_torch_function(dispatcher):
    """Return a decorator for functions that first ask the classes of their relevant arguments, dispatcher(*args)."""

    def decorate(function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return decorate


def get_overridable_functions():
    """Return {namespace: its functions that are dispatched}."""
    install()
    spaces = [Tensor, *(sys.modules[name] for name in ("minigrad", *_NAMESPACES))]
    return {space: [value for value in vars(space).values() if isinstance(value, _Public)] for space in spaces}


def get_ignored_functions():
    """Return the set of public functions that are never dispatched."""
    return {found for name in _IGNORED for found in (FUNCTIONS.get(name), METHODS.get(name)) if found is not None}


def resolve_name(f):
    """Return a function's public name, such as "minigrad.add"; None for others."""
    return f"{f._where}.{f.__name__}" if isinstance(f, _Public) else None


def is_tensor_method_or_property(func):
    """Return whether a function is a method or property of Tensor."""
    return isinstance(func, _Public) and func._where.startswith("minigrad.Tensor")


__getattr__ = getter(__name__)
