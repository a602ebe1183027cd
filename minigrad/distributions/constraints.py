"""What parameters and values of distributions may be.

Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.constraints
"""

from minigrad.backend import xp
from minigrad.registry import FUNCTIONS
from minigrad.tensor import wrap


class Constraint:
    """A region that ``check(value)`` tests element by element, or event by event of ``event_dim`` dimensions."""

    is_discrete = False

    def __init__(self, text, check, event_dim=0, is_discrete=False):
        self._text, self.check, self.event_dim, self.is_discrete = text, check, event_dim, is_discrete

    def __repr__(self):
        return self._text


def _is_number(x):
    return x == x


def _whole(x):
    return x % 1 == 0


def interval(lower_bound, upper_bound):
    """Numbers from lower_bound to upper_bound, both included."""
    text = f"Interval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(text, lambda x: (x >= lower_bound) & (x <= upper_bound))


def half_open_interval(lower_bound, upper_bound):
    """Numbers from lower_bound on and below upper_bound."""
    text = f"HalfOpenInterval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(text, lambda x: (x >= lower_bound) & (x < upper_bound))


def greater_than(lower_bound):
    """Numbers above lower_bound."""
    return Constraint(f"GreaterThan(lower_bound={lower_bound})", lambda x: x > lower_bound)


def greater_than_eq(lower_bound):
    """Numbers from lower_bound on."""
    return Constraint(f"GreaterThanEq(lower_bound={lower_bound})", lambda x: x >= lower_bound)


def less_than(upper_bound):
    """Numbers below upper_bound."""
    return Constraint(f"LessThan(upper_bound={upper_bound})", lambda x: x < upper_bound)


def integer_interval(lower_bound, upper_bound):
    """Integers from lower_bound to upper_bound, both included."""
    text = f"IntegerInterval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return Constraint(text, lambda x: _whole(x) & (x >= lower_bound) & (x <= upper_bound), is_discrete=True)


def independent(base_constraint, reinterpreted_batch_ndims):
    """Events all of whose elements are in the base constraint's region."""
    dims = reinterpreted_batch_ndims

    def check(x):
        inside = base_constraint.check(x)
        return inside.flatten(-dims).all(-1) if dims else inside

    text = f"IndependentConstraint({base_constraint}, {dims})"
    return Constraint(text, check, base_constraint.event_dim + dims, base_constraint.is_discrete)


def multinomial(upper_bound):
    """Vectors of counts that sum to at most upper_bound."""
    check = lambda x: ((x >= 0) & _whole(x)).all(-1) & (x.sum(-1) <= upper_bound)  # noqa: E731
    return Constraint("Multinomial()", check, 1, True)


def _is_lower_triangular(x):
    return (x == x.tril()).flatten(-2).all(-1)


def _is_positive_definite(x):
    symmetric = FUNCTIONS["isclose"](x, x.mT, atol=1e-6).flatten(-2).all(-1)
    if x.numel() == 0 or not symmetric.all():
        return symmetric
    return wrap(xp(x.array).linalg.eigvalsh(x.array)[..., 0] > 0)


real = Constraint("Real()", _is_number)
boolean = Constraint("Boolean()", lambda x: (x == 0) | (x == 1), is_discrete=True)
nonnegative_integer = Constraint("IntegerGreaterThan(lower_bound=0)", lambda x: _whole(x) & (x >= 0), is_discrete=True)
positive_integer = Constraint("IntegerGreaterThan(lower_bound=1)", lambda x: _whole(x) & (x >= 1), is_discrete=True)
positive, nonnegative, unit_interval = greater_than(0.0), greater_than_eq(0.0), interval(0.0, 1.0)
real_vector = independent(real, 1)
one_hot = Constraint("OneHot()", lambda x: (((x == 0) | (x == 1)).all(-1)) & (x.sum(-1) == 1), 1, True)
simplex = Constraint("Simplex()", lambda x: (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6), 1)
lower_triangular = Constraint("LowerTriangular()", _is_lower_triangular, 2)
lower_cholesky = Constraint(
    "LowerCholesky()", lambda x: _is_lower_triangular(x) & (x.diagonal(dim1=-2, dim2=-1) > 0).all(-1), 2
)
positive_definite = Constraint("PositiveDefinite()", _is_positive_definite, 2)
