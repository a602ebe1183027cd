"""Running sums, products, maxima and minima; the product over a dimension."""

from minigrad.backend import REAL_CODES, np, xp
from minigrad.kernels import cumulative as kernels
from minigrad.kernels.scatter import scatter_add_flat
from minigrad.op import Op
from minigrad.ops.define import require_tensor
from minigrad.ops.masked import keep_where
from minigrad.ops.reduce import checked, in_dtype, spread
from minigrad.ops.results import named_result
from minigrad.ops.unary import exp_op
from minigrad.registry import function
from minigrad.tensor import normalize_dim

CumMax = named_result("cummax", ("values", "indices"))
CumMin = named_result("cummin", ("values", "indices"))


# ---------------------------------------------------------------------- scans out of differentiable pieces
def _shifted(x, *, dim, offset, fill):
    return kernels.shifted(x, dim, offset, fill)


shifted = Op(_shifted, [lambda g, dim, offset: shifted(g, dim=dim, offset=-offset, fill=0)])


def products_before(x, dim, direction=1):
    """Return the products of all elements before each one along dim (after it for direction -1); any order of
    derivative is right, zeros among the elements or not.
    """
    out, step = shifted(x, dim=dim, offset=direction, fill=1), 1
    while step < x.shape[dim]:
        out = out * shifted(out, dim=dim, offset=direction * step, fill=1)
        step *= 2
    return out


def recurrence(a, b, dim):
    """Return s with s[k] = b[k] + a[k] * s[k + 1] along dim, in log2(n) passes of differentiable ops."""
    step = 1
    while step < b.shape[dim]:
        b = b + a * shifted(b, dim=dim, offset=-step, fill=0)
        a = a * shifted(a, dim=dim, offset=-step, fill=0)
        step *= 2
    return b


# ---------------------------------------------------------------------- sums and products
def _cumsum(x, *, dim, reverse=False):
    return kernels.running("cumsum", x, dim, reverse)


def _cumprod(x, *, dim):
    return kernels.running("cumprod", x, dim)


def _cumprod_gradient(g, x, out, dim):
    if not x.ndim:
        return g
    if not bool(has_zero(x)):
        return cumsum_op(g * out, dim=dim, reverse=True) / x
    return products_before(x, dim) * recurrence(shifted(x, dim=dim, offset=-1, fill=0), g, dim)


def _prod(x, *, dim, keepdim):
    if x.dtype.char == "e":
        return x.prod(axis=dim, keepdims=keepdim, dtype=np.float32).astype(np.float16)
    if x.dtype.kind in "biu":
        return x.prod(axis=dim, keepdims=keepdim, dtype=np.int64)
    return x.prod(axis=dim, keepdims=keepdim)


def _prod_gradient(g, x, out, dim, keepdim):
    if not x.ndim:
        return g
    dims = None if dim is None else (dim,)
    gradient = spread(g, shape=x.shape, dim=dims, keepdim=keepdim)
    if not bool(has_zero(x)):
        return gradient * spread(out, shape=x.shape, dim=dims, keepdim=keepdim) / x
    if dim is not None:
        return gradient * (products_before(x, dim) * products_before(x, dim, -1))
    flat = flattened(x)
    return gradient * unflattened(products_before(flat, 0) * products_before(flat, 0, -1), shape=x.shape)


flattened = Op(lambda x: x.reshape(-1), [lambda g, x_shape: unflattened(g, shape=x_shape)], name="flattened")
unflattened = Op(lambda x, *, shape: x.reshape(shape), [lambda g: flattened(g)], name="unflattened")
has_zero = Op(lambda x: (x == 0).any(), [None], name="has_zero")
cumsum_op = Op(_cumsum, [lambda g, dim, reverse: cumsum_op(g, dim=dim, reverse=not reverse)], name="cumsum")
cumprod_op = Op(_cumprod, [_cumprod_gradient], name="cumprod")
prod_op = Op(_prod, [_prod_gradient], name="prod")


def _logcumsumexp_gradient(g, x, out, dim):
    """With T[k] = sum over i >= k of g[i] exp(out[k] - out[i]), the gradient is exp(x - out) T: nothing overflows."""
    if not x.ndim:
        return g
    ratio = out - shifted(out, dim=dim, offset=-1, fill=float("inf"))
    total = recurrence(keep_where(exp_op(ratio), ratio == ratio), g, dim)
    weight = x - out
    return keep_where(exp_op(weight) * total, weight == weight)


logcumsumexp_op = Op(lambda x, *, dim: kernels.running_logsumexp(x, dim), [_logcumsumexp_gradient], name="logcumsumexp")


# ---------------------------------------------------------------------- running extrema
def flat_positions(index, dim, shape):
    """Return where, in a flattened array of a shape, the elements lie that ``index`` names along dim."""
    module = xp(index)
    step = int(np.prod(shape[dim + 1 :], dtype=np.int64))
    positions = index * step
    for axis, length in enumerate(index.shape):
        if axis == dim:
            continue
        stride = int(np.prod(shape[axis + 1 :], dtype=np.int64))
        positions = positions + module.arange(length).reshape((-1,) + (1,) * (index.ndim - axis - 1)) * stride
    return positions


def _take_along(x, index, *, dim):
    return xp(x).take_along_axis(x, index, dim) if x.ndim else x.copy()


def _add_along(g, index, *, shape, dim):
    if not shape:
        return g.copy()
    out = xp(g).zeros(shape, g.dtype)
    scatter_add_flat(out.reshape(-1), flat_positions(index, dim, shape), xp(g).ascontiguousarray(g))
    return out


take_along = Op(_take_along, [lambda g, index, x_shape, dim: add_along(g, index, shape=x_shape, dim=dim), None])
add_along = Op(_add_along, [lambda g, index, dim: take_along(g, index, dim=dim), None])


def _cum_gradient(g, out, x_shape, dim):
    return (add_along(g[0], out[1], shape=x_shape, dim=dim),)


cummax_op = Op(lambda x, *, dim: kernels.running_extremum(x, dim, True), joint=_cum_gradient, name="cummax")
cummin_op = Op(lambda x, *, dim: kernels.running_extremum(x, dim, False), joint=_cum_gradient, name="cummin")


# ---------------------------------------------------------------------- public functions
@function(method=True, inplace=True, out=True, aliases=True)
def cumsum(input, dim, *, dtype=None):
    """Return the running sum along dim; integers are summed in int64.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cumsum.html

    >>> import minigrad as mg
    >>> mg.cumsum(mg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])
    """
    input = checked("cumsum", input, dtype)
    return in_dtype(cumsum_op(input, dim=normalize_dim(dim, input.array.ndim)), dtype)


@function(method=True, inplace=True, out=True, aliases=True)
def cumprod(input, dim, *, dtype=None):
    """Return the running product along dim; integers are multiplied in int64.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cumprod.html

    >>> import minigrad as mg
    >>> mg.cumprod(mg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])
    """
    input = checked("cumprod", input, dtype)
    return in_dtype(cumprod_op(input, dim=normalize_dim(dim, input.array.ndim)), dtype)


@function(method=True, out=True, aliases=True)
def logcumsumexp(input, dim):
    """Return log(cumsum(exp(input))) along dim, computed without overflow.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.logcumsumexp.html

    >>> import minigrad as mg
    >>> mg.logcumsumexp(mg.tensor([0.0, 0.0]), dim=0)
    tensor([0.0000, 0.6931])
    """
    require_tensor("logcumsumexp", input)
    if input.array.dtype.char not in REAL_CODES:
        raise NotImplementedError(f'"logcumsumexp_out_cpu" not implemented for {input.dtype}')
    return logcumsumexp_op(input, dim=normalize_dim(dim, input.array.ndim))


@function(method=True, out=True, aliases=True)
def cummax(input, dim):
    """Return (values, indices) of the running maximum along dim.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cummax.html

    >>> import minigrad as mg
    >>> mg.cummax(mg.tensor([1.0, 3.0, 2.0]), dim=0).values
    tensor([1., 3., 3.])
    """
    require_tensor("cummax", input)
    return CumMax(*cummax_op(input, dim=normalize_dim(dim, input.array.ndim)))


@function(method=True, out=True, aliases=True)
def cummin(input, dim):
    """Return (values, indices) of the running minimum along dim.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cummin.html

    >>> import minigrad as mg
    >>> mg.cummin(mg.tensor([2.0, 3.0, 1.0]), dim=0).values
    tensor([2., 2., 1.])
    """
    require_tensor("cummin", input)
    return CumMin(*cummin_op(input, dim=normalize_dim(dim, input.array.ndim)))


@function(method=True, out=True)
def prod(input, dim=..., keepdim=False, *, dtype=None):
    """Return the product of all elements, or along one dimension; integers are multiplied in int64.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.prod.html

    >>> import minigrad as mg
    >>> mg.prod(mg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([ 2., 12.])
    """
    input = checked("prod", input, dtype)
    if dim is None:
        raise TypeError("prod(): argument 'dim' must be int, not NoneType; leave it out for all elements")
    if dim is ...:
        return in_dtype(prod_op(input, dim=None, keepdim=False), dtype)
    dim = normalize_dim(dim, input.array.ndim)
    return in_dtype(prod_op(input, dim=dim if input.array.ndim else (), keepdim=keepdim), dtype)
