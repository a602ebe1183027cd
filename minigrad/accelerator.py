"""The one kind of accelerator a machine has: PyTorch's torch.accelerator. Here it is a CUDA GPU or none."""

import contextlib
import importlib

from minigrad.absent import explain
from minigrad.backend import cuda_device_count, cuda_is_available, cupy_module, device


def is_available():
    """Return whether there is an accelerator."""
    return cuda_is_available()


def device_count():
    """Return how many accelerators there are."""
    return cuda_device_count()


def current_accelerator(check_available=False):
    """Return the kind of accelerator as a device, or None where there is none."""
    return device("cuda") if cuda_is_available() else None


def current_device_index():
    """Return the index of the current accelerator; RuntimeError where there is none."""
    return cupy_module().cuda.runtime.getDevice()


def set_device_index(device):
    """Make the accelerator of an index the current one; a negative index changes nothing."""
    if device >= 0:
        cupy_module().cuda.Device(device).use()


def synchronize(device=None):
    """Wait until an accelerator has done all its work."""
    cupy = cupy_module()
    cupy.cuda.Device(current_device_index() if device is None else device).synchronize()

current_device_idx, set_device_idx = current_device_index, set_device_index


class device_index(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Make the accelerator of an index the current one within a ``with`` block; None changes nothing."""

    def __init__(self, device):
        self.device = device

    def __enter__(self):
        self.before = None if self.device is None else current_device_index()
        if self.device is not None:
            set_device_index(self.device)

    def __exit__(self, *exception):
        if self.before is not None:
            set_device_index(self.before)


_OF_CUDA = {
    "get_memory_info": "mem_get_info",
    **{
        name: name
        for name in (
            "current_stream set_stream empty_cache get_device_capability max_memory_allocated max_memory_reserved "
            "memory_allocated memory_reserved memory_stats reset_accumulated_memory_stats reset_peak_memory_stats"
        ).split()
    },
}


def __getattr__(name):
    if name in _OF_CUDA:
        return getattr(importlib.import_module("minigrad.cuda"), _OF_CUDA[name])
    raise AttributeError(explain(name, __name__))
