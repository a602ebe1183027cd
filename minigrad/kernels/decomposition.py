"""Matrix inverses and decompositions by LAPACK (NumPy) or cuSOLVER (CuPy)."""

from minigrad.backend import np, xp


class LinAlgError(RuntimeError):
    """A matrix has no such decomposition, or no inverse."""


def _call(name, function, *arrays):
    """Run a function of the linalg module, turning its error into one that names the operation."""
    try:
        return function(*arrays)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"linalg.{name}: {error} (input of shape {list(arrays[0].shape)})") from None


def inverse(a):
    """Return the inverses of square matrices. # (…, N, N)"""
    return _call("inv", xp(a).linalg.inv, a)


def solve(a, b):
    """Return X with A X = B. # (…, N, N), (…, N, K)"""
    return _call("solve", xp(a).linalg.solve, a, b)


def determinant(a):
    """Return the determinants. # (…, N, N) → (…)"""
    return xp(a).asarray(xp(a).linalg.det(a), a.dtype)


def sign_and_log_determinant(a):
    """Return (sign, log |det|). # (…, N, N) → (…), (…)"""
    sign, logarithm = xp(a).linalg.slogdet(a)
    return xp(a).asarray(sign, a.dtype), xp(a).asarray(logarithm, a.dtype)


def cholesky(a):
    """Return lower triangular L with A = L Lᵀ. # (…, N, N)"""
    out = _call("cholesky", xp(a).linalg.cholesky, a)
    if xp(a) is not np and not bool(xp(a).isfinite(out).all()):
        raise LinAlgError("linalg.cholesky: the input is not positive-definite")
    return out


def symmetric_eigen(a):
    """Return (eigenvalues in ascending order, eigenvectors as columns) from the lower triangle. # (…, N), (…, N, N)"""
    return tuple(_call("eigh", xp(a).linalg.eigh, a))


def qr(a, *, mode):
    """Return (Q, R) with A = Q R; mode "reduced" or "complete"."""
    return tuple(_call("qr", lambda m: xp(m).linalg.qr(m, mode), a))


def svd(a, *, full):
    """Return (U, S, Vᵀ) with A = U diag(S) Vᵀ."""
    return tuple(_call("svd", lambda m: xp(m).linalg.svd(m, full_matrices=full), a))


def pseudo_inverse(a, *, atol, rtol):
    """Return the Moore-Penrose inverse, singular values up to max(atol, rtol * largest) taken as 0. # (…, N, M)"""
    module = xp(a)
    u, s, vh = svd(a, full=False)
    largest = s.max(axis=-1, keepdims=True) if s.size else s
    kept = s > module.maximum(module.asarray(atol, s.dtype), module.asarray(rtol, s.dtype) * largest)
    inverse_s = module.where(kept, 1 / module.where(kept, s, 1), 0).astype(a.dtype)
    return module.matmul(vh.swapaxes(-1, -2) * inverse_s[..., None, :], u.swapaxes(-1, -2))


def lower_half(x):
    """Return the lower triangle with half the diagonal. # (…, N, N)"""
    module = xp(x)
    out = module.tril(x)
    index = module.arange(x.shape[-1])
    out[..., index, index] /= 2
    return out


def off_diagonal_reciprocal(x):
    """Return 1 / x off the diagonal and 0 on it. # (…, N, N)"""
    module = xp(x)
    eye = module.eye(x.shape[-1], dtype=bool)
    return module.where(eye, 0, 1 / module.where(eye, 1, x)).astype(x.dtype)
