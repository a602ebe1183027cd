"""Bit operations and number theory of integers: and, or, xor, not, shifts, gcd, lcm. None has a gradient."""

from minigrad.backend import np, xp
from minigrad.op import Op
from minigrad.ops.define import binary_function, unary_function


def _module(a, b):
    return xp(a) if xp(a) is not np else xp(b)


def _check_shifted(name, *operands):
    for array in operands:
        if getattr(array, "dtype", np.dtype(int)).kind not in "iu":
            raise NotImplementedError(f'"{name}_cpu" not implemented for {array.dtype}')


def _left_shift(a, b):
    """Return a << b; 0 for shifts by the width or more, or negative ones, as PyTorch has it."""
    module = _module(a, b)
    _check_shifted("lshift", a, b)
    valid = module.logical_and(b >= 0, b < a.dtype.itemsize * 8)
    return module.where(valid, module.left_shift(a, module.where(valid, b, 0)), 0).astype(a.dtype)


def _right_shift(a, b):
    """Return a >> b; only sign bits for shifts by the width or more, or negative ones."""
    module = _module(a, b)
    _check_shifted("rshift", a, b)
    limit = a.dtype.itemsize * 8 - 1
    shift = module.where(module.logical_and(b >= 0, b <= limit), b, limit)
    shifted = module.right_shift(a, shift)
    if a.dtype.kind == "u":
        shifted = module.where(module.logical_and(b >= 0, b <= limit), shifted, 0)
    return shifted.astype(a.dtype)


and_op = Op("bitwise_and", [None, None], promote="same")
or_op = Op("bitwise_or", [None, None], promote="same")
xor_op = Op("bitwise_xor", [None, None], promote="same")
not_op = Op("bitwise_not", [None], promote="same")
left_shift_op = Op(_left_shift, [None, None], name="bitwise_left_shift", promote="same", broadcast=True)
right_shift_op = Op(_right_shift, [None, None], name="bitwise_right_shift", promote="same", broadcast=True)
gcd_op = Op("gcd", [None, None], promote="same")
lcm_op = Op("lcm", [None, None], promote="same")

for _name, _op, _summary, _b, _result in [
    ("bitwise_and", and_op, "Return the bitwise and of integers or bools.", 3, "[2]"),
    ("bitwise_or", or_op, "Return the bitwise or of integers or bools.", 3, "[7]"),
    ("bitwise_xor", xor_op, "Return the bitwise exclusive or of integers or bools.", 3, "[5]"),
    ("bitwise_left_shift", left_shift_op, "Return input * 2 ** other for integers, by shifting bits.", 1, "[12]"),
    ("bitwise_right_shift", right_shift_op, "Return input // 2 ** other for integers, by shifting bits.", 1, "[3]"),
]:
    binary_function(
        _op, _name, _summary, (f"mg.{_name}(mg.tensor([6]), {_b})", f"tensor({_result})"), number_first=True
    )
for _name, _op, _summary, _b, _result in [
    ("gcd", gcd_op, "Return the greatest common divisor of integers.", 4, "[2]"),
    ("lcm", lcm_op, "Return the least common multiple of integers.", 4, "[12]"),
]:
    binary_function(
        _op,
        _name,
        _summary,
        (f"mg.{_name}(mg.tensor([6]), mg.tensor([{_b}]))", f"tensor({_result})"),
        tensors_only=True,
    )
unary_function(
    not_op, "bitwise_not", "Return the complement of the bits; of bools, their negation.",
    ("mg.bitwise_not(mg.tensor([0, 1]))", "tensor([-1, -2])"),
)  # fmt: skip


def invert(self):
    """Return ~self for integers and bools; TypeError for other dtypes."""
    if self.array.dtype.kind not in "biu":
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return not_op.call(self)


OPERATORS = {"and": and_op, "or": or_op, "xor": xor_op, "lshift": left_shift_op, "rshift": right_shift_op}
