"""Activations with more than one input or with randomness: prelu, rrelu, glu, gumbel_softmax."""

import warnings

from minigrad.backend import default_generator, xp
from minigrad.inplace import assign
from minigrad.kernels.mask import choose
from minigrad.op import Op
from minigrad.ops.activation import leaky_relu
from minigrad.ops.define import require_tensor
from minigrad.ops.masked import keep_where
from minigrad.ops.pieces import slice_op
from minigrad.ops.shape import reshape_op
from minigrad.ops.softmax import softmax_op
from minigrad.ops.unary import log_op, sigmoid_op
from minigrad.registry import function
from minigrad.tensor import normalize_dim, wrap


def _prelu(x, weight):
    return choose(x > 0, x, (x * weight).astype(x.dtype, copy=False))


positive_part = Op(lambda x: x > 0, [None], name="positive_part")
rest_part = Op(lambda x: ~(x > 0), [None], name="rest_part")
prelu_op = Op(
    _prelu,
    [
        lambda g, x, weight: keep_where(g, positive_part(x)) + keep_where(g * weight, rest_part(x)),
        lambda g, x: keep_where(g * x, rest_part(x)),
    ],
    broadcast=True,
)


@function(method=True)
def prelu(input, weight):
    """Return input where it is positive, weight * input elsewhere.

    Arguments: input (N, C, ...), weight (Tensor of 1 or C elements: one slope, or one per channel, which is dimension
    1). RuntimeError for another number of slopes.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.prelu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.prelu(mg.tensor([-1.0, 2.0]), mg.tensor([0.25]))
    tensor([-0.2500,  2.0000])
    """
    require_tensor("prelu", input)
    require_tensor("prelu", weight, "weight", 2)
    if input.array.dtype != weight.array.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}")
    ndim = input.array.ndim
    if weight.array.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.array.ndim}")
    if weight.array.size != 1:
        if ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.array.shape[1] if ndim > 1 else 1
        if weight.array.size != channels:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.array.size} and channel size = {channels}."
            )
    if weight.array.ndim and ndim != 1:
        shape = (1, -1) + (1,) * (ndim - 2) if ndim > 1 else ()
        weight = reshape_op(weight, shape=shape)
    return prelu_op(input, weight)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """Return input where it is positive, slope * input elsewhere; the slope is drawn per element in training.

    Arguments: input, lower, upper (bounds of the uniform distribution of slopes; their mean otherwise), training,
    inplace (write into input). RuntimeError if lower > upper.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.rrelu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.rrelu(mg.tensor([-1.0, 2.0]), 0.25, 0.25)
    tensor([-0.2500,  2.0000])
    """
    require_tensor("rrelu", input)
    if lower > upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound, but got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    array = input.array
    slopes = default_generator.on(xp(array)).random(array.shape) * (upper - lower) + lower
    result = prelu_op(input, wrap(slopes.astype(array.dtype)))
    return assign(input, result, "rrelu_") if inplace else result


def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """In-place variant of rrelu: writes the result into input and returns it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.rrelu_.html

    >>> import minigrad as mg
    >>> mg.rrelu_(mg.tensor([-4.0, 1.0]), 0.25, 0.25)
    tensor([-1.,  1.])
    """
    return rrelu(input, lower, upper, training, inplace=True)


function()(rrelu_)


@function(name="rrelu")
def _torch_rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """Return input where it is positive, slope * input elsewhere; see nn.functional.rrelu.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.rrelu.html

    >>> import minigrad as mg
    >>> mg.rrelu(mg.tensor([-4.0, 1.0]), 0.25, 0.25)
    tensor([-1.,  1.])
    """
    return rrelu(input, lower, upper, training)


def glu(input, dim=-1):
    """Return a * sigmoid(b), where a and b are the halves of input along dim.

    RuntimeError for an odd length. Dauphin et al., Language Modeling with Gated Convolutional Networks, 2017.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.glu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.glu(mg.tensor([2.0, 0.0]))
    tensor([1.])
    """
    require_tensor("glu", input)
    if input.array.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    dim = normalize_dim(dim, input.array.ndim)
    length = input.array.shape[dim]
    if length % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {length}")
    half = length // 2
    values = slice_op(input, dim=dim, start=0, stop=half, step=1)
    gates = slice_op(input, dim=dim, start=half, stop=length, step=1)
    return values * sigmoid_op(gates)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """Return a sample of the Gumbel-softmax distribution: softmax((logits + Gumbel noise) / tau) along dim.

    Arguments: logits (Tensor of unnormalised log probabilities), tau (temperature), hard (one-hot in the forward pass,
    the soft sample's gradient), eps (unused since PyTorch 1.x; warns when changed), dim.
    Jang et al., Categorical Reparameterization with Gumbel-Softmax, 2017.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gumbel_softmax.html

    >>> import minigrad as mg
    >>> mg.nn.functional.gumbel_softmax(mg.zeros(4), hard=True).sum()
    tensor(1.)
    """
    require_tensor("gumbel_softmax", logits)
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    array = logits.array
    dim = normalize_dim(dim, array.ndim)
    exponential = default_generator.on(xp(array)).exponential(size=array.shape).astype(array.dtype)
    soft = softmax_op((logits - log_op(wrap(exponential))) / tau, dim=dim)
    if not hard:
        return soft
    places = soft.array.argmax(axis=dim, keepdims=True)
    numbers = xp(array).arange(array.shape[dim]).reshape((-1,) + (1,) * (array.ndim - dim - 1))
    return wrap((places == numbers).astype(array.dtype)) - soft.detach() + soft
