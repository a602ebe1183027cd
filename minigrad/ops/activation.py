"""Activations: piecewise linear, exponential and gated units; each with torch.nn.functional's signature."""

from minigrad.backend import np, xp
from minigrad.inplace import assign
from minigrad.op import Op, function
from minigrad.ops.define import require_tensor
from minigrad.ops.masked import keep_where


def _relu(x):
    if x.dtype.kind == "b":
        raise RuntimeError("Boolean inputs not supported for relu")
    return xp(x).maximum(x, 0)


relu_op = Op(_relu, [lambda g, out: keep_where(g, out > 0)])


@function(method=True, inplace=True, name="relu")
def _torch_relu(input):
    """Return max(input, 0).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu.html

    >>> import minigrad as mg
    >>> mg.relu(mg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    require_tensor("relu", input)
    return relu_op.call(input)


def relu(input, inplace=False):
    """Return max(input, 0), written into input if inplace.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu.html

    >>> import minigrad as mg
    >>> mg.nn.functional.relu(mg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    require_tensor("relu", input)
    result = relu_op.call(input)
    return assign(input, result, "relu_") if inplace else result
