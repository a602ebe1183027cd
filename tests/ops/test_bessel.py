"""Bessel and Airy functions at known points, at their edges, and their examples."""

import doctest

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops.bessel import FUNCTIONS

POINTS = (0.001, 1.5, 1.9375, 2.25, 7.875, 8.25, 30.0, 200.0)
VALUES = {  # in 17 digits, computed in 30
    "bessel_j0": (
        0.99999975000001562, 0.51182767173591813, 0.26004565867589034, 0.082749851288734037,
        0.19978864744709899, 0.10920747150610138, -0.086367983581040211, -0.015437439930565092,
    ),
    "bessel_j1": (
        0.00049999993750000261, 0.55793650791009964, 0.57996904844665894, 0.54837835664696016,
        0.21494032069496062, 0.26220355199274382, -0.11875106261662294, -0.054304538182378223,
    ),
    "bessel_y0": (
        -4.4714166113759233, 0.38244892379775884, 0.50257668364475076, 0.52006476245727827,
        0.20190658897428201, 0.25514960509864493, -0.11729573168666403, -0.054265775249817911,
    ),
    "bessel_y1": (
        -636.62216723113941, -0.4123086269739113, -0.14266350852541655, 0.027192057738017138,
        -0.18741174490551301, -0.093994487064634487, 0.084425570661747235, 0.015301824580389989,
    ),
    "modified_bessel_k0": (
        7.0236888005623813, 0.21380556264752574, 0.1230056705255543, 0.084043111974658112,
        0.00016724803215371343, 0.0001123775092026635, 2.1324774964630564e-14, 1.2256819797765335e-88,
    ),
    "modified_bessel_k1": (
        999.99623815608555, 0.27738780045684382, 0.151894691359947, 0.10121630256832526,
        0.00017756586853759172, 0.00011900307866009921, 2.1677320018915494e-14, 1.2287423734729858e-88,
    ),
    "scaled_modified_bessel_k0": (
        7.0307160023782515, 0.9582100532948965, 0.85382858725621143, 0.79737884528105611,
        0.43997708854147974, 0.43013905597321552, 0.22788666561625373, 0.088567458339296658,
    ),
    "scaled_modified_bessel_k1": (
        1000.9967345590684, 1.243165873552553, 1.0543581379741223, 0.96031354110120701,
        0.46712007823031432, 0.45549925671024003, 0.2316541293777118, 0.08878860158500368,
    ),
    "spherical_bessel_j0": (
        0.99999983333334167, 0.66499665773603629, 0.48181382238058126, 0.345810309727965,
        0.12695607901923163, 0.11183081336234427, -0.03293438746976206, -0.0043664864860699729,
    ),
}
AIRY_POINTS = (-60.0, -7.25, -6.5, -1.0, 0.0, 1.75, 2.25, 20.0)
AIRY = (
    0.077787824477115584, 0.32374057321118615, -0.2380203019971158, 0.53556088329235212,
    0.35502805388781724, 0.050569880805794872, 0.023654658557747446, 1.6916728686705403e-27,
)


@pytest.mark.parametrize("name", VALUES)
def test_values_in_every_region(name):
    function = getattr(mg.special, name)
    found = function(mg.tensor(POINTS, dtype=mg.float64)).numpy()
    np.testing.assert_allclose(found, VALUES[name], rtol=1e-13, atol=2e-16)
    single = function(mg.tensor(POINTS))
    assert single.dtype is mg.float32
    np.testing.assert_allclose(single.numpy(), VALUES[name], rtol=1e-5, atol=1e-6)


def test_airy_in_every_region():
    found = mg.special.airy_ai(mg.tensor(AIRY_POINTS, dtype=mg.float64)).numpy()
    np.testing.assert_allclose(found, AIRY, rtol=1e-13, atol=1e-15)


def test_edges():
    x = mg.tensor([0.0, -1.0, float("nan")], dtype=mg.float64)
    inf, nan = np.inf, np.nan
    for name, expected in [
        ("bessel_y0", [-inf, nan, nan]), ("bessel_y1", [-inf, nan, nan]), ("modified_bessel_k0", [inf, nan, nan]),
        ("scaled_modified_bessel_k1", [inf, nan, nan]), ("spherical_bessel_j0", [1, np.sin(1), nan]),
    ]:  # fmt: skip
        np.testing.assert_allclose(getattr(mg.special, name)(x).numpy(), expected)
    assert mg.special.bessel_j1(-x).numpy()[1] == -mg.special.bessel_j1(x).numpy()[1]
    far = mg.tensor([float("inf")])
    assert mg.special.airy_ai(far).item() == mg.special.spherical_bessel_j0(far).item() == 0
    assert mg.special.modified_bessel_k0(far).item() == 0


SLOPES_AT_ZERO = {
    "i0": (0, 1 / 2, 0, 3 / 8),
    "i1": (1 / 2, 0, 3 / 8),
    "bessel_j0": (0, -1 / 2, 0, 3 / 8),
    "bessel_j1": (1 / 2, 0, -3 / 8),
    "spherical_bessel_j0": (0, -1 / 3, 0, 1 / 5),
    "i1e": (1 / 2, 0),
}


@pytest.mark.parametrize("name", SLOPES_AT_ZERO)
def test_slopes_at_zero(name):
    x = mg.zeros(1, dtype=mg.float64, requires_grad=True)
    value = getattr(mg.special, name)(x)
    for slope in SLOPES_AT_ZERO[name]:
        (value,) = mg.autograd.grad(value, x, create_graph=True)
        np.testing.assert_allclose(value.item(), slope, atol=1e-15, rtol=1e-14)


def test_degrees():
    x = mg.tensor([0.5])
    degrees = mg.tensor([2.9, float("nan"), float("inf"), -3.0])
    assert mg.special.chebyshev_polynomial_t(x, degrees).tolist() == [-0.5, 0, 0, 0]
    assert mg.special.legendre_polynomial_p(2, mg.tensor([1, 2])).dtype is mg.float32
    with pytest.raises(TypeError, match="must be Tensor"):
        mg.special.legendre_polynomial_p(2, 3)
    with pytest.raises(TypeError, match="must be Tensor"):
        mg.special.bessel_j0(2.0)
    out = mg.empty(1)
    assert mg.special.laguerre_polynomial_l(x, 1, out=out) is out and out.item() == 0.5


def test_examples():
    runner = doctest.DocTestRunner()
    for name, function in FUNCTIONS.items():
        for example in doctest.DocTestFinder().find(function, name, globs={}):
            assert example.examples
            runner.run(example)
    assert runner.failures == 0


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'bessel_j7'"):
        mg.special.bessel_j7  # noqa: B018
