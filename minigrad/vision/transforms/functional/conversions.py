"""Images from one kind into another: PIL images, arrays, tensors, their dtypes and ranges."""

import functools
import numbers

from minigrad.backend import as_dtype, default_float, np
from minigrad.tensor import Tensor, wrap
from minigrad.vision.pillow import image_module
from minigrad.vision.transforms import tensor_color, tensor_image
from minigrad.vision.transforms.functional.images import array_of, by_kind, planes_of
from minigrad.vision.transforms.pil_image import is_pil_image

# PIL modes whose pixels are not uint8
_PIXEL_TYPES = {"I": np.int32, "I;16": np.uint16, "I;16L": np.uint16, "I;16B": np.uint16, "F": np.float32}

# Pixels of one channel -> PIL mode
_GRAY_MODES = {"uint8": "L", "int16": "I;16", "uint16": "I;16", "int32": "I", "float32": "F"}

_FLOAT32 = as_dtype("float32")

# Number of channels -> PIL modes of uint8 pixels, the usual one first
_COLOR_MODES = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}


def _pixels_of(pic):
    """Return a PIL image's pixels as an array (C, H, W), which may be a view that cannot be written to."""
    pixels = np.asarray(pic, _PIXEL_TYPES.get(pic.mode, np.uint8))
    if pic.mode == "1":
        pixels = pixels * np.uint8(255)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def pil_to_tensor(pic):
    """Return a PIL image as a tensor (C, H, W) of its pixels, not scaled, of mode "1" as bools.

    Raises TypeError for anything but a PIL image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.pil_to_tensor.html

    >>> from PIL import Image
    >>> from minigrad.vision.transforms import functional
    >>> functional.pil_to_tensor(Image.new("L", (3, 1), 7))
    tensor([[[7, 7, 7]]], dtype=minigrad.uint8)
    """
    if not is_pil_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    pixels = _pixels_of(pic)
    return wrap(pixels > 0 if pic.mode == "1" else pixels.copy())


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


@by_kind
def convert_image_dtype(image, dtype=_FLOAT32):
    """Return a tensor (or array) in another dtype, scaled: floats are 0 … 1, integers 0 … their largest number.

    Raises RuntimeError where the integers do not fit the float's precision, TypeError for a PIL image.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.convert_image_dtype.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.convert_image_dtype(mg.tensor([0, 255], dtype=mg.uint8), mg.float32)
    tensor([0., 1.])
    """
    target = as_dtype(dtype)
    if isinstance(image, np.ndarray):
        return array_of(tensor_color.convert(planes_of(image), target), image.ndim)
    if not isinstance(image, Tensor):
        raise TypeError(f"Input img should be Tensor Image. Got {type(image)}")
    return tensor_color.convert(image, target)


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
def _per_channel(mean, std, dtype):
    """Return tuples of numbers as arrays (C, 1, 1): a training run asks for the same few ones for every image."""
    shift, scale = (np.array(values, dtype.numpy).reshape(-1, 1, 1) for values in (mean, std))
    if not scale.all():
        raise ValueError(f"std evaluated to zero after conversion to {dtype}, leading to division by zero.")
    return shift, scale


def _numbers(values):
    """Return one number, or a sequence, array or tensor of them, as a tuple."""
    return (values,) if isinstance(values, numbers.Number) else tuple(map(float, values))


@by_kind
def normalize(tensor, mean, std, inplace=False):
    """Return (tensor - mean) / std, per channel, of a float tensor (…, C, H, W) or float array (H, W[, C]).

    Raises TypeError unless it is a float tensor, ValueError for fewer than 3 dimensions or a std of 0, RuntimeError for
    a mean or std of another number of channels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.normalize.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.normalize(mg.tensor([[[0.0, 1.0]]]), [0.5], [0.5])
    tensor([[[-1.,  1.]]])
    """
    if isinstance(tensor, np.ndarray):
        planes = planes_of(tensor)
        result = normalize(planes, mean, std, inplace)
        return tensor if inplace else array_of(result, tensor.ndim)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}"
        )
    shift, scale = _per_channel(_numbers(mean), _numbers(std), tensor.dtype)
    if shift.shape[0] not in (1, tensor.shape[-3]) or scale.shape[0] not in (1, tensor.shape[-3]):
        raise RuntimeError(
            f"mean and std of {shift.shape[0]} and {scale.shape[0]} channels do not fit an image of {tensor.shape[-3]}"
        )
    if type(tensor) is Tensor and not inplace and not tensor.is_cuda:  # no gradients: the usual case in a data loader
        out = tensor.array - shift
        out /= scale
        return wrap(out)
    shift, scale = tensor_image.like(shift, tensor), tensor_image.like(scale, tensor)
    if inplace:
        return tensor.sub_(shift).div_(scale)
    return (tensor - shift) / scale
