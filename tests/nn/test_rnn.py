"""Recurrent layers and packed sequences: the layers are their cells step by step, packing leaves the padding out."""

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn.utils import rnn

CELLS = {"RNN": nn.RNNCell, "GRU": nn.GRUCell, "LSTM": nn.LSTMCell}


def close(a, b):
    assert a.shape == b.shape
    assert mg.allclose(a, b, atol=1e-6)


@pytest.fixture(autouse=True)
def seed():
    mg.manual_seed(0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", CELLS)
def test_a_layer_is_its_cell_step_by_step(kind, bias):
    layer, cell = getattr(nn, kind)(3, 4, bias=bias), CELLS[kind](3, 4, bias=bias)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = mg.randn(5, 2, 3)
    output, last = layer(x)
    state = None
    for t, step in enumerate(x):
        state = cell(step, state)
        close(output[t], state[0] if kind == "LSTM" else state)
    for one, other in zip(last, state, strict=True) if kind == "LSTM" else [(last, state)]:
        close(one[0], other)


@pytest.mark.parametrize("kind", CELLS)
def test_a_second_direction_reads_the_sequence_backwards(kind):
    layer = getattr(nn, kind)(3, 4, bidirectional=True)
    forward, backward = getattr(nn, kind)(3, 4), getattr(nn, kind)(3, 4)
    weights = layer.state_dict()
    forward.load_state_dict({name: weights[name] for name in forward.state_dict()})
    backward.load_state_dict({name: weights[name + "_reverse"] for name in backward.state_dict()})
    x = mg.randn(5, 2, 3)
    close(layer(x)[0], mg.cat([forward(x)[0], backward(x.flip(0))[0].flip(0)], 2))


@pytest.mark.parametrize("settings", [{}, {"bidirectional": True, "num_layers": 2}], ids=["one", "deep"])
@pytest.mark.parametrize("kind", CELLS)
def test_packed_sequences_are_run_one_by_one(kind, settings):
    layer = getattr(nn, kind)(3, 4, **settings)
    sequences = [mg.randn(length, 3) for length in (2, 5, 1, 5)]
    packed, last = layer(rnn.pack_sequence(sequences, enforce_sorted=False))
    for index, (sequence, output) in enumerate(zip(sequences, rnn.unpack_sequence(packed), strict=True)):
        alone, alone_last = layer(sequence)
        close(output, alone)
        close((last[0] if kind == "LSTM" else last)[:, index], alone_last[0] if kind == "LSTM" else alone_last)


def test_gradients_do_not_reach_the_padding():
    padded = mg.randn(2, 4, 3, requires_grad=True)
    packed = rnn.pack_padded_sequence(padded, mg.tensor([4, 2]), batch_first=True)
    output, _ = rnn.pad_packed_sequence(nn.GRU(3, 5)(packed)[0], batch_first=True)
    output.sum().backward()
    assert (padded.grad[0] != 0).all() and (padded.grad[1, :2] != 0).all() and (padded.grad[1, 2:] == 0).all()


def test_projection_and_dropout():
    layer = nn.LSTM(3, 4, num_layers=2, proj_size=2, dropout=0.5)
    output, (h, c) = layer(mg.ones(6, 1, 3))
    assert output.shape == (6, 1, 2) and h.shape == (2, 1, 2) and c.shape == (2, 1, 4)
    assert not mg.equal(output, layer(mg.ones(6, 1, 3))[0])
    layer.eval()
    assert mg.equal(layer(mg.ones(6, 1, 3))[0], layer(mg.ones(6, 1, 3))[0])
    assert layer.weight_hr_l1.shape == (2, 4) and layer.weight_ih_l1.shape == (16, 2)


def test_batch_first_and_no_batch():
    layer = nn.LSTM(3, 4)
    first = nn.LSTM(3, 4, batch_first=True)
    first.load_state_dict(layer.state_dict())
    x = mg.randn(5, 2, 3)
    close(layer(x)[0], first(x.transpose(0, 1))[0].transpose(0, 1))
    close(layer(x)[0][:, 1], layer(x[:, 1])[0])


def test_repr_and_parameters():
    layer = nn.LSTM(3, 4, 2, bidirectional=True, bias=False)
    assert repr(layer) == "LSTM(3, 4, num_layers=2, bias=False, bidirectional=True)"
    assert [len(weights) for weights in layer.all_weights] == [2, 2, 2, 2]
    assert repr(nn.RNNCell(3, 4, nonlinearity="relu")) == "RNNCell(3, 4, nonlinearity=relu)"


@pytest.mark.parametrize(
    "run, error, message",
    [
        (lambda: nn.LSTM(3, 4)(mg.zeros(5, 2, 4)), RuntimeError, "Expected 3, got 4"),
        (lambda: nn.GRU(3, 4)(mg.zeros(5, 3, 3), mg.zeros(1, 2, 4)), RuntimeError, r"Expected hidden size \(1, 3, 4\)"),
        (lambda: nn.GRU(3, 4)(mg.zeros(5, 3), mg.zeros(1, 1, 4)), RuntimeError, "hx should also be 2-D"),
        (lambda: nn.GRU(3, 4)(mg.zeros(5, 3).long()), ValueError, "does not match weight dtype"),
        (lambda: nn.GRU(3, 4, proj_size=2), ValueError, "only supported for LSTM"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "Unknown nonlinearity"),
        (lambda: nn.LSTM(3, 0), ValueError, "hidden_size must be greater than zero"),
        (lambda: nn.LSTM(3, 2.5), TypeError, "hidden_size should be of type int"),
        (lambda: nn.LSTMCell(3, 4)(mg.zeros(2, 4)), RuntimeError, "inconsistent input_size"),
        (lambda: nn.GRUCell(3, 4)(mg.zeros(2, 3), mg.zeros(3, 4)), RuntimeError, "doesn't match hidden0 batch size 3"),
        (lambda: rnn.pack_padded_sequence(mg.zeros(3, 2), [1, 3]), RuntimeError, "sorted in decreasing order"),
        (lambda: rnn.pack_padded_sequence(mg.zeros(3, 2), [3, 0]), RuntimeError, "greater than 0"),
        (lambda: rnn.pack_padded_sequence(mg.zeros(3, 2), [4, 1]), RuntimeError, "exceeds the input's 3 steps"),
        (lambda: rnn.pad_sequence([]), RuntimeError, "empty list"),
    ],
)
def test_errors(run, error, message):
    with pytest.raises(error, match=message):
        run()


def test_dropout_without_a_second_layer_warns():
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        nn.GRU(3, 4, dropout=0.5)


def test_padding_sides_and_back():
    sequences = [mg.tensor([1, 2, 3]), mg.tensor([4])]
    assert rnn.pad_sequence(sequences, padding_value=9).tolist() == [[1, 4], [2, 9], [3, 9]]
    left = rnn.pad_sequence(sequences, batch_first=True, padding_side="left")
    assert left.tolist() == [[1, 2, 3], [0, 0, 4]]
    packed = rnn.pack_sequence(sequences)
    padded, lengths = rnn.pad_packed_sequence(packed, batch_first=True, total_length=4, padding_value=-1)
    assert padded.tolist() == [[1, 2, 3, -1], [4, -1, -1, -1]] and lengths.tolist() == [3, 1]
    assert packed.float().data.dtype is mg.float32 and packed.to(mg.float64).batch_sizes.tolist() == [2, 1, 1]
