"""Outputs of inner layers by name: what the layers give when the network is run, and nothing after them."""

import pytest

import minigrad as mg
import models
from minigrad import nn
from models.feature_extraction import create_feature_extractor, get_graph_node_names


class Twice(nn.Module):
    """A network that calls one layer twice and has a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(mg.tensor(2.0))
        self.linear = nn.Linear(3, 3)
        self.act = nn.Tanh()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x, *, shift=0.0):
        x = self.act(self.linear(x) * self.scale + shift)
        return self.norm(self.act(x))


def test_outputs_are_those_of_the_layers():
    model, x = Twice(), mg.randn(4, 3)
    first = mg.tanh(model.linear(x) * 2 + 1)
    found = create_feature_extractor(model, {"act_1": "second", "act": "first"})(x, shift=1.0)
    assert list(found) == ["second", "first"]
    assert mg.equal(found["first"], first) and mg.equal(found["second"], mg.tanh(first))
    assert int(model.norm.num_batches_tracked) == 0  # it did not run
    found["second"].sum().backward()
    assert model.scale.grad is not None and model.norm.weight.grad is None
    assert not model.act._forward_hooks


def test_layers_and_names_are_the_models():
    model = models.resnet18(num_classes=3)
    features = create_feature_extractor(model, ["layer1", "layer2.0.relu_1", "avgpool"]).eval()
    assert list(features.state_dict()) == list(model.state_dict()) and not model.training
    assert features.layer1 is model.layer1
    x = mg.randn(2, 3, 33, 33)
    found = features(x)
    stem = model.maxpool(model.relu(model.bn1(model.conv1(x))))
    assert mg.equal(found["layer1"], model.layer1(stem))
    assert mg.equal(found["layer2.0.relu_1"], model.layer2[0](model.layer1(stem)))
    assert found["avgpool"].shape == (2, 512, 1, 1)


def test_modes_and_errors():
    model, x = Twice(), mg.randn(4, 3)
    features = create_feature_extractor(model, train_return_nodes=["linear"], eval_return_nodes={"norm": "out"})
    assert list(features(x)) == ["linear"]
    assert list(features.eval()(x)) == ["out"]
    for nodes in (["relu"], ["act_x"], [""], []):
        with pytest.raises(ValueError):
            create_feature_extractor(model, nodes)
    with pytest.raises(ValueError):
        create_feature_extractor(model)
    with pytest.raises(ValueError):
        create_feature_extractor(model, ["act"], eval_return_nodes=["norm"])
    with pytest.raises(RuntimeError, match="act_2"):
        create_feature_extractor(model, ["act_2"])(x)


def test_names_of_layers_are_those_that_are_taken():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.Flatten()), nn.Linear(16, 2))
    train, evaluation = get_graph_node_names(layers)
    assert train == evaluation == ["0", "1.0", "1.1", "2"]
    features = create_feature_extractor(layers, train)
    assert list(features(mg.zeros(1, 3, 4, 4))) == train
    with pytest.raises(NotImplementedError, match="there is no tracer here"):
        get_graph_node_names(layers, tracer_kwargs={"leaf_modules": [nn.ReLU]})
