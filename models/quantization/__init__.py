"""The networks that torchvision offers for eight-bit numbers, with floating-point ones: what ``quantize=False`` gives.

They have the names, arguments and weights of the other networks, and ReLU where these have ReLU6. There are no kernels
for eight-bit numbers: ``quantize=True`` is a NotImplementedError that says so.
Source: https://docs.pytorch.org/vision/stable/models.html#quantized-models
"""
from models.quantization.networks import *


def __getattr__(name):
    """Enumerations of published weights are made when first asked for."""
    from models import published

    if name.endswith("_QuantizedWeights") and name in published.names():
        return published.enumeration(name)
    raise AttributeError(f"module 'models.quantization' has no attribute {name!r}")
