"""Tools around training: data loading and checkpointing."""

from minigrad.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
