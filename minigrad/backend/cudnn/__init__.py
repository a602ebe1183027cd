"""Convolutions by cuDNN 9's graph interface, called through ctypes.

CuPy 14 has no cuDNN any more, and NVIDIA's Python frontend of it requires large packages from its version 1.29 on; what
convolutions need of the library are a dozen of its functions.

A problem (minigrad/backend/cudnn/plans.py) is looked up among the plans of this thread and device. For a new one
cuDNN's heuristics are asked; with ``benchmark`` the first plans they name are timed, once.
"""

import ctypes

from minigrad.backend.cudnn.binding import CudnnError, check, library
from minigrad.backend.cudnn.plans import ADD, BIAS, DATA_TYPES, Layout, Problem, W, X, Y, find_plans, within
from minigrad.backend.devices import cupy_module
from minigrad.backend.libraries import Handles, Workspaces, is_capturing, stream_pointer
from minigrad.backend.switches import CUDNN, DETERMINISM

__all__ = ["CudnnError", "convolution", "is_available", "library", "takes", "version"]

_HANDLES = Handles()
_WORKSPACES = Workspaces()
_REPEATS = 3  # timed runs of each plan that is tried


def is_available():
    """Return whether cuDNN 9 is installed."""
    return library() is not None


def version():
    """Return cuDNN's version as one number, 91900 for 9.19.0; None where it is not installed."""
    found = library()
    return found and found.cudnnGetVersion()


class _Handle:
    """A handle of one device, the stream it was last set to, and the plans made with it."""

    __slots__ = ("address", "library", "plans", "stream")

    def __init__(self, found):
        address = ctypes.c_void_p()
        check(found.cudnnCreate(ctypes.byref(address)), "cudnnCreate")
        self.address, self.library, self.stream, self.plans = address.value, found, None, {}

    def execute(self, cupy, plan, pointers, names):
        """Run a plan on CuPy's current stream; pointers: addresses of the tensors named."""
        found = self.library
        stream = stream_pointer(cupy)
        if stream != self.stream:
            check(found.cudnnSetStream(self.address, stream), "cudnnSetStream")
            self.stream = stream
        workspace = _WORKSPACES.pointer(cupy, plan.workspace)
        pack = ctypes.c_void_p()
        check(found.cudnnBackendCreateDescriptor(16, ctypes.byref(pack)), "creating a descriptor")
        try:
            setter, count = found.cudnnBackendSetAttribute, len(names)
            status = (
                setter(pack.value, 1000, 3, count, (ctypes.c_int64 * count)(*names))
                or setter(pack.value, 1001, 6, count, (ctypes.c_void_p * count)(*pointers))
                or setter(pack.value, 1003, 6, 1, (ctypes.c_void_p * 1)(workspace))
                or found.cudnnBackendFinalize(pack.value)
                or found.cudnnBackendExecute(self.address, plan.descriptor.address, pack.value)
            )
            check(status, "a convolution")
        finally:
            found.cudnnBackendDestroyDescriptor(pack.value)


def _handle(cupy):
    handles = _HANDLES.of_device
    device = cupy.cuda.runtime.getDevice()
    handle = handles.get(device)
    if handle is None or handle.library is not library():
        handle = handles[device] = _Handle(library())
    return handle


def layout_of(array, channels_last):
    """Return the Layout of a GPU array in one of the two orders; one spatial dimension becomes two."""
    size = array.itemsize
    shape, steps = array.shape, [step // size for step in array.strides]
    if len(shape) == 3:
        shape, steps = (*shape[:2], 1, shape[2]), [*steps[:2], 0, steps[2]]
    # The step of a dimension with one element means nothing, but cuDNN infers the order from it.
    span = 1
    for dim in (1, *range(len(shape) - 1, 1, -1), 0) if channels_last else range(len(shape) - 1, -1, -1):
        if shape[dim] == 1:
            steps[dim] = span
        span = steps[dim] * shape[dim]
    return Layout(shape, tuple(steps))


def takes(array):
    """Return whether cuDNN may compute convolutions of a GPU array: it is there, enabled, and knows the type."""
    return CUDNN.enabled and array.dtype.char in DATA_TYPES and 3 <= array.ndim <= 5 and is_available()


def convolution(
    kind, x, w, y, stride, padding, dilation, *, channels_last, after=None, bias=None, add=None, relu=False, alpha=1.0,
    beta=0.0,
):  # fmt: skip
    """Compute one of three GPU arrays of a convolution in place; False where cuDNN has no plan for it.

    ``kind`` "forward": y = alpha (w * x) + beta y, with ``add`` and ``bias`` (O,) added and with ``relu`` the positive
    part taken, if given (then beta must be 0). "input": x = alpha (its gradient, for y's) + beta x. "weight": likewise
    w. Shapes as in minigrad/kernels/conv; all arrays lie in memory in that order, or all with ``channels_last``.
    ``after``: padding behind each dimension, if not that before it. CudnnError if the run fails.
    """
    cupy = cupy_module()
    device = x.device.id
    if device != cupy.cuda.runtime.getDevice():
        with cupy.cuda.Device(device):
            return convolution(
                kind, x, w, y, stride, padding, dilation, channels_last=channels_last, after=after, bias=bias, add=add,
                relu=relu, alpha=alpha, beta=beta,
            )  # fmt: skip
    tensors = {X: x, W: w, Y: y}
    if bias is not None:
        tensors[BIAS] = bias
    if add is not None:
        tensors[ADD] = add
    pointers = [tensor.data.ptr for tensor in tensors.values()]
    deterministic = CUDNN.deterministic or DETERMINISM.level > 0
    benchmark = CUDNN.benchmark and not is_capturing(cupy)  # while a graph is captured, nothing can be timed
    handle = _handle(cupy)
    key = (
        kind, x.dtype.char, x.shape, x.strides, w.shape, w.strides, y.shape, y.strides, stride, padding, dilation,
        channels_last, after, *tensors, add is not None and add.strides, relu, alpha, beta, CUDNN.allow_tf32,
        deterministic, _alignment(pointers), CUDNN.workspace_limit,
    )  # fmt: skip
    tried = *key, CUDNN.benchmark_limit
    plan = handle.plans.get(tried if CUDNN.benchmark else key, 0)
    if plan == 0 and CUDNN.benchmark and not benchmark:
        plan = handle.plans.get(key, 0)
    if plan == 0:
        problem = _problem(kind, x, w, y, stride, padding, dilation, channels_last, after, bias, add)._replace(
            relu=relu, alpha=alpha, beta=beta, tf32=CUDNN.allow_tf32, deterministic=deterministic,
            alignment=_alignment(pointers),
        )  # fmt: skip
        plan = _chosen(cupy, handle, problem, tensors, pointers, benchmark)
        handle.plans[tried if benchmark else key] = plan
    if plan is None:
        return False
    handle.execute(cupy, plan, pointers, tensors)
    return True


def _problem(kind, x, w, y, stride, padding, dilation, channels_last, after, bias, add):
    """Return the problem of arrays; with one spatial dimension as one with two."""
    one = len(stride) == 1
    after = padding if after is None else after
    if one:
        stride, padding, after, dilation = (1, *stride), (0, *padding), (0, *after), (1, *dilation)
    channels = w.shape[0]
    along = Layout((1, channels, *(1,) * len(stride)), (channels, *(1,) * (len(stride) + 1)))
    return Problem(
        kind, x.dtype.char, *(layout_of(array, channels_last) for array in (x, w, y)), stride, padding, after, dilation,
        bias=None if bias is None else along, add=None if add is None else layout_of(add, channels_last),
    )  # fmt: skip


def _alignment(pointers):
    """Return the largest power of two, at most 16, that divides all addresses."""
    together = 16
    for pointer in pointers:
        together |= pointer
    return together & -together


def _chosen(cupy, handle, problem, tensors, pointers, benchmark):
    """Return the plan to use: the first that cuDNN names, or the fastest of the first ones; None if there is none."""
    most = (CUDNN.benchmark_limit or 1000) if benchmark else 1
    found = within(find_plans(problem, handle.address), CUDNN.workspace_limit, most)
    if len(found) < 2:
        return found[0] if found else None
    # What is written while trying goes into scratch memory.
    written = {"forward": Y, "input": X, "weight": W}[problem.kind]
    array = tensors[written]
    last = sum((length - 1) * stride for length, stride in zip(array.shape, array.strides, strict=True))
    scratch = cupy.cuda.alloc(last + array.itemsize)
    pointers = [scratch.ptr if name == written else at for name, at in zip(tensors, pointers, strict=True)]
    best, fastest = None, float("inf")
    for plan in found:
        try:
            time = _time(cupy, lambda plan=plan: handle.execute(cupy, plan, pointers, tensors))
        except CudnnError:  # it does not run here
            continue
        if time < fastest:
            best, fastest = plan, time
    return best


def _time(cupy, run):
    """Return how many milliseconds the GPU takes for a run, after one that warms up."""
    run()
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    for _ in range(_REPEATS):
        run()
    end.record()
    end.synchronize()
    return cupy.cuda.get_elapsed_time(start, end) / _REPEATS
