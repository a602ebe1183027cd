"""Cases of convolution, pooling, padding, resampling and grid sampling."""

import itertools

import numpy as np

import minigrad as mg
from minigrad.kernels import resample as maps
from minigrad.op import OPS
from minigrad.ops import conv, pad, pool, resample
from tests.ops.table import case

F = mg.nn.functional


def op(name, **params):
    """Return the registered op as a function of tensors."""
    return lambda *tensors: OPS[name](*tensors, **params)


def padded(x, padding, value=0.0):
    """x with values around its last dimensions."""
    return np.pad(x, [(0, 0)] * (x.ndim - len(padding)) + [(p, p) for p in padding], constant_values=value)


def slow_convolution(x, w, bias, stride, padding, dilation, groups):
    """The definition, one output position and channel at a time."""
    kernel = w.shape[2:]
    x = padded(x, padding)
    out = [
        (s - d * (k - 1) - 1) // t + 1 for s, k, t, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    ]
    y = np.zeros((x.shape[0], w.shape[0], *out))
    inner, outer = w.shape[1], w.shape[0] // groups
    for o in range(w.shape[0]):
        channels = slice(o // outer * inner, (o // outer + 1) * inner)
        for position in itertools.product(*map(range, out)):
            where = tuple(
                slice(i * t, i * t + d * (k - 1) + 1, d)
                for i, t, d, k in zip(position, stride, dilation, kernel, strict=True)
            )
            window = x[(slice(None), channels, *where)]
            y[(slice(None), o, *position)] = (window * w[o]).sum(axis=tuple(range(1, x.ndim))) + bias[o]
    return y


def convolve(stride, padding, dilation=None, groups=1, bias=True):
    """(run, reference) of the convolution op."""
    dilation = dilation or (1,) * len(stride)
    given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def run(x, w, *rest):
        return conv.convolution(x, w, rest[0] if bias else None, **given)

    def reference(x, w, *rest):
        return slow_convolution(x, w, rest[0] if bias else np.zeros(len(w)), **given)

    return run, reference


def conv_case(x, w, *args, **options):
    """A case of the convolution op against the definition."""
    run, reference = convolve(*args, **options)
    shapes = (x, w, (w[0],)) if options.get("bias", True) else (x, w)
    return case(run, *shapes, reference=reference)


GIVEN_2D = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
WINDOW = {"kernel": (2, 3), "stride": (1, 2), "padding": (1, 0), "dilation": (2, 1)}
POOL = {"kernel": (2, 3), "stride": (2, 1), "padding": (1, 1), "dilation": (1, 2)}
INSIDE = {"kernel": (2, 3), "stride": (2, 1), "padding": (0, 0), "dilation": (1, 1)}
CODES = np.array([[[0, 5, 3], [1, 2, 4]]], np.uint8)
PLACES = np.array([[[0, 4, 4], [7, 2, 0]]])
AREA = {"kernel": (3, 2), "stride": (2, 2), "padding": (1, 0)}
DIVISOR = np.array([[1.0, 2.0], [3.0, 4.0]])
MAPS = (maps.linear_taps(4, 7, None, False), None, maps.mean_taps(5, 3))


def on_device_of(x, array):
    """A NumPy array as a raw array beside the tensor."""
    return mg.from_numpy(array).to(x.device).array


CASES = {
    "convolution": [
        conv_case((2, 3, 6), (2, 3, 3), (1,), (1,)),
        conv_case((2, 2, 5, 4), (4, 1, 2, 2), (2, 1), (1, 2), (1, 2), 2),
        conv_case((1, 4, 5, 5), (4, 1, 3, 3), (1, 1), (1, 1), (1, 1), 4),
        conv_case((2, 3, 3, 4), (2, 3, 1, 1), (1, 1), (0, 0), bias=False),
        conv_case((1, 2, 3, 4, 3), (3, 2, 2, 2, 2), (1, 2, 1), (0, 1, 0)),
        case(lambda x, w: F.conv1d(x, w, padding="same"), (2, 5), (3, 2, 4)),
        case(lambda x, w: F.conv2d(x, w, padding="valid"), (2, 4, 4), (1, 2, 3, 3)),
    ],
    "convolution_input": [
        case(
            lambda g, w, b: conv.convolution_input(g, w, b, size=(5, 4), **GIVEN_2D), (1, 4, 3, 6), (4, 1, 2, 2), (2,)
        ),
        case(
            lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2, padding=1, output_padding=1), (2, 3), (2, 3, 3), (3,)
        ),
        # more output padding than the stride: the last windows of the output have no input
        case(lambda x, w: F.conv_transpose1d(x, w, output_padding=2, dilation=3), (1, 2, 3), (2, 1, 2)),
        case(lambda x, w: F.conv_transpose2d(x, w, output_padding=1, dilation=2), (1, 2, 3, 3), (2, 1, 1, 1)),
        case(lambda x, w: F.conv_transpose3d(x, w), (1, 1, 2, 2, 2), (1, 2, 2, 1, 2)),
    ],
    "convolution_weight": [
        case(
            lambda g, x: conv.convolution_weight(g, x, kernel=(2, 2), **GIVEN_2D), (2, 4, 3, 6), (2, 2, 5, 4)
        ),
        case(
            lambda g, x: conv.convolution_weight(
                g, x, kernel=(1, 1), stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1
            ),
            (2, 2, 3, 3), (2, 3, 3, 3),
            reference=lambda g, x: np.einsum("nohw,nchw->oc", g, x)[..., None, None],
        ),
    ],
    "im2col": [
        case(op("im2col", **WINDOW), (2, 2, 4, 5)),
        case(lambda x: F.unfold(x, 2, stride=2), (1, 4, 4)),
    ],
    "col2im": [
        case(op("col2im", size=(4, 5), **WINDOW), (2, 12, 8)),
        case(lambda c: F.fold(c, (3, 3), 2), (1, 4, 4)),
    ],
    "pad": [
        case(
            op("pad", pads=((1, 2), (0, 1)), value=3.0), (2, 3),
            reference=lambda x: np.pad(x, ((1, 2), (0, 1)), constant_values=3.0),
        ),
        case(op("pad", pads=((-1, 1), (2, -2)), value=0), (3, 4)),
        case(lambda x: F.pad(x, (1, 1, 0, 2)), (2, 2, 2)),
    ],
    "resample": [
        case(lambda x: resample.resample(x, maps=MAPS), (2, 4, 3, 5)),
        case(lambda x: F.interpolate(x, scale_factor=2), (1, 2, 3), reference=lambda x: x.repeat(2, axis=2)),
        case(lambda x: F.interpolate(x, (5, 2), mode="bicubic"), (1, 1, 4, 3)),
        case(lambda x: F.interpolate(x, (2, 2), mode="bilinear", antialias=True), (1, 1, 5, 3)),
        case(lambda x: F.interpolate(x, (7,), mode="linear", align_corners=True), (1, 1, 4)),
        case(lambda x: F.interpolate(x, (150,), mode="linear"), (1, 1, 120), order=1),
        case(
            lambda x: pad.pad(x, (2, 1), "reflect"), (2, 4),
            reference=lambda x: np.pad(x, ((0, 0), (2, 1)), "reflect"),
        ),
        case(
            lambda x: pad.pad(x, (2, 1, 0, 1), "replicate"), (2, 3, 2),
            reference=lambda x: np.pad(x, ((0, 0), (0, 1), (2, 1)), "edge"),
        ),
        case(lambda x: pad.pad(x, (2, 3), "circular"), (2, 4), reference=lambda x: np.pad(x, ((0, 0), (2, 3)), "wrap")),
        case(lambda x: F.adaptive_avg_pool2d(x, (3, 2)), (2, 4, 3)),
    ],
    "read_points": [
        case(
            lambda x: OPS["read_points"](x, on_device_of(x, np.array([[0, 3, 3]]))), (1, 2, 4),
            reference=lambda x: x[:, :, [0, 3, 3]],
        ),
        case(
            lambda x, g: F.grid_sample(x, g, align_corners=False), (1, 2, 3, 4), (1, 2, 2, 2), domain=(-0.93, 0.91)
        ),
        case(
            lambda x, g: F.grid_sample(x, g, mode="bicubic", padding_mode="border", align_corners=True),
            (1, 1, 4, 4), (1, 2, 1, 2), domain=(-0.9, 0.83),
        ),
        case(
            lambda x, g: F.grid_sample(x, g * 1.7, padding_mode="reflection", align_corners=False),
            (1, 1, 2, 3, 3), (1, 1, 2, 2, 3), domain=(-0.9, 0.87),
        ),
        case(
            lambda x, t: F.grid_sample(x, F.affine_grid(t, (1, 1, 3, 3), align_corners=False), align_corners=False),
            (1, 1, 4, 5), (1, 2, 3), domain=(-0.4, 0.37),
        ),
    ],
    "add_points": [case(lambda g: OPS["add_points"](g, on_device_of(g, np.array([[0, 3, 3]])), area=4), (1, 2, 3))],
    "max_pool": [
        case(lambda x: pool.max_pool(x, count=(3, 2), **POOL)[0], (2, 5, 4), distinct=True),
        case(
            lambda x: F.max_pool2d(x, 2), (2, 4, 6), distinct=True,
            reference=lambda x: x.reshape(2, 2, 2, 3, 2).max(axis=(2, 4)),
        ),
        case(lambda x: F.max_pool1d(x, 3, stride=2, padding=1, ceil_mode=True), (2, 6), distinct=True),
        case(lambda x: F.max_pool3d(x, 2, stride=1), (1, 3, 2, 3), distinct=True),
        case(lambda x: F.max_pool2d(x, 9), (1, 9, 9), distinct=True, order=1, reference=lambda x: x.max(keepdims=True)),
    ],
    "max_pool_scatter": [case(
            lambda g: pool.max_pool_scatter(g, on_device_of(g, CODES), size=(4, 5), **INSIDE), (1, 2, 3)
        )],
    "max_pool_gather": [case(lambda h: pool.max_pool_gather(h, on_device_of(h, CODES), **INSIDE), (1, 4, 5))],
    "max_pool_values": [
        case(
            op("max_pool_values", count=(2, 2), kernel=(2, 2), stride=(2, 2), padding=(0, 0), dilation=(1, 1)),
            (3, 4, 4), order=0, reference=lambda x: x.reshape(3, 2, 2, 2, 2).max(axis=(2, 4)),
        )
    ],
    "table_max": [
        case(lambda x: F.adaptive_max_pool2d(x, (2, 3)), (2, 5, 4), distinct=True),
        case(lambda x: F.adaptive_max_pool1d(x, 4, return_indices=True), (2, 7), distinct=True),
        case(lambda x: F.fractional_max_pool2d(x, 2, output_size=3), (1, 2, 7, 8), distinct=True),
        case(lambda x: F.fractional_max_pool3d(x, (1, 2, 2), output_ratio=0.5), (1, 4, 5, 6), distinct=True),
    ],
    "plane_gather": [
        case(
            lambda x: OPS["plane_gather"](x, on_device_of(x, PLACES), spatial=2), (1, 3, 3),
            reference=lambda x: x.ravel()[PLACES],
        )
    ],
    "plane_scatter": [case(lambda g: OPS["plane_scatter"](g, on_device_of(g, PLACES), size=(3, 3)), (1, 2, 3))],
    "max_unpool": [
        case(lambda x: F.max_unpool2d(x, mg.tensor([[[0, 3], [9, 14]]], device=x.device), 2), (1, 2, 2)),
        case(lambda x: F.max_unpool1d(x, mg.tensor([[1, 4]], device=x.device), 2, output_size=(5,)), (1, 2)),
    ],
    "average_pool": [
        case(lambda x: pool.average_pool(x, count=(2, 2), divisor=DIVISOR, **AREA), (2, 4, 5)),
        case(
            lambda x: F.avg_pool2d(x, 2), (2, 4, 6), reference=lambda x: x.reshape(2, 2, 2, 3, 2).mean(axis=(2, 4))
        ),
        case(lambda x: F.avg_pool1d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), (2, 6)),
        case(lambda x: F.avg_pool3d(x, 2, divisor_override=3), (1, 3, 2, 3)),
        case(lambda x: F.adaptive_avg_pool2d(x, 1), (2, 3, 5), reference=lambda x: x.mean((1, 2), keepdims=True)),
        case(lambda x: F.lp_pool2d(x, 3, 2), (1, 4, 4), domain=(0.5, 2.0)),
    ],
    "average_spread": [case(op("average_spread", size=(4, 5), divisor=DIVISOR, **AREA), (2, 2, 2))],
    "sum_along": [
        case(
            op("sum_along", axis=1, before=1, after=0), (2, 4),
            reference=lambda x: x + np.pad(x, ((0, 0), (1, 0)))[:, :-1],
        ),
    ],
    "local_response_norm": [
        case(lambda x: F.local_response_norm(x, 3, alpha=0.5, k=2.0), (2, 5, 3)),
        case(lambda x: F.local_response_norm(x, 4, alpha=0.5, beta=0.5), (1, 3, 2, 2)),
        case(lambda x: F.local_response_norm(x, 1, alpha=2.0, beta=1.25), (1, 2, 2)),
    ],
}  # fmt: skip
