"""Making tensors: filled with a number, and like others."""


from minigrad.backend import (
    array_device,
    as_dtype,
    default_float,
    from_numpy_dtype,
    get_default_device,
    move,
    np,
    storable,
)
from minigrad.backend.devices import module_for, pinned_copy
from minigrad.inplace import write_out
from minigrad.kernels.strides import strided_view
from minigrad.ops.layout import check_layout, contiguous_format, permuted_empty, preserve_format
from minigrad.registry import function
from minigrad.tensor import Tensor, as_device, data_array, wrap
from minigrad.variable import check_can_require_grad, promote

_new = object.__new__


# ---------------------------------------------------------------------- what every constructor shares
def sizes_of(sizes, name="size"):
    """Return a shape given as ints or as one sequence: TypeError for what are no ints, RuntimeError below zero."""
    if not sizes:
        raise TypeError(f"{name}() needs a size: {name}(()) makes a tensor without dimensions")
    if len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer)) and not _is_scalar_tensor(sizes[0]):
        sizes = sizes[0]
    try:
        shape = tuple([length if type(length) is int else as_index(length) for length in sizes])
    except TypeError:
        raise TypeError(f"{name}(): sizes must be ints or one tuple of ints, but got {sizes!r}") from None
    for length in shape:
        if length < 0:
            raise RuntimeError(f"{name}(): Trying to create tensor with negative dimension {length}: {list(shape)}")
    return shape


def _is_scalar_tensor(value):
    return isinstance(value, Tensor) and value.array.ndim == 0


def as_index(value):
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
    return module.full(shape, storable(value, dtype), dtype)


def _inferred(value):
    """Return the dtype of a number as full() infers it."""
    if isinstance(value, bool):
        return np.dtype(bool)
    if isinstance(value, int):
        return np.dtype(np.int64)
    if isinstance(value, complex):
        return np.dtype(np.complex128 if default_float().itemsize == 8 else np.complex64)
    return default_float()


def copied(data, dtype=None, device=None):
    """Return a new raw array of data on a device."""
    target = get_default_device() if device is None else as_device(device)
    chosen = None if dtype is None else as_dtype(dtype).dtype
    if isinstance(data, Tensor):
        array = move(data.array, target)
        return array.astype(array.dtype if chosen is None else chosen)
    array = data_array(data, chosen)
    return array if target.type == "cpu" else move(array, target)


# ---------------------------------------------------------------------- filled
def _filled_constructor(name, maker, summary):
    """Register the constructor of tensors filled by maker(module, shape, dtype)."""

    def constructor(
        *size,
        out=None,
        dtype=None,
        layout=None,
        device=None,
        requires_grad=False,
        pin_memory=False,
        names=None,
        **named,
    ):
        if named:
            size = named_size(name, size, named)
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


def named_size(name, size, named):
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
    """Return an uninitialised tensor of the given size; keywords as for zeros, and memory_format.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.empty.html

    >>> import minigrad as mg
    >>> mg.empty(2, 3).shape
    minigrad.Size([2, 3])
    """
    if named:
        size = named_size("empty", size, named)
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
    size,
    fill_value,
    *,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
    names=None,
):
    """Return a tensor of the given size full of one number; the dtype defaults to the number's.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.full.html

    >>> import minigrad as mg
    >>> mg.full((2,), 3.0)
    tensor([3., 3.])
    """
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
    """Return a 0-dimensional tensor of a number, of the default dtype unless given.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.tensor.html

    >>> import minigrad as mg
    >>> mg.scalar_tensor(3)
    tensor(3.)
    """
    return full(
        (),
        s,
        dtype=default_dtype_of(dtype),
        layout=layout,
        device=device,
        requires_grad=requires_grad,
        pin_memory=pin_memory,
    )


def default_dtype_of(dtype):
    """Return a dtype argument, or the default floating-point type for None."""
    return from_numpy_dtype(default_float()) if dtype is None else dtype


@function()
def empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Return an uninitialised tensor with the given size and strides (in elements).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.empty_strided.html

    >>> import minigrad as mg
    >>> mg.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    check_layout(layout)
    shape, steps = sizes_of((tuple(size),), "empty_strided"), tuple(stride)
    if len(shape) != len(steps):
        raise RuntimeError(
            f"empty_strided: dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(steps)})"
        )
    if any(step < 0 for step in steps):
        raise RuntimeError(
            f"empty_strided: Negative strides are not supported at the moment, got strides: {list(steps)}"
        )

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
            order = sorted(range(array.ndim), key=lambda dim: -array.strides[dim])
            ordered = module.empty([array.shape[dim] for dim in order], chosen)
            result = ordered.transpose([order.index(dim) for dim in range(array.ndim)])
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
    like.__doc__ = (
        f"Return a tensor as made by {name}() with the input's shape, dtype and device unless given.\n\n"
        f"    Source: https://docs.pytorch.org/docs/stable/generated/torch.{name}_like.html\n\n"
        f"    >>> import minigrad as mg\n    >>> mg.{name}_like(mg.ones(2, 3)).shape\n    minigrad.Size([2, 3])\n    "
    )
    return function()(like)


zeros_like = _like("zeros", _zeros)
ones_like = _like("ones", _ones)
empty_like = _like("empty", _empty)


@function()
def full_like(
    input,
    fill_value,
    *,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
    memory_format=None,
):
    """Return a tensor full of one number with the input's shape, dtype and device unless given.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.full_like.html

    >>> import minigrad as mg
    >>> mg.full_like(mg.ones(2), 7)
    tensor([7., 7.])
    """
    _check_tensor(input, "full_like")
    check_layout(layout)
    value = as_fill_value(fill_value, "full_like")
    array = made_like(input, dtype, device, memory_format, lambda module, shape, d: filled(module, shape, d, value))
    return finish(array, requires_grad, pin_memory)


def _new_constructor(name, maker):
    """Register the method Tensor.new_NAME of a maker(module, shape, dtype)."""

    def constructor(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **named):
        if named:
            size = named_size(f"new_{name}", size, named)
        check_layout(layout)
        array = make(
            sizes_of(size, f"new_{name}"),
            self.dtype if dtype is None else dtype,
            self.device if device is None else device,
            maker,
        )
        return finish(array, requires_grad, pin_memory)

    constructor.__name__ = constructor.__qualname__ = f"new_{name}"
    constructor.__doc__ = (
        f"Return a tensor as made by {name}() of this tensor's dtype and device unless given.\n\n"
        f"    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.new_{name}.html\n\n"
        f"    >>> import minigrad as mg\n    >>> mg.tensor([1, 2]).new_{name}(3).dtype\n    minigrad.int64\n    "
    )
    return function(method=True, public=False)(constructor)


new_zeros = _new_constructor("zeros", _zeros)
new_ones = _new_constructor("ones", _ones)
new_empty = _new_constructor("empty", _empty)


@function(method=True, public=False)
def new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """Return a tensor full of one number, of this tensor's dtype and device unless given.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.new_full.html

    >>> import minigrad as mg
    >>> mg.tensor([1, 2]).new_full((2,), 7)
    tensor([7, 7])
    """
    dtype, device = self.dtype if dtype is None else dtype, self.device if device is None else device
    return full(
        size, fill_value, dtype=dtype, device=device, requires_grad=requires_grad, layout=layout, pin_memory=pin_memory
    )


@function(method=True, public=False)
def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """Return a new tensor with a copy of the data, of this tensor's dtype and device unless given.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.new_tensor.html

    >>> import minigrad as mg
    >>> mg.ones(2).new_tensor([1, 2])
    tensor([1., 2.])
    """
    check_layout(layout)
    dtype, device = self.dtype if dtype is None else dtype, self.device if device is None else device
    return finish(copied(data, dtype, device), requires_grad, pin_memory)


@function(method=True, public=False)
def new_empty_strided(self, size, stride, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Return an uninitialised tensor with the given size and strides, of this one's dtype and device unless given.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.new_empty_strided.html

    >>> import minigrad as mg
    >>> mg.ones(2).new_empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    dtype, device = self.dtype if dtype is None else dtype, self.device if device is None else device
    return empty_strided(
        size, stride, dtype=dtype, device=device, layout=layout, requires_grad=requires_grad, pin_memory=pin_memory
    )


@function(method=True, public=False)
def new(self, *args, device=None):
    """Return a tensor of this one's dtype and device made like the legacy constructor does: of a size or of data.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.new_tensor.html

    >>> import minigrad as mg
    >>> mg.ones(2).new([1, 2])
    tensor([1., 2.])
    >>> mg.ones(2).new(2, 3).shape
    minigrad.Size([2, 3])
    """
    if len(args) == 1 and isinstance(args[0], Tensor):
        return args[0].detach().to(dtype=self.dtype)
    array = Tensor(*args, dtype=self.dtype, device="cpu").array
    return wrap(move(array, self.device if device is None else as_device(device)))
