"""What is decided about each proposed box: its class, its exact place, its mask and its points."""
import minigrad
from minigrad import nn
from minigrad.vision import ops
from models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder, Matcher

__all__ = ["RoIHeads"]

SMALLEST = 1e-2  # sides of what is found


# ---------------------------------------------------------------- classes, boxes and masks
def fastrcnn_loss(class_logits, box_regression, labels, regression_targets):
    """The cross entropy of the classes, and the loss of the boxes with objects, each of its own class.

    Args:
        class_logits: (n, classes) of the boxes of all images.
        box_regression: offsets (n, 4 · classes).
        labels, regression_targets: what they should be, lists of (n,) and (n, 4), one per image.
    """
    labels, wanted = minigrad.cat(labels, 0), minigrad.cat(regression_targets, 0)
    objects = (labels > 0).nonzero()[:, 0]
    offsets = box_regression.reshape(len(labels), -1, 4)[objects, labels[objects]]
    box_loss = nn.functional.smooth_l1_loss(offsets, wanted[objects], beta=1 / 9, reduction="sum")
    return nn.functional.cross_entropy(class_logits, labels), box_loss / labels.numel()


def _own_class(masks, labels):
    """Of the masks (n, classes, H, W) those of the boxes' classes (n, H, W)."""
    return masks[minigrad.arange(len(labels), device=labels.device), labels]


def maskrcnn_loss(mask_logits, proposals, gt_masks, gt_labels, mask_matched_idxs):
    """The cross entropy of the masks of boxes with objects, each of its own class.

    Args:
        mask_logits: (n, classes, M, M) of the boxes of all images.
        proposals: the boxes, a list of (n, 4) one per image.
        gt_masks, gt_labels: of the images' objects, lists of (objects, H, W) and (objects,).
        mask_matched_idxs: which object each box stands for, a list of (n,).
    """
    labels = minigrad.cat([known[match] for known, match in zip(gt_labels, mask_matched_idxs)], 0)
    if len(labels) == 0:
        return mask_logits.sum() * 0
    wanted = []
    for masks, boxes, match in zip(gt_masks, proposals, mask_matched_idxs):
        rois = minigrad.cat([match.unsqueeze(1).to(boxes.dtype), boxes], 1)
        wanted.append(ops.roi_align(masks.unsqueeze(1).to(boxes.dtype), rois, mask_logits.shape[-1])[:, 0])
    return nn.functional.binary_cross_entropy_with_logits(_own_class(mask_logits, labels), minigrad.cat(wanted, 0))


def maskrcnn_inference(x, labels):
    """The masks (n, 1, M, M) of each image's boxes, given the logits (n, classes, M, M) of all and their classes."""
    masks = _own_class(x.sigmoid(), minigrad.cat(labels, 0)).unsqueeze(1)
    return masks.split([len(part) for part in labels], 0)


# ---------------------------------------------------------------- points
def keypoints_to_heatmap(keypoints, rois, heatmap_size):
    """In which cell of a square map of each region its points are, and whether they are in one and visible.

    Args:
        keypoints: (n, k, 3) of x, y and visibility.
        rois: (n, 4).
        heatmap_size: the map's side.

    >>> points = minigrad.tensor([[[1.0, 3.0, 1.0], [4.0, 0.0, 1.0], [1.0, 1.0, 0.0], [9.0, 1.0, 1.0]]])
    >>> keypoints_to_heatmap(points, minigrad.tensor([[0.0, 0.0, 4.0, 4.0]]), 2)
    (tensor([[2, 1, 0, 0]]), tensor([[1, 1, 0, 0]]))
    """
    first, last = rois[:, None, :2], rois[:, None, 2:]
    places = keypoints[..., :2]
    cells = ((places - first) * (heatmap_size / (last - first))).floor().to(minigrad.int64)  # (n, k, 2)
    cells = minigrad.where(places == last, heatmap_size - 1, cells)  # the border is inside
    inside = ((cells >= 0) & (cells < heatmap_size)).all(-1)
    valid = (inside & (keypoints[..., 2] > 0)).to(minigrad.int64)
    return (cells[..., 1] * heatmap_size + cells[..., 0]) * valid, valid


def heatmaps_to_keypoints(maps, rois):
    """The points (n, k, 3) at which the maps are highest, as x, y and 1, and how high they are there (n, k).

    Args:
        maps: (n, k, H, W), which are enlarged to their regions.
        rois: (n, 4).
    """
    count = maps.shape[1]
    size = (rois[:, 2:] - rois[:, :2]).clamp(min=1)  # (n, 2), width and height
    pixels = size.ceil()
    step = size / pixels
    places = rois.new_zeros((len(rois), count, 2))
    scores = maps.new_zeros((len(rois), count), dtype=minigrad.float32)
    for index, (width, height) in enumerate(pixels.to(minigrad.int64).tolist()):
        large = nn.functional.interpolate(
            maps[index : index + 1], size=(height, width), mode="bicubic", align_corners=False
        )[0].flatten(1)  # (k, height · width)
        scores[index], best = large.max(1)
        places[index] = minigrad.stack([best % width, best // width], 1)
    places = (places + 0.5) * step.unsqueeze(1) + rois[:, None, :2]
    return minigrad.cat([places, minigrad.ones_like(places[..., :1])], 2).to(minigrad.float32), scores


def keypointrcnn_loss(keypoint_logits, proposals, gt_keypoints, keypoint_matched_idxs):
    """The cross entropy of the cells in which the points of objects are, of those that are visible.

    Args:
        keypoint_logits: maps (n, k, side, side) of the boxes of all images.
        proposals: the boxes, a list of (n, 4) one per image.
        gt_keypoints: the points of the images' objects, (objects, k, 3).
        keypoint_matched_idxs: which object each box stands for, a list of (n,).

    Raises:
        ValueError: for maps that are not square.
    """
    height, side = keypoint_logits.shape[2:]
    if height != side:
        raise ValueError(
            "keypoint_logits height and width (last two elements of shape) should be equal. Instead got "
            f"H = {height} and W = {side}"
        )
    pairs = [
        keypoints_to_heatmap(points[match], boxes, side)
        for boxes, points, match in zip(proposals, gt_keypoints, keypoint_matched_idxs)
    ]
    cells, valid = (minigrad.cat([part.flatten() for part in parts], 0) for parts in zip(*pairs))
    valid = valid.nonzero()[:, 0]
    if len(valid) == 0:
        return keypoint_logits.sum() * 0
    logits = keypoint_logits.reshape(-1, side * side)
    return nn.functional.cross_entropy(logits[valid], cells[valid])


# ---------------------------------------------------------------- the heads
class RoIHeads(nn.Module):
    """Regions of the maps through heads; in training the losses.

    Args:
        box_roi_pool, box_head, box_predictor: regions, their features, and (scores, offsets) of all classes.
        fg_iou_thresh, bg_iou_thresh: overlaps from which a box is an object, and below which it is none.
        batch_size_per_image, positive_fraction: see BalancedPositiveNegativeSampler.
        bbox_reg_weights: see BoxCoder; None for (10, 10, 5, 5).
        score_thresh, nms_thresh, detections_per_img: of what is found: least probability, overlap, number.
        mask_roi_pool, mask_head, mask_predictor: the same for masks; None for none.
        keypoint_roi_pool, keypoint_head, keypoint_predictor: the same for points; None for none.
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
        keypoint_roi_pool=None,
        keypoint_head=None,
        keypoint_predictor=None,
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
        self.keypoint_roi_pool = keypoint_roi_pool
        self.keypoint_head = keypoint_head
        self.keypoint_predictor = keypoint_predictor

    def has_mask(self):
        """Whether there are the parts that make masks."""
        return None not in (self.mask_roi_pool, self.mask_head, self.mask_predictor)

    def has_keypoint(self):
        """Whether there are the parts that find points."""
        return None not in (self.keypoint_roi_pool, self.keypoint_head, self.keypoint_predictor)

    def _check(self, targets):
        if targets is None:
            if self.training:
                raise ValueError("targets should not be None")
            return
        keys = ["boxes", "labels"]
        if self.training:
            keys += ["masks"] * self.has_mask() + ["keypoints"] * self.has_keypoint()
        for key in keys:
            if not all(key in target for target in targets):
                raise ValueError(f"Every element of targets should have a {key} key")
        for target in targets:
            if not target["boxes"].is_floating_point():
                raise TypeError(f"target boxes must of float type, instead got {target['boxes'].dtype}")
            if target["labels"].dtype != minigrad.int64:
                raise TypeError(f"target labels must of int64 type, instead got {target['labels'].dtype}")
            if "keypoints" in keys and target["keypoints"].dtype != minigrad.float32:
                raise TypeError(f"target keypoints must of float type, instead got {target['keypoints'].dtype}")

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

    def _keypoint_logits(self, features, boxes, image_shapes):
        return self.keypoint_predictor(self.keypoint_head(self.keypoint_roi_pool(features, boxes, image_shapes)))

    def _further_losses(self, features, proposals, matches, labels, image_shapes, targets):
        """The losses of masks and points, which only boxes with objects have."""
        objects = [(label > 0).nonzero()[:, 0] for label in labels]
        boxes, matches = ([values[place] for values, place in zip(part, objects)] for part in (proposals, matches))
        losses = {}
        if self.has_mask():
            logits = self._mask_logits(features, boxes, image_shapes)
            known, classes = ([target[key] for target in targets] for key in ("masks", "labels"))
            losses["loss_mask"] = maskrcnn_loss(logits, boxes, known, classes, matches)
        if self.has_keypoint():
            logits = self._keypoint_logits(features, boxes, image_shapes)
            known = [target["keypoints"] for target in targets]
            losses["loss_keypoint"] = keypointrcnn_loss(logits, boxes, known, matches)
        return losses

    def _add_masks(self, result, features, image_shapes):
        """Masks of the boxes that were found."""
        boxes = [found["boxes"] for found in result]
        logits = self._mask_logits(features, boxes, image_shapes)
        for found, masks in zip(result, maskrcnn_inference(logits, [found["labels"] for found in result])):
            found["masks"] = masks

    def _add_keypoints(self, result, features, image_shapes):
        """Points in the boxes that were found, and their scores."""
        boxes = [found["boxes"] for found in result]
        maps = self._keypoint_logits(features, boxes, image_shapes)
        for found, part in zip(result, maps.split([len(b) for b in boxes], 0)):
            found["keypoints"], found["keypoints_scores"] = heatmaps_to_keypoints(part, found["boxes"])

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
            losses = dict(zip(("loss_classifier", "loss_box_reg"), fastrcnn_loss(logits, offsets, labels, wanted)))
            return [], {**losses, **self._further_losses(features, proposals, matches, labels, image_shapes, targets)}
        boxes, scores, labels = self.postprocess_detections(logits, offsets, proposals, image_shapes)
        result = [{"boxes": b, "labels": c, "scores": s} for b, s, c in zip(boxes, scores, labels)]
        if self.has_mask():
            self._add_masks(result, features, image_shapes)
        if self.has_keypoint():
            self._add_keypoints(result, features, image_shapes)
        return result, {}
