"""The classes of results with named parts, by PyTorch's names: ``return_types.max``, ``return_types.linalg_svd`` …

Source: https://docs.pytorch.org/docs/stable/torch.html (what functions say they return)

>>> import minigrad as mg
>>> isinstance(mg.tensor([1, 3]).max(0), mg.return_types.max), mg.return_types.topk._fields
(True, ('values', 'indices'))
"""

import importlib

from minigrad.ops.results import classes


def _all():
    importlib.import_module("minigrad.linalg")  # it makes some of them
    return classes()


def __getattr__(name):
    for made in _all():
        if made.__name__ == name:
            return made
    raise AttributeError(f"module '{__name__}' has no attribute '{name}': it has {', '.join(__dir__())}")


def __dir__():
    return sorted(made.__name__ for made in _all())
