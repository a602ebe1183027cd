"""torch.mtia: accelerators of Meta, of which there are none here."""

from minigrad.absent import getter
from minigrad.xpu import device_count, is_available, is_initialized, manual_seed  # noqa: F401 - this module's

__getattr__ = getter(__name__)
