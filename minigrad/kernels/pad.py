"""Constant padding and cropping."""

from minigrad.backend import xp


def pad_constant(x, pads, value):
    """x with ``pads[i] = (before, after)`` values around dimension i; negative numbers crop."""
    shape = tuple(length + before + after for length, (before, after) in zip(x.shape, pads, strict=True))
    inside = tuple(
        slice(max(before, 0), max(before, 0) + max(0, length + min(before, 0) + min(after, 0)))
        for length, (before, after) in zip(x.shape, pads, strict=True)
    )
    kept = tuple(
        slice(max(-before, 0), max(-before, 0) + max(0, length + min(before, 0) + min(after, 0)))
        for length, (before, after) in zip(x.shape, pads, strict=True)
    )
    if all(before <= 0 and after <= 0 for before, after in pads):
        return x[kept].copy()
    out = xp(x).empty(shape, x.dtype) if x.size == 0 else xp(x).full(shape, value, x.dtype)
    if x.size == 0:
        out[...] = value
    out[inside] = x[kept]
    return out
