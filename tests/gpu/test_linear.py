"""Products of bfloat16 on a GPU: by cuBLAS where it is there, without arrays of float32 between."""
import numpy as np
import pytest

import minigrad as mg
from minigrad import precision

F = mg.nn.functional
pytest.importorskip("ml_dtypes")

CASES = {
    "linear": (lambda x, w, b: F.linear(x, w, b), [(5, 4), (6, 4), (6,)]),
    "linear on sequences": (lambda x, w, b: F.linear(x, w, b), [(2, 3, 4), (6, 4), (6,)]),
    "linear of one output": (lambda x, w, b: F.linear(x, w, b), [(2, 3, 4), (1, 4), (1,)]),
    "linear without bias": (F.linear, [(2, 3, 4), (6, 4)]),
    "a bias of two dimensions": (lambda x, w, b: F.linear(x, w, b), [(5, 4), (6, 4), (5, 6)]),
    "matrices": (mg.matmul, [(5, 4), (4, 3)]),
    "batches": (mg.matmul, [(2, 1, 5, 4), (3, 4, 3)]),
    "transposed": (lambda a, b: a.mT @ b, [(2, 4, 5), (2, 4, 3)]),
    "a vector": (mg.matmul, [(2, 5, 4), (4,)]),
    "a sum": (mg.add, [(5, 4), (5, 4)]),
    "a sum, one side repeated": (mg.add, [(2, 5, 4), (5, 1)]),
    "a sum with a number": (lambda a: a + 0.3, [(5, 4)]),
    "a sum with float32": (lambda a: a + mg.full((4,), 0.3, device=a.device), [(5, 4)]),
    "nothing": (F.linear, [(0, 4), (6, 4), (6,)]),
}


@pytest.mark.parametrize("case", CASES)
def test_products_of_bfloat16(gpu, case, monkeypatch):
    function, shapes = CASES[case]
    values = [mg.randn(shape) for shape in shapes]
    widened, in_float32 = [], precision._in_float32

    def noted(op, args, params):
        if args[0].is_cuda:
            widened.append(op.name)
        return in_float32(op, args, params)

    monkeypatch.setattr(precision, "_in_float32", noted)
    found = []
    for place in ("cuda", "cpu"):
        args = [value.to(place, mg.bfloat16, copy=True).requires_grad_() for value in values]
        y = function(*args)
        assert y.dtype == (mg.float32 if case == "a sum with float32" else mg.bfloat16)
        y.backward(mg.ones_like(y))
        assert {arg.grad.dtype for arg in args} == {mg.bfloat16}
        found.append([tensor.detach().float().cpu().numpy() for tensor in (y, *(arg.grad for arg in args))])
    assert not {"linear", "matmul"} & set(widened) or case == "nothing"
    assert "add" not in widened or case == "a sum with a number"
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, 0, 2**-7 * np.abs(theirs).max(initial=0))
