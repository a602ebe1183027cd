"""Modules of other workers: RemoteModule. Source: https://docs.pytorch.org/docs/stable/rpc.html#remotemodule"""

from minigrad.absent import getter
from minigrad.distributed.nn.api.remote_module import RemoteModule

__all__ = ["RemoteModule"]
__getattr__ = getter(__name__)
