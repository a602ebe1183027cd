"""Pooling kernels against their definitions: NaN, ties, -inf, padding, blocks, adjoints."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.kernels import pool, windows


@st.composite
def problems(draw):
    """Draw (x, kernel, stride, padding, dilation, count) with at least one window."""
    spatial = draw(st.integers(1, 3))

    def ints(low, high):
        return draw(st.tuples(*[st.integers(low, high)] * spatial))

    kernel, stride, dilation = ints(1, 4), ints(1, 3), ints(1, 2)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    extra = ints(0, 6)
    size = tuple(
        max(2, d * (k - 1) + 1 - 2 * p) + e for k, d, p, e in zip(kernel, dilation, padding, extra, strict=True)
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    x = rng.integers(-3, 4, (2, 3, *size)).astype(float)  # many ties
    x[rng.random(x.shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = -np.inf
    x[rng.random(x.shape) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
    count = pool.pooled_size(size, kernel, stride, padding, dilation, draw(st.booleans()))
    return x, kernel, stride, padding, dilation, count


def slow_maxima(x, kernel, stride, padding, dilation, count):
    """(values, flat positions), one window at a time: the first maximum, or the last NaN."""
    spatial = len(kernel)
    size = x.shape[2:]
    values = np.zeros((*x.shape[:2], *count))
    index = np.zeros(values.shape, np.int64)
    for plane in np.ndindex(*x.shape[:2]):
        for window in np.ndindex(*count):
            best, where = -np.inf, None
            for offset in itertools.product(*map(range, kernel)):
                place = tuple(window[i] * stride[i] - padding[i] + offset[i] * dilation[i] for i in range(spatial))
                if not all(0 <= p < s for p, s in zip(place, size, strict=True)):
                    continue
                value = x[plane + place]
                if where is None or value > best or np.isnan(value):
                    best, where = value, np.ravel_multi_index(place, size)
            values[plane + window], index[plane + window] = best, where
    return values, index


@pytest.fixture(params=[1, 100, 2**18])
def block(request, monkeypatch):
    monkeypatch.setattr(windows, "BLOCK", request.param)


def test_maxima_and_their_places(block):

    @given(problems())
    def check(problem):
        x, *window, count = problem
        expected, where = slow_maxima(x, *window, count)
        values, codes = pool.max_pool(x, *window, count)
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(pool.flat_index(codes, x.shape[2:], *window), where)
        np.testing.assert_array_equal(pool.max_pool_values(x, *window, count), expected)
        np.testing.assert_array_equal(pool.max_pool_gather(x, codes, *window), expected)

    check()


def test_gradients_go_to_the_maxima(block):

    @given(problems())
    def check(problem):
        x, *window, count = problem
        _, codes = pool.max_pool(x, *window, count)
        g = np.sin(np.arange(codes.size)).reshape(codes.shape)
        expected = np.zeros((6, x[0, 0].size))
        where = pool.flat_index(codes, x.shape[2:], *window).reshape(6, -1)
        np.add.at(expected, (np.arange(6)[:, None], where), g.reshape(6, -1))
        actual = pool.max_pool_scatter(g, codes, x.shape[2:], *window)
        np.testing.assert_allclose(actual.reshape(6, -1), expected, atol=1e-12)

    check()


def test_infinite_gradients_stay_where_they_are():
    x = np.arange(4.0).reshape(1, 1, 4)
    given_window = ((2,), (2,), (0,), (1,))
    _, codes = pool.max_pool(x, *given_window, (2,))
    g = np.array([[[np.inf, np.nan]]])
    np.testing.assert_array_equal(pool.max_pool_scatter(g, codes, (4,), *given_window), [[[0, np.inf, 0, np.nan]]])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float16", "float32"])
def test_maxima_of_every_dtype(dtype):
    x = np.arange(16).reshape(1, 4, 4).astype(dtype)
    values, codes = pool.max_pool(x, (2, 2), (2, 2), (1, 1), (1, 1), (3, 3))
    assert values.dtype == dtype and codes.dtype == np.uint8
    np.testing.assert_array_equal(values[0], [[0, 2, 3], [8, 10, 11], [12, 14, 15]])


@given(problems(), st.booleans())
def test_means_and_their_adjoint(problem, include_padding):
    x, kernel, stride, padding, _, _ = problem
    x = np.nan_to_num(x, neginf=2.0)
    size = x.shape[2:]
    count = pool.pooled_size(size, kernel, stride, padding, (1,) * len(kernel), True)
    divisor = pool.window_divisor(size, kernel, stride, padding, count, include_padding)
    mean = pool.window_mean(x, kernel, stride, padding, count, divisor)
    for window in np.ndindex(*count):
        start = [w * t - p for w, t, p in zip(window, stride, padding, strict=True)]
        stop = [min(a + k, s + p) for a, k, s, p in zip(start, kernel, size, padding, strict=True)]
        inside = tuple(slice(max(a, 0), max(0, min(b, s))) for a, b, s in zip(start, stop, size, strict=True))
        values = x[(slice(None), slice(None), *inside)].reshape(2, 3, -1)
        number = np.prod([b - a for a, b in zip(start, stop, strict=True)]) if include_padding else values.shape[2]
        np.testing.assert_allclose(mean[(slice(None), slice(None), *window)], values.sum(axis=2) / number, atol=1e-12)
    g = np.cos(np.arange(mean.size)).reshape(mean.shape)
    spread = pool.window_spread(g, size, kernel, stride, padding, divisor)
    np.testing.assert_allclose((spread * x).sum(), (g * mean).sum(), atol=1e-9)


def test_half_precision_sums_are_wide():
    x = np.full((1, 1, 4096), 32.0, np.float16)  # the plain sum is beyond float16
    np.testing.assert_array_equal(pool.window_mean(x, (4096,), (1,), (0,), (1,), 4096), [[[32.0]]])
    np.testing.assert_array_equal(pool.window_mean(x, (4095,), (1,), (0,), (2,), 4095), [[[32.0, 32.0]]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        ((28, 28), 2, 2, 0),
        ((28, 30), 17, 4, 8),
        ((29, 27), 3, 2, 0),
        ((28, 28), 3, 2, 1),
        ((14, 14), 3, 1, 1),
        ((7, 7), 7, 7, 0),
    ],
)
def test_shared_blocks(thread_count, size, kernel, stride, padding, dtype, monkeypatch):
    """Several blocks on several threads, of strided planes, say what one pass over windows does."""
    monkeypatch.setattr(windows, "SMALLEST", 2**12)
    rng = np.random.default_rng(3)
    x = np.maximum(rng.standard_normal((*size, 40)), 0).round(1).astype(dtype).transpose(2, 0, 1)[None]
    window = ((kernel,) * 2, (stride,) * 2, (padding,) * 2)
    count = pool.pooled_size(size, *window, (1, 1), False)
    wide = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    views = np.lib.stride_tricks.sliding_window_view(wide, window[0], axis=(2, 3))[:, :, ::stride, ::stride]
    flat = views.reshape(*views.shape[:4], -1)
    values, codes = pool.max_pool(x, *window, (1, 1), count)
    np.testing.assert_array_equal(values, flat.max(axis=-1))
    np.testing.assert_array_equal(codes, flat.argmax(axis=-1))
    np.testing.assert_array_equal(pool.max_pool_values(x, *window, (1, 1), count), values)
    tolerance = {"rtol": 2e-3 if dtype == np.float16 else 1e-5}
    mean = pool.window_mean(x, *window, count, kernel**2)
    expected = np.where(np.isinf(flat), 0, flat).sum(axis=-1, dtype=np.float64) / kernel**2
    np.testing.assert_allclose(mean, expected, **tolerance)
    g = rng.standard_normal(values.shape).astype(dtype)
    scattered, spread = np.zeros(x.shape), np.zeros(x.shape)
    where = pool.flat_index(codes, size, *window, (1, 1)).reshape(40, -1)
    np.add.at(scattered.reshape(40, -1), (np.arange(40)[:, None], where), g.reshape(40, -1))
    for row, column in itertools.product(range(size[0] + 2 * padding), range(size[1] + 2 * padding)):
        if not (padding <= row < size[0] + padding and padding <= column < size[1] + padding):
            continue
        rows, columns = (
            slice(max(0, -(-(at - kernel + 1) // stride)), min(n, at // stride + 1))
            for at, n in zip((row, column), count, strict=True)
        )
        spread[0, :, row - padding, column - padding] = g[0, :, rows, columns].sum(axis=(1, 2), dtype=float)
    tolerance["atol"] = 2e-3 if dtype == np.float16 else 1e-5
    np.testing.assert_allclose(pool.max_pool_scatter(g, codes, size, *window, (1, 1)), scattered, **tolerance)
    np.testing.assert_allclose(pool.window_spread(g, size, *window, kernel**2), spread / kernel**2, **tolerance)
