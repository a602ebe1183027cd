"""PyTorch's module paths (torch.nn.modules.conv, …) for programs that import from them."""

import importlib
import sys

from minigrad.nn.module import Module

# PyTorch's module -> the module here; several of PyTorch's can be one here.
_PATHS = {
    "activation": "activation",
    "batchnorm": "normalization",
    "container": "container",
    "distance": "distance",
    "dropout": "dropout",
    "flatten": "flatten",
    "instancenorm": "normalization",
    "lazy": "lazy",
    "linear": "linear",
    "loss": "loss",
    "module": "module",
    "normalization": "normalization",
    "sparse": "sparse",
}

for _name, _target in _PATHS.items():
    _module = importlib.import_module(f"minigrad.nn.{_target}")
    sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _module
