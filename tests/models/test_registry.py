"""The names of the networks, what every builder takes, and weights files."""
import importlib
import inspect

import pytest

import minigrad as mg
import models
from minigrad import nn
from models import registry
from models.lenet import LeNet5


def test_every_network_has_the_same_arguments(undrawn):
    """The command line passes these three to whatever network it is told."""
    assert models.list() == sorted(models.list())
    assert set(models.list()) < set(models.list_models())
    flows = models.list_models(models.optical_flow)  # these have no classes
    for name in sorted({*models.list_models()} - {*flows}):
        model = models.build(name, num_classes=7)
        assert isinstance(model, nn.Module), name
        assert isinstance(model.in_channels, int) and isinstance(model.image_size, int), name
        parameters = inspect.signature(registry.builder_of(name)).parameters
        assert next(iter(parameters)) == "num_classes", name
        assert {"in_channels", "image_size", "weights"} <= set(parameters), name


def test_every_builder_is_in_the_package():
    for name in models.list_models():
        builder = registry.builder_of(name)
        package = importlib.import_module(builder.__module__.rpartition(".")[0])  # models, models.segmentation, …
        found = getattr(package, name.removeprefix("quantized_"))
        assert found is builder, f"{package.__name__} lacks its line for {name}"
    assert models.LeNet5 is LeNet5
    assert isinstance(models.lenet5(3), LeNet5)


def test_registry_refuses_unknown_and_taken_names():
    with pytest.raises(ValueError, match=r"unknown model 'lenet6'; did you mean lenet5.*\? models\.list_models"):
        models.build("lenet6")
    with pytest.raises(ValueError, match=r"unknown model 'qqq'; models\.list_models\(\) has all \d+ names$"):
        models.build("qqq")

    def lenet5():
        raise AssertionError("never called")

    with pytest.raises(ValueError, match="'lenet5' is registered already, by models.lenet"):
        models.register(lenet5)
    assert isinstance(models.build("lenet5"), LeNet5)


def test_a_builder_must_take_the_common_arguments():
    def fish(num_classes=10, *, image_size=28):
        raise AssertionError("never called")

    def raft():
        raise AssertionError("never called")

    with pytest.raises(TypeError, match="'raft' must take size, but lacks size"):
        models.register(common=("size",))(raft)
    with pytest.raises(TypeError, match="'fish' must take num_classes, in_channels, image_size, but lacks in_channels"):
        models.register(fish)
    assert "fish" not in models.list()


@pytest.mark.parametrize(
    "settings, error, message",
    [
        ({"num_classes": 0}, ValueError, "lenet5: num_classes must be at least 1, but got 0"),
        ({"in_channels": 2.0}, TypeError, "lenet5: in_channels must be an integer, but got 2.0"),
        ({"image_size": True}, TypeError, "lenet5: image_size must be an integer, but got True"),
        ({"image_size": (28, 28)}, TypeError, r"lenet5: image_size must be an integer, but got \(28, 28\)"),
        ({"pool": "min"}, ValueError, "pool must be one of max, avg, but got 'min'"),
        ({"depth": 3}, TypeError, "unexpected keyword argument 'depth'"),
        ({"weights": "nowhere.pth"}, FileNotFoundError, "lenet5: weights='nowhere.pth' is no file$"),
    ],
)
def test_bad_arguments_are_named(settings, error, message):
    for build in (models.lenet5, lambda **kw: models.build("lenet5", **kw)):
        with pytest.raises(error, match=message):
            build(**settings)


def test_too_many_arguments_are_told_which_there_are():
    with pytest.raises(TypeError, match="lenet5: too many positional.*: num_classes, in_channels, image_size, weights"):
        models.lenet5(10, 1)


# ---------------------------------------------------------------- weights
def written(content, path):
    mg.save(content, path)
    return path


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state, "epoch": 3},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {"model_state_dict": state, "optimizer": {}},
    ],
    ids=["plain", "model", "data parallel", "model_state_dict"],
)
def test_weights_are_loaded(tmp_path, wrap):
    mg.manual_seed(1)
    first = models.lenet5()
    path = written(wrap(first.state_dict()), tmp_path / "lenet5.pth")
    for second in (models.build("lenet5", weights=path), models.lenet5(weights=str(path))):
        for name, value in first.state_dict().items():
            assert mg.equal(second.state_dict()[name], value), name


def refused(tmp_path, content, network="lenet5", **settings):
    path = written(content, tmp_path / "weights.pth")
    with pytest.raises(RuntimeError) as caught:
        models.build(network, weights=path, **settings)
    return str(caught.value)


def test_weights_of_another_size_are_refused_with_both_shapes(tmp_path):
    message = refused(tmp_path, models.lenet5(num_classes=10).state_dict(), num_classes=26)
    assert "fc3.weight is (10, 84) there and (26, 84) here" in message and "num_classes" in message
    assert "and 1 more" in refused(tmp_path, models.lenet5(10, in_channels=3).state_dict(), num_classes=26)


def test_weights_of_another_network_are_refused(tmp_path):
    state = models.lenet5().state_dict()
    state["head.weight"] = state.pop("fc3.weight")
    assert "another network than LeNet5: it lacks fc3.weight and also has head.weight" in refused(tmp_path, state)
    assert "holds no state_dict, neither alone nor under model, state_dict" in refused(tmp_path, {"epoch": 3})
    assert "holds no state_dict" in refused(tmp_path, [1, 2])


def test_a_refused_file_changes_nothing():
    model = models.lenet5()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = models.lenet5(num_classes=26).state_dict()
    with pytest.raises(RuntimeError, match="does not fit LeNet5"):
        registry.fit_state(model, state, "a.pth")
    for name, value in model.state_dict().items():
        assert mg.equal(value, before[name]), name


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "damaged.pth"
    path.write_text("no weights")
    with pytest.raises(RuntimeError, match="damaged.pth cannot be read"):
        models.build("lenet5", weights=path)


def test_a_builder_may_leave_out_what_serves_training_only(tmp_path):
    """torchvision's GoogLeNet file has auxiliary classifiers, which are taken off after loading there."""
    mg.manual_seed(1)
    whole = models.googlenet(5, image_size=32)
    path = written(whole.state_dict(), tmp_path / "googlenet.pth")
    model = models.googlenet(5, image_size=32, aux_logits=False, weights=path)
    assert model.aux1 is None and model.aux2 is None
    for name, value in model.state_dict().items():
        assert mg.equal(value, whole.state_dict()[name]), name
    assert "lacks aux1" in refused(tmp_path, model.state_dict(), image_size=32, network="googlenet", num_classes=5)
    strange = {**whole.state_dict(), "aux3.fc2.bias": mg.zeros(5)}
    settings = {"image_size": 32, "network": "googlenet", "num_classes": 5, "aux_logits": False}
    assert "also has aux3.fc2.bias" in refused(tmp_path, strange, **settings)


def test_a_wrong_name_of_published_weights_is_answered_with_the_right_ones():
    with pytest.raises(FileNotFoundError, match="'V9' is no file, nor one of ResNet18_Weights: IMAGENET1K_V1, D"):
        models.resnet18(weights="V9")
    with pytest.warns(UserWarning) as caught:
        models.lenet5(pretrained=False)  # no weights of it are published
    assert str(caught[-1].message).endswith("equivalent to passing `weights=None`.")
