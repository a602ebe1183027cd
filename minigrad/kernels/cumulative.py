"""Running sums, products, maxima and log-sums along one dimension of raw arrays."""

from minigrad.backend import np, xp


def _wide(x):
    """Return the dtype a running sum or product is computed in."""
    return np.float32 if x.dtype.char == "e" else np.int64 if x.dtype.kind in "biu" else x.dtype


def running(name, x, dim, reverse=False):
    """Return the running sum ("cumsum") or product ("cumprod") along dim, or from the end."""
    if x.ndim == 0:
        return x.astype(np.int64) if x.dtype.kind in "biu" else x.copy()
    source = xp(x).flip(x, dim) if reverse else x
    out = getattr(xp(x), name)(source, axis=dim, dtype=_wide(x))
    out = out.astype(x.dtype, copy=False) if x.dtype.kind == "f" else out
    return xp(x).flip(out, dim) if reverse else out


def scan(ufunc, x, dim):
    """Return ufunc accumulated along dim: NumPy's accumulate; on GPU the doubling scan, in log2(n) passes."""
    module = xp(x)
    if module is np:
        return getattr(np, ufunc).accumulate(x, axis=dim)
    out = module.moveaxis(x, dim, 0).copy()
    step = 1
    while step < len(out):
        out = module.concatenate([out[:step], getattr(module, ufunc)(out[step:], out[:-step])])
        step *= 2
    return module.moveaxis(out, 0, dim)


def running_extremum(x, dim, larger):
    """Return (values, indices) of the running maximum or minimum along dim; of equal elements the last counts."""
    module = xp(x)
    if x.ndim == 0:
        return x.copy(), module.zeros((), np.int64)
    if x.size == 0:
        return x.copy(), module.zeros(x.shape, np.int64)
    values = scan("maximum" if larger else "minimum", x, dim)
    places = module.arange(x.shape[dim]).reshape((-1,) + (1,) * (x.ndim - dim - 1))
    reached = x == values
    if x.dtype.kind == "f":
        reached |= module.isnan(x)
    return values, scan("maximum", module.where(reached, places, 0), dim)


def running_logsumexp(x, dim, reverse=False):
    """Return log(cumsum(exp(x))) along dim, or from the end, without overflow."""
    if x.ndim == 0:
        return x.copy()
    source = xp(x).flip(x, dim) if reverse else x
    wide = source.astype(np.float32) if x.dtype.char == "e" else source
    out = scan("logaddexp", wide, dim).astype(x.dtype, copy=False)
    return xp(x).flip(out, dim) if reverse else out


def shifted(x, dim, offset, fill):
    """Return x moved along dim by offset places; places that nothing moves to hold fill."""
    module = xp(x)
    out = module.full(x.shape, fill, x.dtype)
    length = x.shape[dim]
    if abs(offset) >= length:
        return out
    source = slice(None, length - offset) if offset > 0 else slice(-offset, None)
    target = slice(offset, None) if offset > 0 else slice(None, length + offset)
    lead = (slice(None),) * dim
    out[(*lead, target)] = x[(*lead, source)]
    return out
