"""Indexing: reading and writing by slices, masks and integer arrays; gather, scatter and their relatives."""

import warnings

from minigrad.backend import array_device, asarray_like, move, np, result_dtype, xp
from minigrad.inplace import _positions, add_positions, assign, check_writable, overwrite_positions
from minigrad.kernels import scatter as kernels
from minigrad.op import Op, view_result
from minigrad.registry import function
from minigrad.ops.core import broadcast_to, cast
from minigrad.ops.shape import as_int, diagonal_op, permute_op, reshape_op, slice_op
from minigrad.tensor import Tensor, normalize_dim, wrap
from minigrad.variable import MODE, is_tracked, promote, touch

# ---------------------------------------------------------------------- ops: slices and places
_ALL = slice(None)


def _getitem(x, *, index):
    return x[index]


def _place(g, *, shape, index):
    out = xp(g).zeros(shape, g.dtype)
    out[index] = g
    return out


def _overwrite_slice(x, value, *, index):
    out = x.copy()
    out[index] = value
    return out


def _clear_slice(x, *, index):
    out = xp(x).array(x)  # NumPy's arithmetic may have made a 0-d gradient a scalar
    out[index] = 0
    return out


getitem_op = Op(_getitem, [lambda g, x_shape, index: place_op(g, shape=x_shape, index=index)], name="getitem", view=True)
place_op = Op(_place, [lambda g, index: getitem_op(g, index=index)], name="place")
clear_slice = Op(_clear_slice, [lambda g, index: clear_slice(g, index=index)], name="clear_slice")
overwrite_slice = Op(
    _overwrite_slice,
    [lambda g, index: clear_slice(g, index=index), lambda g, index: getitem_op(g, index=index)],
    name="copy_slices",
)

# ---------------------------------------------------------------------- ops: indices along one dimension
take_op = Op(
    lambda x, index, *, dim: kernels.take(x, index, dim),
    [lambda g, x_shape, index, dim: take_add(g, index, shape=x_shape, dim=dim), None],
    name="index",
)
take_add = Op(
    lambda g, index, *, shape, dim: kernels.take_add(g, index, shape, dim),
    [lambda g, index, dim: take_op(g, index, dim=dim), None],
    name="index_transposed",
)


def _index_add(x, index, source, *, dim):
    out = x.copy()
    kernels.index_add(out, index, source, dim)
    return out


def _index_copy(x, index, source, *, dim):
    out = x.copy()
    out[(_ALL,) * dim + (index,)] = source
    return out


def _index_fill(x, index, *, dim, value):
    out = x.copy()
    out[(_ALL,) * dim + (index,)] = value
    return out


index_add_op = Op(
    _index_add, [lambda g: g, None, lambda g, index, dim: take_op(g, index, dim=dim)], name="index_add"
)
index_copy_op = Op(
    _index_copy,
    [
        lambda g, index, dim: index_fill_op(g, index, dim=dim, value=0),
        None,
        lambda g, index, dim: take_op(g, index, dim=dim),
    ],
    name="index_copy",
)
index_fill_op = Op(
    _index_fill, [lambda g, index, dim: index_fill_op(g, index, dim=dim, value=0), None], name="index_fill"
)


# ---------------------------------------------------------------------- ops: one index per element
def _gather(x, index, *, dim):
    return x[kernels.along(index, dim)]


def _scatter_zeros(g, index, *, shape, dim):
    out = xp(g).zeros(shape, g.dtype)
    kernels.scatter_add_flat(out.reshape(-1), kernels.flat_positions(index, shape, dim), g)
    return out


def _scatter(x, index, source, *, dim):
    out = x.copy()
    out[kernels.along(index, dim)] = source
    return out


def _scatter_fill(x, index, *, dim, value):
    out = x.copy()
    out[kernels.along(index, dim)] = value
    return out


def _scatter_add(x, index, source, *, dim):
    out = x.copy()
    kernels.scatter_add_flat(out.reshape(-1), kernels.flat_positions(index, x.shape, dim), source)
    return out


gather_op = Op(
    _gather, [lambda g, x_shape, index, dim: scatter_zeros(g, index, shape=x_shape, dim=dim), None], name="gather"
)
scatter_zeros = Op(
    _scatter_zeros, [lambda g, index, dim: gather_op(g, index, dim=dim), None], name="gather_transposed"
)
scatter_op = Op(
    _scatter,
    [
        lambda g, index, dim: scatter_fill_op(g, index, dim=dim, value=0),
        None,
        lambda g, index, dim: gather_op(g, index, dim=dim),
    ],
    name="scatter",
)
scatter_fill_op = Op(
    _scatter_fill, [lambda g, index, dim: scatter_fill_op(g, index, dim=dim, value=0), None], name="scatter_fill"
)
scatter_add_op = Op(
    _scatter_add, [lambda g: g, None, lambda g, index, dim: gather_op(g, index, dim=dim)], name="scatter_add"
)


# ---------------------------------------------------------------------- ops: masks
def _where(condition, x, y):
    return xp(condition).where(condition, x, y)


where_op = Op(
    _where,
    [None, lambda g, condition: where_op(condition, g, 0), lambda g, condition: where_op(condition, 0, g)],
    name="where",
    broadcast=True,
)


# ---------------------------------------------------------------------- understanding an index
def _is_basic(index):
    """Return the index as NumPy wants it if it is made of ints, slices, None and Ellipsis only; else None."""
    dotted = False
    for item in index:
        kind = type(item)
        if kind is slice:
            step = item.step
            if step is not None and step <= 0:
                raise ValueError("step must be greater than zero")
        elif item is Ellipsis:
            dotted = True
        elif kind is not int and item is not None:
            return None
    return index if dotted else (*index, Ellipsis)


def _as_index_array(item, device_array):
    """Return an index item that is no int, slice, None or Ellipsis as a raw array of integers or bools."""
    if isinstance(item, Tensor):
        array = item.array
    elif isinstance(item, (list, tuple, range)):
        array = np.array([value.tolist() if isinstance(value, Tensor) else value for value in item])
        if array.size == 0:
            array = array.astype(np.int64)
    elif isinstance(item, (np.ndarray, np.generic)) or hasattr(item, "__array_interface__"):
        array = np.asarray(item)
    elif isinstance(item, bool):
        array = np.asarray(item)
    else:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
            f"(got {type(item).__name__})"
        )
    if array.dtype == np.uint8:
        warnings.warn(
            "indexing with dtype minigrad.uint8 is now deprecated, please use a dtype minigrad.bool instead.", stacklevel=5
        )
        array = array.astype(bool)
    if array.dtype.kind not in "iub":
        raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, but got {array.dtype}")
    return array if type(array) is type(device_array) else move(array, array_device(device_array))


def parse(index, x):
    """Return (basic, arrays) of an index into the raw array x.

    basic is an index of ints, slices and None that is to be applied first; arrays are the index arrays, integer or
    bool, as (dimension of x[basic], array).
    """
    items = list(index) if isinstance(index, tuple) else [index]
    for position, item in enumerate(items):
        kind = type(item)
        if kind is slice:
            if item.step is not None and item.step <= 0:
                raise ValueError("step must be greater than zero")
        elif kind is not int and item is not None and item is not Ellipsis:
            if isinstance(item, (np.integer, int)) and not isinstance(item, bool):
                items[position] = int(item)
                continue
            array = _as_index_array(item, x)
            scalar = array.ndim == 0 and array.dtype.kind != "b"
            items[position] = int(array) if scalar else array
    used = sum(_consumed(item) for item in items)
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    if sum(item is Ellipsis for item in items) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    basic, arrays, dim, source = [], [], 0, 0
    for item in items:
        if item is Ellipsis:
            skipped = x.ndim - used
            basic.extend([_ALL] * skipped)
            dim, source = dim + skipped, source + skipped
        elif item is None:
            basic.append(None)
            dim += 1
        elif type(item) is int:
            basic.append(item)
            source += 1
        elif type(item) is slice:
            basic.append(item)
            dim, source = dim + 1, source + 1
        elif item.ndim == 0:  # a bool: a new dimension of length 1, kept or not
            basic.append(None)
            arrays.append((dim, xp(item).zeros(int(item), "int64")))
            dim += 1
        else:
            if item.dtype.kind == "b":
                _check_mask(item, x, source)
            width = _consumed(item)
            basic.extend([_ALL] * width)
            arrays.append((dim, item))
            dim, source = dim + width, source + width
    return tuple(basic), arrays


def _consumed(item):
    """Return how many dimensions an index item stands for."""
    if item is None or item is Ellipsis:
        return 0
    if isinstance(item, (int, slice)):
        return 1
    return item.ndim if item.dtype.kind == "b" else 1


def _check_mask(mask, x, dim):
    if mask.shape != x.shape[dim : dim + mask.ndim]:
        raise IndexError(
            f"The shape of the mask {list(mask.shape)} at index {dim} does not match the shape of the indexed tensor "
            f"{list(x.shape)} at index {dim}"
        )


def _is_trivial(basic):
    """Return whether a basic index changes nothing."""
    return all(type(item) is slice and item == _ALL for item in basic)


def _fancy(arrays, ndim):
    """Return the NumPy index of (dimension, array) pairs into an array of ndim dimensions."""
    index, dim = [], 0
    for where, array in arrays:
        index.extend([_ALL] * (where - dim))
        index.append(array)
        dim = where + _consumed(array)
    return tuple(index)


def _merged(arrays, shape):
    """Return index arrays as one: (dimensions they stand for, positions in those dimensions counted row-major).

    IndexError for an index out of bounds or arrays that can't be broadcast together.
    """
    module = xp(arrays[0][1])
    dims, indices = [], []
    for dim, array in arrays:
        if array.dtype.kind == "b":
            for offset, index in enumerate(module.nonzero(array)):
                dims.append(dim + offset)
                indices.append(index)
        else:
            length = shape[dim]
            if module is np and array.size and not (array.min() >= -length and array.max() < length):
                bad = array[(array < -length) | (array >= length)].flat[0]
                raise IndexError(f"index {bad} is out of bounds for dimension {dim} with size {length}")
            dims.append(dim)
            indices.append(module.where(array < 0, array + length, array))
    try:
        common = module.broadcast_arrays(*indices)
    except ValueError:
        shapes = ", ".join(str(list(index.shape)) for index in indices)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None
    positions = 0
    for dim, index in zip(dims, common, strict=True):
        positions = positions * shape[dim] + index
    return dims, positions


def _read_arrays(x, arrays):
    """Return a tensor indexed by (dimension, raw array) pairs."""
    shape = x.array.shape
    if len(arrays) == 1 and arrays[0][1].dtype.kind != "b":
        dim, index = arrays[0]
        return take_op(x, wrap(index), dim=dim)
    if len(arrays) == 1:
        dim, mask = arrays[0]
        if mask.ndim > 1:
            x = reshape_op(x, shape=shape[:dim] + (mask.size,) + shape[dim + mask.ndim :])
        return take_op(x, wrap(xp(mask).flatnonzero(mask)), dim=dim)
    dims, positions = _merged(arrays, shape)
    first, last = dims[0], dims[-1]
    if last - first != len(dims) - 1:  # not side by side: the result's new dimensions come first
        order = dims + [dim for dim in range(len(shape)) if dim not in dims]
        x = permute_op(x, dims=tuple(order))
        shape, first = x.array.shape, 0
    size = 1
    for length in shape[first : first + len(dims)]:
        size *= length
    merged = reshape_op(x, shape=shape[:first] + (size,) + shape[first + len(dims) :])
    return take_op(merged, wrap(positions), dim=first)


def getitem(self, index):
    """Return the elements an index names, as NumPy does it: a view for ints, slices, None and Ellipsis, else a copy.

    ValueError for a slice with a step below 1, IndexError for an index that doesn't fit.
    """
    kind = type(index)
    if kind is int:
        index = (index, Ellipsis)  # with an Ellipsis NumPy never returns a scalar
    elif kind is slice:
        if index.step is not None and index.step <= 0:
            raise ValueError("step must be greater than zero")
    else:
        basic = _is_basic(index if kind is tuple else (index,)) if kind is tuple or index is None or index is ... else None
        if basic is None:
            return _read(self, index)
        index = basic
    array = self.array
    try:
        out = array[index]
    except IndexError:
        return getitem_op(self, index=index)  # which explains it
    return view_result(getitem_op, self, array, out, {"index": index})


def _read(self, index):
    """Return the elements that an index with arrays or masks in it names."""
    array = self.array
    if isinstance(index, Tensor) and array.ndim and index.array.ndim and type(index.array) is type(array):
        if index.array.dtype.char in "li":
            return take_op(self, index, dim=0)
    basic, arrays = parse(index, array)
    if not arrays:
        return getitem_op(self, index=(*basic, Ellipsis))
    viewed = self if _is_trivial(basic) else getitem_op(self, index=(*basic, Ellipsis))
    return _read_arrays(viewed, arrays)


Tensor.__getitem__ = getitem


# ---------------------------------------------------------------------- assignment by index
def _value_array(value, self):
    """Return an assigned value as what NumPy can store; TypeError for what no tensor can be made of."""
    if isinstance(value, Tensor):
        array = value.array
        if array.dtype.kind == "c" and self.array.dtype.kind != "c":
            array = array.real
        return array if type(array) is type(self.array) else move(array, array_device(self.array))
    if isinstance(value, (int, float, complex, np.generic)):
        return value
    raise TypeError(f"can't assign a {type(value).__name__} to a {self.type()}")


def setitem(self, index, value):
    """Write a value (a tensor that broadcasts, or a number) where an index names; gradients follow.

    RuntimeError where the value's shape does not fit or the tensor is a leaf that requires grad.
    """
    kind, arrays = type(index), ()
    if kind is int:
        basic = (index, Ellipsis)
    else:
        basic = _is_basic(index if kind is tuple else (index,))
        if basic is None:
            basic, arrays = parse(index, self.array)
            basic = (*basic, Ellipsis)
    stored = _value_array(value, self)
    base = self._base
    if MODE.grad and (
        is_tracked(self) or (type(value) is not Tensor and isinstance(value, Tensor) and value._requires_grad)
        or (base is not None and is_tracked(base))
    ):  # fmt: skip
        _write_tracked(self, basic, arrays, value)
        return
    _store(self.array, basic, arrays, stored)
    touch(self.array)


Tensor.__setitem__ = setitem


def _store(array, basic, arrays, value):
    """Write a raw value or number at an index of a raw array, with PyTorch's errors."""
    try:
        if not arrays:
            array[basic] = value
        else:
            target = array[basic]
            target[_fancy(arrays, target.ndim)] = value
    except (ValueError, OverflowError, TypeError) as error:
        if isinstance(error, IndexError):
            raise
        raise _assignment_error(array, value, error) from None


def _assignment_error(array, value, error):
    """Return the error for a value that can't be stored."""
    if "read-only" in str(error):
        return RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location, or "
            "its memory is read-only. Please clone() the tensor before performing the operation."
        )
    if isinstance(error, OverflowError) or not hasattr(value, "shape") or value.ndim == 0:
        return RuntimeError(f"value cannot be converted to type {array.dtype} without overflow: {value}")
    return RuntimeError(
        f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result ({error})"
    )


def _write_tracked(self, basic, arrays, value):
    """Write at an index of a tensor that the graph knows, or a value that it knows, and mend the graph."""
    check_writable(self, "index_put_")
    if not isinstance(value, Tensor):
        value = wrap(asarray_like(value, self.array))
    if value.array.dtype != self.array.dtype:
        value = cast(value, dtype=self.array.dtype)
    base = self._base
    if base is None and not arrays:
        shape = self.array[basic].shape
        value = _broadcast_value(value, shape)
        _store(self.array, basic, (), value.array)
        touch(self.array)
        promote(self)
        recorded = overwrite_slice.record((self, value), (self.array, value.array), {"index": basic}, self.array)
        _rebind(self, recorded)
        return
    owner = self if base is None else base
    positions = _positions(self.array, owner.array)
    positions = positions[basic]
    if arrays:
        positions = positions[_fancy(arrays, positions.ndim)]
    value = _broadcast_value(value, positions.shape)
    _store(self.array, basic, arrays, value.array)
    touch(self.array)
    promote(owner)
    recorded = overwrite_positions.record((owner, value, None), (owner.array, value.array, positions), {}, owner.array)
    _rebind(owner, recorded)


def _rebind(owner, recorded):
    """Give a tensor whose memory was written the node that wrote it."""
    owner._requires_grad = is_tracked(recorded)
    owner.node = recorded.node if is_tracked(recorded) else None
    if owner._aliased:
        owner._generation += 1


def _broadcast_value(value, shape):
    """Return a value broadcast to the shape of what is written; further leading dimensions of length 1 are dropped."""
    own = value.array.shape
    if own == shape:
        return value
    extra = len(own) - len(shape)
    if extra > 0 and all(length == 1 for length in own[:extra]):
        value = reshape_op(value, shape=own[extra:])
    try:
        return broadcast_to(value, shape=shape)
    except (ValueError, RuntimeError):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(own)} cannot be broadcast to indexing result of shape {list(shape)}"
        ) from None


# ---------------------------------------------------------------------- checks
def _index_of(index, name, *, dtypes="li"):
    """Return an index tensor; TypeError for anything else, RuntimeError for a dtype other than int64 or int32."""
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' must be Tensor, not {type(index).__name__}")
    if index.array.dtype.char not in dtypes:
        raise RuntimeError(f"{name}(): Expected dtype int64 for index, but got {index.dtype}")
    return index


def _check_range(index, length, dim, error=RuntimeError):
    """Raise for an index below 0 or above the end. On a GPU looking at the values would stop the queue."""
    if type(index) is not np.ndarray or not index.size:
        return
    low, high = index.min(), index.max()
    if low < 0 or high >= length:
        raise error(f"index {int(low if low < 0 else high)} is out of bounds for dimension {dim} with size {length}")


def _same_dtype(name, a, b, what="src"):
    if a.array.dtype != b.array.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to {what}.dtype, but got {a.dtype} and {b.dtype}")


# ---------------------------------------------------------------------- gather and scatter
def _check_sizes(index_shape, shape, dim, name, what):
    """RuntimeError where an index reaches further than what it reads or writes, along any dimension but dim."""
    if len(index_shape) != len(shape):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as {what} tensor: {name}() got {list(index_shape)} and "
            f"{list(shape)}"
        )
    for axis, (length, limit) in enumerate(zip(index_shape, shape, strict=True)):
        if axis != dim and length > limit:
            raise RuntimeError(
                f"Size does not match at dimension {axis} expected index {list(index_shape)} to be no larger than {what} "
                f"{list(shape)} apart from dimension {dim}"
            )


def _at_least_1d(x):
    return reshape_op(x, shape=(1,)) if x.array.ndim == 0 else x


def _nothing_of(x, shape):
    """Return a tensor of a shape without elements, as an operation on x."""
    flat = reshape_op(x, shape=(x.array.size,))
    return reshape_op(slice_op(flat, dim=0, start=0, stop=0, step=1), shape=shape)


@function(method=True, out=True)
def gather(input, dim, index, *, sparse_grad=False):
    """Return the input's values at indices along a dimension: out[i][j] = input[index[i][j]][j] for dim 0.

    index has the input's number of dimensions and is nowhere longer except along dim. RuntimeError otherwise, or for an
    index out of bounds. Source: https://docs.pytorch.org/docs/stable/generated/torch.gather.html

    >>> import minigrad as mg
    >>> mg.tensor([[1, 2], [3, 4]]).gather(1, mg.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    if sparse_grad:
        raise NotImplementedError("gather(): sparse_grad=True is not supported: there are no sparse tensors")
    dim = normalize_dim(dim, input.array.ndim)
    if isinstance(index, Tensor) and not index.array.size:
        return _nothing_of(input, index.array.shape)
    x, places = _at_least_1d(input), _at_least_1d(_index_of(index, "gather"))
    _check_sizes(places.array.shape, x.array.shape, dim, "gather", "input")
    _check_range(places.array, x.array.shape[dim], dim)
    out = gather_op(x, places, dim=dim)
    return out if index.array.ndim else reshape_op(out, shape=())


def _scatter_arguments(input, dim, index, src, name):
    """Return (dim, input, index, source) with at least one dimension each, the source cut to the index's shape."""
    dim = normalize_dim(dim, input.array.ndim)
    x, places = _at_least_1d(input), _at_least_1d(_index_of(index, name))
    if places.array.size:
        _check_sizes(places.array.shape, x.array.shape, dim, name, "self")
    _check_range(places.array, x.array.shape[dim], dim)
    if src is None or not places.array.size:
        return dim, x, places, None
    source = _at_least_1d(src)
    _check_sizes(places.array.shape, source.array.shape, -1, name, "src")
    for axis, length in enumerate(places.array.shape):
        if source.array.shape[axis] != length:
            source = slice_op(source, dim=axis, start=0, stop=length, step=1)
    return dim, x, places, source


def _same_shape(out, input):
    return out if out.array.shape == input.array.shape else reshape_op(out, shape=input.array.shape)


@function(method=True, inplace=True, out=True)
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """Return the input with values written at indices along a dimension: out[index[i][j]][j] = src[i][j] for dim 0.

    src is a tensor or a number; reduce "add" or "multiply" combines instead of replacing.
    RuntimeError for shapes that don't fit, dtypes that differ, or an index out of bounds.

    >>> import minigrad as mg
    >>> mg.zeros(2, 3).scatter(1, mg.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    source = value if src is None else src
    if source is None:
        raise TypeError("scatter(): missing the argument 'src' or 'value'")
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if isinstance(source, Tensor):
        _same_dtype("scatter", input, source)
        dim, x, places, source = _scatter_arguments(input, dim, index, source, "scatter")
        if source is None:
            return input.clone()
        if reduce is None:
            return _same_shape(scatter_op(x, places, source, dim=dim), input)
    else:
        dim, x, places, _ = _scatter_arguments(input, dim, index, None, "scatter")
        if not places.array.size:
            return input.clone()
        _check_scalar(source, input, "scatter")
        if reduce is None:
            return _same_shape(scatter_fill_op(x, places, dim=dim, value=source), input)
        source = wrap(xp(x.array).full(places.array.shape, source, x.array.dtype))
    if reduce == "add":
        return _same_shape(scatter_add_op(x, places, source, dim=dim), input)
    return _same_shape(_scatter_prod(x, places, source, dim), input)


def _check_scalar(value, tensor, name):
    """RuntimeError for a number of a higher category than the tensor it is written into."""
    if not isinstance(value, (int, float, complex, np.generic)):
        raise TypeError(f"{name}(): argument 'value' must be Number or Tensor, not {type(value).__name__}")
    if isinstance(value, complex) and tensor.array.dtype.kind != "c":
        raise RuntimeError(f"value cannot be converted to type {tensor.dtype} without overflow")


@function(method=True, inplace=True, out=True)
def scatter_add(input, dim, index, src):
    """Return the input with src added at indices along a dimension; indices that repeat add up."""
    _same_dtype("scatter_add", input, src)
    dim, x, places, source = _scatter_arguments(input, dim, index, src, "scatter_add")
    if source is None:
        return input.clone()
    return _same_shape(scatter_add_op(x, places, source, dim=dim), input)


def _reduced(x, index, source, *, dim, reduce):
    out = x.copy()
    kernels.reduce_at(out, index, source, dim, reduce)
    return out


def _scatter_extreme_gradients(g, x, index, source, out, dim, needs):
    """Share the gradient of a maximum or minimum equally among all that reach it."""
    x_hits = same_as(x, out)
    source_hits = same_as(source, gather_op(out, index, dim=dim))
    count = scatter_add_op(x_hits, index, source_hits, dim=dim)
    share = g / count
    return (
        share * x_hits if needs[0] else None,
        None,
        gather_op(share, index, dim=dim) * source_hits if needs[2] else None,
    )


same_as = Op(lambda x, y: (x == y).astype(x.dtype), [None, None], name="same_as")


def _scatter_extreme(x, index, source, *, dim, reduce):
    return _reduced(x, index, source, dim=dim, reduce=reduce)


scatter_extreme = Op(_scatter_extreme, joint=_scatter_extreme_gradients, name="scatter_reduce")


def _products_of_others(x, index, source, *, dim):
    """Return (of each x, of each source element) the product of all others that fall on the same place."""
    module = xp(x)
    x_zero, source_zero = x == 0, source == 0
    zeros = x_zero.astype("int64")
    kernels.scatter_add_flat(
        zeros.reshape(-1), kernels.flat_positions(index, x.shape, dim), source_zero.astype("int64")
    )
    product = module.where(x_zero, module.ones_like(x), x)
    kernels.reduce_at(product, index, module.where(source_zero, module.ones_like(source), source), dim, "prod")
    mesh = kernels.along(index, dim)
    of_x = module.where(zeros - x_zero > 0, 0, product / module.where(x_zero, module.ones_like(x), x))
    own = module.where(source_zero, module.ones_like(source), source)
    of_source = module.where(zeros[mesh] - source_zero > 0, 0, product[mesh] / own)
    return of_x.astype(x.dtype), of_source.astype(x.dtype)


def _scatter_prod(x, index, source, dim):
    """Return x with source multiplied in at indices along a dimension."""
    return scatter_prod(x, index, source, dim=dim)


def _scatter_prod_forward(x, index, source, *, dim):
    return _reduced(x, index, source, dim=dim, reduce="prod")


def _scatter_prod_gradients(g, x, index, source, dim, needs):
    """Return g times the product of all other factors, computed as such so that zeros are no special case."""
    of_x, of_source = others_product(x, index, source, dim=dim)
    return (
        g * of_x if needs[0] else None,
        None,
        gather_op(g, index, dim=dim) * of_source if needs[2] else None,
    )


def _others_product_gradients(g, x, index, source, dim, needs):
    """Return the second-order terms, valid where no factor is zero: d(P/a)/db = P/(a·b)."""
    product = scatter_prod(x, index, source, dim=dim)
    g_x, g_source = g
    weighted = g_x / x
    spread = gather_op(product, index, dim=dim)
    total = scatter_add_op(weighted, index, g_source / source, dim=dim)  # sum over all factors of one place
    x_gradient = product / x * (total - weighted)
    source_gradient = spread / source * (gather_op(total, index, dim=dim) - g_source / source)
    return x_gradient, None, source_gradient


scatter_prod = Op(_scatter_prod_forward, joint=_scatter_prod_gradients, name="scatter_prod")
others_product = Op(_products_of_others, joint=_others_product_gradients, name="product_of_others")


@function(method=True, inplace=True, out=True)
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """Return the input with src combined in at indices along a dimension, by "sum", "prod", "mean", "amax" or "amin".

    include_self=False leaves the input's own value out wherever something is written.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_reduce_.html
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}.")
    _same_dtype("scatter_reduce", input, src)
    dim, x, places, source = _scatter_arguments(input, dim, index, src, "scatter_reduce")
    if source is None:
        return input.clone()
    start = x
    if not include_self:
        start = scatter_fill_op(x, places, dim=dim, value=_neutral(x.array.dtype, reduce))
    if reduce in ("sum", "mean"):
        out = scatter_add_op(start, places, source, dim=dim)
        if reduce == "mean":
            ones = wrap(xp(x.array).ones(places.array.shape, x.array.dtype))
            count = wrap(xp(x.array).ones(x.array.shape, x.array.dtype))
            if not include_self:
                count = scatter_fill_op(count, places, dim=dim, value=0)
            count = scatter_add_op(count, places, ones, dim=dim)
            out = out / count if x.array.dtype.kind in "fc" else _floor_divided(out, count)
    elif reduce == "prod":
        out = _scatter_prod(start, places, source, dim)
    else:
        out = scatter_extreme(start, places, source, dim=dim, reduce=reduce)
    return _same_shape(out, input)


def _floor_divided(a, b):
    return wrap(a.array // b.array)


def _neutral(dtype, reduce):
    """Return the value that changes nothing in a reduction."""
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    if dtype.kind in "f":
        return float("-inf") if reduce == "amax" else float("inf")
    if dtype.kind == "b":
        return reduce == "amin"
    limits = np.iinfo(dtype)
    return int(limits.min if reduce == "amax" else limits.max)


@function(method=True)
def take_along_dim(input, indices, dim=None, *, out=None):
    """Return the input's values at indices along a dimension, the other dimensions broadcast; flattened if dim is None."""
    if not isinstance(indices, Tensor) or indices.array.dtype.kind not in "iu":
        raise RuntimeError("take_along_dim(): dtype of indices should be Long")
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
        from minigrad.inplace import write_out

        return write_out(out, result, "take_along_dim")
    return result


# ---------------------------------------------------------------------- one index for whole slices
@function(method=True, out=True)
def index_select(input, dim, index):
    """Return the input's slices at the indices of a vector along a dimension, as a copy.

    >>> import minigrad as mg
    >>> mg.arange(6).reshape(2, 3).index_select(1, mg.tensor([2, 0]))
    tensor([[2, 0],
            [5, 3]])
    """
    index = _index_of(index, "index_select")
    if index.array.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    dim = normalize_dim(dim, input.array.ndim)
    x, places = _at_least_1d(input), _at_least_1d(index)
    _check_range(places.array, x.array.shape[dim], dim, IndexError)
    if input.array.ndim == 0 and places.array.size != 1:
        raise RuntimeError("index_select(): Index to scalar can have only 1 value, got {places.array.size} value(s)")
    out = take_op(x, places, dim=dim)
    return reshape_op(out, shape=()) if input.array.ndim == 0 else out


def _slices_arguments(input, dim, index, source, name):
    """Return (dim, input, index, source) of an operation that writes whole slices, with at least one dimension each."""
    index = _index_of(index, name)
    if index.array.ndim > 1:
        raise IndexError(f"{name}(): Index should have dimension 1 or 0 (got {index.array.ndim})")
    dim = normalize_dim(dim, input.array.ndim)
    x, places = _at_least_1d(input), _at_least_1d(index)
    _check_range(places.array, x.array.shape[dim], dim, IndexError)
    if source is None:
        return dim, x, places, None
    _same_dtype(name, input, source, "source")
    values = _at_least_1d(source)
    expected = x.array.shape[:dim] + (places.array.size,) + x.array.shape[dim + 1 :]
    if source.array.ndim == 0 and input.array.ndim > 1:
        expected = expected if values.array.size == int(np.prod(expected)) else None
        values = values if expected is None else reshape_op(values, shape=expected)
    if expected is None or values.array.shape != expected:
        error = IndexError if values.array.ndim != x.array.ndim and name == "index_copy" else RuntimeError
        raise error(
            f"{name}(): Source/destination tensor must have same slice shapes: expected a source of shape "
            f"{list(expected or ())} for self {list(input.shape)} and {places.array.size} indices, got {list(source.shape)}"
        )
    return dim, x, places, values


@function(method=True, inplace=True, out=True)
def index_add(input, dim, index, source, *, alpha=1):
    """Return the input with alpha times the slices of source added at the indices along a dimension."""
    dim, x, places, values = _slices_arguments(input, dim, index, source, "index_add")
    if alpha != 1:
        if isinstance(alpha, float) and input.array.dtype.kind in "iub":
            raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
        values = values * alpha
    return _same_shape(index_add_op(x, places, values, dim=dim), input)


@function(method=True, inplace=True, out=True)
def index_copy(input, dim, index, source):
    """Return the input with the slices of source written at the indices along a dimension."""
    dim, x, places, values = _slices_arguments(input, dim, index, source, "index_copy")
    return _same_shape(index_copy_op(x, places, values, dim=dim), input)


@function(method=True, inplace=True)
def index_fill(input, dim, index, value):
    """Return the input with a number (or 0-dimensional tensor) written at the indices along a dimension."""
    dim, x, places, _ = _slices_arguments(input, dim, index, None, "index_fill")
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise RuntimeError(
                f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.array.ndim} dimension(s)."
            )
        value = cast(value, dtype=x.array.dtype) if value.array.dtype != x.array.dtype else value
        mask = xp(x.array).zeros(x.array.shape[dim : dim + 1] + (1,) * (x.array.ndim - dim - 1), "bool")
        mask[places.array] = True
        out = where_op(wrap(mask), value, x)
    else:
        _check_scalar(value, input, "index_fill")
        out = index_fill_op(x, places, dim=dim, value=value)
    return _same_shape(out, input)


@function(method=True, inplace=True, out=True)
def index_reduce(input, dim, index, source, reduce, *, include_self=True):
    """Return the input with slices of source combined in at indices along a dimension: prod, mean, amax or amin."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): reduce argument must be either prod, mean, amax or amin, got {reduce}.")
    dim, x, places, values = _slices_arguments(input, dim, index, source, "index_reduce")
    if not values.array.size:
        return input.clone()
    column = (1,) * dim + (-1,) + (1,) * (x.array.ndim - dim - 1)
    spread = broadcast_to(reshape_op(places, shape=column), shape=values.array.shape)
    return _same_shape(scatter_reduce(x, dim, spread, values, reduce, include_self=include_self), input)


def _put_positions(input, indices, name):
    """Return the row-major positions in the input that a tuple of index tensors (or None) names."""
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"{name}(): argument 'indices' must be tuple of Tensors, not {type(indices).__name__}")
    if len(indices) > max(1, input.array.ndim):
        raise IndexError(f"too many indices for tensor of dimension {input.array.ndim} (got {len(indices)})")
    array = input.array
    _, arrays = parse(tuple([_ALL if item is None else item for item in indices]), array)
    module = xp(array)
    return module.arange(array.size).reshape(array.shape)[_fancy(arrays, array.ndim)]


@function(method=True, inplace=True)
def index_put(input, indices, values, accumulate=False):
    """Return the input with values written, or added, at the positions a tuple of index tensors names."""
    positions = _put_positions(input, indices, "index_put")
    if values.array.dtype != input.array.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {input.dtype} for the destination and "
            f"{values.dtype} for the source."
        )
    values = _broadcast_value(values, positions.shape)
    places = wrap(positions)
    if accumulate:
        return input + add_positions(values, places, shape=input.array.shape)
    return overwrite_positions(input, values, places)


@function(method=True)
def take(input, index, *, out=None):
    """Return the values at positions of the flattened input; the result has the index's shape."""
    index = _index_of(index, "take", dtypes="l")
    if input.array.size == 0 and index.array.size:
        raise IndexError("take(): tried to take from an empty tensor")
    flat = reshape_op(input, shape=(input.array.size,))
    result = take_op(flat, index, dim=0)
    if out is not None:
        from minigrad.inplace import write_out

        return write_out(out, result, "take")
    return result


@function(method=True, inplace=True)
def put(input, index, source, accumulate=False):
    """Return the input with the elements of source written, or added, at positions of its flattened self."""
    index = _index_of(index, "put_", dtypes="l")
    _same_dtype("put_", input, source, "source")
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

    >>> import minigrad as mg
    >>> mg.tensor([1.0, 2.0]).masked_fill(mg.tensor([True, False]), 0)
    tensor([0., 2.])
    """
    mask = _mask_of(mask, "masked_fill")
    dtype = input.array.dtype
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise RuntimeError(
                f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.array.ndim} dimension(s)."
            )
        if value.array.dtype.kind == "c" and dtype.kind != "c":
            raise RuntimeError(f"value cannot be converted to type {input.dtype} without overflow")
        value = cast(value, dtype=dtype) if value.array.dtype != dtype else value
        if type(value.array) is not type(input.array):
            value = value.to(input.device)
    else:
        _check_scalar(value, input, "masked_fill")
        if dtype.kind in "iu" and isinstance(value, float) and not np.isfinite(value):
            raise RuntimeError(f"value cannot be converted to type {dtype} without overflow")
        value = wrap(asarray_like(value, input.array))
    return where_op(mask, value, input)


@function(method=True, out=True)
def masked_select(input, mask):
    """Return the elements where the mask is true as a vector; input and mask broadcast."""
    mask = _mask_of(mask, "masked_select")
    shape = _common_shape(input, mask, "masked_select")
    x = input if input.array.shape == shape else broadcast_to(input, shape=shape)
    chosen = xp(mask.array).flatnonzero(xp(mask.array).broadcast_to(mask.array, shape))
    return take_op(reshape_op(x, shape=(x.array.size,)), wrap(chosen), dim=0)


def _common_shape(a, b, name):
    try:
        return np.broadcast_shapes(a.array.shape, b.array.shape)
    except ValueError:
        raise RuntimeError(
            f"{name}: The size of tensor a {list(a.shape)} must match the size of tensor b {list(b.shape)}, or one of them "
            "must be 1, in every dimension"
        ) from None


@function(method=True, inplace=True)
def masked_scatter(input, mask, source):
    """Return the input with the elements of source, in order, where the mask is true."""
    mask = _mask_of(mask, "masked_scatter_")
    if input.array.dtype != source.array.dtype:
        raise RuntimeError(f"masked_scatter_: expected self and source to have same dtypes but got {input.dtype} and {source.dtype}")
    shape = _common_shape(input, mask, "masked_scatter")
    x = input if input.array.shape == shape else broadcast_to(input, shape=shape)
    positions = xp(mask.array).flatnonzero(xp(mask.array).broadcast_to(mask.array, shape))
    if positions.size > source.array.size:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same number of elements: the mask has {positions.size} true "
            f"elements, the source only {source.array.size}"
        )
    flat = reshape_op(source, shape=(source.array.size,))
    values = slice_op(flat, dim=0, start=0, stop=positions.size, step=1)
    return overwrite_positions(x, values, wrap(positions))


def _as_condition(condition):
    if not isinstance(condition, Tensor):
        raise TypeError(f"where(): argument 'condition' (position 1) must be Tensor, not {type(condition).__name__}")
    array = condition.array
    if array.dtype == np.uint8:
        warnings.warn(
            "where received a uint8 condition tensor. This behavior is deprecated and will be removed in a future version. "
            "Use a boolean condition instead.",
            stacklevel=3,
        )
        return wrap(array.astype(bool))
    if array.dtype.kind != "b":
        raise RuntimeError(f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}")
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
            raise TypeError(f"where(): argument {position + 2} must be Tensor or Number, not {type(value).__name__}")
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
    """Return this tensor's values where the condition is true and other's where it is not."""
    return where(condition, self, other)


@function(method=True)
def nonzero(input, *, as_tuple=False, out=None):
    """Return the indices of the elements that are not zero, one a row; as_tuple=True: one vector for each dimension.

    >>> import minigrad as mg
    >>> mg.tensor([0, 3, 0, 5]).nonzero()
    tensor([[1],
            [3]])
    """
    array = input.array
    module = xp(array)
    if as_tuple:
        return tuple([wrap(index) for index in module.nonzero(module.atleast_1d(array))])
    if array.ndim == 0:
        result = wrap(module.empty((int(bool(array)), 0), "int64"))
    else:
        result = wrap(module.ascontiguousarray(module.argwhere(array)).astype("int64", copy=False))
    if out is not None:
        from minigrad.inplace import write_out

        return write_out(out, result, "nonzero")
    return result


@function(method=True)
def argwhere(input):
    """Return the indices of the elements that are not zero, one a row."""
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
    """Return the input with src in place of one slice along a dimension."""
    dim = normalize_dim(dim, input.array.ndim)
    index, length = as_int(index, "select_scatter()"), input.array.shape[dim]
    if not -length <= index < length:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}")
    return _written(input, (_ALL,) * dim + (index, Ellipsis), src, "select_scatter")


@function(method=True, out=True)
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """Return the input with src in place of input[start:end:step] along a dimension."""
    dim = normalize_dim(dim, input.array.ndim)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return _written(input, (_ALL,) * dim + (slice(start, end, step), Ellipsis), src, "slice_scatter")


@function(method=True)
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """Return the input with src in place of a diagonal."""
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
    """Fill the main diagonal with a number, in place; wrap=True goes on in tall matrices. Returns the tensor."""
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
    value = asarray_like(fill_value, array)
    filled = overwrite_positions(self, as_tensor(xp(array).broadcast_to(value, positions.shape)), as_tensor(positions))
    return assign(self, filled, "fill_diagonal_")
