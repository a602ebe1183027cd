"""Finding, reading and downloading the files of datasets: files are strangers', so nothing about them is believed."""

import contextlib
import gzip
import hashlib
import io
import math
import os
import pickle
import struct
import tempfile
import zlib
from pathlib import Path

from minigrad.backend import np

LIMIT = 1 << 30  # bytes; no file of these datasets comes near
_CHUNK = 1 << 20
_LARGE = 1 << 35  # bytes of an archive of photographs
_TIMEOUT = 30  # seconds without a byte

# What the third byte of an IDX file says of its numbers (http://yann.lecun.com/exdb/mnist/)
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def data_roots(root):
    """Return the folders to look in: ``root`` if given, and that of the environment variable MINIGRAD_DATA."""
    named = [root, os.environ.get("MINIGRAD_DATA")]
    return [Path(folder).expanduser() for folder in named if folder]


def not_found(name, looked, how):
    """Return the error that a dataset's files are missing: how to get them, and which paths were looked at."""
    places = "".join(f"\n  {path}" for path in looked) or "\n  (nowhere: no root and no MINIGRAD_DATA)"
    return RuntimeError(f"{name}: dataset not found. {how} Looked at:{places}")


def inside(root, name):
    """Return the path of a file that an index file names, in the folder ``root``; ValueError if it leads elsewhere."""
    parts = Path(str(name)).parts
    if not parts or Path(str(name)).is_absolute() or ".." in parts:
        raise ValueError(f"the file name {name!r} leads out of {root}")
    return os.path.join(root, *parts)


@contextlib.contextmanager
def _reading(path):
    """Open a file for reading, unpacked on the fly where it is gzip or xz (told by its first bytes, not its name).

    What is wrong with the packing becomes a ValueError that names the file.
    """
    try:
        with open(path, "rb") as file:
            begin = file.read(6)
            file.seek(0)
            if begin == b"\xfd7zXZ\0":
                import lzma  # hardly ever needed

                try:
                    with lzma.open(file) as unpacked:
                        yield unpacked
                except lzma.LZMAError as error:
                    raise ValueError(f"{path}: damaged xz file ({error})") from error
                return
            if begin[:2] != b"\x1f\x8b":
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged or truncated gzip file ({error})") from error


def _read_at_most(file, count):
    """Return up to count bytes, in pieces: a file that only claims to be large costs no memory."""
    pieces = []
    missing = count
    while missing > 0:
        piece = file.read(min(missing, _CHUNK))
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def read_bytes(path, limit=LIMIT):
    """Return a file's bytes, unpacked where it is gzip; ValueError where they are more than ``limit``."""
    with _reading(path) as file:
        content = _read_at_most(file, limit + 1)
    if len(content) > limit:
        raise ValueError(f"{path}: more than the {limit:,} bytes expected at most")
    return content


def read_idx(path, limit=LIMIT):
    """Return the array of an IDX file, plain or gzip; ValueError that says what is wrong with it."""
    with _reading(path) as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES or magic[3] == 0:
            begin = magic.hex(" ") or "nothing"
            raise ValueError(f"{path}: not an IDX file: it begins with {begin}, expected 00 00 TYPE NDIM")
        count = magic[3]
        header = file.read(4 * count)
        if len(header) < 4 * count:
            raise ValueError(f"{path}: truncated in its header of {count} dimensions")
        shape = tuple(np.frombuffer(header, ">u4").tolist())
        dtype = np.dtype(_IDX_TYPES[magic[2]])
        size = math.prod(shape) * dtype.itemsize
        if size > limit:
            raise ValueError(f"{path}: claims shape {shape}, {size:,} bytes; at most {limit:,} are expected")
        content = _read_at_most(file, size + 1)
    if len(content) != size:
        found = f"{len(content):,}" if len(content) < size else "more"
        raise ValueError(f"{path}: its header says shape {shape}, {size:,} bytes of data, but there are {found}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


# What the numbers of a MATLAB file are stored as, and which class of array they belong to
_MAT_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MAT_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MAT_MATRIX, _MAT_PACKED = 14, 15


def _mat_elements(content, order):
    """Yield the (type, bytes) of the data elements of a MATLAB file; ValueError where they end too early."""
    position = 0
    while position + 8 <= len(content):
        kind, size = struct.unpack_from(order + "II", content, position)
        begin = position + 8
        if kind >> 16:  # four bytes at most, in the second half of the tag
            kind, size, begin = kind & 0xFFFF, kind >> 16, position + 4
        if begin + size > len(content):
            raise ValueError(f"an element of {size:,} bytes where {len(content) - begin:,} are left")
        yield kind, content[begin : begin + size]
        position = begin + size if kind == _MAT_PACKED else -(-(begin + size) // 8) * 8


def _mat_matrix(content, order):
    """Return the name and the array of a matrix of real numbers, or None for another one."""
    parts = _mat_elements(content, order)
    (_, flags), (_, shape), (_, name) = next(parts), next(parts), next(parts)
    flags = struct.unpack_from(order + "I", flags)[0]
    if flags & 0xFF not in _MAT_CLASSES or flags & 0x800:
        return None
    kind, values = next(parts)
    array = np.frombuffer(values, order + _MAT_STORED[kind]).reshape(np.frombuffer(shape, order + "i4"), order="F")
    return bytes(name).decode("latin1"), array.astype(_MAT_CLASSES[flags & 0xFF])


def read_mat(path, limit=LIMIT):
    """Return the real arrays by name in a MATLAB file of version 5 to 7; ValueError for another or a damaged one.

    What else is in it (structs, cells, texts) is left out. Source: MathWorks, MAT-File Format (2019).
    """
    content = memoryview(read_bytes(path, limit))
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:128]))
    if order is None or bytes(content[:6]) != b"MATLAB":
        raise ValueError(f"{path}: not a MATLAB file of version 5 to 7")
    found = {}
    try:
        for kind, part in _mat_elements(content[128:], order):
            if kind == _MAT_PACKED:
                unpacker = zlib.decompressobj()
                part = unpacker.decompress(part, limit)
                if not unpacker.eof:
                    raise ValueError(f"truncated, or more than the {limit:,} bytes expected at most")
                kind, part = next(_mat_elements(memoryview(part), order))
            matrix = _mat_matrix(part, order) if kind == _MAT_MATRIX else None
            if matrix is not None:
                found[matrix[0]] = matrix[1]
    except (ValueError, KeyError, StopIteration, struct.error, zlib.error) as error:
        raise ValueError(f"{path}: damaged MATLAB file ({error})") from error
    return found


def read_xml(path, limit=1 << 20):
    """Return the root of an XML file as an ElementTree element; ValueError for a damaged one and for entities."""
    from xml.etree.ElementTree import TreeBuilder  # hardly ever needed
    from xml.parsers import expat

    def refuse(*_arguments):  # entities of entities could grow without bound, or name other files
        raise ValueError("it declares a document type")

    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(read_bytes(path, limit), True)
        return builder.close()
    except (ValueError, AssertionError, expat.ExpatError) as error:
        raise ValueError(f"{path}: not a plain XML file ({error})") from error


# ------------------------------------------------------------------ pickles
class _PickledDtype:
    """The dtype of an array in a pickle: a plain number type, in either byte order."""

    def __init__(self, name, align=False, copy=True):
        self.dtype = np.dtype(name)
        if self.dtype.kind not in "uifb":
            raise pickle.UnpicklingError(f"an array of dtype {name!r}")

    def __setstate__(self, state):
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _PickledArray:
    """An array in a pickle, made from its bytes here: NumPy's own way of making one takes any size and type."""

    def __init__(self, *begin):
        self.array = np.zeros(0, np.uint8)

    def __setstate__(self, state):
        _version, shape, kind, fortran, content = state
        content = content.encode("latin1") if isinstance(content, str) else content  # Python 2's bytes
        array = np.frombuffer(content, kind.dtype).reshape(shape, order="F" if fortran else "C")
        self.array = array.astype(array.dtype.newbyteorder("="))


def _array_of_buffer(content, kind, shape, order):
    made = _PickledArray()
    made.__setstate__((1, shape, kind, order == "F", content))
    return made


def _latin_bytes(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "ndarray"): "the type ndarray",  # only ever an argument of _reconstruct
    ("numpy", "dtype"): _PickledDtype,
    ("_codecs", "encode"): _latin_bytes,
}
for _module in ("numpy.core", "numpy._core"):
    _ALLOWED[_module + ".multiarray", "_reconstruct"] = _PickledArray
    _ALLOWED[_module + ".numeric", "_frombuffer"] = _array_of_buffer


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler of arrays, texts, numbers, lists and dicts: a pickle can name any function, this one calls none."""

    def find_class(self, module, name):
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the global {module}.{name}") from None


def read_plain_dict(path, limit=LIMIT):
    """Return the dict in a pickle, of arrays, texts, numbers and lists by text; ValueError for anything else in it."""
    content = read_bytes(path, limit)
    try:
        found = _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
        pairs = [(key.decode("latin1") if isinstance(key, bytes) else key, value) for key, value in found.items()]
        return {key: value.array if isinstance(value, _PickledArray) else value for key, value in pairs}
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ValueError(
            f"{path}: not a pickled dict of plain arrays, texts, numbers and lists ({type(error).__name__}: {error})"
        ) from error


# ------------------------------------------------------------------ downloads
def md5_of(path):
    """Return the MD5 checksum of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def has_checksum(path, md5):
    """Return whether the file is there and has this MD5 checksum."""
    return os.path.isfile(path) and md5_of(path) == md5


@contextlib.contextmanager
def written_at_once(path):
    """Give an open file that becomes ``path`` when all has been written, and vanishes when something went wrong."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _fetch(url, path, md5, limit):
    """Download one URL to a file; OSError where that fails, ValueError where the content is not the one expected."""
    import http.client  # slow to import, and hardly ever needed
    import urllib.request

    digest = hashlib.md5(usedforsecurity=False)
    count = 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as source, written_at_once(path) as file:
            while piece := source.read(_CHUNK):
                count += len(piece)
                if count > limit:
                    raise ValueError(f"more than {limit:,} bytes")
                digest.update(piece)
                file.write(piece)
            if digest.hexdigest() != md5:
                raise ValueError(f"MD5 {digest.hexdigest()} of {count:,} bytes, expected {md5}")
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def download(urls, path, md5, limit=LIMIT):
    """Download a file from the first URL that has it, with this MD5 checksum; nothing is done if it is there.

    Raises RuntimeError with what went wrong at each URL; no half-written file is ever left.
    """
    if has_checksum(path, md5):
        return
    failures = []
    for url in urls:
        print(f"Downloading {url}")
        try:
            _fetch(url, path, md5, limit)
            return
        except (OSError, ValueError) as error:
            failures.append(f"\n  {url}: {error}")
    raise RuntimeError(f"Error downloading {Path(path).name}:{''.join(failures)}")


def unpack(archive, folder, limit=_LARGE):
    """Write the plain files of a tar or zip archive into a folder, ``limit`` bytes at most all together.

    Links and devices are left out. Raises ValueError for a name that leads out of the folder, too many bytes, and what
    is no whole archive.
    """
    import tarfile
    import zipfile

    left = limit

    def write(name, source):
        nonlocal left
        with written_at_once(inside(folder, name)) as file:
            while piece := source.read(_CHUNK):
                left -= len(piece)
                if left < 0:
                    raise ValueError(f"more than {limit:,} bytes")
                file.write(piece)

    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                for entry in opened.infolist():
                    if not entry.is_dir():
                        with opened.open(entry) as source:
                            write(entry.filename, source)
        else:
            with tarfile.open(archive) as opened:
                for entry in opened:
                    if entry.isreg():
                        write(entry.name, opened.extractfile(entry))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, ValueError) as error:
        raise ValueError(f"{archive}: can't be unpacked ({error})") from error


def provide(dataset, folder, needed, resources, download_them):
    """Download and unpack what (URL, MD5, where to) is missing, if asked to; RuntimeError where ``needed`` still is."""
    if download_them and not all(os.path.exists(path) for path in needed):
        for url, md5, *place in resources:
            archive = Path(folder) / url.rpartition("/")[2]
            download([url], archive, md5, _LARGE)
            if archive.name.endswith((".zip", ".tar", ".tgz", ".tar.gz")):
                unpack(archive, Path(folder, *place))
    if not all(os.path.exists(path) for path in needed):
        urls = " and ".join(url for url, *_ in resources)
        raise not_found(dataset, needed, f"download=True downloads it; by hand, put what {urls} holds there.")


def one_of(value, name, allowed):
    """Return a text that is one of those allowed; ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError(f"Expected type str for argument {name}, but got type {type(value)}.")
    if value not in allowed:
        raise ValueError(f"Unknown value '{value}' for argument {name}. Valid values are {{{', '.join(allowed)}}}.")
    return value
