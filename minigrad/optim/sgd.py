"""Stochastic gradient descent."""

from minigrad.optim.optimizer import check_implementation_flags, check_lr, check_nonnegative
from minigrad.optim.pointwise import PointwiseOptimizer, descent_gradient, zeros_like


def sgd(
    parameter,
    gradient,
    momentum_buffer,
    *,
    lr,
    momentum,
    dampening,
    weight_decay,
    nesterov,
    maximize,
):
    """b = μ b + (1 - τ) g;  θ = θ - γ b, or with Nesterov's look-ahead θ - γ (g + μ b)."""
    gradient = descent_gradient(gradient, parameter, weight_decay, maximize)
    if momentum != 0:
        momentum_buffer *= momentum
        momentum_buffer += gradient if dampening == 0 else (1 - dampening) * gradient
        gradient = gradient + momentum * momentum_buffer if nesterov else momentum_buffer
    parameter -= lr * gradient


class SGD(PointwiseOptimizer):
    """Stochastic gradient descent, optionally with momentum.

    With g the gradient (plus weight_decay · θ), b the momentum buffer, which starts as the first gradient:
    b ← momentum · b + (1 - dampening) · g,  θ ← θ - lr · b;  nesterov: θ ← θ - lr · (g + momentum · b).

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor): learning rate.
        momentum, dampening, weight_decay (float): as above.
        nesterov (bool): needs momentum > 0 and dampening = 0.
        maximize (bool): ascend instead.
        foreach, fused (bool, optional): accepted; one implementation serves all, with the same results.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).

    Gradients may be sparse without weight_decay. Raises ValueError for options out of range.

    Source: Sutskever et al. 2013; https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.SGD([weight], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (3 * weight).sum().backward()
    ...     optimizer.step()
    >>> round(weight.item(), 4)
    0.13
    """

    formula = staticmethod(sgd)
    takes_sparse = True

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
    ):
        check_lr(lr)
        check_nonnegative(momentum, "momentum value")
        check_nonnegative(weight_decay, "weight_decay value")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_implementation_flags(foreach, fused, differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def moves_everything(self, group):
        return group["momentum"] != 0  # past gradients go on moving entries that this one does not have

    def prepare(self, parameter, state, group):
        if group["momentum"] == 0 or state.get("momentum_buffer") is not None:
            return {}
        state["momentum_buffer"] = zeros_like(parameter)
        return {"dampening": 0}  # the buffer starts as the first gradient, undamped
