"""Faster R-CNN (Ren et al., 2015), on feature pyramids (Lin et al., 2016); version 2 as Li et al., 2021, have it."""
from functools import partial

from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation, MultiScaleRoIAlign
from models.detection.anchor_utils import AnchorGenerator
from models.detection.backbone_utils import pyramid
from models.detection.builders import detector
from models.detection.generalized_rcnn import GeneralizedRCNN, check_backbone
from models.detection.roi_heads import RoIHeads
from models.detection.rpn import RegionProposalNetwork, RPNHead
from models.detection.transform import NORMAL, GeneralizedRCNNTransform

__all__ = [
    "FasterRCNN",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
]

HIDDEN = 1024
RATIOS = (0.5, 1.0, 2.0)


def default_anchors():
    """Anchors of one size per level of the pyramid."""
    sizes = ((32,), (64,), (128,), (256,), (512,))
    return AnchorGenerator(sizes, (RATIOS,) * len(sizes))


class TwoMLPHead(nn.Module):
    """Two linear layers with ReLU on the flattened region."""

    def __init__(self, in_channels, representation_size):
        super().__init__()
        self.fc6 = nn.Linear(in_channels, representation_size)
        self.fc7 = nn.Linear(representation_size, representation_size)

    def forward(self, x):
        return nn.functional.relu(self.fc7(nn.functional.relu(self.fc6(x.flatten(1)))))


class FastRCNNConvFCHead(nn.Sequential):
    """Convolutions and linear layers; input_size is (channels, height, width) of a region."""

    def __init__(self, input_size, conv_layers, fc_layers, norm_layer=None):
        channels, height, width = input_size
        layers = []
        for outputs in conv_layers:
            layers.append(Conv2dNormActivation(channels, outputs, norm_layer=norm_layer))
            channels = outputs
        layers.append(nn.Flatten())
        channels *= height * width
        for outputs in fc_layers:
            layers += [nn.Linear(channels, outputs), nn.ReLU(inplace=True)]
            channels = outputs
        super().__init__(*layers)
        draw_convolutions(self)


def draw_convolutions(module):
    """He initialisation by the fan out, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class FastRCNNPredictor(nn.Module):
    """Scores (n, num_classes) and offsets (n, 4 · num_classes) of regions; class 0 is the background."""

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, num_classes * 4)

    def forward(self, x):
        x = x.flatten(1)
        return self.cls_score(x), self.bbox_pred(x)


def _check_kind(name, value, kind):
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} should be of type {kind.__name__} or None instead of {type(value)}")


class FasterRCNN(GeneralizedRCNN):
    """Faster R-CNN on a backbone with the attribute out_channels.

    Args:
        backbone: returns maps, or a dict of maps of several sizes.
        num_classes: with the background; None if box_predictor is given.
        min_size, max_size, image_mean, image_std: see GeneralizedRCNNTransform, which takes kwargs too.
        rpn_…: see RegionProposalNetwork.
        box_…, bbox_reg_weights: see RoIHeads.

    Raises:
        ValueError: for a backbone without out_channels, or both or neither of num_classes and box_predictor.
        TypeError: for parts of other types.

    Source: Ren et al. 2015, https://arxiv.org/abs/1506.01497;
    https://docs.pytorch.org/vision/stable/models/faster_rcnn.html
    """

    def __init__(
        self,
        backbone,
        num_classes=None,
        min_size=800,
        max_size=1333,
        image_mean=None,
        image_std=None,
        rpn_anchor_generator=None,
        rpn_head=None,
        rpn_pre_nms_top_n_train=2000,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_train=2000,
        rpn_post_nms_top_n_test=1000,
        rpn_nms_thresh=0.7,
        rpn_fg_iou_thresh=0.7,
        rpn_bg_iou_thresh=0.3,
        rpn_batch_size_per_image=256,
        rpn_positive_fraction=0.5,
        rpn_score_thresh=0.0,
        box_roi_pool=None,
        box_head=None,
        box_predictor=None,
        box_score_thresh=0.05,
        box_nms_thresh=0.5,
        box_detections_per_img=100,
        box_fg_iou_thresh=0.5,
        box_bg_iou_thresh=0.5,
        box_batch_size_per_image=512,
        box_positive_fraction=0.25,
        bbox_reg_weights=None,
        **kwargs,
    ):
        check_backbone(backbone)
        _check_kind("rpn_anchor_generator", rpn_anchor_generator, AnchorGenerator)
        _check_kind("box_roi_pool", box_roi_pool, MultiScaleRoIAlign)
        if (num_classes is None) == (box_predictor is None):
            said = "not be None when box_predictor is not" if num_classes is None else "be None when box_predictor is"
            raise ValueError(f"num_classes should {said} specified")
        channels = backbone.out_channels
        anchors = rpn_anchor_generator or default_anchors()
        rpn = RegionProposalNetwork(
            anchors,
            rpn_head or RPNHead(channels, anchors.num_anchors_per_location()[0]),
            rpn_fg_iou_thresh,
            rpn_bg_iou_thresh,
            rpn_batch_size_per_image,
            rpn_positive_fraction,
            {"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test},
            {"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test},
            rpn_nms_thresh,
            rpn_score_thresh,
        )
        pool = box_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
        roi_heads = RoIHeads(
            pool,
            box_head or TwoMLPHead(channels * pool.output_size[0] ** 2, HIDDEN),
            box_predictor or FastRCNNPredictor(HIDDEN, num_classes),
            box_fg_iou_thresh,
            box_bg_iou_thresh,
            box_batch_size_per_image,
            box_positive_fraction,
            bbox_reg_weights,
            box_score_thresh,
            box_nms_thresh,
            box_detections_per_img,
        )
        mean, std = image_mean or NORMAL[0], image_std or NORMAL[1]
        super().__init__(backbone, rpn, roi_heads, GeneralizedRCNNTransform(min_size, max_size, mean, std, **kwargs))


# ---------------------------------------------------------------- the builders
def version2(backbone):
    """The parts of version 2: deeper heads with batch norm."""
    anchors = default_anchors()
    channels = backbone.out_channels
    return {
        "rpn_anchor_generator": anchors,
        "rpn_head": RPNHead(channels, anchors.num_anchors_per_location()[0], conv_depth=2),
        "box_head": FastRCNNConvFCHead((channels, 7, 7), [256] * 4, [HIDDEN], norm_layer=nn.BatchNorm2d),
    }


version2_pyramid = partial(pyramid, frozen=False, norm_layer=nn.BatchNorm2d)


@detector(pyramid, first_files=True)
def fasterrcnn_resnet50_fpn(backbone, num_classes, **kw):
    """Faster R-CNN on ResNet-50: 41,808,406 parameters (with weights 41,755,286); kw are arguments of FasterRCNN.

    With weights, of all or of the backbone, the batch norms of the backbone are constants and its first two stages
    are not trained. ``trained`` is what weights are.
    """
    return FasterRCNN(backbone, num_classes, **kw)


@detector(version2_pyramid)
def fasterrcnn_resnet50_fpn_v2(backbone, num_classes, **kw):
    """Faster R-CNN with deeper heads on ResNet-50: 43,712,278 parameters; kw are arguments of FasterRCNN."""
    return FasterRCNN(backbone, num_classes, **version2(backbone), **kw)


def _mobilenet(backbone, num_classes, **kw):
    anchors = AnchorGenerator(((32, 64, 128, 256, 512),) * 3, (RATIOS,) * 3)
    return FasterRCNN(backbone, num_classes, rpn_anchor_generator=anchors, **{"rpn_score_thresh": 0.05, **kw})


mobilenet_pyramid = partial(pyramid, name="mobilenet_v3_large")


@detector(mobilenet_pyramid)
def fasterrcnn_mobilenet_v3_large_fpn(backbone, num_classes, **kw):
    """Faster R-CNN on MobileNetV3-Large: 19,410,754 parameters; kw are arguments of FasterRCNN."""
    return _mobilenet(backbone, num_classes, **kw)


@detector(mobilenet_pyramid, image_size=320)
def fasterrcnn_mobilenet_v3_large_320_fpn(backbone, num_classes, **kw):
    """The same for images of 320 pixels, with fewer proposals: 19,410,754 parameters."""
    fewer = {"max_size": 640, "rpn_pre_nms_top_n_test": 150, "rpn_post_nms_top_n_test": 150}
    return _mobilenet(backbone, num_classes, **{**fewer, **kw})
