"""Inverses, determinants and decompositions of matrices, differentiable to all orders."""

from minigrad.kernels import decomposition as kernels
from minigrad.op import Op
from minigrad.ops.complex import complex_op, conj_op, imag_op
from minigrad.ops.linalg import matrix_product as mm
from minigrad.ops.linalg import swap_last
from minigrad.ops.pieces import cat_op, slice_op
from minigrad.tensor import Tensor


def conjugate(x):
    """Return the complex conjugate; real numbers as they are."""
    return conj_op(x) if (x.array if isinstance(x, Tensor) else x).dtype.kind == "c" else x


def adjoint(x):
    """Return the conjugate transpose of matrices. # (…, M, N) → (…, N, M)"""
    return swap_last(conjugate(x))


inverse = Op(
    kernels.inverse, [lambda g, out: -mm(mm(swap_last(out), g), swap_last(out))], name="inv"
)


def _solve_gradients(g, a, out):
    gradient_b = solve(swap_last(a), g)
    return -mm(gradient_b, swap_last(out)), gradient_b


solve = Op(kernels.solve, joint=_solve_gradients, name="solve", broadcast=True)

unsqueeze_two = Op(lambda x: x[..., None, None], [lambda g: squeeze_two(g)], name="unsqueeze_two", view=True)
squeeze_two = Op(lambda x: x[..., 0, 0], [lambda g: unsqueeze_two(g)], name="squeeze_two", view=True)

determinant = Op(
    kernels.determinant, [lambda g, a, out: swap_last(inverse(a)) * unsqueeze_two(g * out)], name="det"
)


def _log_gradient(g, a, out):
    """Real determinants have a sign that is piecewise constant; that of complex ones, exp(i t), has t's gradient."""
    sign, gradient = out[0], g[1]
    if a.dtype.kind == "c" if not isinstance(a, Tensor) else a.array.dtype.kind == "c":
        gradient = complex_op(gradient, imag_op(conj_op(sign) * g[0]))
    return (adjoint(inverse(a)) * unsqueeze_two(gradient),)


sign_and_log_determinant = Op(kernels.sign_and_log_determinant, joint=_log_gradient, name="slogdet")

lower_half = Op(kernels.lower_half, [lambda g: lower_half(g)])
off_diagonal_reciprocal = Op(kernels.off_diagonal_reciprocal, [lambda g, out: -g * out * out])


def _cholesky_gradient(g, out):
    """Murray, "Differentiation of the Cholesky decomposition", 2016, eq. (9); the engine conjugates complex factors."""
    middle = lower_half(mm(swap_last(out), g))
    gradient = mm(mm(swap_last(inverse(out)), middle), inverse(conjugate(out)))
    return (gradient + adjoint(gradient)) * 0.5


cholesky = Op(kernels.cholesky, [_cholesky_gradient], name="cholesky")

as_row = Op(lambda x: x[..., None, :], [lambda g: from_row(g)], name="as_row", view=True)
from_row = Op(lambda x: x[..., 0, :], [lambda g: as_row(g)], name="from_row", view=True)
as_column = Op(lambda x: x[..., :, None], [lambda g: from_column(g)], name="as_column", view=True)
from_column = Op(lambda x: x[..., :, 0], [lambda g: as_column(g)], name="from_column", view=True)


def _diagonal_matrix(x):
    out = x[..., None] * 0
    out = out.repeat(x.shape[-1], axis=-1)
    index = list(range(x.shape[-1]))
    out[..., index, index] = x
    return out


diagonal_matrix = Op(_diagonal_matrix, [lambda g: matrix_diagonal(g)])
matrix_diagonal = Op(
    lambda x: x.diagonal(axis1=-2, axis2=-1).copy(), [lambda g: diagonal_matrix(g)], name="matrix_diagonal"
)


def _eigen_gradient(g, out):
    """Giles, "Collected matrix derivative results", 2008, section 3.1; symmetrised."""
    values, vectors = out
    gradient_values, gradient_vectors = g
    differences = as_row(values) - as_column(values)
    middle = off_diagonal_reciprocal(differences) * mm(adjoint(vectors), gradient_vectors)
    middle = middle + diagonal_matrix(gradient_values)
    gradient = mm(mm(vectors, middle), adjoint(vectors))
    return ((gradient + adjoint(gradient)) * 0.5,)


symmetric_eigen = Op(kernels.symmetric_eigen, joint=_eigen_gradient, name="eigh")


def _eigenvalues_gradient(g, a):
    """Unlike that of the eigenvectors, finite where eigenvalues are equal."""
    _, vectors = symmetric_eigen(a)
    return mm(vectors * as_row(g), adjoint(vectors))


symmetric_eigenvalues = Op(lambda a: kernels.symmetric_eigen(a)[0], [_eigenvalues_gradient], name="eigvalsh")


def columns(x, start, stop):
    """Return a range of a matrix's columns. # (…, M, N) → (…, M, stop - start)"""
    return slice_op(x, dim=x.ndim - 1, start=start, stop=stop, step=1)


def rows(x, start, stop):
    """Return a range of a matrix's rows. # (…, M, N) → (…, stop - start, N)"""
    return slice_op(x, dim=x.ndim - 2, start=start, stop=stop, step=1)


def _qr_gradient(g, a, out, mode):
    """Walter, Lehmann and Lamour, "On evaluating higher-order derivatives of the QR decomposition", 2012."""
    q, r = out
    size, width = a.shape[-2:]
    if mode == "complete" and size > width:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols: "
            f"linalg.qr got {list(a.shape)}; use mode='reduced'"
        )
    if size >= width:
        return (_tall_qr_gradient(g, q, r),)
    # [X | Y] = Q [U | V], with X square: V = Qᵀ Y depends on X through Q only.
    gradient_q, gradient_r = g
    gradient_v = columns(gradient_r, size, width)
    gradient_q = gradient_q + mm(columns(a, size, width), adjoint(gradient_v))
    gradient_x = _tall_qr_gradient((gradient_q, columns(gradient_r, 0, size)), q, columns(r, 0, size))
    return (cat_op(gradient_x, mm(q, gradient_v), dim=a.ndim - 1),)


def _tall_qr_gradient(g, q, r):
    gradient_q, gradient_r = g
    m = mm(r, adjoint(gradient_r)) - mm(adjoint(gradient_q), q)
    half = lower_half(m)
    symmetric = half + adjoint(half)
    return adjoint(solve(r, adjoint(gradient_q + mm(q, symmetric))))


def _qr(a, *, mode):
    return kernels.qr(a, mode=mode)


qr = Op(_qr, joint=_qr_gradient, name="qr")


def _svd_gradient(g, out):
    """Townsend, "Differentiating the singular value decomposition", 2016, eqs. (16)-(18).

    The vectors that full=True adds are any basis of the rest: gradients to them are left out, as in PyTorch.
    """
    (u, s, vh), (gradient_u, gradient_s, gradient_vh), count = out, g, out[1].shape[-1]
    u, gradient_u = columns(u, 0, count), columns(gradient_u, 0, count)
    vh, gradient_vh = rows(vh, 0, count), rows(gradient_vh, 0, count)
    v, gradient_v, row, column = adjoint(vh), adjoint(gradient_vh), as_row(s), as_column(s)
    gaps = off_diagonal_reciprocal(row * row - column * column)
    left, right = mm(adjoint(u), gradient_u), mm(vh, gradient_v)
    turned = left - adjoint(left)
    middle = gaps * turned * row + column * (gaps * (right - adjoint(right)))
    if (u.array if isinstance(u, Tensor) else u).dtype.kind == "c":  # the phase of u relative to v
        middle = middle + diagonal_matrix(matrix_diagonal(turned) / (s * 2))
    gradient = mm(mm(u, middle + diagonal_matrix(gradient_s)), vh)
    if u.shape[-2] > s.shape[-1]:
        outside = gradient_u - mm(u, left)
        gradient = gradient + mm(outside / row, vh)
    if v.shape[-2] > s.shape[-1]:
        outside = gradient_v - mm(v, right)
        gradient = gradient + mm(u / row, adjoint(outside))
    return (gradient,)


def _svd(a, *, full=False):
    return kernels.svd(a, full=full)


svd = Op(_svd, joint=_svd_gradient, name="svd")


def _singular_values_gradient(g, a):
    """Unlike that of the singular vectors, finite where singular values are equal or 0."""
    u, _, vh = svd(a)
    return mm(u * as_row(g), vh)


singular_values = Op(lambda a: kernels.svd(a, full=False)[1], [_singular_values_gradient], name="svdvals")


def _pseudo_inverse_gradient(g, a, out):
    """Golub and Pereyra, "The differentiation of pseudo-inverses", 1973."""
    if (g.array if isinstance(g, Tensor) else g).dtype.kind == "c":  # the engine gives their conjugates
        a, out = conj_op(a), conj_op(out)
    p, transposed, gradient = out, adjoint(out), adjoint(g)
    spread = mm(mm(gradient, p), transposed)  # Gᵀ P Pᵀ
    gathered = mm(mm(transposed, p), gradient)  # Pᵀ P Gᵀ
    return (
        -mm(mm(transposed, g), transposed)
        + spread - mm(a, mm(p, spread))
        + gathered - mm(mm(gathered, p), a)
    )  # fmt: skip


pseudo_inverse = Op(kernels.pseudo_inverse, [_pseudo_inverse_gradient], name="pinv")
