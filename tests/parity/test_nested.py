"""Nested tensors against PyTorch's: its database of operators on jagged tensors, and both layouts by a table."""

import types
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402
import minigrad.nested  # noqa: E402, F401 - from here on functions taken by name see nested tensors
from tests.parity.convert import Unsupported, resolve, translate  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.opinfo.definitions.nested import njt_op_db

pytestmark = pytest.mark.filterwarnings("ignore")


# ---------------------------------------------------------------------- values on both sides
class Converter:
    """Turns PyTorch's values into minigrad's: the same tensor becomes the same tensor, so that offsets stay shared."""

    def __init__(self):
        self.memo, self.leaves = {}, []

    def __call__(self, value):
        if isinstance(value, torch.Tensor):
            if id(value) not in self.memo:
                self.memo[id(value)] = (self.tensor(value), value)
            return self.memo[id(value)][0]
        if isinstance(value, torch.Size):
            return tuple(value)
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self(item) for item in value)
        if isinstance(value, torch.dtype):
            return getattr(mg, str(value).removeprefix("torch."))
        return value

    def tensor(self, value):
        if not value.is_nested:
            made = mg.tensor(value.detach().numpy())
        elif value.layout is torch.strided:
            made = mg.nested.nested_tensor([self.tensor(part) for part in value.detach().unbind()])
        else:
            values, offsets = mg.tensor(value._values.detach().numpy()), self(value._offsets)
            lengths = None if value._lengths is None else self(value._lengths)
            made = mg.nested.nested_tensor_from_jagged(values, offsets, lengths, jagged_dim=value._ragged_idx)
        if value.requires_grad:
            made = made.requires_grad_()
            self.leaves.append((value, made))
        return made


def described(value, ints=None):
    """Return what a result is: structure, dtypes, shapes and lists of its values' arrays."""
    ints = {} if ints is None else ints
    if isinstance(value, (torch.Tensor, mg.Tensor)):
        dtype = str(value.dtype).rpartition(".")[2]
        if not value.is_nested:
            return ("dense", dtype, tuple(value.shape), [value.detach().numpy()])
        parts = [part.detach().numpy() for part in value.unbind()]
        shape = None
        if "jagged" in str(value.layout):
            shape = [size if isinstance(size, int) else ints.setdefault(str(size), len(ints)) for size in value.shape]
        return ("nested", str(value.layout).rpartition(".")[2], dtype, shape, parts)
    if isinstance(value, (list, tuple)):
        return [described(item, ints) for item in value]
    return str(value).replace("minigrad.", "torch.") if not isinstance(value, (int, float)) else value


def assert_same(expected, found, tolerance=1e-6):
    assert type(expected) is type(found), (expected, found)
    if isinstance(expected, (list, tuple)):
        assert len(expected) == len(found)
        for one, other in zip(expected, found):
            assert_same(one, other, tolerance)
    elif isinstance(expected, np.ndarray):
        assert expected.shape == found.shape
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    else:
        assert expected == found


def floats(result):
    """Yield the values of a result's floating-point tensors that have a graph."""
    for item in result if isinstance(result, (list, tuple)) else [result]:
        if isinstance(item, (torch.Tensor, mg.Tensor)) and item.requires_grad:
            yield from item.unbind() if item.is_nested else [item]


def gradients(library, result, leaves):
    """Return the gradients, as lists of parts, of a weighted sum of a result."""
    parts = list(floats(result))
    if not parts:
        return []
    total = sum((part * part.detach().cos()).sum() for part in parts)
    found = library.autograd.grad(total, leaves, allow_unused=True)
    return [None if one is None else described(one)[-1] for one in found]


# ---------------------------------------------------------------------- PyTorch's database
# Without values to compare, or of dtypes that NumPy has not.
NONDETERMINISTIC = {"bernoulli", "bfloat16", "chalf", "empty_like", "normal", "uniform"}
NONDETERMINISTIC |= {"rand_like", "randint_like", "randn_like"}
ROUGH = {"airy_ai": 1e-4, "polygamma": 1e-2}  # where PyTorch computes a few digits (next to poles)
CRASHES = {"split_with_sizes"}  # PyTorch's own backward ends the process
DATABASE = [op for op in njt_op_db if op.supports_njt]


def samples(op):
    torch.manual_seed(0)
    yield from op.sample_inputs(device="cpu", dtype=torch.float64, requires_grad=op.supports_autograd)


def run(function, sample, change=lambda value: value):
    return function(change(sample.input), *change(sample.args), **change(sample.kwargs))


def counterpart(op):
    """Return minigrad's function for an operator of the database; None where it has none."""
    if isinstance(op.op, types.FunctionType) and op.op.__module__.startswith("torch.testing"):
        return translate(op.op, mg)
    for owner in (mg, mg.Tensor):
        try:
            found = resolve(owner, op.name)
        except Unsupported:
            continue
        if callable(found):
            return found
    return None


@pytest.mark.parametrize("op", DATABASE, ids=lambda op: op.full_name)
def test_database(op):
    """What PyTorch computes comes out the same, with the same gradients."""
    if op.name in NONDETERMINISTIC or torch.float64 not in op.dtypes:
        pytest.skip("no values to compare")
    function = counterpart(op)
    if function is None:
        pytest.skip("minigrad has no such function")
    compared = 0
    every = list(samples(op))
    for sample in every[:: max(1, len(every) // 20)]:
        try:
            with np.errstate(all="ignore"):
                expected = run(op.op, sample)
        except Exception:  # noqa: BLE001 - PyTorch has not this one; here it may be more
            continue
        change = Converter()
        found = run(function, sample, change)
        tolerance = ROUGH.get(op.name.rpartition(".")[2], 1e-6)
        assert_same(described(expected), described(found), tolerance)
        compared += 1
        leaves = change.leaves
        if op.name == "mean" and "holes" in sample.name:
            continue  # PyTorch divides by another number in the backward pass than in the forward one
        if op.name not in CRASHES and leaves and any(True for _ in floats(expected)):
            try:
                want = gradients(torch, expected, [theirs for theirs, _ in leaves])
            except Exception:  # noqa: BLE001 - PyTorch has not the backward
                continue
            assert_same(want, gradients(mg, found, [ours for _, ours in leaves]), 10 * tolerance)
    if not compared:
        pytest.skip("PyTorch has no sample of it that runs")


# ---------------------------------------------------------------------- both layouts
A, B = np.arange(6.0).reshape(2, 3) / 4, np.cos(np.arange(9.0)).reshape(3, 3)
W = np.sin(np.arange(12.0)).reshape(4, 3)


def made(t, layout, grad=True):
    parts = [t.tensor(A), t.tensor(B)]
    return t.nested.nested_tensor(parts, layout=getattr(t, layout), requires_grad=grad)


def heads(t, x):
    """(B, j, 3) as (B, 2, j, 2): two heads."""
    x = t.nn.functional.linear(x, t.tensor(W)).view(2, -1, 2, 2).transpose(1, 2)
    return x.contiguous() if x.layout is t.strided else x


def holed(t, x):
    return t.nested.nested_tensor_from_jagged(x.values(), x.offsets(), t.tensor([1, 2]))


def attention(t, x, **settings):
    q = heads(t, x)
    return t.nn.functional.scaled_dot_product_attention(q, q, q, **settings).transpose(1, 2)


def with_weight(t, module, *names):
    for name, value in zip(names, (W, W[:, 0])):
        getattr(module, name).data = t.tensor(value)
    return module


BOTH = {
    "parts": lambda t, x: (x.unbind(), x[0], x[-1], x[0, 1], x.select(0, 1)),
    "what": lambda t, x: (x.dim(), x.numel(), x.size(0), x.size(-1), x.is_nested, x.dtype, x.layout, x.is_leaf,
                          x.requires_grad, x.is_contiguous(), x.element_size(), x.is_floating_point()),
    "values": lambda t, x: x.values(),
    "padded": lambda t, x: (x.to_padded_tensor(2.0), t.nested.to_padded_tensor(x, -1.0, output_size=(2, 5, 3))),
    "like": lambda t, x: (t.zeros_like(x), t.ones_like(x)),
    "numbers": lambda t, x: (x + 1, x * 3, x / 2, x - 1, x.add(2, alpha=3)),
    "two": lambda t, x: (x + x.detach(), x - x * x, x / (x.detach() + 3), x.mul(x)),
    "unary": lambda t, x: (-x, x.abs(), x.cos(), x.tanh(), t.sgn(x), x.relu(), x.sin()),
    "activations": lambda t, x: [f(x) for f in (t.nn.functional.relu, t.nn.functional.gelu, t.nn.functional.silu)],
    "compare": lambda t, x: (x > 0.5, t.logical_not(x), x.detach().isnan()),
    "masked_fill": lambda t, x: x.masked_fill(x > 0.5, 7.0),
    "softmax": lambda t, x: (t.softmax(x, -1), t.nn.Softmax(-1)(x)),
    "softmax of the ragged": lambda t, x: x.detach().softmax(1),  # PyTorch's gradients mix the parts
    "dropout": lambda t, x: (t.nn.functional.dropout(x, 0.5, False), t.nn.Dropout(0.0)(x)),
    "layer_norm": lambda t, x: with_weight(t, t.nn.LayerNorm(3).double(), "bias").__class__(3).double()(x),
    "linear": lambda t, x: t.nn.functional.linear(x, t.tensor(W), t.tensor(W[:, 0])),
    "Linear": lambda t, x: with_weight(t, t.nn.Linear(3, 4).double(), "weight", "bias")(x),
    "transpose": lambda t, x: (x.transpose(1, 2), x.transpose(-1, -2).transpose(1, 2), x.mT),
    "view": lambda t, x: (x.view(2, -1, 3, 1), x.reshape(2, -1, 1, 3)),
    "chunk": lambda t, x: x.chunk(3, -1),
    "select": lambda t, x: x[..., 1],
    "unsqueeze": lambda t, x: (x.unsqueeze(-1), x.unsqueeze(1)),
    "conversions": lambda t, x: (x.to(t.float32), x.double(), x.clone(), x.detach(), x.contiguous(), x.int()),
    "batch product": lambda t, x: t.bmm(x, t.tensor(np.stack([W.T, -W.T]))),
    "sum": lambda t, x: x.sum(-1, keepdim=True),
    "attention": lambda t, x: attention(t, x.detach()),
}
JAGGED = {
    "shape": lambda t, x: (str(x.shape[0]), x.shape[2], x.shape == x.size(), x.shape[1] == x.shape[1] * 1, x.offsets()),
    "dense": lambda t, x: (x + t.tensor(W[0]), t.tensor(W[0]) * x, x - t.ones(1, 1, 3, dtype=t.float64)),
    "dense per part": lambda t, x: x * t.tensor(np.stack([W[:1], W[1:2]])),
    "reductions": lambda t, x: (x.sum(), x.mean(), x.max(), x.any(), x.sum(1), x.mean(1), x.amax(1), x.amin(1, True)),
    "more reductions": lambda t, x: (x.sum((0, 1)), x.mean((0, 1), keepdim=True), x.mean(-1), x.argmax(-1), x.prod(1)),
    "log_softmax": lambda t, x: t.log_softmax(x, -1),
    "rms_norm": lambda t, x: t.nn.functional.rms_norm(x, (3,)),
    "layer_norm of the ragged": lambda t, x: t.nn.functional.layer_norm(x, x.shape[1:]),
    "split": lambda t, x: (x.split(1, -1), x.split([1, 2], -1), x.chunk(2, 0)),
    "flatten": lambda t, x: x.unflatten(-1, [3, 1]).flatten(2),
    "permute": lambda t, x: x.permute(0, 2, 1),
    "cat": lambda t, x: (t.cat([x, x], -1), t.stack([x, x], -1), t.stack([x, x], 2)),
    "product": lambda t, x: (x @ t.tensor(W.T), t.matmul(x, t.tensor(np.stack([W.T, W.T]))), x.mT @ x),
    "from the left": lambda t, x: t.tensor(W) @ x.mT,
    "where": lambda t, x: t.where(x > 0.5, x, -x),
    "expand": lambda t, x: x.unsqueeze(-1).expand(*x.shape, 2),
    "narrow": lambda t, x: x.narrow(-1, 1, 2),
    "squeeze": lambda t, x: x.unsqueeze(-1).squeeze(-1),
    "embedding": lambda t, x: t.nn.functional.embedding(x.detach().abs().long(), t.tensor(W)),
    "from jagged": lambda t, x: t.nested.nested_tensor_from_jagged(x.values() * 2, x.offsets()),
    "same offsets": lambda t, x: t.nested.nested_tensor_from_jagged(x.values() * 2, x.offsets()) + x,
    "lengths": lambda t, x: t.nested.nested_tensor_from_jagged(x.values(), lengths=t.tensor([1, 4])),
    "holes": lambda t, x: holed(t, x).cos(),
    "holes closed": lambda t, x: holed(t, x).contiguous(),
    "narrowed": lambda t, x: t.nested.narrow(t.tensor(W[None] * [[[1]], [[2]]]), 1, t.tensor([0, 1]), t.tensor([3, 2]),
                                             layout=t.jagged),  # fmt: skip
    "masked": lambda t, x: t.nested.masked_select(t.tensor(W), t.tensor(W > 0)),
    "as nested": lambda t, x: t.nested.as_nested_tensor([part * 2 for part in x.unbind()], layout=t.jagged),
    "as nested, dense": lambda t, x: t.nested.as_nested_tensor(t.tensor(np.stack([W, W])), layout=t.jagged),
    "pickled": lambda t, x: __import__("pickle").loads(__import__("pickle").dumps(x.detach())),
    "copied": lambda t, x: (__import__("copy").deepcopy(x), __import__("copy").copy(x)),
    "printed": lambda t, x: repr(x.detach()).partition("offsets")[2],
    "stride": lambda t, x: (x.stride()[1:], str(x.shape[1] * 3).partition("*")[0], x.shape[1] >= 2, x.shape[1] == 5),
    "second batch": lambda t, x: t.nn.functional.scaled_dot_product_attention(*[x.unsqueeze(-1)] * 3),
}
STRIDED = {
    "other product": lambda t, x: (x @ x.mT, x.mT.matmul(x)),
    "attention of parts": lambda t, x: t.nn.functional.scaled_dot_product_attention(x, x, x),
    "cat": lambda t, x: t.cat([t.nested.nested_tensor([t.ones(2, 3), t.ones(1, 4)])] * 2, 0),
    "irregular": lambda t, x: t.nested.nested_tensor([t.ones(2, 3), t.ones(1, 4)]).to_padded_tensor(0.0),
    "as nested": lambda t, x: t.nested.as_nested_tensor([part * 2 for part in x.unbind()]),
    "as nested, dense": lambda t, x: t.nested.as_nested_tensor(t.tensor(np.stack([W, W]))),
    "narrow": lambda t, x: t.nested.narrow(t.tensor(W), 0, 1, 2),
    "numbers": lambda t, x: t.nested.nested_tensor([[1, 2], [3]]),
    "printed": lambda t, x: repr(x.detach()),
    "none": lambda t, x: repr(t.nested.nested_tensor([])),
}
CASES = [(layout, name, case) for layout, tables in (("jagged", (BOTH, JAGGED)), ("strided", (BOTH, STRIDED)))
         for table in tables for name, case in table.items()]  # fmt: skip
ONLY_HERE = {("strided", "attention"), ("strided", "unsqueeze"), ("strided", "select")}  # more than PyTorch has


@pytest.mark.parametrize(("layout", "name", "case"), CASES, ids=[f"{layout} {name}" for layout, name, _ in CASES])
def test_layouts(layout, name, case):
    """Values, structure and gradients of both layouts."""
    theirs, ours = made(torch, layout), made(mg, layout)
    if (layout, name) in ONLY_HERE:
        theirs, ours = made(torch, "jagged"), made(mg, "strided")
        expected, found = case(torch, theirs), case(mg, ours)
        expected = [list(one.unbind()) for one in (expected if isinstance(expected, tuple) else (expected,))]
        found = [list(one.unbind()) for one in (found if isinstance(found, tuple) else (found,))]
    else:
        expected, found = case(torch, theirs), case(mg, ours)
    assert_same(described(expected), described(found))
    try:
        want = gradients(torch, expected, [theirs])
    except (RuntimeError, NotImplementedError, ValueError, AttributeError):
        return  # PyTorch has no backward of this one; tests/test_nested.py has finite differences
    assert_same(want, gradients(mg, found, [ours]))


def test_lengths_of_ragged_dimensions_are_symint():
    for t in (torch, mg):
        one, other = made(t, "jagged"), made(t, "jagged")
        j = one.size(1)
        assert isinstance(j, t.SymInt) and not isinstance(j, int)
        assert j == (one * 2).size(1)
        assert j != other.size(1)
        assert not isinstance(one.size(0), t.SymInt)


ERRORS = {
    "no parts": lambda t: t.nested.nested_tensor([], layout=t.jagged),
    "no list": lambda t: t.nested.nested_tensor(3),
    "no tensor": lambda t: t.nested.as_nested_tensor(3),
    "vector": lambda t: t.nested.as_nested_tensor(t.ones(3)),
    "other dimensions": lambda t: t.nested.nested_tensor([t.ones(2), t.ones(2, 2)]),
    "other dimensions, jagged": lambda t: t.nested.nested_tensor([t.ones(2), t.ones(2, 2)], layout=t.jagged),
    "two ragged": lambda t: t.nested.nested_tensor([t.ones(2, 3), t.ones(3, 2)], layout=t.jagged),
    "scalars": lambda t: t.nested.nested_tensor([t.tensor(1.0), t.tensor(2.0)], layout=t.jagged),
    "dtypes": lambda t: t.nested.nested_tensor([t.ones(2), t.ones(3).double()], layout=t.jagged),
    "layout": lambda t: t.nested.nested_tensor([t.ones(2)], layout=t.sparse_coo),
    "other layout": lambda t: t.nested.as_nested_tensor(made(t, "strided"), layout=t.jagged),
    "no offsets": lambda t: t.nested.nested_tensor_from_jagged(t.ones(3)),
    "jagged_dim": lambda t: t.nested.nested_tensor_from_jagged(t.ones(3), t.tensor([0, 3]), jagged_dim=0),
    "offsets of two dimensions": lambda t: t.nested.nested_tensor_from_jagged(t.ones(3), t.tensor([[0, 3]])),
    "offsets too large": lambda t: t.nested.nested_tensor_from_jagged(t.ones(3), t.tensor([0, 2, 7])).unbind(),
    "narrow, dim": lambda t: t.nested.narrow(t.ones(2, 3, 4), 2, 0, 1, layout=t.jagged),
    "narrow, tensors": lambda t: t.nested.narrow(t.ones(2, 3), 0, t.tensor([0, 1]), 1),
    "narrow, float": lambda t: t.nested.narrow(t.ones(2, 3), 1, 0.5, 1, layout=t.jagged),
    "narrow, strided": lambda t: t.nested.narrow(t.ones(2, 3), 1, 0, 1),
    "holes padded": lambda t: t.nested.nested_tensor_from_jagged(
        t.ones(5), t.tensor([0, 2, 5]), t.tensor([1, 2])).to_padded_tensor(0.0),
    "holes summed": lambda t: t.nested.nested_tensor_from_jagged(
        t.ones(5), t.tensor([0, 2, 5]), t.tensor([1, 2])).sum(1),
    "strided, shape": lambda t: made(t, "strided").shape,
    "strided, size": lambda t: made(t, "strided").size(1),
    "strided, stride": lambda t: made(t, "strided").stride(),
    "strided, offsets": lambda t: made(t, "strided").offsets(),
    "strided, transpose": lambda t: made(t, "strided").transpose(0, 1),
    "strided, padded": lambda t: made(t, "strided").to_padded_tensor(0.0, (2, 2, 3)),
    "strided, unbind": lambda t: made(t, "strided").unbind(1),
    "strided, chunk": lambda t: made(t, "strided").chunk(2, 0),
    "strided, view": lambda t: made(t, "strided").view(2, -1),
    "strided, stack": lambda t: t.stack([made(t, "strided")] * 2),
    "strided, mask": lambda t: t.nn.functional.scaled_dot_product_attention(
        *[made(t, "strided")] * 3, attn_mask=t.ones(3, 3)),
    "transpose": lambda t: made(t, "jagged").transpose(0, 1),
    "permute": lambda t: made(t, "jagged").permute(1, 0, 2),
    "permute, number": lambda t: made(t, "jagged").permute(0, 1),
    "dimension": lambda t: made(t, "jagged").sum(5),
    "unbind": lambda t: made(t, "jagged").unbind(1),
    "view": lambda t: made(t, "jagged").view(2, -1),
    "flatten": lambda t: made(t, "jagged").flatten(1, 2),
    "split": lambda t: made(t, "jagged").split(1, 0),
    "cat": lambda t: t.cat([made(t, "jagged")] * 2),
    "cat, ragged": lambda t: t.cat([made(t, "jagged")] * 2, 1),
    "stack": lambda t: t.stack([made(t, "jagged")] * 2),
    "sum of the batch": lambda t: made(t, "jagged").sum(0),
    "sum of ragged and others": lambda t: made(t, "jagged").sum((1, 2)),
    "mean of ragged and others": lambda t: made(t, "jagged").mean((1, 2)),
    "softmax of the batch": lambda t: made(t, "jagged").softmax(0),
    "index": lambda t: made(t, "jagged")[5],
    "slice": lambda t: made(t, "jagged")[0:1],
    "ragged select": lambda t: made(t, "jagged").select(1, 0),
    "other offsets": lambda t: made(t, "jagged") + made(t, "jagged"),
    "dense of another batch": lambda t: made(t, "jagged") + t.ones(3, 1, 3),
    "dense of more dimensions": lambda t: made(t, "jagged") + t.ones(1, 2, 1, 3),
    "matmul": lambda t: made(t, "jagged") @ made(t, "jagged").mT,
    "bmm": lambda t: t.bmm(made(t, "jagged"), t.ones(3, 3)),
    "layer_norm of the batch": lambda t: t.nn.functional.layer_norm(made(t, "jagged"), (2, 3, 3)),
    "rms_norm of the ragged": lambda t: t.nn.functional.rms_norm(made(t, "jagged"), made(t, "jagged").shape[1:]),
    "linear of the ragged": lambda t: t.nn.functional.linear(made(t, "jagged").mT, t.ones(3, 3)),
    "attention, dense": lambda t: t.nn.functional.scaled_dot_product_attention(
        made(t, "jagged"), made(t, "jagged"), t.ones(2, 3, 3)),
    "attention, mask": lambda t: t.nn.functional.scaled_dot_product_attention(
        *[made(t, "jagged")] * 3, attn_mask=t.ones(3, 3)),
    "cross_entropy": lambda t: t.nn.functional.cross_entropy(made(t, "jagged"), t.zeros(2, 3).long()),
    "item": lambda t: made(t, "jagged").item(),
    "bool": lambda t: bool(made(t, "jagged")),
    "numpy": lambda t: made(t, "jagged").numpy(),
    "tolist": lambda t: made(t, "jagged").tolist(),
    "backward": lambda t: made(t, "jagged").backward(),
    "size of numbers": lambda t: t.zeros(made(t, "jagged").shape),
    "longer than 5": lambda t: made(t, "jagged").shape[1] > 5,
    "not there": lambda t: t.kthvalue(made(t, "jagged"), 1),
    "not there, strided": lambda t: t.kthvalue(made(t, "strided"), 1),
    "attention layer, mask": lambda t: t.nn.MultiheadAttention(3, 1, batch_first=True).double().eval()(
        *[made(t, "strided")] * 3, attn_mask=t.zeros(3, 3)),
    "attention layer, batch": lambda t: t.nn.MultiheadAttention(3, 1).double().eval()(*[made(t, "strided")] * 3),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    """What PyTorch refuses is refused with the same class of error."""
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        ERRORS[name](torch)
    with pytest.raises(type(theirs.value)):
        ERRORS[name](mg)


# ---------------------------------------------------------------------- transformers
def twins(norm=None):
    torch.manual_seed(0)
    theirs, ours = (
        t.nn.TransformerEncoder(t.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, norm and norm(t))
        for t in (torch, mg)
    )
    ours.load_state_dict({name: mg.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    return theirs.eval(), ours.eval()


@pytest.mark.parametrize("norm", [None, lambda t: t.nn.LayerNorm(8)], ids=["", "norm"])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("padding", [[[0, 0, 0, 1, 1], [0, 0, 1, 1, 1]], [[0, 0, 0, 1, 1], [0, 0, 1, 1, 0]]])
def test_encoder_that_skips_padding(norm, grad, padding):
    """The encoder's results for padding are PyTorch's: zeros where its evaluation uses nested tensors."""
    theirs, ours = twins(norm)
    x = torch.randn(2, 5, 8)
    with torch.set_grad_enabled(grad), mg.set_grad_enabled(grad):
        expected = theirs(x, src_key_padding_mask=torch.tensor(padding).bool())
        found = ours(mg.tensor(x.numpy()), src_key_padding_mask=mg.tensor(padding).bool())
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), atol=2e-6)


def test_encoder_of_nested():
    theirs, ours = twins()
    parts = [torch.randn(3, 8), torch.randn(2, 8)]
    nested = [torch.nested.nested_tensor(parts), mg.nested.nested_tensor([mg.tensor(part.numpy()) for part in parts])]
    with torch.no_grad():
        expected = theirs(nested[0]), theirs.layers[0].self_attn(*[nested[0]] * 3, average_attn_weights=False)
    found = ours(nested[1]), ours.layers[0].self_attn(*[nested[1]] * 3, average_attn_weights=False)
    assert_same(described(expected), described(found), 2e-6)
