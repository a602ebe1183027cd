"""``save`` and ``load``: checkpoints in PyTorch's file format."""

import hashlib
import io
import os
import sys
from pickle import UnpicklingError

from minigrad.backend import np
from minigrad.serialization import archive, legacy, options
from minigrad.serialization.atomic import replaced
from minigrad.serialization.limited import Limited, fill
from minigrad.serialization.pickler import Pickler, flat_bytes
from minigrad.serialization.storages import Storage, placement, reference
from minigrad.serialization.unpickler import Unpickler


def save(obj, f, pickle_module=None, pickle_protocol=2, _use_new_zipfile_serialization=True):
    """Write tensors, containers, numbers and whole modules to a file that ``torch.load`` opens too.

    Arguments: obj (what pickle takes. Tensors, Parameters, dict, list, tuple, set, OrderedDict, Counter, numbers,
    strings, bytes, None, Size, dtype, device and layout are what ``load`` reads by default; classes are written by
    their name, those of torch.nn and torch.optim by PyTorch's: see ``load``); f (path, or an object with ``write``);
    pickle_protocol (2 to 5, as which the pickle is marked: the operations of 2, which all of them have, are used);
    _use_new_zipfile_serialization (False: the format that PyTorch wrote before 1.6). Tensors that share memory do so in
    the file, views keep their strides. A path is written atomically: at any moment it is the old file or the whole new.
    Raises TypeError or pickle.PicklingError for what can't be pickled, saying where it is, RuntimeError where the
    folder does not exist or for another pickle_module, ValueError for another protocol, OSError where the file can't be
    written.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.save.html

    >>> import io
    >>> import minigrad as mg
    >>> file = io.BytesIO()
    >>> mg.save({"weight": mg.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> mg.load(file)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    if pickle_module is not None and getattr(pickle_module, "__name__", "") != "pickle":
        raise RuntimeError("save: pickle_module can't be chosen: minigrad writes PyTorch's format itself")
    if type(pickle_protocol) is not int or not 2 <= pickle_protocol <= 5:
        raise ValueError(f"save: pickle_protocol must be 2, 3, 4 or 5, but got {pickle_protocol!r}")
    if not _use_new_zipfile_serialization and options.data_is_skipped():
        raise RuntimeError("Cannot use skip_data=True with _use_new_zipfile_serialization=False")
    pickler = Pickler(pickle_protocol, old=not _use_new_zipfile_serialization)
    data = pickler.dump(obj)
    write = _write if _use_new_zipfile_serialization else legacy.write
    if isinstance(f, (str, os.PathLike)):
        with replaced(f) as file:
            write(file, data, pickler)
    elif hasattr(f, "write"):
        write(f, data, pickler)
    else:
        raise AttributeError(f"expected 'f' to be a path or a file object with a 'write' attribute, but got {type(f)}")


def _write(file, data, pickler):
    """Write the archive of a pickle and its storages."""
    writer = archive.Writer(file, options.get_crc32_options())
    writer.add("archive/data.pkl", data)
    writer.add("archive/.format_version", b"1")
    writer.add("archive/.storage_alignment", str(archive.ALIGNMENT).encode())
    writer.add("archive/byteorder", sys.byteorder.encode())
    for key, root in enumerate(pickler.storages):
        flat = options.zeros(root.nbytes) if options.data_is_skipped() else flat_bytes(root)
        writer.add(f"archive/data/{key}", memoryview(flat))
    writer.add("archive/version", b"3\n")
    digest = hashlib.sha256(data + writer.checksum.to_bytes(4, "little")).digest()
    identity = str(int.from_bytes(digest[:16], "little")).zfill(40)[-40:]
    writer.add("archive/.data/serialization_id", identity.encode())
    writer.close()


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """Read a file that ``minigrad.save`` or ``torch.save`` wrote, of PyTorch's zip format or the one before it.

    Arguments: f (path, or an object with read, seek and tell); map_location (where tensors go: a device, its name, a
    dict of locations, or a function of (storage, location)); weights_only (True or None: tensors, containers, numbers
    and what add_safe_globals allows; False: whole modules and optimizers too, of classes that are imported, whose
    attributes are read as data: nothing that a file names is ever called); mmap (True: the tensors look at the file
    itself, which is read when they are; writing to them copies and leaves the file alone, see
    set_default_mmap_options); encoding, errors (of strings of Python 2). Without ml_dtypes bfloat16's numbers become
    float32, exactly.
    Raises pickle.UnpicklingError for a file with anything else, by its name, or a damaged one, RuntimeError or EOFError
    for one that is cut off, RuntimeError for a GPU that is not there.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.load.html

    >>> import io
    >>> import minigrad as mg
    >>> layer, file = mg.nn.Linear(2, 1), io.BytesIO()
    >>> mg.save(layer.state_dict(), file)
    >>> _ = file.seek(0)
    >>> layer.load_state_dict(mg.load(file, weights_only=True))
    <All keys matched successfully>
    """
    if pickle_module is not None and getattr(pickle_module, "__name__", "") != "pickle":
        raise RuntimeError("load: pickle_module can't be chosen: minigrad reads PyTorch's format itself")
    settings = {name: pickle_load_args.pop(name) for name in ("encoding", "errors") if name in pickle_load_args}
    if pickle_load_args:
        raise TypeError(f"load() got an unexpected keyword argument {next(iter(pickle_load_args))!r}")
    settings["whole"] = weights_only is False or (weights_only is None and pickle_module is not None)
    place = placement(map_location)
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _load(file, os.fspath(f), place, bool(mmap), settings)
    if mmap:
        raise ValueError("f must be a file path in order to use the mmap argument")
    for name in ("read", "readline", "tell", "seek"):
        if not hasattr(f, name):
            raise AttributeError(
                f"expected 'f' to be a path or a file object that can be read and sought, but {type(f)} has no '{name}'"
            )
    return _load(f, "", place, False, settings)


def _load(file, path, place, mmap, settings):
    start = file.tell()
    file.seek(0, io.SEEK_END)
    length = file.tell()
    file.seek(start)
    if length <= start:
        raise EOFError(f"Ran out of input: the file {path} is empty".replace("  ", " "))
    begins = file.read(9)
    file.seek(start)
    if begins.startswith(b"PK\3\4"):
        reader = archive.Reader(file, length)
        memory = options.map_file(path) if mmap else None
        return _load_archive(reader, memory, place, settings)
    if begins[5:] == b"\0\0\0{":  # the length of a header, and the header
        raise UnpicklingError("the file is one of safetensors: minigrad.serialization.safetensors.load_file reads it")
    if mmap:
        raise RuntimeError("mmap can only be used with files in PyTorch's zip format (1.6 and newer)")
    if _is_tar(file, start):
        raise UnpicklingError(
            "the file is a tar archive, PyTorch's format of before 0.1.10, which is not read: write it again with "
            "torch.save(torch.load(path, weights_only=False), path) of PyTorch"
        )
    return legacy.load(Limited(file, length - start), place, settings)


def _is_tar(file, start):
    begins = file.read(512)
    file.seek(start)
    return begins[257:262] == b"ustar"


def _load_archive(reader, memory, place, settings):
    """Read the pickle of an archive and, as it names them, its storages: copies, or parts of the mapped ``memory``."""
    if "constants.pkl" in reader:
        raise RuntimeError(
            "the file is a TorchScript archive (torch.jit.save), which has code in it: save model.state_dict() instead"
        )
    order = reader.read("byteorder") if "byteorder" in reader else options.default_byte_order().encode()
    if order not in (b"little", b"big"):
        raise RuntimeError(f"the file is damaged: its byte order is {order[:20]!r}")
    swap = order.decode() != sys.byteorder
    storages = {}

    def storage(description):
        name, key, location, size = reference(description, 5)
        if key not in storages:
            start, length = reader.find(f"data/{key}")
            if length < size:
                raise RuntimeError(f"the file is damaged: storage {key} has {length} of {size} bytes")
            if options.data_is_skipped():
                raw = options.zeros(size)
            elif memory is not None:
                raw = np.frombuffer(memory, np.uint8, size, start) if size else np.empty(0, np.uint8)
            else:
                raw = np.empty(size, np.uint8)
                reader.file.seek(start)
                fill(reader.file, memoryview(raw))
                if length == size:
                    reader.verify(f"data/{key}", raw)
            storages[key] = place(Storage(raw, name, location, swap=swap))
        return storages[key]

    data = reader.read("data.pkl")
    return Unpickler(Limited(io.BytesIO(data), len(data)), len(data), storage, **settings).load()
