"""Boxes, masks, key points and flows drawn as images, with torchvision's names and pixels."""

import math
import warnings

from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import np
from minigrad.tensor import Tensor, wrap
from minigrad.vision.pillow import image_module, pillow_module
from minigrad.vision.transforms.functional.conversions import convert_image_dtype, pil_to_tensor


def _check(image, channels):
    """Raise unless the value is one image (C, H, W) of uint8 or floats with so many channels."""
    if not isinstance(image, Tensor):
        raise TypeError(f"The image must be a tensor, got {type(image)}")
    if image.dtype.name != "uint8" and not image.is_floating_point():
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.ndim != 3:
        raise ValueError("Pass individual images, not batches")
    if image.shape[0] not in channels:
        only = "RGB images" if channels == (3,) else "grayscale and RGB images"
        raise ValueError(f"Only {only} are supported, got {image.shape[0]} channels")


def _colors(colors, count):
    """Return ``count`` colours (red, green, blue) of 0 … 255: given ones, or as many different ones."""
    if colors is None:
        steps = (2**25 - 1, 2**15 - 1, 2**21 - 1)
        return [tuple(number * step % 255 for step in steps) for number in range(count)]
    if isinstance(colors, list):
        if len(colors) < count:
            raise ValueError(
                f"Number of colors must be equal or larger than the number of objects, but got {len(colors)} < {count}."
            )
    elif not isinstance(colors, (tuple, str)):
        raise ValueError(f"colors must be a tuple or a string, or a list thereof, but got {colors}.")
    elif isinstance(colors, tuple) and len(colors) != 3:
        raise ValueError(f"If passed as tuple, colors should be an RGB triplet, but got {colors}.")
    else:
        colors = [colors] * count
    named = pillow_module("ImageColor").getrgb
    return [named(color) if isinstance(color, str) else tuple(color) for color in colors]


def _canvas(image):
    """Return an image as a PIL image of mode RGB to draw on."""
    pixels = convert_image_dtype(image, "uint8") if image.is_floating_point() else image
    return image_module().fromarray(np.ascontiguousarray(pixels.detach().cpu().numpy().transpose(1, 2, 0)))


def _drawn(canvas, image):
    """Return what has been drawn with the dtype and device of the image it began with."""
    drawn = pil_to_tensor(canvas)
    return (convert_image_dtype(drawn, image.dtype) if image.is_floating_point() else drawn).to(image.device)


def _oriented(draw, corners, color, fill, width):
    """Draw a box of four corners: the first side, its top, in dashes of five pixels."""
    points = list(zip(corners[::2], corners[1::2], strict=True))
    (x, y), (end_x, end_y) = points[:2]
    length = math.hypot(end_x - x, end_y - y)
    angle = math.atan2(end_y - y, end_x - x)
    done, dash = 0, True
    while done < length:
        step = min(5, length - done)
        next_x, next_y = x + math.cos(angle) * step, y + math.sin(angle) * step
        if dash:
            draw.line([(x, y), (next_x, next_y)], color, width)
        x, y, done, dash = next_x, next_y, done + step, not dash
    for number in (1, 2, 3):
        draw.line((points[number], points[(number + 1) % 4]), color, width)
    draw.polygon(corners, fill=fill, outline=None, width=0)


@no_grad()
def draw_bounding_boxes(
    image,
    boxes,
    labels=None,
    colors=None,
    fill=False,
    width=1,
    font=None,
    font_size=None,
    label_colors=None,
    label_background_colors=None,
    fill_labels=False,
):
    """Return an image (3, H, W) with boxes (N, 4) of (x1, y1, x2, y2), or (N, 8) of four corners, drawn on it.

    Args:
        image: (1 or 3, H, W), uint8 or floats of 0 … 1; labels: list of N texts.
        colors: of the boxes, one or a list of N: names, "#FF00FF" or (red, green, blue); label_colors and
            label_background_colors (with ``fill_labels``) likewise.
        fill: whether boxes are filled, half transparent; width: of the lines; font, font_size: TrueType file, points.
    Raises TypeError and ValueError for other images, boxes, labels and colours. Warns where there is no box.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.utils.draw_bounding_boxes.html

    >>> import minigrad as mg
    >>> image = mg.zeros(3, 4, 5, dtype=mg.uint8)
    >>> mg.vision.utils.draw_bounding_boxes(image, mg.tensor([[1, 0, 3, 2]]), colors="red")[0]
    tensor([[  0, 255, 255, 255,   0],
            [  0, 255,   0, 255,   0],
            [  0, 255, 255, 255,   0],
            [  0,   0,   0,   0,   0]], dtype=minigrad.uint8)
    """
    _check(image, (1, 3))
    count = boxes.shape[0]
    if boxes.shape[-1] == 4 and ((boxes[:, 0] > boxes[:, 2]).any() or (boxes[:, 1] > boxes[:, 3]).any()):
        raise ValueError(
            "Boxes need to be in (xmin, ymin, xmax, ymax) format. Use vision.ops.box_convert to convert them"
        )
    if count == 0:
        warnings.warn("boxes doesn't contain any box. No box was drawn", stacklevel=2)
        return image
    if labels is not None and len(labels) != count:
        raise ValueError(
            f"Number of boxes ({count}) and labels ({len(labels)}) mismatch. Please specify labels for each box."
        )
    lines = _colors(colors, count)
    texts = _colors(label_colors or "black", count) if label_colors or fill_labels else lines
    grounds = _colors(label_background_colors, count) if fill_labels and label_background_colors else lines
    fonts = pillow_module("ImageFont")
    if font is None and font_size is not None:
        warnings.warn("Argument 'font_size' will be ignored since 'font' is not set.", stacklevel=2)
    type_face = fonts.load_default() if font is None else fonts.truetype(font=font, size=font_size or 10)
    canvas = _canvas(image.expand(3, -1, -1))
    draw = pillow_module("ImageDraw").Draw(canvas, "RGBA" if fill else None)
    margin = width + 1
    for number, box in enumerate(boxes.long().tolist()):
        inside = lines[number] + (100,) if fill else None
        if len(box) > 4:
            _oriented(draw, box, lines[number], inside, width)
        else:
            draw.rectangle(box, width=width, outline=lines[number], fill=inside)
        if labels is None or labels[number] is None:
            continue
        place = (box[0] + margin, box[1] + margin)
        if fill_labels:
            left, top, right, bottom = draw.textbbox(place, labels[number], font=type_face)
            draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=grounds[number])
        draw.text(place, labels[number], fill=texts[number], font=type_face)
    return _drawn(canvas, image)


@no_grad()
def draw_segmentation_masks(image, masks, alpha=0.8, colors=None):
    """Return an image with masks over it: ``(1 - alpha) image + alpha colour``; where two overlap the colour is black.

    Args: ``image``: (3, H, W), uint8 or floats of 0 … 1; ``masks``: bool, (N, H, W) or (H, W); ``colors``: one or a
    list of N. Raises TypeError and ValueError for others. Warns where there is no mask.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.utils.draw_segmentation_masks.html

    >>> import minigrad as mg
    >>> mask = mg.tensor([[True, False]])
    >>> mg.vision.utils.draw_segmentation_masks(mg.ones(3, 1, 2), mask, 0.5, "red")[1]
    tensor([[0.5000, 1.0000]])
    """
    _check(image, (3,))
    if masks.ndim == 2:
        masks = masks[None]
    if masks.ndim != 3:
        raise ValueError("masks must be of shape (H, W) or (batch_size, H, W)")
    if masks.dtype.name != "bool":
        raise ValueError(f"The masks must be of dtype bool. Got {masks.dtype}")
    if masks.shape[-2:] != image.shape[-2:]:
        raise ValueError("The image and the masks must have the same height and width")
    if masks.shape[0] == 0:
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=2)
        return image
    colored = image.detach().clone()
    for mask, color in zip(masks, _colors(colors, masks.shape[0]), strict=False):
        values = [value / 255 for value in color] if image.is_floating_point() else list(color)
        colored[:, mask] = image.new_tensor(values)[:, None]
    colored[:, masks.sum(dim=0) > 1] = 0
    return (image * (1 - alpha) + colored * alpha).to(image.dtype)


@no_grad()
def draw_keypoints(image, keypoints, connectivity=None, colors=None, radius=2, width=3, visibility=None):
    """Return an image with key points, as discs, and the lines between them.

    Args: ``image``: (3, H, W), uint8 or floats of 0 … 1; ``keypoints``: (instances, K, 2) of (x, y);
    ``connectivity``: list of pairs of numbers of points to connect; ``colors``: of the discs; ``visibility``:
    (instances, K), which are drawn. Raises TypeError and ValueError for others.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.utils.draw_keypoints.html

    >>> import minigrad as mg
    >>> points = mg.tensor([[[1.0, 1.0]]])
    >>> image = mg.vision.utils.draw_keypoints(mg.zeros(3, 3, 4), points, colors="red", radius=1)
    >>> image[0].sum()
    tensor(5.)
    """
    _check(image, (3,))
    if keypoints.ndim != 3:
        raise ValueError("keypoints must be of shape (num_instances, K, 2)")
    if visibility is None:
        visibility = keypoints.new_ones(keypoints.shape[:-1])
    if visibility.ndim == 3:
        visibility = visibility.squeeze(-1)
    if visibility.shape != keypoints.shape[:-1]:
        raise ValueError(
            "visibility must be of shape (num_instances, K), as keypoints are. "
            f"Got {tuple(visibility.shape)} and {tuple(keypoints.shape)}"
        )
    canvas = _canvas(image)
    draw = pillow_module("ImageDraw").Draw(canvas)
    for points, seen in zip(keypoints.long().tolist(), visibility.bool().tolist(), strict=True):
        for (x, y, *_), drawn in zip(points, seen, strict=True):
            if drawn:
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colors, outline=None, width=0)
        for start, end in connectivity or ():
            if seen[start] and seen[end]:
                draw.line((tuple(points[start][:2]), tuple(points[end][:2])), width=width)
    return _drawn(canvas, image)


def _color_wheel():
    """Return the 55 colours (55, 3) of 0 … 255 of Baker et al., A Database and Evaluation Methodology (2007)."""
    wheel = []
    # from a full colour to the next one, in so many steps: which channel rises or falls
    for count, channel, rises, full in (
        (15, 1, 1, 0),
        (6, 0, 0, 1),
        (4, 2, 1, 1),
        (11, 1, 0, 2),
        (13, 0, 1, 2),
        (6, 2, 0, 0),
    ):
        ramp = np.floor(255 * np.arange(count) / count)
        part = np.zeros((count, 3))
        part[:, full] = 255
        part[:, channel] = ramp if rises else 255 - ramp
        wheel.append(part)
    return np.concatenate(wheel).astype(np.float32)


@no_grad()
def flow_to_image(flow):
    """Return a flow (2, H, W) or (N, 2, H, W) of float32 as an image of uint8: the hue is the direction.

    ValueError for another dtype or shape.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.utils.flow_to_image.html

    >>> import minigrad as mg
    >>> mg.vision.utils.flow_to_image(mg.zeros(2, 1, 1)).flatten()
    tensor([255, 255, 255], dtype=minigrad.uint8)
    """
    if flow.dtype.name != "float32":
        raise ValueError(f"Flow should be of dtype torch.float, got {flow.dtype}.")
    if flow.ndim not in (3, 4) or flow.shape[-3] != 2:
        raise ValueError(f"Input flow should have shape (2, H, W) or (N, 2, H, W), got {tuple(flow.shape)}.")
    values = flow.detach().cpu().numpy()
    one = np.float32(1)
    longest = np.sqrt((values**2).sum(axis=-3)).max()
    values = values / (longest + np.finfo(np.float32).eps)
    across, down = values[..., 0, :, :], values[..., 1, :, :]
    length = np.sqrt((values**2).sum(axis=-3))[..., None]
    wheel = _color_wheel()
    place = (np.arctan2(-down, -across) / np.float32(np.pi) + one) / np.float32(2) * np.float32(len(wheel) - 1)
    low = np.floor(place).astype(np.int64)
    share = (place - low).astype(np.float32)[..., None]
    wheel = wheel / np.float32(255)
    color = (one - share) * wheel[low] + share * wheel[(low + 1) % len(wheel)]
    pixels = np.floor(np.float32(255) * (one - length * (one - color))).astype(np.uint8)  # (…, H, W, 3)
    return wrap(np.ascontiguousarray(np.moveaxis(pixels, -1, -3))).to(flow.device)
