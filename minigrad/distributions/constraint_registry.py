"""Transforms from real numbers to what a constraint allows.

Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.constraint_registry
"""

from minigrad.distributions import constraints, transforms

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """Maps constraints to transforms: call it with a constraint; NotImplementedError for an unknown kind.

    >>> from minigrad.distributions import biject_to, constraints
    >>> biject_to(constraints.unit_interval)
    SigmoidTransform()
    """

    def __init__(self):
        self._registry = {}
        super().__init__()

    def register(self, constraint, factory=None):
        """Set the function from a constraint to its transform, of a subclass or instance; without it a decorator."""
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        kind = type(constraint) if isinstance(constraint, constraints.Constraint) else constraint
        if not isinstance(kind, type) or not issubclass(kind, constraints.Constraint):
            raise TypeError(f"Expected constraint to be either a Constraint subclass or instance, but got {constraint}")
        self._registry[kind] = factory
        return factory

    def __call__(self, constraint):
        try:
            factory = self._registry[type(constraint)]
        except KeyError:
            raise NotImplementedError(
                f"Cannot transform {type(constraint).__name__} constraints; register() a function for them"
            ) from None
        return factory(constraint)


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _scaled(first, loc, scale):
    return transforms.ComposeTransform([first, transforms.AffineTransform(loc, scale)])


def _between(constraint):
    low, high, first = constraint.lower_bound, constraint.upper_bound, transforms.SigmoidTransform()
    numbers = isinstance(low, (int, float)) and isinstance(high, (int, float))
    return first if numbers and (low, high) == (0, 1) else _scaled(first, low, high - low)


def _fill(registry):
    """Register what both registries have."""

    def inner(parts):
        return [registry(each) for each in parts]

    for kind, factory in {
        constraints.real: lambda c: transforms.identity_transform,
        constraints.independent: lambda c: transforms.IndependentTransform(
            registry(c.base_constraint), c.reinterpreted_batch_ndims
        ),
        constraints.greater_than: lambda c: _scaled(transforms.ExpTransform(), c.lower_bound, 1),
        constraints.greater_than_eq: lambda c: _scaled(transforms.ExpTransform(), c.lower_bound, 1),
        constraints.less_than: lambda c: _scaled(transforms.ExpTransform(), c.upper_bound, -1),
        constraints.interval: _between,
        constraints.half_open_interval: _between,
        constraints.corr_cholesky: lambda c: transforms.CorrCholeskyTransform(),
        constraints.cat: lambda c: transforms.CatTransform(inner(c.cseq), c.dim, c.lengths),
        constraints.stack: lambda c: transforms.StackTransform(inner(c.cseq), c.dim),
    }.items():
        registry.register(kind, factory)


_fill(biject_to)
_fill(transform_to)
biject_to.register(constraints.simplex, lambda c: transforms.StickBreakingTransform())
transform_to.register(constraints.simplex, lambda c: transforms.SoftmaxTransform())
transform_to.register(constraints.lower_cholesky, lambda c: transforms.LowerCholeskyTransform())
for _kind in (constraints.positive_definite, constraints.positive_semidefinite):
    transform_to.register(_kind, lambda c: transforms.PositiveDefiniteTransform())
