"""Transforms of images with torchvision's names (https://docs.pytorch.org/vision/stable/transforms.html).

They take a PIL image, a tensor (…, C, H, W) or a NumPy array (H, W) or (H, W, C), and give back the same kind.
Random ones draw from minigrad's default generator, in a DataLoader's worker thread from that worker's own.
"""

from minigrad.vision.transforms import functional
from minigrad.vision.transforms.color import Grayscale, RandomGrayscale
from minigrad.vision.transforms.containers import Compose, Lambda, RandomApply, RandomChoice, RandomOrder
from minigrad.vision.transforms.conversions import ConvertImageDtype, Normalize, PILToTensor, ToPILImage, ToTensor
from minigrad.vision.transforms.crops import CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize
from minigrad.vision.transforms.interpolation import InterpolationMode
from minigrad.vision.transforms.warps import RandomAffine, RandomHorizontalFlip, RandomRotation, RandomVerticalFlip

__all__ = [
    "CenterCrop",
    "Compose",
    "ConvertImageDtype",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandomAffine",
    "RandomApply",
    "RandomChoice",
    "RandomCrop",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomOrder",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "ToPILImage",
    "ToTensor",
    "functional",
]
