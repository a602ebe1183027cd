"""Hooks of a Module: functions called before or after its forward and its backward."""

from collections import OrderedDict

from minigrad.absent import getter
from minigrad.op import Op
from minigrad.tensor import Tensor, wrap
from minigrad.variable import MODE, RemovableHandle, is_tracked

# Hooks of every Module: see register_module_forward_hook and its like.
GLOBAL_FORWARD_PRE_HOOKS = OrderedDict()
GLOBAL_FORWARD_HOOKS = OrderedDict()
GLOBAL_FORWARD_HOOKS_ALWAYS = {}
GLOBAL_FORWARD_HOOKS_WITH_KWARGS = {}
GLOBAL_BACKWARD_PRE_HOOKS = OrderedDict()
GLOBAL_BACKWARD_HOOKS = OrderedDict()
REGISTRATION_HOOKS = {"parameter": OrderedDict(), "module": OrderedDict(), "buffer": OrderedDict()}


class HookHandle(RemovableHandle):
    """Handle of a hook that may also have flags (with_kwargs, always_call) in dicts beside the hooks.

    It refers to the dicts themselves, so that a copied module's handles remove the copy's hooks.
    """

    def __init__(self, hooks, hook, *flags, first=False):
        self.id = next(RemovableHandle._next_id)
        self._dicts = (hooks, *flags)
        hooks[self.id] = hook
        if first:
            hooks.move_to_end(self.id, last=False)
        for flag in flags:
            flag[self.id] = True

    def remove(self):
        """Remove the hook and its flags."""
        for entries in self._dicts:
            entries.pop(self.id, None)


class Hooks:
    """The hook part of Module: registration, and the call that runs them."""

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call hook(module, args), or hook(module, args, kwargs), before forward.

        Arguments: prepend (before the hooks registered already), with_kwargs (the hook sees and may change the keyword
        arguments: it returns None or (args, kwargs)); without it a returned value replaces the arguments. Returns a
        handle with ``remove()``.
        Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html

        >>> import minigrad as mg
        >>> layer = mg.nn.Identity()
        >>> handle = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
        >>> layer(mg.zeros(2))
        tensor([1., 1.])
        """
        flags = (self._forward_pre_hooks_with_kwargs,) if with_kwargs else ()
        return HookHandle(self._forward_pre_hooks, hook, *flags, first=prepend)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call hook(module, args, output), or hook(module, args, kwargs, output), after forward.

        A value other than None replaces the output; always_call runs the hook even where forward raised. Returns a
        handle with ``remove()``.

        >>> import minigrad as mg
        >>> layer = mg.nn.Identity()
        >>> handle = layer.register_forward_hook(lambda module, args, output: output * 2)
        >>> layer(mg.ones(2))
        tensor([2., 2.])
        """
        flags = [self._forward_hooks_with_kwargs] if with_kwargs else []
        flags += [self._forward_hooks_always_called] if always_call else []
        return HookHandle(self._forward_hooks, hook, *flags, first=prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call hook(module, grad_output) before the gradients of the inputs are computed.

        A returned tuple replaces the gradients of the outputs. Returns a handle with ``remove()``.
        """
        return HookHandle(self._backward_pre_hooks, hook, first=prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call hook(module, grad_input, grad_output) when the gradients of the inputs have been computed.

        Both are tuples with None for what is no tensor or needs no gradient; a returned tuple replaces grad_input.
        Returns a handle with ``remove()``. RuntimeError if the module has hooks of register_backward_hook.

        >>> import minigrad as mg
        >>> layer = mg.nn.Identity()
        >>> handle = layer.register_full_backward_hook(lambda module, grad_input, grad_output: (grad_input[0] * 10,))
        >>> x = mg.ones(2, requires_grad=True)
        >>> layer(x).sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        _choose_backward_kind(self, full=True)
        return HookHandle(self._backward_hooks, hook, first=prepend)

    def register_backward_hook(self, hook):
        """Call hook(module, grad_input, grad_output) in backward: the deprecated form of register_full_backward_hook.

        PyTorch's version hands over the gradients of the module's last operation, whatever its inputs are; this one
        those of the module's inputs, which is what its documentation says.
        """
        _choose_backward_kind(self, full=False)
        return HookHandle(self._backward_hooks, hook)


def _choose_backward_kind(module, full):
    """RuntimeError when regular and full backward hooks would be mixed."""
    if module._is_full_backward_hook is (not full):
        kind, other = ("full", "regular") if full else ("regular", "full")
        raise RuntimeError(
            f"Cannot use both regular backward hooks and full backward hooks on a single Module ({kind} asked for, "
            f"{other} registered). Please use only one of them."
        )
    module._is_full_backward_hook = full


def call_with_hooks(module, args, kwargs):
    """Run forward and every hook around it."""
    called = set()
    result = None
    try:
        args, kwargs = _run_pre_hooks(module, args, kwargs)
        backward = _backward_hook_of(module)
        if backward is not None:
            args = backward.watch_inputs(args)
        result = module.forward(*args, **kwargs)
        for hook_id, hook, with_kwargs in _forward_hooks(module):
            called.add(hook_id)
            changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if changed is not None:
                result = changed
        return result if backward is None else backward.watch_outputs(result)
    except Exception:
        _run_always_called(module, args, kwargs, result, called)
        raise


def _run_pre_hooks(module, args, kwargs):
    """Return the arguments after the forward pre-hooks."""
    for hook in list(GLOBAL_FORWARD_PRE_HOOKS.values()):
        changed = hook(module, args)
        if changed is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
    for hook_id, hook in list(module._forward_pre_hooks.items()):
        if hook_id in module._forward_pre_hooks_with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is None:
                continue
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                )
            args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    return args, kwargs


def _forward_hooks(module):
    """Return [(id, hook, with_kwargs)] of the hooks to run after a module's forward."""
    both = (
        (GLOBAL_FORWARD_HOOKS, GLOBAL_FORWARD_HOOKS_WITH_KWARGS),
        (module._forward_hooks, module._forward_hooks_with_kwargs),
    )
    return [(hook_id, hook, hook_id in flags) for hooks, flags in both for hook_id, hook in hooks.items()]


def _run_always_called(module, args, kwargs, result, called):
    """Run the hooks registered with always_call that an exception kept from running; their own errors only warn."""
    import warnings

    for hook_id, hook, with_kwargs in _forward_hooks(module):
        always = hook_id in module._forward_hooks_always_called or hook_id in GLOBAL_FORWARD_HOOKS_ALWAYS
        if hook_id in called or not always:
            continue
        try:
            hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
        except Exception as error:  # the error of forward itself is the one to raise
            warnings.warn(
                "module forward hook with ``always_call=True`` raised an exception that was silenced as another error "
                f"was raised in forward: {error}",
                stacklevel=4,
            )


def _backward_hook_of(module):
    """Return the object that watches gradients for a module's backward hooks; None without any."""
    hooks = [*GLOBAL_BACKWARD_HOOKS.values(), *module._backward_hooks.values()]
    pre_hooks = [*GLOBAL_BACKWARD_PRE_HOOKS.values(), *module._backward_pre_hooks.values()]
    return _BackwardHook(module, hooks, pre_hooks) if hooks or pre_hooks else None


def _same(*arrays, callback):
    return arrays


# Hands several tensors on as they are; in backward callback(gradients) sees and may replace their gradients.
_watch = Op(_same, joint=lambda g, callback, needs: callback(g, needs), name="module_hook")


class _BackwardHook:
    """Watches the gradients at the outputs and at the inputs of one call of a module."""

    def __init__(self, module, hooks, pre_hooks):
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.input_count = self.output_count = 0
        self.watched_inputs = self.watched_outputs = ()
        self.grad_outputs = None

    def watch_inputs(self, args):
        """Return the arguments, the tracked tensors among them passed through the watching operation."""
        self.input_count = len(args)
        self.watched_inputs, args = _watched(args, self.inputs_done)
        return args

    def watch_outputs(self, result):
        """Return forward's result, the tracked tensors in it passed through the watching operation."""
        single = not isinstance(result, tuple)
        values = (result,) if single else result
        self.output_count = len(values)
        self.watched_outputs, values = _watched(values, self.outputs_done)
        if single:
            return values[0]
        return type(result)(*values) if hasattr(result, "_fields") else values

    def outputs_done(self, gradients, needs):
        """The gradients of the outputs are known: run the pre-hooks and, if no input wants a gradient, the hooks."""
        packed = _pack(gradients, self.watched_outputs, self.output_count)
        for hook in self.pre_hooks:
            changed = _as_tuple(hook(self.module, packed))
            if changed is None:
                continue
            if len(changed) != len(packed):
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(changed)}, but expected {len(packed)}"
                )
            packed = changed
        self.grad_outputs = packed
        if not self.watched_inputs:
            nothing = (None,) * self.input_count
            for hook in self.hooks:
                changed = hook(self.module, nothing, packed)
                if changed is not None and not (isinstance(changed, tuple) and all(g is None for g in changed)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or "
                        "None for all gradients."
                    )
            self.grad_outputs = None
        return _unpack(packed, self.watched_outputs, gradients)

    def inputs_done(self, gradients, needs):
        """The gradients of the inputs are known: run the hooks."""
        if self.grad_outputs is None:  # the gradient came around the module's outputs
            return gradients
        packed = _pack(gradients, self.watched_inputs, self.input_count)
        for hook in self.hooks:
            changed = _as_tuple(hook(self.module, packed, self.grad_outputs))
            if changed is None:
                continue
            if len(changed) != len(packed):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(changed)}, but expected {len(packed)}"
                )
            packed = changed
        self.grad_outputs = None
        return _unpack(packed, self.watched_inputs, gradients)


def _watched(values, callback):
    """Return (positions of the tracked tensors, the values with those passed through the watching operation)."""
    positions = [i for i, value in enumerate(values) if isinstance(value, Tensor) and is_tracked(value)]
    if not positions or not MODE.grad:
        return (), tuple(values)
    values = list(values)
    for position, tensor in zip(positions, _watch(*[values[i] for i in positions], callback=callback), strict=True):
        values[position] = tensor
    return tuple(positions), tuple(values)


def _as_tuple(value):
    return value if value is None or isinstance(value, (tuple, list)) else (value,)


def _pack(gradients, positions, count):
    """Return a tuple of count Tensors: the gradients at their positions, None elsewhere."""
    packed = [None] * count
    for position, gradient in zip(positions, gradients, strict=True):
        packed[position] = gradient if isinstance(gradient, Tensor) else wrap(gradient)
    return tuple(packed)


def _unpack(packed, positions, like):
    """Return the gradients at the positions, raw or tracked as ``like`` is."""
    chosen = [packed[position] for position in positions]
    if like and isinstance(like[0], Tensor):
        return tuple(chosen)
    return tuple(None if gradient is None else gradient.array for gradient in chosen)


# ---------------------------------------------------------------------- hooks of every Module
def register_module_forward_pre_hook(hook):
    """Call hook(module, args) before the forward of every Module; for debugging. Returns a handle.

    Argument: hook; what it returns, unless None, replaces args.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_forward_pre_hook.html

    >>> import minigrad as mg
    >>> from minigrad.nn.hooks import register_module_forward_pre_hook
    >>> handle = register_module_forward_pre_hook(lambda module, args: print(type(module).__name__, args[0].shape))
    >>> output = mg.nn.ReLU()(mg.ones(2, 3))
    ReLU minigrad.Size([2, 3])
    >>> handle.remove()
    """
    return HookHandle(GLOBAL_FORWARD_PRE_HOOKS, hook)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Call hook(module, args, output) after the forward of every Module; for debugging. Returns a handle.

    Arguments: hook; with_kwargs, always_call (bool). What the hook returns, unless None, replaces output.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_forward_hook.html

    >>> import minigrad as mg
    >>> from minigrad.nn.hooks import register_module_forward_hook
    >>> handle = register_module_forward_hook(lambda module, args, output: output + 1)
    >>> mg.nn.ReLU()(mg.tensor([-1.0, 2.0]))
    tensor([1., 3.])
    >>> handle.remove()
    """
    flags = [GLOBAL_FORWARD_HOOKS_WITH_KWARGS] if with_kwargs else []
    flags += [GLOBAL_FORWARD_HOOKS_ALWAYS] if always_call else []
    return HookHandle(GLOBAL_FORWARD_HOOKS, hook, *flags)


def register_module_full_backward_pre_hook(hook):
    """Call hook(module, grad_output) in the backward of every Module; for debugging. Returns a handle.

    Argument: hook; what it returns, unless None, replaces grad_output.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_full_backward_pre_hook.html

    >>> import minigrad as mg
    >>> from minigrad.nn.hooks import register_module_full_backward_pre_hook
    >>> handle = register_module_full_backward_pre_hook(lambda module, grad_output: print(grad_output))
    >>> mg.nn.ReLU()(mg.ones(2, requires_grad=True)).sum().backward()
    (tensor([1., 1.]),)
    >>> handle.remove()
    """
    return HookHandle(GLOBAL_BACKWARD_PRE_HOOKS, hook)


def register_module_full_backward_hook(hook):
    """Call hook(module, grad_input, grad_output) in the backward of every Module; for debugging. Returns a handle.

    Argument: hook; what it returns, unless None, replaces grad_input.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.module.register_module_full_backward_hook.html

    >>> import minigrad as mg
    >>> from minigrad.nn.hooks import register_module_full_backward_hook
    >>> handle = register_module_full_backward_hook(lambda module, grad_input, grad_output: print(grad_input))
    >>> mg.nn.ReLU()(mg.ones(2, requires_grad=True)).sum().backward()
    (tensor([1., 1.]),)
    >>> handle.remove()
    """
    return HookHandle(GLOBAL_BACKWARD_HOOKS, hook)


register_module_backward_hook = register_module_full_backward_hook


def _registration_hook(kind):
    def register(hook):
        return HookHandle(REGISTRATION_HOOKS[kind], hook)

    register.__name__ = register.__qualname__ = f"register_module_{kind}_registration_hook"
    register.__doc__ = (
        f"Call hook(module, name, {kind}) whenever a Module registers a {kind}; a returned value replaces it. "
        "Returns a handle."
    )
    return register


register_module_parameter_registration_hook = _registration_hook("parameter")
register_module_module_registration_hook = _registration_hook("module")
register_module_buffer_registration_hook = _registration_hook("buffer")


def registered(kind, module, name, value):
    """Return the value to register after the registration hooks have seen it."""
    for hook in list(REGISTRATION_HOOKS[kind].values()):
        changed = hook(module, name, value)
        if changed is not None:
            value = changed
    return value


__getattr__ = getter(__name__)
