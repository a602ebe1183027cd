"""Regions in which products run in half precision, and what else must not, in float32."""

import functools
import warnings

from minigrad.backend import DTYPES, as_dtype, cuda_is_available, device
from minigrad.precision import REGIONS
from minigrad.tensor import Tensor

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

_LOWER = (DTYPES["bfloat16"], DTYPES["float16"])


class autocast:  # noqa: N801 - PyTorch's name
    """Region (``with``) or decorator in which functions choose the precision they run in, as PyTorch's lists say.

    Arguments: device_type ("cpu" or "cuda": whose tensors it is for), dtype (float16 or bfloat16; None: bfloat16 on the
    CPU, float16 on a GPU), enabled, cache_enabled (weights are cast once per outermost region). Warns, and is disabled,
    where there is no GPU or the dtype is another one. RuntimeError for unknown devices, ValueError for what is no text.
    On the CPU it shows what half precision does to a network; it saves no time there.
    Source: https://docs.pytorch.org/docs/stable/amp.html#torch.autocast

    >>> import minigrad as mg
    >>> x = mg.ones(2, 2)
    >>> with mg.autocast("cpu", dtype=mg.float16):
    ...     y = x @ x
    >>> y.dtype, (x @ x).dtype
    (minigrad.float16, minigrad.float32)
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(device_type):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else as_dtype(dtype)
        self._cache_enabled = REGIONS.caching if cache_enabled is None else cache_enabled
        self._enabled = bool(enabled)
        if enabled and device_type == "cuda" and not cuda_is_available():
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
            self._enabled = False
        elif enabled and self.fast_dtype not in _LOWER:
            name = device_type.upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n{name} Autocast only "
                f"supports dtypes of {', '.join(map(str, _LOWER))} currently.",
                stacklevel=2,
            )
            self._enabled = False
        if self._enabled:
            self.fast_dtype.numpy  # noqa: B018 - ImportError here rather than at the first product

    def __enter__(self):
        before = REGIONS.enabled[self.device], REGIONS.dtypes[self.device], REGIONS.caching
        self._before = [*getattr(self, "_before", ()), before]  # one object may be entered again inside itself
        REGIONS.nesting += 1
        _set(self.device, self._enabled, self.fast_dtype, self._cache_enabled)
        return self

    def __exit__(self, *exception):
        REGIONS.nesting -= 1
        if REGIONS.nesting == 0:
            REGIONS.cache.clear()
        _set(self.device, *self._before.pop())
        return False

    def __call__(self, func):
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you mean to use autocast as "
                "a context manager? For example:\n    with minigrad.autocast(device_type=...):\n"
                "        output = model(input)"
            )

        @functools.wraps(func)
        def decorated(*args, **kwargs):
            with self:
                return func(*args, **kwargs)

        return decorated


def _set(device_type, enabled, dtype, caching):
    REGIONS.enabled[device_type], REGIONS.dtypes[device_type], REGIONS.caching = enabled, dtype, caching
    REGIONS.refresh()


def is_autocast_available(device_type):
    """Return whether autocast knows a device: "cpu" and "cuda"; RuntimeError for what is no device.

    >>> import minigrad as mg
    >>> mg.amp.is_autocast_available("cpu")
    True
    """
    if not isinstance(device_type, str):
        raise TypeError(f"is_autocast_available(): device_type must be str, not {type(device_type).__name__}")
    return device(device_type).type in ("cpu", "cuda")


# ---------------------------------------------------------------------- the state of a thread
def is_autocast_enabled(device_type="cuda"):
    """Return whether a region is enabled for a device in this thread.

    >>> import minigrad as mg
    >>> mg.is_autocast_enabled("cpu")
    False
    """
    return REGIONS.enabled[device(device_type).type]


def set_autocast_enabled(device_type, enabled=None):
    """Enable or disable casting for a device (without one: for GPUs) in this thread; autocast does it for a block.

    >>> import minigrad as mg
    >>> mg.set_autocast_enabled("cpu", False)
    """
    if enabled is None:
        device_type, enabled = "cuda", device_type
    REGIONS.enabled[device(device_type).type] = bool(enabled)
    REGIONS.refresh()


def get_autocast_dtype(device_type):
    """Return the lower precision of a device's regions.

    >>> import minigrad as mg
    >>> mg.get_autocast_dtype("cuda")
    minigrad.float16
    """
    return REGIONS.dtypes[device(device_type).type]


def set_autocast_dtype(device_type, dtype):
    """Set the lower precision of a device's regions in this thread.

    >>> import minigrad as mg
    >>> mg.set_autocast_dtype("cuda", mg.float16)
    """
    REGIONS.dtypes[device(device_type).type] = as_dtype(dtype)
    REGIONS.refresh()


def is_autocast_cache_enabled():
    """Return whether regions keep the casts of weights.

    >>> import minigrad as mg
    >>> mg.is_autocast_cache_enabled()
    True
    """
    return REGIONS.caching


def set_autocast_cache_enabled(enabled):
    """Set whether regions keep the casts of weights.

    >>> import minigrad as mg
    >>> mg.set_autocast_cache_enabled(True)
    """
    REGIONS.caching = bool(enabled)


def clear_autocast_cache():
    """Forget the casts of weights.

    >>> import minigrad as mg
    >>> mg.clear_autocast_cache()
    """
    REGIONS.cache.clear()


def autocast_increment_nesting():
    """Count one more region that is open, and return how many are.

    >>> import minigrad as mg
    >>> mg.autocast_increment_nesting(), mg.autocast_decrement_nesting()
    (1, 0)
    """
    REGIONS.nesting += 1
    return REGIONS.nesting


def autocast_decrement_nesting():
    """Count one region less that is open, and return how many are.

    >>> import minigrad as mg
    >>> mg.autocast_increment_nesting(), mg.autocast_decrement_nesting()
    (1, 0)
    """
    REGIONS.nesting -= 1
    return REGIONS.nesting


def _of_one_device(function, device_type, name):
    """Return PyTorch's older function for one device, which warns."""

    def older(*args):
        warnings.warn(
            f"torch.{name}({'dtype' if 'dtype' in name and args else 'enabled' if args else ''}) is deprecated. Please "
            f"use torch.{function.__name__}('{device_type}'{', …' if args else ''}) instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        return function(device_type, *args)

    older.__name__ = older.__qualname__ = name
    older.__doc__ = f'Return {function.__name__}("{device_type}", …), which is the newer name; warns of that.'
    return older


is_autocast_cpu_enabled = _of_one_device(is_autocast_enabled, "cpu", "is_autocast_cpu_enabled")
set_autocast_cpu_enabled = _of_one_device(set_autocast_enabled, "cpu", "set_autocast_cpu_enabled")
get_autocast_cpu_dtype = _of_one_device(get_autocast_dtype, "cpu", "get_autocast_cpu_dtype")
set_autocast_cpu_dtype = _of_one_device(set_autocast_dtype, "cpu", "set_autocast_cpu_dtype")
get_autocast_gpu_dtype = _of_one_device(get_autocast_dtype, "cuda", "get_autocast_gpu_dtype")
set_autocast_gpu_dtype = _of_one_device(set_autocast_dtype, "cuda", "set_autocast_gpu_dtype")


# ---------------------------------------------------------------------- users' own functions
def _cast(value, device_type, dtype):
    """Return nested arguments with floating-point tensors of a device (but float64 ones) in another dtype."""
    if isinstance(value, Tensor):
        fits = value.is_floating_point() and value.device.type == device_type and value.dtype.name != "float64"
        return value.to(dtype) if fits else value
    if isinstance(value, dict):
        return {_cast(key, device_type, dtype): _cast(part, device_type, dtype) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_cast(part, device_type, dtype) for part in value])
    return value


def _checked_type(device_type):
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorate the forward of a `minigrad.autograd.Function` for regions of autocast.

    Arguments: device_type; cast_inputs (dtype: inside a region, floating-point tensors are cast to it and the forward
    runs without autocast; None: as the region wants). ValueError for a device_type that is no text.
    Source: https://docs.pytorch.org/docs/stable/amp.html#torch.amp.custom_fwd

    >>> import minigrad as mg
    >>> @mg.amp.custom_fwd(device_type="cpu", cast_inputs=mg.float32)
    ... def forward(ctx, x):
    ...     return x * x
    """
    _checked_type(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args, **kwargs):
        enabled = is_autocast_enabled(device_type)
        args[0]._dtype = get_autocast_dtype(device_type)
        args[0]._fwd_used_autocast = enabled and cast_inputs is None
        if not enabled or cast_inputs is None:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return decorated


def custom_bwd(bwd=None, *, device_type):
    """Decorate the backward of a `minigrad.autograd.Function`: it runs with autocast as its forward did.

    ValueError for a device_type that is no text.
    Source: https://docs.pytorch.org/docs/stable/amp.html#torch.amp.custom_bwd

    >>> import minigrad as mg
    >>> @mg.amp.custom_bwd(device_type="cpu")
    ... def backward(ctx, g):
    ...     return 2 * g
    """
    _checked_type(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args, **kwargs):
        with autocast(device_type, args[0]._dtype, enabled=args[0]._fwd_used_autocast):
            return bwd(*args, **kwargs)

    return decorated
