"""Transforms of colours."""

import math
import numbers

from minigrad.nn import Module
from minigrad.tensor import wrap
from minigrad.utils.data.worker import current_generator
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.draws import chance, uniform


class Grayscale(Module):
    """The luminance of an RGB image, in 1 channel or 3 equal ones.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Grayscale.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.Grayscale()(mg.ones(3, 4, 4)).shape
    minigrad.Size([1, 4, 4])
    """

    def __init__(self, num_output_channels=1):
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img):
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self):
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class RandomGrayscale(Module):
    """Grayscale, in as many channels as the image has, with probability ``p``.

    Argument: p (0 … 1). Shape: (…, 3, H, W) for a tensor.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomGrayscale.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomGrayscale(p=1.0)(mg.ones(3, 4, 5)).shape
    minigrad.Size([3, 4, 5])
    """

    def __init__(self, p=0.1):
        super().__init__()
        self.p = p

    def forward(self, img):
        return F.rgb_to_grayscale(img, F.get_image_num_channels(img)) if chance(self.p) else img

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


def _factor_bounds(value, name, center=1.0, bound=(0.0, math.inf)):
    """Return the bounds of a random factor for a number d (center - d … center + d) or a pair; None for center alone.

    Raises TypeError for something else, ValueError for a negative number or a pair beyond ``bound``.
    """
    if isinstance(value, numbers.Number):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be non negative.")
        value = (center - float(value), center + float(value))
        if center:
            value = (max(value[0], 0.0), value[1])
    elif isinstance(value, (list, tuple)) and len(value) == 2:
        value = (float(value[0]), float(value[1]))
    else:
        raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
    if not bound[0] <= value[0] <= value[1] <= bound[1]:
        raise ValueError(f"{name} values should be between {bound}, but got {value}.")
    return None if value[0] == value[1] == center else value


class ColorJitter(Module):
    """Brightness, contrast, saturation and hue changed by random factors, in random order.

    Args: each is the bounds (low, high) of its factor, or one number d: 1 - d … 1 + d, not below 0, and for ``hue``
    -d … d, within -0.5 … 0.5. Raises TypeError and ValueError for wrong arguments.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ColorJitter.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.ColorJitter(brightness=(2, 2))(mg.full((3, 1, 1), 0.25)).flatten()
    tensor([0.5000, 0.5000, 0.5000])
    """

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0):
        super().__init__()
        self.brightness = _factor_bounds(brightness, "brightness")
        self.contrast = _factor_bounds(contrast, "contrast")
        self.saturation = _factor_bounds(saturation, "saturation")
        self.hue = _factor_bounds(hue, "hue", center=0.0, bound=(-0.5, 0.5))

    @staticmethod
    def get_params(brightness, contrast, saturation, hue):
        """Return the order of the four changes (a tensor) and a random factor, or None, for each."""
        order = wrap(current_generator().numpy.permutation(4))
        factors = [None if bounds is None else uniform(*bounds) for bounds in (brightness, contrast, saturation, hue)]
        return order, *factors

    def forward(self, img):
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for number in order.tolist():
            if factors[number] is not None:
                img = changes[number](img, factors[number])
        return img

    def __repr__(self):
        names = ("brightness", "contrast", "saturation", "hue")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in names)})"


class _RandomColors(Module):
    """Base of changes that happen with probability ``p``."""

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, img):
        return self.change(img) if chance(self.p) else img

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


class RandomInvert(_RandomColors):
    """The negative of an image with probability ``p``.

    Argument: p (0 … 1).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomInvert.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomInvert(p=1.0)(mg.tensor([[[0.25, 1.0]]]))
    tensor([[[0.7500, 0.0000]]])
    """

    def change(self, img):
        return F.invert(img)


class RandomPosterize(_RandomColors):
    """Only the highest ``bits`` (0 … 8) of every number kept, with probability ``p``.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomPosterize.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomPosterize(3, p=1.0)(mg.tensor([[[31, 255]]], dtype=mg.uint8))
    tensor([[[  0, 224]]], dtype=minigrad.uint8)
    """

    def __init__(self, bits, p=0.5):
        super().__init__(p)
        self.bits = bits

    def change(self, img):
        return F.posterize(img, self.bits)

    def __repr__(self):
        return f"{type(self).__name__}(bits={self.bits},p={self.p})"


class RandomSolarize(_RandomColors):
    """All numbers from ``threshold`` on inverted with probability ``p``.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomSolarize.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomSolarize(0.5, p=1.0)(mg.tensor([[[0.25, 0.75]]]))
    tensor([[[0.2500, 0.2500]]])
    """

    def __init__(self, threshold, p=0.5):
        super().__init__(p)
        self.threshold = threshold

    def change(self, img):
        return F.solarize(img, self.threshold)

    def __repr__(self):
        return f"{type(self).__name__}(threshold={self.threshold},p={self.p})"


class RandomAdjustSharpness(_RandomColors):
    """Sharpness changed by ``sharpness_factor`` (0 smooth, 1 as it is, 2 twice as sharp) with probability ``p``.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomAdjustSharpness.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomAdjustSharpness(0, p=1.0)(mg.ones(1, 3, 3)).shape
    minigrad.Size([1, 3, 3])
    """

    def __init__(self, sharpness_factor, p=0.5):
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def change(self, img):
        return F.adjust_sharpness(img, self.sharpness_factor)

    def __repr__(self):
        return f"{type(self).__name__}(sharpness_factor={self.sharpness_factor},p={self.p})"


class RandomAutocontrast(_RandomColors):
    """Every channel stretched over the whole range with probability ``p``.

    Argument: p (0 … 1).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomAutocontrast.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomAutocontrast(p=1.0)(mg.tensor([[[0.25, 0.5, 0.75]]]))
    tensor([[[0.0000, 0.5000, 1.0000]]])
    """

    def change(self, img):
        return F.autocontrast(img)


class RandomEqualize(_RandomColors):
    """The numbers of every channel made about equally frequent, with probability ``p``.

    Argument: p (0 … 1).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomEqualize.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomEqualize(p=1.0)(mg.tensor([[[1, 2] * 500]], dtype=mg.uint8)).unique()
    tensor([  0, 255], dtype=minigrad.uint8)
    """

    def change(self, img):
        return F.equalize(img)
