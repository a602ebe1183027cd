"""What is decided about each proposed box: its class, its exact place, and its mask."""
import minigrad
from minigrad import nn
from minigrad.vision import ops
from models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder, Matcher

__all__ = ["RoIHeads"]

SMALLEST = 1e-2  # sides of what is found


class RoIHeads(nn.Module):
    """Regions of the maps through heads; in training the losses.

    Args:
        box_roi_pool, box_head, box_predictor: regions, their features, and (scores, offsets) of all classes.
        fg_iou_thresh, bg_iou_thresh: overlaps from which a box is an object, and below which it is none.
        batch_size_per_image, positive_fraction: see BalancedPositiveNegativeSampler.
        bbox_reg_weights: see BoxCoder; None for (10, 10, 5, 5).
        score_thresh, nms_thresh, detections_per_img: of what is found: least probability, overlap, number.
        mask_roi_pool, mask_head, mask_predictor: the same for masks; None for none.
    """

    def __init__(
        self,
        box_roi_pool,
        box_head,
        box_predictor,
        fg_iou_thresh,
        bg_iou_thresh,
        batch_size_per_image,
        positive_fraction,
        bbox_reg_weights,
        score_thresh,
        nms_thresh,
        detections_per_img,
        mask_roi_pool=None,
        mask_head=None,
        mask_predictor=None,
    ):
        super().__init__()
        self.proposal_matcher = Matcher(fg_iou_thresh, bg_iou_thresh)
        self.fg_bg_sampler = BalancedPositiveNegativeSampler(batch_size_per_image, positive_fraction)
        self.box_coder = BoxCoder(bbox_reg_weights or (10.0, 10.0, 5.0, 5.0))
        self.box_roi_pool = box_roi_pool
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.mask_roi_pool = mask_roi_pool
        self.mask_head = mask_head
        self.mask_predictor = mask_predictor

    def has_mask(self):
        """Whether there are the parts that make masks."""
        return None not in (self.mask_roi_pool, self.mask_head, self.mask_predictor)

    def _check(self, targets):
        if targets is None:
            if self.training:
                raise ValueError("targets should not be None")
            return
        for key in ("boxes", "labels", "masks")[: 3 if self.has_mask() and self.training else 2]:
            if not all(key in target for target in targets):
                raise ValueError(f"Every element of targets should have a {key} key")
        for target in targets:
            if not target["boxes"].is_floating_point():
                raise TypeError(f"target boxes must of float type, instead got {target['boxes'].dtype}")
            if target["labels"].dtype != minigrad.int64:
                raise TypeError(f"target labels must of int64 type, instead got {target['labels'].dtype}")

    def select_training_samples(self, proposals, targets):
        """Some of the proposals and the objects themselves, which object each is, its class, and the offsets to it."""
        known = [target["boxes"].to(boxes.dtype) for boxes, target in zip(proposals, targets)]
        proposals = [minigrad.cat([boxes, objects], 0) for boxes, objects in zip(proposals, known)]
        matches, labels = [], []
        for boxes, objects, target in zip(proposals, known, targets):
            if objects.numel() == 0:
                matches.append(minigrad.zeros(len(boxes), dtype=minigrad.int64, device=boxes.device))
                labels.append(matches[-1])
                continue
            match = self.proposal_matcher(ops.box_iou(objects, boxes))
            label = minigrad.where(match == Matcher.BELOW_LOW_THRESHOLD, 0, target["labels"][match.clamp(min=0)])
            labels.append(minigrad.where(match == Matcher.BETWEEN_THRESHOLDS, -1, label))
            matches.append(match.clamp(min=0))
        masks = [positive | negative for positive, negative in zip(*self.fg_bg_sampler(labels))]
        proposals, matches, labels = (
            [values[mask] for values, mask in zip(part, masks)] for part in (proposals, matches, labels)
        )
        known = [objects if len(objects) else objects.new_zeros((1, 4)) for objects in known]
        wanted = [objects[match] for objects, match in zip(known, matches)]
        return proposals, matches, labels, self.box_coder.encode(wanted, proposals)

    def _losses(self, logits, offsets, labels, wanted):
        labels, wanted = minigrad.cat(labels, 0), minigrad.cat(wanted, 0)
        objects = (labels > 0).nonzero()[:, 0]
        offsets = offsets.reshape(len(labels), -1, 4)[objects, labels[objects]]
        box_loss = nn.functional.smooth_l1_loss(offsets, wanted[objects], beta=1 / 9, reduction="sum")
        return {
            "loss_classifier": nn.functional.cross_entropy(logits, labels),
            "loss_box_reg": box_loss / labels.numel(),
        }

    def postprocess_detections(self, class_logits, box_regression, proposals, image_shapes):
        """The boxes, probabilities and classes of what is found in each image: three lists."""
        counts = [len(boxes) for boxes in proposals]
        boxes = self.box_coder.decode(box_regression, proposals).split(counts, 0)
        scores = class_logits.softmax(-1).split(counts, 0)
        classes = class_logits.shape[-1]
        found = [], [], []
        for image_boxes, image_scores, shape in zip(boxes, scores, image_shapes):
            image_boxes = ops.clip_boxes_to_image(image_boxes, shape)[:, 1:].reshape(-1, 4)  # without the background
            labels = minigrad.arange(1, classes, device=image_scores.device).expand(len(image_scores), -1).reshape(-1)
            image_scores = image_scores[:, 1:].reshape(-1)
            kept = (image_scores > self.score_thresh).nonzero()[:, 0]
            kept = kept[ops.remove_small_boxes(image_boxes[kept], SMALLEST)]
            best = ops.batched_nms(image_boxes[kept], image_scores[kept], labels[kept], self.nms_thresh)
            kept = kept[best[: self.detections_per_img]]
            for part, values in zip(found, (image_boxes, image_scores, labels)):
                part.append(values[kept])
        return found

    def _mask_logits(self, features, boxes, image_shapes):
        return self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))

    def _mask_loss(self, features, proposals, matches, labels, image_shapes, targets):
        """The cross entropy of the masks of boxes with objects, each of its own class."""
        objects = [(label > 0).nonzero()[:, 0] for label in labels]
        boxes, matches, labels = (
            [values[place] for values, place in zip(part, objects)] for part in (proposals, matches, labels)
        )
        logits = self._mask_logits(features, boxes, image_shapes)
        labels = minigrad.cat(labels, 0)
        if len(labels) == 0:
            return logits.sum() * 0
        wanted = []
        for target, image_boxes, match in zip(targets, boxes, matches):
            rois = minigrad.cat([match.unsqueeze(1).to(image_boxes.dtype), image_boxes], 1)
            masks = target["masks"].unsqueeze(1).to(image_boxes.dtype)
            wanted.append(ops.roi_align(masks, rois, logits.shape[-1])[:, 0])
        logits = logits[minigrad.arange(len(labels), device=labels.device), labels]
        return nn.functional.binary_cross_entropy_with_logits(logits, minigrad.cat(wanted, 0))

    def forward(self, features, proposals, image_shapes, targets=None):
        """A list of dicts of what is found, empty in training, and a dict of losses, empty otherwise.

        Raises:
            ValueError, TypeError: for targets that lack something or are of other types.
        """
        self._check(targets)
        if self.training:
            proposals, matches, labels, wanted = self.select_training_samples(proposals, targets)
        regions = self.box_head(self.box_roi_pool(features, proposals, image_shapes))
        logits, offsets = self.box_predictor(regions)
        if self.training:
            losses = self._losses(logits, offsets, labels, wanted)
            if self.has_mask():
                losses["loss_mask"] = self._mask_loss(features, proposals, matches, labels, image_shapes, targets)
            return [], losses
        boxes, scores, labels = self.postprocess_detections(logits, offsets, proposals, image_shapes)
        result = [{"boxes": b, "labels": c, "scores": s} for b, s, c in zip(boxes, scores, labels)]
        if self.has_mask():
            masks = self._mask_logits(features, boxes, image_shapes).sigmoid()
            every = minigrad.cat(labels, 0)
            masks = masks[minigrad.arange(len(every), device=every.device), every].unsqueeze(1)
            for found, part in zip(result, masks.split([len(b) for b in boxes], 0)):
                found["masks"] = part
        return result, {}
