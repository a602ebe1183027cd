"""Remote procedure calls between processes: functions run, and objects stay, on other workers.

Every worker is a process that calls init_rpc. Values travel pickled, and are unpickled only from processes that have
proven to know the secret of the group (see distributed.transport); whoever knows it can run any code.
Source: https://docs.pytorch.org/docs/stable/rpc.html
"""

from minigrad.absent import getter
from minigrad.distributed.rpc import api, functions, options
from minigrad.distributed.rpc.api import (
    _all_gather,
    _barrier,
    _is_current_rpc_agent_set,
    _set_rpc_timeout,
    get_rpc_timeout,
    get_worker_info,
    init_rpc,
    remote,
    rpc_async,
    rpc_sync,
    shutdown,
)
from minigrad.distributed.rpc.options import (
    BackendType,
    RpcBackendOptions,
    TensorPipeRpcBackendOptions,
    WorkerInfo,
)
from minigrad.distributed.rpc.rref import RRef

PyRRef = RRef
__all__ = [
    "BackendType", "PyRRef", "RRef", "RpcBackendOptions", "TensorPipeRpcBackendOptions", "WorkerInfo", "functions",
    "get_rpc_timeout", "get_worker_info", "init_rpc", "is_available", "remote", "rpc_async", "rpc_sync", "shutdown",
]  # fmt: skip


def is_available():
    """Return True: workers can be made."""
    return True


__getattr__ = getter(__name__)
