"""Classes that a user allows in checkpoints, by PyTorch's names."""

import builtins

BLOCKED_MODULES = frozenset("builtins sys os posix nt subprocess shutil importlib runpy pty ctypes".split())
_ALLOWED = {}  # "module.name" -> class


def _name(value):
    """Return the full name by which a class or function is written: PyTorch's, of what minigrad has of it."""
    if not callable(value):
        raise TypeError(f"add_safe_globals expects classes and functions, but got {value!r}")
    if getattr(value, "__module__", "").startswith("minigrad."):
        from minigrad.serialization.classes import reference  # at first use: it imports optim

        return ".".join(reference(value))
    return f"{value.__module__}.{value.__qualname__}"


def _named(entries):
    """Return {full name: class} of the classes, or (class, name) pairs, of a list."""
    named = {}
    for entry in entries:
        if isinstance(entry, tuple):
            if len(entry) != 2:
                raise ValueError(
                    "Expected tuple of length 2 (global, str of callable full path), but got tuple of length: "
                    f"{len(entry)}"
                )
            value, name = entry
            if not isinstance(name, str):
                raise TypeError(f"Expected second item in tuple to be str of callable full path, but got: {type(name)}")
        else:
            value = entry
            name = _name(value)
        blocked = name.partition(".")[0] in BLOCKED_MODULES or getattr(value, "__module__", None) in BLOCKED_MODULES
        if blocked and _value_type(name) is not value:
            raise ValueError(f"{name} can't be allowed in checkpoints: it could run anything")
        named[name] = value
    return named


def _value_type(name):
    """Return the type of values of Python, such as list or frozenset, that a full name stands for, or None."""
    from minigrad.serialization import objects  # at first use: it imports nn

    kind = getattr(builtins, name.removeprefix("builtins."), None)
    return kind if name in objects.GLOBALS and kind is not type else None


def add_safe_globals(safe_globals):
    """Allow classes in the files that ``load`` reads and ``save`` writes: a file may call them and set their state.

    Argument: safe_globals (list of classes, or of pairs (class, full name in the file)).
    Raises ValueError for what could run anything, such as a function of ``os``.
    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html#torch.serialization.add_safe_globals

    >>> import argparse, io
    >>> import minigrad as mg
    >>> file = io.BytesIO()
    >>> with mg.serialization.safe_globals([argparse.Namespace]):
    ...     mg.save(argparse.Namespace(lr=0.1), file)
    ...     _ = file.seek(0)
    ...     print(mg.load(file))
    Namespace(lr=0.1)
    """
    _ALLOWED.update(_named(safe_globals))


def get_safe_globals():
    """Return the classes that the user has allowed.

    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html#torch.serialization.get_safe_globals

    >>> import minigrad as mg
    >>> mg.serialization.get_safe_globals()
    []
    """
    return list(_ALLOWED.values())


def clear_safe_globals():
    """Forget the classes that the user has allowed.

    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html#torch.serialization.clear_safe_globals

    >>> import minigrad as mg
    >>> mg.serialization.clear_safe_globals()
    """
    _ALLOWED.clear()


class safe_globals:  # noqa: N801 - PyTorch's name
    """Allow classes in checkpoints within a ``with`` block; see add_safe_globals.

    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html#torch.serialization.safe_globals

    >>> import argparse
    >>> import minigrad as mg
    >>> with mg.serialization.safe_globals([argparse.Namespace]):
    ...     mg.serialization.get_safe_globals()
    [<class 'argparse.Namespace'>]
    """

    def __init__(self, safe_globals):
        self._entries = _named(safe_globals)
        self._before = None

    def __enter__(self):
        self._before = dict(_ALLOWED)
        _ALLOWED.update(self._entries)

    def __exit__(self, *exception):
        _ALLOWED.clear()
        _ALLOWED.update(self._before)


def allowed(name):
    """Return the class the user has allowed under a full name, or NumPy 2's where that moved it, or None."""
    return _ALLOWED.get(name) or _ALLOWED.get(name.replace("numpy.core.", "numpy._core."))


def name_of(cls):
    """Return the full name under which the user has allowed a class or function, or None."""
    for name, value in _ALLOWED.items():
        if value is cls:
            return name
    return None
