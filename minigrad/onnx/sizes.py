"""What depends on the sizes of the inputs: found by comparing runs of the program with other sizes.

A number that differs between the runs is a Varying; its values say how it follows from the named sizes (the batch, …).
What differs in any other way (a value that was computed outside of the recorded ops, a random number) is an error.
"""

import itertools
import math

from minigrad.backend import np
from minigrad.kernels.resample import Taps
from minigrad.onnx.errors import OnnxExporterError
from minigrad.onnx.recording import Call, Positions, Value


class Size:
    """A named length of an input along an axis, with the length it had in each run."""

    def __init__(self, name, source, axis, values):
        self.name, self.source, self.axis, self.values = name, source, axis, values


class Varying:
    """An integer that was another one in another run."""

    def __init__(self, values):
        self.values = tuple(values)

    def __eq__(self, other):
        return isinstance(other, Varying) and self.values == other.values

    def __hash__(self):
        return hash(self.values)

    def __repr__(self):
        return f"a size that varies ({', '.join(map(str, self.values))})"

    def in_terms_of(self, sizes):
        """Return (constant, [(factor, sizes), …]) so that this is the constant and the sum of factor · their product.

        OnnxExporterError where it is neither a sum of multiples of the sizes nor a multiple of a product of some.
        """
        found = self._as_sum(sizes) or self._as_product(sizes)
        if found is not None:
            return found
        known = ", ".join(f"{size.name} {size.values}" for size in sizes)
        raise OnnxExporterError(
            f"onnx.export: a size of the program is {list(self.values)} for {known}: where a shape needs it, only sums "
            "of multiples of the dynamic sizes are supported, and products of different ones; leave out that axis of "
            "dynamic_axes, or let one dimension be inferred (-1)"
        )

    def _as_sum(self, sizes):
        constant, terms = self.values[0], []
        for run, size in enumerate(sizes, 1):
            factor, rest = divmod(self.values[run] - self.values[0], size.values[run] - size.values[0])
            if rest:
                return None
            if factor:
                terms.append((factor, (size,)))
                constant -= factor * size.values[0]
        total = constant + sum(factor * size.values[-1] for factor, (size,) in terms)
        return (constant, terms) if total == self.values[-1] else None

    def _as_product(self, sizes):
        for count in range(2, len(sizes) + 1):
            for chosen in itertools.combinations(sizes, count):
                products = [math.prod(values) for values in zip(*[size.values for size in chosen], strict=True)]
                factor = self.values[0] // products[0]
                if all(value == factor * one for value, one in zip(self.values, products, strict=True)):
                    return 0, [(factor, chosen)]
        return None


def first_of(tree):
    """Return nested tuples with what each Varying was in the first run."""
    if isinstance(tree, Varying):
        return tree.values[0]
    return tuple(map(first_of, tree)) if isinstance(tree, tuple) else tree


def varies(tree):
    """Return whether there is a Varying in nested tuples, lists, dicts and slices."""
    if isinstance(tree, slice):
        tree = (tree.start, tree.stop, tree.step)
    elif isinstance(tree, dict):
        tree = tree.values()
    if isinstance(tree, (tuple, list, type({}.values()))):
        return any(map(varies, tree))
    return isinstance(tree, Varying)


class _Differs(Exception):
    """Two runs did different things."""


def same_calls(traces):
    """Return whether runs called the same ops, and otherwise say where they part: None or a sentence."""
    base = traces[0]
    for trace in traces[1:]:
        for one, other in zip(base.calls, trace.calls, strict=False):
            if one.name != other.name or len(one.outs) != len(other.outs):
                return f"{one.where} calls {one.name} in one run and {other.name} in another"
        if len(base.calls) != len(trace.calls):
            return f"it calls {len(base.calls)} operations in one run and {len(trace.calls)} in another"
        if len(base.values) != len(trace.values):
            return "it uses different constants"
    return None


def merged(traces):
    """Return the first trace with a Varying for each number that was another one in another run, shapes included."""
    base = traces[0]
    for values in zip(*[trace.values for trace in traces], strict=True):
        _merge_value(values)
    calls = []
    for group in zip(*[trace.calls for trace in traces], strict=True):
        one = group[0]
        try:
            args = _merge([call.args for call in group])
            params = _merge([call.params for call in group])
        except _Differs as error:
            raise OnnxExporterError(
                f"onnx.export: {one.where} calls {one.name} with {error}, which no operation on the inputs gave (a "
                "number read by item(), or a random one); it can't be exported as a constant"
            ) from None
        calls.append(Call(one.name, args, params, one.outs, one.where))
    base.calls = calls
    return base


def _merge_value(values):
    """Let the Value of the first run know which of its dimensions vary; check that constants are constant."""
    one = values[0]
    arrays = [value.array for value in values]
    if any(value.kind != one.kind or len(value.shape) != len(one.shape) for value in values):
        raise OnnxExporterError("onnx.export: runs of the model with other inputs differ in what they compute")
    one.shape = _merge([value.shape for value in values])
    if one.kind != "constant":
        return
    axes = [axis for axis, length in enumerate(one.shape) if isinstance(length, Varying)]
    kept = arrays
    for axis in axes:
        if all(array.shape[axis] and (array == array.take([0], axis)).all() for array in kept):
            kept = [array.take([0], axis) for array in kept]
    if _alike(kept):
        one.array = kept[0]
        return
    line = [array.reshape(-1) for array in kept]
    if len(axes) == 1 and all(one.size == array.shape[axes[0]] > 1 for one, array in zip(line, kept, strict=True)):
        start, step = line[0][0], line[0][1] - line[0][0]
        if all(_alike([numbers, start + step * np.arange(numbers.size, dtype=numbers.dtype)]) for numbers in line):
            one.range = (start, step, axes[0])
            return
    raise OnnxExporterError(
        f"onnx.export: a tensor of shape {list(first_of(one.shape))} and dtype {one.dtype} changes with the inputs, "
        "but was not computed from them by operations that are recorded (random numbers, item(), NumPy, a mask made "
        "for one length); compute it from the inputs, or leave out that axis of dynamic_axes"
    )


def _alike(arrays):
    """Return whether arrays (or Nones) are the same; NaN is NaN."""
    first = arrays[0]
    return all(
        array is not None and first is not None and array.shape == first.shape
        and np.array_equal(array, first, equal_nan=first.dtype.kind in "fc")
        for array in arrays[1:]
    )  # fmt: skip


def _merge(group):
    """Return what several runs have in common: the same structure, with Varyings for integers that differ."""
    one = group[0]
    if any(type(other) is not type(one) for other in group):
        raise _Differs(f"{one!r} in one run and {group[-1]!r} in another")
    if isinstance(one, Value):
        if any(other.index != one.index for other in group):
            raise _Differs("other tensors in another run")
        return one
    if isinstance(one, (tuple, list)):
        if any(len(other) != len(one) for other in group):
            raise _Differs("more values in another run")
        parts = [_merge(parts) for parts in zip(*group, strict=True)]
        return tuple(parts) if isinstance(one, tuple) else parts
    if isinstance(one, dict):
        return {key: _merge([other[key] for other in group]) for key in one}
    if isinstance(one, slice):
        return slice(*_merge([(other.start, other.stop, other.step) for other in group]))
    if isinstance(one, Taps):
        numbers = [(taps.size, taps.out) for taps in group]
        if any(pair != numbers[0] for pair in numbers):
            raise _Differs("maps between varying lengths")
        return one
    if isinstance(one, Positions):
        rows = [other.row for other in group]
        if not _alike([other.places for other in group]) and (rows[0] is None or not _alike(rows)):
            raise _Differs("other positions in another run")
        return one
    if isinstance(one, np.ndarray):
        if not _alike(group):
            raise _Differs("other arrays in another run")
        return one
    if isinstance(one, (int, np.integer)) and not isinstance(one, bool) and any(other != one for other in group):
        return Varying(map(int, group))
    if any(other != one and not (isinstance(one, float) and math.isnan(one) and math.isnan(other)) for other in group):
        raise _Differs(f"{one!r} in one run and {group[-1]!r} in another")
    return one
