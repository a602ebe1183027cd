"""Transforms as functions of an image: a PIL image, a tensor (…, C, H, W) or a NumPy array (H, W) or (H, W, C).

Names, arguments and results are torchvision's (https://docs.pytorch.org/vision/stable/transforms.html#functional-transforms);
arrays, which torchvision does not take, are given back as arrays.
"""

from minigrad.vision.transforms.functional.color import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    adjust_sharpness,
    autocontrast,
    equalize,
    invert,
    posterize,
    rgb_to_grayscale,
    solarize,
    to_grayscale,
)
from minigrad.vision.transforms.functional.conversions import (
    convert_image_dtype,
    normalize,
    pil_to_tensor,
    to_pil_image,
    to_tensor,
)
from minigrad.vision.transforms.functional.filters import erase, gaussian_blur
from minigrad.vision.transforms.functional.geometry import (
    center_crop,
    crop,
    five_crop,
    hflip,
    pad,
    resize,
    resized_crop,
    ten_crop,
    vflip,
)
from minigrad.vision.transforms.functional.images import get_dimensions, get_image_num_channels, get_image_size
from minigrad.vision.transforms.functional.warps import affine, elastic_transform, perspective, rotate
from minigrad.vision.transforms.interpolation import InterpolationMode

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "elastic_transform",
    "equalize",
    "erase",
    "five_crop",
    "gaussian_blur",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "invert",
    "normalize",
    "pad",
    "perspective",
    "pil_to_tensor",
    "posterize",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "solarize",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]
