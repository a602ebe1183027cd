"""Products of vectors, matrices and tensors."""

import math

from minigrad.backend import PRECISION, result_dtype
from minigrad.backend.placement import on_different_devices
from minigrad.kernels import matmul as kernels
from minigrad.op import Op
from minigrad.operands import CENTRAL, is_operand
from minigrad.ops.arguments import rounds_once, scales_first
from minigrad.ops.core import cast
from minigrad.precision import in_region
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap
from minigrad.variable import MODE


def _swap_last(x):
    return x.swapaxes(-1, -2)


swap_last = Op(_swap_last, [lambda g: swap_last(g)], view=True)
matrix_product = Op(
    kernels.matmul,
    [lambda g, b: matrix_product(g, swap_last(b)), lambda g, a: matrix_product(swap_last(a), g)],
    name="matmul",
    broadcast=True,
)


def _check_operands(name, *tensors):
    """TypeError for what is no tensor; RuntimeError for dtypes or devices that differ."""
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}(): arguments must be Tensors, not {type(tensor).__name__}")
    first = tensors[0]
    for other in tensors[1:]:
        if other.array.dtype != first.array.dtype:
            raise RuntimeError(
                f"{name}: expected m1 and m2 to have the same dtype, but got: {first.dtype.name} != "
                f"{other.dtype.name}; "
                "convert one with .to(dtype)"
            )
        if type(other.array) is not type(first.array):
            raise on_different_devices(name, [tensor.array for tensor in tensors])
    if first.array.dtype.kind == "b":
        raise RuntimeError(f"{name}: not implemented for 'Bool'; convert with .float() or use logical operations")


def _check_ndim(name, tensor, ndim, which):
    if tensor.array.ndim != ndim:
        kind = {1: "vector", 2: "matrix", 3: "3D tensor"}[ndim]
        raise RuntimeError(f"{name}: {which} must be a {kind}, got {tensor.array.ndim}-D of shape {list(tensor.shape)}")


def _times(name, a, b):
    """Return the matrix product of arrays of two or more dimensions, after checking that they fit."""
    x, y = a.array, b.array
    if x.shape[-1] != y.shape[-2]:
        if x.ndim == 2 and y.ndim == 2:
            raise RuntimeError(
                f"{name}: mat1 and mat2 shapes cannot be multiplied ({x.shape[0]}x{x.shape[1]} and "
                f"{y.shape[0]}x{y.shape[1]})"
            )
        raise RuntimeError(
            f"{name}: Expected size for first two dimensions of batch2 tensor to be: [.., {x.shape[-1]}] but got: "
            f"[.., {y.shape[-2]}]; shapes {list(x.shape)} and {list(y.shape)}"
        )
    return matrix_product(a, b)


def _product(input, other):
    """Return the matrix product of tensors of any numbers of dimensions; see matmul."""
    if PRECISION.active and MODE.autocast is not None:
        return in_region("matmul", _product, (input, other), {})
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        _check_operands("matmul", input, other)
    x, y = input.array, other.array
    if x.dtype is not y.dtype or x.dtype.kind == "b":
        _check_operands("matmul", input, other)
    a, b = x.ndim, y.ndim
    if a == 2 and b == 2 and x.shape[1] == y.shape[0]:
        return matrix_product.call(input, other)
    if a == 0 or b == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a}D and {b}D")
    if a == 1 and b == 1:
        return dot(input, other)
    if a == 1:
        return _times("matmul", input.unsqueeze(0), other).squeeze(-2)
    if b == 1:
        return _times("matmul", input, other.unsqueeze(1)).squeeze(-1)
    if a > 2 and b == 2:  # one large product instead of a batch of small ones
        rows = input.reshape(-1, input.array.shape[-1]) if input.array.size else None
        if rows is not None:
            return _times("matmul", rows, other).reshape(*input.array.shape[:-1], other.array.shape[1])
    return _times("matmul", input, other)


@function(method=True, out=True)
def matmul(input, other):
    """Return the matrix product, with vectors and batches as in PyTorch.

    1-d · 1-d is the dot product; a 1-d argument is a row on the left and a column on the right; further leading
    dimensions are batches and broadcast. RuntimeError for lengths or dtypes that do not fit.
    Arguments: input (…, N, K) or (K,); other (…, K, M) or (K,).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.matmul.html

    >>> import minigrad as mg
    >>> mg.matmul(mg.ones(2, 3), mg.ones(3))
    tensor([3., 3.])
    """
    return _product(input, other)


def _matmul_operator(self, other):
    if not isinstance(other, Tensor):
        self, other = _beside_array(self, other)
    return NotImplemented if other is None else _product(self, other)


def _right_matmul_operator(self, other):
    if not isinstance(other, Tensor):
        self, other = _beside_array(self, other)
    return NotImplemented if other is None else _product(other, self)


def _beside_array(tensor, array):
    """Return a tensor and a raw array as tensors of one dtype; None for what is no array."""
    if not is_operand(array) or not hasattr(array, "dtype"):
        return tensor, None
    dtype = result_dtype([tensor.array, array])
    return cast(tensor, dtype=dtype), wrap(array.astype(dtype, copy=False))


Tensor.__matmul__ = _matmul_operator
Tensor.__rmatmul__ = _right_matmul_operator


@function(method=True, out=True)
def mm(input, mat2):
    """Return the product of two matrices. # (N, K) @ (K, M) → (N, M)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.mm.html

    >>> import minigrad as mg
    >>> mg.mm(mg.ones(2, 3), mg.ones(3, 1))
    tensor([[3.],
            [3.]])
    """
    _check_operands("mm", input, mat2)
    _check_ndim("mm", input, 2, "self")
    _check_ndim("mm", mat2, 2, "mat2")
    return _times("mm", input, mat2)


@function(method=True, out=True)
def bmm(input, mat2):
    """Return the products of two batches of matrices. # (B, N, K) @ (B, K, M) → (B, N, M)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.bmm.html

    >>> import minigrad as mg
    >>> mg.bmm(mg.ones(2, 1, 3), mg.ones(2, 3, 4)).shape
    minigrad.Size([2, 1, 4])
    """
    _check_operands("bmm", input, mat2)
    _check_ndim("bmm", input, 3, "batch1")
    _check_ndim("bmm", mat2, 3, "batch2")
    if input.array.shape[0] != mat2.array.shape[0]:
        raise RuntimeError(
            f"bmm: batch1 and batch2 must have same number of batches, got {input.shape[0]} and {mat2.shape[0]}"
        )
    return _times("bmm", input, mat2)


@function(method=True, out=True)
def mv(input, vec):
    """Return the product of a matrix and a vector. # (N, M) @ (M,) → (N,)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.mv.html

    >>> import minigrad as mg
    >>> mg.mv(mg.ones(2, 3), mg.ones(3))
    tensor([3., 3.])
    """
    _check_operands("mv", input, vec)
    _check_ndim("mv", input, 2, "self")
    _check_ndim("mv", vec, 1, "vec")
    if input.array.shape[1] != vec.array.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({input.shape[0]}), mat ({list(input.shape)}), vec ({vec.shape[0]})"
        )
    return _times("mv", input, vec.unsqueeze(1)).squeeze(-1)


@function(method=True, out=True)
def dot(input, tensor):
    """Return the dot product of two vectors of one length.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.dot.html

    >>> import minigrad as mg
    >>> mg.dot(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _check_operands("dot", input, tensor)
    if input.array.ndim != 1 or tensor.array.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.array.ndim}D and {tensor.array.ndim}D tensors")
    if input.array.shape != tensor.array.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{input.shape[0]}] and src [{tensor.shape[0]}] to have "
            "the same "
            "number of elements"
        )
    return matrix_product(input.unsqueeze(0), tensor.unsqueeze(1)).reshape(())


@function(method=True, out=True)
def vdot(input, other):
    """Return the dot product of two vectors, the first one conjugated.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.vdot.html

    >>> import minigrad as mg
    >>> mg.vdot(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return dot(input.conj() if isinstance(input, Tensor) else input, other)


@function(method=True, out=True)
def inner(input, other):
    """Return the sums of products over the last dimensions of both. # (…, K), (…', K) → (…, …')

    Source: https://docs.pytorch.org/docs/stable/generated/torch.inner.html

    >>> import minigrad as mg
    >>> mg.inner(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    if input.array.ndim == 0 or other.array.ndim == 0:
        return input * other
    if input.array.shape[-1] != other.array.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


@function(method=True, out=True)
def outer(input, vec2):
    """Return the products of all pairs of elements of two vectors. # (N,), (M,) → (N, M)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.outer.html

    >>> import minigrad as mg
    >>> mg.outer(mg.tensor([1, 2]), mg.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    if input.array.ndim != 1 or vec2.array.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D arguments, but got {input.array.ndim}-D and {vec2.array.ndim}-D")
    return input.unsqueeze(1) * vec2


function(method=True, out=True, name="ger")(outer)


def _scaled_sum(name, input, beta, product, alpha):
    """Return beta * input + alpha * product; input is not looked at when beta is 0."""
    if product.array.dtype.kind in "iu":
        if name == "addmm" and (isinstance(beta, float) or isinstance(alpha, float)):
            raise RuntimeError(
                f"{name}: For integral input tensors, beta and alpha must not be floating point numbers."
            )
        beta, alpha = int(beta), int(alpha)
    if input.array.dtype != product.array.dtype:
        raise RuntimeError(
            f"{name}: self and mat2 must have the same dtype, but got {input.dtype.name} and {product.dtype.name}"
        )
    if alpha != 1:
        product = product * alpha
    try:
        expanded = input.expand(product.shape)
    except RuntimeError as error:
        raise RuntimeError(
            f"{name}: input of shape {list(input.shape)} does not fit {list(product.shape)}: {error}"
        ) from None
    if beta == 0:
        return product
    return expanded + product if beta == 1 else expanded * beta + product


@function(method=True, inplace=True, out=True)
@scales_first("beta", "alpha")
def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """Return beta * input + alpha * (mat1 @ mat2).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.addmm.html

    >>> import minigrad as mg
    >>> mg.addmm(mg.ones(2, 1), mg.ones(2, 3), mg.ones(3, 1))
    tensor([[4.],
            [4.]])
    """
    _check_operands("addmm", mat1, mat2)
    _check_ndim("addmm", mat1, 2, "mat1")
    _check_ndim("addmm", mat2, 2, "mat2")
    return _scaled_sum("addmm", input, beta, _times("addmm", mat1, mat2), alpha)


@function(method=True, inplace=True, out=True)
@scales_first("beta", "alpha")
def addmv(input, mat, vec, *, beta=1, alpha=1):
    """Return beta * input + alpha * (mat @ vec).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.addmv.html

    >>> import minigrad as mg
    >>> mg.addmv(mg.ones(2), mg.ones(2, 3), mg.ones(3))
    tensor([4., 4.])
    """
    return _scaled_sum("addmv", input, beta, mv(mat, vec), alpha)


@function(method=True, inplace=True, out=True)
@scales_first("beta", "alpha")
@rounds_once
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """Return beta * input + alpha * outer(vec1, vec2).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.addr.html

    >>> import minigrad as mg
    >>> mg.addr(mg.zeros(2, 2), mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    product = outer(vec1, vec2)
    common = result_dtype([input.array, product.array])
    if common.kind == "b":
        return (input & bool(beta)) | (product & bool(alpha))
    return _scaled_sum("addr", input.to(common), beta, product.to(common), alpha)


@function(method=True, inplace=True, out=True)
@scales_first("beta", "alpha")
@rounds_once
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """Return beta * input + alpha * bmm(batch1, batch2).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.baddbmm.html

    >>> import minigrad as mg
    >>> mg.baddbmm(mg.zeros(2, 1, 4), mg.ones(2, 1, 3), mg.ones(2, 3, 4)).shape
    minigrad.Size([2, 1, 4])
    """
    return _scaled_sum("baddbmm", input, beta, bmm(batch1, batch2), alpha)


@function(method=True, inplace=True, out=True)
@scales_first("beta", "alpha")
@rounds_once
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """Return beta * input + alpha * the sum over the batch of bmm(batch1, batch2).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.addbmm.html

    >>> import minigrad as mg
    >>> mg.addbmm(mg.zeros(2, 2), mg.ones(3, 2, 1), mg.ones(3, 1, 2))
    tensor([[3., 3.],
            [3., 3.]])
    """
    return _scaled_sum("addbmm", input, beta, bmm(batch1, batch2).sum(0, dtype=batch1.dtype), alpha)


@function()
def chain_matmul(*matrices):
    """Return the product of a chain of matrices, multiplied in the cheapest order.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.chain_matmul.html

    >>> import minigrad as mg
    >>> mg.chain_matmul(mg.ones(2, 3), mg.ones(3, 4), mg.ones(4, 1))
    tensor([[12.],
            [12.]])
    """
    return matrices[0].view_as(matrices[0]) if len(matrices) == 1 else multi_dot(matrices)


def multi_dot(tensors):
    """Return the product of two or more matrices (the first and last may be vectors), in the cheapest order.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.multi_dot.html
    """
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    first, last = tensors[0].array.ndim == 1, tensors[-1].array.ndim == 1
    matrices = [tensors[0].unsqueeze(0) if first else tensors[0], *tensors[1:-1]]
    matrices.append(tensors[-1].unsqueeze(1) if last else tensors[-1])
    for position, matrix in enumerate(matrices):
        _check_ndim("multi_dot", matrix, 2, f"tensor {position}")
    result = _in_order(matrices, _cheapest_split([m.array.shape for m in matrices]), 0, len(matrices) - 1)
    if first:
        result = result.squeeze(0)
    return result.squeeze(-1) if last else result


def _cheapest_split(shapes):
    """Return {(i, j): where to split the product of matrices i to j} by dynamic programming."""
    count = len(shapes)
    cost = {(i, i): 0 for i in range(count)}
    split = {}
    for span in range(1, count):
        for i in range(count - span):
            j = i + span
            options = [
                (cost[i, k] + cost[k + 1, j] + shapes[i][0] * shapes[k][1] * shapes[j][1], k) for k in range(i, j)
            ]
            cost[i, j], split[i, j] = min(options)
    return split


def _in_order(matrices, split, i, j):
    if i == j:
        return matrices[i]
    k = split[i, j]
    return _times("multi_dot", _in_order(matrices, split, i, k), _in_order(matrices, split, k + 1, j))


@function()
def tensordot(a, b, dims=2, out=None):
    """Return the sums of products over some dimensions of both tensors.

    Arguments: a, b (tensors), dims (int n: the last n of a with the first n of b; or a pair of lists of dimensions).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.tensordot.html

    >>> import minigrad as mg
    >>> mg.tensordot(mg.ones(2, 3, 4), mg.ones(3, 4, 5), 2).shape
    minigrad.Size([2, 5])
    """
    _check_operands("tensordot", a, b)
    dims_a, dims_b = _tensordot_dims(a, b, dims)
    for left, right in zip(dims_a, dims_b, strict=True):
        if a.array.shape[left] == 1 or b.array.shape[right] == 1:  # a length of 1 broadcasts: the other side is summed
            a, b = a.sum(left, keepdim=True, dtype=a.dtype), b.sum(right, keepdim=True, dtype=b.dtype)
        elif a.array.shape[left] != b.array.shape[right]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[left]} in dim {left} and "
                "second has size "
                f"{b.shape[right]} in dim {right}"
            )
    free_a = [d for d in range(a.array.ndim) if d not in dims_a]
    free_b = [d for d in range(b.array.ndim) if d not in dims_b]
    rows, inner_size = [a.array.shape[d] for d in free_a], math.prod(a.array.shape[d] for d in dims_a)
    columns = [b.array.shape[d] for d in free_b]
    left = a.permute(*free_a, *dims_a).reshape(math.prod(rows), inner_size)
    right = b.permute(*dims_b, *free_b).reshape(inner_size, math.prod(columns))
    result = _times("tensordot", left, right).reshape(*rows, *columns)
    return result if out is None else CENTRAL["write_out"](out, result, "tensordot")


def _tensordot_dims(a, b, dims):
    """Return the dimensions of a and of b to contract, as lists of non-negative ints."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        dims = (list(range(-dims, 0)), list(range(dims)))
    dims_a, dims_b = (([d] if isinstance(d, int) else list(d)) for d in dims)
    if len(dims_a) != len(dims_b):
        raise RuntimeError(f"both dimension lists should have same length, got {len(dims_a)} and {len(dims_b)}")
    return [normalize_dim(d, a.array.ndim) for d in dims_a], [normalize_dim(d, b.array.ndim) for d in dims_b]


@function(method=True, out=True)
def kron(input, other):
    """Return the Kronecker product.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.kron.html

    >>> import minigrad as mg
    >>> mg.kron(mg.eye(2), mg.ones(1, 2))
    tensor([[1., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    ndim = max(input.array.ndim, other.array.ndim)
    a = (1,) * (ndim - input.array.ndim) + input.array.shape
    b = (1,) * (ndim - other.array.ndim) + other.array.shape
    left = input.reshape([length for pair in zip(a, (1,) * ndim, strict=True) for length in pair])
    right = other.reshape([length for pair in zip((1,) * ndim, b, strict=True) for length in pair])
    return (left * right).reshape([x * y for x, y in zip(a, b, strict=True)])


@function(method=True)
def trace(input):
    """Return the sum of a matrix's diagonal.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.trace.html

    >>> import minigrad as mg
    >>> mg.trace(mg.eye(3))
    tensor(3.)
    """
    if input.array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got {input.array.ndim}D of shape {list(input.shape)}")
    return input.diagonal().sum()


@function(method=True, out=True)
def cross(input, other, dim=None):
    """Return the cross product along a dimension of length 3 (by default the first such).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cross.html

    >>> import minigrad as mg
    >>> mg.cross(mg.tensor([1.0, 0.0, 0.0]), mg.tensor([0.0, 1.0, 0.0]), dim=0)
    tensor([0., 0., 1.])
    """
    from minigrad.ops.shape import broadcast_tensors

    if dim is None:
        candidates = [d for d, length in enumerate(input.array.shape) if length == 3]
        if not candidates:
            raise RuntimeError(f"no dimension of size 3 in input of shape {list(input.shape)}")
        dim = candidates[0]
    a, b = broadcast_tensors(input, other)
    dim = normalize_dim(dim, a.array.ndim)
    if input.array.shape[dim - a.array.ndim] != 3 or other.array.shape[dim - a.array.ndim] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {list(input.shape)}, {list(other.shape)}"
        )
    return a.roll(-1, dim) * b.roll(-2, dim) - a.roll(-2, dim) * b.roll(-1, dim)
