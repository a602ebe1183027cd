"""torch.distributed for the CPU: processes that exchange tensors, on one machine or several, and groups of them.

The backend "gloo" connects all ranks by TCP (see docs/distributed.md). Programs written for several processes also run
with ``world_size=1``, as a group of one rank.
Source: https://docs.pytorch.org/docs/stable/distributed.html
"""

import importlib as _importlib

from minigrad.absent import getter
from minigrad.distributed.collectives import (
    all_gather,
    all_gather_into_tensor,
    all_gather_single,
    all_reduce,
    all_reduce_coalesced,
    all_to_all,
    all_to_all_single,
    barrier,
    broadcast,
    gather,
    monitored_barrier,
    reduce,
    reduce_scatter,
    reduce_scatter_single,
    reduce_scatter_tensor,
    scatter,
)
from minigrad.distributed.errors import DistBackendError, DistError, DistNetworkError, DistStoreError, QueueEmptyError
from minigrad.distributed.objects import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
    recv_object_list,
    scatter_object_list,
    send_object_list,
)
from minigrad.distributed.point import P2POp, batch_isend_irecv, irecv, isend, recv, send
from minigrad.distributed.process_group import (
    Backend,
    GroupMember,
    ProcessGroup,
    ReduceOp,
    Work,
    default_pg_timeout,
    destroy_process_group,
    get_backend,
    get_global_rank,
    get_group_rank,
    get_node_local_rank,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_available,
    is_gloo_available,
    is_initialized,
    is_launched,
    is_mpi_available,
    is_nccl_available,
    is_torchelastic_launched,
    is_ucc_available,
    is_xccl_available,
    new_group,
    new_subgroups,
    new_subgroups_by_enumeration,
    split_group,
)
from minigrad.distributed.rendezvous import rendezvous
from minigrad.distributed.store import FileStore, HashStore, PrefixStore, Store, TCPStore

_ON_DEMAND = ("autograd", "nn", "optim", "rpc")
_absent = getter(__name__)


def __getattr__(name):
    return _importlib.import_module(f"{__name__}.{name}") if name in _ON_DEMAND else _absent(name)
