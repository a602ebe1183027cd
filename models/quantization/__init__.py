"""The networks that torchvision offers for eight-bit numbers, with floating-point ones: what ``quantize=False`` gives.

They have the names, arguments and weights of the other networks, and ReLU where these have ReLU6. There are no kernels
for eight-bit numbers: ``quantize=True`` is a NotImplementedError that says so.
Source: https://docs.pytorch.org/vision/stable/models.html#quantized-models
"""
from models import published
from models.quantization.networks import *

__getattr__ = published.attribute_of(__name__, "_QuantizedWeights")
