"""torch._C, as far as programs ask it what there is: no compiled library stands behind these names."""

from minigrad.absent import getter
from minigrad.backend import Generator, default_generator, device, dtype  # noqa: F401 - names of this module
from minigrad.tensor import Size  # noqa: F401 - a name of this module
from minigrad.tensor import Tensor as TensorBase  # noqa: F401 - a name of this module


def _get_tracing_state():
    """Return None: nothing is being traced."""


def _log_api_usage_once(event):
    """Return None: no use of a function is counted."""


def _get_privateuse1_backend_name():
    """Return the name of the kind of device that PyTorch leaves to others."""
    return "privateuseone"


__getattr__ = getter(__name__)
