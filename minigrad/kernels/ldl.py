"""The Bunch-Kaufman factorisation of symmetric and Hermitian matrices, laid out as LAPACK's sytrf and hetrf do."""

import math

from minigrad.backend import np, to_numpy, xp

_THRESHOLD = (1 + math.sqrt(17)) / 8


def _size(x):
    """Return |x|; of complex numbers, as LAPACK measures them, the sum of both parts' sizes."""
    return np.abs(x.real) + np.abs(x.imag) if np.iscomplexobj(x) else np.abs(x)


def factor(a, hermitian):
    """Return (LD, pivots, info) of lower triangles: A = P L D Lᵀ Pᵀ with D of 1x1 and 2x2 blocks. # (…, N, N)

    Pivots count from 1 and are negative, twice, for a block of two; info is k where D's k-th pivot is zero.
    """
    n, batch = a.shape[-1], a.shape[:-2]
    work = np.array(to_numpy(a)).reshape(math.prod(batch), n, n)
    work = np.tril(work)
    pivots, info = np.zeros((len(work), n), np.int32), np.zeros(len(work), np.int32)
    for matrix, rows, failed in zip(work, pivots, info[:, None], strict=True):
        _factor_one(matrix, rows, failed, hermitian)
    module = xp(a)
    parts = (work.reshape(a.shape), pivots.reshape(*batch, n), info.reshape(batch))
    return tuple(module.asarray(part) for part in parts)


def _factor_one(a, pivots, info, hermitian):
    """Factor one matrix in place."""
    n, k = len(a), 0
    conjugate = np.conj if hermitian else lambda x: x
    while k < n:
        size, chosen, step = _size(a[k, k]), k, 1
        below = _size(a[k + 1 :, k])
        row = k + 1 + int(below.argmax()) if below.size else k
        largest = below.max() if below.size else 0.0
        if max(size, largest) == 0 or math.isnan(size):
            info[0] = info[0] or k + 1
        elif size < _THRESHOLD * largest:
            others = np.concatenate([_size(a[row, k:row]), _size(a[row + 1 :, row])])
            across = others.max()
            if size < _THRESHOLD * largest * (largest / across):
                chosen, step = (row, 1) if _size(a[row, row]) >= _THRESHOLD * across else (row, 2)
        last = k + step - 1
        if chosen != last:
            _exchange(a, k, last, chosen, step, hermitian)
        if info[0] != k + 1:
            _eliminate(a, k, step, conjugate, hermitian)
        pivots[k : k + step] = chosen + 1 if step == 1 else -(chosen + 1)
        k += step


def _exchange(a, k, first, second, step, hermitian):
    """Exchange two rows and columns of what is left of a symmetric matrix given by its lower triangle."""
    a[second + 1 :, [first, second]] = a[second + 1 :, [second, first]]
    column, row = a[first + 1 : second, first].copy(), a[second, first + 1 : second].copy()
    a[first + 1 : second, first] = row.conj() if hermitian else row
    a[second, first + 1 : second] = column.conj() if hermitian else column
    if hermitian:
        a[second, first] = np.conj(a[second, first])
    a[first, first], a[second, second] = a[second, second], a[first, first]
    if step == 2:
        a[first, k], a[second, k] = a[second, k], a[first, k]


def _eliminate(a, k, step, conjugate, hermitian):
    """Subtract what one block of D explains of the rest, and store the block's columns of L."""
    if hermitian:
        diagonal = np.arange(k, k + step)
        a[diagonal, diagonal] = a[diagonal, diagonal].real
    start = k + step
    rest = a[start:, k:start].copy()
    if not len(rest):
        return
    block = a[k:start, k:start]
    block = block + conjugate(np.tril(block, -1)).T
    lower = np.linalg.solve(block.T, rest.T).T if step == 2 else rest / block
    a[start:, start:] -= np.tril(lower @ conjugate(rest).T)
    a[start:, k:start] = lower


def expand(ld, pivots, hermitian):
    """Return (P L, D) as whole matrices. # (…, N, N)"""
    n, batch = ld.shape[-1], ld.shape[:-2]
    work, marks = to_numpy(ld).reshape(math.prod(batch), n, n), to_numpy(pivots).reshape(math.prod(batch), n)
    left, middle = np.zeros_like(work), np.zeros_like(work)
    for matrix, rows, outer, inner in zip(work, marks, left, middle, strict=True):
        factors = np.eye(n, dtype=work.dtype)
        k = 0
        while k < n:
            step = 1 if rows[k] > 0 else 2
            first, second = k + step - 1, abs(int(rows[k])) - 1
            order = np.arange(n)
            order[[first, second]] = order[[second, first]]
            column = np.eye(n, dtype=work.dtype)
            column[k + step :, k : k + step] = matrix[k + step :, k : k + step]
            factors = (factors[:, order]) @ column
            block = np.tril(matrix[k : k + step, k : k + step])
            strict = np.tril(block, -1)
            inner[k : k + step, k : k + step] = block + (strict.conj() if hermitian else strict).T
            k += step
        outer[...] = factors
    return tuple(xp(ld).asarray(part.reshape(ld.shape)) for part in (left, middle))
