"""NVIDIA's shared libraries, loaded through ctypes, and what calls of them need of CuPy: stream, device, workspaces."""

import contextlib
import ctypes
import glob
import importlib.util
import itertools
import os
import threading

# Name -> library, or None where it is not there. Loaded when first asked for; tests put libraries of their own here.
LOADED = {}


def _loaded(file):
    """Return the library that this process, CuPy or PyTorch, uses already; None where none does."""
    try:
        return ctypes.CDLL(file, mode=os.RTLD_NOLOAD)
    except (OSError, AttributeError):  # AttributeError: a system that cannot tell
        return None


def _paths(file):
    """Yield where a library may be: NVIDIA's wheels, whose package "nvidia" has several folders, the loader's path."""
    wheels = importlib.util.find_spec("nvidia")
    for folder in (wheels.submodule_search_locations if wheels else None) or ():
        yield from sorted(glob.glob(os.path.join(folder, "*", "lib", file)))
    yield file


def _opened(path):
    try:
        return ctypes.CDLL(path)
    except OSError:  # not there, or broken
        return None


def load(name, versions, prototypes):
    """Return the library lib{name}.so with its functions' types set: the one in use, else the first that is found.

    None where there is none, or none with all functions. ``versions`` are of its interface, the preferred one first;
    ``prototypes``: function name -> (type of the result, types of the arguments…).
    """
    if name not in LOADED:
        files = [f"lib{name}.so.{version}" for version in versions]
        found = itertools.chain(map(_loaded, files), (_opened(path) for file in files for path in _paths(file)))
        LOADED[name] = next((library for library in found if library and _typed(library, prototypes)), None)
    return LOADED[name]


def _typed(library, prototypes):
    """Set the types of a library's functions; False if one is missing."""
    for function, (result, *arguments) in prototypes.items():
        if not hasattr(library, function):
            return False
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    return True


class Handles(threading.local):
    """A thread's handles of one library: device index -> handle. A handle may not be used by two threads at once."""

    def __init__(self):
        self.of_device = {}


def stream_pointer(cupy):
    """Return the address of CuPy's current stream, on which everything is launched."""
    return cupy.cuda.get_current_stream().ptr


def is_capturing(cupy):
    """Return whether the current stream records a CUDA graph, when nothing may be timed or created."""
    stream = cupy.cuda.get_current_stream()
    return stream.ptr != 0 and bool(stream.is_capturing())  # the default stream is never captured


class _Outside(threading.local):
    allocator = None


OUTSIDE = _Outside()  # while a thread works in a recording's pool: the allocator of before


def lasting(cupy):
    """Return a block in which GPU memory is taken that outlives recordings: not from a recording's pool.

    A small block there, cut from a large one, would keep all of that from the GPU when the recording goes.
    """
    return contextlib.nullcontext() if OUTSIDE.allocator is None else cupy.cuda.using_allocator(OUTSIDE.allocator)


class Workspaces:
    """Scratch memory of one library per (device, stream), from CuPy's pool; it grows, and never shrinks.

    Work on one stream is done in order, so its calls may share memory. Larger memory replaces smaller one, which goes
    back to the pool's arena of that stream, where reuse is in order too; but memory that a captured graph may know the
    address of is kept for good.
    """

    def __init__(self):
        self._memory = {}
        self._captured = []

    def pointer(self, cupy, size):
        """Return the address of at least ``size`` bytes for the current device and stream; 0 for none."""
        if not size:
            return 0
        key = cupy.cuda.runtime.getDevice(), stream_pointer(cupy)
        memory, held = self._memory.get(key, (None, 0))
        if held < size:
            with lasting(cupy):
                memory = cupy.cuda.alloc(size)
            self._memory[key] = memory, size
        if is_capturing(cupy) and not any(memory is kept for kept in self._captured):
            self._captured.append(memory)
        return memory.ptr
