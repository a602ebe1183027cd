"""Transforms of samples, images together with what belongs to them, and those that only v2 has."""

import enum

from minigrad.backend import as_dtype, np
from minigrad.nn import Module
from minigrad.ops.where import where
from minigrad.tensor import Tensor, wrap
from minigrad.utils._pytree import tree_flatten, tree_unflatten
from minigrad.utils.data.worker import current_generator
from minigrad.vision.transforms.draws import chance, uniform, whole
from minigrad.vision.transforms.functional.images import by_kind
from minigrad.vision.transforms.interpolation import InterpolationMode, interpolation_mode
from minigrad.vision.transforms.pil_image import is_pil_image
from minigrad.vision.transforms.v2 import functional as F
from minigrad.vision.tv_tensors import BoundingBoxes, Image, KeyPoints, Mask, TVTensor, kernel_of, plain

__all__ = [
    "GaussianNoise", "Identity", "JPEG", "RGB", "RandomChannelPermutation",
    "RandomPhotometricDistort", "RandomZoomOut", "ScaleJitter", "ToDtype", "ToImage", "ToPureTensor",
    "Transform", "UniformTemporalSubsample", "check_type", "has_all", "has_any", "query_chw", "query_size",
]  # fmt: skip


def check_type(obj, types_or_checks):
    """Return whether a value is of one of some classes, or passes one of some functions."""
    return any(isinstance(obj, one) if isinstance(one, type) else one(obj) for one in types_or_checks)


def has_any(flat_inputs, *types_or_checks):
    """Return whether some value of a list is of one of some classes, or passes one of some functions."""
    return any(check_type(value, types_or_checks) for value in flat_inputs)


def has_all(flat_inputs, *types_or_checks):
    """Return whether each of some classes or functions fits some value of a list."""
    return all(has_any(flat_inputs, one) for one in types_or_checks)


def is_image(value):
    """Return whether a value is an image or a film: a plain tensor, Image, Video, PIL image or array."""
    return isinstance(value, (Image, np.ndarray)) or F.is_pure_tensor(value) or is_pil_image(value)


def query_chw(flat_inputs):
    """Return (channels, height, width) of the images of a list; TypeError without any, ValueError where they differ."""
    found = {tuple(F.get_dimensions(value)) for value in flat_inputs if is_image(value)}
    if not found:
        raise TypeError("No image or video was found in the sample")
    if len(found) > 1:
        raise ValueError(f"Found multiple CxHxW dimensions in the sample: {sorted(found)}")
    return found.pop()


def query_size(flat_inputs):
    """Return (height, width) of the images, masks, boxes and key points of a list; errors as :func:`query_chw`."""
    placed = (is_image, Mask, BoundingBoxes, KeyPoints)
    found = {tuple(F.get_size(value)) for value in flat_inputs if check_type(value, placed)}
    if not found:
        raise TypeError("No image, video, mask, bounding box or key point was found in the sample")
    if len(found) > 1:
        raise ValueError(f"Found multiple HxW dimensions in the sample: {sorted(found)}")
    return found.pop()


def needs_transform(flat_inputs, types=(Tensor, is_pil_image, np.ndarray)):
    """Return for each value whether it changes: images and what lies on them, without images the first plain tensor."""
    first = not has_any(flat_inputs, is_pil_image, _is_array, Image)
    needed = []
    for value in flat_inputs:
        image = check_type(value, types) and not (isinstance(value, np.ndarray) and value.ndim < 2)
        if image and F.is_pure_tensor(value):
            image, first = first, False
        needed.append(image)
    return needed


def _is_array(value):
    return isinstance(value, np.ndarray) and value.ndim >= 2


class Transform(Module):
    """Base of transforms of samples: nested lists, tuples and dicts in which images and what lies on them change.

    A subclass defines ``transform(inpt, params)``, and ``make_params(flat_inputs)`` for what is drawn once a sample.
    These are tensors of vision.tv_tensors, PIL images and arrays of two or more dimensions; without an image among
    them the first plain tensor.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Transform.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> class Double(v2.Transform):
    ...     def transform(self, inpt, params):
    ...         return 2 * inpt
    >>> Double()(mg.ones(1, 1, 2), {"label": mg.tensor(3)})
    (tensor([[[2., 2.]]]), {'label': tensor(3)})
    """

    _transformed_types = (Tensor, is_pil_image, np.ndarray)

    def check_inputs(self, flat_inputs):
        """Raise for a sample that can't be transformed; a subclass may."""

    def make_params(self, flat_inputs):
        """Return the dict of what is drawn for a sample."""
        return {}

    def transform(self, inpt, params):
        """Return one image of a sample changed."""
        raise NotImplementedError(f"{type(self).__name__} does not define transform")

    def _call_kernel(self, functional, inpt, *args, **kwargs):
        """Return what a function makes of a value; the value itself where the function does not take its class."""
        passed = isinstance(inpt, TVTensor) and kernel_of(type(inpt), functional) is None
        return inpt if passed else functional(inpt, *args, **kwargs)

    def _applies(self):
        return True

    def forward(self, *inputs):
        sample = inputs if len(inputs) > 1 else inputs[0]
        values, spec = tree_flatten(sample)
        self.check_inputs(values)
        if not self._applies():
            return sample
        needed = needs_transform(values, self._transformed_types)
        params = self.make_params([value for value, wanted in zip(values, needed, strict=True) if wanted])
        changed = [
            self.transform(value, params) if wanted else value for value, wanted in zip(values, needed, strict=True)
        ]
        return tree_unflatten(changed, spec)

    def extra_repr(self):
        """Return the attributes that are numbers, texts and sequences."""
        plain = (bool, int, float, str, tuple, list, enum.Enum)
        return ", ".join(
            f"{name}={value}"
            for name, value in self.__dict__.items()
            if not name.startswith("_") and name != "training" and isinstance(value, plain)
        )


def of_samples(base, types=(Tensor, is_pil_image, np.ndarray)):
    """Return the class of a transform of images, as one that takes samples too and draws once for all their images."""
    of_image = base.forward if issubclass(base, Module) else base.__call__

    def forward(self, *inputs):
        if len(inputs) == 1 and not isinstance(inputs[0], (list, tuple, dict, TVTensor)):
            return of_image(self, inputs[0])
        values, spec = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        needed = needs_transform(values, types)
        generator = current_generator()
        state = generator.state_bytes()
        changed = []
        for value, wanted in zip(values, needed, strict=True):
            if wanted:
                generator.set_state_bytes(state)  # the same draws for every image of a sample
                value = of_image(self, value)
            changed.append(value)
        return tree_unflatten(changed, spec)

    name = "forward" if issubclass(base, Module) else "__call__"
    body = {name: forward, "__doc__": base.__doc__, "__module__": __package__}
    return type(base.__name__, (base,), body)


class ToPureTensor(Transform):
    """The tensors of vision.tv_tensors as plain ones.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ToPureTensor.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.ToPureTensor()(mg.ones(1))
    tensor([1.])
    """

    _transformed_types = (TVTensor,)

    def transform(self, inpt, params):
        return plain(inpt)


class RGB(Transform):
    """An image in three channels; see functional.grayscale_to_rgb.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RGB.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.RGB()(mg.ones(1, 2, 2)).shape
    minigrad.Size([3, 2, 2])
    """

    _transformed_types = (is_image,)

    def transform(self, inpt, params):
        return F.grayscale_to_rgb(inpt)


class GaussianNoise(Transform):
    """A tensor with normal noise; see functional.gaussian_noise.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.GaussianNoise.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.GaussianNoise(mean=0.5, sigma=0.0)(mg.zeros(1, 1, 2))
    tensor([[[0.5000, 0.5000]]])
    """

    _transformed_types = (is_image,)

    def __init__(self, mean=0.0, sigma=0.1, clip=True):
        super().__init__()
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def transform(self, inpt, params):
        return F.gaussian_noise(inpt, self.mean, self.sigma, self.clip)


class JPEG(Transform):
    """An image, or a tensor of uint8, as it is after JPEG of a quality 1 … 100, or of a random one of (low, high).

    Raises TypeError and ValueError for other qualities.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.JPEG.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.JPEG((50, 90))(mg.zeros(3, 4, 5, dtype=mg.uint8)).shape
    minigrad.Size([3, 4, 5])
    """

    _transformed_types = (is_image,)

    def __init__(self, quality):
        super().__init__()
        if isinstance(quality, bool) or not isinstance(quality, (int, list, tuple)):
            raise TypeError(f"quality should be an int or a pair of them, but got {quality!r}")
        quality = [quality, quality] if isinstance(quality, int) else quality
        if len(quality) != 2 or not all(isinstance(one, int) for one in quality):
            raise ValueError(f"quality should be an int or a pair of them, but got {quality!r}")
        if not 1 <= quality[0] <= quality[1] <= 100:
            raise ValueError(f"quality must be an integer from 1 to 100, got {quality!r}")
        self.quality = quality

    def make_params(self, flat_inputs):
        return {"quality": whole(*self.quality)}

    def transform(self, inpt, params):
        return F.jpeg(inpt, params["quality"])


class RandomChannelPermutation(Transform):
    """An image with its channels in a random order.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomChannelPermutation.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.RandomChannelPermutation()(mg.arange(3).reshape(3, 1, 1)).sum()
    tensor(3)
    """

    _transformed_types = (is_image,)

    def make_params(self, flat_inputs):
        return {"permutation": wrap(current_generator().numpy.permutation(query_chw(flat_inputs)[0]))}

    def transform(self, inpt, params):
        return F.permute_channels(inpt, params["permutation"].tolist())


class RandomPhotometricDistort(Transform):
    """Brightness, contrast, saturation, hue and order of channels, each changed with probability ``p`` (SSD, 2016).

    Args: bounds of the four factors. Source:
    https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomPhotometricDistort.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.RandomPhotometricDistort(p=0.0)(mg.ones(3, 1, 1)).flatten()
    tensor([1., 1., 1.])
    """

    _transformed_types = (is_image,)

    def __init__(self, brightness=(0.875, 1.125), contrast=(0.5, 1.5), saturation=(0.5, 1.5), hue=(-0.05, 0.05), p=0.5):
        super().__init__()
        self.brightness = brightness
        self.contrast = contrast
        self.hue = hue
        self.saturation = saturation
        self.p = p

    def make_params(self, flat_inputs):
        names = ("brightness", "contrast", "saturation", "hue")
        params = {f"{name}_factor": uniform(*getattr(self, name)) if chance(self.p) else None for name in names}
        params["contrast_before"] = chance(0.5)
        channels = query_chw(flat_inputs)[0]
        order = wrap(current_generator().numpy.permutation(channels)) if chance(self.p) else None
        return params | {"channel_permutation": order}

    def transform(self, inpt, params):
        middle = ["saturation", "hue"]
        for name in ["brightness", *(["contrast", *middle] if params["contrast_before"] else [*middle, "contrast"])]:
            if params[f"{name}_factor"] is not None:
                inpt = getattr(F, f"adjust_{name}")(inpt, params[f"{name}_factor"])
        order = params["channel_permutation"]
        return inpt if order is None else F.permute_channels(inpt, order.tolist())


class ScaleJitter(Transform):
    """An image resized to fit ``target_size``, times a random factor of ``scale_range``.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ScaleJitter.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.ScaleJitter((8, 8), scale_range=(0.5, 0.5))(mg.ones(1, 4, 2)).shape
    minigrad.Size([1, 4, 2])
    """

    def __init__(self, target_size, scale_range=(0.1, 2.0), interpolation=InterpolationMode.BILINEAR, antialias=True):
        super().__init__()
        self.target_size = target_size
        self.scale_range = scale_range
        self.interpolation = interpolation_mode(interpolation)
        self.antialias = antialias

    def make_params(self, flat_inputs):
        height, width = query_size(flat_inputs)
        factor = min(self.target_size[1] / height, self.target_size[0] / width) * uniform(*self.scale_range)
        return {"size": (int(height * factor), int(width * factor))}

    def transform(self, inpt, params):
        return self._call_kernel(F.resize, inpt, params["size"], self.interpolation, antialias=self.antialias)


@by_kind
def _padded_in_color(img, padding, fill):
    """Return a tensor with a border of one number per channel."""
    inside = F.pad(img.new_ones(img.shape[-2:]), padding) != 0
    return where(inside, F.pad(img, padding), img.new_tensor(fill).reshape(-1, 1, 1))


class RandomZoomOut(Transform):
    """An image on a larger canvas of colour ``fill``, at a random place, with probability ``p`` (SSD, 2016).

    ``side_range``: how many times as large the canvas is. ValueError for a wrong range or p.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomZoomOut.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.RandomZoomOut(side_range=(2.0, 2.0), p=1.0)(mg.ones(1, 2, 3)).shape
    minigrad.Size([1, 4, 6])
    """

    def __init__(self, fill=0, side_range=(1.0, 4.0), p=0.5):
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        if len(side_range) != 2 or not 1.0 <= side_range[0] <= side_range[1]:
            raise ValueError(f"Invalid side range provided {side_range}.")
        self.p = p
        self.fill = fill
        self.side_range = side_range

    def _applies(self):
        return chance(self.p)

    def make_params(self, flat_inputs):
        height, width = query_size(flat_inputs)
        factor = uniform(*self.side_range)
        more_x, more_y = int(width * factor) - width, int(height * factor) - height
        left, top = int(more_x * uniform(0, 1)), int(more_y * uniform(0, 1))
        return {"padding": [left, top, more_x - left, more_y - top]}

    def transform(self, inpt, params):
        fill = self.fill
        if isinstance(fill, dict):
            known = type(inpt) in fill or "others" not in fill  # a defaultdict answers for every class
            fill = fill[type(inpt) if known else "others"]
        if not isinstance(fill, (list, tuple)) or len(fill) == 1 or not is_image(inpt) or not isinstance(inpt, Tensor):
            return self._call_kernel(F.pad, inpt, params["padding"], fill=fill)
        return _padded_in_color(inpt, params["padding"], fill)


class UniformTemporalSubsample(Transform):
    """``num_samples`` frames of a film (…, T, C, H, W), evenly spaced.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.UniformTemporalSubsample.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.UniformTemporalSubsample(3)(mg.arange(5).reshape(5, 1, 1, 1)).flatten()
    tensor([0, 2, 4])
    """

    _transformed_types = (Tensor,)

    def __init__(self, num_samples):
        super().__init__()
        self.num_samples = num_samples

    def transform(self, inpt, params):
        return self._call_kernel(F.uniform_temporal_subsample, inpt, self.num_samples)


class Identity(Transform):
    """The image as it is.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.Identity.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> v2.Identity()(mg.ones(1))
    tensor([1.])
    """

    def forward(self, *inputs):
        return inputs if len(inputs) > 1 else inputs[0]


class ToImage(Transform):
    """A PIL image, or an array (H, W) or (H, W, C), as a tv_tensors.Image (C, H, W) of its pixels.

    Raises TypeError for anything else.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ToImage.html

    >>> import numpy as np
    >>> from minigrad.vision.transforms import v2
    >>> v2.ToImage()(np.array([[0, 51, 255]], np.uint8))
    Image([[[  0,  51, 255]]], dtype=minigrad.uint8, )
    """

    _transformed_types = (F.is_pure_tensor, is_pil_image, np.ndarray)

    def forward(self, *inputs):
        if len(inputs) == 1 and not isinstance(inputs[0], (list, tuple, dict, TVTensor)):
            return F.to_image(inputs[0])
        return super().forward(*inputs)

    def transform(self, inpt, params):
        return F.to_image(inpt)


class ToDtype(Transform):
    """A tensor or array in another dtype; with ``scale`` floats are 0 … 1 and integers 0 … their largest number.

    ``dtype``: of images, or a dict: class -> dtype, None for as it is, "others" for the classes not named.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ToDtype.html

    >>> import minigrad as mg
    >>> from minigrad.vision.transforms import v2
    >>> image = mg.tensor([[[0, 51, 255]]], dtype=mg.uint8)
    >>> v2.ToDtype(mg.float32, scale=True)(image), v2.ToDtype(mg.float32)(image)
    (tensor([[[0.0000, 0.2000, 1.0000]]]), tensor([[[  0.,  51., 255.]]]))
    """

    def __init__(self, dtype, scale=False):
        super().__init__()
        if not isinstance(dtype, dict):
            dtype = as_dtype(dtype)
        self.dtype = dtype
        self.scale = scale

    _transformed_types = (Tensor, np.ndarray)

    def transform(self, inpt, params):
        if not isinstance(self.dtype, dict):
            return F.to_dtype(inpt, self.dtype, self.scale) if is_image(inpt) else inpt
        kind = next((key for key in (type(inpt), Tensor, "others") if self._names(key, inpt)), None)
        if kind is None:
            raise ValueError(
                f'No dtype was specified for type {type(inpt)}; the key "others" is for the classes not named'
            )
        dtype = self.dtype[kind]
        return inpt if dtype is None else F.to_dtype(inpt, dtype, self.scale)

    def _names(self, kind, inpt):
        return kind in self.dtype and (kind is not Tensor or F.is_pure_tensor(inpt))  # a tracked one is a plain one too

    def __repr__(self):
        return f"{type(self).__name__}(scale={self.scale})"
