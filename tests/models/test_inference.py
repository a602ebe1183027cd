"""optimize_for_inference: what is folded, what is left alone, and that the results stay."""
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import models
from minigrad import nn
from models.inference import _SharedReLU


@pytest.fixture(autouse=True)
def seeded():
    mg.manual_seed(0)


def lived_in(model):
    """Give every batch norm statistics and parameters as after training; returns the model in eval mode."""
    with mg.no_grad():
        for norm in model.modules():
            if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)) and norm.running_mean is not None:
                norm.running_mean.uniform_(-0.3, 0.3)
                norm.running_var.uniform_(0.5, 1.5)
                if norm.affine:
                    norm.weight.uniform_(0.5, 1.2)
                    norm.bias.uniform_(-0.3, 0.3)
    return model.eval()


def count(model, *kinds):
    return sum(type(module) in kinds for module in model.modules())


def same_results(fast, model, *inputs, tolerance=1e-5):
    with mg.no_grad():
        expected = model(*[value.clone() for value in inputs]).numpy()
        found = fast(*[value.clone() for value in inputs]).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


NETWORKS = {  # name: (image size, batch norms left, pairs of convolution and ReLU)
    "lenet5": (28, 0, 2),
    "alexnet_grouped": (32, 0, 5),
    "small_cnn": (32, 0, 3),
    "zfnet": (32, 0, 5),
    "vgg11_bn": (32, 0, 8),
    "googlenet": (32, 2, 57),  # the auxiliary classifiers do not run in evaluation
    "small_resnet": (32, 0, 4),
    "resnet18": (32, 0, 9),
    "resnet50": (32, 0, 33),
    "resnext50_32x4d": (32, 0, 33),
    "preact_resnet18": (32, 8, 9),  # half of its batch norms stand before a convolution
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_give_the_same_results(name):
    size, norms, pairs = NETWORKS[name]
    model = lived_in(models.build(name, num_classes=10, image_size=size))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fast = models.optimize_for_inference(model)
    same_results(fast, model, mg.randn(2, model.in_channels, size, size))
    assert count(fast, nn.BatchNorm2d) == norms
    assert count(fast, nn.intrinsic.ConvReLU2d) == pairs
    assert not fast.training and not any(module.training for module in fast.modules())
    assert list(model.state_dict()) == list(before)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key].numpy())


def test_every_kind_of_layer_is_folded():
    model = lived_in(
        nn.Sequential(
            nn.Conv1d(2, 4, 3, bias=False), nn.BatchNorm1d(4), nn.ReLU(),
            nn.ConvTranspose1d(4, 3, 3, stride=2), nn.BatchNorm1d(3, affine=False), nn.ReLU(),
            nn.Flatten(), nn.Linear(3 * 13, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2),
        )
    )  # fmt: skip
    x = mg.randn(4, 2, 8)
    fast = models.optimize_for_inference(model, x)
    same_results(fast, model, x)
    assert [type(module).__name__ for module in fast] == [
        "ConvReLU1d", "Identity", "Identity", "ConvTranspose1d", "Identity", "ReLU", "Flatten", "Linear", "Identity",
        "ReLU", "Linear",
    ]  # fmt: skip


def test_a_model_in_training_mode_is_copied_and_stays_in_it():
    model = models.build("small_resnet", image_size=32)
    model.conv1.weight.requires_grad_(False)
    fast = models.optimize_for_inference(model)
    assert model.training and all(module.training for module in model.modules())
    assert [p.requires_grad for p in (fast.conv1[0].weight, fast.fc.weight)] == [False, True]
    own = {id(parameter) for parameter in model.parameters()}
    assert not any(id(parameter) in own for parameter in fast.parameters())
    same_results(fast, models.optimize_for_inference(fast), mg.randn(1, 3, 32, 32))


class Branches(nn.Module):
    """Convolution and batch norm as attributes; what else sees the convolution's result is the test's."""

    def __init__(self, way):
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(inplace=True)
        self.way = way

    def forward(self, x):
        return self.way(self, x)


def written(self, x):
    y = self.conv(x)
    y.mul_(2)
    return self.bn(y)


def relu_of_a_sum(self, x):
    y = self.bn(self.conv(x))
    y += x
    return self.relu(y)


LEFT_ALONE = {
    "a sum": lambda self, x: self.bn(y := self.conv(x)) + y,
    "an output": lambda self, x: mg.stack([self.bn(y := self.conv(x)), y]),
    "two calls of the convolution": lambda self, x: self.bn(self.conv(self.conv(x))),
    "two calls of the batch norm": lambda self, x: self.bn(self.bn(self.conv(x))),
    "a function between": lambda self, x: self.bn(self.conv(x).abs()),
    "a mask": lambda self, x: self.bn(y := self.conv(x)) * (y > 0),
    "batch norm first": lambda self, x: self.conv(self.bn(x)),
    "written in place": written,
}


@pytest.mark.parametrize("way", LEFT_ALONE)
def test_a_result_that_others_see_is_not_folded(way):
    model = lived_in(Branches(LEFT_ALONE[way]))
    x = mg.randn(2, 2, 4, 4)
    fast = models.optimize_for_inference(model, x)
    assert type(fast.bn) is nn.BatchNorm2d
    same_results(fast, model, x, tolerance=0)


def test_relus_with_other_inputs_stay():
    model = lived_in(Branches(relu_of_a_sum))
    x = mg.randn(2, 2, 4, 4)
    fast = models.optimize_for_inference(model, x)
    assert type(fast.bn) is nn.Identity and type(fast.conv) is nn.Conv2d and type(fast.relu) is nn.ReLU
    same_results(fast, model, x)


def test_a_relu_that_several_layers_share_knows_whose_result_it_gets():
    def way(self, x):
        y = self.relu(self.bn(self.conv(x)))
        y -= 1
        return self.relu(y) + self.relu(x)

    model = lived_in(Branches(way))
    fast = models.optimize_for_inference(model, mg.randn(2, 2, 4, 4))
    assert type(fast.conv) is nn.intrinsic.ConvReLU2d and type(fast.relu) is _SharedReLU
    same_results(fast, model, mg.randn(3, 2, 5, 5))


def test_some_pairs_of_many_are_folded():
    """Where one of the pairs is not to be folded, the others still are."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.good = nn.ModuleList([nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)) for _ in range(5)])
            self.bad = Branches(LEFT_ALONE["a mask"])

        def forward(self, x):
            for block in self.good[:3]:
                x = block(x)
            x = self.bad(x)
            for block in self.good[3:]:
                x = block(x)
            return {"result": x}["result"]

    model = lived_in(Net())
    x = mg.randn(2, 2, 4, 4)
    fast = models.optimize_for_inference(model, (x,))
    assert [type(block[1]) for block in fast.good] == [nn.Identity] * 5 and type(fast.bad.bn) is nn.BatchNorm2d
    same_results(fast, model, x)


class OtherConv(nn.Conv2d):
    def forward(self, input):
        return super().forward(input) * 2


def test_hooks_subclasses_and_own_methods_are_left_alone():
    x = mg.randn(1, 2, 4, 4)

    def hooked():
        model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
        model[0].register_forward_hook(lambda module, args, output: output * 2)
        return model

    def own_forward():
        model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
        model[1].forward = lambda input: input * 3
        return model

    for make in (
        hooked,
        own_forward,
        lambda: nn.Sequential(OtherConv(2, 2, 1), nn.BatchNorm2d(2)),
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 2, 1)), nn.BatchNorm2d(2)),
        lambda: nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)),
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 2, 1, groups=2), nn.BatchNorm2d(2)),
    ):
        model = lived_in(make())
        fast = models.optimize_for_inference(model, x)
        assert type(fast[1]) is nn.BatchNorm2d
        same_results(fast, model, x, tolerance=0)


def test_a_convolution_that_two_modules_hold_is_replaced_in_both():
    block = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.ReLU())
    model = nn.Sequential(block)
    model.alias = nn.Identity()
    model.alias.held = block[1]
    fast = models.optimize_for_inference(lived_in(model), mg.randn(1, 2, 4, 4))
    assert type(fast.alias.held) is nn.Identity


def test_shared_parameters_are_parted():
    first, second = nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 2, 1, bias=False)
    second.weight = first.weight
    model = lived_in(nn.Sequential(first, nn.BatchNorm2d(2), second, nn.BatchNorm2d(2)))
    x = mg.randn(2, 2, 3, 3)
    fast = models.optimize_for_inference(model, x)
    assert count(fast, nn.BatchNorm2d) == 0 and fast[0].weight is not fast[2].weight
    same_results(fast, model, x)


def test_models_that_can_not_be_traced_are_refused():
    plain = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    x = mg.randn(1, 2, 3, 3)
    with pytest.raises(ValueError, match="Sequential does not say what images it takes"):
        models.optimize_for_inference(plain)
    noisy = lived_in(Branches(lambda self, x: nn.functional.dropout(self.bn(self.conv(x)), 0.5)))
    with pytest.raises(RuntimeError, match="different results for one input"):
        models.optimize_for_inference(noisy, x)
    hidden = lived_in(Branches(lambda self, x: self.layers[1](self.layers[0](x))))
    hidden.layers = [hidden.conv, hidden.bn]
    with pytest.raises(RuntimeError, match="calls layers that it does not hold as modules"):
        models.optimize_for_inference(hidden, x)
    with pytest.raises(RuntimeError, match="not only finite numbers"):
        models.optimize_for_inference(plain, x * float("nan"))
    assert plain.training and type(plain[1]) is nn.BatchNorm2d


def test_lazy_layers_and_double_precision():
    model = nn.Sequential(nn.LazyConv2d(3, 3), nn.LazyBatchNorm2d(), nn.ReLU()).double()
    x = mg.randn(2, 2, 5, 5, dtype=mg.float64)
    model(x)
    fast = models.optimize_for_inference(lived_in(model), x)
    assert type(fast[0]) is nn.intrinsic.ConvReLU2d and fast[0][0].weight.dtype is mg.float64
    same_results(fast, model, x, tolerance=1e-12)


@pytest.mark.parametrize("optimized", [False, True])
def test_without_gradients_no_activations_are_kept(optimized):
    model = lived_in(models.build("resnet50", num_classes=10, image_size=96))
    x = mg.randn(1, 3, 96, 96)
    sizes = []
    handles = [
        module.register_forward_hook(lambda module, args, output: sizes.append(output.array.nbytes))
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with mg.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    network = models.optimize_for_inference(model) if optimized else model
    with mg.no_grad():
        network(x)  # what is kept from call to call is there already
        tracemalloc.start()
        try:
            y = network(x)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert y.grad_fn is None and not y.requires_grad
    assert peak < 6 * max(sizes) < sum(sizes) / 2


def test_the_page_about_performance_runs():
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names = {}
    exec(program, names)
    assert names["scores"].shape == (8, 10)
