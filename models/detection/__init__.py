"""Networks that find objects, with torchvision's names.

In training they take a list of images (C, H, W) between 0 and 1 and a list of targets, dicts of ``boxes`` (n, 4),
``labels`` (n,) and for masks ``masks`` (n, H, W), for points ``keypoints`` (n, k, 3), and return a dict of losses;
otherwise they return for each image a dict of ``boxes``, ``labels``, ``scores`` and maybe ``masks`` (n, 1, H, W), or
``keypoints`` (n, k, 3) and ``keypoints_scores`` (n, k).
Source: https://docs.pytorch.org/vision/stable/models.html#object-detection
"""
from models import published
from models.detection.faster_rcnn import *
from models.detection.fcos import *
from models.detection.keypoint_rcnn import *
from models.detection.mask_rcnn import *
from models.detection.retinanet import *
from models.detection.ssd import *
from models.detection.ssdlite import *

__getattr__ = published.attribute_of(__name__)
