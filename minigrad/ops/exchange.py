"""Arrays of other libraries: DLPack, NumPy's and CuPy's protocols."""

import contextlib
import ctypes

from minigrad.backend import as_dtype, cupy_module, from_numpy_dtype, np
from minigrad.ops.from_data import from_numpy
from minigrad.registry import METHODS, function
from minigrad.tensor import Tensor, as_device, wrap
from minigrad.variable import touch

# ---------------------------------------------------------------------- DLPack
_CPU, _CUDA = 1, 2  # DLDeviceType
_capsule_name = ctypes.pythonapi.PyCapsule_GetName
_capsule_name.restype, _capsule_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
# Where the device type stands in the structure of a capsule: DLManagedTensor, DLManagedTensorVersioned.
_DEVICE_OFFSETS = {b"dltensor": 8, b"dltensor_versioned": 40}
_UNSIGNED, _BFLOAT = 1, 4  # DLDataTypeCode


def _type_code(capsule):
    """Return the type code (one byte, 12 bytes behind the device) in the structure of a capsule, to be read or written.

    NumPy knows no bfloat16: its memory goes through NumPy as unsigned integers.
    """
    name = _capsule_name(capsule)
    return ctypes.c_uint8.from_address(_capsule_pointer(capsule, name) + _DEVICE_OFFSETS[name] + 12)


class _Capsule:
    """A capsule as an object with DLPack's interface, which is what NumPy and CuPy take."""

    def __init__(self, capsule, device=None):
        try:
            self.name = _capsule_name(capsule)
        except ValueError:
            self.name = None
        if self.name not in _DEVICE_OFFSETS:
            raise RuntimeError(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so "
                f"you might have already constructed a tensor from it once. Got {type(capsule).__name__}."
            )
        self.capsule = capsule
        address = _capsule_pointer(capsule, self.name) + _DEVICE_OFFSETS[self.name]
        self.device = tuple((ctypes.c_int32 * 2).from_address(address)) if device is None else device

    def __dlpack__(self, **arguments):
        return self.capsule

    def __dlpack_device__(self):
        return self.device


class _Writable:
    """The memory of a NumPy array as one that can be written."""

    def __init__(self, array):
        self.array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def _exported(source, device):
    """Return the capsule of an object with DLPack's interface: with a version, if the object knows of versions.

    On a GPU the object makes the stream that is current there wait for its values; 1 stands for the default stream.
    """
    kind, index = device
    arguments = {"stream": cupy_module().cuda.get_current_stream(index).ptr or 1} if kind == _CUDA else {}
    try:
        return source.__dlpack__(max_version=(1, 0), **arguments)
    except TypeError:
        return source.__dlpack__(**arguments)


@function()
def from_dlpack(ext_tensor, *, device=None, copy=None):
    """Return a tensor on the memory of any object with DLPack's interface, or of a DLPack capsule, without a copy.

    Arguments: ext_tensor (an array of PyTorch, NumPy, JAX, CuPy, …), device (where the result is to be), copy (True: a
    copy in any case; False: ValueError where one is needed). Errors: RuntimeError for anything else, a used capsule,
    and types that minigrad has not, such as float8.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.from_dlpack.html

    >>> import minigrad as mg
    >>> x = mg.zeros(2)
    >>> y = mg.from_dlpack(x)
    >>> y[0] = 1
    >>> x
    tensor([1., 0.])
    """
    if hasattr(ext_tensor, "__dlpack__"):
        source = tuple(map(int, ext_tensor.__dlpack_device__()))
        capsule = _Capsule(_exported(ext_tensor, source), source)
    else:
        capsule = _Capsule(ext_tensor)
    if capsule.device[0] not in (_CPU, _CUDA):
        raise RuntimeError(f"from_dlpack: neither the CPU nor a CUDA GPU is DLPack's device type {capsule.device[0]}")
    module = np if capsule.device[0] == _CPU else cupy_module()
    kind = _type_code(capsule.capsule)
    is_bfloat = kind.value == _BFLOAT
    if is_bfloat:
        bfloat16 = as_dtype("bfloat16").dtype
        kind.value = _UNSIGNED
    try:
        array = module.from_dlpack(capsule)
    except RuntimeError as error:
        raise RuntimeError(f"from_dlpack: {error} Convert it to a type minigrad has first, say float32.") from None
    from_numpy_dtype(array.dtype)
    if any(step < 0 for step in array.strides):
        raise ValueError("from_dlpack: tensors have no negative strides; copy the array first")
    if module is np and capsule.name == b"dltensor":  # a capsule without a version does not know of read-only memory
        array = np.asarray(_Writable(array))
    if is_bfloat:
        array = array.view(bfloat16)
    result = wrap(array)
    result._aliased = True
    target = result.device if device is None else as_device(device)
    moved = result.to(target)
    if copy is False and moved is not result:
        raise ValueError(f"cannot move (i.e. copy=False) tensor from {result.device} to {target} without copying.")
    return moved.clone() if copy and moved is result else moved


@function()
def to_dlpack(tensor):
    """Return a DLPack capsule on the tensor's memory, to be used once.

    Unlike ``tensor.__dlpack__()`` it takes tensors that require grad. Source: https://docs.pytorch.org/docs/stable/dlpack.html

    >>> import minigrad as mg
    >>> mg.from_dlpack(mg.to_dlpack(mg.ones(2)))
    tensor([1., 1.])
    """
    tensor._mark_aliased()
    return wrap(tensor.array).__dlpack__()


def _dlpack(self, *, stream=-1, max_version=None, dl_device=None, copy=None):
    """Return a DLPack capsule on this tensor's memory, or on a copy where copy or dl_device ask for one.

    Arguments: stream (of the consumer, on a GPU: it waits for the values; None: the default stream, -1: none waits),
    max_version (of DLPack that the consumer knows), dl_device (type and index of a device), copy (True, False, None:
    where it is needed). BufferError for a tensor that requires grad.
    """
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if stream is not None and not isinstance(stream, int):
        raise TypeError("stream must be ``int`` or ``none``")
    source = self
    if dl_device is not None and tuple(map(int, dl_device)) != tuple(map(int, self.__dlpack_device__())):
        kind, index = map(int, dl_device)
        if kind not in (_CPU, _CUDA):
            raise BufferError(f"DLPack's device type {kind} is neither the CPU (1) nor a CUDA GPU (2)")
        target = as_device("cpu" if kind == _CPU else f"cuda:{index}")
        if copy is False:
            raise ValueError(f"cannot move (i.e. copy=False) tensor from {self.device} to {target} without copying.")
        source = self.to(target)
    if copy and source is self:
        source = self.clone()
    if source is self:
        self._mark_aliased()
    arguments, place = {}, contextlib.nullcontext()
    if source.is_cuda:
        if stream == 0:
            raise AssertionError("unsupported stream on CUDA: 0. The default stream is 1.")
        arguments["stream"], place = stream, source.array.device  # whose current stream the consumer's waits for
    elif stream not in (None, -1):
        raise AssertionError("stream should be None on cpu.")
    is_bfloat = source.dtype.name == "bfloat16"
    array, capsule = source.array.view(np.uint16) if is_bfloat else source.array, None
    with place:
        if max_version is not None:
            with contextlib.suppress(TypeError):  # NumPy 2.0 knows no versions, which an exporter need not
                capsule = array.__dlpack__(max_version=max_version, **arguments)
        if capsule is None:
            capsule = array.__dlpack__(**arguments)
    if is_bfloat:
        _type_code(capsule).value = _BFLOAT
    return capsule


Tensor.__dlpack__ = _dlpack
Tensor.__dlpack_device__ = lambda self: self.array.__dlpack_device__()


# ---------------------------------------------------------------------- NumPy
# NumPy's ufuncs that are operators of tensors: the methods for a tensor on the left, and for one on the right.
_SWAPPED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq", "ne": "ne"}
_OPERATORS = {
    getattr(np, ufunc): (f"__{name}__", f"__{_SWAPPED.get(name, 'r' + name)}__")
    for ufunc, name in {
        "add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv", "floor_divide": "floordiv",
        "remainder": "mod", "power": "pow", "matmul": "matmul", "bitwise_and": "and", "bitwise_or": "or",
        "bitwise_xor": "xor", "left_shift": "lshift", "right_shift": "rshift", "less": "lt", "greater": "gt",
        "less_equal": "le", "greater_equal": "ge", "equal": "eq", "not_equal": "ne",
    }.items()
}  # fmt: skip


class _ArrayUfunc:
    """Tensor.__array_ufunc__: what a ufunc of NumPy's does with tensors on the CPU.

    Those that are operators of tensors are these, with gradients; the others compute on the memory of the tensors,
    which must not require grad, and give tensors. A tensor on a GPU does not have it: so CuPy's arrays leave operators
    to the tensor.
    """

    def __get__(self, instance, owner):
        if instance is None:
            return self
        if instance.is_cuda:
            raise AttributeError("a tensor on a GPU has no __array_ufunc__; use minigrad's functions")
        return lambda *args, **kwargs: self(instance, *args, **kwargs)

    def __call__(self, instance, ufunc, method, *inputs, **kwargs):
        if method == "__call__" and not kwargs and ufunc in _OPERATORS:
            left, right = inputs
            forward, reflected = _OPERATORS[ufunc]
            if isinstance(left, Tensor):
                return getattr(left, forward)(right)
            return getattr(right, reflected)(left)
        out = kwargs.get("out", ())
        if out:
            kwargs["out"] = tuple(part.numpy() if isinstance(part, Tensor) else part for part in out)
        arrays = [part.numpy() if isinstance(part, Tensor) else part for part in inputs]
        result = getattr(ufunc, method)(*arrays, **kwargs)
        written = [*out, *inputs[: method == "at"]]
        for part in written:
            if isinstance(part, Tensor):
                touch(part.array)
        if out:
            return out[0] if len(out) == 1 else out
        return tuple(map(_as_tensor, result)) if isinstance(result, tuple) else _as_tensor(result)


def _as_tensor(result):
    return from_numpy(np.asarray(result)) if isinstance(result, (np.ndarray, np.generic)) else result


def _array_wrap(self, array, context=None, return_scalar=False):
    """Return the result of a NumPy function of this tensor as a tensor."""
    return from_numpy(np.asarray(array))


# NumPy's functions that would not get along with the method they call; the rest take tensors as they are.
_FUNCTIONS = {
    np.max: lambda a, axis=None, *, keepdims=False: METHODS["amax"](a, () if axis is None else axis, keepdims),
    np.min: lambda a, axis=None, *, keepdims=False: METHODS["amin"](a, () if axis is None else axis, keepdims),
    np.size: lambda a, axis=None: a.numel() if axis is None else a.shape[axis],
}
_FUNCTIONS[np.amax], _FUNCTIONS[np.amin] = _FUNCTIONS[np.max], _FUNCTIONS[np.min]


def _array_function(self, func, types, args, kwargs):
    """Return what a function of NumPy's makes of tensors: it calls their methods, or sees them as arrays."""
    chosen = _FUNCTIONS.get(func, func._implementation)
    if func in _FUNCTIONS and (len(args) > 2 or not {"a", "axis", "keepdims"}.issuperset(kwargs)):
        args, chosen = (np.asarray(args[0]), *args[1:]), func
    return chosen(*args, **kwargs)


Tensor.__array_function__ = _array_function
Tensor.__array_ufunc__ = _ArrayUfunc()
Tensor.__array_wrap__ = _array_wrap


# ---------------------------------------------------------------------- CUDA
def _cuda_array_interface(self):
    """Description of the memory of a tensor on a GPU, for Numba, PyTorch and others.

    AttributeError for a tensor on the CPU, RuntimeError for one that requires grad.
    """
    if not self.is_cuda:
        raise AttributeError(
            f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {self.type()} If CUDA data is required use "
            "tensor.cuda() to copy tensor to device memory."
        )
    if self.requires_grad:
        raise RuntimeError(
            "Can't get __cuda_array_interface__ on Variable that requires grad. If gradients aren't required, use "
            "var.detach() to get Variable that doesn't require grad."
        )
    if self.dtype.name == "bfloat16":
        raise TypeError("__cuda_array_interface__ knows no bfloat16; use DLPack, or .view(minigrad.uint16)")
    self._mark_aliased()
    return self.array.__cuda_array_interface__


Tensor.__cuda_array_interface__ = property(_cuda_array_interface)
