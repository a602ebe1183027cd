"""SSD (Liu et al., "SSD: Single Shot MultiBox Detector", 2015)."""
import math

import minigrad
from minigrad import nn
from minigrad.vision import ops
from models._utils import backbone_weights
from models.detection._utils import BoxCoder, SSDMatcher, flat_maps, retrieve_out_channels
from models.detection.anchor_utils import DefaultBoxGenerator
from models.detection.backbone_utils import chosen_layers
from models.detection.builders import detector
from models.detection.one_stage import OneStage
from models.detection.transform import NORMAL, GeneralizedRCNNTransform
from models.vgg import vgg16

__all__ = ["ssd300_vgg16"]

SIDE = 300
SMALLEST_SIDE = 268  # of which the last convolution makes 1x1 maps
STEPS = (8, 16, 32, 64, 100, 300)  # pixels of images of 300 between the positions of the maps


def draw_xavier(module):
    """Glorot's initialisation of the convolutions, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class SSDScoringHead(nn.Module):
    """One module per map, which makes so many numbers for each anchor of each position.

    Args:
        module_list: an nn.ModuleList.
        num_columns: how many numbers.
    """

    def __init__(self, module_list, num_columns):
        super().__init__()
        self.module_list = module_list
        self.num_columns = num_columns

    def forward(self, x):
        """The numbers (N, anchors, num_columns) of the maps."""
        return minigrad.cat([flat_maps(layer(maps), self.num_columns) for layer, maps in zip(self.module_list, x)], 1)


def _convolutions(in_channels, num_anchors, numbers):
    layers = [nn.Conv2d(width, numbers * count, 3, padding=1) for width, count in zip(in_channels, num_anchors)]
    layers = nn.ModuleList(layers)
    draw_xavier(layers)
    return layers


class SSDClassificationHead(SSDScoringHead):
    """Scores of the classes, of which 0 is the background; in_channels and num_anchors are lists, one per map."""

    def __init__(self, in_channels, num_anchors, num_classes):
        super().__init__(_convolutions(in_channels, num_anchors, num_classes), num_classes)


class SSDRegressionHead(SSDScoringHead):
    """Offsets of the boxes."""

    def __init__(self, in_channels, num_anchors):
        super().__init__(_convolutions(in_channels, num_anchors, 4), 4)


class SSDHead(nn.Module):
    """Both heads, with a dict of bbox_regression and cls_logits."""

    def __init__(self, in_channels, num_anchors, num_classes):
        super().__init__()
        self.classification_head = SSDClassificationHead(in_channels, num_anchors, num_classes)
        self.regression_head = SSDRegressionHead(in_channels, num_anchors)

    def forward(self, x):
        return {"bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)}


class SSD(OneStage):
    """A class and a place for every anchor; of the many that are nothing only the worst judged count.

    Args:
        backbone: returns maps, or a dict of maps of several sizes; may have the list out_channels.
        anchor_generator: a DefaultBoxGenerator for as many maps.
        size: (width, height) to which images are resized.
        num_classes: with the background.
        image_mean, image_std, kwargs: see GeneralizedRCNNTransform.
        head: None for SSDHead.
        score_thresh, nms_thresh, detections_per_img: of what is found: least probability, overlap, number.
        iou_thresh: overlap from which an anchor is an object.
        topk_candidates: of each class, before suppression.
        positive_fraction: share of objects among the anchors that count in training.

    Raises:
        ValueError: for anchors of another number of maps.

    Source: Liu et al. 2015, https://arxiv.org/abs/1512.02325; https://docs.pytorch.org/vision/stable/models/ssd.html
    """

    def __init__(
        self,
        backbone,
        anchor_generator,
        size,
        num_classes,
        image_mean=None,
        image_std=None,
        head=None,
        score_thresh=0.01,
        nms_thresh=0.45,
        detections_per_img=200,
        iou_thresh=0.5,
        topk_candidates=400,
        positive_fraction=0.25,
        **kwargs,
    ):
        super().__init__()
        self.backbone = backbone
        self.anchor_generator = anchor_generator
        self.box_coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
        if head is None:
            channels = backbone.out_channels if hasattr(backbone, "out_channels") else None
            channels = channels or retrieve_out_channels(backbone, size)
            maps = len(anchor_generator.aspect_ratios)
            if len(channels) != maps:
                raise ValueError(
                    f"The length of the output channels from the backbone ({len(channels)}) do not match the length of "
                    f"the anchor generator aspect ratios ({maps})"
                )
            head = SSDHead(channels, anchor_generator.num_anchors_per_location(), num_classes)
        self.head = head
        self.proposal_matcher = SSDMatcher(iou_thresh)
        normal = image_mean or NORMAL[0], image_std or NORMAL[1]
        settings = {"size_divisible": 1, "fixed_size": size, **kwargs}
        self.transform = GeneralizedRCNNTransform(min(size), max(size), *normal, **settings)
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates
        self.neg_to_pos_ratio = (1.0 - positive_fraction) / positive_fraction

    def _losses(self, targets, outputs, anchors, counts):
        """The loss of the boxes and the cross entropy of objects and of the worst others, per object."""
        places, labels, total = 0, [], 0
        for target, offsets, boxes in zip(targets, outputs["bbox_regression"], anchors):
            label = minigrad.zeros(len(boxes), dtype=target["labels"].dtype, device=boxes.device)
            labels.append(label)
            if target["boxes"].numel() == 0:
                places = places + offsets.sum() * 0
                continue
            match = self.proposal_matcher(ops.box_iou(target["boxes"], boxes))
            objects = (match >= 0).nonzero()[:, 0]
            total += len(objects)
            label[objects] = target["labels"][match[objects]]
            (wanted,) = self.box_coder.encode([target["boxes"][match[objects]]], [boxes[objects]])
            places = places + nn.functional.smooth_l1_loss(offsets[objects], wanted, reduction="sum")
        labels = minigrad.stack(labels)  # (N, anchors)
        logits = outputs["cls_logits"]
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        losses = losses.reshape(labels.shape)
        objects = labels > 0
        others = minigrad.where(objects, -math.inf, losses.detach())
        rank = others.sort(1, descending=True)[1].sort(1)[1]  # 0 for the worst
        counted = objects | (rank < self.neg_to_pos_ratio * objects.sum(1, keepdim=True))
        count = max(1, total)
        return {"bbox_regression": places / count, "classification": losses[counted].sum() / count}

    def _found(self, outputs, anchors, counts, shape):
        boxes = ops.clip_boxes_to_image(self._decoded(outputs["bbox_regression"], anchors), shape)
        scores = outputs["cls_logits"].softmax(-1)[:, 1:].t()  # (classes, anchors), without the background
        scores, places = scores.topk(min(self.topk_candidates, scores.shape[1]), 1)
        classes = minigrad.arange(1, len(scores) + 1, device=scores.device).unsqueeze(1).expand_as(scores)
        likely = scores > self.score_thresh
        return self._suppressed(boxes[places[likely]], scores[likely], classes[likely])


# ---------------------------------------------------------------- the backbone
class SSDFeatureExtractorVGG(nn.Module):
    """VGG's maps before its fourth pooling, scaled to norm 20, those of its end, and smaller ones of further layers.

    Args:
        backbone: the features of a VGG without batch norm.
        highres: one more convolution, for images of 512 pixels.
    """

    def __init__(self, backbone, highres):
        super().__init__()
        poolings = [index for index, layer in enumerate(backbone) if isinstance(layer, nn.MaxPool2d)]
        backbone[poolings[2]].ceil_mode = True
        self.scale_weight = nn.Parameter(minigrad.full((512,), 20.0))
        self.features = nn.Sequential(*backbone[: poolings[3]])
        last = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
            nn.Conv2d(512, 1024, kernel_size=3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, kernel_size=1),
            nn.ReLU(inplace=True),
        )
        halved, whole = {"kernel_size": 3, "padding": 1, "stride": 2}, {"kernel_size": 3}
        rows = [(1024, 256, 512, halved), (512, 128, 256, halved), (256, 128, 256, whole), (256, 128, 256, whole)]
        if highres:
            rows.append((256, 128, 256, {"kernel_size": 4}))
        further = [
            nn.Sequential(
                nn.Conv2d(inputs, hidden, kernel_size=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden, outputs, **settings),
                nn.ReLU(inplace=True),
            )
            for inputs, hidden, outputs, settings in rows
        ]
        for part in (last, *further):
            draw_xavier(part)
        self.extra = nn.ModuleList([nn.Sequential(*backbone[poolings[3] : -1], last), *further])
        self.out_channels = [512, 1024, *(outputs for _, _, outputs, _ in rows)]

    def forward(self, x):
        """A dict of the maps, largest first."""
        x = self.features(x)
        found = [self.scale_weight.reshape(1, -1, 1, 1) * nn.functional.normalize(x)]
        for block in self.extra:
            x = block(x)
            found.append(x)
        return {str(index): maps for index, maps in enumerate(found)}


def vgg_extractor(trained, trainable_backbone_layers, weights_backbone, in_channels, kw):
    """VGG-16 as the backbone of SSD, of whose 5 stages the first is not trained if there are weights."""
    weights = backbone_weights("vgg16", weights_backbone, kw, former="IMAGENET1K_FEATURES")
    if trained is not None:
        weights = None
    layers = chosen_layers(trained is not None or weights is not None, trainable_backbone_layers, 5, usual=4)
    few = {"num_classes": 1, "hidden": 1} if weights is None else {}  # the classifier is not used
    features = vgg16(weights=weights, in_channels=in_channels, **few).features
    stages = [0, *(index for index, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d))][:-1]
    frozen = len(features) if layers == 0 else stages[-layers]
    for layer in features[:frozen]:
        layer.requires_grad_(False)
    return SSDFeatureExtractorVGG(features, False)


@detector(vgg_extractor, image_size=SIDE, size="side")
def ssd300_vgg16(backbone, num_classes, side, **kw):
    """SSD300 on VGG-16: 35,641,826 parameters; kw are arguments of SSD.

    With weights, of all or of the backbone, the first of the backbone's five stages is not trained.
    """
    if side < SMALLEST_SIDE:
        raise ValueError(f"ssd300_vgg16: nothing is left of images of {side} pixels: at least {SMALLEST_SIDE} expected")
    anchors = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        steps=STEPS if side == SIDE else None,
    )
    normal = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1.0 / 255.0] * 3}
    return SSD(backbone, anchors, (side, side), num_classes, **{**normal, **kw})
