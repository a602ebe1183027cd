"""state_dict and load_state_dict: a Module's parameters and buffers by name."""

import warnings
import weakref
from collections import OrderedDict, namedtuple
from collections.abc import Mapping

from minigrad.backend import move
from minigrad.inplace import write_memory
from minigrad.nn.hooks import HookHandle
from minigrad.tensor import Tensor
from minigrad.variable import Parameter

_EXTRA_STATE = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What load_state_dict did not find, and what it found no use for."""

    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class State:
    """The saving and loading part of Module."""

    _version = 1

    # ------------------------------------------------------------------ saving
    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """Return an OrderedDict with every parameter and persistent buffer by its dotted name.

        Arguments: destination (dict to fill), prefix (put before each name), keep_vars (keep the tensors themselves
        instead of detached ones on the same memory). Its ``_metadata`` holds each module's ``_version``.
        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html

        >>> import minigrad as mg
        >>> list(mg.nn.Linear(2, 3).state_dict())
        ['weight', 'bias']
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead: state_dict(destination=, prefix=, "
                "keep_vars=)",
                FutureWarning,
                stacklevel=2,
            )
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, local_metadata)
            if changed is None:
                continue
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = changed
        return destination

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """Put this module's own parameters and buffers, not its children's, into destination."""
        for name, tensor in own_state(self):
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            destination[prefix + _EXTRA_STATE] = self.get_extra_state()

    def get_extra_state(self):
        """Return what else to store in the state_dict; override together with set_extra_state."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called. "
            "Override get_extra_state() and set_extra_state() to store more than tensors."
        )

    def set_extra_state(self, state):
        """Take back what get_extra_state returned."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called. "
            "Override get_extra_state() and set_extra_state() to store more than tensors."
        )

    # ------------------------------------------------------------------ hooks
    def register_state_dict_pre_hook(self, hook):
        """Call hook(module, prefix, keep_vars) before state_dict; returns a handle."""
        return HookHandle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook):
        """Call hook(module, state_dict, prefix, local_metadata) after state_dict is made, to change it in place."""
        hook._from_public_api = True
        return HookHandle(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook):
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered"
            )
        return HookHandle(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook):
        """Call hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        before this module's own part is loaded; returns a handle."""
        return HookHandle(self._load_state_dict_pre_hooks, _LoadPreHook(hook, self))

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        return HookHandle(self._load_state_dict_pre_hooks, _LoadPreHook(hook, self if with_module else None))

    def register_load_state_dict_post_hook(self, hook):
        """Call hook(module, incompatible_keys) after loading; it may change the two lists. Returns a handle."""
        return HookHandle(self._load_state_dict_post_hooks, hook)

    # ------------------------------------------------------------------ loading
    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copy parameters and buffers by name from a state_dict; returns (missing_keys, unexpected_keys).

        Arguments: strict (the names must match exactly), assign (take the tensors themselves instead of copying their
        values). RuntimeError names every missing or unexpected key and every size mismatch; as in PyTorch, what did
        fit has been loaded by then.
        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html

        >>> import minigrad as mg
        >>> a, b = mg.nn.Linear(2, 3), mg.nn.Linear(2, 3)
        >>> a.load_state_dict(b.state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing, unexpected, errors = [], [], []
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata
        _load(self, state_dict, "", metadata, assign, missing, unexpected, errors)
        if strict:
            if unexpected:
                errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
            if missing:
                errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
        if errors:
            raise RuntimeError(
                "Error(s) in loading state_dict for {}:\n\t{}".format(type(self).__name__, "\n\t".join(errors))
            )
        return _IncompatibleKeys(missing, unexpected)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        """Load this module's own parameters and buffers, not its children's; problems are added to the lists."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        local_state = dict(own_state(self))
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, tensor in local_state.items():
            key = prefix + name
            if key in state_dict:
                problem = _load_one(self, name, key, tensor, state_dict[key], assign)
                if problem:
                    error_msgs.append(problem)
            elif strict:
                missing_keys.append(key)
        extra = prefix + _EXTRA_STATE
        if type(self).set_extra_state is not State.set_extra_state:
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            elif strict:
                missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)
        if strict:
            for key in state_dict:
                if not key.startswith(prefix) or key == extra:
                    continue
                first, dot, _ = key[len(prefix) :].partition(".")
                if first not in (self._modules if dot else local_state):
                    unexpected_keys.append(key)


class _LoadPreHook:
    """A load_state_dict pre-hook, given its module as first argument where it wants it."""

    def __init__(self, hook, module):
        self.hook = hook
        self.module = None if module is None else weakref.ref(module)

    def __call__(self, *args):
        return self.hook(*args) if self.module is None else self.hook(self.module(), *args)

    def __getstate__(self):
        return {"hook": self.hook, "module": None if self.module is None else self.module()}

    def __setstate__(self, state):
        self.__init__(state["hook"], state["module"])


def own_state(module):
    """Yield (name, tensor) of this module's own parameters and persistent buffers."""
    for name, tensor in module._parameters.items():
        if tensor is not None:
            yield name, tensor
    for name, tensor in module._buffers.items():
        if tensor is not None and name not in module._non_persistent_buffers_set:
            yield name, tensor


def _load_one(module, name, key, tensor, value, assign):
    """Load one tensor; returns what is wrong with it, or None."""
    if not isinstance(value, Tensor):
        return (
            f'While copying the parameter named "{key}", expected minigrad.Tensor or Tensor-like object from '
            f"checkpoint but received {type(value)}"
        )
    lazy = getattr(tensor, "is_uninitialized", False)
    if not lazy and tensor.ndim == 0 and value.ndim == 1 and value.numel() > 0:
        value = value[0]  # files of PyTorch 0.3 hold scalars as one-element vectors
    if not lazy and tensor.shape != value.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
            f"the shape in current model is {tensor.shape}."
        )
    try:
        if assign:
            _assign_tensor(module, name, tensor, value)
        else:
            write_memory(tensor, move(value.array, tensor.device))
    except Exception as error:  # reported together with the others
        return (
            f'While copying the parameter named "{key}", whose dimensions in the model are {tensor.size()} and '
            f"whose dimensions in the checkpoint are {value.size()}, an exception occurred : {error.args}."
        )
    return None


def _assign_tensor(module, name, tensor, value):
    """Make the loaded tensor itself the parameter or buffer."""
    if isinstance(tensor, Parameter):
        if not isinstance(value, Parameter):
            value = Parameter(value, requires_grad=tensor.requires_grad)
        elif value.requires_grad != tensor.requires_grad:
            value.requires_grad_(tensor.requires_grad)
    setattr(module, name, value)


def _load(module, state_dict, prefix, metadata, assign, missing, unexpected, errors):
    """Load a module and its children, and run the post-hooks."""
    local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
    if assign:
        local_metadata = {**local_metadata, "assign_to_params_buffers": True}
    module._load_from_state_dict(state_dict, prefix, local_metadata, True, missing, unexpected, errors)
    for name, child in module._modules.items():
        if child is not None:
            child_prefix = f"{prefix}{name}."
            part = OrderedDict((key, value) for key, value in state_dict.items() if key.startswith(child_prefix))
            _load(child, part, child_prefix, metadata, assign, missing, unexpected, errors)
    incompatible = _IncompatibleKeys(missing, unexpected)
    for hook in module._load_state_dict_post_hooks.values():
        if hook(module, incompatible) is not None:
            raise AssertionError(
                "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values; "
                "change incompatible_keys in place."
            )


def _quoted(keys):
    return ", ".join(f'"{key}"' for key in keys)
