"""Random numbers of a GPU, with the methods of a generator of NumPy's that minigrad calls."""

from minigrad.backend import np, xp
from minigrad.backend.libraries import is_capturing, lasting
from minigrad.kernels.cuda.source import Source

_SOURCE = Source("random.cu")
_SIGN = 1 << 63


def _signed(value):
    """Return an unsigned number of 64 bits as the int of the same bits that kernels take."""
    return (value & (2 * _SIGN - 1) ^ _SIGN) - _SIGN


def _dimensions(shape):
    return (shape,) if isinstance(shape, int) else tuple(shape)


class Philox:
    """Numbers of one GPU: the counters are given out by the generator, seed and draws of graphs lie on the GPU.

    Arguments: module (cupy), generator (minigrad.backend.Generator). A launch in a captured graph first counts the
    draws of graphs on, so that each replay has numbers of its own; `restart` makes the replays begin anew, too.
    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011).
    """

    def __init__(self, module, generator):
        self.module, self.generator = module, generator
        self.device = module.cuda.runtime.getDevice()
        with lasting(module):
            self.state = module.empty(2, np.uint64)
        self.restart(generator.initial_seed(), generator.replays)

    def restart(self, seed, replays):
        """Write the state; nothing waits. It is no part of a graph that is being captured."""
        set_state = _SOURCE.kernel("set_state", "float32")
        args = self.state, _signed(seed), _signed(replays)
        with self.module.cuda.Device(self.device):
            if not is_capturing(self.module):
                set_state(threads=1, block=1, args=args)
                return
            beside = self.module.cuda.Stream(non_blocking=True)
            with beside:
                set_state(threads=1, block=1, args=args)
            beside.synchronize()

    def replays(self):
        """Return how often graphs drew; waits for the GPU."""
        return int(self.state.get()[1])

    def launch(self, name, dtype, count, each, *args):
        """Launch a kernel in which each thread takes one draw, of ``each`` numbers."""
        draws = -(-count // each)
        position = self.generator.take(draws)
        if is_capturing(self.module):
            self.generator.drawn_in_graphs = True
            position += 1 << 62
            _SOURCE.kernel("next_draws", "float32")(threads=1, block=1, args=(self.state,))
        _SOURCE.kernel(name, dtype)(threads=draws, args=(self.state, position, *args))

    def _draw(self, name, shape, dtype):
        dtype = np.dtype(dtype)
        out = self.module.empty(_dimensions(shape), dtype)
        self.launch(name, dtype, out.size, 16 // dtype.itemsize, out, out.size)
        return out

    def random(self, shape=(), dtype=np.float64):
        """Return numbers uniform on [0, 1), float32 or float64."""
        return self._draw("draw_uniform", shape, dtype)

    def standard_normal(self, shape=(), dtype=np.float64):
        """Return numbers of mean 0 and variance 1, float32 or float64."""
        return self._draw("draw_normal", shape, dtype)

    def standard_exponential(self, shape=(), dtype=np.float64):
        """Return numbers of the exponential distribution of rate 1, float32 or float64."""
        return self._draw("draw_exponential", shape, dtype)

    def exponential(self, size=()):
        """Return `standard_exponential` of a shape, in float64."""
        return self.standard_exponential(size)

    def integers(self, low, high, shape=(), dtype=np.int64):
        """Return integers uniform on [low, high), of int64 or uint64."""
        out = self.module.empty(_dimensions(shape), np.int64)
        self.launch("draw_integers", "float32", out.size, 2, out, out.size, _signed(low), _signed(high - low))
        return out.view(dtype)

    def dropout(self, x, p):
        """Return (x / (1 - p) where a number drawn for it is at least p and 0 elsewhere, bytes that say where)."""
        module = self.module
        x = x if x.flags.c_contiguous or x.flags.f_contiguous else _ordered(module, x)
        out, mask = module.empty_like(x), module.empty_like(x, dtype=np.bool_)
        self.launch("dropout", x.dtype, x.size, 4, x, out, mask, x.size, float(p), 1 / (1 - p))
        return out, mask

    def __getattr__(self, name):
        """Distributions that training does not need: CuPy's own, seeded by a number drawn here."""
        if name not in ("poisson", "binomial", "standard_gamma"):
            raise AttributeError(f"the random numbers of GPUs have no {name}")
        random = self.module.random
        seed = self.generator.initial_seed() + 0x9E3779B97F4A7C15 * self.generator.take(1)
        return getattr(random.Generator(random.XORWOW(seed & (2 * _SIGN - 1))), name)


def _ordered(module, x):
    """Return x if its elements fill its memory in some order of dimensions, otherwise a copy."""
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    return x if x.transpose(order).flags.c_contiguous else module.ascontiguousarray(x)


def keep_scaled(g, mask, scale):
    """Return g times the scale where the mask is true, zero elsewhere, in the mask's order of memory."""
    module = xp(g)
    if g.strides != tuple(stride * g.itemsize for stride in mask.strides):
        laid = module.empty_like(mask, dtype=g.dtype)
        laid[...] = g
        g = laid
    out = module.empty_like(g)
    _SOURCE.kernel("keep_scaled", g.dtype)(threads=g.size, args=(g, mask, out, g.size, float(scale)))
    return out


def words(module, counters, key):
    """Return Philox's four words for counters (n, 4), uint32, and a key of 64 bits."""
    out = module.empty_like(counters)
    kernel = _SOURCE.kernel("philox_words", "float32")
    kernel(threads=len(counters), args=(counters, out, _signed(key), len(counters)))
    return out
