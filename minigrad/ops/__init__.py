"""The table of operations, one family a file; importing it registers them all."""

from minigrad.ops import core

__all__ = ["core"]
