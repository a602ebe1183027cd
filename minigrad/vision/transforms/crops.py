"""Transforms of the size: resizing, cutting out, borders."""

import math
import numbers
import warnings

from minigrad.nn import Module
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.draws import uniform, whole
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode


def pair(size, message):
    """Return (height, width) for an int or a sequence of one, a sequence of two as it is; ValueError otherwise."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return size


class Resize(Module):
    """An image resized: to ``size`` (H, W), or so that its shorter edge is ``size``; see functional.resize.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Resize.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.Resize((2, 3))(mg.ones(1, 4, 4)).shape
    minigrad.Size([1, 2, 3])
    """

    def __init__(self, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
        super().__init__()
        if not isinstance(size, (int, list, tuple)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if not isinstance(size, int) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size = size
        self.max_size = max_size
        self.interpolation = interpolation_mode(interpolation)
        self.antialias = antialias

    def forward(self, img):
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self):
        detail = f"size={self.size}, interpolation={self.interpolation.value}, max_size={self.max_size}"
        return f"{type(self).__name__}({detail}, antialias={self.antialias})"


class CenterCrop(Module):
    """The middle of an image, padded with 0 where the image is smaller.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.CenterCrop.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.CenterCrop(2)(mg.arange(16).reshape(1, 4, 4))
    tensor([[[ 5,  6],
             [ 9, 10]]])
    """

    def __init__(self, size):
        super().__init__()
        self.size = pair(size, "Please provide only two dimensions (h, w) for size.")

    def forward(self, img):
        return F.center_crop(img, self.size)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size})"


class Pad(Module):
    """An image with a border; see functional.pad.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Pad.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.Pad(1)(mg.ones(1, 1, 1))
    tensor([[[0., 0., 0.],
             [0., 1., 0.],
             [0., 0., 0.]]])
    """

    def __init__(self, padding, fill=0, padding_mode="constant"):
        super().__init__()
        if not isinstance(padding, (numbers.Number, tuple, list)):
            raise TypeError("Got inappropriate padding arg")
        if not isinstance(fill, (numbers.Number, tuple, list)):
            raise TypeError("Got inappropriate fill arg")
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
        if not isinstance(padding, numbers.Number) and len(padding) not in (1, 2, 4):
            raise ValueError(f"Padding must be an int or a sequence of 1, 2, or 4, not of {len(padding)}")
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def forward(self, img):
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self):
        return f"{type(self).__name__}(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class RandomCrop(Module):
    """A rectangle of an image at a random place.

    Args: ``size``: of the rectangle; ``padding``: a border put around the image before; ``pad_if_needed``: whether
    one is put around a smaller image. Raises ValueError for an image smaller than the rectangle.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomCrop.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomCrop(4, padding=1)(mg.ones(1, 4, 4)).shape
    minigrad.Size([1, 4, 4])
    """

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant"):
        super().__init__()
        self.size = pair(size, "Please provide only two dimensions (h, w) for size.")
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img, output_size):
        """Return a random rectangle of that size (H, W): top, left, height, width."""
        _, height, width = F.get_dimensions(img)
        crop_height, crop_width = output_size
        if height < crop_height or width < crop_width:
            raise ValueError(
                f"Required crop size {(crop_height, crop_width)} is larger than input image size {(height, width)}"
            )
        return whole(0, height - crop_height), whole(0, width - crop_width), crop_height, crop_width

    def forward(self, img):
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            _, height, width = F.get_dimensions(img)
            missing = [max(self.size[1] - width, 0), max(self.size[0] - height, 0)]
            if any(missing):
                img = F.pad(img, missing, self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomResizedCrop(Module):
    """A random rectangle of an image, of random area and aspect ratio, resized (Szegedy et al. 2014).

    Args: ``size``: of the result; ``scale``: bounds of the rectangle's share of the area; ``ratio``: of width / height.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomResizedCrop.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomResizedCrop(8)(mg.ones(3, 16, 16)).shape
    minigrad.Size([3, 8, 8])
    """

    def __init__(
        self,
        size,
        scale=(0.08, 1.0),
        ratio=(3.0 / 4.0, 4.0 / 3.0),
        interpolation=InterpolationMode.BILINEAR,
        antialias=True,
    ):
        super().__init__()
        self.size = pair(size, "Please provide only two dimensions (h, w) for size.")
        if not isinstance(scale, (list, tuple)) or not isinstance(ratio, (list, tuple)):
            raise TypeError("Scale and ratio should be sequences")
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            raise ValueError(f"Scale and ratio should be of kind (min, max), but got {scale} and {ratio}")
        self.scale = scale
        self.ratio = ratio
        self.interpolation = interpolation_mode(interpolation)
        self.antialias = antialias

    @staticmethod
    def get_params(img, scale, ratio):
        """Return a random rectangle: top, left, height, width; after ten that do not fit, the largest in the middle."""
        _, height, width = F.get_dimensions(img)
        for _ in range(10):
            area = height * width * uniform(*scale)
            aspect = math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))
            crop_width, crop_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < crop_width <= width and 0 < crop_height <= height:
                return whole(0, height - crop_height), whole(0, width - crop_width), crop_height, crop_width
        aspect = min(max(width / height, min(ratio)), max(ratio))
        crop_width = min(width, round(height * aspect))
        crop_height = min(height, round(width / aspect))
        return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width

    def forward(self, img):
        rectangle = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *rectangle, self.size, self.interpolation, self.antialias)

    def __repr__(self):
        scale, ratio = (tuple(round(value, 4) for value in bounds) for bounds in (self.scale, self.ratio))
        detail = f"size={self.size}, scale={scale}, ratio={ratio}, interpolation={self.interpolation.value}"
        return f"{type(self).__name__}({detail}, antialias={self.antialias})"


class FiveCrop(Module):
    """The four corners and the middle of an image, as a tuple: top left, top right, bottom left, bottom right, middle.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.FiveCrop.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> [crop.item() for crop in transforms.FiveCrop(1)(mg.arange(9).reshape(1, 3, 3))]
    [0, 2, 6, 8, 4]
    """

    def __init__(self, size):
        super().__init__()
        self.size = pair(size, "Please provide only two dimensions (h, w) for size.")

    def forward(self, img):
        return F.five_crop(img, self.size)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size})"


class TenCrop(Module):
    """The four corners and the middle of an image and of its mirror image, as a tuple of ten.

    ``vertical_flip``: whether top and bottom are exchanged, not left and right.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.TenCrop.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> test = transforms.Compose([transforms.TenCrop(4), transforms.Lambda(mg.stack)])
    >>> test(mg.zeros(3, 5, 6)).shape
    minigrad.Size([10, 3, 4, 4])
    """

    def __init__(self, size, vertical_flip=False):
        super().__init__()
        self.size = pair(size, "Please provide only two dimensions (h, w) for size.")
        self.vertical_flip = vertical_flip

    def forward(self, img):
        return F.ten_crop(img, self.size, self.vertical_flip)

    def __repr__(self):
        return f"{type(self).__name__}(size={self.size}, vertical_flip={self.vertical_flip})"


class Scale(Resize):
    """The name of :class:`Resize` before 2017, which warns; torchvision has removed it.

    >>> import warnings, minigrad as mg
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     mg.vision.transforms.Scale(2)(mg.ones(1, 4, 4)).shape
    minigrad.Size([1, 2, 2])
    """

    def __init__(self, *args, **kwargs):
        warnings.warn("transforms.Scale is deprecated, please use transforms.Resize instead", stacklevel=2)
        super().__init__(*args, **kwargs)


class RandomSizedCrop(RandomResizedCrop):
    """The name of :class:`RandomResizedCrop` before 2017, which warns; torchvision has removed it.

    >>> import warnings, minigrad as mg
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     mg.vision.transforms.RandomSizedCrop(2)(mg.ones(1, 4, 4)).shape
    minigrad.Size([1, 2, 2])
    """

    def __init__(self, *args, **kwargs):
        warnings.warn(
            "transforms.RandomSizedCrop is deprecated, please use transforms.RandomResizedCrop instead", stacklevel=2
        )
        super().__init__(*args, **kwargs)
