"""Adam, with AMSGrad and decoupled weight decay."""

from minigrad.ops.extremum import maximum_op
from minigrad.ops.power import sqrt_op
from minigrad.optim.optimizer import check_betas, check_implementation_flags, check_lr, check_nonnegative, scalar_state
from minigrad.optim.pointwise import PointwiseOptimizer, assign, descent_gradient, zeros_like
from minigrad.tensor import Tensor


def adam(
    parameter,
    gradient,
    exp_avg,
    exp_avg_sq,
    max_exp_avg_sq,
    *,
    step,
    lr,
    betas,
    eps,
    weight_decay,
    amsgrad,
    maximize,
    decoupled_weight_decay,
):
    """m = β₁ m + (1 - β₁) g;  v = β₂ v + (1 - β₂) g²;  θ = θ - γ m̂ / (√v̂ + ε), with m̂ and v̂ free of their bias."""
    beta1, beta2 = betas
    if decoupled_weight_decay and weight_decay != 0:
        parameter *= 1 - lr * weight_decay
        weight_decay = 0
    gradient = descent_gradient(gradient, parameter, weight_decay, maximize)
    exp_avg += (1 - beta1) * (gradient - exp_avg)
    exp_avg_sq *= beta2
    exp_avg_sq += (1 - beta2) * gradient * gradient
    if amsgrad:
        assign(max_exp_avg_sq, maximum_op(max_exp_avg_sq, exp_avg_sq))
        exp_avg_sq = max_exp_avg_sq
    correction = (1 - beta2**step) ** 0.5  # √v̂ = √v / correction; moved to the scalars, it costs no pass over memory
    step_size = lr * correction / (1 - beta1**step)
    parameter -= step_size * exp_avg / (sqrt_op(exp_avg_sq) + eps * correction)


class Adam(PointwiseOptimizer):
    """Adam: steps scaled by running averages of the gradient and of its square.

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  θ ← θ - lr · m / (1 - β₁ᵗ) / (√(v / (1 - β₂ᵗ)) + eps);
    amsgrad uses the largest v so far. weight_decay adds weight_decay · θ to g, or with decoupled_weight_decay
    shrinks θ by the factor 1 - lr · weight_decay, apart from the averages.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor): learning rate.
        betas (pair of floats, or of 1-element Tensors): (β₁, β₂).
        eps, weight_decay (float); amsgrad, maximize, decoupled_weight_decay (bool): as above.
        foreach, fused (bool, optional): accepted; one implementation serves all, with the same results.
        capturable (bool): changes no result; refused for parameters on the CPU, as in PyTorch.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).

    Raises ValueError for options out of range, RuntimeError for sparse gradients.

    Source: Kingma and Ba 2015, Reddi et al. 2018;
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0, 2.0]))
    >>> optimizer = mg.optim.Adam([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5, 1.5]
    """

    formula = staticmethod(adam)
    counts_on_gpu = True

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
    ):
        check_lr(lr)
        check_nonnegative(eps, "epsilon value")
        check_betas(betas)
        check_nonnegative(weight_decay, "weight_decay value")
        _check_tensor_options(lr, betas, foreach and not capturable)
        check_implementation_flags(foreach, fused, differentiable)
        defaults = {
            "lr": lr,
            "betas": tuple(map(_squeezed, betas)),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter, group):
        state = {"step": scalar_state(0.0), "exp_avg": zeros_like(parameter), "exp_avg_sq": zeros_like(parameter)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(parameter)
        return state


def _check_tensor_options(lr, betas, numbers_only):
    """ValueError where tensors as options are mixed with numbers, too long, or not allowed by the flags."""
    if isinstance(lr, Tensor) and numbers_only:
        raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
    if not (all(isinstance(b, float) for b in betas) or all(isinstance(b, Tensor) for b in betas)):
        raise ValueError("betas must be either both floats or both Tensors")
    for index, beta in enumerate(betas):
        if not isinstance(beta, Tensor):
            continue
        if numbers_only:
            raise ValueError(f"betas[{index}] as a Tensor is not supported for capturable=False and foreach=True")
        if beta.numel() != 1:
            raise ValueError(f"Tensor betas[{index}] must be 1-element")


def _squeezed(value):
    return value.reshape(()) if isinstance(value, Tensor) else value
