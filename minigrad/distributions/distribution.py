"""What all distributions share."""

from minigrad.autograd import no_grad
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


class Distribution:
    """Base of all distributions: a batch of them, of shape batch_shape, each over events of shape event_shape.

    Arguments: batch_shape, event_shape, validate_args (ValueError for parameters and values outside their range).
    Source: https://docs.pytorch.org/docs/stable/distributions.html
    """

    has_rsample = False
    _validate_args = True

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args

    @property
    def batch_shape(self):
        """Shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self):
        """Shape of one sample of one distribution."""
        return self._event_shape

    @property
    def stddev(self):
        """Standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape=()):
        """Return samples of shape sample_shape + batch_shape + event_shape; no gradient flows through them."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """Return samples through which gradients flow to the parameters; NotImplementedError if there are none."""
        raise NotImplementedError(f"{type(self).__name__} has no samples that can be differentiated; use sample()")

    def log_prob(self, value):
        """Return the logarithm of the density, or probability, of a value."""
        raise NotImplementedError(f"{type(self).__name__}.log_prob")

    def entropy(self):
        """Return the entropy in nats."""
        raise NotImplementedError(f"{type(self).__name__}.entropy")

    def perplexity(self):
        """Return exp(entropy)."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape=()):
        return Size(tuple(sample_shape) + tuple(self._batch_shape) + tuple(self._event_shape))

    def _check_parameter(self, name, value, allowed, what):
        """ValueError unless ``allowed`` (a bool tensor) is true everywhere."""
        if self._validate_args and not allowed.all():
            raise ValueError(
                f"Expected parameter {name} (Tensor of shape {tuple(value.shape)}) of distribution "
                f"{type(self).__name__} to satisfy the constraint {what}, but found invalid values:\n{value}"
            )

    def _check_value(self, value, allowed, what):
        """ValueError for a value that is no tensor, or outside the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        if not allowed(value).all():
            raise ValueError(
                f"Expected value argument (Tensor of shape {tuple(value.shape)}) to be within the support ({what}) of "
                f"the distribution {type(self).__name__}, but found invalid values:\n{value}"
            )

    def __repr__(self):
        parts = []
        for name in self.arg_constraints:
            if name in self.__dict__:
                value = self.__dict__[name]
                parts.append(f"{name}: {value if value.numel() == 1 else value.size()}")
        return f"{type(self).__name__}({', '.join(parts)})"

    arg_constraints = {}


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

    def sample(self, sample_shape=()):
        """Return samples of the base distribution."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()):
        """Return samples of the base distribution through which gradients flow."""
        return self.base_dist.rsample(sample_shape)

    def summed(self, x):
        """Return x summed over the dimensions of an event."""
        for _ in range(self.reinterpreted_batch_ndims):
            x = x.sum(-1)
        return x

    def log_prob(self, value):
        """Return the sum of the base distribution's log-probabilities."""
        return self.summed(self.base_dist.log_prob(value))

    def entropy(self):
        """Return the sum of the base distribution's entropies."""
        return self.summed(self.base_dist.entropy())

    def __repr__(self):
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
