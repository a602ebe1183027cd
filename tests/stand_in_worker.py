"""benchmarks/library_minigrad.py on the stand-in for a GPU: an adapter for benchmarks/worker.py."""
import contextlib
import os

from benchmarks.library_minigrad import build, convolutions, library, multiply_adds, profile, versions

__all__ = ["build", "convolutions", "library", "multiply_adds", "profile", "start", "versions"]
BREAKS = "MINIGRAD_TEST_BREAKS"  # environment variable: what the worker does wrong
_INSTALLED = contextlib.ExitStack()


def start():
    """Install the stand-in, whose streams record."""
    from tests.gpu.test_graphs import stand_in

    _INSTALLED.enter_context(stand_in())
    if os.environ.get(BREAKS):
        library.cuda.make_graphed_step = {"hang": _hang, "gpu": _broken_gpu, "end": _end}[os.environ[BREAKS]]


def _hang(*_):
    import time

    time.sleep(1000)


def _broken_gpu(*_):
    """As after an illegal address: from now on every use of the GPU fails."""
    import cupy

    def fail(*_, **__):
        raise cupy.cuda.runtime.CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")

    cupy.cuda.runtime.getDevice = fail
    fail()


def _end(*_):
    os._exit(3)
