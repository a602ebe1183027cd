"""Nested tensors: finite differences of what is not an elementwise function, and properties that hold for any parts."""

import contextlib
import copy
import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
import minigrad.nested  # noqa: F401 - functions taken by name see nested tensors from here on
from tests import fake_cupy

F = mg.nn.functional
PARTS = [np.sin(np.arange(6.0)).reshape(2, 3), np.cos(np.arange(9.0)).reshape(3, 3), np.ones((1, 3)) / 3]
WEIGHT = np.sin(np.arange(12.0)).reshape(4, 3) / 2


def built(layout, *parts):
    return mg.nested.as_nested_tensor(list(parts), layout=getattr(mg, layout))


def attention(x, **more):
    return F.scaled_dot_product_attention(x.unsqueeze(1), x.unsqueeze(1) * 2, x.unsqueeze(1).sin(), **more)


def tensor(array):
    return mg.tensor(array)


def holed(x):
    return mg.nested.nested_tensor_from_jagged(x.values(), x.offsets(), mg.tensor([1, 2, 1]))


# name -> a function of a nested tensor (B, j, 3); the layouts it is for
CASES = {
    "softmax of the ragged": (lambda x: x.softmax(1), "jagged strided"),
    "log_softmax of the ragged": (lambda x: x.log_softmax(1), "jagged strided"),
    "softmax": (lambda x: x.softmax(-1), "jagged strided"),
    "layer_norm": (lambda x: F.layer_norm(x, (3,), tensor(WEIGHT[0]), tensor(WEIGHT[1])), "jagged strided"),
    "layer_norm of the ragged": (lambda x: F.layer_norm(x, x.shape[1:]), "jagged"),
    "rms_norm": (lambda x: F.rms_norm(x, (3,)), "jagged strided"),
    "linear": (lambda x: F.linear(x, tensor(WEIGHT), tensor(WEIGHT[:, 0])), "jagged strided"),
    "attention": (attention, "jagged strided"),
    "causal attention": (lambda x: attention(x, is_causal=True), "jagged strided"),
    "product": (lambda x: x @ tensor(WEIGHT.T), "jagged strided"),
    "product of parts": (lambda x: x @ tensor(np.stack([WEIGHT.T, -WEIGHT.T, WEIGHT.T * 2])), "jagged strided"),
    "product over the ragged": (lambda x: x.mT @ x.sin(), "jagged strided"),
    "product with itself": (lambda x: x @ x.mT, "strided"),
    "padded": (lambda x: x.to_padded_tensor(0.5), "jagged strided"),
    "sum": (lambda x: x.sum(1), "jagged strided"),
    "mean": (lambda x: x.mean(1, keepdim=True), "jagged strided"),
    "amax": (lambda x: x.amax(1), "jagged strided"),
    "prod": (lambda x: x.prod(1), "jagged"),
    "logsumexp": (lambda x: x.logsumexp(1), "jagged strided"),
    "std": (lambda x: x.var(-1), "jagged strided"),
    "sum of all": (lambda x: x.sum((0, 1)), "jagged"),
    "dense per part": (lambda x: x * tensor(WEIGHT[:3, None]), "jagged strided"),
    "nested": (lambda x: x * x.sin() + x, "jagged strided"),
    "cat": (lambda x: mg.cat([x, x * 2], -1), "jagged"),
    "cat of the batch": (lambda x: mg.cat([x, x * 2]), "strided"),
    "stack": (lambda x: mg.stack([x, x * 2], 2), "jagged"),
    "split": (lambda x: x.split([1, 2], -1), "jagged strided"),
    "chunk": (lambda x: x.chunk(2), "jagged"),
    "select": (lambda x: x[..., 1], "jagged strided"),
    "slice": (lambda x: x[:, :, 1:], "jagged strided"),
    "narrow": (lambda x: x.narrow(-1, 1, 2), "jagged"),
    "view": (lambda x: x.unflatten(-1, (3, 1)).transpose(1, 2).flatten(-1, -1), "jagged strided"),
    "permute": (lambda x: x.permute(0, 2, 1).sin(), "jagged strided"),
    "cumsum": (lambda x: x.cumsum(1), "jagged strided"),
    "normalize": (lambda x: F.normalize(x, dim=-1), "jagged strided"),
    "loss": (lambda x: F.mse_loss(x, x.sin() * x), "jagged strided"),
    "holes": (lambda x: holed(x).contiguous(), "jagged"),
    "index_put": (lambda x: x.index_put((mg.tensor([0, 1]), mg.tensor([1, 2])), tensor(WEIGHT[:2])), "jagged"),
    "narrowed": (lambda x: mg.nested.narrow(x.to_padded_tensor(0.0), 1, mg.tensor([0, 1, 0]), mg.tensor([2, 2, 1]),
                                            layout=mg.jagged).sin().contiguous(), "jagged"),
    "masked": (lambda x: mg.nested.masked_select(x.values(), x.values().detach() > 0.1), "jagged"),
}  # fmt: skip
BY_LAYOUT = [(layout, name) for name, (_, layouts) in CASES.items() for layout in layouts.split()]


def dense(result):
    """Return the dense tensors of a result."""
    items = result if isinstance(result, (tuple, list)) else [result]
    return tuple(part for item in items for part in (item.unbind() if item.is_nested else [item]))


@pytest.mark.parametrize(("layout", "name"), BY_LAYOUT)
def test_gradients(layout, name):
    """First and second derivatives, by finite differences in the parts."""
    function = CASES[name][0]
    parts = [mg.tensor(part, requires_grad=True) for part in PARTS]

    def of_parts(*parts):
        return dense(function(built(layout, *parts)))

    assert mg.autograd.gradcheck(of_parts, parts)
    assert mg.autograd.gradgradcheck(of_parts, parts)


ALONE = "softmax|softmax of the ragged|log_softmax of the ragged|rms_norm|linear|attention|causal attention|nested"


@pytest.mark.parametrize(("layout", "name"), [case for case in BY_LAYOUT if case[1] in ALONE.split("|")])
def test_each_part_by_itself(layout, name):
    """A function of a nested tensor is the function of its parts: none sees another, or padding."""
    function, parts = CASES[name][0], [mg.tensor(part) for part in PARTS]
    together = dense(function(built(layout, *parts)))
    for part, found in zip(parts, together):
        (alone,) = dense(function(built(layout, part)))
        np.testing.assert_allclose(found.numpy(), alone.numpy(), rtol=1e-12, atol=1e-14)


lengths_of_parts = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(lengths_of_parts, st.integers(0, 2), st.integers(0, 2**20))
def test_there_and_back(lengths, ragged, seed):
    """Parts, values, padded and other layouts hold the same elements, empty parts too."""
    shape = [2, 3]
    shape.insert(ragged, None)
    draw = np.random.default_rng(seed)
    parts = [mg.tensor(draw.standard_normal([length if n is None else n for n in shape])) for length in lengths]
    values = mg.cat(parts, ragged)
    offsets = mg.tensor([0, *np.cumsum(lengths).tolist()])
    nested = mg.nested.nested_tensor_from_jagged(values, offsets, jagged_dim=ragged + 1)
    assert all(mg.equal(one, other) for one, other in zip(nested.unbind(), parts, strict=True))
    assert mg.equal(mg.nested.nested_tensor(parts), mg.nested.as_nested_tensor(parts))
    padded = nested.to_padded_tensor(-1.0)
    assert mg.equal(padded, mg.nested.nested_tensor(parts).to_padded_tensor(-1.0))
    assert mg.equal(nested._from_padded(padded), nested)
    assert nested.numel() == values.numel() == sum(part.numel() for part in parts)
    np.testing.assert_allclose(nested.sum(ragged + 1).numpy(), np.stack([part.sum(ragged).numpy() for part in parts]))


@settings(max_examples=30, deadline=None)
@given(lengths_of_parts, st.data())
def test_holes(lengths, data):
    """Parts with holes behind them are the starts of those without."""
    kept = [data.draw(st.integers(0, length)) for length in lengths]
    offsets = mg.tensor([0, *np.cumsum(lengths).tolist()])
    values = mg.arange(float(sum(lengths)) * 2).reshape(-1, 2)
    nested = mg.nested.nested_tensor_from_jagged(values, offsets, mg.tensor(kept))
    whole = mg.nested.nested_tensor_from_jagged(values, offsets)
    for part, longer, length in zip(nested.unbind(), whole.unbind(), kept, strict=True):
        assert mg.equal(part, longer[:length])
    closed = nested.contiguous()
    assert closed.numel() == nested.numel() == 2 * sum(kept)
    assert mg.equal(closed, nested)


@pytest.mark.parametrize("layout", ["jagged", "strided"])
def test_on_a_gpu(layout):
    """What moves to a GPU, or its stand-in, stays there: values, offsets and results; the ragged length is the same."""
    plain = [name for name in CASES if "tensor(" not in inspect.getsource(CASES[name][0]) and name != "narrowed"]
    outer = contextlib.nullcontext() if mg.cuda.is_available() else fake_cupy.installed()
    with outer:
        x = built(layout, *[mg.tensor(part) for part in PARTS])
        there = x.to("cuda")
        assert there.is_cuda and all(part.is_cuda for part in there.unbind())
        if layout == "jagged":
            assert there.offsets().is_cuda and there.size(1) == x.size(1) and there.cpu().size(1) == x.size(1)
        for name in plain:
            if layout in CASES[name][1].split():
                for one, other in zip(dense(CASES[name][0](there)), dense(CASES[name][0](x))):
                    assert one.is_cuda
                    np.testing.assert_allclose(one.cpu().numpy(), other.numpy(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("layout", ["jagged", "strided"])
def test_leaf_and_gradients(layout):
    x = mg.nested.nested_tensor(PARTS, layout=getattr(mg, layout), requires_grad=True)
    seen = []
    handle = x.register_hook(lambda grad: seen.append(grad) or grad * 2)
    (x * x).sum().backward()
    assert x.is_leaf and x.grad.is_nested and seen[0].layout is x.layout
    for grad, part in zip(x.grad.unbind(), PARTS):
        np.testing.assert_allclose(grad.numpy(), 4 * part)
    handle.remove()
    x.grad = None
    x.sin().backward(x.detach())
    for grad, part in zip(x.grad.unbind(), PARTS):
        np.testing.assert_allclose(grad.numpy(), np.cos(part) * part)
    (first,) = mg.autograd.grad(x.sin(), x, x.detach(), create_graph=True)
    (second,) = mg.autograd.grad([first.sum()], [x])
    for part, one, two in zip(PARTS, first.unbind(), second.unbind()):
        np.testing.assert_allclose(one.detach().numpy(), np.cos(part) * part, rtol=1e-12)
        np.testing.assert_allclose(two.numpy(), -np.sin(part) * part, rtol=1e-12)


@pytest.mark.parametrize("layout", ["jagged", "strided"])
def test_copies(layout):
    x = mg.nested.nested_tensor(PARTS, layout=getattr(mg, layout), requires_grad=True)
    for twin in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.is_leaf and twin.requires_grad and twin.layout is x.layout and mg.equal(twin, x)
    assert copy.copy(x).values().data_ptr() == x.values().data_ptr() != copy.deepcopy(x).values().data_ptr()
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)


@pytest.mark.parametrize("layout", ["jagged", "strided"])
def test_in_place(layout):
    x = mg.nested.nested_tensor(PARTS, layout=getattr(mg, layout))
    first = x.values()
    y = x.mul_(2).add_(x.clone())
    x += 1
    assert y is x and x.values() is first
    for part, value in zip(x.unbind(), PARTS):
        np.testing.assert_allclose(part.numpy(), 4 * value + 1)
    before = x.clone()
    with pytest.raises(RuntimeError):
        x.add_(mg.nested.nested_tensor(PARTS[:2], layout=getattr(mg, layout)))
    assert mg.equal(x, before)


def test_views():
    """A nested tensor from values looks at their memory; the parts look at the nested tensor's."""
    values = mg.zeros(5, 2)
    nested = mg.nested.nested_tensor_from_jagged(values, mg.tensor([0, 2, 5]))
    values[0] = 1.0
    nested.unbind()[1].fill_(3.0)
    assert values.tolist() == [[1.0, 1.0], [0.0, 0.0], [3.0, 3.0], [3.0, 3.0], [3.0, 3.0]]
    assert not nested.requires_grad_().is_leaf or not values.requires_grad


def test_ragged_length():
    x, y = (mg.nested.nested_tensor(PARTS, layout=mg.jagged) for _ in range(2))
    j = x.shape[1]
    assert isinstance(j, mg.SymInt) and j == (x * 2).size(1) and j != y.size(1) and j * 2 == 2 * j != j
    assert j >= 2 and j > 1 and not j < 2 and str(j * 3) == f"3*{j}"
    with pytest.raises(ValueError, match="not known"):
        j <= 7  # noqa: B015
    with pytest.raises(RuntimeError, match="no number"):
        mg.zeros(x.shape)
    assert x.transpose(1, 2).shape == (3, 3, j)


def test_attention_of_other_lengths():
    """Keys and values may be of other lengths than the queries; a query sees its own part's keys only."""
    draw = np.random.default_rng(0)
    queries = [mg.tensor(draw.standard_normal((2, n, 4))) for n in (3, 1)]
    keys = [mg.tensor(draw.standard_normal((2, n, 4))) for n in (2, 5)]
    q, k = built("jagged", *queries), built("jagged", *keys)
    found = F.scaled_dot_product_attention(q, k, k)
    assert found.size(2) == q.size(2)
    for one, query, key in zip(found.unbind(), queries, keys):
        np.testing.assert_allclose(one.numpy(), F.scaled_dot_product_attention(query, key, key).numpy())


def test_training_an_encoder():
    """A transformer encoder learns from a nested batch as from its sequences one by one."""
    mg.manual_seed(0)
    encoder = mg.nn.TransformerEncoder(mg.nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), 2).double()
    parts = [mg.randn(n, 4, dtype=mg.float64) for n in (3, 1, 2)]
    for layout in ("jagged", "strided"):
        encoder.zero_grad()
        encoder(built(layout, *parts)).cos().sum().backward()
        found = [parameter.grad.numpy() for parameter in encoder.parameters()]
        encoder.zero_grad()
        sum(encoder(part[None]).cos().sum() for part in parts).backward()
        for one, parameter in zip(found, encoder.parameters()):
            np.testing.assert_allclose(one, parameter.grad.numpy(), atol=1e-12)


def test_imported_on_first_use():
    """Programs without nested tensors do not load them, and their functions ask for no classes."""
    program = "import sys, minigrad as mg; print('minigrad.nested' in sys.modules, mg.jagged, type(mg.cos).__name__)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["False", "minigrad.jagged", "function"]
