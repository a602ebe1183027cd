"""PyTorch's names for what lies in a checkpoint: storage classes and dtypes."""

from minigrad.backend import DTYPES, has_bfloat16, np

# Storage class -> the name of its dtype. Types that NumPy lacks are here too, so that an error can name them.
STORAGE_DTYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
}
STORAGE_CLASSES = {dtype: name for name, dtype in STORAGE_DTYPES.items()}

# Types of PyTorch that have no storage class of their own: their tensors lie in untyped bytes.
UNTYPED = ("uint16", "uint32", "uint64")

# Of quantized tensors: the dtype in a file -> the dtype of its numbers.
QUANTIZED = {"qint8": "int8", "quint8": "uint8", "qint32": "int32"}
QUANTIZED_NAMES = (
    *QUANTIZED, "per_tensor_affine", "per_channel_affine", "per_tensor_symmetric", "per_channel_symmetric",
)  # fmt: skip

REFUSED_STORAGES = ("QUInt4x2Storage", "QUInt2x4Storage")
REFUSED_DTYPES = (
    "complex32", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
    "float4_e2m1fn_x2", "quint4x2", "quint2x4", "bits8", "bits16",
)  # fmt: skip
DTYPE_NAMES = (*STORAGE_CLASSES, *UNTYPED)


def is_widened(name):
    """Return whether elements of that dtype become float32: bfloat16, where ml_dtypes is not installed."""
    return name == "bfloat16" and not has_bfloat16()


def numpy_dtype(name):
    """Return the NumPy dtype in which elements of PyTorch's dtype of that name lie in a file."""
    return np.dtype("uint16") if is_widened(name) else DTYPES[QUANTIZED.get(name, name)].numpy
