"""What a checkpoint names, found without making anything of it."""

import io
import os
import pickletools
from pickle import UnpicklingError

from minigrad.serialization import archive
from minigrad.serialization.allowed import find, python_3
from minigrad.serialization.limited import Limited


def get_unsafe_globals_in_checkpoint(f):
    """Return the full names of the functions and classes of a checkpoint that ``load`` refuses.

    Argument: f (path or file object). Raises ValueError for what is no zip file of save, UnpicklingError for damage.
    Source: https://docs.pytorch.org/docs/stable/notes/serialization.html

    >>> import io
    >>> import minigrad as mg
    >>> file = io.BytesIO()
    >>> mg.save(mg.ones(2), file)
    >>> _ = file.seek(0)
    >>> mg.serialization.get_unsafe_globals_in_checkpoint(file)
    []
    """
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return get_unsafe_globals_in_checkpoint(file)
    start = f.tell()
    begins = f.read(4)
    if begins != b"PK\3\4":
        raise ValueError("Expected input to be a checkpoint returned by save")
    reader = archive.Reader(f, f.seek(0, io.SEEK_END))
    if "constants.pkl" in reader:
        raise ValueError("Expected input to be a checkpoint returned by save but got a torchscript checkpoint")
    data = reader.read("data.pkl")
    f.seek(start)
    return sorted(name for name in _named(data) if not _is_allowed(name))


def _named(data):
    """Return the set of all full names in a pickle."""
    found, recent, memo = set(), [], {}
    try:
        for opcode, argument, _ in pickletools.genops(Limited(io.BytesIO(data), len(data))):
            name = opcode.name
            if name in ("GLOBAL", "INST"):
                found.add(".".join(python_3(*argument.split(" ", 1))))
            elif name == "STACK_GLOBAL" and len(recent) > 1:
                found.add(f"{recent[-2]}.{recent[-1]}")
            elif name == "MEMOIZE":
                memo[len(memo)] = recent[-1] if recent else None
            elif name.endswith("PUT"):
                memo[int(argument)] = recent[-1] if recent else None
            else:
                recent.append(memo.get(int(argument)) if name.endswith("GET") else argument)
    except (ValueError, IndexError, TypeError, EOFError) as error:
        raise UnpicklingError(f"the checkpoint is damaged: {error}") from error
    return found


def _is_allowed(name):
    try:
        module, _, last = name.rpartition(".")
        find(module, last)
    except UnpicklingError:
        return False
    return True
