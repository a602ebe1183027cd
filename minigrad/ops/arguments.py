"""What shape functions take: ints, dimensions, tensors; with PyTorch's errors."""

from minigrad.tensor import Tensor, normalize_dim


# ---------------------------------------------------------------------- arguments
def ints_of(values, name="shape"):
    """Return ints given one by one or as one sequence, as a tuple; TypeError for anything else."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = values[0]
    return tuple([value if type(value) is int else as_int(value, name) for value in values])


def as_int(value, name):
    """Return an int, NumPy integer or integer tensor of one element as an int; TypeError for anything else."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected ints, but got {type(value).__name__}: {value!r}")
    return value.__index__()


def dims_of(dims, ndim):
    """Return dimensions as sorted non-negative ints without repetition; RuntimeError where one is repeated."""
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    found = [normalize_dim(dim, ndim) for dim in dims]
    for position, dim in enumerate(found):
        if dim in found[:position]:
            raise RuntimeError(f"dim {dim} appears multiple times in the list of dims")
    return found


def check_tensor(value, name, argument="input"):
    """TypeError unless value is a Tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' (position 1) must be Tensor, not {type(value).__name__}")


def check_tensors(tensors, name):
    """Return a sequence of Tensors as a tuple; TypeError if it is none."""
    if isinstance(tensors, Tensor) or not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"expected Tensor as element {position} in argument 0 of {name}(), but got {type(tensor).__name__}"
            )
    return tuple(tensors)
