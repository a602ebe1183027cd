"""Making tensors by counting: ranges, lines, the identity, index grids."""

import itertools
import math
import warnings

from minigrad.backend import as_dtype, default_float, move, np, xp
from minigrad.ops.creation import as_index, finish, make
from minigrad.ops.layout import check_layout
from minigrad.registry import function
from minigrad.tensor import Tensor, wrap


# ---------------------------------------------------------------------- counted
def _number(value, name, argument):
    """Return a number or 0-d tensor as a Python number."""
    if isinstance(value, Tensor) and value.array.size == 1:
        return value.array.item()
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name}(): argument '{argument}' must be Number, not {type(value).__name__}")
    return value


@function()
def arange(
    start=None, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):
    """Return the numbers start, start + step, … below end: ceil((end - start) / step) of them.

    ``arange(end)`` starts at 0. The dtype is int64 if all arguments are ints, else the default float. RuntimeError for
    step 0 or bounds on the wrong sides. Source: https://docs.pytorch.org/docs/stable/generated/torch.arange.html

    >>> import minigrad as mg
    >>> mg.arange(1, 4)
    tensor([1, 2, 3])
    """
    check_layout(layout)
    start, end = (0, start) if end is None else (0 if start is None else start, end)
    start, end, step = (_number(v, "arange", n) for v, n in ((start, "start"), (end, "end"), (step, "step")))
    if step == 0:
        raise RuntimeError("arange(): step must be nonzero")
    if any(isinstance(v, float) and not math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"arange(): unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange(): upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    if dtype is None:
        dtype = out.dtype if out is not None else np.dtype(np.int64) if _all_ints(start, end, step) else default_float()
    kind = as_dtype(dtype).dtype.kind
    if kind == "b":
        raise RuntimeError("arange() is not implemented for 'Bool'")
    if as_dtype(dtype).dtype == np.int64:
        count = -((int(start) - int(end)) // int(step)) if int(step) else math.ceil((end - start) / step)
    else:
        count = math.ceil((end - start) / step)
    if kind in "iu":  # for smaller types elements are counted before start and step are truncated, as in PyTorch
        start, step = int(start), int(step)
        if step == 0 and out is not None:
            raise ValueError("arange(): step must be nonzero")

    def maker(module, shape, dtype):
        if dtype.kind in "iu":
            return (start + step * module.arange(count, dtype="int64")).astype(dtype, copy=False)
        return (start + step * module.arange(count, dtype="float64")).astype(dtype)

    return finish(make(None, dtype, device, maker), requires_grad, pin_memory, out, "arange")


def _all_ints(*values):
    return all(isinstance(value, int) for value in values)


@function()
def range(start, end, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):  # noqa: A001
    """Return start, start + step, … up to and including end, as floats; deprecated in favour of arange.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.range.html

    >>> import minigrad as mg
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     mg.range(1, 3)
    tensor([1., 2., 3.])
    """
    warnings.warn(
        "minigrad.range is deprecated, as PyTorch's is, because its behavior is inconsistent with Python's range "
        "builtin. "
        "Instead, use minigrad.arange, which produces values in [start, end).",
        stacklevel=2,
    )
    start, end, step = (_number(v, "range", n) for v, n in ((start, "start"), (end, "end"), (step, "step")))
    if step == 0:
        raise RuntimeError("range(): step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("range(): upper bound and lower bound inconsistent with step sign")
    count = math.floor((end - start) / step) + 1
    values = arange(count, dtype=default_float() if dtype is None else dtype, device=device, layout=layout).array
    return finish((values * step + start).astype(values.dtype), requires_grad, False, out, "range")


def _endpoint(value, name, argument):
    """Return an endpoint of linspace or logspace as a number: 0-d tensors are accepted, as in PyTorch."""
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise RuntimeError(f"{name}: only supports 0-dimensional {argument} and end tensors")
        return value.array.item()
    if isinstance(value, complex):
        return value
    return _number(value, name, argument)


@function()
def linspace(
    start, end, steps=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Return ``steps`` evenly spaced numbers from start to end, both included.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.linspace.html

    >>> import minigrad as mg
    >>> mg.linspace(0, 1, steps=5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    check_layout(layout)
    start, end, count = (
        _endpoint(start, "linspace", "start"),
        _endpoint(end, "linspace", "end"),
        _steps(steps, "linspace"),
    )
    dtype = _line_dtype(start, end, dtype, out)

    def maker(module, shape, dtype):
        return _line(module, start, end, count, dtype)

    return finish(make(None, dtype, device, maker), requires_grad, pin_memory, out, "linspace")


@function()
def logspace(
    start,
    end,
    steps=None,
    base=10.0,
    *,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
):
    """Return ``base`` to the power of ``steps`` evenly spaced numbers from start to end.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.logspace.html

    >>> import minigrad as mg
    >>> mg.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    check_layout(layout)
    start, end, count = (
        _endpoint(start, "logspace", "start"),
        _endpoint(end, "logspace", "end"),
        _steps(steps, "logspace"),
    )
    dtype = _line_dtype(start, end, dtype, out)

    def maker(module, shape, dtype):
        wide = "complex128" if dtype.kind == "c" else "float64"
        ends = (int(start), int(end)) if dtype.kind in "iu" else (start, end)
        line = _line(module, *ends, count, np.dtype(wide))
        return (float(base) ** line).astype(dtype)

    return finish(make(None, dtype, device, maker), requires_grad, pin_memory, out, "logspace")


def _line(module, start, end, count, dtype):
    """Return evenly spaced numbers, computed from both ends so that each is symmetric to its mirror image."""
    if count == 1:
        return module.full(1, start, dtype)
    if dtype.kind in "iu":  # truncated; one division per element, so that whole numbers come out whole
        start, end = int(start), int(end)
        numbers = module.arange(count, dtype="float64")
        return module.trunc(start + (end - start) * numbers / max(count - 1, 1)).astype(dtype)
    wide = np.dtype("complex128") if dtype.kind == "c" else np.dtype("float64")
    step = (end - start) / max(count - 1, 1)
    numbers = module.arange(count, dtype=wide)
    half = count // 2
    line = module.empty(count, wide)
    line[:half] = start + step * numbers[:half]
    line[half:] = end - step * (count - 1 - numbers[half:])
    return line.astype(dtype)


def _line_dtype(start, end, dtype, out):
    """Return the dtype of a line of numbers."""
    if dtype is not None:
        return dtype
    if out is not None:
        return out.dtype
    if isinstance(start, complex) or isinstance(end, complex):
        return np.dtype(np.complex128 if default_float().itemsize == 8 else np.complex64)
    return default_float()


def _steps(steps, name):
    if steps is None:
        raise TypeError(f"{name}(): missing the argument 'steps'")
    steps = as_index(steps) if not isinstance(steps, int) else steps
    if steps < 0:
        raise RuntimeError(f"{name}(): number of steps must be non-negative, but got {steps}")
    return steps


@function()
def eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Return the n×m matrix (m defaults to n) with ones on the diagonal.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.eye.html

    >>> import minigrad as mg
    >>> mg.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_layout(layout)
    m = n if m is None else m
    for value, name in ((n, "n"), (m, "m")):
        if not hasattr(value, "__index__"):
            raise TypeError(f"eye(): argument '{name}' must be int, not {type(value).__name__}")
        if value < 0:
            raise RuntimeError(f"eye(): {name} must be greater or equal to 0, got {value}")
    if out is not None and dtype is None:
        dtype = out.dtype
    array = make(None, dtype, device, lambda module, shape, dtype: module.eye(int(n), int(m), dtype=dtype))
    return finish(array, requires_grad, pin_memory, out, "eye")


def _triangle(row, col, offset, dtype, device, layout, pick, name):
    check_layout(layout)
    if row < 0 or col < 0:
        raise RuntimeError(f"{name}(): row and col must be non-negative, got {row} and {col}")
    chosen = np.dtype(np.int64) if dtype is None else dtype
    if as_dtype(chosen).dtype.kind not in "iu":
        raise RuntimeError(f"{name}() is not implemented for {as_dtype(chosen)}")

    def maker(module, shape, dtype):
        rows, columns = module.nonzero(pick(module, module.ones((row, col), "bool"), offset))
        return module.stack([rows, columns]).astype(dtype)

    return wrap(make(None, chosen, device, maker))


@function()
def tril_indices(row, col, offset=0, *, dtype=None, device=None, layout=None, requires_grad=False, pin_memory=False):
    """Return the (row, column) indices, (2, N), of the lower triangle of a row×col matrix.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.tril_indices.html

    >>> import minigrad as mg
    >>> mg.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    indices = _triangle(row, col, offset, dtype, device, layout, lambda m, ones, k: m.tril(ones, k), "tril_indices")
    return finish(indices.array, requires_grad, pin_memory)


@function()
def triu_indices(row, col, offset=0, *, dtype=None, device=None, layout=None, requires_grad=False, pin_memory=False):
    """Return the (row, column) indices, (2, N), of the upper triangle of a row×col matrix.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.triu_indices.html

    >>> import minigrad as mg
    >>> mg.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    indices = _triangle(row, col, offset, dtype, device, layout, lambda m, ones, k: m.triu(ones, k), "triu_indices")
    return finish(indices.array, requires_grad, pin_memory)


@function()
def combinations(input, r=2, with_replacement=False):
    """Return the combinations of r elements of a 1-dimensional tensor, one a row, in the order of itertools.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.combinations.html

    >>> import minigrad as mg
    >>> mg.combinations(mg.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.array.ndim != 1:
        raise RuntimeError(f"combinations(): Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"combinations(): Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(xp(input.array).empty((0,), input.array.dtype))
    count = input.array.shape[0]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(np.arange(count), r)), dtype=np.int64).reshape(-1, r)
    return input[wrap(move(rows, input.device))]


def _vander_power(x, count, increasing):
    """Return the exponents of a Vandermonde matrix's columns."""
    powers = np.arange(count)
    return wrap(move(powers if increasing else powers[::-1].copy(), x.device))


@function()
def vander(x, N=None, increasing=False):  # noqa: N803 - PyTorch's name
    """Return the matrix of powers of a 1-dimensional tensor, highest first unless increasing.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.vander.html

    >>> import minigrad as mg
    >>> mg.vander(mg.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if x.array.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.array.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    return x.unsqueeze(-1) ** _vander_power(x, count, increasing)
