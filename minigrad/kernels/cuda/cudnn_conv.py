"""Convolutions of GPU arrays by cuDNN: the three functions of minigrad/kernels/conv; None where it has no plan.

float16, bfloat16 and TF32 are computed by tensor cores, which read images channels last (NHWC): such results, and
copies of operands that lie otherwise, do so too, so that a network converts its input once. Shapes stay (N, C, *size).
Strict float32 and float64 use NCHW. Weights are converted at each call: a copy could miss a write to them.
"""

from minigrad.backend import CUDNN, cudnn, xp
from minigrad.kernels.cuda.im2col import empty
from minigrad.kernels.cuda.order import in_order
from minigrad.kernels.im2col import window_count

takes = cudnn.takes


def wants_channels_last(x):
    """Return whether convolutions of an array's type read and write images channels last."""
    return x.dtype.char in "eE" or x.dtype.char == "f" and CUDNN.allow_tf32


def convolve(x, w, bias, stride, padding, dilation, groups, relu=False):
    """Return y = w * x + bias, (N, O, *out); bias is (O,) or None. With relu, max(y, 0)."""
    last = wants_channels_last(x)
    out = window_count(x.shape[2:], w.shape[2:], stride, padding, dilation)
    y = empty(x, (x.shape[0], w.shape[0], *out), last)
    if not (x.size and w.size and y.size):
        return None
    run = _call(last, in_order(x, last), in_order(w, last), y, stride, padding, dilation)
    if bias is not None and run("forward", bias=xp(x).ascontiguousarray(bias), relu=relu):
        return y
    if not run("forward"):
        return None
    if bias is not None:
        y += bias.reshape(-1, *(1,) * len(out))
    return xp(x).maximum(y, y.dtype.type(0), out=y) if relu else y


def convolve_input(g, w, size, stride, padding, dilation, groups):
    """Return the gradient to the input, (N, C, *size): the transposed convolution of g (N, O, *out)."""
    last = wants_channels_last(g)
    size = tuple(size)
    covered, after = _reached(g.shape[2:], w.shape[2:], size, stride, padding, dilation)
    x = empty(g, (g.shape[0], groups * w.shape[1], *covered), last)
    if not (g.size and w.size and x.size):
        return None
    if not _call(last, x, in_order(w, last), in_order(g, last), stride, padding, dilation, after)("input"):
        return None
    if covered == size:
        return x
    whole = empty(g, (*x.shape[:2], *size), last)
    whole.fill(0)
    whole[(..., *map(slice, covered))] = x
    return whole


def convolve_weight(g, x, kernel, stride, padding, dilation, groups):
    """Return the gradient to the weight, (O, C / groups, *kernel), in that order, as the weight lies."""
    last = wants_channels_last(x)
    size = x.shape[2:]
    covered, after = _reached(g.shape[2:], kernel, size, stride, padding, dilation)
    if covered != size:
        x = x[(..., *(slice(max(length, 0)) for length in covered))]
    w = empty(x, (g.shape[1], x.shape[1] // groups, *kernel), last)
    if not (g.size and x.size and w.size):
        return None
    if not _call(last, in_order(x, last), w, in_order(g, last), stride, padding, dilation, after)("weight"):
        return None
    return in_order(w, False)


def _call(channels_last, x, w, y, stride, padding, dilation, after=None):
    """Return the function that computes one of the three arrays from the others."""

    def run(kind, **fused):
        return cudnn.convolution(
            kind, x, w, y, stride, padding, dilation, channels_last=channels_last, after=after, **fused
        )

    return run


def _reached(out, kernel, size, stride, padding, dilation):
    """Return (the part of the input that windows reach, padding behind it, or None for the usual).

    That is all of it where there are as many windows as fit. cuDNN wants that number, so that where there are fewer,
    after a transposed convolution with much output padding, the rest of the input is left out.
    """
    if out == window_count(size, kernel, stride, padding, dilation):
        return size, None
    ends = [(n - 1) * s + d * (k - 1) + 1 - p for n, k, s, p, d in zip(out, kernel, stride, padding, dilation)]
    covered = tuple(max(0, min(length, end)) for length, end in zip(size, ends, strict=True))
    return covered, tuple(max(0, end - length) for length, end in zip(size, ends, strict=True))
