"""Intel's MKL: used where NumPy was built with it."""

from minigrad.absent import getter


def is_available():
    """Return whether the BLAS library that NumPy loaded is MKL."""
    from minigrad.backend.threads import blas_controller

    return any(library.internal_api == "mkl" for library in blas_controller().lib_controllers)


__getattr__ = getter(__name__)
