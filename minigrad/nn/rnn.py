"""Recurrent layers, and their cells of one step."""

import math
import numbers
import warnings

from minigrad.backend import xp
from minigrad.nn import init
from minigrad.nn.factory import empty_parameter
from minigrad.nn.module import Module
from minigrad.nn.utils.rnn import PackedSequence
from minigrad.ops.recurrent import gru_cell, lstm_cell, recurrent_layers, rnn_relu_cell, rnn_tanh_cell
from minigrad.tensor import wrap
from minigrad.variable import MODE

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _draw(module):
    """Draw all parameters of a recurrent module from U(-1/√H, 1/√H)."""
    bound = 1 / math.sqrt(module.hidden_size) if module.hidden_size > 0 else 0
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound)


class RNNBase(Module):
    """What RNN, LSTM and GRU share: the parameters of all layers and directions, and the run over a sequence.

    Arguments: mode (LSTM, GRU, RNN_TANH or RNN_RELU), then as in LSTM. Parameters per layer k, with the suffix _reverse
    for the other direction: weight_ih_lk (gates H, I), weight_hh_lk (gates H, H), bias_ih_lk, bias_hh_lk (gates H,),
    weight_hr_lk (proj_size, H). All start from U(-1/√H, 1/√H).
    ValueError or TypeError for sizes that cannot be.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNBase.html

    >>> import minigrad as mg
    >>> rnn = mg.nn.LSTM(3, 4)
    >>> isinstance(rnn, mg.nn.RNNBase), rnn.weight_ih_l0.shape
    (True, minigrad.Size([16, 3]))
    """

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]

    def __init__(
        self,
        mode,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        for name, value in (("bias", bias), ("batch_first", batch_first), ("bidirectional", bidirectional)):
            if not isinstance(value, bool):
                raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")
        _check_settings(input_size, hidden_size, num_layers, dropout, proj_size)
        if mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        gates, directions = _GATES[mode] * hidden_size, 2 if bidirectional else 1
        state_size = proj_size or hidden_size
        self._all_weights = []
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else state_size * directions
            shapes = {"weight_ih": (gates, inputs), "weight_hh": (gates, state_size)}
            if bias:
                shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[:directions]:
                self._all_weights.append([f"{kind}_l{layer}{suffix}" for kind in shapes])
                for name, shape in zip(self._all_weights[-1], shapes.values(), strict=True):
                    setattr(self, name, empty_parameter(shape, device, dtype))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all parameters anew."""
        _draw(self)

    def flatten_parameters(self):
        """Do nothing: PyTorch's name for laying the weights side by side for cuDNN, which is not used here."""

    def __getstate__(self):  # with what PyTorch's layers look for
        return {**self.__dict__, "_flat_weights_names": self._flat_weights_names, "_flat_weights": self._flat_weights}

    def __setstate__(self, state):
        super().__setstate__({name: value for name, value in state.items() if not name.startswith("_flat_weight")})

    @property
    def all_weights(self):
        """The parameters, one list per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights_names(self):
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self):
        return [getattr(self, name) for name in self._flat_weights_names]

    @_flat_weights.setter
    def _flat_weights(self, weights):  # programs that run a layer with other weights set them once more here
        for name, weight in zip(self._flat_weights_names, weights, strict=True):
            if getattr(self, name) is not weight:
                setattr(self, name, weight)

    def _weights(self):
        """Return, per layer and direction, (w_ih, w_hh, b_ih, b_hh, w_hr), None for those that are not there."""
        rows = []
        for names in self._all_weights:
            found = [getattr(self, name) for name in names]
            biases = found[2:4] if self.bias else [None, None]
            rows.append((*found[:2], *biases, found[-1] if self.proj_size else None))
        return rows

    # ------------------------------------------------------------------ the state
    def _state_shapes(self, count):
        """Return the shapes of the states: h, and for an LSTM c."""
        layers = self.num_layers * (2 if self.bidirectional else 1)
        h = (layers, count, self.proj_size or self.hidden_size)
        return (h, (layers, count, self.hidden_size)) if self.mode == "LSTM" else (h,)

    def check_input(self, input, batch_sizes):
        """ValueError or RuntimeError for an input of another dtype or size."""
        if input.dtype != self.weight_ih_l0.dtype and MODE.autocast is None:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({self.weight_ih_l0.dtype}). "
                "Convert input: "
                f"input.to({self.weight_ih_l0.dtype}), or convert model: model.to({input.dtype})"
            )
        expected = 2 if batch_sizes is not None else 3
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )

    def get_expected_hidden_size(self, input, batch_sizes):
        """Return the shape that the first hidden state must have."""
        if batch_sizes is not None:
            return self._state_shapes(int(batch_sizes[0]))[0]
        return self._state_shapes(input.shape[0 if self.batch_first else 1])[0]

    def check_hidden_size(self, hx, expected_hidden_size, msg="Expected hidden size {}, got {}"):
        """RuntimeError for a state of another shape."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(tuple(expected_hidden_size), list(hx.shape)))

    def _check_dimensions(self, states, batched):
        """RuntimeError unless the states have a batch exactly if the input has one."""
        wanted, kind = (3, "batched 3-D") if batched else (2, "unbatched 2-D")
        if all(state.dim() == wanted for state in states):
            return
        if len(states) == 1:
            raise RuntimeError(f"For {kind} input, hx should also be {wanted}-D but got {states[0].dim()}-D tensor")
        raise RuntimeError(
            f"For {kind} input, hx and cx should also be {wanted}-D but got ({states[0].dim()}-D, {states[1].dim()}-D) "
            "tensors"
        )

    def _check_states(self, states, count):
        """RuntimeError unless the states have the shapes that the settings ask for."""
        for index, (state, shape) in enumerate(zip(states, self._state_shapes(count), strict=True)):
            name = "hidden" if len(states) == 1 else f"hidden[{index}]"
            if len(states) == 1:
                self.check_hidden_size(state, shape)
            else:
                self.check_hidden_size(state, shape, f"Expected {name} size {{}}, got {{}}")

    def _starting(self, input, count):
        """Return states of zeros."""
        module = xp(input.array)
        return tuple([wrap(module.zeros(shape, input.array.dtype)) for shape in self._state_shapes(count)])

    def permute_hidden(self, hx, permutation):
        """Return the state(s) with the sequences of the batch in another order; as they are for None."""
        if permutation is None:
            return hx
        if isinstance(hx, tuple):
            return tuple([part.index_select(1, permutation) for part in hx])
        return hx.index_select(1, permutation)

    def forward(self, input, hx=None):
        """Return (output, last state): (T, N, directions x H) and, per layer and direction, (…, N, H).

        The input is (T, N, I), (N, T, I) with batch_first, (T, I) without a batch, or a PackedSequence, and the output
        the same; hx is the first state (an LSTM's: h and c), zeros by default.
        """
        states = None if hx is None else tuple(hx) if self.mode == "LSTM" else (hx,)
        if isinstance(input, PackedSequence):
            data, batch_sizes, order, back = input
            self.check_input(data, batch_sizes)
            sizes = tuple(batch_sizes.tolist())
            states = self._starting(data, sizes[0]) if states is None else self.permute_hidden(states, order)
            self._check_states(states, sizes[0])
            output, states = self._layers(data, states, sizes)
            return PackedSequence(output, batch_sizes, order, back), self._shaped(self.permute_hidden(states, back))
        if input.dim() not in (2, 3):
            raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched = input.dim() == 3
        if states is not None:
            self._check_dimensions(states, batched)
        if not batched:
            input = input.unsqueeze(1)
            states = None if states is None else tuple([state.unsqueeze(1) for state in states])
        elif self.batch_first:
            input = input.transpose(0, 1)
        self.check_input(input, None)
        states = self._starting(input, input.shape[1]) if states is None else states
        self._check_states(states, input.shape[1])
        if not input.shape[0]:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        output, states = self._layers(input, states, None)
        if not batched:
            return output.squeeze(1), self._shaped(tuple([state.squeeze(1) for state in states]))
        return (output.transpose(0, 1) if self.batch_first else output), self._shaped(states)

    def _layers(self, input, states, batch_sizes):
        probability = self.dropout if self.training else 0.0
        weights = self._weights()
        return recurrent_layers(self.mode, input, states, weights, batch_sizes, self.bidirectional, probability)

    def _shaped(self, states):
        """Return the states as the caller gets them: h, or (h, c)."""
        return states if self.mode == "LSTM" else states[0]

    def extra_repr(self):
        """Return the settings that are not the default ones."""
        text = f"{self.input_size}, {self.hidden_size}"
        shown = (("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0))
        for name, default in (*shown, ("bidirectional", False)):
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value}"
        return text


def _check_settings(input_size, hidden_size, num_layers, dropout, proj_size):
    """ValueError or TypeError for settings that cannot be; a warning for dropout that has no place."""
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    if not isinstance(hidden_size, int):
        raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
    if input_size <= 0:
        raise ValueError("input_size must be greater than zero")
    if hidden_size <= 0:
        raise ValueError("hidden_size must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


class RNN(RNNBase):
    """hₜ = tanh(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh), or relu of it, in one or more layers.

    Arguments: input_size, hidden_size, num_layers, nonlinearity ("tanh" or "relu"), bias, batch_first, dropout,
    bidirectional, device, dtype: as in LSTM.
    Source: Elman 1990; https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html

    >>> import minigrad as mg
    >>> output, h = mg.nn.RNN(3, 4)(mg.ones(5, 2, 3))
    >>> output.shape, h.shape
    (minigrad.Size([5, 2, 4]), minigrad.Size([1, 2, 4]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{self.nonlinearity.upper()}", *args, **kwargs)


class LSTM(RNNBase):
    """Long short-term memory: c = f c + i g and h = o tanh(c), with gates i, f, o = σ(W_ih x + b_ih + W_hh h + b_hh).

    g is the same with tanh for σ. Arguments: input_size (I), hidden_size (H), num_layers, bias, batch_first ((N, T, I)
    instead of (T, N, I)), dropout (between layers), bidirectional (a second direction, outputs side by side), proj_size
    (h is projected to that size), device, dtype.
    Source: Hochreiter & Schmidhuber 1997; https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html

    >>> import minigrad as mg
    >>> output, (h, c) = mg.nn.LSTM(3, 4, num_layers=2, batch_first=True)(mg.ones(2, 5, 3))
    >>> output.shape, h.shape
    (minigrad.Size([2, 5, 4]), minigrad.Size([2, 2, 4]))
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Gated recurrent unit: h = (1 - z) n + z h, with n = tanh(W_in x + b_in + r (W_hn h + b_hn)).

    The gates are r, z = σ(W_ih x + b_ih + W_hh h + b_hh). Arguments: as in LSTM, without proj_size.
    Source: Cho et al. 2014; https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html

    >>> import minigrad as mg
    >>> output, h = mg.nn.GRU(3, 4, bidirectional=True)(mg.ones(5, 2, 3))
    >>> output.shape, h.shape
    (minigrad.Size([5, 2, 8]), minigrad.Size([2, 2, 4]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


# ---------------------------------------------------------------------- one step
class RNNCellBase(Module):
    """What the cells share: weight_ih (gates H, I), weight_hh (gates H, H), bias_ih, bias_hh, all U(-1/√H, 1/√H).

    Arguments: input_size (I), hidden_size (H), bias (bool), num_chunks (gates), device, dtype.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html

    >>> import minigrad as mg
    >>> cell = mg.nn.GRUCell(3, 4)
    >>> isinstance(cell, mg.nn.RNNCellBase), cell.weight_hh.shape
    (True, minigrad.Size([12, 4]))
    """

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        self.weight_ih = empty_parameter((gates, input_size), device, dtype)
        self.weight_hh = empty_parameter((gates, hidden_size), device, dtype)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, empty_parameter(gates, device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all parameters anew."""
        _draw(self)

    def _checked(self, input, states):
        """Return the states, zeros for None; ValueError or RuntimeError for shapes that do not fit."""
        name = self._get_name()
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for index, state in enumerate(states or ()):
            if state.dim() not in (1, 2):
                which = f"hx[{index}]" if len(states) > 1 else "hidden"
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {state.dim()}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.shape[-1]} expected {self.input_size}")
        batch = input.shape[0] if input.dim() == 2 else 1
        for index, state in enumerate(states or ()):
            if input.dim() == 2 and state.shape[0] != batch:
                raise RuntimeError(f"Input batch size {batch} doesn't match hidden{index} batch size {state.shape[0]}")
            if state.shape[-1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden{index} has inconsistent hidden_size: got {state.shape[-1]}, expected {self.hidden_size}"
                )
        return states

    def _zeros(self, input):
        return wrap(xp(input.array).zeros((*input.shape[:-1], self.hidden_size), input.array.dtype))

    def _parameters_in_order(self):
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self):
        """Return the settings that are not the default ones."""
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it.

    Arguments: input_size, hidden_size, bias, nonlinearity ("tanh" or "relu"), device, dtype.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html

    >>> import minigrad as mg
    >>> mg.nn.RNNCell(3, 4)(mg.ones(2, 3)).shape
    minigrad.Size([2, 4])
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        """Return the new state; hx is zeros by default."""
        self._checked(input, None if hx is None else (hx,))
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        cell = rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell
        return cell(input, self._zeros(input) if hx is None else hx, *self._parameters_in_order())


class LSTMCell(RNNCellBase):
    """One step of an LSTM.

    Arguments: input_size, hidden_size, bias, device, dtype.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html

    >>> import minigrad as mg
    >>> h, c = mg.nn.LSTMCell(3, 4)(mg.ones(2, 3))
    >>> h.shape
    minigrad.Size([2, 4])
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        """Return the new (h, c); hx = (h, c) is zeros by default."""
        self._checked(input, None if hx is None else tuple(hx))
        if hx is None:
            hx = (self._zeros(input), self._zeros(input))
        return lstm_cell(input, hx, *self._parameters_in_order())


class GRUCell(RNNCellBase):
    """One step of a GRU.

    Arguments: input_size, hidden_size, bias, device, dtype.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html

    >>> import minigrad as mg
    >>> mg.nn.GRUCell(3, 4)(mg.ones(2, 3)).shape
    minigrad.Size([2, 4])
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        """Return the new state; hx is zeros by default."""
        self._checked(input, None if hx is None else (hx,))
        return gru_cell(input, self._zeros(input) if hx is None else hx, *self._parameters_in_order())
