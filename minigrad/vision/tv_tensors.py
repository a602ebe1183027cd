"""Tensors that say what they are: images, films, masks, boxes and key points, for the transforms of v2.

Operations on them give ordinary tensors, unless :func:`set_return_type` says otherwise; clone, to, detach,
requires_grad_ and pin_memory keep the class. Source: https://docs.pytorch.org/vision/stable/tv_tensors.html
"""

import enum
import importlib
import inspect

from minigrad.backend import np
from minigrad.ops.from_data import as_tensor, tensor
from minigrad.ops.join import cat, stack
from minigrad.tensor import Tensor
from minigrad.variable import Variable
from minigrad.vision.transforms.functional.conversions import pil_to_tensor
from minigrad.vision.transforms.functional.geometry import _compute_resized_output_size, _crop_size, _four_sides
from minigrad.vision.transforms.functional.warps import _expanded, _inverse_affine, _perspective_coefficients
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode
from minigrad.vision.transforms.pil_image import is_pil_image

__all__ = [
    "BoundingBoxFormat", "BoundingBoxes", "Image", "KeyPoints", "Mask", "TVTensor", "Video",
    "is_rotated_bounding_format", "set_return_type", "wrap",
]  # fmt: skip

_KEEPING = ("clone", "to", "detach", "requires_grad_", "pin_memory")
_RETURN = {"subclass": False}


class _Restoring:
    """Undoes set_return_type at the end of a ``with`` block."""

    def __init__(self, before):
        self._before = before

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        _RETURN["subclass"] = self._before


def set_return_type(return_type):
    """Say whether operations on these tensors give "Tensor" (the default) or "TVTensor"; ends with a ``with`` block.

    ValueError for another word.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.tv_tensors.set_return_type.html

    >>> import minigrad as mg
    >>> from minigrad.vision import tv_tensors
    >>> image = tv_tensors.Image(mg.ones(1, 2, 2))
    >>> with tv_tensors.set_return_type("TVTensor"):
    ...     type(image + 2).__name__, type(image.clone()).__name__
    ('Image', 'Image')
    >>> type(image + 2).__name__
    'Tensor'
    """
    if str(return_type).lower() not in ("tensor", "tvtensor"):
        raise ValueError(f"return_type must be 'TVTensor' or 'Tensor', got {return_type}")
    before = _RETURN["subclass"]
    _RETURN["subclass"] = return_type.lower() == "tvtensor"
    if _RETURN["subclass"]:
        importlib.import_module("minigrad.overrides").install()
    return _Restoring(before)


def plain(value):
    """Return one of these tensors as an ordinary one on the same memory."""
    return value.as_subclass(Tensor)


def wrap(wrappee, *, like, **kwargs):
    """Return a tensor as one of the class of ``like``, with its format, canvas size and so on or those given.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.tv_tensors.wrap.html

    >>> import minigrad as mg
    >>> from minigrad.vision import tv_tensors
    >>> boxes = tv_tensors.BoundingBoxes([[0, 0, 2, 3]], format="XYXY", canvas_size=(4, 5))
    >>> tv_tensors.wrap(boxes * 2, like=boxes, canvas_size=(8, 10)).canvas_size
    (8, 10)
    """
    return type(like).wrap(wrappee, like, **kwargs) if isinstance(like, TVTensor) else wrappee.as_subclass(type(like))


class TVTensor(Variable):
    """Base of the classes here. Arguments: data (what as_tensor takes), dtype, device, requires_grad.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.tv_tensors.TVTensor.html

    >>> from minigrad.vision import tv_tensors
    >>> tv_tensors.TVTensor([1, 2])
    TVTensor([1, 2])
    """

    _kernels = {}  # a function's name -> what it does with such a tensor
    _described = ()  # what else there is to such a tensor: attributes

    def __new__(cls, data, *, dtype=None, device=None, requires_grad=None):
        if is_pil_image(data):
            data = pil_to_tensor(data)
        made = as_tensor(data, dtype=dtype, device=device)
        made = plain(made) if isinstance(made, TVTensor) else made
        wanted = data.requires_grad if requires_grad is None and isinstance(data, Tensor) else requires_grad
        if bool(wanted) != made.requires_grad:
            made = made.detach().requires_grad_(bool(wanted))
        return cls._of(made)

    def __init__(self, data, **kwargs):
        """Nothing is left to do after __new__."""

    @classmethod
    def _of(cls, made, **attributes):
        result = made.as_subclass(cls)
        result.__dict__.update(attributes)
        return result

    @classmethod
    def wrap(cls, tensor, like, **kwargs):
        """Return a tensor as one of this class, described as ``like`` is except for the keywords."""
        return cls._of(tensor, **{name: kwargs.get(name, getattr(like, name)) for name in like._described})

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls._kernels = {}
        if "__torch_function__" in cls.__dict__:
            importlib.import_module("minigrad.overrides").install()

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if not all(issubclass(cls, kind) for kind in types):
            return NotImplemented
        overrides = importlib.import_module("minigrad.overrides")
        with overrides._Disabled():
            result = func(*args, **(kwargs or {}))
            keeping = getattr(func, "__name__", "") in _KEEPING and isinstance(args[0], cls)
            if not (_RETURN["subclass"] or keeping):
                return plain(result) if isinstance(result, TVTensor) else result
            described = (value for value in (*args, *(kwargs or {}).values()) for value in _flat(value))
            like = next(value for value in described if isinstance(value, cls))
            return _wrapped(result, like)

    def __repr__(self):
        name = type(self).__name__
        text = Tensor.__repr__(self).replace("\n" + " " * 7, "\n" + " " * (len(name) + 1))
        described = ", ".join(f"{key}={getattr(self, key)}" for key in self._described)
        ending = f", {described})" if described or isinstance(self, (Image, Video)) else ")"
        return name + text[len("tensor") : -1] + ending

    def _transformed(self, function, *arguments, **keywords):
        """Return what a function of transforms.v2.functional makes of this tensor; TypeError for those it has not."""
        kernel = kernel_of(type(self), function)
        if kernel is None:
            raise TypeError(f"functional.{function.__name__} takes no {type(self).__name__}")
        return kernel(self, *arguments, **keywords)


def _flat(value):
    return value if isinstance(value, (list, tuple)) else (value,)


def _wrapped(result, like):
    """Return the tensors of a result as ones like another; one without the fitting shape too."""
    if isinstance(result, (list, tuple)):
        return type(result)(_wrapped(part, like) for part in result)
    if not isinstance(result, Tensor) or isinstance(result, type(like)):
        return result
    return type(like)._of(result, **{name: getattr(like, name) for name in like._described})


def _keeping(name):
    inherited = getattr(Variable, name)

    def method(self, *args, **kwargs):
        overrides = importlib.import_module("minigrad.overrides")
        with overrides._Disabled():
            return _wrapped(inherited(self, *args, **kwargs), self)

    method.__name__, method.__doc__ = name, f"As Tensor.{name}; the class stays."
    return method


for _name in _KEEPING:
    setattr(TVTensor, _name, _keeping(_name))


def kernel_of(kind, function):
    """Return what a function does with a class of tensors here; None where it takes none of them."""
    for base in kind.__mro__:
        found = base.__dict__.get("_kernels", {}).get(function.__name__)
        if found is not None:
            return found
        if base is not TVTensor and base.__dict__.get("_every"):
            return lambda value, *args, **kwargs: _wrapped(function(plain(value), *args, **kwargs), value)
        if base is Mask and function.__name__ in _ON_MASKS:
            return lambda value, *args, **kwargs: _of_mask(function, value, args, kwargs)
    return None


class Image(TVTensor):
    """An image (…, C, H, W), or (H, W), from a tensor, an array or a PIL image. ValueError for fewer dimensions.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.tv_tensors.Image.html

    >>> from minigrad.vision import tv_tensors
    >>> tv_tensors.Image([[1, 2]])
    Image([[[1, 2]]], )
    """

    _every = True
    _least = 2

    def __new__(cls, data, *, dtype=None, device=None, requires_grad=None):
        made = super().__new__(cls, data, dtype=dtype, device=device, requires_grad=requires_grad)
        if made.ndim < cls._least:
            raise ValueError(f"Tensor must be {cls._least}D or higher, got {made.ndim}D tensor.")
        return cls._of(plain(made).unsqueeze(0)) if made.ndim == 2 else made


class Video(Image):
    """A film (…, T, C, H, W). ValueError for fewer dimensions.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.tv_tensors.Video.html

    >>> import minigrad as mg
    >>> from minigrad.vision import tv_tensors
    >>> tv_tensors.Video(mg.zeros(5, 3, 2, 2)).shape
    minigrad.Size([5, 3, 2, 2])
    """

    _every = True
    _least = 4


class Mask(TVTensor):
    """Masks (…, H, W), numbers of classes or one mask for each object, from a tensor, an array or a PIL image.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.tv_tensors.Mask.html

    >>> from minigrad.vision import tv_tensors
    >>> tv_tensors.Mask([[0, 1]])
    Mask([[0, 1]])
    """


_ON_MASKS = (
    "affine center_crop crop elastic_transform hflip pad perspective resize resized_crop rotate "
    "uniform_temporal_subsample vflip"
).split()


def _of_mask(function, mask, arguments, keywords):
    """Return what a function of images makes of a mask: the nearest pixel, never one between two classes."""
    call = inspect.signature(function).bind(None, *arguments, **keywords)
    if "interpolation" in inspect.signature(function).parameters:
        asked = interpolation_mode(call.arguments.get("interpolation", InterpolationMode.NEAREST))
        exact = asked is InterpolationMode.NEAREST_EXACT
        call.arguments["interpolation"] = asked if exact else InterpolationMode.NEAREST
    image = plain(mask)
    call.arguments[next(iter(call.arguments))] = image.unsqueeze(0) if mask.ndim == 2 else image
    result = function(*call.args, **call.kwargs)
    return wrap(result.squeeze(0) if mask.ndim == 2 else result, like=mask)


class BoundingBoxFormat(enum.Enum):
    """What a box's numbers are: corners, a corner and lengths, the middle and lengths; with R or 8 of them: rotated.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.tv_tensors.BoundingBoxFormat.html

    >>> from minigrad.vision import tv_tensors
    >>> tv_tensors.BoundingBoxFormat("XYWH").name
    'XYWH'
    """

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"
    XYWHR = "XYWHR"
    CXCYWHR = "CXCYWHR"
    XYXYXYXY = "XYXYXYXY"


_F = BoundingBoxFormat


def format_of(value):
    """Return a format, or that of a name in letters of any case; KeyError for another."""
    return BoundingBoxFormat[value.upper()] if isinstance(value, str) else value


def is_rotated_bounding_format(format):
    """Return whether a format, or the name of one, is of rotated boxes; ValueError for other objects.

    >>> from minigrad.vision import tv_tensors
    >>> tv_tensors.is_rotated_bounding_format("XYWHR")
    True
    """
    if not isinstance(format, (str, BoundingBoxFormat)):
        raise ValueError(f"format should be str or BoundingBoxFormat, got {type(format)}")
    return getattr(format, "value", format) in ("XYWHR", "CXCYWHR", "XYXYXYXY")


def _straight(format):
    if is_rotated_bounding_format(format):
        raise NotImplementedError(f"boxes of format {format.value} are rotated: only XYXY, XYWH and CXCYWH are there")


def convert(boxes, old, new):
    """Return the numbers of boxes (…, 4) in another format; integers are rounded as torchvision rounds them."""
    if old is new:
        return boxes
    if is_rotated_bounding_format(old) != is_rotated_bounding_format(new):
        raise ValueError("Cannot convert between rotated and unrotated bounding boxes.")
    _straight(old)
    whole = not boxes.is_floating_point()
    if whole and old is _F.CXCYWH:
        a, b, c, d = boxes.float().unbind(-1)
        x, y = a - c / 2, b - d / 2
        corners = stack([x, y, x + c, y + d], -1).to(boxes.dtype)
        return convert(corners, _F.XYXY, new)
    half = "floor" if whole else None
    a, b, c, d = boxes.unbind(-1)
    if old is _F.XYXY:
        c, d = c - a, d - b
        if new is _F.CXCYWH:
            a, b = (a * 2 + c).div(2, rounding_mode=half), (b * 2 + d).div(2, rounding_mode=half)
        return stack([a, b, c, d], -1)
    if old is _F.CXCYWH:
        a, b = a - c / 2, b - d / 2
    if new is _F.CXCYWH:
        a, b = a + c.div(2, rounding_mode=half), b + d.div(2, rounding_mode=half)
    return stack([a, b, a + c, b + d] if new is _F.XYXY else [a, b, c, d], -1)


def clamp(boxes, format, canvas_size, mode):
    """Return boxes cut at the edges of a canvas (H, W), all of them as they are for the mode None."""
    if mode is None:
        return boxes.clone()
    _straight(format)
    a, b, c, d = convert(boxes if boxes.is_floating_point() else boxes.float(), format, _F.XYXY).unbind(-1)
    height, width = canvas_size
    inside = stack([a.clamp(0, width), b.clamp(0, height), c.clamp(0, width), d.clamp(0, height)], -1)
    return convert(inside, _F.XYXY, format).to(boxes.dtype)


def clamp_points(points, canvas_size):
    """Return points (…, 2) moved onto the pixels of a canvas (H, W)."""
    x, y = (points if points.is_floating_point() else points.float()).unbind(-1)
    return stack([x.clamp(0, canvas_size[1] - 1), y.clamp(0, canvas_size[0] - 1)], -1).to(points.dtype)


class _Placed(TVTensor):
    """Base of what has coordinates on a canvas (H, W)."""

    def _shifted(self, x, y, canvas_size):
        offset = tensor(self._along(x, y, 0), dtype=self.dtype, device=self.device)
        return self._cut(plain(self) + offset, canvas_size)

    def _resize(self, size, interpolation=None, max_size=None, antialias=None):
        height, width = self.canvas_size
        size = [size] if isinstance(size, int) else size
        new = tuple(_compute_resized_output_size((height, width), size, max_size))
        ratios = tensor(self._along(new[1] / width, new[0] / height, None), device=self.device)
        return wrap((plain(self) * ratios).to(self.dtype), like=self, canvas_size=new)

    def _crop(self, top, left, height, width):
        return self._shifted(-left, -top, (height, width))

    def _center_crop(self, output_size):
        height, width = _crop_size(output_size)
        top, left = (round((old - new) / 2) for old, new in zip(self.canvas_size, (height, width), strict=True))
        return self._crop(top, left, height, width)

    def _resized_crop(self, top, left, height, width, size, interpolation=None, antialias=None):
        return self._crop(top, left, height, width)._resize(size)

    def _pad(self, padding, fill=0, padding_mode="constant"):
        if padding_mode != "constant":
            raise ValueError(f"Padding mode '{padding_mode}' is not supported with {type(self).__name__}")
        left, top, right, bottom = _four_sides(padding)
        height, width = self.canvas_size
        return self._shifted(left, top, (height + top + bottom, width + left + right))

    def _affine(self, angle, translate, scale, shear, interpolation=None, fill=None, center=None, expand=False):
        height, width = self.canvas_size
        shear = [shear, 0.0] if isinstance(shear, (int, float)) else list(shear) * (3 - len(shear))
        center = (width * 0.5, height * 0.5) if center is None else center
        matrix = np.linalg.inv(np.vstack([_inverse_affine(center, angle, translate, scale, shear), [[0, 0, 1]]]))
        canvas_size = self.canvas_size
        if expand:
            corners = np.array([[0, 0, width, width], [0, height, 0, height], [1, 1, 1, 1]])
            shift = np.eye(3)
            shift[:2, 2] = -(matrix @ corners)[:2].min(1)
            matrix = shift @ matrix
            canvas_size = _expanded(canvas_size, _inverse_affine((0, 0), angle, translate, scale, shear))
        return self._warped(matrix, canvas_size)

    def _rotate(self, angle, interpolation=None, expand=False, center=None, fill=None):
        return self._affine(-angle, [0, 0], 1.0, [0, 0], center=center, expand=expand)

    def _perspective(self, startpoints, endpoints, interpolation=None, fill=None):
        there = np.append(_perspective_coefficients(startpoints, endpoints), 1.0).reshape(3, 3)
        return self._warped(np.linalg.inv(there), self.canvas_size)

    def _at(self, points, matrix):
        """Return points (…, 2) mapped by a matrix (3, 3)."""
        rows = tensor(matrix, dtype=points.dtype, device=points.device)
        moved = points @ rows[:, :2].T + rows[:, 2]
        return moved[..., :2] / moved[..., 2:]


class BoundingBoxes(_Placed):
    """Boxes (N, 4) of a format, on a canvas (H, W) as large as the image.

    Args: ``data``; ``format`` (BoundingBoxFormat, or its name); ``canvas_size``; ``clamping_mode``: None where
    transforms are not to cut boxes at the edges, otherwise "soft" or "hard" (alike for boxes that are not rotated).
    ValueError for more dimensions and other modes; transforms raise NotImplementedError for rotated ones.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.tv_tensors.BoundingBoxes.html

    >>> from minigrad.vision import tv_tensors
    >>> tv_tensors.BoundingBoxes([0, 0, 2, 3], format="xywh", canvas_size=(4, 5))
    BoundingBoxes([[0, 0, 2, 3]], format=BoundingBoxFormat.XYWH, canvas_size=(4, 5), clamping_mode=soft)
    """

    _described = ("format", "canvas_size", "clamping_mode")

    def __new__(cls, data, *, format, canvas_size, clamping_mode="soft", dtype=None, device=None, requires_grad=None):
        made = plain(TVTensor(data, dtype=dtype, device=device, requires_grad=requires_grad))
        if is_rotated_bounding_format(format) and not made.is_floating_point():
            raise ValueError(f"Rotated bounding boxes should be floating point tensors, got {made.dtype}.")
        if made.ndim not in (1, 2):
            raise ValueError(f"Expected a 1D or 2D tensor, got {made.ndim}D")
        if clamping_mode not in (None, "soft", "hard"):
            raise ValueError(f"clamping_mode must be None, hard or soft, got {clamping_mode}.")
        made = made.unsqueeze(0) if made.ndim == 1 else made
        return cls._of(made, format=format_of(format), canvas_size=canvas_size, clamping_mode=clamping_mode)

    def _along(self, x, y, lengths):
        """Return numbers for the four columns: x and y where they are places, others where they are lengths."""
        _straight(self.format)
        return [x, y, x, y] if self.format is _F.XYXY or lengths is None else [x, y, lengths, lengths]

    def _cut(self, boxes, canvas_size):
        boxes = clamp(boxes, self.format, canvas_size, self.clamping_mode)
        return wrap(boxes, like=self, canvas_size=tuple(canvas_size))

    def _flipped(self, axis):
        _straight(self.format)
        columns = list(plain(self).unbind(-1))
        length, place, other = self.canvas_size[1 - axis], columns[axis], columns[axis + 2]
        if self.format is _F.XYXY:
            columns[axis], columns[axis + 2] = length - other, length - place
        else:
            columns[axis] = length - (place + other if self.format is _F.XYWH else place)
        return wrap(stack(columns, -1), like=self)

    def _warped(self, matrix, canvas_size):
        _straight(self.format)
        boxes = plain(self) if self.is_floating_point() else plain(self).float()
        boxes = convert(boxes, self.format, _F.XYXY)
        corners = self._at(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2), matrix)
        boxes = clamp(cat([corners.amin(1), corners.amax(1)], 1), _F.XYXY, canvas_size, self.clamping_mode)
        boxes = convert(boxes, _F.XYXY, self.format).to(self.dtype)
        return wrap(boxes, like=self, canvas_size=tuple(canvas_size))


class KeyPoints(_Placed):
    """Points (x, y), a tensor (…, 2), on a canvas (H, W) as large as the image. ValueError for another last dimension.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.tv_tensors.KeyPoints.html

    >>> from minigrad.vision import tv_tensors
    >>> tv_tensors.KeyPoints([1, 2], canvas_size=(4, 5))
    KeyPoints([[1, 2]], canvas_size=(4, 5))
    """

    _described = ("canvas_size",)

    def __new__(cls, data, *, canvas_size, dtype=None, device=None, requires_grad=None):
        made = plain(TVTensor(data, dtype=dtype, device=device, requires_grad=requires_grad))
        if made.ndim == 0 or made.shape[-1] != 2:
            raise ValueError(f"Expected a tensor of shape (..., 2), not {tuple(made.shape)}")
        return cls._of(made.unsqueeze(0) if made.ndim == 1 else made, canvas_size=canvas_size)

    def _along(self, x, y, lengths):
        return [x, y]

    def _cut(self, points, canvas_size):
        return wrap(points, like=self, canvas_size=tuple(canvas_size))

    def _flipped(self, axis):
        columns = list(plain(self).unbind(-1))
        columns[axis] = self.canvas_size[1 - axis] - 1 - columns[axis]
        return wrap(stack(columns, -1), like=self)

    def _warped(self, matrix, canvas_size):
        points = plain(self) if self.is_floating_point() else plain(self).float()
        return wrap(self._at(points, matrix).to(self.dtype), like=self, canvas_size=tuple(canvas_size))


_Placed._kernels |= {
    name: getattr(_Placed, "_" + name)
    for name in ("affine", "center_crop", "crop", "pad", "perspective", "resize", "resized_crop", "rotate")
}
_Placed._kernels |= {"hflip": lambda self: self._flipped(0), "vflip": lambda self: self._flipped(1)}
