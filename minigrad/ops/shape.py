"""Shape: views that reshape, permute and expand; joining and splitting; repeating and flipping."""

import builtins
import math
import warnings

from minigrad.backend import np, xp
from minigrad.inplace import check_writable
from minigrad.kernels.strides import broadcast_view, strided_view
from minigrad.op import Op, view_result
from minigrad.registry import METHODS, function
from minigrad.ops.core import broadcast_to as broadcast_op
from minigrad.ops.core import cast
from minigrad.tensor import Tensor, normalize_dim, wrap
from minigrad.variable import MODE, View, is_tracked, view_on

_ndarray = np.ndarray


# ---------------------------------------------------------------------- arguments
def ints_of(values, name="shape"):
    """Return ints given one by one or as one sequence, as a tuple; TypeError for anything else."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = values[0]
    return tuple([value if type(value) is int else as_int(value, name) for value in values])


def as_int(value, name):
    """Return an int, NumPy integer or integer tensor of one element as an int; TypeError for anything else."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected ints, but got {type(value).__name__}: {value!r}")
    return value.__index__()


def dims_of(dims, ndim):
    """Return dimensions as sorted non-negative ints without repetition; RuntimeError where one is repeated."""
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    found = [normalize_dim(dim, ndim) for dim in dims]
    for position, dim in enumerate(found):
        if dim in found[:position]:
            raise RuntimeError(f"dim {dim} appears multiple times in the list of dims")
    return found


def check_tensor(value, name, argument="input"):
    """TypeError unless value is a Tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' (position 1) must be Tensor, not {type(value).__name__}")


def check_tensors(tensors, name):
    """Return a sequence of Tensors as a tuple; TypeError if it is none."""
    if isinstance(tensors, Tensor) or not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"expected Tensor as element {position} in argument 0 of {name}(), but got {type(tensor).__name__}"
            )
    return tuple(tensors)


# ---------------------------------------------------------------------- ops: views
def _reshape(x, *, shape):
    try:
        out = x.reshape(shape)
    except (ValueError, OverflowError):
        raise _invalid_shape(x, shape) from None
    if out.shape != shape and any(length < -1 for length in shape):
        raise RuntimeError(f"invalid shape dimension {min(shape)}")
    return out


def _invalid_shape(x, shape):
    """Return the error for a shape that an array can't take."""
    unknown = [length for length in shape if length < 0]
    if builtins.any(length < -1 for length in shape):
        return RuntimeError(f"invalid shape dimension {min(shape)}")
    if len(unknown) > 1:
        return RuntimeError("only one dimension can be inferred")
    if unknown and x.size == 0:
        return RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can be "
            "any value and is ambiguous"
        )
    return RuntimeError(f"shape '{list(shape)}' is invalid for input of size {x.size}")


def _view(x, *, shape):
    out = _reshape(x, shape=shape)
    base = out.base
    if base is not x and (base is None or base is not x.base):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return out


def _transpose(x, *, dim0, dim1):
    try:
        return x.swapaxes(dim0, dim1)
    except ValueError:
        pass
    ndim = x.ndim
    dim0, dim1 = normalize_dim(dim0, ndim), normalize_dim(dim1, ndim)
    return x.swapaxes(dim0, dim1) if ndim else x[...]


def _permute(x, *, dims):
    return x.transpose(dims)


def inverse_permutation(dims):
    """Return the order that undoes a permutation."""
    ndim = len(dims)
    inverse = [0] * ndim
    for position, dim in enumerate(dims):
        inverse[dim % ndim] = position
    return tuple(inverse)


def _diagonal(x, *, offset, dim1, dim2):
    out = x.diagonal(offset, dim1, dim2)
    if type(out) is _ndarray and not out.flags.writeable and x.flags.writeable:
        out.flags.writeable = True
    return out


def _undiagonal(g, *, shape, offset, dim1, dim2):
    out = xp(g).zeros(shape, g.dtype)
    _diagonal(out, offset=offset, dim1=dim1, dim2=dim2)[...] = g
    return out


def _windows(x, *, dim, size, step):
    """Return windows of a dimension: their elements are a new last dimension."""
    if x.ndim == 0:
        return x.reshape(1)[:size]
    steps = tuple([stride // x.itemsize for stride in x.strides])
    count = (x.shape[dim] - size) // step + 1
    shape = x.shape[:dim] + (count,) + x.shape[dim + 1 :] + (size,)
    return strided_view(x, shape, steps[:dim] + (steps[dim] * step,) + steps[dim + 1 :] + (steps[dim],))


def _unwindows(g, *, shape, dim, size, step):
    """Add windows up where they were taken from."""
    out = xp(g).zeros(shape, g.dtype)
    if not shape:
        return g.reshape(())
    count = g.shape[dim]
    target = xp(g).moveaxis(out, dim, -1)
    source = xp(g).moveaxis(g, dim, -2)  # (..., count, size)
    for position in builtins.range(size):
        target[..., position : position + (count - 1) * step + 1 : step] += source[..., position]
    return out


reshape_op = Op(_reshape, [lambda g, x_shape: reshape_op(g, shape=x_shape)], name="reshape", view=True)
view_op = Op(_view, [lambda g, x_shape: reshape_op(g, shape=x_shape)], name="view", view=True)
unsqueeze_op = Op(_reshape, [lambda g, x_shape: reshape_op(g, shape=x_shape)], name="unsqueeze", view=True)
squeeze_op = Op(_reshape, [lambda g, x_shape: reshape_op(g, shape=x_shape)], name="squeeze", view=True)
transpose_op = Op(
    _transpose, [lambda g, dim0, dim1: transpose_op(g, dim0=dim0, dim1=dim1)], name="transpose", view=True
)
permute_op = Op(_permute, [lambda g, dims: permute_op(g, dims=inverse_permutation(dims))], name="permute", view=True)
diagonal_op = Op(
    _diagonal,
    [lambda g, x_shape, offset, dim1, dim2: undiagonal(g, shape=x_shape, offset=offset, dim1=dim1, dim2=dim2)],
    name="diagonal",
    view=True,
)
undiagonal = Op(
    _undiagonal, [lambda g, offset, dim1, dim2: diagonal_op(g, offset=offset, dim1=dim1, dim2=dim2)], name="undiagonal"
)
windows = Op(
    _windows,
    [lambda g, x_shape, dim, size, step: unwindows(g, shape=x_shape, dim=dim, size=size, step=step)],
    name="unfold_windows",
    view=True,
)
unwindows = Op(_unwindows, [lambda g, dim, size, step: windows(g, dim=dim, size=size, step=step)], name="fold_windows")


# ---------------------------------------------------------------------- ops: slices (adjoint pairs)
def _slice(x, *, dim, start, stop, step):
    return x[(slice(None),) * dim + (slice(start, stop, step),)]


def _unslice(g, *, shape, dim, start, stop, step):
    out = xp(g).zeros(shape, g.dtype)
    out[(slice(None),) * dim + (slice(start, stop, step),)] = g
    return out


slice_op = Op(
    _slice,
    [
        lambda g, x_shape, dim, start, stop, step: unslice(
            g, shape=x_shape, dim=dim, start=start, stop=stop, step=step
        )
    ],
    name="slice",
    view=True,
)
unslice = Op(
    _unslice,
    [lambda g, dim, start, stop, step: slice_op(g, dim=dim, start=start, stop=stop, step=step)],
    name="unslice",
)


def _select(x, *, dim, index):
    return x[(slice(None),) * dim + (index, Ellipsis)]


def _unselect(g, *, shape, dim, index):
    out = xp(g).zeros(shape, g.dtype)
    out[(slice(None),) * dim + (index,)] = g
    return out


select_op = Op(
    _select, [lambda g, x_shape, dim, index: unselect(g, shape=x_shape, dim=dim, index=index)], name="select", view=True
)
unselect = Op(_unselect, [lambda g, dim, index: select_op(g, dim=dim, index=index)], name="unselect")


# ---------------------------------------------------------------------- ops: joining and splitting
def _cat(*arrays, dim):
    return xp(arrays[0]).concatenate(arrays, dim)


def _cat_gradients(g, inputs_shape, dim, needs):
    gradients, start = [], 0
    for shape, needed in zip(inputs_shape, needs, strict=True):
        stop = start + shape[dim]
        gradients.append(slice_op(g, dim=dim, start=start, stop=stop, step=1) if needed else None)
        start = stop
    return tuple(gradients)


cat_op = Op(_cat, joint=_cat_gradients, name="cat", promote="same")


def _stack(*arrays, dim):
    expand = (slice(None),) * dim + (None,)
    return xp(arrays[0]).concatenate([array[expand] for array in arrays], dim)


def _stack_gradients(g, dim, needs):
    return tuple([select_op(g, dim=dim, index=index) if needed else None for index, needed in enumerate(needs)])


stack_op = Op(_stack, joint=_stack_gradients, name="stack", promote="same")


def _split(x, *, dim, sizes):
    lead, start, parts = (slice(None),) * dim, 0, []
    for size in sizes:
        parts.append(x[lead + (slice(start, start + size),)])
        start += size
    return tuple(parts)


split_op = Op(_split, joint=lambda g, dim: (cat_op(*g, dim=dim),), name="split", view=True)


def _unbind(x, *, dim):
    lead = (slice(None),) * dim
    return tuple([x[lead + (index, Ellipsis)] for index in builtins.range(x.shape[dim])])


unbind_op = Op(_unbind, joint=lambda g, dim: (stack_op(*g, dim=dim),), name="unbind", view=True)


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


def _contiguous(x):
    return xp(x).ascontiguousarray(x) if x.ndim else x


def _copied(x):
    return x.copy(order="K")


contiguous_op = Op(_contiguous, [lambda g: g], name="contiguous", view=True)
clone_op = Op(_copied, [lambda g: g], name="clone")


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
    return x.sum(axis=tuple(builtins.range(0, x.ndim, 2)))


def _spread_even_dims(g, *, shape):
    spread = tuple([length if position % 2 else 1 for position, length in enumerate(shape)])
    return xp(g).broadcast_to(g.reshape(spread), shape).copy()


_sum_evens = Op(_sum_even_dims, [lambda g, x_shape: _spread_evens(g, shape=x_shape)], name="sum_even_dims")
_spread_evens = Op(_spread_even_dims, [lambda g: _sum_evens(g)], name="spread_even_dims")
tile_op = Op(_tile, [lambda g, x_shape, repeats: _untile(g, repeats, x_shape)], name="repeat")


# ---------------------------------------------------------------------- reshaping
@function(method=True)
def reshape(input, *shape, **named):
    """Return the elements in another shape, as a view where possible; one length may be -1.

    RuntimeError where the number of elements differs.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.reshape.html

    >>> import minigrad as mg
    >>> mg.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    array = input.array
    if shape and not named:
        try:
            out = array.reshape(*shape)
        except (ValueError, TypeError, OverflowError):
            pass  # reshape_op explains it
        else:
            if out.shape == shape or _is_plain(shape):
                return view_result(reshape_op, input, array, out, _NO_PARAMS)
    return reshape_op(input, shape=_shape_argument(shape, named, "shape", "reshape"))


_NO_PARAMS = {}  # the rules of reshapes need none


def _is_plain(shape):
    """Return whether a shape that NumPy took has only lengths that PyTorch takes too: none below -1."""
    lengths = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
    return min(lengths, default=0) >= -1


def _shape_argument(shape, named, keyword, name):
    """Return the ints of a *shape argument that may be given by keyword instead."""
    if named:
        if set(named) != {keyword} or shape:
            raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named))}'")
        shape = (named[keyword],)
    if len(shape) == 1:
        first = shape[0]
        if type(first) is tuple or isinstance(first, (tuple, list)):
            shape = tuple(first)
    for length in shape:
        if type(length) is not int:
            return ints_of((shape,), f"{name}()")
    return shape


def view(self, *shape, **named):
    """Return a view of the elements in another shape, or of their bytes as another dtype: ``view(dtype)``.

    RuntimeError where the memory can't be seen in that shape without a copy.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.view.html
    """
    if named and "dtype" in named:
        shape = (named.pop("dtype"),)
    if len(shape) == 1 and not isinstance(shape[0], (int, tuple, list)) and not hasattr(shape[0], "__index__"):
        from minigrad.ops.convert import view_as_dtype

        return view_as_dtype(self, shape[0])
    array = self.array
    if shape and not named:
        try:
            out = array.reshape(*shape)
        except (ValueError, TypeError, OverflowError):
            pass  # view_op explains it
        else:
            base = out.base
            if (out.shape == shape or _is_plain(shape)) and base is not None and (base is array or base is array.base):
                return view_result(view_op, self, array, out, _NO_PARAMS)
    return view_op(self, shape=_shape_argument(shape, named, "size", "view"))


METHODS["view"] = Tensor.view = view


@function(method=True, public=False)
def view_as(self, other):
    """Return a view of the elements in the other tensor's shape."""
    return view_op(self, shape=other.array.shape)


@function(method=True, public=False)
def reshape_as(self, other):
    """Return the elements in the other tensor's shape."""
    return reshape_op(self, shape=other.array.shape)


@function(method=True)
def flatten(input, start_dim=0, end_dim=-1):
    """Return the tensor with the dimensions from start_dim to end_dim made one.

    >>> import minigrad as mg
    >>> mg.zeros(2, 3, 4).flatten(1).shape
    minigrad.Size([2, 12])
    """
    shape = input.array.shape
    ndim = len(shape)
    start, end = normalize_dim(start_dim, ndim), normalize_dim(end_dim, ndim)
    if start > end:
        raise RuntimeError(f"flatten() has invalid args: start_dim ({start}) cannot come after end_dim ({end})")
    if ndim == 0:
        return reshape_op(input, shape=(1,))
    if start == end:
        return input
    array = input.array
    out = array.reshape(shape[:start] + (math.prod(shape[start : end + 1]),) + shape[end + 1 :])
    return view_result(reshape_op, input, array, out, _NO_PARAMS)


@function(method=True)
def ravel(input):
    """Return the elements in one dimension, as a view where possible."""
    if input.array.ndim == 1 and input.array.flags.c_contiguous:
        return input
    return reshape_op(contiguous(input), shape=(input.array.size,))


@function(method=True)
def unflatten(input, dim, sizes):
    """Return the tensor with one dimension spread over several; one of their sizes may be -1."""
    shape = input.array.shape
    dim = normalize_dim(dim, len(shape))
    sizes = ints_of((sizes,), "unflatten()")
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = math.prod(size for size in sizes if size != -1)
    if -1 in sizes:
        if sizes.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        if known == 0 or shape[dim] % known:
            raise RuntimeError(f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]})")
        sizes = tuple([shape[dim] // known if size == -1 else size for size in sizes])
    elif known != shape[dim]:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]}) in the input tensor"
        )
    return view_op(input, shape=shape[:dim] + sizes + shape[dim + 1 :])


@function(method=True)
def unsqueeze(input, dim):
    """Return a view with a new dimension of length 1 before dimension dim.

    >>> import minigrad as mg
    >>> mg.zeros(2, 3).unsqueeze(1).shape
    minigrad.Size([2, 1, 3])
    """
    array = input.array
    shape = array.shape
    if dim.__class__ is not int or not 0 <= dim <= len(shape):
        dim = normalize_dim(dim, len(shape) + 1)
    out = array.reshape(shape[:dim] + (1,) + shape[dim:])
    return view_result(unsqueeze_op, input, array, out, _NO_PARAMS)


@function(method=True)
def squeeze(input, dim=None):
    """Return a view without dimensions of length 1: all of them, or those among dim (an int or a tuple)."""
    shape = input.array.shape
    if dim is None:
        kept = tuple([length for length in shape if length != 1])
    elif dim.__class__ is int:
        dim = normalize_dim(dim, len(shape))
        kept = shape[:dim] + shape[dim + 1 :] if shape and shape[dim] == 1 else shape
    else:
        dims = dims_of(dim, len(shape))
        kept = tuple([length for position, length in enumerate(shape) if length != 1 or position not in dims])
    array = input.array
    return view_result(squeeze_op, input, array, array.reshape(kept), _NO_PARAMS)


def _reshaped_in_place(name, implementation):
    """Register the method NAME_ that changes a tensor's own shape or strides."""

    def in_place(self, *args, **kwargs):
        if self._base is not None and is_tracked(self):
            raise RuntimeError(f"{name}: a view of a tracked tensor can't change its shape in place; use {name[:-1]}()")
        if is_tracked(self) and MODE.grad:
            check_writable(self, name)
            if type(self) is View:
                raise RuntimeError(f"{name}: a view can't change its shape in place while it is recorded")
            changed = implementation(self, *args, **kwargs)
            node = changed.node
            self.array, self.node = changed.array, node
            return self
        self.array = implementation(wrap(self.array), *args, **kwargs).array
        return self

    in_place.__name__ = in_place.__qualname__ = name
    in_place.__doc__ = f"In-place variant of {name[:-1]}: changes this tensor's shape, not its memory; returns it."
    return function(method=True, public=False)(in_place)


# ---------------------------------------------------------------------- order of dimensions
@function(method=True, aliases=False)
def transpose(input, dim0, dim1):
    """Return a view with two dimensions swapped.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.transpose.html

    >>> import minigrad as mg
    >>> mg.zeros(2, 3).transpose(0, 1).shape
    minigrad.Size([3, 2])
    """
    array = input.array
    try:
        out = array.swapaxes(dim0, dim1)
    except (ValueError, TypeError):
        return transpose_op(input, dim0=dim0, dim1=dim1)  # which explains it
    return view_result(transpose_op, input, array, out, {"dim0": dim0, "dim1": dim1})


@function(method=True)
def swapaxes(input, axis0, axis1):
    """Return a view with two dimensions swapped; the same as transpose."""
    return transpose_op(input, dim0=axis0, dim1=axis1)


@function(method=True)
def swapdims(input, dim0, dim1):
    """Return a view with two dimensions swapped; the same as transpose."""
    return transpose_op(input, dim0=dim0, dim1=dim1)


@function(method=True)
def t(input):
    """Return the transpose of a matrix; a vector or scalar as it is."""
    ndim = input.array.ndim
    if ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return transpose_op(input, dim0=0, dim1=1 if ndim == 2 else 0)


@function(method=True)
def permute(input, *dims, **named):
    """Return a view with the dimensions in the given order.

    RuntimeError unless each dimension is named once.

    >>> import minigrad as mg
    >>> mg.zeros(2, 3, 4).permute(2, 0, 1).shape
    minigrad.Size([4, 2, 3])
    """
    dims = _shape_argument(dims, named, "dims", "permute")
    array = input.array
    ndim = array.ndim
    if len(dims) == ndim:
        try:
            out = array.transpose(dims)
        except ValueError:
            pass  # explained below
        else:
            return view_result(permute_op, input, array, out, {"dims": dims})
    if len(dims) != ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(dims)}"
        )
    dims = tuple([normalize_dim(dim, ndim) for dim in dims])
    if len(set(dims)) != ndim:
        raise RuntimeError(f"permute(): duplicate dims are not allowed: {list(dims)}")
    return permute_op(input, dims=dims)


@function(method=True)
def movedim(input, source, destination):
    """Return a view with the source dimensions (an int or a tuple) moved to the destinations."""
    ndim = input.array.ndim
    sources = (source,) if isinstance(source, int) else tuple(source)
    targets = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(sources) != len(targets):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(sources)} dims) should contain the same number of "
            f"dims as destination ({list(targets)} dims)"
        )
    sources = [normalize_dim(dim, ndim) for dim in sources]
    targets = [normalize_dim(dim, ndim) for dim in targets]
    for dims, what in ((sources, "source"), (targets, "destination")):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({dims})")
    order = [dim for dim in builtins.range(ndim) if dim not in sources]
    for target, dim in sorted(zip(targets, sources, strict=True)):
        order.insert(target, dim)
    return permute_op(input, dims=tuple(order))


@function(method=True)
def moveaxis(input, source, destination):
    """Return a view with dimensions moved; the same as movedim."""
    return movedim(input, source, destination)


@function(method=True)
def adjoint(input):
    """Return the conjugate transpose of the last two dimensions."""
    if input.array.ndim < 2:
        raise RuntimeError(f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor.")
    swapped = transpose_op(input, dim0=-2, dim1=-1)
    return swapped.conj() if input.array.dtype.kind == "c" else swapped


def _reversed_dims(self):
    """The tensor with its dimensions in reverse order; of a matrix, its transpose."""
    array = self.array
    ndim = array.ndim
    if ndim == 2:
        return view_result(transpose_op, self, array, array.T, {"dim0": 0, "dim1": 1})
    if ndim != 1:
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw an "
            "error in a future release. Consider `x.mT` to transpose batches of matrices or "
            "`x.permute(*minigrad.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor.",
            stacklevel=2,
        )
    return permute_op(self, dims=tuple(builtins.range(ndim - 1, -1, -1)))


def _matrix_transpose(self):
    """The tensor with its last two dimensions swapped."""
    if self.array.ndim < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {self.array.ndim}-D tensor."
        )
    return transpose_op(self, dim0=-2, dim1=-1)


def _matrix_adjoint(self):
    """The conjugate transpose of a matrix."""
    if self.array.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {self.array.ndim}-D tensor. "
            "For batches of matrices, consider using tensor.mH"
        )
    return adjoint(self) if self.array.ndim else reshape_op(self, shape=())


Tensor.T = property(_reversed_dims, doc=_reversed_dims.__doc__)
Tensor.mT = property(_matrix_transpose, doc=_matrix_transpose.__doc__)
Tensor.H = property(_matrix_adjoint, doc=_matrix_adjoint.__doc__)
Tensor.mH = property(adjoint, doc=adjoint.__doc__)


# ---------------------------------------------------------------------- expanding
def expanded_shape(shape, sizes, name="expand"):
    """Return the shape that a tensor of the given shape gets by expanding it to sizes, where -1 keeps a length."""
    lead = len(sizes) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"{name}({list(shape)}, size={list(sizes)}): the number of sizes provided ({len(sizes)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({len(shape)})"
        )
    result = []
    for position, size in enumerate(sizes):
        length = shape[position - lead] if position >= lead else None
        if size == -1:
            if length is None:
                raise RuntimeError(
                    f"{name}({list(shape)}, size={list(sizes)}): The expanded size of the tensor (-1) isn't allowed in a "
                    f"leading, non-existing dimension {position}"
                )
            size = length
        elif size < 0:
            raise RuntimeError(f"{name}: negative size {size} is not allowed in {list(sizes)}")
        elif length not in (None, 1, size):
            raise RuntimeError(
                f"The expanded size of the tensor ({size}) must match the existing size ({length}) at non-singleton "
                f"dimension {position}.  Target sizes: {list(sizes)}.  Tensor sizes: {list(shape)}"
            )
        result.append(size)
    return tuple(result)


@function(method=True, public=False)
def expand(self, *size, implicit=False, **named):
    """Return a view with dimensions of length 1 expanded to the given sizes; -1 keeps a length.

    New dimensions come first. RuntimeError where a length other than 1 differs.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.expand.html
    """
    sizes = _shape_argument(size, named, "size", "expand")
    if min(sizes, default=0) >= 0:
        try:
            out = broadcast_view(self.array, sizes)
        except ValueError:
            pass  # explained below
        else:
            return view_result(broadcast_op, self, self.array, out, {"shape": sizes})
    return broadcast_op(self, shape=expanded_shape(self.array.shape, sizes))


@function(method=True, public=False)
def expand_as(self, other):
    """Return a view expanded to the other tensor's shape."""
    return broadcast_op(self, shape=expanded_shape(self.array.shape, other.array.shape))


@function(method=True, name="broadcast_to")
def broadcast_to_function(input, *shape, **named):
    """Return a view of the tensor broadcast to a shape."""
    sizes = _shape_argument(shape, named, "size" if "size" in named else "shape", "broadcast_to")
    return broadcast_op(input, shape=expanded_shape(input.array.shape, sizes))


@function()
def broadcast_shapes(*shapes):
    """Return the shape that tensors of the given shapes are broadcast to; RuntimeError if they can't be.

    >>> import minigrad as mg
    >>> mg.broadcast_shapes((2, 1), (3,))
    minigrad.Size([2, 3])
    """
    from minigrad.tensor import Size

    shapes = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    ndim = max((len(shape) for shape in shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for position, length in enumerate(reversed(shape), 1):
            if length < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({length}): ({length})")
            if length != 1:
                if result[-position] not in (1, length):
                    raise RuntimeError(
                        "Shape mismatch: objects cannot be broadcast to a single shape: " + ", ".join(map(str, shapes))
                    )
                result[-position] = length
    return Size(result)


@function()
def broadcast_tensors(*tensors):
    """Return views of the tensors broadcast to one shape."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tensors[0]
    check_tensors(tuple(tensors), "broadcast_tensors")
    shape = tuple(broadcast_shapes(*[tensor.array.shape for tensor in tensors]))
    return tuple([broadcast_op(tensor, shape=shape) for tensor in tensors])


# ---------------------------------------------------------------------- joining
@function(out=True)
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
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {a} but got size {b} for tensor "
                    f"number {position} in the list."
                )
    result = cat_op(*filled, dim=dim)
    dtypes = {tensor.array.dtype for tensor in tensors}
    if len(dtypes) > 1 and len(filled) < len(tensors):
        from minigrad.backend import result_dtype

        result = cast(result, dtype=result_dtype([tensor.array for tensor in tensors]))
    return result


@function(out=True)
def concat(tensors, dim=0, *, axis=None):
    """Return tensors joined along a dimension; the same as cat."""
    return cat(tensors, dim, axis=axis)


@function(out=True)
def concatenate(tensors, axis=0, *, dim=None):
    """Return tensors joined along a dimension; the same as cat."""
    return cat(tensors, axis if dim is None else dim)


@function(out=True)
def stack(tensors, dim=0, *, axis=None):
    """Return tensors of one shape joined along a new dimension.

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
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(tensor.shape)} at "
                f"entry {position}"
            )
    return stack_op(*tensors, dim=dim)


@function()
def atleast_1d(*tensors):
    """Return tensors, or one, with at least one dimension."""
    return _at_least(tensors, lambda x: reshape_op(x, shape=(1,)) if x.array.ndim == 0 else x, "atleast_1d")


@function()
def atleast_2d(*tensors):
    """Return tensors, or one, with at least two dimensions."""

    def raised(x):
        return reshape_op(x, shape=(1,) * (2 - x.array.ndim) + x.array.shape) if x.array.ndim < 2 else x

    return _at_least(tensors, raised, "atleast_2d")


@function()
def atleast_3d(*tensors):
    """Return tensors, or one, with at least three dimensions: a matrix gets its new one last, a vector around it."""

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
    """Return tensors joined horizontally: along dimension 1, vectors along dimension 0."""
    tensors = _some(atleast_1d(check_tensors(tensors, "hstack")), "hstack")
    return cat(tensors, 0 if tensors[0].array.ndim == 1 else 1)


@function(out=True)
def vstack(tensors):
    """Return tensors joined vertically, along dimension 0; vectors are rows."""
    return cat(_some(atleast_2d(check_tensors(tensors, "vstack")), "vstack"), 0)


@function(out=True)
def row_stack(tensors):
    """Return tensors joined vertically; the same as vstack."""
    return cat(_some(atleast_2d(check_tensors(tensors, "row_stack")), "row_stack"), 0)


@function(out=True)
def dstack(tensors):
    """Return tensors joined in depth, along dimension 2."""
    return cat(_some(atleast_3d(check_tensors(tensors, "dstack")), "dstack"), 2)


@function(out=True)
def column_stack(tensors):
    """Return tensors joined as columns: vectors and scalars are columns, others joined along dimension 1."""
    tensors = _some(check_tensors(tensors, "column_stack"), "column_stack")
    return cat([reshape_op(x, shape=(x.array.size, 1)) if x.array.ndim <= 1 else x for x in tensors], 1)


def _some(tensors, name):
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


@function()
def block_diag(*tensors):
    """Return the block-diagonal matrix of the given matrices; vectors are rows, scalars 1×1."""
    blocks = []
    for tensor in tensors or (wrap(np.empty((1, 0), np.float32)),):
        check_tensor(tensor, "block_diag")
        if tensor.array.ndim > 2:
            raise RuntimeError(f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Got {tensor.array.ndim}")
        blocks.append(atleast_2d(tensor))
    width = builtins.sum(block.array.shape[1] for block in blocks)
    rows, start = [], 0
    for block in blocks:
        height, stop = block.array.shape[0], start + block.array.shape[1]
        left, right = (block.new_zeros(height, columns) for columns in (start, width - stop))
        rows.append(cat([left, block, right], 1))
        start = stop
    return cat(rows, 0)


@function()
def cartesian_prod(*tensors):
    """Return the Cartesian product of vectors, one combination a row."""
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
            "minigrad.meshgrid: in an upcoming release, it will be required to pass the indexing argument.", stacklevel=2
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
        column = tuple([shape[position] if place == position else 1 for place in builtins.range(len(shape))])
        grids.append(broadcast_op(reshape_op(tensor, shape=column), shape=shape))
    if swap:
        grids = [grids[1], grids[0], *grids[2:]]
    return tuple(grids)


# ---------------------------------------------------------------------- splitting
def _views(op, x, **params):
    """Return the results of a view op that has several."""
    if is_tracked(x) and MODE.grad:
        return op(x, **params)
    return tuple([view_on(part, x, None) for part in op.forward(x.array, **params)])


@function(method=True)
def split(tensor, split_size_or_sections=None, dim=0, *, split_size=None):
    """Return views of pieces along a dimension: of one size (the last may be smaller), or of a list of sizes.

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
        if builtins.any(size < 0 for size in sizes):
            raise RuntimeError(f"split_with_sizes expects split_sizes have only non-negative entries, but got {list(sizes)}")
        if builtins.sum(sizes) != length:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {length} (input tensor's size at dimension {dim}), "
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
    """Return views of pieces of the given sizes along a dimension."""
    return split(input, tuple(split_sizes), dim)


@function(method=True)
def chunk(input, chunks, dim=0):
    """Return views of at most ``chunks`` pieces of equal size along a dimension; the last may be smaller."""
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
    """Return views of pieces along a dimension: a number of nearly equal ones, or cut at a list of indices."""
    given = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
    if input.array.ndim == 0:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = normalize_dim(dim, input.array.ndim)
    length = input.array.shape[dim]
    if isinstance(given, Tensor):
        if given.is_cuda or given.array.dtype != np.int64:
            raise RuntimeError(
                f"tensor_split expected tensor_indices_or_sections to have dtype of long and be on cpu, but got {given.dtype}"
            )
        if given.array.ndim > 1:
            raise RuntimeError(
                f"tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but "
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
        for position in builtins.range(count):
            bounds.append(bounds[-1] + small + (position < extra))
    pieces = zip(bounds, bounds[1:], strict=False)
    return tuple([slice_op(input, dim=dim, start=a, stop=max(a, b), step=1) for a, b in pieces])


def _split_along(name, dim, least):
    def splitter(input, indices_or_sections=None, *, indices=None, sections=None):
        given = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
        ndim = input.array.ndim
        if ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {ndim} dimensions!"
            )
        where = dim if not (name == "hsplit" and ndim == 1) else 0
        if isinstance(given, int):
            length = input.array.shape[where]
            if given == 0 or length % given:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {where}, but the size of the dimension {length} is not "
                    f"divisible by the split_size {given}!"
                )
        return tensor_split(input, given, where)

    splitter.__name__ = splitter.__qualname__ = name
    splitter.__doc__ = f"Return views of pieces along dimension {dim}: equal ones, or cut at a list of indices."
    return function(method=True)(splitter)


hsplit = _split_along("hsplit", 1, 1)
vsplit = _split_along("vsplit", 0, 2)
dsplit = _split_along("dsplit", 2, 3)


@function(method=True)
def unbind(input, dim=0):
    """Return views of all slices along a dimension, as a tuple."""
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
    """Return the tensor with all dimensions reversed."""
    return flip(self, tuple(builtins.range(self.array.ndim)))


Tensor.__reversed__ = _reversed


@function(method=True)
def narrow(input, dim, start, length):
    """Return a view of ``length`` elements from ``start`` on along a dimension."""
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
    """Return a copy of ``length`` elements from ``start`` on along a dimension."""
    return narrow(input, dim, start, length).clone()


@function(method=True)
def select(input, dim, index):
    """Return a view of one slice along a dimension, without that dimension."""
    if input.array.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = normalize_dim(dim, input.array.ndim)
    size, index = input.array.shape[dim], as_int(index, "select()")
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    return select_op(input, dim=dim, index=index + size if index < 0 else index)


# ---------------------------------------------------------------------- other orders and repetitions
@function(method=True)
def flip(input, *dims, **named):
    """Return a copy with the order of the elements reversed along dimensions (an int or several)."""
    dims = _shape_argument(dims, named, "dims", "flip")
    return flip_op(input, dims=tuple(dims_of(dims, input.array.ndim)) if input.array.ndim else ())


@function(method=True)
def fliplr(input):
    """Return a copy with the columns reversed."""
    if input.array.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip_op(input, dims=(1,))


@function(method=True)
def flipud(input):
    """Return a copy with the rows reversed."""
    if input.array.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip_op(input, dims=(0,))


@function(method=True)
def rot90(input, k=1, dims=(0, 1)):
    """Return the tensor rotated k times by 90° in the plane of two dimensions, from the first towards the second."""
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
    """Return the elements shifted along dimensions, those pushed out at one end coming in at the other."""
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
    """Return copies side by side: so many along each dimension; new dimensions come first."""
    repeats = _shape_argument(repeats, named, "repeats", "repeat")
    if len(repeats) < self.array.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    if builtins.any(count < 0 for count in repeats):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats {list(repeats)}")
    return tile_op(self, repeats=repeats)


@function(method=True)
def tile(input, *dims, **named):
    """Return copies side by side; a missing number of repeats is 1."""
    repeats = _shape_argument(dims, named, "dims", "tile")
    return repeat(input, (1,) * (input.array.ndim - len(repeats)) + repeats)


@function(method=True)
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Return each element ``repeats`` times in a row: along a dimension, or flattened.

    ``repeats`` is an int, or integer tensor with one count an element. ``repeat_interleave(counts)`` returns the indices
    0 … n - 1, each as often as its count says.
    """
    if repeats is None:
        counts = input
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
    from minigrad.ops.index import take_op

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
    """Return a view of the diagonals of the planes of two dimensions; they become the last dimension."""
    ndim = input.array.ndim
    first, second = normalize_dim(dim1, ndim), normalize_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return diagonal_op(input, offset=as_int(offset, "diagonal()"), dim1=first, dim2=second)


@function(method=True)
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Return zeros with the last dimension of the input on the diagonals of the planes of two new dimensions."""
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
    """Return the diagonal of a matrix, or the matrix with a vector on its diagonal."""
    ndim = input.array.ndim
    if ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    return diag_embed(input, diagonal) if ndim == 1 else clone_op(diagonal_op(input, offset=diagonal, dim1=0, dim2=1))


@function(method=True)
def diagflat(input, offset=0):
    """Return the matrix with the flattened input on its diagonal."""
    return diag_embed(reshape_op(input, shape=(input.array.size,)), offset)


def _triangle(name, op):
    def triangle(input, diagonal=0):
        if input.array.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        return op(input, diagonal=as_int(diagonal, f"{name}()"))

    which = "lower" if name == "tril" else "upper"
    triangle.__name__ = triangle.__qualname__ = name
    triangle.__doc__ = f"Return the {which} triangle of matrices, zero elsewhere; ``diagonal`` shifts its edge."
    return function(method=True, inplace=True, out=True)(triangle)


tril = _triangle("tril", tril_op)
triu = _triangle("triu", triu_op)


# ---------------------------------------------------------------------- windows and memory
@function(method=True, public=False)
def unfold(self, dimension, size, step):
    """Return a view of all windows of ``size`` elements, ``step`` apart, along a dimension: a new last dimension."""
    ndim = self.array.ndim
    dim = normalize_dim(dimension, ndim)
    length = self.array.shape[dim] if ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > length:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {length} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return windows(self, dim=dim, size=size, step=step)


@function(method=True, public=False)
def contiguous(self, memory_format=None):
    """Return the tensor itself if its elements lie in order without gaps, else a copy that does."""
    if memory_format is not None:
        from minigrad.ops.convert import to_memory_format
        from minigrad.ops.layout import contiguous_format

        if memory_format is not contiguous_format:
            return to_memory_format(self, memory_format)
    if self.array.flags.c_contiguous:
        return self
    return contiguous_op(self)


for _name, _implementation in (
    ("squeeze_", squeeze),
    ("unsqueeze_", unsqueeze),
    ("transpose_", transpose),
    ("swapaxes_", swapaxes),
    ("swapdims_", swapdims),
    ("t_", t),
):
    _reshaped_in_place(_name, _implementation)
