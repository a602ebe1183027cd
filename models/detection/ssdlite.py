"""SSDlite: SSD of depthwise convolutions (Sandler et al., "MobileNetV2", 2018, section 6.2) on MobileNetV3."""
from functools import partial

from minigrad import nn
from minigrad.vision.ops import Conv2dNormActivation
from models._utils import backbone_weights
from models.detection.anchor_utils import DefaultBoxGenerator
from models.detection.backbone_utils import chosen_layers, freeze_mobilenet
from models.detection.builders import detector
from models.detection.ssd import SSD, SSDScoringHead
from models.mobilenetv3 import mobilenet_v3_large

__all__ = ["ssdlite320_mobilenet_v3_large"]

SIDE = 320
OF_MOBILENET = ("width_mult", "dilated")  # keywords that are the backbone's
DEPTHS = (512, 256, 256, 128)  # channels of the further maps


def draw_normal(module):
    """Convolutions normal with deviation 0.03, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.03)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _further_block(in_channels, out_channels, norm_layer):
    """1x1 to half the channels, a depthwise convolution of stride 2, 1x1 to out_channels."""
    block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
    hidden = out_channels // 2
    return nn.Sequential(
        block(in_channels, hidden, kernel_size=1),
        block(hidden, hidden, kernel_size=3, stride=2, groups=hidden),
        block(hidden, out_channels, kernel_size=1),
    )


def _convolutions(in_channels, num_anchors, numbers, norm_layer):
    """For each map a depthwise convolution and 1x1 to the numbers of all anchors."""
    block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
    layers = nn.ModuleList()
    for width, count in zip(in_channels, num_anchors):
        depthwise = block(width, width, kernel_size=3, groups=width)
        layers.append(nn.Sequential(depthwise, nn.Conv2d(width, numbers * count, 1)))
    draw_normal(layers)
    return layers


class SSDLiteClassificationHead(SSDScoringHead):
    """Scores of the classes, of which 0 is the background; in_channels and num_anchors are lists, one per map."""

    def __init__(self, in_channels, num_anchors, num_classes, norm_layer):
        super().__init__(_convolutions(in_channels, num_anchors, num_classes, norm_layer), num_classes)


class SSDLiteRegressionHead(SSDScoringHead):
    """Offsets of the boxes."""

    def __init__(self, in_channels, num_anchors, norm_layer):
        super().__init__(_convolutions(in_channels, num_anchors, 4, norm_layer), 4)


class SSDLiteHead(nn.Module):
    """Both heads, with a dict of bbox_regression and cls_logits."""

    def __init__(self, in_channels, num_anchors, num_classes, norm_layer):
        super().__init__()
        self.classification_head = SSDLiteClassificationHead(in_channels, num_anchors, num_classes, norm_layer)
        self.regression_head = SSDLiteRegressionHead(in_channels, num_anchors, norm_layer)

    def forward(self, x):
        return {"bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)}


class SSDLiteFeatureExtractorMobileNet(nn.Module):
    """MobileNetV3's maps within the block at which its last stage begins, those of its end, and four smaller ones.

    Args:
        backbone: the features of a MobileNetV3.
        c4_pos: where that block is.
        norm_layer: makes a normalisation of so many channels.
        width_mult, min_depth: factor of the further maps' channels, and how many they have at least.

    Raises:
        ValueError: for a block with a shortcut.
    """

    def __init__(self, backbone, c4_pos, norm_layer, width_mult=1.0, min_depth=16):
        super().__init__()
        block = backbone[c4_pos]
        if block.use_res_connect:
            raise ValueError("backbone[c4_pos].use_res_connect should be False")
        self.features = nn.Sequential(
            nn.Sequential(*backbone[:c4_pos], block.block[0]),
            nn.Sequential(block.block[1:], *backbone[c4_pos + 1 :]),
        )
        self.out_channels = [block.block[0].out_channels, backbone[-1].out_channels]
        further = []
        for depth in DEPTHS:
            depth = max(min_depth, int(depth * width_mult))
            further.append(_further_block(self.out_channels[-1], depth, norm_layer))
            self.out_channels.append(depth)
        self.extra = nn.ModuleList(further)
        draw_normal(self.extra)

    def forward(self, x):
        """A dict of the maps, largest first."""
        found = {}
        for block in (*self.features, *self.extra):
            x = found[str(len(found))] = block(x)
        return found


def mobilenet_extractor(trained, trainable_backbone_layers, weights_backbone, in_channels, kw):
    """MobileNetV3-Large as the backbone of SSDlite, its last stage narrower unless it has weights of its own."""
    weights = backbone_weights("mobilenet_v3_large", weights_backbone, kw)
    if trained is not None:
        weights = None
    layers = chosen_layers(trained is not None or weights is not None, trainable_backbone_layers, 6, usual=6)
    norm = kw["norm_layer"] = kw.get("norm_layer") or partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    settings = {name: kw.pop(name) for name in OF_MOBILENET if name in kw}
    settings.update(weights=weights, norm_layer=norm, in_channels=in_channels, reduced_tail=weights is None)
    network = mobilenet_v3_large(**settings)
    if weights is None:
        draw_normal(network.features)
    stages = freeze_mobilenet(network.features, layers)
    return SSDLiteFeatureExtractorMobileNet(network.features, stages[-2], norm)


@detector(mobilenet_extractor, image_size=SIDE, size="side")
def ssdlite320_mobilenet_v3_large(backbone, num_classes, side, norm_layer, **kw):
    """SSDlite on MobileNetV3-Large: 3,440,060 parameters; kw are arguments of SSD, width_mult, dilated and norm_layer.

    With weights of the backbone alone its last stage has all of its channels: 5,198,540 parameters.
    """
    anchors = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
    settings = {
        "score_thresh": 0.001,
        "nms_thresh": 0.55,
        "detections_per_img": 300,
        "topk_candidates": 300,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    head = SSDLiteHead(backbone.out_channels, anchors.num_anchors_per_location(), num_classes, norm_layer)
    return SSD(backbone, anchors, (side, side), num_classes, head=head, **{**settings, **kw})
