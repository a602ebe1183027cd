"""Padding layers: constant, zero, reflection, replication, circular."""

from minigrad.nn.conv import repeated
from minigrad.nn.module import Module
from minigrad.ops.pad import pad

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    """What all padding layers share; ``spatial`` is the number of padded dimensions."""

    __constants__ = ["padding"]
    spatial = None
    mode = "constant"

    def __init__(self, padding):
        super().__init__()
        self.padding = repeated(padding, 2 * self.spatial)

    def forward(self, input):
        """Return the padded input."""
        return pad(input, self.padding, self.mode)

    def extra_repr(self):
        """Return the settings."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    __constants__ = ["padding", "value"]

    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        """Return the padded input."""
        return pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        """Return the settings."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        """Return the settings."""
        return f"{self.padding}"


class _ReflectionPad(_Pad):
    mode = "reflect"


class _ReplicationPad(_Pad):
    mode = "replicate"


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input):
        """Return the padded input; ValueError for one of another number of dimensions."""
        n = self.spatial
        if input.ndim not in (n + 1, n + 2):
            raise ValueError(f"expected {n + 1}D or {n + 2}D input (got {input.ndim}D input)")
        return super().forward(input)


class ConstantPad1d(_ConstantPad):
    """Surrounds the last dimension of its input with a constant.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …), value (number).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html

    >>> import minigrad as mg
    >>> mg.nn.ConstantPad1d(1, 1.5)(mg.ones(1, 2, 4)).shape
    minigrad.Size([1, 2, 6])
    """

    spatial = 1


class ConstantPad2d(_ConstantPad):
    """Surrounds the last 2 dimensions of its input with a constant.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …), value (number).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html

    >>> import minigrad as mg
    >>> mg.nn.ConstantPad2d(1, 1.5)(mg.ones(1, 2, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6])
    """

    spatial = 2


class ConstantPad3d(_ConstantPad):
    """Surrounds the last 3 dimensions of its input with a constant.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …), value (number).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad3d.html

    >>> import minigrad as mg
    >>> mg.nn.ConstantPad3d(1, 1.5)(mg.ones(1, 2, 4, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6, 6])
    """

    spatial = 3


class ZeroPad1d(_ZeroPad):
    """Surrounds the last dimension of its input with zeros.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html

    >>> import minigrad as mg
    >>> mg.nn.ZeroPad1d(1)(mg.ones(1, 2, 4)).shape
    minigrad.Size([1, 2, 6])
    """

    spatial = 1


class ZeroPad2d(_ZeroPad):
    """Surrounds the last 2 dimensions of its input with zeros.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html

    >>> import minigrad as mg
    >>> mg.nn.ZeroPad2d(1)(mg.ones(1, 2, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6])
    """

    spatial = 2


class ZeroPad3d(_ZeroPad):
    """Surrounds the last 3 dimensions of its input with zeros.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad3d.html

    >>> import minigrad as mg
    >>> mg.nn.ZeroPad3d(1)(mg.ones(1, 2, 4, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6, 6])
    """

    spatial = 3


class ReflectionPad1d(_ReflectionPad):
    """Surrounds the last dimension of its input with its reflection, the border not repeated.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html

    >>> import minigrad as mg
    >>> mg.nn.ReflectionPad1d(1)(mg.ones(1, 2, 4)).shape
    minigrad.Size([1, 2, 6])
    """

    spatial = 1


class ReflectionPad2d(_ReflectionPad):
    """Surrounds the last 2 dimensions of its input with its reflection, the border not repeated.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html

    >>> import minigrad as mg
    >>> mg.nn.ReflectionPad2d(1)(mg.ones(1, 2, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6])
    """

    spatial = 2


class ReflectionPad3d(_ReflectionPad):
    """Surrounds the last 3 dimensions of its input with its reflection, the border not repeated.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad3d.html

    >>> import minigrad as mg
    >>> mg.nn.ReflectionPad3d(1)(mg.ones(1, 2, 4, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6, 6])
    """

    spatial = 3


class ReplicationPad1d(_ReplicationPad):
    """Surrounds the last dimension of its input with the values of its border.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html

    >>> import minigrad as mg
    >>> mg.nn.ReplicationPad1d(1)(mg.ones(1, 2, 4)).shape
    minigrad.Size([1, 2, 6])
    """

    spatial = 1


class ReplicationPad2d(_ReplicationPad):
    """Surrounds the last 2 dimensions of its input with the values of its border.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html

    >>> import minigrad as mg
    >>> mg.nn.ReplicationPad2d(1)(mg.ones(1, 2, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6])
    """

    spatial = 2


class ReplicationPad3d(_ReplicationPad):
    """Surrounds the last 3 dimensions of its input with the values of its border.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad3d.html

    >>> import minigrad as mg
    >>> mg.nn.ReplicationPad3d(1)(mg.ones(1, 2, 4, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6, 6])
    """

    spatial = 3


class CircularPad1d(_CircularPad):
    """Surrounds the last dimension of its input with itself, around the circle.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html

    >>> import minigrad as mg
    >>> mg.nn.CircularPad1d(1)(mg.ones(1, 2, 4)).shape
    minigrad.Size([1, 2, 6])
    """

    spatial = 1


class CircularPad2d(_CircularPad):
    """Surrounds the last 2 dimensions of its input with itself, around the circle.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html

    >>> import minigrad as mg
    >>> mg.nn.CircularPad2d(1)(mg.ones(1, 2, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6])
    """

    spatial = 2


class CircularPad3d(_CircularPad):
    """Surrounds the last 3 dimensions of its input with itself, around the circle.

    Arguments: padding (int, or (before, after) of the last dimension, then of the one before, …).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad3d.html

    >>> import minigrad as mg
    >>> mg.nn.CircularPad3d(1)(mg.ones(1, 2, 4, 4, 4)).shape
    minigrad.Size([1, 2, 6, 6, 6])
    """

    spatial = 3

# PyTorch's names of the base classes
_ConstantPadNd, _ReflectionPadNd, _ReplicationPadNd, _CircularPadNd = (
    _ConstantPad, _ReflectionPad, _ReplicationPad, _CircularPad,
)  # fmt: skip
