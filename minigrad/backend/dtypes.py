"""Data types by their PyTorch names, and PyTorch's rules of type promotion.

NumPy and PyTorch agree within a category (bool, integer, floating, complex) and differ between them:
``int64 + float32`` is float64 in NumPy and float32 here, and a 0-d tensor or a Python number never widens
an array of its own category (https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc).
"""

import math

from minigrad.backend.arrays import np
from minigrad.backend.switches import PRECISION

# dtype.char of types; bfloat16, which the package ml_dtypes adds to NumPy, is "E" and of the kind "V".
REAL_CODES = frozenset("efdE")
FLOAT_CODES = REAL_CODES | frozenset("FD")  # the floating and complex types
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}


class dtype:  # noqa: N801 - PyTorch's name
    """Type of the elements of a tensor, such as ``minigrad.float32``.

    >>> import minigrad as mg
    >>> mg.float32.itemsize, mg.int64.is_floating_point
    (4, False)
    """

    __slots__ = ("dtype", "is_complex", "is_floating_point", "is_signed", "itemsize", "name")
    package = "minigrad"  # the name that things are printed with; "torch" in programs run by minigrad.compat

    def __init__(self, name):
        # The attribute `dtype` lets NumPy take this object wherever it takes a dtype.
        self.name = name
        self.dtype = np.dtype(name)
        self.itemsize = self.dtype.itemsize
        self.is_floating_point = self.dtype.kind == "f"
        self.is_complex = self.dtype.kind == "c"
        self.is_signed = self.dtype.kind in "ifc"

    @property
    def numpy(self):
        """The NumPy dtype."""
        return self.dtype

    def to_real(self):
        """Return the real type of a complex one; itself otherwise."""
        return from_numpy_dtype(np.empty(0, self.dtype).real.dtype)

    def to_complex(self):
        """Return the complex type that holds this one."""
        return DTYPES["complex128" if self.name in ("float64", "complex128") else "complex64"]

    def __repr__(self):
        return f"{self.package}.{self.name}"

    def __reduce__(self):
        return as_dtype, (self.name,)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


class _BFloat16(dtype):
    """bfloat16: float32 without the lower 16 bits. NumPy's type of it comes from ml_dtypes, with the first array."""

    __slots__ = ("_loaded",)

    def __init__(self):
        self.name = "bfloat16"
        self.itemsize = 2
        self.is_floating_point = self.is_signed = True
        self.is_complex = False
        self._loaded = None

    @property
    def dtype(self):
        """The NumPy dtype; ImportError without ml_dtypes."""
        if self._loaded is None:
            try:
                import ml_dtypes
            except ImportError:
                raise ImportError(
                    "minigrad: arrays of bfloat16 need ml_dtypes, for NumPy has no such type "
                    "(pip install 'minigrad-cnn[bfloat16]'); or use float16 or float32"
                ) from None
            self._loaded = np.dtype(ml_dtypes.bfloat16)
            _BY_NUMPY[self._loaded] = self
            PRECISION.activate()
        return self._loaded

    def to_real(self):
        return self

    def to_complex(self):
        return DTYPES["complex64"]


_NAMES = (
    "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64 complex128".split()
)
DTYPES = {name: dtype(name) for name in _NAMES}
_ALIASES = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "short": "int16",
    "int": "int32",
    "long": "int64",
    "cfloat": "complex64",
    "cdouble": "complex128",
}
DTYPES["bfloat16"] = _BFloat16()
DTYPES.update({alias: DTYPES[name] for alias, name in _ALIASES.items()})
_BY_NUMPY = {DTYPES[name].dtype: DTYPES[name] for name in _NAMES}
_PYTHON_TYPES = {float: "float64", int: "int64", bool: "bool", complex: "complex128"}  # whatever the default dtype is


def has_bfloat16():
    """Return whether arrays of bfloat16 can be made: ml_dtypes is installed."""
    try:
        return DTYPES["bfloat16"].numpy is not None
    except ImportError:
        return False


class _BFloat16Limits:
    """What NumPy's finfo says of other types."""

    bits, eps, resolution = 16, 2.0**-7, 0.01
    max = 2.0**128 - 2.0**120
    min, smallest_normal = -max, 2.0**-126


def float_limits(chosen):
    """Return the largest number, eps, … of a floating or complex dtype (minigrad's or NumPy's): np.finfo's object."""
    if chosen is DTYPES["bfloat16"] or getattr(chosen, "char", "") == "E":
        return _BFloat16Limits
    return np.finfo(chosen)


class _Default:
    """The dtype given to new floating-point tensors."""

    float = DTYPES["float32"]


def from_numpy_dtype(numpy_dtype):
    """Return minigrad's dtype for a NumPy one; TypeError where there is none."""
    try:
        return _BY_NUMPY[numpy_dtype]
    except KeyError:
        if numpy_dtype.char == "E" and numpy_dtype == DTYPES["bfloat16"].numpy:  # of an array made without minigrad
            return DTYPES["bfloat16"]
        raise TypeError(
            f"can't convert np.ndarray of type {numpy_dtype}. The supported types are: {', '.join(_NAMES)}."
        ) from None


def as_dtype(value):
    """Return minigrad's dtype for a dtype, its name, a NumPy dtype or one of Python's number types."""
    if isinstance(value, dtype):
        return value
    if isinstance(value, str) and value in DTYPES:
        return DTYPES[value]
    if isinstance(value, type) and value in _PYTHON_TYPES:
        return DTYPES[_PYTHON_TYPES[value]]
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return from_numpy_dtype(np.dtype(value))
    raise TypeError(f"expected a dtype such as minigrad.float32, but got {value!r} ({type(value).__name__})")


def get_default_dtype():
    """Return the dtype new floating-point tensors get."""
    return _Default.float


def set_default_dtype(d):
    """Set the dtype new floating-point tensors get (float16, bfloat16, float32 or float64)."""
    chosen = as_dtype(d)
    if not chosen.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, but got {chosen}")
    _Default.float = chosen


def default_float():
    """Return the default floating-point type as a NumPy dtype."""
    return _Default.float.dtype


_PROMOTED = {}


def _promote(a, b):
    """Return the NumPy dtype that holds two NumPy dtypes by PyTorch's rules."""
    pair = (a, b)
    found = _PROMOTED.get(pair)
    if found is None:
        low, high = sorted(pair, key=lambda t: _CATEGORY[t.kind])
        if high.kind == "c" and low.kind != "c":
            found = np.promote_types(low, high) if low.char == "d" else high
        elif _CATEGORY[low.kind] != _CATEGORY[high.kind]:
            found = high
        else:
            halves = {a.char, b.char} == {"e", "E"}  # neither holds the other
            found = np.dtype(np.float32) if halves else np.promote_types(a, b)
            if found.kind == "f" and a.kind in "iu":
                raise RuntimeError(f"Promotion for uint16, uint32, uint64 types is not supported: {a} and {b}")
        _PROMOTED[pair] = found
    return found


def promote_types(type1, type2):
    """Return the smallest dtype that holds both, by PyTorch's rules.

    >>> import minigrad as mg
    >>> mg.promote_types(mg.int64, mg.float16)
    minigrad.float16
    """
    return from_numpy_dtype(_promote(as_dtype(type1).dtype, as_dtype(type2).dtype))


def can_cast(from_, to):
    """Return whether a result of one dtype may be written into another (never to a lower category)."""
    source, target = as_dtype(from_).dtype, as_dtype(to).dtype
    if source.kind == "i" and target.kind == "u" or source.kind != "b" and target.kind == "b":
        return source.kind == "i" and target.kind == "u"
    return _CATEGORY[source.kind] <= _CATEGORY[target.kind]


def storable(value, dtype):
    """Return a Python number as a NumPy dtype can hold it; RuntimeError where it can't.

    As in C a negative integer wraps around in an unsigned dtype, and a float loses its fraction in an integer one.
    """
    if dtype.kind == "b":
        return bool(value)
    fits = not isinstance(value, complex) or dtype.kind == "c"
    if fits and dtype.kind in "iu" and isinstance(value, (int, float)):
        fits = isinstance(value, int) or math.isfinite(value)
        if fits:
            limits = np.iinfo(dtype)
            value = int(value)
            fits = limits.min <= value <= limits.max
            if not fits and dtype.kind == "u" and -limits.max <= value < 0:
                return value + limits.max + 1
    if not fits:
        raise RuntimeError(f"value cannot be converted to type {dtype} without overflow: {value}")
    return value


def _scalar_dtype(value):
    """Return the NumPy dtype a Python number counts as in promotion."""
    if isinstance(value, bool):
        return np.dtype(bool)
    if isinstance(value, int):
        return np.dtype(np.int64)
    if isinstance(value, float):
        return default_float()
    return _Default.float.to_complex().dtype


def result_dtype(values):
    """Return the NumPy dtype of an operation on raw arrays and Python numbers.

    Arrays with dimensions decide first, then 0-d arrays, then numbers; each later group counts only where it is
    of a higher category (bool < integer < floating < complex).
    """
    groups = [None, None, None]
    for value in values:
        if isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic):
            rank, kind = 2, _scalar_dtype(value)
        else:
            rank, kind = (0, value.dtype) if value.ndim else (1, value.dtype)
        groups[rank] = kind if groups[rank] is None else _promote(groups[rank], kind)
    result = None
    for kind in groups:
        if kind is None:
            continue
        if result is None:
            result = kind
        elif _CATEGORY[kind.kind] > _CATEGORY[result.kind]:
            result = _promote(result, kind)
    return result
