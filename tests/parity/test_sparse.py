"""Sparse tensors against PyTorch's: construction, products, gradients, and a graph convolution network as it is."""

import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*(Sparse|sparse):UserWarning")
INDICES = [[0, 2, 2, 0, 1], [1, 0, 3, 1, 2]]  # (0, 1) twice
VALUES = np.array([1.0, -2.0, 3.0, 0.5, 4.0], np.float32)
DENSE = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)


def made(library, values=VALUES, size=(3, 4), grad=False):
    return library.sparse_coo_tensor(library.tensor(INDICES), library.tensor(values), size, requires_grad=grad)


def plain(value):
    """What a result is made of, for comparison."""
    if isinstance(value, (torch.Tensor, mg.Tensor)):
        if value.is_sparse:
            value = value.coalesce()
            return ["sparse", list(value.shape), value.indices().tolist(), plain(value.values())]
        return value.detach().numpy().round(4).tolist()
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return str(value).replace("minigrad.", "torch.")


CASES = {
    "dense": lambda t, a: a.to_dense(),
    "coalesce": lambda t, a: (a.coalesce(), a.coalesce().is_coalesced(), a.is_coalesced(), a._nnz()),
    "inner": lambda t, a: (a._indices(), a._values(), a.sparse_dim(), a.dense_dim()),
    "what": lambda t, a: (a.shape, a.dtype, a.device, a.ndim, a.layout, a.is_sparse, a.size(1), a.numel(), a.type()),
    "from dense": lambda t, a: (a.to_dense().to_sparse(), a.to_dense().to_sparse_coo()),
    "product of sparse and dense": lambda t, a: t.dsmm(a, t.ones(4, 2)),
    "from dense, rows": lambda t, a: a.to_dense().to_sparse(1),
    "back of rows": lambda t, a: a.to_dense().to_sparse(1).to_dense(),
    "spmm": lambda t, a: t.spmm(a, t.tensor(DENSE)),
    "sparse.mm": lambda t, a: t.sparse.mm(a, t.tensor(DENSE)),
    "mm": lambda t, a: t.mm(a, t.tensor(DENSE)),
    "method": lambda t, a: a.mm(t.tensor(DENSE)),
    "matmul": lambda t, a: t.matmul(a, t.tensor(DENSE)),
    "@": lambda t, a: a @ t.tensor(DENSE),
    "@ vector": lambda t, a: a @ t.tensor(DENSE[:, 0]),
    "mv": lambda t, a: t.mv(a, t.tensor(DENSE[:, 0])),
    "dense @": lambda t, a: t.tensor(DENSE[:3].T.copy()) @ a,
    "sparse @ sparse": lambda t, a: t.sparse.mm(a, a.t()),
    "addmm": lambda t, a: t.sparse.addmm(t.ones(3, 2), a, t.tensor(DENSE), beta=0.5, alpha=2.0),
    "t": lambda t, a: (a.t(), a.transpose(0, 1)),
    "+": lambda t, a: a + a.coalesce(),
    "-": lambda t, a: a - a * 0.5,
    "dense +": lambda t, a: t.ones(3, 4) + a,
    "* number": lambda t, a: (a * 2, 2 * a, a / 4, -a),
    "* sparse": lambda t, a: a * a.coalesce(),
    "* dense": lambda t, a: a * t.full((3, 4), 3.0),
    "sum": lambda t, a: (a.sum(), t.sparse.sum(a), t.sum(a)),
    "sum 0": lambda t, a: t.sparse.sum(a, 0),
    "sum -1": lambda t, a: t.sparse.sum(a, dim=-1),
    "sum both": lambda t, a: t.sparse.sum(a, (0, 1)),
    "softmax": lambda t, a: (t.sparse.softmax(a, 1), t.sparse.softmax(a, 0), t.sparse.log_softmax(a, 1)),
    "unary": lambda t, a: (t.abs(a), a.coalesce().sqrt().to_dense().isnan().sum(), t.sin(a), a.coalesce().neg()),
    "float": lambda t, a: (a.double().dtype, a.to(t.float64).dtype, a.cpu()),
    "legacy": lambda t, a: t.sparse.FloatTensor(t.tensor(INDICES), t.tensor(VALUES), t.Size([3, 4])),
    "no size": lambda t, a: t.sparse_coo_tensor(INDICES, [1, 2, 3, 4, 5]).shape,
    "empty": lambda t, a: (t.sparse_coo_tensor((2, 3)).to_dense(), t.sparse_coo_tensor((2, 3))._nnz()),
    "dense dims": lambda t, a: t.sparse_coo_tensor([[0, 2]], [[1.0, 2.0], [3.0, 4.0]], (3, 2)).to_dense(),
    "row": lambda t, a: a[0],
    "mask": lambda t, a: t.arange(12.0).reshape(3, 4).sparse_mask(a.coalesce()),
    "detach": lambda t, a: (a.detach().requires_grad, a.clone()),
    "spdiags": lambda t, a: t.sparse.spdiags(t.arange(9).reshape(3, 3), t.tensor([0, -1, 2]), (4, 4)).to_dense(),
    "is_tensor": lambda t, a: (t.is_tensor(a), isinstance(a, t.Tensor)),
    "repr": lambda t, a: repr(a.coalesce()),
}


@pytest.mark.parametrize("name", CASES)
def test_results(name):
    expected, found = (plain(CASES[name](library, made(library))) for library in (torch, mg))
    assert found == expected


ERRORS = {
    "outside": lambda t: t.sparse_coo_tensor([[0, 5]], [1.0, 1.0], (3,), check_invariants=True),
    "negative": lambda t: t.sparse_coo_tensor([[0, -1]], [1.0, 1.0], (3,), check_invariants=True),
    "counts": lambda t: t.sparse_coo_tensor([[0, 1]], [1.0], (3,)),
    "dimensions": lambda t: t.sparse_coo_tensor([[0]], [1.0], (3, 3)),
    "shapes": lambda t: t.mm(made(t), t.ones(3, 3)),
    "uncoalesced": lambda t: made(t).indices(),
    "dense": lambda t: t.ones(2).coalesce(),
    "values of dense": lambda t: t.ones(2)._nnz(),
    "sizes": lambda t: made(t) + made(t, size=(3, 5)),
    "unknown": lambda t: t.cumsum(made(t), 0),
    "convolution": lambda t: t.nn.functional.conv1d(made(t), t.ones(1, 1, 1)),
    "getitem": lambda t: made(t)[9],
    "nothing": lambda t: t.sparse.sum(made(t), 2),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    with pytest.raises(Exception) as expected:
        ERRORS[name](torch)
    with pytest.raises(type(expected.value)):
        ERRORS[name](mg)


@pytest.mark.parametrize(
    "name", ["spmm", "mm", "@ vector", "dense @", "addmm", "softmax", "sum 0", "* number", "+", "t"]
)
def test_gradients(name):
    found = []
    for library in (torch, mg):
        values = library.tensor(VALUES, requires_grad=True)
        dense = library.tensor(DENSE, requires_grad=True)
        result = CASES[name](library, library.sparse_coo_tensor(INDICES, values, (3, 4)))
        result = result[0] if isinstance(result, tuple) else result
        if result.is_sparse:
            result = result.to_dense()
        loss = (result**2).sum() + (library.sparse.mm(made(library), dense) ** 2).sum()
        loss.backward()
        found.append([plain(values.grad), plain(dense.grad)])
    assert found[0] == found[1]


def test_second_order():
    def product(values, dense):
        return mg.sparse.mm(mg.sparse_coo_tensor(INDICES, values, (3, 4)), dense)

    inputs = [mg.tensor(part, dtype=mg.float64, requires_grad=True) for part in (VALUES, DENSE)]
    assert mg.autograd.gradcheck(product, inputs) and mg.autograd.gradgradcheck(product, inputs)
    a = made(mg, grad=True)
    (a @ mg.ones(4)).sum().backward()
    assert a.grad.is_sparse and a.grad._values().tolist() == [1] * 5 and a.requires_grad and a.is_leaf


def test_what_is_not_supported_says_so():
    a = made(mg)
    refused = 0
    for name in dir(mg.Tensor):
        if name.startswith("_") or name in vars(type(a)) or name in ("is_sparse",):
            continue
        try:
            found = getattr(a, name)
            if isinstance(found, types.MethodType):
                found()
        except (NotImplementedError, TypeError, AttributeError, RuntimeError, IndexError, ValueError):
            refused += 1
        else:
            allowed = (*mg.sparse._FUNCTIONS, "neg_", "abs_")
            assert name in allowed or not isinstance(found, mg.Tensor), name
    assert refused > 300
    with pytest.raises(NotImplementedError, match="to_dense"):
        mg.nn.functional.max_pool1d(a, 2)
    with pytest.raises(AttributeError, match="sparse_coo"):
        mg.sparse_csr_tensor  # noqa: B018


GCN = '''
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.modules.module import Module
from torch.nn.parameter import Parameter


def sparse_matrix_to_tensor(rows, columns, values, shape):
    indices = torch.from_numpy(np.vstack((rows, columns)).astype(np.int64))
    return torch.sparse.FloatTensor(indices, torch.from_numpy(values.astype(np.float32)), torch.Size(shape))


class GraphConvolution(Module):
    def __init__(self, in_features, out_features, bias=True):
        super(GraphConvolution, self).__init__()
        self.weight = Parameter(torch.FloatTensor(in_features, out_features))
        self.bias = Parameter(torch.FloatTensor(out_features)) if bias else None
        generator = np.random.RandomState(in_features)
        stdv = 1. / math.sqrt(self.weight.size(1))
        for p in self.parameters():
            p.data.copy_(torch.from_numpy(generator.uniform(-stdv, stdv, tuple(p.shape)).astype(np.float32)))

    def forward(self, input, adj):
        support = torch.mm(input, self.weight)
        output = torch.spmm(adj, support)
        return output + self.bias if self.bias is not None else output


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass):
        super(GCN, self).__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        return F.log_softmax(self.gc2(x, adj), dim=1)


rng = np.random.RandomState(0)
n = 12
dense = (rng.rand(n, n) < 0.3).astype(np.float32)
dense = np.maximum(dense, dense.T) + np.eye(n, dtype=np.float32)
dense /= dense.sum(1, keepdims=True)
rows, columns = dense.nonzero()
adj = sparse_matrix_to_tensor(rows, columns, dense[rows, columns], (n, n))
features = torch.from_numpy(rng.rand(n, 5).astype(np.float32))
labels = torch.LongTensor(rng.randint(0, 3, n))
model = GCN(5, 8, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
losses = []
for epoch in range(20):
    model.train()
    optimizer.zero_grad()
    output = model(features, adj)
    loss = F.nll_loss(output[:8], labels[:8])
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
accuracy = output.max(1)[1].type_as(labels).eq(labels).double().sum().item() / n
'''


def test_a_graph_convolution_network_as_it_is(tmp_path):
    import json
    import os
    import subprocess
    import sys

    program = tmp_path / "gcn.py"
    program.write_text(GCN + "import json\nprint(json.dumps([losses, accuracy]))\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    results = []
    for prefix in ([], ["-m", "minigrad.compat"]):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", *prefix, str(program)], capture_output=True, text=True, env=environment
        )
        assert run.returncode == 0, run.stderr
        results.append(json.loads(run.stdout.splitlines()[-1]))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-4)
    assert results[0][1] == results[1][1] and results[0][0][-1] < results[0][0][0]


# ---------------------------------------------------------------------- embeddings with sparse gradients
def described(gradient):
    """Whether it is sparse, of how many entries once added up, its dtype, and the numbers."""
    dense = gradient.to_dense() if gradient.is_sparse else gradient
    entries = gradient.coalesce()._nnz() if gradient.is_sparse else None
    return gradient.is_sparse, entries, str(dense.dtype)[-7:], dense.tolist()


def lookup(t, w, **options):
    return t.nn.functional.embedding(t.tensor([[1, 2], [3, 1]]), w, sparse=True, **options)


def bags(t, w, **options):
    return t.nn.functional.embedding_bag(t.tensor([[1, 2, 0], [3, 1, 0]]), w, sparse=True, **options)


EMBEDDINGS = {
    "plain": lambda t, w: lookup(t, w),
    "padding": lambda t, w: lookup(t, w, padding_idx=3),
    "largest norm": lambda t, w: lookup(t, w, max_norm=2.0),
    "twice": lambda t, w: lookup(t, w) * lookup(t, w),
    "beside a dense use": lambda t, w: lookup(t, w).sum() + (w * w).sum(),
    "no index": lambda t, w: t.nn.functional.embedding(t.zeros(0, dtype=t.int64), w, sparse=True),
    "bags": lambda t, w: bags(t, w, mode="mean"),
    "padded bags": lambda t, w: bags(t, w, mode="sum", padding_idx=0),
    "weighted bags": lambda t, w: bags(t, w, mode="sum", per_sample_weights=t.arange(6.0).reshape(2, 3).to(w.dtype)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings_give_sparse_gradients(name, dtype):
    results = []
    for t in (torch, mg):
        weight = t.nn.Parameter(t.arange(12.0, dtype=getattr(t, dtype)).reshape(4, 3) / 4)
        EMBEDDINGS[name](t, weight).pow(2).sum().backward()
        results.append([described(weight.grad)])
        lookup(t, weight).sum().backward()  # added to what is there
        results[-1].append(described(weight.grad))
        (found,) = t.autograd.grad(lookup(t, weight).sum(), weight)
        results[-1].append(described(found))
        handle = weight.register_hook(lambda gradient: gradient * 2)
        weight.grad = None
        lookup(t, weight).sum().backward()
        handle.remove()
        results[-1].append(described(weight.grad))
    for theirs, ours in zip(*results):
        assert theirs[:3] == ours[:3]
        np.testing.assert_allclose(ours[3], theirs[3], rtol=1e-6)


def scaled_step(t, w):
    optimizer = t.optim.SGD([w], lr=0.1)
    scaler = t.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(lookup(t, w).sum()).backward()
    scaler.step(optimizer)


def times(t, w):
    w.grad.mul_(0.5)
    w.grad /= 2
    w.grad *= 3
    w.grad.div_(4)
    w.grad.add_(w.grad)
    w.grad -= w.grad * 0.25


STEPS = {
    "times a number": times,
    "add_": lambda t, w: w.data.add_(w.grad, alpha=-0.1),
    "sub_": lambda t, w: w.data.sub_(0.1 * w.grad),
    "-=": lambda t, w: w.data.__isub__(w.grad.data),
    "zero_": lambda t, w: w.grad.zero_(),
    "gradient scaler": scaled_step,
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_by_hand_with_sparse_gradients(name):
    results = []
    for t in (torch, mg):
        weight = t.nn.Parameter(t.arange(12.0, dtype=t.float64).reshape(4, 3))
        lookup(t, weight).sum().backward()
        STEPS[name](t, weight)
        results.append([weight.detach().numpy(), weight.grad.to_dense().numpy()])
        assert weight.grad.is_sparse
    np.testing.assert_allclose(results[1], results[0], rtol=1e-12)


@pytest.mark.parametrize("options", [{"scale_grad_by_freq": True}, {"mode": "max"}], ids=str)
def test_embeddings_without_sparse_gradients(options):
    for t in (torch, mg):
        weight = t.nn.Parameter(t.ones(4, 3))
        with pytest.raises((RuntimeError, ValueError), match="sparse"):
            (bags if "mode" in options else lookup)(t, weight, **options).sum().backward()


def test_word_vectors_learn_with_sparse_adam():
    """Both tables of a skip-gram model move alike, and only where words occur."""
    tables = []
    for t in (torch, mg):
        words, contexts = t.nn.Embedding(20, 4, sparse=True), t.nn.Embedding(20, 4, sparse=True, padding_idx=0)
        for seed, table in enumerate((words, contexts)):
            table.weight.data.copy_(t.tensor(np.random.default_rng(seed).normal(size=(20, 4)).astype("float32")))
        optimizer = t.optim.SparseAdam([*words.parameters(), *contexts.parameters()], lr=0.05)
        rng = np.random.default_rng(5)
        for _ in range(10):
            word, context = t.tensor(rng.integers(0, 10, 8)), t.tensor(rng.integers(0, 15, (8, 3)))
            optimizer.zero_grad()
            score = (words(word).unsqueeze(1) * contexts(context)).sum(-1)
            t.nn.functional.logsigmoid(score).neg().mean().backward()
            optimizer.step()
        tables.append([table.weight.detach().numpy() for table in (words, contexts)])
    for theirs, ours in zip(*tables):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)
    assert (tables[1][0][10:] == np.random.default_rng(0).normal(size=(20, 4)).astype("float32")[10:]).all()
