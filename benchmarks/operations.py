"""The single operations that python -m benchmarks ops measures."""
from collections.abc import Callable
from typing import Any, NamedTuple


class Operation(NamedTuple):
    """function(library, labels, *tensors of the shapes); labels: one integer per row of the first tensor."""

    family: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]


# Sizes: one that only the framework's own work can fill, one that fits the cache, one that only memory can hold.
TINY, MIDDLE, LARGE = (4, 4), (256, 256), (4096, 4096)
SIZES = {"tiny": TINY, "middle": MIDDLE, "large": LARGE}
IMAGES = {"tiny": (1, 4, 4, 4), "middle": (4, 64, 28, 28), "large": (16, 64, 112, 112)}
ROWS = {"tiny": (4, 4), "middle": (256, 1000), "large": (16384, 1000)}
SIDES = {"tiny": 4, "middle": 256, "large": 2048}


def _channels_norm(library, labels, x, weight, bias):
    return library.nn.functional.batch_norm(x, None, None, weight, bias, training=True)


def _layer_norm(library, labels, x, weight, bias):
    return library.nn.functional.layer_norm(x, x.shape[-1:], weight, bias)


ELEMENTWISE: dict[str, tuple[Callable[..., Any], int]] = {
    "add": (lambda library, labels, x, y: x + y, 2),
    "mul": (lambda library, labels, x, y: x * y, 2),
    "exp": (lambda library, labels, x: library.exp(x), 1),
    "tanh": (lambda library, labels, x: library.tanh(x), 1),
    "relu": (lambda library, labels, x: library.relu(x), 1),
}
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda library, labels, x: x.sum(),
    "sum of columns": lambda library, labels, x: x.sum(0),
    "mean of rows": lambda library, labels, x: x.mean(1),
    "amax of rows": lambda library, labels, x: x.amax(1),
    "var of rows": lambda library, labels, x: x.var(1),
}
POOLINGS: dict[str, Callable[..., Any]] = {
    "max_pool2d 2": lambda library, labels, x: library.nn.functional.max_pool2d(x, 2),
    "max_pool2d 3/2": lambda library, labels, x: library.nn.functional.max_pool2d(x, 3, 2, padding=1),
    "avg_pool2d 2": lambda library, labels, x: library.nn.functional.avg_pool2d(x, 2),
    "adaptive_avg_pool2d 1": lambda library, labels, x: library.nn.functional.adaptive_avg_pool2d(x, 1),
}
CLASSIFIERS: dict[str, Callable[..., Any]] = {
    "softmax": lambda library, labels, x: library.softmax(x, 1),
    "cross_entropy": lambda library, labels, x: library.nn.functional.cross_entropy(x, labels),
}


def _table():
    table = {}
    for size in SIZES:
        for name, (function, inputs) in ELEMENTWISE.items():
            table[f"{name}, {size}"] = Operation("elementwise", function, (SIZES[size],) * inputs)
        for name, function in REDUCTIONS.items():
            table[f"{name}, {size}"] = Operation("reductions", function, (SIZES[size],))
        square = (SIDES[size], SIDES[size])
        table[f"matmul, {size}"] = Operation("matmul", lambda library, labels, x, y: x @ y, (square, square))
        channels, width = (IMAGES[size][1],), (ROWS[size][1],)
        images, rows = IMAGES[size], ROWS[size]
        table[f"batch_norm, {size}"] = Operation("normalisation", _channels_norm, (images, channels, channels))
        table[f"layer_norm, {size}"] = Operation("normalisation", _layer_norm, (rows, width, width))
        for name, function in POOLINGS.items():
            table[f"{name}, {size}"] = Operation("pooling", function, (images,))
        for name, function in CLASSIFIERS.items():
            table[f"{name}, {size}"] = Operation("classification", function, (rows,))
    return table


OPERATIONS = _table()
FAMILIES = tuple(dict.fromkeys(operation.family for operation in OPERATIONS.values()))
