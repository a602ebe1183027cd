"""Checkpointing computes again what it did not keep."""

import collections

import numpy as np
import pytest

import minigrad as mg
from minigrad.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    checkpoint_sequential,
    noop_context_fn,
    set_checkpoint_debug_enabled,
)


def leaf(*shape):
    return mg.randn(*shape, dtype=mg.float64, requires_grad=True)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_same_gradients_also_of_closed_over_parameters(use_reentrant):
    x, w = leaf(3), leaf(3)
    calls = []

    def block(t):
        calls.append(1)
        return mg.tanh(t * w) * w

    plain = mg.autograd.grad(block(x).sum(), (x, w))
    assert len(calls) == 1
    y = checkpoint(block, x, use_reentrant=use_reentrant)
    again = mg.autograd.grad(y.sum(), (x, w))
    assert len(calls) == 3
    for a, b in zip(plain, again, strict=True):
        assert mg.equal(a, b)


def test_second_derivatives():
    x = leaf(3)
    run = lambda t: checkpoint(lambda u: mg.exp(u * u) * u, t, use_reentrant=False)  # noqa: E731
    assert mg.autograd.gradcheck(run, x)
    assert mg.autograd.gradgradcheck(run, x)


def test_nothing_is_kept_in_between():
    x = leaf(3)
    nodes = []

    def block(t):
        h = mg.exp(t)
        nodes.append(h.grad_fn)
        return mg.sin(h)

    y = checkpoint(block, x, use_reentrant=False)
    assert nodes[0].saved is None and nodes[0].out is None and y.grad_fn.saved is None
    y.sum().backward()
    assert x.grad is not None


def test_nested_blocks():
    x = leaf(2)

    def outer(t):
        return checkpoint(lambda u: mg.exp(u) * u, mg.sin(t), use_reentrant=False) * t

    (a,) = mg.autograd.grad(outer(x).sum(), x)
    (b,) = mg.autograd.grad(checkpoint(outer, x, use_reentrant=False).sum(), x)
    assert mg.equal(a, b)


def test_random_numbers_repeat_and_the_stream_goes_on():
    x = leaf(50)
    masks = []

    def block(t):
        mask = (mg.rand(50) > 0.5).double()
        masks.append(mask)
        return mg.exp(t * mask)

    mg.manual_seed(0)
    y = checkpoint(block, x, use_reentrant=False).sum()
    after_forward = mg.rand(1)
    mg.manual_seed(0)
    mg.rand(50)
    assert mg.equal(after_forward, mg.rand(1))
    y.backward()
    assert mg.equal(masks[0], masks[1])


def test_a_block_that_changes_is_refused():
    x = leaf(3)
    state = []

    def block(t):
        state.append(1)
        return mg.exp(t) * t if len(state) == 1 else mg.exp(t)

    y = checkpoint(block, x, use_reentrant=False)
    with pytest.raises(CheckpointError, match="other operations"):
        y.sum().backward()


def test_a_changed_input_is_refused():
    x = mg.ones(3)
    w = leaf(3)
    y = checkpoint(lambda t: t.double() * w * w, x, use_reentrant=False)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_sequential():
    x = leaf(3)
    functions = [mg.exp, mg.sin, mg.tanh, mg.exp, mg.cos]
    for segments in (1, 2, 5):
        y = checkpoint_sequential(functions, segments, x, use_reentrant=False)
        expected = x
        for function in functions:
            expected = function(expected)
        assert mg.equal(y, expected)
        assert mg.equal(mg.autograd.grad(y.sum(), x)[0], mg.autograd.grad(expected.sum(), x)[0])
    with pytest.raises(ValueError, match="segments"):
        checkpoint_sequential(functions, 6, x)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="use_reentrant"):
        checkpoint(mg.exp, mg.ones(1), use_reentrant=3)
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(mg.exp, mg.ones(1), determinism_check="maybe")


@pytest.mark.parametrize("nested", [False, True])
def test_an_input_written_in_place_afterwards_keeps_its_old_value(nested):
    x = mg.ones(3, requires_grad=True)
    h = x * 2
    if nested:
        y = checkpoint(lambda items: items[0]["h"].exp(), [{"h": h}])
    else:
        y = checkpoint(lambda t: t.exp(), h)
    h.mul_(3)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([2.0] * 3), rtol=1e-6)


def test_an_input_written_in_place_inside_the_block():
    x = mg.ones(3, requires_grad=True)
    y = checkpoint(lambda t: t.mul_(2).exp() * t, x * 2)
    y.sum().backward()
    u = 4.0
    np.testing.assert_allclose(x.grad.numpy(), [4 * (np.exp(u) * u + np.exp(u))] * 3, rtol=1e-6)


def test_data_given_to_a_leaf_afterwards_is_noticed():
    x = mg.ones(3, requires_grad=True)
    y = checkpoint(lambda t: t.exp(), x)
    x.data = mg.zeros(3)
    with pytest.raises(RuntimeError, match="modified"):
        y.sum().backward()


def test_debug_can_be_overruled():
    def differs(t, calls=[]):  # noqa: B006 - it counts
        calls.append(1)
        return t.exp() if len(calls) % 2 else t.sin().cos()

    with set_checkpoint_debug_enabled(True):
        y = checkpoint(differs, leaf(2), use_reentrant=False, debug=False).sum()
    with pytest.raises(CheckpointError, match="first: .*exp.*\n.*second: .*sin"):
        y.backward()


def test_arguments_may_be_namedtuples():
    pair = collections.namedtuple("pair", "x y")(leaf(2), leaf(2))
    checkpoint(lambda p: p.x * p.y, pair, use_reentrant=False, context_fn=noop_context_fn).sum().backward()
    assert mg.equal(pair.x.grad, pair.y.detach()) and mg.equal(pair.y.grad, pair.x.detach())
