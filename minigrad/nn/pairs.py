"""A convolution or batch norm and the ReLU after it, run as one operation where nobody can tell the difference."""

from minigrad.backend import np
from minigrad.kernels import cuda
from minigrad.nn.activation import ReLU
from minigrad.nn.conv import Conv1d, Conv2d, Conv3d
from minigrad.nn.hooks import (
    GLOBAL_BACKWARD_HOOKS,
    GLOBAL_BACKWARD_PRE_HOOKS,
    GLOBAL_FORWARD_HOOKS,
    GLOBAL_FORWARD_PRE_HOOKS,
)
from minigrad.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from minigrad.ops.conv import conv_relu
from minigrad.ops.norm import batch_norm_relu
from minigrad.tensor import Tensor
from minigrad.variable import MODE, Parameter, Variable, View

_CONVOLUTIONS = frozenset((Conv1d, Conv2d, Conv3d))
_NORMS = frozenset((BatchNorm1d, BatchNorm2d, BatchNorm3d))
BEFORE_RELU = _CONVOLUTIONS | _NORMS  # types of modules of which a ReLU may be a part
_ORIGINALS = [
    (kind, name, getattr(kind, name))
    for kind in (*BEFORE_RELU, ReLU)
    for name in ("__call__", "forward", "_conv_forward")
    if hasattr(kind, name)
]
_TENSORS = frozenset((Tensor, Variable, Parameter, View))
_DTYPES = "fd"


def call_pair(module, relu, input, residual=None):
    """Return relu(module(input)), or relu(module(input) + residual).

    One operation computes it if module is a convolution (without residual) or a batch norm, unless somebody would
    notice: hooks, replaced methods, subclasses, a recorder of the graph (anomaly detection, summaries; one with a true
    ``as_run`` wants what runs otherwise), another device or dtype, no batch.

    >>> import minigrad as mg
    >>> call_pair(mg.nn.BatchNorm2d(3), mg.nn.ReLU(), mg.randn(2, 3, 4, 4)).shape
    minigrad.Size([2, 3, 4, 4])
    """
    kind = type(module)
    if kind in BEFORE_RELU and type(relu) is ReLU and _plain(input) and _unwatched(module) and _unwatched(relu):
        unrecorded = MODE.on_record is None or getattr(MODE.on_record, "as_run", False)
        if unrecorded and _unchanged():
            if kind in _NORMS and (residual is None or _plain(residual)):
                return batch_norm_relu(input, *module._settings(input), residual=residual)
            if kind in _CONVOLUTIONS and residual is None and _plain_convolution(module, input):
                if module.padding_mode == "zeros":
                    settings = module.stride, module.padding, module.dilation, module.groups
                    return conv_relu(input, module.weight, module.bias, *settings)
    y = module(input)
    return relu(y if residual is None else y + residual)


def _plain(tensor):
    if type(tensor) not in _TENSORS:
        return False
    array = tensor.array
    return array.dtype.char in _DTYPES if type(array) is np.ndarray else cuda.arrays.takes(array)


def _plain_convolution(module, input):
    """Whether there is a batch, and no other precision is asked for than that of the input."""
    array = input.array
    return array.ndim == module.spatial + 2 and array.dtype.char != "E" and MODE.autocast is None


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
