"""summary: a model's layers in the order they run, with shapes, parameters, memory, operations and receptive fields."""

import contextlib
import dataclasses
import json
import math
import random as python_random
import weakref
from typing import Any

from minigrad.autograd import set_grad_enabled
from minigrad.backend import DTYPES, FLOAT_CODES, device, get_default_dtype, memory_root
from minigrad.nn.lazy import LazyModuleMixin
from minigrad.nn.module import Module
from minigrad.ops.creation import zeros
from minigrad.random import fork_rng
from minigrad.tensor import Tensor
from minigrad.utils.products import MULTIPLY_ADDS, watch_products
from minigrad.utils.receptive_field import ALL, ReceptiveFields
from minigrad.variable import MODE

__all__ = ["Row", "Summary", "summary"]

# Titles of the columns a table may have, and the cell of a row; `inside` says that the row's children are shown too.
COLUMNS = {
    "input_shape": ("Input shape", lambda row, inside: _shapes(row.input_shapes)),
    "output_shape": ("Output shape", lambda row, inside: _shapes(row.output_shapes)),
    "kernel": ("Kernel", lambda row, inside: _size(row.kernel)),
    "parameters": ("Parameters", lambda row, inside: _parameter_cell(row, inside, "parameters")),
    "biases": ("Biases", lambda row, inside: _parameter_cell(row, inside, "biases")),
    "activations": ("Activations", lambda row, inside: _count(row.own_activations if inside else row.activations)),
    "activation_bytes": (
        "Act. memory",
        lambda row, inside: _bytes_or_dash(row.own_activation_bytes if inside else row.activation_bytes),
    ),
    "saved_bytes": (
        "For backward",
        lambda row, inside: _bytes_or_dash(row.own_saved_bytes if inside else row.saved_bytes),
    ),
    "multiply_adds": (
        "Mult-adds",
        lambda row, inside: _count(row.own_multiply_adds if inside else row.multiply_adds),
    ),
    "receptive_field": ("Sees", lambda row, inside: _size(row.receptive_field)),
    "trainable": ("Trainable", lambda row, inside: row.trainable),
}
DEFAULT_COLUMNS = (
    "output_shape", "parameters", "activations", "activation_bytes", "multiply_adds", "receptive_field",
)  # fmt: skip
MODES = ("eval", "train", "same")

# Tensors of a trainable parameter's size that an optimizer keeps.
OPTIMIZER_STATES = {"sgd": 0, "sgd_momentum": 1, "rmsprop": 1, "adagrad": 1, "adam": 2, "adamw": 2}


@dataclasses.dataclass
class Row:
    """One call of one module. Figures without ``own_`` include the modules called inside it.

    receptive_field: sizes of the patch of the input that one position of the output sees (the largest, through
    branches; it may exceed the image), "all" after what sees the whole input, None where there are no positions.
    activations: elements of the outputs that took new memory (views and in-place results take none).
    """

    name: str
    type: str
    depth: int
    repeated: bool = False  # the module was called before: its parameters are counted there
    input_shapes: list = dataclasses.field(default_factory=list)
    output_shapes: list = dataclasses.field(default_factory=list)
    kernel: tuple | None = None
    parameters: int = 0
    own_parameters: int = 0
    biases: int = 0
    own_biases: int = 0
    trainable: str = "-"  # "yes", "no" or "partly"
    activations: int = 0
    own_activations: int = 0
    activation_bytes: int = 0
    own_activation_bytes: int = 0
    saved_bytes: int = 0
    own_saved_bytes: int = 0
    multiply_adds: int = 0
    own_multiply_adds: int = 0
    receptive_field: Any = None

    @property
    def output_shape(self):
        """Shape of the (first) output."""
        return self.output_shapes[0] if self.output_shapes else None

    @property
    def weights(self):
        """Parameters without biases."""
        return self.parameters - self.biases


@dataclasses.dataclass
class Summary:
    """What `summary` found; prints as a table.

    total_parameters, trainable_parameters, frozen_parameters and total_biases count every parameter once, also those of
    modules that did not run (not_run). multiply_adds are those of one forward pass over the batch, and
    backward_multiply_adds those of a training pass's gradients. activations are the outputs of all rows.
    saved_bytes is what the recorded graph of a forward pass in training keeps for backward, apart from parameters,
    buffers and the input; None where the model can't run in training, and training_error says why.
    """

    model: str
    mode: str
    device: str
    input_shapes: list
    rows: list
    depth: int
    columns: tuple
    total_parameters: int = 0
    trainable_parameters: int = 0
    total_biases: int = 0
    parameter_bytes: int = 0
    trainable_bytes: int = 0
    buffer_bytes: int = 0
    input_elements: int = 0
    input_bytes: int = 0
    activations: int = 0
    activation_bytes: int = 0
    multiply_adds: int = 0
    backward_multiply_adds: int | None = None
    saved_bytes: int | None = None
    training_error: str | None = None
    not_run: list = dataclasses.field(default_factory=list)

    @property
    def frozen_parameters(self):
        """Parameters without requires_grad."""
        return self.total_parameters - self.trainable_parameters

    @property
    def gradient_bytes(self):
        """Memory of the gradients of the trainable parameters."""
        return self.trainable_bytes

    @property
    def forward_bytes(self):
        """Memory of parameters, buffers, input and all activations: what a forward pass that keeps them all takes."""
        return self.parameter_bytes + self.buffer_bytes + self.input_bytes + self.activation_bytes

    @property
    def training_bytes(self):
        """Memory of parameters, buffers, gradients, input and what is saved for backward; None if it can't train.

        The gradients of activations are not in it: they are freed as the backward pass goes.
        """
        if self.saved_bytes is None:
            return None
        return self.parameter_bytes + self.buffer_bytes + self.gradient_bytes + self.input_bytes + self.saved_bytes

    def optimizer_bytes(self, optimizer):
        """Return the memory of an optimizer's state; ValueError unless optimizer is a name of OPTIMIZER_STATES."""
        if optimizer not in OPTIMIZER_STATES:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZER_STATES)}, but got {optimizer!r}")
        return OPTIMIZER_STATES[optimizer] * self.trainable_bytes

    def to_dict(self):
        """Return everything as a dict of plain Python values."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        found["rows"] = [dataclasses.asdict(row) for row in self.rows]
        for name in ("columns", "input_shapes"):
            found[name] = [list(value) if isinstance(value, tuple) else value for value in found[name]]
        for name in ("frozen_parameters", "gradient_bytes", "forward_bytes", "training_bytes"):
            found[name] = getattr(self, name)
        return found

    def to_json(self, indent=1):
        """Return everything as JSON."""
        return json.dumps(self.to_dict(), indent=indent)

    def __str__(self):
        return "\n".join([*_table(self), *_totals(self)])

    __repr__ = __str__


def summary(
    model, input_size=None, *, input_data=None, batch_size=None, dtypes=None, device=None, depth=None, mode="eval",
    columns=DEFAULT_COLUMNS, **kwargs
):  # fmt: skip
    """Return the Summary of a model: run it once on zeros and once more in training, and say what each module did.

    Multiply-adds are those of the convolutions and matrix products that really run, in functional calls too; what goes
    through no such product (activations, pooling, normalisation, biases) is not counted, as in published tables. With
    input_size their values are not computed, so that large models are quick: code whose control flow looks at values
    sees zeros. With input_data everything is computed. The model's mode, buffers, parameters, gradients, hooks and the
    state of the random numbers are left as they were, also when it raises.

    Arguments: model (Module), input_size (a shape, or a list of shapes for several inputs; the batch dimension may be
    left out where the first convolution or pooling tells how many there must be, and is 1 then), input_data (instead: a
    tensor, a sequence of arguments or a dict of keyword arguments), batch_size (put before each input_size), dtypes
    (of the inputs: one, or one each), device (the model's), depth (levels of modules that are printed), mode ("eval",
    "train", "same": how the rows are found), columns (names of COLUMNS that are printed), kwargs (further arguments of
    forward). Raises TypeError for what is no Module, ValueError for wrong arguments and lazy modules that never ran.
    Source: the arguments follow torchinfo, https://github.com/TylerYep/torchinfo

    >>> import minigrad as mg
    >>> model = mg.nn.Sequential(mg.nn.Conv2d(1, 6, 5), mg.nn.ReLU(), mg.nn.Flatten(), mg.nn.Linear(6 * 24 * 24, 10))
    >>> found = mg.summary(model, (1, 28, 28))
    >>> found.total_parameters, found.multiply_adds, found.rows[1].output_shape, found.rows[1].receptive_field
    (34726, 120960, (1, 6, 24, 24), (5, 5))
    """
    _check(model, depth, mode, columns)
    args, kwargs = _inputs(model, input_size, input_data, batch_size, dtypes, device, kwargs)
    compute = input_data is not None
    with _left_alone(model):
        _set_mode(model, mode)
        try:
            watch = _watched(model, args, kwargs, compute, follow=True)
        except Exception:  # tracked inputs are refused by some code, by .numpy() for one
            watch = _watched(model, args, kwargs, compute, follow=False)
    with _left_alone(model):
        _set_mode(model, "same" if mode == "same" else "train")
        try:
            training, error = _watched(model, args, kwargs, compute, follow=False), None
        except Exception as caught:
            training, error = None, f"{type(caught).__name__}: {caught}"
    return _result(model, watch, training, error, (args, kwargs), depth, mode, columns)


# ---------------------------------------------------------------------- arguments
def _check(model, depth, mode, columns):
    if not isinstance(model, Module):
        raise TypeError(f"summary: expected a Module, but got {type(model).__name__}")
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 0):
        raise ValueError(f"summary: depth must be None or a number of levels, but got {depth!r}")
    if mode not in MODES:
        raise ValueError(f"summary: mode must be one of {', '.join(MODES)}, but got {mode!r}")
    wrong = [name for name in columns if name not in COLUMNS]
    if isinstance(columns, str) or wrong:
        raise ValueError(f"summary: columns must be names of {', '.join(COLUMNS)}, but got {columns!r}")
    for name, module in model.named_modules():
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
            raise ValueError(f"summary: the lazy module {name!r} has no parameters yet; call the model once before")


def _inputs(model, input_size, input_data, batch_size, dtypes, target, kwargs):
    """Return (args, kwargs) that the model is called with."""
    first = next((tensor for tensor in (*model.parameters(), *model.buffers())), None)
    target = device(target) if target is not None else first.device if first is not None else device("cpu")
    if (input_size is None) == (input_data is None):
        raise ValueError("summary: give either input_size or input_data")
    if input_data is not None:
        if batch_size is not None or dtypes is not None:
            raise ValueError("summary: batch_size and dtypes go with input_size, not with input_data")
        if isinstance(input_data, dict):
            return (), {**_moved(input_data, target), **kwargs}
        single = isinstance(input_data, Tensor) or not isinstance(input_data, (tuple, list))
        return _moved((input_data,) if single else tuple(input_data), target), kwargs
    shapes = _input_shapes(model, input_size, batch_size)
    default = next((p.dtype for p in model.parameters() if p.is_floating_point()), get_default_dtype())
    given = [default] * len(shapes) if dtypes is None else list(dtypes) if isinstance(dtypes, (list, tuple)) else [dtypes]
    if len(given) != len(shapes):
        raise ValueError(f"summary: there are {len(shapes)} inputs but {len(given)} dtypes")
    if not all(dtype in DTYPES.values() for dtype in given):
        raise ValueError(f"summary: dtypes must be dtypes such as minigrad.float32, but got {dtypes!r}")
    return tuple(zeros(shape, dtype=d, device=target) for shape, d in zip(shapes, given, strict=True)), kwargs


def _moved(value, target):
    """Return input data with the tensors in it on a device."""
    if isinstance(value, Tensor):
        return value.to(target)
    if isinstance(value, dict):
        return {key: _moved(item, target) for key, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_moved(item, target) for item in value)
    return value


def _input_shapes(model, input_size, batch_size):
    """Return the shapes of the inputs, each with its batch dimension."""
    several = isinstance(input_size, (list, tuple)) and input_size and isinstance(input_size[0], (list, tuple))
    shapes = [tuple(shape) for shape in input_size] if several else [_as_shape(input_size)]
    for shape in shapes:
        if not shape or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape):
            raise ValueError(f"summary: input_size must be a shape of positive ints, or several, but got {input_size!r}")
    if batch_size is not None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"summary: batch_size must be a positive int, but got {batch_size!r}")
        return [(batch_size, *shape) for shape in shapes]
    spatial = _spatial_dimensions(model)
    return [(1, *shape) if spatial and len(shape) == spatial + 1 else shape for shape in shapes]


def _as_shape(input_size):
    if isinstance(input_size, int):
        return (input_size,)
    if not isinstance(input_size, (tuple, list)):
        raise ValueError(f"summary: input_size must be a shape of positive ints, or several, but got {input_size!r}")
    return tuple(input_size)


def _spatial_dimensions(model):
    """Return how many spatial dimensions the first convolution, pooling or batch norm works on; None without one."""
    for module in model.modules():
        name = type(module).__name__
        if any(part in name for part in ("Conv", "Pool", "BatchNorm")) and name[-2:] in ("2d", "3d"):
            return int(name[-2])
        if "Conv" in name and name.endswith("1d"):
            return 1
    return None


# ---------------------------------------------------------------------- running the model and leaving it as it was
def _set_mode(model, mode):
    if mode != "same":
        model.train(mode == "train")


@contextlib.contextmanager
def _left_alone(model):
    """Give back the modes, buffers and random numbers as they were. The block works on copies of the buffers."""
    modules = list(dict.fromkeys(model.modules()))
    modes = [module.training for module in modules]
    buffers = [dict(module._buffers) for module in modules]
    parameters = [(parameter, parameter.array, parameter._grad) for parameter in model.parameters()]
    state = python_random.getstate()
    copies = {}
    for module in modules:
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = copies.setdefault(id(buffer), buffer.detach().clone())
    try:
        with fork_rng():
            yield
    finally:
        python_random.setstate(state)
        for module, training, before in zip(modules, modes, buffers, strict=True):
            module.training = training
            module._buffers.clear()
            module._buffers.update(before)
        for parameter, array, grad in parameters:
            parameter.array, parameter._grad = array, grad


def _watched(model, args, kwargs, compute, follow):
    """Run the model under a _Watch and return that; follow: also follow receptive fields."""
    watch = _Watch(model, ReceptiveFields() if follow else None)
    if follow:
        args, kwargs = watch.tracked(args), watch.tracked(kwargs)
    watch.know(args, kwargs)
    with watch.hooked(), set_grad_enabled(True), watch_products(watch.product, compute):
        model(*args, **kwargs)
    watch.settle()
    return watch


class _Memories:
    """Arrays that were seen, by the memory they lie in; memory that was freed and used again is new."""

    def __init__(self):
        self.owners = {}

    def add(self, array):
        """Return the array that owns the memory if that is new, else None."""
        root = memory_root(array)
        known = self.owners.get(id(root))
        if known is not None and known() is root:
            return None
        self.owners[id(root)] = weakref.ref(root)
        return root


class _Watch:
    """Watches one forward pass: which module is running, what its products cost, what the graph keeps."""

    def __init__(self, model, fields):
        self.model = model
        self.fields = fields
        self.names = {}
        for name, module in model.named_modules(remove_duplicate=True):
            self.names[module] = name
        self.rows, self.modules, self.stack = [], [], []
        self.outputs = _Memories()  # results of modules
        self.kept = _Memories()  # what the graph keeps
        self.pending = None  # the newest node and its row: what it keeps is settled once the next one comes
        self.last_product = None  # (op, multiply-adds, shapes) until its node is recorded
        self.backward_multiply_adds = 0

    def tracked(self, value):
        """Return the arguments with floating-point tensors as inputs whose receptive fields are followed."""
        if isinstance(value, Tensor):
            if value.array.dtype.char not in FLOAT_CODES:
                return value
            with set_grad_enabled(True):
                result = value.detach().requires_grad_().clone()  # no leaf: it may be written in place
            self.fields.start(result)
            return result
        if isinstance(value, dict):
            return {key: self.tracked(item) for key, item in value.items()}
        if type(value) in (tuple, list):
            return type(value)(self.tracked(item) for item in value)
        return value

    def know(self, args, kwargs):
        """The memory of the inputs, parameters and buffers is no activation and not kept by the graph."""
        state = [*self.model.parameters(), *self.model.buffers()]
        for tensor in [*_tensors(args), *_tensors(kwargs), *state]:
            self.outputs.add(tensor.array)
            self.kept.add(tensor.array)

    @contextlib.contextmanager
    def hooked(self):
        """Watch every module, and every operation that is recorded, in the block."""
        before = MODE.on_record
        handles = []
        for module in self.names:
            handles.append(module.register_forward_pre_hook(self.entered, with_kwargs=True))
            handles.append(module.register_forward_hook(self.left, with_kwargs=True))
        MODE.on_record = self.recorded
        try:
            yield
        finally:
            MODE.on_record = before
            for handle in handles:
                handle.remove()

    def entered(self, module, args, kwargs):
        """A module is called."""
        row = Row(self.names[module], type(module).__name__, len(self.stack), repeated=module in self.modules)
        row.input_shapes = [tuple(tensor.shape) for tensor in (*_tensors(args), *_tensors(kwargs))]
        self.rows.append(row)
        self.modules.append(module)
        self.stack.append(row)

    def left(self, module, args, kwargs, output):
        """A module returns."""
        row = self.stack.pop()
        given = {id(tensor) for tensor in (*_tensors(args), *_tensors(kwargs))}
        seen = []
        for tensor in _tensors(output):
            row.output_shapes.append(tuple(tensor.shape))
            if self.fields is not None:
                seen.append(self.fields.of(tensor))
            if self.outputs.add(tensor.array) is not None and id(tensor) not in given:
                row.own_activations += tensor.array.size
                row.own_activation_bytes += tensor.array.nbytes
        row.receptive_field = _largest_sizes(seen)

    def product(self, op, multiply_adds, shapes):
        """A convolution or matrix product ran."""
        if self.stack:
            self.stack[-1].own_multiply_adds += multiply_adds
        self.last_product = (op, multiply_adds, shapes)

    def recorded(self, node, out):
        """An operation was recorded."""
        self.settle()
        op, kernel = node.op, None
        if op in MULTIPLY_ADDS and self.last_product is not None and self.last_product[0] is op:
            _, multiply_adds, shapes = self.last_product
            self.backward_multiply_adds += multiply_adds * sum(edge is not None for edge in node.edges[:2])
            kernel = shapes[1][2:]
        if self.fields is not None:
            first = out[0] if type(out) is tuple else out
            self.fields.record(node, first.shape, kernel)
        self.pending = (node, self.stack[-1] if self.stack else None)

    def settle(self):
        """Count what the newest node keeps, then drop it: no backward pass will follow."""
        if self.pending is None:
            return
        (node, row), self.pending = self.pending, None
        if node.saved is None:  # a checkpoint dropped it already
            return
        outs = node.out if type(node.out) is tuple else (node.out,)
        for value in _arrays((*node.saved, *outs)):
            root = self.kept.add(value)
            if root is not None and row is not None:
                row.own_saved_bytes += root.nbytes
        node.saved = node.out = None


def _arrays(values):
    return [value for value in values if hasattr(value, "nbytes") and hasattr(value, "base") and value.ndim]


def _tensors(value):
    """Return the tensors in a module's arguments or result: in sequences, dicts and objects with tensors inside."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in _tensors(item)]
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in _tensors(item)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [tensor for field in dataclasses.fields(value) for tensor in _tensors(getattr(value, field.name))]
    return []


def _largest_sizes(seen):
    """Return the sizes of the largest of several receptive fields, "all", or None."""
    known = [field for field in seen if field is not None]
    if ALL in known:
        return ALL
    known = [field.sizes for field in known if field.sizes]
    return tuple(math.ceil(size) for size in max(known)) if known else None


# ---------------------------------------------------------------------- figures
def _result(model, watch, training, error, inputs, depth, mode, columns):
    rows = watch.rows
    if training is not None:
        saved = {}
        for row in training.rows:
            saved.setdefault(row.name, []).append(row.own_saved_bytes)
        for row in rows:
            row.own_saved_bytes = saved[row.name].pop(0) if saved.get(row.name) else 0
    _count_parameters(watch)
    _add_up(rows)
    state = list(dict.fromkeys(model.parameters()))
    trainable = [parameter for parameter in state if parameter.requires_grad]
    tensors = [tensor for value in inputs for tensor in _tensors(value)]
    called = set(watch.modules)
    found = Summary(
        type(model).__name__, "training" if mode == "train" else mode,
        str(state[0].device if state else tensors[0].device if tensors else "cpu"),
        [tuple(tensor.shape) for tensor in tensors], rows, depth, tuple(columns),
    )  # fmt: skip
    found.total_parameters = sum(parameter.numel() for parameter in state)
    found.trainable_parameters = sum(parameter.numel() for parameter in trainable)
    found.total_biases = sum(p.numel() for p in _own_and_below(model, only_biases=True).values())
    found.parameter_bytes = sum(parameter.nbytes for parameter in state)
    found.trainable_bytes = sum(parameter.nbytes for parameter in trainable)
    found.buffer_bytes = sum(buffer.nbytes for buffer in dict.fromkeys(model.buffers()))
    found.input_elements = sum(tensor.numel() for tensor in tensors)
    found.input_bytes = sum(tensor.nbytes for tensor in tensors)
    found.activations = sum(row.own_activations for row in rows)
    found.activation_bytes = sum(row.own_activation_bytes for row in rows)
    found.multiply_adds = sum(row.own_multiply_adds for row in rows)
    found.training_error = error
    if training is not None:
        found.saved_bytes = sum(row.own_saved_bytes for row in training.rows)
        found.backward_multiply_adds = training.backward_multiply_adds
    found.not_run = _modules_not_run(model, called)
    return found


def _own_and_below(module, only_biases=False):
    """Return {id: parameter} of a module and those inside it."""
    named = module.named_parameters()
    return {id(p): p for name, p in named if not only_biases or name.rpartition(".")[2].startswith("bias")}


def _modules_not_run(model, called):
    """Return the names of the outermost modules that have parameters and whose parents, but not they, were called."""
    return [
        f"{prefix}.{name}".lstrip(".")
        for prefix, parent in model.named_modules()
        if parent in called
        for name, child in parent.named_children()
        if not called.intersection(child.modules()) and any(True for _ in child.parameters())
        and not _is_read_by_parent(parent)
    ]  # fmt: skip


def _is_read_by_parent(parent):
    """Return whether a module uses its children's parameters without calling them, as attention does."""
    return type(parent).__module__.startswith("minigrad.nn")


def _count_parameters(watch):
    """Fill in each row's parameters: its module's, and those that no module called inside it has."""
    for index, (row, module) in enumerate(zip(watch.rows, watch.modules, strict=True)):
        mine = _own_and_below(module)
        inside = {}
        for other, below in zip(watch.rows[index + 1 :], watch.modules[index + 1 :], strict=True):
            if other.depth <= row.depth:
                break
            if below is not module:
                inside.update(_own_and_below(below))
        biases = _own_and_below(module, only_biases=True)
        row.parameters = sum(p.numel() for p in mine.values())
        row.own_parameters = sum(p.numel() for key, p in mine.items() if key not in inside)
        row.biases = sum(p.numel() for p in biases.values())
        row.own_biases = sum(p.numel() for key, p in biases.items() if key not in inside)
        flags = {p.requires_grad for p in mine.values()}
        row.trainable = "-" if not flags else "partly" if len(flags) > 1 else "yes" if True in flags else "no"
        kernel = getattr(module, "kernel_size", None)
        positions = len(row.output_shapes[0]) - 2 if row.output_shapes else 0
        row.kernel = (kernel,) * positions if isinstance(kernel, int) else tuple(kernel) if kernel else None


def _add_up(rows):
    """Add to each row what the rows inside it have of their own."""
    for index, row in enumerate(rows):
        inside = [row]
        for other in rows[index + 1 :]:
            if other.depth <= row.depth:
                break
            inside.append(other)
        for name in ("activations", "activation_bytes", "saved_bytes", "multiply_adds"):
            setattr(row, name, sum(getattr(other, "own_" + name) for other in inside))


# ---------------------------------------------------------------------- the table
def _shapes(shapes):
    return ", ".join(str(list(shape)) for shape in shapes) or "-"


def _size(size):
    return "-" if size is None else size if isinstance(size, str) else "x".join(str(n) for n in size)


def _count(number):
    return f"{number:,}" if number else "-"


def _parameter_cell(row, inside, name):
    number = getattr(row, "own_" + name if inside else name)
    return "(shared)" if row.repeated and number else _count(number)


def _bytes(number):
    """Return a number of bytes as people read it, in powers of 1000."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number} B"


def _bytes_or_dash(number):
    return _bytes(number) if number else "-"


def _table(found):
    """Return the lines of the table of a Summary."""
    deepest = math.inf if found.depth is None else found.depth
    shown = [row for row in found.rows if row.depth <= deepest]
    cells = [["Layer", *(COLUMNS[name][0] for name in found.columns)]]
    for index, row in enumerate(shown):
        inside = index + 1 < len(shown) and shown[index + 1].depth > row.depth
        last = row.name.rpartition(".")[2]
        title = "  " * row.depth + (f"{last}: {row.type}" if last else row.type)
        cells.append([title, *(COLUMNS[name][1](row, inside) for name in found.columns)])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    left = {0, *(i for i, name in enumerate(found.columns, 1) if name in ("input_shape", "output_shape"))}
    lines = [
        "  ".join(cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths)))
        for line in cells
    ]
    rule = "-" * len(lines[0])
    return [lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), rule]


def _totals(found):
    """Return the lines under the table."""
    frozen = f", {found.frozen_parameters:,} frozen" if found.frozen_parameters else ""
    lines = [
        f"input: {_shapes(found.input_shapes)}, {_bytes(found.input_bytes)}, on {found.device}; mode: {found.mode}",
        f"parameters: {found.total_parameters:,} ({found.trainable_parameters:,} trainable{frozen}; "
        f"{found.total_parameters - found.total_biases:,} without biases), {_bytes(found.parameter_bytes)}",
        f"forward: {found.multiply_adds:,} multiply-adds; {found.activations:,} activations, "
        f"{_bytes(found.activation_bytes)}",
    ]
    if found.saved_bytes is None:
        lines.append(f"forward + backward: could not be run in training: {found.training_error}")
    else:
        passes = found.multiply_adds + found.backward_multiply_adds
        lines.append(
            f"forward + backward: {passes:,} multiply-adds; kept for backward {_bytes(found.saved_bytes)}, "
            f"gradients {_bytes(found.gradient_bytes)}; "
            f"with input, parameters and buffers {_bytes(found.training_bytes)}"
        )
        lines.append(
            f"optimizer state: SGD none, with momentum {_bytes(found.optimizer_bytes('sgd_momentum'))}, "
            f"Adam {_bytes(found.optimizer_bytes('adam'))}"
        )
    if found.not_run:
        lines.append(f"parameters of these were not used in this pass: {', '.join(found.not_run)}")
    return lines
