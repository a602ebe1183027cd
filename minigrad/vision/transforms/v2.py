"""Transforms under the names of torchvision.transforms.v2 (https://docs.pytorch.org/vision/stable/transforms.html#v2-api-ref).

They take one image (MixUp and CutMix: a batch), not the nested samples with boxes and masks that torchvision's take.
"""

from minigrad.backend import as_dtype, np
from minigrad.nn import Module
from minigrad.tensor import Tensor
from minigrad.vision.transforms import functional
from minigrad.vision.transforms.autoaugment import (
    AugMix,
    AutoAugment,
    AutoAugmentPolicy,
    RandAugment,
    TrivialAugmentWide,
)
from minigrad.vision.transforms.batches import CutMix, MixUp
from minigrad.vision.transforms.color import (
    ColorJitter,
    Grayscale,
    RandomAdjustSharpness,
    RandomAutocontrast,
    RandomEqualize,
    RandomGrayscale,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
)
from minigrad.vision.transforms.containers import Compose, Lambda, RandomApply, RandomChoice, RandomOrder
from minigrad.vision.transforms.conversions import ConvertImageDtype, Normalize, PILToTensor, ToPILImage, ToTensor
from minigrad.vision.transforms.crops import CenterCrop, FiveCrop, Pad, RandomCrop, RandomResizedCrop, Resize, TenCrop
from minigrad.vision.transforms.erasing import RandomErasing
from minigrad.vision.transforms.filters import GaussianBlur, LinearTransformation
from minigrad.vision.transforms.functional.images import planes_of
from minigrad.vision.transforms.interpolation import InterpolationMode
from minigrad.vision.transforms.recipes import RandomResize, RandomShortestSize
from minigrad.vision.transforms.warps import (
    ElasticTransform,
    RandomAffine,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
    RandomVerticalFlip,
)

__all__ = [
    "AugMix",
    "AutoAugment",
    "AutoAugmentPolicy",
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ConvertImageDtype",
    "CutMix",
    "ElasticTransform",
    "FiveCrop",
    "GaussianBlur",
    "Grayscale",
    "Identity",
    "InterpolationMode",
    "Lambda",
    "LinearTransformation",
    "MixUp",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomApply",
    "RandomAutocontrast",
    "RandomChoice",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomOrder",
    "RandomPerspective",
    "RandomPosterize",
    "RandomResize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomShortestSize",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "ToDtype",
    "ToImage",
    "ToPILImage",
    "ToTensor",
    "TrivialAugmentWide",
    "functional",
]


class Identity(Module):
    """The image as it is.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Identity.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.Identity()(mg.ones(1))
    tensor([1.])
    """

    def forward(self, img):
        return img


class ToImage(Module):
    """A PIL image, or an array (H, W) or (H, W, C), as a tensor (C, H, W) of its pixels, not scaled; a tensor stays.

    Raises TypeError for anything else.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ToImage.html

    >>> import numpy as np
    >>> from minigrad.vision.transforms import v2
    >>> v2.ToImage()(np.array([[0, 51, 255]], np.uint8))
    tensor([[[  0,  51, 255]]], dtype=minigrad.uint8)
    """

    def forward(self, img):
        if isinstance(img, Tensor):
            return img
        return planes_of(img).clone() if isinstance(img, np.ndarray) else functional.pil_to_tensor(img)


class ToDtype(Module):
    """A tensor or array in another dtype; with ``scale`` floats are 0 … 1 and integers 0 … their largest number.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ToDtype.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> image = mg.tensor([[[0, 51, 255]]], dtype=mg.uint8)
    >>> v2.ToDtype(mg.float32, scale=True)(image), v2.ToDtype(mg.float32)(image)
    (tensor([[[0.0000, 0.2000, 1.0000]]]), tensor([[[  0.,  51., 255.]]]))
    """

    def __init__(self, dtype, scale=False):
        super().__init__()
        self.dtype = as_dtype(dtype)
        self.scale = scale

    def forward(self, img):
        if self.scale:
            return functional.convert_image_dtype(img, self.dtype)
        return img.astype(self.dtype.numpy) if isinstance(img, np.ndarray) else img.to(self.dtype)

    def __repr__(self):
        return f"{type(self).__name__}(scale={self.scale})"
