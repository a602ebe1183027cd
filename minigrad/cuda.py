"""CUDA GPUs, through CuPy: PyTorch's torch.cuda.

Whatever asks about GPUs answers on a machine without one (0 devices, not available); whatever needs one raises
RuntimeError in one clear sentence.
"""

import contextlib

from minigrad import backend
from minigrad.ops.legacy import legacy_types as _legacy_types
from minigrad.tensor import as_device

globals().update(_legacy_types("minigrad.cuda", True))  # FloatTensor, LongTensor, …


def is_available():
    """Return whether tensors can be made on a GPU."""
    return backend.cuda_is_available()


def device_count():
    """Return how many GPUs can be used."""
    return backend.cuda_device_count()


def is_initialized():
    """Return whether a GPU has been used."""
    import sys

    return "cupy" in sys.modules


def init():
    """Set the GPUs up; RuntimeError without one."""
    _cupy()


def is_bf16_supported(including_emulation=True):
    """Return whether tensors of bfloat16 exist: they don't here, NumPy has no such type."""
    return False


def _cupy():
    cupy = backend.cupy_module()
    if not cupy.cuda.runtime.getDeviceCount():
        raise RuntimeError("minigrad.cuda: a CUDA GPU was asked for, but this machine has none")
    return cupy


def _index(device):
    """Return the index of a GPU given as a device, its name, an index or None for the current one."""
    if device is None:
        return current_device()
    target = as_device(device)
    if target.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {target}")
    index = current_device() if target.index is None else target.index
    if not 0 <= index < device_count():
        raise RuntimeError(f"minigrad.cuda: there is no GPU number {index}, this machine has {device_count()}")
    return index


def current_device():
    """Return the index of the current GPU."""
    return _cupy().cuda.runtime.getDevice()


def set_device(device):
    """Make a GPU the current one; a negative index changes nothing."""
    if isinstance(device, int) and device < 0:
        return
    _cupy().cuda.Device(_index(device)).use()


class device(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Make a GPU the current one within a ``with`` block; None or a negative index changes nothing."""

    def __init__(self, device):
        skip = device is None or (isinstance(device, int) and device < 0)
        self.idx = -1 if skip else _index(device)
        self._previous = None

    def __enter__(self):
        if self.idx >= 0:
            self._previous = current_device()
            set_device(self.idx)

    def __exit__(self, *exception):
        if self.idx >= 0:
            set_device(self._previous)
        return False


class device_of(device):  # noqa: N801 - PyTorch's name
    """Make a tensor's GPU the current one within a ``with`` block; a CPU tensor changes nothing."""

    def __init__(self, obj):
        super().__init__(obj.get_device() if obj.is_cuda else -1)


def get_device_name(device=None):
    """Return the name of a GPU."""
    return get_device_properties(device).name


def get_device_capability(device=None):
    """Return the compute capability of a GPU as (major, minor)."""
    properties = get_device_properties(device)
    return properties.major, properties.minor


class DeviceProperties:
    """What get_device_properties returns: name, major, minor, total_memory (bytes), multi_processor_count."""

    def __init__(self, values):
        self.name = values["name"].decode()
        self.major, self.minor = values["major"], values["minor"]
        self.total_memory = values["totalGlobalMem"]
        self.multi_processor_count = values["multiProcessorCount"]

    def __repr__(self):
        return (
            f"DeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB, multi_processor_count={self.multi_processor_count})"
        )


def get_device_properties(device=None):
    """Return the properties of a GPU."""
    cupy = _cupy()
    return DeviceProperties(cupy.cuda.runtime.getDeviceProperties(_index(device)))


def synchronize(device=None):
    """Wait until a GPU has done all its work."""
    _cupy().cuda.Device(_index(device)).synchronize()


def empty_cache():
    """Give memory that is held but unused back to the GPU; nothing to do where no GPU was used."""
    if is_initialized() and is_available():
        _cupy().get_default_memory_pool().free_all_blocks()
        _cupy().get_default_pinned_memory_pool().free_all_blocks()


class _Peak:
    """The most memory seen in use, by GPU. CuPy keeps no such number: it is sampled at every question."""

    seen = {}


def _used(device, what):
    if not is_available():
        return 0
    cupy = _cupy()
    with cupy.cuda.Device(_index(device)):
        return getattr(cupy.get_default_memory_pool(), what)()


def memory_allocated(device=None):
    """Return the bytes of GPU memory that tensors hold; 0 without a GPU."""
    used = _used(device, "used_bytes")
    if used:
        index = _index(device)
        _Peak.seen[index] = max(used, _Peak.seen.get(index, 0))
    return used


def memory_reserved(device=None):
    """Return the bytes of GPU memory held, in use or not; 0 without a GPU."""
    return _used(device, "total_bytes")


def max_memory_allocated(device=None):
    """Return the most bytes of GPU memory ever reserved for tensors since the last reset; 0 without a GPU.

    CuPy keeps no peak of the bytes in use; what its pool holds bounds it from above: blocks are reused, and the pool
    only shrinks in empty_cache().
    """
    if not is_available():
        return 0
    return max(memory_reserved(device), _Peak.seen.get(_index(device), 0), memory_allocated(device))


def max_memory_reserved(device=None):
    """Return the most bytes of GPU memory held since the last reset; 0 without a GPU."""
    return max_memory_allocated(device)


def reset_peak_memory_stats(device=None):
    """Forget the peak of memory use: unused blocks are given back to the GPU."""
    if is_available():
        _Peak.seen.pop(_index(device), None)
        empty_cache()


reset_max_memory_allocated = reset_peak_memory_stats


def mem_get_info(device=None):
    """Return (free, total) bytes of a GPU's memory."""
    cupy = _cupy()
    with cupy.cuda.Device(_index(device)):
        return cupy.cuda.runtime.memGetInfo()


def manual_seed(seed):
    """Seed the random numbers of GPUs. One generator serves all devices here, so the CPU's are seeded too."""
    backend.manual_seed(seed)


def manual_seed_all(seed):
    """Seed the random numbers of all GPUs; see manual_seed."""
    backend.manual_seed(seed)


def seed():
    """Seed the random numbers from the operating system."""
    backend.seed()


seed_all = seed


def initial_seed():
    """Return the last seed set."""
    return backend.initial_seed()
