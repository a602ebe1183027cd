"""RAdam: Adam with a rectified variance."""

from minigrad.ops.power import sqrt_op
from minigrad.optim.optimizer import check_betas, check_lr, check_nonnegative, scalar_state
from minigrad.optim.pointwise import PointwiseOptimizer, descent_gradient, zeros_like


def radam(
    parameter,
    gradient,
    exp_avg,
    exp_avg_sq,
    *,
    step,
    lr,
    betas,
    eps,
    weight_decay,
    maximize,
    decoupled_weight_decay,
):
    """Adam's averages m and v;  θ = θ - γ m̂ r / (√v̂ + ε') once the variance of v̂ is tractable, before that γ m̂."""
    beta1, beta2 = betas
    if decoupled_weight_decay and weight_decay != 0:
        parameter *= 1 - lr * weight_decay
        weight_decay = 0
    gradient = descent_gradient(gradient, parameter, weight_decay, maximize)
    exp_avg += (1 - beta1) * (gradient - exp_avg)
    exp_avg_sq *= beta2
    exp_avg_sq += (1 - beta2) * gradient * gradient
    step_size = lr / (1 - beta1**step)
    length, rectification = rectify(step, beta2)
    if length > 5:
        step_size = step_size * rectification * (1 - beta2**step) ** 0.5
        parameter -= step_size * exp_avg / (sqrt_op(exp_avg_sq) + eps)
    else:
        parameter -= step_size * exp_avg


def rectify(step, beta2):
    """Length ρₜ of the moving average that equals v, and the factor r that makes its variance that of a long one."""
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / (1 - beta2**step)
    if length <= 5:
        return length, None
    ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return length, ratio**0.5


class RAdam(PointwiseOptimizer):
    """RAdam: Adam whose adaptive step waits until the variance of its scale is under control.

    ρ∞ = 2 / (1 - β₂) - 1,  ρₜ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ),  m and v as in Adam;
    if ρₜ > 5:  θ ← θ - lr · m̂ · √((ρₜ-4)(ρₜ-2)ρ∞ / ((ρ∞-4)(ρ∞-2)ρₜ)) · √(1 - β₂ᵗ) / (√v + eps),  else θ ← θ - lr · m̂.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), betas (pair of floats), eps (float): as above.
        weight_decay (float): added to g as weight_decay · θ, or, with decoupled_weight_decay (bool), shrinking θ.
        foreach (bool, optional): accepted; one implementation serves all, with the same results.
        maximize (bool): ascend instead.
        capturable (bool): changes no result; refused for parameters on the CPU, as in PyTorch.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).

    Raises ValueError for options out of range, RuntimeError for sparse gradients.

    Source: Liu et al. 2020; https://docs.pytorch.org/docs/stable/generated/torch.optim.RAdam.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.RAdam([weight], lr=0.25)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.item()
    0.5
    """

    formula = staticmethod(radam)

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter, group):
        return {"step": scalar_state(0.0), "exp_avg": zeros_like(parameter), "exp_avg_sq": zeros_like(parameter)}
