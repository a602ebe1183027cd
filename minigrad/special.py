"""Special functions under PyTorch's names: minigrad.special.erf, gammaln, i0e, xlog1py, …

Source: https://docs.pytorch.org/docs/stable/special.html

>>> import minigrad as mg
>>> mg.special.expit(mg.tensor([0.0]))
tensor([0.5000])
"""

from minigrad.absent import explain
from minigrad.ops.special_functions import SPECIAL
from minigrad.registry import FUNCTIONS

_ALIASES = {
    "digamma": "digamma", "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "exp2": "exp2", "expit": "sigmoid",
    "expm1": "expm1", "gammainc": "igamma",
    "gammaincc": "igammac",
    "gammaln": "lgamma", "i0": "i0", "log1p": "log1p", "logit": "logit", "logsumexp": "logsumexp",
    "multigammaln": "mvlgamma", "polygamma": "polygamma", "psi": "digamma", "round": "round", "sinc": "sinc",
    "xlogy": "xlogy", "softmax": "softmax", "log_softmax": "log_softmax",
}  # fmt: skip
globals().update({name: FUNCTIONS[original] for name, original in _ALIASES.items()})
globals().update(SPECIAL)

__all__ = [*_ALIASES, *SPECIAL]  # noqa: PLE0604 - names of functions made in ops/
# Bessel functions and orthogonal polynomials are imported when one of them is first asked for.
_ON_DEMAND = """
airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 modified_bessel_i0 modified_bessel_i1 modified_bessel_k0
modified_bessel_k1 scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0
chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w
shifted_chebyshev_polynomial_t shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v
shifted_chebyshev_polynomial_w hermite_polynomial_h hermite_polynomial_he laguerre_polynomial_l legendre_polynomial_p
""".split()


def __getattr__(name):
    if name not in _ON_DEMAND:
        raise AttributeError(explain(name, __name__))
    from minigrad.ops.bessel import FUNCTIONS as MORE

    globals().update(MORE)
    return MORE[name]


__all__ += _ON_DEMAND  # noqa: PLE0605
