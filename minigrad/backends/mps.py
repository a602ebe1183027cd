"""GPUs of Apple computers: not supported."""

from minigrad.absent import getter


def is_available():
    """Return whether tensors can live on an Apple GPU: no."""
    return False


def is_built():
    """Return whether minigrad can use Apple GPUs: no."""
    return False


__getattr__ = getter(__name__)
