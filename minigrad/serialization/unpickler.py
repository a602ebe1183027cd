"""Reads the pickle of a checkpoint: a small machine that makes tensors, containers and numbers and nothing else.

Python's own unpickler is not used: it would allocate whatever sizes a hostile file names, and set attributes of
whatever objects it has made. Here opcodes are read by ``pickletools`` and done by hand; a call is only ever one of the
constructors of allowed.py; all they make is counted against the size of the pickle.
"""

import pickletools
from collections import Counter, OrderedDict, defaultdict, deque
from pickle import UnpicklingError
from types import SimpleNamespace

from minigrad.serialization import classes, safe_globals
from minigrad.serialization.allowed import find
from minigrad.serialization.placeholders import Name, Unfinished, expect
from minigrad.serialization.rebuild import set_parameter_state
from minigrad.serialization.storages import FromOutside, Storage
from minigrad.variable import Parameter


class Unpickler:
    """Reads one pickle from ``file`` (a Limited), finding storages by ``persistent_load(tuple)``.

    ``size`` (bytes) bounds the pickle and with it how much its calls may make. UnpicklingError for everything that is
    damaged or not allowed, EOFError where the data ends early. ``whole``: classes of whole modules are
    allowed, see classes.py. ``encoding`` is that of Python 2's strings.
    """

    def __init__(self, file, size, persistent_load, *, whole=False, encoding="utf-8", errors="strict"):
        self.file = file
        self.whole = whole
        self.persistent_load = persistent_load
        self.encoding = encoding
        self.errors = errors
        self.stack = []
        self.marks = []
        self.kept = []  # containers whose ids are in hashes
        self.memo = {}
        self.allocated = set()  # ids of objects made of the classes of whole modules
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
        self._target(list, deque).append(item)

    def _appends(self, _):
        items = self._to_mark()
        for item in items:
            _check_value(item)
        self._target(list, deque).extend(items)

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

        A file can't foresee the hashes of strings, and few short numbers have the same one. Long keys that are used
        again and again are hashed or compared each time.
        """
        kind = type(key)
        if kind in _PLAIN_KEYS:
            if (kind is str or kind is bytes) and len(key) > 1000:
                self.charge(len(key))
            return
        if kind is int:
            if key.bit_length() < 64:
                return
            self.charge(key.bit_length() >> 3)
        if id(key) in self.allocated:
            raise UnpicklingError(f"the checkpoint has a {kind.__name__} as a key, which is not allowed")
        if isinstance(key, tuple):
            waiting, depth = list(key), 0
            while waiting:
                depth += 1
                self.charge(len(waiting))
                if depth > 20 or len(waiting) > 1000:
                    raise UnpicklingError("the checkpoint's pickle has a key of deeply nested tuples")
                self.charge(sum(item.bit_length() >> 3 for item in waiting if type(item) is int))
                if any(id(item) in self.allocated for item in waiting):
                    raise UnpicklingError("the checkpoint has a module in a key, which is not allowed")
                waiting = [inner for item in waiting if type(item) is tuple for inner in item]
        place = container, hash(key)
        same = self.hashes[place] = self.hashes.get(place, 0) + 1
        if same > 100:
            raise UnpicklingError("the checkpoint's pickle has hundreds of keys of the same hash")

    # ------------------------------------------------------------------ names, calls, state
    def _global(self, text):
        module, _, name = text.partition(" ")
        self.stack.append(find(module, name, self.whole))

    def _stack_global(self, _):
        name = self.stack.pop()
        module = self.stack.pop()
        if type(module) is not str or type(name) is not str:
            raise UnpicklingError("the checkpoint is damaged: a name is not a string")
        self.stack.append(find(module, name, self.whole))

    def set_of(self, items):
        """Return a set of items that a file names, each checked."""
        self.charge(len(expect(items, list, tuple, set)))
        made = set()
        self.kept.append(made)
        for item in items:
            self.check_key(item, id(made))
            made.add(item)
        return made

    def _reduce(self, _):
        arguments = self.stack.pop()
        function = self.stack.pop()
        self.stack.append(self.called(function, arguments))

    def called(self, function, arguments):
        if type(arguments) is not tuple:
            raise UnpicklingError("the checkpoint is damaged: a call without a tuple of arguments")
        if self._is_allowed(function):
            return function(*arguments)
        if type(function) is not Name or function.make is None:
            raise UnpicklingError(f"the checkpoint calls {_shown(function)}, which is not allowed")
        return function.make(self, *arguments)

    def _is_allowed(self, value):
        """Return whether a value is a class or function that the user has allowed."""
        return any(value is allowed for allowed in safe_globals.get_safe_globals())

    def _new_object(self, _):
        arguments = self.stack.pop()
        cls = self.stack.pop()
        if self._is_allowed(cls) and isinstance(cls, type) and type(arguments) is tuple:
            self.stack.append(cls.__new__(cls, *arguments))
        elif self.whole and issubclass(type(cls), type) and type(arguments) is tuple and not arguments:
            self.charge(100)
            self.stack.append(classes.allocate(cls))
            self.allocated.add(id(self.stack[-1]))
            self.kept.append(self.stack[-1])
        elif type(cls) is Name and cls.new:
            self.stack.append(self.called(cls, arguments))
        else:
            raise UnpicklingError(f"the checkpoint makes an object of {_shown(cls)}, which is not allowed")

    def _build(self, _):
        state = self.stack.pop()
        target = self.stack[-1]
        kind = type(target)
        if kind is OrderedDict or kind is SimpleNamespace:
            if type(state) is not dict or not all(type(name) is str for name in state):
                raise UnpicklingError(f"the checkpoint is damaged: the attributes of a {kind.__name__} are no dict")
            target.__dict__.update(state)
        elif kind is Unfinished:
            finished = self.stack[-1] = target.finish(self, state)
            self.memo.update(dict.fromkeys(target.numbers, finished))
        elif kind is Parameter:
            set_parameter_state(target, state)
        elif id(target) in self.allocated:
            classes.set_state(target, state)
        elif self._is_allowed(kind):
            _set_state(target, state)
        else:
            raise UnpicklingError(f"the checkpoint sets the state of a {kind.__name__}, which is not allowed")

    def _persistent(self, _):
        reference = self.stack.pop()
        if self.whole and type(reference) is tuple and len(reference) == 4 and type(reference[0]) is str:
            self.stack.append(reference[1])  # (…, class, file, source) of the format before 1.6; find() has checked it
            return
        kind = reference[0] if type(reference) is tuple and reference else None
        if type(kind) not in (str, bytes) or kind not in ("storage", b"storage"):
            raise UnpicklingError("the checkpoint is damaged: a reference to something that is no storage")
        self.stack.append(self.persistent_load(reference))


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
        what = value.name if isinstance(value, Name) else f"a bare {type(value).__name__.lower()}"
        raise UnpicklingError(f"the checkpoint has {what} as a value: only tensors, containers and numbers are read")


_STANDS_FOR = frozenset((Name, Unfinished, Storage))


def _shown(function):
    if isinstance(function, Name):
        return function.name
    if isinstance(function, type):
        return f"{function.__module__}.{function.__qualname__}"
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
