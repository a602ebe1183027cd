"""Which GPUs there are, which is current, and what each is: the part of torch.cuda about devices."""

import contextlib
import sys

from minigrad import backend
from minigrad.tensor import as_device


def is_available():
    """Return whether tensors can be made on a GPU."""
    return backend.cuda_is_available()


def device_count():
    """Return how many GPUs can be used."""
    return backend.cuda_device_count()


def is_initialized():
    """Return whether a GPU has been used."""
    return "cupy" in sys.modules


def init():
    """Set the GPUs up; RuntimeError without one."""
    the_cupy()


def is_bf16_supported(including_emulation=True):
    """Return whether the current GPU knows bfloat16: from compute capability 8 on, or any with emulation (default).

    False without a GPU. Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.is_bf16_supported.html
    """
    return is_available() and (including_emulation or get_device_capability() >= (8, 0))


def is_tf32_supported():
    """Return whether the current GPU can multiply in TF32."""
    return is_available() and get_device_capability()[0] >= 8


def the_cupy():
    """Return cupy; RuntimeError without a GPU."""
    cupy = backend.cupy_module()
    if not cupy.cuda.runtime.getDeviceCount():
        raise RuntimeError("minigrad.cuda: a CUDA GPU was asked for, but this machine has none")
    return cupy


def index_of(device):
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
    return the_cupy().cuda.runtime.getDevice()


def set_device(device):
    """Make a GPU the current one; a negative index changes nothing."""
    if isinstance(device, int) and device < 0:
        return
    the_cupy().cuda.Device(index_of(device)).use()


class device(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Make a GPU the current one within a ``with`` block; None or a negative index changes nothing."""

    def __init__(self, device):
        skip = device is None or (isinstance(device, int) and device < 0)
        self.idx = -1 if skip else index_of(device)
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


# PyTorch's name: CUDA's.
_PROPERTIES = {
    "major": "major", "minor": "minor", "total_memory": "totalGlobalMem", "L2_cache_size": "l2CacheSize",
    "multi_processor_count": "multiProcessorCount", "warp_size": "warpSize", "is_integrated": "integrated",
    "is_multi_gpu_board": "isMultiGpuBoard", "regs_per_multiprocessor": "regsPerMultiprocessor",
    "max_threads_per_multi_processor": "maxThreadsPerMultiProcessor", "shared_memory_per_block": "sharedMemPerBlock",
    "shared_memory_per_block_optin": "sharedMemPerBlockOptin", "pci_bus_id": "pciBusID",
    "shared_memory_per_multiprocessor": "sharedMemPerMultiprocessor", "pci_device_id": "pciDeviceID",
    "pci_domain_id": "pciDomainID",
}  # fmt: skip


class DeviceProperties:
    """What get_device_properties returns: name, major, minor, total_memory (bytes), multi_processor_count, ….

    Sizes are in bytes. A property that CUDA does not tell raises AttributeError.
    """

    def __init__(self, values):
        self.name = values["name"].decode()
        for name, key in _PROPERTIES.items():
            if key in values:
                setattr(self, name, values[key])

    def __repr__(self):
        return (
            f"DeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB, multi_processor_count={self.multi_processor_count})"
        )


def get_device_properties(device=None):
    """Return the properties of a GPU."""
    return DeviceProperties(the_cupy().cuda.runtime.getDeviceProperties(index_of(device)))


def synchronize(device=None):
    """Wait until a GPU has done all its work."""
    the_cupy().cuda.Device(index_of(device)).synchronize()


def can_device_access_peer(device, peer_device):
    """Return whether a GPU can read another one's memory."""
    return bool(the_cupy().cuda.runtime.deviceCanAccessPeer(index_of(device), index_of(peer_device)))


def get_arch_list():
    """Return []: CuPy compiles its kernels for the GPU that is there."""
    return []


def get_gencode_flags():
    """Return "": CuPy compiles its kernels for the GPU that is there."""
    return ""
