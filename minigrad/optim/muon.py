"""Muon: momentum with orthogonalized matrices."""

import math

from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import xp
from minigrad.optim.optimizer import Optimizer, check_lr, to_scalar
from minigrad.optim.pointwise import zeros_like
from minigrad.variable import touch

LEARNING_RATE_ADJUSTMENTS = {
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


class Muon(Optimizer):
    """Muon: steps along the momentum with all its singular values brought near one, for the matrices of hidden layers.

    b ← momentum · b + (1 - momentum) · g, looked ahead once more with nesterov; O the result of ns_steps Newton–Schulz
    iterations on it; θ ← θ · (1 - lr · weight_decay) - lr · a · O, with a = √max(1, rows / columns) ("original")
    or 0.2 · √max(rows, columns) ("match_rms_adamw"). The iterations run in float32 (PyTorch's in bfloat16).

    Args:
        params: iterable of parameters with two dimensions, of (name, parameter) pairs, or of dicts defining groups.
        lr (float or 1-element Tensor), weight_decay, momentum (float), nesterov (bool): as above.
        ns_coefficients (three floats), eps (float: smallest norm divided by), ns_steps (int, below 100).
        adjust_lr_fn ("original", the default, or "match_rms_adamw").

    Raises ValueError for options out of range or another number of dimensions.

    Source: Jordan 2024, Liu et al. 2025; https://docs.pytorch.org/docs/stable/generated/torch.optim.Muon.html

    >>> import minigrad as mg
    >>> weight = mg.nn.Parameter(mg.eye(2))
    >>> optimizer = mg.optim.Muon([weight], lr=0.1)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight[0, 0].item() < 1
    True
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        weight_decay=0.1,
        momentum=0.95,
        nesterov=True,
        ns_coefficients=(3.4445, -4.775, 2.0315),
        eps=1e-7,
        ns_steps=5,
        adjust_lr_fn=None,
    ):
        check_lr(lr)
        if not 0.0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn is not None and adjust_lr_fn not in LEARNING_RATE_ADJUSTMENTS:
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {parameter.shape}"
                    )

    @no_grad()
    def step(self, closure=None):
        """Move every parameter that has a gradient once; the closure, if given, is evaluated first for its loss."""
        loss = self.evaluate(closure)
        pairs = self.with_gradients()
        for group, parameter in pairs:
            if parameter.is_complex():
                raise RuntimeError("Muon does not support complex parameters")
            if getattr(parameter.grad, "is_sparse", False):
                raise RuntimeError("Muon does not support sparse gradients")
            if group["ns_steps"] >= 100:
                raise ValueError("Number of steps must be less than 100 for computational efficiency")
            if len(group["ns_coefficients"]) != 3:
                raise ValueError("Coefficients must be a tuple of exactly 3 values")
        for group, parameter in pairs:
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = zeros_like(parameter)
            _update(parameter.array, parameter.grad.array, state["momentum_buffer"].array, group)
            touch(parameter.array)
        return loss


def _update(parameter, gradient, buffer, group):
    """Muon's step on raw arrays, in place."""
    lr, momentum = to_scalar(group["lr"]), group["momentum"]
    buffer += (1 - momentum) * (gradient - buffer)
    direction = gradient + momentum * (buffer - gradient) if group["nesterov"] else buffer
    direction = orthogonalize(direction, group["ns_coefficients"], group["ns_steps"], group["eps"])
    adjust = LEARNING_RATE_ADJUSTMENTS[group["adjust_lr_fn"] or "original"]
    parameter *= 1 - lr * group["weight_decay"]
    parameter -= lr * adjust(*parameter.shape) * direction


def orthogonalize(matrix, coefficients, steps, eps):
    """Bring a matrix's singular values near one: X ← a X + (b G + c G²) X with G = X Xᵀ, repeated. # float32"""
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).astype("float32")  # the smaller Gram matrix
    x = x / max(float(xp(x).sqrt((x * x).sum())), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
