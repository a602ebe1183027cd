"""Transforms as functions of an image, which is a PIL image or a tensor (…, C, H, W).

Names, arguments and results are torchvision's (https://docs.pytorch.org/vision/stable/transforms.html#functional-transforms).
"""

import functools
import math
import numbers

from minigrad.backend import as_dtype, default_float, np
from minigrad.tensor import Tensor, wrap
from minigrad.vision.pillow import image_module
from minigrad.vision.transforms import pil_image, tensor_image
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode
from minigrad.vision.transforms.pil_image import is_pil_image

_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
# PIL modes whose pixels are not uint8
_PIXEL_TYPES = {"I": np.int32, "I;16": np.uint16, "I;16L": np.uint16, "I;16B": np.uint16, "F": np.float32}
# Pixels of one channel -> PIL mode
_GRAY_MODES = {"uint8": "L", "int16": "I;16", "uint16": "I;16", "int32": "I", "float32": "F"}
# Number of channels -> PIL modes of uint8 pixels, the usual one first
_COLOR_MODES = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}


def _check_image(img):
    if not is_pil_image(img) and not isinstance(img, Tensor):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    if isinstance(img, Tensor):
        tensor_image.check_image(img)


def get_dimensions(img):
    """Return [channels, height, width] of an image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_dimensions.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.get_dimensions(mg.zeros(3, 4, 5))
    [3, 4, 5]
    """
    _check_image(img)
    if isinstance(img, Tensor):
        return [1 if img.ndim == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]
    return [len(img.getbands()), img.height, img.width]


def get_image_size(img):
    """Return [width, height] of an image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_image_size.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.get_image_size(mg.zeros(3, 4, 5))
    [5, 4]
    """
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img):
    """Return the number of channels of an image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_image_num_channels.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.get_image_num_channels(mg.zeros(3, 4, 5))
    3
    """
    return get_dimensions(img)[0]


# ---------------------------------------------------------------------- conversions
def _pixels_of(pic):
    """Return a PIL image's pixels as an array (C, H, W), a view."""
    pixels = np.array(pic, _PIXEL_TYPES.get(pic.mode, np.uint8))
    if pic.mode == "1":
        pixels *= 255
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def pil_to_tensor(pic):
    """Return a PIL image as a tensor (C, H, W) of its pixels, not scaled. Raises TypeError for anything else.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.pil_to_tensor.html

    >>> from PIL import Image
    >>> from minigrad.vision.transforms import functional
    >>> functional.pil_to_tensor(Image.new("L", (3, 1), 7))
    tensor([[[7, 7, 7]]], dtype=minigrad.uint8)
    """
    if not is_pil_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return wrap(np.ascontiguousarray(_pixels_of(pic)))


def to_tensor(pic):
    """Return a PIL image, or an array (H, W) or (H, W, C), as a tensor (C, H, W); uint8 is scaled to 0 … 1.

    Raises TypeError for anything else, ValueError for an array of another number of dimensions.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.to_tensor.html

    >>> import numpy as np, minigrad as mg
    >>> mg.vision.transforms.functional.to_tensor(np.full((1, 2, 1), 51, np.uint8))
    tensor([[[0.2000, 0.2000]]])
    """
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        pixels = pic[None] if pic.ndim == 2 else pic.transpose(2, 0, 1)
    elif is_pil_image(pic):
        pixels = _pixels_of(pic)
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    if pixels.dtype != np.uint8:
        return wrap(pixels.copy())
    dtype = default_float()
    return wrap(np.divide(pixels, dtype.type(255), dtype=dtype, order="C"))


def convert_image_dtype(image, dtype=None):
    """Return a tensor in another dtype, scaled: floats are 0 … 1, integers 0 … their largest number.

    Raises RuntimeError where the integers do not fit the float's precision.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.convert_image_dtype.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.convert_image_dtype(mg.tensor([0, 255], dtype=mg.uint8), mg.float32)
    tensor([0., 1.])
    """
    target = as_dtype("float32" if dtype is None else dtype)
    source = image.dtype
    if source == target:
        return image
    if source.is_floating_point:
        if target.is_floating_point:
            return image.to(target)
        if (source.name, target.name) in (("float32", "int32"), ("float32", "int64"), ("float64", "int64")):
            raise RuntimeError(f"The cast from {source} to {target} cannot be performed safely.")
        limit = float(np.iinfo(target.numpy).max)
        return (image * (limit + 1.0 - 1e-3)).to(target)
    old = int(np.iinfo(source.numpy).max)
    if target.is_floating_point:
        return image.to(target) / old
    new = int(np.iinfo(target.numpy).max)
    if old > new:
        return (image // ((old + 1) // (new + 1))).to(target)
    return image.to(target) * ((new + 1) // (old + 1))


def _pixels_to_show(pic):
    """Return a tensor's or an array's pixels (H, W, C)."""
    if isinstance(pic, Tensor):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        pixels = pic.detach().cpu().numpy()
        pixels = pixels[:, :, None] if pic.ndim == 2 else pixels.transpose(1, 2, 0)
    elif isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        pixels = pic[:, :, None] if pic.ndim == 2 else pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pixels.shape[2] > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {pixels.shape[2]} channels.")
    return pixels


def to_pil_image(pic, mode=None):
    """Return a tensor (C, H, W) or an array (H, W, C) as a PIL image; a tensor of floats is taken as 0 … 1.

    ``mode``: the PIL mode, where the channels and dtype allow several. Raises TypeError for anything but a tensor or
    array and for a dtype without a mode, ValueError for other numbers of dimensions or channels, or another mode.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.to_pil_image.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> image = functional.to_pil_image(mg.zeros(3, 4, 5))
    >>> image.mode, image.size
    ('RGB', (5, 4))
    """
    pixels = _pixels_to_show(pic)
    if isinstance(pic, Tensor) and pixels.dtype.kind == "f" and mode != "F":
        pixels = (pixels * 255).astype(np.int64).astype(np.uint8)  # like PyTorch's .byte(): 256 becomes 0
    channels = pixels.shape[2]
    if channels == 1:
        expected = _GRAY_MODES.get(pixels.dtype.name)
        if mode is not None and mode != expected:
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {pixels.dtype}. Should be {expected}")
        modes = (expected,)
    else:
        modes = _COLOR_MODES[channels] if pixels.dtype == np.uint8 else (None,)
        if mode is not None and mode not in _COLOR_MODES[channels]:
            raise ValueError(f"Only modes {list(_COLOR_MODES[channels])} are supported for {channels}D inputs")
    chosen = mode or modes[0]
    if modes[0] is None:
        raise TypeError(f"Input type {pixels.dtype} is not supported")
    pixels = np.ascontiguousarray(pixels[:, :, 0] if channels == 1 else pixels)
    if chosen in ("L", "I", "F", "I;16", "LA", "RGB", "RGBA"):
        return image_module().fromarray(pixels.view(np.uint16) if chosen == "I;16" else pixels)
    return image_module().frombytes(chosen, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())


@functools.lru_cache(maxsize=64)
def _per_channel(values, dtype):
    """Return a tuple of numbers as an array (C, 1, 1): a training run asks for the same few ones for every image."""
    return np.array(values, dtype).reshape(-1, 1, 1)


def _numbers(values):
    """Return one number, or a sequence, array or tensor of them, as a tuple."""
    return (values,) if isinstance(values, numbers.Number) else tuple(map(float, values))


def normalize(tensor, mean, std, inplace=False):
    """Return (tensor - mean) / std, per channel, of a float tensor (…, C, H, W).

    Raises TypeError unless it is a float tensor, ValueError for fewer than 3 dimensions or a std of 0.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.normalize.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.normalize(mg.tensor([[[0.0, 1.0]]]), [0.5], [0.5])
    tensor([[[-1.,  1.]]])
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}"
        )
    dtype = tensor.dtype.numpy
    shift, scale = _per_channel(_numbers(mean), dtype), _per_channel(_numbers(std), dtype)
    if not scale.all():
        raise ValueError(f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero.")
    shift, scale = tensor_image.like(shift, tensor), tensor_image.like(scale, tensor)
    if inplace:
        return tensor.sub_(shift).div_(scale)
    return (tensor - shift) / scale


# ---------------------------------------------------------------------- geometry
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
    if isinstance(padding, numbers.Number):
        return (int(padding),) * 4
    if not isinstance(padding, (list, tuple)):
        raise TypeError("Got inappropriate padding arg")
    if len(padding) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple")
    return tuple(padding) * (4 // len(padding))


def pad(img, padding, fill=0, padding_mode="constant"):
    """Return an image with a border.

    Args: ``padding``: its width: one int, (left and right, top and bottom), or (left, top, right, bottom); negative
    ones take away. ``fill``: its colour, a number or one per channel. ``padding_mode``: "constant", "edge", "reflect"
    (without repeating the edge) or "symmetric" (repeating it). Raises TypeError and ValueError for wrong arguments.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.pad.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.pad(mg.ones(1, 1, 2), (1, 0), fill=9)
    tensor([[[9., 1., 1., 9.]]])
    """
    _check_image(img)
    if not isinstance(fill, (numbers.Number, str, tuple, list)):
        raise TypeError("Got inappropriate fill arg")
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


def crop(img, top, left, height, width):
    """Return the rectangle of an image; what lies outside the image is 0.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.crop.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.crop(mg.arange(9).reshape(1, 3, 3), top=1, left=0, height=2, width=2)
    tensor([[[3, 4],
             [6, 7]]])
    """
    _check_image(img)
    if isinstance(img, Tensor):
        return tensor_image.crop(img, top, left, height, width)
    return img.crop((left, top, left + width, top + height))


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


def resized_crop(img, top, left, height, width, size, interpolation=InterpolationMode.BILINEAR, antialias=True):
    """Return the rectangle of an image, resized.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.resized_crop.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.resized_crop(mg.zeros(3, 8, 8), 0, 0, 4, 4, size=(2, 6)).shape
    minigrad.Size([3, 2, 6])
    """
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img):
    """Return an image with left and right exchanged.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.hflip.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.hflip(mg.tensor([[[1, 2]]]))
    tensor([[[2, 1]]])
    """
    _check_image(img)
    if isinstance(img, Tensor):
        return img.flip(-1)
    return img.transpose(image_module().Transpose.FLIP_LEFT_RIGHT)


def vflip(img):
    """Return an image with top and bottom exchanged.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.vflip.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.vflip(mg.tensor([[[1], [2]]]))
    tensor([[[2],
             [1]]])
    """
    _check_image(img)
    if isinstance(img, Tensor):
        return img.flip(-2)
    return img.transpose(image_module().Transpose.FLIP_TOP_BOTTOM)


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


def _inverse_affine(center, angle, translate, scale, shear):
    """Return the matrix (2, 3) from new to old positions of a rotation, shear, scaling about center, and a shift.

    Angles are in degrees, clockwise.
    """
    rotation, shear_x, shear_y = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    across, along = math.cos(rotation - shear_y) / math.cos(shear_y), math.sin(rotation - shear_y) / math.cos(shear_y)
    linear = scale * np.array(
        [
            [across, -across * math.tan(shear_x) - math.sin(rotation)],
            [along, -along * math.tan(shear_x) + math.cos(rotation)],
        ]
    )
    inverse = np.linalg.inv(linear)
    middle = np.array(center, float)
    return np.column_stack([inverse, middle - inverse @ (middle + np.array(translate, float))])


def _affine_tensor(img, matrix, size, mode, fill):
    """Return the tensor whose pixel centred at (x, y) is the old one at ``matrix`` times (x, y, 1)."""
    height, width = size
    y, x = np.mgrid[:height, :width] + 0.5
    old_x, old_y = (row[0] * x + row[1] * y + row[2] for row in matrix)
    return tensor_image.sample(img, old_y, old_x, mode, fill)


def _center_of(img, center):
    _, height, width = get_dimensions(img)
    return [width * 0.5, height * 0.5] if center is None else center


def affine(img, angle, translate, scale, shear, interpolation=InterpolationMode.NEAREST, fill=None, center=None):
    """Return an image rotated, sheared, scaled (about ``center``) and shifted, at the same size.

    Args: ``angle``: degrees, clockwise; ``translate``: (x, y) in pixels; ``scale``: above 0; ``shear``: degrees, or
    (x, y) degrees; ``fill``: colour of what lies outside; ``center``: (x, y) from the top left (default: the middle).
    Raises TypeError and ValueError for wrong arguments.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.affine.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.affine(mg.tensor([[[1.0, 2.0, 3.0]]]), 0, translate=(1, 0), scale=1, shear=0)
    tensor([[[0., 1., 2.]]])
    """
    mode = interpolation_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (numbers.Number, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    shear = [shear, 0.0] if isinstance(shear, numbers.Number) else [*shear, 0.0][:2]
    matrix = _inverse_affine(_center_of(img, center), angle, translate, scale, shear)
    if isinstance(img, Tensor):
        return _affine_tensor(img, matrix, img.shape[-2:], mode, fill)
    return pil_image.affine(img, matrix, mode, fill)


def rotate(img, angle, interpolation=InterpolationMode.NEAREST, expand=False, center=None, fill=None):
    """Return an image rotated by ``angle`` degrees, counter-clockwise.

    Args: ``expand``: whether the result is made large enough to hold all of it; ``center``: (x, y) from the top left
    (default: the middle); ``fill``: colour of what lies outside. Raises TypeError for wrong arguments.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.rotate.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.rotate(mg.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 90)
    tensor([[[2., 4.],
             [1., 3.]]])
    """
    mode = interpolation_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    _check_image(img)
    if not isinstance(img, Tensor):
        color = pil_image.fill_for(img, fill)
        return img.rotate(angle, pil_image.pillow_filter(mode), expand, center, fillcolor=color)
    size = img.shape[-2:]
    if center is None and angle % 90 == 0 and (angle % 180 == 0 or expand or size[0] == size[1]):
        return _quarter_turns(img, int(angle % 360) // 90)
    matrix = _inverse_affine(_center_of(img, center), -angle, [0, 0], 1.0, [0, 0])
    if expand:
        size, matrix = _expanded(size, matrix)
    return _affine_tensor(img, matrix, size, mode, fill)


def _quarter_turns(img, count):
    """Return a tensor turned by 90 degrees, counter-clockwise, count times: exactly, as Pillow does it."""
    if count % 2:
        img = img.transpose(-2, -1).flip(-2)
    return img.flip((-2, -1)) if count >= 2 else img


def _expanded(size, matrix):
    """Return the size that holds all of an image mapped by an inverse matrix, and the matrix for that size."""
    height, width = size
    corners = np.array([[0, 0, width, width], [0, height, 0, height]]) - matrix[:, 2:]
    bounds = np.linalg.inv(matrix[:, :2]) @ corners
    new_width, new_height = (math.ceil(round(row.max(), 4)) - math.floor(round(row.min(), 4)) for row in bounds)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ ((width - new_width) / 2, (height - new_height) / 2)  # the middle stays the middle
    return (new_height, new_width), moved
