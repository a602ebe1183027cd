"""PyTorch's older names of mixed precision, torch.cuda.amp and torch.cpu.amp: each warns and calls minigrad.amp's."""

import warnings

from minigrad.amp.autocast_mode import autocast as _autocast
from minigrad.amp.grad_scaler import GradScaler as _GradScaler
from minigrad.backend import DTYPES


def warn_of(device, name, instead):
    """Warn of an older name of a device."""
    warnings.warn(
        f"`torch.{device}.amp.{name}(args...)` is deprecated. Please use `torch.amp.{instead}` instead.",
        FutureWarning,
        stacklevel=3,
    )


def older_names(device, dtype):
    """Return (autocast, GradScaler) of a device, without the argument that names it; dtype: autocast's by default."""

    class autocast(_autocast):  # noqa: N801 - PyTorch's name
        __doc__ = f'`minigrad.autocast("{device}", …)`; warns.'

        def __init__(self, enabled=True, dtype=DTYPES[dtype], cache_enabled=True):
            warn_of(device, "autocast", f"autocast('{device}', args...)")
            super().__init__(device, dtype, enabled, cache_enabled)

    class GradScaler(_GradScaler):
        __doc__ = f'`minigrad.amp.GradScaler("{device}", …)`; warns.'

        def __init__(
            self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True
        ):
            warn_of(device, "GradScaler", f"GradScaler('{device}', args...)")
            super().__init__(device, init_scale, growth_factor, backoff_factor, growth_interval, enabled)

    for kind in (autocast, GradScaler):
        kind.__module__, kind.__qualname__ = f"minigrad.{device}.amp", kind.__name__
    return autocast, GradScaler
