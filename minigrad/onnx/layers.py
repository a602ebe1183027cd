"""ONNX nodes of linear maps, convolutions, pooling, normalisation and resampling."""

import math

from minigrad.backend import np
from minigrad.onnx.graph import builds, windows
from minigrad.onnx.shapes import int64
from minigrad.onnx.sizes import Varying, first_of, varies


@builds("matmul")
def matmul(graph, call):
    return graph.add("MatMul", *call.args)


@builds("linear")
def linear(graph, call):
    x, weight, bias = call.args
    if len(x.shape) == 2:
        return graph.add("Gemm", x, weight, bias, transB=1)
    product = graph.add("MatMul", x, graph.add("Transpose", weight, perm=[1, 0]))
    return product if bias is None else graph.add("Add", product, bias)


# ---------------------------------------------------------------------- convolution
@builds("convolution")
def convolution(graph, call):
    x, weight, bias = call.args
    given = call.params
    return graph.add(
        "Conv", x, weight, bias, kernel_shape=weight.shape[2:], strides=given["stride"], dilations=given["dilation"],
        pads=(*given["padding"], *given["padding"]), group=given["groups"],
    )  # fmt: skip


@builds("convolution_input", sizes=True)
def transposed_convolution(graph, call):
    x, weight, bias = call.args
    given, kernel = call.params, weight.shape[2:]
    extra = []
    for axis, size in enumerate(given["size"]):
        length, s = x.shape[2 + axis], given["stride"][axis]
        p, d = given["padding"][axis], given["dilation"][axis]
        lengths = length.values if isinstance(length, Varying) else (length,)
        sizes = size.values if isinstance(size, Varying) else (size,) * len(lengths)
        missing = {
            n - ((one - 1) * s - 2 * p + d * (kernel[axis] - 1) + 1) for n, one in zip(sizes, lengths, strict=True)
        }
        if len(missing) > 1:
            raise graph.unsupported("a transposed convolution to an output_size that does not follow its input's")
        extra += missing
    return graph.add(
        "ConvTranspose", x, weight, bias, kernel_shape=kernel, strides=given["stride"], dilations=given["dilation"],
        pads=(*given["padding"], *given["padding"]), output_padding=extra if any(extra) else None,
        group=given["groups"],
    )  # fmt: skip


@builds("col2im")
def fold(graph, call):
    """(N, C · kernel, count) columns, added up where they overlap."""
    (columns,), given = call.args, call.params
    graph.needs_opset(18, "fold")
    return graph.add(
        "Col2Im", columns, int64(*given["size"]), int64(*given["kernel"]), strides=given["stride"],
        dilations=given["dilation"], pads=(*given["padding"], *given["padding"]),
    )  # fmt: skip


# ---------------------------------------------------------------------- pooling
def _with_batch(graph, x, spatial):
    """Return the name of x as (N, C, *size): a missing batch is added, other leading axes are taken together."""
    if len(x.shape) == spatial + 2:
        return graph.name(x)
    shape = x.shape[len(x.shape) - spatial :]
    if len(x.shape) == spatial + 1:
        return graph.reshape(x, (1, *x.shape), x.shape)
    if varies(x.shape[2:]):
        raise graph.unsupported("pooling of dynamic size without channels")
    return graph.reshape(x, (-1, 1, *shape))


def _pooled(graph, call, kind, **more):
    """Return the name of a pooling's result in its own shape."""
    (x,), given = call.args, call.params
    kernel, spatial = given["kernel"], len(given["kernel"])
    dilation = given.get("dilation", (1,) * spatial)
    sizes = x.shape[len(x.shape) - spatial :]
    pads = windows(graph, sizes, kernel, given["stride"], given["padding"], dilation, given["count"])
    whole = sizes == tuple(kernel) and not any(pads) and len(x.shape) == spatial + 2
    if whole and all(d == 1 for d in dilation):
        return graph.add(f"Global{kind}", x)
    y = graph.add(
        kind, _with_batch(graph, x, spatial), kernel_shape=[int(k) for k in kernel], strides=given["stride"], pads=pads,
        dilations=dilation if kind == "MaxPool" and any(d != 1 for d in dilation) else None, **more,
    )  # fmt: skip
    return y if len(x.shape) == spatial + 2 else graph.reshape(y, call.outs[0].shape)


@builds("max_pool", "max_pool_values", sizes=True)
def max_pool(graph, call):
    return _pooled(graph, call, "MaxPool")


@builds("average_pool", sizes=True)
def average_pool(graph, call):
    (x,), given = call.args, call.params
    kernel, divisor = given["kernel"], given["divisor"]
    if varies((kernel, divisor)):  # adaptive: one window, of the whole size
        if tuple(kernel) == x.shape[len(x.shape) - len(kernel) :] and given["count"] == (1,) * len(kernel):
            axes = tuple(range(len(x.shape) - len(kernel), len(x.shape)))
            return graph.reduce("ReduceMean", x, axes, True)
        raise graph.unsupported("adaptive pooling of a dynamic size to more than one element")
    y = _pooled(graph, call, "AveragePool", count_include_pad=1)
    factor = np.asarray(math.prod(kernel) / np.asarray(divisor), x.dtype)
    return y if (factor == 1).all() else graph.add("Mul", y, factor)


@builds("table_max")
def table_max(graph, call):
    """Maxima over windows that tables (longest, out) name, along each of the last axes."""
    (x,), tables = call.args, call.params["tables"]
    if any(table.ndim != 2 for table in tables):
        raise graph.unsupported("fractional max pooling, whose windows are random")
    result = graph.name(x)
    for axis, table in enumerate(tables, len(x.shape) - len(tables)):
        chosen = graph.add("Gather", result, table.astype(np.int64), axis=axis)  # (…, longest, out, …)
        result = graph.reduce("ReduceMax", chosen, (axis,), False)
    return result


# ---------------------------------------------------------------------- resampling
@builds("resample")
def resample(graph, call):
    """A linear map along each of the last axes: a Gather if it only copies, else a product with its matrix."""
    (x,), maps = call.args, call.params["maps"]
    result, ndim = graph.name(x), len(x.shape)
    for axis, taps in enumerate(maps, ndim - len(maps)):
        if taps is None:
            continue
        if taps.weight is None and taps.index.shape[0] == 1:
            result = graph.add("Gather", result, taps.index[0].astype(np.int64), axis=axis)
            continue
        weight = np.ones(taps.index.shape) if taps.weight is None else np.broadcast_to(taps.weight, taps.index.shape)
        matrix = np.zeros((taps.size, taps.out), np.float64)
        np.add.at(matrix, (taps.index, np.arange(taps.out)), weight)
        result = _mapped(graph, result, matrix.astype(x.dtype), axis, ndim)
    return result


def _mapped(graph, x, matrix, axis, ndim):
    """Return x with a matrix (length, new length) applied along an axis."""
    if axis == ndim - 1:
        return graph.add("MatMul", x, matrix)
    order = list(range(ndim))
    order[axis], order[-1] = order[-1], order[axis]
    return graph.add("Transpose", graph.add("MatMul", graph.add("Transpose", x, perm=order), matrix), perm=order)


@builds("interpolate", sizes=True)
def interpolate(graph, call):
    given = call.params
    x, mode, aligned = given["input"], given["mode"], bool(given["align_corners"])
    out = call.outs[0].shape
    if x.dtype.kind != "f" and mode not in ("nearest", "nearest-exact"):
        raise graph.unsupported(f"interpolate of {x.dtype}")
    if mode == "area" or given["antialias"]:
        return _interpolate_by_maps(graph, call)
    scale = given["scale_factor"] if not given["recompute_scale_factor"] else None
    scales, sizes = "", ""
    if scale is not None:
        spatial = len(x.shape) - 2
        scale = tuple(scale) if isinstance(scale, (tuple, list)) else (scale,) * spatial
        scales = np.array((1, 1, *scale), np.float32)
    else:
        sizes = graph.lengths(out)
    kinds = {"nearest": "nearest", "nearest-exact": "nearest", "bicubic": "cubic"}
    placed = {"nearest": "asymmetric", "nearest-exact": "half_pixel"}
    return graph.add(
        "Resize", x, "", scales, sizes, mode=kinds.get(mode, "linear"),
        coordinate_transformation_mode=placed.get(mode, "align_corners" if aligned else "half_pixel"),
        cubic_coeff_a=-0.75 if mode == "bicubic" else None,
        nearest_mode={"nearest": "floor", "nearest-exact": "round_prefer_ceil"}.get(mode),
    )  # fmt: skip


def _interpolate_by_maps(graph, call):
    """The linear maps that interpolate itself makes for these sizes."""
    from minigrad.ops.resample import interpolate as compute
    from minigrad.tensor import wrap

    given = dict(call.params)
    x = given.pop("input")
    if varies((x.shape[2:], tuple(given.values()))):
        raise graph.unsupported(f"interpolate with mode {given['mode']} along an axis of dynamic size")
    shape = first_of(x.shape)[2:]
    result = graph.name(x)
    for axis, size in enumerate(shape):  # each axis by itself: what becomes of the unit vectors
        unit = np.eye(size, dtype=x.dtype).reshape(size, 1, *(size if i == axis else 1 for i in range(len(shape))))
        unit = np.broadcast_to(unit, (size, 1, *shape)).copy()
        mapped = compute(wrap(unit), **given).array  # (size, 1, *out)
        matrix = mapped[(slice(None), 0, *(slice(None) if i == axis else 0 for i in range(len(shape))))]
        result = _mapped(graph, result, matrix.astype(x.dtype), axis + 2, len(shape) + 2)
    return result


@builds("grid_sample")
def grid_sample(graph, call):
    given = call.params
    image, mode = given["input"], given["mode"]
    volume = len(image.shape) == 5
    graph.needs_opset(20 if volume else 16, "grid_sample")
    names = {"bilinear": "linear", "bicubic": "cubic"} if graph.opset >= 20 else {}
    return graph.add(
        "GridSample", image, given["grid"], mode=names.get(mode, mode), padding_mode=given["padding_mode"],
        align_corners=int(bool(given["align_corners"])),
    )  # fmt: skip


# ---------------------------------------------------------------------- normalisation
@builds("batch_norm")
def batch_norm(graph, call):
    given = call.params
    x, channels, dtype = given["input"], given["input"].shape[1], given["input"].dtype
    weight, bias, mean, variance = (given[key] for key in ("weight", "bias", "running_mean", "running_var"))
    if given["training"]:
        raise graph.unsupported("batch norm with the statistics of the batch; export with training=TrainingMode.EVAL")
    weight = np.ones(channels, dtype) if weight is None else weight
    bias = np.zeros(channels, dtype) if bias is None else bias
    return graph.add("BatchNormalization", x, weight, bias, mean, variance, epsilon=float(given["eps"]))


@builds("normalization", sizes=True)
def normalization(graph, call):
    x, weight, bias, *statistics = call.args
    given, dtype = call.params, x.dtype
    view, affine, axes = given["view"], given["affine"], given["axes"]
    eps, centred = float(given["eps"]), given["centred"]
    if given["fixed"]:
        scale, shift = (None if one is None else graph.reshape(one, affine, one.shape) for one in (weight, bias))
        mean, rstd = statistics
        y = graph.reshape(x, view, x.shape)
        y = graph.add("Mul", graph.add("Sub", y, np.asarray(mean, dtype)), np.asarray(rstd, dtype))
        y = y if scale is None else graph.add("Mul", y, scale)
        y = y if shift is None else graph.add("Add", y, shift)
        return graph.reshape(y, x.shape, view)
    last = len(view) == 2 and tuple(axes) == (1,)
    lengths = () if weight is None else weight.shape
    if last and centred and graph.opset >= 17 and weight is not None and not varies(lengths):
        return graph.add("LayerNormalization", x, weight, bias, axis=-len(lengths), epsilon=eps)
    if len(view) == 3 and tuple(axes) == (2,) and affine[1] != 1 and len(x.shape) > 2:  # instance norm
        channels = affine[1]
        weight = np.ones(channels, dtype) if weight is None else weight
        bias = np.zeros(channels, dtype) if bias is None else bias
        return graph.add("InstanceNormalization", x, weight, bias, epsilon=eps)
    return _composed_normalization(graph, x, weight, bias, view, affine, axes, eps, centred)


def _composed_normalization(graph, x, weight, bias, view, affine, axes, eps, centred):
    """(x - mean) / √(variance + eps) · weight + bias, written out on the view whose axes are normalised."""
    dtype = x.dtype
    y = graph.reshape(x, tuple(-1 if axis == 0 and varies(view[:1]) else n for axis, n in enumerate(view)), x.shape)
    centre = graph.add("Sub", y, graph.reduce("ReduceMean", y, axes, True)) if centred else y
    variance = graph.reduce("ReduceMean", graph.add("Mul", centre, centre), axes, True)
    deviation = graph.add("Sqrt", graph.add("Add", variance, np.asarray(eps, dtype)))
    y = graph.add("Div", centre, deviation)
    if weight is not None:
        y = graph.add("Mul", y, graph.reshape(weight, affine, weight.shape))
    if bias is not None:
        y = graph.add("Add", y, graph.reshape(bias, affine, bias.shape))
    return graph.reshape(y, x.shape, view)


@builds("local_response_norm")
def local_response_norm(graph, call):
    (x,), given = call.args, call.params
    size = given["size"]
    if size % 2:
        alpha, beta, bias = (float(given[key]) for key in ("alpha", "beta", "k"))
        return graph.add("LRN", x, size=size, alpha=alpha, beta=beta, bias=bias)
    square = graph.add("Mul", x, x)
    missing = (0,) * (len(x.shape) - 2)
    pads = int64(0, size // 2, *missing, 0, (size - 1) // 2, *missing)
    padded = graph.add("Pad", square, pads, np.zeros((), x.dtype))
    channels = x.shape[1]
    places = np.arange(channels)[:, None] + np.arange(size)  # (C, size)
    chosen = graph.add("Gather", padded, places.astype(np.int64), axis=1)  # (N, C, size, …)
    mean = graph.reduce("ReduceMean", chosen, (2,), False)
    alpha, beta, k = (np.asarray(given[key], x.dtype) for key in ("alpha", "beta", "k"))
    base = graph.add("Add", graph.add("Mul", mean, alpha), k)
    return graph.add("Div", x, graph.add("Pow", base, beta))


# ---------------------------------------------------------------------- recurrent layers
KINDS = {"LSTM": "LSTM", "GRU": "GRU", "RNN_TANH": "RNN", "RNN_RELU": "RNN"}


def _reordered(array, mode):
    """Return weights with their gates in ONNX's order: i, o, f, c of an LSTM, z, r, n of a GRU."""
    if mode.startswith("RNN"):
        return array
    parts = np.split(array, 4 if mode == "LSTM" else 3)
    order = (0, 3, 1, 2) if mode == "LSTM" else (1, 0, 2)
    return np.concatenate([parts[index] for index in order])


@builds("recurrent_layers")
def recurrent_layers(graph, call):
    given = call.params
    mode, states, weights = given["mode"], given["states"], given["weights"]
    kind = KINDS[mode]
    if given["batch_sizes"] is not None or given["probability"]:
        raise graph.unsupported("a recurrent layer of packed sequences, or with dropout; give it padded sequences")
    directions = 2 if given["bidirectional"] else 1
    x, finals = given["input"], []
    starts = [graph.name(state) for state in states]
    layers = len(weights) // directions
    for layer in range(layers):
        packed = [weights[layer * directions + direction] for direction in range(directions)]
        if any(parts[4] is not None for parts in packed):
            raise graph.unsupported("an LSTM with proj_size")
        if any(part is not None and part.kind == "computed" for parts in packed for part in parts):
            raise graph.unsupported("a recurrent layer with computed weights")
        size = packed[0][1].shape[1]
        input_weight, state_weight = (
            np.stack([_reordered(parts[which].array, mode) for parts in packed]) for which in (0, 1)
        )
        bias = ""
        if packed[0][2] is not None:
            sides = [[_reordered(parts[which].array, mode) for which in (2, 3)] for parts in packed]
            bias = np.stack([np.concatenate(pair) for pair in sides])
        first = [
            graph.add("Slice", start, int64(layer * directions), int64((layer + 1) * directions), int64(0))
            if layers > 1 else start
            for start in starts
        ]  # fmt: skip
        results = graph.add(
            kind, x, input_weight, state_weight, bias, "", *first, count=1 + len(states), hidden_size=size,
            direction="bidirectional" if directions == 2 else "forward",
            linear_before_reset=1 if mode == "GRU" else None,
            activations=["Relu"] * directions if mode == "RNN_RELU" else None,
        )  # fmt: skip
        output, *last = results  # (T, directions, N, H)
        finals.append(last)
        if directions == 1:
            x = graph.add("Squeeze", output, int64(1))
        else:
            moved = graph.add("Transpose", output, perm=[0, 2, 1, 3])
            x = graph.add("Reshape", moved, int64(0, 0, -1))
    joined = [
        parts[0] if layers == 1 else graph.add("Concat", *parts, axis=0) for parts in zip(*finals, strict=True)
    ]
    return [x, *joined]


@builds("lstm_step", "gru_step")
def step(graph, call):
    """One step of a cell, from the sums of its gates."""
    axis, size = len(call.outs[0].shape) - 1, call.outs[0].shape[-1]
    if call.name == "lstm_step":
        gates, c = call.args
        i, f, n, o = graph.add("Split", gates, int64(*[size] * 4), count=4, axis=axis)
        i, f, o = (graph.add("Sigmoid", gate) for gate in (i, f, o))
        new = graph.add("Add", graph.add("Mul", f, c), graph.add("Mul", i, graph.add("Tanh", n)))
        return [graph.add("Mul", o, graph.add("Tanh", new)), new]
    x_gates, h_gates, h = call.args
    x_r, x_z, x_n = graph.add("Split", x_gates, int64(*[size] * 3), count=3, axis=axis)
    h_r, h_z, h_n = graph.add("Split", h_gates, int64(*[size] * 3), count=3, axis=axis)
    r, z = (graph.add("Sigmoid", graph.add("Add", a, b)) for a, b in ((x_r, h_r), (x_z, h_z)))
    n = graph.add("Tanh", graph.add("Add", x_n, graph.add("Mul", r, h_n)))
    return graph.add("Add", n, graph.add("Mul", z, graph.add("Sub", h, n)))
