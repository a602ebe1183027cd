"""CUDA GPUs, through CuPy: PyTorch's torch.cuda.

Whatever asks about GPUs answers on a machine without one (0 devices, not available); whatever needs one raises
RuntimeError in one clear sentence.
"""

import contextlib
import importlib

from minigrad import backend
from minigrad.absent import explain
from minigrad.ops import random as _random
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
    """Return whether the current GPU knows bfloat16: from compute capability 8 on, or any with emulation (default).

    False without a GPU. Here operations on bfloat16 compute in float32 anyway.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.is_bf16_supported.html
    """
    return is_available() and (including_emulation or get_device_capability() >= (8, 0))


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


# ------------------------------------------------------------------ PyTorch's older names, and more of memory
max_memory_cached, memory_cached, reset_max_memory_cached = (
    max_memory_reserved,
    memory_reserved,
    reset_peak_memory_stats,
)
has_half, has_magma = True, False


def memory_stats(device=None):
    """Return {"allocated_bytes.all.current": …, "reserved_bytes.all.peak": …}; empty without a GPU."""
    if not is_available():
        return {}
    return {
        "allocated_bytes.all.current": memory_allocated(device),
        "allocated_bytes.all.peak": max_memory_allocated(device),
        "reserved_bytes.all.current": memory_reserved(device),
        "reserved_bytes.all.peak": max_memory_reserved(device),
    }


def memory_summary(device=None, abbreviated=False):
    """Return memory_stats() as text, a line per number."""
    _cupy()
    rows = [f"{name:32s} {value / 2**20:12.1f} MiB" for name, value in memory_stats(device).items()]
    return "\n".join([f"GPU {_index(device)}", *rows])


def set_per_process_memory_fraction(fraction, device=None):
    """Limit the memory of a GPU that is used to a fraction of it; ValueError outside of 0 … 1."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    cupy = _cupy()
    with cupy.cuda.Device(_index(device)):
        cupy.get_default_memory_pool().set_limit(fraction=fraction)


def ipc_collect():
    """Give back memory that other processes used: none is shared here; RuntimeError without a GPU."""
    _cupy()


def can_device_access_peer(device, peer_device):
    """Return whether a GPU can read another one's memory."""
    return bool(_cupy().cuda.runtime.deviceCanAccessPeer(_index(device), _index(peer_device)))


def is_tf32_supported():
    """Return whether the current GPU could multiply in TF32, which is never chosen here."""
    return is_available() and get_device_capability()[0] >= 8


def get_arch_list():
    """Return []: CuPy compiles its kernels for the GPU that is there."""
    return []


def get_gencode_flags():
    """Return "": CuPy compiles its kernels for the GPU that is there."""
    return ""


# ------------------------------------------------------------------ random numbers: one generator serves all devices
def get_rng_state(device="cuda"):
    """Return the state of the random numbers; RuntimeError without a GPU."""
    _cupy()
    return _random.get_rng_state()


def get_rng_state_all():
    """Return a list of the state for each GPU."""
    return [_random.get_rng_state() for _ in range(device_count())]


def set_rng_state(new_state, device="cuda"):
    """Set the state of the random numbers; without a GPU nothing is done, as in PyTorch."""
    if is_available():
        _random.set_rng_state(new_state)


def set_rng_state_all(new_states):
    """Set the state of the random numbers of each GPU: the last of the list is the one of all."""
    for state in new_states:
        set_rng_state(state)


# ------------------------------------------------------------------ streams
class Event:
    """A mark in a GPU's work, for timing and waiting; RuntimeError without a GPU.

    Arguments: enable_timing (for elapsed_time), blocking (waiting sleeps), interprocess.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.Event.html
    """

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        self._event = _cupy().cuda.Event(blocking, not enable_timing, interprocess)

    def record(self, stream=None):
        """Set the mark in a stream, the current one by default."""
        self._event.record(None if stream is None else stream._stream)

    def wait(self, stream=None):
        """Make a stream wait for the mark."""
        (current_stream() if stream is None else stream)._stream.wait_event(self._event)

    def query(self):
        """Return whether all work before the mark is done."""
        return self._event.done

    def synchronize(self):
        """Wait until all work before the mark is done."""
        self._event.synchronize()

    def elapsed_time(self, end_event):
        """Return the milliseconds from this mark to another."""
        return _cupy().cuda.get_elapsed_time(self._event, end_event._event)


class Stream:
    """A queue of a GPU's work, used by ``with cuda.stream(s):``; RuntimeError without a GPU.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.Stream.html
    """

    def __init__(self, device=None, priority=0, *, _stream=None):
        cupy = _cupy()
        with cupy.cuda.Device(_index(device)):
            self._stream = cupy.cuda.Stream(non_blocking=True, priority=priority) if _stream is None else _stream

    @property
    def cuda_stream(self):
        """The address of the stream."""
        return self._stream.ptr

    def synchronize(self):
        """Wait until the stream's work is done."""
        self._stream.synchronize()

    def query(self):
        """Return whether the stream's work is done."""
        return self._stream.done

    def record_event(self, event=None):
        """Set a mark, a new one by default, and return it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        """Make the stream wait for a mark."""
        event.wait(self)

    def wait_stream(self, stream):
        """Make the stream wait for what another one has been given so far."""
        self.wait_event(stream.record_event())

    def __eq__(self, other):
        return isinstance(other, Stream) and self.cuda_stream == other.cuda_stream

    def __hash__(self):
        return hash(self.cuda_stream)


def current_stream(device=None):
    """Return the stream that work goes to; RuntimeError without a GPU."""
    return Stream(device, _stream=_cupy().cuda.get_current_stream())


def default_stream(device=None):
    """Return the stream that work goes to at first; RuntimeError without a GPU."""
    return Stream(device, _stream=_cupy().cuda.Stream.null)


def set_stream(stream):
    """Make work go to a stream; None changes nothing."""
    if stream is not None:
        stream._stream.use()


@contextlib.contextmanager
def stream(stream):
    """Make work go to a stream within a ``with`` block; None changes nothing, as without a GPU."""
    if stream is None:
        yield
        return
    with stream._stream:
        yield


StreamContext = stream


def __getattr__(name):
    if name == "amp":
        return importlib.import_module("minigrad.cuda.amp")
    if name == "default_generators":
        return (backend.default_generator,) * device_count()
    raise AttributeError(explain(name, __name__))
