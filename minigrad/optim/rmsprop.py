"""RMSprop."""

from minigrad.ops.power import sqrt_op
from minigrad.optim.optimizer import check_lr, check_nonnegative, scalar_state
from minigrad.optim.pointwise import PointwiseOptimizer, descent_gradient, zeros_like


def rmsprop(
    parameter,
    gradient,
    square_avg,
    grad_avg,
    momentum_buffer,
    *,
    lr,
    alpha,
    eps,
    weight_decay,
    momentum,
    centered,
    maximize,
):
    """v = α v + (1 - α) g²;  b = μ b + g / (√v + ε);  θ = θ - γ b; centered: v less the squared mean gradient."""
    gradient = descent_gradient(gradient, parameter, weight_decay, maximize)
    square_avg *= alpha
    square_avg += (1 - alpha) * gradient * gradient
    if centered:
        grad_avg += (1 - alpha) * (gradient - grad_avg)
        square_avg = square_avg - grad_avg * grad_avg
    denominator = sqrt_op(square_avg) + eps
    if momentum > 0:
        momentum_buffer *= momentum
        momentum_buffer += gradient / denominator
        parameter -= lr * momentum_buffer
    else:
        parameter -= lr * gradient / denominator


class RMSprop(PointwiseOptimizer):
    """RMSprop: steps divided by the root of a running average of the squared gradient.

    v ← alpha · v + (1 - alpha) · g²,  θ ← θ - lr · g / (√v + eps), g including weight_decay · θ. centered
    subtracts the square of a running average of g from v; momentum accumulates the steps.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), alpha, eps, weight_decay, momentum (float); centered (bool): as above.
        capturable (bool): changes no result; refused for parameters on the CPU, as in PyTorch.
        foreach (bool, optional): accepted; one implementation serves all, with the same results.
        maximize (bool): ascend instead.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).

    Raises ValueError for options out of range, RuntimeError for sparse gradients.

    Source: Hinton 2012 (lecture 6), Graves 2013;
    https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.RMSprop([weight], lr=0.01)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.9
    """

    formula = staticmethod(rmsprop)

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        check_nonnegative(eps, "epsilon value")
        check_nonnegative(momentum, "momentum value")
        check_nonnegative(weight_decay, "weight_decay value")
        check_nonnegative(alpha, "alpha value")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter, group):
        state = {"step": scalar_state(0.0), "square_avg": zeros_like(parameter)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(parameter)
        if group["centered"]:
            state["grad_avg"] = zeros_like(parameter)
        return state
