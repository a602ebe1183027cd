"""Random numbers: generators with PyTorch's interface over NumPy's PCG64 (CPU) and CuPy's XORWOW (GPU)."""

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


class Generator:
    """Source of random numbers with a seed and a state of its own.

    ``generator.numpy`` is the underlying :class:`numpy.random.Generator`.

    >>> import minigrad as mg
    >>> mg.Generator().manual_seed(7).initial_seed()
    7
    """

    def __init__(self, device="cpu"):
        self._device = _as_device(device)
        self._start(67280421310721)

    def _start(self, seed):
        self._seed = seed
        self.__dict__.pop("numpy", None)
        self._cupy = {}

    @functools.cached_property
    def numpy(self):
        """The generator of NumPy arrays, made when first used: NumPy's random module is slow to import."""
        return np.random.Generator(np.random.PCG64(self._seed))

    @property
    def device(self):
        """The device the numbers are drawn on."""
        return self._device

    def on(self, module):
        """Return the random generator of an array module (numpy or cupy), seeded alike."""
        if DRAWS.observer is not None:
            DRAWS.observer(self, module)
        if module is np:
            return self.numpy
        index = cupy_module().cuda.runtime.getDevice()
        if index not in self._cupy:
            self._cupy[index] = module.random.Generator(module.random.XORWOW(self._seed))
        return self._cupy[index]

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
        """Return the whole state as 64 bytes (seed, PCG64 state, increment, buffered half word)."""
        state = self.numpy.bit_generator.state
        words = [
            self._seed.to_bytes(8, "little"),
            state["state"]["state"].to_bytes(16, "little"),
            state["state"]["inc"].to_bytes(16, "little"),
            int(state["has_uint32"]).to_bytes(8, "little"),
            int(state["uinteger"]).to_bytes(8, "little"),
        ]
        return b"".join(words).ljust(64, b"\0")

    def set_state_bytes(self, data):
        """Restore a state made by state_bytes; RuntimeError if it is not one."""
        if len(data) != 64:
            raise RuntimeError(f"set_state expected a state of 64 bytes from get_state, but got {len(data)}")
        seed, state, increment, has_half, half = (
            int.from_bytes(data[start:stop], "little")
            for start, stop in ((0, 8), (8, 24), (24, 40), (40, 48), (48, 56))
        )
        self._start(seed)
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
        self._device = device(saved["device"])
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
