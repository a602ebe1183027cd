"""Adagrad."""

from minigrad.backend import xp
from minigrad.ops.power import sqrt_op
from minigrad.optim.optimizer import check_implementation_flags, check_lr, check_nonnegative, scalar_state
from minigrad.optim.pointwise import PointwiseOptimizer, descent_gradient
from minigrad.tensor import wrap


def adagrad(parameter, gradient, sum, *, step, lr, lr_decay, eps, weight_decay, maximize):  # noqa: A002
    """s = s + g²;  θ = θ - γ / (1 + (t - 1) η) · g / (√s + ε)."""
    gradient = descent_gradient(gradient, parameter, weight_decay, maximize)
    sum += gradient * gradient
    parameter -= lr / (1 + (step - 1) * lr_decay) * gradient / (sqrt_op(sum) + eps)


class Adagrad(PointwiseOptimizer):
    """Adagrad: steps divided by the root of the sum of all squared gradients.

    s ← s + g²,  θ ← θ - lr / (1 + (t - 1) · lr_decay) · g / (√s + eps), g including weight_decay · θ.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), lr_decay, weight_decay, eps (float): as above.
        initial_accumulator_value (float): s before the first step.
        foreach, fused (bool, optional): accepted; one implementation serves all, with the same results.
        maximize (bool): ascend instead.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).

    Gradients may be sparse without weight_decay. Raises ValueError for options out of range.

    Source: Duchi et al. 2011; https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.Adagrad([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.item()
    0.5
    """

    formula = staticmethod(adagrad)
    takes_sparse = True

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
    ):
        check_lr(lr)
        check_nonnegative(lr_decay, "lr_decay value")
        check_nonnegative(weight_decay, "weight_decay value")
        check_nonnegative(initial_accumulator_value, "initial_accumulator_value value")
        check_nonnegative(eps, "epsilon value")
        check_implementation_flags(foreach, fused, differentiable)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:  # PyTorch's layout has Adagrad's state from the start
            for parameter in group["params"]:
                self.state[parameter].update(self.initial_state(parameter, group))

    def initial_state(self, parameter, group):
        value = self.defaults["initial_accumulator_value"]
        if parameter.is_complex():
            value = complex(value, value)
        return {"step": scalar_state(0.0), "sum": wrap(xp(parameter.array).full_like(parameter.array, value))}
