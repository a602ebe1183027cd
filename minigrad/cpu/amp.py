"""PyTorch's older names of mixed precision on the CPU, torch.cpu.amp: each warns and calls minigrad.amp's."""

import warnings

from minigrad import amp
from minigrad.backend import DTYPES

__all__ = ["GradScaler", "autocast"]


def _warn(name):
    warnings.warn(
        f"`torch.cpu.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}('cpu', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(amp.autocast):  # noqa: N801 - PyTorch's name
    """`minigrad.autocast("cpu", …)`; warns."""

    def __init__(self, enabled=True, dtype=DTYPES["bfloat16"], cache_enabled=True):
        _warn("autocast")
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`minigrad.amp.GradScaler("cpu", …)`; warns."""

    def __init__(
        self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True
    ):
        _warn("GradScaler")
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
