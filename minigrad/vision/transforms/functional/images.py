"""What counts as an image, and its size."""

import functools

from minigrad.backend import np
from minigrad.tensor import Tensor, wrap
from minigrad.vision.transforms import tensor_image
from minigrad.vision.transforms.pil_image import is_pil_image


def check_image(img):
    """TypeError unless a value is a PIL image or a tensor with the dimensions of an image."""
    if isinstance(img, Tensor):
        tensor_image.check_image(img)
    elif not is_pil_image(img):
        raise TypeError(f"img should be PIL Image or Tensor or array. Got {type(img)}")


def planes_of(array):
    """Return an array (H, W) or (H, W, C) as a tensor (C, H, W) on the same memory; TypeError for another one."""
    if array.ndim not in (2, 3):
        raise TypeError(f"an array of an image should be (H, W) or (H, W, C), but has the shape {array.shape}")
    if array.dtype.kind not in "buif" or not array.dtype.isnative:
        raise TypeError(f"an array of an image should hold native integers or floats, but holds {array.dtype}")
    return wrap(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def array_of(planes, ndim):
    """Return a tensor (…, C, H, W) as an array (…, H, W, C), or (…, H, W) for one channel of an array (H, W)."""
    pixels = planes.numpy()
    if ndim == 2 and pixels.shape[-3] == 1:
        return np.ascontiguousarray(pixels[..., 0, :, :])
    return np.ascontiguousarray(np.moveaxis(pixels, -3, -1))


def by_kind(function):
    """Let the classes of vision.tv_tensors, if the first argument is of one, say what a function makes of it."""

    @functools.wraps(function)
    def of_kind(*arguments, **keywords):
        own = getattr(type(arguments[0]), "_transformed", None) if arguments else None
        if own is None:
            return function(*arguments, **keywords)
        return own(arguments[0], function, *arguments[1:], **keywords)

    return of_kind


def takes_arrays(function):
    """Let a function of a tensor that is an image take arrays as well: they go in and come back as (H, W[, C])."""

    function = by_kind(function)

    @functools.wraps(function)
    def of_any(img, *arguments, **keywords):
        if not isinstance(img, np.ndarray):
            return function(img, *arguments, **keywords)
        planes = planes_of(img)
        result = function(planes, *arguments, **keywords)
        if isinstance(result, tuple):
            return tuple(array_of(part, img.ndim) for part in result)
        return img if result is planes else array_of(result, img.ndim)

    return of_any


def get_dimensions(img):
    """Return [channels, height, width] of an image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_dimensions.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> functional.get_dimensions(mg.zeros(3, 4, 5))
    [3, 4, 5]
    """
    if isinstance(img, np.ndarray):
        img = planes_of(img)
    if hasattr(img, "canvas_size"):
        return [1, *img.canvas_size]  # boxes and points
    check_image(img)
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
