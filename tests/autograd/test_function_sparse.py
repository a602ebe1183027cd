"""Functions of a program that work with sparse tensors, as attention over the edges of graphs does."""

import pytest

import minigrad as mg


class Product(mg.autograd.Function):
    """The product of a sparse matrix, given by indices and values, with a dense one."""

    @staticmethod
    def forward(ctx, indices, values, shape, b):
        a = mg.sparse_coo_tensor(indices, values, shape)
        ctx.save_for_backward(a, b)
        ctx.columns = shape[1]
        return mg.matmul(a, b)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        values = b_gradient = None
        if ctx.needs_input_grad[1]:
            values = grad.matmul(b.t()).view(-1)[a._indices()[0] * ctx.columns + a._indices()[1]]
        if ctx.needs_input_grad[3]:
            b_gradient = a.t().matmul(grad)
        return None, values, None, b_gradient


class Times(mg.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a)
        return mg.sparse.mm(a, b)

    @staticmethod
    def backward(ctx, grad):
        return None, mg.sparse.mm(ctx.saved_tensors[0].t(), grad)


INDICES = mg.tensor([[0, 1, 2, 2], [1, 2, 0, 2]])


def test_a_sparse_tensor_is_saved():
    values = mg.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    b = mg.tensor([[1.0, -1.0], [2.0, 0.5], [0.0, 3.0]], requires_grad=True)
    weight = mg.arange(6.0).reshape(3, 2)
    (Product.apply(INDICES, values, mg.Size([3, 3]), b) * weight).sum().backward()
    dense = mg.zeros(3, 3)
    dense[INDICES[0], INDICES[1]] = values.detach()
    expected = (weight @ b.detach().t())[INDICES[0], INDICES[1]]
    assert mg.allclose(values.grad, expected) and mg.allclose(b.grad, dense.t() @ weight)


def test_a_sparse_tensor_is_an_argument():
    a = mg.sparse_coo_tensor(INDICES, mg.ones(4), (3, 3))
    b = mg.ones(3, 2, requires_grad=True)
    Times.apply(a, b).sum().backward()
    assert mg.equal(b.grad, a.to_dense().t() @ mg.ones(3, 2))
    tracked = mg.sparse_coo_tensor(INDICES, mg.ones(4, requires_grad=True), (3, 3))
    with pytest.raises(NotImplementedError, match="values and the indices"):
        Times.apply(tracked, b)


def test_a_saved_sparse_tensor_that_changes_is_noticed():
    values, b = mg.ones(4), mg.ones(3, 2, requires_grad=True)
    y = Times.apply(mg.sparse_coo_tensor(INDICES, values, (3, 3), is_coalesced=True), b)
    values.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
