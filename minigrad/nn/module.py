"""Module, level 3 of 3: it holds parameters, buffers and other modules, and computes forward."""

import functools
import mmap
import weakref
from collections import OrderedDict

from minigrad.backend import FLOAT_CODES, as_dtype, move, np, xp
from minigrad.nn.hooks import (
    GLOBAL_BACKWARD_HOOKS,
    GLOBAL_BACKWARD_PRE_HOOKS,
    GLOBAL_FORWARD_HOOKS,
    GLOBAL_FORWARD_PRE_HOOKS,
    Hooks,
    call_with_hooks,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
    registered,
)
from minigrad.nn.parameter import is_lazy
from minigrad.nn.state import State
from minigrad.tensor import Tensor, as_device, wrap
from minigrad.variable import Parameter, touch

__all__ = [
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

SCRIPTED = weakref.WeakKeyDictionary()  # module that went through jit.script -> the function jit.save

# The dicts every Module has, in the order they appear in __dict__; the values make empty ones.
_STATE = {
    "training": lambda: True,
    "_parameters": dict,
    "_buffers": dict,
    "_non_persistent_buffers_set": set,
    "_backward_pre_hooks": OrderedDict,
    "_backward_hooks": OrderedDict,
    "_is_full_backward_hook": lambda: None,
    "_forward_hooks": OrderedDict,
    "_forward_hooks_with_kwargs": OrderedDict,
    "_forward_hooks_always_called": OrderedDict,
    "_forward_pre_hooks": OrderedDict,
    "_forward_pre_hooks_with_kwargs": OrderedDict,
    "_state_dict_hooks": OrderedDict,
    "_state_dict_pre_hooks": OrderedDict,
    "_load_state_dict_pre_hooks": OrderedDict,
    "_load_state_dict_post_hooks": OrderedDict,
    "_modules": dict,
}


class Module(Hooks, State):
    """Base class of all networks and layers: subclass it, make the parts in ``__init__``, compute in ``forward``.

    Parameters and Modules assigned as attributes are registered: ``parameters()``, ``state_dict()``, ``to()`` and
    ``train()`` reach them. Attributes: training (bool). Raises AttributeError for a part assigned before
    ``super().__init__()``.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html

    >>> import minigrad as mg
    >>> class Scale(mg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = mg.nn.Parameter(mg.tensor([2.0]))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> model = Scale()
    >>> model(mg.ones(2)).tolist(), [name for name, _ in model.named_parameters()]
    ([2.0, 2.0], ['factor'])
    """

    dump_patches = False
    call_super_init = False

    def __init__(self, *args, **kwargs):
        if not self.call_super_init:
            if kwargs:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            if args:
                raise TypeError(
                    f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
                )
        for name, make in _STATE.items():
            self.__dict__[name] = make()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *input):
        """Compute the module's result; every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args, **kwargs):
        if (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
            or GLOBAL_FORWARD_HOOKS
            or GLOBAL_FORWARD_PRE_HOOKS
            or GLOBAL_BACKWARD_HOOKS
            or GLOBAL_BACKWARD_PRE_HOOKS
        ):
            return call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)

    # ------------------------------------------------------------------ attributes
    def __setattr__(self, name, value):
        if isinstance(value, Parameter):
            _need_init(self, name, "parameters")
            _forget(self, name, "_buffers", "_modules")
            self.register_parameter(name, value)
            return
        own = self.__dict__
        parameters, modules, buffers = own.get("_parameters"), own.get("_modules"), own.get("_buffers")
        if parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as parameter '{name}' (minigrad.nn.Parameter or None "
                    "expected)"
                )
            self.register_parameter(name, None)
        elif isinstance(value, Module):
            _need_init(self, name, "module")
            _forget(self, name, "_parameters", "_buffers")
            modules[name] = registered("module", self, name, value)
        elif modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_name(value)}' as child module '{name}' (minigrad.nn.Module or None "
                    "expected)"
                )
            modules[name] = None
        elif buffers is not None and name in buffers:
            _set_buffer(self, name, value)
        elif isinstance(value, Tensor) and getattr(value, "_is_buffer", False):
            _need_init(self, name, "buffer")
            _forget(self, name, "_parameters", "_modules")
            self.register_buffer(name, value, value.persistent)
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name):
        own = self.__dict__
        found = own.get("_parameters")
        if found is not None and name in found:
            return found[name]
        for group in ("_modules", "_buffers"):
            found = own.get(group)
            if found is not None and name in found:
                return found[name]
        if name == "save" and self in SCRIPTED:
            return functools.partial(SCRIPTED[self], self)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'", name=name, obj=self)

    def __delattr__(self, name):
        for group in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(group, ()):
                del self.__dict__[group][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self):
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers}
        return sorted(name for name in names if not name[0].isdigit())

    def __setstate__(self, state):
        self.__dict__.update(state)
        for name, make in _STATE.items():
            self.__dict__.setdefault(name, make())

    # ------------------------------------------------------------------ registration
    def register_parameter(self, name, param):
        """Add a Parameter (or None) under a name; KeyError or TypeError for a name or value that can't be one."""
        _need_init(self, name, "parameter")
        _check_name(self, "parameter", name, self._parameters)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{_type_name(param)}' object to parameter '{name}' "
                    "(minigrad.nn.Parameter or None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
                    "explicitly. "
                    f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
                )
            param = registered("parameter", self, name, param)
        self._parameters[name] = param

    def register_buffer(self, name, tensor, persistent=True):
        """Add a tensor that is state but no parameter, such as a running mean.

        Arguments: name (str), tensor (Tensor or None), persistent (part of the state_dict).

        >>> import minigrad as mg
        >>> layer = mg.nn.Module()
        >>> layer.register_buffer("steps", mg.zeros(1))
        >>> list(layer.state_dict())
        ['steps']
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        _check_name(self, "buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_type_name(tensor)}' object to buffer '{name}' (minigrad Tensor or None required)"
            )
        self._buffers[name] = registered("buffer", self, name, tensor) if tensor is not None else None
        _set_persistent(self, name, persistent)

    def add_module(self, name, module):
        """Add a Module (or None) under a name, reachable as attribute ``name``."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_type_name(module)} is not a Module subclass")
        _need_init(self, name, "module")
        _check_name(self, "module", name, self._modules)
        self._modules[name] = None if module is None else registered("module", self, name, module)

    def register_module(self, name, module):
        """Alias of add_module."""
        self.add_module(name, module)

    # ------------------------------------------------------------------ finding parts by name
    def get_submodule(self, target):
        """Return the submodule with a dotted name ("" is this one); AttributeError if there is none."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target, module, strict=False):
        """Put a module in the place with a dotted name; with ``strict`` there has to be one already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        path, _, name = target.rpartition(".")
        if not isinstance(module, Module):
            raise ValueError(f"{module} is not an nn.Module, found {type(module)}")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target):
        """Return the parameter with a dotted name; AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        parameter = getattr(module, name)
        if not isinstance(parameter, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return parameter

    def get_buffer(self, target):
        """Return the buffer with a dotted name; AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return module._buffers[name]

    # ------------------------------------------------------------------ walking over the parts
    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        """Yield (dotted name, member) of this module and, if asked, its submodules."""
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for module_prefix, module in modules:
            for name, member in get_members_fn(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield f"{module_prefix}.{name}" if module_prefix else name, member

    def parameters(self, recurse=True):
        """Yield the parameters, each once.

        >>> import minigrad as mg
        >>> [tuple(p.shape) for p in mg.nn.Linear(2, 3).parameters()]
        [(3, 2), (3,)]
        """
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Yield (dotted name, parameter)."""
        return self._named_members(lambda module: module._parameters.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """Yield the buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Yield (dotted name, buffer)."""
        return self._named_members(lambda module: module._buffers.items(), prefix, recurse, remove_duplicate)

    def children(self):
        """Yield the modules registered in this one, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self):
        """Yield (name, module) of the modules registered in this one."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self):
        """Yield this module and all those in it, at any depth, each once."""
        for _, module in self.named_modules():
            yield module

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Yield (dotted name, module) of this module ("") and all those in it."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def apply(self, fn):
        """Call fn(module) on every module inside and then on this one; returns self.

        >>> import minigrad as mg
        >>> def zero(module):
        ...     if isinstance(module, mg.nn.Linear):
        ...         mg.nn.init.zeros_(module.weight)
        >>> mg.nn.Sequential(mg.nn.Linear(2, 1)).apply(zero)[0].weight
        Parameter containing:
        tensor([[0., 0.]], requires_grad=True)
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ------------------------------------------------------------------ modes
    def train(self, mode=True):
        """Set training mode (dropout drops, batch norm uses the batch's statistics) here and in all parts."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Set evaluation mode; the same as train(False)."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Set whether the parameters receive gradients; returns self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Forget the parameters' gradients: set them to None, or to zeros in place."""
        for parameter in self.parameters():
            gradient = parameter.grad
            if gradient is None:
                continue
            if set_to_none:
                parameter.grad = None
                continue
            if gradient.is_sparse:
                gradient.zero_()
                continue
            if gradient.grad_fn is not None:
                gradient.detach_()
            else:
                gradient.requires_grad_(False)
            gradient.array[...] = 0
            touch(gradient.array)

    # ------------------------------------------------------------------ conversion
    def _apply(self, fn, recurse=True):
        """Replace the data of every parameter and every buffer by fn of it; parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for parameter in self._parameters.values():
            if parameter is None:
                continue
            new = fn(parameter.detach())
            gradient = parameter.grad
            if new.array is not parameter.array:
                parameter.data = new
            if gradient is not None:
                new_gradient = fn(gradient.detach())
                if new_gradient.array is not gradient.array:
                    parameter.grad = new_gradient.requires_grad_(gradient.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is None:
                continue
            new = fn(buffer)
            if is_lazy(buffer):
                buffer.array = new.array
            else:
                self._buffers[name] = new
        return self

    def to(self, *args, **kwargs):
        """Move and convert parameters and buffers in place: ``to(device)``, ``to(dtype)``, ``to(tensor)``, …; returns
        self.

        Only floating-point tensors change dtype. TypeError for a dtype that is not floating point.

        >>> import minigrad as mg
        >>> mg.nn.Linear(2, 1).to(mg.float64).weight.dtype
        minigrad.float64
        """
        device, dtype = _parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        return self._apply(lambda tensor: _converted(tensor, device, dtype, only_floats=True))

    def cpu(self):
        """Move everything to the CPU."""
        return self.to("cpu")

    def cuda(self, device=None):
        """Move everything to a GPU (None: the current one)."""
        return self.to("cuda" if device is None else device)

    def float(self):
        """Convert floating-point parameters and buffers to float32."""
        return self.to(as_dtype("float32"))

    def double(self):
        """Convert floating-point parameters and buffers to float64."""
        return self.to(as_dtype("float64"))

    def half(self):
        """Convert floating-point parameters and buffers to float16."""
        return self.to(as_dtype("float16"))

    def bfloat16(self):
        """Convert floating-point parameters and buffers to bfloat16."""
        return self.to(as_dtype("bfloat16"))

    def type(self, dst_type):
        """Convert all parameters and buffers, integers too, to a dtype or a type's name such as 'FloatTensor'."""
        sample = wrap(np.zeros(1, np.float32))
        dtype = sample.type(dst_type).dtype
        return self._apply(lambda tensor: _converted(tensor, None, dtype))

    def to_empty(self, *, device, recurse=True):
        """Move to a device without keeping the values."""
        target = as_device(device)

        def emptied(tensor):
            moved = move(tensor.array, target)
            return wrap(xp(moved).empty_like(moved))

        return self._apply(emptied, recurse=recurse)

    def share_memory(self):
        """Move parameters and buffers into memory that processes forked later share with this one; returns self.

        Arrays are placed in anonymous shared maps, so writes of forked workers are seen by all. A process started by
        spawn gets copies. RuntimeError for tensors on a GPU.
        """
        return self._apply(_shared)

    def compile(self, *args, **kwargs):
        """Return self: minigrad executes eagerly, so there is nothing to compile and results are the same."""
        return self

    # ------------------------------------------------------------------ text
    def _get_name(self):
        return self.__class__.__name__

    def extra_repr(self):
        """Return what repr shows between the parentheses; override to add settings."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + indented(repr(module), 2) for name, module in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        if lines or children:
            return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"
        return f"{self._get_name()}()"

    def _repr_html_(self):
        from minigrad.html import module_html

        return module_html(self)


def _set_buffer(module, name, value):
    """Replace a registered buffer."""
    if value is not None and not isinstance(value, Tensor):
        raise TypeError(
            f"cannot assign '{_type_name(value)}' as buffer '{name}' (minigrad.nn.Buffer, minigrad.Tensor or None "
            "expected)"
        )
    if getattr(value, "_is_buffer", False):
        _set_persistent(module, name, value.persistent)
    module._buffers[name] = registered("buffer", module, name, value)


def _set_persistent(module, name, persistent):
    """Set whether a registered buffer is part of the state_dict."""
    if persistent:
        module._non_persistent_buffers_set.discard(name)
    else:
        module._non_persistent_buffers_set.add(name)


def _need_init(module, name, what):
    """AttributeError before Module.__init__ has run."""
    if "_parameters" not in module.__dict__:
        raise AttributeError(f"cannot assign {what} before Module.__init__() call (assigning '{name}')")


def _forget(module, name, *others):
    """Remove a name from where it was registered as something else."""
    module.__dict__.pop(name, None)
    for other in others:
        module.__dict__[other].pop(name, None)
    module._non_persistent_buffers_set.discard(name)


def _check_name(module, kind, name, group):
    """TypeError or KeyError for a name that can't be registered."""
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string. Got {_type_name(name)}")
    if "." in name:
        raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')
    if name not in group and hasattr(module, name):
        raise KeyError(f"attribute '{name}' already exists")


def indented(text, spaces):
    """Return the text with every line but the first indented."""
    return text.replace("\n", "\n" + " " * spaces)


def _type_name(value):
    """Return the name of a value's type as PyTorch's messages give it."""
    kind = type(value)
    if kind.__module__ in ("builtins", None):
        return kind.__name__
    return f"{kind.__module__}.{kind.__qualname__}"


def _parse_to(*args, device=None, dtype=None, non_blocking=False, copy=False, memory_format=None):
    """Return (device, dtype) of the arguments of Module.to; either may be None.

    non_blocking and memory_format only say how to store or copy; the values are the same.
    """
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
        device, dtype = other.device, other.dtype
    elif rest and _is_dtype(rest[0]):
        dtype = rest.pop(0)
    elif rest and not isinstance(rest[0], bool):
        device = rest.pop(0)
        if rest and (rest[0] is None or _is_dtype(rest[0])):
            dtype = rest.pop(0)
    if len(rest) > 2 or any(not isinstance(flag, bool) for flag in rest):
        raise TypeError(f"to() received an invalid combination of arguments: {args}")
    return (None if device is None else as_device(device)), (None if dtype is None else as_dtype(dtype))


def _is_dtype(value):
    if isinstance(value, (str, int)):
        return False
    try:
        as_dtype(value)
    except TypeError:
        return False
    return True


def _converted(tensor, device, dtype, only_floats=False):
    """Return the tensor on a device and in a dtype (None: as it is); the tensor itself if nothing changes."""
    array = tensor.array if device is None else move(tensor.array, device)
    if dtype is not None and array.dtype != dtype.numpy and not (only_floats and array.dtype.char not in FLOAT_CODES):
        array = array.astype(dtype.numpy)
    return tensor if array is tensor.array else wrap(array)


def _shared(tensor):
    """Return the tensor in memory that forked processes share."""
    array = tensor.array
    if not isinstance(array, np.ndarray):
        raise RuntimeError(f"share_memory: a tensor on {tensor.device} can't be shared by processes; use .cpu() first")
    if isinstance(_owner(array), mmap.mmap) or array.size == 0:
        return tensor
    shared = np.frombuffer(mmap.mmap(-1, array.nbytes), array.dtype).reshape(array.shape)
    shared[...] = array
    return wrap(shared)


def _owner(array):
    """Return the object that owns an array's memory."""
    owner = array
    while getattr(owner, "base", None) is not None:
        owner = owner.base
    return owner.obj if isinstance(owner, memoryview) else owner


_addindent = indented  # PyTorch's name for it, which layers outside import
