"""The versions of PyTorch and torchvision whose names minigrad follows, for programs that look at them."""

from minigrad.version import __version__ as _own


class TorchVersion(str):
    """A version as text that compares by its numbers, with texts and with tuples of numbers.

    Source: https://github.com/pytorch/pytorch/blob/main/torch/torch_version.py

    >>> TorchVersion("2.13.0+cpu") > "2.9" and TorchVersion("2.13.0+cpu") >= (2, 13)
    True
    """

    @staticmethod
    def _release(version):
        """Return the leading numbers as a tuple, without zeros at its end: 2.13.0+cpu is (2, 13)."""
        if not isinstance(version, str):
            return _stripped([part for part in version if isinstance(part, int)])
        numbers = []
        for part in version.partition("+")[0].split("."):
            digits = part[: len(part) - len(part.lstrip("0123456789"))]
            if not digits:
                break
            numbers.append(int(digits))
            if digits != part:
                break
        return _stripped(numbers)

    def __lt__(self, other):
        return self._release(self) < self._release(other)

    def __le__(self, other):
        return self._release(self) <= self._release(other)

    def __gt__(self, other):
        return self._release(self) > self._release(other)

    def __ge__(self, other):
        return self._release(self) >= self._release(other)

    def __eq__(self, other):
        if isinstance(other, str) and "+" in other:
            return str.__eq__(self, other)
        return self._release(self) == self._release(other) if isinstance(other, (str, tuple, list)) else False

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


def _stripped(numbers):
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


# As PyTorch says 2.13.0+cpu: programs that ask for 1.x or 2.x find what they look for, and a reader sees what it is.
__version__ = TorchVersion(f"2.13.0+minigrad.{_own}")
TORCHVISION_VERSION = f"0.28.0+minigrad.{_own}"
