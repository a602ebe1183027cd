"""What all R-CNNs have in common."""
import minigrad
from minigrad import nn
from models.registry import OldNames

__all__ = ["GeneralizedRCNN"]


def _mask_layer(match):
    return f"mask_head.{int(match[1]) - 1}.0.{match[2]}"


def check_backbone(backbone):
    """ValueError for a backbone that does not say how many channels its maps have."""
    if not hasattr(backbone, "out_channels"):
        raise ValueError(
            "backbone should contain an attribute out_channels specifying the number of output channels (assumed "
            "to be the same for all the levels)"
        )


def check_targets(targets, training):
    """AssertionError for missing targets in training, and for boxes that are none."""
    if targets is None:
        if training:
            raise AssertionError("targets should not be none when in training mode")
        return
    for index, target in enumerate(targets):
        boxes = target["boxes"]
        if not isinstance(boxes, minigrad.Tensor):
            raise AssertionError(f"Expected target boxes to be of type Tensor, got {type(boxes)}.")
        if boxes.ndim != 2 or boxes.shape[-1] != 4:
            raise AssertionError(f"Expected target boxes to be a tensor of shape [N, 4], got {tuple(boxes.shape)}.")
        flat = (boxes[:, 2:] <= boxes[:, :2]).any(1)
        if flat.any():
            raise AssertionError(
                "All bounding boxes should have positive height and width. "
                f"Found invalid box {boxes[flat][0].tolist()} for target at index {index}."
            )


class GeneralizedRCNN(OldNames, nn.Module):
    """Images through a transform, a backbone, proposals of boxes, and heads on these.

    Args:
        backbone: returns maps, or a dict of maps of several sizes.
        rpn: proposes boxes, a RegionProposalNetwork.
        roi_heads: decides about them, a RoIHeads.
        transform: a GeneralizedRCNNTransform.

    Raises:
        AssertionError: when called in training without targets, or for boxes that are none.
    """

    old_names = (  # before torchvision 0.13
        (r"\.(inner_blocks|layer_blocks)\.(\d+)\.(weight|bias)$", r".\1.\2.0.\3"),
        (r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1"),
        (r"mask_head\.mask_fcn(\d+)\.(weight|bias)$", _mask_layer),
    )

    def __init__(self, backbone, rpn, roi_heads, transform):
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads

    def forward(self, images, targets=None):
        """A dict of losses in training, a list of dicts of what is found otherwise.

        Args:
            images: list of (C, H, W) between 0 and 1.
            targets: list of dicts of boxes (n, 4) in pixels, labels (n,) and what the heads want else.
        """
        check_targets(targets, self.training)
        originals = [tuple(image.shape[-2:]) for image in images]
        images, targets = self.transform(images, targets)
        features = self.backbone(images.tensors)
        if isinstance(features, minigrad.Tensor):
            features = {"0": features}
        proposals, proposal_losses = self.rpn(images, features, targets)
        found, losses = self.roi_heads(features, proposals, images.image_sizes, targets)
        if self.training:
            return {**losses, **proposal_losses}
        return self.transform.postprocess(found, images.image_sizes, originals)
