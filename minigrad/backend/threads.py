"""How many threads minigrad's CPU kernels and BLAS use."""

import os


class _Threads:
    count = None
    controller = None


def get_num_threads():
    """Return the number of threads used for CPU work."""
    if _Threads.count is None:
        chosen = os.environ.get("MINIGRAD_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS", "")
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        _Threads.count = int(chosen) if chosen.isdigit() and int(chosen) > 0 else available
    return _Threads.count


def set_num_threads(count):
    """Set the number of threads used for CPU work, BLAS included."""
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(count).__name__}")
    if count < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {count}")
    blas_controller().limit(limits=count, user_api="blas")
    _Threads.count = count


def blas_controller():
    """Return threadpoolctl's controller of the loaded BLAS libraries (made on first use: it scans them)."""
    if _Threads.controller is None:
        from threadpoolctl import ThreadpoolController

        _Threads.controller = ThreadpoolController()
    return _Threads.controller
