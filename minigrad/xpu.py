"""torch.xpu: GPUs of Intel, of which there are none here; programs ask whether there are some before they use them."""

from minigrad.absent import getter


def is_available():
    """Return False: there are CPUs and CUDA GPUs."""
    return False


is_initialized = is_bf16_supported = is_available


def device_count():
    """Return 0."""
    return 0


def memory_allocated(device=None):
    """Return 0."""
    return 0


memory_reserved = max_memory_allocated = max_memory_reserved = memory_allocated


def manual_seed(seed):
    """Return None: no generator of such a device needs the seed."""


manual_seed_all = manual_seed


def empty_cache():
    """Return None: nothing is cached."""


seed = seed_all = empty_cache


__getattr__ = getter(__name__)
