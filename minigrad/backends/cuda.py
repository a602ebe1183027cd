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


def is_built():
    """Return whether CuPy, through which GPUs are used, is installed."""
    import importlib.util

    return importlib.util.find_spec("cupy") is not None
