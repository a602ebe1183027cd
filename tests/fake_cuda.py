"""The part of the stand-in for CuPy (fake_cupy.py) that is cupy.cuda: devices, memory, streams, events and NVTX.

Memory is counted as CuPy's pool counts it, and runs out at a limit. Copies that are given a stream wait in its queue
when ``Stream.lazy`` is set, until something waits for them: so a missing event shows as wrong numbers.
"""

import collections
import contextlib
import ctypes
import functools
import threading
import types
import warnings

UNIT = 512  # bytes: what CuPy rounds allocations to
GPU_MEMORY = 1 << 34


INSTALLATION = [0]  # how often the stand-in was installed: memory of an earlier time is of no interest


class CUDARuntimeError(RuntimeError):
    """What CuPy raises without a driver."""


class OutOfMemoryError(MemoryError):
    """What CuPy's pool raises."""

    def __init__(self, size, total, limit=0):
        self._size, self._total, self._limit = size, total, limit
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


class _Thread(threading.local):
    device = 0
    allocator = None

    def __init__(self):
        self.hooks = {}
        self.streams = {}


THREAD = _Thread()


class MemoryHook:
    """Calls around allocations of the thread that entered it."""

    name = "MemoryHook"

    def __enter__(self):
        if self.name in THREAD.hooks:
            raise KeyError(f"memory hook {self.name} already exists")
        THREAD.hooks[self.name] = self
        return self

    def __exit__(self, *_):
        del THREAD.hooks[self.name]

    def alloc_preprocess(self, **kwargs): ...

    alloc_postprocess = malloc_preprocess = malloc_postprocess = free_preprocess = free_postprocess = alloc_preprocess


def _call_hooks(name, **kwargs):
    for hook in list(THREAD.hooks.values()):
        getattr(hook, name)(**kwargs)


class _Block:
    """Memory of a pool: given back to it when the last reference goes."""

    def __init__(self, pool, device_id, size):
        self.pool, self.device_id, self.size = pool, device_id, size

    @functools.cached_property
    def ptr(self):
        """The address of host memory for whoever asks for it, as libraries do for their workspaces."""
        self._bytes = (ctypes.c_byte * (self.size + 256))()
        return -(-ctypes.addressof(self._bytes) // 256) * 256

    def __del__(self):
        part = self.pool._parts[self.device_id]
        part.used -= self.size
        part.free[self.size] += 1
        if self.pool.installation == INSTALLATION[0]:
            _call_hooks("free_postprocess", device_id=self.device_id, mem_size=self.size, mem_ptr=1, pmem_id=id(self))


class MemoryPool:
    """cupy.cuda.MemoryPool: blocks are used again for requests of the same size."""

    class _Part:
        def __init__(self):
            self.used = self.total = self.limit = 0
            self.free = collections.Counter()

    def __init__(self, allocator=None):
        self.installation = INSTALLATION[0]
        self._parts = collections.defaultdict(self._Part)

    def malloc(self, size):
        rounded = -(-size // UNIT) * UNIT
        part = self._parts[THREAD.device]
        sizes = {"device_id": THREAD.device, "size": size, "mem_size": rounded}
        _call_hooks("malloc_preprocess", **sizes)
        block = None
        try:
            if part.free[rounded]:
                part.free[rounded] -= 1
            else:
                if part.total + rounded > (part.limit or GPU_MEMORY):
                    raise OutOfMemoryError(rounded, part.total, part.limit)
                part.total += rounded
                _call_hooks("alloc_postprocess", device_id=THREAD.device, mem_size=rounded, mem_ptr=1)
            part.used += rounded
            block = _Block(self, THREAD.device, rounded)
        finally:
            _call_hooks("malloc_postprocess", **sizes, mem_ptr=int(block is not None), pmem_id=id(block))
        return block

    def free_all_blocks(self, stream=None):
        part = self._parts[THREAD.device]
        part.total -= sum(size * count for size, count in part.free.items())
        part.free.clear()

    def used_bytes(self):
        return self._parts[THREAD.device].used

    def total_bytes(self):
        return self._parts[THREAD.device].total

    def free_bytes(self):
        return self.total_bytes() - self.used_bytes()

    def n_free_blocks(self):
        return sum(self._parts[THREAD.device].free.values())

    def set_limit(self, size=None, fraction=None):
        self._parts[THREAD.device].limit = int(fraction * GPU_MEMORY) if size is None else size

    def get_limit(self):
        return self._parts[THREAD.device].limit


class PinnedMemoryPointer(bytearray):
    """Page-locked memory."""


class Device:
    """cupy.cuda.Device."""

    def __init__(self, device=None):
        self.id = THREAD.device if device is None else int(device)
        self._before = []

    def __enter__(self):
        self._before.append(THREAD.device)
        THREAD.device = self.id
        return self

    def __exit__(self, *_):
        THREAD.device = self._before.pop()

    def __int__(self):
        return self.id

    def use(self):
        THREAD.device = self.id

    def synchronize(self):
        for stream in list(Stream.alive):
            stream.synchronize()


class Event:
    """cupy.cuda.Event: remembers how much of a stream's queue came before it."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        if interprocess and not disable_timing:
            raise ValueError("Timing must be disabled for interprocess events")
        self.ptr = id(self)
        self.timed = not disable_timing
        self._stream, self._place = None, 0

    def record(self, stream=None):
        self._stream = current_stream() if stream is None else stream
        self._place = self._stream.given

    @property
    def done(self):
        return self._stream is None or self._stream.ran >= self._place

    def synchronize(self):
        if self._stream is not None:
            self._stream.run_to(self._place)


class Stream:
    """cupy.cuda.Stream; also what ExternalStream makes."""

    lazy = False  # whether copies given a stream wait in its queue
    alive = collections.deque(maxlen=64)
    synchronizations = 0
    null = ptds = None

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.ptr, self.device_id = (0, -1) if null else (id(self), THREAD.device)
        self.is_non_blocking, self.priority = non_blocking, priority or 0
        self._queue = collections.deque()
        self.given = self.ran = 0
        Stream.alive.append(self)

    def __eq__(self, other):
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self):
        return self.ptr

    def give(self, work):
        self.given += 1
        self._queue.append(work)
        if not Stream.lazy or self.ptr == 0:
            self.run_to(self.given)

    def run_to(self, place):
        while self.ran < place:
            self._queue.popleft()()
            self.ran += 1

    def synchronize(self):
        Stream.synchronizations += 1
        self.run_to(self.given)

    @property
    def done(self):
        return self.ran >= self.given

    def record(self, event=None):
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        if self.ptr == 0 or not Stream.lazy:
            event.synchronize()
        else:
            self.give(event.synchronize)

    def use(self):
        self._check()
        THREAD.streams[THREAD.device] = [self]
        return self

    def _check(self):
        if self.device_id not in (-1, THREAD.device):
            raise RuntimeError(
                f"The device that the stream is created on ({self.device_id}) does not match with the current device "
                f"({THREAD.device})"
            )

    def __enter__(self):
        self._check()
        THREAD.streams.setdefault(THREAD.device, []).append(self)
        return self

    def __exit__(self, *_):
        THREAD.streams[THREAD.device].pop()

    def is_capturing(self):
        return False


Stream.null = Stream(null=True)
Stream.ptds = Stream.null


def current_stream(device_id=-1):
    stack = THREAD.streams.get(THREAD.device if device_id == -1 else device_id)
    return stack[-1] if stack else Stream.null


@contextlib.contextmanager
def _using_allocator(allocator=None):
    before, THREAD.allocator = THREAD.allocator, allocator
    try:
        yield
    finally:
        THREAD.allocator = before


def _properties(index):
    return {
        "name": b"Stand-in", "major": 9, "minor": 0, "totalGlobalMem": GPU_MEMORY, "multiProcessorCount": 132,
        "warpSize": 32, "l2CacheSize": 1 << 25, "regsPerMultiprocessor": 65536, "maxThreadsPerMultiProcessor": 2048,
        "sharedMemPerBlock": 49152, "sharedMemPerMultiprocessor": 233472, "clockRate": 1, "integrated": 0,
        "isMultiGpuBoard": 0, "pciBusID": 1, "pciDeviceID": 0, "pciDomainID": 0,
    }  # fmt: skip


ALLOCATOR = [MemoryPool().malloc]


def allocate(size):
    """cupy.cuda.alloc: memory on the current device."""
    return (THREAD.allocator or ALLOCATOR[0])(size)


def add_to(module, devices):
    """Give a stand-in for cupy its ``cuda`` with a number of devices, and its pools."""
    THREAD.device, THREAD.allocator = 0, None
    THREAD.hooks.clear()
    THREAD.streams.clear()
    Stream.lazy = False
    INSTALLATION[0] += 1
    pool = MemoryPool()
    ALLOCATOR[0] = pool.malloc

    def mem_get_info():
        part = pool._parts[THREAD.device]
        return GPU_MEMORY - part.total, GPU_MEMORY

    ranges = []
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: devices, getDevice=lambda: THREAD.device, CUDARuntimeError=CUDARuntimeError,
        memGetInfo=mem_get_info, getDeviceProperties=_properties, deviceCanAccessPeer=lambda a, b: int(a != b),
        deviceSynchronize=lambda: Device().synchronize(), runtimeGetVersion=lambda: 13000,
        driverGetVersion=lambda: 13000,
    )  # fmt: skip
    nvtx = types.SimpleNamespace(
        available=True, RangePush=lambda text, color=-1: ranges.append(text), RangePop=lambda: ranges.pop(),
        Mark=lambda text, color=-1: ranges.append(text), ranges=ranges, RangeStart=lambda text, color: len(text),
        RangeEnd=lambda number: None,
    )  # fmt: skip
    module.cuda = types.SimpleNamespace(
        runtime=runtime, Device=Device, Stream=Stream, ExternalStream=_external_stream,
        Event=Event, MemoryPool=MemoryPool, MemoryHook=MemoryHook,
        nvtx=nvtx, is_available=lambda: True, get_current_stream=current_stream, using_allocator=_using_allocator,
        get_elapsed_time=lambda start, end: 1.0 if start.timed and end.timed else _untimed(),
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError), alloc=allocate,
        get_allocator=lambda: THREAD.allocator or ALLOCATOR[0],
        set_allocator=lambda function=None: ALLOCATOR.__setitem__(0, function or pool.malloc),
        alloc_pinned_memory=PinnedMemoryPointer,
    )  # fmt: skip
    module.get_default_memory_pool = lambda: pool
    pinned = types.SimpleNamespace(free_all_blocks=lambda: None)
    module.get_default_pinned_memory_pool = lambda: pinned


def _external_stream(ptr, device_id=-1):
    warnings.warn("ExternalStream is deprecated. Use Stream.from_external() instead", DeprecationWarning, stacklevel=2)
    stream = Stream()
    stream.ptr, stream.device_id = ptr, device_id
    return stream


def _untimed():
    raise CUDARuntimeError("cudaErrorInvalidResourceHandle: invalid resource handle")
