"""Matrix inverses and decompositions by LAPACK (NumPy) or cuSOLVER (CuPy)."""

import math

from minigrad.backend import np, to_numpy, xp


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
    return xp(a).asarray(sign, a.dtype), xp(a).asarray(logarithm, np.finfo(a.dtype).dtype)


def cholesky(a):
    """Return lower triangular L with A = L Lᵀ. # (…, N, N)"""
    out = _call("cholesky", xp(a).linalg.cholesky, a)
    if xp(a) is not np and not bool(xp(a).isfinite(out).all()):
        raise LinAlgError("linalg.cholesky: the input is not positive-definite")
    return out


def symmetric_eigen(a):
    """Return (eigenvalues in ascending order, eigenvectors as columns) from the lower triangle. # (…, N), (…, N, N)"""
    return tuple(_call("eigh", xp(a).linalg.eigh, a))


def eigen(a):
    """Return (eigenvalues, eigenvectors of norm 1 as columns), both complex. # (…, N), (…, N, N)"""
    module = xp(a)
    if not hasattr(module.linalg, "eig"):  # CuPy before 14 has none
        values, vectors = (module.asarray(part) for part in np.linalg.eig(to_numpy(a)))
    else:
        values, vectors = _call("eig", module.linalg.eig, a)
    kind = np.result_type(a.dtype, np.complex64)
    return values.astype(kind, copy=False), vectors.astype(kind, copy=False)


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
    return module.matmul(vh.swapaxes(-1, -2).conj() * inverse_s[..., None, :], u.swapaxes(-1, -2).conj())


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


def _size(x):
    """Return |x|; of complex numbers, as LAPACK measures them, the sum of both parts' sizes."""
    return abs(x.real) + abs(x.imag) if x.dtype.kind == "c" else abs(x)


def lu(a, *, pivot=True):
    """Return (P, L, U, pivots) with A = P L U. # (…, M, M), (…, M, K), (…, K, N), (…, K); pivots count from 1"""
    module = xp(a)
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    count = min(m, n)
    work = a.reshape((math.prod(batch), m, n)).copy()
    places = module.arange(work.shape[0])
    order = module.broadcast_to(module.arange(m), (work.shape[0], m)).copy()
    pivots = module.empty((work.shape[0], count), "int32")
    for k in range(count):
        chosen = _size(work[:, k:, k]).argmax(axis=1) + k if pivot else module.full(work.shape[0], k)
        pivots[:, k] = chosen + 1
        for rows in (work, order):
            kept = rows[places, chosen].copy()
            rows[places, chosen] = rows[:, k]
            rows[:, k] = kept
        head = work[:, k, k][:, None]
        work[:, k + 1 :, k] /= module.where(head == 0, 1, head)
        work[:, k + 1 :, k + 1 :] -= work[:, k + 1 :, k, None] * work[:, k, None, k + 1 :]
    lower = module.tril(work[:, :, :count], -1) + module.eye(m, count, dtype=a.dtype)
    upper = module.triu(work[:, :count])
    permutation = (order[:, None, :] == module.arange(m)[:, None]).astype(a.dtype)
    parts = (permutation, lower, upper, pivots)
    return tuple(part.reshape(batch + part.shape[1:]) for part in parts)


def permutation_of(pivots, size, dtype):
    """Return the permutation matrices P that LAPACK's pivots (from 1) stand for. # (…, K) → (…, size, size)"""
    module = xp(pivots)
    flat = pivots.reshape((math.prod(pivots.shape[:-1]), pivots.shape[-1]))
    places = module.arange(flat.shape[0])
    order = module.broadcast_to(module.arange(size), (flat.shape[0], size)).copy()
    for k in range(flat.shape[1]):
        chosen = flat[:, k] - 1
        kept = order[places, chosen].copy()
        order[places, chosen] = order[:, k]
        order[:, k] = kept
    matrices = (order[:, None, :] == module.arange(size)[:, None]).astype(dtype)
    return matrices.reshape((*pivots.shape[:-1], size, size))


def householder(a):
    """Return LAPACK's (a, tau) of the QR decomposition: R above the diagonal, the reflections' vectors below it."""
    module = xp(a)
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    work, taus = a.reshape((math.prod(batch), m, n)).copy(), module.zeros((math.prod(batch), min(m, n)), a.dtype)
    for k in range(min(m, n)):
        column = work[:, k:, k]
        head, rest = column[:, 0].copy(), (column[:, 1:] * column[:, 1:].conj()).real.sum(axis=1)
        length = -module.copysign(module.sqrt((head * head.conj()).real + rest), head.real)
        still = (rest == 0) & (head.imag == 0)  # nothing below the diagonal: no reflection
        length = module.where(still, head, length)
        tau = module.where(still, 0, (length - head) / module.where(length == 0, 1, length))
        vectors = column / module.where(still, 1, head - length)[:, None]
        vectors[:, 0] = 1
        vectors = module.where(still[:, None], module.arange(m - k) == 0, vectors).astype(a.dtype)
        inner = (vectors.conj()[:, :, None] * work[:, k:, k:]).sum(axis=1, keepdims=True)
        work[:, k:, k:] -= tau.conj()[:, None, None] * vectors[:, :, None] * inner
        work[:, k + 1 :, k] = vectors[:, 1:]
        taus[:, k] = tau
    return work.reshape(a.shape), taus.reshape(batch + (min(m, n),))
