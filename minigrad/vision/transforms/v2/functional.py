"""The functions of torchvision.transforms.v2.functional: those of transforms.functional, and a few more.

Each is there by the name of its kernels too: ``resize_image`` and ``resize_video`` are ``resize``, which takes tensors
(…, C, H, W). There are none of bounding boxes, key points and masks.
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
from minigrad.vision.transforms.functional.images import check_image, planes_of
from minigrad.vision.transforms.pil_image import is_pil_image

__all__ = [
    *_first.__all__, "elastic", "gaussian_noise", "get_num_channels", "get_num_frames", "get_size", "grayscale_to_rgb",
    "horizontal_flip", "is_pure_tensor", "jpeg", "permute_channels", "to_dtype", "to_image",
    "uniform_temporal_subsample", "vertical_flip",
]  # fmt: skip

_FLOAT32 = as_dtype("float32")

horizontal_flip, vertical_flip, elastic, get_num_channels = hflip, vflip, elastic_transform, get_image_num_channels


def __getattr__(name):
    base, _, kind = name.rpartition("_")
    if kind in ("image", "video") and base in __all__:
        return globals()[base]
    if kind in ("boxes", "format", "keypoints", "mask"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: transforms take images only")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_pure_tensor(inpt):
    """Return whether a value is a tensor."""
    return isinstance(inpt, Tensor)


def get_size(inpt):
    """Return [height, width] of an image."""
    return get_dimensions(inpt)[1:]


def get_num_frames(inpt):
    """Return the number of frames of a film (…, T, C, H, W)."""
    return inpt.shape[-4]


def to_image(inpt):
    """Return a PIL image, or an array (H, W) or (H, W, C), as a tensor (C, H, W) of its pixels; a tensor stays.

    TypeError for anything else.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.to_image.html

    >>> import numpy as np
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.to_image(np.array([[0, 51, 255]], np.uint8))
    tensor([[[  0,  51, 255]]], dtype=minigrad.uint8)
    """
    if isinstance(inpt, Tensor):
        return inpt
    return planes_of(inpt).clone() if isinstance(inpt, np.ndarray) else pil_to_tensor(inpt)


def to_dtype(inpt, dtype=_FLOAT32, scale=False):
    """Return a tensor or array in another dtype; with ``scale`` floats are 0 … 1, integers 0 … their largest number.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.functional.to_dtype.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms.v2 import functional
    >>> functional.to_dtype(mg.tensor([0, 51], dtype=mg.uint8), scale=True)
    tensor([0.0000, 0.2000])
    """
    if scale:
        return convert_image_dtype(inpt, dtype)
    return inpt.astype(as_dtype(dtype).numpy) if isinstance(inpt, np.ndarray) else inpt.to(as_dtype(dtype))


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
