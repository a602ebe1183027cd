"""The state of the random numbers: PyTorch's torch.random."""

import contextlib

from minigrad.absent import getter
from minigrad.backend import default_generator, initial_seed, manual_seed, seed
from minigrad.ops.random import get_rng_state, set_rng_state

__all__ = ["default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True, device_type=None):
    """Restore the state of the random numbers when the ``with`` block is left.

    One generator serves all devices here, so ``devices`` may name any of them; ``enabled=False`` does nothing.

    >>> import minigrad as mg
    >>> before = mg.initial_seed()
    >>> with mg.random.fork_rng():
    ...     _ = mg.manual_seed(1)
    >>> mg.initial_seed() == before
    True
    """
    if device_type not in (None, "cuda", "cpu"):
        raise RuntimeError(f"fork_rng: device_type must be 'cuda' or 'cpu', but got {device_type!r}")
    if devices is not None and not isinstance(devices, (list, tuple, range)):
        raise TypeError(f"fork_rng: devices must be a sequence of devices, but got {type(devices).__name__}")
    state = get_rng_state() if enabled else None
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


__getattr__ = getter(__name__)
