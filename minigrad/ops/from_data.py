"""Making tensors from data: Python numbers, arrays, buffers."""

import warnings

from minigrad.backend import as_dtype, from_numpy_dtype, get_default_device, np
from minigrad.ops.creation import copied, finish
from minigrad.registry import FUNCTIONS, function
from minigrad.tensor import Tensor, as_device, wrap


# ---------------------------------------------------------------------- from data
@function()
def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Return a new tensor with a copy of the data: a number, nested sequences, a NumPy array or a tensor.

    The dtype is the data's; Python floats get the default dtype, ints int64. Raises TypeError for data that are no
    numbers, ValueError for ragged nesting. Source: https://docs.pytorch.org/docs/stable/generated/torch.tensor.html

    >>> import minigrad as mg
    >>> mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than minigrad.tensor(sourceTensor).",
            stacklevel=2,
        )
        if device is None:
            device = data.device
    elif hasattr(data, "__dlpack__") and not isinstance(data, (np.ndarray, np.generic)):
        data = FUNCTIONS["from_dlpack"](data)
        device = data.device if device is None else device
    return finish(copied(data, dtype, device), requires_grad, pin_memory)


@function()
def as_tensor(data, dtype=None, device=None):
    """Return data as a tensor, sharing memory with a NumPy array or tensor wherever dtype and device allow it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.as_tensor.html

    >>> import minigrad as mg
    >>> mg.as_tensor([1.0, 2.0])
    tensor([1., 2.])
    """
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if isinstance(data, np.ndarray):
        shared = from_numpy(data)
        target = get_default_device() if device is None else as_device(device)
        return shared.to(device=target, dtype=dtype)
    if hasattr(data, "__dlpack__") and not isinstance(data, np.generic):
        return FUNCTIONS["from_dlpack"](data).to(device=device, dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


@function()
def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """Return obj as a tensor; copy=True always copies, copy=False raises ValueError where a copy is needed.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.asarray.html

    >>> import minigrad as mg
    >>> mg.asarray([1, 2])
    tensor([1, 2])
    """
    if copy:
        source = obj.detach() if isinstance(obj, Tensor) else obj
        device = obj.device if isinstance(obj, Tensor) and device is None else device
        return finish(copied(source, dtype, device), requires_grad)
    result = as_tensor(obj, dtype=dtype, device=device)
    source = obj
    if hasattr(obj, "__dlpack__") and not isinstance(obj, (Tensor, np.ndarray, np.generic)):
        source = FUNCTIONS["from_dlpack"](obj)
    shared = isinstance(source, (Tensor, np.ndarray)) and _same_memory(result, source)
    if copy is False and not shared:
        raise ValueError(
            f"asarray(): can't alias {type(obj).__name__} with dtype={dtype}, device={device} without a copy"
        )
    if isinstance(obj, Tensor) and result is obj and not requires_grad and obj.requires_grad:
        return obj.detach()
    return result.requires_grad_() if requires_grad else result


def _same_memory(result, source):
    array = source.array if isinstance(source, Tensor) else source
    return type(result.array) is type(array) and (not array.size or np.shares_memory(result.array, array))


@function()
def from_numpy(ndarray):
    """Return a tensor on the memory of a NumPy array: writing into one changes the other.

    TypeError for anything but an array of a supported dtype, ValueError for one with a negative stride or foreign byte
    order. Source: https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html

    >>> import minigrad as mg
    >>> from minigrad.backend import np
    >>> a = np.zeros(2, dtype="float32")
    >>> t = mg.from_numpy(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0.])
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if not ndarray.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
            "currently not supported."
        )
    from_numpy_dtype(ndarray.dtype)
    if any(step < 0 for step in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
            "currently supported. (You can probably work around this by making a copy of your array with array.copy().)"
        )
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable. Writing to the tensor will raise an error; copy the array first to "
            "get a writable tensor.",
            stacklevel=2,
        )
    result = wrap(ndarray if type(ndarray) is np.ndarray else ndarray.view(np.ndarray))
    result._aliased = True
    return result


@function()
def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """Return a 1-dimensional tensor on the memory of an object with Python's buffer interface.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.frombuffer.html

    >>> import minigrad as mg
    >>> mg.frombuffer(bytearray([1, 2]), dtype=mg.uint8)
    tensor([1, 2], dtype=minigrad.uint8)
    """
    chosen = as_dtype(dtype).dtype
    try:
        size = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({size} bytes) minus 1"
        )
    if count == 0 or count < -1:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if count == -1 and (size - offset) % chosen.itemsize:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a multiple of element size "
            f"({chosen.itemsize})"
        )
    if count > 0 and offset + count * chosen.itemsize > size:
        raise ValueError(
            f"requested buffer length ({count} * {chosen.itemsize} bytes) after offset ({offset} bytes) must not be "
            "greater "
            f"than actual buffer length ({size} bytes)"
        )
    array = np.frombuffer(buffer, chosen, count, offset)
    if not array.flags.writeable:
        warnings.warn("The given buffer is not writable. Writing to the tensor will raise an error.", stacklevel=2)
    result = finish(array, requires_grad)
    result._aliased = True
    return result
