"""Cases of Bessel functions and orthogonal polynomials, beside their defining integrals and NumPy's polynomials."""

import math

import numpy as np

import minigrad as mg
from minigrad.ops import bessel
from tests.ops.table import case


def oscillating(order):
    """Return J of an order: the mean of cos(order t - x sin t) over 0 < t < pi."""
    angle = (np.arange(2000) + 0.5) * (math.pi / 2000)
    return lambda x: np.mean(np.cos(order * angle - np.asarray(x)[..., None] * np.sin(angle)), -1)


def decaying(order, scaled=False):
    """Return K of an order: the integral of exp(-x cosh t) cosh(order t) over t > 0."""
    steps = (np.arange(4000) + 0.5) * 0.002

    def function(x):
        x = np.asarray(x)[..., None]
        values = np.exp(-x * (np.cosh(steps) - scaled)) * np.cosh(order * steps)
        return values.sum(-1) * 0.002

    return function


def polynomial(name, degree):
    """Return the function of a family for one degree."""
    return lambda x: getattr(mg.special, name)(x, degree)


def basis(kind, degree):
    """Return NumPy's polynomial of one degree."""
    return lambda x: kind.basis(degree)(x)


FAMILIES = np.polynomial
CASES = {
    "bessel_j0": [
        case(mg.special.bessel_j0, (2, 3), domain=(-12, 12), distinct=True, reference=oscillating(0)),
        case(mg.special.bessel_j0, (), domain=(1, 2), reference=oscillating(0)),
    ],
    "bessel_j1": [case(mg.special.bessel_j1, (2, 3), domain=(-12, 12), distinct=True, reference=oscillating(1))],
    "bessel_y0": [case(mg.special.bessel_y0, (2, 4), domain=(0.5, 12))],
    "bessel_y1": [case(mg.special.bessel_y1, (2, 4), domain=(0.5, 12))],
    "modified_bessel_k0": [case(mg.special.modified_bessel_k0, (2, 3), domain=(0.5, 4), reference=decaying(0))],
    "modified_bessel_k1": [case(mg.special.modified_bessel_k1, (2, 3), domain=(0.5, 4), reference=decaying(1))],
    "scaled_modified_bessel_k0": [
        case(mg.special.scaled_modified_bessel_k0, (2, 3), domain=(0.5, 4), reference=decaying(0, True))
    ],
    "scaled_modified_bessel_k1": [
        case(mg.special.scaled_modified_bessel_k1, (2, 3), domain=(0.5, 4), reference=decaying(1, True))
    ],
    "spherical_bessel_j0": [
        case(mg.special.spherical_bessel_j0, (2, 3), domain=(-4, 4), distinct=True, reference=lambda x: np.sin(x) / x)
    ],
    "spherical_slope": [
        case(
            bessel.spherical_slope, (2, 4), domain=(-3, 3), distinct=True,
            reference=lambda x: (np.cos(x) - np.sin(x) / x) / x,
        )
    ],
    "airy_ai": [
        case(mg.special.airy_ai, (2, 4), domain=(-10, 5)),
        case(
            mg.special.airy_ai, (2, 3), domain=(2, 6),
            reference=lambda x: np.sqrt(x / 3) / math.pi * decaying(1 / 3)(2 / 3 * x**1.5),
        ),
    ],
    "airy_slope": [
        case(
            bessel.airy_slope, (2, 3), domain=(2, 6),
            reference=lambda x: -x / (math.pi * math.sqrt(3)) * decaying(2 / 3)(2 / 3 * x**1.5),
        ),
        case(bessel.airy_slope, (4,), domain=(-10, 2)),
    ],
    "polynomial": [
        case(polynomial("chebyshev_polynomial_t", 5), (2, 3), reference=basis(FAMILIES.Chebyshev, 5)),
        case(polynomial("hermite_polynomial_h", 4), (2, 3), reference=basis(FAMILIES.Hermite, 4)),
        case(polynomial("hermite_polynomial_he", 3), (2, 3), reference=basis(FAMILIES.HermiteE, 3)),
        case(polynomial("laguerre_polynomial_l", 4), (2, 3), reference=basis(FAMILIES.Laguerre, 4)),
        case(polynomial("legendre_polynomial_p", 6), (2, 3), reference=basis(FAMILIES.Legendre, 6)),
        case(
            polynomial("shifted_chebyshev_polynomial_t", 3), (3,),
            reference=lambda x: FAMILIES.Chebyshev.basis(3)(2 * x - 1),
        ),
        case(
            lambda x: mg.special.chebyshev_polynomial_u(x, mg.tensor([[-1.0], [0.0], [1.0], [4.0]], dtype=x.dtype)),
            (3,),
            reference=lambda x: np.stack([0 * x, 1 + 0 * x, 2 * x, 16 * x**4 - 12 * x**2 + 1]),
        ),
    ],
}  # fmt: skip
