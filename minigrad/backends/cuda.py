"""GPUs: whether they can be used at all, and PyTorch's switches of matrix products.

Products on a GPU are cuBLAS's in the arrays' own precision: the switches are kept for programs that set them, and
change nothing.
"""

import types

matmul = types.SimpleNamespace(
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
)


def is_built():
    """Return whether CuPy, through which GPUs are used, is installed."""
    import importlib.util

    return importlib.util.find_spec("cupy") is not None
