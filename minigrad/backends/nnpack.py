"""NNPACK: not used."""


def is_available():
    """Return whether NNPACK is used: no."""
    return False
