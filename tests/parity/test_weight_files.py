"""Networks take their weights from files of every format that was ever published, made here by PyTorch itself."""

import collections
import io
import pickle
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402
import models  # noqa: E402
from models.vision_transformer import VisionTransformer  # noqa: E402


class Reduced:
    """Something that is pickled as another thing."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def tensor_of_2017(tensor):
    """As PyTorch 0.1 to 0.3 wrote tensors."""
    arguments = tensor._typed_storage(), tensor.storage_offset(), tensor.shape, tensor.stride()
    return Reduced(torch._utils._rebuild_tensor, arguments)


def parameter_of_2017(tensor, requires_grad=True):
    return Reduced(torch.nn.Parameter, (tensor_of_2017(tensor),), (requires_grad, False, collections.OrderedDict()))


def published(path, state, zipped, old):
    """Write a state_dict: as plain tensors, or as the files of 2017 have them, without counts of batches."""
    if old:
        state = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
        state = collections.OrderedDict(
            (name, (tensor_of_2017 if "running" in name else parameter_of_2017)(value)) for name, value in state.items()
        )
    torch.save(state, path, _use_new_zipfile_serialization=zipped)


def state_of(net):
    """Random values under a network's names, as PyTorch's tensors."""
    rng = np.random.default_rng(0)
    return collections.OrderedDict(
        (name, torch.as_tensor(rng.integers(0, 100, tuple(value.shape)).astype(value.numpy().dtype)))
        for name, value in net.state_dict().items()
    )


def same(net, state):
    for name, value in net.state_dict().items():
        if name in state:
            np.testing.assert_array_equal(value.numpy(), state[name].numpy(), err_msg=name)
        else:
            assert name.endswith("num_batches_tracked") and value.item() == 0


NETWORKS = [("alexnet", {"image_size": 64, "hidden": 16}), ("resnet18", {"image_size": 32, "num_classes": 5})]


@pytest.mark.parametrize("zipped, old", [(True, False), (False, False), (False, True), (True, True)])
@pytest.mark.parametrize("name, arguments", NETWORKS)
def test_formats(name, arguments, zipped, old, tmp_path):
    path = tmp_path / "weights.pth"
    state = state_of(models.build(name, **arguments))
    published(path, state, zipped, old)
    if old:
        state = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    same(models.build(name, weights=path, **arguments), state)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_parameters_of_2017(zipped, requires_grad):
    file = io.BytesIO()
    base = torch.arange(6.0).reshape(2, 3)
    values = [parameter_of_2017(base, requires_grad), tensor_of_2017(base.T)]
    torch.save(values, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    parameter, turned = mg.load(file)
    assert isinstance(parameter, mg.nn.Parameter) and parameter.requires_grad == requires_grad
    np.testing.assert_array_equal(turned.numpy(), base.T.numpy())
    with mg.no_grad():
        parameter[0, 0] = 50
    assert turned[0, 0].item() == 50
    file.seek(0)
    theirs = torch.load(file, weights_only=True)[0]
    assert isinstance(theirs, torch.nn.Parameter) and theirs.requires_grad == requires_grad


@pytest.mark.parametrize(
    "state", [None, (True,), (1, 2, 3), (True, False, None, 0), (torch.ones(1), None, None, 3, 4), {"a": 1}]
)
def test_a_damaged_state_of_a_parameter(state):
    file = io.BytesIO()
    torch.save([Reduced(torch.nn.Parameter, (torch.ones(1),), state)], file)
    if state is None:  # pickled without a state at all
        assert mg.load(io.BytesIO(file.getvalue()))[0].requires_grad
        return
    with pytest.raises(pickle.UnpicklingError, match="a Parameter without its state"):
        mg.load(io.BytesIO(file.getvalue()))


def test_archives_of_before_2017_are_told():
    import tarfile

    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(pickle.UnpicklingError, match=r"tar archive.*torch\.save\(torch\.load"):
        mg.load(io.BytesIO(file.getvalue()))


OLDER = {
    "densenet": {r"(denselayer\d+\.(?:norm|conv))([12])\.": r"\1.\2."},
    "transformer": {r"mlp\.0\.": "mlp.linear_1.", r"mlp\.3\.": "mlp.linear_2."},
}
SMALL = {
    "densenet": lambda: models.build("densenet121", num_classes=3),
    "transformer": lambda: VisionTransformer(32, 16, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3),
}


@pytest.mark.parametrize("name", OLDER)
def test_names_that_torchvision_has_changed(name, tmp_path):
    path = tmp_path / f"{name}.pth"
    state = state_of(SMALL[name]())
    older = collections.OrderedDict()
    for key, value in state.items():
        for new, old in OLDER[name].items():
            key = re.sub(new, old, key)
        older[key] = value
    assert len(older) == len(state) and len(older.keys() - state.keys()) >= 8
    published(path, older, False, name == "densenet")
    net = SMALL[name]()
    models.registry.load_weights(net, path)
    same(net, {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")})
    published(path, state, True, False)  # the names of today are read too
    net = SMALL[name]()
    models.registry.load_weights(net, path)
    same(net, state)


def test_auxiliary_classifiers(tmp_path):
    path = tmp_path / "googlenet-1378be20.pth"
    sizes = {"num_classes": 3, "image_size": 64}
    state = state_of(models.build("googlenet", **sizes))
    published(path, state, True, False)
    same(models.build("googlenet", weights=path, transform_input=True, **sizes), state)
    net = models.build("googlenet", weights=path, aux_logits=False, **sizes)
    assert net.aux1 is None
    same(net, state)
    without = collections.OrderedDict((name, value) for name, value in state.items() if not name.startswith("aux"))
    published(path, without, True, False)
    with pytest.raises(RuntimeError, match="lacks aux1"):
        models.build("googlenet", weights=path, **sizes)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_safetensors_of_pytorch(suffix, tmp_path):
    files = pytest.importorskip("safetensors.torch")
    name, arguments = NETWORKS[1]
    path = tmp_path / f"model.{suffix}"
    state = state_of(models.build(name, **arguments))
    files.save_file(state, path)
    same(models.build(name, weights=path, **arguments), state)


@pytest.mark.parametrize("wrap", ["state_dict", "model_state_dict", "model"])
def test_whole_checkpoints_of_parallel_training(wrap, tmp_path):
    name, arguments = NETWORKS[1]
    state = state_of(models.build(name, **arguments))
    wrapped = {wrap: {f"module.{name}": value for name, value in state.items()}, "epoch": 3, "arch": "resnet18"}
    torch.save(wrapped, tmp_path / "checkpoint.pth.tar")
    same(models.build(name, weights=tmp_path / "checkpoint.pth.tar", **arguments), state)
