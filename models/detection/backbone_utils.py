"""Networks for classes as backbones with pyramids."""
import warnings

from minigrad import nn
from minigrad.vision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from minigrad.vision.ops.pyramid import LastLevelMaxPool
from models import resnet
from models._utils import IntermediateLayerGetter, backbone_weights, stages_of_mobilenet
from models.mobilenetv3 import mobilenet_v3_large

__all__ = ["BackboneWithFPN", "resnet_fpn_backbone"]

CHANNELS = 256


class BackboneWithFPN(nn.Module):
    """Some layers' outputs through a feature pyramid.

    Args:
        backbone, return_layers: see IntermediateLayerGetter.
        in_channels_list, out_channels, extra_blocks, norm_layer: see FeaturePyramidNetwork; extra_blocks None for one
            more level by pooling.
    """

    def __init__(
        self, backbone, return_layers, in_channels_list, out_channels, extra_blocks=None, norm_layer=None
    ):  # fmt: skip
        super().__init__()
        self.body = IntermediateLayerGetter(backbone, return_layers)
        extra = LastLevelMaxPool() if extra_blocks is None else extra_blocks
        self.fpn = FeaturePyramidNetwork(in_channels_list, out_channels, extra, norm_layer)
        self.out_channels = out_channels

    def forward(self, x):
        return self.fpn(self.body(x))


def resnet_pyramid(backbone, trainable_layers, returned_layers=None, extra_blocks=None, norm_layer=None):
    """A pyramid on a ResNet of which only the last trainable_layers of 5 are trained.

    Raises:
        ValueError: for numbers of layers that there are not.
    """
    if not 0 <= trainable_layers <= 5:
        raise ValueError(f"Trainable layers should be in the range [0,5], got {trainable_layers}")
    trained = ["layer4", "layer3", "layer2", "layer1", "conv1"][:trainable_layers]
    if trainable_layers == 5:
        trained.append("bn1")
    for name, parameter in backbone.named_parameters():
        if not name.startswith(tuple(trained)):
            parameter.requires_grad_(False)
    layers = returned_layers or [1, 2, 3, 4]
    if min(layers) <= 0 or max(layers) >= 5:
        raise ValueError(f"Each returned layer should be in the range [1,4]. Got {layers}")
    names = {f"layer{layer}": str(index) for index, layer in enumerate(layers)}
    widths = [backbone.inplanes // 8 * 2 ** (layer - 1) for layer in layers]
    return BackboneWithFPN(backbone, names, widths, CHANNELS, extra_blocks, norm_layer)


def resnet_fpn_backbone(
    *,
    backbone_name,
    weights=None,
    norm_layer=FrozenBatchNorm2d,
    trainable_layers=3,
    returned_layers=None,
    extra_blocks=None,
):
    """A pyramid on the ResNet of that name; arguments as of resnet_pyramid and of the ResNet.

    Source: https://docs.pytorch.org/vision/stable/models/faster_rcnn.html
    """
    backbone = getattr(resnet, backbone_name)(weights=weights, norm_layer=norm_layer)
    return resnet_pyramid(backbone, trainable_layers, returned_layers, extra_blocks)


def freeze_mobilenet(features, trainable_layers):
    """Freeze all but the last trainable_layers of MobileNetV3's 6 stages; returns where the stages begin.

    Raises:
        ValueError: for a number of layers that there is not.
    """
    stages = stages_of_mobilenet(features)
    if not 0 <= trainable_layers <= len(stages):
        raise ValueError(f"Trainable layers should be in the range [0,{len(stages)}], got {trainable_layers} ")
    frozen = len(features) if trainable_layers == 0 else stages[len(stages) - trainable_layers]
    for layer in features[:frozen]:
        layer.requires_grad_(False)
    return stages


def mobilenet_pyramid(features, trainable_layers):
    """A pyramid on MobileNetV3's last two stages; trainable_layers as of freeze_mobilenet."""
    stages = freeze_mobilenet(features, trainable_layers)
    names = {stages[-2]: "0", stages[-1]: "1"}
    return BackboneWithFPN(features, names, [features[stage].out_channels for stage in stages[-2:]], CHANNELS)


def chosen_layers(trained, trainable_backbone_layers, most, usual=3):
    """How many layers of a backbone are trained: all without weights, else the usual unless it is said.

    Raises:
        ValueError: for more than there are.
    """
    if not trained:
        if trainable_backbone_layers is not None:
            warnings.warn(
                "Changing trainable_backbone_layers has no effect if neither pretrained nor pretrained_backbone have "
                f"been set to True, falling back to trainable_backbone_layers={most} so that all layers are trainable",
                stacklevel=5,
            )
        return most
    layers = usual if trainable_backbone_layers is None else trainable_backbone_layers
    if not 0 <= layers <= most:
        raise ValueError(f"Trainable backbone layers should be in the range [0,{most}], got {layers} ")
    return layers


def pyramid(
    trained, trainable_backbone_layers, weights_backbone, in_channels, kw, *, name="resnet50", frozen=True,
    extra_blocks=None, **settings,
):  # fmt: skip
    """The pyramid of a builder.

    Args:
        trained, trainable_backbone_layers, weights_backbone, in_channels, kw: see builders.detector.
        name: "resnet50" or "mobilenet_v3_large".
        frozen: whether the batch norms of a backbone with weights are constants.
        extra_blocks: makes those of the pyramid; None for one more level by pooling.
        settings: of resnet_pyramid.
    """
    weights = backbone_weights(name, weights_backbone, kw)
    if trained is not None:
        weights = None
    with_weights = trained is not None or weights is not None
    resnet50 = name == "resnet50"
    layers = chosen_layers(with_weights, trainable_backbone_layers, 5 if resnet50 else 6)
    norm = FrozenBatchNorm2d if frozen and with_weights else nn.BatchNorm2d
    given = {"weights": weights, "norm_layer": norm, "in_channels": in_channels}
    if not resnet50:
        return mobilenet_pyramid(mobilenet_v3_large(**given).features, layers)
    if extra_blocks is not None:
        settings["extra_blocks"] = extra_blocks()
    return resnet_pyramid(resnet.resnet50(**given), layers, **settings)
