"""Pictures of many images, with torchvision's names (https://docs.pytorch.org/vision/stable/utils.html)."""

import math

from minigrad.autograd.grad_mode import no_grad
from minigrad.ops.join import stack
from minigrad.tensor import Tensor
from minigrad.vision.drawing import draw_bounding_boxes, draw_keypoints, draw_segmentation_masks, flow_to_image
from minigrad.vision.pillow import image_module

__all__ = [
    "draw_bounding_boxes", "draw_keypoints", "draw_segmentation_masks", "flow_to_image", "make_grid", "save_image",
]  # fmt: skip


def _batch(tensor):
    """Return images (H, W), (C, H, W), (N, C, H, W) or a list of (C, H, W) as (N, C, H, W), gray in three channels."""
    if isinstance(tensor, (list, tuple)):
        for part in tensor:
            if not isinstance(part, Tensor):
                raise TypeError(f"tensor or list of tensors expected, got a list containing {type(part)}")
        tensor = stack(list(tensor))
    elif not isinstance(tensor, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    if tensor.ndim not in (2, 3, 4):
        raise ValueError(f"expected images (H, W), (C, H, W) or (N, C, H, W), but got the shape {tuple(tensor.shape)}")
    while tensor.ndim < 4:
        tensor = tensor.unsqueeze(0)
    return tensor.expand(-1, 3, -1, -1) if tensor.shape[1] == 1 else tensor


def _stretched(img, value_range):
    """Return an image with value_range, or its own smallest and largest number, at 0 and 1."""
    low, high = (float(img.min()), float(img.max())) if value_range is None else value_range
    return (img.clamp(low, high) - low) / max(high - low, 1e-5)


@no_grad()
def make_grid(tensor, nrow=8, padding=2, normalize=False, value_range=None, scale_each=False, pad_value=0.0):
    """Return images side by side as one image (C, H', W'), gray ones with three channels.

    Args:
        tensor: (N, C, H, W), or a list of images (C, H, W), or one image, which is returned without a border.
        nrow: how many in a row; padding: pixels between them and around, of the number pad_value.
        normalize: whether ``value_range`` (default: from the smallest to the largest number, of each image alone with
            scale_each) is stretched to 0 … 1.
    Raises TypeError for anything but tensors and a range that is no tuple, ValueError for other numbers of dimensions.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.utils.make_grid.html

    >>> import minigrad as mg
    >>> mg.vision.utils.make_grid(mg.ones(6, 1, 4, 5), nrow=3).shape
    minigrad.Size([3, 14, 23])
    """
    images = _batch(tensor)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        if scale_each:
            images = stack([_stretched(image, value_range) for image in images])
        else:
            images = _stretched(images, value_range)
    count, channels, height, width = images.shape
    if count == 1:
        return images[0]
    across = min(nrow, count)
    down = math.ceil(count / across)
    size = (channels, (height + padding) * down + padding, (width + padding) * across + padding)
    grid = images.new_full(size, pad_value)
    for number in range(count):
        top = number // across * (height + padding) + padding
        left = number % across * (width + padding) + padding
        grid[:, top : top + height, left : left + width] = images[number]
    return grid


@no_grad()
def save_image(tensor, fp, format=None, **kwargs):
    """Write images of 0 … 1 side by side to a file: a path, or a file object and a ``format`` such as "png".

    Other keywords are those of :func:`make_grid`, whose errors it raises; RuntimeError for images of integers.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.utils.save_image.html

    >>> import io, minigrad as mg
    >>> file = io.BytesIO()
    >>> mg.vision.utils.save_image(mg.ones(3, 4, 5), file, format="png")
    >>> file.getvalue()[1:4]
    b'PNG'
    """
    grid = make_grid(tensor, **kwargs)
    if not grid.is_floating_point():
        raise RuntimeError(f"save_image expects floats of 0 … 1, but got {grid.dtype}; use ConvertImageDtype first")
    pixels = (grid * 255 + 0.5).clamp(0, 255).cpu().numpy().transpose(1, 2, 0).astype("uint8")
    image_module().fromarray(pixels).save(fp, format=format)


def _log_api_usage_once(obj):
    """Do nothing with the class or function that says it is used: nothing is logged, as in PyTorch's releases."""
