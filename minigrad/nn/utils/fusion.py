"""Folding batch normalisation into the convolution or linear layer in front of it, for inference.

In evaluation batch norm multiplies each channel by a constant and adds one, and so can the layer before it:
(W x + b - mean) · s + shift = (W s) x + (b - mean) s + shift with s = weight / √(var + eps).
"""

import copy

from minigrad.absent import getter
from minigrad.autograd.grad_mode import no_grad
from minigrad.nn.pairs import call_pair
from minigrad.ops.creation import ones_like, zeros_like
from minigrad.ops.power import rsqrt_op
from minigrad.variable import Parameter

__all__ = [
    "call_pair",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
]


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """Return a copy of a convolution that computes bn(conv(x)); both must be in eval mode, bn with statistics.

    Argument: transpose (conv is a transposed convolution, with groups=1). AssertionError in training mode or without
    running statistics, RuntimeError where the channels do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_eval.html

    >>> import minigrad as mg
    >>> conv, bn = mg.nn.Conv2d(2, 3, 3).eval(), mg.nn.BatchNorm2d(3).eval()
    >>> bn.running_mean.fill_(0.5), bn.running_var.fill_(4.0)
    (tensor([0.5000, 0.5000, 0.5000]), tensor([4., 4., 4.]))
    >>> x = mg.rand(1, 2, 5, 5)
    >>> mg.allclose(mg.nn.utils.fusion.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6)
    True
    """
    _check_eval(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """Return (weight, bias) Parameters of the convolution that includes a batch norm.

    Arguments: conv_w (O, C / groups, *kernel), or (C, O, *kernel) if transpose; conv_b (O,) or None; bn_rm, bn_rv (O,),
    the running mean and variance; bn_eps; bn_w, bn_b (O,) or None. The results have the convolution's dtypes and
    require gradients if its weight and bias do. RuntimeError where the channels do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_weights.html

    >>> import minigrad as mg
    >>> one, zero = mg.ones(1), mg.zeros(1)
    >>> w, b = mg.nn.utils.fusion.fuse_conv_bn_weights(mg.ones(1, 1, 1), None, one, one * 4, 0.0, None, zero)
    >>> w.item(), b.item()
    (0.5, -0.5)
    """
    outputs = conv_w.shape[1 if transpose else 0]
    if outputs != bn_rm.shape[0]:
        raise RuntimeError(
            f"fuse_conv_bn_weights: a batch norm of {bn_rm.shape[0]} channels can't follow a "
            f"{'transposed ' if transpose else ''}convolution whose weight {list(conv_w.shape)} gives {outputs}"
            + (" (groups of transposed convolutions can't be fused)" if transpose else "")
        )
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    with no_grad():
        scale, shift = _scale_and_shift(conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
        return _parameters(conv_w, conv_w * scale.reshape(shape), conv_b, shift)


def fuse_linear_bn_eval(linear, bn):
    """Return a copy of a linear layer that computes bn(linear(x)); both must be in eval mode, bn with statistics.

    AssertionError in training mode, without running statistics, or where bn has neither 1 nor out_features features.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_linear_bn_eval.html

    >>> import minigrad as mg
    >>> linear, bn = mg.nn.Linear(2, 3).eval(), mg.nn.BatchNorm1d(3).eval()
    >>> x = mg.rand(4, 2)
    >>> mg.allclose(mg.nn.utils.fusion.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-6)
    True
    """
    _check_eval(linear, bn)
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, "
            f"got linear.out_features={linear.out_features} and bn.num_features={bn.num_features}"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        linear.weight, linear.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """Return (weight, bias) Parameters of the linear layer that includes a batch norm.

    Arguments: linear_w (out, in), linear_b (out,) or None, the rest as for `fuse_conv_bn_weights`.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_linear_bn_weights.html

    >>> import minigrad as mg
    >>> one = mg.ones(1)
    >>> w, b = mg.nn.utils.fusion.fuse_linear_bn_weights(mg.ones(1, 2), one, one, one * 4, 0.0, one * 3, one)
    >>> w.tolist(), b.item()
    ([[1.5, 1.5]], 1.0)
    """
    with no_grad():
        scale, shift = _scale_and_shift(linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
        return _parameters(linear_w, linear_w * scale.unsqueeze(-1), linear_b, shift)


def _check_eval(layer, bn):
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")


def _scale_and_shift(bias, mean, variance, eps, weight, shift):
    """Return what batch norm multiplies a layer's weight by, and the bias that takes its place: two (O,)."""
    bias = zeros_like(mean) if bias is None else bias
    weight = ones_like(mean) if weight is None else weight
    shift = zeros_like(mean) if shift is None else shift
    scale = weight * rsqrt_op(variance + eps)
    return scale, (bias - mean) * scale + shift


def _parameters(weight, fused_weight, bias, fused_bias):
    """Return the results as Parameters of the layer's dtypes, trainable where the layer's were."""
    fused_weight = fused_weight.to(dtype=weight.dtype)
    fused_bias = fused_bias.to(dtype=weight.dtype if bias is None else bias.dtype)
    return Parameter(fused_weight, weight.requires_grad), Parameter(fused_bias, bias is not None and bias.requires_grad)


__getattr__ = getter(__name__)
