"""Comparisons for tests, and tensors to test with."""

import math
import numbers
import warnings
from collections.abc import Mapping, Sequence

from minigrad.absent import getter
from minigrad.backend import DTYPES, np, promote_types, xp
from minigrad.ops.comparison import isclose
from minigrad.ops.complex import complex as complex_tensor
from minigrad.ops.creation import empty, zeros_like
from minigrad.ops.from_data import from_numpy, tensor
from minigrad.ops.random import randint
from minigrad.ops.where import where
from minigrad.tensor import Tensor
from minigrad.typeinfo import finfo, iinfo
from minigrad.variable import Variable

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# dtype -> (rtol, atol): what a comparison forgives if nothing is said; anything else has to be equal.
TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}

OLD_TOLERANCES = {"float16": (1e-3, 1e-3), "float32": (1e-4, 1e-5), "float64": (1e-5, 1e-8)}  # of assert_allclose


def default_tolerances(*dtypes, table=TOLERANCES):
    """Return the largest (rtol, atol) among those of the dtypes."""
    pairs = [table.get(str(dtype).removeprefix("minigrad."), (0.0, 0.0)) for dtype in dtypes]
    return max(rtol for rtol, _ in pairs), max(atol for _, atol in pairs)


def assert_close(
    actual,
    expected,
    *,
    allow_subclasses=True,
    rtol=None,
    atol=None,
    equal_nan=False,
    check_device=True,
    check_dtype=True,
    check_layout=True,
    check_stride=False,
    msg=None,
):
    """AssertionError unless |actual - expected| <= atol + rtol |expected| everywhere, and the kinds are the same.

    Arguments: actual, expected (tensors, arrays, numbers, None, or sequences and mappings of such), allow_subclasses
    (of one another's class; else the classes have to be the same), rtol, atol (both or none; default by dtype),
    equal_nan, check_device, check_dtype, check_stride (whether these have to agree), check_layout (all tensors are
    strided), msg (replaces the message, or makes one of it). ValueError for one tolerance alone, TypeError for kinds
    that can't be compared.
    Source: https://docs.pytorch.org/docs/stable/testing.html

    >>> import minigrad as mg
    >>> mg.testing.assert_close(mg.tensor([1.0, 2.0]), mg.tensor([1.0, 2.000001]))
    >>> mg.testing.assert_close([1.0, 2.0], [1.0, 2.5])
    Traceback (most recent call last):
        ...
    AssertionError: Scalars are not close!
    <BLANKLINE>
    Expected 2.5 but got 2.0.
    Absolute difference: 0.5 (up to 1e-07 allowed)
    Relative difference: 0.2 (up to 1e-07 allowed)
    <BLANKLINE>
    The failure occurred for item [1]
    """
    if (rtol is None) != (atol is None):
        missing = "atol" if atol is None else "rtol"
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}.")
    checks = {"device": check_device, "dtype": check_dtype, "stride": check_stride, "layout": check_layout}
    comparison = _Comparison(allow_subclasses, rtol, atol, equal_nan, checks)
    try:
        comparison.compare(actual, expected, "")
    except _Difference as difference:
        text = str(difference)
        if msg is not None:
            text = msg(text) if callable(msg) else msg
    else:
        return
    raise AssertionError(text)


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """As assert_close with equal NaNs and without a look at devices, dtypes or strides; the old name, which warns.

    >>> import minigrad as mg, warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     mg.testing.assert_allclose(mg.ones(2), [1.0, 1.0])
    """
    warnings.warn(
        "`minigrad.testing.assert_allclose()` is deprecated since 1.12. Please use `minigrad.testing.assert_close()` "
        "instead.",
        FutureWarning,
        stacklevel=2,
    )
    actual = actual if isinstance(actual, Tensor) else tensor(actual)
    expected = expected if isinstance(expected, Tensor) else tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        rtol, atol = default_tolerances(actual.dtype, expected.dtype, table=OLD_TOLERANCES)
    assert_close(
        actual,
        expected,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_device=True,
        check_dtype=False,
        msg=msg or None,
    )


class _Difference(Exception):
    """What differs, and where."""


class _Comparison:
    """The options of one call of assert_close; compare raises _Difference."""

    def __init__(self, allow_subclasses, rtol, atol, equal_nan, checks):
        self.allow_subclasses, self.rtol, self.atol = allow_subclasses, rtol, atol
        self.equal_nan, self.checks = equal_nan, checks

    def compare(self, actual, expected, place):
        try:
            self._compare(actual, expected, place)
        except _Difference as difference:
            if place and "The failure occurred" not in str(difference):
                raise _Difference(f"{difference}\n\nThe failure occurred for item {place}") from None
            raise

    def _compare(self, actual, expected, place):
        if _is_sequence(actual) and _is_sequence(expected):
            if len(actual) != len(expected):
                raise _Difference(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}")
            for index, pair in enumerate(zip(actual, expected)):
                self.compare(*pair, f"{place}[{index}]")
        elif isinstance(actual, Mapping) and isinstance(expected, Mapping):
            self._compare_mappings(actual, expected, place)
        elif actual is None or expected is None:
            if actual is not expected:
                raise _Difference(f"None mismatch: {actual} is not {expected}")
        elif _is_boolean(actual) and _is_boolean(expected):
            if bool(actual) is not bool(expected):
                raise _Difference(f"Booleans mismatch: {bool(actual)} is not {bool(expected)}")
        elif isinstance(actual, numbers.Number) and isinstance(expected, numbers.Number):
            self._compare_numbers(actual, expected)
        elif self._are_comparable(actual, expected):
            self._compare_tensors(actual, expected)
        else:
            raise TypeError(
                f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}."
            )

    def _compare_mappings(self, actual, expected, place):
        if set(actual) != set(expected):
            missing, additional = (
                sorted(set(a) - set(b), key=str) for a, b in ((expected, actual), (actual, expected))
            )
            raise _Difference(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {missing}\n"
                f"Additional keys in the actual mapping: {additional}"
            )
        for key in actual:
            self.compare(actual[key], expected[key], f"{place}[{key!r}]")

    def _tolerances(self, *dtypes):
        return default_tolerances(*dtypes) if self.rtol is None else (self.rtol, self.atol)

    def _compare_numbers(self, actual, expected):
        kinds = tuple(_number_type(value) for value in (actual, expected))
        if self.checks["dtype"] and kinds[0] is not kinds[1]:
            raise _Difference(f"The (d)types do not match: {kinds[0]} != {kinds[1]}.")
        names = {int: "int64", float: "float64", complex: "complex128"}
        rtol, atol = self._tolerances(*(names[kind] for kind in kinds))
        actual, expected = kinds[0](actual), kinds[1](expected)
        if not _numbers_close(actual, expected, rtol, atol, self.equal_nan):
            raise _Difference(_scalar_message(actual, expected, rtol, atol))

    def _are_comparable(self, actual, expected):
        """Whether both are tensors or both arrays, of related classes."""
        if not all(isinstance(value, (Tensor, np.ndarray)) for value in (actual, expected)):
            return False
        plain = (Tensor, Variable)  # one class in PyTorch
        classes = [Tensor if type(value) in plain else type(value) for value in (actual, expected)]
        if self.allow_subclasses:
            return issubclass(classes[0], classes[1]) or issubclass(classes[1], classes[0])
        return classes[0] is classes[1]

    def _compare_tensors(self, actual, expected):
        actual, expected = (v.detach() if isinstance(v, Tensor) else from_numpy(v) for v in (actual, expected))
        for name, values in (
            ("shape", (actual.shape, expected.shape)),
            ("device", (actual.device, expected.device)),
            ("dtype", (actual.dtype, expected.dtype)),
            ("stride()", (actual.stride(), expected.stride())),
        ):
            if self.checks.get(name.removesuffix("()"), True) and values[0] != values[1]:
                raise _Difference(f"The values for attribute '{name}' do not match: {values[0]} != {values[1]}.")
        rtol, atol = self._tolerances(actual.dtype, expected.dtype)
        if actual.device != expected.device:
            actual, expected = actual.cpu(), expected.cpu()
        if actual.dtype != expected.dtype:
            dtype = promote_types(actual.dtype, expected.dtype)
            actual, expected = actual.to(dtype), expected.to(dtype)
        close = isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=self.equal_nan)
        if not close.all().item():
            raise _Difference(_tensor_message(actual, expected, close, rtol, atol))


def _is_sequence(value):
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_boolean(value):
    return isinstance(value, bool | np.bool_)


def _number_type(value):
    if isinstance(value, numbers.Integral | np.bool_):
        return int
    return float if isinstance(value, numbers.Real) else complex


def _numbers_close(actual, expected, rtol, atol, equal_nan):
    if actual == expected:
        return True
    if equal_nan and actual != actual and expected != expected:
        return True
    difference = abs(actual - expected)
    return math.isfinite(difference) and difference <= atol + rtol * abs(expected)


def _allowed(tolerance, shown):
    return f" (up to {tolerance} allowed)" if shown else ""


def _scalar_message(actual, expected, rtol, atol):
    shown = bool(rtol or atol)
    absolute = abs(actual - expected)
    relative = absolute / abs(expected) if expected else math.inf if absolute else 0.0
    return (
        f"Scalars are not {'close' if shown else 'equal'}!\n\n"
        f"Expected {expected} but got {actual}.\n"
        f"Absolute difference: {absolute}{_allowed(atol, shown)}\n"
        f"Relative difference: {relative}{_allowed(rtol, shown)}"
    )


def _tensor_message(actual, expected, close, rtol, atol):
    if actual.dim() == 0:
        return _scalar_message(actual.item(), expected.item(), rtol, atol)
    shown = bool(rtol or atol)
    if not (actual.is_floating_point() or actual.is_complex()):
        actual, expected = actual.to(DTYPES["int64"]), expected.to(DTYPES["int64"])
    difference = (actual - expected).abs()
    difference = where(close, zeros_like(difference), difference)
    relative = difference / expected.abs()
    relative = where(close, zeros_like(relative), relative)
    wrong, count = int((~close).sum().item()), close.numel()
    return (
        f"Tensor-likes are not {'close' if shown else 'equal'}!\n\n"
        f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})\n"
        f"Greatest absolute difference: {_greatest(difference)}{_allowed(atol, shown)}\n"
        f"Greatest relative difference: {_greatest(relative)}{_allowed(rtol, shown)}"
    )


def _greatest(values):
    """Return the largest value and its index, as text; NaN is larger than any."""
    array = values.array
    flat = int(xp(array).argmax(array))
    index = tuple(int(part) for part in np.unravel_index(flat, array.shape))
    return f"{values.flatten()[flat].item()} at index {index}"


# ------------------------------------------------------------------------------------------------ tensors to test with
def make_tensor(
    *shape,
    dtype,
    device,
    low=None,
    high=None,
    requires_grad=False,
    noncontiguous=False,
    exclude_zero=False,
    memory_format=None,
):
    """Return a tensor of random values from [low, high).

    Arguments: shape, dtype, device; low, high (default [-9, 9) for floating, complex and integer dtypes, [0, 9) for
    uint8, {False, True} for bool), requires_grad, noncontiguous (with a gap between the elements), exclude_zero (zeros
    become the smallest positive number, 1 for integers), memory_format. ValueError for an empty range, RuntimeError for
    a gradient of integers.
    Source: https://docs.pytorch.org/docs/stable/testing.html

    >>> import minigrad as mg
    >>> t = mg.testing.make_tensor((2, 3), dtype=mg.float32, device="cpu", low=0, high=1)
    >>> t.shape, bool((t < 1).all())
    (minigrad.Size([2, 3]), True)
    """
    shape = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    floating = dtype.is_floating_point or dtype.is_complex
    if noncontiguous and memory_format is not None:
        raise ValueError(
            f"The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"{noncontiguous=} and {memory_format=}"
        )
    if requires_grad and not floating:
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}")
    low, high = _bounds(dtype, low, high, floating)
    if not low < high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    full = (*shape[:-1], 2 * shape[-1]) if noncontiguous and shape and math.prod(shape) > 1 else shape
    if dtype.is_complex:
        part = DTYPES["float32"] if dtype == DTYPES["complex64"] else DTYPES["float64"]
        real, imaginary = (_uniform(full, low, high, part, device) for _ in range(2))
        result = complex_tensor(real, imaginary)
    elif floating:
        result = _uniform(full, low, high, dtype, device)
    else:
        result = randint(low, high, full, device=device).to(dtype)
    if full != shape:
        result = result[..., ::2]
    if exclude_zero:
        smallest = finfo(dtype).tiny if floating else 1
        result[result == 0] = smallest
    if memory_format is not None:
        result = result.clone(memory_format=memory_format)
    return result.requires_grad_(requires_grad)


def _bounds(dtype, low, high, floating):
    if dtype == DTYPES["bool"]:
        defaults = 0, 2
    elif dtype == DTYPES["uint8"]:
        defaults = 0, 10
    else:
        defaults = -9, 9 if floating else 10
    low, high = (default if given is None else given for given, default in zip((low, high), defaults))
    if any(isinstance(value, float) and math.isnan(value) for value in (low, high)):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if floating:
        limits = finfo(dtype)
        return max(low, limits.min), min(high, limits.max)
    smallest, largest = (0, 1) if dtype == DTYPES["bool"] else (iinfo(dtype).min, iinfo(dtype).max)
    return max(math.ceil(low), smallest), min(math.ceil(high), largest + 1)


def _uniform(shape, low, high, dtype, device):
    return empty(shape, dtype=dtype, device=device).uniform_(low, high)


__getattr__ = getter(__name__)
