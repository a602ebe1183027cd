"""PyTorch's global switches, most of which choose nothing here: they are checked, kept and told again.

On the CPU every result is the same from run to run, so deterministic algorithms are the only ones. On a GPU sums by
``scatter_add``, ``index_add`` and the like add in any order; where it was asked for, they raise or warn instead.
Source: https://docs.pytorch.org/docs/stable/torch.html#utilities
"""

import warnings

from minigrad.backend import cuda_is_available
from minigrad.backend.switches import DETERMINISM, PRODUCTS

_values = {"warn_always": False, "threads": 1}
has_lapack = has_spectral = True
has_mkl = has_openmp = False
_DEBUG_MODES = ("default", "warn", "error")


def _assert(condition, message):
    """AssertionError with the message unless the condition, a bool or a tensor of one element, holds."""
    if not condition:
        raise AssertionError(message)


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Ask for results that are the same from run to run, as they are on the CPU.

    On a GPU, floating-point sums at indices that repeat then raise RuntimeError, or warn with ``warn_only``. TypeError
    for a mode that is no bool.
    """
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms(): argument 'mode' must be bool, not {type(mode).__name__}")
    DETERMINISM.level = (1 if warn_only else 2) if mode else 0


def are_deterministic_algorithms_enabled():
    """Return whether deterministic algorithms were asked for."""
    return DETERMINISM.level > 0


def is_deterministic_algorithms_warn_only_enabled():
    """Return whether they were asked for with warn_only."""
    return DETERMINISM.level == 1


def set_deterministic_debug_mode(debug_mode):
    """Set the same by a name or number: "default" 0, "warn" 1, "error" 2; RuntimeError for another."""
    if not isinstance(debug_mode, (str, int)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if debug_mode not in _DEBUG_MODES and debug_mode not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}"
        )
    number = _DEBUG_MODES.index(debug_mode) if isinstance(debug_mode, str) else debug_mode
    use_deterministic_algorithms(number > 0, warn_only=number == 1)


def get_deterministic_debug_mode():
    """Return 0, 1 or 2; see set_deterministic_debug_mode."""
    return DETERMINISM.level


def set_float32_matmul_precision(precision):
    """Set the precision that products of float32 need at least: below "highest", GPUs compute them in TF32.

    The CPU always computes in float32. Setting minigrad.backends.cuda.matmul.allow_tf32 sets "high" or "highest".
    A warning, and no change, for anything but "highest", "high" and "medium"; RuntimeError for what is no string.
    """
    if not isinstance(precision, str):
        raise RuntimeError(f"set_float32_matmul_precision expects a str, but got {type(precision).__name__}")
    if precision in ("highest", "high", "medium"):
        PRODUCTS.precision = precision
    else:
        warnings.warn(f"{precision} is not one of 'highest', 'high', or 'medium'", stacklevel=2)


def get_float32_matmul_precision():
    """Return what set_float32_matmul_precision set."""
    return PRODUCTS.precision


def set_warn_always(b):
    """Ask for warnings every time: Python's warnings.simplefilter("always") decides that, RuntimeError for True."""
    if b:
        raise RuntimeError("set_warn_always: warnings are Python's; use warnings.simplefilter('always')")


def is_warn_always_enabled():
    """Return False: Python's warning filters decide."""
    return False


def set_flush_denormal(mode):
    """Return False, as PyTorch does where it can't: NumPy flushes no denormal numbers to zero."""
    return False


def get_num_interop_threads():
    """Return the number of threads that run independent operations, 1: operations run one after the other."""
    return 1


def set_num_interop_threads(value):
    """Set that number: RuntimeError for one below 1; more than 1 is not used."""
    if not isinstance(value, int) or value < 1:
        raise RuntimeError("set_num_interop_threads expects a positive integer")


def get_device_module(device=None):
    """Return the module of a kind of device: minigrad.cuda, or minigrad.cpu for the CPU.

    >>> import minigrad as mg
    >>> mg.get_device_module("cuda").__name__
    'minigrad.cuda'
    """
    import importlib

    from minigrad.tensor import as_device

    if isinstance(device, int):
        raise RuntimeError(f"Invalid value of device '{device}', expect minigrad.device, str, or None")
    kind = ("cuda" if cuda_is_available() else "cpu") if device is None else as_device(device).type
    return importlib.import_module(f"minigrad.{kind}")


def is_vulkan_available():
    """Return False."""
    return False


def compiled_with_cxx11_abi():
    """Return True, as PyTorch's packages do; nothing here is compiled."""
    return True
