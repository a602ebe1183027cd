"""Saving and loading: PyTorch's file format, written and read without PyTorch; safetensors."""

import importlib

from minigrad.absent import explain
from minigrad.serialization.contents import get_unsafe_globals_in_checkpoint
from minigrad.serialization.files import load, save
from minigrad.serialization.options import (
    LoadEndianness,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
    skip_data,
)
from minigrad.serialization.safe_globals import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from minigrad.serialization.storages import default_restore_location, location_tag, register_package

__all__ = [
    "LoadEndianness", "add_safe_globals", "clear_safe_globals", "default_restore_location", "get_crc32_options",
    "get_default_load_endianness", "get_default_mmap_options", "get_safe_globals", "get_unsafe_globals_in_checkpoint",
    "load", "location_tag", "register_package", "safe_globals", "save", "set_crc32_options",
    "set_default_load_endianness", "set_default_mmap_options", "skip_data",
]  # fmt: skip

_ABSENT = {
    "StorageType": "the dtype of a storage is its dtype_name",
    "SourceChangeWarning": "no source code is saved; use Warning",
    "check_module_version_greater_or_equal": "compare version tuples",
    "mkdtemp": "use tempfile.TemporaryDirectory",
    "normalize_storage_type": "the dtype of a storage is its dtype_name",
    "storage_to_tensor_type": "the dtype of a storage is its dtype_name",
    "validate_cuda_device": "use minigrad.device and minigrad.cuda.device_count",
    "validate_hpu_device": "minigrad runs on cpu and cuda",
}


def __getattr__(name):
    if name == "safetensors":
        return importlib.import_module("minigrad.serialization.safetensors")
    if name not in _ABSENT:
        raise AttributeError(explain(name, __name__))
    raise AttributeError(f"module 'minigrad.serialization' has no attribute {name!r}: {_ABSENT[name]}.")
