"""NVIDIA's run-time compiler from its wheels (nvidia-cuda-nvrtc, nvidia-cuda-runtime): compiles without a GPU."""

import ctypes
import importlib.util
from pathlib import Path

# What CuPy passes as well.
OPTIONS = ("--std=c++17", "-ftz=true", "--device-as-default-execution-space")


def folders():
    """Return where the wheels keep (the library, the headers); None where one is missing."""
    spec = importlib.util.find_spec("nvidia")
    for root in spec.submodule_search_locations if spec else ():
        for home in Path(root).glob("cu1?"):
            library = next(iter(sorted((home / "lib").glob("libnvrtc.so.*"))), None)
            if library and (home / "include" / "cuda_fp16.h").exists():
                return library, home / "include"
    return None


class Compiler:
    """``Compiler(*folders()).compile(text, "file.cu", "sm_90")`` gives a GPU's machine code."""

    def __init__(self, library, include):
        self._nvrtc = ctypes.CDLL(str(library))
        self._include = include

    def _call(self, name, *args):
        code = getattr(self._nvrtc, name)(*args)
        if code:
            self._nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
            raise RuntimeError(f"{name}: {self._nvrtc.nvrtcGetErrorString(code).decode()}")

    def _bytes(self, what, program):
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, buffer)
        return buffer.raw

    def compile(self, text, name, architecture):
        """Return machine code, PTX for compute_90 and the like; SyntaxError with what the compiler complains of."""
        program = ctypes.c_void_p()
        self._call("nvrtcCreateProgram", ctypes.byref(program), text.encode(), name.encode(), 0, None, None)
        try:
            options = [*OPTIONS, f"-arch={architecture}", f"-I{self._include}"]
            listed = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            failed = self._nvrtc.nvrtcCompileProgram(program, len(options), listed)
            log = self._bytes("ProgramLog", program).rstrip(b"\0 \n").decode(errors="replace")
            if failed or log:
                raise SyntaxError(log)
            return self._bytes("PTX" if architecture.startswith("compute") else "CUBIN", program)
        finally:
            self._call("nvrtcDestroyProgram", ctypes.byref(program))
