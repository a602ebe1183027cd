"""How the process's memory is reused."""

import ctypes
import os

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4  # of glibc's malloc.h
SETTINGS = {  # parameter: value, and the variable by which a user has decided about it
    M_MMAP_THRESHOLD: (2**25, "MALLOC_MMAP_THRESHOLD_"),  # glibc's own limit: 32 MB
    M_MMAP_MAX: (16, "MALLOC_MMAP_MAX_"),
    M_TRIM_THRESHOLD: (2**30, "MALLOC_TRIM_THRESHOLD_"),
    M_TOP_PAD: (2**24, "MALLOC_TOP_PAD_"),
}


def keep_freed_memory():
    """Have glibc keep freed arrays for the next ones, instead of returning them to the system at once.

    A fresh page costs a fault on its first write: a training step of VGG-16 spends a quarter of its time on them where
    every large array is mapped anew. So arrays come from the heap, but for sixteen larger than 32 MB at a time: with
    fewer mapped, the gaps in the heap took as much memory as PyTorch needs in all (VGG-16, batch 16). The heap's free
    end is returned as soon as it exceeds 1 GB; free memory below an array that lives on serves other arrays, and
    ``malloc_trim(0)`` of the C library returns that too. The user's own ``MALLOC_…`` variables stay. Does nothing
    without glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # no glibc: musl has no mallopt, Windows no CDLL(None)
        return
    for parameter, (value, variable) in SETTINGS.items():
        if variable not in os.environ:
            mallopt(parameter, value)
