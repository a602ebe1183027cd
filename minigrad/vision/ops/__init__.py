"""Operations of vision networks with torchvision's names (https://docs.pytorch.org/vision/stable/ops.html)."""

from minigrad.vision.ops.stochastic_depth import StochasticDepth, stochastic_depth

__all__ = ["StochasticDepth", "stochastic_depth"]
