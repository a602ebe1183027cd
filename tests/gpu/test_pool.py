"""Pooling and local response normalisation on a GPU: the CPU's results, in both orders of memory and all dtypes."""
import zlib

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import gradcheck
from minigrad.kernels import pool, response_norm
from tests.gpu.test_source import dtypes

F = mg.nn.functional
# shape, kernel, stride, padding, dilation, ceil_mode
WINDOWS = {
    "3x3/2": ((2, 8, 9, 11), (3, 3), (2, 2), (1, 1), (1, 1), False),
    "3x3/1": ((2, 3, 6, 5), (3, 3), (1, 1), (1, 1), (1, 1), False),
    "2x2/2": ((2, 8, 8, 7), (2, 2), (2, 2), (0, 0), (1, 1), False),
    "ceil": ((1, 16, 8, 8), (3, 3), (2, 2), (0, 0), (1, 1), True),
    "dilated": ((2, 5, 12, 9), (3, 2), (2, 1), (1, 1), (2, 3), False),
    "gaps": ((2, 4, 11, 11), (2, 2), (3, 4), (0, 1), (1, 1), True),
    "large": ((1, 2, 20, 20), (17, 16), (2, 1), (8, 0), (1, 1), False),
    "no batch": ((3, 7, 6), (2, 3), (2, 3), (1, 0), (1, 1), False),
    "1d": ((2, 3, 13), (3,), (2,), (1,), (1,), True),
    "3d": ((1, 4, 5, 6, 7), (2, 3, 3), (1, 2, 2), (1, 1, 0), (1, 1, 2), False),
}


def on_gpu(gpu, host, last=False):
    """Return the array on the GPU, in memory with the channels last if asked for."""
    if not last:
        return gpu.asarray(host)
    return gpu.moveaxis(gpu.asarray(np.ascontiguousarray(np.moveaxis(host, 1, -1))), -1, 1)


def compare(result, expected, dtype, exact=False):
    got = result.get()
    assert got.dtype == expected.dtype and got.shape == expected.shape
    if exact:
        np.testing.assert_array_equal(got.astype("float64"), expected.astype("float64"))
        return
    rounding = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}[np.dtype(dtype).name]
    np.testing.assert_allclose(got.astype("float64"), expected.astype("float64"), rtol=rounding, atol=rounding)


def tried(all_of_them):
    """Return the dtypes to try: float32 stands for the others where compiling them all would take long."""
    return dtypes() if all_of_them else [np.dtype(np.float32)]


def values(name, shape, dtype):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return np.round(rng.standard_normal(shape) * 8).astype(dtype)  # many are equal


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("name", WINDOWS)
def test_max_pooling(gpu, name, last):
    shape, kernel, stride, padding, dilation, ceil_mode = WINDOWS[name]
    spatial = len(kernel)
    if last and len(shape) < spatial + 2:
        pytest.skip("channels come last in batches only")
    size = shape[len(shape) - spatial :]
    count = pool.pooled_size(size, kernel, stride, padding, dilation, ceil_mode)
    window = kernel, stride, padding, dilation
    for dtype in tried(name in ("3x3/2", "dilated")):
        host = values(name, shape, np.float32)
        host.reshape(-1)[::7] = np.nan if last else -np.inf
        wide = host.astype(dtype).astype(np.float64)  # the CPU's kernel knows no bfloat16
        x = on_gpu(gpu, host.astype(dtype), last)
        expected, codes = pool.max_pool(wide, *window, count)
        out, places = pool.max_pool(x, *window, count)
        compare(out, expected.astype(dtype), dtype, exact=True)
        compare(places, codes, dtype, exact=True)
        compare(pool.max_pool_values(x, *window, count), expected.astype(dtype), dtype, exact=True)
        compare(pool.flat_index(places, size, *window), pool.flat_index(codes, size, *window), dtype, exact=True)
        g = values("g", out.shape, dtype)
        for g_last in {last, False}:
            spread = pool.max_pool_scatter(on_gpu(gpu, g, g_last), places, size, *window)
            compare(spread, pool.max_pool_scatter(g.astype("d"), codes, size, *window).astype(dtype), dtype, exact=True)
        h = values("h", shape, dtype)
        gathered = pool.max_pool_gather(on_gpu(gpu, h, last), places, *window)
        compare(gathered, pool.max_pool_gather(h.astype("d"), codes, *window).astype(dtype), dtype, exact=True)
        assert out.flags.c_contiguous != (last and min(out.shape[1:]) > 1)
        assert last is False or gpu.moveaxis(spread, 1, -1).flags.c_contiguous


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("name", WINDOWS)
def test_average_pooling(gpu, name, last):
    shape, kernel, stride, padding, _, ceil_mode = WINDOWS[name]
    spatial = len(kernel)
    if last and len(shape) < spatial + 2:
        pytest.skip("channels come last in batches only")
    size, one = shape[len(shape) - spatial :], (1,) * spatial
    count = pool.pooled_size(size, kernel, stride, padding, one, ceil_mode)
    divisors = [7, *(pool.window_divisor(size, kernel, stride, padding, count, counted) for counted in (True, False))]
    for dtype in tried(name in ("3x3/2", "dilated")):
        host = values(name, shape, dtype)
        for divisor in divisors:
            out = pool.window_mean(on_gpu(gpu, host, last), kernel, stride, padding, count, divisor)
            expected = pool.window_mean(host.astype("d"), kernel, stride, padding, count, divisor)
            compare(out, expected.astype(dtype), dtype)
            g = values("g", out.shape, dtype)
            spread = pool.window_spread(on_gpu(gpu, g, last), size, kernel, stride, padding, divisor)
            expected = pool.window_spread(g.astype("d"), size, kernel, stride, padding, divisor)
            compare(spread, expected.astype(dtype), dtype)


@pytest.mark.parametrize("shape", [(2, 3, 7, 7), (3, 16, 5, 4), (1, 40, 1, 3), (2, 8, 40, 40), (5, 33, 2, 2)])
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_means_of_whole_planes(gpu, shape, last):
    for dtype in dtypes():
        host = values("whole", shape, dtype)
        out = pool.window_mean(on_gpu(gpu, host, last), shape[2:], shape[2:], (0, 0), (1, 1), shape[2] * shape[3])
        compare(out, host.astype("d").mean(axis=(2, 3), keepdims=True).astype(dtype), dtype)


def test_a_window_that_sees_padding_only_has_no_place_in_the_image(gpu):
    window = (2,), (1,), (2,), (3,)
    host = np.array([[[3.0]]])
    count = pool.pooled_size((1,), *window, False)
    values_, codes = pool.max_pool(gpu.asarray(host), *window, count)
    expected, _ = pool.max_pool(host, *window, count)
    compare(values_, expected, "float64", exact=True)
    spread = pool.max_pool_scatter(gpu.asarray(np.ones((1, 1, *count))), codes, (1,), *window)
    assert spread.get().sum() == np.isfinite(expected).sum()


PUBLIC = {
    "max_pool2d": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max_pool2d of overlapping, dilated windows": lambda x: F.max_pool2d(x, 2, 1, 1, 2),
    "max_pool2d with indices": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "max_pool1d": lambda x: F.max_pool1d(x[0], 2),
    "max_pool3d": lambda x: F.max_pool3d(x, 2, 1),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "avg_pool2d with a divisor": lambda x: F.avg_pool2d(x, 2, 1, divisor_override=3),
    "avg_pool3d": lambda x: F.avg_pool3d(x, 2),
    "global average": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive average": lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
    "adaptive average of uneven windows": lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
    "adaptive maximum": lambda x: F.adaptive_max_pool2d(x, 2),
    "local_response_norm": lambda x: F.local_response_norm(x, 3, 0.5),
    "local_response_norm of even windows": lambda x: F.local_response_norm(x, 2, 0.5, 0.6, 2.0),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_gradients_of_public_functions(gpu, name):
    host = np.random.default_rng(1).permutation(2 * 3 * 4 * 6).reshape(2, 3, 4, 6) / 20.0
    x = mg.tensor(host, device="cuda", requires_grad=True)
    assert gradcheck(PUBLIC[name], x)
    out = PUBLIC[name](x.detach())
    expected = PUBLIC[name](mg.tensor(host))
    assert out.is_cuda
    assert mg.testing.assert_close(out.cpu(), expected) is None


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize(
    ("size", "alpha", "beta", "k"),
    [(5, 1e-1, 0.75, 2.0), (3, 0.5, 0.5, 1.0), (1, 1.0, 0.75, 1.0), (4, 0.3, 0.6, 1.5), (9, 1.0, 1.0, 0.5)],
)
def test_local_response_norm(gpu, size, alpha, beta, k, last):
    rng = np.random.default_rng(3)
    for dtype in tried(size == 5):
        for channels in (1, 5, 33):
            host, g = (rng.standard_normal((2, channels, 7)).astype(dtype) for _ in range(2))
            x = on_gpu(gpu, host, last)
            options = size, alpha, beta, k
            expected = response_norm.response_norm(host.astype("d"), *options).astype(dtype)
            compare(response_norm.response_norm(x, *options), expected, dtype)
            expected = response_norm.response_norm_gradient(g.astype("d"), host.astype("d"), *options).astype(dtype)
            compare(response_norm.response_norm_gradient(gpu.asarray(g), x, *options), expected, dtype)


def test_a_window_of_more_channels_than_the_kernel_takes(gpu):
    host = np.random.default_rng(4).standard_normal((1, 80, 3))
    expected = response_norm.response_norm(host, 70, 1.0, 0.75, 1.0)
    compare(response_norm.response_norm(gpu.asarray(host), 70, 1.0, 0.75, 1.0), expected, "float64")


@pytest.mark.parametrize("spatial", [2, 3])
@pytest.mark.parametrize("name", ["max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool"])
def test_layers_in_bfloat16(gpu, name, spatial):
    pytest.importorskip("ml_dtypes")
    values = mg.randn(2, 3, *(6,) * spatial)
    function = getattr(mg.nn.functional, f"{name}{spatial}d")
    found = []
    for place in ("cuda", "cpu"):
        x = values.to(place, mg.bfloat16, copy=True).requires_grad_()
        y = function(x, 3)
        y.backward(mg.ones_like(y))
        assert y.dtype == x.grad.dtype == mg.bfloat16
        found.append([tensor.detach().float().cpu().numpy() for tensor in (y, x.grad)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, 2**-7)
