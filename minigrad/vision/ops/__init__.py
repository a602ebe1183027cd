"""Operations of vision networks with torchvision's names (https://docs.pytorch.org/vision/stable/ops.html)."""

from minigrad.vision.ops import boxes, deform_conv, drop, misc, pyramid, regions
from minigrad.vision.ops.boxes import *
from minigrad.vision.ops.deform_conv import *
from minigrad.vision.ops.drop import *
from minigrad.vision.ops.misc import *
from minigrad.vision.ops.pyramid import *
from minigrad.vision.ops.regions import *
from minigrad.vision.ops.stochastic_depth import StochasticDepth, stochastic_depth

__all__ = ["StochasticDepth", "stochastic_depth"]
for _part in (boxes, deform_conv, drop, misc, pyramid, regions):
    __all__ += _part.__all__
