"""GPUs: whether they can be used at all, and PyTorch's switches of matrix products there.

``matmul.allow_tf32`` (default False): products of float32 may round their factors to TF32, with ten bits of mantissa;
True and False are set_float32_matmul_precision("high") and ("highest").
``matmul.allow_fp16_reduced_precision_reduction`` and ``matmul.allow_bf16_reduced_precision_reduction`` (default True):
partial sums of such products may be added in the arrays' own type. They matter where cuBLAS multiplies; the CPU
computes in full precision.

>>> import minigrad as mg
>>> mg.backends.cuda.matmul.allow_tf32 = True
>>> mg.get_float32_matmul_precision()
'high'
>>> mg.backends.cuda.matmul.allow_tf32 = False
"""

import contextlib
import warnings

from minigrad.absent import getter
from minigrad.backend import PRODUCTS


def _as_bool(name, value):
    if not isinstance(value, bool):
        raise RuntimeError(f"backends.cuda.matmul.{name} expects a bool, but got {type(value).__name__}")
    return value


class _Products:
    """PyTorch's names of the switches; no others can be set."""

    __slots__ = ()

    @property
    def allow_tf32(self):
        return PRODUCTS.tf32

    @allow_tf32.setter
    def allow_tf32(self, value):
        PRODUCTS.precision = "high" if _as_bool("allow_tf32", value) else "highest"

    @property
    def allow_fp16_reduced_precision_reduction(self):
        return PRODUCTS.reduce_in_float16

    @allow_fp16_reduced_precision_reduction.setter
    def allow_fp16_reduced_precision_reduction(self, value):
        PRODUCTS.reduce_in_float16 = _as_bool("allow_fp16_reduced_precision_reduction", value)

    @property
    def allow_bf16_reduced_precision_reduction(self):
        return PRODUCTS.reduce_in_bfloat16

    @allow_bf16_reduced_precision_reduction.setter
    def allow_bf16_reduced_precision_reduction(self, value):
        PRODUCTS.reduce_in_bfloat16 = _as_bool("allow_bf16_reduced_precision_reduction", value)


matmul = _Products()


@contextlib.contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Allow implementations of attention within a ``with`` block: the old name of nn.attention.sdpa_kernel.

    Source: https://docs.pytorch.org/docs/stable/backends.html#torch.backends.cuda.sdp_kernel

    >>> import minigrad as mg
    >>> mg.backends.cuda.sdp_kernel.__name__
    'sdp_kernel'
    """
    from minigrad.nn.attention import SDPBackend, sdpa_kernel

    warnings.warn(
        "`minigrad.backends.cuda.sdp_kernel()` is deprecated. In the future, this context manager will be removed. "
        "Please see `minigrad.nn.attention.sdpa_kernel()` for the new context manager, with updated signature.",
        FutureWarning,
        stacklevel=3,
    )
    names = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "MATH", "CUDNN_ATTENTION")
    wanted = (enable_flash, enable_mem_efficient, enable_math, enable_cudnn)
    with sdpa_kernel([SDPBackend[name] for name, on in zip(names, wanted, strict=True) if on]) as context:
        yield context


_ATTENTION = {"flash": True, "math": True, "mem_efficient": True, "cudnn": True}


def _switches(kind):
    """Return PyTorch's two functions of one implementation of attention."""

    def enable(enabled):
        if not enabled and kind in ("flash", "math") and not _ATTENTION["flash" if kind == "math" else "math"]:
            raise RuntimeError(
                f"enable_{kind}_sdp: no implementation of attention would be left; minigrad's stands for flash and math"
            )
        _ATTENTION[kind] = bool(enabled)

    def enabled():
        return _ATTENTION[kind]

    enable.__name__, enabled.__name__ = f"enable_{kind}_sdp", f"{kind}_sdp_enabled"
    enable.__doc__ = f"Allow the implementation {kind} of attention; RuntimeError where none would be left."
    enabled.__doc__ = f"Return whether the implementation {kind} of attention is allowed; all give the same results."
    return enable, enabled


enable_flash_sdp, flash_sdp_enabled = _switches("flash")
enable_math_sdp, math_sdp_enabled = _switches("math")
enable_mem_efficient_sdp, mem_efficient_sdp_enabled = _switches("mem_efficient")
enable_cudnn_sdp, cudnn_sdp_enabled = _switches("cudnn")


def is_flash_attention_available():
    """Return False: attention is computed in one way."""
    return False


def is_built():
    """Return whether CuPy, through which GPUs are used, is installed."""
    import importlib.util

    return importlib.util.find_spec("cupy") is not None


__getattr__ = getter(__name__)
