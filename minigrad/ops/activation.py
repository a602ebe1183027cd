"""Activations with one input: piecewise linear, exponential and smooth units.

The functions have torch.nn.functional's signatures; those that PyTorch has at its top level too are registered there.
"""

import math

from minigrad.backend import FLOAT_CODES, REAL_CODES, asarray_like, np
from minigrad.inplace import assign, write_out, write_over
from minigrad.kernels import activation as kernels
from minigrad.op import Op
from minigrad.ops.clamp import clamp_number_op
from minigrad.ops.define import require_tensor
from minigrad.ops.masked import choose, keep_nonzero, keep_where
from minigrad.ops.unary import exp_op, sigmoid_op, tanh_op
from minigrad.precision import autocasting
from minigrad.registry import METHODS, function
from minigrad.tensor import Tensor

_DENSITY_AT_ZERO = 1 / math.sqrt(2 * math.pi)
_GELU_SCALE = math.sqrt(2 / math.pi)
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
_WRITTEN_OVER = 2**14  # elements from which on finding out whether memory may be used again costs less than new memory


# ---------------------------------------------------------------------- slopes of piecewise linear functions
def _between(x, *, low, high):
    return (x > low) & (x < high)


def _not_beyond(x, *, low, high):
    return ~((x <= low) | (x >= high))


def _outside(x, *, limit):
    return ~((x >= -limit) & (x <= limit))


strictly_between = Op(_between, [None], name="strictly_between")
not_beyond = Op(_not_beyond, [None], name="not_beyond")
outside = Op(_outside, [None])


# ---------------------------------------------------------------------- ops
def _hardtanh(x, *, low, high):
    return kernels.clip(x, low, high)


def _elu(x, *, alpha, scale, input_scale):
    return kernels.elu(x, alpha, scale, input_scale)


def _elu_gradient(g, x, alpha, scale, input_scale):
    negative = x <= 0
    slope = exp_op(keep_where(x, negative) * input_scale) * (alpha * scale * input_scale)
    return keep_where(g, not_linear(negative)) * scale + keep_where(g, negative) * slope


def _softplus_gradient(g, x, beta, threshold):
    linear = x * beta > threshold
    curved = sigmoid_op(x * beta)
    return keep_where(g, linear) + keep_where(g * curved, not_linear(linear))


not_linear = Op(lambda mask: ~mask, [None], name="not_linear")


def _gelu_slope_gradient(g, x):
    x = clamp_number_op(x, low=-15, high=15)  # the slope is flat beyond; float16 would overflow
    square = x * x
    return g * (exp_op(square * -0.5) * _DENSITY_AT_ZERO * (2 - square))


def _gelu_gradient(g, x):
    fused = None if isinstance(g, Tensor) else kernels.gradient("gelu", g, x)
    return g * gelu_slope(x) if fused is None else fused


def _leaky_relu_gradient(g, x, slope):
    fused = None if isinstance(g, Tensor) else kernels.gradient("leaky_relu", g, x, slope)
    return choose(above(x, limit=0), g, g * slope) if fused is None else fused


def _gelu_tanh_gradient(g, x):
    fused = None if isinstance(g, Tensor) else kernels.gradient("gelu_tanh", g, x)
    if fused is not None:
        return fused
    x = clamp_number_op(x, low=-10, high=10)  # the slope is 0 or 1 beyond; float16 would overflow
    square = x * x
    t = tanh_op(x * (square * 0.044715 + 1) * _GELU_SCALE)
    return g * ((t + 1) * 0.5 + x * (1 - t * t) * (square * (3 * 0.044715) + 1) * (0.5 * _GELU_SCALE))


def _silu_gradient(g, x):
    fused = None if isinstance(g, Tensor) else kernels.gradient("silu", g, x)
    if fused is not None:
        return fused
    s = sigmoid_op(x)
    return g * (s * (1 + x * (1 - s)))


def _mish_gradient(g, x):
    t = tanh_op(softplus_op(x, beta=1, threshold=20))
    return g * (t + x * sigmoid_op(x) * (1 - t * t))


def _hardswish_gradient(g, x):
    curved = keep_where(x / 3 + 0.5, strictly_between(x, low=-3, high=3))
    return g * curved + keep_where(g, not_less(x, limit=3))


# NaN is not 0: its gradient passes, here and where a rule says "not beyond", as in PyTorch.
relu_op = Op(kernels.relu, [lambda g, out: keep_nonzero(g, out)])
hardtanh_op = Op(
    _hardtanh, [lambda g, x, low, high: keep_where(g, not_beyond(x, low=low, high=high))], name="hardtanh"
)
leaky_relu_op = Op(
    lambda x, *, slope: kernels.leaky_relu(x, slope),
    [_leaky_relu_gradient],
    name="leaky_relu",
)
elu_op = Op(_elu, [_elu_gradient])
softplus_op = Op(
    lambda x, *, beta, threshold: kernels.softplus(x, beta, threshold), [_softplus_gradient], name="softplus"
)
logsigmoid_op = Op(lambda x: kernels.logsigmoid(x), [lambda g, x: g * sigmoid_op(-x)], name="logsigmoid")
gelu_op = Op(lambda x: kernels.gelu(x), [_gelu_gradient], name="gelu")
gelu_slope = Op(lambda x: kernels.gelu_slope(x), [_gelu_slope_gradient], name="gelu_slope")
gelu_tanh_op = Op(lambda x: kernels.gelu_tanh(x), [_gelu_tanh_gradient], name="gelu_tanh")
silu_op = Op(lambda x: kernels.silu(x), [_silu_gradient], name="silu")
mish_op = Op(lambda x: kernels.mish(x), [_mish_gradient], name="mish")
hardsigmoid_op = Op(
    lambda x: kernels.hardsigmoid(x),
    [lambda g, x: keep_where(g, strictly_between(x, low=-3, high=3)) / 6],
    name="hardsigmoid",
)
hardswish_op = Op(lambda x: kernels.hardswish(x), [_hardswish_gradient], name="hardswish")
hardshrink_op = Op(
    lambda x, *, lambd: kernels.hardshrink(x, lambd),
    [lambda g, x, lambd: keep_where(g, outside(x, limit=lambd))],
    name="hardshrink",
)
softshrink_op = Op(
    lambda x, *, lambd: kernels.softshrink(x, lambd),
    [lambda g, x, lambd: keep_where(g, outside(x, limit=lambd))],
    name="softshrink",
)
threshold_op = Op(
    lambda x, *, limit, value: kernels.threshold(x, limit, value),
    [lambda g, x, limit: keep_where(g, not_linear(not_above(x, limit=limit)))],
    name="threshold",
)
above = Op(lambda x, *, limit: x > limit, [None], name="above")
not_less = Op(lambda x, *, limit: ~(x < limit), [None], name="not_less")
not_above = Op(lambda x, *, limit: x <= limit, [None], name="not_above")


# ---------------------------------------------------------------------- public functions
def _threshold(input, limit, value):
    """Return input, and value where input <= limit; integers compare with, and take, truncated numbers."""
    array = input.array
    if array.dtype.kind in "iu":
        limit, value = (_as_integer(number, input) for number in (limit, value))
    return threshold_op(input, limit=limit, value=value)


def _as_integer(number, input):
    """Return a number as an integer of the input's dtype, negative ones wrapped; RuntimeError where it is too big."""
    bounds = np.iinfo(input.array.dtype)
    if not math.isfinite(number) or not min(bounds.min, -bounds.max) <= int(number) <= bounds.max:
        raise RuntimeError(f"value cannot be converted to type {input.dtype} without overflow")
    return asarray_like(int(number), input.array).item()


def _floats(name, input):
    """TypeError unless input is a Tensor, NotImplementedError unless it holds floats."""
    require_tensor(name, input)
    if input.array.dtype.char not in FLOAT_CODES:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}')
    return input


def _like(input, bound):
    """Return a bound as a number that does not change the dtype of an integer input."""
    return bound if input.array.dtype.char in REAL_CODES else int(bound)


def _written(result, out, name):
    """Return the result, written into out if one is given."""
    return result if out is None else write_out(out, result, name)


def _given(input, result, inplace, name):
    """Return the result, written into the input if inplace."""
    return assign(input, result, name) if inplace else result


def relu(input, inplace=False):
    """Return max(input, 0), written into input if inplace.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.relu(mg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    require_tensor("relu", input)
    if inplace and input.array.size >= _WRITTEN_OVER:
        written = write_over(relu_op, kernels.relu_into, input, name="relu_")
        if written is not None:
            return written
    return _given(input, relu_op(input), inplace, "relu_")


def relu6(input, inplace=False):
    """Return min(max(input, 0), 6), written into input if inplace.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu6.html

    >>> import minigrad as mg
    >>> mg.nn.functional.relu6(mg.tensor([-1.0, 8.0]))
    tensor([0., 6.])
    """
    require_tensor("relu6", input)
    return _given(input, hardtanh_op(input, low=0, high=6), inplace, "relu6_")


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """Return min(max(input, min_val), max_val), written into input if inplace.

    ValueError if min_val > max_val.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hardtanh.html

    >>> import minigrad as mg
    >>> mg.nn.functional.hardtanh(mg.tensor([-1.0, 2.0]))
    tensor([-1.,  1.])
    """
    require_tensor("hardtanh", input)
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if input.array.dtype.kind == "b":
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.array.dtype.kind == "u" and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    result = hardtanh_op(input, low=_like(input, min_val), high=_like(input, max_val))
    return _given(input, result, inplace, "hardtanh_")


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """Return input where it is positive, negative_slope * input elsewhere; written into input if inplace.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.leaky_relu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.leaky_relu(mg.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    _floats("leaky_relu", input)
    return _given(input, leaky_relu_op(input, slope=negative_slope), inplace, "leaky_relu_")


def elu(input, alpha=1.0, inplace=False):
    """Return input where it is positive, alpha * (exp(input) - 1) elsewhere; written into input if inplace.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.elu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.elu(mg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    _floats("elu", input)
    return _given(input, elu_op(input, alpha=alpha, scale=1.0, input_scale=1.0), inplace, "elu_")


def selu(input, inplace=False):
    """Return scale * elu(input, alpha) with the self-normalising constants; written into input if inplace.

    Klambauer et al., Self-Normalizing Neural Networks, 2017.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.selu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.selu(mg.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    _floats("selu", input)
    result = elu_op(input, alpha=SELU_ALPHA, scale=SELU_SCALE, input_scale=1.0)
    return _given(input, result, inplace, "selu_")


def celu(input, alpha=1.0, inplace=False):
    """Return input where positive, alpha * (exp(input / alpha) - 1) elsewhere; written into input if inplace.

    RuntimeError for alpha 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.celu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.celu(mg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    _floats("celu", input)
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    result = elu_op(input, alpha=alpha, scale=1.0, input_scale=1.0 / alpha)
    return _given(input, result, inplace, "celu_")


def gelu(input, *, approximate="none", out=None):
    """Return input times the standard normal distribution function at input (Hendrycks & Gimpel, 2016).

    approximate="tanh": 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). RuntimeError for another value.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gelu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.gelu(mg.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """
    _floats("gelu", input)
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, but got {approximate!r}.")
    return _written(gelu_op(input) if approximate == "none" else gelu_tanh_op(input), out, "gelu")


def silu(input, inplace=False):
    """Return input * sigmoid(input), written into input if inplace.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.silu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.silu(mg.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    _floats("silu", input)
    return _given(input, silu_op(input), inplace, "silu_")


def mish(input, inplace=False):
    """Return input * tanh(softplus(input)), written into input if inplace (Misra, 2019).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.mish.html

    >>> import minigrad as mg
    >>> mg.nn.functional.mish(mg.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """
    _floats("mish", input)
    return _given(input, mish_op(input), inplace, "mish_")


@autocasting
def softplus(input, beta=1, threshold=20, *, out=None):
    """Return log(1 + exp(beta * input)) / beta, and input itself where beta * input > threshold.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softplus.html

    >>> import minigrad as mg
    >>> mg.nn.functional.softplus(mg.tensor([-1.0, 2.0]))
    tensor([0.3133, 2.1269])
    """
    _floats("softplus", input)
    return _written(softplus_op(input, beta=beta, threshold=threshold), out, "softplus")


def softsign(input):
    """Return input / (1 + |input|).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softsign.html

    >>> import minigrad as mg
    >>> mg.nn.functional.softsign(mg.tensor([-1.0, 2.0]))
    tensor([-0.5000,  0.6667])
    """
    require_tensor("softsign", input)
    return input / (abs(input) + 1)


def hardsigmoid(input, inplace=False):
    """Return min(max(input / 6 + 1/2, 0), 1), written into input if inplace.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hardsigmoid.html

    >>> import minigrad as mg
    >>> mg.nn.functional.hardsigmoid(mg.tensor([-1.0, 2.0]))
    tensor([0.3333, 0.8333])
    """
    _floats("hardsigmoid", input)
    return _given(input, hardsigmoid_op(input), inplace, "hardsigmoid_")


def hardswish(input, inplace=False):
    """Return input * hardsigmoid(input), written into input if inplace.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hardswish.html

    >>> import minigrad as mg
    >>> mg.nn.functional.hardswish(mg.tensor([-1.0, 2.0]))
    tensor([-0.3333,  1.6667])
    """
    _floats("hardswish", input)
    return _given(input, hardswish_op(input), inplace, "hardswish_")


def softshrink(input, lambd=0.5, *, out=None):
    """Return input moved towards 0 by lambd; RuntimeError for a negative lambd.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softshrink.html

    >>> import minigrad as mg
    >>> mg.nn.functional.softshrink(mg.tensor([-1.0, 2.0]))
    tensor([-0.5000,  1.5000])
    """
    _floats("softshrink", input)
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return _written(softshrink_op(input, lambd=lambd), out, "softshrink")


def tanhshrink(input):
    """Return input - tanh(input).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.tanhshrink.html

    >>> import minigrad as mg
    >>> mg.nn.functional.tanhshrink(mg.tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.0360])
    """
    require_tensor("tanhshrink", input)
    return input - tanh_op(input)


def threshold(input, threshold, value, inplace=False):
    """Return input, and value where input <= threshold; written into input if inplace.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.threshold.html

    >>> import minigrad as mg
    >>> mg.nn.functional.threshold(mg.tensor([-1.0, 2.0]), 0.0, 9.0)
    tensor([9., 2.])
    """
    require_tensor("threshold", input)
    return _given(input, _threshold(input, threshold, value), inplace, "threshold_")


def logsigmoid(input, *, out=None):
    """Return log(sigmoid(input)) without overflow.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.logsigmoid.html

    >>> import minigrad as mg
    >>> mg.nn.functional.logsigmoid(mg.tensor([-1.0, 2.0]))
    tensor([-1.3133, -0.1269])
    """
    _floats("logsigmoid", input)
    return _written(logsigmoid_op(input), out, "logsigmoid")


@function(method=True, out=True)
def hardshrink(input, lambd=0.5):
    """Return input, and 0 where |input| <= lambd.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.hardshrink.html

    >>> import minigrad as mg
    >>> mg.nn.functional.hardshrink(mg.tensor([-0.2, 2.0]))
    tensor([0., 2.])
    """
    _floats("hardshrink", input)
    return hardshrink_op(input, lambd=lambd)


def _in_place_function(of):
    """Return NAME_, which writes the activation into its input."""

    def written(input, *args, **kwargs):
        return of(input, *args, inplace=True, **kwargs)

    written.__name__ = written.__qualname__ = of.__name__ + "_"
    arguments = ", 1.0, 0.0" if of.__name__ == "threshold" else ""
    written.__doc__ = (
        f"In-place variant of {of.__name__}: writes the result into input and returns it.\n\n"
        f"    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.{of.__name__}.html\n\n"
        "    >>> import minigrad as mg\n    >>> x = mg.tensor([0.0])\n"
        f"    >>> mg.nn.functional.{of.__name__}_(x{arguments}) is x\n    True\n    "
    )
    return written


relu_, relu6_, hardtanh_, leaky_relu_ = (_in_place_function(f) for f in (relu, relu6, hardtanh, leaky_relu))
elu_, selu_, celu_, threshold_ = (_in_place_function(f) for f in (elu, selu, celu, threshold))
for _activation in (relu_, selu_, celu_, threshold_):
    function()(_activation)


@function(method=True, name="relu")
def _torch_relu(input):
    """Return max(input, 0).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu.html

    >>> import minigrad as mg
    >>> mg.relu(mg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if not isinstance(input, Tensor):
        require_tensor("relu", input)
    return relu_op.call(input)


@function(name="selu")
def _torch_selu(input):
    """Return scale * elu(input, alpha) with the self-normalising constants; see nn.functional.selu.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.selu.html

    >>> import minigrad as mg
    >>> mg.selu(mg.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return selu(input)


@function(name="celu")
def _torch_celu(input, alpha=1.0):
    """Return input where positive, alpha * (exp(input / alpha) - 1) elsewhere; see nn.functional.celu.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.celu.html

    >>> import minigrad as mg
    >>> mg.celu(mg.tensor([-1.0, 1.0]))
    tensor([-0.6321,  1.0000])
    """
    return celu(input, alpha)


@function(name="threshold")
def _torch_threshold(input, threshold, value):
    """Return input, and value where input <= threshold; see nn.functional.threshold.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.threshold.html

    >>> import minigrad as mg
    >>> mg.threshold(mg.tensor([0.5, 2.0]), 1.0, 0.0)
    tensor([0., 2.])
    """
    require_tensor("threshold", input)
    return _threshold(input, threshold, value)


for _activation in (_torch_relu, _torch_selu, _torch_celu, _torch_threshold):
    _activation.__name__ = _activation.__name__.removeprefix("_torch_")
relu_op.call.__doc__ = _torch_relu.__doc__
Tensor.relu = METHODS["relu"] = relu_op.call
Tensor.relu_ = METHODS["relu_"] = relu_
