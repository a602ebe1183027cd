"""Feature pyramids: maps of several sizes, and regions taken from the one that suits their size."""

import math

from minigrad.nn.container import ModuleList
from minigrad.nn.conv import Conv2d
from minigrad.nn.functional import interpolate, max_pool2d, relu
from minigrad.nn.init import kaiming_uniform_, zeros_
from minigrad.nn.module import Module
from minigrad.ops.creation import full_like
from minigrad.ops.join import cat
from minigrad.vision.ops.boxes import box_area
from minigrad.vision.ops.misc import Conv2dNormActivation
from minigrad.vision.ops.regions import roi_align

__all__ = ["FeaturePyramidNetwork", "LastLevelMaxPool", "LastLevelP6P7", "MultiScaleRoIAlign"]


def _draw(module):
    for layer in module.modules():
        if isinstance(layer, Conv2d):
            kaiming_uniform_(layer.weight, a=1)
            if layer.bias is not None:
                zeros_(layer.bias)


class ExtraFPNBlock(Module):
    """Adds levels to a pyramid: forward(results, x, names) returns the longer lists of maps and names."""


class FeaturePyramidNetwork(Module):
    """Maps of several sizes, each with what the coarser ones say added: a dict as the one that goes in.

    Args:
        in_channels_list: channels of the maps, fine to coarse.
        out_channels: of all results.
        extra_blocks: ExtraFPNBlock, or None.
        norm_layer: makes a normalisation of so many channels, or None.

    ValueError for maps of 0 channels, TypeError for other extra_blocks.
    Source: Lin et al. 2016, https://arxiv.org/abs/1612.03144;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.FeaturePyramidNetwork.html

    >>> import minigrad as mg
    >>> pyramid = FeaturePyramidNetwork([4, 8], 6)
    >>> {name: tuple(x.shape) for name, x in pyramid({"a": mg.ones(1, 4, 6, 6), "b": mg.ones(1, 8, 3, 3)}).items()}
    {'a': (1, 6, 6, 6), 'b': (1, 6, 3, 3)}
    """

    def __init__(self, in_channels_list, out_channels, extra_blocks=None, norm_layer=None):
        super().__init__()
        if 0 in in_channels_list:
            raise ValueError("in_channels=0 is currently not supported")
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}")
        pieces = {"norm_layer": norm_layer, "activation_layer": None}
        inner = [Conv2dNormActivation(channels, out_channels, 1, **pieces) for channels in in_channels_list]
        layer = [Conv2dNormActivation(out_channels, out_channels, 3, **pieces) for _ in in_channels_list]
        self.inner_blocks = ModuleList(inner)
        self.layer_blocks = ModuleList(layer)
        _draw(self)
        self.extra_blocks = extra_blocks

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        # before torchvision 0.13 the blocks were plain convolutions
        for blocks in ("inner_blocks", "layer_blocks"):
            for index in range(len(self.inner_blocks)):
                for name in ("weight", "bias"):
                    old = f"{prefix}{blocks}.{index}.{name}"
                    if old in state_dict:
                        state_dict[f"{prefix}{blocks}.{index}.0.{name}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, x):
        """Return the dict of maps (N, out_channels, H, W), fine to coarse, and those of extra_blocks."""
        names, maps = list(x), list(x.values())
        results = []
        last = None
        for inner, layer, here in reversed(list(zip(self.inner_blocks, self.layer_blocks, maps))):
            coarser = last
            last = inner(here)
            if coarser is not None:
                last = last + interpolate(coarser, size=last.shape[-2:], mode="nearest")
            results.insert(0, layer(last))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return dict(zip(names, results))


class LastLevelMaxPool(ExtraFPNBlock):
    """Adds every other position of the last maps, called "pool"."""

    def forward(self, results, x, names):
        """Return the lists of maps and names with one more."""
        return [*results, max_pool2d(results[-1], 1, 2, 0)], [*names, "pool"]


class LastLevelP6P7(ExtraFPNBlock):
    """Adds two levels by convolutions of stride 2, called "p6" and "p7".

    Arguments: in_channels (those of the pyramid's maps, or of the last maps that go into it), out_channels.
    """

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.p6 = Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = Conv2d(out_channels, out_channels, 3, 2, 1)
        _draw(self)
        self.use_P5 = in_channels == out_channels

    def forward(self, results, x, names):
        """Return the lists of maps and names with two more."""
        p6 = self.p6(results[-1] if self.use_P5 else x[-1])
        return [*results, p6, self.p7(relu(p6))], [*names, "p6", "p7"]


class MultiScaleRoIAlign(Module):
    """roi_align of each region on the maps of a pyramid that suit its size.

    A region of area a is taken from level ⌊canonical_level + log2(√a / canonical_scale)⌋.

    Args:
        featmap_names: names of the maps to use, of the dict that goes in.
        output_size: (height, width) or one number for both.
        sampling_ratio: see roi_align.
        canonical_scale, canonical_level: side of the boxes that are taken from that level.

    ValueError when called without images.
    Source: Lin et al. 2016, equation 1;
    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.MultiScaleRoIAlign.html

    >>> import minigrad as mg
    >>> pool = MultiScaleRoIAlign(["a", "b"], 3, 2)
    >>> maps = {"a": mg.ones(1, 5, 64, 64), "b": mg.ones(1, 5, 32, 32)}
    >>> tuple(pool(maps, [mg.tensor([[0.0, 0.0, 8.0, 8.0]])], [(256, 256)]).shape)
    (1, 5, 3, 3)
    """

    def __init__(self, featmap_names, output_size, sampling_ratio, *, canonical_scale=224, canonical_level=4):
        super().__init__()
        self.featmap_names = featmap_names
        self.sampling_ratio = sampling_ratio
        self.output_size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
        self.scales = None
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def _levels(self, boxes):
        """Which of the maps each box is taken from, (K,)."""
        first, last = (int(-math.log2(scale)) for scale in (self.scales[0], self.scales[-1]))
        side = cat([box_area(part) for part in boxes]).sqrt()
        level = (self.canonical_level + (side / self.canonical_scale).log2() + 1e-6).floor()
        return level.clamp(min=first, max=last) - first

    def forward(self, x, boxes, image_shapes):
        """Return the regions (K, C, *output_size).

        Arguments: x (dict of maps), boxes (list of (L, 4), one per image), image_shapes (list of (height, width)).
        """
        maps = [value for name, value in x.items() if name in self.featmap_names]
        if self.scales is None:
            if not image_shapes:
                raise ValueError("images list should not be empty")
            height = max(shape[0] for shape in image_shapes)
            self.scales = [2.0 ** round(math.log2(part.shape[-2] / height)) for part in maps]
        rois = cat([cat([full_like(part[:, :1], index), part], 1) for index, part in enumerate(boxes)], 0)
        settings = {"output_size": self.output_size, "sampling_ratio": self.sampling_ratio}
        if len(maps) == 1:
            return roi_align(maps[0], rois, spatial_scale=self.scales[0], **settings)
        levels = self._levels(boxes)
        parts, places = [], []
        for level, (part, scale) in enumerate(zip(maps, self.scales)):
            place = (levels == level).nonzero()[:, 0]
            places.append(place)
            parts.append(roi_align(part, rois[place], spatial_scale=scale, **settings))
        return cat(parts, 0)[cat(places, 0).argsort()]

    def __repr__(self):
        return (
            f"{type(self).__name__}(featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio})"
        )
