"""Dates, paths, numbers and NumPy's arrays in checkpoints: what comes back, and what a file can't do by them."""

import collections
import datetime
import io
import os
import pickle
import struct

import numpy as np
import pytest

import minigrad as mg
from tests.serialization.values import OBJECTS, SAFE, same
from tests.serialization.zipped import zipped


def saved(value, **options):
    file = io.BytesIO()
    mg.save(value, file, **options)
    return io.BytesIO(file.getvalue())


def crafted(pickled):
    """A checkpoint around the operations of a pickle."""
    return io.BytesIO(zipped({"archive/data.pkl": b"\x80\x02" + pickled + b".", "archive/version": b"3\n"}))


@pytest.mark.parametrize("name", SAFE)
@pytest.mark.parametrize("weights_only", [None, True, False])
def test_what_is_always_read(name, weights_only):
    same(mg.load(saved([SAFE[name]]), weights_only=weights_only), [SAFE[name]])


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("old", [False, True])
def test_what_weights_only_false_reads(name, old):
    value = OBJECTS[name]
    file = saved({"a": value, "b": [value, mg.ones(2)]}, _use_new_zipfile_serialization=not old)
    found = mg.load(file, weights_only=False)
    same(found["a"], value)
    assert found["a"] is found["b"][0] or not isinstance(value, (list, np.ndarray, collections.deque))
    if not old:
        refused = mg.serialization.get_unsafe_globals_in_checkpoint(file)
        assert refused
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="Unsupported global"):
        mg.load(file, weights_only=True)


@pytest.mark.parametrize(
    "name, allowed",
    [("defaultdict", [collections.defaultdict, list]), ("frozenset", [frozenset]), ("deque", [collections.deque]),
     ("timedelta", [datetime.timedelta]), ("slice", [slice]), ("range", [range]), ("dtype", [np.dtype]),
     ("array", [np.dtype, np.ndarray, np.empty(0).__reduce__()[0]]),
     ("day", [np.dtype, np.float64(0).__reduce__()[0]])],
)  # fmt: skip
def test_what_the_program_allows_is_read_by_default(name, allowed):
    file = saved(OBJECTS[name])
    with mg.serialization.safe_globals(allowed):
        assert mg.serialization.get_unsafe_globals_in_checkpoint(file) == []
        same(mg.load(file), OBJECTS[name])
    file.seek(0)
    assert mg.serialization.get_unsafe_globals_in_checkpoint(file) != [] == mg.serialization.get_safe_globals()


def text(value):
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def binary(value):
    return b"c_codecs\nencode\n" + text(value.decode("latin1")) + text("latin1") + b"\x86R"


DTYPE = b"cnumpy\ndtype\n%s\x89\x88\x87R"
ARRAY = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + binary(b"b") + b"\x87R"
DAYS = DTYPE % text("M8") + b"(K\x04" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0"
ATTACKS = {
    "defaultdict of a function": b"ccollections\ndefaultdict\ncos\nsystem\n\x85R",
    "defaultdict of a layer": b"ccollections\ndefaultdict\nctorch.nn.modules.linear\nLinear\n\x85R",
    "defaultdict of items": b"ccollections\ndefaultdict\n}}\x86R",
    "deque of nothing": b"ccollections\ndeque\nK\x05\x85R",
    "deque of a negative length": b"ccollections\ndeque\n)J\xff\xff\xff\xff\x86R",
    "call of a type": b"c__builtin__\nint\n" + text("5") + b"\x85R",
    "object of a type": b"c__builtin__\nlist\n)\x81",
    "object of NumPy's type": b"cnumpy\nfloat32\n)\x81",
    "type of an object": b"c__builtin__\ntype\nK\x05\x85R",
    "three arguments of type": b"c__builtin__\ntype\n" + text("x") + b")}\x87R",
    "set of a range": b"c__builtin__\nset\nc__builtin__\nxrange\nJ\xff\xff\xff\x7f\x85R\x85R",
    "range of texts": b"c__builtin__\nxrange\n" + text("5") + b"\x85R",
    "month 13": b"cdatetime\ndate\n" + binary(b"\x07\xe4\x0d\x01") + b"\x85R",
    "day 99": b"cdatetime\ndate\n" + binary(b"\x07\xe4\x01\x63") + b"\x85R",
    "a date of a text": b"cdatetime\ndate\n" + text("2020") + b"\x85R",
    "hour 99": b"cdatetime\ntime\n" + binary(b"\x63\0\0\0\0\0") + b"\x85R",
    "a datetime with a zone of its own": b"cdatetime\ndatetime\n" + binary(b"\x07\xe4\x01\x01" + bytes(6)) + b"]\x86R",
    "a zone of years": b"cdatetime\ntimezone\ncdatetime\ntimedelta\nM\xff\xffK\0K\0\x87R\x85R",
    "timedelta of floats": b"cdatetime\ntimedelta\nG" + struct.pack(">d", 1e300) + b"K\0K\0\x87R",
    "state of a date": b"cdatetime\ndate\n" + binary(b"\x07\xe4\x01\x01") + b"\x85R}b",
    "path of bytes": b"cpathlib\nPosixPath\n" + binary(b"a") + b"\x85R",
    "Decimal of a list": b"cdecimal\nDecimal\n]\x85R",
    "Decimal of no number": b"cdecimal\nDecimal\n" + text("one") + b"\x85R",
    "Decimal of a million digits": b"cdecimal\nDecimal\n" + text("9" * 1_000_000) + b"\x85R",
    "Fraction of an exponent": b"cfractions\nFraction\n" + text("1e999999999") + b"\x85R",
    "Fraction by zero": b"cfractions\nFraction\nK\x01K\0\x86R",
    "Fraction of giants": b"cfractions\nFraction\n" + 2 * (b"\x8b\xff\xff\0\0" + b"\x11" * 65535) + b"\x86R",
    "UUID of a text": b"cuuid\nUUID\n)\x81}" + text("int") + text("5") + b"sb",
    "UUID out of range": b"cuuid\nUUID\n)\x81}" + text("int") + b"J\xff\xff\xff\xffsb",
    "UUID without a state": b"]cuuid\nUUID\n)\x81a",
    "UUID's __init__": b"cuuid\nUUID\n" + text("5") + b"\x85R",
    "attributes of a namespace by number": b"ctypes\nSimpleNamespace\n)R}K\x01K\x01sb",
    "call of a namespace": b"ctypes\nSimpleNamespace\n}\x85R",
    "PackedSequence of numbers": b"ctorch.nn.utils.rnn\nPackedSequence\n(K\x01K\x01NNt\x81",
    "array of objects from bytes": ARRAY + b"(K\x01K\x08\x85" + DTYPE % text("O8") + b"(K\x03" + text("|")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89" + binary(bytes(64)) + b"tb",
    "number of objects": b"cnumpy._core.multiarray\nscalar\n" + DTYPE % text("O8") + b"(K\x03" + text("|") + b"tb"
    + binary(bytes(8)) + b"\x86R",
    "array of numbers from a list": ARRAY + b"(K\x01K\x01\x85" + DTYPE % text("f4") + b"(K\x03" + text("<")
    + b"tb\x89]K\x01atb",
    "dates of centuries": DAYS + b"N(" + binary(b"century") + b"K\x01K\x01K\x01t\x86tb",
    "dates of 1e9 days": DAYS + b"N(" + binary(b"D") + b"J\xff\xff\xff\x7fK\x01K\x01t\x86tb",
    "records of objects": DTYPE % text("V8") + b"(K\x03" + text("|") + b"N" + text("a") + b"\x85}" + text("a")
    + DTYPE % text("O8") + b"(K\x03" + text("|") + b"tbK\0\x86sK\x08K\x01K\x10tb",
    "records of gigabytes": DTYPE % text("V8") + b"(K\x03" + text("|") + b"N" + text("a") + b"\x85}" + text("a")
    + DTYPE % text("f4") + b"(K\x03" + text("<") + b"tbK\0\x86sJ\xff\xff\xff\x7fK\x01K\x10tb",
    "a state twice": ARRAY + b"}b",
    "generator of NumPy": b"cnumpy.random._pickle\n__generator_ctor\n" + text("MT19937") + b"\x85R",
    "partial": b"cfunctools\npartial\ncos\nsystem\n\x85R",
    "a name within": b"cdatetime\nos.system\n" + text("touch x") + b"\x85R",
    "an enum": b"cuuid\nSafeUUID\nK\x00\x85R",
    "opening": b"cpathlib\nPath\n" + text("x") + b"\x85R",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("weights_only", [True, False])
def test_nothing_else_is_made(name, weights_only, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match="Unsupported global|not allowed|damaged|as a value|far more"):
        mg.load(crafted(b"]" + ATTACKS[name] + b"a"), weights_only=weights_only)
    assert os.listdir(tmp_path) == []


def test_paths_of_another_system_are_pure():
    module = "cpathlib\nWindowsPath\n" if os.name != "nt" else "cpathlib\nPosixPath\n"
    found = mg.load(crafted(module.encode() + text("a") + text("b") + b"\x86R"), weights_only=False)
    assert found.parts == ("a", "b") and type(found).__name__.startswith("Pure")


def test_the_second_of_two_equal_times():
    """Protocol 4 and later write which of the two hours it was when clocks were set back."""
    file = crafted(b"cdatetime\ndatetime\n" + binary(b"\x07\xe4\x8a\x01" + bytes(6)) + b"\x85R")
    found = mg.load(file, weights_only=False)
    assert found.fold == 1 and found == datetime.datetime(2020, 10, 1)


def test_packed_sequences():
    packed = mg.nn.utils.rnn.pack_sequence([mg.ones(1), mg.zeros(3)], enforce_sorted=False)
    found = mg.load(saved(packed), weights_only=False)
    assert type(found) is type(packed) and mg.equal(found.data, packed.data)
    assert mg.equal(found.batch_sizes, packed.batch_sizes) and found.sorted_indices.tolist() == [1, 0]
