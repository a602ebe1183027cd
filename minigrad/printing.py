"""How tensors are printed: PyTorch's format."""

from minigrad.backend import np, to_numpy


def tensor_string(tensor):
    """Return PyTorch's text of a tensor."""
    array = to_numpy(tensor.array)
    return f"tensor({np.array2string(array, separator=', ', prefix='tensor(')})"
