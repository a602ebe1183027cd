"""A stand-in for CuPy on machines without a GPU: its arrays live in host memory but refuse to mix with NumPy's.

It shows whether code asks the right array module for everything it does, and runs CUDA sources through tests/emulator;
it says nothing of speed.
"""

import contextlib
import ctypes
import sys
import types

import numpy as np
import pytest

from tests import emulator, fake_cuda
from tests.fake_cuda import CUDARuntimeError  # noqa: F401 - what CuPy raises without a driver

_NDARRAY_PROPERTIES = ("shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides")
# cupy.ndarray's methods; NumPy has more.
_METHODS = frozenset(
    """all any argmax argmin argpartition argsort astype choose clip compress conj conjugate copy cumprod cumsum
    diagonal dot fill flatten item max mean min nonzero partition prod ptp put ravel repeat reshape round searchsorted
    sort squeeze std sum swapaxes take tolist trace transpose var view""".split()
)


class MemoryPointer:
    """An address "on the GPU"; ``mem`` is the same object for all addresses of one allocation."""

    def __init__(self, mem, ptr, device_id=0):
        self.mem, self.ptr, self.device_id = mem, ptr, device_id

    def __add__(self, offset):
        return MemoryPointer(self.mem, self.ptr + offset, self.device_id)


class ndarray:  # noqa: N801 - CuPy's name
    """An array "on the GPU": NumPy's methods on hidden host memory; no implicit conversion to NumPy."""

    __array_ufunc__ = None
    __array_priority__ = 100

    def __init__(self, shape, dtype=float, memptr=None, strides=None):
        """As in CuPy, an array at an address is no view of another one: its base is None."""
        self.base = None
        if memptr is None:
            self._hidden = np.empty(shape, dtype)
            _own(self)
            return
        self._device_id = memptr.device_id
        host = memptr.mem  # the NumPy array that owns the memory; its buffer begins at its lowest address
        buffer = (ctypes.c_byte * host.nbytes).from_address(host.ctypes.data)
        self._hidden = np.ndarray(shape, dtype, buffer, memptr.ptr - host.ctypes.data, strides)
        self._owner = host

    @property
    def device(self):
        return fake_cuda.Device(self._device_id)

    @property
    def data(self):
        owner = getattr(self, "_owner", None)
        if owner is None:
            owner = self._hidden
            while isinstance(owner.base, np.ndarray):
                owner = owner.base
        pointer = MemoryPointer(owner, self._hidden.ctypes.data, self._device_id)
        pointer.block = getattr(self if self.base is None else self.base, "_block", None)  # counted while it is held
        return pointer

    @property
    def flags(self):
        """What CuPy knows of the layout: nothing is ever read-only."""
        flags = self._hidden.flags
        owned = self.base is None
        return types.SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous, owndata=owned)

    @property
    def T(self):  # noqa: N802
        return _wrapped(self._hidden.T, self)

    @property
    def real(self):
        return _wrapped(self._hidden.real, self)

    @real.setter
    def real(self, values):
        self._hidden.real = _checked((values,))[0]

    @property
    def imag(self):
        return _wrapped(self._hidden.imag, self)

    @imag.setter
    def imag(self, values):
        self._hidden.imag = _checked((values,))[0]

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def _diagonal(self, *args, **kwargs):
        view = self._hidden.diagonal(*args, **kwargs)
        view.setflags(write=True)
        return _wrapped(view, self)

    def get(self, stream=None, order="C", out=None, blocking=True):
        if out is None:
            return _waited(self).copy(order)
        if not (out.flags.c_contiguous or out.flags.f_contiguous) or out.dtype != self.dtype:
            raise TypeError("the output array must be contiguous and of the same dtype")
        stream = fake_cuda.current_stream(self._device_id) if stream is None else stream
        hidden, block = self._hidden, getattr(self, "_block", None)
        stream.give(lambda: (out.__setitem__(..., hidden), block))
        if blocking:
            stream.synchronize()
        return out

    def copy(self, order="C"):
        """A copy on the current device, from whichever."""
        return _made(self._hidden.copy(order))

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if stream is not None and (not isinstance(stream, int) or stream < -1):
            raise ValueError("On CUDA, the valid stream for the DLPack protocol is -1, 1, 2, or any larger value")
        EXPORTS.append((stream, max_version))
        capsule = self._hidden.__dlpack__(**{"max_version": max_version} if max_version else {})
        return _on_device(capsule, 2, self._device_id)

    def __dlpack_device__(self):
        return 2, self._device_id

    @property
    def __cuda_array_interface__(self):
        return {**self._hidden.__array_interface__, "version": 3}

    def set(self, array, stream=None):
        if not isinstance(array, np.ndarray) or array.dtype != self.dtype:
            raise TypeError(f"{array.dtype} array cannot be set to {self.dtype} array")
        if array.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {array.shape}")
        if not (self._hidden.flags.c_contiguous or self._hidden.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        hidden = self._hidden
        if stream is None:
            hidden[...] = array
            return
        if fake_cuda.Stream.lazy:
            hidden.fill(77)  # until the copy runs
        stream.give(lambda: hidden.__setitem__(..., array))

    def __getitem__(self, index):
        return _wrapped(self._hidden[_unwrapped(index)], self)

    def __setitem__(self, index, value):
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError("NumPy array assigned into a GPU array")
        _unwrapped(self)[_unwrapped(index)] = _unwrapped(value)

    def __len__(self):
        return len(self._hidden)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(_waited(self))

    def __float__(self):
        return float(_waited(self))

    def __int__(self):
        return int(_waited(self))

    def __index__(self):
        return _waited(self).__index__()

    def __repr__(self):
        return f"fake_cupy{self._hidden!r}"

    def __getattr__(self, name):
        if name not in _METHODS:
            raise AttributeError(f"cupy.ndarray has no {name}")
        if name == "diagonal":  # a view that can be written, unlike NumPy's
            return self._diagonal
        method = getattr((_waited if name in ("item", "tolist") else _unwrapped)(self), name)
        return lambda *args, **kwargs: _wrapped(method(*_checked(args), **_known(name, kwargs)), self)


def _add_properties():
    for name in _NDARRAY_PROPERTIES:
        setattr(ndarray, name, property(lambda self, name=name: getattr(self._hidden, name)))
    ndarray.shape = ndarray.shape.setter(lambda self, shape: setattr(self._hidden, "shape", shape))
    operators = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift lt le gt ge eq ne".split()
    for name in operators + [f"r{n}" for n in operators[:13]] + [f"i{n}" for n in operators[:13]]:
        special = f"__{name}__"
        setattr(ndarray, special, _operator(special, in_place=name.startswith("i") and name[1:] in operators))
    for special in ("__neg__", "__pos__", "__abs__", "__invert__"):
        setattr(ndarray, special, lambda self, special=special: _wrapped(getattr(self._hidden, special)()))
    ndarray.__hash__ = None


def _operator(special, in_place):
    def run(self, other):
        if isinstance(other, np.ndarray):
            raise TypeError(f"Unsupported type {type(other)} in {special} of a GPU array")
        with np.errstate(all="ignore"):
            result = getattr(_unwrapped(self), special)(_unwrapped(other))
        if result is NotImplemented:
            return NotImplemented
        return self if in_place else _wrapped(result)

    return run


_add_properties()


EXPORTS = []  # the stream and the version that each capsule of DLPack was asked for with


WAITS = [0]  # how often the host waited for values of an array


def _waited(array):
    WAITS[0] += 1
    return array._hidden


def _own(array):
    """Allocate what an array holds, on the current device."""
    array._device_id = fake_cuda.THREAD.device
    array._block = fake_cuda.allocate(array._hidden.nbytes)


def _unwrapped(value):
    """Return host values for GPU arrays in nested arguments: of any GPU, for one can read another's memory."""
    if isinstance(value, ndarray):
        return value._hidden
    if isinstance(value, tuple):
        return tuple(_unwrapped(item) for item in value)
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    if isinstance(value, dict):
        return {key: _unwrapped(item) for key, item in value.items()}
    return value


def _checked(arguments):
    """Return the arguments unwrapped; TypeError for a NumPy array with dimensions among them."""
    values = arguments.values() if isinstance(arguments, dict) else arguments
    for value in values:
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, np.ndarray) and item.ndim:
                raise TypeError(f"Unsupported type {type(item)}")
    return _unwrapped(arguments)


def _made(hidden, base=None):
    """Return the GPU array of host memory."""
    array = ndarray.__new__(ndarray)
    array._hidden, array.base = hidden, base
    if base is None:
        _own(array)
    else:
        array._device_id = base._device_id
    return array


def _on_device(capsule, *device):
    """Write a device (type, index) into a capsule of DLPack, and return it."""
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    name = name_of(capsule)
    offset = {b"dltensor": 8, b"dltensor_versioned": 40}[name]
    (ctypes.c_int32 * 2).from_address(pointer_of(capsule, name) + offset)[:] = device
    return capsule


def _from_dlpack(source):
    """cupy.from_dlpack: the array of an object on a GPU."""
    if source.__dlpack_device__()[0] != 2:
        raise TypeError("CPU arrays cannot be directly imported to CuPy")

    class Host:
        def __dlpack__(self, max_version=None, **others):
            return _on_device(source.__dlpack__(max_version=max_version), 1, 0)

        def __dlpack_device__(self):
            return 1, 0

    return _made(np.from_dlpack(Host()))


def _as_strided(x, shape=None, strides=None):
    """cupy.lib.stride_tricks.as_strided, whose result has no base."""
    return ndarray(x.shape if shape is None else shape, x.dtype, x.data, x.strides if strides is None else strides)


def _known(name, keywords):
    """Return keyword arguments checked; TypeError for one that CuPy's function of that name does not have."""
    missing = {"initial", "subok"} | ({"casting"} if name == "astype" else {"mode"} if name == "take" else set())
    if missing & set(keywords):
        raise TypeError(f"cupy.{name}() has no keyword {sorted(missing & set(keywords))}")
    return _checked(keywords)


def _wrapped(value, source=None):
    """Return GPU arrays for host arrays in a result; NumPy scalars become 0-d arrays, as in CuPy."""
    if isinstance(value, tuple):
        wrapped = [_wrapped(item, source) for item in value]
        return type(value)(*wrapped) if hasattr(value, "_fields") else tuple(wrapped)
    if isinstance(value, list):
        return [_wrapped(item, source) for item in value]
    if isinstance(value, np.generic):
        return _made(np.asarray(value))
    if isinstance(value, np.ndarray):
        if source is not None and value is source._hidden:
            return source
        shares = source is not None and value.base is not None and np.shares_memory(value, source._hidden)
        made = _made(value, (source if source.base is None else source.base) if shares else None)
        if shares and hasattr(source, "_owner"):
            made._owner = source._owner
        return made
    return value


_SORTS = {np.sort, np.argsort, np.partition, np.argpartition, np.unique, np.isin, np.lexsort, np.median, np.percentile}


def _function(function):
    def run(*args, **kwargs):
        out = kwargs.get("out")
        if function in _SORTS and any(isinstance(arg, ndarray) and arg.dtype.char == "E" for arg in args):
            raise NotImplementedError("Sorting arrays with dtype 'bfloat16' is not supported")
        allowed = args if function in (np.asarray, np.array, np.ascontiguousarray) else None
        host_args = _unwrapped(args) if allowed is not None else _checked(args)
        with np.errstate(all="ignore"):  # kernels on a GPU never warn
            result = function(*host_args, **_known(function.__name__, kwargs))
        if out is not None and not isinstance(out, tuple):
            return out
        source = next((arg for arg in args if isinstance(arg, ndarray)), None)
        return _wrapped(result, source)

    run.__name__ = getattr(function, "__name__", "function")
    return run


# The dtypes of CuPy's atomic operations on the GPU, behind ``ufunc.at``; int64 and bool are not among them.
_ATOMIC = {"add": "efdiIL", "subtract": "efdiIL", "maximum": "fdiIL", "minimum": "fdiIL"}


def _lexsort(keys):
    """cupy.lexsort: one array of keys with at most two dimensions, and no axis."""
    if not isinstance(keys, ndarray) or keys.ndim > 2:
        raise NotImplementedError("cupy.lexsort takes one array of one or two dimensions")
    return _made(np.lexsort(keys._hidden))


class _Ufunc:
    """A ufunc of the stand-in; CuPy's have ``at`` and ``reduce`` for few only."""

    def __init__(self, ufunc):
        self._ufunc = ufunc
        self._run = _function(ufunc)
        self.nin = ufunc.nin

    def __call__(self, *args, **kwargs):
        name = self._ufunc.__name__
        if not {"out", "dtype", "casting"}.issuperset(kwargs):
            raise TypeError(f"Wrong arguments {kwargs}")
        if name.startswith("logical_") and any(getattr(arg, "dtype", np.dtype(bool)).kind == "c" for arg in args):
            raise TypeError(f"Wrong type of arguments for cupy_{name}")
        return self._run(*args, **kwargs)

    def at(self, array, index, values=None):
        if array.dtype.char.replace("Q", "L") not in _ATOMIC.get(self._ufunc.__name__, ""):
            raise NotImplementedError(f"cupy.{self._ufunc.__name__}.at of {array.dtype}")
        self._ufunc.at(array._hidden, _unwrapped(index), _unwrapped(values))

    def reduce(self, array, axis=0, **kwargs):
        if self._ufunc not in (np.add, np.multiply):
            raise NotImplementedError(f"cupy.{self._ufunc.__name__}.reduce")
        return _wrapped(self._ufunc.reduce(array._hidden, axis=axis, **kwargs))

    def accumulate(self, array, axis=0):
        if self._ufunc not in (np.add, np.multiply):
            raise NotImplementedError(f"cupy.{self._ufunc.__name__}.accumulate")
        return _wrapped(self._ufunc.accumulate(array._hidden, axis=axis))


# What CuPy does not have, or not for these arguments: asking for it is a mistake.
_ABSENT = {"vectorize", "frompyfunc", "fromiter", "nditer", "apply_over_axes", "errstate", "seterr"}


_OWN = {"lexsort": _lexsort, "as_strided": _as_strided, "from_dlpack": _from_dlpack}


class _Module(types.ModuleType):
    """The stand-in for cupy, or for one of its submodules."""

    def __init__(self, name, source):
        super().__init__(name)
        self._source = source

    def __getattr__(self, name):
        if name.startswith("__") or name in _ABSENT:
            raise AttributeError(f"module {self.__name__} has no attribute {name}")
        if name in _OWN:
            return _OWN[name]
        value = getattr(self._source, name)
        if isinstance(value, types.ModuleType):
            return _Module(f"{self.__name__}.{name}", value)
        if isinstance(value, np.ufunc):
            return _Ufunc(value)
        if isinstance(value, type) or not callable(value):
            return value
        return _function(value)


class _Generator:
    """cupy.random.Generator over a NumPy one: only the methods CuPy has."""

    _METHODS = {
        "random", "standard_normal", "integers", "uniform", "normal", "exponential", "standard_exponential", "poisson",
        "gamma", "standard_gamma", "beta", "binomial", "chisquare", "dirichlet", "f", "geometric", "hypergeometric",
        "logseries", "power",
    }  # fmt: skip

    def __init__(self, bits):
        self._host = np.random.Generator(bits)

    def __getattr__(self, name):
        if name not in self._METHODS:
            raise AttributeError(f"cupy.random.Generator has no {name}")
        return _function(getattr(self._host, name))


class RawModule:
    """cupy.RawModule: CUDA C++ that g++ compiles when a kernel is asked for; without g++ the test is skipped."""

    def __init__(self, code=None, *, options=()):
        if not isinstance(code, str) or not isinstance(options, tuple):
            raise TypeError("RawModule takes code as a str and options as a tuple")
        defines = [option[2:].partition("=") for option in options if option.startswith("-D")]
        self._code = "".join(f"#define {name} {value or 1}\n" for name, _, value in defines) + code
        self._program = None

    def get_function(self, name):
        if self._program is None:
            if emulator.compiler() is None:
                pytest.skip("CUDA sources run on the CPU only where there is g++")
            self._program = emulator.Program(self._code)
        return _RawFunction(self._program, name)


class _RawFunction:
    """A kernel of a RawModule."""

    def __init__(self, program, name):
        if name not in program.parameters:
            raise CUDARuntimeError(f"named symbol not found: {name}")
        self._program, self.name = program, name
        self.max_dynamic_shared_size_bytes = 48 << 10

    def __call__(self, grid, block, args, *, shared_mem=0):
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise emulator.LaunchError(f"{self.name}: {shared_mem} bytes of shared memory were not asked for")
        host = []
        for arg in args:
            if isinstance(arg, (np.ndarray, np.generic, bool)) or arg is None:
                raise TypeError(f"Unsupported type {type(arg)} of an argument of {self.name}")
            host.append(arg.ptr if isinstance(arg, MemoryPointer) else _unwrapped(arg))
        self._program.launch(self.name, grid, block, host, shared_mem)


def RawKernel(code, name, options=()):  # noqa: N802 - CuPy's name
    """cupy.RawKernel."""
    return RawModule(code=code, options=options).get_function(name)


def _forget_kernels():
    """Kernels compiled for another CuPy are compiled anew, and its random numbers are no more."""
    source = sys.modules.get("minigrad.kernels.cuda.source")
    if source:
        source.forget_all()
    rng = sys.modules.get("minigrad.backend.rng")
    if rng:
        rng.default_generator._gpu.clear()


@contextlib.contextmanager
def installed(devices=1):
    """Put the stand-in where ``import cupy`` finds it, for a block; afterwards minigrad has no GPU again."""
    from minigrad.backend import arrays, libraries, switches

    loaded = dict(libraries.LOADED)
    libraries.LOADED.update(cublas=None, cudnn=None)  # the real ones would take the addresses for a GPU's
    module = _Module("cupy", np)
    module.ndarray, module.__version__ = ndarray, "stand-in"
    module.RawModule, module.RawKernel = RawModule, RawKernel
    fake_cuda.add_to(module, devices)
    module.random = types.SimpleNamespace(Generator=_Generator, XORWOW=lambda seed: np.random.PCG64(seed))
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = module
    _forget_kernels()
    try:
        yield module
    finally:
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before
        arrays.ARRAY_MODULES.pop(ndarray, None)
        libraries.LOADED.clear()
        libraries.LOADED.update(loaded)
        _forget_kernels()
        switches.WATCHED[:] = [watcher for watcher in switches.WATCHED if watcher is not switches.GPUS]
        switches.GPUS.clear()
