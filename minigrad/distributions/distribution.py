"""What all distributions share."""

import warnings

from minigrad.autograd import no_grad
from minigrad.backend import float_limits
from minigrad.distributions import constraints
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Size, Tensor


def as_parameters(*values):
    """Return numbers and tensors as tensors broadcast to one shape."""
    like = next((value for value in values if isinstance(value, Tensor)), None)
    tensors = []
    for value in values:
        if not isinstance(value, (Tensor, int, float)):
            raise ValueError("Input arguments must all be instances of Number or Tensor.")
        if not isinstance(value, Tensor):
            value = FUNCTIONS["tensor"](float(value)) if like is None else like.new_full((), value)
        tensors.append(value)
    return FUNCTIONS["broadcast_tensors"](*tensors)


def eps_of(x):
    """Return the distance from 1 to the next number of a tensor's dtype."""
    return float(float_limits(x.dtype).eps)


def inner(x):
    """Return probabilities kept off 0 and 1, so that their logarithms are finite."""
    return x.clamp(eps_of(x), 1 - eps_of(x))


def uniform_like(x, shape):
    """Return uniform numbers strictly between 0 and 1 of x's dtype and device."""
    return FUNCTIONS["rand"](shape, dtype=x.dtype, device=x.device).clamp(min=float(float_limits(x.dtype).tiny))


def normal_like(x, shape):
    """Return standard normal numbers of x's dtype and device."""
    return FUNCTIONS["randn"](shape, dtype=x.dtype, device=x.device)


def sum_last(x, dims):
    """Return x summed over its last dimensions."""
    return x.flatten(-dims).sum(-1) if dims else x


class Distribution:
    """Base of all distributions: a batch of them, of shape batch_shape, each over events of shape event_shape.

    Arguments: batch_shape, event_shape, validate_args (ValueError for parameters and values outside their range).
    Source: https://docs.pytorch.org/docs/stable/distributions.html
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = True
    arg_constraints = {}

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            for name, constraint in self.arg_constraints.items():
                value = self.__dict__.get(name)
                if constraints.is_dependent(constraint):
                    continue
                if isinstance(value, Tensor) and not constraint.check(value.detach()).all():
                    raise ValueError(
                        f"Expected parameter {name} (Tensor of shape {tuple(value.shape)}) of distribution "
                        f"{self!r} to satisfy the constraint {constraint}, but found invalid "
                        f"values:\n{value}"
                    )

    @staticmethod
    def set_default_validate_args(value):
        """Set whether distributions made from now on check parameters and values."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args takes True or False, but got {value!r}")
        Distribution._validate_args = value

    @property
    def batch_shape(self):
        """Shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self):
        """Shape of one sample of one distribution."""
        return self._event_shape

    def _unknown(self, name):
        raise NotImplementedError(f"{type(self).__name__} does not implement {name}")

    support = property(lambda self: self._unknown("support"))
    mean = property(lambda self: self._unknown("mean"))
    mode = property(lambda self: self._unknown("mode"))
    variance = property(lambda self: self._unknown("variance"))

    @property
    def stddev(self):
        """Standard deviation."""
        return self.variance.sqrt()

    def expand(self, batch_shape, _instance=None):
        """Return the distribution with its batch expanded to a shape."""
        batch_shape = Size(batch_shape)
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        for name, value in self.__dict__.items():
            if isinstance(value, Distribution):
                new.__dict__[name] = self._expand_inner(value, batch_shape)
            elif isinstance(value, Tensor):
                kept = self.arg_constraints[name].event_dim if name in self.arg_constraints else 0
                event = tuple(value.shape)[value.dim() - kept :]
                if name != "temperature":
                    new.__dict__[name] = value.expand((*batch_shape, *event))
        new._batch_shape = batch_shape
        return new

    def _expand_inner(self, distribution, batch_shape):
        """Return a distribution that this one is made of for another batch shape."""
        return distribution.expand((*batch_shape, *distribution.batch_shape[len(self.batch_shape) :]))

    def sample(self, sample_shape=()):
        """Return samples of shape sample_shape + batch_shape + event_shape; no gradient flows through them."""
        with no_grad():
            return self.rsample(sample_shape)

    def sample_n(self, n):
        """Return n samples; deprecated by sample((n,))."""
        warnings.warn("sample_n will be deprecated. Use .sample((n,)) instead", UserWarning, stacklevel=2)
        return self.sample(Size((n,)))

    def rsample(self, sample_shape=()):
        """Return samples through which gradients flow to the parameters; NotImplementedError if there are none."""
        raise NotImplementedError(f"{type(self).__name__} has no samples that can be differentiated; use sample()")

    def log_prob(self, value):
        """Return the logarithm of the density, or probability, of a value."""
        raise NotImplementedError(f"{type(self).__name__}.log_prob")

    def cdf(self, value):
        """Return the probability of being at most value."""
        raise NotImplementedError(f"{type(self).__name__}.cdf")

    def icdf(self, value):
        """Return the value that is not exceeded with the given probability."""
        raise NotImplementedError(f"{type(self).__name__}.icdf")

    def entropy(self):
        """Return the entropy in nats."""
        raise NotImplementedError(f"{type(self).__name__}.entropy")

    def enumerate_support(self, expand=True):
        """Return all values a discrete distribution can have, along a first dimension."""
        raise NotImplementedError(f"{type(self).__name__}.enumerate_support")

    def perplexity(self):
        """Return exp(entropy)."""
        return self.entropy().exp()

    def _enumerated(self, values, expand):
        """Return values along a first dimension in front of the batch's."""
        values = values.reshape((-1,) + (1,) * len(self.batch_shape))
        return values.expand((-1, *self.batch_shape)) if expand else values

    def _extended_shape(self, sample_shape=()):
        return Size(tuple(sample_shape) + tuple(self._batch_shape) + tuple(self._event_shape))

    def _check_value(self, value):
        if self._validate_args:
            self._validate_sample(value)

    # These two have PyTorch's names, as subclasses elsewhere call them.
    def _get_checked_instance(self, cls, _instance=None):
        """Return an object of the class to fill in expand(); NotImplementedError where a subclass must have its own."""
        if _instance is None and type(self).__init__ is not cls.__init__:
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ method must also "
                "define a custom .expand() method."
            )
        return object.__new__(type(self)) if _instance is None else _instance

    def _validate_sample(self, value):
        """ValueError for a value that is no tensor, has another shape, or lies outside the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        events = len(self._event_shape)
        if tuple(value.shape[value.dim() - events :]) != tuple(self._event_shape):
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.size()} vs {self._event_shape}."
            )
        expected = (*self._batch_shape, *self._event_shape)
        for given, own in zip(reversed(value.shape), reversed(expected), strict=False):
            if given != own and 1 not in (given, own):
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{tuple(value.shape)} vs {tuple(expected)}."
                )
        if not self.support.check(value.detach()).all():
            raise ValueError(
                f"Expected value argument (Tensor of shape {tuple(value.shape)}) to be within the support "
                f"({self.support}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self):
        parts = []
        for name in self.arg_constraints:
            if name in self.__dict__:
                value = self.__dict__[name]
                parts.append(f"{name}: {value if value.numel() == 1 else value.size()}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Independent(Distribution):
    """The last dimensions of a batch of distributions taken as one event: their log-probabilities are summed.

    Arguments: base_distribution, reinterpreted_batch_ndims (how many dimensions), validate_args.

    >>> import minigrad as mg
    >>> from minigrad.distributions import Independent, Normal
    >>> Independent(Normal(mg.zeros(3), mg.ones(3)), 1).log_prob(mg.zeros(3))
    tensor(-2.7568)
    """

    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None):
        batch = base_distribution.batch_shape
        if reinterpreted_batch_ndims > len(batch):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual "
                f"{reinterpreted_batch_ndims} vs {len(batch)}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        keep = len(batch) - reinterpreted_batch_ndims
        super().__init__(batch[:keep], tuple(batch[keep:]) + tuple(base_distribution.event_shape), validate_args)

    has_rsample = property(lambda self: self.base_dist.has_rsample)
    mean = property(lambda self: self.base_dist.mean)
    mode = property(lambda self: self.base_dist.mode)
    variance = property(lambda self: self.base_dist.variance)

    @constraints.dependent_property
    def support(self):
        """What values can be."""
        support = self.base_dist.support
        dims = self.reinterpreted_batch_ndims
        return constraints.independent(support, dims) if dims else support

    def sample(self, sample_shape=()):
        """Return samples of the base distribution."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()):
        """Return samples of the base distribution through which gradients flow."""
        return self.base_dist.rsample(sample_shape)

    has_enumerate_support = property(
        lambda self: self.reinterpreted_batch_ndims == 0 and self.base_dist.has_enumerate_support
    )

    def enumerate_support(self, expand=True):
        """Return the base distribution's values; NotImplementedError for events of several."""
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand)

    def summed(self, x):
        """Return x summed over the dimensions of an event."""
        return sum_last(x, self.reinterpreted_batch_ndims)

    def log_prob(self, value):
        """Return the sum of the base distribution's log-probabilities."""
        return self.summed(self.base_dist.log_prob(value))

    def entropy(self):
        """Return the sum of the base distribution's entropies."""
        return self.summed(self.base_dist.entropy())

    def __repr__(self):
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
