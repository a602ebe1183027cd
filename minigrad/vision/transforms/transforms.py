"""Transforms as objects, with torchvision's names (https://docs.pytorch.org/vision/stable/transforms.html).

They take a PIL image or a tensor (…, C, H, W). Random ones draw from minigrad's default generator, in a DataLoader's
worker thread from that worker's own.
"""

import math
import numbers

from minigrad.backend import np
from minigrad.nn import Module
from minigrad.tensor import Tensor
from minigrad.utils.data.worker import current_generator
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode


def _chance(p):
    """Return True with probability p."""
    return current_generator().numpy.random() < p


def _uniform(low, high):
    """Return a float of the uniform distribution on [low, high]."""
    return low + (high - low) * float(current_generator().numpy.random())


def _whole(low, high):
    """Return an int of low … high, both included."""
    return int(current_generator().numpy.integers(low, high, endpoint=True))


def _pair(size, message):
    """Return (height, width) for an int or a sequence of one or two; ValueError otherwise."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return tuple(size)


# ---------------------------------------------------------------------- putting transforms together
class Compose:
    """Several transforms one after the other.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Compose.html

    >>> import numpy as np, minigrad as mg
    >>> from minigrad.vision import transforms
    >>> pipeline = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    >>> pipeline(np.array([[0, 255]], np.uint8))
    tensor([[[-1.,  1.]]])
    """

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, img):
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self):
        return "\n".join([f"{type(self).__name__}(", *[f"    {transform}" for transform in self.transforms], ")"])


class Lambda:
    """A function as a transform. Raises TypeError for what cannot be called.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Lambda.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.Lambda(lambda image: image * 2)(mg.ones(1))
    tensor([2.])
    """

    def __init__(self, lambd):
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img):
        return self.lambd(img)

    def __repr__(self):
        return f"{type(self).__name__}()"


class _RandomTransforms:
    """Base of random choices from a sequence of transforms."""

    def __init__(self, transforms):
        if not isinstance(transforms, (list, tuple)):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    __repr__ = Compose.__repr__


class RandomApply(Module):
    """All of some transforms one after the other with probability ``p``, otherwise none of them.

    Arguments: transforms (list), p (0 … 1).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomApply.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> flip = transforms.RandomApply([transforms.RandomHorizontalFlip(p=1.0)], p=1.0)
    >>> flip(mg.tensor([[[1.0, 2.0]]]))
    tensor([[[2., 1.]]])
    """

    def __init__(self, transforms, p=0.5):
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, img):
        if _chance(self.p):
            for transform in self.transforms:
                img = transform(img)
        return img

    def __repr__(self):
        lines = [f"{type(self).__name__}(", f"    p={self.p}", *[f"    {transform}" for transform in self.transforms]]
        return "\n".join([*lines, ")"])


class RandomOrder(_RandomTransforms):
    """Some transforms in a random order.

    Argument: transforms (list).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomOrder.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> flips = [transforms.RandomHorizontalFlip(1.0), transforms.RandomVerticalFlip(1.0)]
    >>> transforms.RandomOrder(flips)(mg.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[4., 3.],
             [2., 1.]]])
    """

    def __call__(self, img):
        for position in current_generator().numpy.permutation(len(self.transforms)).tolist():
            img = self.transforms[position](img)
        return img


class RandomChoice(_RandomTransforms):
    """One of some transforms, chosen with probabilities proportional to ``p`` (default: equal).

    Arguments: transforms (list), p (list of as many numbers).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomChoice.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> flips = [transforms.RandomHorizontalFlip(1.0), transforms.RandomVerticalFlip(1.0)]
    >>> transforms.RandomChoice(flips, p=[1, 0])(mg.tensor([[[1.0, 2.0]]]))
    tensor([[[2., 1.]]])
    """

    def __init__(self, transforms, p=None):
        super().__init__(transforms)
        if p is not None and not isinstance(p, (list, tuple)):
            raise TypeError("Argument p should be a sequence")
        self.p = p

    def __call__(self, img):
        shares = None if self.p is None else np.array(self.p, float) / sum(self.p)
        chosen = current_generator().numpy.choice(len(self.transforms), p=shares)
        return self.transforms[chosen](img)

    def __repr__(self):
        return f"{super().__repr__()}(p={self.p})"


# ---------------------------------------------------------------------- conversions
class ToTensor:
    """A PIL image, or an array (H, W) or (H, W, C), as a tensor (C, H, W); uint8 is scaled to 0 … 1.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ToTensor.html

    >>> import numpy as np
    >>> from minigrad.vision import transforms
    >>> transforms.ToTensor()(np.array([[0, 51, 255]], np.uint8))
    tensor([[[0.0000, 0.2000, 1.0000]]])
    """

    def __call__(self, pic):
        return F.to_tensor(pic)

    def __repr__(self):
        return f"{type(self).__name__}()"


class PILToTensor:
    """A PIL image as a tensor (C, H, W) of its pixels, not scaled.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.PILToTensor.html

    >>> from PIL import Image
    >>> from minigrad.vision import transforms
    >>> transforms.PILToTensor()(Image.new("L", (3, 1), 7))
    tensor([[[7, 7, 7]]], dtype=minigrad.uint8)
    """

    def __call__(self, pic):
        return F.pil_to_tensor(pic)

    def __repr__(self):
        return f"{type(self).__name__}()"


class ToPILImage:
    """A tensor (C, H, W) or an array (H, W, C) as a PIL image, of ``mode`` where several fit.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ToPILImage.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> image = transforms.ToPILImage()(mg.zeros(3, 4, 5))
    >>> image.mode, image.size
    ('RGB', (5, 4))
    """

    def __init__(self, mode=None):
        self.mode = mode

    def __call__(self, pic):
        return F.to_pil_image(pic, self.mode)

    def __repr__(self):
        return f"{type(self).__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class ConvertImageDtype(Module):
    """A tensor in another dtype, scaled: floats are 0 … 1, integers 0 … their largest number.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ConvertImageDtype.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.ConvertImageDtype(mg.float32)(mg.full((1, 1, 1), 255, dtype=mg.uint8))
    tensor([[[1.]]])
    """

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, image):
        return F.convert_image_dtype(image, self.dtype)


class Normalize(Module):
    """(image - mean) / std per channel, of a float tensor.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Normalize.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.Normalize((0.5,), (0.5,))(mg.ones(1, 1, 2))
    tensor([[[1., 1.]]])
    """

    def __init__(self, mean, std, inplace=False):
        super().__init__()
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, tensor):
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self):
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


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
        return F.rgb_to_grayscale(img, F.get_image_num_channels(img)) if _chance(self.p) else img

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


# ---------------------------------------------------------------------- sizes
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
        self.size = _pair(size, "Please provide only two dimensions (h, w) for size.")

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
        if not isinstance(fill, (numbers.Number, str, tuple, list)):
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
        self.size = _pair(size, "Please provide only two dimensions (h, w) for size.")
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
        return _whole(0, height - crop_height), _whole(0, width - crop_width), crop_height, crop_width

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
        self.size = _pair(size, "Please provide only two dimensions (h, w) for size.")
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
            area = height * width * _uniform(*scale)
            aspect = math.exp(_uniform(math.log(ratio[0]), math.log(ratio[1])))
            crop_width, crop_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < crop_width <= width and 0 < crop_height <= height:
                return _whole(0, height - crop_height), _whole(0, width - crop_width), crop_height, crop_width
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


# ---------------------------------------------------------------------- flips, rotations, shifts
class RandomHorizontalFlip(Module):
    """Left and right exchanged with probability ``p``.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomHorizontalFlip.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomHorizontalFlip(1.0)(mg.tensor([[[1, 2]]]))
    tensor([[[2, 1]]])
    """

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, img):
        return F.hflip(img) if _chance(self.p) else img

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


class RandomVerticalFlip(Module):
    """Top and bottom exchanged with probability ``p``.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomVerticalFlip.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomVerticalFlip(1.0)(mg.tensor([[[1], [2]]]))
    tensor([[[2],
             [1]]])
    """

    def __init__(self, p=0.5):
        super().__init__()
        self.p = p

    def forward(self, img):
        return F.vflip(img) if _chance(self.p) else img

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


def _angles(value, name):
    """Return bounds for one non-negative number (-value, value) or a pair of them; TypeError, ValueError otherwise."""
    if isinstance(value, numbers.Number):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return [float(-value), float(value)]
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{name} should be a single number or a list/tuple of numbers, got {type(value)}")
    if len(value) not in ((2, 4) if name == "shear" else (2,)):
        raise ValueError(f"{name} should be a sequence of length {'2 or 4' if name == 'shear' else 2}.")
    return [float(bound) for bound in value]


def _check_center(center):
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("center should be a sequence of length 2.")
    if center is not None and len(center) != 2:
        raise ValueError("center should be a sequence of length 2.")


def _fills(img, fill):
    """Return the fill colour for an image: one number per channel where it is a tensor."""
    if isinstance(img, Tensor) and isinstance(fill, numbers.Number):
        return [float(fill)] * F.get_image_num_channels(img)
    return fill


class RandomRotation(Module):
    """An image rotated by a random angle of ``degrees`` (one number d means -d … d), counter-clockwise.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomRotation.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomRotation(30)(mg.ones(1, 4, 4)).shape
    minigrad.Size([1, 4, 4])
    """

    def __init__(self, degrees, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=0):
        super().__init__()
        self.degrees = _angles(degrees, "degrees")
        _check_center(center)
        self.center = center
        self.interpolation = interpolation_mode(interpolation)
        self.expand = expand
        self.fill = fill

    @staticmethod
    def get_params(degrees):
        """Return a random angle within the bounds."""
        return _uniform(*degrees)

    def forward(self, img):
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, _fills(img, self.fill))

    def __repr__(self):
        detail = f"degrees={self.degrees}, interpolation={self.interpolation.value}, expand={self.expand}"
        return f"{type(self).__name__}({detail}, fill={self.fill})"


class RandomAffine(Module):
    """An image rotated, shifted, scaled and sheared at random, its middle (or ``center``) kept.

    Args:
        degrees: bounds of the angle, or one number d for -d … d.
        translate: the largest shifts as shares of width and height, in 0 … 1; scale: bounds of the scale factor.
        shear: bounds of the shear along x in degrees, or one number; four numbers: along x and along y.
    Raises TypeError and ValueError for wrong arguments.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomAffine.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomAffine(30, translate=(0.1, 0.1), scale=(0.8, 1.2))(mg.ones(3, 4, 5)).shape
    minigrad.Size([3, 4, 5])
    """

    def __init__(
        self,
        degrees,
        translate=None,
        scale=None,
        shear=None,
        interpolation=InterpolationMode.NEAREST,
        fill=0,
        center=None,
    ):
        super().__init__()
        self.degrees = _angles(degrees, "degrees")
        for name, value in (("translate", translate), ("scale", scale)):
            if value is not None and not isinstance(value, (list, tuple)):
                raise TypeError(f"{name} should be a sequence of length 2.")
            if value is not None and len(value) != 2:
                raise ValueError(f"{name} should be a sequence of length 2.")
        if translate is not None and not all(0.0 <= share <= 1.0 for share in translate):
            raise ValueError("translation values should be between 0 and 1")
        if scale is not None and not all(factor > 0 for factor in scale):
            raise ValueError("scale values should be positive")
        _check_center(center)
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else _angles(shear, "shear")
        self.interpolation = interpolation_mode(interpolation)
        self.fill = fill
        self.center = center

    @staticmethod
    def get_params(degrees, translate, scale_ranges, shears, img_size):
        """Return a random (angle, (shift x, shift y), scale, (shear x, shear y)) for an image of (width, height)."""
        angle = _uniform(*degrees)
        shift = (0, 0)
        if translate is not None:
            limits = [share * length for share, length in zip(translate, img_size)]
            shift = tuple(round(_uniform(-limit, limit)) for limit in limits)
        scale = 1.0 if scale_ranges is None else _uniform(*scale_ranges)
        shear = [0.0, 0.0]
        if shears is not None:
            shear = [_uniform(*shears[:2]), _uniform(*shears[2:]) if len(shears) == 4 else 0.0]
        return angle, shift, scale, tuple(shear)

    def forward(self, img):
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, F.get_image_size(img))
        return F.affine(img, *drawn, self.interpolation, _fills(img, self.fill), self.center)

    def __repr__(self):
        names = ("degrees", "translate", "scale", "shear", "center")
        detail = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name) is not None]
        if self.interpolation is not InterpolationMode.NEAREST:
            detail.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            detail.append(f"fill={self.fill}")
        return f"{type(self).__name__}({', '.join(detail)})"
