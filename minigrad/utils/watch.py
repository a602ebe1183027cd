"""Watching one forward pass of a model: which modules run, what their products cost, what the graph keeps."""

import contextlib
import dataclasses
import math
import random as python_random
import weakref
from typing import Any

from minigrad.autograd import set_grad_enabled
from minigrad.backend import FLOAT_CODES, default_generator, memory_root
from minigrad.tensor import Tensor
from minigrad.utils.products import MULTIPLY_ADDS, watch_products
from minigrad.utils.receptive_field import ALL, ReceptiveFields
from minigrad.variable import MODE


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


def set_mode(model, mode):
    if mode != "same":
        model.train(mode == "train")


@contextlib.contextmanager
def left_alone(model):
    """Give back modes, buffers, gradients and random numbers as they were.

    The block works on copies of the buffers, and without the gradients: to these a backward pass would add in place.
    """
    modules = list(dict.fromkeys(model.modules()))
    modes = [module.training for module in modules]
    buffers = [dict(module._buffers) for module in modules]
    parameters = [(parameter, parameter.array, parameter._grad) for parameter in model.parameters()]
    states = default_generator.state_bytes(), python_random.getstate()
    for parameter, _, _ in parameters:
        parameter._grad = None
    copies = {}
    for module in modules:
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = copies.setdefault(id(buffer), buffer.detach().clone())
    try:
        yield
    finally:
        default_generator.set_state_bytes(states[0])
        python_random.setstate(states[1])
        for module, training, before in zip(modules, modes, buffers, strict=True):
            module.training = training
            module._buffers.clear()
            module._buffers.update(before)
        for parameter, array, grad in parameters:
            parameter.array, parameter._grad = array, grad


def watched(model, args, kwargs, compute, follow):
    """Run the model under a Watch and return that; follow: also follow receptive fields.

    What the graph keeps is freed on the way, which spares the memory. Where that makes the model fail, for it runs a
    backward pass of its own, it is run again and all is kept.
    """
    try:
        return _watched(model, args, kwargs, compute, follow, frees=True)
    except RuntimeError as error:
        if "backward" not in str(error):
            raise
    return _watched(model, args, kwargs, compute, follow, frees=False)


def _watched(model, args, kwargs, compute, follow, frees):
    watch = Watch(model, ReceptiveFields() if follow else None, frees)
    if follow:
        args, kwargs = watch.tracked(args), watch.tracked(kwargs)
    watch.know(args, kwargs)
    with watch.hooked(), set_grad_enabled(True), watch_products(watch.product, compute):
        model(*args, **kwargs)
    watch.settle()
    return watch


class Memories:
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


class Watch:
    """Watches one forward pass: which module is running, what its products cost, what the graph keeps."""

    def __init__(self, model, fields, frees):
        self.model = model
        self.fields = fields
        self.frees = frees
        self.names = {}
        for name, module in model.named_modules(remove_duplicate=True):
            self.names[module] = name
        self.rows, self.modules, self.stack = [], [], []
        self.called = set()
        self.outputs = Memories()  # results of modules
        self.kept = Memories()  # what the graph keeps
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
        for tensor in [*tensors_in(args), *tensors_in(kwargs), *state]:
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
        row = Row(self.names[module], type(module).__name__, len(self.stack), repeated=module in self.called)
        row.input_shapes = [tuple(tensor.shape) for tensor in (*tensors_in(args), *tensors_in(kwargs))]
        self.rows.append(row)
        self.modules.append(module)
        self.called.add(module)
        self.stack.append(row)

    def left(self, module, args, kwargs, output):
        """A module returns."""
        row = self.stack.pop()
        given = {id(tensor) for tensor in (*tensors_in(args), *tensors_in(kwargs))}
        seen = []
        for tensor in tensors_in(output):
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
        """Count what the newest node keeps, then drop it if no backward pass will follow."""
        if self.pending is None:
            return
        (node, row), self.pending = self.pending, None
        if node.saved is None:  # a checkpoint dropped it already
            return
        for _, array in saved_by(node):
            root = self.kept.add(array)
            if root is not None and row is not None:
                row.own_saved_bytes += root.nbytes
        if self.frees:
            node.op.free(node)


def saved_by(node):
    """Return [(name, array)] of what a recorded node keeps for backward, numbers aside."""
    outs = node.out if type(node.out) is tuple else (node.out,)
    names = getattr(node.op, "names", ())
    found = [(names[i] if i < len(names) else "input", value) for i, value in enumerate(node.saved or ())]
    found += [("result", value) for value in outs]
    context = getattr(node.op, "ctx", None)  # of a user's Function
    found += [("tensor", entry[0]) for entry in getattr(context, "_saved", None) or () if entry is not None]
    return [(name, value) for name, value in found if hasattr(value, "nbytes") and value.ndim]


def tensors_in(value):
    """Return the tensors in a module's arguments or result: in sequences, dicts and objects with tensors inside."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in tensors_in(item)]
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in tensors_in(item)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [tensor for field in dataclasses.fields(value) for tensor in tensors_in(getattr(value, field.name))]
    return []


def _largest_sizes(seen):
    """Return the sizes of the largest of several receptive fields, "all", or None."""
    known = [field for field in seen if field is not None]
    if ALL in known:
        return ALL
    known = [field.sizes for field in known if field.sizes]
    return tuple(math.ceil(size) for size in max(known)) if known else None
