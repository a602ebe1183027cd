"""The one kind of accelerator a machine has: PyTorch's torch.accelerator. Here it is a CUDA GPU or none."""

from minigrad.backend import cuda_device_count, cuda_is_available, cupy_module, device


def is_available():
    """Return whether there is an accelerator."""
    return cuda_is_available()


def device_count():
    """Return how many accelerators there are."""
    return cuda_device_count()


def current_accelerator(check_available=False):
    """Return the kind of accelerator as a device, or None where there is none."""
    return device("cuda") if cuda_is_available() else None


def current_device_index():
    """Return the index of the current accelerator; RuntimeError where there is none."""
    return cupy_module().cuda.runtime.getDevice()


def set_device_index(device):
    """Make the accelerator of an index the current one; a negative index changes nothing."""
    if device >= 0:
        cupy_module().cuda.Device(device).use()


def synchronize(device=None):
    """Wait until an accelerator has done all its work."""
    cupy = cupy_module()
    cupy.cuda.Device(current_device_index() if device is None else device).synchronize()
