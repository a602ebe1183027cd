"""torch.ops.aten: PyTorch's operations by the names of its C++ library, aten.add, aten.add.Tensor, aten.relu_ …

An overload, which chooses by types in C++, calls the same function here. What has no public name is not here.
Source: https://docs.pytorch.org/docs/stable/torch.compiler_ir.html

>>> import minigrad as mg
>>> mg.ops.aten.add.Tensor(mg.ones(2), mg.ones(2)), mg.ops.aten.sum.dim_IntList(mg.ones(2, 3), [1])
(tensor([2., 2.]), tensor([3., 3.]))
"""

import inspect

from minigrad.backend import DTYPES
from minigrad.nn import functional
from minigrad.registry import FUNCTIONS, METHODS

__all__ = []
# Overloads of PyTorch's operations that are here; a name that ends with out writes into its keyword out.
_OVERLOADS = frozenset(
    "Dimname IntList Scalar ScalarOpt_dim Scalar_Scalar Scalar_Tensor Scalar_mode Tensor Tensor_Scalar Tensor_Tensor "
    "Tensor_float Tensor_mode any array bool complex correction decimals default dim dim_IntList dim_int dim_max "
    "dim_min dim_values dims dtype dtype_layout float float_Tensor from generator indices int int_Scalar int_Tensor "
    "int_float low memory_format other out padding reduce scalar sections self self_Tensor self_int src stable start "
    "start_step step tensor to using_ints value value_reduce values values_stable x".split()
)
_REDUCTIONS = ("none", "mean", "sum")


def _loss(name, *options):
    """Return a loss whose options after input and target are positional, and whose reduction is a number."""

    def loss(self, target, *values, **keywords):
        given = dict(zip(options, values, strict=False), **keywords)
        if len(values) > len(options):
            raise TypeError(f"aten.{name} takes at most {len(options) + 2} arguments, but got {len(values) + 2}")
        if "reduction" in given:
            given["reduction"] = _REDUCTIONS[given["reduction"]]
        return getattr(functional, name)(self, target, **given)

    return loss


def _shares(name):
    """Return (log) softmax with C++'s last argument: whether half precision gives float32."""

    def shares(self, dim, half_to_float):
        return FUNCTIONS[name](self, dim, dtype=DTYPES["float32"] if half_to_float else None)

    return shares


_BY_ANOTHER_NAME = {
    "_log_softmax": _shares("log_softmax"),
    "_softmax": _shares("softmax"),
    "_to_copy": lambda self, **options: METHODS["to"](self, copy=True, **options),
    "_unsafe_view": lambda self, size: METHODS["reshape"](self, size),
    "alias": lambda self: METHODS["view_as"](self, self),
    "binary_cross_entropy": _loss("binary_cross_entropy", "weight", "reduction"),
    "cross_entropy_loss": _loss("cross_entropy", "weight", "reduction", "ignore_index", "label_smoothing"),
    "huber_loss": _loss("huber_loss", "reduction", "delta"),
    "index": lambda self, indices: self[tuple(slice(None) if index is None else index for index in indices)],
    "l1_loss": _loss("l1_loss", "reduction"),
    "mse_loss": _loss("mse_loss", "reduction"),
    "nll_loss": _loss("nll_loss", "weight", "reduction", "ignore_index"),
    "slice": lambda self, dim=0, start=None, end=None, step=1: self.movedim(dim, 0)[start:end:step].movedim(0, dim),
    "smooth_l1_loss": _loss("smooth_l1_loss", "reduction", "beta"),
}


def _function(name):
    """Return what an operation calls; None where there is nothing of that name and of those arguments."""
    found = _BY_ANOTHER_NAME.get(name) or FUNCTIONS.get(name) or METHODS.get(name)
    found = found or getattr(functional, name, None)
    if found is None or name in _BY_ANOTHER_NAME:
        return found
    return None if "size_average" in inspect.signature(found).parameters else found


_packets = {}


class OpOverload:
    """An operation by the name of its overload; it is called like the operation."""

    def __init__(self, packet, overload):
        self.overloadpacket, self._overload = packet, overload
        self.__name__ = f"{packet.__name__}.{overload}"

    def __call__(self, *args, **kwargs):
        return self.overloadpacket(*args, **kwargs)

    def __str__(self):
        return f"aten.{self.__name__}"

    def __repr__(self):
        return f"<OpOverload(op='aten.{self.overloadpacket.__name__}', overload='{self._overload}')>"


class OpOverloadPacket:
    """An operation: called itself, or by the name of an overload."""

    def __init__(self, name, function):
        self.__name__, self._function = name, function

    def __call__(self, *args, **kwargs):
        return self._function(*args, **kwargs)

    def __getattr__(self, name):
        if name not in _OVERLOADS and not (name.endswith("_out") and name.removesuffix("_out") in _OVERLOADS):
            raise AttributeError(f"The underlying op of 'aten.{self.__name__}' has no overload name '{name}'")
        made = OpOverload(self, name)
        setattr(self, name, made)  # the next time it is the same one, so that `is` tells targets apart
        return made

    def __str__(self):
        return f"aten.{self.__name__}"

    def __repr__(self):
        return f"<OpOverloadPacket(op='aten.{self.__name__}')>"


def __getattr__(name):
    if name not in _packets:  # not among the module's own names, which would hide Python's sum, slice …
        function = _function(name)
        if function is None:
            raise AttributeError(f"'_OpNamespace' 'aten' object has no attribute '{name}'")
        _packets[name] = OpOverloadPacket(name, function)
    return _packets[name]
