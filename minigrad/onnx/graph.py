"""The ONNX graph of a recorded program: names, nodes and initializers."""

import functools

from minigrad.backend import np
from minigrad.onnx.errors import OnnxExporterError, SymbolicValueError, UnsupportedOperatorError
from minigrad.onnx.recording import Value, leaves
from minigrad.onnx.sizes import Varying, first_of, varies

BUILDERS = {}  # name of an op -> (function (graph, call) -> name or names of the results, whether it takes Varyings)
OLDEST, NEWEST, USUAL = 13, 23, 18  # opset versions


def builds(*names, sizes=False):
    """Register a function (graph, call) -> name(s) of results as what makes the nodes of the ops with these names.

    ``sizes``: it can do with parameters that vary with the sizes of the inputs.
    """

    def register(function):
        for name in names:
            BUILDERS[name] = (function, sizes)
        return function

    return register


class Graph:
    """Collects nodes and initializers; values of the program get their names when a node asks for them."""

    def __init__(self, trace, sizes, opset):
        self.trace, self.sizes, self.opset = trace, sizes, opset
        self.nodes = []  # (type, inputs, outputs, attributes)
        self.initializers = {}  # name -> array
        self.names = {}  # index of a Value -> name
        self.taken = set()
        self.where = "the program"
        self._constants = {}  # (dtype, shape, bytes) -> name of a small one
        self._lengths = {}  # (Size or its expression) -> name

    # ------------------------------------------------------------------ names
    def fresh(self, hint):
        """Return a name that nothing has yet."""
        name, number = hint, 0
        while name in self.taken:
            number += 1
            name = f"{hint}_{number}"
        self.taken.add(name)
        return name

    def add(self, kind, *inputs, outputs=None, count=1, **attributes):
        """Add a node and return the name of its result, or a list of names if there are several.

        Inputs are names, "" (none), Values, or NumPy arrays, which become constants; attributes that are None are left
        out.
        """
        inputs = [self.name(one) for one in inputs]
        while inputs and not inputs[-1]:
            inputs.pop()
        names = outputs or [self.fresh(f"{self.prefix}{kind}") for _ in range(count)]
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append((kind, inputs, names, attributes))
        return names if outputs or count > 1 else names[0]

    @property
    def prefix(self):
        """What names of results begin with: the running module's."""
        name = self.where.partition(" ")[0]
        return "" if name == "the" else name + "/"

    def name(self, one):
        """Return the name of a Value, a constant array or a name."""
        if isinstance(one, str):
            return one
        if one is None:
            return ""
        if isinstance(one, Varying):
            return self.lengths((one,), scalar=True)
        if not isinstance(one, Value):
            return self.constant(np.asarray(one))
        if one.index not in self.names:
            if one.kind == "computed":
                raise UnsupportedOperatorError(
                    f"onnx.export: {self.where} uses a result that ONNX does not give (such as positions of maxima of "
                    "sliding windows)"
                )
            self.names[one.index] = self._constant_value(one)
        return self.names[one.index]

    def _constant_value(self, value):
        """Return the name of a parameter's or constant's initializer."""
        if value.kind == "parameter":
            name = self.fresh(value.name)
            self.initializers[name] = value.array
            return name
        if value.range is not None:
            start, step, axis = value.range
            (length,) = (length for length in value.shape if isinstance(length, Varying))
            count = self.lengths((length,), scalar=True)
            numbers = self.add("Range", np.int64(0), count, np.int64(1))
            kind = np.dtype(np.int64) if value.dtype.kind in "iu" else value.dtype
            numbers = self.cast(numbers, kind)
            numbers = self.add("Add", self.add("Mul", numbers, kind.type(step)), kind.type(start))
            shape = tuple(-1 if i == axis else 1 for i in range(len(value.shape)))
            return self.cast(self.add("Reshape", numbers, np.array(shape, np.int64)), value.dtype)
        constant = self.constant(value.array)
        return self.add("Expand", constant, self.lengths(value.shape)) if varies(value.shape) else constant

    def constant(self, array):
        """Return the name of a constant."""
        array = np.ascontiguousarray(array) if array.ndim else array
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 else None
        if key is None or key not in self._constants:
            name = self.fresh(f"constant_{len(self.initializers)}")
            self.initializers[name] = array
            if key is None:
                return name
            self._constants[key] = name
        return self._constants[key]

    # ------------------------------------------------------------------ sizes
    def lengths(self, shape, scalar=False):
        """Return the name of a shape (int64), computed where it varies; a scalar: of its one length."""
        if not varies(shape):
            return self.constant(np.array(shape[0] if scalar else shape, np.int64))
        key = (tuple(shape), scalar)
        if key not in self._lengths:
            parts = [self._length(one) for one in shape]
            if scalar:
                self._lengths[key] = self.add("Squeeze", parts[0], np.array([0], np.int64))
            else:
                self._lengths[key] = self.add("Concat", *parts, axis=0)
        return self._lengths[key]

    def _length(self, one):
        """Return the name of a length as a tensor of shape (1,)."""
        if not isinstance(one, Varying):
            return self.constant(np.array([one], np.int64))
        if one not in self._lengths:
            constant, terms = one.in_terms_of(self.sizes)
            total = None
            for factor, sizes in terms:
                term = functools.reduce(lambda a, b: self.add("Mul", a, b), map(self._size, sizes))
                term = term if factor == 1 else self.add("Mul", term, np.array([factor], np.int64))
                total = term if total is None else self.add("Add", total, term)
            self._lengths[one] = self.add("Add", total, np.array([constant], np.int64)) if constant else total
        return self._lengths[one]

    def _size(self, size):
        """Return the name of a Size as a tensor of shape (1,)."""
        if size not in self._lengths:
            shape = self.add("Shape", self.trace.inputs[size.source])
            self._lengths[size] = self.add("Gather", shape, np.array([size.axis], np.int64), axis=0)
        return self._lengths[size]

    # ------------------------------------------------------------------ what many builders need
    def cast(self, one, dtype):
        """Return the name of a value in another NumPy dtype; the value itself where it has it."""
        if isinstance(one, Value) and one.dtype == dtype:
            return self.name(one)
        from onnx.helper import np_dtype_to_tensor_dtype

        return self.add("Cast", one, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, one, shape, source=()):
        """Return the name of a value in another shape; ``source``: the shape it has, as far as it is known."""
        if tuple(shape) == tuple(source):
            return self.name(one)
        target = [
            0 if isinstance(length, Varying) and axis < len(source) and source[axis] == length else length
            for axis, length in enumerate(shape)
        ]
        unknown = [axis for axis, length in enumerate(target) if isinstance(length, Varying)]
        if len(unknown) == 1 and 0 not in first_of(tuple(shape)):
            target[unknown[0]] = -1
            unknown = []
        if unknown:
            return self.add("Reshape", one, self.lengths(shape))
        zero = None if 0 not in first_of(tuple(shape)) else 1  # then 0 is a length, not "as it was"
        if zero:
            return self.add("Reshape", one, self.lengths(shape), allowzero=1)
        return self.add("Reshape", one, np.array(target, np.int64))

    def reduce(self, kind, one, axes, keepdims):
        """Return the name of a reduction over axes (None: all)."""
        if axes is not None and not axes:
            return self.name(one)
        axes = None if axes is None else [int(axis) for axis in axes]
        if self.opset >= 18 or kind == "ReduceSum":
            return self.add(kind, one, None if axes is None else np.array(axes, np.int64), keepdims=int(keepdims))
        return self.add(kind, one, axes=axes, keepdims=int(keepdims))

    def needs_opset(self, version, what):
        """UnsupportedOperatorError where the file is of an older version."""
        if self.opset < version:
            raise UnsupportedOperatorError(
                f"onnx.export: {self.where}: {what} needs opset_version {version} or later, but got {self.opset}"
            )

    def unsupported(self, message):
        """Return the error for an op that is supported, but not so."""
        return SymbolicValueError(f"onnx.export: {self.where}: {message}")

    # ------------------------------------------------------------------ building
    def build(self):
        """Add the nodes of the calls that the outputs need."""
        needed = {value.index for value in self.trace.outputs}
        calls = []
        for call in reversed(self.trace.calls):
            if any(out.index in needed for out in call.outs):
                calls.append(call)
                needed.update(value.index for value in call.values())
        for call in reversed(calls):
            self.where = call.where
            self._build_call(call)
        self.where = "the program"

    def _build_call(self, call):
        builder, takes_sizes = BUILDERS.get(call.name, (None, False))
        if any(value.dtype.kind == "c" for value in leaves((call.args, call.params, call.outs), Value)):
            builder = None
        if builder is None:
            raise UnsupportedOperatorError(
                f"onnx.export: {self.where} calls {call.name}, which can't be exported (docs/onnx.md lists what can); "
                "write it with other operations, or leave it out of the exported model"
            )
        if not takes_sizes and varies((call.args, call.params)):
            raise OnnxExporterError(
                f"onnx.export: {self.where} calls {call.name} with a number that depends on a dynamic size "
                f"({call.params}), which is not supported for this operation; leave out that axis of dynamic_axes"
            )
        names = builder(self, call)
        for out, name in zip(call.outs, [names] if isinstance(names, str) else names, strict=False):
            if name is not None:
                self.names[out.index] = name


def windows(graph, sizes, kernel, stride, padding, dilation, count):
    """Return ONNX's pads (all befores, then all afters) with which a pooling gives the ``count`` of windows.

    Where the sizes vary, the padding has to be what was asked for, with no last window that reaches over the end.
    """
    before, after = list(padding), []
    for size, k, s, p, d, n in zip(sizes, kernel, stride, padding, dilation, count, strict=True):
        reach = d * (k - 1) + 1
        lengths = size.values if isinstance(size, Varying) else (size,)
        counts = n.values if isinstance(n, Varying) else (n,) * len(lengths)
        if isinstance(n, Varying) and not isinstance(size, Varying):
            raise graph.unsupported("the number of windows varies but the size does not")
        if all(m == (length + 2 * p - reach) // s + 1 for length, m in zip(lengths, counts, strict=True)):
            after.append(p)
        elif isinstance(size, Varying):
            raise graph.unsupported("ceil_mode is not supported along an axis of dynamic size")
        else:
            after.append((n - 1) * s + reach - size - p)
    return before + after


