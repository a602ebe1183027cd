"""Fourier transforms under PyTorch's names (torch.fft): differentiable, in the precision of their input.

Source: https://docs.pytorch.org/docs/stable/fft.html
"""

from minigrad.absent import getter
from minigrad.ops.fourier import TRANSFORMS, fftfreq, fftshift, ifftshift, rfftfreq
from minigrad.precision import autocasting

globals().update({name: autocasting(transform, f"fft_{name}") for name, transform in TRANSFORMS.items()})

__all__ = [*TRANSFORMS, "fftfreq", "rfftfreq", "fftshift", "ifftshift"]  # noqa: PLE0604 - names made in ops/


__getattr__ = getter(__name__)
