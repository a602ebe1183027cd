"""DataParallel, as far as one device goes."""

from minigrad.nn.module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """Holds a module as ``module`` and calls it on the device it is on; no batch is split over several devices.

    Arguments: module, device_ids (at most one device: RuntimeError for more), output_device (the same), dim (along
    which PyTorch splits batches; the result does not depend on it).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.DataParallel.html

    >>> import minigrad as mg
    >>> model = mg.nn.DataParallel(mg.nn.Linear(2, 3))
    >>> model(mg.ones(1, 2)).shape, list(model.state_dict())
    (minigrad.Size([1, 3]), ['module.weight', 'module.bias'])
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        if device_ids is not None and len(device_ids) > 1:
            raise RuntimeError(
                f"DataParallel: batches are not split over several devices, but device_ids is {list(device_ids)}; "
                "name one"
            )
        if output_device is not None and device_ids and output_device != device_ids[0]:
            raise RuntimeError(
                f"DataParallel: output_device {output_device} is not the module's device {device_ids[0]}"
            )
        self.module = module
        self.device_ids = list(device_ids or ())
        self.output_device = output_device
        self.dim = dim

    def forward(self, *inputs, **kwargs):
        """Return the module's result."""
        return self.module(*inputs, **kwargs)
