"""Sparse tensors in coordinate form (COO): torch.sparse_coo_tensor, torch.sparse.mm and their like.

A sparse tensor is a pair of dense ones, indices (sparse dimensions, entries) and values (entries, *dense dimensions);
every function here is a composition of dense ones on the values, so that gradients of all orders come from these.
Functions that are not here raise NotImplementedError for sparse tensors: ``to_dense()`` them first.
Source: https://docs.pytorch.org/docs/stable/sparse.html
"""

import builtins
import math
import types

from minigrad.absent import getter
from minigrad.backend import DTYPES
from minigrad.backend import dtype as _dtype
from minigrad.ops.layout import sparse_coo
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Size, Tensor

__all__ = ["FloatTensor", "addmm", "log_softmax", "mm", "softmax", "spdiags", "sum"]

plain = types.SimpleNamespace(**FUNCTIONS, **DTYPES)  # the functions of dense tensors


class SparseTensor(Tensor):
    """A tensor of which only some entries are kept: what sparse_coo_tensor and to_sparse return."""

    def __new__(cls, indices, values, size, coalesced=False):
        self = object.__new__(cls)
        self.__dict__.update(_i=indices, _v=values, _size=Size(size), _coalesced=coalesced)
        return self

    # ------------------------------------------------------------------ what it is
    @property
    def array(self):
        raise NotImplementedError("this function does not take sparse tensors: give it tensor.to_dense()")

    @property
    def node(self):
        raise NotImplementedError("a Function has no gradient for a sparse tensor: give it the values and the indices")

    shape = property(lambda self: self._size, doc="Size of the tensor.")
    ndim = property(lambda self: len(self._size), doc="Number of dimensions.")
    dtype = property(lambda self: self._v.dtype, doc="Type of the values.")
    device = property(lambda self: self._v.device, doc="Device of the values.")
    is_cuda = property(lambda self: self._v.is_cuda, doc="Whether the tensor lives on a GPU.")
    is_cpu = property(lambda self: not self._v.is_cuda, doc="Whether the tensor lives on the CPU.")
    is_sparse = property(lambda self: True, doc="Whether the tensor is sparse: always.")
    layout = property(lambda self: sparse_coo, doc="How the elements are stored: sparse_coo.")
    requires_grad = property(lambda self: self._v.requires_grad, lambda self, on: self._v.requires_grad_(on))
    _requires_grad = property(lambda self: self._v.requires_grad)
    is_leaf = property(lambda self: self._v.is_leaf)
    grad_fn = property(lambda self: self._v.grad_fn)
    retains_grad = property(lambda self: False)
    data = property(lambda self: self.detach())
    T = property(lambda self: self.t())
    names = property(lambda self: (None,) * len(self._size))
    itemsize = property(lambda self: self._v.itemsize)

    @property
    def grad(self):
        """The gradient: a sparse tensor of the same indices."""
        return None if self._v.grad is None else SparseTensor(self._i, self._v.grad, self._size, self._coalesced)

    @grad.setter
    def grad(self, value):
        self._v.grad = None if value is None else value._v

    def size(self, dim=None):
        return self._size if dim is None else self._size[dim]

    def dim(self):
        return len(self._size)

    ndimension = dim

    def numel(self):
        return self._size.numel()

    nelement = numel

    def __len__(self):
        return self._size[0]

    def sparse_dim(self):
        return len(self._i)

    def dense_dim(self):
        return self._v.ndim - 1

    def _nnz(self):
        return self._i.shape[1]

    def _indices(self):
        return self._i

    def _values(self):
        return self._v

    def is_coalesced(self):
        return self._coalesced

    def indices(self):
        return self._checked("indices")._i

    def values(self):
        return self._checked("values")._v

    def _checked(self, name):
        if not self._coalesced:
            raise RuntimeError(
                f"Cannot get {name} on an uncoalesced tensor, please call .coalesce() first (or use _{name}())"
            )
        return self

    def is_floating_point(self):
        return self._v.is_floating_point()

    def is_complex(self):
        return self._v.is_complex()

    def __repr__(self, *, tensor_contents=None):
        end = ", requires_grad=True)" if self.requires_grad else ")"
        package = f"{_dtype.package}."
        parts = (self._i, 15), (self._v, 14)
        shown = [repr(part.detach()).replace("\n", "\n" + " " * indent) for part, indent in parts]
        size = f"size={tuple(self._size)}, nnz={self._nnz()}"
        return f"tensor(indices={shown[0]},\n       values={shown[1]},\n       {size}, layout={package}sparse_coo{end}"

    __str__ = __repr__

    def __format__(self, spec):
        return repr(self)

    __hash__ = Tensor.__hash__

    def __reduce_ex__(self, protocol):
        return _rebuilt, (self._i, self._v, tuple(self._size), self._coalesced)

    def __deepcopy__(self, memo):
        return self.clone() if self.is_leaf else NotImplemented

    __copy__ = detach = lambda self: self._with(self._v.detach())

    # ------------------------------------------------------------------ other forms of it
    def _with(self, values, coalesced=None):
        return SparseTensor(self._i, values, self._size, self._coalesced if coalesced is None else coalesced)

    def _linear(self):
        """Return the entries' numbers in row-major order."""
        number = plain.zeros(self._nnz(), dtype=plain.int64, device=self.device)
        for row, length in zip(self._i, self._size):
            number = number * length + row
        return number

    def coalesce(self):
        """Return the tensor with its indices sorted and entries of the same indices added."""
        if self._coalesced:
            return self
        numbers, places = plain.unique(self._linear(), return_inverse=True)
        values = self._v.new_zeros((len(numbers), *self._v.shape[1:])).index_add(0, places, self._v)
        return SparseTensor(_unraveled(numbers, self._size[: len(self._i)]), values, self._size, True)

    def to_dense(self, dtype=None, *, masked_grad=None):
        """Return the dense tensor."""
        sizes = self._size[: len(self._i)]
        flat = self._v.new_zeros((math.prod(sizes), *self._v.shape[1:]))
        dense = flat.index_add(0, self._linear(), self._v).reshape(self._size)
        return dense if dtype is None else dense.to(dtype)

    def to_sparse(self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
        """Return the tensor itself."""
        _check_coo(layout)
        return self

    to_sparse_coo = to_sparse

    def to(self, *args, **kwargs):
        """Return the tensor with its values of another dtype or on another device."""
        values = self._v.to(*args, **kwargs)
        return SparseTensor(self._i.to(values.device), values, self._size, self._coalesced)

    def cuda(self, device=None, non_blocking=False):
        return self.to("cuda" if device is None else device)

    def cpu(self):
        return self.to("cpu")

    def type(self, dtype=None):
        """Return the name of the type, torch.sparse.FloatTensor, or the tensor in another type."""
        if dtype is None:
            return self._v.type().replace(".cuda", ".cuda.sparse").replace("torch.", "torch.sparse.", 1)
        return self._with(self._v.type(dtype))

    def clone(self, *, memory_format=None):
        return SparseTensor(self._i.clone(), self._v.clone(), self._size, self._coalesced)

    def zero_(self):
        """Drop all entries."""
        self.__dict__.update(_i=self._i[:, :0], _v=self._v.detach()[:0], _coalesced=True)
        return self

    def requires_grad_(self, requires_grad=True):
        self._v.requires_grad_(requires_grad)
        return self

    def backward(self, *args, **kwargs):
        raise RuntimeError("backward() of a sparse tensor is not supported: make a scalar of it, such as its sum()")

    def transpose(self, dim0, dim1):
        """Return the tensor with two of its sparse dimensions exchanged."""
        dims = [dim % self.ndim for dim in (dim0, dim1)]
        if max(dims) >= len(self._i):
            raise RuntimeError("transpose(): only sparse dimensions of a sparse tensor can be exchanged")
        order, size = list(range(len(self._i))), list(self._size)
        order[dims[0]], order[dims[1]] = dims[1], dims[0]
        size[dims[0]], size[dims[1]] = size[dims[1]], size[dims[0]]
        same = dims[0] == dims[1] and self._coalesced
        return SparseTensor(self._i[plain.tensor(order, device=self.device)], self._v, size, same)

    def t(self):
        if self.ndim != 2:
            raise RuntimeError(f"t() expects a sparse tensor of 2 dimensions, but got {self.ndim}")
        return self.transpose(0, 1)

    def sum(self, dim=None, keepdim=False, *, dtype=None):
        if keepdim:
            raise NotImplementedError("sum of a sparse tensor: keepdim=True is not supported")
        return sum(self, dim, dtype)

    def __getitem__(self, index):
        if not isinstance(index, int):
            raise NotImplementedError("a sparse tensor is indexed by a number only: use to_dense()")
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of bounds for dimension 0 with size {len(self)}")
        kept = (self._i[0] == index % len(self)).nonzero().flatten()
        if len(self._i) == 1:
            return self._v[kept].sum(0)
        return SparseTensor(self._i[1:, kept], self._v[kept], self._size[1:], self._coalesced)

    @classmethod
    def __torch_function__(cls, func, kinds, args=(), kwargs=None):
        known = _FUNCTIONS.get(func.__name__)
        if known is not None:
            return known(*args, **(kwargs or {}))
        own = vars(cls).get(func.__name__)
        if own is not None and isinstance(args[0], cls):
            return own(*args, **(kwargs or {}))
        raise NotImplementedError(f"{func.__name__}: not supported for sparse tensors; give it tensor.to_dense()")


def _rebuilt(*parts):
    return SparseTensor(*parts)


for _name in "float double half bfloat16 long int short char byte bool cfloat cdouble".split():
    setattr(SparseTensor, _name, lambda self, _name=_name: self._with(getattr(self._v, _name)()))


def _unraveled(numbers, sizes):
    """Return the indices (dimensions, entries) of row-major numbers."""
    rows = []
    for length in reversed(sizes):
        rows.insert(0, numbers % length)
        numbers = numbers // length
    return plain.stack(rows) if rows else numbers.new_zeros((0, len(numbers)))


def _check_coo(layout):
    if layout not in (None, sparse_coo):
        raise NotImplementedError(f"the layout {layout} is not supported: sparse tensors are sparse_coo here")


# ---------------------------------------------------------------------- making them
def sparse_coo_tensor(
    indices, values=None, size=None, *, dtype=None, device=None, pin_memory=False, requires_grad=False,
    check_invariants=None, is_coalesced=None,
):  # fmt: skip
    """Return the tensor that has values[k] at indices[:, k], entries of the same indices added, and zeros elsewhere.

    Arguments: indices (sparse dimensions, entries), values (entries, *dense dimensions), size (the least that holds the
    indices), dtype, device, requires_grad, is_coalesced (that indices are sorted and unique). RuntimeError for indices
    outside of the size or other numbers of entries.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.sparse_coo_tensor.html

    >>> import minigrad as mg
    >>> mg.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    if values is None:
        size = indices if size is None else size
        indices, values = plain.empty(len(size), 0, dtype=plain.int64), plain.empty(0, dtype=dtype)
    indices = plain.as_tensor(indices, device=device)
    values = plain.as_tensor(values, dtype=dtype, device=device)
    if indices.is_floating_point() or indices.is_complex() or indices.dtype is plain.bool:
        raise TypeError(f"indices must be an int64 tensor, but got {indices.dtype}")
    indices = indices.to(values.device, plain.int64)
    if indices.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(indices.shape)}")
    if values.ndim < 1 or indices.shape[1] != values.shape[0]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {indices.shape[1]}, "
            f"nnz from values: {values.shape[0] if values.ndim else 0}"
        )
    if size is None:
        size = [*((indices.amax(1) + 1).tolist() if indices.shape[1] else [0] * len(indices)), *values.shape[1:]]
    if len(size) != len(indices) + values.ndim - 1:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({len(indices)}) + dense_dim ({values.ndim - 1}), "
            f"but got {len(size)}"
        )
    if tuple(size[len(indices) :]) != tuple(values.shape[1:]):
        raise RuntimeError(f"values has incorrect size, expected {list(size[len(indices) :])} after the entries")
    _check_indices(indices, size)
    if requires_grad:
        values = values.detach().requires_grad_()
    return SparseTensor(indices.detach(), values, size, bool(is_coalesced))


def _check_indices(indices, size):
    if not indices.shape[1]:
        return
    for dim, (least, most) in enumerate(zip(indices.amin(1).tolist(), indices.amax(1).tolist())):
        if least < 0:
            raise RuntimeError(f"found negative index {least} for dim {dim}")
        if most >= size[dim]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {dim}, size is {size[dim]} but found index {most}"
            )


def to_sparse(self, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
    """Return the entries that are not zero as a sparse tensor, of the first sparse_dim dimensions (all).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to_sparse.html

    >>> import minigrad as mg
    >>> mg.tensor([[0.0, 5.0], [0.0, 0.0]]).to_sparse().indices().tolist()
    [[0], [1]]
    """
    _check_coo(layout)
    if blocksize is not None or dense_dim is not None:
        raise NotImplementedError("to_sparse: blocksize and dense_dim belong to layouts that are not supported")
    count = self.ndim if sparse_dim is None else sparse_dim
    if not 0 < count <= builtins.max(self.ndim, 1):
        raise IndexError(f"to_sparse: sparse_dim must be 1 to {self.ndim}, but got {sparse_dim}")
    kept = self.detach() != 0
    if count < self.ndim:
        kept = kept.flatten(count).any(-1)
    indices = kept.nonzero().t().contiguous()
    return SparseTensor(indices, self[tuple(indices)] if count else self.reshape(1)[kept.reshape(1)], self.shape, True)


to_sparse_coo = to_sparse


def _of_sparse_only(name):
    def method(self, *args):
        kind = NotImplementedError if name.startswith("_") else RuntimeError
        raise kind(f"{name} expected sparse coordinate tensor layout but got Strided")

    return method


_indices, _nnz, _values, coalesce, indices, is_coalesced, values = map(
    _of_sparse_only, "_indices _nnz _values coalesce indices is_coalesced values".split()
)


class _Legacy:
    """torch.sparse.FloatTensor and its like: indices, values and size, or a size alone."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, *args, device=None):
        options = {"dtype": self.kind, "device": device}
        if not args or isinstance(args[0], int):
            return sparse_coo_tensor(args or (0,), **options)
        return sparse_coo_tensor(*args, **options)


FloatTensor, DoubleTensor = _Legacy(plain.float32), _Legacy(plain.float64)
IntTensor, LongTensor = _Legacy(plain.int32), _Legacy(plain.int64)


def spdiags(diagonals, offsets, shape, layout=None):
    """Return the matrix of a shape with the rows of ``diagonals`` (D, N) on the diagonals of offsets (D,): j - i.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sparse.spdiags.html

    >>> import minigrad as mg
    >>> mg.sparse.spdiags(mg.tensor([[1, 2, 3]]), mg.tensor([-1]), (3, 3)).to_dense().tolist()
    [[0, 0, 0], [1, 0, 0], [0, 2, 0]]
    """
    _check_coo(layout)
    diagonals, offsets = plain.atleast_2d(diagonals), plain.atleast_1d(offsets)
    columns = plain.arange(diagonals.shape[1]).expand(diagonals.shape)
    rows = columns - offsets.unsqueeze(1)
    kept = (rows >= 0) & (rows < shape[0]) & (columns < shape[1])
    return sparse_coo_tensor(plain.stack((rows[kept], columns[kept])), diagonals[kept], shape)


# ---------------------------------------------------------------------- products
def mm(mat1, mat2, reduce=None):
    """Return the product of two matrices of which at least one is sparse; sparse if both are.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sparse.mm.html

    >>> import minigrad as mg
    >>> mg.sparse.mm(mg.eye(2).to_sparse(), mg.ones(2, 2)).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    if reduce not in (None, "sum"):
        raise NotImplementedError(f"sparse.mm: reduce={reduce!r} is not supported, only sums are")
    if mat1.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(f"mm: expected matrices, but got {mat1.ndim} and {mat2.ndim} dimensions")
    if mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({mat1.shape[0]}x{mat1.shape[1]} and "
            f"{mat2.shape[0]}x{mat2.shape[1]})"
        )
    if mat1.dtype is not mat2.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {mat1.dtype} != {mat2.dtype}")
    if not mat1.is_sparse:
        return mm(mat2.t(), mat1.t()).t()
    if mat2.is_sparse:
        return _sparse_product(mat1, mat2.coalesce())
    terms = mat2.index_select(0, mat1._i[1]) * mat1._v.unsqueeze(1)  # (entries, columns)
    return terms.new_zeros((mat1.shape[0], mat2.shape[1])).index_add(0, mat1._i[0], terms)


def _sparse_product(a, b):
    """Return the sparse product: every entry of ``a`` meets the row of ``b`` that its column names."""
    counts = plain.bincount(b._i[0], minlength=b.shape[0])
    starts = counts.cumsum(0) - counts
    met = counts[a._i[1]]  # how many entries of b each entry of a meets
    left = plain.arange(a._nnz(), device=a.device).repeat_interleave(met)
    within = plain.arange(len(left), device=a.device) - (met.cumsum(0) - met)[left]
    right = starts[a._i[1]][left] + within
    indices = plain.stack((a._i[0][left], b._i[1][right]))
    return SparseTensor(indices, a._v[left] * b._v[right], (a.shape[0], b.shape[1])).coalesce()


spmm = dsmm = mm


def matmul(input, other, *, out=None):
    """Return mm of matrices, or the product of a sparse matrix and a vector."""
    if other.ndim == 1 and not other.is_sparse:
        return mm(input, other.unsqueeze(1)).squeeze(1)
    if input.ndim == 1 and not input.is_sparse:
        return mm(input.unsqueeze(0), other).squeeze(0)
    return mm(input, other)


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """Return beta · input + alpha · mat1 @ mat2 for a sparse mat1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sparse.addmm.html
    """
    return beta * input + alpha * mm(mat1, mat2)


# ---------------------------------------------------------------------- elementwise
def _number(value):
    return not isinstance(value, Tensor) or (not value.is_sparse and value.ndim == 0)


def _same_shape(a, b, name):
    if tuple(a.shape) != tuple(b.shape):
        raise RuntimeError(f"{name}: expected two sparse tensors of one size, got {list(a.shape)} and {list(b.shape)}")


def add(input, other, *, alpha=1):
    """Return input + alpha · other: of sparse tensors sparse, of a dense and a sparse one dense."""
    if not isinstance(other, SparseTensor):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    if not isinstance(input, SparseTensor):
        return input + other.to_dense() * alpha
    _same_shape(input, other, "add")
    values = plain.cat((input._v, other._v * alpha))
    made = SparseTensor(plain.cat((input._i, other._i), 1), values, input.shape)
    return made.coalesce() if input._coalesced and other._coalesced else made


def sub(input, other, *, alpha=1):
    """Return input - alpha · other; see add."""
    return add(input, other, alpha=-alpha)


def mul(input, other):
    """Return the product, which is sparse: with a number, a dense tensor, or a sparse one of the same size."""
    if not isinstance(input, SparseTensor):
        input, other = other, input
    if _number(other):
        return input._with(input._v * other)
    if not isinstance(other, SparseTensor):
        dense = plain.broadcast_to(other, input.shape)
        return input._with(input._v * dense[tuple(input._i)])
    _same_shape(input, other, "mul")
    a, b = input.coalesce(), other.coalesce()
    left, right = a._linear(), b._linear()
    kept = plain.isin(left, right)
    values = a._v[kept] * b._v[plain.searchsorted(right, left[kept])]
    return SparseTensor(a._i[:, kept], values, a.shape, True)


def div(input, other, *, rounding_mode=None):
    """Return a sparse tensor divided by a number."""
    if not isinstance(input, SparseTensor) or not _number(other):
        raise RuntimeError("Sparse division requires a scalar or zero-dim dense tensor divisor")
    return input._with(plain.div(input._v, other, rounding_mode=rounding_mode))


def pow(input, exponent):
    """Return the power of a sparse tensor to a positive number."""
    if not isinstance(exponent, (int, float)) or exponent <= 0:
        raise RuntimeError("pow of a sparse tensor needs a positive number, which keeps zeros zero")
    return input.coalesce()._with(input.coalesce()._v ** exponent)


def _in_place(operation):
    """Return the variant of an operation that writes its result into its first argument, sparse or dense."""

    def written(self, other, **options):
        result = operation(self, other, **options)
        if not isinstance(self, SparseTensor):
            return self.copy_(result)
        self.__dict__.update(result.__dict__)
        return self

    return written


def _unary(name):
    function = getattr(plain, name)

    def apply(input):
        whole = input.coalesce()  # f(a + b) is not f(a) + f(b)
        return whole._with(function(whole._v))

    return apply


# ---------------------------------------------------------------------- reductions
def sum(input, dim=None, dtype=None):
    """Return the sum of a sparse tensor: of all its values, or over dimensions, sparse where a sparse one is left.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sparse.sum.html

    >>> import minigrad as mg
    >>> mg.sparse.sum(mg.eye(3).to_sparse(), dim=0).to_dense()
    tensor([1., 1., 1.])
    """
    values = input._v if dtype is None else input._v.to(dtype)
    if dim is None:
        return values.sum()
    if any(not -input.ndim <= one < input.ndim for one in (dim if isinstance(dim, (tuple, list)) else (dim,))):
        raise IndexError(f"Dimension out of range (expected to be in [{-input.ndim}, {input.ndim - 1}], but got {dim})")
    gone = {one % input.ndim for one in (dim if isinstance(dim, (tuple, list)) else (dim,))}
    count = len(input._i)
    dense = [one - count + 1 for one in gone if one >= count]
    values = values.sum(dense) if dense else values
    kept = [one for one in range(count) if one not in gone]
    if not kept:
        return values.sum(0)
    size = [length for one, length in enumerate(input.shape) if one not in gone]
    return SparseTensor(input._i[plain.tensor(kept, device=input.device)], values, size).coalesce()


def softmax(input, dim, *, dtype=None):
    """Return the softmax along a sparse dimension, in which entries that are not kept count as -inf.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sparse.softmax.html

    >>> import minigrad as mg
    >>> mg.sparse.softmax(mg.tensor([[1.0, 1.0, 0.0]]).to_sparse(), 1).values()
    tensor([0.5000, 0.5000])
    """
    whole, logarithms = _log_softmax(input, dim, dtype)
    return whole._with(logarithms.exp())


def log_softmax(input, dim, *, dtype=None):
    """Return the logarithm of softmax.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.sparse.log_softmax.html
    """
    whole, logarithms = _log_softmax(input, dim, dtype)
    return whole._with(logarithms)


def _log_softmax(input, dim, dtype):
    whole = input.coalesce()
    count = len(whole._i)
    if not -input.ndim <= dim < input.ndim:
        raise IndexError(f"Dimension out of range (expected to be in [{-input.ndim}, {input.ndim - 1}], but got {dim})")
    dim %= input.ndim
    values = whole._v if dtype is None else whole._v.to(dtype)
    if dim >= count:
        return whole, values.log_softmax(dim - count + 1)
    others = [one for one in range(count) if one != dim]
    indices = whole._i[plain.tensor(others, dtype=plain.int64, device=whole.device)]
    numbers = SparseTensor(indices, values, [whole.shape[one] for one in others])._linear()
    groups, place = plain.unique(numbers, return_inverse=True)
    shape = (len(groups), *values.shape[1:])
    wide = place.reshape(-1, *[1] * (values.ndim - 1)).expand(values.shape)
    most = plain.full(shape, -math.inf, dtype=values.dtype, device=values.device)
    most = most.scatter_reduce(0, wide, values.detach(), "amax")
    shifted = values - most.index_select(0, place)
    total = values.new_zeros(shape).index_add(0, place, shifted.exp())
    return whole, shifted - total.log().index_select(0, place)


def sparse_mask(input, mask):
    """Return a dense tensor's entries at the indices of a sparse one.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.sparse_mask.html
    """
    if not isinstance(mask, SparseTensor) or tuple(mask.shape) != tuple(input.shape):
        raise RuntimeError("sparse_mask: the mask must be a sparse tensor of the same size")
    return mask._with(input[tuple(mask._i)])


_FUNCTIONS = {
    "mm": mm, "matmul": matmul, "spmm": mm, "mv": matmul, "__rmatmul__": lambda self, other: matmul(other, self),
    "addmm": addmm, "add": add, "sub": sub, "subtract": sub, "mul": mul, "multiply": mul, "div": div, "divide": div,
    "true_divide": div, "pow": pow, "sparse_mask": sparse_mask, "sum": lambda input, *a, **k: input.sum(*a, **k),
    "softmax": lambda input, dim, *a, **k: softmax(input, dim, **k), "is_same_size": lambda a, b: a.shape == b.shape,
    **dict.fromkeys(("add_", "__iadd__"), _in_place(add)), **dict.fromkeys(("sub_", "__isub__"), _in_place(sub)),
    **dict.fromkeys(("mul_", "__imul__"), _in_place(mul)), **dict.fromkeys(("div_", "__itruediv__"), _in_place(div)),
    "log_softmax": lambda input, dim, *a, **k: log_softmax(input, dim, **k),
    "mean": lambda input: input._v.sum() / input.numel(), "norm": lambda input: input.coalesce()._v.norm(),
    "zeros_like": lambda input: sparse_coo_tensor(tuple(input.shape), dtype=input.dtype, device=input.device),
    **{name: _unary(name) for name in "neg abs sin sinh tan tanh asin atan sqrt square sign relu floor ceil round "
    "trunc expm1 log1p erf negative".split()},
}  # fmt: skip
for _name, _operation in (("add", add), ("sub", sub), ("mul", mul), ("truediv", div), ("pow", pow), ("matmul", matmul)):
    setattr(SparseTensor, f"__{_name}__", lambda self, other, _operation=_operation: _operation(self, other))
SparseTensor.__rmul__ = lambda self, other: mul(self, other)
SparseTensor.__radd__ = lambda self, other: add(other, self)
SparseTensor.__rsub__ = lambda self, other: sub(other, self)
SparseTensor.__rmatmul__ = lambda self, other: matmul(other, self)
SparseTensor.__neg__ = lambda self: self._with(-self._v)

__getattr__ = getter(__name__)
