"""cuDNN's backend interface through ctypes: descriptors with typed attributes, and errors in cuDNN's own words."""

import ctypes
import sys

from minigrad.backend.libraries import load

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_PROTOTYPES = {
    "cudnnGetVersion": (ctypes.c_size_t,),
    "cudnnGetErrorString": (ctypes.c_char_p, _INT),
    "cudnnGetLastErrorString": (None, _POINTER, ctypes.c_size_t),
    "cudnnCreate": (_INT, _POINTER),
    "cudnnSetStream": (_INT, _POINTER, _POINTER),
    "cudnnBackendCreateDescriptor": (_INT, _INT, _POINTER),
    "cudnnBackendDestroyDescriptor": (_INT, _POINTER),
    "cudnnBackendSetAttribute": (_INT, _POINTER, _INT, _INT, _LONG, _POINTER),
    "cudnnBackendGetAttribute": (_INT, _POINTER, _INT, _INT, _LONG, _POINTER, _POINTER),
    "cudnnBackendFinalize": (_INT, _POINTER),
    "cudnnBackendExecute": (_INT, _POINTER, _POINTER, _POINTER),
}

# Kinds of descriptors: cudnnBackendDescriptorType_t.
POINTWISE, CONVOLUTION, ENGINE, ENGINE_CONFIG, HEURISTICS, PLAN = range(6)
FORWARD, WEIGHT_GRADIENT, INPUT_GRADIENT, POINTWISE_OPERATION = 10, 11, 12, 13
GRAPH, VARIANT_PACK, TENSOR, DEVICE_PROPERTIES = 15, 16, 17, 38

# Types of attributes, cudnnBackendAttributeType_t, each with the C type of its values.
HANDLE, DATA_TYPE, BOOL, INT64, FLOAT, DOUBLE, ADDRESS = range(7)
CONVOLUTION_MODE, HEURISTICS_MODE, NAN_PROPAGATION, NUMERICAL_NOTE, POINTWISE_MODE, DESCRIPTOR = 7, 8, 10, 11, 14, 15
CHARACTER = 24
_C_TYPES = {
    HANDLE: _POINTER, DATA_TYPE: _INT, BOOL: ctypes.c_bool, INT64: _LONG, FLOAT: ctypes.c_float,
    DOUBLE: ctypes.c_double, ADDRESS: _POINTER, CONVOLUTION_MODE: _INT, HEURISTICS_MODE: _INT, NAN_PROPAGATION: _INT,
    NUMERICAL_NOTE: _INT, POINTWISE_MODE: _INT, DESCRIPTOR: _POINTER, CHARACTER: ctypes.c_char,
}  # fmt: skip


class CudnnError(RuntimeError):
    """What cuDNN says about a call that failed."""


def library():
    """Return cuDNN 9, or None where it is not installed."""
    return load("cudnn", (9,), _PROTOTYPES)


def check(status, action):
    """CudnnError, with the library's last message, for a status other than success."""
    if not status:
        return
    found = library()
    text = ctypes.create_string_buffer(2048)
    found.cudnnGetLastErrorString(text, len(text))
    name = found.cudnnGetErrorString(status).decode(errors="replace")
    raise CudnnError(f"cuDNN: {action} failed: {name}: {text.value.decode(errors='replace').strip()}")


class Descriptor:
    """One of cuDNN's descriptors; it keeps those alive that it refers to."""

    __slots__ = ("_kept", "_library", "address")

    def __init__(self, kind):
        address = _POINTER()
        self.address, self._kept, self._library = None, [], library()
        check(self._library.cudnnBackendCreateDescriptor(kind, ctypes.byref(address)), "creating a descriptor")
        self.address = address.value

    def set(self, attribute, kind, *values):
        """Set an attribute to values of one type; returns the descriptor."""
        if kind == DESCRIPTOR:
            self._kept += values
            values = [value.address for value in values]
        array = (_C_TYPES[kind] * len(values))(*values)
        status = self._library.cudnnBackendSetAttribute(self.address, attribute, kind, len(values), array)
        check(status, f"setting attribute {attribute}")
        return self

    def done(self):
        """Finalize the descriptor, which checks it; returns it."""
        check(self._library.cudnnBackendFinalize(self.address), "finalizing a descriptor")
        return self

    def numbers(self, attribute, kind, most=1):
        """Return up to ``most`` values of an attribute."""
        count, array = _LONG(), (_C_TYPES[kind] * most)()
        status = self._library.cudnnBackendGetAttribute(self.address, attribute, kind, most, ctypes.byref(count), array)
        check(status, f"reading attribute {attribute}")
        return list(array[: count.value])

    def count(self, attribute):
        """Return how many descriptors an attribute holds."""
        count = _LONG()
        status = self._library.cudnnBackendGetAttribute(
            self.address, attribute, DESCRIPTOR, 0, ctypes.byref(count), None
        )
        check(status, f"counting attribute {attribute}")
        return count.value

    def descriptors(self, attribute, kind, most):
        """Return the descriptors, of a kind, that an attribute holds: cuDNN fills in ones made before."""
        found = [Descriptor(kind) for _ in range(most)]
        count, array = _LONG(), (_POINTER * most)(*[each.address for each in found])
        status = self._library.cudnnBackendGetAttribute(
            self.address, attribute, DESCRIPTOR, most, ctypes.byref(count), array
        )
        check(status, f"reading attribute {attribute}")
        for each in found:
            each._kept.append(self)
        return found[: count.value]

    def __del__(self):
        if self.address and not sys.is_finalizing():
            self._library.cudnnBackendDestroyDescriptor(self.address)
