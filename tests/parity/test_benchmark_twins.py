"""The PyTorch networks of the benchmarks are those of models/: names, shapes, scores and gradients."""
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import library_minigrad, networks, peer_torch  # noqa: E402
from minigrad.nn import init  # noqa: E402

flop_counter = pytest.importorskip("torch.utils.flop_counter")

mg = library_minigrad.library


def close(actual, wanted, tolerance=1e-8):
    actual, wanted = actual.detach().numpy(), wanted.detach().numpy()
    assert actual.shape == wanted.shape and np.abs(wanted).max() > 0
    assert np.abs(actual - wanted).max() <= tolerance * np.abs(wanted).max()


TWINS = ("alexnet", "googlenet", "vgg16", "resnet18", "resnet50", "resnet200", "lenet5", "mlp")


@pytest.mark.parametrize("name", TWINS)
def test_scores_and_gradients(name):
    """At small images and in double precision; batch norm in training mode, dropout off."""
    row = networks.network_of(name)
    side = 28 if row.image_size == 28 else 32
    torch.manual_seed(0)
    twin = peer_torch.build(name, side, 7).double().train()
    with init.paused():
        ours = library_minigrad.build(name, side, 7).double().train()
    ours.load_state_dict({key: mg.from_numpy(value.numpy()) for key, value in twin.state_dict().items()})
    for model in (ours, twin):
        for layer in model.modules():
            if type(layer).__name__ == "Dropout":
                layer.p = 0.0
    images = np.random.default_rng(0).standard_normal((2, row.channels, side, side))
    x, y = mg.tensor(images, requires_grad=True), torch.tensor(images, requires_grad=True)
    scores, wanted = ours(x), twin(y)
    close(scores, wanted)
    scores.pow(2).sum().backward()
    wanted.pow(2).sum().backward()
    close(x.grad, y.grad, 1e-6)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_parameters_at_the_benchmarks_size(name):
    with torch.device("meta"):
        twin = peer_torch.build(name, 224, 1000)
    with init.paused():
        ours = library_minigrad.build(name, 224, 1000)
    wanted = {key: tuple(value.shape) for key, value in twin.state_dict().items()}
    assert {key: tuple(value.shape) for key, value in ours.state_dict().items()} == wanted


@pytest.mark.parametrize("name", [*networks.NETWORKS, *networks.SMALL_NETWORKS])
def test_multiply_adds_are_pytorchs(name):
    """As torch.utils.flop_counter counts them, two operations each; grouped gradients it counts as if ungrouped."""
    row = networks.network_of(name)
    with torch.device("meta"):
        twin = peer_torch.build(name, row.image_size, row.classes).eval()
        images = torch.zeros(2, row.channels, row.image_size, row.image_size)
        with torch.no_grad(), flop_counter.FlopCounterMode(display=False) as inference:
            twin(images)
        with flop_counter.FlopCounterMode(display=False) as step:
            twin.train()(images).sum().backward()
    ours = library_minigrad.multiply_adds(name, row.image_size)
    assert 4 * ours["inference"] == inference.get_total_flops()
    if name != "alexnet":
        assert 4 * ours["step"] == step.get_total_flops()
