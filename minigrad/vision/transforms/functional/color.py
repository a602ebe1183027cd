"""Colours of images."""

from minigrad.tensor import Tensor
from minigrad.vision.transforms import pil_image, tensor_image
from minigrad.vision.transforms.pil_image import is_pil_image


def to_grayscale(img, num_output_channels=1):
    """Return a PIL image's luminance, in 1 channel or 3 equal ones; TypeError for a tensor, ValueError otherwise.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.to_grayscale.html

    >>> from PIL import Image
    >>> from minigrad.vision.transforms import functional
    >>> functional.to_grayscale(Image.new("RGB", (5, 4))).mode
    'L'
    """
    if not is_pil_image(img):
        raise TypeError("Input should be PIL Image")
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    return pil_image.grayscale(img, num_output_channels)


def rgb_to_grayscale(img, num_output_channels=1):
    """Return an image's luminance 0.2989 R + 0.587 G + 0.114 B, in 1 channel or 3 equal ones.

    Raises TypeError for a tensor of neither 1 nor 3 channels, ValueError for another number of output channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.rgb_to_grayscale.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.rgb_to_grayscale(mg.zeros(3, 4, 5)).shape
    minigrad.Size([1, 4, 5])
    """
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if not isinstance(img, Tensor):
        return to_grayscale(img, num_output_channels)
    tensor_image.check_image(img)
    if img.ndim < 3 or img.shape[-3] not in (1, 3):
        raise TypeError(f"Input image tensor permitted channel values are [1, 3], but found shape {tuple(img.shape)}")
    return tensor_image.grayscale(img, num_output_channels)
