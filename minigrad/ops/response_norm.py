"""Local response normalisation."""

import math

from minigrad.kernels import response_norm as kernels
from minigrad.op import Op
from minigrad.ops.define import require_tensor
from minigrad.ops.pool import sum_along
from minigrad.tensor import Tensor


def _flat(x):
    """x (N, C, …) as (N, C, S)."""
    return x.reshape(x.shape[0], x.shape[1], math.prod(x.shape[2:]))


def _forward(x, *, size, alpha, beta, k):
    return kernels.response_norm(_flat(x), size, alpha, beta, k).reshape(x.shape)


def _rule(g, x, size, alpha, beta, k):
    """The gradient by the fused kernel or, when the pass is itself recorded, composed of simple operations."""
    if not isinstance(g, Tensor):
        return kernels.response_norm_gradient(_flat(g), _flat(x), size, alpha, beta, k).reshape(x.shape)
    before, after = size // 2, (size - 1) // 2
    scale = sum_along(x * x, axis=1, before=before, after=after) * (alpha / size) + k
    direct = g * scale**-beta
    sums = sum_along(direct * x / scale, axis=1, before=after, after=before)
    return direct - x * sums * (2 * alpha * beta / size)


local_response_norm_op = Op(_forward, [_rule], name="local_response_norm", promote="float")


def local_response_norm(input, size, alpha=0.0001, beta=0.75, k=1.0):
    """Return x / (k + α/n Σ x²)^β, the sum over the n = size channels around each one.

    Arguments: input (N, C, …), size (number of channels), alpha, beta, k. ValueError for fewer than 3 dimensions.
    Source: Krizhevsky et al. 2012; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.local_response_norm.html

    >>> import minigrad as mg
    >>> mg.nn.functional.local_response_norm(mg.ones(1, 1, 1), 1, alpha=3.0, beta=0.5)
    tensor([[[0.5000]]])
    """
    require_tensor("local_response_norm", input)
    if input.array.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.array.ndim} dimensions)")
    if input.array.size == 0:
        return input
    return local_response_norm_op(input, size=size, alpha=alpha, beta=beta, k=k)
