"""Making tensors: from data, filled, counted, and like others."""

import builtins
import itertools
import math
import warnings

from minigrad.backend import (
    array_device,
    as_dtype,
    default_float,
    from_numpy_dtype,
    get_default_device,
    move,
    np,
    xp,
)
from minigrad.backend.devices import module_for, pinned_copy
from minigrad.inplace import write_out
from minigrad.kernels.strides import strided_view
from minigrad.registry import function
from minigrad.ops.layout import check_layout, contiguous_format, permuted_empty, preserve_format
from minigrad.tensor import Tensor, as_device, data_array, wrap
from minigrad.variable import check_can_require_grad, promote

_new = object.__new__


# ---------------------------------------------------------------------- what every constructor shares
def sizes_of(sizes, name="size"):
    """Return a shape given as ints or as one sequence: TypeError for what are no ints, RuntimeError below zero."""
    if len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer)) and not _is_scalar_tensor(sizes[0]):
        sizes = sizes[0]
    try:
        shape = tuple([length if type(length) is int else _index(length) for length in sizes])
    except TypeError:
        raise TypeError(f"{name}(): sizes must be ints or one tuple of ints, but got {sizes!r}") from None
    for length in shape:
        if length < 0:
            raise RuntimeError(f"{name}(): Trying to create tensor with negative dimension {length}: {list(shape)}")
    return shape


def _is_scalar_tensor(value):
    return isinstance(value, Tensor) and value.array.ndim == 0


def _index(value):
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError
    return value.__index__()


def finish(array, requires_grad=False, pin_memory=False, out=None, name="tensor"):
    """Return a new raw array as the tensor a constructor hands out."""
    if pin_memory:
        array = pinned_copy(array)
    if out is not None:
        return write_out(out, wrap(array), name)
    tensor = _new(Tensor)
    tensor.array = array
    if requires_grad:
        check_can_require_grad(array)
        promote(tensor, True)
    return tensor


def make(shape, dtype, device, maker):
    """Return maker(module, shape, numpy dtype) computed on a device; None stands for the defaults."""
    chosen = default_float() if dtype is None else as_dtype(dtype).dtype
    target = get_default_device() if device is None else as_device(device)
    if target.type == "cpu":
        return maker(np, shape, chosen)
    module, context = module_for(target)
    with context:
        return maker(module, shape, chosen)


def _zeros(module, shape, dtype):
    return module.zeros(shape, dtype)


def _ones(module, shape, dtype):
    return module.ones(shape, dtype)


def _empty(module, shape, dtype):
    return module.empty(shape, dtype)


def fill_value(value, name="full"):
    """Return a fill value as a Python number; TypeError for anything but a number or a tensor of one element."""
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise TypeError(f"{name}(): fill_value must be a number, but got a tensor of shape {list(value.shape)}")
        return value.array.item()
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, (bool, int, float, complex)):
        raise TypeError(f"{name}(): argument 'fill_value' must be Number, not {type(value).__name__}")
    return value


def filled(module, shape, dtype, value):
    """Return a raw array full of one number; RuntimeError where the dtype can't hold it."""
    if isinstance(value, complex) and dtype.kind != "c":
        raise RuntimeError(f"value cannot be converted to type {dtype} without overflow: {value}")
    if dtype.kind in "iu" and isinstance(value, (int, float)):
        if isinstance(value, float) and not math.isfinite(value):
            raise RuntimeError(f"value cannot be converted to type {dtype} without overflow: {value}")
        limits = np.iinfo(dtype)
        value = int(value)
        if not limits.min <= value <= limits.max:
            if dtype.kind == "u" and -limits.max <= value < 0:  # as in C: negative numbers wrap around
                value += limits.max + 1
            else:
                raise RuntimeError(f"value cannot be converted to type {dtype} without overflow: {value}")
    return module.full(shape, value, dtype)


def _inferred(value):
    """Return the dtype of a number as full() infers it."""
    if isinstance(value, bool):
        return np.dtype(bool)
    if isinstance(value, int):
        return np.dtype(np.int64)
    if isinstance(value, complex):
        return np.dtype(np.complex128 if default_float().itemsize == 8 else np.complex64)
    return default_float()


# ---------------------------------------------------------------------- from data
@function()
def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Return a new tensor with a copy of the data: a number, nested sequences, a NumPy array or a tensor.

    The dtype is the data's; Python floats get the default dtype, ints int64. Raises TypeError for data that are no
    numbers, ValueError for ragged nesting. Source: https://docs.pytorch.org/docs/stable/generated/torch.tensor.html

    >>> import minigrad as mg
    >>> mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than minigrad.tensor(sourceTensor).",
            stacklevel=2,
        )
        if device is None:
            device = data.device
    return finish(copied(data, dtype, device), requires_grad, pin_memory)


def copied(data, dtype=None, device=None):
    """Return a new raw array of data on a device."""
    target = get_default_device() if device is None else as_device(device)
    chosen = None if dtype is None else as_dtype(dtype).dtype
    if isinstance(data, Tensor):
        array = move(data.array, target)
        return array.astype(array.dtype if chosen is None else chosen)
    array = data_array(data, chosen)
    return array if target.type == "cpu" else move(array, target)


@function()
def as_tensor(data, dtype=None, device=None):
    """Return data as a tensor, sharing memory with a NumPy array or tensor wherever dtype and device allow it."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if isinstance(data, np.ndarray):
        shared = from_numpy(data)
        target = get_default_device() if device is None else as_device(device)
        return shared.to(device=target, dtype=dtype)
    if hasattr(data, "__dlpack__") and not isinstance(data, np.generic):
        return from_dlpack(data).to(device=device, dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


@function()
def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """Return obj as a tensor; copy=True always copies, copy=False raises ValueError where a copy is needed."""
    if copy:
        source = obj.detach() if isinstance(obj, Tensor) else obj
        device = obj.device if isinstance(obj, Tensor) and device is None else device
        return finish(copied(source, dtype, device), requires_grad)
    result = as_tensor(obj, dtype=dtype, device=device)
    shared = isinstance(obj, (Tensor, np.ndarray)) and _same_memory(result, obj)
    if copy is False and not shared:
        raise ValueError(f"asarray(): can't alias {type(obj).__name__} with dtype={dtype}, device={device} without a copy")
    if isinstance(obj, Tensor) and result is obj and not requires_grad and obj.requires_grad:
        return obj.detach()
    return result.requires_grad_() if requires_grad else result


def _same_memory(result, source):
    array = source.array if isinstance(source, Tensor) else source
    return type(result.array) is type(array) and (not array.size or np.shares_memory(result.array, array))


@function()
def from_numpy(ndarray):
    """Return a tensor on the memory of a NumPy array: writing into one changes the other.

    TypeError for anything but an array of a supported dtype, ValueError for one with a negative stride or foreign byte
    order. Source: https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html

    >>> import minigrad as mg
    >>> from minigrad.backend import np
    >>> a = np.zeros(2, dtype="float32")
    >>> t = mg.from_numpy(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0.])
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if not ndarray.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
            "currently not supported."
        )
    from_numpy_dtype(ndarray.dtype)
    if any(step < 0 for step in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
            "currently supported. (You can probably work around this by making a copy of your array with array.copy().)"
        )
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable. Writing to the tensor will raise an error; copy the array first to "
            "get a writable tensor.",
            stacklevel=2,
        )
    result = wrap(ndarray if type(ndarray) is np.ndarray else ndarray.view(np.ndarray))
    result._aliased = True
    return result


@function()
def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """Return a 1-dimensional tensor on the memory of an object with Python's buffer interface."""
    chosen = as_dtype(dtype).dtype
    size = memoryview(buffer).nbytes
    if not 0 <= offset < size:
        raise ValueError(f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({size} bytes) minus 1")
    if count == 0 or count < -1:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if count == -1 and (size - offset) % chosen.itemsize:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a multiple of element size "
            f"({chosen.itemsize})"
        )
    if count > 0 and offset + count * chosen.itemsize > size:
        raise ValueError(
            f"requested buffer length ({count} * {chosen.itemsize} bytes) after offset ({offset} bytes) must not be greater "
            f"than actual buffer length ({size} bytes)"
        )
    array = np.frombuffer(buffer, chosen, count, offset)
    if not array.flags.writeable:
        warnings.warn("The given buffer is not writable. Writing to the tensor will raise an error.", stacklevel=2)
    result = finish(array, requires_grad)
    result._aliased = True
    return result


@function()
def from_dlpack(ext_tensor):
    """Return a tensor on the memory of any object with DLPack's interface (a NumPy, CuPy or PyTorch array)."""
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"from_dlpack expects an object with __dlpack__, but got {type(ext_tensor).__name__}")
    device_type = int(ext_tensor.__dlpack_device__()[0])
    if device_type == 2:  # kDLCUDA
        from minigrad.backend import cupy_module

        array = cupy_module().from_dlpack(ext_tensor)
    else:
        array = np.from_dlpack(ext_tensor)
    from_numpy_dtype(array.dtype)
    result = wrap(array)
    result._aliased = True
    return result


def _dlpack(self, **arguments):
    """Return a DLPack capsule on this tensor's memory; BufferError for a tensor that requires grad."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    self._mark_aliased()
    return self.array.__dlpack__(**arguments)


Tensor.__dlpack__ = _dlpack
Tensor.__dlpack_device__ = lambda self: self.array.__dlpack_device__()


# ---------------------------------------------------------------------- filled
def _filled_constructor(name, maker, summary):
    """Register the constructor of tensors filled by maker(module, shape, dtype)."""

    def constructor(
        *size, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, names=None, **named
    ):
        if named:
            size = _named_size(name, size, named)
        if layout is not None:
            check_layout(layout)
        if names is not None:
            raise RuntimeError(f"{name}(): named dimensions are not supported")
        if out is not None and dtype is None:
            dtype = out.dtype
        array = make(sizes_of(size, name), dtype, device, maker)
        return finish(array, requires_grad, pin_memory, out, name)

    constructor.__name__ = constructor.__qualname__ = name
    constructor.__doc__ = summary
    return function()(constructor)


def _named_size(name, size, named):
    """Return the size given by keyword; TypeError for any other keyword."""
    if set(named) != {"size"} or size:
        unexpected = ", ".join(sorted(set(named) - {"size"})) or "size"
        raise TypeError(f"{name}() got an unexpected keyword argument '{unexpected}'")
    return (named["size"],)


zeros = _filled_constructor(
    "zeros",
    _zeros,
    """Return a tensor of zeros of the given size (ints or one tuple).

    Keywords: out, dtype (default: the default dtype), device, requires_grad, pin_memory.

    >>> import minigrad as mg
    >>> mg.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """,
)
ones = _filled_constructor(
    "ones",
    _ones,
    """Return a tensor of ones of the given size (ints or one tuple); keywords as for zeros.

    >>> import minigrad as mg
    >>> mg.ones(3, dtype=mg.int64)
    tensor([1, 1, 1])
    """,
)


@function()
def empty(
    *size,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
    memory_format=None,
    **named,
):
    """Return an uninitialised tensor of the given size (ints or one tuple); keywords as for zeros, and memory_format."""
    if named:
        size = _named_size("empty", size, named)
    check_layout(layout)
    if memory_format is preserve_format:
        raise RuntimeError("empty(): unsupported memory format option Preserve")
    maker = _empty if memory_format is None else _formatted(memory_format)
    if out is not None and dtype is None:
        dtype = out.dtype
    return finish(make(sizes_of(size, "empty"), dtype, device, maker), requires_grad, pin_memory, out, "empty")


def _formatted(memory_format):
    return lambda module, shape, dtype: permuted_empty(shape, dtype, memory_format, module)


@function()
def full(
    size, fill_value, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, names=None
):
    """Return a tensor of the given size full of one number; the dtype defaults to the number's."""
    check_layout(layout)
    value = as_fill_value(fill_value, "full")
    if names is not None:
        raise RuntimeError("full(): named dimensions are not supported")
    if out is not None and dtype is None:
        dtype = out.dtype
    chosen = _inferred(value) if dtype is None else dtype
    shape = sizes_of((size,) if isinstance(size, int) else (tuple(size),), "full")
    array = make(shape, chosen, device, lambda module, shape, d: filled(module, shape, d, value))
    return finish(array, requires_grad, pin_memory, out, "full")


as_fill_value = fill_value  # full() and full_like() have a parameter of that name


@function()
def scalar_tensor(s, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Return a 0-dimensional tensor of a number, of the default dtype unless given."""
    return full((), s, dtype=default_dtype_of(dtype), layout=layout, device=device, requires_grad=requires_grad, pin_memory=pin_memory)


def default_dtype_of(dtype):
    """Return a dtype argument, or the default floating-point type for None."""
    return from_numpy_dtype(default_float()) if dtype is None else dtype


@function()
def empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Return an uninitialised tensor with the given size and strides (in elements)."""
    check_layout(layout)
    shape, steps = sizes_of((tuple(size),), "empty_strided"), tuple(stride)
    if len(shape) != len(steps):
        raise RuntimeError(
            f"empty_strided: dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(steps)})"
        )
    if any(step < 0 for step in steps):
        raise RuntimeError(f"empty_strided: Negative strides are not supported at the moment, got strides: {list(steps)}")

    def maker(module, shape, dtype):
        reach = 0 if 0 in shape else 1 + sum((length - 1) * step for length, step in zip(shape, steps))
        memory = module.empty(reach, dtype)
        return strided_view(memory, shape, steps)

    return finish(make(shape, dtype, device, maker), requires_grad, pin_memory)


# ---------------------------------------------------------------------- like another tensor
def made_like(input, dtype, device, memory_format, maker):
    """Return maker's array with the shape, dtype, device and memory order of a tensor where not given otherwise."""
    array = input.array
    chosen = array.dtype if dtype is None else as_dtype(dtype).dtype
    target = array_device(array) if device is None else as_device(device)
    module, context = module_for(target)
    with context:
        out = maker(module, array.shape, chosen)
        if memory_format is None or memory_format is preserve_format:
            if array.flags.c_contiguous or array.size < 2:
                return out
            order = sorted(builtins.range(array.ndim), key=lambda dim: -array.strides[dim])
            ordered = module.empty([array.shape[dim] for dim in order], chosen)
            result = ordered.transpose([order.index(dim) for dim in builtins.range(array.ndim)])
        elif memory_format is contiguous_format:
            return out
        else:
            result = permuted_empty(array.shape, chosen, memory_format, module)
        result[...] = out
        return result


def _check_tensor(input, name):
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")


def _like(name, maker):
    """Register the function NAME_like of a maker(module, shape, dtype)."""

    def like(input, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None):
        _check_tensor(input, f"{name}_like")
        check_layout(layout)
        array = made_like(input, dtype, device, memory_format, maker)
        return finish(array, requires_grad, pin_memory)

    like.__name__ = like.__qualname__ = f"{name}_like"
    like.__doc__ = f"Return a tensor as made by {name}() with the input's shape, dtype and device unless given."
    return function()(like)


zeros_like = _like("zeros", _zeros)
ones_like = _like("ones", _ones)
empty_like = _like("empty", _empty)


@function()
def full_like(
    input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None
):
    """Return a tensor full of one number with the input's shape, dtype and device unless given."""
    _check_tensor(input, "full_like")
    check_layout(layout)
    value = as_fill_value(fill_value, "full_like")
    array = made_like(input, dtype, device, memory_format, lambda module, shape, d: filled(module, shape, d, value))
    return finish(array, requires_grad, pin_memory)


def _new_constructor(name, maker):
    """Register the method Tensor.new_NAME of a maker(module, shape, dtype)."""

    def constructor(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **named):
        if named:
            size = _named_size(f"new_{name}", size, named)
        check_layout(layout)
        array = make(
            sizes_of(size, f"new_{name}"), self.dtype if dtype is None else dtype, self.device if device is None else device, maker
        )
        return finish(array, requires_grad, pin_memory)

    constructor.__name__ = constructor.__qualname__ = f"new_{name}"
    constructor.__doc__ = f"Return a tensor as made by {name}() of this tensor's dtype and device unless given."
    return function(method=True, public=False)(constructor)


new_zeros = _new_constructor("zeros", _zeros)
new_ones = _new_constructor("ones", _ones)
new_empty = _new_constructor("empty", _empty)


@function(method=True, public=False)
def new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """Return a tensor full of one number, of this tensor's dtype and device unless given."""
    dtype, device = self.dtype if dtype is None else dtype, self.device if device is None else device
    return full(
        size, fill_value, dtype=dtype, device=device, requires_grad=requires_grad, layout=layout, pin_memory=pin_memory
    )


@function(method=True, public=False)
def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """Return a new tensor with a copy of the data, of this tensor's dtype and device unless given."""
    check_layout(layout)
    dtype, device = self.dtype if dtype is None else dtype, self.device if device is None else device
    return finish(copied(data, dtype, device), requires_grad, pin_memory)


@function(method=True, public=False)
def new_empty_strided(self, size, stride, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Return an uninitialised tensor with the given size and strides, of this tensor's dtype and device unless given."""
    dtype, device = self.dtype if dtype is None else dtype, self.device if device is None else device
    return empty_strided(
        size, stride, dtype=dtype, device=device, layout=layout, requires_grad=requires_grad, pin_memory=pin_memory
    )


@function(method=True, public=False)
def new(self, *args, device=None):
    """Return a tensor of this one's dtype and device made like the legacy constructor does: of a size or of data."""
    if len(args) == 1 and isinstance(args[0], Tensor):
        return args[0].detach().to(dtype=self.dtype)
    array = Tensor(*args, dtype=self.dtype, device="cpu").array
    return wrap(move(array, self.device if device is None else as_device(device)))


# ---------------------------------------------------------------------- counted
def _number(value, name, argument):
    """Return a number or 0-d tensor as a Python number."""
    if isinstance(value, Tensor) and value.array.size == 1:
        return value.array.item()
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name}(): argument '{argument}' must be Number, not {type(value).__name__}")
    return value


@function()
def arange(
    start, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Return the numbers start, start + step, … below end: ceil((end - start) / step) of them.

    ``arange(end)`` starts at 0. The dtype is int64 if all arguments are ints, else the default float. RuntimeError for
    step 0 or bounds on the wrong sides. Source: https://docs.pytorch.org/docs/stable/generated/torch.arange.html

    >>> import minigrad as mg
    >>> mg.arange(1, 4)
    tensor([1, 2, 3])
    """
    check_layout(layout)
    if end is None:
        start, end = 0, start
    start, end, step = (_number(v, "arange", n) for v, n in ((start, "start"), (end, "end"), (step, "step")))
    if step == 0:
        raise RuntimeError("arange(): step must be nonzero")
    if any(isinstance(v, float) and not math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"arange(): unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange(): upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    if dtype is None:
        dtype = out.dtype if out is not None else np.dtype(np.int64) if _all_ints(start, end, step) else default_float()
    kind = as_dtype(dtype).dtype.kind
    if kind == "b":
        raise RuntimeError("arange() is not implemented for 'Bool'")
    if as_dtype(dtype).dtype == np.int64:
        count = -((int(start) - int(end)) // int(step)) if int(step) else math.ceil((end - start) / step)
    else:
        count = math.ceil((end - start) / step)
    if kind in "iu":  # for smaller types elements are counted before start and step are truncated, as in PyTorch
        start, step = int(start), int(step)
        if step == 0 and out is not None:
            raise ValueError("arange(): step must be nonzero")

    def maker(module, shape, dtype):
        if dtype.kind in "iu":
            return (start + step * module.arange(count, dtype="int64")).astype(dtype, copy=False)
        return (start + step * module.arange(count, dtype="float64")).astype(dtype)

    return finish(make(None, dtype, device, maker), requires_grad, pin_memory, out, "arange")


def _all_ints(*values):
    return all(isinstance(value, int) for value in values)


@function()
def range(start, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):  # noqa: A001
    """Return start, start + step, … up to and including end, as floats; deprecated in favour of arange."""
    warnings.warn(
        "minigrad.range is deprecated, as PyTorch's is, because its behavior is inconsistent with Python's range builtin. "
        "Instead, use minigrad.arange, which produces values in [start, end).",
        stacklevel=2,
    )
    if end is None:
        start, end = 0, start
    start, end, step = (_number(v, "range", n) for v, n in ((start, "start"), (end, "end"), (step, "step")))
    if step == 0:
        raise RuntimeError("range(): step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("range(): upper bound and lower bound inconsistent with step sign")
    count = math.floor((end - start) / step) + 1
    values = arange(count, dtype=default_float() if dtype is None else dtype, device=device, layout=layout).array
    return finish((values * step + start).astype(values.dtype), requires_grad, False, out, "range")


def _endpoint(value, name, argument):
    """Return an endpoint of linspace or logspace as a number: 0-d tensors are accepted, as in PyTorch."""
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise RuntimeError(f"{name}: only supports 0-dimensional {argument} and end tensors")
        return value.array.item()
    if isinstance(value, complex):
        return value
    return _number(value, name, argument)


@function()
def linspace(
    start, end, steps=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Return ``steps`` evenly spaced numbers from start to end, both included.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linspace.html

    >>> import minigrad as mg
    >>> mg.linspace(0, 1, steps=5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    check_layout(layout)
    start, end, count = _endpoint(start, "linspace", "start"), _endpoint(end, "linspace", "end"), _steps(steps, "linspace")
    dtype = _line_dtype(start, end, dtype, out)

    def maker(module, shape, dtype):
        return _line(module, start, end, count, dtype)

    return finish(make(None, dtype, device, maker), requires_grad, pin_memory, out, "linspace")


@function()
def logspace(
    start, end, steps=None, base=10.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Return ``base`` to the power of ``steps`` evenly spaced numbers from start to end."""
    check_layout(layout)
    start, end, count = _endpoint(start, "logspace", "start"), _endpoint(end, "logspace", "end"), _steps(steps, "logspace")
    dtype = _line_dtype(start, end, dtype, out)

    def maker(module, shape, dtype):
        wide = "complex128" if dtype.kind == "c" else "float64"
        ends = (int(start), int(end)) if dtype.kind in "iu" else (start, end)
        line = _line(module, *ends, count, np.dtype(wide))
        return (float(base) ** line).astype(dtype)

    return finish(make(None, dtype, device, maker), requires_grad, pin_memory, out, "logspace")


def _line(module, start, end, count, dtype):
    """Return evenly spaced numbers, computed from both ends so that each is symmetric to its mirror image."""
    if count == 1:
        return module.full(1, start, dtype)
    if dtype.kind in "iu":  # PyTorch steps in float32 here, then truncates
        start, end = int(start), int(end)
        step = np.float32(end - start) / np.float32(count - 1) if count > 1 else np.float32(0)
        wide = np.dtype("float32")
    else:
        wide = np.dtype("complex128") if dtype.kind == "c" else np.dtype("float64")
        step = (end - start) / max(count - 1, 1)
    numbers = module.arange(count, dtype=wide)
    half = count // 2
    line = module.empty(count, wide)
    line[:half] = start + step * numbers[:half]
    line[half:] = end - step * (count - 1 - numbers[half:])
    return line.astype(dtype)


def _line_dtype(start, end, dtype, out):
    """Return the dtype of a line of numbers."""
    if dtype is not None:
        return dtype
    if out is not None:
        return out.dtype
    if isinstance(start, complex) or isinstance(end, complex):
        return np.dtype(np.complex128 if default_float().itemsize == 8 else np.complex64)
    return default_float()


def _steps(steps, name):
    if steps is None:
        raise TypeError(f"{name}(): missing the argument 'steps'")
    steps = _index(steps) if not isinstance(steps, int) else steps
    if steps < 0:
        raise RuntimeError(f"{name}(): number of steps must be non-negative, but got {steps}")
    return steps


@function()
def eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Return the n×m matrix (m defaults to n) with ones on the diagonal."""
    check_layout(layout)
    m = n if m is None else m
    for value, name in ((n, "n"), (m, "m")):
        if not hasattr(value, "__index__"):
            raise TypeError(f"eye(): argument '{name}' must be int, not {type(value).__name__}")
        if value < 0:
            raise RuntimeError(f"eye(): {name} must be greater or equal to 0, got {value}")
    if out is not None and dtype is None:
        dtype = out.dtype
    array = make(None, dtype, device, lambda module, shape, dtype: module.eye(int(n), int(m), dtype=dtype))
    return finish(array, requires_grad, pin_memory, out, "eye")


def _triangle(row, col, offset, dtype, device, layout, pick, name):
    check_layout(layout)
    if row < 0 or col < 0:
        raise RuntimeError(f"{name}(): row and col must be non-negative, got {row} and {col}")
    chosen = np.dtype(np.int64) if dtype is None else dtype
    if as_dtype(chosen).dtype.kind not in "iu":
        raise RuntimeError(f"{name}() is not implemented for {as_dtype(chosen)}")

    def maker(module, shape, dtype):
        rows, columns = module.nonzero(pick(module, module.ones((row, col), "bool"), offset))
        return module.stack([rows, columns]).astype(dtype)

    return wrap(make(None, chosen, device, maker))


@function()
def tril_indices(row, col, offset=0, *, dtype=None, device=None, layout=None):
    """Return the (row, column) indices, (2, N), of the lower triangle of a row×col matrix."""
    return _triangle(row, col, offset, dtype, device, layout, lambda m, ones, k: m.tril(ones, k), "tril_indices")


@function()
def triu_indices(row, col, offset=0, *, dtype=None, device=None, layout=None):
    """Return the (row, column) indices, (2, N), of the upper triangle of a row×col matrix."""
    return _triangle(row, col, offset, dtype, device, layout, lambda m, ones, k: m.triu(ones, k), "triu_indices")


@function()
def combinations(input, r=2, with_replacement=False):
    """Return the combinations of r elements of a 1-dimensional tensor, one a row, in the order of itertools."""
    if input.array.ndim != 1:
        raise RuntimeError(f"combinations(): Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"combinations(): Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(xp(input.array).empty((0,), input.array.dtype))
    count = input.array.shape[0]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(np.arange(count), r)), dtype=np.int64).reshape(-1, r)
    return input[wrap(move(rows, input.device))]


def _vander_power(x, count, increasing):
    """Return the exponents of a Vandermonde matrix's columns."""
    powers = np.arange(count)
    return wrap(move(powers if increasing else powers[::-1].copy(), x.device))


@function()
def vander(x, N=None, *, increasing=False):  # noqa: N803 - PyTorch's name
    """Return the matrix of powers of a 1-dimensional tensor, highest first unless increasing."""
    if x.array.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.array.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    return x.unsqueeze(-1) ** _vander_power(x, count, increasing)


