"""Networks that classify videos (N, 3, frames, H, W), with torchvision's names.

Source: https://docs.pytorch.org/vision/stable/models.html#video-classification
"""
from models import published
from models.video.mvit import *
from models.video.resnet import *
from models.video.s3d import *
from models.video.swin_transformer import *

__getattr__ = published.attribute_of(__name__)
