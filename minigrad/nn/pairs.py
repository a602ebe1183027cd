"""A convolution and the ReLU called right after it, run as one operation where nobody can tell the difference."""

from minigrad.backend import np
from minigrad.nn.activation import ReLU
from minigrad.nn.conv import Conv1d, Conv2d, Conv3d
from minigrad.nn.hooks import (
    GLOBAL_BACKWARD_HOOKS,
    GLOBAL_BACKWARD_PRE_HOOKS,
    GLOBAL_FORWARD_HOOKS,
    GLOBAL_FORWARD_PRE_HOOKS,
)
from minigrad.ops.conv import conv_relu
from minigrad.tensor import Tensor
from minigrad.variable import MODE, Parameter, Variable, View

CONVOLUTIONS = frozenset((Conv1d, Conv2d, Conv3d))
_ORIGINALS = [
    (kind, name, getattr(kind, name))
    for kind in (Conv1d, Conv2d, Conv3d, ReLU)
    for name in ("__call__", "forward", "_conv_forward")
    if hasattr(kind, name)
]
_TENSORS = frozenset((Tensor, Variable, Parameter, View))
_DTYPES = "fd"


def call_pair(conv, relu, input):
    """Return relu(conv(input)); conv is a module whose type is one of CONVOLUTIONS, relu one whose type is ReLU.

    One operation computes both, unless somebody would notice: hooks, replaced methods, a recorder of the graph (anomaly
    detection, summaries; one with a true ``as_run`` wants what runs otherwise), another device or dtype, no batch.
    """
    if (
        type(input) in _TENSORS
        and type(input.array) is np.ndarray
        and input.array.dtype.char in _DTYPES
        and input.array.ndim == conv.spatial + 2
        and conv.padding_mode == "zeros"
        and (MODE.on_record is None or getattr(MODE.on_record, "as_run", False))
        and _unwatched(conv)
        and _unwatched(relu)
        and _unchanged()
    ):
        return conv_relu(input, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)
    return relu(conv(input))


def _unwatched(module):
    own = module.__dict__
    return not (
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in own
        or "_conv_forward" in own
    )


def _unchanged():
    """Whether no hooks of all modules are registered and the classes' methods are the original ones."""
    if GLOBAL_FORWARD_HOOKS or GLOBAL_FORWARD_PRE_HOOKS or GLOBAL_BACKWARD_HOOKS or GLOBAL_BACKWARD_PRE_HOOKS:
        return False
    for kind, name, method in _ORIGINALS:
        if getattr(kind, name) is not method:
            return False
    return True
