"""Layers that are several: a convolution with the ReLU behind it, under the names of torch.ao.nn.intrinsic."""

import importlib

from minigrad.absent import explain
from minigrad.nn.activation import ReLU
from minigrad.nn.container import Sequential
from minigrad.nn.conv import Conv1d, Conv2d, Conv3d
from minigrad.nn.linear import Linear

__all__ = ["ConvReLU1d", "ConvReLU2d", "ConvReLU3d", "LinearReLU"]


class _ConvReLU(Sequential):
    """A layer of one class and a ReLU, which Sequential runs in one go."""

    convolution = None

    def __init__(self, conv, relu):
        if type(conv) is not self.convolution or type(relu) is not ReLU:
            raise AssertionError(f"Incorrect types for input modules: {type(conv).__name__} and {type(relu).__name__}")
        super().__init__(conv, relu)


class ConvReLU1d(_ConvReLU):
    """relu(conv(x)) of a `Conv1d` and a `ReLU`.

    Arguments: conv, relu (of just these classes, AssertionError otherwise).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.intrinsic.ConvReLU1d.html

    >>> import minigrad as mg
    >>> pair = mg.nn.intrinsic.ConvReLU1d(mg.nn.Conv1d(2, 3, 2), mg.nn.ReLU())
    >>> bool((pair(mg.randn(1, 2, 9)) >= 0).all())
    True
    """

    convolution = Conv1d


class ConvReLU2d(_ConvReLU):
    """relu(conv(x)) of a `Conv2d` and a `ReLU`.

    Arguments: conv, relu (of just these classes, AssertionError otherwise).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.intrinsic.ConvReLU2d.html

    >>> import minigrad as mg
    >>> mg.nn.intrinsic.ConvReLU2d(mg.nn.Conv2d(3, 8, 1), mg.nn.ReLU())
    ConvReLU2d(
      (0): Conv2d(3, 8, kernel_size=(1, 1), stride=(1, 1))
      (1): ReLU()
    )
    """

    convolution = Conv2d


class ConvReLU3d(_ConvReLU):
    """relu(conv(x)) of a `Conv3d` and a `ReLU`.

    Arguments: conv, relu (of just these classes, AssertionError otherwise).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.intrinsic.ConvReLU3d.html

    >>> import minigrad as mg
    >>> mg.nn.intrinsic.ConvReLU3d(mg.nn.Conv3d(1, 2, 2), mg.nn.ReLU())(mg.ones(1, 1, 2, 2, 2)).shape
    minigrad.Size([1, 2, 1, 1, 1])
    """

    convolution = Conv3d


class LinearReLU(_ConvReLU):
    """relu(linear(x)) of a `Linear` and a `ReLU`.

    Arguments: linear, relu (of just these classes, AssertionError otherwise).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.intrinsic.LinearReLU.html

    >>> import minigrad as mg
    >>> mg.nn.intrinsic.LinearReLU(mg.nn.Linear(2, 3), mg.nn.ReLU())(mg.ones(4, 2)).shape
    minigrad.Size([4, 3])
    """

    convolution = Linear


def __getattr__(name):
    if name == "quantized":
        return importlib.import_module("minigrad.nn.intrinsic.quantized")
    raise AttributeError(explain(name, __name__))
