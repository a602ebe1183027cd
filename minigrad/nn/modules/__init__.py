"""PyTorch's module paths (torch.nn.modules.conv, …) for programs that import from them."""

import importlib
import sys

from minigrad.absent import getter
from minigrad.nn.module import Module

# PyTorch's module -> the module here; several of PyTorch's can be one here.
_PATHS = {
    "activation": "activation",
    "adaptive": "adaptive",
    "batchnorm": "normalization",
    "channelshuffle": "upsampling",
    "container": "container",
    "conv": "conv",
    "distance": "distance",
    "dropout": "dropout",
    "flatten": "flatten",
    "fold": "fold",
    "instancenorm": "normalization",
    "lazy": "lazy",
    "linear": "linear",
    "loss": "loss",
    "module": "module",
    "normalization": "normalization",
    "padding": "padding",
    "pixelshuffle": "upsampling",
    "pooling": "pooling",
    "rnn": "rnn",
    "sparse": "sparse",
    "transformer": "transformer",
    "upsampling": "upsampling",
}

for _name, _target in _PATHS.items():
    _module = importlib.import_module(f"minigrad.nn.{_target}")
    sys.modules[f"{__name__}.{_name}"] = globals()[_name] = _module
    globals().update({_layer: getattr(_module, _layer) for _layer in getattr(_module, "__all__", ())})


__getattr__ = getter(__name__)
