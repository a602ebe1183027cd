"""An LSTM over a whole sequence is its steps one after another."""

import pytest

from minigrad.backend import np
from minigrad.kernels import recurrent


def arrays(steps, count, size, dtype, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (steps, count, 4 * size), (count, size), (count, size), (4 * size, size)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("steps", "count", "size"), [(5, 3, 4), (1, 2, 1), (7, 1, 20), (3, 40, 33)])
def test_sequence_is_its_steps(steps, count, size, reverse, dtype):
    inputs = gates, h, c, weight = arrays(steps, count, size, dtype)
    hidden, last, states, opened = recurrent.lstm_sequence(*inputs, reverse)
    assert all((part == before).all() for part, before in zip(inputs, arrays(steps, count, size, dtype)))  # not written
    assert all(part.dtype == dtype for part in (hidden, last, states, opened))
    tolerance = 1e-5 if dtype == "float32" else 1e-14
    for t in reversed(range(steps)) if reverse else range(steps):
        h, c, expected = recurrent.lstm_step(gates[t] + h @ weight.T, c)
        np.testing.assert_allclose(hidden[t], h, atol=tolerance)
        np.testing.assert_allclose(states[t if reverse else t + 1], c, atol=tolerance)
        np.testing.assert_allclose(opened[t], expected, atol=tolerance)
    np.testing.assert_array_equal(last, states[0 if reverse else steps])
    assert not np.shares_memory(last, states)  # who gets it may write into it


def test_gates_far_from_zero_saturate_without_warnings():
    gates = np.full((1, 1, 4), -1e4, np.float32)
    with np.errstate(all="raise", under="ignore"):
        hidden, last, states, opened = recurrent.lstm_sequence(
            gates, *np.ones((2, 1, 1), np.float32), np.ones((4, 1), "f"), False
        )
    np.testing.assert_array_equal(opened[0, 0], [0, 0, -1, 0])
    assert hidden[0, 0, 0] == 0 and last[0, 0] == states[1, 0, 0] == 0
