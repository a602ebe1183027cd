"""Devices: the CPU (NumPy) and CUDA GPUs (CuPy, imported the first time one is asked for)."""

import contextlib
import threading

from minigrad.backend.arrays import ARRAY_MODULES, np
from minigrad.backend.switches import GPUS, WATCHED

# PyTorch's. An object can be made of each; that there is no such device here, whoever uses it is told.
KNOWN_TYPES = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia", "xla", "lazy",
    "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


class device:  # noqa: N801 - PyTorch's name
    """Where a tensor lives: ``device('cpu')``, ``device('cuda')``, ``device('cuda:1')``, ``device('cuda', 1)``.

    Used as a context manager it is where new tensors are made. PyTorch's other types ("mps", "meta", …) give objects
    to compare with; RuntimeError where one is used.

    >>> import minigrad as mg
    >>> mg.device('cuda:1')
    device(type='cuda', index=1)
    """

    __slots__ = ("_previous", "index", "type")

    def __init__(self, type, index=None):  # noqa: A002 - PyTorch's name
        if isinstance(type, device):
            type, index = type.type, type.index if index is None else index  # noqa: A001
        if isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", type  # noqa: A001
        if not isinstance(type, str):
            raise TypeError(f"device(): type must be 'cpu', 'cuda' or 'cuda:N', not {type!r}")
        name, colon, number = type.partition(":")
        if colon:
            if index is not None:
                raise RuntimeError(f"type (string) must not include an index because index was passed: {type}")
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        if name not in KNOWN_TYPES:
            raise RuntimeError(
                f"Expected one of {', '.join(KNOWN_TYPES)} device type at start of device string: {type}"
            )
        if name == "cpu" and index not in (None, 0):
            raise RuntimeError(f"CPU device index must be -1 or zero, got {index}")
        self.type = name
        self.index = index
        self._previous = None

    def __repr__(self):
        return (
            f"device(type='{self.type}')" if self.index is None else f"device(type='{self.type}', index={self.index})"
        )

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        if not isinstance(other, device):
            return NotImplemented
        return self.type == other.type and self.index == other.index

    def __hash__(self):
        return hash((self.type, self.index))

    def __reduce__(self):
        return device, (str(self),)

    def __enter__(self):
        check_exists(self)
        self._previous = (self._previous, _STATE.default)
        _STATE.default = self
        return self

    def __exit__(self, *exception):
        self._previous, _STATE.default = self._previous


CPU = device("cpu")


class _DeviceState(threading.local):
    default = CPU


_STATE = _DeviceState()


def get_default_device():
    """Return the device new tensors are made on."""
    return _STATE.default


def set_default_device(device):
    """Set the device new tensors are made on (None: the CPU)."""
    _STATE.default = CPU if device is None else _as_device(device)


def _as_device(value):
    """Return a device object (a parameter of the function above shadows the class there)."""
    return check_exists(device(value))


def check_exists(target):
    """Return a device; RuntimeError for one of a type that minigrad has not."""
    if target.type not in ("cpu", "cuda"):
        reason = "; nothing is computed without data here" if target.type == "meta" else ""
        raise RuntimeError(
            f"device '{target}' is not available: minigrad runs on 'cpu' and on 'cuda' only (NVIDIA GPUs, through CuPy)"
            + reason
        )
    return target


def cupy_module():
    """Return cupy; RuntimeError with one clear sentence where CuPy or a GPU is missing."""
    try:
        import cupy
    except ImportError:
        raise RuntimeError(
            "minigrad: device 'cuda' needs CuPy, which is not installed (pip install 'minigrad-cnn[cuda]')."
        ) from None
    from minigrad.backend import gpu

    if cupy.ndarray not in ARRAY_MODULES:
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise RuntimeError(f"minigrad: device 'cuda' needs an NVIDIA GPU and its driver: {error}.") from None
        if count == 0:
            raise RuntimeError("minigrad: device 'cuda' was asked for, but this machine has no CUDA GPU.")
        ARRAY_MODULES[cupy.ndarray] = cupy
        gpu.set_up(cupy)
        if not GPUS:
            WATCHED.append(GPUS)
        GPUS[:] = [count]
    gpu.count_in_this_thread()
    return cupy


def cuda_device_count():
    """Return how many CUDA GPUs can be used; 0 without CuPy or a driver."""
    try:
        return cupy_module().cuda.runtime.getDeviceCount()
    except RuntimeError:
        return 0


def cuda_is_available():
    """Return whether tensors can be made on a GPU."""
    return cuda_device_count() > 0


def array_device(array):
    """Return the device a raw array lives on."""
    return CPU if isinstance(array, np.ndarray) else device("cuda", array.device.id)


def where_true(mask):
    """Return the positions in a flattened bool array at which it is true, on the array's device."""
    if type(mask) is np.ndarray:
        return np.flatnonzero(mask)
    with mask.device:
        return ARRAY_MODULES[type(mask)].flatnonzero(mask)


def to_numpy(array, non_blocking=False):
    """Return a raw array's values as a NumPy array (the same one if it is).

    Non-blocking: in page-locked memory, which has the values once the GPU has got there.
    """
    if isinstance(array, np.ndarray):
        return array
    from minigrad.backend.gpu import receive

    return receive(array, non_blocking)


@contextlib.contextmanager
def _on_gpu(cupy, target):
    """Make a GPU the current one; RuntimeError where its index does not exist."""
    check_exists(target)
    count = cupy.cuda.runtime.getDeviceCount()
    index = cupy.cuda.runtime.getDevice() if target.index is None else target.index
    if index >= count:
        raise RuntimeError(f"minigrad: {target} was asked for, but this machine has {count} CUDA GPU(s).")
    with cupy.cuda.Device(index):
        yield


def move(array, target, non_blocking=False):
    """Return the array on the target device: the same array when it is there already.

    Non-blocking copies between a GPU and page-locked memory return before they are done.
    """
    if target.type == "cpu":
        return to_numpy(array, non_blocking)
    cupy = cupy_module()
    if isinstance(array, cupy.ndarray):
        if target.index in (None, array.device.id):
            return array
        with _on_gpu(cupy, target):
            return array.copy("K")
    from minigrad.backend.gpu import send

    with _on_gpu(cupy, target):
        return send(array, non_blocking)


def module_for(target):
    """Return (array module, context manager) in which arrays are made on the target device."""
    if target.type == "cpu":
        return np, contextlib.nullcontext()
    cupy = cupy_module()
    return cupy, _on_gpu(cupy, target)


def pinned_copy(array):
    """Return a copy of a CPU array in page-locked memory, from which GPUs copy faster; RuntimeError without a GPU."""
    if not isinstance(array, np.ndarray):
        raise RuntimeError(f"cannot pin 'torch.cuda.{array.dtype}' array: only dense CPU tensors can be pinned")
    if not cuda_is_available():
        raise RuntimeError("pin_memory: page-locked memory needs a CUDA GPU, and this machine has none")
    from minigrad.backend.gpu import pinned_empty

    order = sorted(range(array.ndim), key=lambda dim: -array.strides[dim])
    out = pinned_empty([array.shape[dim] for dim in order], array.dtype)
    out = out.transpose(sorted(range(array.ndim), key=order.__getitem__))
    out[...] = array
    return out


def is_pinned(array):
    """Return whether a raw array lies in page-locked memory."""
    if not isinstance(array, np.ndarray) or len(ARRAY_MODULES) == 1:
        return False
    from minigrad.backend.gpu import is_pinned as found

    return found(array)
