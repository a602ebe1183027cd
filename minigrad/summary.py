"""summary: a model's layers in the order they run, with shapes, parameters, memory, operations and receptive fields."""

import dataclasses

from minigrad.backend import DTYPES, device, get_default_dtype
from minigrad.nn.lazy import LazyModuleMixin
from minigrad.nn.module import Module
from minigrad.ops.creation import zeros
from minigrad.tensor import Tensor
from minigrad.utils.summary_table import COLUMNS, DEFAULT_COLUMNS, table_lines, total_lines
from minigrad.utils.watch import Row, left_alone, set_mode, tensors_in, watched

__all__ = ["Row", "Summary", "summary"]

MODES = ("eval", "train", "same")

# Tensors of a trainable parameter's size that an optimizer keeps.
OPTIMIZER_STATES = {"sgd": 0, "sgd_momentum": 1, "rmsprop": 1, "adagrad": 1, "adam": 2, "adamw": 2}


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
        import json  # here, as it is slow to import and seldom needed

        return json.dumps(self.to_dict(), indent=indent)

    def __str__(self):
        return "\n".join([*table_lines(self), *total_lines(self)])

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
    state of the random numbers are left as they were, also when it raises; only what forward itself writes into the
    memory of a parameter (``weight.clamp_(…)``) stays written.

    Arguments: model (Module), input_size (a shape, or a list of shapes for several inputs; the batch dimension may be
    left out where the first convolution or pooling tells how many there must be, and is 1 then), input_data (instead: a
    tensor, a sequence of arguments or a dict of keyword arguments), batch_size (put before each input_size), dtypes
    (of the inputs: one, or one each), device (of the inputs; the model's), depth (levels of modules that are printed),
    mode ("eval", "train", "same": how the rows are found), columns (names of COLUMNS that are printed), kwargs (further
    arguments of forward). Raises TypeError for what is no Module, ValueError for wrong arguments and lazy modules that
    never ran.
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
    with left_alone(model):
        set_mode(model, mode)
        try:
            watch = watched(model, args, kwargs, compute, follow=True)
        except Exception:  # tracked inputs are refused by some code, by .numpy() for one
            watch = watched(model, args, kwargs, compute, follow=False)
    with left_alone(model):
        set_mode(model, "same" if mode == "same" else "train")
        try:
            training, error = watched(model, args, kwargs, compute, follow=False), None
        except Exception as caught:
            training, error = None, f"{type(caught).__name__}: {caught}"
    return _result(model, watch, training, error, (args, kwargs), depth, mode, columns)


# ---------------------------------------------------------------------- arguments
def _check(model, depth, mode, columns):
    if not isinstance(model, Module):
        raise TypeError(f"summary: expected a Module, but got {type(model).__name__}")
    if any("_engine" in vars(module) for module in model.modules()):  # a layer with a qint8 weight
        raise NotImplementedError("summary: eight-bit networks are not counted; give it the one in floating point")
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
    if dtypes is None:
        dtypes = [default] * len(shapes)
    given = list(dtypes) if isinstance(dtypes, (list, tuple)) else [dtypes]
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
    wrong = f"summary: input_size must be a shape of positive ints, or several, but got {input_size!r}"
    several = isinstance(input_size, (list, tuple)) and input_size and isinstance(input_size[0], (list, tuple))
    shapes = list(input_size) if several else [(input_size,) if isinstance(input_size, int) else input_size]
    for shape in shapes:
        if not isinstance(shape, (tuple, list)) or not shape or not all(_is_length(n) for n in shape):
            raise ValueError(wrong)
    if batch_size is not None:
        if not _is_length(batch_size):
            raise ValueError(f"summary: batch_size must be a positive int, but got {batch_size!r}")
        return [(batch_size, *shape) for shape in shapes]
    spatial = _spatial_dimensions(model)
    return [(1, *shape) if spatial and len(shape) == spatial + 1 else tuple(shape) for shape in shapes]


def _is_length(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _spatial_dimensions(model):
    """Return how many spatial dimensions the first convolution, pooling or batch norm works on; None without one."""
    for module in model.modules():
        name = type(module).__name__
        if any(part in name for part in ("Conv", "Pool", "BatchNorm")) and name[-2:] in ("2d", "3d"):
            return int(name[-2])
        if "Conv" in name and name.endswith("1d"):
            return 1
    return None


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
    tensors = [tensor for value in inputs for tensor in tensors_in(value)]
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
    found.not_run = _modules_not_run(model, watch.called)
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
