"""Choosing among PyTorch's implementations of attention: here there is one, SDPBackend.MATH.

Source: https://docs.pytorch.org/docs/stable/nn.attention.html
"""

import contextlib
import enum
import importlib

from minigrad.absent import explain


class SDPBackend(enum.Enum):
    """Implementations of scaled_dot_product_attention, by PyTorch's names."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority=False):
    """Allow these implementations of attention within a ``with`` block, one or a list; each gives the same results.

    minigrad has one implementation. It stands for MATH and for FLASH_ATTENTION, which PyTorch has on every device;
    RuntimeError where neither is among the backends.

    >>> import minigrad as mg
    >>> from minigrad.nn.attention import SDPBackend, sdpa_kernel
    >>> x = mg.ones(1, 2, 4)
    >>> with sdpa_kernel(SDPBackend.MATH):
    ...     mg.nn.functional.scaled_dot_product_attention(x, x, x).shape
    minigrad.Size([1, 2, 4])
    """
    chosen = list(backends) if isinstance(backends, (list, tuple, set)) else [backends]
    if not chosen or not all(isinstance(backend, SDPBackend) for backend in chosen):
        raise AssertionError(
            f"Backend must be an instance of SDPBackend or a list of SDPBackend instances, but got {backends}"
        )
    if not {SDPBackend.MATH, SDPBackend.FLASH_ATTENTION} & set(chosen):
        raise RuntimeError(
            f"No available kernel. Aborting execution: of {', '.join(backend.name for backend in chosen)} minigrad has "
            "none; allow SDPBackend.MATH as well"
        )
    yield {}


def __getattr__(name):
    if name == "flex_attention":
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(explain(name, __name__))
