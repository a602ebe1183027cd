"""Choosing elements by a mask, and zeros: what the gradient rules of piecewise functions are written with."""

from minigrad.backend import xp
from minigrad.kernels import mask as kernels
from minigrad.op import Op


def _zeroed(x):
    return xp(x).zeros_like(x)


# Zero where the mask is false even if the value there is inf or NaN, unlike a product with the mask.
keep_where = Op(
    lambda x, mask: kernels.keep(x, mask),
    [lambda g, mask: keep_where(g, mask), None],
    name="keep_where",
    broadcast=True,
)
keep_nonzero = Op(
    lambda x, y: kernels.keep_nonzero(x, y),
    [lambda g, y: keep_nonzero(g, y), None],
    name="keep_nonzero",
)
choose = Op(
    lambda mask, a, b: kernels.choose(mask, a, b),
    [None, lambda g, mask: keep_where(g, mask), lambda g, mask: keep_where(g, logical_complement(mask))],
    name="choose",
    broadcast=True,
)
logical_complement = Op(lambda mask: xp(mask).logical_not(mask), [None], name="logical_complement")
# Piecewise constant functions have a gradient, and it is zero.
zeroed = Op(_zeroed, [lambda g: zeroed(g)])
