"""Hooks on saved tensors, on several gradients, edges, dual numbers: what parity with PyTorch does not show."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import forward_ad, graph


def network(x):
    return mg.nn.functional.softmax(mg.nn.functional.relu(x @ x.T).exp(), dim=-1).var()


def test_packing_changes_no_gradient(rng):
    x = mg.from_numpy(rng.standard_normal((3, 3))).requires_grad_()
    (expected,) = mg.autograd.grad(network(x), x)
    with graph.saved_tensors_hooks(lambda t: t.numpy().tobytes(), lambda t: None):
        y = network(x)
    with pytest.raises(TypeError, match="expected to be a Tensor"):
        y.backward()
    kept = []

    def pack(tensor):
        kept.append(tensor.clone())
        return len(kept) - 1

    with graph.saved_tensors_hooks(pack, lambda index: kept[index]):
        y = network(x)
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad, 2 * expected)


def test_hooks_nest_the_inner_ones_see_what_is_saved_inside():
    inner, outer, x = [], [], mg.ones(2, requires_grad=True)

    def noting(names):
        return graph.saved_tensors_hooks(lambda t: names.append(t) or t, lambda t: t)

    with noting(outer):
        y = x.exp()
        count = len(outer)
        with noting(inner):
            y = y.sin()
        (y * y).sum().backward()
    assert count == 1 and len(inner) == 1 and len(outer) > count
    assert mg.variable.MODE.on_record is None


def test_packed_tensors_written_afterwards_are_noticed():
    x = mg.ones(2, requires_grad=True)
    w = mg.ones(2)
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = (x * w).sum()
    w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_increment_version():
    x, w = mg.ones(2, requires_grad=True), mg.ones(2)
    y = (x * w).sum()
    graph.increment_version([w])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_save_on_cpu_refuses_unknown_devices():
    with pytest.raises(ValueError, match="device_type"):
        graph.save_on_cpu(device_type="tpu")


def test_multi_grad_hooks_of_two_passes_do_not_mix():
    seen, a, b = [], mg.ones(1, requires_grad=True), mg.ones(1, requires_grad=True)
    graph.register_multi_grad_hook((a, b), seen.append)
    with pytest.raises(ZeroDivisionError):
        c = a * 1
        c.register_hook(lambda g: 1 / 0)
        (b * 2 + c).sum().backward()
    (a * 3 + b * 4).sum().backward()
    assert [[g.item() for g in gradients] for gradients in seen] == [[3.0, 4.0]]


def test_tangents_are_derivatives(rng):
    x, v = (mg.from_numpy(rng.standard_normal((3, 3))) for _ in range(2))
    with forward_ad.dual_level():
        primal, tangent = forward_ad.unpack_dual(network(forward_ad.make_dual(x, v)))
    step = 1e-6
    expected = (network(x + step * v) - network(x - step * v)) / (2 * step)
    assert primal.item() == network(x).item() and not tangent.requires_grad
    assert tangent.item() == pytest.approx(expected.item(), rel=1e-5)
    with pytest.raises(RuntimeError, match="not entered"):
        forward_ad.exit_dual_level()
    with pytest.raises(TypeError, match="expected a Tensor"):
        forward_ad.unpack_dual(3)


def test_batched_gradients_can_be_differentiated():
    x = mg.tensor([1.0, 2.0], dtype=mg.float64, requires_grad=True)
    rows = mg.eye(2, dtype=mg.float64)

    def jacobian(x):
        return mg.autograd.grad(x.exp() * x, x, rows, is_grads_batched=True, create_graph=True)[0]

    assert mg.autograd.gradcheck(jacobian, x)
    y = x * x
    mg.autograd.grad(y, x, rows, is_grads_batched=True)
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


@pytest.mark.parametrize("hint", [mg.autograd.set_multithreading_enabled, mg.autograd.enforce_grad_layout_policy])
def test_hints_are_kept_and_change_nothing(hint):
    x = mg.ones(2, 3).T.requires_grad_()
    with hint(False):
        assert hint is not mg.autograd.set_multithreading_enabled or not mg.autograd.is_multithreading_enabled()
        (x * 2).sum().backward()
    assert x.grad.is_contiguous() and mg.autograd.is_multithreading_enabled()
    assert not mg.autograd.is_view_replay_enabled()


def test_the_old_home_of_variable():
    from minigrad.autograd.variable import Variable

    assert Variable is mg.autograd.Variable
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mg.autograd.nothing  # noqa: B018
