"""Images turned, sheared, shifted, seen from the side."""

import math
import numbers

from minigrad.backend import np
from minigrad.tensor import Tensor
from minigrad.vision.transforms import pil_image, tensor_image
from minigrad.vision.transforms.functional.conversions import pil_to_tensor, to_pil_image
from minigrad.vision.transforms.functional.images import check_image, get_dimensions, takes_arrays
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode


def _inverse_affine(center, angle, translate, scale, shear):
    """Return the matrix (2, 3) from new to old positions of a rotation, shear, scaling about center, and a shift.

    Angles are in degrees, clockwise.
    """
    rotation, shear_x, shear_y = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    across, along = math.cos(rotation - shear_y) / math.cos(shear_y), math.sin(rotation - shear_y) / math.cos(shear_y)
    # the inverse of a matrix of determinant scale², written out: no rounding but these sums' own
    rows = [
        [math.cos(rotation) - along * math.tan(shear_x), math.sin(rotation) + across * math.tan(shear_x)],
        [-along, across],
    ]
    (x, y), (shift_x, shift_y) = center, translate
    found = []
    for middle, (first, second) in zip(center, rows, strict=True):
        first, second = first / scale, second / scale
        found.append([first, second, first * (-x - shift_x) + second * (-y - shift_y) + middle])
    return np.array(found)


def _places(img, size, rows, begin):
    """Return the weighted sums x row[0] + y row[1] + row[2] for the positions of a size (H, W).

    The first pixel is at ``begin`` (y, x). Everything is rounded where PyTorch rounds, so that pixels that fall exactly
    between two others come from the same one as there.
    """
    kind = _precision(img)
    y, x = ((np.arange(length) + start).astype(kind) for length, start in zip(size, begin, strict=True))
    return [x[None, :] * row[0] + y[:, None] * row[1] + row[2] for row in rows.astype(kind)]


def _pixels_at(across, along, size):
    """Return positions (y, x) in pixels for those of -1 … 1 between an image's edges, as PyTorch's grid_sample does."""
    pairs = zip((along, across), size, strict=True)
    half = across.dtype.type(0.5)
    return tuple(((place + 2 * half) * (length * half) - half).astype(float) + 0.5 for place, length in pairs)


def _precision(img):
    return np.float64 if img.dtype.name == "float64" else np.float32


def _affine_tensor(img, matrix, size, mode, fill):
    """Return the tensor whose pixel at (x, y) from its middle is the old one at ``matrix`` times (x, y, 1) from its."""
    kind = _precision(img)
    halves = np.array([[img.shape[-1] / 2], [img.shape[-2] / 2]], kind)
    begin = [(1 - length) / 2 for length in size]
    across, along = _places(img, size, matrix.astype(kind) / halves, begin)
    return tensor_image.sample(img, *_pixels_at(across, along, img.shape[-2:]), mode, fill)


def _check_center(center):
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if center is not None and len(center) != 2:
        raise ValueError(f"center should be a sequence of length 2, but got {center}")


def _center_of(img, center):
    """Return the point (x, y) to turn about: of a PIL image from its corner, of a tensor from its middle."""
    _, height, width = get_dimensions(img)
    x, y = (width * 0.5, height * 0.5) if center is None else center
    return (x - width * 0.5, y - height * 0.5) if isinstance(img, Tensor) else (x, y)


@takes_arrays
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
    if isinstance(shear, numbers.Number):
        shear = [shear, 0.0]
    if len(shear) not in (1, 2):
        raise ValueError(f"Shear should be a sequence containing two values. Got {shear}")
    shear = list(shear) * (3 - len(shear))  # one value in a sequence is for x and y
    _check_center(center)
    matrix = _inverse_affine(_center_of(img, center), angle, translate, scale, shear)
    if isinstance(img, Tensor):
        return _affine_tensor(img, matrix, img.shape[-2:], mode, fill)
    return pil_image.affine(img, matrix, mode, fill)


@takes_arrays
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
    _check_center(center)
    check_image(img)
    if not isinstance(img, Tensor):
        color = pil_image.fill_for(img, fill)
        return img.rotate(angle, pil_image.pillow_filter(mode), expand, center, fillcolor=color)
    size = img.shape[-2:]
    tensor_image.check_sampling(mode)
    if center is None and angle % 90 == 0 and (angle % 180 == 0 or expand or size[0] == size[1]):
        return _quarter_turns(img, int(angle % 360) // 90)
    matrix = _inverse_affine(_center_of(img, center), -angle, [0, 0], 1.0, [0, 0])
    if expand:
        size = _expanded(size, matrix)
    return _affine_tensor(img, matrix, size, mode, fill)


def _quarter_turns(img, count):
    """Return a tensor turned by 90 degrees, counter-clockwise, count times: exactly, as Pillow does it."""
    if count % 2:
        img = img.transpose(-2, -1).flip(-2)
    return img.flip((-2, -1)) if count >= 2 else img


def _expanded(size, matrix):
    """Return the size that holds all of an image mapped by an inverse matrix."""
    half_height, half_width = size[0] / 2, size[1] / 2
    corners = np.array([[-half_width, -half_width, half_width, half_width], [-half_height, half_height] * 2])
    bounds = np.linalg.inv(matrix[:, :2]) @ (corners - matrix[:, 2:])
    halves = np.array([[half_width], [half_height]])
    new_width, new_height = (
        math.ceil(round(row.max(), 4)) - math.floor(round(row.min(), 4)) for row in bounds + halves
    )
    return new_height, new_width


def _perspective_coefficients(startpoints, endpoints):
    """Return the 8 numbers a … h with old x = (ax + by + c) / (gx + hy + 1), old y = (dx + ey + f) / (gx + hy + 1)."""
    equations, targets = [], []
    for (old_x, old_y), (x, y) in zip(startpoints, endpoints, strict=True):
        equations.append([x, y, 1, 0, 0, 0, -old_x * x, -old_x * y])
        equations.append([0, 0, 0, x, y, 1, -old_y * x, -old_y * y])
        targets += [old_x, old_y]
    solution = np.linalg.lstsq(np.array(equations, float), np.array(targets, float), rcond=None)[0]
    return solution.astype(np.float32).astype(float)  # as PyTorch hands them on: pixels on an edge fall the same way


@takes_arrays
def perspective(img, startpoints, endpoints, interpolation=InterpolationMode.BILINEAR, fill=None):
    """Return an image warped so that its four ``startpoints`` come to lie at the ``endpoints``.

    Args: the points are (x, y): top left, top right, bottom right, bottom left; ``fill``: colour of what lies
    outside. Raises TypeError for a wrong interpolation, ValueError for other numbers of points.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.perspective.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> old, new = [[0, 0], [2, 0], [2, 1], [0, 1]], [[1, 0], [3, 0], [3, 1], [1, 1]]
    >>> functional.perspective(mg.tensor([[[1.0, 2.0, 3.0]]]), old, new).round()
    tensor([[[0., 1., 2.]]])
    """
    mode = interpolation_mode(interpolation)
    check_image(img)
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(f"expected 4 startpoints and 4 endpoints, but got {len(startpoints)} and {len(endpoints)}")
    coefficients = _perspective_coefficients(startpoints, endpoints)
    if not isinstance(img, Tensor):
        return pil_image.perspective(img, coefficients, mode, fill)
    kind = _precision(img)
    size = img.shape[-2:]
    halves = np.array([[size[1] / 2], [size[0] / 2], [1]], kind)
    rows = np.append(coefficients, 1.0).reshape(3, 3).astype(kind) / halves
    across, along, below = _places(img, size, rows, (0.5, 0.5))
    return tensor_image.sample(img, *_pixels_at(across / below - kind(1), along / below - kind(1), size), mode, fill)


@takes_arrays
def elastic_transform(img, displacement, interpolation=InterpolationMode.BILINEAR, fill=None):
    """Return an image whose every pixel is taken from another place, moved by a field.

    Args: ``displacement``: tensor (1, H, W, 2) of (x, y), 2 being the whole width or height; ``fill``: colour of what
    lies outside. Raises TypeError for a field that is no tensor, ValueError for one of another shape.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.elastic_transform.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import functional
    >>> one_pixel = mg.tensor([2 / 3, 0.0]).expand(1, 1, 3, 2)
    >>> functional.elastic_transform(mg.tensor([[[1.0, 2.0, 3.0]]]), one_pixel).round()
    tensor([[[2., 3., 0.]]])
    """
    mode = interpolation_mode(interpolation)
    if not isinstance(displacement, Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    _, height, width = get_dimensions(img)
    wanted = (1, height, width, 2)
    if displacement.shape != wanted:
        raise ValueError(f"Argument displacement shape should be {wanted}, but given {tuple(displacement.shape)}")
    planes = img if isinstance(img, Tensor) else pil_to_tensor(img)
    moved_x, moved_y = displacement.detach().cpu().numpy()[0].astype(float).transpose(2, 0, 1)
    y, x = np.mgrid[:height, :width] + 0.5
    moved = tensor_image.sample(planes, y + moved_y * height / 2, x + moved_x * width / 2, mode, fill)
    return moved if planes is img else to_pil_image(moved, mode=img.mode)
