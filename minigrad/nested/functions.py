"""What functions do with nested tensors: those of elements by the dense values, others part by part.

``called`` finds a function by its name; what is not here raises NotImplementedError with the name and the layout.
"""

import math

from minigrad.nested.tensors import Jagged, NestedTensor, Strided, as_strided_parts, packed, plain
from minigrad.special import SPECIAL
from minigrad.tensor import Tensor, normalize_dim

ELEMENTWISE = frozenset(SPECIAL) - {"log_softmax", "logsumexp", "softmax"}
ELEMENTWISE |= frozenset(
    """
    gammainc gammaincc abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan
    atanh bernoulli bitwise_not ceil clamp clamp_max clamp_min clip conj conj_physical cos cosh deg2rad digamma
    empty_like erf erfc erfinv exp exp2 expm1 fix floor frac frexp full_like i0 isfinite isinf isnan isneginf
    isposinf isreal lgamma log log10 log1p log2 logical_not logit mvlgamma nan_to_num neg negative ones_like
    polygamma positive pos rad2deg rand_like randint_like randn_like reciprocal resolve_conj resolve_neg round rsqrt
    sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc zeros_like invert bessel_j0 bessel_j1
    bessel_y0 bessel_y1 expit gammaln modified_bessel_i0 modified_bessel_i1 modified_bessel_k0 modified_bessel_k1
    multigammaln psi scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0 alpha_dropout celu
    dropout elu feature_alpha_dropout gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu
    relu6 rrelu selu silu softplus softshrink softsign tanhshrink threshold add addcdiv addcmul arctan2 atan2
    bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign div divide eq float_power
    floor_divide floordiv fmax fmin fmod gcd ge greater greater_equal gt heaviside hypot igamma igammac isclose lcm
    ldexp le lerp less less_equal logaddexp logaddexp2 logical_and logical_or logical_xor lshift lt masked_fill
    maximum minimum mul multiply ne nextafter not_equal pow remainder rdiv rfloordiv rlshift rmod rpow rrshift
    rshift rsub rtruediv sub subtract true_divide truediv where xlogy and or xor rand ror rxor copy fill normal
    uniform zero exponential random cauchy log_normal geometric real imag airy_ai chebyshev_polynomial_t
    chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he
    laguerre_polynomial_l legendre_polynomial_p shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u
    shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w
    """.split()
)
LOSSES = frozenset(
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div "
    "poisson_nll_loss soft_margin_loss".split()
)
# Functions along one dimension: which argument it is, and its default.
ALONG = {
    "softmax": (1, None), "log_softmax": (1, None), "softmin": (1, None), "cumsum": (1, None),
    "cumprod": (1, None), "logcumsumexp": (1, None), "cummax": (1, None), "cummin": (1, None), "sort": (1, -1),
    "argsort": (1, -1), "glu": (1, -1), "normalize": (2, 1), "topk": (2, -1), "flip": (1, None),
}  # fmt: skip
_LEAST, _MOST = "least", "most"
# Reductions and what leaves their result alone; None: there is no such value, or not one for all dtypes.
REDUCTIONS = {
    "sum": 0, "prod": 1, "any": False, "all": True, "amax": _LEAST, "max": _LEAST, "argmax": _LEAST, "amin": _MOST,
    "min": _MOST, "argmin": _MOST, "mean": None, "std": None, "var": None, "logsumexp": None, "nansum": 0,
    "nanmean": None, "count_nonzero": 0, "median": None, "nanmedian": None, "norm": None, "vector_norm": None,
    "aminmax": None, "std_mean": None, "var_mean": None, "mode": None,
}  # fmt: skip
HANDLERS = {}


def handler(*names):
    """Register what functions of these names do with nested tensors: handler(function, *its arguments)."""

    def register(implementation):
        HANDLERS.update(dict.fromkeys(names, implementation))
        return implementation

    return register


def called(func, args, kwargs):
    """Return what a public function makes of arguments some of which are nested tensors."""
    name = name_of(func)
    known = HANDLERS.get(name)
    if known is not None:
        return known(func, *args, **kwargs)
    base = name[:-1] if name.endswith("_") else name
    if name in ELEMENTWISE:
        return elementwise(func, args, kwargs)
    if base in ELEMENTWISE or name[:1] == "i" and name[1:] in ELEMENTWISE:
        return in_place(func, args, kwargs)
    if name in REDUCTIONS:
        return reduced(func, *args, **kwargs)
    if name in ALONG:
        return along(func, args, kwargs)
    if name in LOSSES:
        return loss(func, args, kwargs)
    first = first_nested((*args, *kwargs.values()))
    if args and args[0] is first and callable(getattr(NestedTensor, name, None)):
        own = getattr(type(first), name)
        if any(name in vars(kind) for kind in (type(first), NestedTensor)):
            return own(*args, **kwargs)
    raise unsupported(name, first)


def name_of(func):
    """Return the name of a function or operator: __radd__ is radd, _torch_softmax softmax."""
    name = func.__name__
    return name.strip("_") if name.startswith("__") else name.removeprefix("_torch_")


def unsupported(name, tensor):
    return NotImplementedError(
        f"{name}: not supported for nested tensors of the layout {tensor.layout}; give it the parts, tensor.unbind(), "
        "or tensor.to_padded_tensor(padding)"
    )


def first_nested(values):
    """Return the first nested tensor among arguments and lists of them."""
    for value in values:
        if isinstance(value, NestedTensor):
            return value
        if isinstance(value, (list, tuple)):
            found = first_nested(value)
            if found is not None:
                return found
    return None


def mapped(result, change):
    """Return a result, or a tuple of them, with its tensors changed."""
    if isinstance(result, (tuple, list)):
        items = [mapped(item, change) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return change(result) if isinstance(result, Tensor) else result


def by_parts(func, tensor, *args, like=None, **kwargs):
    """Return the nested tensor(s) of what a function makes of each part."""
    results = [func(part, *args, **kwargs) for part in tensor.unbind()]
    if isinstance(results[0], (tuple, list)):
        columns = [together(tensor, column, like) for column in zip(*results)]
        kind = type(results[0])
        return kind(*columns) if hasattr(results[0], "_fields") else kind(columns)
    return together(tensor, results, like)


def together(tensor, parts, like=None):
    """Return parts as a nested tensor of another one's layout."""
    return as_strided_parts(parts) if isinstance(tensor, Strided) else packed(parts, tensor._ragged_idx, like or tensor)


# ---------------------------------------------------------------------- elements
def mismatch(name, a, b):
    shapes = [tuple(x.shape) if not isinstance(x, Strided) else list(x._sizes) for x in (a, b)]
    return RuntimeError(
        f"cannot call binary pointwise function {name} with inputs of shapes {shapes[0]} and {shapes[1]}"
    )


def aligned(name, like, other):
    """Return what stands for an operand next to the values of a jagged tensor."""
    if isinstance(other, NestedTensor):
        if not like._alike(other) or like.dim() != other.dim():
            raise mismatch(name, like, other)
        return other._values
    if other.dim() > like.dim():
        raise NotImplementedError(
            f"{name}: a nested tensor of {like.dim()} dimensions is not broadcast to the {other.dim()} of {other.shape}"
        )
    squeezed = other
    while squeezed.dim() and squeezed.shape[0] == 1:
        squeezed = squeezed.squeeze(0)
    if like.dim() >= squeezed.dim() + 2:
        return squeezed
    ragged = like._ragged_idx
    if other.dim() != like.dim() or other.shape[0] != len(like._offsets) - 1:
        raise mismatch(name, like, other)
    if other.shape[ragged] == 1:  # one row for all of a part
        rows = other.select(ragged, 0).index_select(0, like._part_numbers())
        return rows.movedim(0, ragged - 1)
    if like._lengths is not None or other.shape[ragged] < like._get_max_seqlen():
        raise mismatch(name, like, other)
    return like._from_padded(other)._values


def elementwise(func, args, kwargs):
    """Return the nested tensor of a function of elements, its operands nested, numbers or dense and broadcast."""
    operands = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    like = first_nested(operands)
    if isinstance(like, Strided) and not _flat(name_of(func), like, operands):
        return _elementwise_by_parts(func, like, args, kwargs)
    change = _operand_of(name_of(func), like)
    result = func(*map(change, args), **{key: change(value) for key, value in kwargs.items()})
    return mapped(result, like._with)


def _operand_of(name, like):
    def change(value):
        if value is like:
            return like._values
        if not isinstance(value, Tensor) or (value.dim() == 0 and not isinstance(value, NestedTensor)):
            return value
        return value._values.reshape(-1) if isinstance(like, Strided) else aligned(name, like, value)

    return change


def _flat(name, like, operands):
    """Return whether the operands of a strided nested tensor are all of its structure, or numbers."""
    for other in operands:
        if isinstance(other, NestedTensor) and not like._alike(other):
            raise mismatch(name, like, other)
    return all(isinstance(other, NestedTensor) or other.dim() == 0 for other in operands)


def _elementwise_by_parts(func, like, args, kwargs):
    parts = []
    for number in range(len(like._sizes)):

        def piece(value, number=number):
            if isinstance(value, NestedTensor):
                return value.unbind()[number]
            if isinstance(value, Tensor) and value.dim() == like.dim():
                if value.shape[0] not in (1, len(like._sizes)):
                    raise mismatch(name_of(func), like, value)
                return value[number if value.shape[0] > 1 else 0]
            return value

        parts.append(func(*map(piece, args), **{key: piece(value) for key, value in kwargs.items()}))
    return as_strided_parts(parts)


def in_place(func, args, kwargs):
    """Write the result of a function of elements into its first argument; returns that."""
    self = args[0]
    if not isinstance(self, NestedTensor):
        raise mismatch(name_of(func), self, first_nested(args))
    others = [value for value in (*args[1:], *kwargs.values()) if isinstance(value, Tensor)]
    if isinstance(self, Strided) and not _flat(name_of(func), self, others):
        raise mismatch(name_of(func), self, next(value for value in others if not isinstance(value, NestedTensor)))
    change = _operand_of(name_of(func), self)
    func(*map(change, args), **{key: change(value) for key, value in kwargs.items()})
    return self


def loss(func, args, kwargs):
    """Return a loss of nested predictions and targets: of all elements, or a nested tensor with reduction="none"."""
    like = first_nested((*args, *kwargs.values()))
    if isinstance(like, Jagged) and like._lengths is not None or kwargs.get("reduction") == "batchmean":
        raise unsupported(f"{name_of(func)} (with holes, or of batchmean)", like)
    change = _operand_of(name_of(func), like)
    if isinstance(like, Strided) and not _flat(name_of(func), like, [v for v in args if isinstance(v, Tensor)]):
        raise unsupported(f"{name_of(func)} with a dense operand", like)
    result = func(*map(change, args), **{key: change(value) for key, value in kwargs.items()})
    return result if result.dim() == 0 else like._with(result)


@handler("cross_entropy", "nll_loss")
def _class_loss(func, input, *args, **kwargs):
    raise RuntimeError(
        f"{name_of(func)}(): not supported for nested tensors, whose dimension 1 is ragged: give it input.values() "
        "(elements, classes) and target.values()"
    )


@handler("equal")
def _equal(func, input, other):
    if not (isinstance(input, NestedTensor) and isinstance(other, NestedTensor)) or type(input) is not type(other):
        return False
    ours, theirs = input.unbind(), other.unbind()
    return len(ours) == len(theirs) and all(func(a, b) for a, b in zip(ours, theirs))


@handler("allclose")
def _allclose(func, input, other, *args, **kwargs):
    return all(func(a, b, *args, **kwargs) for a, b in zip(input.unbind(), other.unbind(), strict=True))


@handler("is_same_size")
def _is_same_size(func, input, other):
    return isinstance(input, NestedTensor) and input._alike(other) and _inner(input) == _inner(other)


def _inner(tensor):
    return tensor._sizes if isinstance(tensor, Strided) else tuple(tensor._values.shape)


@handler("masked_select")
def _masked_select(func, input, mask):
    if isinstance(input, Strided) or input.dim() > 2:
        raise RuntimeError("masked_select only support 2-D selections currently")
    if not isinstance(mask, NestedTensor) or not input._alike(mask):
        raise RuntimeError("masked_select: the mask is not compatible with the input's shape")
    before = plain.cat([input._offsets[:1] * 0, mask._values.cumsum(0)])
    return Jagged(input._values.masked_select(mask._values), before[input._offsets])


# ---------------------------------------------------------------------- along dimensions
def inner_dim(name, tensor, dim, ragged=False, more=0):
    """Return a dimension as one of the parts; RuntimeError for the batch, and for the ragged one unless allowed."""
    place = normalize_dim(dim, tensor.dim() + more)
    if place == 0:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    if not ragged and isinstance(tensor, Jagged) and place == tensor._ragged_idx:
        raise RuntimeError(f"{name}(): not supported for NestedTensor on ragged dim")
    return place - 1


def along(func, args, kwargs):
    """Return what a function along one dimension, not the batch's, makes of each part."""
    name, (position, dim) = name_of(func), ALONG[name_of(func)]
    tensor = args[0] if args else kwargs.pop("input")
    args, kwargs = list(args) or [tensor], dict(kwargs)
    key = "dims" if name == "flip" else "dim"
    if len(args) > position:
        dim = args[position]
        del args[position:position + 1]
        kwargs |= dict(zip(("dtype",), args[position:]))
        del args[position:]
    else:
        dim = kwargs.pop(key, dim)
    if isinstance(dim, (list, tuple)) and len(dim) == 1:
        dim = dim[0]
    if not isinstance(dim, int):
        raise RuntimeError(f"{name}(): not supported for dimensions of type '{type(dim).__name__}' for NestedTensor")
    kwargs.pop("_stacklevel", None)
    inner = kwargs[key] = inner_dim(name, tensor, dim, ragged=True)
    if isinstance(tensor, Jagged) and inner == tensor._axis():
        if tensor._lengths is not None:
            raise RuntimeError(f"{name}(): not supported along the ragged dimension of a NestedTensor with holes")
        return by_parts(func, tensor, *args[1:], **kwargs)
    if isinstance(tensor, Jagged):
        return mapped(func(tensor._values, *args[1:], **kwargs), tensor._with)
    return by_parts(func, tensor, *args[1:], **kwargs)


def reduced(func, input, dim=None, *rest, **kwargs):
    """Return the reduction: dense where the ragged dimension goes (or all do), else nested."""
    name = name_of(func)
    if isinstance(dim, Tensor):  # max(a, b)
        return elementwise(func, (input, dim, *rest), kwargs)
    if name in ("norm", "vector_norm"):  # the order comes before the dimension
        kwargs["p" if name == "norm" else "ord"] = 2 if dim is None else dim
        dim, rest = rest[0] if rest else kwargs.pop("dim", None), rest[1:]
    if rest:
        kwargs |= dict(zip(("keepdim",), rest))
    listed = isinstance(dim, (list, tuple))
    if dim is None or (listed and not dim):
        return _reduced_whole(func, input, kwargs)
    places = sorted({normalize_dim(one, input.dim()) for one in (dim if listed else [dim])})

    def converted(dims):
        return tuple(dims) if listed else dims[0]

    if isinstance(input, Strided):
        if places[0] == 0:
            raise RuntimeError(f"{name}(): reducing along the batch dimension is not supported for nested tensors")
        return by_parts(func, input, dim=converted([place - 1 for place in places]), **kwargs)
    ragged = input._ragged_idx
    if ragged not in places:
        if places[0] == 0:
            raise RuntimeError(
                f"{name}(): reducing along the batch dimension but not the ragged dimension is not supported for "
                "nested tensors"
            )
        result = func(input._values, dim=converted([place - 1 for place in places]), **kwargs)
        before = 0 if kwargs.get("keepdim") else sum(place < ragged for place in places)
        return mapped(result, lambda values: input._with(values, ragged - before))
    if input._lengths is not None:
        raise RuntimeError(
            f"{name}(): reducing across the ragged dimension is not supported for non-contiguous nested tensors with "
            "holes"
        )
    if places[0] == 0:
        result = func(input._values, dim=converted([place - 1 for place in places[1:]]), **kwargs)
        return mapped(result, lambda values: values.unsqueeze(0)) if kwargs.get("keepdim") else result
    if len(places) > 1:
        raise (AssertionError if name == "mean" else RuntimeError)(
            f"{name}(): reducing along a ragged and non-batch dimension is not supported for nested tensors"
        )
    return _reduced_ragged(func, input, converted, kwargs)


def _reduced_whole(func, input, kwargs):
    kwargs = dict(kwargs)
    keepdim = kwargs.pop("keepdim", False)
    result = func(input._values, **kwargs)
    return mapped(result, lambda value: value.reshape([1] * input.dim())) if keepdim else result


def _reduced_ragged(func, input, converted, kwargs):
    """Return the dense tensor of the parts' reductions along the ragged dimension."""
    name, ragged = name_of(func), input._ragged_idx
    if name == "mean":
        dtype = kwargs.pop("dtype", None)
        values = input if dtype is None else input.to(dtype)
        total = values._padded(0).sum(ragged, **kwargs)
        lengths = plain.tensor(input._part_lengths(), dtype=total.dtype, device=total.device)
        return total / lengths.reshape(-1, *[1] * (total.dim() - 1))
    neutral = REDUCTIONS[name]
    if neutral is None:
        results = [func(part, dim=converted([ragged - 1]), **kwargs) for part in input.unbind()]
        if not isinstance(results[0], (tuple, list)):
            return plain.stack(results)
        columns = [plain.stack(column) for column in zip(*results)]
        return type(results[0])(*columns) if hasattr(results[0], "_fields") else type(results[0])(columns)
    if neutral in (_LEAST, _MOST):
        neutral = _limit(input.dtype, neutral is _LEAST)
    return func(input._padded(neutral), dim=converted([ragged]), **kwargs)


def _limit(dtype, least):
    if dtype.is_floating_point:
        return -math.inf if least else math.inf
    if dtype is plain.bool:
        return not least
    bits = 8 * plain.empty(0, dtype=dtype).element_size()
    low, high = (0, 2**bits - 1) if dtype is plain.uint8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return low if least else high


NestedTensor.__torch_function__ = classmethod(
    lambda cls, func, kinds, args=(), kwargs=None: called(func, args, kwargs or {})
)
