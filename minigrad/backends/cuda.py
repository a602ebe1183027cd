"""Whether GPUs can be used at all."""


def is_built():
    """Return whether CuPy, through which GPUs are used, is installed."""
    import importlib.util

    return importlib.util.find_spec("cupy") is not None
