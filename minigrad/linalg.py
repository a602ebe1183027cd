"""Linear algebra under PyTorch's names (torch.linalg): real and complex matrices and batches of them."""

import functools
import math

from minigrad.absent import getter
from minigrad.backend import FLOAT_CODES, np, xp
from minigrad.kernels.decomposition import LinAlgError
from minigrad.ops import decomposition as ops
from minigrad.ops.factors import householder_product, lu, lu_factor, lu_factor_ex
from minigrad.ops.factors import lu_solve_factored as lu_solve
from minigrad.ops.factors import matrix_exponential as matrix_exp
from minigrad.ops.linalg import cross as _cross
from minigrad.ops.linalg import matmul, matrix_product
from minigrad.ops.linalg import multi_dot as _multi_dot
from minigrad.ops.results import named_result
from minigrad.precision import autocasting
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim, wrap

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh",
    "householder_product", "inv", "inv_ex", "lstsq", "lu", "lu_factor",
    "lu_factor_ex", "lu_solve", "matmul",
    "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet",
    "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot",
    "vector_norm",
]  # fmt: skip


# Imported when one of them is first asked for.
_ON_DEMAND = ("eig", "eigvals", "ldl_factor", "ldl_factor_ex", "ldl_solve")


def __getattr__(name):
    if name not in _ON_DEMAND:
        return getter(__name__)(name)
    from minigrad.ops import eigen

    globals().update(
        {each: _by_either_name(each, autocasting(getattr(eigen, each), f"linalg_{each}")) for each in _ON_DEMAND}
    )
    return globals()[name]


__all__ += _ON_DEMAND  # noqa: PLE0605


# Keywords that PyTorch's functions take, where its manual calls them otherwise: both are taken here.
_KEYWORDS = {
    **dict.fromkeys(("det", "slogdet"), {"A": "input"}),
    **dict.fromkeys(
        (
            "cholesky cholesky_ex eig eigh eigvals eigvalsh householder_product ldl_factor ldl_factor_ex matrix_exp "
            "solve_triangular tensorinv"
        ).split(),
        {"input": "A"},
    ),
    "lstsq": {"input": "A", "b": "B"},
    "tensorsolve": {"input": "A", "other": "B"},
    "vector_norm": {"input": "x"},
}


def _by_either_name(name, function):
    """Return the function of linalg with its other keywords taken too."""
    others = _KEYWORDS.get(name)
    if others is None:
        return function

    @functools.wraps(function)
    def call(*args, **kwargs):
        for other, own in others.items():
            if other in kwargs:
                kwargs[own] = kwargs.pop(other)
        return function(*args, **kwargs)

    return call


def _results(name, *fields):
    return named_result(f"linalg_{name}", fields)


SVD = _results("svd", "U", "S", "Vh")
LegacySVD = named_result("svd", ("U", "S", "V"))
QR = _results("qr", "Q", "R")
Eigen = _results("eigh", "eigenvalues", "eigenvectors")
SignAndLog = _results("slogdet", "sign", "logabsdet")
WithInfo = _results("inv_ex", "inverse", "info")
CholeskyWithInfo = _results("cholesky_ex", "L", "info")
SolveWithInfo = _results("solve_ex", "result", "info")
LeastSquares = _results("lstsq", "solution", "residuals", "rank", "singular_values")


def _check_matrix(name, a, square=True):
    """TypeError or RuntimeError unless a is a (batch of) real floating-point (square) matrices."""
    if not isinstance(a, Tensor):
        raise TypeError(f"linalg.{name}(): argument 'input' (position 1) must be Tensor, not {type(a).__name__}")
    if a.array.ndim < 2:
        raise RuntimeError(f"linalg.{name}: The input tensor A must have at least 2 dimensions, got {a.array.ndim}.")
    if square and a.array.shape[-1] != a.array.shape[-2]:
        raise RuntimeError(
            f"linalg.{name}: A must be batches of square matrices, but they are {a.shape[-2]} by {a.shape[-1]} matrices"
        )
    if a.array.dtype.char not in "fdFD":
        raise RuntimeError(
            f"linalg.{name}: Expected a floating point or complex tensor as input, of single or double precision. Got "
            f"{a.dtype.name}"
        )


@function(out=True, method=True)
def det(input):
    """Return the determinant of square matrices. # (…, N, N) → (…)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.det.html

    >>> import minigrad as mg
    >>> mg.linalg.det(mg.tensor([[2.0, 0.0], [0.0, 3.0]])).round()
    tensor(6.)
    """
    _check_matrix("det", input)
    return ops.determinant(input)


@function(out=True, method=True)
def slogdet(input):
    """Return (sign, logarithm of the absolute value) of the determinant. # (…, N, N) → (…), (…)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.slogdet.html

    >>> import minigrad as mg
    >>> mg.linalg.slogdet(mg.tensor([[2.0]])).logabsdet
    tensor(0.6931)
    """
    _check_matrix("slogdet", input)
    return SignAndLog(*ops.sign_and_log_determinant(input))


@function(method=True)
def logdet(input):
    """Return the logarithm of the determinant: nan where it is negative, -inf where it is 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.logdet.html

    >>> import minigrad as mg
    >>> mg.logdet(mg.eye(2))
    tensor(0.)
    """
    sign, logarithm = slogdet(input)
    if sign.array.dtype.kind == "c":
        return sign.log() + logarithm
    return logarithm.masked_fill(sign < 0, math.nan)


def inv(A, *, out=None):
    """Return the inverse of square matrices; LinAlgError for a singular one. # (…, N, N)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.inv.html

    >>> import minigrad as mg
    >>> mg.linalg.inv(mg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    _check_matrix("inv", A)
    return _into(out, ops.inverse(A), "inv")


@function(method=True, out=True)
def inverse(input):
    """Return the inverse of square matrices; see linalg.inv.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.inverse.html

    >>> import minigrad as mg
    >>> mg.inverse(mg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return inv(input)


def _into(out, result, name):
    """Return the result, written into out when that is given."""
    if out is None:
        return result
    from minigrad.inplace import write_out

    return write_out(out, result, name if "." in name else f"linalg.{name}")


def _with_info(compute, A):
    """Return (result, 0), or (input, 1) where there is no result."""
    zeros = wrap(xp(A.array).zeros(A.array.shape[:-2], np.int32))
    try:
        return compute(), zeros
    except LinAlgError:
        return A.clone(), zeros + 1


def inv_ex(A, *, check_errors=False, out=None):
    """Return (inverse, info): info is not 0 where the matrix is singular, instead of an error.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.inv_ex.html
    """
    if check_errors:
        return WithInfo(inv(A), wrap(xp(A.array).zeros(A.array.shape[:-2], np.int32)))
    return _into(out, WithInfo(*_with_info(lambda: inv(A), A)), "inv_ex")


def solve(A, B, *, left=True, out=None):
    """Return X with A X = B (or X A = B with left=False). # (…, N, N), (…, N) or (…, N, K)

    B is taken as a batch of vectors when it has the shape of A without its last dimension, or one dimension.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve.html

    >>> import minigrad as mg
    >>> mg.linalg.solve(mg.tensor([[2.0, 0.0], [0.0, 4.0]]), mg.tensor([2.0, 4.0]))
    tensor([1., 1.])
    """
    _check_matrix("solve", A)
    if A.array.dtype != B.array.dtype:
        raise RuntimeError(
            f"linalg.solve: Expected A and B to have the same dtype, but found A of type {A.dtype} and B of type "
            f"{B.dtype}"
        )
    vector = B.array.ndim == 1 or (A.array.ndim - 1 == B.array.ndim and A.array.shape[:-1] == B.array.shape)
    right = B.unsqueeze(-1) if vector else B
    if not left and vector:
        raise RuntimeError("linalg.solve: Vector broadcasting of the left hand side is not supported for left=False.")
    if not left:
        return _into(out, ops.swap_last(solve(ops.swap_last(A), ops.swap_last(B))), "solve")
    if right.array.shape[-2] != A.array.shape[-1]:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation AX = B ({A.shape[-2]}x{A.shape[-1]} and "
            f"{right.shape[-2]}x{right.shape[-1]})"
        )
    result = ops.solve(A, right)
    return _into(out, result.squeeze(-1) if vector else result, "solve")


def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """Return (X, info): as solve, with info instead of an error for a singular matrix."""
    if check_errors:
        return SolveWithInfo(solve(A, B, left=left), wrap(xp(A.array).zeros(A.array.shape[:-2], np.int32)))
    result, info = _with_info(lambda: solve(A, B, left=left), A)
    return _into(out, SolveWithInfo(result, info), "solve_ex")


def solve_triangular(A, B, *, upper, left=True, unitriangular=False, out=None):
    """Return X with A X = B for triangular A; the other triangle is not looked at.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve_triangular.html

    >>> import minigrad as mg
    >>> mg.linalg.solve_triangular(mg.tensor([[2.0, 0.0], [0.0, 4.0]]), mg.ones(2, 1), upper=True)
    tensor([[0.5000],
            [0.2500]])
    """
    _check_matrix("solve_triangular", A)
    triangle = A.triu(1 if unitriangular else 0) if upper else A.tril(-1 if unitriangular else 0)
    if unitriangular:
        triangle = triangle + wrap(xp(A.array).eye(A.array.shape[-1], dtype=A.array.dtype))
    if not left:
        return _into(out, ops.swap_last(ops.solve(ops.swap_last(triangle), ops.swap_last(B))), "solve_triangular")
    return _into(out, ops.solve(triangle, B), "solve_triangular")


def cholesky(A, *, upper=False, out=None):
    """Return L with A = L Lᵀ, lower triangular (or its transpose). LinAlgError unless A is positive-definite.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.cholesky.html

    >>> import minigrad as mg
    >>> mg.linalg.cholesky(mg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    _check_matrix("cholesky", A)
    lower = ops.cholesky(A)
    return _into(out, ops.adjoint(lower) if upper else lower, "cholesky")


@function(method=True, name="cholesky")
def _torch_cholesky(input, upper=False, *, out=None):
    """Return the lower factor L of A = L Lᴴ (with ``upper`` its adjoint) of positive-definite matrices.

    Arguments: input (Tensor, (..., n, n)), upper (bool), out (Tensor the result is written to).
    LinAlgError for a matrix that is not positive-definite.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cholesky.html

    >>> import minigrad as mg
    >>> mg.cholesky(mg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    result = cholesky(input, upper=upper)
    return _into(out, result, "torch.cholesky")  # whose out= may be wider


def cholesky_ex(A, *, upper=False, check_errors=False, out=None):
    """Return (L, info): info is not 0 where A is not positive-definite, instead of an error."""
    if check_errors:
        return CholeskyWithInfo(cholesky(A, upper=upper), wrap(xp(A.array).zeros(A.array.shape[:-2], np.int32)))
    return _into(out, CholeskyWithInfo(*_with_info(lambda: cholesky(A, upper=upper), A)), "cholesky_ex")


def qr(A, mode="reduced", *, out=None):
    """Return (Q, R) with A = Q R; mode "reduced", "complete" or "r" (Q is empty).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.qr.html

    >>> import minigrad as mg
    >>> mg.linalg.qr(mg.ones(3, 2)).R.shape
    minigrad.Size([2, 2])
    """
    _check_matrix("qr", A, square=False)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    q, r = ops.qr(A, mode="complete" if mode == "complete" else "reduced")
    if mode == "r":
        q = wrap(xp(A.array).zeros((0,), A.array.dtype))
    return _into(out, QR(q, r), "qr")


@function(method=True, name="qr", out=True)
def _torch_qr(input, some=True):
    """Return (Q, R), A = Q R with orthonormal columns in Q and an upper triangular R.

    Arguments: input (Tensor, (..., m, n)), some (whether Q has min(m, n) columns instead of m).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.qr.html

    >>> import minigrad as mg
    >>> Q, R = mg.qr(mg.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> mg.allclose(Q @ R, mg.tensor([[3.0, 1.0], [4.0, 2.0]]), atol=1e-5)
    True
    """
    return qr(input, "reduced" if some else "complete")


def _check_driver(name, driver):
    if driver is not None:
        raise RuntimeError(
            f"linalg.{name}: there is one driver here, as in PyTorch on CPU: leave out `driver=` (got {driver!r})"
        )


def svd(A, full_matrices=True, *, driver=None, out=None):
    """Return (U, S, Vh) with A = U diag(S) Vh.

    The vectors that full_matrices=True adds to U or Vh are any basis of the rest: they have no gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.svd.html

    >>> import minigrad as mg
    >>> [part.shape for part in mg.linalg.svd(mg.ones(3, 2), full_matrices=False)]
    [minigrad.Size([3, 2]), minigrad.Size([2]), minigrad.Size([2, 2])]
    """
    _check_matrix("svd", A, square=False)
    _check_driver("svd", driver)
    return _into(out, SVD(*ops.svd(A, full=bool(full_matrices))), "svd")


@function(method=True, out=True, name="svd")
def _legacy_svd(input, some=True, compute_uv=True):
    """Return (U, S, V) with input = U diag(S) Vᵀ; linalg.svd, which returns Vᵀ, is what to use.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.svd.html

    >>> import minigrad as mg
    >>> mg.svd(mg.tensor([[2.0, 0.0], [0.0, 1.0]]))[1]
    tensor([2., 1.])
    """
    u, s, vh = svd(input, full_matrices=not some)
    if not compute_uv:
        rows, columns = input.array.shape[-2:]
        batch = input.array.shape[:-2]
        u, vh = (wrap(xp(input.array).zeros((*batch, n, n), input.array.dtype)) for n in (rows, columns))
    return LegacySVD(u, s, ops.adjoint(vh))


def svdvals(A, *, driver=None, out=None):
    """Return the singular values in descending order. # (…, M, N) → (…, min(M, N))

    >>> import minigrad as mg
    >>> mg.linalg.svdvals(mg.tensor([[3.0, 0.0], [0.0, 2.0]]))
    tensor([3., 2.])
    """
    _check_matrix("svdvals", A, square=False)
    _check_driver("svdvals", driver)
    return _into(out, ops.singular_values(A), "svdvals")


def _lower_symmetric(A, UPLO):
    """Return the symmetric matrix whose lower (or upper) triangle is A's."""
    if UPLO not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return A if UPLO == "L" else ops.adjoint(A)


def eigh(A, UPLO="L", *, out=None):
    """Return (eigenvalues in ascending order, eigenvectors as columns) of a symmetric matrix, from one triangle of it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.eigh.html

    >>> import minigrad as mg
    >>> mg.linalg.eigh(mg.tensor([[2.0, 0.0], [0.0, 3.0]])).eigenvalues
    tensor([2., 3.])
    """
    _check_matrix("eigh", A)
    return _into(out, Eigen(*ops.symmetric_eigen(_lower_symmetric(A, UPLO))), "eigh")


def eigvalsh(A, UPLO="L", *, out=None):
    """Return the eigenvalues of a symmetric matrix in ascending order.

    >>> import minigrad as mg
    >>> mg.linalg.eigvalsh(mg.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor([2., 3.])
    """
    _check_matrix("eigvalsh", A)
    return _into(out, ops.symmetric_eigenvalues(_lower_symmetric(A, UPLO)), "eigvalsh")


def _tolerances(A, atol, rtol):
    """Return (atol, rtol), numbers or arrays (…, 1); by default rtol is eps * max(M, N) unless atol > 0, else 0."""
    atol, rtol = _bound(atol), _bound(rtol)
    if rtol is None:
        default = float(np.finfo(A.array.dtype).eps) * max(A.array.shape[-2:])
        rtol = default if atol is None else xp(A.array).where(atol > 0, 0.0, default)
    return 0.0 if atol is None else atol, rtol


def _bound(value):
    """Return a tolerance, a number or a Tensor with one per matrix, as what compares with rows of singular values."""
    if isinstance(value, Tensor):
        return value.array[..., None] if value.array.ndim else float(value)
    return None if value is None else float(value)


def pinv(A, *, atol=None, rtol=None, hermitian=False, out=None, rcond=None):
    """Return the Moore-Penrose inverse; singular values up to max(atol, rtol * largest) count as 0.

    ``hermitian`` says that A is symmetric: its upper triangle is not looked at.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.pinv.html

    >>> import minigrad as mg
    >>> mg.linalg.pinv(mg.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    _check_matrix("pinv", A, square=hermitian)
    if rcond is not None:
        rtol = rcond
    if hermitian:  # only the lower triangle counts
        lower = ops.lower_half(A)
        A = lower + ops.adjoint(lower)
    atol, rtol = _tolerances(A, atol, rtol)
    return _into(out, ops.pseudo_inverse(A, atol=atol, rtol=rtol), "pinv")


@function(method=True)
def pinverse(input, rcond=1e-15):
    """Return the Moore-Penrose inverse; see linalg.pinv.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.pinverse.html

    >>> import minigrad as mg
    >>> mg.pinverse(mg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return pinv(input, rtol=rcond)


def lstsq(A, B, rcond=None, *, driver=None, out=None):
    """Return the least-squares solution of A X = B by the pseudo-inverse, with residuals, rank and singular values.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.lstsq.html

    >>> import minigrad as mg
    >>> mg.linalg.lstsq(mg.eye(2), mg.tensor([[1.0], [2.0]])).solution
    tensor([[1.],
            [2.]])
    """
    _check_matrix("lstsq", A, square=False)
    if driver not in (None, "gelsy", "gelsd", "gelss", "gels"):
        raise RuntimeError(
            f"linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), but got {driver}"
        )
    vector = A.array.ndim == B.array.ndim + 1
    right = B.unsqueeze(-1) if vector else B
    solution = matrix_product(pinv(A, rtol=rcond), right)
    rows, columns = A.array.shape[-2:]
    ranks = matrix_rank(A.detach(), rtol=rcond)
    empty = wrap(xp(A.array).zeros((0,), A.array.real.dtype))
    residuals = solution.flatten()[:0].abs()
    if rows > columns and bool((ranks == columns).all()) and driver != "gelsy":
        difference = matrix_product(A, solution) - right
        residuals = ((difference.abs() if difference.is_complex() else difference) ** 2).sum(-2)
    values = svdvals(A.detach()) if driver in ("gelsd", "gelss") else empty
    shown = ranks if driver != "gels" else wrap(xp(A.array).zeros((0,), np.int64))
    result = LeastSquares(solution.squeeze(-1) if vector else solution, residuals, shown, values)
    return _into(out, result, "lstsq")


@function(method=True, out=True)
def matrix_power(input, n):
    """Return the n-th power of square matrices (of the inverse for negative n), by repeated squaring.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_power.html

    >>> import minigrad as mg
    >>> mg.linalg.matrix_power(mg.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    if input.array.ndim < 2 or input.array.shape[-1] != input.array.shape[-2]:
        _check_matrix("matrix_power", input)
    if n < 0:
        return matrix_power(inv(input), -n)
    result = None
    square = input
    while n:
        if n & 1:
            result = square if result is None else result @ square
        n >>= 1
        square = square @ square if n else square
    if result is None:
        eye = wrap(xp(input.array).eye(input.array.shape[-1], dtype=input.array.dtype))
        return input.clone().copy_(eye.expand(input.shape))
    return result


def matrix_rank(A, *, atol=None, rtol=None, tol=None, hermitian=False, out=None):
    """Return the number of singular values above max(atol, rtol * largest). # (…, M, N) → (…)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_rank.html

    >>> import minigrad as mg
    >>> mg.linalg.matrix_rank(mg.ones(3, 3))
    tensor(1)
    """
    _check_matrix("matrix_rank", A, square=hermitian)
    values = svdvals(A.detach())
    if values.numel() == 0:
        return _into(out, wrap(xp(A.array).zeros(A.array.shape[:-2], np.int64)), "matrix_rank")
    if tol is not None:
        threshold = _bound(tol)
    else:
        atol, rtol = _tolerances(A, atol, rtol)
        threshold = xp(A.array).maximum(values.array.max(-1, keepdims=True) * rtol, atol)
    return _into(out, wrap(xp(A.array).asarray((values.array > threshold).sum(-1))), "matrix_rank")


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None):
    """Return the vector norm (Σ |x|^ord)^(1/ord) over all or some dimensions; ord may be inf, -inf or 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.vector_norm.html

    >>> import minigrad as mg
    >>> mg.linalg.vector_norm(mg.tensor([3.0, -4.0]), ord=1)
    tensor(7.)
    """
    from minigrad.ops.norms import vector_norm as reduce

    return _into(out, reduce(x, ord, dim, keepdim, dtype=dtype), "vector_norm")


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None):
    """Return the matrix norm: 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_norm.html

    >>> import minigrad as mg
    >>> mg.linalg.matrix_norm(mg.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    if A.array.dtype.char not in FLOAT_CODES:
        raise RuntimeError(
            f"linalg.matrix_norm: Expected a floating point or complex tensor as input. Got {A.dtype.name}"
        )
    dims = [normalize_dim(d, A.array.ndim) for d in dim]
    if len(dims) != 2 or dims[0] == dims[1]:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple of different dimensions. Got {dim}")
    if dtype is not None:
        A = A.to(dtype)
    if ord == "fro":
        return _into(out, vector_norm(A, 2, dims, keepdim), "matrix_norm")
    if ord in ("nuc", 2, -2):
        values = svdvals(A.movedim(dims, (-2, -1)))
        largest = values.amax if values.array.shape[-1] else values.sum
        result = values.sum(-1) if ord == "nuc" else largest(-1) if ord == 2 else values.amin(-1)
    elif ord in (1, math.inf) and 0 in (A.array.shape[dims[0]], A.array.shape[dims[1]]):
        result = A.abs().sum(dims)  # of no elements: zeros
    elif ord in (1, -1, math.inf, -math.inf):
        summed, rest = (dims[0], dims[1]) if abs(ord) == 1 else (dims[1], dims[0])
        sums = A.abs().sum(summed, keepdim=True)
        result = sums.amax((dims[0], dims[1])) if ord > 0 else sums.amin((dims[0], dims[1]))
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if keepdim:
        for d in sorted(dims):
            result = result.unsqueeze(d)
    return _into(out, result, "matrix_norm")


def norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    """Return a vector or matrix norm, chosen by ord and dim as in PyTorch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.norm.html

    >>> import minigrad as mg
    >>> mg.linalg.norm(mg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    matrix = isinstance(ord, str) or (
        dim is not None and not isinstance(dim, int) and len(dim) == 2 and ord is not None
    )
    if ord is not None and dim is None:
        if A.array.ndim not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.array.ndim}D."
            )
        matrix = A.array.ndim == 2
    if matrix:
        return matrix_norm(A, ord, dim if dim is not None else (-2, -1), keepdim, dtype=dtype, out=out)
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype, out=out)


def cond(A, p=None, *, out=None):
    """Return the condition number ‖A‖ ‖A⁻¹‖ in the norm p (None: 2). # (…, N, N) → (…)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.cond.html

    >>> import minigrad as mg
    >>> mg.linalg.cond(mg.eye(2))
    tensor(1.)
    """
    if p in (None, 2, -2):
        _check_matrix("cond", A, square=False)
        values = svdvals(A)
        ratio = values[..., 0] / values[..., -1] if p != -2 else values[..., -1] / values[..., 0]
        return _into(out, ratio, "cond")
    _check_matrix("cond", A)
    return _into(out, matrix_norm(A, p) * matrix_norm(inv(A), p), "cond")


def cross(input, other, *, dim=-1, out=None):
    """Return the cross product along a dimension of length 3."""
    if input.array.ndim != other.array.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    return _into(out, _cross(input, other, dim), "cross")


def multi_dot(tensors, *, out=None):
    """Return the product of two or more matrices (the first and last may be vectors), in the cheapest order.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.multi_dot.html

    >>> import minigrad as mg
    >>> mg.linalg.multi_dot([mg.ones(2, 3), mg.ones(3, 4), mg.ones(4, 1)]).shape
    minigrad.Size([2, 1])
    """
    return _into(out, _multi_dot(tensors), "multi_dot")


def vecdot(x, y, *, dim=-1, out=None):
    """Return the dot products of vectors along a dimension; the others broadcast.

    >>> import minigrad as mg
    >>> mg.linalg.vecdot(mg.ones(2, 3), mg.ones(2, 3))
    tensor([3., 3.])
    """
    return _into(out, (ops.conjugate(x) * y).sum(dim), "vecdot")


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """Return the diagonal of matrices, a view."""
    return A.diagonal(offset, dim1, dim2)


@function(method=True, out=True)
def cholesky_solve(input, input2, upper=False):
    """Return X with A X = input, given the Cholesky factor input2 of A.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cholesky_solve.html

    >>> import minigrad as mg
    >>> mg.cholesky_solve(mg.tensor([[4.0]]), mg.tensor([[2.0]]))
    tensor([[1.]])
    """
    lower = ops.adjoint(input2) if upper else input2
    return solve_triangular(ops.adjoint(lower), solve_triangular(lower, input, upper=False), upper=True)


@function(method=True, out=True)
def cholesky_inverse(input, upper=False):
    """Return the inverse of the matrix whose Cholesky factor is the input.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cholesky_inverse.html

    >>> import minigrad as mg
    >>> mg.cholesky_inverse(mg.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    eye = wrap(xp(input.array).eye(input.array.shape[-1], dtype=input.array.dtype))
    return cholesky_solve(eye.expand(input.shape), input.triu() if upper else input.tril(), upper)


def tensorinv(A, ind=2, *, out=None):
    """Return the inverse of A seen as a linear map between its first ``ind`` dimensions and the rest."""
    if ind <= 0:
        raise RuntimeError("linalg.tensorinv: Expected a strictly positive integer for 'ind'")
    first, rest = A.array.shape[:ind], A.array.shape[ind:]
    if math.prod(first) != math.prod(rest):
        raise RuntimeError(
            f"linalg.tensorinv: Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {math.prod(rest)} != {math.prod(first)}"
        )
    return _into(out, inv(A.reshape(math.prod(first), -1)).reshape(*rest, *first), "tensorinv")


def tensorsolve(A, B, dims=None, *, out=None):
    """Return X with tensordot(A, X, X.ndim) = B."""
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.array.ndim - len(dims), A.array.ndim)))
    shape = A.array.shape[B.array.ndim :]
    if math.prod(shape) != B.array.size:
        raise RuntimeError(
            f"linalg.tensorsolve: Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {math.prod(shape)} != {B.array.size}"
        )
    return _into(out, solve(A.reshape(B.array.size, -1), B.reshape(-1)).reshape(shape), "tensorsolve")


def vander(x, *, N=None):
    """Return the Vandermonde matrix of powers x^0 … x^(N-1). # (…, M) → (…, M, N)"""
    count = x.array.shape[-1] if N is None else N
    if count <= 1:
        raise RuntimeError(f"N must be greater than 1, but got {count}")
    exponents = wrap(xp(x.array).arange(count))
    return (x if x.array.ndim else x.unsqueeze(0)).unsqueeze(-1) ** exponents


def nuclear_norm(input, dim=None, keepdim=False, *, out=None):
    """Return the sum of the singular values of a matrix; linalg.matrix_norm(…, "nuc") is what to use.

    Arguments: input, dim (two ints, or keepdim in their place for a matrix), keepdim, out.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_norm.html

    >>> import minigrad as mg
    >>> mg.nuclear_norm(mg.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(7.)
    """
    if dim is None or isinstance(dim, bool):
        if input.array.ndim != 2:
            raise RuntimeError(f"nuclear_norm: expected a tensor with 2 dimensions, but got {input.array.ndim}")
        dim, keepdim = (0, 1), bool(dim) or keepdim
    return matrix_norm(input, "nuc", dim, keepdim, out=out)


def frobenius_norm(input, dim, keepdim=False, *, out=None):
    """Return the square root of the sum of squares over one or two dimensions; linalg.vector_norm is what to use.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.vector_norm.html

    >>> import minigrad as mg
    >>> mg.frobenius_norm(mg.tensor([[3.0, 0.0], [0.0, 4.0]]), (0, 1))
    tensor(5.)
    """
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) > 2:
        raise RuntimeError(f"Expected at most 2 dimensions, but got {len(dims)} dimensions instead.")
    return vector_norm(input, 2, dims or None, keepdim, out=out)


for _name in list(globals()):
    globals()[_name] = autocasting(globals()[_name], f"linalg_{_name}")
for _name in _KEYWORDS.keys() - _ON_DEMAND:
    globals()[_name] = _by_either_name(_name, globals()[_name])
