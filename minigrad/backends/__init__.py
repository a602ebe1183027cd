"""Which kernels and libraries compute: PyTorch's torch.backends, and the switches of minigrad's own convolutions."""

from minigrad.absent import getter
from minigrad.backends import (
    cpu,
    cuda,
    cudnn,
    im2col,
    mha,
    mkl,
    mkldnn,
    mps,
    nnpack,
    openmp,
    opt_einsum,
    quantized,
    winograd,
)

__all__ = [
    "cpu",
    "cuda",
    "cudnn",
    "im2col",
    "mha",
    "mkl",
    "mkldnn",
    "mps",
    "nnpack",
    "openmp",
    "opt_einsum",
    "quantized",
    "winograd",
]


__getattr__ = getter(__name__)
