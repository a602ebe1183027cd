"""The operations that every other one leans on: cast, and the pair broadcast_to / sum_to."""

from minigrad.inplace import assign, write_out
from minigrad.kernels.strides import broadcast_view
from minigrad.op import Op
from minigrad.operands import CENTRAL


def _cast(x, dtype):
    return x.astype(dtype)


def _broadcast_to(x, shape):
    return broadcast_view(x, tuple(shape))


def _sum_to(x, shape):
    lead = x.ndim - len(shape)
    dims = tuple([dim for dim in range(lead) if x.shape[dim] != 1]) + tuple(
        [lead + dim for dim, length in enumerate(shape) if length == 1 and x.shape[lead + dim] != 1]
    )
    return x.sum(axis=dims, keepdims=True).reshape(shape) if dims else x.reshape(shape)


cast = Op(_cast, [lambda g, x_dtype: cast(g, dtype=x_dtype)])
broadcast_to = Op(_broadcast_to, [lambda g, x_shape: sum_to(g, shape=x_shape)], view=True)
sum_to = Op(_sum_to, [lambda g, x_shape: broadcast_to(g, shape=x_shape)])

CENTRAL["cast"] = cast
CENTRAL["sum_to"] = sum_to
CENTRAL["assign"] = assign
CENTRAL["write_out"] = write_out
