"""Every convolution algorithm against the reference, whole-batch im2col, over random shapes and settings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.backend import get_num_threads, set_num_threads
from minigrad.kernels import conv
from minigrad.kernels.conv import blocked
from minigrad.kernels.im2col import col2im, im2col, window_count


@st.composite
def problems(draw):
    """Draw (x, w, bias, g, settings): a convolution that has at least one output."""
    spatial = draw(st.integers(1, 3))

    def ints(low, high):
        return draw(st.tuples(*[st.integers(low, high)] * spatial))

    groups = draw(st.sampled_from([1, 1, 2, 4]))
    inner, outer = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, padding, dilation = ints(1, 4), ints(0, 2), ints(1, 2)
    stride = draw(st.sampled_from([(1,) * spatial, (2,) * spatial, (3, 1, 2)[:spatial]]))
    extra = ints(0, 7)
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + e for k, d, p, e in zip(kernel, dilation, padding, extra, strict=True)
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    batch = draw(st.integers(1, 20))
    x = rng.standard_normal((batch, groups * inner, *size))
    w = rng.standard_normal((groups * outer, inner, *kernel))
    out = window_count(size, kernel, stride, padding, dilation)
    g = rng.standard_normal((batch, groups * outer, *out))
    return x, w, rng.standard_normal(groups * outer), g, (stride, padding, dilation, groups)


@pytest.fixture(
    params=[(1, 2**8, 1, 1), (2, 2**8, 1, 1), (3, 2**12, 30, 2**8), (1, 2**20, 512, 2**24)],
    ids=["tiny", "two threads", "small", "usual"],
)
def blocks(request, monkeypatch):
    """Cut batches into blocks of different sizes (bands of rows, several images, whole batches), for some threads."""
    for name, value in zip(("BLOCK_BYTES", "FEWEST_COLUMNS", "TASK_FLOP"), request.param[1:], strict=True):
        monkeypatch.setattr(blocked, name, value)
    monkeypatch.setattr(blocked, "FEWEST_ROWS", 1)
    monkeypatch.setattr(blocked, "PARTIAL_SIZE", 100)
    before = get_num_threads()
    set_num_threads(request.param[0])
    yield settings(max_examples=50 if request.param[0] == 1 else 15)  # waking threads takes longer than these problems
    set_num_threads(before)


def close(actual, expected):
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


def test_blocked_forward_is_the_reference(blocks):
    @blocks
    @given(problems())
    def check(problem):
        x, w, bias, _, setting = problem
        close(conv.convolve(x, w, bias, *setting), conv.forward_reference(x, w, bias, *setting))
        positive = np.maximum(conv.forward_reference(x, w, bias, *setting), 0)
        close(conv.forward_blocked(x, w, bias, *setting, relu=True), positive)
        close(conv.forward_blocked(x, w, None, *setting), conv.forward_reference(x, w, None, *setting))

    check()


def test_blocked_gradients_are_the_reference(blocks):
    @blocks
    @given(problems())
    def check(problem):
        x, w, _, g, setting = problem
        size, kernel = x.shape[2:], w.shape[2:]
        expected = conv.input_reference(g, w, size, *setting)
        close(conv.convolve_input(g, w, size, *setting), expected)
        close(conv.input_blocked(g, w, size, *setting), expected)
        expected = conv.weight_reference(g, x, kernel, *setting)
        close(conv.convolve_weight(g, x, kernel, *setting), expected)
        close(conv.weight_blocked(g, x, kernel, *setting), expected)

    check()


@given(problems())
def test_the_three_are_adjoint(problem):
    """⟨g, w * x⟩ is the same as ⟨gradient to x, x⟩ and ⟨gradient to w, w⟩."""
    x, w, _, g, setting = problem
    inner = (g * conv.convolve(x, w, None, *setting)).sum()
    np.testing.assert_allclose((conv.convolve_input(g, w, x.shape[2:], *setting) * x).sum(), inner, atol=1e-9)
    np.testing.assert_allclose((conv.convolve_weight(g, x, w.shape[2:], *setting) * w).sum(), inner, atol=1e-9)


@given(problems())
def test_im2col_and_col2im_are_adjoint(problem):
    x, w, _, _, setting = problem
    kernel = w.shape[2:]
    columns = im2col(x, kernel, *setting[:3])
    other = np.cos(np.arange(columns.size)).reshape(columns.shape)
    back = col2im(other, x.shape[2:], kernel, *setting[:3])
    np.testing.assert_allclose((columns * other).sum(), (x * back).sum(), atol=1e-9)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64"])
def test_dtypes_are_kept(dtype, rng):
    x, w, g = (rng.integers(-3, 4, shape).astype(dtype) for shape in ((2, 3, 6, 6), (4, 3, 3, 3), (2, 4, 6, 6)))
    setting = ((1, 1), (1, 1), (1, 1), 1)
    bias = np.arange(4).astype(dtype)
    for narrow, wide in (
        (
            conv.convolve(x, w, bias, *setting),
            conv.forward_reference(*(a.astype(float) for a in (x, w, bias)), *setting),
        ),
        (
            conv.convolve_input(g, w, (6, 6), *setting),
            conv.input_reference(g.astype(float), w.astype(float), (6, 6), *setting),
        ),
        (
            conv.convolve_weight(g, x, (3, 3), *setting),
            conv.weight_reference(g.astype(float), x.astype(float), (3, 3), *setting),
        ),
    ):
        assert narrow.dtype == dtype
        np.testing.assert_array_equal(narrow, wide.astype(dtype))


def test_empty_batches():
    setting = ((1, 1), (1, 1), (1, 1), 1)
    x, w = np.zeros((0, 3, 5, 5)), np.ones((2, 3, 3, 3))
    y = conv.convolve(x, w, np.ones(2), *setting)
    assert y.shape == (0, 2, 5, 5)
    assert conv.convolve_input(y, w, (5, 5), *setting).shape == x.shape
    np.testing.assert_array_equal(conv.convolve_weight(y, x, (3, 3), *setting), np.zeros((2, 3, 3, 3)))
