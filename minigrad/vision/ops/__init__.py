"""Operations of vision networks with torchvision's names (https://docs.pytorch.org/vision/stable/ops.html)."""

from minigrad.vision.ops.misc import *
from minigrad.vision.ops.misc import __all__ as _misc
from minigrad.vision.ops.stochastic_depth import StochasticDepth, stochastic_depth

__all__ = [*_misc, "StochasticDepth", "stochastic_depth"]
