"""Threads of the CPU: how many there are, sharing work out among them, and memory that each keeps for itself.

NumPy lets other threads run while it computes, so threads of Python share the work of a kernel. BLAS computes with one
thread inside shared work: its own threads would only stand in the way of ours.
"""

import itertools
import os
import queue
import threading
from math import prod

from minigrad.backend.arrays import np


class _Threads:
    count = None
    controller = None
    blas = None


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
        raise RuntimeError(f"set_num_threads expects an int, but got {type(count).__name__}")
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


def _blas_libraries():
    if _Threads.blas is None:
        _Threads.blas = [found for found in blas_controller().lib_controllers if found.user_api == "blas"]
    return _Threads.blas


# ------------------------------------------------------------------ sharing work out


class _Pool:
    """The worker threads; ``busy`` is held while they have work, shared work inside that runs in its own thread."""

    def __init__(self):
        self.busy = threading.Lock()
        self.tasks = queue.SimpleQueue()
        self.workers = 0

    def grow(self, count):
        while self.workers < count:
            self.workers += 1
            name = f"minigrad-{self.workers}"
            threading.Thread(target=_serve, args=(self.tasks,), name=name, daemon=True).start()


def _serve(tasks):
    np.seterr(all="ignore")  # a thread has its own setting
    while True:
        share, done = tasks.get()
        error = None
        try:
            share()
        except BaseException as raised:  # whatever it is belongs to the thread that waits for it
            error = raised
        share = None  # the arrays it holds are not kept until the next task
        done.put(error)
        del done, error


def parallel_for(count, work):
    """Call ``work(index)`` for every index below count, in any order, shared among get_num_threads() threads.

    The calling thread takes part, and returns when all are done. What the calls write must not overlap. BLAS computes
    with one thread meanwhile. Within a call, and while another thread shares work out, everything runs in the thread
    it was called in. Waking a thread costs about 20 µs: share out nothing that takes less than a few hundred.

    Raises:
        Exception: the first one that a call raised; calls that had not begun by then are not made.
    """
    threads = min(get_num_threads(), count)
    pool = _Current.pool
    if threads < 2 or not pool.busy.acquire(blocking=False):
        for index in range(count):
            work(index)
        return
    try:
        pool.grow(threads - 1)
        _share_out(pool, threads, count, work)
    finally:
        pool.busy.release()


def _share_out(pool, threads, count, work):
    indices = itertools.count()
    failed = []

    def share():
        while not failed and (index := next(indices)) < count:
            try:
                work(index)
            except BaseException:
                failed.append(index)
                raise

    libraries = _blas_libraries()
    before = [library.get_num_threads() for library in libraries]
    done = queue.SimpleQueue()
    error = None
    sent = 0
    for library in libraries:
        library.set_num_threads(1)
    try:
        try:
            for _ in range(threads - 1):
                pool.tasks.put((share, done))
                sent += 1
            share()
        finally:
            error = _wait(done, sent, failed)
    finally:
        for library, number in zip(libraries, before, strict=True):
            library.set_num_threads(number)
    if error is not None:
        raise error


def _wait(done, number, failed):
    """Wait until the workers are done, however often one interrupts: they write into arrays. Return their error."""
    error = interrupted = None
    while number:
        try:
            found = done.get()
            number -= 1
            error = error or found
        except KeyboardInterrupt as raised:
            failed.append(raised)  # the workers stop after what they are at
            interrupted = raised
    return interrupted or error


def parallel_ranges(length, grain, work):
    """Call ``work(start, stop)`` for the pieces of range(length), shared among the threads.

    A piece is about ``grain`` long, so that what a call touches stays in the cache; the cut depends on length and grain
    alone, never on the number of threads.
    """
    pieces = max(1, -(-length // max(1, grain)))
    if pieces == 1:
        if length:
            work(0, length)
        return

    def piece(index):
        work(index * length // pieces, (index + 1) * length // pieces)

    parallel_for(pieces, piece)


# ------------------------------------------------------------------ memory of a thread


class _Scratch(threading.local):
    def __init__(self):
        self.buffers = {}


def scratch(name, shape, dtype):
    """Return an array of undefined values in memory that this thread keeps under the name and hands out again.

    For values within one call of a kernel: the next request for the name, by whomever, gets the same memory. What is
    kept is never given back, so ask for blocks that fit the cache.
    """
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    buffer = _Current.scratch.buffers.get(name)
    if buffer is None or buffer.nbytes < size:
        buffer = _Current.scratch.buffers[name] = np.empty(size, np.uint8)
    return buffer[:size].view(dtype).reshape(shape)


class _Current:
    pool = _Pool()
    scratch = _Scratch()


def _forget_threads():
    """A forked child has none of its parent's threads."""
    _Current.pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
