"""Which libraries compute: PyTorch's torch.backends, as far as programs ask about it."""

from minigrad.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
