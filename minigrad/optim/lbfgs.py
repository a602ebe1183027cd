"""L-BFGS: a quasi-Newton method with limited memory."""

from minigrad.autograd.grad_mode import enable_grad, no_grad
from minigrad.backend import xp
from minigrad.optim.line_search import StrongWolfe, Trial
from minigrad.optim.optimizer import Optimizer, check_lr, to_scalar
from minigrad.tensor import wrap
from minigrad.variable import touch


class LBFGS(Optimizer):
    """L-BFGS: descends along the gradient times an inverse Hessian estimated from the last steps.

    One call of `step(closure)` makes up to max_iter iterations, each evaluating the closure, which must clear the
    gradients, compute the loss, call backward and return the loss. There is one group of parameters only.

    Args:
        params: iterable of parameters.
        lr (float or 1-element Tensor): step size; with a line search, the first step tried.
        max_iter (int): most iterations per step.
        max_eval (int): most evaluations of the closure per step (default: max_iter · 5 // 4).
        tolerance_grad (float): stop when no entry of the gradient is larger.
        tolerance_change (float): stop when neither the parameters nor the loss change by more.
        history_size (int): number of steps remembered; the memory is 2 · history_size times the parameters'.
        line_search_fn (str, optional): "strong_wolfe", or None for steps of fixed size.

    Raises ValueError for a second group; RuntimeError for another line search.

    Source: Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 7.4;
    https://docs.pytorch.org/docs/stable/generated/torch.optim.LBFGS.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([5.0]))
    >>> optimizer = mg.optim.LBFGS([weight], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((weight - 2) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item()
    9.0
    >>> round(weight.item(), 4)
    2.0
    """

    def __init__(
        self,
        params,
        lr=1,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    ):
        check_lr(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    # ------------------------------------------------------------ all parameters as one vector
    @property
    def _params(self):
        return self.param_groups[0]["params"]

    def _flat_gradient(self):
        """All gradients as one vector; complex numbers as pairs of real ones."""
        module = xp(self._params[0].array)
        parts = []
        for parameter in self._params:
            if parameter.grad is None:
                parts.append(_flat_real(module.zeros_like(parameter.array)))
            else:
                parts.append(_flat_real(parameter.grad.to_dense().array))
        return module.concatenate(parts)

    def _move(self, t, direction):
        """Add t · direction to the parameters."""
        start = 0
        for parameter in self._params:
            array = parameter.array
            stop = start + array.size * (2 if array.dtype.kind == "c" else 1)
            step = (t * direction[start:stop]).astype(array.real.dtype, copy=False)
            array += step.view(array.dtype).reshape(array.shape)
            touch(array)
            start = stop

    def _evaluate_at(self, t, direction, origin, closure):
        """The Trial at a step from the origin (copies of the parameters), where the parameters are left."""
        self._move(t, direction)
        loss = float(closure())
        gradient = self._flat_gradient()
        for parameter, saved in zip(self._params, origin):
            parameter.array[...] = saved
            touch(parameter.array)
        return Trial(t, loss, gradient, float(gradient @ direction))

    # ------------------------------------------------------------ the method
    def _direction(self, memory, gradient, state):
        """Remember the last step and return the direction -H g by the two-loop recursion."""
        change = gradient - state["prev_flat_grad"].array
        step = state["d"].array * to_scalar(state["t"])
        curvature = float(change @ step)
        if curvature > 1e-10:
            if len(memory.steps) == memory.size:
                memory.forget_oldest()
            memory.append(change, step, curvature)
            state["H_diag"] = curvature / float(change @ change)
        return memory.inverse_hessian_times(-gradient, to_scalar(state["H_diag"]))

    @no_grad()
    def step(self, closure):
        """Run up to max_iter iterations and return the loss of the first evaluation.

        Args:
            closure (callable): clears the gradients, computes the loss, calls backward, returns the loss.
        """
        group = self.param_groups[0]
        line_search_fn = group["line_search_fn"]
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError(f"only 'strong_wolfe' is supported as line_search_fn, but got {line_search_fn!r}")
        closure = enable_grad()(closure)
        lr, tolerance_change = to_scalar(group["lr"]), group["tolerance_change"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        first_loss = closure()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        gradient = self._flat_gradient()
        if _largest(gradient) <= group["tolerance_grad"]:
            return first_loss
        memory = _Memory(state, group["history_size"])
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                direction, state["H_diag"] = -gradient, 1
                t = lr / max(1.0, float(abs(gradient).sum()))
            else:
                direction = self._direction(memory, gradient, state)
                t = lr
            state.update(d=wrap(direction), t=t, prev_flat_grad=wrap(gradient), prev_loss=loss)
            slope = float(gradient @ direction)
            if slope > -tolerance_change:
                break
            spent = 0
            if line_search_fn is not None:
                origin = [parameter.array.copy() for parameter in self._params]
                search = StrongWolfe(
                    lambda t, direction=direction, origin=origin: self._evaluate_at(t, direction, origin, closure),
                    Trial(0, loss, gradient, slope),
                    _largest(direction),
                    tolerance_change,
                    group["max_eval"] - evaluations,
                )
                t, loss, gradient, _ = search.search(t)
                spent = search.evaluations
                state["t"] = t
                self._move(t, direction)
            else:
                self._move(t, direction)
                if iteration != group["max_iter"]:  # the next step evaluates anyway, perhaps on another batch
                    loss = float(closure())
                    gradient = self._flat_gradient()
                    spent = 1
            evaluations += spent
            state["func_evals"] += spent
            if (
                evaluations >= group["max_eval"]
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(direction * t) <= tolerance_change
                or abs(loss - state["prev_loss"]) < tolerance_change
            ):
                break
        memory.save(state)
        return first_loss


class _Memory:
    """The last changes of the gradient (y) and of the parameters (s), with 1 / (y · s); lists of raw vectors."""

    def __init__(self, state, size):
        self.size = size
        self.changes = [tensor.array for tensor in state.get("old_dirs") or ()]
        self.steps = [tensor.array for tensor in state.get("old_stps") or ()]
        self.inverse_curvatures = [to_scalar(value) for value in state.get("ro") or ()]

    def save(self, state):
        """Put the lists into the optimizer's state, under PyTorch's names."""
        state["old_dirs"] = [wrap(change) for change in self.changes]
        state["old_stps"] = [wrap(step) for step in self.steps]
        state["ro"] = list(self.inverse_curvatures)

    def append(self, change, step, curvature):
        self.changes.append(change)
        self.steps.append(step)
        self.inverse_curvatures.append(1.0 / curvature)

    def forget_oldest(self):
        for values in (self.changes, self.steps, self.inverse_curvatures):
            values.pop(0)

    def inverse_hessian_times(self, vector, scale):
        """H · vector, where H starts as scale · I: the two-loop recursion (Nocedal and Wright, algorithm 7.4)."""
        pairs = list(zip(self.changes, self.steps, self.inverse_curvatures))
        coefficients = []
        for change, step, inverse_curvature in reversed(pairs):
            coefficients.append(float(step @ vector) * inverse_curvature)
            vector = vector - coefficients[-1] * change
        vector = vector * scale
        for (change, step, inverse_curvature), coefficient in zip(pairs, reversed(coefficients)):
            vector += (coefficient - float(change @ vector) * inverse_curvature) * step
        return vector


def _largest(vector):
    """Largest magnitude in a vector."""
    return float(abs(vector).max())


def _flat_real(array):
    """A real vector of an array's numbers; a view where the layout allows."""
    flat = array.reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat
