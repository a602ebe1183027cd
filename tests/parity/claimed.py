"""Cases that both libraries run: calls described by data, or small functions of the module under test.

A case is a function of the module (``torch`` or ``minigrad``) that returns something comparable or raises. ``call``
makes one from a dotted name and arguments in which a ``Spec`` stands for a tensor; results, tensors left behind and
gradients are compared. ``calls`` makes many: every argument list with every input.
"""

import dataclasses
import itertools
import re
import warnings

import numpy as np
import torch

from tests.parity.compare import Comparison, builtin_base, innermost, one_line
from tests.parity.convert import flatten, from_array, resolve, to_numpy


@dataclasses.dataclass(frozen=True, repr=False)
class Spec:
    """A tensor to be made in either library: deterministic values, a dtype, strides, and whether it is tracked."""

    shape: tuple = ()
    dtype: str = "float32"
    layout: str = "contiguous"  # transposed, stepped, expanded
    grad: bool = False
    seed: int = 0
    low: float = -2.0
    high: float = 2.0

    def __repr__(self):
        extra = "" if self.layout == "contiguous" else f" {self.layout}"
        return f"<{list(self.shape)} {self.dtype}{extra}{' tracked' if self.grad else ''}>"

    def array(self):
        random = np.random.default_rng(self.seed + 1)
        shape = self.shape[::-1] if self.layout == "transposed" else self.shape
        if self.layout == "stepped":
            shape = (*shape[:-1], shape[-1] * 2)
        if self.dtype == "bool":
            array = random.random(shape) < 0.5
        elif self.dtype.startswith(("int", "uint")):
            low = max(int(self.low * 3), 0) if self.dtype.startswith("uint") else int(self.low * 3)
            array = random.integers(low, max(int(self.high * 3), low + 1), shape)
        else:
            array = random.uniform(self.low, self.high, shape)
            if self.dtype.startswith("complex"):
                array = array + 1j * random.uniform(self.low, self.high, shape)
        array = np.asarray(array).astype(self.dtype)
        if self.layout == "transposed":
            return array.T
        return array[..., ::2] if self.layout == "stepped" else array

    def make(self, t):
        array = self.array()
        # NumPy's empty arrays have strides of zero, new tensors have not.
        tensor = from_array(t, array) if array.size else t.zeros(array.shape, dtype=getattr(t, self.dtype))
        return tensor.requires_grad_() if self.grad else tensor

    def but(self, **changes):
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class Named:
    """Something of the module by its dotted name: Named("float64") is torch.float64 or minigrad.float64."""

    name: str

    def make(self, t):
        return resolve(t, self.name)


def X(t, *shape, dtype="float32", **settings):
    """A tensor for cases that are functions."""
    return Spec(shape, dtype, **settings).make(t)


def R(t, *shape, **settings):
    """A tracked float64 tensor."""
    return Spec(shape, "float64", grad=True, **settings).make(t)


FLOATS = [
    Spec((3, 4)),
    Spec((3, 4), "float64", "transposed"),
    Spec((2, 3), "float32", "stepped"),
    Spec((5,), "float16"),
    Spec(()),
    Spec((0, 3)),
    Spec((3, 4), "float64", grad=True),
]
INTEGERS = [Spec((3, 4), "int64"), Spec((4,), "int32", "stepped"), Spec((3,), "uint8"), Spec((), "int64")]
BOOLS = [Spec((2, 3), "bool"), Spec((0,), "bool")]
COMPLEX = [Spec((2, 2), "complex64")]
ALL = FLOATS + INTEGERS + BOOLS


def built(value, t):
    """Replace Specs and Named in nested arguments by the module's objects."""
    if isinstance(value, (Spec, Named)):
        return value.make(t)
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(built(item, t) for item in value)
    if isinstance(value, dict):
        return {key: built(item, t) for key, item in value.items()}
    return value


class Case:
    """A callable of the module with a description."""

    def __init__(self, function, text):
        self.function = function
        self.text = text

    def __call__(self, t):
        return self.function(t)


def call(path, *args, **kwargs):
    """Call `path` with the arguments and return its result, tensors it may have changed, and gradients."""

    def run(t):
        arguments, keywords = built(list(args), t), built(kwargs, t)
        result = resolve(t, path)(*arguments, **keywords)
        given = flatten([arguments, keywords], t)
        tracked = [one for one in given if one.requires_grad and one.is_leaf]
        outputs = [one for one in flatten(result, t) if one.requires_grad]
        gradients = []
        if tracked and outputs:
            weights = [weights_like(one, t) for one in outputs]
            gradients = list(t.autograd.grad(outputs, tracked, weights, allow_unused=True))
        gradients = [None if one is None or not np.any(to_numpy(one)) else one for one in gradients]
        same = [any(one is other for other in given) for one in flatten(result, t)]
        return [result, given, same, [bool(one.requires_grad) for one in flatten(result, t)], gradients]

    words = [repr(one) for one in args] + [f"{key}={value!r}" for key, value in kwargs.items()]
    return Case(run, f"{path}({', '.join(words)})")


def weights_like(tensor, t):
    array = to_numpy(tensor.detach())
    return from_array(t, np.random.default_rng(3).uniform(0.5, 1.5, array.shape).astype(array.dtype))


def calls(path, *argument_lists, inputs=ALL):
    """Every input with every argument list (a tuple, or a dict of keywords)."""
    made = []
    for one, arguments in itertools.product(inputs, argument_lists or [()]):
        if isinstance(arguments, dict):
            made.append(call(path, one, **arguments))
        else:
            made.append(call(path, one, *arguments))
    return made


class Differs:
    """A case whose results differ on purpose; one that agrees after all fails."""

    def __init__(self, case, why):
        self.case, self.why = case, why


def outcome(case, t):
    """Return (value, error)."""
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return case(t), None
    except Exception as error:
        return None, error


def plain(value):
    """Replace what Comparison does not look into; anything it cannot compare is an error of the case."""
    if isinstance(value, (torch.device, torch.memory_format, torch.layout)):
        return str(value).rpartition(".")[2]
    if isinstance(value, torch.nn.Module):
        return repr(value)
    if isinstance(value, dict):
        return [[key, plain(item)] for key, item in value.items()]
    if isinstance(value, torch.Size):
        return value
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        return type(value)(plain(item) for item in value)
    if isinstance(value, np.ndarray):
        return ["ndarray", str(value.dtype), torch.from_numpy(np.ascontiguousarray(value))]
    if isinstance(value, np.generic):
        return ["numpy", str(value.dtype), value.item()]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value


def plain_ours(value, t):
    if isinstance(value, (t.device, t.memory_format, t.layout)):
        return str(value).rpartition(".")[2]
    if isinstance(value, t.nn.Module):
        value = repr(value)
    if isinstance(value, str):
        return value.replace("minigrad.", "torch.")
    if isinstance(value, dict):
        return [[key, plain_ours(item, t)] for key, item in value.items()]
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        return type(value)(plain_ours(item, t) for item in value)
    if isinstance(value, np.ndarray):
        return ["ndarray", str(value.dtype), from_array(t, np.ascontiguousarray(value))]
    if isinstance(value, np.generic):
        return ["numpy", str(value.dtype), value.item()]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value


def comparable(value):
    """Whether Comparison looks at the value at all."""
    if isinstance(value, (tuple, list)):
        return all(comparable(item) for item in value)
    return value is None or isinstance(value, (torch.Tensor, torch.dtype, bool, int, float, complex, str))


# PyTorch lacks a kernel for a dtype, or a derivative: minigrad may have it.
LACKING = re.compile(
    r"not implemented for '|the derivative for|derivative for aten::.* is not implemented|not support automatic diff"
)


def difference(case, module):
    """Return None when both libraries agree on the case, else what differs."""
    expected, wanted = outcome(case, torch)
    actual, raised = outcome(case, module)
    if isinstance(wanted, NameError) or "module 'torch" in str(wanted):
        raise TypeError(f"the case itself is wrong: {one_line(wanted)}")
    if wanted is not None:
        if raised is None and LACKING.search(str(wanted)):
            return None
        if raised is None:
            return f"no error, want {one_line(wanted)}"
        if not isinstance(raised, builtin_base(wanted)):
            return f"raised {one_line(raised)}{innermost(raised)}, want {one_line(wanted)}"
        return None
    if raised is not None:
        return f"raised {one_line(raised)}{innermost(raised)}"
    expected = plain(expected)
    if not comparable(expected):
        raise TypeError(f"the case returns {expected!r}, which is not compared: return tensors, numbers, names")
    found = Comparison(module)(plain_ours(actual, module), expected)
    return found[1] if found else None


def check(cases, module):
    """Return the differences of a list of cases, as lines."""
    lines = []
    for index, case in enumerate(cases):
        text = getattr(case, "text", f"case {index}")
        if isinstance(case, Differs):
            if difference(case.case, module) is None:
                lines.append(f"#{index} agrees now; it was said: {case.why}")
            continue
        found = difference(case, module)
        if found:
            lines.append(f"#{index} {text}: {found}")
    return lines


__all__ = ["ALL", "BOOLS", "COMPLEX", "Differs", "FLOATS", "INTEGERS", "Named", "R", "Spec", "X"]
__all__ += ["call", "calls", "check", "difference", "outcome"]
