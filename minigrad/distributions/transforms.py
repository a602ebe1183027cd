"""Functions of random numbers whose densities are known: transforms, and the distributions they make.

Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.transforms
"""

import math

from minigrad.autograd import no_grad
from minigrad.distributions import constraints
from minigrad.distributions.distribution import Distribution, as_parameters, sum_last
from minigrad.distributions.normal import Normal
from minigrad.nn.functional import softplus
from minigrad.tensor import Tensor


class Transform:
    """An invertible function of each number: ``t(x)``, ``t.inv(y)``, ``t.log_abs_det_jacobian(x, y)``."""

    bijective = True
    event_dim = 0
    sign = 1
    domain = codomain = constraints.real

    def __init__(self, cache_size=0):
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        # Values are not kept: what is computed again from y is x up to rounding.

    def __call__(self, x):
        return self._call(x)

    @property
    def inv(self):
        """The inverse transform."""
        return _Inverse(self)

    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = object.__hash__

    def __repr__(self):
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """A transform read backwards."""

    def __init__(self, transform):
        self._inv = transform

    inv = property(lambda self: self._inv)
    domain = property(lambda self: self._inv.codomain)
    codomain = property(lambda self: self._inv.domain)
    sign = property(lambda self: self._inv.sign)
    event_dim = property(lambda self: self._inv.event_dim)

    def _call(self, x):
        return self._inv._inverse(x)

    def _inverse(self, y):
        return self._inv(y)

    def log_abs_det_jacobian(self, x, y):
        """Return minus that of the transform."""
        return -self._inv.log_abs_det_jacobian(y, x)

    def __eq__(self, other):
        return isinstance(other, _Inverse) and self._inv == other._inv

    __hash__ = object.__hash__

    def __repr__(self):
        return f"_InverseTransform({self._inv!r})"


class ExpTransform(Transform):
    """y = exp(x)."""

    codomain = constraints.positive

    def _call(self, x):
        return x.exp()

    def _inverse(self, y):
        return y.log()

    def log_abs_det_jacobian(self, x, y):
        """Return x."""
        return x


class SigmoidTransform(Transform):
    """y = 1 / (1 + exp(-x))."""

    codomain = constraints.unit_interval

    def _call(self, x):
        tiny = 1e-38 if x.dtype.itemsize >= 4 else 6e-8
        return x.sigmoid().clamp(min=tiny, max=1 - 2.0 ** (-53 if x.dtype.itemsize == 8 else -24))

    def _inverse(self, y):
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x, y):
        """Return -log(1 + exp(-x)) - log(1 + exp(x))."""
        return -softplus(-x) - softplus(x)


class TanhTransform(Transform):
    """y = tanh(x)."""

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x):
        return x.tanh()

    def _inverse(self, y):
        return y.atanh()

    def log_abs_det_jacobian(self, x, y):
        """Return 2 (log 2 - x - log(1 + exp(-2 x)))."""
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class SoftplusTransform(Transform):
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
    """y = loc + scale · x. Arguments: loc, scale (numbers or tensors), event_dim (dimensions of one event)."""

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim

    @property
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


class PowerTransform(Transform):
    """y = x^exponent of positive x."""

    domain = codomain = constraints.positive

    def __init__(self, exponent, cache_size=0):
        super().__init__(cache_size)
        (self.exponent,) = as_parameters(exponent)

    sign = property(lambda self: self.exponent.sign())

    def _call(self, x):
        return x.pow(self.exponent)

    def _inverse(self, y):
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x, y):
        """Return log |exponent · y / x|."""
        return (self.exponent * y / x).abs().log()


class ComposeTransform(Transform):
    """Several transforms, the first one first."""

    def __init__(self, parts, cache_size=0):
        super().__init__(cache_size)
        self.parts = list(parts)

    event_dim = property(lambda self: max((part.event_dim for part in self.parts), default=0))
    domain = property(lambda self: self.parts[0].domain if self.parts else constraints.real)
    codomain = property(lambda self: self.parts[-1].codomain if self.parts else constraints.real)

    @property
    def sign(self):
        """The product of the signs."""
        return math.prod(part.sign for part in self.parts)

    def _call(self, x):
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y):
        for part in reversed(self.parts):
            y = part.inv(y)
        return y

    def log_abs_det_jacobian(self, x, y):
        """Return the sum of those of the transforms."""
        total = 0.0
        for part in self.parts:
            y = part(x)
            total = total + sum_last(part.log_abs_det_jacobian(x, y), self.event_dim - part.event_dim)
            x = y
        return total

    def __eq__(self, other):
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    __hash__ = object.__hash__

    def __repr__(self):
        return f"ComposeTransform({self.parts})"


class TransformedDistribution(Distribution):
    """The distribution of transforms of another one's values.

    Arguments: base_distribution, transforms (one or a list, the first one first), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#transformeddistribution

    >>> import minigrad as mg
    >>> from minigrad.distributions import Normal, TransformedDistribution, transforms
    >>> made = TransformedDistribution(Normal(0.0, 1.0), [transforms.AffineTransform(1.0, 2.0)])
    >>> made.log_prob(mg.tensor(1.0)) == Normal(1.0, 2.0).log_prob(mg.tensor(1.0))
    tensor(True)
    """

    def __init__(self, base_distribution, transforms, validate_args=None):
        self.transforms = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(self.transforms, list) or not all(isinstance(t, Transform) for t in self.transforms):
            raise ValueError(f"transforms must be a Transform or list of Transforms, but was {transforms}")
        self.base_dist = base_distribution
        batch, event = tuple(base_distribution.batch_shape), tuple(base_distribution.event_shape)
        taken = max([0, *(t.event_dim for t in self.transforms)]) - len(event)
        if taken > 0:
            batch, event = batch[: len(batch) - taken], batch[len(batch) - taken :] + event
        super().__init__(batch, event, validate_args)

    has_rsample = property(lambda self: self.base_dist.has_rsample)

    @property
    def support(self):
        """What values can be."""
        if not self.transforms:
            return self.base_dist.support
        last = self.transforms[-1].codomain
        return constraints.independent(last, len(self.event_shape) - last.event_dim)

    def _transformed(self, x):
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape=()):
        """Return transforms of the base distribution's samples."""
        with no_grad():
            return self._transformed(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()):
        """Return transforms of the base distribution's samples through which gradients flow."""
        return self._transformed(self.base_dist.rsample(sample_shape))

    def log_prob(self, value):
        """Return the base's log-density where the value comes from, minus the logarithms of the stretching."""
        self._check_value(value)
        events, total = len(self.event_shape), 0.0
        for transform in reversed(self.transforms):
            before = transform.inv(value)
            stretch = transform.log_abs_det_jacobian(before, value)
            total = total - sum_last(stretch, events - transform.event_dim)
            value = before
        return total + sum_last(self.base_dist.log_prob(value), events - len(self.base_dist.event_shape))

    def _falls(self, share):
        """Return 1 - share where the transforms decrease, else share."""
        sign = math.prod(transform.sign for transform in self.transforms)
        return share if isinstance(sign, int) and sign == 1 else sign * (share - 0.5) + 0.5

    def cdf(self, value):
        """Return the probability of being at most value."""
        self._check_value(value)
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return self._falls(self.base_dist.cdf(value))

    def icdf(self, value):
        """Return the value that is not exceeded with the given probability."""
        return self._transformed(self.base_dist.icdf(self._falls(value)))

    def __repr__(self):
        return f"{type(self).__name__}()"


class LogNormal(TransformedDistribution):
    """exp(x) of a normal x. Arguments: loc, scale (of x, positive), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#lognormal

    >>> import minigrad as mg
    >>> mg.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc, scale, validate_args=None):
        super().__init__(Normal(loc, scale, validate_args), ExpTransform(), validate_args)

    loc = property(lambda self: self.base_dist.loc)
    scale = property(lambda self: self.base_dist.scale)
    mean = property(lambda self: (self.loc + self.scale**2 / 2).exp())
    mode = property(lambda self: (self.loc - self.scale**2).exp())
    variance = property(lambda self: (self.scale**2).expm1() * (2 * self.loc + self.scale**2).exp())

    def entropy(self):
        """Return the normal entropy plus loc."""
        return self.base_dist.entropy() + self.loc
