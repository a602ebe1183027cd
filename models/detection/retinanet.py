"""RetinaNet (Lin, Goyal, Girshick, He and Dollár, "Focal Loss for Dense Object Detection", 2017)."""
import math
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision import ops
from minigrad.vision.ops.pyramid import LastLevelP6P7
from models.detection._utils import BoxCoder, Matcher, flat_maps
from models.detection.anchor_utils import AnchorGenerator
from models.detection.backbone_utils import pyramid
from models.detection.builders import detector
from models.detection.generalized_rcnn import check_backbone
from models.detection.one_stage import OneStage
from models.detection.transform import NORMAL, GeneralizedRCNNTransform
from models.registry import OldNames

__all__ = ["RetinaNet", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2"]

DEPTH = 4  # convolutions of a head
LOSSES = ("l1", "giou")


def default_anchors():
    """Anchors of three sizes and three ratios per level of the pyramid."""
    sizes = tuple(tuple(int(side * 2 ** (third / 3)) for third in range(3)) for side in (32, 64, 128, 256, 512))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


class _Head(nn.Module):
    """Four convolutions, which those of a derived class follow."""

    def __init__(self, in_channels, norm_layer):
        super().__init__()
        blocks = [ops.Conv2dNormActivation(in_channels, in_channels, norm_layer=norm_layer) for _ in range(DEPTH)]
        self.conv = nn.Sequential(*blocks)

    def _draw(self):
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


class RetinaNetClassificationHead(_Head):
    """Scores (N, anchors, num_classes) of the classes; they start at the probability prior_probability."""

    def __init__(self, in_channels, num_anchors, num_classes, prior_probability=0.01, norm_layer=None):
        super().__init__(in_channels, norm_layer)
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * num_classes, kernel_size=3, padding=1)
        self._draw()
        nn.init.constant_(self.cls_logits.bias, -math.log((1 - prior_probability) / prior_probability))
        self.num_classes = num_classes
        self.num_anchors = num_anchors

    def forward(self, x):
        return minigrad.cat([flat_maps(self.cls_logits(self.conv(maps)), self.num_classes) for maps in x], 1)


class RetinaNetRegressionHead(_Head):
    """Offsets (N, anchors, 4) of the boxes; loss_type is "l1" of the offsets or "giou" of the boxes."""

    def __init__(self, in_channels, num_anchors, norm_layer=None, loss_type="l1"):
        super().__init__(in_channels, norm_layer)
        if loss_type not in LOSSES:
            raise ValueError(f"loss_type must be one of {', '.join(LOSSES)}, but got {loss_type!r}")
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=3, padding=1)
        self._draw()
        self.loss_type = loss_type

    def forward(self, x):
        return minigrad.cat([flat_maps(self.bbox_reg(self.conv(maps)), 4) for maps in x], 1)


class RetinaNetHead(nn.Module):
    """Both heads, with a dict of cls_logits and bbox_regression."""

    def __init__(self, in_channels, num_anchors, num_classes, norm_layer=None, loss_type="l1"):
        super().__init__()
        self.classification_head = RetinaNetClassificationHead(
            in_channels, num_anchors, num_classes, norm_layer=norm_layer
        )
        self.regression_head = RetinaNetRegressionHead(in_channels, num_anchors, norm_layer, loss_type)

    def forward(self, x):
        return {"cls_logits": self.classification_head(x), "bbox_regression": self.regression_head(x)}


def _block(match):
    return f"{match[1]}_head.conv.{int(match[2]) // 2}.0.{match[3]}"


class RetinaNet(OldNames, OneStage):
    """A class and a place for every anchor, without proposals; the focal loss makes up for the many that are nothing.

    Args:
        backbone: with the attribute out_channels; returns maps, or a dict of maps of several sizes.
        num_classes: with one for the background, which is never found.
        min_size, max_size, image_mean, image_std, kwargs: see GeneralizedRCNNTransform.
        anchor_generator, head, proposal_matcher: the parts; None for the paper's.
        score_thresh, nms_thresh, detections_per_img: of what is found: least probability, overlap, number.
        fg_iou_thresh, bg_iou_thresh: overlaps from which an anchor is an object, and below which it is none.
        topk_candidates: of each level, before suppression.

    Raises:
        ValueError: for a backbone without out_channels.
        TypeError: for an anchor_generator that is none.

    Source: Lin et al. 2017, https://arxiv.org/abs/1708.02002;
    https://docs.pytorch.org/vision/stable/models/retinanet.html
    """

    old_names = (  # before torchvision 0.13
        (r"(classification|regression)_head\.conv\.([0246])\.(weight|bias)$", _block),
        (r"\.(inner_blocks|layer_blocks)\.(\d+)\.(weight|bias)$", r".\1.\2.0.\3"),
    )

    def __init__(
        self,
        backbone,
        num_classes,
        min_size=800,
        max_size=1333,
        image_mean=None,
        image_std=None,
        anchor_generator=None,
        head=None,
        proposal_matcher=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=300,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.4,
        topk_candidates=1000,
        **kwargs,
    ):
        super().__init__()
        check_backbone(backbone)
        if not isinstance(anchor_generator, (AnchorGenerator, type(None))):
            raise TypeError(
                f"anchor_generator should be of type AnchorGenerator or None instead of {type(anchor_generator)}"
            )
        self.backbone = backbone
        self.anchor_generator = anchor_generator or default_anchors()
        anchors = self.anchor_generator.num_anchors_per_location()[0]
        self.head = head or RetinaNetHead(backbone.out_channels, anchors, num_classes)
        self.proposal_matcher = proposal_matcher or Matcher(fg_iou_thresh, bg_iou_thresh, True)
        self.box_coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        mean, std = image_mean or NORMAL[0], image_std or NORMAL[1]
        self.transform = GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates

    def _losses(self, targets, outputs, anchors, counts):
        """The focal loss of the classes and the loss of the boxes, per object and image."""
        classes, places = [], []
        for target, logits, offsets, boxes in zip(targets, outputs["cls_logits"], outputs["bbox_regression"], anchors):
            if target["boxes"].numel() == 0:
                match = minigrad.full((len(boxes),), Matcher.BELOW_LOW_THRESHOLD, device=boxes.device)
            else:
                match = self.proposal_matcher(ops.box_iou(target["boxes"], boxes))
            objects = (match >= 0).nonzero()[:, 0]
            count = max(1, len(objects))
            wanted = minigrad.zeros_like(logits)
            wanted[objects, target["labels"][match[objects]]] = 1.0
            clear = match != Matcher.BETWEEN_THRESHOLDS
            classes.append(ops.sigmoid_focal_loss(logits[clear], wanted[clear], reduction="sum") / count)
            known = target["boxes"][match[objects]]
            places.append(self._box_loss(known, offsets[objects], boxes[objects]) / count)
        return {"classification": sum(classes) / len(targets), "bbox_regression": sum(places) / len(targets)}

    def _box_loss(self, known, offsets, anchors):
        if len(anchors) == 0:
            return offsets.sum() * 0
        if self.head.regression_head.loss_type == "l1":
            return nn.functional.l1_loss(offsets, self.box_coder.encode([known], [anchors])[0], reduction="sum")
        found = self.box_coder.decode(offsets, [anchors])[:, 0]
        return ops.generalized_box_iou_loss(found, known, reduction="sum", eps=1e-7)


pyramid_to_p7 = partial(pyramid, returned_layers=[2, 3, 4], extra_blocks=partial(LastLevelP6P7, 256, 256))


@detector(pyramid_to_p7, first_files=True)
def retinanet_resnet50_fpn(backbone, num_classes, **kw):
    """RetinaNet on ResNet-50: 34,068,119 parameters (with weights 34,014,999); kw are arguments of RetinaNet.

    With weights, of all or of the backbone, the batch norms of the backbone are constants and its first two stages
    are not trained. ``trained`` is what weights are.
    """
    return RetinaNet(backbone, num_classes, **kw)


@detector(partial(pyramid_to_p7, extra_blocks=partial(LastLevelP6P7, 2048, 256), frozen=False))
def retinanet_resnet50_fpn_v2(backbone, num_classes, **kw):
    """RetinaNet with group norm in its heads on ResNet-50: 38,198,935 parameters; kw are arguments of RetinaNet."""
    anchors = default_anchors()
    norm = partial(nn.GroupNorm, 32)
    head = RetinaNetHead(backbone.out_channels, anchors.num_anchors_per_location()[0], num_classes, norm, "giou")
    return RetinaNet(backbone, num_classes, anchor_generator=anchors, head=head, **kw)
