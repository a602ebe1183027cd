"""Matrix products."""

from minigrad.backend import np, xp

_ndarray = np.ndarray
LARGE_OUTER = 2**19  # elements of a product of a column and a row that leaves the cache


def matmul(a, b):
    """Return the products of the matrices in the last two dimensions, the others broadcast. # (…, N, K) @ (…, K, M)

    float16 on the CPU is multiplied and summed in float32, as BLAS has no float16, and rounded once. On a GPU it is
    cuBLAS's, where installed, in the precision that minigrad.backends.cuda.matmul sets.
    """
    if type(a) is not _ndarray and xp(a) is not np:
        return _on_gpu(a, b, None)
    if a.ndim == 2 and b.ndim == 2 and a.dtype.char in "fd":
        if a.shape[1] == 1 and a.shape[0] * b.shape[1] >= LARGE_OUTER and b.shape[1] >= 1024:
            return a * b  # BLAS takes several times as long
        return a.dot(b)  # the same product, with less overhead on small matrices
    if a.dtype.char == "e":
        return np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return np.matmul(a, b)


def matmul_into(a, b, out, add=False):
    """Write the same products into ``out``, or add them to it, and return it; in the arrays' own type."""
    if xp(a) is not np:
        return _on_gpu(a, b, out, add)
    if not add:
        return np.matmul(a, b, out=out)
    out += np.matmul(a, b)
    return out


def _on_gpu(a, b, out, add=False):
    from minigrad.backend import cublas  # with the first product on a GPU

    if out is None and 1 in (a.ndim, b.ndim):  # a vector is a matrix with one row, or on the right with one column
        product = _on_gpu(a if a.ndim > 1 else a[None], b if b.ndim > 1 else b[:, None], None)
        product = product if b.ndim > 1 else product[..., 0]
        return product if a.ndim > 1 else product[..., 0, :] if b.ndim > 1 else product[..., 0]
    if cublas.takes(a, b):
        return cublas.gemm(a, b, out, beta=float(add))
    if a.dtype.char == "E":  # CuPy's own product of bfloat16 is that of integers, without tensor cores
        product = xp(a).matmul(a.astype(np.float32), b.astype(np.float32))
        if add:
            product += out.astype(np.float32)
        if out is None:
            return product.astype(a.dtype)
        out[...] = product.astype(a.dtype)
        return out
    if add:
        out += xp(a).matmul(a, b)
        return out
    return xp(a).matmul(a, b) if out is None else xp(a).matmul(a, b, out=out)
