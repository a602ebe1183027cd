"""Files of the safetensors format, read and written by the ``safetensors`` package: names like its torch module."""

import json
import mmap
import os
import sys

from minigrad.backend import device as _device
from minigrad.backend import memory_root, move, np
from minigrad.serialization.atomic import replaced
from minigrad.serialization.names import is_widened, numpy_dtype
from minigrad.serialization.storages import widened
from minigrad.tensor import Tensor, data_pointer, wrap

__all__ = ["error_class", "load", "load_file", "load_model", "safe_open", "save", "save_file", "save_model"]

_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "C64": "complex64",
}  # fmt: skip


def _package():
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("safetensors files need the package: pip install 'minigrad-cnn[safetensors]'") from error
    return safetensors


def error_class():
    """Return the class of the errors of damaged files, safetensors.SafetensorError.

    Source: https://huggingface.co/docs/safetensors/api/torch

    >>> from minigrad.serialization import safetensors
    >>> safetensors.error_class().__name__
    'SafetensorError'
    """
    return _package().SafetensorError


def _error(path, error):
    """Return the package's error, with the path."""
    return type(error)(f"{path} is no whole safetensors file: {error}" if path else str(error))


# ---------------------------------------------------------------------- writing
def save(tensors, metadata=None):
    """Return the bytes of a safetensors file.

    Arguments: tensors (dict of names and tensors, contiguous, each with its own memory); metadata (dict of strings).
    Raises ValueError for anything else in the dict and for tensors that are not contiguous, RuntimeError for tensors
    that share memory (see save_model), TypeError for complex128, which the format lacks.
    Source: https://huggingface.co/docs/safetensors/api/torch

    >>> import minigrad as mg
    >>> from minigrad.serialization import safetensors
    >>> safetensors.load(safetensors.save({"weight": mg.ones(2)}))
    {'weight': tensor([1., 1.])}
    """
    return _package().numpy.save(_arrays(tensors), _checked_metadata(metadata))


def save_file(tensors, filename, metadata=None):
    """Write a safetensors file, atomically: at any moment the path is the old file or the whole new one; see save.

    Arguments: tensors (dict of names and tensors); filename (path); metadata (dict of strings).
    Source: https://huggingface.co/docs/safetensors/api/torch

    >>> import os, tempfile
    >>> import minigrad as mg
    >>> from minigrad.serialization import safetensors
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "weights.safetensors")
    ...     safetensors.save_file({"weight": mg.ones(2)}, path)
    ...     safetensors.load_file(path)
    {'weight': tensor([1., 1.])}
    """
    data = save(tensors, metadata)
    with replaced(filename) as file:
        file.write(data)


def save_model(model, filename, metadata=None, force_contiguous=True):
    """Write a module's state_dict, of tensors that share memory only one; the metadata tells of which the others are.

    Arguments: model (Module); filename (path); metadata (dict of strings); force_contiguous (copy what is not).
    Raises RuntimeError where tensors share memory and none is all of it, ValueError as save_file does.
    Source: https://huggingface.co/docs/safetensors/api/torch

    >>> import os, tempfile
    >>> import minigrad as mg
    >>> from minigrad.serialization import safetensors
    >>> layers = mg.nn.Sequential(mg.nn.Linear(2, 2), mg.nn.Linear(2, 2))
    >>> layers[1].weight = layers[0].weight
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     safetensors.save_model(layers, path)
    ...     safetensors.load_model(layers, path)
    (set(), [])
    """
    state, metadata = dict(model.state_dict()), dict(metadata or {})
    for kept, left_out in _repeated(state).items():
        for name in left_out:
            metadata.setdefault(name, kept)
            del state[name]
    if force_contiguous:
        state = {name: tensor.contiguous() for name, tensor in state.items()}
    try:
        save_file(state, filename, metadata or None)
    except ValueError as error:
        raise ValueError(f"{error} Or use save_model(..., force_contiguous=True).") from None


def _checked_metadata(metadata):
    if metadata is not None and not (
        isinstance(metadata, dict)
        and all(isinstance(text, str) for item in metadata.items() for text in item)
    ):
        raise TypeError("metadata must be a dict of strings")
    return metadata


def _arrays(tensors):
    """Return {name: contiguous NumPy array}."""
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, minigrad.Tensor] but received {type(tensors)}")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected minigrad.Tensor but received {type(tensor)}")
        if not tensor.array.flags.c_contiguous:
            raise ValueError(
                f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. Make it contiguous "
                "with .contiguous() before saving."
            )
        if tensor.dtype.name not in _DTYPES.values():
            raise TypeError(f"the safetensors format has no {tensor.dtype.name} (of `{name}`)")
    shared = [sorted(names) for names in _sharing(tensors) if len(names) > 1]
    if shared:
        raise RuntimeError(
            f"Some tensors share memory, this will lead to duplicate memory on disk and potential differences when "
            f"loading them again: {shared}. Use save_model, or save clones: {{name: tensor.clone()}}"
        )
    return {name: move(tensor.array, _device("cpu")) for name, tensor in tensors.items()}


def _sharing(tensors):
    """Return the groups of names whose tensors look at some of the same bytes."""
    roots = {}
    for name, tensor in tensors.items():
        if tensor.numel():
            roots.setdefault(id(memory_root(tensor.array)), []).append(name)
    groups = []
    for names in roots.values():
        end = None
        for start, stop, name in sorted((*_range(tensors[name]), name) for name in names):
            if end is None or start >= end:
                groups.append([])
                end = stop
            groups[-1].append(name)
            end = max(end, stop)
    return groups


def _range(tensor):
    """Return the addresses of a tensor's first byte and of that after its last."""
    array = tensor.array
    span = sum((length - 1) * step for length, step in zip(array.shape, array.strides))
    return data_pointer(array), data_pointer(array) + span + array.itemsize


def _repeated(state, preferred=()):
    """Return {name to keep: names to leave out}, of tensors that share memory."""
    found = {}
    for names in _sharing(state):
        if len(names) < 2:
            continue
        whole = [name for name in names if state[name].array.nbytes == memory_root(state[name].array).nbytes]
        if not whole:
            raise RuntimeError(
                "Error while trying to find names to remove to save state dict, but found no suitable name to keep for "
                f"saving amongst: {sorted(names)}. None is covering the entire storage: save clones with save_file"
            )
        kept = min([name for name in whole if name in preferred] or whole)
        found[kept] = sorted(name for name in names if name != kept)
    return found


# ---------------------------------------------------------------------- reading
def load(data):
    """Return the dict of names and tensors in the bytes of a safetensors file.

    bfloat16 becomes float32 where ml_dtypes is not installed. Raises safetensors.SafetensorError for damaged bytes.
    Source: https://huggingface.co/docs/safetensors/api/torch

    >>> import minigrad as mg
    >>> from minigrad.serialization import safetensors
    >>> sorted(safetensors.load(safetensors.save({"a": mg.ones(2), "b": mg.zeros(1)})))
    ['a', 'b']
    """
    package = _package()
    try:
        found = package.deserialize(bytes(data))
    except package.SafetensorError as error:
        raise _error("", error) from None
    made = {}
    for name, about in found:
        array = _typed(np.frombuffer(about["data"], np.uint8), name, about["dtype"], about["shape"])
        made[name] = wrap(_widened(array.copy(), about["dtype"]))
    return made


def load_file(filename, device="cpu"):
    """Return the dict of names and tensors in a safetensors file.

    Arguments: filename (path); device (where the tensors go). bfloat16 becomes float32 without ml_dtypes.
    Raises safetensors.SafetensorError for a file that is damaged, cut off or none of this format.
    Source: https://huggingface.co/docs/safetensors/api/torch

    >>> import minigrad as mg
    >>> from minigrad.serialization import safetensors
    >>> safetensors.load_file("nowhere.safetensors")
    Traceback (most recent call last):
        ...
    FileNotFoundError: No such file or directory: nowhere.safetensors
    """
    with safe_open(filename, device=device) as file:
        return {name: file.get_tensor(name) for name in file.offset_keys()}


def load_model(model, filename, strict=True, device="cpu"):
    """Load a file of save_model into a module; returns (set of missing names, list of unexpected ones).

    Arguments: model (Module); filename (path); strict (missing and unexpected names are a RuntimeError); device.
    Source: https://huggingface.co/docs/safetensors/api/torch

    >>> import os, tempfile
    >>> import minigrad as mg
    >>> from minigrad.serialization import safetensors
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     safetensors.save_file({"bias": mg.ones(2)}, path)
    ...     safetensors.load_model(mg.nn.Linear(2, 2), path, strict=False)
    ({'weight'}, [])
    """
    state = load_file(filename, device)
    repeated = _repeated(model.state_dict(), preferred=state)
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing, unexpected = set(missing), list(unexpected)
    for name in (name for names in repeated.values() for name in names):
        if name in missing:
            missing.remove(name)
        else:
            unexpected.append(name)
    if strict and (missing or unexpected):
        message = f"Error(s) in loading state_dict for {type(model).__name__}:"
        for kind, names in (("Missing", missing), ("Unexpected", unexpected)):
            if names:
                message += f"\n    {kind} key(s) in state_dict: " + ", ".join(f'"{name}"' for name in sorted(names))
        raise RuntimeError(message)
    return missing, unexpected


class safe_open:  # noqa: N801 - the package's name
    """Open a safetensors file whose tensors are read one by one, as they are asked for.

    Arguments: filename (path); framework ("pt" and "mg": tensors; "np": NumPy arrays); device.
    Raises safetensors.SafetensorError for a damaged file, ValueError for another framework.
    Source: https://huggingface.co/docs/safetensors/api/torch

    >>> import os, tempfile
    >>> import minigrad as mg
    >>> from minigrad.serialization import safetensors
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "weights.safetensors")
    ...     safetensors.save_file({"a": mg.arange(6.0).reshape(2, 3)}, path, {"by": "me"})
    ...     with safetensors.safe_open(path, framework="pt") as file:
    ...         file.keys(), file.metadata(), file.get_slice("a")[:, 1]
    (['a'], {'by': 'me'}, tensor([1., 4.]))
    """

    def __init__(self, filename, framework="pt", device="cpu"):
        if framework not in ("pt", "torch", "pytorch", "mg", "np", "numpy"):
            raise ValueError(f"framework must be 'pt' or 'np', but got {framework!r}")
        self._as_arrays = framework in ("np", "numpy")
        self._target = _device(device)
        path = os.fspath(filename)
        package = _package()
        try:
            with package.safe_open(path, "np") as file:  # checks the header: types, shapes and offsets
                self._metadata = file.metadata()
        except package.SafetensorError as error:
            raise _error(path, error) from None
        with open(path, "rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._start = 8 + int.from_bytes(self._memory[:8], "little")
        about = json.loads(self._memory[8 : self._start])
        about.pop("__metadata__", None)
        self._about = dict(sorted(about.items(), key=lambda item: item[1]["data_offsets"]))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._memory = None

    def keys(self):
        """Return the names."""
        return sorted(self._about)

    def offset_keys(self):
        """Return the names in the order in which the tensors lie in the file."""
        return list(self._about)

    def metadata(self):
        """Return the dict of strings saved with the tensors, or None."""
        return self._metadata

    def get_tensor(self, name):
        """Return one tensor."""
        return self._made(self._array(name), name)

    def get_slice(self, name):
        """Return an object of which parts are read by indexing; it has get_shape and get_dtype."""
        return _Slice(self, name)

    def _array(self, name):
        """Return the array of a tensor that looks at the file."""
        if self._memory is None:
            raise ValueError("the file is closed: ask for tensors within the with block")
        if name not in self._about:
            raise _package().SafetensorError(f"File does not contain tensor {name}")
        start, stop = self._about[name]["data_offsets"]
        if self._start + stop > len(self._memory):
            raise _package().SafetensorError(f"the file is cut off: tensor {name} ends after it")
        raw = np.frombuffer(self._memory, np.uint8, stop - start, self._start + start)
        return _typed(raw, name, self._about[name]["dtype"], self._about[name]["shape"])

    def _made(self, array, name):
        """Return a copy of some numbers, as tensor or array."""
        made = _widened(np.array(array), self._about[name]["dtype"])
        return made if self._as_arrays else wrap(move(made, self._target))


class _Slice:
    """A tensor of a file of which parts can be read."""

    def __init__(self, file, name):
        self._file = file
        self._name = name
        self._array = file._array(name)

    def get_shape(self):
        """Return the lengths as a list."""
        return list(self._array.shape)

    def get_dtype(self):
        """Return the format's name of the type, such as "F32"."""
        return self._file._about[self._name]["dtype"]

    def __getitem__(self, index):
        return self._file._made(self._array[index], self._name)


def _typed(raw, name, kind, shape):
    """Return the array that bytes describe."""
    if kind not in _DTYPES:
        raise TypeError(f"the file has {name} of the type {kind}, which minigrad does not have")
    found = numpy_dtype(_DTYPES[kind])
    return raw.view(found if sys.byteorder == "little" else found.newbyteorder("<")).reshape(shape)


def _widened(array, kind):
    """Return an array of the machine's byte order, of a type that minigrad has."""
    if sys.byteorder != "little":
        array = array.astype(array.dtype.newbyteorder("="))
    return np.asarray(widened(array)) if is_widened(_DTYPES[kind]) else array
