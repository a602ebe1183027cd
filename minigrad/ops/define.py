"""How the tables of elementwise ops become public functions, methods and in-place methods."""

from minigrad.inplace import write_out
from minigrad.ops.arguments import type_name
from minigrad.registry import FUNCTIONS, METHODS, function
from minigrad.tensor import Tensor

PAGE = "https://docs.pytorch.org/docs/stable/generated/torch.{}.html"


def require_tensor(name, value, argument="input", position=1):
    """TypeError, in PyTorch's words, unless the value is a Tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type_name(value)}")


def require_operand(name, value, argument, position):
    """TypeError, in PyTorch's words, unless the value is a Tensor or a Python number."""
    if not isinstance(value, (Tensor, bool, int, float, complex)) and not hasattr(value, "dtype"):
        raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type_name(value)}")


def unary_function(op, name, summary, example, *, inplace=True, method=True):
    """Register the public function of an elementwise op of one tensor, its method and its in-place variant.

    Arguments: op (Op, or function of a Tensor), name, summary (a sentence, perhaps with a formula), example (an
    expression and its result, for the docstring).
    """
    call = getattr(op, "call", op)

    def public(input, *, out=None):
        if not isinstance(input, Tensor):
            require_tensor(name, input)
        return call(input) if out is None else write_out(out, call(input), name)

    public.__name__ = public.__qualname__ = name
    public.__doc__ = _docstring(
        summary, "input (Tensor of any shape), out (Tensor the result is written to)", name, example
    )
    function(method=method, inplace=inplace)(public)
    if method:  # the method has no out=: the op itself serves, one call less
        METHODS[name] = call
        if ">>>" not in (call.__doc__ or ""):
            call.__doc__ = _docstring(summary, "self (Tensor of any shape)", "Tensor." + name, example)
        setattr(Tensor, name, call)
    return public


def binary_function(op, name, summary, example, *, inplace=True, method=True, tensors_only=False, number_first=False):
    """Register the public function of an elementwise op of two tensors (broadcast), its method and in-place variant.

    Arguments: op, name, summary, example as for unary_function; tensors_only (no operand may be a number), number_first
    (the first one may be, too).
    """
    call = getattr(op, "call", op)

    def public(input, other, *, out=None):
        if not isinstance(input, Tensor) or not isinstance(other, Tensor):
            if not number_first or not isinstance(other, Tensor):
                require_tensor(name, input)
            require_operand(name, input, "input", 1)
            (require_tensor if tensors_only else require_operand)(name, other, "other", 2)
        return call(input, other) if out is None else write_out(out, call(input, other), name)

    public.__name__ = public.__qualname__ = name
    kind = "Tensor" if tensors_only else "Tensor or number"
    arguments = f"input, other ({kind}; shapes broadcast, dtypes are promoted), out (Tensor the result is written to)"
    public.__doc__ = _docstring(summary, arguments, name, example)
    function(method=method, inplace=inplace)(public)
    return public


def alias(name, original, *, inplace=False, method=True):
    """Register a second public name of a function (and of its in-place variant)."""
    FUNCTIONS[name] = FUNCTIONS[original]
    if method:
        METHODS[name] = METHODS[original]
        setattr(Tensor, name, METHODS[original])
    if inplace:
        FUNCTIONS[name + "_"] = METHODS[name + "_"] = METHODS[original + "_"]
        setattr(Tensor, name + "_", METHODS[original + "_"])


def _docstring(summary, arguments, name, example):
    expression, result = example
    shown = expression if expression.startswith("mg.") else "mg." + expression
    return (
        f"{summary}\n\n    Arguments: {arguments}.\n    TypeError for what is no tensor, RuntimeError for dtypes or "
        f"shapes that do not fit.\n    Source: {PAGE.format(name)}\n\n"
        f"    >>> import minigrad as mg\n    >>> {shown}\n    {result}\n    "
    )
