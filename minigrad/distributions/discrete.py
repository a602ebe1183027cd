"""Distributions over indices, truth values and counts."""

from minigrad.autograd import enable_grad, no_grad
from minigrad.backend import float_limits
from minigrad.distributions import constraints
from minigrad.distributions.continuous import Gamma
from minigrad.distributions.distribution import Distribution, as_parameters, inner, uniform_like
from minigrad.distributions.exp_family import ExponentialFamily
from minigrad.nn.functional import binary_cross_entropy_with_logits, logsigmoid, one_hot
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Size

_NAN = float("nan")


class ProbsOrLogits(Distribution):
    """A distribution given by probabilities or their logarithms: either is computed from the other when asked for."""

    @staticmethod
    def _check_one(probs, logits):
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")

    def __getattr__(self, name):
        known = self.__dict__
        if name == "probs" and "logits" in known:
            with enable_grad():  # what is kept is read again where gradients are wanted
                known[name] = self._to_probs(known["logits"])
        elif name == "logits" and "probs" in known:
            with enable_grad():
                known[name] = self._to_logits(known["probs"])
        else:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return known[name]

    _param = property(lambda self: self.__dict__["probs"] if "probs" in self.__dict__ else self.logits)
    param_shape = property(lambda self: self._param.shape)


class Odds(ProbsOrLogits):
    """Parameters of one probability each: logits are log odds."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}

    def _set_odds(self, probs, logits, *others):
        """Store probs or logits, broadcast with other parameters, and return those."""
        self._check_one(probs, logits)
        given, *others = as_parameters(logits if probs is None else probs, *others)
        self.__dict__["logits" if probs is None else "probs"] = given
        return given, others

    @staticmethod
    def _to_probs(logits):
        return logits.sigmoid()

    @staticmethod
    def _to_logits(probs):
        probs = inner(probs)
        return probs.log() - (-probs).log1p()


class Shares(ProbsOrLogits):
    """Parameters of K probabilities that sum to 1: logits are their logarithms."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def _set_shares(self, probs, logits):
        """Store probs or logits, normalised."""
        self._check_one(probs, logits)
        given = logits if probs is None else probs
        if given.dim() < 1:
            raise ValueError(f"`{'logits' if probs is None else 'probs'}` parameter must be at least one-dimensional.")
        if probs is not None:
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        return given.shape

    @staticmethod
    def _to_probs(logits):
        return logits.softmax(-1)

    @staticmethod
    def _to_logits(probs):
        return inner(probs).log()


class Categorical(Shares):
    """Chooses an index 0 … K - 1 with given probabilities.

    Arguments: probs (…, K) (not negative, made to sum to 1) or logits (…, K) (any log-probabilities, normalised);
    validate_args. ValueError for both, neither, or values that are not probabilities.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#categorical

    >>> import minigrad as mg
    >>> from minigrad.distributions import Categorical
    >>> Categorical(mg.tensor([1.0, 3.0])).log_prob(mg.tensor(1))
    tensor(-0.2877)
    """

    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        shape = self._set_shares(probs, logits)
        self._num_events = shape[-1]
        super().__init__(shape[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self):
        """What values can be."""
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mode(self):
        """The likeliest index."""
        return self.probs.argmax(-1)

    @property
    def mean(self):
        """NaN: indices have no mean."""
        return self.probs.new_full(self.batch_shape, _NAN)

    variance = mean

    def sample(self, sample_shape=()):
        """Return random indices of shape sample_shape + batch_shape."""
        count = Size(sample_shape).numel()
        rows = self.probs.detach().reshape(-1, self._num_events)
        return FUNCTIONS["multinomial"](rows, count, True).T.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value):
        """Return the logarithm of the probability of the indices."""
        self._check_value(value)
        value, logits = FUNCTIONS["broadcast_tensors"](value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self):
        """Return -Σ p log p."""
        return -(self.logits.clamp(min=float(float_limits(self.logits.dtype).min)) * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        """Return 0 … K - 1."""
        return self._enumerated(FUNCTIONS["arange"](self._num_events, device=self._param.device), expand)


class Bernoulli(Odds, ExponentialFamily):
    """1 with probability probs, else 0.

    Arguments: probs (in [0, 1]) or logits (log odds), numbers or tensors; validate_args. ValueError otherwise.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#bernoulli

    >>> import minigrad as mg
    >>> from minigrad.distributions import Bernoulli
    >>> Bernoulli(mg.tensor([0.25])).log_prob(mg.tensor([1.0]))
    tensor([-1.3863])
    """

    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        given, _ = self._set_odds(probs, logits)
        super().__init__(given.shape, validate_args=validate_args)

    mean = property(lambda self: self.probs)
    variance = property(lambda self: self.probs * (1 - self.probs))

    @property
    def mode(self):
        """The likelier value; NaN where both are."""
        return (self.probs >= 0.5).to(self.probs.dtype).masked_fill(self.probs == 0.5, _NAN)

    def sample(self, sample_shape=()):
        """Return random zeros and ones of shape sample_shape + batch_shape."""
        with no_grad():
            return FUNCTIONS["bernoulli"](self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        """Return the logarithm of the probability of a value of 0 or 1."""
        self._check_value(value)
        logits, value = FUNCTIONS["broadcast_tensors"](self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self):
        """Return -p log p - (1 - p) log(1 - p)."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand=True):
        """Return 0 and 1."""
        given = self.__dict__.get("probs", self.__dict__.get("logits"))
        return self._enumerated(FUNCTIONS["arange"](2, dtype=given.dtype, device=given.device), expand)


class Geometric(Odds):
    """How many failures there are before the first success of probability probs.

    Arguments: probs (in (0, 1]) or logits, validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#geometric

    >>> import minigrad as mg
    >>> mg.distributions.Geometric(0.25).mean
    tensor(3.)
    """

    support = constraints.nonnegative_integer

    def __init__(self, probs=None, logits=None, validate_args=None):
        given, _ = self._set_odds(probs, logits)
        super().__init__(given.shape, validate_args=validate_args)
        if self._validate_args and probs is not None and not (self.probs > 0).all():
            raise ValueError(f"Expected parameter probs of distribution Geometric to be positive, but found {probs}")

    mean = property(lambda self: 1 / self.probs - 1)
    mode = property(lambda self: FUNCTIONS["zeros_like"](self.probs))
    variance = property(lambda self: (1 / self.probs - 1) / self.probs)

    def sample(self, sample_shape=()):
        """Return random counts."""
        with no_grad():
            drawn = uniform_like(self.probs, self._extended_shape(sample_shape))
            return (drawn.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value):
        """Return value · log(1 - p) + log p."""
        self._check_value(value)
        value, probs = FUNCTIONS["broadcast_tensors"](value, self.probs)
        return value * (-probs.masked_fill((probs == 1) & (value == 0), 0)).log1p() + self.probs.log()

    def entropy(self):
        """Return the entropy of one trial over p."""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Poisson(ExponentialFamily):
    """Counts of mean rate. Argument: rate (not negative), validate_args.

    Source: https://docs.pytorch.org/docs/stable/distributions.html#poisson

    >>> import minigrad as mg
    >>> mg.distributions.Poisson(2.0).log_prob(mg.tensor(0.0))
    tensor(-2.)
    """

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate, validate_args=None):
        (self.rate,) = as_parameters(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    mean = property(lambda self: self.rate)
    variance = property(lambda self: self.rate)
    mode = property(lambda self: self.rate.floor())

    def sample(self, sample_shape=()):
        """Return random counts."""
        with no_grad():
            return FUNCTIONS["poisson"](self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        """Return value · log(rate) - rate - log(value!)."""
        self._check_value(value)
        rate, value = FUNCTIONS["broadcast_tensors"](self.rate, value)
        return value.xlogy(rate) - rate - (value + 1).lgamma()


class Binomial(Odds):
    """How many of total_count trials of probability probs succeed.

    Arguments: total_count (number or tensor), probs or logits, validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#binomial

    >>> import minigrad as mg
    >>> mg.distributions.Binomial(4, mg.tensor(0.5)).log_prob(mg.tensor(2.0)).exp()
    tensor(0.3750)
    """

    arg_constraints = {"total_count": constraints.nonnegative_integer, **Odds.arg_constraints}
    has_enumerate_support = True

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        given, (count,) = self._set_odds(probs, logits, total_count)
        self.total_count = count.type_as(given)
        super().__init__(given.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self):
        """What values can be."""
        return constraints.integer_interval(0, self.total_count)

    mean = property(lambda self: self.total_count * self.probs)
    variance = property(lambda self: self.total_count * self.probs * (1 - self.probs))

    @property
    def mode(self):
        """The likeliest count."""
        return FUNCTIONS["minimum"](((self.total_count + 1) * self.probs).floor(), self.total_count)

    def sample(self, sample_shape=()):
        """Return random counts."""
        with no_grad():
            shape = self._extended_shape(sample_shape)
            return FUNCTIONS["binomial"](self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value):
        """Return the logarithm of the binomial coefficient times pᵏ (1 - p)ⁿ⁻ᵏ."""
        self._check_value(value)
        count, logits = self.total_count, self.logits
        ways = (count + 1).lgamma() - (value + 1).lgamma() - (count - value + 1).lgamma()
        return ways + value * logits + count * logsigmoid(-logits)

    def entropy(self):
        """Return the entropy; NotImplementedError where total_count differs within the batch."""
        if not (self.total_count == self.total_count.max()).all():
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand=True):
        """Return 0 … total_count."""
        top = int(self.total_count.max())
        if int(self.total_count.min()) != top:
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        count = self.total_count
        return self._enumerated(FUNCTIONS["arange"](top + 1, dtype=count.dtype, device=count.device), expand)


class NegativeBinomial(Odds):
    """How many successes of probability probs there are before total_count failures.

    Arguments: total_count (positive), probs (below 1) or logits, validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#negativebinomial

    >>> import minigrad as mg
    >>> mg.distributions.NegativeBinomial(3, mg.tensor(0.5)).mean
    tensor(3.)
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        given, (count,) = self._set_odds(probs, logits, total_count)
        self.total_count = count.type_as(given)
        super().__init__(given.shape, validate_args=validate_args)

    mean = property(lambda self: self.total_count * self.logits.exp())
    mode = property(lambda self: ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0))
    variance = property(lambda self: self.mean / (-self.logits).sigmoid())

    def sample(self, sample_shape=()):
        """Return random counts: of Poisson, with rates of Gamma."""
        with no_grad():
            rate = Gamma(self.total_count, (-self.logits).exp(), validate_args=False).sample(sample_shape)
            return FUNCTIONS["poisson"](rate)

    def log_prob(self, value):
        """Return the logarithm of the probability of a count."""
        self._check_value(value)
        count = self.total_count
        chance = count * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        ways = (count + value).lgamma() - (value + 1).lgamma() - count.lgamma()
        return chance + ways.masked_fill(count + value == 0, 0.0)


class _Chosen(Shares):
    """What distributions over vectors of K counts share: a Categorical that chooses which one to count."""

    def __init__(self, probs=None, logits=None, validate_args=None):
        shape = self._set_shares(probs, logits)
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)
        name = "logits" if probs is None else "probs"
        self._categorical = Categorical(**{name: self.__dict__[name]}, validate_args=False)


class OneHotCategorical(_Chosen):
    """A vector of K elements, of which one, chosen with the given probabilities, is 1 and the others are 0.

    Arguments: probs (…, K) or logits (…, K), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#onehotcategorical

    >>> import minigrad as mg
    >>> mg.distributions.OneHotCategorical(mg.tensor([1.0, 3.0])).log_prob(mg.tensor([0.0, 1.0]))
    tensor(-0.2877)
    """

    support = constraints.one_hot
    has_enumerate_support = True
    mean = property(lambda self: self.probs)
    variance = property(lambda self: self.probs * (1 - self.probs))

    @property
    def mode(self):
        """The likeliest vector."""
        return one_hot(self.probs.argmax(-1), self.event_shape[0]).type_as(self.probs)

    def sample(self, sample_shape=()):
        """Return random vectors."""
        return one_hot(self._categorical.sample(sample_shape), self.event_shape[0]).type_as(self.probs)

    def log_prob(self, value):
        """Return the logarithm of the probability of the element that is 1."""
        self._check_value(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self):
        """Return -Σ p log p."""
        return self._categorical.entropy()

    def enumerate_support(self, expand=True):
        """Return the K unit vectors."""
        count = self.event_shape[0]
        values = FUNCTIONS["eye"](count, dtype=self.probs.dtype, device=self.probs.device)
        values = values.reshape((count,) + (1,) * len(self.batch_shape) + (count,))
        return values.expand((count, *self.batch_shape, count)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """OneHotCategorical whose samples pass gradients on to probs as if they were these (Bengio et al. 2013)."""

    has_rsample = True

    def rsample(self, sample_shape=()):
        """Return random vectors through which gradients flow."""
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class Multinomial(_Chosen):
    """How often each of K indices is chosen in total_count draws.

    Arguments: total_count (int, else NotImplementedError), probs (…, K) or logits (…, K), validate_args.
    Source: https://docs.pytorch.org/docs/stable/distributions.html#multinomial

    >>> import minigrad as mg
    >>> mg.distributions.Multinomial(6, mg.ones(3)).mean
    tensor([2., 2., 2.])
    """

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        super().__init__(probs, logits, validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self):
        """What values can be."""
        return constraints.multinomial(self.total_count)

    mean = property(lambda self: self.probs * self.total_count)
    variance = property(lambda self: self.total_count * self.probs * (1 - self.probs))

    def sample(self, sample_shape=()):
        """Return random counts."""
        draws = self._categorical.sample((self.total_count, *sample_shape))
        return one_hot(draws, self.event_shape[0]).sum(0).type_as(self.probs)

    def log_prob(self, value):
        """Return the logarithm of the number of orders times that of the product of probabilities."""
        self._check_value(value)
        logits, value = FUNCTIONS["broadcast_tensors"](self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == -float("inf")), 0)
        return (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1) + (logits * value).sum(-1)

    def entropy(self):
        """Return the entropy of the counts."""
        count = self.probs.new_full((), self.total_count)
        single = Binomial(self.total_count, self.probs, validate_args=False)
        values = single.enumerate_support(False)[1:]
        spread = (single.log_prob(values).exp() * (values + 1).lgamma()).sum((0, -1))
        return count * self._categorical.entropy() - (count + 1).lgamma() + spread
