"""LU and Householder factors, the matrix exponential, and randomised low-rank factors."""

import math

from minigrad.backend import FLOAT_CODES, xp
from minigrad.inplace import write_out
from minigrad.kernels import decomposition as kernels
from minigrad.op import Op
from minigrad.ops.decomposition import adjoint, columns, conjugate, qr, rows, solve, svd
from minigrad.ops.linalg import matrix_product as mm
from minigrad.ops.linalg import swap_last
from minigrad.ops.pieces import cat_op
from minigrad.ops.reorder import tril_op, triu_op
from minigrad.ops.results import named_result
from minigrad.registry import FUNCTIONS, function
from minigrad.tensor import Tensor, wrap

LU = named_result("linalg_lu", ("P", "L", "U"))
LUFactor = named_result("linalg_lu_factor", ("LU", "pivots"))
LUFactorWithInfo = named_result("linalg_lu_factor_ex", ("LU", "pivots", "info"))
LUUnpacked = named_result("lu_unpack", ("P", "L", "U"))
Householder = named_result("geqrf", ("a", "tau"))
TriangularSolve = named_result("triangular_solve", ("solution", "cloned_coefficient"))


def _square_lu_gradient(gradient_l, gradient_u, lower, upper):
    """dA = dL U + L dU, where L⁻¹ dL is strictly lower and dU U⁻¹ upper triangular."""
    inner = tril_op(mm(adjoint(lower), gradient_l), diagonal=-1) + triu_op(
        mm(gradient_u, adjoint(upper)), diagonal=0
    )
    return adjoint(solve(upper, adjoint(solve(adjoint(lower), inner))))


def _lu_gradient(g, out):
    """Gradient of A = P L U for matrices of any shape; P is constant.

    A wide matrix is [A1 | A2] = P L [U1 | U2]; a tall one's L has rows [L1; L2].
    """
    permutation, lower, upper, _ = out
    _, gradient_l, gradient_u, _ = g
    size, width = lower.shape[-2], upper.shape[-1]
    if size < width:
        rest = solve(adjoint(lower), columns(gradient_u, size, width))
        gradient_l = gradient_l - mm(rest, adjoint(columns(upper, size, width)))
        head = _square_lu_gradient(gradient_l, columns(gradient_u, 0, size), lower, columns(upper, 0, size))
        gradient = cat_op(head, rest, dim=head.ndim - 1)
    elif size > width:
        rest = adjoint(solve(upper, adjoint(rows(gradient_l, width, size))))
        gradient_u = gradient_u - mm(adjoint(rows(lower, width, size)), rest)
        head = _square_lu_gradient(rows(gradient_l, 0, width), gradient_u, rows(lower, 0, width), upper)
        gradient = cat_op(head, rest, dim=head.ndim - 2)
    else:
        gradient = _square_lu_gradient(gradient_l, gradient_u, lower, upper)
    return (mm(permutation, gradient),)


def _lu(a, *, pivot):
    return kernels.lu(a, pivot=pivot)


lu_op = Op(_lu, joint=_lu_gradient, name="lu")


def check_floating(name, a, square=False):
    """TypeError or RuntimeError unless a is a (batch of) floating-point (square) matrices."""
    if not isinstance(a, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(a).__name__}")
    if a.array.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if a.array.dtype.char not in FLOAT_CODES:
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {a.dtype.name}")
    if square and a.array.shape[-1] != a.array.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {a.shape[-2]} by {a.shape[-1]} matrices"
        )


def eye_like(a, size):
    """Return the identity of a size, with the dtype and the device of a tensor."""
    return wrap(xp(a.array).eye(size, dtype=a.array.dtype))


# ---------------------------------------------------------------------- LU
def lu(A, *, pivot=True, out=None):
    """Return (P, L, U) with A = P L U; with pivot=False P is empty. # (…, M, N) → (…, M, M), (…, M, K), (…, K, N)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu.html
    """
    check_floating("linalg.lu", A)
    permutation, lower, upper, _ = lu_op(A, pivot=bool(pivot))
    if not pivot:
        permutation = wrap(xp(A.array).zeros((0,), A.array.dtype))
    result = LU(permutation, lower, upper)
    return result if out is None else write_out(out, result, "linalg.lu")


def _compact(lower, upper):
    """Return L without its ones and U in one matrix. # (…, M, K), (…, K, N) → (…, M, N)"""
    size, count, width = lower.shape[-2], lower.shape[-1], upper.shape[-1]
    below = tril_op(lower, diagonal=-1)
    if size > count:
        upper = cat_op(upper, rows(below, count, size) * 0, dim=upper.ndim - 2)
    elif width > count:
        below = cat_op(below, columns(upper, count, width) * 0, dim=below.ndim - 1)
    return below + upper


def lu_factor(A, *, pivot=True, out=None):
    """Return (LU, pivots): L without its ones and U in one matrix, and the rows exchanged, counted from 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu_factor.html
    """
    check_floating("linalg.lu_factor", A)
    _, lower, upper, pivots = lu_op(A, pivot=bool(pivot))
    result = LUFactor(_compact(lower, upper), pivots)
    return result if out is None else write_out(out, result, "linalg.lu_factor")


def lu_factor_ex(A, *, pivot=True, check_errors=False, out=None):
    """Return (LU, pivots, info): as lu_factor; info is k where U's k-th diagonal element is 0, else 0."""
    factor, pivots = lu_factor(A, pivot=pivot)
    zero = factor.array.diagonal(axis1=-2, axis2=-1) == 0
    first = zero.argmax(axis=-1) + 1 if zero.shape[-1] else zero.sum(-1)
    info = wrap(xp(zero).asarray(first * zero.any(axis=-1)).astype("int32"))
    if check_errors and bool(info.array.any()):
        raise kernels.LinAlgError(f"torch.linalg.lu_factor_ex: U[{int(info.array.max())}] is zero")
    result = LUFactorWithInfo(factor, pivots, info)
    return result if out is None else write_out(out, result, "linalg.lu_factor_ex")


@function(name="lu")
def legacy_lu(A, pivot=True, get_infos=False, out=None):
    """Return (LU, pivots), and info with get_infos; linalg.lu_factor is what to use.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.lu.html

    >>> import minigrad as mg
    >>> factors, pivots = mg.lu(mg.tensor([[2.0, 0.0], [1.0, 3.0]]))
    >>> factors, pivots.tolist()
    (tensor([[2.0000, 0.0000],
            [0.5000, 3.0000]]), [1, 2])
    """
    result = lu_factor_ex(A, pivot=pivot)
    result = result if get_infos else LUFactor(*result[:2])
    return result if out is None else write_out(out, result, "lu")


Tensor.lu = legacy_lu


@function(out=True)
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """Return (P, L, U) of what lu_factor returned; those not asked for are empty.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.lu_unpack.html

    >>> import minigrad as mg
    >>> P, L, U = mg.lu_unpack(*mg.linalg.lu_factor(mg.tensor([[1.0, 2.0], [2.0, 2.0]])))
    >>> P @ L @ U
    tensor([[1., 2.],
            [2., 2.]])
    """
    if LU_pivots.array.dtype != "int32":
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor; "
            f"got {LU_pivots.dtype}"
        )
    array = LU_data.array
    size, width = array.shape[-2:]
    count = min(size, width)
    empty = wrap(xp(array).zeros((0,), array.dtype))
    lower = upper = permutation = empty
    if unpack_data:
        lower = tril_op(columns(LU_data, 0, count), diagonal=-1) + wrap(xp(array).eye(size, count, dtype=array.dtype))
        upper = triu_op(rows(LU_data, 0, count), diagonal=0)
    if unpack_pivots:
        permutation = wrap(kernels.permutation_of(LU_pivots.array, size, array.dtype))
    return LUUnpacked(permutation, lower, upper)


def lu_solve_factored(LU, pivots, B, *, left=True, adjoint=False, out=None):
    """Return X with A X = B (X A = B with left=False, Aᵀ with adjoint=True), given lu_factor's result of A.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu_solve.html
    """
    check_floating("linalg.lu_solve", LU, square=True)
    if pivots.array.dtype != "int32":
        raise RuntimeError(f"linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32. Got {pivots.dtype}")
    if LU.array.dtype != B.array.dtype:
        raise RuntimeError(
            f"linalg.lu_solve: Expected LU and B to have the same dtype, but found {LU.dtype} and {B.dtype}"
        )
    permutation, lower, upper = lu_unpack(LU, pivots)
    right = B if left else swap_last(B)
    # X A = B is Aᵀ Xᵀ = Bᵀ, X Aᴴ = B is conj(A) Xᵀ = Bᵀ.
    if adjoint:
        lower, upper = conjugate(lower), conjugate(upper)
    if adjoint != (not left):  # Aᵀ X = B: Uᵀ Lᵀ Pᵀ X = B
        result = mm(permutation, solve(swap_last(lower), solve(swap_last(upper), right)))
    else:
        result = solve(upper, solve(lower, mm(swap_last(permutation), right)))
    result = result if left else swap_last(result)
    return result if out is None else write_out(out, result, "linalg.lu_solve")


@function(method=True, out=True)
def lu_solve(input, LU_data, LU_pivots):
    """Return X with A X = input, given lu_factor's result of A; linalg.lu_solve is what to use.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.lu_solve.html

    >>> import minigrad as mg
    >>> A, b = mg.tensor([[2.0, 0.0], [0.0, 4.0]]), mg.tensor([[2.0], [8.0]])
    >>> mg.lu_solve(b, *mg.linalg.lu_factor(A))
    tensor([[1.],
            [2.]])
    """
    return lu_solve_factored(LU_data, LU_pivots, input)


@function(method=True)
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False, *, out=None):
    """Return (X, A) with A X = input for triangular A; linalg.solve_triangular is what to use.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.triangular_solve.html

    >>> import minigrad as mg
    >>> b, A = mg.tensor([[4.0], [3.0]]), mg.tensor([[2.0, 1.0], [0.0, 3.0]])
    >>> mg.triangular_solve(b, A)[0]
    tensor([[1.5000],
            [1.0000]])
    """
    check_floating("triangular_solve", A, square=True)
    triangle = triu_op(A, diagonal=int(unitriangular)) if upper else tril_op(A, diagonal=-int(unitriangular))
    if unitriangular:
        triangle = triangle + eye_like(A, A.shape[-1])
    result = TriangularSolve(solve(swap_last(triangle) if transpose else triangle, input), A.clone())
    return result if out is None else write_out(out, result, "triangular_solve")


# ---------------------------------------------------------------------- Householder
@function(method=True, out=True)
def geqrf(input):
    """Return LAPACK's (a, tau) of the QR decomposition: R above the diagonal, the reflections below it. No gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.geqrf.html

    >>> import minigrad as mg
    >>> mg.geqrf(mg.eye(2))[0].shape
    minigrad.Size([2, 2])
    """
    check_floating("geqrf", input)
    return Householder(*(wrap(part) for part in kernels.householder(input.array)))


def _reflected(A, tau, other, order):
    """Return the product of reflections I - tau v vᴴ with other: the last of `order` is applied last."""
    size = A.shape[-2]
    below = tril_op(A, diagonal=-1) + wrap(xp(A.array).eye(size, A.shape[-1], dtype=A.array.dtype))
    for k in order:
        vector = columns(below, k, k + 1)
        other = other - tau[..., k, None, None] * mm(vector, mm(swap_last(vector.conj()), other))
    return other


def householder_product(A, tau, *, out=None):
    """Return the first columns of the product of the Householder reflections that geqrf stores. # (…, M, N), (…, K)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.householder_product.html
    """
    check_floating("linalg.householder_product", A)
    size, width = A.shape[-2:]
    if size < width:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if tau.shape[-1] > width:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if tau.array.dtype != A.array.dtype:
        raise RuntimeError(
            f"torch.linalg.householder_product: tau dtype {tau.dtype} does not match input dtype {A.dtype}"
        )
    if A.array.ndim - tau.array.ndim != 1 or A.shape[:-2] != tau.shape[:-1]:
        raise RuntimeError(
            "torch.linalg.householder_product: Expected batch dimensions of tau to be equal to input.shape[:-2], "
            f"but got {list(tau.shape[:-1])} and {list(A.shape[:-2])}"
        )
    start = wrap(xp(A.array).eye(size, width, dtype=A.array.dtype)).expand(A.shape)
    result = _reflected(A, tau, start, range(tau.shape[-1] - 1, -1, -1))
    result = result if tau.shape[-1] else A.clone().copy_(result)
    return result if out is None else write_out(out, result, "linalg.householder_product")


@function(name="orgqr", method=True)
def orgqr(input, input2, *, out=None):
    """Return linalg.householder_product(input, input2).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.orgqr.html

    >>> import minigrad as mg
    >>> mg.orgqr(*mg.geqrf(mg.eye(2)))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return householder_product(input, input2, out=out)


@function(method=True, out=True)
def ormqr(input, input2, input3, left=True, transpose=False):
    """Return Q input3 (input3 Q with left=False; Qᵀ with transpose=True); input and input2 are geqrf's a and tau.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.ormqr.html

    >>> import minigrad as mg
    >>> a, tau = mg.geqrf(mg.eye(2))
    >>> mg.ormqr(a, tau, mg.ones(2, 2)).shape
    minigrad.Size([2, 2])
    """
    check_floating("ormqr", input)
    tau, other = input2, input3
    size = other.shape[-2] if left else other.shape[-1]
    if input.shape[-2] != size:
        raise RuntimeError(f"torch.ormqr: other.shape[{-2 if left else -1}] must be equal to input.shape[-2]")
    if tau.shape[-1] > size:
        raise RuntimeError(
            f"torch.ormqr: other.shape[{-2 if left else -1}] must be greater than or equal to tau.shape[-1]"
        )
    order = range(tau.shape[-1])
    order = order if transpose == left else reversed(order)
    tau = tau.conj() if transpose else tau
    if left:
        return _reflected(input, tau, other, order)
    # X Q is the adjoint of Qᴴ Xᴴ.
    return swap_last(_reflected(input, tau.conj(), swap_last(other.conj()), order).conj())


# ---------------------------------------------------------------------- the matrix exponential
def matrix_exponential(A):
    """Return e^A = Σ Aᵏ / k!: the Taylor series of A / 2ˢ, then squared s times. # (…, N, N)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_exp.html

    >>> import minigrad as mg
    >>> mg.linalg.matrix_exp(mg.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_floating("linalg.matrix_exp", A, square=True)
    if A.array.size == 0:
        return A.clone()
    if A.array.dtype.char == "e":
        return matrix_exponential(A.float()).half()
    size = float(abs(A.array).sum(-1).max())
    squarings = max(0, math.ceil(math.log2(size)) + 1) if 0 < size < math.inf else 0
    scaled, one = A / 2.0**squarings, eye_like(A, A.shape[-1])
    result = one + scaled / 18  # Horner: with ‖A / 2ˢ‖ up to 1/2, 18 terms reach float64's precision
    for degree in range(17, 0, -1):
        result = one + mm(scaled, result) / degree
    for _ in range(squarings):
        result = mm(result, result)
    return result


@function(method=True)
def matrix_exp(input):
    """Return the matrix exponential, the sum of Aᵏ / k! over k from 0.

    Arguments: input (Tensor, (..., n, n)).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.matrix_exp.html

    >>> import minigrad as mg
    >>> mg.matrix_exp(mg.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return matrix_exponential(input)


# ---------------------------------------------------------------------- low rank
def _basis(matrix):
    return qr(matrix, mode="reduced")[0]


@function()
def svd_lowrank(A, q=6, niter=2, M=None):
    """Return (U, S, V) with about A - M = U diag(S) Vᵀ, of rank q, by random projections and niter power iterations.

    Source: Halko, Martinsson and Tropp, "Finding structure with randomness", 2009, algorithms 4.4 and 5.1.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.svd_lowrank.html

    >>> import minigrad as mg
    >>> mg.svd_lowrank(mg.ones(4, 3), q=2)[1].shape
    minigrad.Size([2])
    """
    check_floating("svd_lowrank", A)
    q = 6 if q is None else q
    if M is not None:
        A = A - M
    size, width = A.shape[-2:]
    if size < width:
        u, s, v = svd_lowrank(swap_last(A), q, niter)
        return v, s, u
    start = FUNCTIONS["randn"](width, q, dtype=A.dtype, device=A.device)
    basis = _basis(mm(A, start))
    for _ in range(niter):
        basis = _basis(mm(A, _basis(mm(swap_last(A), basis))))
    u, s, vh = svd(mm(swap_last(basis), A), full=False)
    return mm(basis, u), s, swap_last(vh)


@function()
def pca_lowrank(A, q=None, center=True, niter=2):
    """Return (U, S, V) of svd_lowrank of A, less its columns' means with center: principal components are V's columns.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.pca_lowrank.html

    >>> import minigrad as mg
    >>> mg.pca_lowrank(mg.eye(4, 3), q=2)[0].shape
    minigrad.Size([4, 2])
    """
    check_floating("pca_lowrank", A)
    size, width = A.shape[-2:]
    q = min(6, size, width) if q is None else q
    if not 0 <= q <= min(size, width):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(size, width)}")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)
