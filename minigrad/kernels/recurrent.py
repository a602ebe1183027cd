"""One step of an LSTM on raw arrays, and its gradient."""

from minigrad.backend import xp
from minigrad.kernels.activation import sigmoid


def lstm_step(gates, c):
    """Return the new h and c and the opened gates i, f, g, o, side by side. # gates: (N, 4H), c: (N, H)"""
    module, size = xp(gates), c.shape[-1]
    opened = sigmoid(gates)
    module.tanh(gates[..., 2 * size : 3 * size], out=opened[..., 2 * size : 3 * size])
    new_c = opened[..., size : 2 * size] * c
    new_c += opened[..., :size] * opened[..., 2 * size : 3 * size]
    return opened[..., 3 * size :] * module.tanh(new_c), new_c, opened


def lstm_gradients(g_h, g_c, g_opened, c, new_c, opened):
    """Return the gradients of the gates and of c, given those of the new h and c and of the opened gates."""
    module, size = xp(c), c.shape[-1]
    i, f, n, o = (opened[..., k * size : (k + 1) * size] for k in range(4))
    squashed = module.tanh(new_c)
    g_c = g_c + g_h * o * (1 - squashed * squashed)
    out = module.empty_like(opened)
    module.multiply(g_c, n, out=out[..., :size])
    module.multiply(g_c, c, out=out[..., size : 2 * size])
    module.multiply(g_c, i, out=out[..., 2 * size : 3 * size])
    module.multiply(g_h, squashed, out=out[..., 3 * size :])
    out += g_opened
    slope = opened - opened * opened  # of the sigmoid
    module.subtract(1, n * n, out=slope[..., 2 * size : 3 * size])  # of tanh
    out *= slope
    return out, g_c * f
