"""Padding: with a constant (or cropping), by reflection, by the border's values, or around the circle."""

import math

from minigrad.kernels import pad as kernels
from minigrad.kernels.resample import pad_taps
from minigrad.op import Op
from minigrad.ops.arguments import ints_of
from minigrad.ops.define import require_tensor
from minigrad.ops.resample import resample
from minigrad.precision import autocasting
from minigrad.registry import function

# The gradient of padding is cropping, which is padding by negative amounts.
pad_op = Op(
    lambda x, *, pads, value: kernels.pad_constant(x, pads, value),
    [lambda g, pads: pad_op(g, pads=tuple((-before, -after) for before, after in pads), value=0)],
    name="pad",
)

_MODES = ("constant", "reflect", "replicate", "circular")


def pad(input, pad, mode="constant", value=None):
    """Return the tensor padded along its last dimensions; negative amounts crop.

    Arguments: input; pad: (before, after) of the last dimension, then of the last but one, …; mode: "constant" (any
    number of dimensions, filled with value, default 0), "reflect" (around the border, which is not repeated),
    "replicate" (the border's values) or "circular", these for the last 1, 2 or 3 dimensions of an input with a channel
    dimension and perhaps a batch. RuntimeError, NotImplementedError or ValueError for amounts that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html

    >>> import minigrad as mg
    >>> mg.nn.functional.pad(mg.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """
    require_tensor("pad", input)
    amounts = ints_of((tuple(pad),), "pad")
    if len(amounts) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, but got pad={list(amounts)}")
    ndim = input.array.ndim
    if len(amounts) // 2 > ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(amounts)} and input of dimension {ndim}"
        )
    if mode not in _MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}; known: {', '.join(_MODES)}")
    if mode == "constant":
        return constant_pad_nd(input, amounts, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    spatial = len(amounts) // 2
    if spatial not in (1, 2, 3) or ndim not in (spatial + 1, spatial + 2):
        raise NotImplementedError(
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: the last 1, 2 or 3 "
            "dimensions "
            f"of an input with channels; got pad={list(amounts)} for an input of shape {list(input.shape)}"
        )
    # What PyTorch has kernels of its own for: autocast knows these, but not the others.
    padded = _edges_pad if mode == "replicate" or (mode == "reflect" and spatial < 3) else _taps_pad
    return padded(input, [(amounts[2 * i], amounts[2 * i + 1]) for i in reversed(range(spatial))], mode)


def _taps_pad(input, sides, mode):
    """Pad the last len(sides) dimensions by copying; sides in the order of the dimensions."""
    shape = input.array.shape
    sizes = shape[len(shape) - len(sides) :]
    maps = []
    for size, (before, after) in zip(sizes, sides, strict=True):
        out = size + before + after
        if mode == "reflect" and (before >= size or after >= size):
            raise RuntimeError(
                "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
                f"({before}, {after}) at a dimension of input {list(shape)}"
            )
        if mode == "circular" and (before > size or after > size):
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if mode == "circular" and (out < 0 or size + min(before, 0) + min(after, 0) < 1):
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
        if mode != "circular" and (out < 1 or size < 1):
            raise RuntimeError(
                f"input {list(shape)} is too small: padding ({before}, {after}) gives a dimension of length {out}"
            )
        maps.append(None if before == after == 0 else pad_taps(size, before, after, mode))
    return resample(input, maps=tuple(maps))


_edges_pad = autocasting(_taps_pad, "pad_edges")


@function()
def constant_pad_nd(input, pad, value=0):
    """Return the tensor with constants around its last dimensions; negative amounts crop.

    Arguments: input; pad: (before, after) of the last dimension, then of the last but one, …; value (number).
    RuntimeError where more is cropped than there is.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html

    >>> import minigrad as mg
    >>> mg.constant_pad_nd(mg.ones(2), (1, 2), 7.0)
    tensor([7., 1., 1., 7., 7.])
    """
    require_tensor("constant_pad_nd", input)
    amounts = ints_of((tuple(pad),), "pad")
    shape = input.array.shape
    if len(amounts) % 2 or len(amounts) // 2 > len(shape):
        raise RuntimeError(
            f"Length of pad must be even and at most twice the number of dimensions {len(shape)}, but got "
            f"{len(amounts)}"
        )
    count = len(amounts) // 2
    sides = [(amounts[2 * i], amounts[2 * i + 1]) for i in reversed(range(count))]
    pads = ((0, 0),) * (len(shape) - count) + tuple(sides)
    for dim, (length, (before, after)) in enumerate(zip(shape, pads, strict=True)):
        if length + before + after < 0:
            raise RuntimeError(
                f"The input size {length}, plus negative padding {before} and {after}, resulted in a negative output "
                f"size, which is invalid. Check dimension {dim} of your input."
            )
    if input.array.dtype.kind in "iu" and isinstance(value, float):
        value = int(value) if math.isfinite(value) else 0
    return pad_op(input, pads=pads, value=value)
