"""Images: datasets and transforms with torchvision's names (https://docs.pytorch.org/vision/stable/)."""

import importlib as _importlib

from minigrad.vision import datasets, io, ops, transforms, tv_tensors, utils

__all__ = ["datasets", "get_image_backend", "io", "ops", "set_image_backend", "transforms", "tv_tensors", "utils"]


def get_image_backend():
    """Return the name of the library that images are read with.

    >>> import minigrad as mg
    >>> mg.vision.get_image_backend()
    'PIL'
    """
    return "PIL"


def set_image_backend(backend):
    """Choose the library that images are read with: only "PIL" is there; ValueError for another.

    >>> import minigrad as mg
    >>> mg.vision.set_image_backend("PIL")
    """
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}': images are read with 'PIL' here")


def _is_tracing():
    """Return whether the program is being traced by a compiler, which never happens here."""
    return False


def disable_beta_transforms_warning():
    """Do nothing, as in torchvision, which once warned of its v2 transforms."""


def __getattr__(name):
    if name == "models":  # torchvision.models: the checkout's package beside minigrad
        return _importlib.import_module("minigrad.compat.importer").networks()
    raise AttributeError(f"module 'minigrad.vision' has no attribute {name!r}")
