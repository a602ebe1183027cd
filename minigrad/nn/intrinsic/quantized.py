"""Layers of eight-bit networks that are two: with the ReLU behind them."""

from minigrad.nn import quantized

__all__ = ["ConvReLU2d", "LinearReLU"]


class ConvReLU2d(quantized.Conv2d):
    """relu(conv(x)) of nn.quantized.Conv2d.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.intrinsic.quantized.ConvReLU2d.html

    >>> import minigrad as mg
    >>> mg.nn.intrinsic.quantized.ConvReLU2d(3, 8, 1)
    QuantizedConvReLU2d(3, 8, kernel_size=(1, 1), stride=(1, 1), scale=1.0, zero_point=0)
    """

    _relu = True
    _name = "QuantizedConvReLU2d"


class LinearReLU(quantized.Linear):
    """relu(linear(x)) of nn.quantized.Linear.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.intrinsic.quantized.LinearReLU.html

    >>> import minigrad as mg
    >>> mg.nn.intrinsic.quantized.LinearReLU(3, 4).weight().shape
    minigrad.Size([4, 3])
    """

    _relu = True
    _name = "QuantizedLinearReLU"
