"""The benchmarks run and add up; how fast anything is, is no test's business."""
import numpy
import pytest

import minigrad
from benchmarks import overhead


@pytest.fixture(scope="module")
def measured():
    return overhead.measure([numpy, minigrad], rounds=2, seconds=1e-5)


def test_every_op_is_timed_in_every_mode(measured):
    modes = {"numpy": ("untracked",), "minigrad": overhead.MODES}
    expected = {(op, mode, library) for op in overhead.OPS for library in modes for mode in modes[library]}
    assert set(measured) == expected
    assert all(len(times) == 2 and min(times) > 0 for times in measured.values())


@pytest.mark.parametrize("op", overhead.OPS)
def test_the_timed_statements_do_what_they_say(op):
    """In the backward mode gradients arrive, in the tracked mode the graph is there, and the values are NumPy's."""
    statement, numpy_statement, shape = overhead.OPS[op]
    theirs = overhead.timers(numpy, op, numpy_statement or statement, shape(4), 4)["untracked"]
    ours = overhead.timers(minigrad, op, statement, shape(4), 4)
    numbers = eval(numpy_statement or statement, theirs.inner.__globals__)
    for mode in ("untracked", "tracked"):
        result = eval(statement, ours[mode].inner.__globals__)
        assert result.requires_grad == (mode == "tracked")
        numpy.testing.assert_allclose(result.detach().numpy(), numbers, rtol=1e-6)
        assert result.shape == shape(4)
    ours["backward"].timeit(1)
    x = ours["backward"].inner.__globals__["x"]
    assert x.grad is not None and x.grad.shape == (4, 4)


def test_the_table_compares_medians():
    result = {
        ("add", "untracked", "numpy"): [1.0, 2.0, 3.0],
        ("add", "untracked", "minigrad"): [1.0, 3.0, 9.0],
        ("add", "untracked", "torch"): [6.0, 6.0, 5.0],
    }
    assert overhead.ratios(result) == {"untracked": {"add": 0.5}}
    for mode in ("tracked", "backward"):
        result["add", mode, "minigrad"] = [2.0]
        result["add", mode, "torch"] = [1.0]
    lines = overhead.table(result)
    assert "3.00 [1.00-9.00]" in lines[1] and lines[1].endswith("0.50")
    assert lines[-1].startswith("backward: minigrad takes 2.00 of PyTorch's time")


def test_wrong_arguments(capsys):
    with pytest.raises(SystemExit) as stopped:
        overhead.main(["--side", "1"])
    assert stopped.value.code == 2
    assert "--side must be at least 2" in capsys.readouterr().err
