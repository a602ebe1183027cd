"""The operations that every other one leans on: cast, and the pair broadcast_to / sum_to."""

from minigrad.inplace import assign, check_out, write_out
from minigrad.kernels import reduction
from minigrad.kernels.strides import broadcast_view
from minigrad.op import Op
from minigrad.operands import CENTRAL


def _cast(x, dtype):
    if x.dtype.kind == "c" and dtype.kind in "fiu":
        x = x.real
    return x.astype(dtype)


def _broadcast_to(x, shape):
    return broadcast_view(x, tuple(shape))


cast = Op(_cast, [lambda g, x_dtype: cast(g, dtype=x_dtype)])
broadcast_to = Op(_broadcast_to, [lambda g, x_shape: sum_to(g, shape=x_shape)], view=True)
sum_to = Op(reduction.sum_to, [lambda g, x_shape: broadcast_to(g, shape=x_shape)])

CENTRAL["cast"] = cast
CENTRAL["sum_to"] = sum_to
CENTRAL["assign"] = assign
CENTRAL["write_out"] = write_out
CENTRAL["check_out"] = check_out
