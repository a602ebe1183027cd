"""Transforms of images that are tensors (…, C, H, W): written in tensor operations, so gradients flow through them."""

from minigrad.backend import np
from minigrad.tensor import Tensor, wrap
from minigrad.vision.transforms.interpolation import InterpolationMode, nearest_indices, resize_weights, taps_matrix


def check_image(img):
    """TypeError unless the value is a tensor with at least the two dimensions of an image."""
    if not isinstance(img, Tensor) or img.ndim < 2:
        raise TypeError("Tensor is not a torch image.")


def like(values, img):
    """Return a NumPy array as a tensor on the image's device."""
    return wrap(values).to(img.device) if img.is_cuda else wrap(values)


def _as_float(img):
    """Return the image in floats, to compute with, and the dtype it had if that was another one."""
    if img.is_floating_point():
        return img, None
    return img.float(), img.dtype


def _back(img, dtype):
    """Return the result in the dtype the image had, rounded and within its range."""
    if dtype is None:
        return img
    if dtype.name == "bool":
        return img.round().to(dtype)
    limits = np.iinfo(dtype.numpy)
    return img.round().clamp(limits.min, limits.max).to(dtype)


def crop(img, top, left, height, width):
    """Return the rectangle of an image; what lies outside the image is 0."""
    h, w = img.shape[-2:]
    inside = img[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if top >= 0 and left >= 0 and top + height <= h and left + width <= w:
        return inside
    before_y = min(max(-top, 0), height)
    before_x = min(max(-left, 0), width)
    after_y = height - before_y - inside.shape[-2]
    after_x = width - before_x - inside.shape[-1]
    return pad(inside, (before_x, before_y, after_x, after_y), 0, "constant")


def _source_indices(length, before, after, mode):
    """Return for each position of a padded axis the position it copies."""
    positions = np.arange(-before, length + after)
    if mode == "edge":
        return np.clip(positions, 0, length - 1)
    if mode == "reflect":
        if max(before, after) >= length:
            raise RuntimeError(f"padding ({before}, {after}) should be less than the reflected image's size {length}")
        positions = np.abs(positions)
        return np.where(positions >= length, 2 * (length - 1) - positions, positions)
    if max(before, after) > length:
        raise ValueError(f"padding ({before}, {after}) must not exceed the image's size {length} to mirror it")
    positions = np.where(positions < 0, -1 - positions, positions)
    return np.where(positions >= length, 2 * length - 1 - positions, positions)


def pad(img, padding, fill, mode):
    """Return an image with a border of (left, top, right, bottom) pixels; negative ones take away."""
    left, top, right, bottom = padding
    if min(padding) < 0:
        h, w = img.shape[-2:]
        img = img[..., max(-top, 0) : h - max(-bottom, 0), max(-left, 0) : w - max(-right, 0)]
        left, top, right, bottom = (max(side, 0) for side in (left, top, right, bottom))
    h, w = img.shape[-2:]
    if mode != "constant":
        rows = _source_indices(h, top, bottom, mode)
        columns = _source_indices(w, left, right, mode)
        return img[..., like(rows[:, None], img), like(columns[None, :], img)]
    out = img.new_full((*img.shape[:-2], h + top + bottom, w + left + right), fill)
    out[..., top : top + h, left : left + w] = img
    return out


def resize(img, size, mode, antialias):
    """Return an image at another size (H, W)."""
    old_h, old_w = img.shape[-2:]
    new_h, new_w = size
    if not (isinstance(new_h, int) and isinstance(new_w, int)):
        raise TypeError(f"expected a size of ints, but got {size}")
    if min(old_h, old_w, new_h, new_w) < 1:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input (H: {old_h}, W: {old_w}) "
            f"output (H: {new_h}, W: {new_w})"
        )
    if (old_h, old_w) == (new_h, new_w):
        return img
    if mode in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        rows, columns = nearest_indices(old_h, new_h, mode), nearest_indices(old_w, new_w, mode)
        return img[..., like(rows[:, None], img), like(columns[None, :], img)]
    rows, columns = resize_weights(old_h, new_h, mode, antialias), resize_weights(old_w, new_w, mode, antialias)
    img, dtype = _as_float(img)
    kind = img.dtype.numpy
    narrow = img @ like(columns.T.astype(kind), img)  # (…, H, new_w)
    return _back(like(rows.astype(kind), img) @ narrow, dtype)


def weighted_neighbours(img, weights):
    """Return the weighted sums of every pixel's neighbourhood, (…, H - h + 1, W - w + 1) for h rows of w weights."""
    height, width = img.shape[-2] - len(weights) + 1, img.shape[-1] - len(weights[0]) + 1
    out = None
    for y, row in enumerate(weights):
        for x, weight in enumerate(row):
            part = img[..., y : y + height, x : x + width] * weight
            out = part if out is None else out + part
    return out


def _blur_weights(length, count, sigma):
    """Return the matrix (length, length) that blurs an axis mirrored at its ends with a Gaussian of count taps."""
    positions = np.arange(count) - (count - 1) / 2
    taps = np.exp(-0.5 * (positions / sigma) ** 2)
    sources = _source_indices(length, count // 2, count // 2, "reflect")
    columns = sources[np.arange(length)[:, None] + np.arange(count)]
    return taps_matrix(columns, np.broadcast_to(taps, columns.shape), length)


def gaussian_blur(img, counts, sigmas):
    """Return an image blurred with (taps along x, along y) and standard deviations in the same order."""
    height, width = img.shape[-2:]
    rows, columns = _blur_weights(height, counts[1], sigmas[1]), _blur_weights(width, counts[0], sigmas[0])
    img, dtype = _as_float(img)
    kind = img.dtype.numpy
    return _back(like(rows.astype(kind), img) @ (img @ like(columns.T.astype(kind), img)), dtype)


def _taken(img, y, x, fill):
    """Return the pixels at integer positions (NumPy arrays (H, W)); those outside the image are ``fill``."""
    h, w = img.shape[-2:]
    inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    pixels = img[..., like(np.clip(y, 0, h - 1), img), like(np.clip(x, 0, w - 1), img)]
    border = like((~inside).astype(img.dtype.numpy), img)
    return pixels * like(inside.astype(img.dtype.numpy), img) + border * fill


def check_sampling(mode):
    """ValueError for interpolations other than nearest and bilinear."""
    if mode not in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        raise ValueError(f"This interpolation mode is unsupported with Tensor input: {mode.value}")


def sample(img, y, x, mode, fill):
    """Return the image at positions y, x (NumPy arrays (H, W)), where pixel i covers i … i + 1.

    Raises ValueError for modes other than nearest and bilinear, RuntimeError for an image without channels.
    """
    if img.ndim < 3:
        raise RuntimeError(f"expected an image (…, C, H, W), but got one of the shape {tuple(img.shape)}")
    channels = img.shape[-3]
    colored = fill is not None
    values = fill if isinstance(fill, (list, tuple)) else [0 if fill is None else fill]
    if len(values) not in (1, channels):
        raise ValueError(f"The number of elements in 'fill' cannot broadcast to {channels} channels: {fill}")
    img, dtype = _as_float(img)
    fill = like(np.array(values, img.dtype.numpy).reshape(-1, 1, 1), img)
    if mode is InterpolationMode.NEAREST:
        nearest_y, nearest_x = (np.rint(place - 0.5).astype(np.int64) for place in (y, x))  # between two: the even one
        taken = _taken(img, nearest_y, nearest_x, fill)
        return _back(taken, dtype)
    check_sampling(mode)
    low_y, low_x = np.floor(y - 0.5), np.floor(x - 0.5)
    out = None
    black = like(np.zeros((1, 1, 1), img.dtype.numpy), img)
    covered = 0.0  # the share of a pixel that lies inside the image
    for step_y in (0, 1):
        for step_x in (0, 1):
            corner_y, corner_x = low_y + step_y, low_x + step_x
            weight = (1 - np.abs(y - 0.5 - corner_y)) * (1 - np.abs(x - 0.5 - corner_x))
            inside = (corner_y >= 0) & (corner_y < img.shape[-2]) & (corner_x >= 0) & (corner_x < img.shape[-1])
            covered = covered + weight * inside
            pixels = _taken(img, corner_y.astype(np.int64), corner_x.astype(np.int64), black)
            part = pixels * like(weight.astype(img.dtype.numpy), img)
            out = part if out is None else out + part
    if colored:  # torchvision's blend: what is there of a border pixel, black outside, counts by its share once more
        covered = like(covered.astype(img.dtype.numpy), img)
        out = out * covered + fill * (1.0 - covered)
    return _back(out, dtype)
