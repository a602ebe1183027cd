"""What nodes of a graph tell: saved values under PyTorch's names, hooks before and after, leaves."""

import numpy as np
import pytest

import minigrad as mg


def test_saved_values_are_the_tensors_themselves():
    """PyTorch's tutorial on saved tensors: a leaf comes back as itself, a result as another tensor of the same node."""
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x.log()
    assert y.grad_fn._saved_self is x
    z = x.exp()
    saved = z.grad_fn._saved_result
    assert saved is not z and mg.equal(saved, z) and saved.grad_fn is z.grad_fn
    saved.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp([1.0, 2.0]), rtol=1e-6)


def test_saved_values_after_backward_and_after_writes():
    x = mg.ones(2, requires_grad=True)
    y = x.exp()
    y.sum().backward()
    with pytest.raises(RuntimeError, match="directly access saved tensors after they have already been freed"):
        _ = y.grad_fn._saved_result
    w = mg.ones(2)
    z = x * w
    w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation.*version 1; expected version 0"):
        _ = z.grad_fn._saved_other
    with pytest.raises(AttributeError, match="_saved_nothing.*_saved_other"):
        _ = z.grad_fn._saved_nothing
    with pytest.raises(AttributeError, match="'MulBackward0' object has no attribute 'nothing'"):
        _ = z.grad_fn.nothing
    assert {"_saved_self", "_saved_other", "name", "next_functions"} <= set(dir(z.grad_fn))


def test_saved_values_that_hooks_packed():
    x = mg.tensor([2.0], requires_grad=True)
    with mg.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), mg.tensor):
        y = x * x
    assert y.grad_fn._saved_self.tolist() == [2.0]
    y.backward()
    assert x.grad.tolist() == [4.0]


def test_one_of_several_outputs_stands_for_its_operation():
    x = mg.tensor([[1.0, 3.0, 2.0]], requires_grad=True)
    values, _ = x.max(1)
    node = values.grad_fn
    assert "Pick" not in node.name() and node._saved_dim == 1
    assert node.next_functions[0][0].variable is x


def test_hooks_of_nodes_and_leaves():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    leaf = y.grad_fn.next_functions[0][0]
    assert leaf.name() == "torch::autograd::AccumulateGrad"
    leaf.metadata["a"] = y.grad_fn.metadata["a"] = 1
    assert y.grad_fn.next_functions[0][0].metadata == y.grad_fn.metadata == {"a": 1}
    seen = []
    handles = [
        y.grad_fn.register_prehook(lambda grads: (grads[0] * 2,)),
        leaf.register_prehook(lambda grads: (grads[0] + 1,)),
        leaf.register_hook(lambda inputs, outputs: seen.append((inputs, outputs[0].tolist(), x.grad.tolist()))),
    ]
    y.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [7, 7] and seen == [((), [7, 7], [7, 7])]
    for handle in handles:
        handle.remove()
    y.sum().backward()
    assert x.grad.tolist() == [10, 10] and len(seen) == 1
