"""Errors of PyTorch's own."""


class OutOfMemoryError(RuntimeError):
    """A GPU's memory has run out; what went before stays as it was, and smaller allocations work."""


OutOfMemoryError.__module__ = "minigrad"
