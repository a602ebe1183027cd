"""Sources in CUDA C++: compiled through CuPy when first launched, kept by kernel, dtype and defines."""

import atexit
import os
from itertools import product

from minigrad.backend import cupy_module

FOLDER = os.path.dirname(__file__)
# dtype -> (storage type T, accumulator type A)
TYPES = {
    "float32": ("float", "float"),
    "float64": ("double", "double"),
    "float16": ("__half", "float"),
    "bfloat16": ("__nv_bfloat16", "float"),
}
FLOATS = tuple(TYPES)
_HEADERS = {"__half": "cuda_fp16.h", "__nv_bfloat16": "cuda_bf16.h"}
_STATIC_SHARED = 48 << 10  # bytes of shared memory that a launch gets without asking
_MOST_BLOCKS = 2**31 - 1
SOURCES = []  # every Source made
CACHES = []  # dicts and lists of arrays on GPUs that launchers keep


def _read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


class Kernel:
    """A kernel that can be launched on CuPy's current stream."""

    __slots__ = ("raw",)

    def __init__(self, raw):
        self.raw = raw

    def __call__(self, *, args, threads=None, grid=None, block=256, shared=0):
        """Launch over ``grid`` blocks (an int or a tuple), or as many as ``threads`` need; zero threads launch nothing.

        args: arrays, ints (long long), floats (double), bools (long long) and None (a null pointer).
        """
        if grid is None:
            if threads == 0:
                return
            grid = min(-(-threads // block), _MOST_BLOCKS)
        if shared > _STATIC_SHARED and self.raw.max_dynamic_shared_size_bytes < shared:
            self.raw.max_dynamic_shared_size_bytes = shared
        # CuPy passes a bool as one byte; kernels take long long
        args = tuple([0 if arg is None else int(arg) if type(arg) is bool else arg for arg in args])
        grid = grid if type(grid) is tuple else (grid,)
        self.raw(grid, block if type(block) is tuple else (block,), args, shared_mem=shared)


class Source:
    """A .cu file of this folder; every dtype and every combination of defines that it is used with is declared here.

    dtypes: names out of `TYPES`, or (None,) for a source without T.
    defines: name -> the values that the macro takes.

    >>> Source("norm.cu", ("float32",), {"LAYOUT": (0, 1)}).variants()
    [('float32', {'LAYOUT': '0'}), ('float32', {'LAYOUT': '1'})]
    >>> _ = SOURCES.pop()
    """

    def __init__(self, name, dtypes=FLOATS, defines=None):
        self.name = name
        self.dtypes = dtypes
        self.defines = {key: tuple(map(str, values)) for key, values in (defines or {}).items()}
        self._kernels = {}
        self._modules = {}
        SOURCES.append(self)

    def variants(self):
        """Return every (dtype, defines) that the source is compiled for."""
        combinations = [dict(zip(self.defines, values)) for values in product(*self.defines.values())]
        return [(dtype, combination) for dtype in self.dtypes for combination in combinations]

    def text(self, dtype, defines):
        """Return what is compiled: headers, types, defines, the common prelude and the file."""
        storage, accumulator = TYPES[dtype] if dtype else (None, "float")
        used = (storage, *defines.values())
        lines = [f"#include <{header}>" for name, header in _HEADERS.items() if name in used]
        lines += [f"#define {name} {value}" for name, value in defines.items()]
        lines += [f"typedef {storage} T;"] if storage else []
        lines += [f"typedef {accumulator} A;", _read("common.cuh"), f'#line 1 "{self.name}"', _read(self.name)]
        return "\n".join(lines)

    def kernel(self, name, dtype=None, **defines):
        """Return a kernel for a dtype (NumPy's, or its name) and values of the defines."""
        key = (name, dtype, *defines.items())
        kernel = self._kernels.get(key)
        if kernel is None:
            module = self._module(dtype if dtype is None or type(dtype) is str else dtype.name, defines)
            kernel = self._kernels[key] = Kernel(module.get_function(name))
        return kernel

    def _module(self, dtype, defines):
        defines = {key: str(defines[key]) for key in sorted(defines)}
        declared = set(defines) == set(self.defines) and all(defines[key] in self.defines[key] for key in defines)
        if not declared or dtype not in self.dtypes:
            raise ValueError(f"{self.name} is not declared for {dtype} with {defines}: see its Source")
        key = (dtype, *defines.values())
        if key not in self._modules:
            self._modules[key] = cupy_module().RawModule(code=self.text(dtype, defines))
        return self._modules[key]


def forget_all():
    """Drop every kernel that was compiled, and what launchers keep on GPUs."""
    for cache in CACHES:
        cache.clear()
    for source in SOURCES:
        source._kernels.clear()
        source._modules.clear()


atexit.register(forget_all)  # while CuPy is still there
