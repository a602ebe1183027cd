"""AdamW: Adam with decoupled weight decay."""

from minigrad.optim.adam import Adam


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters apart from the running averages.

    θ ← θ · (1 - lr · weight_decay), then Adam's update. Arguments and errors are Adam's, except that
    weight_decay is 0.01 unless given.

    Source: Loshchilov and Hutter 2019; https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.tensor([1.0]))
    >>> optimizer = mg.optim.AdamW([weight], lr=0.5, weight_decay=0.2)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> round(weight.item(), 4)
    0.4
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
