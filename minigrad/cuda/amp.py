"""PyTorch's older names of mixed precision on GPUs, torch.cuda.amp: each warns and calls minigrad.amp's.

Source: https://docs.pytorch.org/docs/stable/amp.html
"""

import warnings

from minigrad import amp
from minigrad.backend import DTYPES, cuda_is_available

__all__ = ["GradScaler", "amp_definitely_not_available", "autocast", "custom_bwd", "custom_fwd"]


def amp_definitely_not_available():
    """Return whether there is no GPU.

    >>> import minigrad as mg
    >>> mg.cuda.amp.amp_definitely_not_available() is not mg.cuda.is_available()
    True
    """
    return not cuda_is_available()


def _warn(name, instead):
    warnings.warn(
        f"`torch.cuda.amp.{name}(args...)` is deprecated. Please use `torch.amp.{instead}` instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(amp.autocast):  # noqa: N801 - PyTorch's name
    """`minigrad.autocast("cuda", …)`; warns."""

    def __init__(self, enabled=True, dtype=DTYPES["float16"], cache_enabled=True):
        _warn("autocast", "autocast('cuda', args...)")
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`minigrad.amp.GradScaler("cuda", …)`; warns."""

    def __init__(
        self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True
    ):
        _warn("GradScaler", "GradScaler('cuda', args...)")
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


def custom_fwd(fwd=None, *, cast_inputs=None):
    """`minigrad.amp.custom_fwd` for GPUs; warns."""
    _warn("custom_fwd", "custom_fwd(args..., device_type='cuda')")
    return amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd):
    """`minigrad.amp.custom_bwd` for GPUs; warns."""
    _warn("custom_bwd", "custom_bwd(args..., device_type='cuda')")
    return amp.custom_bwd(bwd, device_type="cuda")
