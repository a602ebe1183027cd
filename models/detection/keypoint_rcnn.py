"""Keypoint R-CNN (He, Gkioxari, Dollár and Girshick, "Mask R-CNN", 2017, section 5)."""
from minigrad import nn
from minigrad.vision.ops import MultiScaleRoIAlign
from models.detection.backbone_utils import pyramid
from models.detection.builders import detector
from models.detection.faster_rcnn import FasterRCNN, draw_convolutions

__all__ = ["KeypointRCNN", "keypointrcnn_resnet50_fpn"]

SIDES = (640, 672, 704, 736, 768, 800)  # of images in training
POINTS = 17  # of a person
HIDDEN = 512


class KeypointRCNNHeads(nn.Sequential):
    """3x3 convolutions with ReLU on the regions; layers are the filters of each."""

    def __init__(self, in_channels, layers):
        blocks = []
        for width in layers:
            blocks += [nn.Conv2d(in_channels, width, 3, stride=1, padding=1), nn.ReLU(inplace=True)]
            in_channels = width
        super().__init__(*blocks)
        draw_convolutions(self)


class KeypointRCNNPredictor(nn.Module):
    """A map for each point, four times as high and wide as the region: a transposed convolution and interpolation."""

    def __init__(self, in_channels, num_keypoints):
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(in_channels, num_keypoints, 4, stride=2, padding=1)
        nn.init.kaiming_normal_(self.kps_score_lowres.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.kps_score_lowres.bias)
        self.up_scale = 2
        self.out_channels = num_keypoints

    def forward(self, x):
        x = self.kps_score_lowres(x)
        settings = {"mode": "bilinear", "align_corners": False, "recompute_scale_factor": False}
        return nn.functional.interpolate(x, scale_factor=float(self.up_scale), **settings)


class KeypointRCNN(FasterRCNN):
    """Faster R-CNN with points for each box.

    Targets have also ``keypoints`` (n, num_keypoints, 3) of x, y and 0 for those that are not seen; what is found has
    ``keypoints`` (n, num_keypoints, 3) of x, y and 1, and ``keypoints_scores`` (n, num_keypoints).

    Args:
        backbone, num_classes, kwargs: see FasterRCNN.
        min_size: None for several sides between 640 and 800.
        keypoint_roi_pool, keypoint_head, keypoint_predictor: regions, their features, and maps of all points.
        num_keypoints: None for 17.

    Raises:
        ValueError: for both num_keypoints and keypoint_predictor, and as FasterRCNN.
        TypeError: for parts of other types.

    Source: He et al. 2017, https://arxiv.org/abs/1703.06870;
    https://docs.pytorch.org/vision/stable/models/keypoint_rcnn.html
    """

    def __init__(
        self,
        backbone,
        num_classes=None,
        min_size=None,
        *args,
        keypoint_roi_pool=None,
        keypoint_head=None,
        keypoint_predictor=None,
        num_keypoints=None,
        **kwargs,
    ):
        if not isinstance(keypoint_roi_pool, (MultiScaleRoIAlign, type(None))):
            raise TypeError(
                f"keypoint_roi_pool should be of type MultiScaleRoIAlign or None instead of {type(keypoint_roi_pool)}"
            )
        if num_keypoints is not None and keypoint_predictor is not None:
            raise ValueError("num_keypoints should be None when keypoint_predictor is specified")
        super().__init__(backbone, num_classes, SIDES if min_size is None else min_size, *args, **kwargs)
        heads = self.roi_heads
        heads.keypoint_roi_pool = keypoint_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2)
        heads.keypoint_head = keypoint_head or KeypointRCNNHeads(backbone.out_channels, (HIDDEN,) * 8)
        heads.keypoint_predictor = keypoint_predictor or KeypointRCNNPredictor(HIDDEN, num_keypoints or POINTS)


@detector(pyramid, classes=2, image_size=SIDES[-1], size="side", first_files=True)
def keypointrcnn_resnet50_fpn(backbone, num_classes, side, **kw):
    """Keypoint R-CNN on ResNet-50: 59,190,378 parameters (with weights 59,137,258); kw are arguments of KeypointRCNN.

    With weights, of all or of the backbone, the batch norms of the backbone are constants and its first two stages
    are not trained. ``trained`` is what weights are.
    """
    sides = SIDES if side == SIDES[-1] else side
    return KeypointRCNN(backbone, num_classes, **{"min_size": sides, **kw})
