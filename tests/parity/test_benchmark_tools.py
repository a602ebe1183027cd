"""utils.benchmark and utils.flop_counter: what both frameworks make of the same times and the same networks."""

import itertools
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch.utils import benchmark as theirs  # noqa: E402
from torch.utils import flop_counter  # noqa: E402

import minigrad  # noqa: E402
from minigrad.utils import benchmark as ours  # noqa: E402
from minigrad.utils import flop_counter as our_counter  # noqa: E402

TIMES = ([1.0], [2e-5, 3e-5], [1e-3, 1.1e-3, 0.9e-3, 1e-3, 1.05e-3], [1e-6, 5e-6, 9e-6, 2e-6, 2e-6, 3e-7])


@pytest.mark.parametrize("times", TIMES)
def test_measurements(times):
    found = []
    for library in (ours, theirs):
        task = library.TaskSpec(stmt="x + 1", setup="pass", label="add", sub_label="s", description="d", num_threads=2)
        measured = library.Measurement(10, [10 * t for t in times], task)
        found.append((
            measured.times, measured.mean, measured.median, measured.iqr, measured.title, measured.as_row_name,
            measured.has_warnings, measured.meets_confidence(10.0), repr(measured).splitlines()[1:4],
        ))  # fmt: skip
    for one, other in zip(*found, strict=True):
        is_number = isinstance(other, float) or (isinstance(other, list) and isinstance(other[0], float))
        assert one == (pytest.approx(other) if is_number else other)


def test_timers_run_a_statement_equally_often():
    counts = []
    for library in (ours, theirs):
        ran = itertools.count()
        library.Timer("next(ran)", globals={"ran": ran}).timeit(300)
        counts.append(next(ran))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("value", [3e-9, 2e-6, 5e-4, 1e-3, 0.5, 3.0])
def test_units_and_digits(value):
    assert ours.select_unit(value) == theirs.select_unit(value)
    for digits in (1, 2, 3):
        assert ours.trim_sigfig(1.2345e5 * value, digits) == pytest.approx(
            theirs.trim_sigfig(1.2345e5 * value, digits)
        )


def network(t):
    nn = t.nn
    first, second = nn.Conv2d(1, 4, 3, stride=2, bias=False), nn.Conv2d(4, 4, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.Flatten(), nn.Linear(36, 5))


def products(t):
    a, b = t.ones(2, 3, requires_grad=True), t.ones(3, 4, requires_grad=True)
    ((a @ b).sum() + t.bmm(t.ones(5, 2, 3), t.ones(5, 3, 4)).sum()).backward()


def trained(t):
    network(t)(t.ones(2, 1, 8, 8)).sum().backward()


@pytest.mark.parametrize("program", [trained, products])
def test_operations(program):
    totals = []
    for t, counter in ((minigrad, our_counter), (torch, flop_counter)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with counter.FlopCounterMode(display=False) as count:
                program(t)
        totals.append(count.get_total_flops())
    assert totals[0] == totals[1]
