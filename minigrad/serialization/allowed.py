"""The names that a file may always use, and what is made where it calls them: tensors, containers, numbers."""

import importlib
from collections import Counter, OrderedDict
from pickle import UnpicklingError

from minigrad.backend import DTYPES, device
from minigrad.ops.layout import sparse_coo, strided
from minigrad.serialization import classes, objects, rebuild, safe_globals
from minigrad.serialization.names import (
    DTYPE_NAMES,
    QUANTIZED_NAMES,
    REFUSED_DTYPES,
    REFUSED_STORAGES,
    STORAGE_DTYPES,
)
from minigrad.serialization.placeholders import Name, expect
from minigrad.tensor import Size


def _make_set(unpickler, items=()):
    return unpickler.set_of(items)


def _make_ordered_dict(unpickler, items=()):
    unpickler.charge(len(expect(items, list, tuple)))
    made = OrderedDict()
    unpickler.kept.append(made)
    for key, value in items:
        unpickler.check_key(key, id(made))
        made[key] = value
    return made


def _make_counter(unpickler, counts=None):
    made = Counter()
    if counts is not None:
        unpickler.charge(len(expect(counts, dict)))
        dict.update(made, counts)
    return made


def _make_complex(unpickler, real, imag):
    return complex(expect(real, float, int), expect(imag, float, int))


def _make_bytearray(unpickler, data=b"", encoding=None):
    if encoding is not None:
        data = _make_bytes(unpickler, data, encoding)
    unpickler.charge(len(expect(data, bytes)))
    return bytearray(data)


def _make_bytes(unpickler, text="", encoding="latin1"):
    unpickler.charge(len(expect(text, str)))
    if encoding not in ("latin1", "latin-1"):
        raise UnpicklingError(f"the checkpoint has bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _make_size(unpickler, lengths=()):
    unpickler.charge(len(expect(lengths, tuple, list)))
    return Size(expect(length, int) for length in lengths)


def _make_device(unpickler, kind, index=None):
    try:
        return device(expect(kind, str), index)
    except RuntimeError as error:
        raise UnpicklingError(f"the checkpoint has a device that minigrad does not have: {error}") from None


def _make_layout(unpickler, name):
    found = {"torch.strided": strided, "torch.sparse_coo": sparse_coo}.get(expect(name, str))
    if found is None:
        raise UnpicklingError(f"the checkpoint has the layout {name}; minigrad has strided and sparse_coo tensors only")
    return found


_CALLS = {
    "builtins.set": _make_set,
    "builtins.complex": _make_complex,
    "builtins.bytearray": _make_bytearray,
    "_codecs.encode": _make_bytes,
    "collections.OrderedDict": _make_ordered_dict,
    "collections.Counter": _make_counter,
    "torch.Size": _make_size,
    "torch.device": _make_device,
    "torch.serialization._get_layout": _make_layout,
    "torch._utils._rebuild_tensor": rebuild.rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild.rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild.rebuild_tensor_v3,
    "torch._utils._rebuild_qtensor": rebuild.rebuild_qtensor,
    "torch._utils._rebuild_parameter": rebuild.rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild.rebuild_parameter_with_state,
    "torch.nn.parameter.Parameter": rebuild.make_parameter,
    "torch._tensor._rebuild_from_type_v2": rebuild.rebuild_from_type,
}
_MERE_NAMES = (
    "torch.Tensor", "torch.storage.UntypedStorage", *(f"torch.{name}" for name in STORAGE_DTYPES),
    *(f"torch.cuda.{name}" for name in STORAGE_DTYPES),
)  # fmt: skip
_REBUILDS_REFUSED = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the device 'meta', without data",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a subclass",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of an unknown device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of an unknown device",
    "torch.nn.parameter.UninitializedParameter": "a parameter of a lazy module, without a shape",
    "torch.nn.parameter.UninitializedBuffer": "a buffer of a lazy module, without a shape",
}
# Full name -> what the unpickler puts on its stack for it.
GLOBALS = {name: Name(name) for name in _MERE_NAMES}
GLOBALS.update((name, Name(name, make, new=make is rebuild.make_parameter)) for name, make in _CALLS.items())
GLOBALS.update((f"torch.{name}", DTYPES[name]) for name in DTYPE_NAMES if name in DTYPES)

# With weights_only=False only: getattr is how PyTorch writes torch.tanh and the like.
_MORE = {
    "builtins.getattr": Name("builtins.getattr", classes.make_attribute),
    classes.FUNCTIONS_CLASS: Name(classes.FUNCTIONS_CLASS),
}


_PYTHON_2 = {"unicode": "str", "long": "int", "xrange": "range"}


def python_3(module, name):
    """Return the (module, name) of a global that a file may have by Python 2's names."""
    module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
    return module, _PYTHON_2.get(name, name) if module == "builtins" else name


def find(module, name, whole=False):
    """Return what stands for a global of a file; UnpicklingError for what is not allowed, by its name.

    ``whole``: whether the classes of whole objects are allowed too (weights_only=False).
    """
    module, name = python_3(module, name)
    full = f"{module}.{name}"
    found = GLOBALS.get(full)
    if found is not None:
        return found
    if module == "torch" and name in QUANTIZED_NAMES:
        return getattr(importlib.import_module("minigrad.quantized"), name)
    value = safe_globals.allowed(full)
    if (whole or value is not None) and full in objects.GLOBALS:
        return objects.GLOBALS[full]
    if value is not None:
        return value
    if whole:
        value = _MORE.get(full) or classes.find_class(module, name)
        if value is not None:
            return value
    kind = full.rpartition(".")[2]
    if full.startswith("torch.") and (kind in REFUSED_DTYPES or kind in REFUSED_STORAGES):
        raise UnpicklingError(f"the checkpoint has data of the type {full}, which minigrad does not have")
    if full in _REBUILDS_REFUSED:
        raise UnpicklingError(f"the checkpoint has {_REBUILDS_REFUSED[full]}, which minigrad does not have ({full})")
    advice = ""
    if module.partition(".")[0] not in safe_globals.BLOCKED_MODULES:
        advice = (
            f"Please use `minigrad.serialization.add_safe_globals([{kind}])` or the `safe_globals([{kind}])` context "
            "manager to allowlist this global if you trust this class/function"
        )
        if not whole:
            advice += "; weights_only=False reads whole modules whose classes are imported"
        advice += "; or "
    advice += "save model.state_dict() instead of whole objects and load that"
    raise UnpicklingError(
        f"Weights only load failed. Unsupported global: {full} was not an allowed global"
        f"{'' if whole else ' by default'}. minigrad.load runs nothing that a file names, whatever weights_only is. "
        f"{advice}"
    )
