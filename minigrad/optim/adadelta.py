"""Adadelta."""

from minigrad.ops.power import sqrt_op
from minigrad.optim.optimizer import check_lr, check_nonnegative, scalar_state
from minigrad.optim.pointwise import PointwiseOptimizer, descent_gradient, zeros_like


def adadelta(parameter, gradient, square_avg, acc_delta, *, lr, rho, eps, weight_decay, maximize):
    """v = ρ v + (1 - ρ) g²;  Δ = √(u + ε) / √(v + ε) · g;  u = ρ u + (1 - ρ) Δ²;  θ = θ - γ Δ."""
    gradient = descent_gradient(gradient, parameter, weight_decay, maximize)
    square_avg *= rho
    square_avg += (1 - rho) * gradient * gradient
    delta = sqrt_op(acc_delta + eps) / sqrt_op(square_avg + eps) * gradient
    acc_delta *= rho
    acc_delta += (1 - rho) * delta * delta
    parameter -= lr * delta


class Adadelta(PointwiseOptimizer):
    """Adadelta: steps in the ratio of running averages of squared steps and squared gradients.

    v ← rho · v + (1 - rho) · g²,  Δ = √((u + eps) / (v + eps)) · g,  u ← rho · u + (1 - rho) · Δ²,  θ ← θ - lr · Δ,
    g including weight_decay · θ.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), rho, eps, weight_decay (float): as above.
        foreach (bool, optional): accepted; one implementation serves all, with the same results.
        capturable (bool): changes no result; refused for parameters on the CPU, as in PyTorch.
        maximize (bool): ascend instead.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).

    Raises ValueError for options out of range, RuntimeError for sparse gradients.

    Source: Zeiler 2012; https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.Adadelta([weight])
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 6)
    0.996838
    """

    formula = staticmethod(adadelta)

    def __init__(
        self,
        params,
        lr=1.0,
        rho=0.9,
        eps=1e-6,
        weight_decay=0,
        foreach=None,
        *,
        capturable=False,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_nonnegative(eps, "epsilon value")
        check_nonnegative(weight_decay, "weight_decay value")
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter, group):
        return {"step": scalar_state(0.0), "square_avg": zeros_like(parameter), "acc_delta": zeros_like(parameter)}
