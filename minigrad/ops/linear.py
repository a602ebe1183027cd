"""Linear and bilinear maps of the last dimension: a family of products that are each other's gradients."""

from minigrad.backend import PRECISION
from minigrad.inplace import write_out
from minigrad.kernels import matmul as kernels
from minigrad.op import Op
from minigrad.ops.arguments import rounds_once
from minigrad.ops.core import sum_to
from minigrad.ops.define import require_tensor
from minigrad.precision import in_region
from minigrad.registry import function
from minigrad.tensor import Tensor
from minigrad.variable import MODE


def _check(x, weight):
    """RuntimeError unless a raw input and weight fit: the same dtype, and as many inputs as the weight has."""
    if x.dtype != weight.dtype:
        raise RuntimeError(
            f"linear: mat1 and mat2 must have the same dtype, but got {x.dtype} and {weight.dtype}; convert with "
            ".to(dtype)"
        )
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        rows = x.size // x.shape[-1] if x.ndim and x.shape[-1] else 1
        raise RuntimeError(
            f"linear: mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1] if x.ndim else 1} and "
            f"{weight.shape[1]}x{weight.shape[0]})"
        )


def _times(x, matrix):
    """Return x @ matrix, the leading dimensions of x taken together into one product. # (…, I) @ (I, O) → (…, O)"""
    if x.ndim == 2:
        return kernels.matmul(x, matrix)
    if not x.size:
        return kernels.matmul(x, matrix)
    return kernels.matmul(x.reshape(-1, x.shape[-1]), matrix).reshape(*x.shape[:-1], matrix.shape[1])


def _linear(x, weight, bias):
    if x.ndim == 0 or x.dtype != weight.dtype or x.shape[-1] != weight.shape[1]:
        _check(x, weight)
    out = _times(x, weight.T)
    if bias is not None:
        out += bias
    return out


def _linear_input(g, weight):
    return _times(g, weight)


def _linear_weight(g, x):
    if g.ndim == 2:
        return kernels.matmul(g.T, x)
    count = g.size // g.shape[-1] if g.shape[-1] else 0
    return kernels.matmul(g.reshape(count, g.shape[-1]).T, x.reshape(count, x.shape[-1]))


# y = x Wᵀ + b and its gradients to the input, g W, and to the weight, gᵀ x: each one's rules are the other two.
linear_op = Op(
    _linear,
    [
        lambda g, weight: linear_input(g, weight),
        lambda g, x: linear_weight(g, x),
        lambda g, bias_shape: sum_to(g, shape=bias_shape),
    ],
    name="linear",
)
linear_input = Op(
    _linear_input, [lambda h, weight: linear_op(h, weight, None), lambda h, g: linear_weight(g, h)], name="linear_input"
)
linear_weight = Op(
    _linear_weight, [lambda h, x: linear_op(x, h, None), lambda h, g: linear_input(g, h)], name="linear_weight"
)


def linear(input, weight, bias=None, *, out=None):
    """Return input weightᵀ + bias.

    Arguments: input (…, in), weight (out, in) or (in,), bias (out,) or (), out (Tensor the result is written to).
    RuntimeError where lengths or dtypes differ.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear.html

    >>> import minigrad as mg
    >>> mg.nn.functional.linear(mg.ones(1, 3), mg.ones(2, 3), mg.tensor([0.0, 10.0]))
    tensor([[ 3., 13.]])
    """
    if PRECISION.active and MODE.autocast is not None:
        return in_region("linear", linear, (input, weight, bias), {"out": out})
    if out is not None:
        return write_out(out, linear(input, weight, bias), "linear")
    if isinstance(input, Tensor) and isinstance(weight, Tensor) and weight.array.ndim == 2:
        if bias is None or (isinstance(bias, Tensor) and bias.array.dtype is input.array.dtype):
            if bias is not None and bias.array.ndim > 1:
                _check_bias(input, weight, bias)
            return linear_op.call(input, weight, bias)
    require_tensor("linear", input)
    require_tensor("linear", weight, "weight", 2)
    if bias is not None:
        require_tensor("linear", bias, "bias", 3)
        if bias.array.dtype != input.array.dtype:
            raise RuntimeError(
                f"linear: self and mat2 must have the same dtype, but the bias is {bias.dtype} and the input "
                f"{input.dtype}"
            )
    if weight.array.ndim == 1:
        result = linear_op(input, weight.unsqueeze(0), None).squeeze(-1)
        return result if bias is None else result + bias
    if weight.array.ndim != 2:
        raise RuntimeError(f"linear: the weight must be a matrix or a vector, but has shape {list(weight.shape)}")
    return linear_op(input, weight, bias)


def _check_bias(input, weight, bias):
    """RuntimeError for a bias with more dimensions than a vector that does not fit the result."""
    out = (*input.shape[:-1], weight.shape[0])
    if bias.array.ndim > len(out):
        raise RuntimeError(
            f"linear: expand: the bias of shape {list(bias.shape)} has more dimensions than the result {list(out)}"
        )


@function()
@rounds_once
def bilinear(input1, input2, weight, bias=None):
    """Return y[…, o] = Σᵢⱼ input1[…, i] weight[o, i, j] input2[…, j] + bias[o].

    Arguments: input1 (…, in1), input2 (…, in2), weight (out, in1, in2), bias (out,). RuntimeError where shapes differ.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.bilinear.html

    >>> import minigrad as mg
    >>> mg.nn.functional.bilinear(mg.ones(2, 3), mg.ones(2, 4), mg.ones(5, 3, 4)).shape
    minigrad.Size([2, 5])
    """
    for position, tensor in enumerate((input1, input2, weight), 1):
        require_tensor("bilinear", tensor, ("input1", "input2", "weight")[position - 1], position)
    one, two, w = input1.array.shape, input2.array.shape, weight.array.shape
    if len(one) != len(two):
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {len(one)} and {len(two)}")
    if one[:-1] != two[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {list(one[:-1])} and {list(two[:-1])}"
        )
    if len(w) != 3 or one[-1] != w[1] or two[-1] != w[2]:
        raise RuntimeError(
            f"bilinear(): input1 size, input2 size does not match weight size: got {one[-1]}, {two[-1]} and weight "
            f"{list(w)}"
        )
    outputs = w[0]
    # Σⱼ weight[o, i, j] input2[…, j] as one product, then a sum over i.
    inner = linear(input2, weight.reshape(outputs * w[1], w[2])).reshape(*two[:-1], outputs, w[1])
    result = (inner @ input1.unsqueeze(-1)).squeeze(-1)
    return result if bias is None else result + bias
