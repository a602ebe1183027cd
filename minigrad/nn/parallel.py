"""DataParallel, as far as one device goes; DistributedDataParallel is in minigrad/nn/ddp.py."""

from minigrad.absent import getter
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

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


def data_parallel(module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None):
    """Return the module's result for inputs (a tensor or a tuple), as DataParallel does."""
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*inputs, **(module_kwargs or {}))


def _one(devices):
    devices = [devices] if isinstance(devices, (int, str)) or not hasattr(devices, "__iter__") else list(devices)
    if len(devices) != 1:
        raise RuntimeError(f"nn.parallel: there is one device to work on, but got {devices}; name one")
    return f"cuda:{devices[0]}" if isinstance(devices[0], int) else devices[0]


def _each_tensor(value, function):
    """Return nested tuples, lists and dicts with a function applied to their tensors."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, (tuple, list)):
        items = [_each_tensor(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return type(value)((key, _each_tensor(item, function)) for key, item in value.items())
    return value


def scatter(inputs, target_gpus, dim=0):
    """Return the inputs' parts for each of the devices: with one device, all of them on it, in a tuple.

    RuntimeError for more devices. Source: https://docs.pytorch.org/docs/stable/nn.html#dataparallel-layers-multi-gpu-distributed

    >>> import minigrad as mg
    >>> mg.nn.parallel.scatter(mg.ones(2), ["cpu"])
    (tensor([1., 1.]),)
    """
    device = _one(target_gpus)
    return (_each_tensor(inputs, lambda tensor: tensor.to(device)),)


def scatter_kwargs(inputs, kwargs, target_gpus, dim=0):
    """Return positional arguments and keywords for each of the devices: with one device, each in a tuple."""
    inputs = scatter(inputs or (), target_gpus, dim)
    return inputs, scatter(kwargs or {}, target_gpus, dim)


def gather(outputs, target_device, dim=0):
    """Return the results of the devices as one on a device: with one device, its result."""
    if len(outputs) != 1:
        raise RuntimeError(f"nn.parallel.gather: there is one device to work on, but got {len(outputs)} results")
    return scatter(outputs[0], [target_device], dim)[0]


def replicate(network, devices, detach=False):
    """Return a list with the module, moved to the one device: it is not copied."""
    return [network.to(_one(devices))]


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None):
    """Return the results of the modules, each called with its own inputs (a tuple or one) and keywords."""
    keywords = kwargs_tup or ({},) * len(modules)
    calls = zip(modules, inputs, keywords, strict=True)
    return [net(*(given if isinstance(given, (tuple, list)) else (given,)), **named) for net, given, named in calls]


_absent = getter(__name__)


def __getattr__(name):
    if name != "DistributedDataParallel":
        return _absent(name)
    from minigrad.nn.ddp import DistributedDataParallel

    globals()[name] = DistributedDataParallel
    return DistributedDataParallel
