"""CUDA graphs of the stand-in for CuPy: what arrays are asked for while a stream records is run again by replays.

A replay does the same work on the same memory, so that it is right only if nothing was taken from Python or from
memory that had its values before the recording. What CuPy or CUDA refuse while recording is refused here too.
"""

import contextlib
import gc

import numpy as np

from tests import fake_cuda, fake_cupy, fake_nvidia
from tests.fake_cupy import ndarray

CREATED_EMPTY = {"empty", "empty_like"}
REFUSED_BY_CUPY = {"matmul", "dot", "vdot", "inner", "tensordot", "einsum"}  # cuBLAS through CuPy
NEED_A_RESULT = {"item", "tolist", "nonzero", "unique", "argwhere", "flatnonzero"}


class Graph:
    """cupy.cuda.Graph: the work, in order."""

    def __init__(self):
        self.work = []
        self.launches = 0

    def launch(self, stream=None):
        self.launches += 1
        for run in self.work:
            run()

    def debug_dot_str(self, flags=0):
        return f"digraph {{ {len(self.work)} }}"


RECORDING = []  # the graph that is recorded, while one is


def _unsupported(what):
    error = fake_cupy.CUDARuntimeError(
        f"cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing ({what})"
    )
    RECORDING[:] = ["invalid"]
    return error


def _arrays(value):
    """Return the GPU arrays in a result or in arguments."""
    if isinstance(value, ndarray):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [array for item in value for array in _arrays(item)] if isinstance(value, (list, tuple)) else []


def recorded(run, name):
    """Return a function of arrays that, while a stream records, is kept with its arguments to be run again."""

    def call(*args, **kwargs):
        if not RECORDING:
            return run(*args, **kwargs)
        if name in NEED_A_RESULT:
            raise _unsupported(name)
        if name in REFUSED_BY_CUPY:
            raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
        result = run(*args, **kwargs)
        inputs = _arrays([args, kwargs])
        fresh = [
            (place, array)
            for place, array in enumerate(_arrays(result))
            if not any(np.may_share_memory(array._hidden, one._hidden) for one in inputs)
        ]
        if not inputs and not fresh:
            return result

        def again():
            new = _arrays(run(*args, **kwargs))
            if name not in CREATED_EMPTY:
                for place, array in fresh:
                    np.copyto(array._hidden, new[place]._hidden)

        if RECORDING[0] != "invalid":
            RECORDING[0].work.append(again)
        return result

    return call


def _refusing(run, name):
    def call(*args, **kwargs):
        if RECORDING:
            raise _unsupported(name)
        return run(*args, **kwargs)

    return call


def _set(run):
    """A copy on a stream that does not record is done at once, and not by replays."""

    def call(self, array, stream=None):
        if RECORDING and (stream is None or stream.is_capturing()):
            raise _unsupported("set")
        return run(self, array, stream)

    return call


def _begin_capture(self, mode=None):
    self.captures = True
    arrays = [one for one in gc.get_objects() if type(one) is ndarray and one.base is None]
    self.before = [(array._hidden, array._hidden.copy()) for array in arrays]
    RECORDING.append(Graph())


def _end_capture(self):
    """Work that is recorded is not done: what was there before the recording is as it was."""
    self.captures = False
    for array, values in self.before:
        array[...] = values
    self.before = None
    (graph,) = RECORDING
    RECORDING.clear()
    if graph == "invalid":
        raise fake_cupy.CUDARuntimeError("cudaErrorStreamCaptureInvalidated: operation failed due to a previous error")
    return graph


def _multiply(run):
    """cuBLAS takes its factors from host memory when it is called."""

    def call(self, ta, tb, m, n, k, alpha, a, b, beta, c, count, compute):
        if not RECORDING:
            return run(self, ta, tb, m, n, k, alpha, a, b, beta, c, count, compute)
        factors = [np.copy(fake_nvidia.at_address(address, np.complex128, (1,), (1,))) for address in (alpha, beta)]
        first, second = (factor.ctypes.data for factor in factors)

        def again():
            assert factors
            return run(self, ta, tb, m, n, k, first, a, b, second, c, count, compute)

        RECORDING[0].work.append(again)
        return again()

    return call


@contextlib.contextmanager
def installed():
    """Let streams record and arrays be recorded, within the block; fake CuPy is to be installed inside of it."""
    RECORDING.clear()
    undo = []

    def patch(owner, name, value):
        undo.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, value)

    make, look_up = fake_cupy._function, ndarray.__getattr__
    patch(fake_cupy, "_function", lambda function: recorded(make(function), getattr(function, "__name__", "")))
    patch(ndarray, "__getattr__", lambda self, name: _method(self, look_up(self, name), name))
    operators = "add sub mul truediv floordiv mod pow and or xor lshift rshift".split()
    specials = [f"__{way}{name}__" for name in operators for way in ("", "r", "i")]
    specials += [f"__{name}__" for name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert")]
    for name in (*specials, "__setitem__", "copy"):
        patch(ndarray, name, recorded(getattr(ndarray, name), name))
    for name in ("__matmul__", "__rmatmul__"):
        patch(ndarray, name, recorded(getattr(ndarray, name), "matmul"))
    for name in ("__bool__", "__float__", "__int__", "__index__", "get"):
        patch(ndarray, name, _refusing(getattr(ndarray, name), name))
    patch(ndarray, "set", _set(ndarray.set))
    for name in ("at", "reduce", "accumulate"):
        patch(fake_cupy._Ufunc, name, recorded(getattr(fake_cupy._Ufunc, name), name))
    patch(fake_cupy._RawFunction, "__call__", recorded(fake_cupy._RawFunction.__call__, "kernel"))
    patch(fake_cupy._Generator, "__getattr__", _refusing(fake_cupy._Generator.__getattr__, "cuRAND"))
    patch(fake_nvidia.Cublas, "_multiply", _multiply(fake_nvidia.Cublas._multiply))
    patch(fake_cuda.Stream, "begin_capture", _begin_capture)
    patch(fake_cuda.Stream, "end_capture", _end_capture)
    patch(fake_cuda.Stream, "is_capturing", lambda self: getattr(self, "captures", False))
    try:
        yield
    finally:
        for owner, name, value in reversed(undo):
            if value is None:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        RECORDING.clear()


def _method(self, found, name):
    """A method keeps its array in what is recorded."""
    if not RECORDING or not callable(found):
        return found
    return lambda *args, **kwargs: recorded(lambda me, *a, **k: found(*a, **k), name)(self, *args, **kwargs)
