"""minigrad.save and minigrad.load: what comes back is what was saved, and what is not allowed is refused by name."""

import collections
import io
import os
import pickle
import stat
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import memory_root
from minigrad.tensor import wrap
from tests import fake_cupy


def through(value, **options):
    """Save and load."""
    file = io.BytesIO()
    mg.save(value, file)
    file.seek(0)
    return mg.load(file, **options)


def refused(value, match):
    with pytest.raises((TypeError, pickle.PicklingError), match=match):
        mg.save(value, io.BytesIO())


# ---------------------------------------------------------------------- values
VALUES = [
    None, True, False, 0, 255, 256, 65535, 65536, -1, -(2**31), 2**31, 2**70, -(2**2000), 2**3000, 0.5, -0.0,
    float("inf"), 1 + 2j, "", "text", "äöü €", "\ud800", b"", b"\x00\xff", bytearray(b"xy"), (), (1,), (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4), [], [1, [2, [3]]], {}, {"a": {1: (2, "a")}}, {(1, "x"): None}, {1, 2, "x"}, set(),
    collections.OrderedDict(b=1, a=2), collections.Counter("aab"), collections.defaultdict(list, a=[1]),
    collections.defaultdict(None, a=1), mg.Size([2, 3]), mg.float16, mg.uint64, mg.bool, mg.device("cpu"),
    mg.device("cuda:1"), mg.strided, list(range(1000)), {str(i): i for i in range(600)},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)  # a set's repr varies from run to run
def test_values_come_back_equal_and_of_the_same_type(value):
    found = through(value, weights_only=not isinstance(value, collections.defaultdict))
    assert found == value and type(found) is type(value)
    if isinstance(value, collections.defaultdict):
        assert found.default_factory is value.default_factory
    if isinstance(value, float):
        assert np.signbit(found) == np.signbit(value)


@pytest.mark.parametrize(
    "value",
    [
        np.float64(0.5), np.float32(0.1), np.int64(-3), np.bool_(True), np.complex64(1j), np.str_("ab"),
        np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.zeros((0, 3)),
        np.array(["a", "bc"]), np.arange(6)[::2], np.dtype("<f4"), np.arange(3, dtype=">i4"),
    ],
    ids=repr,
)  # fmt: skip
def test_numpy_numbers_and_arrays(value):
    found = through([value, value], weights_only=False)
    assert found[0] is found[1]
    assert type(found[0]) is type(value)
    if not isinstance(value, np.dtype):
        assert found[0].dtype == value.dtype
    np.testing.assert_array_equal(found[0], value)


def test_objects_that_occur_twice_stay_one_object():
    inner, tensor = [1], mg.ones(2)
    found = through({"a": inner, "b": inner, "c": (inner, tensor), "d": tensor})
    assert found["a"] is found["b"] is found["c"][0]
    assert found["c"][1] is found["d"]


def test_a_container_may_contain_itself():
    loop = []
    loop += [(1, loop), {"loop": loop}]
    found = through(loop)
    assert found[0][1] is found and found[1]["loop"] is found
    pair = ([],)
    pair[0].append(pair)
    found = through(pair)
    assert found[0][0] is found


# ---------------------------------------------------------------------- tensors
@pytest.mark.parametrize("name", "float16 float32 float64 complex64 complex128 bool".split())
def test_dtypes_floating(name):
    tensor = mg.tensor([[0, 1.5, 2], [3, 4, 5]]).to(getattr(mg, name))
    assert_same(through(tensor), tensor)


@pytest.mark.parametrize("name", "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split())
def test_dtypes_of_integers(name):
    info = mg.iinfo(getattr(mg, name))
    tensor = mg.tensor(np.array([info.min, info.max, 1], name))
    assert_same(through(tensor), tensor)


def assert_same(found, expected):
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert found.requires_grad == expected.requires_grad
    np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())


BASE = mg.arange(24.0).reshape(2, 3, 4)
VIEWS = {
    "all": BASE,
    "transposed": BASE.transpose(0, 2),
    "row": BASE[1],
    "every second": BASE[:, :, ::2],
    "column": BASE[:, 1, 2],
    "expanded": BASE[:, :1].expand(2, 5, 4),
    "number": BASE[1, 2, 3],
    "empty": BASE[:, :0],
    "channels last": mg.ones(2, 3, 4, 5).to(memory_format=mg.channels_last),
    "of length 1": BASE[:1, 1:2].transpose(0, 2),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("mmap", [False, True])
def test_views_keep_their_strides(name, mmap, tmp_path):
    view = VIEWS[name]
    mg.save(view, tmp_path / "view.pt")
    found = mg.load(tmp_path / "view.pt", mmap=mmap)
    assert mg.equal(found, view) and found.shape == view.shape
    lengths = [i for i, length in enumerate(view.shape) if length > 1]
    if view.numel():
        assert [found.stride(i) for i in lengths] == [view.stride(i) for i in lengths]
        assert found.storage_offset() == view.storage_offset()


def test_views_share_memory_after_loading():
    base = mg.arange(6.0)
    found = through([base, base.reshape(2, 3), base[1::2]])
    found[0][1] = 10
    assert found[1][0, 1] == 10 and found[2][0] == 10
    found[2].zero_()
    assert found[0].tolist() == [0, 0, 2, 0, 4, 0]
    assert memory_root(found[0].array) is memory_root(found[2].array)


def test_shared_memory_is_written_once():
    base = mg.rand(1000)
    file = io.BytesIO()
    mg.save([base, base[:10], base.reshape(10, 100)], file)
    assert len(file.getvalue()) < 1.5 * base.nbytes
    parts = [mg.rand(1000) for _ in range(3)]
    mg.save(parts, file)
    assert len(file.getvalue()) > 3 * base.nbytes


def test_tied_parameters_stay_tied():
    layer = mg.nn.Linear(3, 3)
    other = mg.nn.Linear(3, 3)
    other.weight = layer.weight
    state = through({"a": layer.state_dict(), "b": other.state_dict()})
    state["a"]["weight"].fill_(7)
    assert (state["b"]["weight"] == 7).all()


def test_arrays_that_pytorch_could_not_describe_are_copied():
    backwards = wrap(np.arange(5.0)[::-1])
    assert through(backwards).tolist() == [4, 3, 2, 1, 0]
    fields = np.zeros(3, [("a", "<f4"), ("b", "u1")])
    fields["a"] = [1, 2, 3]
    odd = wrap(fields["a"])  # steps of five bytes
    assert through(odd).tolist() == [1, 2, 3]


def test_two_types_on_one_memory_are_refused_as_in_pytorch():
    numbers = mg.ones(4)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        mg.save([numbers, numbers.view(mg.int32)], io.BytesIO())


def test_requires_grad_and_parameters():
    leaf, parameter = mg.ones(2, requires_grad=True), mg.nn.Parameter(mg.ones(2), requires_grad=False)
    found = through([leaf, parameter, mg.nn.Parameter(mg.zeros(1)), leaf * 2])
    assert [type(value).__name__ for value in found] == ["Variable", "Parameter", "Parameter", "Variable"]
    assert [value.requires_grad for value in found] == [True, False, True, True]
    assert all(value.is_leaf for value in found)
    (found[0] * found[2]).sum().backward()
    assert found[0].grad.tolist() == [0, 0]


def test_attributes_of_tensors():
    tensor, parameter = mg.ones(2), mg.nn.Parameter(mg.ones(1))
    tensor.note, parameter.tag = {"a": 1}, "x"
    found = through([tensor, parameter])
    assert found[0].note == {"a": 1} and found[1].tag == "x"
    assert isinstance(found[1], mg.nn.Parameter)


def test_a_loaded_tensor_can_be_trained_in_place():
    found = through(mg.nn.Parameter(mg.ones(3)))
    optimizer = mg.optim.SGD([found], lr=0.1)
    found.sum().backward()
    optimizer.step()
    assert found.tolist() == pytest.approx([0.9] * 3)


# ---------------------------------------------------------------------- states
def trained(steps=3):
    mg.manual_seed(1)
    net = mg.nn.Sequential(mg.nn.Linear(4, 5), mg.nn.BatchNorm1d(5), mg.nn.Dropout(0.5), mg.nn.Linear(5, 2))
    optimizer = mg.optim.AdamW(net.parameters(), lr=0.1)
    schedule = mg.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    run(net, optimizer, schedule, steps)
    return net, optimizer, schedule


def run(net, optimizer, schedule, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        net(mg.randn(6, 4)).square().sum().backward()
        optimizer.step()
        schedule.step()


def test_a_resumed_run_is_bit_for_bit_the_one_that_never_stopped(tmp_path):
    net, optimizer, schedule = trained()
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
    checkpoint = {name: part.state_dict() for name, part in parts.items()}
    mg.save({**checkpoint, "random": mg.get_rng_state(), "epoch": 3}, tmp_path / "last.pt")
    run(net, optimizer, schedule, 4)
    expected = net.state_dict()

    other, optimizer, schedule = trained(steps=0)
    checkpoint = mg.load(tmp_path / "last.pt")
    other.load_state_dict(checkpoint["net"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    schedule.load_state_dict(checkpoint["schedule"])
    mg.manual_seed(5)
    mg.set_rng_state(checkpoint["random"])
    run(other, optimizer, schedule, 4)
    for name, value in other.state_dict().items():
        assert value.numpy().tobytes() == expected[name].numpy().tobytes(), name


def test_state_dict_keeps_its_metadata():
    state = mg.nn.BatchNorm1d(2).state_dict()
    found = through(state)
    assert isinstance(found, collections.OrderedDict)
    assert found._metadata == state._metadata


def test_generator_states():
    generator = mg.Generator().manual_seed(3)
    mg.rand(3, generator=generator)
    mg.randint(0, 9, (3,), generator=generator, dtype=mg.int32)
    found = through({"generator": generator.get_state(), "default": mg.get_rng_state()})
    expected = mg.randn(5, generator=generator), mg.randperm(9)
    generator.set_state(found["generator"])
    mg.set_rng_state(found["default"])
    assert mg.equal(mg.randn(5, generator=generator), expected[0])
    assert mg.equal(mg.randperm(9), expected[1])


# ---------------------------------------------------------------------- what is refused
class Net(mg.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = mg.nn.Linear(1, 1)

    def forward(self, x):
        return self.layer(x)


class Settings:
    def __init__(self, rate):
        self.rate = rate

    def __eq__(self, other):
        return self.rate == other.rate


class Slots:
    __slots__ = ("a",)


@pytest.mark.parametrize(
    "value, match",
    [
        ({"a": [1, {"f": lambda: 1}]}, r"Can't pickle.*lambda.*at obj\['a'\]\[1\]\['f'\].*top"),
        ((i for i in ""), "generator"),
        ({"lock": threading.Lock()}, r"at obj\['lock'\].*lock"),
        (type("Local", (), {})(), "Can't pickle.*Local"),
        (collections.defaultdict(lambda: 1), "Can't pickle.*lambda"),
        (collections.namedtuple("Point", "x y")(1, 2), "Can't pickle.*Point"),
        (type("Sub", (mg.Tensor,), {})(2), "subclass of Tensor"),
        (mg.nn.LazyLinear(2).weight, "without a shape"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_save_refuses_and_says_where(value, match):
    refused(value, match)


def test_a_users_class_can_be_allowed():
    slots = Slots()
    slots.a = mg.ones(2)
    with mg.serialization.safe_globals([Settings, Slots]):
        assert set(mg.serialization.get_safe_globals()) == {Settings, Slots}
        file = io.BytesIO()
        mg.save([Settings(0.1), slots], file)
        file.seek(0)
        found = mg.load(file)
        assert found[0] == Settings(0.1) and mg.equal(found[1].a, slots.a)
    assert mg.serialization.get_safe_globals() == []
    file.seek(0)
    with pytest.raises(Exception, match=r"Unsupported global: tests.*Settings.*add_safe_globals"):
        mg.load(file)
    mg.serialization.add_safe_globals([(Settings, "old.place.Settings")])
    assert mg.serialization.get_safe_globals() == [Settings]
    mg.serialization.clear_safe_globals()
    assert mg.serialization.get_safe_globals() == []


def test_whole_modules_need_every_class_to_be_allowed():
    file = io.BytesIO()
    net = Net()
    with mg.serialization.safe_globals([Net, mg.nn.Linear]):
        mg.save(net, file)
        file.seek(0)
        found = mg.load(file)
    assert type(found) is Net and mg.equal(found.layer.weight, net.layer.weight)
    assert found.layer.weight.requires_grad and found(mg.ones(2, 1)).shape == (2, 1)
    for names in ([], [Net]):
        file.seek(0)
        with mg.serialization.safe_globals(names), pytest.raises(Exception, match="Unsupported global: .*state_dict"):
            mg.load(file)


@pytest.mark.parametrize("entry", [os.system, eval, getattr, (Settings, "os.system")])
def test_what_runs_anything_can_not_be_allowed(entry):
    with pytest.raises(ValueError, match="can't be allowed"):
        mg.serialization.add_safe_globals([entry])


def test_wrong_entries_of_the_list():
    with pytest.raises(ValueError, match="length 2"):
        mg.serialization.add_safe_globals([(Settings, "a", "b")])
    with pytest.raises(TypeError, match="to be str"):
        mg.serialization.add_safe_globals([(Settings, 1)])


# ---------------------------------------------------------------------- arguments
@pytest.mark.parametrize("weights_only", [None, True, False])
def test_weights_only_makes_no_difference_to_data(weights_only):
    assert through({"epoch": 1, "best": 0.5}, weights_only=weights_only) == {"epoch": 1, "best": 0.5}


def test_arguments_without_an_effect_are_refused():
    import marshal
    import pickle

    file = io.BytesIO()
    with pytest.raises(RuntimeError, match="save: pickle_module"):
        mg.save(1, file, marshal)
    for protocol in (-1, 0, 1, 6, None, 2.0):
        with pytest.raises(ValueError, match="pickle_protocol must be 2, 3, 4 or 5"):
            mg.save(1, file, pickle_protocol=protocol)
    mg.save(1, file, pickle, 2)
    with pytest.raises(RuntimeError, match="load: pickle_module"):
        mg.load(file, pickle_module=marshal)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        mg.load(file, colour=1)
    with pytest.raises(TypeError, match="map_location must be"):
        mg.load(file, map_location=1.5)
    with pytest.raises(AttributeError, match="to be a path"):
        mg.load(3)
    with pytest.raises(AttributeError, match="to be a path"):
        mg.save(3, 4)


def test_a_file_may_be_anywhere_in_a_stream():
    file = io.BytesIO(b"before")
    file.seek(6)
    mg.save([1, mg.ones(2)], file)
    file.seek(6)
    assert mg.load(file)[1].tolist() == [1, 1]


def test_a_file_object_needs_only_write():
    class Sink:
        def __init__(self):
            self.data = bytearray()

        def write(self, data):
            self.data += data

    sink = Sink()
    mg.save(mg.ones(3), sink)
    assert mg.load(io.BytesIO(sink.data)).tolist() == [1, 1, 1]


# ---------------------------------------------------------------------- devices
def test_a_gpu_that_is_not_there():
    if mg.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with fake_cupy.installed():
        file = io.BytesIO()
        mg.save([mg.arange(6.0, device="cuda").reshape(2, 3)[:, 1:], mg.ones(1)], file)
    file.seek(0)
    with pytest.raises(RuntimeError, match="Attempting to deserialize .* map_location"):
        mg.load(file)
    on_cpu = io.BytesIO()
    mg.save(mg.ones(1), on_cpu)
    with pytest.raises(RuntimeError, match=r"on a CUDA device \(cuda\)"):
        mg.load(io.BytesIO(on_cpu.getvalue()), map_location="cuda")
    for place in ("cpu", mg.device("cpu"), {"cuda:0": "cpu"}, lambda storage, location: storage):
        file.seek(0)
        found = mg.load(file, map_location=place)
        assert found[0].tolist() == [[1, 2], [4, 5]] and found[0].device == mg.device("cpu")


def test_loading_onto_a_gpu():
    file = io.BytesIO()
    mg.save([mg.arange(6.0), VIEWS["transposed"], mg.nn.Parameter(mg.ones(2))], file)
    with fake_cupy.installed():
        for place in ("cuda", "cuda:0", mg.device("cuda"), {"cpu": "cuda:0"}, lambda s, location: s.cuda()):
            file.seek(0)
            found = mg.load(file, map_location=place)
            assert all(value.is_cuda for value in found)
            assert found[0].cpu().tolist() == [0, 1, 2, 3, 4, 5]
            assert mg.equal(found[1].cpu(), VIEWS["transposed"])
        file.seek(0)
        with pytest.raises(RuntimeError, match="CUDA device 3 but"):
            mg.load(file, map_location="cuda:3")


def test_map_location_functions():
    file = io.BytesIO()
    mg.save(mg.ones(3), file)
    seen = []

    def place(storage, location):
        seen.append((location, storage.nbytes(), str(storage)))

    file.seek(0)
    assert mg.load(file, map_location=place).device == mg.device("cpu")
    assert seen == [("cpu", 12, "<storage of 12 bytes, float32, saved on cpu>")]
    file.seek(0)
    with pytest.raises(TypeError, match="must return the storage"):
        mg.load(file, map_location=lambda storage, location: 1)


# ---------------------------------------------------------------------- the file
def test_the_archive_is_stored_and_aligned(tmp_path):
    path = tmp_path / "weights.pt"
    mg.save([mg.ones(3), mg.ones(5).double(), mg.ones(0)], path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert {"archive/data.pkl", "archive/byteorder", "archive/version", "archive/data/2"} <= set(names)
        assert archive.read("archive/version") == b"3\n"
        data = path.read_bytes()
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            start = entry.header_offset + 30 + sum(np.frombuffer(data, "<u2", 2, entry.header_offset + 26).tolist())
            assert start % 64 == 0
            assert data[start : start + entry.file_size] == archive.read(entry)


def test_the_same_object_gives_the_same_bytes(tmp_path):
    state = {"weight": mg.arange(5.0), "epoch": 1}
    mg.save(state, tmp_path / "a.pt")
    mg.save(state, tmp_path / "b.pt")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_mapped_tensors_are_copied_when_written(tmp_path):
    path = tmp_path / "weights.pt"
    mg.save({"a": mg.arange(4.0), "b": mg.ones(2)}, path)
    before = path.read_bytes()
    found = mg.load(path, mmap=True)
    assert not found["a"].array.flags.owndata
    found["a"].fill_(9)
    assert found["a"].tolist() == [9] * 4 and found["b"].tolist() == [1, 1]
    assert path.read_bytes() == before
    mg.save(found, path)  # over the very file that is mapped
    assert mg.load(path)["a"].tolist() == [9] * 4 and found["b"].tolist() == [1, 1]
    with pytest.raises(ValueError, match="file path in order to use the mmap"):
        mg.load(io.BytesIO(before), mmap=True)


def test_permissions_follow_the_umask_and_the_old_file(tmp_path):
    previous = os.umask(0o027)
    try:
        mg.save(1, tmp_path / "new.pt")
        assert stat.S_IMODE((tmp_path / "new.pt").stat().st_mode) == 0o640
        (tmp_path / "new.pt").chmod(0o604)
        mg.save(2, tmp_path / "new.pt")
        assert stat.S_IMODE((tmp_path / "new.pt").stat().st_mode) == 0o604
    finally:
        os.umask(previous)


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.pt").symlink_to(tmp_path / "folder" / "real.pt")
    mg.save(5, tmp_path / "link.pt")
    assert (tmp_path / "link.pt").is_symlink()
    assert mg.load(tmp_path / "folder" / "real.pt") == 5


def test_devices_that_are_no_files_are_written_directly():
    mg.save(mg.ones(10), os.devnull)
    assert not stat.S_ISREG(os.stat(os.devnull).st_mode)


def test_a_missing_folder(tmp_path):
    with pytest.raises(RuntimeError, match="Parent directory .*nowhere does not exist"):
        mg.save(1, tmp_path / "nowhere" / "x.pt")
    with pytest.raises(FileNotFoundError):
        mg.load(tmp_path / "nowhere.pt")


def test_paths_of_every_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mg.save(1, "plain.pt")
    mg.save(2, Path("path.pt"))
    mg.save(3, "n" * 250)
    assert (mg.load("plain.pt"), mg.load(Path("path.pt")), mg.load("n" * 250)) == (1, 2, 3)


def test_large_files_use_the_wide_fields_of_zip(monkeypatch, tmp_path):
    """Sizes and counts beyond what the narrow fields hold are written wide: here the limits are lowered."""
    from minigrad.serialization import archive

    monkeypatch.setattr(archive, "_LIMIT32", 1000)
    monkeypatch.setattr(archive, "_LIMIT16", 3)

    class Shown(archive.struct.Struct):
        """Writes the mark that means "look at the wide field" where the lowered limit stands."""

        def pack(self, *values):
            return super().pack(*[self.marks.get(value, value) for value in values])

    local, central, end = Shown("<4s5H3I2H"), Shown("<4s6H3I5H2I"), Shown("<4s4H2IH")
    local.marks = central.marks = {1000: 0xFFFFFFFF}
    end.marks = {1000: 0xFFFFFFFF, 3: 0xFFFF}
    monkeypatch.setattr(archive, "_LOCAL", local)
    monkeypatch.setattr(archive, "_CENTRAL", central)
    monkeypatch.setattr(archive, "_END", end)
    mg.save([mg.arange(500.0), mg.ones(3)], tmp_path / "wide.pt")
    with zipfile.ZipFile(tmp_path / "wide.pt") as file:
        assert file.testzip() is None
    assert mg.load(tmp_path / "wide.pt")[0].tolist() == list(range(500))
