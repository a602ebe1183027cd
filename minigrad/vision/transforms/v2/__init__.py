"""Transforms under the names of torchvision.transforms.v2 (https://docs.pytorch.org/vision/stable/transforms.html#v2-api-ref).

They take an image, or a sample: nested lists, tuples and dicts, in which images are transformed, all alike (every PIL
image and array, or else the first tensor). There are no bounding boxes, key points and masks.
"""

from minigrad.backend import np
from minigrad.tensor import Tensor
from minigrad.vision import transforms as _first
from minigrad.vision.transforms.batches import CutMix, MixUp
from minigrad.vision.transforms.interpolation import InterpolationMode
from minigrad.vision.transforms.pil_image import is_pil_image
from minigrad.vision.transforms.v2 import functional, transform
from minigrad.vision.transforms.v2.transform import *  # noqa: F403
from minigrad.vision.transforms.v2.transform import of_samples

_IMAGES = (
    "AugMix AutoAugment AutoAugmentPolicy CenterCrop ColorJitter ConvertImageDtype ElasticTransform FiveCrop "
    "GaussianBlur Grayscale LinearTransformation Normalize Pad RandAugment RandomAdjustSharpness RandomAffine "
    "RandomAutocontrast RandomCrop RandomEqualize RandomErasing RandomGrayscale RandomHorizontalFlip RandomInvert "
    "RandomPerspective RandomPosterize RandomResize RandomResizedCrop RandomRotation RandomShortestSize RandomSolarize "
    "RandomVerticalFlip Resize TenCrop ToTensor TrivialAugmentWide"
).split()
for _name in _IMAGES:
    _base = getattr(_first, _name)
    globals()[_name] = _base if _name == "AutoAugmentPolicy" else of_samples(_base)
PILToTensor = of_samples(_first.PILToTensor, (is_pil_image,))
ToPILImage = of_samples(_first.ToPILImage, (Tensor, np.ndarray))
Compose, Lambda, RandomApply = _first.Compose, _first.Lambda, _first.RandomApply
RandomChoice, RandomOrder = _first.RandomChoice, _first.RandomOrder

__all__ = [
    *transform.__all__, *_IMAGES, "Compose", "CutMix", "InterpolationMode", "Lambda", "MixUp", "PILToTensor",
    "RandomApply", "RandomChoice", "RandomOrder", "ToPILImage", "functional",
]  # fmt: skip

_BOXES = (
    "ClampBoundingBoxes ClampKeyPoints ConvertBoundingBoxFormat RandomIoUCrop SanitizeBoundingBoxes SanitizeKeyPoints "
    "SetClampingMode get_bounding_boxes get_keypoints"
).split()


def __getattr__(name):
    reason = ": transforms take images only, no boxes and key points; see vision.ops for boxes" * (name in _BOXES)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{reason}")
