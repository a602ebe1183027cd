"""SparseAdam: Adam on the entries that sparse gradients have."""

from minigrad.ops.power import sqrt_op
from minigrad.optim.optimizer import check_betas, check_lr
from minigrad.optim.pointwise import PointwiseOptimizer, zeros_like


def sparse_adam(parameter, gradient, exp_avg, exp_avg_sq, *, step, lr, betas, eps, maximize):
    """m += (1 - β₁) (g - m);  v += (1 - β₂) (g² - v);  θ -= γ √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε)."""
    if maximize:
        gradient = -gradient
    exp_avg += (1 - betas[0]) * (gradient - exp_avg)
    exp_avg_sq += (1 - betas[1]) * (gradient * gradient - exp_avg_sq)
    rate = lr * (1 - betas[1] ** step) ** 0.5 / (1 - betas[0] ** step)
    parameter -= rate * exp_avg / (sqrt_op(exp_avg_sq) + eps)


class SparseAdam(PointwiseOptimizer):
    """Adam for sparse gradients: only the entries that a gradient has are moved, and only their averages.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), betas (pair of floats), eps (float), maximize (bool): Adam's.

    Raises ValueError for options out of range, sparse and complex parameters, RuntimeError for dense gradients.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SparseAdam.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.ones(3))
    >>> optimizer = mg.optim.SparseAdam([weight], lr=0.5)
    >>> weight.grad = mg.sparse_coo_tensor([[2]], [4.0], (3,))
    >>> optimizer.step()
    >>> weight.detach()
    tensor([1.0000, 1.0000, 0.5000])
    """

    formula = staticmethod(sparse_adam)
    takes_sparse = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        check_lr(lr)
        if not 0.0 < lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        self._refuse("Sparse", "requires dense parameter tensors", lambda parameter: parameter.is_sparse)
        self._refuse("Complex", "does not support complex parameters", lambda parameter: parameter.is_complex())

    def _refuse(self, kind, reason, is_of_kind):
        found = [
            [group_index, index]
            for group_index, group in enumerate(self.param_groups)
            for index, parameter in enumerate(group["params"])
            if is_of_kind(parameter)
        ]
        if found:
            raise ValueError(f"{kind} params at indices {found}: SparseAdam {reason}")

    def __setstate__(self, state):
        super().__setstate__(state)
        for own in self.state.values():  # this method counts with a number, as in PyTorch's state_dict
            own["step"] = int(own["step"])

    def prepare(self, parameter, state, group):
        if not state:
            state.update(step=0, exp_avg=zeros_like(parameter), exp_avg_sq=zeros_like(parameter))
        state["step"] += 1
        return {"step": state["step"]}

    def _check_step(self, group, parameter):
        if not parameter.grad.is_sparse:
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
