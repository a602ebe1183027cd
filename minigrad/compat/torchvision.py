"""minigrad.vision by the name torchvision; the networks are those of the checkout's folder `models`."""

import importlib as _importlib

from minigrad.compat.versions import TORCHVISION_VERSION as __version__
from minigrad.vision import datasets, get_image_backend, io, ops, set_image_backend, transforms, utils

__path__ = []  # a package: torchvision.transforms and the like are found by the importer
__all__ = ["__version__", "datasets", "get_image_backend", "io", "ops", "set_image_backend", "transforms", "utils"]


def __getattr__(name):
    if name == "models":
        return _importlib.import_module("torchvision.models")
    return getattr(_importlib.import_module("minigrad.vision"), name)
