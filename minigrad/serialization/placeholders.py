"""What stands on the unpickler's stack for a name of the file, until something is made of it."""

from pickle import UnpicklingError


class Name:
    """A global that a file may name. What a call of it makes is ``make(unpickler, *arguments)``; None: not callable.

    ``new``: whether files make its objects by __new__.
    """

    __slots__ = ("make", "name", "new")

    def __init__(self, name, make=None, *, new=False):
        self.name = name
        self.make = make
        self.new = new

    def __repr__(self):
        return f"<the name {self.name} of a checkpoint>"


class Unfinished:
    """A NumPy dtype or the like in the making: ``finish(unpickler, state)`` makes the real one that takes its place."""

    __slots__ = ("finish", "numbers")

    def __init__(self, finish):
        self.finish = finish
        self.numbers = []  # in the memo


def expect(value, *kinds):
    if type(value) not in kinds:
        names = " or ".join(kind.__name__ for kind in kinds)
        raise UnpicklingError(f"the checkpoint is damaged: a {type(value).__name__} where a {names} belongs")
    return value
