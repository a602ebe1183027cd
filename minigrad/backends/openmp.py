"""OpenMP: not used. Kernels share their work among threads of Python: see minigrad.set_num_threads."""


def is_available():
    """Return whether minigrad's kernels run on OpenMP: no."""
    return False
