"""Loads thousands of damaged checkpoints under a memory limit and reports what happened; run by test_hostile.py.

Whatever would run, write or start something ends the process at once.
"""

import encodings.cp437  # zipfile's, for odd names
import encodings.raw_unicode_escape  # noqa: F401 - the pickle module's, for old strings
import io
import os
import pickle
import random
import resource
import struct
import sys
import time
import zipfile

import numpy as np

import minigrad as mg

FORBIDDEN = ("exec", "compile", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "socket.", "ctypes")
ALLOWED = (pickle.UnpicklingError, RuntimeError, EOFError)
WATCHING = []


def watch(event, arguments):
    """End the process where loading runs code, imports a module or opens a file."""
    if WATCHING and (event.startswith(FORBIDDEN) or event in ("import", "open", "pickle.find_class")):
        os.write(2, f"loading did {event} {arguments!r}\n".encode())
        os._exit(3)


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


def zipped(records):
    """An archive of records with right checksums."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    return out.getvalue()


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
    return found


INTERESTING = [
    b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", struct.pack("<q", 1 << 62), b"\x8e" + b"\xff" * 7 + b"\x7f",
    b"r\xff\xff\xff\xff", b"X\xff\xff\xff\xff", b"\x8b\xff\xff\xff\x7f", b"cos\nsystem\n", b"c__builtin__\neval\n",
    b"cposix\nsystem\n(X\x04\0\0\0trueo", b"R", b"b", b"(", b"t", b"e", b"u", b"s", b"a", b"0", b"1", b"2", b"Q", b".",
    b"\x81", b"\x93", b"\x92", b"i__builtin__\neval\n", b"\x82\x01", b"\x85R", b"cbuiltins\nbytearray\n",
]  # fmt: skip


def damaged(data, rng, others):
    """Bytes with a few random changes."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        place = rng.randrange(len(data) + 1) if data else 0
        kind = rng.randrange(7)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = rng.randrange(256)
        elif kind == 2:
            data[place:place] = rng.choice(INTERESTING)
        elif kind == 3:
            chosen = rng.choice(INTERESTING)
            data[place : place + len(chosen)] = chosen
        elif kind == 4:
            del data[place : place + rng.randrange(1, 20)]
        elif kind == 5:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            data[place:place] = other[start : start + rng.randrange(1, 60)]
        else:
            end = place + rng.randrange(1, 30)
            data[place:place] = data[place:end] * rng.randrange(1, 4)
    if rng.random() < 0.1:
        del data[rng.randrange(len(data) + 1) :]
    return bytes(data)


def mutants(folder, count, seed):
    rng = random.Random(seed)
    found = seeds(folder)
    everything = [data for _, data in found]
    pickles = [records["archive/data.pkl"] for records, _ in found if records]
    for _ in range(count):
        records, data = rng.choice(found)
        if records is None or rng.random() < 0.3:
            yield damaged(data, rng, everything)
            continue
        # Damage within a record, under a right checksum: this reaches the unpickler.
        records = dict(records)
        name = "archive/data.pkl" if rng.random() < 0.9 else rng.choice(sorted(records))
        records[name] = damaged(records[name], rng, pickles)
        yield zipped(records)


def main():
    folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for _, data in seeds(folder):  # whatever is imported at the first use is imported now
        walk(mg.load(io.BytesIO(data)), {})
    np.seterr(all="ignore")
    sys.addaudithook(watch)
    limit = resource.getrlimit(resource.RLIMIT_AS)[1]
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (256 << 20), limit))
    outcomes = {}
    slowest = 0.0
    for number, data in enumerate(mutants(folder, count, seed)):
        begin = time.perf_counter()
        WATCHING.append(True)
        try:
            value = mg.load(io.BytesIO(data), map_location="cpu")
            WATCHING.clear()
            walk(value, {})
            outcome = "loaded"
        except ALLOWED as error:
            outcome = type(error).__name__
        except BaseException as error:
            print(f"file {number}: {type(error).__name__}: {error}", flush=True)
            raise
        finally:
            WATCHING.clear()
        slowest = max(slowest, time.perf_counter() - begin)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(sum(outcomes.values()), f"{slowest:.3f}", *(f"{name}={n}" for name, n in sorted(outcomes.items())))


if __name__ == "__main__":
    main()
