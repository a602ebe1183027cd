"""softmax in blocks of rows on threads against its definition in float64."""

import numpy as np
import pytest

from minigrad.backend import threads
from minigrad.kernels import softmax as kernels


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 5, 13), (3, 70), (1, 200), (0, 4), ()])
def test_blocks_of_rows(shape, dtype, workers, monkeypatch):
    monkeypatch.setattr(kernels, "BLOCK", 64)
    before = threads.get_num_threads()
    threads.set_num_threads(workers)
    x = (np.random.default_rng(2).standard_normal(shape) * 9).astype(dtype)
    dim = len(shape) - 1
    wide = x.astype(float)
    shifted = np.exp(wide - wide.max(axis=-1, keepdims=True)) if wide.size > 1 else np.ones(shape)
    expected = shifted / (shifted.sum(axis=-1, keepdims=True) if shape else 1)
    tolerance = {np.float16: 2e-3, np.float32: 2e-6, np.float64: 1e-12}[dtype]
    try:
        soft, logarithm = kernels.softmax(x, dim), kernels.log_softmax(x, dim)
    finally:
        threads.set_num_threads(before)
    assert soft.dtype == logarithm.dtype == dtype and soft.shape == logarithm.shape == shape
    np.testing.assert_allclose(soft, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(np.exp(logarithm.astype(float)), expected, rtol=10 * tolerance, atol=tolerance)


def test_infinite_lines():
    x = np.full((3, 4), 1.0)
    x[0, 0], x[1] = np.inf, -np.inf
    assert np.isnan(kernels.softmax(x, 1)[:2]).any(axis=1).all()
    np.testing.assert_array_equal(kernels.softmax(x, 1)[2], 0.25)
