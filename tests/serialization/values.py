"""Objects that ordinary checkpoints hold besides tensors: what weights_only=False reads."""

import argparse
import collections
import datetime
import decimal
import fractions
import pathlib
import random
import types
import uuid

import numpy as np

LIST, INTEGERS = collections.defaultdict(list, a=[1]), collections.defaultdict(int, {1: 2})
# Name -> value; those of SAFE are read by default as well.
SAFE = {
    "none": None, "int": 10**50, "float": 1.5, "complex": 1 + 2j, "bool": True, "str": "a", "bytes": b"ab",
    "bytearray": bytearray(b"ab"), "list": [1], "tuple": (1, 2), "dict": {"a": {1: 2}}, "set": {1, 2}, "no set": set(),
    "OrderedDict": collections.OrderedDict(a=1), "Counter": collections.Counter("aab"),
    "state of random": random.Random(1).getstate(), "state of NumPy": np.random.default_rng(0).bit_generator.state,
}  # fmt: skip
OBJECTS = {
    "frozenset": frozenset([1, "a"]), "no frozenset": frozenset(), "defaultdict": LIST, "of ints": INTEGERS,
    "of None": collections.defaultdict(None, {1: 2}), "deque": collections.deque([1, [2]], maxlen=5),
    "no deque": collections.deque(), "one deque": collections.deque([1]), "range": range(1, 9, 2),
    "slice": slice(1, None), "ellipsis": ..., "NotImplemented": NotImplemented,
    "path": pathlib.Path("a/b"), "pure path": pathlib.PurePosixPath("/a"), "drive": pathlib.PureWindowsPath("c:/a"),
    "datetime": datetime.datetime(2020, 1, 2, 3, 4, 5, 6), "date": datetime.date(2020, 12, 31),
    "zoned": datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), "time": datetime.time(1, 2, 3, 4),
    "zone": datetime.timezone(datetime.timedelta(hours=2), "x"), "timedelta": datetime.timedelta(-1, 2, 3),
    "Namespace": argparse.Namespace(lr=1, path=pathlib.Path("x")), "SimpleNamespace": types.SimpleNamespace(a=[1]),
    "Decimal": decimal.Decimal("-1.50"), "Fraction": fractions.Fraction(-1, 3), "UUID": uuid.UUID(int=2**100 + 5),
    "types": [int, float, list, dict, tuple, str, bool, np.float32, np.int64, np.bool_],
    "NumPy number": [np.float64(2), np.int8(-3), np.bool_(True), np.complex64(1j), np.str_("ab")],
    "array": np.arange(6.0).reshape(2, 3), "Fortran": np.asfortranarray(np.ones((2, 3))),
    "texts": np.array(["a", "bc"]),
    "big-endian": np.arange(3, dtype=">i4"), "dtype": np.dtype("float32"), "empty array": np.zeros((0, 3)),
    "array of objects": np.array([1, "a", None, 2.5], dtype=object), "old state": np.random.RandomState(0).get_state(),
    "day": np.datetime64("2020-01-01"), "nanoseconds": np.array(["2020-01-01", "NaT"], dtype="M8[ns]"),
    "hours": np.array([1, 2], dtype="m8[h]"), "records": np.array([(1, 2.5)], [("a", "<i4"), ("b", "<f8")]),
}  # fmt: skip
OBJECTS["array of lists"] = np.empty(2, dtype=object)
OBJECTS["array of lists"][:] = [[1, 2], [3, 4]], "x"


def same(found, expected):
    """Assert that two values are equal, of one type, with all they contain."""
    assert type(found) is type(expected), (found, expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert found.flags.f_contiguous == expected.flags.f_contiguous
        if expected.dtype == object:
            same(found.tolist(), expected.tolist())
        else:
            np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            same(one, other)
    elif isinstance(expected, dict):
        same(list(found.items()), list(expected.items()))
        assert getattr(found, "default_factory", None) is getattr(expected, "default_factory", None)
    else:
        assert found == expected
        for name in ("maxlen", "fold", "tzinfo"):
            assert getattr(found, name, None) == getattr(expected, name, None)
