"""Sizes, borders, rectangles and mirrors of images."""

import numbers

from minigrad.tensor import Tensor
from minigrad.vision.pillow import image_module
from minigrad.vision.transforms import pil_image, tensor_image
from minigrad.vision.transforms.functional.images import check_image, get_dimensions, takes_arrays
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode

_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def _compute_resized_output_size(image_size, size, max_size=None):
    """Return [height, width] of an image resized so that its shorter edge is ``size[0]``, or to ``size``."""
    if len(size) == 2:
        if max_size is not None:
            raise ValueError("max_size should only be passed if size specifies the length of the smaller edge")
        return list(size)
    height, width = image_size
    short, long = min(height, width), max(height, width)
    new_short = size[0]
    new_long = int(new_short * long / short)
    if max_size is not None:
        if max_size <= new_short:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller edge "
                f"size = {size}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return [new_long, new_short] if width <= height else [new_short, new_long]


@takes_arrays
def resize(img, size, interpolation=InterpolationMode.BILINEAR, max_size=None, antialias=True):
    """Return an image resized: to ``size`` (H, W), or so that its shorter edge is ``size`` (one int).

    Args: ``max_size``: how long the longer edge may get at most; ``antialias``: whether a tensor that shrinks is
    smoothed, as PIL images always are. Raises TypeError and ValueError for wrong arguments, ValueError for a tensor
    and an interpolation other than nearest, bilinear and bicubic.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.resize.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.resize(mg.zeros(3, 4, 8), 2).shape
    minigrad.Size([3, 2, 4])
    """
    mode = interpolation_mode(interpolation)
    if isinstance(size, int):
        size = [size]
    elif not isinstance(size, (list, tuple)):
        raise TypeError(f"Size should be int or sequence. Got {type(size)}")
    if len(size) not in (1, 2):
        raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, not a {len(size)} element tuple/list")
    _, height, width = get_dimensions(img)
    new = _compute_resized_output_size((height, width), size, max_size)
    if [height, width] == new:
        return img
    if isinstance(img, Tensor):
        return tensor_image.resize(img, new, mode, antialias)
    return pil_image.resize(img, new, mode)


def _four_sides(padding):
    """Return (left, top, right, bottom) for one number, (x, y), or all four."""
    if isinstance(padding, int):
        return (padding,) * 4
    if not isinstance(padding, (list, tuple)) or not all(isinstance(side, int) for side in padding):
        raise TypeError(f"Got inappropriate padding arg: {padding!r}")
    if len(padding) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple")
    return tuple(padding) * (4 // len(padding))


@takes_arrays
def pad(img, padding, fill=0, padding_mode="constant"):
    """Return an image with a border.

    Args: ``padding``: its width: one int, (left and right, top and bottom), or (left, top, right, bottom); negative
    ones take away. ``fill``: its colour, a number or one per channel. ``padding_mode``: "constant", "edge", "reflect"
    (without repeating the edge) or "symmetric" (repeating it). Raises TypeError and ValueError for wrong arguments,
    RuntimeError where a tensor is too small to be reflected.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.pad.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.pad(mg.ones(1, 1, 2), (1, 0), fill=9)
    tensor([[[9., 1., 1., 9.]]])
    """
    check_image(img)
    fill = 0 if fill is None else fill
    if not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError(f"Got inappropriate fill arg: {fill!r}")
    if not isinstance(padding_mode, str):
        raise TypeError("Got inappropriate padding_mode arg")
    if padding_mode not in _PADDING_MODES:
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    sides = _four_sides(padding)
    if not isinstance(img, Tensor):
        return pil_image.pad(img, sides, fill, padding_mode)
    if isinstance(fill, (list, tuple)):
        if len(fill) != 1:
            raise TypeError(f"a tensor's border has one fill number, but got {fill}")
        fill = fill[0]
    return tensor_image.pad(img, sides, fill, padding_mode)


@takes_arrays
def crop(img, top, left, height, width):
    """Return the rectangle of an image; what lies outside the image is 0.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.crop.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.crop(mg.arange(9).reshape(1, 3, 3), top=1, left=0, height=2, width=2)
    tensor([[[3, 4],
             [6, 7]]])
    """
    check_image(img)
    if isinstance(img, Tensor):
        return tensor_image.crop(img, top, left, height, width)
    return img.crop((left, top, left + width, top + height))


@takes_arrays
def center_crop(img, output_size):
    """Return the middle (H, W) of an image, padded with 0 where the image is smaller.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.center_crop.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.center_crop(mg.arange(9).reshape(1, 3, 3), 1)
    tensor([[[4]]])
    """
    if isinstance(output_size, numbers.Number):
        output_size = (int(output_size), int(output_size))
    elif len(output_size) == 1:
        output_size = (output_size[0], output_size[0])
    crop_height, crop_width = output_size
    _, height, width = get_dimensions(img)
    if crop_width > width or crop_height > height:
        extra_x, extra_y = max(crop_width - width, 0), max(crop_height - height, 0)
        img = pad(img, (extra_x // 2, extra_y // 2, (extra_x + 1) // 2, (extra_y + 1) // 2), fill=0)
        _, height, width = get_dimensions(img)
    return crop(img, round((height - crop_height) / 2), round((width - crop_width) / 2), crop_height, crop_width)


@takes_arrays
def resized_crop(img, top, left, height, width, size, interpolation=InterpolationMode.BILINEAR, antialias=True):
    """Return the rectangle of an image, resized.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.resized_crop.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.resized_crop(mg.zeros(3, 8, 8), 0, 0, 4, 4, size=(2, 6)).shape
    minigrad.Size([3, 2, 6])
    """
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


@takes_arrays
def hflip(img):
    """Return an image with left and right exchanged.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.hflip.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.hflip(mg.tensor([[[1, 2]]]))
    tensor([[[2, 1]]])
    """
    check_image(img)
    if isinstance(img, Tensor):
        return img.flip(-1)
    return img.transpose(image_module().Transpose.FLIP_LEFT_RIGHT)


@takes_arrays
def vflip(img):
    """Return an image with top and bottom exchanged.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.vflip.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.vflip(mg.tensor([[[1], [2]]]))
    tensor([[[2],
             [1]]])
    """
    check_image(img)
    if isinstance(img, Tensor):
        return img.flip(-2)
    return img.transpose(image_module().Transpose.FLIP_TOP_BOTTOM)


def _crop_size(size):
    """Return (height, width) for an int or a sequence of one or two; ValueError otherwise."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)
    if not isinstance(size, (list, tuple)) or len(size) not in (1, 2):
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    return (size[0], size[0]) if len(size) == 1 else tuple(size)


@takes_arrays
def five_crop(img, size):
    """Return five rectangles of an image: top left, top right, bottom left, bottom right, middle.

    Raises ValueError where the image is smaller than ``size``, an int or (H, W).
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.five_crop.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> [crop.item() for crop in functional.five_crop(mg.arange(9).reshape(1, 3, 3), 1)]
    [0, 2, 6, 8, 4]
    """
    crop_height, crop_width = size = _crop_size(size)
    _, height, width = get_dimensions(img)
    if crop_width > width or crop_height > height:
        raise ValueError(f"Requested crop size {size} is bigger than input size {(height, width)}")
    places = [(top, left) for top in (0, height - crop_height) for left in (0, width - crop_width)]
    return (*(crop(img, top, left, *size) for top, left in places), center_crop(img, size))


@takes_arrays
def ten_crop(img, size, vertical_flip=False):
    """Return the five rectangles of five_crop and those of the image mirrored (top to bottom: ``vertical_flip``).

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.ten_crop.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> [crop.item() for crop in functional.ten_crop(mg.arange(9).reshape(1, 3, 3), 1)]
    [0, 2, 6, 8, 4, 2, 0, 8, 6, 4]
    """
    size = _crop_size(size)
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)
