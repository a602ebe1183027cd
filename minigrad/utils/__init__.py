"""Tools around training: data loading and checkpointing."""

import importlib as _importlib

from minigrad.absent import explain as _explain_absent

__all__ = [
    "benchmark", "checkpoint", "collect_env", "data", "dlpack", "flop_counter", "swap_tensors", "tensorboard",
]  # fmt: skip


def __getattr__(name):
    """Import a submodule when it is first asked for, so that `import minigrad` is quick."""
    if name == "model_zoo":
        return _importlib.import_module("minigrad.hub")
    if name == "swap_tensors":
        return _importlib.import_module(f"{__name__}.swap").swap_tensors
    if name in __all__ or name in ("_foreach_utils", "_pytree"):
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(_explain_absent(name, __name__))


def __dir__():
    return sorted({*globals(), *__all__})
