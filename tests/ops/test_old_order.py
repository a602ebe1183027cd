"""Numbers before tensors, as programs of PyTorch 0.x write them: add(alpha, other), addmm(beta, alpha, mat1, mat2)."""

import pytest

import minigrad as mg

A, B, M = mg.tensor([1.0, 2.0]), mg.tensor([3.0, 5.0]), mg.tensor([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (lambda: A.add(10, B), lambda: A.add(B, alpha=10)),
        (lambda: mg.add(A, 10, B), lambda: A.add(B, alpha=10)),
        (lambda: A.clone().add_(-0.5, B), lambda: A - 0.5 * B),
        (lambda: A.sub(10, B), lambda: A - 10 * B),
        (lambda: mg.sub(A, 10, B), lambda: A - 10 * B),
        (lambda: A.addcmul(10, B, B), lambda: A + 10 * B * B),
        (lambda: mg.addcmul(A, 10, B, B), lambda: A + 10 * B * B),
        (lambda: A.clone().addcdiv_(-2, B, A), lambda: A - 2 * B / A),
        (lambda: M.addmm(2, 3, M, M), lambda: 2 * M + 3 * M @ M),
        (lambda: M.addmm(2, M, M), lambda: 2 * M + M @ M),
        (lambda: mg.addmm(2, M, 3, M, M), lambda: 2 * M + 3 * M @ M),
        (lambda: mg.addmm(2, M, M, M), lambda: 2 * M + M @ M),
        (lambda: A.addmv(2, 3, M, B), lambda: 2 * A + 3 * M @ B),
        (lambda: M.addr(2, 3, A, B), lambda: 2 * M + 3 * A[:, None] * B),
        (lambda: M[None].baddbmm(2, 3, M[None], M[None]), lambda: 2 * M[None] + 3 * M[None] @ M[None]),
        (lambda: M.addbmm(2, 3, M[None], M[None]), lambda: 2 * M + 3 * M @ M),
    ],
)
def test_old_order_is_the_new_one_with_a_warning(old, new):
    with pytest.warns(UserWarning, match="deprecated: give .* by keyword"):
        found = old()
    assert mg.allclose(found, new())


def test_gradients_pass_and_nonsense_is_refused():
    x = mg.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="deprecated"):
        A.add(3, x).sum().backward()
    assert x.grad.tolist() == [3, 3]
    for wrong in (lambda: A.add(1, 2), lambda: A.add(B, 2), lambda: A.add(1, A, B), lambda: M.addmm(1, 2, 3, M, M)):
        with pytest.raises(TypeError):
            wrong()


@pytest.mark.parametrize("index", [0, slice(0, 1)])
def test_a_number_has_no_elements(index):
    with pytest.raises(IndexError, match="0-dim tensor"):
        mg.tensor(1.0)[index]
    with pytest.raises(IndexError, match="too many indices for tensor of dimension 1"):
        A[0, index]
