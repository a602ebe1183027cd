"""Indexing with []: slices, masks and integer arrays, read and written."""

import warnings
from collections.abc import Sequence

from minigrad.backend import WATCHED, array_device, asarray_like, move, np, storable, xp
from minigrad.backend.devices import where_true
from minigrad.calls import view_result
from minigrad.inplace import _positions, assign, check_writable, overwrite_positions
from minigrad.interception import composite
from minigrad.kernels import scatter as kernels
from minigrad.op import Op
from minigrad.ops.arguments import warn_of_call
from minigrad.ops.core import broadcast_to, cast
from minigrad.ops.shape import permute_op, reshape_op
from minigrad.tensor import Tensor, wrap
from minigrad.variable import MODE, is_tracked, promote, rebind, touch

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


getitem_op = Op(
    _getitem, [lambda g, x_shape, index: place_op(g, shape=x_shape, index=index)], name="getitem", view=True
)
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


index_add_op = Op(_index_add, [lambda g: g, None, lambda g, index, dim: take_op(g, index, dim=dim)], name="index_add")
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
            "indexing with dtype minigrad.uint8 is now deprecated, please use a dtype minigrad.bool instead.",
            stacklevel=5,
        )
        array = array.astype(bool)
    if array.dtype.kind not in "iub":
        raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, but got {array.dtype}")
    if type(array) is type(device_array):
        return array
    if type(device_array) is np.ndarray:
        raise RuntimeError(
            "indices should be either on cpu or on the same device as the indexed tensor (cpu), but one is on "
            f"{array_device(array)}"
        )
    return move(array, array_device(device_array))


def _lists_items(index):
    """Return whether a sequence stands for the items of an index, as PyTorch decides it: a short one not of numbers."""
    if not isinstance(index, Sequence) or len(index) >= 32:
        return False
    return any(
        item is None or item is Ellipsis or isinstance(item, (Tensor, slice, np.ndarray, Sequence)) for item in index
    )


def parse(index, x):
    """Return (basic, arrays) of an index into the raw array x.

    basic is an index of ints, slices and None that is to be applied first; arrays are the index arrays, integer or
    bool, as (dimension of x[basic], array).
    """
    if not isinstance(index, tuple) and _lists_items(index):
        warn_of_call(
            "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed; use "
            "x[tuple(seq)] instead of x[seq], or x[tensor(seq)] where one index tensor is meant."
        )
        index = tuple(index)
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


def numpy_index(arrays, ndim):
    """Return the NumPy index of (dimension, array) pairs into an array of ndim dimensions."""
    index, dim = [], 0
    for where, array in arrays:
        index.extend([_ALL] * (where - dim))
        index.append(array)
        dim = where + _consumed(array)
    return tuple(index)


def _check_bounds(array, length, dim):
    """IndexError for an index array that reaches outside a dimension. On a GPU looking would stop the queue."""
    if xp(array) is np and array.size and not (array.min() >= -length and array.max() < length):
        bad = array[(array < -length) | (array >= length)].flat[0]
        raise IndexError(f"index {bad} is out of bounds for dimension {dim} with size {length}")


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
            _check_bounds(array, length, dim)
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


@composite
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
        return take_op(x, wrap(where_true(mask)), dim=dim)
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


def _explain(error, items, ndim):
    """Raise PyTorch's IndexError for NumPy's: an index of ints and slices has too many of them or is out of bounds."""
    used = sum(item is not None and item is not Ellipsis for item in items)
    if ndim == 0 and len(items) == used == 1:
        if isinstance(items[0], slice):
            raise IndexError("slice() cannot be applied to a 0-dim tensor.")
        raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number")
    if used > ndim:
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    raise IndexError(str(error).replace("axis", "dimension")) from None


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
        basic = (
            _is_basic(index if kind is tuple else (index,)) if kind is tuple or index is None or index is ... else None
        )
        if basic is None:
            return _read(self, index)
        index = basic
    array = self.array
    try:
        out = array[index]
    except IndexError as error:
        _explain(error, index if kind is tuple else index[:1] if kind is int else (index,), array.ndim)
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
        return storable(value, self.array.dtype) if self.array.dtype.kind in "iu" else value
    raise TypeError(f"can't assign a {type(value).__name__} to a {self.type()}")


def setitem(self, index, value):
    """Write a value (a tensor that broadcasts, or a number) where an index names; gradients follow.

    RuntimeError where the value's shape does not fit or the tensor is a leaf that requires grad.
    """
    kind, arrays = type(index), ()
    if WATCHED and MODE.watchers and isinstance(index, Tensor) and index.array.dtype.kind == "b":
        if index.array.shape == self.array.shape and (not isinstance(value, Tensor) or value.array.ndim == 0):
            assign(self, self.masked_fill(index, value), "index_put_")  # an operation, for whoever watches
            return
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
        try:
            _write_tracked(self, basic, arrays, value)
        except IndexError as error:
            _explain(error, [item for item in basic if item is not Ellipsis], self.array.ndim)
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
            for dim, index in arrays:  # NumPy would find out after it has written some elements
                if index.dtype.kind != "b":
                    _check_bounds(index, target.shape[dim], dim)
            target[numpy_index(arrays, target.ndim)] = value
    except IndexError as error:
        _explain(error, [item for item in basic if item is not Ellipsis], array.ndim)
    except (ValueError, OverflowError, TypeError) as error:
        raise _assignment_error(array, value, error) from None


def _assignment_error(array, value, error):
    """Return the error for a value that can't be stored."""
    if "read-only" in str(error):
        return RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location, or "
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
        value = broadcast_value(value, shape)
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
        positions = positions[numpy_index(arrays, positions.ndim)]
    value = broadcast_value(value, positions.shape)
    _store(self.array, basic, arrays, value.array)
    touch(self.array)
    promote(owner)
    recorded = overwrite_positions.record((owner, value, None), (owner.array, value.array, positions), {}, owner.array)
    _rebind(owner, recorded)


def _rebind(owner, recorded):
    """Give a tensor whose memory was written the node that wrote it."""
    rebind(owner, recorded.node if is_tracked(recorded) else None)
    if owner._aliased:
        owner._generation += 1


def broadcast_value(value, shape):
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
            f"shape mismatch: value tensor of shape {list(own)} cannot be broadcast to indexing result of shape "
            f"{list(shape)}"
        ) from None
