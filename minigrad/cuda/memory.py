"""The memory of GPUs, which is CuPy's pool's: torch.cuda.memory.

Sources: https://docs.pytorch.org/docs/stable/cuda.html#memory-management
"""

import warnings

from minigrad.backend import OutOfMemoryError
from minigrad.cuda.devices import index_of, is_available, is_initialized, the_cupy

__all__ = [
    "OutOfMemoryError", "empty_cache", "ipc_collect", "max_memory_allocated", "max_memory_cached",
    "max_memory_reserved", "mem_get_info", "memory_allocated", "memory_cached", "memory_reserved", "memory_stats",
    "memory_stats_as_nested_dict", "memory_summary", "reset_accumulated_memory_stats", "reset_max_memory_allocated",
    "reset_max_memory_cached", "reset_peak_memory_stats", "set_per_process_memory_fraction",
    "get_per_process_memory_fraction",
]  # fmt: skip


def empty_cache():
    """Give memory that is held but unused back to the GPU; nothing to do where no GPU was used."""
    if is_initialized() and is_available():
        from minigrad.backend import gpu

        gpu.drop_finished()
        gpu.free_retired()
        the_cupy().get_default_memory_pool().free_all_blocks()
        the_cupy().get_default_pinned_memory_pool().free_all_blocks()


def _ask(device, question):
    """Return the answer of a function of gpu.py and a GPU's index, asked with that GPU current; 0 without a GPU."""
    if not is_available():
        return 0
    from minigrad.backend import gpu

    index = index_of(device)
    with the_cupy().cuda.Device(index):
        return question(gpu, index)


def memory_allocated(device=None):
    """Return the bytes of GPU memory that tensors hold; 0 without a GPU."""
    return _ask(device, lambda gpu, index: gpu.count_of(index).current)


def memory_reserved(device=None):
    """Return the bytes of GPU memory held, in use or not; 0 without a GPU."""
    return _ask(device, lambda gpu, index: gpu.reserved())


def max_memory_allocated(device=None):
    """Return the most bytes of GPU memory that tensors held at once since the last reset; 0 without a GPU.

    Every block of the pool is counted as it is taken and given back; sizes are rounded up to 512 bytes, as in PyTorch.
    """
    return _ask(device, lambda gpu, index: gpu.count_of(index).peak)


def max_memory_reserved(device=None):
    """Return the most bytes of GPU memory held at once, in use or not, since the last reset; 0 without a GPU."""
    return _ask(device, lambda gpu, index: gpu.count_of(index).reserved_peak)


def reset_peak_memory_stats(device=None):
    """Let the peaks begin anew at what is in use now."""
    _ask(device, lambda gpu, index: gpu.reset_peaks(index))


def reset_accumulated_memory_stats(device=None):
    """Let the numbers of all that was ever allocated and freed begin anew."""

    def reset(gpu, index):
        count = gpu.count_of(index)
        count.allocated, count.retries, count.ooms = count.current, 0, 0
        count.blocks, count.frees = count.blocks - count.frees, 0

    _ask(device, reset)


def _older(name, function):
    def older(device=None):
        warnings.warn(
            f"torch.cuda.{name} has been renamed to torch.cuda.{function.__name__}", FutureWarning, stacklevel=2
        )
        return function(device)

    older.__name__ = older.__qualname__ = name
    older.__doc__ = f"{function.__doc__.partition('.')[0]}: PyTorch's older name of {function.__name__}; warns."
    return older


memory_cached = _older("memory_cached", memory_reserved)
max_memory_cached = _older("max_memory_cached", max_memory_reserved)
reset_max_memory_allocated = _older("reset_max_memory_allocated", reset_peak_memory_stats)
reset_max_memory_cached = _older("reset_max_memory_cached", reset_peak_memory_stats)


def mem_get_info(device=None):
    """Return (free, total) bytes of a GPU's memory."""
    cupy = the_cupy()
    with cupy.cuda.Device(index_of(device)):
        return cupy.cuda.runtime.memGetInfo()


def memory_stats(device=None):
    """Return {"allocated_bytes.all.current": …, "reserved_bytes.all.peak": …, "num_ooms": …}; {} without a GPU.

    Of "allocation" (numbers of blocks) and "allocated_bytes" there are current, peak, allocated and freed; of
    "reserved_bytes" current and peak.
    """

    def stats(gpu, index):
        count = gpu.count_of(index)
        reserved = gpu.reserved()
        return {
            "allocated_bytes.all.allocated": count.allocated,
            "allocated_bytes.all.current": count.current,
            "allocated_bytes.all.freed": count.allocated - count.current,
            "allocated_bytes.all.peak": count.peak,
            "allocation.all.allocated": count.blocks,
            "allocation.all.current": count.blocks - count.frees,
            "allocation.all.freed": count.frees,
            "allocation.all.peak": count.most_blocks,
            "inactive_split_bytes.all.current": reserved - count.current,
            "num_alloc_retries": count.retries,
            "num_ooms": count.ooms,
            "reserved_bytes.all.current": reserved,
            "reserved_bytes.all.peak": count.reserved_peak,
        }

    return _ask(device, stats) or {}


def memory_stats_as_nested_dict(device=None):
    """Return memory_stats() with its names' parts as dicts in dicts."""
    nested = {}
    for name, value in memory_stats(device).items():
        *outer, last = name.split(".")
        place = nested
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = value
    return nested


def memory_summary(device=None, abbreviated=False):
    """Return memory_stats() as text, a line per number; abbreviated: the bytes only. RuntimeError without a GPU."""
    the_cupy()
    lines = [f"GPU {index_of(device)}"]
    for name, value in memory_stats(device).items():
        if "bytes" in name:
            lines.append(f"{name:34s} {value / 2**20:14.2f} MiB")
        elif not abbreviated:
            lines.append(f"{name:34s} {value:11d}")
    return "\n".join(lines)


def set_per_process_memory_fraction(fraction, device=None):
    """Limit the memory of a GPU that is used to a fraction of it; TypeError for no float, ValueError outside of 0 … 1.

    Beyond the limit allocations raise OutOfMemoryError.
    """
    if not isinstance(fraction, float):
        raise TypeError("Invalid type for fraction argument, must be `float`")
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    cupy = the_cupy()
    with cupy.cuda.Device(index_of(device)):
        cupy.get_default_memory_pool().set_limit(fraction=fraction)


def get_per_process_memory_fraction(device=None):
    """Return the fraction of a GPU's memory that may be used; 1.0 without a limit."""
    cupy = the_cupy()
    with cupy.cuda.Device(index_of(device)):
        limit = cupy.get_default_memory_pool().get_limit()
        return limit / cupy.cuda.runtime.memGetInfo()[1] if limit else 1.0


def ipc_collect():
    """Give back memory that other processes used: none is shared here; RuntimeError without a GPU."""
    the_cupy()
