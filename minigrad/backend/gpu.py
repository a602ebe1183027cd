"""What GPUs need of CuPy besides arrays: memory that is counted and may run out, page-locked memory, copies.

Loaded when a GPU is first used; `set_up` then puts a hook and an allocator into CuPy.
"""

import collections
import gc
import threading

from minigrad.backend.arrays import np
from minigrad.backend.errors import OutOfMemoryError
from minigrad.backend.libraries import is_capturing

MIB = 2**20


class Count:
    """What is known of the memory of one GPU: bytes in blocks that are in use, and numbers of blocks."""

    __slots__ = ("allocated", "blocks", "current", "frees", "most_blocks", "ooms", "peak", "reserved_peak", "retries")

    def __init__(self, current=0, reserved=0):
        self.current = self.peak = self.allocated = current
        self.reserved_peak = reserved
        self.blocks = self.frees = self.most_blocks = self.retries = self.ooms = 0


class _Gpus:
    """The state of the process: which CuPy it is about, its pools and counts."""

    cupy = None
    hook = None
    pools = ()
    counts = {}  # index of a GPU -> Count


class _Thread(threading.local):
    hook = None  # CuPy's hooks are a thread's own


_THREAD = _Thread()
_RETIRED = []  # (pool of captured graphs that are gone, index of its GPU)


# ---------------------------------------------------------------------- counting
def set_up(cupy):
    """Let CuPy's pool count what tensors hold, and say clearly where it runs out."""
    pool = cupy.get_default_memory_pool()
    _Gpus.cupy, _Gpus.pools, _Gpus.counts = cupy, (pool,), {}
    for index in range(cupy.cuda.runtime.getDeviceCount()):
        with cupy.cuda.Device(index):
            _Gpus.counts[index] = Count(pool.used_bytes(), pool.total_bytes())
    _Gpus.hook = _make_hook(cupy)
    if getattr(cupy.cuda.get_allocator(), "__self__", None) is pool:  # otherwise the user has chosen another one
        cupy.cuda.set_allocator(guarded(pool))


def count_in_this_thread():
    """Count the allocations of this thread from now on."""
    hook = _Gpus.hook
    if _THREAD.hook is not hook:
        hook.__enter__()
        _THREAD.hook = hook


def _make_hook(cupy):
    counts, held = _Gpus.counts, reserved  # what the hook asks for while Python ends and modules are emptied

    class Counting(cupy.cuda.MemoryHook):
        """Called by CuPy for each block of a pool that is taken or given back."""

        name = "minigrad"

        def malloc_postprocess(self, *, device_id, mem_size, mem_ptr, **_):
            if mem_ptr:
                count = counts[device_id]
                count.allocated += mem_size
                count.current += mem_size
                count.blocks += 1
                if count.current > count.peak:
                    count.peak = count.current
                if count.blocks - count.frees > count.most_blocks:
                    count.most_blocks = count.blocks - count.frees

        def free_postprocess(self, *, device_id, mem_size, **_):
            count = counts[device_id]
            count.current -= mem_size
            count.frees += 1

        def alloc_postprocess(self, *, device_id, **_):  # of the GPU's own memory, which is rare
            count = counts[device_id]
            count.reserved_peak = max(count.reserved_peak, held())

    return Counting()


def add_pool(pool):
    """Count a pool of captured graphs' own too."""
    _Gpus.pools = (*_Gpus.pools, pool)


def retire(pool, index):
    """Give a pool's memory back to GPU ``index`` when nothing uses it any more; until then it is counted.

    CuPy's pools do not when they go: what they have kept for later would be lost to the process.
    """
    _RETIRED.append((pool, index))
    free_retired()


def free_retired():
    """Give back what retired pools hold unused."""
    cupy = _Gpus.cupy
    if not _RETIRED or is_capturing(cupy):  # memory is not given back while a graph is captured
        return
    for item in tuple(_RETIRED):
        pool, index = item
        if not any(other is pool for other in _Gpus.pools):  # of a CuPy that was replaced
            _RETIRED.remove(item)
            continue
        with cupy.cuda.Device(index):
            pool.free_all_blocks()
            if pool.total_bytes() == 0:
                _RETIRED.remove(item)
                _Gpus.pools = tuple(other for other in _Gpus.pools if other is not pool)


def reserved():
    """Return the bytes that the pools hold on the current GPU."""
    return sum(pool.total_bytes() for pool in _Gpus.pools)


def count_of(index):
    """Return the Count of a GPU, the current one, with what is in use taken from the pools."""
    count = _Gpus.counts[index]
    count.current = sum(pool.used_bytes() for pool in _Gpus.pools)  # other threads may have freed what this one took
    count.peak = max(count.peak, count.current)
    count.reserved_peak = max(count.reserved_peak, reserved())
    return count


def reset_peaks(index):
    """Let the peaks of a GPU, the current one, begin anew at what is in use now."""
    count = count_of(index)
    count.peak, count.reserved_peak, count.most_blocks = count.current, reserved(), count.blocks - count.frees


# ---------------------------------------------------------------------- running out
def guarded(pool):
    """Return an allocator on a pool, which raises OutOfMemoryError only after unused blocks have been given back."""
    malloc = pool.malloc
    exhausted = _Gpus.cupy.cuda.memory.OutOfMemoryError

    def allocate(size):
        try:
            return malloc(size)
        except exhausted:
            pass
        gc.collect()  # under a limit CuPy raises without looking for blocks to give back
        free_retired()
        pool.free_all_blocks()
        count = _Gpus.counts.get(_Gpus.cupy.cuda.runtime.getDevice())
        if count is not None:
            count.retries += 1
        try:
            return malloc(size)
        except exhausted:
            pass  # left before the error is raised, so that it carries no other one along
        raise out_of_memory(size, pool.get_limit())

    return allocate


def out_of_memory(size, limit=0):
    """Return the error that says what was asked for, what is held, and what can be done."""
    cupy = _Gpus.cupy
    index = cupy.cuda.runtime.getDevice()
    free, total = cupy.cuda.runtime.memGetInfo()
    count = count_of(index)
    count.ooms += 1
    held = reserved()
    limited = f" The limit of this process is {limit / MIB:.2f} MiB." if limit else ""
    return OutOfMemoryError(
        f"CUDA out of memory. Tried to allocate {size / MIB:.2f} MiB. GPU {index} has a total capacity of "
        f"{total / MIB:.2f} MiB of which {free / MIB:.2f} MiB is free.{limited} Tensors hold "
        f"{count.current / MIB:.2f} MiB, and {(held - count.current) / MIB:.2f} MiB is reserved but unallocated. Use "
        "a smaller batch, delete tensors and losses that are no longer needed, or keep less for backward: "
        "torch.no_grad(), torch.utils.checkpoint, torch.autocast."
    )


def is_exhausted(error):
    """Return whether an error is CuPy's own, of an allocator that is not ours."""
    return _Gpus.cupy is not None and isinstance(error, _Gpus.cupy.cuda.memory.OutOfMemoryError)


# ---------------------------------------------------------------------- page-locked memory
def pinned_empty(shape, dtype):
    """Return an uninitialised NumPy array in page-locked memory."""
    dtype = np.dtype(dtype)
    nbytes = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    memory = _Gpus.cupy.cuda.alloc_pinned_memory(max(nbytes, 1))
    return np.frombuffer(memory, np.uint8, nbytes).view(dtype).reshape(shape)


def is_pinned(array):
    """Return whether a NumPy array lies in page-locked memory."""
    root = array
    while type(root) is np.ndarray and root.base is not None:
        root = root.base
    if isinstance(root, memoryview):
        root = root.obj
    return type(root).__name__ == "PinnedMemoryPointer"


# ---------------------------------------------------------------------- copies
_IN_FLIGHT = collections.deque()  # (event, what a copy before it reads or writes), oldest first
_OF_GRAPHS = []  # what copies in captured graphs read or write, held for good


def keep(stream, *objects):
    """Hold references until the work given to a stream so far is done: a GPU reads and writes behind Python's back."""
    if stream.ptr and stream.is_capturing():  # an event of a graph is never done; and replays copy again
        _OF_GRAPHS.append(objects)
        return
    drop_finished()
    event = _Gpus.cupy.cuda.Event(disable_timing=True)
    event.record(stream)
    _IN_FLIGHT.append((event, objects))


def drop_finished():
    """Forget what finished copies needed."""
    while _IN_FLIGHT and _IN_FLIGHT[0][0].done:
        _IN_FLIGHT.popleft()


def _dense_order(array):
    """Return the order of dimensions in which an array lies in memory without gaps; None for C order, or none."""
    if array.flags.c_contiguous or array.ndim < 2:
        return None
    order = sorted(range(array.ndim), key=lambda dim: -array.strides[dim])
    return order if array.transpose(order).flags.c_contiguous else None


def _restored(array, order):
    """Return the transposition undone: the same element order in memory as the source's."""
    return array if order is None else array.transpose(sorted(range(len(order)), key=order.__getitem__))


def send(array, non_blocking=False, side=None):
    """Return a NumPy array on the current GPU, in the same order in memory.

    From page-locked memory the GPU copies by itself: behind the work of the current stream, or of the stream
    ``side``; then the caller lets the current stream wait for it. Other memory CuPy copies to page-locked memory first.
    """
    cupy = _Gpus.cupy
    order = _dense_order(array)
    dense = array if order is None else array.transpose(order)
    if not (array.nbytes and dense.flags.c_contiguous and is_pinned(array)):
        return _restored(cupy.asarray(dense), order)
    out = cupy.empty(dense.shape, dense.dtype)
    stream = cupy.cuda.get_current_stream()
    if side is not None:
        side.wait_event(stream.record())  # what used the memory before is done
        stream = side
    out.set(dense, stream)
    if non_blocking:
        keep(stream, dense, out)
    else:
        stream.synchronize()
    return _restored(out, order)


def receive(array, non_blocking=False):
    """Return a GPU array as a NumPy array, in the same order in memory.

    Non-blocking: in page-locked memory, which has the values once the current stream has got there.
    """
    order = _dense_order(array)
    dense = array if order is None else array.transpose(order)
    if not non_blocking or not array.nbytes:
        return _restored(dense.get(), order)
    cupy = _Gpus.cupy
    with cupy.cuda.Device(array.device.id):
        stream = cupy.cuda.get_current_stream()
        out = pinned_empty(dense.shape, dense.dtype)
        dense.get(stream, out=out, blocking=False)
        keep(stream, dense, out)
    return _restored(out, order)


def used_by(array, stream):
    """Keep the memory of a GPU array from being used again before a stream is done with it.

    When the array goes, an event in the stream says when that is.
    """
    import weakref

    weakref.finalize(array, keep, stream, array.data).atexit = False
