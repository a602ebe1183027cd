"""Finding, reading and downloading the files of datasets: files are strangers', so nothing about them is believed."""

import contextlib
import gzip
import hashlib
import io
import math
import os
import pickle
import tempfile
import zlib
from pathlib import Path

from minigrad.backend import np

LIMIT = 1 << 30  # bytes; no file of these datasets comes near
_CHUNK = 1 << 20
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
    """Open a file for reading, unpacked on the fly where it is gzip (told by its first bytes, not its name).

    What is wrong with the gzip becomes a ValueError that names the file.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
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
