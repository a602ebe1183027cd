"""minigrad with plain convolutions as a worker sees it: im2col of the whole batch and one product for every shape."""
from benchmarks.library_minigrad import build, convolutions, library, multiply_adds, versions

__all__ = ["build", "convolutions", "library", "multiply_adds", "versions"]

library.backends.im2col.enabled = True
