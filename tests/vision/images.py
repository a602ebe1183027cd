"""Images for the tests of transforms."""

import numpy as np
from PIL import Image

import minigrad as mg
from minigrad.vision.transforms import functional as F


def picture(mode="RGB", size=(7, 5), seed=0):
    """A PIL image (width, height) of random pixels."""
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    pixels = np.random.default_rng(seed).integers(256, size=(size[1], size[0], channels), dtype=np.uint8)
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def chw(image):
    """Pixels (C, H, W) of a PIL image, a tensor or an array (H, W) or (H, W, C)."""
    if isinstance(image, mg.Tensor):
        return image.numpy()
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def both(image):
    """The same image as a PIL image and as a tensor."""
    return image, F.pil_to_tensor(image)


def forms(image):
    """The same image as a PIL image, a tensor of uint8 and of floats, an array of uint8 and of floats."""
    tensor, array = F.pil_to_tensor(image), np.array(image)
    return image, tensor, tensor / 255, array, array / 255.0


def levels(image):
    """Pixels (C, H, W) as floats of 0 … 255, of whatever form the image has."""
    pixels = chw(image)
    return pixels.astype(float) * (1 if pixels.dtype == np.uint8 else 255)
