"""Loads thousands of damaged checkpoints under limits of memory and time and reports what happened.

Run by test_hostile.py: `fuzz.py FOLDER COUNT`, in a folder where a file may be written. Hypothesis chooses the damage
and finds the least that fails. Whatever would run code, import, write or start something is refused and noted.
"""

import encodings.cp437  # zipfile's, for odd names
import encodings.raw_unicode_escape  # noqa: F401 - the pickle module's, for old strings
import io
import os
import pickle
import pickletools
import resource
import signal
import struct
import sys
import time
import zipfile

import hypothesis
import numpy as np
import safetensors as package
from hypothesis import strategies as st

import minigrad as mg
from minigrad.serialization import safetensors
from tests.serialization.values import OBJECTS, SAFE
from tests.serialization.zipped import zipped

FORBIDDEN = ("exec", "compile", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "socket.", "ctypes")
REFUSED = (pickle.UnpicklingError, RuntimeError, EOFError)
PATH = "damaged.pt"
WATCHING, NOTED = [], []


def watch(event, arguments):
    """Refuse and note it where loading runs code, imports a module or opens another file than its own."""
    if not WATCHING or (event == "open" and arguments[0] == PATH and arguments[1] in ("rb", "r", None)):
        return
    if event.startswith(FORBIDDEN) or event in ("import", "open", "pickle.find_class"):
        NOTED.append(f"loading did {event} {arguments!r}")
        raise RuntimeError("not allowed while loading")


def too_slow(*_):
    NOTED.append("loading took more than five seconds")
    raise RuntimeError("too slow")


def walk(value, seen):
    """Read what was loaded: views that reach beyond their memory would end the process."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, mg.Tensor):
        if 0 < value.numel() <= 1 << 20:
            value.array.sum()
            repr(value)
    elif isinstance(value, dict):
        for item in value.values():
            walk(item, seen)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            walk(item, seen)


def seeds(folder):
    """Checkpoints to damage: (records of an archive or None, bytes of the file)."""
    found = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        records = None
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                records = {f"archive/{name.partition('/')[2]}": archive.read(name) for name in archive.namelist()}
        found.append((records, data))
    file = io.BytesIO()
    mg.save({**SAFE, **OBJECTS}, file)
    with zipfile.ZipFile(file) as archive:
        found.append(({name: archive.read(name) for name in archive.namelist()}, file.getvalue()))
    return found


INTERESTING = [
    b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", struct.pack("<q", 1 << 62), b"\x8e" + b"\xff" * 7 + b"\x7f",
    b"r\xff\xff\xff\xff", b"X\xff\xff\xff\xff", b"\x8b\xff\xff\xff\x7f", b"cos\nsystem\n", b"c__builtin__\neval\n",
    b"cposix\nsystem\n(X\x04\0\0\0trueo", b"R", b"b", b"(", b"t", b"e", b"u", b"s", b"a", b"0", b"1", b"2", b"Q", b".",
    b"\x81", b"\x93", b"\x92", b"i__builtin__\neval\n", b"\x82\x01", b"\x85R", b"cbuiltins\nbytearray\n",
]  # fmt: skip


OPCODES = [opcode.code.encode("latin1") for opcode in pickletools.opcodes]
NUMBERS = [0, 1, 63, 255, 4096, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]
_CENTRAL = ((4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (42, 4))
_END = ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))
_LOCAL = ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))


@st.composite
def damages(draw, size):
    """A few changes at places of something of a size."""
    places = st.integers(0, max(size - 1, 0))
    kinds = st.sampled_from(("bit", "byte", "insert", "overwrite", "delete", "splice", "repeat", "opcode", "cut"))
    numbers = st.integers(0, 255)
    return draw(st.lists(st.tuples(kinds, places, numbers, st.integers(0, 1 << 16)), min_size=1, max_size=6))


def damaged(data, changes, others):
    """Bytes with these changes."""
    data = bytearray(data)
    for kind, place, number, other in changes:
        if kind == "bit" and place < len(data):
            data[place] ^= 1 << number % 8
        elif kind == "byte" and place < len(data):
            data[place] = number
        elif kind == "insert":
            data[place:place] = INTERESTING[other % len(INTERESTING)]
        elif kind == "overwrite":
            chosen = INTERESTING[other % len(INTERESTING)]
            data[place : place + len(chosen)] = chosen
        elif kind == "delete":
            del data[place : place + number % 20 + 1]
        elif kind == "splice":
            source = others[number % len(others)]
            data[place:place] = source[other % len(source) :][: number % 60 + 1]
        elif kind == "repeat":
            data[place:place] = data[place : place + number % 30 + 1] * (other % 3 + 1)
        elif kind == "opcode":
            places = _opcode_places(bytes(data))
            if places:
                chosen = places[place % len(places)]
                data[chosen : chosen + 1] = OPCODES[other % len(OPCODES)]
        elif kind == "cut" and number < 40:  # most changes are to be seen, not cut off
            del data[place:]
    return bytes(data)


def _opcode_places(data):
    places = []
    try:
        for _, _, place in pickletools.genops(data):
            places.append(place)
    except Exception:  # what comes before the damage counts
        pass
    return places


def edited_directory(data, choices):
    """A zip file with other numbers in its headers."""
    data = bytearray(data)
    for kind, which, field, number in choices:
        mark, fields = ((b"PK\1\2", _CENTRAL), (b"PK\5\6", _END), (b"PK\3\4", _LOCAL))[kind]
        places, place = [], data.find(mark)
        while place >= 0:
            places.append(place)
            place = data.find(mark, place + 1)
        if places:
            offset, width = fields[field % len(fields)]
            place = places[which % len(places)] + offset
            values = [*NUMBERS, len(data), len(data) - 1, places[0], places[-1]]
            value = values[number % len(values)] % (1 << 8 * width)
            data[place : place + width] = value.to_bytes(width, "little")
    return bytes(data)


EDITS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(0, 11), st.integers(0, 12)), min_size=1, max_size=3
)


def weights():
    """A safetensors file to damage."""
    tensors = {"weight": mg.arange(6.0).reshape(2, 3), "flags": mg.ones(3, dtype=mg.bool), "empty": mg.zeros(0, 2)}
    return safetensors.save(tensors, {"by": "me"})


def cases(folder):
    """A strategy of (kind, whether to map the file, bytes)."""
    found = seeds(folder)
    whole = [data for _, data in found]
    archives = [records for records, _ in found if records]
    pickles = [records["archive/data.pkl"] for records in archives]
    tensors = weights()

    @st.composite
    def case(draw):
        kind = draw(st.sampled_from(("file", "pickle", "pickle", "pickle", "record", "directory", "safetensors")))
        mapped = draw(st.booleans())
        if kind == "safetensors":
            size = len(tensors) if draw(st.integers(0, 3)) == 0 else 150
            return kind, mapped, damaged(tensors, draw(damages(size)), [*whole, tensors])
        if kind == "file":
            data = draw(st.sampled_from(whole))
            return kind, mapped, damaged(data, draw(damages(len(data))), whole)
        records = dict(draw(st.sampled_from(archives)))
        if kind == "directory":
            return kind, mapped, edited_directory(zipped(records), draw(EDITS))
        # Damage within a record, under a right checksum: this reaches the unpickler.
        name = "archive/data.pkl" if kind == "pickle" else draw(st.sampled_from(sorted(records)))
        records[name] = damaged(records[name], draw(damages(len(records[name]))), pickles)
        return kind, mapped, zipped(records)

    return case()


def load(kind, mapped, data):
    if kind == "safetensors":
        return safetensors.load_file(PATH) if mapped else safetensors.load(data)
    return mg.load(PATH if mapped else io.BytesIO(data), map_location="cpu", mmap=mapped, weights_only=False)


def check_the_watch():
    """The watch sees what it is to see."""
    system = pickle.dumps(os.system)
    deeds = lambda: exec("1"), lambda: open(os.devnull), lambda: os.system("true"), lambda: pickle.loads(system)
    for forbidden in deeds:
        WATCHING.append(True)
        try:
            forbidden()
        except RuntimeError:
            pass
        WATCHING.clear()
        assert NOTED, "the watch sees nothing"
        NOTED.clear()


def main():
    folder, count = sys.argv[1], int(sys.argv[2])
    for _, data in seeds(folder):  # whatever is imported at the first use is imported now
        walk(mg.load(io.BytesIO(data), weights_only=False), {})
    safetensors.load(weights())
    np.seterr(all="ignore")
    sys.addaudithook(watch)
    check_the_watch()
    signal.signal(signal.SIGALRM, too_slow)
    limit = resource.getrlimit(resource.RLIMIT_AS)[1]
    outcomes = {}
    slowest = [0.0]

    def limit_memory():
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + (256 << 20), limit))

    @hypothesis.settings(
        max_examples=count, deadline=None, database=None, derandomize=True, print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(cases(folder))
    def attack(case):
        kind, mapped, data = case
        if mapped:
            with open(PATH, "wb") as file:
                file.write(data)
        begin = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, 5)
        WATCHING.append(True)
        try:
            value = load(kind, mapped, data)
            WATCHING.clear()
            walk(value, {})
            outcome = "loaded"
        except (*REFUSED, package.SafetensorError, TypeError) as error:
            if not isinstance(error, (package.SafetensorError, TypeError) if kind == "safetensors" else REFUSED):
                raise
            outcome = type(error).__name__
        finally:
            WATCHING.clear()
            signal.setitimer(signal.ITIMER_REAL, 0)
        noted = NOTED[:]
        NOTED.clear()
        assert not noted, noted
        slowest[0] = max(slowest[0], time.perf_counter() - begin)
        for name in (outcome, kind):
            outcomes[name] = outcomes.get(name, 0) + 1

    limit_memory()
    attack()
    print(f"{slowest[0]:.3f}", *(f"{name}={n}" for name, n in sorted(outcomes.items())))


if __name__ == "__main__":
    main()
