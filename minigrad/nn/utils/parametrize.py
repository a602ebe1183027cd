"""Parametrisations: a parameter computed from others whenever it is read.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
"""

import contextlib
import copy
from collections.abc import Sequence

from minigrad.absent import getter
from minigrad.autograd.grad_mode import no_grad
from minigrad.nn.container import ModuleDict, ModuleList
from minigrad.nn.parameter import Parameter
from minigrad.tensor import Tensor

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]


class _Cache:
    """Values computed inside ``cached()`` blocks."""

    depth = 0
    values = {}


@contextlib.contextmanager
def cached():
    """Compute every parametrised tensor once inside the block."""
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.values = {}


def _keep_tensor(module, name, tensor, was_parameter):
    """Register a tensor as a parameter or buffer of a module."""
    if was_parameter:
        module.register_parameter(name, tensor if isinstance(tensor, Parameter) else Parameter(tensor))
    else:
        module.register_buffer(name, tensor)


class ParametrizationList(ModuleList):
    """The parametrisations of one tensor, applied one after the other to ``original`` (or original0, original1, …).

    Raises ValueError or TypeError where a right inverse does not give tensors that forward takes.
    """

    def __init__(self, modules, original, unsafe=False):
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        was_parameter = isinstance(original, Parameter)
        with no_grad():
            new = original
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with contextlib.suppress(NotImplementedError):
                        new = module.right_inverse(new)
        if not isinstance(new, Tensor) and not isinstance(new, Sequence):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if new is not original and was_parameter:
                original.data = new
                new = original
            _keep_tensor(self, "original", new, was_parameter)
        else:
            for position, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                        f"Got element {position} of the sequence with type {type(part).__name__}."
                    )
                part = Parameter(part.detach(), original.requires_grad) if was_parameter else part
                _keep_tensor(self, f"original{position}", part, was_parameter)
        if not unsafe:
            self._check(shape, dtype)

    def _check(self, shape, dtype):
        """ValueError unless forward gives a tensor of the original's shape and dtype."""
        with no_grad():
            result = self()
        if not isinstance(result, Tensor):
            raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
        if result.dtype != dtype or result.shape != shape:
            raise ValueError(
                "Registering a parametrization may not change the shape or dtype of the tensor, unless `unsafe` flag "
                "is "
                f"enabled: {list(shape)} {dtype} became {list(result.shape)} {result.dtype}."
            )

    def _originals(self):
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value):
        """Give the originals the values for which forward returns ``value``. RuntimeError without a right_inverse."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse: its tensor can't "
                        "be set"
                    )
                value = module.right_inverse(value)
            values = [value] if self.is_tensor else list(value)
            if len(values) != self.ntensors:
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got {len(values)}."
                )
            for original, new in zip(self._originals(), values, strict=True):
                if original.dtype != new.dtype:
                    raise ValueError(f"right_inverse returned a tensor of {new.dtype}, not {original.dtype}.")
                original.data = new.detach().clone()

    def forward(self):
        """Return the parametrised tensor."""
        originals = self._originals()
        first, *others = list(self)
        value = first(*originals)
        for module in others:
            value = module(value)
        return value


def _parametrized_class(module):
    """Give a module a class of its own, on which properties can be put."""
    base = type(module)

    def __deepcopy__(self, memo):
        found = memo.get(id(self))
        if found is not None:
            return found
        twin = self.__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def __getstate__(self):
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(): save that instead."
        )

    members = {"__getstate__": __getstate__, "__module__": base.__module__}
    if not hasattr(base, "__deepcopy__"):
        members["__deepcopy__"] = __deepcopy__
    module.__class__ = type(f"Parametrized{base.__name__}", (base,), members)


def _add_property(module, name):
    """Make an attribute of a parametrised module be computed when read, and set through right_inverse."""

    def read(self):
        if not _Cache.depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _Cache.values:
            _Cache.values[key] = self.parametrizations[name]()
        return _Cache.values[key]

    def write(self, value):
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, write))


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Compute a parameter or buffer of a module by ``parametrization`` (a Module) whenever it is read; returns module.

    The stored tensor becomes ``module.parametrizations.NAME.original``. If the parametrisation has ``right_inverse``
    the attribute keeps its value, and can be assigned. ValueError if there is no such tensor or its shape or dtype
    would change (allowed with ``unsafe``).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html

    >>> import minigrad as mg
    >>> from minigrad.nn.utils import parametrize
    >>> class Symmetric(mg.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).transpose(-1, -2)
    >>> layer = parametrize.register_parametrization(mg.nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.t()).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        chain = module.parametrizations[tensor_name]
        if not unsafe:
            with no_grad():
                before = chain()
                after = parametrization(before)
            if not isinstance(after, Tensor) or after.shape != before.shape or after.dtype != before.dtype:
                raise ValueError(
                    "Registering a parametrization may not change the shape or dtype of the tensor, unless `unsafe` "
                    "flag "
                    f"is enabled: {type(parametrization).__name__} on {tensor_name} of shape {list(before.shape)}."
                )
            if hasattr(parametrization, "right_inverse"):
                with no_grad():
                    chain.right_inverse(parametrization.right_inverse(before))
        chain.append(parametrization)
        chain.unsafe |= unsafe
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    chain = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _parametrized_class(module)
        module.parametrizations = ModuleDict()
    _add_property(module, tensor_name)
    module.parametrizations[tensor_name] = chain
    return module


def is_parametrized(module, tensor_name=None):
    """Return whether a module, or one tensor of it, is parametrised."""
    parametrizations = getattr(module, "parametrizations", None)
    if not isinstance(parametrizations, ModuleDict):
        return False
    return tensor_name in parametrizations if tensor_name is not None else len(parametrizations) > 0


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Make a parametrised tensor an ordinary one again: with its computed value, or the original; returns module.

    ValueError if the tensor is not parametrised, or the original is asked for and there are several.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    chain = module.parametrizations[tensor_name]
    originals = chain._originals()
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name).detach().clone()
        if chain.is_tensor:
            original = originals[0]
            original.data = value
        elif any(isinstance(part, Parameter) for part in originals):
            original = Parameter(value, any(part.requires_grad for part in originals))
        else:
            original = value
    else:
        if not chain.is_tensor:
            raise ValueError(
                "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
                "sequence of tensors."
            )
        original = originals[0]
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    _keep_tensor(module, tensor_name, original, isinstance(original, Parameter))
    return module


def type_before_parametrizations(module):
    """Return the class a module had before it was parametrised."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module, to_module, tensor_name=None):
    """Give one module the parametrisations and the originals of another; returns to_module."""
    if not is_parametrized(from_module):
        return to_module
    names = [tensor_name] if tensor_name is not None else list(from_module.parametrizations)
    for name in names:
        if not is_parametrized(from_module, name):
            continue
        if not hasattr(to_module, name):
            setattr(to_module, name, copy.deepcopy(from_module.parametrizations[name]._originals()[0]))
        for parametrization in from_module.parametrizations[name]:
            register_parametrization(to_module, name, copy.deepcopy(parametrization), unsafe=True)
        target = to_module.parametrizations[name]._originals()
        for mine, theirs in zip(target, from_module.parametrizations[name]._originals(), strict=True):
            mine.data = theirs.detach().clone()
    return to_module


__getattr__ = getter(__name__)
