"""minigrad with plain convolutions as a worker sees it: im2col of the whole batch and one product for every shape."""
from benchmarks.library_minigrad import build, convolutions, library, multiply_adds, versions

__all__ = ["build", "convolutions", "library", "multiply_adds", "start", "versions"]


def start():
    """Have all convolutions of the process done so."""
    library.backends.im2col.enabled = True
