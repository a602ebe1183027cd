"""Transforms of PIL images."""

import sys

from minigrad.backend import np
from minigrad.vision.pillow import image_module
from minigrad.vision.transforms.interpolation import pillow_filter


def is_pil_image(value):
    """Return whether a value is a PIL image (without importing Pillow for a value of another kind)."""
    kind = getattr(sys.modules.get("PIL.Image"), "Image", None)
    return kind is not None and isinstance(value, kind)


def fill_for(img, fill):
    """Return what Pillow wants as a fill colour: a number or a tuple with one per channel; ValueError otherwise."""
    count = len(img.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, (list, tuple)):
        if len(fill) == 1:
            fill = fill[0]
        elif len(fill) != count:
            raise ValueError(f"fill has {len(fill)} numbers, but the image has {count} channels")
    if isinstance(fill, (int, float)):
        fill = fill if img.mode == "F" else int(fill)
        return (fill,) * count if count > 1 else fill
    return tuple(fill if img.mode == "F" else [int(value) for value in fill])


def pad(img, padding, fill, mode):
    """Return an image with a border of (left, top, right, bottom) pixels; negative ones take away."""
    left, top, right, bottom = padding
    width, height = img.size
    if mode == "constant":
        out = image_module().new(img.mode, (width + left + right, height + top + bottom), fill_for(img, fill))
        if img.mode == "P":
            out.putpalette(img.getpalette())
        out.paste(img, (left, top))
        return out
    img = img.crop((max(-left, 0), max(-top, 0), width - max(-right, 0), height - max(-bottom, 0)))
    sides = [(max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))]
    pixels = np.asarray(img)
    padded = np.pad(pixels, sides + [(0, 0)] * (pixels.ndim - 2), mode=mode)
    out = image_module().fromarray(padded)
    if img.mode == "P":
        out.putpalette(img.getpalette())
    return out


def resize(img, size, mode):
    """Return an image at another size (H, W)."""
    return img.resize((size[1], size[0]), pillow_filter(mode))


def affine(img, matrix, mode, fill):
    """Return the image whose pixel (x, y) is the old one at ``matrix`` (2, 3) times (x, y, 1)."""
    method = image_module().Transform.AFFINE
    return img.transform(img.size, method, matrix.ravel().tolist(), pillow_filter(mode), fillcolor=fill_for(img, fill))


def perspective(img, coefficients, mode, fill):
    """Return the image whose pixel (x, y) is the old one at (ax + by + c, dx + ey + f) / (gx + hy + 1)."""
    method, color = image_module().Transform.PERSPECTIVE, fill_for(img, fill)
    return img.transform(img.size, method, coefficients.tolist(), pillow_filter(mode), fillcolor=color)
