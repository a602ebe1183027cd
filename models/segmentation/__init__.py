"""Networks that give every pixel a class, with torchvision's names.

They return a dict: ``out`` (N, num_classes, H, W), and with aux_loss ``aux`` likewise.
Source: https://docs.pytorch.org/vision/stable/models.html#semantic-segmentation
"""
from models.segmentation.deeplabv3 import *
from models.segmentation.fcn import *
from models.segmentation.lraspp import *


def __getattr__(name):
    """Enumerations of published weights are made when first asked for."""
    from models import published

    if name.endswith("_Weights") and name in published.names():
        return published.enumeration(name)
    raise AttributeError(f"module 'models.segmentation' has no attribute {name!r}")
