"""Other orders and repetitions: flips, rolls, tiles, diagonals, triangles."""

from minigrad.backend import np, xp
from minigrad.op import Op
from minigrad.ops.arguments import as_int, dims_of, ints_of
from minigrad.ops.index import take_op
from minigrad.ops.shape import clone_op, diagonal_op, reshape_op, shape_argument, transpose_op, undiagonal
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap


# ---------------------------------------------------------------------- ops: copies in another order
def _flip(x, *, dims):
    return xp(x).flip(x, dims).copy()


flip_op = Op(_flip, [lambda g, dims: flip_op(g, dims=dims)], name="flip")


def _roll(x, *, shifts, dims):
    return xp(x).roll(x, shifts, dims)


roll_op = Op(
    _roll, [lambda g, shifts, dims: roll_op(g, shifts=tuple([-shift for shift in shifts]), dims=dims)], name="roll"
)


def _tril(x, *, diagonal):
    return xp(x).tril(x, diagonal)


def _triu(x, *, diagonal):
    return xp(x).triu(x, diagonal)


tril_op = Op(_tril, [lambda g, diagonal: tril_op(g, diagonal=diagonal)], name="tril")
triu_op = Op(_triu, [lambda g, diagonal: triu_op(g, diagonal=diagonal)], name="triu")


def _tile(x, *, repeats):
    return xp(x).tile(x, repeats)


def _untile(g, repeats, x_shape):
    """Return the gradient of repeated copies: reshaped to (r0, n0, r1, n1, …) and summed over the repeats."""
    lead = len(repeats) - len(x_shape)
    padded = (1,) * lead + tuple(x_shape)
    pairs = [length for pair in zip(repeats, padded, strict=True) for length in pair]
    summed = _sum_evens(reshape_op(g, shape=tuple(pairs)))
    return reshape_op(summed, shape=tuple(x_shape))


def _sum_even_dims(x):
    return x.sum(axis=tuple(range(0, x.ndim, 2)))


def _spread_even_dims(g, *, shape):
    spread = tuple([length if position % 2 else 1 for position, length in enumerate(shape)])
    return xp(g).broadcast_to(g.reshape(spread), shape).copy()


_sum_evens = Op(_sum_even_dims, [lambda g, x_shape: _spread_evens(g, shape=x_shape)], name="sum_even_dims")
_spread_evens = Op(_spread_even_dims, [lambda g: _sum_evens(g)], name="spread_even_dims")
tile_op = Op(_tile, [lambda g, x_shape, repeats: _untile(g, repeats, x_shape)], name="repeat")


# ---------------------------------------------------------------------- other orders and repetitions
@function(method=True)
def flip(input, *dims, **named):
    """Return a copy with the order of the elements reversed along dimensions (an int or several).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.flip.html

    >>> import minigrad as mg
    >>> mg.flip(mg.tensor([1, 2, 3]), dims=(0,))
    tensor([3, 2, 1])
    """
    dims = shape_argument(dims, named, "dims", "flip")
    return flip_op(input, dims=tuple(dims_of(dims, input.array.ndim)) if input.array.ndim else ())


@function(method=True)
def fliplr(input):
    """Return a copy with the columns reversed.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.fliplr.html

    >>> import minigrad as mg
    >>> mg.fliplr(mg.tensor([[1, 2]]))
    tensor([[2, 1]])
    """
    if input.array.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip_op(input, dims=(1,))


@function(method=True)
def flipud(input):
    """Return a copy with the rows reversed.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.flipud.html

    >>> import minigrad as mg
    >>> mg.flipud(mg.tensor([[1], [2]]))
    tensor([[2],
            [1]])
    """
    if input.array.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip_op(input, dims=(0,))


@function(method=True)
def rot90(input, k=1, dims=(0, 1)):
    """Return the tensor rotated k times by 90° in the plane of two dimensions, from the first towards the second.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.rot90.html

    >>> import minigrad as mg
    >>> mg.rot90(mg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    ndim, dims = input.array.ndim, tuple(dims)
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == ndim:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    for place, dim in enumerate(dims):
        if not -ndim <= dim < ndim:
            raise RuntimeError(f"Rotation dim{place} out of range, dim{place} = {dim}")
    k %= 4
    if k == 2:
        return flip(input, dims)
    if k == 1:
        return transpose_op(flip(input, dims[1]), dim0=dims[0], dim1=dims[1]).contiguous()
    if k == 3:
        return transpose_op(flip(input, dims[0]), dim0=dims[0], dim1=dims[1]).contiguous()
    return clone_op(input)


@function(method=True)
def roll(input, shifts, dims=None):
    """Return the elements shifted along dimensions, those pushed out at one end coming in at the other.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.roll.html

    >>> import minigrad as mg
    >>> mg.roll(mg.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    shifts = (shifts,) if isinstance(shifts, int) else ints_of((shifts,), "roll()")
    dims = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not dims:
        if len(shifts) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
        flat = roll_op(reshape_op(input, shape=(input.array.size,)), shifts=shifts, dims=(0,))
        return reshape_op(flat, shape=input.array.shape)
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if input.array.ndim == 0:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    return roll_op(input, shifts=shifts, dims=tuple([normalize_dim(dim, input.array.ndim) for dim in dims]))


@function(method=True, public=False)
def repeat(self, *repeats, **named):
    """Return copies side by side: so many along each dimension; new dimensions come first.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.repeat.html

    >>> import minigrad as mg
    >>> mg.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    repeats = shape_argument(repeats, named, "repeats", "repeat")
    if len(repeats) < self.array.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    if any(count < 0 for count in repeats):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats {list(repeats)}")
    return tile_op(self, repeats=repeats)


@function(method=True)
def tile(input, *dims, **named):
    """Return copies side by side; a missing number of repeats is 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.tile.html

    >>> import minigrad as mg
    >>> mg.tile(mg.tensor([1, 2]), (2,))
    tensor([1, 2, 1, 2])
    """
    repeats = shape_argument(dims, named, "dims", "tile")
    return repeat(input, (1,) * (input.array.ndim - len(repeats)) + repeats)


@function(method=True)
def repeat_interleave(input=None, repeats=None, dim=None, *, output_size=None):
    """Return each element ``repeats`` times in a row: along a dimension, or flattened.

    ``repeats`` is an int, or integer tensor with one count an element. ``repeat_interleave(counts)`` returns the
    indices 0 … n - 1, each as often as its count says.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.repeat_interleave.html

    >>> import minigrad as mg
    >>> mg.repeat_interleave(mg.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if repeats is None and input is None:
        raise TypeError("repeat_interleave(): missing the argument 'repeats'")
    if repeats is None or input is None:
        counts = input if repeats is None else repeats
        if counts.array.ndim != 1 or counts.array.dtype not in (np.int64, np.int32):
            raise RuntimeError("repeat_interleave only accepts 1D vectors of int32 or int64 as repeat")
        indices = _repeated_indices(counts, counts.array.size, output_size)
        return wrap(indices.astype(counts.array.dtype))
    if dim is None:
        input, dim = reshape_op(input, shape=(input.array.size,)), 0
    elif input.array.ndim == 0:
        input = reshape_op(input, shape=(1,))
    dim = normalize_dim(dim, input.array.ndim)
    if not isinstance(repeats, (Tensor, int)):
        raise TypeError(f"repeat_interleave(): argument 'repeats' must be int or Tensor, not {type(repeats).__name__}")
    index = _repeated_indices(repeats, input.array.shape[dim], output_size, xp(input.array))
    return take_op(input, wrap(index), dim=dim)


def _repeated_indices(repeats, length, output_size, module=np):
    """Return the raw indices 0 … length - 1, each repeated as asked."""
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError("Repeats must be non-negative")
        counts = repeats
    else:
        counts, module = repeats.array, xp(repeats.array)
        if counts.dtype not in (np.int64, np.int32):
            raise RuntimeError("repeats has to be Long or Int tensor")
        if counts.ndim > 1:
            raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
        if counts.size and int(counts.min()) < 0:
            raise RuntimeError("repeats can not be negative")
        if counts.size not in (1, length):
            raise RuntimeError(
                f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and "
                f"input.size(dim) = {length}"
            )
        counts = module.broadcast_to(counts, (length,)) if counts.size == 1 else counts
        counts = counts if module is np else counts.get().tolist()
    index = module.arange(length).repeat(counts)
    if output_size is not None and output_size != index.size:
        raise RuntimeError(f"allocated size does not match required size: output_size {output_size}, not {index.size}")
    return index


# ---------------------------------------------------------------------- diagonals and triangles
@function(method=True)
def diagonal(input, offset=0, dim1=0, dim2=1):
    """Return a view of the diagonals of the planes of two dimensions; they become the last dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.diagonal.html

    >>> import minigrad as mg
    >>> mg.diagonal(mg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    ndim = input.array.ndim
    first, second = normalize_dim(dim1, ndim), normalize_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return diagonal_op(input, offset=as_int(offset, "diagonal()"), dim1=first, dim2=second)


@function(method=True)
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Return zeros with the last dimension of the input on the diagonals of the planes of two new dimensions.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.diag_embed.html

    >>> import minigrad as mg
    >>> mg.diag_embed(mg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    ndim = input.array.ndim + 1
    first, second = normalize_dim(dim1, ndim), normalize_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    length = input.array.shape[-1] + abs(offset)
    shape = list(input.array.shape[:-1])
    for dim in sorted((first, second)):
        shape.insert(dim, length)
    return undiagonal(input, shape=tuple(shape), offset=offset, dim1=first, dim2=second)


@function(method=True, out=True)
def diag(input, diagonal=0):
    """Return the diagonal of a matrix, or the matrix with a vector on its diagonal.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.diag.html

    >>> import minigrad as mg
    >>> mg.diag(mg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    ndim = input.array.ndim
    if ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    return diag_embed(input, diagonal) if ndim == 1 else clone_op(diagonal_op(input, offset=diagonal, dim1=0, dim2=1))


@function(method=True)
def diagflat(input, offset=0):
    """Return the matrix with the flattened input on its diagonal.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.diagflat.html

    >>> import minigrad as mg
    >>> mg.diagflat(mg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(reshape_op(input, shape=(input.array.size,)), offset)


def _triangle(name, op):
    def triangle(input, diagonal=0):
        if input.array.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        return op(input, diagonal=as_int(diagonal, f"{name}()"))

    which = "lower" if name == "tril" else "upper"
    triangle.__name__ = triangle.__qualname__ = name
    triangle.__doc__ = (
        f"Return the {which} triangle of matrices, zero elsewhere; ``diagonal`` shifts its edge.\n\n"
        "    Arguments: input (Tensor, (..., m, n)), diagonal (int: 0 the main one, above it if positive).\n"
        "    RuntimeError for fewer than two dimensions.\n"
        f"    Source: https://docs.pytorch.org/docs/stable/generated/torch.{name}.html\n\n"
        f"    >>> import minigrad as mg\n    >>> mg.{name}(mg.ones(3, 3)).sum({1 if name == 'tril' else 0})\n"
        "    tensor([1., 2., 3.])\n    "
    )
    return function(method=True, inplace=True, out=True)(triangle)


tril = _triangle("tril", tril_op)
triu = _triangle("triu", triu_op)
