"""Tools around training: data loading and checkpointing."""

from minigrad.utils import data

__all__ = ["data"]
