"""minigrad.summary: figures against the engine's own, published numbers, and that the model is left as it was."""

import json
import random

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.backend import memory_root
from minigrad.summary import OPTIMIZER_STATES
from minigrad.utils.checkpoint import checkpoint

F = nn.functional


class Functional(nn.Module):
    """Products and activations in functional calls, a shared layer, two inputs and two outputs."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(6, 4)
        self.scale = nn.Parameter(mg.ones(8, 3))

    def forward(self, a, b, flip=False):
        parts = [F.relu(self.embed(a)), F.relu(self.embed(b))]
        joined = mg.cat(parts[::-1] if flip else parts, dim=1)  # (N, 8)
        return {"scores": joined @ self.scale, "joined": joined}


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 4, 1)
        self.five = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
        self.down = nn.Conv2d(8, 2, 3, stride=2)

    def forward(self, x):
        return self.down(mg.cat([self.one(x), self.five(x)], dim=1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 5)
        self.lstm = nn.LSTM(5, 7, num_layers=2, batch_first=True)
        self.head = nn.Linear(7, 3)

    def forward(self, tokens):
        outputs, (hidden, cell) = self.lstm(self.embedding(tokens))
        return self.head(outputs[:, -1]), hidden


def normalised():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Dropout(0.5), nn.Conv2d(6, 4, 3, groups=2), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    )  # fmt: skip


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(5, 50), nn.Tanh(), nn.Linear(50, 5), nn.Tanh())
        self.last = nn.Linear(5, 2)

    def forward(self, x):
        return self.last(checkpoint(self.first, x, use_reentrant=False))


class Square(mg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x, None)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad


class OwnFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.second(Square.apply(self.first(x)))


def frozen():
    model = normalised()
    for parameter in model[:6].parameters():
        parameter.requires_grad_(False)
    return model


MODELS = {
    "functional": (Functional, [(2, 6), (2, 6)], None),
    "branches": (Branches, (2, 3, 12, 12), None),
    "recurrent": (Recurrent, (2, 4), mg.int64),
    "normalised": (normalised, (2, 3, 8, 8), None),
    "checkpointed": (Checkpointed, (2, 5), None),
    "own function": (OwnFunction, (2, 5), None),
    "frozen": (frozen, (2, 3, 8, 8), None),
    "transformer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8), None),
    "transposed": (lambda: nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1), (2, 3, 5, 5), None),
}


def inputs_of(size, dtype):
    shapes = size if isinstance(size, list) else [size]
    return tuple(mg.zeros(shape, dtype=dtype) if dtype else mg.randn(shape) for shape in shapes)


def graph_bytes(outputs, known):
    """What the graph behind some tensors keeps, found by walking it: {id: bytes} of memories that are not known."""
    nodes, found, seen = [t.grad_fn for t in outputs if t.grad_fn is not None], {}, set()
    while nodes:
        node = nodes.pop()
        if id(node) in seen or isinstance(node, mg.Tensor):
            continue
        seen.add(id(node))
        nodes.extend(edge for edge in node.edges if edge is not None)
        outs = node.out if isinstance(node.out, tuple) else (node.out,)
        context = getattr(node.op, "ctx", None)
        own = [entry[0] for entry in context._saved if entry] if context else []
        for value in (*(node.saved or ()), *outs, *own):
            if isinstance(value, np.ndarray) and value.ndim:
                root = memory_root(value)
                if id(root) not in known:
                    found[id(root)] = root.nbytes
    return sum(found.values())


def tensors_in(value):
    if isinstance(value, mg.Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    return [tensor for item in items for tensor in tensors_in(item)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("given", ["size", "data"])
def test_what_is_kept_for_backward_is_what_the_graph_keeps(name, given):
    make, size, dtype = MODELS[name]
    model = make()
    data = inputs_of(size, dtype)
    arguments = {"input_size": size, "dtypes": dtype} if given == "size" else {"input_data": data}
    if dtype is None and given == "size" or isinstance(size, list):
        arguments.pop("dtypes", None)
    found = mg.summary(model, **arguments)
    model.train()
    outputs = tensors_in(model(*data))
    state = [*model.parameters(), *model.buffers(), *data]
    known = {id(memory_root(tensor.array)) for tensor in state}
    assert found.saved_bytes == graph_bytes(outputs, known)
    assert found.saved_bytes == sum(
        row.own_saved_bytes for row in mg.summary(model, mode="train", **arguments).rows
    )


def test_backward_products_are_those_of_the_gradients_needed():
    """The first layer's input needs no gradient, a frozen layer's weight neither."""
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 7))
    forward = [4 * 5, 5 * 6, 6 * 7]
    assert mg.summary(model, (1, 4)).backward_multiply_adds == forward[0] + 2 * forward[1] + 2 * forward[2]
    model[1].weight.requires_grad_(False)
    assert mg.summary(model, (1, 4)).backward_multiply_adds == forward[0] + forward[1] + 2 * forward[2]


def test_functional_calls_are_counted_where_they_run():
    found = mg.summary(Functional(), [(2, 6), (2, 6)])
    top, first, second = found.rows
    assert top.own_multiply_adds == 2 * 8 * 3 and top.multiply_adds == found.multiply_adds == 2 * 24 + 2 * 2 * 24
    assert top.output_shapes == [(2, 3), (2, 8)] and top.input_shapes == [(2, 6), (2, 6)]
    assert (first.repeated, second.repeated) == (False, True) and first.parameters == second.parameters == 28
    assert found.total_parameters == 28 + 24 and top.own_parameters == 24
    assert "(shared)" in str(found)
    assert mg.summary(Functional(), [(2, 6), (2, 6)], flip=True).multiply_adds == found.multiply_adds
    with pytest.raises(TypeError, match="flop"):
        mg.summary(Functional(), [(2, 6), (2, 6)], flop=True)


LAYERS = [
    (lambda: nn.Conv2d(4, 6, (3, 2), stride=2, groups=2), (2, 4, 9, 8), 2 * 6 * 4 * 4 * 2 * 6, 6 * 2 * 6 + 6),
    (lambda: nn.Conv1d(4, 6, 3, bias=False), (2, 4, 9), 2 * 6 * 7 * 4 * 3, 6 * 4 * 3),
    (lambda: nn.Conv3d(1, 2, 2), (1, 1, 3, 3, 3), 2 * 8 * 8, 16 + 2),
    (lambda: nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1), (2, 3, 5, 5), 2 * 3 * 25 * 4 * 16, 3 * 4 * 16 + 4),
    (lambda: nn.Linear(5, 3), (2, 7, 5), 2 * 7 * 5 * 3, 18),
    (lambda: nn.Bilinear(2, 3, 4), [(5, 2), (5, 3)], 5 * 3 * 8 + 5 * 4 * 2, 4 * 6 + 4),
    (lambda: nn.LSTM(5, 7, batch_first=True), (2, 4, 5), 2 * 4 * 4 * 7 * (5 + 7), 4 * 7 * (5 + 7 + 2)),
    (lambda: nn.GRUCell(5, 7), (2, 5), 2 * 3 * 7 * (5 + 7), 3 * 7 * (5 + 7 + 2)),
    (lambda: nn.MultiheadAttention(8, 2, batch_first=True), [(2, 5, 8)] * 3,
     2 * (4 * 5 * 8 * 8 + 2 * 5 * 5 * 8), 4 * (8 * 8 + 8)),
    (lambda: nn.MaxPool2d(2), (1, 3, 4, 4), 0, 0),
]  # fmt: skip


@pytest.mark.parametrize("make, size, multiply_adds, parameters", LAYERS)
def test_multiply_adds_and_parameters(make, size, multiply_adds, parameters):
    layer = make()
    found = mg.summary(layer, size)
    assert (found.multiply_adds, found.total_parameters) == (multiply_adds, parameters)
    row = found.rows[0]
    assert row.parameters == parameters and row.weights + row.biases == parameters
    shapes = size if isinstance(size, list) else [size]
    outputs = tensors_in(layer(*(mg.zeros(shape) for shape in shapes)))
    assert row.output_shapes == [tuple(tensor.shape) for tensor in outputs]
    data = tuple(mg.randn(shape) for shape in shapes)
    assert mg.summary(layer, input_data=data).multiply_adds == multiply_adds


def convolutions(*layers):
    return nn.Sequential(*(nn.Conv2d(1, 1, k, stride=s, dilation=d) for k, s, d in layers))


FIELDS = [
    (convolutions((3, 1, 1), (3, 1, 1), (3, 1, 1)), 30, (7, 7)),
    (convolutions((7, 1, 1)), 30, (7, 7)),
    (convolutions((3, 2, 1), (3, 1, 2)), 40, (11, 11)),
    (nn.Sequential(nn.Conv2d(1, 1, (3, 5)), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3)), 40, (8, 10)),
    (nn.Sequential(nn.AvgPool2d(3, 2), nn.ReLU(), nn.BatchNorm2d(1), nn.MaxPool2d(3, 2)), 40, (7, 7)),
    (nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveAvgPool2d(1)), 40, "all"),
    (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(16, 2)), 6, "all"),
    (nn.Sequential(nn.Conv2d(1, 1, 3, stride=2), nn.ConvTranspose2d(1, 1, 2, stride=2)), 21, (3, 3)),
    (nn.Sequential(nn.Conv2d(1, 1, 3), nn.ZeroPad2d(4), nn.Conv2d(1, 1, 3)), 21, (5, 5)),
    (nn.ReLU(), 5, None),
]


@pytest.mark.parametrize("model, side, expected", FIELDS)
def test_receptive_fields(model, side, expected):
    assert mg.summary(model, (1, 1, side, side)).rows[0].receptive_field == expected


@pytest.mark.parametrize("model, side, expected", [case for case in FIELDS if isinstance(case[2], tuple)])
def test_receptive_fields_are_what_gradients_reach(model, side, expected):
    """Of one position of the output: the input positions whose gradient is not zero span at most the field."""
    x = mg.zeros(1, 1, side, side, requires_grad=True)
    layers = [layer for layer in model if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.ZeroPad2d))]
    out = x
    for layer in model:
        if isinstance(layer, nn.MaxPool2d):  # a mean sees the same positions, and all of them get a gradient
            layer = nn.AvgPool2d(layer.kernel_size, layer.stride)
        if layer in layers or isinstance(layer, nn.AvgPool2d):
            out = layer(out)
    out[0, 0, out.shape[2] // 2, out.shape[3] // 2].backward()
    rows, columns = (x.grad[0, 0].numpy() != 0).nonzero()
    seen = (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1)
    if any(isinstance(layer, nn.ConvTranspose2d) for layer in model):
        assert all(a <= b for a, b in zip(seen, expected, strict=True))
    else:
        assert seen == expected


def test_branches_have_the_largest_field():
    found = {row.name: row for row in mg.summary(Branches(), (3, 12, 12)).rows}
    assert found["one"].receptive_field == (1, 1) and found["five"].receptive_field == (5, 5)
    assert found["down"].receptive_field == (7, 7) and found["down"].kernel == (3, 3)
    assert found["five"].multiply_adds == found["five.0"].multiply_adds + found["five.1"].multiply_adds
    assert [found[name].depth for name in ("", "five", "five.1")] == [0, 1, 2]


def test_activations_are_counted_once():
    """A view and an in-place result take no memory; neither does a container's result, which is its last layer's."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Identity(), nn.Linear(32, 3))
    found = mg.summary(model, (4, 1, 6, 6))
    assert [row.own_activations for row in found.rows] == [0, 4 * 32, 0, 0, 0, 12]
    assert found.activations == 4 * 32 + 12 == found.rows[0].activations
    assert found.activation_bytes == 4 * found.activations
    assert mg.summary(model.double(), (4, 1, 6, 6)).activation_bytes == 8 * found.activations


# ---------------------------------------------------------------- the model afterwards
class Rude(nn.Module):
    """Fails after having changed its buffers and drawn random numbers."""

    def __init__(self, fails):
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.fails = fails

    def forward(self, x):
        x = self.norm(x) + mg.randn(1) + random.random()
        self.norm.running_mean = self.norm.running_mean + 1
        if self.fails:
            raise KeyError("on purpose")
        return x.relu_()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was(fails, training):
    model = Rude(fails)
    model.train(training)
    model.norm.eval()
    model.norm.weight.grad = mg.ones(2)
    calls = []
    model.norm.register_forward_hook(lambda *args: calls.append(1))
    hooks = dict(model.norm._forward_hooks)
    buffers = {name: (buffer, buffer.clone()) for name, buffer in model.named_buffers()}
    parameters = {name: (parameter, parameter.array) for name, parameter in model.named_parameters()}
    state, python_state = mg.get_rng_state(), random.getstate()
    recorded = mg.variable.MODE.on_record
    if fails:
        with pytest.raises(KeyError, match="on purpose"):
            mg.summary(model, (2, 2, 4, 4))
    else:
        mg.summary(model, (2, 2, 4, 4))
    assert calls and model.norm._forward_hooks == hooks and not model._forward_hooks and not model._forward_pre_hooks
    assert (model.training, model.norm.training) == (training, False)
    for name, buffer in model.named_buffers():
        assert buffer is buffers[name][0] and bool((buffer == buffers[name][1]).all())
    for name, parameter in model.named_parameters():
        assert parameter is parameters[name][0] and parameter.array is parameters[name][1]
    assert model.norm.weight.grad.tolist() == [1, 1] and model.norm.bias.grad is None
    assert bool((mg.get_rng_state() == state).all()) and random.getstate() == python_state
    assert mg.variable.MODE.on_record is recorded and mg.is_grad_enabled()
    product = mg.ones(2, 3, requires_grad=True) @ mg.full((3, 2), 2.0)
    assert product.tolist() == [[6, 6], [6, 6]]


def test_under_no_grad_and_code_that_refuses_tracked_tensors():
    class Numpy(nn.Module):
        def forward(self, x):
            return mg.from_numpy(x.numpy() + 1)

    with mg.no_grad():
        found = mg.summary(normalised(), (2, 3, 8, 8))
        assert not mg.is_grad_enabled()
    assert found.saved_bytes == mg.summary(normalised(), (2, 3, 8, 8)).saved_bytes > 0
    assert mg.summary(Numpy(), (2, 3)).rows[0].output_shape == (2, 3)


class Slope(nn.Module):
    """The derivative of a layer by its input, which a backward pass inside forward finds."""

    def __init__(self, keeps_gradients):
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.keeps_gradients = keeps_gradients

    def forward(self, x):
        x = x.detach().requires_grad_()
        y = self.layer(x).tanh().sum()
        if self.keeps_gradients:
            y.backward()
            return x.grad
        return mg.autograd.grad(y, x, create_graph=True)[0]


@pytest.mark.parametrize("keeps_gradients", [False, True])
def test_backward_passes_inside_forward(keeps_gradients):
    model = Slope(keeps_gradients)
    model(mg.ones(2, 3)).sum()
    model.layer.weight.grad = mg.ones(1, 3)
    before = model.layer.weight.grad
    found = mg.summary(model, (2, 3))
    assert found.training_error is None and found.rows[0].output_shape == (2, 3)
    assert found.rows[1].own_multiply_adds == 2 * 3 and found.multiply_adds >= 2 * 2 * 3  # there and back
    assert model.layer.weight.grad is before and mg.equal(before, mg.ones(1, 3))


def test_a_model_that_cannot_train_on_one_row():
    found = mg.summary(nn.BatchNorm1d(3), (1, 3))
    assert found.saved_bytes is None and found.training_bytes is None
    assert "more than 1 value" in found.training_error and "could not be run" in str(found)


def test_large_products_are_not_computed():
    """2,000 rows through 4·10¹¹ multiply-adds: only shapes are worked out."""
    with mg.nn.init.paused():
        model = nn.Sequential(nn.Linear(10_000, 20_000), nn.Linear(20_000, 3))
    found = mg.summary(model, (2_000, 10_000))
    assert found.multiply_adds == 2_000 * (10_000 * 20_000 + 3 * 20_000)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        mg.summary(model, (2, 10_001))


# ---------------------------------------------------------------- sizes, arguments, output
@pytest.mark.parametrize(
    "model, size, arguments, expected",
    [
        (nn.Conv2d(3, 1, 1), (3, 4, 4), {}, [(1, 3, 4, 4)]),
        (nn.Conv2d(3, 1, 1), (5, 3, 4, 4), {}, [(5, 3, 4, 4)]),
        (nn.Conv2d(3, 1, 1), (3, 4, 4), {"batch_size": 7}, [(7, 3, 4, 4)]),
        (nn.Conv1d(3, 1, 1), (3, 4), {}, [(1, 3, 4)]),
        (nn.Conv1d(3, 1, 1), (2, 3, 4), {}, [(2, 3, 4)]),
        (nn.Linear(3, 1), (3,), {}, [(3,)]),
        (nn.Linear(3, 1), 3, {}, [(3,)]),
        (nn.Linear(3, 1), [2, 3], {}, [(2, 3)]),
        (nn.Embedding(3, 1), (2, 4), {"dtypes": mg.int32}, [(2, 4)]),
        (Functional(), [(6,), (6,)], {"batch_size": 2}, [(2, 6), (2, 6)]),
    ],
)
def test_input_sizes(model, size, arguments, expected):
    assert mg.summary(model, size, **arguments).input_shapes == expected


def test_input_data():
    data = mg.ones(2, 6)
    for given in ((data, data), [data, data], {"a": data, "b": data}):
        assert mg.summary(Functional(), input_data=given).input_shapes == [(2, 6), (2, 6)]


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({}, ValueError, "either input_size or input_data"),
        ({"input_size": (1, 3), "input_data": mg.ones(3)}, ValueError, "either input_size or input_data"),
        ({"input_size": (1, 0)}, ValueError, "positive ints"),
        ({"input_size": ()}, ValueError, "positive ints"),
        ({"input_size": "3"}, ValueError, "positive ints"),
        ({"input_size": (1, 2.0)}, ValueError, "positive ints"),
        ({"input_size": (3,), "batch_size": 0}, ValueError, "batch_size"),
        ({"input_size": (3,), "depth": -1}, ValueError, "depth"),
        ({"input_size": (3,), "mode": "test"}, ValueError, "mode must be one of"),
        ({"input_size": (3,), "columns": ("size",)}, ValueError, "columns must be"),
        ({"input_size": (3,), "columns": "kernel"}, ValueError, "columns must be"),
        ({"input_size": (3,), "dtypes": [mg.float32] * 2}, ValueError, "1 inputs but 2 dtypes"),
        ({"input_size": (3,), "dtypes": "float32"}, ValueError, "dtypes must be"),
        ({"input_data": mg.ones(3), "dtypes": mg.float32}, ValueError, "go with input_size"),
        ({"input_size": (1, 4)}, RuntimeError, "cannot be multiplied"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        mg.summary(nn.Linear(3, 1), **arguments)


def test_wrong_models():
    with pytest.raises(TypeError, match="expected a Module"):
        mg.summary(lambda x: x, (1, 3))
    with pytest.raises(ValueError, match="lazy module '1' has no parameters yet"):
        mg.summary(nn.Sequential(nn.ReLU(), nn.LazyLinear(3)), (1, 3))


def test_the_table_and_json():
    found = mg.summary(frozen(), (3, 8, 8), depth=1, columns=("input_shape", "kernel", "trainable", "biases"))
    text = str(found).splitlines()
    assert text[0].split() == ["Layer", "Input", "shape", "Kernel", "Trainable", "Biases"]
    assert "4: Dropout" in str(found) and repr(found) == str(found)
    assert text[2].startswith("Sequential") and "partly" in text[2]
    assert f"{found.frozen_parameters:,} frozen" in str(found)
    loaded = json.loads(found.to_json())
    assert loaded["total_parameters"] == found.total_parameters and len(loaded["rows"]) == 11
    assert loaded["rows"][1]["output_shapes"] == [[1, 6, 8, 8]] and loaded["training_bytes"] == found.training_bytes
    shallow = str(mg.summary(Branches(), (3, 12, 12), depth=1))
    assert "five: Sequential" in shallow and "Conv2d" in shallow and "0: Conv2d" not in shallow
    assert f"{4 * 3 * 9 + 4 + 4 * 4 * 9 + 4}" in shallow  # what is inside is added where it is not shown


def test_memory_of_training_and_optimizers():
    model = nn.Linear(3, 2)
    found = mg.summary(model, (5, 3))
    assert (found.parameter_bytes, found.gradient_bytes, found.input_bytes) == (32, 32, 60)
    assert found.training_bytes == 32 + 32 + 60 + found.saved_bytes
    assert found.forward_bytes == 32 + 60 + 40
    assert found.optimizer_bytes("adam") == 64 and found.optimizer_bytes("sgd") == 0
    with pytest.raises(ValueError, match="optimizer must be one of"):
        found.optimizer_bytes("adams")


OPTIMIZERS = {
    "sgd": lambda p: mg.optim.SGD(p, 0.1),
    "sgd_momentum": lambda p: mg.optim.SGD(p, 0.1, momentum=0.9),
    "rmsprop": mg.optim.RMSprop,
    "adagrad": mg.optim.Adagrad,
    "adam": mg.optim.Adam,
    "adamw": mg.optim.AdamW,
}


@pytest.mark.parametrize("name", OPTIMIZER_STATES)
def test_optimizers_keep_as_many_tensors_as_said(name):
    weight = nn.Parameter(mg.ones(50))
    optimizer = OPTIMIZERS[name]([weight])
    (weight * weight).sum().backward()
    optimizer.step()
    state = [value for value in optimizer.state[weight].values() if isinstance(value, mg.Tensor) and value.ndim]
    assert sum(value.numel() for value in state) == 50 * OPTIMIZER_STATES[name]


def test_paused_initialisation():
    before = mg.get_rng_state()
    weight = mg.ones(3, 3)
    with nn.init.paused():
        for fill in (nn.init.normal_, nn.init.kaiming_uniform_, nn.init.orthogonal_, nn.init.trunc_normal_):
            assert fill(weight) is weight
        nn.init.sparse_(weight, 0.1)
        assert nn.Linear(3, 4).weight.shape == (4, 3) and nn.BatchNorm2d(2).weight.tolist() == [1, 1]
    assert weight.tolist() == [[1] * 3] * 3 and bool((mg.get_rng_state() == before).all())
    nn.init.normal_(weight)
    assert weight.tolist() != [[1] * 3] * 3


def test_a_layer_with_many_outputs_shows_two_and_counts_them():
    class Pyramid(nn.Module):
        def forward(self, x):
            return [x[..., ::step] for step in (1, 2, 4, 8)]

    text = str(mg.summary(Pyramid(), (1, 3, 8, 8)))
    assert "[1, 3, 8, 8], [1, 3, 8, 4], … (4 in all)" in text
    assert max(map(len, text.splitlines())) < 160
