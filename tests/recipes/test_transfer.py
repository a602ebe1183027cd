"""Freezing, new heads, learning rates by part."""

import copy
import pickle

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from minigrad import nn, optim
from minigrad.recipes import freeze, freeze_batch_norm, parameter_groups, replace_head, unfreeze


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(2)
        self.body = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.body(self.norm(self.stem(x))).mean((2, 3)))


NAMES = [name for name, _ in Network().named_parameters()]


def trainable(model):
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def train(model, optimizer, steps=3):
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(mg.randn(6, 1, 6, 6)), mg.tensor([0, 1, 2, 0, 1, 2]))
        loss.backward()
        optimizer.step()


def state(model):
    return {name: tensor.detach().clone().numpy() for name, tensor in model.state_dict().items()}


def moved(before, model):
    after = state(model)
    return [name for name in before if not np.array_equal(before[name], after[name])]


# ---------------------------------------------------------------------- which part
@pytest.mark.parametrize(
    ("arguments", "frozen"),
    [
        ({}, NAMES),
        ({"names": "stem"}, ["stem.weight"]),
        ({"names": "body.0"}, ["body.0.weight", "body.0.bias"]),
        ({"names": "body.0.weight"}, ["body.0.weight"]),
        ({"names": ["stem", "head"]}, ["stem.weight", "head.weight", "head.bias"]),
        ({"names": "*.bias"}, ["norm.bias", "body.0.bias", "body.1.bias", "head.bias"]),
        ({"names": "b*"}, ["body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias"]),
        ({"names": ""}, NAMES),
        ({"names": []}, []),
        ({"depth": 0}, []),
        ({"depth": 1}, ["stem.weight"]),
        ({"depth": 3}, NAMES[:5]),
        ({"depth": -1}, NAMES[:-2]),
        ({"depth": -2}, NAMES[:-4]),
        ({"depth": 5}, NAMES),
        ({"depth": -5}, []),
    ],
    ids=str,
)
def test_what_is_frozen(arguments, frozen):
    model = Network()
    found = freeze(model, **arguments)
    assert [name for name in found if name in NAMES] == frozen
    whole = [norm for norm in ("norm", "body.1") if {f"{norm}.weight", f"{norm}.bias"} <= set(frozen)]
    assert found[len(frozen) :] == [f"{norm}.{name}" for norm in whole for name in ("running_mean", "running_var")]
    assert trainable(model) == [name for name in NAMES if name not in frozen]
    assert freeze(model, **arguments) == []
    assert unfreeze(model, found) == found
    assert trainable(model) == NAMES


@given(chosen=st.sets(st.sampled_from(NAMES)), fixed=st.sets(st.sampled_from(NAMES)))
def test_unfreezing_what_was_frozen_undoes_it(chosen, fixed):
    """Parameters that did not train before do not train after."""
    model = Network()
    for name in fixed:
        model.get_parameter(name).requires_grad_(False)
    frozen = freeze(model, chosen)
    assert set(frozen) & set(NAMES) == chosen - fixed
    unfreeze(model, frozen)
    assert set(trainable(model)) == set(NAMES) - fixed
    assert not any(part._forward_pre_hooks for part in model.modules())


def test_a_name_is_not_a_prefix():
    model = nn.ModuleDict({"layer1": nn.Linear(1, 1), "layer10": nn.Linear(1, 1)})
    assert freeze(model, "layer1") == ["layer1.weight", "layer1.bias"]


def test_a_shared_parameter_is_frozen_by_either_name():
    model = nn.ModuleDict({"first": nn.Linear(2, 2, bias=False), "second": nn.Linear(2, 2, bias=False)})
    model["second"].weight = model["first"].weight
    assert freeze(model, "second") == ["second.weight"]
    assert not model["first"].weight.requires_grad


@pytest.mark.parametrize("function", [freeze, unfreeze])
def test_choice_refuses(function):
    with pytest.raises(ValueError, match="no module or parameter is called 'features'; .* stem, norm, body, head"):
        function(Network(), ["stem", "features"])
    with pytest.raises(ValueError, match="depth is -6, but the module has 5 layers"):
        function(Network(), depth=-6)
    with pytest.raises(ValueError, match="not both"):
        function(Network(), "stem", depth=1)
    with pytest.raises(TypeError, match="a Module is needed, not list"):
        function([])


# ---------------------------------------------------------------------- nothing moves
OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    "LBFGS": None,
    "Muon": None,
    "SparseAdam": None,
    **{
        name: (lambda p, name=name: getattr(optim, name)(p, lr=0.1, weight_decay=0.1))
        for name in ("ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop")
    },
    "Rprop": lambda p: optim.Rprop(p, lr=0.1),
}


def test_the_table_names_every_optimizer():
    """LBFGS sees one vector, Muon takes matrices only, SparseAdam sparse gradients: they are not for this."""
    assert set(OPTIMIZERS) == {name for name in dir(optim) if isinstance(getattr(optim, name), type)} - {"Optimizer"}


@pytest.mark.parametrize("order", ["optimizer before", "optimizer after", "trained before"])
@pytest.mark.parametrize("name", [name for name, make in OPTIMIZERS.items() if make])
def test_frozen_parameters_do_not_move(name, order):
    model = Network()
    optimizer = OPTIMIZERS[name](model.parameters()) if order != "optimizer after" else None
    if order == "trained before":
        train(model, optimizer)  # momentum and gradients are there
    freeze(model, depth=-1)
    optimizer = optimizer or OPTIMIZERS[name](model.parameters())
    before = state(model)
    train(model, optimizer)
    assert set(moved(before, model)) == {"head.weight", "head.bias"}
    assert all(parameter.grad is None for key, parameter in model.named_parameters() if not key.startswith("head"))
    unfreeze(model)
    before = state(model)
    train(model, optimizer)
    assert set(NAMES) <= set(moved(before, model))


def test_no_gradient_is_computed_below_the_head():
    model = Network()
    freeze(model, depth=-1)
    features = model.body(model.norm(model.stem(mg.randn(2, 1, 6, 6))))
    assert not features.requires_grad


# ---------------------------------------------------------------------- statistics
STATISTICS = ["running_mean", "running_var", "num_batches_tracked"]


@pytest.mark.parametrize("statistics", [True, False])
def test_statistics_of_a_frozen_batch_norm(statistics):
    model = Network()
    freeze(model, ["stem", "norm"], statistics=statistics)
    before = state(model)
    train(model, optim.SGD(model.parameters(), lr=0.1))
    found = moved(before, model)
    assert [f"norm.{name}" in found for name in STATISTICS] == [not statistics] * 3
    assert [f"body.1.{name}" in found for name in STATISTICS] == [True] * 3


def test_a_frozen_batch_norm_normalises_by_its_statistics():
    model = Network()
    train(model, optim.SGD(model.parameters(), lr=0.1))
    x = mg.randn(4, 2, 5, 5)
    expected = model.eval().norm(x)
    freeze(model, "norm")
    assert bool((model.train().norm(x) == expected).all())
    unfreeze(model, "norm")
    assert model.norm.training
    assert not bool((model.norm(x) == expected).all())


def test_half_a_batch_norm_is_not_frozen():
    model = Network()
    freeze(model, "*.bias")
    before = state(model)
    train(model, optim.SGD(model.parameters(), lr=0.1))
    assert "norm.running_mean" in moved(before, model)


def test_batch_norms_without_weights():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False))
    frozen = freeze(model)
    assert frozen == ["0.weight", "0.bias", "1.running_mean", "1.running_var"]
    model.train()(mg.randn(4, 2))
    assert model[1].running_mean.tolist() == [0.0, 0.0]
    assert unfreeze(model, frozen) == frozen
    model.train()(mg.randn(4, 2))
    assert model[1].running_mean.tolist() != [0.0, 0.0]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_stays_frozen_and_can_be_unfrozen(copied):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    freeze(model)
    model = copied(model)
    model.train()(mg.randn(4, 2))
    assert model[1].running_mean.tolist() == [0.0, 0.0] and trainable(model) == []
    unfreeze(model)
    model.train()(mg.randn(4, 2))
    assert model[1].running_mean.tolist() != [0.0, 0.0] and len(trainable(model)) == 4


def test_freeze_batch_norm():
    model = Network()
    parts = ("weight", "bias", "running_mean", "running_var")
    assert freeze_batch_norm(model) == [f"{norm}.{part}" for norm in ("norm", "body.1") for part in parts]
    before = state(model)
    train(model, optim.SGD(model.parameters(), lr=0.1))
    assert moved(before, model) == ["stem.weight", "body.0.weight", "body.0.bias", "head.weight", "head.bias"]
    assert freeze_batch_norm(nn.Linear(1, 1)) == []
    assert freeze_batch_norm(nn.BatchNorm1d(2)) == list(parts)


def test_statistics_by_name():
    model = Network()
    assert freeze(model, "norm.running_*") == ["norm.running_mean", "norm.running_var"]
    before = state(model)
    train(model, optim.SGD(model.parameters(), lr=0.1))
    found = moved(before, model)
    assert "norm.weight" in found and "norm.running_mean" not in found and "body.1.running_mean" in found


# ---------------------------------------------------------------------- heads
def test_replace_head():
    model = Network().double().eval()
    freeze(model)
    new = replace_head(model, 7)
    assert model.head is new
    assert (new.in_features, new.out_features) == (2, 7)
    assert new.weight.dtype == mg.float64 and not new.training
    assert trainable(model) == ["head.weight", "head.bias"]
    assert model(mg.zeros(1, 1, 6, 6, dtype=mg.float64)).shape == (1, 7)


def test_replace_head_by_name_and_without_bias():
    model = nn.Sequential(nn.Linear(4, 3, bias=False), nn.Sequential(nn.Linear(3, 2)))
    new = replace_head(model, 5, "0")
    assert new.bias is None and new.weight.shape == (5, 4)
    assert replace_head(model, 5).weight.shape == (5, 3)
    assert isinstance(model[1][0], nn.Linear) and model[1][0].out_features == 5


def test_replace_head_refuses():
    with pytest.raises(ValueError, match="Sequential has no linear layer"):
        replace_head(nn.Sequential(nn.ReLU()), 2)
    with pytest.raises(ValueError, match="is itself the linear layer"):
        replace_head(nn.Linear(2, 2), 2)
    with pytest.raises(TypeError, match="'stem' is a Conv2d"):
        replace_head(Network(), 2, "stem")
    with pytest.raises(AttributeError, match="classifier"):
        replace_head(Network(), 2, "classifier")
    with pytest.raises(ValueError, match="run the model once before"):
        replace_head(nn.Sequential(nn.LazyLinear(3)), 2)


# ---------------------------------------------------------------------- learning rates
def described(model, groups):
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {group["name"]: (group.get("lr"), [names[parameter] for parameter in group["params"]]) for group in groups}


def test_rates_by_pattern():
    model = Network()
    groups = described(model, parameter_groups(model, {"head": 0.1, "*.bias": 0.02, "body": 0.01}))
    assert groups == {
        "head": (0.1, ["head.weight", "head.bias"]),
        "*.bias": (0.02, ["norm.bias", "body.0.bias", "body.1.bias"]),
        "body": (0.01, ["body.0.weight", "body.1.weight"]),
        "rest": (None, ["stem.weight", "norm.weight"]),
    }
    assert described(model, parameter_groups(model, {"head": 0.1}, lr=0.5))["rest"][0] == 0.5
    assert list(described(model, parameter_groups(model, {"": 0.1}))) == [""]


def test_layer_wise_decay():
    model = Network()
    groups = described(model, parameter_groups(model, lr=0.1, layer_decay=0.5))
    assert list(groups) == ["stem", "norm", "body.0", "body.1", "head"]
    assert [rate for rate, _ in groups.values()] == pytest.approx([0.00625, 0.0125, 0.025, 0.05, 0.1])


@pytest.mark.parametrize("make", [optim.SGD, optim.AdamW, optim.RMSprop])
@pytest.mark.parametrize("options", [{"rates": {"head": 0.1}, "lr": 0.0}, {"lr": 0.1, "layer_decay": 1e-30}])
def test_groups_move_at_their_rates(make, options):
    model = Network()
    before = state(model)
    train(model, make(parameter_groups(model, **options), lr=1.0, weight_decay=0.0))
    after = state(model)
    assert [name for name in NAMES if not np.allclose(before[name], after[name])] == ["head.weight", "head.bias"]


@given(depth=st.integers(0, 5))
def test_every_parameter_is_in_one_group(depth):
    model = Network()
    freeze(model, depth=depth)
    for groups in (parameter_groups(model, {"*.weight": 1.0}), parameter_groups(model, lr=1.0, layer_decay=0.9)):
        assert sorted(name for _, names in described(model, groups).values() for name in names) == sorted(NAMES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give rates or layer_decay"),
        ({"rates": {"head": 1.0}, "layer_decay": 0.5}, "give rates or layer_decay"),
        ({"layer_decay": 0.5}, "needs lr"),
        ({"layer_decay": 0.0, "lr": 1.0}, "layer_decay must be positive"),
        ({"rates": {"fc": 1.0}}, "no module or parameter is called 'fc'"),
        ({"rates": {"*": 1.0, "head": 2.0}}, "no parameters are left for 'head'"),
        ({"rates": {"body.2": 1.0}}, "no parameters are left for 'body.2'"),
        ({"rates": {"head": -1.0}}, "the learning rate of 'head' is negative"),
    ],
)
def test_parameter_groups_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        parameter_groups(Network(), **options)
