"""Random numbers: generators with PyTorch's interface over NumPy's PCG64 (CPU) and Philox 4x32-10 (GPU)."""

import functools
import os
import threading

from minigrad.backend.arrays import np
from minigrad.backend.devices import check_exists, cupy_module, device

_MASK = (1 << 64) - 1


class _Draws(threading.local):
    """Who wants to know, in this thread, that random numbers are about to be drawn (vmap)."""

    observer = None  # function of the generator and the array module


DRAWS = _Draws()
_TAKING = threading.Lock()
_GPU_SOURCE = []  # the class of a GPU's random numbers: takes cupy and the generator


def use_gpu_source(source):
    """Set what makes a GPU's random numbers of (cupy, Generator)."""
    _GPU_SOURCE[:] = [source]


class Generator:
    """Source of random numbers with a seed and a state of its own.

    ``generator.numpy`` is the underlying :class:`numpy.random.Generator`.

    >>> import minigrad as mg
    >>> mg.Generator().manual_seed(7).initial_seed()
    7
    """

    def __init__(self, device="cpu"):
        self._device = _as_device(device)
        self._gpu = {}  # index of a GPU -> its random numbers
        self.drawn_in_graphs = False
        self._start(67280421310721)

    def _start(self, seed, taken=0, replays=0):
        self._seed = seed
        self.__dict__.pop("numpy", None)
        self._taken, self.replays = taken, replays
        for source in self._gpu.values():
            source.restart(seed, replays)

    def take(self, count):
        """Return the first of ``count`` counters of a GPU's random numbers that nobody else gets."""
        with _TAKING:
            first = self._taken
            self._taken += count
        return first

    @functools.cached_property
    def numpy(self):
        """The generator of NumPy arrays, made when first used: NumPy's random module is slow to import."""
        return np.random.Generator(np.random.PCG64(self._seed))

    @property
    def device(self):
        """The device the numbers are drawn on."""
        return self._device

    def on(self, module):
        """Return the random numbers of an array module, numpy or cupy (there of the current GPU)."""
        if DRAWS.observer is not None:
            DRAWS.observer(self, module)
        if module is np:
            return self.numpy
        index = cupy_module().cuda.runtime.getDevice()
        if index not in self._gpu:
            self._gpu[index] = _GPU_SOURCE[0](module, self)
        return self._gpu[index]

    def manual_seed(self, seed):
        """Restart from a seed (any integer of 64 bits); returns the generator."""
        try:
            seed = int(seed)
        except ValueError:
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}") from None
        if not -(1 << 63) <= seed <= _MASK:
            raise ValueError(f"manual_seed expected a seed in [-2**63, 2**64 - 1], but got {seed}")
        self._start(seed & _MASK)
        return self

    def seed(self):
        """Restart from a seed of the operating system's randomness; returns it."""
        self.manual_seed(int.from_bytes(os.urandom(7), "little"))
        return self._seed

    def clone_state(self):
        """Return a new generator that goes on where this one is."""
        return Generator(self._device).set_state_bytes(self.state_bytes())

    def initial_seed(self):
        """Return the last seed set."""
        return self._seed

    def state_bytes(self):
        """Return the whole state as 64 bytes.

        They are the seed, PCG64's state, increment and buffered half word, and the GPUs' counters: numbers taken, and
        how often graphs drew (asked of the GPUs, which is waited for, only if any did).
        """
        state = self.numpy.bit_generator.state
        replays = self.replays
        if self.drawn_in_graphs and self._gpu:
            replays = max(source.replays() for source in self._gpu.values())
        words = [
            self._seed.to_bytes(8, "little"),
            state["state"]["state"].to_bytes(16, "little"),
            state["state"]["inc"].to_bytes(16, "little"),
            int(state["has_uint32"]).to_bytes(1, "little"),
            self._taken.to_bytes(7, "little"),
            int(state["uinteger"]).to_bytes(4, "little"),
            replays.to_bytes(12, "little"),
        ]
        return b"".join(words)

    def set_state_bytes(self, data):
        """Restore a state made by state_bytes; RuntimeError if it is not one."""
        if len(data) != 64:
            raise RuntimeError(f"set_state expected a state of 64 bytes from get_state, but got {len(data)}")
        seed, state, increment, has_half, taken, half, replays = (
            int.from_bytes(data[start:stop], "little")
            for start, stop in ((0, 8), (8, 24), (24, 40), (40, 41), (41, 48), (48, 52), (52, 64))
        )
        self._start(seed, taken, replays)
        self.numpy.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": increment},
            "has_uint32": has_half,
            "uinteger": half,
        }
        return self

    def __getstate__(self):
        return {"device": str(self._device), "state": self.state_bytes()}

    def __setstate__(self, saved):
        self._device, self._gpu, self.drawn_in_graphs = device(saved["device"]), {}, False
        self.set_state_bytes(saved["state"])


def _as_device(value):
    """Return a device object (a parameter of the constructor shadows the class there)."""
    return check_exists(device(value))


default_generator = Generator()


def manual_seed(seed):
    """Seed the default generator of every device; returns the CPU's."""
    return default_generator.manual_seed(int(seed))


def seed():
    """Seed the default generator from the operating system; returns the seed."""
    return default_generator.seed()


def initial_seed():
    """Return the default generator's last seed."""
    return default_generator.initial_seed()
