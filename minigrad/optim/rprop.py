"""Rprop: resilient backpropagation."""

from minigrad.backend import xp
from minigrad.ops.extremum import maximum_op, minimum_op
from minigrad.ops.masked import choose, keep_where, logical_complement
from minigrad.ops.unary import sign_op
from minigrad.optim.optimizer import check_lr, scalar_state, to_scalar
from minigrad.optim.pointwise import PointwiseOptimizer, assign, zeros_like
from minigrad.tensor import wrap


def rprop(parameter, gradient, prev, step_size, *, etas, step_sizes, maximize):
    """η = η η₊ where the gradient kept its sign, η η₋ where it turned (and no step there);  θ = θ - sign(g) η."""
    eta_minus, eta_plus = etas
    if maximize:
        gradient = -gradient
    agreement = sign_op(gradient * prev)  # 1: same sign as before, -1: the sign turned, 0: no information
    factor = choose(agreement > 0, eta_plus, choose(agreement < 0, eta_minus, agreement + 1))
    assign(step_size, minimum_op(maximum_op(step_size * factor, step_sizes[0]), step_sizes[1]))
    gradient = keep_where(gradient, logical_complement(agreement < 0))
    parameter -= sign_op(gradient) * step_size
    assign(prev, gradient)


class Rprop(PointwiseOptimizer):
    """Rprop: a step size for every number, grown while its gradient keeps its sign and shrunk when that turns.

    η ← clamp(η · eta_plus, or η · eta_minus with g ← 0, to step_sizes),  θ ← θ - sign(g) · η.
    Meant for full batches.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor): the first η.
        etas (pair of floats): (eta_minus, eta_plus), eta_minus < 1 < eta_plus.
        step_sizes (pair of floats): smallest and largest η.
        capturable (bool): changes no result; refused for parameters on the CPU, as in PyTorch.
        foreach (bool, optional): accepted; one implementation serves all, with the same results.
        maximize (bool): ascend instead.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).

    Raises ValueError for options out of range, RuntimeError for sparse gradients.

    Source: Riedmiller and Braun 1993; https://docs.pytorch.org/docs/stable/generated/torch.optim.Rprop.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.Rprop([weight], lr=0.25)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.item()
    0.75
    """

    formula = staticmethod(rprop)

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter, group):
        array = parameter.array
        first = to_scalar(group["lr"])
        if parameter.is_complex():
            first = complex(first, first)
        return {
            "step": scalar_state(0.0),
            "prev": zeros_like(parameter),
            "step_size": wrap(xp(array).full_like(array, first)),
        }
