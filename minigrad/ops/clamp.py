"""Bounds: clamp with numbers or tensors, nan_to_num."""

from minigrad.backend import REAL_CODES, asarray_like, float_limits, np, result_dtype, xp
from minigrad.op import Op
from minigrad.ops.core import cast
from minigrad.ops.define import require_tensor
from minigrad.ops.masked import keep_where
from minigrad.registry import function
from minigrad.tensor import Tensor

_SMALL = 1024  # elements


def _clamp(x, low, high):
    """Return min(max(x, low), high); NaN anywhere gives NaN."""
    module = xp(x)
    out = x if low is None else module.maximum(x, low)
    return out if high is None else module.minimum(out, high)


def _number_clamp(x, *, low, high):
    low = None if low is None else asarray_like(low, x)
    high = None if high is None else asarray_like(high, x)
    if low is None or high is None or not x.ndim:
        return _clamp(x, low, high)
    if x.size > _SMALL:
        return x.clip(low, high)  # several times faster than maximum and minimum, and slower to start
    out = xp(x).maximum(x, low)
    return xp(x).minimum(out, high, out=out)


def _inside(x, low, high):
    """Return where the bounds leave x alone."""
    mask = True if low is None else x >= low
    return mask if high is None else mask & (x <= high)


def _raised(x, low, high):
    """Return where the lower bound is the result."""
    mask = x < low
    return mask if high is None else mask & (low < high)


def _lowered(x, low, high):
    """Return where the upper bound is the result."""
    mask = x > high
    return mask if low is None else mask | (high < low)


inside_numbers = Op(lambda x, *, low, high: _inside(x, low, high), [None], name="inside_numbers")
inside_bounds = Op(_inside, [None, None, None], name="inside_bounds")
raised_to = Op(_raised, [None, None, None], name="raised_to")
lowered_to = Op(_lowered, [None, None, None], name="lowered_to")
clamp_number_op = Op(
    _number_clamp,
    [lambda g, x, low, high: keep_where(g, inside_numbers(x, low=low, high=high))],
    name="clamp_number",
)
clamp_op = Op(
    _clamp,
    [
        lambda g, x, low, high: keep_where(g, inside_bounds(x, low, high)),
        lambda g, x, low, high: keep_where(g, raised_to(x, low, high)),
        lambda g, x, low, high: keep_where(g, lowered_to(x, low, high)),
    ],
    name="clamp",
    promote="same",
    broadcast=True,
)


@function(method=True, inplace=True, out=True)
def clamp(input, min=None, max=None):
    """Return min(max(input, min), max), elementwise; where min > max the result is max.

    Arguments: input (Tensor), min, max (numbers, or Tensors; at least one). RuntimeError for none, TypeError for one
    of each kind. Where a bound is passed the input gets no gradient.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.clamp.html

    >>> import minigrad as mg
    >>> mg.clamp(mg.tensor([-2.0, 0.5, 2.0]), min=-1, max=1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    require_tensor("clamp", input)
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if input.array.dtype.kind == "c":
        raise NotImplementedError("clamp is not supported for complex types")
    bounds = [bound for bound in (min, max) if bound is not None]
    tensors = [bound for bound in bounds if isinstance(bound, Tensor)]
    if tensors:
        if len(tensors) != len(bounds):
            raise TypeError("clamp() expects min and max to be both numbers or both Tensors")
        return clamp_op(input, min, max)
    if not all(isinstance(bound, (bool, int, float)) or hasattr(bound, "dtype") for bound in bounds):
        raise TypeError(f"clamp(): min and max must be numbers or Tensors, but got {min!r} and {max!r}")
    # NumPy's numbers count as Python's: they must not widen the result.
    bounds = [bound.item() if hasattr(bound, "dtype") else bound for bound in bounds]
    dtype = result_dtype([input.array, *bounds])
    if dtype.kind == "b":
        raise NotImplementedError('"clamp_scalar_cpu" not implemented for bool')
    input = input if input.array.dtype == dtype else cast(input, dtype=dtype)
    return clamp_number_op(input, low=min, high=max)


@function(method=True, inplace=True, out=True)
def clip(input, min=None, max=None):
    """Return min(max(input, min), max): an alias of clamp.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.clip.html

    >>> import minigrad as mg
    >>> mg.clip(mg.tensor([-2.0, 2.0]), 0, 1)
    tensor([0., 1.])
    """
    return clamp(input, min, max)


@function(method=True, inplace=True, out=True)
def clamp_min(input, min):
    """Return max(input, min), elementwise.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.clamp.html

    >>> import minigrad as mg
    >>> mg.clamp_min(mg.tensor([-2.0, 2.0]), 0)
    tensor([0., 2.])
    """
    return clamp(input, min=min)


@function(method=True, inplace=True, out=True)
def clamp_max(input, max):
    """Return min(input, max), elementwise.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.clamp.html

    >>> import minigrad as mg
    >>> mg.clamp_max(mg.tensor([-2.0, 2.0]), 0)
    tensor([-2.,  0.])
    """
    return clamp(input, max=max)


def _nan_to_num(x, *, nan, posinf, neginf):
    if x.dtype.char not in REAL_CODES:
        return x.copy()
    limits = np.finfo(x.dtype)
    posinf = float(limits.max) if posinf is None else posinf
    neginf = float(limits.min) if neginf is None else neginf
    out = xp(x).where(xp(x).isnan(x), x.dtype.type(nan), x)
    out = xp(x).where(x == float("inf"), x.dtype.type(posinf), out)
    return xp(x).where(x == -float("inf"), x.dtype.type(neginf), out).astype(x.dtype, copy=False)


is_finite = Op(lambda x: xp(x).isfinite(x), [None], name="is_finite")
nan_to_num_op = Op(_nan_to_num, [lambda g, x: keep_where(g, is_finite(x))], name="nan_to_num")


@function(method=True, inplace=True, out=True)
def nan_to_num(input, nan=None, posinf=None, neginf=None):
    """Return input with NaN replaced by nan (default 0) and infinities by posinf, neginf (default: the dtype's limits).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nan_to_num.html

    >>> import minigrad as mg
    >>> mg.nan_to_num(mg.tensor([float("nan"), 1.0]))
    tensor([0., 1.])
    """
    require_tensor("nan_to_num", input)
    if input.array.dtype.char == "E":  # the op sees float32
        limits = float_limits(input.array.dtype)
        posinf = limits.max if posinf is None else posinf
        neginf = limits.min if neginf is None else neginf
    return nan_to_num_op(input, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)
