"""What every optimization method shares: parameter groups, state, state_dict, hooks."""

import functools
import warnings
from collections import OrderedDict, defaultdict
from copy import deepcopy
from itertools import chain

from minigrad.autograd.grad_mode import enable_grad
from minigrad.backend import get_default_dtype, np, xp
from minigrad.ops.arguments import type_name
from minigrad.tensor import Tensor, wrap
from minigrad.variable import RemovableHandle, touch

_global_step_pre_hooks: OrderedDict = OrderedDict()
_global_step_post_hooks: OrderedDict = OrderedDict()


def register_optimizer_step_pre_hook(hook):
    """Call `hook(optimizer, args, kwargs)` before the step of every optimizer; returns a handle with `remove()`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.register_step_pre_hook.html

    >>> import minigrad as mg
    >>> from minigrad.optim.optimizer import register_optimizer_step_pre_hook
    >>> handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: print(type(optimizer).__name__))
    >>> mg.optim.SGD([mg.ones(2, requires_grad=True)], lr=0.1).step()
    SGD
    >>> handle.remove()
    """
    return RemovableHandle(_global_step_pre_hooks, hook)


def register_optimizer_step_post_hook(hook):
    """Call `hook(optimizer, args, kwargs)` after the step of every optimizer; returns a handle with `remove()`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.register_step_post_hook.html

    >>> import minigrad as mg
    >>> from minigrad.optim.optimizer import register_optimizer_step_post_hook
    >>> handle = register_optimizer_step_post_hook(lambda optimizer, args, kwargs: print(type(optimizer).__name__))
    >>> mg.optim.SGD([mg.ones(2, requires_grad=True)], lr=0.1).step()
    SGD
    >>> handle.remove()
    """
    return RemovableHandle(_global_step_post_hooks, hook)


# What a group loaded from an older state_dict means where it lacks an option, and the states that are 0-d tensors.
_OPTIONS_WHEN_ABSENT = {
    "nesterov": False,
    "amsgrad": False,
    "momentum": 0,
    "centered": False,
    "maximize": False,
    "foreach": None,
    "fused": None,
    "capturable": False,
    "differentiable": False,
    "decoupled_weight_decay": False,
}
SCALAR_STATES = ("step", "mu_product", "eta", "mu")


def scalar_state(value):
    """A 0-d tensor on the CPU, float32 (float64 where that is the default dtype), that counts or accumulates."""
    code = "float64" if get_default_dtype().name == "float64" else "float32"
    return wrap(np.array(value, dtype=code))


class _Required:
    def __repr__(self):
        return "<required parameter>"


required = _Required()


def to_scalar(value):
    """A Python number from a number or a one-element tensor (a NumPy number would widen float32 arrays)."""
    return value.item() if isinstance(value, (Tensor, np.generic)) else value


# ---------------------------------------------------------------- checks that several constructors share
def check_lr(lr):
    """ValueError unless `lr` is a number, or a tensor with one element, that is at least zero."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    check_nonnegative(lr, "learning rate")


def check_nonnegative(value, name):
    """ValueError, naming the option, unless `value` >= 0 (so NaN is refused too)."""
    if not 0.0 <= value:
        raise ValueError(f"Invalid {name}: {value}")


def check_betas(betas):
    """ValueError unless both decay rates lie in [0, 1)."""
    for index in (0, 1):
        if not 0.0 <= betas[index] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {betas[index]}")


def check_implementation_flags(foreach, fused, differentiable):
    """RuntimeError for the combinations of implementation flags that contradict each other."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def _with_hooks(step):
    """Wrap the `step` of an optimizer class so that the step hooks run around it."""

    @functools.wraps(step)
    def hooked_step(self, *args, **kwargs):
        if getattr(type(self), "step", None) is not hooked_step:
            return step(self, *args, **kwargs)  # reached through super().step(): the hooks run around the outer one
        call_args = (self, *args)
        for hook in chain(_global_step_pre_hooks.values(), self._hooks("step_pre").values()):
            result = hook(self, call_args, kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                    )
                call_args, kwargs = result
        output = step(*call_args, **kwargs)
        for hook in chain(self._hooks("step_post").values(), _global_step_post_hooks.values()):
            hook(self, call_args, kwargs)
        return output

    hooked_step.hooked = True
    return hooked_step


class Optimizer:
    """Base class of all optimizers: holds the parameters in groups, each with its options, and a state per parameter.

    Args:
        params: iterable of tensors, of (name, tensor) pairs, or of dicts, one per group: {"params": …, option: value}.
        defaults (dict): options of the groups that do not give their own.

    Raises TypeError for a tensor or a set in place of a list, or for a parameter that is no tensor; ValueError for
    an empty list, a non-leaf tensor, or a parameter in two groups.

    Source: https://docs.pytorch.org/docs/stable/optim.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0, 2.0]))
    >>> optimizer = mg.optim.SGD([{"params": [weight], "lr": 0.5}], lr=0.1)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.0, 0.0]
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])

    def __init__(self, params, defaults):
        self.defaults = defaults
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type(params).__name__}; put the parameter in a list"
            )
        if not hasattr(params, "__iter__"):
            mend = "; give its .parameters()" if hasattr(params, "parameters") else ""
            raise TypeError(f"'{type(params).__name__}' object is not iterable{mend}")
        self.state = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    # ------------------------------------------------------------ pickling, copying, printing
    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        own = set(self.defaults)
        self.defaults.setdefault("differentiable", False)
        for group in self.param_groups:  # saved by a version that did not have them
            for name, value in _OPTIONS_WHEN_ABSENT.items():
                if name in own:
                    group.setdefault(name, value)
        for param_state in self.state.values():
            for name in SCALAR_STATES:
                if name in param_state and not isinstance(param_state[name], Tensor):
                    param_state[name] = scalar_state(param_state[name])

    def _patch_step_function(self):
        """Let the step hooks run around step(), also where the class was given it after it was made."""
        step = type(self).step
        if not getattr(step, "hooked", False):
            type(self).step = _with_hooks(step)

    def __repr__(self):
        lines = [type(self).__name__ + " ("]
        for index, group in enumerate(self.param_groups):
            lines.append(("\n" if index else "") + f"Parameter Group {index}")
            lines.extend(f"    {key}: {group[key]}" for key in sorted(group) if key != "params")
        return "\n".join(lines) + "\n)"

    # ------------------------------------------------------------ hooks
    def _hooks(self, kind):
        """The hooks of a kind, by number; made on demand, since a wrapper of an optimizer may not call __init__."""
        return self.__dict__.setdefault(f"_optimizer_{kind}_hooks", OrderedDict())

    def register_step_pre_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs)."""
        return RemovableHandle(self._hooks("step_pre"), hook)

    def register_step_post_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return RemovableHandle(self._hooks("step_post"), hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Call `hook(optimizer)` at the beginning of `state_dict()`."""
        return RemovableHandle(self._hooks("state_dict_pre"), hook, first=prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Call `hook(optimizer, state_dict)` at the end of `state_dict()`; it may return another dict."""
        return RemovableHandle(self._hooks("state_dict_post"), hook, first=prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Call `hook(optimizer, state_dict)` on a shallow copy before loading; it may return another dict."""
        return RemovableHandle(self._hooks("load_state_dict_pre"), hook, first=prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Call `hook(optimizer)` after loading."""
        return RemovableHandle(self._hooks("load_state_dict_post"), hook, first=prepend)

    # ------------------------------------------------------------ parameter groups
    def add_param_group(self, param_group):
        """Add a group {"params": …, option: value, …}; options it does not give take the optimizer's defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors "
                "in sets will change between runs. Please use a list instead."
            )
        entries = [params] if isinstance(params, Tensor) else list(params)
        names = [entry[0] for entry in entries if isinstance(entry, tuple)]
        params = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        self._check_params(params)
        named = bool(names) or "param_names" in param_group
        self._check_against_groups(params, named)
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.param_groups.append(param_group)

    def _check_params(self, params):
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type_name(param)}"
                )
            if not (self.defaults.get("differentiable") or param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        if len(params) != len({id(param) for param in params}):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error",
                stacklevel=5,
            )

    def _check_against_groups(self, params, named):
        taken = {id(param) for group in self.param_groups for param in group["params"]}
        if any(named != ("param_names" in group) for group in self.param_groups):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if named else 'without'} names to the optimizer"
            )
        if any(id(param) in taken for param in params):
            raise ValueError("some parameters appear in more than one parameter group")

    # ------------------------------------------------------------ saving and loading
    def state_dict(self):
        """The state as a dict in PyTorch's format: "state" by parameter number and "param_groups" with those numbers.

        The tensors in it are the optimizer's own, not copies.
        """
        for hook in self._hooks("state_dict_pre").values():
            hook(self)
        numbers = {}
        for param in chain.from_iterable(group["params"] for group in self.param_groups):
            numbers.setdefault(id(param), len(numbers))
        groups = []
        for group in self.param_groups:
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(param)] for param in group["params"]]
            groups.append(packed)
        state = {numbers[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        state_dict = {"state": state, "param_groups": groups}
        for hook in self._hooks("state_dict_post").values():
            result = hook(self, state_dict)
            if result is not None:
                state_dict = result
        return state_dict

    def load_state_dict(self, state_dict):
        """Take over a state that `state_dict()` gave, here or in PyTorch (tensors may have become arrays).

        Values are copied and brought to the parameter's device, floating-point ones to its dtype ("step" and the
        like excepted).
        Raises ValueError when the groups or their sizes do not match.
        """
        state_dict = state_dict.copy()
        for hook in self._hooks("load_state_dict_pre").values():
            result = hook(self, state_dict)
            if result is not None:
                state_dict = result
        saved_groups = [dict(group) for group in state_dict["param_groups"]]
        if len(saved_groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        for group, saved in zip(self.param_groups, saved_groups):
            if len(group["params"]) != len(saved["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
                )
        param_of = {}
        for group, saved in zip(self.param_groups, saved_groups):
            param_of.update(zip(saved["params"], group["params"]))
        state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in param_of:
                state[param_of[key]] = _take_over(value, param_of[key])
            else:
                state[key] = value
        groups = []
        for group, saved in zip(self.param_groups, saved_groups):
            loaded = {key: _take_over_option(value) for key, value in saved.items() if key != "params"}
            if "param_names" in group:
                loaded.setdefault("param_names", group["param_names"])
            groups.append({"params": group["params"], **loaded})
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._hooks("load_state_dict_post").values():
            hook(self)

    # ------------------------------------------------------------ gradients and steps
    def zero_grad(self, set_to_none=True):
        """Forget the gradients of all parameters: drop them, or with `set_to_none=False` fill them with zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                if set_to_none:
                    param.grad = None
                elif param.grad.is_sparse:
                    param.grad.zero_()
                elif param.grad.requires_grad:  # the gradient carries a graph (create_graph): leave that alone
                    param.grad = wrap(xp(param.grad.array).zeros_like(param.grad.array))
                elif getattr(param.grad.array.flags, "writeable", True):
                    param.grad.array[...] = 0
                    touch(param.grad.array)
                else:  # a broadcast array: one element seen many times
                    param.grad.array = xp(param.grad.array).zeros_like(param.grad.array)

    def with_gradients(self):
        """The (group, parameter) pairs that a step is about: those whose parameter has a gradient."""
        return [(group, p) for group in self.param_groups for p in group["params"] if p.grad is not None]

    @staticmethod
    def evaluate(closure):
        """The loss that the closure recomputes, with grad mode on; None without a closure."""
        if closure is None:
            return None
        with enable_grad():
            return closure()

    def step(self, closure=None):
        """Move the parameters once; `closure`, if given, recomputes the loss and is evaluated first."""
        raise NotImplementedError(f"{type(self).__name__} does not define step()")


def _is_array(value):
    return hasattr(value, "__array__") and not isinstance(value, (Tensor, np.generic))


def _take_over(value, param, key=None):
    """A copy of a saved state value (tensor, array, dict or sequence of them) fit for `param`."""
    if _is_array(value):
        value = wrap(np.array(value))
    if isinstance(value, Tensor):
        value = value.detach()
        if key in SCALAR_STATES:  # they keep their dtype, so that the steps go on exactly as they would have
            return value.cpu().clone()
        dtype = param.dtype if param.is_floating_point() else None
        return value.to(device=param.device, dtype=dtype, copy=True)
    if isinstance(value, dict):
        return {name: _take_over(item, param, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_take_over(item, param) for item in value)
    return deepcopy(value)


def _take_over_option(value):
    return wrap(np.array(value)) if _is_array(value) else deepcopy(value)
