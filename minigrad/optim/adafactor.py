"""Adafactor: adaptive steps with the memory of rows and columns."""

from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import float_limits, xp
from minigrad.optim.optimizer import Optimizer, check_lr, scalar_state, to_scalar
from minigrad.tensor import wrap
from minigrad.variable import touch


class Adafactor(Optimizer):
    """Adafactor: the second moment of a matrix is kept as a row and a column of means.

    With β = 1 - t^beta2_decay, R and C the running means of g² over rows and columns, V = R C / mean(R) (for vectors a
    running mean of g²), U = g / max(√V, eps₁), α = max(eps₂, RMS(θ)) · min(lr, 1 / √t):
    θ ← θ · (1 - lr · weight_decay) - α · U / max(1, RMS(U) / d).

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor): largest relative step, and factor of the weight decay.
        beta2_decay (float, at most 0), eps (pair: float or None for the dtype's epsilon, float), d, weight_decay.
        foreach (bool, optional): accepted; one implementation serves all, with the same results.
        maximize (bool): ascend instead.

    Raises ValueError for options out of range, RuntimeError for sparse gradients and complex parameters.

    Source: Shazeer and Stern 2018; https://docs.pytorch.org/docs/stable/generated/torch.optim.Adafactor.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.Adafactor([weight], lr=0.25)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.item()
    0.75
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay=-0.8,
        eps=(None, 1e-3),
        d=1.0,
        weight_decay=0.0,
        *,
        foreach=None,
        maximize=False,
    ):
        check_lr(lr)
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    @no_grad()
    def step(self, closure=None):
        """Move every parameter that has a gradient once; the closure, if given, is evaluated first for its loss."""
        loss = self.evaluate(closure)
        pairs = self.with_gradients()
        for _, parameter in pairs:
            if parameter.is_complex():
                raise RuntimeError("Adafactor does not support complex parameters")
            if getattr(parameter.grad, "is_sparse", False):
                raise RuntimeError("Adafactor does not support sparse gradients")
        for group, parameter in pairs:
            state = self.state[parameter]
            if not state:
                state.update(_initial_state(parameter.array))
            state["step"].array += 1
            _update(parameter.array, parameter.grad.array, state, group)
            touch(parameter.array)
        return loss


def _initial_state(array):
    zeros = xp(array).zeros
    state = {"step": scalar_state(0.0)}
    if array.ndim > 1:
        *leading, rows, columns = array.shape
        state["row_var"] = wrap(zeros((*leading, rows, 1), array.dtype))
        state["col_var"] = wrap(zeros((*leading, 1, columns), array.dtype))
    else:
        state["variance"] = wrap(zeros(array.shape, array.dtype))
    return state


def _update(parameter, gradient, state, group):
    """Adafactor's step on raw arrays, in place."""
    step, lr = state["step"].item(), to_scalar(group["lr"])
    eps1, eps2 = group["eps"]
    if eps1 is None:
        eps1 = float(float_limits(parameter.dtype).eps)
    weight = step ** group["beta2_decay"]  # 1 - β
    step_size = max(eps2, _root_mean_square(parameter)) * min(lr, 1 / step**0.5)
    if group["weight_decay"] != 0:
        parameter *= 1 - lr * group["weight_decay"]
    if group["maximize"]:
        gradient = -gradient
    variance = _second_moment(gradient, state, weight, eps1)
    direction = gradient / xp(parameter).sqrt(variance.clip(eps1 * eps1))
    parameter -= step_size / max(1.0, _root_mean_square(direction) / group["d"]) * direction


def _second_moment(gradient, state, weight, eps1):
    """Take g² into the running means and return the estimate V."""
    square = gradient * gradient
    if gradient.ndim < 2:
        variance = state["variance"].array
        variance += weight * (square - variance)
        return variance
    row, column = state["row_var"].array, state["col_var"].array
    row += weight * (square.mean(axis=-1, keepdims=True) - row)
    column += weight * (square.mean(axis=-2, keepdims=True) - column)
    return row * column / row.mean(axis=-2, keepdims=True).clip(eps1)


def _root_mean_square(array):
    return float((array * array).mean()) ** 0.5 if array.size else 0.0
