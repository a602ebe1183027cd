"""Boxes: areas, overlaps, conversions, non-maximum suppression and losses.

A box is (x1, y1, x2, y2) with 0 ≤ x1 < x2 and 0 ≤ y1 < y2; tensors of boxes are (…, 4).
Source: https://docs.pytorch.org/vision/stable/ops.html
"""

import math

from minigrad.autograd.grad_mode import no_grad
from minigrad.backend import DTYPES, to_numpy
from minigrad.kernels.regions import suppressed
from minigrad.ops.creation import zeros
from minigrad.ops.from_data import as_tensor
from minigrad.ops.join import stack

__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "complete_box_iou",
    "complete_box_iou_loss",
    "distance_box_iou",
    "distance_box_iou_loss",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "masks_to_boxes",
    "nms",
    "remove_small_boxes",
]

FORMATS = ("xyxy", "xywh", "cxcywh")
ROTATED = ("xywhr", "cxcywhr", "xyxyxyxy")


def _wide(boxes):
    """Boxes in a type in which areas do not overflow: at least float32 or int32."""
    if boxes.is_floating_point():
        return boxes if boxes.dtype.itemsize >= 4 else boxes.to(DTYPES["float32"])
    return boxes if boxes.dtype.itemsize >= 4 else boxes.to(DTYPES["int32"])


def _check_format(fmt, function):
    if fmt in ROTATED:
        raise NotImplementedError(f"{function}: rotated boxes ({fmt!r}) are not supported, only {', '.join(FORMATS)}")
    if fmt not in FORMATS:
        raise ValueError(f"Unsupported Bounding Box Conversions for given format {fmt}: {function} has {FORMATS}")


# ---------------------------------------------------------------- conversions and areas
def box_convert(boxes, in_fmt, out_fmt):
    """Return boxes in another format: "xyxy", "xywh" (corner and size) or "cxcywh" (centre and size).

    ValueError for an unknown format, NotImplementedError for the rotated ones.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.box_convert.html

    >>> import minigrad as mg
    >>> box_convert(mg.tensor([[1.0, 2.0, 5.0, 4.0]]), "xyxy", "cxcywh")
    tensor([[3., 3., 4., 2.]])
    """
    for fmt in (in_fmt, out_fmt):
        _check_format(fmt, "box_convert")
    if in_fmt == out_fmt:
        return boxes.clone()
    a, b, c, d = boxes.unbind(-1)
    if in_fmt == "xywh":
        a, b, c, d = a, b, a + c, b + d
    elif in_fmt == "cxcywh":
        a, b, c, d = a - 0.5 * c, b - 0.5 * d, a + 0.5 * c, b + 0.5 * d
    if out_fmt == "xywh":
        a, b, c, d = a, b, c - a, d - b
    elif out_fmt == "cxcywh":
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    return stack((a, b, c, d), -1)


def box_area(boxes, fmt="xyxy"):
    """Return the areas (…) of boxes (…, 4).

    ValueError for an unknown format.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.box_area.html

    >>> import minigrad as mg
    >>> box_area(mg.tensor([[1.0, 2.0, 5.0, 4.0]]))
    tensor([8.])
    """
    _check_format(fmt, "box_area")
    a, b, c, d = _wide(boxes).unbind(-1)
    return (c - a) * (d - b) if fmt == "xyxy" else c * d


def clip_boxes_to_image(boxes, size):
    """Return boxes moved into an image of size (height, width).

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.clip_boxes_to_image.html

    >>> import minigrad as mg
    >>> clip_boxes_to_image(mg.tensor([[-1.0, 2.0, 5.0, 9.0]]), (8, 4))
    tensor([[0., 2., 4., 8.]])
    """
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    across = [x.clamp(min=0, max=width) for x in (x1, x2)]
    down = [y.clamp(min=0, max=height) for y in (y1, y2)]
    return stack((across[0], down[0], across[1], down[1]), -1)


def remove_small_boxes(boxes, min_size):
    """Return the indices of the boxes (n, 4) both of whose sides are at least min_size.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.remove_small_boxes.html

    >>> import minigrad as mg
    >>> remove_small_boxes(mg.tensor([[0.0, 0.0, 5.0, 1.0], [0.0, 0.0, 3.0, 3.0]]), 2)
    tensor([1])
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    return ((x2 - x1 >= min_size) & (y2 - y1 >= min_size)).nonzero()[..., 0]


def masks_to_boxes(masks):
    """Return the boxes (n, 4) around what is not 0 in masks (n, H, W); zeros for empty masks.

    The last pixels are x2 and y2: a mask of one pixel has a box without area.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.masks_to_boxes.html

    >>> import minigrad as mg
    >>> masks_to_boxes(mg.tensor([[[0, 0, 0], [0, 1, 1]]]))
    tensor([[1., 1., 2., 1.]])
    """
    if masks.numel() == 0:
        return zeros((0, 4), device=masks.device)
    masks = masks != 0
    corners = []
    for along in (1, 2):  # which columns are used, then which rows
        used = masks.any(along).to(DTYPES["int64"])
        corners.append((used.argmax(1), used.shape[1] - 1 - used.flip(1).argmax(1)))
    (x1, x2), (y1, y2) = corners
    boxes = stack((x1, y1, x2, y2), 1) * masks.flatten(1).any(1).unsqueeze(1)
    return boxes.to(DTYPES["float32"])


# ---------------------------------------------------------------- overlaps
def _pairs(boxes1, boxes2):
    """Boxes (…, n, 4) and (…, m, 4) so that they broadcast to (…, n, m, 4)."""
    return boxes1.unsqueeze(-2), boxes2.unsqueeze(-3)


def _shared_and_union(boxes1, boxes2):
    """The areas that boxes share and cover together, of boxes that broadcast."""
    low = boxes1[..., :2].maximum(boxes2[..., :2])
    high = boxes1[..., 2:].minimum(boxes2[..., 2:])
    wide, tall = _wide(high - low).clamp(min=0).unbind(-1)
    shared = wide * tall
    return shared, box_area(boxes1) + box_area(boxes2) - shared


def _around(boxes1, boxes2):
    """Width and height of the smallest boxes around both."""
    low = boxes1[..., :2].minimum(boxes2[..., :2])
    high = boxes1[..., 2:].maximum(boxes2[..., 2:])
    return _wide(high - low).clamp(min=0).unbind(-1)


def _apart(boxes1, boxes2, eps):
    """The squared distance of the centres over the squared diagonal of the box around both."""
    wide, tall = _around(boxes1, boxes2)
    between = (boxes1[..., :2] + boxes1[..., 2:]) / 2 - (boxes2[..., :2] + boxes2[..., 2:]) / 2
    across, down = _wide(between).unbind(-1)
    return (across**2 + down**2) / (wide**2 + tall**2 + eps)


def _proportions(boxes1, boxes2, iou, eps):
    """α·v of Zheng et al.: how much the proportions of boxes differ, weighted by the overlap; α is a constant."""
    angles = []
    for boxes in (boxes1, boxes2):
        wide, tall = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
        angles.append((wide / tall).atan())
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    with no_grad():
        alpha = v / (1 - iou + v + eps)
    return alpha * v


def box_iou(boxes1, boxes2, fmt="xyxy"):
    """Return the overlaps (…, n, m) of boxes (…, n, 4) and (…, m, 4): shared area over area of both together.

    ValueError for an unknown format, NotImplementedError for the rotated ones.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.box_iou.html

    >>> import minigrad as mg
    >>> box_iou(mg.tensor([[0.0, 0.0, 2.0, 2.0]]), mg.tensor([[0.0, 0.0, 2.0, 1.0], [1.0, 1.0, 3.0, 3.0]]))
    tensor([[0.5000, 0.1429]])
    """
    _check_format(fmt, "box_iou")
    if fmt != "xyxy":
        boxes1, boxes2 = box_convert(boxes1, fmt, "xyxy"), box_convert(boxes2, fmt, "xyxy")
    shared, union = _shared_and_union(*_pairs(boxes1, boxes2))
    return shared / union


def generalized_box_iou(boxes1, boxes2):
    """Return box_iou minus the part of the box around both that neither covers: -1 … 1, (…, n, m).

    Source: Rezatofighi et al. 2019, https://arxiv.org/abs/1902.09630;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.generalized_box_iou.html

    >>> import minigrad as mg
    >>> generalized_box_iou(mg.tensor([[0.0, 0.0, 1.0, 1.0]]), mg.tensor([[1.0, 1.0, 2.0, 2.0]]))
    tensor([[-0.5000]])
    """
    boxes1, boxes2 = _pairs(boxes1, boxes2)
    shared, union = _shared_and_union(boxes1, boxes2)
    wide, tall = _around(boxes1, boxes2)
    return shared / union - (wide * tall - union) / (wide * tall)


def distance_box_iou(boxes1, boxes2, eps=1e-7):
    """Return box_iou minus the squared distance of the centres over that of the corners around both, (…, n, m).

    Source: Zheng et al. 2019, https://arxiv.org/abs/1911.08287;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.distance_box_iou.html

    >>> import minigrad as mg
    >>> distance_box_iou(mg.tensor([[0.0, 0.0, 1.0, 1.0]]), mg.tensor([[1.0, 1.0, 2.0, 2.0]]))
    tensor([[-0.2500]])
    """
    boxes1, boxes2 = _pairs(_wide(boxes1), _wide(boxes2))
    shared, union = _shared_and_union(boxes1, boxes2)
    return shared / union - _apart(boxes1, boxes2, eps)


def complete_box_iou(boxes1, boxes2, eps=1e-7):
    """Return distance_box_iou minus a term for boxes of other proportions, (…, n, m).

    Source: Zheng et al. 2019, https://arxiv.org/abs/1911.08287;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.complete_box_iou.html

    >>> import minigrad as mg
    >>> complete_box_iou(mg.tensor([[0.0, 0.0, 1.0, 1.0]]), mg.tensor([[1.0, 1.0, 2.0, 2.0]]))
    tensor([[-0.2500]])
    """
    boxes1, boxes2 = _pairs(_wide(boxes1), _wide(boxes2))
    shared, union = _shared_and_union(boxes1, boxes2)
    iou = shared / union
    return iou - _apart(boxes1, boxes2, eps) - _proportions(boxes1, boxes2, iou, eps)


# ---------------------------------------------------------------- suppression
def nms(boxes, scores, iou_threshold):
    """Return the indices of the boxes that overlap no better one by more than iou_threshold, best first.

    Arguments: boxes (n, 4), scores (n,). RuntimeError for other shapes.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.nms.html

    >>> import minigrad as mg
    >>> boxes = mg.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
    >>> nms(boxes, mg.tensor([0.5, 0.9, 0.1]), 0.5)
    tensor([1, 2])
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise RuntimeError(f"nms: boxes should be a 2d tensor of 4 columns, got {tuple(boxes.shape)}")
    if scores.ndim != 1 or scores.shape[0] != boxes.shape[0]:
        raise RuntimeError(
            f"nms: boxes and scores should have same number of elements in dimension 0, got {boxes.shape[0]} and "
            f"{tuple(scores.shape)}"
        )
    # one box after the other is looked at: on the CPU, whatever the device
    kept = suppressed(to_numpy(_wide(boxes).detach().array), to_numpy(scores.detach().array), iou_threshold)
    return as_tensor(kept, dtype=DTYPES["int64"], device=boxes.device)


def batched_nms(boxes, scores, idxs, iou_threshold):
    """Return nms among the boxes of each category by itself, best first; idxs (n,) are the categories.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.batched_nms.html

    >>> import minigrad as mg
    >>> boxes = mg.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [0.0, 0.0, 2.0, 2.0]])
    >>> batched_nms(boxes, mg.tensor([0.5, 0.9, 0.1]), mg.tensor([0, 1, 1]), 0.5)
    tensor([1, 0])
    """
    if boxes.numel() == 0:
        return zeros((0,), dtype=DTYPES["int64"], device=boxes.device)
    # the boxes of each category are moved where no other's are
    apart = boxes + (idxs.to(boxes.dtype) * (boxes.max() + 1)).unsqueeze(1)
    return nms(apart, scores, iou_threshold)


# ---------------------------------------------------------------- losses
def reduced(loss, reduction):
    """The loss itself, its mean or its sum; ValueError for another reduction."""
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean() if loss.numel() > 0 else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(
        f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', 'mean', 'sum'"
    )


def _loss_parts(boxes1, boxes2, eps):
    """Both boxes in at least float32, their shared area over that of both together, and the latter."""
    boxes1, boxes2 = (b if b.is_floating_point() else b.to(DTYPES["float32"]) for b in (boxes1, boxes2))
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    shared, union = _shared_and_union(boxes1, boxes2)
    return boxes1, boxes2, shared / (union + eps), union


def generalized_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-7):
    """Return 1 - generalized_box_iou of boxes (…, 4) pair by pair: (…), its mean or its sum.

    ValueError for another reduction.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.generalized_box_iou_loss.html

    >>> import minigrad as mg
    >>> generalized_box_iou_loss(mg.tensor([0.0, 0.0, 1.0, 1.0]), mg.tensor([1.0, 1.0, 2.0, 2.0]))
    tensor(1.5000)
    """
    boxes1, boxes2, iou, union = _loss_parts(boxes1, boxes2, eps)
    wide, tall = _around(boxes1, boxes2)
    return reduced(1 - iou + (wide * tall - union) / (wide * tall + eps), reduction)


def distance_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-7):
    """Return 1 - distance_box_iou of boxes (…, 4) pair by pair: (…), its mean or its sum.

    ValueError for another reduction.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.distance_box_iou_loss.html

    >>> import minigrad as mg
    >>> distance_box_iou_loss(mg.tensor([0.0, 0.0, 1.0, 1.0]), mg.tensor([1.0, 1.0, 2.0, 2.0]))
    tensor(1.2500)
    """
    boxes1, boxes2, iou, _ = _loss_parts(boxes1, boxes2, eps)
    return reduced(1 - iou + _apart(boxes1, boxes2, eps), reduction)


def complete_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-7):
    """Return 1 - complete_box_iou of boxes (…, 4) pair by pair: (…), its mean or its sum.

    ValueError for another reduction.
    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.complete_box_iou_loss.html

    >>> import minigrad as mg
    >>> complete_box_iou_loss(mg.tensor([0.0, 0.0, 1.0, 1.0]), mg.tensor([1.0, 1.0, 2.0, 2.0]))
    tensor(1.2500)
    """
    boxes1, boxes2, iou, _ = _loss_parts(boxes1, boxes2, eps)
    return reduced(1 - iou + _apart(boxes1, boxes2, eps) + _proportions(boxes1, boxes2, iou, eps), reduction)
