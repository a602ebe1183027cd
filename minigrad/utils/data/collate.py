"""Making one batch of many examples (https://docs.pytorch.org/docs/stable/data.html#dataloader-collate-fn)."""

import collections.abc
import copy

from minigrad.backend import from_numpy_dtype, np
from minigrad.ops.join import stack
from minigrad.tensor import Tensor, data_array, wrap
from minigrad.variable import is_tracked

_ERROR = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
_NO_TENSOR_KINDS = "OSUMmV"  # dtype.kind of arrays that no tensor can hold: objects, texts, dates, records


def _as_tensor(array):
    """Return a tensor on a NumPy array's memory; TypeError for a dtype no tensor has."""
    from_numpy_dtype(array.dtype)
    return wrap(np.asarray(array))


def default_convert(data):
    """Return data with its NumPy arrays as tensors: what a DataLoader does to an example with ``batch_size=None``.

    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_convert

    >>> import numpy as np, minigrad as mg
    >>> mg.utils.data.default_convert({"x": np.array([0, 1]), "name": "a"})
    {'x': tensor([0, 1]), 'name': 'a'}
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in _NO_TENSOR_KINDS else _as_tensor(data)
    if isinstance(data, collections.abc.Mapping):
        return _same_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*[default_convert(value) for value in data])
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, collections.abc.Sequence) and not isinstance(data, (str, bytes)):
        return _same_sequence(data, [default_convert(value) for value in data])
    return data


def default_collate(batch):
    """Return a list of examples as one batch, with a new first dimension of their number N.

    Tensors and arrays are stacked, numbers become a tensor (floats a float64 one), texts stay as they are; dicts,
    named tuples, lists and tuples (as lists) are collated entry by entry.
    Raises TypeError for anything else, RuntimeError for tensors or lists of different sizes.
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate

    >>> import minigrad as mg
    >>> mg.utils.data.default_collate([("a", 0), ("b", 1)])
    [('a', 'b'), tensor([0, 1])]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(batch, *, collate_fn_map=None):
    """Collate like default_collate, with the functions of a map from types to ``f(batch, collate_fn_map=...)``.

    >>> import minigrad as mg
    >>> from minigrad.utils.data.collate import collate
    >>> collate([1, 2, 3], collate_fn_map={int: lambda batch, *, collate_fn_map: sum(batch)})
    6
    """
    first = batch[0]
    if collate_fn_map is not None:
        function = collate_fn_map.get(type(first))
        if function is not None:
            return function(batch, collate_fn_map=collate_fn_map)
        for collate_type, function in collate_fn_map.items():
            if isinstance(first, collate_type):
                return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, collections.abc.Mapping):
        columns = {key: collate([example[key] for example in batch], collate_fn_map=collate_fn_map) for key in first}
        return _same_mapping(first, columns)
    if not isinstance(first, collections.abc.Sequence):
        raise TypeError(_ERROR.format(type(first)))
    named = isinstance(first, tuple) and hasattr(first, "_fields")
    if not named and any(len(example) != len(first) for example in batch):
        raise RuntimeError("each element in list of batch should be of equal size")
    columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch)]
    if named:
        return type(first)(*columns)
    return columns if isinstance(first, tuple) else _same_sequence(first, columns)


def _same_mapping(like, values):
    """Return the dict of values as a mapping of the same type as ``like``; as a dict where that type cannot."""
    if type(like) is dict:
        return values
    try:
        if isinstance(like, collections.abc.MutableMapping):
            clone = copy.copy(like)  # keeps what else the mapping knows, such as a default factory
            clone.update(values)
            return clone
        return type(like)(values)
    except TypeError:
        return values


def _same_sequence(like, values):
    """Return the list of values as a sequence of the same type as ``like``; as a list where that type cannot."""
    if type(like) is list:
        return values
    try:
        if isinstance(like, collections.abc.MutableSequence):
            clone = copy.copy(like)
            for position, value in enumerate(values):
                clone[position] = value
            return clone
        return type(like)(values)
    except TypeError:
        return values


def _stack_arrays(arrays):
    """Return raw NumPy arrays of one shape and dtype stacked: (N, *shape)."""
    first = arrays[0]
    out = np.empty((len(arrays), *first.shape), first.dtype)
    # Filling rows is twice as fast as numpy.stack, which makes a view and checks the dtype of every array.
    for row, array in enumerate(arrays):
        out[row] = array
    return out


def collate_tensor_fn(batch, *, collate_fn_map=None):
    """Return tensors stacked; RuntimeError where their shapes differ.

    Argument: batch (list of N tensors of one shape …); the result is (N, …).
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate

    >>> import minigrad as mg
    >>> from minigrad.utils.data.collate import collate_tensor_fn
    >>> collate_tensor_fn([mg.tensor([1, 2]), mg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    first = batch[0].array
    for tensor in batch:
        array = tensor.array
        if type(array) is not np.ndarray or array.shape != first.shape or array.dtype != first.dtype:
            return stack(batch, 0)
        if is_tracked(tensor):
            return stack(batch, 0)
    if first.ndim == 0:
        return wrap(np.array([tensor.array.item() for tensor in batch], first.dtype))
    return wrap(_stack_arrays([tensor.array for tensor in batch]))


def collate_numpy_array_fn(batch, *, collate_fn_map=None):
    """Return NumPy arrays stacked as one tensor; TypeError for arrays of texts or objects.

    Argument: batch (list of N arrays of one shape …), collate_fn_map; the result is (N, …).
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate

    >>> import numpy as np
    >>> from minigrad.utils.data.collate import collate_numpy_array_fn, default_collate_fn_map
    >>> arrays = [np.array([1, 2]), np.array([3, 4])]
    >>> collate_numpy_array_fn(arrays, collate_fn_map=default_collate_fn_map)
    tensor([[1, 2],
            [3, 4]])
    """
    first = batch[0]
    if first.dtype.kind in _NO_TENSOR_KINDS:
        raise TypeError(_ERROR.format(first.dtype))
    return collate([_as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch, *, collate_fn_map=None):
    """Return NumPy scalars as a tensor of their dtype.

    Argument: batch (list of N scalars); the result is (N,).
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate

    >>> import numpy as np
    >>> from minigrad.utils.data.collate import collate_numpy_scalar_fn
    >>> collate_numpy_scalar_fn([np.float32(1), np.float32(2)])
    tensor([1., 2.])
    """
    return _as_tensor(np.array(batch))


def collate_float_fn(batch, *, collate_fn_map=None):
    """Return Python floats as a float64 tensor.

    Argument: batch (list of N floats); the result is (N,).
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate

    >>> from minigrad.utils.data.collate import collate_float_fn
    >>> collate_float_fn([0.5, 1.5])
    tensor([0.5000, 1.5000], dtype=minigrad.float64)
    """
    if set(map(type, batch)) == {float}:
        return wrap(np.array(batch))
    return wrap(data_array(batch, np.dtype(np.float64)))


def collate_int_fn(batch, *, collate_fn_map=None):
    """Return Python ints as an int64 tensor, bools as a bool one.

    Argument: batch (list of N ints); the result is (N,).
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate

    >>> from minigrad.utils.data.collate import collate_int_fn
    >>> collate_int_fn([1, 2])
    tensor([1, 2])
    >>> collate_int_fn([True, False])
    tensor([ True, False])
    """
    kinds = set(map(type, batch))
    if kinds == {bool}:
        return wrap(np.array(batch))
    if kinds != {int}:
        return wrap(data_array(batch))
    try:
        return wrap(np.array(batch, dtype=np.int64))
    except OverflowError as error:
        raise ValueError(f"default_collate: an int does not fit int64: {error}") from None


def collate_str_fn(batch, *, collate_fn_map=None):
    """Return texts as they are.

    Argument: batch (list of str).
    Source: https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.default_collate

    >>> from minigrad.utils.data.collate import collate_str_fn
    >>> collate_str_fn(["a", "b"])
    ['a', 'b']
    """
    return batch


default_collate_fn_map = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def stacks_tensors(collate_fn):
    """Return whether collating tensors with this function is stacking them, nothing else."""
    return collate_fn is default_collate and default_collate_fn_map.get(Tensor) is collate_tensor_fn


def pin_memory(data):
    """Return data with its CPU tensors in page-locked memory, from which copies to a GPU run asynchronously.

    Tensors that lie there already are not copied. An object's own ``pin_memory()`` method is used where it has one.
    Raises RuntimeError without a GPU.
    """
    return map_tensors(data, lambda tensor: tensor if tensor.is_cuda else tensor.pin_memory(), _pinned_by_itself)


def _pinned_by_itself(data):
    return data.pin_memory() if hasattr(data, "pin_memory") else NotImplemented


def map_tensors(data, function, own):
    """Return nested data with a function of its tensors, and with own(part) of other parts unless NotImplemented."""
    if isinstance(data, Tensor):
        return function(data)
    result = own(data)
    if result is not NotImplemented:
        return result
    if isinstance(data, collections.abc.Mapping):
        return _same_mapping(data, {key: map_tensors(value, function, own) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*[map_tensors(value, function, own) for value in data])
    if isinstance(data, tuple):
        return [map_tensors(value, function, own) for value in data]
    if isinstance(data, collections.abc.Sequence) and not isinstance(data, (str, bytes)):
        return _same_sequence(data, [map_tensors(value, function, own) for value in data])
    return data
