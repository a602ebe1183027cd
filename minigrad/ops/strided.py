"""Views by strides: as_strided, its gradient, and the functions built on it."""

from minigrad.backend import xp
from minigrad.kernels.scatter import scatter_add_flat
from minigrad.kernels.strides import memory_positions, reach_of, restrided
from minigrad.op import Op
from minigrad.ops.arguments import check_tensor, ints_of
from minigrad.registry import function


def _as_strided(x, *, view, source):
    return restrided(x, *view)


def _regather(g, *, written, read, source):
    """Lay g into an empty memory as `written`, and read it as `read`: both (shape, strides, offset).

    Elements of the source that share a place also share its gradient: each gets an equal part, as in PyTorch.
    """
    low = min(written[2], read[2])
    size = max(offset + reach_of(shape, strides) for shape, strides, offset in (written, read)) - low
    memory = xp(g).zeros(size, g.dtype)
    if g.size:
        scatter_add_flat(memory, memory_positions(g, written) - low, g)
    if _overlaps(source):
        counts = xp(g).bincount(memory_positions(g, source).reshape(-1) - low, minlength=size)
        memory = memory / counts.clip(1).astype(g.dtype)
    return memory[memory_positions(g, read) - low]


def _overlaps(geometry):
    """Whether two elements of a geometry may lie at one place: some stride is less than what it steps over."""
    shape, strides, _ = geometry
    if 0 in shape:
        return False
    covered = 0
    for stride, length in sorted(zip(strides, shape, strict=True)):
        if length > 1 and stride <= covered:
            return True
        covered += (length - 1) * stride
    return False


as_strided_op = Op(
    _as_strided,
    [lambda g, view, source: regather(g, written=view, read=source, source=source)],
    name="as_strided",
    view=True,
)
regather = Op(
    _regather,
    [lambda g, written, read, source: regather(g, written=read, read=written, source=source)],
    name="regather",
)


@function(method=True)
def as_strided(input, size, stride, storage_offset=None):
    """Return a view of the tensor's memory with any shape, strides and offset (all in elements).

    Element (i, j, …) of the result is the memory's element ``storage_offset + i * stride[0] + j * stride[1] + …``.

    Arguments: size and stride (as many ints), storage_offset (default: the input's own).
    Errors: RuntimeError for negative strides, for as many strides as sizes missing, or outside of the memory.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.as_strided.html

    >>> import minigrad as mg
    >>> mg.arange(6).as_strided((3, 2), (2, 1))
    tensor([[0, 1],
            [2, 3],
            [4, 5]])
    """
    check_tensor(input, "as_strided")
    view = _geometry(input, size, stride, storage_offset)
    array = input.array
    source = (array.shape, tuple(input.stride()), input.storage_offset())
    if restrided(array, *view) is None:
        raise RuntimeError(
            f"setStorage: sizes {list(view[0])}, strides {list(view[1])}, storage offset {view[2]} are out of "
            "bounds for "
            f"the storage of a tensor of shape {list(array.shape)}, strides {list(source[1])} and offset {source[2]}"
        )
    return as_strided_op(input, view=view, source=source)


def _geometry(input, size, stride, storage_offset):
    """Return the checked (shape, strides, offset)."""
    shape, strides = ints_of((tuple(size),), "size"), ints_of((tuple(stride),), "stride")
    if len(shape) != len(strides):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {len(shape)} sizes {list(shape)}, {len(strides)} strides "
            f"{list(strides)}"
        )
    offset = input.storage_offset() if storage_offset is None else int(storage_offset)
    if any(stride < 0 for stride in strides):
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: {list(strides)}"
        )
    if any(length < 0 for length in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    return shape, strides, offset


def _same_geometry(input):
    """Return a differentiable copy of a tensor's whole stretch of memory, laid out like it from offset 0 on."""
    shape, strides = tuple(input.shape), tuple(input.stride())
    if input.is_contiguous() or input.numel() == 0:
        return input.clone()
    flat = input.as_strided((reach_of(shape, strides),), (1,))
    return flat.clone().as_strided(shape, strides, 0)


@function(out=True)
def as_strided_copy(input, size, stride, storage_offset=None):
    """Return a copy of :func:`as_strided`'s view.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.as_strided.html

    >>> import minigrad as mg
    >>> mg.as_strided_copy(mg.arange(4), (2, 2), (1, 2))
    tensor([[0, 2],
            [1, 3]])
    """
    return as_strided(input, size, stride, storage_offset).clone()


@function(method=True, out=True)
def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """Return a copy of the input in which the elements that ``as_strided`` would show are those of src.

    Arguments: src (of shape size), size, stride, storage_offset as in :func:`as_strided`.
    Errors: RuntimeError where src's shape is not size, or outside of the memory.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.as_strided_scatter.html

    >>> import minigrad as mg
    >>> mg.as_strided_scatter(mg.zeros(2, 2), mg.ones(2), (2,), (3,))
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_tensor(input, "as_strided_scatter")
    shape, strides, offset = _geometry(input, size, stride, storage_offset)
    if tuple(src.shape) != shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, "
            f"slice size = {list(shape)}"
        )
    copy = _same_geometry(input)
    shift = 0 if storage_offset is None else offset - input.storage_offset()
    copy.as_strided(shape, strides, copy.storage_offset() + shift).copy_(src)
    return copy
