"""Images as the network wants them, and what it finds as the images were."""
import math

import minigrad
from minigrad import nn
from models.detection.image_list import ImageList

__all__ = ["GeneralizedRCNNTransform"]

NORMAL = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])  # mean and deviation of ImageNet's channels


def _factors(original_size, new_size):
    """By how much an image becomes wider and higher, in 32 bits."""
    down, across = (
        minigrad.tensor(float(new)) / minigrad.tensor(float(old)) for new, old in zip(new_size, original_size)
    )
    return across, down


def resize_boxes(boxes, original_size, new_size):
    """Boxes (n, 4) of an image of one size (height, width), in the image at another size."""
    factors = minigrad.stack(_factors(original_size, new_size) * 2)
    return boxes * factors.to(device=boxes.device, dtype=boxes.dtype)


def resize_keypoints(keypoints, original_size, new_size):
    """Points (n, k, 3) of x, y and visibility of an image of one size (height, width), in the image at another."""
    factors = minigrad.stack([*_factors(original_size, new_size), minigrad.tensor(1.0)])
    return keypoints * factors.to(device=keypoints.device, dtype=keypoints.dtype)


def paste_masks_in_image(masks, boxes, img_shape, padding=1):
    """Masks (n, 1, M, M) of boxes (n, 4) at their places in images (n, 1, height, width)."""
    height, width = img_shape
    out = minigrad.zeros(len(masks), 1, height, width, dtype=masks.dtype, device=masks.device)
    side = masks.shape[-1]
    masks = nn.functional.pad(masks, (padding,) * 4)
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * ((side + 2 * padding) / side)
    centre = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    places = minigrad.cat([centre - half, centre + half], 1).to(minigrad.int64).tolist()
    for index, (x1, y1, x2, y2) in enumerate(places):
        size = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        mask = nn.functional.interpolate(masks[index : index + 1], size=size, mode="bilinear", align_corners=False)
        top, left = max(y1, 0), max(x1, 0)
        bottom, right = min(y2 + 1, height), min(x2 + 1, width)
        if bottom > top and right > left:
            out[index, 0, top:bottom, left:right] = mask[0, 0, top - y1 : bottom - y1, left - x1 : right - x1]
    return out


class GeneralizedRCNNTransform(nn.Module):
    """Normalises images, resizes them to a side of min_size and pads them to one size.

    Args:
        min_size: of the shorter side, one number or several of which one is drawn in training, else the last.
        max_size: that the longer side may have at most.
        image_mean, image_std: of the channels.
        size_divisible: of which the padded sides are multiples.
        fixed_size: (width, height) instead; None for none.

    Raises:
        ValueError: when called, for images that are not (C, H, W).
        TypeError: when called, for images of integers.
    """

    def __init__(self, min_size, max_size, image_mean, image_std, size_divisible=32, fixed_size=None, **kwargs):
        super().__init__()
        self._skip_resize = kwargs.pop("_skip_resize", False)
        if kwargs:
            raise TypeError(f"unexpected keyword argument {next(iter(kwargs))!r}")
        self.min_size = min_size if isinstance(min_size, (list, tuple)) else (min_size,)
        self.max_size = max_size
        self.image_mean = image_mean
        self.image_std = image_std
        self.size_divisible = size_divisible
        self.fixed_size = fixed_size

    def forward(self, images, targets=None):
        """An ImageList, and the targets with their boxes, masks and keypoints resized."""
        targets = [None] * len(images) if targets is None else [dict(target) for target in targets]
        resized = []
        for index, image in enumerate(images):
            if image.ndim != 3:
                raise ValueError(
                    f"images is expected to be a list of 3d tensors of shape [C, H, W], got {tuple(image.shape)}"
                )
            image, targets[index] = self._resize(self._normalize(image), targets[index])
            resized.append(image)
        sizes = [(image.shape[1], image.shape[2]) for image in resized]
        return ImageList(self._batch(resized), sizes), None if None in targets else targets

    def _normalize(self, image):
        if not image.is_floating_point():
            raise TypeError(
                f"Expected input images to be of floating type (in range [0, 1]), but found type {image.dtype} instead"
            )
        mean, std = (
            minigrad.tensor(values, dtype=image.dtype, device=image.device).reshape(-1, 1, 1)
            for values in (self.image_mean, self.image_std)
        )
        return (image - mean) / std

    def _resize(self, image, target):
        height, width = image.shape[-2:]
        if self.training and self._skip_resize:
            return image, target
        if self.fixed_size is not None:
            size = (self.fixed_size[1], self.fixed_size[0])
        else:
            wanted = self.min_size[-1]
            if self.training:
                wanted = self.min_size[int(minigrad.rand(1).item() * len(self.min_size))]
            shorter, longer = (minigrad.tensor(float(side)) for side in sorted((height, width)))
            scale = min((wanted / shorter).item(), (self.max_size / longer).item())
            size = (math.floor(height * scale), math.floor(width * scale))
        image = nn.functional.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
        if target is not None:
            target["boxes"] = resize_boxes(target["boxes"], (height, width), size)
            if "keypoints" in target:
                target["keypoints"] = resize_keypoints(target["keypoints"], (height, width), size)
            if "masks" in target:
                masks = target["masks"][:, None].float()
                target["masks"] = nn.functional.interpolate(masks, size=size)[:, 0].to(minigrad.uint8)
        return image, target

    def _batch(self, images):
        rows, columns = (
            math.ceil(max(image.shape[axis] for image in images) / self.size_divisible) * self.size_divisible
            for axis in (1, 2)
        )
        return minigrad.stack(
            [nn.functional.pad(image, (0, columns - image.shape[2], 0, rows - image.shape[1])) for image in images]
        )

    def postprocess(self, result, image_shapes, original_image_sizes):
        """What was found, in the images as they were; in training nothing is."""
        for found, size, original in zip([] if self.training else result, image_shapes, original_image_sizes):
            found["boxes"] = resize_boxes(found["boxes"], size, original)
            if "keypoints" in found:
                found["keypoints"] = resize_keypoints(found["keypoints"], size, original)
            if "masks" in found:
                found["masks"] = paste_masks_in_image(found["masks"], found["boxes"], original)
        return result

    def __repr__(self):
        return (
            f"{type(self).__name__}(\n    Normalize(mean={self.image_mean}, std={self.image_std})\n    "
            f"Resize(min_size={self.min_size}, max_size={self.max_size}, mode='bilinear')\n)"
        )
