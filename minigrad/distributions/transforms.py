"""Functions of random numbers, vectors and matrices whose stretching is known.

Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.transforms
"""

import math

from minigrad.backend import float_limits
from minigrad.distributions import constraints
from minigrad.distributions.distribution import as_parameters, eps_of, sum_last
from minigrad.distributions.transform import (  # noqa: F401 - PyTorch has all of them in one module
    CatTransform,
    ComposeTransform,
    IndependentTransform,
    ReshapeTransform,
    StackTransform,
    Transform,
    expect_dims,
    identity_transform,
)
from minigrad.distributions.utils import tril_matrix_to_vec, vec_to_tril_matrix
from minigrad.nn.functional import logsigmoid, pad, softplus
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Size, Tensor

__all__ = (
    "AbsTransform AffineTransform CatTransform ComposeTransform CorrCholeskyTransform CumulativeDistributionTransform "
    "ExpTransform IndependentTransform LowerCholeskyTransform PositiveDefiniteTransform PowerTransform "
    "ReshapeTransform SigmoidTransform SoftmaxTransform SoftplusTransform StackTransform StickBreakingTransform "
    "TanhTransform Transform identity_transform"
).split()


class _Fixed(Transform):
    """A transform without parameters: any two of a kind are equal."""

    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = object.__hash__


class _Increasing(_Fixed):
    """An increasing function of each number."""

    bijective = True
    sign = 1
    domain = constraints.real


def _clipped_sigmoid(x):
    return x.sigmoid().clamp(min=float(float_limits(x.dtype).tiny), max=1.0 - eps_of(x))


class ExpTransform(_Increasing):
    """y = exp(x)."""

    codomain = constraints.positive

    def _call(self, x):
        return x.exp()

    def _inverse(self, y):
        return y.log()

    def log_abs_det_jacobian(self, x, y):
        """Return x."""
        return x


class SigmoidTransform(_Increasing):
    """y = 1 / (1 + exp(-x))."""

    codomain = constraints.unit_interval

    def _call(self, x):
        return _clipped_sigmoid(x)

    def _inverse(self, y):
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x, y):
        """Return -log(1 + exp(-x)) - log(1 + exp(x))."""
        return -softplus(-x) - softplus(x)


class TanhTransform(_Increasing):
    """y = tanh(x)."""

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x):
        return x.tanh()

    def _inverse(self, y):
        return y.atanh()

    def log_abs_det_jacobian(self, x, y):
        """Return 2 (log 2 - x - log(1 + exp(-2 x)))."""
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class SoftplusTransform(_Increasing):
    """y = log(1 + exp(x))."""

    codomain = constraints.positive

    def _call(self, x):
        return softplus(x)

    def _inverse(self, y):
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x, y):
        """Return -log(1 + exp(-x))."""
        return -softplus(-x)


class AffineTransform(Transform):
    """y = loc + scale · x. Arguments: loc, scale (numbers or tensors), event_dim (of one event), cache_size."""

    bijective = True

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim

    def _arguments(self):
        return self.loc, self.scale, self.event_dim

    event_dim = property(lambda self: self._event_dim)

    @constraints.dependent_property(is_discrete=False)
    def codomain(self):
        """What results can be."""
        return constraints.independent(constraints.real, self.event_dim) if self.event_dim else constraints.real

    domain = codomain

    @property
    def sign(self):
        """1 where the transform increases, -1 where it decreases."""
        return self.scale.sign() if isinstance(self.scale, Tensor) else (self.scale > 0) - (self.scale < 0)

    def _call(self, x):
        return self.loc + self.scale * x

    def _inverse(self, y):
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x, y):
        """Return log |scale|, summed over an event."""
        scale = self.scale if isinstance(self.scale, Tensor) else x.new_full((), self.scale)
        return sum_last(scale.abs().log().expand(x.shape), self.event_dim)

    def __eq__(self, other):
        if not isinstance(other, AffineTransform):
            return False
        pairs = ((self.loc, other.loc), (self.scale, other.scale))
        return all(bool((a == b).all()) if isinstance(a == b, Tensor) else a == b for a, b in pairs)

    __hash__ = object.__hash__

    def forward_shape(self, shape):
        """Return the shape broadcast with those of loc and scale."""
        return FUNCTIONS["broadcast_shapes"](shape, *(getattr(each, "shape", ()) for each in (self.loc, self.scale)))

    inverse_shape = forward_shape


class PowerTransform(Transform):
    """y = x^exponent of positive x."""

    bijective = True
    domain = codomain = constraints.positive

    def __init__(self, exponent, cache_size=0):
        super().__init__(cache_size)
        (self.exponent,) = as_parameters(exponent)

    def _arguments(self):
        return (self.exponent,)

    sign = property(lambda self: self.exponent.sign())

    def _call(self, x):
        return x.pow(self.exponent)

    def _inverse(self, y):
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x, y):
        """Return log |exponent · y / x|."""
        return (self.exponent * y / x).abs().log()

    def __eq__(self, other):
        return isinstance(other, PowerTransform) and bool((self.exponent == other.exponent).all())

    __hash__ = object.__hash__

    def forward_shape(self, shape):
        """Return the shape broadcast with the exponent's."""
        return FUNCTIONS["broadcast_shapes"](shape, self.exponent.shape)

    inverse_shape = forward_shape


class AbsTransform(_Fixed):
    """y = |x|; the inverse takes the positive of two numbers."""

    domain, codomain = constraints.real, constraints.positive

    def _call(self, x):
        return x.abs()

    def _inverse(self, y):
        return y


class CumulativeDistributionTransform(Transform):
    """y = the probability that a distribution of numbers gives to values up to x. Arguments: distribution, cache_size.

    >>> import minigrad as mg
    >>> from minigrad.distributions import CumulativeDistributionTransform, Normal
    >>> CumulativeDistributionTransform(Normal(0.0, 1.0))(mg.tensor(0.0))
    tensor(0.5000)
    """

    bijective = True
    sign = 1
    codomain = constraints.unit_interval

    def __init__(self, distribution, cache_size=0):
        super().__init__(cache_size)
        self.distribution = distribution

    def _arguments(self):
        return (self.distribution,)

    domain = property(lambda self: self.distribution.support)

    def _call(self, x):
        return self.distribution.cdf(x)

    def _inverse(self, y):
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x, y):
        """Return the logarithm of the density at x."""
        return self.distribution.log_prob(x)


# ---------------------------------------------------------------------- vectors and matrices
class SoftmaxTransform(_Fixed):
    """y = exp(x) / Σ exp(x) along the last dimension; the inverse, log y, is one of many."""

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x):
        return x.softmax(-1)

    def _inverse(self, y):
        return y.log()

    def forward_shape(self, shape):
        """Return the shape; ValueError for none."""
        expect_dims(shape, 1)
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(_Fixed):
    """K real numbers as K + 1 shares of a whole: each takes the share sigmoid(x - log(numbers left)) of the rest.

    >>> import minigrad as mg
    >>> mg.distributions.StickBreakingTransform()(mg.zeros(3))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    bijective = True
    domain, codomain = constraints.real_vector, constraints.simplex

    @staticmethod
    def _left(x):
        """Return log K, …, log 1 for vectors of K numbers: of how many others each is one."""
        count = x.shape[-1]
        return FUNCTIONS["arange"](count, 0, -1, dtype=x.dtype, device=x.device).log()

    def _call(self, x):
        taken = _clipped_sigmoid(x - self._left(x))
        return pad(taken, (0, 1), value=1) * pad((1 - taken).cumprod(-1), (1, 0), value=1)

    def _inverse(self, y):
        shares = y[..., :-1]
        rest = (1 - shares.cumsum(-1)).clamp(min=float(float_limits(y.dtype).tiny))
        return shares.log() - rest.log() + self._left(shares)

    def log_abs_det_jacobian(self, x, y):
        """Return Σ log(1 - sigmoid) + log share, over all but the last."""
        return (logsigmoid(self._left(x) - x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape):
        """Return the shape with one more element."""
        expect_dims(shape, 1)
        return Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape):
        """Return the shape with one element less."""
        expect_dims(shape, 1)
        return Size((*shape[:-1], shape[-1] - 1))


class LowerCholeskyTransform(_Fixed):
    """The lower triangle of a matrix with the diagonal's exponentials."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def _call(self, x):
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y):
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(_Fixed):
    """L Lᵀ of the matrix L that LowerCholeskyTransform makes."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite

    def _call(self, x):
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y):
        return LowerCholeskyTransform().inv(FUNCTIONS["cholesky"](y))


class CorrCholeskyTransform(_Fixed):
    """D (D - 1) / 2 real numbers as the lower Cholesky factor of a D × D correlation matrix.

    Row by row, each number takes the share tanh(x)² of what is left of the row's length 1.
    Source: https://mc-stan.org/docs/reference-manual/transforms.html (Cholesky factors of correlation matrices)

    >>> import minigrad as mg
    >>> mg.distributions.CorrCholeskyTransform()(mg.zeros(1))
    tensor([[1., 0.],
            [0., 1.]])
    """

    bijective = True
    domain, codomain = constraints.real_vector, constraints.corr_cholesky

    def _call(self, x):
        shares = vec_to_tril_matrix(x.tanh().clamp(min=eps_of(x) - 1, max=1 - eps_of(x)), -1)  # (..., D, D)
        left = (1 - shares**2).sqrt().cumprod(-1)
        ones = FUNCTIONS["eye"](shares.shape[-1], dtype=x.dtype, device=x.device)
        return (shares + ones) * pad(left[..., :-1], (1, 0), value=1)

    def _inverse(self, y):
        left = pad((1 - (y * y).cumsum(-1))[..., :-1], (1, 0), value=1)
        return (tril_matrix_to_vec(y, -1) / tril_matrix_to_vec(left, -1).sqrt()).atanh()

    def log_abs_det_jacobian(self, x, y):
        """Return that of the entries below the diagonal."""
        left = tril_matrix_to_vec(1 - (y * y).cumsum(-1), -2)
        return 0.5 * left.log().sum(-1) + 2 * (math.log(2.0) - x - softplus(-2 * x)).sum(-1)

    def forward_shape(self, shape):
        """Return (…, D, D) of (…, D (D - 1) / 2); ValueError for other numbers of elements."""
        expect_dims(shape, 1)
        size = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if size * (size - 1) // 2 != shape[-1]:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return Size((*shape[:-1], size, size))

    def inverse_shape(self, shape):
        """Return (…, D (D - 1) / 2) of (…, D, D); ValueError for matrices that are not square."""
        expect_dims(shape, 2)
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return Size((*shape[:-2], shape[-1] * (shape[-1] - 1) // 2))
