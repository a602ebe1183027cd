"""Boxes as offsets to others, the matching of boxes with objects, and the sampling of both kinds."""
import math

import minigrad
from minigrad.vision.ops import FrozenBatchNorm2d

MOST = math.log(1000.0 / 16)  # of the logarithm by which a box is enlarged


class BoxCoder:
    """Boxes as offsets of centre and logarithms of size, relative to other boxes.

    Args:
        weights: factors of the four numbers.
        bbox_xform_clip: the most that a logarithm may be.

    >>> coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    >>> anchor, box = minigrad.tensor([[0.0, 0.0, 2.0, 2.0]]), minigrad.tensor([[1.0, 1.0, 3.0, 5.0]])
    >>> coder.encode([box], [anchor])[0]
    tensor([[0.5000, 1.0000, 0.0000, 0.6931]])
    >>> coder.decode(coder.encode([box], [anchor])[0], [anchor])
    tensor([[[1., 1., 3., 5.]]])
    """

    def __init__(self, weights, bbox_xform_clip=MOST):
        self.weights = weights
        self.bbox_xform_clip = bbox_xform_clip

    def encode(self, reference_boxes, proposals):
        """The offsets from proposals to reference_boxes: lists of (n, 4), one per image."""
        counts = [len(boxes) for boxes in reference_boxes]
        found, known = minigrad.cat(proposals, 0), minigrad.cat(reference_boxes, 0)
        weights = minigrad.tensor(self.weights, dtype=known.dtype, device=known.device)
        size, known_size = found[:, 2:] - found[:, :2], known[:, 2:] - known[:, :2]
        shift = (known[:, :2] + 0.5 * known_size - found[:, :2] - 0.5 * size) / size
        return (minigrad.cat([shift, (known_size / size).log()], 1) * weights).split(counts, 0)

    def decode(self, rel_codes, boxes):
        """The boxes (n, k, 4) at offsets (n, 4k) from boxes, a list of (…, 4) of n in all."""
        boxes = minigrad.cat(boxes, 0).to(rel_codes.dtype)
        if len(boxes) == 0:
            return rel_codes.reshape(0, -1, 4) if rel_codes.numel() else rel_codes.new_zeros((0, 1, 4))
        codes = rel_codes.reshape(len(boxes), -1, 4)
        weights = minigrad.tensor(self.weights, dtype=codes.dtype, device=codes.device)
        codes = codes / weights
        size = (boxes[:, 2:] - boxes[:, :2]).unsqueeze(1)  # (n, 1, 2)
        centre = boxes[:, :2].unsqueeze(1) + 0.5 * size
        centre = codes[..., :2] * size + centre
        half = 0.5 * codes[..., 2:].clamp(max=self.bbox_xform_clip).exp() * size
        return minigrad.cat([centre - half, centre + half], -1)


class BoxLinearCoder:
    """Boxes as distances of their four sides from the centres of others, one box for each.

    Args:
        normalize_by_size: whether the distances are divided by the sizes of the others.

    >>> coder = BoxLinearCoder()
    >>> anchor, box = minigrad.tensor([[0.0, 0.0, 2.0, 4.0]]), minigrad.tensor([[0.0, 1.0, 4.0, 6.0]])
    >>> coder.encode(anchor, box)
    tensor([[0.5000, 0.2500, 1.5000, 1.0000]])
    >>> coder.decode(coder.encode(anchor, box), anchor)
    tensor([[0., 1., 4., 6.]])
    """

    def __init__(self, normalize_by_size=True):
        self.normalize_by_size = normalize_by_size

    def encode(self, reference_boxes, proposals):
        """The distances (…, 4) of the sides of proposals from the centres of reference_boxes, all (…, 4)."""
        centre = 0.5 * (reference_boxes[..., :2] + reference_boxes[..., 2:])
        distances = minigrad.cat([centre - proposals[..., :2], proposals[..., 2:] - centre], -1)
        return distances / self._sizes(reference_boxes) if self.normalize_by_size else distances

    def decode(self, rel_codes, boxes):
        """The boxes (…, 4) whose sides have the distances rel_codes (…, 4) from the centres of boxes."""
        boxes = boxes.to(rel_codes.dtype)
        centre = 0.5 * (boxes[..., :2] + boxes[..., 2:])
        distances = rel_codes * self._sizes(boxes) if self.normalize_by_size else rel_codes
        return minigrad.cat([centre - distances[..., :2], centre + distances[..., 2:]], -1)

    @staticmethod
    def _sizes(boxes):
        return minigrad.cat([boxes[..., 2:] - boxes[..., :2]] * 2, -1)


class Matcher:
    """For each box, which object it is: the one it overlaps most, -1 for none and -2 for too little to tell.

    Args:
        high_threshold: overlaps from here on are matches.
        low_threshold: overlaps below are none.
        allow_low_quality_matches: give every object the boxes that overlap it most, however little.

    Raises:
        ValueError: when called with no objects or no boxes.
    """

    BELOW_LOW_THRESHOLD = -1
    BETWEEN_THRESHOLDS = -2

    def __init__(self, high_threshold, low_threshold, allow_low_quality_matches=False):
        if low_threshold > high_threshold:
            raise AssertionError("low_threshold should be <= high_threshold")
        self.high_threshold = high_threshold
        self.low_threshold = low_threshold
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix):
        """The matches (n,) of overlaps (objects, n)."""
        overlaps = match_quality_matrix
        if overlaps.numel() == 0:
            kind = "ground-truth" if overlaps.shape[0] == 0 else "proposal"
            raise ValueError(f"No {kind} boxes available for one of the images during training")
        best, nearest = overlaps.max(0)
        matches = minigrad.where(best < self.high_threshold, self.BETWEEN_THRESHOLDS, nearest)
        matches = minigrad.where(best < self.low_threshold, self.BELOW_LOW_THRESHOLD, matches)
        if self.allow_low_quality_matches:
            wanted = (overlaps == overlaps.max(1)[0].unsqueeze(1)).any(0)
            matches = minigrad.where(wanted, nearest, matches)
        return matches


class SSDMatcher(Matcher):
    """The same with one threshold, where each object surely gets the box that overlaps it most."""

    def __init__(self, threshold):
        super().__init__(threshold, threshold)

    def __call__(self, match_quality_matrix):
        """The matches (n,) of overlaps (objects, n)."""
        matches = super().__call__(match_quality_matrix)
        best = match_quality_matrix.max(1)[1]
        matches[best] = minigrad.arange(len(best), device=matches.device)
        return matches


class BalancedPositiveNegativeSampler:
    """Masks of boxes drawn at random, at most a share of them with objects.

    Args:
        batch_size_per_image: how many are drawn.
        positive_fraction: how many of these may be with objects; without enough the others are more.
    """

    def __init__(self, batch_size_per_image, positive_fraction):
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction

    def __call__(self, matched_idxs):
        """Two lists of masks, given labels of the images' boxes: at least 1 for objects, 0 for none."""
        positive, negative = [], []
        for labels in matched_idxs:
            with_objects = (labels >= 1).nonzero()[:, 0]
            without = (labels == 0).nonzero()[:, 0]
            count = min(len(with_objects), int(self.batch_size_per_image * self.positive_fraction))
            others = min(len(without), self.batch_size_per_image - count)
            positive.append(_drawn(labels, with_objects, count))
            negative.append(_drawn(labels, without, others))
        return positive, negative


def _drawn(labels, places, count):
    mask = minigrad.zeros_like(labels, dtype=minigrad.bool)
    mask[places[minigrad.randperm(len(places), device=places.device)[:count]]] = True
    return mask


def flat_maps(maps, numbers):
    """Maps (N, anchors · numbers, H, W) as (N, H · W · anchors, numbers), the order of the anchors."""
    n, _, height, width = maps.shape
    return maps.reshape(n, -1, numbers, height, width).permute(0, 3, 4, 1, 2).reshape(n, -1, numbers)


def retrieve_out_channels(model, size):
    """The channels of the maps that a backbone makes of images of 3 channels and size (width, height)."""
    training = model.training
    device = next(model.parameters()).device
    with minigrad.no_grad():
        features = model.eval()(minigrad.zeros(1, 3, size[1], size[0], device=device))
    model.train(training)
    maps = [features] if isinstance(features, minigrad.Tensor) else features.values()
    return [level.shape[1] for level in maps]


def overwrite_eps(model, eps):
    """Give all constant batch norms of a network another eps."""
    for layer in model.modules():
        if isinstance(layer, FrozenBatchNorm2d):
            layer.eps = eps
