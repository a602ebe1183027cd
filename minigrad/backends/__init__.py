"""Which kernels and libraries compute: PyTorch's torch.backends, and the switches of minigrad's own convolutions."""

from minigrad.backends import (
    cpu,
    cuda,
    cudnn,
    im2col,
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
    "mkl",
    "mkldnn",
    "mps",
    "nnpack",
    "openmp",
    "opt_einsum",
    "quantized",
    "winograd",
]
