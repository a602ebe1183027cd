"""Colours of PIL images, by Pillow."""

from minigrad.backend import np
from minigrad.vision.pillow import image_module, pillow_module


def grayscale(img, num_output_channels):
    """Return an image's luminance, in one channel (mode L) or three equal ones (mode RGB)."""
    gray = img.convert("L")
    if num_output_channels == 1:
        return gray
    return image_module().merge("RGB", [gray] * 3)


def enhance(img, name, factor):
    """Return what one of Pillow's enhancers (Brightness, Contrast, Color, Sharpness) makes with a factor."""
    return getattr(pillow_module("ImageEnhance"), name)(img).enhance(factor)


def hue(img, shift):
    """Return an image with its hue turned by a share of the circle; one without colours stays."""
    if img.mode in ("L", "1", "I", "F"):
        return img
    angle, saturation, value = img.convert("HSV").split()
    turned = np.asarray(angle) + np.uint8(int(shift * 255) % 256)  # uint8 goes round the circle
    return image_module().merge("HSV", (image_module().fromarray(turned), saturation, value)).convert(img.mode)


def gamma(img, exponent, gain):
    """Return gain * image ** exponent, of an image taken as 0 … 1, in the image's mode."""
    table = [int((255 + 1 - 1e-3) * gain * (level / 255.0) ** exponent) for level in range(256)]
    return img.convert("RGB").point(table * 3).convert(img.mode)


def operate(img, name, *arguments):
    """Return what one of Pillow's operations (invert, posterize, solarize, autocontrast, equalize) makes."""
    return getattr(pillow_module("ImageOps"), name)(img, *arguments)
