"""How the process's memory is reused."""

import ctypes
import os

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h
SETTINGS = {  # parameter: value, and the variables by which a user has decided about it
    M_MMAP_MAX: (0, ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_")),
    M_TRIM_THRESHOLD: (2**30, ("MALLOC_TRIM_THRESHOLD_",)),
    M_TOP_PAD: (2**24, ("MALLOC_TOP_PAD_",)),
}


def keep_freed_memory():
    """Have glibc keep freed arrays for the next ones, instead of returning them to the system at once.

    A fresh page costs a fault on its first write: a training step of VGG-16 spends a quarter of its time on them where
    every large array is mapped anew. So all arrays come from the heap. Its free end is returned as soon as it exceeds
    1 GB; free memory below an array that lives on serves other arrays, and ``malloc_trim(0)`` of the C library returns
    that too. The user's own ``MALLOC_…`` variables stay. Does nothing without glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # no glibc: musl has no mallopt, Windows no CDLL(None)
        return
    for parameter, (value, variables) in SETTINGS.items():
        if not any(variable in os.environ for variable in variables):
            mallopt(parameter, value)
