"""The types that annotations name: PyTorch's torch.types."""

import os
from typing import IO, Union

from minigrad.absent import getter
from minigrad.backend import device, dtype
from minigrad.tensor import Size, Tensor

Number = Union[int, float, bool]  # noqa: UP007 - as in PyTorch, isinstance takes get_args() of it
Device = Union[device, str, int, None]  # noqa: UP007
FileLike = Union[str, os.PathLike, IO[bytes]]  # noqa: UP007
__all__ = ["Device", "FileLike", "Number", "Size", "Tensor", "device", "dtype"]


__getattr__ = getter(__name__)
