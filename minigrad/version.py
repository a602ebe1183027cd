"""The version of this package; setup.cfg reads it from here."""

__version__ = "0.6.0"
debug = False
git_version = "unknown"
cuda = hip = rocm = xpu = None  # nothing here is built against them; minigrad.backend asks CuPy for the CUDA it uses
