"""PyTorch's older names of mixed precision on GPUs, torch.cuda.amp: each warns and calls minigrad.amp's.

Source: https://docs.pytorch.org/docs/stable/amp.html
"""

from minigrad import amp
from minigrad.amp.older import older_names, warn_of
from minigrad.backend import cuda_is_available

__all__ = ["GradScaler", "amp_definitely_not_available", "autocast", "custom_bwd", "custom_fwd"]


def amp_definitely_not_available():
    """Return whether there is no GPU.

    >>> import minigrad as mg
    >>> mg.cuda.amp.amp_definitely_not_available() is not mg.cuda.is_available()
    True
    """
    return not cuda_is_available()


autocast, GradScaler = older_names("cuda", "float16")


def custom_fwd(fwd=None, *, cast_inputs=None):
    """`minigrad.amp.custom_fwd` for GPUs; warns."""
    warn_of("cuda", "custom_fwd", "custom_fwd(args..., device_type='cuda')")
    return amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd):
    """`minigrad.amp.custom_bwd` for GPUs; warns."""
    warn_of("cuda", "custom_bwd", "custom_bwd(args..., device_type='cuda')")
    return amp.custom_bwd(bwd, device_type="cuda")
