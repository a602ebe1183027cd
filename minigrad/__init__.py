"""minigrad: a deep-learning framework on NumPy and CuPy with PyTorch's names.

A :class:`Tensor` executes, a :class:`Variable` also remembers, a :class:`Module` holds.
"""

import importlib as _importlib
import math as _math
import sys as _sys
import warnings

# NumPy warns of log(0) or 1/0; here these give -inf and inf silently, as in PyTorch. Only minigrad's own calls are
# silenced: NumPy's error state is left to the user.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad(\.|$)")

# PyTorch's submodules that programs reach as attributes of the package.
from minigrad import (  # noqa: E402
    accelerator,
    autograd,
    backends,
    cuda,
    linalg,
    nn,
    ops,
    optim,
    random,
    special,
    utils,
)
from minigrad import variable as _variable  # noqa: E402
from minigrad.absent import explain as _explain_absent  # noqa: E402
from minigrad.autograd import (  # noqa: E402
    enable_grad,
    inference_mode,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from minigrad.backend import (  # noqa: E402
    DTYPES,
    Generator,
    OutOfMemoryError,
    can_cast,
    default_generator,
    device,
    dtype,
    get_default_device,
    get_default_dtype,
    get_num_threads,
    initial_seed,
    manual_seed,
    promote_types,
    seed,
    set_default_device,
    set_default_dtype,
    set_num_threads,
)
from minigrad.ops.layout import (  # noqa: E402
    channels_last,
    channels_last_3d,
    contiguous_format,
    jagged,
    layout,
    memory_format,
    preserve_format,
    sparse_coo,
    strided,
)
from minigrad.ops.legacy import legacy_types as _legacy_types  # noqa: E402
from minigrad.registry import FUNCTIONS as _FUNCTIONS  # noqa: E402
from minigrad.registry import ON_DEMAND as _ON_DEMAND  # noqa: E402
from minigrad.summary import summary  # noqa: E402
from minigrad.tensor import Size, Tensor  # noqa: E402
from minigrad.typeinfo import finfo, iinfo  # noqa: E402
from minigrad.variable import Parameter, Variable  # noqa: E402
from minigrad.version import __version__  # noqa: E402

e, inf, nan, pi, newaxis = _math.e, _math.inf, _math.nan, _math.pi, None

globals().update(DTYPES)  # minigrad.float32, minigrad.long, …
globals().update(_legacy_types("minigrad", False))  # minigrad.FloatTensor, …
globals().update(_FUNCTIONS)  # every public function registered in ops/


# What is imported when it is first asked for, so that `import minigrad` is quick: submodules, and functions of theirs.
_MODULES_ON_DEMAND = (
    "_C", "__config__", "amp", "ao", "compiler", "cpu", "distributed", "distributions", "fft", "func", "futures", "fx",
    "hub", "jit", "library", "mps", "mtia", "multiprocessing", "nested", "onnx", "overrides", "profiler", "quantized",
    "recipes", "return_types", "serialization", "signal", "sparse", "testing", "types", "version", "vision", "xpu",
)  # fmt: skip
_SETTINGS = (
    "_assert", "are_deterministic_algorithms_enabled", "compiled_with_cxx11_abi", "get_deterministic_debug_mode",
    "get_device_module", "get_float32_matmul_precision", "get_num_interop_threads",
    "is_deterministic_algorithms_warn_only_enabled", "is_vulkan_available", "is_warn_always_enabled",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_flush_denormal", "set_num_interop_threads",
    "set_warn_always", "use_deterministic_algorithms",
)  # fmt: skip
_AUTOCAST = (
    "autocast", "autocast_decrement_nesting", "autocast_increment_nesting", "clear_autocast_cache",
    "get_autocast_cpu_dtype", "get_autocast_dtype", "get_autocast_gpu_dtype", "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled", "is_autocast_enabled", "set_autocast_cache_enabled", "set_autocast_cpu_dtype",
    "set_autocast_cpu_enabled", "set_autocast_dtype", "set_autocast_enabled", "set_autocast_gpu_dtype",
)  # fmt: skip
_QUANTIZED = (
    "per_channel_affine", "per_channel_symmetric", "per_tensor_affine", "per_tensor_symmetric", "qint32", "qint8",
    "qscheme", "quint8",
)  # fmt: skip
_FUNCTIONS_ON_DEMAND = {
    **dict.fromkeys(_AUTOCAST, "amp.autocast_mode"),
    **dict.fromkeys(_QUANTIZED, "quantized"), "quantization": "ao",
    **dict.fromkeys(_SETTINGS, "settings"), **dict.fromkeys(("TypedStorage", "UntypedStorage"), "ops.memory"),
    "GradScaler": "amp", "compile": "compiler", "load": "serialization", "save": "serialization",
    "vmap": "func", **_ON_DEMAND,
}  # fmt: skip


class _Elsewhere:
    """Finds what PyTorch has below torch and minigrad elsewhere (minigrad.quantization), when all others have not."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if not name.startswith("minigrad."):
            return None
        return _importlib.import_module("minigrad.compat.importer").AliasFinder().find_spec(name)


_sys.meta_path.append(_Elsewhere)


def _dispatch_functions():
    """Let functions ask their arguments' classes, from the first subclass of Tensor on."""
    _importlib.import_module("minigrad.overrides").install()


_variable.on_subclass = _dispatch_functions
_variable.names_module = lambda: _importlib.import_module("minigrad.autograd.names")
_variable.saved_module = lambda: _importlib.import_module("minigrad.autograd.saved")


def __getattr__(name):
    if name == "_VF":  # PyTorch's functions as its C++ library has them
        return _importlib.import_module(__name__)
    if name in _MODULES_ON_DEMAND:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in _FUNCTIONS_ON_DEMAND:
        value = getattr(_importlib.import_module(f"{__name__}.{_FUNCTIONS_ON_DEMAND[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(_explain_absent(name))


def __dir__():
    return sorted({*globals(), *_MODULES_ON_DEMAND, *_FUNCTIONS_ON_DEMAND})


__all__ = [name for name in __dir__() if not name.startswith("_")]
