"""Modules without their initial values, and convolution weights in other memory formats."""

import inspect

from minigrad.nn import init
from minigrad.nn.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d
from minigrad.nn.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format", "skip_init"]


def skip_init(module_cls, *args, **kwargs):
    """Return a module of a class whose random initialisation is left out: its weights hold anything.

    RuntimeError for another class than one of modules, or one whose constructor has no ``device``.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html

    >>> import minigrad as mg
    >>> mg.nn.utils.skip_init(mg.nn.Linear, 10, 5).weight.shape
    minigrad.Size([5, 10])
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    with init.paused():
        return module_cls(*args, **kwargs)


def _convert(module, memory_format, kinds):
    for part in module.modules():
        if isinstance(part, kinds):
            part.weight.data = part.weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module, memory_format):
    """Give the weights of all Conv2d and ConvTranspose2d in a module a memory format; returns the module.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.convert_conv2d_weight_memory_format.html

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.convert_conv2d_weight_memory_format(mg.nn.Conv2d(8, 4, 3), mg.channels_last)
    >>> layer.weight.stride()
    (72, 1, 24, 8)
    """
    return _convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module, memory_format):
    """Give the weights of all Conv3d and ConvTranspose3d in a module a memory format; returns the module.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.convert_conv3d_weight_memory_format.html

    >>> import minigrad as mg
    >>> layer = mg.nn.utils.convert_conv3d_weight_memory_format(mg.nn.Conv3d(8, 4, 2), mg.channels_last_3d)
    >>> layer.weight.stride()
    (64, 1, 32, 16, 8)
    """
    return _convert(module, memory_format, (Conv3d, ConvTranspose3d))
