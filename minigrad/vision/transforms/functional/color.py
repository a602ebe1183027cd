"""Colours of images."""

from minigrad.tensor import Tensor
from minigrad.vision.transforms import pil_color, tensor_color, tensor_image
from minigrad.vision.transforms.functional.images import check_image, takes_arrays
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
    return pil_color.grayscale(img, num_output_channels)


@takes_arrays
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
    gray = tensor_color.luminance(img)
    return gray.expand(*gray.shape[:-3], 3, *gray.shape[-2:]) if num_output_channels == 3 else gray


def _check_factor(img, factor, name):
    """ValueError for a negative factor, TypeError unless the tensor has 1 or 3 channels."""
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")
    tensor_color.check_channels(img, (1, 3))


@takes_arrays
def adjust_brightness(img, brightness_factor):
    """Return an image blended with black: 0 is black, 1 the image itself, 2 twice as bright.

    Raises ValueError for a negative factor and a tensor, TypeError for a tensor of neither 1 nor 3 channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_brightness.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.adjust_brightness(mg.tensor([[[0.25, 0.75]]]), 2)
    tensor([[[0.5000, 1.0000]]])
    """
    check_image(img)
    if not isinstance(img, Tensor):
        return pil_color.enhance(img, "Brightness", brightness_factor)
    _check_factor(img, brightness_factor, "brightness_factor")
    return tensor_color.brightness(img, brightness_factor)


@takes_arrays
def adjust_contrast(img, contrast_factor):
    """Return an image blended with its mean luminance: 0 is gray, 1 the image itself, 2 twice the contrast.

    Raises ValueError for a negative factor and a tensor, TypeError for a tensor of neither 1 nor 3 channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_contrast.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.adjust_contrast(mg.tensor([[[0.25, 0.75]]]), 0.5)
    tensor([[[0.3750, 0.6250]]])
    """
    check_image(img)
    if not isinstance(img, Tensor):
        return pil_color.enhance(img, "Contrast", contrast_factor)
    _check_factor(img, contrast_factor, "contrast_factor")
    return tensor_color.contrast(img, contrast_factor)


@takes_arrays
def adjust_saturation(img, saturation_factor):
    """Return an image blended with its luminance: 0 is black and white, 1 the image itself, 2 twice as colourful.

    Raises ValueError for a negative factor and a tensor, TypeError for a tensor of neither 1 nor 3 channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_saturation.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.adjust_saturation(mg.tensor([[[1.0]], [[0.0]], [[0.0]]]), 0).flatten()
    tensor([0.2989, 0.2989, 0.2989])
    """
    check_image(img)
    if not isinstance(img, Tensor):
        return pil_color.enhance(img, "Color", saturation_factor)
    _check_factor(img, saturation_factor, "saturation_factor")
    return tensor_color.saturation(img, saturation_factor)


@takes_arrays
def adjust_sharpness(img, sharpness_factor):
    """Return an image blended with a smoothed one: 0 is smooth, 1 the image itself, 2 twice as sharp.

    Raises ValueError for a negative factor and a tensor, TypeError for a tensor of neither 1 nor 3 channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_sharpness.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> image = mg.zeros(1, 3, 3)
    >>> image[0, 1, 1] = 1
    >>> functional.adjust_sharpness(image, 0)[0, 1]
    tensor([0.0000, 0.3846, 0.0000])
    """
    check_image(img)
    if not isinstance(img, Tensor):
        return pil_color.enhance(img, "Sharpness", sharpness_factor)
    _check_factor(img, sharpness_factor, "sharpness_factor")
    return tensor_color.sharpness(img, sharpness_factor)


@takes_arrays
def adjust_hue(img, hue_factor):
    """Return an image with its hue turned by a share of the colour circle, -0.5 … 0.5.

    Raises ValueError for another share, TypeError for a tensor of neither 1 nor 3 channels; gray images stay.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_hue.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.adjust_hue(mg.tensor([[[1.0]], [[0.0]], [[0.0]]]), 1 / 3).flatten()
    tensor([0., 1., 0.])
    """
    check_image(img)
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    if not isinstance(img, Tensor):
        return pil_color.hue(img, hue_factor)
    tensor_color.check_channels(img, (1, 3))
    return tensor_color.hue(img, hue_factor)


@takes_arrays
def adjust_gamma(img, gamma, gain=1):
    """Return gain * img ** gamma, the image taken as 0 … 1: gamma above 1 makes the shadows darker.

    Raises ValueError for a negative gamma, TypeError for a tensor of neither 1 nor 3 channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_gamma.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.adjust_gamma(mg.tensor([[[0.5, 1.0]]]), 2)
    tensor([[[0.2500, 1.0000]]])
    """
    check_image(img)
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    if not isinstance(img, Tensor):
        return pil_color.gamma(img, gamma, gain)
    tensor_color.check_channels(img, (1, 3))
    return tensor_color.gamma(img, gamma, gain)


@takes_arrays
def invert(img):
    """Return the negative of an image.

    Raises TypeError for a tensor of neither 1 nor 3 channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.invert.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.invert(mg.tensor([[[0.25, 1.0]]]))
    tensor([[[0.7500, 0.0000]]])
    """
    check_image(img)
    if not isinstance(img, Tensor):
        return pil_color.operate(img, "invert")
    tensor_color.check_channels(img, (1, 3))
    return tensor_color.invert(img)


@takes_arrays
def posterize(img, bits):
    """Return an image with only the highest bits (0 … 8) of every number kept.

    Raises ValueError for another number of bits, TypeError for a tensor unless uint8 with 1 or 3 channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.posterize.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.posterize(mg.tensor([[[31, 255]]], dtype=mg.uint8), bits=3)
    tensor([[[  0, 224]]], dtype=minigrad.uint8)
    """
    check_image(img)
    if not 0 <= bits <= 8:
        raise ValueError(f"The number of bits should be between 0 and 8. Got {bits}")
    if not isinstance(img, Tensor):
        return pil_color.operate(img, "posterize", bits) if bits else img.point(lambda level: 0)  # Pillow refuses 0
    tensor_color.check_channels(img, (1, 3))
    return tensor_color.posterize(img, bits)


@takes_arrays
def solarize(img, threshold):
    """Return an image with all numbers from the threshold on inverted.

    Raises TypeError for a tensor of neither 1 nor 3 channels or a threshold beyond its range.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.solarize.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.solarize(mg.tensor([[[0.25, 0.75]]]), 0.5)
    tensor([[[0.2500, 0.2500]]])
    """
    check_image(img)
    if not isinstance(img, Tensor):
        return pil_color.operate(img, "solarize", threshold)
    tensor_color.check_channels(img, (1, 3))
    return tensor_color.solarize(img, threshold)


@takes_arrays
def autocontrast(img):
    """Return an image with every channel stretched over the whole range; one of a single colour stays.

    Raises TypeError for a tensor of neither 1 nor 3 channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.autocontrast.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.autocontrast(mg.tensor([[[0.25, 0.5, 0.75]]]))
    tensor([[[0.0000, 0.5000, 1.0000]]])
    """
    check_image(img)
    if not isinstance(img, Tensor):
        return pil_color.operate(img, "autocontrast")
    tensor_color.check_channels(img, (1, 3))
    return tensor_color.autocontrast(img)


@takes_arrays
def equalize(img):
    """Return an image whose numbers are about equally frequent in every channel.

    Raises TypeError for a tensor unless uint8 (C, H, W) or (N, C, H, W) with 1 or 3 channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.equalize.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.equalize(mg.tensor([[[1, 2] * 500]], dtype=mg.uint8)).unique()
    tensor([  0, 255], dtype=minigrad.uint8)
    """
    check_image(img)
    if not isinstance(img, Tensor):
        return pil_color.operate(img, "equalize")
    tensor_color.check_channels(img, (1, 3))
    return tensor_color.equalize(img)
