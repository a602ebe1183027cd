"""What distributions outside of minigrad import from torch.distributions.utils.

Source: https://github.com/pytorch/pytorch/blob/main/torch/distributions/utils.py (names and meaning)
"""

import numbers

from minigrad.registry import FUNCTIONS
from minigrad.tensor import Tensor
from minigrad.typeinfo import finfo

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]
euler_constant = 0.57721566490153286060


def broadcast_all(*values):
    """Return the numbers and tensors as tensors of one shape; numbers take the tensors' dtype and device.

    ValueError for what is neither.

    >>> import minigrad as mg
    >>> [t.shape for t in broadcast_all(1.0, mg.ones(2))]
    [minigrad.Size([2]), minigrad.Size([2])]
    """
    if not all(isinstance(value, (Tensor, numbers.Number)) for value in values):
        raise ValueError("Input arguments must all be instances of Number or torch.Tensor.")
    like = next((value for value in values if isinstance(value, Tensor)), None)
    if like is None:
        made = [FUNCTIONS["tensor"](float(value)) for value in values]
    else:
        options = {"dtype": like.dtype, "device": like.device}
        made = [v if isinstance(v, Tensor) else FUNCTIONS["tensor"](v, **options) for v in values]
    return FUNCTIONS["broadcast_tensors"](*made)


def _standard_normal(shape, dtype, device):
    """Return standard normal numbers."""
    return FUNCTIONS["randn"](shape, dtype=dtype, device=device)


def _sum_rightmost(value, dim):
    """Return the sum over the last dim dimensions."""
    return value.sum(tuple(range(-dim, 0))) if dim else value


def clamp_probs(probs):
    """Return probabilities kept away from 0 and 1 by the dtype's eps."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(eps, 1 - eps)


def logits_to_probs(logits, is_binary=False):
    """Return sigmoid(logits) for binary variables, else softmax along the last dimension."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def probs_to_logits(probs, is_binary=False):
    """Return log(p / (1 - p)) for binary variables, else log(p), of clamped probabilities.

    >>> import minigrad as mg
    >>> probs_to_logits(mg.tensor([0.5]), is_binary=True)
    tensor([0.])
    """
    kept = clamp_probs(probs)
    return kept.log() - (-kept).log1p() if is_binary else kept.log()


class lazy_property:  # noqa: N801 - PyTorch's name
    """A property that is computed, with gradients, when it is first read and kept as an attribute."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        from minigrad.autograd import enable_grad

        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def vec_to_tril_matrix(vec, diag=0):
    """Return (…, D, D) matrices whose entries up to a diagonal are those of vectors, row by row, and zero above it.

    ValueError for a diagonal above the main one.

    >>> import minigrad as mg
    >>> vec_to_tril_matrix(mg.tensor([1.0, 2.0, 3.0]))
    tensor([[1., 0.],
            [2., 3.]])
    """
    if diag > 0:
        raise ValueError(f"vec_to_tril_matrix takes a diagonal of 0 or below, but got {diag}")
    count = vec.shape[-1]  # r (r + 1) / 2 entries in r rows
    size = round(((1 + 8 * count) ** 0.5 - 1) / 2) - diag
    columns = FUNCTIONS["arange"](size, device=vec.device)
    row = columns.unsqueeze(-1) + diag  # (D, 1): the last column that is filled
    place = (row * (row + 1) // 2 + columns).masked_fill(columns > row, count)  # (D, D)
    return FUNCTIONS["cat"]([vec, vec.new_zeros((*vec.shape[:-1], 1))], -1)[..., place]


def tril_matrix_to_vec(mat, diag=0):
    """Return the entries of square matrices up to a diagonal, row by row; ValueError for a diagonal outside.

    >>> import minigrad as mg
    >>> tril_matrix_to_vec(mg.tensor([[1.0, 0.0], [2.0, 3.0]]))
    tensor([1., 2., 3.])
    """
    size = mat.shape[-1]
    if not -size <= diag < size:
        raise ValueError(f"diag ({diag}) provided is outside [{-size}, {size - 1}].")
    rows, columns = FUNCTIONS["tril_indices"](size, size, offset=diag, device=mat.device)
    return mat[..., rows, columns]
