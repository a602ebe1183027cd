"""Convolution of small images against the reference: strides, padding, odd sizes, dtypes, and any number of threads."""

import numpy as np
import pytest

from minigrad.backend import get_num_threads, set_num_threads
from minigrad.kernels import conv
from minigrad.kernels.conv import small
from minigrad.kernels.im2col import window_count

# (batch, channels, outputs), size, kernel, stride, padding
PROBLEMS = [
    ((1, 1, 1), (1, 1), (1, 1), (1, 1), (1, 0)),
    ((1, 3, 2), (7, 5), (3, 2), (1, 1), (0, 0)),
    ((1, 1, 6), (28, 28), (5, 5), (1, 1), (2, 2)),
    ((3, 2, 9), (6, 9), (2, 3), (1, 1), (1, 2)),
    ((5, 6, 16), (14, 14), (5, 5), (1, 1), (0, 0)),
    ((37, 2, 3), (8, 7), (3, 3), (1, 1), (1, 1)),
    ((4, 2, 3), (9, 8), (3, 2), (2, 3), (1, 0)),
    ((2, 3, 4), (11, 6), (4, 1), (3, 1), (0, 2)),
    ((3, 2, 2), (3, 4), (2, 3), (1, 1), (3, 4)),  # more padding than kernel
]


def made(problem, dtype):
    """Return x, w, bias, g and the settings of a problem."""
    (batch, channels, outputs), size, kernel, stride, padding = problem
    rng = np.random.default_rng(0)
    out = window_count(size, kernel, stride, padding, (1, 1))
    shapes = (batch, channels, *size), (outputs, channels, *kernel), (outputs,), (batch, outputs, *out)
    return (*(rng.standard_normal(shape).astype(dtype) for shape in shapes), (stride, padding, (1, 1), 1))


def close(actual, expected):
    assert actual.dtype == expected.dtype
    tolerance = 1e-3 if expected.dtype == np.float32 else 1e-10
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("thread_count")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("piece", [2**6, 2**17], ids=["pieces", "whole"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_small_is_the_reference(problem, piece, dtype, monkeypatch):
    monkeypatch.setattr(small, "PIECE", piece)
    x, w, bias, g, settings = made(problem, dtype)
    stride, padding, dilation, groups = settings
    size, kernel, out = x.shape[2:], w.shape[2:], g.shape[2:]
    assert small.is_small(w.shape, stride, dilation, groups, out) == (kernel[0] > stride[0])
    close(small.forward_small(x, w, bias, stride, padding, out), conv.forward_reference(x, w, bias, *settings))
    close(small.forward_small(x, w, None, stride, padding, out), conv.forward_reference(x, w, None, *settings))
    close(small.weight_small(g, x, kernel, stride, padding), conv.weight_reference(g, x, kernel, *settings))
    expected = conv.input_reference(g, w, size, *settings)
    close(small.input_small_strided(g, w, size, stride, padding), expected)
    if stride == (1, 1):
        close(small.input_small(g, w, size, padding), expected)


@pytest.mark.parametrize("problem", PROBLEMS[1:6], ids=str)
def test_strides_and_fewer_positions(problem):
    """Arrays with any strides; g with fewer positions than the input has windows."""
    x, w, _, g, settings = made(problem, np.float64)
    stride, padding = settings[:2]
    flipped, turned = x[::-1, :, :, ::-1], np.swapaxes(np.swapaxes(w, 0, 1).copy(), 0, 1)
    expected = conv.forward_reference(flipped, w, None, *settings)
    close(small.forward_small(flipped, turned, None, stride, padding, g.shape[2:]), expected)
    less, kernel = g[:, ::-1, :-1, : max(1, g.shape[3] - 2)], w.shape[2:]
    close(small.weight_small(less, x, kernel, stride, padding), conv.weight_reference(less, x, kernel, *settings))
    expected = conv.input_reference(less, turned, x.shape[2:], *settings)
    close(small.input_small(less, turned, x.shape[2:], padding), expected)
    close(small.input_small_strided(less, turned, x.shape[2:], stride, padding), expected)


def test_results_do_not_depend_on_the_threads():
    x, w, bias, g, (stride, padding, _, _) = made(((170, 6, 16), (14, 14), (5, 5), (1, 1), (2, 1)), np.float32)
    before = get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            set_num_threads(threads)
            results.append(
                (
                    small.forward_small(x, w, bias, stride, padding, g.shape[2:]),
                    small.weight_small(g, x, w.shape[2:], stride, padding),
                    small.input_small(g, w, x.shape[2:], padding),
                    small.input_small_strided(g, w, x.shape[2:], stride, padding),
                )
            )
    finally:
        set_num_threads(before)
    for one, three in zip(*results, strict=True):
        np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize(
    ("w_shape", "dilation", "groups", "out"),
    [
        ((16, 6, 5, 5), (1, 1), 1, (32, 32)),
        ((900, 1, 3, 3), (1, 1), 1, (8, 8)),
        ((4, 1, 3, 3), (2, 1), 1, (4, 4)),
        ((4, 1, 3, 3), (1, 1), 4, (4, 4)),
        ((4, 1, 3), (1,), 1, (4,)),
        ((4, 1, 1, 3), (1, 1), 1, (4, 4)),
    ],
)
def test_others_are_not_small(w_shape, dilation, groups, out):
    assert not small.is_small(w_shape, (1,) * len(out), dilation, groups, out)


@pytest.mark.parametrize(
    ("g_shape", "w_shape", "dilation", "groups", "expected"),
    [
        ((64, 128, 3, 3), (128, 64, 4, 4), (1, 1), 1, True),
        ((64, 128, 4, 4), (128, 64, 4, 4), (1, 1), 1, False),
        ((64, 64, 112, 112), (64, 3, 7, 7), (1, 1), 1, True),  # few channels
        ((1, 128, 28, 28), (128, 64, 3, 3), (1, 1), 1, True),  # an image alone
        ((1, 128, 112, 112), (128, 64, 3, 3), (1, 1), 1, False),
        ((4, 64, 512, 512), (64, 3, 4, 4), (1, 1), 1, False),
        ((4, 8, 3, 3), (8, 1, 3, 3), (2, 1), 1, False),
        ((4, 8, 3, 3), (8, 1, 3, 3), (1, 1), 8, False),
        ((4, 8, 3), (8, 1, 3), (1,), 1, False),
    ],
)
def test_which_strided_gradients_are_added_up(g_shape, w_shape, dilation, groups, expected):
    assert small.suits_strided(g_shape, w_shape, dilation, groups) == expected
