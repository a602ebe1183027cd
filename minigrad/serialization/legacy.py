"""PyTorch's file format of before 1.6: five pickles in a row, then the bytes of all storages."""

import pickle
import struct
import sys
from pickle import UnpicklingError

from minigrad.backend import np
from minigrad.serialization.names import numpy_dtype
from minigrad.serialization.pickler import flat_bytes
from minigrad.serialization.storages import Storage, reference
from minigrad.serialization.unpickler import Unpickler

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def write(file, data, pickler):
    """Write the pickle of an object and the storages it refers to."""
    protocol = data[1]
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": PROTOCOL, "little_endian": sys.byteorder == "little", "type_sizes": sizes}
    for value in (MAGIC, PROTOCOL, system):
        file.write(pickle.dumps(value, protocol))
    file.write(data)
    file.write(pickle.dumps([str(key) for key in range(len(pickler.storages))], protocol))
    for root, count in zip(pickler.storages, pickler.counts):
        file.write(struct.pack("<q", count))
        file.write(memoryview(flat_bytes(root)))


def load(file, place, settings):
    """Return the object in a file (a Limited); UnpicklingError for other files, EOFError for one that is cut off."""
    size = file.left
    storages = _Storages(file, place)

    def unpickled():
        return Unpickler(file, size, storages.find, **settings).load()

    try:
        magic = unpickled()
    except (UnpicklingError, EOFError, RuntimeError) as error:
        raise UnpicklingError(
            "the file is no checkpoint, or a damaged one: neither in PyTorch's zip format nor in the one before it"
        ) from error
    if type(magic) is not int or magic != MAGIC:
        raise UnpicklingError("the file is no checkpoint: it is a pickle, but not one that torch.save wrote")
    version = unpickled()
    if version != PROTOCOL:
        raise UnpicklingError(f"the file has the unknown version {str(version)[:20]} of PyTorch's old format")
    system = unpickled()
    if type(system) is not dict:
        raise UnpicklingError("the checkpoint is damaged: it does not tell its byte order")
    storages.swap = bool(system.get("little_endian", True)) != (sys.byteorder == "little")
    value = unpickled()
    storages.read(unpickled())
    return value


def _item_size(dtype_name):
    """Return the bytes of an element of a storage; untyped ones are counted in bytes."""
    return 1 if dtype_name is None else numpy_dtype(dtype_name).itemsize


class _Storages:
    """The storages of an old file: made when they are named, filled when their bytes come, after the pickles."""

    def __init__(self, file, place):
        self.file = file
        self.place = place
        self.swap = False
        self.found = {}  # key -> Storage
        self.size = 0  # bytes of all of them
        self.parts = {}  # (key, key of the part) -> Storage

    def find(self, description):
        """Return the storage of a reference, or the part of one that it describes."""
        name, key, location, size = reference(description, 6)
        if key not in self.found:
            self.size += size
            if self.size > self.file.left:
                raise EOFError(f"the checkpoint is cut off: it has not the {size} bytes of storage {key[:40]}")
            raw = np.zeros(size, np.uint8)
            self.found[key] = self.place(Storage(raw, name, location, swap=self.swap).not_filled_yet())
        whole = self.found[key]
        if description[5] is None:
            return whole
        part, offset, count = description[5]
        if (key, part) not in self.parts:
            item = _item_size(name)
            if not (0 <= offset and 0 <= count and (offset + count) * item <= len(whole.raw)):
                raise UnpicklingError("the checkpoint is damaged: a part of a storage lies outside of it")
            raw = whole.raw[offset * item : (offset + count) * item]
            self.parts[key, part] = self.place(Storage(raw, name, location, swap=self.swap).not_filled_yet())
        return self.parts[key, part]

    def read(self, keys):
        """Read the bytes of the storages in the order of their keys."""
        if type(keys) is not list or set(keys) != set(self.found) or len(keys) != len(self.found):
            raise UnpicklingError("the checkpoint is damaged: its list of storages is not that of its tensors")
        for key in keys:
            storage = self.found[key]
            (count,) = struct.unpack("<q", self.file.read(8))
            if count * _item_size(storage.dtype_name) != len(storage.raw):
                raise UnpicklingError(f"the checkpoint is damaged: storage {key[:40]} has another size than it should")
            self.file.readinto(storage.raw)
        for storage in (*self.found.values(), *self.parts.values()):
            storage.filled()
