"""The region proposal network (Ren et al., "Faster R-CNN", 2015, section 3.1)."""
import minigrad
from minigrad import nn
from minigrad.vision import ops
from models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder, Matcher, flat_maps
from models.detection.anchor_utils import AnchorGenerator

__all__ = ["AnchorGenerator", "RPNHead", "RegionProposalNetwork"]

SMALLEST = 1e-3  # sides of proposals


class RPNHead(nn.Module):
    """Convolutions, and two 1x1 ones: is there an object, and where, for each anchor of each position.

    Args:
        in_channels: channels of the maps.
        num_anchors: boxes per position.
        conv_depth: number of 3x3 convolutions.
    """

    def __init__(self, in_channels, num_anchors, conv_depth=1):
        super().__init__()
        blocks = [ops.Conv2dNormActivation(in_channels, in_channels, norm_layer=None) for _ in range(conv_depth)]
        self.conv = nn.Sequential(*blocks)
        self.cls_logits = nn.Conv2d(in_channels, num_anchors, kernel_size=1)
        self.bbox_pred = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        hidden = [self.conv(maps) for maps in x]
        return [self.cls_logits(maps) for maps in hidden], [self.bbox_pred(maps) for maps in hidden]


def concat_box_prediction_layers(box_cls, box_regression):
    """Logits and offsets of all maps, lists of (N, anchors · numbers, H, W), as (N · all anchors, numbers) each.

    The anchors are image by image in the order of AnchorGenerator's.
    """
    classes = []
    for logits, offsets in zip(box_cls, box_regression):
        anchors = offsets.shape[1] // 4
        classes.append(flat_maps(logits, logits.shape[1] // anchors))
    offsets = minigrad.cat([flat_maps(level, 4) for level in box_regression], 1)
    return minigrad.cat(classes, 1).flatten(0, -2), offsets.reshape(-1, 4)


class RegionProposalNetwork(nn.Module):
    """Boxes in which there may be objects, best first, and in training the losses.

    Args:
        anchor_generator, head: see AnchorGenerator and RPNHead.
        fg_iou_thresh, bg_iou_thresh: overlaps from which a box is an object, and below which it is none.
        batch_size_per_image, positive_fraction: see BalancedPositiveNegativeSampler.
        pre_nms_top_n, post_nms_top_n: dicts of "training" and "testing": how many boxes of each map are kept before
            suppression, and of each image after it.
        nms_thresh: see ops.nms.
        score_thresh: least probability.
    """

    def __init__(
        self,
        anchor_generator,
        head,
        fg_iou_thresh,
        bg_iou_thresh,
        batch_size_per_image,
        positive_fraction,
        pre_nms_top_n,
        post_nms_top_n,
        nms_thresh,
        score_thresh=0.0,
    ):
        super().__init__()
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        self.proposal_matcher = Matcher(fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True)
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(batch_size_per_image, positive_fraction)
        self._pre_nms_top_n = pre_nms_top_n
        self._post_nms_top_n = post_nms_top_n
        self.nms_thresh = nms_thresh
        self.score_thresh = score_thresh
        self.min_size = SMALLEST

    def _assigned(self, anchors, target):
        """Labels (n,) of an image's anchors, 1, 0 and -1 for neither, and the boxes (n, 4) they stand for."""
        boxes = target["boxes"]
        if boxes.numel() == 0:
            return anchors.new_zeros(len(anchors)), minigrad.zeros_like(anchors)
        matches = self.proposal_matcher(ops.box_iou(boxes, anchors))
        labels = minigrad.where(matches >= 0, 1.0, minigrad.where(matches == Matcher.BELOW_LOW_THRESHOLD, 0.0, -1.0))
        return labels.to(anchors.dtype), boxes[matches.clamp(min=0)]

    def assign_targets_to_anchors(self, anchors, targets):
        """Of all images: labels (n,) of the anchors, 1, 0 and -1 for neither, and the boxes (n, 4) they stand for."""
        labels, boxes = zip(*(self._assigned(*pair) for pair in zip(anchors, targets)))
        return list(labels), list(boxes)

    def filter_proposals(self, proposals, objectness, image_shapes, num_anchors_per_level):
        """The best boxes of each image and their probabilities: two lists.

        Args:
            proposals: (N, anchors, 4).
            objectness: logits, N · anchors of them.
            image_shapes: (height, width) of each image.
            num_anchors_per_level: of an image.
        """
        objectness = objectness.detach().reshape(len(proposals), -1)
        mode = "training" if self.training else "testing"
        chosen, levels, offset = [], [], 0
        for level, scores in enumerate(objectness.split(num_anchors_per_level, 1)):
            best = scores.topk(min(self._pre_nms_top_n[mode], scores.shape[1]), 1)[1]
            chosen.append(best + offset)
            levels.append(minigrad.full_like(best[0], level))
            offset += scores.shape[1]
        chosen, levels = minigrad.cat(chosen, 1), minigrad.cat(levels, 0)
        found, probabilities = [], []
        for boxes, scores, places, shape in zip(proposals, objectness.sigmoid(), chosen, image_shapes):
            boxes, scores = ops.clip_boxes_to_image(boxes[places], shape), scores[places]
            large = ops.remove_small_boxes(boxes, self.min_size)
            large = large[scores[large] >= self.score_thresh]
            kept = large[ops.batched_nms(boxes[large], scores[large], levels[large], self.nms_thresh)]
            kept = kept[: self._post_nms_top_n[mode]]
            found.append(boxes[kept])
            probabilities.append(scores[kept])
        return found, probabilities

    def compute_loss(self, objectness, pred_bbox_deltas, labels, regression_targets):
        """The losses of the logits (N · anchors, 1) and of the offsets (N · anchors, 4) of some of the anchors.

        Args:
            labels, regression_targets: what they should be, lists of (anchors,) and (anchors, 4), one per image.
        """
        positive, negative = (minigrad.cat(masks, 0).nonzero()[:, 0] for masks in self.fg_bg_sampler(labels))
        sampled = minigrad.cat([positive, negative], 0)
        labels, wanted = minigrad.cat(labels, 0), minigrad.cat(regression_targets, 0)
        settings = {"beta": 1 / 9, "reduction": "sum"}
        box_loss = nn.functional.smooth_l1_loss(pred_bbox_deltas[positive], wanted[positive], **settings)
        logits = objectness.flatten()[sampled]
        return nn.functional.binary_cross_entropy_with_logits(logits, labels[sampled]), box_loss / len(sampled)

    def forward(self, images, features, targets=None):
        """The boxes, a list of (n, 4) one per image, and a dict of losses, empty unless in training.

        Raises:
            ValueError: in training without targets.
        """
        maps = list(features.values())
        logits, offsets = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        counts = [level[0].numel() for level in logits]
        objectness, offsets = concat_box_prediction_layers(logits, offsets)
        proposals = self.box_coder.decode(offsets.detach(), anchors).reshape(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, objectness, images.image_sizes, counts)
        if not self.training:
            return boxes, {}
        if targets is None:
            raise ValueError("targets should not be None")
        labels, known = self.assign_targets_to_anchors(anchors, targets)
        losses = self.compute_loss(objectness, offsets, labels, self.box_coder.encode(known, anchors))
        return boxes, dict(zip(("loss_objectness", "loss_rpn_box_reg"), losses))
