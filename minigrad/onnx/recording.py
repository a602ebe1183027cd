"""Running a program once and writing down the ops it calls: on which values, in which module."""

import contextlib
import inspect
import math

from minigrad.autograd.grad_mode import enable_grad
from minigrad.backend import memory_root, np, to_numpy
from minigrad.inplace import OVERWRITE, _positions
from minigrad.interception import watch
from minigrad.nn.module import Module
from minigrad.onnx.errors import OnnxExporterError
from minigrad.tensor import Tensor, wrap
from minigrad.utils._pytree import tree_leaves, tree_map_only
from minigrad.variable import MODE, next_time, written_since

WRITES = ("copy_slices", "overwrite_positions")  # recorded after their first argument's memory was written


class Value:
    """A tensor of the program, at one time: an input, a parameter (or buffer), a constant or an op's result."""

    __slots__ = ("array", "dtype", "index", "kind", "name", "range", "shape", "since")

    def __init__(self, index, kind, array, name=None):
        self.index, self.kind, self.array, self.name = index, kind, array, name
        self.shape, self.dtype = tuple(array.shape), array.dtype
        self.since = next_time()
        self.range = None  # of a constant that grows with a size: see sizes.py


class Positions:
    """Where in a tensor, counted in row-major order, elements are read or written; ``shape``: the tensor's."""

    def __init__(self, places, shape):
        self.places, self.shape = to_numpy(places), tuple(shape)

    @property
    def row(self):
        """The places in the first row of the tensor, if those of each other row are the same; else None."""
        rows = self.shape[0] if self.shape else 0
        if not rows or self.places.size % rows:
            return None
        size = math.prod(self.shape[1:])
        places = self.places.reshape(rows, -1) - np.arange(rows)[:, None] * size
        return places[0] if (places == places[0]).all() and ((places >= 0) & (places < size)).all() else None


class Call:
    """One op that was called: its name, arguments and parameters (with Values for tensors), results, and where."""

    __slots__ = ("args", "name", "outs", "params", "where")

    def __init__(self, name, args, params, outs, where):
        self.name, self.args, self.params, self.outs, self.where = name, args, params, outs, where

    def values(self):
        """Return the Values among the arguments and parameters."""
        return leaves((self.args, self.params), Value)


class Trace:
    """What one run of a program did."""

    def __init__(self):
        self.calls, self.values, self.inputs, self.outputs = [], [], [], []


def leaves(tree, kind):
    """Return the leaves of a tree that are objects of a class, in order."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, kind)]


def _defaults(op):
    """Return the parameters of an op that may be left out, with their values."""
    return {name: value for name, value in getattr(op, "defaults", {}).items() if value is not inspect.Parameter.empty}


class Recorder:
    """A watcher of ops (minigrad.interception.watch) that writes down those whose results depend on the inputs.

    Everything else is computed as it runs and becomes a constant. With ``folding`` that goes for what is computed from
    parameters alone, too.
    """

    composites = True

    def __init__(self, named, folding):
        self.trace, self.folding = Trace(), folding
        self.known = {}  # id of a raw array -> its Value, which keeps the array alive
        self.alive = []  # arrays of constants: ids of freed ones are given again
        self.roots = set()  # ids of the arrays that own the memory of results
        self.running = []  # names of the modules that are running
        for name, tensor in named.items():
            self._add("parameter", tensor.array, name)

    def _add(self, kind, array, name=None):
        value = Value(len(self.trace.values), kind, array, name)
        self.trace.values.append(value)
        self.known[id(array)] = value
        if kind in ("input", "computed"):
            self.roots.add(id(memory_root(array)))
        return value

    def add_input(self, tensor):
        """Make a tensor an input of the program."""
        self.trace.inputs.append(self._add("input", tensor.array))

    def depends(self, value):
        """Return whether a value has to be computed when the file is run."""
        return value.kind in ("input", "computed") or (value.kind == "parameter" and not self.folding)

    def value_of(self, tensor, before_write=False):
        """Return what a tensor holds now, as a Value."""
        array = tensor.array
        value = self.known.get(id(array))
        if value is not None and (before_write or not written_since(array, value.since)):
            return value
        if value is not None and value.kind == "computed":
            return self._read_again(tensor, array)
        if value is None and id(memory_root(array)) in self.roots:
            raise OnnxExporterError(
                f"onnx.export: {self.where()} reads a view of a computed tensor that no operation made (such as a "
                "NumPy array on its memory); use clone() or PyTorch's functions"
            )
        constant = self._add("constant", array)
        constant.array = array.copy()  # the program may write into it later
        constant.since = next_time()
        self.known[id(array)] = constant
        self.alive.append(array)
        return constant

    def _read_again(self, tensor, array):
        """Return the Value of a result whose memory was written since."""
        base = tensor._base
        if base is None or id(base.array) not in self.known or written_since(
            base.array, self.known[id(base.array)].since
        ):
            raise OnnxExporterError(
                f"onnx.export: {self.where()} reads a tensor that was written in place where nothing is recorded "
                "(under no_grad, or by a NumPy array on its memory); compute a new tensor instead"
            )
        positions = Positions(_positions(array, base.array), base.array.shape)
        out = self._add("computed", array)
        self.trace.calls.append(Call("read_positions", (self.value_of(base), positions), {}, [out], self.where()))
        return out

    def where(self):
        """Return the running module, for messages."""
        return self.running[-1] if self.running else "the program"

    def __call__(self, op, args, params, run):
        """Run an op, and write it down if its results depend on the inputs."""
        if op is OVERWRITE:
            return self._overwrite(*args, run)
        if hasattr(op, "__wrapped__"):  # a composite: all of its arguments by name
            bound = inspect.signature(op.__wrapped__).bind(*args, **params)
            bound.apply_defaults()
            # Raw arrays (of an index) are what a tensor holds, or constants.
            params = tree_map_only(np.ndarray, lambda array: self.value_of(wrap(array)), dict(bound.arguments))
            args = ()
        else:
            params = {**_defaults(op), **params}
        if op.name == "overwrite_positions":
            args = (*args[:2], Positions(args[2].array, args[0].array.shape))
        if op.name == "embedding" or op.name == "normalization" and not params["fixed"]:
            args = args[: 2 if op.name == "embedding" else 3]  # the rest is for gradients, or follows from the input
        written = op.name in WRITES
        if written and id(args[0].array) not in self.known:
            self._constant_before_write(op.name, *args, **params)
        args, params = tree_map_only(
            Tensor, lambda tensor: self.value_of(tensor, written), (args, dict(params))
        )
        result = run()
        if any(self.depends(value) for value in leaves((args, params), Value)):
            outs = [self._add("computed", tensor.array) for tensor in leaves(result, Tensor)]
            self.trace.calls.append(Call(op.name, args, params, outs, self.where()))
        elif written:  # a constant written over: to be read again
            self.known.pop(id(args[0].array), None)
        return result

    def _constant_before_write(self, name, tensor, value, positions=None, *, index=None):
        """Make a constant, into which something computed was written, a Value without that."""
        before = tensor.array.copy()
        if name == "copy_slices":
            before[index] = 0
        else:
            flat = before.reshape(-1)
            flat[positions.places] = 0
        constant = self._add("constant", tensor.array)
        constant.array = before

    def _overwrite(self, tensor, value, run):
        """A tensor, or the part of another that it looks at, gets another value in place."""
        base = tensor._base
        new = self.value_of(value)
        if base is not None:
            if id(base.array) not in self.known and self.depends(new):
                raise OnnxExporterError(
                    f"onnx.export: {self.where()} writes computed values into a view of a constant; write into the "
                    "tensor itself (x[index] = value)"
                )
            old = self.value_of(base)
            positions = Positions(_positions(tensor.array, base.array), base.array.shape)
        result = run()
        if base is None:
            if self.depends(new):
                cast = Call("cast", (new,), {"dtype": tensor.array.dtype}, [], self.where())
                cast.outs.append(self._add("computed", tensor.array))
                self.trace.calls.append(cast)
        elif self.depends(new) or self.depends(old):
            write = Call("overwrite_positions", (old, new, positions), {}, [], self.where())
            write.outs.append(self._add("computed", base.array))
            self.trace.calls.append(write)
            self.alive.append(tensor.array)
            new_here = Call("cast", (new,), {"dtype": tensor.array.dtype}, [], self.where())
            new_here.outs.append(self._add("computed", tensor.array))
            self.trace.calls.append(new_here)
        return result


@contextlib.contextmanager
def _naming_modules(model, recorder):
    """Let the recorder know which module is running."""
    handles = []

    def entered(module, args):
        recorder.running.append(names[module])

    def left(module, args, output):
        recorder.running.pop()

    names = {}
    if isinstance(model, Module):
        names = {module: f"{name or 'the model'} ({type(module).__name__})" for name, module in model.named_modules()}
    for module in names:
        handles += [module.register_forward_pre_hook(entered), module.register_forward_hook(left)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def record(model, args, kwargs, *, named, folding):
    """Return the Trace of one call of a model; ``named``: dict of its parameters and buffers.

    Floating point inputs are tracked, so that in-place operations are recorded as what they compute.
    """
    recorder = Recorder(named, folding)

    def tracked(tensor):
        copy = wrap(tensor.array.copy())
        if copy.array.dtype.kind == "f":
            copy = copy.requires_grad_() * 1  # no leaf: those can't be written in place
        recorder.add_input(copy)
        return copy

    before, MODE.inference = MODE.inference, False
    try:
        with enable_grad():
            args, kwargs = tree_map_only(Tensor, tracked, (tuple(args), dict(kwargs)))
            with _naming_modules(model, recorder), watch(recorder):
                result = model(*args, **kwargs)
    finally:
        MODE.inference = before
    trace = recorder.trace
    found = leaves(result, Tensor)
    if not found:
        raise OnnxExporterError(f"onnx.export: the model returned no tensor, but {type(result).__name__}")
    trace.outputs = [recorder.value_of(tensor) for tensor in found]
    for value in trace.values:  # results are not needed any more
        value.array = to_numpy(value.array) if value.kind in ("parameter", "constant") else None
    return trace


def random_like(tensor, size_of, generator):
    """Return a tensor of the same kind with other values, for a second run, and other lengths along some axes.

    The elements are those of the tensor in reverse order (so that indices stay in range), rows repeated or left out;
    floating point ones that are all alike are replaced by random ones. ``size_of``: dict axis -> length.
    """
    array = np.flip(to_numpy(tensor.array))
    if array.dtype.kind == "f" and array.size and array.min() == array.max():
        array = generator.random(array.shape).astype(array.dtype)
    for axis, length in size_of.items():
        array = np.take(array, np.arange(length) % array.shape[axis], axis)
    return wrap(np.ascontiguousarray(array)).to(tensor.device)
