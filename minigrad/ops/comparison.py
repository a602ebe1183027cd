"""Comparisons and logic: their results are bools and have no gradient."""

from minigrad.backend import FLOAT_CODES, REAL_CODES, np, xp
from minigrad.op import Op
from minigrad.ops.define import alias, binary_function, require_tensor, unary_function
from minigrad.registry import function
from minigrad.tensor import Tensor, wrap

eq_op = Op("equal", [None, None], promote="same", name="eq")
ne_op = Op("not_equal", [None, None], promote="same", name="ne")
lt_op = Op("less", [None, None], promote="same", name="lt")
le_op = Op("less_equal", [None, None], promote="same", name="le")
gt_op = Op("greater", [None, None], promote="same", name="gt")
ge_op = Op("greater_equal", [None, None], promote="same", name="ge")

logical_and_op = Op("logical_and", [None, None])
logical_or_op = Op("logical_or", [None, None])
logical_xor_op = Op("logical_xor", [None, None])
logical_not_op = Op("logical_not", [None])


def _logical(op):
    """Return an op's call for complex numbers too, which CuPy's logical functions do not take."""

    def call(*operands):
        return op.call(*[x != 0 if isinstance(x, Tensor) and x.is_cuda and x.is_complex() else x for x in operands])

    return call


isnan_op = Op("isnan", [None])
isinf_op = Op("isinf", [None])
isfinite_op = Op("isfinite", [None])
isposinf_op = Op(
    lambda x: x == float("inf") if x.dtype.char in REAL_CODES else xp(x).zeros(x.shape, bool), [None], name="isposinf"
)
isneginf_op = Op(
    lambda x: x == -float("inf") if x.dtype.char in REAL_CODES else xp(x).zeros(x.shape, bool), [None], name="isneginf"
)
signbit_op = Op(lambda x: xp(x).signbit(x) if x.dtype.char in REAL_CODES else x < 0, [None], name="signbit")
isreal_op = Op(lambda x: xp(x).isreal(x), [None], name="isreal")


def _isclose(a, b, *, rtol, atol, equal_nan):
    module = xp(a)
    close = a == b
    if equal_nan:
        close = close | (module.isnan(a) & module.isnan(b))
    if rtol == 0 and atol == 0:
        return close
    wide = b if b.dtype.char in FLOAT_CODES else b.astype(np.float64)
    difference = abs(a - wide)
    return close | (module.isfinite(difference) & (difference <= atol + abs(rtol * wide)))


isclose_op = Op(_isclose, [None, None], broadcast=True)

_COMPARISONS = [
    ("eq", eq_op, "equals", "[False,  True, False]", ()),
    ("ne", ne_op, "differs from", "[ True, False,  True]", ("not_equal",)),
    ("lt", lt_op, "is less than", "[ True, False, False]", ("less",)),
    ("le", le_op, "is at most", "[ True,  True, False]", ("less_equal",)),
    ("gt", gt_op, "is greater than", "[False, False,  True]", ("greater",)),
    ("ge", ge_op, "is at least", "[False,  True,  True]", ("greater_equal",)),
]
for _name, _op, _verb, _result, _aliases in _COMPARISONS:
    binary_function(
        _op, _name, f"Return whether each element of input {_verb} that of other.",
        (f"mg.{_name}(mg.tensor([1, 2, 3]), 2)", f"tensor({_result})"),
    )  # fmt: skip
    for _alias in _aliases:
        alias(_alias, _name, inplace=True)

for _name, _op, _word, _result in [
    ("logical_and", _logical(logical_and_op), "both elements are", "[ True, False, False]"),
    ("logical_or", _logical(logical_or_op), "any of both elements is", "[ True,  True, False]"),
    ("logical_xor", _logical(logical_xor_op), "exactly one of both elements is", "[False,  True, False]"),
]:
    binary_function(
        _op, _name, f"Return whether {_word} nonzero.",
        (f"mg.{_name}(mg.tensor([1, 2, 0]), mg.tensor([1, 0, 0]))", f"tensor({_result})"),
        tensors_only=True,
    )  # fmt: skip

unary_function(
    _logical(logical_not_op), "logical_not", "Return whether each element is zero.",
    ("mg.logical_not(mg.tensor([1, 0]))", "tensor([False,  True])"),
)  # fmt: skip
for _name, _op, _word, _result, _in_place in [
    ("isnan", isnan_op, "is NaN", "[False,  True, False, False]", False),
    ("isinf", isinf_op, "is infinite", "[False, False,  True,  True]", False),
    ("isfinite", isfinite_op, "is neither infinite nor NaN", "[ True, False, False, False]", False),
    ("isposinf", isposinf_op, "is inf", "[False, False,  True, False]", False),
    ("isneginf", isneginf_op, "is -inf", "[False, False, False,  True]", False),
    ("signbit", signbit_op, "has its sign bit set", "[False, False, False,  True]", False),
    ("isreal", isreal_op, "is real", "[True, True, True, True]", False),
]:
    unary_function(
        _op, _name, f"Return whether each element {_word}.",
        (f"mg.{_name}(mg.tensor([1.0, float('nan'), float('inf'), -float('inf')]))", f"tensor({_result})"),
        inplace=_in_place,
    )  # fmt: skip


@function(method=True)
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Return whether |input - other| <= atol + rtol * |other|, elementwise.

    Arguments: input, other (Tensors of one dtype; shapes broadcast), rtol, atol (tolerances, not negative), equal_nan
    (NaN equals NaN). RuntimeError for two dtypes or a negative tolerance.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.isclose.html

    >>> import minigrad as mg
    >>> mg.isclose(mg.tensor([1.0, 2.0]), mg.tensor([1.0 + 1e-7, 2.1]))
    tensor([ True, False])
    """
    require_tensor("isclose", input)
    require_tensor("isclose", other, "other", 2)
    if input.array.dtype != other.array.dtype:
        raise RuntimeError(f"{input.dtype} did not match {other.dtype}")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    return isclose_op(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


@function(method=True)
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Return, as a Python bool, whether isclose holds for all elements; arguments as for isclose.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.allclose.html

    >>> import minigrad as mg
    >>> mg.allclose(mg.tensor([1.0, 2.0]), mg.tensor([1.0, 2.1]))
    False
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


@function(method=True)
def equal(input, other):
    """Return, as a Python bool, whether two tensors have the same shape and elements.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.equal.html

    >>> import minigrad as mg
    >>> mg.equal(mg.tensor([1, 2]), mg.tensor([1, 2]))
    True
    """
    require_tensor("equal", input)
    require_tensor("equal", other, "other", 2)
    if input.array.shape != other.array.shape:
        return False
    return bool(eq_op(wrap(input.array), wrap(other.array)).array.all())
