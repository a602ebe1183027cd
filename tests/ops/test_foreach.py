"""One operation on every tensor of a list, and the grouping of parameters that goes with it."""

import pytest

import minigrad as mg
from minigrad.ops.on_demand import FOREACH_BINARY, FOREACH_POINTWISE, FOREACH_UNARY
from minigrad.utils._foreach_utils import _group_tensors_by_device_and_dtype, _has_foreach_support

A = [mg.tensor([[0.4, 0.7]]), mg.tensor([[0.9]])]
B = [mg.tensor([[0.5, 0.6]]), mg.tensor([[0.3]])]
C = [mg.tensor([[0.2, 0.8]]), mg.tensor([[0.1]])]


def function(name):
    return getattr(mg, f"_foreach_{name}")


def check(name, expected, *args, **kwargs):
    """The function gives the expected results, and its in-place form writes them."""
    results = function(name)(A, *args, **kwargs)
    assert type(results) is tuple and all(mg.equal(*pair) for pair in zip(results, expected, strict=True))
    written = [tensor.clone() for tensor in A]
    returned = function(name + "_")(written, *args, **kwargs)
    assert type(returned) is list and all(x is y for x, y in zip(returned, written, strict=True))
    assert all(mg.equal(*pair) for pair in zip(written, expected, strict=True))


@pytest.mark.parametrize("name", FOREACH_UNARY)
def test_unary(name):
    check(name, [getattr(mg, name)(a) for a in A])


@pytest.mark.parametrize("name", FOREACH_BINARY)
def test_binary(name):
    one = {"maximum": mg.clamp_min, "minimum": mg.clamp_max}.get(name) or getattr(mg, name)
    check(name, [getattr(mg, name)(a, b) for a, b in zip(A, B, strict=True)], B)
    check(name, [one(a, 0.5) for a in A], 0.5)
    check(name, [one(a, 0.5) for a in A], mg.tensor(0.5))
    check(name, [one(a, number) for a, number in zip(A, (2, 0.25), strict=True)], [2, 0.25])
    if name in ("add", "sub"):
        check(name, [getattr(mg, name)(a, b, alpha=3) for a, b in zip(A, B, strict=True)], B, alpha=3)


@pytest.mark.parametrize("name", FOREACH_POINTWISE)
def test_pointwise(name):
    def expected(*values):
        return [getattr(mg, name)(*row, value=value) for *row, value in zip(A, B, C, values, strict=True)]

    check(name, expected(1, 1), B, C)
    check(name, expected(2, 2), B, C, value=2)
    check(name, expected(2, 0.5), B, C, [2, 0.5])
    check(name, expected(2, 0.5), B, C, mg.tensor([2.0, 0.5]))
    check(name, expected(2, 0.5), B, C, scalars=[2, 0.5])


def test_lerp_and_the_others():
    for weight in (0.25, [0.25, 0.25], [mg.full((1, 2), 0.25), mg.full((1, 1), 0.25)]):
        check("lerp", [mg.lerp(a, b, 0.25) for a, b in zip(A, B, strict=True)], B, weight)
    assert mg._foreach_norm(A, 1)[0].item() == pytest.approx(1.1)
    assert mg._foreach_norm(A)[1].item() == pytest.approx(0.9)
    assert mg._foreach_norm(A, dtype=mg.float64)[0].dtype == mg.float64
    assert mg._foreach_powsum(A, 2)[0].item() == pytest.approx(0.65)
    assert mg._foreach_max(A)[0].item() == A[0].max().item()
    copies = mg._foreach_clone(A)
    assert all(mg.equal(x, y) and x is not y for x, y in zip(copies, A, strict=True))
    assert mg.equal(mg._foreach_mm(A, [mg.ones(2, 3), mg.ones(1, 1)])[0], A[0] @ mg.ones(2, 3))
    assert mg.equal(mg._foreach_pow(2, A)[0], 2 ** A[0])
    mg._foreach_copy_(copies, [mg.ones(1, dtype=mg.int64), B[1]])
    assert copies[0].tolist() == [[1.0, 1.0]] and mg.equal(copies[1], B[1])
    assert mg._foreach_zero_(list(copies))[0].sum().item() == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mg._foreach_add([], 1), RuntimeError, "at least one tensor"),
        (lambda: mg._foreach_add(A, B[:1]), RuntimeError, "same number of tensors, got 2 and 1"),
        (lambda: mg._foreach_mul(A, [1.0]), RuntimeError, "elements as scalar list"),
        (lambda: mg._foreach_add(A, mg.ones(2)), RuntimeError, "0 dim"),
        (lambda: mg._foreach_exp(A[0]), TypeError, "tuple of Tensors"),
        (lambda: mg._foreach_add(A, "a"), TypeError, "str"),
        (lambda: mg._foreach_add(A), TypeError, "second operand"),
        (lambda: mg._foreach_copy_(A, 1.0), TypeError, "tuple of Tensors"),
        (lambda: mg._foreach_add_([mg.ones(2, requires_grad=True)], 1), RuntimeError, "leaf"),
        (lambda: mg._foreach_add_([mg.ones(2, dtype=mg.int64)], 1.5), RuntimeError, "can't be cast"),
        (lambda: _group_tensors_by_device_and_dtype([[None]]), RuntimeError, "0-th"),
        (lambda: _group_tensors_by_device_and_dtype([[]]), RuntimeError, "empty"),
        (lambda: _group_tensors_by_device_and_dtype([A, B[:1]]), RuntimeError, "lengths"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_gradients():
    leaves = [a.clone().requires_grad_() for a in A]
    sum(t.sum() for t in mg._foreach_mul(mg._foreach_exp(leaves), [2.0, 3.0])).backward()
    assert mg.allclose(leaves[0].grad, 2 * A[0].exp()) and mg.allclose(leaves[1].grad, 3 * A[1].exp())


def test_groups():
    x, y = mg.ones(2), mg.zeros(2, dtype=mg.float64)
    groups = _group_tensors_by_device_and_dtype([[x, y, x], [y, x, None], []], with_indices=True)
    lists, positions = groups[x.device, mg.float32]
    assert positions == [0, 2] and len(lists[0]) == 2 and lists[0][0] is x
    assert lists[1][0] is y and lists[1][1] is None and lists[2] == []
    assert groups[x.device, mg.float64][1] == [1] and _has_foreach_support([x, None], x.device)
    assert all(where == [] for _, where in _group_tensors_by_device_and_dtype([[x, y]]).values())
