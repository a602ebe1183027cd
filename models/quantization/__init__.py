"""The networks that torchvision offers with eight-bit numbers: ``quantize=True``, else in floating point.

They have the names, arguments and weights of the other networks, and ReLU where these have ReLU6. Eight-bit networks
only infer, on the CPU; their published files load.
Source: https://docs.pytorch.org/vision/stable/models.html#quantized-models
"""
from models import published
from models.quantization.networks import *

__getattr__ = published.attribute_of(__name__, "_QuantizedWeights")
