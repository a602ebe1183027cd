"""Matrix products."""

from minigrad.backend import np, xp

LARGE_OUTER = 2**19  # elements of a product of a column and a row that leaves the cache


def matmul(a, b):
    """Return the products of the matrices in the last two dimensions, the others broadcast. # (…, N, K) @ (…, K, M)

    float16 on the CPU is multiplied and summed in float32, as BLAS has no float16, and rounded once.
    """
    if a.ndim == 2 and b.ndim == 2 and a.dtype.char in "fd":
        if a.shape[1] == 1 and a.shape[0] * b.shape[1] >= LARGE_OUTER and b.shape[1] >= 1024:
            return a * b  # BLAS takes several times as long
        return a.dot(b)  # the same product, with less overhead on small matrices
    if a.dtype.char == "e" and xp(a) is np:
        return np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return xp(a).matmul(a, b)
