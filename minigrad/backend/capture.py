"""CUDA graphs through CuPy: the work that a stream is given, recorded once and launched again as a whole.

A recorded launch reads and writes the addresses it was given. So the arrays made meanwhile lie in a pool of memory of
the recording's own, which nothing else uses as long as the graph is there.
"""

import contextlib
import weakref

from minigrad.backend.devices import cupy_module
from minigrad.backend.libraries import OUTSIDE


class Pool:
    """GPU memory for recordings: ``memory`` is CuPy's pool, whose blocks go back to the GPU when the last user goes."""

    def __init__(self):
        from minigrad.backend import gpu

        cupy = cupy_module()
        gpu.free_retired()
        self.memory = cupy.cuda.MemoryPool()
        gpu.add_pool(self.memory)
        weakref.finalize(self, gpu.retire, self.memory, cupy.cuda.runtime.getDevice()).atexit = False


_STREAMS = {}  # (CuPy, index of a GPU) -> the stream of its recordings


class Recording:
    """The work of a block, recorded on the stream that the current GPU has for recordings.

    CuPy's pools reuse memory by stream, and so do the libraries' workspaces: one stream for all recordings lets them
    have the memory of those before.

    Arguments: pool (recordings that never run at the same time may share one).
    """

    def __init__(self, pool=None):
        cupy = cupy_module()
        self.device = cupy.cuda.runtime.getDevice()
        self.pool = Pool() if pool is None else pool
        key = cupy, self.device
        if key not in _STREAMS:
            _STREAMS[key] = cupy.cuda.Stream(non_blocking=True)
        self.stream = _STREAMS[key]
        self.graph = None

    @contextlib.contextmanager
    def alone(self):
        """Work on the recording's stream and in its pool, after what was given before and before what comes."""
        from minigrad.backend import gpu

        cupy = cupy_module()
        before, outside = cupy.cuda.get_current_stream(), OUTSIDE.allocator
        self.stream.wait_event(before.record())
        OUTSIDE.allocator = outside or cupy.cuda.get_allocator()
        try:
            with self.stream, cupy.cuda.using_allocator(gpu.guarded(self.pool.memory)):
                yield
        finally:
            OUTSIDE.allocator = outside
            before.wait_event(self.stream.record())

    def begin(self):
        """Start to record; in a block of alone()."""
        self.stream.begin_capture()

    def end(self):
        """Finish the recording; RuntimeError where some of the work could not be recorded."""
        self.graph = self.stream.end_capture()

    def give_up(self):
        """End a recording that failed; the stream works as any other again."""
        with contextlib.suppress(Exception):
            self.stream.end_capture()

    def launch(self):
        """Do the recorded work on the current stream."""
        self.graph.launch(cupy_module().cuda.get_current_stream())

    def wait(self):
        """Return when the stream's work is done."""
        self.stream.synchronize()

    def describe(self):
        """Return the graph in the DOT language."""
        return self.graph.debug_dot_str()

    def release(self):
        """Give graph and memory back."""
        self.graph = self.pool = None
