"""torch.ao: eight-bit networks. ``quantization`` makes them, ``nn`` is minigrad.nn with their layers."""

import importlib as _importlib

from minigrad.absent import explain as _explain


def __getattr__(name):
    if name == "quantization":
        return _importlib.import_module("minigrad.ao.quantization")
    if name == "nn":
        return _importlib.import_module("minigrad.nn")
    raise AttributeError(_explain(name, __name__))
