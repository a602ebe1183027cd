"""What weights_only=False reads besides tensors, containers and modules: dates, paths, numbers, arrays of NumPy.

A file's calls never reach the classes themselves: each is a constructor of here, which checks its arguments. With
weights_only=True they are read where the program has allowed them by add_safe_globals.
"""

import collections
import datetime
import decimal
import fractions
import os
import pathlib
import re
import types
import uuid
from pickle import UnpicklingError

from minigrad.backend import np
from minigrad.nn.utils.rnn import PackedSequence
from minigrad.serialization.placeholders import Name, Unfinished, expect
from minigrad.tensor import Tensor

_NUMPY_DTYPE = re.compile(r"[<>|=]?[biufcSU][0-9]{1,6}")  # of numbers and strings
_UNIT = re.compile("Y|M|W|D|h|m|[munpfa]?s")  # of dates of NumPy
_DIGITS = 4300  # of a number written as text: more take long, and Python refuses them as well
_DAMAGED = "the checkpoint is damaged: "

FACTORIES = {f"builtins.{kind.__name__}": kind for kind in (list, dict, set, tuple, int, float, str, bool)}


def _make_frozenset(unpickler, items=()):
    return frozenset(unpickler.set_of(items))


def _make_bytes(unpickler):
    return b""


def _make_defaultdict(unpickler, factory=None, items=None):
    if items is not None:
        raise UnpicklingError(_DAMAGED + "a defaultdict made of items")
    factory = FACTORIES.get(factory.name, factory) if type(factory) is Name else factory
    if factory is not None and not any(factory is kind for kind in FACTORIES.values()):
        name = getattr(factory, "name", None) or getattr(factory, "__name__", factory)
        raise UnpicklingError(f"the checkpoint has a defaultdict of {name}, which is not allowed")
    return collections.defaultdict(factory)


def _make_deque(unpickler, items=(), length=None):
    unpickler.charge(len(expect(items, tuple, list)))
    if expect(length, int, type(None)) is not None and not 0 <= length < 1 << 62:
        raise UnpicklingError(_DAMAGED + "a deque of an impossible length")
    return collections.deque(items, length)


def _make_range(unpickler, *ends):
    return range(*[expect(end, int) for end in ends])


def _make_slice(unpickler, start, stop, step):
    return slice(start, stop, step)


def _make_type(unpickler, value):
    return type(expect(value, type(None), type(...), type(NotImplemented)))


def _make_namespace(unpickler):
    return types.SimpleNamespace()


def _of_bytes(data, lengths):
    """Return the numbers, of so many bytes each, that a date is written as."""
    if len(expect(data, bytes)) != sum(lengths):
        raise UnpicklingError(_DAMAGED + "a date of the wrong size")
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    return [int.from_bytes(data[end - length : end], "big") for end, length in zip(ends, lengths, strict=True)]


def _zone(zone):
    return expect(zone, type(None), datetime.timezone)


def _make_date(unpickler, data):
    return datetime.date(*_of_bytes(data, (2, 1, 1)))


def _make_datetime(unpickler, data, zone=None):
    year, month, *rest = _of_bytes(data, (2, 1, 1, 1, 1, 1, 3))
    return datetime.datetime(year, month & 127, *rest, _zone(zone), fold=month >> 7)


def _make_time(unpickler, data, zone=None):
    hour, *rest = _of_bytes(data, (1, 1, 1, 3))
    return datetime.time(hour & 127, *rest, _zone(zone), fold=hour >> 7)


def _make_timedelta(unpickler, days, seconds, microseconds):
    return datetime.timedelta(*[expect(part, int) for part in (days, seconds, microseconds)])


def _make_timezone(unpickler, offset, name=""):
    return datetime.timezone(expect(offset, datetime.timedelta), *[name] * bool(expect(name, str)))


def _make_decimal(unpickler, text):
    if len(expect(text, str)) > _DIGITS:
        raise UnpicklingError(_DAMAGED + "a Decimal of thousands of digits")
    return decimal.Decimal(text)


def _make_fraction(unpickler, above, below=None):
    if below is None:
        above, _, below = expect(above, str).partition("/")
        above, below = int(above[:_DIGITS]), int(below[:_DIGITS] or 1)
    if max(expect(above, int).bit_length(), expect(below, int).bit_length()) > 4 * _DIGITS:
        raise UnpicklingError(_DAMAGED + "a Fraction of thousands of digits")
    return fractions.Fraction(above, below)


def _make_uuid(unpickler):
    def finish(_, state):
        return uuid.UUID(int=expect(expect(state, dict)["int"], int))

    return Unfinished(finish)


def _maker_of_path(name):
    """Return the constructor of a path; one of another system's files is pure, as Python can't make it."""
    if name.startswith("Pure") or name == ("WindowsPath" if os.name == "nt" else "PosixPath"):
        kind = getattr(pathlib, name)
    else:
        kind = getattr(pathlib, f"Pure{name}")
    return lambda unpickler, *parts: kind(*[expect(part, str) for part in parts])


def _make_packed(unpickler, *parts):
    if len(parts) != 4 or not all(part is None or isinstance(part, Tensor) for part in parts):
        raise UnpicklingError(_DAMAGED + "a PackedSequence of something else than tensors")
    return PackedSequence(*parts)


# ---------------------------------------------------------------------- NumPy
def _make_numpy_dtype(unpickler, code, align=False, copy=True):
    if code not in ("O8", "M8", "m8") and not re.fullmatch("V[0-9]{1,6}", expect(code, str)):
        if _NUMPY_DTYPE.fullmatch(code) is None:
            raise UnpicklingError(f"the checkpoint has the NumPy dtype {code[:40]!r}, which is not allowed")
        np.dtype(code)
    return Unfinished(lambda _, state: _finished_dtype(code, state))


def _finished_dtype(code, state):
    """Return the dtype of a code with what its state says: (version, byte order, parent, names, fields, size, …)."""
    order = state[1] if type(state) is tuple and len(state) > 1 else None
    if type(order) is not str or order not in ("<", ">", "|", "="):
        raise UnpicklingError(_DAMAGED + "a NumPy dtype without a byte order")
    if code[0] in "Mm":
        unit = state[8][1][0] if len(state) > 8 else None
        if _UNIT.fullmatch(expect(unit, bytes).decode("latin1")) is None or state[8][1][1:] != (1, 1, 1):
            raise UnpicklingError("the checkpoint has a NumPy date of a unit that is not allowed")
        return np.dtype(f"{code}[{unit.decode()}]").newbyteorder(order)
    if code[0] == "V":
        names, fields, size = [expect(part, kind) for part, kind in zip(state[3:6], (tuple, dict, int))]
        kinds, offsets = zip(*[expect(fields[expect(name, str)], tuple)[:2] for name in names], strict=True)
        if not all(isinstance(kind, np.dtype) and not kind.hasobject for kind in kinds):
            raise UnpicklingError(_DAMAGED + "a NumPy dtype with fields of something else")
        if size > 1 << 20 or any(not 0 <= expect(offset, int) < size for offset in offsets):
            raise UnpicklingError(_DAMAGED + "a NumPy dtype of an impossible size")
        return np.dtype({"names": names, "formats": kinds, "offsets": offsets, "itemsize": size})
    return np.dtype(code).newbyteorder(order)


def _make_numpy_scalar(unpickler, kind, data):
    if not isinstance(kind, np.dtype) or kind.hasobject:
        raise UnpicklingError(_DAMAGED + "a NumPy number without a dtype")
    if len(expect(data, bytes)) != kind.itemsize or not data:
        raise UnpicklingError(_DAMAGED + "a NumPy number of the wrong size")
    return np.frombuffer(data, kind)[0]


def _make_numpy_array(unpickler, kind, shape, code):
    if expect(kind, Name).name != "numpy.ndarray":
        raise UnpicklingError(f"the checkpoint has a NumPy array of the class {kind.name}, which is not allowed")
    return Unfinished(_finished_array)


def _finished_array(unpickler, state):
    """Return the array that its state (version, shape, dtype, whether in Fortran's order, bytes) describes."""
    _, shape, kind, fortran, data = state
    if not isinstance(kind, np.dtype) or type(shape) is not tuple:
        raise UnpicklingError(_DAMAGED + "a NumPy array has no plain values")
    unpickler.charge(len(expect(data, list if kind.char == "O" else bytes)))
    if kind.char == "O":  # of any objects
        flat = np.empty(len(data), object)
        for index, item in enumerate(data):
            flat[index] = item
    else:
        flat = np.frombuffer(data, kind) if data else np.empty(0, kind)
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")


_MAKERS = {
    "builtins.frozenset": _make_frozenset,
    "builtins.bytes": _make_bytes,
    "builtins.range": _make_range,
    "builtins.slice": _make_slice,
    "builtins.type": _make_type,
    "collections.defaultdict": _make_defaultdict,
    "collections.deque": _make_deque,
    "types.SimpleNamespace": _make_namespace,
    "datetime.date": _make_date,
    "datetime.datetime": _make_datetime,
    "datetime.time": _make_time,
    "datetime.timedelta": _make_timedelta,
    "datetime.timezone": _make_timezone,
    "decimal.Decimal": _make_decimal,
    "fractions.Fraction": _make_fraction,
    **{
        f"{module}.{name}": _maker_of_path(name)
        for module in ("pathlib", "pathlib._local")  # of Python 3.13
        for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    },
    "numpy.dtype": _make_numpy_dtype,
    "numpy.core.multiarray.scalar": _make_numpy_scalar,
    "numpy._core.multiarray.scalar": _make_numpy_scalar,
    "numpy.core.multiarray._reconstruct": _make_numpy_array,
    "numpy._core.multiarray._reconstruct": _make_numpy_array,
}
GLOBALS: dict[str, object] = {name: Name(name, make) for name, make in _MAKERS.items()}
GLOBALS["uuid.UUID"] = Name("uuid.UUID", _make_uuid, new=True)
GLOBALS["torch.nn.utils.rnn.PackedSequence"] = Name("torch.nn.utils.rnn.PackedSequence", _make_packed, new=True)
GLOBALS["numpy.ndarray"] = Name("numpy.ndarray")
# Values: a file can't call them.
GLOBALS |= {name: kind for name, kind in FACTORIES.items() if kind is not set}
GLOBALS |= {"builtins.Ellipsis": ..., "builtins.NotImplemented": NotImplemented}
GLOBALS |= {f"numpy.{kind.__name__}": kind for kind in (np.dtype(code).type for code in "?bBhHiIlLqQefdFDSU")}
