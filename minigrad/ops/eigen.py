"""Eigenvalues of any square matrices, and the LDL factorisation: what linalg imports when it is first asked for it."""

from minigrad.backend import xp
from minigrad.inplace import write_out
from minigrad.kernels import decomposition as kernels
from minigrad.kernels import ldl
from minigrad.op import Op
from minigrad.ops.complex import conj_op, real_op
from minigrad.ops.decomposition import (
    as_column,
    as_row,
    diagonal_matrix,
    matrix_diagonal,
    off_diagonal_reciprocal,
    solve,
)
from minigrad.ops.factors import check_floating
from minigrad.ops.linalg import matrix_product as mm
from minigrad.ops.linalg import swap_last
from minigrad.ops.results import named_result
from minigrad.tensor import wrap

Eigen = named_result("linalg_eig", ("eigenvalues", "eigenvectors"))
Factor = named_result("linalg_ldl_factor", ("LD", "pivots"))
FactorWithInfo = named_result("linalg_ldl_factor_ex", ("LD", "pivots", "info"))


def _adjoint(x):
    return conj_op(swap_last(x))


def _eig_gradient(g, out, a_dtype):
    """Boeddeker et al., "On the computation of complex-valued gradients", 2017, section 4.6; eigenvectors of norm 1."""
    values, vectors = out
    gradient_values, gradient_vectors = g
    adjoint = _adjoint(vectors)
    inner = mm(adjoint, gradient_vectors)
    phase = matrix_diagonal(inner)
    real = phase - (phase - conj_op(phase)) * 0.5  # the norm is fixed; the phase has no influence on a valid loss
    inner = inner - mm(mm(adjoint, vectors), diagonal_matrix(real))
    middle = inner * conj_op(off_diagonal_reciprocal(as_row(values) - as_column(values)))
    gradient = solve(adjoint, mm(middle + diagonal_matrix(gradient_values), adjoint))
    return (gradient if a_dtype.kind == "c" else real_op(gradient),)


def _eig(a):
    return kernels.eigen(a)


eig_op = Op(_eig, joint=_eig_gradient, name="eig")


def _check(name, a):
    check_floating(name, a, square=True)
    if a.array.dtype.char in "eE":
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {a.dtype}; use float32 or float64")
    if not bool(xp(a.array).isfinite(a.array).all()):
        raise kernels.LinAlgError(f"{name}: input tensor should not contain infs or NaNs.")
    return a


def eig(A, *, out=None):
    """Return (eigenvalues, eigenvectors as columns) of square matrices, both complex. # (…, N, N) → (…, N), (…, N, N)

    Arguments: A (real or complex), out (tuple of two complex Tensors). Eigenvectors have norm 1 and any phase: a loss
    must not depend on it. LinAlgError for infinite or NaN elements, RuntimeError for what is not square.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.eig.html

    >>> import minigrad as mg
    >>> mg.linalg.eig(mg.tensor([[2.0, 0.0], [0.0, 3.0]])).eigenvalues
    tensor([2.+0.j, 3.+0.j])
    """
    result = Eigen(*eig_op(_check("linalg.eig", A)))
    return result if out is None else write_out(out, result, "linalg.eig")


def eigvals(A, *, out=None):
    """Return the eigenvalues of square matrices, complex. # (…, N, N) → (…, N)

    Arguments: A (real or complex), out (complex Tensor). LinAlgError for infinite or NaN elements.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.eigvals.html

    >>> import minigrad as mg
    >>> mg.linalg.eigvals(mg.tensor([[0.0, 1.0], [-1.0, 0.0]])).imag.abs()
    tensor([1., 1.])
    """
    result, _ = eig_op(_check("linalg.eigvals", A))
    return result if out is None else write_out(out, result, "linalg.eigvals")


def ldl_factor_ex(A, *, hermitian=False, check_errors=False, out=None):
    """Return (LD, pivots, info): as ldl_factor; info is k where D's k-th diagonal element is 0, else 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.ldl_factor_ex.html

    >>> import minigrad as mg
    >>> mg.linalg.ldl_factor_ex(mg.zeros(2, 2)).info
    tensor(1, dtype=minigrad.int32)
    """
    check_floating("linalg.ldl_factor_ex", A, square=True)
    if A.array.dtype.char in "eE":
        raise RuntimeError(f"linalg.ldl_factor_ex: Low precision dtypes not supported. Got {A.dtype}; use float32")
    parts = [wrap(part) for part in ldl.factor(A.array, hermitian and A.array.dtype.kind == "c")]
    if check_errors and bool((parts[2] != 0).any()):
        raise kernels.LinAlgError("linalg.ldl_factor_ex: D has a zero on its diagonal: the matrix is singular")
    result = FactorWithInfo(*parts)
    return result if out is None else write_out(out, result, "linalg.ldl_factor_ex")


def ldl_factor(A, *, hermitian=False, out=None):
    """Return (LD, pivots) of a symmetric (or Hermitian) matrix: L below D's diagonal blocks, A = P L D Lᵀ Pᵀ.

    Arguments: A (…, N, N), of which the lower triangle counts; hermitian (L's adjoint for its transpose); out. Not
    differentiable. Source: Bunch & Kaufman 1977;
    https://docs.pytorch.org/docs/stable/generated/torch.linalg.ldl_factor.html

    >>> import minigrad as mg
    >>> mg.linalg.ldl_factor(mg.tensor([[2.0, 1.0], [1.0, 2.0]])).LD
    tensor([[2.0000, 0.0000],
            [0.5000, 1.5000]])
    """
    result = Factor(*ldl_factor_ex(A, hermitian=hermitian, check_errors=True)[:2])
    return result if out is None else write_out(out, result, "linalg.ldl_factor")


def ldl_solve(LD, pivots, B, *, hermitian=False, out=None):
    """Return X with A X = B, given A's ldl_factor. # (…, N, N), (…, N), (…, N, K)

    Arguments: LD and pivots (of ldl_factor), B (batches broadcast), hermitian (as for ldl_factor), out.
    RuntimeError for shapes or dtypes that do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.ldl_solve.html

    >>> import minigrad as mg
    >>> factors = mg.linalg.ldl_factor(mg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> mg.linalg.ldl_solve(*factors, mg.tensor([[2.0], [4.0]]))
    tensor([[1.],
            [1.]])
    """
    check_floating("linalg.ldl_solve", LD, square=True)
    if B.array.ndim < 2:
        raise RuntimeError(f"linalg.ldl_solve: Expected B to have at least 2 dimensions, but it has {B.array.ndim}")
    if pivots.array.ndim < 1 or pivots.array.shape != LD.array.shape[:-1]:
        raise RuntimeError(
            f"linalg.ldl_solve: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots.shape)} and LD with {list(LD.shape)}"
        )
    if pivots.array.dtype.kind not in "iu":
        raise RuntimeError(f"linalg.ldl_solve: Expected pivots to be integers. Got {pivots.dtype}")
    if B.array.dtype != LD.array.dtype:
        raise RuntimeError(f"linalg.ldl_solve: LD and B must have one dtype, but got {LD.dtype} and {B.dtype}")
    if B.array.shape[-2] != LD.array.shape[-1]:
        raise RuntimeError(
            f"linalg.ldl_solve: Incompatible shapes of LD and B: {list(LD.shape)} and {list(B.shape)}"
        )
    hermitian = hermitian and LD.array.dtype.kind == "c"
    lower, middle = (wrap(part) for part in ldl.expand(LD.array, pivots.array, hermitian))
    upper = _adjoint(lower) if hermitian else swap_last(lower)
    result = solve(upper, solve(middle, solve(lower, B)))
    return result if out is None else write_out(out, result, "linalg.ldl_solve")
