"""Transforms of functions: against finite differences and plain loops; random numbers; what modules keep."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vjp,
    vmap,
)

FUNCTIONS = {
    "elementwise": lambda x: x.sin() * x + x.exp(),
    "reduction": lambda x: x.logsumexp(0),
    "matmul": lambda x: x @ x.T,
    "softmax": lambda x: mg.nn.functional.softmax(x, dim=-1)[:, :2],
    "scalar": lambda x: (x**3).mean(),
}


def numeric_jacobian(function, x, step=1e-6):
    """Central differences. # (*output, *x)"""
    columns = []
    for index in np.ndindex(*x.shape):
        move = np.zeros(x.shape)
        move[index] = step
        high, low = (function(mg.from_numpy(x.numpy() + sign * move)).numpy() for sign in (1, -1))
        columns.append((high - low) / (2 * step))
    jacobian = np.stack(columns, -1)
    return jacobian.reshape(*jacobian.shape[:-1], *x.shape)


@pytest.fixture
def x(rng):
    return mg.from_numpy(rng.standard_normal((3, 4)))


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_jacobians_are_those_of_finite_differences(function, x):
    expected = numeric_jacobian(function, x)
    np.testing.assert_allclose(jacrev(function)(x), expected, atol=1e-7)
    np.testing.assert_allclose(jacfwd(function)(x), expected, atol=1e-7)
    v = mg.from_numpy(np.random.standard_normal(x.shape))
    along = np.tensordot(expected, v.numpy(), 2)
    np.testing.assert_allclose(jvp(function, (x,), (v,))[1], along, atol=1e-6)
    np.testing.assert_allclose(linearize(function, x)[1](v), along, atol=1e-6)
    output, pull = vjp(function, x)
    u = mg.from_numpy(np.random.standard_normal(output.shape))
    np.testing.assert_allclose(pull(u)[0], np.tensordot(u.numpy(), expected, output.ndim), atol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_hessians_are_those_of_finite_differences(function, x):
    def scalar(value):
        return (function(value) ** 2).sum()

    expected = numeric_jacobian(grad(scalar), x)
    np.testing.assert_allclose(hessian(scalar)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_vmap_is_the_loop(function, rng):
    batch = mg.from_numpy(rng.standard_normal((3, 5, 4)))
    expected = np.stack([function(batch[:, i]).numpy() for i in range(5)], -1)
    np.testing.assert_array_equal(vmap(function, in_dims=1, out_dims=-1)(batch), expected)
    assert mg.autograd.gradcheck(vmap(function, in_dims=1), batch.requires_grad_())
    assert mg.autograd.gradgradcheck(vmap(function, in_dims=1), batch)


def test_results_can_be_differentiated_by_whoever_looks_on():
    w = mg.tensor([2.0, 3.0], dtype=mg.float64, requires_grad=True)
    x = mg.tensor([1.0, 2.0], dtype=mg.float64)
    value = grad(lambda x: (w * x**3).sum())(x)
    value.sum().backward()
    assert w.grad.tolist() == [3.0, 12.0]
    assert mg.autograd.gradcheck(lambda w: jvp(lambda x: w * x**3, (x,), (x,))[1], w)
    assert mg.autograd.gradcheck(lambda v: jvp(lambda x: x**3, (x,), (v,))[1], w)
    assert mg.autograd.gradcheck(lambda u: vjp(lambda x: x**3, x)[1](u)[0], w)
    assert mg.autograd.gradcheck(lambda w: jacfwd(lambda x: w * x**2)(x), w)
    assert mg.autograd.gradcheck(hessian(lambda x: (x**4).sum()), w)


def test_nobody_looks_on_nothing_is_tracked():
    x = mg.tensor([1.0, 2.0])
    gradient, (value, aux) = grad_and_value(lambda x: ((x**2).sum(), x * 2), has_aux=True)(x)
    assert not (gradient.requires_grad or value.requires_grad or aux.requires_grad or x.requires_grad)


def test_gradients_of_the_argument_alone():
    """Not of the same tensor when the function reaches it in another way."""
    x = mg.tensor(3.0, requires_grad=True)
    assert grad(lambda y: x * y)(x).item() == 3.0
    assert x.grad is None


class TestRandomness:
    def test_error_draws_nothing(self):
        state = mg.get_rng_state()
        with pytest.raises(RuntimeError, match="randomness error mode"):
            vmap(lambda x: mg.nn.functional.dropout(x))(mg.ones(2, 3))
        assert mg.equal(state, mg.get_rng_state())
        mg.rand(2)  # allowed again

    def test_same_for_all_slices(self):
        generator = mg.Generator().manual_seed(1)
        result = vmap(lambda x: x + mg.rand(2, generator=generator) + mg.rand(2), randomness="same")(mg.zeros(3))
        assert mg.equal(result[0], result[1]) and mg.equal(result[0], result[2])
        expected = mg.rand(2, generator=mg.Generator().manual_seed(1))
        mg.manual_seed(0)
        assert mg.equal(result[0], expected + mg.rand(2))

    def test_different_for_each(self):
        result = vmap(lambda x: x + mg.rand(()), randomness="different")(mg.zeros(3))
        assert len(set(result.tolist())) == 3

    def test_nested(self):
        inner = vmap(lambda x: x + mg.rand(()), randomness="different")
        rows = vmap(inner, randomness="same")(mg.zeros(2, 3))
        assert mg.equal(rows[0], rows[1]) and len(set(rows[0].tolist())) == 3
        with pytest.raises(RuntimeError, match="randomness error mode"):
            vmap(inner)(mg.zeros(2, 3))

    def test_columns_of_jacfwd(self):
        x = mg.ones(3)
        same = jacfwd(lambda x: x * mg.rand(()), randomness="same")(x).diagonal()
        different = jacfwd(lambda x: x * mg.rand(()), randomness="different")(x).diagonal()
        assert len(set(same.tolist())) == 1 and len(set(different.tolist())) == 3


def test_branches_on_values():
    assert vmap(lambda x: x * 10 if x > 1 else x)(mg.tensor([1.0, 2.0])).tolist() == [1.0, 20.0]


def test_slices_that_differ():
    with pytest.raises(ValueError, match="structure"):
        vmap(lambda x: (x, x) if x > 1 else x)(mg.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="out_dim is None"):
        vmap(lambda x: (x, x.item()), out_dims=(0, None))(mg.tensor([1.0, 2.0]))


def test_jvp_strict():
    with pytest.raises(RuntimeError, match="independent"):
        jvp(lambda x: mg.ones(2), (mg.ones(2),), (mg.ones(2),), strict=True)


def test_modules_keep_their_own():
    module = mg.nn.BatchNorm1d(2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    buffers = {name: value.clone() for name, value in module.named_buffers()}
    functional_call(module, buffers, (mg.randn(8, 2),))
    assert all(mg.equal(value, before[name]) for name, value in module.state_dict().items())
    assert buffers["num_batches_tracked"].item() == 1 and not mg.equal(buffers["running_mean"], before["running_mean"])
    with pytest.raises(RuntimeError):
        functional_call(module, {"weight": mg.ones(3)}, (mg.randn(8, 2),))
    assert mg.equal(module.weight, before["weight"]) and isinstance(module.weight, mg.nn.Parameter)


def test_tied_weights():
    module = mg.nn.Sequential(mg.nn.Linear(2, 2, bias=False), mg.nn.Linear(2, 2, bias=False))
    module[1].weight = module[0].weight
    x, zeros = mg.ones(2), mg.zeros(2, 2)
    assert functional_call(module, {"0.weight": mg.ones(2, 2)}, x).tolist() == [4.0, 4.0]
    untied = functional_call(module, {"0.weight": zeros}, x, tie_weights=False)
    assert untied.tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="tied"):
        functional_call(module, {"0.weight": zeros, "1.weight": mg.ones(2, 2)}, x)


def test_stacked_state_takes_gradients():
    parameters, buffers = stack_module_state([mg.nn.BatchNorm1d(2) for _ in range(3)])
    assert parameters["weight"].is_leaf and parameters["weight"].requires_grad
    assert buffers["running_var"].shape == (3, 2) and not buffers["running_var"].requires_grad
    frozen = mg.nn.Linear(1, 1).requires_grad_(False)
    with pytest.raises(RuntimeError, match="all require grad"):
        stack_module_state([frozen, mg.nn.Linear(1, 1)])


@pytest.mark.parametrize("name", ["debug_unwrap", "rearrange"])
def test_absent_names_say_what_to_use(name):
    with pytest.raises(AttributeError, match=f"'{name}': .*[a-z]"):
        getattr(mg.func, name)


def test_vmap_is_also_at_the_top():
    assert mg.vmap is vmap
