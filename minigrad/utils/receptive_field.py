"""Receptive fields: how many input positions one output position sees, followed along the recorded graph.

A position of a layer sees r input positions along each spatial dimension, and its neighbour sees those j further on.
A window of k positions with dilation d and stride s makes of that r + d (k - 1) j, and j s; where branches meet, the
largest counts. Source: Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", 2019.
"""

import math
from typing import NamedTuple

from minigrad.tensor import Tensor

ALL = "all"  # every position of the input is seen

_KEEPS_DIMENSIONS = {"pad", "slice", "cat", "getitem", "narrow", "flip", "roll"}


class Field(NamedTuple):
    """What one position sees (sizes), how far apart neighbours look (steps), and how many positions there are."""

    sizes: tuple
    steps: tuple
    positions: tuple


def windowed(field, kernel, stride, dilation, out):
    """Return the Field after windows over another's positions, of which there are out; ALL if one covers everything."""
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if all(n == 1 for n in out) and all(k >= n for k, n in zip(span, field.positions, strict=True)):
        return ALL
    sizes = tuple(r + (k - 1) * j for r, k, j in zip(field.sizes, span, field.steps, strict=True))
    return Field(sizes, tuple(j * s for j, s in zip(field.steps, stride, strict=True)), tuple(out))


def _transposed(field, params, kernel, out):
    """Return the Field after a transposed convolution: each position sees those whose windows reach it."""
    reach = zip(kernel, params["stride"], params["dilation"], strict=True)
    seen = [math.ceil((d * (k - 1) + 1) / s) for k, s, d in reach]
    sizes = tuple(r + (k - 1) * j for r, k, j in zip(field.sizes, seen, field.steps, strict=True))
    return Field(sizes, tuple(j / s for j, s in zip(field.steps, params["stride"], strict=True)), tuple(out))


def _resampled(field, maps, out):
    """Return the Field after interpolation or uneven adaptive pooling, by the widest map along each dimension."""
    kernel, ratio = [], []
    for n, wanted in zip(field.positions, out, strict=True):
        kernel.append(1 if n == wanted else 2 if n < wanted else math.ceil(n / wanted) + 1)
        ratio.append(n / wanted)
    del maps
    return windowed(field, [min(k, n) for k, n in zip(kernel, field.positions)], ratio, (1,) * len(out), out)


def largest(fields):
    """Return the largest of several Fields (None: unknown, left out); ALL exceeds every other."""
    known = [field for field in fields if field is not None]
    if not known:
        return None
    if ALL in known:
        return ALL
    first = known[0]
    same = [field for field in known if len(field.sizes) == len(first.sizes)]
    pick = lambda values: tuple(max(along) for along in zip(*values))  # noqa: E731
    return Field(pick([f.sizes for f in same]), pick([f.steps for f in same]), first.positions)


class ReceptiveFields:
    """Follows Fields through the nodes it is shown, from the inputs it was told of."""

    def __init__(self):
        self.fields = {}  # node or leaf -> Field, ALL or None
        self.found_windows = False  # whether a convolution or pooling of the input was met

    def start(self, tensor):
        """Let a tracked tensor (N, C, *positions) be an input."""
        positions = tuple(tensor.shape[2:])
        ones = (1,) * len(positions)
        self.fields[tensor.node or tensor] = Field(ones, ones, positions)

    def of(self, tensor):
        """Return the Field of a tensor, ALL, or None where it is unknown or no position of the input matters."""
        if not self.found_windows or not isinstance(tensor, Tensor) or not tensor.requires_grad:
            return None
        return self._of_edge(tensor.node or tensor)

    def _of_edge(self, edge):
        """Return what is known of a node; of one never shown (it picks or renames), what its own edges know."""
        while edge is not None and edge not in self.fields:
            edges = [below for below in getattr(edge, "edges", ()) if below is not None]
            edge = edges[0] if len(edges) == 1 else None
        return self.fields.get(edge)

    def record(self, node, shape, kernel=None):
        """Work out the Field of a node from its inputs'. shape: its result's; kernel: a convolution's window."""
        self.fields[node] = self._after(node, tuple(shape), kernel)

    def _after(self, node, shape, kernel):
        name, params = node.op.name, node.params
        if name in ("convolution", "convolution_input", "linear", "matmul"):
            edges = node.edges if name == "matmul" else node.edges[:1]
        else:
            edges = node.edges
        field = largest([self._of_edge(edge) for edge in edges if edge is not None])
        if field is None or field is ALL or not field.positions:
            return field
        out = shape[len(shape) - len(field.positions) :]
        if name == "convolution":
            self.found_windows = True
            return windowed(field, kernel, params["stride"], params["dilation"], out)
        if name == "convolution_input":
            self.found_windows = True
            return _transposed(field, params, kernel, out)
        if name in ("max_pool", "average_pool", "max_pool_values"):
            self.found_windows = True
            ones = (1,) * len(out)
            return windowed(field, params["kernel"], params["stride"], params.get("dilation", ones), out)
        if name in ("resample", "table_max"):
            self.found_windows = True
            return _resampled(field, params, out)
        return self._elsewhere(name, field, shape, out)

    def _elsewhere(self, name, field, shape, out):
        """Return the Field after any other op: unchanged if the positions are still there."""
        if name in ("linear", "matmul"):  # these mix along the last dimension
            return ALL if len(shape) <= 2 else None
        if len(shape) >= len(field.positions) + 1 and out == field.positions:
            return field
        if name in _KEEPS_DIMENSIONS and len(shape) > len(field.positions):
            return field._replace(positions=out)
        if len(shape) <= 2 or all(n == 1 for n in out):
            return ALL
        return None
