"""Networks that give every pixel a class, with torchvision's names.

They return a dict: ``out`` (N, num_classes, H, W), and with aux_loss ``aux`` likewise.
Source: https://docs.pytorch.org/vision/stable/models.html#semantic-segmentation
"""
from models import published
from models.segmentation.deeplabv3 import *
from models.segmentation.fcn import *
from models.segmentation.lraspp import *

__getattr__ = published.attribute_of(__name__)
