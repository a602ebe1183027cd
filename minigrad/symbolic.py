"""PyTorch's functions of numbers that may be symbolic while a program is traced: here they are Python's numbers.

Source: https://docs.pytorch.org/docs/stable/torch.html#symbolic-numbers

>>> import minigrad as mg
>>> mg.sym_int(-2.7), mg.sym_max(1, 2.0), mg.sym_ite(True, "yes", "no")
(-2, 2.0, 'yes')
"""

import math

__all__ = [
    "SymInt", "cond", "sym_constrain_range", "sym_float", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not",
    "sym_sqrt", "sym_sum",
]  # fmt: skip


class SymInt:
    """A size that is no number: the length of a nested tensor's ragged dimension (minigrad.nested)."""


def sym_int(a):
    """Return a number as an int, rounded towards zero."""
    return int(a)


def sym_float(a):
    """Return a number as a float."""
    return float(a)


def sym_not(a):
    """Return the negation of a bool."""
    return not a


def sym_max(a, b):
    """Return the larger of two numbers, a float if one of them is."""
    return _alike(max(a, b), a, b)


def sym_min(a, b):
    """Return the smaller of two numbers, a float if one of them is."""
    return _alike(min(a, b), a, b)


def _alike(value, a, b):
    return float(value) if isinstance(a, float) or isinstance(b, float) else value


def sym_ite(b, t, f):
    """Return t if b, else f."""
    if not isinstance(b, bool):
        raise TypeError(f"sym_ite(): the condition must be bool, not {type(b).__name__}")
    if type(t) is not type(f):
        raise AssertionError(f"type mismatch: {type(t)} vs {type(f)}")
    return t if b else f


def sym_sqrt(a):
    """Return the square root of a number."""
    return math.sqrt(a)


def sym_sum(args):
    """Return the sum of numbers."""
    return sum(args)


def sym_constrain_range(size, *, min=None, max=None):
    """RuntimeError unless min <= size <= max."""
    if (min is not None and size < min) or (max is not None and size > max):
        raise RuntimeError(f"Invalid value range for {size} between [{min}, {max}].")


def cond(pred, true_fn, false_fn, operands=()):
    """Return true_fn(*operands) if pred (a bool or a tensor of one element), else false_fn(*operands).

    Source: https://docs.pytorch.org/docs/stable/cond.html

    >>> import minigrad as mg
    >>> mg.cond(mg.tensor(3) > 2, lambda x: x + 1, lambda x: x - 1, (mg.tensor(5),))
    tensor(6)
    """
    return true_fn(*operands) if bool(pred) else false_fn(*operands)
