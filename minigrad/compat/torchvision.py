"""minigrad.vision by the name torchvision; the networks are those of the checkout's folder `models`."""

import importlib as _importlib

from minigrad import vision as _vision
from minigrad.compat.versions import TORCHVISION_VERSION as __version__  # noqa: F401 - what programs ask it for

__path__ = []  # a package: torchvision.transforms and the like are found by the importer
__all__ = list(_vision.__all__)
globals().update({name: getattr(_vision, name) for name in __all__})


def __getattr__(name):
    if name == "models":
        return _importlib.import_module("torchvision.models")
    return getattr(_vision, name)


def __dir__():
    return sorted({*__all__, "__version__", "models"})
