"""FCOS (Tian, Shen, Chen and He, "FCOS: Fully Convolutional One-Stage Object Detection", 2019)."""
import math
from functools import partial

import minigrad
from minigrad import nn
from minigrad.vision import ops
from models.detection._utils import BoxLinearCoder, flat_maps
from models.detection.anchor_utils import AnchorGenerator
from models.detection.builders import detector
from models.detection.generalized_rcnn import check_backbone
from models.detection.one_stage import OneStage
from models.detection.retinanet import pyramid_to_p7
from models.detection.transform import NORMAL, GeneralizedRCNNTransform

__all__ = ["FCOS", "fcos_resnet50_fpn"]

STRIDES = (8, 16, 32, 64, 128)  # pixels between the positions of the levels
REACH = (4, 8)  # sides of objects of a level, from their points to the farthest side, in strides


def _tower(in_channels, num_convs, norm_layer):
    """3x3 convolutions, each with a normalisation (None for group norm) and ReLU."""
    norm_layer = norm_layer or partial(nn.GroupNorm, 32)
    layers = []
    for _ in range(num_convs):
        layers += [nn.Conv2d(in_channels, in_channels, 3, padding=1), norm_layer(in_channels), nn.ReLU()]
    return nn.Sequential(*layers)


def _draw(module):
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)


class FCOSClassificationHead(nn.Module):
    """Scores (N, points, num_classes) of the classes; they start at the probability prior_probability.

    Args:
        in_channels: of the maps.
        num_anchors: points per position, which is 1.
        num_classes: how many numbers.
        num_convs: convolutions before the last one.
        prior_probability: of each class.
        norm_layer: makes a normalisation of so many channels; None for group norm of 32 groups.
    """

    def __init__(
        self, in_channels, num_anchors, num_classes, num_convs=4, prior_probability=0.01, norm_layer=None
    ):  # fmt: skip
        super().__init__()
        self.num_classes = num_classes
        self.num_anchors = num_anchors
        self.conv = _tower(in_channels, num_convs, norm_layer)
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * num_classes, kernel_size=3, padding=1)
        _draw(self)
        nn.init.constant_(self.cls_logits.bias, -math.log((1 - prior_probability) / prior_probability))

    def forward(self, x):
        return minigrad.cat([flat_maps(self.cls_logits(self.conv(maps)), self.num_classes) for maps in x], 1)


class FCOSRegressionHead(nn.Module):
    """Distances (N, points, 4) of the sides, and logits (N, points, 1) of how much a point is in the middle.

    The arguments are those of FCOSClassificationHead.
    """

    def __init__(self, in_channels, num_anchors, num_convs=4, norm_layer=None):
        super().__init__()
        self.conv = _tower(in_channels, num_convs, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=3, padding=1)
        self.bbox_ctrness = nn.Conv2d(in_channels, num_anchors, kernel_size=3, padding=1)
        _draw(self)

    def forward(self, x):
        hidden = [self.conv(maps) for maps in x]
        distances = [flat_maps(nn.functional.relu(self.bbox_reg(maps)), 4) for maps in hidden]
        middles = [flat_maps(self.bbox_ctrness(maps), 1) for maps in hidden]
        return minigrad.cat(distances, 1), minigrad.cat(middles, 1)


class FCOSHead(nn.Module):
    """Both heads, with a dict of cls_logits, bbox_regression and bbox_ctrness."""

    def __init__(self, in_channels, num_anchors, num_classes, num_convs=4):
        super().__init__()
        self.classification_head = FCOSClassificationHead(in_channels, num_anchors, num_classes, num_convs)
        self.regression_head = FCOSRegressionHead(in_channels, num_anchors, num_convs)

    def forward(self, x):
        distances, middles = self.regression_head(x)
        return {"cls_logits": self.classification_head(x), "bbox_regression": distances, "bbox_ctrness": middles}


class FCOS(OneStage):
    """A class and the distances to four sides for every point of the maps, without anchors of several forms.

    Args:
        backbone: with the attribute out_channels; returns maps, or a dict of maps of several sizes.
        num_classes: with one for the background, which is never found.
        min_size, max_size, image_mean, image_std, kwargs: see GeneralizedRCNNTransform.
        anchor_generator: one square of a stride's side per position; None for the paper's.
        head: None for FCOSHead.
        center_sampling_radius: in strides, how far from an object's centre its points may be.
        score_thresh, nms_thresh, detections_per_img: of what is found: least score, overlap, number.
        topk_candidates: of each level, before suppression.

    Raises:
        ValueError: for a backbone without out_channels, or several anchors per position.
        TypeError: for an anchor_generator that is none.

    Source: Tian et al. 2019, https://arxiv.org/abs/1904.01355; https://docs.pytorch.org/vision/stable/models/fcos.html
    """

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
        center_sampling_radius=1.5,
        score_thresh=0.2,
        nms_thresh=0.6,
        detections_per_img=100,
        topk_candidates=1000,
        **kwargs,
    ):
        super().__init__()
        check_backbone(backbone)
        if not isinstance(anchor_generator, (AnchorGenerator, type(None))):
            raise TypeError(
                f"anchor_generator should be of type AnchorGenerator or None, instead  got {type(anchor_generator)}"
            )
        if anchor_generator is None:
            anchor_generator = AnchorGenerator(tuple((side,) for side in STRIDES), ((1.0,),) * len(STRIDES))
        anchors = anchor_generator.num_anchors_per_location()[0]
        if anchors != 1:
            raise ValueError(f"anchor_generator.num_anchors_per_location()[0] should be 1 instead of {anchors}")
        self.backbone = backbone
        self.anchor_generator = anchor_generator
        self.head = head or FCOSHead(backbone.out_channels, anchors, num_classes)
        self.box_coder = BoxLinearCoder(normalize_by_size=True)
        mean, std = image_mean or NORMAL[0], image_std or NORMAL[1]
        self.transform = GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs)
        self.center_sampling_radius = center_sampling_radius
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates

    def _assigned(self, boxes, anchors, counts):
        """For each anchor the smallest object around its point of a size for its level, near whose centre it is; or -1.

        Args:
            boxes: (n, 4), the objects.
            anchors: (points, 4) of all levels.
            counts: how many points each level has.
        """
        if len(boxes) == 0:
            return minigrad.full((len(anchors),), -1, device=anchors.device)
        points = ((anchors[:, :2] + anchors[:, 2:]) / 2).unsqueeze(1)  # (points, 1, 2)
        strides = anchors[:, 2] - anchors[:, 0]
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        near = (points - centres).abs().amax(2) < self.center_sampling_radius * strides.unsqueeze(1)
        sides = minigrad.cat([points - boxes[:, :2], boxes[:, 2:] - points], 2)  # (points, n, 4)
        least, most = (strides * factor for factor in REACH)
        least[: counts[0]] = 0
        most[-counts[-1] :] = math.inf
        farthest = sides.amax(2)
        suits = near & (sides.amin(2) > 0) & (farthest > least.unsqueeze(1)) & (farthest < most.unsqueeze(1))
        best, match = (suits.to(minigrad.float32) * (1e8 - ops.box_area(boxes))).max(1)
        return minigrad.where(best < 1e-5, -1, match)

    def _losses(self, targets, outputs, anchors, counts):
        """The losses of classes, boxes, and how far points are from the middle, per point with an object."""
        objects, labels, known = [], [], []
        for target, boxes in zip(targets, anchors):
            match = self._assigned(target["boxes"], boxes, counts)
            objects.append(match >= 0)
            labels.append(target["labels"][match[objects[-1]]])
            known.append(target["boxes"][match[objects[-1]]])
        objects = minigrad.stack(objects)  # (N, points)
        labels, known = minigrad.cat(labels, 0), minigrad.cat(known, 0)
        count = max(1, len(labels))
        logits = outputs["cls_logits"]
        wanted = minigrad.zeros_like(logits)
        row, point = objects.nonzero().unbind(1)
        wanted[row, point, labels] = 1.0
        boxes = minigrad.stack(anchors)[objects]
        found = self.box_coder.decode(outputs["bbox_regression"][objects], boxes)
        sides = self.box_coder.encode(boxes, known)  # left, top, right, bottom
        pairs = minigrad.stack([sides[:, :2], sides[:, 2:]])
        middle = (pairs.amin(0) / pairs.amax(0)).prod(1).sqrt()
        middles = outputs["bbox_ctrness"][objects].squeeze(1)
        middle_loss = nn.functional.binary_cross_entropy_with_logits(middles, middle, reduction="sum")
        return {
            "classification": ops.sigmoid_focal_loss(logits, wanted, reduction="sum") / count,
            "bbox_regression": ops.generalized_box_iou_loss(found, known, reduction="sum") / count,
            "bbox_ctrness": middle_loss / count,
        }

    def _scores(self, outputs):
        return (outputs["cls_logits"].sigmoid() * outputs["bbox_ctrness"].sigmoid()).sqrt()

    def _decoded(self, offsets, anchors):
        return self.box_coder.decode(offsets, anchors)


@detector(pyramid_to_p7)
def fcos_resnet50_fpn(backbone, num_classes, **kw):
    """FCOS on ResNet-50: 32,322,720 parameters (with weights 32,269,600); kw are arguments of FCOS.

    With weights, of all or of the backbone, the batch norms of the backbone are constants and its first two stages
    are not trained. ``trained`` is what weights are.
    """
    return FCOS(backbone, num_classes, **kw)
