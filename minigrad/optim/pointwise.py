"""Methods that move each number of a parameter by itself: their step, and what their formulas share."""

import inspect
from typing import Any

from minigrad.autograd.grad_mode import set_grad_enabled
from minigrad.backend import FLOAT_CODES, REAL_CODES, np, xp
from minigrad.kernels import cuda
from minigrad.kernels.optimizer import FUSED, update_in_place
from minigrad.optim.optimizer import SCALAR_STATES, Optimizer, to_scalar
from minigrad.tensor import Tensor, wrap
from minigrad.variable import touch


class PointwiseOptimizer(Optimizer):
    """A method that moves each number of a parameter by itself, so that its update is one elementwise formula.

    A subclass gives `formula(parameter, gradient, <state>, *, <options>)`, which changes the parameter and the state
    in place, using operators, ops and `assign` only. The names it asks for are what it receives: a positional name is a
    tensor of `self.state[parameter]` (None where the state lacks it); a keyword is an option of the group, or a
    scalar of the state such as `step`, the number of this step, counting from 1. The same text runs block by block
    on raw arrays (minigrad/kernels/optimizer.py) and, with `differentiable=True`, on tensors, which record it.

    `foreach` and `fused` choose between implementations with equal results in PyTorch; here one serves all, so they
    are accepted, and kept in the groups, for either value; parameters on a GPU are moved by one launch where there is
    a kernel. `capturable` changes no result; as in PyTorch it is refused for parameters on the CPU. With it, or with
    `fused`, methods with `counts_on_gpu` count their steps on the GPU, hence a captured graph counts on when replayed.
    """

    formula: Any = None
    counts_on_gpu = False
    takes_sparse = False  # whether gradients may be sparse: the formula then runs on the entries that they keep

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.formula is None:
            return
        parameters = inspect.signature(cls.formula).parameters.values()
        cls._state_names = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)[2:]
        cls._option_names = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        cls._state_scalars = tuple(name for name in cls._option_names if name in SCALAR_STATES)

    def initial_state(self, parameter, group):
        """The state of a parameter before its first step, as a dict; a method without state leaves it empty."""
        return {}

    def group_options(self, group):
        """The options of a group that the formula asks for: numbers, or tensors where a gradient is wanted of them."""
        convert = _keep_tracked if group.get("differentiable") else to_scalar
        options = {}
        rate = group.get("lr")
        if isinstance(rate, Tensor) and rate.is_cuda and self._is_fused(group):
            options["lr"] = rate.array.reshape(())
        for name in self._option_names:
            if name not in SCALAR_STATES and name not in options:
                value = group[name]
                options[name] = tuple(map(convert, value)) if isinstance(value, (tuple, list)) else convert(value)
        return options

    def prepare(self, parameter, state, group):
        """Bring the state to this step; return the options of the formula that are the parameter's own, as a dict."""
        if not state:
            state.update(self.initial_state(parameter, group))
        step = state.get("step")
        if step is None:
            return {name: state[name].array.item() for name in self._state_scalars}
        if self.counts_on_gpu and (group["capturable"] or group["fused"]) and self._is_fused(group):
            if not step.is_cuda or step.array.dtype != np.float32:
                with parameter.array.device:
                    state["step"] = step = wrap(xp(parameter.array).asarray(step.array, "float32"))
            return {"step": step.array}  # counted by step()
        if step.is_cuda:  # the group was capturable before
            state["step"] = step = step.cpu()
        step.array += 1
        return {name: state[name].array.item() for name in self._state_scalars}

    def _is_fused(self, group):
        """Whether all parameters of a group are moved by a kernel of a GPU."""
        fits = self.formula.__name__ in FUSED and not group.get("differentiable")
        return fits and all(p.is_cuda and cuda.optimizer.takes(p.array) for p in group["params"])

    @property
    def _step_supports_amp_scaling(self):
        """Whether step() takes the attributes grad_scale and found_inf (GradScaler's), hence waits for no GPU."""
        return all(group.get("fused") and self._is_fused(group) for group in self.param_groups)

    def step(self, closure=None):
        """Move every parameter that has a gradient once.

        Args:
            closure (callable, optional): recomputes the loss (and the gradients); evaluated first, with grad mode on.

        Returns the closure's loss, or None.
        """
        loss = self.evaluate(closure)
        for group, parameter in self.with_gradients():
            self._check_step(group, parameter)
        with set_grad_enabled(bool(self.defaults.get("differentiable"))):
            work = [item for group in self.param_groups for item in self._group_work(group)]
            scaling = [getattr(self, name, None) for name in ("grad_scale", "found_inf")]
            scaling = [None if tensor is None else tensor.array for tensor in scaling]
            steps = [options["step"] for _, options in work if hasattr(options.get("step"), "dtype")]
            if steps:
                cuda.optimizer.count_steps(steps, scaling[1])
            update_in_place(self.formula, work, *scaling)
            for arrays, _ in work:
                touch(arrays[0])
        return loss

    def _group_work(self, group):
        """What is to be done for a group: (raw arrays, options) for each parameter; differentiable steps are done.

        Parameters with the same options share one dict of them.
        """
        options = group_options = self.group_options(group)
        differentiable, names, own_before = group.get("differentiable"), self._state_names, {}
        work = []
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is None:
                continue
            state = self.state.get(parameter) or {}
            own = self.prepare(parameter, state, group)
            if hasattr(own.get("step"), "dtype"):  # numbers on a GPU are not compared
                options = {**group_options, **own}
            elif own != own_before:
                options, own_before = {**group_options, **own}, own
            if state:  # plain SGD has none
                self.state[parameter] = state
            if gradient.is_sparse:
                if not (differentiable or self.moves_everything(group)):
                    _update_kept(self.formula, parameter, gradient, [state.get(name) for name in names], options)
                    continue
                gradient = gradient.to_dense()
            if differentiable:  # the step before may have recorded the tensors of the state: keep them
                state.update({name: state[name].clone() for name in names if name in state})
                self.formula(parameter, gradient, *[state.get(name) for name in names], **options)
            else:
                states = [state.get(name) for name in names]
                arrays = [None if tensor is None else tensor.array for tensor in states]
                work.append(((parameter.array, gradient.array, *arrays), options))
        return work

    def moves_everything(self, group):
        """Whether even a sparse gradient moves all of a parameter."""
        return False

    def _check_step(self, group, parameter):
        """Refuse what no formula can do, before anything has changed."""
        if parameter.grad.is_sparse:
            self._check_sparse(group)
        code = parameter.array.dtype.char
        if code not in REAL_CODES and (code not in FLOAT_CODES or group.get("differentiable")):
            raise RuntimeError(
                f"{type(self).__name__} updates floating-point parameters (complex ones unless differentiable=True), "
                f"but got {parameter.dtype}"
            )
        if group.get("capturable") and not group.get("fused") and not parameter.is_cuda:
            raise AssertionError(
                "If capturable=True, params and state_steps must be on supported devices: ['cuda']. "
                "Leave capturable at False on the CPU."
            )


    def _check_sparse(self, group):
        if not self.takes_sparse:
            instead = ", please consider SparseAdam instead" if type(self).__name__ in ("Adam", "AdamW") else ""
            raise RuntimeError(f"{type(self).__name__} does not support sparse gradients{instead}")
        if group["fused"]:
            raise RuntimeError(f"{type(self).__name__}: `fused` does not support sparse gradients")
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")


def _update_kept(formula, parameter, gradient, states, options):
    """Run a formula where a sparse gradient has entries; elsewhere the parameter and its state stay as they are."""
    gradient = gradient.coalesce()
    kept = tuple(gradient.indices().array)
    whole = [parameter, *states]
    arrays = [None if tensor is None else tensor.array for tensor in whole]
    parts = [None if array is None else array[kept] for array in arrays]
    update_in_place(formula, [((parts[0], gradient.values().array, *parts[1:]), options)])
    for array, part in zip(arrays, parts):
        if array is not None:
            array[kept] = part
            touch(array)


def _keep_tracked(value):
    """A number, except for a tensor that wants a gradient (an option that is itself being learned)."""
    return value if isinstance(value, Tensor) and value.requires_grad else to_scalar(value)


def assign(target, value):
    """Make a formula's array or tensor hold other values, in place; a recorded tensor is given the values' graph."""
    if isinstance(target, Tensor):
        target.copy_(value)
    else:
        target[...] = value


def descent_gradient(gradient, parameter, weight_decay, maximize):
    """The gradient to descend along: of the negated objective to maximize it, with that of the L2 penalty added."""
    if maximize:
        gradient = -gradient
    return gradient + weight_decay * parameter if weight_decay != 0 else gradient


def zeros_like(parameter):
    """An untracked tensor of zeros with the parameter's shape, dtype, device and memory layout."""
    array = parameter.array
    return wrap(xp(array).zeros_like(array))
