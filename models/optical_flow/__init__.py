"""Networks that say where each pixel of an image is in another one, with torchvision's names.

They return a list of flows (N, 2, H, W), of displacements in pixels along x and y, each better than the one before.
Source: https://docs.pytorch.org/vision/stable/models.html#optical-flow
"""
from models.optical_flow.raft import *


def __getattr__(name):
    """Enumerations of published weights are made when first asked for."""
    from models import published

    if name.endswith("_Weights") and name in published.names():
        return published.enumeration(name)
    raise AttributeError(f"module 'models.optical_flow' has no attribute {name!r}")
