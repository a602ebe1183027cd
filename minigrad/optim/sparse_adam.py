"""SparseAdam: only its refusals, since minigrad's gradients are dense."""

from minigrad.optim.optimizer import Optimizer, check_betas, check_lr


class SparseAdam(Optimizer):
    """Adam for sparse gradients. minigrad has none: it can be made, and its step refuses dense gradients as PyTorch's.

    Args:
        params: iterable of parameters, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), betas (pair of floats), eps (float), maximize (bool): Adam's.

    Raises ValueError for options out of range and complex parameters, RuntimeError at a step with dense gradients.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SparseAdam.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.SparseAdam([weight])
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    Traceback (most recent call last):
    RuntimeError: SparseAdam does not support dense gradients, please consider Adam instead
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        check_lr(lr)
        if not 0.0 < lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        found = [
            [group_index, index]
            for group_index, group in enumerate(self.param_groups)
            for index, parameter in enumerate(group["params"])
            if parameter.is_complex()
        ]
        if found:
            raise ValueError(
                f"Complex params at indices {found}: SparseAdam does not support complex parameters"
            )

    def step(self, closure=None):
        """Evaluate the closure, if given; RuntimeError if any parameter then has a gradient, which is dense."""
        loss = self.evaluate(closure)
        if any(parameter.grad is not None for group in self.param_groups for parameter in group["params"]):
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
        return loss
