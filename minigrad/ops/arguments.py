"""What shape functions take: ints, dimensions, tensors; with PyTorch's errors."""

import functools
import sys
import warnings

from minigrad.backend import np
from minigrad.tensor import Tensor, normalize_dim


# ---------------------------------------------------------------------- arguments
def ints_of(values, name="shape"):
    """Return ints given one by one or as one sequence, as a tuple; TypeError for anything else."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = values[0]
    return tuple([value if type(value) is int else as_int(value, name) for value in values])


def as_int(value, name):
    """Return an int, NumPy integer or integer tensor of one element as an int; TypeError for anything else."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected ints, but got {type(value).__name__}: {value!r}")
    return value.__index__()


def dims_of(dims, ndim):
    """Return dimensions as sorted non-negative ints without repetition; RuntimeError where one is repeated."""
    dims = (dims,) if hasattr(dims, "__index__") else tuple(dims)
    found = [normalize_dim(dim, ndim) for dim in dims]
    for position, dim in enumerate(found):
        if dim in found[:position]:
            raise RuntimeError(f"dim {dim} appears multiple times in the list of dims")
    return found


def as_number(value):
    """Return the number in a tensor of no dimensions that requires no gradient, and any other value as it is."""
    if isinstance(value, Tensor) and not value.array.ndim and not value.requires_grad:
        return value.array.item()
    return value


def type_name(value):
    """Return how messages call the type of a value; tensors of another library bear its name, and what to do."""
    name, library = type(value).__name__, type(value).__module__.partition(".")[0]
    if isinstance(value, Tensor):
        return "Tensor"
    if name in ("Tensor", "Parameter") and library != "minigrad":
        return f"{library}.{name}" + (" (as_tensor() makes one of it)" if name == "Tensor" else "")
    return name


def check_tensor(value, name, argument="input"):
    """TypeError unless value is a Tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' (position 1) must be Tensor, not {type_name(value)}")


def check_tensors(tensors, name):
    """Return a sequence of Tensors as a tuple; TypeError if it is none."""
    if isinstance(tensors, Tensor) or not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"expected Tensor as element {position} in argument 0 of {name}(), but got {type_name(tensor)}"
            )
    return tuple(tensors)


# ---------------------------------------------------------------------- precision
def rounds_once(implementation):
    """Make a function of several ops compute in float32 and round once where all its tensors are of one half precision.

    As PyTorch's kernels for the CPU do; tensors on a GPU are left to the ops, whose sums are of float32 there.
    """

    @functools.wraps(implementation)
    def computed(*args, **kwargs):
        array = args[0].array if args and isinstance(args[0], Tensor) else None
        if type(array) is not np.ndarray or array.dtype.char not in "eE":
            return implementation(*args, **kwargs)
        kind = array.dtype
        if any(isinstance(value, Tensor) and value.array.dtype != kind for value in (*args, *kwargs.values())):
            return implementation(*args, **kwargs)
        wide = [value.float() if isinstance(value, Tensor) else value for value in args]
        words = {word: value.float() if isinstance(value, Tensor) else value for word, value in kwargs.items()}
        return implementation(*wide, **words).to(args[0].dtype)

    return computed


# ---------------------------------------------------------------------- PyTorch's oldest order: numbers before tensors
def scales_first(*words):
    """Make a function of three tensors take its numbers before them too, as programs of PyTorch 0.x write it.

    ``words`` are the keywords of these numbers in their order: addmm(beta, input, alpha, mat1, mat2) and, as a method,
    input.addmm(beta, alpha, mat1, mat2). PyTorch warns of that and so does this.
    """

    def decorate(implementation):
        @functools.wraps(implementation)
        def either(*args, **kwargs):
            if len(args) > 3:
                scales, tensors = _scales_and_tensors(args)
                if len(tensors) == 3 and len(scales) <= len(words):
                    warn_of_old_order(implementation.__name__, words[: len(scales)])
                    args = tensors
                    kwargs = {**kwargs, **dict(zip(words, scales))}
            return implementation(*args, **kwargs)

        return either

    return decorate


def _scales_and_tensors(args):
    """Return the numbers and the tensors of a call in the old order; tensors without dimensions may be numbers."""
    scales, tensors = [], []
    for position, value in enumerate(args):
        scale = as_number(value) if position and len(args) - len(scales) > 3 else value
        (tensors if isinstance(scale, Tensor) else scales).append(scale)
    return scales, tensors


def warn_of_old_order(name, words):
    """Warn, as PyTorch does, that numbers come after the tensors and by keyword."""
    listed = ", ".join(f"{word}=" for word in words)
    warn_of_call(f"This overload of {name} is deprecated: give {listed} by keyword, after the tensors.")


def warn_of_call(message, category=UserWarning):
    """Warn at the line of the program that called minigrad, however deep the warning comes from."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("minigrad."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def old_sum(name, scale, others):
    """Return (other, alpha) of the old call add(input, alpha, other); TypeError for another."""
    scale = as_number(scale)
    if len(others) != 1 or isinstance(scale, Tensor) or not isinstance(others[0], Tensor):
        raise TypeError(f"{name}() takes 2 positional arguments but {2 + len(others)} were given")
    warn_of_old_order(name, ["alpha"])
    return others[0], scale
