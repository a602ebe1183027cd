"""Embeddings: rows of a matrix by index, alone or in bags."""

import importlib

from minigrad.backend import REAL_CODES, np, xp
from minigrad.inplace import read_positions
from minigrad.kernels import embedding as kernels
from minigrad.kernels.scatter import take
from minigrad.op import Op
from minigrad.ops.core import cast
from minigrad.ops.define import require_tensor
from minigrad.ops.index import take_add, take_op
from minigrad.registry import function
from minigrad.tensor import Tensor, wrap
from minigrad.variable import MODE, touch


def _embedding_gradient(g, index, factor, weight_shape, sparse):
    """Return the gradient of the weight: the rows of g, scaled where rows count less (padding, frequency)."""
    if sparse and not isinstance(g, Tensor):  # a graph of the gradient is of dense ones
        return _sparse_gradient(g.reshape(-1, weight_shape[1]), index.reshape(-1), factor, weight_shape)
    return take_add(g if factor is None else g * factor, index, shape=weight_shape, dim=0)


def _sparse_gradient(rows, index, factor, weight_shape):
    """Return the gradient as a sparse tensor with one entry for each index that is not padding (of factor 0)."""
    if factor is not None:
        kept = factor.reshape(-1) != 0
        rows, index = rows[kept], index[kept]
    module = xp(rows)
    indices = wrap(module.array(index[None], dtype="int64"))
    return importlib.import_module("minigrad.sparse").SparseTensor(indices, wrap(module.array(rows)), weight_shape)


# Like take_op, but the rows of the gradient are multiplied by ``factor`` (index.shape + (1,)), unless it is None.
embedding_op = Op(
    lambda weight, index, factor, *, sparse: take(weight, index, 0),
    [_embedding_gradient, None, None],
    name="embedding",
)


def _is_sparse(weight, sparse, scale_grad_by_freq):
    """Return whether the gradient of a weight is to be sparse: that of a leaf may."""
    sparse = bool(sparse and MODE.grad and weight.requires_grad and weight.is_leaf)
    if sparse and scale_grad_by_freq:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
    return sparse


def _check_index(name, index, rows):
    """RuntimeError for indices that are no integers, IndexError for one out of range."""
    if index.array.dtype.kind not in "iu":
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{index.dtype} instead (while checking arguments for {name})"
        )
    array = index.array
    if array.size and (int(array.min()) < 0 or int(array.max()) >= rows):
        wrong = array[(array < 0) | (array >= rows)]
        raise IndexError(f"index out of range in self: {int(wrong[0])} for {rows} embeddings ({name})")


def _factor(index, padding_idx, scale_grad_by_freq, dtype):
    """Return what each row of the gradient counts, index.shape + (1,); None if all count one."""
    module, factor = xp(index), None
    if padding_idx is not None:
        factor = (index != padding_idx).astype(dtype)
    if scale_grad_by_freq and index.size:
        _, inverse, counts = module.unique(index, return_inverse=True, return_counts=True)
        frequency = 1 / counts[inverse.reshape(index.shape)]
        factor = (frequency if factor is None else factor * frequency).astype(dtype)
    return None if factor is None else factor[..., None]


def _checked_padding(padding_idx, rows):
    """Return padding_idx as a non-negative int; AssertionError out of range, as in PyTorch."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % rows


def _renormalise(name, weight, index, max_norm, norm_type):
    """Scale the rows about to be used to at most max_norm, in place."""
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: Expected tensor for argument 'indices' to have one of the scalar types Long, Int")
    if max_norm is not None:
        kernels.renormalise_rows(weight.array, index, max_norm, norm_type)
        touch(weight.array)


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """Return the rows of weight that input names.

    Arguments: input (…) int64 indices, weight (rows, D), padding_idx (a row that gets no gradient), max_norm (rows that
    are used are first scaled in place to this norm_type-norm), scale_grad_by_freq (divide a row's gradient by how often
    it is named), sparse (the gradient of a leaf is a sparse tensor, for SGD, Adagrad and SparseAdam). IndexError for an
    index out of range.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html

    >>> import minigrad as mg
    >>> mg.nn.functional.embedding(mg.tensor([1, 0]), mg.tensor([[1.0], [2.0]]))
    tensor([[2.],
            [1.]])
    """
    require_tensor("embedding", input)
    require_tensor("embedding", weight, "weight", 2)
    if weight.array.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    rows = weight.array.shape[0]
    padding_idx = _checked_padding(padding_idx, rows)
    _check_index("embedding", input, rows)
    _renormalise("embedding", weight, input.array, max_norm, norm_type)
    factor = None
    if weight.requires_grad and MODE.grad and (padding_idx is not None or scale_grad_by_freq):
        factor = _factor(input.array, padding_idx, scale_grad_by_freq, weight.array.dtype)
    return embedding_op(weight, input.detach(), factor, sparse=_is_sparse(weight, sparse, scale_grad_by_freq))


@function(name="embedding")
def _torch_embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """Embedding with torch.embedding's order of arguments; padding_idx -1 means none.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html

    >>> import minigrad as mg
    >>> mg.embedding(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), mg.tensor([1, 0]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    return embedding(indices, weight, None if padding_idx == -1 else padding_idx, None, 2.0, scale_grad_by_freq, sparse)


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    """Return the sum, mean or maximum of the rows of weight that each bag names.

    Arguments: input (B, N): B bags of N indices, or (N,) with offsets (B,): where each bag starts; weight (rows, D);
    per_sample_weights (input's shape, for mode "sum"); include_last_offset (offsets also hold the end); padding_idx
    (indices that count nothing). Other arguments as for embedding. Result (B, D); an empty bag gives zeros.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding_bag.html

    >>> import minigrad as mg
    >>> mg.nn.functional.embedding_bag(mg.tensor([[0, 1]]), mg.tensor([[1.0], [2.0]]), mode="sum")
    tensor([[3.]])
    """
    require_tensor("embedding_bag", input)
    require_tensor("embedding_bag", weight, "weight", 2)
    if input.array.dtype.char in REAL_CODES and weight.array.dtype.kind in "iu":
        raise ValueError("embedding_bag: the order of arguments is (input, weight): indices first")
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
            f"(got mode='{mode}')."
        )
    if mode == "max" and scale_grad_by_freq:
        raise RuntimeError("embedding_bag: max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("embedding_bag: max mode does not support sparse weights")
    if per_sample_weights is not None and per_sample_weights.array.shape != input.array.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({list(per_sample_weights.shape)}) is not None, then it must have "
            "the "
            f"same shape as the input ({list(input.shape)})"
        )
    rows = weight.array.shape[0]
    padding_idx = _checked_padding(padding_idx, rows)
    _check_index("embedding_bag", input, rows)
    bag, count = _bags(input, offsets, include_last_offset)
    index = input.array.reshape(-1)
    _renormalise("embedding_bag", weight, index, max_norm, norm_type)
    if per_sample_weights is not None:
        per_sample_weights = per_sample_weights.reshape(-1)
    if padding_idx is not None:
        kept = xp(index).flatnonzero(index != padding_idx)
        index, bag = index[kept], bag[kept]
        per_sample_weights = None if per_sample_weights is None else take_op(per_sample_weights, wrap(kept), dim=0)
    factor = _factor(index, None, scale_grad_by_freq, weight.array.dtype) if scale_grad_by_freq else None
    sparse = _is_sparse(weight, sparse, scale_grad_by_freq)
    chosen = embedding_op(weight, wrap(index), factor, sparse=sparse)  # (entries, D)
    if mode == "max":
        return _largest(chosen, bag, count)
    if per_sample_weights is not None:
        if chosen.array.dtype.itemsize == 2:  # products and sums of half precision are rounded once, at the end
            chosen, per_sample_weights = (cast(x, dtype=np.dtype("float32")) for x in (chosen, per_sample_weights))
        chosen = chosen * per_sample_weights.unsqueeze(1)
    total = take_add(chosen, wrap(bag), shape=(count, chosen.array.shape[1]), dim=0)
    if total.array.dtype != weight.array.dtype:
        total = cast(total, dtype=weight.array.dtype)
    if mode == "sum":
        return total
    sizes = xp(bag).bincount(bag, minlength=count)
    return total / wrap(xp(bag).maximum(sizes, 1)[:, None].astype(weight.array.dtype))


def _bags(input, offsets, include_last_offset):
    """Return (bag of each index, flattened; number of bags)."""
    array = input.array
    module = xp(array)
    if array.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated as a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        return module.repeat(module.arange(array.shape[0]), array.shape[1]), array.shape[0]
    if array.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {array.ndim}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if not isinstance(offsets, Tensor) or offsets.array.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    starts = offsets.array
    if starts.size and int(starts[0]) != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, "
            f"got {int(starts[0])}"
        )
    if starts.size and int(starts[-1]) > array.size:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length ({array.size}), but got {int(starts[-1])}"
        )
    if include_last_offset:
        if not starts.size:
            raise RuntimeError("include_last_offset: number of offsets should be at least 1")
        starts = starts[:-1]
    marks = module.zeros(array.size + 1, "int64")
    if starts.size:
        marks[: starts.max() + 1] += module.bincount(starts)
    return module.cumsum(marks)[:-1] - 1, starts.size


def _largest(chosen, bag, count):
    """Return the largest element of each bag in each column, zero for empty bags. # (entries, D) → (count, D)"""
    x = chosen.array
    module = xp(x)
    entries, width = x.shape
    if not entries:
        return chosen.new_zeros((count, width))
    # Sorted by bag, then value, then backwards: the last entry of a bag is its largest, the earliest of equal ones.
    # Three stable sorts, the least significant key first.
    order = module.broadcast_to(module.arange(entries - 1, -1, -1)[:, None], x.shape)
    for keys in (x, module.broadcast_to(bag[:, None], x.shape)):
        ranks = module.argsort(module.take_along_axis(keys, order, 0), axis=0, kind="stable")
        order = module.take_along_axis(order, ranks, 0)
    sizes = module.bincount(bag, minlength=count)
    last = module.cumsum(sizes) - 1
    full = sizes > 0
    winners = order[module.maximum(last, 0)] * width + module.arange(width)  # flat positions in chosen
    largest = read_positions(chosen, wrap(winners))
    return largest if bool(full.all()) else largest * wrap(full[:, None].astype(x.dtype))


def one_hot(input, num_classes=-1):
    """Return int64 zeros with a one at each class index, in a new last dimension.

    Arguments: input (…) int64, num_classes (-1: the largest index + 1). RuntimeError for an index out of range.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.one_hot.html

    >>> import minigrad as mg
    >>> mg.nn.functional.one_hot(mg.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    require_tensor("one_hot", input)
    index = input.array
    if index.dtype != "int64":
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if not index.size and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if index.size and int(index.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(index.max()) + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif index.size and int(index.max()) >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return input.unsqueeze(-1).eq(wrap(xp(index).arange(num_classes))).long()
