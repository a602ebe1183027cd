"""What this installation is made of: PyTorch's torch.__config__."""

import platform

from minigrad.backend import get_num_threads, np
from minigrad.version import __version__


def show():
    """Return the versions of minigrad, Python and NumPy and NumPy's BLAS as text."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return (
        f"minigrad {__version__}\n  - Python {platform.python_version()} on {platform.platform()}\n"
        f"  - NumPy {np.__version__}\n  - BLAS {blas.get('name')} {blas.get('version')}\n"
    )


def parallel_info():
    """Return the number of threads as text."""
    return f"minigrad.get_num_threads() : {get_num_threads()}\n"
