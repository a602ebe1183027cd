"""Results with several named parts, such as the values and indices of max."""

import collections

from minigrad.backend import dtype


def named_result(name, fields):
    """Return a named tuple class that prints as PyTorch's: one part per line.

    >>> import minigrad as mg
    >>> mg.tensor([3, 1]).sort()
    minigrad.return_types.sort(
    values=tensor([1, 3]),
    indices=tensor([1, 0]))
    """
    made = collections.namedtuple(name, fields)

    def represent(self):
        parts = ",\n".join(f"{field}={part!r}" for field, part in zip(self._fields, self, strict=True))
        return f"{dtype.package}.return_types.{name}(\n{parts})"

    made.__repr__ = represent
    made.__reduce__ = lambda self: (_result_of, (name, fields, tuple(self)))
    _CLASSES[name, fields] = made
    return made


_CLASSES = {}


def classes():
    """Return the classes that were made."""
    return list(_CLASSES.values())


def _result_of(name, fields, parts):
    """Return the named tuple that was pickled."""
    return _CLASSES[name, fields](*parts)
