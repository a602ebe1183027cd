"""Memory: its order, what PyTorch calls storage, and functions of a tensor's single elements."""

from minigrad.absent import getter
from minigrad.backend import array_device, dtype, memory_root, np, xp
from minigrad.ops.arguments import ints_of
from minigrad.ops.creation import empty
from minigrad.ops.shape import expanded_shape, inverse_permutation
from minigrad.ops.strided import as_strided
from minigrad.registry import function
from minigrad.tensor import Tensor, memory_start, wrap
from minigrad.variable import MODE, is_tracked


# ---------------------------------------------------------------------- memory in other orders
@function(method=True)
def as_strided_(self, size, stride, storage_offset=None):
    """Change the tensor's size, strides and offset in its memory, in place; returns it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.as_strided.html

    >>> import minigrad as mg
    >>> mg.arange(4).as_strided_((2, 2), (1, 2))
    tensor([[0, 2],
            [1, 3]])
    """
    if is_tracked(self) and MODE.grad:
        raise RuntimeError("as_strided_: a tracked tensor's strides can't be changed in place; use as_strided()")
    self.array = as_strided(self, size, stride, storage_offset).array
    return self


@function()
def empty_permuted(
    size, physical_layout, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Return an uninitialised tensor whose dimensions lie in memory in the order physical_layout, slowest first.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.empty_permuted.html

    >>> import minigrad as mg
    >>> mg.empty_permuted((2, 3), (1, 0)).stride()
    (1, 2)
    """
    order = ints_of((tuple(physical_layout),), "empty_permuted()")
    if len(order) != len(size):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = "
            f"{len(size)} "
            f"is not equal to len(physical_layout) = {len(order)}"
        )
    if sorted(order) != list(range(len(order))):
        raise RuntimeError(f"Dimension out of range or duplicate dim not allowed: {list(order)}")
    memory = empty([size[dim] for dim in order], dtype=dtype, layout=layout, device=device, pin_memory=pin_memory)
    result = wrap(memory.array.transpose(inverse_permutation(order)))
    return result.requires_grad_() if requires_grad else result


@function()
def unravel_index(indices, shape):
    """Return the coordinates, one tensor a dimension, of positions in a flattened tensor of the given shape.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.unravel_index.html

    >>> import minigrad as mg
    >>> mg.unravel_index(mg.tensor([5]), (2, 3))
    (tensor([1]), tensor([2]))
    """
    if not isinstance(indices, Tensor) or indices.array.dtype.kind not in "iu":
        raise ValueError(f"expected 'indices' to be integer dtype, but got {getattr(indices, 'dtype', type(indices))}")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(not isinstance(length, int) for length in shape):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {shape}")
    if any(length < 0 for length in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {shape}")
    coordinates, rest = [], indices.array.astype("int64")
    for length in reversed(shape):
        coordinates.append(wrap(xp(rest).asarray(rest % length)))
        rest = rest // length
    return tuple(reversed(coordinates))


@function(method=True)
def nonzero_static(input, *, size, fill_value=-1):
    """Return the first ``size`` rows of nonzero(); missing ones are filled with fill_value.

    >>> import minigrad as mg
    >>> mg.nonzero_static(mg.tensor([0, 1, 2]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    if size < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be an non-negative integer, but got {size}")
    array = input.array
    found = xp(array).argwhere(array)[:size]
    out = xp(array).full((size, array.ndim), fill_value, "int64")
    out[: found.shape[0]] = found
    return wrap(out)


# ---------------------------------------------------------------------- storage
class UntypedStorage:
    """The whole memory a tensor looks at, as bytes: what ``tensor.untyped_storage()`` returns.

    ``UntypedStorage(4)`` is memory of so many bytes, ``UntypedStorage([1, 2])`` of these bytes.

    >>> import minigrad as mg
    >>> mg.UntypedStorage([1, 2]).tolist()
    [1, 2]
    """

    _bytes = True

    def __init__(self, data=0):
        if isinstance(data, int):
            data = np.empty(data, np.uint8)
        elif not hasattr(data, "dtype"):
            if isinstance(data, str) or not all(isinstance(value, int) for value in data):
                raise RuntimeError(f"UntypedStorage() takes a number of bytes or a sequence of ints, but got {data!r}")
            data = np.array(data, np.uint8)
        self._root = memory_root(data)

    def _flat(self):
        flat = self._root.reshape(-1)
        return flat.view("uint8") if self._bytes else flat

    def data_ptr(self):
        """Return the address of the memory."""
        return memory_start(self._root)

    def nbytes(self):
        """Return the size of the memory in bytes."""
        return self._root.nbytes

    def size(self):
        """Return the number of elements."""
        return self._root.nbytes if self._bytes else self._root.size

    __len__ = size

    @property
    def device(self):
        """The device the memory is on."""
        return array_device(self._root)

    def __getitem__(self, index):
        if isinstance(index, int) and not -self.size() <= index < self.size():
            raise IndexError(f"index {index} out of range for storage of size {self.size()}")
        found = self._flat()[index]
        return found.item() if np.ndim(found) == 0 else found.tolist()

    def element_size(self):
        """Return the size of an element in bytes."""
        return 1 if self._bytes else self._root.itemsize

    def clone(self):
        """Return a storage with a copy of the memory."""
        return type(self)(self._root.copy())

    def tolist(self):
        """Return the elements as Python numbers."""
        return self._flat().tolist()

    def __iter__(self):
        return iter(self.tolist())

    def __repr__(self):
        values = "".join(f" {value}\n" for value in self.tolist())
        return f"{values}[{dtype.package}.{type(self).__name__}(device={self.device}) of size {self.size()}]"


class TypedStorage(UntypedStorage):
    """The whole memory a tensor looks at, as elements of its dtype: what ``tensor.storage()`` returns."""

    _bytes = False

    @property
    def dtype(self):
        """The type of the elements."""
        return wrap(self._root).dtype

    def untyped(self):
        """Return the same memory as bytes."""
        return UntypedStorage(self._root)


@function(method=True, public=False)
def storage(self):
    """Return the memory the tensor looks at, as elements of its dtype.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.storage.html

    >>> import minigrad as mg
    >>> len(mg.ones(3).storage())
    3
    """
    return TypedStorage(self.array)


@function(method=True, public=False)
def untyped_storage(self):
    """Return the memory the tensor looks at, as bytes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.untyped_storage.html

    >>> import minigrad as mg
    >>> mg.ones(3).untyped_storage().nbytes()
    12
    """
    return UntypedStorage(self.array)


@function()
def is_storage(obj):
    """Return whether an object is a storage.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.is_storage.html

    >>> import minigrad as mg
    >>> mg.is_storage(mg.ones(3).storage())
    True
    """
    return isinstance(obj, UntypedStorage)


# ---------------------------------------------------------------------- an element at a time
def _each(tensor, function, others, name):
    """Write function of the elements of CPU tensors into the first."""
    if tensor.is_cuda:
        raise TypeError(f"{name} is only implemented on CPU tensors")
    if tensor.requires_grad:
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead.")
    values = [
        function(*items) for items in zip(*[t.array.reshape(-1).tolist() for t in (tensor, *others)], strict=True)
    ]
    if any(isinstance(value, str) for value in values):
        raise TypeError(f"{name}(): the function must return numbers, not str")
    return tensor.copy_(wrap(np.array(values, dtype=tensor.array.dtype).reshape(tensor.array.shape)))


@function(method=True, public=False)
def apply_(self, callable):
    """Replace every element by callable(element), in place; slow, CPU only. Returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.apply_.html

    >>> import minigrad as mg
    >>> mg.tensor([1.0, 2.0]).apply_(lambda value: value * 10)
    tensor([10., 20.])
    """
    return _each(self, callable, (), "apply_")


@function(method=True, public=False)
def map_(self, tensor, callable):
    """Replace every element by callable(element, the other tensor's), in place; slow, CPU only. Returns the tensor.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.map_.html

    >>> import minigrad as mg
    >>> mg.tensor([1.0, 2.0]).map_(mg.tensor([10.0, 20.0]), lambda a, b: a + b)
    tensor([11., 22.])
    """
    expanded_shape(tensor.array.shape, self.array.shape, "map_")
    if tensor.array.dtype != self.array.dtype:
        raise TypeError(f"map_: expected {self.type()} for 'other' (got {tensor.type()})")
    other = wrap(np.broadcast_to(tensor.array, self.array.shape))
    return _each(self, callable, (other,), "map_")


@function()
def typename(obj):
    """Return the name of an object's type: of a tensor, the legacy one, such as ``torch.FloatTensor``.

    >>> import minigrad as mg
    >>> mg.typename(mg.ones(2))
    'torch.FloatTensor'
    """
    return obj.type() if isinstance(obj, Tensor) else f"{type(obj).__module__}.{type(obj).__qualname__}"


@function()
def detach(input):
    """Return a tensor on the same memory that the graph does not know.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html

    >>> import minigrad as mg
    >>> mg.detach(mg.ones(2, requires_grad=True))
    tensor([1., 1.])
    """
    return input.detach()


@function()
def detach_(input):
    """Take a tensor out of the graph that made it, in place; returns it. RuntimeError for a view.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach_.html

    >>> import minigrad as mg
    >>> mg.detach_(mg.ones(2, requires_grad=True) * 2)
    tensor([2., 2.])
    """
    return input.detach_()


@function()
def get_device(input):
    """Return the index of the tensor's GPU, -1 on the CPU.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.get_device.html

    >>> import minigrad as mg
    >>> mg.get_device(mg.ones(2, device="cpu"))
    -1
    """
    return input.get_device()


@function()
def is_signed(input):
    """Return whether the tensor's dtype has negative numbers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.is_signed.html

    >>> import minigrad as mg
    >>> mg.is_signed(mg.ones(2)), mg.is_signed(mg.ones(2, dtype=mg.uint8))
    (True, False)
    """
    return input.is_signed()


@function(method=True)
def is_inference(input):
    """Return whether the tensor was made in inference mode as one autograd can't use: never.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.is_inference.html

    >>> import minigrad as mg
    >>> mg.is_inference(mg.ones(2))
    False
    """
    return False


__getattr__ = getter(__name__)
