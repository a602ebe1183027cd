"""Joining tensors: cat, stack and their relatives, grids."""

import warnings

from minigrad.backend import np
from minigrad.ops.arguments import check_tensor, check_tensors
from minigrad.ops.core import broadcast_to as broadcast_op
from minigrad.ops.pieces import cat_op, stack_op
from minigrad.ops.shape import reshape_op
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap


# ---------------------------------------------------------------------- joining
@function(out="apart")
def cat(tensors, dim=0, *, axis=None):
    """Return tensors joined along a dimension; their other dimensions must agree.

    The dtype is the tensors' common one. Tensors of shape (0,) are skipped. RuntimeError for shapes that don't agree,
    ValueError for no tensors at all. Source: https://docs.pytorch.org/docs/stable/generated/torch.cat.html

    >>> import minigrad as mg
    >>> mg.cat([mg.zeros(2), mg.ones(1)])
    tensor([0., 0., 1.])
    """
    tensors = check_tensors(tensors, "cat")
    if axis is not None:
        dim = axis
    if not tensors:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    try:
        first = tensors[0].array
        ndim = first.ndim
        if ndim and type(dim) is int and -ndim <= dim < ndim:
            return cat_op(*tensors, dim=dim + ndim if dim < 0 else dim)
    except (ValueError, RuntimeError, TypeError):
        pass  # legacy empty tensors, or an error to be explained
    return _careful_cat(tensors, dim)


def _careful_cat(tensors, dim):
    """Join tensors of which some may be of shape (0,), with PyTorch's errors."""
    for position, tensor in enumerate(tensors):
        if tensor.array.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {position}) cannot be concatenated")
    filled = [tensor for tensor in tensors if tensor.array.shape != (0,)] or [tensors[0]]
    shape = filled[0].array.shape
    dim = normalize_dim(dim, len(shape))
    for position, tensor in enumerate(filled):
        other = tensor.array.shape
        if len(other) != len(shape):
            raise RuntimeError(f"Tensors must have same number of dimensions: got {len(shape)} and {len(other)}")
        for where, (a, b) in enumerate(zip(shape, other, strict=True)):
            if where != dim and a != b:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {a} but got size {b} for "
                    "tensor "
                    f"number {position} in the list."
                )
    empty = (*shape[:dim], 0, *shape[dim + 1 :])  # what is skipped counts for the dtype, and has an empty gradient
    return cat_op(*[t if t.array.shape != (0,) else reshape_op(t, shape=empty) for t in tensors], dim=dim)


@function(out=True)
def concat(tensors, dim=0, *, axis=None):
    """Return tensors joined along a dimension; the same as cat.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.concat.html

    >>> import minigrad as mg
    >>> mg.concat([mg.ones(1), mg.zeros(2)])
    tensor([1., 0., 0.])
    """
    return cat(tensors, dim, axis=axis)


@function(out=True)
def concatenate(tensors, axis=0, *, dim=None):
    """Return tensors joined along a dimension; the same as cat.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.concatenate.html

    >>> import minigrad as mg
    >>> mg.concatenate([mg.ones(1), mg.zeros(2)])
    tensor([1., 0., 0.])
    """
    return cat(tensors, axis if dim is None else dim)


@function(out=True)
def stack(tensors, dim=0, *, axis=None):
    """Return tensors of one shape joined along a new dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.stack.html

    >>> import minigrad as mg
    >>> mg.stack([mg.zeros(2), mg.ones(2)])
    tensor([[0., 0.],
            [1., 1.]])
    """
    tensors = check_tensors(tensors, "stack")
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    dim = normalize_dim(dim if axis is None else axis, tensors[0].array.ndim + 1)
    shape = tensors[0].array.shape
    for position, tensor in enumerate(tensors):
        if tensor.array.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(tensor.shape)} at "
                f"entry {position}"
            )
    return stack_op(*tensors, dim=dim)


@function()
def atleast_1d(*tensors):
    """Return tensors, or one, with at least one dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.atleast_1d.html

    >>> import minigrad as mg
    >>> mg.atleast_1d(mg.tensor(3)).shape
    minigrad.Size([1])
    """
    return _at_least(tensors, lambda x: reshape_op(x, shape=(1,)) if x.array.ndim == 0 else x, "atleast_1d")


@function()
def atleast_2d(*tensors):
    """Return tensors, or one, with at least two dimensions.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.atleast_2d.html

    >>> import minigrad as mg
    >>> mg.atleast_2d(mg.ones(3)).shape
    minigrad.Size([1, 3])
    """

    def raised(x):
        return reshape_op(x, shape=(1,) * (2 - x.array.ndim) + x.array.shape) if x.array.ndim < 2 else x

    return _at_least(tensors, raised, "atleast_2d")


@function()
def atleast_3d(*tensors):
    """Return tensors, or one, with at least three dimensions: a matrix gets its new one last, a vector around it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.atleast_3d.html

    >>> import minigrad as mg
    >>> mg.atleast_3d(mg.ones(2)).shape
    minigrad.Size([1, 2, 1])
    """

    def raised(x):
        shape = x.array.shape
        if len(shape) >= 3:
            return x
        return reshape_op(x, shape={0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)])

    return _at_least(tensors, raised, "atleast_3d")


def _at_least(tensors, raised, name):
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return raised(tensors[0])
    if len(tensors) == 1:
        tensors = tensors[0]
    return tuple([raised(tensor) for tensor in check_tensors(tuple(tensors), name)])


@function(out=True)
def hstack(tensors):
    """Return tensors joined horizontally: along dimension 1, vectors along dimension 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.hstack.html

    >>> import minigrad as mg
    >>> mg.hstack([mg.tensor([1]), mg.tensor([2, 3])])
    tensor([1, 2, 3])
    """
    tensors = _some(atleast_1d(check_tensors(tensors, "hstack")), "hstack")
    return cat(tensors, 0 if tensors[0].array.ndim == 1 else 1)


@function(out=True)
def vstack(tensors):
    """Return tensors joined vertically, along dimension 0; vectors are rows.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.vstack.html

    >>> import minigrad as mg
    >>> mg.vstack([mg.tensor([1, 2]), mg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(_some(atleast_2d(check_tensors(tensors, "vstack")), "vstack"), 0)


@function(out=True)
def row_stack(tensors):
    """Return tensors joined vertically; the same as vstack.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.row_stack.html

    >>> import minigrad as mg
    >>> mg.row_stack([mg.ones(2), mg.zeros(2)])
    tensor([[1., 1.],
            [0., 0.]])
    """
    return cat(_some(atleast_2d(check_tensors(tensors, "row_stack")), "row_stack"), 0)


@function(out=True)
def dstack(tensors):
    """Return tensors joined in depth, along dimension 2.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.dstack.html

    >>> import minigrad as mg
    >>> mg.dstack([mg.tensor([1, 2]), mg.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat(_some(atleast_3d(check_tensors(tensors, "dstack")), "dstack"), 2)


@function(out=True)
def column_stack(tensors):
    """Return tensors joined as columns: vectors and scalars are columns, others joined along dimension 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.column_stack.html

    >>> import minigrad as mg
    >>> mg.column_stack([mg.tensor([1, 2]), mg.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = _some(check_tensors(tensors, "column_stack"), "column_stack")
    return cat([reshape_op(x, shape=(x.array.size, 1)) if x.array.ndim <= 1 else x for x in tensors], 1)


def _some(tensors, name):
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


@function()
def block_diag(*tensors):
    """Return the block-diagonal matrix of the given matrices; vectors are rows, scalars 1×1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.block_diag.html

    >>> import minigrad as mg
    >>> mg.block_diag(mg.ones(1, 2), mg.ones(1, 1))
    tensor([[1., 1., 0.],
            [0., 0., 1.]])
    """
    blocks = []
    for tensor in tensors or (wrap(np.empty((1, 0), np.float32)),):
        check_tensor(tensor, "block_diag")
        if tensor.array.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Got {tensor.array.ndim}"
            )
        blocks.append(atleast_2d(tensor))
    width = sum(block.array.shape[1] for block in blocks)
    rows, start = [], 0
    for block in blocks:
        height, stop = block.array.shape[0], start + block.array.shape[1]
        left, right = (block.new_zeros(height, columns) for columns in (start, width - stop))
        rows.append(cat([left, block, right], 1))
        start = stop
    return cat(rows, 0)


@function()
def cartesian_prod(*tensors):
    """Return the Cartesian product of vectors, one combination a row.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cartesian_prod.html

    >>> import minigrad as mg
    >>> mg.cartesian_prod(mg.tensor([1, 2]), mg.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    for tensor in tensors:
        if tensor.array.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(tensor.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    grids = meshgrid(*tensors, indexing="ij")
    return stack([reshape_op(grid, shape=(-1,)) for grid in grids], 1)


@function()
def meshgrid(*tensors, indexing=None):
    """Return the grids of coordinates of vectors: "ij" (the default) for matrix, "xy" for Cartesian indexing.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.meshgrid.html

    >>> import minigrad as mg
    >>> x, y = mg.meshgrid(mg.arange(2), mg.arange(3), indexing="ij")
    >>> x
    tensor([[0, 0, 0],
            [1, 1, 1]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    tensors = _some(check_tensors(tensors, "meshgrid"), "meshgrid")
    if indexing is None:
        warnings.warn(
            "minigrad.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            stacklevel=2,
        )
        indexing = "ij"
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for tensor in tensors:
        if tensor.array.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {tensor}")
        if tensor.array.dtype != tensors[0].array.dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(tensors) >= 2
    if swap:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape = tuple([tensor.array.size for tensor in tensors])
    grids = []
    for position, tensor in enumerate(tensors):
        column = tuple([shape[position] if place == position else 1 for place in range(len(shape))])
        grids.append(broadcast_op(reshape_op(tensor, shape=column), shape=shape))
    if swap:
        grids = [grids[1], grids[0], *grids[2:]]
    return tuple(grids)
