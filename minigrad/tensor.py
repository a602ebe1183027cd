"""Tensor, level 1 of 3: an n-dimensional array on the CPU or a GPU that executes operations at once.

It knows nothing of gradients or of any operation: ``variable.py`` adds the graph, ``ops/`` adds the methods.
"""

import copy
import functools
import math

from minigrad.absent import ABSENT, AbsentAttribute
from minigrad.backend import (
    FLOAT_CODES,
    REAL_CODES,
    array_device,
    as_dtype,
    default_float,
    device,
    dtype,
    from_numpy_dtype,
    get_default_device,
    memory_root,
    move,
    np,
    place,
    promote_types,
    storable,
    to_numpy,
)
from minigrad.backend.devices import check_exists

_new = object.__new__


class Size(tuple):
    """Shape of a tensor: a tuple of ints that can count its elements.

    >>> import minigrad as mg
    >>> mg.zeros(2, 3).shape
    minigrad.Size([2, 3])
    """

    __slots__ = ()

    def numel(self):
        """Return the number of elements of a tensor of this shape."""
        count = 1
        for length in self:
            count *= length
        return count

    def __repr__(self):
        return f"{dtype.package}.Size({list(self)})"

    def __getitem__(self, index):
        item = tuple.__getitem__(self, index)
        return Size(item) if isinstance(index, slice) else item

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))

    def __mul__(self, count):
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__


class Tensor:
    """n-dimensional array of one dtype on one device.

    ``Tensor(2, 3)`` makes an uninitialised float tensor of that shape and ``Tensor([1, 2])`` a float tensor of that
    data, as in PyTorch's legacy constructor; ``minigrad.tensor(data)`` keeps the data's dtype and is what to use.
    Raises TypeError for arguments that are neither sizes nor data.
    Source: https://docs.pytorch.org/docs/stable/tensors.html

    >>> import minigrad as mg
    >>> mg.Tensor([1, 2])
    tensor([1., 2.])
    """

    # node, _grad and _requires_grad are set only on Variables; rare attributes live in __dict__ over these defaults.
    __slots__ = ("__dict__", "__weakref__", "_grad", "_requires_grad", "array", "node")
    __array_priority__ = 1000
    _base = None  # the tensor whose memory this one views
    _aliased = False  # whether other tensors or arrays may look at this memory
    _generation = 0  # how often the graph of this memory was rewritten in place
    _written = 0  # writes of which the memory does not know: it was another's, or nothing else looked at it
    _hooks = None
    _post_accumulate_hooks = None

    def __new__(cls, *args, device=None, dtype=None):
        target = get_default_device() if device is None else as_device(device)
        chosen = default_float() if dtype is None else as_dtype(dtype).numpy
        self = _new(cls)
        self.array = _legacy_array(args, chosen, target)
        if cls is not Tensor:  # a user's subclass takes part in graphs as it is: see variable.py
            self.node = self._grad = None
            self._requires_grad = False
        return self

    # ------------------------------------------------------------------ what it is
    @property
    def shape(self):
        """Size of the tensor."""
        return Size(self.array.shape)

    @property
    def dtype(self):
        """Type of the elements, such as ``minigrad.float32``."""
        return from_numpy_dtype(self.array.dtype)

    @property
    def device(self):
        """Device the tensor lives on."""
        return array_device(self.array)

    @property
    def ndim(self):
        """Number of dimensions."""
        return self.array.ndim

    @property
    def itemsize(self):
        """Bytes of one element."""
        return self.array.itemsize

    @property
    def nbytes(self):
        """Bytes of all elements."""
        return self.array.nbytes

    @property
    def is_cuda(self):
        """Whether the tensor lives on a GPU."""
        return not isinstance(self.array, np.ndarray)

    @property
    def is_leaf(self):
        """Whether no recorded operation made this tensor."""
        return True

    @property
    def grad_fn(self):
        """The graph node that made this tensor; None for a leaf."""
        return None

    @property
    def grad(self):
        """The gradient accumulated by backward; None before."""
        return None

    @property
    def requires_grad(self):
        """Whether operations on this tensor are recorded."""
        return False

    @property
    def retains_grad(self):
        """Whether a non-leaf keeps its gradient."""
        return False

    def size(self, dim=None):
        """Return the shape, or the length of one dimension."""
        shape = self.array.shape
        if dim is None:
            return Size(shape)
        return shape[normalize_dim(dim, len(shape))]

    def dim(self):
        """Return the number of dimensions."""
        return self.array.ndim

    ndimension = dim

    def numel(self):
        """Return the number of elements."""
        return self.array.size

    nelement = numel

    def element_size(self):
        """Return the bytes of one element."""
        return self.array.itemsize

    def stride(self, dim=None):
        """Return the steps, in elements, along all dimensions or one."""
        if self.array.size:
            steps = tuple(step // self.array.itemsize for step in self.array.strides)
        else:  # NumPy's are zero there, PyTorch's as if no length were below 1
            steps = tuple(math.prod(max(length, 1) for length in self.shape[axis + 1 :]) for axis in range(self.ndim))
        return steps if dim is None else steps[normalize_dim(dim, len(steps))]

    def storage_offset(self):
        """Return the elements between the start of the memory and this view."""
        start = memory_start(self.array)
        return (data_pointer(self.array) - start) // self.array.itemsize

    def data_ptr(self):
        """Return the address of the first element."""
        return data_pointer(self.array) if self.array.size else 0

    def is_contiguous(self):
        """Return whether the elements lie in row-major order without gaps."""
        return self.array.flags.c_contiguous

    def is_floating_point(self):
        """Return whether the elements are floating-point numbers."""
        return self.array.dtype.char in REAL_CODES

    def is_complex(self):
        """Return whether the elements are complex numbers."""
        return self.array.dtype.kind == "c"

    def is_signed(self):
        """Return whether the elements can be negative."""
        return self.array.dtype.kind in "ifcV"

    def get_device(self):
        """Return the index of the GPU the tensor lives on; -1 for the CPU."""
        return self.array.device.id if self.is_cuda else -1

    # ------------------------------------------------------------------ Python and NumPy values
    def item(self):
        """Return the single element as a Python number; RuntimeError when there is not exactly one."""
        if self.array.size != 1:
            raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
        return self.array.item()

    def tolist(self):
        """Return the values as nested lists of Python numbers."""
        return self.array.tolist()

    def numpy(self, *, force=False):
        """Return a NumPy array on the same memory.

        Raises RuntimeError for a tensor that requires grad and TypeError for one on a GPU, unless ``force``, and
        TypeError for bfloat16.
        """
        if self.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self.is_cuda and not force:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
                "memory first."
            )
        if self.array.dtype.char == "E":
            raise TypeError("Got unsupported ScalarType BFloat16: NumPy has no such type; convert with .float() first")
        self._mark_aliased()
        return to_numpy(self.array)

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"a {self.dtype} tensor can't be seen as {dtype} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __len__(self):
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __bool__(self):
        if self.array.size != 1:
            count = "no" if self.array.size == 0 else "more than one"
            raise RuntimeError(f"Boolean value of Tensor with {count} value is ambiguous")
        return bool(self.array.item())

    def __float__(self):
        return float(self._real_scalar("double"))

    def __int__(self):
        return int(self._real_scalar("int64_t"))

    def __complex__(self):
        return complex(self._scalar())

    def _scalar(self):
        """Return the single element for a conversion to a Python number; ValueError where there are more."""
        if self.array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.array.item()

    def _real_scalar(self, kind):
        """Return the single element without an imaginary part of zero; RuntimeError for any other."""
        value = self._scalar()
        if type(value) is complex:
            if value.imag:
                raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
            value = value.real
        return value

    def __index__(self):
        if self.array.dtype.kind not in "iub" or self.array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.array.item())

    def __contains__(self, element):
        if not isinstance(element, (Tensor, int, float, complex, np.generic)):
            raise RuntimeError(
                f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
            )
        return bool((self == element).any())

    def __delitem__(self, index):
        raise TypeError("Tensor does not support deleting items")

    __hash__ = object.__hash__

    def __format__(self, spec):
        if self.array.ndim == 0:
            return format(self.item(), spec)
        if spec:
            raise TypeError(
                f"unsupported format string passed to Tensor.__format__: {spec!r} for shape {self.array.shape}"
            )
        return repr(self)

    def __repr__(self):
        from minigrad.printing import tensor_string

        return tensor_string(self)

    def _repr_html_(self):
        from minigrad.html import tensor_html

        return tensor_html(self)

    # ------------------------------------------------------------------ copies
    def __copy__(self):
        clone = _new(Tensor)
        clone.array = self.array
        self._mark_aliased()
        clone._aliased = True
        clone.__dict__.update(self._user_attributes())
        return clone

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        clone = _new(Tensor)
        copy_memory_once(self, clone, memo)
        memo[id(self)] = clone
        clone.__dict__.update(copy.deepcopy(self._user_attributes(), memo))
        return clone

    def __reduce_ex__(self, protocol):
        return rebuild_tensor, (*in_memory_order(self.array), str(self.device), self._user_attributes())

    def _user_attributes(self):
        """Return the attributes a user put on the tensor, without the engine's own."""
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def _mark_aliased(self):
        """Remember that something else looks at this memory, so that in-place writes go through to it."""
        root = self if self._base is None else self._base
        if not root._aliased:
            root._aliased = True


def copy_memory_once(tensor, clone, memo):
    """Give a deep copy of a tensor its array; what shares memory before shares memory within one deepcopy."""
    array = tensor.array
    root = memory_root(array)
    if not (root.flags.c_contiguous or root.flags.f_contiguous):
        clone.array = array.copy("K")
        return
    # The memory itself is held as well, for its id names it.
    twin, first, _ = memo.setdefault(("memory", id(root)), (None, clone, root))
    if twin is None:
        twin = root.copy("K")
        memo["memory", id(root)] = (twin, clone, root)
    else:
        first._mark_aliased()
        clone._aliased = True
    if root is array:
        clone.array = twin
        return
    clone._aliased = True
    offset = data_pointer(array) - data_pointer(root)
    if isinstance(twin, np.ndarray):
        clone.array = np.ndarray(array.shape, array.dtype, twin, offset, array.strides)
    else:
        clone.array = place(type(twin)(array.shape, array.dtype, twin.data + offset, array.strides), twin)


def in_memory_order(array):
    """Return an array's elements as a C-contiguous NumPy array, and the order of its dimensions that makes it so."""
    order = sorted(range(array.ndim), key=lambda dim: -array.strides[dim])
    ordered = to_numpy(array).transpose(order)
    return (to_numpy(array), None) if array.flags.c_contiguous or not ordered.flags.c_contiguous else (ordered, order)


def in_order(array, order):
    """Return the array that in_memory_order was given."""
    return array if order is None else array.transpose([order.index(dim) for dim in range(len(order))])


def rebuild_tensor(array, order, device_name, attributes):
    """Return the tensor that was pickled."""
    tensor = wrap(move(in_order(array, order), device(device_name)))
    tensor.__dict__.update(attributes)
    return tensor


def wrap(array):
    """Return a Tensor on a raw array, without copying."""
    tensor = _new(Tensor)
    tensor.array = array
    return tensor


def as_device(value):
    """Return a device object for a device, its name or a GPU index; TypeError for anything else.

    RuntimeError for one of a type that minigrad has not.
    """
    chosen = value if isinstance(value, device) else device(value)
    return chosen if chosen.type == "cpu" else check_exists(chosen)


def normalize_dim(dim, ndim, *, wrap_scalar=True):
    """Return dim as a non-negative int; IndexError if it is out of range for ndim dimensions."""
    if not isinstance(dim, int):
        if isinstance(dim, (Tensor, np.integer)):
            dim = dim.__index__()
        else:
            raise TypeError(f"dim must be an int, but got {type(dim).__name__}: {dim!r}")
    count = ndim or int(wrap_scalar)
    if not -count <= dim < count:
        if count == 0:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        raise IndexError(f"Dimension out of range (expected to be in range of [{-count}, {count - 1}], but got {dim})")
    return dim + count if dim < 0 else dim


def data_pointer(array):
    """Return the address of an array's first element."""
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr


def memory_start(array):
    """Return the lowest address of the memory an array looks at."""
    root = array
    while type(root.base) is type(array):
        root = root.base
    return data_pointer(root)


def _legacy_array(args, dtype, target):
    """Return the array the legacy constructor makes: of a shape, of data, or empty."""
    if len(args) == 1 and isinstance(args[0], Tensor):
        return args[0].array.astype(dtype, copy=False)
    if len(args) == 1 and (args[0] is None or isinstance(args[0], float)):
        raise TypeError(f"new(): data must be a sequence (got {type(args[0]).__name__})")
    if len(args) == 1 and not isinstance(args[0], (int, Size)):
        return move(data_array(args[0], dtype), target)
    sizes = tuple(args[0]) if len(args) == 1 and isinstance(args[0], Size) else args
    if not all(isinstance(length, (int, np.integer)) and not isinstance(length, bool) for length in sizes):
        raise TypeError(f"Tensor() takes sizes (ints) or one sequence of data, but got {args!r}")
    if any(length < 0 for length in sizes):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {list(sizes)}")
    return move(np.empty(sizes if args else (0,), dtype), target)


def data_array(data, dtype=None):
    """Return a new NumPy array of nested Python data, arrays or tensors, with PyTorch's inferred dtype.

    Python floats get the default dtype, ints int64, bools bool; arrays and tensors keep theirs.
    """
    if isinstance(data, Tensor):
        array = to_numpy(data.array).copy()
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.array(data)
        from_numpy_dtype(array.dtype)
    else:
        array = _nested_array(data, dtype)
    if dtype is not None and array.dtype != dtype:
        array = array.astype(dtype)
    return array


def _nested_array(data, dtype=None):
    """Return a NumPy array of a Python number or nested sequences that may hold tensors and arrays."""
    found = set()
    try:
        plain = _without_tensors(data, found)
        array = np.array(plain)
    except OverflowError as error:
        raise ValueError(f"Overflow when unpacking long long: {error}") from None
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise _ragged(plain) from None
    if array.dtype.kind in "OUSMm":
        if array.dtype.kind == "O" and not _culprit(data):
            raise ValueError("Overflow when unpacking long long: a value does not fit int64")
        culprit = _culprit(data)
        if culprit == "str" and not isinstance(data, str) and _first_of(data).__class__ is str:
            raise ValueError("too many dimensions 'str'")
        if culprit not in ("str", "bytes"):
            raise RuntimeError(f"Could not infer dtype of {culprit}")
        raise TypeError(f"new(): invalid data type '{culprit}'")
    if dtype is not None:
        if array.dtype.kind == "c" and dtype.kind not in "cb":
            raise TypeError(f"a complex number cannot be stored as {from_numpy_dtype(dtype).name}: take .real first")
        if dtype.kind in "iu" and array.size and (array.dtype.char in REAL_CODES or dtype.itemsize < 8):
            for extreme in (array.min(), array.max()):
                storable(extreme.item(), dtype)
        return array.astype(dtype, copy=False)
    if array.size == 0 and not isinstance(data, (np.ndarray, np.generic)):
        return array.astype(default_float())
    if found:
        types = set()
        _types_of_numbers(plain, types)
        found.update(_default_dtype(each) for each in types if each in (bool, int, float, complex))
        return array.astype(functools.reduce(promote_types, map(from_numpy_dtype, found)).numpy, copy=False)
    if array.dtype.char in FLOAT_CODES:
        return array.astype(default_float() if array.dtype.kind == "f" else np.complex64, copy=False)
    if array.dtype.kind == "u" and array.dtype.itemsize == 8:
        raise ValueError("Overflow when unpacking long long: a value does not fit int64")
    return array


def _ragged(data):
    """Return the error for nested sequences that are not as long as the first ones of their depth."""
    level, depth = [data], 0
    while level and all(hasattr(each, "__len__") and not isinstance(each, (str, bytes)) for each in level):
        for each in level:
            if len(each) != len(level[0]):
                return ValueError(f"expected sequence of length {len(level[0])} at dim {depth} (got {len(each)})")
        level, depth = [item for each in level for item in each], depth + 1
    kind = next((type(each).__name__ for each in level if not hasattr(each, "__len__")), "str")
    return TypeError(f"{kind} is not a sequence, as other items at dim {depth} are")


def _first_of(data):
    """Return the first item of nested sequences."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data


def _without_tensors(data, found):
    """Replace tensors in nested sequences by their values; ``found`` receives the dtypes of tensors and arrays."""
    if isinstance(data, Tensor):
        if data.array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars: use stack() or cat()")
        data = to_numpy(data.array).reshape(())[()]
    elif hasattr(data, "__array__"):  # of NumPy, pandas and others
        data = data if isinstance(data, np.generic) else np.asarray(data)
    if isinstance(data, (np.generic, np.ndarray)):
        if data.dtype.kind in "biuc" or data.dtype.char in REAL_CODES:
            found.add(data.dtype)
        return data.astype(np.float32) if data.dtype.char == "E" else data  # which NumPy can put beside others
    if isinstance(data, (list, tuple, range)) or (
        hasattr(data, "__len__")
        and hasattr(data, "__getitem__")
        and not isinstance(data, (str, bytes, dict))
    ):
        return [item if type(item) in _NUMBERS else _without_tensors(item, found) for item in data]
    return data


_NUMBERS = frozenset((int, float))


def _types_of_numbers(data, types):
    """Add the types of the Python numbers in nested lists to ``types``."""
    for item in data:
        if type(item) is list:
            _types_of_numbers(item, types)
        else:
            types.add(type(item))


def _default_dtype(number_type):
    """Return the NumPy dtype that Python numbers of a type get by default."""
    if number_type is complex:
        return np.result_type(default_float(), np.complex64)
    return default_float() if number_type is float else np.dtype(number_type)


def _culprit(data):
    """Return the name of the type in nested data that no tensor can hold."""
    if isinstance(data, (list, tuple)):
        for item in data:
            found = _culprit(item)
            if found:
                return found
        return ""
    return "" if isinstance(data, (bool, int, float, complex, np.number)) else type(data).__name__


for _path in ABSENT:
    if _path.startswith("Tensor."):
        setattr(Tensor, _path[7:], AbsentAttribute(_path[7:]))
