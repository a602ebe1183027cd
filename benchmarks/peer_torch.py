"""PyTorch as a worker sees it: what library_minigrad.py is for minigrad."""
import torch as library

from benchmarks import peer_networks

__all__ = ["build", "library", "versions"]


def build(name, image_size, classes):
    """The twin of one of the networks of benchmarks/networks.py."""
    return peer_networks.build(name, image_size, classes)


def versions():
    """What computes: PyTorch and the libraries for its products and convolutions."""
    found = {"PyTorch": library.__version__}
    if library.backends.mkl.is_available():
        found["PyTorch's BLAS"] = "MKL"
    if library.backends.mkldnn.is_available():
        found["PyTorch's convolutions"] = "oneDNN"
    if library.cuda.is_available():
        found["PyTorch's cuDNN"] = str(library.backends.cudnn.version())
    return found
