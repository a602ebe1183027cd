"""How layers make their parameters and buffers."""

from minigrad.backend import as_dtype, default_float, get_default_device, move, np
from minigrad.tensor import as_device, wrap
from minigrad.variable import Parameter


def empty_tensor(shape, device=None, dtype=None):
    """Return an uninitialised tensor of a shape (int or tuple); the default device and dtype if None."""
    if any(length < 0 for length in ((shape,) if isinstance(shape, int) else shape)):
        sizes = [shape] if isinstance(shape, int) else list(shape)
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(sizes)}: {sizes}")
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
