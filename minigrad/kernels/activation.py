"""Activations of raw arrays; float16 is computed in float32 and rounded once."""

import functools
import math

from minigrad.backend import np, parallel_ranges, xp
from minigrad.kernels import cuda, elementwise, special
from minigrad.kernels.mask import choose, keep

_BLOCK = 16384
_SHARED_BLOCK = 2**16  # of a thread: in smaller ones threads wait for one another

_KERNELS = frozenset(("sigmoid", "leaky_relu", "gelu", "gelu_tanh", "silu"))  # of those below, on a GPU

# NumPy's functions take a 0-d array of the right dtype in half the time of a Python number.
_ZEROS = {code: np.zeros((), code) for code in "efd"}


def in_single(function):
    """Compute float16 in float32, and large arrays block by block so that the passes stay in the cache.

    Functions get arrays, never NumPy's scalars; what follows x are numbers. Those of which there is a kernel of that
    name are run by it on a GPU.
    """
    name = function.__name__ if function.__name__ in _KERNELS else None

    @functools.wraps(function)
    def run(x, *args):
        module = xp(x)
        if module is not np and name and cuda.arrays.takes(x):
            return cuda.activation.forward(name, x, *args)
        x = module.asarray(x)
        if x.dtype.char == "e":
            return run(x.astype(np.float32), *args).astype(np.float16)
        if x.size <= _BLOCK or module is not np or not x.flags.c_contiguous:
            return module.asarray(function(x, *args))
        flat, out = x.reshape(-1), np.empty(x.size, x.dtype)

        def block(start, stop):
            out[start:stop] = function(flat[start:stop], *args)

        if x.size >= elementwise.LARGE:
            parallel_ranges(x.size, _SHARED_BLOCK, block)
        else:
            for start in range(0, x.size, _BLOCK):
                block(start, start + _BLOCK)
        return out.reshape(x.shape)

    return run


def relu(x):
    """Return max(x, 0); RuntimeError for bools."""
    zero = _ZEROS.get(x.dtype.char)
    if zero is not None and type(x) is np.ndarray:
        return np.maximum(x, zero) if x.size <= 1024 else clip(x, zero, np.inf)
    if x.dtype.kind == "b":
        raise RuntimeError("Boolean inputs not supported for relu")
    if type(x) is not np.ndarray and cuda.arrays.takes(x):
        return cuda.activation.forward("relu", x)
    return xp(x).maximum(x, 0)


def gradient(kind, g, y, *option):
    """Return the gradient to the input of an activation from one kernel on a GPU, None where there is no such kernel.

    y is the result of sigmoid and tanh, and the input of leaky_relu, gelu, gelu_tanh and silu; option: the slope.
    """
    if type(g) is np.ndarray or not cuda.arrays.takes(y) or g.shape != y.shape:
        return None
    return cuda.activation.gradient(kind, g, y, *option)


def relu_into(x, out):
    """Write max(x, 0) into out, which may be x; floats of NumPy's."""
    clip(x, _ZEROS[x.dtype.char], np.inf, out)


def clip(x, low, high, out=None):
    """Return min(max(x, low), high), written into out if given: NumPy's fastest, which takes longest to start."""
    if x.size < elementwise.LARGE or not elementwise.suits(x, *(() if out is None else (out,))):
        return x.clip(low, high, out=out)
    out = np.empty_like(x) if out is None else out
    elementwise.in_blocks(lambda x, out: x.clip(low, high, out=out), x, out)
    return out


@in_single
def sigmoid(x):
    """Return 1 / (1 + exp(-x)): exp overflows to inf where the result is 0."""
    module = xp(x)
    out = module.asarray(module.negative(x))
    module.exp(out, out=out)
    out += 1
    return module.reciprocal(out, out=out)


@in_single
def leaky_relu(x, slope):
    """Return x where x > 0, slope * x elsewhere."""
    scaled = x * slope
    return xp(x).maximum(x, scaled) if 0 <= slope <= 1 else choose(x > 0, x, xp(x).asarray(scaled))


@in_single
def elu(x, alpha, scale, input_scale):
    """Return scale * x where x > 0, scale * alpha * (exp(input_scale * x) - 1) elsewhere."""
    module = xp(x)
    negative = module.expm1(module.minimum(x, 0) * input_scale)
    return module.asarray(module.maximum(x, 0) * scale + negative * (alpha * scale))


@in_single
def gelu(x):
    """Return x times the standard normal distribution function at x."""
    out = special.erf(x * math.sqrt(0.5))
    out += 1
    out *= 0.5
    out *= x
    return out


@in_single
def gelu_slope(x):
    """Return the derivative of gelu: the normal distribution function plus x times its density."""
    out = special.erf(x * math.sqrt(0.5))
    out += 1
    out *= 0.5
    density = x * x
    density *= -0.5
    density = xp(x).exp(density)
    density *= x
    density *= 1 / math.sqrt(2 * math.pi)
    out += density
    return out


@in_single
def gelu_tanh(x):
    """Return 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))."""
    out = x * x
    out *= 0.044715
    out += 1
    out *= x
    out *= math.sqrt(2 / math.pi)
    out = xp(x).tanh(out)
    out += 1
    out *= 0.5
    out *= x
    return out


@in_single
def softplus(x, beta, threshold):
    """Return log(1 + exp(beta x)) / beta, or x where beta x > threshold."""
    module = xp(x)
    scaled = module.asarray(x * beta)
    out = module.asarray(module.log1p(module.exp(module.minimum(scaled, threshold))) / beta)
    return choose(scaled > threshold, x, out)


@in_single
def logsigmoid(x):
    """Return log(sigmoid(x))."""
    module = xp(x)
    return module.asarray(module.minimum(x, 0) - module.log1p(module.exp(-module.abs(x))))


@in_single
def silu(x):
    """Return x * sigmoid(x)."""
    module = xp(x)
    out = module.asarray(module.negative(x))
    module.exp(out, out=out)
    out += 1
    return module.divide(x, out, out=out)


@in_single
def mish(x):
    """Return x * tanh(log(1 + exp(x))); with e = exp(x) the tanh is e (e + 2) / (e (e + 2) + 2)."""
    module = xp(x)
    e = module.exp(module.minimum(x, 20))
    n = e * (e + 2)
    return module.asarray(x * (n / (n + 2)))


@in_single
def hardsigmoid(x):
    """Return min(max(x / 6 + 1/2, 0), 1)."""
    return xp(x).clip(x + 3, 0, 6) / 6


@in_single
def hardswish(x):
    """Return x * hardsigmoid(x)."""
    return x * (xp(x).clip(x + 3, 0, 6) / 6)


def hardshrink(x, lambd):
    """Return x, and 0 where |x| <= lambd."""
    return keep(x, ~(xp(x).abs(x) <= lambd))


def softshrink(x, lambd):
    """Return x moved towards 0 by lambd."""
    module = xp(x)
    return module.asarray(x - module.clip(x, -lambd, lambd))


def threshold(x, limit, value):
    """Return x, and value where x <= limit."""
    module = xp(x)
    return choose(module.asarray(x <= limit), module.asarray(value, x.dtype), x)
