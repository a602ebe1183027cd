"""Stand-ins for NVIDIA's libraries: they take the calls of minigrad's bindings, check them and compute with NumPy.

What is read and written are the addresses that the bindings pass, so that the order of operands, leading dimensions,
strides and factors have to be right for the numbers to be.
"""

import contextlib
import ctypes
import itertools

import numpy as np

from minigrad.backend import DTYPES, has_bfloat16, libraries
from tests import fake_cupy

BFLOAT16 = DTYPES["bfloat16"].numpy if has_bfloat16() else np.dtype(np.float32)


class Memory:
    """Memory from CuPy's pool."""

    def __init__(self, size):
        self._array = np.empty(size + 16, np.uint8)
        self.ptr = -(-self._array.ctypes.data // 16) * 16


class Stream:
    def __init__(self, ptr=0):
        self.ptr, self.capturing = ptr, False

    def is_capturing(self):
        return self.capturing


class Event:
    """An event whose times are the ones a test gave."""

    times = None

    def record(self, stream=None):
        pass

    def synchronize(self):
        pass


@contextlib.contextmanager
def installed(**fakes):
    """Fake CuPy with stand-ins for libraries; yields fake CuPy, whose ``stream`` is the current one."""
    before = dict(libraries.LOADED)
    with fake_cupy.installed() as cupy:
        cupy.stream = Stream()
        cupy.cuda.get_current_stream = lambda: cupy.stream
        cupy.cuda.alloc = Memory
        cupy.cuda.Event = Event
        libraries.LOADED.clear()
        libraries.LOADED.update({"cublas": None, "cudnn": None, **fakes})
        try:
            yield cupy
        finally:
            libraries.LOADED.clear()
            libraries.LOADED.update(before)


def at_address(address, dtype, shape, strides):
    """Return the array at an address, strides counted in elements; as writable memory."""
    dtype = np.dtype(dtype)
    last = sum((length - 1) * step for length, step in zip(shape, strides, strict=True))
    buffer = (ctypes.c_byte * ((last + 1) * dtype.itemsize)).from_address(address)
    return np.ndarray(shape, dtype, buffer, 0, [step * dtype.itemsize for step in strides])


class Library:
    """A library that counts its calls."""

    def __init__(self):
        self.calls = []
        self._addresses = itertools.count(1000)

    def count(self, name):
        return sum(call[0] == name for call in self.calls)


class Cublas(Library):
    """cuBLAS: matrices lie column after column, factors are in host memory."""

    TYPES = {0: np.float32, 1: np.float64, 2: np.float16, 4: np.complex64, 5: np.complex128, 14: BFLOAT16}
    # computeType -> the types that cuBLAS takes with it, and the type of the factors
    COMPUTE = {68: (0, 2, 4, 14), 77: (0, 4), 70: (1, 5)}

    def __init__(self):
        super().__init__()
        self.status = 0
        self.stream = self.workspace = None
        self.mode = 0

    def cublasCreate_v2(self, reference):
        self.calls.append(("create",))
        reference._obj.value = next(self._addresses)
        return 0

    def cublasSetStream_v2(self, handle, stream):
        self.calls.append(("stream", stream))
        self.stream, self.workspace = stream, None
        return 0

    def cublasSetWorkspace_v2(self, handle, address, size):
        self.calls.append(("workspace", address, size))
        assert address % 16 == 0
        self.workspace = address
        return 0

    def cublasSetMathMode(self, handle, mode):
        self.calls.append(("mode", mode))
        self.mode = mode
        return 0

    def cublasGemmEx_64(self, handle, ta, tb, m, n, k, alpha, a, at, lda, b, bt, ldb, beta, c, ct, ldc, compute, algo):
        self.calls.append(("gemm", (m, n, k), compute, self.mode))
        a, b, c = (a, at, lda, 0), (b, bt, ldb, 0), (c, ct, ldc, 0)
        return self._multiply(ta, tb, m, n, k, alpha, a, b, beta, c, 1, compute)

    def cublasGemmStridedBatchedEx_64(
        self, handle, ta, tb, m, n, k, alpha, a, at, lda, sa, b, bt, ldb, sb, beta, c, ct, ldc, sc, count, compute, algo
    ):
        self.calls.append(("batch", (m, n, k, count), compute, self.mode))
        return self._multiply(
            ta, tb, m, n, k, alpha, (a, at, lda, sa), (b, bt, ldb, sb), beta, (c, ct, ldc, sc), count, compute
        )

    def _multiply(self, ta, tb, m, n, k, alpha, a, b, beta, c, count, compute):
        if self.status:
            return self.status
        assert self.workspace is not None, "a workspace of one's own: cuBLAS's cannot be allocated during a capture"
        assert a[1] == b[1] == c[1] and c[1] in self.COMPUTE[compute]
        assert min(m, n, k, count) > 0
        left = self._matrices(*a, (k, m) if ta else (m, k), count)
        right = self._matrices(*b, (n, k) if tb else (k, n), count)
        out = self._matrices(*c, (m, n), count)
        dtype = out.dtype
        factor = dtype if dtype in (np.float64, np.complex64, np.complex128) else np.float32
        alpha, beta = (at_address(address, factor, (1,), (1,))[0] for address in (alpha, beta))
        wide = np.float32 if dtype.itemsize == 2 else dtype
        left, right = (x.astype(wide).swapaxes(1, 2) if t else x.astype(wide) for x, t in ((left, ta), (right, tb)))
        product = alpha * (left @ right)
        out[...] = (product + beta * out.astype(wide) if beta else product).astype(dtype)
        return 0

    def _matrices(self, address, kind, leading, step, shape, count):
        rows, columns = shape
        assert leading >= rows
        return at_address(address, self.TYPES[kind], (count, rows, columns), (step, 1, leading))
