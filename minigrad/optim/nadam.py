"""NAdam: Adam with Nesterov momentum."""

from minigrad.ops.power import sqrt_op
from minigrad.optim.optimizer import check_betas, check_lr, check_nonnegative, scalar_state, to_scalar
from minigrad.optim.pointwise import PointwiseOptimizer, descent_gradient, zeros_like


def nadam(
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
    momentum_decay,
    maximize,
    decoupled_weight_decay,
    mu_product,
):
    """Adam's averages m and v;  θ = θ - γ ((1 - μₜ) / (1 - Πμ) · g + μₜ₊₁ / (1 - Πμ · μₜ₊₁) · m) / (√v̂ + ε)."""
    beta1, beta2 = betas
    if decoupled_weight_decay and weight_decay != 0:
        parameter *= 1 - lr * weight_decay
        weight_decay = 0
    gradient = descent_gradient(gradient, parameter, weight_decay, maximize)
    exp_avg += (1 - beta1) * (gradient - exp_avg)
    exp_avg_sq *= beta2
    exp_avg_sq += (1 - beta2) * gradient * gradient
    denominator = sqrt_op(exp_avg_sq) / (1 - beta2**step) ** 0.5 + eps
    mu, mu_next = momentum_at(step, beta1, momentum_decay), momentum_at(step + 1, beta1, momentum_decay)
    share = lr * (1 - mu) / (1 - mu_product) * gradient
    parameter -= (share + lr * mu_next / (1 - mu_product * mu_next) * exp_avg) / denominator


def momentum_at(step, beta1, momentum_decay):
    """μₜ: the momentum of a step, which rises towards β₁ as the steps go on."""
    return beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))


class NAdam(PointwiseOptimizer):
    """NAdam: Adam that looks ahead along the momentum, as Nesterov's method does.

    μₜ = β₁ (1 - 0.96^(t · momentum_decay) / 2),  m and v as in Adam,
    θ ← θ - lr · ((1 - μₜ) g / (1 - ∏μ) + μₜ₊₁ m / (1 - ∏μ · μₜ₊₁)) / (√(v / (1 - β₂ᵗ)) + eps).

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), betas (pair of floats), eps, momentum_decay (float): as above.
        weight_decay (float): added to g as weight_decay · θ, or, with decoupled_weight_decay (bool), shrinking θ.
        foreach (bool, optional): accepted; one implementation serves all, with the same results.
        maximize (bool): ascend instead.
        capturable (bool): changes no result; refused for parameters on the CPU, as in PyTorch.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).

    Raises ValueError for options out of range, RuntimeError for sparse gradients.

    Source: Dozat 2016; https://docs.pytorch.org/docs/stable/generated/torch.optim.NAdam.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.NAdam([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.item() < 1
    True
    """

    formula = staticmethod(nadam)

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        momentum_decay=4e-3,
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
        check_nonnegative(momentum_decay, "momentum_decay value")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter, group):
        return {
            "step": scalar_state(0.0),
            "mu_product": scalar_state(1.0),
            "exp_avg": zeros_like(parameter),
            "exp_avg_sq": zeros_like(parameter),
        }

    def prepare(self, parameter, state, group):
        own = super().prepare(parameter, state, group)
        beta1, momentum_decay = to_scalar(group["betas"][0]), to_scalar(group["momentum_decay"])
        state["mu_product"].array *= momentum_at(own["step"], beta1, momentum_decay)
        return {**own, "mu_product": state["mu_product"].item()}
