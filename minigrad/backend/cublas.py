"""Matrix products of GPU arrays by cuBLAS, called through ctypes.

CuPy calls cuBLAS too, but refuses to while a CUDA graph is captured, multiplies batches of float16 in float32 and of
bfloat16 without tensor cores, and knows no TF32 for batches.
Source: https://docs.nvidia.com/cuda/cublas/#cublasgemmstridedbatchedex
"""

import ctypes
from functools import lru_cache
from math import prod

from minigrad.backend.arrays import np
from minigrad.backend.devices import cupy_module
from minigrad.backend.libraries import Handles, Workspaces, load, stream_pointer
from minigrad.backend.switches import PRODUCTS

WORKSPACE = 32 << 20  # bytes: what cuBLAS takes for itself on Hopper; its own could not be allocated during a capture
LOOPS = 8  # products of batches that lie irregularly: more calls than this, and the matrices are copied first

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_MATRIX = (_POINTER, _INT, _LONG)  # address, type, leading dimension
_PROTOTYPES = {
    "cublasCreate_v2": (_INT, _POINTER),
    "cublasSetStream_v2": (_INT, _POINTER, _POINTER),
    "cublasSetWorkspace_v2": (_INT, _POINTER, _POINTER, ctypes.c_size_t),
    "cublasSetMathMode": (_INT, _POINTER, _INT),
    "cublasGemmEx_64": (
        _INT, _POINTER, _INT, _INT, _LONG, _LONG, _LONG, _POINTER, *_MATRIX, *_MATRIX, _POINTER, *_MATRIX, _INT, _INT,
    ),
    "cublasGemmStridedBatchedEx_64": (
        _INT, _POINTER, _INT, _INT, _LONG, _LONG, _LONG, _POINTER, *_MATRIX, _LONG, *_MATRIX, _LONG, _POINTER,
        *_MATRIX, _LONG, _LONG, _INT, _INT,
    ),
}  # fmt: skip
_STATUS = {
    1: "not initialized", 3: "allocation failed", 7: "invalid value", 8: "architecture mismatch", 11: "mapping error",
    13: "execution failed", 14: "internal error", 15: "not supported", 16: "license error",
}  # fmt: skip
# dtype.char -> cudaDataType. float16 and bfloat16 are multiplied exactly and summed in float32.
_TYPES = {"f": 0, "d": 1, "e": 2, "F": 4, "D": 5, "E": 14}
_COMPUTE_32F, _COMPUTE_64F, _COMPUTE_TF32 = 68, 70, 77
_COMPUTE = {"f": _COMPUTE_32F, "d": _COMPUTE_64F, "e": _COMPUTE_32F, "F": _COMPUTE_32F, "D": _COMPUTE_64F,
            "E": _COMPUTE_32F}  # fmt: skip
_SCALARS = {"d": np.float64, "F": np.complex64, "D": np.complex128}  # of alpha and beta; others take float32
_DEFAULT_ALGORITHM = -1
_FULL_PRECISION_REDUCTION = 16  # CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION

_HANDLES = Handles()
_WORKSPACES = Workspaces()


def library():
    """Return cuBLAS, or None where it is not installed."""
    return load("cublas", (13, 12), _PROTOTYPES)


def is_available():
    """Return whether cuBLAS is installed."""
    return library() is not None


class _Handle:
    """A handle of one device, with the stream and the mode it was last set to."""

    __slots__ = ("address", "library", "mode", "stream")

    def __init__(self, found):
        address = _POINTER()
        _check(found.cublasCreate_v2(ctypes.byref(address)), "cublasCreate")
        self.address, self.library, self.mode, self.stream = address.value, found, 0, None

    def prepared(self, cupy, code):
        """Return the address, with CuPy's current stream and the mode that a type wants set."""
        stream = stream_pointer(cupy)
        if stream != self.stream:
            _check(self.library.cublasSetStream_v2(self.address, stream), "cublasSetStream")
            # Setting the stream takes the workspace away.
            memory = _WORKSPACES.pointer(cupy, WORKSPACE)
            _check(self.library.cublasSetWorkspace_v2(self.address, memory, WORKSPACE), "cublasSetWorkspace")
            self.stream = stream
        full = code == "e" and not PRODUCTS.reduce_in_float16 or code == "E" and not PRODUCTS.reduce_in_bfloat16
        mode = _FULL_PRECISION_REDUCTION if full else 0
        if mode != self.mode:
            _check(self.library.cublasSetMathMode(self.address, mode), "cublasSetMathMode")
            self.mode = mode
        return self.address


def _check(status, name):
    if status:
        raise RuntimeError(f"cuBLAS: {name} failed: {_STATUS.get(status, 'unknown')} (status {status})")


def takes(a, b):
    """Return whether gemm multiplies two GPU arrays: matrices, or batches of them, of one floating type."""
    return a.dtype == b.dtype and a.dtype.char in _TYPES and a.ndim > 1 and b.ndim > 1 and is_available()


def gemm(a, b, out=None, alpha=1.0, beta=0.0):
    """Return alpha a b + beta out, over the last two dimensions; the others are broadcast. # (…, N, K) (…, K, M)

    Transposed matrices, and parts of larger ones, are read where they are. ``out`` is written, in whatever order its
    matrices lie; without it a new array is made (then beta must be 0). RuntimeError with cuBLAS's status if it fails.
    ValueError where shapes do not fit.
    """
    cupy = cupy_module()
    device = a.device.id
    if device != cupy.cuda.runtime.getDevice():
        with cupy.cuda.Device(device):
            return gemm(a, b, out, alpha, beta)
    rows, depth = a.shape[-2:]
    columns = b.shape[-1]
    if b.shape[-2] != depth:
        raise ValueError(f"matmul: {a.shape} and {b.shape} do not fit: {depth} columns and {b.shape[-2]} rows")
    batch = a.shape[:-2] if a.shape[:-2] == b.shape[:-2] else np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if out is None:
        out = cupy.empty((*batch, rows, columns), a.dtype)
    elif out.shape != (*batch, rows, columns) or out.dtype != a.dtype:
        raise ValueError(f"matmul: out is {out.dtype} {out.shape}, not {a.dtype} {(*batch, rows, columns)}")
    if not out.size:
        return out
    if not depth:
        if beta:
            out *= beta
        else:
            out.fill(0)
        return out
    target = out
    if _order(out) is None or min(out.strides) < 0:
        target = out.copy(order="C")
    if _order(target) == "T":  # (a b)ᵀ = bᵀ aᵀ
        a, b, matrices = b.swapaxes(-2, -1), a.swapaxes(-2, -1), target.swapaxes(-2, -1)
    else:
        matrices = target
    _multiply(cupy, _readable(cupy, a), _readable(cupy, b), matrices, batch, alpha, beta)
    if target is not out:
        out[...] = target
    return out


def _order(array):
    """Return how the matrices of an array lie: "N" row after row, "T" column after column, None otherwise."""
    rows, columns = array.shape[-2:]
    size = array.itemsize
    down, right = array.strides[-2:]
    if (right == size or columns == 1) and (rows == 1 or down >= columns * size and not down % size):
        return "N"
    if (down == size or rows == 1) and (columns == 1 or right >= rows * size and not right % size):
        return "T"
    return None


def _readable(cupy, array):
    """Return an array whose matrices cuBLAS can read: itself, or a copy."""
    fits = _order(array) is not None and all(s >= 0 and not s % array.itemsize for s in array.strides[:-2])
    return array if fits else cupy.ascontiguousarray(array)


def _leading(array, order):
    """Return the distance between rows (or columns) in elements, which counts for nothing where there is one only."""
    rows, columns = array.shape[-2:]
    if order == "N":
        return array.strides[-2] // array.itemsize if rows > 1 else columns
    return array.strides[-1] // array.itemsize if columns > 1 else rows


def _batches(batch, *arrays):
    """Return the dimensions of a batch, each as (length, elements between its matrices in every array), merged."""
    merged = []
    for position, length in enumerate(batch):
        if length == 1:
            continue
        steps = []
        for array in arrays:
            own = position - len(batch) + array.ndim - 2
            moves = own >= 0 and array.shape[own] > 1
            steps.append(array.strides[own] // array.itemsize if moves else 0)
        if merged and all(far == length * near for far, near in zip(merged[-1][1], steps, strict=True)):
            merged[-1] = merged[-1][0] * length, steps
        else:
            merged.append((length, steps))
    return merged


def _multiply(cupy, a, b, out, batch, alpha, beta):
    """Multiply; out lies row after row."""
    dims = _batches(batch, a, b, out)
    longest = max(dims, key=lambda dim: dim[0], default=(1, (0, 0, 0)))
    if prod(length for length, _ in dims) > longest[0] * LOOPS:
        a, b = (x if x.flags.c_contiguous else cupy.ascontiguousarray(x) for x in (a, b))
        dims = _batches(batch, a, b, out)
        longest = max(dims, key=lambda dim: dim[0])
    # One more dimension: a shared right matrix and rows that follow each other are one tall product.
    tall = 1
    rows = out.shape[-2]
    order = _order(a)
    if len(dims) == 1 and order == "N" and not longest[1][1]:
        steps = rows * _leading(a, "N"), 0, rows * _leading(out, "N")
        if tuple(longest[1]) == steps:
            tall, dims, longest = longest[0], [], (1, (0, 0, 0))
    starts = [(0, 0, 0)]
    for dim in dims:
        if dim is not longest:
            starts = [tuple(at + i * step for at, step in zip(start, dim[1], strict=True)) for start in starts
                      for i in range(dim[0])]  # fmt: skip
    _call(cupy, a, b, out, order, rows * tall, longest, starts, alpha, beta)


@lru_cache(maxsize=64)
def _scalars(code, alpha, beta):
    """Return an array of both factors in host memory, and their addresses."""
    values = np.array([alpha, beta], _SCALARS.get(code, np.float32))
    return values, values.ctypes.data, values.ctypes.data + values.itemsize


def _call(cupy, a, b, out, order, rows, longest, starts, alpha, beta):
    """Call cuBLAS, which counts matrices column after column: there the rows of outᵀ = bᵀ aᵀ are read as they lie."""
    code, size = a.dtype.char, a.itemsize
    b_order = _order(b)
    _, at, beta_at = _scalars(code, alpha, beta)
    handles = _HANDLES.of_device
    device = cupy.cuda.runtime.getDevice()
    found = library()
    handle = handles.get(device)
    if handle is None or handle.library is not found:
        handle = handles[device] = _Handle(found)
    kind = _TYPES[code]
    compute = _COMPUTE_TF32 if PRODUCTS.tf32 and code in "fF" else _COMPUTE[code]
    count, (a_step, b_step, out_step) = longest
    sizes = (
        handle.prepared(cupy, code), int(b_order == "T"), int(order == "T"), out.shape[-1], rows, a.shape[-1], at,
    )  # fmt: skip
    lead_a, lead_b, lead_out = _leading(a, order), _leading(b, b_order), _leading(out, "N")
    for a_start, b_start, out_start in starts:
        left, right = a.data.ptr + a_start * size, b.data.ptr + b_start * size
        target = out.data.ptr + out_start * size
        if count == 1:
            status = found.cublasGemmEx_64(
                *sizes, right, kind, lead_b, left, kind, lead_a, beta_at, target, kind, lead_out, compute,
                _DEFAULT_ALGORITHM,
            )  # fmt: skip
        else:
            status = found.cublasGemmStridedBatchedEx_64(
                *sizes, right, kind, lead_b, b_step, left, kind, lead_a, a_step, beta_at, target, kind,
                lead_out, out_step, count, compute, _DEFAULT_ALGORITHM,
            )  # fmt: skip
        _check(status, "a matrix product")
