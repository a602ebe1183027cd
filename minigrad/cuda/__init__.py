"""CUDA GPUs, through CuPy: PyTorch's torch.cuda.

Whatever asks about GPUs answers on a machine without one (0 devices, not available); whatever needs one raises
RuntimeError in one clear sentence.
"""

import importlib

from minigrad import backend
from minigrad.absent import explain
from minigrad.cuda.devices import (  # noqa: F401
    DeviceProperties,
    can_device_access_peer,
    current_device,
    device,
    device_count,
    device_of,
    get_arch_list,
    get_device_capability,
    get_device_name,
    get_device_properties,
    get_gencode_flags,
    init,
    is_available,
    is_bf16_supported,
    is_initialized,
    is_tf32_supported,
    set_device,
    synchronize,
)
from minigrad.cuda.memory import *  # noqa: F403
from minigrad.cuda.streams import (  # noqa: F401
    Event,
    ExternalStream,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    get_stream_from_external,
    is_current_stream_capturing,
    set_stream,
    stream,
)
from minigrad.ops import random as _random
from minigrad.ops.legacy import legacy_types as _legacy_types

globals().update(_legacy_types("minigrad.cuda", True))  # FloatTensor, LongTensor, …
has_half, has_magma = True, False
_MODULES = ("amp", "graphs", "nvtx")  # imported when they are first asked for
_OF_GRAPHS = ("CUDAGraph", "graph", "graph_pool_handle", "make_graphed_callables", "make_graphed_step")


# ------------------------------------------------------------------ random numbers: one generator serves all devices
def manual_seed(seed):
    """Seed the random numbers of GPUs. One generator serves all devices here, so the CPU's are seeded too."""
    backend.manual_seed(seed)


def manual_seed_all(seed):
    """Seed the random numbers of all GPUs; see manual_seed."""
    backend.manual_seed(seed)


def seed():
    """Seed the random numbers from the operating system."""
    backend.seed()


seed_all = seed


def initial_seed():
    """Return the last seed set."""
    return backend.initial_seed()


def get_rng_state(device="cuda"):  # noqa: F811
    """Return the state of the random numbers; RuntimeError without a GPU."""
    init()
    return _random.get_rng_state()


def get_rng_state_all():
    """Return a list of the state for each GPU."""
    return [_random.get_rng_state() for _ in range(device_count())]


def set_rng_state(new_state, device="cuda"):  # noqa: F811
    """Set the state of the random numbers; without a GPU nothing is done, as in PyTorch."""
    if is_available():
        _random.set_rng_state(new_state)


def set_rng_state_all(new_states):
    """Set the state of the random numbers of each GPU: the last of the list is the one of all."""
    for state in new_states:
        set_rng_state(state)


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"minigrad.cuda.{name}")
    if name in _OF_GRAPHS:
        return getattr(importlib.import_module("minigrad.cuda.graphs"), name)
    if name == "_initialized":
        return is_initialized()
    if name == "default_generators":
        return (backend.default_generator,) * device_count()
    raise AttributeError(explain(name, __name__))
