"""Watching the calls of ops: every way in which an op is reached is seen, once, and nothing else changes."""

import threading

import pytest

import minigrad as mg
from minigrad.backend import PRECISION, WATCHED
from minigrad.interception import watch
from minigrad.nn.pairs import call_pair
from minigrad.ops.recurrent import recurrent_layers
from minigrad.variable import MODE

F = mg.nn.functional


def watchers():
    """Whoever looks at calls now; other precisions, once a program has used one, do so for good."""
    return [watcher for watcher in WATCHED if watcher is not PRECISION]


def seen_while(run, composites=False):
    """Return (names of the ops watched, the result of run)."""
    names = []

    def note(op, args, params, run):
        names.append(op.name)
        return run()

    note.composites = composites
    with watch(note):
        result = run()
    assert not watchers()
    return names, result


X = mg.arange(24.0).reshape(2, 3, 4)
CASES = {
    "operator": (lambda x: x + 1, ["add"]),
    "reflected": (lambda x: 1 - x, ["sub"]),
    "promoted": (lambda x: x + mg.ones(4, dtype=mg.float64), ["cast", "add"]),
    "not float": (lambda x: mg.exp(x.long()), ["cast", "cast", "exp"]),
    "unary": (lambda x: x.exp(), ["exp"]),
    "parameters": (lambda x: F.leaky_relu(x, 0.1), ["leaky_relu"]),
    "reduction": (lambda x: x.sum(1), ["sum"]),
    "maximum": (lambda x: x.amax(1), ["amax"]),
    "comparison": (lambda x: x > 3, ["gt"]),
    "number first": (lambda x: 3 > x, ["lt"]),
    "three": (lambda x: F.linear(x, mg.ones(5, 4), mg.ones(5)), ["linear"]),
    "three without": (lambda x: F.linear(x, mg.ones(5, 4)), ["linear"]),
    "pair": (lambda x: x @ mg.ones(2, 4, 2), ["matmul"]),
    "view": (lambda x: x.reshape(6, 4), ["reshape"]),
    "transpose": (lambda x: x.transpose(0, 1), ["transpose"]),
    "slice": (lambda x: x[:, 1:], ["getitem"]),
    "gathered": (lambda x: x[mg.tensor([0, 1, 1])], ["index"]),
    "expand": (lambda x: x[:1].expand(5, 3, 4), ["getitem", "broadcast_to"]),
    "pieces": (lambda x: mg.cat(x.split(1), 0), ["split", "cat"]),
    "in place": (lambda x: x.clone().add_(1), ["clone", "add", "overwrite"]),
    "operator in place": (lambda x: x.clone().__iadd__(1), ["clone", "add", "overwrite"]),
    "activation in place": (lambda x: F.relu(x.clone(), inplace=True), ["clone", "relu", "overwrite"]),
    "pooling": (lambda x: F.avg_pool1d(x, 2), ["average_pool"]),
}


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_call_is_watched_once(name, tracked):
    run, expected = CASES[name]
    x = X.clone().requires_grad_() if tracked else X.clone()
    before = run(x)
    names, result = seen_while(lambda: run(x))
    assert names == expected
    assert mg.equal(result, before) and result.requires_grad is before.requires_grad


@pytest.mark.parametrize("tracked", [False, True])
def test_pairs_run_as_their_operations(tracked):
    x = mg.randn(2, 3, 16, 16, requires_grad=tracked)
    convolution, norm, relu = mg.nn.Conv2d(3, 4, 3), mg.nn.BatchNorm2d(3).eval(), mg.nn.ReLU()
    assert seen_while(lambda: call_pair(convolution, relu, x))[0] == ["convolution", "relu"]
    assert seen_while(lambda: call_pair(norm, relu, x, x))[0] == ["normalization", "add", "relu"]


def test_composites_are_seen_whole_by_those_who_ask():
    x = mg.ones(1, 1, 2, 2)
    assert seen_while(lambda: F.interpolate(x, scale_factor=2), composites=True)[0] == ["interpolate"]
    assert seen_while(lambda: F.interpolate(x, scale_factor=2))[0] == ["resample"]
    names, _ = seen_while(lambda: mg.nn.LSTM(2, 3)(mg.ones(4, 1, 2)), composites=True)
    assert recurrent_layers.name in names and "lstm_step" not in names


def test_a_watcher_may_return_something_else_and_use_ops_itself():
    def doubled(op, args, params, run):
        return run() * 2

    with watch(doubled):
        assert (mg.ones(2) + 1).tolist() == [4.0, 4.0]


def test_watchers_nest_the_last_one_first_and_belong_to_their_thread():
    order = []

    def watcher(name):
        def note(op, args, params, run):
            order.append(name)
            return run()

        return note

    with watch(watcher("outer")), watch(watcher("inner")):
        worker = threading.Thread(target=lambda: mg.ones(2) + 1)
        worker.start()
        worker.join()
        assert order == []
        mg.ones(2) + 1
    assert order == ["inner", "outer"]
    mg.ones(2) + 1
    assert order == ["inner", "outer"] and not watchers()


def test_errors_are_those_without_a_watcher():
    with watch(lambda op, args, params, run: run()):
        with pytest.raises(RuntimeError, match="must match the size"):
            mg.ones(2) + mg.ones(3)
        with pytest.raises(TypeError):
            mg.ones(2) + "no"
        assert mg.ones(2).__add__("no") is NotImplemented
    assert not watchers()


def test_blocks_closed_in_the_order_they_were_opened_leave_nothing():
    names = []

    def note(op, args, params, run):
        names.append(op.name)
        return run()

    def ignore(op, args, params, run):
        return run()

    first, second = watch(ignore), watch(note)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    mg.ones(2) + 1
    second.__exit__(None, None, None)
    mg.ones(2) * 2
    assert names == ["add"]
    assert MODE.watchers == () and watchers() == []
