"""grad_fn's names and saved values of common operations: what both frameworks tell."""

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402

# Program -> what nodes of both keep.
CASES = {
    "x.exp()": "result", "x.log()": "self", "x.sin()": "self", "x.tanh()": "result", "x.relu()": "result",
    "x.abs()": "self", "x.sqrt()": "result", "x.rsqrt()": "result", "x.reciprocal()": "result", "x.erf()": "self",
    "x * x": "self other", "x / (x + 1)": "other", "x ** 2": "self exponent", "x ** x": "self exponent result",
    "x.sum()": "self_sym_sizes", "x.mean(1)": "dim keepdim self_sym_sizes", "x.prod()": "self result",
    "x.var(1, correction=2)": "self dim correction keepdim", "x.logsumexp(1)": "self dim keepdim result",
    "x.softmax(1)": "dim result", "x.log_softmax(1)": "dim result", "x.cumsum(0)": "dim",
    "x.view(-1)": "self_sym_sizes",
    "x.permute(1, 0)": "dims", "x.transpose(0, 1)": "dim0 dim1", "x.expand(2, 2, 3)": "self_sym_sizes",
    "t.cat([x, x], 1)": "dim", "t.stack([x, x])": "dim", "t.where(x > 1, x, x)": "condition",
    "x.clamp(0, 2)": "self min max",
    "t.maximum(x, x + 1)": "self other", "t.atan2(x, x)": "self other", "x @ w": "self mat2",
    "x.gather(1, t.tensor([[0], [1]]))": "index dim", "x.norm()": "self ord result dim keepdim",
    "F.gelu(x)": "self", "F.silu(x)": "self", "F.leaky_relu(x, 0.1)": "self negative_slope",
    "F.softplus(x)": "self beta threshold", "F.hardtanh(x)": "self min_val max_val",
    "F.mse_loss(x, x * 2)": "self target reduction", "F.embedding(t.tensor([0]), w)": "indices",
    "F.conv2d(t.ones(1, 1, 4, 4), v, stride=2)": "input weight stride padding dilation groups",
}  # fmt: skip
OTHER_NAMES = ("x @ w", "x.mean(1)")  # of one operation here, of several there


def node_of(t, program):
    x = t.tensor([[1.0, 2.0, 0.5], [0.25, 4.0, 3.0]], requires_grad=True)
    w = t.tensor([[1.0, 0.0, 2.0], [0.5, 1.0, 0.0], [0.0, 3.0, 1.0]], requires_grad=True)
    v = t.full((1, 1, 2, 2), 0.5, requires_grad=True)
    return eval(program, {"t": t, "F": t.nn.functional, "x": x, "w": w, "v": v}).grad_fn, x


def plain(value):
    return value.detach() if hasattr(value, "detach") else list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("program", CASES)
def test_saved(program):
    (ours, x), (theirs, y) = node_of(minigrad, program), node_of(torch, program)
    if program not in OTHER_NAMES:
        assert ours.name() == theirs.name() == type(ours).__name__
    for name in CASES[program].split():
        assert f"_saved_{name}" in dir(ours) and f"_saved_{name}" in dir(theirs)
        found, expected = getattr(ours, f"_saved_{name}"), getattr(theirs, f"_saved_{name}")
        assert (found is x) == (expected is y)
        found, expected = plain(found), plain(expected)
        if hasattr(expected, "numpy"):
            torch.testing.assert_close(torch.from_numpy(found.numpy().copy()), expected)
        else:
            assert found == expected


def test_leaves_and_functions():
    for t in (minigrad, torch):
        x = t.ones(2, requires_grad=True)
        ((leaf, index),) = x.exp().grad_fn.next_functions
        assert (leaf.name(), type(leaf).__name__, index) == ("torch::autograd::AccumulateGrad", "AccumulateGrad", 0)
        assert leaf.variable is x and leaf.metadata == {} and leaf.next_functions == ()
