"""Raw arrays: which array module owns one, and whose memory it looks at."""

import sys
import weakref
from pickle import PickleBuffer

from minigrad.backend.waiting import ShortWaits

with ShortWaits():
    import numpy as np

# Array type -> array module. CuPy adds itself here the first time a GPU is asked for (see devices.py).
ARRAY_MODULES = {np.ndarray: np}


def xp(array):
    """Return the array module (numpy or cupy) of a raw array; numpy for scalars."""
    return ARRAY_MODULES.get(type(array), np)


def asarray_like(value, array):
    """Return value as an array of the same array module as ``array``, whose dtype a Python scalar takes."""
    module = xp(array)
    if module is not np and isinstance(value, (bool, int, float)):
        return module.full((), _held(value, array.dtype), array.dtype)  # a kernel: copies cannot be captured
    try:
        return module.asarray(value, dtype=array.dtype)
    except OverflowError:  # an int that the dtype does not hold wraps around, as in PyTorch
        return module.asarray(value).astype(array.dtype)


def as_array(value):
    """Return a raw array as it is, and a NumPy scalar as an array."""
    return value if type(value) in ARRAY_MODULES else np.asarray(value)


def _held(value, dtype):
    """Return the Python number that a dtype makes of one."""
    number = asarray_like(value, np.empty((), dtype))
    return number.item() if dtype.kind in "biufc" else float(number)


def memory_root(array):
    """Return the array that owns the memory ``array`` looks at (itself when it owns it)."""
    root = array
    while True:
        while type(root.base) in ARRAY_MODULES:
            root = root.base
        if type(root) is not np.ndarray:
            if id(root) not in _PLACED:
                return root
            root = _PLACED[id(root)][1]
        elif type(root.base) is PickleBuffer:  # made by set_apart
            root = memoryview(root.base).obj
        else:
            return root


def write_root(array):
    """Return the array at which writes to the memory are noted: its owner, or what ``set_apart`` made of it."""
    root = array
    while True:
        while type(root.base) in ARRAY_MODULES:
            root = root.base
        if type(root) is np.ndarray or id(root) not in _PLACED or id(root) in _APART:
            return root
        root = _PLACED[id(root)][1]


def set_apart(array):
    """Return an array on the same memory whose ``write_root``, and that of its views, is another."""
    if not array.size:
        return array
    if type(array) is np.ndarray:
        try:
            # of all buffers the one that NumPy takes for the owner of the memory instead of looking through it
            if array.flags.c_contiguous:
                return np.ndarray(array.shape, array.dtype, PickleBuffer(array))
            root = memory_root(array)
            flat = array.T if array.flags.f_contiguous else root if root.flags.c_contiguous else root.T
            offset = array.ctypes.data - flat.ctypes.data
            return np.ndarray(array.shape, array.dtype, PickleBuffer(flat), offset, array.strides)
        except (TypeError, ValueError, BufferError):  # a dtype or an order of memory that buffers know nothing of
            return array
    view = place(type(array)(array.shape, array.dtype, memptr=array.data, strides=array.strides), array)
    key = id(view)
    _APART[key] = weakref.ref(view, lambda _: _APART.pop(key, None))
    return view


# Since 3.14 a call may lend its arguments without counting them, so that counts no longer say who holds an array.
COUNTS_ARE_EXACT = sys.implementation.name == "cpython" and sys.version_info < (3, 14)


def solely_held(array, references):
    """Return whether nothing else refers to the memory of an array of NumPy's than the references one knows of.

    Counted are names and attributes that refer to the array itself, the caller's included. Then the memory may be
    written: no view, no tensor and no saved value looks at it. False where Python does not count exactly.
    """
    base = array.base
    if not COUNTS_ARE_EXACT or sys.getrefcount(array) > references + 2:  # the parameter's and getrefcount's own
        return False
    if base is None:
        return array.flags.owndata
    return type(base) is np.ndarray and base.flags.owndata and sys.getrefcount(base) <= 3


_APART = {}  # id of a GPU array that set_apart made -> weak reference to it
_PLACED = {}  # id of a GPU array made at an address -> (weak reference to it, the array that owns the memory)


def place(view, owner):
    """Remember whose memory a GPU array made at an address looks at, for CuPy leaves its base None; return the view."""
    key = id(view)
    _PLACED[key] = (weakref.ref(view, lambda _: _PLACED.pop(key, None)), owner)
    return view
