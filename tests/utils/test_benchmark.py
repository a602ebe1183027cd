"""utils.benchmark, utils.collect_env and utils.flop_counter. Times themselves are not tested."""

import runpy

import pytest

import minigrad as mg
from minigrad.utils import benchmark, collect_env, flop_counter

nn = mg.nn


class Clock:
    """A timer whose every reading is a step later than the one before."""

    def __init__(self, *steps):
        self.now, self.steps, self.readings = 0.0, steps, 0

    def __call__(self):
        self.readings += 1
        if self.readings % 2 == 0:
            self.now += self.steps[(self.readings // 2 - 1) % len(self.steps)]
        return self.now


def test_a_statement_is_run_so_often():
    ran = []
    timer = benchmark.Timer(
        "note(torch.ones(1).item() + start)", "start = 2", timer=Clock(0.5), globals={"note": ran.append},
        label="add", sub_label="small", description="here", env="cpu", num_threads=1,
    )  # fmt: skip
    measured = timer.timeit(200)
    assert len(ran) == 202 and set(ran) == {3.0}
    assert (measured.number_per_run, measured.raw_times) == (200, [0.5])
    assert measured.times == [0.0025] and measured.mean == measured.median == 0.0025 and measured.iqr == 0
    assert (measured.title, measured.env, measured.as_row_name, measured.label) == ("add: small", "cpu", "small", "add")
    assert repr(measured).splitlines()[1:] == [
        "add: small", "here", "setup: start = 2", "  2.50 ms", "  1 measurement, 200 runs, 1 thread",
    ]  # fmt: skip


def test_blocks_until_the_time_is_over():
    seen = []
    timer = benchmark.Timer("pass", timer=Clock(0.1))
    measured = timer.blocked_autorange(lambda number, seconds: seen.append(number), min_run_time=0.45)
    assert measured.number_per_run == 1 and len(measured.times) == 5 and seen == [1] * 5
    assert not measured.has_warnings and measured.significant_figures >= 3
    assert "5 measurements, 1 runs per measurement, 1 thread" in repr(measured)


def test_adaptive_until_the_spread_is_small():
    steady = benchmark.Timer("pass", timer=Clock(0.01)).adaptive_autorange()
    assert len(steady.times) == 4 and steady.meets_confidence()
    wild = benchmark.Timer("pass", timer=Clock(0.1, 0.4, 0.9)).adaptive_autorange(max_run_time=3)
    assert sum(wild.raw_times) >= 3 and wild.has_warnings and "WARNING: Interquartile range" in repr(wild)


def test_threads_are_set_for_the_time_and_put_back():
    before, seen = mg.get_num_threads(), []
    benchmark.Timer("note()", globals={"note": lambda: seen.append(mg.get_num_threads())}, num_threads=2).timeit(1)
    assert set(seen) == {2} and mg.get_num_threads() == before


def measurement(times, **task):
    return benchmark.Measurement(10, [10 * t for t in times], benchmark.TaskSpec("x", "pass", **task))


def test_quartiles_and_merged_measurements():
    one, two = measurement([1.0, 2.0, 3.0], label="a"), measurement([4.0, 5.0], label="a")
    (merged,) = benchmark.Measurement.merge([one, two])
    assert merged.times == [1, 2, 3, 4, 5] and (merged.median, merged.iqr) == (3, 2)
    with pytest.raises(ValueError, match="No times"):
        _ = measurement([]).mean
    with pytest.raises(AttributeError, match="no attribute 'mode'"):
        _ = one.mode


def test_tables():
    table = benchmark.Compare([measurement([2e-6], label="sum", sub_label="small", description="ours")])
    table.extend_results([
        measurement([1e-3], label="sum", sub_label="large", description="theirs"),
        measurement([3e-6], label="sum", sub_label="small", description="ours", num_threads=2),
    ])  # fmt: skip
    lines = str(table).splitlines()
    assert lines[0].startswith("[") and " sum " in lines[0]
    assert lines[1].split() == ["|", "ours", "|", "theirs"]
    assert lines[2].startswith("1 thread: ---") and lines[3].split() == ["small", "|", "2.0", "|"]
    assert lines[4].split() == ["large", "|", "|", "1000.0"] and lines[5].startswith("2 threads: ")
    assert lines[-1] == "Times are in microseconds (us)."
    table.trim_significant_figures()
    table.highlight_warnings()
    assert [line.split()[-1] for line in str(table).splitlines()[3:5]] == ["|", "1000"]
    with pytest.raises(ValueError, match="Measurement"):
        table.extend_results([3])
    with pytest.raises(RuntimeError, match="no colours"):
        table.colorize()


@pytest.mark.parametrize(
    "call, error",
    [(lambda: benchmark.Timer(language="c++"), ValueError), (lambda: benchmark.Timer(global_setup="x"), ValueError),
     (lambda: benchmark.Timer().collect_callgrind(), RuntimeError)],
)  # fmt: skip
def test_what_is_refused(call, error):
    with pytest.raises(error):
        call()


@pytest.mark.parametrize(
    "seconds, unit", [(2.0, "s"), (0.5, "ms"), (2e-3, "ms"), (5e-4, "us"), (2e-6, "us"), (5e-8, "ns"), (0.0, "ns")]
)
def test_units(seconds, unit):
    assert benchmark.select_unit(seconds)[0] == unit


def test_the_environment(capsys):
    runpy.run_path(collect_env.__file__, run_name="__main__")
    shown = capsys.readouterr().out
    for part in (mg.__version__, "Python version: 3", "[pip3] numpy==", "Is CUDA available: ", " cores"):
        assert part in shown
    assert set(collect_env.get_env_info()) > {"OS", "CPU"}


# ---------------------------------------------------------------------- operations
def test_operations_of_modules_forward_and_backward(capsys):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Sequential(nn.ReLU(), nn.Linear(72, 5)))
    with flop_counter.FlopCounterMode(depth=3) as counter:
        loss = net(mg.ones(2, 1, 8, 8)).sum()
        forward = counter.get_total_flops()
        loss.backward()
    conv, linear = 2 * 2 * 36 * 2 * 9, 2 * 2 * 72 * 5
    assert forward == conv + linear
    counts = counter.get_flop_counts()
    assert counts["Sequential"] == {"convolution": conv, "linear": linear}
    assert counts["Sequential.0"] == {"convolution": conv} and counts["Sequential.2.1"] == {"linear": linear}
    assert counter.get_total_flops() == 2 * conv + 3 * linear  # the image has no gradient
    assert "Sequential.2" in capsys.readouterr().out and "Sequential.2.1" not in counter.get_table(2)


def test_a_block_that_fails_leaves_nothing_behind(capsys):
    class Fails(nn.Module):
        def forward(self, x):
            raise KeyError("no")

    counter = flop_counter.FlopCounterMode()
    with pytest.raises(KeyError), counter:
        Fails()(mg.ones(1))
    assert capsys.readouterr().out == ""
    with counter:
        nn.Linear(2, 3)(mg.ones(1, 2))
    assert counter.get_flop_counts()["Linear"] == {"linear": 12}
    nn.Linear(2, 3)(mg.ones(1, 2))
    assert counter.get_total_flops() == 12
    with pytest.raises(ValueError, match="custom_mapping"):
        flop_counter.FlopCounterMode(custom_mapping={1: 2})
