"""Local response normalisation against its definition: windows, powers, dtypes, strides, blocks, threads."""

import numpy as np
import pytest

from minigrad.kernels import response_norm as kernels


def channel_sums(values, before, after):
    channels = values.shape[1]
    spans = [slice(max(0, c - before), c + after + 1) for c in range(channels)]
    return np.stack([values[:, span].sum(axis=1) for span in spans], axis=1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("block", [7, 60, 2**17])
@pytest.mark.parametrize(("size", "beta"), [(5, 0.75), (4, 0.5), (1, 1.5), (9, 0.75)])
def test_values_and_gradients(size, beta, block, dtype, thread_count, monkeypatch):
    monkeypatch.setattr(kernels, "BLOCK", block)
    rng = np.random.default_rng(5)
    x, g = rng.standard_normal((2, 11, 3, 6)).astype(dtype).transpose(0, 2, 3, 1)  # (3, 6, 11), strided
    wide, wide_g = x.astype(float), g.astype(float)
    scale = 1.5 + 0.3 / size * channel_sums(wide**2, size // 2, (size - 1) // 2)
    tolerance = {np.float16: 4e-3, np.float32: 2e-6, np.float64: 1e-13}[dtype]
    out = kernels.response_norm(x, size, 0.3, beta, 1.5)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, wide / scale**beta, rtol=tolerance)
    sums = channel_sums(wide_g * wide / scale ** (beta + 1), (size - 1) // 2, size // 2)
    expected = wide_g / scale**beta - 2 * 0.3 * beta / size * wide * sums
    gradient = kernels.response_norm_gradient(g, x, size, 0.3, beta, 1.5)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=tolerance)


def test_nothing_and_infinity():
    assert kernels.response_norm(np.zeros((0, 3, 4), np.float32), 5, 1.0, 0.75, 1.0).shape == (0, 3, 4)
    x = np.array([[[np.inf], [1.0], [np.nan], [2.0], [3.0]]])
    out = kernels.response_norm(x, 3, 1.0, 0.75, 1.0)
    assert np.isnan(out[0, [0, 2], 0]).all() and np.isnan(out[0, 1, 0])
    assert np.isnan(out[0, 3, 0]) and np.isfinite(out[0, 4, 0])
