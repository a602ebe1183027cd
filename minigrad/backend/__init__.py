"""The only part of minigrad that imports NumPy or CuPy: arrays, dtypes, devices, seeds and threads."""

from minigrad.backend.allocator import keep_freed_memory
from minigrad.backend.arrays import as_array, asarray_like, memory_root, np, place, solely_held, xp
from minigrad.backend.devices import (
    array_device,
    cuda_device_count,
    cuda_is_available,
    cupy_module,
    device,
    get_default_device,
    is_pinned,
    move,
    set_default_device,
    to_numpy,
)
from minigrad.backend.dtypes import (
    DTYPES,
    FLOAT_CODES,
    REAL_CODES,
    as_dtype,
    can_cast,
    default_float,
    dtype,
    float_limits,
    from_numpy_dtype,
    get_default_dtype,
    has_bfloat16,
    promote_types,
    result_dtype,
    set_default_dtype,
    storable,
)
from minigrad.backend.errors import OutOfMemoryError
from minigrad.backend.rng import DRAWS, Generator, default_generator, initial_seed, manual_seed, seed
from minigrad.backend.switches import CONVOLUTIONS, CUDNN, PRECISION, PRODUCTS, WATCHED
from minigrad.backend.threads import get_num_threads, parallel_for, parallel_ranges, scratch, set_num_threads

__all__ = [
    "CONVOLUTIONS",
    "CUDNN",
    "DRAWS",
    "DTYPES",
    "FLOAT_CODES",
    "PRECISION",
    "PRODUCTS",
    "REAL_CODES",
    "WATCHED",
    "Generator",
    "OutOfMemoryError",
    "array_device",
    "as_array",
    "as_dtype",
    "asarray_like",
    "can_cast",
    "cuda_device_count",
    "cuda_is_available",
    "cupy_module",
    "default_float",
    "default_generator",
    "device",
    "float_limits",
    "from_numpy_dtype",
    "get_default_device",
    "get_default_dtype",
    "get_num_threads",
    "has_bfloat16",
    "initial_seed",
    "is_pinned",
    "manual_seed",
    "memory_root",
    "move",
    "np",
    "parallel_for",
    "parallel_ranges",
    "place",
    "promote_types",
    "result_dtype",
    "scratch",
    "seed",
    "set_default_device",
    "set_default_dtype",
    "set_num_threads",
    "solely_held",
    "to_numpy",
    "xp",
]

keep_freed_memory()
