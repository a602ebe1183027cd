"""Datasets whose targets say what they are, for the transforms of v2."""

import copy

from minigrad.ops.from_data import tensor
from minigrad.vision.datasets.arrays import STL10, SVHN
from minigrad.vision.datasets.cifar import CIFAR10
from minigrad.vision.datasets.coco import CocoCaptions, CocoDetection
from minigrad.vision.datasets.folder import DatasetFolder
from minigrad.vision.datasets.mnist import MNIST
from minigrad.vision.datasets.photographs import VOCDetection, VOCSegmentation
from minigrad.vision.datasets.vision import StandardTransform

_VOC = (
    "__background__ aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()


def _keys(asked, available, default):
    keys = set(default.split() if asked is None else available.split() if asked == "all" else asked)
    if not keys <= set(available.split()):
        raise ValueError(f"Target keys {sorted(keys - set(available.split()))} are not available")
    return keys


def _as_it_is(dataset, index, image, target, keys):
    return image, target


def _coco(dataset, index, image, target, asked):
    from minigrad.vision import tv_tensors
    from minigrad.vision.transforms.v2.functional import convert_bounding_box_format

    native = "segmentation area iscrowd image_id bbox category_id"
    keys = _keys(asked, f"{native} boxes masks labels", "image_id boxes labels")
    if "masks" in keys:
        raise NotImplementedError("masks: polygons are not drawn here; ask for 'segmentation' and draw them yourself")
    number = dataset.ids[index]
    if not target:
        return image, {"image_id": number}
    found = {key: [entry[key] for entry in target] for key in native.split() if key in keys}
    if "image_id" in keys:
        found["image_id"] = number
    if "boxes" in keys:
        canvas_size = (image.height, image.width)
        boxes = tv_tensors.BoundingBoxes([entry["bbox"] for entry in target], format="XYWH", canvas_size=canvas_size)
        found["boxes"] = convert_bounding_box_format(boxes, new_format="XYXY")
    if "labels" in keys:
        found["labels"] = tensor([entry["category_id"] for entry in target])
    return image, found


def _voc(dataset, index, image, target, asked):
    from minigrad.vision.tv_tensors import BoundingBoxes

    keys = _keys(asked, "annotation boxes labels", "boxes labels")
    objects = target["annotation"]["object"]
    found = dict(target) if "annotation" in keys else {}
    if "boxes" in keys:
        sides = ("xmin", "ymin", "xmax", "ymax")
        corners = [[int(entry["bndbox"][side]) for side in sides] for entry in objects]
        corners = corners or tensor([]).reshape(0, 4)
        found["boxes"] = BoundingBoxes(corners, format="XYXY", canvas_size=(image.height, image.width))
    if "labels" in keys:
        found["labels"] = tensor([_VOC.index(entry["name"]) for entry in objects])
    return image, found


def _mask(dataset, index, image, target, keys):
    from minigrad.vision.tv_tensors import Mask

    return image, Mask(target)


_WRAPPERS = {
    CocoCaptions: _as_it_is, CocoDetection: _coco, VOCDetection: _voc, VOCSegmentation: _mask,
    **dict.fromkeys((CIFAR10, DatasetFolder, MNIST, STL10, SVHN), _as_it_is),
}  # fmt: skip


class _Wrapped:
    """First base of the class of a wrapped dataset, next to the dataset's own."""

    def __getitem__(self, index):
        sample = self._wrapper(self._raw, index, *self._raw[index], self._target_keys)
        return sample if self.transforms is None else self.transforms(*sample)

    def __reduce__(self):
        return wrap_dataset_for_transforms_v2, (self._original, self._target_keys)


def wrap_dataset_for_transforms_v2(dataset, target_keys=None):
    """Return a dataset with its boxes and masks as tensors of vision.tv_tensors, before its transforms.

    CocoDetection gives a dict of ``image_id``, ``boxes`` and ``labels``, VOCDetection one of ``boxes`` and ``labels``,
    VOCSegmentation a Mask; those of classes stay. ``target_keys``: others of the dict, or "all". TypeError for other
    datasets, ValueError for other keys, NotImplementedError for COCO's masks, which are polygons.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.wrap_dataset_for_transforms_v2.html

    >>> from minigrad.vision import datasets
    >>> datasets.wrap_dataset_for_transforms_v2([1, 2])
    Traceback (most recent call last):
    TypeError: No wrapper exists for dataset class list. Please wrap the output yourself.
    """
    kind = type(dataset)
    wrapper = next((found for base, found in _WRAPPERS.items() if isinstance(dataset, base)), None)
    if wrapper is None:
        raise TypeError(f"No wrapper exists for dataset class {kind.__name__}. Please wrap the output yourself.")
    if target_keys is not None and target_keys != "all" and isinstance(target_keys, str):
        raise ValueError(f"`target_keys` can be None, 'all', or a collection of strings, but got {target_keys!r}")
    raw = copy.copy(dataset)
    raw.transform = raw.target_transform = None
    raw.transforms = StandardTransform() if dataset.transforms is not None else None
    wrapped = object.__new__(type(f"Wrapped{kind.__name__}", (_Wrapped, kind), {}))
    wrapped.__dict__.update(dataset.__dict__)
    wrapped._original, wrapped._raw, wrapped._wrapper, wrapped._target_keys = dataset, raw, wrapper, target_keys
    return wrapped
