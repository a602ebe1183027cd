"""What this installation runs on, for reports of errors: PyTorch's torch.utils.collect_env, without calling a shell.

Source: https://docs.pytorch.org/docs/stable/bottleneck.html
"""

import os
import platform
import sys
from importlib import metadata

from minigrad.absent import getter
from minigrad.backend import cuda_device_count, cuda_is_available, get_num_threads, np
from minigrad.version import __version__

_LIBRARIES = "numpy cupy-cuda12x cupy-cuda13x ml_dtypes onnx onnxruntime pillow safetensors scipy threadpoolctl torch"


def _version_of(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def get_env_info():
    """Return {what: value} of minigrad, Python, the system, its GPUs and the libraries that are installed.

    >>> from minigrad.utils.collect_env import get_env_info
    >>> get_env_info()["Is CUDA available"] in ("True", "False")
    True
    """
    names = []
    if cuda_is_available():
        name_of = sys.modules["minigrad"].cuda.get_device_name
        names = [f"GPU {index}: {name_of(index)}" for index in range(cuda_device_count())]
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found = {name: _version_of(name) for name in _LIBRARIES.split()}
    return {
        "minigrad version": __version__,
        "OS": platform.platform(),
        "Python version": f"{platform.python_version()} ({platform.architecture()[0]} runtime)",
        "Python platform": sys.platform,
        "Is CUDA available": str(cuda_is_available()),
        "GPU models and configuration": "\n".join(names) or "No CUDA",
        "CPU": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {get_num_threads()} threads",
        "BLAS": f"{blas.get('name')} {blas.get('version')}",
        "Versions of relevant libraries": "\n".join(f"[pip3] {k}=={v}" for k, v in found.items() if v is not None),
    }


def get_pretty_env_info():
    """Return get_env_info() as text.

    >>> import minigrad as mg
    >>> mg.utils.collect_env.get_pretty_env_info().startswith("minigrad version: ")
    True
    """
    parts = [f"{name}:\n{value}" if "\n" in value else f"{name}: {value}" for name, value in get_env_info().items()]
    return "\n".join(parts)


def main():
    """Print it."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


__getattr__ = getter(__name__)

if __name__ == "__main__":
    main()
