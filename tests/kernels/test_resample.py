"""Linear maps along dimensions: dense and sparse ways agree, adjoints are adjoint, tables mean what they say."""

import numpy as np
import pytest

from minigrad.kernels import resample

TABLES = {
    "nearest": lambda size, out: resample.nearest_taps(size, out, None, False, False),
    "nearest-exact": lambda size, out: resample.nearest_taps(size, out, None, True, True),
    "linear": lambda size, out: resample.linear_taps(size, out, None, False),
    "linear aligned": lambda size, out: resample.linear_taps(size, out, None, True),
    "cubic": lambda size, out: resample.cubic_taps(size, out, None, False),
    "smooth linear": lambda size, out: resample.smooth_taps(size, out, None, False, "bilinear"),
    "smooth cubic": lambda size, out: resample.smooth_taps(size, out, None, False, "bicubic"),
    "smooth lanczos": lambda size, out: resample.smooth_taps(size, out, None, False, "lanczos"),
    "mean": resample.mean_taps,
}
SIZES = [(1, 1), (1, 5), (5, 1), (4, 7), (7, 4), (6, 12), (30, 3)]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("size, out", SIZES)
def test_weights_sum_to_one_and_constants_stay(name, size, out):
    taps = TABLES[name](size, out)
    assert (taps.size, taps.out) == (size, out)
    np.testing.assert_allclose(taps.matrix.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(taps.apply(np.full((2, size), 3.0), 1), np.full((2, out), 3.0))


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("size, out", SIZES)
@pytest.mark.parametrize("ratio", [0, 10**6], ids=["gathered", "dense"])
def test_a_map_and_its_adjoint_are_their_matrices(name, size, out, ratio, monkeypatch, rng):
    monkeypatch.setattr(resample, "DENSE_RATIO", ratio)
    taps = TABLES[name](size, out)
    x, g = rng.standard_normal((2, size, 3)), rng.standard_normal((2, out, 3))
    np.testing.assert_allclose(taps.apply(x, 1), np.einsum("os,nsc->noc", taps.matrix, x), atol=1e-12)
    np.testing.assert_allclose(taps.transposed.apply(g, 1), np.einsum("os,noc->nsc", taps.matrix, g), atol=1e-12)
    np.testing.assert_allclose(taps.apply(x.swapaxes(1, 2), 2), taps.apply(x, 1).swapaxes(1, 2), atol=1e-12)


@pytest.mark.parametrize("mode, numpy_mode", [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
@pytest.mark.parametrize("before, after", [(0, 0), (2, 1), (4, 4), (0, 3)])
def test_padding_tables(mode, numpy_mode, before, after):
    x = np.arange(5)
    np.testing.assert_array_equal(
        resample.pad_taps(5, before, after, mode).apply(x, 0), np.pad(x, (before, after), numpy_mode)
    )


def test_linear_and_cubic_maps_keep_straight_lines():
    line = np.arange(8.0)
    for taps in (resample.linear_taps(8, 15, None, True), resample.cubic_taps(8, 15, None, True)):
        inside = taps.apply(line, 0)[3:-3]
        np.testing.assert_allclose(inside, np.arange(15)[3:-3] / 2, atol=1e-12)


def test_bytes_stay_bytes():
    x = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    half = resample.resample_bytes(
        x, (resample.linear_taps(16, 8, None, False), resample.linear_taps(16, 8, None, False))
    )
    exact = x.astype(float).reshape(8, 2, 8, 2).mean(axis=(1, 3))
    assert half.dtype == np.uint8
    assert np.abs(half[0, 0] - exact).max() <= 1
