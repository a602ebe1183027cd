"""Automatic differentiation under PyTorch's names."""

from minigrad.autograd import functional, tensor_methods  # noqa: F401 - the latter puts backward, detach, … on Tensor
from minigrad.autograd.anomaly_mode import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from minigrad.autograd.function import Function, InplaceFunction, NestedIOFunction
from minigrad.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from minigrad.autograd.gradcheck import gradcheck, gradgradcheck
from minigrad.engine import backward, grad
from minigrad.variable import Variable

__all__ = [
    "Function",
    "InplaceFunction",
    "NestedIOFunction",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
