"""torchvision's module of the names of classes.

>>> _VOC_CATEGORIES[:3]
['__background__', 'aeroplane', 'bicycle']
"""
from models.published import KEYPOINTS, _categories

_IMAGENET_CATEGORIES = _categories("imagenet")
_COCO_CATEGORIES = _categories("coco")
_COCO_PERSON_CATEGORIES = _categories("keypoints")
_COCO_PERSON_KEYPOINT_NAMES = list(KEYPOINTS)
_VOC_CATEGORIES = _categories("voc")
_KINETICS400_CATEGORIES = _categories("kinetics")
