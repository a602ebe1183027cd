"""Between dtypes, devices and memory formats; copies; what a tensor is."""

from minigrad import printing
from minigrad.backend import (
    REAL_CODES,
    array_device,
    as_dtype,
    asarray_like,
    device,
    dtype,
    from_numpy_dtype,
    move,
    np,
    result_dtype,
    set_default_device,
    set_default_dtype,
    storable,
    xp,
)
from minigrad.backend import is_pinned as array_is_pinned
from minigrad.backend.devices import pinned_copy
from minigrad.backend.switches import GPUS
from minigrad.inplace import check_writable, overwrite_tensor
from minigrad.op import Op
from minigrad.ops.arguments import as_int, check_tensor, type_name
from minigrad.ops.core import cast
from minigrad.ops.creation import as_fill_value
from minigrad.ops.layout import (
    channels_last,
    channels_last_3d,
    check_memory_format,
    contiguous_format,
    in_memory_format,
    is_channels_last,
    preserve_format,
    strided,
)
from minigrad.ops.shape import clone_op, contiguous_op, expanded_shape, reshape_op
from minigrad.registry import FUNCTIONS, METHODS, function
from minigrad.tensor import Tensor, as_device, wrap
from minigrad.variable import MODE, is_tracked, touch, version_of, writes_of

# ---------------------------------------------------------------------- ops
transfer = Op(
    lambda x, *, target, source, non_blocking=False: move(x, target, non_blocking),
    [lambda g, target, source: transfer(g, target=source, source=target)],
    name="to_device",
)
_pinned_copy = Op(lambda x: pinned_copy(x), [lambda g: g], name="pin_memory")
_formatted = Op(lambda x, *, memory_format: in_memory_format(x, memory_format), [lambda g: g], name="to_memory_format")
_filled = Op(lambda x, *, value: xp(x).full(x.shape, asarray_like(value, x), x.dtype), [lambda g: g * 0], name="fill")
_copied_from = Op(
    lambda x, source: xp(x).broadcast_to(source, x.shape).astype(x.dtype),
    [lambda g: g * 0, lambda g, source_shape, source_dtype: _cast_and_sum(g, source_shape, source_dtype)],
    name="copy",
)


def _cast_and_sum(g, shape, numpy_dtype):
    from minigrad.ops.core import sum_to

    summed = g if tuple(g.shape) == tuple(shape) else sum_to(g, shape=tuple(shape))
    return cast(summed, dtype=numpy_dtype)


# ---------------------------------------------------------------------- dtype and device
def convert(tensor, numpy_dtype=None, target=None, copy=False, memory_format=None, non_blocking=False):
    """Return the tensor with a dtype, device and memory format; itself where nothing changes, unless copy."""
    result = tensor
    if target is not None:
        source = array_device(tensor.array)
        if target.type != source.type or target.index not in (None, source.index):
            options = {"non_blocking": True} if non_blocking else {}
            result = transfer(result, target=target, source=source, **options)
    if numpy_dtype is not None and result.array.dtype != numpy_dtype:
        result = cast(result, dtype=numpy_dtype)
    if memory_format is not None and memory_format is not preserve_format:
        # Without another reason for a copy, strides that are in no channels-last order pass for contiguous.
        if copy or result is not tensor or memory_format is not contiguous_format or _lies_channels_last(tensor.array):
            result = to_memory_format(result, memory_format)
    return clone_op(result) if copy and result is tensor else result


def _lies_channels_last(array):
    return any(is_channels_last(array, chosen) for chosen in (channels_last, channels_last_3d))


def to_memory_format(tensor, memory_format):
    """Return a tensor whose elements lie in memory in a format: itself if they do already."""
    check_memory_format(memory_format)
    if memory_format is preserve_format:
        return tensor
    array = tensor.array
    if in_memory_format(array, memory_format) is array:
        return tensor
    return _formatted(tensor, memory_format=memory_format)


@function(method=True, public=False)
def to(self, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None, other=None):
    """Return the tensor with another dtype and/or device: ``to(dtype)``, ``to(device, dtype)``, ``to(other)``.

    The tensor itself is returned where nothing changes, unless ``copy``. With non_blocking, copies to a GPU from
    page-locked memory (pin_memory()), and to the CPU, which then are in such memory, go on behind the program's back:
    before the values of the latter are looked at, cuda.synchronize(). RuntimeError where there is no such GPU.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to.html

    >>> import minigrad as mg
    >>> mg.tensor([1.5, 2.5]).to(mg.int64)
    tensor([1, 2])
    """
    if len(args) == 1 and not (non_blocking or copy or memory_format or other is not None):
        first = args[0]
        if first.__class__ is _DTYPE:
            if device is not None or dtype is not None:
                raise TypeError("to() received an invalid combination of arguments")
            return self if self.array.dtype == first.dtype else cast(self, dtype=first.dtype)
        if (first.__class__ is str or first.__class__ is _DEVICE) and dtype is None and device is None:
            if str(first) == "cpu" and self.array.__class__ is np.ndarray:
                return self
    args = list(args)
    if args and isinstance(args[0], Tensor):
        other = args.pop(0)
    elif args and (args[0] is None or isinstance(args[0], (str, _DEVICE)) or _is_index(args[0])):
        device = args.pop(0) if device is None else _twice("device")
        if args and not isinstance(args[0], bool):
            dtype = args.pop(0) if dtype is None else _twice("dtype")
    elif args:
        dtype = args.pop(0) if dtype is None else _twice("dtype")
    if args:
        non_blocking = args.pop(0)
    if args:
        copy = args.pop(0)
    if args or not isinstance(non_blocking, bool) or not isinstance(copy, bool):
        raise TypeError("to() received wrong arguments: expected dtype, device or tensor, non_blocking, copy")
    if other is not None:
        device, dtype = other.device, other.dtype
    numpy_dtype = None if dtype is None else as_dtype(dtype).dtype
    target = None if device is None else as_device(device)
    return convert(self, numpy_dtype, target, copy, memory_format, non_blocking)


_DTYPE, _DEVICE = dtype, device  # to() has parameters of these names


def _is_index(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _twice(name):
    raise TypeError(f"to() got multiple values for argument '{name}'")


def _dtype_method(name, type_name):
    """Register the method that converts to one dtype."""
    chosen = as_dtype(type_name)

    def conversion(self, memory_format=None):
        target = chosen.dtype  # that of bfloat16 is loaded only now
        if self.array.dtype == target and memory_format is None:
            return self
        return convert(self, target, None, False, memory_format)

    conversion.__name__ = conversion.__qualname__ = name
    conversion.__doc__ = (
        f"Return the tensor as {type_name}; itself if it is that already.\n\n"
        f"    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.{name}.html\n\n"
        f"    >>> import minigrad as mg\n    >>> mg.tensor([0, 1]).{name}().dtype\n    minigrad.{type_name}\n    "
    )
    return function(method=True, public=False)(conversion)


for _name, _type in (
    ("float", "float32"),
    ("double", "float64"),
    ("half", "float16"),
    ("bfloat16", "bfloat16"),
    ("int", "int32"),
    ("long", "int64"),
    ("short", "int16"),
    ("char", "int8"),
    ("byte", "uint8"),
    ("bool", "bool"),
    ("cfloat", "complex64"),
    ("cdouble", "complex128"),
):
    _dtype_method(_name, _type)


@function(method=True, public=False)
def cpu(self, memory_format=None):
    """Return the tensor on the CPU; itself if it is there already.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.cpu.html

    >>> import minigrad as mg
    >>> mg.ones(2).cpu()
    tensor([1., 1.])
    """
    return convert(self, None, as_device("cpu"), False, memory_format)


@function(method=True, public=False)
def cuda(self, device=None, non_blocking=False, memory_format=None):
    """Return the tensor on a GPU (the current one by default); RuntimeError where there is none.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.cuda.html

    >>> import minigrad as mg
    >>> mg.ones(2).cuda().is_cuda if mg.cuda.is_available() else True
    True
    """
    target = as_device("cuda" if device is None else device)
    if target.type != "cuda":
        raise RuntimeError(f"Invalid device, must be cuda device, but got {target}")
    return convert(self, None, target, False, memory_format, non_blocking)


# The names of the legacy tensor types, which Tensor.type() still speaks.
LEGACY_TYPES = {
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "HalfTensor": "float16",
    "BFloat16Tensor": "bfloat16",
    "IntTensor": "int32",
    "LongTensor": "int64",
    "ShortTensor": "int16",
    "CharTensor": "int8",
    "ByteTensor": "uint8",
    "BoolTensor": "bool",
    "ComplexFloatTensor": "complex64",
    "ComplexDoubleTensor": "complex128",
}
_LEGACY_NAMES = {name: legacy for legacy, name in LEGACY_TYPES.items()}


@function(method=True, public=False)
def type(self, dtype=None, non_blocking=False):  # noqa: A001 - PyTorch's name
    """Return the legacy name of the tensor's type, such as ``torch.FloatTensor``, or the tensor converted to a type.

    A type is a dtype, a legacy name (with ``torch.`` or ``minigrad.`` before it) or a legacy class.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.type.html

    >>> import minigrad as mg
    >>> mg.ones(2).type()
    'torch.FloatTensor'
    >>> mg.ones(2).type(mg.int64)
    tensor([1, 1])
    """
    if dtype is None:
        legacy = _LEGACY_NAMES.get(self.dtype.name, self.dtype.name)
        return f"torch.cuda.{legacy}" if self.is_cuda else f"torch.{legacy}"
    if isinstance(dtype, str):
        module, _, legacy = dtype.rpartition(".")
        if legacy not in LEGACY_TYPES or module not in ("torch", "minigrad", "torch.cuda", "minigrad.cuda"):
            raise ValueError(f"invalid type: '{dtype}'")
        target = as_device("cuda" if module.endswith("cuda") else "cpu")
        return convert(self, as_dtype(LEGACY_TYPES[legacy]).dtype, target, non_blocking=non_blocking)
    legacy = getattr(dtype, "legacy_type", None)
    if legacy is not None:
        return convert(
            self, legacy.dtype, as_device("cuda" if dtype.on_cuda else "cpu"), non_blocking=non_blocking
        )  # fmt: skip
    return convert(self, as_dtype(dtype).dtype)


@function(method=True, public=False)
def type_as(self, other):
    """Return the tensor with the other's dtype and device.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.type_as.html

    >>> import minigrad as mg
    >>> mg.ones(2).type_as(mg.tensor([1]))
    tensor([1, 1])
    """
    return convert(self, other.array.dtype, other.device)


# ---------------------------------------------------------------------- copies
@function(method=True, public=False)
def contiguous(self, memory_format=None):
    """Return the tensor itself if its elements lie in order without gaps, else a copy that does.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.contiguous.html

    >>> import minigrad as mg
    >>> mg.ones(2, 3).t().contiguous().stride()
    (2, 1)
    """
    if memory_format is not None and memory_format is not contiguous_format:
        return to_memory_format(self, memory_format)
    if self.array.flags.c_contiguous:
        return self
    return contiguous_op(self)


@function(method=True)
def clone(input, *, memory_format=None):
    """Return a copy of the tensor; gradients flow through.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.clone.html

    >>> import minigrad as mg
    >>> mg.clone(mg.ones(2))
    tensor([1., 1.])
    """
    if memory_format is not None and memory_format is not preserve_format:
        check_memory_format(memory_format)
        converted = to_memory_format(input, memory_format)
        return clone_op(input) if converted is input else converted
    return clone_op(input)


@function(method=True)
def detach_copy(input):
    """Return an untracked copy of the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html

    >>> import minigrad as mg
    >>> mg.detach_copy(mg.ones(2, requires_grad=True))
    tensor([1., 1.])
    """
    return wrap(input.array.copy())


@function(method=True, public=False)
def copy_(self, src, non_blocking=False):
    """Write the elements of src, which is broadcast and converted, into this tensor, in place; returns it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.copy_.html

    >>> import minigrad as mg
    >>> mg.zeros(2).copy_(mg.tensor([1, 2]))
    tensor([1., 2.])
    """
    if isinstance(src, (bool, int, float, complex)):
        src = wrap(np.array(src))
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type_name(src)}")
    expanded_shape(src.array.shape, self.array.shape, "copy_")
    array = src.array
    if array.__class__ is not self.array.__class__ or (GPUS and array_device(array) != array_device(self.array)):
        src = convert(src, None, array_device(self.array), non_blocking=non_blocking and self.is_cuda)
        array = src.array
    if self is src:
        return self
    if MODE.grad and (is_tracked(self) or is_tracked(src) or (self._base is not None and is_tracked(self._base))):
        check_writable(self, "copy_")
        return overwrite_tensor(self, _copied_from(self, src))
    return _written(self, array)


def _written(tensor, array):
    """Write a raw array or number into a tensor's memory."""
    try:
        tensor.array[...] = array
    except ValueError as error:
        if "read-only" in str(error):
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory "
                "location, "
                "or its memory is read-only. Please clone() the tensor before performing the operation."
            ) from None
        raise
    touch(tensor.array)
    return tensor


@function(method=True)
def fill_(self, value):
    """Fill the tensor with a number (or 0-dimensional tensor), in place; returns it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.fill_.html

    >>> import minigrad as mg
    >>> mg.zeros(2).fill_(3)
    tensor([3., 3.])
    """
    if isinstance(value, Tensor) and value.array.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value.array.ndim} dimensions."
        )
    if MODE.grad and (is_tracked(self) or (isinstance(value, Tensor) and is_tracked(value)) or self._base is not None):
        check_writable(self, "fill_")
        if isinstance(value, Tensor):
            return copy_(self, value)
        return overwrite_tensor(self, _filled(self, value=as_fill_value(value, "fill_")))
    number = storable(as_fill_value(value, "fill_"), self.array.dtype)
    return _written(self, number if self.array.dtype.char in REAL_CODES else asarray_like(number, self.array))


@function(method=True)
def fill(input, value):
    """Return a copy of the tensor filled with a number (or 0-dimensional tensor).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.fill_.html

    >>> import minigrad as mg
    >>> mg.fill(mg.zeros(2), 3)
    tensor([3., 3.])
    """
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise RuntimeError(
                f"fill only supports 0-dimension value tensor but got tensor with {value.array.ndim} dimensions."
            )
        return _copied_from(input, value)
    return _filled(input, value=as_fill_value(value, "fill"))


@function(method=True)
def zero_(self):
    """Fill the tensor with zeros, in place; returns it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.zero_.html

    >>> import minigrad as mg
    >>> mg.ones(2).zero_()
    tensor([0., 0.])
    """
    return fill_(self, 0)


@function(method=True, public=False)
def set_(self, source=None, storage_offset=0, size=None, stride=None):
    """Give this tensor the memory, shape and strides of another, or a view of a storage; returns it.

    Arguments: source (Tensor or storage), storage_offset (elements before the first), size, stride (of elements).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.set_.html

    >>> import minigrad as mg
    >>> mg.zeros(2).set_(mg.ones(3))
    tensor([1., 1., 1.])
    """
    version = version_of(self) + 1
    if source is None:
        self.array, self._written = xp(self.array).empty((0,), self.array.dtype), version
        return self
    if not isinstance(source, Tensor):
        flat = source._root.reshape(-1)
        if flat.dtype != self.array.dtype:
            flat = flat.view(self.array.dtype)
        source = wrap(flat)
        size = (flat.size - storage_offset,) if size is None else size
    if size is not None:
        strides = METHODS["stride"](wrap(np.empty(tuple(size), bool))) if stride is None else stride
        source = METHODS["as_strided"](source, size, strides, storage_offset)
    if source.array.dtype != self.array.dtype:
        raise RuntimeError(f"Could not set tensor of type {source.dtype} to a tensor of type {self.dtype}")
    source._mark_aliased()
    self.array, self._written = source.array, version - writes_of(source.array)
    return self


@function(method=True, public=False)
def resize_(self, *sizes, memory_format=None):
    """Change the shape in place, keeping the first elements; new ones are uninitialised. Returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.resize_.html

    >>> import minigrad as mg
    >>> mg.tensor([1, 2, 3, 4]).resize_(2)
    tensor([1, 2])
    """
    shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    shape = tuple([as_int(length, "resize_()") for length in shape])
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    array = self.array
    if array.shape == shape:
        return self
    count = int(np.prod(shape, dtype=np.int64))
    flat = array.reshape(-1)
    if count > array.size:
        larger = xp(array).empty(count, array.dtype)
        larger[: array.size] = flat
        flat = larger
    version = version_of(self) + 1
    self.array = flat[:count].reshape(shape)
    touch(self.array)
    self._written = version - writes_of(self.array)
    return self


@function(method=True)
def resize_as_(self, the_template, memory_format=None):
    """Change the shape in place to another tensor's; see resize_.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.resize_as_.html

    >>> import minigrad as mg
    >>> mg.tensor([1, 2, 3, 4]).resize_as_(mg.zeros(2, 2))
    tensor([[1, 2],
            [3, 4]])
    """
    return resize_(self, the_template.array.shape, memory_format=memory_format)


@function(method=True, public=False)
def resize(self, *sizes):
    """Return the elements in another shape of as many; deprecated: use reshape, or resize_ to change the memory.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.reshape.html

    >>> import minigrad as mg
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     mg.arange(4).resize(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    import warnings

    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    return reshape_op(self, shape=tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes)


# ---------------------------------------------------------------------- what it is
@function()
def is_tensor(obj):
    """Return whether an object is a Tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.is_tensor.html

    >>> import minigrad as mg
    >>> mg.is_tensor(mg.ones(1))
    True
    """
    return isinstance(obj, Tensor)


@function()
def is_floating_point(input):
    """Return whether a tensor's elements are floating-point numbers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.is_floating_point.html

    >>> import minigrad as mg
    >>> mg.is_floating_point(mg.ones(1))
    True
    """
    check_tensor(input, "is_floating_point")
    return input.is_floating_point()


@function()
def is_complex(input):
    """Return whether a tensor's elements are complex numbers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.is_complex.html

    >>> import minigrad as mg
    >>> mg.is_complex(mg.tensor([1j]))
    True
    """
    check_tensor(input, "is_complex")
    return input.is_complex()


@function(method=True)
def is_nonzero(input):
    """Return whether the single element of a tensor is not zero.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.is_nonzero.html

    >>> import minigrad as mg
    >>> mg.is_nonzero(mg.tensor([2.0]))
    True
    """
    if input.array.size != 1:
        raise RuntimeError(
            f"Boolean value of Tensor with {'no' if not input.array.size else 'more than one'} value is ambiguous"
        )
    return input.array.item() != 0


@function(method=True)
def is_same_size(input, other):
    """Return whether two tensors have the same shape.

    >>> import minigrad as mg
    >>> mg.is_same_size(mg.ones(2), mg.zeros(2))
    True
    """
    return input.array.shape == other.array.shape


@function(method=True, public=False)
def is_set_to(self, tensor):
    """Return whether two tensors look at the same elements of the same memory.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.is_set_to.html

    >>> import minigrad as mg
    >>> x = mg.ones(2)
    >>> x.is_set_to(x), x.is_set_to(mg.ones(2))
    (True, False)
    """
    a, b = self.array, tensor.array
    return self.data_ptr() == tensor.data_ptr() and a.shape == b.shape and a.strides == b.strides


@function()
def numel(input):
    """Return the number of elements of a tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.numel.html

    >>> import minigrad as mg
    >>> mg.numel(mg.ones(2, 3))
    6
    """
    check_tensor(input, "numel")
    return input.array.size


def is_contiguous(self, memory_format=contiguous_format):
    """Return whether the elements lie in memory in a format (row-major by default) without gaps.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.is_contiguous.html

    >>> import minigrad as mg
    >>> x = mg.ones(2, 3)
    >>> x.is_contiguous(), x.t().is_contiguous()
    (True, False)
    """
    if memory_format is contiguous_format:
        return self.array.flags.c_contiguous
    check_memory_format(memory_format)
    if memory_format not in (channels_last, channels_last_3d):
        raise RuntimeError(f"is_contiguous: unsupported memory format {memory_format}")
    return is_channels_last(self.array, memory_format)


METHODS["is_contiguous"] = Tensor.is_contiguous = is_contiguous
Tensor.layout = property(lambda self: strided, doc="How the elements are stored: always strided.")


def _no_flag(doc):
    return property(lambda self: False, doc=doc)


Tensor.is_sparse = _no_flag("Whether the tensor is sparse: never.")
Tensor.is_quantized = _no_flag("Whether the tensor is quantized: never.")
Tensor.is_meta = _no_flag("Whether the tensor has no data: never.")
Tensor.is_mkldnn = _no_flag("Whether the tensor has oneDNN's layout: never.")
Tensor.is_mps = _no_flag("Whether the tensor lives on an Apple GPU: never.")
Tensor.is_xpu = _no_flag("Whether the tensor lives on an Intel GPU: never.")
Tensor.is_nested = _no_flag("Whether the tensor is a nested one: never.")
for _kind in ("ipu", "maia", "mtia", "vulkan", "xla", "sparse_csr"):
    setattr(Tensor, "is_" + _kind, _no_flag(f"Whether the tensor is one of {_kind}: never."))
Tensor.output_nr = property(
    lambda self: self.node.params["index"] if getattr(self, "node", None) and self.node.op.name == "pick" else 0,
    doc="Which of its operation's results the tensor is.",
)
Tensor.name = property(lambda self: None, doc="The name of a traced program's tensor: none.")
Tensor.is_cpu = property(lambda self: not self.is_cuda, doc="Whether the tensor lives on the CPU.")
Tensor.names = property(lambda self: (None,) * self.array.ndim, doc="The names of the dimensions: none.")


@function(method=True, public=False)
def dim_order(self):
    """Return the dimensions from the slowest to the fastest in memory.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.dim_order.html

    >>> import minigrad as mg
    >>> mg.ones(2, 3).t().dim_order()
    (1, 0)
    """
    strides = self.array.strides
    return tuple(sorted(range(len(strides)), key=lambda dim: (-strides[dim], dim)))


@function(method=True, public=False)
def pin_memory(self):
    """Return the tensor in page-locked memory, from which GPUs copy by themselves: itself if it lies there already.

    RuntimeError without a GPU, and for tensors on one.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.pin_memory.html

    >>> import minigrad as mg
    >>> mg.ones(2).pin_memory().is_pinned() if mg.cuda.is_available() else True
    True
    """
    return self if array_is_pinned(self.array) else _pinned_copy(self)


@function(method=True, public=False)
def is_pinned(self):
    """Return whether the memory is page-locked.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.is_pinned.html

    >>> import minigrad as mg
    >>> mg.ones(2).is_pinned()
    False
    """
    return array_is_pinned(self.array)


@function(method=True, public=False)
def record_stream(self, s):
    """Keep the memory of a tensor on a GPU, once it is freed, until a stream ``s`` that uses it has done so.

    Needed only where another stream than the one the tensor was made on works with it. RuntimeError on the CPU.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.record_stream.html

    >>> import minigrad as mg
    >>> if mg.cuda.is_available():
    ...     mg.ones(2).cuda().record_stream(mg.cuda.current_stream())
    """
    if not self.is_cuda:
        raise RuntimeError("record_stream: a tensor on the CPU is used by no stream")
    from minigrad.backend.gpu import used_by

    used_by(self.array, s._stream)


@function(method=True, public=False)
def share_memory_(self):
    """Move the memory to where other processes of a fork see it too, in place; returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.share_memory_.html

    >>> import minigrad as mg
    >>> mg.ones(2).share_memory_()
    tensor([1., 1.])
    """
    if self.is_cuda:
        return self
    if not is_shared(self):
        import mmap

        block = mmap.mmap(-1, max(1, self.array.nbytes))
        shared = np.frombuffer(block, self.array.dtype, self.array.size).reshape(self.array.shape)
        shared[...] = self.array
        self.array = shared
    return self


@function(method=True, public=False)
def is_shared(self):
    """Return whether other processes of a fork see writes to the memory.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.is_shared.html

    >>> import minigrad as mg
    >>> x = mg.ones(2)
    >>> x.is_shared(), x.share_memory_().is_shared()
    (False, True)
    """
    if self.is_cuda:
        return True
    import mmap

    root = self.array
    while isinstance(root, np.ndarray) and root.base is not None:
        root = root.base
    return isinstance(root, mmap.mmap) or (isinstance(root, memoryview) and isinstance(root.obj, mmap.mmap))


# ---------------------------------------------------------------------- defaults
@function()
def set_default_tensor_type(t):
    """Set the default dtype (and device) by a legacy type such as ``minigrad.DoubleTensor`` or its name.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.set_default_tensor_type.html

    >>> import minigrad as mg
    >>> mg.set_default_tensor_type(mg.DoubleTensor)
    >>> mg.zeros(1).dtype
    minigrad.float64
    >>> mg.set_default_tensor_type(mg.FloatTensor)
    """
    if isinstance(t, str):
        module, _, legacy = t.rpartition(".")
        if legacy not in LEGACY_TYPES:
            raise ValueError(f"invalid type: '{t}'")
        name, on_cuda = LEGACY_TYPES[legacy], module.endswith("cuda")
    elif getattr(t, "legacy_type", None) is not None:
        name, on_cuda = t.legacy_type.name, t.on_cuda
    else:
        raise TypeError(
            f"invalid type object: only floating-point types are supported as the default type, but got {t!r}"
        )
    set_default_dtype(as_dtype(name))
    set_default_device("cuda" if on_cuda else "cpu")


FUNCTIONS["set_printoptions"] = printing.set_printoptions


@function()
def result_type(tensor1, tensor2):
    """Return the dtype of an arithmetic operation on two tensors or numbers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.result_type.html

    >>> import minigrad as mg
    >>> mg.result_type(mg.tensor([1, 2], dtype=mg.int32), 1.0)
    minigrad.float32
    """
    for value in (tensor1, tensor2):
        if not isinstance(value, (Tensor, bool, int, float, complex)) and not hasattr(value, "dtype"):
            raise TypeError(f"result_type(): expected tensors or numbers, but got {value.__class__.__name__}")
    return from_numpy_dtype(result_dtype([t.array if isinstance(t, Tensor) else t for t in (tensor1, tensor2)]))
