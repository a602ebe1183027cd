"""Bessel functions, Airy's function and orthogonal polynomials: what only minigrad.special has."""

from minigrad.inplace import write_out
from minigrad.kernels import bessel as kernels
from minigrad.op import Op
from minigrad.ops.define import require_tensor
from minigrad.ops.special_functions import i0_op, i1_op, over_x
from minigrad.tensor import Tensor


def _op(name, rule):
    kernel = getattr(kernels, name)
    return Op(lambda x: kernel(x), [rule], name=name, promote="float")


j0 = _op("bessel_j0", lambda g, x: -g * j1(x))
j1 = _op("bessel_j1", lambda g, x, out: g * (j0(x) - over_x(x, out, 1 / 2, -1 / 16)))
y0 = _op("bessel_y0", lambda g, x: -g * y1(x))
y1 = _op("bessel_y1", lambda g, x, out: g * (y0(x) - out / x))
k0 = _op("modified_bessel_k0", lambda g, x: -g * k1(x))
k1 = _op("modified_bessel_k1", lambda g, x, out: -g * (k0(x) + out / x))
k0e = _op("scaled_modified_bessel_k0", lambda g, x, out: g * (out - k1e(x)))
k1e = _op("scaled_modified_bessel_k1", lambda g, x, out: g * (out - k0e(x) - out / x))
spherical_j0 = _op("spherical_bessel_j0", lambda g, x: g * spherical_slope(x))
# j_0'' = -j_0 - 2 j_0' / x, and -1/3 at zero.
spherical_slope = _op(
    "spherical_slope",
    lambda g, x, out: -g * (spherical_j0(x) + over_x(x, out * 2, -2 / 3, 1 / 15)),
)
airy = _op("airy_ai", lambda g, x: g * airy_slope(x))
airy_slope = _op("airy_slope", lambda g, x: g * x * airy(x))  # Ai'' = x Ai
polynomial = Op(
    kernels.polynomial,
    [lambda g, x, n, family, order: g * polynomial(x, n, family=family, order=order + 1), None],
    promote="float",
    broadcast=True,
)

FUNCTIONS = {}
_PAGE = "https://docs.pytorch.org/docs/stable/special.html#torch.special."


def _of_one(name, op, summary, example):
    def public(input, *, out=None):
        require_tensor("special_" + name, input)
        answer = op(input)
        return answer if out is None else write_out(out, answer, name)

    public.__name__ = public.__qualname__ = name
    public.__doc__ = f"""Return {summary}.

    Arguments: input (Tensor of any shape), out (Tensor the result is written to).
    Source: {_PAGE}{name}

    >>> import minigrad as mg
    >>> mg.special.{name}(mg.tensor([1.0]))
    tensor([{example}])
    """
    FUNCTIONS[name] = public


def _polynomial_of(name, summary, example):
    def public(input, n, *, out=None):
        if not isinstance(n, Tensor):
            require_tensor("special_" + name, input)
        answer = polynomial(input, n, family=name, order=0)
        return answer if out is None else write_out(out, answer, name)

    public.__name__ = public.__qualname__ = name
    public.__doc__ = f"""Return {summary} of degree n, and 0 for n < 0; differentiable with respect to input.

    Arguments: input (Tensor or number), n (Tensor or number; shapes broadcast; not both numbers), out (Tensor).
    Source: {_PAGE}{name}

    >>> import minigrad as mg
    >>> mg.special.{name}(mg.tensor([2.0]), 3)
    tensor([{example}])
    """
    FUNCTIONS[name] = public


for _line in [
    ("bessel_j0", j0, "the Bessel function of the first kind and order 0", "0.7652"),
    ("bessel_j1", j1, "the Bessel function of the first kind and order 1", "0.4401"),
    ("bessel_y0", y0, "the Bessel function of the second kind and order 0: -inf at 0, NaN below", "0.0883"),
    ("bessel_y1", y1, "the Bessel function of the second kind and order 1: -inf at 0, NaN below", "-0.7812"),
    ("modified_bessel_i0", i0_op, "the modified Bessel function of the first kind and order 0", "1.2661"),
    ("modified_bessel_i1", i1_op, "the modified Bessel function of the first kind and order 1", "0.5652"),
    ("modified_bessel_k0", k0, "the modified Bessel function of the second kind and order 0", "0.4210"),
    ("modified_bessel_k1", k1, "the modified Bessel function of the second kind and order 1", "0.6019"),
    ("scaled_modified_bessel_k0", k0e, "exp(input) modified_bessel_k0(input)", "1.1445"),
    ("scaled_modified_bessel_k1", k1e, "exp(input) modified_bessel_k1(input)", "1.6362"),
    ("spherical_bessel_j0", spherical_j0, "sin(input) / input, 1 at 0", "0.8415"),
    ("airy_ai", airy, "Airy's function Ai", "0.1353"),
]:
    _of_one(*_line)

for _family in [
    ("chebyshev_polynomial_t", "the Chebyshev polynomial of the first kind, cos(n arccos(input)),", "26."),
    ("chebyshev_polynomial_u", "the Chebyshev polynomial of the second kind", "56."),
    ("chebyshev_polynomial_v", "the Chebyshev polynomial of the third kind", "41."),
    ("chebyshev_polynomial_w", "the Chebyshev polynomial of the fourth kind", "71."),
    ("shifted_chebyshev_polynomial_t", "the Chebyshev polynomial of the first kind at 2 input - 1,", "99."),
    ("shifted_chebyshev_polynomial_u", "the Chebyshev polynomial of the second kind at 2 input - 1,", "204."),
    ("shifted_chebyshev_polynomial_v", "the Chebyshev polynomial of the third kind at 2 input - 1,", "169."),
    ("shifted_chebyshev_polynomial_w", "the Chebyshev polynomial of the fourth kind at 2 input - 1,", "239."),
    ("hermite_polynomial_h", "the physicists' Hermite polynomial", "40."),
    ("hermite_polynomial_he", "the probabilists' Hermite polynomial", "2."),
    ("laguerre_polynomial_l", "the Laguerre polynomial", "-0.3333"),
    ("legendre_polynomial_p", "the Legendre polynomial", "17."),
]:
    _polynomial_of(*_family)
