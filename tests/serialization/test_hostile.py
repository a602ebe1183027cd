"""Hostile, damaged and cut-off files: one clear error, nothing run, memory bounded by the size of the file."""

import copy
import io
import os
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import has_bfloat16
from tests.serialization.zipped import zipped

FILES = Path(__file__).parent / "files"  # written by PyTorch 2.13
ERRORS = (pickle.UnpicklingError, RuntimeError, EOFError)
PROTO, STOP = b"\x80\x02", b"."
ORDERED = b"ccollections\nOrderedDict\n)R"


def checkpoint(data, storages=(), **records):
    """The archive of a pickle."""
    everything = {"archive/data.pkl": data, "archive/version": b"3\n"}
    everything.update({f"archive/data/{key}": value for key, value in enumerate(storages)})
    everything.update({f"archive/{name}": value for name, value in records.items()})
    return zipped(everything)


def legacy(data):
    """A file of the old format around a pickle."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    return b"".join(pickle.dumps(value, 2) for value in head) + data + pickle.dumps([], 2)


def load(data, weights_only=True):
    return mg.load(io.BytesIO(data), weights_only=weights_only)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def storage(count, kind="FloatStorage", key="0"):
    """The pickled reference to a storage."""
    return b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count) + b"tQ"


def number(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def tensor(count, offset, shape, strides, kind="FloatStorage"):
    """A pickled tensor on a storage of ``count`` elements."""
    shape, strides = (b"(" + b"".join(map(number, values)) + b"t" for values in (shape, strides))
    parts = b"(" + storage(count, kind) + number(offset) + shape + strides + b"\x89" + ORDERED + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + parts + b"R"


# ---------------------------------------------------------------------- nothing is run
MARKER = "minigrad_was_here"
COMMAND = text(f"touch {MARKER}")
ATTACKS = {
    "system": b"cposix\nsystem\n" + COMMAND + b"\x85R",
    "os.system": b"cos\nsystem\n" + COMMAND + b"\x85R",
    "eval": b"c__builtin__\neval\n" + text("1+1") + b"\x85R",
    "stack global": text("os") + text("system") + b"\x93" + COMMAND + b"\x85R",
    "inst": b"(" + COMMAND + b"ios\nsystem\n",
    "object": b"(cos\nsystem\n" + COMMAND + b"o",
    "extension": b"\x82\x01",
    "newobj": b"csubprocess\nPopen\n" + COMMAND + b"\x85\x81",
    "newobj_ex": b"ccollections\nOrderedDict\n)}\x92",
    "newobj of a listed name": b"ccollections\nOrderedDict\n)\x81",
    "getattr": b"c__builtin__\ngetattr\nctorch\nSize\n" + text("__class__") + b"\x86R",
    "dotted name": b"ccollections\nabc.sys.modules\n",
    "call of a result": ORDERED + b")R",
    "call of a dtype": b"ctorch\nfloat32\n)R",
    "state of a dtype": b"ctorch\nfloat32\n}" + text("name") + text("x") + b"sb",
    "state of a name": b"ctorch\nSize\n}" + text("make") + b"Nsb",
    "state of a list": b"]}" + text("append") + b"Nsb",
    "slots of an OrderedDict": ORDERED + b"N}" + text("__class__") + b"Ns\x86b",
    "another class's set": b"cdatetime\ndatetime\n)\x81}b",
    "persistent text": b"Pstorage\n",
    "persistent number": b"K\x01Q",
    "a subclass": b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nSize\nctorch\nTensor\n)}tR",
    "a factory": b"ccollections\ndefaultdict\ncos\nsystem\n\x85R",
    "a listed name as factory": b"ccollections\ndefaultdict\nctorch\nSize\n\x85R",
    "a name as a value": b"}" + text("a") + b"ctorch\nSize\ns",
    "numpy of objects": b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R",
    "numpy with a comma": b"cnumpy\ndtype\n" + text("i4,(2)f4") + b"\x89\x88\x87R",
    "append to a tuple": b"))a",
    "items of a list": b"]K\x01K\x02s",
    "a list as a key": b"}]K\x01s",
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("wrap", [checkpoint, legacy])
@pytest.mark.parametrize("weights_only", [True, False])
def test_nothing_is_run(name, wrap, weights_only, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="Unsupported global|not allowed|never allowed|damaged|as a value"):
        mg.load(io.BytesIO(wrap(PROTO + ATTACKS[name] + STOP)), weights_only=weights_only)
    assert os.listdir(tmp_path) == []


def test_the_name_of_what_is_refused_is_told():
    with pytest.raises(pickle.UnpicklingError, match=r"posix\.system .* runs nothing that a file names"):
        load(checkpoint(PROTO + ATTACKS["system"] + STOP))
    module = b"ctorch.nn.modules.linear\nLinear\n)\x81}b."
    with pytest.raises(pickle.UnpicklingError, match=r"torch\.nn\.modules\.linear\.Linear .*save model\.state_dict"):
        load(checkpoint(PROTO + module))
    for name in ("_rebuild_sparse_tensor", "_rebuild_meta_tensor_no_storage"):
        with pytest.raises(pickle.UnpicklingError, match=f"which minigrad does not have .*{name}"):
            load(checkpoint(PROTO + f"ctorch._utils\n{name}\n.".encode()))
    with pytest.raises(pickle.UnpicklingError, match="torch.float8_e5m2, which minigrad does not have"):
        load(checkpoint(PROTO + b"ctorch\nfloat8_e5m2\n."))


def test_a_pickled_minigrad_module_is_refused_too():
    with pytest.raises(pickle.UnpicklingError, match="not one that torch.save wrote|no checkpoint"):
        load(pickle.dumps(mg.nn.Linear(1, 1), 2))


# ---------------------------------------------------------------------- memory and time
def nested_key(depth):
    return b"})" + b"\x85" * depth + b"K\x01s"


def wide_key(depth):
    return b"}" + b")" + b"q\x00h\x00h\x00\x87" * depth + b"K\x01s"


BOMBS = {
    "bytes of exabytes": b"\x8e" + struct.pack("<Q", 1 << 60),
    "text of gigabytes": b"X\xff\xff\xff\xff",
    "a number of gigabytes": b"\x8b\xff\xff\xff\x7f",
    "a byte array of terabytes": b"c__builtin__\nbytearray\n" + number(10**12) + b"\x85R",
    "a frame of exabytes": b"\x95" + struct.pack("<Q", 1 << 60),
    "a storage of terabytes": tensor(10**12, 0, (10**12,), (1,)),
    "sets of one list": b"(" + b"](" + b"K\x01" * 5000 + b"eq\x000(" + b"c__builtin__\nset\nh\x00\x85R" * 5000 + b"l",
    "copies of one text": b"(" + text("x" * 50_000) + b"q\x000" + b"c_codecs\nencode\nh\x00\x85R" * 5000 + b"l",
    "a deep key": nested_key(20_000),
    "a key of powers": wide_key(60),
    "a tensor of exabytes": tensor(1, 0, (1 << 31, 1 << 31), (0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("wrap", [lambda data: checkpoint(data, [bytes(4)]), legacy], ids=["zip", "legacy"])
def test_memory_is_bounded(name, wrap):
    data = wrap(PROTO + BOMBS[name] + STOP)
    tracemalloc.start()
    try:
        with pytest.raises(ERRORS):
            load(data)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_a_large_number_in_the_memo_takes_no_room():
    tracemalloc.start()
    try:
        assert load(checkpoint(PROTO + b"]r\xff\xff\xff\xff.")) == []
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_deep_nesting_is_no_problem():
    value = load(checkpoint(PROTO + b"]" * 100_000 + b"a" * 99_999 + STOP))
    depth = 0
    while value:
        value = value[0]
        depth += 1
    assert depth == 99_999


COLLIDING = {
    "numbers": [b"\x8a\x20" + (k * (2**61 - 1)).to_bytes(32, "little") for k in range(20, 20_000)],
    "complex": [
        b"c__builtin__\ncomplex\nG" + struct.pack(">dcd", 1000003.0 * (20_000 - k), b"G", k) + b"\x86R"
        for k in range(1, 20_000)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", COLLIDING)
def test_keys_of_one_hash_are_refused(name):
    """A dict of such keys takes time with the square of their number."""
    keys = COLLIDING[name]
    data = b"}(" + b"N".join(keys) + b"Nu"
    assert len({hash(k * (2**61 - 1)) for k in range(20, 30)}) == 1
    for pickled in (data, b"c__builtin__\nset\n](" + b"".join(keys) + b"e\x85R", b"\x8f(" + b"".join(keys) + b"\x90"):
        with pytest.raises(pickle.UnpicklingError, match="the same hash"):
            load(checkpoint(PROTO + pickled + STOP))


def again(key, count=60_000):
    """New dicts with one key, which is written once."""
    return key + b"q\x000" + b"}h\x00Ns0" * count + b"N"


def two_long_keys():
    return text("x" * 200_000) + b"q\x000" + text("x" * 200_000) + b"q\x010}(" + b"h\x00Nh\x01N" * 60_000 + b"u"


LARGE = b"\x8b" + struct.pack("<i", 200_000) + b"\x7f" * 200_000
SLOW = {
    "storages": lambda: b"(" + b"".join(storage(0, key=str(key)) + b"0" for key in range(40_000)) + b"t",
    "a large number": lambda: again(LARGE),
    "a tuple of a large number": lambda: again(LARGE + b"\x85"),
    "a size": lambda: again(b"ctorch\nSize\n" + LARGE + b"\x85\x85R"),
    "long texts": two_long_keys,
    "tensors": lambda: tensor(0, 0, (0,), (1,))[:-1] + b"q\x000q\x010" + b"(" + b"h\x01h\x00R" * 100_000 + b"t",
}


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("wrap", [lambda data: checkpoint(data, [bytes(4)]), legacy], ids=["zip", "legacy"])
def test_time_is_bounded(name, wrap):
    data = SLOW[name]()
    if wrap is legacy:  # where references have a sixth item
        data = data.replace(b"tQ", b"NtQ")
    data = wrap(PROTO + data + STOP)
    begin = time.process_time()
    with pytest.raises(ERRORS):
        load(data)
    assert time.process_time() - begin < 4


def test_many_unusual_keys_are_fine():
    value = {(i, j): i + 1j * j for i in range(60) for j in range(60)}
    file = io.BytesIO()
    mg.save([value, set(value.values()), value], file)
    assert load(file.getvalue())[:2] == [value, set(value.values())]


def test_a_compressed_record_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(RuntimeError, match="compressed.*zip -0"):
            load(file.getvalue())
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_records_that_lie_on_one_another_are_refused():
    """A thousand entries of the directory that all name the same megabyte are no gigabyte."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", PROTO + b"N.")
        archive.writestr("archive/data/0", bytes(1 << 20))
        for key in range(1, 1000):
            entry = copy.copy(archive.infolist()[1])
            entry.filename = f"archive/data/{key}"
            archive.filelist.append(entry)
    with pytest.raises(RuntimeError, match="can't hold records"):
        load(file.getvalue())


def test_a_huge_empty_file(tmp_path):
    path = tmp_path / "huge.pt"
    for begin in (b"", b"PK\3\4", pickle.dumps(0x1950A86A20F9469CFC6C, 2)):
        with open(path, "wb") as file:
            file.write(begin)
            file.truncate(1 << 40)  # takes no room
        with pytest.raises(ERRORS):
            mg.load(path)


# ---------------------------------------------------------------------- damage
@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt", "protocol4.pt"])
def test_every_cut_gives_an_error(name):
    data = (FILES / name).read_bytes()
    load(data, False)
    for end in [*range(0, len(data) - 1, 37), len(data) - 1]:
        with pytest.raises(ERRORS) as caught:
            load(data[:end], False)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data, error, match",
    [
        (b"", EOFError, "Ran out of input"),
        (b"hello, world", pickle.UnpicklingError, "no checkpoint"),
        (bytes(1000), pickle.UnpicklingError, "no checkpoint"),
        (b"PK\3\4" + bytes(1000), RuntimeError, "cut off or damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), pickle.UnpicklingError, "no checkpoint"),
        (pickle.dumps({"a": 1}, 2), pickle.UnpicklingError, "not one that torch.save wrote"),
        (zipped({"archive/data.pkl": b""}), EOFError, "cut off"),
        (zipped({"archive/version": b"3"}), RuntimeError, "no record archive/data.pkl"),
        (zipped({"archive/constants.pkl": b"", "archive/data.pkl": b""}), RuntimeError, "TorchScript"),
        (zipped({}), pickle.UnpicklingError, "no checkpoint"),
        (checkpoint(PROTO + b"N"), EOFError, "cut off"),
        (checkpoint(PROTO + b"(N."), pickle.UnpicklingError, "in the middle"),
        (checkpoint(PROTO + b"\xff."), pickle.UnpicklingError, "damaged"),
        (checkpoint(PROTO + b"\x85."), pickle.UnpicklingError, "damaged"),
        (checkpoint(b"\x80\x09N."), pickle.UnpicklingError, "protocol 9"),
        (checkpoint(PROTO + b"h\x05."), pickle.UnpicklingError, "damaged"),
        (checkpoint(PROTO + tensor(1, 0, (1,), (1,)) + STOP), RuntimeError, "no record archive/data/0"),
        (checkpoint(PROTO + tensor(2, 0, (2,), (1,)) + STOP, [bytes(4)]), RuntimeError, "has 4 of 8 bytes"),
        (checkpoint(PROTO + tensor(1, 0, (2,), (1,)) + STOP, [bytes(4)]), pickle.UnpicklingError, "ends at element 1"),
        (checkpoint(PROTO + tensor(1, 1, (1,), (1,)) + STOP, [bytes(4)]), pickle.UnpicklingError, "ends at element 1"),
        (checkpoint(PROTO + tensor(1, -1, (1,), (1,)) + STOP, [bytes(4)]), pickle.UnpicklingError, "offset -1"),
        (checkpoint(PROTO + tensor(2, 1, (2,), (-1,)) + STOP, [bytes(8)]), pickle.UnpicklingError, "stride.* -1"),
        (checkpoint(PROTO + tensor(2, 0, (2,), (1, 1)) + STOP, [bytes(8)]), pickle.UnpicklingError, "2 strides"),
        (checkpoint(PROTO + tensor(1, 0, (1,) * 65, (1,) * 65) + STOP, [bytes(4)]), pickle.UnpicklingError, "shape"),
        (checkpoint(PROTO + b"N.", byteorder=b"middle"), RuntimeError, "byte order"),
        (legacy(PROTO + b"N.")[:-1], EOFError, "cut off"),
        (legacy(PROTO + storage(0)[:-2] + b"NtQ."), pickle.UnpicklingError, "bare storage"),
    ],
)  # fmt: skip
def test_damage_is_named(data, error, match):
    with pytest.raises(error, match=match):
        load(data)


def test_wrong_checksums_are_found():
    file = io.BytesIO()
    mg.save(mg.arange(1000.0), file)
    data = bytearray(file.getvalue())
    data[2000] ^= 1
    with pytest.raises(RuntimeError, match="checksum of record data/0"):
        load(bytes(data))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's account of memory")
def test_thousands_of_damaged_files(tmp_path):
    """No file runs anything, takes long, or needs more memory than a limit; see fuzz.py."""
    pytest.importorskip("hypothesis")
    pytest.importorskip("safetensors")
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]), OPENBLAS_NUM_THREADS="1")
    script = Path(__file__).with_name("fuzz.py")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(FILES), "2400"],
        capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    slowest, *counted = result.stdout.split()
    assert float(slowest) < 5
    found = {name: int(number) for name, number in (item.split("=") for item in counted)}
    kinds = {name: found.pop(name) for name in ("file", "pickle", "record", "directory", "safetensors")}
    assert set(found) - {"TypeError"} == {"loaded", "UnpicklingError", "RuntimeError", "EOFError", "SafetensorError"}
    assert sum(kinds.values()) == sum(found.values()) >= 2000
    assert min(kinds.values()) > 100
    found.pop("TypeError", None)
    assert min(found.values()) > 30


# ---------------------------------------------------------------------- what PyTorch wrote
@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt", "protocol4.pt"])
@pytest.mark.parametrize("mmap", [False, True])
def test_files_of_pytorch(name, mmap):
    if mmap and name == "legacy.pt":
        with pytest.raises(RuntimeError, match="mmap can only be used"):
            mg.load(FILES / name, mmap=True)
        return
    found = mg.load(FILES / name, mmap=mmap, weights_only=False)
    assert found["base"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert found["view"].tolist() == [[4, 8], [6, 10]] and found["view"].stride() == (2, 4)
    found["base"][1, 0] = -1
    assert found["view"][0, 0] == -1
    assert isinstance(found["parameter"], mg.nn.Parameter) and found["parameter"].requires_grad
    assert found["bfloat16"].dtype == (mg.bfloat16 if has_bfloat16() else mg.float32)
    assert found["bfloat16"].tolist() == [1, -2.5, 3.140625]
    assert found["float16"].dtype == mg.float16 and found["float16"].tolist() == [0.5]
    assert found["uint16"].dtype == mg.uint16 and found["uint16"].tolist() == [1, 65535]
    assert found["int8"].dtype == mg.int8 and found["int8"].tolist() == [-128]
    assert found["bool"].dtype == mg.bool and found["bool"].tolist() == [True, False]
    assert found["conjugate"].tolist() == [1 - 2j]
    assert found["tagged"].note == "x"
    assert found["values"] == [
        1, 2.5, "s", b"b", None, {1, 2}, (1, 2, 3, 4), 1j, mg.float16, mg.Size([1]), mg.device("cpu"), 2**70,
    ]  # fmt: skip
    assert found["counter"] == {1: 2}
    assert type(found["number"]) is np.float64 and found["number"] == 1.5
    assert found["array"].tolist() == [0, 1, 2, 3]
    net = mg.nn.Sequential(mg.nn.Linear(2, 2), mg.nn.BatchNorm1d(2))
    net.load_state_dict(found["net"])
    optimizer = mg.optim.SGD(net.parameters(), lr=1)
    optimizer.load_state_dict(found["optimizer"])
    assert optimizer.param_groups[0]["momentum"] == 0.9
    assert "momentum_buffer" in optimizer.state[net[0].weight]


def test_a_file_of_the_other_byte_order():
    with zipfile.ZipFile(FILES / "zip.pt") as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    expected = mg.load(FILES / "zip.pt", weights_only=False)
    root = next(iter(records)).partition("/")[0]
    kinds = {}

    def note(storage, location):
        return kinds.setdefault(len(kinds), storage)

    mg.load(FILES / "zip.pt", map_location=note, weights_only=False)
    for key, found in kinds.items():
        name = f"{root}/data/{key}"
        item = {"complex64": 4, "bfloat16": 2, None: 2}.get(found.dtype_name)
        item = np.dtype(found.dtype_name).itemsize if item is None else item
        records[name] = np.frombuffer(records[name], f"u{item}").byteswap().tobytes()
    records[f"{root}/byteorder"] = b"big"
    swapped = load(zipped(records), False)
    for name in ("base", "view", "bfloat16", "float16", "uint16", "conjugate", "bool"):
        assert mg.equal(swapped[name], expected[name]), name


def test_strings_of_python_2():
    """torch.load's encoding and errors: byte strings are text in the given encoding, or bytes."""
    data = legacy(PROTO + b"U\x02\xc3\xa4.")
    assert load(data) == "ä"
    assert mg.load(io.BytesIO(data), encoding="latin1") == "Ã¤"
    assert mg.load(io.BytesIO(data), encoding="bytes") == b"\xc3\xa4"
    assert mg.load(io.BytesIO(data), encoding="ascii", errors="ignore") == ""
    with pytest.raises(pickle.UnpicklingError, match="UnicodeDecodeError"):
        mg.load(io.BytesIO(data), encoding="ascii")
