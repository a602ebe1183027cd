"""Averaged stochastic gradient descent."""

from minigrad.optim.optimizer import check_lr, check_nonnegative, scalar_state, to_scalar
from minigrad.optim.pointwise import PointwiseOptimizer, assign, descent_gradient, zeros_like


def asgd(parameter, gradient, ax, *, lambd, eta, mu, weight_decay, maximize):
    """θ = (1 - λ η) θ - η g;  the average a = a + μ (θ - a)."""
    gradient = descent_gradient(gradient, parameter, weight_decay, maximize)
    parameter *= 1 - lambd * eta
    parameter -= eta * gradient
    if mu == 1:
        assign(ax, parameter)
    else:
        ax += mu * (parameter - ax)


class ASGD(PointwiseOptimizer):
    """Stochastic gradient descent that also keeps the average of the parameters, in `state[parameter]["ax"]`.

    ηₜ = lr / (1 + lambd · lr · t)^alpha,  θ ← (1 - lambd · ηₜ) θ - ηₜ g,  a ← a + (θ - a) / max(1, t - t0),
    g including weight_decay · θ.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), lambd, alpha, t0, weight_decay (float): as above.
        foreach (bool, optional): accepted; one implementation serves all, with the same results.
        maximize (bool): ascend instead.
        differentiable (bool): let gradients flow through the step (parameters are then not leaves).
        capturable (bool): changes no result; refused for parameters on the CPU, as in PyTorch.

    Raises ValueError for options out of range, RuntimeError for sparse gradients.

    Source: Polyak and Juditsky 1992; https://docs.pytorch.org/docs/stable/generated/torch.optim.ASGD.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.ASGD([weight], lr=0.25, lambd=0.0)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.item()
    0.5
    """

    formula = staticmethod(asgd)

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd=1e-4,
        alpha=0.75,
        t0=1e6,
        weight_decay=0,
        foreach=None,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        check_lr(lr)
        check_nonnegative(weight_decay, "weight_decay value")
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def initial_state(self, parameter, group):
        return {
            "step": scalar_state(0.0),
            "eta": scalar_state(to_scalar(group["lr"])),
            "mu": scalar_state(1.0),
            "ax": zeros_like(parameter),
        }

    def prepare(self, parameter, state, group):
        own = super().prepare(parameter, state, group)
        step, lr = state["step"].item(), to_scalar(group["lr"])
        state["eta"].array[...] = lr / (1 + group["lambd"] * lr * step) ** group["alpha"]  # for the next step
        state["mu"].array[...] = 1 / max(1, step - group["t0"])
        return own
