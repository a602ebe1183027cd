"""Flags of libraries that minigrad does not use: kept for programs that set them."""

import contextlib
import sys


def keep_flags(module_name, *names):
    """Return the context manager ``flags`` of a module: it sets the named values and puts the old ones back."""
    defaults = {name: getattr(sys.modules[module_name], name) for name in names}

    @contextlib.contextmanager
    def flags(*positional, **values):
        """Set flags within a ``with`` block; those not given are set to their defaults."""
        values = {**dict(zip(names, positional, strict=False)), **values}
        unknown = values.keys() - defaults.keys()
        if unknown:
            raise TypeError(f"{module_name}.flags() got an unexpected keyword argument '{min(unknown)}'")
        module = sys.modules[module_name]
        before = {name: getattr(module, name) for name in names}
        vars(module).update({**defaults, **values})
        try:
            yield
        finally:
            vars(module).update(before)

    return flags
