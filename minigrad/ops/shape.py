"""Shape: views that reshape, permute and expand."""

import math
import warnings

from minigrad.backend import as_dtype, np, xp
from minigrad.calls import view_result
from minigrad.inplace import check_writable
from minigrad.kernels.strides import broadcast_view, strided_view
from minigrad.op import Op
from minigrad.ops.arguments import check_tensors, dims_of, ints_of
from minigrad.ops.core import broadcast_to as broadcast_op
from minigrad.ops.layout import view_as_dtype
from minigrad.registry import METHODS, function
from minigrad.tensor import Tensor, normalize_dim, wrap
from minigrad.variable import MODE, View, is_tracked, rebind

_ndarray = np.ndarray


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
    if any(length < -1 for length in shape):
        return RuntimeError(f"invalid shape dimension {min(shape)}")
    if len(unknown) > 1:
        return RuntimeError("only one dimension can be inferred")
    if unknown and x.size == 0:
        return RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size "
            "-1 can be "
            "any value and is ambiguous"
        )
    return RuntimeError(f"shape '{list(shape)}' is invalid for input of size {x.size}")


def _is_view(out, x):
    """Return whether out, made of a raw array x, shares its memory."""
    base = out.base
    return base is x or base is not None and base is x.base


def _view(x, *, shape):
    out = _reshape(x, shape=shape)
    if not _is_view(out, x):
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
    for position in range(size):
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


def _contiguous(x):
    return xp(x).ascontiguousarray(x) if x.ndim else x


def _copied(x):
    return x.copy(order="K")


contiguous_op = Op(_contiguous, [lambda g: g], name="contiguous", view=True)


clone_op = Op(_copied, [lambda g: g], name="clone")


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
    return reshape_op(input, shape=shape_argument(shape, named, "shape", "reshape"))


_NO_PARAMS = {}  # the rules of reshapes need none


def _is_plain(shape):
    """Return whether a shape that NumPy took has only lengths that PyTorch takes too: none below -1."""
    lengths = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
    return min(lengths, default=0) >= -1


def shape_argument(shape, named, keyword, name):
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

    >>> import minigrad as mg
    >>> mg.arange(6).view(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if named and "dtype" in named:
        shape = (named.pop("dtype"),)
    if len(shape) == 1 and not isinstance(shape[0], (int, tuple, list)) and not hasattr(shape[0], "__index__"):
        new = as_dtype(shape[0]).dtype
        if new != self.array.dtype:
            return view_as_dtype(self, new)
        shape = self.array.shape or ((),)
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
    shape = shape_argument(shape, named, "size", "view")
    if type(array) is not _ndarray:
        _lay_out_for(self, shape)
    return view_op(self, shape=shape)


def _lay_out_for(tensor, shape):
    """Give a GPU tensor whose memory lies channels last row-major memory, if a view in that shape needs it.

    Convolutions on tensor cores return such tensors unasked, and programs written for PyTorch's contiguous results say
    y.view(N, -1). Strides tell the truth, and views that they allow are made as they are; for others the tensor moves
    to new memory first, so that it and the view share it as they must. Not where anything else may look at the old
    memory (a view, a detached tensor, an array given out): that would be left behind, so there the view is refused as
    PyTorch refuses it of channels-last tensors. Gradients that saved the old array keep it, with the values it had.
    """
    array = tensor.array
    if tensor._base is not None or tensor._aliased or array.flags.c_contiguous or not 3 <= array.ndim <= 5:
        return
    if not xp(array).moveaxis(array, 1, -1).flags.c_contiguous:
        return
    if not _is_view(_reshape(array, shape=shape), array):
        tensor.array = xp(array).ascontiguousarray(array)


METHODS["view"] = Tensor.view = view


@function(method=True, public=False)
def view_as(self, other):
    """Return a view of the elements in the other tensor's shape.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.view_as.html

    >>> import minigrad as mg
    >>> mg.arange(4).view_as(mg.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return view(self, other.array.shape)


@function(method=True, public=False)
def reshape_as(self, other):
    """Return the elements in the other tensor's shape.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.reshape_as.html

    >>> import minigrad as mg
    >>> mg.arange(4).reshape_as(mg.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return reshape_op(self, shape=other.array.shape)


@function(method=True)
def flatten(input, start_dim=0, end_dim=-1):
    """Return the tensor with the dimensions from start_dim to end_dim made one.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.flatten.html

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
    """Return the elements in one dimension, as a view where possible.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ravel.html

    >>> import minigrad as mg
    >>> mg.ravel(mg.ones(2, 3)).shape
    minigrad.Size([6])
    """
    if input.array.ndim == 1 and input.array.flags.c_contiguous:
        return input
    flat = input if input.array.flags.c_contiguous else contiguous_op(input)
    return reshape_op(flat, shape=(input.array.size,))


@function(method=True)
def unflatten(input, dim, sizes):
    """Return the tensor with one dimension spread over several; one of their sizes may be -1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.unflatten.html

    >>> import minigrad as mg
    >>> mg.unflatten(mg.ones(6), 0, (2, 3)).shape
    minigrad.Size([2, 3])
    """
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
            raise RuntimeError(
                f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]})"
            )
        sizes = tuple([shape[dim] // known if size == -1 else size for size in sizes])
    elif known != shape[dim]:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]}) in "
            "the input tensor"
        )
    return view_op(input, shape=shape[:dim] + sizes + shape[dim + 1 :])


@function(method=True)
def unsqueeze(input, dim):
    """Return a view with a new dimension of length 1 before dimension dim.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.unsqueeze.html

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
    """Return a view without dimensions of length 1: all of them, or those among dim (an int or a tuple).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.squeeze.html

    >>> import minigrad as mg
    >>> mg.squeeze(mg.ones(1, 2, 1)).shape
    minigrad.Size([2])
    """
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
        version = self._written + 1
        if is_tracked(self) and MODE.grad:
            check_writable(self, name)
            if type(self) is View:
                raise RuntimeError(f"{name}: a view can't change its shape in place while it is recorded")
            changed = implementation(self, *args, **kwargs)
            self.array, self._written = changed.array, version
            rebind(self, changed.node)
            return self
        self.array = implementation(wrap(self.array), *args, **kwargs).array
        self._written = version
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
    """Return a view with two dimensions swapped; the same as transpose.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.swapaxes.html

    >>> import minigrad as mg
    >>> mg.swapaxes(mg.ones(2, 3), 0, 1).shape
    minigrad.Size([3, 2])
    """
    return transpose_op(input, dim0=axis0, dim1=axis1)


@function(method=True)
def swapdims(input, dim0, dim1):
    """Return a view with two dimensions swapped; the same as transpose.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.swapdims.html

    >>> import minigrad as mg
    >>> mg.swapdims(mg.ones(2, 3), 0, 1).shape
    minigrad.Size([3, 2])
    """
    return transpose_op(input, dim0=dim0, dim1=dim1)


@function(method=True)
def t(input):
    """Return the transpose of a matrix; a vector or scalar as it is.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.t.html

    >>> import minigrad as mg
    >>> mg.t(mg.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    ndim = input.array.ndim
    if ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {ndim}D")
    return transpose_op(input, dim0=0, dim1=1 if ndim == 2 else 0)


@function(method=True)
def permute(input, *dims, **named):
    """Return a view with the dimensions in the given order.

    RuntimeError unless each dimension is named once.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.permute.html

    >>> import minigrad as mg
    >>> mg.zeros(2, 3, 4).permute(2, 0, 1).shape
    minigrad.Size([4, 2, 3])
    """
    dims = shape_argument(dims, named, "dims", "permute")
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
    """Return a view with the source dimensions (an int or a tuple) moved to the destinations.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.movedim.html

    >>> import minigrad as mg
    >>> mg.movedim(mg.ones(2, 3, 4), 0, -1).shape
    minigrad.Size([3, 4, 2])
    """
    ndim = input.array.ndim
    if not ndim and hasattr(source, "__index__") and hasattr(destination, "__index__"):
        normalize_dim(source, ndim), normalize_dim(destination, ndim)
        return METHODS["view"](input, ())
    sources = (source,) if hasattr(source, "__index__") else tuple(source)
    targets = (destination,) if hasattr(destination, "__index__") else tuple(destination)
    if len(sources) != len(targets):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(sources)} dims) should contain the same "
            "number of "
            f"dims as destination ({list(targets)} dims)"
        )
    sources = [normalize_dim(dim, ndim) for dim in sources]
    targets = [normalize_dim(dim, ndim) for dim in targets]
    for dims, what in ((sources, "source"), (targets, "destination")):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({dims})")
    order = [dim for dim in range(ndim) if dim not in sources]
    for target, dim in sorted(zip(targets, sources, strict=True)):
        order.insert(target, dim)
    return permute_op(input, dims=tuple(order))


@function(method=True)
def moveaxis(input, source, destination):
    """Return a view with dimensions moved; the same as movedim.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.moveaxis.html

    >>> import minigrad as mg
    >>> mg.moveaxis(mg.ones(2, 3, 4), 0, -1).shape
    minigrad.Size([3, 4, 2])
    """
    return movedim(input, source, destination)


@function(method=True)
def adjoint(input):
    """Return the conjugate transpose of the last two dimensions.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.adjoint.html

    >>> import minigrad as mg
    >>> mg.adjoint(mg.tensor([[1 + 2j, 3j]]))
    tensor([[1.-2.j],
            [0.-3.j]])
    """
    if input.array.ndim < 2:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor."
        )
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
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it "
            "will throw an "
            "error in a future release. Consider `x.mT` to transpose batches of matrices or "
            "`x.permute(*minigrad.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor.",
            stacklevel=2,
        )
    return permute_op(self, dims=tuple(range(ndim - 1, -1, -1)))


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
            f"{name}({list(shape)}, size={list(sizes)}): the number of sizes provided ({len(sizes)}) must be "
            "greater or "
            f"equal to the number of dimensions in the tensor ({len(shape)})"
        )
    result = []
    for position, size in enumerate(sizes):
        length = shape[position - lead] if position >= lead else None
        if size == -1:
            if length is None:
                raise RuntimeError(
                    f"{name}({list(shape)}, size={list(sizes)}): The expanded size of the tensor (-1) isn't allowed "
                    "in a "
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

    >>> import minigrad as mg
    >>> mg.tensor([[1], [2]]).expand(-1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    sizes = shape_argument(size, named, "size", "expand")
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
    """Return a view expanded to the other tensor's shape.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.expand_as.html

    >>> import minigrad as mg
    >>> mg.tensor([[1], [2]]).expand_as(mg.ones(2, 3))
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return broadcast_op(self, shape=expanded_shape(self.array.shape, other.array.shape))


@function(method=True, name="broadcast_to")
def broadcast_to_function(input, *shape, **named):
    """Return a view of the tensor broadcast to a shape.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.broadcast_to.html

    >>> import minigrad as mg
    >>> mg.broadcast_to(mg.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    sizes = shape_argument(shape, named, "size" if "size" in named else "shape", "broadcast_to")
    return broadcast_op(input, shape=expanded_shape(input.array.shape, sizes))


@function()
def broadcast_shapes(*shapes):
    """Return the shape that tensors of the given shapes are broadcast to; RuntimeError if they can't be.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.broadcast_shapes.html

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
    """Return views of the tensors broadcast to one shape.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.broadcast_tensors.html

    >>> import minigrad as mg
    >>> [x.shape for x in mg.broadcast_tensors(mg.ones(2, 1), mg.ones(3))]
    [minigrad.Size([2, 3]), minigrad.Size([2, 3])]
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tensors[0]
    check_tensors(tuple(tensors), "broadcast_tensors")
    shape = tuple(broadcast_shapes(*[tensor.array.shape for tensor in tensors]))
    return tuple([broadcast_op(tensor, shape=shape) for tensor in tensors])


# ---------------------------------------------------------------------- windows and memory
@function(method=True, public=False)
def unfold(self, dimension, size, step):
    """Return a view of all windows of ``size`` elements, ``step`` apart, along a dimension: a new last dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.unfold.html

    >>> import minigrad as mg
    >>> mg.arange(5).unfold(0, 3, 1)
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
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


for _name, _implementation in (
    ("squeeze_", squeeze),
    ("unsqueeze_", unsqueeze),
    ("transpose_", transpose),
    ("swapaxes_", swapaxes),
    ("swapdims_", swapdims),
    ("t_", t),
):
    _reshaped_in_place(_name, _implementation)
