"""cuDNN: not used. Kernels on GPUs are CuPy's and minigrad's own.

Programs set ``benchmark`` and ``deterministic`` to choose among cuDNN's algorithms; there is nothing to choose from
here, so the values are kept and change nothing.
"""

from minigrad.backends.unused import keep_flags

enabled = False
benchmark = False
benchmark_limit = 10
deterministic = False
allow_tf32 = False

flags = keep_flags(__name__, "enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")


def is_available():
    """Return whether cuDNN is used: no."""
    return False


def version():
    """Return cuDNN's version: None, it is not used."""
    return None
