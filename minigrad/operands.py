"""What ops do alike: PyTorch's type promotion of their arguments, and errors that name op, shapes, dtypes, devices."""

from minigrad.backend import FLOAT_CODES, array_device, default_float, np, result_dtype
from minigrad.backend.placement import facts_of, on_different_devices
from minigrad.tensor import Tensor, data_array, wrap

# Ops and functions of the layers above that every op needs: ops/core.py and inplace.py set them.
CENTRAL = {"sum_to": None, "cast": None, "assign": None, "write_out": None}


def promoted(op, args):
    """Return the arguments brought to one dtype by PyTorch's rules; numbers stay numbers."""
    args = [operand(op, arg) for arg in args]
    if op.check is not None:
        op.check(*args)
    values = [arg.array if isinstance(arg, Tensor) else arg for arg in args if arg is not None]
    dtype = result_dtype(values)
    if op.promote == "float" and dtype.char not in FLOAT_CODES:
        dtype = default_float()
    cast = CENTRAL["cast"]
    return [cast(arg, dtype=dtype) if isinstance(arg, Tensor) and arg.array.dtype != dtype else arg for arg in args]


def is_operand(value):
    """Return whether an elementwise op takes this value: a Tensor, number or raw array."""
    return isinstance(value, (Tensor, bool, int, float, complex, np.generic, np.ndarray)) or hasattr(
        value, "__cuda_array_interface__"
    )


def operand(op, value):
    """Return an argument as a Tensor, Python number or None; TypeError for what can't be one."""
    if value is None or isinstance(value, Tensor):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (bool, int, float, complex)):
        return value if type(value) in (bool, int, float, complex) else float(value)
    if isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "__cuda_array_interface__"):
        return wrap(value) if not isinstance(value, np.generic) else wrap(data_array(value))
    raise TypeError(f"{op.name}(): expected a Tensor or a number, but got {type(value).__name__}")


def explained(op, arrays, error):
    """Return the error to raise for a failed forward: PyTorch's class, and the op, shapes, dtypes and devices."""
    if isinstance(error, MemoryError):
        from minigrad.backend import gpu

        if gpu.is_exhausted(error):  # of an allocator of the user's
            error = gpu.out_of_memory(error._size)
    tensors = [array for array in arrays if hasattr(array, "shape") and hasattr(array, "dtype")]
    if len({array_device(array) for array in tensors}) > 1:
        return on_different_devices(op.name, tensors)
    facts = facts_of(tensors)
    if op.broadcast and isinstance(error, ValueError) and "broadcast" in str(error):
        return RuntimeError(f"{op.name}: {_mismatch([array.shape for array in tensors])} Got {facts}.")
    if op.check is not None:
        op.check(*arrays)
    if op.promote is not None and isinstance(error, TypeError):  # a ufunc without a loop for these dtypes
        return NotImplementedError(f"\"{op.name}\" not implemented for {tensors[0].dtype}. Got {facts}.")
    error.add_note(f"in minigrad.{op.name}({facts})")
    return error


def _mismatch(shapes):
    """Return PyTorch's sentence on the first dimension from the right in which shapes can't be broadcast."""
    ndim = max(len(shape) for shape in shapes)
    padded = [(1,) * (ndim - len(shape)) + tuple(shape) for shape in shapes]
    for dim in reversed(range(ndim)):
        lengths = [shape[dim] for shape in padded if shape[dim] != 1]
        if len(set(lengths)) > 1:
            return (
                f"The size of tensor a ({lengths[0]}) must match the size of tensor b ({lengths[1]}) "
                f"at non-singleton dimension {dim}."
            )
    return "The shapes can't be broadcast together."
