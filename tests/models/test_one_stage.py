"""Networks that find objects without proposals: their parts against loops over numbers, and tiny ones that learn."""
import math

import numpy as np
import pytest

import minigrad as mg
import models
from minigrad import nn
from models import feature_extraction, published
from models.detection import _utils, anchor_utils, fcos, retinanet, ssd, ssdlite
from models.detection.image_list import ImageList

BOXES = mg.tensor([[2.0, 4.0, 14.0, 16.0], [16.0, 18.0, 30.0, 30.0]])
EMPTY = {"boxes": mg.zeros(0, 4), "labels": mg.zeros(0, dtype=mg.int64)}


def scene():
    """A bright square on the left and a dark one on the right, with their boxes and classes."""
    image = mg.full((3, 32, 32), 0.5)
    image[:, 4:16, 2:14] = 1.0
    image[:, 18:30, 16:30] = 0.0
    return image, {"boxes": BOXES.clone(), "labels": mg.tensor([1, 2])}


class Maps(nn.Module):
    """The 8x8 and 4x4 maps of 32x32 images; lists their channels if it is asked to."""

    def __init__(self, out_channels=None):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 32, 3, 4, 1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU())
        if out_channels is not None:
            self.out_channels = out_channels

    def forward(self, x):
        first = self.first(x)
        return {"0": first, "1": self.second(first)}


def small_ssd(out_channels=None, **settings):
    anchors = anchor_utils.DefaultBoxGenerator([[2], [2]], scales=[0.25, 0.4, 0.6])
    return ssd.SSD(Maps(out_channels), anchors, (32, 32), 3, **settings)


def small_fcos(**settings):
    anchors = anchor_utils.AnchorGenerator(((4,), (8,)), ((1.0,),) * 2)
    settings = {"min_size": 32, "max_size": 32, **settings}
    return models.detection.FCOS(Maps(32), 3, anchor_generator=anchors, head=fcos.FCOSHead(32, 1, 3, 1), **settings)


# ---------------------------------------------------------------- the parts
def test_default_boxes():
    """The 8,732 boxes of SSD300, against a loop over its maps, positions and forms."""
    sides, steps = (38, 19, 10, 5, 3, 1), (8, 16, 32, 64, 100, 300)
    scales, ratios = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05), ([2], [2, 3], [2, 3], [2, 3], [2], [2])
    images = ImageList(mg.zeros(2, 3, 300, 300), [(300, 300)] * 2)
    maps = [mg.zeros(2, 1, side, side) for side in sides]
    wanted = []
    for index, side in enumerate(sides):
        scale = scales[index]
        forms = [(scale, scale), (math.sqrt(scale * scales[index + 1]),) * 2]
        for ratio in ratios[index]:
            forms += [(scale * ratio**0.5, scale / ratio**0.5), (scale / ratio**0.5, scale * ratio**0.5)]
        for row in range(side):
            for column in range(side):
                x, y = (column + 0.5) * steps[index], (row + 0.5) * steps[index]
                for width, height in forms:
                    w, h = (150 * min(share, 1) for share in (width, height))
                    wanted.append([x - w, y - h, x + w, y + h])
    assert len(wanted) == 8732
    anchors = anchor_utils.DefaultBoxGenerator(ratios, scales=scales, steps=steps)
    found = anchors(images, maps)
    assert len(found) == 2 and mg.equal(found[0], found[1])
    np.testing.assert_allclose(found[0].numpy(), wanted, rtol=1e-5, atol=1e-3)
    assert anchors.num_anchors_per_location() == [4, 6, 6, 6, 4, 4]
    free = anchor_utils.DefaultBoxGenerator(ratios, scales=scales, steps=steps, clip=False)(images, maps)[0]
    assert (free[-4:, 2] - free[-4:, 0]).max().item() == pytest.approx(300 * 0.87 * 2**0.5)
    assert "steps=(8, 16" in repr(anchors)


def test_default_boxes_of_evenly_spaced_scales():
    anchors = anchor_utils.DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
    assert anchors.scales == pytest.approx([0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0])
    assert anchor_utils.DefaultBoxGenerator([[2]]).scales == [0.15, 0.9]
    wide = anchors(ImageList(mg.zeros(1, 3, 8, 16), [(8, 16)]), [mg.zeros(1, 1, 1, 2)] + [mg.zeros(1, 1, 1, 1)] * 5)[0]
    assert tuple(wide.shape) == (42, 4)
    centres = (wide[:12, :2] + wide[:12, 2:]) / 2
    assert mg.allclose(centres, mg.tensor([[4.0, 4.0]] * 6 + [[12.0, 4.0]] * 6))
    with pytest.raises(ValueError, match="aspect_ratios and steps should have the same length"):
        anchor_utils.DefaultBoxGenerator([[2]], steps=[1, 2])


def test_every_object_has_a_box():
    overlaps = mg.tensor([[0.6, 0.1, 0.2, 0.0], [0.9, 0.3, 0.0, 0.0]])
    assert _utils.SSDMatcher(0.5)(overlaps).tolist() == [1, -1, -1, -1]
    overlaps = mg.tensor([[0.6, 0.1, 0.2, 0.0], [0.2, 0.3, 0.0, 0.0]])
    assert _utils.SSDMatcher(0.5)(overlaps).tolist() == [0, 1, -1, -1]
    assert _utils.Matcher(0.5, 0.5)(overlaps).tolist() == [0, -1, -1, -1]


@pytest.mark.parametrize("normalize", [True, False])
def test_distances_and_back(normalize):
    mg.manual_seed(0)
    anchors = mg.rand(2, 6, 4) * 10
    anchors[..., 2:] += anchors[..., :2] + 1
    coder = _utils.BoxLinearCoder(normalize)
    boxes = anchors + mg.tensor([-1.0, -2.0, 1.0, 3.0])
    distances = coder.encode(anchors, boxes)
    half = (anchors[..., 2:] - anchors[..., :2]) / 2
    unit = 2 * half if normalize else mg.ones_like(half)
    assert mg.allclose(distances[..., :2], (half + mg.tensor([1.0, 2.0])) / unit, atol=1e-5)
    assert mg.allclose(coder.decode(distances, anchors), boxes, atol=1e-5)


def test_points_of_objects():
    """Which points FCOS gives to which object, against a loop over both."""
    mg.manual_seed(0)
    model = small_fcos()
    corners = mg.rand(7, 2) * 24
    boxes = mg.cat([corners, corners + 2 + mg.rand(7, 2) * 30], 1)
    (anchors,) = model.anchor_generator(
        ImageList(mg.zeros(1, 3, 32, 32), [(32, 32)]), [mg.zeros(1, 1, 8, 8), mg.zeros(1, 1, 4, 4)]
    )
    wanted = []
    for index, (x1, y1, x2, y2) in enumerate(anchors.tolist()):
        x, y, stride = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1
        least, most = (0, 32) if index < 64 else (32, math.inf)
        best = (math.inf, -1)
        for place, (left, top, right, bottom) in enumerate(boxes.tolist()):
            sides = (x - left, y - top, right - x, bottom - y)
            near = max(abs(x - (left + right) / 2), abs(y - (top + bottom) / 2)) < 1.5 * stride
            if near and min(sides) > 0 and least < max(sides) < most:
                best = min(best, ((right - left) * (bottom - top), place))
        wanted.append(best[1])
    assert len(set(wanted)) > 3
    assert model._assigned(boxes, anchors, [64, 16]).tolist() == wanted


# ---------------------------------------------------------------- losses
def _log_softmax(values):
    values = values - values.max(-1, keepdims=True)
    return values - np.log(np.exp(values).sum(-1, keepdims=True))


def test_losses_of_ssd():
    """Against NumPy: the worst three times as many others as there are objects count."""
    mg.manual_seed(0)
    model = small_ssd()
    image, target = scene()
    with mg.no_grad():
        found = model([image, image], [target, EMPTY])
        outputs = model.head(list(model.backbone(model.transform([image])[0].tensors).values()))
        (anchors,) = model.anchor_generator(
            ImageList(mg.zeros(1, 3, 32, 32), [(32, 32)]), [mg.zeros(1, 1, 8, 8), mg.zeros(1, 1, 4, 4)]
        )
    offsets, logits = outputs["bbox_regression"][0].numpy(), outputs["cls_logits"][0].numpy()
    match = model.proposal_matcher(mg.vision.ops.box_iou(target["boxes"], anchors)).numpy()
    labels = np.where(match >= 0, np.array([1, 2])[match], 0)
    losses = -_log_softmax(logits)[np.arange(len(labels)), labels]
    objects = int((labels > 0).sum())
    worst = np.sort(losses[labels == 0])[::-1][: 3 * objects].sum()
    assert found["classification"].item() == pytest.approx((losses[labels > 0].sum() + worst) / objects, rel=1e-4)
    boxes, known = anchors.numpy()[match >= 0], target["boxes"].numpy()[match[match >= 0]]
    size, known_size = boxes[:, 2:] - boxes[:, :2], known[:, 2:] - known[:, :2]
    shift = (known[:, :2] + known_size / 2 - boxes[:, :2] - size / 2) / size
    wanted = np.concatenate([10 * shift, 5 * np.log(known_size / size)], 1)
    gap = np.abs(offsets[match >= 0] - wanted)
    smooth = np.where(gap < 1, 0.5 * gap**2, gap - 0.5).sum()
    assert found["bbox_regression"].item() == pytest.approx(smooth / objects, rel=1e-4)


def test_losses_of_fcos():
    """Against NumPy, with boxes that are exactly where they should be."""
    mg.manual_seed(0)
    model = small_fcos()
    image, target = scene()
    (anchors,) = model.anchor_generator(
        ImageList(mg.zeros(1, 3, 32, 32), [(32, 32)]), [mg.zeros(1, 1, 8, 8), mg.zeros(1, 1, 4, 4)]
    )
    match = model._assigned(target["boxes"], anchors, [64, 16])
    exact = model.box_coder.encode(anchors, target["boxes"][match.clamp(min=0)])
    logits, middles = mg.randn(1, 80, 3), mg.randn(1, 80, 1)
    outputs = {"cls_logits": logits, "bbox_regression": exact[None], "bbox_ctrness": middles}
    found = model._losses([target], outputs, [anchors], [64, 16])
    inside = match.numpy() >= 0
    count = inside.sum()
    assert count > 1 and found["bbox_regression"].item() == pytest.approx(0, abs=1e-5)
    left, top, right, bottom = exact.numpy()[inside].T
    middle = np.sqrt(
        np.minimum(left, right) / np.maximum(left, right) * np.minimum(top, bottom) / np.maximum(top, bottom)
    )
    odds = middles[0, :, 0].numpy()[inside]
    cross = np.log1p(np.exp(-odds)) * middle + np.log1p(np.exp(odds)) * (1 - middle)
    assert found["bbox_ctrness"].item() == pytest.approx(cross.sum() / count, rel=1e-4)
    wanted = np.zeros((80, 3))
    wanted[inside, target["labels"].numpy()[match.numpy()[inside]]] = 1
    p = 1 / (1 + np.exp(-logits[0].numpy()))
    right = np.where(wanted == 1, p, 1 - p)
    focal = np.where(wanted == 1, 0.25, 0.75) * (1 - right) ** 2 * -np.log(right)
    assert found["classification"].item() == pytest.approx(focal.sum() / count, rel=1e-4)


@pytest.mark.parametrize("make", [small_ssd, small_fcos])
def test_a_scene_is_learned(make):
    mg.manual_seed(0)
    model = make()
    image, target = scene()
    optimizer = mg.optim.Adam(model.parameters(), lr=0.01)
    totals = []
    for _ in range(100):
        optimizer.zero_grad()
        total = sum(model([image], [target]).values())
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.6 * totals[0]
    with mg.no_grad():
        (found,) = model.eval()([image])
    assert list(found) == ["boxes", "scores", "labels"]
    assert bool((found["scores"].diff() <= 0).all())
    for label, box in zip((1, 2), BOXES):
        best = found["boxes"][(found["labels"] == label).nonzero()[0]]
        assert mg.vision.ops.box_iou(best, box[None]).item() > 0.6


@pytest.mark.parametrize("make", [small_ssd, small_fcos])
def test_images_without_objects(make):
    mg.manual_seed(0)
    image, target = scene()
    for targets in ([EMPTY], [EMPTY, target]):
        model = make()
        losses = model([image] * len(targets), targets)
        assert all(math.isfinite(loss.item()) for loss in losses.values())
        assert (losses["bbox_regression"].item() > 0) == (len(targets) == 2)
        sum(losses.values()).backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
    (found,) = make(score_thresh=1.0).eval()([image])
    assert [len(value) for value in found.values()] == [0, 0, 0]
    with pytest.raises(AssertionError, match="targets should not be none"):
        make()([image])


def test_at_most_so_many_are_found():
    mg.manual_seed(0)
    image, _ = scene()
    settings = {"score_thresh": 0.0, "nms_thresh": 1.0}
    (found,) = small_ssd(topk_candidates=5, **settings).eval()([image])
    assert found["labels"].bincount().tolist() == [0, 5, 5]
    (found,) = small_ssd(detections_per_img=7, **settings).eval()([image])
    assert len(found["boxes"]) == 7
    (found,) = small_fcos(topk_candidates=5, **settings).eval()([image])
    assert len(found["boxes"]) == 10  # of each level


# ---------------------------------------------------------------- networks and builders
def test_heads_are_replaced():
    """As programs do that train a network for classes of their own."""
    mg.manual_seed(0)
    model = small_ssd()
    channels = _utils.retrieve_out_channels(model.backbone, (32, 32))
    anchors = model.anchor_generator.num_anchors_per_location()
    assert channels == [32, 32] and model.backbone.training
    model.head.classification_head = ssd.SSDClassificationHead(channels, anchors, 5)
    assert tuple(model.head([mg.zeros(1, 32, 8, 8), mg.zeros(1, 32, 4, 4)])["cls_logits"].shape) == (1, 320, 5)
    norm = nn.BatchNorm2d
    lite = ssdlite.SSDLiteHead(channels, anchors, 5, norm)([mg.zeros(1, 32, 8, 8), mg.zeros(1, 32, 4, 4)])
    assert {name: tuple(values.shape) for name, values in lite.items()} == {
        "bbox_regression": (1, 320, 4),
        "cls_logits": (1, 320, 5),
    }
    for head in (
        fcos.FCOSClassificationHead(32, 1, 3),
        retinanet.RetinaNetClassificationHead(32, 1, 3, norm_layer=norm),
    ):
        assert bool((head.cls_logits.bias.sigmoid() - 0.01).abs().max() < 1e-6)
        head.num_classes = 5
        head.cls_logits = nn.Conv2d(32, 5, 3, padding=1)
        assert tuple(head([mg.zeros(1, 32, 4, 4)]).shape) == (1, 16, 5)


def test_inner_maps():
    model = models.detection.ssdlite320_mobilenet_v3_large(3, image_size=96, width_mult=0.25).eval()
    part = feature_extraction.create_feature_extractor(model, {"backbone.extra.0": "maps", "head": "found"})
    found = part([mg.rand(3, 50, 70)])
    assert tuple(found["maps"].shape) == (1, 512, 2, 2)
    assert sorted(found["found"]) == ["bbox_regression", "cls_logits"]


def test_networks_that_cannot_be():
    with pytest.raises(ValueError, match=r"backbone \(1\) do not match the length of the anchor generator .* \(2\)"):
        small_ssd(out_channels=[32])
    with pytest.raises(ValueError, match="should contain an attribute out_channels"):
        models.detection.FCOS(Maps(), 2)
    with pytest.raises(TypeError, match="anchor_generator should be of type"):
        models.detection.FCOS(Maps(32), 2, anchor_generator=3)
    two = anchor_utils.AnchorGenerator(((4,), (8,)), ((1.0, 2.0),) * 2)
    with pytest.raises(ValueError, match="should be 1 instead of 2"):
        models.detection.FCOS(Maps(32), 2, anchor_generator=two)
    block = models.mobilenet_v3_small(width_mult=0.25).features
    with pytest.raises(ValueError, match="use_res_connect should be False"):
        ssdlite.SSDLiteFeatureExtractorMobileNet(block, 3, nn.BatchNorm2d)
    with pytest.raises(ValueError, match="nothing is left of images of 200 pixels"):
        models.detection.ssd300_vgg16(image_size=200)
    with pytest.raises(ValueError, match="images of 1 channels need image_mean and image_std"):
        models.detection.ssd300_vgg16(in_channels=1)


@pytest.mark.parametrize("name, side", [("ssd300_vgg16", 300), ("ssdlite320_mobilenet_v3_large", 320)])
def test_maps_of_the_builders_networks(name, side, undrawn):
    """The channels that the backbones say are those of their maps, whose sides are the papers'."""
    network = models.build(name, num_classes=3)
    assert network.transform.fixed_size == (side, side)
    sides = {300: (38, 19, 10, 5, 3, 1), 320: (20, 10, 5, 3, 2, 1)}[side]
    for parameter in network.backbone.parameters():
        nn.init.zeros_(parameter)
    with mg.no_grad():
        maps = network.backbone.eval()(mg.zeros(1, 3, side, side))
    assert [tuple(level.shape[1:]) for level in maps.values()] == [
        (channels, grid, grid) for channels, grid in zip(network.backbone.out_channels, sides)
    ]


def test_a_smaller_ssdlite():
    mg.manual_seed(0)
    model = models.detection.ssdlite320_mobilenet_v3_large(3, image_size=96, width_mult=0.25)
    image, target = scene()
    losses = model([image, image], [target, EMPTY])
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    (found,) = model.eval()([image])
    assert list(found) == ["boxes", "scores", "labels"]
    assert bool((found["boxes"] <= 32).all())


FROZEN = [
    ("ssd300_vgg16", 5, "features", {"0", "2"}),
    ("ssdlite320_mobilenet_v3_large", 6, "features", set()),
    ("fcos_resnet50_fpn", 5, "body", {"conv1", "layer1"}),
    ("keypointrcnn_resnet50_fpn", 5, "body", {"conv1", "layer1"}),
]


def frozen_parts(network, part):
    parameters = getattr(network.backbone, part).named_parameters()
    return {key.split(".")[0] for key, value in parameters if not value.requires_grad}


@pytest.mark.parametrize("name, most, part, frozen", FROZEN)
def test_weights(name, most, part, frozen, monkeypatch, undrawn):
    """What is trained with weights of all or of the backbone, or of none."""

    def state(self, **kw):
        asked.append(repr(self))
        return models.build(self.builder).state_dict()

    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", state)
    asked = []
    network = models.build(name, weights="DEFAULT")
    assert asked == [repr(published.enumeration_of(name).DEFAULT)]
    assert frozen_parts(network, part) == frozen
    norms = {layer.eps for layer in network.modules() if isinstance(layer, mg.vision.ops.FrozenBatchNorm2d)}
    assert norms == {"fcos_resnet50_fpn": {1e-5}, "keypointrcnn_resnet50_fpn": {0.0}}.get(name, set())
    assert not frozen_parts(models.build(name), part)
    with pytest.raises(ValueError, match=rf"should be in the range \[0,{most}\], got 9"):
        models.build(name, weights="DEFAULT", trainable_backbone_layers=9)
    network = models.build(name, weights_backbone="DEFAULT", num_classes=3, trainable_backbone_layers=0)
    assert not any(value.requires_grad for value in getattr(network.backbone, part).parameters())
    with pytest.raises(ValueError, match="'num_classes' expected value"):
        models.build(name, weights="DEFAULT", num_classes=7)


def test_weights_of_before(monkeypatch, undrawn):
    """What pretrained=True was is not always the first or the newest file."""
    asked = []

    def state(self, **kw):
        asked.append(repr(self))
        return models.build(self.builder).state_dict()

    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", state)
    with pytest.warns(UserWarning, match="deprecated since 0.13"):
        models.detection.ssd300_vgg16(pretrained_backbone=True)
        models.detection.keypointrcnn_resnet50_fpn(pretrained=True)
        models.detection.keypointrcnn_resnet50_fpn(pretrained="legacy")
    assert [member.partition(".")[2] for member in asked] == ["IMAGENET1K_FEATURES", "COCO_V1", "COCO_LEGACY"]
    with pytest.raises(ValueError, match="'num_keypoints' expected value 17 but got 5"):
        models.detection.keypointrcnn_resnet50_fpn(weights="DEFAULT", num_keypoints=5)


def test_a_file_of_ones_own(tmp_path, undrawn):
    name = "ssdlite320_mobilenet_v3_large"
    first = models.build(name, num_classes=3, width_mult=0.25)
    for values in first.state_dict().values():
        values.fill_(3)
    mg.save(first.state_dict(), tmp_path / "own.pth")
    second = models.build(name, num_classes=3, width_mult=0.25, weights=tmp_path / "own.pth")
    assert name in models.list_models(models.detection)
    assert all(bool((values == 3).all()) for values in second.state_dict().values())
