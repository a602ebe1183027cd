"""Maxima and minima: over everything, over dimensions, of two tensors; and where they are."""

from minigrad.backend import np, xp
from minigrad.inplace import write_out
from minigrad.kernels import reduction
from minigrad.op import Op
from minigrad.ops.define import binary_function, require_tensor
from minigrad.ops.masked import keep_where, logical_complement
from minigrad.ops.reduce import reduced_dims, reduction_call, spread
from minigrad.ops.results import named_result
from minigrad.registry import function
from minigrad.tensor import Tensor, normalize_dim

Max = named_result("max", ("values", "indices"))
Min = named_result("min", ("values", "indices"))
AMinMax = named_result("aminmax", ("min", "max"))


# ---------------------------------------------------------------------- one value of several: along one dimension
def _pick(x, index, *, dim, keepdim):
    """Return x[..., index, ...] along dim, one element of each line."""
    picked = xp(x).take_along_axis(x, index if keepdim else xp(x).expand_dims(index, dim), dim)
    return picked if keepdim else picked.squeeze(dim)


def _unpick(g, index, *, shape, dim, keepdim):
    """Return zeros of the shape with g at the indices along dim."""
    if not keepdim:
        g, index = xp(g).expand_dims(g, dim), xp(g).expand_dims(index, dim)
    places = xp(g).arange(shape[dim]).reshape((-1,) + (1,) * (len(shape) - dim - 1))
    return (places == index) * g


pick = Op(
    _pick, [lambda g, index, x_shape, dim, keepdim: unpick(g, index, shape=x_shape, dim=dim, keepdim=keepdim), None]
)
unpick = Op(_unpick, [lambda g, index, dim, keepdim: pick(g, index, dim=dim, keepdim=keepdim), None])


def _extremum_along(finder):
    """Return the forward (values, indices) of max or min along one dimension."""

    def forward(x, *, dim, keepdim):
        if x.ndim == 0:
            return x.copy(), xp(x).zeros((), np.int64)
        return getattr(x, finder[3:])(axis=dim, keepdims=keepdim), getattr(xp(x), finder)(x, axis=dim, keepdims=keepdim)

    return forward


def _along_gradient(g, out, x_shape, dim, keepdim):
    if not x_shape:
        return (g[0],)
    return (unpick(g[0], out[1], shape=x_shape, dim=dim, keepdim=keepdim),)


def _extremum_forward(finder):
    def forward(x, dim, keepdim):
        return getattr(x, finder)(axis=dim, keepdims=keepdim)

    return forward


def _ties(x, out, *, dim, keepdim):
    """Return 1 / (number of ties) where x is the extremum of its group, 0 elsewhere."""
    value = reduction.spread(out, x.shape, dim, keepdim)
    mask = (x == value) | (xp(x).isnan(x) & xp(x).isnan(value))
    return mask / mask.sum(axis=dim, keepdims=True).astype(x.dtype)


def _shared_gradient(g, x, out, dim, keepdim):
    return spread(g, shape=x.shape, dim=dim, keepdim=keepdim) * ties(x, out, dim=dim, keepdim=keepdim)


max_along = Op(_extremum_along("argmax"), joint=_along_gradient, gradients=None, name="max_along")
min_along = Op(_extremum_along("argmin"), joint=_along_gradient, gradients=None, name="min_along")
amax_op = Op(_extremum_forward("max"), [_shared_gradient], name="amax")
amin_op = Op(_extremum_forward("min"), [_shared_gradient], name="amin")
ties = Op(_ties, [None, None])
amax_op.call = reduction_call(amax_op)
amin_op.call = reduction_call(amin_op)


# ---------------------------------------------------------------------- of two tensors
def _share(loses, equal, *, dtype):
    """Return the part of the gradient an operand gets: 1, 0 where it loses, 1/2 where both are equal."""
    return (1 - 0.5 * equal - loses).astype(dtype)


share = Op(_share, [None, None])
maximum_op = Op(
    "maximum",
    [lambda g, a, b: g * share(a < b, a == b, dtype=g.dtype), lambda g, a, b: g * share(b < a, a == b, dtype=g.dtype)],
    promote="same",
)
minimum_op = Op(
    "minimum",
    [lambda g, a, b: g * share(a > b, a == b, dtype=g.dtype), lambda g, a, b: g * share(b > a, a == b, dtype=g.dtype)],
    promote="same",
)
# fmax and fmin ignore NaN; the first operand wins a tie.
first_wins = Op(lambda a, b, *, larger: (a >= b if larger else a <= b) | (b != b), [None, None], name="first_wins")
fmax_op = Op(
    "fmax",
    [
        lambda g, a, b: keep_where(g, first_wins(a, b, larger=True)),
        lambda g, a, b: keep_where(g, logical_complement(first_wins(a, b, larger=True))),
    ],
    promote="same",
)
fmin_op = Op(
    "fmin",
    [
        lambda g, a, b: keep_where(g, first_wins(a, b, larger=False)),
        lambda g, a, b: keep_where(g, logical_complement(first_wins(a, b, larger=False))),
    ],
    promote="same",
)
for _name, _op, _text, _result in [
    ("maximum", maximum_op, "the larger of both elements; NaN if one is NaN", "[2., 3.]"),
    ("minimum", minimum_op, "the smaller of both elements; NaN if one is NaN", "[1., 2.]"),
    ("fmax", fmax_op, "the larger of both elements, or the other one if one is NaN", "[2., 3.]"),
    ("fmin", fmin_op, "the smaller of both elements, or the other one if one is NaN", "[1., 2.]"),
]:
    binary_function(
        _op, _name, f"Return {_text}.",
        (f"mg.{_name}(mg.tensor([1.0, 3.0]), mg.tensor([2.0, 2.0]))", f"tensor({_result})"),
        inplace=False, tensors_only=True,
    )  # fmt: skip


# ---------------------------------------------------------------------- public functions
def _nonempty(name, input, dims):
    """IndexError where a reduction without an identity would go over no element."""
    shape = input.array.shape
    if input.array.size:
        return
    if dims is None:
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
            "with the 'dim' argument."
        )
    for dim in dims:
        if shape[dim] == 0:
            raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}


def _extremum(name, input, args, kwargs, whole, along, of_two, result):
    """Dispatch max or min: (input), (input, other) or (input, dim, keepdim)."""
    require_tensor(name, input)
    if not args and not kwargs:
        if not input.array.size:
            _nonempty(name, input, None)
        return whole.call(input, dim=None, keepdim=False)
    out = kwargs.pop("out", None)
    names = ["dim", "keepdim"] if not (args and isinstance(args[0], Tensor)) else ["other"]
    given = dict(zip(names, args, strict=False))
    if len(args) > len(names) or set(given) & set(kwargs):
        raise TypeError(f"{name}() received an invalid combination of arguments")
    given.update({_NUMPY_NAMES.get(key, key): value for key, value in kwargs.items()})
    if set(given) - {"dim", "keepdim", "other"} or ("other" in given and len(given) > 1):
        raise TypeError(f"{name}() received an invalid combination of arguments: {sorted(given)}")
    if "other" in given:
        require_tensor(name, given["other"], "other", 2)
        value = of_two(input, given["other"])
    elif not given:
        _nonempty(name, input, None)
        value = whole(input, dim=None, keepdim=False)
    elif given.get("dim") is None:
        raise TypeError(f"{name}() received an invalid combination of arguments: keepdim without dim, or dim=None")
    else:
        dim = normalize_dim(given["dim"], input.array.ndim)
        _nonempty(name, input, (dim,) if input.array.ndim else ())
        value = result(*along(input, dim=dim, keepdim=bool(given.get("keepdim", False))))
    return value if out is None else write_out(out, value, name)


@function(method=True)
def max(input, *args, **kwargs):
    """Return the largest element; or, along ``dim``, (values, indices); or the larger elements of two tensors.

    ``max(input)``, ``max(input, dim, keepdim=False)``, ``max(input, other)``, each with ``out=``. Ties share the
    gradient of the first form evenly; along a dimension one of them gets it all.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.max.html

    >>> import minigrad as mg
    >>> mg.max(mg.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1).indices
    tensor([1, 0])
    """
    return _extremum("max", input, args, kwargs, amax_op, max_along, maximum_op, Max)


@function(method=True)
def min(input, *args, **kwargs):
    """Return the smallest element; or, along ``dim``, (values, indices); or the smaller elements of two tensors.

    Forms and gradients as for max.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.min.html

    >>> import minigrad as mg
    >>> mg.min(mg.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1).values
    tensor([1., 2.])
    """
    return _extremum("min", input, args, kwargs, amin_op, min_along, minimum_op, Min)


@function(method=True, out=True, aliases=True)
def amax(input, dim=(), keepdim=False):
    """Return the maxima over some dimensions (all by default); ties share the gradient evenly.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.amax.html

    >>> import minigrad as mg
    >>> mg.amax(mg.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=0)
    tensor([7., 5.])
    """
    require_tensor("amax", input)
    dims = reduced_dims(dim, input.array.ndim)
    _nonempty("amax", input, dims)
    return amax_op(input, dim=dims, keepdim=keepdim)


@function(method=True, out=True, aliases=True)
def amin(input, dim=(), keepdim=False):
    """Return the minima over some dimensions (all by default); ties share the gradient evenly.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.amin.html

    >>> import minigrad as mg
    >>> mg.amin(mg.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=0)
    tensor([1., 2.])
    """
    require_tensor("amin", input)
    dims = reduced_dims(dim, input.array.ndim)
    _nonempty("amin", input, dims)
    return amin_op(input, dim=dims, keepdim=keepdim)


@function(method=True, out="exact", aliases=True)
def aminmax(input, *, dim=None, keepdim=False):
    """Return (min, max) of all elements or along one dimension.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.aminmax.html

    >>> import minigrad as mg
    >>> mg.aminmax(mg.tensor([1.0, 5.0, 3.0])).max
    tensor(5.)
    """
    require_tensor("aminmax", input)
    dims = None if dim is None else reduced_dims(normalize_dim(dim, input.array.ndim), input.array.ndim)
    _nonempty("aminmax", input, dims)
    return AMinMax(amin_op(input, dim=dims, keepdim=keepdim), amax_op(input, dim=dims, keepdim=keepdim))


def _arg(finder):
    def forward(x, *, dim, keepdim):
        if dim is None or not x.ndim:
            index = xp(x).asarray(getattr(x.reshape(-1), finder)())
            return index.reshape((1,) * x.ndim) if keepdim else index
        return getattr(xp(x), finder)(x, axis=dim, keepdims=keepdim)

    return forward


argmax_op = Op(_arg("argmax"), [None], name="argmax")
argmin_op = Op(_arg("argmin"), [None], name="argmin")


def _arg_extremum(name, op, input, dim, keepdim):
    require_tensor(name, input)
    if dim is not None:
        dim = normalize_dim(dim, input.array.ndim)
    if input.array.dtype.kind == "b":
        raise NotImplementedError(f'"{name}_cpu" not implemented for bool')
    if dim is None and not input.array.size:
        raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
    _nonempty(name, input, (dim,) if input.array.ndim else ())
    return op(input, dim=dim, keepdim=keepdim)


@function(method=True, out=True, aliases=True)
def argmax(input, dim=None, keepdim=False):
    """Return the index of the maximum along dim, or in the flattened tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.argmax.html

    >>> import minigrad as mg
    >>> mg.argmax(mg.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
    return _arg_extremum("argmax", argmax_op, input, dim, keepdim)


@function(method=True, out=True, aliases=True)
def argmin(input, dim=None, keepdim=False):
    """Return the index of the minimum along dim, or in the flattened tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.argmin.html

    >>> import minigrad as mg
    >>> mg.argmin(mg.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    tensor([0, 1])
    """
    return _arg_extremum("argmin", argmin_op, input, dim, keepdim)
