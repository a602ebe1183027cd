"""What the process is told before NumPy is loaded: which matrix kernels OpenBLAS takes, and how memory is reused."""

import ctypes
import os
import sys

LARGEST_THRESHOLD = 2**25  # glibc's own limit of M_MMAP_THRESHOLD: 32 MB
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h


def choose_matrix_kernels(cpuinfo="/proc/cpuinfo"):
    """Have OpenBLAS use its AVX-512 kernels where it does not know the processor and would fall back on AVX2.

    OpenBLAS 0.3.31 and older take AMD's Zen 5 for a Haswell, which halves the rate of large float32 products. An
    ``OPENBLAS_CORETYPE`` of the user's own stays; nothing changes if NumPy is already loaded.
    """
    if "numpy" in sys.modules or "OPENBLAS_CORETYPE" in os.environ:
        return
    try:
        with open(cpuinfo) as file:
            text = file.read(2**14)
    except OSError:
        return
    fields = dict(line.split(":", 1) for line in text.partition("\n\n")[0].splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    zen5_or_later = fields.get("vendor_id") == "AuthenticAMD" and int(fields.get("cpu family", 0)) >= 26
    if zen5_or_later and {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= set(fields.get("flags", "").split()):
        os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"


def keep_freed_memory():
    """Have glibc keep freed arrays of up to 32 MB instead of returning them to the system at once.

    A fresh page costs a fault on its first write: filling a new array of 512 KB takes 150 µs so, and 24 µs in memory
    that is used again. The user's own ``MALLOC_…`` variables stay. Does nothing without glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # no glibc: musl has no mallopt, Windows no CDLL(None)
        return
    thresholds = {M_MMAP_THRESHOLD: LARGEST_THRESHOLD, M_TRIM_THRESHOLD: 2**30, M_TOP_PAD: 2**24}
    variables = {
        M_MMAP_THRESHOLD: "MALLOC_MMAP_THRESHOLD_",
        M_TRIM_THRESHOLD: "MALLOC_TRIM_THRESHOLD_",
        M_TOP_PAD: "MALLOC_TOP_PAD_",
    }
    for parameter, value in thresholds.items():
        if variables[parameter] not in os.environ:
            mallopt(parameter, value)


choose_matrix_kernels()
keep_freed_memory()
