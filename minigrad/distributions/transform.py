"""What all transforms share, and transforms made of others.

Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.transforms
"""

import functools
import math

from minigrad.distributions import constraints
from minigrad.distributions.distribution import sum_last
from minigrad.registry import FUNCTIONS
from minigrad.tensor import Size


class Transform:
    """A function of random values: ``t(x)``, ``t.inv(y)``, ``t.log_abs_det_jacobian(x, y)``.

    Argument: cache_size: 0, or 1 for keeping the last x and y, so that ``t.inv(t(x)) is x``; ValueError for others.
    """

    bijective = False
    domain: constraints.Constraint
    codomain: constraints.Constraint

    def __init__(self, cache_size=0):
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size, self._cached, self._inv = cache_size, (None, None), None
        super().__init__()

    def __getstate__(self):
        return {**self.__dict__, "_inv": None}

    @property
    def event_dim(self):
        """Dimensions of one event; ValueError where results have others."""
        if self.domain.event_dim != self.codomain.event_dim:
            raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")
        return self.domain.event_dim

    @property
    def inv(self):
        """The inverse transform."""
        if self._inv is None:
            self._inv = _InverseTransform(self)
        return self._inv

    @property
    def sign(self):
        """1 for increasing functions, -1 for decreasing ones; NotImplementedError for others."""
        raise NotImplementedError(f"{type(self).__name__} has no sign")

    def _arguments(self):
        """Return what makes a transform like this one, but for cache_size."""
        if type(self).__init__ is Transform.__init__:
            return ()
        raise NotImplementedError(f"{type(self)}.with_cache is not implemented")

    def with_cache(self, cache_size=1):
        """Return the transform with another cache_size."""
        return self if self._cache_size == cache_size else type(self)(*self._arguments(), cache_size=cache_size)

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__

    def __call__(self, x):
        if self._cache_size == 0:
            return self._call(x)
        if x is not self._cached[0]:
            self._cached = x, self._call(x)
        return self._cached[1]

    def _inv_call(self, y):
        if self._cache_size == 0:
            return self._inverse(y)
        if y is not self._cached[1]:
            self._cached = self._inverse(y), y
        return self._cached[0]

    def _call(self, x):
        raise NotImplementedError(f"{type(self).__name__}._call")

    def _inverse(self, y):
        raise NotImplementedError(f"{type(self).__name__}._inverse")

    def log_abs_det_jacobian(self, x, y):
        """Return log |det dy/dx| per event."""
        raise NotImplementedError(f"{type(self).__name__}.log_abs_det_jacobian")

    def forward_shape(self, shape):
        """Return the shape of results for the shape of arguments."""
        return shape

    def inverse_shape(self, shape):
        """Return the shape of arguments for the shape of results."""
        return shape

    def __repr__(self):
        return f"{type(self).__name__}()"


def _ends(make):
    """Return the properties domain and codomain, which are make(transform, "domain") and so on."""
    return [constraints.dependent_property(functools.partial(make, name=name)) for name in ("domain", "codomain")]


class _InverseTransform(Transform):
    """A transform read backwards."""

    def __init__(self, transform):
        super().__init__(transform._cache_size)
        self._inv = transform

    def __getstate__(self):
        return self.__dict__

    bijective = property(lambda self: self._inv.bijective)
    domain = constraints.dependent_property(lambda self: self._inv.codomain)
    codomain = constraints.dependent_property(lambda self: self._inv.domain)
    sign = property(lambda self: self._inv.sign)

    def with_cache(self, cache_size=1):
        """Return the inverse of the transform with another cache_size."""
        return self._inv.with_cache(cache_size).inv

    def __call__(self, x):
        return self._inv._inv_call(x)

    def _inv_call(self, y):
        return self._inv(y)

    def log_abs_det_jacobian(self, x, y):
        """Return minus that of the transform."""
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape):
        """Return the shape of the transform's arguments."""
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape):
        """Return the shape of the transform's results."""
        return self._inv.forward_shape(shape)

    def __eq__(self, other):
        return isinstance(other, _InverseTransform) and self._inv == other._inv

    __hash__ = object.__hash__

    def __repr__(self):
        return f"{type(self).__name__}({self._inv!r})"


class ComposeTransform(Transform):
    """Several transforms, the first one first. Arguments: parts (a list), cache_size.

    >>> import minigrad as mg
    >>> from minigrad.distributions import AffineTransform, ComposeTransform, ExpTransform
    >>> ComposeTransform([AffineTransform(1.0, 2.0), ExpTransform()]).inv(mg.tensor(1.0))
    tensor(-0.5000)
    """

    def __init__(self, parts, cache_size=0):
        super().__init__(cache_size)
        self.parts = [part.with_cache(cache_size) for part in parts] if cache_size else list(parts)

    bijective = property(lambda self: all(part.bijective for part in self.parts))
    sign = property(lambda self: math.prod(part.sign for part in self.parts))

    def _arguments(self):
        return (self.parts,)

    def _widened(self, parts, name, other):
        """Return the constraint of the first part, independent over the dimensions that others make one event."""
        if not parts:
            return constraints.real
        found = getattr(parts[0], name)
        dims = getattr(parts[-1], other).event_dim
        for part in reversed(parts):
            own = getattr(part, name).event_dim
            dims = max(dims + own - getattr(part, other).event_dim, own)
        return constraints.independent(found, dims - found.event_dim) if dims > found.event_dim else found

    domain = constraints.dependent_property(lambda self: self._widened(self.parts, "domain", "codomain"))
    codomain = constraints.dependent_property(lambda self: self._widened(self.parts[::-1], "codomain", "domain"))

    @property
    def inv(self):
        """The inverses, the last one first."""
        if self._inv is None:
            self._inv = ComposeTransform([part.inv for part in reversed(self.parts)])
            self._inv._inv = self
        return self._inv

    def __call__(self, x):  # the parts keep what is to be kept
        for part in self.parts:
            x = part(x)
        return x

    def log_abs_det_jacobian(self, x, y):
        """Return the sum of those of the transforms."""
        if not self.parts:
            return FUNCTIONS["zeros_like"](x)
        values = [x]
        for part in self.parts[:-1]:
            values.append(part(values[-1]))
        total, dims = 0.0, self.domain.event_dim
        for part, before, after in zip(self.parts, values, [*values[1:], y], strict=True):
            total = total + sum_last(part.log_abs_det_jacobian(before, after), dims - part.domain.event_dim)
            dims += part.codomain.event_dim - part.domain.event_dim
        return total

    def forward_shape(self, shape):
        """Return the shape after all parts."""
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape):
        """Return the shape before all parts."""
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __eq__(self, other):
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    __hash__ = object.__hash__

    def __repr__(self):
        parts = ",\n    ".join(map(repr, self.parts))
        return f"{type(self).__name__}(\n    {parts}\n)"


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform whose last dimensions are one event: the logarithms of the stretching are summed over them.

    Arguments: base_transform, reinterpreted_batch_ndims (how many dimensions), cache_size.
    """

    def __init__(self, base_transform, reinterpreted_batch_ndims, cache_size=0):
        super().__init__(cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    def _arguments(self):
        return self.base_transform, self.reinterpreted_batch_ndims

    bijective = property(lambda self: self.base_transform.bijective)
    sign = property(lambda self: self.base_transform.sign)
    domain, codomain = _ends(
        lambda self, name: constraints.independent(getattr(self.base_transform, name), self.reinterpreted_batch_ndims)
    )

    def _call(self, x):
        expect_dims(x.shape, self.domain.event_dim)
        return self.base_transform(x)

    def _inverse(self, y):
        expect_dims(y.shape, self.codomain.event_dim)
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x, y):
        """Return the base transform's, summed over an event."""
        return sum_last(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def forward_shape(self, shape):
        """Return the base transform's shape."""
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape):
        """Return the base transform's shape."""
        return self.base_transform.inverse_shape(shape)

    def __repr__(self):
        return f"IndependentTransform({self.base_transform!r}, {self.reinterpreted_batch_ndims})"


def expect_dims(shape, dims):
    """ValueError for a shape of fewer dimensions."""
    if len(shape) < dims:
        raise ValueError("Too few dimensions on input")


class ReshapeTransform(Transform):
    """Events of one shape as events of another one.

    Arguments: in_shape, out_shape (of as many elements: ValueError otherwise), cache_size.
    """

    bijective = True

    def __init__(self, in_shape, out_shape, cache_size=0):
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise ValueError("in_shape, out_shape have different numbers of elements")
        super().__init__(cache_size)

    def _arguments(self):
        return self.in_shape, self.out_shape

    domain, codomain = _ends(
        lambda self, name: constraints.independent(
            constraints.real, len(self.in_shape if name == "domain" else self.out_shape)
        )
    )

    @staticmethod
    def _changed(shape, before, after):
        expect_dims(shape, len(before))
        cut = len(shape) - len(before)
        if tuple(shape[cut:]) != tuple(before):
            raise ValueError(f"Shape mismatch: expected {tuple(before)} but got {tuple(shape[cut:])}")
        return Size((*shape[:cut], *after))

    def forward_shape(self, shape):
        """Return the shape with out_shape instead of in_shape; ValueError if it does not end in that."""
        return self._changed(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape):
        """Return the shape with in_shape instead of out_shape; ValueError if it does not end in that."""
        return self._changed(shape, self.out_shape, self.in_shape)

    def _call(self, x):
        return x.reshape((*x.shape[: x.dim() - len(self.in_shape)], *self.out_shape))

    def _inverse(self, y):
        return y.reshape((*y.shape[: y.dim() - len(self.out_shape)], *self.in_shape))

    def log_abs_det_jacobian(self, x, y):
        """Return zeros."""
        return x.new_zeros(x.shape[: x.dim() - len(self.in_shape)])


class CatTransform(Transform):
    """Transforms of slices, of the given lengths (1 each by default), along a dimension.

    Arguments: tseq (transforms), dim, lengths, cache_size. AssertionError where they do not fit each other or a value.

    >>> import minigrad as mg
    >>> from minigrad.distributions import CatTransform, ExpTransform, identity_transform
    >>> CatTransform([ExpTransform(), identity_transform], lengths=[1, 2])(mg.zeros(3))
    tensor([1., 0., 0.])
    """

    def __init__(self, tseq, dim=0, lengths=None, cache_size=0):
        self._start(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(f"there are {len(self.lengths)} lengths of {len(self.transforms)} transforms")

    def _start(self, tseq, dim, cache_size):
        if not all(isinstance(each, Transform) for each in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        Transform.__init__(self, cache_size)
        self.transforms, self.dim = [each.with_cache(cache_size) if cache_size else each for each in tseq], dim

    def _arguments(self):
        return self.transforms, self.dim, self.lengths

    bijective = property(lambda self: all(each.bijective for each in self.transforms))
    event_dim = property(lambda self: max(each.event_dim for each in self.transforms))
    length = property(lambda self: sum(self.lengths))
    domain, codomain = _ends(lambda self, name: self._constraint([getattr(each, name) for each in self.transforms]))

    def _constraint(self, parts):
        return constraints.cat(parts, self.dim, self.lengths)

    def _join(self, parts):
        return FUNCTIONS["cat"](parts, self.dim)

    def _parts(self, value):
        return FUNCTIONS["split"](value, self.lengths, self.dim)

    def _split(self, *values):
        """Yield each transform with its parts of the values; AssertionError where a value has others."""
        for value in values:
            if not -value.dim() <= self.dim < value.dim() or value.shape[self.dim] != self.length:
                raise AssertionError(f"dimension {self.dim} of {tuple(value.shape)} must have {self.length} elements")
        return zip(self.transforms, *map(self._parts, values), strict=True)

    def _call(self, x):
        return self._join([each(part) for each, part in self._split(x)])

    def _inverse(self, y):
        return self._join([each.inv(part) for each, part in self._split(y)])

    def log_abs_det_jacobian(self, x, y):
        """Return those of the slices side by side, or their sum where the dimension is one of an event."""
        parts = []
        for each, before, after in self._split(x, y):
            parts.append(sum_last(each.log_abs_det_jacobian(before, after), self.event_dim - each.event_dim))
        dim = (self.dim - x.dim() if self.dim >= 0 else self.dim) + self.event_dim
        return FUNCTIONS["cat"](parts, dim) if dim < 0 else sum(parts)


class StackTransform(CatTransform):
    """Transforms of the elements along a dimension. Arguments: tseq (transforms), dim, cache_size."""

    event_dim = Transform.event_dim

    def __init__(self, tseq, dim=0, cache_size=0):
        self._start(tseq, dim, cache_size)

    def _arguments(self):
        return self.transforms, self.dim

    length = property(lambda self: len(self.transforms))

    def _constraint(self, parts):
        return constraints.stack(parts, self.dim)

    def _join(self, parts):
        return FUNCTIONS["stack"](parts, self.dim)

    def _parts(self, value):
        return value.unbind(self.dim)

    def log_abs_det_jacobian(self, x, y):
        """Return those of the elements, stacked."""
        return self._join([each.log_abs_det_jacobian(*parts) for each, *parts in self._split(x, y)])
