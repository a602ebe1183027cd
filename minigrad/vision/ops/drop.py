"""DropBlock, and the focal loss."""

from minigrad.nn.functional import binary_cross_entropy_with_logits, max_pool2d, max_pool3d, pad
from minigrad.nn.module import Module
from minigrad.ops.creation import empty
from minigrad.vision.ops.boxes import reduced

__all__ = ["DropBlock2d", "DropBlock3d", "drop_block2d", "drop_block3d", "sigmoid_focal_loss"]


def _drop_block(input, p, block_size, inplace, eps, training, spatial, pool):
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.ndim != spatial + 2:
        raise ValueError(f"input should be {spatial + 2} dimensional. Got {input.ndim} dimensions.")
    if not training or p == 0.0:
        return input
    sides = input.shape[2:]
    side = min(block_size, *sides)
    if side % 2 == 0:
        raise ValueError(f"block size should be odd. Got {side} which is even.")
    free = [length - side + 1 for length in sides]  # places of a block's centre
    gamma = p / side**spatial
    for length, places in zip(sides, free):
        gamma *= length / places
    seeds = empty((*input.shape[:2], *free), dtype=input.dtype, device=input.device)
    seeds.bernoulli_(min(gamma, 1.0))
    seeds = pad(seeds, [side // 2] * (2 * spatial))
    kept = 1 - pool(seeds, side, 1, side // 2)
    scale = kept.numel() / (eps + kept.sum())
    return input.mul_(kept).mul_(scale) if inplace else input * kept * scale


def drop_block2d(input, p, block_size, inplace=False, eps=1e-6, training=True):
    """Return (N, C, H, W) with squares of block_size set to 0, a share of about p, and the rest scaled up.

    ValueError for a p outside [0, 1], an even block_size, or an input of another number of dimensions.
    Source: Ghiasi et al. 2018, https://arxiv.org/abs/1810.12890;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.drop_block2d.html

    >>> import minigrad as mg
    >>> generator = mg.manual_seed(0)
    >>> 0 < (drop_block2d(mg.ones(1, 1, 32, 32), 0.3, 3) == 0).sum().item() < 1024
    True
    """
    return _drop_block(input, p, block_size, inplace, eps, training, 2, max_pool2d)


def drop_block3d(input, p, block_size, inplace=False, eps=1e-6, training=True):
    """Return (N, C, D, H, W) with cubes of block_size set to 0; see drop_block2d.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.ops.drop_block3d.html

    >>> import minigrad as mg
    >>> drop_block3d(mg.ones(1, 1, 4, 4, 4), 0.3, 3, training=False).sum()
    tensor(64.)
    """
    return _drop_block(input, p, block_size, inplace, eps, training, 3, max_pool3d)


class DropBlock2d(Module):
    """See drop_block2d.

    >>> DropBlock2d(0.1, 3)
    DropBlock2d(p=0.1, block_size=3, inplace=False)
    """

    _function = staticmethod(drop_block2d)

    def __init__(self, p, block_size, inplace=False, eps=1e-6):
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input):
        """Return the input, blocks of it dropped in training."""
        return self._function(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def __repr__(self):
        return f"{type(self).__name__}(p={self.p}, block_size={self.block_size}, inplace={self.inplace})"


class DropBlock3d(DropBlock2d):
    """See drop_block3d.

    >>> DropBlock3d(0.1, 3)
    DropBlock3d(p=0.1, block_size=3, inplace=False)
    """

    _function = staticmethod(drop_block3d)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    """Return the cross entropy of sigmoid(inputs), weighted by (1 - p)^gamma of the probability p of the target.

    Arguments: inputs, targets (0 or 1) of one shape; alpha (weight of targets 1, 1 - alpha that of targets 0; -1 for
    none), gamma, reduction ("none", "mean", "sum"). ValueError for another alpha or reduction.
    Source: Lin et al. 2017, https://arxiv.org/abs/1708.02002;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.sigmoid_focal_loss.html

    >>> import minigrad as mg
    >>> sigmoid_focal_loss(mg.tensor([0.0]), mg.tensor([1.0]))
    tensor([0.0433])
    """
    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore.")
    p = inputs.sigmoid()
    wrong = p + targets - 2 * p * targets  # the probability of the other class
    loss = binary_cross_entropy_with_logits(inputs, targets, reduction="none") * wrong**gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return reduced(loss, reduction)
