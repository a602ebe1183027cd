"""Recurrent cells, and layers that run them over sequences."""

from minigrad.backend import PRECISION, xp
from minigrad.engine import grad
from minigrad.interception import composite
from minigrad.kernels import recurrent as kernels
from minigrad.kernels.activation import sigmoid
from minigrad.op import Op
from minigrad.ops.activation import relu
from minigrad.ops.define import require_tensor
from minigrad.ops.dropout import dropout
from minigrad.ops.linear import linear
from minigrad.ops.pieces import cat_op, select_op, slice_op, split_op, stack_op, unbind_op
from minigrad.ops.unary import tanh_op
from minigrad.precision import in_region
from minigrad.registry import function
from minigrad.tensor import Tensor
from minigrad.variable import MODE


def _part(x, index, count):
    """Return one of ``count`` equal parts of the last dimension."""
    size = x.shape[-1] // count
    return slice_op(x, dim=x.ndim - 1, start=index * size, stop=(index + 1) * size, step=1)


# ---------------------------------------------------------------------- one step
def _lstm_gradients(g, c, out):
    """The opened gates are a result of their own, so that this rule can be differentiated again."""
    _, new_c, opened = out
    g_h, g_c, g_opened = g
    if not isinstance(opened, Tensor):  # an ordinary backward pass: the same formula in fewer passes over memory
        return kernels.lstm_gradients(g_h, g_c, g_opened, c, new_c, opened)
    i, f, n, o = (_part(opened, index, 4) for index in range(4))
    squashed = tanh_op(new_c)
    g_c = g_c + g_h * o * (1 - squashed * squashed)
    g_opened = g_opened + cat_op(g_c * n, g_c * c, g_c * i, g_h * squashed, dim=g_h.ndim - 1)
    slope = cat_op(i * (1 - i), f * (1 - f), 1 - n * n, o * (1 - o), dim=g_h.ndim - 1)
    return g_opened * slope, g_c * f


lstm_step = Op(kernels.lstm_step, joint=_lstm_gradients, name="lstm_step")


def _gru_step(x_gates, h_gates, h):
    """Return the new h and the opened gates r, z, n. # gates: (N, 3H), of the input and of the state; h: (N, H)"""
    module, size = xp(h), h.shape[-1]
    opened = module.empty_like(x_gates)
    opened[..., : 2 * size] = sigmoid(x_gates[..., : 2 * size] + h_gates[..., : 2 * size])
    n = opened[..., 2 * size :]
    module.multiply(opened[..., :size], h_gates[..., 2 * size :], out=n)
    n += x_gates[..., 2 * size :]
    module.tanh(n, out=n)
    return n + opened[..., size : 2 * size] * (h - n), opened


def _gru_gradients(g, h_gates, h, out):
    r, z, n = (_part(out[1], index, 3) for index in range(3))
    g_h, g_opened = g
    g_n = (g_h * (1 - z) + _part(g_opened, 2, 3)) * (1 - n * n)
    g_r = (g_n * _part(h_gates, 2, 3) + _part(g_opened, 0, 3)) * (r * (1 - r))
    g_z = (g_h * (h - n) + _part(g_opened, 1, 3)) * (z * (1 - z))
    dim = g_h.ndim - 1
    return cat_op(g_r, g_z, g_n, dim=dim), cat_op(g_r, g_z, g_n * r, dim=dim), g_h * z


gru_step = Op(_gru_step, joint=_gru_gradients, name="gru_step")


def _lstm_sequence(gates, h, c, weight, *, reverse):
    return kernels.lstm_sequence(gates, h, c, weight, reverse)


def _lstm_sequence_rule(g, gates, h, c, weight, out, reverse, needs):
    """Return the gradients by the fused kernel or, when the pass is itself recorded, through the single steps.

    The states between the steps and the opened gates are results so that they are kept; nobody else gets to see them.
    """
    if not isinstance(gates, Tensor):
        hidden, _, states, opened = out
        return kernels.lstm_sequence_gradients(*g[:2], h, weight, hidden, states, opened, reverse)
    outputs, (_, last) = _run(_lstm, unbind_op(gates, dim=0), (h, c), (weight, None, None), reverse)
    inputs = [tensor for tensor, needed in zip((gates, h, c, weight), needs) if needed]
    found = iter(grad((stack_op(*outputs, dim=0), last), inputs, g[:2], create_graph=True, allow_unused=True))
    return tuple([next(found) if needed else None for needed in needs])


lstm_sequence = Op(_lstm_sequence, joint=_lstm_sequence_rule, name="lstm_sequence")


def _is_whole(input, start, *weights):
    """Whether a sequence can run as one operation: one dtype, float32 or float64, and at least one step and row."""
    dtype = input.array.dtype
    others = (*start, *weights)
    return dtype.char in "fd" and input.array.size > 0 and all(other.array.dtype == dtype for other in others)


def _whole_lstm(gates, start, weight, reverse):
    """Return (output (T, N, H), last state) of an LSTM over the gates (T, N, 4H) of its input, as one operation."""
    output, last = lstm_sequence(gates, *start, weight, reverse=reverse)[:2]
    return output, (select_op(output, dim=0, index=0 if reverse else -1), last)


# Each takes the input's gates, the state (h, or h and c) and the state's weight and bias, and returns the new state.
def _lstm(x_gates, state, weight, bias):
    return lstm_step(x_gates + linear(state[0], weight, bias), state[1])[:2]


def _gru(x_gates, state, weight, bias):
    return gru_step(x_gates, linear(state[0], weight, bias), state[0])[:1]


def _tanh(x_gates, state, weight, bias):
    return (tanh_op(x_gates + linear(state[0], weight, bias)),)


def _relu(x_gates, state, weight, bias):
    return (relu(x_gates + linear(state[0], weight, bias)),)


STEPS = {"LSTM": _lstm, "GRU": _gru, "RNN_TANH": _tanh, "RNN_RELU": _relu}


def _cell(mode, name, input, state, w_ih, w_hh, b_ih, b_hh):
    for position, (what, tensor) in enumerate((("input", input), ("hx", state[0]), ("w_ih", w_ih), ("w_hh", w_hh)), 1):
        require_tensor(name, tensor, what, position)
    return STEPS[mode](linear(input, w_ih, b_ih), state, w_hh, b_hh)


@function()
def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """Return (h, c) after one step of an LSTM; nn.LSTMCell says what it computes.

    Arguments: input (N, I) or (I,), hx (h, c), each (N, H) or (H,), w_ih (4H, I), w_hh (4H, H), b_ih, b_hh (4H,).
    Source: Hochreiter & Schmidhuber 1997; https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html

    >>> import minigrad as mg
    >>> h, c = mg.lstm_cell(mg.zeros(1, 3), (mg.zeros(1, 2), mg.ones(1, 2)), mg.zeros(8, 3), mg.zeros(8, 2))
    >>> c
    tensor([[0.5000, 0.5000]])
    """
    return _cell("LSTM", "lstm_cell", input, tuple(hx), w_ih, w_hh, b_ih, b_hh)


@function()
def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """Return h after one step of a GRU; nn.GRUCell says what it computes.

    Arguments: input (N, I) or (I,), hx (N, H) or (H,), w_ih (3H, I), w_hh (3H, H), b_ih, b_hh (3H,).
    Source: Cho et al. 2014; https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html

    >>> import minigrad as mg
    >>> mg.gru_cell(mg.zeros(1, 3), mg.ones(1, 2), mg.zeros(6, 3), mg.zeros(6, 2))
    tensor([[0.5000, 0.5000]])
    """
    return _cell("GRU", "gru_cell", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


@function()
def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """Return tanh(w_ih input + b_ih + w_hh hx + b_hh).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html

    >>> import minigrad as mg
    >>> mg.rnn_tanh_cell(mg.zeros(1, 3), mg.ones(1, 2), mg.zeros(2, 3), mg.eye(2))
    tensor([[0.7616, 0.7616]])
    """
    return _cell("RNN_TANH", "rnn_tanh_cell", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


@function()
def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """Return relu(w_ih input + b_ih + w_hh hx + b_hh).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html

    >>> import minigrad as mg
    >>> mg.rnn_relu_cell(mg.zeros(1, 3), mg.ones(1, 2), mg.zeros(2, 3), -mg.eye(2))
    tensor([[0., 0.]])
    """
    return _cell("RNN_RELU", "rnn_relu_cell", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


# ---------------------------------------------------------------------- sequences
def _rows(x, start, stop):
    return slice_op(x, dim=0, start=start, stop=stop, step=1)


def _run(step, gates, start, weights, reverse):
    """Return (outputs of all steps, last state) of one direction of one layer.

    Arguments: gates (the input's, one tensor per step; sequences are sorted, longest first, so that the ones still
    running are the first rows), start (the first state: tensors (N, …)), weights (those of the state).
    """
    weight, bias, projection = weights
    outputs, ended = [], []
    count = gates[-1].shape[0] if reverse else gates[0].shape[0]
    state = start if start[0].shape[0] == count else tuple([_rows(part, 0, count) for part in start])
    for x_gates in reversed(gates) if reverse else gates:
        running = x_gates.shape[0]
        if running > count:  # backwards in time, longer sequences have begun
            begun = [_rows(first, count, running) for first in start]
            state = tuple([cat_op(*parts, dim=0) for parts in zip(state, begun, strict=True)])
        elif running < count:
            ended.append(tuple([_rows(part, running, count) for part in state]))
            state = tuple([_rows(part, 0, running) for part in state])
        count = running
        state = step(x_gates, state, weight, bias)
        if projection is not None:
            state = (linear(state[0], projection), *state[1:])
        outputs.append(state[0])
    if ended:
        state = tuple([cat_op(*parts, dim=0) for parts in zip(state, *reversed(ended), strict=True)])
    return (outputs[::-1] if reverse else outputs), state


@composite
def recurrent_layers(mode, input, states, weights, batch_sizes=None, bidirectional=False, probability=0.0):
    """Return (output of the last layer, the last states) of layers of a recurrent network.

    Arguments: mode (a name of STEPS), input (T, N, I), or with batch_sizes (the number of sequences running at each
    step) their packed elements (sum of batch_sizes, I), states (one tensor (layers x directions, N, H) each for h and
    c), weights (per layer and direction: w_ih, w_hh, b_ih, b_hh, w_hr; None for those it has not), probability (of
    dropout between layers).
    """
    if PRECISION.active and MODE.autocast is not None:
        given = (mode, input, states, weights, batch_sizes, bidirectional, probability)
        return in_region(mode.lower().partition("_")[0], recurrent_layers, given, {})
    step, directions = STEPS[mode], 2 if bidirectional else 1
    starts = list(zip(*[unbind_op(part, dim=0) for part in states], strict=True))
    finals = []
    for layer in range(len(weights) // directions):
        if layer and probability:
            input = dropout(input, probability)
        both = []
        for direction in range(directions):
            index = layer * directions + direction
            w_ih, w_hh, b_ih, b_hh, w_hr = weights[index]
            if mode == "LSTM" and batch_sizes is None and w_hr is None and _is_whole(input, starts[index], w_ih, w_hh):
                gates = linear(input, w_ih, None if b_ih is None else b_ih + b_hh)
                output, final = _whole_lstm(gates, starts[index], w_hh, direction == 1)
                finals.append(final)
                both.append(output)
                continue
            gates = linear(input, w_ih, b_ih)
            gates = unbind_op(gates, dim=0) if batch_sizes is None else split_op(gates, dim=0, sizes=batch_sizes)
            outputs, final = _run(step, gates, starts[index], (w_hh, b_hh, w_hr), direction == 1)
            finals.append(final)
            both.append(stack_op(*outputs, dim=0) if batch_sizes is None else cat_op(*outputs, dim=0))
        input = both[0] if directions == 1 else cat_op(*both, dim=both[0].ndim - 1)
    return input, tuple([stack_op(*parts, dim=0) for parts in zip(*finals, strict=True)])
