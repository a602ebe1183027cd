"""FCN (Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", 2014)."""
from minigrad import nn
from models.registry import register
from models.segmentation._utils import SimpleSegmentationModel, resnet_backbone

__all__ = ["FCN", "FCNHead", "fcn_resnet50", "fcn_resnet101"]


class FCN(SimpleSegmentationModel):
    """Features of a ResNet and two convolutions."""


class FCNHead(nn.Sequential):
    """A 3x3 convolution to a quarter of the channels, batch norm, ReLU, dropout, 1x1 to the classes.

    >>> import minigrad as mg
    >>> tuple(FCNHead(8, 5)(mg.zeros(2, 8, 4, 4)).shape)
    (2, 5, 4, 4)
    """

    def __init__(self, in_channels, channels):
        hidden = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(hidden, channels, 1),
        )


def _fcn(name, num_classes, in_channels, image_size, aux_loss, weights_backbone, kw):
    backbone = resnet_backbone(name, aux_loss, weights_backbone, in_channels, image_size, kw)
    return FCN(backbone, FCNHead(2048, num_classes), FCNHead(1024, num_classes) if aux_loss else None)


@register
def fcn_resnet50(num_classes=21, *, in_channels=3, image_size=520, aux_loss=None, weights_backbone=None, **kw):
    """FCN on ResNet-50: 32,957,013 parameters, 35,322,218 with aux_loss; weights_backbone: published ones of it."""
    return _fcn("resnet50", num_classes, in_channels, image_size, aux_loss, weights_backbone, kw)


@register
def fcn_resnet101(num_classes=21, *, in_channels=3, image_size=520, aux_loss=None, weights_backbone=None, **kw):
    """FCN on ResNet-101: 51,949,141 parameters, 54,314,346 with aux_loss; weights_backbone: published ones of it."""
    return _fcn("resnet101", num_classes, in_channels, image_size, aux_loss, weights_backbone, kw)
