"""Transforms, constraints and their registries beside PyTorch's."""

import copy
import functools
import itertools
import pickle

import numpy as np
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")
LIBRARIES = ((torch, torch.distributions), (mg, mg.distributions))
VECTOR, MATRIX = [0.3, -0.5, 1.2], [[0.5, -0.3], [0.2, 1.5]]

# name -> how it is made of the package d and of numbers n(…); an argument
TRANSFORMS = {
    "AbsTransform": (lambda d, n: d.AbsTransform(), VECTOR),
    "AffineTransform": (lambda d, n: d.AffineTransform(0.5, -2), VECTOR),
    "affine tensors": (lambda d, n: d.AffineTransform(n(0.5), n(-2.0, 1.0, 3.0), event_dim=1), VECTOR),
    "ExpTransform": (lambda d, n: d.ExpTransform(), VECTOR),
    "PowerTransform": (lambda d, n: d.PowerTransform(n(-2.0)), [0.3, 0.5, 1.2]),
    "SigmoidTransform": (lambda d, n: d.SigmoidTransform(), [*VECTOR, 60.0, -900.0]),
    "SoftplusTransform": (lambda d, n: d.SoftplusTransform(), VECTOR),
    "TanhTransform": (lambda d, n: d.TanhTransform(), VECTOR),
    "CumulativeDistributionTransform": (lambda d, n: d.CumulativeDistributionTransform(d.Normal(n(0.5), 2.0)), VECTOR),
    "SoftmaxTransform": (lambda d, n: d.SoftmaxTransform(), VECTOR),
    "StickBreakingTransform": (lambda d, n: d.StickBreakingTransform(), [VECTOR, VECTOR[::-1]]),
    "CorrCholeskyTransform": (lambda d, n: d.CorrCholeskyTransform(), [[*VECTOR, 0.1, 0.2, -0.7]]),
    "one correlation": (lambda d, n: d.CorrCholeskyTransform(), [0.4]),
    "LowerCholeskyTransform": (lambda d, n: d.LowerCholeskyTransform(), MATRIX),
    "PositiveDefiniteTransform": (lambda d, n: d.PositiveDefiniteTransform(), [MATRIX]),
    "ReshapeTransform": (lambda d, n: d.ReshapeTransform((2, 2), (4,)), [MATRIX, MATRIX, MATRIX]),
    "IndependentTransform": (lambda d, n: d.IndependentTransform(d.TanhTransform(), 1), [VECTOR, VECTOR]),
    "ComposeTransform": (
        lambda d, n: d.ComposeTransform([d.AffineTransform(1, 2), d.SigmoidTransform(), d.StickBreakingTransform()]),
        [VECTOR, VECTOR],
    ),
    "reshape and exp": (
        lambda d, n: d.ComposeTransform([d.ExpTransform(), d.ReshapeTransform((2, 2), (4,)), d.AffineTransform(0, 2)]),
        [MATRIX],
    ),
    "identity_transform": (lambda d, n: d.identity_transform, VECTOR),
    "CatTransform": (
        lambda d, n: d.CatTransform([d.ExpTransform(), d.TanhTransform()], dim=0, lengths=[1, 2]), VECTOR,
    ),
    "CatTransform inside": (
        lambda d, n: d.CatTransform([d.ExpTransform(), d.IndependentTransform(d.TanhTransform(), 1)], -1, [1, 2]),
        [VECTOR, VECTOR],
    ),
    "StackTransform": (
        lambda d, n: d.StackTransform([d.ExpTransform(), d.identity_transform, d.SigmoidTransform()], dim=1),
        [VECTOR, VECTOR],
    ),
}  # fmt: skip
TRANSFORMS["inverse"] = (lambda d, n: d.StickBreakingTransform().inv, [0.2, 0.3, 0.5])
TRANSFORMS["inverse of several"] = (
    lambda d, n: d.ComposeTransform([d.ExpTransform(), d.AffineTransform(1, n(2.0))]).inv, [1.2, 4.0],
)  # fmt: skip


def attempt(compute):
    """Return what a function gives, as an array where it is a tensor, or the name of its error's class."""
    try:
        found = compute()
    except Exception as error:  # noqa: BLE001 - classes are compared
        return type(error).__name__
    if hasattr(found, "detach"):
        return found.detach().numpy()
    return tuple(found) if isinstance(found, (mg.Size, torch.Size)) else found


def assert_same(ours, theirs, what):
    if isinstance(theirs, np.ndarray) and isinstance(ours, np.ndarray):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9, err_msg=what)
    else:
        assert type(ours) is type(theirs) and ours == theirs, (what, ours, theirs)


def questions(transform, x):
    """Yield (name, answer) about a transform and an argument."""
    y = transform(x)
    yield "call", y
    yield "inverse", transform.inv(y)
    yield "again", transform(transform.inv(y))
    yield "log_abs_det_jacobian", attempt(lambda: transform.log_abs_det_jacobian(x, y))
    yield "of the inverse", attempt(lambda: transform.inv.log_abs_det_jacobian(y, x))
    for each in (transform, transform.inv):
        yield "sign", attempt(lambda each=each: each.sign)
        yield "bijective", each.bijective
        yield "event_dim", attempt(lambda each=each: each.event_dim)
        for end in ("domain", "codomain"):
            yield end, attempt(lambda each=each, end=end: getattr(each, end).event_dim)
            yield end, attempt(lambda each=each, end=end: getattr(each, end).check(x))
        yield "repr", repr(each)
        for shape in ((), (3,), (2, 2), (3, 4), (5, 2, 2), (6,), (2, 3)):
            yield f"forward_shape{shape}", attempt(lambda each=each, shape=shape: each.forward_shape(shape))
            yield f"inverse_shape{shape}", attempt(lambda each=each, shape=shape: each.inverse_shape(shape))
    kept = attempt(lambda: transform.with_cache(1))
    if not isinstance(kept, str):
        once = kept(x)
        yield "kept", (kept(x) is once, kept.inv(once) is x, kept.inv.inv is kept, kept.with_cache(1) is kept)
    yield "inverse twice", transform.inv.inv is transform
    yield "equal", (transform == copy.copy(transform), transform == pickle.loads(pickle.dumps(transform)))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    make, value = TRANSFORMS[name]
    answers, gradients = [], []
    for m, d in LIBRARIES:
        transform = make(d, lambda *values, m=m: m.tensor(values if len(values) > 1 else values[0], dtype=m.float64))
        answers.append(list(questions(transform, m.tensor(value, dtype=m.float64))))
        x = m.tensor(value, dtype=m.float64, requires_grad=True)
        y = transform(x)
        total = (y**2).sum()
        if not isinstance(attempt(lambda: transform.log_abs_det_jacobian(x, y)), str):  # noqa: B023
            total = total + transform.log_abs_det_jacobian(x, y).sum()
        total.backward()
        gradients.append(x.grad.numpy())
    for (what, theirs), (same, ours) in zip(*answers, strict=True):
        assert what == same
        if what == "equal":  # what is equal there is equal here
            assert all(our or not their for our, their in zip(ours, theirs, strict=True))
            continue
        assert_same(attempt(lambda ours=ours: ours), attempt(lambda theirs=theirs: theirs), what)
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-6, atol=1e-12)


def test_transforms_equal_the_same_ones():
    for first, second in itertools.product(TRANSFORMS, repeat=2):
        same = []
        for m, d in LIBRARIES:
            made = [
                TRANSFORMS[name][0](d, lambda *v, m=m: m.tensor(v if len(v) > 1 else v[0], dtype=m.float64))
                for name in (first, second)
            ]
            same.append(attempt(lambda made=made: made[0] == made[1]))
        if "corr" not in (first + second).lower():  # two of CorrCholeskyTransform are equal only here
            assert same[0] == same[1], (first, second, same)


CONSTRAINTS = {
    name: (lambda c, name=name: getattr(c, name))
    for name in (
        "boolean corr_cholesky lower_cholesky lower_triangular nonnegative nonnegative_integer one_hot positive "
        "positive_definite positive_integer positive_semidefinite real real_vector simplex square symmetric "
        "unit_interval dependent"
    ).split()
} | {
    "greater_than": lambda c: c.greater_than(0.5),
    "greater_than_eq": lambda c: c.greater_than_eq(lower_bound=1),
    "less_than": lambda c: c.less_than(1.0),
    "interval": lambda c: c.interval(-1, 1.0),
    "half_open_interval": lambda c: c.half_open_interval(0.0, 1.0),
    "integer_interval": lambda c: c.integer_interval(0, 1),
    "multinomial": lambda c: c.multinomial(1),
    "independent": lambda c: c.independent(c.positive, 2),
    "cat": lambda c: c.cat([c.positive, c.real], 0, [1, 1]),
    "stack": lambda c: c.stack([c.positive, c.unit_interval], -1),
    "mixture": lambda c: c.MixtureSameFamilyConstraint(c.real_vector),
    "known": lambda c: c.dependent(is_discrete=True)(event_dim=1),
}
VALUES = (
    [[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.5], [0.5, 1.0]], [[1.0, 1.0], [1.0, 1.0]], [[-1.0, 2.0], [0.5, 1.5]], [1.0, 0.0],
    [0.5, 0.5], [float("nan"), 1.0], [[1.0, 0.0]], [[2.0, 0.0], [0.5, 0.5]],
)  # fmt: skip


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints(name):
    both = theirs, ours = [CONSTRAINTS[name](d.constraints) for _, d in LIBRARIES]

    def each(compute):
        return [attempt(functools.partial(compute, *lib, one)) for lib, one in zip(LIBRARIES, both, strict=True)]

    for what in ("is_discrete", "event_dim"):
        expected, found = each(lambda m, d, one: getattr(one, what))  # noqa: B023
        assert_same(found, expected, what)
    if name != "mixture":  # which shows its address there
        assert repr(ours) == repr(theirs)
    assert mg.distributions.constraints.is_dependent(ours) == torch.distributions.constraints.is_dependent(theirs)
    assert isinstance(ours, mg.distributions.constraints.Constraint)
    for value in VALUES:
        expected, found = each(lambda m, d, one: one.check(m.tensor(value)))  # noqa: B023
        if isinstance(expected, str) and expected in ("IndexError", "RuntimeError", "AssertionError"):
            assert isinstance(found, str), value
        else:
            assert_same(found, expected, str(value))
    for registry in ("biject_to", "transform_to"):
        expected, found = each(lambda m, d, one: repr(getattr(d, registry)(one)))  # noqa: B023
        assert found == expected


def test_registries_take_new_constraints():
    for _, d in LIBRARIES:
        class _Odd(d.constraints.Constraint):
            event_dim = 1

        registry = d.constraint_registry.ConstraintRegistry()

        @registry.register(_Odd)
        def of_odd(constraint, d=d):
            return d.TanhTransform()

        assert registry(_Odd()) == d.TanhTransform() and repr(_Odd()) == "Odd()"
        with pytest.raises(NotImplementedError):
            registry(d.constraints.real)
        with pytest.raises(TypeError):
            registry.register(int, of_odd)


def test_supports_of_classes_depend_on_parameters():
    for name in ("Uniform", "Binomial", "Multinomial", "Pareto", "GeneralizedPareto", "MixtureSameFamily"):
        theirs, ours = (getattr(d, name).support for _, d in LIBRARIES)
        for what in ("is_discrete", "event_dim"):
            assert attempt(lambda w=what: getattr(ours, w)) == attempt(lambda w=what: getattr(theirs, w)), (name, what)  # noqa: B023


def test_a_kept_value_has_a_finite_density_where_tanh_is_one():
    for m, d in LIBRARIES:
        made = d.TransformedDistribution(d.Normal(m.tensor(30.0), 0.1), [d.TanhTransform(cache_size=1)])
        drawn = made.rsample()
        assert drawn == 1 and made.log_prob(drawn).isfinite()


def own_transform(d):
    """A transform with a constructor of its own."""

    class Own(d.Transform):
        def __init__(self):
            super().__init__()

    return Own()


WRONG = {
    "cache_size": lambda d, m: d.ExpTransform(cache_size=2),
    "with_cache": lambda d, m: own_transform(d).with_cache(),
    "call": lambda d, m: d.Transform()(m.zeros(2)),
    "domain": lambda d, m: d.Transform().domain.event_dim,
    "ReshapeTransform": lambda d, m: d.ReshapeTransform((2,), (3,)),
    "reshaped": lambda d, m: d.ReshapeTransform((4,), (2, 2))(m.zeros(3)),
    "too few": lambda d, m: d.IndependentTransform(d.ExpTransform(), 2)(m.zeros(3)),
    "CatTransform": lambda d, m: d.CatTransform([d.ExpTransform()], lengths=[1, 2]),
    "cat of numbers": lambda d, m: d.CatTransform([3]),
    "cat length": lambda d, m: d.CatTransform([d.ExpTransform()])(m.zeros(2)),
    "StackTransform": lambda d, m: d.StackTransform([d.ExpTransform()], 1)(m.zeros(2)),
    "scalar": lambda d, m: d.TransformedDistribution(d.Normal(0.0, 1.0), d.StickBreakingTransform()),
    "triangle": lambda d, m: d.TransformedDistribution(d.Normal(m.zeros(4), 1.0), d.CorrCholeskyTransform()),
    "diagonal": lambda d, m: d.utils.tril_matrix_to_vec(m.zeros(2, 2), 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name):
    theirs, ours = (attempt(lambda m=m, d=d: WRONG[name](d, m)) for m, d in LIBRARIES)
    assert isinstance(theirs, str) and ours == theirs


@pytest.mark.parametrize("diag", [0, -1, -2])
def test_triangles_as_vectors(diag):
    for size in (2, 3, 5):
        found = []
        for m, d in LIBRARIES:
            vector = d.utils.tril_matrix_to_vec(m.arange(2.0 * size * size).reshape(2, size, size), diag)
            back = d.utils.vec_to_tril_matrix(vector, diag) if vector.numel() else m.zeros(1)
            found.append((vector.numpy(), back.numpy()))
        for theirs, ours in zip(*found, strict=True):
            np.testing.assert_array_equal(ours, theirs)
