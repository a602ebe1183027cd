"""How elements lie in memory: layouts and memory formats by PyTorch's names."""

from minigrad.backend import FLOAT_CODES, dtype, from_numpy_dtype, np, xp
from minigrad.tensor import wrap
from minigrad.variable import MODE, is_tracked


class layout:  # noqa: N801 - PyTorch's name
    """Kind of storage of a tensor: ``strided``, ``sparse_coo`` of minigrad.sparse or ``jagged`` of minigrad.nested."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"{dtype.package}.{self.name}"

    def __reduce__(self):
        return self.name


class memory_format(layout):  # noqa: N801 - PyTorch's name
    """Order of the dimensions in memory, from the slowest to the fastest.

    ``contiguous_format`` is row-major, ``channels_last`` lays an (N, C, H, W) tensor out as NHWC,
    ``channels_last_3d`` an (N, C, D, H, W) one as NDHWC, ``preserve_format`` keeps what the input has.
    Source: https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch-memory-format
    """

    __slots__ = ()


strided = layout("strided")
sparse_coo = layout("sparse_coo")  # of minigrad.sparse
jagged = layout("jagged")  # of minigrad.nested
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")

_RANKS = {"channels_last": 4, "channels_last_3d": 5}


def check_layout(value):
    """Accept strided (or None); RuntimeError for any other layout, TypeError for what is none."""
    if value is None or value is strided:
        return
    if not isinstance(value, layout):
        raise TypeError(f"argument 'layout' must be minigrad.layout, not {type(value).__name__}")
    raise RuntimeError(f"layout {value} is not supported: tensors here are strided")


def is_channels_last(array, chosen):
    """Return whether a raw array lies in memory in the given channels-last order without gaps."""
    return array.ndim == _RANKS[chosen.name] and xp(array).moveaxis(array, 1, -1).flags.c_contiguous


def in_memory_format(array, chosen):
    """Return a raw array with the memory format: the same one if it has it already, else a copy."""
    if chosen is None or chosen is preserve_format:
        return array
    if chosen is contiguous_format:
        return array if array.flags.c_contiguous else xp(array).ascontiguousarray(array)
    check_rank(chosen, array.ndim)
    if is_channels_last(array, chosen):
        return array
    module = xp(array)
    return module.moveaxis(module.ascontiguousarray(module.moveaxis(array, 1, -1)), -1, 1)


def check_memory_format(value):
    """TypeError for what is no memory format."""
    if value is not None and not isinstance(value, memory_format):
        raise TypeError(f"argument 'memory_format' must be minigrad.memory_format, not {type(value).__name__}")


def check_rank(chosen, ndim):
    """RuntimeError where a channels-last format is asked of a tensor of another rank."""
    check_memory_format(chosen)
    rank = _RANKS.get(chosen.name)
    if rank is not None and ndim != rank:
        raise RuntimeError(
            f"required rank {rank} tensor to use {chosen.name} format, but this one has {ndim} dimensions"
        )


def permuted_empty(shape, dtype, chosen, module=np):
    """Return a new uninitialised raw array of the given memory format."""
    if chosen is None or chosen.name not in _RANKS:
        return module.empty(shape, dtype)
    check_rank(chosen, len(shape))
    moved = (shape[0], *shape[2:], shape[1])
    return module.moveaxis(module.empty(moved, dtype), -1, 1)


def view_as_dtype(tensor, new):
    """Return a view of a tensor's bytes as another dtype than its own."""
    array = tensor.array
    if is_tracked(tensor) and MODE.grad and new.char in FLOAT_CODES and new.itemsize != array.itemsize:
        raise RuntimeError(
            f"view(dtype): bytes seen as another dtype have no gradient; detach() the {tensor.dtype} tensor first"
        )
    if new.itemsize != array.itemsize:
        if array.ndim == 0:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {tensor.dtype} as {from_numpy_dtype(new)} (different element sizes)"
            )
        if array.shape[-1] * array.itemsize % new.itemsize:
            raise RuntimeError(
                f"self.size(-1) must be divisible by {new.itemsize // array.itemsize} to view {tensor.dtype} as "
                f"{from_numpy_dtype(new)} (different element sizes), but got {array.shape[-1]}"
            )
        if array.strides[-1] != array.itemsize:
            raise RuntimeError(
                f"self.stride(-1) must be 1 to view {tensor.dtype} as {from_numpy_dtype(new)} (different element "
                "sizes), but "
                f"got {array.strides[-1] // array.itemsize}"
            )
    tensor._mark_aliased()
    return wrap(array.view(new))
