"""What stands on the unpickler's stack for a name of the file, until something is made of it."""

from pickle import UnpicklingError


class Name:
    """A global that a file may name. What a call of it makes is ``make(unpickler, *arguments)``; None: not callable."""

    __slots__ = ("make", "name")

    def __init__(self, name, make=None):
        self.name = name
        self.make = make

    def __repr__(self):
        return f"<the name {self.name} of a checkpoint>"


class Unfinished:
    """A NumPy dtype, or array (dtype None), in the making: its state comes later and puts the real one in its place."""

    __slots__ = ("dtype", "numbers")

    def __init__(self, dtype=None):
        self.dtype = dtype
        self.numbers = []  # in the memo


def expect(value, *kinds):
    if type(value) not in kinds:
        names = " or ".join(kind.__name__ for kind in kinds)
        raise UnpicklingError(f"the checkpoint is damaged: a {type(value).__name__} where a {names} belongs")
    return value
