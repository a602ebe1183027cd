"""Transforms of images with torchvision's names (https://docs.pytorch.org/vision/stable/transforms.html).

They take a PIL image, a tensor (…, C, H, W) or a NumPy array (H, W) or (H, W, C), and give back the same kind.
Random ones draw from minigrad's default generator, in a DataLoader's worker thread from that worker's own.
"""

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
from minigrad.vision.transforms.crops import (
    CenterCrop,
    FiveCrop,
    Pad,
    RandomCrop,
    RandomResizedCrop,
    RandomSizedCrop,
    Resize,
    Scale,
    TenCrop,
)
from minigrad.vision.transforms.erasing import Cutout, RandomErasing
from minigrad.vision.transforms.filters import GaussianBlur, LinearTransformation
from minigrad.vision.transforms.interpolation import InterpolationMode
from minigrad.vision.transforms.lighting import Lighting, principal_colors
from minigrad.vision.transforms.recipes import MultiScaleTenCrop, RandomResize, RandomShortestSize, ScaleJitterCrop
from minigrad.vision.transforms.warps import (
    ElasticTransform,
    RandomAffine,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomRotation,
    RandomVerticalFlip,
)

from minigrad.vision.transforms import v2  # isort: skip (made of those above)

__all__ = [
    "AugMix",
    "AutoAugment",
    "AutoAugmentPolicy",
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ConvertImageDtype",
    "CutMix",
    "Cutout",
    "ElasticTransform",
    "FiveCrop",
    "GaussianBlur",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "Lighting",
    "LinearTransformation",
    "MixUp",
    "MultiScaleTenCrop",
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
    "RandomSizedCrop",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Resize",
    "Scale",
    "ScaleJitterCrop",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
    "TrivialAugmentWide",
    "functional",
    "principal_colors",
    "v2",
]
