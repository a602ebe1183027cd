"""Networks that say where each pixel of an image is in another one, with torchvision's names.

They return a list of flows (N, 2, H, W), of displacements in pixels along x and y, each better than the one before.
Source: https://docs.pytorch.org/vision/stable/models.html#optical-flow
"""
from models import published
from models.optical_flow.raft import *

__getattr__ = published.attribute_of(__name__)
