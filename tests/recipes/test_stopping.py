"""Early stopping against its definition."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

import minigrad as mg
from minigrad import nn
from minigrad.recipes import EarlyStopping


def weighted(value):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, float(value))
    return model


def run(stopping, values, start=0, model=None):
    """Feed the values; the model's weight is the number of the evaluation. Returns the evaluation that stopped it."""
    model = model or weighted(0)
    for number, value in enumerate(values, start):
        nn.init.constant_(model.weight, float(number))
        if stopping.step(value, model):
            return number, model.weight.item()
    return None, model.weight.item()


@given(
    values=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0, math.nan]), min_size=1, max_size=12),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0.0, 0.15]),
    sign=st.sampled_from([1, -1]),
)
def test_by_definition(values, patience, min_delta, sign):
    stopping = EarlyStopping(patience, "min" if sign > 0 else "max", min_delta)
    stopped, weight = run(stopping, [sign * value for value in values])
    best, best_at, expected = math.inf, -1, None
    for number, value in enumerate(values):
        if best - value > min_delta:
            best, best_at = value, number
        if number - best_at >= patience:
            expected = number
            break
    assert stopped == expected
    assert stopping.stopped == (expected is not None)
    if best_at >= 0:
        assert (stopping.best, stopping.best_step) == (sign * best, best_at)
        assert stopping.best_state["weight"].item() == best_at
        assert weight == (best_at if expected is not None else len(values) - 1)
    else:
        assert stopping.best is None


def test_restore_by_hand_and_buffers():
    model = nn.BatchNorm1d(1)
    stopping = EarlyStopping(patience=5, mode="max")
    stopping.step(mg.tensor(0.5), model)
    model(mg.randn(4, 1))
    stopping.step(mg.tensor(0.4), model)
    assert int(model.num_batches_tracked) == 1
    stopping.restore(model)
    assert int(model.num_batches_tracked) == 0


def test_without_weights():
    stopping = EarlyStopping(patience=1, restore_best=False)
    assert [stopping.step(value) for value in (1.0, 0.5, 0.6)] == [False, False, True]
    assert stopping.best_state is None
    with pytest.raises(RuntimeError, match="no best weights"):
        stopping.restore(weighted(1))


@given(cut=st.integers(0, 5))
def test_resumed_it_is_the_run_that_never_stopped(cut):
    values = [1.0, 0.5, 0.7, 0.4, 0.6, 0.5, 0.45, 0.3]
    whole = EarlyStopping(patience=3)
    expected = run(whole, values)
    first = EarlyStopping(patience=3)
    run(first, values[:cut])
    second = EarlyStopping(patience=9, mode="max")
    second.load_state_dict(first.state_dict())
    assert run(second, values[cut:], start=cut) == expected
    assert (second.best, second.best_step, second.steps) == (whole.best, whole.best_step, whole.steps)


def test_the_copy_is_not_the_models_memory():
    model = weighted(1)
    stopping = EarlyStopping()
    stopping.step(1.0, model)
    with mg.no_grad():
        model.weight.fill_(9.0)
    assert stopping.best_state["weight"].item() == 1.0


def test_refusals():
    for options in ({"patience": 0}, {"mode": "lowest"}, {"min_delta": -1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            EarlyStopping(**options)
    stopping = EarlyStopping()
    with pytest.raises(TypeError, match="needs the model"):
        stopping.step(1.0)
    assert stopping.steps == 0
    with pytest.raises(KeyError):
        stopping.load_state_dict({"patience": 3})
