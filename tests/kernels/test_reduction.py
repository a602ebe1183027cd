"""Sums per channel, the gradient of a bias, against float64."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels.reduction import sum_to

pytestmark = pytest.mark.usefixtures("thread_count")


CASES = [
    ((16, 8, 40, 40), (1, 8, 1, 1)), ((3, 5, 170, 171), (5, 1, 1)), ((70, 33, 7, 7), (1, 33, 1, 1)),
    ((4, 1, 300, 300), (1, 1, 1, 1)), ((9, 100, 100), (1, 100, 1)), ((64, 64, 20), (64, 1)), ((300, 300), (1, 300)),
    ((300, 300, 2), (1, 300, 1)), ((20, 20, 20, 20), (20, 1)), ((20, 20, 20, 20), (20, 20, 1, 20)),
    ((40, 64, 64), (1, 1)), ((40, 64, 64), ()), ((64, 64, 64), (64, 64, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "to"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sum_to(shape, to, dtype):
    x = (np.random.default_rng(0).standard_normal(shape) + 1).astype(dtype)
    padded = (1,) * (len(shape) - len(to)) + to
    dims = tuple(dim for dim, length in enumerate(padded) if length == 1)
    expected = x.astype(np.float64).sum(dims).reshape(to)
    for array in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        got = np.asarray(sum_to(array, to))
        assert got.dtype == dtype and got.shape == to
        np.testing.assert_allclose(got, expected, rtol=2e-5 if dtype is np.float32 else 1e-12)


def test_gradient_of_a_bias():
    x = mg.randn(8, 3, 40, 60)
    bias = mg.zeros(3, 1, 1, requires_grad=True)
    g = mg.randn(8, 3, 40, 60)
    (x + bias).backward(g)
    np.testing.assert_allclose(bias.grad.numpy().reshape(-1), g.numpy().astype(np.float64).sum((0, 2, 3)), atol=1e-3)
