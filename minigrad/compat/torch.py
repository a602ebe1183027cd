"""minigrad by the name torch: importing this makes `import torch`, `import torch.nn as nn`, … find minigrad.

Import it before the program's own imports. ``torch.__version__`` is the version of PyTorch whose names minigrad
follows, with minigrad's own behind the plus sign.
Raises ImportError where PyTorch itself is imported already.
"""

import importlib
import sys

import minigrad
from minigrad.compat.importer import ALIASES, install
from minigrad.compat.versions import __version__  # noqa: F401 - what programs ask torch for

install()
sys.modules["torch"] = sys.modules[__name__]
globals().update({name: value for name, value in vars(minigrad).items() if not name.startswith("__")})
__path__ = []  # a package: torch.nn and the like are found by the importer


def __getattr__(name):
    if ALIASES.get(f"torch.{name}"):
        return importlib.import_module(f"torch.{name}")
    return getattr(minigrad, name)


def __dir__():
    return sorted({*dir(minigrad), "__version__"})


__all__ = [name for name in dir(minigrad) if not name.startswith("_")]
