"""The operators of Tensor: + - * / // % ** & | ^ << >> ~ and the comparisons, reflected and in place."""

from minigrad.backend import WATCHED, np
from minigrad.calls import operator_call
from minigrad.inplace import assign, write_over
from minigrad.kernels import elementwise
from minigrad.operands import is_operand
from minigrad.ops import arithmetic, bitwise, comparison, power, unary
from minigrad.tensor import Tensor
from minigrad.variable import MODE, touch

_REAL_FLOATS = frozenset("efd")  # dtype.char


def _reflected(op):
    """Return the method for ``other OP self``."""
    call = op.call

    def method(self, other):
        return call(other, self) if is_operand(other) else NotImplemented

    return method


def _forward(function):
    """Return the method for ``self OP other`` from a public function that checks more than the op."""

    def method(self, other):
        return function(self, other) if is_operand(other) else NotImplemented

    return method


def _in_place(call, name):
    """Return the method for ``self OP= other``."""

    def method(self, other):
        if not isinstance(other, Tensor) and not is_operand(other):
            return NotImplemented
        return assign(self, call(self, other), name)

    return method


def _in_place_ufunc(op, name):
    """Return the method for ``self OP= other`` of a ufunc that needs no new array where nothing is recorded."""
    ufunc, general = op.numpy_forward, _in_place(op.call, name)
    keeps_nothing = op.keep == ("", "") and not op.keep_out

    def compute(x, y, out):
        elementwise.apply(ufunc, x, y, out=out)

    def method(self, other):
        if keeps_nothing and self.array.size >= elementwise.LARGE and _are_alike(self, other):
            written = write_over(op, compute, self, other, name=name)
            if written is not None:
                return written
        x = self.array
        if WATCHED and MODE.watchers:
            return general(self, other)
        if type(self) is Tensor and type(x) is np.ndarray and x.dtype.char in _REAL_FLOATS and 0 not in x.strides:
            y = other.array if type(other) is Tensor and other.array.dtype == x.dtype else other
            if type(y) is float or type(y) is int or (type(y) is np.ndarray and y is not other):
                try:
                    ufunc(x, y, out=x)
                except (ValueError, OverflowError):
                    return general(self, other)  # which explains it
                touch(x)
                return self
        return general(self, other)

    return method


def _are_alike(a, b):
    """Return whether a tensor and what is added to it are arrays of one kind, shape and dtype."""
    if not isinstance(b, Tensor):
        return False
    x, y = a.array, b.array
    return type(x) is type(y) and x.shape == y.shape and x.dtype == y.dtype


def _install(symbol, method):
    method.__name__ = method.__qualname__ = symbol
    setattr(Tensor, symbol, method)


def _reflected_power(self, other):
    """Return other ** self."""
    return power.pow(other, self) if is_operand(other) else NotImplemented


_BINARY = [
    ("add", arithmetic.add_op),
    ("sub", arithmetic.sub_op),
    ("mul", arithmetic.mul_op),
    ("truediv", arithmetic.div_op),
    ("floordiv", arithmetic.floor_divide_op),
    ("mod", arithmetic.remainder_op),
    *bitwise.OPERATORS.items(),
]
for _name, _op in _BINARY:
    _install(f"__{_name}__", operator_call(_op))
    _install(f"__r{_name}__", _reflected(_op))
    _symbol = f"__i{_name}__"
    _arithmetic = _name in ("add", "sub", "mul", "truediv")
    _install(_symbol, _in_place_ufunc(_op, _symbol) if _arithmetic else _in_place(_op.call, _symbol))
_install("__pow__", _forward(power.pow))
_install("__ipow__", _in_place(power.pow, "__ipow__"))
_install("__rpow__", _reflected_power)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _install(f"__{_name}__", operator_call(getattr(comparison, _name + "_op")))
Tensor.__rdiv__ = Tensor.__rtruediv__
Tensor.__invert__ = bitwise.invert
Tensor.__neg__ = unary.neg_op.call
Tensor.__pos__ = unary.positive
Tensor.__abs__ = unary.abs_op.call
