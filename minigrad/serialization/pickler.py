"""Writes objects as the pickle that PyTorch writes: protocol 2, tensors as references to storages."""

import copyreg
import pickle
import struct
import types
from collections import Counter, OrderedDict, defaultdict

from minigrad.backend import device, dtype, memory_root, np, xp
from minigrad.ops.layout import layout
from minigrad.serialization import safe_globals
from minigrad.serialization.names import STORAGE_CLASSES
from minigrad.serialization.storages import location_tag
from minigrad.tensor import Size, Tensor, data_pointer, wrap
from minigrad.variable import Parameter, Variable, View

FACTORIES = (list, dict, set, tuple, int, float, str, bool)  # the names of Python 2 for them are written


class Pickler:
    """Turns an object into the bytes of data.pkl and the list of storages (flat raw arrays) they refer to.

    TypeError or PicklingError for what can't be written; it says where in the object that is.
    """

    def __init__(self, protocol=2, old=False):
        self.out = bytearray((0x80, protocol))
        self.old = old  # whether for the format before PyTorch 1.6
        self.storages = []  # flat arrays, in the order of their keys
        self.counts = []  # of their elements, as the references say
        self._keys = {}  # id of the array owning the memory -> (key, dtype name)
        self._memo = {}  # id of an object, or a value of its own -> number
        self._kept = []  # what ids were taken of
        self._path = []  # keys on the way to the object being written

    def dump(self, value):
        """Return the pickled bytes of an object."""
        self._save(value)
        self.out += b"."
        return bytes(self.out)

    # ------------------------------------------------------------------ the memo: what was written once is referred to
    def _remember(self, key, value=None):
        number = self._memo[key] = len(self._memo)
        self._kept.append(value)
        self.out += b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<I", number)

    def _recall(self, key):
        number = self._memo.get(key)
        if number is None:
            return False
        self.out += b"h" + bytes([number]) if number < 256 else b"j" + struct.pack("<I", number)
        return True

    # ------------------------------------------------------------------ values
    def _save(self, value):
        kind = type(value)
        write = _WRITERS.get(kind)
        if write is not None:
            write(self, value)
        elif self._recall(id(value)):
            pass
        elif isinstance(value, Tensor):
            self._tensor(value)
        elif kind in _CONTAINERS:
            _CONTAINERS[kind](self, value)
        elif isinstance(value, dtype):
            self._dtype(value)
        elif kind.__name__ == "qscheme" and kind.__module__ == "minigrad.quantized":
            self._global("torch", value.name)
        elif kind.__module__ == "minigrad.overrides":  # a function of minigrad while there are subclasses of Tensor
            self._reference(value)
        elif isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
            self._reference(value)
        else:
            self._reduced(value)

    def _place(self):
        where = "".join(f"[{step!r}]" for step in self._path)
        return f" (at obj{where})" if where else ""

    def _refusal(self, value):
        kind = type(value)
        return (
            f"minigrad.save can't write a {kind.__module__}.{kind.__qualname__}{self._place()}: a subclass of Tensor "
            "has no place in the file; save a plain tensor made of it: minigrad.tensor(value)"
        )

    def _none(self, value):
        self.out += b"N"

    def _bool(self, value):
        self.out += b"\x88" if value else b"\x89"

    def _int(self, value):
        if 0 <= value < 256:
            self.out += b"K" + bytes([value])
        elif 0 <= value < 65536:
            self.out += b"M" + struct.pack("<H", value)
        elif -(1 << 31) <= value < 1 << 31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            encoded = pickle.encode_long(value)
            size = len(encoded)
            self.out += (b"\x8a" + bytes([size]) if size < 256 else b"\x8b" + struct.pack("<i", size)) + encoded

    def _float(self, value):
        self.out += b"G" + struct.pack(">d", value)

    def _string(self, value):
        if self._recall(value):
            return
        encoded = value.encode("utf-8", "surrogatepass")
        self.out += b"X" + struct.pack("<I", len(encoded)) + encoded
        self._remember(value)

    def _global(self, module, name):
        key = ("global", module, name)
        if not self._recall(key):
            self.out += f"c{module}\n{name}\n".encode()
            self._remember(key)

    def _call(self, module, name, arguments):
        """Write the call of a global with a tuple of values."""
        self._global(module, name)
        self._plain_tuple(arguments)
        self.out += b"R"

    def _plain_tuple(self, values):
        """Write a tuple that is not remembered: arguments, sizes."""
        if len(values) > 3:
            self.out += b"("
        for value in values:
            self._save(value)
        self.out += {0: b")", 1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(values), b"t")

    def _bytes(self, value):
        if not self._recall(("bytes", value)):
            self._call("_codecs", "encode", (value.decode("latin1"), "latin1"))
            self._remember(("bytes", value))

    def _complex(self, value):
        self._call("__builtin__", "complex", (value.real, value.imag))

    def _dtype(self, value):
        self._global("torch", value.name)

    def _device(self, value):
        self._call("torch", "device", (value.type,) if value.index is None else (value.type, value.index))

    def _layout(self, value):
        self._call("torch.serialization", "_get_layout", (f"torch.{value.name}",))

    # ------------------------------------------------------------------ containers
    def _step(self, key, value):
        self._path.append(key)
        self._save(value)
        self._path.pop()

    def _tuple(self, value):
        if not value:
            self.out += b")"
            return
        if len(value) > 3:
            self.out += b"("
        for index, item in enumerate(value):
            self._step(index, item)
        if id(value) in self._memo:  # the tuple contains itself, through a list: it has been written by now
            self.out += b"1" if len(value) > 3 else b"0" * len(value)
            self._recall(id(value))
            return
        self.out += {1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(value), b"t")
        self._remember(id(value), value)

    def _list(self, value):
        self.out += b"]"
        self._remember(id(value), value)
        self._append(value)

    def _append(self, value):
        if len(value):
            self.out += b"("
            for index, item in enumerate(value):
                self._step(index, item)
            self.out += b"e"

    def _items(self, value):
        if len(value):
            self.out += b"("
            for key, item in value.items():
                self._save(key)
                self._step(key, item)
            self.out += b"u"

    def _dict(self, value):
        self.out += b"}"
        self._remember(id(value), value)
        self._items(value)

    def _ordered_dict(self, value):
        self._call("collections", "OrderedDict", ())
        self._remember(id(value), value)
        self._items(value)
        if value.__dict__:  # state_dict() has _metadata there
            self._save(dict(value.__dict__))
            self.out += b"b"

    def _counter(self, value):
        self._call("collections", "Counter", (dict(value),))
        self._remember(id(value), value)

    def _defaultdict(self, value):
        self._global("collections", "defaultdict")
        if value.default_factory is None:
            self.out += b")"
        else:
            self._save(value.default_factory)
            self.out += b"\x85"
        self.out += b"R"
        self._remember(id(value), value)
        self._items(value)

    def _set(self, value):
        self._global("__builtin__", "set")
        self.out += b"]"
        self._append(list(value))
        self.out += b"\x85R"
        self._remember(id(value), value)

    def _size(self, value):
        self._call("torch", "Size", (tuple(value),))
        self._remember(id(value), value)

    def _bytearray(self, value):
        self._call("__builtin__", "bytearray", (bytes(value),))
        self._remember(id(value), value)

    # ------------------------------------------------------------------ tensors
    def _tensor(self, tensor):
        if getattr(tensor, "is_uninitialized", False):
            raise TypeError("minigrad.save can't write a parameter without a shape: run the lazy module once before")
        kind = type(tensor)
        if getattr(tensor, "is_quantized", False):
            self._quantized(tensor)
            return
        if kind not in (Tensor, Variable, View, Parameter):
            raise TypeError(self._refusal(tensor))
        attributes = tensor._user_attributes()
        if kind is Parameter:
            name = "_rebuild_parameter_with_state" if attributes else "_rebuild_parameter"
            self._global("torch._utils", name)
            self.out += b"("
            self._rebuild(tensor.array, False)
            self._bool(tensor.requires_grad)
            self._call("collections", "OrderedDict", ())
            if attributes:
                self._step("its attributes", attributes)
            self.out += b"tR"
        elif attributes:
            self._global("torch._tensor", "_rebuild_from_type_v2")
            self.out += b"("
            function, arguments = self._rebuild_arguments(tensor.array)
            self._global("torch._utils", function)
            self._global("torch", "Tensor")
            self._write_rebuild_arguments(arguments, tensor.requires_grad)
            self._step("its attributes", attributes)
            self.out += b"tR"
        else:
            self._rebuild(tensor.array, tensor.requires_grad)
        self._remember(id(tensor), tensor)

    def _quantized(self, tensor):
        """Write the call that makes a quantized tensor, with its scale and zero point, or those of its channels."""
        array = tensor._q.array
        root, offset, strides = storage_of(array)
        self._global("torch._utils", "_rebuild_qtensor")
        self.out += b"("
        self._storage(root, tensor.dtype.name, array.itemsize)
        self._int(offset)
        self._plain_tuple(array.shape)
        self._plain_tuple(strides)
        parameters = (tensor.qscheme(), tensor._scale, tensor._zero)
        self._plain_tuple(parameters if tensor._axis is None else (*parameters, tensor._axis))
        self._bool(False)
        self._call("collections", "OrderedDict", ())  # backward hooks
        self.out += b"tR"
        self._remember(id(tensor), tensor)

    def _rebuild(self, array, requires_grad):
        """Write the call that makes a tensor."""
        function, arguments = self._rebuild_arguments(array)
        self._global("torch._utils", function)
        self._write_rebuild_arguments(arguments, requires_grad)
        self.out += b"R"

    def _rebuild_arguments(self, array):
        name = array.dtype.name
        root, offset, strides = storage_of(array)
        return "_rebuild_tensor_v2" if name in STORAGE_CLASSES else "_rebuild_tensor_v3", (
            name, root, offset, array.shape, strides, array,
        )  # fmt: skip

    def _write_rebuild_arguments(self, arguments, requires_grad):
        name, root, offset, shape, strides, array = arguments
        self.out += b"("
        self._storage(root, name, array.itemsize)
        self._int(offset)
        self._plain_tuple(shape)
        self._plain_tuple(strides)
        self._bool(requires_grad)
        self._call("collections", "OrderedDict", ())  # backward hooks
        if name not in STORAGE_CLASSES:
            self._global("torch", name)
        self.out += b"t"

    def _storage(self, root, name, itemsize):
        """Write the reference to a storage: ('storage', class, key, location, number of elements)."""
        known = self._keys.get(id(root))
        count = root.nbytes // itemsize if name in STORAGE_CLASSES else root.nbytes
        if known is None:
            known = self._keys[id(root)] = (str(len(self.storages)), name)
            self.counts.append(count)
            self.storages.append(root)
            self._kept.append(root)
        key, first = known
        if first != name:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different types "
                f"({first} and {name}); clone() one of them"
            )
        location = location_tag(wrap(root))
        self.out += b"("
        self._string("storage")
        if name in STORAGE_CLASSES:
            self._global("torch", STORAGE_CLASSES[name])
        else:  # PyTorch can't read untyped ones in the old format
            self._global(*("torch", "ByteStorage") if self.old else ("torch.storage", "UntypedStorage"))
        self._string(key)
        self._string(location)
        self._int(count)
        if self.old:
            self._none(None)  # what part of another storage it is
        self.out += b"tQ"

    # ------------------------------------------------------------------ all other objects, as pickle writes them
    def _reference(self, value):
        """Write the name of a class or function."""
        name = _NUMPY_NAMES.get(value) or safe_globals.name_of(value)
        if name is not None:
            module, _, name = name.rpartition(".")
        elif value in FACTORIES:
            module, name = "__builtin__", {str: "unicode"}.get(value, value.__name__)
        elif value in _SINGLETONS:
            self._call("__builtin__", "type", (_SINGLETONS[value],))
            return
        else:
            from minigrad.serialization.classes import reference  # at first use: it imports optim

            bound = getattr(value, "__self__", None)
            if bound is not None and not isinstance(bound, types.ModuleType):  # a method of an object, or of a class
                self._reduced(value)
                return
            try:
                module, name = reference(value)
            except pickle.PicklingError as error:
                raise pickle.PicklingError(
                    f"{error}{self._place()}: what is written by its name has to be found by it, so define it at the "
                    "top of a module, or save the settings that select it"
                ) from None
        self._global(module, name)

    def _reduced(self, value):
        """Write what copyreg or an object's __reduce_ex__(2) says."""
        kind = type(value)
        try:
            reduce = copyreg.dispatch_table.get(kind)
            reduced = value.__reduce_ex__(2) if reduce is None else reduce(value)
        except TypeError as error:
            raise TypeError(f"minigrad.save{self._place()}: {error}") from error
        if isinstance(reduced, str):
            self._global(getattr(value, "__module__", None) or pickle.whichmodule(value, reduced), reduced)
            return
        function, arguments, state, items, pairs, setter = (*reduced, *[None] * (6 - len(reduced)))
        if getattr(function, "__name__", "") == "__newobj__":
            self._save(arguments[0])
            self._plain_tuple(arguments[1:])
            self.out += b"\x81"
        else:
            self._save(function)
            self._plain_tuple(arguments)
            self.out += b"R"
        if self._memo.get(id(value)) is not None:  # its arguments contain it
            self.out += b"0"
            self._recall(id(value))
            return
        self._remember(id(value), value)
        self._append(list(items or ()))
        self._items(dict(pairs or ()))
        if setter is not None:
            self._save(setter)
            self._plain_tuple((value, state))
            self.out += b"R0"
        elif state is not None:
            self._save(state)
            self.out += b"b"


_SINGLETONS = {type(None): None, type(...): ..., type(NotImplemented): NotImplemented}
# Older names, which every version of NumPy reads.
_NUMPY_NAMES = {
    np.ndarray: "numpy.ndarray",
    np.dtype: "numpy.dtype",
    np.float64(0).__reduce__()[0]: "numpy.core.multiarray.scalar",
    np.empty(0).__reduce__()[0]: "numpy.core.multiarray._reconstruct",
}

_WRITERS = {
    type(None): Pickler._none,
    bool: Pickler._bool,
    int: Pickler._int,
    float: Pickler._float,
    str: Pickler._string,
    bytes: Pickler._bytes,
    complex: Pickler._complex,
    device: Pickler._device,
    layout: Pickler._layout,
}
_CONTAINERS = {
    tuple: Pickler._tuple,
    list: Pickler._list,
    dict: Pickler._dict,
    OrderedDict: Pickler._ordered_dict,
    Counter: Pickler._counter,
    defaultdict: Pickler._defaultdict,
    set: Pickler._set,
    Size: Pickler._size,
    bytearray: Pickler._bytearray,
}


def _row_major(shape):
    """Return the strides, in elements, of a row-major array."""
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= max(length, 1)
    return tuple(reversed(strides))


def storage_of(array):
    """Return (array owning the memory, offset, strides in elements) by which a raw array is written.

    The owner is a copy where PyTorch could not describe the view: negative steps, steps that are no whole elements, or
    an owner with gaps.
    """
    root = memory_root(array)
    size = array.itemsize
    if not (root.flags.c_contiguous or root.flags.f_contiguous):
        root = None
    if root is not None and array.size == 0:
        return root, 0, _row_major(array.shape)
    if root is not None:
        offset, odd = divmod(data_pointer(array) - data_pointer(root), size)
        plain = _row_major(array.shape)
        if array.flags.c_contiguous:
            strides = plain
        else:
            steps = [plain[i] * size if array.shape[i] == 1 else step for i, step in enumerate(array.strides)]
            strides = tuple(step // size for step in steps)
            odd = odd or any(step % size for step in steps)
        last = offset + sum((length - 1) * step for length, step in zip(array.shape, strides))
        if not odd and offset >= 0 and min(strides, default=0) >= 0 and last < root.nbytes // size:
            return root, offset, strides
    copied = xp(array).ascontiguousarray(array).reshape(array.shape)
    if copied is array or memory_root(copied) is not copied:
        copied = array.copy(order="C")
    return copied, 0, _row_major(array.shape)


def flat_bytes(root):
    """Return the bytes of the array owning some memory as a flat NumPy array of uint8, on the CPU."""
    host = root if isinstance(root, np.ndarray) else root.get()
    return host.reshape(-1, order="A").view(np.uint8)
