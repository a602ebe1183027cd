"""What functions do with nested tensors: those of elements by the dense values, others part by part.

``called`` finds a function by its name; what is not here raises NotImplementedError with the name and the layout.
"""

import itertools
import math

from minigrad.nested.tensors import Jagged, NestedTensor, Strided, as_strided_parts, packed, plain
from minigrad.overrides import dispatching
from minigrad.tensor import Tensor, normalize_dim

ELEMENTWISE = frozenset(
    """abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh bernoulli
    bitwise_not ceil clamp clamp_max clamp_min clip conj conj_physical cos cosh deg2rad digamma empty_like erf erfc
    erfinv exp exp2 expm1 fix floor frac frexp full_like i0 isfinite isinf isnan isneginf isposinf isreal lgamma log
    log10 log1p log2 logical_not logit mvlgamma nan_to_num neg negative ones_like polygamma positive pos rad2deg
    rand_like randint_like randn_like reciprocal resolve_conj resolve_neg round rsqrt sgn sigmoid sign signbit sin sinc
    sinh special_airy_ai sqrt square tan tanh trunc zeros_like invert
    bessel_j0 bessel_j1 bessel_y0 bessel_y1 entr erfcx expit gammaln i0e i1 i1e log_ndtr modified_bessel_i0
    modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 multigammaln ndtr ndtri psi scaled_modified_bessel_k0
    scaled_modified_bessel_k1 spherical_bessel_j0
    alpha_dropout celu dropout elu feature_alpha_dropout gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu
    logsigmoid mish relu relu6 rrelu selu silu softplus softshrink softsign tanhshrink threshold
    add addcdiv addcmul arctan2 atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
    copysign div divide eq equal_nan float_power floor_divide floordiv fmax fmin fmod gcd ge greater greater_equal gt
    heaviside hypot igamma igammac isclose lcm ldexp le lerp less less_equal logaddexp logaddexp2 logical_and
    logical_or logical_xor lshift lt masked_fill maximum minimum mul multiply ne nextafter not_equal pow remainder
    rdiv rfloordiv rlshift rmod rpow rrshift rshift rsub rtruediv sub subtract true_divide truediv where xlog1py xlogy
    zeta and or xor rand ror rxor copy fill normal uniform zero exponential random cauchy log_normal geometric
    log_sigmoid real imag airy_ai chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v
    chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he laguerre_polynomial_l legendre_polynomial_p
    shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v
    shifted_chebyshev_polynomial_w""".split()
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


# ---------------------------------------------------------------------- shapes
@handler("transpose", "swapaxes", "swapdims")
def _transpose(func, input, dim0, dim1):
    dims = [normalize_dim(dim, input.dim()) for dim in (dim0, dim1)]
    if isinstance(input, Strided):
        if 0 in dims:
            raise RuntimeError("Nested tensor dimension 0 cannot be transposed")
        return by_parts(plain.transpose, input, dims[0] - 1, dims[1] - 1)
    if dims == [0, 0]:
        return input
    if 0 in dims:
        if input._ragged_idx in dims:
            raise ValueError("Transpose is not supported on the batch dimension for jagged NT")
        raise RuntimeError("transpose(): not supported for NestedTensor on dim=0")
    ragged = {dims[0]: dims[1], dims[1]: dims[0]}.get(input._ragged_idx, input._ragged_idx)
    return input._with(input._values.transpose(dims[0] - 1, dims[1] - 1), ragged)


@handler("permute")
def _permute(func, input, *dims, **kwargs):
    dims = kwargs.get("dims", dims)
    dims = dims[0] if len(dims) == 1 and isinstance(dims[0], (list, tuple)) else dims
    if len(dims) != input.dim():
        raise ValueError(
            f"permute(): number of dimensions in the tensor input ({input.dim()}) does not match the length of the "
            f"desired ordering of dimensions ({len(dims)})."
        )
    dims = [normalize_dim(dim, input.dim()) for dim in dims]
    if len(set(dims)) != len(dims):
        raise ValueError("permute(): duplicate dims are not allowed.")
    if dims[0] != 0:
        raise ValueError("Permute is not supported on the batch dimension for jagged NT")
    inner = [dim - 1 for dim in dims[1:]]
    if isinstance(input, Strided):
        return by_parts(plain.permute, input, inner)
    if input._lengths is not None:
        raise ValueError("permute(): not supported on jagged layout nested tensor with holes")
    return input._with(input._values.permute(inner), dims.index(input._ragged_idx))


@handler("unsqueeze")
def _unsqueeze(func, input, dim):
    inner = inner_dim("unsqueeze", input, dim, ragged=True, more=1)
    if isinstance(input, Strided):
        return by_parts(plain.unsqueeze, input, inner)
    return input._with(input._values.unsqueeze(inner), input._ragged_idx + (inner <= input._axis()))


@handler("squeeze")
def _squeeze(func, input, dim=None):
    dims = range(1, input.dim()) if dim is None else dim if isinstance(dim, (list, tuple)) else [dim]
    dims = [normalize_dim(one, input.dim()) for one in dims]
    if isinstance(input, Strided):
        inner = tuple(inner_dim("squeeze", input, one) for one in dims)
        return by_parts(plain.squeeze, input, inner)
    if dim is None:
        dims = [one for one in dims if one != input._ragged_idx]
    inner = sorted(inner_dim("squeeze", input, one) for one in dims)
    gone = [one for one in inner if input._values.shape[one] == 1]
    before = sum(one < input._axis() for one in gone)
    return input._with(input._values.squeeze(tuple(gone)), input._ragged_idx - before)


def _numbers(size):
    """Return sizes given one by one, or as a list or Size."""
    return list(size[0]) if len(size) == 1 and isinstance(size[0], (list, tuple)) else list(size)


@handler("view", "reshape", "view_as", "reshape_as")
def _view(func, input, *size, **kwargs):
    name = name_of(func).replace("_as", "")
    if "_as" in name_of(func):
        size = [size[0].shape]
    size = _numbers(size) if size else list(kwargs.get("shape", kwargs.get("size")))
    if isinstance(input, Strided):
        return _view_parts(name, input, size)
    shape = tuple(input.shape)
    if input._ragged_idx != 1 and tuple(size) != shape:
        raise RuntimeError(
            f"{name}(): does not support ragged_idx != 1 except when inp._size == size. inp._size is ({shape}) and "
            f"size is ({size})."
        )
    if len(size) < 3 or not _same_start(input, size):
        if tuple(size) == shape:
            return input
        raise RuntimeError(f"{name}(): cannot view shape {shape} as {size}")
    inner = [*size[1:]]
    inner[input._axis()] = input._values.shape[input._axis()]
    return input._with(getattr(input._values, name)(*inner))


def _same_start(tensor, size):
    """Return whether a size is a jagged tensor's own up to its ragged dimension; -1 stands for any length."""
    end = tensor._ragged_idx + 1
    own = tuple(tensor.shape)[:end]
    return len(size) >= end and all(one == -1 or one == other for one, other in zip(size, own))


def _view_parts(name, input, size):
    """Return the parts in another shape: -1 keeps a length that is there, as in PyTorch's nested tensors."""
    if not size or size[0] not in (len(input._sizes), -1):
        raise RuntimeError(f"{name}: For now nested {name} cannot change or infer the implicit batch dimension")
    if len(size) < 2:
        raise RuntimeError(f"{name}: shape {size} has no dimensions for the parts")
    sizes = []
    for own in input._sizes:
        new = [own[i] if length == -1 and i < len(own) else length for i, length in enumerate(size[1:])]
        if math.prod(new) != math.prod(own):
            raise RuntimeError(f"shape '{size}' is invalid for input of size {math.prod(own)}")
        sizes.append(new)
    return Strided(input._values, sizes)


@handler("unflatten")
def _unflatten(func, input, dim, sizes):
    inner = inner_dim("unflatten", input, dim)
    if isinstance(input, Strided):
        return by_parts(plain.unflatten, input, inner, sizes)
    ragged = input._ragged_idx + (len(sizes) - 1 if inner < input._axis() else 0)
    return input._with(plain.unflatten(input._values, inner, sizes), ragged)


@handler("flatten")
def _flatten(func, input, start_dim=0, end_dim=-1):
    start = inner_dim("flatten", input, start_dim)
    end = inner_dim("flatten", input, end_dim)
    if isinstance(input, Strided):
        return by_parts(plain.flatten, input, start, end)
    axis = input._axis()
    if start <= axis <= end and start != end:
        raise RuntimeError("flatten(): not supported for NestedTensor on ragged dim")
    ragged = input._ragged_idx - (end - start if end < axis else 0)
    return input._with(plain.flatten(input._values, start, end), ragged)


@handler("expand", "broadcast_to", "expand_as")
def _expand(func, input, *size, **kwargs):
    if name_of(func) == "expand_as":
        other = size[0] if size else kwargs["other"]
        if not isinstance(input, NestedTensor):
            return other._with(input.expand_as(other._values))
        size = tuple(other.shape)
    size = _numbers(size) if size else list(kwargs["size"])
    if isinstance(input, Strided):
        raise unsupported(name_of(func), input)
    if len(size) > input.dim():
        raise ValueError(f"{name_of(func)}(): a nested tensor is not broadcast to more dimensions")
    if not _same_start(input, size) or len(size) != input.dim():
        raise RuntimeError(f"expand(): cannot expand shape {tuple(input.shape)} -> {size}")
    inner = [*size[1:]]
    inner[input._axis()] = -1
    return input._with(input._values.expand(inner))


@handler("broadcast_tensors")
def _broadcast_tensors(func, *tensors):
    like = first_nested(tensors)
    tensors = _numbers(tensors)
    if isinstance(like, Strided):
        raise unsupported("broadcast_tensors", like)
    values = func(*[like._values if one is like else aligned("broadcast_tensors", like, one) for one in tensors])
    return tuple(like._with(value) for value in values)


@handler("chunk", "unsafe_chunk")
def _chunk(func, input, chunks, dim=0):
    place = normalize_dim(dim, input.dim())
    if isinstance(input, Strided):
        if place != input.dim() - 1:
            raise RuntimeError("Chunk for nested tensors is currently only supported for the last dimension.")
        last = input.size(-1)
        pieces = [part.chunk(chunks, -1) for part in input.unbind()]
        if last % chunks:
            raise RuntimeError(f"Chunk for nested tensors is only supported for nested tensors with trailing dimension "
                               f"divisible by chunks, got: {last} % {chunks} != 0")  # fmt: skip
        return tuple(as_strided_parts(column) for column in zip(*pieces))
    if place:
        inner = inner_dim("chunk", input, dim)
        return tuple(input._with(values) for values in input._values.chunk(chunks, inner))
    parts = input.dense_parts()
    step = max(math.ceil(len(parts) / chunks), 1)
    return tuple(packed(parts[start:start + step], input._ragged_idx) for start in range(0, len(parts), step))


@handler("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "tensor_split")
def _split(func, input, split_size=None, dim=0, **kwargs):
    if split_size is None:
        split_size = next(iter(kwargs.values()))
    inner = inner_dim(name_of(func), input, dim)
    if isinstance(input, Strided):
        pieces = [func(part, split_size, inner) for part in input.unbind()]
        return tuple(as_strided_parts(column) for column in zip(*pieces, strict=True))
    return tuple(input._with(values) for values in func(input._values, split_size, inner))


@handler("narrow")
def _narrow(func, input, dim, start, length):
    if isinstance(input, Strided):
        if dim != 0:
            raise RuntimeError(f"narrow(): only dim=0 supported for nested tensors, but got: {dim}")
        return as_strided_parts(input.unbind()[start:start + length])
    return input._with(func(input._values, inner_dim("narrow", input, dim), start, length))


@handler("select")
def _select(func, input, dim, index):
    if normalize_dim(dim, input.dim()) == 0:
        parts = input.unbind()
        if not -len(parts) <= index < len(parts):
            raise IndexError(f"index {index} is out of bounds for dimension 0 with size {len(parts)}")
        return parts[index]
    inner = inner_dim("select", input, dim)
    if isinstance(input, Strided):
        return by_parts(plain.select, input, inner, index)
    if input._lengths is not None:
        raise ValueError("select(): not yet supported on dim != 0 for non-contiguous nested tensor with holes")
    return input._with(input._values.select(inner, index), input._ragged_idx - (inner < input._axis()))


@handler("getitem")
def _getitem(func, input, index):
    index = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(item, Tensor) or not isinstance(item, (int, slice, type(None), type(...))) for item in index):
        raise unsupported("indexing with other than numbers and slices", input)
    if ... in index:
        place, used = index.index(...), sum(item is not None and item is not ... for item in index)
        index[place:place + 1] = [slice(None)] * (input.dim() - used)
    if isinstance(index[0], int):
        part = _select(func, input, 0, index[0])
        return part[tuple(index[1:])] if index[1:] else part
    if index[0] != slice(None):
        name = "unsqueeze" if index[0] is None else "slice"
        raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
    if sum(item is not None for item in index) > input.dim():
        raise IndexError(f"too many indices for tensor of dimension {input.dim()}")
    inner = tuple(index[1:])
    if isinstance(input, Strided):
        return as_strided_parts([part[inner] for part in input.unbind()])
    dim, ragged = 0, input._ragged_idx
    for item in inner:
        if item is None:
            ragged += dim <= input._axis()
            continue
        if dim == input._axis() and item != slice(None):
            name = "select" if isinstance(item, int) else "slice"
            raise RuntimeError(f"{name}(): not supported for NestedTensor on ragged dim")
        ragged -= isinstance(item, int) and dim < input._axis()
        dim += 1
    return input._with(input._values[inner] if inner else input._values, ragged)


@handler("index_put", "index_put_")
def _index_put(func, input, indices, values, accumulate=False):
    """Put values at (batch, …) indices: of the values where the ragged dimension is among them, else of the padded."""
    if isinstance(input, Strided):
        raise unsupported(name_of(func), input)
    if len(indices) > input.dim():
        raise AssertionError(f"Too many indices: got {len(indices)} but tensor has {input.dim()} dimensions")
    ragged = input._ragged_idx
    if len(indices) <= ragged:
        if not input.is_contiguous():
            raise RuntimeError(
                "index_put(): If ragged dimension is not part of indices, this only works on contiguous NJTs"
            )
        result = input._from_padded(plain.index_put(input._padded(0), indices, values, accumulate))._values
    else:
        lengths = plain.tensor(input._part_lengths(), device=input.device)
        if bool((indices[ragged] >= lengths[indices[0]]).any()):
            raise RuntimeError("Some indices in the ragged dimension are out of bounds!")
        places = (*indices[1:ragged], input._offsets[indices[0]] + indices[ragged], *indices[ragged + 1 :])
        result = plain.index_put(input._values, places, values, accumulate)
    if not func.__name__.endswith("_"):
        return input._with(result)
    input._values.copy_(result)
    return input


@handler("cat", "concat", "concatenate")
def _cat(func, tensors, dim=0, **kwargs):
    first, dim = first_nested(tensors), kwargs.get("axis", dim)
    if isinstance(first, Strided):
        if normalize_dim(dim, first.dim()) or not all(isinstance(one, Strided) for one in tensors):
            raise RuntimeError("cat(): nested tensors of the strided layout are joined along the batch only")
        return as_strided_parts([part for one in tensors for part in one.unbind()])
    inner = inner_dim("cat", first, dim)
    values = []
    for one in tensors:
        if isinstance(one, NestedTensor):
            values.append(aligned("cat", first, one))
        else:
            values.append(one.expand(*first._values.shape[:inner], *one.shape[inner - first._values.dim():]))
    return first._with(func(values, inner))


@handler("stack")
def _stack(func, tensors, dim=0):
    first = first_nested(tensors)
    if isinstance(first, Strided):
        raise unsupported("stack", first)
    for one in tensors:
        if not isinstance(one, NestedTensor):
            raise RuntimeError("stack(): expected all nested tensors inputs")
        if one.dim() != first.dim():
            raise RuntimeError("stack(): expected all nested tensors to have the same dim")
        if not first._alike(one):
            raise RuntimeError("stack(): expected all nested tensors to have the same nested structure")
    inner = inner_dim("stack", first, dim, more=1)
    return first._with(func([one._values for one in tensors], inner), first._ragged_idx + (inner <= first._axis()))


# ---------------------------------------------------------------------- layers
def _rows(func, input, *args, **kwargs):
    """Return a strided nested tensor of what a function makes of its last dimension, all rows at once."""
    last = input.size(-1)
    values = func(input._values.reshape(-1, last), *args, **kwargs)
    return Strided(values.reshape(-1), [(*size[:-1], values.shape[-1]) for size in input._sizes])


@handler("linear")
def _linear(func, input, weight, bias=None):
    if not isinstance(input, NestedTensor) or isinstance(weight, NestedTensor):
        raise RuntimeError("linear(): only the input can be a nested tensor")
    if isinstance(input, Strided):
        return _rows(func, input, weight, bias)
    if input._ragged_idx == input.dim() - 1:
        raise ValueError("linear(): not supported for NestedTensor on ragged dim: the last dimension is ragged")
    return input._with(func(input._values, weight, bias))


@handler("embedding")
def _embedding(func, input, weight, *args, **kwargs):
    values = func(input._values, weight, *args, **kwargs)
    if isinstance(input, Strided):
        return Strided(values.reshape(-1), [(*size, values.shape[-1]) for size in input._sizes])
    return input._with(values)


@handler("embedding_bag")
def _embedding_bag(func, input, weight, offsets=None, *args, **kwargs):
    if not isinstance(input, Jagged) or input.dim() != 2 or offsets is not None or input._lengths is not None:
        raise RuntimeError("embedding_bag: a nested input must be jagged, (B, j), without holes and offsets=")
    weights = kwargs.pop("per_sample_weights", None)
    if weights is not None:
        kwargs["per_sample_weights"] = aligned("embedding_bag", input, weights)
    return func(input._values, weight, input._offsets[:-1], *args, **kwargs)


@handler("layer_norm")
def _layer_norm(func, input, normalized_shape, weight=None, bias=None, eps=1e-5, *unused):
    if input.dim() <= 2:
        raise RuntimeError("layer_norm(): not supported for NestedTensor objects with 2 or fewer dimensions")
    shape = list(normalized_shape)
    if len(shape) >= input.dim():
        raise RuntimeError("layer_norm(): not supported when normalizing over the batch dimension for NestedTensor")
    if isinstance(input, Strided):
        return by_parts(lambda part: func(part, shape, weight, bias, eps), input)
    if input.dim() - len(shape) > input._ragged_idx:
        return input._with(func(input._values, shape, weight, bias, eps))
    if tuple(shape) != tuple(input.shape)[input.dim() - len(shape) :]:
        raise RuntimeError(f"layer_norm(): {shape} is not the end of the input's shape {tuple(input.shape)}")
    if input._lengths is not None or weight is not None or bias is not None:
        raise RuntimeError(
            "layer_norm(): not supported with holes, weight or bias if operating on the ragged dimension for "
            "NestedTensor"
        )
    return by_parts(lambda part: func(part, part.shape[-len(shape):], None, None, eps), input)


@handler("rms_norm")
def _rms_norm(func, input, normalized_shape, weight=None, eps=None):
    if isinstance(input, Strided):
        return by_parts(lambda part: func(part, normalized_shape, weight, eps), input)
    if len(normalized_shape) > input.dim() - input._ragged_idx - 1:
        raise ValueError(
            "rms_norm(): Normalization over the ragged dim not supported for nested tensors"
        )
    return input._with(func(input._values, normalized_shape, weight, eps))


@handler("prelu")
def _prelu(func, input, weight):
    if isinstance(input, Strided):
        raise unsupported("prelu", input)
    if weight.numel() == 1:
        return input._with(func(input._values, weight))
    if input._ragged_idx == 1:
        raise RuntimeError("prelu: dimension 1, that of the channels, is ragged; use a weight of one element")
    return input._with(func(input._values.unsqueeze(0), weight).squeeze(0))


@handler("conv1d", "conv2d", "conv3d")
def _conv(func, input, weight, *args, **kwargs):
    if isinstance(input, Strided) or input._ragged_idx != 1:
        raise unsupported(name_of(func), input)
    return input._with(func(input._values, weight, *args, **kwargs))  # (sum of lengths, C, …): a ragged second batch


# ---------------------------------------------------------------------- products and attention
@handler("matmul", "rmatmul", "bmm")
def _matmul(func, input, other=None, mat2=None):
    name, other = name_of(func), mat2 if other is None else other
    if name == "bmm":
        for what, tensor in (("input", input), ("mat2", other)):
            if tensor.dim() != 3:
                raise ValueError(f"bmm(): {what} must be 3D")
    if name == "rmatmul":
        input, other = other, input
    nested = [isinstance(tensor, NestedTensor) for tensor in (input, other)]
    if any(isinstance(tensor, Strided) for tensor in (input, other)):
        return _matmul_parts(input, other, nested)
    product = None
    if nested == [True, False]:
        product = _jagged_by_dense(input, other)
    elif nested == [False, True]:
        product = _dense_by_jagged(input, other)
    elif min(input.dim(), other.dim()) > 3 and input._ragged_idx < input.dim() - 2 and input._alike(other):
        product = input._with(plain.matmul(input._values, other._values))
    elif input._ragged_idx == input.dim() - 1 and other._ragged_idx == other.dim() - 2 and _same_length(input, other):
        product = plain.stack([plain.matmul(a, b) for a, b in zip(input.unbind(), other.unbind())])
    if product is None:
        shapes = [tuple(tensor.shape) for tensor in (input, other)]
        raise RuntimeError(f"matmul(): not supported between inputs of shapes {shapes[0]} and {shapes[1]}")
    return product


def _same_length(a, b):
    return a._symbol() == b._symbol() and a._lengths is None


def _jagged_by_dense(input, other):
    """Return the product along dense dimensions of a jagged tensor, as last dimension, and a dense one; None if not so.

    A matrix for all: (B, j, D) @ (D, E); one for each part: (B, j, D) @ (B, D, E).
    """
    if input._ragged_idx >= input.dim() - 1:
        return None
    if other.dim() == 2 and input.dim() > 2:
        return input._with(plain.matmul(input._values, other))
    if other.dim() == input.dim() >= 3 and input._lengths is None:
        return input._from_padded(plain.matmul(input._padded(0), other))
    return None


def _dense_by_jagged(input, other):
    if other._ragged_idx < 2:
        return None
    if input.dim() == 2 and other.dim() > 2:
        return other._with(plain.matmul(input, other._values))
    if input.dim() == other.dim() >= 3 and other._lengths is None:
        return other._from_padded(plain.matmul(input, other._padded(0)))
    return None


def _matmul_parts(input, other, nested):
    batch = {tensor.size(0) for tensor, is_nested in zip((input, other), nested) if is_nested}
    columns = []
    for tensor, is_nested in zip((input, other), nested):
        if is_nested:
            columns.append(tensor.unbind())
        elif tensor.dim() < 3:
            columns.append(itertools.repeat(tensor, max(batch)))
        else:
            columns.append(tensor.unbind())
            batch.add(tensor.shape[0])
    if len(batch) != 1:
        raise RuntimeError(f"matmul: Expected size for the 1st dimension of both to be the same, but got {batch}")
    if min(input.dim(), other.dim()) < 3 and all(nested):
        raise RuntimeError("matmul: For nested tensors, only inputs with >= 3 dims are currently supported.")
    return as_strided_parts([plain.matmul(a, b) for a, b in zip(*columns)])


@handler("scaled_dot_product_attention")
def _attention(
    func, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):  # fmt: skip
    three = (query, key, value)
    settings = {"dropout_p": dropout_p, "is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
    is_jagged = any(isinstance(tensor, Jagged) for tensor in three)
    if is_jagged:
        _check_attention(three, attn_mask)
    elif attn_mask is not None:
        raise RuntimeError(
            "Scaled_dot_product_attention: Nested tensors for query / key are not supported when an explicit attn_mask "
            "is set"
        )
    batches = {tensor.size(0) for tensor in three}
    if len(batches) != 1:
        raise RuntimeError(f"scaled_dot_product_attention: the batches of query, key and value differ: {batches}")
    if is_jagged and query._ragged_idx == 1 and min(tensor.dim() for tensor in three) > 3:
        if not (query._alike(key) and query._alike(value)):
            raise RuntimeError("scaled_dot_product_attention: a ragged second batch must be the same for all three")
        return query._with(func(*[tensor._values for tensor in three], **settings))
    parts = [func(*those, **settings) for those in zip(*[tensor.unbind() for tensor in three])]
    return packed(parts, query._ragged_idx, query) if is_jagged else as_strided_parts(parts)


def _check_attention(three, attn_mask):
    """ValueError for what attention of jagged tensors does not take."""
    if not all(isinstance(tensor, Jagged) for tensor in three):
        kinds = ", ".join(str(isinstance(tensor, NestedTensor)) for tensor in three)
        raise ValueError(f"Expected query, key, and value to be nested tensors, but is_nested of each is: {kinds}")
    for what in ("dtype", "device"):
        if len({str(getattr(tensor, what)) for tensor in three}) != 1:
            raise ValueError(f"Expected query, key, and value to have the same {what}")
    if min(tensor.dim() for tensor in three) < 3:
        raise ValueError("Expected query, key, and value to all be at least 3 dimensional")
    if len({tensor._ragged_idx for tensor in three}) != 1:
        raise ValueError("Expected query, key, and value to all be ragged on the same dimension")
    if attn_mask is not None:
        raise ValueError("Masks are not yet supported!")


def attended(query, key, value, attention, batch_first, masked, need_weights):
    """Return what MultiheadAttention makes of nested tensors: (nested output, weights padded with zeros or None).

    ``attention(query, key, value)`` is the layer's for tensors (length, batch, E). AssertionError for masks, layers
    that are not batch_first, and tensors that are not all nested and of 3 dimensions.
    """
    three = query, key, value
    refusal = None
    if not batch_first:
        refusal = "batch_first was not True"
    elif masked:
        refusal = "masks are not supported with NestedTensor input"
    elif not all(isinstance(tensor, NestedTensor) and tensor.dim() == 3 for tensor in three):
        refusal = "query, key and value must all be nested tensors of 3 dimensions"
    if refusal:
        raise AssertionError(f"MultiheadAttention does not support NestedTensor here: {refusal}")
    results = [attention(*[part.unsqueeze(1) for part in those]) for those in zip(*[one.unbind() for one in three])]
    outputs = together(query, [out.squeeze(1) for out, _ in results])
    if not need_weights:
        return outputs, None
    weights = [weights.squeeze(0) for _, weights in results]
    return outputs, as_strided_parts(weights).to_padded_tensor(0.0)

NestedTensor.attended = attended  # called by MultiheadAttention
NestedTensor.activated = lambda self, function: dispatching(function)(self)  # of functions taken before this import
NestedTensor.__torch_function__ = classmethod(
    lambda cls, func, kinds, args=(), kwargs=None: called(func, args, kwargs or {})
)
