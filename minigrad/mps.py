"""torch.mps: GPUs of Apple, of which there are none here."""

from minigrad.absent import getter
from minigrad.xpu import device_count, is_available, manual_seed  # noqa: F401 - this module's functions

__getattr__ = getter(__name__)
