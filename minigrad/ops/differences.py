"""Along a dimension: diff, gradient, trapezoid, cumulative_trapezoid; covariance and correlation."""

import warnings

from minigrad.backend import FLOAT_CODES
from minigrad.ops.complex import complex_op
from minigrad.ops.cumulative import cumsum_op
from minigrad.ops.define import alias, require_tensor
from minigrad.ops.linalg import matmul
from minigrad.ops.pieces import cat_op, slice_op
from minigrad.ops.reduce import mean_op, sum_op
from minigrad.ops.shape import permute_op, reshape_op
from minigrad.registry import FUNCTIONS, function
from minigrad.tensor import Tensor, normalize_dim


def _ends(input, dim):
    """Return the tensor without its first and without its last slice along dim."""
    length = input.array.shape[dim]
    first = slice_op(input, dim=dim, start=0, stop=max(length - 1, 0), step=1)
    return slice_op(input, dim=dim, start=min(1, length), stop=length, step=1), first


@function(method=True, out=True)
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """Return the n-th differences of neighbours along dim, after prepending and appending tensors.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.diff.html

    >>> import minigrad as mg
    >>> mg.diff(mg.tensor([1, 3, 2]))
    tensor([ 2, -1])
    """
    require_tensor("diff", input)
    if input.array.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    dim = normalize_dim(dim, input.array.ndim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    for word, other in (("prepend", prepend), ("append", append)):
        if other is not None and other.array.ndim != input.array.ndim:
            raise RuntimeError(f"diff expects {word} or append to be the same dimension as input")
        if other is not None and any(
            a != b for axis, (a, b) in enumerate(zip(other.array.shape, input.array.shape)) if axis != dim
        ):
            raise RuntimeError(
                f"diff expects the shape of tensor to prepend or append to match that of input except along the "
                f"differencing dimension; got {list(other.shape)} and {list(input.shape)}"
            )
    if n == 0:
        return FUNCTIONS["clone"](input)
    parts = [part for part in (prepend, input, append) if part is not None]
    if len(parts) > 1:
        input = cat_op(*parts, dim=dim)
    for _ in range(min(n, input.array.shape[dim])):
        after, before = _ends(input, dim)
        input = FUNCTIONS["logical_xor"](after, before) if input.array.dtype.kind == "b" else after - before
    return input


def _steps(name, y, x, dx, dim):
    """Return the widths of the intervals between neighbours along dim: a number or a Tensor that fits them."""
    if x is None:
        return 1 if dx is None else dx
    if dx is not None:
        raise TypeError(f"{name}() takes x or dx, not both")
    if x.array.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    if x.array.ndim == 1:
        if x.array.shape[0] != y.array.shape[dim]:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        x = reshape_op(x, shape=(-1,) + (1,) * (y.array.ndim - dim - 1))
        dim -= y.array.ndim
    else:
        missing = max(y.array.ndim - x.array.ndim, 0)
        x = reshape_op(x, shape=(1,) * missing + x.array.shape) if missing else x
        dim -= y.array.ndim
    after, before = _ends(x, dim + x.array.ndim)
    return after - before


def _areas(name, y, x, dx, dim):
    """Return (areas of the trapezoids between neighbours along dim, dim)."""
    require_tensor(name, y, "y")
    dim = normalize_dim(dim, y.array.ndim, wrap_scalar=False)
    if y.array.dtype.kind == "b":
        raise RuntimeError(f"{name}: received a bool input for `x` or `y`, but bool is not supported")
    widths = _steps(name, y, x, dx, dim)
    after, before = _ends(y, dim)
    return (after + before) * widths / 2.0, dim


@function()
def trapezoid(y, x=None, *, dx=None, dim=-1):
    """Return the integral of y along dim by the trapezoidal rule, at points x or in steps dx (default 1).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.trapezoid.html

    >>> import minigrad as mg
    >>> mg.trapezoid(mg.tensor([1.0, 5.0, 10.0]))
    tensor(10.5000)
    """
    areas, dim = _areas("trapezoid", y, x, dx, dim)
    return sum_op(areas, dim=(dim + areas.array.ndim - y.array.ndim,), keepdim=False)


@function()
def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """Return the running integral of y along dim by the trapezoidal rule; arguments as for trapezoid.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cumulative_trapezoid.html

    >>> import minigrad as mg
    >>> mg.cumulative_trapezoid(mg.tensor([1.0, 5.0, 10.0]))
    tensor([ 3.0000, 10.5000])
    """
    areas, dim = _areas("cumulative_trapezoid", y, x, dx, dim)
    return cumsum_op(areas, dim=dim + areas.array.ndim - y.array.ndim)


alias("trapz", "trapezoid", method=False)


# ---------------------------------------------------------------------- covariance
def _weights(input, fweights, aweights):
    """Return the product of both kinds of weights (or None) after PyTorch's checks."""
    count = input.array.shape[-1] if input.array.ndim else 1
    for word, weights, integer in (("fweights", fweights, True), ("aweights", aweights, False)):
        if weights is None:
            continue
        if weights.array.ndim > 1:
            raise RuntimeError(f"cov(): expected {word} to have one or fewer dimensions but got {weights.array.ndim}")
        if (weights.array.dtype.kind in "iu") is not integer:
            raise RuntimeError(f"cov(): expected {word} to have {'integral' if integer else 'floating point'} dtype")
        if weights.array.size != count:
            raise RuntimeError(f"cov(): expected {word} to have the same numel as there are observations in the input")
        if bool((weights.array < 0).any()):
            raise RuntimeError(f"cov(): {word} cannot be negative")
    if fweights is None or aweights is None:
        return aweights if fweights is None else fweights
    return fweights * aweights


@function(method=True)
def cov(input, *, correction=1, fweights=None, aweights=None):
    """Return the covariance matrix of variables (rows) over observations (columns).

    Arguments: input (at most 2-d Tensor), correction (degrees of freedom subtracted), fweights (how often each
    observation counts, integers), aweights (its importance, floats).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.cov.html

    >>> import minigrad as mg
    >>> mg.cov(mg.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    require_tensor("cov", input)
    if input.array.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.array.ndim}"
        )
    if input.array.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    weights = _weights(input, fweights, aweights)
    rows = reshape_op(input, shape=(1, -1)) if input.array.ndim < 2 else input
    if rows.array.dtype.char not in FLOAT_CODES:
        rows = rows * 1.0
    count = rows.array.shape[1]
    if weights is None:
        centred, freedom = rows - mean_op(rows, dim=(1,), keepdim=True), max(count - correction, 0)
        weighted = centred
    else:
        total = sum_op(weights, dim=None, keepdim=False)
        average = sum_op(rows * weights, dim=(1,), keepdim=True) / total
        centred = rows - average
        weighted = centred * weights
        spread_weight = total if aweights is None else sum_op(weights * aweights, dim=None, keepdim=False) / total
        lost = correction if aweights is None else correction * spread_weight
        freedom = FUNCTIONS["clamp_min"](total - lost, 0)
    if not isinstance(freedom, Tensor) and freedom <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.",
            stacklevel=2,
        )
    result = matmul(weighted, permute_op(centred.conj(), dims=(1, 0))) / freedom
    return reshape_op(result, shape=()) if result.array.size == 1 else result


@function(method=True)
def corrcoef(input):
    """Return the matrix of Pearson's correlation coefficients of variables (rows) over observations (columns).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.corrcoef.html

    >>> import minigrad as mg
    >>> mg.corrcoef(mg.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    covariance = cov(input)
    if covariance.array.ndim == 0:
        return covariance / covariance
    deviation = FUNCTIONS["sqrt"](FUNCTIONS["real"](FUNCTIONS["diagonal"](covariance)))
    scaled = covariance / reshape_op(deviation, shape=(-1, 1)) / reshape_op(deviation, shape=(1, -1))
    if scaled.array.dtype.kind == "c":
        return complex_op(*[FUNCTIONS["clip"](part, -1, 1) for part in (scaled.real, scaled.imag)])
    return FUNCTIONS["clip"](scaled, -1, 1)


# ---------------------------------------------------------------------- derivatives of sampled functions
def _part(input, dim, start, stop):
    return slice_op(input, dim=dim, start=start, stop=stop, step=1)


def _derivative(f, step, dim, edge_order):
    """Return the derivative along dim from central differences; step: a number, or the n - 1 distances, along dim."""
    n = f.array.shape[dim]
    left, middle, right = _part(f, dim, 0, n - 2), _part(f, dim, 1, n - 1), _part(f, dim, 2, n)
    if not isinstance(step, Tensor):
        inner = (right - left) / (2 * step)
        first = second = last = before_last = step
    else:
        before, after = _part(step, dim, 0, n - 2), _part(step, dim, 1, n - 1)
        inner = left * (-after / (before * (before + after))) + middle * ((after - before) / (before * after))
        inner = inner + right * (before / (after * (before + after)))
        first, second = _part(step, dim, 0, 1), _part(step, dim, 1, 2)
        last, before_last = _part(step, dim, n - 2, n - 1), _part(step, dim, n - 3, n - 2)
    ends = [_part(f, dim, place, place + 1) for place in (0, 1, n - 2, n - 1)]
    low, high = (ends[1] - ends[0]) / first, (ends[3] - ends[2]) / last
    if edge_order == 2:  # the slope of the parabola through three points: the chord's, moved by the second difference
        next_low = (_part(f, dim, 2, 3) - ends[1]) / second
        next_high = (ends[2] - _part(f, dim, n - 3, n - 2)) / before_last
        low = low + (low - next_low) * (first / (first + second))
        high = high + (high - next_high) * (last / (last + before_last))
    return cat_op(low, inner, high, dim=dim)


def _spacings(input, spacing, dims, given):
    """Return a number or a 1-d tensor of coordinates per dimension; RuntimeError for another count of them."""
    if spacing is None or isinstance(spacing, (bool, int, float, complex)):
        return [1 if spacing is None else spacing] * len(dims)
    if not isinstance(spacing, (list, tuple)):
        raise TypeError(f"gradient(): 'spacing' must be a number or a list of them or Tensors, not {type(spacing)}")
    if len(spacing) != len(dims):
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the "
            f"same length, but got a spacing argument of length {len(spacing)} and a dim argument of length "
            f"{len(dims)}."
            if given
            else "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to "
            f"'self.dim() = {input.array.ndim}', since dim argument was not given, but got a list of length "
            f"{len(spacing)}"
        )
    for dim, step in zip(dims, spacing, strict=True):
        if isinstance(step, Tensor) and step.array.ndim != 1:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, but got an element with "
                f"{step.array.ndim} dimensions!"
            )
        if isinstance(step, Tensor) and step.array.shape[0] != input.array.shape[dim]:
            raise RuntimeError(
                f"torch.gradient: {step.array.shape[0]} coordinates do not match the size {input.array.shape[dim]} of "
                f"dimension {dim}"
            )
    return list(spacing)


@function()
def gradient(input, *, spacing=1, dim=None, edge_order=1):
    """Return a tuple with the derivative of a sampled function along each of some dimensions, by central differences.

    Arguments: input (Tensor of samples), spacing (distance of the samples; or a list with one, or a 1-d Tensor of
    coordinates, per dimension), dim (int or list; None: all), edge_order (1 or 2: the error's order at the ends).
    RuntimeError for fewer than edge_order + 1 samples, another edge_order, lists of different lengths.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.gradient.html

    >>> import minigrad as mg
    >>> mg.gradient(mg.tensor([1.0, 4.0, 9.0, 16.0]))
    (tensor([3., 4., 6., 7.]),)
    """
    require_tensor("gradient", input)
    if input.array.dtype == "uint8":
        raise RuntimeError("torch.gradient does not support uint8 input.")
    ndim, given = input.array.ndim, dim is not None
    dims = range(ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    dims = [normalize_dim(one, ndim) for one in dims]
    for one in dims:
        if dims.count(one) > 1:
            raise RuntimeError(f"dim {one} appears multiple times in the list of dims")
    steps = _spacings(input, spacing, dims, given)
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if any(input.array.shape[one] <= edge_order for one in dims):
        raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    results = []
    for one, step in zip(dims, steps, strict=True):
        if isinstance(step, Tensor):
            step = reshape_op(diff(step), shape=tuple(-1 if axis == one else 1 for axis in range(ndim)))
        results.append(_derivative(input, step, one, edge_order))
    return tuple(results)
