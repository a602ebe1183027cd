"""Convolution with 1, 2, 3 … spatial dimensions: forward, gradient to the input, gradient to the weight.

x is (N, C, *size), w is (O, C / groups, *kernel), y and its gradient g are (N, O, *out);
``stride, padding, dilation`` are tuples with one int per spatial dimension.  g may have fewer positions than the input
has windows (a transposed convolution with much output padding): the last windows then count for nothing.
This file is the only place that chooses an algorithm; each has a file of its own with the three functions. GPU arrays
go to cuDNN where it is installed and has a plan, and else to im2col.
"""

from minigrad.backend import CONVOLUTIONS, np, xp
from minigrad.kernels import cuda
from minigrad.kernels.conv.blocked import forward_blocked, input_blocked, is_shared, weight_blocked
from minigrad.kernels.conv.pointwise import forward_pointwise, input_pointwise, is_pointwise, weight_pointwise
from minigrad.kernels.conv.reference import forward_reference, input_reference, weight_reference
from minigrad.kernels.conv.small import (
    forward_small,
    input_small,
    input_small_strided,
    is_small,
    suits_strided,
    weight_small,
)
from minigrad.kernels.conv.winograd import forward_winograd, input_winograd, suits_winograd, weight_winograd
from minigrad.kernels.im2col import window_count


def _through_float32(kernel, g, other, *args):
    """Run a kernel of two CPU float16 arrays in float32: NumPy's float16 products are slow and lose digits."""
    return kernel(g.astype(np.float32), other.astype(np.float32), *args).astype(np.float16)


def _cudnn_takes(x):
    """Return whether cuDNN is asked first for a convolution of this array; what it has no plan for, it returns None."""
    return type(x) is not np.ndarray and xp(x) is not np and not CONVOLUTIONS.plain and cuda.cudnn_conv.takes(x)


def convolve(x, w, bias, stride, padding, dilation, groups, relu=False):
    """Return y = w * x + bias, (N, O, *out); bias is (O,) or None. With relu, max(y, 0)."""
    if _cudnn_takes(x):
        y = cuda.cudnn_conv.convolve(x, w, bias, stride, padding, dilation, groups, relu)
        if y is not None:
            return y
    if x.dtype == np.float16 and xp(x) is np:
        wide = None if bias is None else bias.astype(np.float32)
        return _through_float32(_convolve, x, w, wide, stride, padding, dilation, groups, relu)
    return _convolve(x, w, bias, stride, padding, dilation, groups, relu)


def convolve_exact(x, w, stride, padding, dilation, groups):
    """Return y = w * x on the CPU, as sums of products only: of whole numbers exact as long as their sums are."""
    return _convolve(x, w, None, stride, padding, dilation, groups, False, winograd=False)


def _on_gpu(x, w, kernel):
    """Return whether the GPU's own kernels compute a convolution of two arrays; else the reference does."""
    return not CONVOLUTIONS.plain and x.size > 0 and w.size > 0 and cuda.im2col.takes(x, kernel)


def _convolve(x, w, bias, stride, padding, dilation, groups, relu, winograd=True):
    kernel = w.shape[2:]
    if type(x) is not np.ndarray and _on_gpu(x, w, kernel):
        return cuda.conv.forward(x, w, bias, stride, padding, dilation, groups, relu)
    small = is_pointwise(kernel, stride, padding) and not is_shared(x, w.size)
    if CONVOLUTIONS.plain or xp(x) is not np or not x.size:
        y = forward_reference(x, w, bias, stride, padding, dilation, groups)
    elif small:
        y = forward_pointwise(x, w, bias, groups)
    else:
        out = window_count(x.shape[2:], kernel, stride, padding, dilation)
        winograd = winograd and CONVOLUTIONS.winograd
        if winograd and suits_winograd(x, w.shape, stride, padding, dilation, groups, out):
            return forward_winograd(x, w, bias, padding, groups, relu)
        if not is_small(w.shape, stride, dilation, groups, out):
            return forward_blocked(x, w, bias, stride, padding, dilation, groups, relu)
        y = forward_small(x, w, bias, stride, padding, out)
    return y.clip(y.dtype.type(0), np.inf, out=y) if relu else y


def convolve_input(g, w, size, stride, padding, dilation, groups):
    """Return the gradient to the input, (N, C, *size): the transposed convolution of g (N, O, *out)."""
    if _cudnn_takes(g):
        gx = cuda.cudnn_conv.convolve_input(g, w, size, stride, padding, dilation, groups)
        if gx is not None:
            return gx
    if g.dtype == np.float16 and xp(g) is np:
        return _through_float32(convolve_input, g, w, size, stride, padding, dilation, groups)
    kernel = w.shape[2:]
    if type(g) is not np.ndarray and _on_gpu(g, w, kernel):
        return cuda.conv.input_gradient(g, w, size, stride, padding, dilation, groups)
    if CONVOLUTIONS.plain or xp(g) is not np or not g.size:
        return input_reference(g, w, size, stride, padding, dilation, groups)
    pointwise = is_pointwise(kernel, stride, padding) and tuple(size) == g.shape[2:]
    if pointwise and not is_shared(g, w.size):
        return input_pointwise(g, w, groups)
    whole = g.shape[2:] == window_count(size, kernel, stride, padding, dilation)
    if whole and CONVOLUTIONS.winograd and suits_winograd(g, w.shape, stride, padding, dilation, groups, size):
        return input_winograd(g, w, padding, groups)
    if stride != (1, 1):
        if suits_strided(g.shape, w.shape, dilation, groups):
            return input_small_strided(g, w, size, stride, padding)
    elif is_small(w.shape, stride, dilation, groups, g.shape[2:]):
        return input_small(g, w, size, padding)
    return input_blocked(g, w, size, stride, padding, dilation, groups)


def convolve_weight(g, x, kernel, stride, padding, dilation, groups):
    """Return the gradient to the weight, (O, C / groups, *kernel), for the gradient g (N, O, *out)."""
    if _cudnn_takes(x):
        gw = cuda.cudnn_conv.convolve_weight(g, x, kernel, stride, padding, dilation, groups)
        if gw is not None:
            return gw
    if x.dtype == np.float16 and xp(x) is np:
        return _through_float32(convolve_weight, g, x, kernel, stride, padding, dilation, groups)
    if type(x) is not np.ndarray and _on_gpu(g, x, kernel):
        return cuda.conv.weight_gradient(g, x, kernel, stride, padding, dilation, groups)
    if CONVOLUTIONS.plain or xp(x) is not np or not x.size or not g.size:
        return weight_reference(g, x, kernel, stride, padding, dilation, groups)
    pointwise = is_pointwise(kernel, stride, padding) and x.shape[2:] == g.shape[2:]
    if pointwise and not is_shared(g, g.shape[1] * x.shape[1] // groups):
        return weight_pointwise(g, x, groups)
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    whole = g.shape[2:] == window_count(x.shape[2:], kernel, stride, padding, dilation)
    suits = suits_winograd(x, shape, stride, padding, dilation, groups, g.shape[2:])
    if whole and CONVOLUTIONS.winograd and suits:
        return weight_winograd(g, x, kernel, padding, groups)
    if is_small(shape, stride, dilation, groups, g.shape[2:]):
        return weight_small(g, x, kernel, stride, padding)
    return weight_blocked(g, x, kernel, stride, padding, dilation, groups)
