"""Stand-ins for NVIDIA's libraries: they take the calls of minigrad's bindings, check them and compute with NumPy.

What is read and written are the addresses that the bindings pass, so that the order of operands, leading dimensions,
strides and factors have to be right for the numbers to be.
"""

import contextlib
import ctypes
import itertools
import types

import numpy as np

from minigrad.backend import DTYPES, cublas, cudnn, has_bfloat16, libraries
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
    """An event on a stream; the times between two are those that a test gives as ``cupy.times``."""

    def record(self, stream=None):
        pass

    def synchronize(self):
        pass


@contextlib.contextmanager
def installed(**fakes):
    """Fake CuPy with stand-ins for libraries; yields fake CuPy, whose ``stream`` is the current one."""
    before = {module: (module._HANDLES, module._WORKSPACES) for module in (cublas, cudnn)}
    with fake_cupy.installed() as cupy:
        cupy.stream = Stream()
        cupy.cuda.get_current_stream = lambda: cupy.stream
        cupy.cuda.alloc = Memory
        cupy.cuda.Event = Event
        cupy.cuda.get_elapsed_time = lambda start, end: next(cupy.times)
        cupy.times = itertools.repeat(1.0)
        libraries.LOADED.update(fakes)
        for module in before:  # a real GPU must not be given this memory, nor keep its own for other arrays
            module._HANDLES, module._WORKSPACES = libraries.Handles(), libraries.Workspaces()
        try:
            yield cupy
        finally:
            for module, (handles, workspaces) in before.items():
                module._HANDLES, module._WORKSPACES = handles, workspaces


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


class Cudnn(Library):
    """cuDNN's graph interface: descriptors are checked as cuDNN does where mistakes are likely, and plans computed.

    ``engines``: what the heuristics name, each (number, numerical notes, workspace, whether it runs); the fallback mode
    names those of ``fallback``. ``refuse``: a function of (kind, attributes of the convolution's operation, problem's
    tensors) that says whether no engine takes a graph.
    """

    TYPES = {0: np.float32, 1: np.float64, 2: np.float16, 9: BFLOAT16}
    OPERATIONS = {10: range(700, 706), 12: range(706, 712), 11: range(712, 718)}
    BAD_PARAMETER, NOT_SUPPORTED = 2000, 3000

    def __init__(self, engines=((1, (), 0, True),), fallback=()):
        super().__init__()
        self.engines, self.fallback = engines, fallback
        self.made, self.message = {}, "nothing"
        self.executed = []  # (engine, kind, problem) of each run
        self.refuse = lambda graph: False
        self.stream = None

    def cudnnGetVersion(self):
        return 91900

    def cudnnGetErrorString(self, status):
        return {2000: b"CUDNN_STATUS_BAD_PARAM", 3000: b"CUDNN_STATUS_NOT_SUPPORTED"}.get(status, b"CUDNN_STATUS")

    def cudnnGetLastErrorString(self, text, size):
        text.value = self.message.encode()

    def cudnnCreate(self, reference):
        self.calls.append(("create",))
        reference._obj.value = next(self._addresses)
        return 0

    def cudnnSetStream(self, handle, stream):
        self.calls.append(("stream", stream))
        self.stream = stream
        return 0

    def cudnnBackendCreateDescriptor(self, kind, reference):
        reference._obj.value = next(self._addresses)
        self.made[reference._obj.value] = types.SimpleNamespace(kind=kind, done=False, values={}, engine=None)
        return 0

    def cudnnBackendDestroyDescriptor(self, address):
        del self.made[address]
        return 0

    def _failed(self, message, status=BAD_PARAMETER):
        self.message = message
        return status

    def cudnnBackendSetAttribute(self, address, attribute, kind, count, array):
        if self.made[address].done:
            return self._failed("set after finalize")
        values = list(array)
        assert count == len(values)
        if kind == 15:
            values = [self.made[value] for value in values]
            if not all(value.done for value in values if value.kind != 3):
                return self._failed("an unfinished descriptor")
        self.made[address].values[attribute] = values
        return 0

    def cudnnBackendFinalize(self, address):
        descriptor = self.made[address]
        if descriptor.kind in self.OPERATIONS:
            status = self._check_convolution(descriptor)
            if status:
                return status
        if descriptor.kind == 17 and (len(descriptor.values[902]) < 4 or min(descriptor.values[903]) <= 0):
            return self._failed("a tensor has at least four dimensions")
        if descriptor.kind == 4 and self.refuse(descriptor.values[201][0]):
            return self._failed("no engine", self.NOT_SUPPORTED)
        descriptor.done = True
        return 0

    def _check_convolution(self, descriptor):
        x, w, y, steps = self._convolution(descriptor)
        v = steps.values
        assert v[106] == [len(x.values[902]) - 2] and v[101] == [1]
        n, c, *size = x.values[902]
        o, share, *kernel = w.values[902]
        if c % share or o % (c // share) or y.values[902][:2] != [n, o]:
            return self._failed("channels do not fit")
        for out, s, k, t, d, before, behind in zip(
            y.values[902][2:], size, kernel, v[103], v[102], v[105], v[104], strict=True
        ):
            if out != (s + before + behind - d * (k - 1) - 1) // t + 1:
                return self._failed("the result's size does not fit")
        return 0

    def _convolution(self, operation):
        _, _, steps, w, x, y = (operation.values[attribute][0] for attribute in self.OPERATIONS[operation.kind])
        return x, w, y, steps

    def cudnnBackendGetAttribute(self, address, attribute, kind, most, count, array):
        descriptor = self.made[address]
        if attribute == 202:
            engines = self.engines if descriptor.values[200] == [3] else self.fallback
            found = [(engine, descriptor.values[201][0]) for engine in engines]
            count._obj.value = len(found)
            for given, engine in zip(array or (), found, strict=False):
                self.made[given].engine, self.made[given].done = engine, True
            return 0
        if attribute == 300:
            self.made[array[0]].engine = descriptor.engine
            values = []
            count._obj.value = 1
        elif attribute == 1303:
            values = descriptor.engine[0][1]
        elif attribute == 1301:
            values = [descriptor.engine[0][0]]
        elif attribute == 402:
            values = [descriptor.values[401][0].engine[0][2]]
        if attribute != 300:
            count._obj.value = len(values)
            array[: len(values)] = values
        return 0

    def cudnnBackendExecute(self, handle, plan, pack):
        plan, pack = self.made[plan], self.made[pack]
        assert plan.done and pack.done and plan.values[400] == [handle]
        engine, graph = plan.values[401][0].engine
        assert graph.values[800] == [handle]
        if engine[2]:
            assert pack.values[1003][0]
        if not engine[3]:
            return self._failed("the engine does not run", 5000)
        pointers = dict(zip(pack.values[1000], pack.values[1001], strict=True))
        self._compute(graph.values[801], pointers)
        self.executed.append((engine[0], graph.values[801][0].kind, pointers))
        return 0

    def _compute(self, operations, pointers):
        values = {}

        def array(tensor):
            v = tensor.values
            name = v[906][0]
            if tensor.values.get(907) == [True]:
                return values.setdefault(name, np.zeros(v[902], self.TYPES[v[901][0]]))
            if pointers[name] % v[900][0]:
                raise AssertionError("an address is not aligned as was said")
            return at_address(pointers[name], self.TYPES[v[901][0]], v[902], v[903])

        for operation in operations:
            if operation.kind == 13:
                v = operation.values
                mode = v[750][0].values[0][0]
                x, y = array(v[751][0]), array(v[753][0])
                wide = x.astype(np.float64)
                wide = np.maximum(wide, 0) if mode == 100 else wide + array(v[752][0]).astype(np.float64)
                y[...] = wide.astype(y.dtype)
                continue
            x, w, y, steps = self._convolution(operation)
            x, w, y = array(x), array(w), array(y)
            alpha, beta = (operation.values[a][0] for a in list(self.OPERATIONS[operation.kind])[:2])
            written = {10: y, 12: x, 11: w}[operation.kind]
            found = convolved(operation.kind, x, w, y, steps.values)
            with np.errstate(all="ignore"):  # what is tried may add to memory never written
                old = beta * written.astype(np.float64) if beta else 0
                written[...] = (alpha * found + old).astype(written.dtype)


def convolved(kind, x, w, y, steps):
    """Return y, or the gradient to x (12) or w (11), in float64: a sum over the kernel's positions."""
    stride, dilation, before, behind = (steps[attribute] for attribute in (103, 102, 105, 104))
    groups = x.shape[1] // w.shape[1]
    x, w, y = (  # what is written holds anything
        np.zeros(array.shape) if written else array.astype(np.float64)
        for array, written in zip((x, w, y), (kind == 12, kind == 11, kind == 10), strict=True)
    )
    padded = np.pad(x, [(0, 0), (0, 0), *zip(before, behind, strict=True)])
    x_parts, w_parts, y_parts = np.split(padded, groups, 1), np.split(w, groups, 0), np.split(y, groups, 1)
    for xs, ws, ys in zip(x_parts, w_parts, y_parts, strict=True):  # parts of the arrays: written in place
        for offset in itertools.product(*map(range, w.shape[2:])):
            starts = [o * d for o, d in zip(offset, dilation, strict=True)]
            met = zip(starts, stride, y.shape[2:], strict=True)
            place = xs[(..., *(slice(start, start + (n - 1) * step + 1, step) for start, step, n in met))]
            weight = ws[(slice(None), slice(None), *offset)]
            if kind == 10:
                ys += np.einsum("nc...,oc->no...", place, weight)
            elif kind == 12:
                place += np.einsum("no...,oc->nc...", ys, weight)
            else:
                flat_y, flat_x = (a.reshape(*a.shape[:2], -1) for a in (ys, place))
                weight += np.einsum("nop,ncp->oc", flat_y, flat_x)
    inside = (..., *(slice(p, p + length) for p, length in zip(before, x.shape[2:], strict=True)))
    return {10: y, 12: padded[inside], 11: w}[kind]
