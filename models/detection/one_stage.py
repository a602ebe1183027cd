"""What networks without proposals have in common."""
import minigrad
from minigrad import nn
from minigrad.vision import ops
from models.detection.generalized_rcnn import check_targets


class OneStage(nn.Module):
    """Images through a transform, a backbone and a head, which says something of every anchor.

    A network of this kind sets transform, backbone, head, anchor_generator, box_coder, score_thresh, nms_thresh,
    detections_per_img and topk_candidates. It has ``_losses(targets, outputs, anchors, counts)``, and ``_scores`` and
    ``_decoded`` or, instead of these, ``_found``.
    """

    def forward(self, images, targets=None):
        """A dict of losses in training, a list of dicts of what is found otherwise; arguments as of GeneralizedRCNN.

        Raises:
            AssertionError: in training without targets, or for boxes that are none.
        """
        check_targets(targets, self.training)
        originals = [tuple(image.shape[-2:]) for image in images]
        images, targets = self.transform(images, targets)
        features = self.backbone(images.tensors)
        maps = [features] if isinstance(features, minigrad.Tensor) else list(features.values())
        outputs = self.head(maps)  # dict of (N, anchors, numbers)
        anchors = self.anchor_generator(images, maps)
        per_position = self.anchor_generator.num_anchors_per_location()
        counts = [level.shape[2] * level.shape[3] * count for level, count in zip(maps, per_position)]
        if self.training:
            return self._losses(targets, outputs, anchors, counts)
        found = []
        for index, shape in enumerate(images.image_sizes):
            row = {name: values[index] for name, values in outputs.items()}
            found.append(self._found(row, anchors[index], counts, shape))
        return self.transform.postprocess(found, images.image_sizes, originals)

    def _scores(self, outputs):
        """The probabilities (anchors, classes) of one level."""
        return outputs["cls_logits"].sigmoid()

    def _decoded(self, offsets, anchors):
        """The boxes (n, 4) at offsets (n, 4) from anchors (n, 4)."""
        return self.box_coder.decode(offsets, [anchors])[:, 0]

    def _found(self, outputs, anchors, counts, shape):
        """What is found in one image of that shape, given what the head says of it and the anchors of all levels."""
        parts = []
        levels = zip(*(values.split(counts, 0) for values in outputs.values()))
        for values, boxes in zip(levels, anchors.split(counts, 0)):
            level = dict(zip(outputs, values))
            scores = self._scores(level)
            classes = scores.shape[-1]
            scores = scores.flatten()
            likely = (scores > self.score_thresh).nonzero()[:, 0]
            scores, order = scores[likely].topk(min(self.topk_candidates, len(likely)))
            likely = likely[order]
            place = likely // classes
            decoded = self._decoded(level["bbox_regression"][place], boxes[place])
            parts.append((ops.clip_boxes_to_image(decoded, shape), scores, likely % classes))
        return self._suppressed(*(minigrad.cat(part, 0) for part in zip(*parts)))

    def _suppressed(self, boxes, scores, labels):
        """The best boxes, without those that overlap better ones of their class."""
        kept = ops.batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}
