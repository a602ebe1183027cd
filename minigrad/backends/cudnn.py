"""cuDNN, which computes convolutions on GPUs where it is installed: PyTorch's switches, in all threads.

``enabled`` (True): where False, or without cuDNN, im2col and a matrix product are used. ``benchmark`` (False): time the
first ``benchmark_limit`` (10; 0: all) algorithms once for each new shape, and keep the fastest. ``deterministic``
(False): only algorithms whose rounding is the same from run to run, as also use_deterministic_algorithms asks for.
``allow_tf32`` (True): float32 may be rounded to TF32, with ten bits of mantissa, before it is multiplied.
``workspace_limit`` (256 MiB, minigrad's own): scratch memory in bytes that an algorithm may take.
Source: https://docs.pytorch.org/docs/stable/backends.html#module-torch.backends.cudnn

>>> import minigrad as mg
>>> with mg.backends.cudnn.flags(enabled=True, benchmark=True):
...     mg.backends.cudnn.benchmark
True
>>> mg.backends.cudnn.benchmark
False
"""

import contextlib
import sys
import types

from minigrad.backend import CUDNN

_SWITCHES = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")
_NUMBERS = ("benchmark_limit", "workspace_limit")


def is_available():
    """Return whether cuDNN 9 is installed."""
    from minigrad.backend import cudnn

    return cudnn.is_available()


def version():
    """Return cuDNN's version as PyTorch does, 91900 for 9.19.0; None where it is not installed."""
    from minigrad.backend import cudnn

    return cudnn.version()


def _set(name, value):
    """Set one switch; RuntimeError for a value of another type."""
    if name in _NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise RuntimeError(f"backends.cudnn.{name} expects a non-negative int, but got {value!r}")
    elif not isinstance(value, bool):
        raise RuntimeError(f"backends.cudnn.{name} expects a bool, but got {type(value).__name__}")
    setattr(CUDNN, name, value)


def set_flags(
    _enabled=None, _benchmark=None, _benchmark_limit=None, _deterministic=None, _allow_tf32=None
):  # the names are PyTorch's
    """Set those switches that are given; returns what all five were before, as a tuple."""
    before = tuple(getattr(CUDNN, name) for name in _SWITCHES)
    given = _enabled, _benchmark, _benchmark_limit, _deterministic, _allow_tf32
    try:
        for name, value in zip(_SWITCHES, given, strict=True):
            if value is not None:
                _set(name, value)
    except RuntimeError:
        for name, value in zip(_SWITCHES, before, strict=True):
            setattr(CUDNN, name, value)
        raise
    return before


@contextlib.contextmanager
def flags(enabled=False, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True):
    """Set all five switches within a ``with`` block; those not given are set to these defaults, PyTorch's."""
    before = set_flags(enabled, benchmark, benchmark_limit, deterministic, allow_tf32)
    try:
        yield
    finally:
        set_flags(*before)


def _switch(name):
    return property(lambda module: getattr(CUDNN, name), lambda module, value: _set(name, value))


class _Module(types.ModuleType):
    """This module, whose switches are the settings of the kernels."""


for _name in (*_SWITCHES, "workspace_limit"):
    setattr(_Module, _name, _switch(_name))
sys.modules[__name__].__class__ = _Module
