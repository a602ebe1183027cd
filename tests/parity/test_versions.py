"""Tensor._version: how often the same programs have written a tensor, in both frameworks."""

import pytest

torch = pytest.importorskip("torch")

import minigrad  # noqa: E402

WRITES = {
    "add_": lambda t, x: x.add_(1),
    "iadd": lambda t, x: x.__iadd__(1),
    "view": lambda t, x: x[1:].mul_(2),
    "detached": lambda t, x: x.detach().zero_(),
    "setitem": lambda t, x: x.__setitem__(0, 1.0),
    "setitem by index": lambda t, x: x.__setitem__(t.tensor([0, 1]), t.ones(2)),
    "fill_": lambda t, x: x.fill_(2),
    "copy_": lambda t, x: x.copy_(t.ones(4)),
    "out=": lambda t, x: t.add(t.ones(4), 1, out=x),
    "uniform_": lambda t, x: x.uniform_(),
    "clamp_": lambda t, x: x.clamp_(0, 1),
    "relu_": lambda t, x: x.relu_(),
    "index_fill_": lambda t, x: x.index_fill_(0, t.tensor([0]), 1.0),
    "scatter_": lambda t, x: x.scatter_(0, t.tensor([0]), 1.0),
    "masked_fill_": lambda t, x: x.masked_fill_(x > 0, 1.0),
    "unsqueeze_": lambda t, x: x.unsqueeze_(0).squeeze_(0),
    "resize_": lambda t, x: x.resize_(8).resize_(4),
    "set_": lambda t, x: x.set_(t.zeros(4).add_(1)),
    "data=": lambda t, x: setattr(x, "data", t.zeros(4)),
    "numpy": lambda t, x: x.detach().numpy().fill(3),
    "increment": lambda t, x: t.autograd.graph.increment_version(x),
    "requires_grad_": lambda t, x: x.requires_grad_().detach_(),
    "read": lambda t, x: (x + 1, x.clone().add_(1), x[0].item()),
}
RESHAPING = ("unsqueeze_", "resize_", "set_", "data=")  # others do not see that a tensor has another shape or memory
UNTRACKED = (*RESHAPING, "requires_grad_", "out=")  # of leaves only
RESHAPED = {(name, before) for name in RESHAPING for before in ("view", "detached")}


def written(t, write, before, tracked):
    x = (t.ones(4, requires_grad=True) * 2) if tracked else t.ones(4)
    other = x[1:] if before == "view" else x.detach() if before == "detached" else x
    versions = []
    for _ in range(2):
        write(t, x)
        versions.append((x._version, other._version))
    return versions


@pytest.mark.parametrize(
    "name, before",
    [(name, before) for name in WRITES for before in ("alone", "view", "detached") if (name, before) not in RESHAPED],
)
def test_version(name, before):
    for tracked in (False, name not in UNTRACKED):
        got, expected = (written(t, WRITES[name], before, tracked) for t in (minigrad, torch))
        assert got == expected


def steps(t, kind):
    parameter = t.nn.Parameter(t.ones(2))
    optimizer = getattr(t.optim, kind)([parameter], lr=0.1)
    for _ in range(2):
        parameter.sum().backward()
        optimizer.step()
    return parameter._version


@pytest.mark.parametrize("kind", ["SGD", "Adam", "RMSprop", "Adagrad"])
def test_version_after_steps(kind):
    assert steps(minigrad, kind) == steps(torch, kind)


def test_version_of_layers():
    for t in (minigrad, torch):
        layer = t.nn.Linear(2, 2)
        assert (layer.weight._version, layer.bias._version) == (1, 1)
        layer.load_state_dict(t.nn.Linear(2, 2).state_dict())
        assert layer.weight._version == 2
