"""Comparing tensors in tests: PyTorch's torch.testing.

Source: https://docs.pytorch.org/docs/stable/testing.html
"""

from collections.abc import Mapping, Sequence

from minigrad.absent import getter
from minigrad.backend import as_dtype, np
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# dtype -> (rtol, atol); integers and bool must be equal
_TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}


def _tolerances(dtypes, rtol, atol):
    """Return (rtol, atol): those given, or the larger ones of two dtypes."""
    if (rtol is None) != (atol is None):
        raise ValueError(f"Either none or both 'rtol' and 'atol' must be specified, but got rtol={rtol}, atol={atol}")
    if rtol is not None:
        return rtol, atol
    known = [_TOLERANCES.get(str(dtype).rpartition(".")[2], (0.0, 0.0)) for dtype in dtypes]
    return max(pair[0] for pair in known), max(pair[1] for pair in known)


def _fail(msg, text, where):
    text += f"\n\nThe failure occurred for item {where}" if where else ""
    raise AssertionError(msg(text) if callable(msg) else msg or text)


def assert_close(
    actual, expected, *, allow_subclasses=True, rtol=None, atol=None, equal_nan=False, check_device=True,
    check_dtype=True, check_layout=True, check_stride=False, msg=None,
):  # fmt: skip
    """Raise AssertionError unless |actual - expected| <= atol + rtol |expected|, and shapes and dtypes are equal.

    Arguments: actual, expected (Tensors, NumPy arrays, numbers, or sequences and mappings of them); rtol, atol (both or
    neither: by dtype, 1.3e-6 and 1e-5 for float32); msg (text, or a function of the text). ValueError for one
    tolerance alone, TypeError for a tensor and a number.
    Source: https://docs.pytorch.org/docs/stable/testing.html#torch.testing.assert_close

    >>> import minigrad as mg
    >>> mg.testing.assert_close(mg.tensor([1.0, 2.0]), mg.tensor([1.0, 2.0 + 1e-6]))
    """
    checks = {"device": check_device, "dtype": check_dtype, "layout": check_layout, "stride": check_stride}
    _tolerances((), rtol, atol) if rtol is not None or atol is not None else None
    _compare(actual, expected, "", (rtol, atol, equal_nan), checks, allow_subclasses, msg)


def _compare(actual, expected, where, tolerances, checks, allow_subclasses, msg):
    """Compare two values, and those in two mappings or sequences one by one."""
    rest = (tolerances, checks, allow_subclasses, msg)
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if set(actual) != set(expected):
            _fail(msg, f"The keys of the mappings do not match: {set(actual) ^ set(expected)}", where)
        for key in actual:
            _compare(actual[key], expected[key], f"{where}[{key!r}]", *rest)
    elif isinstance(actual, Sequence) and isinstance(expected, Sequence) and not isinstance(actual, str):
        if len(actual) != len(expected):
            _fail(msg, f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", where)
        for index, pair in enumerate(zip(actual, expected, strict=True)):
            _compare(*pair, f"{where}[{index}]", *rest)
    elif actual is None or expected is None:
        if actual is not expected:
            _fail(msg, f"None mismatch: {actual} is not {expected}", where)
    else:
        _compare_numbers(actual, expected, where, *rest)


def _compare_numbers(actual, expected, where, tolerances, checks, allow_subclasses, msg):
    """Compare two tensors, arrays or numbers."""
    kinds = [next((kind for kind in (Tensor, np.ndarray) if isinstance(x, kind)), None) for x in (actual, expected)]
    if kinds[0] is not kinds[1] or not allow_subclasses and type(actual) is not type(expected):
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.")
    left, right = (FUNCTIONS["as_tensor"](x).detach() for x in (actual, expected))
    if left.shape != right.shape:
        _fail(msg, f"The values for attribute 'shape' do not match: {left.shape} != {right.shape}.", where)
    for name in (name for name, wanted in checks.items() if wanted and kinds[0] is not None):
        mine, theirs = (x.stride() if name == "stride" else getattr(x, name) for x in (left, right))
        if mine != theirs:
            _fail(msg, f"The values for attribute '{name}' do not match: {mine} != {theirs}.", where)
    rtol, atol = _tolerances((left.dtype, right.dtype), *tolerances[:2])
    mine, theirs = left.numpy(force=True), right.numpy(force=True)
    wide = complex if "c" in (mine.dtype.kind, theirs.dtype.kind) else float
    exact = rtol == atol == 0
    if exact and not tolerances[2]:
        close = mine == theirs
    else:
        close = np.isclose(mine.astype(wide), theirs.astype(wide), rtol, atol, tolerances[2])
    if not close.all():
        text = f"{'Scalars' if kinds[0] is None else 'Tensor-likes'} are not {'equal' if exact else 'close'}!\n\n"
        _fail(msg, text + _explained(mine.astype(wide), theirs.astype(wide), close, rtol, atol), where)


def _explained(mine, theirs, close, rtol, atol):
    """Return how many elements differ, and by how much the worst does."""
    distance = np.abs(mine - theirs)
    worst = np.unravel_index(int(np.argmax(np.where(close, -1, np.nan_to_num(distance, nan=np.inf)))), close.shape)
    return (
        f"Mismatched elements: {(~close).sum()} / {close.size} ({100 * (~close).mean():.1f}%)\n"
        f"Greatest absolute difference: {distance[worst]} at index {tuple(map(int, worst))}; "
        f"allowed are atol={atol}, rtol={rtol}"
    )


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """Do what assert_close does, without comparing dtypes; PyTorch deprecates this older name."""
    if not isinstance(actual, Tensor):
        actual = FUNCTIONS["tensor"](actual)
    if not isinstance(expected, Tensor):
        expected = FUNCTIONS["tensor"](expected, dtype=actual.dtype)
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None)


def make_tensor(
    *shape, dtype, device, low=None, high=None, requires_grad=False, noncontiguous=False, exclude_zero=False,
    memory_format=None,
):  # fmt: skip
    """Return a tensor of random numbers in [low, high): by default -9 … 9, 0 … 9 for uint8, both values for bool.

    Arguments: noncontiguous (every second element of a larger memory), exclude_zero (1 instead of 0). ValueError for an
    empty range. Source: https://docs.pytorch.org/docs/stable/testing.html#torch.testing.make_tensor

    >>> import minigrad as mg
    >>> mg.testing.make_tensor(2, 3, dtype=mg.int64, device="cpu").shape
    minigrad.Size([2, 3])
    """
    if len(shape) == 1 and not isinstance(shape[0], int):
        shape = tuple(shape[0])
    kind = as_dtype(dtype).numpy.kind
    low = low if low is not None else 0 if kind in "ub" else -9
    high = high if high is not None else {"b": 2, "f": 9, "c": 9}.get(kind, 10)
    if low >= high:
        raise ValueError(f"make_tensor: low must be less than high, but got {low} >= {high}")
    apart = noncontiguous and len(shape) > 0
    size = (*shape[:-1], 2 * shape[-1]) if apart else shape
    if kind in "fc":
        made = FUNCTIONS["rand"](*size, dtype=dtype, device=device) * (high - low) + low
    else:
        made = FUNCTIONS["randint"](low, high, size, device=device).to(dtype)
    if exclude_zero:
        made = FUNCTIONS["where"](made == 0, FUNCTIONS["ones_like"](made), made)
    if apart:
        made = made[..., ::2]
    if memory_format is not None:
        made = made.contiguous(memory_format=memory_format)
    return made.requires_grad_(requires_grad)


__getattr__ = getter(__name__)
