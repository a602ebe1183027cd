"""Mask R-CNN (He, Gkioxari, Dollár and Girshick, "Mask R-CNN", 2017)."""
from collections import OrderedDict

from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation, MultiScaleRoIAlign
from models.detection.backbone_utils import pyramid
from models.detection.builders import detector
from models.detection.faster_rcnn import FasterRCNN, draw_convolutions, version2, version2_pyramid

__all__ = ["MaskRCNN", "maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"]


class MaskRCNNHeads(nn.Sequential):
    """3x3 convolutions on the regions.

    Args:
        in_channels: of the regions.
        layers: filters of each convolution.
        dilation: of all.
        norm_layer: makes a normalisation of so many channels, or None.
    """

    def __init__(self, in_channels, layers, dilation, norm_layer=None):
        blocks = []
        for width in layers:
            settings = {"padding": dilation, "dilation": dilation, "norm_layer": norm_layer}
            blocks.append(Conv2dNormActivation(in_channels, width, 3, **settings))
            in_channels = width
        super().__init__(*blocks)
        draw_convolutions(self)


class MaskRCNNPredictor(nn.Sequential):
    """A transposed convolution that doubles the size, and 1x1 to the classes."""

    def __init__(self, in_channels, dim_reduced, num_classes):
        super().__init__(
            OrderedDict(
                conv5_mask=nn.ConvTranspose2d(in_channels, dim_reduced, 2, 2, 0),
                relu=nn.ReLU(inplace=True),
                mask_fcn_logits=nn.Conv2d(dim_reduced, num_classes, 1, 1, 0),
            )
        )
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")


class MaskRCNN(FasterRCNN):
    """Faster R-CNN with a mask for each box.

    Args:
        backbone, num_classes, kwargs: see FasterRCNN.
        mask_roi_pool, mask_head, mask_predictor: regions, their features, and masks of all classes.

    Raises:
        ValueError: for both or neither of num_classes and the predictors.
        TypeError: for parts of other types.

    Source: He et al. 2017, https://arxiv.org/abs/1703.06870;
    https://docs.pytorch.org/vision/stable/models/mask_rcnn.html
    """

    def __init__(
        self, backbone, num_classes=None, *args, mask_roi_pool=None, mask_head=None, mask_predictor=None, **kwargs
    ):
        if not isinstance(mask_roi_pool, (MultiScaleRoIAlign, type(None))):
            raise TypeError(
                f"mask_roi_pool should be of type MultiScaleRoIAlign or None instead of {type(mask_roi_pool)}"
            )
        if num_classes is not None and mask_predictor is not None:
            raise ValueError("num_classes should be None when mask_predictor is specified")
        if num_classes is None and mask_predictor is None:
            raise ValueError("num_classes should not be None when mask_predictor is not specified")
        super().__init__(backbone, num_classes, *args, **kwargs)
        heads = self.roi_heads
        heads.mask_roi_pool = mask_roi_pool or MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2)
        heads.mask_head = mask_head or MaskRCNNHeads(backbone.out_channels, (256,) * 4, 1)
        heads.mask_predictor = mask_predictor or MaskRCNNPredictor(256, 256, num_classes)


@detector(pyramid, first_files=True)
def maskrcnn_resnet50_fpn(backbone, num_classes, **kw):
    """Mask R-CNN on ResNet-50: 44,454,513 parameters; kw are arguments of MaskRCNN.

    With weights, of all or of the backbone, the batch norms of the backbone are constants and its first two stages
    are not trained. ``trained`` is what weights are.
    """
    return MaskRCNN(backbone, num_classes, **kw)


@detector(version2_pyramid)
def maskrcnn_resnet50_fpn_v2(backbone, num_classes, **kw):
    """Mask R-CNN with deeper heads on ResNet-50: 46,359,409 parameters; kw are arguments of MaskRCNN."""
    heads = {"mask_head": MaskRCNNHeads(backbone.out_channels, [256] * 4, 1, norm_layer=nn.BatchNorm2d)}
    return MaskRCNN(backbone, num_classes, **version2(backbone), **heads, **kw)
