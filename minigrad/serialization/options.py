"""Settings of ``save`` and ``load`` that are no arguments: checksums, byte order, mapping, leaving out the data."""

import enum
import mmap
import os
import sys
import threading

from minigrad.backend import np


class LoadEndianness(enum.Enum):
    """Byte orders of files that do not name theirs.

    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import minigrad as mg
    >>> [order.name for order in mg.serialization.LoadEndianness]
    ['NATIVE', 'LITTLE', 'BIG']
    """

    NATIVE = 1
    LITTLE = 2
    BIG = 3


_NOW = {"endianness": None, "crc32": True, "mmap": getattr(mmap, "MAP_PRIVATE", 2)}
_THREAD = threading.local()


def get_default_load_endianness():
    """Return the byte order set by set_default_load_endianness, or None.

    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import minigrad as mg
    >>> mg.serialization.get_default_load_endianness()
    """
    return _NOW["endianness"]


def set_default_load_endianness(endianness):
    """Say in which byte order files are that do not name theirs: a LoadEndianness, or None (native).

    Raises TypeError for anything else.
    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import minigrad as mg
    >>> mg.serialization.set_default_load_endianness(None)
    """
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _NOW["endianness"] = endianness


def default_byte_order():
    """Return 'little' or 'big': of a file that does not say."""
    chosen = _NOW["endianness"]
    return sys.byteorder if chosen in (None, LoadEndianness.NATIVE) else chosen.name.lower()


def get_crc32_options():
    """Return whether ``save`` writes the checksums of records.

    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import minigrad as mg
    >>> mg.serialization.get_crc32_options()
    True
    """
    return _NOW["crc32"]


def set_crc32_options(compute_crc32):
    """Say whether ``save`` writes the checksums of records: without them it is quicker, and damage goes unseen.

    Argument: compute_crc32 (bool).
    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import minigrad as mg
    >>> mg.serialization.set_crc32_options(True)
    """
    _NOW["crc32"] = bool(compute_crc32)


def get_default_mmap_options():
    """Return how ``load(…, mmap=True)`` maps files: mmap.MAP_PRIVATE or mmap.MAP_SHARED.

    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import mmap
    >>> import minigrad as mg
    >>> mg.serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
    True
    """
    return _NOW["mmap"]


class set_default_mmap_options:  # noqa: N801 - PyTorch's name
    """Say, from now on or within a ``with`` block, how ``load(…, mmap=True)`` maps files.

    Argument: flags (mmap.MAP_PRIVATE: writing to a tensor leaves the file alone; mmap.MAP_SHARED: it changes the file).
    Raises ValueError for other flags, RuntimeError on Windows.
    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import mmap
    >>> import minigrad as mg
    >>> with mg.serialization.set_default_mmap_options(mmap.MAP_SHARED):
    ...     mg.serialization.get_default_mmap_options() == mmap.MAP_SHARED
    True
    """

    def __init__(self, flags):
        if os.name != "posix":
            raise RuntimeError("Changing the default mmap options is currently not supported for Windows")
        if flags not in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE or "
                f"mmap.MAP_SHARED, but got {flags}"
            )
        self._before = _NOW["mmap"]
        _NOW["mmap"] = flags

    def __enter__(self):
        pass

    def __exit__(self, *exception):
        _NOW["mmap"] = self._before


def map_file(path):
    """Return the bytes of a file as an array that reads them when they are looked at."""
    shared = _NOW["mmap"] != getattr(mmap, "MAP_PRIVATE", 2)
    with open(path, "r+b" if shared else "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY)


class skip_data:  # noqa: N801 - PyTorch's name
    """Within a ``with`` block of this thread, ``save`` and ``load`` leave out the tensors' data: zeros stand there.

    Argument: materialize_fake_tensors (False: there are no tensors without data here).
    Raises RuntimeError for materialize_fake_tensors=True.
    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import io
    >>> import minigrad as mg
    >>> file = io.BytesIO()
    >>> with mg.serialization.skip_data():
    ...     mg.save(mg.ones(2), file)
    >>> _ = file.seek(0)
    >>> mg.load(file)
    tensor([0., 0.])
    """

    def __init__(self, materialize_fake_tensors=False):
        if materialize_fake_tensors:
            raise RuntimeError("skip_data: minigrad has no fake tensors to materialize; leave the argument away")
        self._before = False

    def __enter__(self):
        self._before = data_is_skipped()
        _THREAD.skip = True

    def __exit__(self, *exception):
        _THREAD.skip = self._before


def data_is_skipped():
    return getattr(_THREAD, "skip", False)


def zeros(count):
    """Return ``count`` zero bytes, which take no memory until they are written to."""
    return np.zeros(count, np.uint8)
