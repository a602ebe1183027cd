"""Batch norm of large arrays: against plain float64 formulas, over shapes, cuts, strides and numbers of threads."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels import channel_norm, norm

EPS = 1e-5
SHAPES = [(16, 8, 784), (3, 7, 3137), (1, 5, 20000), (70, 33, 49), (2, 1, 40000), (40000, 1, 2), (9, 257, 31)]


@pytest.fixture(params=[None, (700, 5000)], ids=["blocks", "small blocks"])
def cut(request, monkeypatch):
    """Blocks as they are, or so small that every shape is cut along images and channels and shared out."""
    if request.param is not None:
        for name, value in zip(("_ROW", "_BLOCK", "_SHARED"), (*request.param, 0), strict=True):
            monkeypatch.setattr(channel_norm, name, value)


def make(shape, dtype, mean=0.3, seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(shape) * rng.uniform(0.5, 2, (1, shape[1], 1)) + mean).astype(dtype)
    g = rng.standard_normal(shape).astype(dtype)
    weight, bias = (rng.standard_normal((1, shape[1], 1)).astype(dtype) for _ in range(2))
    return x, g, weight, bias


def reference(x, g, weight, bias, fixed=None):
    """Return (y, g_x, g_weight, g_bias) in float64."""
    x, g, weight, bias = (a.astype(np.float64) for a in (x, g, weight, bias))
    mean, variance = fixed or (x.mean((0, 2), keepdims=True), x.var((0, 2), keepdims=True))
    rstd = 1 / np.sqrt(variance + EPS)
    normal = (x - mean) * rstd
    g_x = g * weight
    if fixed is None:
        g_x = g_x - g_x.mean((0, 2), keepdims=True) - normal * (g_x * normal).mean((0, 2), keepdims=True)
    return normal * weight + bias, g_x * rstd, (g * normal).sum((0, 2)), g.sum((0, 2))


def computed(x, g, weight, bias):
    mean, variance = norm.moments(x, (0, 2))
    rstd = 1 / np.sqrt(variance + x.dtype.type(EPS))
    y = norm.forward(x, weight, bias, mean, rstd)
    return y, *norm.gradients(g, x, weight, mean, rstd, (0, 2), False, weight.shape, (True, True, True))


def check(got, expected, tolerance):
    for name, a, b in zip(("y", "g_x", "g_weight", "g_bias"), got, expected, strict=False):
        terms = got[0].size // expected[-1].size if b.ndim == 1 else 1  # of a sum of values near 1
        error = np.abs(a.reshape(-1) - b.reshape(-1)).max() / max(np.abs(b).max(), terms**0.5)
        assert error < tolerance, (name, error)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_float64(shape, dtype, cut):
    arrays = make(shape, dtype)
    assert channel_norm.suits(arrays[0], (1, shape[1], 1))
    before = [a.copy() for a in arrays]
    got = computed(*arrays)
    assert got[0].dtype == got[1].dtype == dtype
    check(got, reference(*arrays), 3e-6 if dtype is np.float32 else 1e-13)
    assert all((a == b).all() for a, b in zip(arrays, before, strict=True))


@pytest.mark.parametrize("mean", [30.0, 1000.0, -1000.0])
def test_a_large_mean_costs_no_digits(mean, cut):
    x, g, weight, bias = make((16, 6, 1000), np.float32)
    x[:, ::2] += np.float32(mean)  # some channels only
    mean_of, variance = norm.moments(x, (0, 2))
    wide = x.astype(np.float64)
    assert np.abs(variance / wide.var((0, 2), keepdims=True) - 1).max() < 1e-6
    assert np.abs(mean_of - wide.mean((0, 2), keepdims=True)).max() <= np.spacing(np.float32(abs(mean)))
    check(computed(x, g, weight, bias), reference(x, g, weight, bias), 1e-6 * max(abs(mean), 3))


def test_constant_channels_and_a_nan():
    x, g, weight, bias = make((8, 4, 4096), np.float32)
    x[:, 1] = 1000.1
    x[3, 2, 5] = np.nan
    y = computed(x, g, weight, bias)[0]
    assert np.abs(y[:, 1] - bias[:, 1]).max() < 0.2  # the mean rounded, times 1 / sqrt(eps)
    assert np.isnan(y[:, 2]).all()
    assert not np.isnan(y[:, [0, 1, 3]]).any()


def test_same_with_every_number_of_threads(thread_count, cut):
    arrays = make((5, 37, 1600), np.float32)
    alone = mg.get_num_threads()
    got = computed(*arrays)
    mg.set_num_threads(1)
    for a, b in zip(got, computed(*arrays), strict=True):
        assert (a == b).all()
    mg.set_num_threads(alone)


def test_fixed_statistics_and_needs():
    x, g, weight, bias = make((4, 16, 1100), np.float32)
    mean, variance = np.full_like(weight, 0.2), np.full_like(weight, 1.7)
    rstd = 1 / np.sqrt(variance + np.float32(EPS))
    expected = reference(x, g, weight, bias, fixed=(mean, variance))
    got = norm.gradients(g, x, weight, mean, rstd, (0, 2), True, weight.shape, (True, True, True))
    check((norm.forward(x, weight, bias, mean, rstd), *got), expected, 3e-6)
    for needs in ((False, True, False), (False, False, True), (True, False, False), (False, False, False)):
        some = norm.gradients(g, x, weight, mean, rstd, (0, 2), True, weight.shape, needs)
        for want, a, b in zip(needs, some, got, strict=True):
            assert (a is None) if not want else (a == b).all()


def test_strides_and_missing_parameters():
    x, g, weight, bias = make((6, 20, 1000), np.float32)
    ones, zeros = np.ones_like(weight), np.zeros_like(bias)
    expected = reference(x, np.ones_like(g), ones, zeros)
    spread = np.broadcast_to(np.float32(1), g.shape)
    turned = np.ascontiguousarray(x.transpose(2, 1, 0)).transpose(2, 1, 0)
    mean, variance = norm.moments(turned, (0, 2))
    rstd = 1 / np.sqrt(variance + np.float32(EPS))
    y = norm.forward(turned, None, None, mean, rstd)
    g_x, _, g_bias = norm.gradients(spread, turned, None, mean, rstd, (0, 2), False, weight.shape, (True, True, True))
    check([y], expected[:1], 3e-6)
    assert np.abs(g_x).max() < 1e-5  # the gradient of a sum of normalised values is zero
    assert (g_bias == expected[3]).all()


def test_layer_saves_its_input_and_statistics_only():
    layer = mg.nn.BatchNorm2d(16)
    x = mg.randn(4, 16, 40, 40, requires_grad=True)
    y = layer(x)
    saved = [a for a in y.grad_fn.saved if hasattr(a, "nbytes")]
    assert [a is x.array for a in saved if a.size > 16] == [True]
    assert y.grad_fn.out is None
