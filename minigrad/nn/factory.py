"""How layers make their parameters and buffers."""

from minigrad.backend import as_dtype, default_float, get_default_device, move, np
from minigrad.ops.arguments import ints_of
from minigrad.tensor import as_device, wrap
from minigrad.variable import Parameter

__all__ = ["factory_kwargs"]


def factory_kwargs(kwargs):
    """Return the keyword arguments of tensor factories (device, dtype, memory_format) among a module's, or None's.

    They may also stand in a dict ``factory_kwargs``. TypeError for other arguments, and for one given twice.
    Source: https://docs.pytorch.org/docs/stable/nn.html

    >>> import minigrad as mg
    >>> mg.nn.factory_kwargs({"factory_kwargs": {"device": "cpu"}, "dtype": mg.float16})
    {'device': 'cpu', 'dtype': minigrad.float16}
    """
    given = dict(kwargs or {})
    result = dict(given.pop("factory_kwargs", {}))
    unexpected = given.keys() - {"device", "dtype", "memory_format"}
    if unexpected:
        raise TypeError(f"unexpected kwargs {unexpected}")
    twice = given.keys() & result.keys()
    if twice:
        raise TypeError(f"{min(twice)} specified twice, in **kwargs and in factory_kwargs")
    return {**result, **given}


def empty_tensor(shape, device=None, dtype=None):
    """Return an uninitialised tensor of a shape (int or tuple); the default device and dtype if None."""
    shape = ints_of((shape,))
    if any(length < 0 for length in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    target = get_default_device() if device is None else as_device(device)
    return wrap(move(np.empty(shape, default_float() if dtype is None else as_dtype(dtype).numpy), target))


def empty_parameter(shape, device=None, dtype=None):
    """Return an uninitialised Parameter of a shape (int or tuple)."""
    return Parameter(empty_tensor(shape, device, dtype))


def filled_tensor(shape, value, device=None, dtype=None):
    """Return a tensor of a shape filled with a value."""
    tensor = empty_tensor(shape, device, dtype)
    tensor.array[...] = value
    return tensor
