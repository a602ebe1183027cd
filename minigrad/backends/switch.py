"""A module whose ``enabled`` is a setting of the kernels, as torch.backends.cudnn.enabled is."""

import contextlib
import sys
import types

from minigrad.backend import CONVOLUTIONS


def make_switch(module_name, setting):
    """Give a module ``enabled``, ``set_flags`` and ``flags`` over one setting of the convolutions' kernels."""

    class Switch(types.ModuleType):
        @property
        def enabled(self):
            return getattr(CONVOLUTIONS, setting)

        @enabled.setter
        def enabled(self, value):
            set_flags(value)

    def set_flags(_enabled):
        """Turn it on or off; returns what was set before, as a tuple. TypeError for anything but a bool."""
        if not isinstance(_enabled, bool):
            raise TypeError(f"{module_name}.enabled expects a bool, but got {type(_enabled).__name__}")
        before = getattr(CONVOLUTIONS, setting)
        setattr(CONVOLUTIONS, setting, _enabled)
        return (before,)

    @contextlib.contextmanager
    def flags(enabled=False):
        """Turn it on or off within a ``with`` block."""
        before = set_flags(enabled)
        try:
            yield
        finally:
            set_flags(*before)

    module = sys.modules[module_name]
    module.set_flags, module.flags = set_flags, flags
    module.__class__ = Switch
