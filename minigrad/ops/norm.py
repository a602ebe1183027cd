"""Batch, layer, group, instance and root-mean-square normalisation: one operation, seen in different shapes."""

import functools
import math

from minigrad.backend import REAL_CODES, WATCHED, float_limits, np
from minigrad.backend.placement import check_device
from minigrad.interception import composite
from minigrad.kernels import channel_norm, cuda
from minigrad.kernels import norm as kernels
from minigrad.op import Op
from minigrad.ops.activation import relu_op
from minigrad.ops.arithmetic import add_op, mul_op
from minigrad.ops.core import sum_to
from minigrad.ops.define import require_tensor
from minigrad.ops.masked import keep_nonzero
from minigrad.ops.power import rsqrt_op
from minigrad.ops.reduce import mean_op
from minigrad.ops.shape import reshape_op
from minigrad.precision import autocasting
from minigrad.registry import function
from minigrad.tensor import Tensor, wrap
from minigrad.variable import MODE, is_tracked, touch


def _normalization(x, weight, bias, mean, rstd, *, view, affine, axes, eps, fixed, centred):
    weight, bias = (None if p is None else p.reshape(affine) for p in (weight, bias))
    return kernels.forward(x.reshape(view), weight, bias, mean if centred else None, rstd).reshape(x.shape)


def _normalization_gradient(g, x, weight, bias_shape, mean, rstd, view, affine, axes, eps, fixed, centred, needs):
    """Return the gradients, by the fused kernel or, when the pass is itself recorded, composed of simple operations."""
    if isinstance(g, Tensor):
        return _composed_gradient(g, x, weight, bias_shape, mean, rstd, view, affine, axes, eps, fixed, centred, needs)
    scale, like = (None, x) if weight is None else (weight.reshape(affine), weight)
    g_x, g_weight, g_bias = kernels.gradients(
        g.reshape(view), x.reshape(view), scale, mean if centred else None, rstd, axes, fixed, affine, needs
    )
    return (
        None if g_x is None else g_x.reshape(x.shape),
        None if g_weight is None else g_weight.reshape(weight.shape).astype(weight.dtype, copy=False),
        None if g_bias is None else g_bias.reshape(bias_shape).astype(like.dtype, copy=False),
        None,
        None,
    )


def _composed_gradient(g, x, weight, bias_shape, mean, rstd, view, affine, axes, eps, fixed, centred, needs):
    shape = x.shape
    g, x = reshape_op(g, shape=view), reshape_op(x, shape=view)
    if fixed:
        normal = (x - mean) * rstd
    else:
        centre = x - mean_op(x, dim=axes, keepdim=True) if centred else x
        rstd = rsqrt_op(mean_op(centre * centre, dim=axes, keepdim=True) + eps)
        normal = centre * rstd
    g_x = g_weight = g_bias = None
    if needs[0]:
        inner = g if weight is None else g * reshape_op(weight, shape=affine)
        g_x = inner
        if not fixed:
            if centred:
                g_x = g_x - mean_op(inner, dim=axes, keepdim=True)
            g_x = g_x - normal * mean_op(inner * normal, dim=axes, keepdim=True)
        g_x = reshape_op(g_x * rstd, shape=shape)
    if needs[1]:
        g_weight = reshape_op(sum_to(g * normal, shape=affine), shape=weight.shape)
    if needs[2]:
        g_bias = reshape_op(sum_to(g, shape=affine), shape=bias_shape)
    return g_x, g_weight, g_bias, None, None


# mean and rstd are arguments so that the statistics are computed once; where they are not fixed the gradient to x
# goes through them.
normalization = Op(_normalization, joint=_normalization_gradient, name="normalization")


def _normalization_relu(x, weight, bias, residual, mean, rstd, *, view, affine, axes, eps, fixed, centred):
    weight, bias = (None if p is None else p.reshape(affine) for p in (weight, bias))
    residual = None if residual is None else residual.reshape(view)
    return kernels.forward_relu(x.reshape(view), weight, bias, mean, rstd, residual).reshape(x.shape)


def _normalization_relu_gradient(
    g, x, weight, bias, residual_shape, mean, rstd, out, view, affine, axes, eps, fixed, centred, needs
):
    bias_shape = None if bias is None else bias.shape
    if isinstance(g, Tensor):
        g = keep_nonzero(g, out)
        parts = _composed_gradient(g, x, weight, bias_shape, mean, rstd, view, affine, axes, eps, fixed, centred, needs)
        return *parts[:3], g if needs[3] else None, None, None
    scale, shift = (None if p is None else p.reshape(affine) for p in (weight, bias))
    g_x, g_weight, g_bias, g_residual = kernels.relu_gradients(
        g.reshape(view), x.reshape(view), scale, shift, mean, rstd, residual_shape is not None, out.reshape(view), axes,
        fixed, affine, needs,
    )  # fmt: skip
    return (
        None if g_x is None else g_x.reshape(x.shape),
        None if g_weight is None else g_weight.reshape(weight.shape).astype(weight.dtype, copy=False),
        None if g_bias is None else g_bias.reshape(bias_shape).astype(bias.dtype, copy=False),
        None if g_residual is None else g_residual.reshape(x.shape),
        None,
        None,
    )


# relu(normalization + residual), whose gradient passes ReLU, sum and normalisation in the kernels of the latter.
normalization_relu = Op(_normalization_relu, joint=_normalization_relu_gradient, name="normalization_relu")


def _normalization_then_relu(x, weight, bias, mean, rstd, *, residual, **given):
    """Return relu(normalization(…) + residual) from one kernel; the graph is that of the two or three operations."""
    view, affine = given["view"], given["affine"]
    tensors = (x, weight, bias, mean, rstd)
    arrays = tuple(tensor.array if isinstance(tensor, Tensor) else tensor for tensor in tensors)
    scale, shift = (None if p is None else p.reshape(affine) for p in arrays[1:3])
    more = None if residual is None else residual.array.reshape(view)
    out = channel_norm.forward_relu(arrays[0].reshape(view), scale, shift, mean, rstd, more).reshape(x.array.shape)
    if not (MODE.grad and any(isinstance(t, Tensor) and is_tracked(t) for t in (*tensors, residual))):
        return wrap(out)
    # No gradient but relu's needs a result, so that relu's may stand in for the others.
    y = normalization.record(tensors, arrays, given, out)
    if residual is not None:
        y = add_op.record((y, residual), (out, residual.array), {}, out)
    return relu_op.record((y,), (out,), {}, out)


def _normalized(x, weight, bias, view, affine, axes, eps, *, statistics=None, centred=True, op=normalization):
    """Return x normalised over axes of its view; ``statistics``: (mean, variance) to use instead of x's own."""
    array = x.array.reshape(view)
    if statistics is None:
        mean, rstd = kernels.statistics(array, axes, eps, centred)
    else:
        mean, rstd = statistics[0], kernels.inverse_deviation(statistics[1], eps)
    return op(
        x, weight, bias, mean, rstd, view=view, affine=affine, axes=axes, eps=eps, fixed=statistics is not None,
        centred=centred,
    )  # fmt: skip


# ---------------------------------------------------------------------- checks
def _check_channels(name, channels, **tensors):
    """RuntimeError unless each tensor, where there is one, has one element per channel."""
    for what, tensor in tensors.items():
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            require_tensor(name, tensor, what)
        if tensor.array.size != channels:
            raise RuntimeError(f"{what} should contain {channels} elements not {tensor.array.size}")


def _check_float(name, x):
    if x.array.dtype.char not in REAL_CODES:
        raise RuntimeError(f"{name}: not implemented for {x.dtype}: the input has to be floating point")


def _check_same_dtype(name, x, *parameters):
    """RuntimeError for parameters of another dtype than the input; half precision goes with float32 parameters."""
    for parameter in parameters:
        if parameter is not None and parameter.array.dtype != x.array.dtype:
            if not (x.array.dtype.char in "eE" and parameter.array.dtype.char == "f"):
                raise RuntimeError(
                    f"{name}: expected parameters of the input's dtype, but the input is {x.dtype} and a parameter "
                    f"{parameter.dtype}; convert with .to(dtype)"
                )


# ---------------------------------------------------------------------- batch and instance norm
@composite
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05):
    """Return (x - mean) / √(var + eps) · weight + bias per channel, the statistics taken over everything else.

    Arguments: input (N, C, …), running_mean and running_var (C,) or None: used when not training, and otherwise
    updated in place, running = (1 - momentum) running + momentum batch (with the unbiased variance); weight, bias (C,).
    ValueError for training on one value per channel or with eps 0, RuntimeError for shapes that do not fit.
    Source: Ioffe & Szegedy 2015; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html

    >>> import minigrad as mg
    >>> x = mg.tensor([[1.0], [3.0]])
    >>> mg.nn.functional.batch_norm(x, None, None, training=True, eps=1e-9)
    tensor([[-1.],
            [ 1.]])
    """
    require_tensor("batch_norm", input)
    _check_batch(input, training, eps)
    return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def _check_batch(input, training, eps):
    """ValueError for training on one value per channel, or with eps 0."""
    shape = input.array.shape
    if training and len(shape) >= 2 and math.prod(shape) == shape[1] and math.prod(shape):
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    if eps <= 0.0 if training else eps < 0.0:
        bound = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {bound}, but got {eps}")


def batch_norm_relu(input, running_mean, running_var, weight, bias, training, momentum, eps, *, residual=None):
    """Return relu(batch_norm(…) + residual), of large arrays, and of all on a GPU, in fewer passes over memory."""
    x = input.array
    alike = residual is None or (residual.array.shape == x.shape and residual.array.dtype == x.dtype)
    unwatched = not (WATCHED and MODE.watchers)  # they see the operations one by one
    if type(x) is not np.ndarray and alike and unwatched and x.ndim > 1 and cuda.arrays.takes(x):
        _check_batch(input, training, eps)
        op = functools.partial(_with_residual, residual)
        return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps, op)
    view = (*x.shape[:2], math.prod(x.shape[2:]))
    large = x.ndim > 2 and x.size >= channel_norm.SMALLEST and type(x) is np.ndarray and unwatched
    suits = large and channel_norm.suits(x.reshape(view), (1, x.shape[1], 1))
    if suits and alike and all(p is None or p.array.dtype == x.dtype for p in (weight, bias)):
        op = functools.partial(_normalization_then_relu, residual=residual)
        return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps, op)
    y = batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    return relu_op(y if residual is None else y + residual)


def _with_residual(residual, x, weight, bias, mean, rstd, **given):
    return normalization_relu(x, weight, bias, residual, mean, rstd, **given)


def _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps, op=normalization):
    x = input.array
    if not x.size:  # nothing to normalise; weight and bias still get a gradient of zero
        out = input.clone()
        for parameter, combine in ((weight, mul_op), (bias, add_op)):
            out = out if parameter is None else combine(out, parameter.reshape(-1)[0])
        return out
    if x.ndim < 2:
        raise RuntimeError(f"batch_norm: expected an input of 2 or more dimensions, but got shape {list(x.shape)}")
    _check_float("batch_norm", input)
    batch, channels = x.shape[:2]
    _check_channels(
        "batch_norm", channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    _check_same_dtype("batch_norm", input, weight, bias)
    check_device("batch_norm", input, running_mean, running_var, weight, bias)
    spatial = math.prod(x.shape[2:])
    view = (batch, channels) if spatial == 1 else (batch, channels, spatial)
    affine = (1, channels) if spatial == 1 else (1, channels, 1)
    axes = (0,) if spatial == 1 else (0, 2)
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
        statistics = tuple(kernels.widened(running.array).reshape(affine) for running in (running_mean, running_var))
        return _normalized(input, weight, bias, view, affine, axes, eps, statistics=statistics, op=op)
    running = [None if tensor is None else tensor.array for tensor in (running_mean, running_var)]
    mean, rstd = kernels.batch_statistics(x.reshape(view), axes, eps, *running, momentum)
    for array in running:
        if array is not None:
            touch(array)
    return op(input, weight, bias, mean, rstd, view=view, affine=affine, axes=axes, eps=eps, fixed=False, centred=True)


def _update_running(running, value, momentum):
    """Move a running statistic towards a value, in place."""
    if running is None:
        return
    kernels.move(running.array, value, momentum)
    touch(running.array)


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-05
):
    """Return batch_norm of every sample by itself: statistics per sample and channel.

    Arguments: input (N, C, …), running_mean and running_var (C,) or None: used without use_input_stats, and otherwise
    updated in place with the mean over the batch; weight, bias (C,). ValueError for one spatial element.
    Source: Ulyanov et al. 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.instance_norm.html

    >>> import minigrad as mg
    >>> mg.nn.functional.instance_norm(mg.tensor([[[1.0, 3.0]]]), eps=0.0)
    tensor([[[-1.,  1.]]])
    """
    require_tensor("instance_norm", input)
    x = input.array
    if use_input_stats and x.ndim >= 2 and math.prod(x.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return _batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if x.ndim < 2:
        raise RuntimeError(f"instance_norm: expected an input of 2 or more dimensions, but got shape {list(x.shape)}")
    _check_float("instance_norm", input)
    batch, channels = x.shape[:2]
    _check_channels(
        "instance_norm", channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    _check_same_dtype("instance_norm", input, weight, bias)
    spatial = math.prod(x.shape[2:])
    view, affine, axes = (batch, channels, spatial), (1, channels, 1), (2,)
    if running_mean is None and running_var is None:
        mean, rstd = kernels.statistics(x.reshape(view), axes, eps)
    else:
        mean, variance = kernels.moments(x.reshape(view), axes)
        _update_running(running_mean, mean.mean(axis=0), momentum)
        _update_running(running_var, (variance * (spatial / (spatial - 1))).mean(axis=0), momentum)
        rstd = kernels.inverse_deviation(variance, eps)
    return normalization(
        input, weight, bias, mean, rstd, view=view, affine=affine, axes=axes, eps=eps, fixed=False, centred=True
    )


# ---------------------------------------------------------------------- group norm
@autocasting
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-05):
    """Return x normalised over each sample's groups of channels, times weight plus bias per channel.

    Arguments: input (N, C, …), num_groups (divides C), weight, bias (C,). RuntimeError if it does not.
    Source: Wu & He 2018; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.group_norm.html

    >>> import minigrad as mg
    >>> mg.nn.functional.group_norm(mg.tensor([[1.0, 3.0, 5.0, 9.0]]), 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    require_tensor("group_norm", input)
    x = input.array
    if x.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {x.ndim}")
    batch, channels = x.shape[:2]
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(x.shape)} and num_groups={num_groups}"
        )
    _check_float("group_norm", input)
    for what, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.array.shape != (channels,):
            raise RuntimeError(
                f"Expected {what} to be a vector of size equal to the number of channels in input, but got {what} of "
                "shape "
                f"{list(tensor.shape)} and input of shape {list(x.shape)}"
            )
    _check_same_dtype("group_norm", input, weight, bias)
    spatial = math.prod(x.shape[2:])
    if batch * spatial * (channels // num_groups) == 1:
        size = [batch * num_groups, channels // num_groups, *x.shape[2:]]
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")
    view = (batch, num_groups, channels // num_groups, spatial)
    return _normalized(input, weight, bias, view, (1, num_groups, channels // num_groups, 1), (2, 3), eps)


# ---------------------------------------------------------------------- layer norm and RMS norm
def _normalized_view(name, input, normalized_shape, **parameters):
    """Return (view, affine shape) of the last dimensions; RuntimeError if they are not normalized_shape."""
    require_tensor(name, input)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    x = input.array
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, "
            f"but got normalized_shape = {list(shape)}"
        )
    if name != "rms_norm" or x.dtype.kind != "c":
        _check_float(name, input)
    for what, tensor in parameters.items():
        if tensor is not None and tensor.array.shape != shape:
            raise RuntimeError(
                f"Expected {what} to be of same shape as normalized_shape, but got {what} of shape "
                f"{list(tensor.shape)} "
                f"and normalized_shape = {list(shape)}"
            )
    if x.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*{''.join(f', {n}' for n in shape)}], "
            f"but got input of size{list(x.shape)}"
        )
    _check_same_dtype(name, input, *parameters.values())
    length = math.prod(shape)
    return (math.prod(x.shape[: x.ndim - len(shape)]), length), (1, length)


@autocasting
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05):
    """Return x normalised over its last dimensions, times weight plus bias per element of them.

    Arguments: input (…, *normalized_shape), normalized_shape (sequence of ints), weight, bias (*normalized_shape).
    Source: Ba et al. 2016; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html

    >>> import minigrad as mg
    >>> mg.nn.functional.layer_norm(mg.tensor([[1.0, 3.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.]])
    """
    view, affine = _normalized_view("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return _normalized(input, weight, bias, view, affine, (1,), eps)


@autocasting
def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Return x / √(mean(x²) + eps) · weight over the last dimensions.

    Arguments: input (…, *normalized_shape), weight (*normalized_shape), eps (default: the dtype's rounding unit).
    Source: Zhang & Sennrich 2019; https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.rms_norm.html

    >>> import minigrad as mg
    >>> mg.nn.functional.rms_norm(mg.tensor([3.0, 4.0]), (2,), eps=0.0) * 12.5**0.5
    tensor([3., 4.])
    """
    view, affine = _normalized_view("rms_norm", input, normalized_shape, weight=weight)
    if input.array.dtype.kind == "c":  # the squares are those of complex numbers, as in PyTorch
        dims = tuple(range(-(1 if isinstance(normalized_shape, int) else len(normalized_shape)), 0))
        eps = float(float_limits(input.array.real.dtype).eps) if eps is None else eps
        normalized = input * ((input * input).mean(dims, keepdim=True) + eps).rsqrt()
        return normalized if weight is None else normalized * weight
    eps = float(float_limits(input.array.dtype).eps) if eps is None else eps
    return _normalized(input, weight, None, view, affine, (1,), eps, centred=False)


# ---------------------------------------------------------------------- the same under the names of minigrad itself
@function(name="batch_norm")
def _torch_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled):
    """Batch norm with torch.batch_norm's order of arguments (cudnn_enabled only chooses a kernel there).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html

    >>> import minigrad as mg
    >>> x = mg.tensor([[1.0], [3.0]])
    >>> mg.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@function(name="instance_norm")
def _torch_instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled):
    """Instance norm with torch.instance_norm's order of arguments (cudnn_enabled only chooses a kernel there).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.instance_norm.html

    >>> import minigrad as mg
    >>> mg.instance_norm(mg.tensor([[[1.0, 3.0]]]), None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[[-1.0000,  1.0000]]])
    """
    return instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


@function(name="layer_norm")
def _torch_layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05, cudnn_enable=True):
    """Layer norm with torch.layer_norm's arguments (cudnn_enable only chooses a kernel there).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html

    >>> import minigrad as mg
    >>> mg.layer_norm(mg.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    return layer_norm(input, normalized_shape, weight, bias, eps)


@function(name="group_norm")
def _torch_group_norm(input, num_groups, weight=None, bias=None, eps=1e-05, cudnn_enabled=True):
    """Group norm with torch.group_norm's arguments (cudnn_enabled only chooses a kernel there).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.group_norm.html

    >>> import minigrad as mg
    >>> mg.group_norm(mg.tensor([[1.0, 3.0]]), 1)
    tensor([[-1.0000,  1.0000]])
    """
    return group_norm(input, num_groups, weight, bias, eps)


function(name="rms_norm")(rms_norm)
