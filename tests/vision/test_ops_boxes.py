"""Boxes, suppression, losses and DropBlock; the values are from the definitions, written out box by box."""

import math

import pytest

import minigrad as mg
from minigrad.vision import ops


def boxes(count, seed):
    mg.manual_seed(seed)
    corner = mg.rand(count, 2, dtype=mg.float64) * 4
    return mg.cat([corner, corner + 1 + 3 * mg.rand(count, 2, dtype=mg.float64)], 1)


def overlap(a, b, kind):
    """One pair of boxes by the papers' formulas; its eps is 0."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high
    iou = wide * high / union
    width, height = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    if kind == "box_iou":
        return iou
    if kind == "generalized_box_iou":
        return iou - (width * height - union) / (width * height)
    apart = [(a[i] + a[i + 2] - b[i] - b[i + 2]) / 2 for i in (0, 1)]
    distance = iou - (apart[0] ** 2 + apart[1] ** 2) / (width**2 + height**2)
    if kind == "distance_box_iou":
        return distance
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    return distance - v * v / (1 - iou + v)


KINDS = ["box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"]


@pytest.mark.parametrize("kind", KINDS)
def test_overlaps(kind):
    a, b = boxes(5, 1), boxes(4, 2)
    expected = mg.tensor([[overlap(x, y, kind) for y in b.tolist()] for x in a.tolist()], dtype=mg.float64)
    function = getattr(ops, kind)
    assert mg.allclose(function(a, b), expected, atol=1e-6)
    assert mg.allclose(function(a.float(), b.float()), expected.float(), atol=1e-5)
    batched = function(mg.stack([a, a + 1]), mg.stack([b, b + 1]))
    assert mg.allclose(batched[0], expected, atol=1e-6) and tuple(batched.shape) == (2, 5, 4)
    if kind != "complete_box_iou":  # whose α is a constant in the gradient
        assert mg.autograd.gradcheck(function, (a.requires_grad_(), b.requires_grad_()))


@pytest.mark.parametrize("kind", KINDS[1:])
def test_losses(kind):
    a, b = boxes(5, 1), boxes(5, 2)
    expected = mg.tensor([1 - overlap(x, y, kind) for x, y in zip(a.tolist(), b.tolist())], dtype=mg.float64)
    loss = getattr(ops, f"{kind}_loss")
    assert mg.allclose(loss(a, b), expected, atol=1e-6)
    assert mg.allclose(loss(a, b, "mean"), expected.mean(), atol=1e-6)
    assert mg.allclose(loss(a, b, reduction="sum"), expected.sum(), atol=1e-6)
    assert loss(a[:0], b[:0], "mean").item() == 0
    assert loss(a.long() * 2, b.long() * 2).dtype == mg.float32
    with pytest.raises(ValueError, match="Invalid Value for arg 'reduction': 'product"):
        loss(a, b, "product")
    if kind != "complete_box_iou":
        assert mg.autograd.gradcheck(loss, (a.requires_grad_(), b.requires_grad_()))


def test_the_weight_of_proportions_is_a_constant():
    a, b = boxes(1, 1).requires_grad_(), boxes(1, 2)
    complete, distance = ops.complete_box_iou_loss(a, b), ops.distance_box_iou_loss(a, b)
    (gradient,) = mg.autograd.grad((complete - distance).sum(), a)
    shape = a.detach()[0].tolist()
    other = b[0].tolist()
    iou = overlap(shape, other, "box_iou")
    angle = math.atan((other[2] - other[0]) / (other[3] - other[1]))

    def v(box):
        return 4 / math.pi**2 * (math.atan((box[2] - box[0]) / (box[3] - box[1])) - angle) ** 2

    alpha = v(shape) / (1 - iou + v(shape))
    for index in range(4):
        moved = [[x + (sign * 1e-6 if i == index else 0) for i, x in enumerate(shape)] for sign in (1, -1)]
        assert gradient[0, index].item() == pytest.approx(alpha * (v(moved[0]) - v(moved[1])) / 2e-6, abs=1e-5)


@pytest.mark.parametrize("one", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("two", ["xyxy", "xywh", "cxcywh"])
def test_conversions(one, two):
    plain = boxes(6, 3)
    there = ops.box_convert(ops.box_convert(plain, "xyxy", one), one, two)
    assert mg.allclose(ops.box_convert(there, two, "xyxy"), plain)
    assert mg.allclose(ops.box_area(there, two), ops.box_area(plain))
    assert mg.allclose(ops.box_iou(there, there, two), ops.box_iou(plain, plain))
    same = ops.box_convert(plain, one, one)
    assert same is not plain and mg.equal(same, plain)


def test_formats_that_there_are_not():
    with pytest.raises(ValueError, match="Unsupported"):
        ops.box_convert(boxes(1, 0), "xyxy", "yxyx")
    with pytest.raises(ValueError, match="Unsupported"):
        ops.box_area(boxes(1, 0), "yxyx")
    with pytest.raises(NotImplementedError, match="rotated boxes"):
        ops.box_iou(boxes(1, 0), boxes(1, 0), "xywhr")


def test_areas_do_not_overflow():
    assert ops.box_area(mg.tensor([[0, 0, 300, 300]], dtype=mg.float16)).tolist() == [90000]
    assert ops.box_area(mg.tensor([[0, 0, 100, 100]], dtype=mg.int8)).tolist() == [10000]


def test_masks():
    masks = mg.zeros(3, 5, 6, dtype=mg.bool)
    masks[0, 1:4, 2:6] = True
    masks[2, 4, 0] = True
    assert ops.masks_to_boxes(masks).tolist() == [[2, 1, 5, 3], [0, 0, 0, 0], [0, 4, 0, 4]]
    assert tuple(ops.masks_to_boxes(masks[:0]).shape) == (0, 4)


def suppress(boxes, scores, threshold):
    order = sorted(range(len(boxes)), key=lambda index: -scores[index])
    kept = []
    for index in order:
        if all(overlap(boxes[index], boxes[other], "box_iou") <= threshold for other in kept):
            kept.append(index)
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 1.0])
def test_suppression(threshold):
    many = boxes(40, 4)
    scores = mg.rand(40)
    expected = suppress(many.tolist(), scores.tolist(), threshold)
    assert ops.nms(many, scores, threshold).tolist() == expected
    groups = mg.randint(0, 3, (40,))
    apart = [index for index in range(40) if index in set(by_group(many, scores, groups, threshold))]
    found = ops.batched_nms(many, scores, groups, threshold).tolist()
    assert sorted(found) == apart
    assert scores[found].tolist() == sorted(scores[found].tolist(), reverse=True)


def by_group(many, scores, groups, threshold):
    for group in range(3):
        places = (groups == group).nonzero()[:, 0].tolist()
        yield from (places[i] for i in suppress(many[places].tolist(), scores[places].tolist(), threshold))


def test_suppression_of_nothing_and_of_equals():
    none = mg.zeros(0, 4)
    for found in (ops.nms(none, mg.zeros(0), 0.5), ops.batched_nms(none, mg.zeros(0), mg.zeros(0), 0.5)):
        assert found.dtype == mg.int64 and found.tolist() == []
    same = mg.ones(3, 4) * mg.tensor([0.0, 0.0, 1.0, 1.0])
    assert ops.nms(same, mg.ones(3), 0.5).tolist() == [0]
    assert ops.nms(same * 0, mg.ones(3), 0.5).tolist() == [0, 1, 2]  # boxes without area overlap nothing
    with pytest.raises(RuntimeError, match="2d tensor of 4 columns"):
        ops.nms(mg.zeros(4), mg.zeros(4), 0.5)
    with pytest.raises(RuntimeError, match="same number of elements"):
        ops.nms(same, mg.ones(2), 0.5)


# ---------------------------------------------------------------- focal loss and DropBlock
@pytest.mark.parametrize("alpha, gamma", [(0.25, 2), (-1, 2), (0.5, 0), (1.0, 1.5)])
def test_focal_loss(alpha, gamma):
    mg.manual_seed(0)
    logits = mg.randn(4, 3, dtype=mg.float64, requires_grad=True)
    targets = mg.tensor([[0.0, 1.0, 1.0]] * 4, dtype=mg.float64)
    p = mg.sigmoid(logits.detach())
    right = mg.where(targets == 1, p, 1 - p)
    weight = 1.0 if alpha < 0 else mg.where(targets == 1, alpha, 1 - alpha)
    expected = -weight * (1 - right) ** gamma * right.log()
    assert mg.allclose(ops.sigmoid_focal_loss(logits, targets, alpha, gamma), expected)
    assert mg.allclose(ops.sigmoid_focal_loss(logits, targets, alpha, gamma, "mean"), expected.mean())
    assert mg.autograd.gradcheck(lambda x: ops.sigmoid_focal_loss(x, targets, alpha, gamma), (logits,))
    with pytest.raises(ValueError, match="Invalid alpha value: 2"):
        ops.sigmoid_focal_loss(logits, targets, 2)


@pytest.mark.parametrize("layer, shape", [(ops.DropBlock2d, (8, 8, 15, 20)), (ops.DropBlock3d, (4, 4, 9, 9, 9))])
def test_blocks_are_dropped(layer, shape):
    mg.manual_seed(0)
    x = mg.ones(*shape)
    block = layer(0.2, 3)
    out = block(x)
    dropped = (out == 0).float()
    assert 0.1 < dropped.mean().item() < 0.25
    assert out.mean().item() == pytest.approx(1, abs=1e-3)
    pool = mg.nn.functional.max_pool2d if len(shape) == 4 else mg.nn.functional.max_pool3d
    whole = 1 - pool(1 - dropped, 3, 1, 0)  # where a whole block was dropped
    grown = pool(mg.nn.functional.pad(whole, [1] * (2 * (len(shape) - 2))), 3, 1, 1)
    assert mg.equal(grown, dropped)
    assert layer(0.2, 3).eval()(x) is x and layer(0.0, 3)(x) is x
    y = x.clone()
    assert layer(0.2, 3, inplace=True)(y) is y and bool((y == 0).any())


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.drop_block2d(mg.ones(1, 1, 4, 4), 1.5, 3), "between 0 and 1, but got 1.5"),
        (lambda: ops.drop_block2d(mg.ones(1, 4, 4), 0.5, 3), "should be 4 dimensional. Got 3"),
        (lambda: ops.drop_block3d(mg.ones(1, 1, 4, 4), 0.5, 3), "should be 5 dimensional. Got 4"),
        (lambda: ops.drop_block2d(mg.ones(1, 1, 4, 4), 0.5, 2), "should be odd. Got 2"),
    ],
)
def test_blocks_that_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call()
