"""Transforms that move pixels: mirrored, turned, sheared, shifted."""

import numbers

from minigrad.backend import np
from minigrad.nn import Module
from minigrad.ops.join import cat
from minigrad.tensor import Tensor, wrap
from minigrad.utils.data.worker import current_generator
from minigrad.vision.transforms import functional as F
from minigrad.vision.transforms.draws import chance, uniform, whole
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode


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
        return F.hflip(img) if chance(self.p) else img

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
        return F.vflip(img) if chance(self.p) else img

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


def fills(img, fill):
    """Return the fill colour for an image: one number per channel where it is a tensor or an array."""
    if isinstance(img, (Tensor, np.ndarray)) and isinstance(fill, numbers.Number):
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
        self.fill = 0 if fill is None else fill

    @staticmethod
    def get_params(degrees):
        """Return a random angle within the bounds."""
        return uniform(*degrees)

    def forward(self, img):
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, fills(img, self.fill))

    def __repr__(self):
        detail = f"degrees={self.degrees}, interpolation={self.interpolation.value}, expand={self.expand}"
        center = "" if self.center is None else f", center={self.center}"
        return f"{type(self).__name__}({detail}{center}, fill={self.fill})"


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
        self.fill = 0 if fill is None else fill
        self.center = center

    @staticmethod
    def get_params(degrees, translate, scale_ranges, shears, img_size):
        """Return a random (angle, (shift x, shift y), scale, (shear x, shear y)) for an image of (width, height)."""
        angle = uniform(*degrees)
        shift = (0, 0)
        if translate is not None:
            limits = [share * length for share, length in zip(translate, img_size)]
            shift = tuple(round(uniform(-limit, limit)) for limit in limits)
        scale = 1.0 if scale_ranges is None else uniform(*scale_ranges)
        shear = [0.0, 0.0]
        if shears is not None:
            shear = [uniform(*shears[:2]), uniform(*shears[2:]) if len(shears) == 4 else 0.0]
        return angle, shift, scale, tuple(shear)

    def forward(self, img):
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, F.get_image_size(img))
        return F.affine(img, *drawn, self.interpolation, fills(img, self.fill), self.center)

    def __repr__(self):
        names = ("degrees", "translate", "scale", "shear")
        detail = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name) is not None]
        if self.interpolation is not InterpolationMode.NEAREST:
            detail.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            detail.append(f"fill={self.fill}")
        if self.center is not None:
            detail.append(f"center={self.center}")
        return f"{type(self).__name__}({', '.join(detail)})"


class RandomPerspective(Module):
    """An image seen from a random side with probability ``p``.

    Args: ``distortion_scale`` (0 … 1): how far at most the corners move, as a share of half the width and height;
    ``fill``: colour of what lies outside, a number or one per channel. Raises TypeError and ValueError for wrong ones.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomPerspective.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.RandomPerspective(p=1.0)(mg.ones(3, 8, 9)).shape
    minigrad.Size([3, 8, 9])
    """

    def __init__(self, distortion_scale=0.5, p=0.5, interpolation=InterpolationMode.BILINEAR, fill=0):
        super().__init__()
        if not 0 <= distortion_scale <= 1:
            raise ValueError(f"distortion_scale should be between 0 and 1, but got {distortion_scale}")
        fill = 0 if fill is None else fill
        if not isinstance(fill, (numbers.Number, list, tuple)):
            raise TypeError("Fill should be either a sequence or a number.")
        self.p = p
        self.interpolation = interpolation_mode(interpolation)
        self.distortion_scale = distortion_scale
        self.fill = fill

    @staticmethod
    def get_params(width, height, distortion_scale):
        """Return the corners, clockwise from the top left, and random places for them: two lists of four [x, y]."""
        far_x, far_y = int(distortion_scale * (width // 2)), int(distortion_scale * (height // 2))
        left, right = (lambda: whole(0, far_x)), (lambda: whole(width - far_x - 1, width - 1))
        top, bottom = (lambda: whole(0, far_y)), (lambda: whole(height - far_y - 1, height - 1))
        corners = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        return corners, [[left(), top()], [right(), top()], [right(), bottom()], [left(), bottom()]]

    def forward(self, img):
        if not chance(self.p):
            return img
        _, height, width = F.get_dimensions(img)
        corners, places = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, corners, places, self.interpolation, fills(img, self.fill))

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p})"


def _two_numbers(value, name):
    """Return [value, value] for a number, the list for two of them; TypeError, ValueError otherwise."""
    if not isinstance(value, (numbers.Number, list, tuple)):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(value)}")
    values = [value] if isinstance(value, numbers.Number) else list(value)
    if not all(isinstance(number, numbers.Number) for number in values):
        raise TypeError(f"{name} should be a sequence of floats. Got {value}")
    if len(values) not in (1, 2):
        raise ValueError(f"{name} is a sequence its length should be 1 or 2. Got {len(values)}")
    return [float(number) for number in (values * 2)[:2]]


class ElasticTransform(Module):
    """An image whose pixels are moved by a random smooth field, as handwriting differs.

    Args: ``alpha``: strength, in pixels before smoothing, or (x, y); ``sigma``: standard deviation in pixels of the
    Gaussian that smooths the field, or (x, y); ``fill``: colour of what lies outside. Raises TypeError, ValueError.
    Source: Simard, Steinkraus, Platt (2003);
    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ElasticTransform.html

    >>> import minigrad as mg
    >>> from minigrad.vision import transforms
    >>> transforms.ElasticTransform(alpha=30.0, sigma=3.0)(mg.ones(1, 28, 28)).shape
    minigrad.Size([1, 28, 28])
    """

    def __init__(self, alpha=50.0, sigma=5.0, interpolation=InterpolationMode.BILINEAR, fill=0):
        super().__init__()
        self.alpha = _two_numbers(alpha, "alpha")
        self.sigma = _two_numbers(sigma, "sigma")
        self.interpolation = interpolation_mode(interpolation)
        if not isinstance(fill, (int, float, list, tuple)):
            raise TypeError(f"fill should be int or float or a list or tuple of them. Got {type(fill)}")
        self.fill = [float(number) for number in ([fill] if isinstance(fill, (int, float)) else fill)]

    @staticmethod
    def get_params(alpha, sigma, size):
        """Return a random field (1, H, W, 2) for an image of size (H, W); see functional.elastic_transform."""
        fields = []
        for strength, width, length in zip(alpha, sigma, size[::-1], strict=True):
            noise = current_generator().numpy.random((1, 1, *size), np.float32) * 2 - 1
            field = wrap(noise)
            if width > 0:
                count = int(8 * width + 1)
                field = F.gaussian_blur(field, [count + 1 - count % 2] * 2, sigma)
            fields.append(field * (strength / length))
        return cat(fields, 1).permute(0, 2, 3, 1)

    def forward(self, img):
        _, height, width = F.get_dimensions(img)
        field = self.get_params(self.alpha, self.sigma, [height, width])
        return F.elastic_transform(img, field, self.interpolation, self.fill)

    def __repr__(self):
        detail = f"alpha={self.alpha}, sigma={self.sigma}, interpolation={self.interpolation}, fill={self.fill}"
        return f"{type(self).__name__}({detail})"
