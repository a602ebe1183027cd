"""Automatic differentiation under PyTorch's names."""

import importlib as _importlib

from minigrad.absent import explain as _explain_absent
from minigrad.autograd import batched, functional, tensor_methods  # noqa: F401 - these complete engine and Tensor
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
from minigrad.autograd.hints import (
    enforce_grad_layout_policy,
    is_multithreading_enabled,
    is_view_replay_enabled,
    set_multithreading_enabled,
)
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
    "enforce_grad_layout_policy",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "is_multithreading_enabled",
    "is_view_replay_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
]

_ON_DEMAND = ("forward_ad", "graph", "profiler", "variable")


def __getattr__(name):
    """Import a submodule when it is first asked for, so that `import minigrad` is quick."""
    if name in _ON_DEMAND:
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(_explain_absent(name, __name__))


def __dir__():
    return sorted({*globals(), *_ON_DEMAND})
