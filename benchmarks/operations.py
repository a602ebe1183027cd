"""The single operations that python -m benchmarks ops measures."""
import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """function(library, helper, *tensors of the shapes); helper: what ``make`` returns for the library and the shapes.

    ``make``: none for one integer per row of the first tensor, each a valid column and a valid row. A module's
    parameters get gradients too. An operation of the family of optimizers has no tensors of its own: what it makes is
    called once per pass.
    """

    family: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    make: Callable[..., Any] | None = None


OPTIMIZERS = "optimizers"
# Sizes: one that only the framework's own work can fill, one that fits the cache, one that only memory can hold.
SIZES = {"tiny": (4, 4), "middle": (256, 256), "large": (4096, 4096)}
IMAGES = {"tiny": (1, 4, 4, 4), "middle": (4, 64, 28, 28), "large": (16, 64, 112, 112)}
ROWS = {"tiny": (4, 4), "middle": (256, 1000), "large": (16384, 1000)}
SIDES = {"tiny": 4, "middle": 256, "large": 2048}
HEADS = {"tiny": (1, 1, 4, 4), "middle": (4, 4, 64, 32), "large": (8, 8, 256, 64)}
SEQUENCES = {"tiny": (4, 1, 4), "middle": (16, 16, 128), "large": (32, 64, 512)}  # (length, batch, features)
PARAMETERS = {"tiny": [(4, 4)] * 8, "middle": [(256, 256)] * 8, "large": [(2048, 2048)] * 4}

ELEMENTWISE: dict[str, tuple[Callable[..., Any], int]] = {
    "add": (lambda library, _, x, y: x + y, 2),
    "mul": (lambda library, _, x, y: x * y, 2),
    "div": (lambda library, _, x, y: x / y, 2),
    "exp": (lambda library, _, x: library.exp(x), 1),
    "tanh": (lambda library, _, x: library.tanh(x), 1),
    "sigmoid": (lambda library, _, x: library.sigmoid(x), 1),
    "relu": (lambda library, _, x: library.relu(x), 1),
    "gelu": (lambda library, _, x: library.nn.functional.gelu(x), 1),
    "dropout": (lambda library, _, x: library.nn.functional.dropout(x, 0.5), 1),
}
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda library, _, x: x.sum(),
    "sum of columns": lambda library, _, x: x.sum(0),
    "mean of rows": lambda library, _, x: x.mean(1),
    "amax of rows": lambda library, _, x: x.amax(1),
    "var of rows": lambda library, _, x: x.var(1),
}
MOVING: dict[str, tuple[Callable[..., Any], int]] = {
    "cat of columns": (lambda library, _, x, y: library.cat([x, y], 1), 2),
    "slice": (lambda library, _, x: x[:, 1:-1].contiguous(), 1),
    "transposed copy": (lambda library, _, x: x.t().contiguous(), 1),
    "index rows": (lambda library, labels, x: x[labels], 1),
    "embedding": (lambda library, labels, x: library.nn.functional.embedding(labels, x), 1),
    "where": (lambda library, _, x, y: library.where(x > 0, x, y), 2),
}
POOLINGS: dict[str, Callable[..., Any]] = {
    "max_pool2d 2": lambda library, _, x: library.nn.functional.max_pool2d(x, 2),
    "max_pool2d 3/2": lambda library, _, x: library.nn.functional.max_pool2d(x, 3, 2, padding=1),
    "avg_pool2d 2": lambda library, _, x: library.nn.functional.avg_pool2d(x, 2),
    "adaptive_avg_pool2d 1": lambda library, _, x: library.nn.functional.adaptive_avg_pool2d(x, 1),
}
CLASSIFIERS: dict[str, Callable[..., Any]] = {
    "softmax": lambda library, _, x: library.softmax(x, 1),
    "log_softmax": lambda library, _, x: library.log_softmax(x, 1),
    "cross_entropy": lambda library, labels, x: library.nn.functional.cross_entropy(x, labels),
}
UPDATES: dict[str, Callable[..., Any]] = {
    "SGD": lambda library, parameters: library.optim.SGD(parameters, lr=1e-6, momentum=0.9, weight_decay=5e-4),
    "Adam": lambda library, parameters: library.optim.Adam(parameters, lr=1e-6),
    "AdamW": lambda library, parameters: library.optim.AdamW(parameters, lr=1e-6),
    "RMSprop": lambda library, parameters: library.optim.RMSprop(parameters, lr=1e-6),
}


def _batch_norm(library, _, x, weight, bias):
    return library.nn.functional.batch_norm(x, None, None, weight, bias, training=True)


def _layer_norm(library, _, x, weight, bias):
    return library.nn.functional.layer_norm(x, x.shape[-1:], weight, bias)


def _attention(library, _, q, k, v):
    return library.nn.functional.scaled_dot_product_attention(q, k, v)


def _linear(library, _, x, weight, bias):
    return library.nn.functional.linear(x, weight, bias)


def _recurrent(name):
    """A recurrent layer with as many units as its input has features."""

    def make(library, device, shapes):
        features = shapes[0][-1]
        return getattr(library.nn, name)(features, features).to(device)

    return make


def _optimizer(make_optimizer, shapes):
    """An optimizer whose parameters have gradients."""

    def make(library, device, _):
        parameters = [library.randn(*shape).to(device).requires_grad_() for shape in shapes]
        for parameter in parameters:
            parameter.grad = library.randn(*parameter.shape).to(device) / math.sqrt(parameter.numel())
        return make_optimizer(library, parameters)

    return make


def _of_size(size):
    """Name → Operation, of one size."""
    matrix, images, rows, square = SIZES[size], IMAGES[size], ROWS[size], (SIDES[size],) * 2
    channels, width = (images[1],), (rows[1],)
    table = {}
    for family, functions in (("elementwise", ELEMENTWISE), ("indexing and copies", MOVING)):
        for name, (function, inputs) in functions.items():
            table[name] = Operation(family, function, (matrix,) * inputs)
    for family, simple, shape in (
        ("reductions", REDUCTIONS, matrix),
        ("pooling", POOLINGS, images),
        ("classification", CLASSIFIERS, rows),
    ):
        for name, function in simple.items():
            table[name] = Operation(family, function, (shape,))
    table["matmul"] = Operation("products", lambda library, _, x, y: x @ y, (square, square))
    table["linear"] = Operation("products", _linear, (square, square, square[:1]))
    table["attention"] = Operation("products", _attention, (HEADS[size],) * 3)
    table["batch_norm"] = Operation("normalisation", _batch_norm, (images, channels, channels))
    table["layer_norm"] = Operation("normalisation", _layer_norm, (rows, width, width))
    for name in ("LSTM", "GRU"):
        table[name] = Operation("recurrent", lambda _, layer, x: layer(x)[0], (SEQUENCES[size],), _recurrent(name))
    for name, update in UPDATES.items():
        make = _optimizer(update, PARAMETERS[size])
        table[name] = Operation(OPTIMIZERS, lambda _, optimizer: optimizer.step(), (), make)
    return table


OPERATIONS = {f"{name}, {size}": row for size in SIZES for name, row in _of_size(size).items()}
FAMILIES = tuple(dict.fromkeys(operation.family for operation in OPERATIONS.values()))
