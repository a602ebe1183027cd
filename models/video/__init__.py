"""Networks that classify videos (N, 3, frames, H, W), with torchvision's names.

Source: https://docs.pytorch.org/vision/stable/models.html#video-classification
"""
from models.video.mvit import *
from models.video.resnet import *
from models.video.s3d import *
from models.video.swin_transformer import *


def __getattr__(name):
    """Enumerations of published weights are made when first asked for."""
    from models import published

    if name.endswith("_Weights") and name in published.names():
        return published.enumeration(name)
    raise AttributeError(f"module 'models.video' has no attribute {name!r}")
