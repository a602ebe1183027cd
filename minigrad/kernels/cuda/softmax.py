"""Launchers of softmax.cu: softmax, its logarithm, and losses of class indices."""

from math import prod

from minigrad.backend import xp
from minigrad.kernels.cuda.arrays import accumulator, dense, like, values
from minigrad.kernels.cuda.source import Source

_SOURCE = Source("softmax.cu", defines={"SINGLE": (0, 1)})
_BLOCK = 128  # threads, each with a row of its own
_WIDEST = 1024  # threads that share a row
_TOGETHER = 2**14  # losses that one block adds up


class _Rows:
    """How launches cover the rows of x (outer, length, inner), one for a thread or for a block."""

    def __init__(self, x):
        self.length, self.count = x.shape[1], x.shape[0] * x.shape[2]
        steps = [stride // x.itemsize for stride in x.strides]
        self.args = self.count, self.length, x.shape[2], *steps
        self.single = int(self.length < 8 or x.shape[2] > 1 and steps[1] > 1)
        self.dtype = x.dtype

    def launch(self, name, *args):
        """Launch a kernel; the last of args are the arguments after those that say how."""
        kernel = _SOURCE.kernel(name, self.dtype, SINGLE=self.single)
        args = (*args[:-1], *self.args, *args[-1])
        if self.single:
            kernel(grid=-(-self.count // _BLOCK), block=_BLOCK, args=args)
        else:
            threads = max(32, min(_WIDEST, 1 << (-(-self.length // 4) - 1).bit_length()))
            kernel(grid=self.count, block=threads, args=args)


def _seen(x, dim):
    """Return x, dense, as (outer, length, inner), and its rows along dim."""
    x = dense(x)
    shape = x.shape or (1,)
    dim %= len(shape)
    view = x.reshape(prod(shape[:dim]), shape[dim], prod(shape[dim + 1 :]))
    return view, _Rows(view)


def softmax(x, dim, logarithm):
    """Return softmax of x along dim, or its logarithm."""
    view, rows = _seen(x, dim)
    out = xp(x).empty_like(view)
    rows.launch("forward", view, out, (int(logarithm),))
    return out.reshape(x.shape)


def gradient(g, out, dim, logarithm):
    """Return the gradient to the input of softmax, or of its logarithm, whose result is out."""
    view, rows = _seen(out, dim)
    g = like(view, g.reshape(view.shape))
    result = xp(out).empty_like(view)
    rows.launch("gradient", g, view, result, (int(logarithm),))
    return result.reshape(out.shape)


def loss(x, target, class_weight, ignore, reduction, logits, smoothing=0.0):
    """Return (loss, state, divisor) of scores x (N, C, L), or of logarithms of probabilities, and class indices.

    target (N, L) int64, class_weight (C,) or None. The loss (N, L), or a number where reduced, has x's dtype. Where a
    target is neither a class nor ignored it is NaN: nothing is read back to the CPU to see.
    """
    module, kind = xp(x), accumulator(x)
    x = dense(x)
    rows = _Rows(x)
    target = module.ascontiguousarray(target)
    class_weight = values(class_weight, x)
    state = module.empty((2, rows.count), kind) if logits else None
    losses, weights = module.empty((2, rows.count), kind)
    numbers = ignore, int(logits), float(smoothing)
    rows.launch("losses", x, target, class_weight, state, losses, weights, numbers)
    if reduction == "none":
        return losses.reshape(target.shape).astype(x.dtype, copy=False), state, None
    count = rows.count
    if count > _TOGETHER:
        blocks = min(512, -(-count // _TOGETHER))
        sums = module.empty((2, blocks), kind)
        kernel = _SOURCE.kernel("totals", x.dtype, SINGLE=0)
        kernel(grid=blocks, block=_WIDEST, args=(losses, weights, sums, count))
        (losses, weights), count = sums, blocks
    out, divisor = module.empty((), x.dtype), module.empty((), kind)
    threads = min(_WIDEST, max(32, 1 << (count - 1).bit_length()))
    mean = reduction == "mean"
    kernel = _SOURCE.kernel("reduced", x.dtype, SINGLE=0)
    kernel(grid=1, block=threads, args=(losses, weights, out, divisor, count, int(mean)))
    return out, state, divisor if mean else None


def loss_gradient(g, x, target, class_weight, state, divisor, ignore, smoothing=0.0):
    """Return the gradient to x (N, C, L) from that of the loss, (N, L) or a number."""
    module = xp(x)
    x = dense(x)
    rows = _Rows(x)
    class_weight = values(class_weight, x)
    whole = class_weight.sum() if smoothing and class_weight is not None else None
    per_row = int(g.ndim > 0)
    g = module.ascontiguousarray(g, dtype=x.dtype)
    out = module.empty_like(x)
    arrays = g, x, module.ascontiguousarray(target), class_weight, whole, state, divisor, out
    rows.launch("loss_gradient", *arrays, (ignore, per_row, float(smoothing)))
    return out
