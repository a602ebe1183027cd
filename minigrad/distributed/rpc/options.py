"""Who the workers are, and how they talk: WorkerInfo, BackendType and the backend's options."""

import enum
from dataclasses import dataclass

_DEFAULT_INIT_METHOD = DEFAULT_INIT_METHOD = "env://"
_DEFAULT_RPC_TIMEOUT_SEC = DEFAULT_RPC_TIMEOUT_SEC = 60.0
_DEFAULT_NUM_WORKER_THREADS = DEFAULT_NUM_WORKER_THREADS = 16
_UNSET_RPC_TIMEOUT = UNSET_RPC_TIMEOUT = -1.0
DEFAULT_SHUTDOWN_TIMEOUT = 0.0


class BackendType(enum.Enum):
    """Names of backends: TENSORPIPE names the one there is, over TCP."""

    TENSORPIPE = "TENSORPIPE"

    def __repr__(self):
        return f"BackendType.{self.name}"


@dataclass(frozen=True)
class WorkerInfo:
    """A worker: its ``name`` and its ``id``, which is its rank.

    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.rpc.WorkerInfo
    """

    name: str
    id: int

    def __repr__(self):
        return f"WorkerInfo(id={self.id}, name={self.name})"


class RpcBackendOptions:
    """What all backends are told: ``rpc_timeout`` in seconds (0: none) and ``init_method``, a URL."""

    def __init__(self, rpc_timeout=DEFAULT_RPC_TIMEOUT_SEC, init_method=DEFAULT_INIT_METHOD):
        if isinstance(rpc_timeout, bool) or not isinstance(rpc_timeout, (int, float)):
            raise TypeError(f"rpc_timeout must be a number of seconds, but got {type(rpc_timeout).__name__}")
        if rpc_timeout < 0:
            raise ValueError(f"rpc_timeout must not be negative, but got {rpc_timeout}")
        if not isinstance(init_method, str):
            raise TypeError(f"init_method must be a str, but got {type(init_method).__name__}")
        self.rpc_timeout, self.init_method = float(rpc_timeout), init_method


class TensorPipeRpcBackendOptions(RpcBackendOptions):
    """Options of init_rpc: also ``num_worker_threads``, which run what others call, and maps of GPUs.

    ``device_maps`` says, for each other worker's name, {GPU here: GPU there}; without an entry, tensors on GPUs can't
    be sent. They travel through the memory of the CPU. ``devices`` are those to use.
    Source: https://docs.pytorch.org/docs/stable/rpc.html#torch.distributed.rpc.TensorPipeRpcBackendOptions

    >>> from minigrad.distributed import rpc
    >>> rpc.TensorPipeRpcBackendOptions(rpc_timeout=5).num_worker_threads
    16
    """

    def __init__(
        self, *, num_worker_threads=DEFAULT_NUM_WORKER_THREADS, rpc_timeout=DEFAULT_RPC_TIMEOUT_SEC,
        init_method=DEFAULT_INIT_METHOD, device_maps=None, devices=None, _transports=None, _channels=None,
    ):  # fmt: skip
        super().__init__(rpc_timeout, init_method)
        if _transports is not None or _channels is not None:
            raise NotImplementedError("TensorPipeRpcBackendOptions: there is one transport, TCP; leave _transports out")
        if not isinstance(num_worker_threads, int) or num_worker_threads < 1:
            raise ValueError(f"num_worker_threads must be positive, but got {num_worker_threads!r}")
        self.num_worker_threads = num_worker_threads
        self.device_maps, self.devices = {}, []
        for to, device_map in (device_maps or {}).items():
            self.set_device_map(to, device_map)
        if devices:
            self.set_devices(devices)

    def set_device_map(self, to, device_map):
        """Say on which GPU of worker ``to`` a tensor on a GPU here arrives; RuntimeError where there is no GPU."""
        mapped = {_gpu(here): _gpu(there, here=False) for here, there in device_map.items()}
        known = self.device_maps.get(to, {})
        for here, there in mapped.items():
            if known.get(here, there) != there:
                raise ValueError(
                    f"`set_device_map` only supports 1-to-1 mapping, trying to map {here} to {known[here]} and {there}"
                )
        together = {**known, **mapped}
        if len(set(together.values())) != len(together):
            raise ValueError(f"`set_device_map` only supports 1-to-1 mapping, but several are mapped to one: {mapped}")
        self.device_maps[to] = together

    def set_devices(self, devices):
        """Say which GPUs are used; RuntimeError where there is none."""
        self.devices = [_gpu(device) for device in devices]


def _gpu(value, here=True):
    """Return the device of a GPU's number or name; RuntimeError where it is not there."""
    from minigrad.backend import cuda_is_available, device
    from minigrad.tensor import as_device

    if not cuda_is_available():
        raise RuntimeError("rpc: there is no GPU here, so no device map: tensors on the CPU are sent without one")
    chosen = device(f"cuda:{value}" if isinstance(value, int) else value)
    return as_device(chosen) if here else chosen
