"""Masks: where, masked_fill and their relatives; writing where a view would look."""


from minigrad.backend import asarray_like, np, result_dtype, storable, xp
from minigrad.backend.devices import where_true
from minigrad.backend.placement import check_device
from minigrad.inplace import assign, overwrite_positions, write_out
from minigrad.op import Op
from minigrad.ops.arguments import as_int, type_name, warn_of_call
from minigrad.ops.core import broadcast_to, cast
from minigrad.ops.index import overwrite_slice, take_op
from minigrad.ops.pieces import slice_op
from minigrad.ops.scatter import check_scalar
from minigrad.ops.shape import diagonal_op, reshape_op
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap

_ALL = slice(None)


# ---------------------------------------------------------------------- ops: masks
def _where(condition, x, y):
    return xp(condition).where(condition, x, y)


where_op = Op(
    _where,
    [None, lambda g, condition: where_op(condition, g, 0), lambda g, condition: where_op(condition, 0, g)],
    name="where",
    broadcast=True,
)


# ---------------------------------------------------------------------- masks
def _mask_of(mask, name):
    if not isinstance(mask, Tensor):
        raise TypeError(f"{name}(): argument 'mask' must be Tensor, not {type(mask).__name__}")
    if mask.array.dtype.kind != "b":
        raise RuntimeError(f"{name} only supports boolean masks, but got mask with dtype {mask.dtype}")
    return mask


@function(method=True, inplace=True)
def masked_fill(input, mask, value):
    """Return the input with a number (or 0-dimensional tensor) written where the mask is true; both broadcast.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_fill.html

    >>> import minigrad as mg
    >>> mg.tensor([1.0, 2.0]).masked_fill(mg.tensor([True, False]), 0)
    tensor([0., 2.])
    """
    mask = _mask_of(mask, "masked_fill")
    dtype = input.array.dtype
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise RuntimeError(
                f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.array.ndim} "
                "dimension(s)."
            )
        if value.array.dtype.kind == "c" and dtype.kind != "c":
            raise RuntimeError(f"value cannot be converted to type {input.dtype} without overflow")
        value = cast(value, dtype=dtype) if value.array.dtype != dtype else value
        if type(value.array) is not type(input.array):
            value = value.to(input.device)
    else:
        check_scalar(value, input, "masked_fill")
        value = wrap(asarray_like(storable(value, dtype), input.array))
    return where_op(mask, value, input)


@function(method=True, out="exact")
def masked_select(input, mask):
    """Return the elements where the mask is true as a vector; input and mask broadcast.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.masked_select.html

    >>> import minigrad as mg
    >>> mg.masked_select(mg.tensor([1, 2, 3]), mg.tensor([True, False, True]))
    tensor([1, 3])
    """
    mask = _mask_of(mask, "masked_select")
    check_device("masked_select", input, mask)
    shape = _common_shape(input, mask, "masked_select")
    x = input if input.array.shape == shape else broadcast_to(input, shape=shape)
    chosen = where_true(xp(mask.array).broadcast_to(mask.array, shape))
    return take_op(reshape_op(x, shape=(x.array.size,)), wrap(chosen), dim=0)


def _common_shape(a, b, name):
    try:
        return np.broadcast_shapes(a.array.shape, b.array.shape)
    except ValueError:
        raise RuntimeError(
            f"{name}: The size of tensor a {list(a.shape)} must match the size of tensor b {list(b.shape)}, or one "
            "of them "
            "must be 1, in every dimension"
        ) from None


@function(method=True, inplace=True)
def masked_scatter(input, mask, source):
    """Return the input with the elements of source, in order, where the mask is true.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_scatter.html

    >>> import minigrad as mg
    >>> mg.masked_scatter(mg.zeros(3), mg.tensor([True, False, True]), mg.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    mask = _mask_of(mask, "masked_scatter_")
    if input.array.dtype != source.array.dtype:
        raise RuntimeError(
            f"masked_scatter_: expected self and source to have same dtypes but got {input.dtype} and {source.dtype}"
        )
    shape = _common_shape(input, mask, "masked_scatter")
    x = input if input.array.shape == shape else broadcast_to(input, shape=shape)
    positions = where_true(xp(mask.array).broadcast_to(mask.array, shape))
    if positions.size > source.array.size:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same number of elements: the mask has "
            f"{positions.size} true "
            f"elements, the source only {source.array.size}"
        )
    flat = reshape_op(source, shape=(source.array.size,))
    values = slice_op(flat, dim=0, start=0, stop=positions.size, step=1)
    return overwrite_positions(x, values, wrap(positions))


def _as_condition(condition):
    if not isinstance(condition, Tensor):
        raise TypeError(f"where(): argument 'condition' (position 1) must be Tensor, not {type_name(condition)}")
    array = condition.array
    if array.dtype == np.uint8:
        warn_of_call(
            "where received a uint8 condition tensor. This behavior is deprecated and will be removed in a future "
            "version. "
            "Use a boolean condition instead."
        )
        return wrap(array.astype(bool))
    if array.dtype.kind != "b":
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    return condition


@function(out=True)
def where(condition, input=None, other=None):
    """Return input where the condition is true and other where it is not; the three broadcast.

    ``where(condition)`` is ``nonzero(condition, as_tuple=True)``.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.where.html

    >>> import minigrad as mg
    >>> x = mg.tensor([-1.0, 2.0])
    >>> mg.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if input is None or other is None:
        raise TypeError("where(): expected a condition alone, or a condition, input and other")
    condition = _as_condition(condition)
    values = []
    for position, value in enumerate((input, other)):
        if not isinstance(value, (Tensor, bool, int, float, complex)):
            raise TypeError(f"where(): argument {position + 2} must be Tensor or Number, not {type_name(value)}")
        values.append(value.array if isinstance(value, Tensor) else value)
    if isinstance(input, Tensor) and isinstance(other, Tensor) and values[0].dtype == values[1].dtype:
        return where_op(condition, input, other)
    dtype = result_dtype(values)
    chosen = []
    for value in (input, other):
        if not isinstance(value, Tensor):
            value = wrap(xp(condition.array).asarray(value, dtype=dtype))
        chosen.append(cast(value, dtype=dtype) if value.array.dtype != dtype else value)
    return where_op(condition, *chosen)


@function(method=True, public=False, name="where")
def _where_method(self, condition, other):
    """Return this tensor's values where the condition is true and other's where it is not.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.where.html

    >>> import minigrad as mg
    >>> mg.tensor([1, 2]).where(mg.tensor([True, False]), mg.tensor([0, 0]))
    tensor([1, 0])
    """
    return where(condition, self, other)


@function(method=True)
def nonzero(input, *, as_tuple=False, out=None):
    """Return the indices of the elements that are not zero, one a row; as_tuple=True: one vector for each dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nonzero.html

    >>> import minigrad as mg
    >>> mg.tensor([0, 3, 0, 5]).nonzero()
    tensor([[1],
            [3]])
    """
    array = input.array
    module = xp(array)
    if as_tuple:
        if out is not None:
            error = RuntimeError if isinstance(out, Tensor) else TypeError
            raise error("nonzero(): out= is one Tensor, which as_tuple=True does not make")
        return tuple([wrap(index) for index in module.nonzero(module.atleast_1d(array))])
    if array.ndim == 0:
        result = wrap(module.empty((int(bool(array)), 0), "int64"))
    else:
        result = wrap(module.ascontiguousarray(module.argwhere(array)).astype("int64", copy=False))
    if out is not None:
        return write_out(out, result, "nonzero")
    return result


@function(method=True)
def argwhere(input):
    """Return the indices of the elements that are not zero, one a row.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.argwhere.html

    >>> import minigrad as mg
    >>> mg.argwhere(mg.tensor([0, 3, 0, 5]))
    tensor([[1],
            [3]])
    """
    return nonzero(input)


# ---------------------------------------------------------------------- writing where a view would look
def _written(input, index, src, name):
    """Return the input with src written at a basic index, out of place."""
    looked = input.array[index]
    if src.array.shape != looked.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(looked.shape)} ({name})"
        )
    if src.array.dtype != input.array.dtype:
        src = cast(src, dtype=input.array.dtype)
    return overwrite_slice(input, src, index=index)


@function(method=True)
def select_scatter(input, src, dim, index):
    """Return the input with src in place of one slice along a dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.select_scatter.html

    >>> import minigrad as mg
    >>> mg.select_scatter(mg.zeros(2, 2), mg.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    dim = normalize_dim(dim, input.array.ndim)
    index, length = as_int(index, "select_scatter()"), input.array.shape[dim]
    if not -length <= index < length:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    return _written(input, (_ALL,) * dim + (index, Ellipsis), src, "select_scatter")


@function(method=True, out=True)
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """Return the input with src in place of input[start:end:step] along a dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.slice_scatter.html

    >>> import minigrad as mg
    >>> mg.slice_scatter(mg.zeros(4), mg.ones(2), 0, 1, 3)
    tensor([0., 1., 1., 0.])
    """
    dim = normalize_dim(dim, input.array.ndim)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return _written(input, (_ALL,) * dim + (slice(start, end, step), Ellipsis), src, "slice_scatter")


@function(method=True)
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """Return the input with src in place of a diagonal.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.diagonal_scatter.html

    >>> import minigrad as mg
    >>> mg.diagonal_scatter(mg.zeros(2, 2), mg.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    array = input.array
    numbers = xp(array).arange(array.size).reshape(array.shape)
    dims = normalize_dim(dim1, array.ndim), normalize_dim(dim2, array.ndim)
    positions = diagonal_op(numbers, offset=offset, dim1=dims[0], dim2=dims[1])
    if src.array.shape != positions.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(positions.shape)} (diagonal_scatter)"
        )
    if src.array.dtype != array.dtype:
        src = cast(src, dtype=array.dtype)
    return overwrite_positions(input, src, wrap(positions.copy()))


@function(method=True, public=False)
def fill_diagonal_(self, fill_value, wrap=False):
    """Fill the main diagonal with a number, in place; wrap=True goes on in tall matrices. Returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.fill_diagonal_.html

    >>> import minigrad as mg
    >>> mg.zeros(2, 2).fill_diagonal_(3)
    tensor([[3., 0.],
            [0., 3.]])
    """
    from minigrad.tensor import wrap as as_tensor

    array = self.array
    if array.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if array.ndim > 2 and len(set(array.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step = sum(array[(0,) * axis].size // array.shape[axis] for axis in range(array.ndim)) if array.size else 1
    columns = array.shape[1]
    limit = array.size if wrap or array.ndim > 2 else min(array.size, columns * columns)
    positions = xp(array).arange(0, limit, step)
    value = asarray_like(storable(fill_value, array.dtype), array)
    filled = overwrite_positions(self, as_tensor(xp(array).broadcast_to(value, positions.shape)), as_tensor(positions))
    return assign(self, filled, "fill_diagonal_")
