"""CUDA C++ on the CPU: a source is compiled by g++ with `cuda_on_cpu.h`, and its kernels run over host memory.

It shows what a kernel computes, that its launch fits its parameters, and barriers that are missing or that not all
threads reach (threads run one after the other up to the next barrier, in odd blocks the last one first). It says
nothing of speed, nor of memory that one block reads before another has written it.
"""

import atexit
import ctypes
import hashlib
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
# A kernel that calls one of these needs its threads to run side by side.
_MEETING_POINTS = r"__syncthreads\w*|__shfl\w*|__syncwarp|__ballot_sync|__any_sync|__all_sync"
_FUNCTION = re.compile(r"\b(\w+)\s*\(([^(){};]*(?:\([^()]*\)[^(){};]*)*)\)\s*(?:const\s*)?\{")
_KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+(?:\w+\s*\([^)]*\)\s*)?void\s+(?:__\w+\s*\([^)]*\)\s*)?(\w+)\s*\(')
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:(?:__align__|alignas)\(\d+\)\s+)?([\w ]+?)\s+(\w+)\[\]\s*;"
)
_INCLUDE = re.compile(r"^\s*#\s*include\b.*$", re.MULTILINE)

# What a pointer to a type takes, which is of its own size: bool and uint8 alike, and 8 bytes of either sign.
_ALSO = {"u1": ("u1", "b1"), "b1": ("b1", "u1"), "u8": ("u8", "i8"), "i8": ("i8", "u8"), "u4": ("u4", "i4")}


class LaunchError(Exception):
    """A launch that a GPU would refuse, or would take and read wrong values."""


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", re.sub(r"//[^\n]*", "", text), flags=re.DOTALL)


def _body(text, start):
    """Return the text from an opening brace to the one that closes it."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if not depth:
            return text[start:i]
    return text[start:]


def kernels_that_wait(text):
    """Return the names of functions whose threads meet, by themselves or in what they call."""
    bodies = [(match[1], _body(text, match.end() - 1)) for match in _FUNCTION.finditer(text)]
    bodies = [(name, body) for name, body in bodies if name not in ("if", "for", "while", "switch")]
    bodies += re.findall(r"#\s*define\s+(\w+)((?:[^\n]*\\\n)*[^\n]*)", text)
    waiting = _MEETING_POINTS
    names = set()
    while True:
        pattern = re.compile(rf"\b(?:{waiting})\b")
        found = {name for name, body in bodies if pattern.search(body)}
        if found == names:
            return names
        names = found
        waiting = "|".join([_MEETING_POINTS, *sorted(names)])


def _code(dtype):
    """Return a dtype as cuda_on_cpu.h writes types."""
    if dtype.name == "bfloat16":
        return "E"
    return dtype.char if dtype.char in "fde" else dtype.str[1:]


def _compile(*args):
    options = ("-std=c++17", "-O1", "-w", "-fPIC", "-fno-strict-aliasing", "-ffp-contract=off", "-U_FORTIFY_SOURCE")
    result = subprocess.run([compiler(), *options, *args], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"g++: {result.stderr[:4000]}")


class _Folder:
    """Where compiled sources lie until Python ends."""

    path = None
    lock = threading.Lock()

    @classmethod
    def get(cls):
        if cls.path is None:
            cls.path = Path(tempfile.mkdtemp(prefix="cuda-on-cpu-"))
            atexit.register(shutil.rmtree, cls.path, ignore_errors=True)
            header = shutil.copy(HEADER, cls.path)
            _compile("-x", "c++-header", header, "-o", f"{header}.gch")  # g++ then reads it in no time
        return cls.path


def compiler():
    """Return the path of g++, None where there is none."""
    return shutil.which("g++")


def _library(text, names, waiting):
    """Return the compiled source; RuntimeError with what g++ says."""
    plain = _INCLUDE.sub("", text)
    plain = _DYNAMIC_SHARED.sub(r"\1* \2 = (\1*)emulator::dynamic_shared;", plain)
    entries = "".join(
        f'extern "C" const char* emulate_{name}(const unsigned* size, size_t shared, void** args)'
        f" {{ return emulator::launch({name}, size, shared, {str(name in waiting).lower()}, args); }}\n"
        f'extern "C" const char* signature_{name}() {{ return emulator::signature({name}); }}\n'
        for name in names
    )
    code = f'#include "{HEADER.name}"\n{plain}\n{entries}'
    key = hashlib.sha256(code.encode()).hexdigest()[:24]
    with _Folder.lock:
        path = _Folder.get() / f"{key}.so"
        if not path.exists():
            source = path.with_suffix(".cpp")
            source.write_text(code, encoding="utf-8")
            _compile("-shared", "-o", str(path), str(source))
    return ctypes.PyDLL(str(path))  # holds Python's lock: the threads of a block are global


class Program:
    """A CUDA source whose kernels run on the CPU.

    >>> twice = Program('extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2; }')
    >>> x = np.arange(3, dtype=np.float32)
    >>> twice.launch("twice", (1,), (3,), [x])
    >>> x
    array([0., 2., 4.], dtype=float32)
    """

    def __init__(self, text):
        bare = without_comments(text)
        names = _KERNEL.findall(bare)
        self._library = _library(text, names, kernels_that_wait(bare))
        self.parameters = {name: self._call("signature", name).split() for name in names}

    def _call(self, what, name, *args):
        function = getattr(self._library, f"{what}_{name}")
        function.restype = ctypes.c_char_p
        result = function(*args)
        return result and result.decode()

    def _packed(self, name, args):
        """Return the arguments as C values; LaunchError where one does not fit its parameter."""
        types = self.parameters[name]
        if len(types) != len(args):
            raise LaunchError(f"{name} has {len(types)} parameters, {len(args)} arguments were given")
        packed = []
        for i, (kind, arg) in enumerate(zip(types, args)):
            at = f"argument {i} of {name}"
            if kind.startswith("*"):
                if isinstance(arg, np.ndarray):
                    if kind != "*?" and _code(arg.dtype) not in _ALSO.get(kind[1:], (kind[1:],)):
                        raise LaunchError(f"{at}: an array of {arg.dtype} given for {kind}")
                    arg = arg.ctypes.data
                elif type(arg) is not int:
                    raise LaunchError(f"{at}: {type(arg).__name__} given for {kind}")
                packed.append(ctypes.c_void_p(arg))
            elif kind == "i8" and type(arg) is int:
                packed.append(ctypes.c_longlong(arg))
            elif kind == "d" and type(arg) is float:
                packed.append(ctypes.c_double(arg))
            else:
                raise LaunchError(f"{at}: {type(arg).__name__} given for {kind} (int is long long, float is double)")
        return packed

    def launch(self, name, grid, block, args, shared=0):
        """Run a kernel over host arrays and Python's ints (addresses and long long) and floats (double)."""
        if name not in self.parameters:
            raise LaunchError(f'the source has no extern "C" __global__ kernel {name}')
        grid, block = ((*size, 1, 1)[:3] for size in (grid, block))
        fits = all(0 < n <= most for n, most in zip((*grid, *block), (2**31 - 1, 65535, 65535, 1024, 1024, 64)))
        if not fits or block[0] * block[1] * block[2] > 1024:
            raise LaunchError(f"{name}: grid {grid} or block {block} is empty or larger than a GPU takes")
        packed = self._packed(name, args)
        pointers = (ctypes.c_void_p * max(1, len(packed)))(*(ctypes.addressof(value) for value in packed))
        failure = self._call("emulate", name, (ctypes.c_uint * 6)(*grid, *block), ctypes.c_size_t(shared), pointers)
        if failure:
            raise LaunchError(f"{name}: {failure}")
