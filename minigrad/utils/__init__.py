"""Tools around training: data loading and checkpointing."""

import importlib as _importlib

__all__ = ["checkpoint", "data"]


def __getattr__(name):
    """Import a submodule when it is first asked for, so that `import minigrad` is quick."""
    if name in __all__ or name == "_pytree":
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__():
    return sorted({*globals(), *__all__})
