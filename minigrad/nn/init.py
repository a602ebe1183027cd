"""Initialisation of parameters, in place and unrecorded.

Source: https://docs.pytorch.org/docs/stable/nn.init.html
"""

import contextlib
import functools
import math
import threading
import warnings

from minigrad.backend import default_generator, np, xp
from minigrad.tensor import Tensor
from minigrad.variable import touch

_LINEAR = {
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid",
}  # fmt: skip


def calculate_gain(nonlinearity, param=None):
    """Return the factor by which a nonlinearity's input weights are scaled to keep the variance of activations.

    Arguments: nonlinearity (name: linear, conv2d, sigmoid, tanh, relu, leaky_relu, selu), param (negative slope of
    leaky_relu, default 0.01). ValueError for another name.
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> round(mg.nn.init.calculate_gain("relu"), 4)
    1.4142
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "selu":
        return 3.0 / 4
    if nonlinearity == "leaky_relu":
        if param is None:
            slope = 0.01
        elif isinstance(param, (int, float)) and not isinstance(param, bool):
            slope = param
        else:
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


# ---------------------------------------------------------------------- building without values
class _State(threading.local):
    paused = False


_STATE = _State()


@contextlib.contextmanager
def paused():
    """Leave out random initialisation in the block: parameters keep whatever their memory holds.

    For models whose weights are loaded next or don't matter: a large one is then built in no time, and memory that
    nobody writes costs none. Constants (biases, batch norm) are still set.
    Compare https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html

    >>> import minigrad as mg
    >>> with mg.nn.init.paused():
    ...     layer = mg.nn.Linear(10_000, 10_000)  # 400 MB, none of it touched
    >>> layer.weight.shape
    minigrad.Size([10000, 10000])
    """
    before, _STATE.paused = _STATE.paused, True
    try:
        yield
    finally:
        _STATE.paused = before


# ---------------------------------------------------------------------- raw values
def _write(tensor, values):
    """Write raw values into a tensor's memory, unrecorded; returns the tensor."""
    tensor.array[...] = values
    touch(tensor.array)
    return tensor


def _check(tensor):
    if not isinstance(tensor, Tensor):
        raise TypeError(f"init: expected a Tensor, but got {type(tensor).__name__}")


def _standard(tensor, kind, generator):
    """Return standard "random" (uniform in [0, 1)) or "standard_normal" values for a tensor, in float32 or float64."""
    array = tensor.array
    source = (default_generator if generator is None else generator).on(xp(array))
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    return getattr(source, kind)(array.shape, dtype=dtype)


def _uniform(tensor, low, high, generator=None):
    if _STATE.paused:
        return tensor
    values = _standard(tensor, "random", generator)
    values *= high - low
    values += low
    return _write(tensor, values)


def _normal(tensor, mean, std, generator=None):
    if _STATE.paused:
        return tensor
    values = _standard(tensor, "standard_normal", generator)
    values *= std
    values += mean
    return _write(tensor, values)


# ---------------------------------------------------------------------- distributions
def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fill with values from the uniform distribution U(a, b); returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> bool((mg.nn.init.uniform_(mg.zeros(100), 2, 3) >= 2).all())
    True
    """
    _check(tensor)
    if a > b:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    return _uniform(tensor, a, b, generator)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fill with values from the normal distribution N(mean, std²); returns the tensor.

    Arguments: tensor (any shape), mean, std, generator.
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> weight = mg.empty(2, 3)
    >>> mg.nn.init.normal_(weight, mean=0.0, std=0.02) is weight
    True
    """
    _check(tensor)
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return _normal(tensor, mean, std, generator)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Fill with values from N(mean, std²), those outside [a, b] drawn again; returns the tensor.

    The values come from the inverse of the normal distribution function at uniform points between those of a and b.

    Arguments: tensor (any shape), mean, std, a, b, generator.
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> weight = mg.nn.init.trunc_normal_(mg.empty(100), std=2.0)
    >>> bool(weight.abs().max() <= 2)
    True
    """
    _check(tensor)
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be "
            "incorrect.",
            stacklevel=2,
        )
    if _STATE.paused:
        return tensor
    low, high = (0.5 * (1 + math.erf((bound - mean) / std / math.sqrt(2))) for bound in (a, b))
    points = _standard(tensor, "random", generator)
    # the middles of their steps: at 0 itself, which one float32 in 2^24 is, the quantile is 37 deviations away
    points = points.astype(np.float64) + np.finfo(points.dtype).eps / 4
    values = _normal_quantile(low + (high - low) * points) * std + mean
    return _write(tensor, values.clip(a, b))


def _normal_quantile(p):
    """Return the inverse of the standard normal distribution function: Acklam's rational approximation.

    Its relative error is below 1.2e-9, which is enough for random values.
    Source: P. J. Acklam, An algorithm for computing the inverse normal cumulative distribution function.
    """
    module = xp(p)
    a = (-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.3577518672690, -30.66479806614716)
    a += (2.506628277459239,)
    b = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0)
    c = (-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968)
    c += (2.938163982698783,)
    d = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0)
    tail = 0.02425
    p = module.clip(p, 1e-300, 1 - 1e-16)
    q = p - 0.5
    r = q * q
    middle = q * _polynomial(a, r) / _polynomial(b, r)
    t = module.sqrt(-2 * module.log(module.minimum(p, 1 - p)))
    outer = _polynomial(c, t) / _polynomial(d, t)
    return module.where(abs(q) <= 0.5 - tail, middle, module.where(q < 0, outer, -outer))


def _polynomial(coefficients, x):
    result = coefficients[0]
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


# ---------------------------------------------------------------------- fixed values
def constant_(tensor, val):
    """Fill with one value; returns the tensor.

    Arguments: tensor (any shape), val.
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> mg.nn.init.constant_(mg.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    _check(tensor)
    return _write(tensor, val)


def ones_(tensor):
    """Fill with ones; returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> mg.nn.init.ones_(mg.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor):
    """Fill with zeros; returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> mg.nn.init.zeros_(mg.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def eye_(tensor):
    """Fill a matrix with the identity: inputs pass a linear layer unchanged. ValueError unless 2-dimensional.

    Argument: tensor (rows, columns).
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> mg.nn.init.eye_(mg.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _write(tensor, xp(tensor.array).eye(*tensor.shape))


def dirac_(tensor, groups=1):
    """Fill a convolution's weight so that each group's inputs pass unchanged to its outputs; returns the tensor.

    Arguments: tensor (3, 4 or 5 dimensions: out channels, in channels / groups, kernel), groups (int).
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> mg.nn.init.dirac_(mg.empty(1, 1, 3))
    tensor([[[0., 1., 0.]]])
    """
    dimensions = tensor.ndim
    if dimensions not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    sizes = tensor.shape
    if sizes[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    per_group = sizes[0] // groups
    values = np.zeros(sizes)
    centre = tuple(length // 2 for length in sizes[2:])
    for group in range(groups):
        for channel in range(min(per_group, sizes[1])):
            values[(group * per_group + channel, channel, *centre)] = 1
    return _write(tensor, xp(tensor.array).asarray(values))


# ---------------------------------------------------------------------- scaled by the layer's size
def _calculate_fan_in_and_fan_out(tensor):
    """Return (inputs of one output, outputs of one input) of a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    sizes = tensor.shape
    receptive_field = math.prod(sizes[2:])
    return sizes[1] * receptive_field, sizes[0] * receptive_field


def _calculate_correct_fan(tensor, mode):
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fill from U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)); returns the tensor. Source: Glorot & Bengio 2010.

    >>> import minigrad as mg
    >>> bool((mg.nn.init.xavier_uniform_(mg.empty(3, 5)).abs() <= (6 / 8) ** 0.5).all())
    True
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6.0 / (fan_in + fan_out))
    return _uniform(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fill from N(0, std²), std = gain sqrt(2 / (fan_in + fan_out)); returns the tensor. Source: Glorot 2010.

    Arguments: tensor (at least 2 dimensions), gain, generator.
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> weight = mg.nn.init.xavier_normal_(mg.empty(300, 200))
    >>> round(weight.std().item(), 2)
    0.06
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return _normal(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    """Return gain / sqrt(fan); None for a tensor without elements, which nothing can fill."""
    _check(tensor)
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill from U(-bound, bound), bound = gain sqrt(3 / fan); returns the tensor. Source: He et al. 2015.

    Arguments: a (negative slope of leaky_relu), mode (fan_in keeps the variance forward, fan_out backward).
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> weight = mg.nn.init.kaiming_uniform_(mg.empty(4, 6), nonlinearity="relu")
    >>> bool(weight.abs().max() <= 1)
    True
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else _uniform(tensor, -math.sqrt(3.0) * std, math.sqrt(3.0) * std, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill from N(0, std²), std = gain / sqrt(fan); returns the tensor. Source: He et al. 2015.

    Arguments: as for kaiming_uniform_.
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> weight = mg.nn.init.kaiming_normal_(mg.empty(300, 200), nonlinearity="relu")
    >>> round(weight.std().item(), 1)
    0.1
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else _normal(tensor, 0.0, std, generator)


def orthogonal_(tensor, gain=1, generator=None):
    """Fill with a (semi-)orthogonal matrix times gain; further dimensions are flattened. Source: Saxe et al. 2013.

    >>> import minigrad as mg
    >>> w = mg.nn.init.orthogonal_(mg.empty(2, 5, dtype=mg.float64))
    >>> bool(((w @ w.t() - mg.eye(2, dtype=mg.float64)).abs() < 1e-9).all())
    True
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0 or _STATE.paused:
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    module = xp(tensor.array)
    flat = _standard(tensor, "standard_normal", generator).reshape(rows, columns)
    q, r = module.linalg.qr(flat.T if rows < columns else flat)
    q = q * module.sign(module.diag(r))  # which makes the distribution uniform: Mezzadri 2006
    return _write(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Fill a matrix from N(0, std²) and set a fraction ``sparsity`` of each column to zero; returns the tensor.

    Arguments: tensor (rows, columns), sparsity (0 … 1), std, generator.
    Source: https://docs.pytorch.org/docs/stable/nn.init.html

    >>> import minigrad as mg
    >>> weight = mg.nn.init.sparse_(mg.empty(10, 2), sparsity=0.3)
    >>> (weight == 0).sum(dim=0)
    tensor([3, 3])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    if _STATE.paused:
        return tensor
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    _normal(tensor, 0.0, std, generator)
    source = (default_generator if generator is None else generator).numpy
    values = tensor.array.copy()
    for column in range(columns):
        values[source.permutation(rows)[:zeros], column] = 0
    return _write(tensor, values)


# ---------------------------------------------------------------------- deprecated names
def _deprecated(function):
    """Return the function under its name without the underscore; calling it warns."""
    new_name = function.__name__
    old_name = new_name[:-1]

    @functools.wraps(function)
    def old(*args, **kwargs):
        warnings.warn(
            f"`nn.init.{old_name}` is now deprecated in favor of `nn.init.{new_name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    old.__name__ = old.__qualname__ = old_name
    old.__doc__ = f"Deprecated name of {new_name}."
    return old


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
