"""What parameters and values of distributions may be.

Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.constraints
"""

from minigrad.backend import float_limits, xp
from minigrad.registry import FUNCTIONS
from minigrad.tensor import wrap

__all__ = (
    "Constraint boolean cat corr_cholesky dependent dependent_property greater_than greater_than_eq independent "
    "integer_interval interval half_open_interval is_dependent less_than lower_cholesky lower_triangular "
    "MixtureSameFamilyConstraint multinomial nonnegative nonnegative_integer one_hot positive positive_semidefinite "
    "positive_definite positive_integer real real_vector simplex square stack symmetric unit_interval"
).split()


class Constraint:
    """A region that ``check(value)`` tests element by element, or event by event of ``event_dim`` dimensions."""

    is_discrete = False
    event_dim = 0

    def check(self, value):
        """Return a bool tensor: which elements, or events, of the value lie in the region."""
        raise NotImplementedError(f"{type(self).__name__}.check")

    def __repr__(self):
        return type(self).__name__[1:] + "()"


class _Dependent(Constraint):
    """A region that depends on other values, so that nothing can be checked. Arguments: is_discrete, event_dim."""

    def __init__(self, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        self._is_discrete, self._event_dim = is_discrete, event_dim
        super().__init__()

    def _known(self, name):
        found = getattr(self, "_" + name)
        if found is NotImplemented:
            raise NotImplementedError(f".{name} cannot be determined statically")
        return found

    is_discrete = property(lambda self: self._known("is_discrete"))
    event_dim = property(lambda self: self._known("event_dim"))

    def __call__(self, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        """Return the region with what is known of it."""
        known = {"is_discrete": is_discrete, "event_dim": event_dim}
        known = {name: getattr(self, "_" + name) if v is NotImplemented else v for name, v in known.items()}
        return _Dependent(**known)

    def check(self, x):
        """ValueError: nobody can tell."""
        raise ValueError("Cannot determine validity of dependent constraint")


class dependent_property(property, _Dependent):  # noqa: N801 - PyTorch's name
    """A property whose value is a constraint, and on the class a dependent one."""

    def __init__(self, fn=None, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        super().__init__(fn)
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def __call__(self, fn):
        """Return the property of a function, as a decorator with arguments does."""
        return dependent_property(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


def is_dependent(constraint):
    """Whether a constraint depends on other values."""
    return isinstance(constraint, _Dependent)


def _whole(x):
    return x % 1 == 0


class _Limited(Constraint):
    """Numbers on one side of limits, or between them, which are attributes."""

    _limits = ("lower_bound",)

    def __init__(self, *limits, **named):
        if len(limits) + len(named) != len(self._limits) or not set(named) <= set(self._limits[len(limits) :]):
            raise TypeError(f"{type(self).__name__[1:]} takes {', '.join(self._limits)}")
        self.__dict__.update(zip(self._limits, limits, strict=False), **named)
        super().__init__()

    def __repr__(self):
        limits = ", ".join(f"{name}={getattr(self, name)}" for name in self._limits)
        return f"{type(self).__name__[1:]}({limits})"


class _GreaterThan(_Limited):
    """Numbers above lower_bound."""

    check = lambda self, x: self.lower_bound < x  # noqa: E731


class _GreaterThanEq(_Limited):
    """Numbers from lower_bound on."""

    check = lambda self, x: self.lower_bound <= x  # noqa: E731


class _IntegerGreaterThan(_Limited):
    """Integers from lower_bound on."""

    is_discrete = True
    check = lambda self, x: _whole(x) & (x >= self.lower_bound)  # noqa: E731


class _LessThan(_Limited):
    """Numbers below upper_bound."""

    _limits = ("upper_bound",)
    check = lambda self, x: x < self.upper_bound  # noqa: E731


class _Interval(_Limited):
    """Numbers from lower_bound to upper_bound, both included."""

    _limits = ("lower_bound", "upper_bound")
    check = lambda self, x: (self.lower_bound <= x) & (x <= self.upper_bound)  # noqa: E731


class _HalfOpenInterval(_Interval):
    """Numbers from lower_bound on and below upper_bound."""

    check = lambda self, x: (self.lower_bound <= x) & (x < self.upper_bound)  # noqa: E731


class _IntegerInterval(_Interval):
    """Integers from lower_bound to upper_bound, both included."""

    is_discrete = True
    check = lambda self, x: _whole(x) & (x >= self.lower_bound) & (x <= self.upper_bound)  # noqa: E731


class _Real(Constraint):
    check = lambda self, x: x == x  # noqa: E731


class _Boolean(Constraint):
    is_discrete = True
    check = lambda self, x: (x == 0) | (x == 1)  # noqa: E731


class _OneHot(Constraint):
    is_discrete = True
    event_dim = 1
    check = lambda self, x: (((x == 0) | (x == 1)).all(-1)) & (x.sum(-1) == 1)  # noqa: E731


class _Simplex(Constraint):
    event_dim = 1
    check = lambda self, x: (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6)  # noqa: E731


class _Multinomial(Constraint):
    """Vectors of counts that sum to at most upper_bound."""

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    check = lambda self, x: (x >= 0).all(-1) & (x.sum(-1) <= self.upper_bound)  # noqa: E731


class _IndependentConstraint(Constraint):
    """Events all of whose elements are in the base constraint's region."""

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims

    is_discrete = property(lambda self: self.base_constraint.is_discrete)
    event_dim = property(lambda self: self.base_constraint.event_dim + self.reinterpreted_batch_ndims)

    def check(self, x):
        """Return which events have all their elements inside; ValueError for too few dimensions."""
        inside, dims = self.base_constraint.check(x), self.reinterpreted_batch_ndims
        if inside.dim() < dims:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {x.dim()}")
        return inside.flatten(-dims).all(-1) if dims else inside

    def __repr__(self):
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """Values inside the region of every component, whose dimension is in front of an event's."""

    def __init__(self, base_constraint):
        self.base_constraint = base_constraint

    is_discrete = property(lambda self: self.base_constraint.is_discrete)
    event_dim = property(lambda self: self.base_constraint.event_dim)

    def check(self, value):
        """Return which values all components allow; ValueError for too few dimensions."""
        if value.dim() < self.event_dim:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.dim()}")
        inside = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return inside.reshape((*inside.shape[: value.dim() - self.event_dim], -1)).all(-1)

    def __repr__(self):
        return f"MixtureSameFamilyConstraint({self.base_constraint!r})"


class _Square(Constraint):
    event_dim = 2

    def check(self, x):
        """Return whether the matrices are square."""
        return FUNCTIONS["full"](x.shape[:-2], x.shape[-2] == x.shape[-1], device=x.device)


class _Symmetric(_Square):
    def check(self, x):
        """Return which matrices are symmetric up to 1e-6."""
        square = super().check(x)
        return FUNCTIONS["isclose"](x, x.mT, atol=1e-6).flatten(-2).all(-1) if square.all() else square


def smallest_eigenvalue(x):
    """Return the smallest eigenvalue of each symmetric matrix."""
    module = xp(x.array)
    return wrap(module.asarray(module.linalg.eigvalsh(x.array)[..., 0]))


class _PositiveSemidefinite(_Symmetric):
    _enough = staticmethod(lambda smallest: smallest >= 0)

    def check(self, x):
        """Return which matrices are symmetric and have no eigenvalue too small."""
        symmetric = super().check(x)
        if x.numel() == 0 or not symmetric.all():
            return symmetric
        return self._enough(smallest_eigenvalue(x))


class _PositiveDefinite(_PositiveSemidefinite):
    _enough = staticmethod(lambda smallest: smallest > 0)


class _LowerTriangular(Constraint):
    event_dim = 2
    check = lambda self, x: (x == x.tril()).flatten(-2).all(-1)  # noqa: E731


class _LowerCholesky(_LowerTriangular):
    def check(self, x):
        """Return which matrices are lower triangular with a positive diagonal."""
        return super().check(x) & (x.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _CorrCholesky(_LowerCholesky):
    def check(self, x):
        """Return which are such matrices with rows of length 1."""
        allowed = float(float_limits(x.dtype).eps) * x.size(-1) * 10
        return super().check(x) & ((x.pow(2).sum(-1).sqrt() - 1).abs() <= allowed).all(-1)


class _Cat(Constraint):
    """Constraints of slices, of the given lengths (1 each by default), along a dimension."""

    def __init__(self, cseq, dim=0, lengths=None):
        self.cseq, self.dim = list(cseq), dim
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if not all(isinstance(each, Constraint) for each in self.cseq) or len(self.lengths) != len(self.cseq):
            raise AssertionError("cat takes constraints and as many lengths")

    is_discrete = property(lambda self: any(each.is_discrete for each in self.cseq))
    event_dim = property(lambda self: max(each.event_dim for each in self.cseq))

    def check(self, value):
        """Return what the constraints say of their slices, side by side."""
        parts = FUNCTIONS["split"](value, self.lengths, self.dim)
        return FUNCTIONS["cat"]([each.check(part) for each, part in zip(self.cseq, parts, strict=True)], self.dim)


class _Stack(Constraint):
    """Constraints of the elements along a dimension."""

    def __init__(self, cseq, dim=0):
        self.cseq, self.dim = list(cseq), dim
        if not all(isinstance(each, Constraint) for each in self.cseq):
            raise AssertionError("stack takes constraints")

    is_discrete = property(lambda self: any(each.is_discrete for each in self.cseq))

    @property
    def event_dim(self):
        """Dimensions of an event: one more where the stacked one is among them."""
        dims = max(each.event_dim for each in self.cseq)
        return dims + (self.dim + dims < 0)

    def check(self, value):
        """Return what the constraints say of their elements, stacked."""
        parts = value.unbind(self.dim)
        return FUNCTIONS["stack"]([each.check(part) for each, part in zip(self.cseq, parts, strict=True)], self.dim)


dependent = _Dependent()
interval, half_open_interval, integer_interval = _Interval, _HalfOpenInterval, _IntegerInterval
greater_than, greater_than_eq, less_than = _GreaterThan, _GreaterThanEq, _LessThan
independent, multinomial, cat, stack = _IndependentConstraint, _Multinomial, _Cat, _Stack
real, boolean, one_hot, simplex = _Real(), _Boolean(), _OneHot(), _Simplex()
nonnegative_integer, positive_integer = _IntegerGreaterThan(0), _IntegerGreaterThan(1)
positive, nonnegative, unit_interval = greater_than(0.0), greater_than_eq(0.0), interval(0.0, 1.0)
real_vector = independent(real, 1)
lower_triangular, lower_cholesky, corr_cholesky = _LowerTriangular(), _LowerCholesky(), _CorrCholesky()
square, symmetric = _Square(), _Symmetric()
positive_semidefinite, positive_definite = _PositiveSemidefinite(), _PositiveDefinite()
