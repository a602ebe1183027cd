"""Launchers of activation.cu: activations, with what is added before them, and their gradients."""

from minigrad.backend import xp
from minigrad.kernels.cuda.arrays import arranged, dense, like, pack, values
from minigrad.kernels.cuda.source import Source

_SOURCE = Source("activation.cu", defines={"PACKED": (0, 1)})
_KINDS = ("none", "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "gelu_tanh", "silu")


def _launch(name, size, arrays, before, *after):
    together = pack(size, *arrays)
    kernel = _SOURCE.kernel(name, arrays[0].dtype, PACKED=int(together > 1))
    packs = arrays[0].size // together
    kernel(threads=packs, args=(*before, packs, *after))


def forward(kind, x, option=0.0, out=None):
    """Return an activation of x, written into out if given, which may be x; option: the slope of leaky_relu."""
    x = dense(x)
    if out is None or out.strides != x.strides:
        result = xp(x).empty_like(x)
    else:
        result = out
    _launch("forward", x.size, (x, result), (x, None, None, result), 1, 1, _KINDS.index(kind), float(option))
    if out is not None and out is not result:
        out[...] = result
    return result if out is None else out


def biased(kind, x, bias, residual=None, option=0.0, inplace=False):
    """Return activation(x + bias + residual): x (N, C, …), bias (C,) or None, residual of x's shape or None.

    ``inplace``: the result may be written over x.
    """
    flat = x.reshape(*x.shape[:2], -1)
    x_, last = arranged(flat)
    if residual is not None:
        residual = arranged(residual.reshape(flat.shape), last)[0]
    channels, plane = x_.shape[1:]
    out = x_ if inplace else xp(x).empty_like(x_)
    plane = 1 if last else plane
    arrays = x_, values(bias, x), residual, out
    size = channels if last else plane
    _launch("forward", size, (x_, residual, out), arrays, channels, plane, _KINDS.index(kind), float(option))
    return out.reshape(x.shape)


def gradient(kind, g, y, option=0.0):
    """Return g times the derivative, of which y is the result for relu, sigmoid and tanh, and the input for others."""
    y = dense(y)
    g = like(y, g.astype(y.dtype, copy=False))
    out = xp(y).empty_like(y)
    _launch("backward", y.size, (g, y, out), (g, y, out), _KINDS.index(kind), float(option))
    return out
