"""Whether arrays lie on one device, and the error that says where they lie."""

from minigrad.backend.devices import array_device
from minigrad.backend.switches import GPUS


def facts_of(arrays):
    """Return the shape, dtype and device of arrays as text."""
    return ", ".join(f"{list(array.shape)} {array.dtype} on {array_device(array)}" for array in arrays)


def on_different_devices(name, arrays):
    """Return the error of a function, by name, that was given arrays of more than one device."""
    devices = sorted({str(array_device(array)) for array in arrays}, key=lambda device: (device == "cpu", device))
    return RuntimeError(
        f"{name}: Expected all tensors to be on the same device, but found at least two devices, "
        f"{devices[0]} and {devices[1]}! Move them with .to(). Got {facts_of(arrays)}."
    )


def check_device(name, *tensors):
    """RuntimeError for tensors (or Nones) on more than one device."""
    if not GPUS:
        return
    arrays = [tensor.array for tensor in tensors if tensor is not None]
    if any(array_device(array) != array_device(arrays[0]) for array in arrays):
        raise on_different_devices(name, arrays)
