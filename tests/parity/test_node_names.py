"""Names of the nodes of a graph, and reductions whose dim must be an int: the same in both frameworks."""

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402


def _graph(t):
    """Return the names met on the way from a loss to its leaves, as drawing programs walk it."""
    x = t.ones(2, 3, requires_grad=True)
    y = (x + 1).exp().mul(x)
    assert y.grad_fn is y.grad_fn
    assert isinstance(y.grad_fn, t.autograd.graph.Node)
    names, seen, waiting = [], set(), [y.sum().grad_fn]
    while waiting:
        node = waiting.pop(0)
        if node is None or node in seen:
            continue
        seen.add(node)
        names.append(type(node).__name__)
        waiting.extend(before for before, _ in node.next_functions)
    return names


def _looked_at_and_differentiated(t):
    """Return gradients of both orders where nodes were looked at, in every place that tells nodes from leaves."""
    x = t.tensor([2.0, 3.0], requires_grad=True)
    y = x.exp() * x
    z = (y * x).sum()
    _ = z.grad_fn.next_functions[0][0].next_functions, y.grad_fn
    (first,) = t.autograd.grad(z, x, create_graph=True)
    _ = first.grad_fn
    (second,) = t.autograd.grad(first.sum(), x, retain_graph=True)
    (inner,) = t.autograd.grad(z, y, retain_graph=True)
    w = x * 2
    _ = w.grad_fn
    w[0] = 5.0
    _ = w.grad_fn
    (w * w).sum().backward()
    return [values.tolist() for values in (first, second, inner, x.grad)]


def _function(t):
    class Double(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = t.ones(2, requires_grad=True)
    node = Double.apply(x).grad_fn
    return type(node).__name__, [saved.tolist() for saved in node.saved_tensors]


def test_names_of_nodes():
    assert _graph(minigrad) == _graph(torch)


def test_gradients_through_nodes_that_were_looked_at():
    for ours, theirs in zip(_looked_at_and_differentiated(minigrad), _looked_at_and_differentiated(torch), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_node_of_a_function():
    assert _function(minigrad) == _function(torch)


@pytest.mark.parametrize("name", ["max", "min", "prod"])
@pytest.mark.parametrize("args, kwargs", [((None,), {}), ((), {"dim": None}), ((None, True), {})])
def test_dim_is_not_none(name, args, kwargs):
    for t in (torch, minigrad):
        with pytest.raises(TypeError):
            getattr(t, name)(t.ones(3), *args, **kwargs)
        with pytest.raises(TypeError):
            getattr(t.ones(3), name)(*args, **kwargs)
