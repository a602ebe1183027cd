"""The convolutions and matrix products that really run: counted, and on request not computed."""

import contextlib
import math
import threading

from minigrad.backend import xp
from minigrad.ops.conv import convolution, convolution_input, convolution_weight
from minigrad.ops.linalg import matrix_product
from minigrad.ops.linear import linear_input, linear_op, linear_weight
from minigrad.ops.recurrent import lstm_sequence

# Of each op that multiplies and adds: how often, from its two arrays and its result. Everything else that layers do by
# products (recurrent cells, attention, bilinear maps, einsum) runs these. A bias adds no product and is not counted.
MULTIPLY_ADDS = {
    convolution: lambda x, w, out: out.size * math.prod(w.shape[1:]),
    convolution_input: lambda g, w, out: g.size * math.prod(w.shape[1:]),
    convolution_weight: lambda g, x, out: g.size * math.prod(out.shape[1:]),
    linear_op: lambda x, w, out: out.size * w.shape[1],
    linear_input: lambda g, w, out: out.size * w.shape[0],
    linear_weight: lambda g, x, out: out.size * math.prod(g.shape[:-1]),
    matrix_product: lambda a, b, out: out.size * a.shape[-1],
    lstm_sequence: lambda gates, h, out: gates.size * h.shape[-1],  # of its state; its input's gates come of linear_op
}
_SUMS_OVER_BATCH = (convolution_weight, linear_weight)
_LOCK = threading.RLock()  # the ops are everybody's: one watcher replaces their forwards at a time


def _zeros_of_result(op, forward, arrays, params):
    """Return zeros of the shape and dtype of a product, which is run on no rows: that also checks its inputs."""
    first, *rest = arrays
    if op is lstm_sequence:
        (steps, *rows, width), h = first.shape, rest[0]
        shapes = (steps, *h.shape), h.shape, (steps + 1, *h.shape), (steps, *rows, width)
        return tuple([xp(first).zeros(shape, first.dtype) for shape in shapes])
    if op in _SUMS_OVER_BATCH or first.ndim < 2:
        return forward(*arrays, **params)
    rows = 1 if op is not matrix_product else first.ndim - 1
    try:
        none = forward(first[(slice(None),) * (rows - 1) + (slice(0, 0),)], *rest, **params)
    except Exception:  # said again by the op on all rows, whose message has their number
        return forward(*arrays, **params)
    at = 0 if op is not matrix_product else none.ndim - 2
    shape = (*none.shape[:at], first.shape[rows - 1], *none.shape[at + 1 :])
    return xp(none).zeros(shape, none.dtype)


@contextlib.contextmanager
def watch_products(callback, compute=True):
    """Call callback(op, multiply_adds, shapes of the op's tensors) for each product this thread runs in the block.

    Arguments: callback; compute (False: a product's result is zeros of the right shape and dtype, which costs nothing;
    wrong shapes raise as always).

    >>> import minigrad as mg
    >>> from minigrad.utils.products import watch_products
    >>> with watch_products(lambda op, multiply_adds, shapes: print(op.name, multiply_adds)):
    ...     _ = mg.ones(2, 3) @ mg.ones(3, 4)
    matmul 24
    """
    owner = threading.get_ident()

    def watched(op, forward):
        count = MULTIPLY_ADDS[op]

        def run(*arrays, **params):
            if threading.get_ident() != owner:
                return forward(*arrays, **params)
            out = forward(*arrays, **params) if compute else _zeros_of_result(op, forward, arrays, params)
            shapes = tuple(array.shape for array in arrays if array is not None)
            callback(op, count(arrays[0], arrays[1], out), shapes)
            return out

        return run

    with _LOCK:
        before = [(op, op.forward, op.call) for op in MULTIPLY_ADDS]
        try:
            for op, forward, _ in before:
                op.forward = watched(op, forward)
                op.call = op._general  # the faster calls hold the forward itself
            yield
        finally:
            for op, forward, call in before:
                op.forward, op.call = forward, call
