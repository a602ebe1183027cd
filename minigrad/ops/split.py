"""Splitting tensors into views: split, chunk, unbind, narrow, select."""

from minigrad.backend import WATCHED, np
from minigrad.ops.arguments import as_int, ints_of
from minigrad.ops.pieces import select_op, slice_op, split_op, unbind_op
from minigrad.ops.reorder import flip
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim
from minigrad.variable import MODE, is_tracked, view_on


# ---------------------------------------------------------------------- splitting
def _views(op, x, **params):
    """Return the results of a view op that has several."""
    if WATCHED or (is_tracked(x) and MODE.grad):
        return op(x, **params)
    return tuple([view_on(part, x, None) for part in op.forward(x.array, **params)])


@function(method=True)
def split(tensor, split_size_or_sections=None, dim=0, *, split_size=None):
    """Return views of pieces along a dimension: of one size (the last may be smaller), or of a list of sizes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.split.html

    >>> import minigrad as mg
    >>> mg.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    sections = split_size if split_size_or_sections is None else split_size_or_sections
    if tensor.array.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = normalize_dim(dim, tensor.array.ndim)
    length = tensor.array.shape[dim]
    if isinstance(sections, (tuple, list)):
        sizes = ints_of((sections,), "split()")
        if any(size < 0 for size in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes have only non-negative entries, but got {list(sizes)}"
            )
        if sum(sizes) != length:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {length} (input tensor's size at dimension "
                f"{dim}), "
                f"but got split_sizes={list(sizes)}"
            )
        return _views(split_op, tensor, dim=dim, sizes=sizes)
    size = as_int(sections, "split()")
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and length:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {length}")
    count = max(1, -(-length // size)) if size else 1
    sizes = (size,) * (count - 1) + (length - size * (count - 1),)
    return _views(split_op, tensor, dim=dim, sizes=sizes)


@function(method=True, name="split_with_sizes")
def split_with_sizes(input, split_sizes, dim=0):
    """Return views of pieces of the given sizes along a dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.split.html

    >>> import minigrad as mg
    >>> mg.split_with_sizes(mg.arange(5), [2, 3])
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    return split(input, tuple(split_sizes), dim)


@function(method=True)
def chunk(input, chunks, dim=0):
    """Return views of at most ``chunks`` pieces of equal size along a dimension; the last may be smaller.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.chunk.html

    >>> import minigrad as mg
    >>> mg.chunk(mg.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if input.array.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    chunks = as_int(chunks, "chunk()")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = normalize_dim(dim, input.array.ndim)
    length = input.array.shape[dim]
    size = -(-length // chunks)
    if size == 0:
        return _views(split_op, input, dim=dim, sizes=(0,) * chunks)
    return split(input, size, dim)


@function(method=True)
def tensor_split(input, indices_or_sections=None, dim=0, *, indices=None, sections=None):
    """Return views of pieces along a dimension: a number of nearly equal ones, or cut at a list of indices.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.tensor_split.html

    >>> import minigrad as mg
    >>> mg.tensor_split(mg.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    given = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
    if input.array.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = normalize_dim(dim, input.array.ndim)
    length = input.array.shape[dim]
    if isinstance(given, Tensor):
        if given.is_cuda or given.array.dtype != np.int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long and be on cpu, but got "
                f"{given.dtype}"
            )
        if given.array.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional "
                "tensor, but "
                f"got a tensor with {given.array.ndim} dims"
            )
        given = given.tolist()
    if isinstance(given, (tuple, list)):
        cuts = [slice(cut, None).indices(length)[0] for cut in ints_of((given,), "tensor_split()")]
        bounds = [0, *cuts, length]
    else:
        count = as_int(given, "tensor_split()")
        if count <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {count}")
        small, extra = divmod(length, count)
        bounds = [0]
        for position in range(count):
            bounds.append(bounds[-1] + small + (position < extra))
    pieces = zip(bounds, bounds[1:], strict=False)
    return tuple([slice_op(input, dim=dim, start=a, stop=max(a, b), step=1) for a, b in pieces])


def _split_along(name, dim, least):
    def splitter(input, indices_or_sections=None, *, indices=None, sections=None):
        given = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
        ndim = input.array.ndim
        if ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {ndim} "
                "dimensions!"
            )
        where = dim if not (name == "hsplit" and ndim == 1) else 0
        if isinstance(given, int):
            length = input.array.shape[where]
            if given == 0 or length % given:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {where}, but the size of the dimension "
                    f"{length} is not "
                    f"divisible by the split_size {given}!"
                )
        return tensor_split(input, given, where)

    splitter.__name__ = splitter.__qualname__ = name
    splitter.__doc__ = (
        f"Return views of pieces along dimension {dim}: equal ones, or cut at a list of indices.\n\n"
        "    Arguments: input (Tensor), indices_or_sections (number of pieces, or where to cut).\n"
        "    RuntimeError for too few dimensions or a length that the number of pieces doesn't divide.\n"
        f"    Source: https://docs.pytorch.org/docs/stable/generated/torch.{name}.html\n\n"
        f"    >>> import minigrad as mg\n    >>> [piece.shape[{dim}] for piece in mg.{name}(mg.ones(4, 4, 4), 2)]\n"
        "    [2, 2]\n    "
    )
    return function(method=True)(splitter)


hsplit = _split_along("hsplit", 1, 1)
vsplit = _split_along("vsplit", 0, 2)
dsplit = _split_along("dsplit", 2, 3)


@function(method=True)
def unbind(input, dim=0):
    """Return views of all slices along a dimension, as a tuple.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.unbind.html

    >>> import minigrad as mg
    >>> mg.unbind(mg.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    if input.array.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = normalize_dim(dim, input.array.ndim)
    if input.array.shape[dim] == 0:
        return ()
    return _views(unbind_op, input, dim=dim)


def _iterate(self):
    """Iterate over the slices along dimension 0."""
    if self.array.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(unbind(self, 0))


Tensor.__iter__ = _iterate


def _reversed(self):
    """Return the tensor with dimension 0 reversed."""
    return flip(self, (0,)) if self.array.ndim else self


Tensor.__reversed__ = _reversed


@function(method=True)
def narrow(input, dim, start, length):
    """Return a view of ``length`` elements from ``start`` on along a dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.narrow.html

    >>> import minigrad as mg
    >>> mg.narrow(mg.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    if input.array.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim = normalize_dim(dim, input.array.ndim)
    if isinstance(start, Tensor):
        if start.array.ndim or start.array.dtype.kind not in "iu":
            raise RuntimeError("start must be an 0-dim integral Tensor.")
    start, length, size = as_int(start, "narrow()"), as_int(length, "narrow()"), input.array.shape[dim]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(f"start out of range (expected to be in range of [-{size}, {size}], but got {start})")
    start = start + size if start < 0 else start
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return slice_op(input, dim=dim, start=start, stop=start + length, step=1)


@function(method=True, out=True)
def narrow_copy(input, dim, start, length):
    """Return a copy of ``length`` elements from ``start`` on along a dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.narrow_copy.html

    >>> import minigrad as mg
    >>> mg.narrow_copy(mg.arange(4), 0, 1, 2)
    tensor([1, 2])
    """
    if dim >= max(input.array.ndim, 1):
        raise RuntimeError(f"narrow_copy: Expected dim < {input.array.ndim}, the number of dimensions, but got {dim}")
    return narrow(input, dim, start, length).clone()


@function(method=True)
def select(input, dim, index):
    """Return a view of one slice along a dimension, without that dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.select.html

    >>> import minigrad as mg
    >>> mg.select(mg.tensor([[1, 2], [3, 4]]), 0, 1)
    tensor([3, 4])
    """
    if input.array.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = normalize_dim(dim, input.array.ndim)
    size, index = input.array.shape[dim], as_int(index, "select()")
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    return select_op(input, dim=dim, index=index + size if index < 0 else index)
