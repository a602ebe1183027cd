"""The plain kind of network that the others are variants of."""
from minigrad import nn
from models._utils import IntermediateLayerGetter, backbone_weights
from models.resnet import resnet50, resnet101

BUILDERS = {"resnet50": resnet50, "resnet101": resnet101}


def enlarged(x, like):
    """Maps at the size of an image."""
    return nn.functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class SimpleSegmentationModel(nn.Module):
    """A backbone that returns "out" and maybe "aux", and a head for each, whose maps are enlarged to the image's size.

    Args:
        backbone: returns a dict.
        classifier: the head on "out".
        aux_classifier: the head on "aux", whose loss helps in training; None for none.
    """

    training_parts = ("aux_classifier",)  # a file of weights may have it though the network has not

    def __init__(self, backbone, classifier, aux_classifier=None):
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x):
        features = self.backbone(x)
        result = {"out": enlarged(self.classifier(features["out"]), x)}
        if self.aux_classifier is not None:
            result["aux"] = enlarged(self.aux_classifier(features["aux"]), x)
        return result


_SimpleSegmentationModel = SimpleSegmentationModel  # torchvision's name


def resnet_backbone(name, aux_loss, weights_backbone, in_channels, image_size, kw):
    """A ResNet whose last two stages are dilated: maps of an eighth of the image's side.

    Raises:
        TypeError: for further keywords.
    """
    weights = backbone_weights(name, weights_backbone, kw)
    if kw:
        raise TypeError(f"unexpected keyword argument {next(iter(kw))!r}")
    sizes = {"in_channels": in_channels, "image_size": image_size}
    network = BUILDERS[name](replace_stride_with_dilation=[False, True, True], weights=weights, **sizes)
    return IntermediateLayerGetter(network, {"layer4": "out", **({"layer3": "aux"} if aux_loss else {})})
