"""Automatic differentiation under PyTorch's names."""

from minigrad.autograd import tensor_methods  # noqa: F401 - puts backward, detach, … on Tensor
from minigrad.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from minigrad.engine import backward, grad
from minigrad.variable import Variable

__all__ = [
    "Variable",
    "backward",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]
