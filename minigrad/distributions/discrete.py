"""Distributions over finitely many values."""

from minigrad.autograd import no_grad
from minigrad.backend import float_limits
from minigrad.distributions.distribution import Distribution, as_parameters
from minigrad.nn.functional import binary_cross_entropy_with_logits
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Size


def _check_one(probs, logits):
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def _inner(x):
    """Return probabilities kept off 0 and 1, so that their logarithms are finite."""
    eps = float(float_limits(x.dtype).eps)
    return x.clamp(eps, 1 - eps)


class Categorical(Distribution):
    """Chooses an index 0 … K - 1 with given probabilities.

    Arguments: probs (…, K) (not negative, made to sum to 1) or logits (…, K) (any log-probabilities, normalised);
    validate_args. ValueError for both, neither, or values that are not probabilities.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#categorical

    >>> import minigrad as mg
    >>> from minigrad.distributions import Categorical
    >>> Categorical(mg.tensor([1.0, 3.0])).log_prob(mg.tensor(1))
    tensor(-0.2877)
    """

    arg_constraints = {"probs": "Simplex()", "logits": "IndependentConstraint(Real(), 1)"}

    def __init__(self, probs=None, logits=None, validate_args=None):
        _check_one(probs, logits)
        given = logits if probs is None else probs
        if given.dim() < 1:
            raise ValueError(f"`{'logits' if probs is None else 'probs'}` parameter must be at least one-dimensional.")
        super().__init__(given.shape[:-1], validate_args=validate_args)
        self._num_events = given.shape[-1]
        if probs is not None:
            valid = (probs >= 0).all() & (probs.sum(-1) > 0).all()
            self._check_parameter("probs", probs, valid, self.arg_constraints["probs"])
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            self._check_parameter("logits", logits, logits == logits, self.arg_constraints["logits"])
            self.logits = logits - logits.logsumexp(-1, keepdim=True)

    def __getattr__(self, name):
        """Compute probs from logits, or logits from probs, when first asked for."""
        if name == "probs" and "logits" in self.__dict__:
            self.probs = self.logits.softmax(-1)
            return self.probs
        if name == "logits" and "probs" in self.__dict__:
            self.logits = _inner(self.probs).log()
            return self.logits
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    @property
    def param_shape(self):
        """Shape of probs and logits."""
        return Size((*self.batch_shape, self._num_events))

    @property
    def mode(self):
        """The likeliest index."""
        return self.probs.argmax(-1)

    @property
    def mean(self):
        """NaN: indices have no mean."""
        return self.probs.new_full(self.batch_shape, float("nan"))

    variance = mean

    def sample(self, sample_shape=()):
        """Return random indices of shape sample_shape + batch_shape."""
        count = Size(sample_shape).numel()
        rows = self.probs.detach().reshape(-1, self._num_events)
        return FUNCTIONS["multinomial"](rows, count, True).T.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value):
        """Return the logarithm of the probability of the indices."""
        if self._validate_args:
            top = self._num_events - 1
            inside = lambda x: (x >= 0) & (x <= top) & (x == x.floor() if x.is_floating_point() else True)  # noqa: E731
            self._check_value(value, inside, f"IntegerInterval(lower_bound=0, upper_bound={top})")
        value, logits = FUNCTIONS["broadcast_tensors"](value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self):
        """Return -Σ p log p."""
        return -(self.logits.clamp(min=float(float_limits(self.logits.dtype).min)) * self.probs).sum(-1)


class Bernoulli(Distribution):
    """1 with probability probs, else 0.

    Arguments: probs (in [0, 1]) or logits (log odds), numbers or tensors; validate_args. ValueError otherwise.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#bernoulli

    >>> import minigrad as mg
    >>> from minigrad.distributions import Bernoulli
    >>> Bernoulli(mg.tensor([0.25])).log_prob(mg.tensor([1.0]))
    tensor([-1.3863])
    """

    arg_constraints = {"probs": "Interval(lower_bound=0.0, upper_bound=1.0)", "logits": "Real()"}

    def __init__(self, probs=None, logits=None, validate_args=None):
        _check_one(probs, logits)
        (given,) = as_parameters(logits if probs is None else probs)
        super().__init__(given.shape, validate_args=validate_args)
        if probs is not None:
            self._check_parameter("probs", given, (given >= 0) & (given <= 1), self.arg_constraints["probs"])
            self.probs = given
        else:
            self._check_parameter("logits", given, given == given, self.arg_constraints["logits"])
            self.logits = given

    def __getattr__(self, name):
        """Compute probs from logits, or logits from probs, when first asked for."""
        if name == "probs" and "logits" in self.__dict__:
            self.probs = self.logits.sigmoid()
            return self.probs
        if name == "logits" and "probs" in self.__dict__:
            inner = _inner(self.probs)
            self.logits = inner.log() - (-inner).log1p()
            return self.logits
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    mean = property(lambda self: self.probs)
    variance = property(lambda self: self.probs * (1 - self.probs))

    def sample(self, sample_shape=()):
        """Return random zeros and ones of shape sample_shape + batch_shape."""
        with no_grad():
            return FUNCTIONS["bernoulli"](self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        """Return the logarithm of the probability of a value of 0 or 1."""
        if self._validate_args:
            self._check_value(value, lambda x: (x == 0) | (x == 1), "Boolean()")
        logits, value = FUNCTIONS["broadcast_tensors"](self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self):
        """Return -p log p - (1 - p) log(1 - p)."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
