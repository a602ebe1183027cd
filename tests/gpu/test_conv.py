"""im2col, col2im and convolutions of GPU arrays against the portable reference on the CPU."""
import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels import conv, cuda
from minigrad.kernels import im2col as reference
from minigrad.kernels.conv.reference import forward_reference, input_reference, weight_reference

# x, O, kernel, stride, padding, dilation, groups
PROBLEMS = {
    "3x3": ((2, 3, 7, 6), 4, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "1x1": ((3, 4, 5, 3), 6, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1 in groups": ((2, 4, 5, 3), 6, (1, 1), (1, 1), (0, 0), (1, 1), 2),
    "1x1 of every second": ((2, 3, 7, 8), 2, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    "1x1 of padded": ((2, 3, 3, 4), 2, (1, 1), (1, 1), (1, 0), (1, 1), 1),
    "odd strides": ((2, 2, 11, 9), 3, (3, 2), (3, 2), (2, 1), (1, 1), 1),
    "dilated": ((2, 2, 10, 9), 3, (3, 3), (1, 2), (2, 0), (2, 3), 1),
    "groups": ((2, 6, 6, 5), 4, (3, 3), (2, 1), (1, 1), (1, 1), 2),
    "depthwise": ((2, 4, 5, 6), 8, (3, 3), (1, 1), (1, 1), (1, 1), 4),
    "whole image": ((2, 3, 4, 5), 5, (4, 5), (1, 1), (0, 0), (1, 1), 1),
    "one channel, one image": ((1, 1, 6, 6), 1, (5, 5), (1, 1), (2, 2), (1, 1), 1),
    "1-d": ((3, 4, 13), 2, (4,), (2,), (1,), (2,), 2),
    "3-d": ((2, 2, 5, 4, 6), 3, (2, 3, 2), (1, 2, 1), (1, 0, 1), (1, 1, 2), 1),
    "3-d in groups": ((1, 4, 3, 4, 3), 4, (1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1), 4),
}
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "float16": 4e-3, "bfloat16": 4e-2}


@pytest.fixture(autouse=True)
def without_cudnn(monkeypatch):
    monkeypatch.setattr(conv, "_cudnn_takes", lambda x: False)


@pytest.fixture(params=PROBLEMS)
def problem(request):
    """(x, w, bias, g, settings) in float64."""
    shape, outputs, kernel, *settings = PROBLEMS[request.param]
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape)
    w = rng.standard_normal((outputs, shape[1] // settings[3], *kernel))
    out = reference.window_count(shape[2:], kernel, *settings[:3])
    return x, w, rng.standard_normal(outputs), rng.standard_normal((shape[0], outputs, *out)), tuple(settings)


@pytest.fixture(params=["whole batch", "an image at a time"])
def parts(request, monkeypatch):
    if request.param != "whole batch":
        monkeypatch.setattr(cuda.conv, "COLUMN_BYTES", 1)


def channels_last(gpu, x):
    """The array in the memory order (N, *size, C)."""
    return gpu.moveaxis(gpu.ascontiguousarray(gpu.moveaxis(gpu.asarray(x), 1, -1)), -1, 1)


def close(actual, expected, tolerance=1e-12):
    assert actual.shape == expected.shape
    scale = max(1.0, abs(expected).max(initial=0))
    np.testing.assert_allclose(actual.get().astype(np.float64), expected, rtol=tolerance, atol=tolerance * scale)


def three_results(place, x, w, bias, g, settings):
    y = conv.convolve(place(x), place(w), None if bias is None else place(bias), *settings)
    gx = conv.convolve_input(place(g), place(w), x.shape[2:], *settings)
    return y, gx, conv.convolve_weight(place(g), place(x), w.shape[2:], *settings)


def three_references(x, w, bias, g, settings):
    y = forward_reference(x, w, bias, *settings)
    gx = input_reference(g, w, x.shape[2:], *settings)
    return y, gx, weight_reference(g, x, w.shape[2:], *settings)


def test_convolutions_are_the_references(gpu, problem, parts):
    x, w, bias, g, settings = problem
    for result, expected in zip(three_results(gpu.asarray, *problem), three_references(*problem), strict=True):
        assert result.flags.c_contiguous
        close(result, expected)
    for given, wide in ((bias, bias), (None, 0 * bias)):
        place = None if given is None else gpu.asarray(given)
        y = conv.convolve(gpu.asarray(x), gpu.asarray(w), place, *settings, relu=True)
        close(y, forward_reference(x, w, wide, *settings).clip(0, None))


def test_channels_last_stays_so(gpu, problem, parts):
    found = three_results(lambda a: channels_last(gpu, a) if a.ndim > 1 else gpu.asarray(a), *problem)
    for result, expected in zip(found, three_references(*problem), strict=True):
        close(result, expected)
    y, gx, gw = found
    assert gpu.moveaxis(y, 1, -1).flags.c_contiguous
    assert gpu.moveaxis(gx, 1, -1).flags.c_contiguous
    assert gw.flags.c_contiguous


def test_one_operand_channels_last(gpu, problem):
    x, w, bias, g, settings = problem
    expected = three_references(*problem)
    for turned in range(2):
        order = [gpu.asarray, lambda a: channels_last(gpu, a)]
        close(conv.convolve(order[turned](x), order[1 - turned](w), None, *settings), expected[0] - _wide(bias, x.ndim))
        close(conv.convolve_weight(order[turned](g), order[1 - turned](x), w.shape[2:], *settings), expected[2])


def _wide(bias, ndim):
    return bias.reshape(-1, *(1,) * (ndim - 2))


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_narrower_types(gpu, name):
    dtype = np.dtype(name if name != "bfloat16" else pytest.importorskip("ml_dtypes").bfloat16)
    rng = np.random.default_rng(0)
    x, w, g = (rng.integers(-3, 4, shape) / 4 for shape in ((2, 4, 6, 5), (4, 2, 3, 3), (2, 4, 3, 3)))
    problem = (x, w, None, g, ((2, 2), (1, 1), (1, 1), 2))
    found = three_results(lambda a: gpu.asarray(a.astype(dtype)), *problem)
    for result, expected in zip(found, three_references(*problem), strict=True):
        assert result.dtype == dtype
        close(result, expected, TOLERANCES[name])


def test_views_and_steps_are_read_where_they_are(gpu):
    rng = np.random.default_rng(0)
    whole = rng.standard_normal((4, 6, 8, 9))
    x, w = whole[::2, 1:4, ::-1, 2:], rng.standard_normal((2, 3, 3, 3))
    settings = ((1, 1), (1, 1), (1, 1), 1)
    view = gpu.asarray(whole)[::2, 1:4, ::-1, 2:]
    close(conv.convolve(view, gpu.asarray(w), None, *settings), forward_reference(x, w, None, *settings))
    g = rng.standard_normal((2, 2, 8, 7))
    close(conv.convolve_weight(gpu.asarray(g), view, (3, 3), *settings), weight_reference(g, x, (3, 3), *settings))


@pytest.mark.parametrize("shape, outputs", [((0, 3, 5, 5), 2), ((2, 3, 5, 5), 0)])
def test_empty_batches_and_no_outputs(gpu, shape, outputs):
    x, w, g = np.ones(shape), np.ones((outputs, 3, 3, 3)), np.ones((shape[0], outputs, 3, 3))
    problem = (x, w, np.ones(outputs), g, ((1, 1), (0, 0), (1, 1), 1))
    for result, expected in zip(three_results(gpu.asarray, *problem), three_references(*problem), strict=True):
        close(result, expected)


def test_fewer_positions_than_windows(gpu):
    """The gradient of a transposed convolution with output padding: the last windows count for nothing."""
    rng = np.random.default_rng(0)
    g, w, x = rng.standard_normal((2, 3, 3, 3)), rng.standard_normal((3, 2, 2, 2)), rng.standard_normal((2, 2, 8, 8))
    settings = ((2, 2), (0, 0), (1, 1), 1)
    for order in (gpu.asarray, lambda a: channels_last(gpu, a)):
        close(conv.convolve_input(order(g), order(w), (8, 8), *settings), input_reference(g, w, (8, 8), *settings))
        close(conv.convolve_weight(order(g), order(x), (2, 2), *settings), weight_reference(g, x, (2, 2), *settings))


@pytest.mark.parametrize("most", [2**30, 0], ids=["int", "long long"])
def test_columns_and_back(gpu, problem, most, monkeypatch):
    monkeypatch.setattr(cuda.im2col, "INT_THREADS", most)
    x, w, _, g, (stride, padding, dilation, _) = problem
    given = (w.shape[2:], stride, padding, dilation)
    columns = reference.im2col(x, *given)
    np.testing.assert_array_equal(reference.im2col(gpu.asarray(x), *given).get(), columns)
    close(reference.col2im(gpu.asarray(columns), x.shape[2:], *given), reference.col2im(columns, x.shape[2:], *given))


def test_integers_and_complex_numbers_take_the_portable_way(gpu):
    x = np.arange(2 * 25).reshape(1, 2, 5, 5)
    for dtype in (np.int64, np.complex128):
        problem = (x.astype(dtype), np.ones((2, 2, 3, 3), dtype), None, np.ones((1, 2, 3, 3), dtype))
        settings = ((1, 1), (0, 0), (1, 1), 1)
        found = three_results(gpu.asarray, *problem, settings)
        for result, expected in zip(found, three_references(*problem, settings), strict=True):
            np.testing.assert_array_equal(result.get(), expected)


@pytest.mark.parametrize(
    "given",
    [
        {"stride": 2, "padding": 1},
        {"groups": 2, "padding": (0, 1), "dilation": (1, 2)},
        {"padding": 1, "memory_format": mg.channels_last},
    ],
    ids=["strided", "groups", "channels last"],
)
def test_derivatives_of_conv2d(gpu, given):
    given = dict(given)
    order = given.pop("memory_format", mg.contiguous_format)
    with mg.device("cuda"):
        x = mg.randn(2, 4, 5, 4, dtype=mg.float64).contiguous(memory_format=order).requires_grad_()
        w = mg.randn(2, 4 // given.get("groups", 1), 3, 2, dtype=mg.float64, requires_grad=True)
        bias = mg.randn(2, dtype=mg.float64, requires_grad=True)
        assert mg.autograd.gradcheck(lambda *args: mg.nn.functional.conv2d(*args, **given), (x, w, bias))


def test_derivatives_of_a_transposed_convolution(gpu):
    with mg.device("cuda"):
        x = mg.randn(1, 2, 3, 3, dtype=mg.float64, requires_grad=True)
        w = mg.randn(2, 2, 3, 3, dtype=mg.float64, requires_grad=True)
        options = {"stride": 2, "padding": 1, "output_padding": 1}
        assert mg.autograd.gradcheck(lambda *args: mg.nn.functional.conv_transpose2d(*args, **options), (x, w))


@pytest.mark.parametrize("settings", [{}, {"stride": 2, "padding": 1}, {"groups": 2}])
def test_bfloat16_is_not_widened(gpu, settings):
    """The same to the last digits as on the CPU, which computes in float32 and rounds once."""
    pytest.importorskip("ml_dtypes")
    values = mg.randn(3, 4, 9, 9), mg.randn(6, 4 // settings.get("groups", 1), 3, 3) / 6, mg.randn(6)
    found = []
    for place in ("cuda", "cpu"):
        x, w, bias = (value.to(place, mg.bfloat16, copy=True).requires_grad_() for value in values)
        y = mg.nn.functional.conv2d(x, w, bias, **settings)
        y.sum().backward()
        assert {y.dtype, x.grad.dtype, w.grad.dtype, bias.grad.dtype} == {mg.bfloat16}
        found.append([tensor.detach().float().cpu().numpy() for tensor in (y, x.grad, w.grad, bias.grad)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, 0, 2**-7 * np.abs(theirs).max())
