"""Networks that find objects: their parts by small examples, and a tiny network of them that learns."""
import math

import pytest

import minigrad as mg
import models
from minigrad import nn
from models.detection import (
    _utils,
    backbone_utils,
    faster_rcnn,
    keypoint_rcnn,
    mask_rcnn,
    retinanet,
    roi_heads,
    rpn,
    transform,
)
from models.detection.image_list import ImageList


def test_offsets_and_back():
    mg.manual_seed(0)
    anchors = mg.rand(6, 4) * 10
    anchors[:, 2:] += anchors[:, :2] + 1
    boxes = anchors + mg.tensor([0.0, 1.0, 2.0, 3.0])
    coder = _utils.BoxCoder((10.0, 10.0, 5.0, 5.0))
    first, second = coder.encode([boxes[:2], boxes[2:]], [anchors[:2], anchors[2:]])
    assert (len(first), len(second)) == (2, 4)
    found = coder.decode(mg.cat([first, second]), [anchors[:2], anchors[2:]])
    assert mg.allclose(found[:, 0], boxes, atol=1e-4)
    huge = coder.decode(mg.full((1, 8), 1e4), [mg.tensor([[0.0, 0.0, 16.0, 16.0]])])
    assert tuple(huge.shape) == (1, 2, 4)
    assert (huge[0, 0, 2] - huge[0, 0, 0]).item() == pytest.approx(1000, rel=1e-4)


def test_matching():
    overlaps = mg.tensor([[0.9, 0.4, 0.1, 0.2], [0.1, 0.5, 0.25, 0.0]])
    assert _utils.Matcher(0.7, 0.3)(overlaps).tolist() == [0, -2, -1, -1]
    assert _utils.Matcher(0.7, 0.3, allow_low_quality_matches=True)(overlaps).tolist() == [0, 1, -1, -1]
    with pytest.raises(ValueError, match="No ground-truth boxes available"):
        _utils.Matcher(0.7, 0.3)(mg.zeros(0, 4))
    with pytest.raises(ValueError, match="No proposal boxes available"):
        _utils.Matcher(0.7, 0.3)(mg.zeros(4, 0))


def test_sampling():
    mg.manual_seed(0)
    labels = mg.tensor([1, 2] * 10 + [0] * 30 + [-1] * 5)
    positive, negative = _utils.BalancedPositiveNegativeSampler(16, 0.25)([labels, labels[20:]])
    assert [mask.sum().item() for mask in positive] == [4, 0]
    assert [mask.sum().item() for mask in negative] == [12, 16]
    assert bool((labels[positive[0]] >= 1).all()) and bool((labels[negative[0]] == 0).all())


def test_anchors():
    anchors = rpn.AnchorGenerator(((16,), (32,)), ((1.0, 4.0),) * 2)
    assert anchors.num_anchors_per_location() == [2, 2]
    images = ImageList(mg.zeros(2, 3, 8, 16), [(8, 16), (8, 12)])
    found = anchors(images, [mg.zeros(2, 1, 2, 4), mg.zeros(2, 1, 1, 2)])
    assert len(found) == 2 and mg.equal(found[0], found[1]) and tuple(found[0].shape) == (20, 4)
    assert found[0][:4].tolist() == [[-8, -8, 8, 8], [-4, -16, 4, 16], [-4, -8, 12, 8], [0, -16, 8, 16]]
    assert found[0][16:].tolist() == [[-16, -16, 16, 16], [-8, -32, 8, 32], [-8, -16, 24, 16], [0, -32, 16, 32]]
    with pytest.raises(AssertionError, match="there are 1 feature maps and 2 sizes"):
        anchors(images, [mg.zeros(2, 1, 2, 4)])


def test_images_are_resized_and_what_is_found_goes_back():
    change = transform.GeneralizedRCNNTransform(20, 30, [0.5] * 3, [0.25] * 3, size_divisible=8).eval()
    images = [mg.full((3, 10, 10), 0.75), mg.full((3, 10, 20), 0.5)]
    target = {"boxes": mg.tensor([[1.0, 2.0, 3.0, 4.0]]), "masks": mg.ones(1, 10, 10, dtype=mg.uint8)}
    batch, targets = change(images, [target, {"boxes": mg.zeros(0, 4)}])
    assert batch.image_sizes == [(20, 20), (15, 30)]  # the second one's longer side decides
    assert tuple(batch.tensors.shape) == (2, 3, 24, 32)
    assert bool((batch.tensors[0, :, :20, :20] == 1).all()) and not batch.tensors[0, :, 20:].any()
    assert targets[0]["boxes"].tolist() == [[2, 4, 6, 8]] and tuple(targets[0]["masks"].shape) == (1, 20, 20)
    assert target["boxes"].tolist() == [[1, 2, 3, 4]]
    found = [{"boxes": mg.tensor([[4.0, 6.0, 11.0, 15.0]]), "masks": mg.ones(1, 1, 28, 28)}]
    (back,) = change.postprocess(found, batch.image_sizes, [(10, 10), (10, 20)])
    assert back["boxes"].tolist() == [[2, 3, 5.5, 7.5]]
    assert tuple(back["masks"].shape) == (1, 1, 10, 10)
    inside = (back["masks"][0, 0] > 0.5).nonzero()
    # the box with a border of one of the mask's 28 pixels is cut to whole pixels: 1.875 … 5.625 and 2.84 … 7.66
    assert inside.min(0)[0].tolist() == [2, 1] and inside.max(0)[0].tolist() == [7, 5]
    with pytest.raises(ValueError, match=r"shape \[C, H, W\], got \(10, 10\)"):
        change([mg.zeros(10, 10)])
    with pytest.raises(TypeError, match="floating type"):
        change([mg.zeros(3, 10, 10, dtype=mg.uint8)])
    fixed = transform.GeneralizedRCNNTransform(20, 30, [0.5] * 3, [0.25] * 3, fixed_size=(12, 16)).eval()
    assert fixed(images)[0].image_sizes == [(16, 12)] * 2


def small_network(kind=models.detection.MaskRCNN, **settings):
    """A network on the 8x8 and 4x4 maps of 32x32 images."""
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()
    )  # fmt: skip
    backbone = backbone_utils.BackboneWithFPN(layers, {"1": "0", "3": "1"}, [8, 16], 8)
    anchors = rpn.AnchorGenerator(((8,), (16,), (32,)), ((1.0,),) * 3)
    if kind is models.detection.MaskRCNN:
        settings["mask_head"] = mask_rcnn.MaskRCNNHeads(8, (8,), 1)
        settings["mask_predictor"] = mask_rcnn.MaskRCNNPredictor(8, 8, 3)
    if kind is models.detection.KeypointRCNN:
        settings["keypoint_head"] = keypoint_rcnn.KeypointRCNNHeads(8, (8,))
        settings["keypoint_predictor"] = keypoint_rcnn.KeypointRCNNPredictor(8, 2)
    return kind(
        backbone,
        box_predictor=faster_rcnn.FastRCNNPredictor(16, 3),
        box_head=faster_rcnn.TwoMLPHead(8 * 49, 16),
        rpn_anchor_generator=anchors,
        min_size=32,
        max_size=32,
        rpn_pre_nms_top_n_train=30,
        rpn_post_nms_top_n_train=20,
        **settings,
    )


def scene():
    """A bright square on the left and a dark one on the right, with their boxes, classes and masks."""
    image = mg.full((3, 32, 32), 0.5)
    image[:, 4:16, 2:14] = 1.0
    image[:, 18:30, 16:30] = 0.0
    masks = mg.zeros(2, 32, 32, dtype=mg.uint8)
    masks[0, 4:16, 2:14] = 1
    masks[1, 18:30, 16:30] = 1
    boxes = mg.tensor([[2.0, 4.0, 14.0, 16.0], [16.0, 18.0, 30.0, 30.0]])
    return image, {"boxes": boxes, "labels": mg.tensor([1, 2]), "masks": masks}


def test_a_scene_is_learned():
    mg.manual_seed(0)
    model = small_network()
    image, target = scene()
    optimizer = mg.optim.Adam(model.parameters(), lr=0.01)
    totals = []
    for _ in range(80):
        optimizer.zero_grad()
        losses = model([image], [target])
        names = {"loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg"}
        assert set(losses) == names
        total = sum(losses.values())
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.5 * totals[0]
    with mg.no_grad():
        (found,) = model.eval()([image])
    assert found["labels"][:2].sort()[0].tolist() == [1, 2]
    order = found["labels"][:2].argsort()
    overlaps = mg.vision.ops.box_iou(found["boxes"][:2][order], target["boxes"]).diagonal()
    assert bool((overlaps > 0.5).all())
    masks = found["masks"][:2][order][:, 0] > 0.5
    assert bool(((masks & (target["masks"] > 0)).sum((1, 2)) > 70).all())


# ---------------------------------------------------------------- points
def test_cells_of_points():
    """Against a loop; a point on the right or lower border is inside, one beyond it is not."""
    mg.manual_seed(0)
    rois = mg.tensor([[0.0, 0.0, 20.0, 10.0], [5.0, 5.0, 9.0, 29.0]])
    places = rois[:, None, :2] + (1.3 * mg.rand(2, 9, 2) - 0.15) * (rois[:, None, 2:] - rois[:, None, :2])
    points = mg.cat([places, mg.ones(2, 9, 1)], 2)
    points[0, 0] = mg.tensor([20.0, 10.0, 2.0])
    points[1, 0] = mg.tensor([5.0, 29.0, 1.0])
    points[0, 1] = mg.tensor([3.0, 3.0, 0.0])
    cells, valid = roi_heads.keypoints_to_heatmap(points, rois, 8)
    for row, (x1, y1, x2, y2) in enumerate(rois.tolist()):
        for column, (x, y, seen) in enumerate(points[row].tolist()):
            inside = x1 <= x <= x2 and y1 <= y <= y2 and seen > 0
            across = min(int((x - x1) / (x2 - x1) * 8), 7)
            down = min(int((y - y1) / (y2 - y1) * 8), 7)
            assert valid[row, column].item() == inside
            assert cells[row, column].item() == (down * 8 + across if inside else 0)
    assert 4 < valid.sum().item() < 18


def test_places_of_points():
    """The maps' highest cells, in boxes as large as the maps, of other sizes, and too small for any."""
    maps = mg.zeros(3, 2, 4, 4)
    maps[:, 0, 1, 2] = 3.0
    maps[:, 1, 3, 0] = 2.0
    rois = mg.tensor([[10.0, 20.0, 14.0, 24.0], [0.0, 0.0, 8.0, 3.2], [5.0, 5.0, 5.5, 5.5]])
    points, scores = roi_heads.heatmaps_to_keypoints(maps, rois)
    assert points[0].tolist() == [[12.5, 21.5, 1.0], [10.5, 23.5, 1.0]] and scores[0].tolist() == [3.0, 2.0]
    assert 4 <= points[1, 0, 0].item() <= 6 and points[1, 0, 1].item() == pytest.approx(1.2)
    assert 0 <= points[1, 1, 0].item() <= 2 and points[1, 1, 1].item() == pytest.approx(2.8)
    assert points[2, :, :2].tolist() == [[5.5, 5.5]] * 2
    points, scores = roi_heads.heatmaps_to_keypoints(maps[:0], rois[:0])
    assert tuple(points.shape) == (0, 2, 3) and tuple(scores.shape) == (0, 2)


def test_loss_of_points():
    maps = mg.zeros(1, 2, 4, 4)
    maps[0, 0, 1, 2] = math.log(15)  # the probability of the cell is half
    box, match = [mg.tensor([[0.0, 0.0, 4.0, 4.0]])], [mg.tensor([0])]
    seen = mg.tensor([[[2.5, 1.5, 1.0], [0.0, 0.0, 0.0]]])
    assert roi_heads.keypointrcnn_loss(maps, box, [seen], match).item() == pytest.approx(math.log(2))
    seen[0, 1, 2] = 1
    loss = roi_heads.keypointrcnn_loss(maps, box, [seen], match).item()
    assert loss == pytest.approx((math.log(2) + math.log(16)) / 2)
    seen[..., 2] = 0
    assert roi_heads.keypointrcnn_loss(maps, box, [seen], match).item() == 0
    with pytest.raises(ValueError, match="should be equal. Instead got H = 3 and W = 4"):
        roi_heads.keypointrcnn_loss(maps[:, :, :3], box, [seen], match)


def test_points_are_learned():
    mg.manual_seed(0)
    model = small_network(models.detection.KeypointRCNN)
    image, target = scene()
    points = mg.tensor([[[3.0, 5.0, 1.0], [13.0, 15.0, 1.0]], [[17.0, 19.0, 1.0], [29.0, 29.0, 1.0]]])
    target["keypoints"] = points
    optimizer = mg.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        losses = model([image], [target])
        sum(losses.values()).backward()
        optimizer.step()
    names = ["loss_classifier", "loss_box_reg", "loss_keypoint", "loss_objectness", "loss_rpn_box_reg"]
    assert list(losses) == names
    wider = mg.nn.functional.interpolate(image[None], size=(64, 64))[0]  # what is found goes back to its size
    with mg.no_grad():
        (found,) = model.eval()([wider])
    assert list(found) == ["boxes", "labels", "scores", "keypoints", "keypoints_scores"]
    assert tuple(found["keypoints_scores"].shape) == (len(found["boxes"]), 2)
    for label, wanted in zip((1, 2), 2 * points[..., :2]):
        best = (found["labels"] == label).nonzero()[0]
        assert bool(((found["keypoints"][best, :, :2] - wanted).abs() < 6).all())
    empty = {"boxes": mg.zeros(0, 4), "labels": mg.zeros(0, dtype=mg.int64), "keypoints": mg.zeros(0, 2, 3)}
    losses = model.train()([image], [empty])
    assert losses["loss_keypoint"].item() == 0
    for change, error, message in (
        ({"keypoints": points.double()}, TypeError, "target keypoints must of float type"),
        ({"keypoints": None}, ValueError, "should have a keypoints key"),
    ):
        changed = {key: value for key, value in {**target, **change}.items() if value is not None}
        with pytest.raises(error, match=message):
            model([image], [changed])


def test_points_are_resized():
    change = transform.GeneralizedRCNNTransform(20, 40, [0.5] * 3, [0.25] * 3).eval()
    target = {"boxes": mg.tensor([[1.0, 2.0, 3.0, 4.0]]), "keypoints": mg.tensor([[[2.0, 3.0, 2.0]]])}
    _, (resized,) = change([mg.zeros(3, 10, 15)], [target])
    assert resized["keypoints"].tolist() == [[[4.0, 6.0, 2.0]]] and target["keypoints"].tolist() == [[[2.0, 3.0, 2.0]]]
    kinds = models.detection.KeypointRCNN
    backbone = nn.Identity()
    backbone.out_channels = 8
    assert kinds(backbone, 2).transform.min_size == (640, 672, 704, 736, 768, 800)
    assert kinds(backbone, 2, num_keypoints=5).roi_heads.keypoint_predictor.out_channels == 5
    with pytest.raises(ValueError, match="num_keypoints should be None"):
        kinds(backbone, 2, num_keypoints=5, keypoint_predictor=nn.Identity())
    with pytest.raises(TypeError, match="keypoint_roi_pool should be of type"):
        kinds(backbone, 2, keypoint_roi_pool=3)


def test_losses_are_replaced(monkeypatch):
    """As programs do that weigh the classes."""
    mg.manual_seed(0)
    image, target = scene()
    monkeypatch.setattr(roi_heads, "fastrcnn_loss", lambda *found: (mg.tensor(7.0), mg.tensor(len(found))))
    losses = small_network()([image], [target])
    assert (losses["loss_classifier"].item(), losses["loss_box_reg"].item()) == (7.0, 4)


def test_losses_by_hand():
    """The steps of a network in evaluation, called one by one as programs do that want its losses too."""
    mg.manual_seed(0)
    everything = {"rpn_batch_size_per_image": 10**6, "box_batch_size_per_image": 10**6}
    model = small_network(models.detection.FasterRCNN, **everything)
    image, target = scene()
    wanted = model([image, image], [target, target])
    images, targets = model.transform([image, image], [target, target])
    features = model.backbone(images.tensors)
    logits, offsets = model.rpn.head(list(features.values()))
    anchors = model.rpn.anchor_generator(images, list(features.values()))
    counts = [level[0].numel() for level in logits]
    logits, offsets = rpn.concat_box_prediction_layers(logits, offsets)
    assert tuple(logits.shape) == (2 * sum(counts), 1) and tuple(offsets.shape) == (2 * sum(counts), 4)
    proposals = model.rpn.box_coder.decode(offsets.detach(), anchors).view(2, -1, 4)
    proposals, scores = model.rpn.filter_proposals(proposals, logits, images.image_sizes, counts)
    assert all(bool((part.diff() <= 0).all()) for part in scores)
    labels, known = model.rpn.assign_targets_to_anchors(anchors, targets)
    rpn_losses = model.rpn.compute_loss(logits, offsets, labels, model.rpn.box_coder.encode(known, anchors))
    proposals, _, labels, places = model.roi_heads.select_training_samples(proposals, targets)
    regions = model.roi_heads.box_head(model.roi_heads.box_roi_pool(features, proposals, images.image_sizes))
    losses = roi_heads.fastrcnn_loss(*model.roi_heads.box_predictor(regions), labels, places)
    assert [loss.item() for loss in (*losses, *rpn_losses)] == pytest.approx(
        [loss.item() for loss in wanted.values()], rel=1e-5
    )


def test_images_without_objects():
    mg.manual_seed(0)
    model = small_network()
    image, target = scene()
    empty = {"boxes": mg.zeros(0, 4), "labels": mg.zeros(0, dtype=mg.int64), "masks": mg.zeros(0, 32, 32)}
    for targets in ([empty], [empty, target]):
        losses = model([image] * len(targets), targets)
        assert all(math.isfinite(loss.item()) for loss in losses.values())
        sum(losses.values()).backward()
    strict = small_network(box_score_thresh=1.0).eval()
    (found,) = strict([image])
    assert [len(value) for value in found.values()] == [0, 0, 0, 0]
    assert list(small_network(models.detection.FasterRCNN).eval()([image])[0]) == ["boxes", "labels", "scores"]


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda target: None, AssertionError, "targets should not be none"),
        (lambda target: {**target, "boxes": [1]}, AssertionError, "to be of type Tensor"),
        (lambda target: {**target, "boxes": mg.zeros(2)}, AssertionError, r"shape \[N, 4\]"),
        (lambda target: {**target, "boxes": mg.zeros(2, 4)}, AssertionError, "positive height and width"),
        (lambda target: {**target, "labels": mg.ones(2)}, TypeError, "labels must of int64"),
        (lambda target: {"boxes": target["boxes"]}, ValueError, "should have a labels key"),
        (lambda target: {k: v for k, v in target.items() if k != "masks"}, ValueError, "should have a masks key"),
    ],
)
def test_targets_that_cannot_be(change, error, message):
    image, target = scene()
    changed = change(target)
    with pytest.raises(error, match=message):
        small_network()([image], None if changed is None else [changed])


def test_networks_that_cannot_be():
    with pytest.raises(ValueError, match="should contain an attribute out_channels"):
        models.detection.FasterRCNN(nn.Identity(), 2)
    backbone = nn.Identity()
    backbone.out_channels = 8
    for kind in (models.detection.FasterRCNN, models.detection.MaskRCNN):
        with pytest.raises(ValueError, match="num_classes should not be None"):
            kind(backbone)
    with pytest.raises(ValueError, match="num_classes should be None"):
        models.detection.FasterRCNN(backbone, 2, box_predictor=nn.Identity())
    with pytest.raises(TypeError, match="rpn_anchor_generator should be of type AnchorGenerator"):
        models.detection.FasterRCNN(backbone, 2, rpn_anchor_generator=3)
    with pytest.raises(TypeError, match="mask_roi_pool should be of type"):
        models.detection.MaskRCNN(backbone, 2, mask_roi_pool=3)
    with pytest.raises(ValueError, match="images of 1 channels need image_mean and image_std"):
        models.detection.fasterrcnn_resnet50_fpn(in_channels=1)


# ---------------------------------------------------------------- the builders and their weights
def test_without_weights_everything_is_trained(undrawn):
    model = models.detection.fasterrcnn_resnet50_fpn(num_classes=2)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert isinstance(model.backbone.body.bn1, nn.BatchNorm2d)
    with pytest.warns(UserWarning, match="trainable_backbone_layers=5 so that all layers are trainable"):
        models.detection.fasterrcnn_resnet50_fpn(num_classes=2, trainable_backbone_layers=1)


@pytest.mark.parametrize(
    "name, eps, trained",
    [
        ("fasterrcnn_resnet50_fpn", 0.0, {"layer2", "layer3", "layer4"}),
        ("maskrcnn_resnet50_fpn_v2", None, {"layer2", "layer3", "layer4"}),
        ("fasterrcnn_mobilenet_v3_large_fpn", 1e-5, {"7", "8", "9", "10", "11", "12", "13", "14", "15", "16"}),
    ],
)
def test_with_weights_the_first_layers_are_not_trained(name, eps, trained, monkeypatch, undrawn):
    def old_file(self, **kw):
        state = models.build(self.builder).state_dict()
        renamed = {key.replace("_blocks.0.0.", "_blocks.0.").replace("head.conv.0.0.", "head.conv."): value
                   for key, value in state.items()}  # fmt: skip
        return state if eps is None else renamed

    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", old_file)
    model = models.build(name, weights="DEFAULT")
    frozen = [layer for layer in model.modules() if isinstance(layer, mg.vision.ops.FrozenBatchNorm2d)]
    assert {layer.eps for layer in frozen} == (set() if eps is None else {eps})
    body = {key.split(".")[0] for key, value in model.backbone.body.named_parameters() if value.requires_grad}
    assert body == trained
    with pytest.raises(ValueError, match="Trainable backbone layers should be in the range"):
        models.build(name, weights="DEFAULT", trainable_backbone_layers=9)


def test_pyramids_on_resnets(undrawn):
    pyramid = backbone_utils.resnet_fpn_backbone(backbone_name="resnet18", trainable_layers=0)
    assert not any(parameter.requires_grad for parameter in pyramid.body.parameters())
    pyramid = backbone_utils.resnet_fpn_backbone(backbone_name="resnet18", returned_layers=[2, 4], trainable_layers=5)
    assert all(parameter.requires_grad for parameter in pyramid.parameters())
    assert [block[0].in_channels for block in pyramid.fpn.inner_blocks] == [128, 512]
    for settings in ({"trainable_layers": 6}, {"returned_layers": [0, 2]}):
        with pytest.raises(ValueError, match="should be in the range"):
            backbone_utils.resnet_fpn_backbone(backbone_name="resnet18", **settings)


# ---------------------------------------------------------------- RetinaNet
def small_retinanet(loss_type="l1", **settings):
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
    levels = mg.vision.ops.LastLevelP6P7(16, 8)
    backbone = backbone_utils.BackboneWithFPN(layers, {"1": "0", "3": "1"}, [8, 16], 8, levels)
    anchors = rpn.AnchorGenerator(((8,), (12,), (16,), (32,)), ((1.0,),) * 4)
    head = retinanet.RetinaNetHead(8, 1, 3, loss_type=loss_type)
    sizes = {"min_size": 32, "max_size": 32}
    return models.detection.RetinaNet(backbone, 3, anchor_generator=anchors, head=head, **sizes, **settings)


@pytest.mark.parametrize("loss_type", ["l1", "giou"])
def test_a_scene_is_learned_without_proposals(loss_type):
    mg.manual_seed(0)
    model = small_retinanet(loss_type)
    image, target = scene()
    optimizer = mg.optim.Adam(model.parameters(), lr=0.01)
    totals = []
    for _ in range(220):
        optimizer.zero_grad()
        losses = model([image], [target])
        assert set(losses) == {"classification", "bbox_regression"}
        total = sum(losses.values())
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.5 * totals[0]
    if loss_type == "giou":  # which takes longer to tell the classes apart
        return
    with mg.no_grad():
        (found,) = model.eval()([image])
    assert found["labels"][:2].sort()[0].tolist() == [1, 2]
    order = found["labels"][:2].argsort()
    assert bool((mg.vision.ops.box_iou(found["boxes"][:2][order], target["boxes"]).diagonal() > 0.5).all())


def test_retinanet_without_objects_and_errors():
    mg.manual_seed(0)
    image, _ = scene()
    for loss_type in ("l1", "giou"):
        model = small_retinanet(loss_type)
        losses = model([image], [{"boxes": mg.zeros(0, 4), "labels": mg.zeros(0, dtype=mg.int64)}])
        assert losses["bbox_regression"].item() == 0 and losses["classification"].item() > 0
        sum(losses.values()).backward()
    (found,) = small_retinanet(score_thresh=1.0).eval()([image])
    assert [len(value) for value in found.values()] == [0, 0, 0]
    with pytest.raises(AssertionError, match="targets should not be none"):
        model([image])
    with pytest.raises(ValueError, match="loss_type must be one of l1, giou, but got 'l2'"):
        small_retinanet("l2")
    with pytest.raises(ValueError, match="should contain an attribute out_channels"):
        models.detection.RetinaNet(nn.Identity(), 2)
    with pytest.raises(TypeError, match="anchor_generator should be of type"):
        models.detection.RetinaNet(model.backbone, 2, anchor_generator=3)


def test_retinanets_first_file_has_other_names(monkeypatch, undrawn):
    def old_file(self, **kw):
        state = models.build(self.builder).state_dict()
        for head in ("classification_head", "regression_head"):
            for index in range(4):
                state = {key.replace(f"{head}.conv.{index}.0.", f"{head}.OLD.{2 * index}."): value
                         for key, value in state.items()}  # fmt: skip
        return {key.replace("OLD", "conv").replace("_blocks.0.0.", "_blocks.0."): v for key, v in state.items()}

    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", old_file)
    model = models.detection.retinanet_resnet50_fpn(weights="DEFAULT")
    assert not model.backbone.body.conv1.weight.requires_grad and model.backbone.body.bn1.eps == 0
