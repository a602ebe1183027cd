"""Layers that change resolution: Upsample, and the shuffles between channels and pixels."""

from minigrad.nn.module import Module
from minigrad.ops.resample import channel_shuffle, interpolate, pixel_shuffle, pixel_unshuffle

__all__ = [
    "ChannelShuffle",
    "PixelShuffle",
    "PixelUnshuffle",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Module):
    """Resizes (N, C, L), (N, C, H, W) or (N, C, D, H, W) by interpolation.

    Arguments: size or scale_factor, mode ("nearest", "linear", "bilinear", "bicubic", "trilinear", …), align_corners,
    recompute_scale_factor: see `minigrad.nn.functional.interpolate`.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html

    >>> import minigrad as mg
    >>> mg.nn.Upsample(scale_factor=2)(mg.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    __constants__ = ["size", "scale_factor", "mode", "align_corners", "name", "recompute_scale_factor"]

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input):
        """Return the resized input."""
        return interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )

    def extra_repr(self):
        """Return the settings."""
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resizes (N, C, H, W) by repeating the nearest pixel.

    Arguments: size or scale_factor.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingNearest2d.html

    >>> import minigrad as mg
    >>> mg.nn.UpsamplingNearest2d(scale_factor=2)(mg.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Resizes (N, C, H, W) bilinearly with aligned corners.

    Arguments: size or scale_factor.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingBilinear2d.html

    >>> import minigrad as mg
    >>> mg.nn.UpsamplingBilinear2d(size=(1, 3))(mg.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1.0000, 1.5000, 2.0000]]]])
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """Rearranges (…, C · r², H, W) to (…, C, H · r, W · r).

    Arguments: upscale_factor (r).
    Source: Shi et al. 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html

    >>> import minigrad as mg
    >>> mg.nn.PixelShuffle(3)(mg.ones(1, 9, 4, 4)).shape
    minigrad.Size([1, 1, 12, 12])
    """

    __constants__ = ["upscale_factor"]

    def __init__(self, upscale_factor):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input):
        """Return the rearranged input."""
        return pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        """Return the settings."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Rearranges (…, C, H · r, W · r) to (…, C · r², H, W).

    Arguments: downscale_factor (r).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html

    >>> import minigrad as mg
    >>> mg.nn.PixelUnshuffle(2)(mg.ones(1, 3, 4, 6)).shape
    minigrad.Size([1, 12, 2, 3])
    """

    __constants__ = ["downscale_factor"]

    def __init__(self, downscale_factor):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input):
        """Return the rearranged input."""
        return pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self):
        """Return the settings."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Deals the channels of (N, C, …) out among groups.

    Arguments: groups.
    Source: Zhang et al. 2018; https://docs.pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html

    >>> import minigrad as mg
    >>> mg.nn.ChannelShuffle(2)(mg.arange(4.0).reshape(1, 4, 1, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    __constants__ = ["groups"]

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, input):
        """Return the input with its channels in the new order."""
        return channel_shuffle(input, self.groups)

    def extra_repr(self):
        """Return the settings."""
        return f"groups={self.groups}"
