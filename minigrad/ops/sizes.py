"""Arguments with one int per spatial dimension, and inputs with or without a batch dimension."""

from minigrad.ops.shape import squeeze_op, unsqueeze_op


def spatial_ints(value, count, name, argument, *, default=None):
    """Return an int, or a sequence of 1 or ``count`` ints, as a tuple of ``count`` ints.

    TypeError for anything but ints, RuntimeError for another number of them; None or () stand for ``default``.
    """
    if value is None or (isinstance(value, (tuple, list)) and not value):
        if default is None:
            raise TypeError(f"{name}(): argument '{argument}' must be tuple of ints, not {type(value).__name__}")
        return default
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for item in items:
        if isinstance(item, bool) or not hasattr(item, "__index__"):
            raise TypeError(
                f"{name}(): argument '{argument}' must be tuple of ints, but found element of type "
                f"{type(item).__name__}"
            )
    items = tuple(item.__index__() for item in items)
    if len(items) == 1:
        return items * count
    if len(items) != count:
        raise RuntimeError(
            f"{name}: expected {argument} to be a single integer value or a list of {count} values to match the "
            f"dimensions of the input, but got {argument}={list(items)}"
        )
    return items


def batched(input, spatial):
    """Return (input with a batch dimension, whether one was added) for (C, *size) or (N, C, *size)."""
    if input.array.ndim == spatial + 1:
        return unsqueeze_op(input, shape=(1, *input.array.shape)), True
    return input, False


def unbatched(output, added):
    """Return the output without the batch dimension that `batched` added."""
    return squeeze_op(output, shape=output.array.shape[1:]) if added else output
