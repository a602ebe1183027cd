"""Saving and loading: PyTorch's file format, written and read without PyTorch."""

from minigrad.serialization.files import load, save
from minigrad.serialization.safe_globals import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save"]
