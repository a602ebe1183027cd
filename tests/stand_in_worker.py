"""benchmarks/library_minigrad.py on the stand-in for a GPU: an adapter for benchmarks/worker.py."""
import contextlib
import os
import time

from benchmarks import gpu_case
from benchmarks.library_minigrad import build, convolutions, library, multiply_adds, profile, versions

__all__ = ["build", "convolutions", "library", "multiply_adds", "profile", "start", "versions"]
BREAKS = "MINIGRAD_TEST_BREAKS"  # environment variable: if set, recording a step breaks the worker
_INSTALLED = contextlib.ExitStack()


def start():
    """Install the stand-in, whose streams record."""
    from tests.gpu.test_graphs import stand_in

    gpu_case.CALLS, gpu_case.ROUNDS, gpu_case.WARM_PASSES = 2, 1, 1
    _INSTALLED.enter_context(stand_in())
    if os.environ.get(BREAKS):
        library.cuda.make_graphed_step = _break


def _break(*_):
    """Break in another way in each precision."""
    if library.is_autocast_enabled("cuda"):
        os._exit(3)
    if not library.backends.cudnn.allow_tf32:
        time.sleep(1000)
    _break_the_gpu()


def _break_the_gpu():
    """As after an illegal address: from now on every use of the GPU fails."""
    import cupy

    def fail(*_, **__):
        raise cupy.cuda.runtime.CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")

    cupy.cuda.runtime.getDevice = fail
    fail()
