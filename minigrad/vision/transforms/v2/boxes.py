"""Transforms of boxes and key points: formats, clamping, crops by their overlap, removal of those that are no more."""

from collections.abc import Mapping

from minigrad.ops.from_data import tensor
from minigrad.tensor import Tensor
from minigrad.utils._pytree import tree_flatten, tree_unflatten
from minigrad.vision.ops import box_iou
from minigrad.vision.transforms.draws import uniform, whole
from minigrad.vision.transforms.v2 import functional as F
from minigrad.vision.transforms.v2.transform import Transform, has_any, is_image, query_size
from minigrad.vision.tv_tensors import BoundingBoxes, BoundingBoxFormat, KeyPoints, Mask, convert, plain, wrap

__all__ = [
    "ClampBoundingBoxes", "ClampKeyPoints", "ConvertBoundingBoxFormat", "RandomIoUCrop", "SanitizeBoundingBoxes",
    "SanitizeKeyPoints", "SetClampingMode", "get_bounding_boxes", "get_keypoints",
]  # fmt: skip


def _first_of(flat_inputs, kind, name):
    found = next((value for value in flat_inputs if isinstance(value, kind)), None)
    if found is None:
        raise ValueError(f"No {name} were found in the sample")
    return found


def get_bounding_boxes(flat_inputs):
    """Return the first BoundingBoxes of a list; ValueError without any."""
    return _first_of(flat_inputs, BoundingBoxes, "bounding boxes")


def get_keypoints(flat_inputs):
    """Return the first KeyPoints of a list; ValueError without any."""
    return _first_of(flat_inputs, KeyPoints, "keypoints")


class ConvertBoundingBoxFormat(Transform):
    """Boxes in another format, a BoundingBoxFormat or its name.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ConvertBoundingBoxFormat.html

    >>> from minigrad.vision import tv_tensors
    >>> from minigrad.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([[1, 1, 3, 4]], format="XYXY", canvas_size=(4, 5))
    >>> v2.ConvertBoundingBoxFormat("XYWH")(boxes).tolist()
    [[1, 1, 2, 3]]
    """

    _transformed_types = (BoundingBoxes,)

    def __init__(self, format):
        super().__init__()
        self.format = format

    def transform(self, inpt, params):
        return F.convert_bounding_box_format(inpt, new_format=self.format)


class ClampBoundingBoxes(Transform):
    """Boxes cut at the edges of their canvas; ``clamping_mode`` "auto" means their own.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ClampBoundingBoxes.html

    >>> from minigrad.vision import tv_tensors
    >>> from minigrad.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([[-1, 1, 9, 3]], format="XYXY", canvas_size=(4, 5))
    >>> v2.ClampBoundingBoxes()(boxes).tolist()
    [[0, 1, 5, 3]]
    """

    _transformed_types = (BoundingBoxes,)

    def __init__(self, clamping_mode="auto"):
        super().__init__()
        self.clamping_mode = clamping_mode

    def transform(self, inpt, params):
        return F.clamp_bounding_boxes(inpt, clamping_mode=self.clamping_mode)


class ClampKeyPoints(Transform):
    """Key points moved onto the pixels of their canvas.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ClampKeyPoints.html

    >>> from minigrad.vision import tv_tensors
    >>> from minigrad.vision.transforms import v2
    >>> v2.ClampKeyPoints()(tv_tensors.KeyPoints([[-1, 9]], canvas_size=(4, 5))).tolist()
    [[0, 3]]
    """

    _transformed_types = (KeyPoints,)

    def transform(self, inpt, params):
        return F.clamp_keypoints(inpt)


class SetClampingMode(Transform):
    """Boxes with another ``clamping_mode``: None, "soft" or "hard". ValueError for others.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.SetClampingMode.html

    >>> from minigrad.vision import tv_tensors
    >>> from minigrad.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([[1, 1, 3, 4]], format="XYXY", canvas_size=(4, 5))
    >>> v2.CenterCrop(2)(v2.SetClampingMode(None)(boxes)).tolist()
    [[-1, 0, 1, 3]]
    """

    _transformed_types = (BoundingBoxes,)

    def __init__(self, clamping_mode):
        super().__init__()
        if clamping_mode not in (None, "soft", "hard"):
            raise ValueError(f"clamping_mode must be soft, hard or None, got {clamping_mode}")
        self.clamping_mode = clamping_mode

    def transform(self, inpt, params):
        return wrap(inpt.clone(), like=inpt, clamping_mode=self.clamping_mode)


class RandomIoUCrop(Transform):
    """A random rectangle that overlaps some box by a random one of ``sampler_options`` at least (SSD, 2016).

    Args: bounds of its share of height and width and of width / height; ``sampler_options``: intersections over
    union, 1 or more for no crop (default 0, 0.1, 0.3 … 0.9, 1); ``trials`` with each. Boxes whose middle is outside
    become 0: SanitizeBoundingBoxes removes them. TypeError for samples without image and boxes.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandomIoUCrop.html

    >>> import minigrad as mg
    >>> from minigrad.vision import tv_tensors
    >>> from minigrad.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([[1, 1, 3, 4]], format="XYXY", canvas_size=(4, 5))
    >>> v2.RandomIoUCrop(sampler_options=[1.0])(mg.ones(3, 4, 5), boxes)[1].tolist()
    [[1, 1, 3, 4]]
    """

    def __init__(
        self,
        min_scale=0.3,
        max_scale=1.0,
        min_aspect_ratio=0.5,
        max_aspect_ratio=2.0,
        sampler_options=None,
        trials=40,
    ):
        super().__init__()
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.min_aspect_ratio = min_aspect_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.options = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0] if sampler_options is None else sampler_options
        self.trials = trials

    def check_inputs(self, flat_inputs):
        if not (has_any(flat_inputs, BoundingBoxes) and has_any(flat_inputs, is_image)):
            raise TypeError(
                f"{type(self).__name__}() requires input sample to contain tensor or PIL images and bounding boxes. "
                "Sample can also contain masks."
            )

    def make_params(self, flat_inputs):
        height, width = query_size(flat_inputs)
        boxes = get_bounding_boxes(flat_inputs)
        corners = convert(plain(boxes), boxes.format, BoundingBoxFormat.XYXY)
        middles = (corners[:, :2] + corners[:, 2:]) * 0.5
        while True:
            least = self.options[whole(0, len(self.options) - 1)]
            if least >= 1.0:
                return {}
            for _ in range(self.trials):
                new_width = int(width * uniform(self.min_scale, self.max_scale))
                new_height = int(height * uniform(self.min_scale, self.max_scale))
                left, top = int((width - new_width) * uniform(0, 1)), int((height - new_height) * uniform(0, 1))
                if not (new_width and new_height):
                    continue
                if not self.min_aspect_ratio <= new_width / new_height <= self.max_aspect_ratio:
                    continue
                rectangle = tensor([[left, top, left + new_width, top + new_height]], device=corners.device)
                inside = ((middles > rectangle[:, :2]) & (middles < rectangle[:, 2:])).all(1)
                if inside.any() and box_iou(corners[inside], rectangle.to(corners.dtype)).max() >= least:
                    return {"place": (top, left, new_height, new_width), "inside": inside}

    def transform(self, inpt, params):
        if not params:
            return inpt
        result = self._call_kernel(F.crop, inpt, *params["place"])
        if isinstance(result, BoundingBoxes):
            result[~params["inside"]] = 0
        return result


def _labels(sample):
    """Return the labels of a sample: its second part if that is a tensor, or what a dict calls labels, or so."""
    if isinstance(sample, (tuple, list)):
        sample = sample[1]
    if F.is_pure_tensor(sample):
        return sample
    if not isinstance(sample, Mapping):
        raise ValueError(
            "When using the default labels_getter, the input passed to forward must be a dictionary or a two-tuple "
            f"whose second item is a dictionary or a tensor, but got {sample} instead."
        )
    keys = [key for key in sample if key.lower() == "labels"] + [key for key in sample if "label" in key.lower()]
    if not keys:
        raise ValueError(
            "Could not infer where the labels are in the sample. Try passing a callable as the labels_getter "
            "parameter? If there are no labels in the sample by design, pass labels_getter=None."
        )
    return sample[keys[0]]


class _Sanitize(Transform):
    """Base of transforms that remove coordinates and what belongs to them."""

    def _set_getter(self, labels_getter):
        if labels_getter not in ("default", None) and not callable(labels_getter):
            raise ValueError(f"labels_getter should either be 'default', a callable, or None, but got {labels_getter}.")
        self.labels_getter = labels_getter

    def forward(self, *inputs):
        sample = inputs if len(inputs) > 1 else inputs[0]
        labels = ()
        if self.labels_getter is not None:
            labels = (_labels if self.labels_getter == "default" else self.labels_getter)(sample)
            labels = () if labels is None else labels if isinstance(labels, (tuple, list)) else (labels,)
        values, spec = tree_flatten(sample)
        found, valid = self._valid(values)
        for one in labels:
            if not isinstance(one, Tensor):
                raise ValueError(
                    f"The labels in the input to forward() must be a tensor or None, got {type(one)} instead."
                )
            if one.shape[0] != found.shape[0]:
                raise ValueError(
                    f"Number of {self._name} (shape={tuple(found.shape)}) must match the number of labels. "
                    f"Found labels with shape={tuple(one.shape)}."
                )
        return tree_unflatten([self._kept(value, valid, labels) for value in values], spec)

    def _kept(self, value, valid, labels):
        if any(value is one for one in labels):
            return value[valid]
        fitting = isinstance(value, self._kinds) and (not isinstance(value, Mask) or value.shape[0] == len(valid))
        return wrap(plain(value)[valid], like=value) if fitting else value


class SanitizeBoundingBoxes(_Sanitize):
    """A sample without the boxes that are too small or leave the canvas, and without their labels and masks.

    Args: ``min_size``: of height and width; ``min_area``; ``labels_getter``: "default" (what a dict calls labels), a
    function of the sample that returns a tensor or several, or None. ValueError for a size or area below 1, and where
    there are no boxes, or not as many labels.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.SanitizeBoundingBoxes.html

    >>> import minigrad as mg
    >>> from minigrad.vision import tv_tensors
    >>> from minigrad.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([[1, 1, 3, 4], [2, 2, 2, 4]], format="XYXY", canvas_size=(4, 5))
    >>> v2.SanitizeBoundingBoxes()({"boxes": boxes, "labels": mg.tensor([7, 8])})["labels"]
    tensor([7])
    """

    _kinds, _name = (BoundingBoxes, Mask), "boxes"

    def __init__(self, min_size=1.0, min_area=1.0, labels_getter="default"):
        super().__init__()
        for name, value in (("min_size", min_size), ("min_area", min_area)):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}.")
        self.min_size = min_size
        self.min_area = min_area
        self._set_getter(labels_getter)

    def _valid(self, values):
        boxes = get_bounding_boxes(values)
        return boxes, F.sanitize_bounding_boxes(boxes, min_size=self.min_size, min_area=self.min_area)[1]


class SanitizeKeyPoints(_Sanitize):
    """A sample without the key points, or groups of them, that leave the canvas, and without their labels.

    Argument: labels_getter as SanitizeBoundingBoxes.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.SanitizeKeyPoints.html

    >>> from minigrad.vision import tv_tensors
    >>> from minigrad.vision.transforms import v2
    >>> v2.SanitizeKeyPoints()(tv_tensors.KeyPoints([[1, 2], [5, 3]], canvas_size=(4, 5))).tolist()
    [[1, 2]]
    """

    _kinds, _name = (KeyPoints,), "key points"

    def __init__(self, labels_getter=None):
        super().__init__()
        self._set_getter(labels_getter)

    def _valid(self, values):
        points = get_keypoints(values)
        return points, F.sanitize_keypoints(points)[1]
