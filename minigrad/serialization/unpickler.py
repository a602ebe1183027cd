"""Reads the pickle of a checkpoint: a small machine that makes tensors, containers and numbers and nothing else.

Python's own unpickler is not used: it would allocate whatever sizes a hostile file names, and set attributes of
whatever objects it has made. Here opcodes are read by ``pickletools`` and done by hand; a call is only ever one of the
constructors listed below; all they make is counted against the size of the pickle.
"""

import pickletools
import re
from collections import Counter, OrderedDict, defaultdict
from pickle import UnpicklingError

from minigrad.backend import DTYPES, device, dtype, np, xp
from minigrad.ops.layout import strided
from minigrad.serialization import safe_globals
from minigrad.serialization.names import (
    DTYPE_NAMES,
    REFUSED_DTYPES,
    REFUSED_STORAGES,
    STORAGE_DTYPES,
)
from minigrad.serialization.storages import FromOutside, Storage
from minigrad.tensor import Size, Tensor, wrap
from minigrad.variable import Parameter, check_can_require_grad, promote

_NUMPY_DTYPE = re.compile(r"[<>|=]?[biufcSU][0-9]{1,6}")  # of numbers and strings


class Name:
    """A global that a file may name. What a call of it makes is ``make(unpickler, *arguments)``; None: not callable."""

    __slots__ = ("make", "name")

    def __init__(self, name, make=None):
        self.name = name
        self.make = make

    def __repr__(self):
        return f"<the name {self.name} of a checkpoint>"


class UserName:
    """A class or function that the user has allowed."""

    __slots__ = ("name", "value")

    def __init__(self, name, value):
        self.name = name
        self.value = value


class Unfinished:
    """A NumPy dtype, or array (dtype None), in the making: its state comes later and puts the real one in its place."""

    __slots__ = ("dtype", "numbers")

    def __init__(self, dtype=None):
        self.dtype = dtype
        self.numbers = []  # in the memo


class Unpickler:
    """Reads one pickle from ``file`` (a Limited), finding storages by ``persistent_load(tuple)``.

    ``size`` (bytes) bounds the pickle and with it how much its calls may make. UnpicklingError for everything that is
    damaged or not allowed, EOFError where the data ends early. ``encoding`` is that of Python 2's strings.
    """

    def __init__(self, file, size, persistent_load, *, encoding="utf-8", errors="strict"):
        self.file = file
        self.persistent_load = persistent_load
        self.encoding = encoding
        self.errors = errors
        self.stack = []
        self.marks = []
        self.kept = []  # containers whose ids are in hashes
        self.memo = {}
        self.hashes = {}  # (id of a container, hash) -> how many unusual keys have it
        self.budget = 4 * size + 50_000

    def load(self):
        """Return the object."""
        try:
            return self._run()
        except FromOutside as wrapped:
            raise wrapped.error from None
        except (UnpicklingError, EOFError, RuntimeError, MemoryError):
            raise
        except Exception as error:
            raise UnpicklingError(f"the checkpoint is damaged: {type(error).__name__}: {error}") from error

    def _run(self):
        for opcode, argument, _ in pickletools.genops(self.file):
            name = opcode.name
            if name in _TEXT:
                self.stack.append(argument)
            elif name == "STOP":
                value = self.stack.pop()
                if self.stack or self.marks:
                    raise UnpicklingError("the checkpoint is damaged: its pickle ends in the middle of something")
                _check_value(value)
                return value
            else:
                step = _STEPS.get(name)
                if step is None:
                    raise UnpicklingError(f"the checkpoint's pickle has the operation {name}, which is never allowed")
                step(self, argument)
        raise EOFError("the checkpoint is cut off: Ran out of input")

    def charge(self, amount):
        """Count what calls make; a small file that would make very much is refused."""
        self.budget -= amount
        if self.budget < 0:
            raise UnpicklingError("the checkpoint's pickle would unpack to far more than the size of the file")

    # ------------------------------------------------------------------ the stack
    def _to_mark(self):
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _mark(self, _):
        self.marks.append(len(self.stack))

    def _pop(self, _):
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def _pop_mark(self, _):
        self._to_mark()

    def _dup(self, _):
        self.stack.append(self.stack[-1])

    def _get(self, number):
        self.stack.append(self.memo[int(number)])

    def _put(self, number):
        value = self.memo[int(number)] = self.stack[-1]
        if type(value) is Unfinished:
            value.numbers.append(int(number))

    def _memoize(self, _):
        self._put(len(self.memo))

    def _nothing(self, _):
        pass

    def _proto(self, version):
        if not 0 <= version <= 5:
            raise UnpicklingError(f"the checkpoint's pickle has the unknown protocol {version}")

    # ------------------------------------------------------------------ values
    def _none(self, _):
        self.stack.append(None)

    def _true(self, _):
        self.stack.append(True)

    def _false(self, _):
        self.stack.append(False)

    def _old_string(self, text):
        """A byte string of Python 2."""
        data = text.encode("latin1")
        self.stack.append(data if self.encoding == "bytes" else data.decode(self.encoding, self.errors))

    # ------------------------------------------------------------------ containers
    def _empty_list(self, _):
        self.stack.append([])

    def _empty_dict(self, _):
        self.stack.append({})

    def _empty_set(self, _):
        self.stack.append(set())

    def _empty_tuple(self, _):
        self.stack.append(())

    def _tuple(self, _):
        self.stack.append(tuple(self._to_mark()))

    def _tuple_of(self, count):
        items = tuple(self.stack[-count:])
        if len(items) != count:
            raise UnpicklingError("the checkpoint is damaged: a tuple lacks items")
        del self.stack[-count:]
        self.stack.append(items)

    def _list(self, _):
        self.stack.append(self._to_mark())

    def _dict(self, _):
        items = self._to_mark()
        self.stack.append({})
        self._set_items(items)

    def _append(self, _):
        item = self.stack.pop()
        _check_value(item)
        self._target(list).append(item)

    def _appends(self, _):
        items = self._to_mark()
        for item in items:
            _check_value(item)
        self._target(list).extend(items)

    def _add_items(self, _):
        items = self._to_mark()
        target = self._target(set)
        for item in items:
            self.check_key(item, id(target))
        target.update(items)
        self.kept.append(target)

    def _set_item(self, _):
        value = self.stack.pop()
        key = self.stack.pop()
        self._set_items([key, value])

    def _setitems(self, _):
        self._set_items(self._to_mark())

    def _set_items(self, items):
        target = self._target(dict, OrderedDict, Counter, defaultdict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.check_key(key, id(target))
            _check_value(value)
            target[key] = value
        self.kept.append(target)

    def _target(self, *kinds):
        target = self.stack[-1]
        if type(target) not in kinds:
            raise UnpicklingError(f"the checkpoint is damaged: items for a {type(target).__name__}")
        return target

    def check_key(self, key, container):
        """Refuse keys that would take long: deeply nested tuples, and many of one hash in a container (its id).

        A file can't foresee the hashes of strings, and few short numbers have the same one.
        """
        kind = type(key)
        if kind in _PLAIN_KEYS or (kind is int and key.bit_length() < 64):
            return
        if kind is tuple:
            waiting, depth = list(key), 0
            while waiting:
                depth += 1
                self.charge(len(waiting))
                if depth > 20 or len(waiting) > 1000:
                    raise UnpicklingError("the checkpoint's pickle has a key of deeply nested tuples")
                waiting = [inner for item in waiting if type(item) is tuple for inner in item]
        place = container, hash(key)
        same = self.hashes[place] = self.hashes.get(place, 0) + 1
        if same > 100:
            raise UnpicklingError("the checkpoint's pickle has hundreds of keys of the same hash")

    # ------------------------------------------------------------------ names, calls, state
    def _global(self, text):
        module, _, name = text.partition(" ")
        self.stack.append(find(module, name))

    def _stack_global(self, _):
        name = self.stack.pop()
        module = self.stack.pop()
        if type(module) is not str or type(name) is not str:
            raise UnpicklingError("the checkpoint is damaged: a name is not a string")
        self.stack.append(find(module, name))

    def _reduce(self, _):
        arguments = self.stack.pop()
        function = self.stack.pop()
        self.stack.append(self._called(function, arguments))

    def _called(self, function, arguments):
        if type(arguments) is not tuple:
            raise UnpicklingError("the checkpoint is damaged: a call without a tuple of arguments")
        if type(function) is UserName:
            return function.value(*arguments)
        if type(function) is not Name or function.make is None:
            raise UnpicklingError(f"the checkpoint calls {_shown(function)}, which is not allowed")
        return function.make(self, *arguments)

    def _new_object(self, _):
        arguments = self.stack.pop()
        cls = self.stack.pop()
        if type(cls) is UserName and isinstance(cls.value, type) and type(arguments) is tuple:
            self.stack.append(cls.value.__new__(cls.value, *arguments))
        else:
            raise UnpicklingError(f"the checkpoint makes an object of {_shown(cls)}, which is not allowed")

    def _build(self, _):
        state = self.stack.pop()
        target = self.stack[-1]
        kind = type(target)
        if kind is OrderedDict:
            if type(state) is not dict or not all(type(name) is str for name in state):
                raise UnpicklingError("the checkpoint is damaged: an OrderedDict's attributes are no dict")
            target.__dict__.update(state)
        elif kind is Unfinished:
            finished = self._dtype_of(target, state) if target.dtype is not None else self._array_of(state)
            self.stack[-1] = finished
            self.memo.update(dict.fromkeys(target.numbers, finished))
        elif any(kind is value for value in safe_globals.get_safe_globals()):
            _set_state(target, state)
        else:
            raise UnpicklingError(f"the checkpoint sets the state of a {kind.__name__}, which is not allowed")

    def _persistent(self, _):
        reference = self.stack.pop()
        if type(reference) is not tuple or not reference or reference[0] not in ("storage", b"storage"):
            raise UnpicklingError("the checkpoint is damaged: a reference to something that is no storage")
        self.stack.append(self.persistent_load(reference))

    def _dtype_of(self, target, state):
        """Return the dtype with the byte order its state names."""
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise UnpicklingError("the checkpoint is damaged: a NumPy dtype without a byte order")
        return target.dtype.newbyteorder(state[1])

    def _array_of(self, state):
        """Return the array that its state (version, shape, dtype, whether in Fortran's order, bytes) describes."""
        _, shape, kind, fortran, data = state
        if not isinstance(kind, np.dtype) or type(data) is not bytes or type(shape) is not tuple:
            raise UnpicklingError("the checkpoint is damaged: a NumPy array has no plain values")
        self.charge(len(data))
        flat = np.frombuffer(data, kind) if data else np.empty(0, kind)
        return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")


_PLAIN_KEYS = frozenset((str, bytes, float, bool, type(None)))

# Operations whose argument is the value itself.
_TEXT = frozenset(
    "INT LONG LONG1 LONG4 BININT BININT1 BININT2 FLOAT BINFLOAT UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_STEPS = {
    "MARK": Unpickler._mark,
    "POP": Unpickler._pop,
    "POP_MARK": Unpickler._pop_mark,
    "DUP": Unpickler._dup,
    "GET": Unpickler._get,
    "BINGET": Unpickler._get,
    "LONG_BINGET": Unpickler._get,
    "PUT": Unpickler._put,
    "BINPUT": Unpickler._put,
    "LONG_BINPUT": Unpickler._put,
    "MEMOIZE": Unpickler._memoize,
    "PROTO": Unpickler._proto,
    "FRAME": Unpickler._nothing,
    "NONE": Unpickler._none,
    "NEWTRUE": Unpickler._true,
    "NEWFALSE": Unpickler._false,
    "STRING": Unpickler._old_string,
    "BINSTRING": Unpickler._old_string,
    "SHORT_BINSTRING": Unpickler._old_string,
    "EMPTY_LIST": Unpickler._empty_list,
    "EMPTY_DICT": Unpickler._empty_dict,
    "EMPTY_SET": Unpickler._empty_set,
    "EMPTY_TUPLE": Unpickler._empty_tuple,
    "TUPLE": Unpickler._tuple,
    "TUPLE1": lambda self, _: self._tuple_of(1),
    "TUPLE2": lambda self, _: self._tuple_of(2),
    "TUPLE3": lambda self, _: self._tuple_of(3),
    "LIST": Unpickler._list,
    "DICT": Unpickler._dict,
    "APPEND": Unpickler._append,
    "APPENDS": Unpickler._appends,
    "ADDITEMS": Unpickler._add_items,
    "SETITEM": Unpickler._set_item,
    "SETITEMS": Unpickler._setitems,
    "GLOBAL": Unpickler._global,
    "STACK_GLOBAL": Unpickler._stack_global,
    "REDUCE": Unpickler._reduce,
    "NEWOBJ": Unpickler._new_object,
    "BUILD": Unpickler._build,
    "BINPERSID": Unpickler._persistent,
}


def _check_value(value):
    """Refuse what only stands for something, as a value."""
    if type(value) in _STANDS_FOR:
        what = value.name if isinstance(value, (Name, UserName)) else f"a bare {type(value).__name__.lower()}"
        raise UnpicklingError(f"the checkpoint has {what} as a value: only tensors, containers and numbers are read")


_STANDS_FOR = frozenset((Name, UserName, Unfinished, Storage))


def _shown(function):
    if isinstance(function, (Name, UserName)):
        return function.name
    return f"a {type(function).__name__}"


def _set_state(target, state):
    """Set the state of an object of a class the user has allowed, as Python's unpickler does."""
    if hasattr(target, "__setstate__"):
        target.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        target.__dict__.update(state)
    for name, value in (slots or {}).items():
        setattr(target, name, value)


# ---------------------------------------------------------------------- what a file may call
def _expect(value, *kinds):
    if type(value) not in kinds:
        names = " or ".join(kind.__name__ for kind in kinds)
        raise UnpicklingError(f"the checkpoint is damaged: a {type(value).__name__} where a {names} belongs")
    return value


def _make_set(unpickler, items=()):
    unpickler.charge(len(_expect(items, list, tuple, set)))
    made = set()
    unpickler.kept.append(made)
    for item in items:
        unpickler.check_key(item, id(made))
        made.add(item)
    return made


def _make_ordered_dict(unpickler, items=()):
    unpickler.charge(len(_expect(items, list, tuple)))
    made = OrderedDict()
    unpickler.kept.append(made)
    for key, value in items:
        unpickler.check_key(key, id(made))
        made[key] = value
    return made


def _make_counter(unpickler, counts=None):
    made = Counter()
    if counts is not None:
        unpickler.charge(len(_expect(counts, dict)))
        dict.update(made, counts)
    return made


def _make_defaultdict(unpickler, factory=None, items=None):
    if items is not None:
        raise UnpicklingError("the checkpoint is damaged: a defaultdict made of items")
    if factory is None:
        return defaultdict()
    if _expect(factory, Name).name not in FACTORIES:
        raise UnpicklingError(f"the checkpoint has a defaultdict of {factory.name}, which is not allowed")
    return defaultdict(FACTORIES[factory.name])


def _make_complex(unpickler, real, imag):
    return complex(_expect(real, float, int), _expect(imag, float, int))


def _make_bytearray(unpickler, data=b"", encoding=None):
    if encoding is not None:
        data = _make_bytes(unpickler, data, encoding)
    unpickler.charge(len(_expect(data, bytes)))
    return bytearray(data)


def _make_bytes(unpickler, text="", encoding="latin1"):
    unpickler.charge(len(_expect(text, str)))
    if encoding not in ("latin1", "latin-1"):
        raise UnpicklingError(f"the checkpoint has bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _make_size(unpickler, lengths=()):
    unpickler.charge(len(_expect(lengths, tuple, list)))
    return Size(_expect(length, int) for length in lengths)


def _make_device(unpickler, kind, index=None):
    try:
        return device(_expect(kind, str), index)
    except RuntimeError as error:
        raise UnpicklingError(f"the checkpoint has a device that minigrad does not have: {error}") from None


def _make_layout(unpickler, name):
    if name != "torch.strided":
        raise UnpicklingError(f"the checkpoint has the layout {name}; minigrad has strided tensors only")
    return strided


def _make_numpy_dtype(unpickler, code, align=False, copy=True):
    if _NUMPY_DTYPE.fullmatch(_expect(code, str)) is None:
        raise UnpicklingError(f"the checkpoint has the NumPy dtype {code[:40]!r}, which is not allowed")
    return Unfinished(np.dtype(code))


def _make_numpy_scalar(unpickler, kind, data):
    if not isinstance(kind, np.dtype):
        raise UnpicklingError("the checkpoint is damaged: a NumPy number without a dtype")
    if len(_expect(data, bytes)) != kind.itemsize or not data:
        raise UnpicklingError("the checkpoint is damaged: a NumPy number of the wrong size")
    return np.frombuffer(data, kind)[0]


def _make_numpy_array(unpickler, kind, shape, code):
    if _expect(kind, Name).name != "numpy.ndarray":
        raise UnpicklingError(f"the checkpoint has a NumPy array of the class {kind.name}, which is not allowed")
    return Unfinished()


# ---------------------------------------------------------------------- tensors
def _view(storage, dtype_name, offset, shape, strides):
    """Return the raw array of a shape and strides (in elements) on a storage; UnpicklingError beyond its end."""
    _expect(storage, Storage)
    shape, strides = tuple(_expect(shape, tuple, list, Size)), tuple(_expect(strides, tuple, list, Size))
    if len(shape) != len(strides) or len(shape) > 64:
        raise UnpicklingError(f"the checkpoint has a tensor of shape {shape[:9]} with {len(strides)} strides")
    for number in (offset, *shape, *strides):
        if _expect(number, int) < 0 or number >= 1 << 62:
            raise UnpicklingError(f"the checkpoint has a tensor with the size, stride or offset {number}")
    flat = storage.array(dtype_name)
    count = 1
    for length in shape:
        count *= length
    if count >= 1 << 62:
        raise UnpicklingError(f"the checkpoint has a tensor of {count} elements")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides)) if count else 0
    if last >= len(flat) and count:
        raise UnpicklingError(
            f"the checkpoint has a tensor of shape {shape} that ends at element {last} of a storage with {len(flat)}"
        )
    if not count:
        return flat[:0].reshape(shape)
    # A dimension of length 1 may name any stride; NumPy wants one that stays small.
    steps = tuple(0 if length == 1 else stride * flat.itemsize for length, stride in zip(shape, strides))
    part = flat[offset : offset + count] if _is_row_major(shape, strides) else None
    if part is not None:
        return part.reshape(shape)
    if isinstance(flat, np.ndarray):
        return np.ndarray(shape, flat.dtype, flat, offset * flat.itemsize, steps)
    return xp(flat).lib.stride_tricks.as_strided(flat[offset:], shape, steps)


def _is_row_major(shape, strides):
    step = 1
    for length, stride in zip(reversed(shape), reversed(strides)):
        if length != 1 and stride != step:
            return False
        step *= length
    return True


def _tensor(storage, dtype_name, offset, shape, strides, requires_grad, metadata=None):
    """Return a tensor on a storage, which knows from then on who looks at it."""
    array = _view(storage, dtype_name, offset, shape, strides)
    tensor = wrap(array)
    if metadata:
        storage.when_filled(lambda: setattr(tensor, "array", _resolved(array, metadata)))
    if _expect(requires_grad, bool, int):
        _check_grad(array)
        promote(tensor, requires_grad=True)
    storage.tensors.append(tensor)
    if len(storage.tensors) > 1:  # the memory is shared: in-place writes to one are seen by the others
        for other in storage.tensors[0 if len(storage.tensors) == 2 else -1 :]:
            other._aliased = True
    return tensor


def _check_grad(array):
    try:
        check_can_require_grad(array)
    except RuntimeError as error:
        raise UnpicklingError(f"the checkpoint is damaged: {error}") from None


def _resolved(array, metadata):
    """Apply PyTorch's lazy conjugation and negation."""
    for name in _expect(metadata, dict):
        if name == "conj":
            array = array.conj()
        elif name == "neg":
            array = -array
        else:
            raise UnpicklingError(f"the checkpoint has a tensor with the unknown property {str(name)[:40]}")
    return array


def _typed(storage):
    """Return the name of the dtype of a storage."""
    name = _expect(storage, Storage).dtype_name
    if name is None:
        raise UnpicklingError("the checkpoint is damaged: a tensor on untyped bytes without a dtype")
    return name


def _rebuild_tensor(unpickler, storage, offset, shape, strides):
    return _tensor(storage, _typed(storage), offset, shape, strides, False)


def _rebuild_tensor_v2(unpickler, storage, offset, shape, strides, requires_grad, hooks, metadata=None):
    return _tensor(storage, _typed(storage), offset, shape, strides, requires_grad, metadata)


def _rebuild_tensor_v3(unpickler, storage, offset, shape, strides, requires_grad, hooks, kind, metadata=None):
    name = "bfloat16" if type(kind) is Name and kind.name == "torch.bfloat16" else _expect(kind, dtype).name
    return _tensor(storage, name, offset, shape, strides, requires_grad, metadata)


def _rebuild_parameter(unpickler, data, requires_grad, hooks):
    tensor = _expect_tensor(data)
    if requires_grad:
        _check_grad(tensor.array)
    promote(tensor)
    tensor._requires_grad = bool(requires_grad)
    tensor.__class__ = Parameter
    return tensor


def _rebuild_parameter_with_state(unpickler, data, requires_grad, hooks, state):
    return _set_attributes(_rebuild_parameter(unpickler, data, requires_grad, hooks), state)


def _rebuild_from_type(unpickler, function, kind, arguments, state):
    """Make a tensor that carries attributes."""
    if _expect(kind, Name).name not in ("torch.Tensor", "torch.nn.parameter.Parameter"):
        raise UnpicklingError(f"the checkpoint has a tensor of the class {kind.name}, which is not allowed")
    if not _expect(function, Name).name.startswith("torch._utils._rebuild"):
        raise UnpicklingError(f"the checkpoint makes a tensor with {function.name}, which is not allowed")
    return _set_attributes(_expect_tensor(unpickler._called(function, arguments)), state)


def _expect_tensor(value):
    if not isinstance(value, Tensor):
        raise UnpicklingError(f"the checkpoint is damaged: a {type(value).__name__} where a tensor belongs")
    return value


def _set_attributes(tensor, state):
    """Give a tensor the attributes that its user had set; private ones of PyTorch are left out."""
    if type(state) is tuple and len(state) == 2:
        state = state[0]
    for name, value in _expect(state, dict).items():
        if hasattr(type(tensor), _expect(name, str)) and not name.startswith("_"):
            raise UnpicklingError(f"the checkpoint sets the attribute {name} of a tensor, which is not allowed")
        if not name.startswith("_"):
            tensor.__dict__[name] = value
    return tensor


FACTORIES = {
    "builtins.list": list,
    "builtins.dict": dict,
    "builtins.set": set,
    "builtins.tuple": tuple,
    "builtins.int": int,
    "builtins.float": float,
    "builtins.str": str,
    "builtins.bool": bool,
}
_CALLS = {
    "builtins.set": _make_set,
    "builtins.complex": _make_complex,
    "builtins.bytearray": _make_bytearray,
    "builtins.bytes": _make_bytes,
    "_codecs.encode": _make_bytes,
    "collections.OrderedDict": _make_ordered_dict,
    "collections.Counter": _make_counter,
    "collections.defaultdict": _make_defaultdict,
    "torch.Size": _make_size,
    "torch.device": _make_device,
    "torch.serialization._get_layout": _make_layout,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter_with_state,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "numpy.dtype": _make_numpy_dtype,
    "numpy.core.multiarray.scalar": _make_numpy_scalar,
    "numpy._core.multiarray.scalar": _make_numpy_scalar,
    "numpy.core.multiarray._reconstruct": _make_numpy_array,
    "numpy._core.multiarray._reconstruct": _make_numpy_array,
}
_MERE_NAMES = (
    *FACTORIES, "numpy.ndarray", "torch.Tensor", "torch.nn.parameter.Parameter", "torch.bfloat16",
    "torch.storage.UntypedStorage", *(f"torch.{name}" for name in STORAGE_DTYPES),
    *(f"torch.cuda.{name}" for name in STORAGE_DTYPES),
)  # fmt: skip
_REBUILDS_REFUSED = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_qtensor": "a quantized tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the device 'meta', without data",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a subclass",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of an unknown device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of an unknown device",
    "torch.nn.parameter.UninitializedParameter": "a parameter of a lazy module, without a shape",
    "torch.nn.parameter.UninitializedBuffer": "a buffer of a lazy module, without a shape",
}
# Full name -> what the unpickler puts on its stack for it.
GLOBALS = {name: Name(name) for name in _MERE_NAMES}
GLOBALS.update((name, Name(name, make)) for name, make in _CALLS.items())
GLOBALS.update((f"torch.{name}", DTYPES[name]) for name in DTYPE_NAMES if name in DTYPES)


def find(module, name):
    """Return what stands for a global of a file; UnpicklingError for what is not allowed, by its name."""
    module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
    full = f"{module}.{ {'unicode': 'str', 'long': 'int'}.get(name, name) if module == 'builtins' else name}"
    found = GLOBALS.get(full)
    if found is not None:
        return found
    value = safe_globals.allowed(full)
    if value is not None:
        return UserName(full, value)
    kind = full.rpartition(".")[2]
    if full.startswith("torch.") and (kind in REFUSED_DTYPES or kind in REFUSED_STORAGES):
        raise UnpicklingError(f"the checkpoint has data of the type {full}, which minigrad does not have")
    if full in _REBUILDS_REFUSED:
        raise UnpicklingError(f"the checkpoint has {_REBUILDS_REFUSED[full]}, which minigrad does not have ({full})")
    advice = "save model.state_dict() instead of whole objects and load that"
    if module.partition(".")[0] not in safe_globals.BLOCKED_MODULES:
        advice += "; a class of your own that you trust can be allowed with minigrad.serialization.add_safe_globals"
    raise UnpicklingError(
        f"Unsupported global: {full} was not an allowed global. minigrad.load reads tensors, containers and numbers "
        f"only, whatever weights_only is, and runs nothing that a file names: {advice}"
    )
