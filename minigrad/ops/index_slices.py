"""One index for whole slices, or for positions: index_select, index_add, index_put, take and their relatives."""

from minigrad.backend import np, storable, xp
from minigrad.backend.placement import check_device
from minigrad.inplace import add_positions, overwrite_positions, write_out
from minigrad.ops.core import broadcast_to, cast
from minigrad.ops.index import broadcast_value, index_add_op, index_copy_op, index_fill_op, numpy_index, parse, take_op
from minigrad.ops.index_checks import check_range, check_same_dtype, index_of
from minigrad.ops.scatter import at_least_1d, check_scalar, gather, same_shape, scatter_reduce
from minigrad.ops.shape import reshape_op
from minigrad.ops.where import where_op
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap

_ALL = slice(None)


# ---------------------------------------------------------------------- one index for whole slices
@function(method=True, out="exact")
def index_select(input, dim, index):
    """Return the input's slices at the indices of a vector along a dimension, as a copy.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.index_select.html

    >>> import minigrad as mg
    >>> mg.arange(6).reshape(2, 3).index_select(1, mg.tensor([2, 0]))
    tensor([[2, 0],
            [5, 3]])
    """
    index = index_of(index, "index_select")
    if index.array.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    dim = normalize_dim(dim, input.array.ndim)
    x, places = at_least_1d(input), at_least_1d(index)
    check_range(places.array, x.array.shape[dim], dim, IndexError)
    if input.array.ndim == 0 and places.array.size != 1:
        raise RuntimeError("index_select(): Index to scalar can have only 1 value, got {places.array.size} value(s)")
    out = take_op(x, places, dim=dim)
    return reshape_op(out, shape=()) if input.array.ndim == 0 else out


def _slices_arguments(input, dim, index, source, name):
    """Return (dim, input, index, source) of an operation that writes whole slices, with at least one dimension each."""
    index = index_of(index, name)
    if index.array.ndim > 1:
        raise IndexError(f"{name}(): Index should have dimension 1 or 0 (got {index.array.ndim})")
    dim = normalize_dim(dim, input.array.ndim)
    x, places = at_least_1d(input), at_least_1d(index)
    check_range(places.array, x.array.shape[dim], dim, IndexError)
    if source is None:
        return dim, x, places, None
    check_same_dtype(name, input, source, "source")
    values = at_least_1d(source)
    expected = x.array.shape[:dim] + (places.array.size,) + x.array.shape[dim + 1 :]
    if source.array.ndim == 0 and input.array.ndim > 1:
        expected = expected if values.array.size == int(np.prod(expected)) else None
        values = values if expected is None else reshape_op(values, shape=expected)
    if expected is None or values.array.shape != expected:
        error = IndexError if values.array.ndim != x.array.ndim and name == "index_copy" else RuntimeError
        raise error(
            f"{name}(): Source/destination tensor must have same slice shapes: expected a source of shape "
            f"{list(expected or ())} for self {list(input.shape)} and {places.array.size} indices, got "
            f"{list(source.shape)}"
        )
    return dim, x, places, values


@function(method=True, inplace=True, out=True)
def index_add(input, dim, index, source, *, alpha=1):
    """Return the input with alpha times the slices of source added at the indices along a dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.index_add.html

    >>> import minigrad as mg
    >>> mg.index_add(mg.zeros(3), 0, mg.tensor([0, 0, 2]), mg.ones(3))
    tensor([2., 0., 1.])
    """
    dim, x, places, values = _slices_arguments(input, dim, index, source, "index_add")
    if alpha != 1:
        if isinstance(alpha, float) and input.array.dtype.kind in "iub":
            raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
        values = values * alpha
    return same_shape(index_add_op(x, places, values, dim=dim), input)


@function(method=True, inplace=True, out=True)
def index_copy(input, dim, index, source):
    """Return the input with the slices of source written at the indices along a dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.index_copy.html

    >>> import minigrad as mg
    >>> mg.index_copy(mg.zeros(3), 0, mg.tensor([1]), mg.tensor([5.0]))
    tensor([0., 5., 0.])
    """
    dim, x, places, values = _slices_arguments(input, dim, index, source, "index_copy")
    return same_shape(index_copy_op(x, places, values, dim=dim), input)


@function(method=True, inplace=True)
def index_fill(input, dim, index, value):
    """Return the input with a number (or 0-dimensional tensor) written at the indices along a dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_fill.html

    >>> import minigrad as mg
    >>> mg.index_fill(mg.zeros(3), 0, mg.tensor([1]), 5.0)
    tensor([0., 5., 0.])
    """
    dim, x, places, _ = _slices_arguments(input, dim, index, None, "index_fill")
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise RuntimeError(
                f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.array.ndim} "
                "dimension(s)."
            )
        value = cast(value, dtype=x.array.dtype) if value.array.dtype != x.array.dtype else value
        mask = xp(x.array).zeros(x.array.shape[dim : dim + 1] + (1,) * (x.array.ndim - dim - 1), "bool")
        mask[places.array] = True
        out = where_op(wrap(mask), value, x)
    else:
        check_scalar(value, input, "index_fill")
        out = index_fill_op(x, places, dim=dim, value=storable(value, x.array.dtype))
    return same_shape(out, input)


@function(method=True, inplace=True, out=True)
def index_reduce(input, dim, index, source, reduce, *, include_self=True):
    """Return the input with slices of source combined in at indices along a dimension: prod, mean, amax or amin.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.index_reduce.html

    >>> import minigrad as mg
    >>> mg.index_reduce(mg.ones(2), 0, mg.tensor([0, 0]), mg.tensor([2.0, 3.0]), "prod")
    tensor([6., 1.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): reduce argument must be either prod, mean, amax or amin, got {reduce}.")
    dim, x, places, values = _slices_arguments(input, dim, index, source, "index_reduce")
    if not values.array.size:
        return input.clone()
    column = (1,) * dim + (-1,) + (1,) * (x.array.ndim - dim - 1)
    spread = broadcast_to(reshape_op(places, shape=column), shape=values.array.shape)
    return same_shape(scatter_reduce(x, dim, spread, values, reduce, include_self=include_self), input)


def _put_positions(input, indices, name):
    """Return the row-major positions in the input that a tuple of index tensors (or None) names."""
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"{name}(): argument 'indices' must be tuple of Tensors, not {type(indices).__name__}")
    if len(indices) > max(1, input.array.ndim):
        raise IndexError(f"too many indices for tensor of dimension {input.array.ndim} (got {len(indices)})")
    array = input.array
    _, arrays = parse(tuple([_ALL if item is None else item for item in indices]), array)
    module = xp(array)
    return module.arange(array.size).reshape(array.shape)[numpy_index(arrays, array.ndim)]


@function(method=True, inplace=True)
def index_put(input, indices, values, accumulate=False):
    """Return the input with values written, or added, at the positions a tuple of index tensors names.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_put.html

    >>> import minigrad as mg
    >>> mg.index_put(mg.zeros(3), (mg.tensor([0, 2]),), mg.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    positions = _put_positions(input, indices, "index_put")
    if len(indices) == 1 and not values.array.ndim and indices[0].array.dtype.kind == "b":
        values = values.to(input.dtype)  # as masked_fill
    if values.array.dtype != input.array.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {input.dtype} for the destination and "
            f"{values.dtype} for the source."
        )
    values = broadcast_value(values, positions.shape)
    places = wrap(positions)
    if accumulate:
        return input + add_positions(values, places, shape=input.array.shape)
    return overwrite_positions(input, values, places)


@function(method=True, out="exact")
def take(input, index):
    """Return the values at positions of the flattened input; the result has the index's shape.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.take.html

    >>> import minigrad as mg
    >>> mg.take(mg.tensor([[1, 2], [3, 4]]), mg.tensor([0, 3]))
    tensor([1, 4])
    """
    index = index_of(index, "take", dtypes="l")
    if input.array.size == 0 and index.array.size:
        raise IndexError("take(): tried to take from an empty tensor")
    flat = reshape_op(input, shape=(input.array.size,))
    return take_op(flat, index, dim=0)


@function(method=True, inplace=True)
def put(input, index, source, accumulate=False):
    """Return the input with the elements of source written, or added, at positions of its flattened self.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.put_.html

    >>> import minigrad as mg
    >>> mg.put(mg.zeros(3), mg.tensor([1]), mg.tensor([5.0]))
    tensor([0., 5., 0.])
    """
    index = index_of(index, "put_", dtypes="l")
    check_same_dtype("put_", input, source, "source")
    if index.array.size != source.array.size:
        raise RuntimeError(
            f"put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source.array.size}, index.numel() = {index.array.size}"
        )
    size, array = input.array.size, index.array
    if array.size and not size:
        raise IndexError("put_(): tried to put elements into an empty tensor")
    if array.size and (array.min() < -size or array.max() >= size):
        raise IndexError(f"put_(): index out of range for tensor of {size} elements")
    positions = wrap(xp(array).where(array < 0, array + size, array))
    values = reshape_op(source, shape=array.shape)
    if accumulate:
        return input + add_positions(values, positions, shape=input.array.shape)
    return overwrite_positions(input, values, positions)


@function(method=True)
def take_along_dim(input, indices, dim=None, *, out=None):
    """Return the values at indices along a dimension, the other dimensions broadcast; flattened if dim is None.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.take_along_dim.html

    >>> import minigrad as mg
    >>> mg.take_along_dim(mg.tensor([[1, 2], [3, 4]]), mg.tensor([[1], [0]]), dim=1)
    tensor([[2],
            [3]])
    """
    if not isinstance(indices, Tensor) or indices.array.dtype.kind not in "iu":
        raise RuntimeError("take_along_dim(): dtype of indices should be Long")
    check_device("take_along_dim", input, indices)
    if dim is None:
        result = take(input, reshape_op(indices, shape=(indices.array.size,)))
    else:
        if indices.array.ndim != input.array.ndim:
            raise RuntimeError(
                f"take_along_dim(): input and indices should have the same number of dimensions, but got "
                f"{input.array.ndim} dimensions for input, and {indices.array.ndim} dimensions for indices"
            )
        dim = normalize_dim(dim, input.array.ndim)
        shapes = [list(input.array.shape), list(indices.array.shape)]
        own = [shape[dim] for shape in shapes]
        for shape in shapes:
            shape[dim] = 1
        try:
            common = list(np.broadcast_shapes(*shapes))
        except ValueError as error:
            raise RuntimeError(f"take_along_dim: {error}") from None
        x_shape, index_shape = (tuple(common[:dim] + [length] + common[dim + 1 :]) for length in own)
        x = input if x_shape == input.array.shape else broadcast_to(input, shape=x_shape)
        places = indices if index_shape == indices.array.shape else broadcast_to(indices, shape=index_shape)
        length, array = x.array.shape[dim], places.array
        if array.size and (type(array) is not np.ndarray or array.min() < 0):
            places = wrap(xp(array).where(array < 0, array + length, array))
        result = gather(x, dim, places)
    if out is not None:
        return write_out(out, result, "take_along_dim")
    return result
