"""Signal processing under PyTorch's names: torch.signal."""

from minigrad.signal import windows

__all__ = ["windows"]
