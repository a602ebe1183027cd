"""Sending batches from worker processes: arrays through shared memory, the rest as a pickle through a pipe.

Pickle's protocol 5 hands out the memory of every array in an object, however deep, and takes it back on the other
side. One named segment per batch holds them all; the receiver maps it without copying and takes its name away at
once, so the memory lives exactly as long as the arrays that look at it. The receiver chose the name: it can remove a
segment whose worker died before it could say that it had made it.
"""

import os
import pickle
from pathlib import Path

from minigrad.backend import np

SHARED_FROM = 1 << 16  # bytes of arrays in a batch; below, a pipe is faster than making a segment
_ALIGNMENT = 64
_SHM = Path("/dev/shm")


def _shared_memory(*args, **keywords):
    from multiprocessing.shared_memory import SharedMemory  # 8 ms, so not with every `import minigrad`

    return SharedMemory(*args, **keywords)


def _reserve(name, size):
    """Take a segment's memory now: OSError where there is not enough, instead of SIGBUS when it is written to."""
    if _SHM.is_dir():
        file = os.open(_SHM / name, os.O_RDWR)
        try:
            os.posix_fallocate(file, 0, size)
        finally:
            os.close(file)


def _write_segment(name, buffers, stops):
    """Copy buffers into a new segment, each ending at its stop; False where shared memory has no room for them."""
    try:
        segment = _shared_memory(name, create=True, size=stops[-1])
    except OSError:
        return False
    try:
        _reserve(name, stops[-1])
    except OSError:
        segment.close()
        segment.unlink()
        return False
    for buffer, stop in zip(buffers, stops):
        segment.buf[stop - buffer.nbytes : stop] = buffer
    segment.close()
    return True


def pack(value, name):
    """Return what to send for a value; its arrays go into the segment of that name if they are worth it."""
    out_of_band = []
    stream = pickle.dumps(value, protocol=5, buffer_callback=out_of_band.append)
    buffers = [buffer.raw() for buffer in out_of_band]
    stops = []
    stop = 0
    for buffer in buffers:
        start = -(-stop // _ALIGNMENT) * _ALIGNMENT
        stop = start + buffer.nbytes
        stops.append(stop)
    # Where segments are not files of their own (Windows), one would vanish when the worker closes it.
    if stop >= SHARED_FROM and os.name == "posix" and _write_segment(name, buffers, stops):
        return stream, name, [(stop - buffer.nbytes, stop) for buffer, stop in zip(buffers, stops)]
    return stream, None, [bytearray(buffer) for buffer in buffers]


class _Part:
    """Part of a segment's memory, as something NumPy makes an array of: the array keeps this object alive.

    Each array gets its own, so that none counts as a view of another: writing to one batch's images must not look
    like a change of its labels.
    """

    def __init__(self, segment, address, start, stop):
        self._segment = segment  # unmaps itself when the last part of it is freed
        self.__array_interface__ = {
            "shape": (stop - start,),
            "typestr": "|u1",
            "data": (address + start, False),
            "version": 3,
        }


def unpack(packed):
    """Return the value that pack packed; its arrays look at the shared memory, which has no name any more."""
    stream, name, parts = packed
    if name is None:
        return pickle.loads(stream, buffers=parts)
    segment = _shared_memory(name)
    segment.unlink()
    address = np.frombuffer(segment.buf, np.uint8).ctypes.data
    return pickle.loads(stream, buffers=[np.asarray(_Part(segment, address, start, stop)) for start, stop in parts])


def remove_segment(name):
    """Remove the segment of that name, if there is one."""
    if os.name != "posix":
        return
    try:
        segment = _shared_memory(name)
    except FileNotFoundError:
        return
    except ValueError:  # empty: its worker died between making it and giving it a size
        (_SHM / name).unlink(missing_ok=True)
        return
    segment.unlink()
    segment.close()
