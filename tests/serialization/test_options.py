"""Settings of saving and loading: formats, checksums, byte order, mapping, packages; what a file names."""

import argparse
import io
import mmap
import pickle
import threading
import zipfile

import pytest

import minigrad as mg
from minigrad import serialization
from tests.serialization.zipped import zipped


def saved(value, **options):
    file = io.BytesIO()
    mg.save(value, file, **options)
    return file.getvalue()


def load(data, **options):
    return mg.load(io.BytesIO(data), **options)


def content():
    base = mg.arange(12.0).reshape(3, 4)
    return {
        "base": base, "view": base.T[1:], "unsigned": mg.tensor([1, 65535], dtype=mg.uint16), "half": mg.ones(2).half(),
        "parameter": mg.nn.Parameter(mg.ones(3)), "empty": mg.zeros(0, 3), "number": mg.tensor(5), "epoch": 7,
        "flag": mg.tensor([True]), "complex": mg.tensor([1 + 2j]),
    }  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_formats_and_protocols(protocol, zipped):
    data = saved(content(), pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    assert data.startswith(b"PK" if zipped else bytes((0x80, protocol)))
    found = load(data)
    for name, value in content().items():
        if name == "epoch":
            assert found[name] == 7
            continue
        assert isinstance(found[name], mg.nn.Parameter) == (name == "parameter") and found[name].dtype == value.dtype
        assert mg.equal(found[name], value)
        assert found[name].stride() == value.stride() or name == "empty"
    found["base"][1, 1] = 100
    assert found["view"][0, 1] == 100


def test_the_old_format_is_written_in_place_of_a_file(tmp_path):
    path = tmp_path / "old.pt"
    path.write_bytes(b"before")
    with pytest.raises(TypeError, match="generator"):
        mg.save({"a": (i for i in "")}, path, _use_new_zipfile_serialization=False)
    assert path.read_bytes() == b"before"
    mg.save(content(), path, _use_new_zipfile_serialization=False)
    assert load(path.read_bytes())["epoch"] == 7
    with pytest.raises(RuntimeError, match="mmap can only be used"):
        mg.load(path, mmap=True)


def test_checksums_can_be_left_out():
    assert serialization.get_crc32_options() is True
    serialization.set_crc32_options(False)
    try:
        data = bytearray(saved(mg.arange(1000.0)))
    finally:
        serialization.set_crc32_options(True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.CRC for entry in archive.infolist()} == {0}
    data[2000] ^= 1
    assert load(bytes(data)).shape == (1000,)


def test_byte_order_of_files_that_do_not_say():
    with zipfile.ZipFile(io.BytesIO(saved(mg.arange(3, dtype=mg.int32)))) as archive:
        records = {name: archive.read(name) for name in archive.namelist() if not name.endswith("byteorder")}
    data = zipped(records)
    orders = serialization.LoadEndianness
    assert serialization.get_default_load_endianness() is None
    try:
        for order, last in ((None, 2), (orders.NATIVE, 2), (orders.LITTLE, 2), (orders.BIG, 2 << 24)):
            serialization.set_default_load_endianness(order)
            assert serialization.get_default_load_endianness() is order
            assert load(data)[-1].item() == last
    finally:
        serialization.set_default_load_endianness(None)
    with pytest.raises(TypeError, match="Invalid argument type in function set_default_load_endianness"):
        serialization.set_default_load_endianness("big")


def test_a_shared_mapping_writes_to_the_file(tmp_path):
    path = tmp_path / "weights.pt"
    mg.save(mg.zeros(4), path)
    with serialization.set_default_mmap_options(mmap.MAP_SHARED):
        found = mg.load(path, mmap=True)
        found[1] = 5
    assert serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
    assert mg.load(path, mmap=True).tolist() == [0, 5, 0, 0]
    private = mg.load(path, mmap=True)
    private[2] = 7
    assert mg.load(path, mmap=True).tolist() == [0, 5, 0, 0]
    with pytest.raises(ValueError, match=r"expected mmap.MAP_PRIVATE or mmap.MAP_SHARED, but got 99"):
        serialization.set_default_mmap_options(99)


def test_a_mapped_file_is_read_only_where_it_is_looked_at(tmp_path):
    path = tmp_path / "large.pt"
    mg.save({"a": mg.ones(4), "large": mg.zeros(1 << 20)}, path)
    found = mg.load(path, mmap=True)
    assert found["large"].array.base is not None and not found["large"].array.flags.owndata
    assert found["large"].array.ctypes.data % 64 == 0
    with open(path, "r+b") as file:  # a private page shows what is in the file until it is written to
        position = path.read_bytes().index(mg.ones(4).numpy().tobytes())
        file.seek(position)
        file.write(mg.full((4,), 3.0).numpy().tobytes())
    assert found["a"].tolist() == [3, 3, 3, 3]


def test_data_can_be_left_out(tmp_path):
    path = tmp_path / "x.pt"
    with serialization.skip_data():
        mg.save({"a": mg.ones(3), "epoch": 2}, path)
        inside = []
        thread = threading.Thread(target=lambda: inside.append(load(saved(mg.ones(1))).item()))
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="Cannot use skip_data"):
            saved(1, _use_new_zipfile_serialization=False)
    assert inside == [1]
    found = mg.load(path)
    assert found["a"].tolist() == [0, 0, 0] and found["epoch"] == 2
    data = saved(mg.ones(2))
    with serialization.skip_data():
        assert load(data).tolist() == [0, 0]
    assert load(data).tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="no fake tensors"):
        serialization.skip_data(True)


def test_packages_of_other_devices(monkeypatch):
    monkeypatch.setattr(serialization.storages, "_PACKAGES", list(serialization.storages._PACKAGES))
    data = saved(mg.ones(2))
    serialization.register_package(5, lambda storage: "tape:1", lambda storage, where: None)
    assert serialization.location_tag(mg.ones(1)) == "tape:1"
    tagged = saved(mg.ones(2))
    assert b"tape:1" in tagged
    with pytest.raises(RuntimeError, match="tagged with 'tape:1'.*register_package"):
        load(tagged)
    assert load(tagged, map_location="cpu").tolist() == [1, 1]
    assert load(tagged, map_location={"tape:1": "cpu"}).tolist() == [1, 1]
    calls = []
    serialization.register_package(
        40, lambda storage: None, lambda storage, where: calls.append(where) or storage.cpu()
    )
    assert load(tagged).tolist() == [1, 1] and calls == ["tape:1"]
    assert load(data).tolist() == [1, 1] and calls == ["tape:1"]
    serialization.register_package(1, lambda storage: None, lambda storage, where: 3)
    with pytest.raises(TypeError, match="a deserializer must return the storage, but got int"):
        load(data)
    serialization.register_package(0, lambda storage: None, lambda storage, where: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load(data)
    with pytest.raises(ZeroDivisionError):
        serialization.default_restore_location(None, "cpu")
    monkeypatch.setattr(serialization.storages, "_PACKAGES", [])
    with pytest.raises(RuntimeError, match="don't know how to determine data location"):
        saved(mg.ones(1))


def test_what_a_file_names(tmp_path):
    names = serialization.get_unsafe_globals_in_checkpoint
    path = tmp_path / "x.pt"
    mg.save(content(), path)
    assert names(path) == []
    with serialization.safe_globals([argparse.Namespace]):
        mg.save([argparse.Namespace(a=1)], path)
        assert names(path) == []
    assert names(path) == ["argparse.Namespace"]
    for protocol in (2, 4):
        nasty = pickle.dumps([zipfile.ZipFile, mg.nn.Linear, argparse.Namespace, zipfile.ZipFile], protocol)
        file = io.BytesIO(zipped({"archive/data.pkl": nasty}))
        assert set(names(file)) == {"minigrad.nn.linear.Linear", "argparse.Namespace", "zipfile.ZipFile"}
        assert file.tell() == 0
    for bad in (b"", b"nothing", saved(1, _use_new_zipfile_serialization=False)):
        with pytest.raises(ValueError, match="Expected input to be a checkpoint returned by save"):
            names(io.BytesIO(bad))
    with pytest.raises(ValueError, match="torchscript"):
        names(io.BytesIO(zipped({"archive/constants.pkl": b"", "archive/data.pkl": b""})))
    with pytest.raises(pickle.UnpicklingError, match="damaged"):
        names(io.BytesIO(zipped({"archive/data.pkl": b"\x80\x02X\xff\xff\xff\xff"})))


@pytest.mark.parametrize(
    "name", ["SourceChangeWarning", "StorageType", "mkdtemp", "validate_hpu_device", "normalize_storage_type"]
)
def test_absent_names_say_why(name):
    with pytest.raises(AttributeError, match=f"'minigrad.serialization' has no attribute '{name}': .+"):
        getattr(serialization, name)
