"""PyTorch's tensor types of one dtype and device: FloatTensor, LongTensor, … and their cuda variants."""

from minigrad.backend import as_dtype
from minigrad.ops.convert import LEGACY_TYPES
from minigrad.tensor import Tensor


class _LegacyType(type):
    """Class of the legacy types: isinstance looks at dtype and device, calling one makes a plain Tensor."""

    def __instancecheck__(cls, instance):
        return (
            isinstance(instance, Tensor) and instance.dtype is cls.legacy_type and instance.is_cuda is cls.on_cuda
        )  # fmt: skip

    def __call__(cls, *args, device=None):
        """Return a tensor of a size (uninitialised), of nested data, or empty, of this type."""
        home = "cuda" if cls.on_cuda else "cpu"
        if device is not None and str(device).partition(":")[0] != home:
            raise RuntimeError(f"legacy constructor expects device type: {home} but device type: {device} was passed")
        return Tensor(*args, dtype=cls.legacy_type, device=device or home)

    def __repr__(cls):
        return f"<class '{cls.__module__}.{cls.__name__}'>"

    @property
    def dtype(cls):
        """The dtype of tensors of this type."""
        return cls.legacy_type

    @property
    def is_cuda(cls):
        """Whether tensors of this type live on a GPU."""
        return cls.on_cuda


_DOC = """Type of tensors of {0} on the CPU; calling it makes one of a size (uninitialised) or of nested data.

    RuntimeError for a device of another kind. Source: https://docs.pytorch.org/docs/stable/tensors.html

    >>> import minigrad as mg
    >>> mg.{1}(2, 3).shape, mg.{1}([0, 1]).dtype
    (minigrad.Size([2, 3]), minigrad.{0})
    """
_CUDA_DOC = """Type of tensors of {0} on a GPU; calling it makes one of a size (uninitialised) or of nested data.

    RuntimeError for a device of another kind. Source: https://docs.pytorch.org/docs/stable/tensors.html

    >>> import minigrad as mg
    >>> isinstance(mg.ones(2, device="cpu"), mg.cuda.{1})
    False
    """


def legacy_types(module, on_cuda):
    """Return {name: legacy type} for one device."""
    return {
        name: _LegacyType(
            name,
            (),
            {
                "legacy_type": as_dtype(numpy_name),
                "on_cuda": on_cuda,
                "__doc__": (_CUDA_DOC if on_cuda else _DOC).format(numpy_name, name),
                "__module__": module,
                "__slots__": (),
            },
        )
        for name, numpy_name in LEGACY_TYPES.items()
    }
