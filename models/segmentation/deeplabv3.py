"""DeepLabV3 (Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017)."""
import minigrad
from minigrad import nn
from models._utils import IntermediateLayerGetter, backbone_weights, stages_of_mobilenet
from models.mobilenetv3 import mobilenet_v3_large
from models.registry import register
from models.segmentation._utils import SimpleSegmentationModel, enlarged, resnet_backbone
from models.segmentation.fcn import FCNHead

__all__ = [
    "ASPP",
    "DeepLabHead",
    "DeepLabV3",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
]


class DeepLabV3(SimpleSegmentationModel):
    """Features seen through convolutions of several dilations."""


def _conv(in_channels, out_channels, kernel_size=1, dilation=1):
    padding = dilation if kernel_size == 3 else 0
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU()]


class ASPPPooling(nn.Sequential):
    """The mean over the whole image through a 1x1 convolution, at every position."""

    def __init__(self, in_channels, out_channels):
        super().__init__(nn.AdaptiveAvgPool2d(1), *_conv(in_channels, out_channels))

    def forward(self, x):
        return enlarged(super().forward(x), x)


class ASPP(nn.Module):
    """A 1x1 convolution, dilated 3x3 ones and the mean of the image side by side, then 1x1 to out_channels.

    Args:
        in_channels: channels of the input.
        atrous_rates: the dilations.
        out_channels: of each branch and of the result.

    Source: Chen et al. 2017, section 3.3

    >>> tuple(ASPP(8, (2, 4), 6).eval()(minigrad.zeros(2, 8, 5, 5)).shape)
    (2, 6, 5, 5)
    """

    def __init__(self, in_channels, atrous_rates, out_channels=256):
        super().__init__()
        branches = [nn.Sequential(*_conv(in_channels, out_channels))]
        branches += [nn.Sequential(*_conv(in_channels, out_channels, 3, rate)) for rate in atrous_rates]
        branches.append(ASPPPooling(in_channels, out_channels))
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(*_conv(len(branches) * out_channels, out_channels), nn.Dropout(0.5))

    def forward(self, x):
        return self.project(minigrad.cat([branch(x) for branch in self.convs], 1))


class DeepLabHead(nn.Sequential):
    """ASPP, a 3x3 convolution, and 1x1 to the classes.

    >>> tuple(DeepLabHead(8, 5).eval()(minigrad.zeros(2, 8, 4, 4)).shape)
    (2, 5, 4, 4)
    """

    def __init__(self, in_channels, num_classes, atrous_rates=(12, 24, 36)):
        super().__init__(ASPP(in_channels, atrous_rates), *_conv(256, 256, 3), nn.Conv2d(256, num_classes, 1))


def _deeplab(name, num_classes, in_channels, image_size, aux_loss, weights_backbone, kw):
    backbone = resnet_backbone(name, aux_loss, weights_backbone, in_channels, image_size, kw)
    return DeepLabV3(backbone, DeepLabHead(2048, num_classes), FCNHead(1024, num_classes) if aux_loss else None)


@register
def deeplabv3_resnet50(num_classes=21, *, in_channels=3, image_size=520, aux_loss=None, weights_backbone=None, **kw):
    """DeepLabV3 on ResNet-50: 39,638,869 parameters, 42,004,074 with aux_loss and 21 classes."""
    return _deeplab("resnet50", num_classes, in_channels, image_size, aux_loss, weights_backbone, kw)


@register
def deeplabv3_resnet101(num_classes=21, *, in_channels=3, image_size=520, aux_loss=None, weights_backbone=None, **kw):
    """DeepLabV3 on ResNet-101: 58,630,997 parameters, 60,996,202 with aux_loss and 21 classes."""
    return _deeplab("resnet101", num_classes, in_channels, image_size, aux_loss, weights_backbone, kw)


@register
def deeplabv3_mobilenet_v3_large(
    num_classes=21, *, in_channels=3, image_size=520, aux_loss=None, weights_backbone=None, **kw
):
    """DeepLabV3 on MobileNetV3-Large: 11,025,477 parameters, 11,029,328 with aux_loss and 21 classes."""
    weights = backbone_weights("mobilenet_v3_large", weights_backbone, kw)
    sizes = {"in_channels": in_channels, "image_size": image_size}
    features = mobilenet_v3_large(dilated=True, weights=weights, **sizes, **kw).features
    stages = stages_of_mobilenet(features)
    last, middle = stages[-1], stages[-4]
    layers = {last: "out", **({middle: "aux"} if aux_loss else {})}
    aux = FCNHead(features[middle].out_channels, num_classes) if aux_loss else None
    head = DeepLabHead(features[last].out_channels, num_classes)
    return DeepLabV3(IntermediateLayerGetter(features, layers), head, aux)
