"""Transforms that take a part of an image away."""

import math
import numbers

from minigrad.backend import np
from minigrad.nn import Module
from minigrad.tensor import wrap
from minigrad.utils.data.worker import current_generator
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.draws import chance, uniform, whole
from minigrad.vision.transforms.pil_image import fill_for, is_pil_image


def _check_probability(p, name):
    if not 0 <= p <= 1:
        raise ValueError(f"{name} should be between 0 and 1, but got {p}")


class RandomErasing(Module):
    """A random rectangle of a tensor overwritten with probability ``p``.

    Args:
        scale: bounds of the rectangle's share of the area; ratio: of its height / width.
        value: what is written: a number, one per channel, or "random" for normally distributed numbers.
        inplace: whether the tensor itself is written to.
    Raises TypeError and ValueError for wrong arguments, TypeError for a PIL image.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomErasing.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> erased = transforms.RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1.0, 1.0))(mg.ones(1, 8, 8))
    >>> int((erased == 0).sum())
    16
    """

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False):
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        if not isinstance(scale, (tuple, list)):
            raise TypeError("Scale should be a sequence")
        if not isinstance(ratio, (tuple, list)):
            raise TypeError("Ratio should be a sequence")
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            raise ValueError(f"Scale and ratio should be of kind (min, max), but got {scale} and {ratio}")
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        _check_probability(p, "Random erasing probability")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(img, scale, ratio, value=None):
        """Return a random rectangle and what to write: top, left, height, width, a tensor.

        value: list of numbers, None for random ones. After ten rectangles that do not fit it is the whole image.
        """
        channels, height, width = F.get_dimensions(img)
        for _ in range(10):
            area = height * width * uniform(*scale)
            aspect = math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (h < height and w < width):
                continue
            if value is None:
                content = wrap(current_generator().numpy.standard_normal((channels, h, w), np.float32))
            else:
                content = wrap(np.array(value, np.float32).reshape(-1, 1, 1))
            return whole(0, height - h), whole(0, width - w), h, w, content
        return 0, 0, height, width, img

    def forward(self, img):
        if is_pil_image(img):
            raise TypeError(f"img should be Tensor Image. Got {type(img)}")
        if not chance(self.p):
            return img
        value = [float(self.value)] if isinstance(self.value, numbers.Number) else self.value
        value = None if isinstance(value, str) else [float(number) for number in value]
        channels = F.get_image_num_channels(img)
        if value is not None and len(value) not in (1, channels):
            raise ValueError(
                f"If value is a sequence, it should have either a single value or {channels} (number of input channels)"
            )
        *rectangle, content = self.get_params(img, self.scale, self.ratio, value)
        return img if content is img else F.erase(img, *rectangle, content, self.inplace)

    def __repr__(self):
        names = ("p", "scale", "ratio", "value", "inplace")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in names)})"


class Cutout(Module):
    """Squares at random places overwritten: their middle is any pixel, so they may hang over the border.

    Args: ``size``: side of the squares in pixels (DeVries and Taylor: 16 for CIFAR-10, 8 for CIFAR-100); ``n_holes``:
    how many; ``fill``: what is written, a number or one per channel; ``p``: how often it happens.
    Raises ValueError for numbers out of range.
    Source: DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout (2017).

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> holes = [int((transforms.Cutout(4)(mg.ones(1, 8, 8)) == 0).sum()) for _ in range(50)]
    >>> 4 <= min(holes) and max(holes) == 16
    True
    """

    def __init__(self, size, n_holes=1, fill=0, p=1.0):
        super().__init__()
        if size < 1 or n_holes < 1:
            raise ValueError(f"size and n_holes should be positive, but got {size} and {n_holes}")
        _check_probability(p, "p")
        self.size = size
        self.n_holes = n_holes
        self.fill = fill
        self.p = p

    @staticmethod
    def get_params(img, size):
        """Return a random square, cut at the border: top, left, height, width."""
        _, height, width = F.get_dimensions(img)
        top, left = whole(0, height - 1) - size // 2, whole(0, width - 1) - size // 2
        bottom, right = min(top + size, height), min(left + size, width)
        top, left = max(top, 0), max(left, 0)
        return top, left, bottom - top, right - left

    def forward(self, img):
        if not chance(self.p):
            return img
        pillow = is_pil_image(img)
        fill = fill_for(img, self.fill) if pillow else wrap(np.array(self.fill, np.float32).reshape(-1, 1, 1))
        for hole in range(self.n_holes):
            top, left, height, width = self.get_params(img, self.size)
            if pillow:
                img = img.copy() if not hole else img
                img.paste(fill, (left, top, left + width, top + height))
            else:
                img = F.erase(img, top, left, height, width, fill, inplace=hole > 0)
        return img

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}, n_holes={self.n_holes}, fill={self.fill}, p={self.p})"
