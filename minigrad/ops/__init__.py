"""The table of operations, one family a file; importing it registers them all."""

from minigrad.ops import (
    activation,
    arithmetic,
    comparison,
    convert,
    core,
    creation,
    extremum,
    index,
    operators,
    power,
    random,
    reduce,
    shape,
    softmax,
    unary,
)

__all__ = [
    "activation",
    "arithmetic",
    "comparison",
    "convert",
    "core",
    "creation",
    "extremum",
    "index",
    "operators",
    "power",
    "random",
    "reduce",
    "shape",
    "softmax",
    "unary",
]
