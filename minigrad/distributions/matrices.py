"""Distributions over vectors and matrices that have covariance or correlation matrices."""

import math
import warnings

from minigrad.autograd import no_grad
from minigrad.backend import float_limits
from minigrad.distributions import constraints
from minigrad.distributions.continuous import Beta, standard_gamma
from minigrad.distributions.distribution import Distribution, as_parameters, eps_of, normal_like
from minigrad.distributions.exp_family import ExponentialFamily
from minigrad.ops.decomposition import solve
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Tensor


def _solve(matrix, columns):
    """Return matrix⁻¹ columns, with batches broadcast."""
    shape = FUNCTIONS["broadcast_shapes"](matrix.shape[:-2], columns.shape[:-2])
    return solve(matrix.expand((*shape, *matrix.shape[-2:])), columns.expand((*shape, *columns.shape[-2:])))


def _squares(matrix):
    return matrix.pow(2).flatten(-2).sum(-1)


class _WithCovariance(Distribution):
    """What is given by one of covariance_matrix, precision_matrix, scale_tril; ``_factor`` is scale_tril unexpanded."""

    arg_constraints = {
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    _error = ValueError

    def _the_given(self, covariance_matrix, precision_matrix, scale_tril):
        """Return the name and value of the one matrix that is given."""
        given = {
            "covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril,
        }  # fmt: skip
        given = [(name, matrix) for name, matrix in given.items() if matrix is not None]
        if len(given) != 1:
            raise self._error("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        return name, matrix

    def _factorize(self, name, matrix):
        if name == "precision_matrix":
            matrix = matrix.inverse()
        self._factor = matrix if name == "scale_tril" else FUNCTIONS["cholesky"](matrix)

    def __getattr__(self, name):
        """Compute the matrices that were not given when they are asked for."""
        if name not in ("covariance_matrix", "precision_matrix", "scale_tril") or "_factor" not in self.__dict__:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        factor = self._factor.expand((*self.batch_shape, *self._factor.shape[-2:]))
        if name == "scale_tril":
            return factor
        covariance = factor @ factor.mT
        return covariance if name == "covariance_matrix" else covariance.inverse()

    def expand(self, batch_shape, _instance=None):
        """Return the distribution with its batch expanded to a shape."""
        factor = self.__dict__.pop("_factor")  # a matrix, which broadcasts as it is
        try:
            new = super().expand(batch_shape)
        finally:
            self._factor = factor
        new._factor = factor
        return new

    def covariance_parts(self):
        """Return matrices whose products with their transposes sum to the covariance."""
        return [self._factor]

    def length2(self, columns):
        """Return the squared Mahalanobis lengths of matrices' columns, summed over the columns."""
        return _squares(_solve(self._factor, columns))

    def half_log_det(self):
        """Return half the logarithm of the covariance's determinant."""
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class MultivariateNormal(_WithCovariance):
    """Normal vectors: loc plus scale_tril times standard normal noise.

    Arguments: loc (…, N), and one of covariance_matrix, precision_matrix, scale_tril (…, N, N); validate_args.
    ValueError for none or several of them, too few dimensions, or matrices that are not positive definite.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#multivariatenormal

    >>> import minigrad as mg
    >>> mg.distributions.MultivariateNormal(mg.zeros(2), mg.eye(2)).log_prob(mg.zeros(2))
    tensor(-1.8379)
    """

    has_rsample = True
    arg_constraints = {"loc": constraints.real_vector, **_WithCovariance.arg_constraints}
    support = constraints.real_vector

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = self._the_given(covariance_matrix, precision_matrix, scale_tril)
        batch = FUNCTIONS["broadcast_shapes"](matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand((*batch, loc.shape[-1]))
        self.__dict__[name] = matrix.expand((*batch, *matrix.shape[-2:]))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        self._factorize(name, matrix)

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)
    variance = property(lambda self: (self._factor**2).sum(-1).expand(self._extended_shape()))

    def rsample(self, sample_shape=()):
        """Return loc + scale_tril times standard normal noise."""
        noise = normal_like(self.loc, self._extended_shape(sample_shape))
        return self.loc + (self._factor @ noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        distance = self.length2((value - self.loc).unsqueeze(-1))
        return -0.5 * (self.event_shape[0] * math.log(2 * math.pi) + distance) - self.half_log_det()

    def entropy(self):
        """Return half of N (1 + log 2π) + log det covariance."""
        entropy = 0.5 * self.event_shape[0] * (1.0 + math.log(2 * math.pi)) + self.half_log_det()
        return entropy.expand(self.batch_shape)


class LowRankMultivariateNormal(Distribution):
    """Normal vectors with the covariance W Wᵀ + diag(D), at a cost that grows with the columns of W.

    Arguments: loc (…, N), cov_factor (…, N, R) (W), cov_diag (…, N) (D, positive), validate_args. ValueError for shapes
    that do not fit.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#lowrankmultivariatenormal

    >>> import minigrad as mg
    >>> mg.distributions.LowRankMultivariateNormal(mg.zeros(2), mg.ones(2, 1), mg.ones(2)).variance
    tensor([2., 2.])
    """

    has_rsample = True
    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector

    def __init__(self, loc, cov_factor, cov_diag, validate_args=None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        if cov_factor.dim() < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        event = loc.shape[-1]
        if cov_factor.shape[-2] != event:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event} x m")
        if cov_diag.shape[-1:] != loc.shape[-1:]:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {tuple(loc.shape[-1:])}")
        shapes = loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1]
        try:
            batch = FUNCTIONS["broadcast_shapes"](*shapes)
        except RuntimeError as error:
            names = ", ".join(f"{n} {tuple(s)}" for n, s in zip(("loc", "cov_factor", "cov_diag"), shapes, strict=True))
            raise ValueError(f"Incompatible batch shapes: {names}") from error
        self.loc, self.cov_diag = loc.expand((*batch, event)), cov_diag.expand((*batch, event))
        self.cov_factor = cov_factor.expand((*batch, *cov_factor.shape[-2:]))
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)

    def _whitening(self):
        """Return the Cholesky factor C of I + Wᵀ D⁻¹ W, and C⁻¹ Wᵀ D⁻¹."""
        scaled = (self.cov_factor / self.cov_diag.unsqueeze(-1)).mT  # (…, R, N)
        size = scaled.shape[-2]
        eye = FUNCTIONS["eye"](size, dtype=scaled.dtype, device=scaled.device)
        factor = FUNCTIONS["cholesky"](eye + scaled @ self.cov_factor)
        return factor, _solve(factor, scaled)

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)
    variance = property(lambda self: self.cov_factor.pow(2).sum(-1) + self.cov_diag)
    covariance_matrix = property(lambda self: self.cov_factor @ self.cov_factor.mT + self.cov_diag.diag_embed())
    scale_tril = property(lambda self: FUNCTIONS["cholesky"](self.covariance_matrix))

    @property
    def precision_matrix(self):
        """The inverse of the covariance."""
        _, removed = self._whitening()
        return (1 / self.cov_diag).diag_embed() - removed.mT @ removed

    def covariance_parts(self):
        """Return matrices whose products with their transposes sum to the covariance."""
        return [self.cov_factor, self.cov_diag.sqrt().diag_embed()]

    def length2(self, columns):
        """Return the squared Mahalanobis lengths of matrices' columns, summed over the columns."""
        _, removed = self._whitening()
        return _squares(columns / self.cov_diag.sqrt().unsqueeze(-1)) - _squares(removed @ columns)

    def half_log_det(self):
        """Return half the logarithm of the covariance's determinant."""
        factor, _ = self._whitening()
        return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + 0.5 * self.cov_diag.log().sum(-1)

    def rsample(self, sample_shape=()):
        """Return loc + W times noise + √D times other noise."""
        shape = self._extended_shape(sample_shape)
        noise = normal_like(self.loc, (*shape[:-1], self.cov_factor.shape[-1], 1))
        spread = self.cov_diag.sqrt() * normal_like(self.loc, shape)
        return self.loc + (self.cov_factor @ noise).squeeze(-1) + spread

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        distance = self.length2((value - self.loc).unsqueeze(-1))
        return -0.5 * (self.event_shape[0] * math.log(2 * math.pi) + distance) - self.half_log_det()

    def entropy(self):
        """Return half of N (1 + log 2π) + log det covariance."""
        return 0.5 * self.event_shape[0] * (1.0 + math.log(2 * math.pi)) + self.half_log_det()


class LKJCholesky(Distribution):
    """Lower Cholesky factors of D × D correlation matrices, whose density is det^(concentration - 1).

    Arguments: dim (D, at least 2: ValueError otherwise), concentration (positive; 1 is uniform), validate_args.
    Source: Lewandowski, Kurowicka & Joe 2009, Generating random correlation matrices based on vines and extended onion
    method; https://docs.pytorch.org/docs/stable/distributions.html#lkjcholesky

    >>> import minigrad as mg
    >>> mg.distributions.LKJCholesky(2).log_prob(mg.eye(2)).exp()
    tensor(0.5000)
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = as_parameters(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)
        rows = (self._rows(dim) - 1).clamp(min=0) / 2  # (D,)
        marginal = self.concentration.unsqueeze(-1) + 0.5 * (dim - 2)
        self._beta = Beta(rows + 0.5, marginal - rows, validate_args=False)

    def _rows(self, count):
        return FUNCTIONS["arange"](count, dtype=self.concentration.dtype, device=self.concentration.device)

    def sample(self, sample_shape=()):
        """Return factors made row by row: a random direction times a random length, and the rest on the diagonal."""
        with no_grad():
            shape = self._extended_shape(sample_shape)
            length2 = self._beta.sample(sample_shape).unsqueeze(-1)  # (…, D, 1)
            noise = normal_like(self.concentration, shape).tril(-1)
            norm = noise.pow(2).sum(-1, keepdim=True).sqrt()
            rows = length2.sqrt() * noise / norm.masked_fill(norm == 0, 1.0)
            rest = (1 - rows.pow(2).sum(-1)).clamp(min=float(float_limits(rows.dtype).tiny))
            return rows + rest.sqrt().diag_embed()

    def log_prob(self, value):
        """Return the logarithm of the density of the factor's entries below the diagonal."""
        self._check_value(value)
        others = self.dim - 1
        order = 2 * (self.concentration - 1).unsqueeze(-1) + others - 1 - self._rows(others)  # of rows 2 … D
        found = (order * value.diagonal(dim1=-2, dim2=-1)[..., 1:].log()).sum(-1)
        alpha = self.concentration + 0.5 * others
        norm = 0.5 * others * math.log(math.pi) + FUNCTIONS["mvlgamma"](alpha - 0.5, others) - alpha.lgamma() * others
        return found - norm


class Wishart(_WithCovariance, ExponentialFamily):
    """X Xᵀ of N × df matrices X whose columns are normal with a covariance, for df that need not be whole.

    Arguments: df (above N - 1: ValueError otherwise), and one of covariance_matrix, precision_matrix, scale_tril
    (…, N, N) (AssertionError for none or several); validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#wishart

    >>> import minigrad as mg
    >>> mg.distributions.Wishart(mg.tensor(3.0), mg.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    has_rsample = True
    support = constraints.positive_definite
    _error = AssertionError
    _mean_carrier_measure = 0

    def __init__(self, df, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        name, matrix = self._the_given(covariance_matrix, precision_matrix, scale_tril)
        if not isinstance(df, Tensor):
            df = matrix.new_full((), df)
        batch, size = FUNCTIONS["broadcast_shapes"](matrix.shape[:-2], df.shape), matrix.shape[-1]
        if (df <= size - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {size - 1}.")
        if (df < size).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        self.df = df.expand(batch)
        self.__dict__[name] = matrix.expand((*batch, *matrix.shape[-2:]))
        super().__init__(batch, matrix.shape[-2:], validate_args=validate_args)
        self._factorize(name, matrix)

    @property
    def arg_constraints(self):
        """What the parameters may be."""
        return {**_WithCovariance.arg_constraints, "df": constraints.greater_than(self.event_shape[-1] - 1)}

    def _by(self, x):
        """Return numbers of the batch as matrices of one element."""
        return x.unsqueeze(-1).unsqueeze(-1)

    mean = property(lambda self: self._by(self.df) * self.covariance_matrix)

    @property
    def mode(self):
        """The likeliest matrices; NaN for df up to N + 1."""
        factor = self.df - self.event_shape[0] - 1
        return self._by(factor.masked_fill(factor <= 0, math.nan)) * self.covariance_matrix

    @property
    def variance(self):
        """Variance of each entry."""
        covariance = self.covariance_matrix
        spread = covariance.diagonal(dim1=-2, dim2=-1)
        return self._by(self.df) * (covariance.pow(2) + spread.unsqueeze(-1) * spread.unsqueeze(-2))

    def _bartlett(self, shape):
        """Return L A Aᵀ Lᵀ of lower triangular A: roots of Chi2(df - i) on the diagonal, normal numbers below."""
        size = shape[-1]
        rows = FUNCTIONS["arange"](size, dtype=self.df.dtype, device=self.df.device)
        diagonal = (2 * standard_gamma((self.df.unsqueeze(-1) - rows) / 2, shape[:-1])).sqrt()
        diagonal = diagonal.clamp(min=eps_of(diagonal))
        factor = self._factor @ (normal_like(self.df, shape).tril(-1) + diagonal.diag_embed())
        return factor @ factor.mT

    def rsample(self, sample_shape=(), max_try_correction=None):
        """Return samples through which gradients flow.

        Singular ones are drawn again, up to max_try_correction (10) times, with a warning.
        """
        shape = self._extended_shape(sample_shape)
        found = self._bartlett(shape)
        for attempt in range(10 if max_try_correction is None else max_try_correction):
            good = constraints.smallest_eigenvalue(found.detach()) > 0
            if good.all():
                break
            if attempt == 0:
                warnings.warn("Singular sample detected.", stacklevel=2)
            found = FUNCTIONS["where"](self._by(good), found, self._bartlett(shape))
        return found

    def log_prob(self, value):
        """Return the logarithm of the density."""
        self._check_value(value)
        df, size = self.df, self.event_shape[0]
        trace = _solve(self._factor @ self._factor.mT, value).diagonal(dim1=-2, dim2=-1).sum(-1)
        determinant = (df - size - 1) / 2 * FUNCTIONS["slogdet"](value)[1]
        return determinant - df * self._half_log_det2() - FUNCTIONS["mvlgamma"](df / 2, size) - trace / 2

    def _half_log_det2(self):
        """Return half the logarithm of the determinant of twice the covariance."""
        return self.event_shape[0] * math.log(2) / 2 + self.half_log_det()

    def entropy(self):
        """Return the entropy."""
        df, size = self.df, self.event_shape[0]
        digammas = (df.unsqueeze(-1) / 2 - FUNCTIONS["arange"](size, device=df.device) / 2).digamma().sum(-1)
        norm = (size + 1) * self._half_log_det2() + FUNCTIONS["mvlgamma"](df / 2, size)
        return norm - (df - size - 1) / 2 * digammas + df * size / 2

    @property
    def _natural_params(self):
        return -self.precision_matrix / 2, (self.df - self.event_shape[0] - 1) / 2

    def _log_normalizer(self, x, y):
        size = self.event_shape[0]
        half = y + (size + 1) / 2
        return half * (size * math.log(2) - FUNCTIONS["slogdet"](-2 * x)[1]) + FUNCTIONS["mvlgamma"](half, size)
