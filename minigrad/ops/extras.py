"""Methods and functions that few programs use."""

import os

from minigrad.backend import as_dtype, default_float, np
from minigrad.ops.layout import check_layout
from minigrad.ops.memory import _each
from minigrad.ops.shape import expanded_shape
from minigrad.tensor import as_device, wrap


def map2_(self, x, y, callable):
    """Replace every element by callable(element, x's, y's), in place; slow, CPU only. Returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.map_.html

    >>> import minigrad as mg
    >>> mg.tensor([1.0, 2.0]).map2_(mg.ones(2), mg.tensor(10.0), lambda a, b, c: a + b * c)
    tensor([11., 12.])
    """
    for other in (x, y):
        expanded_shape(other.array.shape, self.array.shape, "map2_")
    others = [wrap(np.broadcast_to(other.array, self.array.shape)) for other in (x, y)]
    return _each(self, callable, others, "map2_")


def resize_as(self, tensor):
    """Return the tensor with the shape of another of as many elements.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.resize_as_.html

    >>> import minigrad as mg
    >>> mg.arange(4).resize_as(mg.ones(2, 2)).shape
    minigrad.Size([2, 2])
    """
    if self.array.size != tensor.array.size:
        raise RuntimeError(
            f"requested resize to {list(tensor.shape)}, but the given tensor has a size of {list(self.shape)}: "
            "resize_as can only change the shape of a given tensor, while preserving the number of elements."
        )
    return self.reshape(tensor.array.shape)


def module_load(self, other, assign=False):
    """Return what load_state_dict puts in a parameter's place: other's values in this tensor, or other with ``assign``.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.module_load.html

    >>> import minigrad as mg
    >>> mg.zeros(2).module_load(mg.ones(2))
    tensor([1., 1.])
    """
    return other.detach() if assign else self.detach().copy_(other)


def to_dense(self, dtype=None, *, masked_grad=None):
    """Return the tensor itself, in another dtype if asked: all tensors are dense here.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to_dense.html

    >>> import minigrad as mg
    >>> mg.ones(2).to_dense(mg.float64).dtype
    minigrad.float64
    """
    return self if dtype is None else self.to(dtype)


def dense_dim(self):
    """Return the number of dimensions: all are dense.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.dense_dim.html
    """
    return self.array.ndim


def sparse_dim(self):
    """Return 0: no dimension is sparse.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.sparse_dim.html
    """
    return 0


def const_data_ptr(self):
    """Return the address of the first element; see data_ptr()."""
    return self.data_ptr()


def is_distributed(input):
    """Return whether the tensor is spread over several processes: never."""
    return False


def from_file(
    filename, shared=None, size=0, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):
    """Return a CPU tensor of one dimension on the memory of a file.

    Arguments: filename, shared (True: writes reach the file, which is made or lengthened if need be; else they stay in
    memory), size (number of elements), dtype, layout, device, requires_grad. RuntimeError for a file that is too short.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.from_file.html

    >>> import minigrad as mg, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "numbers")
    ...     mg.from_file(name, shared=True, size=2).fill_(3.0)
    ...     mg.from_file(name, size=2).tolist()
    tensor([3., 3.])
    [3.0, 3.0]
    """
    check_layout(layout)
    if pin_memory or (device is not None and as_device(device).type != "cpu"):
        raise RuntimeError("from_file: only CPU tensors that are not pinned can lie on a file")
    chosen = default_float() if dtype is None else as_dtype(dtype).dtype
    needed, found = size * chosen.itemsize, os.path.getsize(filename) if os.path.exists(filename) else None
    if not shared and (found is None or found < needed):
        raise RuntimeError(f"from_file: {filename} holds {found or 0} bytes, but {size} elements take {needed}")
    if shared and (found or 0) < needed:
        with open(filename, "ab") as file:
            file.truncate(needed)
    if not size:
        return wrap(np.empty(0, chosen))
    array = np.memmap(filename, chosen, "r+" if shared else "c", shape=(size,)).view(np.ndarray)
    return wrap(array).requires_grad_(requires_grad)
