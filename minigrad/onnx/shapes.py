"""ONNX nodes of reshaping, indexing, joining and splitting, and of reductions."""

import math

from minigrad.backend import np
from minigrad.onnx.elementwise import number
from minigrad.onnx.graph import builds
from minigrad.onnx.recording import Value
from minigrad.onnx.sizes import Varying, first_of, varies
from minigrad.op import OPS

END = np.iinfo(np.int64).max


def int64(*values):
    return np.array(values, np.int64)


@builds("reshape", "view", "unsqueeze", "squeeze", sizes=True)
def reshape(graph, call):
    x = call.args[0]
    return graph.reshape(x, call.outs[0].shape, x.shape)


@builds("broadcast_to", sizes=True)
def expand(graph, call):
    x, shape = call.args[0], call.outs[0].shape
    if shape == x.shape:
        return graph.name(x)
    # A length of 1 leaves what is there, so that only new lengths have to be known.
    own = (None,) * (len(shape) - len(x.shape)) + x.shape
    return graph.add("Expand", x, graph.lengths(tuple(1 if a == b else a for a, b in zip(shape, own, strict=True))))


@builds("transpose", "permute", "swap_last")
def transpose(graph, call):
    order = list(range(len(call.args[0].shape)))
    if call.name == "permute":
        order = [dim % len(order) for dim in call.params["dims"]]
    elif order:
        one, other = (-1, -2) if call.name == "swap_last" else (call.params["dim0"], call.params["dim1"])
        order[one], order[other] = order[other], order[one]
    return graph.add("Transpose", call.args[0], perm=order)


# ---------------------------------------------------------------------- pieces
def cut(graph, x, starts, stops, axes, steps):
    """Return the name of slices of x along axes; stops that are None go to the end."""
    if not axes:
        return graph.name(x)
    stops = [END if stop is None else stop for stop in stops]
    steps = None if all(step == 1 for step in steps) else int64(*steps)
    return graph.add("Slice", x, graph.lengths(tuple(starts)), graph.lengths(tuple(stops)), int64(*axes), steps)


@builds("getitem", sizes=True)
def getitem(graph, call):
    x, index = call.args[0], call.params["index"]
    index = index if isinstance(index, tuple) else (index,)
    used = sum(part is not None and part is not Ellipsis for part in index)
    starts, stops, axes, steps, axis = [], [], [], [], 0
    for part in index:
        if part is Ellipsis:
            axis += len(x.shape) - used
        elif isinstance(part, slice):
            start, stop, step = part.start, part.stop, 1 if part.step is None else part.step
            if (start not in (None, 0) or stop is not None or step != 1) and stop != x.shape[axis]:
                starts.append(0 if start is None else start)
                stops.append(stop)
                axes.append(axis)
                steps.append(step)
            elif start not in (None, 0) or step != 1:
                starts.append(0 if start is None else start)
                stops.append(None)
                axes.append(axis)
                steps.append(step)
            axis += 1
        elif part is not None:
            starts.append(part)
            stops.append(None if part == -1 else _next(part))
            axes.append(axis)
            steps.append(1)
            axis += 1
    pieces = cut(graph, x, starts, stops, axes, steps)
    return graph.reshape(pieces, call.outs[0].shape, x.shape if not axes else ())


def _next(one):
    """Return a number that may vary, and 1."""
    return Varying(value + 1 for value in one.values) if isinstance(one, Varying) else int(one) + 1


@builds("slice", sizes=True)
def sliced(graph, call):
    given = call.params
    return cut(graph, call.args[0], [given["start"]], [given["stop"]], [given["dim"]], [given["step"]])


@builds("select", sizes=True)
def select(graph, call):
    index = call.params["index"]
    index = graph.lengths((index,), scalar=True) if isinstance(index, Varying) else np.int64(index)
    return graph.add("Gather", call.args[0], index, axis=call.params["dim"])


@builds("split", "unbind", sizes=True)
def split(graph, call):
    x, dim, count = call.args[0], call.params["dim"], len(call.outs)
    sizes = call.params.get("sizes", (1,) * count)
    if count == 1:
        pieces = [graph.name(x)]
    else:
        pieces = graph.add("Split", x, graph.lengths(tuple(sizes)), count=count, axis=dim)
    if call.name == "split":
        return pieces
    return [graph.add("Squeeze", piece, int64(dim)) for piece in pieces]


@builds("cat", "stack")
def joined(graph, call):
    dim, parts = call.params["dim"], [arg for arg in call.args if isinstance(arg, Value)]
    if call.name == "stack":
        parts = [graph.add("Unsqueeze", part, int64(dim)) for part in parts]
    else:
        parts = [part for part in parts if part.shape != (0,)] or parts[:1]
    return graph.add("Concat", *parts, axis=dim)


@builds("repeat", sizes=True)
def repeat(graph, call):
    x, repeats = call.args[0], call.params["repeats"]
    missing = len(repeats) - len(x.shape)
    x = graph.reshape(x, (1,) * missing + x.shape, x.shape)
    return graph.add("Tile", x, graph.lengths(tuple(repeats)))


@builds("pad")
def pad(graph, call):
    x, pads = call.args[0], call.params["pads"]
    amounts = int64(*[before for before, _ in pads], *[after for _, after in pads])
    return graph.add("Pad", x, amounts, np.asarray(call.params["value"], x.dtype))


@builds("flip", "roll")
def turned(graph, call):
    x, dims = call.args[0], call.params["dims"]
    if call.name == "flip":
        dims = [dim % len(x.shape) for dim in dims]
        count = len(dims)
        return graph.add("Slice", x, int64(*[-1] * count), int64(*[-END] * count), int64(*dims), int64(*[-1] * count))
    shape, result = x.shape, graph.name(x)
    if not dims:
        result, dims = graph.reshape(x, (math.prod(shape) if not varies(shape) else -1,)), (0,)
    shifts = call.params["shifts"]
    for dim, shift in zip(dims, shifts if isinstance(shifts, (tuple, list)) else (shifts,), strict=True):
        length = first_of(shape)[dim] if call.params["dims"] else math.prod(first_of(shape))
        if isinstance(shape[dim], Varying) and abs(shift) >= length:
            raise graph.unsupported("roll by more than the length of an axis of dynamic size")
        by = shift % length if length and not isinstance(shape[dim], Varying) else shift
        if by:
            last, first = cut(graph, result, [-by], [None], [dim], [1]), cut(graph, result, [0], [-by], [dim], [1])
            result = graph.add("Concat", last, first, axis=dim)
    return result if call.params["dims"] else graph.reshape(result, shape)


@builds("tril", "triu")
def triangle(graph, call):
    graph.needs_opset(14, call.name)
    return graph.add("Trilu", call.args[0], int64(call.params["diagonal"])[0], upper=int(call.name == "triu"))


# ---------------------------------------------------------------------- elements by index
@builds("index")
def take(graph, call):
    return graph.add("Gather", call.args[0], call.args[1], axis=call.params["dim"])


@builds("embedding")
def embedding(graph, call):
    return graph.add("Gather", call.args[0], call.args[1], axis=0)


@builds("gather", "take_along")
def gather(graph, call):
    x, index = call.args
    if not x.shape:
        return graph.reshape(x, index.shape)
    return graph.add("GatherElements", x, index, axis=call.params["dim"])


@builds("pick")
def pick(graph, call):
    x, index = call.args
    dim = call.params["dim"]
    if not x.shape:
        return graph.name(x)
    index = graph.name(index) if len(index.shape) == len(x.shape) else graph.add("Unsqueeze", index, int64(dim))
    chosen = graph.add("GatherElements", x, index, axis=dim)
    return chosen if call.params["keepdim"] else graph.add("Squeeze", chosen, int64(dim))


@builds("scatter", "scatter_add", "scatter_fill")
def scatter(graph, call):
    x, index, *source = call.args
    dim = call.params["dim"]
    if call.name == "scatter_fill":
        one = np.full((1,) * len(index.shape), call.params["value"], x.dtype)
        return graph.add("ScatterElements", x, index, graph.add("Expand", one, graph.lengths(index.shape)), axis=dim)
    if call.name == "scatter_add":
        graph.needs_opset(16, call.name)
        return graph.add("ScatterElements", x, index, source[0], axis=dim, reduction="add")
    bounds = list(index.shape)
    if source[0].shape != index.shape:
        axes = range(len(bounds))
        source[0] = cut(graph, source[0], [0] * len(bounds), bounds, list(axes), [1] * len(bounds))
    return graph.add("ScatterElements", x, index, source[0], axis=dim)


@builds("index_fill", "index_add")
def index_fill(graph, call):
    """Rows along a dimension, by a vector of indices, set to a number or added to."""
    x, index, *source = call.args
    dim, count = call.params["dim"], math.prod(first_of(index.shape))
    shape = tuple(count if axis == dim else length for axis, length in enumerate(x.shape))
    rows = graph.reshape(index, tuple(count if axis == dim else 1 for axis in range(len(shape))))
    rows = graph.add("Expand", rows, graph.lengths(shape))
    if call.name == "index_fill":
        value = np.full((1,) * len(shape), call.params["value"], x.dtype)
        return graph.add("ScatterElements", x, rows, graph.add("Expand", value, graph.lengths(shape)), axis=dim)
    graph.needs_opset(16, "index_add")
    return graph.add("ScatterElements", x, rows, source[0], axis=dim, reduction="add")


@builds("_read_arrays")
def read_arrays(graph, call):
    """x[…, i, j]: index arrays that are broadcast together, side by side or not."""
    x, pairs, out = call.params["x"], call.params["arrays"], call.outs[0].shape
    dims, indices = [], []
    for dim, index in pairs:
        if index.dtype.kind == "b" and index.kind != "constant":
            raise graph.unsupported("a mask that depends on the inputs as an index: the result's size would, too")
        found = np.nonzero(index.array) if index.dtype.kind == "b" else (index,)
        dims += range(dim, dim + len(found))
        indices += found
    beside = dims[-1] - dims[0] == len(dims) - 1
    first = dims[0] if beside else 0
    common = out[first : first + max(len(index.shape) for index in indices)]
    parts = []
    for index in indices:
        index = graph.cast(index, np.int64) if isinstance(index, Value) else index.astype(np.int64)
        parts.append(graph.add("Unsqueeze", graph.add("Expand", index, graph.lengths(common)), int64(-1)))
    rest = [dim for dim in range(len(x.shape)) if dim not in dims]
    moved = x if dims + rest == sorted(dims + rest) else graph.add("Transpose", x, perm=dims + rest)
    found = graph.add("GatherND", moved, graph.add("Concat", *parts, axis=-1))
    if not first:
        return found
    count = len(common)
    order = [*range(count, count + first), *range(count), *range(count + first, count + len(rest))]
    return graph.add("Transpose", found, perm=order)


@builds("copy_slices", sizes=True)
def copy_slices(graph, call):
    """x with a value at a basic index: the pieces before and after it are joined with it, axis by axis."""
    x, value = call.args
    index = call.params["index"]
    index = index if isinstance(index, tuple) else (index,)
    if None in index:
        raise graph.unsupported("assignment at an index with None in it")
    used = sum(part is not Ellipsis for part in index)
    parts = []
    for part in index:
        parts += [slice(None)] * (len(x.shape) - used) if part is Ellipsis else [part]
    parts += [slice(None)] * (len(x.shape) - len(parts))
    places, lengths, shape = [], iter(value.shape), []
    for axis, part in enumerate(parts):
        shape.append(next(lengths) if isinstance(part, slice) else 1)
        if not isinstance(part, slice):
            places.append((axis, (part, None if part == -1 else _next(part))))
            continue
        start, stop, length = part.start or 0, part.stop, x.shape[axis]
        if part.step not in (None, 1):
            raise graph.unsupported("assignment to a slice with a step")
        if start != 0 or (stop is not None and stop != length):
            if not varies((start, stop, length)):
                start, stop, _ = part.indices(length)
            places.append((axis, (start, stop)))
    block = graph.reshape(graph.cast(value, x.dtype), tuple(shape), value.shape)
    return _overwritten(graph, graph.name(x), block, places)


def _overwritten(graph, x, block, places):
    """Return x with a block written at (axis, (start, stop)) places, along each axis in turn."""
    if not places:
        return block
    (axis, (start, stop)), *rest = places
    if rest:
        block = _overwritten(graph, cut(graph, x, [start], [stop], [axis], [1]), block, rest)
    parts = [cut(graph, x, [0], [start], [axis], [1])] if start != 0 else []
    parts.append(block)
    if stop is not None:
        parts.append(cut(graph, x, [stop], [None], [axis], [1]))
    return graph.add("Concat", *parts, axis=axis)


def _by_row(graph, call):
    """Return (the tensor's flat name, the positions in it, its axis): of dynamic size, both row by row."""
    x, positions = call.args[0], call.args[-1]
    if not varies(x.shape):
        return graph.reshape(x, (-1,)), positions.places.reshape(-1), 0
    if varies(x.shape[1:]) or positions.row is None:
        raise graph.unsupported(f"{call.name} in a tensor of dynamic size, but not the same in each row")
    return graph.reshape(x, (x.shape[0], math.prod(x.shape[1:])), x.shape), positions.row, 1


@builds("overwrite_positions")
def overwrite_positions(graph, call):
    """x with a value at positions: what was written through a view, or by index tensors."""
    x, value, _ = call.args
    flat, places, axis = _by_row(graph, call)
    value, places = graph.cast(value, x.dtype), places.astype(np.int64)
    if axis == 0:
        index, value = graph.constant(places), graph.reshape(value, places.shape)
    else:
        shape = (x.shape[0], places.size)
        index, value = graph.add("Expand", places[None], graph.lengths(shape)), graph.reshape(value, shape)
    return graph.reshape(graph.add("ScatterElements", flat, index, value, axis=axis), x.shape)


@builds("read_positions")
def read_positions(graph, call):
    flat, places, axis = _by_row(graph, call)
    return graph.reshape(graph.add("Gather", flat, places.astype(np.int64), axis=axis), call.outs[0].shape)


@builds("copy", sizes=True)
def copy(graph, call):
    x, source = call.args
    source_name = graph.cast(source, x.dtype)
    return source_name if source.shape == x.shape else graph.add("Expand", source_name, graph.lengths(x.shape))


@builds("diagonal", "undiagonal", "unfold_windows", "im2col", "as_strided", "place")
def moved(graph, call):
    """Ops that only move elements, or leave zeros: one Gather at the positions that the op itself tells."""
    (x,) = call.args
    shape, out = x.shape, call.outs[0].shape
    batch = varies(shape)
    if batch and (varies(shape[1:]) or varies(out[1:]) or out[0] != shape[0]):
        raise graph.unsupported(f"{call.name} with other dynamic sizes than the first axis")
    if batch and call.name in ("diagonal", "as_strided"):
        raise graph.unsupported(f"{call.name} of a tensor of dynamic size")
    rows = first_of(shape)[0] if batch else 1
    size = math.prod(first_of(shape)) // rows
    numbers = np.arange(1, rows * size + 1).reshape(first_of(shape))
    places = np.asarray(OPS[call.name].forward(numbers, **call.params)).reshape(rows, -1)  # 0: nothing there
    first = places[0]
    for row in range(1, rows):
        if not np.array_equal(places[row], np.where(first == 0, 0, first + row * size)):
            raise graph.unsupported(f"{call.name} along the axis of dynamic size")
    flat = graph.reshape(x, (shape[0], size) if batch else (1, size))
    if (first == 0).any():
        flat = graph.add("Pad", flat, int64(0, 1, 0, 0), np.zeros((), x.dtype))
    else:
        first = first - 1
    return graph.reshape(graph.add("Gather", flat, first.astype(np.int64), axis=1), out)


# ---------------------------------------------------------------------- reductions
REDUCTIONS = {
    "sum": "ReduceSum", "mean": "ReduceMean", "amax": "ReduceMax", "amin": "ReduceMin", "prod": "ReduceProd",
    "logsumexp": "ReduceLogSumExp", "max_along": "ReduceMax", "min_along": "ReduceMin",
}  # fmt: skip


def axes_of(call):
    """Return the axes of a reduction as a tuple, None for all."""
    dim = call.params["dim"]
    return dim if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)


@builds(*REDUCTIONS, "any", "all", "count_nonzero")
def reduction(graph, call):
    (x,), keepdims = call.args, call.params.get("keepdim", False)
    axes = axes_of(call) if x.shape else ()
    if call.name == "count_nonzero":
        x = graph.cast(graph.cast(x, np.bool_), np.int64)
        return graph.reduce("ReduceSum", x, axes, keepdims)
    dtype = call.outs[0].dtype
    if dtype.kind == "b":  # ReduceMax of bools came with version 20
        kind = "ReduceMin" if call.name in ("all", "amin", "min_along") else "ReduceMax"
        number = graph.cast(graph.cast(x, np.bool_), np.int32)
        found = graph.cast(graph.reduce(kind, number, axes, keepdims), np.bool_)
    else:
        found = graph.reduce(REDUCTIONS[call.name], graph.cast(x, dtype), axes, keepdims)
    if call.name not in ("max_along", "min_along"):
        return found
    return [found, _argument(graph, call.name, call.args[0], axes, keepdims)]


def _argument(graph, name, x, axes, keepdims):
    if not axes:
        return graph.constant(np.zeros((), np.int64))
    x = graph.cast(x, np.int32) if x.dtype.kind == "b" else x
    return graph.add("ArgMax" if "max" in name else "ArgMin", x, axis=axes[0], keepdims=int(keepdims))


@builds("argmax", "argmin")
def argument(graph, call):
    x, axes = call.args[0], axes_of(call)
    if axes is None and x.shape:
        flat = graph.add("Reshape", x, int64(-1))
        found = graph.add("ArgMax" if call.name == "argmax" else "ArgMin", flat, axis=0, keepdims=0)
        return graph.reshape(found, call.outs[0].shape) if call.outs[0].shape else found
    return _argument(graph, call.name, x, axes if x.shape else (), call.params["keepdim"])


@builds("var", "std")
def variance(graph, call):
    x, keepdims = call.args[0], call.params["keepdim"]
    axes = axes_of(call)
    axes = tuple(range(len(x.shape))) if axes is None else tuple(axis % len(x.shape) for axis in axes)
    lengths = [x.shape[axis] for axis in axes]
    centre = graph.add("Sub", x, graph.reduce("ReduceMean", x, axes, True))
    square = graph.add("Mul", centre, centre)
    if varies(tuple(lengths)):
        if call.params["correction"]:
            raise graph.unsupported(f"{call.name} with a correction over an axis of dynamic size")
        result = graph.reduce("ReduceMean", square, axes, keepdims)
    else:
        total = graph.reduce("ReduceSum", square, axes, keepdims)
        count = max(math.prod(lengths) - call.params["correction"], 0)
        result = graph.add("Div", total, np.asarray(count, x.dtype))
    return result if call.name == "var" else graph.add("Sqrt", result)


@builds("norm")
def norm(graph, call):
    x, p, keepdims = call.args[0], call.params["p"], call.params["keepdim"]
    axes = axes_of(call)
    if p in (1, 2):
        return graph.reduce(f"ReduceL{int(p)}", x, axes, keepdims)
    x, dtype = graph.add("Abs", x), x.dtype
    if abs(p) == math.inf:
        return graph.reduce("ReduceMax" if p > 0 else "ReduceMin", x, axes, keepdims)
    if p == 0:
        return graph.reduce("ReduceSum", graph.cast(graph.cast(x, np.bool_), dtype), axes, keepdims)
    total = graph.reduce("ReduceSum", graph.add("Pow", x, np.asarray(p, dtype)), axes, keepdims)
    return graph.add("Pow", total, np.asarray(1 / p, dtype))


@builds("cumsum")
def cumsum(graph, call):
    x = graph.cast(call.args[0], call.outs[0].dtype)
    return graph.add("CumSum", x, np.int64(call.params["dim"]), reverse=int(bool(call.params["reverse"])))


@builds("argsort", "top", sizes=True)
def top(graph, call):
    """The positions of the largest or smallest elements, in order."""
    x, dim = call.args[0], call.params["dim"]
    count = call.params["k"] if call.name == "top" else x.shape[dim]
    largest = call.params["largest"] if call.name == "top" else call.params["descending"]
    _, found = graph.add("TopK", x, graph.lengths((count,)), count=2, axis=dim, largest=int(bool(largest)))
    return found


@builds("rank_index", "median_index", sizes=True)
def ranked(graph, call):
    """The position of the k-th smallest element along a dimension, or of the lower median."""
    x, dim = call.args[0], call.params["dim"]
    if not x.shape or isinstance(x.shape[dim], Varying):
        raise graph.unsupported(f"{call.name} along an axis of dynamic size, or of a scalar")
    rank = call.params["k"] if call.name == "rank_index" else (x.shape[dim] - 1) // 2
    _, found = graph.add("TopK", x, int64(rank + 1), count=2, axis=dim, largest=0)
    return graph.add("Gather", found, int64(rank), axis=dim)


@builds("is_number", "above", "not_less", "not_above")
def compared(graph, call):
    x = call.args[0]
    if call.name == "is_number":
        return graph.add("Not", graph.add("IsNaN", x))
    limit = number(call.params["limit"], x.dtype)
    if call.name == "above":
        return graph.add("Greater", x, limit)
    if call.name == "not_above":
        return graph.add("LessOrEqual", x, limit)
    return graph.add("Not", graph.add("Less", x, limit))
