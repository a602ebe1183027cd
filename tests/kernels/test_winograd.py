"""Winograd's convolution against im2col: sizes that tiles do not divide, groups, paddings, blocks, threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.backend import CONVOLUTIONS
from minigrad.kernels import conv
from minigrad.kernels.conv import winograd

TOLERANCE = 1e-4  # of the largest value; measured: about 1e-5


@st.composite
def problems(draw):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    inner, outer = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    kernel = draw(st.sampled_from([3, 5]))
    padding = draw(st.tuples(st.integers(0, kernel - 1), st.integers(0, kernel - 1)))
    size = tuple(draw(st.integers(max(1, kernel - 2 * p), 21)) for p in padding)
    batch = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))

    def normal(*shape):
        return rng.standard_normal(shape, np.float32)

    out = tuple(s + 2 * p - kernel + 1 for s, p in zip(size, padding, strict=True))
    x, w = normal(batch, groups * inner, *size), normal(groups * outer, inner, kernel, kernel)
    return x, w, normal(groups * outer), normal(batch, groups * outer, *out), padding, groups


def close(actual, reference):
    assert actual.dtype == np.float32
    assert actual.shape == reference.shape
    np.testing.assert_allclose(actual, reference, rtol=0, atol=TOLERANCE * np.abs(reference).max())


@pytest.mark.usefixtures("thread_count")
@pytest.mark.parametrize(("tiles", "images", "large"), [(1, 1, 2**16), (6, 2, 1), (160, 8, 4), (1000, 100, 2**16)])
def test_all_three_are_the_reference(monkeypatch, tiles, images, large):
    monkeypatch.setattr(winograd, "BLOCK_TILES", tiles)
    monkeypatch.setattr(winograd, "BLOCK_IMAGES", images)
    monkeypatch.setattr(winograd, "LARGE_WEIGHT", large)
    monkeypatch.setattr(winograd, "WEIGHT_BLOCK_TILES", 2 * tiles)
    monkeypatch.setattr(winograd, "PRODUCT_BYTES", large)

    @given(problems())
    def check(problem):
        x, w, bias, g, padding, groups = problem
        settings = ((1, 1), padding, (1, 1), groups)
        wide = [array.astype(np.float64) for array in (x, w, bias, g)]
        y = winograd.forward_winograd(x, w, bias, padding, groups)
        close(y, conv.forward_reference(*wide[:3], *settings))
        rectified = winograd.forward_winograd(x, w, bias, padding, groups, relu=True)
        np.testing.assert_array_equal(rectified, np.maximum(y, 0))
        plain = conv.forward_reference(*wide[:2], None, *settings)
        close(winograd.forward_winograd(x, w, None, padding, groups), plain)
        size, kernel = x.shape[2:], w.shape[2:]
        close(winograd.input_winograd(g, w, padding, groups), conv.input_reference(wide[3], wide[1], size, *settings))
        expected = conv.weight_reference(wide[3], wide[0], kernel, *settings)
        close(winograd.weight_winograd(g, x, kernel, padding, groups), expected)

    check()


def test_arrays_that_are_not_contiguous():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((9, 9, 4, 3), np.float32).T, rng.standard_normal((3, 3, 4, 5), np.float32).T
    settings = ((1, 1), (1, 1), (1, 1), 1)
    g = rng.standard_normal((9, 9, 5, 3), np.float32).T
    close(winograd.forward_winograd(x, w, None, (1, 1), 1), conv.forward_reference(x, w, None, *settings))
    close(winograd.input_winograd(g, w, (1, 1), 1), conv.input_reference(g, w, (9, 9), *settings))
    close(winograd.weight_winograd(g, x, (3, 3), (1, 1), 1), conv.weight_reference(g, x, (3, 3), *settings))


@pytest.mark.parametrize(
    ("dtype", "kernel", "stride", "dilation", "channels", "chosen"),
    [
        ("float32", 3, 1, 1, 32, True),
        ("float64", 3, 1, 1, 32, False),
        ("float32", 5, 1, 1, 32, True),
        ("float32", 7, 1, 1, 32, False),
        ("float32", 3, 2, 1, 32, False),
        ("float32", 3, 1, 2, 32, False),
        ("float32", 3, 1, 1, 3, False),
    ],
)
def test_what_it_is_chosen_for_and_the_switch(monkeypatch, dtype, kernel, stride, dilation, channels, chosen):
    called = []

    def counted(name):
        kernel = getattr(conv, name)
        return lambda *args: called.append(name) or kernel(*args)

    for name in ("forward_winograd", "input_winograd", "weight_winograd"):
        monkeypatch.setattr(conv, name, counted(name))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, channels, 12, 12)).astype(dtype)
    w = rng.standard_normal((32, channels, kernel, kernel)).astype(dtype)
    settings = ((stride, stride), (kernel // 2,) * 2, (dilation, dilation), 1)

    def run():
        y = conv.convolve(x, w, None, *settings)
        conv.convolve_input(y, w, x.shape[2:], *settings)
        conv.convolve_weight(y, x, w.shape[2:], *settings)

    run()
    assert called == (["forward_winograd", "input_winograd", "weight_winograd"] if chosen else [])
    called.clear()
    monkeypatch.setattr(CONVOLUTIONS, "winograd", False)
    run()
    assert not called


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(("channels", "side"), [(24, 28), (128, 28), (256, 14)])
def test_the_stated_bound_of_the_error(kernel, channels, side):
    """docs/performance.md: 3e-5 of the largest value, on layers as networks have them."""
    rng = np.random.default_rng(channels)
    x = np.maximum(rng.standard_normal((4, channels, side, side), np.float32), 0)
    scale = (2 / (channels * kernel**2)) ** 0.5
    w = rng.standard_normal((channels, channels, kernel, kernel), np.float32) * np.float32(scale)
    g = rng.standard_normal(x.shape, np.float32)
    padding = (kernel // 2,) * 2
    settings = ((1, 1), padding, (1, 1), 1)
    wide = [array.astype(np.float64) for array in (x, w, g)]
    pairs = [
        (winograd.forward_winograd(x, w, None, padding, 1), conv.forward_blocked(*wide[:2], None, *settings)),
        (winograd.input_winograd(g, w, padding, 1), conv.input_blocked(wide[2], wide[1], (side, side), *settings)),
        (
            winograd.weight_winograd(g, x, (kernel, kernel), padding, 1),
            conv.weight_blocked(wide[2], wide[0], (kernel, kernel), *settings),
        ),
    ]
    for actual, expected in pairs:
        assert np.abs(actual - expected).max() < 3e-5 * np.abs(expected).max()
