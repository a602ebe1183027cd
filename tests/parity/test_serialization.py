"""Checkpoints go both ways between minigrad and PyTorch, unchanged."""

import collections
import io
import math
import pickle
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402
from tests.serialization.values import OBJECTS, SAFE, same  # noqa: E402

DTYPES = (
    "float16 float32 float64 complex64 complex128 bool int8 int16 int32 int64 uint8 uint16 uint32 uint64"
).split()  # fmt: skip


def to_torch(value, zipped=True, **options):
    """minigrad.save, torch.load."""
    file = io.BytesIO()
    mg.save(value, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    options.setdefault("weights_only", True)
    return torch.load(file, **options)


def to_minigrad(value, zipped=True, **options):
    """torch.save, minigrad.load."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    return mg.load(file, **options)


def values_of(name):
    numbers = np.array([[0, 1, 2], [3, 127, 1]])
    if name.startswith("complex"):
        numbers = numbers + 1j
    return numbers.astype(name)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_to_pytorch(name, zipped):
    values = values_of(name)
    ours = mg.tensor(values)
    found = to_torch({"x": ours, "turned": ours.T, "number": ours[1, 2], "none": ours[:, :0], "row": ours[1:]}, zipped)
    assert {tensor.dtype for tensor in found.values()} == {getattr(torch, name)}
    expected = {"x": values, "turned": values.T, "number": values[1, 2], "none": values[:, :0], "row": values[1:]}
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key].numpy(), array)
        assert found[key].shape == array.shape
    found["x"][1, 2] = 0  # the memory is one
    assert found["turned"][2, 1] == 0 and found["number"] == 0 and found["row"][0, 2] == 0


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_to_minigrad(name, zipped):
    values = values_of(name)
    theirs = torch.from_numpy(values.copy())
    tensors = {"x": theirs, "turned": theirs.T, "number": theirs[1, 2], "none": theirs[:, :0], "row": theirs[1:]}
    found = to_minigrad(tensors, zipped)
    assert {tensor.dtype for tensor in found.values()} == {getattr(mg, name)}
    expected = {"x": values, "turned": values.T, "number": values[1, 2], "none": values[:, :0], "row": values[1:]}
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key].numpy(), array)
        assert found[key].shape == array.shape
    found["x"][1, 2] = 0  # the memory is one
    assert found["turned"][2, 1] == 0 and found["number"] == 0 and found["row"][0, 2] == 0


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("missing", [True, False])
def test_bfloat16_is_widened_exactly_without_ml_dtypes(zipped, missing, monkeypatch):
    if missing:
        monkeypatch.setattr("minigrad.serialization.names.has_bfloat16", lambda: False)
    else:
        pytest.importorskip("ml_dtypes")
    numbers = torch.tensor([0.0, -0.0, 1 / 3, 3e38, 1e-40, math.inf, -math.inf, math.nan], dtype=torch.bfloat16)
    found = to_minigrad([numbers, numbers[1:3]], zipped)
    assert found[0].dtype == (mg.float32 if missing else mg.bfloat16)
    np.testing.assert_array_equal(found[0].float().numpy().view("u4")[:-1], numbers.float().numpy().view("u4")[:-1])
    assert np.isnan(found[0][-1].item())
    found[0][1] = 5
    assert found[1][0] == 5


BASE = np.arange(24, dtype="float32").reshape(2, 3, 4)
VIEWS = {
    "all": lambda x: x,
    "transposed": lambda x: x.transpose(0, 2),
    "every second": lambda x: x[:, :, ::2],
    "column": lambda x: x[:, 1, 2],
    "expanded": lambda x: x[:, :1].expand(2, 5, 4),
    "number": lambda x: x[1, 2, 3],
    "empty": lambda x: x[:, :0],
    "row": lambda x: x[1:, 1:2],
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_keep_memory_strides_and_offset(name):
    make = VIEWS[name]
    ours, theirs = mg.tensor(BASE), torch.from_numpy(BASE.copy())
    for found, base in (
        to_torch([make(ours), ours]),
        to_torch([make(ours), ours], False),
        to_minigrad([make(theirs), theirs]),
        to_minigrad([make(theirs), theirs], False),
    ):
        expected = make(theirs)
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
        assert tuple(found.shape) == tuple(expected.shape)
        if expected.numel():
            long = [i for i, length in enumerate(expected.shape) if length > 1]
            assert [found.stride(i) for i in long] == [expected.stride(i) for i in long]
            assert found.storage_offset() == expected.storage_offset()
            base[1, 1, 2] = 100.0
            changed = torch.from_numpy(BASE.copy())
            changed[1, 1, 2] = 100.0
            np.testing.assert_array_equal(found.numpy(), make(changed).numpy())


CONTAINERS = {
    "a": [1, -1, 2**40, 2**100, 1.5, True, None, "äö", b"\x00\xff", b"", 1 + 2j],
    "b": {(1, "x"): {1, 2}, 3: (1, (2, 3), ())},
    "c": collections.OrderedDict(x=1),
    "d": collections.Counter("aab"),
    "e": bytearray(b"xy"),
}


@pytest.mark.parametrize("zipped", [True, False])
def test_containers_and_numbers(zipped):
    assert to_torch(CONTAINERS, zipped) == CONTAINERS
    assert to_minigrad(CONTAINERS, zipped, weights_only=False) == CONTAINERS


def test_size_dtype_device_and_layout():
    ours = [mg.Size([2, 3]), mg.float16, mg.device("cpu"), mg.device("cuda:1"), mg.strided]
    theirs = [torch.Size([2, 3]), torch.float16, torch.device("cpu"), torch.device("cuda:1"), torch.strided]
    assert to_torch(ours) == theirs
    assert to_minigrad(theirs) == ours


@pytest.mark.parametrize("zipped", [True, False])
def test_parameters_requires_grad_and_attributes(zipped):
    def make(library):
        tagged, named = library.ones(2), library.nn.Parameter(library.ones(1))
        tagged.note, named.tag = "x", [1]
        return [library.ones(2, requires_grad=True), library.nn.Parameter(library.ones(2), False), tagged, named]

    for found, library in ((to_torch(make(mg), zipped), torch), (to_minigrad(make(torch), zipped), mg)):
        assert [value.requires_grad for value in found] == [True, False, False, True]
        assert [isinstance(value, library.nn.Parameter) for value in found] == [False, True, False, True]
        assert found[2].note == "x" and found[3].tag == [1]


@pytest.mark.parametrize("zipped", [True, False])
def test_lazy_conjugates_and_negatives(zipped):
    numbers = torch.tensor([1 + 2j, 3 - 4j])
    found = to_minigrad([numbers.conj(), numbers.clone().conj().imag, torch.nn.Parameter(numbers.conj())], zipped)
    assert found[0].tolist() == [1 - 2j, 3 + 4j]
    assert found[1].tolist() == [-2, 4]
    assert found[2].tolist() == [1 - 2j, 3 + 4j]


def network(library):
    nn = library.nn
    features = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    return nn.Sequential(features, nn.Linear(36, 5), nn.LayerNorm(5), nn.PReLU())


OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 0.01, "amsgrad": True},
    "AdamW": {"lr": 0.01},
    "RMSprop": {"lr": 0.01, "centered": True, "momentum": 0.5},
    "Adagrad": {"lr": 0.01},
    "Adadelta": {"lr": 0.5},
}


def steps(library, net, optimizer, schedule, count):
    images = library.as_tensor(np.random.default_rng(0).normal(size=(count, 6, 3, 5, 5)).astype("float32"))
    for step in range(count):
        optimizer.zero_grad()
        net(images[step]).pow(2).sum().backward()
        optimizer.step()
        schedule.step()


def parts(library, name):
    net = network(library)
    optimizer = getattr(library.optim, name)(net.parameters(), **OPTIMIZERS[name])
    return net, optimizer, library.optim.lr_scheduler.MultiStepLR(optimizer, [1, 4])


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("towards", ["pytorch", "minigrad"])
def test_training_goes_on_in_the_other_library(name, towards):
    """Network, optimizer and schedule saved after three steps by one library take the same next steps in the other."""
    here, there, carry = (mg, torch, to_torch) if towards == "pytorch" else (torch, mg, to_minigrad)
    ours, theirs = parts(here, name), parts(there, name)
    steps(here, *ours, 3)
    state = carry([part.state_dict() for part in ours])
    for part, saved in zip(theirs, state):
        part.load_state_dict(saved)
    steps(here, *ours, 3)
    steps(there, *theirs, 3)
    for (key, value), (_, other) in zip(ours[0].state_dict().items(), theirs[0].state_dict().items()):
        np.testing.assert_allclose(value.numpy(), other.numpy(), rtol=2e-4, atol=2e-5, err_msg=key)


OTHER_OPTIMIZERS = {
    "Adamax": {}, "NAdam": {}, "RAdam": {}, "Rprop": {}, "ASGD": {}, "SGD": {"momentum": 0.5, "weight_decay": 0.1},
    "AdamW": {"amsgrad": True}, "Adagrad": {"lr_decay": 0.1}, "Adadelta": {}, "RMSprop": {"momentum": 0.9},
    "Adafactor": {}, "LBFGS": {"max_iter": 3, "history_size": 2},
}  # fmt: skip
SCHEDULERS = {
    "StepLR": {"step_size": 2}, "MultiStepLR": {"milestones": [1, 3]}, "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 5}, "ReduceLROnPlateau": {"patience": 1}, "LinearLR": {}, "PolynomialLR": {},
    "CosineAnnealingWarmRestarts": {"T_0": 3}, "ConstantLR": {}, "OneCycleLR": {"max_lr": 0.1, "total_steps": 20},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "cycle_momentum": False},
}  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", OTHER_OPTIMIZERS)
def test_states_of_every_optimizer(name, zipped):
    """Saved after two steps by one library, loaded into an optimizer of the other, and back: the same state."""
    if not hasattr(mg.optim, name):
        pytest.skip(f"minigrad has no {name}")

    def made(library, count):
        weight = library.nn.Parameter(library.ones(2, 3))
        optimizer = getattr(library.optim, name)([weight], lr=0.01, **OTHER_OPTIMIZERS[name])

        def closure():
            optimizer.zero_grad()
            loss = (weight * weight).sum()
            loss.backward()
            return loss

        for _ in range(count):
            optimizer.step(closure)
        return optimizer

    for here, there, carry, back in ((mg, torch, to_torch, to_minigrad), (torch, mg, to_minigrad, to_torch)):
        first, second = made(here, 2), made(there, 0)
        second.load_state_dict(carry(first.state_dict(), zipped))
        same_values(back(second.state_dict(), zipped), first.state_dict())


def same_values(found, expected):
    """Numbers, containers and tensors of either library are equal."""
    if isinstance(expected, dict):
        assert found.keys() - {"differentiable"} == expected.keys() - {"differentiable"}  # PyTorch adds it on loading
        for key, value in expected.items():
            same_values(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            same_values(one, other)
    elif hasattr(expected, "detach"):
        np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())
        assert str(found.dtype).rpartition(".")[2] == str(expected.dtype).rpartition(".")[2]
    else:
        assert found == expected or (found != found and expected != expected)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_states_of_schedulers(name, zipped):
    def made(library, count):
        optimizer = library.optim.SGD([library.nn.Parameter(library.ones(1))], lr=0.1)
        schedule = getattr(library.optim.lr_scheduler, name)(optimizer, **SCHEDULERS[name])
        rates = [step(optimizer, schedule) for _ in range(count)]
        return optimizer, schedule, rates

    def step(optimizer, schedule):
        optimizer.step()
        schedule.step(*([1.0] if name == "ReduceLROnPlateau" else []))
        return optimizer.param_groups[0]["lr"]

    for here, there, carry in ((mg, torch, to_torch), (torch, mg, to_minigrad)):
        optimizer, schedule, _ = made(here, 3)
        other, follower, _ = made(there, 0)
        other_state, schedule_state = carry([optimizer.state_dict(), schedule.state_dict()], zipped)
        other.load_state_dict(other_state)
        follower.load_state_dict(schedule_state)
        for _ in range(6):
            assert step(other, follower) == pytest.approx(step(optimizer, schedule), rel=1e-9)


def test_pytorch_maps_our_files(tmp_path):
    path = tmp_path / "weights.pt"
    mg.save({"a": mg.arange(5.0), "b": mg.ones(3)}, path)
    found = torch.load(path, mmap=True, weights_only=True)
    assert found["a"].tolist() == [0, 1, 2, 3, 4]
    theirs = tmp_path / "theirs.pt"
    torch.save({"a": torch.arange(5.0)[1:]}, theirs)
    assert mg.load(theirs, mmap=True)["a"].tolist() == [1, 2, 3, 4]


def test_location_of_the_gpu_is_kept():
    from tests import fake_cupy

    file = io.BytesIO()
    with fake_cupy.installed():
        mg.save(mg.arange(3.0, device="cuda"), file)
    file.seek(0)
    assert torch.load(file, map_location="cpu", weights_only=True).tolist() == [0, 1, 2]
    if not torch.cuda.is_available():
        file.seek(0)
        with pytest.raises(RuntimeError, match="deserialize object on a CUDA device"):
            torch.load(file, weights_only=True)


def test_without_checksums():
    torch.serialization.set_crc32_options(False)
    try:
        assert to_minigrad(torch.ones(3)).tolist() == [1, 1, 1]
    finally:
        torch.serialization.set_crc32_options(True)


def test_pickle_protocols():
    for protocol in (2, 3, 4, 5):
        file = io.BytesIO()
        torch.save(CONTAINERS | {"x": torch.ones(2)}, file, pickle_protocol=protocol)
        file.seek(0)
        found = mg.load(file, weights_only=False)
        assert found.pop("x").tolist() == [1, 1] and found == CONTAINERS


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: torch.nn.Linear(1, 1), r"torch\.nn\.modules\.linear\.Linear"),
        (lambda: torch.ones(2).to_sparse(), "a sparse tensor"),
        (lambda: torch.ones(2, device="meta"), "device 'meta'"),
        (lambda: torch.ones(2, dtype=torch.float8_e5m2), "float8_e5m2"),
        (lambda: torch.ones(2, dtype=torch.complex32), "complex32|ComplexHalfStorage"),
        (lambda: torch.ones(2).untyped_storage(), "bare storage"),
        (lambda: print, "builtins.print"),
        (lambda: torch.optim.SGD([torch.ones(1)], lr=1), r"torch\.optim\.sgd\.SGD"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_minigrad_has_not_is_refused_by_name(make, match, zipped):
    import pickle

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = make()
        file = io.BytesIO()
        torch.save(value, file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match=match):
        mg.load(file, map_location="cpu")


def test_scripts_of_torchscript_are_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "script.pt")
    with pytest.raises(RuntimeError, match="TorchScript|compressed"):
        mg.load(tmp_path / "script.pt")


def test_generator_states_travel():
    state = mg.Generator().manual_seed(3).get_state()
    assert to_torch(state).tolist() == state.tolist()
    theirs = torch.Generator().manual_seed(3).get_state()
    assert to_minigrad(theirs).tolist() == theirs.tolist()


# ---------------------------------------------------------------------- whole modules
class _Both:
    """The same networks of both libraries."""

    def convolutional(self, nn):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.ReLU(True), nn.MaxPool2d(2),
            nn.ConvTranspose2d(4, 2, 2), nn.GELU(), nn.Flatten(), nn.LazyLinear(3), nn.Dropout(),
        ), (2, 1, 8, 8)  # fmt: skip

    def recurrent(self, nn):
        return nn.LSTM(3, 4, 2, bidirectional=True), (5, 2, 3)

    def transformer(self, nn):
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation="gelu")
        return nn.TransformerEncoder(layer, 2), (2, 5, 4)

    def activations(self, nn):
        layers = nn.Tanh(), nn.PReLU(), nn.Softmax(-1), nn.LayerNorm(4), nn.Linear(4, 4, bias=False), nn.Hardswish()
        return nn.Sequential(*layers, nn.Identity(), layers[1]), (2, 4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["convolutional", "recurrent", "transformer", "activations"])
def test_whole_modules_go_both_ways(name, zipped):
    theirs, shape = getattr(_Both(), name)(torch.nn)
    x = torch.randn(shape)
    theirs(x)  # lazy layers get their shapes
    theirs.eval()
    ours = to_minigrad(theirs, zipped, weights_only=False)
    back = to_torch(ours, zipped, weights_only=False)
    assert repr(back) == repr(theirs) and [*map(type, back.modules())] == [*map(type, theirs.modules())]
    results = theirs(x), back(x), ours(mg.tensor(x.numpy()))
    first, again, here = (result[0] if isinstance(result, tuple) else result for result in results)
    assert torch.equal(first, again)
    np.testing.assert_allclose(here.detach().numpy(), first.detach().numpy(), rtol=1e-4, atol=1e-5)
    ours.train()(mg.tensor(x.numpy()))


def test_names_of_classes_are_those_of_pytorch():
    from minigrad.serialization.classes import find_class, reference

    count = 0
    for ours, theirs in ((mg.nn, torch.nn), (mg.optim, torch.optim), (mg.optim.lr_scheduler, torch.optim.lr_scheduler)):
        for name, cls in vars(ours).items():
            there = getattr(theirs, name, None)
            both = isinstance(cls, type) and isinstance(there, type)
            if both and issubclass(there, (torch.nn.Module, torch.optim.Optimizer)):
                count += 1
                assert reference(cls) == (there.__module__, there.__qualname__)
                assert find_class(there.__module__, there.__qualname__) is cls
    assert count > 150


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam"])
def test_whole_optimizers_go_both_ways(name):
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = getattr(torch.optim, name)([weight], lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    parts = weight, optimizer, schedule
    here = to_minigrad(parts, weights_only=False)
    for weight, optimizer, schedule in (parts, here, back := to_torch(here, weights_only=False)):
        for _ in range(3):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # step() of an optimizer out of a file is not wrapped
                schedule.step()
    np.testing.assert_allclose(here[0].detach().numpy(), parts[0].detach().numpy(), rtol=1e-5)
    assert torch.equal(back[0], parts[0]) and here[1].param_groups[0]["lr"] == parts[1].param_groups[0]["lr"]


def test_functions_as_attributes():
    theirs, ours = torch.nn.functional, mg.nn.functional
    for name in ("relu", "gelu", "leaky_relu"):
        assert to_minigrad([getattr(theirs, name)], weights_only=False) == [getattr(ours, name)]
        assert to_torch([getattr(ours, name)], weights_only=False) == [getattr(theirs, name)]
    for name in ("tanh", "sigmoid", "sin"):
        (found,) = to_minigrad([getattr(torch, name)], weights_only=False)
        assert found(mg.ones(1)) == getattr(mg, name)(mg.ones(1))
        (found,) = to_torch([getattr(mg, name)], weights_only=False)
        assert found(torch.ones(1)) == getattr(torch, name)(torch.ones(1))


def outcome(load, file, weights_only):
    file.seek(0)
    try:
        return load(file, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        assert "Unsupported" in str(error)
        return pickle.UnpicklingError


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("name", [*SAFE, *OBJECTS])
def test_both_read_and_refuse_the_same_objects(name, weights_only):
    """Whoever wrote them, torch.load and minigrad.load make the same of them in both modes."""
    value = {**SAFE, **OBJECTS}[name]
    for write in (torch.save, mg.save):
        file = io.BytesIO()
        write([value, value], file)
        theirs, ours = (outcome(library.load, file, weights_only) for library in (torch, mg))
        assert (ours is pickle.UnpicklingError) == (theirs is pickle.UnpicklingError)
        if theirs is not pickle.UnpicklingError:
            same(ours, [value, value])
            if name != "big-endian":  # PyTorch brings its numbers into the machine's order
                same(ours, theirs)


@pytest.mark.parametrize("name", [*SAFE, *OBJECTS])
def test_both_name_the_same_unsafe_globals(name):
    file = io.BytesIO()
    torch.save({**SAFE, **OBJECTS}[name], file)
    names = []
    for library in (torch, mg):
        file.seek(0)
        names.append(set(library.serialization.get_unsafe_globals_in_checkpoint(file)))
    assert names[0] == names[1]


@pytest.mark.parametrize(
    "name, allowed",
    [("no deque", [collections.deque]), ("frozenset", [frozenset]), ("no frozenset", [frozenset]),
     ("dtype", [np.dtype, np.dtypes.Float32DType]),
     ("array", [np.dtype, np.ndarray, np.empty(0).__reduce__()[0], np.dtypes.Float64DType]),
     ("defaultdict", [collections.defaultdict])],
)  # fmt: skip
def test_both_read_what_is_allowed(name, allowed):
    file = io.BytesIO()
    torch.save(OBJECTS[name], file)
    found = []
    for library in (torch, mg):
        with library.serialization.safe_globals(allowed):
            assert set(library.serialization.get_safe_globals()) >= set(allowed)
            found.append(outcome(library.load, file, True))
        assert not set(library.serialization.get_safe_globals()) & set(allowed)
    same(found[1], found[0])
