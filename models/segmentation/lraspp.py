"""Lite R-ASPP (Howard et al., "Searching for MobileNetV3", 2019, section 6.4)."""
from minigrad import nn
from models._utils import IntermediateLayerGetter, backbone_weights, stages_of_mobilenet
from models.mobilenetv3 import mobilenet_v3_large
from models.registry import register
from models.segmentation._utils import enlarged

__all__ = ["LRASPP", "LRASPPHead", "lraspp_mobilenet_v3_large"]


class LRASPPHead(nn.Module):
    """Classes from coarse maps, weighted by the mean of the image, plus classes from fine maps.

    Args:
        low_channels, high_channels: of the fine and the coarse maps.
        num_classes: number of outputs.
        inter_channels: of the hidden maps.
    """

    def __init__(self, low_channels, high_channels, num_classes, inter_channels):
        super().__init__()
        self.cbr = nn.Sequential(
            nn.Conv2d(high_channels, inter_channels, 1, bias=False),
            nn.BatchNorm2d(inter_channels),
            nn.ReLU(inplace=True),
        )
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(high_channels, inter_channels, 1, bias=False), nn.Sigmoid()
        )
        self.low_classifier = nn.Conv2d(low_channels, num_classes, 1)
        self.high_classifier = nn.Conv2d(inter_channels, num_classes, 1)

    def forward(self, input):
        low, high = input["low"], input["high"]
        weighted = self.cbr(high) * self.scale(high)
        return self.low_classifier(low) + self.high_classifier(enlarged(weighted, low))


class LRASPP(nn.Module):
    """A backbone that returns "low" and "high", and the head on them.

    Args:
        backbone: returns a dict with fine maps "low" and coarse ones "high".
        low_channels, high_channels, num_classes, inter_channels: see LRASPPHead.
    """

    def __init__(self, backbone, low_channels, high_channels, num_classes, inter_channels=128):
        super().__init__()
        self.backbone = backbone
        self.classifier = LRASPPHead(low_channels, high_channels, num_classes, inter_channels)

    def forward(self, input):
        return {"out": enlarged(self.classifier(self.backbone(input)), input)}


@register
def lraspp_mobilenet_v3_large(num_classes=21, *, in_channels=3, image_size=520, weights_backbone=None, **kw):
    """Lite R-ASPP on MobileNetV3-Large: 3,221,538 parameters with 21 classes.

    Raises:
        NotImplementedError: for aux_loss, which there is none of.
    """
    if kw.pop("aux_loss", False):
        raise NotImplementedError("This model does not use auxiliary loss")
    weights = backbone_weights("mobilenet_v3_large", weights_backbone, kw)
    sizes = {"in_channels": in_channels, "image_size": image_size}
    features = mobilenet_v3_large(dilated=True, weights=weights, **sizes, **kw).features
    stages = stages_of_mobilenet(features)
    low, high = stages[-4], stages[-1]
    backbone = IntermediateLayerGetter(features, {low: "low", high: "high"})
    return LRASPP(backbone, features[low].out_channels, features[high].out_channels, num_classes)
