"""RemoteModule: a module that another worker has, called from here."""

from minigrad.absent import getter
from minigrad.backend import device as device_named
from minigrad.distributed import rpc
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = ["RemoteModule"]
_REFUSED = (
    "register_buffer", "register_parameter", "add_module", "apply", "cuda", "ipu", "xpu", "cpu", "type", "float",
    "double", "half", "bfloat16", "to", "register_backward_hook", "register_forward_pre_hook", "register_forward_hook",
    "state_dict", "load_state_dict", "parameters", "named_parameters", "buffers", "named_buffers", "children",
    "named_children", "modules", "named_modules", "requires_grad_", "zero_grad", "share_memory", "extra_repr",
)  # fmt: skip


def _make(module_cls, args, kwargs, device):
    """Return an RRef to a new module of this worker."""
    module = module_cls(*args, **kwargs)
    if not isinstance(module, Module):
        raise ValueError(
            "Expect `module_cls(*args, **kwargs)` returns an instance of <class nn.Module>, but it returns an instance "
            f"of {type(module)}."
        )
    return rpc.RRef(module.to(device))


def _parameters(module_rref, recurse):
    return [rpc.RRef(parameter) for parameter in module_rref.local_value().parameters(recurse)]


def _moved(value, device):
    if isinstance(value, Tensor):
        return value.to(device)
    if type(value) in (tuple, list):
        return type(value)(_moved(part, device) for part in value)
    return {key: _moved(part, device) for key, part in value.items()} if type(value) is dict else value


def _forward(module_rref, device, keep, args, kwargs):
    """Call a module of this worker; its results go to the CPU, unless a device map says where GPUs' tensors go."""
    if device == "cpu":
        return module_rref.local_value()(*args, **kwargs)
    result = module_rref.local_value()(*_moved(args, device), **_moved(kwargs, device))
    return result if keep else _moved(result, "cpu")


def _train(module_rref, mode):
    module_rref.local_value().train(mode)


def _rebuilt(on, device, module_rref):
    module = RemoteModule.__new__(RemoteModule)
    module._set(on, device, module_rref)
    return module


class RemoteModule(Module):
    """A module on ``remote_device``, "worker" or "worker/device" (also "rank:1/cpu"), made there and called from here.

    ``module_cls(*args, **kwargs)`` makes it. ``remote_module(x)`` and ``forward_async(x)`` (a Future) call it, in a
    context of distributed autograd with gradients; ``remote_parameters()`` are what a DistributedOptimizer takes. It
    can be sent to other workers. Its other methods raise ValueError, as in PyTorch.
    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.nn.api.remote_module.RemoteModule
    """

    def __init__(self, remote_device, module_cls, args=None, kwargs=None, _module_interface_cls=None):
        if _module_interface_cls is not None:
            raise NotImplementedError("RemoteModule: there is no TorchScript; leave _module_interface_cls out")
        on, device = _parsed(remote_device)
        arguments = (module_cls, tuple(args or ()), dict(kwargs or {}), device)
        self._set(on, device, rpc.rpc_sync(on, _make, arguments))

    @staticmethod
    def init_from_module_rref(remote_device, module_rref, _module_interface_cls=None):
        """Return a RemoteModule on the module that an RRef refers to, at its owner's ``remote_device``."""
        if _module_interface_cls is not None:
            raise NotImplementedError("RemoteModule: there is no TorchScript; leave _module_interface_cls out")
        on, device = _parsed(remote_device)
        return _rebuilt(on, device, module_rref)

    def _set(self, on, device, module_rref):
        super().__init__()
        agent = rpc.api.current_agent()
        self.on, self.device, self.module_rref = on, device, module_rref
        self.is_scriptable = False
        self.is_device_map_set = bool(agent.device_map(agent.worker(on).id))

    def forward(self, *args, **kwargs):
        """Call the module and wait for its result."""
        return self.forward_async(*args, **kwargs).wait()

    def forward_async(self, *args, **kwargs):
        """Call the module and return the Future of its result."""
        arguments = (self.module_rref, self.device, self.is_device_map_set, args, kwargs)
        return rpc.rpc_async(self.module_rref.owner(), _forward, arguments)

    def remote_parameters(self, recurse=True):
        """Return RRefs to the module's parameters."""
        return rpc.rpc_sync(self.on, _parameters, (self.module_rref, recurse))

    def get_module_rref(self):
        """Return the RRef to the module."""
        return self.module_rref

    def train(self, mode=True):
        """Set the module's mode and return this."""
        rpc.rpc_sync(self.on, _train, (self.module_rref, mode))
        self.training = mode
        return self

    def __repr__(self):
        return f"RemoteModule(on={self.on!r}, device={self.device!r})"

    def _reduce_for_rpc(self):
        return _rebuilt, (self.on, self.device, self.module_rref)

    def __reduce_ex__(self, protocol):
        raise RuntimeError(
            "Cannot pickle RemoteModule in python pickler. RemoteModule can only be pickled when using RPC"
        )


def _refusing(name):
    instead = " Please use ``remote_parameters`` instead." if name == "parameters" else ""

    def refuse(self, *args, **kwargs):
        raise ValueError(f"Method ``{name}`` not supported for RemoteModule{instead and '.' + instead}")

    refuse.__name__ = name
    return refuse


for _name in _REFUSED:
    setattr(RemoteModule, _name, _refusing(_name))


def _parsed(remote_device):
    """Return (worker, device's name) of "worker", "worker/device" or "rank:1/device"."""
    if not isinstance(remote_device, str):
        raise TypeError(f"RemoteModule: remote_device must be a str, but got {type(remote_device).__name__}")
    on, _, device = remote_device.partition("/")
    if not on or device.count("/"):
        raise ValueError(f"Could not parse remote_device: {remote_device}. The valid format is '<workername>/<device>'")
    agent = rpc.api.current_agent()
    rank = on.removeprefix("rank:")
    worker = agent.worker(int(rank) if on != rank and rank.isdecimal() else on)
    return worker.name, str(device_named(device or "cpu"))


__getattr__ = getter(__name__)
