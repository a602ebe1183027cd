"""The memory that tensors of a checkpoint look at, and where it goes (``map_location``)."""

from pickle import UnpicklingError

from minigrad.backend import cuda_device_count, device, move, np
from minigrad.serialization.names import STORAGE_DTYPES, is_widened, numpy_dtype


class FromOutside(Exception):  # noqa: N818
    """Carries an error of the function given as map_location through the unpickler, to its user."""

    def __init__(self, error):
        self.error = error


class Storage:
    """The bytes of one storage of a file, seen as one dtype and moved to a device the first time a tensor wants it.

    ``dtype_name`` is PyTorch's name, or None for untyped bytes. ``raw`` is a NumPy array of uint8. A function given as
    map_location gets such an object and returns it, or its ``cpu()`` or ``cuda()``.
    """

    def __init__(self, raw, dtype_name, location, *, swap=False):
        self.raw = raw
        self.dtype_name = dtype_name
        self.location = location
        self.swap = swap
        self.device = device("cpu")
        self.tensors = []  # those that look at this memory
        self._seen_as = None  # (dtype name, array)
        self._later = None  # what waits for the bytes

    def __repr__(self):
        kind = self.dtype_name or "untyped"
        return f"<storage of {len(self.raw)} bytes, {kind}, saved on {self.location}>"

    def nbytes(self):
        """Return the number of bytes in the file."""
        return len(self.raw)

    def to(self, target):
        """Choose the device the tensors will lie on; returns the storage."""
        self.device = _checked(device(target))
        return self

    def cpu(self):
        """Choose the CPU; returns the storage."""
        return self.to("cpu")

    def cuda(self, device=None):  # noqa: A002
        """Choose a GPU (the current one by default); returns the storage."""
        return self.to("cuda" if device is None else device)

    def array(self, dtype_name):
        """Return the flat array of all elements, on the device, as one of PyTorch's dtypes."""
        if self._seen_as is not None and self._seen_as[0] == dtype_name:
            return self._seen_as[1]
        if self._seen_as is not None:
            if self.swap or self.device.type != "cpu" or any(map(is_widened, (dtype_name, self._seen_as[0]))):
                raise UnpicklingError(f"a storage is used as {self._seen_as[0]} and as {dtype_name}")
        kind = numpy_dtype(dtype_name)
        usable = len(self.raw) // kind.itemsize * kind.itemsize
        flat = self.raw[:usable].view(kind) if self.raw.flags.aligned else self.raw[:usable].copy().view(kind)
        if not flat.flags.aligned:
            flat = flat.copy()
        if self.swap:
            flat = _swapped(flat)
        if is_widened(dtype_name):
            flat = widened(flat)
        self._seen_as = (dtype_name, move(flat, self.device))
        return self._seen_as[1]

    def not_filled_yet(self):
        """Let what needs the bytes wait for ``filled``: old files have them at the end. Returns the storage."""
        self._later = []
        return self

    def when_filled(self, action):
        """Do something that needs the bytes."""
        if self._later is None:
            action()
        else:
            self._later.append(action)

    def filled(self):
        """Bring what was made before the bytes came up to date."""
        if self._seen_as is not None:
            name, before = self._seen_as
            self._seen_as = None
            after = self.array(name)
            if not (isinstance(after, np.ndarray) and np.may_share_memory(after, before)):
                before[...] = after
                self._seen_as = (name, before)
        for action in self._later:
            action()
        self._later = None


def _swapped(flat):
    """Return a copy with the other byte order: of each half of a complex number on its own."""
    if flat.dtype.kind == "c":
        return flat.view(flat.real.dtype).byteswap().view(flat.dtype)
    return flat.byteswap()


def widened(halves):
    """Return the float32 numbers of which bfloat16 keeps the upper 16 bits: exact."""
    return np.left_shift(halves, 16, dtype=np.uint32).view(np.float32)


def reference(description, count):
    """Return (dtype name or None, key, location, bytes) of a reference ('storage', class, key, location, elements).

    UnpicklingError where it is not such a tuple of ``count`` items.
    """
    if len(description) != count:
        raise UnpicklingError(f"the checkpoint is damaged: a storage is described by {len(description)} values")
    _, kind, key, location, elements = description[:5]
    full = getattr(kind, "name", "")
    package, _, name = full.rpartition(".") if isinstance(full, str) else ("", "", "")
    if package not in ("torch", "torch.cuda", "torch.storage") or name not in (*STORAGE_DTYPES, "UntypedStorage"):
        raise UnpicklingError(f"the checkpoint is damaged: a storage of the class {full or type(kind).__name__}")
    if isinstance(key, bytes):
        key = key.decode()
    if type(key) is not str or type(location) not in (str, bytes) or type(elements) is not int or elements < 0:
        raise UnpicklingError("the checkpoint is damaged: a storage without a key, a location or a size")
    location = location.decode() if isinstance(location, bytes) else location
    dtype_name = STORAGE_DTYPES.get(name)
    return dtype_name, key, location, elements * (numpy_dtype(dtype_name).itemsize if dtype_name else 1)


def _checked(target):
    """Return the device; RuntimeError where it does not exist on this machine."""
    if target.type == "cuda":
        count = cuda_device_count()
        if count == 0:
            raise RuntimeError(
                f"Attempting to deserialize an object on a CUDA device ({target}) but minigrad.cuda.is_available() "
                "is False. If you are running on a CPU-only machine, use minigrad.load with map_location="
                "minigrad.device('cpu') to map your storages to the CPU."
            )
        if target.index is not None and target.index >= count:
            raise RuntimeError(
                f"Attempting to deserialize an object on CUDA device {target.index} but minigrad.cuda.device_count() "
                f"is {count}. Use minigrad.load with map_location to map your storages to an existing device."
            )
    return target


def placement(map_location):
    """Return a function (storage) -> storage that follows map_location as PyTorch does; TypeError for other values."""
    if map_location is None:
        return _where_it_was
    if isinstance(map_location, dict):
        return lambda storage: _at(storage, map_location.get(storage.location, storage.location))
    if isinstance(map_location, (str, device)):
        target = device(map_location)
        return lambda storage: storage.to(target)
    if callable(map_location):
        return lambda storage: _by_function(storage, map_location)
    raise TypeError(
        "map_location must be None, a device, its name, a dict or a function, but got "
        f"{type(map_location).__name__}"
    )


def _by_function(storage, function):
    chosen = _called(function, storage)
    if chosen is None:
        return _where_it_was(storage)
    if not isinstance(chosen, Storage):
        error = "map_location must return the storage (or its .cpu() or .cuda()) or None, but got "
        raise FromOutside(TypeError(error + type(chosen).__name__))
    return chosen


def _called(function, storage, location=None):
    try:
        return function(storage, storage.location if location is None else location)
    except Exception as error:
        raise FromOutside(error) from error


def _where_it_was(storage):
    return _at(storage, storage.location)


def _at(storage, location):
    for _, _, deserializer in _PACKAGES:
        found = _called(deserializer, storage, location)
        if found is not None and not isinstance(found, Storage):
            raise FromOutside(TypeError(f"a deserializer must return the storage, but got {type(found).__name__}"))
        if found is not None:
            return found
    raise RuntimeError(
        f"don't know how to restore data location of a storage (tagged with {location!r}): minigrad knows cpu and "
        "cuda; use map_location='cpu', or minigrad.serialization.register_package"
    )


def _to_cpu(storage, location):
    return storage.cpu() if location == "cpu" else None


def _to_cuda(storage, location):
    try:
        target = device(location)
    except (RuntimeError, TypeError):
        return None
    return storage.to(target) if target.type == "cuda" else None


def _tag_of(kind):
    return lambda storage: str(device(storage.device)) if device(storage.device).type == kind else None


# (priority, storage -> location or None, (storage, location) -> storage or None); the lowest priority is asked first.
_PACKAGES = [(10, _tag_of("cpu"), _to_cpu), (20, _tag_of("cuda"), _to_cuda)]


def register_package(priority, tagger, deserializer):
    """Say where ``save`` notes storages to be, and what ``load`` does with those that were noted to be somewhere.

    Arguments: priority (int: the lowest is asked first; the CPU has 10, GPUs 20); tagger (function of the storage that
    returns a location, a string, or None: not mine); deserializer (function of the storage and its location that
    returns the storage, after its ``cpu()`` or ``cuda()``, or None).
    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import minigrad as mg
    >>> mg.serialization.register_package(30, lambda s: None, lambda s, where: s.cpu() if where == "tape" else None)
    """
    _PACKAGES.append((priority, tagger, deserializer))
    _PACKAGES.sort(key=lambda package: package[0])


def location_tag(storage):
    """Return where ``save`` notes a storage (something with a ``device``) to be: "cpu", "cuda:0", …

    Raises RuntimeError where nobody knows.
    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import minigrad as mg
    >>> mg.serialization.location_tag(mg.ones(1))
    'cpu'
    """
    for _, tagger, _ in _PACKAGES:
        location = tagger(storage)
        if location is not None:
            return location
    raise RuntimeError(f"don't know how to determine data location of {type(storage)}")


def default_restore_location(storage, location):
    """Return a storage that ``load`` has made, after it has been told to lie at its location.

    Raises RuntimeError for a location nobody knows and for a GPU that is not there.
    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import io
    >>> import minigrad as mg
    >>> file = io.BytesIO()
    >>> mg.save(mg.ones(2), file)
    >>> _ = file.seek(0)
    >>> mg.load(file, map_location=mg.serialization.default_restore_location)
    tensor([1., 1.])
    """
    try:
        return _at(storage, location)
    except FromOutside as wrapped:
        raise wrapped.error from None
