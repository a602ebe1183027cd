"""Compare values, structures, errors, gradients, signatures and distributions of two frameworks."""

import cmath
import contextlib
import dataclasses
import inspect
import math
import os
import signal
import threading

import numpy as np
import torch

from tests.parity.convert import dtype_name, is_tensor, to_numpy

TOLERANCES = {"float64": (1e-7, 1e-9), "float32": (1e-4, 1e-5), "float16": (1e-2, 5e-3)}  # relative, absolute
TOLERANCES |= {"complex128": TOLERANCES["float64"], "complex64": TOLERANCES["float32"]}
TOLERANCES["bfloat16"] = (1.6e-2, 1e-2)


@dataclasses.dataclass
class Mismatch:
    check: str
    dtype: str
    where: str
    reason: str

    def __str__(self):
        return f"[{self.check} {self.dtype}] {self.where}: {self.reason}"


@dataclasses.dataclass
class Report:
    name: str
    status: str = "ok"  # ok, absent, skipped, mismatch
    mismatches: list = dataclasses.field(default_factory=list)
    compared: int = 0
    unsupported: int = 0
    seconds: float = 0.0
    owner: str = ""

    def line(self):
        if self.status == "mismatch":
            counts = {}
            for mismatch in self.mismatches:
                counts[mismatch.check] = counts.get(mismatch.check, 0) + 1
            text = ", ".join(f"{check} {count}" for check, count in counts.items())
            return f"{self.name:44} {len(self.mismatches)} mismatches ({text}): {self.mismatches[0]}"
        return f"{self.name:44} {self.status}" + (f" ({self.compared} comparisons)" if self.status == "ok" else "")


class Timeout(BaseException):
    """One sample took too long (not an Exception, so that no code under test swallows it)."""


@contextlib.contextmanager
def time_limit(seconds):
    """Interrupt the block after `seconds`; without effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum, frame):
        raise Timeout(f"took more than {seconds} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def describe(value):
    """Return a short description of a sample's argument."""
    if isinstance(value, torch.Tensor):
        return f"{tuple(value.shape)}" + ("" if value.is_contiguous() else "~") + f":{short(value.dtype)}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(describe(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}={describe(item)}" for key, item in value.items()) + "}"
    text = getattr(value, "__name__", None) or repr(value)
    return text if len(text) < 60 else text[:57] + "…"


def short(dtype):
    return dtype_name(dtype).replace("float", "f").replace("uint", "u").replace("int", "i")


def describe_sample(sample):
    text = ",".join([describe(sample.input), *map(describe, sample.args)])
    if sample.kwargs:
        text += " " + describe(sample.kwargs)
    return text if len(text) < 160 else text[:157] + "…"


def value_difference(actual, expected, tolerance, scaled):
    """Return None when two NumPy arrays agree, otherwise where they do not."""
    if actual.dtype == bool or actual.dtype.kind in "iu":
        wrong = actual != expected
    else:
        relative, absolute = tolerance
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        wide_actual, wide_expected = actual.astype(wide), expected.astype(wide)
        finite = np.abs(wide_expected[np.isfinite(wide_expected)])
        if scaled and finite.size:
            absolute = absolute * max(1.0, float(finite.max()))
        with np.errstate(all="ignore"):
            same = np.isclose(wide_actual, wide_expected, rtol=relative, atol=absolute, equal_nan=True)
        wrong = ~same
    if not wrong.any():
        return None
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())}/{wrong.size} elements, at {at} got {actual[at]!s}, want {expected[at]!s}"


class Comparison:
    """Compares a result of the target module with PyTorch's, structure first."""

    def __init__(self, module, tolerance=None, scaled=True, magnitude=False, values=True, loose_indices=False):
        self.module = module
        self.tolerance = tolerance
        self.scaled = scaled
        self.magnitude = magnitude
        self.values = values
        self.loose_indices = loose_indices

    def __call__(self, actual, expected, path="result"):
        """Return None or the first difference as (check, text)."""
        if isinstance(expected, torch.Tensor):
            return self.tensors(actual, expected, path)
        if isinstance(expected, (tuple, list)):
            return self.sequences(actual, expected, path)
        if isinstance(expected, torch.dtype):
            same = dtype_name(actual) == dtype_name(expected)
            return None if same else ("dtype", f"{path}: got {actual}, want {expected}")
        if isinstance(expected, (bool, int, float, complex)):
            return self.scalars(actual, expected, path)
        if expected is None or isinstance(expected, str):
            return None if actual == expected else ("structure", f"{path}: got {actual!r}, want {expected!r}")
        return None

    def scalars(self, actual, expected, path):
        if type(actual) is not type(expected):
            return "structure", f"{path}: got {type(actual).__name__}, want {type(expected).__name__}"
        if not self.values:
            return None
        if isinstance(expected, float):
            relative, absolute = self.tolerance or (1e-5, 1e-7)
            same = math.isclose(actual, expected, rel_tol=relative, abs_tol=absolute) or (
                math.isnan(actual) and math.isnan(expected)
            )
        elif isinstance(expected, complex):
            both_nan = cmath.isnan(actual) and cmath.isnan(expected)
            same = both_nan or cmath.isclose(actual, expected, rel_tol=1e-5, abs_tol=1e-7)
        else:
            same = actual == expected
        return None if same else ("value", f"{path}: got {actual}, want {expected}")

    def sequences(self, actual, expected, path):
        kind = tuple if isinstance(expected, tuple) else list
        if not isinstance(actual, kind):
            return "structure", f"{path}: got {type(actual).__name__}, want {type(expected).__name__}"
        if len(actual) != len(expected):
            return "structure", f"{path}: got {len(actual)} items, want {len(expected)}"
        if isinstance(expected, torch.Size):
            return None if tuple(actual) == tuple(expected) else ("value", f"{path}: got {actual}, want {expected}")
        fields = getattr(expected, "__match_args__", ()) or getattr(expected, "_fields", ())
        for index, field in enumerate(fields):
            if getattr(actual, field, None) is not actual[index]:
                return "structure", f"{path}: has no field .{field} as item {index}"
        for index, (one, other) in enumerate(zip(actual, expected)):
            difference = self(one, other, f"{path}[{fields[index] if fields else index}]")
            if difference:
                return difference
        return None

    def tensors(self, actual, expected, path):
        if not is_tensor(actual, self.module):
            return "structure", f"{path}: got {type(actual).__name__}, want a tensor of shape {tuple(expected.shape)}"
        if tuple(actual.shape) != tuple(expected.shape):
            return "shape", f"{path}: got shape {tuple(actual.shape)}, want {tuple(expected.shape)}"
        if dtype_name(actual.dtype) != dtype_name(expected.dtype):
            return "dtype", f"{path}: got {dtype_name(actual.dtype)}, want {dtype_name(expected.dtype)}"
        if not self.values:
            return None
        indices = expected.dtype is torch.int64 and ("indices" in path or path == "result" or "[1]" in path)
        if self.loose_indices and indices:
            return None
        one, other = to_numpy(actual), to_numpy(expected)
        if self.magnitude and one.dtype.kind in "fc":
            one, other = np.abs(one), np.abs(other)
        tolerance = self.tolerance or TOLERANCES.get(dtype_name(expected.dtype), (0, 0))
        difference = value_difference(one, other, tolerance, self.scaled)
        return ("value", f"{path}: {difference}") if difference else None


def builtin_base(error):
    """The first builtin class of an exception: what `except` and assertRaises see in both frameworks."""
    return next(base for base in type(error).__mro__ if base.__module__ == "builtins")


def one_line(error, limit=150):
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    return text if len(text) < limit else text[: limit - 1] + "…"


def innermost(error):
    """File and line, inside the package under test, where an exception arose."""
    place, trace = "", error.__traceback__
    while trace:
        filename = trace.tb_frame.f_code.co_filename
        if "minigrad" in filename or "numpy" not in filename and "torch" not in filename and "tests" not in filename:
            place = f" ({os.path.basename(filename)}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def gradient_difference(actual, expected, tolerance):
    for index, (one, other) in enumerate(zip(actual, expected)):
        if one is None and other is None:
            continue
        if one is None or other is None:
            given = one if other is None else other
            if np.any(given != 0):
                words = ["None" if gradient is None else "values" for gradient in (one, other)]
                return f"gradient of tensor {index}: got {words[0]}, want {words[1]}"
            continue
        if one.shape != other.shape:
            return f"gradient of tensor {index}: got shape {one.shape}, want {other.shape}"
        if one.dtype != other.dtype:
            return f"gradient of tensor {index}: got {one.dtype}, want {other.dtype}"
        difference = value_difference(one, other, tolerance, True)
        if difference:
            return f"gradient of tensor {index}: {difference}"
    return None


def parameters_of(function):
    """[(name, default), …] of a function without its private parameters; None where it takes anything."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    if any(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters):
        return None
    return [
        (
            one.name,
            "required" if one.default is one.empty else getattr(one.default, "__name__", None) or repr(one.default),
        )
        for one in parameters
        if not one.name.startswith("_")
    ]


def accepts(ours, theirs):
    """Whether our parameters take every call theirs take: same order and defaults; further optional ones may follow."""
    if theirs is None or ours == theirs:
        return True
    if ours is None or len(ours) < len(theirs) or any(default == "required" for _, default in ours[len(theirs) :]):
        return False
    return all(one == other or one[0] == other[0] and other[1] == "required" for one, other in zip(ours, theirs))


def signature_text(parameters):
    if parameters is None:
        return "(*args, **kwargs)"
    return "(" + ", ".join(name if default == "required" else f"{name}={default}" for name, default in parameters) + ")"


def kolmogorov_smirnov(one, other):
    one, other = np.sort(one), np.sort(other)
    points = np.concatenate([one, other])
    return float(
        np.abs(
            np.searchsorted(one, points, "right") / one.size - np.searchsorted(other, points, "right") / other.size
        ).max()
    )
