"""NNPACK: not used."""

from minigrad.absent import getter


def is_available():
    """Return whether NNPACK is used: no."""
    return False


__getattr__ = getter(__name__)
