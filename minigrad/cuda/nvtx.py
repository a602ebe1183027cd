"""Marks and ranges in the time line of NVIDIA's profilers: torch.cuda.nvtx, through CuPy.

Source: https://docs.pytorch.org/docs/stable/cuda.html#nvidia-tools-extension-nvtx
"""

import contextlib

from minigrad.cuda.devices import the_cupy

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]


class _Depth:
    open = 0  # ranges that were pushed: CuPy does not tell


def _nvtx():
    nvtx = the_cupy().cuda.nvtx
    if not nvtx.available:
        raise RuntimeError("NVTX functions not installed: this CuPy was built without them")
    return nvtx


def range_push(msg):
    """Begin a range inside the one that is open; return how many were open. RuntimeError without a GPU or NVTX."""
    _nvtx().RangePush(msg)
    _Depth.open += 1
    return _Depth.open - 1


def range_pop():
    """End the range begun last; return how many are open inside of which it was."""
    _nvtx().RangePop()
    _Depth.open = max(0, _Depth.open - 1)
    return _Depth.open


def range_start(msg):
    """Begin a range that may overlap with others; return its number, for range_end()."""
    return _nvtx().RangeStart(msg, None)  # the colour has no default


def range_end(range_id):
    """End a range of a number."""
    _nvtx().RangeEnd(range_id)


def mark(msg):
    """Set a mark."""
    _nvtx().Mark(msg)


@contextlib.contextmanager
def range(msg, *args, **kwargs):  # noqa: A001 - PyTorch's name
    """Put a ``with`` block, or a decorated function, into a range; further arguments are formatted into msg."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
