"""An LSTM on raw arrays, one step or a whole sequence, and the gradients."""

from minigrad.backend import xp
from minigrad.kernels.activation import sigmoid
from minigrad.kernels.matmul import matmul, matmul_into


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


def lstm_sequence(gates, h, c, weight, reverse):
    """Run an LSTM over the gates of its input, from the last step to the first if reverse.

    Arguments: gates (T, N, 4H), the input's, with both biases; h, c (N, H); weight (4H, H), the state's. Returns the h
    of every step (T, N, H), the last c (N, H), the c before, between and after the steps (T + 1, N, H; the first one at
    that end where the run begins) and the opened gates (T, N, 4H). The sigmoid is (1 + tanh(x / 2)) / 2: one tanh for
    all gates.
    """
    module, (steps, count, width) = xp(gates), gates.shape
    size = width // 4
    scale = module.full(width, 0.5, gates.dtype)
    scale[2 * size : 3 * size] = 1
    shift = 1 - scale
    opened = gates * scale
    weight = module.ascontiguousarray((weight * scale[:, None]).T)  # (H, 4H)
    states, hidden = (module.empty((steps + extra, count, size), gates.dtype) for extra in (1, 0))
    states[steps if reverse else 0] = c
    product, kept = (module.empty((count, length), gates.dtype) for length in (width, size))
    for t in reversed(range(steps)) if reverse else range(steps):
        before, after = (states[t + 1], states[t]) if reverse else (states[t], states[t + 1])
        z = opened[t]
        z += matmul_into(h, weight, product)
        module.tanh(z, out=z)
        z *= scale
        z += shift
        module.multiply(z[:, size : 2 * size], before, out=after)
        after += module.multiply(z[:, :size], z[:, 2 * size : 3 * size], out=kept)
        h = hidden[t]
        module.multiply(z[:, 3 * size :], module.tanh(after, out=kept), out=h)
    return hidden, states[0 if reverse else steps].copy(), states, opened


def lstm_sequence_gradients(g_hidden, g_c, h, weight, hidden, states, opened, reverse):
    """Return the gradients of the gates, of the first h and c, and of the weight, given those of all h and the last c.

    What does not pass from step to step is computed for all steps at once, the weight's gradient as one product.
    """
    module, (steps, count, size) = xp(hidden), hidden.shape
    before, after = (states[1:], states[:-1]) if reverse else (states[:-1], states[1:])
    i, f, n, o = (opened[:, :, k * size : (k + 1) * size] for k in range(4))
    squashed = module.tanh(after)
    out = opened - opened * opened  # the slope of the sigmoid, then what g_c or g_h is multiplied by, then the gradient
    module.subtract(1, n * n, out=out[:, :, 2 * size : 3 * size])
    for k, factor in enumerate((n, before, i, squashed)):
        out[:, :, k * size : (k + 1) * size] *= factor
    squashed *= squashed
    passed = module.subtract(1, squashed, out=squashed)
    passed *= o  # from h to c
    parts = out.reshape(steps, count, 4, size)
    g_h, g_c, kept = module.zeros_like(h), g_c.copy(), module.empty_like(h)
    for t in range(steps) if reverse else reversed(range(steps)):
        g_h += g_hidden[t]
        g_c += module.multiply(g_h, passed[t], out=kept)
        parts[t, :, :3] *= g_c[:, None]
        parts[t, :, 3] *= g_h
        g_c *= f[t]
        matmul_into(out[t], weight, g_h)
    first, others = (hidden[1:], h) if reverse else (h, hidden[:-1])
    previous = module.concatenate([first, others[None]] if reverse else [first[None], others])  # the h before each step
    g_weight = matmul(out.reshape(-1, 4 * size).T, previous.reshape(-1, size))
    return out, g_h, g_c, g_weight
