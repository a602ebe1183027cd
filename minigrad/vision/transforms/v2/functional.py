"""The functions of torchvision.transforms.v2.functional: those of transforms.functional, and a few more.

Each is there by the name of its kernels too: ``resize_image`` and ``resize_video`` are ``resize``, which takes tensors
(…, C, H, W). Those that move pixels take the boxes, key points and masks of vision.tv_tensors too.
"""

import io

from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import as_dtype, np
from minigrad.ops.join import stack
from minigrad.tensor import Tensor, wrap
from minigrad.utils.data.worker import current_generator
from minigrad.vision.io import decode_jpeg, encode_jpeg
from minigrad.vision.pillow import image_module
from minigrad.vision.transforms import functional as _first
from minigrad.vision.transforms.functional import *  # noqa: F403
from minigrad.vision.transforms.functional import (
    convert_image_dtype,
    elastic_transform,
    get_dimensions,
    get_image_num_channels,
    hflip,
    pil_to_tensor,
    to_grayscale,
    vflip,
)
from minigrad.vision.transforms.functional.images import by_kind, check_image, planes_of
from minigrad.vision.transforms.pil_image import is_pil_image
from minigrad.vision.tv_tensors import (
    BoundingBoxes,
    BoundingBoxFormat,
    Image,
    KeyPoints,
    TVTensor,
    clamp,
    clamp_points,
    convert,
    format_of,
    plain,
)
from minigrad.vision.tv_tensors import wrap as wrap_like

__all__ = [
    *_first.__all__, "clamp_bounding_boxes", "clamp_keypoints", "convert_bounding_box_format",
    "elastic", "gaussian_noise", "get_num_channels", "get_num_frames", "get_size", "grayscale_to_rgb",
    "horizontal_flip", "is_pure_tensor", "jpeg", "permute_channels", "register_kernel",
    "sanitize_bounding_boxes", "sanitize_keypoints", "to_dtype", "to_image",
    "uniform_temporal_subsample", "vertical_flip",
]  # fmt: skip

_FLOAT32 = as_dtype("float32")

horizontal_flip, vertical_flip, elastic, get_num_channels = hflip, vflip, elastic_transform, get_image_num_channels


def __getattr__(name):
    base, _, kind = name.rpartition("_")
    if kind in ("image", "video") and base in __all__:
        return globals()[base]
    if kind in ("boxes", "keypoints", "mask"):
        reason = ": call the function without the kind on a tensor of vision.tv_tensors"
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{reason}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_pure_tensor(inpt):
    """Return whether a value is a tensor, of none of the classes of vision.tv_tensors."""
    return isinstance(inpt, Tensor) and not isinstance(inpt, TVTensor)


def get_size(inpt):
    """Return [height, width] of an image or a mask, or of the canvas of boxes and key points."""
    return get_dimensions(inpt)[1:]


def get_num_frames(inpt):
    """Return the number of frames of a film (…, T, C, H, W)."""
    return inpt.shape[-4]


def to_image(inpt):
    """Return a PIL image, or an array (H, W) or (H, W, C), as a tv_tensors.Image (C, H, W) of its pixels.

    TypeError for anything else.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.to_image.html

    >>> import numpy as np
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.to_image(np.array([[0, 51, 255]], np.uint8))
    Image([[[  0,  51, 255]]], dtype=minigrad.uint8, )
    """
    if isinstance(inpt, Tensor):
        return Image(inpt)
    return Image(planes_of(inpt).clone() if isinstance(inpt, np.ndarray) else pil_to_tensor(inpt))


def to_dtype(inpt, dtype=_FLOAT32, scale=False):
    """Return a tensor or array in another dtype; with ``scale`` floats are 0 … 1, integers 0 … their largest number.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.to_dtype.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.to_dtype(mg.tensor([0, 51], dtype=mg.uint8), scale=True)
    tensor([0.0000, 0.2000])
    """
    if isinstance(inpt, TVTensor) and not isinstance(inpt, Image):
        return inpt.to(as_dtype(dtype))  # numbers of classes and places have no scale
    if scale:
        return convert_image_dtype(inpt, dtype)
    return inpt.astype(as_dtype(dtype).numpy) if isinstance(inpt, np.ndarray) else inpt.to(as_dtype(dtype))


@by_kind
def gaussian_noise(inpt, mean=0.0, sigma=0.1, clip=True):
    """Return a tensor of floats of 0 … 1, or of uint8, with normal noise added, within that range if ``clip``.

    ``mean`` and ``sigma`` are for 0 … 1. ValueError for a negative sigma and other dtypes.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.gaussian_noise.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.gaussian_noise(mg.tensor([[[0.25, 0.75]]]), mean=0.5, sigma=0)
    tensor([[[0.7500, 1.0000]]])
    """
    check_image(inpt)
    if sigma < 0:
        raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
    if not isinstance(inpt, Tensor):
        raise TypeError("Gaussian Noise is not implemented for PIL images.")
    drawn = current_generator().numpy.standard_normal(tuple(inpt.shape), np.float32)
    if inpt.is_floating_point():
        noise = wrap((mean + drawn * sigma).astype(inpt.dtype.numpy)).to(inpt.device)
        return (inpt + noise).clamp(0, 1) if clip else inpt + noise
    if inpt.dtype.name != "uint8":
        raise ValueError(f"Input tensor is expected to be in uint8 or float dtype, got dtype={inpt.dtype}")
    noise = wrap((mean * 255 + drawn * (sigma * 255)).astype(np.int16)).to(inpt.device)
    return ((inpt + noise).clamp(0, 255) if clip else inpt + noise).to(inpt.dtype)


@by_kind
@no_grad()
def jpeg(image, quality):
    """Return an image, or a tensor (…, 1 or 3, H, W) of uint8, as it is after JPEG of that quality, 1 … 100.

    RuntimeError for a tensor of another dtype.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.jpeg.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.jpeg(mg.full((1, 1, 2), 7, dtype=mg.uint8), 90)
    tensor([[[7, 7]]], dtype=minigrad.uint8)
    """
    if is_pil_image(image):
        file = io.BytesIO()
        image.save(file, format="JPEG", quality=quality)
        return image_module().open(file).copy()
    if image.numel() == 0:
        return image.clone()
    packed = [decode_jpeg(encode_jpeg(one, quality)) for one in image.reshape(-1, *image.shape[-3:])]
    return stack(packed).reshape(image.shape).to(image.device)


@by_kind
def grayscale_to_rgb(inpt):
    """Return an image in three channels; one that has three already as it is.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.grayscale_to_rgb.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.grayscale_to_rgb(mg.ones(1, 2, 2)).shape
    minigrad.Size([3, 2, 2])
    """
    if is_pil_image(inpt):
        return inpt.convert("RGB")
    if get_image_num_channels(inpt) >= 3:
        return inpt
    return inpt.repeat(*[1] * (inpt.ndim - 3), 3, 1, 1) if isinstance(inpt, Tensor) else to_grayscale(inpt, 3)


@by_kind
def permute_channels(inpt, permutation):
    """Return an image whose channel number i is its channel ``permutation[i]``; ValueError for other numbers of them.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.permute_channels.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.permute_channels(mg.arange(3).reshape(3, 1, 1), [2, 0, 1]).flatten()
    tensor([2, 0, 1])
    """
    order = [int(number) for number in permutation]
    if len(order) != get_image_num_channels(inpt):
        raise ValueError(
            f"Length of permutation {order} does not match the number of channels {get_image_num_channels(inpt)}"
        )
    if is_pil_image(inpt):
        bands = inpt.split()
        return image_module().merge(inpt.mode, [bands[number] for number in order])
    if isinstance(inpt, np.ndarray):
        return inpt[..., order] if inpt.ndim == 3 else inpt
    return inpt[..., order, :, :]


@by_kind
def uniform_temporal_subsample(inpt, num_samples):
    """Return ``num_samples`` frames of a film (…, T, C, H, W), evenly spaced from the first to the last.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.uniform_temporal_subsample.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.uniform_temporal_subsample(mg.arange(5).reshape(5, 1, 1, 1), 3).flatten()
    tensor([0, 2, 4])
    """
    frames = np.linspace(0, inpt.shape[-4] - 1, num_samples, dtype=np.float32).astype(np.int64)
    return inpt.index_select(-4, wrap(frames).to(inpt.device))


def _described(inpt, kind, given):
    """Return whether a value is a plain tensor whose description is given; ValueError, TypeError where it isn't."""
    if not isinstance(inpt, (kind if isinstance(inpt, TVTensor) else Tensor)):
        raise TypeError(
            f"Input can either be a plain tensor or a {kind.__name__} tv_tensor, but got {type(inpt)} instead."
        )
    pure = is_pure_tensor(inpt)
    if pure and any(value is None for value in given.values()):
        raise ValueError(f"For pure tensor inputs, {' and '.join(given)} have to be passed.")
    if not pure and any(value is not None for value in given.values()):
        raise ValueError(f"For {kind.__name__} tv_tensor inputs, {' and '.join(given)} must not be passed.")
    return pure


def convert_bounding_box_format(inpt, old_format=None, new_format=None, inplace=False):
    """Return boxes in another format; a plain tensor's ``old_format`` is named.

    TypeError without a new format and for other objects, ValueError where the old one is missing or said twice.
    Source:
    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.convert_bounding_box_format.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.convert_bounding_box_format(mg.tensor([[1, 1, 3, 4]]), "XYXY", "CXCYWH")
    tensor([[2, 2, 2, 3]])
    """
    if new_format is None:
        raise TypeError("convert_bounding_box_format() missing 1 required argument: 'new_format'")
    pure = _described(inpt, BoundingBoxes, {"old_format": old_format})
    old, new = format_of(old_format) if pure else inpt.format, format_of(new_format)
    boxes = inpt if pure else plain(inpt)
    result = convert(boxes, old, new)
    result = boxes.copy_(result) if inplace and result is not boxes else result
    return result if pure else wrap_like(result, like=inpt, format=new)


def clamp_bounding_boxes(inpt, format=None, canvas_size=None, clamping_mode="auto"):
    """Return boxes cut at the edges of their canvas (H, W); "auto" means by the boxes' own ``clamping_mode``.

    A plain tensor's format, canvas and mode are named. ValueError where they aren't, or twice; TypeError for others.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.clamp_bounding_boxes.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.clamp_bounding_boxes(mg.tensor([[-1, 1, 9, 3]]), "XYXY", (4, 5), "hard")
    tensor([[0, 1, 5, 3]])
    """
    if clamping_mode not in (None, "soft", "hard", "auto"):
        raise ValueError(f"clamping_mode must be soft, hard, auto or None, got {clamping_mode}")
    if _described(inpt, BoundingBoxes, {"format": format, "canvas_size": canvas_size}):
        if clamping_mode == "auto":
            raise ValueError("For pure tensor inputs, `format`, `canvas_size` and `clamping_mode` have to be passed.")
        return clamp(inpt, format_of(format), canvas_size, clamping_mode)
    mode = inpt.clamping_mode if clamping_mode == "auto" else clamping_mode
    return wrap_like(clamp(plain(inpt), inpt.format, inpt.canvas_size, mode), like=inpt)


def clamp_keypoints(inpt, canvas_size=None):
    """Return key points moved onto the pixels of their canvas (H, W), which is named for a plain tensor.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.clamp_keypoints.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.clamp_keypoints(mg.tensor([[-1, 9]]), (4, 5))
    tensor([[0, 3]])
    """
    if _described(inpt, KeyPoints, {"canvas_size": canvas_size}):
        return clamp_points(inpt, canvas_size)
    return wrap_like(clamp_points(plain(inpt), inpt.canvas_size), like=inpt)


def sanitize_bounding_boxes(bounding_boxes, format=None, canvas_size=None, min_size=1.0, min_area=1.0):
    """Return the boxes that are on their canvas and large enough, and for each box whether it is one of them.

    Source:
    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.sanitize_bounding_boxes.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.sanitize_bounding_boxes(mg.tensor([[1, 1, 3, 4], [2, 2, 2, 4]]), "XYXY", (4, 5))
    (tensor([[1, 1, 3, 4]]), tensor([ True, False]))
    """
    pure = _described(bounding_boxes, BoundingBoxes, {"format": format, "canvas_size": canvas_size})
    boxes = bounding_boxes if pure else plain(bounding_boxes)
    like = BoundingBoxes(boxes, format=format, canvas_size=canvas_size) if pure else bounding_boxes
    height, width = like.canvas_size
    a, b, c, d = convert(boxes, like.format, BoundingBoxFormat.XYXY).unbind(-1)
    large = (c - a >= min_size) & (d - b >= min_size) & ((c - a) * (d - b) >= min_area)
    on_canvas = (a >= 0) & (b >= 0) & (c >= 0) & (d >= 0) & (a <= width) & (b <= height) & (c <= width) & (d <= height)
    valid = large & on_canvas
    return (boxes[valid] if pure else wrap_like(boxes[valid], like=like)), valid


def sanitize_keypoints(key_points, canvas_size=None):
    """Return the key points, or groups of them, that are on their canvas, and for each whether it is one of them.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.sanitize_keypoints.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.sanitize_keypoints(mg.tensor([[1, 2], [5, 3]]), (4, 5))[1]
    tensor([ True, False])
    """
    pure = _described(key_points, KeyPoints, {"canvas_size": canvas_size})
    points = key_points if pure else plain(key_points)
    height, width = canvas_size if pure else key_points.canvas_size
    x, y = points.unbind(-1)
    valid = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    valid = valid.flatten(1).all(1) if valid.ndim > 1 else valid
    return (points[valid] if pure else wrap_like(points[valid], like=key_points)), valid


def register_kernel(functional, tv_tensor_cls):
    """Return a decorator: its function is what a function here, or the one of a name, does with an own TVTensor class.

    ValueError for other functions and for classes that are no, or minigrad's own, subclasses of TVTensor.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.register_kernel.html

    >>> import minigrad as mg
    >>> from minigrad.vision import tv_tensors
    >>> from minigrad.vision.transforms.v2 import functional
    >>> class Angle(tv_tensors.TVTensor):
    ...     pass
    >>> @functional.register_kernel("horizontal_flip", Angle)
    ... def mirrored(angle):
    ...     return tv_tensors.wrap(-angle, like=angle)
    >>> functional.horizontal_flip(Angle([30]))
    Angle([-30])
    """
    if isinstance(functional, str):
        if functional not in __all__:
            raise ValueError(f"Could not find functional with name '{functional}' in {__name__}.")
        functional = globals()[functional]
    if not str(getattr(functional, "__module__", "")).startswith("minigrad.vision.transforms."):
        raise ValueError(f"Kernels can only be registered on functions of {__name__}, but got {functional}.")
    if not (isinstance(tv_tensor_cls, type) and issubclass(tv_tensor_cls, TVTensor)):
        raise ValueError(f"Kernels can only be registered for subclasses of TVTensor, but got {tv_tensor_cls}.")
    if tv_tensor_cls.__module__ == TVTensor.__module__:
        raise ValueError(f"Kernels cannot be registered for the builtin tv_tensor classes, but got {tv_tensor_cls}")

    def decorate(kernel):
        tv_tensor_cls._kernels[functional.__name__] = kernel
        return kernel

    return decorate
