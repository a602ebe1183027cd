"""Transforms under the names of torchvision.transforms.v2 (https://docs.pytorch.org/vision/stable/transforms.html#v2-api-ref).

They take an image, or a sample: nested lists, tuples and dicts, in which images are transformed, all alike (every PIL
image, array and tv_tensors.Image, or else the first tensor), and boxes, masks and key points of vision.tv_tensors.
"""

from minigrad.backend import np
from minigrad.tensor import Tensor
from minigrad.vision import transforms as _first
from minigrad.vision.transforms.batches import CutMix, MixUp
from minigrad.vision.transforms.interpolation import InterpolationMode
from minigrad.vision.transforms.pil_image import is_pil_image
from minigrad.vision.transforms.v2 import boxes, functional, transform
from minigrad.vision.transforms.v2.boxes import *  # noqa: F403
from minigrad.vision.transforms.v2.transform import *  # noqa: F403
from minigrad.vision.transforms.v2.transform import is_image, of_samples
from minigrad.vision.tv_tensors import Image

_IMAGES = (
    "AugMix AutoAugment AutoAugmentPolicy CenterCrop ColorJitter ConvertImageDtype ElasticTransform FiveCrop "
    "GaussianBlur Grayscale LinearTransformation Normalize Pad RandAugment RandomAdjustSharpness RandomAffine "
    "RandomAutocontrast RandomCrop RandomEqualize RandomErasing RandomGrayscale RandomHorizontalFlip RandomInvert "
    "RandomPerspective RandomPosterize RandomResize RandomResizedCrop RandomRotation RandomShortestSize RandomSolarize "
    "RandomVerticalFlip Resize TenCrop ToTensor TrivialAugmentWide"
).split()
_MOVING = (
    "CenterCrop ElasticTransform FiveCrop Pad RandomAffine RandomCrop RandomHorizontalFlip RandomPerspective "
    "RandomResize RandomResizedCrop RandomRotation RandomShortestSize RandomVerticalFlip Resize TenCrop"
).split()  # of these boxes, masks and key points are changed with the image
for _name in _IMAGES:
    _base = getattr(_first, _name)
    _wanted = (Tensor, is_pil_image, np.ndarray) if _name in _MOVING else (is_image,)
    globals()[_name] = _base if _name == "AutoAugmentPolicy" else of_samples(_base, _wanted)
PILToTensor = of_samples(_first.PILToTensor, (is_pil_image,))
ToPILImage = of_samples(_first.ToPILImage, (functional.is_pure_tensor, Image, np.ndarray))
Compose, Lambda, RandomApply = _first.Compose, _first.Lambda, _first.RandomApply
RandomChoice, RandomOrder = _first.RandomChoice, _first.RandomOrder

__all__ = [
    *boxes.__all__, *transform.__all__, *_IMAGES, "Compose", "CutMix", "InterpolationMode", "Lambda", "MixUp",
    "PILToTensor", "RandomApply", "RandomChoice", "RandomOrder", "ToPILImage", "functional",
]  # fmt: skip
