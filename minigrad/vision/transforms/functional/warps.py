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
    linear = scale * np.array(
        [
            [across, -across * math.tan(shear_x) - math.sin(rotation)],
            [along, -along * math.tan(shear_x) + math.cos(rotation)],
        ]
    )
    inverse = np.linalg.inv(linear)
    middle = np.array(center, float)
    return np.column_stack([inverse, middle - inverse @ (middle + np.array(translate, float))])


def _affine_tensor(img, matrix, size, mode, fill):
    """Return the tensor whose pixel centred at (x, y) is the old one at ``matrix`` times (x, y, 1)."""
    height, width = size
    y, x = np.mgrid[:height, :width] + 0.5
    old_x, old_y = (row[0] * x + row[1] * y + row[2] for row in matrix)
    return tensor_image.sample(img, old_y, old_x, mode, fill)


def _check_center(center):
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if center is not None and len(center) != 2:
        raise ValueError(f"center should be a sequence of length 2, but got {center}")


def _center_of(img, center):
    _, height, width = get_dimensions(img)
    return [width * 0.5, height * 0.5] if center is None else center


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
    if center is None and angle % 90 == 0 and (angle % 180 == 0 or expand or size[0] == size[1]):
        return _quarter_turns(img, int(angle % 360) // 90)
    matrix = _inverse_affine(_center_of(img, center), -angle, [0, 0], 1.0, [0, 0])
    if expand:
        size, matrix = _expanded(size, matrix)
    return _affine_tensor(img, matrix, size, mode, fill)


def _quarter_turns(img, count):
    """Return a tensor turned by 90 degrees, counter-clockwise, count times: exactly, as Pillow does it."""
    if count % 2:
        img = img.transpose(-2, -1).flip(-2)
    return img.flip((-2, -1)) if count >= 2 else img


def _expanded(size, matrix):
    """Return the size that holds all of an image mapped by an inverse matrix, and the matrix for that size."""
    height, width = size
    corners = np.array([[0, 0, width, width], [0, height, 0, height]]) - matrix[:, 2:]
    bounds = np.linalg.inv(matrix[:, :2]) @ corners
    new_width, new_height = (math.ceil(round(row.max(), 4)) - math.floor(round(row.min(), 4)) for row in bounds)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ ((width - new_width) / 2, (height - new_height) / 2)  # the middle stays the middle
    return (new_height, new_width), moved


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
    y, x = np.mgrid[: img.shape[-2], : img.shape[-1]] + 0.5
    across, along, below = (row[0] * x + row[1] * y + row[2] for row in np.append(coefficients, 1.0).reshape(3, 3))
    return tensor_image.sample(img, along / below, across / below, mode, fill)


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
