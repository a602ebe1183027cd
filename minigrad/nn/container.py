"""Containers: Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

import operator
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from minigrad.backend import dtype as backend_dtype
from minigrad.nn.activation import ReLU
from minigrad.nn.module import Module, indented
from minigrad.nn.pairs import BEFORE_RELU, call_pair
from minigrad.tensor import Tensor
from minigrad.variable import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class _Indexed(Module):
    """Modules registered as "0", "1", …: what Sequential and ModuleList share."""

    def _absolute(self, idx):
        """Return the non-negative position of an index; IndexError out of range."""
        idx = operator.index(idx)
        count = len(self)
        if not -count <= idx < count:
            raise IndexError(f"index {idx} is out of range")
        return idx % count if count else idx

    def _key(self, idx):
        return list(self._modules)[self._absolute(idx)]

    def _renumber(self, modules):
        """Register the modules as "0", "1", …"""
        self._modules = type(self._modules)((str(i), module) for i, module in enumerate(modules))

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def __delitem__(self, idx):
        keys = list(self._modules)[idx] if isinstance(idx, slice) else [self._key(idx)]
        for key in keys:
            del self._modules[key]
        self._renumber(list(self._modules.values()))

    def pop(self, key):
        """Remove a module by position and return it."""
        module = self[key]
        del self[key]
        return module

    def append(self, module):
        """Add a module at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self


class Sequential(_Indexed):
    """Modules called one after the other, each on the previous one's result.

    Arguments: modules, or one OrderedDict of them by name.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html

    >>> import minigrad as mg
    >>> model = mg.nn.Sequential(mg.nn.Flatten(), mg.nn.Linear(6, 4), mg.nn.ReLU())
    >>> model(mg.ones(5, 2, 3)).shape
    minigrad.Size([5, 4])
    """

    def __init__(self, *args):
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for position, module in enumerate(args):
                self.add_module(str(position), module)

    def forward(self, input):
        """Return the last module's result."""
        waiting = None  # for the next module: the two may be one operation
        for module in self._modules.values():
            if waiting is not None:
                if type(module) is ReLU:
                    input = call_pair(waiting, module, input)
                    waiting = None
                    continue
                input = waiting(input)
                waiting = None
            if type(module) in BEFORE_RELU:
                waiting = module
            else:
                input = module(input)
        return input if waiting is None else waiting(input)

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(OrderedDict(list(self._modules.items())[idx]))
        return self._modules[self._key(idx)]

    def __setitem__(self, idx, module):
        setattr(self, self._key(idx), module)

    def __add__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return Sequential(*self, *other)

    def __iadd__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        for module in list(other):
            self.append(module)
        return self

    def __mul__(self, other):
        self._check_factor(other)
        return Sequential(*(list(self) * other))

    __rmul__ = __mul__

    def __imul__(self, other):
        self._check_factor(other)
        modules = list(self)
        for module in modules * (other - 1):
            self.append(module)
        return self

    def _check_factor(self, factor):
        if not isinstance(factor, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(factor)}")
        if factor <= 0:
            raise ValueError(f"Non-positive multiplication factor {factor} for {type(self)}")

    def insert(self, index, module):
        """Put a module before position index; returns self."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        count = len(self)
        if not -count <= index <= count:
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def extend(self, sequential):
        """Add the modules of an iterable at the end; returns self."""
        for module in list(sequential):
            self.append(module)
        return self


class ModuleList(_Indexed):
    """Modules in a list.

    Argument: modules (iterable).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html

    >>> import minigrad as mg
    >>> layers = mg.nn.ModuleList([mg.nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self += modules

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(list(self._modules.values())[idx])
        return self._modules[str(self._absolute(idx))]

    def __setitem__(self, idx, module):
        setattr(self, str(self._absolute(idx)), module)

    def __iadd__(self, modules):
        return self.extend(modules)

    def __add__(self, other):
        combined = ModuleList()
        for position, module in enumerate([*self, *other]):
            combined.add_module(str(position), module)
        return combined

    def insert(self, index, module):
        """Put a module before position index."""
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)

    def extend(self, modules):
        """Add the modules of an iterable at the end; returns self."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleList.extend should be called with an iterable, but got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def __repr__(self):
        if not len(self):
            return self._get_name() + "()"
        runs = []  # equal neighbours are shown once, as (first-last): count x layer
        for position, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1][1] = position
            else:
                runs.append([position, position, text])
        lines = []
        for first, last, text in runs:
            if first != last:
                text = f"({first}-{last}): {last - first + 1} x {text}"
            else:
                text = f"({first}): {text}"
            lines.append(indented(text, 2))
        return self._get_name() + "(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module):
    """Modules in an ordered dict.

    Argument: modules (mapping or iterable of (name, module)).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleDict.html

    >>> import minigrad as mg
    >>> choices = mg.nn.ModuleDict({"relu": mg.nn.ReLU(), "tanh": mg.nn.Tanh()})
    >>> list(choices)
    ['relu', 'tanh']
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def clear(self):
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key):
        """Remove a module by name and return it."""
        module = self[key]
        del self[key]
        return module

    def keys(self):
        """Return the names."""
        return self._modules.keys()

    def items(self):
        """Return the (name, module) pairs."""
        return self._modules.items()

    def values(self):
        """Return the modules."""
        return self._modules.values()

    def update(self, modules):
        """Add or replace modules from a mapping or an iterable of (name, module)."""
        _update(self, modules, "ModuleDict")


class ParameterList(Module):
    """Parameters in a list; tensors put into it become Parameters.

    Argument: values (iterable).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ParameterList.html

    >>> import minigrad as mg
    >>> mg.nn.ParameterList([mg.ones(2), mg.zeros(3)])
    ParameterList(
        (0): Parameter containing: [minigrad.float32 of size 2]
        (1): Parameter containing: [minigrad.float32 of size 3]
    )
    """

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self += values

    def _absolute(self, idx):
        idx = operator.index(idx)
        if not -len(self) <= idx < len(self):
            raise IndexError(f"index {idx} is out of range")
        return str(idx % len(self))

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            out = type(self)()
            for position in range(*idx.indices(len(self))):
                out.append(self[position])
            return out
        return getattr(self, self._absolute(idx))

    def __setitem__(self, idx, param):
        setattr(self, self._absolute(idx), _as_parameter(param))

    def __len__(self):
        return self._size

    def __iter__(self):
        return iter([self[position] for position in range(len(self))])

    def __iadd__(self, parameters):
        return self.extend(parameters)

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, value):
        """Add a value at the end; returns self."""
        setattr(self, str(self._size), _as_parameter(value))
        self._size += 1
        return self

    def extend(self, values):
        """Add the values of an iterable at the end; returns self."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self):
        """Return a line per value."""
        return _described(enumerate(self), repr)

    def __repr__(self):
        return _listing(self)

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """Parameters in an ordered dict; tensors put into it become Parameters.

    Argument: parameters (mapping or iterable of (name, value)).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ParameterDict.html

    >>> import minigrad as mg
    >>> scales = mg.nn.ParameterDict({"left": mg.ones(1)})
    >>> [name for name, _ in scales.named_parameters()]
    ['left']
    """

    def __init__(self, parameters=None):
        super().__init__()
        self._keys = {}
        if parameters is not None:
            self.update(parameters)

    def _attribute(self, key):
        """Return the attribute name of a key."""
        if not isinstance(key, str):
            raise TypeError(
                "Index given to ParameterDict cannot be used as a key as it is not a string "
                f"(type is '{type(key).__name__}')."
            )
        return key

    def __getitem__(self, key):
        return getattr(self, self._attribute(key))

    def __setitem__(self, key, value):
        setattr(self, self._attribute(key), _as_parameter(value))
        self._keys[key] = None

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, self._attribute(key))

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(list(self._keys))

    def __contains__(self, key):
        return key in self._keys

    def __or__(self, other):
        combined = self.copy()
        combined.update(other)
        return combined

    def __ror__(self, other):
        combined = other.copy() if isinstance(other, ParameterDict) else ParameterDict(other)
        combined.update(self)
        return combined

    def __ior__(self, other):
        self.update(other)
        return self

    def copy(self):
        """Return a ParameterDict with the same values."""
        return ParameterDict(OrderedDict((key, self[key]) for key in self._keys))

    def setdefault(self, key, default=None):
        """Return the value of a key, set to default first if there is none."""
        if key not in self._keys:
            self[key] = default
        return self[key]

    def clear(self):
        """Remove everything."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key):
        """Remove a value by name and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Remove the last value and return (name, value)."""
        key, _ = self._keys.popitem()
        self._keys[key] = None
        return key, self.pop(key)

    def get(self, key, default=None):
        """Return the value of a key, or default."""
        return self[key] if key in self else default

    def fromkeys(self, keys, default=None):
        """Return a ParameterDict with the keys, all of value default."""
        return ParameterDict((key, default) for key in keys)

    def keys(self):
        """Return the names."""
        return self._keys.keys()

    def items(self):
        """Return the (name, value) pairs."""
        return ((key, self[key]) for key in self._keys)

    def values(self):
        """Return the values."""
        return (self[key] for key in self._keys)

    def update(self, parameters):
        """Add or replace values from a mapping or an iterable of (name, value)."""
        _update(self, parameters, "ParameterDict")

    def extra_repr(self):
        """Return a line per value."""
        return _described(self.items(), _legacy_name)

    def __repr__(self):
        return _listing(self)

    def __call__(self, input):
        raise RuntimeError("ParameterDict should not be called.")


def _as_parameter(value):
    """Return a tensor as a Parameter; everything else as it is."""
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _update(container, items, name):
    """Set the items of a mapping or of an iterable of pairs."""
    if not isinstance(items, Iterable):
        raise TypeError(
            f"{name}.update should be called with an iterable of key/value pairs, but got {type(items).__name__}"
        )
    if isinstance(items, (Mapping, ModuleDict, ParameterDict)):
        pairs = list(items.items())
        if type(items) is dict and name == "ParameterDict":
            pairs = sorted(pairs)
    else:
        pairs = []
        for position, pair in enumerate(items):
            if not isinstance(pair, Iterable):
                raise TypeError(
                    f"{name} update sequence element #{position} should be Iterable; is {type(pair).__name__}"
                )
            pair = tuple(pair)
            if len(pair) != 2:
                raise ValueError(f"{name} update sequence element #{position} has length {len(pair)}; 2 is required")
            pairs.append(pair)
    for key, value in pairs:
        container[key] = value


_LEGACY_NAMES = {
    "float16": "Half", "float32": "Float", "float64": "Double", "int64": "Long", "int32": "Int", "int16": "Short",
    "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip


def _legacy_name(dtype):
    """Return the old name of a dtype's tensors, which ParameterDict shows."""
    return f"{backend_dtype.package}.{_LEGACY_NAMES.get(dtype.name, dtype.name)}Tensor"


def _described(items, dtype_text):
    """Return PyTorch's lines on the values of a list or dict of parameters."""
    lines = []
    for key, value in items:
        if isinstance(value, Tensor):
            size = "x".join(str(length) for length in value.shape)
            place = f" ({value.device})" if value.is_cuda else ""
            kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
            lines.append(f"  ({key}): {kind} containing: [{dtype_text(value.dtype)} of size {size}{place}]")
        else:
            lines.append(f"  ({key}): Object of type: {type(value).__name__}")
    return "\n".join(lines)


def _listing(container):
    """Return the repr of a list or dict of parameters."""
    lines = [line for line in container.extra_repr().split("\n") if line]
    for name, module in container._modules.items():
        lines.append(f"({name}): " + indented(repr(module), 2))
    if len(lines) == 1 and not container._modules:
        return f"{container._get_name()}({lines[0]})"
    return f"{container._get_name()}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{container._get_name()}()"
