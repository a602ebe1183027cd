"""oneDNN (MKL-DNN): not used. Kernels are NumPy's and minigrad's own; the switches are kept and change nothing."""

from minigrad.backends.unused import keep_flags

enabled = False
deterministic = False
allow_tf32 = False

flags = keep_flags(__name__, "enabled", "deterministic", "allow_tf32")


def is_available():
    """Return whether oneDNN is used: no."""
    return False
