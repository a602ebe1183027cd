"""cuDNN: not used. Kernels on GPUs are CuPy's and minigrad's own.

Programs set ``benchmark`` and ``deterministic`` to choose among cuDNN's algorithms; there is nothing to choose from
here, so the values are kept and change nothing.
"""

enabled = False
benchmark = False
benchmark_limit = 10
deterministic = False
allow_tf32 = False


def is_available():
    """Return whether cuDNN is used: no."""
    return False


def version():
    """Return cuDNN's version: None, it is not used."""
    return None
