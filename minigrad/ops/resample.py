"""Interpolation, and the shuffles that trade channels for resolution."""

import math
import warnings

from minigrad.backend import REAL_CODES, np, xp
from minigrad.interception import composite
from minigrad.kernels import resample as kernels
from minigrad.op import Op
from minigrad.ops.core import cast
from minigrad.ops.define import require_tensor
from minigrad.ops.shape import clone_op, permute_op, reshape_op
from minigrad.precision import autocasting
from minigrad.registry import function
from minigrad.tensor import wrap

# A linear map along each of the last dimensions (kernels.Taps, or None); its gradient is the transposed maps.
resample = Op(
    lambda x, *, maps: kernels.resample(x, maps),
    [lambda g, maps: resample(g, maps=tuple(None if taps is None else taps.transposed for taps in maps))],
    name="resample",
)

_SPATIAL = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3, "lanczos": 2}
_COPYING = ("nearest", "nearest-exact")
_MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"


def _output_size(sizes, size, scale_factor):
    """(output sizes, scale factors or None) from what interpolate was given."""
    spatial = len(sizes)
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, (list, tuple)):
            if len(size) != spatial:
                raise ValueError(
                    "Input and output must have the same number of spatial dimensions, but got input with spatial "
                    f"dimensions of {list(sizes)} and output size of {size}. Please provide input tensor in (N, C, d1, "
                    "d2, ...,dK) format and output size in (o1, o2, ...,oK) format."
                )
            given = tuple(size)
        else:
            given = (size,) * spatial
        if any(isinstance(length, bool) or not hasattr(length, "__index__") for length in given):
            raise TypeError(f"expected size to be one of int or tuple of ints, but got {size!r}")
        return tuple(length.__index__() for length in given), None
    if isinstance(scale_factor, (list, tuple)):
        if len(scale_factor) != spatial:
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
                f"dimensions of {list(sizes)} and scale_factor of shape {scale_factor}. Please provide input tensor in "
                "(N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
            )
        scales = tuple(float(scale) for scale in scale_factor)
    else:
        scales = (float(scale_factor),) * spatial
    return tuple(math.floor(length * scale) for length, scale in zip(sizes, scales, strict=True)), scales


def _check_mode(mode, ndim, align_corners, antialias):
    if mode in (*_COPYING, "area"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic "
                "| trilinear"
            )
    if antialias and not (mode in kernels.SMOOTH and ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if mode in _SPATIAL and ndim in (3, 4, 5) and ndim != _SPATIAL[mode] + 2:
        raise NotImplementedError(f"Got {ndim}D input, but {mode} mode needs {_SPATIAL[mode] + 2}D input")
    if ndim not in (3, 4, 5) or mode not in (*_COPYING, "area", *_SPATIAL):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {ndim}D) for the modes: {_MODES} "
            f"(got {mode})"
        )
    if mode == "lanczos" and align_corners:
        raise ValueError("Lanczos mode does not support align_corners=True")
    if mode == "lanczos" and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")


@autocasting
@composite
def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """Return the input resized to ``size``, or by ``scale_factor`` (output length ⌊length · factor⌋).

    Arguments: input (N, C, L), (N, C, H, W) or (N, C, D, H, W); size, scale_factor (number or one per dimension); mode:
    "nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic" (a = -0.75), "lanczos" (three lobes, with
    antialias), "area" (adaptive means); align_corners (corner pixels' centres rather than corners are matched),
    recompute_scale_factor (use output / input length instead of the factor), antialias (bilinear, bicubic and lanczos:
    widen the kernel when reducing). ValueError or NotImplementedError for combinations that do not exist, RuntimeError
    for empty sizes.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html

    >>> import minigrad as mg
    >>> mg.nn.functional.interpolate(mg.tensor([[[1.0, 2.0]]]), scale_factor=2, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    """
    require_tensor("interpolate", input)
    shape = input.array.shape
    sizes = shape[2:]
    floating = input.array.dtype.char in REAL_CODES
    if mode in (*_COPYING, "area") and align_corners is not None:
        _check_mode(mode, len(shape), align_corners, antialias)
    out, scales = _output_size(sizes, size, scale_factor)
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if recompute_scale_factor:
        scales = None
    _check_mode(mode, len(shape), align_corners, antialias)
    if mode == "area":
        if not floating:
            raise NotImplementedError(f"interpolate: mode {mode} is not implemented for {input.dtype}")
        return resample(input, maps=tuple(map(kernels.mean_taps, sizes, out)))
    if any(length < 1 for length in (*sizes, *out)):
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {list(sizes)} output {list(out)}"
        )
    if 0 in shape[1:]:
        raise RuntimeError(f"Non-empty {len(shape)}D data tensor expected but got a tensor with sizes {list(shape)}")
    maps = tuple(
        _taps(
            length,
            target,
            None if scales is None else scales[i],
            mode,
            bool(align_corners),
            antialias,
            input.array.dtype,
        )
        for i, (length, target) in enumerate(zip(sizes, out, strict=True))
    )
    if mode in _COPYING or floating:
        return resample(input, maps=maps)
    if input.array.dtype != np.uint8:
        raise NotImplementedError(
            f"interpolate: mode {mode} is not implemented for {input.dtype}: convert to a float dtype"
        )
    if mode in kernels.SMOOTH:
        return wrap(kernels.resample_bytes(input.array, maps))
    wide = resample(cast(input, dtype=np.dtype(np.float32)), maps=maps).array
    return wrap(xp(wide).floor(wide + np.float32(0.5)).clip(0, 255).astype(np.uint8))


def _taps(size, out, scale, mode, align_corners, antialias, dtype):
    """Map of one dimension for a mode of interpolate."""
    if mode in _COPYING:
        return kernels.nearest_taps(size, out, scale, mode == "nearest-exact", dtype == np.float64)
    if antialias:
        return kernels.smooth_taps(size, out, scale, align_corners, mode)
    if mode == "bicubic":
        return kernels.cubic_taps(size, out, scale, align_corners)
    return kernels.linear_taps(size, out, scale, align_corners)


def _deprecated(name):
    warnings.warn(f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=3)


@autocasting
def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """Return `interpolate` of the same arguments (deprecated name)."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


@autocasting
def upsample_nearest(input, size=None, scale_factor=None):
    """Return `interpolate` with mode "nearest" (deprecated name)."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


@autocasting
def upsample_bilinear(input, size=None, scale_factor=None):
    """Return `interpolate` with mode "bilinear" and aligned corners (deprecated name)."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


# ---------------------------------------------------------------------- shuffles


def _check_shuffle(name, input, factor, argument):
    require_tensor(name, input)
    if input.array.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {input.array.ndim} dimension(s)"
        )
    if isinstance(factor, bool) or not hasattr(factor, "__index__"):
        raise TypeError(f"{name}(): argument '{argument}' (position 2) must be int, not {type(factor).__name__}")
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {argument}, but got {factor}")


@function()
def pixel_shuffle(input, upscale_factor):
    """Return (…, C · r², H, W) rearranged to (…, C, H · r, W · r), r = upscale_factor.

    RuntimeError for channels that r² does not divide. Inverse: `pixel_unshuffle`.
    Source: Shi et al. 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pixel_shuffle.html

    >>> import minigrad as mg
    >>> mg.pixel_shuffle(mg.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    _check_shuffle("pixel_shuffle", input, upscale_factor, "upscale_factor")
    if upscale_factor == 1:
        return clone_op(input)
    r = upscale_factor
    *lead, channels, height, width = input.array.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
            "upscale_factor, but "
            f"input.size(-3)={channels} is not divisible by {r * r}"
        )
    n = len(lead)
    parts = reshape_op(input, shape=(*lead, channels // (r * r), r, r, height, width))
    moved = permute_op(parts, dims=(*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return reshape_op(moved, shape=(*lead, channels // (r * r), height * r, width * r))


@function()
def pixel_unshuffle(input, downscale_factor):
    """Return (…, C, H · r, W · r) rearranged to (…, C · r², H, W), r = downscale_factor.

    RuntimeError for heights or widths that r does not divide. Inverse: `pixel_shuffle`.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pixel_unshuffle.html

    >>> import minigrad as mg
    >>> mg.pixel_unshuffle(mg.arange(4).reshape(1, 2, 2), 2).flatten()
    tensor([0, 1, 2, 3])
    """
    _check_shuffle("pixel_unshuffle", input, downscale_factor, "downscale_factor")
    if downscale_factor == 1:
        return clone_op(input)
    r = downscale_factor
    *lead, channels, height, width = input.array.shape
    for what, length, dim in (("height", height, -2), ("width", width, -1)):
        if length % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but "
                f"input.size({dim})={length} is "
                f"not divisible by {r}"
            )
    n = len(lead)
    parts = reshape_op(input, shape=(*lead, channels, height // r, r, width // r, r))
    moved = permute_op(parts, dims=(*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return reshape_op(moved, shape=(*lead, channels * r * r, height // r, width // r))


@function()
def channel_shuffle(input, groups):
    """Return the input (N, C, …) with its channels dealt out: channel i of group g goes to position i · groups + g.

    RuntimeError for channels that the groups do not divide.
    Source: Zhang et al. 2018; https://docs.pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html

    >>> import minigrad as mg
    >>> mg.channel_shuffle(mg.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    require_tensor("channel_shuffle", input)
    shape = input.array.shape
    if len(shape) <= 2:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}")
    if isinstance(groups, bool) or not hasattr(groups, "__index__"):
        raise TypeError(f"channel_shuffle(): argument 'groups' (position 2) must be int, not {type(groups).__name__}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if shape[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {shape[1]} channels and {groups} groups."
        )
    parts = reshape_op(input, shape=(shape[0], groups, shape[1] // groups, *shape[2:]))
    moved = permute_op(parts, dims=(0, 2, 1, *range(3, len(shape) + 1)))
    return reshape_op(moved, shape=tuple(shape))


@function()
def native_channel_shuffle(input, groups):
    """Return `channel_shuffle` of the same arguments.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html

    >>> import minigrad as mg
    >>> mg.native_channel_shuffle(mg.arange(4.0).view(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    return channel_shuffle(input, groups)
