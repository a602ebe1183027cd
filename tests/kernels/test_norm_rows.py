"""Layer, group, instance and root-mean-square norm of large tensors, shared by threads: as of their single samples."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.kernels import norm

pytestmark = pytest.mark.usefixtures("thread_count")


CASES = {
    "layer": ((3001, 97), lambda x, w, b: F.layer_norm(x, (97,), w, b), (97,)),
    "layer of few": ((5, 70, 800), lambda x, w, b: F.layer_norm(x, (70, 800), w, b), (70, 800)),
    "root mean square": ((1700, 193), lambda x, w, b: F.rms_norm(x, (193,), w) + b, (193,)),
    "group": ((13, 12, 41, 45), lambda x, w, b: F.group_norm(x, 3, w, b), (12,)),
    "instance": ((11, 9, 50, 61), lambda x, w, b: F.instance_norm(x, weight=w, bias=b), (9,)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [mg.float32, mg.float64])
def test_as_of_single_samples(name, dtype, monkeypatch):
    shape, run, affine = CASES[name]
    monkeypatch.setattr(norm, "_BLOCK", 2**16)
    assert np.prod(shape) >= 2**17
    mg.manual_seed(0)
    x, g = mg.randn(*shape, dtype=dtype), mg.randn(*shape, dtype=dtype)
    weight, bias = (mg.randn(*affine, dtype=dtype, requires_grad=True) for _ in range(2))
    tracked = x.clone().requires_grad_()
    y = run(tracked, weight, bias)
    got = (y, *mg.autograd.grad(y, [tracked, weight, bias], g))
    few = []
    for part, its in zip(x.split(max(1, len(x) // 12)), g.split(max(1, len(x) // 12)), strict=True):
        part = part.clone().requires_grad_()
        y = run(part, weight, bias)
        few.append((y, *mg.autograd.grad(y, [part, weight, bias], its)))
    tolerance = 2e-5 if dtype is mg.float32 else 1e-11
    for index, value in enumerate(got):
        parts = [row[index] for row in few]
        expected = mg.cat(parts) if index < 2 else sum(parts)
        scale = 1 if index < 2 else len(x) ** 0.5
        assert value.dtype == dtype
        assert (value - expected).abs().max().item() < tolerance * scale
