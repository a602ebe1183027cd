"""torch.cpu: the names that torch.cuda has too, for code that is written for either; operations are done at once."""

import contextlib
import importlib

from minigrad.absent import explain


def is_available():
    """Return True."""
    return True


is_initialized = is_available


def device_count():
    """Return 1."""
    return 1


def current_device():
    """Return "cpu"."""
    return "cpu"


def synchronize(device=None):
    """Return None: operations on the CPU are done when they return."""


def set_device(device):
    """Return None: there is one CPU."""


def current_stream(device=None):
    """Return None, which stream() takes."""


def stream(stream):
    """Return a ``with`` block without effect: the CPU has one stream."""
    return contextlib.nullcontext(stream)


def __getattr__(name):
    if name == "amp":
        return importlib.import_module("minigrad.cpu.amp")
    raise AttributeError(explain(name, __name__))
