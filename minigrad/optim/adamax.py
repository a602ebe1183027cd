"""Adamax: Adam with the infinity norm."""

from minigrad.ops.extremum import maximum_op
from minigrad.optim.optimizer import check_betas, check_lr, check_nonnegative, scalar_state
from minigrad.optim.pointwise import PointwiseOptimizer, assign, descent_gradient, zeros_like


def adamax(parameter, gradient, exp_avg, exp_inf, *, step, lr, betas, eps, weight_decay, maximize):
    """m = β₁ m + (1 - β₁) g;  u = max(β₂ u, |g| + ε);  θ = θ - γ / (1 - β₁ᵗ) · m / u."""
    beta1, beta2 = betas
    gradient = descent_gradient(gradient, parameter, weight_decay, maximize)
    exp_avg += (1 - beta1) * (gradient - exp_avg)
    assign(exp_inf, maximum_op(beta2 * exp_inf, abs(gradient) + eps))
    parameter -= lr / (1 - beta1**step) * exp_avg / exp_inf


class Adamax(PointwiseOptimizer):
    """Adamax: Adam with a decaying maximum of the gradient's magnitude in place of the second moment.

    m ← β₁ m + (1 - β₁) g,  u ← max(β₂ u, |g| + eps),  θ ← θ - lr / (1 - β₁ᵗ) · m / u, g including weight_decay · θ.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), betas (pair of floats), eps, weight_decay (float): as above.
        foreach (bool, optional): accepted; one implementation serves all, with the same results.
        maximize (bool): ascend instead.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).
        capturable (bool): changes no result; refused for parameters on the CPU, as in PyTorch.

    Raises ValueError for options out of range, RuntimeError for sparse gradients.

    Source: Kingma and Ba 2015; https://docs.pytorch.org/docs/stable/generated/torch.optim.Adamax.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.Adamax([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.5
    """

    formula = staticmethod(adamax)

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        check_lr(lr)
        check_nonnegative(eps, "epsilon value")
        check_betas(betas)
        check_nonnegative(weight_decay, "weight_decay value")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter, group):
        return {"step": scalar_state(0.0), "exp_avg": zeros_like(parameter), "exp_inf": zeros_like(parameter)}
